/// A subcommand that lists rows in a table.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "client.h"
#include "table.h"

namespace culvert::tools {

struct Listing {
  std::string name;  ///< of the subcommand and of the command on the control socket
  std::string_view help;
  std::vector<Table::Column> columns;
  std::vector<std::string> (*cells)(const nlohmann::json& row);
  std::string_view nothing;  ///< said when there is no row
  std::initializer_list<std::string_view> filters = {};
};

int run_listing(const Listing& listing, int argc, char** argv);

/// Values of a row as cells; missing ones are empty.
std::string text_cell(const nlohmann::json& row, const char* key);
std::string number_cell(const nlohmann::json& row, const char* key);
/// "3/4", or "3" where the limit is 0: none.
std::string limit_cell(const nlohmann::json& row, const char* key, const char* limit_key);

}  // namespace culvert::tools
