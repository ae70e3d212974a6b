/// One export: a thread that reads the ledger's entries and sends them to one collector, as fast as that one
/// takes them. It only reads; a collector that is slow, gone or hostile costs nobody anything, and while the
/// ledger has the events, it loses none.
///
/// It remembers its position (position_file.h), and goes on there after a restart. A new export begins with
/// the next event; one whose file cannot be read, or is of another ledger, with the oldest.
///
/// When the connection fails, the exporter goes back to the first event that may not have arrived
/// (connection.h says which that is), and tries again, after 0.1 s at first and after 5 s at most. So over
/// TCP and TLS every event arrives once at least, and the ordinal tells those that arrive again. Over UDP it
/// does what can be done: what is lost without a sign is lost.
///
/// Events that retention took before they were sent are lost to the collector: counted, complained about,
/// and told to the collector as its protocol can.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>

#include "logging/export/connection.h"
#include "logging/export/encoder.h"
#include "logging/export/entry_source.h"
#include "logging/export/position_file.h"
#include "logging/export/stop_signal.h"
#include "logging/export/unconfirmed.h"

namespace culvert::logging {

/// What all threads may see of an exporter. Counters since its start.
struct ExportStats {
  std::atomic<uint64_t> sent{0};       ///< entries, those sent again among them
  std::atomic<uint64_t> repeated{0};   ///< of them, sent again
  std::atomic<uint64_t> lost{0};       ///< events that were not in the ledger any more
  std::atomic<uint64_t> failures{0};   ///< of the connection, or of reading
  std::atomic<uint64_t> position{0};   ///< ordinal of the next event to be sent
  std::atomic<uint64_t> confirmed{0};  ///< events below have arrived, as far as anybody knows
  std::atomic<uint64_t> waiting{0};    ///< events that are on the disk and not sent
  std::atomic<bool> failing{false};    ///< it does not reach its collector
};

class Exporter {
 public:
  using Complain = std::function<void(const std::string&)>;

  /// `config` is without fault (fault_of()). `complain` is called from the exporter's thread: once for
  /// every reason why it fails, once when it is well, and for every gap.
  Exporter(ExportConfig config, std::unique_ptr<EntrySource> source, Complain complain);
  /// Ends within a second. What was not sent is sent by the next run.
  ~Exporter();
  Exporter(const Exporter&) = delete;
  Exporter& operator=(const Exporter&) = delete;

  /// Begins to end, so that several can at once; any thread.
  void stop() { stop_.set(); }

  const ExportConfig& config() const { return config_; }
  const ExportStats& stats() const { return stats_; }

 private:
  void run();
  void find_position();
  bool open();
  bool turn();
  /// What one turn reads, to be sent together. Until it is sent, the exporter is where it was.
  struct Batch {
    uint64_t next = 0;                             ///< ordinal behind it
    uint64_t read = 0, entries = 0, repeated = 0;  ///< entries: in messages; repeated: of them, sent before
  };
  Batch fill();
  void take(const Entry& e, Batch& batch);
  void miss(uint64_t first, uint64_t last);
  void note_arrivals();
  void count_waiting();
  void recover();
  void fail(const std::string& why);
  void end();
  void save_position();
  void say(const std::string& what) const;

  const ExportConfig config_;
  const std::unique_ptr<EntrySource> source_;
  const Complain complain_;
  const PositionFile file_;
  const std::unique_ptr<Encoder> encoder_;
  const std::unique_ptr<Connection> connection_;
  const uint64_t most_entries_;  ///< in a batch
  ExportStats stats_;
  StopSignal stop_;

  Entry entry_;
  Outbox out_;
  Unconfirmed unconfirmed_;
  uint64_t next_ = 0;           ///< to be read; 0: the oldest there is
  uint64_t high_ = 0;           ///< events below were sent once at least
  std::set<std::string> told_;  ///< reasons of this failure
  uint64_t tried_ = 0;          ///< events below, from high_ on, may have been sent by a send() that failed
  uint64_t counted_ = 0;        ///< events below were counted as lost, if they are
  bool in_order_ = false;       ///< the connection is open, and whole messages were sent
  std::chrono::milliseconds backoff_;
  std::chrono::steady_clock::time_point opened_, saved_at_;
  std::optional<ExportPosition> saved_;  ///< on the disk
  bool save_fails_ = false;
  std::thread thread_;  ///< last: it uses the rest
};

}  // namespace culvert::logging
