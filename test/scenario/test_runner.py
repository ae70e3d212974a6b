#!/usr/bin/python3
"""Tests of the scenario runner itself: the language, the dissector, and how failures are told.

The box is played by a toy NAT44 of a few lines (this file with --toy as its first argument), which can be asked to
misbehave: TOY=wrong-port and so on.
"""

import ipaddress
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
from lib import fragments, replay, verify  # noqa: E402
from lib.build import build, build_frame  # noqa: E402
from lib.dissect import dissect_frame, errors_of  # noqa: E402
from lib.language import Layer, LanguageError, parse_packet, substitute, symbols_of  # noqa: E402
from lib.match import Mismatch, match_packet  # noqa: E402
from lib.render import render  # noqa: E402
from lib.scenario import _expand, _lines  # noqa: E402

EXTERNAL = ipaddress.IPv4Address("203.0.113.1")


def toy(argv):
    """A NAT44 for UDP: enough of `culvert replay` to try the runner with."""
    option = dict(zip(argv, argv[1:]))
    misbehaviour = os.environ.get("TOY", "")
    dice = random.Random(None if misbehaviour == "random" else int(option["--seed"]))
    frames = []
    for side in ("inside", "outside"):
        frames += [(t, side, d) for t, d in replay.read_capture(option[f"--{side}"], "ethernet")]
    mappings, drops, out, log = {}, {}, {"inside": [], "outside": []}, ""
    for time, side, data in sorted(frames, key=lambda f: f[0]):
        layers = dissect_frame(data, "ethernet")[1:]
        if errors_of(layers):
            drops["malformed-ipv4"] = drops.get("malformed-ipv4", 0) + 1
            continue
        ip, udp = layers[0].fields, layers[1].fields
        ip["ttl"] -= 1
        if side == "inside":
            inner = (ip["src"], udp["sport"])
            if inner not in mappings:
                mappings[inner] = dice.randrange(1024, 1536)
                log += "2023-11-14T22:13:20.000Z block-allocated subscriber=%s external=%s ports=1024-1535\n" % (
                    ip["src"], EXTERNAL)
            ip["src"], udp["sport"] = EXTERNAL, mappings[inner] + (misbehaviour == "wrong-port" and time > 0)
        else:
            inner = next((i for i, p in mappings.items() if p == udp["dport"]), None)
            if inner is None:
                drops["no-mapping"] = drops.get("no-mapping", 0) + 1
                continue
            ip["dst"], udp["dport"] = inner
        for layer in layers:
            for name in ("checksum", "len", "ihl", "proto", "dscp", "ecn"):
                layer.fields.pop(name, None)
        other = "outside" if side == "inside" else "inside"
        mac = {"inside": "02:00:00:00:01:fe", "outside": "02:00:00:00:02:fe"}[other]
        if misbehaviour == "bad-checksum":
            layers[1].fields["bad-checksum"] = True
        frame = build([Layer("eth", {"src": "02:00:00:00:00:01", "dst": mac})] + layers)
        if misbehaviour != "silent":
            out[other].append((time, frame, len(frame)))
        if misbehaviour == "double":
            out[other].append((time, frame, len(frame)))
    for side in out:
        replay.write_capture(option[f"--write-{side}"], out[side], "ethernet")
    Path(option["--block-log"]).write_text(log)
    lost = {"forgotten": 1} if misbehaviour == "miscounts" else {}
    print(json.dumps({"drops": {**drops, **lost}, "mappings": len(mappings), "blocks": len(mappings)}))


def frame(text, link="raw"):
    return build_frame(parse_packet(text), link)[0]


def dissected(text, link="raw"):
    return dissect_frame(frame(text, link), link)


class Language(unittest.TestCase):
    PACKETS = [
        'ip 192.168.1.10 > 198.51.100.1 ttl=63 id=7 / udp 5000 > 53 / "hello"',
        "ip 192.168.1.10 > 198.51.100.1 ttl=63 tos=0xb8 df / tcp 5000 > 80 SA seq=7 ack=9 mss=1460 / len=100",
        "ip 192.0.2.1 > 198.51.100.1 ttl=9 opts=94040000 / icmp echo-request id=7 seq=2 / hex:00ff",
        "ip 192.0.2.1 > 198.51.100.1 / icmp dest-unreach code=4 mtu=1400 / [ip 198.51.100.1 > 192.0.2.1 / udp 1 > 2 / len=20]",
        "ip6 2001:db8::1 > 2001:db8::2 hl=5 tc=0xb8 flow=0x12345 / tcp 1 > 2 R",
        "ip6 2001:db8::1 > 2001:db8::2 / dstopts encap-limit=4 / ip 10.0.0.1 > 198.51.100.1 / udp 1 > 2 / len=1",
        "ip6 2001:db8::1 > 2001:db8::2 / icmp6 packet-too-big mtu=1280 / [ip6 2001:db8::2 > 2001:db8::1 / tcp 1 > 2 A]",
        "ip6 2001:db8::1 > 2001:db8::2 / icmp6 echo-reply id=3 / len=8",
        "ip6 2001:db8::1 > 2001:db8::2 / routing type=43 left=0 / tcp 1 > 2 A",
        "ip 192.0.2.1 > 198.51.100.1 / icmp time-exceeded / [ip 198.51.100.1 > 192.0.2.1 / udp 1 > 2 / len=7] ext=2000dfff",
        "ip6 ::1 > ::2 / icmp6 dest-unreach / [ip6 ::2 > ::1 / udp 1 > 2 / len=99] ext=aa*9",
    ]

    def test_what_is_built_is_dissected_without_errors_and_matches(self):
        for text in self.PACKETS:
            with self.subTest(text):
                layers = parse_packet(text)
                for hop in [x for x in layers if x.kind in ("ip", "ip6")]:
                    hop.fields.setdefault("ttl" if hop.kind == "ip" else "hl", 64)
                got = dissected(text)
                self.assertEqual(errors_of(got), [])
                match_packet(layers, got, {})

    def test_scapy_agrees_with_what_is_built(self):
        for text in self.PACKETS:
            self.assertIsNone(verify.disagreement(frame(text), "raw"), text)
            self.assertIsNone(verify.disagreement(frame("eth 02:00:00:00:00:01 > 02:00:00:00:00:02 / " + text, "ethernet"),
                                                  "ethernet"), text)

    def test_scapy_and_the_dissector_see_every_flipped_byte_that_a_checksum_covers(self):
        for text in self.PACKETS[:3] + self.PACKETS[4:5]:
            whole = frame(text)
            for at in range(len(whole)):
                if text.startswith("ip6") and at < 8:
                    continue  # no checksum covers the hop limit and the traffic class
                broken = whole[:at] + bytes((whole[at] ^ 0x04,)) + whole[at + 1:]
                self.assertTrue(errors_of(dissect_frame(broken, "raw")) or at == 9, f"{text} byte {at}")
                self.assertIsNotNone(verify.disagreement(broken, "raw"), f"{text} byte {at}")

    def test_every_lie_is_found(self):
        ip = "ip 10.0.0.1 > 10.0.0.2"
        for text, error in {
            f"{ip} bad-checksum / udp 1 > 2": "header checksum",
            f"{ip} len=60 / udp 1 > 2": "total length",
            f"{ip} len=24 / udp 1 > 2": "behind the end",
            f"{ip} len=16 / udp 1 > 2": "total length",
            f"{ip} ihl=4 / udp 1 > 2": "cut short",
            f"{ip} ihl=15 / udp 1 > 2": "cut short",
            f"{ip} version=5 / udp 1 > 2": "version",
            f"{ip} / udp 1 > 2 len=9": "length field",
            f"{ip} / udp 1 > 2 len=7": "length field",
            f"{ip} / udp 1 > 2 bad-checksum": "checksum",
            f"{ip} / tcp 1 > 2 S offset=4": "data offset",
            f"{ip} / tcp 1 > 2 S offset=6": "data offset",
            f"{ip} / tcp 1 > 2 S / cut=1": "total length",
            f"{ip} / udp 1 > 2 / pad=1": "behind the end",
            f"{ip} / icmp echo-request bad-checksum": "checksum",
            "ip6 ::1 > ::2 plen=3 / udp 1 > 2": "cut short",
            "ip6 ::1 > ::2 / udp 1 > 2 checksum=0": "no checksum over IPv6",
            f"{ip} / icmp time-exceeded / [ip 10.0.0.2 > 10.0.0.1 bad-checksum / udp 1 > 2]": "header checksum",
            f"{ip} / icmp time-exceeded / [ip 10.0.0.2 > 10.0.0.1 / udp 1 > 2 bad-checksum]": "checksum",
        }.items():
            link = "ethernet" if "version" in text else "raw"
            self.assertIn(error, "; ".join(errors_of(dissected(text, link))), text)

    def test_render_and_parse_are_each_others_inverse(self):
        for text in self.PACKETS:
            once = render(dissected(text))
            self.assertEqual(render(dissected(once)), once)

    def test_rfc6052_section_2_4_examples(self):
        for prefix, address in {"2001:db8::/32": "2001:db8:c000:221::", "2001:db8:100::/40": "2001:db8:1c0:2:21::",
                                "2001:db8:122::/48": "2001:db8:122:c000:2:2100::",
                                "2001:db8:122:300::/56": "2001:db8:122:3c0:0:221::",
                                "2001:db8:122:344::/64": "2001:db8:122:344:c0:2:2100::",
                                "2001:db8:122:344::/96": "2001:db8:122:344::192.0.2.33"}.items():
            packet = parse_packet(f"ip6 {prefix}+192.0.2.33 > {prefix}+$E")
            self.assertEqual(packet[0].fields["src"], ipaddress.IPv6Address(address))
            self.assertEqual(substitute(packet, {"E": ipaddress.IPv4Address("192.0.2.33")})[0].fields["dst"],
                             ipaddress.IPv6Address(address))
            self.assertEqual(match_packet(packet, dissected(f"ip6 {address} > {address} hl=63"), {}),
                             {"E": ipaddress.IPv4Address("192.0.2.33")})

    def test_mistakes_are_named(self):
        for text, error in {"up 1 > 2": "unknown layer", "ip 1.2.3 > 4.5.6.7": "1.2.3", "udp 1": "SOURCE > DEST",
                            "ip 10.0.0.1 > 10.0.0.2 tll=3": "no field 'tll'", "udp 1 > x": "'x' is not a number",
                            'udp 1 > 2 / "a': "not closed", "[ip 10.0.0.1 > 10.0.0.2]": "behind icmp",
                            "icmp ping": "unknown type", "ip6 ::/33+1.2.3.4 > ::1": "RFC 6052"}.items():
            with self.assertRaises(LanguageError) as raised:
                parse_packet(text)
            self.assertIn(error, str(raised.exception))

    def test_loops(self):
        lines = list(_expand(_lines("for i in 0..1\nfor j in i..1\n{i * 2 + j}.0 x # comment\nend\nend\na \\\n b")))
        self.assertEqual([x for _, x in lines], ["0.0 x", "1.0 x", "3.0 x", "a b"])

    def test_symbols_in_order(self):
        self.assertEqual(symbols_of(parse_packet("ip $E > 10.0.0.1 / icmp dest-unreach / [ip $F > $E / udp $P > $E]")),
                         ["E", "F", "P"])


class Extensions(unittest.TestCase):
    """RFC 4884: where the packet within an ICMP error ends, what lies behind it."""
    ERRORS = {"icmp": ("ip 192.0.2.1 > 192.0.2.2 ttl=63 / icmp", "ip 192.0.2.2 > 192.0.2.3", 28, 20),
              "icmp6": ("ip6 2001:db8::1 > 2001:db8::2 hl=63 / icmp6", "ip6 2001:db8::2 > 2001:db8::3", 48, 40)}

    def difference(self, expected, got):
        """What a match complains of; `got` is a line or the bytes of a packet."""
        try:
            match_packet(parse_packet(expected), dissect_frame(frame(got) if isinstance(got, str) else got, "raw"), {})
            return ""
        except Mismatch as m:
            return str(m)

    def test_bytes(self):
        """Zeros up to 128 bytes or the next whole unit, and the length in units at its place."""
        for kind, at, unit in (("icmp", 5, 4), ("icmp6", 4, 8)):
            outer, inner, headers, before = self.ERRORS[kind]
            for size, field in ((0, 128), (128 - headers, 128), (129 - headers, 128 + unit), (200, 200 + headers)):
                with self.subTest(kind, size=size):
                    data = frame(f"{outer} time-exceeded / [{inner} / udp 1 > 2 / len={size}] ext=2000dfff")[before:]
                    self.assertEqual(data[4:8], bytes(field // unit if i == at else 0 for i in range(4, 8)))
                    self.assertEqual(data[8 + headers:], bytes(range(size)) + bytes(field - headers - size) +
                                     bytes.fromhex("2000dfff"))

    def test_what_is_written_is_compared(self):
        for kind, unit in (("icmp", 4), ("icmp6", 8)):
            outer, inner, *_ = self.ERRORS[kind]
            least = 128 // unit

            def error(fields="", ext="", payload='"hello"'):
                return f"{outer} time-exceeded{fields} / [{inner} / udp 1 > 2 / {payload}]{ext}"

            plain, extended = error(), error(ext=" ext=2000dfff")
            short = error(f" length={64 // unit}", " ext=2000dfff")
            for expected, got, difference in [
                (plain, plain, ""), (extended, extended, ""), (error(ext=" ext=*"), extended, ""),
                (error(f" length={least}", " ext=2000dfff"), extended, ""),
                (error(ext=" ext=20*12"), error(ext=" ext=" + "20" * 12), ""),
                (error(ext=" ext=2000dffe"), extended, f"{kind} ext is "), (plain, extended, f"{kind} ext is "),
                (extended, plain, f"{kind} ext is absent"),
                (error(f" length={least + 1}", " ext=2000dfff"), extended, f"length is {least}, should be {least + 1}"),
                (extended, short, "before extensions there are 128"), (short, short, ""),
                (plain, error(f" length={56 // unit}", payload=f"len={56 - self.ERRORS[kind][2]}"), "length is "),
                (plain, error(" length=255"), f"{255 * unit} bytes promised"),
            ]:
                found = self.difference(expected, got)
                self.assertTrue((difference in found) if difference else not found, f"{expected} | {got}: {found!r}")

    def test_what_is_no_zero_before_them_is_seen(self):
        for outer, inner, headers, before in self.ERRORS.values():
            text = f"{outer} time-exceeded any-checksum / [{inner} / udp 1 > 2] ext=2000dfff"
            for at, seen in ((0, True), (127 - headers, True), (128 - headers, False)):
                data = bytearray(frame(text))
                data[before + 8 + headers + at] ^= 1
                self.assertEqual("not only zeros" in self.difference(text, bytes(data)), seen, f"{text}: {at}")

    def test_the_length_is_no_part_of_mtu_and_pointer(self):
        outer, inner, *_ = self.ERRORS["icmp"]
        for text in (f"{outer} dest-unreach code=4 mtu=1400 length=32 / [{inner} / udp 1 > 2] ext=00",
                     f"{outer} param-problem pointer=20 length=32 / [{inner} / udp 1 > 2] ext=00"):
            self.assertEqual(self.difference(text, text), "")
            self.assertIn("length=32", render(dissected(text)))
        outer, inner, *_ = self.ERRORS["icmp6"]
        text = f"{outer} packet-too-big mtu=0x10000578 / [{inner} / udp 1 > 2]"
        self.assertEqual(self.difference(text, text), "")

    def test_mistakes_are_named(self):
        ip = "ip 10.0.0.1 > 10.0.0.2"
        for text, error in {f"{ip} / icmp time-exceeded / [{ip} / udp 1 > 2] ex=00": "only ext=HEX",
                            f"{ip} / icmp time-exceeded / [{ip} / udp 1 > 2] ext=0": "row of hex",
                            f"{ip} / icmp time-exceeded / [{ip} / udp 1 > 2] ext=00*x": "only ext=HEX",
                            f"{ip} / icmp source-quench / [{ip} / udp 1 > 2] ext=00": "RFC 4884",
                            f"{ip} / icmp6 packet-too-big / [{ip} / udp 1 > 2] ext=00": "RFC 4884"}.items():
            with self.assertRaises(LanguageError) as raised:
                parse_packet(text)
            self.assertIn(error, str(raised.exception))


class Fragments(unittest.TestCase):
    """Cutting what arrives, joining what comes out."""
    IP = "ip 10.0.0.1 > 10.0.0.2 ttl=63 id=7"
    WHOLE = f"{IP} frags=1480 / udp 1 > 2 / len=3000"

    def pieces(self, text):
        return [build_frame(x, "raw")[0] for x in fragments.cut(parse_packet(text))]

    def join(self, frames):
        outputs = [replay.Output(0, "inside", f, dissect_frame(f, "raw")) for f in frames]
        return fragments.join(outputs, "raw")

    def difference(self, expected, frames):
        """What a match of the joined frames complains of; all of them make one packet or it says how many."""
        joined = self.join(frames)
        if len(joined) != 1:
            return f"{len(joined)} packets"
        try:
            match_packet(parse_packet(expected), joined[0].layers, {})
            return ""
        except Mismatch as m:
            return str(m)

    def test_what_is_cut_is_joined_to_the_same_datagram(self):
        v6 = "ip6 2001:db8::1 > 2001:db8::2 hl=63"
        for text, sizes in {
            self.WHOLE: [1480, 1480, 48],
            f"{self.IP} frags=8+1480+... / tcp 1 > 2 A / len=2000": [8, 1480, 532],
            f"{self.IP} frags=16+24+17 / icmp echo-request id=3 / len=49": [16, 24, 17],
            f"{self.IP} df opts=94040000 frags=800 / udp 1 > 2 / len=1000": [800, 208],
            f"{self.IP} frags=1480 / udp 1 > 2 checksum=0 / len=3000": [1480, 1480, 48],
            f"{v6} / frag id=9 frags=1232 / udp 1 > 2 / len=3000": [1232, 1232, 544],
            f"{v6} / hopopts opts=000001020000 / frag id=9 frags=80 / icmp6 echo-request id=2 / len=100": [80, 28],
            f"{v6} / frag id=9 frags=1448 / {self.IP} / udp 1 > 2 / len=1500": [1448, 80],
            f"{v6} / {self.IP} frags=1432 / udp 1 > 2 / len=1500": [1432, 76],
        }.items():
            with self.subTest(text):
                frames = self.pieces(text)
                self.assertEqual(len(frames), len(sizes))
                for f in frames:
                    self.assertIsNone(verify.disagreement(f, "raw"))
                    self.assertEqual(errors_of(dissect_frame(f, "raw")), [])
                self.assertEqual(self.difference(text, frames), "")
                self.assertIsNone(verify.disagreement(self.join(frames)[0].data, "raw"))
                exact = text.replace("1480+...", "1480+532").replace(
                    re.search(r"frags=\S+", text)[0], "frags=" + "+".join(map(str, sizes)))
                self.assertEqual(self.difference(exact, frames), "")
                self.assertIn("frags is absent", self.difference(text, [build_frame(parse_packet(
                    re.sub(r" frags=\S+", "", text)), "raw")[0]]) or "frags is absent")

    def test_scapy_joins_them_to_the_same_bytes(self):
        from scapy.layers.inet import IP, defragment
        from scapy.layers.inet6 import IPv6, defragment6
        frames = self.pieces(self.WHOLE)
        whole = build_frame(parse_packet(self.WHOLE.replace(" frags=1480", "")), "raw")[0]
        self.assertEqual(self.join(frames)[0].data, whole)
        self.assertEqual([bytes(x) for x in defragment([IP(f) for f in frames])], [whole])
        text = "ip6 2001:db8::1 > 2001:db8::2 hl=63 / frag id=9 frags=1232 / udp 1 > 2 / len=3000"
        whole = build_frame(parse_packet(text.replace(" / frag id=9 frags=1232", "")), "raw")[0]
        self.assertEqual(bytes(defragment6([IPv6(f) for f in self.pieces(text)])), whole)

    def test_order_repeats_and_gaps(self):
        frames = self.pieces(self.WHOLE)
        self.assertEqual(self.pieces(self.WHOLE.replace("1480", "1480 order=2,0,0")), [frames[2], frames[0], frames[0]])

    def test_an_inner_fragment_is_a_datagram_of_its_own_outside(self):
        frames = self.pieces("ip6 2001:db8::1 > 2001:db8::2 / frag id=5 frags=1000 / ip 10.0.0.1 > 10.0.0.2 frags=1480 "
                             "/ udp 1 > 2 / len=2000")
        found = [next(x for x in dissect_frame(f, "raw") if x.kind == "frag").fields for f in frames]
        self.assertEqual([(f["id"], f["off"], f["more"]) for f in found], [(5, 0, True), (5, 1000, False), (6, 0, False)])

    def test_what_is_wrong_with_pieces_is_told(self):
        a, b, c = self.pieces(self.WHOLE)
        changed = self.pieces(self.WHOLE.replace("ttl=63", "ttl=62"))[1]
        marked = self.pieces(self.WHOLE.replace("id=7", "id=7 tos=3"))[1]
        df = self.pieces(self.WHOLE.replace("id=7", "id=7 df"))[2]
        options = self.pieces(self.WHOLE.replace("id=7", "id=7 opts=07040000"))
        broken = a[:40] + bytes((a[40] ^ 1,)) + a[41:]
        for frames, error in [([a, c, b], "order of offsets 0, 2960, 1480"), ([a, b], "2 packets"),
                              ([a, c], "2 packets"), ([a, b, b, c], "4 packets"),
                              ([a, changed, c], "fragment 1: ip ttl is 62"), ([a, marked, c], "fragment 1: ip tos is 3"),
                              ([a, b, df], "fragment 2: ip df is True"),
                              ([a, b[:10] + b"xx" + b[12:], c], "fragment 1: ip: header checksum"),
                              ([a, b + b"x", c], "fragment 1: pad: 1 bytes behind"),
                              ([broken, b, c], "udp: checksum is wrong"),
                              ([a[:26] + b"\0" + a[27:], b, c], "checksum")]:
            self.assertIn(error, self.difference(self.WHOLE, frames))
        text = self.WHOLE.replace("id=7", "id=7 opts=07040000")
        self.assertEqual(self.difference(text, options), "")
        copied = self.pieces(f"{self.IP} opts=94040000 frags=1480 / udp 1 > 2 / len=3000")[1]
        self.assertIn("options are 94040000", self.difference(text, [options[0], copied, options[2]]))
        for expected, error in [(self.WHOLE.replace("1480", "1472"), "frags is 1480+1480+48, should be 1472"),
                                (self.WHOLE.replace("1480", "1480+1528"), "should be 1480+1528"),
                                (self.WHOLE.replace(" frags=1480", ""), "frags is 1480+1480+48, should be absent"),
                                (self.WHOLE.replace("id=7", "id=8"), "id is 7, should be 8")]:
            self.assertIn(error, self.difference(expected, [a, b, c]))

    def test_datagrams_of_others_are_not_mixed(self):
        frames = [f for pair in zip(self.pieces(self.WHOLE), self.pieces(self.WHOLE.replace("id=7", "id=8")))
                  for f in pair]
        self.assertEqual([x.layers[0].get("id") for x in self.join(frames)], [7, 8])
        single = build_frame(parse_packet(f"{self.IP} off=8 proto=17 / len=8"), "raw")[0]
        self.assertEqual([x.data for x in self.join([single])], [single])

    def test_mistakes_are_named(self):
        for text, error in {f"{self.IP} frags=1479 / udp 1 > 2": "multiple of 8",
                            f"{self.IP} frags=16+16 / udp 1 > 2": "8 bytes to cut", f"{self.IP} frags=x": "no sizes",
                            f"{self.IP} frags=8 order=1 / udp 1 > 2": "from 0 on", f"{self.IP} order=a": "no order",
                            f"{self.IP} frags=8": "nothing behind",
                            f"ip 1.1.1.1 > 2.2.2.2 / icmp dest-unreach / [{self.IP} frags=8 / udp 1 > 2]": "within"}.items():
            with self.assertRaises(LanguageError) as raised:
                self.pieces(text)
            self.assertIn(error, str(raised.exception))


class Matching(unittest.TestCase):
    def differences(self, expected, got):
        try:
            match_packet(parse_packet(expected), dissected(got), {})
            return ""
        except Mismatch as m:
            return str(m)

    def test_defaults(self):
        ip = "ip 10.0.0.1 > 10.0.0.2"
        for expected, got, difference in [
            (f"{ip} / udp 1 > 2", f"{ip} ttl=63 / udp 1 > 2", ""),
            (f"{ip} / udp 1 > 2", f"{ip} ttl=64 / udp 1 > 2", "ttl is 64, should be 63"),
            (f"{ip} ttl=* / udp 1 > 2", f"{ip} ttl=64 / udp 1 > 2", ""),
            (f"{ip} / udp 1 > 2", f"{ip} ttl=63 tos=4 / udp 1 > 2", ""),
            (f"{ip} tos=0 / udp 1 > 2", f"{ip} ttl=63 tos=4 / udp 1 > 2", "tos is 4"),
            (f"{ip} no-df / udp 1 > 2", f"{ip} ttl=63 df / udp 1 > 2", "df is True"),
            (f"{ip} / udp 1 > 2", f"{ip} ttl=63 / udp 1 > 2 checksum=0", "no checksum"),
            (f"{ip} / udp 1 > 2 checksum=0", f"{ip} ttl=63 / udp 1 > 2", "checksum is"),
            (f"{ip} / udp 1 > 2", f'{ip} ttl=63 / udp 1 > 2 / "x"', "layers are"),
            (f"{ip} / udp 1 > 2 / ...", f'{ip} ttl=63 / udp 1 > 2 / "x"', ""),
            (f'{ip} / udp 1 > 2 / "y"', f'{ip} ttl=63 / udp 1 > 2 / "x"', "'x', should be 'y'"),
            (f"{ip} / tcp 1 > 2 S", f"{ip} ttl=63 / tcp 1 > 2 SA", "flags is 18"),
            (f"{ip} / tcp 1 > 2 S", f"{ip} ttl=63 / tcp 1 > 2 S seq=3", "seq is 3"),
            (f"{ip} / icmp dest-unreach", f"{ip} ttl=63 / icmp dest-unreach code=3 / [{ip} / udp 1 > 2]", "code is 3"),
            (f"{ip} / icmp dest-unreach code=3 / [{ip} / udp 1 > 2]",
             f"{ip} ttl=63 / icmp dest-unreach code=3 / [{ip} ttl=7 / udp 1 > 2 / len=30 / cut=30]", ""),
            (f"{ip} / icmp dest-unreach code=3 / [{ip} / udp 1 > 2]",
             f"{ip} ttl=63 / icmp dest-unreach code=3 / [{ip} / udp 1 > 3]", "dport is 3"),
            (f"ip6 ::1 > ::2 / {ip} / udp 1 > 2", f"ip6 ::1 > ::2 hl=9 / {ip} ttl=63 / udp 1 > 2", ""),
            (f"{ip} / udp $P > $P", f"{ip} ttl=63 / udp 1 > 2", "$P was 1 before"),
        ]:
            found = self.differences(expected, got)
            self.assertTrue((difference in found) if difference else not found, f"{expected} | {got}: {found!r}")


class Runs(unittest.TestCase):
    """Whole runs of run.py with the toy."""
    GOOD = """
        config toy
        0 inside> ip 10.0.0.1 > 198.51.100.1 / udp 5000 > 53 / "hello"
        0 >outside ip $E > 198.51.100.1 / udp $P > 53 / "hello"
        1 outside> ip 198.51.100.1 > $E / udp 53 > $P / "answer"
        1 >inside ip 198.51.100.1 > 10.0.0.1 / udp 53 > 5000 / "answer"
        2 inside> ip 10.0.0.2 > 198.51.100.1 / udp 5000 > 53
        2 >outside ip $E > 198.51.100.1 / udp $Q > 53
        2 mappings 2
        3 outside> ip 198.51.100.1 > $E / udp 53 > $Q
        3 >inside ip 198.51.100.1 > 10.0.0.2 / udp 53 > 5000
        4 outside> ip 198.51.100.1 > $E / udp 53 > 9
        nothing
        drops no-mapping 1
        mappings 2
        log block-allocated subscriber=10.0.0.1 external=$E ports=has:$P
        log block-allocated subscriber=10.0.0.2 external=$E ports=$first-$last
        $P in 1024-1535
        $P != $Q
        $Q in block of $P size 512
        $E in 203.0.113.0/24
        $first == 1024
        """

    def run_scenario(self, text, misbehaviour="", *options):
        with tempfile.TemporaryDirectory() as directory:
            at = Path(directory)
            (at / "s.scn").write_text(text)
            (at / "toy.yaml").write_text("interfaces:\n"
                                         "- {role: inside, next-hop-ipv4: '02:00:00:00:01:fe'}\n"
                                         "- {role: outside, next-hop-ipv4: '02:00:00:00:02:fe'}\n")
            done = subprocess.run([sys.executable, HERE / "run.py", "--culvert", f"{sys.executable} {__file__} --toy",
                                   "--workers", "1", "--scenarios", at, "--conf", at, *options], check=False,
                                  capture_output=True, text=True, env={**os.environ, "TOY": misbehaviour})
            return done.returncode, done.stdout + done.stderr

    def expect(self, text, code, *parts, misbehaviour="", options=()):
        got, output = self.run_scenario(text, misbehaviour, *options)
        self.assertEqual(got, code, output)
        for part in parts:
            self.assertRegex(output, part)

    def test_passes(self):
        self.expect(self.GOOD, 0, r"passed  s\n", r"passed=1 failed=0\n$", options=("--twice",))

    def test_a_wrong_port_is_shown_in_both_lines(self):
        text = self.GOOD.replace("10.0.0.1 / udp 53 > 5000", "10.0.0.1 / udp 53 > 5001")
        self.expect(text, 1, r"line 6: not the expected packet\n"
                    r" +expected 1 >inside ip 198.51.100.1 > 10.0.0.1 / udp 53 > 5001 / \"answer\"\n"
                    r" +got      1 >inside ip 198.51.100.1 > 10.0.0.1 ttl=63 / udp 53 > 5000 / \"answer\"\n"
                    r" +- udp dport is 5000, should be 5001", "passed=0 failed=1")

    def test_a_packet_that_does_not_come(self):
        self.expect(self.GOOD, 1, r"line 4: nothing came\n +expected 0 >outside", misbehaviour="silent")

    def test_a_packet_too_many(self):
        self.expect(self.GOOD, 1, r"not expected\n +got      0 >outside ip 203", misbehaviour="double")

    def test_a_wrong_checksum_is_seen_by_us_and_by_scapy(self):
        self.expect(self.GOOD, 1, "udp: checksum is wrong", "scapy would write", misbehaviour="bad-checksum")

    def test_a_box_that_is_not_deterministic(self):
        self.expect(self.GOOD, 1, "not deterministic", misbehaviour="random")

    def test_counters_that_do_not_add_up(self):
        self.expect(self.GOOD, 1, r"do not add up: 1 arrived is not 1 came out \+ 1 dropped", misbehaviour="miscounts")
        self.expect(self.GOOD, 1, r"do not add up: 1 arrived is not 2 came out", misbehaviour="double")

    def test_a_symbol_keeps_its_value(self):
        text = """config toy
            0 inside> ip 10.0.0.1 > 198.51.100.1 / udp 5000 > 53
            0 >outside ip $E > 198.51.100.1 / udp $P > 53
            1 inside> ip 10.0.0.1 > 198.51.100.2 / udp 5000 > 53
            1 >outside ip $E > 198.51.100.2 / udp $P > 53"""
        self.expect(text, 0)
        self.expect(text, 1, r"udp sport is \d+, but \$P was \d+ before", misbehaviour="wrong-port")

    def test_order(self):
        arriving = """config toy
            0 inside> ip 10.0.0.1 > 198.51.100.1 / udp 5000 > 53 / "one"
            0 inside> ip 10.0.0.1 > 198.51.100.1 / udp 5000 > 53 / "two"
            0 inside> ip 10.0.0.1 > 198.51.100.2 / udp 5000 > 53 / "three"
            """
        one, two, three = (f'0 >outside ip $E > 198.51.100.{i} / udp $P > 53 / "{x}"\n'
                           for i, x in ((1, "one"), (1, "two"), (2, "three")))
        self.expect(arriving + two + one + three, 0)
        self.expect(arriving + two + one + three + "in-order", 1, r'before it\n +expected .*"two"\n +got .*"one"')
        for lines in (one + two + three, three + one + two, one + three + two):
            self.expect(arriving + lines + "in-order", 0)

    def test_counts_constraints_and_records(self):
        for old, new, message in [
            ("drops no-mapping 1", "", "1 packets dropped as no-mapping, which no `drops` line"),
            ("drops no-mapping 1", "drops no-mapping 2", "drops no-mapping 2, but it is 1"),
            ("2 mappings 2", "2 mappings 3", "line 9: 2 mappings 3, but it is 2"),
            ("        mappings 2", "        mappings 3", "mappings 3, but it is 2"),
            ("$P in 1024", "$P in 1536", r"does not hold \(\$P=\d+\)"),
            ("$first ==", "$second ==", "never bound"),
            ("subscriber=10.0.0.2", "subscriber=10.0.0.3", "log record differs: subscriber=10.0.0.2"),
            ("log block-allocated subscriber=10.0.0.2 external=$E ports=$first-$last", "", "record that was not expected"),
            ("log block-allocated subscriber=10.0.0.1", "log block-released subscriber=10.0.0.1",
             "a block-allocated record"),
            (" > $E / udp 53 > 9", " > $X / udp 53 > 9", r"\$X is not bound"),
        ]:
            self.assertIn(old, self.GOOD)
            self.expect(self.GOOD.replace(old, new), 1, message)

    def test_mistakes_in_a_scenario_name_file_and_line(self):
        for text, message in [("0 inside> ip 1.2.3.4 > 1.2.3.5", "names no configuration"),
                              ("config toy\n1 inside> ip x > 1.2.3.5", r"s.scn:2: .*'x'"),
                              ("config toy\n1 inside> ip 1.2.3.4 > 1.2.3.5\n0 inside> ip 1.2.3.4 > 1.2.3.5",
                               "s.scn:3: time runs backwards"),
                              ("config toy\nconfog toy", "s.scn:2: 'confog' is no statement"),
                              ("config nix", "s.scn:1: "),
                              ("config toy\n$P is 3", "s.scn:2: a constraint is one of")]:
            self.expect(text, 2, message)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--toy"]:
        toy(sys.argv[3:])
    else:
        unittest.main()
