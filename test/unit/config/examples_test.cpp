#include "helpers.h"

using namespace culvert::config;
using namespace culvert::config::test;

TEST_CASE("every example in conf/ is right", "[config]") {
  for (const auto& path : yaml_files("conf")) {
    DYNAMIC_SECTION(path.filename().string()) { CHECK(problems_in(load_file(path)) == ""); }
  }
}

TEST_CASE("the examples tell editors where the schema is", "[config]") {
  for (const char* name : {"nat44", "ds-lite", "nat64", "all-in-one", "one-armed"})
    CHECK(read(source_path(std::string("conf/") + name + ".yaml"))
              .starts_with("# yaml-language-server: $schema=culvert.schema.json\n"));
}

TEST_CASE("the first configuration of docs/configuration.md is right", "[config]") {
  auto text = read(source_path("docs/configuration.md"));
  const std::string fence = "```yaml\n";
  auto begin = text.find(fence);
  REQUIRE(begin != std::string::npos);
  begin += fence.size();
  CHECK(problems_in(load_text(text.substr(begin, text.find("```", begin) - begin), "configuration.md")) ==
        "");
}
