/// Which table for the mappings? Measures the designs of table_designs/ beside each other and beside what
/// the memory allows, in one run, in turns, on one core: `taskset -c 1 culvert-table-designs [--quick]`.
///
/// Every lookup does what a packet makes a table do: hash the key, find, compare the full key, write the
/// expiry, read the record, write 16 bytes of a packet. Bursts of 32, staged: hash and prefetch, probe and
/// prefetch, finish. Keys come one after another from an array in random order, which the hardware reads
/// ahead, so that choosing a mapping costs no miss. Tables are as full as they may become, and half of their
/// mappings have been replaced at random before. The best of several interleaved rounds counts.
///
/// The memory limit is the loop of a program that does nothing but touch two random lines a packet (a line of
/// an array of mappings / 8 lines, then one of an array of 64-byte records) and rewrite 16 bytes of a packet.

#include <fmt/format.h>

#include <algorithm>
#include <boost/program_options.hpp>
#include <chrono>
#include <fstream>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "table_designs/dense_slots.h"
#include "table_designs/in_place.h"
#include "table_designs/two_indexes.h"

namespace {

using namespace culvert;
using namespace culvert::bench;

struct Case {
  uint32_t mappings;
  uint32_t each;  ///< mappings of a subscriber, on average
  uint8_t protocols = 1;
  unsigned load = 85;  ///< percent, of the tagged indexes with ten ways
  uint32_t subscribers() const { return std::max<uint32_t>(mappings / each, 1); }
};

struct alignas(64) Packet {
  uint8_t byte[128];
};
constexpr size_t kPackets = 2048;

/// Where packets of the burst lie: more than fits L1, as with a NIC's ring.
class Packets {
 public:
  Packets() : packets_(kPackets) {}
  Packet* burst(size_t number) { return &packets_[number * kBurst % kPackets]; }

 private:
  dataplane::HugeArray<Packet> packets_;
};

void rewrite(Packet& p, uint64_t a, uint64_t b) {
  uint64_t w;
  std::memcpy(p.byte + 26, &a, 8);
  std::memcpy(&w, p.byte + 34, 8);
  w ^= b;
  std::memcpy(p.byte + 34, &w, 8);
}

double seconds_of(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// Two random lines a packet and nothing else.
class MemoryLimit {
 public:
  explicit MemoryLimit(size_t records) : record_(records), bucket_(records / 8 + 1) {
    for (size_t i = 0; i < record_.size(); i++) record_[i].word[0] = i;
    for (size_t i = 0; i < bucket_.size(); i++) bucket_[i].word[0] = i;
  }
  void run(Packets& packets, size_t count) {
    uint64_t sink = 0, x = state_;
    for (size_t b = 0; b < count / kBurst; b++) {
      Packet* burst = packets.burst(b);
      uint64_t h[kBurst];
      for (unsigned i = 0; i < kBurst; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        std::memcpy(burst[i].byte + 26, &x, 8);
      }
      for (unsigned i = 0; i < kBurst; i++) {
        uint64_t key;
        std::memcpy(&key, burst[i].byte + 26, 8);
        h[i] = _mm_crc32_u64(0x9e37, key) * 0x9E3779B97F4A7C15u;
        __builtin_prefetch(&bucket_[net::pick(h[i], bucket_.size())]);
      }
      for (unsigned i = 0; i < kBurst; i++) {
        h[i] = (h[i] + bucket_[net::pick(h[i], bucket_.size())].word[1]) * 0x9E3779B97F4A7C15u;
        __builtin_prefetch(&record_[net::pick(h[i], record_.size())], 1);
      }
      for (unsigned i = 0; i < kBurst; i++) {
        Line& r = record_[net::pick(h[i], record_.size())];
        r.word[3] = b;
        rewrite(burst[i], r.word[0] + r.word[1], r.word[2]);
        sink += r.word[4];
      }
    }
    state_ = x;
    if (sink == 1) die("unlikely");
  }

 private:
  struct alignas(64) Line {
    uint64_t word[8];
  };
  dataplane::HugeArray<Line> record_, bucket_;
  uint64_t state_ = 88172645463325252u;
};

/// One burst through a design: `done(i, id)` is told what was found for each.
template <Direction D, bool kStaged, typename Design, typename Done>
inline void look_up(const Design& table, const Draw* draw, unsigned n, Done&& done) {
  Stages s;
  s.pending = 0;
  for (unsigned i = 0; i < n; i++) table.template start<D>(draw[i], s, i);
  for (unsigned i = 0; i < n; i++) table.template middle<D, kStaged>(draw[i], s, i);
  if constexpr (kStaged) table.template rest<D>(s);
  for (unsigned i = 0; i < n; i++) done(i, table.template finish<D, kStaged>(draw[i], s, i));
}

/// A table, the mappings in it in random order, and what to do with both.
template <typename Design>
class Subject {
 public:
  explicit Subject(const Case& c)
      : case_(c), table_(c.mappings, c.subscribers(), c.load, net::HashKey{}), random_(c.mappings + c.each) {
    draws_.resize(c.mappings);
    for (uint32_t from = 0; from < c.mappings; from += kBurst)
      add(&draws_[from], std::min<uint32_t>(kBurst, c.mappings - from));
    for (uint32_t i = c.mappings - 1; i > 0; i--) std::swap(draws_[i], draws_[random_.below(i + 1)]);
    replace(c.mappings / 2);
    const size_t strangers = std::min<size_t>(size_t{1} << 20, size_t{c.mappings} * 4);
    while (strangers_.size() < strangers) {
      const auto e = ExternalKey::of(random_.below(c.subscribers()), random_.below(kBlockSize), 0);
      if (!table_.taken(e)) strangers_.push_back({{}, e});
    }
  }

  /// Every mapping is found from both sides, as itself, and nothing else is. Also counts lines.
  void check() {
    size_t lines[2] = {}, missed = 0;
    for (uint32_t from = 0; from < draws_.size(); from += kBurst) {
      const unsigned n = std::min<uint32_t>(kBurst, static_cast<uint32_t>(draws_.size()) - from);
      uint32_t id[kBurst];
      const auto same = [&](unsigned i, uint32_t found, const char* what) {
        const Draw& d = draws_[from + i];
        if (found == kNone || found != id[i] || !(table_[found].internal == d.internal) ||
            !(table_[found].external == d.external) || table_[found].in_use != 1)
          die(what);
      };
      const Draw* d = &draws_[from];
      look_up<Direction::out, true>(table_, d, n, [&](unsigned i, uint32_t found) { id[i] = found; });
      for (unsigned i = 0; i < n; i++) same(i, id[i], "outbound: not the mapping that was inserted");
      look_up<Direction::in, true>(table_, d, n,
                                   [&](unsigned i, uint32_t f) { same(i, f, "inbound: wrong"); });
      if constexpr (Design::kHasPlain) {
        look_up<Direction::out, false>(table_, d, n,
                                       [&](unsigned i, uint32_t f) { same(i, f, "plain out"); });
        look_up<Direction::in, false>(table_, d, n, [&](unsigned i, uint32_t f) { same(i, f, "plain in"); });
      }
      for (unsigned i = 0; i < n; i++) {
        lines[0] += table_.template lines<Direction::out>(d[i]);
        lines[1] += table_.template lines<Direction::in>(d[i]);
      }
    }
    for (const Draw& d : strangers_) {
      missed += table_.template lines<Direction::in>(d);
      const auto none = [](unsigned, uint32_t found) {
        if (found != kNone) die("a port without a mapping has one");
      };
      look_up<Direction::in, true>(table_, &d, 1, none);
      if constexpr (Design::kHasPlain) look_up<Direction::in, false>(table_, &d, 1, none);
      Draw unknown = d;
      unknown.internal = internal(random_.below(case_.subscribers()), 0, 0);
      unknown.internal.context = 7;
      look_up<Direction::out, true>(table_, &unknown, 1, none);
    }
    lines_out = static_cast<double>(lines[0]) / static_cast<double>(draws_.size());
    lines_in = static_cast<double>(lines[1]) / static_cast<double>(draws_.size());
    lines_missed = static_cast<double>(missed) / static_cast<double>(strangers_.size());
  }

  template <Direction D, bool kStaged>
  [[gnu::noinline]] void look(Packets& packets, size_t count) {
    size_t found = 0;
    for (size_t b = 0; b < count / kBurst; b++) {
      if (cursor_ + kBurst > draws_.size()) cursor_ = 0;
      Packet* burst = packets.burst(b);
      look_up<D, kStaged>(table_, &draws_[cursor_], kBurst, [&](unsigned i, uint32_t id) {
        if (id == kNone) [[unlikely]]
          return;
        Record& r = table_[id];
        r.expires = static_cast<uint32_t>(b);
        rewrite(burst[i], uint64_t{r.external.address} << 32 | r.internal.port, r.more[0] + r.other);
        found++;
      });
      cursor_ += kBurst;
    }
    if (found != count / kBurst * kBurst) die("a mapping was not found");
  }

  template <bool kStaged>
  [[gnu::noinline]] void miss(size_t count) {
    size_t found = 0, at = 0;
    for (size_t b = 0; b < count / kBurst; b++, at += kBurst) {
      if (at + kBurst > strangers_.size()) at = 0;
      look_up<Direction::in, kStaged>(table_, &strangers_[at], kBurst,
                                      [&](unsigned, uint32_t id) { found += id != kNone; });
    }
    // Some of them have become mappings since; none may be found often.
    if (found > count / 2) die("ports without mappings are found");
  }

  /// Takes out `count` mappings and puts in as many new ones, in bursts.
  [[gnu::noinline]] void replace(size_t count) {
    for (size_t done = 0; done < count; done += kBurst) {
      if (replaced_ + kBurst > draws_.size()) replaced_ = 0;
      Draw* draw = &draws_[replaced_];
      replaced_ += kBurst;
      uint32_t id[kBurst];
      look_up<Direction::out, true>(table_, draw, kBurst, [&](unsigned i, uint32_t found) {
        if (found == kNone) die("a mapping to replace was not found");
        id[i] = found;
      });
      for (const uint32_t i : id) table_.prefetch_erase(i);
      for (const uint32_t i : id) table_.erase(i);
      add(draw, kBurst);
    }
  }

  double bytes() const { return table_.bytes() / case_.mappings; }
  double displaced() const { return table_.displaced(); }
  const Design& table() const { return table_; }
  double lines_out = 0, lines_in = 0, lines_missed = 0;

 private:
  /// Subscriber `s` is a B4 with an address of its own.
  static InternalKey internal(uint32_t s, uint16_t port, uint8_t protocol) {
    return {{0x00000080b80d0120u, uint64_t{s} << 32 | 0x1000000}, 0x0a01a8c0, port, protocol, 1};
  }
  /// Fills in and inserts new mappings of random subscribers.
  void add(Draw* draw, unsigned n) {
    uint32_t subscriber[kBurst];
    Stages s;
    for (unsigned i = 0; i < n; i++) {
      subscriber[i] = random_.below(case_.subscribers());
      const auto protocol = static_cast<uint8_t>(random_.below(case_.protocols));
      draw[i].internal = internal(subscriber[i], static_cast<uint16_t>(random_.next() >> 40), protocol);
      table_.template start<Direction::out>(draw[i], s, i);
      table_.prefetch_insert(subscriber[i], protocol);
    }
    for (unsigned i = 0; i < n; i++)
      draw[i].external =
          table_.choose(subscriber[i], draw[i].internal.protocol, draw[i].internal.port & 1, random_.next());
    for (unsigned i = 0; i < n; i++) {
      // A packet makes a mapping because none is found: the lookup belongs to it.
      const auto known = [&] {
        uint32_t found = kNone;
        look_up<Direction::out, true>(table_, &draw[i], 1, [&](unsigned, uint32_t id) { found = id; });
        return found != kNone;
      };
      while (known()) draw[i].internal.port = static_cast<uint16_t>(draw[i].internal.port + 2);
      table_.insert(draw[i]);
    }
  }

  Case case_;
  Design table_;
  net::Random random_;
  std::vector<Draw> draws_, strangers_;
  size_t cursor_ = 0, replaced_ = 0;
};

/// The best rate so far of everything measured, by name.
using Best = std::map<std::string, double>;

void keep_best(Best& best, const std::string& name, size_t count, const std::function<void()>& work) {
  double& rate = best[name];
  rate = std::max(rate, static_cast<double>(count) / seconds_of(work) / 1e6);
}

template <typename Design>
nlohmann::json figures(const Subject<Design>& s, const Best& best, const std::string& prefix,
                       const std::string& suffix) {
  const double limit = best.at("limit");
  const auto rate = [&](const char* what) { return best.at(prefix + what + suffix); };
  return {{"out_mps", rate("out")},
          {"in_mps", rate("in")},
          {"out_of_limit", rate("out") / limit},
          {"in_of_limit", rate("in") / limit},
          {"miss_mps", rate("miss")},
          {"replace_mps", best.at(prefix + "replace")},
          {"bytes_per_mapping", s.bytes()},
          {"lines_out", s.lines_out},
          {"lines_in", s.lines_in},
          {"lines_miss", s.lines_missed},
          {"displaced_out", s.displaced()}};
}

nlohmann::json measure(const Case& c, unsigned rounds, size_t slice) {
  Packets packets;
  MemoryLimit limit(c.mappings);
  Subject<TwoIndexes<false>> a(c);
  Subject<TwoIndexes<true>> tuned(c);
  Subject<DenseSlots> b(c);
  Subject<InPlace> d(c);
  a.check();
  tuned.check();
  b.check();
  d.check();
  const size_t replaced = std::min<size_t>(slice / 4, std::max<size_t>(c.mappings, 1u << 16));
  Best best;
  const auto one = [&](const std::string& name, auto& s) {
    keep_best(best, name + "out", slice, [&] { s.template look<Direction::out, true>(packets, slice); });
    keep_best(best, name + "in", slice, [&] { s.template look<Direction::in, true>(packets, slice); });
    keep_best(best, name + "miss", slice, [&] { s.template miss<true>(slice); });
  };
  for (unsigned round = 0; round < rounds; round++) {
    keep_best(best, "limit", slice, [&] { limit.run(packets, slice); });
    keep_best(best, "a.out plain", slice, [&] { a.look<Direction::out, false>(packets, slice); });
    keep_best(best, "a.in plain", slice, [&] { a.look<Direction::in, false>(packets, slice); });
    keep_best(best, "a.miss plain", slice, [&] { a.miss<false>(slice); });
    one("a.", a);
    one("t.", tuned);
    one("b.", b);
    one("c.", d);
  }
  for (unsigned round = 0; round < rounds; round++) {
    keep_best(best, "a.replace", replaced, [&] { a.replace(replaced); });
    keep_best(best, "t.replace", replaced, [&] { tuned.replace(replaced); });
    keep_best(best, "b.replace", replaced, [&] { b.replace(replaced); });
    keep_best(best, "c.replace", replaced, [&] { d.replace(replaced); });
  }
  nlohmann::json result{
      {"mappings", c.mappings}, {"mappings_per_subscriber", c.each}, {"index_load", c.load}};
  result["memory_limit_mps"] = best["limit"];
  result["moves_in_place"] = d.table().moves();
  result["designs"] = {{"A two indexes, plain", figures(a, best, "a.", " plain")},
                       {"A two indexes, staged", figures(a, best, "a.", "")},
                       {"A two indexes, tuned", figures(tuned, best, "t.", "")},
                       {"B dense slots", figures(b, best, "b.", "")},
                       {"C in place", figures(d, best, "c.", "")}};
  return result;
}

/// Bytes of a mapping where every subscriber uses two protocols, half and half.
nlohmann::json measure_memory(const Case& c) {
  return {{"mappings", c.mappings},
          {"mappings_per_subscriber", c.each},
          {"protocols", c.protocols},
          {"A two indexes", Subject<TwoIndexes<false>>(c).bytes()},
          {"B dense slots", Subject<DenseSlots>(c).bytes()},
          {"C in place", Subject<InPlace>(c).bytes()}};
}

void print(const nlohmann::json& r) {
  fmt::print("\n{} mappings, {} a subscriber, indexes {} % full: memory limit {:.1f} M/s\n",
             r["mappings"].get<int>(), r["mappings_per_subscriber"].get<int>(), r["index_load"].get<int>(),
             r["memory_limit_mps"].get<double>());
  fmt::print("{:24}{:>7}{:>6}{:>7}{:>6}{:>7}{:>9}{:>9}{:>18}{:>9}\n", "", "out", "×lim", "in", "×lim", "miss",
             "replace", "bytes", "lines out/in/miss", "displ.");
  for (const auto& [name, design] : r["designs"].items()) {
    const auto f = [&figures = design](const char* key) { return figures[key].get<double>(); };
    fmt::print("{:24}{:7.1f}{:6.2f}{:7.1f}{:6.2f}{:7.1f}{:9.2f}{:9.1f}{:>18}{:8.1f}%\n", name, f("out_mps"),
               f("out_of_limit"), f("in_mps"), f("in_of_limit"), f("miss_mps"), f("replace_mps"),
               f("bytes_per_mapping"),
               fmt::format("{:.2f}/{:.2f}/{:.2f}", f("lines_out"), f("lines_in"), f("lines_miss")),
               100 * f("displaced_out"));
  }
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) try {
  namespace po = boost::program_options;
  std::vector<uint32_t> sizes, each;
  std::string json_file;
  unsigned rounds = 0, load = 85;
  po::options_description options("Compares designs of the mapping table; rates are millions a second");
  options.add_options()("help,h", "this text")("quick", "less than a minute: fewer rounds and cases")(
      "mappings", po::value(&sizes)->multitoken(), "sizes instead of 1000 100000 1000000 10000000")(
      "each", po::value(&each)->multitoken(), "mappings of a subscriber instead of 10 200")(
      "load", po::value(&load), "how full the tagged indexes are, in percent (85)")(
      "rounds", po::value(&rounds), "rounds of which the best counts (9; quick: 3)")(
      "json", po::value(&json_file), "writes the figures to this file as well");
  po::variables_map given;
  po::store(po::parse_command_line(argc, argv, options), given);
  po::notify(given);
  if (given.count("help") != 0) {
    std::cout << options;
    return 0;
  }
  const bool quick = given.count("quick") != 0;
  if (sizes.empty()) sizes = {1000, 100'000, 1'000'000, 10'000'000};
  if (each.empty()) each = {10, 200};
  if (rounds == 0) rounds = quick ? 3 : 9;
  for (const uint32_t e : each)
    if (e < 1 || e > 400) throw po::error("--each: 1 to 400, as a block has 512 ports");
  for (const uint32_t n : sizes)
    if (n < 200) throw po::error("--mappings: at least 200");
  if (load < 10 || load > 95) throw po::error("--load: 10 to 95");

  nlohmann::json results;
  for (const uint32_t n : sizes)
    for (const uint32_t e : each) {
      if (quick && n > 1'000'000 && e != each.front()) continue;
      results["speed"].push_back(measure({n, e, 1, load}, rounds, quick ? 1u << 20 : 1u << 21));
      print(results["speed"].back());
    }
  for (const uint32_t e : each) {
    results["memory"].push_back(measure_memory({quick ? 200'000u : 1'000'000u, e, 2, load}));
    const auto& m = results["memory"].back();
    fmt::print("\nbytes a mapping, {} a subscriber, two protocols: A {:.1f}, B {:.1f}, C {:.1f}\n", e,
               m["A two indexes"].get<double>(), m["B dense slots"].get<double>(),
               m["C in place"].get<double>());
  }
  if (!json_file.empty()) {
    std::ofstream out(json_file);
    out << results.dump(2) << "\n";
    if (!out.flush()) throw std::runtime_error("cannot write " + json_file);
  }
} catch (const std::exception& e) {
  std::cerr << "culvert-table-designs: " << e.what() << "\n";
  return 1;
}
