#include "server/monitoring/fold_checkpoint.h"

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/base/status_macros.h"

namespace calserve {
namespace {

constexpr char kName[] = "monitoring";
// Of the fold's bytes, and of what a label counts as: raise it when either changes.
constexpr int32_t kSchemaVersion = 5;
constexpr char kSlicesName[] = "slices";
constexpr int32_t kSlicesSchemaVersion = 1;

// The numbers first, and no '/' in a model's name nor '=' in the key of a slice: whatever they are called, no
// two keys have the same name.
std::string PartName(const MonitorKey& key) {
  std::string name = absl::StrCat(key.model_version, "/", key.calibrator_version, "/", key.model);
  if (!key.slice.whole()) absl::StrAppend(&name, "/", key.slice.key, "=", key.slice.value);
  return name;
}

}  // namespace

absl::StatusOr<int64_t> FoldCheckpoint::Restore(int64_t log_end, WindowFold& fold) {
  stored_.clear();
  ASSIGN_OR_RETURN(const std::optional<Checkpoint> checkpoint, store_.LoadCheckpoint(kName));
  if (!checkpoint.has_value()) return 0;
  if (checkpoint->schema_version != kSchemaVersion) {
    return absl::FailedPreconditionError(absl::StrCat("the checkpoint has schema version ",
                                                      checkpoint->schema_version,
                                                      "; this server folds version ", kSchemaVersion));
  }
  if (checkpoint->position > log_end) {
    return absl::FailedPreconditionError(
        absl::StrCat("the checkpoint is at position ", checkpoint->position, "; the log ends at ", log_end));
  }
  RETURN_IF_ERROR(fold.Restore(checkpoint->state, [this](const WindowFold::HeldKey& held) {
    return store_.LoadCheckpointPart(kName, PartName(held.key), held.label_position);
  }));
  for (const WindowFold::HeldKey& held : fold.held()) stored_.emplace(held.key, held.label_position);
  return checkpoint->position;
}

absl::Status FoldCheckpoint::RestoreSlices(int64_t log_end, WindowFold& fold) {
  ASSIGN_OR_RETURN(const std::optional<Checkpoint> slices, store_.LoadCheckpoint(kSlicesName));
  // Of a longer log: another one than this.
  if (!slices.has_value() || slices->position > log_end) return absl::OkStatus();
  if (slices->schema_version != kSlicesSchemaVersion) {
    return absl::FailedPreconditionError(absl::StrCat("the numbers of slices have schema version ",
                                                      slices->schema_version, "; this server knows ",
                                                      kSlicesSchemaVersion));
  }
  return fold.RestoreSlices(slices->state);
}

absl::Status FoldCheckpoint::Save(const Head& head,
                                  absl::FunctionRef<WindowsState(const MonitorKey&)> state_of) {
  // Before what is folded with them: numbers that are ahead of the windows are those that the log gives
  // again.
  if (head.slices != stored_slices_) {
    const Checkpoint slices{kSlicesSchemaVersion, head.position, head.slices};
    RETURN_IF_ERROR(store_.SaveCheckpoint(kSlicesName, slices, {}));
    stored_slices_ = head.slices;
  }
  std::vector<CheckpointPart> parts;
  std::map<MonitorKey, int64_t> stored;
  for (const auto& [key, label_position] : head.held) {
    CheckpointPart part{PartName(key), label_position};
    const auto before = stored_.find(key);
    if (before == stored_.end() || before->second != label_position) {
      part.state = [&key = key, state_of] { return state_of(key).Serialize(); };
    }
    parts.push_back(std::move(part));
    stored.emplace(key, label_position);
  }
  const absl::Status status =
      store_.SaveCheckpoint(kName, {kSchemaVersion, head.position, head.state}, parts);
  if (status.ok()) stored_ = std::move(stored);
  if (absl::IsFailedPrecondition(status)) stored_.clear();  // Not what is stored: the next writes all.
  return status;
}

}  // namespace calserve
