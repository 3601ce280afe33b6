#ifndef CALSERVE_TESTS_UNIT_FEEDBACK_CONFORMANCE_FIXTURE_H_
#define CALSERVE_TESTS_UNIT_FEEDBACK_CONFORMANCE_FIXTURE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/feedback/store.h"
#include "tests/unit/feedback/feedback_testing.h"

// What the tests of the conformance suite (store_conformance.h) have in common.
namespace calserve {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

struct StoreFactory {
  // Opens the store at a directory, the same one again if it was opened there before.
  std::function<absl::StatusOr<std::unique_ptr<Store>>(const std::string& directory)> open;
  bool durable = true;  // what was written is there after closing and opening again
};

class StoreConformanceTest : public ::testing::TestWithParam<StoreFactory> {
 protected:
  void SetUp() override { Open(); }

  void Open() {
    absl::StatusOr<std::unique_ptr<Store>> store = GetParam().open(directory_.path());
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
  }
  void Reopen() {
    store_.reset();
    Open();
  }

  std::vector<AppendOutcome> Append(std::vector<ScoredLabel> labels, absl::Time now = kStart) {
    absl::StatusOr<std::vector<AppendOutcome>> outcomes = store_->Append(absl::MakeSpan(labels), now);
    EXPECT_TRUE(outcomes.ok()) << outcomes.status();
    return outcomes.ok() ? *outcomes : std::vector<AppendOutcome>();
  }
  std::vector<ScoredLabel> Read(const LogSelection& selection = {}, int64_t limit = 1'000'000) {
    absl::StatusOr<std::vector<ScoredLabel>> rows = store_->Read(selection, limit);
    EXPECT_TRUE(rows.ok()) << rows.status();
    return rows.ok() ? *rows : std::vector<ScoredLabel>();
  }
  std::vector<int64_t> Positions(const std::vector<ScoredLabel>& rows) {
    std::vector<int64_t> positions;
    for (const ScoredLabel& row : rows) positions.push_back(row.position);
    return positions;
  }
  std::vector<int64_t> PositionsOf(const LogSelection& selection) { return Positions(Read(selection)); }

  StoredCalibrator Add(const std::string& digest, int64_t model_version = 1, const std::string& model = "m") {
    StoredCalibrator calibrator;
    calibrator.model = model;
    calibrator.model_version = model_version;
    calibrator.digest = digest;
    calibrator.content = "{\"digest\": \"" + digest + "\"}";
    calibrator.origin = "fit";
    calibrator.created = kStart;
    absl::StatusOr<StoredCalibrator> added = store_->AddCalibrator(calibrator);
    EXPECT_TRUE(added.ok()) << added.status();
    return added.ok() ? *added : StoredCalibrator();
  }
  absl::Status Activate(int64_t version, int64_t expected, int64_t model_version = 1) {
    return store_->ActivateCalibrator("m", model_version, version, expected, kStart + absl::Hours(1));
  }
  CalibratorState StateOf(int64_t version) {
    const absl::StatusOr<std::vector<StoredCalibrator>> listed = store_->ListCalibrators("m");
    for (const StoredCalibrator& c : listed.value()) {
      if (c.version == version) return c.state;
    }
    ADD_FAILURE() << "no calibrator version " << version;
    return CalibratorState::kFitted;
  }

  static CheckpointPart PartOf(const std::string& name, int64_t position, const std::string& state) {
    return {name, position, [state] { return state; }};
  }
  static CheckpointPart Unchanged(const std::string& name, int64_t position) { return {name, position}; }
  absl::Status SaveCheckpoint(const Checkpoint& head, const std::vector<CheckpointPart>& parts) {
    return store_->SaveCheckpoint("windows", head, parts);
  }

  TemporaryDirectory directory_;
  std::unique_ptr<Store> store_;
};

}  // namespace calserve

#endif  // CALSERVE_TESTS_UNIT_FEEDBACK_CONFORMANCE_FIXTURE_H_
