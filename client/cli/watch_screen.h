#ifndef CALSERVE_CLIENT_CLI_WATCH_SCREEN_H_
#define CALSERVE_CLIENT_CLI_WATCH_SCREEN_H_

#include <map>
#include <string>

#include "absl/strings/string_view.h"
#include "client/cli/terminal.h"
#include "client/types.h"

namespace calserve::cli {

// What `calserve watch` shows on a terminal of the newest report of each window, by its name: a table of the
// windows, the alarm, and the reliability diagram of the window with the most labels, with as many of its
// bins as the terminal has lines for. Empty where there are no reports.
std::string WatchScreen(const std::map<std::string, client::WindowReport>& newest, const Terminal& terminal);

// Writes `screen` over what the terminal shows, line by line, so that nothing flickers: what is wider or
// higher than the terminal is cut off.
std::string Redraw(absl::string_view screen, const Terminal& terminal);

// The part of a line that takes at most `width` columns, its escape sequences kept whole.
std::string ClipLine(absl::string_view line, int width);

}  // namespace calserve::cli

#endif  // CALSERVE_CLIENT_CLI_WATCH_SCREEN_H_
