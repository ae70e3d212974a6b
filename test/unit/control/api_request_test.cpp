/// Requests on the control socket: what is understood, and that everything else is refused with a useful
/// message.

#include "control/api_request.h"

#include <rapidcheck.h>

#include <catch2/catch.hpp>

#include "control/api_json.h"
#include "net/mapped.h"
#include "nlohmann/json.hpp"

using namespace culvert;
using namespace culvert::control;

namespace {

std::string error_of(std::string_view line) {
  const auto parsed = parse_request(line);
  return parsed.index() == 1 ? std::get<1>(parsed) : "";
}

ApiRequest good(std::string_view line) {
  const auto parsed = parse_request(line);
  INFO(line << ": " << error_of(line));
  REQUIRE(parsed.index() == 0);
  return std::get<0>(parsed);
}

dataplane::Subscriber subscriber(const char* prefix, uint8_t mask) {
  dataplane::Subscriber s{};
  s.key.prefix = *net::Ipv6Address::parse(prefix);
  s.mask = mask;
  return s;
}

}  // namespace

TEST_CASE("a request's filters are understood in all their forms", "[control][api]") {
  const ApiRequest r = good(
      R"({"command":"mappings","subscriber":"2001:db8:1::/56","external":"203.0.113.5:4711",
          "internal":"[2001:db8:1::2]:53","protocol":"udp","instance":"homes","limit":7})");
  CHECK(r.command == "mappings");
  CHECK(r.filter.subscriber->text() == "2001:db8:1::/56");
  CHECK(r.filter.external->text() == "203.0.113.5");
  CHECK(r.filter.external_port == 4711);
  CHECK(r.filter.internal_ipv6->text() == "2001:db8:1::2");
  CHECK(r.filter.internal_port == 53);
  CHECK(r.filter.protocol == config::Protocol::udp);
  CHECK(r.filter.instance == "homes");
  CHECK(r.limit == 7);

  CHECK(good(R"({"command":"mappings","internal":"192.168.1.2"})").filter.internal_ipv4->text() ==
        "192.168.1.2");
  CHECK(good(R"({"command":"mappings","internal":"2001:db8::1"})").filter.internal_ipv6->text() ==
        "2001:db8::1");
  CHECK_FALSE(good(R"({"command":"mappings","internal":"192.168.1.2"})").filter.internal_port);
  CHECK(good(R"({"command":"mappings","subscriber":"100.64.0.7"})").filter.subscriber->length == 128);
  CHECK(good(R"({"command":"mappings","subscriber":"100.64.0.0/10"})").filter.subscriber->length == 106);
}

TEST_CASE("a wrong request is refused with the value and what would be right", "[control][api]") {
  using Catch::Matchers::Contains;
  CHECK_THAT(error_of("nonsense"), Contains("JSON object"));
  CHECK_THAT(error_of("[]"), Contains("JSON object"));
  CHECK_THAT(error_of("{}"), Contains("no \"command\""));
  CHECK_THAT(error_of(R"({"command":3})"), Contains("a string is needed"));
  CHECK_THAT(error_of(R"({"command":"mapings"})"), Contains("mapings"));
  CHECK_THAT(error_of(R"({"command":"status","limit":1})"), Contains("status does not take limit"));
  CHECK_THAT(error_of(R"({"command":"blocks","protocol":"udp"})"), Contains("it takes subscriber"));
  CHECK_THAT(error_of(R"({"command":"mappings","external":"203.0.113.5:65536"})"), Contains("65535"));
  CHECK_THAT(error_of(R"({"command":"mappings","external":"203.0.113.5:"})"), Contains("port"));
  CHECK_THAT(error_of(R"({"command":"mappings","external":"2001:db8::1"})"), Contains("203.0.113.5:4711"));
  CHECK_THAT(error_of(R"({"command":"mappings","internal":"[2001:db8::1"})"), Contains("internal"));
  CHECK_THAT(error_of(R"({"command":"mappings","subscriber":"2001:db8::1/56"})"), Contains("host bits zero"));
  CHECK_THAT(error_of(R"({"command":"mappings","protocol":"sctp"})"), Contains("udp, tcp or icmp"));
  CHECK_THAT(error_of(R"({"command":"mappings","limit":-1})"), Contains("limit"));
  CHECK_THAT(error_of(R"({"command":"clear-mappings"})"), Contains("filter"));
  CHECK_THAT(error_of(R"({"command":"clear-mappings","all":"yes"})"), Contains("true or false"));
  CHECK(good(R"({"command":"clear-mappings","all":true})").all);
}

TEST_CASE("no bytes upset the parser", "[control][api]") {
  CHECK(rc::check([](const std::string& bytes) { (void)parse_request(bytes); }));
  CHECK(rc::check([](const std::string& value) {
    const nlohmann::json request{{"command", "mappings"}, {"subscriber", value}, {"external", value}};
    (void)parse_request(request.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace));
  }));
  CHECK(error_of(std::string(4000, '[')).find("JSON object") != std::string::npos);
  CHECK(error_of(std::string(5000, ' ')).find("longer than 4096") != std::string::npos);
}

TEST_CASE("a subscriber is found by an address of his and by a prefix around him", "[control][api]") {
  const auto home = subscriber("2001:db8:1:100::", 56);
  const auto takes = [](const std::string& text, const dataplane::Subscriber& s) {
    return good(R"({"command":"subscribers","subscriber":")" + text + "\"}").filter.takes(s);
  };
  CHECK(takes("2001:db8:1:100::/56", home));
  CHECK(takes("2001:db8:1:1ff::1", home));
  CHECK(takes("2001:db8::/32", home));
  CHECK_FALSE(takes("2001:db8:1:200::/56", home));
  CHECK_FALSE(takes("100.64.0.7", home));
  const auto plain = subscriber("::ffff:100.64.0.7", 128);
  CHECK(takes("100.64.0.7", plain));
  CHECK(takes("100.64.0.0/10", plain));
  CHECK_FALSE(takes("100.64.0.8", plain));
}

TEST_CASE("subscribers are written as in the ledger", "[control][api]") {
  CHECK(net::subscriber_text(*net::Ipv6Address::parse("2001:db8:1::"), 56) == "2001:db8:1::/56");
  CHECK(net::subscriber_text(*net::Ipv6Address::parse("::ffff:100.64.0.7"), 128) == "100.64.0.7");
  CHECK(net::subscriber_text(*net::Ipv6Address::parse("::ffff:100.64.0.0"), 120) == "100.64.0.0/24");
}

TEST_CASE("a JSON row is JSON whatever stands in it", "[control][api]") {
  CHECK(rc::check([](const std::string& text, int64_t number, bool flag) {
    std::string line;
    JsonRow row(line);
    row.text("text", text).number("number", number).flag("flag", flag).real("real", 0.25);
    row.end();
    RC_ASSERT(line.back() == '\n');
    RC_ASSERT(line.find('\n') == line.size() - 1);
    const auto parsed = nlohmann::json::parse(line);
    RC_ASSERT(parsed["number"] == number);
    RC_ASSERT(parsed["flag"] == flag);
  }));
  std::string line;
  JsonRow row(line);
  row.text("a", "x\"y\\z\n\xff");
  row.end();
  CHECK(line == "{\"a\":\"x\\\"y\\\\z\\n\\ufffd\"}\n");
}
