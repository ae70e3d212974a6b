#include "logging/query/inquiry.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace culvert::logging::query {

using ledger::SealedSegment;

namespace {

constexpr const char* kBeginning = "the archive begins only then";

bool empty(Interval i) { return i.from > i.to; }
Interval common(Interval a, Interval b) { return {std::max(a.from, b.from), std::min(a.to, b.to)}; }

}  // namespace

Inquiry::Inquiry(const ledger::Archive& archive, Subject subject)
    : archive_(archive), subject_(subject), opened_(archive.segments().size()) {}

Inquiry::Opened& Inquiry::open(size_t segment) {
  Opened& o = opened_[segment];
  if (o.sealed || o.live) return o;
  close_others(segment);
  try {
    ledger::OpenSegment file = ledger::open_segment(at(segment).file);
    if (auto* live = std::get_if<std::unique_ptr<ledger::LiveStream>>(&file)) {
      o.live = std::make_unique<LiveScan>(
          scan(**live, subject_, archive_.end_ordinal(segment), last(segment), name(segment)));
      o.facts = std::move(o.live->facts);
      return o;
    }
    o.sealed = std::move(std::get<std::unique_ptr<SealedSegment>>(file));
  } catch (const std::runtime_error& e) {
    throw Unreadable(segment, e.what());
  }
  o.sealed->on_damage = [this, segment](const ledger::SealedDamage& d) {
    opened_[segment].damage.push_back(
        {{at(segment).opened, UINT64_MAX}, fmt::format("{}: {} is damaged", name(segment), d.what)});
  };
  return o;
}

void Inquiry::close_others(size_t segment) {
  size_t open = 0;
  for (const Opened& o : opened_) open += o.sealed ? 1 : 0;
  if (open < kMostOpen) return;
  for (size_t i = 0; i < opened_.size(); i++)
    if (i != segment) opened_[i].sealed.reset();
}

const SegmentFacts& Inquiry::facts(size_t segment) {
  if (!opened_[segment].facts) {
    Opened& o = open(segment);
    if (!o.facts) {
      const size_t damage = o.damage.size();
      SegmentFacts facts = facts_of(*o.sealed, name(segment));
      facts.unreadable = o.damage.size() != damage;
      facts.damaged = facts.damaged || facts.unreadable;
      o.facts = std::move(facts);
    }
  }
  return *opened_[segment].facts;
}

uint64_t Inquiry::last_time(size_t segment) {
  return at(segment).sealed ? at(segment).sealed->ended : facts(segment).last_time;
}

/// When these times of the system's were in a segment, one after the other.
std::vector<Interval> Inquiry::times_in(size_t segment, Interval system) {
  const auto& header = at(segment).sealed;
  const bool followed = !last(segment) && !archive_.hole_before(segment + 1);
  const Interval whole{at(segment).opened, last(segment) ? UINT64_MAX
                                           : followed    ? at(segment + 1).opened
                                                         : last_time(segment)};
  if (header) {
    const int64_t least = header->clock_ahead_min, most = header->clock_ahead_max;
    const Interval possible = common(whole, {moved(system.from, -most), moved(system.to, -least)});
    if (least == most || empty(possible) || facts(segment).unreadable) return {possible};
  }
  std::vector<Interval> times;
  for (const ClockPiece& p : facts(segment).clock) times.push_back(common(event_times(p, system), whole));
  return times;
}

/// How far the system's clock was ahead when a segment began, or ended.
int64_t Inquiry::ahead_at_ends(size_t segment, bool beginning) {
  const auto& header = at(segment).sealed;
  if (header && header->clock_ahead_min == header->clock_ahead_max) return header->clock_ahead_min;
  const std::vector<ClockPiece>& clock = facts(segment).clock;
  return beginning ? clock.front().ahead : clock.back().ahead;
}

std::vector<Stretch> Inquiry::stretches(Interval system) {
  std::vector<Stretch> all;
  const auto add = [&](size_t segment, Interval when, bool in_hole) {
    if (!empty(when)) all.push_back({segment, when, in_hole});
  };
  if (size() == 0) return all;
  const uint64_t first = at(0).opened;
  if (first != 0) {
    const ClockPiece before{{0, first - 1}, ahead_at_ends(0, true)};
    add(0, event_times(before, system), true);
  }
  for (size_t i = 0; i < size(); i++) {
    for (const Interval& when : times_in(i, system)) add(i, when, false);
    if (last(i) || !archive_.hole_before(i + 1)) continue;
    // The clock may have been set anywhere in the hole, from what it was before to what it was after.
    const int64_t before = ahead_at_ends(i, false), after = ahead_at_ends(i + 1, true);
    const Interval hole{last_time(i), at(i + 1).opened};
    add(i,
        common(hole,
               {moved(system.from, -std::max(before, after)), moved(system.to, -std::min(before, after))}),
        true);
  }
  add_neighbours(all);
  return all;
}

/// The ms in which a segment begins is the one's before it, too, also where the clock was set just there.
void Inquiry::add_neighbours(std::vector<Stretch>& all) const {
  const auto add = [&](size_t segment, uint64_t time, bool in_hole) {
    const bool known = std::ranges::any_of(all, [&](const Stretch& s) {
      return s.segment == segment && s.in_hole == in_hole && s.when.from <= time && time <= s.when.to;
    });
    if (!known) all.push_back({segment, {time, time}, in_hole});
  };
  for (size_t n = 0; n < all.size(); n++) {
    const Stretch s = all[n];
    const size_t i = s.segment;
    if (i != 0 && s.when.from == at(i).opened) add(i - 1, s.when.from, archive_.hole_before(i));
    if (!last(i) && s.when.to == at(i + 1).opened) {
      if (archive_.hole_before(i + 1)) add(i, s.when.to, true);
      add(i + 1, s.when.to, false);
    }
  }
}

/// Whether the system's clock can have had one of these times before a segment.
bool Inquiry::had(size_t before, Interval system) {
  const auto& past = facts(before).past;
  return !past || static_cast<int64_t>(std::min(system.from, ledger::kMaxTime)) <= past->latest;
}

/// Whether it can have been set between the readable parts of two segments, so that nobody knows when it was
/// what. Of neighbours that were sealed with all their events this is not asked: it would take the notes of
/// all segments.
bool Inquiry::set_unseen(size_t before) {
  const bool hole = archive_.hole_before(before + 1);
  const auto whole = [this](size_t i) { return at(i).sealed && at(i).sealed->lost == 0; };
  if (!hole && whole(before) && whole(before + 1)) return false;
  const SegmentFacts &a = facts(before), &b = facts(before + 1);
  if (!a.past || !b.past || a.unreadable) return true;
  const uint64_t sets = b.past->sets - (a.past->sets + a.sets);
  // In a hole it may have been set once: stretches() knows from what, and to what.
  return sets > (hole ? 1 : 0);
}

std::vector<Doubt> Inquiry::elsewhere(Interval system) {
  std::vector<Doubt> all;
  if (size() == 0) return {{{0, UINT64_MAX}, "there is no segment that can be read"}};
  if (at(0).file.serial != 1 && had(0, system)) all.push_back({{0, at(0).opened}, kBeginning});
  for (size_t i = 0; !last(i); i++)
    if (set_unseen(i) && had(i + 1, system))
      all.push_back(
          {{at(i).opened, at(i + 1).opened},
           "the clock may have been set in what is missing or damaged, and may have shown this time"});
  const size_t end = size() - 1;
  const bool whole = at(end).sealed && at(end).sealed->lost == 0;
  if (archive_.hole_before(size()) || (!whole && facts(end).damaged))
    all.push_back({{at(end).opened, UINT64_MAX},
                   "the clock may have been set in what is damaged, and may have shown this time"});
  return all;
}

uint64_t Inquiry::system_time(uint64_t event) {
  if (event >= ledger::kMaxTime || size() == 0) return event;
  const auto& all = archive_.segments();
  const auto behind = std::ranges::upper_bound(all, event, {}, &ledger::Segment::opened);
  const size_t i = behind == all.begin() ? 0 : static_cast<size_t>(behind - all.begin()) - 1;
  const auto& header = at(i).sealed;
  if (header && header->clock_ahead_min == header->clock_ahead_max)
    return moved(event, header->clock_ahead_min);
  return moved(event, ahead_at(facts(i).clock, event));
}

uint64_t Inquiry::known_until(size_t segment) {
  uint64_t until = facts(segment).last_time;
  for (const uint64_t gap : gaps(segment)) until = std::min(until, gap);
  return std::max(until, at(segment).opened);
}

std::vector<uint64_t> Inquiry::gaps(size_t segment) {
  std::vector<uint64_t> all;
  const auto add = [&](const std::vector<Doubt>& doubts) {
    for (const Doubt& d : doubts)
      if (d.when.to == UINT64_MAX) all.push_back(d.when.from);
  };
  add(facts(segment).doubts);
  add(opened_[segment].damage);
  std::ranges::sort(all);
  return all;
}

std::vector<Doubt> Inquiry::doubts(const Stretch& stretch) {
  std::vector<Doubt> all;
  const size_t i = stretch.segment;
  const auto add = [&](const Doubt& d) {
    if (overlap(d.when, stretch.when)) all.push_back(d);
  };
  if (i == 0 &&
      (stretch.when.to < at(i).opened || (at(i).file.serial != 1 && stretch.when.from <= at(i).opened)))
    all.push_back({{0, at(i).opened}, kBeginning});
  if (stretch.when.to < at(i).opened) return all;
  const auto add_all_of = [&](size_t segment) {
    for (const Doubt& d : facts(segment).doubts) add(d);
    for (const Doubt& d : opened_[segment].damage) add(d);
  };
  add_all_of(i);
  // A crash's note is behind what it casts doubt on.
  if (!last(i)) add_all_of(i + 1);
  const uint64_t end = last_time(i);
  for (const ledger::Hole& hole : archive_.holes())
    if (hole.before == i + 1) add({{end, last(i) ? UINT64_MAX : at(i + 1).opened}, hole.what});
  if (last(i)) {
    add({{end, UINT64_MAX}, "the archive's last record is of that time"});
  } else if (!archive_.hole_before(i + 1) && facts(i).end_ordinal < at(i + 1).first_ordinal) {
    add({{end, at(i + 1).opened},
         fmt::format("{}: {} events at its end are missing", name(i),
                     at(i + 1).first_ordinal - facts(i).end_ordinal)});
  }
  return all;
}

void Inquiry::answer(size_t segment, uint64_t from, const Take& take) {
  Opened& o = open(segment);
  if (o.live) {
    take(o.live->answer, at(segment).opened, UINT64_MAX);
    return;
  }
  try {
    answer_sealed(*o.sealed, from, take);
  } catch (const std::system_error& e) {
    throw Unreadable(segment, e.what());
  }
}

void Inquiry::answer_sealed(SealedSegment& sealed, uint64_t from, const Take& take) const {
  const uint64_t opened = sealed.header().opened;
  const auto* place = std::get_if<Place>(&subject_);
  if (place == nullptr) {
    const uint64_t begin = std::max(from, opened);
    take(records_of(sealed, std::get<net::Ipv6Prefix>(subject_), {begin, UINT64_MAX}), begin, UINT64_MAX);
    return;
  }
  // An address of many records has pages of its own, one after the other in time: each is a part.
  std::vector<uint64_t> begins{opened};
  const ledger::SealedDirectory& directory = sealed.directory();
  const auto [first, last] = directory.pages_of(place->address);
  for (size_t n = first; n < last; n++)
    if (directory.continues(n) && directory.pages[n].first == place->address)
      begins.push_back(directory.pages[n].time);
  size_t i = 0;
  while (i + 1 < begins.size() && begins[i + 1] <= from) i++;
  for (; i < begins.size(); i++) {
    const uint64_t next = i + 1 < begins.size() ? begins[i + 1] : UINT64_MAX;
    const uint64_t to = next == UINT64_MAX ? next : next - 1;
    if (!take(records_of(sealed, place->address, place->port, {begins[i], to}), begins[i], next)) return;
  }
}

}  // namespace culvert::logging::query
