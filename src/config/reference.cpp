#include <fmt/format.h>

#include "config/keys.h"
#include "config/load.h"

namespace culvert::config {
namespace {

constexpr const char* type_names[] = {"nat44", "ds-lite", "nat64"};

std::string in_code(std::string_view text) { return fmt::format("`{}`", text); }

/// What may stand there.
std::string range_of(const Key& key) {
  std::string out;
  if (key.kind == Kind::section) {
    out = fmt::format("keys of [{0}](#{0})", key.section->name);
  } else if (key.kind == Kind::choice) {
    for (const Choice& c : key.choices)
      out += fmt::format("{}`{}`: {}", out.empty() ? "" : "; ", c.word, c.meaning);
  } else if (key.kind == Kind::integer) {
    out = fmt::format("{}–{}", key.min, key.max);
  } else if (key.kind == Kind::duration) {
    out = fmt::format("{}–{} s, or with `s`, `m`, `h`, `d`", key.min, key.max);
  } else {
    out = kind_info(key.kind).words;
  }
  if (key.is_list()) out = fmt::format("list of up to {}: {}", key.max_items, out);
  return out;
}

std::string default_of(const Key& key) {
  if (key.mandatory) return "mandatory";
  if (!key.default_text.empty()) return in_code(key.default_text);
  return std::string(key.default_note);
}

std::string types_of(const Key& key) {
  if (key.types == for_all) return {};
  std::string out;
  for (unsigned i = 0; i < 3; i++)
    if ((key.types >> i & 1) != 0) out += fmt::format("{}{}", out.empty() ? " Only " : ", ", type_names[i]);
  return out + ".";
}

}  // namespace

std::string key_reference() {
  std::string out;
  for (const Section* section : all_sections()) {
    out += section == &root_section() ? "### Top level\n\n" : fmt::format("### {}\n\n", section->name);
    out += fmt::format("{}\n\n", section->intro);
    out += "| key | meaning | default | range | RFC | change |\n|---|---|---|---|---|---|\n";
    for (const Key& key : section->keys)
      out += fmt::format("| `{}` | {}{} | {} | {} | {} | {} |\n", key.name, key.meaning, types_of(key),
                         default_of(key), range_of(key), key.reference, key.restart ? "restart" : "reload");
    out += "\n";
  }
  return out;
}

}  // namespace culvert::config
