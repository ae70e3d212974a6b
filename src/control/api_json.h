/// Writing JSON lines: one object a line, as the control socket sends them. Much faster than building a tree
/// of values, which matters when a million mappings are listed.
#pragma once

#include <fmt/format.h>

#include <concepts>
#include <iterator>
#include <string>
#include <string_view>

namespace culvert::control {

/// Appends `text` as a JSON string, quotes included. Bytes that are not UTF-8 come out as U+FFFD.
void append_json_string(std::string& out, std::string_view text);

/// One object, from construction to end(). Keys are literals and need no escaping.
class JsonRow {
 public:
  explicit JsonRow(std::string& out) : out_(out) { out_ += '{'; }
  JsonRow(const JsonRow&) = delete;
  JsonRow& operator=(const JsonRow&) = delete;

  JsonRow& text(std::string_view key, std::string_view value) {
    name(key);
    append_json_string(out_, value);
    return *this;
  }
  template <std::integral T>
  JsonRow& number(std::string_view key, T value) {
    name(key);
    fmt::format_to(std::back_inserter(out_), "{}", value);
    return *this;
  }
  /// With at most three digits after the point.
  JsonRow& real(std::string_view key, double value) {
    name(key);
    fmt::format_to(std::back_inserter(out_), "{:.3f}", value);
    return *this;
  }
  JsonRow& flag(std::string_view key, bool value) {
    name(key);
    out_ += value ? "true" : "false";
    return *this;
  }
  /// `json` is JSON already.
  JsonRow& raw(std::string_view key, std::string_view json) {
    name(key);
    out_ += json;
    return *this;
  }
  /// Closes the object; `newline` ends the row.
  void end(bool newline = true) { out_ += newline ? "}\n" : "}"; }

 private:
  void name(std::string_view key) {
    if (!first_) out_ += ',';
    first_ = false;
    out_ += '"';
    out_ += key;
    out_ += "\":";
  }

  std::string& out_;
  bool first_ = true;
};

/// An array of strings or of objects that are JSON already.
class JsonArray {
 public:
  void text(std::string_view value) {
    comma();
    append_json_string(out_, value);
  }
  void raw(std::string_view json) {
    comma();
    out_ += json;
  }
  std::string take() { return std::move(out_) + "]"; }

 private:
  void comma() {
    if (out_.size() > 1) out_ += ',';
  }
  std::string out_ = "[";
};

}  // namespace culvert::control
