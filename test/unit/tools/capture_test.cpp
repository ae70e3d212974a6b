/// Captures for `culvert replay`: every file here is made byte by byte, as a foreign tool would have written
/// it.
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <vector>

#include "replay/capture_reader.h"
#include "replay/capture_writer.h"
#include "replay/merge.h"

using namespace culvert::replay;
using Catch::Matchers::Contains;

namespace {

using Bytes = std::vector<uint8_t>;

constexpr uint32_t linktype_ethernet = 1;
constexpr uint32_t linktype_raw = 101;
constexpr uint32_t linktype_null = 0;
constexpr uint32_t linktype_ipv4 = 228;
constexpr uint32_t linktype_ipv6 = 229;
constexpr uint32_t magic_microseconds = 0xa1b2c3d4;
constexpr uint32_t magic_nanoseconds = 0xa1b23c4d;

/// A directory of its own for each test case, gone afterwards.
class Directory {
 public:
  Directory() {
    std::string pattern = (std::filesystem::temp_directory_path() / "culvert-capture-XXXXXX").string();
    REQUIRE(mkdtemp(pattern.data()) != nullptr);
    path_ = pattern;
  }
  ~Directory() { std::filesystem::remove_all(path_); }
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;
  std::string file(const std::string& name) const { return (path_ / name).string(); }
  std::string file(const std::string& name, const Bytes& content) const {
    std::ofstream(path_ / name, std::ios::binary)
        .write(reinterpret_cast<const char*>(content.data()), static_cast<std::streamsize>(content.size()));
    return file(name);
  }

 private:
  std::filesystem::path path_;
};

/// Integers in host order or in the other one.
struct Builder {
  Bytes bytes;
  bool swapped = false;

  template <typename T>
  Builder& put(T value) {
    uint8_t raw[sizeof(T)];
    std::memcpy(raw, &value, sizeof(T));
    if (swapped) std::reverse(raw, raw + sizeof(T));
    bytes.insert(bytes.end(), raw, raw + sizeof(T));
    return *this;
  }
  Builder& put(const Bytes& b) {
    bytes.insert(bytes.end(), b.begin(), b.end());
    return *this;
  }
};

struct PcapFile : Builder {
  explicit PcapFile(uint32_t magic, uint32_t linktype, bool other_order = false) {
    swapped = other_order;
    put(magic)
        .put(uint16_t{2})
        .put(uint16_t{4})
        .put(uint32_t{0})
        .put(uint32_t{0})
        .put(uint32_t{65535})
        .put(linktype);
  }
  PcapFile& frame(uint32_t seconds, uint32_t fraction, const Bytes& data, uint32_t original = 0) {
    put(seconds).put(fraction).put(static_cast<uint32_t>(data.size()));
    put(original ? original : static_cast<uint32_t>(data.size())).put(data);
    return *this;
  }
};

/// pcapng with one interface; `resolution` is its if_tsresol option (a power of ten).
struct PcapngFile : Builder {
  explicit PcapngFile(uint16_t linktype, uint8_t resolution) {
    put(0x0a0d0d0au).put(28u).put(0x1a2b3c4du).put(uint16_t{1}).put(uint16_t{0}).put(int64_t{-1}).put(28u);
    put(1u).put(32u).put(linktype).put(uint16_t{0}).put(65535u);
    put(uint16_t{9}).put(uint16_t{1}).put(uint32_t{resolution}).put(0u).put(32u);
  }
  PcapngFile& frame(uint64_t ticks, const Bytes& data, uint32_t original = 0) {
    const Bytes padding((4 - data.size() % 4) % 4, 0);
    const auto length = static_cast<uint32_t>(32 + data.size() + padding.size());
    put(6u).put(length).put(0u).put(static_cast<uint32_t>(ticks >> 32)).put(static_cast<uint32_t>(ticks));
    put(static_cast<uint32_t>(data.size())).put(original ? original : static_cast<uint32_t>(data.size()));
    put(data).put(padding).put(length);
    return *this;
  }
};

Bytes filled(size_t size, uint8_t value) { return Bytes(size, value); }
Bytes copy(const Frame& f) { return {f.bytes.begin(), f.bytes.end()}; }

std::string error_of(const std::string& path) {
  try {
    CaptureReader reader(path, Side::inside);
    while (reader.next()) {
    }
  } catch (const CaptureError& e) {
    return e.what();
  }
  return "";
}

}  // namespace

TEST_CASE("pcap with microseconds, Ethernet", "[tools][capture]") {
  Directory dir;
  auto path = dir.file("a.pcap", PcapFile(magic_microseconds, linktype_ethernet)
                                     .frame(1'700'000'000, 123'456, filled(60, 1))
                                     .frame(1'700'000'001, 0, filled(0, 0))
                                     .bytes);
  CaptureReader reader(path, Side::outside);
  CHECK(reader.link_type() == LinkType::ethernet);
  auto frame = reader.next();
  REQUIRE(frame);
  CHECK(frame->timestamp_ns == 1'700'000'000'123'456'000);
  CHECK(frame->side == Side::outside);
  CHECK(copy(*frame) == filled(60, 1));
  CHECK(frame->original_length == 60);
  CHECK_FALSE(frame->truncated());
  frame = reader.next();
  REQUIRE(frame);
  CHECK(frame->bytes.empty());
  CHECK_FALSE(reader.next());
  CHECK(reader.frames() == 2);
}

TEST_CASE("pcap with nanoseconds, in either byte order", "[tools][capture]") {
  Directory dir;
  const bool other_order = GENERATE(false, true);
  auto path = dir.file("a.pcap", PcapFile(magic_nanoseconds, linktype_ethernet, other_order)
                                     .frame(1'700'000'000, 999'999'999, filled(60, 1))
                                     .bytes);
  CaptureReader reader(path, Side::inside);
  CHECK(reader.next()->timestamp_ns == 1'700'000'000'999'999'999);
}

TEST_CASE("pcap seconds are unsigned: captures after 2038", "[tools][capture]") {
  Directory dir;
  auto path =
      dir.file("a.pcap", PcapFile(magic_nanoseconds, linktype_ethernet).frame(4'000'000'000, 5, {1}).bytes);
  CaptureReader reader(path, Side::inside);
  CHECK(reader.next()->timestamp_ns == 4'000'000'000'000'000'005);
}

TEST_CASE("the link types for raw IP", "[tools][capture]") {
  Directory dir;
  for (uint32_t type : {linktype_raw, linktype_ipv4, linktype_ipv6}) {
    CAPTURE(type);
    auto path = dir.file("a.pcap", PcapFile(magic_microseconds, type).frame(1, 0, filled(28, 0x45)).bytes);
    CaptureReader reader(path, Side::inside);
    CHECK(reader.link_type() == LinkType::raw_ip);
    CHECK(copy(*reader.next()) == filled(28, 0x45));
  }
}

TEST_CASE("pcapng with microseconds and nanoseconds", "[tools][capture]") {
  Directory dir;
  auto micro = dir.file("u.pcapng",
                        PcapngFile(linktype_ethernet, 6).frame(1'700'000'000'123'456, filled(61, 2)).bytes);
  CaptureReader reader(micro, Side::inside);
  CHECK(reader.link_type() == LinkType::ethernet);
  auto frame = reader.next();
  REQUIRE(frame);
  CHECK(frame->timestamp_ns == 1'700'000'000'123'456'000);
  CHECK(copy(*frame) == filled(61, 2));
  CHECK_FALSE(reader.next());

  auto nano =
      dir.file("n.pcapng", PcapngFile(linktype_raw, 9).frame(1'700'000'000'123'456'789, filled(20, 3)).bytes);
  CaptureReader raw(nano, Side::inside);
  CHECK(raw.link_type() == LinkType::raw_ip);
  CHECK(raw.next()->timestamp_ns == 1'700'000'000'123'456'789);
}

TEST_CASE("a frame that was captured short is given out as such", "[tools][capture]") {
  Directory dir;
  auto path = dir.file(
      "a.pcap", PcapFile(magic_microseconds, linktype_ethernet).frame(1, 0, filled(96, 1), 1514).bytes);
  CaptureReader reader(path, Side::inside);
  auto frame = reader.next();
  REQUIRE(frame);
  CHECK(frame->truncated());
  CHECK(frame->bytes.size() == 96);
  CHECK(frame->original_length == 1514);
}

TEST_CASE("time never runs backwards within a file", "[tools][capture]") {
  Directory dir;
  auto path = dir.file("a.pcap", PcapFile(magic_nanoseconds, linktype_ethernet)
                                     .frame(10, 5, {1})
                                     .frame(9, 999, {2})
                                     .frame(10, 4, {3})
                                     .frame(10, 6, {4})
                                     .bytes);
  CaptureReader reader(path, Side::inside);
  std::vector<uint64_t> times;
  while (auto frame = reader.next()) times.push_back(frame->timestamp_ns);
  CHECK(times == std::vector<uint64_t>{10'000'000'005, 10'000'000'005, 10'000'000'005, 10'000'000'006});
  CHECK(reader.backward_timestamps() == 2);
}

TEST_CASE("what is not a capture is refused with its path", "[tools][capture]") {
  Directory dir;
  CHECK_THAT(error_of(dir.file("missing.pcap")),
             Contains("missing.pcap: cannot be read") && Contains("No such file"));
  CHECK_THAT(error_of(dir.file("empty.pcap", {})), Contains("empty.pcap: cannot be read"));
  CHECK_THAT(error_of(dir.file("garbage.pcap", filled(1000, 0x5a))),
             Contains("garbage.pcap: cannot be read"));
  CHECK_THAT(error_of(dir.file("short.pcap", filled(10, 0xd4))), Contains("short.pcap: cannot be read"));
  CHECK_THAT(error_of(dir.file("")), Contains(": cannot be read"));  // a directory
  CHECK_THAT(error_of(dir.file("null.pcap", PcapFile(magic_microseconds, linktype_null).bytes)),
             Contains("null.pcap: link type NULL is not supported") && Contains("Ethernet"));
}

TEST_CASE("a file that breaks in the middle names its frame", "[tools][capture]") {
  Directory dir;
  auto whole = PcapFile(magic_microseconds, linktype_ethernet)
                   .frame(1, 0, filled(60, 1))
                   .frame(2, 0, filled(60, 2))
                   .bytes;
  CHECK(error_of(dir.file("whole.pcap", whole)).empty());
  whole.resize(whole.size() - 1);
  CHECK_THAT(error_of(dir.file("cut.pcap", whole)), Contains("cut.pcap: frame 2: "));

  auto liar = PcapFile(magic_microseconds, linktype_ethernet);
  liar.put(1u).put(0u).put(0x7fffffffu).put(0x7fffffffu).put(filled(60, 1));  // a frame of 2 GB
  CHECK_THAT(error_of(dir.file("huge.pcap", liar.bytes)), Contains("huge.pcap: frame 1: "));

  auto fraction = PcapFile(magic_nanoseconds, linktype_ethernet).frame(1, 1'000'000'000, {1}).bytes;
  CHECK_THAT(error_of(dir.file("fraction.pcap", fraction)),
             Contains("frame 1: timestamp") && Contains("out of range"));

  auto late = PcapngFile(linktype_ethernet, 0).frame(0x7fff'ffff'ffff'ffff, {1}).bytes;  // whole seconds
  CHECK_THAT(error_of(dir.file("late.pcapng", late)),
             Contains("frame 1: timestamp") && Contains("out of range"));
}

TEST_CASE("every cut of a capture ends in frames or an error, never in a crash", "[tools][capture]") {
  Directory dir;
  auto pcapng = PcapngFile(linktype_ethernet, 9).frame(5, filled(30, 1)).frame(6, filled(31, 2)).bytes;
  auto pcap =
      PcapFile(magic_nanoseconds, linktype_raw).frame(5, 5, filled(30, 1)).frame(6, 6, filled(31, 2)).bytes;
  for (const Bytes& whole : {pcapng, pcap}) {
    for (size_t size = 0; size < whole.size(); ++size) {
      auto path = dir.file("cut", Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)));
      const std::string error = error_of(path);
      CHECK((error.empty() || error.starts_with(path + ": ")));
    }
  }
}

TEST_CASE("what is written is read back", "[tools][capture]") {
  Directory dir;
  const auto type = GENERATE(LinkType::ethernet, LinkType::raw_ip);
  const auto path = dir.file("w.pcap");
  CaptureWriter writer(path, type);
  writer.write(1'700'000'000'000'000'001, filled(60, 7));
  writer.write(4'294'967'295'999'999'999, filled(262'144, 8));  // the last nanosecond and the longest frame
  CHECK_THROWS_AS(writer.write(4'294'967'296'000'000'000, filled(1, 0)), CaptureError);
  CHECK_THROWS_AS(writer.write(0, filled(262'145, 0)), CaptureError);
  writer.close();
  CHECK_THROWS_AS(writer.write(0, filled(1, 0)), CaptureError);
  CHECK(writer.frames() == 2);

  CaptureReader reader(path, Side::inside);
  CHECK(reader.link_type() == type);
  auto frame = reader.next();
  CHECK(frame->timestamp_ns == 1'700'000'000'000'000'001);
  CHECK(copy(*frame) == filled(60, 7));
  frame = reader.next();
  CHECK(frame->timestamp_ns == 4'294'967'295'999'999'999);
  CHECK(frame->bytes.size() == 262'144);
  CHECK_FALSE(reader.next());
}

TEST_CASE("a capture that cannot be written is an error", "[tools][capture]") {
  Directory dir;
  CHECK_THROWS_WITH(CaptureWriter(dir.file("no/such/w.pcap"), LinkType::ethernet),
                    Contains("cannot be written"));
  const size_t frames = GENERATE(size_t{1}, size_t{100});  // seen at close(), seen while writing
  CaptureWriter full("/dev/full", LinkType::ethernet);
  CHECK_THROWS_WITH(
      [&] {
        for (size_t i = 0; i < frames; ++i) full.write(0, filled(1500, 0));
        full.close();
      }(),
      Contains("/dev/full: cannot be written") && Contains("No space"));
}

TEST_CASE("both sides are merged by time, inside first on ties", "[tools][capture]") {
  Directory dir;
  auto in = dir.file("in.pcap", PcapFile(magic_nanoseconds, linktype_ethernet)
                                    .frame(1, 0, {1})
                                    .frame(3, 0, {3})
                                    .frame(3, 0, {4})
                                    .bytes);
  auto out = dir.file("out.pcap", PcapFile(magic_nanoseconds, linktype_raw)
                                      .frame(0, 9, {10})
                                      .frame(3, 0, {13})
                                      .frame(2, 0, {12})
                                      .frame(9, 0, {19})
                                      .bytes);
  FrameMerger merger(CaptureReader(in, Side::inside), CaptureReader(out, Side::outside));
  std::vector<int> order;
  uint64_t clock = 0;
  while (auto frame = merger.next()) {
    CHECK(frame->timestamp_ns >= clock);
    clock = frame->timestamp_ns;
    CHECK((frame->side == Side::outside) == (frame->bytes[0] >= 10));
    order.push_back(frame->bytes[0]);
  }
  CHECK(order == std::vector<int>{10, 1, 3, 4, 13, 12, 19});
  CHECK_FALSE(merger.next());
  CHECK(merger.reader(Side::inside)->frames() == 3);
  CHECK(merger.reader(Side::outside)->backward_timestamps() == 1);
}

TEST_CASE("one side alone, and none", "[tools][capture]") {
  Directory dir;
  auto path = dir.file("a.pcap", PcapFile(magic_nanoseconds, linktype_ethernet).frame(1, 0, {1}).bytes);
  FrameMerger one(std::nullopt, CaptureReader(path, Side::outside));
  CHECK(one.next());
  CHECK_FALSE(one.next());
  CHECK(one.reader(Side::inside) == nullptr);
  CHECK_FALSE(FrameMerger(std::nullopt, std::nullopt).next());
}
