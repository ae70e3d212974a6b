#include "logging/ledger/live_reader.h"

#include "logging/ledger/crc32c.h"

namespace culvert::logging::ledger {
namespace {

/// Bytes of a segment that may be checksummed in vain, so that one made to look like the beginning of a batch
/// everywhere takes no hours. Behind that, the rest of it counts as damaged. A segment of which every byte
/// was damaged by chance takes less: few of the marks in it have a possible length and number of events.
constexpr uint64_t kVainBytes = 256u << 20;

}  // namespace

LiveReader::LiveReader(std::string_view bytes, bool last) : bytes_(bytes), last_(last) {
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
  std::string serial;
  ByteWriter(serial).fixed(header.serial);
  serial_crc_ = crc32c(serial);
  time_ = header.opened;
  at_ = whole_ = size;
}

void LiveReader::more(std::string_view bytes, bool last) {
  bytes_ = bytes;
  begin_ = at_;
  last_ = last;
}

/// `cut`: what is there may be a batch whose end has not come yet.
std::optional<LiveReader::Batch> LiveReader::batch_at(uint64_t offset, bool& cut) {
  const std::string_view rest = bytes_.substr(offset - begin_);
  cut = !last_ && rest.size() < kBatchHeaderBytes;
  if (!rest.starts_with(kBatchMark)) return std::nullopt;
  ByteReader in(rest.substr(kBatchMark.size()));
  const uint32_t size = in.fixed24(), events = in.fixed24();
  const auto checksum = in.fixed<uint32_t>();
  if (!in.good() || size == 0 || size > kMaxBatchBytes) return std::nullopt;
  if (events < events_ || events > kMaxSegmentEvents) return std::nullopt;  // nobody wrote that here
  const std::string_view payload = in.bytes(size);
  cut = !last_ && !in.good();
  if (!in.good()) return std::nullopt;
  // The checksum of batch.h.
  if (crc32c(payload, crc32c(rest.substr(kBatchMark.size(), 6), serial_crc_)) == checksum)
    return Batch{offset, events, payload};
  vain_ += size;
  return std::nullopt;
}

/// Finds the next whole batch, and tells of what lies before it.
bool LiveReader::next_batch() {
  const uint64_t from = at_, given = begin_ + bytes_.size(), vain = vain_;
  if (from >= given) return false;
  bool cut = false;
  std::optional<Batch> batch = batch_at(from, cut);
  for (uint64_t to = from; !batch && !cut && vain_ < kVainBytes;) {
    const size_t mark = bytes_.find(kBatchMark, to + 1 - begin_);
    if (mark == std::string_view::npos) break;
    to = begin_ + mark;
    batch = batch_at(to, cut);
  }
  if (!batch && !last_) {
    vain_ = vain;  // it is looked at again
    return false;
  }
  const uint64_t end = batch ? batch->offset : given;
  const uint64_t lost = batch ? batch->events - events_ : 0;
  if ((end != from || lost != 0) && on_damage)
    on_damage({from, end - from, header_->first_ordinal + events_, lost, time_, !batch});
  at_ = end;
  if (!batch) return false;
  at_ = whole_ = end + kBatchHeaderBytes + batch->payload.size();
  events_ = batch->events;
  payload_ = ByteReader(batch->payload);
  worker_ = 0;
  const ByteReader before = payload_;
  const uint64_t base = payload_.varint();
  // Time never goes back.
  if (!payload_.good() || base >= kMaxTime - header_->opened || header_->opened + base < time_)
    spoil(before);
  else
    time_ = header_->opened + base;
  return true;
}

/// What this reader has of the batch cannot be understood, though its checksum is right. How many events that
/// takes, the next batch tells.
void LiveReader::spoil(const ByteReader& rest) {
  if (on_damage)
    on_damage({whole_ - rest.left(), rest.left(), header_->first_ordinal + events_, 0, time_, false});
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
  const ByteReader before = payload_;
  ByteReader in = payload_;  // in registers
  const uint8_t head = in.byte();
  if (head >= kSource && head < kTyped) {
    worker_ = head & 0x3f;
    payload_ = in;
    return false;
  }
  Record r;
  r.worker = worker_;
  r.reason = head & 0x1f;
  const uint64_t delta = in.varint();
  if (head >= kTyped) {
    r.type = static_cast<Type>(head & 0x3f);
    r.reason = 0;
    r.body = in.text();
  } else {
    r.kind = head < kReleased ? Record::Kind::allocated : Record::Kind::released;
    r.block = in.varint();
    (r.kind == Record::Kind::allocated ? r.subscriber : r.peak) = in.varint();
  }
  payload_ = in;
  const bool meaningless = head >= 2 * kReleased && head < kSource;
  if (!in.good() || meaningless || delta >= kMaxTime - time_ || (r.event() && events_ >= kMaxSegmentEvents)) {
    spoil(before);
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
