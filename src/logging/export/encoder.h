/// Making messages of entries: the syslog and flow encoders have this face towards the exporter. They open
/// no sockets and read no clocks; the same calls give the same bytes.
///
/// Belong to one thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "logging/entry.h"
#include "logging/export/config.h"

namespace culvert::logging {

/// Messages that are ready to be sent, one behind the other.
struct Outbox {
  std::string bytes;
  std::vector<size_t> ends;  ///< where each of them ends

  bool empty() const { return ends.empty(); }
  void clear() {
    bytes.clear();
    ends.clear();
  }
};

/// The clocks, as the headers of messages tell them.
struct Moment {
  uint64_t unix_ms = 0;    ///< system's clock, since 1970-01-01 UTC
  uint32_t uptime_ms = 0;  ///< since the machine started, modulo 2^32
};
/// What they show.
Moment moment_now();

class Encoder {
 public:
  virtual ~Encoder() = default;

  /// The time of what follows, before all else.
  void set_time(Moment now) { now_ = now; }
  /// Who receives from now on knows nothing of what was sent before: a new connection, or a collector that
  /// may have been started anew.
  virtual void begin() = 0;
  /// Takes one entry; false: the protocol has no words for it. Messages that are whole are put into `out`.
  virtual bool add(const Entry& e, Outbox& out) = 0;
  /// Tells the collector that these events, first and last included, are lost to it.
  virtual void add_gap(uint64_t first, uint64_t last, Outbox& out) = 0;
  /// Puts what waits for company into `out`.
  virtual void end(Outbox& out) = 0;

 protected:
  Moment now_;
};

/// The encoder of a configuration without fault. `pid`: PROCID of syslog.
std::unique_ptr<Encoder> make_encoder(const ExportConfig& config, uint32_t pid);

}  // namespace culvert::logging
