#include "options.h"

#include <fmt/format.h>

#include <boost/program_options.hpp>
#include <cmath>
#include <iostream>

namespace culvert::bench {
namespace {

namespace po = boost::program_options;

constexpr const char* kAbout = R"(culvert-traffic - subscribers and an Internet around a carrier-grade NAT

It needs two DPDK devices, one towards the appliance's inside and one towards its outside, and a core of its own. First
it makes its mappings from the inside and learns from what arrives outside where each is reached (RFC 9693's preliminary
phase). Then it sends at an exact rate, and checks of every packet that comes out: right mapping, intact, in order, how
late.

  culvert-traffic --inside DEV --outside DEV --inside-peer MAC --outside-peer MAC --carriage nat64 --rate 1e6
        one trial: a million packets a second in each direction for --seconds
  culvert-traffic ... --search
        the highest rate without loss, by binary search (RFC 2544 section 26.1)
  culvert-traffic ... --connections
        the highest rate of new mappings without loss (RFC 9693): each trial has mappings of its own

)";

constexpr const char* kMore = R"(
The appliance. Its configuration names our devices' MAC addresses as next hops, so that nothing has to be resolved, and
its NAT has the made-up ISP's addresses:

  nat44     subscribers are 10.0.0.0, 10.0.0.1, ...
  ds-lite   B4s are 2001:db8:8000::2, 2001:db8:8000:1::2, ... (one in each /64); the AFTR is 3fff:a::1
  nat64     hosts are 2001:db8::2, 2001:db8:0:1::2, ... (one in each /64); the NAT64 prefix is 64:ff9b::/96

All of them talk to 8.8.8.8 port 53. bench/memif-run writes such a configuration and does all of this by one command;
docs/benchmarking.md has it for NICs. Frame sizes are those of the IPv4 side with Ethernet's checksum; softwires add 40
bytes to them, NAT64 20, and the inside's MTU must have room for that.

Example, beside a culvertd whose two devices are net_memif servers on /tmp/m.sock (ids 0 and 1, mac=02:00:00:00:00:01
and :02) and whose next hops are 02:00:00:00:00:0a and :0b:

  culvert-traffic --carriage ds-lite --subscribers 1000 --ports 10 --frame-size imix --search \
    --inside net_memif0,role=client,id=0,socket-abstract=no,socket=/tmp/m.sock,mac=02:00:00:00:00:0a \
    --outside net_memif1,role=client,id=1,socket-abstract=no,socket=/tmp/m.sock,mac=02:00:00:00:00:0b \
    --inside-peer 02:00:00:00:00:01 --outside-peer 02:00:00:00:00:02

Exit codes: 0 measured; 1 it could not be measured, or a packet came out wrong; 2 used wrongly; 130 interrupted.
)";

template <typename T>
T between(const po::variables_map& given, const char* name, T least, T most) {
  const double value = given[name].as<double>();
  if (!std::isfinite(value) || value < static_cast<double>(least) || value > static_cast<double>(most)) {
    throw UsageError(fmt::format("--{} {} is not between {} and {}", name, value, least, most));
  }
  if constexpr (std::is_integral_v<T>) {
    if (value != std::floor(value)) throw UsageError(fmt::format("--{} {} is no whole number", name, value));
  }
  return static_cast<T>(value);
}

net::MacAddress mac(const po::variables_map& given, const char* name) {
  const auto text = given[name].as<std::string>();
  const auto parsed = net::MacAddress::parse(text);
  if (!parsed || parsed->is_multicast()) {
    throw UsageError(
        fmt::format("--{} {} is no station's MAC address, such as 02:00:00:00:00:01", name, text));
  }
  return *parsed;
}

template <typename T>
T one_of(const po::variables_map& given, const char* name,
         std::initializer_list<std::pair<const char*, T>> choices) {
  const auto text = given[name].as<std::string>();
  std::string names;
  for (const auto& [choice, value] : choices) {
    if (text == choice) return value;
    names += fmt::format("{}{}", names.empty() ? "" : ", ", choice);
  }
  throw UsageError(fmt::format("--{} {} is none of {}", name, text, names));
}

std::vector<unsigned> frame_sizes(const std::string& text) {
  if (text == "imix") return kImix;
  unsigned size = 0;
  for (const char c : text) {
    if (c < '0' || c > '9' || size > kLargestFrame)
      size = UINT16_MAX;
    else
      size = size * 10 + static_cast<unsigned>(c - '0');
  }
  if (text.empty() || size < kSmallestFrame || size > kLargestFrame) {
    throw UsageError(fmt::format("--frame-size {} is neither imix nor between {} and {} bytes", text,
                                 kSmallestFrame, kLargestFrame));
  }
  return {size};
}

po::options_description make_options() {
  const auto number = [](double standard, const char* text) {
    return po::value<double>()->value_name("N")->default_value(standard, text);
  };
  const auto word = [](const char* name) { return po::value<std::string>()->value_name(name); };
  po::options_description all("Options", 110, 60);
  auto add = all.add_options();
  add("inside", word("DEV"), "DPDK device towards the appliance's inside: a PCI address or a virtual device");
  add("outside", word("DEV"), "and towards its outside");
  add("inside-peer", word("MAC"), "the appliance's MAC address on its inside");
  add("outside-peer", word("MAC"), "and on its outside");
  add("carriage", word("NAME")->default_value("nat44"), "nat44, ds-lite or nat64");
  add("protocol", word("NAME")->default_value("udp"), "udp or tcp");
  add("subscribers", number(100, "100"), "how many subscribers");
  add("ports", number(10, "10"), "mappings of each, by consecutive ports");
  add("first-port", number(10000, "10000"), "the first of these ports");
  add("frame-size", word("SIZE")->default_value("64"),
      "64 to 1518 bytes, or imix (7 of 64, 4 of 594, 1 of 1518)");
  add("direction", word("WHICH")->default_value("both"), "outbound, inbound or both");
  add("rate", number(100'000, "100000"), "packets a second in each direction; of a search, the first");
  add("seconds", number(5, "5"), "how long a trial sends");
  add("setup-rate", number(100'000, "100000"), "new mappings a second in the preliminary phase");
  add("search", po::bool_switch(), "find the highest rate without loss");
  add("connections", po::bool_switch(), "find the highest rate of new mappings without loss");
  add("most", number(100e6, "1e8"), "the highest rate a search tries");
  add("resolution", number(5, "5"), "a search's last interval, in percent of the rate");
  add("tolerance", number(0, "0"), "loss that passes for none, in percent");
  add("attempts", number(1, "1"), "a rate fails when so many trials in turn lose packets");
  add("trials", number(24, "24"), "most trials of --connections; each takes subscribers of its own");
  add("missed", number(0.1, "0.1"),
      "percent of a trial's packets that may be missed: not offered in time, since the generator's core was "
      "taken away");
  add("burst", number(64, "64"), "packets sent at once after a delay; what is above is missed");
  add("linger", number(0.2, "0.2"), "seconds to wait for packets after the last");
  add("verify", number(1, "1"), "look at checksums and payload of every Nth packet");
  add("cpu", number(0, "any"), "CPU to run on");
  add("descriptors", number(1024, "1024"), "of each device's queues");
  add("mtu", number(1540, "1540"), "of our devices, in bytes of IP packet");
  add("link-wait", number(5, "5"), "seconds to wait for the devices' links");
  add("json", word("FILE"), "write all figures there; - for standard output, without the table");
  add("quiet", po::bool_switch(), "no words on the progress of a search");
  add("stay", po::bool_switch(),
      "stay at the links when all is measured, until SIGTERM: a net_memif peer that leaves a busy one may "
      "take it "
      "along (DPDK 22.11)");
  add("debug", po::bool_switch(), "DPDK's own messages");
  add("help,h", "this text");
  return all;
}

Options read(const po::variables_map& given) {
  for (const char* name : {"inside", "outside", "inside-peer", "outside-peer"}) {
    if (!given.contains(name)) throw UsageError(fmt::format("--{} is missing", name));
  }
  Options o;
  o.inside = given["inside"].as<std::string>();
  o.outside = given["outside"].as<std::string>();
  if (o.inside == o.outside) throw UsageError("--inside and --outside are the same device; two are needed");
  o.inside_peer = mac(given, "inside-peer");
  o.outside_peer = mac(given, "outside-peer");
  Profile& p = o.profile;
  p.carriage = one_of<Carriage>(
      given, "carriage",
      {{"nat44", Carriage::nat44}, {"ds-lite", Carriage::ds_lite}, {"nat64", Carriage::nat64}});
  p.protocol = one_of<Protocol>(given, "protocol", {{"udp", Protocol::udp}, {"tcp", Protocol::tcp}});
  p.subscribers = between<uint32_t>(given, "subscribers", 1, kMaxSubscribers);
  p.ports = between<uint32_t>(given, "ports", 1, 65535);
  p.first_port = between<uint16_t>(given, "first-port", 1, 65535);
  if (p.first_port + p.ports > 65536) {
    throw UsageError(fmt::format("--first-port {} and --ports {}: the last port would be {}, more than 65535",
                                 p.first_port, p.ports, p.first_port + p.ports - 1));
  }
  p.frame_sizes = frame_sizes(given["frame-size"].as<std::string>());
  const int directions = one_of<int>(given, "direction", {{"outbound", 1}, {"inbound", 2}, {"both", 3}});
  o.outbound = (directions & 1) != 0;
  o.inbound = (directions & 2) != 0;
  constexpr double kFastest = 1e9;
  o.rate = between<double>(given, "rate", 1, kFastest);
  o.most = between<double>(given, "most", o.rate, kFastest);
  o.setup_rate = between<double>(given, "setup-rate", 1, kFastest);
  o.seconds = between<double>(given, "seconds", 0.01, 86400);
  o.resolution = between<double>(given, "resolution", 0.01, 100) / 100;
  o.tolerance = between<double>(given, "tolerance", 0, 100) / 100;
  o.missed = between<double>(given, "missed", 0, 100) / 100;
  o.attempts = between<unsigned>(given, "attempts", 1, 100);
  o.burst = between<double>(given, "burst", 1, 1e6);
  o.linger = between<double>(given, "linger", 0.001, 10);
  o.verify_every = between<unsigned>(given, "verify", 1, 1u << 30);
  o.cpu_given = !given["cpu"].defaulted();
  o.cpu = between<uint16_t>(given, "cpu", 0, 1023);
  o.descriptors = between<uint16_t>(given, "descriptors", 64, 32768);
  o.mtu = between<uint16_t>(given, "mtu", 1280, 9600);
  o.link_wait = between<double>(given, "link-wait", 0, 3600);
  if (given.contains("json")) o.json = given["json"].as<std::string>();
  o.quiet = given["quiet"].as<bool>();
  o.stay = given["stay"].as<bool>();
  o.debug = given["debug"].as<bool>();
  if (given["search"].as<bool>() && given["connections"].as<bool>()) {
    throw UsageError("--search and --connections are two searches; one at a time");
  }
  if (given["search"].as<bool>()) o.task = Task::search;
  if (given["connections"].as<bool>()) o.task = Task::connections;
  o.trials_room = o.task == Task::connections ? between<unsigned>(given, "trials", 1, 1000) : 1;
  const uint64_t subscribers = uint64_t{p.subscribers} * o.trials_room, most_mappings = UINT32_MAX / 2;
  if (subscribers > kMaxSubscribers || subscribers * p.ports > most_mappings) {
    throw UsageError(
        fmt::format("{} subscribers{} with {} ports are too many: at most {} subscribers, and {} mappings",
                    p.subscribers, o.trials_room > 1 ? fmt::format(" in {} trials", o.trials_room) : "",
                    p.ports, kMaxSubscribers, most_mappings));
  }
  return o;
}

}  // namespace

std::optional<Options> parse_options(int argc, char** argv) {
  const auto options = make_options();
  try {
    po::variables_map given;
    po::store(po::command_line_parser(argc, argv).options(options).positional({}).run(), given);
    if (given.contains("help")) {
      std::cout << kAbout << options << kMore;
      return std::nullopt;
    }
    po::notify(given);
    return read(given);
  } catch (const po::error& e) {
    throw UsageError(e.what());
  }
}

}  // namespace culvert::bench
