#ifndef CALSERVE_SERVER_CONFIG_OPTION_TABLE_H_
#define CALSERVE_SERVER_CONFIG_OPTION_TABLE_H_

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "server/config/option.h"

namespace calserve {

// Everything that can be set. The YAML file, the environment, the flags, --help, --print-config and
// docs/configuration.md are read off this table. In the order in which options are shown: those without a
// section first, then section by section.
absl::Span<const Option> OptionTable();

// Null if there is none.
const Option* FindOption(absl::string_view name);

}  // namespace calserve

#endif  // CALSERVE_SERVER_CONFIG_OPTION_TABLE_H_
