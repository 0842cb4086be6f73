#include "proto/transport/pem_files.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <cerrno>
#include <cstdio>
#include <memory>

namespace rotor {
namespace {

struct Free {
  void operator()(std::FILE* file) const { std::fclose(file); }
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};

Status bad_file(const std::string& path, const std::string& what) {
  ERR_clear_error();
  return failed_precondition(path + ": " + what)
      .with_reason("BAD_TLS_FILES")
      .with_detail("file", path);
}

Result<std::unique_ptr<std::FILE, Free>> open(const std::string& path) {
  std::unique_ptr<std::FILE, Free> file(std::fopen(path.c_str(), "re"));
  if (!file) {
    return bad_file(path, errno_error(errno, "cannot be opened", path).message() +
                              "; name a PEM file that this user may read");
  }
  return file;
}

Result<std::unique_ptr<X509, Free>> read_certificate(const std::string& path) {
  ROTOR_ASSIGN_OR_RETURN(const auto file, open(path));
  std::unique_ptr<X509, Free> certificate(PEM_read_X509(file.get(), nullptr, nullptr, nullptr));
  if (!certificate) {
    return bad_file(path, "holds no certificate; it must begin with -----BEGIN CERTIFICATE-----");
  }
  return certificate;
}

/// OpenSSL would ask on the terminal.
int no_password(char* /*buffer*/, int /*size*/, int /*writing*/, void* /*data*/) {
  return -1;
}

}  // namespace

Status check_identity_files(const std::string& certificate_path, const std::string& key_path) {
  ROTOR_ASSIGN_OR_RETURN(const auto certificate, read_certificate(certificate_path));
  ROTOR_ASSIGN_OR_RETURN(const auto file, open(key_path));
  const std::unique_ptr<EVP_PKEY, Free> key(
      PEM_read_PrivateKey(file.get(), nullptr, no_password, nullptr));
  if (!key) {
    return bad_file(key_path, "holds no private key in PEM without a password");
  }
  if (X509_check_private_key(certificate.get(), key.get()) != 1) {
    return bad_file(key_path, "is not the key of the certificate in " + certificate_path);
  }
  if (X509_cmp_current_time(X509_get0_notAfter(certificate.get())) < 0) {
    return bad_file(certificate_path, "the certificate has expired; replace it");
  }
  if (X509_cmp_current_time(X509_get0_notBefore(certificate.get())) > 0) {
    return bad_file(certificate_path,
                    "the certificate is not valid yet; look at this host's clock");
  }
  return {};
}

Status check_trust_file(const std::string& authority) {
  return read_certificate(authority).status();
}

}  // namespace rotor
