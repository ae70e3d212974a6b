#include "logging/ledger/sealed_page.h"

#include <algorithm>

#include "logging/ledger/named.h"
#include "logging/ledger/sealed_format.h"

namespace culvert::logging::ledger {
namespace {

using Column = std::vector<uint64_t>;

/// Reads a page, part by part; `in_` fails with the first that cannot be.
class PageDecoder {
 public:
  PageDecoder(std::string_view bytes, uint64_t opened, ColumnUnpacker& unpacker)
      : in_(bytes), opened_(opened), unpacker_(unpacker) {}

  std::optional<Page> decode() {
    addresses();
    subscribers();
    records();
    if (!in_.good() || !in_.done()) return std::nullopt;
    return std::move(page_);
  }

 private:
  void require(bool condition) {
    if (!condition) in_.fail();
  }
  Column column(size_t n) { return unpacker_.column(in_, n); }
  /// A number of at most `most`; else 0, and bad.
  size_t count(uint64_t most) {
    const uint64_t n = in_.varint();
    require(n <= most);
    return in_.good() ? n : 0;
  }

  void addresses() {
    const size_t n = count(kMaxPageRecords);
    if (n == 0) {
      records_ = count(kMaxPageRecords);
      return;
    }
    const Column address = column(n), first_block = column(n), instance = column(n), first_port = column(n),
                 set_size = column(n), sets = column(n), carried = column(n), follow = column(n);
    page_.addresses.resize(n);
    uint64_t last = 0;
    for (size_t i = 0; i < n && in_.good(); i++) {
      Page::Address& a = page_.addresses[i];
      require(address[i] <= UINT32_MAX && last + address[i] <= UINT32_MAX && (i == 0 || address[i] != 0));
      last += address[i];
      a.address = net::Ipv4Address(static_cast<uint32_t>(last));
      if (sets[i] != 0) {
        const AddressRange blocks{.first_block = first_block[i],
                                  .instance = instance[i],
                                  .first_address = a.address,
                                  .addresses = 1,
                                  .first_port = static_cast<uint16_t>(first_port[i]),
                                  .set_size = static_cast<uint16_t>(set_size[i]),
                                  .sets = sets[i]};
        require(first_port[i] == blocks.first_port && set_size[i] == blocks.set_size);
        // The same must hold for it as for a range's record.
        a.blocks = ledger::decode<AddressRange>(encode(blocks));
        require(a.blocks.has_value());
      }
      require(carried[i] <= kMaxPageRecords && follow[i] <= kMaxPageRecords);
      a.begin = records_;
      a.follow = a.begin + carried[i];
      a.end = records_ = a.follow + follow[i];
      require(records_ <= kMaxPageRecords);
    }
  }

  void subscribers() {
    const size_t n = count(kMaxPageRecords);
    const Column number = column(n), instance = column(n), length = column(n), high = column(n),
                 low = column(n);
    page_.subscribers.resize(n);
    uint64_t last_number = 0, last_high = 0;
    for (size_t i = 0; i < n && in_.good(); i++) {
      require(number[i] <= UINT32_MAX && last_number + number[i] <= UINT32_MAX && length[i] <= 128 &&
              (i == 0 || number[i] != 0));
      last_number += number[i];
      last_high += high[i];
      page_.subscribers[i] = {.number = last_number,
                              .instance = instance[i],
                              .prefix = net::Ipv6Address::from_halves(last_high, low[i]),
                              .length = static_cast<uint8_t>(length[i])};
      require(page_.subscribers[i].prefix == page_.subscribers[i].prefix.masked(page_.subscribers[i].length));
    }
  }

  void records() {
    if (!in_.good()) return;
    std::vector<PageRecord>& all = page_.records;
    all.resize(records_);
    unpacker_.column(in_, all, &PageRecord::head);
    unpacker_.column(in_, all, &PageRecord::worker);
    unpacker_.column(in_, all, &PageRecord::block);
    unpacker_.column(in_, all, &PageRecord::time);  // for now: the difference
    unpacker_.column(in_, all, &PageRecord::tie);
    const auto is_allocated = [](const PageRecord& r) { return r.head < kReleased; };
    const auto is_released = [](const PageRecord& r) {
      return r.head >= kReleased && r.head < 2 * kReleased;
    };
    const Column subscriber = column(static_cast<size_t>(std::ranges::count_if(all, is_allocated)));
    const Column peak = column(static_cast<size_t>(std::ranges::count_if(all, is_released)));
    page_.bodies = unpacker_.plane(in_, count(kMaxPageBodies));
    ByteReader bodies(page_.bodies);
    size_t allocations = 0, releases = 0;
    for (size_t i = 0; i < records_ && in_.good(); i++) {
      PageRecord& r = all[i];
      require(r.worker < kMaxSources);
      if (is_allocated(r)) {
        const uint64_t position = subscriber[allocations++];
        require(position < page_.subscribers.size());
        if (in_.good()) r.value = page_.subscribers[position].number;
      } else if (is_released(r)) {
        r.value = peak[releases++];
      } else {
        require(r.head >= kTyped);
        r.value = bodies.text().size();
        r.block = page_.bodies.size() - bodies.left() - r.value;
        require(bodies.good());
      }
    }
    require(bodies.done());
    if (page_.addresses.empty()) place({.end = records_});
    for (const Page::Address& a : page_.addresses) place(a);
  }

  /// Gives the records of an address their times and the numbers of their blocks.
  void place(const Page::Address& a) {
    uint64_t time = opened_;
    for (size_t i = a.begin; i < a.end && in_.good(); i++) {
      PageRecord& r = page_.records[i];
      const uint64_t before = time;
      time += static_cast<uint64_t>(unzigzag(r.time));
      r.time = time;
      require(time < kMaxTime && (i <= a.follow || time >= before));
      if (page_.addresses.empty()) continue;
      if (r.head >= kTyped) {
        require(belongs(a, i));
        continue;
      }
      require(a.blocks && r.block < a.blocks->sets);
      if (in_.good()) r.block += a.blocks->first_block;
    }
  }

  /// Whether this typed record can be an address': it is placed there, and of a checkpoint it is a mapping.
  bool belongs(const Page::Address& a, size_t i) const {
    const Record r = page_.record(i);
    const auto n = named(r);
    return n && n->placed && n->external == a.address && (i < a.follow) == (r.type == Type::mapping_held);
  }

  ByteReader in_;
  uint64_t opened_;
  ColumnUnpacker& unpacker_;
  Page page_;
  size_t records_ = 0;
};

}  // namespace

PageRecord compact(const Record& r, uint32_t tie) {
  PageRecord p{.time = r.time, .tie = tie, .worker = r.event() ? r.worker : uint8_t{0}};
  switch (r.kind) {
    case Record::Kind::allocated:
      p.head = static_cast<uint8_t>(kAllocated | r.reason);
      p.block = r.block;
      p.value = r.subscriber;
      break;
    case Record::Kind::released:
      p.head = static_cast<uint8_t>(kReleased | r.reason);
      p.block = r.block;
      p.value = r.peak;
      break;
    case Record::Kind::typed:
      p.head = static_cast<uint8_t>(kTyped | static_cast<uint8_t>(r.type));
      p.value = r.body.size();
  }
  return p;
}

Record expand(const PageRecord& p, std::string_view bodies) {
  Record r{.worker = p.worker, .time = p.time};
  if (p.head >= kTyped) {
    r.type = static_cast<Type>(p.head - kTyped);
    r.body = bodies.substr(p.block, p.value);
    return r;
  }
  r.kind = p.head < kReleased ? Record::Kind::allocated : Record::Kind::released;
  r.reason = p.head & 0x1f;
  r.block = p.block;
  (r.kind == Record::Kind::allocated ? r.subscriber : r.peak) = p.value;
  return r;
}

AddressRange blocks_on(const AddressRange& range, net::Ipv4Address address) {
  AddressRange one = range;
  one.first_block += (address.value() - range.first_address.value()) * range.sets;
  one.first_address = address;
  one.addresses = 1;
  return one;
}

const SubscriberNote* Page::subscriber(uint64_t number) const {
  const auto found = std::ranges::lower_bound(subscribers, number, {}, &SubscriberNote::number);
  return found != subscribers.end() && found->number == number ? &*found : nullptr;
}

const Page::Address* Page::find(net::Ipv4Address a) const {
  const auto found = std::ranges::lower_bound(addresses, a, {}, &Address::address);
  return found != addresses.end() && found->address == a ? &*found : nullptr;
}

std::optional<Page> decode_page(std::string_view bytes, uint64_t opened, ColumnUnpacker& unpacker) {
  return PageDecoder(bytes, opened, unpacker).decode();
}

}  // namespace culvert::logging::ledger
