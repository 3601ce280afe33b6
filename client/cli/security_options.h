#ifndef CALSERVE_CLIENT_CLI_SECURITY_OPTIONS_H_
#define CALSERVE_CLIENT_CLI_SECURITY_OPTIONS_H_

#include "CLI/CLI.hpp"
#include "client/client.h"

namespace calserve::cli {

// The options about TLS and tokens, the same for every command, and what the environment says of them:
// CALSERVE_TLS (true), CALSERVE_CA_FILE, CALSERVE_CERTIFICATE_FILE, CALSERVE_KEY_FILE, CALSERVE_TOKEN_FILE,
// CALSERVE_TOKEN. There is no option for a token
// itself: other users of the machine see a command line.
void AddSecurityOptions(CLI::App* app, client::ClientOptions* options);

}  // namespace calserve::cli

#endif  // CALSERVE_CLIENT_CLI_SECURITY_OPTIONS_H_
