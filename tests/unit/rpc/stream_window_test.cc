#include "server/rpc/stream_window.h"

#include <gtest/gtest.h>

namespace calserve {
namespace {

constexpr int64_t kMiB = 1 << 20;

// How many more requests of `bytes` are read.
int ReadsOf(StreamWindow& window, int64_t bytes) {
  int reads = 0;
  for (; window.MayRead() && reads < 1000; ++reads) window.Read(bytes);
  return reads;
}

void AnswerAndWrite(StreamWindow& window, int64_t request_bytes, size_t answer_bytes) {
  window.Answered(request_bytes, answer_bytes);
  window.Written(answer_bytes);
}

TEST(StreamWindowTest, ItDoublesWithEachAnswerUpToTheMost) {
  StreamWindow window(20);
  EXPECT_EQ(ReadsOf(window, 10), 8);
  AnswerAndWrite(window, 10, 50);
  EXPECT_EQ(ReadsOf(window, 10), 16 - 7);
  AnswerAndWrite(window, 10, 50);
  EXPECT_EQ(ReadsOf(window, 10), 20 - 15);
  AnswerAndWrite(window, 10, 50);
  EXPECT_EQ(ReadsOf(window, 10), 1);
}

TEST(StreamWindowTest, ASmallWindowIsNeverWider) {
  StreamWindow window(3);
  EXPECT_EQ(ReadsOf(window, 10), 3);
  AnswerAndWrite(window, 10, 50);
  EXPECT_EQ(ReadsOf(window, 10), 1);
}

TEST(StreamWindowTest, LargeRequestsAreReadUpTo64MiBAndOneIsAlways) {
  StreamWindow window(128);
  EXPECT_EQ(ReadsOf(window, 30 * kMiB), 3);
  window.Answered(30 * kMiB, 50);  // It is not written, but its request is gone.
  EXPECT_EQ(ReadsOf(window, 30 * kMiB), 1);
  StreamWindow other(128);
  EXPECT_EQ(ReadsOf(other, 100 * kMiB), 1);
}

TEST(StreamWindowTest, AnswersThatAreNotWrittenCountAndThoseToComeAsTheLargest) {
  StreamWindow window(128);
  EXPECT_EQ(ReadsOf(window, 10), 8);
  window.Answered(10, 4 * kMiB);
  EXPECT_EQ(ReadsOf(window, 10), 0) << "seven more of 4 MiB are expected";
  for (int i = 0; i < 7; ++i) window.Answered(10, 4 * kMiB);
  for (int i = 0; i < 4; ++i) window.Written(4 * kMiB);
  EXPECT_FALSE(window.MayRead()) << "16 MiB are not written";
  window.Written(4 * kMiB);
  EXPECT_EQ(ReadsOf(window, 10), 1);
}

TEST(StreamWindowTest, ALargeAnswerIsForgottenAfterSmallOnes) {
  StreamWindow window(128);
  window.Read(10);
  AnswerAndWrite(window, 10, 32 * kMiB);
  EXPECT_EQ(ReadsOf(window, 10), 1);
  for (int i = 0; i < 100; ++i) {
    AnswerAndWrite(window, 10, 50);
    window.Read(10);
  }
  EXPECT_EQ(ReadsOf(window, 10), 127);
}

}  // namespace
}  // namespace calserve
