/// Certificates for tests of TLS: an authority, and what it signs, in PEM files.
#pragma once

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <cstdio>
#include <memory>
#include <stdexcept>
#include <string>

namespace culvert::logging::test {

class Authority {
 public:
  /// Its certificate is in NAME.pem of the directory, and so are those that it signs.
  Authority(std::string directory, const std::string& name)
      : directory_(std::move(directory)),
        key_(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256")),
        certificate_(make(name, key_, "")) {
    write(name, certificate_, key_);
  }
  ~Authority() {
    X509_free(certificate_);
    EVP_PKEY_free(key_);
  }
  Authority(const Authority&) = delete;
  Authority& operator=(const Authority&) = delete;

  std::string file(const std::string& name) const { return directory_ + "/" + name; }

  /// Makes NAME.pem and NAME.key for these subjectAltNames, like "IP:127.0.0.1,DNS:siem.example".
  void sign(const std::string& name, const std::string& alternatives) const {
    EVP_PKEY* key = EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256");
    X509* certificate = make(name, key, alternatives);
    write(name, certificate, key);
    X509_free(certificate);
    EVP_PKEY_free(key);
  }

 private:
  X509* make(const std::string& name, EVP_PKEY* key, const std::string& alternatives) const {
    X509* c = X509_new();
    X509_set_version(c, 2);
    static long serial = 0;
    ASN1_INTEGER_set(X509_get_serialNumber(c), ++serial);
    X509_gmtime_adj(X509_getm_notBefore(c), -3600);
    X509_gmtime_adj(X509_getm_notAfter(c), 36'000);
    X509_set_pubkey(c, key);
    X509_NAME* subject = X509_get_subject_name(c);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
    const bool own = alternatives.empty();
    X509_set_issuer_name(c, own ? subject : X509_get_subject_name(certificate_));
    const std::string value = own ? "critical,CA:TRUE" : alternatives;
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(
        nullptr, nullptr, own ? NID_basic_constraints : NID_subject_alt_name, value.c_str());
    if (extension == nullptr || X509_add_ext(c, extension, -1) != 1 || X509_sign(c, key_, EVP_sha256()) == 0)
      throw std::runtime_error("no certificate");
    X509_EXTENSION_free(extension);
    return c;
  }
  void write(const std::string& name, X509* certificate, EVP_PKEY* key) const {
    FILE* out = std::fopen(file(name + ".pem").c_str(), "w");
    PEM_write_X509(out, certificate);
    std::fclose(out);
    out = std::fopen(file(name + ".key").c_str(), "w");
    PEM_write_PrivateKey(out, key, nullptr, nullptr, 0, nullptr, nullptr);
    std::fclose(out);
  }

  std::string directory_;
  EVP_PKEY* key_;
  X509* certificate_;
};

/// A collector's TLS: NAME.pem and NAME.key of the directory; where `clients` is given, those it has signed.
inline std::shared_ptr<SSL_CTX> server_tls(const Authority& a, const std::string& name,
                                           const std::string& clients = "", int most = TLS1_3_VERSION) {
  std::shared_ptr<SSL_CTX> c(SSL_CTX_new(TLS_server_method()), SSL_CTX_free);
  SSL_CTX_set_min_proto_version(c.get(), TLS1_VERSION);
  SSL_CTX_set_security_level(c.get(), 0);  // what the test wants, however old
  SSL_CTX_set_max_proto_version(c.get(), most);
  if (SSL_CTX_use_certificate_chain_file(c.get(), a.file(name + ".pem").c_str()) != 1 ||
      SSL_CTX_use_PrivateKey_file(c.get(), a.file(name + ".key").c_str(), SSL_FILETYPE_PEM) != 1)
    throw std::runtime_error("no TLS");
  if (!clients.empty()) {
    SSL_CTX_load_verify_file(c.get(), a.file(clients + ".pem").c_str());
    SSL_CTX_set_verify(c.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  }
  return c;
}

}  // namespace culvert::logging::test
