// A segment's checkpoint says what held at the end of the one before (docs/ledger.md).
#include <fmt/format.h>
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
  // Of an undefined one a checkpoint says that nobody knows who he was.
  const auto who = [&](uint64_t number) {
    const SubscriberNote* n = s.subscribers().find(number);
    return n == nullptr ? "0 ::/0" : fmt::format("{} {}/{}", n->instance, n->prefix.text(), n->length);
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
    const auto damage = [](const Damage&) { RC_FAIL("damage"); };
    const auto fault = [](const Record&, const std::string& what) { RC_FAIL(what); };
    const Replayed after = replay(bytes, damage, fault);
    RC_ASSERT(after.whole == bytes.size());
    RC_ASSERT(after.events == 0u);
    RC_ASSERT(after.state.checked());
    RC_ASSERT(facts(after.state, 0) == facts(before.state, rest_since));
    RC_ASSERT(after.state.clock_ahead() == before.state.clock_ahead());
    RC_ASSERT(after.state.instances() == before.state.instances());
    // Numbers of subscribers are dense: the next one is free. Who is defined is defined once.
    std::set<std::string> all;
    for (uint64_t i = 0; i < after.state.subscribers().size(); i++) {
      RC_ASSERT(after.state.subscribers().contains(i));
      SubscriberNote n = *after.state.subscribers().find(i);
      n.number = 0;
      RC_ASSERT(all.insert(encode(n)).second);
    }
    // A checkpoint of what a checkpoint says is the same again.
    RC_ASSERT(begin_segment(next, after.state, rest_since) == bytes);
  }));
}

TEST_CASE("A checkpoint can be made of whatever a segment says", "[ledger]") {
  const LiveHeader late{.serial = 1, .opened = kMaxTime - 10, .first_ordinal = 1};
  BatchWriter out(late);
  const auto note = [&](const auto& n) { out.add(late.opened, 0, n.kType, encode(n)); };
  const auto latest = static_cast<int64_t>(kMaxTime) - 1;
  note(AddressRange{.first_block = 100,
                    .instance = 1,
                    .first_address = net::Ipv4Address(0xc0000200),
                    .addresses = 1,
                    .first_port = 1024,
                    .set_size = 100,
                    .sets = 100});
  // Below all ranges, behind them, in one.
  for (const uint64_t block : {0, 200, 100}) {
    note(Held{.block = block, .subscriber = 1, .since = latest});
    note(Resting{.block = block, .since = -latest});
  }
  const Binding web{.external = net::Ipv4Address(0xc0000200), .port = 80, .protocol = 6};
  note(MappingHeld{.binding = web, .since = latest, .lifetime = UINT64_MAX});
  const Replayed before = replay(encode(late) + std::string(out.take()), {}, {});
  for (const uint64_t opened : {uint64_t{0}, kMaxTime - 1}) {
    const std::string bytes =
        begin_segment({.serial = 2, .opened = opened, .first_ordinal = 1}, before.state, 0);
    std::vector<std::string> wrong;
    const Replayed after = replay(
        bytes, [&](const Damage&) { wrong.emplace_back("damage"); },
        [&](const Record&, const std::string& what) { wrong.push_back(what); });
    CHECK(wrong.empty());
    CHECK(after.state.checked());
    CHECK(after.state.held().size() == 1);
    CHECK(after.state.held().at(0) == State::Holder{0, kMaxTime - 1, 0});
    CHECK(after.state.resting().size() == 1);
    CHECK(after.state.resting().at(0) == 0);
    CHECK(after.state.mappings() == before.state.mappings());
  }
}

TEST_CASE("A mapping that ends as a segment is opened does not last for ever", "[ledger]") {
  BatchWriter out(kFirst);
  const Binding web{.external = net::Ipv4Address(0xc0000200), .port = 80, .protocol = 6};
  out.add(kFirst.opened, 0, Type::mapping_created, encode(MappingCreated{.binding = web, .lifetime = 7}));
  const Replayed before = replay(encode(kFirst) + std::string(out.take()), {}, {});
  const LiveHeader next{.serial = 2, .opened = kFirst.opened + 7000, .first_ordinal = 2};
  const Replayed after = replay(begin_segment(next, before.state, 0), {}, {});
  CHECK(after.state.mappings().at({0xc0000200, 80, 6}).ends == next.opened);
}

TEST_CASE("A record as long as a batch has one to itself in a checkpoint", "[ledger]") {
  BatchWriter out(kFirst);
  // Beside it are varints of one byte (time of the batch, and of the record), the first byte, and two
  // lengths.
  const ConfigurationNote longest{.algorithmic = std::string(kMaxBatchBytes - 3 - 4 - 32 - 4, 'x')};
  for (uint64_t i = 0; i < 9; i++)
    out.add(kFirst.opened, 0, Type::instance, encode(InstanceNote{.number = i, .name = "homes"}));
  std::string bytes = encode(kFirst) + std::string(out.take());
  out.add(kFirst.opened, 0, Type::configuration, encode(longest));
  bytes += out.take();
  const Replayed before = replay(bytes, {}, {});
  REQUIRE(before.state.configuration() == longest);
  const LiveHeader next{.serial = 2, .opened = kFirst.opened, .first_ordinal = 1};
  const Replayed after = replay(begin_segment(next, before.state, 0), {}, {});
  CHECK(after.state.checked());
  CHECK((after.state.configuration() == longest));
  CHECK(after.state.instances().size() == 9);
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
