// What the ledger says that holds: blocks, definitions, sequences (docs/ledger.md).
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
  void allocated(uint64_t block, uint32_t subscriber) { out_.allocated(now, 0, 1, block, subscriber); }
  void released(uint64_t block) { out_.released(now, 0, 4, block, 9); }

  State play() {
    bytes_ += out_.take();
    State state(kOpened);
    state.on_fault = [this](const Record&, const std::string& what) { faults.push_back(what); };
    LiveReader reader(bytes_);
    while (reader.next()) state.apply(reader.record());
    state.finish();
    state.on_fault = nullptr;
    return state;
  }

  uint64_t now = kOpened + 10;
  std::vector<std::string> faults;

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
  CHECK(state.subscribers().at(2).prefix == Script::prefix(2));
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
  }
  SECTION("with a record missing") {
    s.note(CheckpointEnd{2, 1, 1});
    CHECK_FALSE(s.play().checked());
    CHECK(s.faults.size() == 1);
  }
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
  SECTION("an unknown subscriber") {
    s.allocated(6, 3);
    CHECK(s.play().held().at(6).subscriber == 3);
    CHECK(s.faults == std::vector<std::string>{"subscriber 3 is not defined"});
  }
  SECTION("ranges that overlap") {
    s.note(AddressRange{.first_block = 16,
                        .instance = 1,
                        .first_address = net::Ipv4Address(0xc0000203),
                        .addresses = 1,
                        .first_port = 1,
                        .set_size = 1,
                        .sets = 1});
    CHECK(s.play().range_of_block(16) == nullptr);
    CHECK(s.faults == std::vector<std::string>{"the range of 192.0.2.3 overlaps another"});
  }
}
