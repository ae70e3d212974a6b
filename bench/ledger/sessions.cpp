#include <fmt/format.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <queue>

#include "logging/ledger/batch_writer.h"
#include "logging/ledger/notes.h"
#include "logging/ledger/seal.h"
#include "net/hash.h"
#include "parts.h"

namespace culvert::bench {

using namespace logging::ledger;

namespace {

constexpr uint64_t kNow = 1'795'305'600'000;
constexpr uint32_t kHomes = 32'768, kSites = 50'000;
constexpr double kPerSecond = 10'000, kLastSeconds = 30;

/// Sessions of homes behind DS-Lite, each home with a block of 512 ports: four in five go to HTTPS, and many
/// to a few sites.
class Sessions {
 public:
  explicit Sessions(bool destinations) : destinations_(destinations) {
    note(InstanceNote{.number = 1, .carriage = 1, .name = "homes"});
    note(AddressRange{.first_block = 0,
                      .instance = 1,
                      .first_address = net::Ipv4Address(0xc6120000),
                      .addresses = 1024,
                      .first_port = 1024,
                      .set_size = 512,
                      .sets = 126});
    note(Source{.worker = 0, .epoch = 1, .next = 1});
    for (uint32_t home = 0; home < kHomes; home++) {
      note(SubscriberNote{
          .number = home,
          .instance = 1,
          .prefix = net::Ipv6Address::from_halves(0x20010db8'00000000 + (uint64_t{home} << 8), 0),
          .length = 56});
      out_.allocated(now_, 0, 1, home / 120 * 126 + home % 120, home);
    }
  }

  std::string run(uint64_t events) {
    double next = 0;
    while (out_.events() < events) {
      const bool ends = !open_.empty() && open_.top().time <= next;
      const double time = ends ? open_.top().time : next;
      if (static_cast<uint64_t>(time / 100) != batch_ && !out_.empty()) bytes_ += out_.take();
      batch_ = static_cast<uint64_t>(time / 100);
      now_ = kNow + static_cast<uint64_t>(time);
      if (ends) {
        tell(Type::session_deleted, open_.top().session);
        open_.pop();
        continue;
      }
      const SessionNote s = session();
      tell(Type::session_created, s);
      open_.push({time + exponential(1000 * kLastSeconds), s});
      next += exponential(1000 / kPerSecond);
    }
    return bytes_ + std::string(out_.take());
  }

 private:
  struct Open {
    double time;
    SessionNote session;
    bool operator<(const Open& o) const { return time > o.time; }
  };
  double uniform() { return (static_cast<double>(random_.next() >> 11) + 0.5) * 0x1p-53; }
  double exponential(double mean) { return -mean * std::log(uniform()); }
  template <typename Note>
  void note(const Note& n) {
    out_.add(now_, 0, Note::kType, encode(n));
  }
  void tell(Type type, const SessionNote& s) { out_.add(now_, 0, type, encode(s)); }

  SessionNote session() {
    const uint32_t home = random_.below(kHomes);
    SessionNote s;
    s.binding.subscriber = home;
    s.binding.external = net::Ipv4Address(0xc6120000 + home / 120);
    s.binding.port = static_cast<uint16_t>(1024 + home % 120 * 512 + random_.below(512));
    s.binding.protocol = random_.below(10) < 7 ? 6 : 17;
    const net::Ipv4Address internal(0xc0a80164 + random_.below(8));
    s.binding.internal.assign(reinterpret_cast<const char*>(&internal), sizeof internal);
    s.binding.internal_port = static_cast<uint16_t>(32'768 + random_.below(28'232));
    if (!destinations_) return s;
    const auto site = static_cast<uint32_t>(std::pow(kSites, uniform()));  // the n-th is visited 1/n as often
    s.has_destination = true;
    s.destination = net::Ipv4Address(site * 2'654'435'761u);
    s.destination_port = random_.below(5) != 0 ? 443 : static_cast<uint16_t>(1 + random_.below(65'535));
    return s;
  }

  bool destinations_;
  net::Random random_{1};
  uint64_t now_ = kNow, batch_ = 0;
  BatchWriter out_{LiveHeader{.serial = 1, .opened = kNow, .first_ordinal = 1}};
  std::priority_queue<Open> open_;
  std::string bytes_ = encode(LiveHeader{.serial = 1, .opened = kNow, .first_ordinal = 1});
};

}  // namespace

void session_bytes(const std::string& directory, uint64_t events) {
  for (const bool destinations : {false, true}) {
    const std::string live = Sessions(destinations).run(events);
    const std::string path = directory + "/sessions.seg";
    const uint64_t sealed = seal(live, {}, path).bytes;
    std::filesystem::remove(path);
    const std::string what = destinations ? "sessions with destinations, " : "sessions, ";
    row(what + "live", static_cast<double>(live.size()) / static_cast<double>(events), "B/event");
    row(what + "sealed", static_cast<double>(sealed) / static_cast<double>(events), "B/event",
        fmt::format("{} events", events));
  }
}

}  // namespace culvert::bench
