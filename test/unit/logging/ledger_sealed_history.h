/// Made-up live segments with everything in them that a ledger can say, and a part of what it cannot, for the
/// tests of sealed ones. All of a segment follows from a seed, so that long ones cost no time.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "logging/ledger/batch_writer.h"
#include "logging/ledger/checkpoint.h"
#include "logging/ledger/notes.h"
#include "net/hash.h"

namespace culvert::test {

/// How a segment is made up.
struct History {
  uint64_t seed = 1;
  uint32_t steps = 100;        ///< events, about
  uint32_t addresses = 3;      ///< in the first range
  uint32_t most_pause = 3000;  ///< ms between records, at most
  bool odd = true;             ///< with what no culvertd writes
};

class HistoryWriter {
 public:
  explicit HistoryWriter(const History& h) : h_(h), random_(h.seed) {}

  /// A segment that begins with a checkpoint of what held at the end of another.
  std::string write() {
    using namespace logging::ledger;
    const LiveHeader first{.serial = 6, .opened = 1'700'000'000'000, .first_ordinal = 1000};
    begin(first, encode(first), first.opened);
    note(InstanceNote{.number = 1, .carriage = 1, .name = "homes"});
    note(range(0, 0xc6336400, h_.addresses));
    note(range(100'000, 0xcb007100, 2));
    note(Source{.worker = 1, .epoch = 5, .next = 77});
    note(ClockNote{-12});
    for (int i = 0; i < 12; i++) define();
    run(h_.steps / 4);
    const Replayed before = replay(end(), {}, {});
    const LiveHeader second{.serial = 7,
                            .opened = before.last_time + below(3),
                            .first_ordinal = first.first_ordinal + before.events};
    held_.clear();
    std::string checkpoint = begin_segment(second, before.state, 0);
    const Replayed at_opening = replay(checkpoint, {}, {});
    for (const auto& [block, holder] : at_opening.state.held()) held_[block] = true;
    subscribers_ = static_cast<uint32_t>(at_opening.state.subscribers().size());
    begin(second, std::move(checkpoint), second.opened);
    // Ranges have new numbers.
    for (const auto& [number, r] : at_opening.state.ranges())
      (r.first_address.value() == 0xc6336400 ? first_ : second_) = number;
    define();
    run(h_.steps);
    if (below(2) == 0) out_->add(now_, 0, Type::segment_end, {});
    return end();
  }

 private:
  using Type = logging::ledger::Type;
  uint32_t below(uint32_t n) { return random_.below(n); }

  logging::ledger::AddressRange range(uint64_t block, uint32_t address, uint64_t addresses) const {
    return {.first_block = block,
            .instance = 1,
            .first_address = net::Ipv4Address(address),
            .addresses = addresses,
            .first_port = 1024,
            .set_size = 512,
            .sets = 10};
  }
  void begin(const logging::ledger::LiveHeader& header, std::string bytes, uint64_t now) {
    bytes_ = std::move(bytes);
    out_.emplace(header);
    now_ = now;
  }
  std::string end() {
    if (!out_->empty()) bytes_ += out_->take();
    return std::move(bytes_);
  }
  template <typename Note>
  void note(const Note& n) {
    out_->add(now_, worker(), Note::kType, encode(n));
  }
  uint8_t worker() { return static_cast<uint8_t>(1 + below(2)); }

  void define() {
    const uint32_t n = next_++;
    note(logging::ledger::SubscriberNote{
        .number = subscribers_++,
        .instance = 1 + n % 2,
        .prefix = n % 3 == 2 ? net::Ipv6Address::from_halves(0, 0xffff'6440'0000 + n)
                             : net::Ipv6Address::from_halves(0x20010db8'00000000 + (uint64_t{n} << 8), 0),
        .length = static_cast<uint8_t>(n % 3 == 2 ? 128 : 56)});
  }

  void run(uint32_t steps) {
    for (uint32_t i = 0; i < steps; i++) {
      now_ += below(4) == 0 ? 0 : below(h_.most_pause + 1);
      switch (below(20)) {
        case 0:
          binding();
          break;
        case 1:
          rare();
          break;
        default:
          block();
      }
      if (below(6) == 0 || out_->full()) {
        if (!out_->empty()) bytes_ += out_->take();
      }
    }
  }

  void block() {
    const bool far = below(8) == 0;
    const uint64_t b = far ? second_ + below(20) : first_ + below(10 * h_.addresses);
    // Once in a while somebody undefined, a block of no range, or one that is held, or is not.
    const bool odd = h_.odd && below(30) == 0;
    const uint32_t who = below(subscribers_ + (odd ? 3 : 0));
    const uint64_t number = odd && below(4) == 0 ? 1'000'000 + below(3) : b;
    const auto reason = static_cast<uint8_t>(1 + below(2));
    bool& held = held_[number];
    if (held != (odd && below(2) == 0))
      out_->released(now_, worker(), 4, number, static_cast<uint16_t>(below(513)));
    else
      out_->allocated(now_, worker(), reason, number, who);
    // He who held it until now.
    if (odd && held && below(2) == 0) out_->released(now_, worker(), 4, number, 1);
    held = !held;
  }

  void binding() {
    using namespace logging::ledger;
    const Binding b{
        .subscriber = below(subscribers_ + (h_.odd ? 2 : 0)),
        .external = net::Ipv4Address(below(5) == 0 ? 0x0a000001 : 0xc6336400 + below(h_.addresses)),
        .port = static_cast<uint16_t>(1000 + below(40) * 20),
        .protocol = static_cast<uint8_t>(below(2) == 0 ? 6 : 17),
        .origin = Binding::Origin::pcp_map,
        .internal = std::string(below(2) == 0 ? 4 : 16, 'i'),
        .internal_port = static_cast<uint16_t>(below(9))};
    switch (below(4)) {
      case 0:
        return note(MappingDeleted{.binding = b, .reason = 5});
      case 1:
        return out_->add(now_, worker(), Type::session_created,
                         encode(SessionNote{.binding = b, .has_destination = true}));
      default:
        // What a later version may add.
        out_->add(now_, worker(), Type::mapping_created,
                  encode(MappingCreated{.binding = b, .lifetime = below(3) * 50, .renewal = below(3) == 0}) +
                      std::string(h_.odd ? below(400) : 0, '+'));
    }
  }

  void rare() {
    using namespace logging::ledger;
    switch (below(h_.odd ? 9 : 5)) {
      case 0:
        return define();
      case 1:
        return note(Refused{.subscriber = below(subscribers_), .reason = "no-ports", .count = below(1000)});
      case 2:
        return note(ClockNote{int64_t{below(2000)} - 1000});
      case 3:
        return note(Uncertain{.from = -5, .to = 5});
      case 4:
        return out_->add(now_, 1, Type::record_lost, std::string(1, '\1'));
      case 5:  // types of the future
        return out_->add(now_, 2, static_cast<Type>(20), "event");
      case 6:
        return out_->add(now_, 2, static_cast<Type>(60), "note");
      case 7:  // malformed
        return out_->add(now_, 2, Type::mapping_created, std::string(below(9), '\x81'));
      default:
        return note(range(2'000'000 + 20 * below(3), 0x01010100 + below(3), 1));
    }
  }

  History h_;
  net::Random random_;
  std::string bytes_;
  std::optional<logging::ledger::BatchWriter> out_;
  uint64_t now_ = 0, first_ = 0, second_ = 100'000;
  uint32_t subscribers_ = 0, next_ = 0;
  std::map<uint64_t, bool> held_;
};

inline std::string made_segment(const History& h) { return HistoryWriter(h).write(); }

}  // namespace culvert::test
