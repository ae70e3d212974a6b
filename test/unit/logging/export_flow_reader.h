/// A collector's half of IPFIX and NetFlow v9, as the RFCs have it and not as our encoder does it: templates
/// are learned from the messages, and records are read by them.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace culvert::logging::test {

class FlowReader {
 public:
  using Record = std::map<uint16_t, std::string>;  ///< element to its bytes
  struct Message {
    uint16_t version = 0;
    uint32_t seconds = 0, sequence = 0, domain = 0, uptime = 0;
    unsigned templates = 0;
    std::vector<Record> records, options;
  };

  /// Reads one message off the front of the bytes. Throws where it is malformed.
  Message read(std::string_view& bytes) {
    Message m;
    m.version = static_cast<uint16_t>(number(bytes, 0, 2));
    const size_t length_or_count = number(bytes, 2, 2);
    if (m.version == 10) {
      std::string_view message = cut(bytes, length_or_count);
      m.seconds = static_cast<uint32_t>(number(message, 4, 4));
      m.sequence = static_cast<uint32_t>(number(message, 8, 4));
      m.domain = static_cast<uint32_t>(number(message, 12, 4));
      message.remove_prefix(16);
      while (!message.empty()) read_set(message, m, 2, 3);
    } else if (m.version == 9) {
      m.uptime = static_cast<uint32_t>(number(bytes, 4, 4));
      m.seconds = static_cast<uint32_t>(number(bytes, 8, 4));
      m.sequence = static_cast<uint32_t>(number(bytes, 12, 4));
      m.domain = static_cast<uint32_t>(number(bytes, 16, 4));
      cut(bytes, 20);
      while (m.templates + m.records.size() + m.options.size() < length_or_count) read_set(bytes, m, 0, 1);
      require(m.templates + m.records.size() + m.options.size() == length_or_count);
    } else {
      throw std::runtime_error("version " + std::to_string(m.version));
    }
    return m;
  }
  void forget() { templates_.clear(); }

  static uint64_t number(std::string_view bytes, size_t at, size_t size) {
    require(at + size <= bytes.size());
    uint64_t n = 0;
    for (size_t i = 0; i < size; i++) n = n << 8 | static_cast<uint8_t>(bytes[at + i]);
    return n;
  }
  static uint64_t number(const std::string& field) { return number(field, 0, field.size()); }

 private:
  struct Template {
    std::vector<std::pair<uint16_t, uint16_t>> fields;
    bool options = false;
  };
  static void require(bool good) {
    if (!good) throw std::runtime_error("malformed");
  }
  static std::string_view cut(std::string_view& bytes, size_t n) {
    require(n <= bytes.size());
    const std::string_view front = bytes.substr(0, n);
    bytes.remove_prefix(n);
    return front;
  }

  void read_set(std::string_view& bytes, Message& m, unsigned templates, unsigned options) {
    const auto id = static_cast<uint16_t>(number(bytes, 0, 2));
    const size_t length = number(bytes, 2, 2);
    require(length >= 4 && length % 4 == 0);
    std::string_view set = cut(bytes, length);
    cut(set, 4);
    if (id == templates || id == options) {
      while (set.size() >= 4 && number(set, 0, 2) != 0) read_template(set, m, id == options);
    } else {
      require(id >= 256 && templates_.contains(id));
      const Template& t = templates_.at(id);
      size_t size = 0;
      for (const auto& field : t.fields) size += field.second;
      while (set.size() >= size) {
        Record record;
        for (const auto& [element, bytes_of_it] : t.fields) record[element] = cut(set, bytes_of_it);
        (t.options ? m.options : m.records).push_back(std::move(record));
      }
    }
    for (const char padding : set) require(padding == 0);
    require(set.size() < 4);
  }

  void read_template(std::string_view& set, Message& m, bool options) {
    const auto id = static_cast<uint16_t>(number(set, 0, 2));
    const size_t n = number(set, 2, 2);
    require(id >= 256);
    cut(set, options ? 6 : 4);
    Template t{.fields = {}, .options = options};
    for (size_t i = 0; i < n; i++) {
      const std::string_view field = cut(set, 4);
      t.fields.emplace_back(number(field, 0, 2), number(field, 2, 2));
    }
    templates_[id] = std::move(t);
    m.templates++;
  }

  std::map<uint16_t, Template> templates_;
};

}  // namespace culvert::logging::test
