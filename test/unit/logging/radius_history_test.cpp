// Random histories of sessions, written as detail records out of order, twice and broken, and imported piece
// by piece: whoever is asked for is found as a plain model over all sessions finds him.
#include <rapidcheck.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <optional>
#include <tuple>

#include "logging/radius/import.h"
#include "logging/radius/lookup.h"
#include "net/mapped.h"
#include "radius_details.h"
#include "test_directory.h"

using namespace culvert::logging::radius;
using namespace culvert::test;
using culvert::net::Ipv6Prefix;

namespace {

constexpr uint64_t kNoon = 1'795'348'800;
constexpr uint64_t kForever = UINT64_MAX;
/// Sessions of one id on one NAS are this far apart, and records of one session.
constexpr uint64_t kApart = 200, kStep = 70;

const std::vector<std::string> kPool = {"2001:db8:1::/48",     "2001:db8:1:100::/56", "2001:db8:1:200::/56",
                                        "2001:db8:1:100::/64", "100.64.0.1",          "100.64.0.2"};
/// What is asked for besides.
const std::vector<std::string> kOthers = {"2001:db8::/32", "2001:db8:1:1ff::/64", "100.64.0.0/24",
                                          "100.64.0.9"};

/// A packet, as the model knows it.
struct Packet {
  Status status{};
  Span time;
  std::optional<uint64_t> session_time;
  bool with_prefixes = true;
};

/// A session that there was. One of whom no packet came is nobody's.
struct Life {
  std::string nas, id, user;
  std::vector<std::string> prefixes;
  std::vector<Packet> packets;

  uint64_t seen_from() const {
    uint64_t t = kForever;
    for (const Packet& p : packets) t = std::min(t, p.time.latest);
    return t;
  }
  uint64_t seen_until() const {
    uint64_t t = 0;
    for (const Packet& p : packets) t = std::max(t, p.time.earliest);
    return t;
  }
  /// Of all packets of this status.
  std::optional<Span> first(Status status) const {
    std::optional<Span> found;
    for (const Packet& p : packets)
      if (p.status == status)
        found =
            !found ? p.time
                   : Span{std::min(found->earliest, p.time.earliest), std::min(found->latest, p.time.latest)};
    return found;
  }
  std::optional<Span> began() const {
    if (const auto start = first(Status::start)) return start;
    std::optional<Span> found;
    for (const Packet& p : packets)
      if (p.session_time) {
        const Span b{p.time.earliest - *p.session_time, p.time.latest - *p.session_time};
        found = !found ? b : Span{std::min(found->earliest, b.earliest), std::min(found->latest, b.latest)};
      }
    return found;
  }
  /// Where no packet has them, nobody knows that it had them.
  bool held(const std::string& prefix) const {
    return std::find(prefixes.begin(), prefixes.end(), prefix) != prefixes.end() &&
           std::any_of(packets.begin(), packets.end(), [](const Packet& p) { return p.with_prefixes; });
  }
};

struct History {
  std::vector<Life> lives;
  std::map<std::string, std::vector<Packet>> restarts;  ///< by NAS
  std::vector<std::string> records;                     ///< all of it, as text
};

uint64_t draw(uint64_t least, uint64_t below) { return *rc::gen::inRange(least, below); }
bool chance(unsigned percent) { return draw(0, 100) < percent; }

/// Sends a packet, sometimes twice: what is on the wire, and what the model is to know.
void send(History& h, std::vector<Packet>& packets, Attributes attributes, Packet p, uint64_t time) {
  // The NAS' clock is 7 s ahead, right, or not told; it says how long it tried, or not.
  const uint64_t ahead = draw(0, 3) == 0 ? 7 : 0, delay = draw(0, 4);
  const bool told = chance(80), with_delay = chance(50);
  if (told) attributes.emplace_back("Event-Timestamp", event_timestamp(time + ahead));
  if (with_delay) attributes.emplace_back("Acct-Delay-Time", std::to_string(delay));
  // What is sent again without a time is told apart by nobody.
  const int times = told && chance(20) ? 2 : 1;
  for (int i = 0; i < times; i++) {
    const uint64_t arrival = time + delay + (i == 0 ? 0 : draw(0, 20));
    const uint64_t by_arrival = with_delay ? arrival - delay : arrival;
    p.time = told ? Span{std::min(time + ahead, by_arrival), std::max(time + ahead, by_arrival)}
                  : Span{by_arrival, by_arrival};
    packets.push_back(p);
    h.records.push_back(detail_record(attributes, arrival));
  }
}

/// `again`: its id was another session's. Then it has a Start, and tells how long it lasts: without these,
/// two sessions can be told apart only where their records come in order.
void live(History& h, Life life, uint64_t time, bool again) {
  const Attributes common = {{"Acct-Session-Id", '"' + life.id + '"'},
                             {"User-Name", '"' + life.user + '"'},
                             {"NAS-Identifier", '"' + life.nas + '"'}};
  const uint64_t began = time;
  const auto packet = [&](Status status, const char* name) {
    Packet p{status, {}, std::nullopt, chance(80)};
    Attributes a = common;
    a.insert(a.begin() + static_cast<std::ptrdiff_t>(draw(0, 4)), {"Acct-Status-Type", name});
    if (status != Status::start && (again || chance(60))) {
      p.session_time = time - began;
      a.emplace_back("Acct-Session-Time", std::to_string(*p.session_time));
    }
    for (const std::string& prefix : life.prefixes)
      if (p.with_prefixes)
        a.emplace_back(prefix.find(':') == std::string::npos ? "Framed-IP-Address" : "Delegated-IPv6-Prefix",
                       prefix);
    send(h, life.packets, a, p, time);
  };
  if (again || chance(70)) packet(Status::start, "Start");
  for (uint64_t n = draw(0, 4); n > 0; n--) {
    time += kStep + draw(0, 300);
    if (chance(80)) packet(Status::interim, "Interim-Update");
  }
  time += kStep + draw(0, 300);
  if (chance(60)) packet(Status::stop, "Stop");
  if (!life.packets.empty()) h.lives.push_back(life);
}

History draw_history() {
  History h;
  for (uint64_t n = draw(1, 12); n > 0; n--) {
    Life life;
    life.nas = *rc::gen::element("bras1", "bras2");
    life.id = std::to_string(n);
    life.user = *rc::gen::element("alice", "bob", "carol");
    for (uint64_t i = draw(0, 3); i > 0; i--) {
      const std::string prefix = *rc::gen::elementOf(kPool);
      if (std::find(life.prefixes.begin(), life.prefixes.end(), prefix) == life.prefixes.end())
        life.prefixes.push_back(prefix);
    }
    uint64_t time = kNoon + draw(0, 2000);
    // An id may be given again.
    const bool again = chance(25) && !h.lives.empty();
    if (again) {
      const Life& before = *rc::gen::elementOf(h.lives);
      life.nas = before.nas;
      life.id = before.id;
      for (const Life& l : h.lives)
        if (l.nas == life.nas && l.id == life.id)
          for (const Packet& p : l.packets) time = std::max(time, p.time.latest + kApart);
    }
    live(h, life, time, again);
  }
  for (uint64_t n = draw(0, 4); n > 0; n--) {
    const bool on = chance(50);
    const std::string nas = *rc::gen::element("bras1", "bras2", "bras3");
    send(h, h.restarts[nas],
         {{"Acct-Status-Type", on ? "Accounting-On" : "Accounting-Off"}, {"NAS-Identifier", '"' + nas + '"'}},
         {on ? Status::accounting_on : Status::accounting_off}, kNoon + draw(0, 4000));
  }
  return h;
}

Span in_ms(const Span& s) { return {s.earliest * 1000, s.latest * 1000 + 999}; }
bool overlap(const Ipv6Prefix& a, const Ipv6Prefix& b) { return a.overlaps(b); }

std::string told(const std::string& prefix, const std::string& nas, const std::string& id, const Span& began,
                 const Span& ended, std::string_view by, bool certain) {
  return fmt::format("{} {} {} {}-{} {}-{} {} {}", prefix, nas, id, began.earliest, began.latest,
                     ended.earliest, ended.latest, by, certain);
}

/// When a session ended, and how that is known: in ms.
std::pair<Span, std::string> end_of(const History& h, const Life& life, const std::string& prefix) {
  if (const auto stop = life.first(Status::stop)) return {in_ms(*stop), "stop"};
  Span ended{life.seen_until() * 1000, kForever};
  std::string by = "unknown";
  const auto earlier = [&](const Span& at, std::string_view how) {
    if (in_ms(at).latest >= ended.latest) return;
    ended.latest = in_ms(at).latest;
    by = how;
  };
  const Life* next = nullptr;
  for (const Life& l : h.lives)
    if (l.nas == life.nas && l.id == life.id && l.seen_from() > life.seen_from())
      if (next == nullptr || l.seen_from() < next->seen_from()) next = &l;
  if (next != nullptr) earlier(*next->first(Status::start), "reused");

  std::optional<std::tuple<uint64_t, uint64_t, bool>> restart;
  if (const auto all = h.restarts.find(life.nas); all != h.restarts.end())
    for (const Packet& p : all->second) {
      const std::tuple key{p.time.earliest, p.time.latest, p.status == Status::accounting_on};
      if (p.time.earliest > life.seen_until() && (!restart || key < *restart)) restart = key;
    }
  if (restart)
    earlier({std::get<0>(*restart), std::get<1>(*restart)},
            std::get<2>(*restart) ? "accounting-on" : "accounting-off");

  const Life* heir = nullptr;
  const auto rank = [](const Life& l) { return std::tuple(l.began()->earliest, l.id, l.seen_from()); };
  for (const Life& l : h.lives)
    if (l.nas == life.nas && l.held(prefix) && l.began() && l.began()->earliest > life.seen_until())
      if (heir == nullptr || rank(l) < rank(*heir)) heir = &l;
  if (heir != nullptr) earlier(*heir->began(), "superseded");
  return {ended, by};
}

std::vector<std::string> model(const History& h, const std::string& asked, const Window& window,
                               uint64_t slack) {
  const uint64_t from = window.from - std::min(window.from, slack), to = window.to + slack;
  std::vector<std::string> found;
  for (const Life& life : h.lives)
    for (const std::string& prefix : life.prefixes) {
      if (!life.held(prefix) ||
          !overlap(*culvert::net::parse_subscriber(prefix), *culvert::net::parse_subscriber(asked)))
        continue;
      const auto start = life.began();
      const Span began = start ? in_ms(*start) : Span{0, in_ms({0, life.seen_from()}).latest};
      const auto [ended, by] = end_of(h, life, prefix);
      if (began.earliest > to || ended.latest < from) continue;
      uint64_t held_from = kForever, held_until = 0;
      for (const Packet& p : life.packets)
        if (p.with_prefixes) {
          held_from = std::min(held_from, p.time.latest);
          held_until = std::max(held_until, p.time.earliest);
        }
      const bool certain = began.latest <= from && ended.earliest >= to && held_from * 1000 + 999 <= from &&
                           held_until * 1000 >= to;
      found.push_back(told(prefix, life.nas, life.id, began, ended, by, certain));
    }
  std::sort(found.begin(), found.end());
  return found;
}

std::vector<std::string> ask(const Index& index, const std::string& asked, const Window& window,
                             uint64_t slack) {
  std::vector<std::string> found;
  find_prefix(index, *culvert::net::parse_subscriber(asked), window, slack, [&](const Match& m) {
    found.push_back(told(culvert::net::subscriber_text(m.prefix->address, m.prefix->length), m.session.nas,
                         m.session.id, m.began, m.ended, name_of(m.ending), m.certain));
  });
  std::sort(found.begin(), found.end());
  return found;
}

/// All sessions, for whoever looks for a mistake.
std::string described(const Index& index) {
  std::string text;
  Index::Sessions stream(index);
  for (Session s; stream.next(s);)
    text += fmt::format("{} {} {} seen {}-{} {} {}-{} ended {} {}-{}\n", s.nas, s.id, s.user_name,
                        s.seen_from, s.seen_until, name_of(s.begin), s.began.earliest, s.began.latest,
                        static_cast<int>(s.end), s.ended.earliest, s.ended.latest);
  return text;
}

/// Writes all records to some files and imports them one after the other, some in two goes.
void import_history(const History& h, const TestDirectory& d) {
  std::vector<std::string> records = h.records;
  if (chance(70))  // a bit out of order
    for (size_t i = 0; i + 1 < records.size(); i++)
      if (chance(30)) std::swap(records[i], records[i + 1]);
  if (chance(30)) std::reverse(records.begin(), records.end());
  const size_t files = draw(1, 4);
  std::vector<std::string> texts(files);
  for (const std::string& r : records) {
    std::string& text = texts[draw(0, files)];
    text += r;
    if (chance(5)) text += r.substr(0, draw(30, r.rfind("Timestamp"))) + "\n\n";  // cut off by a crash
  }
  std::filesystem::remove(d.path("index"));
  BuildOptions options;
  options.memory = draw(0, 3000);
  for (size_t i = 0; i < files; i++) {
    const std::string path = d.path("detail");
    std::filesystem::remove(path);
    if (chance(40)) {
      write_file(path, texts[i].substr(0, draw(0, texts[i].size() + 1)));
      import_files(d.path("index"), {path}, options);
    }
    write_file(path, texts[i] + h.records.front().substr(0, draw(0, 60)));
    const ImportReport report = import_files(d.path("index"), {path}, options);
    RC_ASSERT(report.failed.empty());
  }
}

}  // namespace

TEST_CASE("Any history of sessions is told as it was", "[radius]") {
  const TestDirectory d;
  CHECK(rc::check("histories", [&] {
    const History h = draw_history();
    if (h.records.empty()) return;
    import_history(h, d);
    const Index index(File::open(d.path("index")));
    if (index.header().sessions != h.lives.size()) RC_LOG() << described(index);
    if (index.header().sessions != h.lives.size())
      for (const auto& r : h.records) RC_LOG() << r;
    RC_ASSERT(index.header().sessions == h.lives.size());
    for (int i = 0; i < 10; i++) {
      const std::string asked = chance(80) ? *rc::gen::elementOf(kPool) : *rc::gen::elementOf(kOthers);
      Window window;
      window.from = (kNoon - 500) * 1000 + draw(0, 6'000'000);
      window.to = window.from + (chance(50) ? 0 : draw(0, 2'000'000));
      const uint64_t slack = chance(50) ? 0 : draw(0, 9000);
      const auto expected = model(h, asked, window, slack), found = ask(index, asked, window, slack);
      RC_LOG() << fmt::format("{} from {} to {} slack {}\nexpected {}\nfound {}\n", asked, window.from,
                              window.to, slack, fmt::join(expected, "\n"), fmt::join(found, "\n"));
      if (found != expected)
        for (const auto& r : h.records) RC_LOG() << r;
      RC_ASSERT(found == expected);
    }
  }));
}
