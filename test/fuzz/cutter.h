/// Cuts datagrams into fragments as senders, routers and attackers do: in the places, the order and with the
/// faults that an input says. Uses nothing of src/dataplane.
///
/// A recipe, in the input: the headers that are cut (bits 0–1: of a softwire the outer packet, the inner one,
/// or the inner one and its first piece's outer packet again; bit 2: a piece at a time instead of in bursts;
/// bit 3: the last pieces come later), the size of pieces, how much the sizes differ, the order, the number
/// of faults (0–3), then for each fault its kind, its piece and a word.
#pragma once

#include <vector>

#include "frames.h"
#include "input.h"

namespace culvert::fuzz {

struct Pieces {
  std::vector<Bytes> packets;  ///< in the order in which they are to arrive
  bool altered = false;  ///< some of them say what the datagram does not: it need not come out as it was
  bool in_bursts = true;
  size_t later = 0;  ///< so many of the last ones are to come after something else
};

/// `id`: the identification of the datagram; of 32 bits the low 16 where there are no more. A packet that
/// cannot be cut is its only piece. No piece is longer than kMostPiece.
Pieces cut(const Bytes& packet, uint32_t id, Input& recipe);

inline constexpr size_t kMostPiece = 1900;  ///< bytes of an IP packet that the box's buffers take

/// An IP packet in pieces of `chunk` bytes of payload (a multiple of eight), all else by the RFCs.
/// `inner`: the IPv4 packet of a softwire is cut. Empty: the packet is none that can be.
std::vector<Bytes> cut_evenly(const Bytes& packet, uint32_t id, size_t chunk, bool inner = false);

}  // namespace culvert::fuzz
