#include "server/monitoring/report_hub.h"

#include <algorithm>
#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "calibration/rolling_windows.h"
#include "server/base/mutex.h"
#include "server/base/status_macros.h"
#include "server/monitoring/report_cache.h"
#include "server/monitoring/steady_time.h"

namespace calserve {

bool ReportsChanged(const TakenReports& taken, const MonitorKey& key, const KeyRevision& revision,
                    bool catching_up, absl::Time now) {
  if (key != taken.key || revision != taken.revision) return true;
  if (taken.catching_up && !catching_up) return true;
  return taken.ages && absl::AbsDuration(now - taken.time) >= absl::Seconds(1);
}

namespace {

constexpr size_t kMostWindows = 100;  // of one subscription: each is a report in every answer
constexpr absl::Duration kMinInterval = absl::Milliseconds(10);
constexpr absl::Duration kMaxInterval = absl::Hours(1);
// Between two looks at the subscribers.
constexpr absl::Duration kTick = absl::Milliseconds(10);
// How often to look what has changed without a fold: the key that is followed, windows that age.
constexpr absl::Duration kAgeCheck = absl::Seconds(1);

// A subscriber as the hub sees it; everything but the constants is guarded by the hub's mu_.
struct Watch {
  Watch(Subscription s, std::vector<bool> a, std::function<void()> r)
      : subscription(std::move(s)), ages(std::move(a)), on_ready(std::move(r)) {}
  const Subscription subscription;
  const std::vector<bool> ages;  // one a window: last-T or decaying
  const std::function<void()> on_ready;

  bool armed = true;                  // wants to be told
  absl::Duration due;                 // not told before; steady time
  absl::Duration told;                // when it was told last; steady time
  uint64_t seen_folds = 0;            // folds up to here changed nothing
  absl::Duration next_age_check;      // steady time
  std::optional<TakenReports> taken;  // nullopt: nothing yet
};

int64_t ActiveOf(const Watch& watch) {
  return watch.subscription.active == nullptr ? 0 : watch.subscription.active();
}

class Hub final : public ReportHub {
 public:
  Hub(CalibrationMonitor& monitor, const Clock& clock, int max_subscribers)
      : monitor_(monitor), clock_(clock), max_subscribers_(max_subscribers), cache_(monitor) {
    monitor_.SetOnFold([this] { OnFold(); });
    thread_ = std::thread([this] { Run(); });
  }
  ~Hub() override;

  absl::StatusOr<std::unique_ptr<Subscriber>> Subscribe(Subscription subscription,
                                                        std::function<void()> on_ready) override;
  void ActiveChanged() override { OnFold(); }
  absl::StatusOr<WindowReport> Newest(const MonitorKey& key, const std::string& window) override {
    return cache_.Get(key, window, SteadyNow() - ReportCache::kSharedFor);
  }
  void Unsubscribe(const std::shared_ptr<Watch>& watch);
  std::vector<WindowReport> Take(Watch& watch);

 private:
  using Watches = std::set<std::shared_ptr<Watch>>;
  struct Tick {
    absl::Duration start;  // steady time
    uint64_t folds = 0;
    std::vector<std::shared_ptr<Watch>> due;
  };
  // What was looked up once for everyone in a tick.
  struct Looked {
    absl::Time now;
    bool catching_up = false;
    std::map<MonitorKey, KeyRevision> revisions;
  };

  void OnFold();
  void Run();
  // Waits until somebody may have to be told; nullopt at destruction.
  std::optional<Tick> NextTick();
  // Adds who may have to be told at `now`; returns when the next of the others may.
  absl::Duration CollectDue(absl::Duration now, Tick& tick) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void TellIfChanged(const std::shared_ptr<Watch>& watch, const Tick& tick, Looked& looked);
  bool Changed(const std::optional<TakenReports>& taken, const MonitorKey& key, Looked& looked);

  CalibrationMonitor& monitor_;
  const Clock& clock_;
  const int max_subscribers_;
  ReportCache cache_;
  absl::Duration last_look_ = -absl::InfiniteDuration();  // Of the thread: steady time.

  Mutex mu_;
  CondVar wake_;  // for the thread
  CondVar call_done_;
  Watches watches_ ABSL_GUARDED_BY(mu_);
  const Watch* calling_ ABSL_GUARDED_BY(mu_) = nullptr;  // whose functions the thread is in
  uint64_t folds_ ABSL_GUARDED_BY(mu_) = 1;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;

  std::thread thread_;  // Last: joined before anything it reads is destroyed.
};

class HubSubscriber final : public ReportHub::Subscriber {
 public:
  HubSubscriber(Hub& hub, std::shared_ptr<Watch> watch) : hub_(hub), watch_(std::move(watch)) {}
  ~HubSubscriber() override { hub_.Unsubscribe(watch_); }
  std::vector<WindowReport> Take() override { return hub_.Take(*watch_); }

 private:
  Hub& hub_;
  const std::shared_ptr<Watch> watch_;
};

Hub::~Hub() {
  monitor_.SetOnFold(nullptr);
  {
    MutexLock lock(&mu_);
    stopping_ = true;
    wake_.Signal();
  }
  thread_.join();
}

absl::StatusOr<std::unique_ptr<ReportHub::Subscriber>> Hub::Subscribe(Subscription subscription,
                                                                      std::function<void()> on_ready) {
  if (subscription.min_interval < kMinInterval || subscription.min_interval > kMaxInterval) {
    return absl::InvalidArgumentError(absl::StrCat("min_interval must be 10 ms to 1 h; was ",
                                                   absl::FormatDuration(subscription.min_interval)));
  }
  if (subscription.windows.empty() || subscription.windows.size() > kMostWindows) {
    return absl::InvalidArgumentError(absl::StrCat("a subscription must name 1 to ", kMostWindows,
                                                   " windows; names ", subscription.windows.size()));
  }
  std::vector<bool> ages;
  for (const std::string& window : subscription.windows) {
    RETURN_IF_ERROR(monitor_.Report(MonitorKey(), window).status());
    ASSIGN_OR_RETURN(const WindowSpec spec, WindowSpec::Parse(window));
    ages.push_back(spec.kind != WindowSpec::Kind::kLastCount);
  }
  auto watch = std::make_shared<Watch>(std::move(subscription), std::move(ages), std::move(on_ready));
  MutexLock lock(&mu_);
  if (static_cast<int>(watches_.size()) >= max_subscribers_) {
    return absl::ResourceExhaustedError(
        absl::StrCat("at most ", max_subscribers_, " subscribers watch at a time; try again later"));
  }
  watches_.insert(watch);
  wake_.Signal();
  return std::make_unique<HubSubscriber>(*this, std::move(watch));
}

void Hub::Unsubscribe(const std::shared_ptr<Watch>& watch) {
  MutexLock lock(&mu_);
  watches_.erase(watch);
  while (calling_ == watch.get()) call_done_.Wait(&mu_);
}

std::vector<WindowReport> Hub::Take(Watch& watch) {
  absl::Duration told;
  {
    MutexLock lock(&mu_);
    told = watch.told;
  }
  TakenReports taken;
  taken.key = watch.subscription.key();
  taken.active = ActiveOf(watch);
  std::vector<WindowReport> reports;
  for (size_t i = 0; i < watch.subscription.windows.size(); ++i) {
    absl::StatusOr<WindowReport> report = cache_.Get(taken.key, watch.subscription.windows[i], told);
    if (!report.ok()) continue;  // Cannot be: the window was there when it was subscribed to.
    // Reports of two windows may lie either side of a fold: the older one decides what is new.
    const bool first = reports.empty();
    const KeyRevision revision{report->label_position, report->alarm.acknowledgements};
    taken.revision = first ? revision : std::min(taken.revision, revision);
    taken.time = first ? report->time : std::min(taken.time, report->time);
    taken.ages = taken.ages || (watch.ages[i] && report->served.n > 0);
    taken.catching_up = taken.catching_up || report->catching_up;
    reports.push_back(*std::move(report));
  }
  MutexLock lock(&mu_);
  const absl::Duration now = SteadyNow();
  watch.taken = std::move(taken);
  watch.armed = true;
  watch.due = now + watch.subscription.min_interval;
  watch.next_age_check = now + kAgeCheck;
  watch.seen_folds = 0;
  wake_.Signal();
  return reports;
}

void Hub::OnFold() {
  MutexLock lock(&mu_);
  ++folds_;
  wake_.Signal();
}

void Hub::Run() {
  while (const std::optional<Tick> tick = NextTick()) {
    Looked looked;
    looked.now = clock_.Now();
    looked.catching_up = monitor_.state().catching_up;
    for (const std::shared_ptr<Watch>& watch : tick->due) TellIfChanged(watch, *tick, looked);
  }
}

std::optional<Hub::Tick> Hub::NextTick() {
  MutexLock lock(&mu_);
  while (!stopping_) {
    Tick tick;
    tick.start = SteadyNow();
    if (const absl::Duration early = last_look_ + kTick - tick.start; early > absl::ZeroDuration()) {
      wake_.WaitFor(&mu_, early);
      continue;
    }
    last_look_ = tick.start;
    tick.folds = folds_;
    const absl::Duration next = CollectDue(tick.start, tick);
    if (!tick.due.empty()) return tick;
    wake_.WaitFor(&mu_, next - tick.start);
  }
  return std::nullopt;
}

absl::Duration Hub::CollectDue(absl::Duration now, Tick& tick) {
  absl::Duration next = absl::InfiniteDuration();
  for (const std::shared_ptr<Watch>& watch : watches_) {
    if (!watch->armed) continue;
    absl::Duration at = watch->due;
    // Nothing was folded since it was looked at: only time may change what it watches.
    if (watch->seen_folds == folds_) at = std::max(at, watch->next_age_check);
    if (at <= now) {
      tick.due.push_back(watch);
    } else {
      next = std::min(next, at);
    }
  }
  return next;
}

void Hub::TellIfChanged(const std::shared_ptr<Watch>& watch, const Tick& tick, Looked& looked) {
  std::optional<TakenReports> taken;
  {
    MutexLock lock(&mu_);
    if (!watches_.contains(watch)) return;
    calling_ = watch.get();
    taken = watch->taken;
  }
  const bool changed = Changed(taken, watch->subscription.key(), looked) || taken->active != ActiveOf(*watch);
  {
    MutexLock lock(&mu_);
    watch->armed = watch->armed && !changed;
    if (changed) watch->told = tick.start;
    watch->seen_folds = tick.folds;
    watch->next_age_check = tick.start + kAgeCheck;
  }
  if (changed) watch->on_ready();
  MutexLock lock(&mu_);
  calling_ = nullptr;
  call_done_.SignalAll();
}

bool Hub::Changed(const std::optional<TakenReports>& taken, const MonitorKey& key, Looked& looked) {
  if (!taken.has_value()) return true;
  auto it = looked.revisions.find(key);
  if (it == looked.revisions.end()) it = looked.revisions.emplace(key, monitor_.Revision(key)).first;
  return ReportsChanged(*taken, key, it->second, looked.catching_up, looked.now);
}

}  // namespace

std::unique_ptr<ReportHub> ReportHub::Create(CalibrationMonitor& monitor, const Clock& clock,
                                             int max_subscribers) {
  return std::make_unique<Hub>(monitor, clock, max_subscribers);
}

}  // namespace calserve
