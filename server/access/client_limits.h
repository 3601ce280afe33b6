#ifndef CALSERVE_SERVER_ACCESS_CLIENT_LIMITS_H_
#define CALSERVE_SERVER_ACCESS_CLIENT_LIMITS_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/base/monotonic_clock.h"
#include "server/base/mutex.h"

namespace calserve {

struct LimitOptions {
  int rate_limit = 0;         // calls a second of one identity, messages of a stream included; 0: no limit
  int concurrency_limit = 0;  // calls of one identity under way; 0: no limit
  int max_identities = 4096;  // that are remembered; beyond it newcomers share one allowance
};

// Keeps each identity within a rate and a number of calls under way. The rate is a token bucket that holds a
// second's worth: an idle client may make that many calls at once. An identity that has nothing under way and
// its bucket full is forgotten when room is needed. Thread-safe; outlives its permits.
class ClientLimits final {
 public:
  struct Client;

  // A call under way, from Admit to destruction. Not thread-safe, except that different permits are.
  class Permit final {
   public:
    Permit() = default;  // of no limit
    Permit(ClientLimits* limits, std::shared_ptr<Client> client);
    Permit(Permit&& other) noexcept = default;
    Permit& operator=(Permit&& other) noexcept;
    ~Permit();

    // One more message of the call, where it is a stream; counts as a call does.
    absl::Status NextMessage();

   private:
    void Release();

    ClientLimits* limits_ = nullptr;
    std::shared_ptr<Client> client_;  // null: no limit
  };

  // `clock` outlives the object.
  ClientLimits(const LimitOptions& options, MonotonicClock& clock);
  ~ClientLimits();

  // RESOURCE_EXHAUSTED with the reason RATE_LIMIT or CONCURRENCY_LIMIT and when a retry may succeed.
  absl::StatusOr<Permit> Admit(absl::string_view identity);

  // Identities remembered now.
  size_t identities() const;

 private:
  using Clients = std::map<std::string, std::shared_ptr<Client>, std::less<>>;

  std::shared_ptr<Client> Find(absl::string_view identity, absl::Time now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status Take(Client& client, absl::Time now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  std::shared_ptr<Client> NewClient(absl::Time now) const;
  void Forget(absl::Time now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const LimitOptions options_;
  MonotonicClock& clock_;
  mutable Mutex mu_;
  Clients clients_ ABSL_GUARDED_BY(mu_);
  std::shared_ptr<Client> newcomers_ ABSL_GUARDED_BY(mu_);  // all that find no room, together
  absl::Time may_forget_from_ ABSL_GUARDED_BY(mu_);         // looking through all is not for every call
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_ACCESS_CLIENT_LIMITS_H_
