#include "logging/ledger/archive_verify.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <optional>
#include <stdexcept>

#include "logging/ledger/archive.h"
#include "logging/ledger/sealed_verify.h"
#include "logging/ledger/segment_reader.h"
#include "logging/ledger/state.h"
#include "net/mapped.h"

namespace culvert::logging::ledger {
namespace {

namespace fs = std::filesystem;

/// Something that is held, under names that hold in any segment: numbers are a segment's own.
struct Thing {
  enum class Kind : uint8_t { block, mapping, resting };
  Kind kind = Kind::block;
  uint32_t address = 0;
  uint16_t first_port = 0, last_port = 0;
  uint8_t protocol = 0;
  uint64_t since = 0, ends = 0;
  uint32_t instance = 0;  ///< place in Names
  net::Ipv6Address subscriber;
  uint8_t length = 0;
  auto operator<=>(const Thing&) const = default;

  std::string text() const {
    constexpr const char* kWhat[] = {"held", "mapped", "resting"};
    const std::string who = kind == Kind::resting || length == 0
                                ? ""
                                : fmt::format(" by {}", net::subscriber_text(subscriber, length));
    return fmt::format("{} ports {}-{} {} since {}{}", net::Ipv4Address(address).text(), first_port,
                       last_port, kWhat[static_cast<size_t>(kind)], since, who);
  }
};

/// Instances that were named, in all segments.
using Names = std::map<std::string, uint32_t>;

/// What a State holds, in order.
std::vector<Thing> things(const State& state, Names& names) {
  std::vector<Thing> all;
  const auto of_block = [&](Thing::Kind kind, uint64_t block, uint64_t since) {
    const AddressRange& range = *state.range_of_block(block);
    Thing t{.kind = kind, .address = range.address_of(block).value(), .since = since};
    t.first_port = range.first_port_of(block);
    t.last_port = static_cast<uint16_t>(t.first_port + range.set_size - 1);
    return t;
  };
  const auto name = [&](Thing& t, uint64_t number) {
    const SubscriberNote* s = state.subscribers().find(number);
    if (s == nullptr || s->length == 0) return;  // nobody knows
    t.subscriber = s->prefix;
    t.length = s->length;
    const auto i = state.instances().find(s->instance);
    if (i != state.instances().end())
      t.instance = names.emplace(i->second.name, static_cast<uint32_t>(names.size() + 1)).first->second;
  };
  for (const auto& [block, h] : state.held()) {
    Thing t = of_block(Thing::Kind::block, block, h.since);
    name(t, h.subscriber);
    all.push_back(t);
  }
  for (const auto& [endpoint, m] : state.mappings()) {
    Thing t{.kind = Thing::Kind::mapping,
            .address = m.binding.external.value(),
            .first_port = m.binding.port,
            .last_port = m.binding.port,
            .protocol = m.binding.protocol,
            .since = m.since,
            .ends = m.ends};
    name(t, m.binding.subscriber);
    all.push_back(t);
  }
  for (const auto& [block, since] : state.resting())
    all.push_back(of_block(Thing::Kind::resting, block, since));
  std::ranges::sort(all);
  return all;
}

/// What is left to compare with when a segment is done.
struct End {
  uint64_t next_ordinal = 0, time = 0;
  std::optional<Digest> sha256;
  std::vector<Thing> things;
};

class Verifier {
 public:
  Verifier(const std::vector<SegmentFile>& files, const VerifyEvents& events)
      : files_(files), events_(events) {}

  Verified verify() {
    for (size_t i = 0; i < files_.size(); i++) {
      at_ = i;
      std::error_code ignored;
      const uint64_t size = fs::file_size(files_[i].path, ignored);
      try {
        segment();
      } catch (const std::system_error&) {
        throw;
      } catch (const std::runtime_error& e) {
        find(e.what());  // it cannot be opened
        before_.reset();
      }
      result_.segments++;
      result_.bytes += ignored ? 0 : size;
      if (events_.progress) events_.progress(result_.bytes);
    }
    compare_hashes();
    return result_;
  }

 private:
  const SegmentFile& file() const { return files_[at_]; }
  void find(const std::string& what) {
    result_.findings++;
    // Those that name their file are said without it.
    const std::string path = file().path.string();
    events_.finding(file().path, what.starts_with(path) ? what.substr(path.size() + 1) : what);
  }

  void segment() {
    const SegmentFile* previous = at_ == 0 ? nullptr : &files_[at_ - 1];
    if (previous != nullptr && previous->serial + 1 != file().serial) {
      find(previous->serial + 2 == file().serial
               ? fmt::format("segment {} is missing before it", previous->serial + 1)
               : fmt::format("segments {} to {} are missing before it", previous->serial + 1,
                             file().serial - 1));
      before_.reset();
    }
    if (file().sealed && fs::exists(fs::path(file().path).replace_extension(".live")))
      find("its live file is there still; culvertd, or `culvert log seal`, removes it");
    End end;
    if (file().sealed) sealed(end);
    records(end);
    before_ = std::move(end);
  }

  void sealed(End& end) {
    SealedSegment segment(file().path);
    if (segment.header().serial != file().serial) find(fmt::format("is segment {}", segment.header().serial));
    // The first segment of a ledger has none before it; of others, it may have been retired.
    std::optional<Digest> predecessor;
    if (before_) predecessor = before_->sha256;
    if (file().serial == 1) predecessor = Digest{};
    ledger::verify(segment, predecessor, [this](const std::string& what) { find(what); });
    end.sha256 = hashes_[file().serial] = segment.sha256();
    if (at_ == 0 && file().serial > 1) predecessor_of_first_ = segment.header().predecessor;
  }

  /// Reads all records, for what a State knows.
  void records(End& end) {
    const auto next = at_ + 1 < files_.size() && files_[at_ + 1].serial == file().serial + 1
                          ? segment_after(file().path.parent_path(), file().serial, [](const std::string&) {})
                          : std::nullopt;
    const bool last = at_ + 1 == files_.size();
    SegmentReader reader(file(), [&](const Loss& loss) {
      find(fmt::format("{} cannot be read, behind {}; {} events are lost", loss.what, loss.after,
                       loss.events));
      lost_ += loss.events;
    });
    if (!last) reader.finish();
    State state(reader.opened());
    if (!file().sealed)
      state.on_fault = [this](const Record& r, const std::string& what) {
        find(fmt::format("at {}: {}", r.time, what));
      };
    if (before_) begin_behind(reader.opened(), reader.first_ordinal());
    uint64_t events = 0;
    lost_ = 0;
    bool checkpoint = false;
    while (reader.next()) {
      const Record& r = reader.record();
      if (r.event() && next && !file().sealed && r.ordinal >= next->first_ordinal)
        break;  // they do not count
      state.apply(r);
      if (r.event()) events++;
      end.time = r.time;
      if (r.kind != Record::Kind::typed) continue;
      if (r.type == Type::checkpoint_end && !checkpoint) {
        checkpoint = true;
        if (before_) compare(before_->things, things(state, names_));
      }
      note_hash(r);
    }
    state.finish();
    if (!checkpoint) find("has no checkpoint");
    if (!last && !file().sealed && !state.ended() && !next) find("has no end, and no segment follows it");
    end.next_ordinal = reader.first_ordinal() + events + lost_;
    result_.events += events;
    end.things = things(state, names_);
  }

  /// The checkpoint says what held at the end of the segment before. Of resting blocks it may leave some out.
  void compare(const std::vector<Thing>& before, const std::vector<Thing>& checkpoint) {
    std::vector<Thing> lacks, adds;
    std::ranges::set_difference(before, checkpoint, std::back_inserter(lacks));
    std::erase_if(lacks, [](const Thing& t) { return t.kind == Thing::Kind::resting; });
    std::ranges::set_difference(checkpoint, before, std::back_inserter(adds));
    if (!lacks.empty())
      find(fmt::format("begins without {} things that were held at the end of the segment before it, as {}",
                       lacks.size(), lacks.front().text()));
    if (!adds.empty())
      find(fmt::format("begins with {} things that were not held at the end of the segment before it, as {}",
                       adds.size(), adds.front().text()));
  }

  void begin_behind(uint64_t opened, uint64_t first_ordinal) {
    if (opened < before_->time) find("begins before the end of the segment before it");
    if (before_->next_ordinal < first_ordinal)
      find(fmt::format("begins with event {}; the segment before it ends with {}: {} are missing",
                       first_ordinal, before_->next_ordinal - 1, first_ordinal - before_->next_ordinal));
    if (before_->next_ordinal > first_ordinal)
      find(fmt::format("begins with event {}, which the segment before it has too", first_ordinal));
  }

  /// Hashes that are on record.
  void note_hash(const Record& r) {
    if (r.type != Type::sealed && r.type != Type::retired) return;
    if (const auto n = decode<SegmentNote>(r.body)) {
      if (r.type == Type::sealed) noted_.push_back({*n, file().path});
      on_record_[n->serial] = n->sha256;
    }
  }

  void compare_hashes() {
    for (const auto& [note, path] : noted_) {
      const auto is = hashes_.find(note.serial);
      if (is == hashes_.end() || is->second == note.sha256) continue;
      result_.findings++;
      events_.finding(path,
                      fmt::format("has another hash of segment {} on record than the file's", note.serial));
    }
    if (!predecessor_of_first_ || files_.empty()) return;
    const auto noted = on_record_.find(files_.front().serial - 1);
    if (noted == on_record_.end() || noted->second == *predecessor_of_first_) return;
    at_ = 0;
    find("does not follow the segment before it, whose hash is on record");
  }

  const std::vector<SegmentFile>& files_;
  const VerifyEvents& events_;
  Verified result_;
  size_t at_ = 0;
  uint64_t lost_ = 0;
  std::optional<End> before_;
  Names names_;
  std::map<uint64_t, Digest> hashes_;     ///< of the files, by serial
  std::map<uint64_t, Digest> on_record_;  ///< by serial
  std::vector<std::pair<SegmentNote, fs::path>> noted_;
  std::optional<Digest> predecessor_of_first_;
};

}  // namespace

Verified verify(const std::vector<SegmentFile>& files, const VerifyEvents& events) {
  return Verifier(files, events).verify();
}

}  // namespace culvert::logging::ledger
