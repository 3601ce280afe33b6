#ifndef CALSERVE_TESTS_END_TO_END_TEST_IMAGES_H_
#define CALSERVE_TESTS_END_TO_END_TEST_IMAGES_H_

#include <cstdint>
#include <string>
#include <vector>

namespace calserve::e2e {

inline constexpr int kImageSide = 28;
inline constexpr int kClasses = 10;

// The 10,000 real test images of Fashion-MNIST, as Debian's package dataset-fashion-mnist has them.
class TestImages {
 public:
  // Read once; throws where the package is not installed.
  static const TestImages& Get();

  int size() const { return static_cast<int>(labels_.size()); }
  int label(int index) const { return labels_[index]; }
  // 28×28 grey, row-major.
  const uint8_t* pixels(int index) const { return &pixels_[index * kImageSide * kImageSide]; }

  std::string Png(int index) const;
  // Each pixel as scale × scale pixels.
  std::string Jpeg(int index, int scale = 1) const;
  std::string WebP(int index) const;
  // What the demo model takes: 1×28×28 little-endian float32, normalised.
  std::string Tensor(int index) const;

 private:
  TestImages();

  std::vector<uint8_t> pixels_;
  std::vector<uint8_t> labels_;
};

// A PNG of side × side one-bit black pixels: 32,000 squared is a file of 124 kB.
std::string BlackPng(uint32_t side);

}  // namespace calserve::e2e

#endif  // CALSERVE_TESTS_END_TO_END_TEST_IMAGES_H_
