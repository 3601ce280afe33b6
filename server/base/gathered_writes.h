#ifndef CALSERVE_SERVER_BASE_GATHERED_WRITES_H_
#define CALSERVE_SERVER_BASE_GATHERED_WRITES_H_

namespace calserve {

// While one lives, what its thread sends on a TCP socket waits in the kernel, unless it fills a segment; its
// end sends all that waits, each connection's together: one segment and one wake-up of the reader for the
// answers of a batch, instead of one each. gRPC writes the answer of a unary call by a `sendmsg` of its own,
// at once, and its interface has no way to hold one back. So this is done below it: sendmsg(2) is defined in
// gathered_writes.cc, before libc's, and adds MSG_MORE. A socket that is not TCP is not delayed.
//
// For a short piece of work on one thread; they do not nest.
class GatheredWrites final {
 public:
  GatheredWrites();
  ~GatheredWrites();
  GatheredWrites(const GatheredWrites&) = delete;
  GatheredWrites& operator=(const GatheredWrites&) = delete;

  // Calls of sendmsg so far.
  int writes() const;
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_BASE_GATHERED_WRITES_H_
