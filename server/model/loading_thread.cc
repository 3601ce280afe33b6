#include "server/model/loading_thread.h"

#include <exception>
#include <system_error>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "server/base/mutex.h"
#include "server/base/thread_priority.h"

namespace calserve {
namespace {

constexpr int kLoadingNice = 19;

class Done {
 public:
  void Tell() {
    MutexLock lock(&mu_);
    told_ = true;
    changed_.SignalAll();
  }
  // Whether it was told within `timeout`.
  bool WaitFor(absl::Duration timeout) {
    const absl::Time end = absl::Now() + timeout;
    MutexLock lock(&mu_);
    while (!told_ && absl::Now() < end) changed_.WaitFor(&mu_, end - absl::Now());
    return told_;
  }

 private:
  Mutex mu_;
  CondVar changed_;
  bool told_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace

absl::StatusOr<std::unique_ptr<LoadedVersion>> LoadOnThreadThatEnds(const VersionLoader& load,
                                                                    int64_t version,
                                                                    const LoadingOptions& options) try {
  absl::StatusOr<std::unique_ptr<LoadedVersion>> loaded = absl::InternalError("not loaded");
  Done done;
  const absl::Time begun = absl::Now();
  std::jthread thread([&] {
    if (options.moment.serving) LowerOwnPriority(kLoadingNice);
    try {
      loaded = load(version, options.moment);
    } catch (const std::exception& e) {
      loaded = absl::InternalError(absl::StrCat("loading failed: ", e.what()));
    }
    done.Tell();
  });
  while (!done.WaitFor(options.remind_every)) options.still_loading(absl::Now() - begun);
  thread.join();
  return loaded;
} catch (const std::system_error& e) {
  return absl::ResourceExhaustedError(absl::StrCat("no thread to load on: ", e.what()));
}

}  // namespace calserve
