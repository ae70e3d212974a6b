#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>

#include "logging/export/byte_stream.h"
#include "net/address.h"

namespace culvert::logging {
namespace {

/// What OpenSSL says of the last error of this thread, in words.
std::string openssl_error() {
  const unsigned long code = ERR_get_error();
  ERR_clear_error();
  const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  return reason != nullptr ? reason : code != 0 ? std::strerror(ERR_GET_REASON(code)) : "unknown error";
}

struct Free {
  void operator()(SSL_CTX* p) const { SSL_CTX_free(p); }
  void operator()(SSL* p) const { SSL_free(p); }
};

/// RFC 5425 §4.2, §5: the collector proves who it is by a certificate; ours is for it to ask.
class TlsStream : public ByteStream {
 public:
  TlsStream(int fd, const ExportConfig& config) : fd_(fd), context_(SSL_CTX_new(TLS_client_method())) {
    require(context_ != nullptr, "TLS cannot be used");
    SSL_CTX* c = context_.get();
    SSL_CTX_set_min_proto_version(c, TLS1_2_VERSION);
    // Bytes that were not taken may lie elsewhere at the next attempt. Keys are not renegotiated.
    SSL_CTX_set_mode(c, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_options(c, SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_verify(c, SSL_VERIFY_PEER, nullptr);
    require(SSL_CTX_load_verify_file(c, config.ca_file.c_str()) == 1, config.ca_file);
    // A key with a passphrase is an error: nobody is there to be asked.
    SSL_CTX_set_default_passwd_cb(c, [](char*, int, int, void*) { return -1; });
    if (!config.certificate_file.empty()) {
      require(SSL_CTX_use_certificate_chain_file(c, config.certificate_file.c_str()) == 1,
              config.certificate_file);
      require(SSL_CTX_use_PrivateKey_file(c, config.private_key_file.c_str(), SSL_FILETYPE_PEM) == 1,
              config.private_key_file);
    }
    ssl_.reset(SSL_new(c));
    require(ssl_ != nullptr && SSL_set_fd(ssl_.get(), fd) == 1, "TLS cannot be used");
    expect_name(config.server_name.empty() ? config.address : config.server_name);
    SSL_set_connect_state(ssl_.get());
  }

  Result begin() override {
    forget_errors();
    return result(SSL_do_handshake(ssl_.get()));
  }
  Result write(const char* data, size_t size, size_t& n) override {
    forget_errors();
    return result(SSL_write_ex(ssl_.get(), data, size, &n));
  }
  Result read(char* data, size_t size, size_t& n) override {
    forget_errors();
    return result(SSL_read_ex(ssl_.get(), data, size, &n));
  }
  void end_writing() override {
    forget_errors();
    SSL_shutdown(ssl_.get());
    shutdown(fd_, SHUT_WR);
  }

 private:
  /// Others' errors in this thread must not look like ours.
  static void forget_errors() {
    ERR_clear_error();
    errno = 0;
  }

  void require(bool good, const std::string& what) {
    if (!good) throw std::runtime_error(what + ": " + openssl_error());
  }

  /// The name or address that the certificate must be for (RFC 5425 §5.2).
  void expect_name(const std::string& name) {
    X509_VERIFY_PARAM* verify = SSL_get0_param(ssl_.get());
    if (net::Ipv4Address::parse(name) || net::Ipv6Address::parse(name)) {
      require(X509_VERIFY_PARAM_set1_ip_asc(verify, name.c_str()) == 1, name);
    } else {
      X509_VERIFY_PARAM_set_hostflags(verify, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
      require(X509_VERIFY_PARAM_set1_host(verify, name.data(), name.size()) == 1 &&
                  SSL_set_tlsext_host_name(ssl_.get(), name.c_str()) == 1,
              name);
    }
  }

  Result result(int returned) {
    if (returned == 1) return Result::done;
    const int system_error = errno;
    switch (SSL_get_error(ssl_.get(), returned)) {
      case SSL_ERROR_WANT_READ:
        return Result::want_read;
      case SSL_ERROR_WANT_WRITE:
        return Result::want_write;
      case SSL_ERROR_ZERO_RETURN:
        return Result::ended;
      case SSL_ERROR_SYSCALL:
        error_ = std::string("TLS: ") +
                 (system_error == 0 ? "ended by the collector" : std::strerror(system_error));
        return Result::failed;
      default:
        break;
    }
    const long verified = SSL_get_verify_result(ssl_.get());
    const std::string reason = openssl_error();
    error_ = "TLS: " + reason;
    if (verified != X509_V_OK) (error_ += ": ") += X509_verify_cert_error_string(verified);
    return Result::failed;
  }

  int fd_;
  std::unique_ptr<SSL_CTX, Free> context_;
  std::unique_ptr<SSL, Free> ssl_;
};

}  // namespace

std::unique_ptr<ByteStream> make_tls_stream(int fd, const ExportConfig& config) {
  ERR_clear_error();
  return std::make_unique<TlsStream>(fd, config);
}

}  // namespace culvert::logging
