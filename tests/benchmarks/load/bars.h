#ifndef CALSERVE_TESTS_BENCHMARKS_LOAD_BARS_H_
#define CALSERVE_TESTS_BENCHMARKS_LOAD_BARS_H_

#include <algorithm>
#include <map>
#include <ostream>
#include <vector>

#include "absl/types/span.h"
#include "tests/benchmarks/load/load_client.h"

namespace calserve::load {

double Median(std::vector<double> values);
// Of each field.
Measurement Median(const std::vector<Measurement>& rounds);

// The setting that is best by the median of its rounds' requests a second: the best of each round is the one
// that noise favours.
template <class Setting>
const std::vector<Measurement>& Best(const std::map<Setting, std::vector<Measurement>>& settings) {
  return std::max_element(settings.begin(), settings.end(),
                          [](const auto& a, const auto& b) {
                            return Median(a.second).per_second < Median(b.second).per_second;
                          })
      ->second;
}

using LeastRounds = std::map<int, std::vector<Measurement>>;  // by threads

// What was measured at one concurrency: one of each in every round, one after the other.
struct AtConcurrency {
  int concurrency = 1;
  std::vector<Measurement> raw, echo;
  LeastRounds least;  // empty: not measured
  std::vector<Measurement> served;
};

// Writes a table in Markdown: the bars of design.md, section 10, what served and least make of each and what
// served makes of least, medians over the rounds. A bar of a small model that least does not meet either is
// held against least (docs/adr/2026-11-29-what-a-small-model-is-held-against.md).
void PrintBars(absl::Span<const AtConcurrency> measured, std::ostream& out);

}  // namespace calserve::load

#endif  // CALSERVE_TESTS_BENCHMARKS_LOAD_BARS_H_
