/// libFuzzer target: any bytes as packets, through the very pipeline of the appliance — NAT44, DS-Lite and
/// NAT64 on two workers, with mappings to hit. Nothing crashes; and of every input it must hold that
///   - the books are right: packets that came in, errors the box made and pieces it cut left it, were dropped
///     for a counted reason, went to the kernel, wait for the rest of their datagram or became one with it;
///   - what left has right versions, lengths and IPv4 header checksums, fits the MTU, goes out on the right
///     side, and its fragments make whole datagrams (joiner.h);
///   - a datagram whose transport checksum was right still has a right one, translated or answered; its
///   payload
///     is what it was, byte for byte; ICMP errors have right checksums always;
///   - what is delivered is delivered to him whose mapping it was for (owners.h);
///   - in the end no packet buffer is missing, and nothing has outlived its timer.
///
/// An input is a byte for the box (Box::variant) and a sequence of steps (see Run::step): a frame as it is, a
/// frame with lengths and checksums put right, a valid packet, an answer to (or an ICMP error about)
/// something that left the box, time that passes; all but the first two whole or in fragments (cutter.h).
/// Without them a fuzzer would have to guess checksums and ports before it got anywhere.
#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>
#include <set>
#include <string>
#include <utility>

#include "box.h"
#include "complaints.h"
#include "cutter.h"
#include "frames.h"
#include "input.h"
#include "joiner.h"
#include "owners.h"
#include "stacks.h"

using namespace culvert::fuzz;

namespace {

using culvert::dataplane::Counters;

[[noreturn]] void fail(const std::string& what) {
  std::fprintf(stderr, "packet_fuzz: %s\n", what.c_str());
  std::abort();
}

class Run {
 public:
  explicit Run(unsigned variant) : box_(Box::variant(variant), 1) {
    // One mapping of every protocol in every carriage.
    for (const Bytes& p : {
             ipv4("100.64.0.1", "198.51.100.1", kUdp, udp(4000, 53)),
             ipv4("100.64.0.1", "198.51.100.1", kTcp, tcp(4000, 80, kSyn)),
             ipv4("100.64.0.1", "198.51.100.1", kIcmp, echo(8, 77)),
             ipv6("2001:db8:100::1", "2001:db8:a::1", 4,
                  ipv4("192.168.1.2", "198.51.100.1", kUdp, udp(4000, 53))),
             ipv6("2001:db8:100::1", "2001:db8:a::1", 4,
                  ipv4("192.168.1.2", "198.51.100.1", kTcp, tcp(4000, 80, kSyn))),
             ipv6("2001:db8:100::1", "2001:db8:a::1", 4,
                  ipv4("192.168.1.2", "198.51.100.1", kIcmp, echo(8, 77))),
             ipv6("2001:db8:200::1", "2001:db8:64::c633:6401", kUdp, udp(4000, 53)),
             ipv6("2001:db8:200::1", "2001:db8:64::c633:6401", kTcp, tcp(4000, 80, kSyn)),
             ipv6("2001:db8:200::1", "2001:db8:64::c633:6401", kIcmp6, echo(128, 77)),
         })
      give(Side::inside, 0, p);
    if (outside_.size() != 9) fail(fmt::format("{} of 9 good packets went through", outside_.size()));
  }

  void step(Input& in) {
    const uint8_t op = in.byte();
    worker_ = op >> 3 & 1;
    const Side side = (op & 16) != 0 ? Side::outside : Side::inside;
    const bool in_pieces = (op & 128) != 0;
    switch (op & 7) {
      case 0: {  // a frame as it stands
        const uint16_t size = in.word() % 2000;
        give_frame(side, worker_, in.bytes(size));
        return;
      }
      case 2: {  // an IP packet, put right
        const uint16_t size = in.word() % 1600;
        Bytes packet = in.bytes(size);
        repair(packet);
        give(side, worker_, packet);
        return;
      }
      case 1:  // a subscriber's packet
        return give(Side::inside, in_pieces, subscribers_packet(in, outside_), in);
      case 4:  // an answer to something that left, perhaps with other bytes here and there
      case 5: {
        const auto& sent = side == Side::outside ? outside_ : inside_;
        Bytes packet = sent.empty() ? Bytes{} : reply_to(sent[in.byte() % sent.size()]);
        if ((op & 1) != 0) resize_payload(packet, in.word());
        change(packet, in.byte() % 8, in);
        if ((op & 32) != 0) repair(packet);
        if ((op & 64) != 0 && !packet.empty()) packet.resize(in.word() % (packet.size() + 1));
        return give(side, in_pieces, packet, in);
      }
      case 3:    // an access router's ICMPv6 error about a softwire's packet that left, or its first piece
      case 6: {  // an ICMP error about something that left
        const bool router = (op & 7) == 3;
        const auto& sent = side == Side::outside && !router ? outside_ : inside_;
        if (sent.empty()) return;
        Bytes about = sent[in.byte() % sent.size()];
        Trouble trouble{in.byte(), in.byte(), in.word()};
        trouble.extended = (op & 32) != 0;
        change(about, in.byte() % 4, in);
        if ((op & 64) != 0) about.resize(in.word() % (about.size() + 1));
        if (router && side == Side::outside && about.size() > 64)
          if (const auto pieces = cut_evenly(about, 7, about.size() / 16 * 8); !pieces.empty())
            about = pieces.front();
        about.resize(std::min<size_t>(about.size(), 1200));
        owners_.tag_quoted(about);
        Bytes packet = router ? router_error_about(about, trouble) : error_about(about, side, trouble);
        quoted_ = true;
        give(router ? Side::inside : side, in_pieces, packet, in);
        quoted_ = false;
        return;
      }
      case 7:
        box_.wait(Millis{1} + in.word() * 50u);
        collect(std::nullopt);
        give_later();
        return;
    }
  }

  void finish() {
    give_later();
    box_.wait(9'000'000);  // longer than every timer
    collect(std::nullopt);
    box_.wait(200'000);
    if (live(&Counters::mappings_live) + live(&Counters::sessions_live) + live(&Counters::blocks_live) +
            live(&Counters::subscribers_live) + live(&Counters::fragments_held) !=
        0)
      fail("something outlived every timer");
    if (std::getenv("PACKET_FUZZ_TELL") != nullptr) tell();
  }

 private:
  using Millis = culvert::fuzz::Millis;
  struct Later {
    Side side;
    std::vector<Bytes> packets;
  };

  uint64_t live(const culvert::dataplane::Counter Counters::* counter) const {
    return box_.sum([&](const Counters& c) { return (c.*counter).get(); });
  }

  /// With PACKET_FUZZ_TELL in the environment: what became of an input's packets, for who writes seeds.
  void tell() const {
    std::string text = fmt::format(
        "{} came in, {} left, {} pieces were joined, {} cut, {} deliveries proven;", received_, sent_,
        live(&Counters::fragments_merged), live(&Counters::fragments_cut), owners_.proven());
    for (size_t r = 0; r < culvert::dataplane::kDropReasonCount; r++)
      if (const uint64_t n = box_.sum([&](const Counters& c) { return c.drops[r].get(); }); n != 0)
        text += fmt::format(" {} {}", n, culvert::dataplane::kDropReasons[r].name);
    std::printf("%s\n", text.c_str());
  }

  static void change(Bytes& packet, unsigned changes, Input& in) {
    for (unsigned i = 0; i < changes && !packet.empty(); i++) {
      const uint16_t at = in.word();
      packet[at % packet.size()] ^= in.byte();
    }
  }

  /// A packet, in pieces when it is to be or is too long for a frame.
  void give(Side side, bool in_pieces, Bytes packet, Input& in) {
    if (packet.empty()) return;
    if (!quoted_) owners_.tag(packet, side);
    if (!in_pieces && packet.size() <= kMostPiece) return give_frame(side, worker_, frame(packet));
    Pieces pieces = cut(packet, identification(packet), in);
    if (pieces.altered) {
      owners_.alter(packet);
      // A fault may have made up a tag that the packet did not have.
      for (const Bytes& piece : pieces.packets) owners_.alter(piece);
    }
    const size_t now = pieces.packets.size() - pieces.later;
    Later later{side, {pieces.packets.begin() + static_cast<long>(now), pieces.packets.end()}};
    pieces.packets.resize(now);
    give_all(side, pieces.packets, pieces.in_bursts ? culvert::dataplane::kBurst : 1);
    give_later();  // of the one before, whose fragments were waiting all the time
    later_ = std::move(later);
  }
  /// What was used once before, if by other addresses: those datagrams must not be mixed up.
  uint32_t identification(const Bytes& packet) {
    const size_t from = packet[0] >> 4 == 6 ? 8 : 12,
                 to = std::min<size_t>(packet.size(), from == 8 ? 40 : 20);
    const std::string flow(packet.begin() + static_cast<long>(std::min(from, to)),
                           packet.begin() + static_cast<long>(to));
    const unsigned n = datagrams_++;
    auto id = static_cast<uint32_t>(mixed(n / 2));
    if (!identified_.emplace(flow, id & 0xffff).second) id = static_cast<uint32_t>(mixed(1'000'000 + n));
    return id;
  }
  void give(Side side, unsigned worker, Bytes packet) {
    owners_.tag(packet, side);
    give_frame(side, worker, frame(packet));
  }
  /// The pieces that were kept back.
  void give_later() {
    const Later later = std::exchange(later_, {});
    give_all(later.side, later.packets, culvert::dataplane::kBurst);
  }
  /// Odd bursts come to the other worker.
  void give_all(Side side, const std::vector<Bytes>& packets, size_t burst) {
    for (size_t at = 0; at < packets.size(); at += burst) {
      std::vector<Bytes> frames;
      for (size_t i = at; i < std::min(at + burst, packets.size()); i++) frames.push_back(frame(packets[i]));
      const std::vector<std::span<const uint8_t>> spans(frames.begin(), frames.end());
      if (!box_.receive(side, worker_++, spans)) fail("no packet buffer");
      received_ += frames.size();
      box_.settle();
      collect(std::nullopt);
    }
  }

  void give_frame(Side side, unsigned worker, const Bytes& frame) {
    if (!box_.receive(side, worker, frame)) fail("no packet buffer");
    received_++;
    box_.settle();
    const bool ip = frame.size() >= 14 &&
                    ((frame[12] == 0x08 && frame[13] == 0) || (frame[12] == 0x86 && frame[13] == 0xdd));
    collect(ip ? transport_checksum_holds(packet_of(frame)) : std::nullopt);
  }

  /// Judges what left. `good`: the packet that came in had a right transport checksum.
  void collect(std::optional<bool> good) {
    std::array<Joiner, 2> joiners;
    for (const Sent& s : box_.sent()) {
      if (const std::string wrong = complaint(s); !wrong.empty()) fail(wrong);
      sent_++;
      if (is_routed_piece(s)) continue;
      std::vector<Bytes> whole;
      if (const auto wrong = joiners[static_cast<size_t>(s.side)].add(packet_of(s.bytes), whole);
          !wrong.empty())
        fail(wrong);
      for (Bytes& packet : whole) judge(packet, s.side, good);
    }
    if (joiners[0].open() + joiners[1].open() != 0)
      fail("some fragments of a datagram left, and some did not");
    box_.sent().clear();
    if (box_.datagrams_in_use() != 0) fail("a buffer of a whole datagram is still in use");
    const uint64_t made = live(&Counters::icmp_errors_sent), cut = live(&Counters::fragments_cut);
    const uint64_t held = live(&Counters::fragments_held), merged = live(&Counters::fragments_merged);
    if (received_ + made + cut != sent_ + box_.drops() + box_.punted() + held + merged)
      fail(fmt::format(
          "{} packets came in, {} were made and {} cut, but {} left, {} were dropped, {} went to the "
          "kernel, {} are held and {} merged",
          received_, made, cut, sent_, box_.drops(), box_.punted(), held, merged));
  }

  /// A router forwards the pieces of a datagram one by one, in whatever order and number they come.
  static bool is_routed_piece(const Sent& s) {
    const Bytes packet = packet_of(s.bytes);
    const auto l = layout_of(packet);
    if (!l || l->version != 4 || l->softwire || !l->fragment) return false;
    const uint32_t from = get32(packet, 12), to = get32(packet, 16);
    return s.side == Side::outside ? Box::passes_through(from, to, {}) : Box::passes_through(to, from, {});
  }

  void judge(Bytes& packet, Side side, std::optional<bool> good) {
    // What was joined must be right like any other packet; it may be as long as it likes.
    if (const auto wrong = complaint({side, frame(packet), 0xffff + 40, true}); !wrong.empty())
      fail("joined again: " + wrong);
    if (good == true && transport_checksum_holds(packet) == false)
      fail("a right transport checksum came out wrong");
    if (const auto wrong = owners_.judge(packet, side, box_.now()); !wrong.empty()) fail(wrong);
    auto& list = side == Side::outside ? outside_ : inside_;
    if (list.size() < 256) list.push_back(std::move(packet));
  }

  Box box_;
  Owners owners_;
  std::vector<Bytes> outside_, inside_;  ///< what left, joined again
  Later later_{};
  uint64_t received_ = 0, sent_ = 0;
  unsigned worker_ = 0;
  unsigned datagrams_ = 0;                                 ///< that were cut
  std::set<std::pair<std::string, unsigned>> identified_;  ///< by addresses and identification
  bool quoted_ = false;                                    ///< what is given is tagged already
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  {
    Input in(data, size);
    Run run(in.byte() % Box::kVariants);
    for (int steps = 0; !in.empty() && steps < 64; steps++) run.step(in);
    run.finish();
  }
  if (Box::missing_buffers() != 0) fail(fmt::format("{} packet buffers are missing", Box::missing_buffers()));
  return 0;
}
