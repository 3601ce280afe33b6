#ifndef CALSERVE_CLIENT_CLI_OFFLINE_REPORT_H_
#define CALSERVE_CLIENT_CLI_OFFLINE_REPORT_H_

#include "absl/status/status.h"
#include "client/cli/report_options.h"
#include "client/cli/session.h"

namespace calserve::cli {

// Reports on options.logits and options.labels: methods, then calibrator files, then versions of the server,
// each a column of one table; plain softmax where nothing is asked for.
absl::Status ReportOffline(const ReportOptions& options, Session& session);

}  // namespace calserve::cli

#endif  // CALSERVE_CLIENT_CLI_OFFLINE_REPORT_H_
