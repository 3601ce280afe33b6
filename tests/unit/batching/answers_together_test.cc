#include <atomic>
#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/base/gathered_answers.h"
#include "tests/unit/base/tcp_pair.h"
#include "tests/unit/batching/batcher_fixture.h"

namespace calserve {
namespace {

using ::testing::ElementsAre;

class AnswersTogetherTest : public BatcherTest {
 protected:
  // A task that answers one byte on `pair`, and says how many wait in the kernel then.
  std::shared_ptr<Answer> SubmitTo(const TcpPair& pair, std::vector<int>& unsent) {
    auto answer = std::make_shared<Answer>();
    BatchTask task;
    task.rows = 1;
    task.input = {kZeroRow};
    task.done = [answer, &pair, &unsent](absl::StatusOr<BatchResult> result) {
      SendMessage(pair.writer(), "x");
      unsent.push_back(pair.unsent());
      answer->Give(std::move(result));
    };
    batcher_->Schedule(std::move(task));
    return answer;
  }
};

TEST_F(AnswersTogetherTest, OfABatchOnOneConnectionAreSentInOnePiece) {
  Start();
  for (const std::vector<int>& together : {std::vector<int>{1, 2}, std::vector<int>{1, 2, 3}}) {
    std::vector<int> unsent;
    // The kernel holds bytes back for 200 ms: a machine that stands still so long gets another chance.
    for (int tries = 0; tries < 10 && unsent != together; ++tries) {
      unsent.clear();
      const TcpPair pair;
      const std::shared_ptr<Answer> occupying = OccupyAnInstance();
      std::vector<std::shared_ptr<Answer>> answers;
      for (size_t i = 0; i < together.size(); ++i) answers.push_back(SubmitTo(pair, unsent));
      model_->FinishOne();
      model_->FinishOne();
      for (const auto& answer : answers) EXPECT_TRUE(answer->Await().ok());
      EXPECT_EQ(pair.Read(together.size()), std::string(together.size(), 'x'));
    }
    EXPECT_EQ(unsent, together);
  }
}

TEST_F(AnswersTogetherTest, ALoneAnswerIsSentAtOnce) {
  Start();
  model_->FinishAll();
  const TcpPair pair;
  std::vector<int> unsent;
  EXPECT_TRUE(SubmitTo(pair, unsent)->Await().ok());
  EXPECT_THAT(unsent, ElementsAre(0));
}

class AnswersHandedOverTest : public BatcherTest, public testing::WithParamInterface<int> {
 protected:
  // How many answers of a batch of so many are given by whoever knows where.
  int GivenElsewhere(int tasks) {
    Start();
    const std::shared_ptr<Answer> occupying = OccupyAnInstance();
    std::vector<std::shared_ptr<Answer>> answers;
    std::atomic<int> elsewhere{0};
    for (int i = 0; i < tasks; ++i) {
      answers.push_back(std::make_shared<Answer>());
      BatchTask task;
      task.rows = 1;
      task.input = {kZeroRow};
      task.done = [answer = answers.back(), &elsewhere](absl::StatusOr<BatchResult> result) {
        GatheredAnswers::Keep([&elsewhere] { ++elsewhere; },
                              [](std::vector<GatheredAnswers::Answer> kept) {
                                for (GatheredAnswers::Answer& give : kept) give();
                              });
        answer->Give(std::move(result));
      };
      batcher_->Schedule(std::move(task));
    }
    model_->FinishOne();
    model_->FinishAll();
    for (const auto& answer : answers) EXPECT_TRUE(answer->Await().ok());
    batcher_.reset();  // waits for its threads, which give the answers
    return elsewhere;
  }
};

TEST_P(AnswersHandedOverTest, TogetherWhereThereAreSeveral) {
  EXPECT_EQ(GivenElsewhere(GetParam()), GetParam() > 1 ? GetParam() : 0);
}

INSTANTIATE_TEST_SUITE_P(Tasks, AnswersHandedOverTest, testing::Values(1, 2, 4));

}  // namespace
}  // namespace calserve
