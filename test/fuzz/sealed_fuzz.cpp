/// libFuzzer target: any bytes as a sealed segment of the ledger. They are refused, told as damage or read;
/// nothing crashes or hangs, and answers keep to what was asked.
///
/// The first byte says what the others are: a file as it is, or its parts, which get the header, directory,
/// footer and checksums that they need, so that what is in them is reached: each is a byte (0 page of notes,
/// 1 loose page, 2 page of addresses, 3 dictionary chunk), two of length, and content. Of every fourth input
/// the last part is the directory.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "logging/ledger/crc32c.h"
#include "logging/ledger/sealed_query.h"
#include "logging/ledger/sealed_reader.h"
#include "logging/ledger/sealed_verify.h"

using namespace culvert::logging::ledger;
namespace net = culvert::net;

namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

constexpr uint64_t kOpened = 1'700'000'000'000;
/// What is unpacked of one input: more is only slow.
constexpr size_t kMostRecords = 100'000;

/// The segment of these parts; empty: they would take too long.
std::string assemble(std::string_view input, bool with_directory) {
  struct Part {
    unsigned kind;
    std::string_view content;
  };
  std::vector<Part> parts;
  ByteReader in(input);
  while (!in.done() && parts.size() < 32) {
    const unsigned kind = in.byte() % 4;
    const auto size = in.fixed<uint16_t>();
    parts.push_back({kind, in.bytes(std::min<size_t>(size, in.left()))});
  }
  std::string_view own_directory;
  if (with_directory && !parts.empty()) {
    own_directory = parts.back().content;
    parts.pop_back();
  }
  std::ranges::stable_sort(parts, {}, &Part::kind);

  ColumnPacker packer;
  ColumnUnpacker unpacker;
  SealedHeader header{.serial = 1, .opened = kOpened, .ended = kOpened + 1'000'000, .first_ordinal = 1000};
  SealedDirectory directory;
  const auto pages =
      static_cast<size_t>(std::ranges::count_if(parts, [](const Part& p) { return p.kind < 3; }));
  std::string content;
  size_t records = 0;
  for (const Part& p : parts) {
    const SealedDirectory::Part place{kSealedHeaderBytes + content.size(),
                                      static_cast<uint32_t>(p.content.size()), crc32c(p.content)};
    content += p.content;
    if (p.kind == 3) {
      const auto chunk = decode_chunk(p.content, directory.subscribers, pages, unpacker);
      const bool some = chunk && !chunk->subscribers.empty();
      directory.chunks.push_back({place, some ? static_cast<uint32_t>(chunk->subscribers.size()) : 1,
                                  some ? chunk->subscribers.front() : SubscriberNote{}});
      directory.subscribers += directory.chunks.back().subscribers;
      continue;
    }
    if (p.kind == 0) directory.note_pages++;
    if (p.kind == 1) directory.loose_pages++;
    SealedDirectory::Page entry{.part = place, .time = kOpened};
    if (const auto page = decode_page(p.content, kOpened, unpacker)) {
      records += page->records.size();
      if (records > kMostRecords) return {};
      entry.records = static_cast<uint32_t>(page->records.size());
      if (!page->addresses.empty()) {
        entry.first = page->addresses.front().address;
        entry.last = page->addresses.back().address;
      }
      uint64_t time = UINT64_MAX;
      const auto see = [&](size_t begin, size_t end) {
        if (p.kind != 0) header.events += end - begin;
        for (size_t i = begin; i < end; i++) time = std::min(time, page->records[i].time);
      };
      if (page->addresses.empty()) see(0, page->records.size());
      for (const Page::Address& a : page->addresses) see(a.follow, a.end);
      if (time != UINT64_MAX) entry.time = time;
    }
    directory.pages.push_back(entry);
  }
  std::string bytes = encode(header) + content;
  const std::string d = with_directory ? std::string(own_directory) : encode(directory, kOpened, packer);
  const std::string footer = encode_hashed({.directory = bytes.size(),
                                            .directory_bytes = static_cast<uint32_t>(d.size()),
                                            .directory_crc = crc32c(d)});
  bytes += d + footer;
  Sha256 hash;
  hash.add(bytes);
  const Digest digest = hash.digest();
  bytes.append(reinterpret_cast<const char*>(digest.data()), digest.size());
  return bytes += kTailMagic;
}

/// A file of these bytes, in memory.
class File {
 public:
  explicit File(std::string_view bytes) : fd_(memfd_create("segment", 0)) {
    require(fd_ >= 0 && write(fd_, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
  }
  ~File() { close(fd_); }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  std::string path() const { return "/proc/self/fd/" + std::to_string(fd_); }

 private:
  int fd_;
};

void check(const Answer& answer, Interval when, bool of_address) {
  uint64_t last = when.from;
  const auto known = [&](const Record& r) {
    require(r.worker < kMaxSources && r.reason < 32);
    if (r.kind == Record::Kind::allocated) require(answer.subscribers.contains(r.subscriber));
    if (r.kind != Record::Kind::typed && of_address)
      require(std::ranges::any_of(answer.blocks, [&](const auto& b) { return b.second.has(r.block); }));
  };
  for (const Record& r : answer.carried) known(r);
  for (const Record& r : answer.records) {
    known(r);
    require(r.time >= last && r.time <= when.to);
    last = r.time;
  }
}

void ask(SealedSegment& segment, Interval when) {
  const SealedDirectory& directory = segment.directory();
  for (size_t n = directory.first_address_page(); n < directory.pages.size(); n++) {
    check(records_of(segment, directory.pages[n].first, std::nullopt, when), when, true);
    check(records_of(segment, directory.pages[n].last, 1024, when), when, true);
  }
  for (const auto& chunk : directory.chunks)
    check(records_of(segment, net::Ipv6Prefix{chunk.first.prefix, chunk.first.length}, when), when, false);
  check(records_of(segment, net::Ipv6Prefix{{}, 0}, when), when, false);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::string made = data[0] % 4 == 0 ? std::string(input) : assemble(input, data[0] % 4 == 1);
  const File file(made);
  try {
    SealedSegment segment(file.path());
    const SealedHeader& header = segment.header();
    ask(segment, {0, UINT64_MAX});
    ask(segment, {kOpened + 1000, kOpened + 1000});
    SealedReader reader(segment);
    uint64_t events = 0;
    while (reader.next()) {
      const Record& r = reader.record();
      require(r.worker < kMaxSources && r.reason < 32 && r.time < kMaxTime);
      events += r.event();
    }
    if (verify(segment, std::nullopt, [](const std::string&) {}))
      require(events + header.lost == header.events);
  } catch (const std::runtime_error&) {
    // It is none, which is an answer, too.
  }
  return 0;
}
