#include "logging/ledger/new_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace culvert::logging::ledger {

void NewFile::fail(const char* what) const {
  throw std::system_error(errno, std::generic_category(), fmt::format("{}: {}", path_.string(), what));
}

NewFile::NewFile(const std::filesystem::path& path) : path_(path), unfinished_(path) {
  unfinished_ += ".new";
  fd_ = ::open(unfinished_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640);
  if (fd_ < 0) fail("cannot be made");
}

NewFile::~NewFile() {
  if (fd_ >= 0) close(fd_);
  if (fd_ >= 0 && !finished_) unlink(unfinished_.c_str());
}

void NewFile::append(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = write(fd_, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) fail("cannot be written");
    bytes.remove_prefix(static_cast<size_t>(n));
  }
}

void NewFile::finish() {
  if (fdatasync(fd_) != 0 || rename(unfinished_.c_str(), path_.c_str()) != 0) fail("cannot be written");
  finished_ = true;
  std::filesystem::path directory = path_.parent_path();
  if (directory.empty()) directory = ".";
  const int d = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const bool synced = d >= 0 && fsync(d) == 0;
  const int error = errno;
  if (d >= 0) close(d);
  if (synced) return;
  // Nobody knows whether a crash of the machine would take the name away again.
  unlink(path_.c_str());
  errno = error;
  fail("cannot be synced");
}

}  // namespace culvert::logging::ledger
