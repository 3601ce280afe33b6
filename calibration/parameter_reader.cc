#include "calibration/parameter_reader.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"

namespace calserve {
namespace {

auto Named(const std::string& name) {
  return [&name](const CalibratorSpec::Parameter& parameter) { return parameter.name == name; };
}

}  // namespace

bool ParameterReader::Has(const std::string& name) const {
  return std::any_of(left_.begin(), left_.end(), Named(name));
}

double ParameterReader::Value(const std::string& name) { return Values(name, 1).front(); }

std::vector<double> ParameterReader::Values(const std::string& name, size_t length, double limit) {
  std::vector<double> values = Values(name);
  if (values.size() != length) {
    Fail(absl::StrCat("parameter ", name, " must have ", length, " values; has ", values.size()));
    values.assign(length, 0);
  }
  for (size_t i = 0; i < length; ++i) {
    if (std::abs(values[i]) > limit) {
      Fail(absl::StrCat("parameter ", name, "[", i, "] must be within ", limit, " of 0; was ", values[i]));
    }
  }
  return values;
}

std::vector<double> ParameterReader::Values(const std::string& name) {
  const auto found = std::find_if(left_.begin(), left_.end(), Named(name));
  if (found == left_.end()) {
    Fail(absl::StrCat("parameter ", name, " is missing"));
    return {};
  }
  std::vector<double> values = std::move(found->values);
  left_.erase(found);
  for (size_t i = 0; i < values.size(); ++i) {
    if (!std::isfinite(values[i])) {
      Fail(absl::StrCat("parameter ", name, "[", i, "] must be finite; was ", values[i]));
    }
  }
  return values;
}

void ParameterReader::Fail(const std::string& what) {
  if (error_.ok()) error_ = absl::InvalidArgumentError(what);
}

absl::Status ParameterReader::Finish() const {
  if (!error_.ok() || left_.empty()) return error_;
  return absl::InvalidArgumentError(
      absl::StrCat("method ", MethodName(spec_.method), " has no parameter ", left_.front().name));
}

}  // namespace calserve
