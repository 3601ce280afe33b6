#include "server/rpc/report_mask.h"

#include <google/protobuf/util/field_mask_util.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "server/base/error_info.h"
#include "server/base/status_macros.h"

namespace calserve {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::util::FieldMaskUtil;

constexpr int kMaxPaths = 100;
constexpr const char* kAlways[] = {
    "model", "model_version", "calibrator_version", "window", "slice",
    "as_of", "catching_up",   "truncated",          "shadow", "shadow_after_position"};

std::string FieldsOf(const Descriptor& message) {
  std::vector<std::string> names;
  for (int i = 0; i < message.field_count(); ++i) names.push_back(message.field(i)->name());
  return absl::StrJoin(names, ", ");
}

absl::Status UnknownPath(const std::string& path, const std::string& why) {
  return WithField(absl::InvalidArgumentError(absl::StrCat("report_mask: there is no \"", path, "\": ", why)),
                   "report_mask");
}

absl::Status CheckPath(const std::string& path) {
  const Descriptor* message = v1::WindowReport::descriptor();
  const std::vector<std::string> names = absl::StrSplit(path, '.');
  for (size_t i = 0; i < names.size(); ++i) {
    const FieldDescriptor* const field = message->FindFieldByName(names[i]);
    if (field == nullptr) {
      return UnknownPath(path, absl::StrCat("the fields of ", message->name(), " are ", FieldsOf(*message)));
    }
    if (i + 1 == names.size()) return absl::OkStatus();
    message = field->is_repeated() ? nullptr : field->message_type();
    if (message == nullptr) {
      return UnknownPath(path, absl::StrCat(names[i], " is given as a whole, or not at all"));
    }
  }
  return absl::OkStatus();
}

bool NamesInterval(const std::string& path, const std::string& side) {
  return path == side + ".ece_low" || path == side + ".ece_high";
}

}  // namespace

absl::StatusOr<ReportMask> ReportMask::FromProto(const google::protobuf::FieldMask& mask) {
  ReportMask out;
  if (mask.paths_size() > kMaxPaths) {
    return WithField(absl::InvalidArgumentError(
                         absl::StrCat("report_mask may have ", kMaxPaths, " paths; has ", mask.paths_size())),
                     "report_mask");
  }
  if (mask.paths().empty()) return out;
  for (const std::string& path : mask.paths()) {
    RETURN_IF_ERROR(CheckPath(path));
    out.served_interval_ = out.served_interval_ || NamesInterval(path, "served");
    out.uncalibrated_interval_ = out.uncalibrated_interval_ || NamesInterval(path, "uncalibrated");
  }
  out.mask_ = mask;
  for (const char* const path : kAlways) out.mask_.add_paths(path);
  return out;
}

void ReportMask::AddIntervals(WindowReport& report) const {
  if (served_interval_) AddEceInterval(&report.served);
  if (uncalibrated_interval_) AddEceInterval(&report.uncalibrated);
}

void ReportMask::Trim(v1::WindowReport& report) const {
  if (names_fields()) FieldMaskUtil::TrimMessage(mask_, &report);
}

}  // namespace calserve
