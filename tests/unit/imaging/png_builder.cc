#include "tests/unit/imaging/png_builder.h"

#include <zlib.h>

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace calserve {
namespace {

std::string BigEndian(uint32_t value) {
  return {static_cast<char>(value >> 24), static_cast<char>(value >> 16), static_cast<char>(value >> 8),
          static_cast<char>(value)};
}

uint32_t ReadBigEndian(absl::string_view bytes) {
  uint32_t value = 0;
  for (int i = 0; i < 4; ++i) value = value << 8 | static_cast<uint8_t>(bytes[i]);
  return value;
}

uint32_t Checksum(absl::string_view type_and_data) {
  return crc32(0, reinterpret_cast<const Bytef*>(type_and_data.data()), type_and_data.size());
}

// Deflates `block` again and again until `count` bytes are in.
std::string DeflateRepeated(absl::string_view block, int64_t count, int level) {
  z_stream stream{};
  deflateInit(&stream, level);
  std::string out;
  std::string buffer(1 << 16, '\0');
  while (true) {
    const int64_t now = std::min<int64_t>(count, block.size());
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(block.data()));
    stream.avail_in = now;
    count -= now;
    const int flush = count == 0 ? Z_FINISH : Z_NO_FLUSH;
    int rc;
    do {
      stream.next_out = reinterpret_cast<Bytef*>(buffer.data());
      stream.avail_out = buffer.size();
      rc = deflate(&stream, flush);
      out.append(buffer, 0, buffer.size() - stream.avail_out);
    } while (stream.avail_out == 0);
    if (rc == Z_STREAM_END) break;
  }
  deflateEnd(&stream);
  return out;
}

}  // namespace

std::string PngSignature() { return "\x89PNG\r\n\x1a\n"; }

std::string PngChunk(absl::string_view type, absl::string_view data) {
  const std::string body = absl::StrCat(type, data);
  return absl::StrCat(BigEndian(data.size()), body, BigEndian(Checksum(body)));
}

std::string PngHeader(uint32_t width, uint32_t height, int bit_depth, int color_type) {
  return PngChunk("IHDR", absl::StrCat(BigEndian(width), BigEndian(height),
                                       std::string{static_cast<char>(bit_depth),
                                                   static_cast<char>(color_type), 0, 0, 0}));
}

std::string DeflatedZeros(int64_t count, int level) {
  return DeflateRepeated(std::string(1 << 16, '\0'), count, level);
}

std::string Deflated(absl::string_view data, int level) { return DeflateRepeated(data, data.size(), level); }

std::string WithValidChecksums(std::string png) {
  size_t at = 8;
  while (at + 12 <= png.size()) {
    const size_t length = ReadBigEndian(absl::string_view(png).substr(at));
    if (length > png.size() - at - 12) break;
    png.replace(at + 8 + length, 4, BigEndian(Checksum(absl::string_view(png).substr(at + 4, 4 + length))));
    at += 12 + length;
  }
  return png;
}

}  // namespace calserve
