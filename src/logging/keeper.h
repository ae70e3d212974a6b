/// The keeper: the thread that seals segments which have ended, and removes those that retention does not
/// want any more. It has the lowest priority, since nobody waits for it: packets, records and the control
/// core go first.
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
#include <optional>
#include <string>
#include <thread>

#include "logging/ledger/notes.h"
#include "logging/ledger/retention.h"

namespace culvert::logging {

class Keeper {
 public:
  struct Setup {
    std::filesystem::path directory;
    // All three are called from the keeper's thread.
    /// Puts on record that a segment was sealed, or is to go (Type::retired); says why it could not.
    std::function<std::string(ledger::Type, const ledger::SegmentNote&)> note;
    std::function<uint64_t()> clock;  ///< the event clock
    std::function<void(const std::string&)> complain;
    ledger::Retention retention{};  ///< at first
    std::chrono::milliseconds look_every{5000};
  };

  explicit Keeper(Setup setup);
  /// Leaves what is not sealed to the next start.
  ~Keeper();
  Keeper(const Keeper&) = delete;
  Keeper& operator=(const Keeper&) = delete;

  /// What is kept from here on. Any thread.
  void keep(const ledger::Retention& retention);

  struct Stats {
    std::atomic<uint64_t> sealed{0}, retired{0}, errors{0};
  };
  const Stats& stats() const { return stats_; }

 private:
  void run();
  bool stopping();
  void turn();
  bool seal();
  void remove_old();

  Setup setup_;
  Stats stats_;
  std::string last_complaint_;
  std::optional<std::chrono::steady_clock::time_point> removed_;  ///< when that was looked at
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stop_ = false;            ///< under mutex_
  ledger::Retention retention_;  ///< under mutex_
  bool changed_ = false;         ///< under mutex_: retention_ was
  std::thread thread_;
};

}  // namespace culvert::logging
