#include "tests/end_to_end/test_images.h"

#include <spng.h>
#include <turbojpeg.h>
#include <webp/encode.h>
#include <zlib.h>

#include <memory>
#include <stdexcept>

namespace calserve::e2e {
namespace {

constexpr int kPixels = kImageSide * kImageSide;
constexpr float kMean = 0.2860f, kStd = 0.3530f;  // of the demo's model.yaml

// The values of an IDX file without its header of `header` bytes.
std::vector<uint8_t> ReadIdx(const std::string& name, int header) {
  const std::string path = "/usr/share/datasets/fashion-mnist/" + name;
  const std::unique_ptr<gzFile_s, decltype(&gzclose)> file(gzopen(path.c_str(), "rb"), gzclose);
  if (file == nullptr) throw std::runtime_error(path + " is missing: install dataset-fashion-mnist");
  std::vector<uint8_t> bytes(64 << 20);
  const int size = gzread(file.get(), bytes.data(), bytes.size());
  if (size <= header) throw std::runtime_error(path + " is damaged");
  return {bytes.begin() + header, bytes.begin() + size};
}

void AppendBigEndian(uint32_t value, std::string* out) {
  for (int shift = 24; shift >= 0; shift -= 8) out->push_back(static_cast<char>(value >> shift));
}

void AppendChunk(const std::string& type, const std::string& data, std::string* png) {
  AppendBigEndian(data.size(), png);
  const std::string checked = type + data;
  *png += checked;
  AppendBigEndian(crc32(0, reinterpret_cast<const Bytef*>(checked.data()), checked.size()), png);
}

std::string DeflateZeros(uint64_t size) {
  z_stream stream = {};
  deflateInit(&stream, Z_BEST_COMPRESSION);
  std::vector<uint8_t> zeros(1 << 16), buffer(1 << 16);
  std::string out;
  do {
    stream.next_in = zeros.data();
    stream.avail_in = std::min<uint64_t>(size, zeros.size());
    size -= stream.avail_in;
    do {
      stream.next_out = buffer.data();
      stream.avail_out = buffer.size();
      deflate(&stream, size == 0 ? Z_FINISH : Z_NO_FLUSH);
      out.append(reinterpret_cast<char*>(buffer.data()), buffer.size() - stream.avail_out);
    } while (stream.avail_out == 0);
  } while (size > 0);
  deflateEnd(&stream);
  return out;
}

}  // namespace

const TestImages& TestImages::Get() {
  static const TestImages* const images = new TestImages();
  return *images;
}

TestImages::TestImages()
    : pixels_(ReadIdx("t10k-images-idx3-ubyte.gz", 16)), labels_(ReadIdx("t10k-labels-idx1-ubyte.gz", 8)) {}

std::string TestImages::Png(int index) const {
  const std::unique_ptr<spng_ctx, decltype(&spng_ctx_free)> encoder(spng_ctx_new(SPNG_CTX_ENCODER),
                                                                    spng_ctx_free);
  spng_ihdr header = {.width = kImageSide,
                      .height = kImageSide,
                      .bit_depth = 8,
                      .color_type = SPNG_COLOR_TYPE_GRAYSCALE,
                      .compression_method = 0,
                      .filter_method = 0,
                      .interlace_method = 0};
  spng_set_option(encoder.get(), SPNG_ENCODE_TO_BUFFER, 1);
  spng_set_ihdr(encoder.get(), &header);
  spng_encode_image(encoder.get(), pixels(index), kPixels, SPNG_FMT_PNG, SPNG_ENCODE_FINALIZE);
  size_t size = 0;
  int error = 0;
  const std::unique_ptr<void, decltype(&free)> png(spng_get_png_buffer(encoder.get(), &size, &error), free);
  if (png == nullptr) throw std::runtime_error(spng_strerror(error));
  return std::string(static_cast<const char*>(png.get()), size);
}

std::string TestImages::Jpeg(int index, int scale) const {
  const int side = kImageSide * scale;
  std::vector<uint8_t> enlarged;
  for (int y = 0; y < side; ++y) {
    for (int x = 0; x < side; ++x) {
      enlarged.push_back(pixels(index)[y / scale * kImageSide + x / scale]);
    }
  }
  const tjhandle encoder = tjInitCompress();
  unsigned char* bytes = nullptr;
  unsigned long size = 0;
  tjCompress2(encoder, enlarged.data(), side, 0, side, TJPF_GRAY, &bytes, &size, TJSAMP_GRAY, 95, 0);
  std::string jpeg(reinterpret_cast<const char*>(bytes), size);
  tjFree(bytes);
  tjDestroy(encoder);
  return jpeg;
}

std::string TestImages::WebP(int index) const {
  std::vector<uint8_t> rgb;
  for (int i = 0; i < kPixels; ++i) rgb.insert(rgb.end(), 3, pixels(index)[i]);
  uint8_t* bytes = nullptr;
  const size_t size = WebPEncodeLosslessRGB(rgb.data(), kImageSide, kImageSide, 3 * kImageSide, &bytes);
  std::string webp(reinterpret_cast<const char*>(bytes), size);
  WebPFree(bytes);
  return webp;
}

std::string TestImages::Tensor(int index) const {
  std::vector<float> values(kPixels);
  for (int i = 0; i < kPixels; ++i) values[i] = (pixels(index)[i] / 255.0f - kMean) / kStd;
  return std::string(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float));
}

std::string BlackPng(uint32_t side) {
  std::string png("\x89PNG\r\n\x1a\n", 8);
  std::string header;
  AppendBigEndian(side, &header);
  AppendBigEndian(side, &header);
  header += std::string("\x01\x00\x00\x00\x00", 5);  // one bit, grey, no interlace
  AppendChunk("IHDR", header, &png);
  AppendChunk("IDAT", DeflateZeros(uint64_t{side} * (1 + (side + 7) / 8)), &png);
  AppendChunk("IEND", "", &png);
  return png;
}

}  // namespace calserve::e2e
