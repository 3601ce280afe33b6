#include "examples/fashion_mnist/images.h"

#include <spng.h>
#include <zlib.h>

#include <cstdlib>
#include <memory>

#include "absl/strings/str_cat.h"

namespace calserve::demo {
namespace {

constexpr int64_t kMaxElements = 100'000'000;

struct GzCloser {
  void operator()(gzFile_s* file) const { gzclose(file); }
};
struct SpngDeleter {
  void operator()(spng_ctx* context) const { spng_ctx_free(context); }
};
struct Free {
  void operator()(void* memory) const { std::free(memory); }
};

// A gzipped IDX file of unsigned bytes: 0, 0, 8, dimensions, then each size and the elements, big-endian.
struct Idx {
  std::vector<int64_t> sizes;
  std::string elements;
};

absl::StatusOr<Idx> ReadIdx(const std::string& path, int dimensions) {
  const std::unique_ptr<gzFile_s, GzCloser> file(gzopen(path.c_str(), "rb"));
  if (file == nullptr) {
    return absl::NotFoundError(absl::StrCat(
        "cannot open ", path, "; install dataset-fashion-mnist, or name its folder with --data"));
  }
  const auto read = [&](void* out, int64_t size) {
    return gzread(file.get(), out, static_cast<unsigned>(size)) == static_cast<int>(size);
  };
  const auto read_integer = [&](int64_t* out) {
    unsigned char bytes[4];
    if (!read(bytes, 4)) return false;
    *out = int64_t{bytes[0]} << 24 | bytes[1] << 16 | bytes[2] << 8 | bytes[3];
    return true;
  };
  int64_t magic = 0;
  if (!read_integer(&magic) || magic != 0x800 + dimensions) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, " is not an IDX file of ", dimensions, " dimensions"));
  }
  Idx out;
  int64_t count = 1;
  for (int i = 0; i < dimensions; ++i) {
    int64_t size = 0;
    if (!read_integer(&size) || size < 1 || size > kMaxElements / count) {
      return absl::InvalidArgumentError(absl::StrCat(path, ": bad size of dimension ", i, ": ", size));
    }
    out.sizes.push_back(size);
    count *= size;
  }
  out.elements.resize(static_cast<size_t>(count));
  if (!read(out.elements.data(), count))
    return absl::InvalidArgumentError(absl::StrCat(path, " is truncated"));
  return out;
}

absl::StatusOr<std::string> EncodePng(const char* pixels, uint32_t width, uint32_t height) {
  const std::unique_ptr<spng_ctx, SpngDeleter> context(spng_ctx_new(SPNG_CTX_ENCODER));
  if (context == nullptr) return absl::InternalError("spng_ctx_new failed");
  spng_ihdr header{};
  header.width = width;
  header.height = height;
  header.bit_depth = 8;
  header.color_type = SPNG_COLOR_TYPE_GRAYSCALE;
  int error = spng_set_option(context.get(), SPNG_ENCODE_TO_BUFFER, 1);
  if (error == 0) error = spng_set_ihdr(context.get(), &header);
  if (error == 0) {
    error =
        spng_encode_image(context.get(), pixels, size_t{width} * height, SPNG_FMT_PNG, SPNG_ENCODE_FINALIZE);
  }
  size_t size = 0;
  const std::unique_ptr<void, Free> png(error == 0 ? spng_get_png_buffer(context.get(), &size, &error)
                                                   : nullptr);
  if (png == nullptr) return absl::InternalError(absl::StrCat("cannot encode a PNG: ", spng_strerror(error)));
  return std::string(static_cast<const char*>(png.get()), size);
}

}  // namespace

absl::StatusOr<std::vector<LabelledPng>> ReadTestImages(const std::string& folder) {
  const absl::StatusOr<Idx> images = ReadIdx(absl::StrCat(folder, "/t10k-images-idx3-ubyte.gz"), 3);
  if (!images.ok()) return images.status();
  const absl::StatusOr<Idx> labels = ReadIdx(absl::StrCat(folder, "/t10k-labels-idx1-ubyte.gz"), 1);
  if (!labels.ok()) return labels.status();
  if (images->sizes[0] != labels->sizes[0]) {
    return absl::InvalidArgumentError(
        absl::StrCat(folder, ": as many labels as images are needed; there are ", labels->sizes[0],
                     " labels, ", images->sizes[0], " images"));
  }
  const int64_t height = images->sizes[1], width = images->sizes[2];
  std::vector<LabelledPng> out;
  for (int64_t i = 0; i < images->sizes[0]; ++i) {
    absl::StatusOr<std::string> png = EncodePng(images->elements.data() + i * height * width,
                                                static_cast<uint32_t>(width), static_cast<uint32_t>(height));
    if (!png.ok()) return png.status();
    out.push_back({*std::move(png), static_cast<unsigned char>(labels->elements[i])});
  }
  return out;
}

}  // namespace calserve::demo
