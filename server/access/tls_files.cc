#include "server/access/tls_files.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "server/access/small_file.h"
#include "server/base/status_macros.h"
#include "server/logging/log.h"

namespace calserve {
namespace {

struct Free {
  void operator()(BIO* bio) const { BIO_free(bio); }
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
using Certificate = std::unique_ptr<X509, Free>;
using Key = std::unique_ptr<EVP_PKEY, Free>;

// A key with a passphrase is refused instead of asked for on the terminal.
int NoPassphrase(char*, int, int, void*) { return -1; }

std::unique_ptr<BIO, Free> Open(const std::string& pem) {
  return std::unique_ptr<BIO, Free>(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
}

std::vector<Certificate> ParseCertificates(const std::string& pem) {
  std::vector<Certificate> out;
  const auto bio = Open(pem);
  while (X509* const certificate = PEM_read_bio_X509(bio.get(), nullptr, NoPassphrase, nullptr)) {
    out.emplace_back(certificate);
  }
  ERR_clear_error();
  return out;
}

absl::Status Check(const TlsMaterial& material, const TlsOptions& options) {
  const std::vector<Certificate> chain = ParseCertificates(material.certificates);
  if (chain.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("tls.certificate_file: ", options.certificate_file, " holds no PEM certificate"));
  }
  const auto bio = Open(material.key);
  const Key key(PEM_read_bio_PrivateKey(bio.get(), nullptr, NoPassphrase, nullptr));
  const bool fits = key != nullptr && X509_check_private_key(chain.front().get(), key.get()) == 1;
  ERR_clear_error();
  if (key == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat("tls.key_file: ", options.key_file, " holds no PEM private key without a passphrase"));
  }
  if (!fits) {
    return absl::InvalidArgumentError(absl::StrCat("tls.key_file: ", options.key_file,
                                                   " is not the key of the first certificate in ",
                                                   options.certificate_file));
  }
  if (!options.client_ca_file.empty() && ParseCertificates(material.client_ca).empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("tls.client_ca_file: ", options.client_ca_file, " holds no PEM certificate"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<TlsFiles>> TlsFiles::Create(const TlsOptions& options) {
  if (options.certificate_file.empty() || options.key_file.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("TLS needs both tls.certificate_file and tls.key_file; ",
                     options.key_file.empty() ? "tls.key_file" : "tls.certificate_file", " is not set"));
  }
  std::unique_ptr<TlsFiles> files(new TlsFiles(options));
  ASSIGN_OR_RETURN(TlsMaterial material, files->Read());
  RETURN_IF_ERROR(Check(material, options));
  files->seen_ = material;
  MutexLock lock(&files->mu_);
  files->current_ = std::make_shared<const TlsMaterial>(std::move(material));
  files->generation_ = 1;
  return files;
}

absl::StatusOr<TlsMaterial> TlsFiles::Read() const {
  TlsMaterial material;
  ASSIGN_OR_RETURN(material.certificates,
                   ReadSmallFile("tls.certificate_file", options_.certificate_file, FileSecrecy::kPublic));
  ASSIGN_OR_RETURN(material.key, ReadSmallFile("tls.key_file", options_.key_file, FileSecrecy::kSecret));
  if (!options_.client_ca_file.empty()) {
    ASSIGN_OR_RETURN(material.client_ca,
                     ReadSmallFile("tls.client_ca_file", options_.client_ca_file, FileSecrecy::kPublic));
  }
  return material;
}

std::shared_ptr<const TlsMaterial> TlsFiles::Current() const {
  MutexLock lock(&mu_);
  return current_;
}

uint64_t TlsFiles::generation() const {
  MutexLock lock(&mu_);
  return generation_;
}

void TlsFiles::Reload() {
  absl::StatusOr<TlsMaterial> read = Read();
  if (read.ok() && *read == seen_) return;
  const absl::Status status = read.ok() ? Check(*read, options_) : read.status();
  if (read.ok()) seen_ = *read;
  if (!status.ok()) {
    if (said_ != status.message()) {
      LogError("certificates not read again, those from before are in force", {{"error", status.message()}});
    }
    said_ = std::string(status.message());
    return;
  }
  said_.clear();
  MutexLock lock(&mu_);
  current_ = std::make_shared<const TlsMaterial>(*std::move(read));
  ++generation_;
  LogInfo("certificates read again", {{"certificate_file", options_.certificate_file}});
}

}  // namespace calserve
