#!/usr/bin/env python3
"""Writes the seed corpus of packet_fuzz: hand-made inputs, one for each thing worth starting from.

The format of an input is in packet_fuzz.cpp (Run::step). Run this after changing that:
    python3 test/fuzz/make_corpus.py test/fuzz/corpus/packet
"""

import ipaddress
import pathlib
import struct
import sys

VARIANTS = 12  # Box::kVariants
INSIDE, OUTSIDE = 0, 16
WORKER1, REPAIR, EXTENDED, CUT, PIECES = 8, 32, 32, 64, 128
OUTER, INNER, BOTH, ONE_BY_ONE, TAIL_LATER = 0, 1, 2, 4, 8
NAT44, DS_LITE, NAT64, WELL_KNOWN = range(4)
UDP, SYN, TCP, PING = 0, 16, 32, 48
NO_CHECKSUM, HAIRPIN = 64, 128
TWICE, LOST, OVERLAP, ELSEWHERE, LAST, SHORT, LONG, CHANGED = range(8)


def frame(data, flags=INSIDE):
    return bytes([flags]) + struct.pack(">H", len(data)) + data


def packet(data, flags=INSIDE):
    return bytes([2 | flags]) + struct.pack(">H", len(data)) + data


def reply(index, flags=OUTSIDE, changes=()):
    out = bytes([4 | flags, index, len(changes)])
    for at, xor in changes:
        out += struct.pack(">HB", at, xor)
    return out


def error(index, kind, code, word=0, flags=OUTSIDE, cut=None):
    out = bytes([6 | flags | (CUT if cut is not None else 0), index, kind, code]) + struct.pack(">HB", word, 0)
    return out + (struct.pack(">H", cut) if cut is not None else b"")


def recipe(how=OUTER, base=60, vary=0, order=0, faults=()):
    return bytes([how, base, vary, order, len(faults)]) + b"".join(struct.pack(">BBH", *f) for f in faults)


def own(what, size, cut=None, ports=0, flags=0, host=0):
    """A subscriber's packet; `cut`: the recipe of its pieces."""
    head = bytes([1 | (PIECES if cut is not None else 0), what | host << 2, ports, flags]) + struct.pack(">H", size)
    return head + (cut if cut is not None else b"")


def long_reply(index, size, cut=None, flags=OUTSIDE):
    head = bytes([5 | REPAIR | flags | (PIECES if cut is not None else 0), index]) + struct.pack(">HB", size, 0)
    return head + (cut if cut is not None else b"")


def router_error(index, kind, code, word=0, about_piece=False, extended=False):
    flags = (OUTSIDE if about_piece else 0) | (EXTENDED if extended else 0)
    return bytes([3 | flags, index, kind, code]) + struct.pack(">HB", word, 0)


def wait(ms):
    return bytes([7]) + struct.pack(">H", ms // 50)


def ipv4(source, destination, protocol, payload, options=b"", flags=0, ttl=64):
    header = bytes([0x40 | (5 + len(options) // 4), 0]) + struct.pack(">HHHBBH", 0, 1, flags, ttl, protocol, 0)
    return header + ipaddress.ip_address(source).packed + ipaddress.ip_address(destination).packed + options + payload


def ipv6(source, destination, following, payload):
    header = struct.pack(">IHBB", 6 << 28, len(payload), following, 64)
    return header + ipaddress.ip_address(source).packed + ipaddress.ip_address(destination).packed + payload


def udp(source, destination, payload=b"payload"):
    return struct.pack(">HHHH", source, destination, 8 + len(payload), 0) + payload


def tcp(source, destination, flags):
    return struct.pack(">HHIIBBHHH", source, destination, 1, 0, 0x50, flags, 0xFFFF, 0, 0)


def echo(kind, number):
    return struct.pack(">BBHHH", kind, 0, 0, number, 1) + b"ping"


def ethernet(kind, payload, vlan=None):
    tag = b"" if vlan is None else struct.pack(">HH", 0x8100, vlan)
    return bytes.fromhex("02c000000001020000000001") + tag + struct.pack(">H", kind) + payload


HOME, AFTR = "2001:db8:100::7", "2001:db8:a::1"
PHONE, SERVER6 = "2001:db8:200::7", "2001:db8:64::c633:6407"


def softwire(inner, options=b"", following=4):
    return ipv6(HOME, AFTR, following, options + inner)


def seeds():
    plain = ipv4("100.64.0.9", "198.51.100.7", 17, udp(1000, 53))
    yield "nat44-udp", packet(plain) + packet(plain, WORKER1) + reply(9)
    yield "nat44-tcp", packet(ipv4("100.64.0.9", "198.51.100.7", 6, tcp(1000, 80, 2))) + reply(9, changes=[(33, 0x10)])
    yield "nat44-echo", packet(ipv4("100.64.0.9", "198.51.100.7", 1, echo(8, 5))) + reply(9, OUTSIDE | WORKER1)
    yield "nat44-options", packet(ipv4("100.64.0.9", "198.51.100.7", 17, udp(1, 2), b"\x01\x01\x01\x00"))
    yield "nat44-source-route", packet(ipv4("100.64.0.9", "198.51.100.7", 17, udp(1, 2), b"\x83\x04\x04\x00"))
    yield "nat44-fragment", packet(ipv4("100.64.0.9", "198.51.100.7", 17, udp(1, 2), flags=0x2000))
    yield "nat44-ttl", packet(ipv4("100.64.0.9", "198.51.100.7", 17, udp(1, 2), ttl=1))
    yield "nat44-no-subscriber", packet(ipv4("10.9.9.9", "198.51.100.7", 17, udp(1, 2)))
    yield "nat44-big", packet(ipv4("100.64.0.9", "198.51.100.7", 17, udp(1, 2, bytes(1500)), flags=0x4000))
    yield "own-address", packet(ipv4("100.64.0.9", "10.255.0.1", 1, echo(8, 1)))
    yield "arp", frame(ethernet(0x0806, bytes(28)))
    yield "vlan", frame(ethernet(0x0800, plain, vlan=7))
    yield "padding", frame(ethernet(0x0800, plain + bytes(20)))
    yield "hairpin", b"".join(packet(ipv4("100.64.0.8", f"203.0.113.{n}", 17, udp(7, 1024 + n))) for n in range(12))
    yield "ds-lite-udp", packet(softwire(ipv4("192.168.1.9", "198.51.100.7", 17, udp(1000, 53)))) + reply(9)
    yield "ds-lite-tcp", packet(softwire(ipv4("192.168.1.9", "198.51.100.7", 6, tcp(1000, 80, 2)))) + reply(9)
    limit = b"\x04\x00\x04\x01\x04\x01\x00\x00"  # Linux's tunnel encapsulation limit
    yield "ds-lite-limit", packet(softwire(ipv4("192.168.1.9", "198.51.100.7", 17, udp(9, 53)), limit, 60))
    yield "ds-lite-ping-aftr", packet(ipv6(HOME, AFTR, 58, echo(128, 1)))
    yield "nat64-udp", packet(ipv6(PHONE, SERVER6, 17, udp(1000, 53))) + reply(9)
    yield "nat64-tcp", packet(ipv6(PHONE, SERVER6, 6, tcp(1000, 80, 2))) + reply(9)
    yield "nat64-echo", packet(ipv6(PHONE, SERVER6, 58, echo(128, 5))) + reply(9)
    yield "nat64-prefix-40", packet(ipv6(PHONE, "2001:db8:77c6:3364:7::", 17, udp(1000, 53))) + reply(9)
    yield "nat64-well-known", packet(ipv6(PHONE, "64:ff9b::808:808", 17, udp(1, 2))) + packet(
        ipv6(PHONE, "64:ff9b::a00:1", 17, udp(1, 2)))
    hops = b"\x11\x00\x01\x04\x00\x00\x00\x00"
    yield "nat64-extensions", packet(ipv6(PHONE, SERVER6, 0, hops + udp(1000, 53)))
    yield "nat64-fragment", packet(ipv6(PHONE, SERVER6, 44, b"\x11\x00\x00\x01\x00\x00\x00\x01" + udp(1, 2)))
    for n in range(9):  # answers to the mappings that are there at the start
        yield f"reply-{n}", reply(n) + reply(n, OUTSIDE | WORKER1) + wait(400_000) + reply(n)
        yield f"reply-changed-{n}", reply(n, OUTSIDE | REPAIR, [(13, 7), (21, 1)]) + reply(n, OUTSIDE, [(26, 0xFF)])
        yield f"reply-cut-{n}", bytes([4 | OUTSIDE | CUT, n, 0, 0, 27])
        for kind, code, word in ((3, 3, 0), (3, 4, 1400), (11, 0, 0), (12, 0, 0)):
            yield f"error-{kind}-{code}-{n}", error(n, kind, code, word) + error(n, kind, code, word, cut=28)
    for n in range(9):  # what came in is complained about from inside
        v6 = n >= 6
        for kind, code in ((1, 4), (2, 0), (3, 0), (4, 1)) if v6 else ((3, 3), (3, 4), (11, 1)):
            yield f"inside-error-{n}-{kind}-{code}", reply(n) + error(0, kind, code, 1280, flags=INSIDE)
    yield "tcp-life", b"".join((reply(1, changes=[(33, 0x10)]), reply(0, INSIDE, [(33, 0x02)]), wait(1000), reply(1, changes=[(33, 0x13)]),
                                reply(0, INSIDE, [(33, 0x13)]), wait(300_000), reply(1)))
    yield "many-ports", b"".join(packet(ipv4("100.64.0.9", "198.51.100.7", 17, udp(n, 53, b""))) for n in range(40))
    yield "many-homes", b"".join(packet(ipv4(f"100.64.{n}.9", "198.51.100.7", 17, udp(n, 53, b""))) for n in range(40))
    yield "short", b"".join(frame(ethernet(0x0800, plain)[:n]) for n in range(0, 42, 3))
    yield from fragment_seeds()
    yield from routed_seeds()


def fragment_seeds():
    """For every carriage: both ways, in every order, with every fault, large, and what is said about them."""
    index = {(NAT44, UDP): 0, (NAT44, PING): 2, (DS_LITE, UDP): 3, (DS_LITE, PING): 5, (NAT64, UDP): 6, (NAT64, PING): 8}
    for (carriage, protocol), n in index.items():
        what, name = carriage | protocol, f"{carriage}-{protocol}"
        for how in (OUTER, INNER, BOTH) if carriage == DS_LITE else (OUTER,):
            yield f"fragments-{name}-{how}", b"".join(own(what, 3000, recipe(how, 150, order=o)) for o in (0, 1, 7))
        yield f"fragments-in-{name}", b"".join(long_reply(n, s, recipe(0, 150, 20, o)) for s, o in ((3000, 0), (1500, 1), (4000, 9)))
        yield f"fragments-big-{name}", own(what, 65507, recipe(0, 180)) + long_reply(n, 65507, recipe(0, 180, 9, 5)) + long_reply(n, 65400, recipe(0, 170))
        yield f"fragments-tiny-{name}", own(what, 300, recipe(0, 0, 0, 3)) + long_reply(n, 300, recipe(ONE_BY_ONE, 0, 3, 1))
        yield f"fragments-later-{name}", own(what, 2000, recipe(TAIL_LATER, 60, 0, 5)) + own(what, 2000, recipe(TAIL_LATER, 60)) + wait(1000) + long_reply(
            n, 2000, recipe(TAIL_LATER, 60)) + wait(3000)
        for fault in range(8):
            yield f"fragments-fault{fault}-{name}", own(what, 1200, recipe(0, 40, 0, 0, [(fault, 1, 24)])) + long_reply(
                n, 1200, recipe(0, 40, 0, 1, [(fault, 0, 17)])) + own(what, 900, recipe(0, 30))
        yield f"fragments-errors-{name}", own(what, 2500, recipe(0, 120)) + error(9, 3, 4, 1300) + error(9, 11, 1) + long_reply(n, 1472) + long_reply(
            n, 2500, recipe(0, 120)) + error(1, 3 if carriage != NAT64 else 2, 4 if carriage != NAT64 else 0, 1280, INSIDE)
        yield f"error-extended-{name}", error(n, 11, 0, 0, OUTSIDE | EXTENDED) + bytes([6 | OUTSIDE | EXTENDED | PIECES, n, 3, 3, 0, 0, 0]) + recipe(0, 6)
        yield f"no-checksum-{name}", own(what | NO_CHECKSUM, 2500, recipe(0, 150)) + own(what | NO_CHECKSUM, 50)
        yield f"hairpin-{name}", own(what | HAIRPIN, 100, host=1) + own(what | HAIRPIN, 2500, recipe(0, 120), ports=3) + own(
            what | HAIRPIN, 2500, recipe(0, 90, 30, 4), ports=6) + long_reply(0, 2000, recipe(0, 90), INSIDE) + error(0, 3, 3, 0, INSIDE)
    for about_piece in (False, True):
        yield f"softwire-error-{about_piece:d}", reply(3) + long_reply(3, 1472) + b"".join(
            router_error(i, kind, 0, 1400, about_piece, extended) for i in (0, 1) for kind in (1, 2, 3) for extended in (False, True))
    for carriage in (NAT44, DS_LITE, NAT64):
        for how in (OUTER, INNER):  # two subscribers' datagrams of one identification, one in the midst of the other
            yield f"same-identification-{carriage}-{how}", b"".join(own(carriage | UDP, 900, recipe(how | later, 40, 0, 0), host=h)
                                                                     for later in (TAIL_LATER, 0) for h in (0, 1))
            # The first piece of one and the rest of the other must not become a datagram.
            first, rest = recipe(how, 40, 0, 0, [(LOST, 1, 0), (LOST, 1, 0)]), recipe(how, 40, 0, 0, [(LOST, 0, 0)])
            yield f"half-and-half-{carriage}-{how}", b"".join(own(carriage | UDP, 900, cut, host=h)
                                                              for other in (1, 2, 3) for h, cut in ((0, first), (other, rest)))
    yield "many-fragments", b"".join(own(NAT44, 65507, recipe(0, 61, 0, o), host=o % 4) for o in range(5))
    yield "floods", b"".join(own(NAT44, 600, recipe(0, 2, 0, 0, [(LOST, 1, 0)]), host=0) for _ in range(30)) + own(NAT44, 3000, recipe(0, 150), host=1)


def routed_seeds():
    """What is only routed: servers 8 to 11 by address, 12 to 15 by port 80; both ways, in pieces, and told of."""
    for protocol in (UDP, SYN, TCP, PING):
        for server in (8, 11, 12, 15):
            ports = (server - 1) << 4
            whole, cut = own(protocol, 700, ports=ports), own(protocol, 3000, recipe(0, 150, 0, 1), ports=ports)
            back = reply(9) + reply(9, OUTSIDE | REPAIR, [(21, 1)]) + long_reply(9, 1400) + long_reply(9, 3000, recipe(0, 100, 20, 3))
            told = error(9, 3, 4, 1280) + error(9, 11, 0) + reply(9) + error(0, 3, 3, 0, INSIDE)
            yield f"routed-{protocol}-{server}", whole + cut + back + own(protocol, 100, ports=ports, flags=4) + told
    for server in (8, 12):  # too long for the way out, with DF and without
        yield f"routed-big-{server}", b"".join(own(TCP, 1400, ports=(server - 1) << 4, flags=f) for f in (0, 1)) + long_reply(9, 1480)
    # ICMP of a type that nobody knows, its checksum wrong.
    yield "routed-unknown-icmp", own(PING, 700, ports=10 << 4) + reply(9, OUTSIDE, [(20, 9)])


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    for number, (name, data) in enumerate(seeds()):
        (folder / name).write_bytes(bytes([number % VARIANTS]) + data)


main()
