/// All of a sealed segment in the ledger's order, record after record, as LiveReader gives those of a live
/// one: definitions and notes, subscribers, the checkpoint, and every event, so that a State can follow it.
///
/// Within the checkpoint, subscribers come behind the notes, then what blocks and mappings are held, by
/// address; the dictionary's subscribers all come there, also those who were first seen later. What damage
/// took from the live segment is a DamageNote. Pages that are damaged now are left out, as told by
/// SealedSegment::on_damage; from then on ordinals are not known (0).
///
/// Memory: 32 bytes a record, and their bodies: some 140 MB for a segment of kMaxSegmentEvents block records.
/// It is taken by the constructor. What is made up to take more is refused at kMaxSegmentEvents, kMaxNotes,
/// kMaxCarried (540 MB) and 1 GiB of bodies. The segment must live longer. Belongs to one thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "logging/ledger/sealed_segment.h"

namespace culvert::logging::ledger {

class SealedReader {
 public:
  /// Throws std::runtime_error, with the path, where there is more than can be; std::system_error when the
  /// disk fails.
  explicit SealedReader(SealedSegment& segment);

  /// Goes on to the next record. False: there is none left.
  bool next();
  /// Its body is good until the next call.
  const Record& record() const { return record_; }
  /// How many events of the same time came before this one.
  uint32_t tie() const { return tie_; }

 private:
  void collect(const Page& page, size_t begin, size_t end, std::vector<PageRecord>& to);
  bool next_subscriber();
  bool next_carried();
  void take(const PageRecord& p);

  SealedSegment& segment_;
  std::vector<PageRecord> notes_, carried_, events_;
  std::string bodies_;
  size_t note_ = 0, event_ = 0, next_carried_ = 0;  ///< next ones
  bool introduced_ = false;                         ///< subscribers and carried are done
  std::optional<DictionaryChunk> chunk_;
  size_t next_chunk_ = 0, next_in_chunk_ = 0;
  uint64_t ordinal_;
  bool ordinals_known_ = true;
  Record record_;
  std::string body_;
  uint32_t tie_ = 0;
};

}  // namespace culvert::logging::ledger
