#ifndef CALSERVE_SERVER_MONITORING_SLICE_TABLE_H_
#define CALSERVE_SERVER_MONITORING_SLICE_TABLE_H_

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "calibration/calibration_alarm.h"
#include "server/feedback/store.h"
#include "server/monitoring/fold_codec.h"
#include "server/monitoring/monitor_key.h"
#include "server/monitoring/slice_keys.h"

namespace calserve {

// The slices of a model and their numbers. A slice gets the next number, from 0, with its first label: so
// numbers are a function of the labels in the order of the log, whatever calibrator served them. What has
// been given a slice keeps it, and what has been counted in kOtherSlice stays there. A value; not
// thread-safe.
class SliceTable final {
 public:
  SliceTable() = default;
  explicit SliceTable(const SliceKeys& declared);

  // Nothing is sliced.
  bool empty() const { return keys_.empty(); }
  SliceKeys declared() const;
  // Those that had a label, in the order of their numbers.
  std::vector<Slice> slices() const;

  // Appends the number of the slice that counts a label of this attribute to `numbers`, which gets its number
  // now if it had none; nothing where the key is not declared.
  void Assign(absl::string_view key, absl::string_view value, std::vector<int64_t>* numbers);

  // nullopt for a slice that had no label.
  std::optional<int64_t> NumberOf(const Slice& slice) const;
  int64_t next_number() const { return next_number_; }

  // OK for a slice that has labels or may still get some. NOT_FOUND naming the declared keys, or what the key
  // has slices for.
  absl::Status Check(const Slice& slice) const;

  // Which rows of the log a slice counts.
  AttributeRule RuleOf(const Slice& slice) const;

  // The table with other keys declared: a key whose declaration is the same keeps its slices, the others have
  // none. Numbers are not issued again.
  SliceTable Redeclared(const SliceKeys& declared) const;

  void Write(FoldWriter& writer) const;
  static absl::StatusOr<SliceTable> Read(FoldReader& reader);

 private:
  struct Key {
    SliceKey declared;
    std::map<std::string, int64_t, std::less<>> numbers;  // by value, at most kMaxSliceValues
    std::optional<int64_t> other;
    // Whether the value has a slice of its own, or gets one with its first label.
    bool HasPlaceFor(absl::string_view value) const;
  };
  const Key* Find(absl::string_view key) const;

  std::vector<Key> keys_;
  int64_t next_number_ = 0;
};

// A model's alpha is shared, so that it bounds the chance that any of its alarms is ever false: half is the
// whole model's, and of the other half the slice numbered k = 0, 1, ... gets 6 / (pi^2 (k+1)^2), which sums
// to 1. Without slices all of it is the whole model's. A slice's number is known before its first label is
// tested, so that the union bound holds whatever decides which slices come.
AlarmOptions ShareOfWhole(AlarmOptions options, bool sliced);
AlarmOptions ShareOfSlice(AlarmOptions options, int64_t number);
// Of one or the other; of a slice that had no label, what it would get now.
AlarmOptions ShareOf(const Slice& slice, const SliceTable& table, const AlarmOptions& model);

}  // namespace calserve

#endif  // CALSERVE_SERVER_MONITORING_SLICE_TABLE_H_
