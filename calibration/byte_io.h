#ifndef CALSERVE_CALIBRATION_BYTE_IO_H_
#define CALSERVE_CALIBRATION_BYTE_IO_H_

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "absl/strings/string_view.h"
#include "calibration/stable_hash.h"

namespace calserve {

// Little-endian fields, one after another.
class ByteWriter {
 public:
  void U32(uint32_t value) { Put(value, 4); }
  void I64(int64_t value) { Put(static_cast<uint64_t>(value), 8); }
  void U64(uint64_t value) { Put(value, 8); }
  void F32(float value) { U32(std::bit_cast<uint32_t>(value)); }
  void F64(double value) { U64(std::bit_cast<uint64_t>(value)); }
  void Bytes(absl::string_view bytes) {
    U32(static_cast<uint32_t>(bytes.size()));
    Append(bytes);
  }
  void Append(absl::string_view bytes) { bytes_.append(bytes.data(), bytes.size()); }  // without their number

  void Reserve(size_t size) { bytes_.reserve(size); }
  absl::string_view bytes() const { return bytes_; }
  std::string Take() && { return std::move(bytes_); }

 private:
  void Put(uint64_t value, int size) {
    char bytes[8];
    for (int i = 0; i < 8; ++i) bytes[i] = static_cast<char>(value >> (8 * i));
    bytes_.append(bytes, static_cast<size_t>(size));
  }
  std::string bytes_;
};

// Reads them back. What lies beyond the end reads as 0 and clears ok().
class ByteReader {
 public:
  explicit ByteReader(absl::string_view bytes) : bytes_(bytes) {}

  uint32_t U32() { return static_cast<uint32_t>(Get(4)); }
  uint64_t U64() { return Get(8); }
  int64_t I64() { return static_cast<int64_t>(Get(8)); }
  float F32() { return std::bit_cast<float>(U32()); }
  double F64() { return std::bit_cast<double>(U64()); }
  absl::string_view Bytes() {
    const size_t size = U32();
    if (size > bytes_.size()) {
      ok_ = false;
      return {};
    }
    const absl::string_view result = bytes_.substr(0, size);
    bytes_.remove_prefix(size);
    return result;
  }

  bool ok() const { return ok_; }
  size_t left() const { return bytes_.size(); }

 private:
  uint64_t Get(size_t size) {
    if (size > bytes_.size()) {
      ok_ = false;
      return 0;
    }
    uint64_t value = 0;
    for (size_t i = 0; i < size; ++i) value |= uint64_t{static_cast<unsigned char>(bytes_[i])} << (8 * i);
    bytes_.remove_prefix(size);
    return value;
  }

  absl::string_view bytes_;
  bool ok_ = true;
};

// A hash of bytes and their number.
inline uint64_t Checksum(absl::string_view bytes) {
  StableHash hash;
  hash.Add(bytes.size());
  ByteReader reader(bytes);
  while (reader.left() >= 8) hash.Add(reader.U64());
  uint64_t rest = 0;
  for (const char byte : bytes.substr(bytes.size() - reader.left()))
    rest = rest << 8 | static_cast<unsigned char>(byte);
  hash.Add(rest);
  return hash.value();
}

}  // namespace calserve

#endif  // CALSERVE_CALIBRATION_BYTE_IO_H_
