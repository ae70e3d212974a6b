/// The recorder: the thread that moves events from the workers' rings into the ledger, and the only one that
/// writes there. So a slow disk delays neither packets nor the control core.
///
/// An event leaves its ring when its batch is on the disk. When the disk is full or gone the recorder says so
/// once, and tries again; events wait in their rings, and when those are full the workers refuse new blocks
/// instead of giving ports that no record knows. What flows goes on.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "logging/event_merge.h"
#include "logging/ledger/ledger.h"

namespace culvert::logging {

/// What all threads may see of a recorder. Counters since the start.
struct RecorderStats {
  std::atomic<uint64_t> events{0}, errors{0};
  std::atomic<uint64_t> end{0};  ///< the ordinal that the next event gets: those below are on the disk
  std::atomic<uint64_t> segment_bytes{0};  ///< of the live segment
  std::atomic<bool> failing{false};        ///< the last attempt to write failed
};

class Recorder {
 public:
  struct Setup {
    std::vector<EventRing*> rings;         ///< by worker; not owned
    std::function<uint64_t()> moves;       ///< EventMerge's; any thread
    std::function<uint64_t()> clock;       ///< event clock
    std::function<int64_t()> clock_ahead;  ///< milliseconds that the system's clock is ahead of it
    std::function<void(const std::string&)> complain;  ///< called from the recorder's thread
    std::chrono::milliseconds sync_every{100};
    std::chrono::milliseconds patience{5000};  ///< of define(), with a disk that does not answer
    uint32_t sync_events = 65536;              ///< or as soon as so many events wait
  };

  /// Takes the ledger over; it is nobody else's from now on.
  Recorder(std::unique_ptr<ledger::Ledger> ledger, Setup setup);
  /// Puts on record what is left in the rings, and the end of the run.
  ~Recorder();
  Recorder(const Recorder&) = delete;
  Recorder& operator=(const Recorder&) = delete;

  // These wait until it is on the disk; otherwise they say why not. Any thread but the recorder's.

  /// What the numbers of later events stand for. On failure what was defined before holds on, also when a
  /// disk that hung writes it later: then what was before is defined again.
  std::string define(const ledger::Definitions& definitions);
  /// That a segment was sealed, or is to be removed: Type::sealed or Type::retired. Waits as long as it
  /// takes.
  std::string note(ledger::Type type, const ledger::SegmentNote& segment);

  const RecorderStats& stats() const { return stats_; }

 private:
  void run();
  bool due() const;
  void turn();
  bool write_events(uint64_t now);
  /// Commits what was put in; whether it is on the disk. A segment that begins with that is no later than the
  /// events that wait.
  bool commit(uint64_t now);
  bool settle(ledger::Ledger::Commit result);
  /// What another thread wants of the ledger; its members are under mutex_, but for the functions.
  struct Errand {
    std::function<bool(uint64_t now)> run;  ///< whether it is on the disk
    /// It is. Not `wanted`: who wanted it has given up meanwhile.
    std::function<void(bool wanted, uint64_t now)> then = [](bool, uint64_t) {};
    std::optional<std::string> answer;
    bool given_up = false;
  };
  std::string run_errand(const std::shared_ptr<Errand>& errand,
                         std::optional<std::chrono::milliseconds> patience);
  bool redefine(const ledger::Definitions& definitions, uint64_t now);
  void serve(uint64_t now);

  std::unique_ptr<ledger::Ledger> ledger_;
  Setup setup_;
  EventMerge merge_;
  RecorderStats stats_;
  uint64_t first_ordinal_;       ///< of this run
  ledger::Definitions defined_;  ///< on the disk
  std::chrono::steady_clock::time_point synced_;

  std::mutex mutex_;
  std::condition_variable wake_, answered_;
  bool stop_ = false;                            ///< under mutex_
  std::deque<std::shared_ptr<Errand>> errands_;  ///< that are not begun; under mutex_
  std::thread thread_;
};

/// Puts on record what ended processes left in the rings of `directory`, and removes those. Returns how many
/// events there were, those that a crash of the machine destroyed among them. Throws std::runtime_error where
/// a ring cannot be read or the ledger cannot be written; the events are in their rings still.
struct Recovered {
  uint64_t events = 0, destroyed = 0;
};
Recovered recover_rings(const std::string& directory, ledger::Ledger& ledger, uint64_t now);

}  // namespace culvert::logging
