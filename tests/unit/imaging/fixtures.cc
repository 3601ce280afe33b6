#include "tests/unit/imaging/fixtures.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>

#include "gtest/gtest.h"

namespace calserve::imaging_fixtures {
namespace {

std::string ReadFile(const std::string& path) {
  std::ifstream file("tests/fixtures/imaging/" + path, std::ios::binary);  // ctest runs in the source folder
  EXPECT_TRUE(file.is_open()) << path;
  return std::string(std::istreambuf_iterator<char>(file), {});
}

}  // namespace

const nlohmann::json& Index() {
  static const auto& index = *new nlohmann::json(nlohmann::json::parse(ReadFile("index.json")));
  return index;
}

std::string ImageFile(const std::string& file) { return ReadFile("images/" + file); }

template <typename T>
absl::Span<const T> Expected(const nlohmann::json& entry) {
  static const auto& blob = *new std::string(ReadFile("expected.bin"));
  size_t count = 1;
  for (const size_t side : entry["shape"]) count *= side;
  const size_t offset = entry["offset"];
  EXPECT_LE(offset + count * sizeof(T), blob.size());
  return {reinterpret_cast<const T*>(blob.data() + offset), count};
}
template absl::Span<const uint8_t> Expected(const nlohmann::json&);
template absl::Span<const float> Expected(const nlohmann::json&);

int LargestDifference(absl::Span<const uint8_t> a, absl::Span<const uint8_t> b) {
  if (a.size() != b.size()) return 256;
  int largest = 0;
  for (size_t i = 0; i < a.size(); ++i) largest = std::max(largest, std::abs(a[i] - b[i]));
  return largest;
}

}  // namespace calserve::imaging_fixtures
