// The stateful binding as a state machine: random packets, waiting and clearing, against a model so plain
// that it can be believed. After every step the model has the same mappings with the same ends, refusals have
// the reason the model expects, and check_invariants() holds; in the end nothing is left.
#include <rapidcheck.h>

#include <algorithm>
#include <catch2/catch.hpp>

#include "binding_bench.h"

using namespace culvert::test;
namespace config = culvert::config;
namespace net = culvert::net;

namespace {

enum class Act { out, in, wait, clear_mapping, clear_subscriber };

struct Step {
  Act act;
  uint8_t host, remote, flags;
  uint16_t port, remote_port;
  Protocol protocol;
  uint32_t seconds;
};

std::ostream& operator<<(std::ostream& os, const Step& s) {
  static const char* kNames[] = {"out", "in", "wait", "clear-mapping", "clear-subscriber"};
  os << kNames[static_cast<int>(s.act)];
  if (s.act == Act::wait) return os << ' ' << s.seconds << " s";
  return os << " host " << int(s.host) << " port " << s.port << " protocol " << int(s.protocol) << " remote "
            << int(s.remote) << ':' << s.remote_port << " flags " << int(s.flags);
}

/// What the box should be like, without indexes, bitmaps or lists.
class Model {
 public:
  struct Sess {
    RemoteEndpoint remote;
    SessionState state;
    Millis expires;
  };
  struct Map {
    InternalKey internal;
    ExternalKey external;
    Millis expires;              ///< datagrams; TCP while it has no session
    std::vector<Sess> sessions;  ///< the first one is the mapping's own
    bool closed = true;          ///< of all sessions that ended, TCP's end was seen
  };
  struct Blk {
    net::Ipv4Address address;
    uint16_t first, last;
    enum { free, live, held } state = free;
    uint32_t owner = 0;
    Millis until = 0;  ///< live: when it was last used, plus port-set-timeout; held: end of hold-down
    bool idle = false;
  };

  Model(const config::Config& c, uint32_t mapping_capacity, uint32_t subscriber_capacity)
      : i_(c.instances[0]),
        hold_(ms(c.hold_down.timeout)),
        mappings_(mapping_capacity),
        subscribers_(subscriber_capacity) {
    for (const auto& pool : i_.pools)
      for (uint32_t a = pool.first(); a <= pool.last(); a++)
        for (uint32_t first = i_.ports.first_port; first < i_.ports.last_port; first += i_.ports.set_size)
          blocks.push_back({net::Ipv4Address(a), static_cast<uint16_t>(first),
                            static_cast<uint16_t>(first + i_.ports.set_size - 1)});
  }

  Map* find(const InternalKey& k) {
    for (Map& m : maps)
      if (m.internal == k) return &m;
    return nullptr;
  }

  /// Why there is no new mapping for this endpoint; nullopt when there must be one.
  std::optional<DropReason> refusal(const InternalKey& k, Millis now) {
    const uint32_t who = k.ipv4.value();
    unsigned mine = 0, of_protocol = 0, blocks_mine = 0;
    for (const Map& m : maps) {
      mine += m.internal.ipv4 == k.ipv4;
      of_protocol += m.internal.ipv4 == k.ipv4 && m.internal.protocol == k.protocol;
    }
    for (const Blk& b : blocks) blocks_mine += b.state == Blk::live && b.owner == who;
    if (mine == 0 && blocks_mine == 0) {
      rate_[who] = {};
      if (holders() == subscribers_) return DropReason::subscriber_table_full;
    }
    if (i_.limits.mappings != 0 && mine >= i_.limits.mappings) return DropReason::subscriber_mappings;
    if (i_.limits.ports != 0 && of_protocol >= i_.limits.ports) return DropReason::subscriber_ports;
    if (i_.mapping_limit != 0 && maps.size() >= i_.mapping_limit) return DropReason::instance_mappings;
    auto& [second, used] = rate_[who];  // steps of the clock are whole seconds: the bucket is full after each
    if (second != now) used = 0;
    second = now;
    if (i_.limits.mappings_per_second != 0 && used >= i_.limits.mappings_per_second)
      return DropReason::subscriber_rate;
    if (maps.size() == mappings_) return DropReason::mapping_table_full;
    for (const Blk& b : blocks)
      if (b.state == Blk::live && b.owner == who && has_port(b, k.protocol)) return std::nullopt;
    if (blocks_mine == i_.ports.sets_per_subscriber) return DropReason::no_ports;
    for (const Blk& b : blocks)
      if (b.state == Blk::free && (blocks_mine == 0 || b.address == address_of(who))) return std::nullopt;
    return DropReason::no_blocks;
  }

  /// The box chose this external endpoint. Returns what is wrong with it; null when nothing is.
  const char* created(const InternalKey& k, const ExternalKey& e, Millis now) {
    const uint32_t who = k.ipv4.value();
    auto block = std::find_if(blocks.begin(), blocks.end(), [&](const Blk& b) {
      return b.address == e.address && e.port.value() >= b.first && e.port.value() <= b.last;
    });
    if (block == blocks.end()) return "port outside every block";
    if (block->state == Blk::held) return "block in hold-down used again";
    if (port_busy(e)) return "port in use or in hold-down used again";
    if (block->state == Blk::live && block->owner != who) return "somebody else's block";
    if (block->state == Blk::free) {
      for (const Blk& b : blocks)
        if (b.state == Blk::live && b.owner == who && has_port(b, k.protocol))
          return "new block though a port was free";
      if (auto a = address_of(who); a && *a != e.address) return "block on another address";
    }
    // RFC 4787 REQ-4: another parity only where his blocks have no port of the right one.
    if (k.protocol == Protocol::udp && (k.port.value() ^ e.port.value()) % 2 != 0) {
      for (const Blk& b : blocks)
        if (b.state == Blk::live && b.owner == who && has_port(b, k.protocol, k.port.value() % 2))
          return "parity not kept though it could be";
      if (block->state == Blk::free && i_.ports.set_size > 1) return "parity not kept in a new block";
    }
    block->state = Blk::live;
    block->owner = who;
    block->idle = false;
    maps.push_back(
        {k, e, now + (k.protocol == Protocol::tcp ? ms(i_.timers.tcp_trans_open) : datagram(k)), {}});
    if (i_.limits.mappings_per_second != 0) rate_[who].second++;
    return nullptr;
  }

  /// A packet of a mapping goes through, or why not.
  std::optional<DropReason> track(Map& m, Direction d, RemoteEndpoint r, uint8_t flags, Millis now) {
    const bool tcp = m.internal.protocol == Protocol::tcp, out = d == Direction::outbound;
    if (!tcp && i_.filtering == config::Filtering::eif) {
      if (out || i_.udp_inbound_refresh) m.expires = now + datagram(m.internal);
      return {};
    }
    if (!tcp && (i_.filtering == config::Filtering::adf || m.internal.protocol == Protocol::icmp))
      r.port = net::Be16();
    auto s = std::find_if(m.sessions.begin(), m.sessions.end(), [&](const Sess& x) { return x.remote == r; });
    if (tcp && s == m.sessions.end()) {
      if (!out && i_.filtering == config::Filtering::edf) return DropReason::filtered;
      const TcpStep step = tcp_step(SessionState::none, d, flags);
      if (step.state == SessionState::none) return {};
      if (!out && !m.sessions.empty()) return {};  // goes in, makes no session
      if (full(m)) return DropReason::subscriber_sessions;
      m.sessions.push_back({r, step.state, now + timer(step.timer)});
      return {};
    }
    if (tcp) {
      const TcpStep step = tcp_step(s->state, d, flags);
      s->state = step.state;
      const Millis end = now + timer(step.timer);
      if (step.timer == TcpTimer::in_open)
        s->expires = std::max(s->expires, end);
      else if (step.timer != TcpTimer::keep)
        s->expires = end;
      return {};
    }
    if (s == m.sessions.end()) {
      if (!out) return DropReason::filtered;
      if (full(m)) return DropReason::subscriber_sessions;
      m.sessions.push_back({r, SessionState::filter, 0});
      s = std::prev(m.sessions.end());
    }
    if (out || i_.udp_inbound_refresh) s->expires = m.expires = now + datagram(m.internal);
    return {};
  }

  /// What a sweep at this time ends.
  void sweep(Millis now) {
    for (auto it = held_ports.begin(); it != held_ports.end();)
      it = it->second <= now ? held_ports.erase(it) : std::next(it);
    for (Blk& b : blocks)
      if (b.state == Blk::held && b.until <= now) b.state = Blk::free;
    for (size_t n = 0; n < maps.size();) {
      Map& m = maps[n];
      const bool tcp = m.internal.protocol == Protocol::tcp;
      bool over = m.expires <= now;
      if (tcp && !m.sessions.empty()) {
        over = std::ranges::all_of(m.sessions, [&](const Sess& s) { return s.expires <= now; });
        for (const Sess& s : m.sessions)
          if (s.expires <= now) m.closed = m.closed && close_was_seen(s.state);
        const bool first_over = m.sessions.front().expires <= now;
        if (!over) std::erase_if(m.sessions, [&](const Sess& s) { return s.expires <= now; });
        (void)first_over;
      } else if (!over && !m.sessions.empty()) {
        m.sessions.erase(std::remove_if(m.sessions.begin() + 1, m.sessions.end(),
                                        [&](const Sess& s) { return s.expires <= now; }),
                         m.sessions.end());
      }
      if (over)
        end(n, now);
      else
        n++;
    }
    for (Blk& b : blocks)
      if (b.state == Blk::live && b.idle && b.until <= now) give_back(b, now);
  }
  void end(size_t n, Millis now) {
    const Map m = maps[n];
    maps.erase(maps.begin() + static_cast<long>(n));
    // RFC 6888 REQ-8: a port rests, unless it is TCP's and the close was seen. Then it may be free; the model
    // learns from the box which (some of its sessions may have ended without a close).
    const bool may_skip =
        m.internal.protocol == Protocol::tcp &&
        std::ranges::any_of(m.sessions, [](const Sess& s) { return close_was_seen(s.state); });
    if (hold_ != 0) {
      if (may_skip)
        unsure.push_back({m.external, now + hold_});
      else
        held_ports[port_key(m.external)] = now + hold_;
    }
    for (Blk& b : blocks) {
      if (b.address != m.external.address || m.external.port.value() < b.first ||
          m.external.port.value() > b.last)
        continue;
      b.idle = std::ranges::none_of(maps, [&](const Map& o) {
        return o.external.address == b.address && o.external.port.value() >= b.first &&
               o.external.port.value() <= b.last;
      });
      if (b.idle) b.until = now + ms(i_.timers.port_set);
    }
  }
  void clear_subscriber(uint32_t who, Millis now) {
    for (size_t n = 0; n < maps.size();)
      if (maps[n].internal.ipv4.value() == who)
        end(n, now);
      else
        n++;
    for (Blk& b : blocks)
      if (b.state == Blk::live && b.owner == who) give_back(b, now);
  }
  /// TCP ports of which the model does not know whether they are held: the box says.
  template <typename Taken>
  void learn(Taken&& taken) {
    for (const auto& [e, until] : unsure)
      if (taken(e)) held_ports[port_key(e)] = until;
    unsure.clear();
  }

  std::vector<Map> maps;
  std::vector<Blk> blocks;

 private:
  using PortKey = std::tuple<uint32_t, uint16_t, Protocol>;
  static PortKey port_key(const ExternalKey& e) { return {e.address.value(), e.port.value(), e.protocol}; }
  static Millis ms(config::seconds s) { return static_cast<Millis>(s.count()) * 1000; }
  Millis datagram(const InternalKey& k) const {
    return ms(k.protocol == Protocol::udp ? i_.timers.udp : i_.timers.icmp);
  }
  Millis timer(TcpTimer t) const {
    switch (t) {
      case TcpTimer::trans_open:
      case TcpTimer::in_open:
        return ms(i_.timers.tcp_trans_open);
      case TcpTimer::trans_close:
        return ms(i_.timers.tcp_trans_close);
      case TcpTimer::idle:
        return ms(i_.timers.tcp_idle);
      case TcpTimer::keep:
        break;
    }
    return 0;
  }
  bool port_busy(const ExternalKey& e) const {
    return held_ports.contains(port_key(e)) ||
           std::ranges::any_of(maps, [&](const Map& m) { return m.external == e; });
  }
  bool has_port(const Blk& b, Protocol p, int parity = -1) const {
    for (uint32_t port = b.first; port <= b.last; port++) {
      if (parity >= 0 && static_cast<int>(port % 2) != parity) continue;
      if (!port_busy({b.address, net::Be16(static_cast<uint16_t>(port)), p})) return true;
    }
    return false;
  }
  std::optional<net::Ipv4Address> address_of(uint32_t who) const {
    for (const Blk& b : blocks)
      if (b.state == Blk::live && b.owner == who) return b.address;
    return std::nullopt;
  }
  /// Sessions beyond the first of each of the subscriber's mappings are limited.
  bool full(const Map& m) const {
    if (i_.limits.sessions == 0 || m.sessions.empty()) return false;
    size_t extra = 0;
    for (const Map& o : maps)
      if (o.internal.ipv4 == m.internal.ipv4 && !o.sessions.empty()) extra += o.sessions.size() - 1;
    return extra >= i_.limits.sessions;
  }
  size_t holders() const {
    std::set<uint32_t> who;
    for (const Blk& b : blocks)
      if (b.state == Blk::live) who.insert(b.owner);
    return who.size();
  }
  void give_back(Blk& b, Millis now) {
    b.state = hold_ == 0 ? Blk::held : Blk::held;
    b.until = now + hold_;
    b.idle = false;
  }

  const config::Instance i_;
  const Millis hold_;
  const size_t mappings_, subscribers_;
  std::map<PortKey, Millis> held_ports;
  std::vector<std::pair<ExternalKey, Millis>> unsure;
  std::map<uint32_t, std::pair<Millis, unsigned>> rate_;
};

struct Setup {
  config::Config config;
  Bench::Sizes sizes;
};

Setup random_setup() {
  Setup s;
  const auto size = *rc::gen::element<uint16_t>(2, 4, 4, 8, 16, 70, 128);
  const auto sets = *rc::gen::inRange<uint8_t>(1, 9);
  s.config = small_config(*rc::gen::elementOf(std::vector<std::vector<const char*>>{
                              {"203.0.113.0/32"}, {"203.0.113.0/31"}, {"203.0.113.4/32", "203.0.113.8/31"}}),
                          size, sets);
  config::Instance& i = s.config.instances[0];
  i.ports.sets_per_subscriber = std::min(*rc::gen::inRange<uint8_t>(1, 4), sets);
  i.filtering = *rc::gen::element(config::Filtering::eif, config::Filtering::adf, config::Filtering::edf);
  i.udp_inbound_refresh = *rc::gen::arbitrary<bool>();
  i.limits.ports = *rc::gen::element<uint32_t>(0, 0, 3);
  i.limits.mappings = *rc::gen::element<uint32_t>(0, 0, 5);
  i.limits.sessions = *rc::gen::element<uint32_t>(0, 0, 2);
  i.limits.mappings_per_second = *rc::gen::element<uint32_t>(0, 0, 3);
  i.mapping_limit = *rc::gen::element<uint32_t>(0, 0, 12);
  i.timers.port_set = config::seconds{*rc::gen::element(0, 1, 10, 60)};
  s.config.hold_down.timeout = config::seconds{*rc::gen::element(0, 7, 40, 120)};
  s.sizes.mappings = *rc::gen::element<uint32_t>(1000, 1000, 10);
  s.sizes.subscribers = *rc::gen::element<uint32_t>(100, 100, 3);
  return s;
}

rc::Gen<Step> random_step(bool tcp) {
  using rc::gen::element;
  using rc::gen::inRange;
  return rc::gen::build<Step>(
      rc::gen::set(&Step::act, rc::gen::weightedElement<Act>({{12, Act::out},
                                                              {6, Act::in},
                                                              {4, Act::wait},
                                                              {1, Act::clear_mapping},
                                                              {1, Act::clear_subscriber}})),
      rc::gen::set(&Step::host, inRange<uint8_t>(0, 5)), rc::gen::set(&Step::port, inRange<uint16_t>(0, 8)),
      rc::gen::set(&Step::protocol, tcp ? element(Protocol::udp, Protocol::tcp, Protocol::tcp, Protocol::icmp)
                                        : element(Protocol::udp, Protocol::icmp)),
      rc::gen::set(&Step::remote, inRange<uint8_t>(0, 3)),
      rc::gen::set(&Step::remote_port, inRange<uint16_t>(0, 2)),
      rc::gen::set(&Step::flags, element<uint8_t>(0x02, 0x02, 0x12, 0x10, 0x11, 0x04, 0x01)),
      rc::gen::set(&Step::seconds, element<uint32_t>(1, 1, 6, 10, 20, 31, 100, 130)));
}

void run(Bench& b, Model& m, const Step& s) {
  const InternalKey key = inside_endpoint(s.host, s.port, s.protocol);
  const RemoteEndpoint remote = remote_endpoint(s.remote, s.remote_port);
  switch (s.act) {
    case Act::out: {
      if (m.find(key) == nullptr) {
        if (s.protocol == Protocol::tcp && (s.flags & 0x06) != 0x02)
          return;  // the pipeline lets only a SYN open
        const auto expected = m.refusal(key, b.now);
        const auto outcome = b.open(key);
        const auto* why = std::get_if<DropReason>(&outcome);
        if (why) RC_LOG() << "refused: " << name_of(*why) << '\n';
        if (expected) RC_LOG() << "expected: " << name_of(*expected) << '\n';
        RC_ASSERT((why ? std::optional(*why) : std::nullopt) == expected);
        if (why) return;
        const char* wrong = m.created(key, b.mapping(std::get<MappingId>(outcome)).external(), b.now);
        if (wrong) RC_FAIL(wrong);
      }
      const MappingId id = b.binding.mappings().find(key);
      RC_ASSERT(id != kNoMapping);
      RC_ASSERT(b.track(Direction::outbound, id, remote, s.flags) ==
                m.track(*m.find(key), Direction::outbound, remote, s.flags, b.now));
      return;
    }
    case Act::in: {
      Model::Map* map = m.find(key);
      const MappingId id = b.binding.mappings().find(key);
      RC_ASSERT((map == nullptr) == (id == kNoMapping));
      if (map == nullptr) return;
      RC_ASSERT(b.binding.mappings().find(map->external) == id);
      RC_ASSERT(b.track(Direction::inbound, id, remote, s.flags) ==
                m.track(*map, Direction::inbound, remote, s.flags, b.now));
      return;
    }
    case Act::wait:
      b.advance(s.seconds * 1000);
      m.sweep(b.now);
      break;
    case Act::clear_mapping: {
      const MappingId id = b.binding.mappings().find(key);
      if (id == kNoMapping) return;
      b.binding.clear_mapping(*b.tables, id, b.now);
      m.end(static_cast<size_t>(m.find(key) - m.maps.data()), b.now);
      break;
    }
    case Act::clear_subscriber: {
      const SubscriberId id = b.binding.subscribers().find(SubscriberKey::ipv4(key.ipv4, 32, 0));
      if (id == kNoSubscriber) return;
      b.binding.clear_subscriber(*b.tables, id, b.now);
      b.ledger.read(b.log);
      m.clear_subscriber(key.ipv4.value(), b.now);
      break;
    }
  }
  m.learn([&](const ExternalKey& e) {
    Pool& pool = b.pool_of(e.address);
    const BlockIndex at = pool.block_of(pool.index_of(e.address), e.port.value());
    const unsigned bit = e.port.value() - pool.first_port(at);
    return (pool.bitmap(at, port_space(e.protocol))[bit / 64] >> (bit % 64) & 1) != 0;
  });
}

void compare(Bench& b, Model& m) {
  check_invariants(b);
  RC_ASSERT(b.binding.mappings().size() == m.maps.size());
  for (const Model::Map& map : m.maps) {
    const MappingId id = b.binding.mappings().find(map.internal);
    RC_ASSERT(id != kNoMapping);
    RC_ASSERT(b.mapping(id).external() == map.external);
    RC_ASSERT(b.mapping(id).extra_sessions + (b.mapping(id).first_state != SessionState::none ? 1u : 0u) ==
              map.sessions.size());
  }
  for (const Model::Blk& blk : m.blocks) {
    Pool& pool = b.pool_of(blk.address);
    const Block& real = pool.block(pool.block_of(pool.index_of(blk.address), blk.first));
    RC_ASSERT(static_cast<int>(real.state) == static_cast<int>(blk.state));
  }
}

}  // namespace

TEST_CASE("The binding does what a plain model of RFC 4787, 5382, 6146 and 6888 does",
          "[dataplane][binding]") {
  CHECK(rc::check("binding", [] {
    // Forty lives a run: a check makes a hundred runs, and the rarer turns need more.
    for (int life = 0; life < 40; life++) {
      const Setup setup = random_setup();
      // TCP under adf keeps address entries of its own, which the model has not; binding_test.cpp looks at
      // them.
      const bool tcp = setup.config.instances[0].filtering != config::Filtering::adf;
      const auto steps = *rc::gen::scale(2.0, rc::gen::container<std::vector<Step>>(random_step(tcp)));
      Bench bench(setup.config, setup.sizes, *rc::gen::inRange<uint64_t>(1, 1000));
      const uint32_t free = bench.free_blocks();
      Model model(setup.config, setup.sizes.mappings, setup.sizes.subscribers);
      for (const Step& s : steps) {
        RC_LOG() << s << '\n';
        run(bench, model, s);
        compare(bench, model);
      }
      for (int i = 0; i < 8; i++) bench.advance(130'000);
      check_nothing_left(bench, free);
    }
  }));
}
