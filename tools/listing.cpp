#include "listing.h"

#include <fmt/format.h>

#include <iostream>

namespace culvert::tools {

int run_listing(const Listing& listing, int argc, char** argv) {
  CommandLine line{listing.name, listing.help};
  add_filter_options(line.options, listing.filters);
  add_client_options(line.options);
  return run_command(line, argc, argv, [&](const po::variables_map& given) {
    Table table(std::cout, listing.columns);
    const int code = ask(listing.name, given, make_request(listing.name, given),
                         [&](const nlohmann::json& row) { table.add(listing.cells(row)); });
    if (code == 0 && !given.contains("json")) table.finish(listing.nothing);
    return code;
  });
}

std::string text_cell(const nlohmann::json& row, const char* key) { return row.value(key, std::string()); }

std::string number_cell(const nlohmann::json& row, const char* key) {
  const auto it = row.find(key);
  return it == row.end() ? std::string() : it->dump();
}

std::string limit_cell(const nlohmann::json& row, const char* key, const char* limit_key) {
  const uint64_t limit = row.value(limit_key, uint64_t{0});
  return limit == 0 ? number_cell(row, key) : fmt::format("{}/{}", number_cell(row, key), limit);
}

}  // namespace culvert::tools
