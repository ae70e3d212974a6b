// RSS by subscriber against DPDK's own Toeplitz hash (rte_softrss), which is what NICs compute: every packet
// of a subscriber on one queue, neighbours spread evenly, and Steering of the same opinion.
#include "dataplane/steering.h"

#include <rapidcheck.h>
#include <rte_thash.h>

#include <catch2/catch.hpp>
#include <numeric>
#include <set>

using namespace culvert;
using dataplane::Steering;
using dataplane::SubscriberKey;
using dataplane::SubscriberMasks;
using dataplane::SubscriberRss;

namespace {

/// What a NIC with this key and a table of 2^bits entries looks up for a packet.
class Nic {
 public:
  /// `source_only`: it hashes nothing but the source (RTE_ETH_RSS_L3_SRC_ONLY).
  Nic(const SubscriberRss& rss, bool source_only, size_t key_bytes = 40)
      : key_(rss.key(key_bytes)), mask_((1u << rss.reta_bits()) - 1), source_only_(source_only) {
    key_.resize(64);  // rte_softrss reads one word past the input
  }
  uint32_t entry(net::Ipv4Address source, uint32_t destination = 0, uint32_t ports = 0) {
    uint32_t words[] = {source.value(), destination, ports};
    return rte_softrss(words, source_only_ ? 1 : 3, key_.data()) & mask_;
  }
  uint32_t entry(const net::Ipv6Address& source, const net::Ipv6Address& destination = {},
                 uint32_t ports = 0) {
    uint32_t words[9];
    load(source, words);
    load(destination, words + 4);
    words[8] = ports;
    return rte_softrss(words, source_only_ ? 4 : 9, key_.data()) & mask_;
  }

 private:
  static void load(const net::Ipv6Address& a, uint32_t* words) {
    std::memcpy(words, a.bytes.data(), 16);
    for (int i = 0; i < 4; i++) words[i] = rte_be_to_cpu_32(words[i]);
  }
  std::vector<uint8_t> key_;
  uint32_t mask_;
  bool source_only_;
};

net::Ipv6Address any_ipv6() {
  return net::Ipv6Address::from_halves(*rc::gen::arbitrary<uint64_t>(), *rc::gen::arbitrary<uint64_t>());
}
net::Ipv6Address with_host(const net::Ipv6Address& a, const net::Ipv6Address& host, unsigned mask) {
  net::Ipv6Address out = a.masked(mask);
  const net::Ipv6Address prefix_of_host = host.masked(mask);
  for (size_t i = 0; i < 16; i++)
    out.bytes[i] = static_cast<uint8_t>(out.bytes[i] | (host.bytes[i] ^ prefix_of_host.bytes[i]));
  return out;
}
uint32_t host_bits(unsigned mask) { return mask == 32 ? 0 : ~uint32_t{0} >> mask; }

/// Subscriber number `n` of a provider's prefix: mask bits, the number in the last of them.
net::Ipv6Address nth(const net::Ipv6Address& provider, uint64_t n, unsigned mask) {
  net::Uint128 v = static_cast<net::Uint128>(provider.high()) << 64 | provider.low();
  v += static_cast<net::Uint128>(n) << (128 - mask);
  return net::Ipv6Address::from_halves(static_cast<uint64_t>(v >> 64), static_cast<uint64_t>(v));
}

unsigned any_reta_bits() { return *rc::gen::element(6u, 7u, 8u, 9u, 11u, 12u); }

/// Most and fewest entries' worth of subscribers, and how they fall on so many workers.
struct Spread {
  std::vector<uint32_t> by_entry;
  explicit Spread(unsigned reta_bits) : by_entry(1u << reta_bits) {}
  uint32_t difference() const {
    const auto [least, most] = std::minmax_element(by_entry.begin(), by_entry.end());
    return *most - *least;
  }
  double max_over_mean(unsigned workers) const {
    std::vector<uint64_t> by_worker(workers);
    for (unsigned e = 0; e < by_entry.size(); e++)
      by_worker[Steering::worker_of_bucket(e, workers)] += by_entry[e];
    const double total =
        static_cast<double>(std::accumulate(by_worker.begin(), by_worker.end(), uint64_t{0}));
    return static_cast<double>(*std::max_element(by_worker.begin(), by_worker.end())) * workers / total;
  }
};

}  // namespace

TEST_CASE("the RSS key keeps each IPv6 subscriber on one queue, whatever else is in the packet",
          "[dataplane][steering]") {
  CHECK(rc::check([] {
    const auto mask = *rc::gen::element<uint8_t>(48, 49, 52, 56, 60, 63, 64, 96, 128);
    const unsigned reta_bits = any_reta_bits();
    const bool source_only = *rc::gen::arbitrary<bool>();
    const SubscriberRss rss({std::nullopt, mask}, reta_bits, source_only);
    RC_ASSERT(rss.steers_ipv6());
    Nic nic(rss, source_only);
    const net::Ipv6Address a = any_ipv6(), b = with_host(a, any_ipv6(), mask);
    RC_ASSERT(nic.entry(a, any_ipv6(), *rc::gen::arbitrary<uint32_t>()) ==
              nic.entry(b, any_ipv6(), *rc::gen::arbitrary<uint32_t>()));
  }));
}

TEST_CASE("the RSS key keeps each IPv4 subscriber on one queue, whatever else is in the packet",
          "[dataplane][steering]") {
  CHECK(rc::check([] {
    const auto mask = static_cast<uint8_t>(*rc::gen::inRange(24, 33));
    const bool source_only = *rc::gen::arbitrary<bool>();
    const SubscriberRss rss({mask, std::nullopt}, any_reta_bits(), source_only);
    RC_ASSERT(rss.steers_ipv4());
    Nic nic(rss, source_only);
    const auto word = [] { return *rc::gen::arbitrary<uint32_t>(); };
    const uint32_t a = word(), b = (a & ~host_bits(mask)) | (word() & host_bits(mask));
    RC_ASSERT(nic.entry(net::Ipv4Address(a), word(), word()) ==
              nic.entry(net::Ipv4Address(b), word(), word()));
  }));
}

TEST_CASE("one RSS key serves both families where the NIC hashes sources only", "[dataplane][steering]") {
  CHECK(rc::check([] {
    const auto mask4 = static_cast<uint8_t>(*rc::gen::inRange(24, 33));
    const auto mask6 = *rc::gen::element<uint8_t>(48, 52, 56, 60, 64, 128);
    const unsigned reta_bits = *rc::gen::element(6u, 7u, 9u);
    const SubscriberRss rss({mask4, mask6}, reta_bits, true);
    RC_ASSERT(rss.steers_ipv4() && rss.steers_ipv6());
    Nic nic(rss, true);
    const net::Ipv6Address a = any_ipv6();
    RC_ASSERT(nic.entry(a) == nic.entry(with_host(a, any_ipv6(), mask6)));
    const auto b = *rc::gen::arbitrary<uint32_t>(), c = *rc::gen::arbitrary<uint32_t>();
    RC_ASSERT(nic.entry(net::Ipv4Address(b)) ==
              nic.entry(net::Ipv4Address((b & ~host_bits(mask4)) | (c & host_bits(mask4)))));
  }));
  // Where the destination is hashed too, IPv4's cut would take all that tells IPv6 subscribers apart.
  const SubscriberRss both({uint8_t{32}, uint8_t{56}}, 7, false);
  CHECK(both.steers_ipv6());
  CHECK_FALSE(both.steers_ipv4());
  CHECK(both.text() == "IPv6 sources by /56");
  CHECK_FALSE(both.entry(SubscriberKey::ipv4(net::Ipv4Address(0x64400001), 32, 0).prefix));
}

TEST_CASE("Steering, buckets and the NIC agree on every packet of a subscriber", "[dataplane][steering]") {
  CHECK(rc::check([] {
    const auto cut4 = static_cast<uint8_t>(*rc::gen::inRange(24, 33));
    const auto cut6 = *rc::gen::element<uint8_t>(48, 56, 60, 64, 128);
    const unsigned reta_bits = *rc::gen::element(6u, 7u, 8u, 9u);
    const auto workers = static_cast<unsigned>(*rc::gen::inRange(2, 65));
    auto rss = std::make_shared<const SubscriberRss>(SubscriberMasks{cut4, cut6}, reta_bits, true);
    const Steering steering(workers, rss);
    Nic nic(*rss, true, *rc::gen::element<size_t>(40, 52));
    // His mask may be longer than the shortest one, which the key was cut for.
    const auto mask4 = static_cast<unsigned>(*rc::gen::inRange<int>(cut4, 33));
    const auto mask6 = static_cast<unsigned>(*rc::gen::inRange<int>(cut6, 129));
    const net::Ipv6Address host = any_ipv6();
    const net::Ipv4Address a(*rc::gen::arbitrary<uint32_t>());
    const uint8_t instance = *rc::gen::arbitrary<uint8_t>();
    RC_ASSERT(Steering::worker_of_bucket(nic.entry(host), workers) ==
              steering.worker_of(SubscriberKey::ipv6(host, mask6, instance)));
    RC_ASSERT(Steering::worker_of_bucket(nic.entry(a), workers) ==
              steering.worker_of(SubscriberKey::ipv4(a, mask4, instance)));
  }));
}

TEST_CASE("neighbouring IPv6 subscribers have an entry each before any has two", "[dataplane][steering]") {
  CHECK(rc::check([] {
    const auto mask = *rc::gen::element<uint8_t>(48, 52, 56, 60, 63, 64, 128);
    const unsigned reta_bits = *rc::gen::element(7u, 9u);
    const SubscriberRss rss({*rc::gen::element<std::optional<uint8_t>>(std::nullopt, 24, 32), mask},
                            reta_bits, true);
    Nic nic(rss, true);
    const net::Ipv6Address provider = any_ipv6().masked(32);
    // Prefixes given out one by one, or every 2nd, 4th … 32nd of them.
    const unsigned stride = *rc::gen::inRange(0u, mask < 52 && rss.steers_ipv4() ? 1u : 6u);
    const auto first = *rc::gen::inRange(0u, 1u << 12);
    const auto count = *rc::gen::inRange(1024u, mask == 48 ? 8192u : 16'384u);
    Spread spread(reta_bits);
    for (unsigned n = first; n < first + count; n++)
      spread.by_entry[nic.entry(nth(provider, uint64_t{n} << stride, mask))]++;
    // Aligned runs of 2^r are even to the last; the two ends add one each.
    RC_ASSERT(spread.difference() <= 2u);
  }));
}

TEST_CASE("neighbouring IPv4 subscribers have an entry each before any has two", "[dataplane][steering]") {
  CHECK(rc::check([] {
    const auto mask = static_cast<uint8_t>(*rc::gen::inRange(24, 33));
    const unsigned reta_bits = *rc::gen::element(7u, 9u);
    const bool source_only = *rc::gen::arbitrary<bool>();
    const SubscriberRss rss({mask, source_only ? std::optional<uint8_t>(56) : std::nullopt}, reta_bits,
                            source_only);
    Nic nic(rss, source_only);
    const auto first = *rc::gen::inRange(0u, 1u << 12);
    const auto count = *rc::gen::inRange(1024u, std::min(16'384u, 1u << (mask - 10)));
    Spread spread(reta_bits);
    for (unsigned n = first; n < first + count; n++)
      spread.by_entry[nic.entry(net::Ipv4Address(0x0a000000u + (n << (32 - mask))))]++;
    RC_ASSERT(spread.difference() <= 2u);
  }));
}

TEST_CASE("neighbours fall evenly on 2 to 64 workers by tables of 128 and 512", "[dataplane][steering]") {
  for (const unsigned reta_bits : {7u, 9u}) {
    for (const uint8_t mask : {48, 56, 60, 64, 128}) {
      const SubscriberRss rss({uint8_t{32}, mask}, reta_bits, true);
      Nic nic(rss, true);
      for (const unsigned count : {1024u, 4096u, 65'536u}) {
        Spread ipv6(reta_bits), ipv4(reta_bits);
        const net::Ipv6Address provider = *net::Ipv6Address::parse("2001:db8::");
        for (unsigned n = 0; n < count; n++) {
          ipv6.by_entry[nic.entry(nth(provider, n + 77, mask))]++;
          ipv4.by_entry[nic.entry(net::Ipv4Address(0x64400000u + 77 + n))]++;
        }
        for (unsigned workers = 2; workers <= 64; workers++) {
          // A worker has at most ceil(entries / workers) entries, an entry at most 2 more than its share.
          const unsigned entries = 1u << reta_bits;
          const double most = double((entries + workers - 1) / workers) * (double(count) / entries + 2);
          const double bound = most * workers / count;
          CAPTURE(reta_bits, int(mask), count, workers);
          CHECK(ipv6.max_over_mean(workers) <= bound);
          CHECK(ipv4.max_over_mean(workers) <= bound);
          if (entries % workers == 0 && count == 65'536u) CHECK(ipv6.max_over_mean(workers) < 1.01);
        }
      }
    }
  }
}

TEST_CASE("subscribers at random prefixes fall on the table's entries as by chance (chi-square)",
          "[dataplane][steering]") {
  for (const unsigned reta_bits : {7u, 9u}) {
    const SubscriberRss rss({uint8_t{32}, uint8_t{56}}, reta_bits, true);
    Nic nic(rss, true);
    const unsigned entries = 1u << reta_bits, count = 100 * entries;
    Spread ipv6(reta_bits), ipv4(reta_bits);
    net::Random random(7);
    for (unsigned n = 0; n < count; n++) {
      ipv6.by_entry[nic.entry(nth(*net::Ipv6Address::parse("2001:db8::"), random.next() & 0xffffff, 56))]++;
      ipv4.by_entry[nic.entry(net::Ipv4Address(0x64400000u + (random.next() & 0x3fffff)))]++;
    }
    for (const Spread* s : {&ipv6, &ipv4}) {
      double chi = 0;
      for (uint32_t n : s->by_entry) chi += (n - 100.0) * (n - 100.0) / 100.0;
      // Mean entries - 1, deviation sqrt(2 (entries - 1)); more evenly than by chance is welcome.
      CHECK(chi < entries - 1 + 5 * std::sqrt(2.0 * (entries - 1)));
    }
  }
}

TEST_CASE("cutting the key right at the mask would bring neighbours to one queue", "[dataplane][steering]") {
  // What the cut at mask + 24 (for 128 entries) is for. The control: the same key, cut where it looks right.
  const SubscriberRss rss({std::nullopt, uint8_t{56}}, 7, true);
  std::vector<uint8_t> key = rss.key(64);
  CHECK((key[10] & 0x80) != 0);  // bit 56 + 24 is the last one set
  CHECK((key[10] & 0x7f) == 0);
  CHECK(rss.key_bytes() == 11);
  std::fill(key.begin() + 7, key.end(), 0);
  std::set<uint32_t> entries, entries_ours;
  Nic nic(rss, true);
  for (unsigned n = 0; n < 128; n++) {
    const net::Ipv6Address a = nth(*net::Ipv6Address::parse("2001:db8::"), n, 56);
    uint32_t words[4];
    std::memcpy(words, a.bytes.data(), 16);
    for (uint32_t& w : words) w = rte_be_to_cpu_32(w);
    entries.insert(rte_softrss(words, 4, key.data()) & 127);
    entries_ours.insert(nic.entry(a));
  }
  CHECK(entries.size() == 1);
  CHECK(entries_ours.size() == 128);
}

TEST_CASE("the polynomials are primitive: prefixes a power of two apart meet again after 2^r - 1 only",
          "[dataplane][steering]") {
  for (unsigned reta_bits = 2; reta_bits <= 7; reta_bits++) {
    const SubscriberRss rss({std::nullopt, uint8_t{128}}, reta_bits, true);
    std::set<uint32_t> entries;
    const unsigned period = (1u << reta_bits) - 1;
    for (unsigned bit = 0; bit < period; bit++)
      entries.insert(*rss.entry(bit < 64 ? net::Ipv6Address::from_halves(0, uint64_t{1} << bit)
                                         : net::Ipv6Address::from_halves(uint64_t{1} << (bit - 64), 0)));
    CHECK(entries.size() == period);
    CHECK_FALSE(entries.contains(0));
  }
  for (unsigned reta_bits = 8; reta_bits <= 12; reta_bits++) {  // the period is longer than an address
    const SubscriberRss rss({std::nullopt, uint8_t{128}}, reta_bits, true);
    // Steps of the register, followed from the windows of two neighbouring bits, by the recurrence itself.
    std::vector<uint32_t> window;
    for (unsigned bit = 0; bit < 64; bit++)
      window.push_back(*rss.entry(net::Ipv6Address::from_halves(0, uint64_t{1} << bit)));
    const std::vector<uint8_t> key = rss.key(20);
    std::vector<bool> t;  // the response, from the cut backwards
    for (unsigned i = 0; i < 128; i++) {
      const unsigned at = 128 + 31 - reta_bits - i;
      t.push_back((key[at / 8] >> (7 - at % 8) & 1) != 0);
    }
    // 1/t mod x^(r+1) is the polynomial.
    uint32_t p = 0;
    for (unsigned n = 0; n <= reta_bits; n++) {
      bool v = n == 0;
      for (unsigned i = 0; i < n; i++) v ^= (p >> i & 1) && t[n - i];
      p |= uint32_t{v} << n;
    }
    uint32_t x = 1;
    unsigned order = 0;
    do {
      x <<= 1;
      if (x >> reta_bits & 1) x ^= p;
      order++;
    } while (x != 1 && order < 1u << reta_bits);
    CHECK(order == (1u << reta_bits) - 1);
  }
}

TEST_CASE("a reload that shortens a subscriber-mask is noticed, one that lengthens it does no harm",
          "[dataplane][steering]") {
  const SubscriberRss rss({uint8_t{32}, uint8_t{56}}, 7, true);
  CHECK(rss.keeps({uint8_t{32}, uint8_t{56}}));
  CHECK(rss.keeps({uint8_t{32}, uint8_t{64}}));
  CHECK(rss.keeps({std::nullopt, uint8_t{60}}));
  CHECK_FALSE(rss.keeps({uint8_t{32}, uint8_t{48}}));
  CHECK_FALSE(rss.keeps({uint8_t{24}, uint8_t{56}}));
}

TEST_CASE("masks that leave fewer subscribers than entries are not steered by RSS", "[dataplane][steering]") {
  const SubscriberRss nothing({uint8_t{0}, std::nullopt}, 7, true);
  CHECK_FALSE(nothing.steered().any());
  CHECK_FALSE(SubscriberRss({uint8_t{4}, std::nullopt}, 7, true).steered().any());
  CHECK(SubscriberRss({uint8_t{7}, std::nullopt}, 7, true).steers_ipv4());
}

TEST_CASE("pins go before RSS and before the hash", "[dataplane][steering]") {
  for (const bool with_rss : {false, true}) {
    auto rss = std::make_shared<const SubscriberRss>(SubscriberMasks{uint8_t{32}, uint8_t{56}}, 7, true);
    Steering steering(4, with_rss ? rss : nullptr);
    const auto key = SubscriberKey::ipv4(net::Ipv4Address(0x64400005), 32, 3);
    const dataplane::WorkerId other = (steering.worker_of(key) + 1) % 4;
    steering.pin(key, other);
    CHECK(steering.worker_of(key) == other);
    CHECK(steering.bucket(steering.bucket_of(key)) != other);
    // Without RSS the same address of another instance is another subscriber.
    CHECK(steering.worker_of(SubscriberKey::ipv4(net::Ipv4Address(0x64400005), 32, 4)) < 4);
  }
}
