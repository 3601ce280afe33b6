#ifndef CALSERVE_TESTS_UNIT_FEEDBACK_SQLITE_FIXTURE_H_
#define CALSERVE_TESTS_UNIT_FEEDBACK_SQLITE_FIXTURE_H_

#include <sqlite3.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/feedback/store.h"
#include "tests/unit/feedback/feedback_testing.h"

namespace calserve {

// Another program's connection to the same file.
class Outsider {
 public:
  explicit Outsider(const std::string& path) { EXPECT_EQ(sqlite3_open(path.c_str(), &db_), SQLITE_OK); }
  ~Outsider() { sqlite3_close(db_); }
  void Execute(const std::string& sql) {
    EXPECT_EQ(sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK) << sqlite3_errmsg(db_);
  }

 private:
  sqlite3* db_ = nullptr;
};

// A SQLite store in a directory of its own.
class SqliteStoreTest : public ::testing::Test {
 protected:
  absl::Status Open() {
    store_.reset();
    absl::StatusOr<std::unique_ptr<Store>> store =
        OpenStore({.data_dir = data_dir_, .busy_timeout = absl::Milliseconds(20)});
    if (store.ok()) store_ = *std::move(store);
    return store.status();
  }
  absl::Status Append(int count = 1, int classes = 10) {
    std::vector<ScoredLabel> labels;
    for (int i = 0; i < count; ++i) labels.push_back(MakeLabel(next_ + i, 1, classes));
    const absl::Status status = store_->Append(absl::MakeSpan(labels), kStart).status();
    if (status.ok()) next_ += count;
    return status;
  }
  // Every append that was acknowledged is there, and nothing else.
  void ExpectLogIsWhole() {
    const absl::StatusOr<std::vector<ScoredLabel>> rows = store_->Read({}, 1'000'000);
    ASSERT_TRUE(rows.ok()) << rows.status();
    ASSERT_EQ(rows->size(), next_ - 1);
    for (size_t i = 0; i < rows->size(); ++i) {
      EXPECT_EQ((*rows)[i].position, static_cast<int64_t>(i) + 1);
      EXPECT_EQ((*rows)[i].prediction.prediction_id, MakePrediction(i + 1).prediction_id);
    }
  }
  // Head and both parts tell `position`; the second is large.
  absl::Status SaveCheckpoint(int64_t position, size_t bytes) {
    const std::string digit = absl::StrCat(position);
    return store_->SaveCheckpoint("windows", {1, position, digit},
                                  {{"a", position, [&] { return digit; }},
                                   {"b", position, [&] { return std::string(bytes, digit[0]); }}});
  }
  std::string file() const { return data_dir_ + "/calserve.db"; }

  const TemporaryDirectory directory_;
  std::string data_dir_ = directory_.path() + "/data";
  std::unique_ptr<Store> store_;
  uint64_t next_ = 1;
};

}  // namespace calserve

#endif  // CALSERVE_TESTS_UNIT_FEEDBACK_SQLITE_FIXTURE_H_
