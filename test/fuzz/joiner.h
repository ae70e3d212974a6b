/// A small joiner of its own, for what leaves the box: as a host would join it, and stricter. Every piece
/// must fit the others without a byte twice, only the last may have a length that is no multiple of eight,
/// and all pieces of a datagram have left before it is asked whether it is whole. Uses nothing of
/// src/dataplane.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "frames.h"

namespace culvert::fuzz {

class Joiner {
 public:
  /// Takes an IP packet with right lengths. A whole one goes to `whole` at once, a piece when its datagram
  /// is, headers repaired; that may be a piece again, of an inner packet. Says what is wrong; empty: nothing.
  std::string add(const Bytes& packet, std::vector<Bytes>& whole);
  /// Datagrams of which some is missing.
  size_t open() const { return open_.size(); }

 private:
  struct Piece {
    Bytes payload;
    bool more;
  };
  struct Datagram {
    Bytes headers;                   ///< of the first piece, as of a whole packet
    std::map<size_t, Piece> pieces;  ///< by offset
    uint8_t protocol = 0;            ///< of the payload; IPv6: all pieces should say the same
  };
  std::map<std::string, Datagram> open_;  ///< by addresses, identification and what else tells them apart
};

}  // namespace culvert::fuzz
