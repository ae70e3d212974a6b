/// The fields of a record's body, written and read by one description of them (notes.h):
///
///     static void fields(auto& c, auto& n) { c.fixed(n.worker); c.varint(n.epoch); }
///
/// is called with an Encoder and a record, or with a Decoder and a record to be filled in.
///
/// Values; any thread.
#pragma once

#include <array>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

#include "logging/ledger/bytes.h"
#include "logging/ledger/format.h"
#include "net/address.h"

namespace culvert::logging::ledger {

class Encoder {
 public:
  explicit Encoder(std::string& body) : out_(body) {}

  template <typename T>
  void fixed(const T& n) {
    out_.fixed(n);
  }
  void varint(uint64_t n) { out_.varint(n); }
  void zigzag(int64_t n) { out_.signed_varint(n); }
  /// An enumeration of values 0 to `last`, in one byte; bool, too.
  template <typename E>
  void choice(E value, E) {
    out_.byte(static_cast<uint8_t>(value));
  }
  void text(const std::string& t) { out_.text(t); }
  /// An internal address: 0, 4 or 16 bytes, after their number.
  void host(const std::string& address) {
    out_.byte(static_cast<uint8_t>(address.size()));
    out_.bytes(address);
  }
  void hash(const std::array<uint8_t, 32>& h) { out_.bytes(h.data(), h.size()); }
  void address(const net::Ipv4Address& a) { out_.bytes(&a, sizeof a); }
  /// What only some records of a type have, behind all else.
  template <typename Part>
  void rest(const std::optional<Part>& part) {
    if (part) Part::fields(*this, *part);
  }
  void prefix(const net::Ipv6Address& a, uint8_t length) {
    out_.byte(length);
    out_.bytes(a.bytes.data(), (length + 7u) / 8);
  }
  /// What holds for every such record; a Decoder refuses others.
  void require(bool) {}

 private:
  ByteWriter out_;
};

class Decoder {
 public:
  explicit Decoder(std::string_view body) : in_(body) {}
  bool good() const { return in_.good(); }

  template <typename T>
  void fixed(T& n) {
    n = in_.fixed<T>();
  }
  void varint(uint64_t& n) { n = in_.varint(); }
  void zigzag(int64_t& n) {
    n = in_.signed_varint();
    require(n > -static_cast<int64_t>(kMaxTime) && n < static_cast<int64_t>(kMaxTime));
  }
  template <typename E>
  void choice(E& value, E last) {
    const uint8_t b = in_.byte();
    require(b <= static_cast<uint8_t>(last));
    if (good()) value = static_cast<E>(b);
  }
  void text(std::string& t) { t = in_.text(); }
  void host(std::string& address) {
    address = in_.bytes(in_.byte());
    require(address.empty() || address.size() == 4 || address.size() == 16);
  }
  void hash(std::array<uint8_t, 32>& h) { copy(h.data(), h.size()); }
  void address(net::Ipv4Address& a) { copy(&a, sizeof a); }
  template <typename Part>
  void rest(std::optional<Part>& part) {
    if (in_.good() && !in_.done()) Part::fields(*this, part.emplace());
  }
  void prefix(net::Ipv6Address& a, uint8_t& length) {
    length = in_.byte();
    require(length <= 128);
    a = {};
    if (good()) copy(a.bytes.data(), (length + 7u) / 8);
    require(a == a.masked(length));
  }
  void require(bool condition) {
    if (!condition) in_.fail();
  }

 private:
  void copy(void* to, size_t n) {
    const std::string_view b = in_.bytes(n);
    if (good()) std::memcpy(to, b.data(), n);
  }
  ByteReader in_;
};

/// The body of a record.
template <typename Note>
std::string encode(const Note& note) {
  std::string body;
  Encoder c(body);
  Note::fields(c, note);
  return body;
}
/// nullopt where the body is cut off or says what cannot be. What follows the known fields is left alone:
/// later versions add there.
template <typename Note>
std::optional<Note> decode(std::string_view body) {
  Note note;
  Decoder c(body);
  Note::fields(c, note);
  if (!c.good()) return std::nullopt;
  return note;
}

}  // namespace culvert::logging::ledger
