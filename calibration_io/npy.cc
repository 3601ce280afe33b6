#include "calibration_io/npy.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"

namespace calserve {
namespace {

static_assert(std::endian::native == std::endian::little, "elements are copied as they lie in the file");

constexpr absl::string_view kMagic = "\x93NUMPY";
constexpr size_t kMaxHeader = 64 << 10;  // numpy itself refuses more than 10,000 bytes

struct Header {
  std::string descr;
  bool fortran_order = false;
  std::vector<int64_t> shape;
};

// The header is a Python dict literal: {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }. Each Take
// removes what it reads from the front of the text and is false (or nullopt) where something else stands
// there.
class HeaderText {
 public:
  explicit HeaderText(absl::string_view text) : rest_(text) {}

  bool Take(absl::string_view token) {
    rest_ = absl::StripLeadingAsciiWhitespace(rest_);
    return absl::ConsumePrefix(&rest_, token);
  }
  std::optional<std::string> TakeString() {
    rest_ = absl::StripLeadingAsciiWhitespace(rest_);
    if (rest_.empty() || (rest_[0] != '\'' && rest_[0] != '"')) return std::nullopt;
    const size_t end = rest_.find(rest_[0], 1);
    if (end == absl::string_view::npos) return std::nullopt;
    std::string value(rest_.substr(1, end - 1));
    rest_.remove_prefix(end + 1);
    return value;
  }
  std::optional<bool> TakeBool() {
    if (Take("True")) return true;
    if (Take("False")) return false;
    return std::nullopt;
  }
  std::optional<std::vector<int64_t>> TakeTuple() {
    if (!Take("(")) return std::nullopt;
    std::vector<int64_t> values;
    while (!Take(")")) {
      rest_ = absl::StripLeadingAsciiWhitespace(rest_);
      size_t digits = 0;
      while (digits < rest_.size() && absl::ascii_isdigit(rest_[digits])) ++digits;
      int64_t value;
      if (!absl::SimpleAtoi(rest_.substr(0, digits), &value)) return std::nullopt;
      rest_.remove_prefix(digits);
      values.push_back(value);
      if (!Take(",") && !absl::StartsWith(absl::StripLeadingAsciiWhitespace(rest_), ")")) return std::nullopt;
    }
    return values;
  }
  absl::string_view rest() const { return rest_; }

 private:
  absl::string_view rest_;
};

absl::StatusOr<Header> ParseHeader(absl::string_view literal, absl::string_view name) {
  const auto malformed = [&](absl::string_view what) {
    return absl::InvalidArgumentError(
        absl::StrCat(name, ": the .npy header ", what, "; write the file with numpy.save"));
  };
  HeaderText text(literal);
  if (!text.Take("{")) return malformed("is not a Python dict");
  std::optional<std::string> descr;
  std::optional<bool> fortran_order;
  std::optional<std::vector<int64_t>> shape;
  while (!text.Take("}")) {
    const std::optional<std::string> key = text.TakeString();
    if (!key.has_value() || !text.Take(":")) return malformed("is not a Python dict");
    if (*key == "descr") {
      if (!(descr = text.TakeString()))
        return malformed("has a structured dtype; a plain number type is needed");
    } else if (*key == "fortran_order") {
      if (!(fortran_order = text.TakeBool()))
        return malformed("has a fortran_order that is neither True nor False");
    } else if (*key == "shape") {
      if (!(shape = text.TakeTuple())) return malformed("has a shape that is no tuple of sizes");
    } else {
      return malformed(absl::StrCat("has an unknown key '", *key, "'"));
    }
    text.Take(",");
  }
  if (!descr || !fortran_order || !shape) return malformed("lacks descr, fortran_order or shape");
  if (!absl::StripAsciiWhitespace(text.rest()).empty()) return malformed("goes on after its dict");
  return Header{*std::move(descr), *fortran_order, *std::move(shape)};
}

// Splits off the header; what is left of *bytes are the elements.
absl::StatusOr<Header> TakeHeader(absl::string_view* bytes, absl::string_view name) {
  if (!absl::ConsumePrefix(bytes, kMagic)) {
    return absl::InvalidArgumentError(
        absl::StrCat(name, " is not a .npy file: it does not start with \\x93NUMPY"));
  }
  const auto truncated = [&] {
    return absl::InvalidArgumentError(absl::StrCat(name, ": the file ends within its .npy header"));
  };
  if (bytes->size() < 2) return truncated();
  const int major = static_cast<unsigned char>((*bytes)[0]);
  bytes->remove_prefix(2);
  if (major < 1 || major > 3) {
    return absl::InvalidArgumentError(
        absl::StrCat(name, ": .npy format version must be 1, 2 or 3; was ", major));
  }
  const size_t width = major == 1 ? 2 : 4;
  if (bytes->size() < width) return truncated();
  uint32_t length = 0;
  std::memcpy(&length, bytes->data(), width);
  bytes->remove_prefix(width);
  if (length > kMaxHeader) {
    return absl::InvalidArgumentError(
        absl::StrCat(name, ": the .npy header must have at most ", kMaxHeader, " bytes; says ", length));
  }
  if (bytes->size() < length) return truncated();
  absl::StatusOr<Header> header = ParseHeader(bytes->substr(0, length), name);
  bytes->remove_prefix(length);
  return header;
}

// Copies elements of type Stored to row-major `Value`s.
template <typename Stored, typename Value>
std::vector<Value> Elements(absl::string_view bytes, const Header& header) {
  const size_t count = bytes.size() / sizeof(Stored);
  const size_t columns = header.shape.size() == 2 ? static_cast<size_t>(header.shape[1]) : 1;
  const size_t rows = columns == 0 ? 0 : count / columns;
  std::vector<Value> values(count);
  for (size_t i = 0; i < count; ++i) {
    Stored element;
    std::memcpy(&element, bytes.data() + i * sizeof(Stored), sizeof(Stored));
    values[header.fortran_order ? i % rows * columns + i / rows : i] = static_cast<Value>(element);
  }
  return values;
}

// uint64 beyond int64 does not occur in class indices; it becomes the largest int64, which is no class
// either.
std::vector<int64_t> Uint64Elements(absl::string_view bytes, const Header& header) {
  std::vector<int64_t> values = Elements<uint64_t, int64_t>(bytes, header);
  for (int64_t& value : values) {
    if (value < 0) value = std::numeric_limits<int64_t>::max();
  }
  return values;
}

template <typename Stored, typename Value>
void Fill(absl::string_view bytes, const Header& header, NpyArray* array) {
  array->values = Elements<Stored, Value>(bytes, header);
}

struct ElementType {
  const char* code;  // kind and bytes, as in descr after the byte order
  size_t size;
  void (*fill)(absl::string_view bytes, const Header& header, NpyArray* array);
};
constexpr ElementType kElementTypes[] = {
    {"f4", 4, Fill<float, float>},
    {"f8", 8, Fill<double, double>},
    {"i1", 1, Fill<int8_t, int64_t>},
    {"i2", 2, Fill<int16_t, int64_t>},
    {"i4", 4, Fill<int32_t, int64_t>},
    {"i8", 8, Fill<int64_t, int64_t>},
    {"u1", 1, Fill<uint8_t, int64_t>},
    {"u2", 2, Fill<uint16_t, int64_t>},
    {"u4", 4, Fill<uint32_t, int64_t>},
    {"u8", 8,
     [](absl::string_view bytes, const Header& header, NpyArray* array) {
       array->values = Uint64Elements(bytes, header);
     }},
};

absl::StatusOr<const ElementType*> FindElementType(const std::string& descr, absl::string_view name) {
  const char order = descr.empty() ? '\0' : descr[0];
  for (const ElementType& type : kElementTypes) {
    if (descr.size() < 2 || descr.substr(1) != type.code) continue;
    if (order == '<' || order == '=' || (order == '|' && type.size == 1)) return &type;
    if (order == '>') {
      return absl::InvalidArgumentError(
          absl::StrCat(name, ": dtype ", descr, " is big-endian; save it as .astype('<", type.code, "')"));
    }
  }
  return absl::InvalidArgumentError(
      absl::StrCat(name, ": dtype must be float32, float64, int8 to int64 or uint8 to uint64; was ", descr));
}

// Whether the product of the sizes is `count`, without computing one that overflows.
bool HoldsExactly(const std::vector<int64_t>& shape, size_t count) {
  if (std::find(shape.begin(), shape.end(), 0) != shape.end()) return count == 0;
  for (const int64_t size : shape) {
    if (count % static_cast<size_t>(size) != 0) return false;
    count /= static_cast<size_t>(size);
  }
  return count == 1;
}

}  // namespace

absl::StatusOr<NpyArray> ParseNpy(absl::string_view bytes, absl::string_view name, size_t max_dimensions) {
  const absl::StatusOr<Header> header = TakeHeader(&bytes, name);
  if (!header.ok()) return header.status();
  const absl::StatusOr<const ElementType*> type = FindElementType(header->descr, name);
  if (!type.ok()) return type.status();
  const std::string shape = absl::StrCat("(", absl::StrJoin(header->shape, ", "), ")");
  const size_t dimensions = header->shape.size();
  if (dimensions < 1 || dimensions > max_dimensions) {
    const std::string needed =
        max_dimensions == 2 ? "shape (N) or (N, K)" : absl::StrCat("1 to ", max_dimensions, " dimensions");
    return absl::InvalidArgumentError(
        absl::StrCat(name, ": an array of ", needed, " is needed; has shape ", shape));
  }
  if (dimensions > 2 && header->fortran_order) {
    return absl::InvalidArgumentError(absl::StrCat(
        name, ": an array of shape ", shape, " must be in C order; save numpy.ascontiguousarray of it"));
  }
  const size_t count = bytes.size() / (*type)->size;
  if (bytes.size() % (*type)->size != 0 || !HoldsExactly(header->shape, count)) {
    return absl::InvalidArgumentError(
        absl::StrCat(name, ": shape ", shape, " of dtype ", header->descr, " does not fit the ", bytes.size(),
                     " bytes after the header; the file is truncated or damaged"));
  }
  NpyArray array{header->descr, header->shape, {}};
  (*type)->fill(bytes, *header, &array);
  return array;
}

}  // namespace calserve
