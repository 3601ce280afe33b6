#ifndef CALSERVE_CLIENT_CLI_COMMANDS_H_
#define CALSERVE_CLIENT_CLI_COMMANDS_H_

#include "client/cli/session.h"

namespace CLI {
class App;
}

namespace calserve::cli {

// Each adds one verb, or a few that belong together, to `app`: its options, and a callback that runs it and
// leaves the outcome in session->result. Both outlive the parse.
void AddPredict(CLI::App* app, Session* session);      // predict
void AddFeedback(CLI::App* app, Session* session);     // feedback
void AddEvaluate(CLI::App* app, Session* session);     // evaluate
void AddWatch(CLI::App* app, Session* session);        // watch
void AddCalibrators(CLI::App* app, Session* session);  // calibrators list | show | activate | rollback
void AddAlarms(CLI::App* app, Session* session);       // alarms, acknowledge
void AddFit(CLI::App* app, Session* session);          // fit, with a server or offline
void AddReport(CLI::App* app, Session* session);       // report, with a server or offline
void AddSlices(CLI::App* app, Session* session);       // slices
void AddRefits(CLI::App* app, Session* session);       // refits
void AddModels(CLI::App* app, Session* session);       // models, health
void AddLogLevel(CLI::App* app, Session* session);     // log-level get | set

}  // namespace calserve::cli

#endif  // CALSERVE_CLIENT_CLI_COMMANDS_H_
