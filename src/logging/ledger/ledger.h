/// The ledger as its one writer has it: the live segment, and what holds at its end. Events and definitions
/// are put in, commit() brings them to the disk; a start finds what the run before left.
///
/// When the disk is full or gone, commit() says so and may be tried again for ever: what was put in stays to
/// be written, and nothing may be put in until it is (pending()). After a failed fdatasync(2) nobody knows
/// what of the file is on the disk: commit() then goes back to what is for certain and begins another
/// segment; what was put in since must be put in again (Commit::start_over), from the rings, which still have
/// it.
///
/// Belongs to one thread at a time.
#pragma once

#include <tsl/robin_map.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "logging/event.h"
#include "logging/ledger/batch_writer.h"
#include "logging/ledger/checkpoint.h"
#include "logging/ledger/definitions.h"
#include "logging/ledger/directory.h"
#include "logging/ledger/live_file.h"

namespace culvert::logging::ledger {

class Ledger {
 public:
  using Tell = std::function<void(const std::string&)>;

  struct Options {
    Tell tell;                                    ///< hears of what is found damaged, then and later
    bool strict = false;                          ///< blocks wait for their records
    uint32_t segment_events = kMaxSegmentEvents;  ///< after so many a segment ends
  };
  /// Opens the ledger to write, or begins it. `now`: event clock. Throws std::runtime_error and
  /// std::system_error with path and remedy when it cannot be written, or its last segment cannot be read.
  Ledger(const std::filesystem::path& directory, uint64_t now, Options options);

  /// How the run before ended.
  CulvertdStarted::End run_before() const { return run_before_; }
  /// Whether blocks may have been given then that are not on record.
  bool uncertain() const { return uncertain_.has_value(); }
  /// What holds, with all that was put in.
  const State& state() const { return state_; }
  /// Of the last record; event clock. No event may have an earlier time.
  uint64_t last_time() const { return out_.last_time(); }
  uint64_t next_ordinal() const { return out_.next_ordinal(); }
  /// Bytes of this segment so far.
  uint64_t segment_bytes() const { return file_ ? file_->size() : 0; }

  /// Puts an event out of a worker's ring in, unless the ledger has it. Told and left out: an event of an
  /// address that no definition knows.
  void take(const Event& e, uint8_t worker, uint64_t epoch);
  /// A hint: this event comes soon. What take() will look up is in the processor's cache then, and a few of
  /// these one after the other wait for memory together.
  void expect(const Event& e) const;
  /// Puts a release in that no worker tells of: a block that nobody can keep.
  void release(uint64_t block, Reason reason, uint64_t now);
  /// Puts the end of an explicit mapping in that is not configured any more.
  void end_mapping(const State::Endpoint& endpoint, uint64_t now);
  /// Puts a record in that is no event.
  template <typename Note>
  void note(uint64_t now, const Note& n) {
    put(now, 0, Note::kType, encode(n));
  }
  void note(uint64_t now, Type type) { put(now, 0, type, {}); }
  void note(uint64_t now, Type type, const SegmentNote& n) { put(now, 0, type, encode(n)); }
  /// From here on these hold. Ranges that are there with another geometry end: blocks in them are released,
  /// and the segment ends with them. True: next_segment() must follow.
  bool define(const Definitions& definitions, uint64_t now);
  /// What was defined last.
  const Definitions& definitions() const { return definitions_; }
  /// Whether no event may be put in before a commit: there is no room in the batch, or in the segment.
  bool full() const { return out_.full() || out_.events() >= options_.segment_events; }
  /// Whether the next segment is to begin: this one has its events, or is of another day (UTC).
  bool ripe(uint64_t now) const;

  enum class Commit : uint8_t {
    done,        ///< all that was put in is on the disk
    failed,      ///< error() says why: to be tried again
    start_over,  ///< what was put in since the last commit that was done is forgotten
  };
  /// When the segment is ripe() it also begins the next one. `now`: event clock; no event that is put in
  /// later is older, or it would be given a later time.
  Commit commit(uint64_t now);
  /// Something was put in that is not on the disk.
  bool pending() const {
    return !out_.empty() || !unwritten_.empty() || unsynced_ || !file_ || (ended_ && !stopped_);
  }
  /// Ends the segment and begins the next. As commit(): on failure to be tried again, before anything else.
  Commit next_segment(uint64_t now);
  /// Begins a run, in a segment of its own: `culvertd-started`, and what is uncertain. As commit().
  Commit start(const std::string& version, uint64_t now);
  /// Ends the segment, and the run: `culvertd-stopped`. As commit().
  Commit stop(uint64_t now);
  /// What failed last: path and reason.
  const std::string& error() const { return error_; }

 private:
  struct Who {
    uint64_t instance;
    net::Ipv6Address prefix;
    uint8_t length;
    bool operator==(const Who&) const = default;
  };
  struct WhoHash {
    size_t operator()(const Who& w) const;
  };

  void open_last(const SegmentFile& last);
  Commit begin(uint64_t now);
  Commit write();
  Commit go_back(uint64_t now);
  bool forget_ranges();
  void adopt(Replayed&& replayed);
  void define_again(uint64_t now);
  void put(Record r);
  void put(uint64_t time, uint8_t worker, Type type, std::string_view body);
  void put_block(const Event& e, uint8_t worker);
  void put_binding(const Event& e, uint8_t worker, uint64_t subscriber);
  void put_lost(uint64_t time, uint8_t worker);
  void uncount(const std::optional<Source>& source, uint64_t now);
  uint32_t subscriber(uint64_t time, const Who& who);

  std::filesystem::path directory_;
  Options options_;
  Lock lock_;
  CulvertdStarted::End run_before_ = CulvertdStarted::End::orderly;
  std::optional<uint64_t> uncertain_;  ///< from when on; event clock
  LiveHeader header_;
  State state_;
  BatchWriter out_;
  tsl::robin_map<Who, uint32_t, WhoHash> subscribers_;
  Definitions definitions_;
  std::optional<LiveFile> file_;  ///< none: the next segment is to be begun
  std::string_view unwritten_;    ///< a batch that could not be appended
  bool unsynced_ = false;
  uint64_t synced_ = 0;   ///< bytes of file_ that are on the disk
  bool ended_ = false;    ///< segment-end was put in
  bool stopped_ = false;  ///< no segment follows
  bool lost_ = false;     ///< what was put in is forgotten, and nobody was told yet
  std::string error_;
};

}  // namespace culvert::logging::ledger
