#ifndef CALSERVE_SERVER_FEEDBACK_SCORED_LABEL_H_
#define CALSERVE_SERVER_FEEDBACK_SCORED_LABEL_H_

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "server/base/uuid.h"

namespace calserve {

// Key and value, as the caller gave them with the input: at most 8, keys 1-32 bytes, values at most 64.
using Attributes = std::vector<std::pair<std::string, std::string>>;
inline constexpr size_t kMaxAttributes = 8;       // of an input
inline constexpr size_t kMaxAttributeKey = 32;    // bytes
inline constexpr size_t kMaxAttributeValue = 64;  // bytes

// What a ticket seals: everything that scoring a label later takes. A value.
struct TicketContent {
  Uuid prediction_id;
  std::string model;
  int64_t model_version = 0;
  std::string model_digest;  // of the model's content and its class names, hex
  int64_t calibrator_version = 0;
  std::string calibrator_digest;   // hex; empty for plain softmax
  absl::Time issued_at;            // to the microsecond
  int32_t predicted_class = 0;     // argmax of the served probabilities
  int32_t uncalibrated_class = 0;  // argmax of the logits
  float confidence = 0;            // of predicted_class, exactly as served
  float uncalibrated_confidence = 0;
  float max_logit = 0;
  int32_t classes = 0;
  // Logits minus max_logit as IEEE half floats (bits), K of them; empty above ticket_max_classes.
  std::vector<uint16_t> logits_fp16;
  Attributes attributes;
};

// A label that scored a prediction: a row of the log.
struct ScoredLabel {
  // Dense from 1, in commit order; issued by the store.
  int64_t position = 0;
  // Of the store at commit; never decreasing along the log; to the microsecond.
  absl::Time time;
  TicketContent prediction;
  int32_t label = 0;
  std::string source;     // who labelled; may be empty
  std::string submitter;  // the authenticated identity; "anonymous" without access control
  // With what probability the prediction was chosen to be labelled, (0, 1]; nullopt: not known.
  std::optional<double> inclusion_probability = std::nullopt;
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_FEEDBACK_SCORED_LABEL_H_
