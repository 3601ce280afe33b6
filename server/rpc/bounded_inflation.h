#ifndef CALSERVE_SERVER_RPC_BOUNDED_INFLATION_H_
#define CALSERVE_SERVER_RPC_BOUNDED_INFLATION_H_

#include <cstddef>

namespace calserve {

// From here on a compressed message, of any server or client of the process, is inflated to one byte more
// than `bytes` at most: gRPC 1.51 would inflate all of it, a thousandfold and before it knows the caller, and
// then find it too large. What is cut so is refused by that check (RESOURCE_EXHAUSTED) where `bytes` is the
// server's limit. Until it is called nothing is cut. Thread-safe.
void LimitInflation(size_t bytes);

}  // namespace calserve

#endif  // CALSERVE_SERVER_RPC_BOUNDED_INFLATION_H_
