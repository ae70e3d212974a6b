#include "logging/ledger/archive_reader.h"

#include <fmt/format.h>

#include <stdexcept>
#include <system_error>
#include <utility>

namespace culvert::logging::ledger {
namespace {

/// Whether a segment can have entries of these times of the system.
bool may_have(const Segment& s, Interval when) {
  if (!s.sealed) return true;
  const auto system = [](uint64_t time, int64_t ahead) {
    return static_cast<uint64_t>(std::max<int64_t>(0, static_cast<int64_t>(time) + ahead));
  };
  return system(s.sealed->opened, s.sealed->clock_ahead_min) <= when.to &&
         system(s.sealed->ended, s.sealed->clock_ahead_max) >= when.from;
}

}  // namespace

ArchiveReader::ArchiveReader(std::filesystem::path directory, const std::atomic<uint64_t>* synced)
    : directory_(std::move(directory)), synced_(synced) {}

void ArchiveReader::trouble(const std::string& what) {
  // Whoever waits for more looks at the same again and again.
  if (on_trouble && what != last_trouble_) on_trouble(what);
  last_trouble_ = what;
}

void ArchiveReader::close() {
  if (reader_) passed_ += reader_->at();
  reader_.reset();
  teller_.reset();
  successor_.reset();
  pending_ = ended_ = false;
}

void ArchiveReader::begin_behind(uint64_t serial, uint64_t from) {
  close();
  serial_ = serial;
  from_ = from;
  passed_ = 0;
}

void ArchiveReader::seek(uint64_t ordinal) {
  const Archive archive(directory_);
  begin_behind(0, ordinal);
  total_ = 0;
  for (const Segment& s : archive.segments()) {
    // What was noted right before an event may stand at the end of the segment before its own.
    if (s.first_ordinal < ordinal) {
      serial_ = s.file.serial - 1;
      passed_ = total_;
    }
    total_ += s.bytes;
  }
}

void ArchiveReader::seek_last() {
  const std::vector<SegmentFile> files = list_segments(directory_);
  begin_behind(files.empty() ? 0 : files.back().serial - 1, 0);
}

void ArchiveReader::find_successor() {
  if (!successor_)
    successor_ = segment_after(directory_, file_.serial, [this](const std::string& what) { trouble(what); });
}

bool ArchiveReader::open_next() {
  for (;;) {
    const std::optional<Segment> s =
        segment_after(directory_, serial_, [this](const std::string& what) { trouble(what); });
    if (!s) return false;
    serial_ = s->file.serial;
    if (!may_have(*s, when_)) {
      passed_ += s->bytes;
      continue;
    }
    file_ = s->file;
    try {
      reader_ = std::make_unique<SegmentReader>(file_, [this](const Loss& loss) {
        trouble(fmt::format("{}: {} cannot be read: they are damaged", file_.path.string(), loss.what));
      });
    } catch (const std::system_error& e) {
      // Retention took it, or the disk fails.
      if (e.code() != std::errc::no_such_file_or_directory) throw;
      trouble(e.what());
      continue;
    } catch (const std::runtime_error& e) {
      trouble(e.what());
      continue;
    }
    teller_.emplace(reader_->opened());
    if (synced_ != nullptr) synced_before_ = *synced_;
    find_successor();
    return true;
  }
}

bool ArchiveReader::next(Entry& e) {
  for (;;) {
    if (!reader_ && !open_next()) return false;
    if (!pending_ && !reader_->next()) {
      if (reader_->sealed() || ended_) {
        close();
        continue;
      }
      find_successor();
      if (!successor_) return false;
      ended_ = true;
      reader_->finish();  // what was written meanwhile is read yet
      continue;
    }
    const Record& r = reader_->record();
    pending_ = true;
    if (successor_ && r.event() && r.ordinal >= successor_->first_ordinal) {
      close();  // the rest does not count
      continue;
    }
    if (synced_ != nullptr && r.event() && r.ordinal >= synced_before_) {
      // It may have been written again to a successor by then.
      if (synced_before_ == *synced_) return false;
      synced_before_ = *synced_;
      find_successor();
      continue;
    }
    pending_ = false;
    const bool told_before = r.ordinal != 0 ? r.ordinal < from_ : reader_->first_ordinal() < from_;
    if (told_before) {
      teller_->skip(r);
      continue;
    }
    std::optional<Entry> entry = teller_->tell(r);
    if (!entry) continue;
    if (entry->system_time() < when_.from || entry->system_time() > when_.to) continue;
    e = std::move(*entry);
    return true;
  }
}

uint64_t next_ordinal(const std::filesystem::path& directory) {
  const std::vector<SegmentFile> files = list_segments(directory);
  if (files.empty()) return 1;
  OpenSegment last = open_segment(files.back());
  if (const auto* sealed = std::get_if<std::unique_ptr<SealedSegment>>(&last))
    return (*sealed)->header().first_ordinal + (*sealed)->header().events;
  LiveStream& live = *std::get<std::unique_ptr<LiveStream>>(last);
  uint64_t next = live.header().first_ordinal;
  while (live.next()) next = live.record().ordinal + (live.record().event() ? 1 : 0);
  return next;
}

}  // namespace culvert::logging::ledger
