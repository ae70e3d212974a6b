/// An index of sessions, open for reading: a session by its number, and the numbers of those that a key
/// finds. What is read stays on the disk: a question costs some twenty reads of a few bytes and a block per
/// answer.
///
/// The file may be replaced by an import meanwhile: whoever has it open goes on with the old one. Its bytes
/// are not trusted: DamagedIndex (table.h) is thrown where a checksum is wrong, or where rows cannot be.
///
/// Belongs to one thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "logging/radius/file.h"
#include "logging/radius/index_format.h"
#include "logging/radius/session.h"
#include "logging/radius/sources.h"
#include "logging/radius/table.h"

namespace culvert::logging::radius {

class Index {
 public:
  /// Throws std::runtime_error with the path when this is no index of this version, or damaged.
  explicit Index(File file);

  const IndexHeader& header() const { return header_; }
  const std::filesystem::path& path() const { return file_->path(); }
  /// Below header().sessions; any other is damage.
  Session session(uint64_t ordinal) const;
  const Nas& nas_of(uint64_t ordinal) const { return nases_[nas_number(ordinal)]; }
  /// The same as a place in nases().
  size_t nas_number(uint64_t ordinal) const;
  const std::vector<Nas>& nases() const { return nases_; }
  std::vector<Source> sources() const;

  /// Goes through the entries, by key, time and number.
  class Cursor {
   public:
    /// At the first entry whose key is `key` or above it.
    Cursor(const Index& index, const Key& key);
    Cursor(const Cursor&) = delete;
    Cursor& operator=(const Cursor&) = delete;
    /// False: there is none left.
    bool valid() const { return valid_; }
    const Entry& entry() const { return entry_; }
    void next();

   private:
    const Index* index_;
    uint64_t block_ = 0;
    std::string rows_;
    ledger::ByteReader left_{std::string_view()};
    Entry entry_;
    bool valid_ = true;
  };

  /// Goes through all sessions, by number.
  class Sessions {
   public:
    explicit Sessions(const Index& index) : index_(&index) {}
    Sessions(const Sessions&) = delete;
    Sessions& operator=(const Sessions&) = delete;
    /// False: there is none left.
    bool next(Session& session);

   private:
    const Index* index_;
    uint64_t block_ = 0, ordinal_ = 0;
    std::string rows_;
    ledger::ByteReader left_{std::string_view()};
  };

 private:
  Table table(TableName name) const;
  void load_nases();

  std::unique_ptr<File> file_;  ///< where tables find it, wherever this goes
  IndexHeader header_;
  std::vector<Nas> nases_;
  /// The block of sessions read last: answers lie close together.
  mutable uint64_t cached_block_ = UINT64_MAX, cached_first_ = 0;
  mutable std::string cached_;
};

}  // namespace culvert::logging::radius
