/// Writing and reading the ledger's numbers (docs/ledger.md, "Numbers"). A ByteReader never reads past its
/// end: what is not there, or is not well formed, makes it bad, and a bad reader gives zeros for ever, so
/// that a caller may look once, behind a whole record.
///
/// Values; any thread.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace culvert::logging::ledger {

constexpr uint64_t zigzag(int64_t n) {
  return static_cast<uint64_t>(n) << 1 ^ static_cast<uint64_t>(n >> 63);
}
constexpr int64_t unzigzag(uint64_t n) { return static_cast<int64_t>(n >> 1 ^ (0 - (n & 1))); }

/// Bytes of a varint.
constexpr size_t varint_size(uint64_t n) { return (static_cast<size_t>(std::bit_width(n | 1)) + 6) / 7; }

/// Appends to a string of bytes, which the caller owns.
class ByteWriter {
 public:
  explicit ByteWriter(std::string& out) : out_(out) {}

  void byte(uint8_t b) { out_.push_back(static_cast<char>(b)); }
  void bytes(std::string_view b) { out_.append(b); }
  void bytes(const void* b, size_t n) { out_.append(static_cast<const char*>(b), n); }
  /// Least significant byte first, as all fixed-size integers of the format.
  template <typename T>
  void fixed(T n) {
    for (size_t i = 0; i < sizeof n; i++) byte(static_cast<uint8_t>(n >> (8 * i)));
  }
  /// Three bytes; `n` is below 2^24.
  void fixed24(uint32_t n) {
    fixed(static_cast<uint16_t>(n));
    byte(static_cast<uint8_t>(n >> 16));
  }
  void varint(uint64_t n) {
    for (; n >= 0x80; n >>= 7) byte(static_cast<uint8_t>(n | 0x80));
    byte(static_cast<uint8_t>(n));
  }
  void signed_varint(int64_t n) { varint(zigzag(n)); }
  void text(std::string_view t) {
    varint(t.size());
    bytes(t);
  }

 private:
  std::string& out_;
};

class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes)
      : at_(reinterpret_cast<const uint8_t*>(bytes.data())), end_(at_ + bytes.size()) {}

  bool good() const { return good_; }
  bool done() const { return at_ == end_; }
  size_t left() const { return static_cast<size_t>(end_ - at_); }
  void fail() {
    good_ = false;
    at_ = end_;
  }

  uint8_t byte() {
    if (at_ == end_) return fail(), uint8_t{0};
    return *at_++;
  }
  std::string_view bytes(uint64_t n) {
    if (n > left()) return fail(), std::string_view();
    at_ += n;
    return {reinterpret_cast<const char*>(at_ - n), static_cast<size_t>(n)};
  }
  template <typename T, size_t kBytes = sizeof(T)>
  T fixed() {
    const std::string_view b = bytes(kBytes);
    T n = 0;
    for (size_t i = 0; i < b.size(); i++)
      n |= static_cast<T>(static_cast<T>(static_cast<uint8_t>(b[i])) << (8 * i));
    return n;
  }
  uint32_t fixed24() { return fixed<uint32_t, 3>(); }
  /// Bad where it has more than 64 bits.
  uint64_t varint() {
    uint64_t n = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      const uint8_t b = byte();
      if (shift == 63 && b > 1) break;
      n |= uint64_t{b & 0x7fu} << shift;
      if ((b & 0x80) == 0) return good_ ? n : 0;
    }
    fail();
    return 0;
  }
  int64_t signed_varint() { return unzigzag(varint()); }
  std::string_view text() { return bytes(varint()); }

 private:
  const uint8_t *at_, *end_;
  bool good_ = true;
};

}  // namespace culvert::logging::ledger
