#include <atomic>
#include <memory>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "calibration_io/file.h"
#include "calibration_io/json_values.h"
#include "client/cli/commands.h"
#include "client/cli/evaluation.h"
#include "client/cli/json_output.h"
#include "client/cli/labelled_images.h"
#include "client/cli/model_choice.h"
#include "client/cli/option_rules.h"
#include "client/cli/report_output.h"

namespace calserve::cli {
namespace {

struct Options {
  std::string images;
  std::string model;
  int64_t model_version = 0;
  std::string source = "evaluate";
  bool no_feedback = false;
  ReportFiles files;
};

constexpr size_t kLabelsPerCall = 1000;

// Predicts every image and measures. Labels are sent only after the last answer: they cannot be taken back,
// and a run that ended half-way would count those of its first half again when repeated.
class Evaluator {
 public:
  Evaluator(const Client& client, const client::ModelInfo& model, const std::vector<LabelledImage>& images,
            const Options& options, bool quiet)
      : client_(client),
        model_(model),
        images_(images),
        options_(options),
        progress_(model.name, quiet),
        labels_(options.no_feedback ? 0 : images.size()),
        predictions_(client.OpenPredictStream(
            {.timeout = client.options().timeout},
            [this](int64_t i, absl::StatusOr<client::PredictResponse> answer) { Keep(Score(i, answer)); })) {}

  absl::Status Run() {
    absl::Status sent;
    for (size_t i = 0; i < images_.size() && sent.ok() && !failed_; ++i) sent = SendImage(i);
    const absl::Status predicted = predictions_->Finish();
    if (!sent.ok()) return sent;
    if (!predicted.ok()) return predicted;
    if (!first_error_.ok()) return first_error_;
    return SendLabels();
  }

  // After Run:
  const Evaluation& evaluation() const { return evaluation_; }
  const client::PredictResponse& last_answer() const { return last_answer_; }
  int64_t accepted() const { return accepted_; }
  int64_t duplicates() const { return duplicates_; }

 private:
  absl::Status SendImage(size_t i) {
    absl::StatusOr<std::string> bytes = ReadWholeFile(images_[i].path, kMaxImageFileBytes);
    if (!bytes.ok()) return bytes.status();
    client::PredictRequest request;
    request.model = model_.name;
    // One version, also where the model splits its traffic.
    request.model_version = options_.model_version == 0 ? model_.default_version : options_.model_version;
    request.top_k = 1;
    request.return_logits = request.return_probabilities = true;
    request.inputs.push_back({client::EncodedImage{*std::move(bytes)}, {}});
    return predictions_->Send(static_cast<int64_t>(i), request);
  }

  // On the prediction stream's thread.
  absl::Status Score(int64_t i, absl::StatusOr<client::PredictResponse>& answer) {
    const LabelledImage& image = images_[i];
    if (!answer.ok()) {
      return absl::Status(answer.status().code(), absl::StrCat(image.path, ": ", answer.status().message()));
    }
    if (answer->predictions.size() != 1) return absl::InternalError("one prediction an image is expected");
    client::Prediction& prediction = answer->predictions[0];
    if (absl::Status status = evaluation_.Add(prediction, image.class_index); !status.ok()) return status;
    progress_.Update(evaluation_.n(), static_cast<int64_t>(images_.size()));
    if (!options_.no_feedback) labels_[i] = {std::move(prediction.ticket), image.class_index};
    last_answer_ = *std::move(answer);
    return absl::OkStatus();
  }

  void Keep(const absl::Status& status) {
    if (status.ok() || failed_) return;
    first_error_ = status;
    failed_ = true;
  }

  absl::Status SendLabels() {
    for (size_t sent = 0; sent < labels_.size(); sent += kLabelsPerCall) {
      const absl::StatusOr<std::vector<client::FeedbackResult>> results =
          client_.SubmitFeedback(absl::MakeConstSpan(labels_).subspan(sent, kLabelsPerCall), options_.source);
      if (!results.ok()) return results.status();
      for (const client::FeedbackResult& result : *results) {
        if (result.outcome == client::FeedbackResult::Outcome::kAccepted) ++accepted_;
        if (result.outcome == client::FeedbackResult::Outcome::kDuplicate) ++duplicates_;
        if (result.outcome == client::FeedbackResult::Outcome::kRejected) {
          return absl::FailedPreconditionError(absl::StrCat("a label was rejected: ", result.message));
        }
      }
    }
    return absl::OkStatus();
  }

  const Client& client_;
  const client::ModelInfo& model_;
  const std::vector<LabelledImage>& images_;
  const Options& options_;
  std::atomic<bool> failed_ = false;
  int64_t accepted_ = 0, duplicates_ = 0;
  // Of the predictions' thread until Run has finished the stream:
  ProgressLine progress_;
  Evaluation evaluation_;
  client::PredictResponse last_answer_;
  std::vector<client::Feedback> labels_;  // one an image
  absl::Status first_error_;
  const std::unique_ptr<client::PredictStream> predictions_;  // Last: its thread uses what stands above.
};

absl::Status Show(const Evaluator& evaluator, const Options& options, Session& session) {
  const absl::StatusOr<CalibrationMetrics> served = evaluator.evaluation().Served();
  const absl::StatusOr<CalibrationMetrics> uncalibrated = evaluator.evaluation().Uncalibrated();
  if (!served.ok()) return served.status();
  if (!uncalibrated.ok()) return uncalibrated.status();
  const client::PredictResponse& answer = evaluator.last_answer();
  const std::vector<NamedMetrics> columns = {
      {absl::StrCat("served (", answer.calibrator_method, ")"), *served}, {"uncalibrated", *uncalibrated}};
  if (session.json) {
    session.answer = {
        {"model", answer.model},
        {"model_version", answer.model_version},
        {"calibrator_version", answer.calibrator_version},
        {"calibrator_method", answer.calibrator_method},
        {"feedback", {{"accepted", evaluator.accepted()}, {"duplicate", evaluator.duplicates()}}},
        {"served", MetricsToJsonValue(*served)},
        {"uncalibrated", MetricsToJsonValue(*uncalibrated)}};
  } else {
    Print(ReportText(columns, session.terminal));
    Print(absl::StrCat("\nlabels: ", evaluator.accepted(), " accepted, ", evaluator.duplicates(),
                       " duplicate\n"));
  }
  return WriteReportFiles(options.files, answer.model, columns);
}

absl::Status Run(const Options& options, Session& session) {
  const absl::StatusOr<Client> client = session.Connect();
  if (!client.ok()) return client.status();
  const absl::StatusOr<client::ModelInfo> model = FindModel(*client, options.model);
  if (!model.ok()) return model.status();
  const absl::StatusOr<std::vector<LabelledImage>> images = ListLabelledImages(options.images, *model);
  if (!images.ok()) return images.status();
  if (absl::Status status = CheckImageFiles(*images); !status.ok()) return status;
  Evaluator evaluator(*client, *model, *images, options, session.json);
  if (absl::Status status = evaluator.Run(); !status.ok()) return status;
  return Show(evaluator, options, session);
}

}  // namespace

void AddEvaluate(CLI::App* app, Session* session) {
  CLI::App* const command = app->add_subcommand(
      "evaluate", "Predict labelled images, send the labels back once all are predicted, and report");
  const auto options = std::make_shared<Options>();
  command
      ->add_option("images", options->images,
                   "a folder with one sub-folder per class, or a CSV list: path,label")
      ->required()
      ->check(InputFile());
  command->add_option("--model", options->model, "model; the only one if there is one")->check(Name());
  command->add_option("--model-version", options->model_version, "0: the model's default version")
      ->check(WholeNumber(0));
  command->add_option("--source", options->source, "who labelled")->check(Utf8())->capture_default_str();
  command->add_flag("--no-feedback", options->no_feedback, "only predict and report");
  command->add_option("--svg", options->files.svg, "write the reliability diagram there")
      ->check(OutputFile());
  command->add_option("--html", options->files.html, "write the report as a page there")->check(OutputFile());
  command->callback([options, session] { session->result = Run(*options, *session); });
}

}  // namespace calserve::cli
