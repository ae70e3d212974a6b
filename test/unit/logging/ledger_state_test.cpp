// What the ledger says that holds: blocks, definitions, sequences (docs/ledger.md).
#include <algorithm>
#include <catch2/catch.hpp>
#include <vector>

#include "logging/ledger/batch_writer.h"
#include "logging/ledger/state.h"

using namespace culvert::logging::ledger;
namespace net = culvert::net;

namespace {

constexpr uint64_t kOpened = 1'700'000'000'000;

/// Records go through the bytes of a segment, as they do in life.
class Script {
 public:
  Script() : bytes_(encode(kHeader)), out_(kHeader) {
    note(InstanceNote{.number = 1, .carriage = 1, .name = "homes"});
    // 192.0.2.0/30 with 4 blocks of 16,000 ports an address: blocks 0 to 15.
    note(AddressRange{.first_block = 0,
                      .instance = 1,
                      .first_address = net::Ipv4Address(0xc0000200),
                      .addresses = 4,
                      .first_port = 1024,
                      .set_size = 16'000,
                      .sets = 4});
    note(Source{.worker = 0, .epoch = 3, .next = 100});
    for (uint64_t i = 0; i < 3; i++)
      note(SubscriberNote{.number = i, .instance = 1, .prefix = prefix(i), .length = 56});
  }
  static net::Ipv6Address prefix(uint64_t i) {
    return net::Ipv6Address::from_halves(0x20010db8'00000000 + (i << 8), 0);
  }

  template <typename Note>
  void note(const Note& n) {
    out_.add(now, 0, Note::kType, encode(n));
  }
  void add(Type type, std::string_view body = {}) { out_.add(now, 0, type, body); }
  void allocated(uint64_t block, uint32_t subscriber) { out_.allocated(now, 0, 1, block, subscriber); }
  void released(uint64_t block) { out_.released(now, 0, 4, block, 9); }

  /// What holds after all that was put in so far.
  State play() {
    if (!out_.empty()) bytes_ += out_.take();
    State state(kOpened);
    faults.clear();
    state.on_fault = [this](const Record&, const std::string& what) { faults.push_back(what); };
    LiveReader reader(bytes_);
    while (reader.next()) state.apply(reader.record());
    state.finish();
    state.on_fault = nullptr;
    return state;
  }

  uint64_t now = kOpened + 10;
  std::vector<std::string> faults;  ///< of the last play()

 private:
  static constexpr LiveHeader kHeader{.serial = 1, .opened = kOpened, .first_ordinal = 1};
  std::string bytes_;
  BatchWriter out_;
};

}  // namespace

TEST_CASE("Blocks are held from their allocation to their release, then rest", "[ledger]") {
  Script s;
  s.allocated(5, 1);
  s.allocated(6, 2);
  s.now += 1000;
  s.released(5);
  const State state = s.play();
  CHECK(s.faults.empty());
  CHECK(state.held().size() == 1);
  CHECK(state.held().at(6) == State::Holder{2, kOpened + 10, 1});
  CHECK(state.resting().size() == 1);
  CHECK(state.resting().at(5) == kOpened + 1010);
  CHECK(state.sources()[0]->next == 103);
  CHECK(state.subscribers().find(2)->prefix == Script::prefix(2));
  const AddressRange* range = state.range_of_block(6);
  REQUIRE(range != nullptr);
  CHECK(range->address_of(6).text() == "192.0.2.1");
  CHECK(range->first_port_of(6) == 1024 + 2 * 16'000);
  CHECK(state.range_of(net::Ipv4Address(0xc0000203)) == range);
  CHECK(state.range_of(net::Ipv4Address(0xc0000204)) == nullptr);
  CHECK(state.range_of_block(16) == nullptr);
  CHECK(range->block_of(net::Ipv4Address(0xc0000201), 1024 + 2 * 16'000) == 6);
  CHECK(range->block_of(net::Ipv4Address(0xc0000201), 1023) == std::nullopt);
  CHECK(range->block_of(net::Ipv4Address(0xc0000201), 1024 + 64'000) == std::nullopt);
}

TEST_CASE("A block that is given again rests no more", "[ledger]") {
  Script s;
  s.allocated(5, 1);
  s.released(5);
  s.now += 1000;
  s.allocated(5, 2);
  const State state = s.play();
  CHECK(s.faults.empty());
  CHECK(state.resting().empty());
  CHECK(state.held().at(5) == State::Holder{2, kOpened + 1010, 1});
}

TEST_CASE("A checkpoint says what holds, and is checked", "[ledger]") {
  Script s;
  s.note(Held{.block = 3, .subscriber = 1, .since = -5000, .reason = 2});
  s.note(Resting{.block = 4, .since = -100});
  const Binding web{.subscriber = 1,
                    .external = net::Ipv4Address(0xc0000202),
                    .port = 443,
                    .protocol = 6,
                    .origin = Binding::Origin::configured,
                    .internal = std::string(4, 'x'),
                    .internal_port = 8443};
  s.note(MappingHeld{.binding = web, .since = -1'000'000});
  SECTION("right") {
    s.note(CheckpointEnd{1, 1, 1});
    const State state = s.play();
    CHECK(s.faults.empty());
    CHECK(state.checked());
    CHECK(state.held().at(3) == State::Holder{1, kOpened - 5000, 2});
    CHECK(state.resting().at(4) == kOpened - 100);
    CHECK(state.mappings().at({0xc0000202, 443, 6}) == State::Mapping{web, kOpened - 1'000'000, 0});
    CHECK(state.complete());
    CHECK_FALSE(state.ended());
  }
  SECTION("with a record missing") {
    s.note(CheckpointEnd{2, 1, 1});
    CHECK_FALSE(s.play().checked());
    CHECK(s.faults.size() == 1);
  }
}

TEST_CASE("A segment is complete until something is missing, and ends when it says so", "[ledger]") {
  Script s;
  SECTION("complete") {
    s.allocated(5, 1);
    const State state = s.play();
    CHECK(state.complete());
    CHECK_FALSE(state.ended());
  }
  SECTION("ended") {
    s.add(Type::segment_end);
    const State state = s.play();
    CHECK(state.complete());
    CHECK(state.ended());
  }
  SECTION("a record was lost") {
    s.add(Type::record_lost, std::string(1, '\0'));
    const State state = s.play();
    CHECK_FALSE(state.complete());
    CHECK(state.sources()[0]->next == 101);
  }
  SECTION("a reader missed something") {
    State state = s.play();
    state.miss();
    CHECK_FALSE(state.complete());
  }
  CHECK(s.faults.empty());
}

TEST_CASE("A mapping lives for as long as it was said to, counted from its beginning", "[ledger]") {
  Script s;
  const Binding binding{.external = net::Ipv4Address(0xc0000202), .port = 80, .protocol = 6};
  const auto end = [&] { return s.play().mappings().at({0xc0000202, 80, 6}).ends; };
  const auto held = [&](uint64_t ms) {
    s.note(MappingHeld{.binding = binding, .since = -5000, .lifetime = ms});
    return end();
  };
  const auto created = [&](uint64_t seconds) {
    s.note(MappingCreated{.binding = binding, .lifetime = seconds});
    return end();
  };
  CHECK(held(0) == 0);
  CHECK(held(5000) == kOpened);
  CHECK(held(UINT64_MAX) == kMaxTime - 1);
  CHECK(created(0) == 0);
  CHECK(created(7) == kOpened + 10 + 7000);
  CHECK(created(UINT64_MAX) == kMaxTime - 1);
}

TEST_CASE("Times of a checkpoint are none before 1970, nor later than can be", "[ledger]") {
  Script s;
  s.note(Held{.block = 1, .since = -static_cast<int64_t>(kMaxTime) + 1});
  s.note(Held{.block = 2, .since = kMaxTime - 1});
  s.note(Resting{.block = 3, .since = -static_cast<int64_t>(kMaxTime) + 1});
  s.note(Resting{.block = 4, .since = kMaxTime - 1});
  const State state = s.play();
  CHECK(s.faults.empty());
  CHECK(state.held().at(1).since == 0);
  CHECK(state.held().at(2).since == kMaxTime - 1);
  CHECK(state.resting().at(3) == 0);
  CHECK(state.resting().at(4) == kMaxTime - 1);
}

TEST_CASE("What cannot be is told, and the rest goes on", "[ledger]") {
  Script s;
  s.allocated(5, 1);
  SECTION("allocated while held") {
    s.now++;
    s.allocated(5, 2);
    s.now++;
    s.released(5);
    const State state = s.play();
    REQUIRE(s.faults.size() == 1);
    CHECK(s.faults[0] == "block 5 is allocated to subscriber 2 while another holds it");
    CHECK(state.held().empty());
  }
  SECTION("the release of the same millisecond comes late: it is the former holder's") {
    s.now++;
    s.allocated(5, 2);
    s.released(5);
    const State state = s.play();
    CHECK(s.faults.empty());
    CHECK(state.held().at(5).subscriber == 2);
  }
  SECTION("released, and nobody held it") {
    s.released(6);
    s.play();
    CHECK(s.faults == std::vector<std::string>{"block 6 is released that nobody holds"});
  }
  SECTION("a block of no range") {
    s.allocated(16, 1);
    CHECK(s.play().held().size() == 1);
    CHECK(s.faults == std::vector<std::string>{"block 16 is in no range"});
  }
  SECTION("a checkpoint's blocks of no range") {
    s.note(Held{.block = 16, .subscriber = 1});
    s.note(Resting{.block = 17});
    const State state = s.play();
    CHECK(state.held().size() == 1);
    CHECK(state.resting().empty());
    CHECK(s.faults == std::vector<std::string>{"block 16 is in no range", "block 17 is in no range"});
  }
  SECTION("two are overtaken, and one release comes") {
    s.now++;
    s.allocated(5, 2);
    s.allocated(5, 0);
    s.released(5);
    s.now++;
    s.allocated(6, 1);
    CHECK(s.play().held().at(5).subscriber == 0);
    REQUIRE(s.faults.size() == 1);
    CHECK_THAT(s.faults[0], Catch::StartsWith("block 5 is allocated to subscriber"));
  }
  SECTION("an unknown subscriber") {
    s.allocated(6, 3);
    CHECK(s.play().held().at(6).subscriber == 3);
    CHECK(s.faults == std::vector<std::string>{"subscriber 3 is not defined"});
  }
}

TEST_CASE("A range is taken unless it overlaps another, in addresses or in blocks", "[ledger]") {
  Script s;  // has addresses 192.0.2.0 to .3 and blocks 0 to 15
  const auto taken = [&](uint64_t first_block, uint32_t first_address, uint64_t addresses) {
    const size_t before = s.play().ranges().size(), refused = s.faults.size();
    s.note(AddressRange{.first_block = first_block,
                        .instance = 1,
                        .first_address = net::Ipv4Address(first_address),
                        .addresses = addresses,
                        .first_port = 1,
                        .set_size = 1,
                        .sets = 1});
    const bool more = s.play().ranges().size() > before;
    CHECK(s.faults.size() == refused + (more ? 0 : 1));
    return more;
  };
  CHECK(taken(20, 0xc0000210, 5));        // blocks 20 to 24, 192.0.2.16 to .20
  CHECK_FALSE(taken(30, 0xc0000203, 1));  // the last address of the first
  CHECK(s.faults.at(0) == "the range of 192.0.2.3 overlaps another");
  CHECK_FALSE(taken(30, 0xc0000200, 1));    // the first address
  CHECK_FALSE(taken(30, 0xc0000100, 257));  // from before to the first address
  CHECK_FALSE(taken(30, 0xc0000205, 12));   // up to the second range's
  CHECK_FALSE(taken(15, 0xc0000204, 1));    // the last block
  CHECK_FALSE(taken(20, 0xc0000204, 1));    // the first block of the second
  CHECK_FALSE(taken(16, 0xc0000204, 5));    // from before to its first block
  CHECK(taken(16, 0xc0000204, 4));          // between them
  CHECK(taken(25, 0xc0000208, 8));
}

TEST_CASE("Subscribers are known by their numbers, in whatever order they are defined; once each",
          "[ledger]") {
  Script s;  // 0, 1 and 2
  for (const uint64_t number : {5, 3, 4, 5, 6, 1, 3})
    s.note(SubscriberNote{.number = number, .instance = number, .prefix = Script::prefix(number)});
  const State state = s.play();
  CHECK(s.faults == std::vector<std::string>{"subscriber 5 is defined twice", "subscriber 1 is defined twice",
                                             "subscriber 3 is defined twice"});
  CHECK(state.subscribers().size() == 7);
  std::vector<uint64_t> all;
  state.subscribers().for_each([&](const SubscriberNote& n) { all.push_back(n.number); });
  std::ranges::sort(all);
  CHECK(all == std::vector<uint64_t>{0, 1, 2, 3, 4, 5, 6});
  CHECK(state.subscribers().find(7) == nullptr);
  CHECK(state.subscribers().find(6)->prefix == Script::prefix(6));
  CHECK(state.subscribers().find(1)->instance == 1);
}
