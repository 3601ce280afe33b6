#include "server/model/torch_device.h"

#include <ATen/Context.h>
#include <ATen/DeviceAccelerator.h>
#include <ATen/Functions.h>
#include <ATen/Parallel.h>
#include <dlfcn.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <set>
#include <thread>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "server/base/mutex.h"
#include "server/base/status_macros.h"
#include "server/model/model.h"
#include "server/model/torch_program.h"

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
  // Else convolutions keep 10 bits of their operands: TF32 is on for those by default. bf16 and fp16 are
  // there for who wants less.
  at::globalContext().setAllowTF32CuDNN(false);
  at::globalContext().setAllowTF32CuBLAS(false);
  return devices;
}

const absl::StatusOr<int>& CudaDevices() {
  static const auto* const devices = new absl::StatusOr<int>(OpenCuda());
  return *devices;
}

// Whether LibTorch can compute there: a GPU that is older than its kernels, or somebody else's alone, counts
// as a device too.
absl::Status Compute(int index) try {
  const c10::Device device(c10::DeviceType::CUDA, static_cast<c10::DeviceIndex>(index));
  const float two = at::ones({1}, at::TensorOptions().device(device)).add(1).item<float>();
  return two == 2 ? absl::OkStatus() : absl::InternalError(absl::StrCat("it makes ", two, " of 1 + 1"));
} catch (const std::exception& e) {
  return absl::FailedPreconditionError(CauseOf(e));
}

// The same, asked until it can: one that is another process's now may be free later.
absl::Status CanCompute(int index) {
  static Mutex* const mu = new Mutex;
  static auto* const can = new std::set<int>;
  {
    MutexLock lock(mu);
    if (can->contains(index)) return absl::OkStatus();
  }
  RETURN_IF_ERROR(Compute(index));
  MutexLock lock(mu);
  can->insert(index);
  return absl::OkStatus();
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
  if (const absl::Status computes = CanCompute(index); !computes.ok()) {
    return absl::FailedPreconditionError(
        absl::StrCat("device ", asked, " cannot be computed on: ", computes.message()));
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
