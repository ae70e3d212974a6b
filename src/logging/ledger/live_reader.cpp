#include "logging/ledger/live_reader.h"

#include <algorithm>

#include "logging/ledger/crc32c.h"

namespace culvert::logging::ledger {
namespace {

/// Bytes that may be checked in vain for each stretch of damage, so that a file made to look like the
/// beginning of a batch everywhere takes no hours. Behind that, the rest of the segment counts as damaged.
constexpr uint64_t kVainBytes = 256u << 20;

}  // namespace

LiveReader::LiveReader(std::string_view bytes) : bytes_(bytes) {
  if (!bytes.starts_with(kLiveMagic)) {
    fault_ = "is not a live segment of a ledger";
    return;
  }
  ByteReader in(bytes.substr(kLiveMagic.size()));
  const auto version = in.fixed<uint16_t>();
  const auto size = in.fixed<uint16_t>();
  const auto crc = in.fixed<uint32_t>();
  LiveHeader header;
  header.serial = in.fixed<uint64_t>();
  header.opened = in.fixed<uint64_t>();
  header.first_ordinal = in.fixed<uint64_t>();
  if (in.good() && version != kVersion) {
    fault_ = "has version " + std::to_string(version) + ", this program reads " + std::to_string(kVersion);
    return;
  }
  constexpr size_t kChecked = 16;
  if (!in.good() || size < kLiveHeaderBytes || size > bytes.size() ||
      crc32c(bytes.substr(kChecked, size - kChecked)) != crc || header.opened >= kMaxTime ||
      header.first_ordinal >= kMaxTime) {
    fault_ = "has a damaged header";
    return;
  }
  header_ = header;
  time_ = header.opened;
  at_ = whole_ = size;
}

std::optional<LiveReader::Batch> LiveReader::batch_at(uint64_t offset) const {
  const std::string_view rest = bytes_.substr(offset);
  if (rest.size() < kBatchHeaderBytes || !rest.starts_with(kBatchMark)) return std::nullopt;
  const auto fixed24 = [&](size_t at) {
    ByteReader in(rest.substr(at));
    const uint32_t low = in.fixed<uint16_t>();
    return low | uint32_t{in.byte()} << 16;
  };
  const uint32_t size = fixed24(2), events = fixed24(5);
  if (size == 0 || size > kMaxBatchBytes || size > rest.size() - kBatchHeaderBytes) return std::nullopt;
  std::string checked;
  ByteWriter(checked).fixed(header_->serial);
  checked.append(rest.substr(2, 6));
  const std::string_view payload = rest.substr(kBatchHeaderBytes, size);
  if (crc32c(payload, crc32c(checked)) != ByteReader(rest.substr(8)).fixed<uint32_t>()) return std::nullopt;
  if (events < events_) return std::nullopt;  // nobody wrote that here
  return Batch{offset, events, payload};
}

/// Finds the next whole batch, and tells of what lies before it.
bool LiveReader::next_batch() {
  const uint64_t from = at_;
  if (from >= bytes_.size()) return false;
  std::optional<Batch> batch = batch_at(from);
  uint64_t vain = 0;
  for (uint64_t to = from; !batch && vain < kVainBytes;) {
    to = bytes_.find(kBatchMark, to + 1);
    if (to == std::string_view::npos) break;
    batch = batch_at(to);
    if (!batch) vain += std::min<uint64_t>(bytes_.size() - to, kMaxBatchBytes);
  }
  const uint64_t end = batch ? batch->offset : bytes_.size();
  const uint64_t lost = batch ? batch->events - events_ : 0;
  if ((end != from || lost != 0) && on_damage)
    on_damage({from, end - from, header_->first_ordinal + events_, lost, time_, !batch});
  at_ = end;
  if (!batch) return false;
  at_ = whole_ = end + kBatchHeaderBytes + batch->payload.size();
  events_ = batch->events;
  batch_offset_ = end + kBatchHeaderBytes;
  payload_ = ByteReader(batch->payload);
  worker_ = 0;
  const uint64_t base = payload_.varint();
  if (base >= kMaxTime || !payload_.good()) {
    spoil();
    return true;
  }
  time_ = std::max(time_, header_->opened + base);
  return true;
}

/// What is left of this batch cannot be understood, though its checksum is right. How many events that takes,
/// the next batch tells.
void LiveReader::spoil() {
  if (on_damage)
    on_damage({whole_ - payload_.left(), payload_.left(), header_->first_ordinal + events_, 0, time_, false});
  payload_ = ByteReader(std::string_view());
}

bool LiveReader::next() {
  if (!header_) return false;
  for (;;) {
    while (payload_.done())
      if (!next_batch()) return false;
    if (decode()) return true;
  }
}

/// Reads one record; false where there was none, but a change of the worker or damage.
bool LiveReader::decode() {
  ByteReader before = payload_;
  const uint8_t head = payload_.byte();
  if (head >= kSource && head < kTyped) {
    worker_ = head & 0x3f;
    return false;
  }
  Record r;
  r.worker = worker_;
  r.reason = head & 0x1f;
  const uint64_t delta = payload_.varint();
  if (head >= kTyped) {
    r.type = static_cast<Type>(head & 0x3f);
    r.reason = 0;
    r.body = payload_.text();
  } else {
    r.kind = head < kReleased ? Record::Kind::allocated : Record::Kind::released;
    r.block = payload_.varint();
    (r.kind == Record::Kind::allocated ? r.subscriber : r.peak) = payload_.varint();
  }
  const bool meaningless = head >= 2 * kReleased && head < kSource;
  if (!payload_.good() || meaningless || delta >= kMaxTime || time_ + delta >= kMaxTime ||
      (r.event() && events_ >= kMaxSegmentEvents)) {
    payload_ = before;
    spoil();
    return false;
  }
  time_ += delta;
  r.time = time_;
  r.ordinal = header_->first_ordinal + events_;
  if (r.event()) events_++;
  record_ = r;
  return true;
}

}  // namespace culvert::logging::ledger
