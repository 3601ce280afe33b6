#include "server/base/gathered_answers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/unit/base/tcp_pair.h"

namespace calserve {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr size_t kMost = 3;

class GatheredAnswersTest : public testing::Test {
 protected:
  // Keeps an answer that says `name`, and one to give it and what else there is that says `giver`.
  bool Keep(const std::string& name, const std::string& giver = "given") {
    return GatheredAnswers::Keep([this, name] { said_.push_back(name); },
                                 [this, giver](std::vector<GatheredAnswers::Answer> answers) {
                                   said_.push_back(giver);
                                   given_ = std::move(answers);
                                 });
  }
  void GiveAll() {
    for (GatheredAnswers::Answer& answer : given_) answer();
  }

  std::vector<std::string> said_;
  std::vector<GatheredAnswers::Answer> given_;
};

TEST_F(GatheredAnswersTest, AreGivenTogetherInTheirOrderAtTheEndByTheFirstThatKnowsHow) {
  {
    const GatheredAnswers together(kMost);
    EXPECT_TRUE(Keep("a", "first"));
    EXPECT_TRUE(Keep("b", "second"));
    EXPECT_TRUE(Keep("c", "third"));
    EXPECT_FALSE(Keep("d")) << "there is room for three";
    EXPECT_THAT(said_, IsEmpty());
  }
  EXPECT_THAT(said_, ElementsAre("first"));
  GiveAll();
  EXPECT_THAT(said_, ElementsAre("first", "a", "b", "c"));
}

TEST_F(GatheredAnswersTest, NothingIsKeptBeforeOrAfterOrOnAnotherThread) {
  EXPECT_FALSE(Keep("before"));
  {
    const GatheredAnswers together(kMost);
    std::jthread([&] { EXPECT_FALSE(Keep("elsewhere")); }).join();
  }
  EXPECT_FALSE(Keep("after"));
  EXPECT_THAT(said_, IsEmpty()) << "whoever is told that nothing was kept answers by itself";
}

TEST_F(GatheredAnswersTest, EachEndGivesItsOwn) {
  for (const char* name : {"one", "two"}) {
    {
      const GatheredAnswers together(kMost);
      Keep(name);
    }
    GiveAll();
  }
  EXPECT_THAT(said_, ElementsAre("given", "one", "given", "two"));
}

TEST_F(GatheredAnswersTest, WhatIsWrittenUntilAllAreGivenIsSentInOnePiece) {
  std::vector<int> unsent;
  const auto send = [&](const TcpPair& pair) {
    SendMessage(pair.writer(), "x");
    unsent.push_back(pair.unsent());
  };
  // The kernel holds bytes back for 200 ms: a test that is stopped so long between two lines tries again.
  for (int tries = 0; tries < 10 && unsent != std::vector<int>{1, 2}; ++tries) {
    unsent.clear();
    const TcpPair pair;
    {
      const GatheredAnswers together(kMost);
      send(pair);
      GatheredAnswers::Keep([&] { send(pair); },
                            [](std::vector<GatheredAnswers::Answer> answers) { answers.front()(); });
    }
    EXPECT_EQ(pair.unsent(), 0);
    EXPECT_EQ(pair.Read(2), "xx");
  }
  EXPECT_THAT(unsent, ElementsAre(1, 2));
}

TEST_F(GatheredAnswersTest, WithoutMemoryForAllOfThemNoneAreKept) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "a sanitizer's allocator ends the program";
#endif
  {
    const GatheredAnswers together(size_t{1} << 50);
    EXPECT_FALSE(Keep("a"));
  }
  EXPECT_THAT(said_, IsEmpty());
}

}  // namespace
}  // namespace calserve
