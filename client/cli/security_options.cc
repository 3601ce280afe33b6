#include "client/cli/security_options.h"

#include <cstdlib>
#include <string>

namespace calserve::cli {
namespace {

// Not CLI11's way: an option from the environment would count as given, and offline commands refuse it.
std::string Variable(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? "" : value;
}

}  // namespace

void AddSecurityOptions(CLI::App* app, client::ClientOptions* options) {
  options->tls = Variable("CALSERVE_TLS") == "true";
  options->ca_file = Variable("CALSERVE_CA_FILE");
  options->certificate_file = Variable("CALSERVE_CERTIFICATE_FILE");
  options->key_file = Variable("CALSERVE_KEY_FILE");
  options->token_file = Variable("CALSERVE_TOKEN_FILE");
  options->token = Variable("CALSERVE_TOKEN");
  app->add_flag("--tls", options->tls,
                "encrypt, and know the server by its certificate; else CALSERVE_TLS=true");
  app->add_option("--ca-file", options->ca_file,
                  "PEM of whom to trust for that, instead of whom the system trusts; else CALSERVE_CA_FILE")
      ->type_name("FILE");
  auto* const certificate =
      app->add_option("--certificate", options->certificate_file,
                      "PEM, for a server that asks for one; else CALSERVE_CERTIFICATE_FILE")
          ->type_name("FILE");
  auto* const key =
      app->add_option("--key", options->key_file, "PEM, of --certificate; else CALSERVE_KEY_FILE")
          ->type_name("FILE");
  certificate->needs(key);
  key->needs(certificate);
  app->add_option("--token-file", options->token_file,
                  "its first line goes with every call; else CALSERVE_TOKEN_FILE, or the token itself in "
                  "CALSERVE_TOKEN")
      ->type_name("FILE");
  app->add_flag("--token-in-plain-text", options->send_token_in_plain_text,
                "send the token without TLS beyond this machine, where others can take it");
}

}  // namespace calserve::cli
