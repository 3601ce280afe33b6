#include "server/feedback/tickets.h"

#include <sodium.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "server/base/mutex.h"
#include "server/base/status_macros.h"
#include "server/feedback/key_ring.h"
#include "server/feedback/posix_file.h"
#include "server/feedback/ticket_codec.h"
#include "server/logging/log.h"

namespace calserve {
namespace {

// A ticket: format byte, key tag, nonce, sealed content with its 16-byte authenticator.
constexpr uint8_t kFormat = 1;
constexpr char kFirstOfText = 'A';  // what kFormat, whatever follows, is in base64
constexpr size_t kNonceAt = 1 + sizeof(uint64_t);
constexpr size_t kNonceBytes = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES;
constexpr size_t kSealedAt = kNonceAt + kNonceBytes;
constexpr size_t kAuthenticatorBytes = crypto_aead_xchacha20poly1305_ietf_ABYTES;

constexpr absl::Duration kMaxAhead = absl::Minutes(5);  // what clocks of replicas may differ by
constexpr absl::Duration kLookInterval = absl::Seconds(1);

uint8_t* Bytes(std::string& s) { return reinterpret_cast<uint8_t*>(s.data()); }
const uint8_t* Bytes(absl::string_view s) { return reinterpret_cast<const uint8_t*>(s.data()); }

// Random bytes for one nonce. One system call fills many; each is used once. (A fork would repeat them: the
// server does not fork.)
void TakeNonce(uint8_t* nonce) {
  thread_local std::array<uint8_t, 64 * kNonceBytes> buffer;
  thread_local size_t used = buffer.size();
  if (used == buffer.size()) {
    randombytes_buf(buffer.data(), buffer.size());
    used = 0;
  }
  std::memcpy(nonce, buffer.data() + used, kNonceBytes);
  used += kNonceBytes;
}

uint64_t HashOf(absl::string_view text) {
  uint8_t hash[crypto_generichash_BYTES];
  crypto_generichash(hash, sizeof(hash), Bytes(text), text.size(), nullptr, 0);
  uint64_t first;
  std::memcpy(&first, hash, sizeof(first));
  return first;
}

class TicketSealerImpl final : public TicketSealer {
 public:
  TicketSealerImpl(const TicketOptions& options, std::string path, const std::string& deployment_id,
                   const Clock& clock, KeyRingFile file)
      : feedback_ttl_(options.feedback_ttl),
        max_classes_(options.ticket_max_classes),
        path_(std::move(path)),
        deployment_id_(deployment_id),
        deployment_tag_(HashOf(deployment_id)),
        clock_(clock),
        last_look_micros_(absl::ToUnixMicros(clock.Now())),
        ring_(std::make_shared<const KeyRing>(std::move(file.ring))),
        version_(file.version) {}

  std::string Seal(const TicketContent& content) const override;
  std::variant<TicketContent, TicketRejection> Open(absl::string_view ticket) const override;
  absl::Status KeyStatus() const override {
    MutexLock lock(&mu_);
    return status_;
  }

 private:
  std::variant<TicketContent, TicketRejection> OpenSealed(absl::string_view ticket) const;
  // What the ticket shows of a key: its id, mixed with the deployment, so that a ticket of another deployment
  // that shares the ring file is told apart from an altered one.
  uint64_t KeyTag(const TicketKey& key) const { return key.id ^ deployment_tag_; }

  // The authenticated data: format, key tag (both as in the ticket) and deployment id.
  std::string AuthenticatedData(absl::string_view ticket) const {
    return absl::StrCat(ticket.substr(0, kNonceAt), deployment_id_);
  }

  std::shared_ptr<const KeyRing> Ring(absl::Time now) const;
  void ReloadIfChanged(absl::Time now) const;

  const absl::Duration feedback_ttl_;
  const int max_classes_;
  const std::string path_;
  const std::string deployment_id_;
  const uint64_t deployment_tag_;
  const Clock& clock_;

  mutable std::atomic<int64_t> last_look_micros_;
  mutable Mutex reload_mu_;  // Taken before mu_.
  mutable Mutex mu_;
  mutable std::shared_ptr<const KeyRing> ring_ ABSL_GUARDED_BY(mu_);
  mutable FileVersion version_ ABSL_GUARDED_BY(mu_);  // of the file last read well
  mutable absl::Status status_ ABSL_GUARDED_BY(mu_);
};

std::string TicketSealerImpl::Seal(const TicketContent& content) const {
  const std::string plain = EncodeTicketContent(content, content.classes <= max_classes_);
  const absl::Time now = clock_.Now();
  const std::shared_ptr<const KeyRing> ring = Ring(now);
  const TicketKey& key = ring->Sealing(now);
  const uint64_t tag = KeyTag(key);

  std::string ticket(kSealedAt + plain.size() + kAuthenticatorBytes, '\0');
  ticket[0] = static_cast<char>(kFormat);
  std::memcpy(&ticket[1], &tag, sizeof(tag));
  TakeNonce(Bytes(ticket) + kNonceAt);
  const std::string authenticated = AuthenticatedData(ticket);
  crypto_aead_xchacha20poly1305_ietf_encrypt(Bytes(ticket) + kSealedAt, nullptr, Bytes(plain), plain.size(),
                                             Bytes(authenticated), authenticated.size(), nullptr,
                                             Bytes(ticket) + kNonceAt, key.key.data());
  return ticket;
}

std::variant<TicketContent, TicketRejection> TicketSealerImpl::Open(absl::string_view ticket) const {
  std::string sealed;
  const bool is_text = !ticket.empty() && ticket.front() == kFirstOfText;
  return OpenSealed(is_text && absl::Base64Unescape(ticket, &sealed) ? sealed : ticket);
}

std::variant<TicketContent, TicketRejection> TicketSealerImpl::OpenSealed(absl::string_view ticket) const {
  if (ticket.size() < kSealedAt + kAuthenticatorBytes) {
    return TicketRejection{TicketError::kInvalid,
                           absl::StrCat("a ticket has at least ", kSealedAt + kAuthenticatorBytes,
                                        " bytes; this has ", ticket.size())};
  }
  if (const int format = static_cast<uint8_t>(ticket[0]); format != kFormat) {
    return TicketRejection{TicketError::kInvalid,
                           absl::StrCat("ticket format ", format, " is unknown; this server reads format 1")};
  }
  uint64_t tag;
  std::memcpy(&tag, &ticket[1], sizeof(tag));
  const std::shared_ptr<const KeyRing> ring = Ring(clock_.Now());
  const TicketKey* const key = ring->Find(tag ^ deployment_tag_);
  if (key == nullptr) {
    return TicketRejection{TicketError::kForeign,
                           "the ticket was sealed with a key that this deployment does not have: by another "
                           "deployment, or with a key that was removed"};
  }
  const std::string authenticated = AuthenticatedData(ticket);
  std::string plain(ticket.size() - kSealedAt - kAuthenticatorBytes, '\0');
  if (crypto_aead_xchacha20poly1305_ietf_decrypt(
          Bytes(plain), nullptr, nullptr, Bytes(ticket) + kSealedAt, ticket.size() - kSealedAt,
          Bytes(authenticated), authenticated.size(), Bytes(ticket) + kNonceAt, key->key.data()) != 0) {
    return TicketRejection{TicketError::kInvalid,
                           "the ticket is not as it was issued: altered, or cut short"};
  }
  absl::StatusOr<TicketContent> content = DecodeTicketContent(plain);
  if (!content.ok()) {
    return TicketRejection{TicketError::kInvalid,
                           absl::StrCat("the ticket's content is malformed: ", content.status().message())};
  }
  const absl::Duration age = clock_.Now() - content->issued_at;
  if (age > feedback_ttl_) {
    return TicketRejection{
        TicketError::kExpired,
        absl::StrCat("the ticket is ", absl::FormatDuration(absl::Trunc(age, absl::Seconds(1))),
                     " old; labels are taken for ", absl::FormatDuration(feedback_ttl_))};
  }
  if (age < -kMaxAhead) {
    return TicketRejection{
        TicketError::kFromFuture,
        absl::StrCat("the ticket was issued ", absl::FormatDuration(absl::Trunc(-age, absl::Seconds(1))),
                     " in the future; clocks may differ by ", absl::FormatDuration(kMaxAhead))};
  }
  return *std::move(content);
}

std::shared_ptr<const KeyRing> TicketSealerImpl::Ring(absl::Time now) const {
  const int64_t micros = absl::ToUnixMicros(now);
  int64_t last = last_look_micros_.load(std::memory_order_relaxed);
  if (absl::AbsDuration(absl::Microseconds(micros - last)) >= kLookInterval &&
      last_look_micros_.compare_exchange_strong(last, micros, std::memory_order_relaxed)) {
    ReloadIfChanged(now);
  }
  MutexLock lock(&mu_);
  return ring_;
}

void TicketSealerImpl::ReloadIfChanged(absl::Time now) const {
  // Else what a slower thread read before could replace what this one reads.
  MutexLock one_at_a_time(&reload_mu_);
  const absl::StatusOr<FileVersion> found = GetFileVersion(path_);
  const FileVersion version = found.ok() ? *found : FileVersion();
  {
    MutexLock lock(&mu_);
    if (version == version_) return;
  }
  absl::StatusOr<KeyRingFile> file = ReadKeyRing(path_, now);
  MutexLock lock(&mu_);
  const bool told = file.status() == status_;  // What is wrong is looked at again, and said once.
  status_ = file.status();
  if (file.ok()) version_ = file->version;
  if (file.ok()) ring_ = std::make_shared<const KeyRing>(std::move(file->ring));
  if (file.ok()) {
    LogInfo("ticket_keys_reloaded", {{"file", path_}, {"keys", ring_->keys().size()}});
  } else if (!told) {
    LogError("ticket_keys_not_reloaded; the keys read before stay in use",
             {{"error", file.status().message()}});
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<TicketSealer>> CreateTicketSealer(const TicketOptions& options,
                                                                 const std::string& data_dir,
                                                                 const std::string& deployment_id,
                                                                 const Clock& clock) {
  if (options.feedback_ttl <= absl::ZeroDuration()) {
    return absl::InvalidArgumentError(
        absl::StrCat("feedback_ttl must be > 0; was ", absl::FormatDuration(options.feedback_ttl)));
  }
  if (options.ticket_max_classes < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("ticket_max_classes must be >= 0; was ", options.ticket_max_classes));
  }
  if (deployment_id.empty()) return absl::InvalidArgumentError("the deployment id must not be empty");
  if (sodium_init() < 0) return absl::InternalError("libsodium cannot be initialised");

  const bool own_file = options.key_file.empty();
  const std::string path = own_file ? absl::StrCat(data_dir, "/ticket_keys") : options.key_file;
  absl::StatusOr<KeyRingFile> file = ReadKeyRing(path, clock.Now());
  if (own_file && absl::IsNotFound(file.status())) {
    RETURN_IF_ERROR(MakeDirectory(data_dir));
    RETURN_IF_ERROR(CreateKeyRing(path, clock.Now()));
    file = ReadKeyRing(path, clock.Now());
  }
  if (absl::IsNotFound(file.status())) {
    return absl::NotFoundError(
        absl::StrCat(file.status().message(),
                     "; put the keys of this deployment there, or leave --tickets-key-file out: "
                     "the server then makes ",
                     data_dir, "/ticket_keys"));
  }
  if (!file.ok()) return file.status();
  return std::make_unique<TicketSealerImpl>(options, path, deployment_id, clock, *std::move(file));
}

}  // namespace calserve
