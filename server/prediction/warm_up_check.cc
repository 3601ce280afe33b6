#include "server/prediction/warm_up_check.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>
#include <variant>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/types/span.h"
#include "server/base/error_info.h"
#include "server/base/status_macros.h"

namespace calserve {
namespace {

constexpr size_t kMaxSentences = 3;

absl::Status WriteInput(const WarmUpSample& sample, const ServedModel& model, absl::Span<float> out) {
  if (const auto* tensor = std::get_if<std::vector<float>>(&sample.input)) {
    if (tensor->size() != out.size()) {
      return absl::InvalidArgumentError(
          absl::StrCat("has ", tensor->size(), " values; an input has ", out.size()));
    }
    std::copy(tensor->begin(), tensor->end(), out.begin());
    return absl::OkStatus();
  }
  if (!model.preprocessor.has_value()) {
    return absl::InvalidArgumentError("is an image; the model takes tensors (input kind: tensor)");
  }
  return model.preprocessor->Run(std::get<std::string>(sample.input), out);
}

// What differs from what was expected, the largest difference first; empty if nothing does.
std::string CompareLogits(const WarmUpSample& sample, absl::Span<const float> got,
                          const std::vector<std::string>& labels) {
  if (sample.logits.empty()) return "";
  if (sample.logits.size() != got.size()) {
    return absl::StrCat("has ", sample.logits.size(), " logits in expected.json; the model gives ",
                        got.size());
  }
  size_t worst = 0;
  double worst_excess = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    const double expected = sample.logits[i];
    const double excess = std::abs(got[i] - expected) -
                          (sample.absolute_tolerance + sample.relative_tolerance * std::abs(expected));
    if (excess > worst_excess) {
      worst_excess = excess;
      worst = i;
    }
  }
  if (worst_excess <= 0) return "";
  const std::string name =
      got.size() == 1 ? "the logit" : absl::StrCat("the logit of \"", labels[worst], "\"");
  return absl::StrCat(name, " must be ", sample.logits[worst], " (tolerance ", sample.absolute_tolerance,
                      " + ", sample.relative_tolerance, " of it); was ", got[worst]);
}

std::string CompareTopClasses(const WarmUpSample& sample, absl::Span<const float> got,
                              const std::vector<std::string>& labels) {
  const size_t count = std::min(sample.top_classes.size(), labels.size());
  if (count == 0) return "";
  // A single logit z means the two-class (0, z).
  std::vector<float> logits(got.begin(), got.end());
  if (logits.size() == 1) logits.insert(logits.begin(), 0.f);
  std::vector<int> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return logits[a] > logits[b]; });
  std::vector<std::string> top(count);
  for (size_t i = 0; i < count; ++i) top[i] = labels[order[i]];
  if (top == sample.top_classes) return "";
  return absl::StrCat("the top classes must be ", absl::StrJoin(sample.top_classes, ", "), "; were ",
                      absl::StrJoin(top, ", "));
}

class Check {
 public:
  Check(const std::vector<WarmUpSample>& samples, const ServedModel& model)
      : samples_(samples), model_(model), inputs_(samples.size()), wrong_(samples.size(), false) {}

  absl::StatusOr<std::vector<std::string>> Run() {
    for (size_t i = 0; i < samples_.size(); ++i) {
      inputs_[i].resize(static_cast<size_t>(model_.input_size));
      if (absl::Status status = WriteInput(samples_[i], model_, absl::MakeSpan(inputs_[i])); !status.ok()) {
        Say(i, status.message());
      }
    }
    for (size_t i = 0; i < samples_.size(); ++i) RETURN_IF_ERROR(RunBatch(i, i + 1, ""));
    const size_t batch = static_cast<size_t>(model_.max_batch_size);
    for (size_t begin = 0; samples_.size() > 1 && begin < samples_.size(); begin += batch) {
      RETURN_IF_ERROR(RunBatch(begin, std::min(begin + batch, samples_.size()), ", in a batch"));
    }
    return std::move(sentences_);
  }

 private:
  void Say(size_t sample, absl::string_view what) {
    wrong_[sample] = true;
    sentences_.push_back(absl::StrCat("warm-up sample ", samples_[sample].file, ": ", what));
  }

  // Not OK where nothing will run any more.
  absl::Status RunBatch(size_t begin, size_t end, absl::string_view how) {
    if (std::find(wrong_.begin() + begin, wrong_.begin() + end, true) != wrong_.begin() + end)
      return absl::OkStatus();
    const int instance = next_instance_++ % model_.model->options().instances;
    const int rows = static_cast<int>(end - begin);
    const int columns = model_.model->columns();
    float* row = model_.model->Staging(instance).data();
    for (size_t i = begin; i < end; ++i) row = std::copy(inputs_[i].begin(), inputs_[i].end(), row);
    std::vector<float> logits(static_cast<size_t>(rows) * columns);
    if (absl::Status status = model_.model->Run(instance, rows, absl::MakeSpan(logits)); !status.ok()) {
      if (ErrorReason(status) == kDeviceLost) return status;
      Say(begin, absl::StrCat(status.message(), how));
      return absl::OkStatus();
    }
    for (size_t i = begin; i < end; ++i) {
      const auto got = absl::MakeConstSpan(logits).subspan((i - begin) * columns, columns);
      for (const std::string& what : {CompareLogits(samples_[i], got, model_.labels),
                                      CompareTopClasses(samples_[i], got, model_.labels)}) {
        if (!what.empty()) Say(i, absl::StrCat(what, how));
      }
    }
    return absl::OkStatus();
  }

  const std::vector<WarmUpSample>& samples_;
  const ServedModel& model_;
  std::vector<std::vector<float>> inputs_;
  std::vector<bool> wrong_;
  std::vector<std::string> sentences_;
  int next_instance_ = 0;
};

}  // namespace

absl::StatusOr<std::vector<std::string>> CheckWarmUpSamples(const std::vector<WarmUpSample>& samples,
                                                            const ServedModel& model) {
  return Check(samples, model).Run();
}

absl::Status WarmUpStatus(const std::vector<std::string>& disagreements) {
  if (disagreements.empty()) return absl::OkStatus();
  const size_t shown = std::min(disagreements.size(), kMaxSentences);
  std::string text = absl::StrJoin(disagreements.begin(), disagreements.begin() + shown, "; ");
  if (shown < disagreements.size()) absl::StrAppend(&text, "; and ", disagreements.size() - shown, " more");
  return absl::FailedPreconditionError(text);
}

}  // namespace calserve
