/// What the index of sessions is made of, in names; index_format.cpp and table.h have the bytes.
///
/// Values; any thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "logging/radius/record.h"
#include "net/address.h"

namespace culvert::logging::radius {

inline constexpr std::string_view kIndexMagic = "CULVRADI";
inline constexpr uint16_t kIndexVersion = 1;
inline constexpr size_t kIndexHeaderBytes = 144;

/// The tables of an index: blocks of rows, sorted, and a directory of the blocks (table.h).
enum class TableName : uint8_t { sessions, keys, nases, sources };
inline constexpr size_t kTables = 4;

/// Where a table is.
struct TablePlace {
  uint64_t directory = 0;  ///< offset of its directory
  uint64_t blocks = 0;
};

/// What sessions are found by, and what blocks are sorted by: bytes, compared as such. Texts longer than fit
/// are cut: what is found by one is compared with the session's.
using Key = std::array<uint8_t, 32>;
enum class KeyKind : uint8_t { prefix = 1, calling_station_id = 2, user_name = 3 };

Key prefix_key(const net::Ipv6Prefix& prefix);
Key text_key(KeyKind kind, std::string_view text);
/// Of a block of sessions: the number of its first.
Key ordinal_key(uint64_t ordinal);
uint64_t ordinal_of(const Key& key);

/// A row of the keys' table: a session that is found by this key.
struct Entry {
  Key key{};
  uint64_t from = 0;   ///< s: it began no earlier; 0: it is not known when
  uint64_t until = 0;  ///< s: it ended no later; 0: no record tells of its end
  uint64_t ordinal = 0;
};

/// The NAS said that it starts or stops accounting (RFC 2866 §5.1): its sessions of before have ended.
struct Restart {
  Span time;
  bool on = false;  ///< Accounting-On, else Accounting-Off
  bool operator==(const Restart&) const = default;
};
/// Restarts kept of a NAS, the latest ones.
inline constexpr size_t kMaxRestarts = 1024;

/// The first of a NAS' restarts that came after its session was seen last; nullptr: there is none. A restart
/// that may have been before that does not count.
const Restart* restart_after(const std::vector<Restart>& restarts, uint64_t seen_until);

/// Sessions are numbered by NAS, id and time.
struct Nas {
  std::string name;
  uint64_t first = 0;             ///< number of its first session
  std::vector<Restart> restarts;  ///< by time
};

/// What the file begins with.
struct IndexHeader {
  uint64_t bytes = 0;  ///< of the file
  uint64_t sessions = 0, entries = 0;
  /// Times of the records it was made of, from the first to the last.
  Span covered;
  /// Prefix lengths that there are: bit n % 8 of byte n / 8.
  std::array<uint8_t, 24> lengths{};
  std::array<TablePlace, kTables> tables;

  bool has_length(unsigned n) const { return (lengths[n / 8] >> (n % 8) & 1) != 0; }
  void add_length(unsigned n) { lengths[n / 8] = static_cast<uint8_t>(lengths[n / 8] | 1u << (n % 8)); }
};

/// kIndexHeaderBytes.
std::string encode(const IndexHeader& header);
/// Throws std::runtime_error that says what is wrong, without the path: no index, another version, damaged.
IndexHeader decode_index_header(std::string_view bytes);

}  // namespace culvert::logging::radius
