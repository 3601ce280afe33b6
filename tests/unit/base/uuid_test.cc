#include "server/base/uuid.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/container/flat_hash_set.h"

namespace calserve {
namespace {

using ::testing::MatchesRegex;

const absl::Time kNow = absl::FromUnixMillis(0x017F22E279B0);

TEST(UuidTest, IsWrittenInTheFormOfVersion7) {
  const std::string text = Uuid::NewV7(kNow).ToString();
  EXPECT_THAT(text, MatchesRegex("017f22e2-79b0-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"));
}

TEST(UuidTest, TextHasEveryByteInOrder) {
  Uuid id;
  for (uint8_t i = 0; i < 16; ++i) id.bytes[i] = static_cast<uint8_t>(0x10 * i + 0xf - i);
  EXPECT_EQ(id.ToString(), "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0");
}

TEST(UuidTest, ALaterMillisecondIsGreater) {
  Uuid last = Uuid::NewV7(kNow);
  for (int i = 1; i < 1000; ++i) {
    const Uuid next = Uuid::NewV7(kNow + absl::Milliseconds(i));
    EXPECT_LT(last, next);
    EXPECT_LT(last.ToString(), next.ToString());
    last = next;
  }
}

TEST(UuidTest, IsUniqueAcrossThreadsInOneMillisecond) {
  constexpr int kThreads = 4, kIds = 20'000;
  std::mutex mu;
  std::set<Uuid> ids;
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&] {
        std::vector<Uuid> own;
        for (int i = 0; i < kIds; ++i) own.push_back(Uuid::NewV7(kNow));
        const std::lock_guard<std::mutex> lock(mu);
        ids.insert(own.begin(), own.end());
      });
    }
  }
  EXPECT_EQ(ids.size(), size_t{kThreads} * kIds);
}

TEST(UuidTest, IsAKeyOfHashTables) {
  const Uuid id = Uuid::NewV7(kNow);
  absl::flat_hash_set<Uuid> ids = {id, id, Uuid::NewV7(kNow)};
  EXPECT_EQ(ids.size(), 2u);
  EXPECT_TRUE(ids.contains(id));
}

}  // namespace
}  // namespace calserve
