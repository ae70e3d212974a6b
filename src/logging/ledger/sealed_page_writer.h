/// Makes the pages of a sealed segment (sealed_page.h): addresses and records are put in, in order, and bytes
/// come out.
///
/// Belongs to one thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "logging/ledger/column.h"
#include "logging/ledger/live_reader.h"
#include "logging/ledger/notes.h"
#include "logging/ledger/sealed_directory.h"

namespace culvert::logging::ledger {

class PageWriter {
 public:
  /// `opened`: the segment's. `dictionary`: its subscribers, by number from 0 on; all that records name are
  /// in it.
  PageWriter(uint64_t opened, const std::vector<SubscriberNote>& dictionary)
      : opened_(opened), dictionary_(&dictionary) {}

  /// What follows belongs to this address; the next must be higher. Without a call the page is one of records
  /// that belong to no address. `blocks`: as in Page::Address.
  void address(net::Ipv4Address a, const std::optional<AddressRange>& blocks);
  /// Carried ones of an address come before the others.
  void carried(const Record& r);
  void add(const Record& r, uint32_t tie);

  /// How much a record adds to a page: 1, and more with a large body.
  static uint64_t weight(const Record& r) { return 1 + r.body.size() / 128; }
  uint64_t weight() const { return weight_; }
  size_t records() const { return heads_.size(); }
  bool empty() const { return heads_.empty() && addresses_.empty(); }

  struct Made {
    std::string bytes;
    SealedDirectory::Page entry;        ///< its place in the file is the caller's to fill in
    std::vector<uint32_t> subscribers;  ///< that it names, ascending
  };
  /// The page, and a new one begins. Throws std::runtime_error where it has more than the format allows.
  Made take(ColumnPacker& packer);

 private:
  struct Address {
    net::Ipv4Address address;
    std::optional<AddressRange> blocks;
    uint64_t carried = 0, follow = 0;
  };
  void put(const Record& r, uint32_t tie);
  void name(uint64_t subscriber) { named_.push_back(static_cast<uint32_t>(subscriber)); }

  uint64_t opened_;
  const std::vector<SubscriberNote>* dictionary_;
  uint64_t weight_ = 0;
  uint64_t last_time_ = 0;   ///< of the address
  uint64_t first_time_ = 0;  ///< earliest of those that are not carried
  std::vector<Address> addresses_;
  std::vector<uint64_t> heads_, workers_, blocks_, times_, ties_, subscribers_, peaks_;
  std::vector<uint32_t> named_;
  std::string bodies_;
};

}  // namespace culvert::logging::ledger
