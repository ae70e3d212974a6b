#include "cutter.h"

#include <functional>
#include <utility>

namespace culvert::fuzz {
namespace {

constexpr size_t kIpv6 = 40, kFragment = 8;

/// More pieces than the box lets one datagram have, so that this is tried too.
constexpr size_t kMostPieces = 130;

/// Where the header is that is cut, and where its payload begins.
struct Place {
  size_t ip, payload;
};

std::optional<Place> place_of(const Bytes& p, bool inner) {
  if (p.empty()) return {};
  size_t ip = 0;
  if (p[0] >> 4 == 6) {
    if (p.size() <= kIpv6) return {};
    if (!inner) return Place{0, kIpv6};
    if (p[6] != 4) return {};
    ip = kIpv6;
  }
  if (p.size() <= ip + 20 || p[ip] >> 4 != 4) return {};
  const size_t header = size_t{4} * (p[ip] & 15);
  if (header < 20 || p.size() <= ip + header) return {};
  return Place{ip, ip + header};
}

/// The piece of `length` bytes at `offset`.
Bytes piece(const Bytes& p, const Place& at, uint32_t id, size_t offset, size_t length, bool more) {
  Bytes b(p.begin(), p.begin() + static_cast<long>(at.payload));
  if (p[at.ip] >> 4 == 6) {
    Bytes header(kFragment, 0);
    header[0] = std::exchange(b[6], uint8_t{44});
    put16(header, 2, offset | (more ? 1 : 0));
    put16(header, 4, id >> 16);
    put16(header, 6, id);
    append(b, header);
  } else {
    const unsigned kept = get16(b, at.ip + 6) & 0x4000u;  // DF
    put16(b, at.ip + 4, id);
    put16(b, at.ip + 6, kept | (more ? 0x2000u : 0u) | offset / 8);
  }
  const uint8_t* from = p.data() + at.payload + offset;
  append(b, {from, length});
  repair(b);
  return b;
}

std::vector<Bytes> cut_at(const Bytes& p, const Place& at, uint32_t id,
                          const std::function<size_t(size_t)>& size) {
  std::vector<Bytes> all;
  const size_t whole = p.size() - at.payload;
  const size_t least = (whole / kMostPieces / 8 + 1) * 8;
  const size_t most = (kMostPiece - at.payload - kFragment) & ~size_t{7};
  for (size_t offset = 0; offset < whole;) {
    const size_t length = std::min(std::clamp(size(all.size()), least, most), whole - offset);
    all.push_back(piece(p, at, id, offset, length, offset + length < whole));
    offset += length;
  }
  return all;
}

/// Where a piece of ours says its place; nullopt when it has been spoilt beyond that.
std::optional<size_t> place_field(const Bytes& p) {
  if (p.size() >= kIpv6 + kFragment && p[0] >> 4 == 6 && p[6] == 44) return kIpv6 + 2;
  const size_t ip = !p.empty() && p[0] >> 4 == 6 ? kIpv6 : 0;
  if (p.size() < ip + 20) return {};
  return ip + 6;
}

/// One fault. True when the datagram may now say something else.
bool spoil(std::vector<Bytes>& pieces, Input& in) {
  const uint8_t kind = in.byte();
  const size_t which = in.byte() % pieces.size();
  const uint16_t value = in.word();
  Bytes& p = pieces[which];
  const auto field = place_field(p);
  switch (kind % 8) {
    case 0:  // it comes twice
      pieces.insert(pieces.begin() + value % static_cast<long>(pieces.size() + 1), Bytes(p));
      return false;
    case 1:  // it never comes
      if (pieces.size() > 1) pieces.erase(pieces.begin() + static_cast<long>(which));
      return false;
    case 2:  // it comes again, a little elsewhere: an overlap
      if (field) {
        Bytes other = p;
        put16(other, *field, get16(other, *field) ^ (8u << value % 3));
        repair(other);
        pieces.insert(pieces.begin() + value % static_cast<long>(pieces.size() + 1), other);
      }
      return true;
    case 3:  // it lies about its place
      if (field) put16(p, *field, (get16(p, *field) & 0xe007u) | (value & 0x1ff8u));
      break;
    case 4:  // it lies about whether it is the last
      if (field) put16(p, *field, get16(p, *field) ^ (*field == kIpv6 + 2 ? 1u : 0x2000u));
      break;
    case 5:  // its end is missing
      p.resize(p.size() - std::min<size_t>(value % 16, p.size() - 1));
      break;
    case 6:  // it has more than it should
      p.resize(std::min(kMostPiece, p.size() + value % 32), 0xee);
      break;
    default:  // another byte somewhere
      p[value % p.size()] ^= static_cast<uint8_t>(kind | 1);
      return true;  // not put right
  }
  repair(p);
  return true;
}

}  // namespace

std::vector<Bytes> cut_evenly(const Bytes& packet, uint32_t id, size_t chunk, bool inner) {
  const auto at = place_of(packet, inner);
  if (!at) return {};
  return cut_at(packet, *at, id, [=](size_t) { return chunk; });
}

Pieces cut(const Bytes& packet, uint32_t id, Input& in) {
  Pieces out;
  const uint8_t how = in.byte(), base = in.byte(), vary = in.byte(), order = in.byte();
  const unsigned faults = in.byte() % 4;
  out.in_bursts = (how & 4) == 0;
  const auto size = [=](size_t i) {
    return 8 * (size_t{1} + base + (vary == 0 ? 0 : mixed(i * 256 + vary) % vary));
  };
  // An IPv4 packet of 65,515 bytes and more does not fit the softwire's outer packet either.
  const bool inner = (how & 3) == 1 || (how & 3) == 2 || packet.size() > 65'535 + kIpv6;
  if (const auto at = place_of(packet, inner))
    out.packets = cut_at(packet, *at, id, size);
  else if (const auto outer = place_of(packet, false))
    out.packets = cut_at(packet, *outer, id, size);
  if (out.packets.empty()) {
    out.packets = {packet};
    out.packets.front().resize(std::min(packet.size(), kMostPiece));
    return out;
  }
  if ((how & 3) == 2 && packet[0] >> 4 == 6) {
    const Bytes first = out.packets.front();
    if (const auto again = place_of(first, false); again && first[6] == 4) {
      auto pieces = cut_at(first, *again, id ^ 0x10000, [&](size_t i) { return size(i) / 16 * 8; });
      out.packets.erase(out.packets.begin());
      out.packets.insert(out.packets.begin(), pieces.begin(), pieces.end());
    }
  }
  if (order == 1) std::reverse(out.packets.begin(), out.packets.end());
  for (size_t i = out.packets.size(); order > 1 && i > 1; i--)
    std::swap(out.packets[i - 1], out.packets[mixed(i * 256 + order) % i]);
  for (unsigned i = 0; i < faults; i++)
    if (spoil(out.packets, in)) out.altered = true;
  if ((how & 8) != 0) out.later = 1 + mixed(order) % out.packets.size();
  return out;
}

}  // namespace culvert::fuzz
