#include "day.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <queue>
#include <set>
#include <vector>

#include "logging/ledger/batch_writer.h"
#include "logging/ledger/checkpoint.h"
#include "net/hash.h"

namespace culvert::bench {
namespace {

using namespace logging::ledger;

constexpr uint32_t kFirstAddress = 0xc6120000;  // 198.18.0.0, RFC 2544
constexpr uint16_t kFirstPort = 1024;
constexpr uint64_t kBatch = 100, kHour = 3'600'000, kMidnight = 1'795'305'600'000;

}  // namespace

class Days::Box {
 public:
  explicit Box(const Load& load)
      : load_(load),
        random_(load.seed),
        sets_((65536 - kFirstPort) / load.set_size),
        homes_(load.subscribers) {
    const double held = load.subscribers * load.blocks_a_day * load.held_hours / 24;
    addresses_.resize(static_cast<size_t>(std::ceil(held / (sets_ * load.use))));
    for (uint32_t a = 0; a < addresses_.size(); a++) {
      for (uint32_t i = 0; i < sets_; i++) addresses_[a].free.push_back(a * sets_ + i);
      by_free_.insert({sets_, a});
    }
  }

  Day next() {
    if (header_.serial == 0) warm_up();
    const uint64_t opened = kMidnight + days_++ * length();
    const Replayed before = replay(bytes_, {}, {});
    header_ = {.serial = header_.serial + 1,
               .opened = opened,
               .first_ordinal = header_.first_ordinal + before.events};
    begin(header_);
    bytes_ = begin_segment(header_, before.state, opened - 120'000);
    const Replayed checkpoint = replay(bytes_, {}, {});
    for (Home& h : homes_) h.number.reset();
    checkpoint.state.subscribers().for_each([this](const SubscriberNote& s) {
      homes_[(s.prefix.high() - kFirstPrefix) >> 8].number = static_cast<uint32_t>(s.number);
    });
    defined_ = static_cast<uint32_t>(checkpoint.state.subscribers().size());
    run(opened + length());
    out_->add(now_, 0, Type::segment_end, {});
    bytes_ += out_->take();
    Day day{.live = bytes_, .events = out_->events(), .addresses = addresses_.size()};
    day.serial = header_.serial;
    day.next_ordinal = header_.first_ordinal + day.events;
    day.held = checkpoint.state.held().size();
    day.first_address = kFirstAddress;
    day.first_port = kFirstPort;
    day.opened = opened;
    day.ended = now_;
    return day;
  }

 private:
  /// Before the first day: until as many blocks are held as ever.
  void warm_up() {
    const auto hours = load_.held_hours * 5;
    header_ = {.serial = 1, .opened = kMidnight - static_cast<uint64_t>(hours * kHour), .first_ordinal = 1};
    begin(header_);
    note(InstanceNote{.number = 1, .carriage = 1, .name = "homes"});
    note(AddressRange{.first_block = 0,
                      .instance = 1,
                      .first_address = net::Ipv4Address(kFirstAddress),
                      .addresses = addresses_.size(),
                      .first_port = kFirstPort,
                      .set_size = load_.set_size,
                      .sets = sets_});
    note(Source{.worker = 0, .epoch = 1, .next = 1});
    note(ClockNote{.ahead = 0, .past = ClockPast{.sets = 0, .latest = 0}});
    run(kMidnight);
  }
  uint64_t length() const { return static_cast<uint64_t>(load_.hours * kHour); }

  static constexpr uint64_t kFirstPrefix = 0x20010db8'00000000;
  struct Address {
    std::deque<uint32_t> free;  ///< blocks, longest free first
  };
  struct Home {
    std::optional<uint32_t> number;  ///< in the segment; none: not defined there
    uint32_t address = 0, held = 0;
  };
  struct Release {
    uint64_t time;
    uint32_t block, home;
    bool operator>(const Release& o) const { return time > o.time; }
  };

  double uniform() { return (static_cast<double>(random_.next() >> 11) + 0.5) * 0x1p-53; }
  double exponential(double mean) { return -mean * std::log(uniform()); }

  void begin(const LiveHeader& header) {
    bytes_ = encode(header);
    out_.emplace(header);
    now_ = batch_ = header.opened;
  }
  template <typename Note>
  void note(const Note& n) {
    out_->add(now_, 0, Note::kType, encode(n));
  }
  void advance(uint64_t now) {
    if (now / kBatch != batch_ / kBatch && !out_->empty()) bytes_ += out_->take();
    now_ = batch_ = now;
  }

  void run(uint64_t end) {
    const double pause = 24.0 * kHour / (load_.subscribers * load_.blocks_a_day);
    double next = static_cast<double>(now_) + exponential(pause);
    for (;;) {
      const auto arrival = static_cast<uint64_t>(next);
      const bool release = !releases_.empty() && releases_.top().time <= arrival;
      const uint64_t time = release ? releases_.top().time : arrival;
      if (time >= end) break;
      advance(time);
      if (release) {
        give(releases_.top());
        releases_.pop();
      } else {
        take(random_.below(load_.subscribers));
        next += exponential(pause);
      }
    }
    if (!out_->empty()) bytes_ += out_->take();
  }

  void take(uint32_t home) {
    Home& h = homes_[home];
    if (h.held == 0 || addresses_[h.address].free.empty()) h.address = by_free_.rbegin()->second;
    Address& a = addresses_[h.address];
    if (a.free.empty()) return;  // the pool is used up
    if (!h.number) {
      h.number = defined_++;
      note(SubscriberNote{.number = *h.number,
                          .instance = 1,
                          .prefix = net::Ipv6Address::from_halves(kFirstPrefix + (uint64_t{home} << 8), 0),
                          .length = 56});
    }
    const uint32_t block = a.free.front();
    by_free_.erase({static_cast<uint32_t>(a.free.size()), h.address});
    a.free.pop_front();
    by_free_.insert({static_cast<uint32_t>(a.free.size()), h.address});
    out_->allocated(now_, 0, h.held == 0 ? 1 : 2, block, *h.number);
    h.held++;
    releases_.push({now_ + 1 + static_cast<uint64_t>(exponential(load_.held_hours * kHour)), block, home});
  }

  void give(const Release& r) {
    const uint32_t address = r.block / sets_;
    Address& a = addresses_[address];
    by_free_.erase({static_cast<uint32_t>(a.free.size()), address});
    a.free.push_back(r.block);
    by_free_.insert({static_cast<uint32_t>(a.free.size()), address});
    homes_[r.home].held--;
    const double peak = 1 + exponential(load_.set_size / 8.0);
    out_->released(now_, 0, 4, r.block, static_cast<uint16_t>(std::min<double>(peak, load_.set_size)));
  }

  Load load_;
  net::Random random_;
  uint32_t sets_;
  std::vector<Home> homes_;
  std::vector<Address> addresses_;
  std::set<std::pair<uint32_t, uint32_t>> by_free_;  ///< free blocks, address
  std::priority_queue<Release, std::vector<Release>, std::greater<>> releases_;
  std::string bytes_;
  std::optional<BatchWriter> out_;
  uint32_t defined_ = 0;
  uint64_t now_ = 0, batch_ = 0;
  LiveHeader header_{};
  uint64_t days_ = 0;
};

Days::Days(const Load& load) : box_(std::make_unique<Box>(load)) {}
Days::~Days() = default;
Day Days::next() { return box_->next(); }

}  // namespace culvert::bench
