#include "logging/radius/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <system_error>
#include <utility>

namespace culvert::logging::radius {
namespace {

[[noreturn]] void fail_at(const std::filesystem::path& path, const char* what) {
  throw std::system_error(errno, std::generic_category(), fmt::format("{}: {}", path.string(), what));
}

}  // namespace

File::File(int fd, std::filesystem::path path) : path_(std::move(path)), fd_(fd) {}

File File::open(const std::filesystem::path& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) fail_at(path, "cannot be opened");
  return {fd, path};
}

File File::create(const std::filesystem::path& path) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640);
  if (fd < 0) fail_at(path, "cannot be made");
  return {fd, path};
}

File File::unnamed(const std::filesystem::path& directory) {
  // Not O_TMPFILE, which not every file system has.
  std::string name = (directory / "radius-XXXXXX").string();
  const int fd = mkostemp(name.data(), O_CLOEXEC);
  if (fd < 0) fail_at(directory, "no temporary file can be made here");
  unlink(name.c_str());
  return {fd, directory / "(temporary file)"};
}

File::~File() {
  if (fd_ >= 0) close(fd_);
}

File::File(File&& other) noexcept : path_(std::move(other.path_)), fd_(std::exchange(other.fd_, -1)) {}

File& File::operator=(File&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(fd_, other.fd_);
  return *this;
}

void File::fail(const char* what) const { fail_at(path_, what); }

std::string File::read(uint64_t offset, size_t bytes) const {
  std::string out(bytes, '\0');
  for (size_t done = 0; done < bytes;) {
    const ssize_t n = pread(fd_, out.data() + done, bytes - done, static_cast<off_t>(offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail("cannot be read");
    if (n == 0) throw std::runtime_error(fmt::format("{}: is cut off", path_.string()));
    done += static_cast<size_t>(n);
  }
  return out;
}

void File::write(uint64_t offset, std::string_view bytes) {
  for (size_t done = 0; done < bytes.size();) {
    const ssize_t n =
        pwrite(fd_, bytes.data() + done, bytes.size() - done, static_cast<off_t>(offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) fail("cannot be written");
    done += static_cast<size_t>(n);
  }
}

void File::sync() {
  if (fsync(fd_) != 0) fail("cannot be brought to the disk");
}

uint64_t File::size() const {
  struct stat st{};
  if (fstat(fd_, &st) != 0) fail("cannot be looked at");
  return static_cast<uint64_t>(st.st_size);
}

void sync_directory(const std::filesystem::path& directory) {
  const int fd = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const bool synced = fd >= 0 && fsync(fd) == 0;
  const int error = errno;
  if (fd >= 0) close(fd);
  errno = error;
  if (!synced) fail_at(directory, "cannot be brought to the disk");
}

}  // namespace culvert::logging::radius
