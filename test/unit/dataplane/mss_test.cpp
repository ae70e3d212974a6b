#include "dataplane/carriage/mss.h"

#include <rapidcheck.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <vector>

using namespace culvert;

namespace {

/// A SYN with these options, its checksum right (over itself; no pseudo header is needed here).
std::vector<uint8_t> syn(const std::vector<uint8_t>& options) {
  std::vector<uint8_t> bytes((sizeof(net::TcpHeader) + options.size() + 3) / 4 * 4);
  std::copy(options.begin(), options.end(), bytes.begin() + sizeof(net::TcpHeader));
  auto* tcp = reinterpret_cast<net::TcpHeader*>(bytes.data());
  tcp->source = net::Be16(50'000);
  tcp->offset_reserved = static_cast<uint8_t>(bytes.size() / 4 << 4);
  tcp->flags = net::TcpHeader::kSyn;
  tcp->checksum = net::Sum().add_bytes(bytes.data(), bytes.size()).checksum();
  return bytes;
}
bool checksum_holds(const std::vector<uint8_t>& bytes) {
  return net::Sum().add_bytes(bytes.data(), bytes.size()).folded() == 0xffff;
}
void clamp(std::vector<uint8_t>& bytes, uint16_t limit) {
  dataplane::carriage::clamp_mss(*reinterpret_cast<net::TcpHeader*>(bytes.data()), limit);
}

}  // namespace

TEST_CASE(
    "mss-clamping lowers a SYN's maximum segment size wherever the option stands, RFC 9293 section 3.7.1",
    "[dataplane][mss]") {
  CHECK(rc::check([] {
    const auto before = *rc::gen::inRange<size_t>(0, 5);
    const auto mss = *rc::gen::arbitrary<uint16_t>();
    const auto limit = *rc::gen::inRange<uint16_t>(1, 65535);
    std::vector<uint8_t> options(before, 1);  // no-operations: odd places too
    const size_t at = sizeof(net::TcpHeader) + before + 2;
    options.insert(options.end(), {2, 4, static_cast<uint8_t>(mss >> 8), static_cast<uint8_t>(mss), 3, 3, 7});
    std::vector<uint8_t> bytes = syn(options);
    clamp(bytes, limit);
    RC_ASSERT((bytes[at] << 8 | bytes[at + 1]) == std::min(mss, limit));
    RC_ASSERT(checksum_holds(bytes));
  }));
}

TEST_CASE("mss-clamping leaves options alone that lie about their length", "[dataplane][mss]") {
  for (const std::vector<uint8_t>& options : {std::vector<uint8_t>{2, 0, 0xff, 0xff},
                                              {2, 5, 0xff, 0xff, 1, 0, 0, 0},
                                              {3, 1, 2, 4, 0xff, 0xff, 0, 0},
                                              {2},
                                              {},
                                              {1, 1, 1, 2},
                                              {0, 2, 4, 0xff}}) {
    std::vector<uint8_t> bytes = syn(options);
    const std::vector<uint8_t> was = bytes;
    clamp(bytes, 536);
    CHECK(bytes == was);
  }
}
