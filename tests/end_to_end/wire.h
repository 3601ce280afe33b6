#ifndef CALSERVE_TESTS_END_TO_END_WIRE_H_
#define CALSERVE_TESTS_END_TO_END_WIRE_H_

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

// Protobuf messages of a field or two, by hand: for health and reflection, whose stubs Debian does not ship.
namespace calserve::e2e::wire {

// A message with one string (or bytes, or message) field.
inline std::string StringField(int field, const std::string& value) {
  std::string message;
  google::protobuf::io::StringOutputStream stream(&message);
  google::protobuf::io::CodedOutputStream out(&stream);
  out.WriteTag(field << 3 | 2);
  out.WriteVarint32(static_cast<uint32_t>(value.size()));
  out.WriteString(value);
  out.Trim();
  return message;
}

// Calls `visit` with the number of every field, and with its integer or its bytes.
inline void ForEachField(const std::string& message,
                         const std::function<void(int, uint64_t, const std::string&)>& visit) {
  using google::protobuf::internal::WireFormatLite;
  google::protobuf::io::CodedInputStream in(reinterpret_cast<const uint8_t*>(message.data()),
                                            static_cast<int>(message.size()));
  while (const uint32_t tag = in.ReadTag()) {
    uint64_t integer = 0;
    std::string bytes;
    uint32_t size = 0;
    switch (tag & 7) {
      case 0:
        in.ReadVarint64(&integer);
        break;
      case 2:
        in.ReadVarint32(&size);
        in.ReadString(&bytes, static_cast<int>(size));
        break;
      default:
        WireFormatLite::SkipField(&in, tag);
    }
    visit(static_cast<int>(tag >> 3), integer, bytes);
  }
}

// The last integer of `field`; 0 where there is none.
inline uint64_t Varint(const std::string& message, int field) {
  uint64_t out = 0;
  ForEachField(message, [&](int number, uint64_t integer, const std::string&) {
    if (number == field) out = integer;
  });
  return out;
}

// Every string of `field`.
inline std::vector<std::string> Strings(const std::string& message, int field) {
  std::vector<std::string> out;
  ForEachField(message, [&](int number, uint64_t, const std::string& bytes) {
    if (number == field) out.push_back(bytes);
  });
  return out;
}

}  // namespace calserve::e2e::wire

#endif  // CALSERVE_TESTS_END_TO_END_WIRE_H_
