#ifndef CALSERVE_SERVER_MODEL_TORCH_DEVICE_H_
#define CALSERVE_SERVER_MODEL_TORCH_DEVICE_H_

#include <string>

#include "absl/status/statusor.h"

namespace calserve {

// Turns cpu | cuda | cuda:N into LibTorch's name of the device: "cpu", "cuda:0". INVALID_ARGUMENT for
// anything else; FAILED_PRECONDITION, saying why, for a GPU that is not there, or that LibTorch cannot
// compute on. Thread-safe.
//
// CUDA is opened here, at run time, and LibTorch looks for it only once in a process. A compiled model that
// has run on the CPU makes it look: call this before anything runs wherever a model may want a GPU.
absl::StatusOr<std::string> ResolveDevice(const std::string& asked);

// From here on LibTorch computes with `threads` intra-op threads on the calling thread. OpenMP's count
// belongs to the thread that calls, and a new thread's is the number of cores, so each thread that runs a
// model says so itself. Costs nothing when repeated.
void UseIntraOpThreads(int threads);

}  // namespace calserve

#endif  // CALSERVE_SERVER_MODEL_TORCH_DEVICE_H_
