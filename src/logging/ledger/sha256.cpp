#include "logging/ledger/sha256.h"

#include <openssl/evp.h>

#include <stdexcept>

namespace culvert::logging::ledger {
namespace {

void require(int result) {
  if (result != 1) throw std::runtime_error("libcrypto cannot compute SHA-256");
}

}  // namespace

void Sha256::Free::operator()(evp_md_ctx_st* context) const { EVP_MD_CTX_free(context); }

Sha256::Sha256() : context_(EVP_MD_CTX_new()) {
  require(context_ != nullptr);
  require(EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr));
}

void Sha256::add(std::string_view bytes) {
  require(EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()));
}

Digest Sha256::digest() {
  Digest digest;
  require(EVP_DigestFinal_ex(context_.get(), digest.data(), nullptr));
  return digest;
}

}  // namespace culvert::logging::ledger
