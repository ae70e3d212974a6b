#include "logging/ledger/sealed_segment.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <stdexcept>
#include <system_error>

#include "logging/ledger/crc32c.h"

namespace culvert::logging::ledger {
namespace {

[[noreturn]] void fail(const std::filesystem::path& path) {
  throw std::system_error(errno, std::generic_category(), fmt::format("{}: cannot be read", path.string()));
}

/// What the directory says of a page is true.
bool agrees(const Page& page, const SealedDirectory::Page& entry, uint64_t opened, bool has_addresses) {
  if (page.records.size() != entry.records || page.addresses.empty() == has_addresses) return false;
  if (has_addresses &&
      (page.addresses.front().address != entry.first || page.addresses.back().address != entry.last))
    return false;
  std::optional<uint64_t> first;
  const auto see = [&](size_t begin, size_t end) {
    if (begin < end) first = std::min(first.value_or(UINT64_MAX), page.records[begin].time);
  };
  if (!has_addresses) see(0, page.records.size());
  for (const Page::Address& a : page.addresses) see(a.follow, a.end);
  return first.value_or(opened) == entry.time;
}

}  // namespace

SealedSegment::SealedSegment(const std::filesystem::path& path) : path_(path) {
  const auto refuse = [&](const std::string& fault) {
    throw std::runtime_error(fmt::format("{} {}", path.string(), fault));
  };
  fd_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd_ < 0) fail(path);
  try {
    struct stat st{};
    if (fstat(fd_, &st) != 0) fail(path);
    size_ = static_cast<uint64_t>(std::max<off_t>(0, st.st_size));
    const size_t end = std::min<uint64_t>(size_, kEndBytes);
    // The disk may bring in both ends at the same time.
    posix_fadvise(fd_, 0, static_cast<off_t>(end), POSIX_FADV_WILLNEED);
    tail_ = read_file(size_ - end, end);
    head_ = read_file(0, end);
    std::string fault;
    const auto header = decode_header(head_, fault);
    if (!header) refuse(fault);
    header_ = *header;
    const auto footer = size_ < kSealedHeaderBytes + kFooterBytes
                            ? std::nullopt
                            : decode_footer(std::string_view(tail_).substr(tail_.size() - kFooterBytes));
    if (!footer) refuse("has a damaged end");
    footer_ = *footer;
    // What is between header and footer, and no more.
    const uint64_t directory_end = size_ - kFooterBytes;
    if (footer_.directory < kSealedHeaderBytes || footer_.directory > directory_end ||
        footer_.directory_bytes != directory_end - footer_.directory ||
        footer_.directory_bytes > kMaxDirectoryBytes)
      refuse("has a damaged end");
    const auto bytes = read_part({footer_.directory, footer_.directory_bytes, footer_.directory_crc});
    auto directory =
        bytes ? decode_directory(*bytes, header_.opened, footer_.directory, unpacker_) : std::nullopt;
    if (!directory) refuse("has a damaged directory");
    directory_ = std::move(*directory);
  } catch (...) {
    close(fd_);
    throw;
  }
}

SealedSegment::~SealedSegment() { close(fd_); }

std::string SealedSegment::read_file(uint64_t offset, size_t bytes) const {
  std::string result(bytes, '\0');
  for (size_t done = 0; done < bytes;) {
    const ssize_t n = pread(fd_, result.data() + done, bytes - done, static_cast<off_t>(offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n == 0) errno = EIO;  // it was longer when it was opened
    if (n <= 0) fail(path_);
    done += static_cast<size_t>(n);
  }
  return result;
}

std::string SealedSegment::read(uint64_t offset, size_t bytes) const {
  const uint64_t tail_begin = size_ - tail_.size();
  if (offset + bytes <= head_.size()) return head_.substr(offset, bytes);
  if (offset >= tail_begin) return tail_.substr(offset - tail_begin, bytes);
  return read_file(offset, bytes);
}

std::optional<std::string> SealedSegment::read_part(const SealedDirectory::Part& part) const {
  std::string bytes = read(part.offset, part.bytes);
  if (crc32c(bytes) != part.crc) return std::nullopt;
  return bytes;
}

void SealedSegment::tell(std::string what, const SealedDirectory::Part& part) const {
  if (on_damage) on_damage({std::move(what), part.offset, part.bytes});
}

std::optional<Page> SealedSegment::page(size_t n) {
  const SealedDirectory::Page& entry = directory_.pages[n];
  std::optional<Page> page;
  if (const auto bytes = read_part(entry.part)) page = decode_page(*bytes, header_.opened, unpacker_);
  if (page && !agrees(*page, entry, header_.opened, n >= directory_.first_address_page())) page.reset();
  if (!page) tell(fmt::format("page {}", n), entry.part);
  return page;
}

std::optional<DictionaryChunk> SealedSegment::chunk(size_t n) {
  const SealedDirectory::Chunk& entry = directory_.chunks[n];
  std::optional<DictionaryChunk> chunk;
  if (const auto bytes = read_part(entry.part))
    chunk = decode_chunk(*bytes, entry.first.number, directory_.pages.size(), unpacker_);
  if (chunk && (chunk->subscribers.size() != entry.subscribers || chunk->subscribers.front() != entry.first))
    chunk.reset();
  if (!chunk) tell(fmt::format("dictionary chunk {}", n), entry.part);
  return chunk;
}

void SealedSegment::for_each_note(const std::function<void(const Record&)>& take) {
  for (size_t n = 0; n < directory_.note_pages; n++)
    if (const auto notes = page(n))
      for (size_t i = 0; i < notes->records.size(); i++) take(notes->record(i));
}

}  // namespace culvert::logging::ledger
