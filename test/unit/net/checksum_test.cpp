// The incremental checksum update (RFC 1624) against computing the whole sum anew (RFC 1071).
#include "net/checksum.h"

#include <rapidcheck.h>

#include <catch2/catch.hpp>
#include <vector>

using namespace culvert::net;

namespace {

/// RFC 1071 §4.1, word by word, folded after every step: slow and plain.
uint16_t reference_sum(const std::vector<uint8_t>& bytes) {
  uint32_t sum = 0;
  for (size_t i = 0; i < bytes.size(); i += 2) {
    sum += static_cast<uint32_t>(bytes[i]) << 8 | (i + 1 < bytes.size() ? bytes[i + 1] : 0u);
    sum = (sum & 0xffff) + (sum >> 16);
  }
  return static_cast<uint16_t>(sum);
}

uint16_t word(const std::vector<uint8_t>& bytes, size_t at) {
  uint16_t raw;
  std::memcpy(&raw, &bytes[at], 2);
  return raw;
}

/// Mostly random, often at the edges where ones' complement has two zeros.
rc::Gen<uint16_t> edge_word() {
  return rc::gen::weightedOneOf<uint16_t>(
      {{3, rc::gen::arbitrary<uint16_t>()},
       {1, rc::gen::element<uint16_t>(0, 0xffff, 1, 0xfffe, 0xff00, 0x00ff)}});
}

/// Bytes that are often all zero or all one.
rc::Gen<uint8_t> edge_byte() {
  return rc::gen::weightedOneOf<uint8_t>(
      {{3, rc::gen::arbitrary<uint8_t>()}, {2, rc::gen::element<uint8_t>(0, 0xff)}});
}

}  // namespace

TEST_CASE("RFC 1071 section 3: the sum of its example", "[net][checksum]") {
  const std::vector<uint8_t> bytes = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};
  CHECK(Be16::from_raw(Sum().add_bytes(bytes.data(), bytes.size()).folded()).value() == 0xddf2);
}

TEST_CASE("A sum of bytes is the reference's for every length and alignment", "[net][checksum]") {
  CHECK(rc::check("add_bytes", [] {
    const auto bytes = *rc::gen::container<std::vector<uint8_t>>(edge_byte());
    const auto skip = *rc::gen::inRange<size_t>(0, std::min<size_t>(bytes.size(), 7) + 1);
    const std::vector<uint8_t> rest(bytes.begin() + static_cast<long>(skip), bytes.end());
    // Not copied: the data lies at any alignment.
    const uint16_t sum = Sum().add_bytes(bytes.data() + skip, bytes.size() - skip).folded();
    RC_ASSERT(Be16::from_raw(sum).value() == reference_sum(rest));
  }));
}

TEST_CASE("An odd last byte counts as the first of a word (RFC 1071)", "[net][checksum]") {
  for (size_t size : {1u, 3u, 5u, 7u}) {
    std::vector<uint8_t> bytes(size, 0);
    bytes.back() = 0xab;
    CHECK(Be16::from_raw(Sum().add_bytes(bytes.data(), size).folded()).value() == 0xab00);
  }
}

TEST_CASE("A sum is zero only when every word is", "[net][checksum]") {
  std::vector<uint8_t> bytes(64, 0);
  CHECK(Sum().add_bytes(bytes.data(), bytes.size()).folded() == 0);
  CHECK(rc::check("never zero", [] {
    auto words = *rc::gen::nonEmpty(rc::gen::container<std::vector<uint16_t>>(edge_word()));
    Sum sum;
    bool all_zero = true;
    for (uint16_t w : words) {
      sum.add(w);
      all_zero = all_zero && w == 0;
    }
    RC_ASSERT((sum.folded() == 0) == all_zero);
  }));
}

TEST_CASE("Very many words do not overflow a sum", "[net][checksum]") {
  const std::vector<uint8_t> bytes(1u << 20, 0xff);
  Sum sum;
  for (int i = 0; i < 64; i++) sum.add_bytes(bytes.data(), bytes.size());
  CHECK(sum.folded() == 0xffff);
}

TEST_CASE("RFC 1624: the incremental update equals the whole computation", "[net][checksum]") {
  CHECK(rc::check("apply_delta", [] {
    // A packet whose first word is its checksum; some of the others change.
    auto before = *rc::gen::container<std::vector<uint8_t>>(*rc::gen::inRange<size_t>(4, 80), edge_byte());
    std::memset(before.data(), 0, 2);
    RC_PRE(Sum().add_bytes(before.data(), before.size()).folded() != 0);  // a packet has a non-zero word
    const Be16 field = Sum().add_bytes(before.data(), before.size()).checksum();
    std::memcpy(before.data(), &field, 2);

    auto after = before;
    Sum delta;
    const size_t words = before.size() / 2;
    const auto changes = *rc::gen::inRange<int>(0, 6);
    for (int i = 0; i < changes; i++) {
      const size_t at = 2 * *rc::gen::inRange<size_t>(1, words);
      const uint16_t value = *edge_word();
      delta.subtract(word(after, at)).add(value);
      std::memcpy(&after[at], &value, 2);
    }
    std::memset(after.data(), 0, 2);
    const uint16_t rest = Sum().add_bytes(after.data(), after.size()).folded();
    RC_PRE(rest != 0);
    const Be16 updated = apply_delta(field, delta.folded());
    // Equal as ones'-complement numbers: 0x0000 and 0xffff are both zero, and every receiver accepts either.
    const Be16 whole = Be16::from_raw(static_cast<uint16_t>(~rest));
    const auto canonical = [](Be16 f) { return f.raw() == 0xffff ? 0 : f.raw(); };
    RC_ASSERT(canonical(updated) == canonical(whole));
    // What the receiver does (RFC 1071): the sum over everything is minus zero.
    std::memcpy(after.data(), &updated, 2);
    RC_ASSERT(Sum().add_bytes(after.data(), after.size()).folded() == 0xffff);
  }));
}

TEST_CASE("RFC 1624 section 4: the example that broke RFC 1141", "[net][checksum]") {
  // Header checksum 0xdd2f, a field changes from 0x5555 to 0x3285: the new checksum is 0x0000.
  const uint16_t delta = Sum().subtract(Be16(0x5555)).add(Be16(0x3285)).folded();
  CHECK(apply_delta(Be16(0xdd2f), delta).value() == 0x0000);
}

TEST_CASE("An inverse delta leads back", "[net][checksum]") {
  CHECK(rc::check("there and back", [] {
    const uint16_t field = *edge_word(), delta = *edge_word();
    const Be16 there = apply_delta(Be16::from_raw(field), delta);
    const Be16 back = apply_delta(there, inverse_delta(delta));
    RC_ASSERT(back.raw() % 0xffff == field % 0xffff);
  }));
}

TEST_CASE("Subtracting an address undoes adding it", "[net][checksum]") {
  CHECK(rc::check("addresses", [] {
    const Ipv4Address v4 = Ipv4Address(*rc::gen::arbitrary<uint32_t>());
    Ipv6Address v6;
    for (auto& b : v6.bytes) b = *edge_byte();
    const uint16_t w = *edge_word();
    RC_ASSERT(Sum().add(w).add(v4).subtract(v4).folded() % 0xffff == w % 0xffff);
    RC_ASSERT(Sum().add(w).add(v6).subtract(v6).folded() % 0xffff == w % 0xffff);
    RC_ASSERT(Sum().add(v4).folded() == Sum().add_bytes(&v4, 4).folded());
    RC_ASSERT(Sum().add(v6).folded() == Sum().add_bytes(&v6, 16).folded());
  }));
}

TEST_CASE("RFC 768: a computed UDP checksum of zero is sent as all ones", "[net][checksum]") {
  CHECK(udp_nonzero(Be16(0)).value() == 0xffff);
  CHECK(udp_nonzero(Be16(0xffff)).value() == 0xffff);
  CHECK(udp_nonzero(Be16(1)).value() == 1);
}
