#include "calibration/rolling_windows.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "tests/unit/calibration/test_util.h"
#include "tests/unit/calibration/window_test_util.h"

namespace calserve {
namespace {

using ::testing::DoubleNear;
using ::testing::Optional;

const std::vector<std::string> kMixed = {"last_1", "last_17", "last_400", "last_30s", "last_5m", "decay_1m"};

WindowLabel LabelAt(int64_t time, float confidence = 0.9f, bool correct = true) {
  WindowLabel label;
  label.time_micros = time;
  label.served = {confidence, correct, 0.5f, 0.25f};
  label.uncalibrated = {0.99f, correct, 1.5f, 0.75f};
  return label;
}

// The labels of `history` that a window holds at `now`, chosen by its definition.
std::vector<WindowLabel> Held(const WindowSpec& spec, const std::vector<WindowLabel>& history, int64_t now) {
  std::vector<WindowLabel> held;
  for (size_t i = 0; i < history.size(); ++i) {
    const bool in = spec.kind == WindowSpec::Kind::kLastCount
                        ? static_cast<int64_t>(history.size() - i) <= spec.count
                        : history[i].time_micros > now - spec.micros;
    if (in) held.push_back(history[i]);
  }
  return held;
}

// Sums in doubles over the held labels, each with a weight.
void ExpectBruteForce(const std::vector<WindowLabel>& held, const std::vector<double>& weights,
                      const CalibrationMetrics& actual, WindowLabel::Score WindowLabel::*score) {
  const int bins = static_cast<int>(actual.bins.size());
  std::vector<double> gaps(bins), bin_weights(bins);
  double weight = 0, squares = 0, correct = 0, confidence = 0, with_logits = 0, nll = 0, brier = 0;
  for (size_t i = 0; i < held.size(); ++i) {
    const WindowLabel::Score& s = held[i].*score;
    const double w = weights[i];
    const int bin = BinIndex(s.confidence, bins);
    gaps[bin] += w * ((s.correct ? 1 : 0) - static_cast<double>(s.confidence));
    bin_weights[bin] += w;
    weight += w;
    squares += w * w;
    correct += s.correct ? w : 0;
    confidence += w * s.confidence;
    if (s.nll == WindowLabel::kNoLogits) continue;
    with_logits += w;
    nll += w * s.nll;
    brier += w * s.brier;
  }
  ASSERT_EQ(actual.n, std::llround(weight));
  if (actual.n == 0) return;
  // A decaying window leaves out bins that have decayed to next to nothing.
  const bool decaying = squares != weight;
  const double tolerance = decaying ? 5e-3 : 1e-8;
  double ece = 0, mce = 0;
  for (int b = 0; b < bins; ++b) {
    ece += std::abs(gaps[b]) / weight;
    if (bin_weights[b] > 1e-3) mce = std::max(mce, std::abs(gaps[b]) / bin_weights[b]);
    EXPECT_NEAR(actual.bins[b].count, bin_weights[b], tolerance);
  }
  EXPECT_NEAR(actual.n_effective, weight * weight / squares, tolerance * actual.n_effective);
  EXPECT_NEAR(actual.accuracy, correct / weight, tolerance);
  EXPECT_NEAR(actual.mean_confidence, confidence / weight, tolerance);
  EXPECT_NEAR(actual.ece, ece, tolerance);
  EXPECT_GE(actual.mce, mce - 1e-6);
  EXPECT_TRUE(decaying || actual.mce <= mce + 1e-6);
  EXPECT_EQ(actual.n_with_logits, std::llround(with_logits));
  if (actual.n_with_logits == 0) return;
  EXPECT_THAT(actual.nll, Optional(DoubleNear(nll / with_logits, 1e-6)));
  EXPECT_THAT(actual.brier, Optional(DoubleNear(brier / with_logits, 1e-6)));
}

TEST(RollingWindowsTest, HoldWhatTheirDefinitionsSayAtEveryStep) {
  const std::unique_ptr<RollingWindows> windows = Windows(kMixed, 10);
  LabelStream stream(1);
  std::vector<WindowLabel> history;
  int64_t now = 0;
  for (int step = 0; step < 1500; ++step) {
    history.push_back(stream.Next());
    Push(windows.get(), history.back());
    now = std::max(now, history.back().time_micros + (step % 3 == 0 ? step % 7 * kSecond / 2 : 0));
    for (size_t i = 0; i < kMixed.size(); ++i) {
      const WindowSpec& spec = windows->specs()[i];
      SCOPED_TRACE(spec.name + " at step " + std::to_string(step));
      std::vector<WindowLabel> held = history;
      std::vector<double> weights(held.size(), 1);
      if (spec.kind == WindowSpec::Kind::kDecay) {
        for (size_t j = 0; j < held.size(); ++j) {
          weights[j] =
              std::exp2(-static_cast<double>(now - held[j].time_micros) / static_cast<double>(spec.micros));
        }
      } else {
        held = Held(spec, history, now);
        weights.assign(held.size(), 1);
      }
      const WindowMetrics report = windows->Report(static_cast<int>(i), now);
      ExpectBruteForce(held, weights, report.served, &WindowLabel::served);
      ExpectBruteForce(held, weights, report.uncalibrated, &WindowLabel::uncalibrated);
      EXPECT_FALSE(report.truncated);
      if (HasFailure()) return;
    }
  }
}

// Eviction leaves nothing behind: a window that has seen much equals one that has only seen what it holds.
TEST(RollingWindowsTest, EvictionIsExactToTheBit) {
  const std::vector<std::string> names = {"last_50", "last_60s"};
  const std::unique_ptr<RollingWindows> windows = Windows(names);
  LabelStream stream(2);
  std::vector<WindowLabel> history;
  for (int step = 0; step < 3000; ++step) {
    history.push_back(stream.Next());
    Push(windows.get(), history.back());
    if (step % 100 != 0) continue;
    const int64_t now = history.back().time_micros;
    for (int i = 0; i < 2; ++i) {
      const std::unique_ptr<RollingWindows> fresh = Windows({names[i]});
      for (const WindowLabel& label : Held(fresh->specs()[0], history, now)) Push(fresh.get(), label);
      ExpectSameMetrics(windows->Report(i, now).served, fresh->Report(0, now).served);
      ExpectSameMetrics(windows->Report(i, now).uncalibrated, fresh->Report(0, now).uncalibrated);
    }
  }
}

TEST(RollingWindowsTest, ReportsDoNotDependOnEarlierReports) {
  const std::unique_ptr<RollingWindows> asked = Windows(kMixed), silent = Windows(kMixed);
  LabelStream stream(3);
  int64_t now = 0;
  for (int step = 0; step < 2000; ++step) {
    const WindowLabel label = stream.Next();
    Push(asked.get(), label);
    Push(silent.get(), label);
    now = std::max(now, label.time_micros + step % 11 * kSecond);
    asked->Report(step % static_cast<int>(kMixed.size()), now);
  }
  ExpectSameReports(asked.get(), silent.get(), now);
}

TEST(RollingWindowsTest, ALabelLeavesALastTWindowExactlyTAfterItsTime) {
  const std::unique_ptr<RollingWindows> windows = Windows({"last_30s"});
  Push(windows.get(), LabelAt(kStart));
  EXPECT_EQ(windows->Report(0, kStart + 30 * kSecond - 1).served.n, 1);
  EXPECT_EQ(windows->Report(0, kStart + 30 * kSecond).served.n, 0);
}

TEST(RollingWindowsTest, EvictionOfEverythingLeavesZerosAndNoMemory) {
  const std::unique_ptr<RollingWindows> windows = Windows({"last_30s", "last_1m", "decay_1m"});
  for (int i = 0; i < 10'000; ++i) Push(windows.get(), LabelAt(kStart + i));
  EXPECT_EQ(windows->labels_held(), 10'000);
  const int64_t later = kStart + 86'400 * kSecond;
  for (int i = 0; i < 3; ++i) {
    const WindowMetrics report = windows->Report(i, later);
    EXPECT_EQ(report.served.n, 0);
    EXPECT_EQ(report.served.ece, 0);
    EXPECT_EQ(report.served.n_effective, 0);
    EXPECT_FALSE(report.served.nll.has_value());
    EXPECT_EQ(report.served.bins.size(), static_cast<size_t>(kDefaultBins));
  }
  EXPECT_EQ(windows->labels_held(), 0);
  EXPECT_LT(windows->bytes(), 10'000);
  Push(windows.get(), LabelAt(later));
  EXPECT_EQ(windows->Report(0, later).served.n, 1);
}

TEST(RollingWindowsTest, NoLabelsGiveEmptyReports) {
  const std::unique_ptr<RollingWindows> windows = Windows(kMixed);
  for (size_t i = 0; i < kMixed.size(); ++i) {
    const WindowMetrics report = windows->Report(static_cast<int>(i), kStart);
    EXPECT_EQ(report.served.n, 0);
    EXPECT_EQ(report.served.ece, 0);
    EXPECT_FALSE(report.truncated);
  }
}

TEST(RollingWindowsTest, ServedAndUncalibratedAreApart) {
  const std::unique_ptr<RollingWindows> windows = Windows({"last_10"});
  Push(windows.get(), LabelAt(kStart, 0.8f, true));
  const WindowMetrics report = windows->Report(0, kStart);
  EXPECT_NEAR(report.served.ece, 0.2, 1e-7);
  EXPECT_NEAR(report.uncalibrated.ece, 0.01, 1e-7);
  EXPECT_THAT(report.served.nll, Optional(0.5));
  EXPECT_THAT(report.uncalibrated.nll, Optional(1.5));
  EXPECT_THAT(report.served.brier, Optional(0.25));
}

TEST(RollingWindowsTest, PredictionsWithoutLogitsCountInEceOnly) {
  const std::unique_ptr<RollingWindows> windows = Windows({"last_10", "decay_1h"});
  Push(windows.get(), LabelAt(kStart));
  WindowLabel without = LabelAt(kStart);
  without.served.nll = without.served.brier = WindowLabel::kNoLogits;
  Push(windows.get(), without);
  for (int i = 0; i < 2; ++i) {
    const WindowMetrics report = windows->Report(i, kStart);
    EXPECT_EQ(report.served.n, 2);
    EXPECT_EQ(report.served.n_with_logits, 1);
    EXPECT_THAT(report.served.nll, Optional(0.5));
    EXPECT_EQ(report.uncalibrated.n_with_logits, 2);
  }
}

TEST(RollingWindowsTest, ADecayingLabelWeighsHalfAfterItsHalfLife) {
  const std::unique_ptr<RollingWindows> windows = Windows({"decay_1m"});
  for (int i = 0; i < 8; ++i) Push(windows.get(), LabelAt(kStart, 0.5f, true));
  const int64_t later = kStart + 60 * kSecond;
  Push(windows.get(), LabelAt(later, 0.5f, false));
  const WindowMetrics report = windows->Report(0, later);
  EXPECT_EQ(report.served.n, 5);  // 8 halves and 1
  EXPECT_NEAR(report.served.accuracy, 0.8, 1e-12);
  EXPECT_NEAR(report.served.n_effective, 25 / (8 * 0.25 + 1), 1e-9);
  EXPECT_EQ(windows->Report(0, later + 60 * kSecond).served.n, 3);  // 2.5 rounds up
  EXPECT_NEAR(windows->Report(0, later + 60 * kSecond).served.accuracy, 0.8, 1e-12);
  EXPECT_EQ(windows->labels_held(), 0) << "a decaying window needs no label";
}

TEST(RollingWindowsTest, ADecayingWindowSurvivesCenturiesOfSilence) {
  const std::unique_ptr<RollingWindows> windows = Windows({"decay_1s"});
  Push(windows.get(), LabelAt(0));
  const int64_t later = int64_t{300} * 365 * 86'400 * kSecond;
  EXPECT_EQ(windows->Report(0, later).served.n, 0);
  Push(windows.get(), LabelAt(later, 0.8f, false));
  const WindowMetrics report = windows->Report(0, later);
  EXPECT_EQ(report.served.n, 1);
  EXPECT_NEAR(report.served.ece, 0.8, 1e-7);
  EXPECT_NEAR(report.served.mce, 0.8, 1e-7);
  EXPECT_EQ(report.served.n_effective, 1);
}

TEST(RollingWindowsTest, ALastTWindowBeyondMaxLabelsSaysTruncatedUntilItWouldHoldNoMoreAnyway) {
  const std::unique_ptr<RollingWindows> windows = Windows({"last_1m"}, kDefaultBins, 100);
  for (int i = 0; i < 100; ++i) Push(windows.get(), LabelAt(kStart + i * kSecond / 10));
  EXPECT_FALSE(windows->Report(0, kStart + 10 * kSecond).truncated);
  Push(windows.get(), LabelAt(kStart + 10 * kSecond));
  EXPECT_TRUE(windows->Report(0, kStart + 10 * kSecond).truncated);
  EXPECT_EQ(windows->Report(0, kStart + 10 * kSecond).served.n, 100);
  EXPECT_EQ(windows->labels_held(), 100);
  EXPECT_TRUE(windows->Report(0, kStart + 60 * kSecond - 1).truncated);
  EXPECT_FALSE(windows->Report(0, kStart + 60 * kSecond).truncated)
      << "the evicted label would be out by now";
}

TEST(RollingWindowsTest, CountWindowsBoundTheRingByTheLargest) {
  const std::unique_ptr<RollingWindows> windows = Windows({"last_100", "last_1000"});
  for (int i = 0; i < 50'000; ++i) Push(windows.get(), LabelAt(kStart));
  EXPECT_EQ(windows->labels_held(), 1000);
  const std::unique_ptr<RollingWindows> empty = Windows({"last_100", "last_1000"});
  EXPECT_EQ(windows->bytes() - empty->bytes(), 32 * 1000);
}

TEST(RollingWindowsTest, BadLabelsChangeNothing) {
  const std::unique_ptr<RollingWindows> windows = Windows(kMixed);
  Push(windows.get(), LabelAt(kStart));
  const std::string before = windows->Serialize();
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  struct Case {
    float WindowLabel::Score::*field;
    float value;
    std::string part;
  };
  for (const Case& c :
       std::vector<Case>{{&WindowLabel::Score::confidence, kNan, "confidence"},
                         {&WindowLabel::Score::confidence, -0.01f, "confidence"},
                         {&WindowLabel::Score::confidence, 1.01f, "confidence must be in [0, 1]"},
                         {&WindowLabel::Score::nll, kNan, "nll"},
                         {&WindowLabel::Score::nll, 100.5f, "nll must be in [0, 100]; was 100.5"},
                         {&WindowLabel::Score::nll, WindowLabel::kNoLogits, "nll"},
                         {&WindowLabel::Score::brier, 2.5f, "brier"},
                         {&WindowLabel::Score::brier, WindowLabel::kNoLogits, "brier"}}) {
    WindowLabel served = LabelAt(kStart), uncalibrated = LabelAt(kStart);
    served.served.*c.field = c.value;
    uncalibrated.uncalibrated.*c.field = c.value;
    ExpectError(windows->Push(served), absl::StatusCode::kInvalidArgument, "served " + c.part);
    ExpectError(windows->Push(uncalibrated), absl::StatusCode::kInvalidArgument, "uncalibrated " + c.part);
  }
  ExpectError(windows->Push(LabelAt(kStart - 1)), absl::StatusCode::kInvalidArgument, "must not be before");
  EXPECT_EQ(windows->Serialize(), before);
  ExpectError(Windows(kMixed)->Push(LabelAt(-1)), absl::StatusCode::kInvalidArgument, "must not be before 0");
}

TEST(RollingWindowsTest, CreateRefusesWhatCannotWork) {
  using absl::StatusCode;
  ExpectError(RollingWindows::Create({}), StatusCode::kInvalidArgument, "at least one window");
  ExpectError(RollingWindows::Create(Specs({"last_10", "last_10"})), StatusCode::kInvalidArgument,
              "two windows");
  ExpectError(RollingWindows::Create(Specs({"last_10"}), 0), StatusCode::kInvalidArgument, "bins");
  ExpectError(RollingWindows::Create(Specs({"last_10"}), 15, 0), StatusCode::kInvalidArgument, "max_labels");
  ExpectError(RollingWindows::Create(Specs({"last_10"}), 15, 9), StatusCode::kInvalidArgument,
              "max_labels = 9");
  ExpectError(RollingWindows::Create({WindowSpec{"x"}}), StatusCode::kInvalidArgument, "window x");
  ExpectError(RollingWindows::Create({WindowSpec{"x", WindowSpec::Kind::kDecay}}),
              StatusCode::kInvalidArgument, "window x");
}

}  // namespace
}  // namespace calserve
