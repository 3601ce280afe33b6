#ifndef CALSERVE_SERVER_FEEDBACK_TICKET_CODEC_H_
#define CALSERVE_SERVER_FEEDBACK_TICKET_CODEC_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/feedback/scored_label.h"

namespace calserve {

// The plain bytes inside a ticket, little-endian:
//
//   version           1 byte, 1
//   prediction id     16 bytes
//   issued at         8 bytes, Unix microseconds
//   confidence, uncalibrated confidence, largest logit   3 × 4 bytes, float32
//   model version, calibrator version, predicted class, uncalibrated class, classes   varints
//   model             text
//   model digest, calibrator digest   digests
//   logits            varint count (0 or `classes`), 2 bytes each
//   attributes        varint count, then key and value, texts
//
// varint: 7 bits a byte, low first, at most 10 bytes, never longer than needed. text: varint length, bytes.
// digest: varint 2·length + packed, bytes; lower-case hex of even length is always packed two digits to a
// byte. So each content has exactly one encoding, and Decode accepts no other.

// `include_logits` false leaves them out (wide models). Integers must not be negative.
std::string EncodeTicketContent(const TicketContent& content, bool include_logits = true);

// INVALID_ARGUMENT saying what is wrong, never more memory than the input is long.
absl::StatusOr<TicketContent> DecodeTicketContent(absl::string_view bytes);

// Attributes alone, in the same encoding; the store keeps them so.
std::string EncodeAttributes(const Attributes& attributes);
absl::StatusOr<Attributes> DecodeAttributes(absl::string_view bytes);

}  // namespace calserve

#endif  // CALSERVE_SERVER_FEEDBACK_TICKET_CODEC_H_
