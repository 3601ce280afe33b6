#include "server/feedback/feedback_checker.h"

#include <cmath>

#include "tests/unit/feedback/feedback_testing.h"

namespace calserve {
namespace {

using ::testing::HasSubstr;
using Reason = FeedbackResult::Reason;

class FeedbackCheckerTest : public ::testing::Test {
 protected:
  static absl::StatusOr<int32_t> LookUp(const TicketContent& prediction, const std::string& label) {
    if (prediction.model == "fashion" && label == "boot") return 9;
    if (label == "beyond") return 10;
    if (label == "unavailable") return absl::UnavailableError("down");
    return absl::NotFoundError("no such class");
  }
  std::unique_ptr<TicketSealer> Sealer(const std::string& deployment) {
    return *CreateTicketSealer({}, directory_.path(), deployment, clock_);
  }
  Feedback Label(std::variant<std::monostate, int32_t, std::string> label) {
    return {sealer_->Seal(MakePrediction(7)), std::move(label)};
  }
  ScoredLabel Accepted(const Feedback& item) {
    const auto checked = checker_.Check(item);
    EXPECT_TRUE(checked.ok() && std::holds_alternative<ScoredLabel>(*checked));
    return checked.ok() ? std::get<ScoredLabel>(*checked) : ScoredLabel();
  }
  FeedbackResult Rejected(const Feedback& item) {
    const auto checked = checker_.Check(item);
    EXPECT_TRUE(checked.ok() && std::holds_alternative<FeedbackResult>(*checked));
    return checked.ok() ? std::get<FeedbackResult>(*checked) : FeedbackResult();
  }

  const TemporaryDirectory directory_;
  ManualClock clock_{kStart};
  const std::unique_ptr<TicketSealer> sealer_ = Sealer("0123456789abcdef0123456789abcdef");
  const FeedbackChecker checker_{*sealer_, LookUp};
};

TEST_F(FeedbackCheckerTest, ATicketAndAnIndexOrANameAreALabel) {
  EXPECT_EQ(Accepted(Label(4)).label, 4);
  EXPECT_EQ(Accepted(Label("boot")).label, 9);
  EXPECT_EQ(Accepted(Label(4)).prediction.prediction_id, MakePrediction(7).prediction_id);
}

TEST_F(FeedbackCheckerTest, ATicketThatIsNoneOrNotOursOrNotNowIsRejected) {
  const auto sealed_at = [&](absl::Time time) { return sealer_->Seal(MakePrediction(1, 10, time)); };
  Feedback altered = Label(1);
  altered.ticket.back() ^= 1;
  EXPECT_EQ(Rejected(altered).reason, Reason::kTicketInvalid);
  EXPECT_EQ(Rejected({"", 1}).reason, Reason::kTicketInvalid);
  EXPECT_EQ(Rejected({Sealer("another")->Seal(MakePrediction(1)), 1}).reason, Reason::kTicketForeign);
  EXPECT_EQ(Rejected({sealed_at(kStart - absl::Hours(15 * 24)), 1}).reason, Reason::kTicketExpired);
  EXPECT_EQ(Rejected({sealed_at(kStart + absl::Minutes(6)), 1}).reason, Reason::kTicketFromFuture);
  EXPECT_EQ(Rejected(altered).prediction_id, "") << "it could not be opened";
}

TEST_F(FeedbackCheckerTest, ALabelThatIsNoClassIsRejectedWithItsPredictionsId) {
  for (const int index : {-1, 10}) {
    const FeedbackResult result = Rejected(Label(index));
    EXPECT_EQ(result.reason, Reason::kLabelOutOfRange);
    EXPECT_EQ(result.message, absl::StrCat("the label must be in [0, 10); was ", index));
    EXPECT_EQ(result.prediction_id, MakePrediction(7).prediction_id.ToString());
  }
  EXPECT_EQ(Rejected(Label("beyond")).reason, Reason::kLabelOutOfRange);
  EXPECT_EQ(Rejected(Label("sandal")).reason, Reason::kLabelUnknown);
  EXPECT_EQ(Rejected(Label("sandal")).message, "no such class");
  EXPECT_EQ(Rejected(Label(std::monostate())).reason, Reason::kLabelUnknown);
}

TEST_F(FeedbackCheckerTest, ANameThatCannotBeLookedUpNowIsNoRejection) {
  EXPECT_THAT(checker_.Check(Label("unavailable")).status(),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("down")));
}

TEST_F(FeedbackCheckerTest, WithoutALookupEveryNameIsUnknown) {
  const FeedbackChecker checker(*sealer_, nullptr);
  EXPECT_EQ(std::get<FeedbackResult>(*checker.Check(Label("boot"))).reason, Reason::kLabelUnknown);
}

TEST_F(FeedbackCheckerTest, AnInclusionProbabilityIsKeptAndOneOutOfRangeIsRejected) {
  Feedback item = Label(1);
  EXPECT_EQ(Accepted(item).inclusion_probability, std::nullopt);
  for (const double p : {0.25, 1.0}) {
    item.inclusion_probability = p;
    EXPECT_EQ(Accepted(item).inclusion_probability, p);
  }
  for (const double p : {0.0, 1.5, -0.1, std::nan("")}) {
    item.inclusion_probability = p;
    const FeedbackResult result = Rejected(item);
    EXPECT_EQ(result.reason, Reason::kInclusionProbabilityOutOfRange);
    EXPECT_THAT(result.message, HasSubstr("must be in (0, 1]"));
    EXPECT_EQ(result.prediction_id, MakePrediction(7).prediction_id.ToString());
  }
}

}  // namespace
}  // namespace calserve
