#include "logging/ledger/sealed_page_writer.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "logging/ledger/named.h"
#include "logging/ledger/sealed_format.h"
#include "logging/ledger/sealed_page.h"

namespace culvert::logging::ledger {

void PageWriter::address(net::Ipv4Address a, const std::optional<AddressRange>& blocks) {
  addresses_.push_back({a, blocks});
  last_time_ = opened_;
}

void PageWriter::carried(const Record& r) {
  put(r, 0);
  addresses_.back().carried++;
}

void PageWriter::add(const Record& r, uint32_t tie) {
  first_time_ = first_time_ == 0 ? r.time : std::min(first_time_, r.time);
  put(r, tie);
  if (!addresses_.empty()) addresses_.back().follow++;
}

void PageWriter::put(const Record& r, uint32_t tie) {
  if (heads_.empty() && addresses_.empty()) last_time_ = opened_;
  const PageRecord p = compact(r, tie);
  heads_.push_back(p.head);
  workers_.push_back(p.worker);
  times_.push_back(zigzag(static_cast<int64_t>(r.time - last_time_)));
  last_time_ = r.time;
  ties_.push_back(tie);
  const AddressRange* blocks =
      addresses_.empty() || !addresses_.back().blocks ? nullptr : &*addresses_.back().blocks;
  blocks_.push_back(blocks == nullptr || r.kind == Record::Kind::typed ? r.block
                                                                       : r.block - blocks->first_block);
  switch (r.kind) {
    case Record::Kind::allocated:
      subscribers_.push_back(r.subscriber);
      name(r.subscriber);
      break;
    case Record::Kind::released:
      peaks_.push_back(r.peak);
      break;
    case Record::Kind::typed:
      ByteWriter(bodies_).text(r.body);
      if (const auto n = named(r)) name(n->subscriber);
  }
  weight_ += weight(r);
}

PageWriter::Made PageWriter::take(ColumnPacker& packer) {
  if (records() > kMaxPageRecords || addresses_.size() > kMaxPageRecords || bodies_.size() > kMaxPageBodies)
    throw std::runtime_error("has more records of one address and millisecond than a page can have");
  const std::vector<SubscriberNote>& dictionary = *dictionary_;
  Made made;
  std::string& bytes = made.bytes;
  ByteWriter out(bytes);
  out.varint(addresses_.size());
  if (addresses_.empty()) {
    out.varint(records());
  } else {
    uint64_t last = 0;
    const auto column = [&](auto&& number) { packer.column(bytes, addresses_, number); };
    const auto of_blocks = [&](auto&& number) {
      column([&](const Address& a) { return a.blocks ? uint64_t{number(*a.blocks)} : 0; });
    };
    column([&](const Address& a) { return a.address.value() - std::exchange(last, a.address.value()); });
    of_blocks([](const AddressRange& b) { return b.first_block; });
    of_blocks([](const AddressRange& b) { return b.instance; });
    of_blocks([](const AddressRange& b) { return b.first_port; });
    of_blocks([](const AddressRange& b) { return b.set_size; });
    of_blocks([](const AddressRange& b) { return b.sets; });
    column([](const Address& a) { return a.carried; });
    column([](const Address& a) { return a.follow; });
    made.entry.first = addresses_.front().address;
    made.entry.last = addresses_.back().address;
  }

  std::ranges::sort(named_);
  named_.erase(std::ranges::unique(named_).begin(), named_.end());
  out.varint(named_.size());
  const auto column = [&](auto&& number) { packer.column(bytes, named_, number); };
  uint64_t last_number = 0, last_high = 0;
  column([&](uint32_t n) { return n - std::exchange(last_number, n); });
  column([&](uint32_t n) { return dictionary[n].instance; });
  column([&](uint32_t n) { return uint64_t{dictionary[n].length}; });
  column([&](uint32_t n) {
    const uint64_t high = dictionary[n].prefix.high();
    return high - std::exchange(last_high, high);
  });
  column([&](uint32_t n) { return dictionary[n].prefix.low(); });

  packer.column(bytes, heads_);
  packer.column(bytes, workers_);
  packer.column(bytes, blocks_);
  packer.column(bytes, times_);
  packer.column(bytes, ties_);
  packer.column(bytes, subscribers_, [&](uint64_t n) {
    return static_cast<uint64_t>(std::ranges::lower_bound(named_, n) - named_.begin());
  });
  packer.column(bytes, peaks_);
  out.varint(bodies_.size());
  packer.plane(bytes, bodies_);

  made.entry.time = first_time_ == 0 ? opened_ : first_time_;
  made.entry.records = static_cast<uint32_t>(records());
  made.subscribers = std::move(named_);
  *this = PageWriter(opened_, dictionary);
  return made;
}

}  // namespace culvert::logging::ledger
