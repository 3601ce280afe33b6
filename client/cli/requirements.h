#ifndef CALSERVE_CLIENT_CLI_REQUIREMENTS_H_
#define CALSERVE_CLIENT_CLI_REQUIREMENTS_H_

#include <vector>

#include "absl/status/status.h"

namespace CLI {
class Option;
}

namespace calserve::cli {

// Options that count only in one way of calling a command, and would else be ignored.
struct Requirement {
  bool met;
  const char* needs;  // the end of a sentence: "--max-rows needs ..."
  std::vector<CLI::Option*> options;
};

// A usage error that names the first option that was given where it does not count, and what it needs.
absl::Status CheckRequirements(const std::vector<Requirement>& requirements);

}  // namespace calserve::cli

#endif  // CALSERVE_CLIENT_CLI_REQUIREMENTS_H_
