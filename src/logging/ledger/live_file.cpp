#include "logging/ledger/live_file.h"

#include <fcntl.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>
#include <system_error>
#include <utility>

#include "logging/ledger/new_file.h"

namespace culvert::logging::ledger {
namespace {

[[noreturn]] void fail(const std::filesystem::path& path, const char* what) {
  throw std::system_error(errno, std::generic_category(), fmt::format("{}: {}", path.string(), what));
}

/// A descriptor that is closed when what follows fails.
struct Descriptor {
  int fd;
  explicit Descriptor(int opened) : fd(opened) {}
  ~Descriptor() {
    if (fd >= 0) close(fd);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int keep() { return std::exchange(fd, -1); }
};

/// How many bytes were written; errno tells when not all were.
size_t write_at(int fd, std::string_view bytes, uint64_t offset) {
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t n = pwrite(fd, bytes.data() + done, bytes.size() - done, static_cast<off_t>(offset + done));
    if (n > 0)
      done += static_cast<size_t>(n);
    else if (n == 0 || errno != EINTR) {
      if (n == 0) errno = EIO;
      break;
    }
  }
  return done;
}

/// These bytes of a file. False: errno tells why they are not all there.
bool read_at(int fd, std::string& bytes, uint64_t offset) {
  for (size_t done = 0; done < bytes.size();) {
    const ssize_t n = pread(fd, bytes.data() + done, bytes.size() - done, static_cast<off_t>(offset + done));
    if (n > 0)
      done += static_cast<size_t>(n);
    else if (n == 0 || errno != EINTR) {
      if (n == 0) errno = EIO;
      return false;
    }
  }
  return true;
}

void make_file(const std::filesystem::path& path, std::string_view bytes) {
  NewFile file(path);
  file.append(bytes);
  file.finish();
}

/// Where bytes that are taken off a segment go: a name that no file has.
std::filesystem::path cut_path(std::filesystem::path segment) {
  segment.replace_extension(".cut");
  for (unsigned n = 2; std::filesystem::exists(segment); n++)
    segment.replace_extension(fmt::format(".cut{}", n));
  return segment;
}

}  // namespace

std::string file_name(uint64_t serial, uint64_t opened, std::string_view ending) {
  return fmt::format("{:08}-{:%Y%m%dT%H%M%SZ}{}", serial, fmt::gmtime(static_cast<time_t>(opened / 1000)),
                     ending);
}

LiveFile::LiveFile(const std::filesystem::path& directory, const LiveHeader& header,
                   std::string_view beginning)
    : path_(directory / file_name(header.serial, header.opened, ".live")), size_(beginning.size()) {
  make_file(path_, beginning);
  fd_ = ::open(path_.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW);
  if (fd_ >= 0) return;
  const int error = errno;
  unlink(path_.c_str());
  errno = error;
  fail(path_, "cannot be opened");
}

LiveFile::LiveFile(const std::filesystem::path& path, uint64_t whole) : path_(path), size_(whole) {
  Descriptor d(::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
  struct stat st{};
  if (d.fd < 0 || fstat(d.fd, &st) != 0) fail(path, "cannot be opened");
  const auto size = static_cast<uint64_t>(st.st_size);
  if (size < whole) {
    errno = EIO;
    fail(path, "has become shorter");
  }
  if (size > whole) {
    std::string rest(size - whole, '\0');
    if (!read_at(d.fd, rest, whole)) fail(path, "cannot be read");
    make_file(cut_path(path), rest);
    if (ftruncate(d.fd, static_cast<off_t>(whole)) != 0 || fdatasync(d.fd) != 0) fail(path, "cannot be cut");
  }
  fd_ = d.keep();
}

LiveFile::LiveFile(LiveFile&& other) noexcept
    : path_(std::move(other.path_)),
      fd_(std::exchange(other.fd_, -1)),
      size_(other.size_),
      error_(other.error_),
      broken_(other.broken_) {}

LiveFile::~LiveFile() {
  if (fd_ >= 0) close(fd_);
}

bool LiveFile::append(std::string_view batch) {
  if (broken_) return false;
  const size_t written = write_at(fd_, batch, size_);
  if (written == batch.size()) {
    size_ += written;
    return true;
  }
  error_ = errno;
  // A reader must not find half a batch before the next one.
  if (written != 0 && ftruncate(fd_, static_cast<off_t>(size_)) != 0) broken_ = true;
  return false;
}

void LiveFile::forget_behind(uint64_t whole) {
  if (ftruncate(fd_, static_cast<off_t>(whole)) == 0) size_ = whole;
}

bool LiveFile::sync() {
  if (broken_) return false;
  if (fdatasync(fd_) == 0) return true;
  error_ = errno;
  broken_ = true;
  return false;
}

}  // namespace culvert::logging::ledger
