/// `culvert clear`: ends mappings, or subscribers with all they hold. A scan whose rows are what it ended.

#include <array>

#include "control/api_json.h"
#include "control/api_scan.h"

namespace culvert::control {
namespace {

using dataplane::Tables;
using dataplane::Worker;

enum class Cleared : uint8_t {
  ended,
  static_kept,  ///< a static mapping, which the configuration alone can end
  log_full,     ///< a subscriber whose blocks stay, because their release could not be put on record
};

class ClearScan : public Scan<Cleared> {
 public:
  using Scan::Scan;

 protected:
  void format(const Cleared& c, std::string&) override { counts_[static_cast<size_t>(c)]++; }
  void finish(std::string& out, uint64_t) override {
    JsonRow row(out);
    row.number("cleared", counts_[0]).number("static_kept", counts_[1]).number("log_full", counts_[2]);
    row.end();
    append_end(out, 1);
  }

 private:
  std::array<uint64_t, 3> counts_{};
};

class ClearMappings : public ClearScan {
 public:
  using ClearScan::ClearScan;

 protected:
  void copy(Worker& w, const Tables& tables, Millis now, ScanPosition& at,
            std::vector<Cleared>& rows) override {
    dataplane::StatefulBinding& binding = w.binding();
    if (filter_.external && filter_.external_port) {
      for (const auto p : {config::Protocol::udp, config::Protocol::tcp, config::Protocol::icmp}) {
        const net::Be16 port(*filter_.external_port);
        clear(binding, tables, now,
              binding.mappings().find(dataplane::ExternalKey{*filter_.external, port, p}), rows);
      }
      at.end = true;
      return;
    }
    const uint32_t end = binding.mappings().high_water();
    for (uint32_t seen = 0; at.record < end && seen < kRecords && rows.size() < kRows; seen++) {
      clear(binding, tables, now, at.record++, rows);
    }
    at.end = at.record >= end;
  }

 private:
  void clear(dataplane::StatefulBinding& binding, const Tables& tables, Millis now, dataplane::MappingId id,
             std::vector<Cleared>& rows) const {
    if (id == dataplane::kNoMapping) return;
    const dataplane::Mapping& m = binding.mappings()[id];
    if (!m.in_use || !filter_.takes(m) || !takes_instance(tables, m.instance)) return;
    if (!filter_.takes(binding.subscribers()[m.subscriber])) return;
    rows.push_back(m.is_static ? Cleared::static_kept : Cleared::ended);
    if (!m.is_static) binding.clear_mapping(tables, id, now);
  }
};

class ClearSubscribers : public ClearScan {
 public:
  using ClearScan::ClearScan;

 protected:
  void copy(Worker& w, const Tables& tables, Millis now, ScanPosition& at,
            std::vector<Cleared>& rows) override {
    // One subscriber may have thousands of mappings, so they are ended one subscriber at a time.
    constexpr size_t kSubscribers = 1;
    dataplane::StatefulBinding& binding = w.binding();
    const uint32_t end = binding.subscribers().high_water();
    for (uint32_t seen = 0; at.record < end && seen < kRecords && rows.size() < kSubscribers; seen++) {
      const dataplane::SubscriberId id = at.record++;
      const dataplane::Subscriber& s = binding.subscribers()[id];
      if (!s.in_use || !filter_.takes(s) || !takes_instance(tables, s.key.instance)) continue;
      if (filter_.external) {
        const auto* allocator = s.paired ? binding.blocks().allocator(s.pool) : nullptr;
        if (allocator == nullptr || allocator->pool().address(s.address) != *filter_.external) continue;
      }
      binding.clear_subscriber(tables, id, now);
      rows.push_back(s.in_use && s.block_count > 0 ? Cleared::log_full : Cleared::ended);
      for (unsigned i = 0; s.in_use && i < s.static_mappings && rows.size() < kRows; i++) {
        rows.push_back(Cleared::static_kept);
      }
    }
    at.end = at.record >= end;
  }
};

}  // namespace

std::shared_ptr<Answer> make_clear(const ApiRequest& request, ApiContext& context) {
  if (request.command == "clear-mappings") return std::make_shared<ClearMappings>(request, context);
  if (request.command == "clear-subscribers") return std::make_shared<ClearSubscribers>(request, context);
  return nullptr;
}

}  // namespace culvert::control
