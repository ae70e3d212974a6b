#include "control/neighbours.h"

#include <fmt/format.h>
#include <linux/neighbour.h>

#include <algorithm>
#include <chrono>
#include <stdexcept>

#include "control/event_loop.h"

namespace culvert::control {
namespace {

constexpr unsigned kRecheckSeconds = 10;  ///< how often the kernel is made to verify a stale neighbour
/// The kernel still believes in the entry (RFC 4861 §7.3.2).
constexpr uint16_t kUsable = NUD_PERMANENT | NUD_NOARP | NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE;

template <typename Address>
void add_next_hop(std::vector<NextHopState>& list, const config::NextHop<Address>& hop, unsigned interface,
                  int kernel_index, bool ipv6) {
  NextHopState s;
  s.interface = interface;
  s.kernel_index = kernel_index;
  s.ipv6 = ipv6;
  if (const auto* mac = std::get_if<net::MacAddress>(&hop)) {
    s.is_static = true;
    s.mac = *mac;
  } else if (const auto* address = std::get_if<Address>(&hop)) {
    s.address = *address;
  } else {
    return;
  }
  list.push_back(s);
}

}  // namespace

std::string NextHopState::state() const {
  if (is_static) return "static";
  if (kernel_index == 0) return "no-tap";
  switch (kernel_state) {
    case NUD_INCOMPLETE:
      return "incomplete";
    case NUD_REACHABLE:
      return "reachable";
    case NUD_STALE:
      return "stale";
    case NUD_DELAY:
      return "delay";
    case NUD_PROBE:
      return "probe";
    case NUD_FAILED:
      return "failed";
    case NUD_PERMANENT:
    case NUD_NOARP:
      return "permanent";
    default:
      return "unknown";
  }
}

Neighbours::Neighbours(EventLoop& loop, Cell cell, std::function<void(const std::string&, bool)> tell)
    : loop_(loop), cell_(std::move(cell)), tell_(std::move(tell)), events_(RTMGRP_NEIGH) {
  loop_.watch(events_.fd(), EPOLLIN, [this](uint32_t) { read(); });
  timer_ = loop_.every(std::chrono::seconds(1), [this] { solicit(); });
}

Neighbours::~Neighbours() {
  loop_.cancel(timer_);
  loop_.forget(events_.fd());
}

void Neighbours::follow(const std::vector<config::Interface>& interfaces,
                        const std::vector<int>& kernel_index) {
  std::vector<NextHopState> next;
  for (unsigned i = 0; i < interfaces.size(); ++i) {
    add_next_hop(next, interfaces[i].next_hop_ipv4, i, kernel_index[i], false);
    add_next_hop(next, interfaces[i].next_hop_ipv6, i, kernel_index[i], true);
  }
  for (NextHopState& n : next) {
    for (const NextHopState& old : next_hops_) {  // what is resolved stays so
      if (old.kernel_index == n.kernel_index && old.address == n.address && !n.is_static && !old.is_static) {
        n.mac = old.mac;
        n.kernel_state = old.kernel_state;
      }
    }
    if (n.mac) {
      cell_(n.interface, n.ipv6).set(*n.mac);
    } else {
      cell_(n.interface, n.ipv6).clear();
    }
  }
  next_hops_ = std::move(next);
  events_.ask_neighbours();
  solicit();
}

bool Neighbours::all_resolved() const {
  return std::ranges::all_of(next_hops_, [](const NextHopState& n) { return n.mac.has_value(); });
}

void Neighbours::read() {
  if (!events_.read_neighbours([this](const Netlink::Neighbour& n) { heard(n); })) events_.ask_neighbours();
}

void Neighbours::heard(const Netlink::Neighbour& neighbour) {
  for (NextHopState& n : next_hops_) {
    if (n.is_static || n.kernel_index != neighbour.index || n.address != neighbour.address) continue;
    if (neighbour.deleted) {
      n.kernel_state = NUD_NONE;  // only tidied up: in use until asking again has failed
      continue;
    }
    n.kernel_state = neighbour.state;
    if ((neighbour.state & kUsable) != 0 && neighbour.mac) {
      if (n.mac != neighbour.mac) {
        tell_(fmt::format("next hop {} is at {}", text_of(n.address), neighbour.mac->text()), false);
      }
      n.mac = neighbour.mac;
      cell_(n.interface, n.ipv6).set(*n.mac);
    } else if (neighbour.state == NUD_FAILED && n.mac) {
      n.mac.reset();
      cell_(n.interface, n.ipv6).clear();
      tell_(
          fmt::format("next hop {} does not answer any more; packets to it are dropped (next-hop-unresolved)",
                      text_of(n.address)),
          true);
    }
  }
}

void Neighbours::solicit() {
  beats_++;
  for (NextHopState& n : next_hops_) {
    if (n.is_static || n.kernel_index == 0) continue;
    const bool asleep = n.kernel_state == NUD_STALE || n.kernel_state == NUD_NONE;
    if (n.mac && !(asleep && beats_ % kRecheckSeconds == 0)) continue;
    try {
      requests_.use_neighbour(n.kernel_index, n.address);
    } catch (const std::runtime_error& e) {
      if (!n.complained) tell_(fmt::format("next hop {}: {}", text_of(n.address), e.what()), true);
      n.complained = true;
    }
  }
}

}  // namespace culvert::control
