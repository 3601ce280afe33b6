#ifndef CALSERVE_SERVER_BASE_ACCEPTING_H_
#define CALSERVE_SERVER_BASE_ACCEPTING_H_

#include <cstdint>

namespace calserve {

// gRPC 1.51 closes its ears for good where accept4(2) fails: after one EMFILE no connection is accepted any
// more, however many files are free later. So this is done below it: accept4 is defined in accepting.cc,
// before libc's. Where this process or the machine has no file left for a connection, the connection is
// turned away, by means of a file that is kept for that, and whoever it was may try again. Errors of a
// connection that is gone before it is accepted, which accept(2) says to pass over, are passed over.

// How many were turned away so far. Thread-safe.
int64_t ConnectionsTurnedAway();

// As many open files as this process may ask for, 65,536 at most: what it is started with, 1,024 often, is
// made for programs that use select(2). To be called early: it takes the file that is kept.
void RaiseOpenFileLimit();

}  // namespace calserve

#endif  // CALSERVE_SERVER_BASE_ACCEPTING_H_
