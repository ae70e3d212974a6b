/// The generator: it stands on both sides of an appliance, sends in one direction or both, and judges what
/// comes back.
///
///     inside device  →  appliance  →  outside device      outbound: subscribers' packets
///     inside device  ←  appliance  ←  outside device      inbound: the server's packets to external
///     endpoints
///
/// Two kinds of load, as RFC 9693 has two phases:
/// - a *sweep* sends one packet by each of a range of mappings. The outbound sweep makes the mappings; from
/// the source of
///   what arrives outside it learns where each is reached. TCP's sweep is answered by SYN-ACK, so that its
///   mappings are those of established connections.
/// - a *trial* sends by random mappings (RFC 4814) for a while.
///
/// Packets are paced by a token bucket for each direction. A frame that the device does not take is not
/// offered again: it is one that the appliance had no room for, as a frame missed by a NIC's full queue.
///
/// Thread: all of it in the caller's, which should have a core for itself.
#pragma once

#include <atomic>
#include <stdexcept>
#include <vector>

#include "dataplane/eal.h"
#include "dataplane/port.h"
#include "frame_reader.h"
#include "frame_writer.h"
#include "histogram.h"
#include "token_bucket.h"

namespace culvert::bench {

/// Set by signals; run() then throws Interrupted.
extern std::atomic<bool> interrupted;
struct Interrupted : std::runtime_error {
  Interrupted() : std::runtime_error("interrupted") {}
};

/// How one direction fared.
struct Score {
  uint64_t sent = 0;      ///< taken by the device
  uint64_t refused = 0;   ///< offered, but the device's queue was full
  uint64_t missed = 0;    ///< not offered, since the generator came late
  uint64_t received = 0;  ///< came out right
  uint64_t reordered =
      0;  ///< of these, behind a later one of the same mapping, or a second time (RFC 4737 §3)
  uint64_t strayed = 0, corrupt = 0;
  Histogram latency;  ///< in units of stamp_time()

  uint64_t offered() const { return sent + refused; }
  uint64_t lost() const { return offered() > received ? offered() - received : 0; }
  uint64_t wrong() const { return strayed + corrupt; }
};

/// What passed through our devices in a phase, ours or not: for comparison with the appliance's counters.
struct Passed {
  uint64_t inside_sent = 0, inside_received = 0, outside_sent = 0, outside_received = 0;
  uint64_t late = 0;                                 ///< of the received: ours, of an earlier phase
  uint64_t inside_foreign = 0, outside_foreign = 0;  ///< of the received: nothing that we had sent
  Passed& operator+=(const Passed& o);
};

/// One phase. Rates are packets a second in each active direction; 0: the direction is silent.
struct Load {
  double outbound_rate = 0, inbound_rate = 0;
  double seconds = 0;             ///< of a trial
  bool sweep = false;             ///< one packet by each mapping of [first, first + count)
  uint32_t first = 0, count = 0;  ///< the mappings used
};

struct Outcome {
  Score outbound, inbound;
  Passed passed;
  double seconds = 0;  ///< of sending
  const Score& of(Direction d) const { return d == Direction::outbound ? outbound : inbound; }
};

class Traffic {
 public:
  struct Setup {
    Profile profile;
    net::MacAddress inside_peer, outside_peer;  ///< the appliance's
    double burst = 64;                          ///< depth of the token buckets, packets
    double linger = 0.2;                        ///< seconds to wait for stragglers since the last packet
    unsigned verify_every = 1;      ///< every how many packets checksums and payload are looked at
    uint32_t spare_buffers = 8192;  ///< more than the devices' queues hold
    uint64_t seed = 1;
  };
  /// The devices run already; their receive buffers are theirs.
  Traffic(const Setup& setup, dataplane::Port& inside, dataplane::Port& outside);

  /// Throws Interrupted.
  Outcome run(const Load& load);
  /// How many of these mappings have a known external endpoint.
  uint32_t known(uint32_t first, uint32_t count) const;
  /// What passed since the start.
  const Passed& passed() const { return total_; }

 private:
  /// What is known of a mapping.
  struct Flow {
    net::Ipv4Address address;
    uint16_t port = 0;  ///< 0: no external endpoint yet
    uint16_t spare = 0;
    uint32_t next[2] = {};  ///< least sequence number that is in order, by direction
  };
  struct Phase;

  void send(Phase& phase, Direction d, uint64_t now);
  void answer_syn(Phase& phase, uint32_t mapping, uint64_t now);
  void transmit(Phase& phase, Direction d, rte_mbuf** frames, unsigned count);
  bool receive(Phase& phase, Direction d, uint64_t now);
  void judge(Phase& phase, Direction d, const Reading& reading, uint64_t now);
  bool choose(Phase& phase, Direction d, uint32_t& mapping);
  dataplane::BufferPool prepared_buffers(const char* name, uint32_t count, const FrameWriter& writer) const;
  bool handshake(const Load& load) const { return load.sweep && setup_.profile.protocol == Protocol::tcp; }

  Setup setup_;
  dataplane::Port &inside_, &outside_;
  FrameWriter writers_[2];
  FrameReader readers_[2];
  dataplane::BufferPool buffers_[2];
  std::vector<Flow> flows_;
  double hz_;
  uint64_t random_;
  Tags tags_;
  Passed total_;
};

}  // namespace culvert::bench
