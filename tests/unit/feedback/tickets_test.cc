#include "server/feedback/tickets.h"

#include <sys/stat.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>
#include <variant>

#include "absl/random/random.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "tests/unit/feedback/feedback_testing.h"

namespace calserve {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class TicketsTest : public ::testing::Test {
 protected:
  std::unique_ptr<TicketSealer> Make(const std::string& deployment = "deployment-a") {
    absl::StatusOr<std::unique_ptr<TicketSealer>> sealer =
        CreateTicketSealer(options_, directory_.path(), deployment, clock_);
    EXPECT_TRUE(sealer.ok()) << sealer.status();
    return sealer.ok() ? *std::move(sealer) : nullptr;
  }
  absl::Status Error() { return CreateTicketSealer(options_, directory_.path(), "d", clock_).status(); }

  // Replaces the ring file as an operator would: by a whole new file.
  void WriteKeys(const std::string& text) {
    std::ofstream(path_ + ".tmp") << text;
    ASSERT_EQ(chmod((path_ + ".tmp").c_str(), 0600), 0);
    std::filesystem::rename(path_ + ".tmp", path_);
  }
  static std::string KeyLine(int id, absl::Time may_seal_from) {
    return absl::StrCat(absl::Hex(id, absl::kZeroPad16), " ", std::string(64, "0123456789abcdef"[id]), " ",
                        absl::FormatTime(absl::RFC3339_sec, may_seal_from, absl::UTCTimeZone()), "\n");
  }
  static bool Opens(const TicketSealer& sealer, absl::string_view ticket) {
    return std::holds_alternative<TicketContent>(sealer.Open(ticket));
  }
  static TicketRejection Rejection(const TicketSealer& sealer, absl::string_view ticket) {
    const auto opened = sealer.Open(ticket);
    if (const auto* rejection = std::get_if<TicketRejection>(&opened)) return *rejection;
    ADD_FAILURE() << "the ticket was opened";
    return {};
  }

  const TemporaryDirectory directory_;
  const std::string path_ = directory_.path() + "/ticket_keys";
  ManualClock clock_{kStart};
  TicketOptions options_;
};

TEST_F(TicketsTest, WhatWasSealedComesBack) {
  const auto sealer = Make();
  TicketContent content = MakePrediction(5);
  content.attributes = {{"camera", "north"}};
  const auto opened = sealer->Open(sealer->Seal(content));
  ASSERT_TRUE(std::holds_alternative<TicketContent>(opened));
  const TicketContent& found = std::get<TicketContent>(opened);
  EXPECT_EQ(found.prediction_id, content.prediction_id);
  EXPECT_EQ(found.model, content.model);
  EXPECT_EQ(found.confidence, content.confidence);
  EXPECT_EQ(found.logits_fp16, content.logits_fp16);
  EXPECT_EQ(found.attributes, content.attributes);
}

TEST_F(TicketsTest, ATicketMayComeBackInBase64) {
  const auto sealer = Make();
  const std::string text = absl::Base64Escape(sealer->Seal(MakePrediction(1)));
  EXPECT_TRUE(Opens(*sealer, text));
  for (size_t size = 0; size < text.size() - 4; ++size)
    EXPECT_FALSE(Opens(*sealer, text.substr(0, size))) << size;
  EXPECT_THAT(
      Rejection(*sealer, "A ticket that is no base64, and long enough to be a ticket otherwise.").message,
      HasSubstr("ticket format 65 is unknown"));
}

TEST_F(TicketsTest, TwoTicketsOfOneContentDiffer) {
  const auto sealer = Make();
  EXPECT_NE(sealer->Seal(MakePrediction(1)), sealer->Seal(MakePrediction(1)));
}

TEST_F(TicketsTest, TicketsShowNothingOfTheirContent) {
  EXPECT_THAT(Make()->Seal(MakePrediction(1)), ::testing::Not(HasSubstr("fashion")));
}

TEST_F(TicketsTest, EveryFlippedBitIsRejected) {
  const auto sealer = Make();
  const std::string ticket = sealer->Seal(MakePrediction(1));
  for (size_t bit = 0; bit < 8 * ticket.size(); ++bit) {
    std::string altered = ticket;
    altered[bit / 8] = static_cast<char>(altered[bit / 8] ^ (1 << bit % 8));
    const TicketError error = Rejection(*sealer, altered).error;
    const bool in_key_tag = bit / 8 >= 1 && bit / 8 <= 8;
    EXPECT_EQ(error, in_key_tag ? TicketError::kForeign : TicketError::kInvalid) << bit;
  }
}

TEST_F(TicketsTest, EveryTruncationAndAnExtensionIsRejected) {
  const auto sealer = Make();
  const std::string ticket = sealer->Seal(MakePrediction(1));
  for (size_t size = 0; size < ticket.size(); ++size) {
    EXPECT_EQ(Rejection(*sealer, ticket.substr(0, size)).error, TicketError::kInvalid) << size;
  }
  EXPECT_EQ(Rejection(*sealer, ticket + "x").error, TicketError::kInvalid);
}

TEST_F(TicketsTest, RandomBytesAreRejected) {
  const auto sealer = Make();
  absl::BitGen random;
  for (int i = 0; i < 10'000; ++i) {
    std::string bytes(absl::Uniform<size_t>(random, 0, 300), '\1');
    for (char& c : bytes) c = absl::Uniform<char>(random, -128, 127);
    EXPECT_FALSE(Opens(*sealer, bytes));
  }
}

TEST_F(TicketsTest, ATicketOfAnotherDeploymentIsForeignAlsoWithTheSameKeys) {
  const std::string ticket = Make("deployment-a")->Seal(MakePrediction(1));
  EXPECT_EQ(Rejection(*Make("deployment-b"), ticket).error, TicketError::kForeign);
  std::filesystem::remove(path_);
  EXPECT_EQ(Rejection(*Make("deployment-a"), ticket).error, TicketError::kForeign) << "other keys";
}

TEST_F(TicketsTest, ATicketExpiresAfterFeedbackTtl) {
  options_.feedback_ttl = absl::Hours(2);
  const auto sealer = Make();
  const std::string ticket = sealer->Seal(MakePrediction(1));
  clock_.Advance(absl::Hours(2));
  EXPECT_TRUE(Opens(*sealer, ticket));
  clock_.Advance(absl::Microseconds(1));
  const TicketRejection rejection = Rejection(*sealer, ticket);
  EXPECT_EQ(rejection.error, TicketError::kExpired);
  EXPECT_EQ(rejection.message, "the ticket is 2h old; labels are taken for 2h");
}

TEST_F(TicketsTest, ATicketMayBeFiveMinutesAhead) {
  const auto sealer = Make();
  const std::string ticket = sealer->Seal(MakePrediction(1));
  clock_.Set(kStart - absl::Minutes(5));
  EXPECT_TRUE(Opens(*sealer, ticket));
  clock_.Set(kStart - absl::Minutes(5) - absl::Seconds(1));
  const TicketRejection rejection = Rejection(*sealer, ticket);
  EXPECT_EQ(rejection.error, TicketError::kFromFuture);
  EXPECT_THAT(rejection.message, HasSubstr("5m1s in the future"));
}

TEST_F(TicketsTest, WidePredictionsCarryNoLogits) {
  options_.ticket_max_classes = 10;
  const auto sealer = Make();
  EXPECT_EQ(std::get<TicketContent>(sealer->Open(sealer->Seal(MakePrediction(1, 10)))).logits_fp16.size(),
            10u);
  const auto wide = std::get<TicketContent>(sealer->Open(sealer->Seal(MakePrediction(1, 11))));
  EXPECT_TRUE(wide.logits_fp16.empty());
  EXPECT_EQ(wide.classes, 11);
}

TEST_F(TicketsTest, TheKeyFileIsMadeOnceAndKept) {
  const std::string ticket = Make()->Seal(MakePrediction(1));
  EXPECT_TRUE(Opens(*Make(), ticket));
}

TEST_F(TicketsTest, AKeyFileThatWasNamedIsNotMade) {
  options_.key_file = directory_.path() + "/mine";
  EXPECT_THAT(Error(),
              StatusIs(absl::StatusCode::kNotFound,
                       AllOf(HasSubstr("/mine: No such file"), HasSubstr("leave --tickets-key-file out"))));
  EXPECT_FALSE(std::filesystem::exists(options_.key_file));
}

TEST_F(TicketsTest, BadOptionsAreNamed) {
  options_.feedback_ttl = absl::ZeroDuration();
  EXPECT_THAT(Error(), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("feedback_ttl")));
  options_ = {.ticket_max_classes = -1};
  EXPECT_THAT(Error(), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("was -1")));
}

TEST_F(TicketsTest, AnotherKeyTakesOverWhenItMaySealAndBothOpen) {
  WriteKeys(KeyLine(1, kStart - absl::Hours(1)) + KeyLine(2, kStart + absl::Hours(1)));
  const auto sealer = Make();
  const std::string before = sealer->Seal(MakePrediction(1));
  clock_.Advance(absl::Hours(1));
  const std::string after = sealer->Seal(MakePrediction(2));
  EXPECT_NE(before.substr(1, 8), after.substr(1, 8));
  EXPECT_TRUE(Opens(*sealer, before));
  EXPECT_TRUE(Opens(*sealer, after));
}

TEST_F(TicketsTest, AChangedFileIsReadWithinASecond) {
  WriteKeys(KeyLine(1, kStart - absl::Hours(1)));
  const auto sealer = Make();
  const std::string before = sealer->Seal(MakePrediction(1));
  WriteKeys(KeyLine(2, kStart - absl::Hours(1)));
  EXPECT_TRUE(Opens(*sealer, before)) << "not looked at yet";
  clock_.Advance(absl::Seconds(1));
  EXPECT_EQ(Rejection(*sealer, before).error, TicketError::kForeign) << "the key was removed";
  EXPECT_TRUE(sealer->KeyStatus().ok());
  EXPECT_TRUE(Opens(*sealer, sealer->Seal(MakePrediction(2))));
}

TEST_F(TicketsTest, ABrokenFileLeavesTheKeysInUseAndIsReported) {
  WriteKeys(KeyLine(1, kStart - absl::Hours(1)));
  const auto sealer = Make();
  const std::string ticket = sealer->Seal(MakePrediction(1));
  for (const std::string broken : {"rubbish", ""}) {
    WriteKeys(broken);
    clock_.Advance(absl::Seconds(1));
    EXPECT_TRUE(Opens(*sealer, ticket));
    EXPECT_EQ(sealer->KeyStatus().code(), absl::StatusCode::kFailedPrecondition);
  }
  std::filesystem::remove(path_);
  clock_.Advance(absl::Seconds(1));
  EXPECT_TRUE(Opens(*sealer, ticket));
  EXPECT_EQ(sealer->KeyStatus().code(), absl::StatusCode::kNotFound);
  WriteKeys(KeyLine(1, kStart - absl::Hours(1)) + KeyLine(2, kStart));
  clock_.Advance(absl::Seconds(1));
  EXPECT_TRUE(Opens(*sealer, ticket));
  EXPECT_TRUE(sealer->KeyStatus().ok()) << sealer->KeyStatus();
}

TEST_F(TicketsTest, SealsAndOpensWhileTheKeysChange) {
  WriteKeys(KeyLine(1, kStart - absl::Hours(1)));
  const auto sealer = Make();
  std::atomic<bool> done = false;
  std::vector<std::thread> threads;
  for (int t = 0; t < 7; ++t) {
    threads.emplace_back([&, t] {
      for (uint64_t i = 0; !done; ++i) {
        EXPECT_TRUE(Opens(*sealer, sealer->Seal(MakePrediction(i * 8 + t, 10, clock_.Now()))));
      }
    });
  }
  std::string keys = KeyLine(1, kStart - absl::Hours(1));
  for (int id = 2; id < 16; ++id) {
    keys += KeyLine(id, kStart);
    WriteKeys(keys);
    clock_.Advance(absl::Seconds(1));
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  done = true;
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace calserve
