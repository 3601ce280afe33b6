#include "server/feedback/sqlite_schema.h"

#include "tests/unit/feedback/sqlite_fixture.h"

// Files of older and of newer servers.
namespace calserve {
namespace {

using ::testing::HasSubstr;

using SqliteSchemaTest = SqliteStoreTest;

// From version 7 on checkpoints are in pieces.
constexpr char kUndoToVersion3[] =
    "CREATE TABLE checkpoint_parts (checkpoint TEXT NOT NULL, part TEXT NOT NULL, position INTEGER NOT NULL,"
    " state BLOB NOT NULL, PRIMARY KEY (checkpoint, part));"
    "INSERT INTO checkpoint_parts SELECT checkpoint, part, position, state FROM checkpoint_pieces;"
    "DROP TABLE checkpoint_pieces;"
    "ALTER TABLE feedback DROP COLUMN inclusion_probability; DROP TABLE slice_acknowledgements;"
    "DROP TABLE refits; ALTER TABLE activations DROP COLUMN position;"
    "ALTER TABLE calibrators DROP COLUMN note; ALTER TABLE calibrators DROP COLUMN fit_position;";

TEST_F(SqliteSchemaTest, ANewerSchemaIsRefused) {
  ASSERT_TRUE(Open().ok());
  store_.reset();
  Outsider(file()).Execute("PRAGMA user_version = 99");
  EXPECT_THAT(Open(), StatusIs(absl::StatusCode::kFailedPrecondition,
                               HasSubstr("schema version 99, this server knows up to 7")));
}

TEST_F(SqliteSchemaTest, TheThirdSchemaIsBroughtUpToDateWithItsCalibrators) {
  ASSERT_TRUE(Open().ok());
  StoredCalibrator calibrator;
  calibrator.model = "m";
  calibrator.model_version = 1;
  calibrator.digest = "d";
  calibrator.content = "{}";
  calibrator.origin = "fit";
  ASSERT_TRUE(store_->AddCalibrator(calibrator).ok());
  ASSERT_TRUE(store_->ActivateCalibrator("m", 1, 1, 0, kStart).ok());
  store_.reset();
  Outsider(file()).Execute(absl::StrCat(kUndoToVersion3, "PRAGMA user_version = 3"));
  ASSERT_TRUE(Open().ok());
  EXPECT_EQ(store_->ListCalibrators("m")->front().fit_position, 0);
  EXPECT_EQ(*store_->LastActivation("m", 1), (CalibratorActivation{1, 0, 0, kStart}));
  EXPECT_TRUE(store_->SaveRefitAttempt({.model = "m", .model_version = 1, .attempt = 1}).ok());
}

TEST_F(SqliteSchemaTest, TheFirstSchemaIsBroughtUpToDate) {
  ASSERT_TRUE(Open().ok());
  ASSERT_TRUE(Append(3).ok());
  store_.reset();
  Outsider(file()).Execute(absl::StrCat(
      kUndoToVersion3,
      "DROP TABLE acknowledgements; DROP TABLE checkpoint_parts; INSERT INTO checkpoints VALUES ('windows', "
      "1, 3, 'all of it');"
      "PRAGMA user_version = 1"));
  for (int start = 0; start < 2; ++start) {
    ASSERT_TRUE(Open().ok());
    ExpectLogIsWhole();
    EXPECT_EQ((*store_->LoadCheckpoint("windows"))->state, "all of it");
    EXPECT_EQ(store_->LoadCheckpointPart("windows", "a", 3).status().code(), absl::StatusCode::kNotFound);
  }
  EXPECT_TRUE(SaveCheckpoint(4, 1000).ok());
  EXPECT_EQ(*store_->LoadCheckpointPart("windows", "b", 4), std::string(1000, '4'));
}

TEST_F(SqliteSchemaTest, TheSecondSchemaIsBroughtUpToDate) {
  ASSERT_TRUE(Open().ok());
  ASSERT_TRUE(Append(3).ok());
  ASSERT_TRUE(SaveCheckpoint(4, 1000).ok());
  store_.reset();
  Outsider(file()).Execute(
      absl::StrCat(kUndoToVersion3, "DROP TABLE acknowledgements; PRAGMA user_version = 2"));
  ASSERT_TRUE(Open().ok());
  ExpectLogIsWhole();
  EXPECT_EQ(*store_->LoadCheckpointPart("windows", "b", 4), std::string(1000, '4'));
  EXPECT_TRUE(store_->AddAcknowledgement({"m", 1, 2, 3, kStart}).ok());
  EXPECT_EQ(store_->ListAcknowledgements(0)->size(), 1u);
}

TEST_F(SqliteSchemaTest, ASchemaWithoutInclusionProbabilitiesIsBroughtUpToDate) {
  ASSERT_TRUE(Open().ok());
  ASSERT_TRUE(Append(3).ok());
  store_.reset();
  Outsider(file()).Execute(absl::StrCat(kUndoToVersion3, "PRAGMA user_version = 3"));
  ASSERT_TRUE(Open().ok());
  ExpectLogIsWhole();
  const std::vector<ScoredLabel> rows = *store_->Read({}, 10);
  for (const ScoredLabel& row : rows) EXPECT_FALSE(row.inclusion_probability.has_value());
}

}  // namespace
}  // namespace calserve
