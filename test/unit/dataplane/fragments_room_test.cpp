// The room for fragments: who has to go when somebody has too many, or all together.
#include <catch2/catch.hpp>

#include "fragment_bench.h"

using namespace culvert::test;

namespace {

constexpr Piece kFirst{0, 8, true}, kMiddle{8, 8, true}, kLast{16, 5, false};

}  // namespace

TEST_CASE("RFC 4787 REQ-14a: whoever is over his share loses his oldest datagram, and nobody else any",
          "[dataplane][fragments]") {
  CHECK(Reassembly::share_of(8) == 8);
  CHECK(Reassembly::share_of(200) == 121);  // a large datagram and one fragment more
  CHECK(Reassembly::share_of(484) == 121);
  CHECK(Reassembly::share_of(4000) == 1000);
  BufferPool pool = test_buffers(810, 1500);
  FragmentBench bench(pool, 800);
  constexpr uint16_t kDatagrams = 100;  // of two fragments: all of his share
  for (uint16_t id = 0; id < kDatagrams; id++) {
    for (const uint32_t host : {1, 2}) {
      bench.add(host, id, kFirst);
      bench.add(host, id, kLast);
    }
  }
  CHECK(bench.waiting.held() == 2 * Reassembly::share_of(800));
  CHECK(bench.all_drops() == 0);
  CHECK_FALSE(bench.completes(1, 5, kFirst));  // what needs no room takes none
  CHECK(bench.drops(DropReason::fragment_duplicate) == 1);
  CHECK(bench.drops(DropReason::fragment_limit) == 0);
  bench.add(1, kDatagrams, kFirst);
  CHECK(bench.drops(DropReason::fragment_limit) == 2);
  bench.add(1, kDatagrams, kLast);  // takes up what the two left
  CHECK(bench.drops(DropReason::fragment_limit) == 2);
  bench.add(1, kDatagrams + 1, kFirst);
  CHECK(bench.drops(DropReason::fragment_limit) == 4);
  // His first two went, and stay refused. Of the other host none did.
  CHECK_FALSE(bench.completes(1, 0, kMiddle));
  CHECK_FALSE(bench.completes(1, 1, kMiddle));
  CHECK(bench.drops(DropReason::fragment_limit) == 6);
  for (uint16_t id = 2; id <= kDatagrams; id++) CHECK(bench.completes(1, id, kMiddle));
  bench.add(2, kDatagrams, kFirst);
  CHECK(bench.drops(DropReason::fragment_limit) == 8);
  CHECK_FALSE(bench.completes(2, 0, kMiddle));
  for (uint16_t id = 1; id < kDatagrams; id++) CHECK(bench.completes(2, id, kMiddle));
  CHECK(bench.drops(DropReason::fragment_limit) == 9);
  CHECK(bench.accounts_are_right());
}

TEST_CASE("a fragment of the oldest datagram of one who has his share is refused with it",
          "[dataplane][fragments]") {
  BufferPool pool = test_buffers(300, 1500);
  FragmentBench bench(pool, 200);
  const uint32_t share = Reassembly::share_of(200);
  for (uint16_t id = 0; id < share; id++) bench.add(1, id, kFirst);
  CHECK(bench.all_drops() == 0);
  CHECK_FALSE(bench.completes(1, 0, kMiddle));
  CHECK(bench.drops(DropReason::fragment_limit) == 2);
  CHECK(bench.waiting.held() == share - 1);
  CHECK(bench.accounts_are_right());
}

TEST_CASE("RFC 4787 REQ-14a: when all room is taken the hoarder's oldest goes, and no single datagram",
          "[dataplane][fragments]") {
  BufferPool pool = test_buffers(510, 1500);
  constexpr uint32_t kHoarder = 9999;
  FragmentBench bench(pool, 500);
  REQUIRE(Reassembly::share_of(500) == 125);
  for (uint32_t host = 0; host < 412; host++) bench.add(host, 1, kFirst);
  for (uint16_t id = 0; id < 44; id++) {
    bench.add(kHoarder, id, kFirst);
    bench.add(kHoarder, id, kLast);
  }
  CHECK(bench.waiting.held() == 500);
  CHECK(bench.all_drops() == 0);
  // While he has more than a quarter of a share, 31, newcomers find room at his expense: two a datagram.
  uint32_t newcomer = 1000;
  for (unsigned gone = 1; gone <= 29; gone++) {
    for (const unsigned n : {1, 2}) {
      CAPTURE(gone, n);
      bench.add(newcomer++, 1, kFirst);
      CHECK(bench.drops(DropReason::fragment_limit) == 2 * gone);
    }
  }
  CHECK(bench.waiting.held() == 500);
  // Now nobody hoards, and who came first goes first.
  bench.add(newcomer++, 1, kFirst);
  CHECK(bench.drops(DropReason::fragment_limit) == 59);
  CHECK_FALSE(bench.completes(0, 1, {8, 5, false}));
  CHECK(bench.drops(DropReason::fragment_limit) == 60);
  // Room for the fragment that makes the first of these whole; then there is enough.
  CHECK(bench.completes(2, 1, {8, 5, false}));
  CHECK(bench.drops(DropReason::fragment_limit) == 61);
  CHECK_FALSE(bench.completes(1, 1, {8, 5, false}));
  for (uint32_t host = 3; host < 412; host++) CHECK(bench.completes(host, 1, {8, 5, false}));
  for (uint32_t host = 1000; host < newcomer; host++) CHECK(bench.completes(host, 1, {8, 5, false}));
  for (uint16_t id = 29; id < 44; id++) CHECK(bench.completes(kHoarder, id, kMiddle));
  CHECK(bench.waiting.held() == 0);
  CHECK(bench.drops(DropReason::fragment_limit) == 62);
  CHECK(bench.accounts_are_right());
}

TEST_CASE("a flood of datagrams that are refused takes no room from those that wait, nor ends them",
          "[dataplane][fragments]") {
  BufferPool pool = test_buffers(64, 1500);
  FragmentBench bench(pool, 24);
  for (uint32_t host = 500; host < 510; host++) bench.add(host, 1, kFirst);
  const auto overlap = [&](uint32_t host) {
    bench.add(host, 1, {8, 8, true});
    bench.add(host, 1, {8, 16, true});
  };
  for (uint32_t host = 0; host < 400; host++) {
    overlap(host);
    CHECK(bench.waiting.held() == 10);
  }
  CHECK(bench.drops(DropReason::fragment_overlap) == 800);
  // As many as there are records for, less those that wait, are still refused; the others are forgotten.
  for (uint32_t host = 399; host >= 362; host--) bench.add(host, 1, kFirst);
  CHECK(bench.drops(DropReason::fragment_overlap) == 838);
  CHECK(bench.waiting.held() == 10);
  bench.add(361, 1, kFirst);
  CHECK(bench.drops(DropReason::fragment_overlap) == 838);
  CHECK(bench.waiting.held() == 11);
  for (uint32_t host = 500; host < 510; host++) CHECK(bench.completes(host, 1, {8, 8, false}));
  CHECK(bench.all_drops() == 838);
  CHECK(bench.accounts_are_right());
}
