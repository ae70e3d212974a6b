#include "net/icmp_translation.h"

#include <algorithm>
#include <array>

#include "net/headers.h"

namespace culvert::net {
namespace {

constexpr uint8_t kNone = 0xff;

/// RFC 7915 §4.2, figure 3.
constexpr std::array<uint8_t, 20> kPointer4to6 = {0,     1,     4, 4, kNone, kNone, kNone, kNone, 7,  6,
                                                  kNone, kNone, 8, 8, 8,     8,     24,    24,    24, 24};

/// RFC 7915 §5.2, figure 6.
constexpr uint8_t pointer_6_to_4(uint32_t pointer) {
  constexpr std::array<uint8_t, 8> kFirst = {0, 1, kNone, kNone, 2, 2, 9, 8};
  if (pointer < 8) return kFirst[pointer];
  if (pointer < 24) return 12;
  return pointer < 40 ? 16 : kNone;
}

/// The largest plateau below the length of a packet that was too big (RFC 1191 §7.1).
uint32_t plateau(unsigned length) {
  for (uint32_t p : {32000u, 17914u, 8166u, 4352u, 2002u, 1492u, 1006u, 508u, 296u})
    if (p < length) return p;
  return 68;
}

}  // namespace

std::optional<IcmpError> icmp4_to_icmp6(const IcmpError& e, unsigned inner_length, const TranslatorMtu& mtu) {
  switch (e.type) {
    case kIcmpUnreachable:
      switch (e.code) {
        case 0:
        case 1:
        case 5:
        case 6:
        case 7:
        case 8:
        case 11:
        case 12:
          return IcmpError{kIcmp6Unreachable, 0};
        case 2:
          return IcmpError{kIcmp6ParameterProblem, 1, 6};  // points at Next Header
        case 3:
          return IcmpError{kIcmp6Unreachable, 4};
        case 4: {
          const uint32_t announced = e.mtu != 0 ? e.mtu : plateau(inner_length);
          const uint32_t m = std::min({announced + 20, mtu.ipv6, mtu.ipv4 + 20});
          return IcmpError{kIcmp6PacketTooBig, 0, 0, std::max(m, 1280u)};
        }
        case 9:
        case 10:
        case 13:
        case 15:
          return IcmpError{kIcmp6Unreachable, 1};
        default:
          return std::nullopt;
      }
    case kIcmpTimeExceeded:
      return IcmpError{kIcmp6TimeExceeded, e.code};
    case kIcmpParameterProblem:
      if (e.code != 0 && e.code != 2) return std::nullopt;
      if (e.pointer >= kPointer4to6.size() || kPointer4to6[e.pointer] == kNone) return std::nullopt;
      return IcmpError{kIcmp6ParameterProblem, 0, kPointer4to6[e.pointer]};
    default:
      return std::nullopt;
  }
}

std::optional<IcmpError> icmp6_to_icmp4(const IcmpError& e, const TranslatorMtu& mtu) {
  switch (e.type) {
    case kIcmp6Unreachable:
      switch (e.code) {
        case 0:
        case 2:
        case 3:
          return IcmpError{kIcmpUnreachable, 1};
        case 1:
          return IcmpError{kIcmpUnreachable, 10};
        case 4:
          return IcmpError{kIcmpUnreachable, 3};
        default:
          return std::nullopt;
      }
    case kIcmp6PacketTooBig: {
      const uint32_t announced = std::max(e.mtu, 1280u);
      return IcmpError{kIcmpUnreachable, 4, 0, std::min({announced - 20, mtu.ipv4, mtu.ipv6 - 20})};
    }
    case kIcmp6TimeExceeded:
      return IcmpError{kIcmpTimeExceeded, e.code};
    case kIcmp6ParameterProblem:
      if (e.code == 1) return IcmpError{kIcmpUnreachable, 2};
      if (e.code != 0 || pointer_6_to_4(e.pointer) == kNone) return std::nullopt;
      return IcmpError{kIcmpParameterProblem, 0, pointer_6_to_4(e.pointer)};
    default:
      return std::nullopt;
  }
}

}  // namespace culvert::net
