#ifndef CALSERVE_SERVER_MODEL_DEVICE_MEMORY_H_
#define CALSERVE_SERVER_MODEL_DEVICE_MEMORY_H_

#include <cstdint>
#include <optional>
#include <string>

namespace calserve {

// Memory of one accelerator, in bytes.
struct DeviceMemory {
  int64_t allocated_bytes = 0;  // in use by this process's tensors
  int64_t reserved_bytes = 0;   // held by this process's allocator: allocated and kept for reuse
  int64_t free_bytes = 0;       // of the device, which other processes use too
  int64_t size_bytes = 0;       // of the device
};

// Of a device as Model::device() names it. nullopt for the CPU, whose memory is the process's, for a device
// that LibTorch has not opened, and for one that does not answer any more. Asks the driver, and waits for no
// batch. Thread-safe.
std::optional<DeviceMemory> DeviceMemoryOf(const std::string& device);

}  // namespace calserve

#endif  // CALSERVE_SERVER_MODEL_DEVICE_MEMORY_H_
