#ifndef CALSERVE_TEXT_STANDARD_STREAMS_H_
#define CALSERVE_TEXT_STANDARD_STREAMS_H_

namespace calserve {

// A program whose main calls this has /dev/null, to be read only, open as each of standard input, output and
// error that was closed when it started: else the next files that it opens, a store or a socket, would be
// these, and what it prints would go into them. A write to one still fails.
void KeepStandardStreams();

}  // namespace calserve

#endif  // CALSERVE_TEXT_STANDARD_STREAMS_H_
