#include <gtest/gtest.h>
#include <jemalloc/jemalloc.h>

#include <cstddef>

namespace calserve {
namespace {

template <typename Value>
Value OptionOf(const char* name) {
  Value value{};
  size_t size = sizeof value;
  EXPECT_EQ(mallctl(name, &value, &size, nullptr, 0), 0) << name;
  return value;
}

TEST(JemallocOptionsTest, AreThoseOfTheProgram) {
  EXPECT_EQ(OptionOf<size_t>("opt.oversize_threshold"), 0u);
  EXPECT_TRUE(OptionOf<bool>("background_thread"));
}

}  // namespace
}  // namespace calserve
