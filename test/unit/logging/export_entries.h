/// Entries for tests of exports: one of every kind, any at all, and a ledger in memory to read them from.
#pragma once

#include <rapidcheck.h>

#include <algorithm>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <vector>

#include "logging/export/entry_source.h"
#include "net/mapped.h"

namespace culvert::logging::test {

constexpr uint64_t kTime = 1'795'315'507'532;  ///< 2026-11-22T02:45:07.532Z

inline net::Ipv4Address ipv4(const char* text) { return *net::Ipv4Address::parse(text); }
inline net::Ipv6Address ipv6(const char* text) { return *net::Ipv6Address::parse(text); }

inline Entry block(uint64_t ordinal) {
  Entry e;
  e.time = kTime;
  e.ordinal = ordinal;
  e.reason = Reason::first_packet;
  e.instance = "nat44";
  e.subscriber = net::mapped(ipv4("100.64.1.2"));
  e.external = ipv4("203.0.113.0");
  e.first_port = 1024;
  e.last_port = 1535;
  return e;
}
inline Entry released(uint64_t ordinal) {
  Entry e = block(ordinal);
  e.kind = Entry::Kind::block_released;
  e.reason = Reason::idle;
  e.since = kTime - 60'000;
  e.peak = 12;
  return e;
}
inline Entry of_home(Entry e) {
  e.instance = "homes";
  e.carriage = Entry::Carriage::ds_lite;
  e.subscriber = ipv6("2001:db8:1:200::");
  e.subscriber_length = 56;
  return e;
}
inline Entry mapping(uint64_t ordinal) {
  Entry e = of_home(block(ordinal));
  e.kind = Entry::Kind::mapping_created;
  e.reason = Reason::none;
  e.first_port = e.last_port = 48000;
  e.protocol = 6;
  e.origin = Entry::Origin::pcp_map;
  e.internal = net::mapped(ipv4("192.168.1.2"));
  e.internal_port = 48001;
  e.lifetime = 3600;
  return e;
}
inline Entry session(uint64_t ordinal) {
  Entry e = mapping(ordinal);
  e.kind = Entry::Kind::session_created;
  e.origin = Entry::Origin::dynamic;
  e.destination = ipv4("198.51.100.7");
  e.destination_port = 443;
  return e;
}
inline Entry of_phone(Entry e) {
  e.instance = "phones";
  e.carriage = Entry::Carriage::nat64;
  e.subscriber = ipv6("2001:db8:2::");
  e.subscriber_length = 64;
  if (e.internal) e.internal = ipv6("2001:db8:2::9");
  return e;
}
inline Entry refused(uint64_t ordinal, std::string reason) {
  Entry e = block(ordinal);
  e.kind = Entry::Kind::refused;
  e.reason = Reason::none;
  e.text = std::move(reason);
  e.count = 7;
  return e;
}
inline Entry other(Entry::Kind kind, std::string text = {}) {
  Entry e;
  e.kind = kind;
  e.time = kTime;
  e.text = std::move(text);
  return e;
}

/// Any bytes that an Entry may have, likely ones and unlikely ones.
inline rc::Gen<Entry> any_entry() {
  return rc::gen::exec([] {
    const auto number = [](auto low, auto high) { return *rc::gen::inRange<uint64_t>(low, high); };
    Entry e;
    e.kind = static_cast<Entry::Kind>(number(0, 13));
    e.time = *rc::gen::arbitrary<uint64_t>();
    e.clock_ahead = *rc::gen::arbitrary<int32_t>();
    if (number(0, 4) != 0) e.ordinal = *rc::gen::arbitrary<uint64_t>();
    e.worker = static_cast<uint8_t>(number(0, 256));
    e.reason = static_cast<Reason>(number(0, 32));
    e.instance = *rc::gen::arbitrary<std::string>();
    e.carriage = static_cast<Entry::Carriage>(number(0, 3));
    e.subscriber_length = static_cast<uint8_t>(number(0, 129));
    for (uint8_t& b : e.subscriber.bytes) b = static_cast<uint8_t>(number(0, 256));
    if (number(0, 2) == 0)
      e.subscriber = net::mapped(net::Ipv4Address(static_cast<uint32_t>(number(0, 1u << 31))));
    e.external = net::Ipv4Address(static_cast<uint32_t>(number(0, uint64_t{1} << 32)));
    e.first_port = static_cast<uint16_t>(number(0, 65536));
    e.last_port = static_cast<uint16_t>(number(0, 65536));
    if (number(0, 2) == 0) e.since = *rc::gen::arbitrary<uint64_t>();
    e.peak = *rc::gen::arbitrary<uint64_t>();
    e.protocol = static_cast<uint8_t>(number(0, 256));
    e.origin = static_cast<Entry::Origin>(number(0, 4));
    if (number(0, 2) == 0) e.internal = e.subscriber;
    e.internal_port = static_cast<uint16_t>(number(0, 65536));
    if (number(0, 2) == 0) e.destination = e.external;
    e.destination_port = static_cast<uint16_t>(number(0, 65536));
    e.count = *rc::gen::arbitrary<uint64_t>();
    e.uncertain_from = *rc::gen::arbitrary<uint64_t>();
    e.text = *rc::gen::arbitrary<std::string>();
    return e;
  });
}

/// A ledger in memory: what is appended can be read by any number of sources, until retain() takes it.
class MemoryLedger {
 public:
  void append(Entry e) {
    std::lock_guard lock(mutex_);
    entries_.push_back(std::move(e));
  }
  /// Removes events with lower ordinals.
  void retain(uint64_t first) {
    std::lock_guard lock(mutex_);
    std::erase_if(entries_, [&](const Entry& e) { return e.ordinal && *e.ordinal < first; });
  }
  /// From here on reading throws, or works again.
  void break_down(bool broken) {
    std::lock_guard lock(mutex_);
    readable_ = broken ? 0 : UINT64_MAX;
  }
  /// After so many more entries reading throws.
  void break_after(uint64_t entries) {
    std::lock_guard lock(mutex_);
    readable_ = entries;
  }

  class Source : public EntrySource {
   public:
    explicit Source(MemoryLedger& ledger) : ledger_(ledger) {}
    bool next(Entry& e) override {
      std::lock_guard lock(ledger_.mutex_);
      ledger_.check();
      for (const Entry& candidate : ledger_.entries_) {
        if (!candidate.ordinal || *candidate.ordinal < next_) continue;
        e = candidate;
        if (ledger_.readable_ != UINT64_MAX) ledger_.readable_--;
        next_ = *candidate.ordinal + 1;
        return true;
      }
      return false;
    }
    void seek(uint64_t ordinal) override { next_ = ordinal; }
    uint64_t end() override {
      std::lock_guard lock(ledger_.mutex_);
      ledger_.check();
      return ledger_.entries_.empty() ? 0 : *ledger_.entries_.back().ordinal + 1;
    }

   private:
    MemoryLedger& ledger_;
    uint64_t next_ = 0;
  };
  std::unique_ptr<EntrySource> source() { return std::make_unique<Source>(*this); }

 private:
  void check() const {
    if (readable_ == 0) throw std::runtime_error("the ledger's disk is gone");
  }
  std::mutex mutex_;
  std::vector<Entry> entries_;  ///< all with an ordinal
  uint64_t readable_ = UINT64_MAX;
};

}  // namespace culvert::logging::test
