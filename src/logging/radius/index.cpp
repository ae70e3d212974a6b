#include "logging/radius/index.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace culvert::logging::radius {
namespace {

using ledger::ByteReader;

IndexHeader read_header(const File& file) {
  try {
    const uint64_t size = file.size();
    const IndexHeader header =
        decode_index_header(file.read(0, static_cast<size_t>(std::min<uint64_t>(size, kIndexHeaderBytes))));
    if (header.bytes != size || header.covered.latest >= kMaxSeconds) throw DamagedIndex(file);
    return header;
  } catch (const DamagedIndex&) {
    throw;
  } catch (const std::runtime_error& e) {
    throw std::runtime_error(fmt::format("{}: {}", file.path().string(), e.what()));
  }
}

/// A session as it stands in a row, without its NAS.
bool take_session(ByteReader& in, Session& session) {
  session.id = in.text();
  if (session.id.empty() || session.id.size() > kMaxText) in.fail();
  decode(in, session);
  return in.good();
}

}  // namespace

Index::Index(File file) : file_(std::make_unique<File>(std::move(file))), header_(read_header(*file_)) {
  for (size_t i = 0; i < kTables; i++) table(static_cast<TableName>(i));
  load_nases();
}

Table Index::table(TableName name) const {
  return {*file_, header_.bytes, header_.tables[static_cast<size_t>(name)]};
}

void Index::load_nases() {
  const Table rows = table(TableName::nases);
  for (uint64_t i = 0; i < rows.blocks(); i++) {
    const std::string block = rows.block(i);
    for (ByteReader in(block); !in.done();) {
      Nas nas;
      nas.name = in.text();
      nas.first = in.varint();
      const uint64_t restarts = in.varint();
      if (restarts > kMaxRestarts) in.fail();
      uint64_t last = 0;
      for (uint64_t n = 0; in.good() && n < restarts; n++) {
        last += in.varint();
        const uint64_t rest = in.varint();
        if (last >= kMaxSeconds || rest >> 1 >= kMaxSeconds) in.fail();
        nas.restarts.push_back({{last, last + (rest >> 1)}, (rest & 1) != 0});
      }
      const bool ordered =
          nases_.empty() ? nas.first == 0 : nases_.back().name < nas.name && nases_.back().first <= nas.first;
      if (!in.good() || !ordered || nas.first > header_.sessions) throw DamagedIndex(*file_);
      nases_.push_back(std::move(nas));
    }
  }
  if (nases_.empty() && header_.sessions != 0) throw DamagedIndex(*file_);
}

size_t Index::nas_number(uint64_t ordinal) const {
  const auto after = std::upper_bound(nases_.begin(), nases_.end(), ordinal,
                                      [](uint64_t n, const Nas& nas) { return n < nas.first; });
  return static_cast<size_t>(after - nases_.begin()) - 1;
}

Session Index::session(uint64_t ordinal) const {
  if (ordinal >= header_.sessions) throw DamagedIndex(*file_);
  const Table rows = table(TableName::sessions);
  const uint64_t block = rows.last_below(ordinal_key(ordinal), true);
  if (block != cached_block_) {
    cached_ = rows.block(block);
    cached_first_ = ordinal_of(rows.first_key(block));
    cached_block_ = block;
  }
  Session session;
  ByteReader in(cached_);
  for (uint64_t at = cached_first_; at <= ordinal; at++)
    if (!take_session(in, session)) throw DamagedIndex(*file_);
  if (cached_first_ > ordinal) throw DamagedIndex(*file_);
  session.nas = nas_of(ordinal).name;
  return session;
}

std::vector<Source> Index::sources() const {
  std::vector<Source> sources;
  const Table rows = table(TableName::sources);
  for (uint64_t i = 0; i < rows.blocks(); i++) {
    const std::string block = rows.block(i);
    for (ByteReader in(block); !in.done();) {
      sources.push_back(decode_source(in));
      if (!in.good()) throw DamagedIndex(*file_);
    }
  }
  return sources;
}

Index::Cursor::Cursor(const Index& index, const Key& key)
    : index_(&index), block_(index.table(TableName::keys).last_below(key, false)) {
  do next();
  while (valid_ && entry_.key < key);
}

void Index::Cursor::next() {
  if (left_.done()) {
    const Table rows = index_->table(TableName::keys);
    valid_ = block_ < rows.blocks();
    if (!valid_) return;
    rows_ = rows.block(block_++);
    left_ = ByteReader(rows_);
    entry_.key = {};
  }
  const size_t shared = left_.byte(), rest = left_.byte();
  if (shared + rest > entry_.key.size()) left_.fail();
  const std::string_view bytes = left_.bytes(rest);
  Key key{};
  if (left_.good()) {
    std::copy_n(entry_.key.begin(), shared, key.begin());
    std::copy(bytes.begin(), bytes.end(), key.begin() + static_cast<std::ptrdiff_t>(shared));
  }
  const uint64_t from = left_.varint(), until = left_.varint(), ordinal = left_.varint();
  if (!left_.good() || key < entry_.key || from >= kMaxSeconds || until >= kMaxSeconds ||
      ordinal >= index_->header_.sessions)
    throw DamagedIndex(*index_->file_);
  entry_ = {key, from, until, ordinal};
}

bool Index::Sessions::next(Session& session) {
  if (ordinal_ == index_->header_.sessions) return false;
  if (left_.done()) {
    const Table rows = index_->table(TableName::sessions);
    if (block_ == rows.blocks()) throw DamagedIndex(*index_->file_);
    rows_ = rows.block(block_++);
    left_ = ByteReader(rows_);
  }
  if (!take_session(left_, session)) throw DamagedIndex(*index_->file_);
  session.nas = index_->nas_of(ordinal_++).name;
  return true;
}

}  // namespace culvert::logging::radius
