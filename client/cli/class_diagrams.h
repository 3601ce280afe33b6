#ifndef CALSERVE_CLIENT_CLI_CLASS_DIAGRAMS_H_
#define CALSERVE_CLIENT_CLI_CLASS_DIAGRAMS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "calibration/metrics.h"
#include "calibration/metrics/classwise.h"
#include "client/cli/svg.h"

namespace calserve::cli {

// How well the probability of one class says how often the label is that class.
struct ClassDiagram {
  int index = 0;
  std::string name;      // or "class 3"
  int64_t labelled = 0;  // rows of this class
  double ece = 0;        // over all rows
  std::vector<ReliabilityBin> bins;
};

// More would fill the page, and of rare classes a diagram says little.
inline constexpr int kMaxClassDiagrams = 20;

// Of the classes with the most rows, at most kMaxClassDiagrams, the most frequent first; of equal ones the
// lower index first; none without a row. `names`: of all classes, or empty.
std::vector<ClassDiagram> MostFrequentClasses(const ClasswiseSums& sums, int classes,
                                              const std::vector<std::string>& names);

// A small reliability diagram: a point a bin, larger for more rows, with its 95 % interval.
Svg ClassSvg(const ClassDiagram& diagram);

}  // namespace calserve::cli

#endif  // CALSERVE_CLIENT_CLI_CLASS_DIAGRAMS_H_
