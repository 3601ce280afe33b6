#ifndef CALSERVE_SERVER_HTTP_TLS_STREAM_H_
#define CALSERVE_SERVER_HTTP_TLS_STREAM_H_

#include <httplib.h>
#include <openssl/ssl.h>

#include <memory>
#include <string>
#include <vector>

namespace calserve {

// TLS over another stream, whose deadline and limits hold for it too, handshake included. Not thread-safe.
class TlsStream final : public httplib::Stream {
 public:
  // `below` outlives the object. `context` null: the handshake fails.
  TlsStream(std::shared_ptr<SSL_CTX> context, httplib::Stream& below);
  ~TlsStream() override;
  TlsStream(const TlsStream&) = delete;
  TlsStream& operator=(const TlsStream&) = delete;

  // First, once. False: the client is gone, speaks something else, or has a certificate that is not trusted.
  bool Handshake();
  // Tells the client that nothing more comes.
  void Close();

  // -1 at the end, and where the stream below has ended.
  ssize_t read(char* to, size_t size) override;
  ssize_t write(const char* from, size_t size) override;
  using httplib::Stream::write;
  bool is_readable() const override;
  bool is_writable() const override { return below_.is_writable(); }
  void get_remote_ip_and_port(std::string& ip, int& port) const override {
    below_.get_remote_ip_and_port(ip, port);
  }
  void get_local_ip_and_port(std::string& ip, int& port) const override {
    below_.get_local_ip_and_port(ip, port);
  }
  int socket() const override { return below_.socket(); }

  const SSL* ssl() const { return ssl_.get(); }

 private:
  // After a call into OpenSSL that returned `result`: sends what it wants sent, and reads what it wants read.
  // False where it cannot be tried again.
  bool Advance(int result);
  bool Flush();

  const std::shared_ptr<SSL_CTX> context_;
  httplib::Stream& below_;
  const std::unique_ptr<SSL, void (*)(SSL*)> ssl_;
  BIO* in_ = nullptr;   // ssl_'s
  BIO* out_ = nullptr;  // ssl_'s
};

// Of the verified certificate that the client has shown: its alternative names (DNS, URI, e-mail), or its
// common name where it has none. Empty where it has shown none.
std::vector<std::string> CertificateNames(const SSL* ssl);

}  // namespace calserve

#endif  // CALSERVE_SERVER_HTTP_TLS_STREAM_H_
