// Encoded bytes to model input: a 28×28 grey PNG as Fashion-MNIST is sent, and a 640×427 photograph to
// 224×224.
#include <benchmark/benchmark.h>
#include <turbojpeg.h>

#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "server/imaging/decoder.h"
#include "server/imaging/preprocessor.h"

namespace calserve {
namespace {

std::string ImageFile(const std::string& name) {
  std::ifstream file(CALSERVE_SOURCE_DIR "/tests/fixtures/imaging/images/" + name, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

// The committed crop of a photograph, tiled to 640×427 and encoded with 4:2:0 chroma at quality 85 (about 95
// kB).
std::string Photograph() {
  constexpr int kWidth = 640, kHeight = 427;
  const Image crop = *Decode(ImageFile("china.jpg"), Color::kRgb, DecodeLimits());
  std::vector<uint8_t> pixels;
  for (int y = 0; y < kHeight; ++y) {
    for (int x = 0; x < kWidth; ++x) {
      const uint8_t* pixel = &crop.pixels[(y % crop.height * crop.width + x % crop.width) * 3];
      pixels.insert(pixels.end(), pixel, pixel + 3);
    }
  }
  tjhandle handle = tjInitCompress();
  unsigned char* out = nullptr;
  unsigned long size = 0;
  tjCompress2(handle, pixels.data(), kWidth, 0, kHeight, TJPF_RGB, &out, &size, TJSAMP_420, 85, 0);
  std::string jpeg(reinterpret_cast<char*>(out), size);
  tjFree(out);
  tjDestroy(handle);
  return jpeg;
}

void Preprocess(benchmark::State& state, const std::string& encoded, const ImageInputSpec& spec) {
  const Preprocessor preprocessor = *Preprocessor::Create(spec, DecodeLimits());
  std::vector<float> input(preprocessor.output_size());
  for (auto _ : state) {
    if (const absl::Status status = preprocessor.Run(encoded, absl::MakeSpan(input)); !status.ok()) {
      state.SkipWithError(status.ToString().c_str());
    }
    benchmark::DoNotOptimize(input.data());
  }
  state.SetItemsProcessed(state.iterations());
  state.counters["encoded_bytes"] = encoded.size();
}

void BM_GreyPng28(benchmark::State& state) {
  ImageInputSpec spec;
  spec.height = spec.width = 28;
  spec.color = Color::kGrey;
  Preprocess(state, ImageFile("grey_28x28.png"), spec);
}
BENCHMARK(BM_GreyPng28);

void BM_Photograph(benchmark::State& state, Transform transform) {
  ImageInputSpec spec;
  spec.height = spec.width = 224;
  spec.transform = transform;
  spec.resize_shorter = 256;
  spec.mean = {0.485f, 0.456f, 0.406f};
  spec.std = {0.229f, 0.224f, 0.225f};
  Preprocess(state, Photograph(), spec);
}
BENCHMARK_CAPTURE(BM_Photograph, torchvision, Transform::kTorchvision);
BENCHMARK_CAPTURE(BM_Photograph, opencv, Transform::kOpenCv);

void BM_DecodePhotograph(benchmark::State& state) {
  const std::string encoded = Photograph();
  for (auto _ : state) benchmark::DoNotOptimize(Decode(encoded, Color::kRgb, DecodeLimits()));
}
BENCHMARK(BM_DecodePhotograph);

}  // namespace
}  // namespace calserve
