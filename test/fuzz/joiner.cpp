#include "joiner.h"

namespace culvert::fuzz {
namespace {

constexpr size_t kIpv6 = 40;

/// A piece, taken apart.
struct Parts {
  std::string key;
  Bytes headers, payload;
  size_t offset = 0;
  bool more = false;
  uint8_t protocol = 0;
};

Bytes slice(const Bytes& b, size_t from, size_t to) {
  return {b.begin() + static_cast<long>(from), b.begin() + static_cast<long>(to)};
}

std::string text(const Bytes& b, size_t from, size_t to) {
  return {b.begin() + static_cast<long>(from), b.begin() + static_cast<long>(to)};
}

/// False: it is whole.
bool take_apart(const Bytes& p, Parts& out) {
  if (p[0] >> 4 == 6 && p[6] == 44) {
    if (p.size() < kIpv6 + 8) return true;  // no room for what it says it has: no payload, refused below
    out.key = text(p, 8, kIpv6);
    for (size_t i = kIpv6 + 4; i < kIpv6 + 8; i++) out.key.push_back(static_cast<char>(p[i]));
    out.headers = slice(p, 0, kIpv6);
    out.headers[6] = out.protocol = p[kIpv6];
    const uint16_t place = get16(p, kIpv6 + 2);
    out.offset = place & 0xfff8u;
    out.more = (place & 1) != 0;
    out.payload = slice(p, kIpv6 + 8, p.size());
    return true;
  }
  size_t ip = 0;
  if (p[0] >> 4 == 6) {
    if (p[6] != 4) return false;
    ip = kIpv6;
  }
  const uint16_t place = get16(p, ip + 6);
  if ((place & 0x3fff) == 0) return false;
  const size_t header = size_t{4} * (p[ip] & 15);
  out.key = text(p, 0, 1);
  if (ip != 0) out.key = text(p, 8, kIpv6);
  for (size_t i : {4u, 5u, 9u, 12u, 13u, 14u, 15u, 16u, 17u, 18u, 19u})
    out.key.push_back(static_cast<char>(p[ip + i]));
  out.headers = slice(p, 0, ip + header);
  put16(out.headers, ip + 6, place & 0xc000u);
  out.protocol = p[ip + 9];
  out.offset = size_t{8} * (place & 0x1fff);
  out.more = (place & 0x2000) != 0;
  out.payload = slice(p, ip + header, p.size());
  return true;
}

/// The headers that say how long the packet is; `headers`: the bytes of the joined one and those before it.
void set_length(Bytes& b, size_t headers) {
  if (b[0] >> 4 == 6) put16(b, 4, b.size() - kIpv6);
  if (headers == kIpv6 && b[0] >> 4 == 6) return;
  const size_t ip = b[0] >> 4 == 6 ? kIpv6 : 0;
  put16(b, ip + 2, b.size() - ip);
  put16(b, ip + 10, 0);
  put16(b, ip + 10, static_cast<uint16_t>(~internet_sum(std::span(b).subspan(ip, headers - ip))));
}

}  // namespace

std::string Joiner::add(const Bytes& packet, std::vector<Bytes>& whole) {
  Parts part;
  if (!take_apart(packet, part)) {
    whole.push_back(packet);
    return {};
  }
  if (part.payload.empty()) return "a fragment without payload";
  if (part.more && part.payload.size() % 8 != 0) return "a fragment of a length that cannot be joined";
  if (part.offset == 0 && !part.more) return "an atomic fragment (RFC 6946)";
  if (part.offset + part.payload.size() > 65'535) return "a fragment that lies behind the end of any packet";
  Datagram& d = open_[part.key];
  if (!d.pieces.empty() && d.protocol != part.protocol) return "fragments that differ in protocol";
  d.protocol = part.protocol;
  if (part.offset == 0) d.headers = part.headers;
  if (!d.pieces.emplace(part.offset, Piece{part.payload, part.more}).second) return "a fragment twice";

  Bytes joined = d.headers;
  size_t end = 0;
  bool more = true;
  for (const auto& [offset, piece] : d.pieces) {
    if (!more || offset < end) return "fragments that overlap";
    if (offset > end) return {};
    append(joined, piece.payload);
    end += piece.payload.size();
    more = piece.more;
  }
  if (more) return {};
  const size_t headers = d.headers.size();
  open_.erase(part.key);
  if (end + headers > 65'535 + (joined[0] >> 4 == 6 ? kIpv6 : 0)) return "fragments of more than a packet";
  set_length(joined, headers);
  return add(joined, whole);
}

}  // namespace culvert::fuzz
