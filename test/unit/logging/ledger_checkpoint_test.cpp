// A segment's checkpoint says what held at the end of the one before (docs/ledger.md).
#include <rapidcheck.h>

#include <catch2/catch.hpp>
#include <set>

#include "ledger_history.h"
#include "logging/ledger/batch_writer.h"
#include "logging/ledger/checkpoint.h"

using namespace culvert::logging::ledger;
using culvert::test::kFirst;
using culvert::test::random_segment;
namespace net = culvert::net;

namespace {

/// A state without numbers that are a segment's own.
using Port = std::pair<uint32_t, uint16_t>;
struct Facts {
  std::set<std::tuple<Port, std::string, uint64_t, uint8_t>> held;  ///< who, since, why
  std::set<std::tuple<Port, uint64_t>> resting;
  std::set<std::tuple<State::Endpoint, std::string, uint64_t, uint64_t>> mappings;
  std::vector<std::string> sources;
  bool operator==(const Facts&) const = default;
};

Facts facts(const State& s, uint64_t rest_since) {
  Facts f;
  const auto place = [&](uint64_t block) {
    const AddressRange* range = s.range_of_block(block);
    RC_ASSERT(range != nullptr);
    return Port{range->address_of(block).value(), range->first_port_of(block)};
  };
  const auto who = [&](uint64_t number) {
    const auto found = s.subscribers().find(number);
    return found == s.subscribers().end()
               ? "?"
               : found->second.prefix.text() + "/" + std::to_string(found->second.length);
  };
  for (const auto& [block, h] : s.held()) f.held.insert({place(block), who(h.subscriber), h.since, h.reason});
  for (const auto& [block, since] : s.resting())
    if (since >= rest_since) f.resting.insert({place(block), since});
  for (const auto& [endpoint, m] : s.mappings())
    f.mappings.insert({endpoint, who(m.binding.subscriber), m.since, m.ends});
  for (const auto& source : s.sources()) f.sources.push_back(source ? encode(*source) : "");
  return f;
}

}  // namespace

TEST_CASE("A checkpoint holds what held before it, whatever the history, under new numbers", "[ledger]") {
  CHECK(rc::check("facts before = facts behind", [] {
    const Replayed before = replay(random_segment(), {}, {});
    const LiveHeader next{
        .serial = 2, .opened = before.last_time + 5, .first_ordinal = kFirst.first_ordinal + before.events};
    const uint64_t rest_since = before.last_time - *rc::gen::inRange(0u, 5000u);
    const std::string bytes = begin_segment(next, before.state, rest_since);
    const Replayed after = replay(bytes, [](const Damage&) { RC_FAIL("damage"); }, {});
    RC_ASSERT(after.whole == bytes.size());
    RC_ASSERT(after.events == 0u);
    RC_ASSERT(after.state.checked());
    RC_ASSERT(facts(after.state, 0) == facts(before.state, rest_since));
    RC_ASSERT(after.state.clock_ahead() == before.state.clock_ahead());
    RC_ASSERT(after.state.instances() == before.state.instances());
  }));
}

TEST_CASE("A checkpoint of many blocks is cut into batches", "[ledger]") {
  BatchWriter out(kFirst);
  std::string bytes = encode(kFirst);
  const auto note = [&](const auto& n) {
    if (out.full()) bytes += out.take();
    out.add(kFirst.opened, 0, n.kType, encode(n));
  };
  constexpr uint64_t kBlocks = 300'000;
  note(AddressRange{.first_block = 0,
                    .instance = 0,
                    .first_address = net::Ipv4Address(0x0a000000),
                    .addresses = kBlocks / 100,
                    .first_port = 1000,
                    .set_size = 600,
                    .sets = 100});
  for (uint64_t i = 0; i < kBlocks; i++) {
    note(SubscriberNote{
        .number = i, .instance = 0, .prefix = net::Ipv6Address::from_halves(i << 8, 0), .length = 56});
    if (out.full()) bytes += out.take();
    out.allocated(kFirst.opened + i / 1000, 0, 1, i, static_cast<uint32_t>(i));
  }
  bytes += out.take();
  const Replayed before = replay(bytes, {}, {});
  REQUIRE(before.state.held().size() == kBlocks);
  const std::string next =
      begin_segment({.serial = 2, .opened = before.last_time, .first_ordinal = kBlocks + 1}, before.state, 0);
  const Replayed after = replay(next, {}, {});
  CHECK(after.state.checked());
  CHECK(after.state.held().size() == kBlocks);
  CHECK(next.size() > kMaxBatchBytes);
}
