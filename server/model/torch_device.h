#ifndef CALSERVE_SERVER_MODEL_TORCH_DEVICE_H_
#define CALSERVE_SERVER_MODEL_TORCH_DEVICE_H_

#include <string>

#include "absl/status/statusor.h"

namespace calserve {

// Turns cpu | cuda | cuda:N into LibTorch's name of the device: "cpu", "cuda:0". INVALID_ARGUMENT for
// anything else; FAILED_PRECONDITION, saying why, for a GPU that is not there. Thread-safe.
//
// CUDA is opened here, at run time, and LibTorch looks for it only once in a process: one that has used
// LibTorch on the CPU alone may have to be restarted before a GPU can be had.
absl::StatusOr<std::string> ResolveDevice(const std::string& asked);

// From here on LibTorch computes with `threads` intra-op threads on the calling thread. OpenMP's count
// belongs to the thread that calls, and a new thread's is the number of cores, so each thread that runs a
// model says so itself. Costs nothing when repeated.
void UseIntraOpThreads(int threads);

}  // namespace calserve

#endif  // CALSERVE_SERVER_MODEL_TORCH_DEVICE_H_
