/// Where mistakes are gathered while a configuration is read: every one of them, in one pass.
///
/// Used by one thread, for the length of one load. A hostile file could hold a mistake a byte, so the number
/// kept is bounded; what is left out is counted and said.
#pragma once

#include <string>
#include <string_view>

#include "config/load.h"

namespace culvert::config {

/// A place in the file, counted from 1. {0, 0} is no place (a value that was not written, but a default).
struct Place {
  int line = 0;
  int column = 0;
  constexpr auto operator<=>(const Place&) const = default;
};

/// What is wrong with a value, before it is known where it stands.
struct Complaint {
  std::string what;
  std::string why;
  std::string fix;
};

class Report {
 public:
  static constexpr size_t max_problems = 500;

  explicit Report(std::string file) : file_(std::move(file)) {}

  void add(Place place, Complaint complaint);
  bool empty() const { return problems_.empty(); }
  /// The problems in order of their place. Leaves the report empty.
  Problems take();

 private:
  std::string file_;
  Problems problems_;
  size_t left_out_ = 0;
};

/// Text of which nothing is known, on one line: control and broken bytes escaped, cut after about `most`
/// bytes.
std::string printable(std::string_view text, size_t most);

/// Text from the file as it may appear in a message: in double quotes, shortened, control and broken bytes
/// escaped.
std::string quoted(std::string_view text);

/// "line 7", for pointing at another place of the same file.
std::string line_of(Place place);

/// "a, b or c".
std::string alternatives(const std::vector<std::string>& words);

/// Of `candidates`, the one that `word` is most likely a mistyped form of; empty if none is close.
std::string_view closest(std::string_view word, const std::vector<std::string_view>& candidates);

}  // namespace culvert::config
