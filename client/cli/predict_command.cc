#include <limits>
#include <map>
#include <memory>
#include <mutex>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "calibration_io/file.h"
#include "client/cli/attribute_option.h"
#include "client/cli/commands.h"
#include "client/cli/json_output.h"
#include "client/cli/model_choice.h"
#include "client/cli/option_rules.h"
#include "client/cli/text_table.h"

namespace calserve::cli {
namespace {

struct Options {
  std::vector<std::string> files;
  std::string model;
  int64_t model_version = 0;
  std::string version_label, routing_key;
  int top_k = 0;
  int priority = 0;
  bool logits = false;
  bool probabilities = false;
  std::string set_method;  // "THR" or "APS"; empty: no sets
  double alpha = 0.1;
  std::vector<std::string> attributes;
};

// The answers of all files, one request a file: one bad file does not keep the others from their answers.
absl::StatusOr<std::vector<absl::StatusOr<client::PredictResponse>>> PredictAll(const Client& client,
                                                                                const std::string& model,
                                                                                const Options& options) {
  std::vector<absl::StatusOr<client::PredictResponse>> answers(options.files.size(),
                                                               absl::UnknownError("not sent"));
  client::StreamLimits limits;
  limits.timeout = client.options().timeout;
  const auto stream = client.OpenPredictStream(
      limits,
      [&](int64_t i, absl::StatusOr<client::PredictResponse> answer) { answers[i] = std::move(answer); });
  for (size_t i = 0; i < options.files.size(); ++i) {
    absl::StatusOr<std::string> bytes = ReadWholeFile(options.files[i], kMaxImageFileBytes);
    if (!bytes.ok()) {
      answers[i] = bytes.status();
      continue;
    }
    client::PredictRequest request;
    request.model = model;
    request.model_version = options.model_version;
    request.version_label = options.version_label;
    request.routing_key = options.routing_key;
    request.priority = options.priority;
    request.top_k = options.top_k;
    request.return_logits = options.logits;
    request.return_probabilities = options.probabilities;
    if (!options.set_method.empty()) {
      const bool aps = options.set_method == ScoreName(ConformalScore::kAps);
      request.prediction_set = {aps ? ConformalScore::kAps : ConformalScore::kThr, options.alpha};
    }
    request.inputs.push_back({client::EncodedImage{*std::move(bytes)}, ParseAttributes(options.attributes)});
    if (absl::Status status = stream->Send(static_cast<int64_t>(i), request); !status.ok()) return status;
  }
  if (absl::Status status = stream->Finish(); !status.ok()) return status;
  return answers;
}

nlohmann::ordered_json AnswerJson(const std::string& file,
                                  const absl::StatusOr<client::PredictResponse>& answer) {
  nlohmann::ordered_json out = {{"file", file}};
  if (!answer.ok()) {
    out["error"] = ToJson(answer.status());
    return out;
  }
  out.update(ToJson(answer->predictions.at(0)));
  out["model"] = answer->model;
  out["model_version"] = answer->model_version;
  out["calibrator_version"] = answer->calibrator_version;
  out["calibrator_method"] = answer->calibrator_method;
  return out;
}

std::string AnswerLine(const client::Prediction& prediction) {
  std::string out;
  for (const client::ClassProbability& top : prediction.top_classes) {
    absl::StrAppendFormat(&out, "%s%s %.3f", out.empty() ? "" : ", ", top.label, top.probability);
  }
  if (!prediction.prediction_set.has_value()) return out;
  const client::Prediction::Set& set = *prediction.prediction_set;
  std::string classes;
  for (const client::ClassProbability& entry : set.classes) {
    absl::StrAppend(&classes, classes.empty() ? "" : ", ", entry.label);
  }
  if (static_cast<size_t>(set.size) > set.classes.size()) {
    absl::StrAppend(&classes, " and ", static_cast<size_t>(set.size) - set.classes.size(), " more");
  }
  absl::StrAppend(&out, "; set {", classes, "}");
  return out;
}

absl::Status Run(const Options& options, Session& session) {
  const absl::StatusOr<Client> client = session.Connect();
  if (!client.ok()) return client.status();
  const absl::StatusOr<client::ModelInfo> model = FindModel(*client, options.model);
  if (!model.ok()) return model.status();
  const auto answers = PredictAll(*client, model->name, options);
  if (!answers.ok()) return answers.status();

  absl::Status first_error;
  TextTable table({{"file"},
                   {"predicted"},
                   {"confidence", TextTable::Align::kRight},
                   {"uncalibrated", TextTable::Align::kRight},
                   {"most probable"}});
  nlohmann::ordered_json documents = nlohmann::ordered_json::array();
  for (size_t i = 0; i < answers->size(); ++i) {
    const absl::StatusOr<client::PredictResponse>& answer = (*answers)[i];
    documents.push_back(AnswerJson(options.files[i], answer));
    if (answer.ok() && answer->predictions.size() == 1) {
      const client::Prediction& prediction = answer->predictions[0];
      table.AddRow({options.files[i], prediction.top_classes.at(0).label,
                    absl::StrFormat("%.3f", prediction.confidence),
                    absl::StrFormat("%.3f", prediction.uncalibrated_confidence), AnswerLine(prediction)});
    } else {
      const std::string message = absl::StrCat(options.files[i], ": ", answer.status().message());
      table.AddRow({options.files[i], TextTable::Cell::Styled(session.terminal.Red("refused")), "", "",
                    answer.status().message()});
      if (first_error.ok()) first_error = absl::Status(answer.status().code(), message);
    }
  }
  if (session.json) {
    session.answer = {{"predictions", std::move(documents)}};
  } else {
    Print(table.ToString(session.terminal));
  }
  return first_error;
}

}  // namespace

void AddPredict(CLI::App* app, Session* session) {
  CLI::App* const command =
      app->add_subcommand("predict", "Predict image files (JPEG, PNG, WebP; - is standard input)");
  const auto options = std::make_shared<Options>();
  command->add_option("files", options->files, "image files")->required()->check(InputFile());
  command->add_option("--model", options->model, "model; the only one if there is one")->check(Name());
  CLI::Option* const model_version =
      command
          ->add_option("--model-version", options->model_version,
                       "0: the newest ready one, or where the model splits its traffic, one of the sides")
          ->check(WholeNumber(0));
  command
      ->add_option("--version-label", options->version_label,
                   "the version that the model calls so: stable, canary")
      ->check(Name())
      ->excludes(model_version);
  command
      ->add_option("--routing-key", options->routing_key,
                   "user, session or camera: the same key is answered by the same side of a traffic split")
      ->check(Name());
  command->add_option("--priority", options->priority, "1 is the most urgent; 0: the model's default")
      ->check(WholeNumber(0, std::numeric_limits<int>::max()));
  command
      ->add_option("--top-k", options->top_k,
                   "most probable classes to show; 0: five, or all where there are fewer")
      ->check(WholeNumber(0, std::numeric_limits<int>::max()))
      ->capture_default_str();
  command
      ->add_option("--attribute", options->attributes,
                   "what the images are of, as camera=north: of the keys that model.yaml lists")
      ->allow_extra_args(false)
      ->check(KeyValue());
  command->add_flag("--logits", options->logits, "add the logits to --json");
  command->add_flag("--probabilities", options->probabilities, "add every probability to --json");
  CLI::Option* const set_method = command
                                      ->add_option("--prediction-set", options->set_method,
                                                   "add the set of classes that holds the true one with "
                                                   "probability 1 - alpha: THR (small sets) or "
                                                   "APS (sets that grow with how hard the input is)")
                                      ->check(CLI::IsMember({"THR", "APS"}));
  command
      ->add_option("--alpha", options->alpha,
                   "share of true classes that the sets may miss; the calibrator has some")
      ->needs(set_method)
      ->check(Share(Upto::kBelowOne))
      ->capture_default_str();
  command->callback([options, session] { session->result = Run(*options, *session); });
}

}  // namespace calserve::cli
