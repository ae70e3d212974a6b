#include "logging/radius/index_writer.h"

#include <algorithm>

#include "logging/ledger/bytes.h"

namespace culvert::logging::radius {
namespace {

using ledger::ByteReader;
using ledger::ByteWriter;

/// Most significant byte first, so that bytes sort as numbers do.
void add_sortable(std::string& out, uint64_t n) {
  for (int shift = 56; shift >= 0; shift -= 8) out.push_back(static_cast<char>(n >> shift));
}
uint64_t take_sortable(ByteReader& in) {
  uint64_t n = 0;
  for (size_t i = 0; i < sizeof n; i++) n = n << 8 | in.byte();
  return n;
}

/// Bytes in front that both have.
size_t shared_bytes(const Key& a, const Key& b) {
  return static_cast<size_t>(std::mismatch(a.begin(), a.end(), b.begin()).first - a.begin());
}

}  // namespace

IndexWriter::IndexWriter(File& file, const std::filesystem::path& scratch, size_t memory)
    : file_(file), sessions_(file, offset_), keys_(scratch, memory) {}

void IndexWriter::add_key(const Key& key, uint64_t from, uint64_t until) {
  row_.assign(key.begin(), key.end());
  add_sortable(row_, from);
  add_sortable(row_, header_.sessions);
  add_sortable(row_, until);
  keys_.add(row_);
}

void IndexWriter::add(const Session& session) {
  const uint64_t from = session.begin == Begin::unknown ? 0 : session.began.earliest;
  const uint64_t until = session.end == End::unknown ? 0 : session.ended.latest;
  for (const Session::Held& held : session.prefixes) {
    add_key(prefix_key(held.prefix), from, until);
    header_.add_length(held.prefix.length);
  }
  if (!session.calling_station_id.empty())
    add_key(text_key(KeyKind::calling_station_id, session.calling_station_id), from, until);
  if (!session.user_name.empty()) add_key(text_key(KeyKind::user_name, session.user_name), from, until);

  if (nases_.empty() || nases_.back().name != session.nas)
    nases_.push_back({session.nas, header_.sessions, {}});
  row_.clear();
  ByteWriter out(row_);
  out.text(session.id);
  encode(session, out);
  sessions_.add(ordinal_key(header_.sessions), row_);
  header_.sessions++;
}

TablePlace IndexWriter::write_keys() {
  TableWriter table(file_, offset_);
  keys_.sort();
  Key before{};
  while (const auto item = keys_.next()) {
    ByteReader in(*item);
    Key key;
    const std::string_view bytes = in.bytes(key.size());
    std::copy(bytes.begin(), bytes.end(), key.begin());
    const uint64_t from = take_sortable(in), ordinal = take_sortable(in), until = take_sortable(in);
    const size_t shared = table.begins_block() ? 0 : shared_bytes(before, key);
    size_t end = key.size();
    while (end > shared && key[end - 1] == 0) end--;
    row_.clear();
    ByteWriter out(row_);
    out.byte(static_cast<uint8_t>(shared));
    out.byte(static_cast<uint8_t>(end - shared));
    out.bytes(key.data() + shared, end - shared);
    out.varint(from);
    out.varint(until);
    out.varint(ordinal);
    table.add(key, row_);
    before = key;
  }
  header_.entries = keys_.items();
  return table.finish();
}

TablePlace IndexWriter::write_nases(const Restarts& restarts) {
  // Those that have restarts only, too: sessions of theirs may come with another import.
  std::map<std::string_view, uint64_t> firsts;
  for (const auto& [name, times] : restarts) firsts.emplace(name, 0);
  for (const Nas& nas : nases_) firsts[nas.name] = nas.first;
  uint64_t next = header_.sessions;
  for (auto nas = firsts.rbegin(); nas != firsts.rend(); ++nas) {
    const auto known = std::lower_bound(nases_.begin(), nases_.end(), nas->first,
                                        [](const Nas& n, std::string_view name) { return n.name < name; });
    if (known == nases_.end() || known->name != nas->first) nas->second = next;
    next = nas->second;
  }

  TableWriter table(file_, offset_);
  for (const auto& [name, first] : firsts) {
    row_.clear();
    ByteWriter out(row_);
    out.text(name);
    out.varint(first);
    const auto times = restarts.find(std::string(name));
    const size_t n = times == restarts.end() ? 0 : times->second.size();
    out.varint(n);
    uint64_t last = 0;
    for (size_t i = 0; i < n; i++) {
      const Restart& r = times->second[i];
      out.varint(r.time.earliest - last);
      out.varint((r.time.latest - r.time.earliest) << 1 | (r.on ? 1 : 0));
      last = r.time.earliest;
    }
    table.add({}, row_);
  }
  return table.finish();
}

void IndexWriter::finish(const Restarts& restarts, const std::vector<Source>& sources, const Span& covered) {
  const auto place = [this](TableName name) -> TablePlace& {
    return header_.tables[static_cast<size_t>(name)];
  };
  place(TableName::sessions) = sessions_.finish();
  place(TableName::keys) = write_keys();
  place(TableName::nases) = write_nases(restarts);
  TableWriter files(file_, offset_);
  for (const Source& source : sources) {
    row_.clear();
    ByteWriter out(row_);
    encode(source, out);
    files.add({}, row_);
  }
  place(TableName::sources) = files.finish();
  header_.covered = covered;
  header_.bytes = offset_;
  file_.write(0, encode(header_));
}

}  // namespace culvert::logging::radius
