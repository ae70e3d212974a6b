/// Aligned text: a table that prints as it goes. Rows are gathered by the page so that columns fit; a later
/// page may be wider, never narrower, so that a listing of any length needs memory for one page only.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <string>
#include <string_view>
#include <vector>

namespace culvert::tools {

class Table {
 public:
  struct Column {
    std::string_view title;
    bool right = false;  ///< aligned right, for numbers
  };
  static constexpr size_t kPage = 1000;

  Table(std::ostream& out, std::vector<Column> columns);
  /// One row, as many cells as columns. An empty cell is printed as a dash.
  void add(std::vector<std::string> cells);
  /// Prints what is left. Says `nothing` when there was no row at all.
  void finish(std::string_view nothing);
  uint64_t rows() const { return rows_; }

 private:
  void print_page();
  void print(const std::vector<std::string>& cells);

  std::ostream& out_;
  std::vector<Column> columns_;
  std::vector<size_t> widths_;
  std::vector<std::vector<std::string>> page_;
  uint64_t rows_ = 0;
  bool headed_ = false;
};

/// 59 s as "59s", 7440 s as "2h 4m", 200000 s as "2d 7h".
std::string duration_text(int64_t seconds);
/// 1234567 as "1.2 MB" (powers of 1000).
std::string bytes_text(double bytes);
/// 3, 8 as "37.5%"; "-" of nothing.
std::string percent_text(double part, double whole);
/// Milliseconds since the Unix epoch as "2026-11-21 01:12:07 UTC".
std::string time_text(uint64_t millis);

}  // namespace culvert::tools
