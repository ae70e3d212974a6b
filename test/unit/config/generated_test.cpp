/// The schema and the key reference are generated from the table of keys and kept in the repository. To write
/// them anew after a change of the table: CULVERT_WRITE_GENERATED=1 build/test/unit/unit "[generated]"
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "config/keys.h"
#include "helpers.h"

using namespace culvert::config;
using namespace culvert::config::test;

namespace {

const std::string begin_mark = "<!-- key reference: generated, do not edit -->\n";
const std::string end_mark = "<!-- end of key reference -->\n";

void compare(const std::filesystem::path& path, const std::string& now, const std::string& right) {
  if (std::getenv("CULVERT_WRITE_GENERATED") != nullptr) {
    std::ofstream(path, std::ios::binary) << right;
    return;
  }
  INFO("not what the table of keys says: "
       << path << "; run CULVERT_WRITE_GENERATED=1 build/test/unit/unit \"[generated]\"");
  CHECK((now == right));
}

}  // namespace

TEST_CASE("conf/culvert.schema.json is the table's", "[config][generated]") {
  auto path = source_path("conf/culvert.schema.json");
  compare(path, std::filesystem::exists(path) ? read(path) : "", json_schema());
}

TEST_CASE("docs/configuration.md has the table's key reference", "[config][generated]") {
  auto path = source_path("docs/configuration.md");
  auto text = read(path);
  auto begin = text.find(begin_mark), end = text.find(end_mark);
  REQUIRE(begin != std::string::npos);
  REQUIRE(end != std::string::npos);
  begin += begin_mark.size();
  compare(path, text, text.substr(0, begin) + key_reference() + text.substr(end));
}

TEST_CASE("the schema knows every key, with a description", "[config]") {
  auto schema = nlohmann::json::parse(json_schema());
  for (const Section* section : all_sections()) {
    const auto& s = section == &root_section() ? schema : schema["$defs"][std::string(section->name)];
    CHECK(s["additionalProperties"] == false);
    CHECK(s["properties"].size() == section->keys.size());
    for (const Key& key : section->keys)
      CHECK_FALSE(s["properties"][std::string(key.name)]["description"].empty());
  }
}
