/// The table of keys: the one place that says which keys a configuration has.
///
/// The reader (unknown keys, types, ranges, defaults), the JSON Schema for editors and the key reference in
/// docs/configuration.md are all made from it, so that they cannot differ. What involves more than one key is
/// in checks.h. Everything here is constant.
///
/// Names are the leaves of RFC 8512 (NAT) and RFC 8513 (DS-Lite) wherever these have a leaf for the thing.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace culvert::config {

/// What a value looks like. `kind_info` says it in words and as a pattern.
enum class Kind : uint8_t {
  boolean,
  integer,
  duration,  ///< in seconds: an integer, or an integer with s, m, h or d
  choice,    ///< one of `Key::choices`
  instance_name,
  interface_name,
  text,  ///< anything on one line
  device,
  path,
  socket_address,
  ipv4_address,
  ipv6_address,
  ip_address,  ///< of either family
  ip_prefix,   ///< of either family, host bits zero
  ipv6_prefix,
  ipv4_interface,  ///< ADDRESS/LENGTH, host bits are the point
  ipv6_interface,
  ipv4_next_hop,  ///< a MAC or an address
  ipv6_next_hop,
  port_range,  ///< FIRST-LAST
  section,     ///< a mapping of its own keys
};

struct KindInfo {
  std::string_view words;    ///< with article: "an IPv6 address"
  std::string_view example;  ///< a value that is right
  std::string_view pattern;  ///< ECMA regular expression for editors; empty: none
};
const KindInfo& kind_info(Kind kind);

/// A word a choice allows, and what it means.
struct Choice {
  std::string_view word;
  std::string_view meaning;
};

struct Section;

/// Bits of `Key::types`: which `type` of instance knows the key.
enum : uint8_t { for_nat44 = 1, for_ds_lite = 2, for_nat64 = 4, for_all = 7 };

/// One key.
struct Key {
  std::string_view name;
  Kind kind;
  std::string_view meaning;            ///< a sentence or two
  std::string_view reference = {};     ///< RFC clause
  std::string_view default_text = {};  ///< the value when the key is missing
  std::string_view default_note = {};  ///< … in words, when the loader works it out
  std::string_view example = {};       ///< for messages, when the default is none
  uint64_t min = 0;                    ///< integer, duration (in seconds): both included
  uint64_t max = 0;
  std::span<const Choice> choices = {};
  const Section* section = nullptr;  ///< Kind::section
  uint32_t max_items = 0;  ///< more than 0: a list; a list of scalars of one may stand without brackets
  bool mandatory = false;
  bool restart = false;  ///< a change needs a restart
  uint8_t types = for_all;

  bool is_list() const { return max_items > 0; }
};

/// The keys of one mapping.
struct Section {
  std::string_view name;   ///< in messages and as the name of the schema's definition
  std::string_view intro;  ///< what it describes
  std::span<const Key> keys;
  /// In a list of such mappings a scalar stands for the mapping with this key alone; empty: it may not.
  std::string_view shorthand = {};

  const Key* find(std::string_view key) const;
};

/// The whole configuration.
const Section& root_section();

/// All sections, the root first, in the order of the reference.
std::span<const Section* const> all_sections();

}  // namespace culvert::config
