#include "logging/ledger/directory.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>
#include <system_error>

namespace culvert::logging::ledger {
namespace {

/// Names this run of the machine.
std::string boot_id() {
  std::string id;
  std::getline(std::ifstream("/proc/sys/kernel/random/boot_id"), id);
  return id;
}

}  // namespace

std::optional<SegmentFile> parse_name(const std::filesystem::path& path) {
  const std::string name = path.filename().string();
  SegmentFile file{.path = path};
  const auto [rest, error] = std::from_chars(name.data(), name.data() + name.size(), file.serial);
  const auto digits = static_cast<size_t>(rest - name.data());
  constexpr std::string_view kTime = "-00000000T000000Z";
  if (error != std::errc() || digits < 8 || name.size() < digits + kTime.size()) return std::nullopt;
  for (size_t i = 0; i < kTime.size(); i++) {
    const char c = name[digits + i];
    if (kTime[i] == '0' ? c < '0' || c > '9' : c != kTime[i]) return std::nullopt;
  }
  const std::string_view ending = std::string_view(name).substr(digits + kTime.size());
  file.sealed = ending == ".seg";
  if (!file.sealed && ending != ".live") return std::nullopt;
  return file;
}

namespace {

std::vector<SegmentFile> look_at(const std::filesystem::path& directory) {
  std::vector<SegmentFile> files;
  std::error_code error;
  std::filesystem::directory_iterator at(directory, error);
  for (; !error && at != std::filesystem::directory_iterator(); at.increment(error))
    if (auto file = parse_name(at->path())) files.push_back(std::move(*file));
  if (error) throw std::system_error(error, fmt::format("ledger {}: cannot be read", directory.string()));
  std::ranges::sort(files, [](const SegmentFile& a, const SegmentFile& b) {
    return a.serial != b.serial ? a.serial < b.serial : a.sealed > b.sealed;
  });
  return files;
}

}  // namespace

std::vector<SegmentFile> list_segments(const std::filesystem::path& directory) {
  // Of a file that gets another name meanwhile, one look may see neither.
  std::vector<SegmentFile> files = look_at(directory);
  for (auto before = std::move(files);; before = std::move(files))
    if ((files = look_at(directory)) == before) break;
  const auto twice = std::ranges::unique(files, {}, &SegmentFile::serial);
  files.erase(twice.begin(), twice.end());
  return files;
}

std::string read_file(const std::filesystem::path& path) {
  const auto fail = [&path] {
    throw std::system_error(errno, std::generic_category(), path.string() + ": cannot be read");
  };
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) fail();
  std::string bytes;
  for (;;) {
    constexpr size_t kChunk = 4u << 20;
    const size_t had = bytes.size();
    bytes.resize(had + kChunk);
    const ssize_t n = read(fd, bytes.data() + had, kChunk);
    bytes.resize(had + static_cast<size_t>(std::max<ssize_t>(n, 0)));
    if (n == 0) break;
    if (n < 0 && errno != EINTR) {
      const int error = errno;
      close(fd);
      errno = error;
      fail();
    }
  }
  close(fd);
  return bytes;
}

Lock::Lock(const std::filesystem::path& directory, bool strict) {
  const std::string path = directory / "lock";
  const auto fail = [&](const char* what, const char* remedy) {
    const int error = errno;
    if (fd_ >= 0) close(fd_);
    throw std::runtime_error(
        fmt::format("ledger {}: {}: {}; {}", directory.string(), what, std::strerror(error), remedy));
  };
  fd_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
  if (fd_ < 0)
    fail("cannot be written", "name a directory that culvertd may write to as logging: ledger-directory");
  if (flock(fd_, LOCK_EX | LOCK_NB) != 0)
    fail("is locked", "is another culvertd or `culvert log seal` at it? Each ledger has one writer");
  std::array<char, 64> before{};
  const ssize_t n = pread(fd_, before.data(), before.size(), 0);
  const std::string boot = boot_id(), now = boot + (strict ? " strict\n" : " buffered\n");
  const std::string_view was(before.data(), static_cast<size_t>(std::max<ssize_t>(n, 0)));
  rebooted_ = !was.empty() && !was.starts_with(boot);
  was_strict_ = was.ends_with(" strict\n");
  if (ftruncate(fd_, 0) != 0 || pwrite(fd_, now.data(), now.size(), 0) != static_cast<ssize_t>(now.size()) ||
      fdatasync(fd_) != 0)
    fail("cannot be written", "make room on its file system");
}

Lock::~Lock() { close(fd_); }

}  // namespace culvert::logging::ledger
