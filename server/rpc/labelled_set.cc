#include "server/rpc/labelled_set.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "server/base/error_info.h"
#include "server/base/uuid.h"
#include "server/rpc/prediction_service.h"

namespace calserve {
namespace {

// A fit takes seconds to minutes.
constexpr absl::Duration kSetsRetry = absl::Seconds(30);

bool IsClass(int32_t index, int classes) { return index >= 0 && index < classes; }

}  // namespace

struct LabelledSet::Batch {
  v1::LabelledExamples examples;
  std::shared_ptr<const CancelFlag> cancel;
  absl::AnyInvocable<void(absl::Status) &&> done;
  int next = 0;  // example to add next
};

LabelledSet::LabelledSet(Predictor& predictor, Snapshot snapshot, const RecalibrationOptions& limits,
                         ByteBudget& memory)
    : predictor_(predictor),
      snapshot_(std::move(snapshot)),
      max_rows_(std::min<int64_t>(
          limits.fit_max_rows,
          limits.fit_max_bytes / (static_cast<int64_t>(sizeof(float)) * snapshot_.model->model->columns()))),
      memory_(memory) {
  data_.columns = snapshot_.model->model->columns();
}

void LabelledSet::Add(v1::LabelledExamples examples, std::shared_ptr<const CancelFlag> cancel,
                      absl::AnyInvocable<void(absl::Status) &&> done) {
  if (rows() + examples.examples_size() > max_rows_) {
    return std::move(done)(WithReason(
        absl::InvalidArgumentError(absl::StrCat("a labelled set may have at most ", max_rows_,
                                                " examples of this model (fit_max_rows, fit_max_bytes)")),
        "LABELLED_SET_TOO_LARGE"));
  }
  const int64_t bytes = examples.examples_size() * static_cast<int64_t>(sizeof(float)) * data_.columns;
  if (!share_.Take(memory_, bytes)) {
    absl::Status full = absl::ResourceExhaustedError(absl::StrCat(
        "labelled sets that are uploaded or fitted take ", memory_.taken(), " of at most ", memory_.limit(),
        " bytes (twice fit_max_bytes), and ", bytes, " more do not fit; try again later"));
    full = WithReason(std::move(full), "LABELLED_SETS_FULL");
    return std::move(done)(WithRetryAfter(std::move(full), kSetsRetry));
  }
  auto batch = std::make_shared<Batch>();
  batch->examples = std::move(examples);
  batch->cancel = std::move(cancel);
  batch->done = std::move(done);
  AddFrom(std::move(batch));
}

// Takes examples up to the next run of inputs, which go through the model; its callback comes back here.
void LabelledSet::AddFrom(std::shared_ptr<Batch> batch) {
  const int count = batch->examples.examples_size();
  const int classes = snapshot_.model->classes();
  for (int& i = batch->next; i < count; ++i) {
    const v1::LabelledExample& example = batch->examples.examples(i);
    if (!IsClass(example.class_index(), classes)) {
      return std::move(batch->done)(OfExample(absl::InvalidArgumentError(
          absl::StrCat("class_index must be 0 to ", classes - 1, "; was ", example.class_index()))));
    }
    if (example.has_input()) {
      int end = i + 1;
      const int limit = std::min(count, i + snapshot_.model->max_batch_size);
      while (end < limit && batch->examples.examples(end).has_input() &&
             IsClass(batch->examples.examples(end).class_index(), classes)) {
        ++end;
      }
      return Predict(std::move(batch), end);
    }
    if (!example.has_logits()) {
      return std::move(batch->done)(
          OfExample(absl::InvalidArgumentError("an example needs input or logits")));
    }
    if (absl::Status status = AddLogits(example.logits()); !status.ok()) {
      return std::move(batch->done)(OfExample(status));
    }
    data_.labels.push_back(example.class_index());
  }
  std::move(batch->done)(absl::OkStatus());
}

void LabelledSet::Predict(std::shared_ptr<Batch> batch, int end) {
  PredictionRequest request;
  request.rpc = Rpc::kFitExamples;
  request.return_logits = true;
  request.cancel = batch->cancel;
  for (int i = batch->next; i < end; ++i)
    request.inputs.push_back(FromProto(batch->examples.examples(i).input()));
  // Of the version that the fit is for, also if it was withdrawn meanwhile.
  predictor_.Predict(std::move(request), {snapshot_, Uuid::NewV7(absl::Now())},
                     [this, batch, end](absl::StatusOr<PredictionResponse> response) mutable {
                       if (!response.ok()) return std::move(batch->done)(OfExample(response.status()));
                       for (Prediction& prediction : response->predictions) {
                         const v1::LabelledExample& example = batch->examples.examples(batch->next++);
                         data_.logits.insert(data_.logits.end(), prediction.logits.begin(),
                                             prediction.logits.end());
                         data_.labels.push_back(example.class_index());
                       }
                       AddFrom(std::move(batch));
                     });
}

absl::Status LabelledSet::AddLogits(const v1::Logits& logits) {
  if (logits.values_size() != data_.columns) {
    return absl::InvalidArgumentError(
        absl::StrCat("logits must have ", data_.columns, " values; has ", logits.values_size()));
  }
  for (int k = 0; k < data_.columns; ++k) {
    if (!std::isfinite(logits.values(k))) {
      return absl::InvalidArgumentError(absl::StrCat("logit ", k, " must be finite; was ", logits.values(k)));
    }
  }
  data_.logits.insert(data_.logits.end(), logits.values().begin(), logits.values().end());
  return absl::OkStatus();
}

absl::Status LabelledSet::OfExample(const absl::Status& status) const {
  return WithField(
      absl::Status(status.code(), absl::StrCat("example ", rows(), " of the set: ", status.message())),
      "examples");
}

}  // namespace calserve
