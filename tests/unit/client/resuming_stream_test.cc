#include "client/resuming_stream.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>

namespace calserve::client {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

struct Request {
  int64_t sequence = 0;
  int value = 0;
  void set_sequence(int64_t to) { sequence = to; }
};
struct Response {
  int64_t number = 0;
  int value = 0;
  int64_t sequence() const { return number; }
};

// A server in one process. Answers each request with its value, and does what a test scripts.
class PuppetServer {
 public:
  int fail_calls = 0;    // so many calls break before they take a request
  int break_after = -1;  // the first call that is not failed breaks after so many answers
  int refuse_first = 0;  // so many answers are "full"
  bool silent = false;   // nothing is answered
  bool blocked = false;  // a call does not start until it is cancelled
  bool endless = false;  // a call does not end when all was written
  absl::Status broken = absl::UnavailableError("broken");

  class Call final : public StreamTransport<Request, Response> {
   public:
    explicit Call(PuppetServer* server) : server_(*server) {}
    void Start() override {
      std::unique_lock lock(server_.mu_);
      ++server_.calls_;
      if (server_.blocked) server_.changed_.wait(lock, [&] { return ended_; });
      if (server_.fail_calls > 0) {
        --server_.fail_calls;
        End(server_.broken);
      } else {
        answers_left_ = std::exchange(server_.break_after, -1);
      }
    }
    bool Write(const Request& request) override {
      std::lock_guard lock(server_.mu_);
      if (ended_) return false;
      server_.taken_.push_back(request.value);
      if (!server_.silent) answers_.push_back({request.sequence, request.value});
      server_.changed_.notify_all();
      return true;
    }
    void WritesDone() override {
      std::lock_guard lock(server_.mu_);
      if (!server_.endless) End(absl::OkStatus());
    }
    bool Read(Response* response) override {
      std::unique_lock lock(server_.mu_);
      server_.changed_.wait(lock, [&] { return ended_ || !answers_.empty(); });
      if (answers_.empty() || answers_left_ == 0) {
        if (!ended_) End(server_.broken);
        return false;
      }
      if (answers_left_ > 0) --answers_left_;
      *response = answers_.front();
      answers_.pop_front();
      if (server_.refuse_first > 0) {
        --server_.refuse_first;
        response->value = -1;
      }
      return true;
    }
    absl::Status Finish() override {
      std::lock_guard lock(server_.mu_);
      return status_;
    }
    void Cancel() override {
      std::lock_guard lock(server_.mu_);
      End(absl::CancelledError("cancelled"));
    }

   private:
    void End(absl::Status status) {
      if (ended_) return;
      ended_ = true;
      status_ = std::move(status);
      server_.changed_.notify_all();
    }

    PuppetServer& server_;
    std::deque<Response> answers_;
    int answers_left_ = -1;
    bool ended_ = false;
    absl::Status status_;
  };

  int calls() {
    std::lock_guard lock(mu_);
    return calls_;
  }
  std::vector<int> taken() {
    std::lock_guard lock(mu_);
    return taken_;
  }

 private:
  std::mutex mu_;
  std::condition_variable changed_;
  int calls_ = 0;
  std::vector<int> taken_;
};

class ResumingStreamTest : public ::testing::Test {
 protected:
  using Stream = ResumingStream<Request, Response>;

  void Open() {
    Stream::Hooks hooks;
    hooks.open = [this] { return std::make_unique<PuppetServer::Call>(&server_); };
    hooks.failure_of = [](const Response& response) {
      return response.value == -1 ? absl::ResourceExhaustedError("full") : absl::OkStatus();
    };
    hooks.on_answer = [this](int64_t sequence, absl::StatusOr<Response> answer) {
      absl::SleepFor(answer_time_);
      std::lock_guard lock(mu_);
      if (answer.ok()) {
        answered_.push_back({sequence, answer->value});
      } else {
        errors_.push_back(answer.status().code());
      }
    };
    hooks.random = [] { return 0.5; };
    hooks.wait = [this](absl::Duration time) {
      waited_ = waited_ + 1;
      absl::SleepFor(time);
    };
    stream_ = std::make_unique<Stream>(limits_, retry_, std::move(hooks));
  }
  absl::Status Send(int value) { return stream_->Send(100 + value, {0, value}); }

  ResumingStreamTest() {
    retry_.initial_backoff = absl::Milliseconds(1);
    retry_.max_backoff = absl::Milliseconds(2);
  }

  PuppetServer server_;
  StreamLimits limits_;
  RetryOptions retry_;
  // Whether every error came within a few seconds, without a Send or a Finish that waits.
  bool FailsByItself(size_t errors) {
    const absl::Time end = absl::Now() + absl::Seconds(5);
    while (absl::Now() < end) {
      {
        std::lock_guard lock(mu_);
        if (errors_.size() == errors) return true;
      }
      absl::SleepFor(absl::Milliseconds(5));
    }
    return false;
  }

  absl::Duration answer_time_;   // that on_answer takes
  std::atomic<int> waited_ = 0;  // so often in a pause between two calls
  std::mutex mu_;
  std::vector<std::pair<int64_t, int>> answered_;
  std::vector<absl::StatusCode> errors_;
  std::unique_ptr<Stream> stream_;
};

TEST_F(ResumingStreamTest, GivesEachAnswerTheCallersSequence) {
  Open();
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(Send(i).ok());
  EXPECT_TRUE(stream_->Finish().ok());
  EXPECT_THAT(answered_, ElementsAre(std::pair(100, 0), std::pair(101, 1), std::pair(102, 2)));
  EXPECT_FALSE(Send(3).ok());
  EXPECT_EQ(server_.calls(), 1);
}

TEST_F(ResumingStreamTest, FinishWithNothingSentOpensNoCall) {
  Open();
  EXPECT_TRUE(stream_->Finish().ok());
  EXPECT_EQ(server_.calls(), 0);
}

TEST_F(ResumingStreamTest, SendsWhatIsUnansweredAgainWhenTheCallBreaks) {
  server_.break_after = 2;
  Open();
  for (int i = 0; i < 50; ++i) ASSERT_TRUE(Send(i).ok());
  EXPECT_TRUE(stream_->Finish().ok());
  ASSERT_THAT(answered_, SizeIs(50));
  for (int i = 0; i < 50; ++i) EXPECT_EQ(answered_[i], std::pair(int64_t{100} + i, i));
  EXPECT_EQ(server_.calls(), 2);
}

TEST_F(ResumingStreamTest, RetriesTheCallAsOftenAsAllowed) {
  server_.fail_calls = retry_.max_attempts - 1;
  Open();
  ASSERT_TRUE(Send(1).ok());
  EXPECT_TRUE(stream_->Finish().ok());
  EXPECT_EQ(server_.calls(), retry_.max_attempts);
}

TEST_F(ResumingStreamTest, LetsConnectionsBeMadeBetweenCalls) {
  server_.fail_calls = 1;
  Open();
  ASSERT_TRUE(Send(1).ok());
  EXPECT_TRUE(stream_->Finish().ok());
  EXPECT_GE(waited_, 1);
}

TEST_F(ResumingStreamTest, DestructionDoesNotWaitForThePauseBetweenCalls) {
  server_.fail_calls = 1;
  retry_.initial_backoff = retry_.max_backoff = absl::Seconds(20);
  Open();
  ASSERT_TRUE(Send(1).ok());
  while (waited_ == 0) absl::SleepFor(absl::Milliseconds(1));
  const absl::Time start = absl::Now();
  stream_.reset();
  EXPECT_LT(absl::Now() - start, absl::Seconds(5));
  EXPECT_THAT(errors_, ElementsAre(absl::StatusCode::kCancelled));
}

TEST_F(ResumingStreamTest, FailsEveryRequestWhenTheRetriesAreUsedUp) {
  server_.fail_calls = 1000;
  Open();
  ASSERT_TRUE(Send(1).ok());
  Send(2).IgnoreError();  // The stream may have failed already.
  EXPECT_TRUE(absl::IsUnavailable(stream_->Finish()));
  EXPECT_THAT(errors_, Each(absl::StatusCode::kUnavailable));
  EXPECT_TRUE(absl::IsUnavailable(Send(3)));
}

TEST_F(ResumingStreamTest, DoesNotRetryWhatARetryCannotMend) {
  server_.fail_calls = 1;
  server_.broken = absl::InvalidArgumentError("bad batch");
  Open();
  ASSERT_TRUE(Send(1).ok());
  EXPECT_TRUE(absl::IsInvalidArgument(stream_->Finish()));
  EXPECT_THAT(errors_, ElementsAre(absl::StatusCode::kInvalidArgument));
  EXPECT_EQ(server_.calls(), 1);
}

TEST_F(ResumingStreamTest, SendsARefusedRequestAgain) {
  server_.refuse_first = 2;
  Open();
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(Send(i).ok());
  EXPECT_TRUE(stream_->Finish().ok());
  EXPECT_THAT(answered_, UnorderedElementsAre(std::pair(100, 0), std::pair(101, 1), std::pair(102, 2)));
  EXPECT_THAT(server_.taken(), SizeIs(5));
  EXPECT_EQ(server_.calls(), 1);
}

TEST_F(ResumingStreamTest, GivesARequestItsRefusalWhenTheRetriesAreUsedUp) {
  server_.refuse_first = 1000;
  Open();
  ASSERT_TRUE(Send(1).ok());
  EXPECT_TRUE(stream_->Finish().ok());
  EXPECT_THAT(answered_, ElementsAre(std::pair(101, -1)));  // the failure itself, for the caller to read
  EXPECT_THAT(server_.taken(), SizeIs(retry_.max_attempts));
}

TEST_F(ResumingStreamTest, ARequestThatIsNeverAnsweredEndsTheStreamAtItsDeadline) {
  server_.silent = true;
  limits_.timeout = absl::Milliseconds(30);
  Open();
  ASSERT_TRUE(Send(1).ok());
  EXPECT_TRUE(absl::IsDeadlineExceeded(stream_->Finish()));
  EXPECT_THAT(errors_, ElementsAre(absl::StatusCode::kDeadlineExceeded));
}

TEST_F(ResumingStreamTest, TheDeadlineHoldsWhileNobodyWaits) {
  server_.silent = true;
  limits_.timeout = absl::Milliseconds(30);
  Open();
  ASSERT_TRUE(Send(1).ok());
  EXPECT_TRUE(FailsByItself(1));
  EXPECT_THAT(errors_, ElementsAre(absl::StatusCode::kDeadlineExceeded));
}

TEST_F(ResumingStreamTest, TheDeadlineHoldsForACallThatDoesNotStart) {
  server_.blocked = true;
  limits_.timeout = absl::Milliseconds(30);
  Open();
  ASSERT_TRUE(Send(1).ok());
  EXPECT_TRUE(FailsByItself(1));
  EXPECT_TRUE(absl::IsDeadlineExceeded(stream_->Finish()));
}

TEST_F(ResumingStreamTest, AnAnswerThatItsReceiverTakesLongOverIsInTime) {
  answer_time_ = absl::Milliseconds(100);
  limits_.timeout = absl::Milliseconds(60);
  Open();
  ASSERT_TRUE(Send(1).ok());
  EXPECT_TRUE(stream_->Finish().ok());
  EXPECT_THAT(answered_, ElementsAre(std::pair(101, 1)));
}

TEST_F(ResumingStreamTest, FinishDoesNotWaitForEverForAServerThatHasAnsweredEverything) {
  server_.endless = true;
  limits_.timeout = absl::Milliseconds(50);
  Open();
  ASSERT_TRUE(Send(1).ok());
  EXPECT_TRUE(stream_->Finish().ok());
  EXPECT_THAT(answered_, ElementsAre(std::pair(101, 1)));
}

TEST_F(ResumingStreamTest, SendWaitsWhileTooManyAreInFlight) {
  server_.silent = true;
  limits_.max_in_flight = 2;
  limits_.timeout = absl::Milliseconds(50);
  Open();
  ASSERT_TRUE(Send(1).ok());
  ASSERT_TRUE(Send(2).ok());
  EXPECT_TRUE(absl::IsDeadlineExceeded(Send(3)));  // waited until the first two had failed
  EXPECT_THAT(server_.taken(), SizeIs(2));
}

TEST_F(ResumingStreamTest, RefusesLimitsOutOfRange) {
  for (const StreamLimits limits : {StreamLimits{.max_in_flight = 0}, StreamLimits{.max_in_flight = -1},
                                    StreamLimits{.timeout = absl::ZeroDuration()}}) {
    limits_ = limits;
    Open();
    const absl::Status sent = Send(1);
    EXPECT_TRUE(absl::IsInvalidArgument(sent)) << sent;
    EXPECT_THAT(sent.message(), HasSubstr(limits.max_in_flight < 1 ? "StreamLimits.max_in_flight must be >= 1"
                                                                   : "StreamLimits.timeout must be > 0"));
    EXPECT_EQ(stream_->Finish(), sent);
    stream_ = nullptr;
  }
  EXPECT_EQ(server_.calls(), 0);
  EXPECT_TRUE(errors_.empty());
}

TEST_F(ResumingStreamTest, DestructionAnswersWhatIsLeft) {
  server_.silent = true;
  Open();
  ASSERT_TRUE(Send(1).ok());
  stream_.reset();
  EXPECT_THAT(errors_, ElementsAre(absl::StatusCode::kCancelled));
}

}  // namespace
}  // namespace calserve::client
