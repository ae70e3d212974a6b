/// ledger-bench: what a day of the ledger costs: bytes an event, live and sealed, beside a line of text; time
/// and memory to seal it; what a question about an address reads and how long it takes, with nothing of the
/// file in the page cache.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <boost/program_options.hpp>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <system_error>
#include <vector>

#include "day.h"
#include "logging/ledger/seal.h"
#include "logging/ledger/sealed_query.h"
#include "logging/ledger/sealed_reader.h"
#include "logging/ledger/sealed_verify.h"
#include "net/hash.h"
#include "parts.h"

namespace {

using namespace culvert;
using namespace culvert::logging::ledger;
using bench::forget;
using bench::row;
using bench::seconds_since;

/// A line of text that says as much as a block event, in the shortest words that people log.
constexpr double kTextLine = 62;

/// A number of /proc/self/FILE, behind its name.
uint64_t proc_number(const char* file, const std::string& name) {
  std::ifstream in(std::string("/proc/self/") + file);
  for (std::string word; in >> word;) {
    uint64_t n = 0;
    if (word == name + ":" && in >> n) return n;
  }
  return 0;
}

/// The file's bytes, mapped.
class Mapped {
 public:
  explicit Mapped(const std::string& path) : size_(std::filesystem::file_size(path)) {
    const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    at_ = mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    if (at_ == MAP_FAILED) throw std::runtime_error(path + " cannot be mapped");
  }
  ~Mapped() { munmap(at_, size_); }
  Mapped(const Mapped&) = delete;
  Mapped& operator=(const Mapped&) = delete;
  std::string_view bytes() const { return {static_cast<const char*>(at_), size_}; }

 private:
  size_t size_;
  void* at_ = nullptr;
};

class Bench {
 public:
  Bench(const bench::Load& load, std::string directory, unsigned questions)
      : load_(load), directory_(std::move(directory)), questions_(questions) {}

  void run() {
    make();
    seal_it();
    sizes();
    ask("who had a port at a time", [&](const Spot& s) {
      return records_of(*segment_, net::Ipv4Address(s.address), s.port, {s.time, s.time}).carried.size();
    });
    ask("who had a port that day", [&](const Spot& s) {
      return records_of(*segment_, net::Ipv4Address(s.address), s.port, {0, UINT64_MAX}).records.size();
    });
    ask("what an address did that day", [&](const Spot& s) {
      return records_of(*segment_, net::Ipv4Address(s.address), std::nullopt, {0, UINT64_MAX}).records.size();
    });
    ask("what a subscriber did that day",
        [&](const Spot& s) { return records_of(*segment_, s.subscriber, {0, UINT64_MAX}).records.size(); });
    whole();
  }

 private:
  struct Spot {
    uint32_t address;
    uint16_t port;
    uint64_t time;
    net::Ipv6Prefix subscriber;
  };

  void bytes_row(const std::string& what, uint64_t bytes) const {
    const double each = static_cast<double>(bytes) / static_cast<double>(day_.events);
    row(what, each, "B/event",
        fmt::format("{:>8.1f} MB{:>8.1f} times less than text", static_cast<double>(bytes) / 1e6,
                    kTextLine / each));
  }

  void make() {
    day_ = bench::Days(load_).next();
    fmt::print("{} events, {} blocks held at its beginning, {} addresses\n\n", day_.events, day_.held,
               day_.addresses);
    live_path_ = directory_ + "/day.live";
    std::ofstream(live_path_, std::ios::binary) << day_.live;
    live_size_ = day_.live.size();
    day_.live = {};
  }

  void seal_it() {
    const Mapped live(live_path_);
    std::ofstream("/proc/self/clear_refs") << 5;  // the peak is from here on
    const uint64_t before = proc_number("status", "RssAnon");
    const auto start = std::chrono::steady_clock::now();
    path_ = directory_ + "/day.seg";
    const Sealed sealed = seal(live.bytes(), {}, path_);
    const double seconds = seconds_since(start);
    sealed_size_ = sealed.bytes;
    const uint64_t peak = proc_number("status", "VmHWM") - proc_number("status", "RssFile") - before;
    row("sealing", seconds, "s",
        fmt::format("{:.2f} M events/s", static_cast<double>(day_.events) / seconds / 1e6));
    row("  memory", static_cast<double>(peak) / 1024, "MiB", "besides the live segment, which is mapped");
  }

  void sizes() {
    segment_.emplace(path_);
    bytes_row("text", static_cast<uint64_t>(kTextLine) * day_.events);
    bytes_row("live segment", live_size_);
    bytes_row("sealed segment", sealed_size_);
    uint64_t pages = 0, chunks = 0;
    for (const auto& p : segment_->directory().pages) pages += p.part.bytes;
    for (const auto& c : segment_->directory().chunks) chunks += c.part.bytes;
    bytes_row("  pages", pages);
    bytes_row("  dictionary", chunks);
    bytes_row("  directory and ends", sealed_size_ - pages - chunks);
    fmt::print("{} pages, {} chunks\n\n", segment_->directory().pages.size(),
               segment_->directory().chunks.size());
  }

  template <typename Question>
  void ask(const std::string& what, Question&& question) {
    net::Random random(7);
    std::vector<double> times;
    uint64_t calls = 0, bytes = 0, records = 0;
    for (unsigned i = 0; i < questions_; i++) {
      Spot s{};
      s.address = day_.first_address + random.below(static_cast<uint32_t>(day_.addresses));
      s.port = static_cast<uint16_t>(day_.first_port + random.below(65536u - day_.first_port));
      s.time = day_.opened + random.next() % (day_.ended - day_.opened);
      s.subscriber = {net::Ipv6Address::from_halves(
                          0x20010db8'00000000 + (uint64_t{random.below(load_.subscribers)} << 8), 0),
                      56};
      segment_.reset();
      forget(path_);
      const auto none = io();
      const auto before = io();
      const auto start = std::chrono::steady_clock::now();
      segment_.emplace(path_);
      records += question(s);
      times.push_back(seconds_since(start) * 1000);
      const auto after = io();
      calls += after.first - before.first - (before.first - none.first);
      bytes += after.second - before.second - (before.second - none.second);
    }
    std::ranges::sort(times);
    row(what, times[times.size() / 2], "ms",
        fmt::format("worst {:.2f}; {:.1f} reads of {:.1f} kB in all; {:.1f} records", times.back(),
                    static_cast<double>(calls) / questions_, static_cast<double>(bytes) / 1e3 / questions_,
                    static_cast<double>(records) / questions_));
  }
  static std::pair<uint64_t, uint64_t> io() {
    return {proc_number("io", "syscr"), proc_number("io", "rchar")};
  }

  void whole() {
    auto start = std::chrono::steady_clock::now();
    std::ofstream("/proc/self/clear_refs") << 5;
    const uint64_t before = proc_number("status", "VmRSS");
    uint64_t records = 0;
    {
      SealedReader reader(*segment_);
      while (reader.next()) records++;
    }
    row("all in the ledger's order", seconds_since(start), "s",
        fmt::format("{} records, {:.0f} MiB", records,
                    static_cast<double>(proc_number("status", "VmHWM") - before) / 1024));
    start = std::chrono::steady_clock::now();
    const bool good = verify(*segment_, Digest{}, [](const std::string& what) { fmt::print("{}\n", what); });
    row("verify", seconds_since(start), "s", good ? "nothing found" : "FOUND SOMETHING");
  }

  bench::Load load_;
  std::string directory_, live_path_, path_;
  unsigned questions_;
  bench::Day day_;
  uint64_t live_size_ = 0, sealed_size_ = 0;
  std::optional<SealedSegment> segment_;
};

}  // namespace

int main(int argc, char** argv) {
  namespace po = boost::program_options;
  bench::Load load;
  std::string directory;
  unsigned questions = 0;
  std::string what;
  unsigned days = 0;
  uint64_t events = 0, blocks = 0;
  po::options_description options(
      "ledger-bench [WHAT]: what the ledger costs. WHAT is\n\n"
      "  day       a day's bytes; sealing; questions to one segment (this is the default)\n"
      "  archive   who had a port, in an archive of many days of which nothing is in the page cache\n"
      "  writing   events from a worker's ring to the disk, as fast as one recorder can\n"
      "  sessions  a session record's bytes, where log-sessions asks for those\n"
      "  restart   from the ledger's files to workers that have all the blocks in use\n\nOptions");
  options.add_options()("help,h", "this text")("what", po::value(&what)->default_value("day"), "")(
      "days", po::value(&days)->default_value(30), "archive: how many")(
      "events", po::value(&events)->default_value(20'000'000), "writing, sessions: how many")(
      "blocks-in-use", po::value(&blocks)->default_value(1'000'000), "restart: how many")(
      "directory", po::value(&directory)->default_value(std::filesystem::temp_directory_path()),
      "where the segments are made, on the disk to be measured")(
      "subscribers", po::value(&load.subscribers)->default_value(load.subscribers), "")(
      "blocks", po::value(&load.blocks_a_day)->default_value(load.blocks_a_day),
      "that each subscriber takes a day")("held", po::value(&load.held_hours)->default_value(load.held_hours),
                                          "hours that a block is held on average")(
      "ports", po::value(&load.set_size)->default_value(load.set_size), "a block")(
      "hours", po::value(&load.hours)->default_value(load.hours), "that the segment is long")(
      "questions", po::value(&questions)->default_value(100), "of each kind");
  try {
    po::variables_map given;
    po::positional_options_description words;
    words.add("what", 1);
    po::store(po::command_line_parser(argc, argv).options(options).positional(words).run(), given);
    po::notify(given);
    if (given.contains("help")) {
      std::cout << options;
      return 0;
    }
    // A directory of its own, that goes away with it.
    const std::string own = fmt::format("{}/ledger-bench-{}", directory, getpid());
    std::filesystem::create_directory(own);
    try {
      if (what == "day")
        Bench(load, own, questions).run();
      else if (what == "archive")
        bench::ask_archive(load, own, days, questions);
      else if (what == "writing")
        bench::write_events(own, events);
      else if (what == "sessions")
        bench::session_bytes(own, std::min<uint64_t>(events, kMaxSegmentEvents));
      else if (what == "restart")
        bench::restart(own, blocks);
      else
        throw std::runtime_error(what + ": it is day, archive, writing, sessions or restart");
    } catch (...) {
      std::filesystem::remove_all(own);
      throw;
    }
    std::filesystem::remove_all(own);
    return 0;
  } catch (const std::exception& e) {
    fmt::print(stderr, "ledger-bench: {}\n", e.what());
    return 1;
  }
}
