#ifndef CALSERVE_CLIENT_CONNECTION_PROBE_H_
#define CALSERVE_CLIENT_CONNECTION_PROBE_H_

#include <string>

#include "absl/time/time.h"
#include "client/client.h"

namespace calserve::client {

// What the files of ClientOptions hold, in PEM.
struct ChannelFiles {
  std::string ca, certificate, key;
};

// Why there is no connection to options.target, and what to change: a part of a sentence, or nothing where
// all seems well or it cannot be told (a target that is not host:port, a proxy, a server that says nothing).
// gRPC tells hardly more than that it failed, so one more connection is made here, and given up. Takes
// `timeout` and the look-up of the name at most. Thread-safe.
std::string WhyNoConnection(const ClientOptions& options, const ChannelFiles& files, absl::Duration timeout);

}  // namespace calserve::client

#endif  // CALSERVE_CLIENT_CONNECTION_PROBE_H_
