/// libFuzzer target: any bytes as packets, through the very pipeline of the appliance — NAT44, DS-Lite and
/// NAT64 on two workers, with mappings to hit. Nothing crashes; and of every input it must hold that
///   - every packet that came in, and every error the box made, left it, was dropped for a counted reason or
///   went
///     to the kernel: none is lost, none is doubled;
///   - what left has right versions, lengths and IPv4 header checksums, and goes out on the right side;
///   - a packet whose transport checksum was right still has a right one, translated or answered;
///   - in the end no packet buffer is missing.
///
/// An input is a sequence of steps (see Input::step): a frame as it is, a frame with lengths and checksums
/// put right, an answer to (or an ICMP error about) something that left the box, time that passes. Without
/// the last three a fuzzer would have to guess checksums and ports before it got anywhere.
#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>

#include "box.h"
#include "frames.h"

using namespace culvert::fuzz;

namespace {

[[noreturn]] void fail(const std::string& what) {
  std::fprintf(stderr, "packet_fuzz: %s\n", what.c_str());
  std::abort();
}

/// Bytes, taken from the front; zeros when there are no more.
class Input {
 public:
  Input(const uint8_t* data, size_t size) : data_(data), left_(size) {}
  bool empty() const { return left_ == 0; }
  uint8_t byte() {
    if (left_ == 0) return 0;
    left_--;
    return *data_++;
  }
  uint16_t word() {
    const uint8_t high = byte();
    return static_cast<uint16_t>(high << 8 | byte());
  }
  Bytes bytes(size_t n) {
    n = std::min(n, left_);
    Bytes b(data_, data_ + n);
    data_ += n;
    left_ -= n;
    return b;
  }

 private:
  const uint8_t* data_;
  size_t left_;
};

class Run {
 public:
  Run() {
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
      give(Side::inside, 0, frame(p));
    if (outside_.size() != 9) fail(fmt::format("{} of 9 good packets went through", outside_.size()));
  }

  void step(Input& in) {
    const uint8_t op = in.byte();
    const unsigned worker = op >> 3 & 1;
    const Side side = (op & 16) != 0 ? Side::outside : Side::inside;
    switch (op & 7) {
      case 0:
      case 1: {  // a frame as it stands
        const uint16_t size = in.word() % 2000;
        give(side, worker, in.bytes(size));
        return;
      }
      case 2:
      case 3: {  // an IP packet, put right
        const uint16_t size = in.word() % 1600;
        Bytes packet = in.bytes(size);
        repair(packet);
        give(side, worker, frame(packet));
        return;
      }
      case 4:  // an answer to something that left, perhaps with other bytes here and there
      case 5: {
        const auto& sent = side == Side::outside ? outside_ : inside_;
        Bytes packet = sent.empty() ? Bytes{} : reply_to(sent[in.byte() % sent.size()]);
        const unsigned changes = in.byte() % 8;
        for (unsigned i = 0; i < changes && !packet.empty(); i++) {
          const uint16_t at = in.word();
          packet[at % packet.size()] ^= in.byte();
        }
        if ((op & 32) != 0) repair(packet);
        if ((op & 64) != 0 && !packet.empty()) packet.resize(in.word() % (packet.size() + 1));
        give(side, worker, frame(packet));
        return;
      }
      case 6: {  // an ICMP error about something that left
        const auto& sent = side == Side::outside ? outside_ : inside_;
        if (sent.empty()) return;
        Bytes about = sent[in.byte() % sent.size()];
        const uint8_t type = in.byte(), code = in.byte();
        const uint32_t word = in.word();
        const unsigned changes = in.byte() % 4;
        for (unsigned i = 0; i < changes && !about.empty(); i++) {
          const uint16_t at = in.word();
          about[at % about.size()] ^= in.byte();
        }
        if ((op & 64) != 0) about.resize(in.word() % (about.size() + 1));
        complain(side, worker, about, type, code, word);
        return;
      }
      case 7:
        box_.wait(Millis{1} + in.word() * 50u);
        collect(std::nullopt);
        return;
    }
  }

  void finish() {
    box_.wait(9'000'000);  // longer than every timer
    collect(std::nullopt);
    box_.wait(200'000);
    const auto live = [this](const culvert::dataplane::Counter culvert::dataplane::Counters::* counter) {
      return box_.sum([&](const culvert::dataplane::Counters& c) { return (c.*counter).get(); });
    };
    using C = culvert::dataplane::Counters;
    if (live(&C::mappings_live) + live(&C::sessions_live) + live(&C::blocks_live) +
            live(&C::subscribers_live) !=
        0)
      fail("something outlived every timer");
  }

 private:
  using Millis = culvert::fuzz::Millis;

  void give(Side side, unsigned worker, const Bytes& frame) {
    if (!box_.receive(side, worker, frame)) fail("no packet buffer");
    received_++;
    box_.settle();
    const bool ip = frame.size() >= 14 &&
                    ((frame[12] == 0x08 && frame[13] == 0) || (frame[12] == 0x86 && frame[13] == 0xdd));
    collect(ip ? transport_checksum_holds(packet_of(frame)) : std::nullopt);
  }

  /// The error of a router next to the box (or behind it) about a packet the box sent.
  void complain(Side side, unsigned worker, const Bytes& about, uint8_t type, uint8_t code, uint32_t word) {
    if (side == Side::outside) {
      if (about.size() < 20 || about[0] >> 4 != 4) return;
      const std::string to = fmt::format("{}.{}.{}.{}", about[12], about[13], about[14], about[15]);
      return give(side, worker, frame(ipv4("198.51.100.99", to, kIcmp, error(type, code, word, about))));
    }
    if (about.size() >= 40 && about[0] >> 4 == 6 && about[6] != 4) {
      Bytes p = ipv6("2001:db8:200::1", "2001:db8:200::1", kIcmp6, error(type, code, word, about));
      std::copy_n(about.begin() + 24, 16, p.begin() + 8);
      std::copy_n(about.begin() + 8, 16, p.begin() + 24);
      repair(p);
      return give(side, worker, frame(p));
    }
    const size_t inner = about.size() >= 60 && about[0] >> 4 == 6 ? 40 : 0;
    if (about.size() < inner + 20 || about[inner] >> 4 != 4) return;
    Bytes p =
        ipv4("192.168.1.2", "192.168.1.2", kIcmp, error(type, code, word, std::span(about).subspan(inner)));
    std::copy_n(about.begin() + static_cast<long>(inner) + 16, 4, p.begin() + 12);
    std::copy_n(about.begin() + static_cast<long>(inner) + 12, 4, p.begin() + 16);
    if (inner != 0) {
      Bytes outer(about.begin(), about.begin() + 40);
      std::swap_ranges(outer.begin() + 8, outer.begin() + 24, outer.begin() + 24);
      outer.insert(outer.end(), p.begin(), p.end());
      p = outer;
    }
    repair(p);
    give(side, worker, frame(p));
  }

  /// Judges what left. `good`: the packet that came in had a right transport checksum.
  void collect(std::optional<bool> good) {
    for (Sent& s : box_.sent()) {
      if (const std::string wrong = complaint(s); !wrong.empty()) fail(wrong);
      Bytes packet = packet_of(s.bytes);
      if (good == true && transport_checksum_holds(packet) == false)
        fail("a right transport checksum came out wrong");
      sent_++;
      auto& list = s.side == Side::outside ? outside_ : inside_;
      if (list.size() < 256) list.push_back(std::move(packet));
    }
    box_.sent().clear();
    const uint64_t made =
        box_.sum([](const culvert::dataplane::Counters& c) { return c.icmp_errors_sent.get(); });
    const uint64_t gone = sent_ + box_.drops() + box_.punted();
    if (received_ + made != gone)
      fail(fmt::format(
          "{} packets came in and {} were made, but {} left, {} were dropped and {} went to the kernel",
          received_, made, sent_, box_.drops(), box_.punted()));
  }

  Box box_{2};
  std::vector<Bytes> outside_, inside_;  ///< what left
  uint64_t received_ = 0, sent_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  {
    Run run;
    Input in(data, size);
    for (int steps = 0; !in.empty() && steps < 64; steps++) run.step(in);
    run.finish();
  }
  if (Box::missing_buffers() != 0) fail(fmt::format("{} packet buffers are missing", Box::missing_buffers()));
  return 0;
}
