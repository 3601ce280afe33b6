#ifndef CALSERVE_CALIBRATION_FOLDS_H_
#define CALSERVE_CALIBRATION_FOLDS_H_

#include <cstdint>
#include <vector>

#include "calibration/labelled_rows.h"

namespace calserve {

// The rows in an order that depends on their content alone: whatever order they came in, sums over them are
// the same to the bit.
LabelledRows InContentOrder(LabelledRows data);

// The fold, in [0, folds), of each row: a hash of its logits less their largest, and its label. So folds do
// not depend on the order of rows or on a constant added to a row's logits, and rows of equal content share
// one: none is judged by a fit that has seen its twin. Another `salt` divides them another way.
std::vector<int> FoldOfEachRow(const LabelledRows& data, int folds, uint64_t salt = 0);

// The rows of one fold, and all others.
struct FoldSplit {
  LabelledRows held_out, rest;
};
FoldSplit SplitFold(const LabelledRows& data, const std::vector<int>& fold_of_row, int fold);

// Each fold of FoldOfEachRow held out once, but for empty ones. None at all where one fold holds every row,
// so that nothing is left to fit on.
std::vector<FoldSplit> SplitFolds(const LabelledRows& data, int folds, uint64_t salt = 0);

// About `share` of the rows held out, by the same hash. None where a side would be empty.
std::vector<FoldSplit> SplitHoldout(const LabelledRows& data, double share);

}  // namespace calserve

#endif  // CALSERVE_CALIBRATION_FOLDS_H_
