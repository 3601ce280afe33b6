#include "server/prediction/answer_size.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "server/base/error_info.h"

namespace calserve {
namespace {

// Beside its name: the index and the probability, as fields or as text.
constexpr int64_t kNamedClassBytes = 24;

}  // namespace

absl::Status CheckAnswerSize(const PredictionRequest& request, const ServedModel& model) {
  const int64_t classes = model.classes(), rows = static_cast<int64_t>(request.inputs.size());
  const int64_t numbers = classes * (int64_t{request.return_logits} + int64_t{request.return_probabilities});
  int64_t named = request.top_k;
  if (request.prediction_set.has_value()) named += std::min<int64_t>(classes, Prediction::kMaxSetClasses);
  const int64_t bytes = rows * (numbers * static_cast<int64_t>(sizeof(float)) +
                                named * (kNamedClassBytes + model.label_bytes / classes));
  if (bytes <= kMaxAnswerBytes) return absl::OkStatus();
  return WithReason(absl::InvalidArgumentError(absl::StrCat(
                        "the answer would take some ", bytes >> 20, " MiB (", rows, " inputs, ", named,
                        " named classes and ", numbers, " numbers each); it may take ", kMaxAnswerBytes >> 20,
                        " MiB: send fewer inputs at a time, or ask for fewer classes")),
                    "ANSWER_TOO_LARGE");
}

}  // namespace calserve
