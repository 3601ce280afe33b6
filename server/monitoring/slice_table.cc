#include "server/monitoring/slice_table.h"

#include <algorithm>
#include <cstddef>
#include <numbers>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/base/status_macros.h"

namespace calserve {

SliceTable::SliceTable(const SliceKeys& declared) {
  for (const SliceKey& key : declared) keys_.push_back({key, {}, std::nullopt});
}

SliceKeys SliceTable::declared() const {
  SliceKeys declared;
  for (const Key& key : keys_) declared.push_back(key.declared);
  return declared;
}

std::vector<Slice> SliceTable::slices() const {
  std::map<int64_t, Slice> by_number;
  for (const Key& key : keys_) {
    for (const auto& [value, number] : key.numbers) by_number[number] = {key.declared.key, value};
    if (key.other.has_value()) by_number[*key.other] = {key.declared.key, kOtherSlice};
  }
  std::vector<Slice> slices;
  for (auto& [number, slice] : by_number) slices.push_back(std::move(slice));
  return slices;
}

bool SliceTable::Key::HasPlaceFor(absl::string_view value) const {
  if (value == kOtherSlice) return false;
  if (!declared.values.empty()) return absl::c_linear_search(declared.values, value);
  return numbers.size() < kMaxSliceValues || numbers.find(value) != numbers.end();
}

const SliceTable::Key* SliceTable::Find(absl::string_view key) const {
  const auto found = absl::c_find_if(keys_, [&](const Key& each) { return each.declared.key == key; });
  return found == keys_.end() ? nullptr : &*found;
}

void SliceTable::Assign(absl::string_view key, absl::string_view value, std::vector<int64_t>* numbers) {
  const auto found = absl::c_find_if(keys_, [&](const Key& each) { return each.declared.key == key; });
  if (found == keys_.end()) return;
  if (const auto known = found->numbers.find(value); known != found->numbers.end()) {
    return numbers->push_back(known->second);
  }
  if (found->HasPlaceFor(value)) {
    found->numbers.emplace(value, next_number_);
    return numbers->push_back(next_number_++);
  }
  if (!found->other.has_value()) found->other = next_number_++;
  numbers->push_back(*found->other);
}

std::optional<int64_t> SliceTable::NumberOf(const Slice& slice) const {
  const Key* const key = Find(slice.key);
  if (key == nullptr) return std::nullopt;
  if (slice.value == kOtherSlice) return key->other;
  const auto found = key->numbers.find(slice.value);
  return found == key->numbers.end() ? std::nullopt : std::optional<int64_t>(found->second);
}

absl::Status SliceTable::Check(const Slice& slice) const {
  const Key* const key = Find(slice.key);
  if (key == nullptr) {
    std::vector<absl::string_view> declared;
    for (const Key& each : keys_) declared.push_back(each.declared.key);
    return absl::NotFoundError(keys_.empty() ? absl::StrCat("there is no slice ", slice.key, "=", slice.value,
                                                            ": attributes of model.yaml lists no key")
                                             : absl::StrCat("no slices are counted by \"", slice.key,
                                                            "\"; attributes of model.yaml lists ",
                                                            absl::StrJoin(declared, ", ")));
  }
  if (slice.value == kOtherSlice || key->HasPlaceFor(slice.value)) return absl::OkStatus();
  std::vector<absl::string_view> values(key->declared.values.begin(), key->declared.values.end());
  if (values.empty()) {
    for (const auto& [value, number] : key->numbers) values.push_back(value);
  }
  return absl::NotFoundError(absl::StrCat(slice.key, "=", slice.value, " has no slice of its own; ",
                                          slice.key, " has ", absl::StrJoin(values, ", "),
                                          ", and everything else is in ", slice.key, "=", kOtherSlice));
}

AttributeRule SliceTable::RuleOf(const Slice& slice) const {
  if (slice.value != kOtherSlice) return {slice.key, {slice.value}};
  AttributeRule rule{slice.key, {}, /*excluded=*/true};
  if (const Key* const key = Find(slice.key); key != nullptr) {
    rule.values = key->declared.values;
    for (const auto& [value, number] : key->numbers) rule.values.push_back(value);
  }
  return rule;
}

SliceTable SliceTable::Redeclared(const SliceKeys& declared) const {
  SliceTable table(declared);
  for (Key& key : table.keys_) {
    const Key* const before = Find(key.declared.key);
    if (before != nullptr && before->declared == key.declared) key = *before;
  }
  table.next_number_ = next_number_;
  return table;
}

void SliceTable::Write(FoldWriter& writer) const {
  writer.Integer(next_number_);
  writer.Integer(static_cast<int64_t>(keys_.size()));
  for (const Key& key : keys_) {
    writer.Text(key.declared.key);
    writer.Integer(static_cast<int64_t>(key.declared.values.size()));
    for (const std::string& value : key.declared.values) writer.Text(value);
    writer.Integer(key.other.value_or(-1));
    writer.Integer(static_cast<int64_t>(key.numbers.size()));
    for (const auto& [value, number] : key.numbers) {
      writer.Text(value);
      writer.Integer(number);
    }
  }
}

absl::StatusOr<SliceTable> SliceTable::Read(FoldReader& reader) {
  SliceTable table;
  ASSIGN_OR_RETURN(table.next_number_, reader.Integer());
  ASSIGN_OR_RETURN(const int64_t keys, reader.Integer());
  for (int64_t i = 0; i < keys; ++i) {
    Key key;
    ASSIGN_OR_RETURN(const absl::string_view name, reader.Text());
    key.declared.key = std::string(name);
    ASSIGN_OR_RETURN(const int64_t declared, reader.Integer());
    for (int64_t j = 0; j < declared; ++j) {
      ASSIGN_OR_RETURN(const absl::string_view value, reader.Text());
      key.declared.values.emplace_back(value);
    }
    ASSIGN_OR_RETURN(const int64_t other, reader.Integer());
    if (other >= 0) key.other = other;
    ASSIGN_OR_RETURN(const int64_t numbers, reader.Integer());
    for (int64_t j = 0; j < numbers; ++j) {
      ASSIGN_OR_RETURN(const absl::string_view value, reader.Text());
      ASSIGN_OR_RETURN(const int64_t number, reader.Integer());
      key.numbers.emplace(value, number);
    }
    table.keys_.push_back(std::move(key));
  }
  return table;
}

AlarmOptions ShareOfWhole(AlarmOptions options, bool sliced) {
  if (sliced) options.alpha /= 2;
  return options;
}

AlarmOptions ShareOfSlice(AlarmOptions options, int64_t number) {
  const double k = static_cast<double>(number + 1);
  const double share = 6 / (std::numbers::pi * std::numbers::pi * k * k);
  options.alpha = std::max(kLeastAlarmShare, options.alpha / 2 * share);
  return options;
}

AlarmOptions ShareOf(const Slice& slice, const SliceTable& table, const AlarmOptions& model) {
  if (slice.whole()) return ShareOfWhole(model, !table.empty());
  return ShareOfSlice(model, table.NumberOf(slice).value_or(table.next_number()));
}

}  // namespace calserve
