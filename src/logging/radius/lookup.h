/// "Who had this prefix then?": sessions of an index by what they are known by, with what follows from the
/// others.
///
/// Nothing is chosen here. When a session began and ended is known to lie between two times each; whoever may
/// have had the prefix in the time asked for is told of, and whether he had it for certain by the records.
/// Where two had it at once by their records, both are told of.
///
/// A session without a Stop goes on until its NAS says that it starts or stops accounting (RFC 2866 §5.1),
/// begins another session of the same id, or gives the prefix to another session: then it ended between its
/// last record and that. Without any of these it may go on still. An address may be in use behind two NASes
/// at once, so another NAS' sessions end nothing.
///
/// Belongs to one thread, as the Index does.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>

#include "logging/radius/index.h"

namespace culvert::logging::radius {

/// Clocks of the ledger and of RADIUS may differ by this, in ms, both ways.
inline constexpr uint64_t kUsualSlack = 2000;

/// From when to when, both included: ms since the Unix epoch.
struct Window {
  uint64_t from = 0, to = UINT64_MAX;
};

/// How it is known that a session ended.
enum class Ending : uint8_t {
  unknown,         ///< it is not: it was last seen at `earliest`, and may go on
  stop,            ///< its Stop
  reused,          ///< the NAS began another session of its id
  accounting_on,   ///< its NAS started
  accounting_off,  ///< its NAS was about to stop
  superseded,      ///< the NAS gave the prefix to another session
};

struct Match {
  Session session;
  std::optional<net::Ipv6Prefix> prefix;  ///< that it was found by
  /// It began between these, and ended between those: ms. Of a time that is known to the second, both are the
  /// second's first and last ms. `began.earliest` 0: nobody knows; `ended.latest` UINT64_MAX: it may go on.
  Span began, ended;
  Ending ending = Ending::unknown;
  /// By its records, and if none of them lies, it had the prefix all through the window, slack included.
  bool certain = false;
};

using OnMatch = std::function<void(const Match&)>;

/// Sessions that had a prefix which covers `prefix`, or a part of it: first those of prefixes that cover it,
/// the shortest first; then those within it, by address. Sessions of one prefix come by when they began. IPv4
/// stands as in net/mapped.h. Throws DamagedIndex.
void find_prefix(const Index& index, const net::Ipv6Prefix& prefix, const Window& window, uint64_t slack,
                 const OnMatch& on_match);
/// Sessions with this Calling-Station-Id, or User-Name, to the letter; by when they began.
void find_text(const Index& index, KeyKind kind, std::string_view text, const Window& window, uint64_t slack,
               const OnMatch& on_match);

/// "stop", "reused" and so on, as --json has it.
std::string_view name_of(Ending ending);
std::string_view name_of(Begin begin);

}  // namespace culvert::logging::radius
