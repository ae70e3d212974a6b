// The TCP state machine, every transition as data: RFC 6146 §3.5.2.2 with RFC 7857 §2 and RFC 5382 REQ-2.
#include "dataplane/tcp_state.h"

#include <catch2/catch.hpp>
#include <map>

using namespace culvert::dataplane;
using enum SessionState;

namespace {

constexpr uint8_t kFin = 1, kSyn = 2, kRst = 4, kPsh = 8, kAck = 16;
constexpr uint8_t kOther = kAck | kPsh;
constexpr auto kOut = Direction::outbound, kIn = Direction::inbound;  // "V6" and "V4" of RFC 6146

struct Row {
  SessionState from;
  Direction direction;
  uint8_t flags;
  SessionState to;
  TcpTimer timer;
};

const Row kRows[] = {
    // CLOSED: only a SYN opens; everything else is translated and leaves no session.
    {none, kOut, kSyn, out_init, TcpTimer::trans_open},
    {none, kOut, kSyn | kAck, established, TcpTimer::idle},  // the answer to a SYN that made no session
    {none, kIn, kSyn, in_init, TcpTimer::in_open},
    {none, kOut, kRst, none, TcpTimer::keep},
    {none, kIn, kRst, none, TcpTimer::keep},
    {none, kOut, kFin, none, TcpTimer::keep},
    {none, kIn, kFin, none, TcpTimer::keep},
    {none, kOut, kOther, none, TcpTimer::keep},
    {none, kIn, kOther, none, TcpTimer::keep},
    // V4 INIT: only a SYN from inside goes on; nothing keeps it alive longer.
    {in_init, kOut, kSyn, established, TcpTimer::idle},
    {in_init, kIn, kSyn, in_init, TcpTimer::keep},
    {in_init, kOut, kRst, in_init, TcpTimer::keep},
    {in_init, kIn, kRst, in_init, TcpTimer::keep},
    {in_init, kOut, kFin, in_init, TcpTimer::keep},
    {in_init, kIn, kFin, in_init, TcpTimer::keep},
    {in_init, kOut, kOther, in_init, TcpTimer::keep},
    {in_init, kIn, kOther, in_init, TcpTimer::keep},
    // V6 INIT: a SYN from outside establishes (SYN-ACK or simultaneous open, RFC 5382 REQ-2).
    {out_init, kIn, kSyn, established, TcpTimer::idle},
    {out_init, kOut, kSyn, out_init, TcpTimer::trans_open},
    {out_init, kIn, kRst, transitory, TcpTimer::trans_close},  // connection refused
    {out_init, kOut, kRst, out_init, TcpTimer::keep},
    {out_init, kOut, kFin, out_init, TcpTimer::keep},
    {out_init, kIn, kFin, out_init, TcpTimer::keep},
    {out_init, kOut, kOther, out_init, TcpTimer::keep},
    {out_init, kIn, kOther, out_init, TcpTimer::keep},
    // ESTABLISHED
    {established, kOut, kFin, out_fin, TcpTimer::idle},
    {established, kIn, kFin, in_fin, TcpTimer::idle},
    {established, kOut, kRst, transitory, TcpTimer::trans_close},
    {established, kIn, kRst, transitory, TcpTimer::trans_close},
    {established, kOut, kSyn, established, TcpTimer::idle},
    {established, kIn, kSyn, established, TcpTimer::idle},
    {established, kOut, kOther, established, TcpTimer::idle},
    {established, kIn, kOther, established, TcpTimer::idle},
    // V4 FIN RCV
    {in_fin, kOut, kFin, both_fin, TcpTimer::trans_close},
    {in_fin, kIn, kFin, in_fin, TcpTimer::idle},
    {in_fin, kOut, kRst, transitory, TcpTimer::trans_close},
    {in_fin, kIn, kRst, transitory, TcpTimer::trans_close},
    {in_fin, kOut, kSyn, in_fin, TcpTimer::idle},
    {in_fin, kIn, kSyn, in_fin, TcpTimer::idle},
    {in_fin, kOut, kOther, in_fin, TcpTimer::idle},
    {in_fin, kIn, kOther, in_fin, TcpTimer::idle},
    // V6 FIN RCV
    {out_fin, kIn, kFin, both_fin, TcpTimer::trans_close},
    {out_fin, kOut, kFin, out_fin, TcpTimer::idle},
    {out_fin, kOut, kRst, transitory, TcpTimer::trans_close},
    {out_fin, kIn, kRst, transitory, TcpTimer::trans_close},
    {out_fin, kOut, kSyn, out_fin, TcpTimer::idle},
    {out_fin, kIn, kSyn, out_fin, TcpTimer::idle},
    {out_fin, kOut, kOther, out_fin, TcpTimer::idle},
    {out_fin, kIn, kOther, out_fin, TcpTimer::idle},
    // V6 FIN + V4 FIN RCV: all packets pass, none prolongs; the same endpoints may open anew, from either
    // side (RFC 5382 REQ-2).
    {both_fin, kOut, kSyn, out_init, TcpTimer::trans_open},
    {both_fin, kIn, kSyn, in_init, TcpTimer::in_open},
    {both_fin, kOut, kFin, both_fin, TcpTimer::keep},
    {both_fin, kIn, kFin, both_fin, TcpTimer::keep},
    {both_fin, kOut, kRst, both_fin, TcpTimer::keep},
    {both_fin, kIn, kRst, both_fin, TcpTimer::keep},
    {both_fin, kOut, kOther, both_fin, TcpTimer::keep},
    {both_fin, kIn, kOther, both_fin, TcpTimer::keep},
    // TRANS: anything but a RST shows that the connection lives (RFC 7857 §2.2).
    {transitory, kOut, kRst, transitory, TcpTimer::keep},
    {transitory, kIn, kRst, transitory, TcpTimer::keep},
    {transitory, kOut, kSyn, out_init, TcpTimer::trans_open},
    {transitory, kIn, kSyn, established, TcpTimer::idle},
    {transitory, kOut, kFin, established, TcpTimer::idle},
    {transitory, kIn, kFin, established, TcpTimer::idle},
    {transitory, kOut, kOther, established, TcpTimer::idle},
    {transitory, kIn, kOther, established, TcpTimer::idle},
};

}  // namespace

TEST_CASE("RFC 6146 section 3.5.2.2: every transition", "[dataplane][tcp]") {
  for (const Row& r : kRows) {
    INFO("state " << int(r.from) << (r.direction == kOut ? " out" : " in") << " flags " << int(r.flags));
    // ACK, PSH and unknown bits change nothing else.
    for (uint8_t more : {uint8_t{0}, kAck, kPsh, uint8_t{0xe0}}) {
      if (r.from == none && r.direction == kOut && r.flags == kSyn && more == kAck) continue;
      const TcpStep got = tcp_step(r.from, r.direction, static_cast<uint8_t>(r.flags | more));
      CHECK(got.state == r.to);
      CHECK(got.timer == r.timer);
    }
  }
}

TEST_CASE("The table of transitions has every state, direction and flag", "[dataplane][tcp]") {
  std::map<SessionState, unsigned> rows;
  for (const Row& r : kRows) rows[r.from]++;
  for (SessionState s : {none, in_init, out_init, established, in_fin, out_fin, both_fin, transitory})
    CHECK(rows[s] == (s == none ? 9 : 8));
}

TEST_CASE("Of several flags RST counts before SYN, SYN before FIN", "[dataplane][tcp]") {
  CHECK(tcp_step(established, kOut, kRst | kSyn | kFin).state == transitory);
  CHECK(tcp_step(none, kOut, kSyn | kFin).state == out_init);
  CHECK(tcp_step(none, kOut, kSyn | kRst).state == none);
  CHECK(tcp_step(established, kOut, kSyn | kFin).state == established);
}

TEST_CASE("RFC 5382 REQ-2: after both FINs a connection may be opened again from either side",
          "[dataplane][tcp]") {
  for (const Direction opens : {kOut, kIn}) {
    const Direction answers = opens == kOut ? kIn : kOut;
    SessionState s = tcp_step(both_fin, opens, kSyn).state;
    s = tcp_step(s, opens, kSyn).state;  // sent again
    const TcpStep answered = tcp_step(s, answers, kSyn | kAck);
    CHECK(answered.state == established);
    CHECK(answered.timer == TcpTimer::idle);
  }
}

TEST_CASE("A filter entry is no TCP session", "[dataplane][tcp]") {
  CHECK(tcp_step(filter, kOut, kAck).state == none);
  CHECK(tcp_step(filter, kOut, kSyn).state == out_init);
}

TEST_CASE("RFC 6888 REQ-8 exception A: after which ends a port needs no hold-down", "[dataplane][tcp]") {
  for (SessionState s : {none, filter, in_init, out_init, established, in_fin, out_fin})
    CHECK_FALSE(close_was_seen(s));
  for (SessionState s : {both_fin, transitory}) CHECK(close_was_seen(s));
}
