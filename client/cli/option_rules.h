#ifndef CALSERVE_CLIENT_CLI_OPTION_RULES_H_
#define CALSERVE_CLIENT_CLI_OPTION_RULES_H_

#include <cstdint>
#include <limits>
#include <string>

#include "CLI/CLI.hpp"

namespace calserve::cli {

// Rules for CLI::Option::check: a value that breaks one is wrong usage, which names the option, before any
// call.

// Text that goes into a call: Protobuf's strings are UTF-8.
CLI::Validator Utf8();
bool IsUtf8(const std::string& text);

// least to most, written without a fraction.
CLI::Validator WholeNumber(int64_t least, int64_t most = std::numeric_limits<int64_t>::max());

// A finite number, above 0, and below 1 or up to it.
enum class Upto { kBelowOne, kOne };
CLI::Validator Share(Upto upto);

}  // namespace calserve::cli

#endif  // CALSERVE_CLIENT_CLI_OPTION_RULES_H_
