#include "calibration/folds.h"

#include <bit>
#include <cstdint>

#include "calibration/row_kernels.h"
#include "calibration/stable_hash.h"

namespace calserve {

std::vector<int> FoldOfEachRow(const LabelledRows& data, int folds) {
  std::vector<int> fold_of_row;
  fold_of_row.reserve(data.rows.size());
  std::vector<double> row(data.logits.classes());
  for (const int64_t i : data.rows) {
    data.logits.Row(i, row.data());
    const double largest = Max(row);
    StableHash hash;
    for (const double z : row) hash.Add(std::bit_cast<uint64_t>(z - largest));
    hash.Add(static_cast<uint64_t>(data.labels[i]));
    fold_of_row.push_back(static_cast<int>(hash.value() % static_cast<uint64_t>(folds)));
  }
  return fold_of_row;
}

FoldSplit SplitFold(const LabelledRows& data, const std::vector<int>& fold_of_row, int fold) {
  FoldSplit split{{data.logits, data.labels, {}}, {data.logits, data.labels, {}}};
  for (size_t index = 0; index < data.rows.size(); ++index) {
    (fold_of_row[index] == fold ? split.held_out : split.rest).rows.push_back(data.rows[index]);
  }
  return split;
}

}  // namespace calserve
