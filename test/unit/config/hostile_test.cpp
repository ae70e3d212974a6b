/// Safe on any bytes: load_text returns, with problems that can be printed, and in reasonable time.
#include <rapidcheck.h>

#include <chrono>

#include "helpers.h"

using namespace culvert::config;
using namespace culvert::config::test;

namespace {

std::string repeated(const std::string& piece, size_t times) {
  std::string out;
  out.reserve(piece.size() * times);
  for (size_t i = 0; i < times; i++) out += piece;
  return out;
}

/// Problems, each printable on one line.
void check_refused(const std::string& bytes) {
  auto result = load_text(bytes, "hostile.yaml");
  REQUIRE(std::holds_alternative<Problems>(result));
  const auto& problems = std::get<Problems>(result);
  CHECK_FALSE(problems.empty());
  CHECK(problems.size() <= 501);
  for (const Problem& p : problems) {
    CHECK(p.line >= 1);
    CHECK(p.column >= 1);
    CHECK(p.text().find('\n') == std::string::npos);
    CHECK(p.text().size() < 4096);
  }
}

}  // namespace

TEST_CASE("nesting without end", "[config]") {
  check_refused(repeated("[", 1'000'000));
  check_refused(repeated("{a: ", 250'000));
  check_refused(repeated("- ", 500'000));
  check_refused(repeated("? ", 500'000));
  check_refused("instances: " + repeated("[{instances: ", 100'000));
  std::string indented;
  for (size_t i = 0; i < 1500; i++) indented += std::string(i, ' ') + "a:\n";
  check_refused(indented);
}

TEST_CASE("aliases, anchors and tags are refused, so no small file becomes a large one", "[config]") {
  check_refused("a: &a [x, x, x, x]\nb: &b [*a, *a, *a, *a]\nc: &c [*b, *b, *b, *b]\ninterfaces: [*c, *c]\n");
  check_refused("&a workers: 2\n");
  check_refused("a: &a [*a]\n");
  check_refused("workers: !!python/object 2\n");
}

TEST_CASE("more than four mebibytes", "[config]") {
  auto result = load_text(smallest + repeated("#\n", 2'200'000), "long.yaml");
  CHECK(problems_in(result).starts_with("long.yaml:1:1: the file has "));
}

TEST_CASE("large files that are wrong all over end soon", "[config]") {
  auto begin = std::chrono::steady_clock::now();
  check_refused(repeated("unknown: 1\n", 200'000));
  check_refused("instances: [" + repeated("{},", 300'000) + "]");
  check_refused("instances:\n- external-ip-address-pool: [" + repeated("10.0.0.0/8,", 4'096) + "]");
  check_refused("instances:\n- external-ip-address-pool: [" + repeated("10.0.0.0/8,", 300'000) + "]");
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::minutes(1));
}

TEST_CASE("bytes that are no text", "[config]") {
  check_refused(std::string(1, '\0'));
  check_refused(std::string("workers: \0 1\n", 12));
  check_refused("\xff\xfe\x00\x00");
  check_refused(
      "\xff\xfe"
      "a\0");
  check_refused("\xc3\x28: \xf0\x28\x8c\x28\n");
  check_refused("name: \"\x1b[31m\\u0000\\uFFFF\"\n");
  check_refused("a: \"\\\n\"");  // yaml-cpp's own message has the byte after the backslash
  check_refused("a: \"\\\x1b\"");
  check_refused("");
  check_refused("---\n...\n---\n");
  check_refused("%YAML 9.9\n---\na: b");
  check_refused("\t");
  check_refused("- - - :\n?\n");
}

TEST_CASE("a right configuration with any of its bytes changed is read or refused", "[config]") {
  CHECK(rc::check("one to four bytes changed", [] {
    std::string text = smallest;
    for (int i = *rc::gen::inRange(1, 5); i > 0; i--)
      text[*rc::gen::inRange<size_t>(0, text.size())] =
          *rc::gen::oneOf(rc::gen::arbitrary<char>(),
                          rc::gen::element('\n', ' ', ':', '-', '[', ']', '{', '}', '&', '*', '"', '#', '0'));
    auto result = load_text(text, "changed.yaml");
    if (auto* problems = std::get_if<Problems>(&result)) RC_ASSERT(!problems->empty());
  }));
  CHECK(rc::check("cut off anywhere", [] {
    auto result = load_text(smallest.substr(0, *rc::gen::inRange<size_t>(0, smallest.size())), "cut.yaml");
    if (auto* problems = std::get_if<Problems>(&result)) RC_ASSERT(!problems->empty());
  }));
}
