/// Proves that the fences of sanitizer builds hold (src/dataplane/packet.h): this program has a pipeline that
/// believes IPv4 packets which claim one byte more than there is — parse.h with that mistake put in by the
/// build — and every packet below makes it read that one byte, somewhere along its way. Each must end in
/// AddressSanitizer's report; the same packets without the lie must go through. Exit code 0: all did.
#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <functional>

#include "box.h"
#include "frames.h"

using namespace culvert::fuzz;

namespace {

struct Case {
  std::string name;
  std::function<void(Box&, bool lie)> run;
};

/// Lets the IPv4 header at `ip` claim one byte more; `udp`: the UDP header behind it, too.
Bytes lying(Bytes packet, size_t ip, bool udp) {
  const unsigned total = 1u + static_cast<unsigned>(packet[ip + 2] << 8 | packet[ip + 3]);
  packet[ip + 2] = static_cast<uint8_t>(total >> 8);
  packet[ip + 3] = static_cast<uint8_t>(total);
  uint32_t sum = 0;
  packet[ip + 10] = packet[ip + 11] = 0;
  for (size_t i = 0; i < 20; i += 2) sum += static_cast<uint32_t>(packet[ip + i] << 8 | packet[ip + i + 1]);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = ~((sum & 0xffff) + (sum >> 16));
  packet[ip + 10] = static_cast<uint8_t>(sum >> 8);
  packet[ip + 11] = static_cast<uint8_t>(sum);
  if (udp) packet[ip + 25]++;
  return packet;
}

/// A mapping of the phone; what its packet looks like outside.
Bytes phone_outside(Box& box) {
  box.receive(Side::inside, 0, frame(ipv6("2001:db8:200::1", "2001:db8:64::c633:6401", kUdp, udp(4000, 53))));
  box.settle();
  if (box.sent().size() != 1) throw std::runtime_error("the phone's packet did not go through");
  return packet_of(box.sent().front().bytes);
}

std::vector<Case> cases() {
  std::vector<Case> all;
  for (size_t length = 29; length <= 45; length++) {
    // Received, parsed, its checksum computed over what it says it has.
    all.push_back({fmt::format("an ICMP error about {} bytes", length), [length](Box& box, bool lie) {
                     Bytes p =
                         ipv4("198.51.100.1", "203.0.113.1", kIcmp, error(3, 3, 0, Bytes(length, 0x45)));
                     box.receive(Side::outside, 0, frame(lie ? lying(p, 0, false) : p));
                   }});
    // The same inside a softwire: the border is the end of the outer packet.
    all.push_back(
        {fmt::format("an ICMP error about {} bytes in a softwire", length), [length](Box& box, bool lie) {
           Bytes p = ipv4("192.168.1.2", "198.51.100.1", kIcmp, error(3, 3, 0, Bytes(length, 0x45)));
           if (lie) p = lying(p, 0, false);
           Bytes outer = ipv6("2001:db8:100::1", "2001:db8:a::1", 59, p);
           outer[6] = 4;
           box.receive(Side::inside, 0, frame(outer));
         }});
    // Through both workers: handed over by ring, and read while it is rewritten for the phone.
    all.push_back(
        {fmt::format("a UDP answer of {} bytes handed over by ring", length), [length](Box& box, bool lie) {
           const Bytes asked = phone_outside(box);
           const auto owner = box.engine().worker(0).binding().mappings().size() == 1 ? 0u : 1u;
           Bytes p = reply_to(asked);
           p.resize(28 + length);
           repair(p);
           p[26] = p[27] = 0;  // no UDP checksum: one is computed for IPv6 (RFC 7915 §4.5)
           box.receive(Side::outside, 1 - owner, frame(lie ? lying(p, 0, true) : p));
         }});
  }
  return all;
}

/// Runs a case in a process of its own. Its exit status and what it said.
int outcome(const Case& c, bool lie, std::string* said) {
  int pipe_ends[2];
  if (pipe(pipe_ends) != 0) return -1;
  const pid_t child = fork();
  if (child == 0) {
    dup2(pipe_ends[1], STDERR_FILENO);
    close(pipe_ends[0]);
    Box box(2);
    c.run(box, lie);
    box.settle();
    _exit(0);
  }
  close(pipe_ends[1]);
  char buffer[4096];
  for (ssize_t n; (n = read(pipe_ends[0], buffer, sizeof buffer)) > 0;)
    said->append(buffer, static_cast<size_t>(n));
  close(pipe_ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  return status;
}

}  // namespace

int main() {
  unsigned passed = 0, failed = 0;
  for (const Case& c : cases()) {
    std::string honest, caught;
    const bool clean = outcome(c, false, &honest) == 0;
    const bool crashed = outcome(c, true, &caught) != 0;
    // Which of the two it is called depends on where the read began.
    const bool report = caught.find("AddressSanitizer: use-after-poison") != std::string::npos ||
                        caught.find("AddressSanitizer: unknown-crash") != std::string::npos;
    if (clean && crashed && report) {
      passed++;
      continue;
    }
    failed++;
    const std::string said = (clean ? caught : honest).substr(0, 500);
    std::printf("%s: %s\n%s\n", c.name.c_str(), clean ? "went unnoticed" : "crashed without an over-read",
                said.c_str());
  }
  std::printf("passed=%u failed=%u\n", passed, failed);
  return failed == 0 && passed != 0 ? 0 : 1;
}
