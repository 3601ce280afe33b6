// A queue has room for the largest batch: by default, or it is said that it has not.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "server/config/model_config.h"
#include "tests/unit/config/temp_dir.h"

namespace calserve {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr int64_t kInputBytes = 224 * 224 * 4;

class QueueSizeTest : public ::testing::Test {
 protected:
  QueueSizeTest() {
    repository_.Write("pets/labels.txt", "cat\ndog\n");
    repository_.Write("pets/1/model.pt", "");
  }
  absl::StatusOr<ModelConfig> Read(const std::string& lines) {
    repository_.Write("pets/model.yaml",
                      absl::StrCat("task: multiclass\ninput: {kind: tensor, shape: [224, 224]}\n", lines));
    return ReadModelConfig(repository_.path() + "/pets", defaults_);
  }
  BatchingOptions ReadOrDie(const std::string& lines) {
    const absl::StatusOr<ModelConfig> config = Read(lines);
    EXPECT_TRUE(config.ok()) << config.status();
    return config.ok() ? config->batching : BatchingOptions();
  }
  std::string ErrorOf(const std::string& lines) { return std::string(Read(lines).status().message()); }

  TempDir repository_;
  BatchingOptions defaults_;
};

TEST_F(QueueSizeTest, IsTheServersWhereTheLargestBatchFitsIt) {
  const BatchingOptions options = ReadOrDie("max_batch_size: 1024\n");
  EXPECT_EQ(options.max_queue_rows, 1024);
  EXPECT_EQ(options.max_queue_bytes, 256 << 20);
}

TEST_F(QueueSizeTest, GrowsWithTheLargestBatchWhereItIsNotGiven) {
  BatchingOptions options = ReadOrDie("max_batch_size: 5000\n");
  EXPECT_EQ(options.max_queue_rows, 5000);
  EXPECT_EQ(options.max_queue_bytes, 5000 * kInputBytes);
  options = ReadOrDie("max_batch_size: 5000\nmax_queue_rows: 6000\n");
  EXPECT_EQ(options.max_queue_rows, 6000);
  EXPECT_EQ(options.max_queue_bytes, 5000 * kInputBytes);
  defaults_.max_batch_size = 64;
  defaults_.max_queue_bytes = 1 << 20;
  EXPECT_EQ(ReadOrDie("").max_queue_bytes, 64 * kInputBytes);
}

TEST_F(QueueSizeTest, ThatIsGivenMustTakeTheLargestBatch) {
  EXPECT_THAT(ErrorOf("max_batch_size: 5000\nmax_queue_rows: 4000\n"),
              HasSubstr(":3: max_batch_size must be at most max_queue_rows, 4000; was 5000"));
  EXPECT_THAT(
      ErrorOf("max_batch_size: 16\nmax_queue_bytes: 3MiB\n"),
      HasSubstr(":4: max_queue_bytes must be at least 3136KiB, max_batch_size (16) inputs; was 3MiB"));
  EXPECT_EQ(ReadOrDie("max_batch_size: 16\nmax_queue_bytes: 3136KiB\n").max_queue_bytes, 16 * kInputBytes);
}

TEST_F(QueueSizeTest, ABatchThatNoQueueTakesIsATypingError) {
  repository_.Write(
      "pets/model.yaml",
      "task: multiclass\ninput: {kind: tensor, shape: [3, 8000, 8000]}\nmax_batch_size: 65536\n");
  const ModelDirectory read = ReadModelDirectory(repository_.path() + "/pets", {});
  ASSERT_EQ(read.problems.size(), 1u);
  EXPECT_THAT(std::string(read.problems[0].message()),
              AllOf(HasSubstr(":3: max_batch_size must be at most 89:"), HasSubstr("64GiB; was 65536")));
  EXPECT_FALSE(read.config.loadable);
}

}  // namespace
}  // namespace calserve
