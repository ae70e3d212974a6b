#include "logging/ledger/segment_reader.h"

#include <fmt/format.h>

#include <utility>

namespace culvert::logging::ledger {

SegmentReader::SegmentReader(const SegmentFile& file, std::function<void(const Loss&)> on_loss)
    : on_loss_(std::move(on_loss)) {
  OpenSegment open = open_segment(file);
  if (auto* live = std::get_if<std::unique_ptr<LiveStream>>(&open)) {
    live_ = std::move(*live);
    opened_ = live_->header().opened;
    first_ordinal_ = live_->header().first_ordinal;
    live_->on_damage([this](const Damage& d) {
      if (on_loss_) on_loss_({d.after, d.events, fmt::format("{} bytes from {} on", d.bytes, d.offset)});
    });
    return;
  }
  sealed_ = std::move(std::get<std::unique_ptr<SealedSegment>>(open));
  opened_ = sealed_->header().opened;
  first_ordinal_ = sealed_->header().first_ordinal;
  sealed_->on_damage = [this](const SealedDamage& d) {
    if (on_loss_) on_loss_({opened_, 0, fmt::format("{}, {} bytes from {} on", d.what, d.bytes, d.offset)});
  };
  in_order_.emplace(*sealed_);
}

bool SegmentReader::next() {
  if (live_) return live_->next();
  if (!in_order_->next()) return false;
  const Record& r = in_order_->record();
  if (r.kind == Record::Kind::typed && r.type == DamageNote::kType && on_loss_)
    if (const auto n = decode<DamageNote>(r.body))
      on_loss_({r.time, n->events, fmt::format("{} bytes of the live segment", n->bytes)});
  return true;
}

void SegmentReader::finish() {
  if (live_) live_->finish();
}

}  // namespace culvert::logging::ledger
