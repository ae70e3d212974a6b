#include "logging/radius/sources.h"

#include <algorithm>
#include <cstring>

#include "net/hash.h"

namespace culvert::logging::radius {

uint64_t content_hash(std::string_view bytes) {
  static constexpr net::HashKey kKey;
  uint64_t hash = bytes.size();
  for (; bytes.size() >= sizeof hash; bytes.remove_prefix(sizeof hash)) {
    uint64_t word;
    std::memcpy(&word, bytes.data(), sizeof word);
    hash = net::hash(kKey, hash, word);
  }
  uint64_t word = 0;
  std::memcpy(&word, bytes.data(), bytes.size());
  return net::hash(kKey, hash, word);
}

void encode(const Source& s, ledger::ByteWriter& out) {
  for (const uint64_t n : {s.fingerprint.device, s.fingerprint.inode, s.fingerprint.size,
                           s.fingerprint.modified, s.place.offset, s.place.lines})
    out.varint(n);
  out.fixed(s.head);
  out.fixed(s.tail);
}

Source decode_source(ledger::ByteReader& in) {
  Source s;
  for (uint64_t* n : {&s.fingerprint.device, &s.fingerprint.inode, &s.fingerprint.size,
                      &s.fingerprint.modified, &s.place.offset, &s.place.lines})
    *n = in.varint();
  s.head = in.fixed<uint64_t>();
  s.tail = in.fixed<uint64_t>();
  if (s.place.offset == 0) in.fail();
  return s;
}

SourceBook::SourceBook(std::vector<Source> sources) : sources_(std::move(sources)), used_(sources_.size()) {
  for (size_t i = 0; i < sources_.size(); i++) enter(i);
}

void SourceBook::enter(size_t number) {
  const Source& s = sources_[number];
  by_inode_.emplace(s.fingerprint.inode, number);
  by_head_.emplace(s.head, number);
  sizes_.insert(s.known_bytes());
}

bool SourceBook::unchanged(const Fingerprint& fingerprint) {
  const auto [first, last] = by_inode_.equal_range(fingerprint.inode);
  for (auto i = first; i != last; ++i) {
    if (sources_[i->second].fingerprint != fingerprint) continue;
    used_[i->second] = true;
    return true;
  }
  return false;
}

std::vector<size_t> SourceBook::beginning_like(std::string_view head) const {
  std::vector<size_t> found;
  for (const size_t size : sizes_) {
    if (size > head.size()) break;
    const auto [first, last] = by_head_.equal_range(content_hash(head.substr(0, size)));
    for (auto i = first; i != last; ++i)
      if (sources_[i->second].known_bytes() == size) found.push_back(i->second);
  }
  std::sort(found.begin(), found.end(),
            [this](size_t a, size_t b) { return sources_[a].place.offset > sources_[b].place.offset; });
  return found;
}

void SourceBook::note(const Source& source, std::optional<size_t> known) {
  if (!known || used_[*known]) {
    sources_.push_back(source);
    used_.push_back(true);
    return enter(sources_.size() - 1);
  }
  sources_[*known] = source;
  used_[*known] = true;
  enter(*known);
}

std::vector<Source> SourceBook::remaining(uint64_t before) const {
  std::vector<Source> out;
  for (size_t i = 0; i < sources_.size(); i++)
    if (used_[i] || sources_[i].fingerprint.modified >= before) out.push_back(sources_[i]);
  return out;
}

}  // namespace culvert::logging::radius
