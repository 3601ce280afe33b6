#include "server/config/model_config.h"

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <optional>
#include <system_error>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/base/status_macros.h"
#include "server/config/folder_fingerprint.h"
#include "server/config/labels.h"
#include "server/config/model_yaml.h"
#include "server/config/regular_file.h"

namespace calserve {
namespace {

namespace fs = std::filesystem;

constexpr char kWarmup[] = "warmup";

constexpr char kVersionRule[] =
    "a version is a whole number from 1 to 9223372036854775807, without a leading zero";

bool IsFile(const fs::path& path) {
  std::error_code error;
  return fs::is_regular_file(path, error);
}

bool IsDirectory(const fs::path& path) {
  std::error_code error;
  return fs::is_directory(path, error);
}

// What a file system that is away says, and what passes otherwise.
bool MayPass(const std::error_code& error) {
  constexpr int kPassing[] = {EIO,          ESTALE,      ENOTCONN, ETIMEDOUT, EHOSTDOWN,
                              EHOSTUNREACH, ENETUNREACH, ENOMEM,   ENFILE,    EMFILE};
  return absl::c_linear_search(kPassing, error.value());
}

// Not OK where it cannot be said: a file system that is away for a moment is not one without this directory,
// nor is a directory that may be listed and not looked into. A link to where nobody may look is none.
absl::StatusOr<bool> IsDirectoryForSure(const fs::path& path) {
  std::error_code error, of_link;
  const fs::file_status status = fs::status(path, error);
  if (status.type() != fs::file_type::none) return fs::is_directory(status);
  const bool unreadable = fs::symlink_status(path, of_link).type() == fs::file_type::none &&
                          of_link == std::errc::permission_denied;
  if (!unreadable && !MayPass(error)) return false;
  return absl::UnavailableError(absl::StrCat("cannot look at ", path.string(), ": ", error.message()));
}

// Of a version's folder where neither is a regular file: what those are that are there.
absl::Status WhyNoModel(const fs::path& folder, const std::vector<fs::path>& files) {
  std::vector<absl::string_view> wrong;
  std::vector<absl::Status> found;
  for (const fs::path& file : files) found.push_back(CheckRegularFile(file.string()));
  for (const absl::Status& file : found) {
    if (!absl::IsNotFound(file)) wrong.push_back(file.message());
  }
  if (wrong.empty()) {
    return absl::NotFoundError(absl::StrCat(folder.string(), " holds neither model.pt2 nor model.pt"));
  }
  return absl::InvalidArgumentError(absl::StrJoin(wrong, "; "));
}

ModelConfig::Version ReadVersion(const fs::path& folder, int64_t number) {
  ModelConfig::Version version{.version = number, .files = FolderFingerprint(folder.string())};
  const fs::path packaged = folder / "model.pt2", scripted = folder / "model.pt",
                 calibrator = folder / "calibrator.json";
  if (IsFile(packaged) && IsFile(scripted)) {
    version.problem = absl::InvalidArgumentError(absl::StrCat(
        folder.string(), " holds both model.pt2 and model.pt; remove the one that is not to be served"));
    return version;
  }
  if (!IsFile(packaged) && !IsFile(scripted)) {
    version.problem = WhyNoModel(folder, {packaged, scripted});
    return version;
  }
  version.model_path = (IsFile(packaged) ? packaged : scripted).string();
  if (IsFile(calibrator)) {
    version.calibrator_path = calibrator.string();
  } else if (std::error_code error;
             fs::symlink_status(calibrator, error).type() != fs::file_type::not_found) {
    version.problem = absl::InvalidArgumentError(absl::StrCat(
        calibrator.string(), " is not a regular file, nor a link to one; mend or remove it, else ",
        "the version would be served without its calibrator"));
    return version;
  }
  for (const fs::path& samples : {folder / kWarmup, folder.parent_path() / kWarmup}) {
    if (version.warmup_path.empty() && IsDirectory(samples)) version.warmup_path = samples.string();
  }
  // The model's warm-up samples are among its settings.
  version.read_files =
      absl::StrCat(FileFingerprint(version.model_path), "\n", FileFingerprint(version.calibrator_path), "\n",
                   FolderFingerprint((folder / kWarmup).string()));
  return version;
}

// What is in a directory, by name, but for names that start with a dot.
absl::StatusOr<std::vector<fs::directory_entry>> List(const std::string& directory) {
  std::error_code error;
  std::vector<fs::directory_entry> entries;
  for (fs::directory_iterator next(directory, error), end; !error && next != end; next.increment(error)) {
    if (!absl::StartsWith(next->path().filename().string(), ".")) entries.push_back(*next);
  }
  if (error)
    return absl::NotFoundError(absl::StrCat("cannot read the directory ", directory, ": ", error.message()));
  std::sort(entries.begin(), entries.end());
  return entries;
}

void ReadVersions(ModelConfig* config, std::vector<absl::Status>* problems) {
  const absl::StatusOr<std::vector<fs::directory_entry>> entries = List(config->directory);
  if (!entries.ok()) return problems->push_back(entries.status());
  for (const fs::directory_entry& entry : *entries) {
    const std::string folder = entry.path().filename().string();
    const absl::StatusOr<bool> is_directory = IsDirectoryForSure(entry.path());
    if (!is_directory.ok()) return problems->push_back(is_directory.status());
    if (!*is_directory || folder == kWarmup) continue;
    const std::optional<int64_t> number = VersionOfFolder(folder);
    if (!number) {
      config->notes.push_back(absl::StrCat(entry.path().string(), " is ignored: ", kVersionRule));
      continue;
    }
    config->versions.push_back(ReadVersion(entry.path(), *number));
  }
  if (config->versions.empty()) {
    return problems->push_back(
        absl::NotFoundError(absl::StrCat(config->directory, " holds no version: expected ", config->directory,
                                         "/1/model.pt2 or ", config->directory, "/1/model.pt")));
  }
  absl::c_sort(config->versions, [](const auto& a, const auto& b) { return a.version < b.version; });
}

void ReadClassLabels(const std::string& path, ModelConfig* config, std::vector<absl::Status>* problems) {
  std::vector<absl::Status> found;
  std::vector<std::string> labels = ReadLabels(path, &found);
  if (config->task == Task::kBinary && labels.size() > 2) {
    found.push_back(absl::InvalidArgumentError(
        absl::StrCat(path, " must have 2 labels for task: binary; has ", labels.size())));
  }
  if (found.empty()) {
    config->labels = std::move(labels);
  } else {
    config->loadable = false;
    problems->insert(problems->end(), found.begin(), found.end());
  }
}

bool IsModelName(absl::string_view name) {
  return absl::c_all_of(name, [](char c) { return absl::ascii_isalnum(c) || absl::StrContains("_-.", c); });
}

// A folder that neither has the name nor the file of a model, as lost+found, only lies there.
absl::StatusOr<bool> IsModelDirectory(const fs::path& path) {
  ASSIGN_OR_RETURN(const bool is_directory, IsDirectoryForSure(path));
  return is_directory && (IsModelName(path.filename().string()) || IsFile(path / "model.yaml"));
}

}  // namespace

std::optional<int64_t> VersionOfFolder(const std::string& folder) {
  int64_t version = 0;
  if (folder.empty() || folder[0] == '0' || !absl::c_all_of(folder, absl::ascii_isdigit) ||
      !absl::SimpleAtoi(folder, &version)) {
    return std::nullopt;
  }
  return version;
}

const ModelConfig::Version* ModelConfig::Find(int64_t version) const {
  const auto found = absl::c_find_if(versions, [&](const Version& v) { return v.version == version; });
  return found == versions.end() ? nullptr : &*found;
}

std::set<int64_t> ModelConfig::Wanted() const {
  std::vector<int64_t> found;
  for (const Version& version : versions) found.push_back(version.version);
  return WantedVersions(policy, routing, found);
}

ModelDirectory ReadModelDirectory(const std::string& directory, const BatchingOptions& defaults) {
  const fs::path path(directory);
  ModelDirectory read;
  ModelConfig& config = read.config;
  // Of "models/pets/." too. For the files this would not do: "link/.." is wherever the link leads to.
  const fs::path named = path.lexically_normal();
  config.name = (named.has_filename() ? named : named.parent_path()).filename().string();
  config.directory = directory;
  config.batching = defaults;
  if (!IsModelName(config.name)) {
    read.problems.push_back(absl::InvalidArgumentError(
        absl::StrCat(directory, ": a model's name has letters, digits, '_', '-' and '.' only")));
  }
  ReadModelYaml((path / "model.yaml").string(), &config, &read.problems);
  ReadClassLabels((path / "labels.txt").string(), &config, &read.problems);
  ReadVersions(&config, &read.problems);
  absl::StrAppend(&config.settings, "\n", absl::StrJoin(config.labels, "\n"), "\n",
                  FolderFingerprint((path / kWarmup).string()));
  return read;
}

absl::StatusOr<std::map<std::string, ModelDirectory>> ReadModelRepository(const std::string& directory,
                                                                          const BatchingOptions& defaults) {
  ASSIGN_OR_RETURN(const std::vector<fs::directory_entry> entries, List(directory));
  std::map<std::string, ModelDirectory> models;
  for (const fs::directory_entry& entry : entries) {
    const absl::StatusOr<bool> is_model = IsModelDirectory(entry.path());
    ModelDirectory model;
    if (!is_model.ok()) {
      model.config.name = entry.path().filename().string();
      model.problems = {is_model.status()};
    } else if (*is_model) {
      model = ReadModelDirectory(entry.path().string(), defaults);
    } else {
      continue;
    }
    models.emplace(model.config.name, std::move(model));
  }
  return models;
}

absl::StatusOr<ModelConfig> ReadModelConfig(const std::string& directory, const BatchingOptions& defaults) {
  ModelDirectory read = ReadModelDirectory(directory, defaults);
  if (!read.problems.empty()) return read.problems.front();
  for (const ModelConfig::Version& version : read.config.versions) RETURN_IF_ERROR(version.problem);
  return std::move(read.config);
}

absl::StatusOr<std::map<std::string, ModelConfig>> ScanModelRepository(const std::string& directory,
                                                                       const BatchingOptions& defaults) {
  ASSIGN_OR_RETURN(const std::vector<fs::directory_entry> entries, List(directory));
  std::map<std::string, ModelConfig> models;
  for (const fs::directory_entry& entry : entries) {
    ASSIGN_OR_RETURN(const bool is_model, IsModelDirectory(entry.path()));
    if (!is_model) continue;
    ASSIGN_OR_RETURN(ModelConfig model, ReadModelConfig(entry.path().string(), defaults));
    models.emplace(model.name, std::move(model));
  }
  if (models.empty()) {
    return absl::NotFoundError(
        absl::StrCat("no model in ", directory, ": expected ", directory, "/NAME/model.yaml"));
  }
  return models;
}

}  // namespace calserve
