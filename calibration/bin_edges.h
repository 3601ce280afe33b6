#ifndef CALSERVE_CALIBRATION_BIN_EDGES_H_
#define CALSERVE_CALIBRATION_BIN_EDGES_H_

#include <algorithm>
#include <vector>

namespace calserve {

// The largest j with j = 0 or edge(j) < confidence, for confidence in [0, 1]: the rule of BinIndex. A product
// may round across an edge, so it only guesses.
template <typename Edge>
int FindBin(double confidence, int bins, const Edge& edge) {
  int index = std::clamp(static_cast<int>(confidence * bins), 0, bins - 1);
  while (index > 0 && !(edge(index) < confidence)) --index;
  while (index < bins - 1 && edge(index + 1) < confidence) ++index;
  return index;
}

// BinIndex for one number of bins, with the edges j / bins divided once.
class BinEdges {
 public:
  explicit BinEdges(int bins) {
    for (int j = 0; j <= bins; ++j) edges_.push_back(static_cast<double>(j) / bins);
  }

  int bins() const { return static_cast<int>(edges_.size()) - 1; }

  int IndexOf(double confidence) const {
    return FindBin(confidence, bins(), [this](int j) { return edges_[j]; });
  }

 private:
  std::vector<double> edges_;
};

}  // namespace calserve

#endif  // CALSERVE_CALIBRATION_BIN_EDGES_H_
