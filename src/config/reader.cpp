#include "config/reader.h"

#include <fmt/format.h>

#include <algorithm>

namespace culvert::config {
namespace {

std::string_view kind_of(const Node& node) {
  switch (node.kind) {
    case Node::Kind::list:
      return "a list";
    case Node::Kind::map:
      return "a mapping";
    case Node::Kind::null:
      return "empty";
    case Node::Kind::scalar:
      break;
  }
  return "a scalar";
}

/// A mapping of this section, in a sentence.
std::string noun(const Section& section) {
  if (&section == &root_section()) return std::string(section.name);
  return fmt::format("this {}{}", section.name,
                     section.name.find('-') == std::string_view::npos ? "" : " entry");
}

class Reader {
 public:
  explicit Reader(Report& report) : report_(report) {}

  Record section(const Section& section, const Node& node, Place place) {
    Record record;
    record.section = &section;
    record.place = place;
    for (const Entry& entry : node.entries) read_entry(entry, record);
    for (const Key& key : section.keys)
      if (key.mandatory && !record.wrote(key.name)) missing(key, record);
    return record;
  }

 private:
  void read_entry(const Entry& entry, Record& record) {
    const Key* key = record.section->find(entry.key);
    if (key == nullptr) return unknown(entry, *record.section);
    auto [written, first] = record.keys.emplace(key->name, entry.place);
    if (!first) {
      report_.add(entry.place,
                  {fmt::format("{} stands here a second time", key->name),
                   fmt::format("it has its value on {}, and only one could count", line_of(written->second)),
                   "remove one of the two"});
      return;
    }
    const Node& node = entry.value;
    if (node.kind == Node::Kind::null) {
      report_.add(entry.place,
                  {fmt::format("{} has no value", key->name),
                   fmt::format("it takes {}", key->is_list() ? "a list" : kind_info(key->kind).words),
                   "write a value or remove the key"});
    } else if (key->is_list()) {
      read_list(*key, node, record);
    } else if (key->kind == Kind::section) {
      read_section(*key, node, entry.place, record);
    } else {
      read_leaf(*key, node, record);
    }
  }

  void read_list(const Key& key, const Node& node, Record& record) {
    bool sections = key.kind == Kind::section;
    if (node.kind != Node::Kind::list) {
      // One scalar without brackets is a list of one.
      if (node.kind == Node::Kind::scalar && (!sections || !key.section->shorthand.empty()))
        return read_item(key, node, record);
      report_.add(node.place, {fmt::format("{} is {}", key.name, kind_of(node)), "it takes a list",
                               "begin each entry with a hyphen (- )"});
      return;
    }
    if (node.items.empty() && key.mandatory)
      report_.add(node.place, {fmt::format("{} is an empty list", key.name), "at least one entry is needed",
                               "write one entry or more"});
    if (node.items.size() > key.max_items) {
      report_.add(node.items[key.max_items].place,
                  {fmt::format("{} has {} entries", key.name, node.items.size()),
                   fmt::format("at most {} are possible", key.max_items),
                   "write fewer, for example larger prefixes"});
      return;
    }
    for (const Node& item : node.items) read_item(key, item, record);
  }

  void read_item(const Key& key, const Node& item, Record& record) {
    if (key.kind != Kind::section) return read_leaf(key, item, record);
    if (item.kind == Node::Kind::scalar && !key.section->shorthand.empty()) {
      Record entry;
      entry.section = key.section;
      entry.place = item.place;
      const Key& only = *key.section->find(key.section->shorthand);
      entry.keys.emplace(only.name, item.place);
      read_leaf(only, item, entry);
      record.sections[key.name].push_back(std::move(entry));
      return;
    }
    read_section(key, item, item.place, record);
  }

  void read_section(const Key& key, const Node& node, Place place, Record& record) {
    if (node.kind != Node::Kind::map) {
      report_.add(node.place, {fmt::format("{} {} {}", key.is_list() ? "an entry of" : "", key.name,
                                           "is " + std::string(kind_of(node)))
                                   .substr(key.is_list() ? 0 : 1),
                               "it takes a mapping of keys to values",
                               fmt::format("write for example {}: VALUE", key.section->keys[0].name)});
      return;
    }
    record.sections[key.name].push_back(section(*key.section, node, key.is_list() ? node.place : place));
  }

  void read_leaf(const Key& key, const Node& node, Record& record) {
    if (node.kind != Node::Kind::scalar) {
      report_.add(node.place,
                  {fmt::format("{}{} is {}", key.is_list() ? "an entry of " : "", key.name, kind_of(node)),
                   fmt::format("it takes {}", kind_info(key.kind).words),
                   "write one value, in quotes if it holds brackets or ends with a colon"});
      return;
    }
    auto result = parse_value(key, node.text, node.quoted);
    if (auto* complaint = std::get_if<Complaint>(&result))
      report_.add(node.place, std::move(*complaint));
    else
      record.leaves[key.name].push_back(Leaf{node.place, std::move(std::get<Value>(result))});
  }

  void unknown(const Entry& entry, const Section& section) {
    std::vector<std::string_view> here;
    for (const Key& key : section.keys) here.push_back(key.name);
    auto near = closest(entry.key, here);
    std::string fix;
    if (const Section* home = home_of(entry.key, section))
      fix = fmt::format("it is a key of {}: move it there", home->name);
    else if (!near.empty())
      fix = fmt::format("did you mean {}?", near);
    else
      fix = fmt::format("remove it; the keys here are {}", fmt::join(here, ", "));
    report_.add(entry.place, {fmt::format("unknown key {} in {}", quoted(entry.key), section.name),
                              "a key that nothing reads is a mistake", fix});
  }

  /// The section above or below `here` that has such a key: one beside it means something else by the word.
  static const Section* home_of(std::string_view key, const Section& here) {
    for (const Section* home : all_sections())
      if (home->find(key) != nullptr && key != "name" && (holds(*home, here) || holds(here, *home)))
        return home;
    return nullptr;
  }
  static bool holds(const Section& outer, const Section& inner) {
    return std::any_of(outer.keys.begin(), outer.keys.end(), [&](const Key& k) {
      return k.section != nullptr && (k.section == &inner || holds(*k.section, inner));
    });
  }

  void missing(const Key& key, const Record& record) {
    std::string example(!key.example.empty() ? key.example : kind_info(key.kind).example);
    report_.add(record.place,
                {fmt::format("{} has no {}", noun(*record.section), key.name), "the key is mandatory",
                 key.kind == Kind::section ? fmt::format("add {}: with its entries", key.name)
                                           : fmt::format("add for example {}: {}", key.name, example)});
  }

  Report& report_;
};

}  // namespace

Place Record::key_place(std::string_view key) const {
  auto found = keys.find(key);
  return found != keys.end() ? found->second : place;
}

Place Record::value_place(std::string_view key) const {
  const auto& values = list(key);
  return values.empty() ? key_place(key) : values.front().place;
}

const std::vector<Leaf>& Record::list(std::string_view key) const& {
  static const std::vector<Leaf> none;
  auto found = leaves.find(key);
  return found != leaves.end() ? found->second : none;
}

const std::vector<Record>& Record::records(std::string_view key) const& {
  static const std::vector<Record> none;
  auto found = sections.find(key);
  return found != sections.end() ? found->second : none;
}

Record Record::child(std::string_view key) const {
  const auto& written = records(key);
  if (!written.empty()) return written.front();
  Record empty;
  empty.section = section->find(key)->section;
  empty.place = key_place(key);
  return empty;
}

std::optional<Value> Record::find(std::string_view name) const {
  const auto& values = list(name);
  if (!values.empty()) return values.front().value;
  const Key* key = section->find(name);
  if (wrote(name) || key == nullptr || (key->default_text.empty() && key->kind != Kind::socket_address))
    return std::nullopt;
  auto result = parse_value(*key, key->default_text, false);
  if (auto* value = std::get_if<Value>(&result)) return std::move(*value);
  return std::nullopt;
}

Record read_root(const Node& root, Report& report) {
  if (root.kind == Node::Kind::null || root.kind == Node::Kind::map)
    return Reader(report).section(root_section(), root, {1, 1});
  report.add(root.place,
             {fmt::format("the file is {}", kind_of(root)), "a configuration is a mapping of keys to values",
              "begin with a key such as interfaces:"});
  Record record;
  record.section = &root_section();
  record.place = {1, 1};
  return record;
}

}  // namespace culvert::config
