// LoadModel for a calserve-server whose device can be lost or hang at will, as no test has a GPU that can be
// broken, and whose loads take as long as the test wants. Linked in place of server/model/model.cc's.
#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "server/base/error_info.h"
#include "server/model/model.h"

namespace calserve {
namespace {

// The logits are the first values of the input. An input that starts with kLoses loses the device for good;
// with one that starts with kHangs the device does not come back at all.
constexpr float kLoses = 666, kHangs = 667;

class LosableModel final : public Model {
 public:
  explicit LosableModel(ModelOptions options) : options_(std::move(options)), row_size_(1), digest_(64, '0') {
    for (const int64_t dimension : options_.input_shape) row_size_ *= dimension;
    rows_.resize(options_.max_batch_size * row_size_);
  }

  using Model::Staging;
  absl::Span<float> Staging(int, int) override { return absl::MakeSpan(rows_); }
  absl::Status Start(int, int, int rows) override {
    for (int row = 0; row < rows; ++row) lost_ = lost_ || rows_[row * row_size_] == kLoses;
    if (!lost_) return absl::OkStatus();
    return WithReason(absl::UnavailableError("the device test:0 does not answer any more"), kDeviceLost);
  }
  absl::Status Finish(int, int, int rows, absl::Span<float> logits) override {
    while (rows_[0] == kHangs) absl::SleepFor(absl::Seconds(1));
    for (int row = 0; row < rows; ++row) {
      std::copy_n(&rows_[row * row_size_], options_.classes, &logits[row * options_.classes]);
    }
    return absl::OkStatus();
  }
  int columns() const override { return options_.classes; }
  const ModelOptions& options() const override { return options_; }
  const std::string& format() const override { return format_; }
  const std::string& device() const override { return device_; }
  const std::string& digest() const override { return digest_; }

 private:
  const ModelOptions options_;
  int64_t row_size_;
  const std::string format_ = "torchscript", device_ = "test:0", digest_;
  std::vector<float> rows_;  // of the one instance
  bool lost_ = false;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Model>> LoadModel(const ModelOptions& options) {
  // REPOSITORY/NAME/VERSION/model.pt waits while there is a file "hold" beside the repository.
  const auto hold = std::filesystem::path(options.path).parent_path().parent_path().parent_path() / "../hold";
  while (std::filesystem::exists(hold)) absl::SleepFor(absl::Milliseconds(5));
  return std::make_unique<LosableModel>(options);
}

}  // namespace calserve
