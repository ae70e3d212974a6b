/// The long listings: mappings, blocks, subscribers.

#include "control/api_json.h"
#include "control/api_scan.h"
#include "net/mapped.h"

namespace culvert::control {
namespace {

using dataplane::Block;
using dataplane::BlockIndex;
using dataplane::BlockState;
using dataplane::ExternalKey;
using dataplane::InternalKey;
using dataplane::Mapping;
using dataplane::MappingId;
using dataplane::Pool;
using dataplane::PortSpace;
using dataplane::SessionState;
using dataplane::Subscriber;
using dataplane::Tables;
using dataplane::Worker;
using dataplane::WorkerId;

constexpr auto kProtocols = {config::Protocol::udp, config::Protocol::tcp, config::Protocol::icmp};

std::string_view name_of(config::Carriage c) {
  return c == config::Carriage::nat44 ? "nat44" : c == config::Carriage::ds_lite ? "ds-lite" : "nat64";
}

std::string_view name_of(SessionState s) {
  switch (s) {
    case SessionState::none:
      return "";
    case SessionState::filter:
      return "filter";
    case SessionState::in_init:
      return "in-init";
    case SessionState::out_init:
      return "out-init";
    case SessionState::established:
      return "established";
    case SessionState::in_fin:
      return "in-fin";
    case SessionState::out_fin:
      return "out-fin";
    case SessionState::both_fin:
      return "both-fin";
    case SessionState::transitory:
      return "transitory";
  }
  return "unknown";
}

/// Appends ADDRESS:PORT to a row, with brackets around IPv6.
void endpoint(JsonRow& row, std::string_view key, net::Ipv4Address a, net::Be16 port) {
  const uint32_t v = a.value();
  char text[32];
  const auto end = fmt::format_to_n(text, sizeof text, "\"{}.{}.{}.{}:{}\"", v >> 24, v >> 16 & 255,
                                    v >> 8 & 255, v & 255, port.value());
  row.raw(key, std::string_view(text, end.size));
}
void endpoint(JsonRow& row, std::string_view key, const net::Ipv6Address& a, net::Be16 port) {
  row.text(key, fmt::format("[{}]:{}", a.text(), port.value()));
}

int64_t seconds_until(dataplane::ShortTime t, Millis now) { return (t.from(now) + 999) / 1000; }

struct MappingRow {
  Mapping mapping;
  net::Ipv6Address prefix;
  uint8_t mask = 0;
  WorkerId worker = 0;
};

class MappingScan : public Scan<MappingRow> {
 public:
  using Scan::Scan;

 protected:
  void copy(Worker& w, const Tables& tables, Millis now, ScanPosition& at,
            std::vector<MappingRow>& rows) override {
    if (filter_.external && filter_.external_port) {
      // An external endpoint is one of three keys: ask the index.
      for (const auto p : kProtocols) {
        add(w, tables, now,
            w.binding().mappings().find(ExternalKey{*filter_.external, port(*filter_.external_port), p}),
            rows);
      }
      at.end = true;
      return;
    }
    if (filter_.internal_ipv6 && filter_.internal_port) {
      // So is an IPv6 endpoint, of which only NAT64 has any, in each of its prefixes.
      for (const auto p : kProtocols) {
        for (const dataplane::Context c : tables.nat64_prefixes) {
          add(w, tables, now,
              w.binding().mappings().find(
                  InternalKey{*filter_.internal_ipv6, {}, port(*filter_.internal_port), p, c}),
              rows);
        }
      }
      at.end = true;
      return;
    }
    const uint32_t end = w.binding().mappings().high_water();
    for (uint32_t seen = 0; at.record < end && seen < kRecords && rows.size() < kRows; seen++) {
      add(w, tables, now, at.record++, rows);
    }
    at.end = at.record >= end;
  }

  void format(const MappingRow& r, std::string& out) override {
    const Mapping& m = r.mapping;
    const dataplane::InstanceView& policy = instance(m.instance);
    JsonRow row(out);
    row.text("instance", policy.name).text("carriage", name_of(policy.carriage));
    row.text("protocol", control::name_of(m.internal.protocol));
    row.text("subscriber", net::subscriber_text(r.prefix, r.mask));
    if (policy.carriage == config::Carriage::ds_lite) row.text("b4", m.internal.ipv6.text());
    if (policy.carriage == config::Carriage::nat64) {
      endpoint(row, "internal", m.internal.ipv6, m.internal.port);
    } else {
      endpoint(row, "internal", m.internal.ipv4, m.internal.port);
    }
    endpoint(row, "external", m.external_address, m.external_port);
    if (m.first_state != SessionState::none)
      endpoint(row, "remote", m.first_remote_address, m.first_remote_port);
    row.text("state", m.is_static ? "static" : name_of(m.first_state));
    row.number("sessions", m.extra_sessions + (m.first_state != SessionState::none ? 1u : 0u));
    row.number("age", -m.created.from(now_) / 1000);
    if (!m.is_static) row.number("expires", seconds_until(m.expires, now_));
    row.number("worker", r.worker);
    row.end();
  }

 private:
  static net::Be16 port(uint16_t p) { return net::Be16(p); }

  /// A record, if it is one that lives and is wanted.
  void add(Worker& w, const Tables& tables, Millis now, MappingId id, std::vector<MappingRow>& rows) const {
    if (id == dataplane::kNoMapping) return;
    const Mapping& m = w.binding().mappings()[id];
    if (!m.in_use || !filter_.takes(m) || !takes_instance(tables, m.instance)) return;
    if (m.expires.passed(now) && !m.is_static) return;  // over, only not swept yet
    const Subscriber& s = w.binding().subscribers()[m.subscriber];
    if (!filter_.takes(s)) return;
    rows.push_back({m, s.key.prefix, s.mask, w.id()});
  }
};

struct SubscriberRow {
  Subscriber subscriber;
  std::optional<net::Ipv4Address> external;
  WorkerId worker = 0;
};

class SubscriberScan : public Scan<SubscriberRow> {
 public:
  using Scan::Scan;

 protected:
  void copy(Worker& w, const Tables& tables, Millis, ScanPosition& at,
            std::vector<SubscriberRow>& rows) override {
    const uint32_t end = w.binding().subscribers().high_water();
    for (uint32_t seen = 0; at.record < end && seen < kRecords && rows.size() < kRows; seen++) {
      const Subscriber& s = w.binding().subscribers()[at.record++];
      if (!s.in_use || !filter_.takes(s) || !takes_instance(tables, s.key.instance)) continue;
      SubscriberRow row{s, std::nullopt, w.id()};
      if (const auto* a = s.paired ? w.binding().blocks().allocator(s.pool) : nullptr)
        row.external = a->pool().address(s.address);
      if (filter_.external && row.external != filter_.external) continue;
      rows.push_back(row);
    }
    at.end = at.record >= end;
  }

  void format(const SubscriberRow& r, std::string& out) override {
    const Subscriber& s = r.subscriber;
    const dataplane::InstanceView& policy = instance(s.key.instance);
    JsonRow row(out);
    row.text("instance", policy.name).text("carriage", name_of(policy.carriage));
    row.text("subscriber", net::subscriber_text(s.key.prefix, s.mask));
    if (r.external) row.text("external", r.external->text());
    row.number("blocks", s.block_count).number("blocks_limit", policy.max_blocks);
    row.number("mappings", s.mappings).number("mappings_limit", policy.limits.mappings);
    row.number("static_mappings", s.static_mappings);
    row.number("sessions", s.sessions).number("sessions_limit", policy.limits.sessions);
    for (const auto p : kProtocols) {
      row.number(fmt::format("ports_{}", control::name_of(p)),
                 s.ports[static_cast<size_t>(dataplane::port_space(p))]);
    }
    row.number("ports_limit", policy.limits.ports).number("worker", r.worker);
    row.end();
  }
};

struct BlockRow {
  Block block;
  net::Ipv4Address external;
  uint16_t first = 0, last = 0;
  uint8_t instance = 0;
  net::Ipv6Address prefix;
  uint8_t mask = 0;
  WorkerId worker = 0;
};

class BlockScan : public Scan<BlockRow> {
 public:
  using Scan::Scan;

 protected:
  void copy(Worker& w, const Tables& tables, Millis, ScanPosition& at, std::vector<BlockRow>& rows) override {
    uint32_t seen = 0;
    for (; at.table < dataplane::kMaxPools; at.table++, at.record = 0) {
      const auto* allocator = w.binding().blocks().allocator(static_cast<uint16_t>(at.table));
      if (allocator == nullptr || !takes_instance(tables, allocator->pool().instance())) continue;
      const Pool& pool = allocator->pool();
      const auto [first, end] = range(pool);
      at.record = std::max(at.record, first);
      while (at.record < end) {
        if (seen++ == kRecords || rows.size() == kRows) return;
        const BlockIndex b = at.record;
        if (pool.block_owner(b) == w.id()) {
          add(w, pool, b, rows);
        } else if (!pool.split()) {
          at.record = (b / pool.sets() + 1) * pool.sets();  // nothing of this address is ours
          continue;
        }
        at.record++;
      }
    }
    at.end = true;
  }

  void format(const BlockRow& r, std::string& out) override {
    const Block& b = r.block;
    JsonRow row(out);
    row.text("instance", instance(r.instance).name).text("external", r.external.text());
    row.number("first_port", r.first).number("last_port", r.last);
    if (b.state == BlockState::live) {
      row.text("state", b.idle ? "idle" : "live").text("subscriber", net::subscriber_text(r.prefix, r.mask));
      if (b.idle) row.number("released_in", seconds_until(b.idle_until, now_));
    } else {
      row.text("state", "held");
    }
    for (const auto p : kProtocols) {
      row.number(fmt::format("used_{}", control::name_of(p)),
                 b.used[static_cast<size_t>(dataplane::port_space(p))]);
    }
    row.number("peak", b.peak).number("worker", r.worker);
    row.end();
  }

 private:
  /// The blocks of a pool that the filter leaves: all, an external address's, or the one with the port.
  std::pair<BlockIndex, BlockIndex> range(const Pool& pool) const {
    if (!filter_.external) return {0, pool.block_count()};
    if (!pool.prefix().contains(*filter_.external)) return {0, 0};
    const uint32_t address = pool.index_of(*filter_.external);
    if (!filter_.external_port) return {address * pool.sets(), (address + 1) * pool.sets()};
    const BlockIndex b = pool.block_of(address, *filter_.external_port);
    if (b == dataplane::kNoBlock) return {0, 0};
    return {b, b + 1};
  }

  void add(Worker& w, const Pool& pool, BlockIndex b, std::vector<BlockRow>& rows) const {
    const Block& block = pool.block(b);
    if (block.state == BlockState::free) return;
    BlockRow row{block, pool.address_of(b), pool.first_port(b), pool.last_port(b), pool.instance(), {}, 0,
                 w.id()};
    if (block.state == BlockState::live && block.subscriber != dataplane::kNobody) {
      const Subscriber& s = w.binding().subscribers()[block.subscriber];
      if (!filter_.takes(s)) return;
      row.prefix = s.key.prefix;
      row.mask = s.mask;
    } else if (filter_.subscriber) {
      return;
    }
    rows.push_back(row);
  }
};

}  // namespace

std::shared_ptr<Answer> make_listing(const ApiRequest& request, ApiContext& context) {
  if (request.command == "mappings") return std::make_shared<MappingScan>(request, context);
  if (request.command == "subscribers") return std::make_shared<SubscriberScan>(request, context);
  if (request.command == "blocks") return std::make_shared<BlockScan>(request, context);
  return nullptr;
}

}  // namespace culvert::control
