/// Reading a live segment: record after record, and over what is damaged. The bytes may be given piece by
/// piece, as a file is read, or as it grows.
///
/// The bytes come from a file that a crash may have cut off, or that somebody else may have made up: nothing
/// in them is believed before the batch's checksum, and nothing is read beyond the batch. A record that is
/// wrong in a batch whose checksum is right ends that batch, as damage; a batch that goes back in time is
/// damage as a whole.
///
/// A value; any thread.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "logging/ledger/bytes.h"
#include "logging/ledger/format.h"

namespace culvert::logging::ledger {

/// Any record.
struct Record {
  enum class Kind : uint8_t { allocated, released, typed };
  Kind kind = Kind::typed;
  Type type{};              ///< typed
  uint8_t worker = 0;       ///< whose sequence an event counts in
  uint8_t reason = 0;       ///< of a block record
  uint64_t time = 0;        ///< event clock, ms since the Unix epoch
  uint64_t ordinal = 0;     ///< of an event; of others, that of the next event
  uint64_t block = 0;       ///< of a block record
  uint64_t subscriber = 0;  ///< allocated
  uint64_t peak = 0;        ///< released
  std::string_view body;    ///< typed; in the segment's bytes

  bool event() const { return kind != Kind::typed || is_event(type); }
  bool operator==(const Record&) const = default;
};

/// Bytes of a segment that are no whole batch.
struct Damage {
  uint64_t offset = 0, bytes = 0;
  uint64_t first_ordinal = 0;  ///< of the events it took
  uint64_t events = 0;         ///< how many; not known at the end of a segment: 0
  uint64_t after = 0;          ///< time of the last record before it
  bool at_end = false;         ///< no whole batch follows: what a crash cuts off
  bool operator==(const Damage&) const = default;
};

class LiveReader {
 public:
  /// `bytes` must live longer. Not a live segment of this version: header() is nullopt, fault() says why.
  /// `last`: that is all of it; else these are its first bytes, 65,536 or more where it has them, and more()
  /// gives others.
  explicit LiveReader(std::string_view bytes, bool last = true);

  const std::optional<LiveHeader>& header() const { return header_; }
  const std::string& fault() const { return fault_; }

  /// Goes on to the next record. False: there is none left.
  bool next();
  const Record& record() const { return record_; }
  /// Bytes up to the end of the last whole batch that next() has come to.
  uint64_t whole() const { return whole_; }

  /// Goes on with these bytes, the file's from wanted() on, when next() found none left among those before.
  /// Until the `last` ones have come, what is no whole batch may be one's beginning, and is no damage yet.
  void more(std::string_view bytes, bool last);
  uint64_t wanted() const { return at_; }

  /// Called by next() for each damaged stretch, as it comes to it.
  std::function<void(const Damage&)> on_damage;

 private:
  struct Batch {
    uint64_t offset, events;
    std::string_view payload;
  };
  std::optional<Batch> batch_at(uint64_t offset, bool& cut);
  bool next_batch();
  bool decode();
  void spoil(const ByteReader& rest);

  std::string_view bytes_;
  uint64_t begin_ = 0;  ///< offset of bytes_ in the file; those of at_ and others are the file's too
  bool last_;
  std::optional<LiveHeader> header_;
  uint32_t serial_crc_ = 0;  ///< what the checksums of all batches begin with
  std::string fault_;
  uint64_t at_ = 0, whole_ = 0;
  uint64_t vain_ = 0;  ///< bytes that were checksummed and are no batch
  ByteReader payload_{std::string_view()};
  uint64_t events_ = 0;  ///< before the next event
  uint64_t time_ = 0;
  uint8_t worker_ = 0;
  Record record_;
};

}  // namespace culvert::logging::ledger
