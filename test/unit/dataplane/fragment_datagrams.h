// Datagrams with random headers and options, and their pieces as packets that come along: made byte by byte,
// without the code that is tested.
#pragma once

#include <random>

#include "fragment_bench.h"

namespace culvert::test {

constexpr unsigned kIpv6 = 40, kFragmentHeader = 8, kExtension = 8;

inline unsigned be16(const uint8_t* p) { return unsigned{p[0]} << 8 | p[1]; }
inline void put16(uint8_t* p, unsigned v) {
  p[0] = static_cast<uint8_t>(v >> 8);
  p[1] = static_cast<uint8_t>(v);
}
/// RFC 1071, as it is written there.
inline unsigned checksum(const uint8_t* p, unsigned size) {
  uint32_t sum = 0;
  for (unsigned i = 0; i < size; i += 2) sum += be16(p + i);
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return ~sum & 0xffff;
}

/// A datagram, and what its header looks like in pieces that are not the first.
struct Datagram {
  Bytes bytes;
  unsigned header;
  Bytes later_options;
};

inline Bytes random_bytes(unsigned n, std::mt19937& random) {
  Bytes bytes(n);
  for (auto& b : bytes) b = static_cast<uint8_t>(random());
  return bytes;
}

/// Options that fill `size` bytes, and the same as they stand in later pieces.
inline void add_options(Datagram& d, unsigned size, std::mt19937& random) {
  while (size > 0) {
    const unsigned what = random() % 4;
    const auto kind = static_cast<uint8_t>(random() % 254 + 2);
    if (what == 0) {  // the rest is padding
      const Bytes end(size, 0);
      d.bytes.insert(d.bytes.end(), end.begin(), end.end());
      d.later_options.insert(d.later_options.end(), end.begin(), end.end());
      return;
    }
    if (what == 1 || size < 2) {
      d.bytes.push_back(1);
      d.later_options.push_back(1);
      size--;
      continue;
    }
    const unsigned length = 2 + static_cast<unsigned>(random()) % std::min(size - 1, 11u);
    Bytes option = random_bytes(length, random);
    option[0] = kind;
    option[1] = static_cast<uint8_t>(length);
    d.bytes.insert(d.bytes.end(), option.begin(), option.end());
    if (kind < 128) option.assign(length, 1);  // RFC 791 §3.1: the copied flag is the first bit
    d.later_options.insert(d.later_options.end(), option.begin(), option.end());
    size -= length;
  }
}

inline Datagram ipv4_datagram(unsigned payload, unsigned options, bool dont_fragment, std::mt19937& random) {
  Datagram d{random_bytes(20, random), 20 + options, {}};
  d.bytes[0] = static_cast<uint8_t>(0x40 | (d.header / 4));
  put16(&d.bytes[6], dont_fragment ? 0x4000 : 0);
  add_options(d, options, random);
  put16(&d.bytes[2], d.header + payload);
  put16(&d.bytes[10], 0);
  put16(&d.bytes[10], checksum(d.bytes.data(), d.header));
  const Bytes data = random_bytes(payload, random);
  d.bytes.insert(d.bytes.end(), data.begin(), data.end());
  return d;
}

inline Datagram ipv6_datagram(unsigned payload, std::mt19937& random) {
  Datagram d{random_bytes(kIpv6, random), kIpv6, {}};
  d.bytes[0] = static_cast<uint8_t>(0x60 | (d.bytes[0] & 15));
  d.bytes[6] = 17;
  put16(&d.bytes[4], payload);
  const Bytes data = random_bytes(payload, random);
  d.bytes.insert(d.bytes.end(), data.begin(), data.end());
  return d;
}

/// The piece as it comes along, as Fragment and bytes.
struct Arrival {
  Bytes bytes;
  Fragment fragment{};
};

/// What headers but the first piece's say is not heard (RFC 791 §3.2, RFC 8200 §4.5). `plain`: this piece has
/// neither options nor extension headers, whatever the others have.
inline Arrival arrive(Bytes piece, Kind kind, bool extension, bool first, bool plain = false) {
  Arrival a;
  if (plain) {
    extension = false;
    if (kind != Kind::ipv6) {
      piece.erase(piece.begin() + 20, piece.begin() + (piece[0] & 15) * 4);
      piece[0] = 0x45;
    }
  }
  Fragment& f = a.fragment;
  if (!first) piece[kind == Kind::ipv6 ? 7 : 8] ^= 0x55;
  f.size = static_cast<unsigned>(piece.size());
  f.ecn = (kind == Kind::ipv6 ? piece[1] >> 4 : piece[1]) & 3;
  if (kind == Kind::ipv6) {
    if (!first) piece[kIpv6] = 99;
    f.offset = be16(&piece[kIpv6 + 2]) & 0xfff8;
    f.more = (piece[kIpv6 + 3] & 1) != 0;
    if (extension) {  // hop-by-hop options stand before the fragment header
      piece[6] = 0;
      piece.insert(piece.begin() + kIpv6, {44, 0, 1, 4, 0, 0, 0, 0});
      f.size += kExtension;
    }
    f.headers = kIpv6 + (extension ? kExtension : 0) + kFragmentHeader;
  } else {
    const unsigned header = (piece[0] & 15u) * 4;
    f.offset = (be16(&piece[6]) & 0x1fff) * 8;
    f.more = (piece[6] & 0x20) != 0;
    if (kind == Kind::softwire_inner) {
      const auto hop_limit = static_cast<uint8_t>(first ? 64 : 3);
      Bytes outer(kIpv6, 0xfd);
      outer[0] = 0x60;
      outer[1] = 0x0d;
      outer[6] = extension ? 60 : 4;
      outer[7] = hop_limit;
      if (extension) outer.insert(outer.end(), {4, 0, 1, 4, 0, 0, 0, 0});
      put16(&outer[4], static_cast<unsigned>(outer.size() - kIpv6 + piece.size()));
      f.header = static_cast<unsigned>(outer.size());
      piece.insert(piece.begin(), outer.begin(), outer.end());
    }
    f.headers = f.header + header;
  }
  f.length = static_cast<unsigned>(piece.size()) - f.headers;
  a.bytes = std::move(piece);
  return a;
}

}  // namespace culvert::test
