#include "server/http/tls_stream.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

namespace calserve {
namespace {

int ToInt(size_t size) { return static_cast<int>(std::min<size_t>(size, std::numeric_limits<int>::max())); }

std::string TextOf(const ASN1_STRING* text) {
  return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
          static_cast<size_t>(ASN1_STRING_length(text))};
}

std::string CommonName(X509* certificate) {
  X509_NAME* const subject = X509_get_subject_name(certificate);
  const int index = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
  return index < 0 ? "" : TextOf(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, index)));
}

}  // namespace

TlsStream::TlsStream(std::shared_ptr<SSL_CTX> context, httplib::Stream& below)
    : context_(std::move(context)),
      below_(below),
      ssl_(context_ == nullptr ? nullptr : SSL_new(context_.get()), &SSL_free) {
  if (ssl_ == nullptr) return;
  in_ = BIO_new(BIO_s_mem());
  out_ = BIO_new(BIO_s_mem());
  SSL_set_bio(ssl_.get(), in_, out_);
}

TlsStream::~TlsStream() { ERR_clear_error(); }

bool TlsStream::Handshake() {
  if (ssl_ == nullptr) return false;
  while (true) {
    const int result = SSL_accept(ssl_.get());
    if (result == 1) return Flush();
    if (!Advance(result)) return false;
  }
}

void TlsStream::Close() {
  if (ssl_ == nullptr || SSL_is_init_finished(ssl_.get()) == 0) return;
  SSL_shutdown(ssl_.get());
  Flush();
}

ssize_t TlsStream::read(char* to, size_t size) {
  while (true) {
    const int result = SSL_read(ssl_.get(), to, ToInt(size));
    if (result > 0) return result;
    if (!Advance(result)) return -1;
  }
}

ssize_t TlsStream::write(const char* from, size_t size) {
  while (true) {
    const int result = SSL_write(ssl_.get(), from, ToInt(size));
    if (result > 0) return Flush() ? result : -1;
    if (!Advance(result)) return -1;
  }
}

bool TlsStream::is_readable() const { return SSL_has_pending(ssl_.get()) == 1 || below_.is_readable(); }

bool TlsStream::Advance(int result) {
  const int error = SSL_get_error(ssl_.get(), result);
  // Also an alert that says what was wrong.
  if (!Flush() || error != SSL_ERROR_WANT_READ) return false;
  std::array<char, 4096> received;
  const ssize_t size = below_.read(received.data(), received.size());
  return size > 0 && BIO_write(in_, received.data(), static_cast<int>(size)) == size;
}

bool TlsStream::Flush() {
  std::array<char, 16384> pending;
  while (true) {
    const int size = BIO_read(out_, pending.data(), static_cast<int>(pending.size()));
    if (size <= 0) return true;
    for (ssize_t sent = 0; sent < size;) {
      const ssize_t part = below_.write(pending.data() + sent, static_cast<size_t>(size - sent));
      if (part <= 0) return false;
      sent += part;
    }
  }
}

std::vector<std::string> CertificateNames(const SSL* ssl) {
  std::vector<std::string> names;
  const std::unique_ptr<X509, void (*)(X509*)> certificate(SSL_get1_peer_certificate(ssl), &X509_free);
  if (certificate == nullptr || SSL_get_verify_result(ssl) != X509_V_OK) return names;
  const std::unique_ptr<GENERAL_NAMES, void (*)(GENERAL_NAMES*)> alternatives(
      static_cast<GENERAL_NAMES*>(
          X509_get_ext_d2i(certificate.get(), NID_subject_alt_name, nullptr, nullptr)),
      &GENERAL_NAMES_free);
  for (int i = 0; i < sk_GENERAL_NAME_num(alternatives.get()); ++i) {
    const GENERAL_NAME* const name = sk_GENERAL_NAME_value(alternatives.get(), i);
    if (name->type == GEN_DNS || name->type == GEN_URI || name->type == GEN_EMAIL) {
      names.push_back(TextOf(name->d.ia5));  // The three are one type in the union.
    }
  }
  if (names.empty()) {
    if (std::string name = CommonName(certificate.get()); !name.empty()) names.push_back(std::move(name));
  }
  return names;
}

}  // namespace calserve
