#include "logging/export/position_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <optional>
#include <string_view>

namespace culvert::logging {
namespace {

constexpr std::string_view kFirstLine = "culvert-export 1\n";

/// Takes "NAME NUMBER\n" off the front.
std::optional<uint64_t> take(std::string_view& text, std::string_view name) {
  if (!text.starts_with(name)) return std::nullopt;
  text.remove_prefix(name.size());
  uint64_t n = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (error != std::errc{} || end == text.data() + text.size() || *end != '\n') return std::nullopt;
  text.remove_prefix(static_cast<size_t>(end - text.data()) + 1);
  return n;
}

std::optional<ExportPosition> parse(std::string_view text) {
  if (!text.starts_with(kFirstLine)) return std::nullopt;
  text.remove_prefix(kFirstLine.size());
  const auto confirmed = take(text, "confirmed "), sent = take(text, "sent ");
  if (!confirmed || !sent || *sent < *confirmed || !text.empty()) return std::nullopt;
  return ExportPosition{*confirmed, *sent};
}

/// Writes a file to the disk.
bool write_whole(const char* path, std::string_view text) {
  const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640);
  if (fd < 0) return false;
  const bool written = write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  const bool good = written && fdatasync(fd) == 0;
  const int error = errno;
  close(fd);
  errno = error;
  return good;
}

}  // namespace

std::variant<ExportPosition, PositionFile::None, PositionFile::Unreadable> PositionFile::load() const {
  const int fd = open(path_.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0 && errno == ENOENT) return None{};
  if (fd < 0) return Unreadable{fmt::format("{}: {}", path_, std::strerror(errno))};
  std::array<char, 256> bytes;
  const ssize_t n = read(fd, bytes.data(), bytes.size());
  const int error = errno;
  close(fd);
  if (n < 0) return Unreadable{fmt::format("{}: {}", path_, std::strerror(error))};
  if (const auto position = parse({bytes.data(), static_cast<size_t>(n)})) return *position;
  return Unreadable{path_ + ": is not the position of an export"};
}

std::string PositionFile::save(const ExportPosition& position) const {
  const std::string text =
      fmt::format("{}confirmed {}\nsent {}\n", kFirstLine, position.confirmed, position.sent);
  const std::string made = path_ + ".new";
  std::error_code ignored;  // what follows tells
  std::filesystem::create_directories(std::filesystem::path(path_).parent_path(), ignored);
  if (write_whole(made.c_str(), text) && rename(made.c_str(), path_.c_str()) == 0) return {};
  return fmt::format("{}: {}", path_, std::strerror(errno));
}

}  // namespace culvert::logging
