#include "calibration/folds.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <utility>

#include "calibration/row_kernels.h"
#include "calibration/stable_hash.h"

namespace calserve {

namespace {

std::vector<uint64_t> HashOfEachRow(const LabelledRows& data) {
  std::vector<uint64_t> hashes;
  hashes.reserve(data.rows.size());
  std::vector<double> row(data.logits.classes());
  for (const int64_t i : data.rows) {
    data.logits.Row(i, row.data());
    const double largest = Max(row);
    StableHash hash;
    for (const double z : row) hash.Add(std::bit_cast<uint64_t>(z - largest));
    hash.Add(static_cast<uint64_t>(data.labels[i]));
    hashes.push_back(hash.value());
  }
  return hashes;
}

}  // namespace

LabelledRows InContentOrder(LabelledRows data) {
  const std::vector<uint64_t> hashes = HashOfEachRow(data);
  std::vector<std::pair<uint64_t, int64_t>> order;
  order.reserve(hashes.size());
  for (size_t index = 0; index < hashes.size(); ++index) order.emplace_back(hashes[index], data.rows[index]);
  std::sort(order.begin(), order.end());
  for (size_t index = 0; index < order.size(); ++index) data.rows[index] = order[index].second;
  return data;
}

std::vector<int> FoldOfEachRow(const LabelledRows& data, int folds, uint64_t salt) {
  std::vector<int> fold_of_row;
  fold_of_row.reserve(data.rows.size());
  for (const uint64_t hash : HashOfEachRow(data)) {
    StableHash salted;
    salted.Add(hash ^ salt);
    const uint64_t value = salt == 0 ? hash : salted.value();
    fold_of_row.push_back(static_cast<int>(value % static_cast<uint64_t>(folds)));
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

std::vector<FoldSplit> SplitFolds(const LabelledRows& data, int folds, uint64_t salt) {
  const std::vector<int> fold_of_row = FoldOfEachRow(data, folds, salt);
  std::vector<FoldSplit> splits;
  for (int fold = 0; fold < folds; ++fold) {
    FoldSplit split = SplitFold(data, fold_of_row, fold);
    if (split.rest.size() == 0) return {};
    if (split.held_out.size() > 0) splits.push_back(std::move(split));
  }
  return splits;
}

std::vector<FoldSplit> SplitHoldout(const LabelledRows& data, double share) {
  FoldSplit split{{data.logits, data.labels, {}}, {data.logits, data.labels, {}}};
  const std::vector<uint64_t> hashes = HashOfEachRow(data);
  for (size_t index = 0; index < hashes.size(); ++index) {
    const double place = static_cast<double>(hashes[index] >> 11) * 0x1p-53;  // in [0, 1)
    (place < share ? split.held_out : split.rest).rows.push_back(data.rows[index]);
  }
  if (split.held_out.size() == 0 || split.rest.size() == 0) return {};
  return {std::move(split)};
}

}  // namespace calserve
