/// How evenly subscribers spread over workers, and how often a subscriber's second port block is refused:
/// a simulation with the real Steering, Pool and BlockAllocator, without packets. docs/steering.md keeps its
/// tables and says what they mean. The same seed gives the same figures.
///
/// Load. A subscriber's load is drawn from a Pareto distribution (many quiet homes, few that never stop) and
/// capped at what a line carries; the mean is 1. By default a fifth of the homes makes 71 % of the traffic.
///
/// Blocks. Subscribers come and go at random so that a pool is used to a given part; each takes one block
/// when he comes, from his worker's emptiest address, and some ask for a second later, which has to be on the
/// same address (RFC 6888 REQ-2). Free blocks move between workers by the Engine's own rule
/// (control/levelling.h), which is applied after every event here and every 100 ms there.
#include <fmt/format.h>
#include <unistd.h>

#include <boost/program_options.hpp>
#include <cmath>
#include <iostream>
#include <memory>
#include <numeric>
#include <vector>

#include "control/levelling.h"
#include "dataplane/binding/block_allocator.h"
#include "dataplane/tables.h"

namespace {

using namespace culvert;
using dataplane::BlockAllocator;
using dataplane::BlockIndex;
using dataplane::Pool;
using dataplane::Steering;
using dataplane::SubscriberKey;
using dataplane::SubscriberMasks;
using dataplane::SubscriberRss;
using dataplane::WorkerId;

constexpr unsigned kWorkers[] = {1, 2, 4, 8, 16, 32, 64};

struct Options {
  uint64_t seed = 1;
  unsigned draws = 10;  ///< of the loads
  double shape = 1.16, cap = 500;
  uint32_t split_below = dataplane::Registry::kSplitBelow;  ///< addresses a worker: below, blocks are dealt
                                                            ///< singly, as Registry does
  double second = 0.3;                                      ///< of the subscribers ask for a second block
};

/// Says on a terminal how far it is.
class Progress {
 public:
  explicit Progress(unsigned steps) : steps_(steps), shown_(isatty(STDERR_FILENO) != 0) {}
  void step(const std::string& what) {
    if (shown_) fmt::print(stderr, "\r\033[K[{}/{}] {}", ++done_, steps_, what);
  }
  ~Progress() {
    if (shown_) fmt::print(stderr, "\r\033[K");
  }

 private:
  unsigned steps_, done_ = 0;
  bool shown_;
};

double uniform(net::Random& random) { return double(random.next() >> 11) * 0x1p-53; }

std::vector<float> pareto(uint32_t count, const Options& o, net::Random& random) {
  std::vector<float> load(count);
  double sum = 0;
  for (float& l : load) {
    l = static_cast<float>(std::min(std::pow(1 - uniform(random), -1 / o.shape), o.cap));
    sum += l;
  }
  for (float& l : load) l = static_cast<float>(l * count / sum);
  return load;
}

/// Homes with a /56 each in a row, as a delegating router gives them out.
SubscriberKey home(uint32_t n) {
  return SubscriberKey::ipv6(net::Ipv6Address::from_halves(0x20010db800000000u + (uint64_t{n} << 8), 0), 56,
                             0);
}

struct Way {
  const char* name;
  unsigned reta_bits;  ///< 0: our own hash
};
constexpr Way kWays[] = {{"own hash", 0}, {"RSS, 128", 7}, {"RSS, 512", 9}};

/// Load of the busiest worker over the mean, averaged and at worst over several draws.
void spread(const Options& o, Progress& progress) {
  fmt::print("Busiest worker's load over the mean (mean of {} draws, worst draw)\n\n", o.draws);
  for (const bool heavy : {false, true}) {
    fmt::print("{}\n", heavy ? fmt::format("Load by Pareto, shape {}, capped at {} times the smallest",
                                           o.shape, o.cap)
                             : std::string("Every subscriber the same load"));
    fmt::print("{:<12}{:<10}", "subscribers", "bucket");
    for (unsigned w : kWorkers)
      if (w > 1) fmt::print("{:>14}", w);
    fmt::print("\n");
    for (uint32_t count : {10'000u, 1'000'000u}) {
      for (const Way& way : kWays) {
        progress.step(fmt::format("{} subscribers, {}", count, way.name));
        std::shared_ptr<const SubscriberRss> rss;
        if (way.reta_bits != 0)
          rss = std::make_shared<const SubscriberRss>(SubscriberMasks{std::nullopt, uint8_t{56}},
                                                      way.reta_bits, true);
        const Steering steering(64, rss);
        std::vector<uint16_t> bucket(count);
        for (uint32_t n = 0; n < count; n++) bucket[n] = static_cast<uint16_t>(steering.bucket_of(home(n)));
        net::Random random(o.seed);
        std::vector<double> mean(std::size(kWorkers)), worst(std::size(kWorkers));
        const unsigned draws = heavy ? o.draws : 1;
        for (unsigned d = 0; d < draws; d++) {
          const std::vector<float> load = heavy ? pareto(count, o, random) : std::vector<float>(count, 1);
          std::vector<double> by_bucket(Steering::kBuckets);
          for (uint32_t n = 0; n < count; n++) by_bucket[bucket[n]] += double(load[n]);
          for (size_t i = 0; i < std::size(kWorkers); i++) {
            std::vector<double> by_worker(kWorkers[i]);
            for (unsigned b = 0; b < Steering::kBuckets; b++)
              by_worker[Steering::worker_of_bucket(b, kWorkers[i])] += by_bucket[b];
            const double ratio = *std::max_element(by_worker.begin(), by_worker.end()) * kWorkers[i] / count;
            mean[i] += ratio / draws;
            worst[i] = std::max(worst[i], ratio);
          }
        }
        fmt::print("{:<12}{:<10}", count, way.name);
        for (size_t i = 1; i < std::size(kWorkers); i++)
          fmt::print("{:>14}", fmt::format("{:.2f} ({:.2f})", mean[i], worst[i]));
        fmt::print("\n");
      }
    }
    fmt::print("\n");
  }
}

/// A pool under subscribers who come and go.
class Town {
 public:
  Town(uint32_t addresses, unsigned workers, const Options& o)
      : pool_(0, 0, prefix(addresses), config::PortAllocation{}, workers,
              workers > 1 && addresses < o.split_below * workers),
        steering_(workers),
        random_(o.seed * 1000003 + addresses * 64 + workers),
        second_(o.second) {
    for (BlockIndex b = 0; pool_.split() && b < pool_.block_count(); b++)
      pool_.set_block_owner(b, dataplane::Registry::owner_of_block(b, pool_.block_count(), workers));
    for (unsigned w = 0; w < workers; w++)
      shares_.push_back(std::make_unique<BlockAllocator>(pool_, static_cast<WorkerId>(w)));
  }

  struct Result {
    uint64_t first_asked = 0, first_refused = 0, second_asked = 0, second_refused = 0;
  };
  Result run(double use) {
    const auto target = static_cast<uint32_t>(use * pool_.block_count());
    // Half of the events of the filled pool are not looked at: it must have forgotten how it was filled.
    const uint32_t rounds = 3 * pool_.block_count() + 20'000;
    Result result;
    for (uint32_t n = 0; n < rounds; n++) {
      Result* count = n < rounds / 2 ? nullptr : &result;
      if (used_ < target)
        come(count);
      else
        leave();
      if (uniform(random_) < second_ && !homes_.empty()) ask_second(count);
      level();
    }
    return result;
  }

 private:
  struct Home {
    WorkerId worker;
    BlockIndex first, second;
  };
  static net::Ipv4Prefix prefix(uint32_t addresses) {
    return {net::Ipv4Address(0xcb007100u & ~(addresses - 1)),
            static_cast<uint8_t>(32 - std::countr_zero(addresses))};
  }
  void come(Result* count) {
    const WorkerId w = steering_.worker_of(SubscriberKey::ipv4(
        net::Ipv4Address(static_cast<uint32_t>(0x64400000u | (random_.next() & 0x3fffff))), 32, 0));
    if (count) count->first_asked++;
    const BlockIndex b = shares_[w]->take();
    if (b == dataplane::kNoBlock) {
      if (count) count->first_refused++;
      return;
    }
    used_++;
    homes_.push_back({w, b, dataplane::kNoBlock});
  }
  void leave() {
    if (homes_.empty()) return;
    const size_t i = random_.next() % homes_.size();
    const Home h = homes_[i];
    homes_[i] = homes_.back();
    homes_.pop_back();
    give(h.worker, h.first);
    if (h.second != dataplane::kNoBlock) give(h.worker, h.second);
  }
  void ask_second(Result* count) {
    Home& h = homes_[random_.next() % homes_.size()];
    if (h.second != dataplane::kNoBlock) return;
    if (count) count->second_asked++;
    h.second = shares_[h.worker]->take_on(h.first / pool_.sets());
    if (h.second == dataplane::kNoBlock) {
      if (count) count->second_refused++;
      return;
    }
    used_++;
  }
  void give(WorkerId w, BlockIndex b) {
    shares_[w]->give(b);
    used_--;
  }
  void level() {
    if (shares_.size() < 2) return;
    free_.clear();
    for (const auto& s : shares_) free_.push_back(s->free_blocks());
    const auto move = control::choose_move(free_, pool_.split() ? 1 : pool_.sets());
    if (!move) return;
    const std::vector<uint32_t> entries = shares_[move->donor]->surrender(move->blocks);
    for (uint32_t e : entries) {
      if (pool_.split())
        pool_.set_block_owner(e, move->needy);
      else
        pool_.set_address_owner(e, move->needy);
    }
    shares_[move->needy]->adopt(entries);
  }

  Pool pool_;
  Steering steering_;
  net::Random random_;
  double second_;
  std::vector<std::unique_ptr<BlockAllocator>> shares_;
  std::vector<Home> homes_;
  std::vector<uint32_t> free_;
  uint32_t used_ = 0;
};

std::string percent(uint64_t part, uint64_t whole) {
  if (whole == 0) return "-";
  const double p = 100.0 * double(part) / double(whole);
  return p == 0 ? "0" : p < 0.1 ? "<0.1" : fmt::format("{:.1f}", p);
}

void refusals(const Options& o, Progress& progress) {
  for (double use : {0.7, 0.9}) {
    fmt::print(
        "Refused, % of those asked, with {:.0f} % of the pool's blocks in use: second blocks (first "
        "blocks)\n\n",
        100 * use);
    fmt::print("{:<18}", "addresses | workers");
    for (unsigned w : kWorkers) fmt::print("{:>13}", w);
    fmt::print("\n");
    for (uint32_t addresses : {1u, 4u, 16u, 64u, 256u, 1024u}) {
      fmt::print("{:<18}", addresses);
      for (unsigned workers : kWorkers) {
        progress.step(fmt::format("{:.0f} % use, {} addresses, {} workers", 100 * use, addresses, workers));
        if (workers > addresses * config::PortAllocation{}.sets_per_address()) {
          fmt::print("{:>13}", "");
          continue;
        }
        const Town::Result r = Town(addresses, workers, o).run(use);
        const bool split = workers > 1 && addresses < o.split_below * workers;
        fmt::print("{:>13}",
                   fmt::format("{}{} ({})", split ? "*" : "", percent(r.second_refused, r.second_asked),
                               percent(r.first_refused, r.first_asked)));
      }
      fmt::print("\n");
    }
    fmt::print("* blocks dealt singly: fewer than {} addresses a worker\n\n", o.split_below);
  }
}

}  // namespace

int main(int argc, char** argv) try {
  namespace po = boost::program_options;
  Options o;
  po::options_description options("options");
  options.add_options()("help,h", "this text")("seed", po::value(&o.seed)->default_value(o.seed),
                                               "the same seed gives the same figures")(
      "draws", po::value(&o.draws)->default_value(o.draws), "how often the subscribers' loads are drawn")(
      "shape", po::value(&o.shape)->default_value(o.shape, "1.16"),
      "of the Pareto distribution; smaller: fewer make more of the load")(
      "cap", po::value(&o.cap)->default_value(o.cap, "500"), "largest load over the smallest")(
      "split-below", po::value(&o.split_below)->default_value(o.split_below),
      "addresses a worker below which single blocks are dealt instead of addresses; the default is the "
      "appliance's")("second", po::value(&o.second)->default_value(o.second, "0.3"),
                     "requests for a second block to each event of a subscriber coming or going");
  po::variables_map given;
  po::store(po::parse_command_line(argc, argv, options), given);
  po::notify(given);
  if (given.count("help") != 0) {
    std::cout
        << "culvert-spread: how evenly subscribers spread over workers, and how often a second block is "
           "refused\n\n"
        << options
        << "\nIt simulates with the appliance's own tables and takes under a minute. docs/steering.md "
           "says what the figures mean.\n";
    return 0;
  }
  if (o.draws < 1 || o.shape <= 0 || o.cap < 1 || o.second < 0 || o.second > 1) {
    std::cerr
        << "culvert-spread: --draws is at least 1, --shape above 0, --cap at least 1, --second 0 to 1\n";
    return 2;
  }
  Progress progress(2 * 2 * 3 + 2 * 6 * 7);
  spread(o, progress);
  refusals(o, progress);
  return 0;
} catch (const std::exception& e) {
  std::cerr << "culvert-spread: " << e.what() << "; --help shows the options\n";
  return 2;
}
