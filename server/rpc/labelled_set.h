#ifndef CALSERVE_SERVER_RPC_LABELLED_SET_H_
#define CALSERVE_SERVER_RPC_LABELLED_SET_H_

#include <memory>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "calserve/v1/calibration.pb.h"
#include "server/base/byte_budget.h"
#include "server/prediction/predictor.h"
#include "server/recalibration/calibrator_registry.h"

namespace calserve {

// Gathers an uploaded labelled set as logits: takes logits as they are and runs images and tensors through
// the model. One Add at a time.
class LabelledSet final {
 public:
  // `predictor` and `memory`, of which the logits are a share, outlive the set.
  LabelledSet(Predictor& predictor, Snapshot snapshot, const RecalibrationOptions& limits,
              ByteBudget& memory);

  // Adds the examples and calls done exactly once, on this or another thread. INVALID_ARGUMENT names the
  // example by its place in the whole set (of inputs that go through the model together the first one's, and
  // the input among them); also where the set grows past fit_max_rows or fit_max_bytes. RESOURCE_EXHAUSTED
  // where there is no more memory for sets.
  void Add(v1::LabelledExamples examples, std::shared_ptr<const CancelFlag> cancel,
           absl::AnyInvocable<void(absl::Status) &&> done);

  int64_t rows() const { return static_cast<int64_t>(data_.labels.size()); }
  struct Taken {
    LabelledLogits logits;
    ByteBudget::Share memory;  // of the logits; to be kept as long as they are
  };
  Taken Take() && { return {std::move(data_), std::move(share_)}; }

 private:
  struct Batch;
  absl::Status AddLogits(const v1::Logits& logits);
  void AddFrom(std::shared_ptr<Batch> batch);
  void Predict(std::shared_ptr<Batch> batch, int end);
  absl::Status OfExample(const absl::Status& status) const;

  Predictor& predictor_;
  const Snapshot snapshot_;
  const int64_t max_rows_;
  ByteBudget& memory_;
  ByteBudget::Share share_;
  LabelledLogits data_;
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_RPC_LABELLED_SET_H_
