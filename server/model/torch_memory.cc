#include <ATen/DeviceAccelerator.h>
#include <c10/core/Device.h>

#include <exception>
#include <utility>

#include "server/model/device_memory.h"

namespace calserve {

std::optional<DeviceMemory> DeviceMemoryOf(const std::string& device) {
  // LibTorch's look for an accelerator is final: on the CPU alone it is not to be made here.
  if (device == "cpu") return std::nullopt;
  try {
    const c10::Device of(device);
    if (at::accelerator::getAccelerator() != of.type()) return std::nullopt;
    if (!at::getDeviceAllocator(of.type())->initialized()) return std::nullopt;
    constexpr auto kAll = static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE);
    const auto stats = at::accelerator::getDeviceStats(of.index());
    const auto [free, size] = at::accelerator::getMemoryInfo(of.index());
    return DeviceMemory{stats.allocated_bytes[kAll].current, stats.reserved_bytes[kAll].current,
                        static_cast<int64_t>(free), static_cast<int64_t>(size)};
  } catch (const std::exception&) {
    return std::nullopt;  // A name that is no device's, or a device that is lost.
  }
}

}  // namespace calserve
