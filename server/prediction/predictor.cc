#include "server/prediction/predictor.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <memory>
#include <new>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "calibration/class_order.h"
#include "calibration/conformal.h"
#include "calibration/row_kernels.h"
#include "server/base/error_info.h"
#include "server/base/mutex.h"
#include "server/base/status_macros.h"
#include "server/base/uuid.h"
#include "server/batching/batch_policy.h"
#include "server/feedback/half_float.h"
#include "server/prediction/answer_size.h"
#include "server/prediction/attribute_check.h"
#include "server/prediction/tensor_check.h"

namespace calserve {
namespace {

constexpr int kDefaultTopK = 5;
constexpr size_t kLargeTensors = 64 << 10;  // bytes, which take longer to read than to ask the batcher

size_t TensorBytes(const PredictionRequest& request) {
  size_t bytes = 0;
  for (const PredictionInput& input : request.inputs) {
    if (const auto* tensor = std::get_if<TensorInput>(&input.value)) bytes += SizeOf(tensor->data);
  }
  return bytes;
}

// Says which input it was: in the sentence and in the field.
absl::Status OfInput(const absl::Status& status, size_t index) {
  const std::string field = absl::StrCat("inputs[", index, "]");
  const std::string inner = ErrorField(status);
  return WithField(WithMessage(status, absl::StrCat(field, ": ", status.message())),
                   inner.empty() ? field : absl::StrCat(field, ".", inner));
}

// What a batcher calls a field of its task, the request calls an option.
absl::Status OfOptions(absl::Status status) {
  const std::string field = ErrorField(status);
  return field.empty() ? status : WithField(std::move(status), absl::StrCat("options.", field));
}

absl::Status CheckRequest(const PredictionRequest& request, const ServedModel& model) {
  const int64_t inputs = static_cast<int64_t>(request.inputs.size());
  if (inputs < 1 || inputs > model.max_batch_size) {
    return WithField(absl::InvalidArgumentError(absl::StrCat("a request of model '", model.name,
                                                             "' must have 1 to ", model.max_batch_size,
                                                             " inputs (max_batch_size); has ", inputs)),
                     "inputs");
  }
  if (request.top_k < 0 || request.top_k > model.classes()) {
    return WithField(
        absl::InvalidArgumentError(absl::StrCat("top_k must be 0 (the default) to ", model.classes(),
                                                ", the number of classes; was ", request.top_k)),
        "options.top_k");
  }
  return CheckAnswerSize(request, model);
}

// The `k` most probable classes.
std::vector<Prediction::TopClass> TopClasses(absl::Span<const float> probabilities,
                                             absl::Span<const float> logits, int k) {
  std::vector<int> order(probabilities.size());
  std::iota(order.begin(), order.end(), 0);
  std::partial_sort(order.begin(), order.begin() + k, order.end(),
                    MoreProbable<float>(probabilities, logits));
  std::vector<Prediction::TopClass> top(k);
  for (int i = 0; i < k; ++i) top[i] = {order[i], probabilities[order[i]]};
  return top;
}

// The set of a row, as far as an answer holds it.
Prediction::Set SetOf(const SetThreshold& threshold, absl::Span<const float> probabilities,
                      absl::Span<const float> logits) {
  const std::vector<double> wide(logits.begin(), logits.end());
  std::vector<int> classes = PredictionSet(threshold.score, threshold.threshold, probabilities, wide);
  Prediction::Set set;
  set.size = static_cast<int>(classes.size());
  classes.resize(std::min<size_t>(classes.size(), Prediction::kMaxSetClasses));
  for (const int k : classes) set.classes.push_back({k, probabilities[k]});
  return set;
}

// Largest softmax probability: 1 / sum_k exp(z_k - max z).
// `scratch` holds K values.
float UncalibratedConfidence(absl::Span<const float> logits, float max_logit, absl::Span<double> scratch) {
  std::transform(logits.begin(), logits.end(), scratch.begin(),
                 [max_logit](float z) { return static_cast<double>(z) - max_logit; });
  ExpOfNonPositive(scratch);
  return static_cast<float>(1 / Sum(scratch));
}

}  // namespace

// Shared by the decode threads that work on one request; the last of them sends it on.
struct Predictor::Job {
  PredictionRequest request;
  Snapshot snapshot;
  Uuid first_id;  // of the first prediction; may have chosen the version
  std::optional<SetThreshold> set_threshold;
  Done done;
  std::unique_ptr<float[]> decoded;  // images × input_size
  absl::Time received;               // by its handler
  absl::Time queued;                 // for a decoder, or else for an instance
  absl::Duration model_cost;         // its share of the forward pass

  std::atomic<int> undecoded{0};
  mutable Mutex mu;
  absl::Status error ABSL_GUARDED_BY(mu);  // of the lowest input that failed
  size_t error_index ABSL_GUARDED_BY(mu) = 0;
  absl::Duration waited ABSL_GUARDED_BY(mu);         // for a decoder, the slowest input
  absl::Duration decoding ABSL_GUARDED_BY(mu);       // the slowest input
  absl::Duration decoding_cost ABSL_GUARDED_BY(mu);  // of all inputs

  // Without its input and callback.
  BatchTask Task(absl::Time now) const {
    BatchTask task;
    task.rows = static_cast<int>(request.inputs.size());
    task.priority = request.priority;
    task.deadline = request.deadline;
    task.waited = std::max(now - received, absl::ZeroDuration());
    task.cancel = request.cancel;
    return task;
  }
  // The values of all inputs: tensors in the request, images in `decoded`.
  BytePieces Rows() const {
    BytePieces rows;
    rows.reserve(request.inputs.size());
    const float* image = decoded.get();
    for (const PredictionInput& input : request.inputs) {
      if (const auto* tensor = std::get_if<TensorInput>(&input.value); tensor != nullptr) {
        rows.insert(rows.end(), tensor->data.begin(), tensor->data.end());
      } else {
        const auto size = static_cast<size_t>(snapshot.model->input_size);
        rows.push_back(BytesOf({image, size}));
        image += size;
      }
    }
    return rows;
  }
  void Fail(size_t index, absl::Status status) {
    MutexLock lock(&mu);
    if (error.ok() || index < error_index) {
      error = std::move(status);
      error_index = index;
    }
  }
  bool failed() {
    MutexLock lock(&mu);
    return !error.ok();
  }
  // Counts the outcome, then tells it: whoever has the answer finds it counted. How long telling took is
  // counted after.
  void Finish(absl::StatusOr<PredictionResponse> outcome, const Clock& clock) {
    RequestCounters& counters = *snapshot.model->counters;
    const absl::Time answered = clock.Now();
    if (!outcome.ok()) {
      counters.CountFailed(request.rpc, outcome.status().code(), answered - received);
      return std::move(done)(std::move(outcome));
    }
    RequestTiming timing;
    timing.until_answer = answered - received;
    timing.receive = queued - received;
    timing.queue = outcome->queued;
    timing.preprocess = outcome->decoding;
    timing.model = outcome->model;
    timing.model_cost = model_cost;
    timing.calibrate = outcome->answering;
    {
      MutexLock lock(&mu);
      timing.preprocess_cost = decoding_cost;
    }
    counters.CountAnswered(request.rpc, static_cast<int64_t>(request.inputs.size()), timing, answered);
    std::move(done)(std::move(outcome));
    const absl::Time responded = clock.Now();
    counters.CountResponded(responded - answered, responded - received);
  }
};

namespace {

// What a client sent of an image.
int64_t ImageBytes(const PredictionInput& input) {
  const auto* const encoded = std::get_if<EncodedImage>(&input.value);
  return static_cast<int64_t>(
      (encoded != nullptr ? encoded->bytes : std::get<PixelView>(input.value).bytes).size());
}

absl::Status Preprocess(const Preprocessor& preprocessor, const PredictionInput& input,
                        absl::Span<float> row) try {
  const auto* const encoded = std::get_if<EncodedImage>(&input.value);
  return encoded != nullptr ? preprocessor.Run(encoded->bytes, row)
                            : preprocessor.Run(std::get<PixelView>(input.value), row);
} catch (const std::bad_alloc&) {
  return absl::ResourceExhaustedError("there is no memory to decode the image in; retry with backoff");
}

}  // namespace

Predictor::Predictor(const DecodingOptions& options, const ServingTable& table, const TicketSealer& tickets,
                     const Clock& clock, const MonotonicClock& stopwatch)
    : table_(table), tickets_(tickets), clock_(clock), decoders_(options, clock, stopwatch) {}

absl::StatusOr<Predictor::Choice> Predictor::Choose(const std::string& model, VersionChoice choice) const {
  Choice chosen;
  chosen.first_id = Uuid::NewV7(clock_.Now());
  const Uuid& id = chosen.first_id;
  if (choice.routing_key.empty()) {
    choice.routing_key = {reinterpret_cast<const char*>(id.bytes.data()), id.bytes.size()};
  }
  ASSIGN_OR_RETURN(chosen.snapshot, table_.Find(model, choice));
  return chosen;
}

void Predictor::Predict(PredictionRequest request, Done done) {
  absl::StatusOr<Choice> choice =
      Choose(request.model, {request.model_version, request.version_label, request.routing_key});
  if (!choice.ok()) {
    CountUnserved(request.rpc, choice.status().code());
    return std::move(done)(choice.status());
  }
  Predict(std::move(request), *std::move(choice), std::move(done));
}

void Predictor::Predict(PredictionRequest request, Choice choice, Done done) {
  const ServedModel& model = *choice.snapshot.model;
  if (request.received == absl::InfinitePast()) request.received = clock_.Now();
  if (absl::Status status = CheckRequest(request, model); !status.ok()) {
    model.counters->CountFailed(request.rpc, status.code(), clock_.Now() - request.received);
    return std::move(done)(std::move(status));
  }

  std::optional<SetThreshold> set_threshold;
  if (request.prediction_set.has_value()) {
    const absl::StatusOr<SetThreshold> found =
        FindThreshold(*request.prediction_set, model, *choice.snapshot.calibrator);
    if (!found.ok()) {
      model.counters->CountFailed(request.rpc, found.status().code(), clock_.Now() - request.received);
      return std::move(done)(found.status());
    }
    set_threshold = *found;
  }

  auto job = std::make_shared<Job>();
  job->set_threshold = set_threshold;
  job->received = request.received;
  job->request = std::move(request);
  job->snapshot = std::move(choice.snapshot);
  job->first_id = choice.first_id;
  job->done = std::move(done);

  // What cannot be let in is not read through first: that is an eighth of what a refused request of 600 KB
  // costs the cores that the others are computed on.
  if (TensorBytes(job->request) >= kLargeTensors) {
    const absl::Status admitted = model.batcher->CheckAdmission(job->Task(clock_.Now()), Arrival());
    if (!admitted.ok()) return job->Finish(OfOptions(admitted), clock_);
  }

  std::vector<int> images;
  for (size_t i = 0; i < job->request.inputs.size(); ++i) {
    const PredictionInput& input = job->request.inputs[i];
    absl::Status status = CheckAttributes(input.attributes, model);
    if (const auto* tensor = std::get_if<TensorInput>(&input.value); status.ok() && tensor != nullptr) {
      status = CheckTensor(*tensor, model.input_shape, model.input_size);
    } else if (status.ok() && !std::holds_alternative<std::monostate>(input.value)) {
      if (!model.preprocessor.has_value()) {
        status = absl::InvalidArgumentError(
            absl::StrCat("model '", model.name, "' takes tensors, not images (input kind: tensor)"));
      }
      images.push_back(static_cast<int>(i));
    } else if (status.ok()) {
      status = absl::InvalidArgumentError("an input needs encoded_image or tensor; it has neither");
    }
    if (!status.ok()) return job->Finish(OfInput(std::move(status), i), clock_);
  }
  const absl::Time now = clock_.Now();
  job->queued = now;
  if (images.empty()) return Schedule(std::move(job), now);
  Decode(std::move(job), std::move(images));
}

void Predictor::Decode(std::shared_ptr<Job> job, std::vector<int> images) {
  const ServedModel& model = *job->snapshot.model;
  const BatchingOptions& batching = model.batcher->options();
  const int priority = LevelOf(job->request.priority, batching);
  const absl::Duration decoded_in =
      decoders_.ExpectedTime(model.name, priority, static_cast<int>(images.size()));
  const Arrival arrival = {decoded_in, decoded_in + decoders_.ExpectedDecoding()};
  if (absl::Status status = model.batcher->CheckAdmission(job->Task(job->queued), arrival); !status.ok())
    return job->Finish(OfOptions(std::move(status)), clock_);

  job->undecoded = static_cast<int>(images.size());
  const auto limits = std::make_shared<RequestLimits>();
  limits->received = job->received;
  limits->deadline = job->request.deadline;
  limits->cancel = job->request.cancel;
  limits->priority = priority;
  if (batching.queue_timeout > absl::ZeroDuration()) limits->give_up = job->received + batching.queue_timeout;
  // All images of a request are queued, or none: a request that is refused in part would keep its input
  // alive.
  std::vector<DecodePool::Image> work;
  work.reserve(images.size());
  const size_t size = static_cast<size_t>(model.input_size);
  job->decoded = std::make_unique_for_overwrite<float[]>(images.size() * size);
  absl::Span<float> free_rows(job->decoded.get(), images.size() * size);
  for (const int i : images) {
    const absl::Span<float> row = free_rows.first(size);
    free_rows.remove_prefix(size);
    work.push_back({[this, job, i, row](absl::Status wanted, absl::Time now) mutable {
                      DecodeOne(std::move(job), i, row, std::move(wanted), now);
                    },
                    ImageBytes(job->request.inputs[i]) + static_cast<int64_t>(size * sizeof(float))});
  }
  if (decoders_.TrySubmit(model.name, limits, std::move(work))) return;
  const std::string for_whom =
      priority > 1 ? absl::StrCat(" for priority ", priority, " (a quarter is kept for priority 1)") : "";
  job->Finish(WithReason(absl::ResourceExhaustedError(
                             absl::StrCat("the decode queue is full", for_whom, "; retry with backoff")),
                         "DECODE_QUEUE_FULL"),
              clock_);
}

void Predictor::DecodeOne(std::shared_ptr<Job> job, int index, absl::Span<float> row, absl::Status wanted,
                          absl::Time start) {
  if (!wanted.ok()) {
    job->Fail(index, std::move(wanted));
  } else if (!job->failed()) {
    absl::Status status = Preprocess(*job->snapshot.model->preprocessor, job->request.inputs[index], row);
    if (!status.ok()) job->Fail(index, OfInput(std::move(status), index));
  }
  const absl::Time end = clock_.Now();
  {
    const absl::Duration took = end - start;
    MutexLock lock(&job->mu);
    job->waited = std::max(job->waited, start - job->queued);
    job->decoding = std::max(job->decoding, took);
    job->decoding_cost += took;
  }
  if (job->undecoded.fetch_sub(1) == 1) Schedule(std::move(job), end);
}

void Predictor::Schedule(std::shared_ptr<Job> job, absl::Time now) {
  absl::Status error;
  {
    MutexLock lock(&job->mu);
    error = job->error;
  }
  if (!error.ok()) return job->Finish(std::move(error), clock_);
  BatchTask task = job->Task(now);
  task.input = job->Rows();
  Batcher& batcher = *job->snapshot.model->batcher;
  task.done = [this, job = std::move(job)](absl::StatusOr<BatchResult> result) {
    if (!result.ok()) return job->Finish(OfOptions(result.status()), clock_);
    const absl::Time started = clock_.Now();
    absl::StatusOr<PredictionResponse> answer = Answer(*job, *result, started);
    if (answer.ok()) answer->answering = clock_.Now() - started;
    job->model_cost = result->ran * result->share;
    job->Finish(std::move(answer), clock_);
  };
  batcher.Schedule(std::move(task));
}

absl::StatusOr<PredictionResponse> Predictor::Answer(const Job& job, const BatchResult& result,
                                                     absl::Time now) const {
  const ServedModel& model = *job.snapshot.model;
  const ServedCalibrator& calibrator = *job.snapshot.calibrator;
  const int classes = model.classes();
  const int columns = model.model->columns();
  const int top_k = job.request.top_k > 0 ? job.request.top_k : std::min(kDefaultTopK, classes);

  PredictionResponse response;
  response.snapshot = job.snapshot;
  response.set_threshold = job.set_threshold;
  response.predictions.reserve(job.request.inputs.size());
  std::vector<float> probabilities(classes);
  std::vector<double> scratch(classes);
  std::array<float, 2> two_logits = {};
  TicketContent ticket;
  ticket.model = model.name;
  ticket.model_version = model.version;
  ticket.model_digest = model.digest;
  ticket.calibrator_version = calibrator.version;
  ticket.calibrator_digest = calibrator.digest;
  ticket.issued_at = now;
  ConfidenceSums issued;
  for (size_t row = 0; row < job.request.inputs.size(); ++row) {
    const absl::Span<const float> raw = absl::MakeConstSpan(result.logits).subspan(row * columns, columns);
    absl::Span<const float> logits = raw;
    if (columns == 1) {  // A single logit z means the two-class (0, z).
      two_logits[1] = raw[0];
      logits = two_logits;
    }
    RETURN_IF_ERROR(calibrator.calibrator.Apply(logits, absl::MakeSpan(probabilities)));

    Prediction prediction;
    prediction.top_classes = TopClasses(probabilities, logits, top_k);
    prediction.confidence = prediction.top_classes[0].probability;
    ticket.uncalibrated_class =
        static_cast<int>(std::max_element(logits.begin(), logits.end()) - logits.begin());
    prediction.uncalibrated_confidence =
        calibrator.version == 0
            ? prediction.confidence
            : UncalibratedConfidence(logits, logits[ticket.uncalibrated_class], absl::MakeSpan(scratch));

    ticket.prediction_id = row == 0 ? job.first_id : Uuid::NewV7(now);
    ticket.predicted_class = prediction.top_classes[0].index;
    ticket.confidence = prediction.confidence;
    ticket.uncalibrated_confidence = prediction.uncalibrated_confidence;
    SetLogits(logits, ticket);
    ticket.attributes = job.request.inputs[row].attributes;
    prediction.ticket = tickets_.Seal(ticket);
    prediction.id = ticket.prediction_id.ToString();
    if (job.request.return_probabilities) prediction.probabilities = probabilities;
    if (job.request.return_logits) prediction.logits.assign(raw.begin(), raw.end());
    if (job.set_threshold.has_value()) prediction.set = SetOf(*job.set_threshold, probabilities, logits);
    issued.Add(prediction.confidence);
    response.predictions.push_back(std::move(prediction));
  }
  // What a fit is uploaded gets no labels back.
  if (job.request.rpc != Rpc::kFitExamples) job.snapshot.issued->Add(issued);
  MutexLock lock(&job.mu);
  response.queued = job.waited + result.queued;
  response.decoding = job.decoding;
  response.model = result.ran;
  return response;
}

}  // namespace calserve
