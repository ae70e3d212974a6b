#include "logging/ledger/live_stream.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <stdexcept>
#include <system_error>

namespace culvert::logging::ledger {
namespace {

[[noreturn]] void fail(const std::filesystem::path& path) {
  throw std::system_error(errno, std::generic_category(), fmt::format("{}: cannot be read", path.string()));
}

}  // namespace

LiveStream::LiveStream(const std::filesystem::path& path) : path_(path) {
  fd_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (fd_ < 0) fail(path);
  try {
    window_.resize(read_window(0, size_));
    reader_.emplace(window_, false);
    if (!reader_->header()) throw std::runtime_error(fmt::format("{} {}", path.string(), reader_->fault()));
  } catch (...) {
    close(fd_);
    throw;
  }
}

LiveStream::~LiveStream() { close(fd_); }

/// Puts bytes of the file into the window. Returns how many there were.
size_t LiveStream::read_window(uint64_t offset, size_t bytes) {
  window_.resize(bytes);
  size_t done = 0;
  while (done < bytes) {
    const ssize_t n = pread(fd_, window_.data() + done, bytes - done, static_cast<off_t>(offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail(path_);
    if (n == 0) break;
    done += static_cast<size_t>(n);
  }
  return done;
}

bool LiveStream::next() {
  bool found = reader_->next();
  while (!found && !drained_) {
    // What of the window was not understood is read again: a start may have replaced it.
    const size_t there = read_window(reader_->wanted(), size_);
    window_.resize(there);
    const bool whole = there < size_;  // the file ends in it
    drained_ = (whole && finished_) || size_ > kMaxWindow;
    reader_->more(window_, drained_);
    found = reader_->next();
    if (!found && whole) break;
    size_ = found ? kWindow : 2 * size_;
  }
  return found;
}

}  // namespace culvert::logging::ledger
