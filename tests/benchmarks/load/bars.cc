#include "tests/benchmarks/load/bars.h"

#include <cstddef>
#include <string>
#include <utility>

#include "absl/strings/str_format.h"

namespace calserve::load {
namespace {

// A model that is faster is held against what echo and raw would do together.
constexpr absl::Duration kSmallModel = absl::Milliseconds(5);

absl::Duration MedianOf(const std::vector<Measurement>& rounds, absl::Duration Measurement::*field) {
  std::vector<double> values;
  for (const Measurement& round : rounds) values.push_back(absl::ToDoubleNanoseconds(round.*field));
  return absl::Nanoseconds(Median(std::move(values)));
}

// The setting that takes least processor time, by the median of its rounds.
const std::vector<Measurement>& Thriftiest(const LeastRounds& settings) {
  return std::min_element(settings.begin(), settings.end(),
                          [](const auto& a, const auto& b) {
                            return Median(a.second).cpu_each < Median(b.second).cpu_each;
                          })
      ->second;
}

// One number of three measurements of one round; the second is of echo or of least.
using Ratio = double (*)(const Measurement& raw, const Measurement& other, const Measurement& measured);

struct Bar {
  const char* text;
  double limit;
  bool at_least;        // else at most
  Ratio of_echo;        // of served or of least
  Ratio of_least;       // of served
  bool by_cpu = false;  // the least that takes least processor time, else the one that answers most
  bool Met(double value) const { return at_least ? value >= limit : value <= limit; }
};

constexpr Bar kThroughput = {
    "requests/s of 1 / (1/echo + 1/raw) ≥ 0.85", 0.85, /*at_least=*/true,
    [](const Measurement& raw, const Measurement& echo, const Measurement& measured) {
      return measured.per_second * (1 / echo.per_second + 1 / raw.per_second);
    },
    [](const Measurement&, const Measurement& least, const Measurement& served) {
      return served.per_second / least.per_second;
    }};
constexpr Bar kThroughputOfLarge = {
    "requests/s of raw ≥ 0.95", 0.95, /*at_least=*/true,
    [](const Measurement& raw, const Measurement&, const Measurement& measured) {
      return measured.per_second / raw.per_second;
    },
    kThroughput.of_least};
constexpr Bar kLatency = {"p50 of raw + 1.5 × echo ≤ 1", 1, /*at_least=*/false,
                          [](const Measurement& raw, const Measurement& echo, const Measurement& measured) {
                            return absl::FDivDuration(measured.p50, raw.p50 + 1.5 * echo.p50);
                          },
                          [](const Measurement&, const Measurement& least, const Measurement& served) {
                            return absl::FDivDuration(served.p50, least.p50);
                          }};
constexpr Bar kCpu = {"server CPU beyond raw, of echo's ≤ 1.3",
                      1.3,
                      /*at_least=*/false,
                      [](const Measurement& raw, const Measurement& echo, const Measurement& measured) {
                        return absl::FDivDuration(measured.cpu_each - raw.cpu_each, echo.cpu_each);
                      },
                      [](const Measurement& raw, const Measurement& least, const Measurement& served) {
                        return absl::FDivDuration(served.cpu_each - raw.cpu_each,
                                                  least.cpu_each - raw.cpu_each);
                      },
                      /*by_cpu=*/true};

double MedianRatio(Ratio ratio, const std::vector<Measurement>& raw, const std::vector<Measurement>& other,
                   const std::vector<Measurement>& measured) {
  std::vector<double> ratios;
  for (size_t i = 0; i < measured.size(); ++i) ratios.push_back(ratio(raw[i], other[i], measured[i]));
  return Median(std::move(ratios));
}

// `binding`: else what it measures is printed only. `least_decides`: where it misses the bar too.
void PrintBar(const Bar& bar, const AtConcurrency& at, bool binding, bool least_decides, std::ostream& out) {
  const double served = MedianRatio(bar.of_echo, at.raw, at.echo, at.served);
  std::string met = bar.Met(served) ? "yes" : "**no**";
  std::string beside = " | |";
  if (!at.least.empty()) {
    const std::vector<Measurement>& rounds = bar.by_cpu ? Thriftiest(at.least) : Best(at.least);
    const double least = MedianRatio(bar.of_echo, at.raw, at.echo, rounds);
    const double of_least = MedianRatio(bar.of_least, at.raw, rounds, at.served);
    // Where least takes no more processor time than raw there is nothing to be a part of.
    const bool comparable = !bar.by_cpu || least > 0;
    beside =
        comparable ? absl::StrFormat(" %.2f | %.2f |", least, of_least) : absl::StrFormat(" %.2f | |", least);
    if (least_decides && !bar.Met(least)) met = bar.Met(of_least) ? "yes, of least" : "**no**, of least";
  }
  out << absl::StreamFormat("| %s | %d | %.2f |%s %s |\n", bar.text, at.concurrency, served, beside,
                            binding ? met : "");
}

}  // namespace

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

Measurement Median(const std::vector<Measurement>& rounds) {
  std::vector<double> per_second;
  for (const Measurement& round : rounds) per_second.push_back(round.per_second);
  Measurement median;
  median.per_second = Median(std::move(per_second));
  median.p50 = MedianOf(rounds, &Measurement::p50);
  median.p99 = MedianOf(rounds, &Measurement::p99);
  median.cpu_each = MedianOf(rounds, &Measurement::cpu_each);
  return median;
}

void PrintBars(absl::Span<const AtConcurrency> measured, std::ostream& out) {
  if (measured.empty()) return;
  const bool small = Median(measured[0].raw).p50 / measured[0].concurrency < kSmallModel;
  out << "\n| bar of design.md, section 10 | at | served | least | served of least | met |\n"
         "|---|---|---|---|---|---|\n";
  for (const AtConcurrency& at : measured)
    PrintBar(small ? kThroughput : kThroughputOfLarge, at, at.concurrency == (small ? 32 : 8), small, out);
  for (const AtConcurrency& at : measured) {
    if (at.concurrency == 1) PrintBar(kLatency, at, /*binding=*/true, small, out);
  }
  for (const AtConcurrency& at : measured) PrintBar(kCpu, at, /*binding=*/true, small, out);
}

}  // namespace calserve::load
