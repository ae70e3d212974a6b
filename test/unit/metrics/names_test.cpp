/// docs/metrics.md lists exactly the metrics and drop reasons that the code has.
/// `UPDATE_DOCS=1 unit "[metrics]"` writes its two tables anew.

#include "metrics/names.h"

#include <catch2/catch.hpp>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <regex>
#include <set>
#include <sstream>
#include <string>

#include "dataplane/drop_reason.h"

using namespace culvert;

namespace {

const std::string kFile = std::string(CULVERT_SOURCE_DIR) + "/docs/metrics.md";

std::string read_docs() {
  std::ifstream in(kFile);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// What stands between `<!-- name -->` and `<!-- end of name -->`.
std::string section(const std::string& text, const std::string& name, const std::string* replacement,
                    std::string* out) {
  const std::string begin = "<!-- " + name + " -->\n", end = "<!-- end of " + name + " -->";
  const size_t from = text.find(begin), to = text.find(end);
  REQUIRE(from != std::string::npos);
  REQUIRE(to != std::string::npos);
  const size_t start = from + begin.size();
  if (replacement != nullptr) *out = text.substr(0, start) + *replacement + text.substr(to);
  return text.substr(start, to - start);
}

}  // namespace

TEST_CASE("docs/metrics.md is in step with the code", "[metrics][docs]") {
  if (std::getenv("UPDATE_DOCS") != nullptr) {
    std::string text = read_docs();
    const std::string metrics = metrics::metric_reference(), drops = metrics::drop_reference();
    section(text, "metrics", &metrics, &text);
    section(text, "drop reasons", &drops, &text);
    std::ofstream(kFile) << text;
  }
  const std::string docs = read_docs();
  INFO("UPDATE_DOCS=1 writes the tables anew");
  CHECK(section(docs, "metrics", nullptr, nullptr) == metrics::metric_reference());
  CHECK(section(docs, "drop reasons", nullptr, nullptr) == metrics::drop_reference());
}

TEST_CASE("docs/metrics.md speaks of no metric that is not there", "[metrics][docs]") {
  const std::string docs = read_docs();
  std::set<std::string> known;
  for (const auto& m : metrics::kMetrics) known.insert(std::string(m.name));
  const std::regex word("culvert_[a-z0-9_]+");
  for (std::sregex_iterator it(docs.begin(), docs.end(), word), end; it != end; ++it) {
    INFO(it->str());
    CHECK(known.contains(it->str()));
  }
}

TEST_CASE("docs/metrics.md says of each drop reason once what to do about it", "[metrics][docs]") {
  std::istringstream advice(section(read_docs(), "advice", nullptr, nullptr));
  std::multiset<std::string> found;
  const std::regex name("`([^`]+)`");
  for (std::string row; std::getline(advice, row);) {
    const std::string reasons = row.substr(0, row.find('|', 1));
    for (std::sregex_iterator it(reasons.begin(), reasons.end(), name), end; it != end; ++it)
      found.insert((*it)[1]);
  }
  for (const auto& r : dataplane::kDropReasons) {
    INFO(r.name);
    CHECK(found.erase(std::string(r.name)) == 1);
  }
  CHECK(found == std::multiset<std::string>{});
}

TEST_CASE("metric names follow Prometheus' conventions", "[metrics]") {
  std::set<std::string_view> names;
  for (const auto& m : metrics::kMetrics) {
    INFO(m.name);
    CHECK(names.insert(m.name).second);
    CHECK(std::regex_match(std::string(m.name), std::regex("culvert_[a-z0-9_]+")));
    CHECK(m.name.ends_with("_total") == (m.type == metrics::Type::counter));
    CHECK(m.help.ends_with('.'));
    CHECK(m.name.find("percent") == m.name.npos);
  }
}

TEST_CASE("drop reasons have names that are different and words", "[metrics]") {
  std::set<std::string_view> names;
  for (const auto& r : dataplane::kDropReasons) {
    CHECK(names.insert(r.name).second);
    CHECK_FALSE(r.help.empty());
  }
}
