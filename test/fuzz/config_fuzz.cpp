/// libFuzzer target: any bytes as a configuration. They are read or refused; nothing crashes, throws or
/// hangs. What is accepted must satisfy what the rest of Culvert relies on without checking it again.
/// `test/fuzz/smoke` builds and runs it.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "config/load.h"

using namespace culvert::config;

namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

void check_accepted(const Config& c) {
  require(c.workers >= 1 && c.workers <= 64);
  require(c.lcores.empty() || c.lcores.size() == c.workers + 1u);
  require(!c.interfaces.empty() && !c.instances.empty());
  uint64_t addresses = 0;
  for (const Instance& i : c.instances) {
    require(!i.pools.empty());
    require(i.ports.first_port >= 1 && i.ports.first_port <= i.ports.last_port);
    require(i.ports.set_size >= 1 && i.ports.range_size() % i.ports.set_size == 0);
    require(i.ports.sets_per_subscriber <= i.ports.sets_per_address());
    require(i.subscribers_ipv4.empty() == (i.carriage != Carriage::nat44));
    require(i.subscribers_ipv6.empty() == (i.carriage == Carriage::nat44));
    require(i.aftr_addresses.empty() == (i.carriage != Carriage::ds_lite));
    require(i.nat64_prefixes.empty() == (i.carriage != Carriage::nat64));
    for (const auto& s : i.subscribers_ipv4) require(s.mask >= s.prefix.length && s.mask <= 32);
    for (const auto& s : i.subscribers_ipv6) require(s.mask >= s.prefix.length && s.mask <= 128);
    for (const auto& p : i.pools) {
      addresses += p.size();
      for (const Instance& other : c.instances)
        for (const auto& q : other.pools) require(&p == &q || !p.overlaps(q));
    }
    for (const StaticMapping& m : i.static_mappings) require(i.ports.is_explicit(m.external_port));
  }
  require(c.capacity.external_addresses >= addresses);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  auto result = load_text(std::string_view(reinterpret_cast<const char*>(data), size), "fuzz.yaml");
  if (auto* config = std::get_if<Config>(&result)) {
    check_accepted(*config);
    return 0;
  }
  const auto& problems = std::get<Problems>(result);
  require(!problems.empty());
  for (const Problem& p : problems) {
    require(p.line >= 1 && p.column >= 1);
    require(p.text().find('\n') == std::string::npos);
  }
  return 0;
}
