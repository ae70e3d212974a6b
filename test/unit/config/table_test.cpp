#include <regex>

#include "config/keys.h"
#include "config/value.h"
#include "helpers.h"

using namespace culvert::config;
using namespace culvert::config::test;

TEST_CASE("the table's defaults and examples are values that its keys take", "[config]") {
  for (const Section* section : all_sections()) {
    for (const Key& key : section->keys) {
      INFO(section->name << " " << key.name);
      CHECK_FALSE(key.meaning.empty());
      CHECK((key.mandatory || !key.default_text.empty() || !key.default_note.empty()));
      CHECK((key.kind == Kind::section) == (key.section != nullptr));
      if (key.kind == Kind::section) continue;
      if (key.kind == Kind::choice) CHECK_FALSE(key.choices.empty());
      if (key.kind == Kind::integer || key.kind == Kind::duration) CHECK(key.min < key.max);
      if (!key.default_text.empty())
        CHECK(std::holds_alternative<Value>(parse_value(key, key.default_text, false)));
      if (!key.example.empty() && !key.is_list())
        CHECK(std::holds_alternative<Value>(parse_value(key, key.example, false)));
      auto info = kind_info(key.kind);
      if (key.kind == Kind::choice || key.kind == Kind::integer) continue;
      CHECK(std::holds_alternative<Value>(parse_value(key, info.example, false)));
      // A range has the example "300", which is a plain integer, in front of the pattern for units.
      if (!info.pattern.empty() && key.kind != Kind::duration)
        CHECK(std::regex_match(std::string(info.example), std::regex(std::string(info.pattern))));
    }
    if (!section->shorthand.empty()) CHECK(section->find(section->shorthand) != nullptr);
  }
}

TEST_CASE("every section that a key names is in the reference and the schema", "[config]") {
  for (const Section* section : all_sections())
    for (const Key& key : section->keys)
      if (key.section != nullptr) {
        INFO(key.name);
        CHECK(std::ranges::count(all_sections(), key.section) == 1);
      }
}

TEST_CASE("key names are unique in their section and look like YANG leaves", "[config]") {
  const std::regex leaf("[a-z][a-z0-9]*(-[a-z0-9]+)*");
  for (const Section* section : all_sections()) {
    for (const Key& key : section->keys) {
      CHECK(section->find(key.name) == &key);
      CHECK(std::regex_match(std::string(key.name), leaf));
    }
  }
}

TEST_CASE("what is missing has the defaults of the types in config.h", "[config]") {
  const Config c = load_right(smallest);
  const Config defaults;
  CHECK(c.workers == defaults.workers);
  CHECK(c.lcores.empty());
  Capacity capacity = defaults.capacity;
  capacity.external_addresses = 256;  // as many as the pool has
  CHECK(c.capacity == capacity);
  CHECK(c.hold_down == defaults.hold_down);
  CHECK(c.logging == defaults.logging);
  CHECK(c.control_socket == defaults.control_socket);
  CHECK(c.metrics_address == defaults.metrics_address);
  CHECK(c.icmp_error_rate == defaults.icmp_error_rate);
  CHECK(c.drain_timeout == defaults.drain_timeout);
  const Instance& i = c.instances.at(0);
  CHECK(i.ports == PortAllocation{});
  CHECK(i.timers == Timers{});
  CHECK(i.limits == SubscriberLimits{});
  CHECK(i.filtering == Instance{}.filtering);
  CHECK(i.mapping_limit == 0);
  const Interface& face = c.interfaces.at(0);
  CHECK(face.mtu == Interface{}.mtu);
  CHECK(face.queues == Interface{}.queues);
  CHECK(face.rx_descriptors == Interface{}.rx_descriptors);
  CHECK(face.tx_descriptors == Interface{}.tx_descriptors);
  CHECK_FALSE(face.vlan);
}
