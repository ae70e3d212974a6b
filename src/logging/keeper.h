/// The keeper: the thread that seals segments which have ended. It has the lowest priority, since nobody
/// waits for it: packets, records and the control core go first.
///
/// A live file goes when the sealed one is on the disk, was read back, and its hash is on record
/// (ledger/sealing.h); what a crash left half done is done again.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "logging/ledger/notes.h"

namespace culvert::logging {

class Keeper {
 public:
  struct Setup {
    std::filesystem::path directory;
    /// Puts on record that a segment was sealed; says why it could not.
    std::function<std::string(const ledger::SegmentNote&)> note_sealed;
    std::function<void(const std::string&)> complain;  ///< called from the keeper's thread
    std::chrono::milliseconds look_every{5000};
  };

  explicit Keeper(Setup setup);
  /// Leaves what is not sealed to the next start.
  ~Keeper();
  Keeper(const Keeper&) = delete;
  Keeper& operator=(const Keeper&) = delete;

  struct Stats {
    std::atomic<uint64_t> sealed{0}, errors{0};
  };
  const Stats& stats() const { return stats_; }

 private:
  void run();
  bool stopping();
  void turn();

  Setup setup_;
  Stats stats_;
  std::string last_complaint_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stop_ = false;  ///< under mutex_
  std::thread thread_;
};

}  // namespace culvert::logging
