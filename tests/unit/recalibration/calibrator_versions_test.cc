#include "server/recalibration/calibrator_versions.h"

#include <atomic>
#include <chrono>
#include <thread>

#include "calibration_io/calibrator_json.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/recalibration/content_digest.h"
#include "tests/unit/feedback/forwarding_store.h"
#include "tests/unit/feedback/memory_store.h"
#include "tests/unit/recalibration/recalibration_testing.h"

namespace calserve {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

CalibrationTarget WithDigest(const std::string& digest) {
  CalibrationTarget target = kTarget;
  target.digest = digest;
  return target;
}

CalibratorSpec Temperature(double temperature) {
  return {CalibrationMethod::kTemperature, 4, {{"temperature", {temperature}}}};
}

class CalibratorVersionsTest : public ::testing::Test {
 protected:
  CalibratorVersionsTest() { EXPECT_TRUE(versions_.AddModelVersion(kTarget, "").ok()); }

  int64_t AddFitted(double temperature) {
    return versions_.AddFitted(kTarget, {Temperature(temperature), FitReport()})->version;
  }
  absl::StatusOr<CalibratorVersion> Activate(int64_t version, int64_t expected) {
    return versions_.Activate("fashion", 3, version, expected);
  }
  int64_t Active() { return versions_.Active("fashion", 3).version; }
  // As a server that starts anew on the same store.
  CalibratorVersions Restarted() {
    return CalibratorVersions(store_, clock_, [](const CalibratorVersion&) {});
  }

  ManualClock clock_{kStart};
  MemoryStore store_;
  std::vector<int64_t> told_;
  CalibratorVersions versions_{store_, clock_, [this](const CalibratorVersion& version) {
                                 EXPECT_EQ(version.state, CalibratorState::kActive);
                                 told_.push_back(version.version);
                               }};
};

TEST_F(CalibratorVersionsTest, PlainSoftmaxIsActiveAtFirst) {
  const CalibratorVersion active = versions_.Active("fashion", 3);
  EXPECT_EQ(active.version, 0);
  EXPECT_EQ(active.spec, Calibrator::None(4).spec());
  EXPECT_EQ(active.digest, "");
}

TEST_F(CalibratorVersionsTest, AModelVersionIsInstalledWithWhatIsActiveAndNoActivationComesBetween) {
  const int64_t version = AddFitted(2);
  ASSERT_TRUE(Activate(version, 0).ok());
  // The model version is published anew while another calibrator is being activated.
  const int64_t next = AddFitted(3);
  std::vector<int64_t> installed;
  std::atomic<bool> activating{false};
  std::thread activation;
  const auto install = [&](const CalibratorVersion& active) {
    activation = std::thread([&] {
      activating = true;
      EXPECT_TRUE(Activate(next, version).ok());
    });
    while (!activating) std::this_thread::yield();
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    EXPECT_EQ(told_.size(), 1u) << "the activation waits";
    installed.push_back(active.version);
  };
  EXPECT_TRUE(versions_.AddModelVersion(kTarget, "", install).ok());
  activation.join();
  EXPECT_THAT(installed, ElementsAre(version));
  EXPECT_THAT(told_, ElementsAre(version, next));
}

TEST_F(CalibratorVersionsTest, AModelVersionWithOtherClassesThanItsActiveCalibratorIsRefused) {
  ASSERT_TRUE(Activate(AddFitted(2), 0).ok());
  CalibrationTarget more = kTarget;
  more.classes = 5;
  const absl::Status status = versions_.AddModelVersion(more, "").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), AllOf(HasSubstr("4 classes"), HasSubstr("has 5")));
}

TEST_F(CalibratorVersionsTest, OtherWeightsUnderTheSameNumberRetireTheCalibrator) {
  CalibrationTarget target = kTarget;
  target.digest = "01d";
  ASSERT_TRUE(versions_.AddModelVersion(target, "").ok());
  const int64_t version = AddFitted(2);
  ASSERT_TRUE(Activate(version, 0).ok());
  EXPECT_EQ(Restarted().AddModelVersion(target, "")->version, version) << "the same weights";
  target.digest = "0ther";
  EXPECT_EQ(Restarted().AddModelVersion(target, "")->version, 0);
  EXPECT_EQ(versions_.List("fashion")->front().state, CalibratorState::kRetired);
  EXPECT_EQ(Restarted().AddModelVersion(target, "")->version, 0);
  EXPECT_TRUE(versions_.AddModelVersion(target, "").ok());
  EXPECT_TRUE(Activate(version, 0).ok()) << "by hand it can be had again";
  EXPECT_EQ(Restarted().AddModelVersion(target, "")->version, version);
}

TEST_F(CalibratorVersionsTest, WeightsThatComeBackHaveTheCalibratorThatTheyHad) {
  const CalibrationTarget first = WithDigest("01d"), second = WithDigest("0ther");
  ASSERT_TRUE(versions_.AddModelVersion(first, "").ok());
  const int64_t of_first = AddFitted(2);
  ASSERT_TRUE(Activate(of_first, 0).ok());
  EXPECT_EQ(versions_.AddModelVersion(second, "")->version, 0);
  EXPECT_EQ(Restarted().AddModelVersion(first, "")->version, of_first) << "as after a copy that was mended";
  ASSERT_TRUE(versions_.AddModelVersion(first, "").ok());
  EXPECT_EQ(versions_.AddModelVersion(second, "")->version, 0);
  const int64_t of_second = AddFitted(3);
  ASSERT_TRUE(Activate(of_second, 0).ok());
  EXPECT_EQ(versions_.AddModelVersion(first, "")->version, of_first);
  EXPECT_EQ(versions_.AddModelVersion(second, "")->version, of_second);
  EXPECT_EQ(Active(), of_second);
}

// Fails at one of the writes that a change of content makes.
class FailingStore final : public ForwardingStore {
 public:
  FailingStore(Store& to, int writes_before) : ForwardingStore(to), left_(writes_before) {}
  absl::Status ActivateCalibrator(const std::string& model, int64_t model_version, int64_t version,
                                  int64_t expected_active, absl::Time now) override {
    if (left_-- == 0) return absl::UnavailableError("disk full");
    return ForwardingStore::ActivateCalibrator(model, model_version, version, expected_active, now);
  }
  absl::Status SaveCheckpoint(const std::string& name, const Checkpoint& checkpoint,
                              absl::Span<const CheckpointPart> parts) override {
    if (left_-- == 0) return absl::UnavailableError("disk full");
    return ForwardingStore::SaveCheckpoint(name, checkpoint, parts);
  }

 private:
  int left_;
};

TEST_F(CalibratorVersionsTest, AChangeThatBreaksOffGivesNoWeightsTheCalibratorOfOthers) {
  const CalibrationTarget first = WithDigest("01d"), second = WithDigest("0ther");
  ASSERT_TRUE(versions_.AddModelVersion(first, "").ok());
  const int64_t of_first = AddFitted(2);
  ASSERT_TRUE(Activate(of_first, 0).ok());
  ASSERT_TRUE(versions_.AddModelVersion(second, "").ok());
  const int64_t of_second = AddFitted(3);
  ASSERT_TRUE(Activate(of_second, 0).ok());
  for (int writes = 0; writes < 3; ++writes) {
    FailingStore failing(store_, writes);
    CalibratorVersions broken_off(failing, clock_, [](const CalibratorVersion&) {});
    EXPECT_TRUE(absl::IsUnavailable(broken_off.AddModelVersion(first, "").status())) << writes;
    EXPECT_EQ(Restarted().AddModelVersion(first, "")->version, of_first) << writes;
    EXPECT_EQ(Restarted().AddModelVersion(second, "")->version, of_second) << writes;
  }
}

TEST_F(CalibratorVersionsTest, OtherWeightsComeWithTheirOwnCalibrator) {
  CalibrationTarget target = kTarget;
  target.digest = "01d";
  ASSERT_TRUE(versions_.AddModelVersion(target, CalibratorToJson({Temperature(2), {}})).ok());
  target.digest = "0ther";
  const CalibratorVersion active = *versions_.AddModelVersion(target, CalibratorToJson({Temperature(3), {}}));
  EXPECT_EQ(active.spec, Temperature(3));
  EXPECT_EQ(Active(), active.version);
  target.digest = "third";
  EXPECT_EQ(versions_.AddModelVersion(target, "")->version, 0);
  target.digest = "fourth";
  EXPECT_EQ(versions_.AddModelVersion(target, CalibratorToJson({Temperature(3), {}}))->version,
            active.version)
      << "also where plain softmax was active";
}

TEST_F(CalibratorVersionsTest, AFitForWeightsThatWereReplacedMeanwhileIsNotStored) {
  CalibrationTarget before = kTarget, after = kTarget;
  before.digest = "01d";
  after.digest = "0ther";
  ASSERT_TRUE(versions_.AddModelVersion(before, "").ok());
  ASSERT_TRUE(versions_.AddModelVersion(after, "").ok());
  const absl::Status status = versions_.AddFitted(before, {Temperature(2), {}}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("were replaced while"));
  EXPECT_THAT(*versions_.List("fashion"), IsEmpty());
}

TEST_F(CalibratorVersionsTest, FittedVersionIsStoredButNotActive) {
  const CalibratorVersion fitted = *versions_.AddFitted(kTarget, {Temperature(2), FitReport{.n = 40}});
  EXPECT_EQ(fitted.version, 1);
  EXPECT_EQ(fitted.state, CalibratorState::kFitted);
  EXPECT_EQ(fitted.origin, "fit");
  EXPECT_EQ(fitted.created, kStart);
  EXPECT_EQ(fitted.spec, Temperature(2));
  EXPECT_EQ(fitted.report->n, 40);
  EXPECT_EQ(fitted.digest, ContentDigest(store_.ListCalibrators("fashion")->front().content));
  EXPECT_EQ(Active(), 0);
  EXPECT_THAT(told_, IsEmpty());
}

TEST_F(CalibratorVersionsTest, HowLongAutoTookMakesNoOtherVersion) {
  FitReport report{.n = 40};
  report.comparison.emplace_back();
  report.comparison[0].seconds = 1;
  const CalibratorVersion fitted = *versions_.AddFitted(kTarget, {Temperature(2), report});
  report.comparison[0].seconds = 2;
  const CalibratorVersion again = *versions_.AddFitted(kTarget, {Temperature(2), report});
  EXPECT_EQ(again.digest, fitted.digest);
  EXPECT_EQ(again.version, fitted.version);
  report.comparison[0].nll = 0.5;
  EXPECT_NE(versions_.AddFitted(kTarget, {Temperature(2), report})->digest, fitted.digest);
}

TEST_F(CalibratorVersionsTest, ActivationIsToldStoredAndRemembered) {
  const int64_t version = AddFitted(2);
  clock_.Advance(absl::Hours(1));
  const CalibratorVersion active = *Activate(version, 0);
  EXPECT_EQ(active.version, version);
  EXPECT_EQ(active.state, CalibratorState::kActive);
  EXPECT_EQ(active.activated, kStart + absl::Hours(1));
  EXPECT_EQ(Active(), version);
  EXPECT_THAT(told_, ElementsAre(version));
  EXPECT_EQ(Restarted().AddModelVersion(kTarget, "")->version, version);
}

TEST_F(CalibratorVersionsTest, OnlyTheExpectedVersionIsReplaced) {
  const int64_t first = AddFitted(2), second = AddFitted(3);
  ASSERT_TRUE(Activate(first, 0).ok());
  EXPECT_THAT(Activate(second, 0).status(),
              StatusIs(absl::StatusCode::kAborted, HasSubstr("version 1 is active")));
  EXPECT_EQ(Active(), first);
  EXPECT_THAT(told_, ElementsAre(first));
  EXPECT_TRUE(Activate(second, first).ok());
  EXPECT_EQ(versions_.List("fashion")->back().state, CalibratorState::kRetired);
}

TEST_F(CalibratorVersionsTest, ActivatingWhatIsActiveChangesNothing) {
  const int64_t version = AddFitted(2);
  ASSERT_TRUE(Activate(version, 0).ok());
  clock_.Advance(absl::Hours(1));
  EXPECT_EQ(Activate(version, version)->activated, kStart);
  EXPECT_THAT(told_, ElementsAre(version));
}

TEST_F(CalibratorVersionsTest, UnknownVersionIsNotFoundWithThoseThatThereAre) {
  AddFitted(2);
  EXPECT_THAT(Activate(7, 0).status(),
              StatusIs(absl::StatusCode::kNotFound, AllOf(HasSubstr("version 7"), HasSubstr("it has 0, 1"))));
  EXPECT_THAT(versions_.Activate("fashion", 4, 1, 0).status(),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("")))
      << "it is another model version's";
}

TEST_F(CalibratorVersionsTest, RollbackGoesToWhatWasActiveBefore) {
  const int64_t first = AddFitted(2), second = AddFitted(3);
  EXPECT_THAT(versions_.Rollback("fashion", 3, 0).status(),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("")));
  ASSERT_TRUE(Activate(first, 0).ok());
  ASSERT_TRUE(Activate(second, first).ok());
  EXPECT_TRUE(absl::IsAborted(versions_.Rollback("fashion", 3, first).status()));
  EXPECT_EQ(versions_.Rollback("fashion", 3, second)->version, first);
  EXPECT_EQ(Active(), first);
  EXPECT_THAT(told_, ElementsAre(first, second, first));
}

TEST_F(CalibratorVersionsTest, RollbackOfTheFirstGoesToPlainSoftmax) {
  const int64_t version = AddFitted(2);
  ASSERT_TRUE(Activate(version, 0).ok());
  const CalibratorVersion softmax = *versions_.Rollback("fashion", 3, version);
  EXPECT_EQ(softmax.version, 0);
  EXPECT_EQ(softmax.spec, Calibrator::None(4).spec());
  EXPECT_EQ(Restarted().AddModelVersion(kTarget, "")->version, 0);
}

TEST_F(CalibratorVersionsTest, StoreThatFailsLeavesWhatIsActive) {
  const int64_t version = AddFitted(2);
  store_.FailWith(absl::UnavailableError("disk full"));
  EXPECT_TRUE(absl::IsUnavailable(Activate(version, 0).status()));
  EXPECT_EQ(Active(), 0);
  EXPECT_THAT(told_, IsEmpty());
}

TEST_F(CalibratorVersionsTest, ShippedCalibratorIsStoredOnceAndActiveAtFirst) {
  const std::string json = CalibratorToJson({Temperature(1.5), std::nullopt});
  CalibratorVersions fresh = Restarted();
  const CalibratorVersion active = *fresh.AddModelVersion(kTarget, json);
  EXPECT_EQ(active.version, 1);
  EXPECT_EQ(active.origin, "shipped");
  EXPECT_EQ(active.state, CalibratorState::kActive);
  EXPECT_EQ(fresh.AddModelVersion(kTarget, "\n " + json + " \n")->version, 1) << "layout is not content";
  EXPECT_EQ(store_.ListCalibrators("fashion")->size(), 1);
}

TEST_F(CalibratorVersionsTest, ShippedCalibratorDoesNotReplaceWhatWasChosen) {
  const std::string json = CalibratorToJson({Temperature(1.5), std::nullopt});
  const int64_t chosen = AddFitted(2);
  ASSERT_TRUE(Activate(chosen, 0).ok());
  EXPECT_EQ(Restarted().AddModelVersion(kTarget, json)->version, chosen);
  ASSERT_TRUE(versions_.Rollback("fashion", 3, chosen).ok());
  EXPECT_EQ(Restarted().AddModelVersion(kTarget, json)->version, 0) << "also where softmax was gone back to";
}

TEST_F(CalibratorVersionsTest, ShippedCalibratorThatIsNoneForTheModelIsRefused) {
  EXPECT_THAT(versions_.AddModelVersion(kTarget, "{").status(),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("")));
  CalibratorSpec other = Temperature(2);
  other.classes = 10;
  EXPECT_THAT(versions_.AddModelVersion(kTarget, CalibratorToJson({other, std::nullopt})).status(),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("is for 10 classes")));
}

TEST_F(CalibratorVersionsTest, FindsCalibratorsOfAnyState) {
  const int64_t version = AddFitted(2);
  EXPECT_EQ((*versions_.Find("fashion", 3, version))->spec(), Temperature(2));
  EXPECT_EQ(*versions_.Find("fashion", 3, 9), nullptr);
  EXPECT_EQ(*versions_.Find("fashion", 4, version), nullptr);
  store_.FailWith(absl::UnavailableError("disk full"));
  EXPECT_NE(*versions_.Find("fashion", 3, version), nullptr) << "it is remembered";
  EXPECT_TRUE(absl::IsUnavailable(versions_.Find("fashion", 3, 9).status())) << "it cannot be told now";
}

TEST_F(CalibratorVersionsTest, OfConcurrentActivationsOneWinsAndAllAgree) {
  std::vector<int64_t> added;
  for (int i = 0; i < 8; ++i) added.push_back(AddFitted(2 + i));
  std::atomic<int> won{0};
  std::vector<std::thread> threads;
  for (const int64_t version : added) {
    threads.emplace_back([&, version] {
      const absl::Status status = Activate(version, 0).status();
      EXPECT_TRUE(status.ok() || absl::IsAborted(status)) << status;
      if (status.ok()) ++won;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(won, 1);
  EXPECT_THAT(told_, ElementsAre(Active()));
  EXPECT_EQ(Restarted().AddModelVersion(kTarget, "")->version, Active());
}

}  // namespace
}  // namespace calserve
