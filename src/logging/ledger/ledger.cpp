#include "logging/ledger/ledger.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <set>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "dataplane/drop_reason.h"
#include "net/hash.h"
#include "net/mapped.h"

namespace culvert::logging::ledger {
namespace {

bool same(const AddressRange& a, const Definitions::Range& b, uint64_t instance) {
  return a.instance == instance && a.first_address == b.first_address && a.addresses == b.addresses &&
         a.first_port == b.first_port && a.set_size == b.set_size && a.sets == b.sets;
}
bool overlap(const AddressRange& a, const Definitions::Range& b) {
  const uint64_t x = a.first_address.value(), y = b.first_address.value();
  return x < y + b.addresses && y < x + a.addresses;
}

/// The number of an instance, if it has one.
std::optional<uint64_t> number_of(const State& state, const Definitions::Instance& instance) {
  for (const auto& [number, known] : state.instances())
    if (known.name == instance.name && known.carriage == static_cast<uint8_t>(instance.carriage))
      return number;
  return std::nullopt;
}

/// What files were being made when their process ended.
void remove_unfinished(const std::filesystem::path& directory) {
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    const std::filesystem::path& path = entry.path();
    std::error_code ignored;  // it hurts nobody
    if (path.extension() == ".new" && parse_name(path.stem())) std::filesystem::remove(path, ignored);
  }
}

std::filesystem::path made(const std::filesystem::path& directory) {
  try {
    std::filesystem::create_directories(directory);
  } catch (const std::filesystem::filesystem_error& e) {
    throw std::runtime_error(
        fmt::format("ledger {}: cannot be made: {}; name a directory that culvertd may write to as logging: "
                    "ledger-directory",
                    directory.string(), e.code().message()));
  }
  return directory;
}

}  // namespace

size_t Ledger::WhoHash::operator()(const Who& w) const {
  // The key is no secret: who has millions of prefixes to choose from is an ISP, and this its own log.
  return net::hash(net::HashKey{}, w.prefix.high(), w.prefix.low(), w.instance << 8 | w.length);
}

Ledger::Ledger(const std::filesystem::path& directory, uint64_t now, Options options)
    : directory_(made(directory)),
      options_(std::move(options)),
      lock_(directory_, options_.strict),
      header_{.serial = 0, .opened = now, .first_ordinal = 1},
      state_(now),
      out_(header_) {
  remove_unfinished(directory_);
  const std::vector<SegmentFile> segments = list_segments(directory_);
  if (segments.empty())
    state_.begin();
  else
    open_last(segments.back());
}

/// Finds what holds at the end of the last segment, and opens that to go on, unless it has ended.
void Ledger::open_last(const SegmentFile& last) {
  if (last.sealed)
    throw std::runtime_error(
        fmt::format("ledger {}: its last segment, {}, is sealed, so that nobody can tell who holds a block; "
                    "put the .live segment behind it back, or move the directory away to begin a new ledger",
                    directory_.string(), last.path.filename().string()));
  const std::string bytes = read_file(last.path);
  try {
    uint64_t damaged = 0;
    adopt(replay(
        bytes,
        [&](const Damage& d) {
          if (d.at_end)
            options_.tell(
                fmt::format("ledger {}: {} bytes at its end are no whole batch; they go into a .cut file",
                            last.path.string(), d.bytes));
          else
            damaged += d.events;
          if (!d.at_end)
            options_.tell(
                fmt::format("ledger {}: {} bytes from {} on, with {} events, are damaged; see `culvert log "
                            "verify`",
                            last.path.string(), d.bytes, d.offset, d.events));
        },
        [&](const Record& r, const std::string& what) {
          options_.tell(fmt::format("ledger {}: {} (time {})", last.path.string(), what, r.time));
        }));
  } catch (const std::runtime_error& e) {
    throw std::runtime_error(
        fmt::format("ledger {}: {}; move the file away to go on without it: the blocks it knows of are then "
                    "nobody's",
                    last.path.string(), e.what()));
  }
  const bool stopped = state_.stopped();
  run_before_ = stopped            ? CulvertdStarted::End::orderly
                : lock_.rebooted() ? CulvertdStarted::End::machine_crash
                                   : CulvertdStarted::End::crash;
  if (run_before_ == CulvertdStarted::End::machine_crash && !lock_.was_strict()) uncertain_ = last_time();
  if (!state_.ended()) {
    file_.emplace(last.path, synced_);
    if (!file_->sync()) throw std::system_error(file_->error(), std::generic_category(), last.path.string());
  }
}

/// Goes on from here.
void Ledger::adopt(Replayed&& replayed) {
  header_ = replayed.header;
  out_ = BatchWriter(header_, static_cast<uint32_t>(replayed.events), replayed.last_time);
  synced_ = replayed.whole;
  state_ = std::move(replayed.state);
  subscribers_.clear();
  subscribers_.reserve(state_.subscribers().size());
  state_.subscribers().for_each([this](const SubscriberNote& s) {
    subscribers_[{s.instance, s.prefix, s.length}] = static_cast<uint32_t>(s.number);
  });
}

/// `r`: but for its ordinal.
void Ledger::put(Record r) {
  r.time = std::max(r.time, out_.last_time());
  r.ordinal = out_.next_ordinal();
  switch (r.kind) {
    case Record::Kind::allocated:
      out_.allocated(r.time, r.worker, r.reason, r.block, static_cast<uint32_t>(r.subscriber));
      break;
    case Record::Kind::released:
      out_.released(r.time, r.worker, r.reason, r.block, static_cast<uint16_t>(r.peak));
      break;
    case Record::Kind::typed:
      out_.add(r.time, r.worker, r.type, r.body);
  }
  state_.apply(r);
}

void Ledger::put(uint64_t time, uint8_t worker, Type type, std::string_view body) {
  put({.type = type, .worker = worker, .time = time, .body = body});
}

uint32_t Ledger::subscriber(uint64_t time, const Who& who) {
  const auto [at, fresh] = subscribers_.try_emplace(who, static_cast<uint32_t>(subscribers_.size()));
  const uint32_t number = at->second;
  if (fresh) note(time, SubscriberNote{number, who.instance, who.prefix, who.length});
  return number;
}

void Ledger::put_lost(uint64_t time, uint8_t worker) {
  put(time, worker, Type::record_lost, {reinterpret_cast<const char*>(&worker), 1});
}

void Ledger::expect(const Event& e) const {
  const AddressRange* range = state_.range_of(e.external);
  if (range == nullptr) return;
  if (e.kind != EventKind::block_released)
    touch(subscribers_, {range->instance, e.subscriber.masked(e.subscriber_length), e.subscriber_length});
  if (const auto block = range->block_of(e.external, e.first_port)) state_.expect(*block);
}

void Ledger::take(const Event& e, uint8_t worker, uint64_t epoch) {
  const std::optional<Source>& source = state_.sources()[worker];
  if (source && source->epoch == epoch && e.sequence < source->next) return;
  if (!source || source->epoch != epoch || e.sequence > source->next)
    note(e.time, Source{worker, epoch, e.sequence});
  switch (e.kind) {
    case EventKind::block_allocated:
    case EventKind::block_released:
      return put_block(e, worker);
    case EventKind::record_lost:
      return put_lost(e.time, worker);
    default:
      break;
  }
  const AddressRange* range = state_.range_of(e.external);
  if (range == nullptr) {
    options_.tell(
        fmt::format("an event of {}, which no pool has, cannot be put on record", e.external.text()));
    return put_lost(e.time, worker);
  }
  const Who who{range->instance, e.subscriber.masked(e.subscriber_length), e.subscriber_length};
  if (e.kind != EventKind::refused) return put_binding(e, worker, subscriber(e.time, who));
  const std::string why(dataplane::drop_reason_name(e.origin));
  put(e.time, worker, Refused::kType, encode(Refused{subscriber(e.time, who), why, e.lifetime}));
}

void Ledger::put_block(const Event& e, uint8_t worker) {
  const AddressRange* range = state_.range_of(e.external);
  const std::optional<uint64_t> block =
      range == nullptr ? std::nullopt : range->block_of(e.external, e.first_port);
  if (!block || range->first_port_of(*block) != e.first_port ||
      e.last_port - e.first_port + 1 != range->set_size) {
    options_.tell(fmt::format("a block of {}, ports {} to {}, which no pool has, cannot be put on record",
                              e.external.text(), e.first_port, e.last_port));
    return put_lost(e.time, worker);
  }
  Record r{.worker = worker,
           .reason = static_cast<uint8_t>(static_cast<uint8_t>(e.reason) & 0x1f),
           .time = e.time,
           .block = *block};
  if (e.kind == EventKind::block_allocated) {
    r.kind = Record::Kind::allocated;
    r.subscriber = subscriber(e.time, {range->instance, e.subscriber, e.subscriber_length});
  } else {
    r.kind = Record::Kind::released;
    r.peak = e.peak;
  }
  put(r);
}

void Ledger::put_binding(const Event& e, uint8_t worker, uint64_t subscriber) {
  Binding b;
  b.subscriber = subscriber;
  b.external = e.external;
  b.port = e.first_port;
  b.protocol = e.protocol;
  b.origin = static_cast<Binding::Origin>(e.origin & 3);
  b.internal_port = e.internal_port;
  const net::Ipv4Address ipv4 =
      e.internal != net::Ipv4Address() ? e.internal : net::mapped_ipv4(e.subscriber).value_or(e.internal);
  if (ipv4 != net::Ipv4Address())
    b.internal.assign(reinterpret_cast<const char*>(&ipv4), sizeof ipv4);
  else
    b.internal.assign(reinterpret_cast<const char*>(&e.subscriber), sizeof e.subscriber);
  if (e.kind == EventKind::mapping_created) {
    const auto known = state_.mappings().find({b.external.value(), b.port, b.protocol});
    const bool renewal = known != state_.mappings().end() && known->second.binding == b;
    const MappingCreated n{b, e.lifetime, renewal};
    return put(e.time, worker, n.kType, encode(n));
  }
  if (e.kind == EventKind::mapping_deleted) {
    const MappingDeleted n{b, static_cast<uint8_t>(e.reason)};
    return put(e.time, worker, n.kType, encode(n));
  }
  const SessionNote n{b, e.destination != net::Ipv4Address(), e.destination, e.destination_port};
  const bool created = e.kind == EventKind::session_created;
  put(e.time, worker, created ? Type::session_created : Type::session_deleted, encode(n));
}

void Ledger::release(uint64_t block, Reason reason, uint64_t now) {
  const std::optional<Source> source = state_.sources()[0];
  put({.kind = Record::Kind::released, .reason = static_cast<uint8_t>(reason), .time = now, .block = block});
  uncount(source, now);
}

void Ledger::end_mapping(const State::Endpoint& endpoint, uint64_t now) {
  const auto found = state_.mappings().find(endpoint);
  if (found == state_.mappings().end()) return;
  const std::optional<Source> source = state_.sources()[0];
  const MappingDeleted n{found->second.binding, static_cast<uint8_t>(Reason::configuration)};
  put(now, 0, n.kType, encode(n));
  uncount(source, now);
}

/// An event that came out of no ring must not count there: `source` is the first worker's from before it.
void Ledger::uncount(const std::optional<Source>& source, uint64_t now) {
  if (source) note(now, *source);
}

bool Ledger::define(const Definitions& definitions, uint64_t now) {
  definitions_ = definitions;
  if (!file_ || ended_) return true;  // the next one has them from its beginning
  std::vector<uint64_t> lost;         // blocks of ranges that get another geometry
  bool conflict = false;
  for (const auto& [first, range] : state_.ranges()) {
    const auto other = std::ranges::find_if(
        definitions.ranges, [&known = range](const Definitions::Range& r) { return overlap(known, r); });
    if (other == definitions.ranges.end()) continue;
    const auto instance = number_of(state_, definitions.instances[other->instance]);
    if (instance && same(range, *other, *instance)) continue;
    conflict = true;
    for (const auto& [block, holder] : state_.held())
      if (range.has(block)) lost.push_back(block);
  }
  for (const uint64_t block : lost) release(block, Reason::restart, now);
  if (!conflict) define_again(now);
  return conflict;
}

/// Puts in what of the definitions the segment does not have.
void Ledger::define_again(uint64_t now) {
  std::vector<uint64_t> numbers;
  for (const Definitions::Instance& i : definitions_.instances) {
    std::optional<uint64_t> number = number_of(state_, i);
    if (!number) {
      number = state_.instances().empty() ? 0 : state_.instances().rbegin()->first + 1;
      note(now, InstanceNote{*number, static_cast<uint8_t>(i.carriage), i.name});
    }
    numbers.push_back(*number);
  }
  for (const Definitions::Range& r : definitions_.ranges) {
    const AddressRange* known = state_.range_of(r.first_address);
    if (known != nullptr && same(*known, r, numbers[r.instance])) continue;
    uint64_t first_block = 0;
    if (!state_.ranges().empty()) {
      const AddressRange& last = state_.ranges().rbegin()->second;
      first_block = last.first_block + last.blocks();
    }
    note(now, AddressRange{first_block, numbers[r.instance], r.first_address, r.addresses, r.first_port,
                           r.set_size, r.sets});
  }
  if (state_.configuration() != definitions_.configuration) note(now, definitions_.configuration);
}

Ledger::Commit Ledger::commit(uint64_t now) {
  if (file_) {
    const Commit result = write();
    if (result == Commit::start_over) return go_back(now);
    if (result != Commit::done || stopped_) return result;
    if (!ended_) return ripe(now) ? next_segment(now) : result;
    file_.reset();
  }
  return begin(now);
}

/// Brings to the disk what was put in. start_over: the file is broken.
Ledger::Commit Ledger::write() {
  const auto fail = [this](Commit how) {
    error_ = fmt::format("{}: {}", file_->path().string(), std::strerror(file_->error()));
    return how;
  };
  while (!unwritten_.empty() || !out_.empty()) {
    if (unwritten_.empty()) unwritten_ = out_.take();
    if (!file_->append(unwritten_)) return fail(file_->broken() ? Commit::start_over : Commit::failed);
    unwritten_ = {};
    unsynced_ = true;
  }
  if (unsynced_ && !file_->sync()) return fail(Commit::start_over);
  unsynced_ = false;
  synced_ = file_->size();
  error_.clear();
  return Commit::done;
}

/// Nobody knows what of the file's end is on the disk: goes on in another file from what is for certain.
Ledger::Commit Ledger::go_back(uint64_t now) {
  try {
    const std::string bytes = read_file(file_->path());
    adopt(replay(std::string_view(bytes).substr(0, synced_), nullptr, nullptr));
  } catch (const std::exception& e) {
    error_ = e.what();
    return Commit::failed;
  }
  unwritten_ = {};
  unsynced_ = false;
  // Where that fails, or a crash brings it back, readers leave it out by its ordinals (docs/ledger.md).
  file_->forget_behind(synced_);
  file_.reset();
  lost_ = true;
  return begin(now);
}

/// Lets go of ranges that have another geometry now, and of those that nobody needs any more. False: blocks
/// are held in one that would have to go.
bool Ledger::forget_ranges() {
  std::set<uint64_t> unknown, changed, held, used;  // ranges by their first blocks
  for (const auto& [first, range] : state_.ranges()) {
    const auto now = std::ranges::find_if(
        definitions_.ranges, [&known = range](const Definitions::Range& r) { return overlap(known, r); });
    if (now == definitions_.ranges.end()) {
      unknown.insert(first);
    } else {
      const auto instance = number_of(state_, definitions_.instances[now->instance]);
      if (!instance || !same(range, *now, *instance)) changed.insert(first);
    }
  }
  if (unknown.empty() && changed.empty()) return true;
  for (const auto& [block, holder] : state_.held()) held.insert(state_.range_of_block(block)->first_block);
  used = held;
  for (const auto& [block, since] : state_.resting()) used.insert(state_.range_of_block(block)->first_block);
  for (const uint64_t first : changed)
    if (held.contains(first)) {
      error_ = fmt::format("ledger {}: {} has blocks in use of another size than the configuration's",
                           directory_.string(), state_.ranges().at(first).first_address.text());
      return false;
    }
  for (const uint64_t first : changed) state_.forget_range(first);
  for (const uint64_t first : unknown)
    if (!used.contains(first)) state_.forget_range(first);
  return true;
}

/// Begins the next segment with what holds.
Ledger::Commit Ledger::begin(uint64_t now) {
  const LiveHeader next{.serial = header_.serial + 1,
                        // What is put in again is older than now.
                        .opened = lost_ ? last_time() : std::max(now, last_time()),
                        .first_ordinal = out_.next_ordinal()};
  const uint64_t hold = definitions_.hold_ms;
  if (!forget_ranges()) return Commit::failed;
  try {
    const std::string bytes = begin_segment(next, state_, next.opened - std::min(next.opened, hold));
    file_.emplace(directory_, next, bytes);
    adopt(replay(bytes, nullptr, nullptr));
  } catch (const std::system_error& e) {
    error_ = e.what();
    return Commit::failed;
  }
  ended_ = false;
  define_again(next.opened);
  if (std::exchange(lost_, false)) return Commit::start_over;
  return commit(now);
}

bool Ledger::ripe(uint64_t now) const {
  constexpr uint64_t kDay = 86'400'000;
  return out_.events() >= options_.segment_events ||
         std::max(now, last_time()) / kDay != header_.opened / kDay;
}

Ledger::Commit Ledger::next_segment(uint64_t now) {
  if (file_ && !std::exchange(ended_, true)) note(now, Type::segment_end);
  return commit(now);
}

Ledger::Commit Ledger::start(const std::string& version, uint64_t now) {
  if (const Commit result = next_segment(now); result != Commit::done) return result;
  note(now, CulvertdStarted{version, options_.strict, run_before_});
  const auto since = [this](uint64_t time) { return static_cast<int64_t>(time - header_.opened); };
  if (uncertain_) note(now, Uncertain{since(*uncertain_), since(now)});
  return commit(now);
}

Ledger::Commit Ledger::stop(uint64_t now) {
  stopped_ = true;
  if (file_ && !ended_) note(now, Type::culvertd_stopped);
  return next_segment(now);
}

}  // namespace culvert::logging::ledger
