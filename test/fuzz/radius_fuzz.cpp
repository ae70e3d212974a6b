/// libFuzzer target: any bytes as a FreeRADIUS detail file, and as an index of its sessions. Records are
/// whole or dropped, whatever pieces the file comes in; an index answers or is damaged; nothing crashes or
/// hangs.
///
/// The first byte says what the others are: a detail file, behind a byte that says in which pieces it comes;
/// an index as it is; or the rows of an index, whose blocks, directories, header and checksums are made
/// right, so that what is in them is reached: blocks, each behind two bytes of length and one that says in
/// which table.
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "logging/ledger/bytes.h"
#include "logging/ledger/crc32c.h"
#include "logging/radius/detail_reader.h"
#include "logging/radius/index.h"
#include "logging/radius/lookup.h"
#include "logging/radius/packed.h"
#include "logging/radius/session.h"

using namespace culvert::logging::radius;
namespace ledger = culvert::logging::ledger;

namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

void check_record(const Record& r) {
  const bool session = r.status != Status::accounting_on && r.status != Status::accounting_off;
  require(!r.nas.empty() && r.nas.find('\0') == std::string::npos);
  require(r.id.empty() != session && r.id.find('\0') == std::string::npos);
  require(r.time.earliest <= r.time.latest && r.time.latest < kMaxSeconds);
  require(r.time.latest - r.time.earliest <= kMaxClockDifference);
  require(r.prefixes.size() <= kMaxPrefixes);
  for (const std::string* text :
       {&r.nas, &r.id, &r.user_name, &r.calling_station_id, &r.circuit_id, &r.remote_id})
    require(text->size() <= kMaxText);
}

/// Sessions that say the same when they were written and read.
void check_session(const Session& session) {
  std::string bytes;
  ledger::ByteWriter out(bytes);
  encode(session, out);
  Session read;
  read.nas = session.nas;
  read.id = session.id;
  ledger::ByteReader in(bytes);
  decode(in, read);
  require(in.good() && in.done() && read == session);
}

void read_detail(std::string_view text, size_t piece) {
  uint64_t records = 0;
  DetailReader whole([&](const Record&) { records++; });
  whole.feed(text);

  std::vector<Session> sessions;
  uint64_t in_pieces = 0;
  DetailReader pieces([&](const Record& r) {
    in_pieces++;
    check_record(r);
    if (!r.id.empty()) sessions.push_back(session_of(r));
  });
  for (; !text.empty(); text.remove_prefix(std::min(piece, text.size()))) pieces.feed(text.substr(0, piece));
  require(records == in_pieces && whole.whole() == pieces.whole());
  require(whole.tally().wrong == pieces.tally().wrong && whole.tally().records == records);

  std::stable_sort(sessions.begin(), sessions.end(), before);
  for (size_t i = 0; i + 1 < sessions.size(); i++) {
    Session& s = sessions[i];
    Session& next = sessions[i + 1];
    if (s.nas != next.nas || s.id != next.id) continue;
    if (continues(s, next)) {
      combine(s, next);
      next = s;
    } else {
      end_by_reuse(s, next);
    }
  }
  for (const Session& s : sessions) check_session(s);
}

struct Block {
  Key first{};
  std::string rows;
};

/// An index of these blocks.
std::string index_of(const std::array<std::vector<Block>, kTables>& tables, IndexHeader header) {
  std::string file(kIndexHeaderBytes, '\0');
  for (size_t t = 0; t < kTables; t++) {
    std::string directory;
    for (const Block& block : tables[t]) {
      const std::string frame = pack(block.rows, 1);
      std::string line;
      ledger::ByteWriter out(line);
      out.bytes(block.first.data(), block.first.size());
      out.fixed(uint64_t{file.size()});
      out.fixed(static_cast<uint32_t>(frame.size()));
      out.fixed(static_cast<uint32_t>(block.rows.size()));
      out.fixed(ledger::crc32c(frame));
      out.fixed(ledger::crc32c(line));
      directory += line;
      file += frame;
    }
    header.tables[t] = {file.size(), tables[t].size()};
    file += directory;
  }
  header.bytes = file.size();
  return encode(header) + file.substr(kIndexHeaderBytes);
}

std::string made_index(std::string_view input) {
  ledger::ByteReader in(input);
  IndexHeader header;
  header.sessions = in.byte();
  header.lengths.fill(in.byte());
  std::array<std::vector<Block>, kTables> tables;
  for (unsigned blocks = 0; !in.done() && blocks < 64; blocks++) {
    const auto size = in.fixed<uint16_t>();
    std::vector<Block>& table = tables[in.byte() % kTables];
    Block block;
    const std::string_view key = in.bytes(std::min<size_t>(block.first.size(), in.left()));
    std::copy(key.begin(), key.end(), block.first.begin());
    block.rows = in.bytes(std::min<size_t>(size, in.left()));
    table.push_back(block);
  }
  return index_of(tables, header);
}

void check_match(const Match& m) {
  require(!m.session.id.empty() && m.session.prefixes.size() <= kMaxPrefixes);
  require(m.ended.latest == UINT64_MAX || m.ended.latest < 2 * kMaxSeconds * 1000);
}

void read_index(std::string_view bytes) {
  static const bool has_shm = std::filesystem::is_directory("/dev/shm");
  File file = File::unnamed(has_shm ? "/dev/shm" : "/tmp");
  file.write(0, bytes);
  try {
    const Index index(std::move(file));
    try {
      index.sources();
    } catch (const DamagedIndex&) {
    }
    try {
      Index::Sessions stream(index);
      for (Session s; stream.next(s);) check_session(s);
    } catch (const DamagedIndex&) {
    }
    for (const char* prefix : {"2001:db8:1::", "::ffff:100.64.0.1", "::"})
      for (const uint8_t length : {0, 56, 128}) {
        try {
          const auto address = culvert::net::Ipv6Address::parse(prefix)->masked(length);
          find_prefix(index, {address, length}, {1'700'000'000'000, 1'900'000'000'000}, 2000, check_match);
        } catch (const DamagedIndex&) {
        }
      }
    for (const KeyKind kind : {KeyKind::calling_station_id, KeyKind::user_name}) {
      try {
        find_text(index, kind, "alice", {}, 2000, check_match);
      } catch (const DamagedIndex&) {
      }
    }
  } catch (const std::runtime_error&) {
    // No index, or a damaged one.
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 3) {
    case 0:
      read_detail(input.substr(1), data[1] % 64 + 1u);
      break;
    case 1:
      read_index(input);
      break;
    default:
      read_index(made_index(input));
  }
  return 0;
}
