/// What the tests of the configuration share: the repository's files, and a smallest configuration to start
/// from.
#pragma once

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "config/load.h"

namespace culvert::config::test {

inline std::filesystem::path source_path(const std::string& relative) {
  return std::filesystem::path(CULVERT_SOURCE_DIR) / relative;
}

inline std::string read(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  REQUIRE(in);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

inline std::vector<std::filesystem::path> yaml_files(const std::string& relative) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(source_path(relative)))
    if (entry.path().extension() == ".yaml") files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  REQUIRE_FALSE(files.empty());
  return files;
}

/// Every mistake on a line of its own; empty when there is none.
inline std::string problems_in(const std::variant<Config, Problems>& result) {
  std::string out;
  if (auto* problems = std::get_if<Problems>(&result))
    for (const Problem& p : *problems) out += p.text() + "\n";
  return out;
}

/// The Config of a text that is right.
inline Config load_right(const std::string& yaml) {
  auto result = load_text(yaml, "test.yaml");
  INFO(problems_in(result));
  REQUIRE(std::holds_alternative<Config>(result));
  return std::get<Config>(result);
}

/// Mandatory keys only.
inline const std::string smallest = R"(
interfaces:
  - {name: in0, device: net_null0, role: inside, next-hop-ipv4: "02:00:00:00:00:01"}
  - {name: out0, device: net_null1, role: outside, next-hop-ipv4: "02:00:00:00:00:02"}
instances:
  - name: homes
    type: nat44
    subscriber-match: 100.64.0.0/10
    external-ip-address-pool: 203.0.113.0/24
)";

}  // namespace culvert::config::test
