#include "server/served_repository.h"

#include <sys/stat.h>

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "calibration_io/calibrator_json.h"
#include "server/base/error_info.h"
#include "server/base/mutex.h"
#include "server/base/status_macros.h"
#include "server/batching/device_turns.h"
#include "server/config/cpu_limit.h"
#include "server/config/instance_count.h"
#include "server/config/warm_up_file.h"
#include "server/logging/log.h"
#include "server/model/torch_device.h"
#include "server/prediction/warm_up_check.h"
#include "server/trial.h"

namespace calserve {

bool RunsOnCpu(const ModelConfig& model) {
  if (model.device == "cpu") return true;
  const bool gpu = ResolveDevice(model.device == "auto" ? "cuda" : model.device).ok();
  return model.device == "auto" && !gpu;
}

namespace {

int InstancesOf(const ModelConfig& model) {
  return ChooseInstances(model.batching.instances, RunsOnCpu(model), AvailableCores());
}

absl::Status Summary(const std::vector<absl::Status>& problems) {
  if (problems.empty()) return absl::OkStatus();
  std::string text = std::string(problems.front().message());
  if (problems.size() > 1) {
    absl::StrAppend(&text, " (and ", problems.size() - 1, " more: calserve-server --check DIRECTORY)");
  }
  return absl::Status(problems.front().code(), text);
}

// How often the files of a version that has its trial are looked at.
constexpr absl::Duration kLook = absl::Seconds(1);

// Everything but the versions' files.
std::string DocumentOf(const ModelDirectory& directory) {
  const ModelConfig& model = directory.config;
  std::string text = absl::StrCat(model.settings, "\n", model.policy.ToText());
  for (const auto& [label, version] : model.routing.labels) absl::StrAppend(&text, "\n", label, "=", version);
  for (const VersionRouting::Share& share : model.routing.traffic)
    absl::StrAppend(&text, "\n", share.label, ":", share.weight);
  for (const absl::Status& problem : directory.problems) absl::StrAppend(&text, "\n", problem.message());
  return text;
}

// Which directory it is, whatever it holds; empty where it cannot be told.
std::string PlaceOf(const std::string& directory) {
  struct stat status;
  if (stat(directory.c_str(), &status) != 0) return "";
  return absl::StrCat(status.st_dev, " ", status.st_ino);
}

class Connection {
 public:
  Connection(const ServerConfig& config, CalibratorRegistry& registry, ClassNames& class_names,
             ServingTable& table, AlarmSettings& alarms, SliceSettings& slices, RefitSettings& refits,
             DeviceLostHook device_lost)
      : config_(config),
        registry_(registry),
        class_names_(class_names),
        table_(table),
        alarms_(alarms),
        slices_(slices),
        refits_(refits),
        device_lost_(std::move(device_lost)) {}

  absl::StatusOr<Listing> List() {
    using Directories = std::map<std::string, ModelDirectory>;
    ASSIGN_OR_RETURN(Directories directories,
                     ReadModelRepository(config_.model_repository, config_.batching));
    const std::string place = PlaceOf(config_.model_repository);
    if (directories.empty() && config_.repository.control == "none") {
      return absl::NotFoundError(absl::StrCat("no model in ", config_.model_repository, ": expected ",
                                              config_.model_repository, "/NAME/model.yaml"));
    }
    if (directories.empty() && !place_.empty() && place_ != place) {
      return absl::UnavailableError(
          absl::StrCat(config_.model_repository,
                       " is empty and another directory than it was, as where a volume is no longer ",
                       "mounted: what is loaded stays"));
    }
    if (!directories.empty()) place_ = place;
    Listing listing;
    Models models;
    for (auto& [name, directory] : directories) {
      for (const std::string& note : directory.config.notes) {
        if (noted_.insert(note).second) LogInfo("note", {{"model", name}, {"note", note}});
      }
      listing[name] = Listed(std::move(directory), &models);
    }
    MutexLock lock(&mu_);
    models_ = std::move(models);
    return listing;
  }

 private:
  using Models = std::vector<std::shared_ptr<const ModelConfig>>;

  // Adds its model to `models`.
  ListedModel Listed(ModelDirectory directory, Models* models) const {
    ListedModel listed;
    listed.document = DocumentOf(directory);
    listed.problem = Summary(directory.problems);
    const auto model = std::make_shared<const ModelConfig>(std::move(directory.config));
    models->push_back(model);
    listed.policy = model->policy;
    listed.routing = model->routing;
    for (const ModelConfig::Version& version : model->versions) {
      listed.versions[version.version] = {absl::StrCat(version.files, "\n\n", model->settings),
                                          version.problem};
    }
    listed.load = [this, model](int64_t version, const LoadMoment& moment) {
      return Load(*model, *model->Find(version), moment);
    };
    listed.adopt = [this, model] {
      alarms_.Set(model->name, model->alarm);
      slices_.Set(model->name, model->attributes);
      refits_.Set(model->name, model->refit);
    };
    return listed;
  }

  absl::StatusOr<std::unique_ptr<LoadedVersion>> Load(const ModelConfig& model,
                                                      const ModelConfig::Version& version,
                                                      const LoadMoment& moment) const {
    std::vector<WarmUpSample> samples;
    if (!version.warmup_path.empty()) {
      std::vector<absl::Status> problems;
      samples = ReadWarmUpSamples(version.warmup_path, model, &problems);
      RETURN_IF_ERROR(Summary(problems));
    }
    std::string calibrator;
    if (!version.calibrator_path.empty()) {
      ASSIGN_OR_RETURN(const CalibratorDocument shipped,
                       ReadCalibratorFile(version.calibrator_path, static_cast<int>(model.labels.size())));
      calibrator = CalibratorToJson(shipped);
    }
    RETURN_IF_ERROR(Try(model, version, moment));
    ShareCores();
    const ServedModelOptions options = LoadingOptions(config_, model, version);
    ASSIGN_OR_RETURN(std::shared_ptr<ServedModel> served, Loaded(options, samples));
    RETURN_IF_ERROR(CheckUnchanged(model, version));
    auto publish = [this, calibrator = std::move(calibrator)](std::shared_ptr<const ServedModel> loaded) {
      return Publish(std::move(loaded), calibrator);
    };
    std::shared_ptr<DeviceTurns> turns = TurnsOf(served->model->device());
    return std::make_unique<ServedVersion>(std::move(served), options.batching, std::move(turns), table_,
                                           std::move(publish), device_lost_);
  }

  // Null without a limit. The same for every version on the device.
  std::shared_ptr<DeviceTurns> TurnsOf(const std::string& device) const {
    if (config_.batches_per_device == 0) return nullptr;
    MutexLock lock(&mu_);
    std::shared_ptr<DeviceTurns>& turns = turns_[device];
    if (turns == nullptr) turns = std::make_shared<DeviceTurns>(config_.batches_per_device);
    return turns;
  }

  // LibTorch's threads are shared by all instances of all models that the directory had at the last look, or
  // by as many batches as are under way at once: together no more than the cores. When another one is loaded
  // and not at every look: a pass with more threads makes a new team
  // (docs/adr/2026-11-30-intra-op-threads-follow-the-repository.md).
  void ShareCores() const {
    MutexLock lock(&mu_);
    int instances = 0;
    for (const auto& model : models_) instances += InstancesOf(*model);
    if (config_.batches_per_device > 0) instances = std::min(instances, config_.batches_per_device);
    const int threads = ChooseIntraOpThreads(config_.intra_op_threads, instances, AvailableCores());
    const int before = std::exchange(intra_op_threads_, threads);
    if (threads == before) return;
    SetIntraOpThreads(threads);
    if (before > 0) LogInfo("intra-op threads", {{"before", before}, {"now", threads}});
  }

  // Its trial, where it has one.
  absl::Status Try(const ModelConfig& model, const ModelConfig::Version& version,
                   const LoadMoment& moment) const {
    const std::string& trial = config_.repository.trial;
    if (trial == "never" || (trial == "serving" && !moment.serving)) return absl::OkStatus();
    // Whoever removes or replaces a version that does not come back waits for it no longer.
    absl::Time next_look = absl::Now() + kLook;
    const auto still_wanted = [&]() -> absl::Status {
      if (moment.stop.stop_requested()) return absl::UnavailableError("the server is shutting down");
      if (absl::Now() < next_look) return absl::OkStatus();
      next_look = absl::Now() + kLook;
      return CheckUnchanged(model, version);
    };
    RETURN_IF_ERROR(TryVersion(config_, model, version.version, still_wanted));
    return CheckUnchanged(model, version);  // What was tried is what is loaded.
  }

  // Checked against its samples. A device that is lost while a version is loaded is lost to all of them.
  absl::StatusOr<std::shared_ptr<ServedModel>> Loaded(const ServedModelOptions& options,
                                                      const std::vector<WarmUpSample>& samples) const {
    absl::StatusOr<std::shared_ptr<ServedModel>> served = LoadServedModel(options);
    absl::Status status = served.status();
    if (status.ok()) {
      const auto disagreements = CheckWarmUpSamples(samples, **served);
      status = disagreements.ok() ? WarmUpStatus(*disagreements) : disagreements.status();
    }
    if (ErrorReason(status) == kDeviceLost && device_lost_ != nullptr) device_lost_(status);
    if (!status.ok()) return status;
    return served;
  }

  // Weights of one deployment are not served under the labels of another: what was listed is what was read.
  absl::Status CheckUnchanged(const ModelConfig& model, const ModelConfig::Version& version) const {
    const ModelConfig now = ReadModelDirectory(model.directory, config_.batching).config;
    const ModelConfig::Version* const same = now.Find(version.version);
    if (same != nullptr && same->read_files == version.read_files && now.settings == model.settings) {
      return absl::OkStatus();
    }
    return absl::UnavailableError("its files changed while it was loaded");
  }

  // Model and calibrator become visible together, and no activation comes between them.
  absl::Status Publish(std::shared_ptr<const ServedModel> served, const std::string& calibrator) const {
    const CalibrationTarget target{served->name, served->version, served->classes(), served->digest};
    RETURN_IF_ERROR(class_names_.Keep(served->name, served->digest, served->labels));
    const auto install = [&](const CalibratorVersion& active) { table_.Publish(served, ToServed(active)); };
    ASSIGN_OR_RETURN(const CalibratorVersion active, registry_.AddModelVersion(target, calibrator, install));
    const Model& loaded = *served->model;
    LogInfo("model ready", {{"model", served->name},
                            {"version", served->version},
                            {"format", loaded.format()},
                            {"device", loaded.device()},
                            {"instances", loaded.options().instances},
                            {"intra_op_threads", EffectiveIntraOpThreads(loaded.options())},
                            {"classes", served->classes()},
                            {"calibrator", active.version},
                            {"method", MethodName(active.spec.method)}});
    if (const std::string note = loaded.note(); !note.empty()) {
      LogWarning("model", {{"model", served->name}, {"version", served->version}, {"note", note}});
    }
    return absl::OkStatus();
  }

  const ServerConfig& config_;
  CalibratorRegistry& registry_;
  ClassNames& class_names_;
  ServingTable& table_;
  AlarmSettings& alarms_;
  SliceSettings& slices_;
  RefitSettings& refits_;
  const DeviceLostHook device_lost_;
  std::set<std::string> noted_;
  std::string place_;  // of the directory when it last had a model
  mutable Mutex mu_;
  Models models_ ABSL_GUARDED_BY(mu_);                     // of the last look
  mutable int intra_op_threads_ ABSL_GUARDED_BY(mu_) = 0;  // 0: not set yet
  mutable std::map<std::string, std::shared_ptr<DeviceTurns>> turns_ ABSL_GUARDED_BY(mu_);  // by device
};

void LogState(const std::string& model, const VersionStatus& status) {
  const auto level = status.failed                                ? spdlog::level::warn
                     : status.state != VersionState::kUnavailable ? spdlog::level::info
                                                                  : spdlog::level::debug;
  const std::string labels = absl::StrJoin(status.labels, ",");
  std::vector<LogField> fields = {
      {"model", model}, {"version", status.version}, {"state", StateName(status.state)}};
  if (!status.reason.empty()) fields.emplace_back("reason", status.reason);
  if (!labels.empty()) fields.emplace_back("labels", labels);
  Log(level, "model version", fields);
}

}  // namespace

std::shared_ptr<const ServedCalibrator> ToServed(const CalibratorVersion& version) {
  absl::StatusOr<Calibrator> calibrator = Calibrator::Create(version.spec);
  if (!calibrator.ok()) return nullptr;
  return std::make_shared<ServedCalibrator>(
      ServedCalibrator{*std::move(calibrator), version.version, version.digest});
}

ServedModelOptions LoadingOptions(const ServerConfig& config, const ModelConfig& model,
                                  const ModelConfig::Version& version) {
  ServedModelOptions options;
  options.binary = model.task == Task::kBinary;
  options.labels = model.labels;
  for (const SliceKey& key : model.attributes) options.attribute_keys.push_back(key.key);
  options.tensor_names = model.tensor_names;
  if (model.kind == InputKind::kImage) options.image = model.image;
  options.limits = config.decode_limits;
  options.batching = model.batching;
  options.batching.instances = InstancesOf(model);
  options.model.name = model.name;
  options.model.version = version.version;
  options.model.path = version.model_path;
  options.model.input_shape = model.input_shape;
  options.model.classes = static_cast<int>(model.labels.size());
  options.model.device = model.device;
  options.model.dtype = model.dtype;
  options.model.batch_buckets = model.batch_buckets;
  options.model.instances = options.batching.instances;
  options.model.intra_op_threads = model.intra_op_threads;
  options.model.max_batch_size = options.batching.max_batch_size;
  return options;
}

RepositoryHooks ConnectRepository(const ServerConfig& config, CalibratorRegistry& registry,
                                  ClassNames& class_names, ServingTable& table, AlarmSettings& alarms,
                                  SliceSettings& slices, RefitSettings& refits, DeviceLostHook device_lost) {
  const auto connection = std::make_shared<Connection>(config, registry, class_names, table, alarms, slices,
                                                       refits, std::move(device_lost));
  RepositoryHooks hooks;
  hooks.list = [connection] { return connection->List(); };
  hooks.route = [&table](const std::string& model, const VersionRouting& routing) {
    table.SetRouting(model, routing);
  };
  hooks.told = LogState;
  hooks.still_loading = [](const std::string& model, int64_t version, absl::Duration so_far) {
    LogWarning("model still loading",
               {{"model", model}, {"version", version}, {"seconds", absl::ToInt64Seconds(so_far)}});
  };
  hooks.look_failed = [](const absl::Status& problem) {
    LogWarning("model repository", {{"error", problem.message()}});
  };
  return hooks;
}

}  // namespace calserve
