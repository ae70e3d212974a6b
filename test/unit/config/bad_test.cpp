/// Each file of bad/ is a configuration with mistakes, and says in comments which:
///   # expect LINE:COLUMN: beginning of the message
/// in the order of the file. Every message must be expected and every expectation met.
#include "helpers.h"

using namespace culvert::config;
using namespace culvert::config::test;

namespace {

std::vector<std::string> expectations(const std::string& text) {
  const std::string mark = "# expect ";
  std::vector<std::string> out;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with(mark)) out.push_back(line.substr(mark.size()));
  return out;
}

}  // namespace

TEST_CASE("every mistake of the bad configurations is reported at its place, and nothing else", "[config]") {
  for (const auto& path : yaml_files("test/unit/config/bad")) {
    DYNAMIC_SECTION(path.filename().string()) {
      auto expected = expectations(read(path));
      REQUIRE_FALSE(expected.empty());
      auto result = load_file(path);
      INFO(problems_in(result));
      REQUIRE(std::holds_alternative<Problems>(result));
      const auto& problems = std::get<Problems>(result);
      for (size_t i = 0; i < std::max(expected.size(), problems.size()); i++) {
        std::string got =
            i < problems.size() ? problems[i].text().substr(path.string().size() + 1) : "(nothing)";
        std::string want = i < expected.size() ? expected[i] : "(nothing)";
        CHECK(got.substr(0, want.size()) == want);
      }
    }
  }
}

TEST_CASE("a message says what, why and what would be right, each of them", "[config]") {
  for (const auto& path : yaml_files("test/unit/config/bad")) {
    const auto result = load_file(path);
    for (const Problem& p : std::get<Problems>(result)) {
      INFO(p.text());
      CHECK(p.file == path);
      CHECK_FALSE(p.what.empty());
      CHECK_FALSE(p.why.empty());
      CHECK_FALSE(p.fix.empty());
      CHECK(p.text() == path.string() + ":" + std::to_string(p.line) + ":" + std::to_string(p.column) + ": " +
                            p.what + "; " + p.why + "; " + p.fix);
      CHECK(p.text().find('\n') == std::string::npos);
    }
  }
}

TEST_CASE("a file that cannot be read is a problem too", "[config]") {
  for (const char* path : {"/nonexistent/culvert.yaml", "/"}) {
    auto result = load_file(path);
    REQUIRE(std::holds_alternative<Problems>(result));
    CHECK(std::get<Problems>(result).front().text().starts_with(std::string(path) +
                                                                ":1:1: the file cannot be read; "));
  }
}
