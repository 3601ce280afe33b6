#include "server/access/client_limits.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "server/base/error_info.h"
#include "server/base/status_macros.h"
#include "server/base/token_bucket.h"

namespace calserve {
namespace {

constexpr absl::Duration kBetweenForgetting = absl::Seconds(1);
// When a call under way has ended cannot be known.
constexpr absl::Duration kConcurrencyRetry = absl::Milliseconds(100);

}  // namespace

struct ClientLimits::Client {
  TokenBucket calls;  // of no use where there is no rate limit
  int under_way = 0;
};

ClientLimits::Permit::Permit(ClientLimits* limits, std::shared_ptr<Client> client)
    : limits_(limits), client_(std::move(client)) {}

ClientLimits::Permit& ClientLimits::Permit::operator=(Permit&& other) noexcept {
  if (this == &other) return *this;
  Release();
  limits_ = other.limits_;
  client_ = std::move(other.client_);
  return *this;
}

ClientLimits::Permit::~Permit() { Release(); }

void ClientLimits::Permit::Release() {
  if (client_ == nullptr) return;
  MutexLock lock(&limits_->mu_);
  --client_->under_way;
  client_.reset();
}

absl::Status ClientLimits::Permit::NextMessage() {
  if (client_ == nullptr) return absl::OkStatus();
  const absl::Time now = limits_->clock_.Now();
  MutexLock lock(&limits_->mu_);
  return limits_->Take(*client_, now);
}

ClientLimits::ClientLimits(const LimitOptions& options, MonotonicClock& clock)
    : options_(options),
      clock_(clock),
      newcomers_(NewClient(clock.Now())),
      may_forget_from_(absl::InfinitePast()) {}

ClientLimits::~ClientLimits() = default;

absl::StatusOr<ClientLimits::Permit> ClientLimits::Admit(absl::string_view identity) {
  if (options_.rate_limit == 0 && options_.concurrency_limit == 0) return Permit();
  const absl::Time now = clock_.Now();
  MutexLock lock(&mu_);
  std::shared_ptr<Client> client = Find(identity, now);
  if (options_.concurrency_limit > 0 && client->under_way >= options_.concurrency_limit) {
    return WithRetryAfter(
        WithReason(absl::ResourceExhaustedError(absl::StrCat(
                       "this client has ", client->under_way,
                       " calls under way, all that access.concurrency_limit allows; retry with backoff")),
                   "CONCURRENCY_LIMIT"),
        kConcurrencyRetry);
  }
  RETURN_IF_ERROR(Take(*client, now));
  ++client->under_way;
  return Permit(this, std::move(client));
}

size_t ClientLimits::identities() const {
  MutexLock lock(&mu_);
  return clients_.size();
}

std::shared_ptr<ClientLimits::Client> ClientLimits::NewClient(absl::Time now) const {
  const double rate = options_.rate_limit;
  return std::make_shared<Client>(Client{TokenBucket(rate, rate, now)});
}

absl::Status ClientLimits::Take(Client& client, absl::Time now) {
  if (options_.rate_limit == 0 || client.calls.Take(now)) return absl::OkStatus();
  return WithRetryAfter(WithReason(absl::ResourceExhaustedError(absl::StrCat(
                                       "this client makes more calls than the ", options_.rate_limit,
                                       " a second that access.rate_limit allows")),
                                   "RATE_LIMIT"),
                        client.calls.UntilNext());
}

std::shared_ptr<ClientLimits::Client> ClientLimits::Find(absl::string_view identity, absl::Time now) {
  if (const auto found = clients_.find(identity); found != clients_.end()) return found->second;
  if (clients_.size() >= static_cast<size_t>(options_.max_identities)) Forget(now);
  if (clients_.size() >= static_cast<size_t>(options_.max_identities)) return newcomers_;
  std::shared_ptr<Client> client = NewClient(now);
  clients_.emplace(std::string(identity), client);
  return client;
}

void ClientLimits::Forget(absl::Time now) {
  if (now < may_forget_from_) return;
  may_forget_from_ = now + kBetweenForgetting;
  std::erase_if(clients_, [&](auto& entry) {
    Client& client = *entry.second;
    return client.under_way == 0 && client.calls.IsFull(now);
  });
}

}  // namespace calserve
