#!/usr/bin/env python3
"""100,000 subscribers with 10 mappings each, through `culvert replay` and back to nothing.

    test/scale/run.py [--culvert build/tools/culvert] [--subscribers 100000] [--workers 1,4] [--keep]

A capture is made in which every subscriber — plain IPv4 ones, homes behind softwires, IPv6-only hosts — opens ten
flows (TCP, UDP, ICMP), mixed with everybody else's. What replay sends and what it puts on record must agree:

  - every packet went through, and no two flows have the same external address, port and protocol;
  - a subscriber has one external address (RFC 6888 REQ-2), and every port lies in a block that the log gives him;
  - no two subscribers' blocks overlap, and nobody has a block he does not need;
  - after the timeouts every block is released in the log, and no mapping, session or subscriber is left.

The last line is `passed=N failed=M`.
"""

import argparse
import json
import pathlib
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from checks import Checks  # noqa: E402

FLOWS = 10
SERVER = bytes([198, 51, 100, 7])
ICMP, TCP, UDP, ICMP6 = 1, 6, 17, 58
# The protocol of each of a subscriber's flows.
PROTOCOLS = [UDP, UDP, TCP, UDP, TCP, ICMP, UDP, TCP, UDP, UDP]
AFTR = bytes.fromhex("20010db8000a00000000000000000001")
NAT64 = bytes.fromhex("20010db80064000000000000") + SERVER
LONGEST_RUN = 900  # seconds of the capture's clock after its last packet

CONFIG = """
interfaces:
  - {{name: inside, device: net_null0, role: inside, mtu: 1600, next-hop-ipv4: "02:00:00:00:01:fe",
     next-hop-ipv6: "02:00:00:00:01:fe"}}
  - {{name: outside, device: net_null1, role: outside, next-hop-ipv4: "02:00:00:00:02:fe"}}
# The workers share capacities evenly and subscribers only nearly so: a fifth more than is needed.
capacity: {{subscribers: {subscribers}, mappings: {mappings}, sessions: 1000}}
instances:
  - name: plain
    type: nat44
    subscriber-match: [10.0.0.0/8]
    external-ip-address-pool: [203.0.112.0/24, 203.0.113.0/24, 203.0.114.0/24, 203.0.115.0/24]
  - name: homes
    type: ds-lite
    aftr-ipv6-addr: "2001:db8:a::1"
    subscriber-match: [{{subnet: "2001:db8:4000::/34", subscriber-mask-v6: 64}}]
    external-ip-address-pool: [203.0.120.0/24, 203.0.121.0/24]
  - name: phones
    type: nat64
    nat64-prefix: "2001:db8:64::/96"
    subscriber-match: ["2001:db8:8000::/34"]
    external-ip-address-pool: [203.0.124.0/24, 203.0.125.0/24]
"""


def kind_of(n):
    """Of ten subscribers four are plain, three are homes and three are phones."""
    return ("plain", "plain", "plain", "plain", "homes", "homes", "homes", "phones", "phones", "phones")[n % 10]


def plain_address(n):
    return struct.pack(">I", 0x0A000000 + n)


def ipv6_subscriber(n, home):
    return struct.pack(">IIQ", 0x20010DB8, (0x40000000 if home else 0x80000000) + n, 1)


def subscriber_name(n):
    """As the log writes it."""
    kind = kind_of(n)
    if kind == "plain":
        return ".".join(str(b) for b in plain_address(n))
    high = (0x4000 if kind == "homes" else 0x8000) + (n >> 16)
    low = n & 0xFFFF
    return f"2001:db8:{high:x}::/64" if low == 0 else f"2001:db8:{high:x}:{low:x}::/64"


def transport(protocol, port, number, v6):
    """A transport header that carries the flow's number where no NAT touches it."""
    if protocol == UDP:
        return struct.pack(">HHHHI", port, 53, 12, 0xBEEF, number)
    if protocol == TCP:
        return struct.pack(">HHIIBBHHH", port, 80, number, 0, 0x50, 2, 0xFFFF, 0, 0)
    return struct.pack(">BBHHHI", 128 if v6 else 8, 0, 0, port, 1, number)


def ipv4(source, protocol, payload):
    length = 20 + len(payload)
    a, b = struct.unpack(">HH", source)
    total = 0x4500 + length + 0x4000 + protocol + a + b + 0xC633 + 0x6407
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    return struct.pack(">HHIBBH", 0x4500, length, 0, 0x40, protocol, total ^ 0xFFFF) + source + SERVER + payload


def packet(n, flow):
    number, protocol = n * FLOWS + flow, PROTOCOLS[flow]
    port = 1024 + (number * 7919) % 60000
    kind = kind_of(n)
    if kind == "plain":
        return ipv4(plain_address(n), protocol, transport(protocol, port, number, False))
    if kind == "homes":  # all homes use the same addresses inside
        inner = ipv4(b"\xc0\xa8\x01\x02", protocol, transport(protocol, port, number, False))
        return struct.pack(">IHBB", 6 << 28, len(inner), 4, 64) + ipv6_subscriber(n, True) + AFTR + inner
    payload = transport(protocol, port, number, True)
    following = ICMP6 if protocol == ICMP else protocol
    return struct.pack(">IHBB", 6 << 28, len(payload), following, 64) + ipv6_subscriber(n, False) + NAT64 + payload


def write_capture(path, subscribers):
    record = struct.Struct("<IIII").pack
    at = 0
    with open(path, "wb") as out:
        out.write(struct.pack("<IHHIIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101))  # raw IP
        for flow in range(FLOWS):
            chunk = []
            for n in range(subscribers):
                data = packet(n, flow)
                seconds, micro = divmod(at, 1_000_000)
                chunk.append(record(1_700_000_000 + seconds, micro, len(data), len(data)))
                chunk.append(data)
                at += 20
            out.write(b"".join(chunk))


def read_flows(path):
    """(number of the flow, external address, port, protocol) of every packet that left."""
    data = memoryview(pathlib.Path(path).read_bytes())
    magic, link = struct.unpack_from("<I", data)[0], struct.unpack_from("<I", data, 20)[0]
    if magic not in (0xA1B2C3D4, 0xA1B23C4D) or link != 101:
        raise ValueError(f"{path}: not the capture that was asked for ({magic:#x}, link type {link})")
    at, header = 24, struct.Struct("<IIII").unpack_from
    ip = struct.Struct(">BBHHHBBHII").unpack_from
    while at < len(data):
        size = header(data, at)[2]
        at += 16
        fields = ip(data, at)
        protocol, source = fields[6], fields[8]
        l4 = at + 20
        if protocol == UDP:
            port, number = struct.unpack_from(">H", data, l4)[0], struct.unpack_from(">I", data, l4 + 8)[0]
        elif protocol == TCP:
            port, number = struct.unpack_from(">H", data, l4)[0], struct.unpack_from(">I", data, l4 + 4)[0]
        else:
            port, number = struct.unpack_from(">H", data, l4 + 4)[0], struct.unpack_from(">I", data, l4 + 8)[0]
        yield number, source, port, protocol
        at += size


RECORD = re.compile(r"\S+ block-(allocated|released) subscriber=(\S+) external=(\S+) ports=(\d+)-(\d+) ")


class Blocks:
    """What the log says: who was given which ports, and what was taken back."""

    def __init__(self, path):
        self.given = {}  # (address, first port) → (subscriber, last port)
        self.live = set()
        self.wrong = []
        with open(path) as lines:
            for line in lines:
                found = RECORD.match(line)
                if not found:
                    self.wrong.append(f"a line that is no record: {line.strip()}")
                    continue
                what, who, address, first, last = found.groups()
                a = [int(x) for x in address.split(".")]
                key = ((a[0] << 24) + (a[1] << 16) + (a[2] << 8) + a[3], int(first))
                if what == "allocated":
                    if key in self.given:  # hold-down is longer than this capture
                        self.wrong.append(f"given twice: {line.strip()}")
                    self.given[key] = (who, int(last))
                    self.live.add(key)
                elif key in self.live and self.given[key][0] == who:
                    self.live.remove(key)
                else:
                    self.wrong.append(f"released, but not his: {line.strip()}")


def judge(checks, name, subscribers, folder, stats):
    flows = subscribers * FLOWS
    seen, owners, address_of, blocks_used = bytearray(flows), {}, {}, {}
    blocks = Blocks(folder / "blocks.log")
    doubles = repeats = foreign = strays = unrecorded = 0
    for number, address, port, protocol in read_flows(folder / "outside.pcap"):
        n = number // FLOWS
        repeats += seen[number]
        seen[number] = 1
        doubles += owners.setdefault((address << 24) | (port << 8) | protocol, number) != number
        strays += address_of.setdefault(n, address) != address
        first = 1024 + (port - 1024) // 512 * 512
        block = blocks.given.get((address, first))
        if block is None or not first <= port <= block[1]:
            unrecorded += 1
            continue
        who = blocks_used.setdefault((address, first), n)
        foreign += who != n or block[0] != subscriber_name(n)
    checks.check(f"{name}: all {flows} packets went through, once", sum(seen) == flows and repeats == 0,
                 f"{sum(seen)} flows, {repeats} of them more than once; drops {stats['drops']}")
    checks.check(f"{name}: nothing was dropped", not stats["drops"], stats["drops"])
    checks.check(f"{name}: every external address, port and protocol is one flow's", doubles == 0, doubles)
    checks.check(f"{name}: every subscriber has one external address", strays == 0, strays)
    checks.check(f"{name}: every port lies in a block on record", unrecorded == 0, unrecorded)
    checks.check(f"{name}: every block on record is its user's", foreign == 0, foreign)
    checks.check(f"{name}: nobody was given a block he did not use", len(blocks.given) == len(blocks_used),
                 f"{len(blocks.given)} given, {len(blocks_used)} used")
    checks.check(f"{name}: the log is consistent", not blocks.wrong, blocks.wrong[:3])
    checks.check(f"{name}: every block was released", not blocks.live, f"{len(blocks.live)} were not")
    left = {k: stats[k] for k in ("subscribers", "mappings", "sessions", "blocks") if stats[k] != 0}
    checks.check(f"{name}: nothing is left after the timeouts", not left, left)
    checks.check(f"{name}: the counters agree", stats["mappings-created"] == flows
                 and stats["blocks-allocated"] == stats["blocks-released"] == len(blocks.given), stats)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--culvert", default="build/tools/culvert")
    parser.add_argument("--subscribers", type=int, default=100_000)
    parser.add_argument("--workers", default="1,4")
    parser.add_argument("--keep", action="store_true", help="keep captures and logs, and say where they are")
    arguments = parser.parse_args()

    checks = Checks()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="culvert-scale-"))
    try:
        (folder / "scale.yaml").write_text(CONFIG.format(subscribers=arguments.subscribers * 6 // 5 + 100,
                                                         mappings=arguments.subscribers * FLOWS * 6 // 5 + 1000))
        began = time.monotonic()
        write_capture(folder / "inside.pcap", arguments.subscribers)
        print(f"   {arguments.subscribers * FLOWS} packets of {arguments.subscribers} subscribers, made in "
              f"{time.monotonic() - began:.0f} s", flush=True)
        for workers in arguments.workers.split(","):
            began = time.monotonic()
            done = subprocess.run(
                [arguments.culvert, "replay", "-c", folder / "scale.yaml", "--inside", folder / "inside.pcap",
                 "--write-outside", folder / "outside.pcap", "--block-log", folder / "blocks.log", "--workers", workers,
                 "--until", str(LONGEST_RUN), "--stats", "--json"], capture_output=True, text=True, check=False)
            name = f"{workers} worker{'' if workers == '1' else 's'}"
            print(f"   {name}: replayed in {time.monotonic() - began:.0f} s", flush=True)
            if done.returncode != 0:
                checks.check(f"{name}: replay", False, f"exit code {done.returncode}: {done.stderr.strip()[-2000:]}")
                continue
            stats = json.loads(done.stdout)
            judge(checks, name, arguments.subscribers, folder, stats)
            if workers != "1":
                checks.check(f"{name}: packets went from worker to worker", stats["handed-over"] > 0, stats)
    finally:
        if arguments.keep:
            print(f"   kept in {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    sys.exit(checks.finish())


if __name__ == "__main__":
    main()
