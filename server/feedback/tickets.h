#ifndef CALSERVE_SERVER_FEEDBACK_TICKETS_H_
#define CALSERVE_SERVER_FEEDBACK_TICKETS_H_

#include <memory>
#include <string>
#include <variant>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/base/clock.h"
#include "server/feedback/scored_label.h"

namespace calserve {

enum class TicketError { kInvalid, kForeign, kExpired, kFromFuture };

struct TicketRejection {
  TicketError error;
  std::string message;  // the rule and the value
};

// Seals predictions into opaque bytes and opens them again (XChaCha20-Poly1305; design.md, section 6). Keys
// come from a ring file; Seal and Open look at most once a second whether it has changed. Thread-safe;
// sealing costs about 2 µs.
class TicketSealer {
 public:
  virtual ~TicketSealer() = default;
  virtual std::string Seal(const TicketContent& content) const = 0;
  // `ticket` as it was sealed, or in base64, as KServe v2's answers have it.
  virtual std::variant<TicketContent, TicketRejection> Open(absl::string_view ticket) const = 0;

  // Not OK while the ring file cannot be read or is malformed; the keys read before stay in use then.
  virtual absl::Status KeyStatus() const { return absl::OkStatus(); }
};

struct TicketOptions {
  // A ring file (key_ring.h has its format); empty: DATA_DIR/ticket_keys, made with mode 0600 if it is not
  // there.
  std::string key_file;
  absl::Duration feedback_ttl = absl::Hours(14 * 24);  // a ticket older than this is expired
  int ticket_max_classes = 1024;                       // above it tickets carry no logits
};

// `deployment_id` binds tickets to the store; `clock` outlives the sealer.
absl::StatusOr<std::unique_ptr<TicketSealer>> CreateTicketSealer(const TicketOptions& options,
                                                                 const std::string& data_dir,
                                                                 const std::string& deployment_id,
                                                                 const Clock& clock);

}  // namespace calserve

#endif  // CALSERVE_SERVER_FEEDBACK_TICKETS_H_
