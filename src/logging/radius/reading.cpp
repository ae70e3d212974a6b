#include "logging/radius/reading.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "logging/radius/index_format.h"
#include "logging/radius/input.h"

namespace culvert::logging::radius {
namespace {

/// The last bytes of a stream: enough to know what stood before its last whole record's end, unless what
/// follows that is longer than any record.
class Tail {
 public:
  void feed(std::string_view bytes) {
    constexpr size_t kKept = kUnfinished + kKnownBytes;
    if (bytes.size() > kKept) bytes.remove_prefix(bytes.size() - kKept);
    if (bytes_.size() + bytes.size() > 4 * kKept) bytes_.erase(0, bytes_.size() - kKept);
    bytes_.append(bytes);
  }
  /// The `n` bytes, kKnownBytes at most, that end `back` bytes before the end; nullopt: they are not kept.
  std::optional<std::string_view> before(uint64_t back, size_t n) const {
    if (back > kUnfinished || bytes_.size() < back + n) return std::nullopt;
    return std::string_view(bytes_).substr(bytes_.size() - static_cast<size_t>(back) - n, n);
  }

 private:
  static constexpr size_t kUnfinished = 64u << 10;
  std::string bytes_;
};

/// A file, opened where its news begin.
struct Opened {
  std::unique_ptr<Input> in;
  std::string head;  ///< its first bytes
  std::optional<size_t> known;
  Place place;
  std::string before;  ///< bytes before the place
};

Opened open_news(const std::filesystem::path& path, const SourceBook& book) {
  Opened file;
  file.in = std::make_unique<Input>(path);
  file.head = file.in->take(kKnownBytes);
  for (const size_t known : book.beginning_like(file.head)) {
    const Source& source = book.at(known);
    const size_t n = source.known_bytes();
    auto in = std::make_unique<Input>(path);
    if (!in->skip(source.place.offset - n)) continue;
    std::string before = in->take(n);
    if (before.size() != n || content_hash(before) != source.tail) continue;
    file.in = std::move(in);
    file.known = known;
    file.place = source.place;
    file.before = std::move(before);
    return file;
  }
  return file;
}

}  // namespace

FileReading read_new(const std::filesystem::path& path, SourceBook& book,
                     const std::function<void(const Record&)>& on_record,
                     const std::function<void(uint64_t done)>& on_bytes) {
  FileReading result;
  if (book.unchanged(fingerprint_of(path))) {
    result.unchanged = true;
    return result;
  }
  const Opened file = open_news(path, book);
  if (file.head.starts_with(kIndexMagic)) {
    result.unchanged = true;
    return result;
  }
  DetailReader reader(on_record, file.place);
  Tail tail;
  tail.feed(file.before);
  uint64_t end = file.place.offset;
  const auto feed = [&](std::string_view piece) {
    reader.feed(piece);
    tail.feed(piece);
    end += piece.size();
  };
  if (!file.known) feed(file.head);
  for (std::string_view piece = file.in->read(); !piece.empty(); piece = file.in->read()) {
    feed(piece);
    on_bytes(file.in->position());
  }
  result.tally = reader.tally();

  Source source{file.in->fingerprint(), reader.whole(), 0, 0};
  result.unfinished = end - source.place.offset;
  const size_t n = source.known_bytes();
  const auto before = tail.before(result.unfinished, n);
  if (n == 0 || file.head.size() < n || !before) return result;
  source.head = content_hash(std::string_view(file.head).substr(0, n));
  source.tail = content_hash(*before);
  book.note(source, file.known);
  return result;
}

}  // namespace culvert::logging::radius
