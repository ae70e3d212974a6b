/// One half of the proof that the packet path with vector instructions equals the one without: run.py beside
/// this file compares what two builds of this program print, path_trace with the appliance's own packet path
/// and path_trace_scalar with CULVERT_SCALAR and no vectors made by the compiler either.
///
///     path_trace FIRST-SEED COUNT [--frames]
///
/// For every seed a Box with capacities, workers and limits drawn from it is given bursts of random packets
/// (traffic.h) and time. A line for each burst has a digest of the frames that left, in their order; further
/// lines have every counter, and a digest of all mappings, sessions and subscribers in the end. `--frames`:
/// all of it, in hexadecimal, for people. Lines begin with their seed but `path`, `reached`.

#include <fmt/format.h>

#include <charconv>
#include <cstdio>
#include <cstring>
#include <map>

#include "traffic.h"

namespace culvert::dataplane {

/// What the index keeps to itself.
struct TaggedIndexTest {
  /// Entries in their alternate bucket.
  static uint64_t displaced(const TaggedIndex& index) {
    uint64_t n = 0;
    for (const auto& b : index.buckets_) n += b.displaced;
    return n;
  }
};

}  // namespace culvert::dataplane

namespace {

using namespace culvert;
using fuzz::Side;
using paths::Bytes;

constexpr unsigned kBursts = 160;

/// FNV-1a.
class Digest {
 public:
  void add(std::span<const uint8_t> bytes) {
    for (uint8_t b : bytes) value_ = (value_ ^ b) * 0x100000001b3;
    value_ = (value_ ^ bytes.size()) * 0x100000001b3;
  }
  uint64_t value() const { return value_; }

 private:
  uint64_t value_ = 0xcbf29ce484222325;
};

std::string hex(std::span<const uint8_t> bytes) {
  std::string text;
  for (uint8_t b : bytes) text += fmt::format("{:02x}", b);
  return text;
}

const char* name_of(Side side) { return side == Side::inside ? "inside" : "outside"; }

/// What the packets came to, over all seeds: a comparison of empty tables would prove nothing.
std::map<std::string, uint64_t> reached;

class Trace {
 public:
  Trace(uint64_t seed, bool frames)
      : seed_(seed),
        frames_(frames),
        random_(seed ^ 0x9e3779b97f4a7c15),
        box_(configuration(), seed + 1),
        traffic_(seed, 1 + box_.engine().config().capacity.subscribers * (1 + below(4)) / 6,
                 one_of({1, 3, 20, 4000})) {}

  void run() {
    for (burst_ = 0; burst_ < kBursts; burst_++) {
      give();
      if (below(3) == 0) pass_time(1 + below(below(4) == 0 ? 8000 : 300));
      if (below(40) == 0) pass_time(1000 * (60 + below(400)));
    }
    tell_counters();
    tell_state();
  }

 private:
  unsigned below(unsigned n) { return static_cast<unsigned>(random_() % n); }
  unsigned one_of(std::initializer_list<unsigned> values) {
    return values.begin()[below(static_cast<unsigned>(values.size()))];
  }

  /// Small tables, so that buckets fill up and records run out.
  config::Config configuration() {
    config::Config config = fuzz::Box::configuration(one_of({1, 1, 2}));
    config.capacity.mappings = one_of({8, 40, 200, 1000});
    config.capacity.sessions = one_of({4, 40, 400});
    config.capacity.subscribers = one_of({6, 30, 300});
    config.hold_down.max = one_of({1, 20, 2000});
    config.hold_down.timeout = std::chrono::seconds(one_of({0, 2, 120}));
    for (config::Instance& i : config.instances) {
      i.ports.set_size = static_cast<uint16_t>(one_of({8, 64, 512}));
      i.ports.sets_per_subscriber = static_cast<uint8_t>(1 + below(4));
      i.filtering =
          std::array{config::Filtering::eif, config::Filtering::adf, config::Filtering::edf}[below(3)];
      i.limits.ports = one_of({0, 0, 0, 3});
      i.limits.mappings = one_of({0, 0, 0, 5});
      i.limits.sessions = one_of({0, 2000, 3});
      i.limits.mappings_per_second = one_of({0, 0, 0, 2});
      i.mapping_limit = one_of({0, 0, 0, 7});
      i.timers.udp = std::chrono::seconds(one_of({1, 20, 300}));
      i.timers.port_set = std::chrono::seconds(one_of({0, 5, 60}));
      for (auto& m : i.subscribers_ipv6) m.mask = 64;
    }
    return config;
  }

  void give() {
    const Side side = below(5) < 2 ? Side::outside : Side::inside;
    std::vector<Bytes> frames(1 + below(dataplane::kBurst));
    for (Bytes& f : frames) f = traffic_.next(side);
    const std::vector<std::span<const uint8_t>> views(frames.begin(), frames.end());
    if (frames_)
      for (const Bytes& f : frames) say("in {} {}", name_of(side), hex(f));
    if (!box_.receive(side, below(2), views)) throw std::runtime_error("no packet buffer");
    box_.settle();
    reached["frames in"] += frames.size();
    collect("burst");
    uint64_t displaced = 0;
    for (unsigned w = 0; w < box_.engine().workers(); w++) {
      const auto& mappings = box_.engine().worker(w).binding().mappings();
      displaced += dataplane::TaggedIndexTest::displaced(mappings.outbound()) +
                   dataplane::TaggedIndexTest::displaced(mappings.inbound());
    }
    reached["entries in their alternate bucket"] += displaced;
  }

  void pass_time(fuzz::Millis ms) {
    box_.wait(ms);
    collect("time");
  }

  void collect(const char* why) {
    Digest digest;
    for (const fuzz::Sent& s : box_.sent()) {
      if (frames_) say("out {} {}", name_of(s.side), hex(s.bytes));
      const auto side = static_cast<uint8_t>(s.side);
      digest.add({&side, 1});
      digest.add(s.bytes);
      traffic_.saw(s);
    }
    reached["frames out"] += box_.sent().size();
    say("{}: {} frames out, {:016x}", why, box_.sent().size(), digest.value());
    box_.sent().clear();
  }

  void tell_counters() {
    for (unsigned w = 0; w < box_.engine().workers(); w++) {
      const dataplane::Counters& c = box_.engine().worker(w).counters();
      for (size_t i = 0; i < dataplane::kCarriageCount; i++) {
        static constexpr const char* kCarriages[] = {"nat44", "ds-lite", "nat64"};
        tell(w, fmt::format("{} outbound", kCarriages[i]), c.outbound[i].packets);
        tell(w, fmt::format("{} inbound", kCarriages[i]), c.inbound[i].packets);
      }
      tell(w, "mappings created", c.mappings_created);
      tell(w, "mappings expired", c.mappings_expired);
      tell(w, "hairpinned", c.hairpinned);
      tell(w, "handed over", c.handed_over);
      tell(w, "icmp errors sent", c.icmp_errors_sent);
      tell(w, "icmp errors translated", c.icmp_errors_translated);
      tell(w, "blocks released", c.blocks_released);
      tell(w, "holds cut short", c.holds_cut_short);
      for (size_t r = 0; r < dataplane::kDropReasonCount; r++)
        tell(w, fmt::format("drop {}", dataplane::kDropReasons[r].name), c.drops[r]);
      for (size_t i = 0; i < dataplane::kMaxInterfaces; i++)
        say("worker {} interface {}: {} packets, {} bytes in, {} packets, {} bytes out", w, i,
            c.received[i].packets.get(), c.received[i].bytes.get(), c.sent[i].packets.get(),
            c.sent[i].bytes.get());
      say("worker {} now: {} mappings, {} sessions, {} subscribers, {} blocks", w, c.mappings_live.get(),
          c.sessions_live.get(), c.subscribers_live.get(), c.blocks_live.get());
    }
    say("to the kernel: {}", box_.punted());
  }

  void tell(unsigned worker, const std::string& what, const dataplane::Counter& counter) {
    reached[what] += counter.get();
    if (counter.get() != 0) say("worker {} {}: {}", worker, what, counter.get());
  }

  void tell_state() {
    for (unsigned w = 0; w < box_.engine().workers(); w++) {
      const auto& binding = box_.engine().worker(w).binding();
      tell_records(w, "mapping", binding.mappings());
      tell_records(w, "session", binding.sessions());
      tell_records(w, "subscriber", binding.subscribers());
    }
  }

  template <typename Table>
  void tell_records(unsigned worker, const char* kind, const Table& table) {
    Digest digest;
    uint32_t live = 0;
    for (uint32_t r = 0; r < table.high_water(); r++) {
      const std::string text = text_of(table[r]);
      if (text.empty()) continue;
      live++;
      digest.add({reinterpret_cast<const uint8_t*>(text.data()), text.size()});
      if (frames_) say("worker {} {} {}: {}", worker, kind, r, text);
    }
    // Both paths may be wrong in the same way.
    if (live != table.size())
      throw std::runtime_error(fmt::format("seed {} worker {}: {} {}s are in use, and {} are counted", seed_,
                                           worker, live, kind, table.size()));
    reached[fmt::format("{}s in the end", kind)] += table.size();
    say("worker {} {}s: {}, {:016x}", worker, kind, table.size(), digest.value());
  }

  // Records in words, since nothing is said of the bytes between their members; none for one that is free.
  static std::string text_of(const dataplane::Mapping& m) {
    if (!m.in_use) return {};
    return fmt::format(
        "{} {}:{} {} context {}, {}:{}, state {} with {}:{}, {} more from {}, deltas {} {}, of {}, ends "
        "{}, since {}",
        m.internal.ipv6.text(), m.internal.ipv4.text(), m.internal.port.value(),
        static_cast<int>(m.internal.protocol), m.internal.context, m.external_address.text(),
        m.external_port.value(), static_cast<int>(m.first_state), m.first_remote_address.text(),
        m.first_remote_port.value(), m.extra_sessions, m.extra_sessions == 0 ? 0 : m.first_extra,
        m.transport_delta, m.address_delta, m.subscriber, time(m.expires), time(m.created));
  }
  static std::string text_of(const dataplane::Session& s) {
    if (s.state == dataplane::SessionState::none) return {};
    return fmt::format("of {}, state {} with {}:{}, ends {}, next {}, previous {}", s.mapping,
                       static_cast<int>(s.state), s.remote_address.text(), s.remote_port.value(),
                       time(s.expires), s.next, s.previous);
  }
  static std::string text_of(const dataplane::Subscriber& s) {
    if (!s.in_use) return {};
    return fmt::format(
        "{}/{} of {}, {} blocks, first {} of pool {}, {} mappings, {} sessions, ports {} {} {}",
        s.key.prefix.text(), s.mask, s.key.instance, s.block_count, s.first_block, s.first_pool, s.mappings,
        s.sessions, s.ports[0], s.ports[1], s.ports[2]);
  }
  /// Milliseconds since boxes start their clock.
  static int64_t time(dataplane::ShortTime t) { return t.from(fuzz::Box::kStart); }

  template <typename... A>
  void say(fmt::format_string<A...> f, A&&... a) {
    fmt::print("seed {} burst {} ", seed_, burst_);
    fmt::print(f, std::forward<A>(a)...);
    fmt::print("\n");
  }

  uint64_t seed_;
  bool frames_;
  std::mt19937_64 random_;
  unsigned burst_ = 0;
  fuzz::Box box_;
  paths::Traffic traffic_;
};

bool number(const char* text, uint64_t& n) {
  const char* end = text + std::strlen(text);
  const auto [rest, error] = std::from_chars(text, end, n);
  return error == std::errc{} && rest == end;
}

}  // namespace

int main(int argc, char** argv) {
  uint64_t first = 0, count = 0;
  const bool frames = argc == 4 && std::strcmp(argv[3], "--frames") == 0;
  if ((argc != 3 && !frames) || !number(argv[1], first) || !number(argv[2], count)) {
    fmt::print(stderr, "Usage: path_trace FIRST-SEED COUNT [--frames]\n");
    return 2;
  }
  setvbuf(stdout, nullptr, _IOLBF, 1 << 16);  // so that a crash cuts off no line
  fmt::print("path {}\n", dataplane::TaggedIndex::kVector ? "vector" : "scalar");
  try {
    for (uint64_t seed = first; seed < first + count; seed++) Trace(seed, frames).run();
  } catch (const std::exception& e) {
    fmt::print(stderr, "path_trace: {}\n", e.what());
    return 1;
  }
  for (const auto& [what, n] : reached) fmt::print("reached {}: {}\n", what, n);
  return 0;
}
