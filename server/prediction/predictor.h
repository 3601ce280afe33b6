#ifndef CALSERVE_SERVER_PREDICTION_PREDICTOR_H_
#define CALSERVE_SERVER_PREDICTION_PREDICTOR_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "server/base/byte_pieces.h"
#include "server/base/clock.h"
#include "server/base/monotonic_clock.h"
#include "server/base/uuid.h"
#include "server/feedback/tickets.h"
#include "server/imaging/preprocessor.h"
#include "server/prediction/decode_pool.h"
#include "server/prediction/decoding_options.h"
#include "server/prediction/serving_table.h"
#include "server/prediction/set_choice.h"
#include "server/telemetry/outcome_counters.h"

namespace calserve {

// A whole JPEG, PNG or WebP file.
struct EncodedImage {
  absl::string_view bytes;
};

// The model's own input, already preprocessed; little-endian float32, row-major, without batch dimension.
struct TensorInput {
  enum class Type { kFloat32, kUint8, kUnknown };
  Type type = Type::kFloat32;
  std::vector<int64_t> shape;
  BytePieces data;  // in pieces that may end within a value
};

struct PredictionInput {
  std::variant<std::monostate, EncodedImage, TensorInput, PixelView> value;
  Attributes attributes;
};

// The views in it must stay valid until the request is answered.
struct PredictionRequest {
  std::string model;
  int64_t model_version = 0;  // 0: see VersionChoice
  std::string version_label;  // empty: see VersionChoice
  std::string routing_key;    // empty: the id of the first prediction
  std::vector<PredictionInput> inputs;
  int top_k = 0;  // 0: min(5, K)
  bool return_logits = false;
  bool return_probabilities = false;
  std::optional<SetChoice> prediction_set;
  absl::Time deadline = absl::InfiniteFuture();
  int priority = 0;                            // 1 is the most urgent; 0: the model's default
  std::shared_ptr<const CancelFlag> cancel;    // may be null
  Rpc rpc = Rpc::kPredict;                     // what it is counted as
  absl::Time received = absl::InfinitePast();  // when its handler began; InfinitePast: when Predict is called
};

struct Prediction {
  struct TopClass {
    int index = 0;
    float probability = 0;
  };
  std::string id;      // UUIDv7
  std::string ticket;  // sealed
  std::vector<TopClass> top_classes;
  float confidence = 0;
  float uncalibrated_confidence = 0;
  std::vector<float> probabilities;  // K, if asked for
  std::vector<float> logits;         // as the model gave them, if asked for
  // If asked for; `classes` are the most probable, at most kMaxSetClasses of `size`.
  static constexpr int kMaxSetClasses = 1000;
  struct Set {
    std::vector<TopClass> classes;
    int size = 0;
  };
  std::optional<Set> set;
};

struct PredictionResponse {
  Snapshot snapshot;  // what answered; names the labels
  std::vector<Prediction> predictions;
  std::optional<SetThreshold> set_threshold;  // of the sets, if asked for
  absl::Duration queued, decoding, model, answering;
};

// The main path: inputs -> decode pool -> batcher -> model -> calibrate, top-k, seal. Stores nothing.
// A request whose deadline or queue_timeout has passed, or whose client has cancelled, is answered while its
// images wait for a decoder or the batch for an instance, as soon as none of its images is being decoded; one
// that cannot be done in time, by the measured times of decoders and instances, before it is decoded.
// Thread-safe; Predict never waits. Destroy it after the batchers of the table are empty, or with no call
// under way.
class Predictor final {
 public:
  using Done = absl::AnyInvocable<void(absl::StatusOr<PredictionResponse>) &&>;

  // `table`, `tickets` and the clocks outlive the predictor; `stopwatch` measures how long decoding takes.
  Predictor(const DecodingOptions& options, const ServingTable& table, const TicketSealer& tickets,
            const Clock& clock, const MonotonicClock& stopwatch = MonotonicClock::System());

  // What answers a request, and the id of its first prediction, which may have chosen the version.
  struct Choice {
    Snapshot snapshot;
    Uuid first_id;
  };
  // As ServingTable::Find; without a routing key each request is routed for itself.
  absl::StatusOr<Choice> Choose(const std::string& model, VersionChoice choice) const;

  // Calls done exactly once, on this thread (refused), a thread of the decode pool, of the batcher, or one
  // that reads requests. INVALID_ARGUMENT and NOT_FOUND name the field; RESOURCE_EXHAUSTED,
  // DEADLINE_EXCEEDED, CANCELLED and INTERNAL as the batcher has them.
  void Predict(PredictionRequest request, Done done);
  // The same for a caller who had to know the model first: `request` says nothing of model and version.
  void Predict(PredictionRequest request, Choice choice, Done done);

  // A request that never got as far as a model version, where the version would count it.
  void CountUnserved(Rpc rpc, absl::StatusCode code) { unserved_.Count(rpc, code); }
  const OutcomeCounters& unserved() const { return unserved_; }
  // Images of all models that wait for a decoder.
  int64_t queued_images() const { return static_cast<int64_t>(decoders_.queued()); }

 private:
  struct Job;  // One request on its way.
  void Decode(std::shared_ptr<Job> job, std::vector<int> images);
  // Into `row`, a part of the job.
  void DecodeOne(std::shared_ptr<Job> job, int index, absl::Span<float> row, absl::Status wanted,
                 absl::Time start);
  void Schedule(std::shared_ptr<Job> job, absl::Time now);
  absl::StatusOr<PredictionResponse> Answer(const Job& job, const BatchResult& result, absl::Time now) const;

  const ServingTable& table_;
  const TicketSealer& tickets_;
  const Clock& clock_;
  OutcomeCounters unserved_;
  DecodePool decoders_;  // Last: its threads use the members above.
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_PREDICTION_PREDICTOR_H_
