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

namespace {

/// The YAML in docs/configuration.md below a heading.
std::string example_below(const std::string& heading) {
  const auto text = read(source_path("docs/configuration.md"));
  const std::string fence = "```yaml\n";
  const auto section = text.find("\n## " + heading + "\n");
  REQUIRE(section != std::string::npos);
  const auto begin = text.find(fence, section);
  REQUIRE(begin < text.find("\n## ", section + 1));
  return text.substr(begin + fence.size(), text.find("```", begin + fence.size()) - begin - fence.size());
}

}  // namespace

TEST_CASE("the first configuration of docs/configuration.md is right", "[config]") {
  CHECK(problems_in(load_text(example_below("A first configuration"), "configuration.md")) == "");
}

TEST_CASE("docs/configuration.md shows nat-pass-through as a nat44 instance takes it", "[config]") {
  const Config config = load_right(smallest + example_below("Destinations without translation"));
  const auto& list = config.instances.at(0).pass_through;
  REQUIRE(list.size() == 2);
  CHECK_FALSE(list[0].port);
  CHECK(list[1].port == 80);
}
