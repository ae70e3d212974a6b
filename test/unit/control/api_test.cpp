/// The control socket over a real engine whose workers poll in threads of their own: listings, filters,
/// clearing.

#include <fmt/format.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <set>

#include "api_box.h"

using namespace culvert;
using config::Carriage;
using test::Box;
using namespace std::chrono_literals;

namespace {

/// Values of one key over all rows.
std::set<std::string> values(const Box::Reply& reply, const char* key) {
  std::set<std::string> out;
  for (const auto& row : reply.rows) out.insert(row.at(key).get<std::string>());
  return out;
}

}  // namespace

TEST_CASE("mappings of all workers are listed, each once", "[control][api]") {
  const unsigned workers = GENERATE(1u, 2u, 4u);
  Box box(workers);
  box.fill(Carriage::nat44, 300, 10);
  box.fill(Carriage::ds_lite, 300, 10);
  box.fill(Carriage::nat64, 300, 10);
  box.start();
  const auto all = box.ask({{"command", "mappings"}});
  CHECK(all.rows.size() == 9000);
  CHECK(all.last.at("rows") == 9000);
  CHECK(values(all, "external").size() == 9000);
  const auto& row = all.rows.front();
  for (const char* key : {"instance", "carriage", "protocol", "subscriber", "internal", "external", "state",
                          "age", "expires", "worker", "sessions"}) {
    CHECK(row.contains(key));
  }
  CHECK(row.at("age") == 1);
  CHECK(row.at("expires") == 299);  // udp-timeout is 300 s, RFC 4787 REQ-5
  CHECK(box.ask({{"command", "mappings"}, {"limit", 10}}).rows.size() == 10);
  CHECK(box.ask({{"command", "mappings"}, {"limit", 1000}}).rows.size() == 1000);
}

TEST_CASE("mappings are filtered", "[control][api]") {
  Box box(2);
  box.fill(Carriage::nat44, 20, 5);
  box.fill(Carriage::ds_lite, 20, 5);
  box.fill(Carriage::nat64, 20, 5);
  box.map(Carriage::nat44, 3, 443, config::Protocol::tcp);
  box.start();
  const auto count = [&](nlohmann::json filter) {
    filter["command"] = "mappings";
    const auto reply = box.ask(filter);
    CHECK(reply.error().empty());
    return reply.rows.size();
  };
  CHECK(count({{"instance", "homes"}}) == 100);
  CHECK(count({{"protocol", "tcp"}}) == 1);
  CHECK(count({{"subscriber", "100.64.0.3"}}) == 6);
  CHECK(count({{"subscriber", "100.64.0.3"}, {"protocol", "udp"}}) == 5);
  CHECK(count({{"subscriber", "2001:db8:100:200::/56"}}) == 5);
  CHECK(count({{"subscriber", "2001:db8:100:2ff::1"}}) == 5);
  CHECK(count({{"internal", "192.168.1.2"}}) == 100);
  CHECK(count({{"internal", "192.168.1.2:10000"}}) == 20);
  CHECK(count({{"internal", "[2001:db8:200:4::1]:10000"}}) == 1);
  CHECK(count({{"internal", "100.64.0.3:10001"}}) == 1);

  // The question a complaint brings, answered from the index: whose is this endpoint?
  const auto one = box.ask({{"command", "mappings"}, {"subscriber", "100.64.0.3"}, {"protocol", "tcp"}});
  REQUIRE(one.rows.size() == 1);
  const std::string external = one.rows[0].at("external");
  const auto found = box.ask({{"command", "mappings"}, {"external", external}, {"protocol", "tcp"}});
  REQUIRE(found.rows.size() == 1);
  CHECK(found.rows[0] == one.rows[0]);
  CHECK(count({{"external", external}, {"instance", "homes"}}) == 0);
  CHECK(count({{"external", external.substr(0, external.find(':'))}}) >= 6);

  const auto unknown = box.ask({{"command", "mappings"}, {"instance", "flat"}});
  CHECK_THAT(unknown.error(), Catch::Matchers::Contains("plain, homes, phones"));
  CHECK(unknown.last.value("usage", false));
}

TEST_CASE("a mapping past its time is not listed", "[control][api]") {
  Box box;
  box.fill(Carriage::nat44, 10, 10);
  box.start();
  box.now = Box::kStart + 301'000;
  CHECK(box.ask({{"command", "mappings"}}).rows.empty());
}

TEST_CASE("a million mappings are streamed, and no worker is held up", "[control][api]") {
  Box box(1, 1'100'000);
  box.fill(Carriage::nat44, 8000, 125);
  box.start();
  box.turn(100ms);
  box.longest_poll = 0;
  const int fd = box.connect();
  const std::string request = "{\"command\":\"mappings\"}\n";
  REQUIRE(send(fd, request.data(), request.size(), MSG_NOSIGNAL) > 0);
  const auto [lines, last] = box.turn_until(std::async(std::launch::async, [fd] {
    std::pair<size_t, std::string> out;
    std::vector<char> buffer(1u << 16);
    for (ssize_t n; (n = read(fd, buffer.data(), buffer.size())) > 0;) {
      out.first += static_cast<size_t>(std::count(buffer.begin(), buffer.begin() + n, '\n'));
      out.second.append(buffer.data(), static_cast<size_t>(n));
      if (out.second.size() > 4096) out.second.erase(0, out.second.size() - 100);
    }
    close(fd);
    return out;
  }));
  CHECK(lines == 1'000'001);
  CHECK_THAT(last, Catch::Matchers::EndsWith("{\"end\":true,\"rows\":1000000}\n"));
  INFO("longest round of the worker: " << box.longest_poll << " ns of CPU time");
  CHECK(box.longest_poll < 2'000'000);
}

TEST_CASE("blocks, subscribers and pools agree with the mappings", "[control][api]") {
  const unsigned workers = GENERATE(1u, 3u);
  Box box(workers);
  box.fill(Carriage::nat44, 50, 4);
  box.fill(Carriage::ds_lite, 30, 600);  // more than one block of 512 each
  box.start();
  const auto blocks = box.ask({{"command", "blocks"}});
  CHECK(blocks.rows.size() == 50 + 30 * 2);
  uint64_t used = 0;
  for (const auto& row : blocks.rows) {
    used += row.at("used_udp").get<uint64_t>();
    CHECK(row.at("state") == "live");
    CHECK(row.at("last_port").get<int>() - row.at("first_port").get<int>() == 511);
  }
  CHECK(used == 50 * 4 + 30 * 600);
  CHECK(box.ask({{"command", "blocks"}, {"subscriber", "2001:db8:100::/56"}}).rows.size() == 2);
  const auto& some = blocks.rows.front();
  const auto found = box.ask({{"command", "blocks"},
                              {"external", fmt::format("{}:{}", some.at("external").get<std::string>(),
                                                       some.at("first_port").get<int>() + 5)}});
  REQUIRE(found.rows.size() == 1);
  CHECK(found.rows[0] == some);
  CHECK(box.ask({{"command", "blocks"}, {"external", "192.0.2.1"}}).rows.empty());

  const auto subscribers = box.ask({{"command", "subscribers"}});
  CHECK(subscribers.rows.size() == 80);
  const auto home = box.ask({{"command", "subscribers"}, {"subscriber", "2001:db8:100::1"}});
  REQUIRE(home.rows.size() == 1);
  CHECK(home.rows[0].at("blocks") == 2);
  CHECK(home.rows[0].at("ports_udp") == 600);
  CHECK(home.rows[0].at("mappings") == 600);

  const auto pools = box.ask({{"command", "pools"}});
  REQUIRE(pools.rows.size() == 3);
  uint64_t live = 0, ports = 0;
  for (const auto& row : pools.rows) {
    live += row.at("blocks_live").get<uint64_t>();
    ports += row.at("ports_udp").get<uint64_t>();
    CHECK(row.at("blocks_live").get<uint64_t>() + row.at("blocks_held").get<uint64_t>() +
              row.at("blocks_free").get<uint64_t>() ==
          row.at("blocks").get<uint64_t>());
  }
  CHECK(live == blocks.rows.size());
  CHECK(ports == used);
  CHECK(box.ask({{"command", "pools"}, {"instance", "homes"}}).rows.size() == 1);
}

TEST_CASE("clear ends what it is told to, and says how many", "[control][api]") {
  Box box(2);
  box.fill(Carriage::nat44, 500, 3);
  box.fill(Carriage::ds_lite, 20, 5);
  box.start();
  const auto cleared = [&](nlohmann::json request, const char* command) {
    request["command"] = command;
    const auto reply = box.ask(request);
    CHECK(reply.error().empty());
    REQUIRE(reply.rows.size() == 1);
    return reply.rows[0].at("cleared").get<int>();
  };
  const auto left = [&] { return box.ask({{"command", "mappings"}}).rows.size(); };
  const std::string external =
      box.ask({{"command", "mappings"}, {"subscriber", "100.64.0.9"}}).rows.at(0).at("external");
  CHECK(cleared({{"external", external}}, "clear-mappings") == 1);
  CHECK(left() == 1599);
  CHECK(cleared({{"subscriber", "100.64.0.9"}}, "clear-mappings") == 2);
  CHECK(box.ask({{"command", "subscribers"}, {"subscriber", "100.64.0.9"}}).rows.size() ==
        1);  // his block is idle
  CHECK(cleared({{"subscriber", "2001:db8:100:300::/56"}}, "clear-subscribers") == 1);
  CHECK(box.ask({{"command", "subscribers"}, {"subscriber", "2001:db8:100:300::/56"}}).rows.empty());
  // RFC 6888 REQ-8: what was given back is held down.
  const auto held = box.ask({{"command", "blocks"}, {"instance", "homes"}});
  CHECK(std::count_if(held.rows.begin(), held.rows.end(),
                      [](const auto& r) { return r.at("state") == "held"; }) == 1);
  CHECK(left() == 1592);
  CHECK(cleared({{"all", true}}, "clear-mappings") == 1592);
  CHECK(left() == 0);
  CHECK_THAT(box.ask({{"command", "clear-mappings"}}).error(), Catch::Matchers::Contains("filter"));
}

TEST_CASE("status, interfaces, drops and workers tell what the engine counts", "[control][api]") {
  Box box(2);
  box.fill(Carriage::nat64, 10, 10);
  box.engine().worker(1).counters().drop(dataplane::DropReason::no_mapping, 5);
  box.engine().worker(0).counters().received[0].packets.add(12);
  box.engine().worker(1).counters().received[1].packets.add(4);
  box.engine().worker(0).counters().handed_over.add(3);
  box.engine().worker(1).counters().handed_over.add(1);
  box.start();
  const auto status = box.ask({{"command", "status"}});
  REQUIRE(status.rows.size() == 1);
  CHECK(status.rows[0].at("mappings") == 100);
  CHECK(status.rows[0].at("mappings_capacity") == 100'000);
  CHECK(status.rows[0].at("subscribers") == 10);
  CHECK(status.rows[0].at("blocks") == 10);
  CHECK(status.rows[0].at("blocks_capacity") == 3 * 64 * 126);
  CHECK(status.rows[0].at("workers") == 2);
  CHECK(status.rows[0].at("uptime") == 1);
  CHECK(status.rows[0].at("drops") == 5);
  CHECK(status.rows[0].at("log_written") == 7);

  const auto interfaces = box.ask({{"command", "interfaces"}});
  REQUIRE(interfaces.rows.size() == 2);
  CHECK(interfaces.rows[0].at("interface") == "in");
  CHECK(interfaces.rows[0].at("rx_packets") == 12);
  CHECK(interfaces.rows[0].at("addresses").size() == 2);
  CHECK(interfaces.rows[0].at("next_hops")[0].at("state") == "incomplete");
  for (const auto& row : interfaces.rows) {  // of the whole box: 3 + 1 of 12 + 4
    CHECK(row.at("steering") == "rings: 1 receive queue for 2 workers");
    CHECK(row.at("box_handed_over") == 4);
    CHECK(row.at("box_handed_over_share") == 0.25);
  }

  const auto drops = box.ask({{"command", "drops"}});
  CHECK(drops.rows.size() == dataplane::kDropReasonCount);
  for (const auto& row : drops.rows) {
    CHECK(row.at("packets") == (row.at("reason") == "no-mapping" ? 5 : 0));
    CHECK_FALSE(row.at("meaning").get<std::string>().empty());
  }
  CHECK(box.ask({{"command", "workers"}}).rows.size() == 2);
}

TEST_CASE("reload says ok or why not", "[control][api]") {
  Box box;
  box.start();
  CHECK(box.ask({{"command", "reload"}}).rows.size() == 1);
  box.reload_answer = "box.yaml:3:1: wrong\nbox.yaml:4:1: wrong too";
  const auto refused = box.ask({{"command", "reload"}});
  CHECK(refused.error() == box.reload_answer);
  CHECK_FALSE(refused.last.value("usage", false));
}
