#include "client/connection_probe.h"

#include <netdb.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"

namespace calserve::client {
namespace {

struct Free {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  void operator()(SSL* tls) const { SSL_free(tls); }
  void operator()(BIO* bio) const { BIO_free(bio); }
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  void operator()(GENERAL_NAMES* names) const { GENERAL_NAMES_free(names); }
  void operator()(addrinfo* info) const { freeaddrinfo(info); }
};
template <typename T>
using Owned = std::unique_ptr<T, Free>;

struct Address {
  std::string host, port;
};

std::optional<Address> AddressOf(absl::string_view target) {
  absl::ConsumePrefix(&target, "dns:///");
  const size_t colon = target.rfind(':');
  if (colon == absl::string_view::npos || absl::StartsWith(target, "unix:")) return std::nullopt;
  absl::string_view host = target.substr(0, colon);
  const absl::string_view port = target.substr(colon + 1);
  if (absl::ConsumePrefix(&host, "[")) absl::ConsumeSuffix(&host, "]");
  if (host.empty() || port.empty() || !std::all_of(port.begin(), port.end(), absl::ascii_isdigit)) {
    return std::nullopt;
  }
  return Address{std::string(host), std::string(port)};
}

bool MayUseProxy(const Address& address) {
  if (absl::StartsWith(address.host, "127.") || address.host == "localhost" || address.host == "::1")
    return false;
  const char* const kVariables[] = {"grpc_proxy", "https_proxy", "http_proxy"};
  return std::any_of(std::begin(kVariables), std::end(kVariables),
                     [](const char* name) { return std::getenv(name) != nullptr; });
}

// A connection of its own, every wait of which, but the look-up of a name, ends at a deadline.
class Socket {
 public:
  explicit Socket(absl::Time deadline) : deadline_(deadline) {}
  ~Socket() { Close(); }
  Socket(const Socket&) = delete;

  // 0, or the errno of the last address that was tried.
  int Connect(const Address& address) {
    addrinfo hints = {}, *found = nullptr;
    hints.ai_socktype = SOCK_STREAM;
    if (getaddrinfo(address.host.c_str(), address.port.c_str(), &hints, &found) != 0) return EADDRNOTAVAIL;
    const Owned<addrinfo> addresses(found);
    int error = EADDRNOTAVAIL;
    for (const addrinfo* one = found; one != nullptr && error != 0; one = one->ai_next)
      error = ConnectTo(*one);
    return error;
  }

  void Send(absl::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent > 0) bytes.remove_prefix(static_cast<size_t>(sent));
      if (sent <= 0 && (errno != EAGAIN || !Wait(POLLOUT))) return;
    }
  }

  // What there is, once there is something; empty where the peer is gone or the deadline has come.
  std::string Receive() {
    char buffer[4096];
    if (!Wait(POLLIN)) return "";
    const ssize_t size = recv(descriptor_, buffer, sizeof(buffer), 0);
    closed_ = size <= 0;
    return size > 0 ? std::string(buffer, static_cast<size_t>(size)) : "";
  }

  bool closed() const { return closed_; }  // by the peer, as Receive found

 private:
  int ConnectTo(const addrinfo& address) {
    Close();
    descriptor_ = socket(address.ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, address.ai_protocol);
    if (descriptor_ < 0) return errno;
    if (connect(descriptor_, address.ai_addr, address.ai_addrlen) == 0) return 0;
    if (errno != EINPROGRESS) return errno;
    if (!Wait(POLLOUT)) return ETIMEDOUT;
    int error = 0;
    socklen_t size = sizeof(error);
    return getsockopt(descriptor_, SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? error : errno;
  }

  bool Wait(int16_t events) {
    pollfd waiting{descriptor_, events, 0};
    const int64_t left = absl::ToInt64Milliseconds(deadline_ - absl::Now());
    return left > 0 && poll(&waiting, 1, static_cast<int>(left)) == 1;
  }

  void Close() {
    if (descriptor_ >= 0) close(descriptor_);
    descriptor_ = -1;
  }

  const absl::Time deadline_;
  int descriptor_ = -1;
  bool closed_ = false;
};

Owned<BIO> Pem(const std::string& text) {
  return Owned<BIO>(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

void TrustAuthorities(const std::string& pem, SSL_CTX* context) {
  if (pem.empty()) {
    SSL_CTX_set_default_verify_paths(context);
    return;
  }
  const Owned<BIO> bio = Pem(pem);
  while (const Owned<X509> authority{PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)}) {
    X509_STORE_add_cert(SSL_CTX_get_cert_store(context), authority.get());
  }
}

// False where they do not belong together, or one of them is none.
bool UseCertificate(const ChannelFiles& files, SSL_CTX* context) {
  const Owned<X509> certificate{PEM_read_bio_X509(Pem(files.certificate).get(), nullptr, nullptr, nullptr)};
  const Owned<EVP_PKEY> key{PEM_read_bio_PrivateKey(Pem(files.key).get(), nullptr, nullptr, nullptr)};
  return certificate != nullptr && key != nullptr &&
         SSL_CTX_use_certificate(context, certificate.get()) == 1 &&
         SSL_CTX_use_PrivateKey(context, key.get()) == 1 && SSL_CTX_check_private_key(context) == 1;
}

// Whom a certificate is for: "localhost, 127.0.0.1"; at most five names.
std::string NamesOf(const X509* certificate) {
  constexpr size_t kMost = 5;
  std::vector<std::string> names;
  const Owned<GENERAL_NAMES> all{
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr))};
  const int count = all == nullptr ? 0 : sk_GENERAL_NAME_num(all.get());
  for (int i = 0; i < count && names.size() < kMost; ++i) {
    const GENERAL_NAME* const name = sk_GENERAL_NAME_value(all.get(), i);
    if (name->type != GEN_DNS && name->type != GEN_IPADD) continue;
    const ASN1_STRING* const text = name->type == GEN_DNS ? name->d.dNSName : name->d.iPAddress;
    const std::string bytes(reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
                            static_cast<size_t>(ASN1_STRING_length(text)));
    if (name->type == GEN_DNS) {
      names.push_back(bytes);
    } else if (bytes.size() == 4) {
      names.push_back(absl::StrJoin(bytes, ".", [](std::string* out, char byte) {
        absl::StrAppend(out, static_cast<int>(static_cast<unsigned char>(byte)));
      }));
    }
  }
  return names.empty() ? "no name of a host" : absl::StrJoin(names, ", ");
}

// A TLS handshake whose faults are looked at and not acted upon.
class Handshake {
 public:
  // All outlive this.
  Handshake(SSL_CTX* context, const Address& address, Socket* socket)
      : tls_(SSL_new(context)), socket_(*socket), in_(BIO_new(BIO_s_mem())), out_(BIO_new(BIO_s_mem())) {
    SSL_set_bio(tls_.get(), in_, out_);
    SSL_set_verify(tls_.get(), SSL_VERIFY_NONE, nullptr);
    const auto asked = [](SSL*, void* self) {
      static_cast<Handshake*>(self)->certificate_asked_ = true;
      return 1;
    };
    SSL_set_cert_cb(tls_.get(), asked, this);
    SSL_set_alpn_protos(tls_.get(), reinterpret_cast<const unsigned char*>("\x02h2"), 3);
    X509_VERIFY_PARAM* const wanted = SSL_get0_param(tls_.get());
    if (X509_VERIFY_PARAM_set1_ip_asc(wanted, address.host.c_str()) == 1) return;
    X509_VERIFY_PARAM_set1_host(wanted, address.host.c_str(), 0);
    SSL_set_tlsext_host_name(tls_.get(), address.host.c_str());
  }

  // True once it is through.
  bool Run() {
    return Do([this] { return SSL_connect(tls_.get()); });
  }
  // After Run: waits for the server's first byte. With TLS 1.3 it refuses a certificate only then.
  bool HearServer() {
    return Do([this] {
      char byte;
      return SSL_read(tls_.get(), &byte, 1);
    });
  }

  const SSL* tls() const { return tls_.get(); }
  // Something came, and it was no record of TLS.
  bool heard_plain_text() const { return first_byte_ >= 0 && first_byte_ != 0x15 && first_byte_ != 0x16; }
  bool heard_tls() const { return first_byte_ == 0x15 || first_byte_ == 0x16; }
  bool certificate_asked() const { return certificate_asked_; }
  // The alert that ended it, as "tlsv13 alert certificate required"; else empty.
  const std::string& alert() const { return alert_; }

 private:
  template <typename Step>
  bool Do(const Step& step) {
    while (true) {
      ERR_clear_error();
      const int result = step();
      const int error = SSL_get_error(tls_.get(), result);
      const uint64_t reason = ERR_peek_error();
      char* pending = nullptr;
      const int64_t size = BIO_get_mem_data(out_, &pending);
      // Where the server is gone, what it said before is still to be read.
      if (size > 0) socket_.Send(absl::string_view(pending, static_cast<size_t>(size)));
      BIO_reset(out_);
      if (result > 0) return true;
      if (error == SSL_ERROR_SSL && ERR_GET_REASON(reason) > SSL_AD_REASON_OFFSET) {
        alert_ = ERR_reason_error_string(reason);
      }
      if (error != SSL_ERROR_WANT_READ) return false;
      const std::string bytes = socket_.Receive();
      if (bytes.empty()) return false;
      if (first_byte_ < 0) first_byte_ = static_cast<unsigned char>(bytes[0]);
      BIO_write(in_, bytes.data(), static_cast<int>(bytes.size()));
    }
  }

  const Owned<SSL> tls_;
  Socket& socket_;
  BIO* const in_;   // tls_'s
  BIO* const out_;  // tls_'s
  int first_byte_ = -1;
  bool certificate_asked_ = false;
  std::string alert_;
};

std::string CertificateFault(const SSL* tls, const Address& address) {
  const int64_t verified = SSL_get_verify_result(tls);
  if (verified == X509_V_OK) return "";
  const std::string reason = X509_verify_cert_error_string(verified);
  if (verified == X509_V_ERR_HOSTNAME_MISMATCH || verified == X509_V_ERR_IP_ADDRESS_MISMATCH) {
    const Owned<X509> certificate(SSL_get1_peer_certificate(tls));
    return absl::StrCat("the server's certificate is not for ", address.host, " but for ",
                        NamesOf(certificate.get()), ": name the server so (--server)");
  }
  if (verified == X509_V_ERR_CERT_HAS_EXPIRED || verified == X509_V_ERR_CERT_NOT_YET_VALID) {
    return absl::StrCat("the server's certificate is not valid now: ", reason);
  }
  return absl::StrCat("the server's certificate is not of an authority that is trusted (", reason,
                      "): name the one that issued it with ca_file (--ca-file FILE)");
}

std::string ClientCertificateFault(const ChannelFiles& files, const std::string& alert) {
  if (files.certificate.empty()) {
    return absl::StrCat("the server wants a certificate of the client, and there is none (", alert,
                        "): give certificate_file and key_file (--certificate FILE --key FILE)");
  }
  return absl::StrCat("the server does not take the client's certificate (", alert,
                      "): give one of an authority that it trusts (--certificate FILE --key FILE)");
}

}  // namespace

std::string WhyNoConnection(const ClientOptions& options, const ChannelFiles& files, absl::Duration timeout) {
  const std::optional<Address> address = AddressOf(options.target);
  if (!address.has_value() || MayUseProxy(*address)) return "";
  Socket socket(absl::Now() + timeout);
  if (const int error = socket.Connect(*address); error != 0) {
    if (error == EADDRNOTAVAIL) return "";  // The name: gRPC says so.
    return absl::StrCat(std::strerror(error), ": is calserve-server running there? (--server)");
  }
  const Owned<SSL_CTX> context(SSL_CTX_new(TLS_client_method()));
  TrustAuthorities(files.ca, context.get());
  if (!files.certificate.empty() && !UseCertificate(files, context.get())) {
    return "certificate_file and key_file do not belong together (--certificate, --key)";
  }
  Handshake handshake(context.get(), *address, &socket);
  const bool through = handshake.Run();
  if (!options.tls) {
    if (!through && !handshake.heard_tls()) return "";
    return "the server speaks TLS, this client plain text: turn tls on (--tls, or --ca-file FILE)";
  }
  if (handshake.heard_plain_text()) {
    return "the server speaks plain text, this client TLS: turn tls off (no --tls, --ca-file, "
           "--certificate), or "
           "give the server a certificate";
  }
  if (!handshake.alert().empty()) return ClientCertificateFault(files, handshake.alert());
  if (!through) return "";
  if (std::string fault = CertificateFault(handshake.tls(), *address); !fault.empty()) return fault;
  if (handshake.HearServer()) return "";
  if (!handshake.alert().empty()) return ClientCertificateFault(files, handshake.alert());
  // gRPC's server sends no alert.
  const bool refused = handshake.certificate_asked() && socket.closed();
  return refused ? ClientCertificateFault(files, "it closed the connection") : "";
}

}  // namespace calserve::client
