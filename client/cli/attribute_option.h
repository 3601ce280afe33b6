#ifndef CALSERVE_CLIENT_CLI_ATTRIBUTE_OPTION_H_
#define CALSERVE_CLIENT_CLI_ATTRIBUTE_OPTION_H_

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "CLI/CLI.hpp"
#include "client/types.h"

namespace calserve::cli {

// Attributes as options have them: KEY=VALUE; the value is all after the first '='.

// Wrong usage unless it is UTF-8 with something before an '='.
CLI::Validator KeyValue();
// Of texts that KeyValue has checked.
std::vector<std::pair<std::string, std::string>> ParseAttributes(const std::vector<std::string>& texts);
// nullopt of an empty text: all labels.
std::optional<client::Slice> ParseSlice(const std::string& text);

// "camera=north", Printable; "" of all labels.
std::string SliceText(const std::optional<client::Slice>& slice);

}  // namespace calserve::cli

#endif  // CALSERVE_CLIENT_CLI_ATTRIBUTE_OPTION_H_
