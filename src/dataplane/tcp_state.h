/// The TCP state machine of RFC 6146 §3.5.2.2, which RFC 5382 and RFC 7857 §2 allow for NAT44 as well, as one
/// pure function. "V6" of the RFC is the inside, "V4" the outside.
///
/// Where it goes further than RFC 6146, it is so that sessions end when their connection does, and not
/// before:
///   - a RST is heeded in every state of a connection, not in ESTABLISHED only (RFC 7857 §2.2);
///   - after both FINs and after a RST a SYN begins a new connection between the same endpoints (RFC 5382
///     REQ-2): it opens, and does not count as established before it is answered. Only a SYN from outside
///     after a RST does at once, as the RFC has it.
/// A session that ends as ESTABLISHED is not probed: a keep-alive needs sequence numbers, and none are kept.
/// RFC 5382 REQ-5 allows to end it after 2 h 4 min.
#pragma once

#include "dataplane/mapping.h"
#include "net/headers.h"

namespace culvert::dataplane {

enum class Direction : uint8_t { outbound, inbound };

/// Which timer a packet starts anew.
enum class TcpTimer : uint8_t {
  keep,         ///< none: the session goes on towards its end
  trans_open,   ///< tcp-trans-open-timeout
  trans_close,  ///< tcp-trans-close-timeout
  idle,         ///< tcp-idle-timeout
  in_open,      ///< tcp-trans-open-timeout, unless the session has longer left: strangers shorten nothing
};

struct TcpStep {
  SessionState state;
  TcpTimer timer;
};

/// The state after a packet with these flags went through. `none` in: no session yet; `none` out: none is
/// made.
constexpr TcpStep tcp_step(SessionState state, Direction direction, uint8_t flags) {
  using enum SessionState;
  const bool out = direction == Direction::outbound;
  const bool rst = (flags & net::TcpHeader::kRst) != 0;
  const bool syn = !rst && (flags & net::TcpHeader::kSyn) != 0;
  const bool fin = !rst && !syn && (flags & net::TcpHeader::kFin) != 0;
  switch (state) {
    case none:
    case filter:
      if (!syn) return {none, TcpTimer::keep};
      // The inside answers a SYN that was let in without a session of its own (StatefulBinding::track_tcp).
      if (out && (flags & net::TcpHeader::kAck) != 0) return {established, TcpTimer::idle};
      return out ? TcpStep{out_init, TcpTimer::trans_open} : TcpStep{in_init, TcpTimer::in_open};
    case in_init:
      if (syn && out) return {established, TcpTimer::idle};
      return {in_init, TcpTimer::keep};
    case out_init:
      if (syn && !out) return {established, TcpTimer::idle};
      if (syn) return {out_init, TcpTimer::trans_open};
      if (rst && !out) return {transitory, TcpTimer::trans_close};  // connection refused: RFC 7857 §2.2
      return {out_init, TcpTimer::keep};
    case established:
      if (rst) return {transitory, TcpTimer::trans_close};
      if (fin) return {out ? out_fin : in_fin, TcpTimer::idle};
      return {established, TcpTimer::idle};
    case in_fin:
      if (fin && out) return {both_fin, TcpTimer::trans_close};
      if (rst) return {transitory, TcpTimer::trans_close};
      return {in_fin, TcpTimer::idle};
    case out_fin:
      if (fin && !out) return {both_fin, TcpTimer::trans_close};
      if (rst) return {transitory, TcpTimer::trans_close};
      return {out_fin, TcpTimer::idle};
    case both_fin:
      if (syn) return out ? TcpStep{out_init, TcpTimer::trans_open} : TcpStep{in_init, TcpTimer::in_open};
      return {both_fin, TcpTimer::keep};
    case transitory:
      if (rst) return {transitory, TcpTimer::keep};
      if (syn && out) return {out_init, TcpTimer::trans_open};
      return {established, TcpTimer::idle};
  }
  return {state, TcpTimer::keep};
}

/// Whether the port of a session that ended in this state may be used again at once (RFC 6888 REQ-8 exception
/// A).
constexpr bool close_was_seen(SessionState s) {
  return s == SessionState::both_fin || s == SessionState::transitory;
}

}  // namespace culvert::dataplane
