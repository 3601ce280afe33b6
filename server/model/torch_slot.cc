#include "server/model/torch_slot.h"

#include <ATen/DeviceAccelerator.h>
#include <ATen/Functions.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <algorithm>
#include <exception>

#include "absl/algorithm/container.h"
#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "server/base/error_info.h"
#include "server/base/monotonic_clock.h"
#include "server/base/mutex.h"
#include "server/model/model.h"
#include "server/model/torch_program.h"

namespace calserve {
namespace {

// Streams that nothing uses any more, of all devices.
class FreeStreams {
 public:
  std::optional<c10::Stream> Take(c10::Device device) {
    MutexLock lock(&mu_);
    const auto found = absl::c_find_if(free_, [&](const c10::Stream& s) { return s.device() == device; });
    if (found == free_.end()) return std::nullopt;
    const c10::Stream stream = *found;
    free_.erase(found);
    return stream;
  }
  void Return(c10::Stream stream) {
    MutexLock lock(&mu_);
    free_.push_back(stream);
  }

 private:
  Mutex mu_;
  std::vector<c10::Stream> free_ ABSL_GUARDED_BY(mu_);
};

std::shared_ptr<const c10::Stream> TakeStream(c10::Device device) {
  static FreeStreams* const free = new FreeStreams;
  std::optional<c10::Stream> stream = free->Take(device);
  if (!stream.has_value()) stream = c10::impl::VirtualGuardImpl(device.type()).getNewStream(device);
  return {new c10::Stream(*stream), [](const c10::Stream* gone) {
            free->Return(*gone);
            delete gone;
          }};
}

// Event::synchronize would take a core for as long as the device computes: the interface makes CUDA's events
// without cudaEventBlockingSync. Throws if the device has failed.
void AwaitEvent(const c10::Event& event) {
  constexpr absl::Duration kSpin = absl::Microseconds(50), kSleep = absl::Microseconds(50);
  const MonotonicClock& clock = MonotonicClock::System();
  for (const absl::Time spin_until = clock.Now() + kSpin; !event.query();) {
    if (clock.Now() > spin_until) absl::SleepFor(kSleep);
  }
}

}  // namespace

DeviceStreams::DeviceStreams(c10::Device device) : copy_(TakeStream(device)), compute_(TakeStream(device)) {}

DeviceSlot::DeviceSlot(c10::Device device, c10::ScalarType dtype, const std::vector<int64_t>& shape)
    : device_(device), dtype_(dtype) {
  const bool on_host = device.is_cpu();
  host_rows_ = at::zeros(shape, at::TensorOptions().dtype(at::kFloat).pinned_memory(!on_host));
  if (on_host) return;
  device_rows_ = at::empty(shape, at::TensorOptions().dtype(at::kFloat).device(device));
  copied_.emplace(device.type());
  done_.emplace(device.type());
}

absl::Span<float> DeviceSlot::staging() {
  return {host_rows_.data_ptr<float>(), static_cast<size_t>(host_rows_.numel())};
}

at::Tensor DeviceSlot::Upload(const DeviceStreams& streams, int rows, int used) {
  const absl::Span<float> all = staging();
  const size_t row = all.size() / static_cast<size_t>(host_rows_.size(0));
  std::fill(all.begin() + used * row, all.begin() + rows * row, 0.0f);
  const at::Tensor on_host = host_rows_.narrow(0, 0, rows);
  if (device_.is_cpu()) return on_host.to(dtype_);
  const at::Tensor on_device = device_rows_.narrow(0, 0, rows);
  {
    const c10::StreamGuard copying(streams.copy());
    on_device.copy_(on_host, /*non_blocking=*/true);
    copied_->record(streams.copy());
  }
  const c10::StreamGuard computing(streams.compute());
  copied_->block(streams.compute());
  return on_device.to(dtype_);
}

void DeviceSlot::Download(const DeviceStreams& streams, const at::Tensor& output) {
  if (device_.is_cpu()) {
    logits_ = output.to(at::kFloat).contiguous();
    return;
  }
  const c10::StreamGuard computing(streams.compute());
  if (logits_.defined() && logits_.size(0) < output.size(0)) logits_.reset();
  if (!logits_.defined()) {
    logits_ = at::empty({host_rows_.size(0), output.size(1)},
                        at::TensorOptions().dtype(at::kFloat).pinned_memory(true));
  }
  logits_.narrow(0, 0, output.size(0)).copy_(output.to(at::kFloat), /*non_blocking=*/true);
  done_->record(streams.compute());
}

void DeviceSlot::Await(absl::Span<float> logits) {
  if (done_.has_value()) AwaitEvent(*done_);
  std::copy_n(logits_.const_data_ptr<float>(), logits.size(), logits.begin());
}

absl::Status FailedPass(const std::string& what, const std::string& device,
                        const std::function<void()>& answers) {
  try {
    answers();
  } catch (const std::exception& e) {
    return WithReason(
        absl::UnavailableError(absl::StrCat("the device ", device, " does not answer any more: ", what,
                                            "; then: ", CauseOf(e), "; retry on another server")),
        kDeviceLost);
  }
  return absl::InternalError(what);
}

void AskDevice(c10::Device device) {
  if (!device.is_cpu()) at::accelerator::synchronizeDevice(device.index());
}

}  // namespace calserve
