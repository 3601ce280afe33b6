#include "text/loopback.h"

#include <arpa/inet.h>

#include <string>

#include "absl/strings/match.h"

namespace calserve {

bool IsLoopback(absl::string_view address) {
  const bool has_port = !absl::EndsWith(address, "]");
  std::string host(has_port ? address.substr(0, address.rfind(':')) : address);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  in_addr v4{};
  if (inet_pton(AF_INET, host.c_str(), &v4) == 1) return (ntohl(v4.s_addr) >> 24) == 127;
  in6_addr v6{};
  if (inet_pton(AF_INET6, host.c_str(), &v6) == 1) return IN6_IS_ADDR_LOOPBACK(&v6) != 0;
  return host == "localhost";
}

}  // namespace calserve
