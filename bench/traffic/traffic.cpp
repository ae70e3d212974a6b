#include "traffic.h"

#include <fmt/format.h>
#include <rte_cycles.h>
#include <rte_prefetch.h>

#include <numeric>
#include <optional>

#include "net/headers.h"

namespace culvert::bench {
namespace {

constexpr unsigned kBurst = 32;
constexpr uint16_t kMtu = kMaxFrame;
constexpr uint16_t kMostEarlier = 1000;  ///< tags told apart from foreign ones
constexpr unsigned kOut = static_cast<unsigned>(Direction::outbound),
                   kIn = static_cast<unsigned>(Direction::inbound);

/// A step that goes once round `count` mappings and leaves neighbours far apart.
uint32_t stride_for(uint32_t count) {
  auto step = static_cast<uint32_t>(static_cast<double>(count) * 0.6180339887) | 1u;
  while (std::gcd(step, count) != 1) step += 2;
  return count < 3 ? 1 : step;
}

}  // namespace

std::atomic<bool> interrupted{false};

Passed& Passed::operator+=(const Passed& o) {
  inside_sent += o.inside_sent;
  inside_received += o.inside_received;
  outside_sent += o.outside_sent;
  outside_received += o.outside_received;
  late += o.late;
  inside_foreign += o.inside_foreign;
  outside_foreign += o.outside_foreign;
  return *this;
}

/// What is in progress in one run().
struct Traffic::Phase {
  const Load& load;
  Outcome outcome;
  std::optional<TokenBucket> buckets[2];
  Tags tags[2];
  uint32_t sequence[2] = {};
  uint32_t swept[2] = {}, position[2] = {};
  uint32_t step = 1;
  uint64_t looked_at = 0;

  Score& score(unsigned d) { return d == kOut ? outcome.outbound : outcome.inbound; }
};

Traffic::Traffic(const Setup& setup, dataplane::Port& inside, dataplane::Port& outside)
    : setup_(setup),
      inside_(inside),
      outside_(outside),
      writers_{{setup.profile, Direction::outbound, setup.inside_peer, inside.mac()},
               {setup.profile, Direction::inbound, setup.outside_peer, outside.mac()}},
      readers_{{setup.profile, Direction::outbound}, {setup.profile, Direction::inbound}},
      flows_(setup.profile.mappings()),
      hz_(static_cast<double>(rte_get_tsc_hz())),
      random_(setup.seed * 0x9e3779b97f4a7c15 + 1) {
  // Tags differ between runs, so that what an earlier one left in the appliance's queues is not taken for
  // ours.
  tags_.now = static_cast<uint16_t>(rte_rdtsc() >> 7);
  buffers_[kOut] =
      prepared_buffers("outbound", inside.tx_descriptors() + setup.spare_buffers, writers_[kOut]);
  buffers_[kIn] = prepared_buffers("inbound", outside.tx_descriptors() + setup.spare_buffers, writers_[kIn]);
}

dataplane::BufferPool Traffic::prepared_buffers(const char* name, uint32_t count,
                                                const FrameWriter& writer) const {
  auto pool = dataplane::make_buffers(name, count, kMtu);
  std::vector<rte_mbuf*> all(pool->size);
  if (rte_pktmbuf_alloc_bulk(pool.get(), all.data(), static_cast<unsigned>(all.size())) != 0) {
    throw std::runtime_error(fmt::format("the {} frame buffers cannot be taken", all.size()));
  }
  for (rte_mbuf* m : all) writer.prepare(rte_pktmbuf_mtod(m, uint8_t*));
  rte_pktmbuf_free_bulk(all.data(), static_cast<unsigned>(all.size()));
  return pool;
}

uint32_t Traffic::known(uint32_t first, uint32_t count) const {
  uint32_t n = 0;
  for (uint32_t m = first; m < first + count; ++m) n += flows_[m].port != 0;
  return n;
}

/// The next packet's mapping; false when there is none (any more).
bool Traffic::choose(Phase& phase, Direction d, uint32_t& mapping) {
  const Load& load = phase.load;
  const auto side = static_cast<unsigned>(d);
  if (!load.sweep) {
    random_ ^= random_ << 13;
    random_ ^= random_ >> 7;
    random_ ^= random_ << 17;
    mapping = load.first + static_cast<uint32_t>(((random_ >> 32) * load.count) >> 32);
    return true;
  }
  if (phase.swept[side] == load.count) return false;
  mapping = load.first + phase.position[side];
  phase.position[side] = static_cast<uint32_t>((uint64_t{phase.position[side]} + phase.step) % load.count);
  phase.swept[side]++;
  return true;
}

void Traffic::transmit(Phase& phase, Direction d, rte_mbuf** frames, unsigned count) {
  dataplane::Port& port = d == Direction::outbound ? inside_ : outside_;
  const unsigned taken = count == 0 ? 0 : port.send(0, frames, count);
  for (unsigned i = taken; i < count; ++i) rte_pktmbuf_free(frames[i]);
  Score& score = phase.score(static_cast<unsigned>(d));
  score.sent += taken;
  score.refused += count - taken;
  (d == Direction::outbound ? phase.outcome.passed.inside_sent : phase.outcome.passed.outside_sent) += taken;
}

void Traffic::send(Phase& phase, Direction d, uint64_t now) {
  const auto side = static_cast<unsigned>(d);
  const unsigned want = phase.buckets[side]->take(now, kBurst);
  rte_mbuf* frames[kBurst];
  unsigned n = 0;
  for (; n < want; ++n) {
    Stamp stamp{0, phase.sequence[side], stamp_time(now), phase.tags[side].now};
    if (!choose(phase, d, stamp.mapping)) break;
    rte_mbuf* m = rte_pktmbuf_alloc(buffers_[side].get());
    if (m == nullptr) {  // all of them are in the device's queue
      phase.score(side).refused++;
      continue;
    }
    phase.sequence[side]++;
    auto* at = rte_pktmbuf_mtod(m, uint8_t*);
    const Flow& flow = flows_[stamp.mapping];
    const unsigned size = d == Direction::outbound
                              ? writers_[side].outbound(at, stamp)
                              : writers_[side].inbound(at, flow.address, flow.port, stamp);
    m->data_len = static_cast<uint16_t>(size);
    m->pkt_len = size;
    frames[n] = m;
  }
  transmit(phase, d, frames, n);
}

/// The server's answer to a mapping's SYN.
void Traffic::answer_syn(Phase& phase, uint32_t mapping, uint64_t now) {
  rte_mbuf* m = rte_pktmbuf_alloc(buffers_[kIn].get());
  if (m == nullptr) {
    phase.score(kIn).refused++;
    return;
  }
  const Flow& flow = flows_[mapping];
  const Stamp stamp{mapping, phase.sequence[kIn]++, stamp_time(now), phase.tags[kIn].now};
  m->data_len = static_cast<uint16_t>(
      writers_[kIn].inbound(rte_pktmbuf_mtod(m, uint8_t*), flow.address, flow.port, stamp));
  m->pkt_len = m->data_len;
  transmit(phase, Direction::inbound, &m, 1);
}

void Traffic::judge(Phase& phase, Direction d, const Reading& reading, uint64_t now) {
  const auto side = static_cast<unsigned>(d);
  Score& score = phase.score(side);
  if (reading.verdict == Verdict::foreign) {
    (d == Direction::outbound ? phase.outcome.passed.outside_foreign : phase.outcome.passed.inside_foreign)++;
    return;
  }
  if (reading.verdict == Verdict::late) {
    phase.outcome.passed.late++;
    return;
  }
  if (reading.verdict == Verdict::corrupt) {
    score.corrupt++;
    return;
  }
  Flow& flow = flows_[reading.stamp.mapping];
  bool strayed = reading.verdict == Verdict::strayed;
  bool learned = false;
  if (d == Direction::outbound && !strayed) {
    if (flow.port == 0 && phase.load.sweep && reading.port != 0) {
      flow.address = reading.address;
      flow.port = reading.port;
      learned = true;
    } else {
      strayed = flow.address != reading.address || flow.port != reading.port;
    }
  }
  if (strayed) {
    score.strayed++;
    return;
  }
  score.received++;
  score.latency.add(stamp_time(now) - reading.stamp.time);
  if (reading.stamp.sequence < flow.next[side]) {
    score.reordered++;
  } else {
    flow.next[side] = reading.stamp.sequence + 1;
  }
  if (learned && handshake(phase.load)) answer_syn(phase, reading.stamp.mapping, now);
}

/// Takes a burst; whether anything in it was ours.
bool Traffic::receive(Phase& phase, Direction d, uint64_t now) {
  const auto side = static_cast<unsigned>(d);
  rte_mbuf* frames[kBurst];
  Reading readings[kBurst];
  const unsigned n = (d == Direction::outbound ? outside_ : inside_).receive(0, frames, kBurst);
  (d == Direction::outbound ? phase.outcome.passed.outside_received : phase.outcome.passed.inside_received) +=
      n;
  // The flows' lines are fetched while the other frames of the burst are read.
  for (unsigned i = 0; i < n; ++i) {
    const bool deep = phase.looked_at++ % setup_.verify_every == 0;
    rte_mbuf* m = frames[i];
    readings[i] = {};
    if (m->nb_segs == 1) {
      readings[i] = readers_[side].read(rte_pktmbuf_mtod(m, const uint8_t*), m->data_len, phase.tags[side],
                                        static_cast<uint32_t>(flows_.size()), deep);
    }
    if (readings[i].verdict == Verdict::good) rte_prefetch0(&flows_[readings[i].stamp.mapping]);
  }
  bool ours = false;
  for (unsigned i = 0; i < n; ++i) {
    judge(phase, d, readings[i], now);
    ours |= readings[i].verdict != Verdict::foreign;
  }
  if (n != 0) rte_pktmbuf_free_bulk(frames, n);
  return ours;
}

Outcome Traffic::run(const Load& load) {
  Phase phase{load, {}, {}, {}, {}, {}, {}, 1, 0};
  for (Flow& f : flows_) f.next[kOut] = f.next[kIn] = 0;
  phase.step = stride_for(load.count);
  for (unsigned d : {kOut, kIn}) {
    tags_.now++;
    phase.tags[d] = tags_;
    if (tags_.earlier < kMostEarlier) tags_.earlier++;
  }
  constexpr auto ack = net::TcpHeader::kAck, syn = net::TcpHeader::kSyn;
  const bool opening = handshake(load) && load.outbound_rate > 0;
  writers_[kOut].set_tcp_flags(opening ? syn : ack);
  writers_[kIn].set_tcp_flags(opening ? syn | ack : ack);

  const double rates[2] = {load.outbound_rate, load.inbound_rate};
  const uint64_t began = rte_rdtsc();
  for (unsigned d : {kOut, kIn}) {
    if (rates[d] > 0) phase.buckets[d].emplace(rates[d], hz_, setup_.burst, began);
  }
  const auto duration = static_cast<uint64_t>(load.seconds * hz_);
  const auto linger = static_cast<uint64_t>(setup_.linger * hz_);
  uint64_t last = began;
  for (bool sending = true;;) {
    const uint64_t now = rte_rdtsc();
    if (sending) {
      sending = false;
      for (Direction d : kDirections) {
        const auto side = static_cast<unsigned>(d);
        if (!phase.buckets[side]) continue;
        if (load.sweep ? phase.swept[side] == load.count : now - began >= duration) continue;
        send(phase, d, now);
        sending = true;
      }
      last = now;
      phase.outcome.seconds = static_cast<double>(now - began) / hz_;
    }
    for (Direction d : kDirections) {
      if (receive(phase, d, rte_rdtsc())) last = now;
    }
    if (!sending && now - last > linger) break;
    if (interrupted.load(std::memory_order_relaxed)) throw Interrupted();
  }
  for (unsigned d : {kOut, kIn}) {
    // What a sweep does not send in time it sends later: only a trial misses packets.
    if (phase.buckets[d] && !load.sweep) phase.score(d).missed = phase.buckets[d]->missed();
  }
  total_ += phase.outcome.passed;
  return phase.outcome;
}

}  // namespace culvert::bench
