#include "server/monitoring/fold_codec.h"

#include <cstddef>
#include <utility>

#include "server/base/status_macros.h"

namespace calserve {
namespace {

constexpr size_t kIntegerBytes = 8;

// FNV-1a, 64 bits, over words of 8 bytes and then the bytes that are left: states are tens of megabytes.
uint64_t Checksum(absl::string_view bytes) {
  constexpr uint64_t kPrime = 0x100000001b3;
  uint64_t hash = 0xcbf29ce484222325;
  while (bytes.size() >= kIntegerBytes) {
    uint64_t word = 0;
    for (size_t i = 0; i < kIntegerBytes; ++i) word |= uint64_t{static_cast<uint8_t>(bytes[i])} << (8 * i);
    hash = (hash ^ word) * kPrime;
    hash ^= hash >> 32;
    bytes.remove_prefix(kIntegerBytes);
  }
  for (const char byte : bytes) hash = (hash ^ static_cast<uint8_t>(byte)) * kPrime;
  return hash;
}

int64_t Decode(absl::string_view bytes) {
  uint64_t value = 0;
  for (size_t i = 0; i < kIntegerBytes; ++i) value |= uint64_t{static_cast<uint8_t>(bytes[i])} << (8 * i);
  return static_cast<int64_t>(value);
}

absl::Status Damaged() { return absl::DataLossError("the checkpoint is damaged"); }

}  // namespace

void FoldWriter::Integer(int64_t value) {
  for (size_t i = 0; i < kIntegerBytes; ++i) {
    bytes_.push_back(static_cast<char>(static_cast<uint64_t>(value) >> (8 * i)));
  }
}

void FoldWriter::Text(absl::string_view text) {
  Integer(static_cast<int64_t>(text.size()));
  bytes_.append(text.data(), text.size());
}

void FoldWriter::Key(const MonitorKey& key) {
  Text(key.model);
  Integer(key.model_version);
  Integer(key.calibrator_version);
  Text(key.slice.key);
  Text(key.slice.value);
}

std::string FoldWriter::Finish() && {
  Integer(static_cast<int64_t>(Checksum(bytes_)));
  return std::move(bytes_);
}

FoldReader::FoldReader(absl::string_view bytes) {
  if (bytes.size() < kIntegerBytes) return;
  rest_ = bytes.substr(0, bytes.size() - kIntegerBytes);
  sound_ = static_cast<uint64_t>(Decode(bytes.substr(rest_.size()))) == Checksum(rest_);
}

absl::StatusOr<int64_t> FoldReader::Integer() {
  if (!sound_ || rest_.size() < kIntegerBytes) return Damaged();
  const int64_t value = Decode(rest_);
  rest_.remove_prefix(kIntegerBytes);
  return value;
}

absl::StatusOr<absl::string_view> FoldReader::Text() {
  ASSIGN_OR_RETURN(const int64_t size, Integer());
  if (size < 0 || static_cast<uint64_t>(size) > rest_.size()) return Damaged();
  const absl::string_view text = rest_.substr(0, static_cast<size_t>(size));
  rest_.remove_prefix(text.size());
  return text;
}

absl::StatusOr<MonitorKey> FoldReader::Key() {
  MonitorKey key;
  ASSIGN_OR_RETURN(const absl::string_view model, Text());
  key.model = std::string(model);
  ASSIGN_OR_RETURN(key.model_version, Integer());
  ASSIGN_OR_RETURN(key.calibrator_version, Integer());
  ASSIGN_OR_RETURN(const absl::string_view slice_key, Text());
  key.slice.key = std::string(slice_key);
  ASSIGN_OR_RETURN(const absl::string_view slice_value, Text());
  key.slice.value = std::string(slice_value);
  return key;
}

absl::Status FoldReader::Finish() const { return sound_ && rest_.empty() ? absl::OkStatus() : Damaged(); }

}  // namespace calserve
