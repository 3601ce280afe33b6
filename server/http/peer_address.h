#ifndef CALSERVE_SERVER_HTTP_PEER_ADDRESS_H_
#define CALSERVE_SERVER_HTTP_PEER_ADDRESS_H_

#include <string>

namespace calserve {

// Where a connection comes from.
struct PeerAddress {
  std::string host;  // "10.0.0.7", "::1"; empty: not known
  int port = 0;
};

PeerAddress PeerOf(int socket);

}  // namespace calserve

#endif  // CALSERVE_SERVER_HTTP_PEER_ADDRESS_H_
