#include "server/prediction/served_version.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <compare>
#include <map>
#include <set>
#include <thread>
#include <utility>

#include "absl/synchronization/notification.h"
#include "server/base/error_info.h"
#include "server/base/mutex.h"

namespace calserve {
namespace {

using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

constexpr int kInstances = 3, kSlots = 2;

struct Pass {
  int instance = 0, slot = 0, rows = 0;

  auto operator<=>(const Pass&) const = default;
};

// Notes each pass and its thread. Thread-safe.
class CountingModel final : public Model {
 public:
  explicit CountingModel(std::vector<int> buckets) : staging_(kInstances * kSlots, std::vector<float>(32)) {
    options_.instances = kInstances;
    options_.batch_buckets = std::move(buckets);
  }

  int slots() const override { return kSlots; }
  using Model::Staging;
  absl::Span<float> Staging(int instance, int slot) override {
    return absl::MakeSpan(staging_[instance * kSlots + slot]);
  }
  absl::Status Start(int instance, int slot, int rows) override {
    MutexLock lock(&mu_);
    passes_[std::this_thread::get_id()].insert({instance, slot, rows});
    return start_;
  }
  absl::Status Finish(int, int, int, absl::Span<float>) override {
    MutexLock lock(&mu_);
    return finish_;
  }
  int columns() const override { return 2; }
  const ModelOptions& options() const override { return options_; }
  const std::string& format() const override { return text_; }
  const std::string& device() const override { return text_; }
  const std::string& digest() const override { return text_; }

  void Fail(absl::Status start, absl::Status finish) {
    MutexLock lock(&mu_);
    start_ = std::move(start);
    finish_ = std::move(finish);
  }
  std::map<std::thread::id, std::multiset<Pass>> TakePasses() {
    MutexLock lock(&mu_);
    return std::exchange(passes_, {});
  }

 private:
  ModelOptions options_;
  const std::string text_;
  std::vector<std::vector<float>> staging_;
  Mutex mu_;
  std::map<std::thread::id, std::multiset<Pass>> passes_ ABSL_GUARDED_BY(mu_);
  absl::Status start_ ABSL_GUARDED_BY(mu_), finish_ ABSL_GUARDED_BY(mu_);
};

absl::StatusOr<std::unique_ptr<Batcher>> StartBatcher(Model& model, const DeviceLostHook& lost = nullptr) {
  BatchingOptions options;
  options.instances = kInstances;
  return Batcher::Create(options, RunnerOf(model, /*row_size=*/1, lost));
}

// Runs `rows` rows and waits for them.
void RunBatch(Batcher& batcher, int rows) {
  absl::Notification answered;
  BatchTask task;
  task.rows = rows;
  const float value = 0;
  task.input.assign(rows, BytesOf({&value, 1}));
  task.done = [&](absl::StatusOr<BatchResult> result) {
    EXPECT_TRUE(result.ok()) << result.status();
    answered.Notify();
  };
  batcher.Schedule(std::move(task));
  answered.WaitForNotification();
}

TEST(ServedVersionTest, EveryBucketRunsInEverySlotOnTheThreadThatWillServe) {
  CountingModel model({1, 8, 32});
  const auto batcher = StartBatcher(model);
  ASSERT_TRUE(batcher.ok()) << batcher.status();
  const auto warmed = model.TakePasses();
  ASSERT_THAT(warmed, SizeIs(kInstances)) << "a thread an instance";
  std::map<int, std::thread::id> thread_of;
  for (const auto& [thread, passes] : warmed) {
    const int own = passes.begin()->instance;
    EXPECT_TRUE(thread_of.emplace(own, thread).second) << own;
    EXPECT_THAT(passes, UnorderedElementsAre(Pass{own, 0, 1}, Pass{own, 1, 1}, Pass{own, 0, 8},
                                             Pass{own, 1, 8}, Pass{own, 0, 32}, Pass{own, 1, 32}));
  }
  for (int i = 0; i < 20; ++i) RunBatch(**batcher, 5);
  for (const auto& [thread, passes] : model.TakePasses()) {
    for (const Pass& pass : passes) EXPECT_EQ(thread, thread_of.at(pass.instance));
  }
}

TEST(ServedVersionTest, WithoutBucketsOneRowRunsInEverySlot) {
  CountingModel model({});
  const auto batcher = StartBatcher(model);
  ASSERT_TRUE(batcher.ok()) << batcher.status();
  const auto warmed = model.TakePasses();
  ASSERT_THAT(warmed, SizeIs(kInstances));
  for (const auto& [thread, passes] : warmed) {
    const int own = passes.begin()->instance;
    EXPECT_THAT(passes, UnorderedElementsAre(Pass{own, 0, 1}, Pass{own, 1, 1}));
  }
}

TEST(ServedVersionTest, LogitsThatAreNotFiniteBeforeThereIsAnInputMeanNothing) {
  CountingModel model({1, 8});
  model.Fail(absl::OkStatus(), absl::DataLossError("the logits of row 0 are not finite"));
  EXPECT_TRUE(StartBatcher(model).ok());
}

TEST(ServedVersionTest, AThreadThatCannotRunTheModelIsNotReady) {
  CountingModel model({1, 8});
  model.Fail(absl::InternalError("no memory"), absl::OkStatus());
  EXPECT_EQ(StartBatcher(model).status(), absl::InternalError("no memory"));
  model.Fail(absl::OkStatus(), absl::InternalError("no kernel"));
  EXPECT_EQ(StartBatcher(model).status(), absl::InternalError("no kernel"));
}

TEST(ServedVersionTest, ADeviceThatIsLostMeanwhileIsTold) {
  CountingModel model({1, 8});
  model.Fail(WithReason(absl::UnavailableError("gone"), kDeviceLost), absl::OkStatus());
  std::atomic<int> told = 0;
  EXPECT_TRUE(absl::IsUnavailable(StartBatcher(model, [&](const absl::Status&) { ++told; }).status()));
  EXPECT_EQ(told, kInstances);
}

}  // namespace
}  // namespace calserve
