#ifndef CALSERVE_SERVER_BASE_THREAD_NAME_H_
#define CALSERVE_SERVER_BASE_THREAD_NAME_H_

#include <sys/prctl.h>

namespace calserve {

// The names by which /metrics tells threads apart (http/thread_times.h); 15 bytes at most.
inline constexpr char kInstanceThread[] = "instance";  // runs forward passes
inline constexpr char kDecodeThread[] = "decode";      // decodes images

// Names the calling thread for `top -H`, debuggers and /metrics. Threads that it starts have its name, too,
// until they take one of their own: so LibTorch's helpers of an instance are called as that is.
inline void NameThread(const char* name) { prctl(PR_SET_NAME, name); }

}  // namespace calserve

#endif  // CALSERVE_SERVER_BASE_THREAD_NAME_H_
