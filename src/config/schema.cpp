#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "config/keys.h"
#include "config/load.h"
#include "config/value.h"

namespace culvert::config {
namespace {

using Json = nlohmann::ordered_json;

std::string reference_to(const Section& section) { return fmt::format("#/$defs/{}", section.name); }

/// What one scalar of the key looks like, without description and default.
Json scalar_schema(const Key& key) {
  const KindInfo& info = kind_info(key.kind);
  Json integer = {{"type", "integer"}, {"minimum", key.min}, {"maximum", key.max}};
  switch (key.kind) {
    case Kind::boolean:
      return {{"type", "boolean"}};
    case Kind::integer:
      return integer;
    case Kind::duration:
      return {{"anyOf", Json::array({integer, Json{{"type", "string"}, {"pattern", info.pattern}}})}};
    case Kind::choice: {
      Json words = Json::array(), meanings = Json::array();
      for (const Choice& c : key.choices) {
        words.push_back(c.word);
        meanings.push_back(c.meaning);
      }
      return {{"enum", words}, {"markdownEnumDescriptions", meanings}};
    }
    default:
      return {{"type", "string"}, {"pattern", info.pattern}};
  }
}

/// One entry of a list, or the value of a key that is none.
Json item_schema(const Key& key) {
  if (key.kind != Kind::section) return scalar_schema(key);
  Json section = {{"$ref", reference_to(*key.section)}};
  if (key.section->shorthand.empty()) return section;
  return {{"anyOf", Json::array({scalar_schema(*key.section->find(key.section->shorthand)), section})}};
}

Json default_of(const Key& key) {
  auto value = parse_value(key, key.default_text, false);
  if (auto* v = std::get_if<Value>(&value)) {
    if (auto* b = std::get_if<bool>(v)) return *b;
    if (auto* n = std::get_if<uint64_t>(v)) return *n;
  }
  return std::string(key.default_text);
}

Json key_schema(const Key& key) {
  std::string description(key.meaning);
  if (!key.default_note.empty()) description += fmt::format(" Default: {}.", key.default_note);
  if (!key.reference.empty()) description += fmt::format(" [{}]", key.reference);
  Json out = {{"description", description}};
  Json item = item_schema(key);
  if (key.is_list()) {
    Json list = {{"type", "array"}, {"items", item}, {"maxItems", key.max_items}};
    if (key.mandatory) list["minItems"] = 1;
    bool may_be_bare = key.kind != Kind::section || !key.section->shorthand.empty();
    if (may_be_bare)
      out["anyOf"] = Json::array(
          {key.kind == Kind::section ? scalar_schema(*key.section->find(key.section->shorthand)) : item,
           list});
    else
      out.update(list);
  } else {
    out.update(item);
    if (!key.default_text.empty()) out["default"] = default_of(key);
  }
  return out;
}

Json section_schema(const Section& section) {
  Json properties = Json::object(), required = Json::array();
  for (const Key& key : section.keys) {
    properties[std::string(key.name)] = key_schema(key);
    if (key.mandatory) required.push_back(key.name);
  }
  Json out = {{"type", "object"},
              {"description", section.intro},
              {"additionalProperties", false},
              {"properties", properties}};
  if (!required.empty()) out["required"] = required;
  return out;
}

/// A type of instance forbids the keys that only other types have.
Json type_rules(const Section& instance) {
  const Key& type = *instance.find("type");
  Json rules = Json::array();
  for (size_t i = 0; i < type.choices.size(); i++) {
    Json forbidden = Json::object();
    for (const Key& key : instance.keys)
      if ((key.types >> i & 1) == 0) forbidden[std::string(key.name)] = false;
    rules.push_back(
        {{"if", {{"properties", {{"type", {{"const", type.choices[i].word}}}}}, {"required", {"type"}}}},
         {"then", {{"properties", forbidden}}}});
  }
  return rules;
}

}  // namespace

std::string json_schema() {
  Json schema = {{"$schema", "https://json-schema.org/draft/2020-12/schema"},
                 {"$id", "culvert.schema.json"},
                 {"title", "Culvert configuration"}};
  schema.update(section_schema(root_section()));
  Json definitions = Json::object();
  for (const Section* section : all_sections()) {
    if (section == &root_section()) continue;
    Json definition = section_schema(*section);
    if (section->find("type") != nullptr) definition["allOf"] = type_rules(*section);
    definitions[std::string(section->name)] = std::move(definition);
  }
  schema["$defs"] = std::move(definitions);
  return schema.dump(2) + "\n";
}

}  // namespace culvert::config
