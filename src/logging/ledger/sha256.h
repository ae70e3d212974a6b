/// SHA-256 (FIPS 180-4), by libcrypto.
///
/// A Sha256 belongs to one thread.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string_view>

struct evp_md_ctx_st;

namespace culvert::logging::ledger {

using Digest = std::array<uint8_t, 32>;

class Sha256 {
 public:
  /// Throws std::runtime_error where libcrypto has none (a policy of the machine may forbid it).
  Sha256();
  void add(std::string_view bytes);
  /// Of all bytes that were added. Called once, at the end.
  Digest digest();

 private:
  struct Free {
    void operator()(evp_md_ctx_st* context) const;
  };
  std::unique_ptr<evp_md_ctx_st, Free> context_;
};

}  // namespace culvert::logging::ledger
