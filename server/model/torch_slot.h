#ifndef CALSERVE_SERVER_MODEL_TORCH_SLOT_H_
#define CALSERVE_SERVER_MODEL_TORCH_SLOT_H_

#include <ATen/Tensor.h>
#include <c10/core/Device.h>
#include <c10/core/Event.h>
#include <c10/core/ScalarType.h>
#include <c10/core/Stream.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"

namespace calserve {

// The two streams of an instance: one batch is copied to the device on `copy` while the one before computes
// on `compute`. The CPU's do nothing. Those of instances that are gone are given again: LibTorch has 32 of a
// device and gives them in turn, so that after so many two instances would share one.
class DeviceStreams final {
 public:
  explicit DeviceStreams(c10::Device device);
  const c10::Stream& copy() const { return *copy_; }
  const c10::Stream& compute() const { return *compute_; }

 private:
  std::shared_ptr<const c10::Stream> copy_, compute_;
};

// One batch on its way through a device: its rows on the host (pinned), on the device, its logits on the host
// (pinned). The events order the streams; on the CPU, which has none, everything is done where it is called.
// Written against LibTorch's generic accelerator interface. Every method throws what LibTorch throws.
class DeviceSlot final {
 public:
  // `shape` with the largest number of rows. The device computes in `dtype`.
  DeviceSlot(c10::Device device, c10::ScalarType dtype, const std::vector<int64_t>& shape);

  absl::Span<float> staging();

  // The first `rows` rows, of which those from `used` on are filled with zeros, for the program to compute
  // on. The compute stream waits for the copy.
  at::Tensor Upload(const DeviceStreams& streams, int rows, int used);
  // Begins to bring the program's output back, on the compute stream.
  void Download(const DeviceStreams& streams, const at::Tensor& output);
  // Waits for it and writes the first logits.size() values.
  void Await(absl::Span<float> logits);

 private:
  const c10::Device device_;
  const c10::ScalarType dtype_;
  at::Tensor host_rows_, device_rows_;
  at::Tensor logits_;  // on the host, as the last Download left them
  std::optional<c10::Event> copied_, done_;
};

// What a failed forward pass means for those after it: INTERNAL, or, where `answers` throws too, UNAVAILABLE
// with the reason kDeviceLost. On a GPU an error such as an illegal access stays with the process: every
// later call fails with it.
absl::Status FailedPass(const std::string& what, const std::string& device,
                        const std::function<void()>& answers);

// Waits for all that the device was given. Throws if the device does not answer; takes no memory there, so
// that want of it is not taken for that.
void AskDevice(c10::Device device);

}  // namespace calserve

#endif  // CALSERVE_SERVER_MODEL_TORCH_SLOT_H_
