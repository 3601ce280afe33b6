#ifndef CALSERVE_CLIENT_CLI_REFIT_TEXT_H_
#define CALSERVE_CLIENT_CLI_REFIT_TEXT_H_

#include <string>

#include "client/cli/terminal.h"
#include "client/types.h"
#include "nlohmann/json.hpp"

namespace calserve::cli {

// Where an automatic refit stands, for people: what it does and why, then its attempts, the newest first.
std::string RefitText(const client::RefitStatus& status, const Terminal& terminal);
// The same with the keys of GetRefitStatusResponse; enumerators without their prefix.
nlohmann::ordered_json ToJson(const client::RefitStatus& status);

}  // namespace calserve::cli

#endif  // CALSERVE_CLIENT_CLI_REFIT_TEXT_H_
