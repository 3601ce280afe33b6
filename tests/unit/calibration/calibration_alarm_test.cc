#include "calibration/calibration_alarm.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "tests/unit/calibration/test_util.h"

namespace calserve {
namespace {

using absl::StatusCode;

CalibrationAlarm Alarm(double tolerance = 0.01, double alpha = 0.01) {
  return *CalibrationAlarm::Create({tolerance, alpha});
}

// Labels of a model whose predictions are right with probability confidence - gap.
class Stream {
 public:
  explicit Stream(int seed, double gap = 0) : generator_(seed), gap_(gap) {}
  void SetGap(double gap) { gap_ = gap; }
  void PushInto(CalibrationAlarm& alarm, int labels) {
    for (int i = 0; i < labels; ++i) {
      const double confidence = 0.3 + 0.6 * Uniform();
      ++position_;
      alarm.Push(static_cast<float>(confidence), Uniform() < confidence - gap_,
                 {position_, 1000 * position_});
    }
  }
  // Until the alarm is raised; labels pushed.
  int PushUntilRaised(CalibrationAlarm& alarm, int most) {
    for (int i = 1; i <= most; ++i) {
      PushInto(alarm, 1);
      if (alarm.Status().raised.has_value()) return i;
    }
    return most + 1;
  }
  int64_t position() const { return position_; }

 private:
  double Uniform() { return std::uniform_real_distribution<double>(0, 1)(generator_); }
  std::mt19937_64 generator_;
  double gap_;
  int64_t position_ = 0;
};

TEST(CalibrationAlarmTest, SaysNothingBeforeTheFirstLabel) {
  const AlarmStatus status = Alarm().Status();
  EXPECT_EQ(status.labels, 0);
  EXPECT_EQ(status.e_overconfident, 1);
  EXPECT_EQ(status.e_underconfident, 1);
  EXPECT_EQ(status.e_exact, 1);
  EXPECT_FALSE(status.raised.has_value());
  EXPECT_FALSE(status.acknowledged.has_value());
}

TEST(CalibrationAlarmTest, ThresholdsSpendAlphaOnceOverAllAcknowledgements) {
  CalibrationAlarm alarm = Alarm(0.01, 0.02);
  Stream stream(1, 0.3);
  double spent = 0;
  for (int k = 1; k <= 50; ++k) {
    spent += 2 / alarm.Status().threshold;  // both directions
    EXPECT_NEAR(2 / alarm.Status().threshold, 0.02 * 6 / (M_PI * M_PI * k * k), 1e-12);
    ASSERT_LE(stream.PushUntilRaised(alarm, 10'000), 10'000);
    ASSERT_TRUE(alarm.Acknowledge({stream.position(), 0}));
  }
  EXPECT_LT(spent, 0.02);
}

TEST(CalibrationAlarmTest, RaisesInTheDirectionOfTheGapAndStaysRaised) {
  for (const double gap : {0.08, -0.08}) {
    CalibrationAlarm alarm = Alarm();
    Stream stream(7, gap);
    ASSERT_LE(stream.PushUntilRaised(alarm, 5000), 5000);
    const RaisedAlarm raised = *alarm.Status().raised;
    EXPECT_EQ(raised.direction, gap > 0 ? GapDirection::kOverconfident : GapDirection::kUnderconfident);
    EXPECT_EQ(raised.since, (LogPoint{stream.position(), 1000 * stream.position()}));
    EXPECT_GE(gap > 0 ? alarm.Status().e_overconfident : alarm.Status().e_underconfident,
              alarm.Status().threshold);

    stream.SetGap(-gap);
    stream.PushInto(alarm, 20'000);
    EXPECT_EQ(alarm.Status().raised, raised);
  }
}

TEST(CalibrationAlarmTest, FindsALateChangeAndWhereItBegan) {
  std::vector<int64_t> begins;
  for (int seed = 0; seed < 20; ++seed) {
    CalibrationAlarm alarm = Alarm();
    Stream stream(seed);
    stream.PushInto(alarm, 20'000);
    ASSERT_FALSE(alarm.Status().raised.has_value());
    stream.SetGap(0.1);
    ASSERT_LE(stream.PushUntilRaised(alarm, 2000), 2000);
    begins.push_back(alarm.Status().raised->change_point.position);
  }
  std::sort(begins.begin(), begins.end());
  EXPECT_NEAR(static_cast<double>(begins[begins.size() / 2]), 20'001, 60);
}

TEST(CalibrationAlarmTest, RaisesRarelyWhileTheGapIsWithinTheTolerance) {
  for (const double gap : {0.0, 0.02, -0.02}) {
    int raised = 0;
    for (int seed = 0; seed < 300; ++seed) {
      CalibrationAlarm alarm = Alarm(0.02, 0.1);
      Stream stream(seed, gap);
      raised += stream.PushUntilRaised(alarm, 3000) <= 3000 ? 1 : 0;
    }
    EXPECT_LE(raised, 30) << gap;  // the bound is on the expectation, which is well below
  }
}

TEST(CalibrationAlarmTest, AnAcknowledgementTakesTheAlarmBackAndBeginsAnew) {
  CalibrationAlarm alarm = Alarm();
  Stream stream(3, 0.2);
  EXPECT_FALSE(alarm.Acknowledge({0, 0}));
  ASSERT_LE(stream.PushUntilRaised(alarm, 5000), 5000);
  const LogPoint at = {stream.position(), 77};
  ASSERT_TRUE(alarm.Acknowledge(at));
  const AlarmStatus status = alarm.Status();
  EXPECT_FALSE(status.raised.has_value());
  EXPECT_EQ(status.acknowledgements, 1);
  EXPECT_EQ(status.acknowledged, at);
  EXPECT_EQ(status.labels, 0);
  EXPECT_EQ(status.e_overconfident, 1);
  EXPECT_GT(status.e_exact, 1);  // goes on
  EXPECT_FALSE(alarm.Acknowledge({stream.position() + 1, 0}));

  // What is still wrong is found again, later than an acknowledgement that is replayed.
  ASSERT_LE(stream.PushUntilRaised(alarm, 5000), 5000);
  EXPECT_FALSE(alarm.Acknowledge(at));
  EXPECT_TRUE(alarm.Acknowledge({stream.position(), 0}));
}

TEST(CalibrationAlarmTest, StaysFiniteWhateverTheLabels) {
  for (const float confidence : {0.0f, 1e-45f, 0.5f, 0x1.fffffep-1f, 1.0f}) {
    for (const bool correct : {false, true}) {
      CalibrationAlarm alarm = Alarm();
      for (int i = 1; i <= 20'000; ++i) alarm.Push(confidence, correct, {i, i});
      for (int i = 0; i < 100; ++i) alarm.Push(1.0f - confidence, correct, {20'000 + i, i});
      const AlarmStatus status = alarm.Status();
      for (const double e : {status.e_overconfident, status.e_underconfident, status.e_exact}) {
        EXPECT_TRUE(std::isfinite(e) && e > 0) << confidence << " " << correct << " " << e;
      }
    }
  }
}

TEST(CalibrationAlarmTest, ARestoredStateGoesOnToTheBit) {
  std::mt19937 generator(5);
  CalibrationAlarm whole = Alarm();
  CalibrationAlarm restored = Alarm();
  Stream stream(11), same(11);
  for (int step = 0; step < 200; ++step) {
    if (step == 60) stream.SetGap(0.1), same.SetGap(0.1);
    stream.PushInto(whole, 40);
    same.PushInto(restored, 40);
    if (generator() % 4 == 0) {
      EXPECT_EQ(whole.Acknowledge({stream.position(), 1}), restored.Acknowledge({stream.position(), 1}));
    }
    if (generator() % 3 != 0) continue;
    absl::StatusOr<CalibrationAlarm> again = CalibrationAlarm::Deserialize(restored.Serialize());
    ASSERT_TRUE(again.ok()) << again.status();
    restored = *again;
    ASSERT_EQ(restored.Status(), whole.Status());
    ASSERT_EQ(restored.Serialize(), whole.Serialize());
  }
  EXPECT_GT(whole.Status().acknowledgements, 0);
}

TEST(CalibrationAlarmTest, RefusesBytesThatAreNoAlarm) {
  CalibrationAlarm alarm = Alarm();
  Stream(2).PushInto(alarm, 100);
  const std::string bytes = alarm.Serialize();
  ExpectError(CalibrationAlarm::Deserialize(""), StatusCode::kDataLoss, "begin");
  ExpectError(CalibrationAlarm::Deserialize(bytes.substr(0, bytes.size() - 1)), StatusCode::kDataLoss, "");
  ExpectError(CalibrationAlarm::Deserialize(bytes + "x"), StatusCode::kDataLoss, "length");
  std::string other = bytes;
  other[4] = 9;
  ExpectError(CalibrationAlarm::Deserialize(other), StatusCode::kFailedPrecondition, "version 9");
  other = bytes;
  other.replace(other.size() - 32, 8, std::string(8, '\xff'));  // a NaN
  ExpectError(CalibrationAlarm::Deserialize(other), StatusCode::kDataLoss, "out of range");
}

TEST(CalibrationAlarmTest, NamesTheOptionThatIsOutOfRange) {
  ExpectError(CalibrationAlarm::Create({-0.01, 0.01}), StatusCode::kInvalidArgument, "tolerance");
  ExpectError(CalibrationAlarm::Create({0.3, 0.01}), StatusCode::kInvalidArgument, "was 0.3");
  ExpectError(CalibrationAlarm::Create({std::nan(""), 0.01}), StatusCode::kInvalidArgument, "tolerance");
  ExpectError(CalibrationAlarm::Create({0.01, 0}), StatusCode::kInvalidArgument, "alpha");
  ExpectError(CalibrationAlarm::Create({0.01, 1}), StatusCode::kInvalidArgument, "was 1");
}

}  // namespace
}  // namespace calserve
