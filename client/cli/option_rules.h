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

// The same, and not empty: a name that a script left out must not mean another than it meant.
CLI::Validator Name();

// A file or folder to read, or a file to write. Not empty; what is written does not go to "-", where the
// command's own output is.
CLI::Validator InputFile();
CLI::Validator OutputFile();

// least to most, written without a fraction.
CLI::Validator WholeNumber(int64_t least, int64_t most = std::numeric_limits<int64_t>::max());

// A number from least to most.
CLI::Validator NumberWithin(double least, double most);

// A finite number, above 0, and below 1 or up to it.
enum class Upto { kBelowOne, kOne };
CLI::Validator Share(Upto upto);

}  // namespace calserve::cli

#endif  // CALSERVE_CLIENT_CLI_OPTION_RULES_H_
