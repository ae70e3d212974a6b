// Every row of the ICMP tables of RFC 7915: §4.2 with figure 3, §5.2 with figure 6.
#include "net/icmp_translation.h"

#include <catch2/catch.hpp>
#include <map>

#include "net/headers.h"

using namespace culvert::net;

namespace {

struct Target {
  uint8_t type, code;
  bool operator==(const Target&) const = default;
};
using Table = std::map<std::pair<unsigned, unsigned>, Target>;

const TranslatorMtu kMtu{1500, 1500};

}  // namespace

TEST_CASE("RFC 7915 section 4.2: ICMPv4 errors to ICMPv6", "[net][icmp]") {
  const Table rows = {
      {{3, 0}, {1, 0}},  {{3, 1}, {1, 0}},  {{3, 2}, {4, 1}},  {{3, 3}, {1, 4}},  {{3, 4}, {2, 0}},
      {{3, 5}, {1, 0}},  {{3, 6}, {1, 0}},  {{3, 7}, {1, 0}},  {{3, 8}, {1, 0}},  {{3, 9}, {1, 1}},
      {{3, 10}, {1, 1}}, {{3, 11}, {1, 0}}, {{3, 12}, {1, 0}}, {{3, 13}, {1, 1}}, {{3, 15}, {1, 1}},
      {{11, 0}, {3, 0}}, {{11, 1}, {3, 1}}, {{12, 0}, {4, 0}}, {{12, 2}, {4, 0}},
  };
  // 3/14 (host precedence violation), 12/1 (missing option) and all other types are dropped: not in the
  // table.
  for (unsigned type = 0; type < 256; type++) {
    for (unsigned code = 0; code < 256; code++) {
      if (type == 11 && code > 1) continue;  // no such code; the RFC leaves the code unchanged
      INFO("type " << type << " code " << code);
      const auto got =
          icmp4_to_icmp6({static_cast<uint8_t>(type), static_cast<uint8_t>(code), 0, 1400}, 1500, kMtu);
      const auto row = rows.find({type, code});
      if ((row == rows.end()) != !got) FAIL("translated and should not be, or the other way round");
      if (row != rows.end() && !(Target{got->type, got->code} == row->second)) FAIL("wrong type or code");
    }
  }
  CHECK(icmp4_to_icmp6({3, 2}, 100, kMtu)->pointer == 6);  // points at Next Header
}

TEST_CASE("RFC 7915 figure 3: pointers from IPv4 to IPv6", "[net][icmp]") {
  const std::map<unsigned, unsigned> rows = {{0, 0},   {1, 1},   {2, 4},   {3, 4},  {8, 7},
                                             {9, 6},   {12, 8},  {13, 8},  {14, 8}, {15, 8},
                                             {16, 24}, {17, 24}, {18, 24}, {19, 24}};
  for (unsigned pointer = 0; pointer < 256; pointer++) {
    INFO("pointer " << pointer);
    for (uint8_t code : {0, 2}) {
      const auto got =
          icmp4_to_icmp6({kIcmpParameterProblem, code, static_cast<uint8_t>(pointer)}, 100, kMtu);
      const auto row = rows.find(pointer);
      CHECK(got.has_value() == (row != rows.end()));
      if (got && row != rows.end()) CHECK(got->pointer == row->second);
    }
  }
}

TEST_CASE("RFC 7915 section 5.2: ICMPv6 errors to ICMPv4", "[net][icmp]") {
  const Table rows = {
      {{1, 0}, {3, 1}}, {{1, 1}, {3, 10}}, {{1, 2}, {3, 1}},  {{1, 3}, {3, 1}},  {{1, 4}, {3, 3}},
      {{2, 0}, {3, 4}}, {{3, 0}, {11, 0}}, {{3, 1}, {11, 1}}, {{4, 0}, {12, 0}}, {{4, 1}, {3, 2}},
  };
  for (unsigned type = 0; type < 256; type++) {
    for (unsigned code = 0; code < 256; code++) {
      if ((type == 3 && code > 1) || (type == 2 && code > 0))
        continue;  // no such codes; left unchanged or ignored
      INFO("type " << type << " code " << code);
      const auto got =
          icmp6_to_icmp4({static_cast<uint8_t>(type), static_cast<uint8_t>(code), 0, 1400}, kMtu);
      const auto row = rows.find({type, code});
      if ((row == rows.end()) != !got) FAIL("translated and should not be, or the other way round");
      if (row != rows.end() && !(Target{got->type, got->code} == row->second)) FAIL("wrong type or code");
    }
  }
}

TEST_CASE("RFC 7915 figure 6: pointers from IPv6 to IPv4", "[net][icmp]") {
  for (unsigned pointer = 0; pointer < 256; pointer++) {
    std::optional<unsigned> want;
    if (pointer < 2)
      want = pointer;
    else if (pointer == 4 || pointer == 5)
      want = 2;
    else if (pointer == 6)
      want = 9;
    else if (pointer == 7)
      want = 8;
    else if (pointer >= 8 && pointer < 24)
      want = 12;
    else if (pointer >= 24 && pointer < 40)
      want = 16;
    INFO("pointer " << pointer);
    const auto got = icmp6_to_icmp4({kIcmp6ParameterProblem, 0, static_cast<uint8_t>(pointer)}, kMtu);
    CHECK(got.has_value() == want.has_value());
    if (got && want) CHECK(got->pointer == *want);
  }
}

TEST_CASE("RFC 7915 section 4.2: the MTU of Fragmentation Needed grows by 20, bounded by both links",
          "[net][icmp]") {
  auto mtu = [](uint32_t announced, TranslatorMtu links, unsigned inner = 1500) {
    return icmp4_to_icmp6({3, 4, 0, announced}, inner, links)->mtu;
  };
  CHECK(mtu(1400, {1500, 1500}) == 1420);
  CHECK(mtu(1500, {1500, 1500}) == 1500);  // the IPv6 link's own
  CHECK(mtu(9000, {1400, 9000}) == 1420);  // the IPv4 link's, plus 20
  CHECK(mtu(600, {1500, 1500}) == 1280);   // never below what IPv6 guarantees
  CHECK(mtu(65535, {65535, 65535}) == 65535);
}

TEST_CASE("RFC 1191 section 7.1: routers that give no MTU, by plateau", "[net][icmp]") {
  auto mtu = [](unsigned inner) { return icmp4_to_icmp6({3, 4, 0, 0}, inner, {65535, 65535})->mtu; };
  CHECK(mtu(65535) == 32020);
  CHECK(mtu(32000) == 17934);
  CHECK(mtu(9000) == 8186);
  CHECK(mtu(8166) == 4372);
  CHECK(mtu(4000) == 2022);
  CHECK(mtu(1500) == 1512);
  CHECK(mtu(1492) == 1280);  // 1006 + 20, lifted
  CHECK(mtu(40) == 1280);
}

TEST_CASE("RFC 7915 section 5.2: the MTU of Packet Too Big shrinks by 20, bounded by both links",
          "[net][icmp]") {
  auto mtu = [](uint32_t announced, TranslatorMtu links) {
    return icmp6_to_icmp4({2, 0, 0, announced}, links)->mtu;
  };
  CHECK(mtu(1400, {1500, 1500}) == 1380);
  CHECK(mtu(1500, {1400, 1500}) == 1400);
  CHECK(mtu(9000, {9000, 1500}) == 1480);
  CHECK(mtu(100, {1500, 1500}) == 1260);  // a lie: IPv6 carries 1280 everywhere (RFC 8200 §5)
  CHECK(mtu(0xffffffff, {1500, 1500}) == 1480);
}
