#include "server/feedback/ticket_codec.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <limits>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "server/base/status_macros.h"

namespace calserve {
namespace {

static_assert(std::endian::native == std::endian::little, "tickets are written in the machine's byte order");

constexpr uint8_t kVersion = 1;

bool IsPackableHex(absl::string_view text) {
  return !text.empty() && text.size() % 2 == 0 && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
  });
}

class Writer {
 public:
  explicit Writer(size_t expected) { out_.reserve(expected); }

  template <typename T>
  void Fixed(T value) {
    Bytes(&value, sizeof(value));
  }
  void Bytes(const void* data, size_t size) { out_.append(static_cast<const char*>(data), size); }
  void Varint(uint64_t value) {
    for (; value >= 0x80; value >>= 7) out_.push_back(static_cast<char>(value | 0x80));
    out_.push_back(static_cast<char>(value));
  }
  void Text(absl::string_view text) {
    Varint(text.size());
    Bytes(text.data(), text.size());
  }
  void Digest(absl::string_view digest) {
    const bool packed = IsPackableHex(digest);
    const size_t size = packed ? digest.size() / 2 : digest.size();
    Varint(2 * size + packed);
    if (!packed) return Bytes(digest.data(), size);
    for (size_t i = 0; i < size; ++i) {
      out_.push_back(static_cast<char>(Nibble(digest[2 * i]) << 4 | Nibble(digest[2 * i + 1])));
    }
  }
  std::string Take() { return std::move(out_); }

 private:
  static int Nibble(char c) { return c <= '9' ? c - '0' : c - 'a' + 10; }

  std::string out_;
};

class Reader {
 public:
  explicit Reader(absl::string_view in) : in_(in) {}

  template <typename T>
  absl::Status Fixed(T& value) {
    return Bytes(&value, sizeof(value));
  }
  absl::Status Bytes(void* out, size_t size) {
    ASSIGN_OR_RETURN(const absl::string_view bytes, Take(size));
    if (size > 0) std::memcpy(out, bytes.data(), size);
    return absl::OkStatus();
  }
  // Into an integer type; a value that it cannot hold is an error.
  template <typename T>
  absl::Status Varint(T& value) {
    uint64_t result = 0;
    for (int shift = 0;; shift += 7) {
      ASSIGN_OR_RETURN(const absl::string_view byte, Take(1));
      const uint64_t bits = static_cast<uint8_t>(byte[0]) & 0x7f;
      if (shift == 63 && bits > 1) return absl::InvalidArgumentError("an integer of more than 64 bits");
      result |= bits << shift;
      if (static_cast<uint8_t>(byte[0]) < 0x80) {
        if (bits == 0 && shift > 0)
          return absl::InvalidArgumentError("an integer longer than it needs to be");
        break;
      }
      if (shift == 63) return absl::InvalidArgumentError("an integer of more than 64 bits");
    }
    if (result > static_cast<uint64_t>(std::numeric_limits<T>::max())) {
      return absl::InvalidArgumentError(absl::StrCat("the integer ", result, " is too large for its field"));
    }
    value = static_cast<T>(result);
    return absl::OkStatus();
  }
  absl::Status Text(std::string& text) {
    size_t size = 0;
    RETURN_IF_ERROR(Varint(size));
    ASSIGN_OR_RETURN(const absl::string_view bytes, Take(size));
    text.assign(bytes.data(), bytes.size());
    return absl::OkStatus();
  }
  absl::Status Digest(std::string& digest) {
    size_t header = 0;
    RETURN_IF_ERROR(Varint(header));
    ASSIGN_OR_RETURN(const absl::string_view bytes, Take(header / 2));
    const bool packed = header % 2 == 1;
    if (packed ? bytes.empty() : IsPackableHex(bytes)) {
      return absl::InvalidArgumentError("a digest that is not in its shortest form");
    }
    digest = packed ? absl::BytesToHexString(bytes) : std::string(bytes.data(), bytes.size());
    return absl::OkStatus();
  }
  absl::Status End() const {
    if (in_.empty()) return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrCat(in_.size(), " bytes after the end"));
  }
  size_t left() const { return in_.size(); }

 private:
  absl::StatusOr<absl::string_view> Take(size_t size) {
    if (size > in_.size()) {
      return absl::InvalidArgumentError(
          absl::StrCat("cut short: ", size, " bytes wanted, ", in_.size(), " left"));
    }
    const absl::string_view bytes = in_.substr(0, size);
    in_.remove_prefix(size);
    return bytes;
  }

  absl::string_view in_;
};

void WriteAttributes(const Attributes& attributes, Writer& writer) {
  writer.Varint(attributes.size());
  for (const auto& [key, value] : attributes) {
    writer.Text(key);
    writer.Text(value);
  }
}

absl::Status ReadAttributes(Reader& reader, Attributes& attributes) {
  size_t count = 0;
  RETURN_IF_ERROR(reader.Varint(count));
  if (count > reader.left() / 2) return absl::InvalidArgumentError("more attributes than bytes");
  attributes.resize(count);
  for (auto& [key, value] : attributes) {
    RETURN_IF_ERROR(reader.Text(key));
    RETURN_IF_ERROR(reader.Text(value));
  }
  return absl::OkStatus();
}

absl::Status ReadLogits(Reader& reader, int32_t classes, std::vector<uint16_t>& logits) {
  size_t count = 0;
  RETURN_IF_ERROR(reader.Varint(count));
  if (count != 0 && count != static_cast<size_t>(classes)) {
    return absl::InvalidArgumentError(absl::StrCat(count, " logits for ", classes, " classes"));
  }
  if (count > reader.left() / sizeof(uint16_t)) return absl::InvalidArgumentError("more logits than bytes");
  logits.resize(count);
  return reader.Bytes(logits.data(), count * sizeof(uint16_t));
}

}  // namespace

std::string EncodeTicketContent(const TicketContent& content, bool include_logits) {
  const size_t logits = include_logits ? content.logits_fp16.size() : 0;
  Writer writer(192 + content.model.size() + logits * sizeof(uint16_t) + content.attributes.size() * 96);
  writer.Fixed(kVersion);
  writer.Bytes(content.prediction_id.bytes.data(), content.prediction_id.bytes.size());
  writer.Fixed(absl::ToUnixMicros(content.issued_at));
  writer.Fixed(content.confidence);
  writer.Fixed(content.uncalibrated_confidence);
  writer.Fixed(content.max_logit);
  writer.Varint(static_cast<uint64_t>(content.model_version));
  writer.Varint(static_cast<uint64_t>(content.calibrator_version));
  writer.Varint(static_cast<uint32_t>(content.predicted_class));
  writer.Varint(static_cast<uint32_t>(content.uncalibrated_class));
  writer.Varint(static_cast<uint32_t>(content.classes));
  writer.Text(content.model);
  writer.Digest(content.model_digest);
  writer.Digest(content.calibrator_digest);
  writer.Varint(logits);
  writer.Bytes(content.logits_fp16.data(), logits * sizeof(uint16_t));
  WriteAttributes(content.attributes, writer);
  return writer.Take();
}

absl::StatusOr<TicketContent> DecodeTicketContent(absl::string_view bytes) {
  Reader reader(bytes);
  TicketContent content;
  uint8_t version = 0;
  int64_t issued_at = 0;
  RETURN_IF_ERROR(reader.Fixed(version));
  if (version != kVersion) {
    return absl::InvalidArgumentError(
        absl::StrCat("version ", version, " of the content; this server reads version ", kVersion));
  }
  RETURN_IF_ERROR(reader.Bytes(content.prediction_id.bytes.data(), content.prediction_id.bytes.size()));
  RETURN_IF_ERROR(reader.Fixed(issued_at));
  content.issued_at = absl::FromUnixMicros(issued_at);
  RETURN_IF_ERROR(reader.Fixed(content.confidence));
  RETURN_IF_ERROR(reader.Fixed(content.uncalibrated_confidence));
  RETURN_IF_ERROR(reader.Fixed(content.max_logit));
  RETURN_IF_ERROR(reader.Varint(content.model_version));
  RETURN_IF_ERROR(reader.Varint(content.calibrator_version));
  RETURN_IF_ERROR(reader.Varint(content.predicted_class));
  RETURN_IF_ERROR(reader.Varint(content.uncalibrated_class));
  RETURN_IF_ERROR(reader.Varint(content.classes));
  RETURN_IF_ERROR(reader.Text(content.model));
  RETURN_IF_ERROR(reader.Digest(content.model_digest));
  RETURN_IF_ERROR(reader.Digest(content.calibrator_digest));
  RETURN_IF_ERROR(ReadLogits(reader, content.classes, content.logits_fp16));
  RETURN_IF_ERROR(ReadAttributes(reader, content.attributes));
  RETURN_IF_ERROR(reader.End());
  return content;
}

std::string EncodeAttributes(const Attributes& attributes) {
  Writer writer(attributes.size() * 96);
  WriteAttributes(attributes, writer);
  return writer.Take();
}

absl::StatusOr<Attributes> DecodeAttributes(absl::string_view bytes) {
  Reader reader(bytes);
  Attributes attributes;
  RETURN_IF_ERROR(ReadAttributes(reader, attributes));
  RETURN_IF_ERROR(reader.End());
  return attributes;
}

}  // namespace calserve
