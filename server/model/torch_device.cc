#include "server/model/torch_device.h"

#include <ATen/DeviceAccelerator.h>
#include <ATen/Parallel.h>
#include <dlfcn.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "server/base/mutex.h"
#include "server/base/status_macros.h"
#include "server/model/model.h"

namespace calserve {
namespace {

std::atomic<int> default_intra_op_threads{
    static_cast<int>(std::max(1u, std::thread::hardware_concurrency()))};

absl::Status OpenLibrary(const char* name, int flags) {
  if (dlopen(name, flags) != nullptr) return absl::OkStatus();
  return absl::FailedPreconditionError(dlerror());
}

// How many CUDA devices there are, at least one; or why there is none. The driver is tried first: it is
// small, and LibTorch's CUDA half with all that it needs takes seconds and gigabytes to open.
absl::StatusOr<int> OpenCuda() {
  RETURN_IF_ERROR(OpenLibrary("libcuda.so.1", RTLD_LAZY | RTLD_LOCAL));
  RETURN_IF_ERROR(OpenLibrary("libtorch_cuda.so", RTLD_NOW | RTLD_GLOBAL));
  if (at::accelerator::getAccelerator() != c10::DeviceType::CUDA) {
    return absl::FailedPreconditionError(
        "LibTorch had looked for CUDA before it was opened; restart the server with the device configured");
  }
  const int devices = at::accelerator::deviceCount();
  if (devices == 0) return absl::FailedPreconditionError("the driver reports no device");
  return devices;
}

const absl::StatusOr<int>& CudaDevices() {
  static const auto* const devices = new absl::StatusOr<int>(OpenCuda());
  return *devices;
}

// The number of "cuda:N", 0 for "cuda", -1 for anything else.
int CudaIndex(absl::string_view asked) {
  int index = 0;
  if (asked == "cuda") return 0;
  if (!absl::ConsumePrefix(&asked, "cuda:") || !absl::SimpleAtoi(asked, &index)) return -1;
  return index;
}

}  // namespace

absl::StatusOr<std::string> ResolveDevice(const std::string& asked) {
  if (asked == "cpu") return asked;
  const int index = CudaIndex(asked);
  if (index < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("device must be cpu, cuda, cuda:N or auto; was \"", asked, "\""));
  }
  const absl::StatusOr<int>& devices = CudaDevices();
  if (!devices.ok()) {
    return absl::FailedPreconditionError(
        absl::StrCat("device ", asked, " is not there: ", devices.status().message()));
  }
  if (index >= *devices) {
    return absl::FailedPreconditionError(absl::StrCat("device \"", asked,
                                                      "\" is not there: this machine has ", *devices,
                                                      ", cuda:0 to cuda:", *devices - 1));
  }
  return absl::StrCat("cuda:", index);
}

void SetIntraOpThreads(int threads) { default_intra_op_threads = threads; }

int EffectiveIntraOpThreads(const ModelOptions& options) {
  return options.intra_op_threads > 0 ? options.intra_op_threads
                                      : default_intra_op_threads.load(std::memory_order_relaxed);
}

void UseIntraOpThreads(int threads) {
  thread_local int in_use = 0;
  if (threads == in_use) return;
  static Mutex* const one_at_a_time = new Mutex;  // It also changes what belongs to the process.
  MutexLock lock(one_at_a_time);
  at::set_num_threads(threads);
  in_use = threads;
}

}  // namespace calserve
