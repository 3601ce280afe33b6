#ifndef CALSERVE_SERVER_BASE_THREAD_PRIORITY_H_
#define CALSERVE_SERVER_BASE_THREAD_PRIORITY_H_

#include <sys/resource.h>
#include <unistd.h>

namespace calserve {

// Makes the calling thread, and those that it starts from then on, yield to others: nice 0 to 19. Linux gives
// each thread a nice value of its own, addressed by its thread id (setpriority(2), "C library/kernel
// differences"). Raising it is always allowed, lowering it is not: a thread that must be quick again later
// must not be started from one that has called this. Were it refused, the thread would only be less polite.
inline void LowerOwnPriority(int nice) { setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), nice); }

}  // namespace calserve

#endif  // CALSERVE_SERVER_BASE_THREAD_PRIORITY_H_
