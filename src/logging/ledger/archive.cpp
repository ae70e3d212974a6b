#include "logging/ledger/archive.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <stdexcept>
#include <system_error>

namespace culvert::logging::ledger {
namespace {

namespace fs = std::filesystem;

/// Of a file's beginning; a header has fewer.
constexpr size_t kHeaderBytes = 4096;

/// A segment's file, open, until its header is read.
class HeaderFile {
 public:
  explicit HeaderFile(SegmentFile file) : file_(std::move(file)) {
    open();
    if (fd_ < 0 && errno == ENOENT && !file_.sealed) {
      file_.path.replace_extension(".seg");  // it was sealed meanwhile
      file_.sealed = true;
      open();
    }
    error_ = errno;
    if (fd_ >= 0) posix_fadvise(fd_, 0, kHeaderBytes, POSIX_FADV_WILLNEED);
  }
  ~HeaderFile() {
    if (fd_ >= 0) close(fd_);
  }
  HeaderFile(HeaderFile&& other) noexcept
      : file_(std::move(other.file_)), fd_(std::exchange(other.fd_, -1)), error_(other.error_) {}
  HeaderFile& operator=(HeaderFile&&) = delete;

  const SegmentFile& file() const { return file_; }
  /// It was removed.
  bool gone() const { return fd_ < 0 && error_ == ENOENT; }
  void require_open() const {
    if (fd_ < 0) throw std::system_error(error_, std::generic_category(), file_.path.string());
  }

  /// nullopt: `fault` says why, with the path.
  std::optional<Segment> read(std::string& fault) const {
    std::array<char, kHeaderBytes> bytes;
    struct stat st{};
    const ssize_t n = fd_ < 0 ? -1 : pread(fd_, bytes.data(), bytes.size(), 0);
    if (n < 0 || fstat(fd_, &st) != 0) {
      const int error = fd_ < 0 ? error_ : errno;
      fault = fmt::format("{}: {}", file_.path.string(), std::generic_category().message(error));
      return std::nullopt;
    }
    const std::string_view head(bytes.data(), static_cast<size_t>(n));
    Segment s{.file = file_, .bytes = static_cast<uint64_t>(st.st_size)};
    uint64_t serial = 0;
    if (file_.sealed) {
      s.sealed = decode_header(head, fault);
      if (s.sealed) {
        serial = s.sealed->serial;
        s.opened = s.sealed->opened;
        s.first_ordinal = s.sealed->first_ordinal;
      }
    } else {
      const LiveReader reader(head, false);
      fault = reader.fault();
      if (reader.header()) {
        serial = reader.header()->serial;
        s.opened = reader.header()->opened;
        s.first_ordinal = reader.header()->first_ordinal;
      }
    }
    if (fault.empty() && serial != file_.serial) fault = fmt::format("is segment {}", serial);
    if (fault.empty()) return s;
    fault = fmt::format("{} {}", file_.path.string(), fault);
    return std::nullopt;
  }

 private:
  void open() { fd_ = ::open(file_.path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW); }

  SegmentFile file_;
  int fd_ = -1;
  int error_ = 0;
};

std::string missing(uint64_t first, uint64_t last) {
  return first == last ? fmt::format("segment {} is missing", first)
                       : fmt::format("segments {} to {} are missing", first, last);
}

}  // namespace

OpenSegment open_segment(const SegmentFile& file) {
  if (!file.sealed) {
    try {
      return std::make_unique<LiveStream>(file.path);
    } catch (const std::system_error& e) {
      if (e.code() != std::errc::no_such_file_or_directory) throw;
    }
  }
  return std::make_unique<SealedSegment>(fs::path(file.path).replace_extension(".seg"));
}

Archive::Archive(const fs::path& directory) : directory_(directory) {
  // So many files are open at once.
  constexpr size_t kAtOnce = 64;
  std::optional<uint64_t> last;  // serial
  const std::vector<SegmentFile> files = list_segments(directory);
  for (size_t i = 0; i < files.size(); i += kAtOnce) {
    std::vector<HeaderFile> some;
    for (size_t k = i; k < std::min(i + kAtOnce, files.size()); k++) some.emplace_back(files[k]);
    for (const HeaderFile& f : some) {
      if (f.gone()) continue;
      const uint64_t serial = f.file().serial;
      if (last && serial != *last + 1) holes_.push_back({segments_.size(), missing(*last + 1, serial - 1)});
      last = serial;
      std::string fault;
      std::optional<Segment> s = f.read(fault);
      if (s && !segments_.empty() &&
          (s->opened < segments_.back().opened || s->first_ordinal < segments_.back().first_ordinal))
        fault = fmt::format("{} begins before the segment before it", f.file().path.string());
      if (fault.empty())
        segments_.push_back(std::move(*s));
      else
        holes_.push_back({segments_.size(), fault});
    }
  }
}

bool Archive::hole_before(size_t segment) const {
  return std::ranges::find(holes_, segment, &Hole::before) != holes_.end();
}

uint64_t Archive::end_ordinal(size_t segment) const {
  return segment + 1 < segments_.size() ? segments_[segment + 1].first_ordinal : UINT64_MAX;
}

void Archive::give_up(size_t segment, const std::string& fault) {
  segments_.erase(segments_.begin() + static_cast<ptrdiff_t>(segment));
  for (Hole& h : holes_)
    if (h.before > segment) h.before--;
  const auto at = std::ranges::find_if(holes_, [&](const Hole& h) { return h.before > segment; });
  holes_.insert(at, {segment, fault});
}

std::optional<Segment> segment_after(const fs::path& directory, uint64_t serial,
                                     const std::function<void(const std::string&)>& tell) {
  for (const SegmentFile& file : list_segments(directory)) {
    if (file.serial <= serial) continue;
    const HeaderFile header(file);
    if (header.gone()) continue;
    header.require_open();
    if (serial != 0 && file.serial != serial + 1) tell(missing(serial + 1, file.serial - 1));
    serial = file.serial;
    std::string fault;
    if (std::optional<Segment> s = header.read(fault)) return s;
    tell(fault);
  }
  return std::nullopt;
}

}  // namespace culvert::logging::ledger
