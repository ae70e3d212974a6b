#include "logging/radius/build.h"

#include <algorithm>
#include <tuple>
#include <utility>

namespace culvert::logging::radius {
namespace {

using ledger::ByteReader;
using ledger::ByteWriter;

/// Sessions between two calls of Progress.
constexpr uint64_t kProgressEvery = 4096;

/// A session whose bytes sort as before() does. Neither NAS nor id has a NUL in it.
void encode_sortable(const Session& s, std::string& out) {
  out = s.nas;
  out.push_back('\0');
  out.append(s.id);
  out.push_back('\0');
  for (int shift = 56; shift >= 0; shift -= 8) out.push_back(static_cast<char>(s.seen_from >> shift));
  out.push_back(s.begin == Begin::start ? 1 : 0);
  ByteWriter fields(out);
  encode(s, fields);
}

Session decode_sortable(std::string_view item) {
  Session s;
  const auto text = [&item] {
    const size_t end = item.find('\0');
    std::string t(item.substr(0, end));
    item.remove_prefix(end + 1);
    return t;
  };
  s.nas = text();
  s.id = text();
  ByteReader in(item.substr(sizeof(uint64_t) + 1));
  decode(in, s);
  return s;
}

}  // namespace

Builder::Builder(const BuildOptions& options) : options_(options), sorter_(options.scratch, options.memory) {}

void Builder::add(const Record& record) {
  covered_ = {std::min(covered_.earliest, record.time.earliest),
              std::max(covered_.latest, record.time.latest)};
  if (record.status == Status::accounting_on || record.status == Status::accounting_off)
    return note_restart(record.nas, {record.time, record.status == Status::accounting_on});
  encode_sortable(session_of(record), item_);
  sorter_.add(item_);
}

void Builder::note_restart(const std::string& nas, const Restart& restart) {
  std::vector<Restart>& all = restarts_[nas];
  const auto key = [](const Restart& r) { return std::tuple(r.time.earliest, r.time.latest, r.on); };
  const auto at = std::lower_bound(all.begin(), all.end(), restart,
                                   [&](const Restart& a, const Restart& b) { return key(a) < key(b); });
  if (at != all.end() && *at == restart) return;
  all.insert(at, restart);
  if (all.size() > kMaxRestarts) all.erase(all.begin());
}

bool Builder::forgotten(const Session& s) const {
  if (s.end != End::unknown) return s.ended.latest < options_.forget_before;
  const auto nas = restarts_.find(s.nas);
  const Restart* restart = nas == restarts_.end() ? nullptr : restart_after(nas->second, s.seen_until);
  if (restart != nullptr && restart->time.latest < options_.forget_before) return true;
  return s.seen_until < options_.forget_silent_before;
}

void Builder::put(IndexWriter& writer, Session& session, Result& result) {
  if (forgotten(session))
    result.forgotten++;
  else
    writer.add(session);
}

std::optional<Session> Builder::next_record() {
  const auto item = sorter_.next();
  if (!item) return std::nullopt;
  return decode_sortable(*item);
}

Builder::Result Builder::build(const Index* old, const std::vector<Source>& sources, File& file) {
  Result result;
  result.covered = covered_;
  if (old != nullptr) {
    const Span& before = old->header().covered;
    result.covered = {std::min(before.earliest, covered_.earliest), std::max(before.latest, covered_.latest)};
    for (const Nas& nas : old->nases())
      for (const Restart& restart : nas.restarts) note_restart(nas.name, restart);
  }
  IndexWriter writer(file, options_.scratch, options_.memory);
  sorter_.sort();

  std::optional<Index::Sessions> stored;
  if (old != nullptr) stored.emplace(*old);
  const auto next_stored = [&]() -> std::optional<Session> {
    Session s;
    if (!stored || !stored->next(s)) return std::nullopt;
    // What follows in this run tells anew whether its id was given again.
    if (s.end == End::reused) s.end = End::unknown;
    return s;
  };
  std::optional<Session> from_old = next_stored(), from_new = next_record(), current;
  const uint64_t total = sorter_.items() + (old == nullptr ? 0 : old->header().sessions);
  for (uint64_t done = 0; from_old || from_new; done++) {
    if (options_.progress && done % kProgressEvery == 0) options_.progress("sorting", done, total);
    const bool take_old = from_old && (!from_new || !before(*from_new, *from_old));
    Session next = take_old ? std::exchange(from_old, next_stored()).value()
                            : std::exchange(from_new, next_record()).value();
    const bool same_id = current && current->nas == next.nas && current->id == next.id;
    if (same_id && continues(*current, next)) {
      combine(*current, next);
      continue;
    }
    if (same_id) end_by_reuse(*current, next);
    if (current) put(writer, *current, result);
    current = std::move(next);
  }
  if (current) put(writer, *current, result);

  // What a restart before that ended is forgotten.
  for (auto& [nas, restarts] : restarts_)
    std::erase_if(restarts, [&](const Restart& r) { return r.time.latest < options_.forget_before; });
  std::erase_if(restarts_, [](const auto& nas) { return nas.second.empty(); });
  result.covered.earliest = std::max(result.covered.earliest, options_.forget_before);
  if (result.covered.earliest > result.covered.latest) result.covered = {};
  if (options_.progress) options_.progress("writing", 0, 0);
  writer.finish(restarts_, sources, result.covered);
  result.sessions = writer.sessions();
  return result;
}

}  // namespace culvert::logging::radius
