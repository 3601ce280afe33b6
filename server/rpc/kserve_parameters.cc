#include "server/rpc/kserve_parameters.h"

#include <algorithm>
#include <limits>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "server/base/error_info.h"
#include "server/base/status_macros.h"

namespace calserve::kserve {
namespace {

using inference::InferParameter;

// Asks for a last, empty answer of a model that answers a request several times. Ours never does.
constexpr absl::string_view kEmptyFinalResponse = "triton_enable_empty_final_response";

// What is before the key of an attribute.
constexpr absl::string_view kAttribute = "attribute.";

absl::Status WrongType(const std::string& name, absl::string_view expected) {
  return WithField(absl::InvalidArgumentError(
                       absl::StrCat("invalid value type for '", name, "' parameter, expected ", expected)),
                   absl::StrCat("parameters.", name));
}

absl::Status CheckReserved(const std::string& name, const InferParameter& parameter) {
  if (name != kEmptyFinalResponse) {
    return WithField(absl::InvalidArgumentError(
                         absl::StrCat("parameter keys starting with 'triton_' are reserved, and only '",
                                      kEmptyFinalResponse, "' is known; was '", name, "'")),
                     "parameters");
  }
  return parameter.has_bool_param() ? absl::OkStatus() : WrongType(name, "bool_param");
}

}  // namespace

absl::StatusOr<int64_t> WholeNumber(const std::string& name, const InferParameter& parameter, int64_t least) {
  int64_t value = 0;
  switch (parameter.parameter_choice_case()) {
    case InferParameter::kInt64Param:
      value = parameter.int64_param();
      break;
    case InferParameter::kUint64Param:
      value = static_cast<int64_t>(
          std::min<uint64_t>(parameter.uint64_param(), std::numeric_limits<int64_t>::max()));
      break;
    default:
      return WrongType(name, "int64_param or uint64_param");
  }
  if (value >= least) return value;
  return WithField(absl::InvalidArgumentError(absl::StrCat("invalid value for '", name,
                                                           "', expected value >= ", least, "; was ", value)),
                   absl::StrCat("parameters.", name));
}

absl::StatusOr<RequestParameters> ReadParameters(const inference::ModelInferRequest& request) {
  RequestParameters out;
  for (const auto& [name, parameter] : request.parameters()) {
    if (name == "priority") {
      ASSIGN_OR_RETURN(const int64_t priority, WholeNumber(name, parameter, 0));
      out.priority = static_cast<int>(std::min<int64_t>(priority, std::numeric_limits<int>::max()));
    } else if (name == "timeout") {
      ASSIGN_OR_RETURN(const int64_t micros, WholeNumber(name, parameter, 0));
      if (micros > 0) out.timeout = absl::Microseconds(micros);
    } else if (name == "top_k") {
      ASSIGN_OR_RETURN(out.top_k, WholeNumber(name, parameter, 0));
    } else if (name == "version_label" || name == "routing_key") {
      if (!parameter.has_string_param()) return WrongType(name, "string_param");
      (name == "routing_key" ? out.routing_key : out.version_label) = parameter.string_param();
    } else if (absl::string_view key = name; absl::ConsumePrefix(&key, kAttribute)) {
      if (!parameter.has_string_param()) return WrongType(name, "string_param");
      out.attributes.emplace_back(key, parameter.string_param());
    } else if (absl::StartsWith(name, "triton_")) {
      RETURN_IF_ERROR(CheckReserved(name, parameter));
    }
  }
  std::sort(out.attributes.begin(), out.attributes.end());  // A map has no order.
  return out;
}

absl::Status CheckNoSharedMemory(const std::string& tensor, const Parameters& parameters) {
  if (parameters.count("shared_memory_region") == 0) return absl::OkStatus();
  return absl::UnimplementedError(absl::StrCat("shared memory is not supported: '", tensor,
                                               "' must be in the message itself, not in a region"));
}

}  // namespace calserve::kserve
