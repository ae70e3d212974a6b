/// What records of a live and of a sealed segment say, as text that can be compared, for the tests of sealed
/// segments.
#pragma once

#include <fmt/format.h>
#include <rapidcheck.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <optional>
#include <string>

#include "ledger_sealed_history.h"
#include "logging/ledger/named.h"
#include "logging/ledger/seal.h"
#include "logging/ledger/sealed_segment.h"
#include "test_directory.h"

namespace culvert::test {

using namespace logging::ledger;

/// Subscribers by number, as text.
using Names = std::map<uint64_t, std::string>;

inline std::string name_of(const SubscriberNote& s) {
  // All that damage left undefined are one.
  return s.instance == 0 && s.length == 0 ? "?"
                                          : fmt::format("{} {}/{}", s.instance, s.prefix.text(), s.length);
}
inline std::string name_of(const Names& names, uint64_t number) {
  const auto found = names.find(number);
  return found == names.end() ? "?" : found->second;
}

/// What a record says, with names instead of numbers that are a file's own.
inline std::string said(const Record& r, const Names& names, bool with_ordinal = true) {
  std::string body(r.body), who;
  if (r.kind == Record::Kind::typed && names_subscriber(r.type)) {
    ByteReader in(r.body);
    const uint64_t number = in.varint();
    if (in.good()) {
      who = name_of(names, number);
      body = in.bytes(in.left());
    }
  }
  if (r.kind == Record::Kind::allocated) who = name_of(names, r.subscriber);
  std::string hex;
  for (const char c : body) hex += fmt::format("{:02x}", static_cast<uint8_t>(c));
  return fmt::format("{} kind {} type {} worker {} reason {} block {} peak {} who {} body {} #{}", r.time,
                     static_cast<int>(r.kind), static_cast<int>(r.type), r.event() ? r.worker : 0, r.reason,
                     r.block, r.peak, who, hex, with_ordinal ? r.ordinal : 0);
}

/// Fails with the first difference.
template <typename List>
void same(const List& a, const List& b) {
  const auto [in_a, in_b] = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
  RC_LOG() << (in_a == a.end() ? "-" : *in_a) << "\n" << (in_b == b.end() ? "-" : *in_b) << "\n";
  RC_ASSERT((in_a == a.end() && in_b == b.end()));
}

/// A sealed segment, opened.
struct Made {
  explicit Made(const std::string& live) : path(directory.path("s.seg")), sealed(seal(live, kNone, path)) {
    segment.emplace(path);
    segment->on_damage = [](const SealedDamage& d) { FAIL(d.what); };
  }
  static constexpr Digest kNone{};
  TestDirectory directory;
  std::string path;
  Sealed sealed;
  std::optional<SealedSegment> segment;
};

inline History any_history() {
  History h;
  h.seed = *rc::gen::arbitrary<uint64_t>();
  h.addresses = *rc::gen::inRange(1u, 5u);
  h.odd = *rc::gen::arbitrary<bool>();
  // Some are so long that an address needs several pages.
  h.steps = *rc::gen::inRange(0, 15) == 0 ? *rc::gen::inRange(12'000u, 25'000u) : *rc::gen::inRange(0u, 300u);
  h.most_pause = *rc::gen::element(0u, 2u, 500u, 100'000u);
  return h;
}

}  // namespace culvert::test
