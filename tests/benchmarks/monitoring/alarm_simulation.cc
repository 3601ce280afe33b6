// The alarm on simulated labels, as Markdown: how often it is raised where it should not be, and how soon
// where it should. A row is 10 logits of N(0, 3^2), served as softmax(z); its label is drawn from softmax(z /
// T), so T is the true temperature, and T = 1 is a model that is exactly right. Every figure has a fixed
// seed.
//
//   alarm_simulation [STREAMS]      2,000 is the default
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "calibration/calibration_alarm.h"

namespace calserve {
namespace {

constexpr int kClasses = 10;
constexpr int kRows = 1 << 16;
constexpr int64_t kLife = 100'000;  // labels of a stream
constexpr AlarmOptions kOptions;

// SplitMix64 (Steele, Lea and Flood, 2014).
class Random {
 public:
  // A seed of its own for each stream: seeds next to each other would give the same numbers, one later.
  explicit Random(uint64_t seed) : state_(seed) { state_ = Next() ^ seed << 32; }
  uint64_t Next() {
    uint64_t x = state_ += 0x9e3779b97f4a7c15;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
    x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
    return x ^ (x >> 31);
  }
  double Uniform() { return static_cast<double>(Next() >> 11) * 0x1p-53; }

 private:
  uint64_t state_;
};

// Rows that labels are drawn for.
struct Population {
  std::vector<float> confidences;
  std::vector<double> right;  // chance that the prediction is right

  double Gap() const {
    double sum = 0;
    for (size_t i = 0; i < right.size(); ++i) sum += confidences[i] - right[i];
    return sum / static_cast<double>(right.size());
  }
};

Population OfTemperature(double temperature) {
  std::mt19937_64 generator(1);
  std::normal_distribution<double> normal(0, 3);
  Population population;
  for (int i = 0; i < kRows; ++i) {
    std::array<double, kClasses> z;
    for (double& value : z) value = normal(generator);
    const double top = *std::max_element(z.begin(), z.end());
    double served = 0, truly = 0;
    for (const double value : z) {
      served += std::exp(value - top);
      truly += std::exp((value - top) / temperature);
    }
    population.confidences.push_back(static_cast<float>(1 / served));
    population.right.push_back(1 / truly);
  }
  return population;
}

// Every prediction is right with its confidence minus `gap`: so the gap is the same given any past.
Population OfGap(double gap) {
  Population population = OfTemperature(1);
  for (int i = 0; i < kRows; ++i) {
    population.confidences[i] = std::min(population.confidences[i], static_cast<float>(1 - std::abs(gap)));
    population.right[i] = population.confidences[i] - gap;
  }
  return population;
}

// Labels until the alarm, or `labels` of them; rows are of `before` for the first `change`.
std::optional<RaisedAlarm> Run(const Population& before, const Population& after, int64_t change,
                               int64_t labels, int seed) {
  CalibrationAlarm alarm = *CalibrationAlarm::Create(kOptions);
  Random random(static_cast<uint64_t>(seed) + 1);
  for (int64_t t = 1; t <= labels; ++t) {
    const Population& rows = t <= change ? before : after;
    const uint64_t row = random.Next() % kRows;
    alarm.Push(rows.confidences[row], random.Uniform() < rows.right[row], {t, 0});
    if (alarm.raised()) break;
  }
  return alarm.Status().raised;
}

std::string Quantile(std::vector<int64_t>& values, double level, int streams) {
  const size_t index = static_cast<size_t>(std::ceil(level * streams)) - 1;
  if (index >= values.size()) return "—";
  std::nth_element(values.begin(), values.begin() + static_cast<int64_t>(index), values.end());
  return std::to_string(values[index]);
}

void FalseAlarms(int streams) {
  std::printf("## False alarms\n\n%d streams of %lld labels each, tau = %g, alpha = %g.\n\n", streams,
              static_cast<long long>(kLife), kOptions.tolerance, kOptions.alpha);
  std::printf(
      "| the model | mean gap | streams with an alarm | share | at most alpha |\n|---|---|---|---|---|\n");
  struct Case {
    const char* name;
    Population rows;
  };
  for (const Case& c : {Case{"exactly right", OfTemperature(1)}, Case{"half of tau too sure", OfGap(0.005)},
                        Case{"tau too sure, at every label", OfGap(0.01)},
                        Case{"tau too unsure, at every label", OfGap(-0.01)}}) {
    int raised = 0;
    for (int seed = 0; seed < streams; ++seed) {
      raised += Run(c.rows, c.rows, 0, kLife, seed).has_value() ? 1 : 0;
    }
    const double share = static_cast<double>(raised) / streams;
    std::printf("| %s | %+.4f | %d | %.2f %% | %s |\n", c.name, c.rows.Gap(), raised, 100 * share,
                share <= kOptions.alpha ? "yes" : "**no**");
    std::fflush(stdout);
  }
}

void Delays(int streams, int64_t change) {
  std::printf("\n## Labels until the alarm, %s\n\n%d streams, of %lld labels at most after the change.\n\n",
              change == 0 ? "wrong from the first label" : "wrong from label 5,001 on, exactly right before",
              streams, static_cast<long long>(kLife));
  std::printf(
      "| true temperature | mean gap | found | delay p10 | p50 | p90 | %schange point - truth, p10 | p50 | "
      "p90 |\n",
      change == 0 ? "" : "alarm before the change | ");
  std::printf("|---|---|---|---|---|---|%s---|---|---|\n", change == 0 ? "" : "---|");
  const Population right = OfTemperature(1);
  for (const double temperature : {1.1, 1.25, 1.5, 2.0, 0.8}) {
    const Population rows = OfTemperature(temperature);
    std::vector<int64_t> delays, errors;
    int early = 0;
    for (int seed = 0; seed < streams; ++seed) {
      const std::optional<RaisedAlarm> raised = Run(right, rows, change, change + kLife, seed);
      if (!raised.has_value()) continue;
      if (raised->since.position <= change) {
        ++early;
        continue;
      }
      delays.push_back(raised->since.position - change);
      errors.push_back(raised->change_point.position - change - 1);
    }
    std::printf("| %.2f | %+.4f | %.1f %% |", temperature, rows.Gap(),
                100.0 * static_cast<double>(delays.size()) / streams);
    for (const double level : {0.1, 0.5, 0.9}) std::printf(" %s |", Quantile(delays, level, streams).c_str());
    if (change > 0) std::printf(" %d |", early);
    const int found = static_cast<int>(errors.size());
    for (const double level : {0.1, 0.5, 0.9}) std::printf(" %s |", Quantile(errors, level, found).c_str());
    std::printf("\n");
    std::fflush(stdout);
  }
}

}  // namespace
}  // namespace calserve

int main(int argc, char** argv) {
  const int streams = argc > 1 ? std::atoi(argv[1]) : 2000;
  if (streams < 1) {
    std::fprintf(stderr, "usage: alarm_simulation [STREAMS]\n");
    return 2;
  }
  calserve::FalseAlarms(streams);
  calserve::Delays(std::max(1, streams / 4), 0);
  calserve::Delays(std::max(1, streams / 4), 5000);
}
