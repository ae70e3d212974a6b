#include "logging/radius/lookup.h"

#include <algorithm>
#include <map>
#include <vector>

namespace culvert::logging::radius {
namespace {

constexpr uint64_t kForever = UINT64_MAX;
constexpr uint64_t kSecond = 1000;

/// Times in s as ms: all of the last second belongs to it.
Span in_ms(const Span& s) { return {s.earliest * kSecond, s.latest * kSecond + kSecond - 1}; }

uint64_t add(uint64_t a, uint64_t b) { return a > kForever - b ? kForever : a + b; }
uint64_t subtract(uint64_t a, uint64_t b) { return a - std::min(a, b); }

/// Entries of one key, by when they began.
class Group {
 public:
  /// Takes those of the key that the cursor is at; it goes on to the next key.
  Group(const Index& index, Index::Cursor& cursor) : index_(index), key_(cursor.entry().key) {
    for (; cursor.valid() && cursor.entry().key == key_; cursor.next()) entries_.push_back(cursor.entry());
  }
  const std::vector<Entry>& entries() const { return entries_; }
  const Key& key() const { return key_; }

  /// The first of them of the same NAS as `entry` that began after `time`; nullptr: there is none.
  const Entry* next_of_nas(const Entry& entry, uint64_t time) {
    if (by_nas_.empty())
      for (size_t i = 0; i < entries_.size(); i++)
        by_nas_[index_.nas_number(entries_[i].ordinal)].push_back(i);
    const std::vector<size_t>& all = by_nas_[index_.nas_number(entry.ordinal)];
    const auto next = std::upper_bound(all.begin(), all.end(), time,
                                       [this](uint64_t t, size_t i) { return t < entries_[i].from; });
    return next == all.end() ? nullptr : &entries_[*next];
  }

 private:
  const Index& index_;
  const Key key_;
  std::vector<Entry> entries_;
  std::map<size_t, std::vector<size_t>> by_nas_;
};

/// Which sessions of a group were there in a window.
class Question {
 public:
  Question(const Index& index, const Window& window, uint64_t slack, const OnMatch& on_match)
      : index_(index), window_{subtract(window.from, slack), add(window.to, slack)}, on_match_(on_match) {}

  /// `prefix`: that the group's sessions had, if it is a prefix' group. `is_right`: of a session, where the
  /// key alone does not tell.
  template <typename IsRight>
  void ask(Group group, const std::optional<net::Ipv6Prefix>& prefix, const IsRight& is_right) const {
    for (const Entry& entry : group.entries()) {
      if (entry.from * kSecond > window_.to) return;
      if (entry.until != 0 && in_ms({0, entry.until}).latest < window_.from) continue;
      Match match;
      match.session = index_.session(entry.ordinal);
      match.prefix = prefix;
      if (!is_right(match.session)) continue;
      conclude(match, group, entry);
      if (match.began.earliest > window_.to || match.ended.latest < window_.from) continue;
      match.certain = is_certain(match);
      on_match_(match);
    }
  }
  void ask(Group group, const net::Ipv6Prefix& prefix) const {
    ask(std::move(group), prefix, [](const Session&) { return true; });
  }

 private:
  static void end_at(Match& match, Ending how, const Span& at) {
    const Span then = in_ms(at);
    if (then.latest >= match.ended.latest) return;
    match.ending = how;
    match.ended.latest = then.latest;
  }

  void conclude(Match& match, Group& group, const Entry& entry) const {
    const Session& s = match.session;
    match.began = s.begin == Begin::unknown ? Span{0, in_ms({0, s.seen_from}).latest} : in_ms(s.began);
    if (s.end == End::stop) {
      match.ended = in_ms(s.ended);
      match.ending = Ending::stop;
      return;
    }
    match.ended = {s.seen_until * kSecond, kForever};
    if (s.end == End::reused) {
      end_at(match, Ending::reused, s.ended);
      match.ended.earliest = s.ended.earliest * kSecond;
    }
    if (const Restart* restart = restart_after(index_.nas_of(entry.ordinal).restarts, s.seen_until))
      end_at(match, restart->on ? Ending::accounting_on : Ending::accounting_off, restart->time);
    const Entry* next = match.prefix ? group.next_of_nas(entry, s.seen_until) : nullptr;
    if (next != nullptr) end_at(match, Ending::superseded, index_.session(next->ordinal).began);
  }

  bool is_certain(const Match& match) const {
    if (match.began.latest > window_.from || match.ended.earliest < window_.to) return false;
    if (!match.prefix) return true;
    const auto& held = match.session.prefixes;
    const auto found = std::find_if(held.begin(), held.end(),
                                    [&](const Session::Held& h) { return h.prefix == *match.prefix; });
    return found != held.end() && in_ms({0, found->seen_from}).latest <= window_.from &&
           found->seen_until * kSecond >= window_.to;
  }

  const Index& index_;
  const Window window_;  ///< with slack
  const OnMatch& on_match_;
};

bool is_prefix(const Key& key) { return key[0] == static_cast<uint8_t>(KeyKind::prefix); }

net::Ipv6Prefix prefix_of(const Key& key) {
  net::Ipv6Prefix prefix;
  std::copy_n(key.begin() + 1, prefix.address.bytes.size(), prefix.address.bytes.begin());
  prefix.length = key[1 + prefix.address.bytes.size()];
  return prefix;
}

}  // namespace

void find_prefix(const Index& index, const net::Ipv6Prefix& prefix, const Window& window, uint64_t slack,
                 const OnMatch& on_match) {
  const Question question(index, window, slack, on_match);
  for (unsigned length = 1; length < prefix.length; length++) {
    if (!index.header().has_length(length)) continue;
    const net::Ipv6Prefix wider{prefix.address.masked(length), static_cast<uint8_t>(length)};
    Index::Cursor cursor(index, prefix_key(wider));
    if (cursor.valid() && cursor.entry().key == prefix_key(wider)) question.ask({index, cursor}, wider);
  }
  for (Index::Cursor cursor(index, prefix_key(prefix)); cursor.valid() && is_prefix(cursor.entry().key);) {
    const net::Ipv6Prefix within = prefix_of(cursor.entry().key);
    if (!prefix.contains(within.address)) break;
    question.ask({index, cursor}, within);
  }
}

void find_text(const Index& index, KeyKind kind, std::string_view text, const Window& window, uint64_t slack,
               const OnMatch& on_match) {
  const Key key = text_key(kind, text);
  Index::Cursor cursor(index, key);
  if (!cursor.valid() || cursor.entry().key != key) return;
  // A key holds the first bytes only.
  Question(index, window, slack, on_match).ask({index, cursor}, std::nullopt, [&](const Session& s) {
    return (kind == KeyKind::user_name ? s.user_name : s.calling_station_id) == text;
  });
}

std::string_view name_of(Ending ending) {
  static constexpr std::string_view kNames[] = {"unknown",       "stop",           "reused",
                                                "accounting-on", "accounting-off", "superseded"};
  return kNames[static_cast<size_t>(ending)];
}

std::string_view name_of(Begin begin) {
  static constexpr std::string_view kNames[] = {"unknown", "session-time", "start"};
  return kNames[static_cast<size_t>(begin)];
}

}  // namespace culvert::logging::radius
