#include <fmt/format.h>

#include <boost/program_options.hpp>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>

#include "commands.h"
#include "config/load.h"
#include "replay/capture_writer.h"
#include "replay/driver.h"
#include "replay/merge.h"
#include "replay/record_file.h"

namespace culvert::tools {
namespace {

namespace po = boost::program_options;
using replay::CaptureReader;
using replay::CaptureWriter;
using replay::LinkType;
using replay::RecordFile;
using replay::Side;

struct Arguments {
  std::string config, inside, outside, write_inside, write_outside, block_log;
  int64_t workers = 0;  ///< 0: the configuration's
  int64_t seed = 1;
  double until = 0;
  bool stats = false, json = false;
};

constexpr double kLongestUntil = 366.0 * 86400;

constexpr const char* kIntroduction =
    "Usage: culvert replay -c CONFIG [--inside A.pcap] [--outside B.pcap] [options]\n\n"
    "Runs captured packets through the appliance's own pipeline: no ports, no root, no huge pages. Time is "
    "the\n"
    "captures' time, so timers run as they did (or would have done); the same input gives the same output to "
    "the\n"
    "byte. Captures are pcap or pcapng, Ethernet or raw IP; what is written has the link type of its side. A "
    "box with\n"
    "one interface (role: both) sends everything to the inside.\n\n"
    "  culvert replay -c culvert.yaml --inside subscriber.pcap --write-outside out.pcap --stats\n\n";

po::options_description options(Arguments& a) {
  po::options_description all("Options");
  all.add_options()("help,h", "this text")("config,c", po::value(&a.config)->value_name("FILE"),
                                           "configuration to run")(
      "inside", po::value(&a.inside)->value_name("PCAP"), "frames that arrive from subscribers")(
      "outside", po::value(&a.outside)->value_name("PCAP"), "frames that arrive from the Internet")(
      "write-inside", po::value(&a.write_inside)->value_name("PCAP"), "what leaves towards subscribers")(
      "write-outside", po::value(&a.write_outside)->value_name("PCAP"), "what leaves towards the Internet")(
      "block-log", po::value(&a.block_log)->value_name("FILE"),
      "port block records, as the appliance writes them; overwritten")(
      "workers", po::value(&a.workers)->value_name("N"), "workers instead of the configuration's")(
      "seed", po::value(&a.seed)->value_name("N")->default_value(1), "for every random choice; not 0")(
      "until", po::value(&a.until)->value_name("SECONDS"),
      "let the clock run on after the last frame, a year at most")(
      "stats", po::bool_switch(&a.stats), "print counters and every drop with its reason")(
      "json", po::bool_switch(&a.json), "the same as JSON");
  return all;
}

/// Opens what was named; the link type of a side that is only written follows the other one.
std::optional<CaptureReader> open_capture(const std::string& path, Side side) {
  if (path.empty()) return std::nullopt;
  return CaptureReader(path, side);
}

std::span<const uint8_t> without_ethernet(std::span<const uint8_t> frame) {
  const bool tagged = frame.size() >= 18 && frame[12] == 0x81 && frame[13] == 0x00;
  return frame.subspan(std::min<size_t>(frame.size(), tagged ? 18 : 14));
}

nlohmann::ordered_json statistics(replay::Driver& driver) {
  using dataplane::Counter;
  control::Engine& engine = driver.engine();
  auto sum = [&](auto pick) {
    uint64_t n = 0;
    for (unsigned w = 0; w < engine.workers(); w++) n += pick(engine.worker(w).counters()).get();
    return n;
  };
  using C = const dataplane::Counters&;
  nlohmann::ordered_json j;
  static constexpr const char* kCarriages[] = {"nat44", "ds-lite", "nat64"};
  for (size_t c = 0; c < dataplane::kCarriageCount; c++) {
    j["outbound"][kCarriages[c]] = sum([c](C k) -> const Counter& { return k.outbound[c].packets; });
    j["inbound"][kCarriages[c]] = sum([c](C k) -> const Counter& { return k.inbound[c].packets; });
  }
  j["hairpinned"] = sum([](C k) -> const Counter& { return k.hairpinned; });
  j["passed-through"] = sum([](C k) -> const Counter& { return k.passed_through; });
  j["udp-checksums-computed"] = sum([](C k) -> const Counter& { return k.checksums_computed; });
  j["handed-over"] = sum([](C k) -> const Counter& { return k.handed_over; });
  j["to-kernel"] = driver.punted();
  j["subscribers"] = sum([](C k) -> const Counter& { return k.subscribers_live; });
  j["mappings"] = sum([](C k) -> const Counter& { return k.mappings_live; });
  j["mappings-created"] = sum([](C k) -> const Counter& { return k.mappings_created; });
  j["sessions"] = sum([](C k) -> const Counter& { return k.sessions_live; });
  j["blocks"] = sum([](C k) -> const Counter& { return k.blocks_live; });
  j["blocks-allocated"] = sum([](C k) -> const Counter& { return k.blocks_allocated; });
  j["blocks-released"] = sum([](C k) -> const Counter& { return k.blocks_released; });
  j["icmp-errors-sent"] = sum([](C k) -> const Counter& { return k.icmp_errors_sent; });
  j["icmp-errors-translated"] = sum([](C k) -> const Counter& { return k.icmp_errors_translated; });
  j["icmp-errors-limited"] = sum([](C k) -> const Counter& { return k.icmp_errors_limited; });
  j["fragments-received"] = sum([](C k) -> const Counter& { return k.fragments_received; });
  j["fragments-held"] = sum([](C k) -> const Counter& { return k.fragments_held; });
  j["fragments-merged"] = sum([](C k) -> const Counter& { return k.fragments_merged; });
  j["fragments-cut"] = sum([](C k) -> const Counter& { return k.fragments_cut; });
  j["oversized"] = driver.oversized();
  j["drops"] = nlohmann::ordered_json::object();
  for (size_t r = 0; r < dataplane::kDropReasonCount; r++) {
    const uint64_t n = sum([r](C k) -> const Counter& { return k.drops[r]; });
    if (n != 0) j["drops"][std::string(dataplane::kDropReasons[r].name)] = n;
  }
  return j;
}

void print_text(const nlohmann::ordered_json& j, const std::string& prefix = "") {
  for (const auto& [key, value] : j.items()) {
    if (value.is_object())
      print_text(value, prefix + key + " ");
    else
      fmt::print("{:<40} {:>12}\n", prefix + key, value.get<uint64_t>());
  }
}

/// Whether two names stand for the same file, even one that is not there yet.
bool same_file(const std::string& a, const std::string& b) {
  if (a.empty() || b.empty()) return false;
  std::error_code none;
  return std::filesystem::equivalent(a, b, none) ||
         std::filesystem::weakly_canonical(a, none) == std::filesystem::weakly_canonical(b, none);
}

void refuse_overwriting(const Arguments& a) {
  const std::string* outputs[] = {&a.write_inside, &a.write_outside, &a.block_log};
  for (size_t i = 0; i < std::size(outputs); i++) {
    for (const std::string& in : {a.inside, a.outside, a.config})
      if (same_file(*outputs[i], in))
        throw po::error(fmt::format("{} would be overwritten while it is read; write elsewhere", in));
    for (size_t k = 0; k < i; k++)
      if (same_file(*outputs[i], *outputs[k]))
        throw po::error(fmt::format("{} is named for two outputs; write them to two files", *outputs[i]));
  }
}

int replay(const Arguments& a) {
  auto loaded = config::load_file(a.config);
  if (const auto* problems = std::get_if<config::Problems>(&loaded)) {
    for (const auto& p : *problems) fmt::print(stderr, "{}\n", p.text());
    return 2;
  }
  auto config = std::get<config::Config>(std::move(loaded));
  if (a.workers != 0) config.workers = static_cast<uint16_t>(a.workers);

  auto inside = open_capture(a.inside, Side::inside), outside = open_capture(a.outside, Side::outside);
  const LinkType any = inside ? inside->link_type() : outside ? outside->link_type() : LinkType::ethernet;
  const LinkType types[] = {inside ? inside->link_type() : any, outside ? outside->link_type() : any};
  std::optional<CaptureWriter> writers[2];
  if (!a.write_inside.empty()) writers[0].emplace(a.write_inside, types[0]);
  if (!a.write_outside.empty()) writers[1].emplace(a.write_outside, types[1]);
  std::optional<RecordFile> records;
  if (!a.block_log.empty()) records.emplace(a.block_log);

  replay::FrameMerger frames(std::move(inside), std::move(outside));
  // A capture that breaks off, as a killed tcpdump leaves it, counts up to there.
  std::string broken;
  const auto next = [&]() -> decltype(frames.next()) {
    try {
      return frames.next();
    } catch (const replay::CaptureError& e) {
      broken = e.what();
      return std::nullopt;
    }
  };
  auto frame = next();
  replay::Driver driver(
      config, static_cast<uint64_t>(a.seed), frame ? frame->timestamp_ns : 0,
      [&](Side side, uint64_t at, std::span<const uint8_t> bytes) {
        const auto i = static_cast<size_t>(side);
        if (!writers[i]) return;
        writers[i]->write(at, types[i] == LinkType::raw_ip ? without_ethernet(bytes) : bytes);
      },
      records ? [&](const logging::Entry& e) { records->write(e); } : replay::Driver::Records());
  for (; frame; frame = next()) driver.push(*frame, types[static_cast<size_t>(frame->side)]);
  driver.run_on(static_cast<uint64_t>(a.until * 1000));
  for (auto& w : writers)
    if (w) w->close();
  if (records) records->close();
  for (const auto& warning : driver.engine().take_warnings()) fmt::print(stderr, "warning: {}\n", warning);
  if (a.json)
    fmt::print("{}\n", statistics(driver).dump(2));
  else if (a.stats)
    print_text(statistics(driver));
  if (broken.empty()) return 0;
  fmt::print(stderr, "culvert replay: {}; the frames before that were replayed\n", broken);
  return 1;
}

}  // namespace

int run_replay(int argc, char** argv) {
  Arguments a;
  const auto description = options(a);
  po::variables_map given;
  try {
    po::store(po::command_line_parser(argc, argv).options(description).positional({}).run(), given);
    po::notify(given);
    if (given.count("help") != 0) {
      std::cout << kIntroduction << description;
      return 0;
    }
    if (a.config.empty()) throw po::error("--config FILE is missing");
    if (a.inside.empty() && a.outside.empty())
      throw po::error("nothing to replay: name --inside or --outside, or both");
    if (a.seed < 1) throw po::error("--seed is at least 1");
    if (given.contains("workers") && (a.workers < 1 || a.workers > int64_t{dataplane::kMaxWorkers}))
      throw po::error(fmt::format("--workers is 1 to {}", dataplane::kMaxWorkers));
    if (!(a.until >= 0 && a.until <= kLongestUntil))
      throw po::error(fmt::format("--until is 0 to {} seconds, a year", kLongestUntil));
    refuse_overwriting(a);
  } catch (const po::error& e) {
    fmt::print(stderr, "culvert replay: {}; try 'culvert replay --help'\n", e.what());
    return 2;
  }
  try {
    return replay(a);
  } catch (const std::exception& e) {
    fmt::print(stderr, "culvert replay: {}\n", e.what());
    return 1;
  }
}

}  // namespace culvert::tools
