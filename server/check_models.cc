#include "server/check_models.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "calibration_io/calibrator_json.h"
#include "server/base/error_info.h"
#include "server/base/status_macros.h"
#include "server/config/cpu_limit.h"
#include "server/config/exit_codes.h"
#include "server/config/model_config.h"
#include "server/config/warm_up_file.h"
#include "server/model/model.h"
#include "server/prediction/warm_up_check.h"
#include "server/served_repository.h"

namespace calserve {
namespace {

namespace fs = std::filesystem;

class Check {
 public:
  Check(const ServerConfig& config, std::ostream& out, std::ostream& problems)
      : config_(config), out_(out), problems_(problems) {}

  int Run() {
    if (const auto [model, version] = SplitVersion(config_.check); version > 0) {
      CheckModel(ReadModelDirectory(model, config_.batching), version);
    } else if (IsModel(config_.check)) {
      CheckModel(ReadModelDirectory(config_.check, config_.batching));
    } else {
      CheckRepository();
    }
    out_ << (said_ == 0 ? "ok" : absl::StrCat(said_, said_ == 1 ? " problem" : " problems")) << ": "
         << models_ << " models, " << versions_ << " versions checked\n";
    if (device_lost_) return kExitDevice;
    return said_ == 0 ? kExitOk : kExitModel;
  }

 private:
  static bool IsModel(const std::string& directory) {
    std::error_code error;  // of no account: what is there and cannot be read is said by whoever reads it
    return fs::exists(fs::symlink_status(directory + "/model.yaml", error));
  }
  // Of the folder of a version: its model's directory and its number, which is 0 of any other folder.
  static std::pair<std::string, int64_t> SplitVersion(const std::string& directory) {
    fs::path folder(directory);
    if (!folder.has_filename()) folder = folder.parent_path();  // of "models/NAME/3/"
    const std::string model = folder.has_parent_path() ? folder.parent_path().string() : ".";
    return {model, IsModel(model) ? VersionOfFolder(folder.filename().string()).value_or(0) : 0};
  }

  void Say(absl::string_view problem) {
    problems_ << problem << "\n";
    ++said_;
  }
  void SayUnlessOk(const absl::Status& status) {
    if (!status.ok()) Say(status.message());
  }

  void SayFault(absl::string_view folder, const absl::Status& status) {
    device_lost_ = device_lost_ || ErrorReason(status) == kDeviceLost;
    Say(absl::StrCat(folder, ": ", status.message()));
  }

  void CheckRepository() {
    const absl::StatusOr<std::map<std::string, ModelDirectory>> models =
        ReadModelRepository(config_.check, config_.batching);
    if (!models.ok()) return Say(models.status().message());
    if (models->empty()) {
      Say(absl::StrCat(config_.check,
                       " is neither a model (it has no model.yaml) nor a repository: expected ",
                       config_.check, "/NAME/model.yaml"));
    }
    for (const auto& [name, directory] : *models) (void)RunsOnCpu(directory.config);  // Finds their devices.
    for (const auto& [name, directory] : *models) CheckModel(directory);
  }

  // `only`: of this version, else of all.
  void CheckModel(const ModelDirectory& directory, std::optional<int64_t> only = std::nullopt) {
    const ModelConfig& model = directory.config;
    ++models_;
    for (const std::string& note : model.notes) out_ << "note: " << note << "\n";
    for (const absl::Status& problem : directory.problems) SayUnlessOk(problem);
    if (only.has_value() && model.Find(*only) == nullptr) {
      Say(absl::StrCat("there is no folder ", model.directory, "/", *only));
    }
    for (const int64_t wanted : model.Wanted()) {
      if (only.has_value() || model.Find(wanted) != nullptr) continue;
      Say(absl::StrCat(model.directory, "/model.yaml asks for version ", wanted, ", which has no folder"));
    }
    for (const ModelConfig::Version& version : model.versions) {
      if (only.value_or(version.version) != version.version) continue;
      SayUnlessOk(version.problem);
      if (!version.problem.ok()) continue;
      CheckCalibrator(model, version);
      if (model.loadable) CheckVersion(model, version);
    }
  }

  void CheckCalibrator(const ModelConfig& model, const ModelConfig::Version& version) {
    if (version.calibrator_path.empty()) return;
    std::optional<int> classes;
    if (!model.labels.empty()) classes = static_cast<int>(model.labels.size());
    SayUnlessOk(ReadCalibratorFile(version.calibrator_path, classes).status());
  }

  void CheckVersion(const ModelConfig& model, const ModelConfig::Version& version) {
    ++versions_;
    const std::string folder = absl::StrCat(model.directory, "/", version.version);
    std::vector<WarmUpSample> samples;
    std::vector<absl::Status> unreadable;
    if (!version.warmup_path.empty()) samples = ReadWarmUpSamples(version.warmup_path, model, &unreadable);
    for (const absl::Status& problem : unreadable) SayUnlessOk(problem);
    const absl::StatusOr<std::shared_ptr<ServedModel>> served =
        LoadServedModel(LoadingOptions(config_, model, version));
    if (!served.ok()) return SayFault(folder, served.status());
    const absl::StatusOr<std::vector<std::string>> disagreements = CheckWarmUpSamples(samples, **served);
    if (!disagreements.ok()) return SayFault(folder, disagreements.status());
    for (const std::string& disagreement : *disagreements) Say(absl::StrCat(folder, ": ", disagreement));
    out_ << folder << ": " << (*served)->model->format() << " on " << (*served)->model->device() << ", "
         << (*served)->classes() << " classes, "
         << (samples.empty() ? "no warm-up samples" : absl::StrCat(samples.size(), " warm-up samples"))
         << (unreadable.empty() ? "" : " that could be read") << "\n";
    if (const std::string note = (*served)->model->note(); !note.empty()) out_ << "  " << note << "\n";
  }

  const ServerConfig& config_;
  std::ostream& out_;
  std::ostream& problems_;
  int said_ = 0, models_ = 0, versions_ = 0;
  bool device_lost_ = false;  // No later version can be checked on it.
};

}  // namespace

int CheckModels(const ServerConfig& config, std::ostream& out, std::ostream& problems) {
  SetIntraOpThreads(config.intra_op_threads > 0 ? config.intra_op_threads : std::max(1, AvailableCores()));
  return Check(config, out, problems).Run();
}

}  // namespace calserve
