#ifndef CALSERVE_TESTS_UNIT_FEEDBACK_FEEDBACK_TESTING_H_
#define CALSERVE_TESTS_UNIT_FEEDBACK_FEEDBACK_TESTING_H_

#include <stdlib.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/feedback/half_float.h"
#include "server/feedback/scored_label.h"

namespace calserve {

inline const absl::Time kStart = absl::FromUnixSeconds(1'790'000'000);

// An empty directory, removed at the end. Under the build directory: on its disk, not in memory.
class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string name = std::string(CALSERVE_BINARY_DIR) + "/feedback-test-XXXXXX";
    path_ = mkdtemp(name.data()) == nullptr ? "" : name;
  }
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// A prediction over `classes` classes, with an id that `number` decides.
inline TicketContent MakePrediction(uint64_t number, int classes = 10, absl::Time issued_at = kStart) {
  TicketContent content;
  for (int i = 0; i < 8; ++i)
    content.prediction_id.bytes[8 + i] = static_cast<uint8_t>(number >> (56 - 8 * i));
  content.model = "fashion";
  content.model_version = 3;
  content.model_digest = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
  content.calibrator_version = 2;
  content.calibrator_digest = "60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752";
  content.issued_at = issued_at;
  content.predicted_class = static_cast<int32_t>(number % classes);
  content.uncalibrated_class = content.predicted_class;
  content.confidence = 0.75f;
  content.uncalibrated_confidence = 0.875f;
  std::vector<float> logits(classes);
  for (int k = 0; k < classes; ++k) logits[k] = 3.5f - 0.25f * static_cast<float>(k);
  SetLogits(logits, content);
  return content;
}

inline ScoredLabel MakeLabel(uint64_t number, int32_t label = 1, int classes = 10) {
  ScoredLabel scored;
  scored.prediction = MakePrediction(number, classes);
  scored.label = label;
  scored.submitter = "anonymous";
  return scored;
}

MATCHER_P2(StatusIs, code, message, "") {
  return ::testing::ExplainMatchResult(code, arg.code(), result_listener) &&
         ::testing::ExplainMatchResult(message, std::string(arg.message()), result_listener);
}

}  // namespace calserve

#endif  // CALSERVE_TESTS_UNIT_FEEDBACK_FEEDBACK_TESTING_H_
