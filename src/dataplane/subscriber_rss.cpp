#include "dataplane/subscriber_rss.h"

#include <fmt/format.h>

#include <algorithm>

#include "net/mapped.h"

namespace culvert::dataplane {
namespace {

/// Primitive polynomials of degree 1 to 12 without their highest term: bit i stands for x^i.
constexpr uint16_t kPrimitive[] = {0,    0b1,   0b11,  0b11,  0b11,  0b101,    0b11,
                                   0b11, 0x01d, 0x011, 0x009, 0b101, 0b1010011};

/// 1/P(x) as a power series: t0 = 1, t(n) = the sum of p(i) t(n-i).
std::vector<bool> impulse_response(unsigned degree, size_t length) {
  const uint32_t p = kPrimitive[degree] | 1u << degree;
  std::vector<bool> t(length);
  for (size_t n = 0; n < length; n++) {
    bool v = n == 0;
    for (unsigned i = 1; i <= degree && i <= n; i++) v ^= ((p >> i) & 1) != 0 && t[n - i];
    t[n] = v;
  }
  return t;
}

/// How many bits of the input, from its start, a NIC may hash: source, destination and ports, or the source.
constexpr unsigned input_bits(unsigned address_bits, bool source_only) {
  return source_only ? address_bits : 2 * address_bits + 32;
}

void shorten(std::optional<uint8_t>& mask, uint8_t by) { mask = std::min(mask.value_or(by), by); }

bool keeps(const std::optional<uint8_t>& cut, const std::optional<uint8_t>& mask) {
  return !mask || !cut || *mask >= *cut;
}

}  // namespace

SubscriberMasks shortest_masks(const config::Config& config) {
  SubscriberMasks masks;
  for (const auto& instance : config.instances) {
    for (const auto& m : instance.subscribers_ipv4) shorten(masks.ipv4, m.mask);
    for (const auto& m : instance.subscribers_ipv6) shorten(masks.ipv6, m.mask);
  }
  return masks;
}

SubscriberRss::SubscriberRss(const SubscriberMasks& masks, unsigned reta_bits, bool source_only)
    : reta_bits_(std::clamp(reta_bits, 1u, kMostRetaBits)) {
  // Both families if one key serves both, else the one with the softwires and translated hosts.
  if (!lay(masks, source_only) && !lay({std::nullopt, masks.ipv6}, source_only))
    lay({masks.ipv4, std::nullopt}, source_only);
  const unsigned first_bit = 32 - reta_bits_;
  for (unsigned byte = 0; byte < 16; byte++) {
    for (unsigned value = 0; value < 256; value++) {
      for (unsigned bit = 0; bit < 8; bit++) {
        if ((value & (0x80u >> bit)) == 0) continue;
        uint32_t window = 0;
        for (unsigned j = 0; j < reta_bits_; j++)
          window = window << 1 | bits_[byte * 8 + bit + first_bit + j];
        adds_[byte][value] ^= static_cast<uint16_t>(window);
      }
    }
  }
}

/// Makes the key for these families. False when it does not tell the subscribers of one of them apart.
bool SubscriberRss::lay(const SubscriberMasks& masks, bool source_only) {
  const unsigned r = reta_bits_;
  const std::vector<bool> response = impulse_response(r, kKeyBits);
  bits_ = {};
  steered_ = {};
  struct Family {
    const std::optional<uint8_t>& mask;
    unsigned input;
  } families[] = {{masks.ipv6, input_bits(128, source_only)}, {masks.ipv4, input_bits(32, source_only)}};
  const auto clear = [&](const Family& f) {
    if (f.mask) std::fill(bits_.begin() + *f.mask + 32 - r, bits_.begin() + f.input + 31, false);
  };
  for (const Family& f : families) {
    if (!f.mask) continue;
    clear(f);
    for (unsigned last = *f.mask + 31 - r, i = 0; i <= last; i++) bits_[last - i] = response[i];
  }
  for (const Family& f : families) clear(f);

  // The last r bits before the mask must reach every entry: their windows are linearly independent.
  for (const Family& f : families) {
    if (!f.mask) continue;
    std::array<uint32_t, kMostRetaBits> basis{};  // by highest bit
    for (unsigned p = 0; p < r; p++) {
      if (p >= *f.mask) return false;  // fewer subscribers than entries
      uint32_t window = 0;
      for (unsigned j = 0; j < r; j++) window = window << 1 | bits_[*f.mask - 1u - p + 32 - r + j];
      for (unsigned b = r; b-- > 0 && window != 0;) {
        if ((window >> b & 1) == 0) continue;
        if (basis[b] == 0) {
          basis[b] = window;
          break;
        }
        window ^= basis[b];
      }
      if (window == 0) return false;
    }
  }
  steered_ = masks;
  return masks.any();
}

std::vector<uint8_t> SubscriberRss::key(size_t bytes) const {
  std::vector<uint8_t> key(bytes);
  for (size_t i = 0; i < std::min<size_t>(kKeyBits, bytes * 8); i++)
    if (bits_[i]) key[i / 8] = static_cast<uint8_t>(key[i / 8] | 0x80u >> i % 8);
  return key;
}

size_t SubscriberRss::key_bytes() const {
  const auto last = std::find(bits_.rbegin(), bits_.rend(), true);
  return static_cast<size_t>(bits_.rend() - last + 7) / 8;
}

bool SubscriberRss::keeps(const SubscriberMasks& masks) const {
  return dataplane::keeps(steered_.ipv4, masks.ipv4) && dataplane::keeps(steered_.ipv6, masks.ipv6);
}

std::optional<uint32_t> SubscriberRss::entry(const net::Ipv6Address& source) const {
  const bool ipv4 = net::mapped_ipv4(source).has_value();
  if (ipv4 ? !steers_ipv4() : !steers_ipv6()) return std::nullopt;
  uint32_t entry = 0;
  const size_t skip = ipv4 ? net::kMappedBits / 8 : 0;
  for (size_t i = skip; i < source.bytes.size(); i++) entry ^= adds_[i - skip][source.bytes[i]];
  return entry;
}

std::string SubscriberRss::text() const {
  std::string text;
  if (steered_.ipv6) text = fmt::format("IPv6 sources by /{}", *steered_.ipv6);
  if (steered_.ipv4)
    text += fmt::format("{}IPv4 sources by /{}", text.empty() ? "" : " and ", *steered_.ipv4);
  return text;
}

}  // namespace culvert::dataplane
