#include "examples/fashion_mnist/labelled_run.h"

#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/cli/terminal.h"

namespace calserve::demo {
namespace {

constexpr char kWindow[] = "last_1000";
constexpr size_t kLabelsABatch = 20;

// The newest live report in words, kept current by a thread of its own.
class RollingEce {
 public:
  RollingEce(const Client& client, const std::string& model, bool beside_uncalibrated)
      : beside_uncalibrated_(beside_uncalibrated),
        watch_(client.WatchCalibration(Request(model))),
        thread_([this] { Follow(); }) {}

  ~RollingEce() {
    watch_->Cancel();
    thread_.join();
  }

  std::string text() const {
    std::lock_guard lock(mu_);
    return text_;
  }

 private:
  static client::WatchRequest Request(const std::string& model) {
    client::WatchRequest request;
    request.model = model;
    request.windows = {kWindow};
    request.min_interval = absl::Milliseconds(100);
    return request;
  }

  void Follow() {
    while (true) {
      const auto reports = watch_->Next();
      if (!reports.ok() || !reports->has_value()) {
        if (!reports.ok()) Show(absl::StrCat("no live report: ", reports.status().message()));
        return;
      }
      for (const client::WindowReport& report : **reports) {
        if (report.served.n == 0) continue;
        std::string text = absl::StrFormat("rolling ECE %.4f", report.served.ece);
        if (beside_uncalibrated_)
          absl::StrAppendFormat(&text, ", uncalibrated %.4f", report.uncalibrated.ece);
        absl::StrAppendFormat(&text, " (last %d labels)", report.served.n);
        Show(std::move(text));
      }
    }
  }

  void Show(std::string text) {
    std::lock_guard lock(mu_);
    text_ = std::move(text);
  }

  const bool beside_uncalibrated_;
  mutable std::mutex mu_;
  std::string text_;  // guarded by mu_
  const std::unique_ptr<client::CalibrationWatch> watch_;
  std::thread thread_;  // Last: uses everything above.
};

// One pass over the images. The caller's thread sends them; the prediction stream's thread collects labels
// into batches; the feedback stream's thread counts what is durable and shows it.
class Run {
 public:
  Run(const Client& client, const std::string& model, absl::Span<const LabelledPng> images,
      bool beside_uncalibrated)
      : model_(model),
        images_(images),
        rolling_(client, model, beside_uncalibrated),
        progress_("  ", /*quiet=*/false),
        feedback_(client.OpenFeedbackStream(
            {.max_in_flight = 8},
            [this](int64_t, absl::StatusOr<std::vector<client::FeedbackResult>> results) {
              Acknowledge(results);
            })),
        predictions_(client.OpenPredictStream(
            {.max_in_flight = 64},
            [this](int64_t i, absl::StatusOr<client::PredictResponse> answer) { Label(i, answer); })) {}

  absl::Status Finish() {
    for (size_t i = 0; i < images_.size(); ++i) {
      client::PredictRequest request;
      request.model = model_;
      request.top_k = 1;
      request.inputs.push_back({client::EncodedImage{images_[i].png}, {}});
      if (absl::Status sent = predictions_->Send(static_cast<int64_t>(i), request); !sent.ok()) return sent;
    }
    if (absl::Status status = predictions_->Finish(); !status.ok()) return status;
    SendLabels();
    if (absl::Status status = feedback_->Finish(); !status.ok()) return status;
    std::lock_guard lock(mu_);
    if (first_error_.ok() && durable_ != static_cast<int64_t>(images_.size())) {
      return absl::InternalError(
          absl::StrCat(images_.size(), " labels were sent, ", durable_, " are durable"));
    }
    return first_error_;
  }

 private:
  void Label(int64_t i, absl::StatusOr<client::PredictResponse>& answer) {
    if (!answer.ok()) return Keep(answer.status());
    batch_.push_back({std::move(answer->predictions.at(0).ticket), images_[i].label});
    if (batch_.size() == kLabelsABatch) SendLabels();
  }

  void SendLabels() {
    if (!batch_.empty()) Keep(feedback_->Send(0, batch_, "fashion-mnist test labels"));
    batch_.clear();
  }

  void Acknowledge(const absl::StatusOr<std::vector<client::FeedbackResult>>& results) {
    if (!results.ok()) return Keep(results.status());
    for (const client::FeedbackResult& result : *results) {
      if (result.outcome == client::FeedbackResult::Outcome::kAccepted) {
        ++durable_;
      } else {
        Keep(absl::FailedPreconditionError(absl::StrCat("a label was not accepted: ", result.message)));
      }
    }
    progress_.Update(durable_, static_cast<int64_t>(images_.size()), rolling_.text());
  }

  void Keep(const absl::Status& status) {
    std::lock_guard lock(mu_);
    if (first_error_.ok()) first_error_ = status;
  }

  const std::string model_;
  const absl::Span<const LabelledPng> images_;
  const RollingEce rolling_;
  cli::ProgressLine progress_;  // of feedback_'s thread, as durable_
  int64_t durable_ = 0;
  std::vector<client::Feedback> batch_;  // of predictions_' thread until its Finish
  std::mutex mu_;
  absl::Status first_error_;  // guarded by mu_
  // Last, for their threads use what stands above; that of predictions_ uses feedback_.
  const std::unique_ptr<client::FeedbackStream> feedback_;
  const std::unique_ptr<client::PredictStream> predictions_;
};

}  // namespace

absl::Status PredictAndLabel(const Client& client, const std::string& model,
                             absl::Span<const LabelledPng> images, bool beside_uncalibrated) {
  return Run(client, model, images, beside_uncalibrated).Finish();
}

}  // namespace calserve::demo
