#ifndef CALSERVE_SERVER_BATCHING_DEVICE_TURNS_H_
#define CALSERVE_SERVER_BATCHING_DEVICE_TURNS_H_

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "server/base/mutex.h"

namespace calserve {

// Turns on one device: whoever runs a batch there has one meanwhile, and only so many are had at once. Of the
// models that wait the one goes next whose last turn began longest ago, however many instances and versions
// of one wait; of a model, who came first. So models that always want one alternate. One that is given back
// unused, as where what waited for it has expired, counts. Thread-safe.
class DeviceTurns final {
 private:
  struct Model;

 public:
  // `at_once` >= 1.
  explicit DeviceTurns(int at_once) : free_(at_once) {}

  // Given back when it is destroyed or assigned to. Default: none.
  class Turn {
   public:
    Turn() = default;
    Turn(Turn&& other) noexcept = default;
    Turn& operator=(Turn&& other) noexcept {
      GiveBack();
      of_ = std::move(other.of_);
      return *this;
    }
    ~Turn() { GiveBack(); }
    void GiveBack();

   private:
    friend class DeviceTurns;
    explicit Turn(std::shared_ptr<DeviceTurns> of) : of_(std::move(of)) {}
    std::shared_ptr<DeviceTurns> of_;
  };

  // Where one batcher asks. Without a device's turns it always gets one. Thread-safe; nobody waits when it is
  // destroyed.
  class Line {
   public:
    // `turns` may be null.
    Line(std::shared_ptr<DeviceTurns> turns, const std::string& model);
    ~Line();
    Line(const Line&) = delete;
    Line& operator=(const Line&) = delete;

    // nullopt where others have all of them. Never waits.
    std::optional<Turn> TryTake();
    // Waits; nullopt once it is closed.
    std::optional<Turn> Take();
    void Close();

   private:
    friend class DeviceTurns;
    const std::shared_ptr<DeviceTurns> turns_;
    Model* const model_;
    CondVar changed_;      // one that waits here was given a turn, or closed_
    bool closed_ = false;  // guarded by turns_->mu_
  };

  // How many are waited for now.
  int waiting() const ABSL_LOCKS_EXCLUDED(mu_);

 private:
  struct Waiting {
    Line* line;
    bool given = false;
  };
  struct Model {
    int lines = 0;
    int64_t last_turn = 0;  // of all turns; before its first, as if it had had one when it came
    std::deque<Waiting*> waiting;
  };

  Model* Join(const std::string& model) ABSL_LOCKS_EXCLUDED(mu_);
  void Leave(Model* model) ABSL_LOCKS_EXCLUDED(mu_);
  bool TryTake(Line& line) ABSL_LOCKS_EXCLUDED(mu_);
  bool Take(Line& line) ABSL_LOCKS_EXCLUDED(mu_);
  bool TakeFree(Model& model) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Close(Line& line) ABSL_LOCKS_EXCLUDED(mu_);
  void GiveBack() ABSL_LOCKS_EXCLUDED(mu_);

  mutable Mutex mu_;
  int free_ ABSL_GUARDED_BY(mu_);  // only while nobody waits
  int64_t turns_ ABSL_GUARDED_BY(mu_) = 0;
  std::map<std::string, Model> models_ ABSL_GUARDED_BY(mu_);  // that have a line
  // Of those that wait, by their last turns.
  std::set<std::pair<int64_t, Model*>> next_ ABSL_GUARDED_BY(mu_);
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_BATCHING_DEVICE_TURNS_H_
