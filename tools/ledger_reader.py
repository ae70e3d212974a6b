#!/usr/bin/python3
"""Reads segments of a Culvert ledger, from docs/ledger.md alone: a second opinion that shares no code with Culvert.

    tools/ledger_reader.py FILE...      one JSON object a line: segments, records, damage

Exit status: 0, 1 when something is damaged, 2 when a file cannot be read.
"""

import argparse
import ipaddress
import json
import struct
import sys

LIVE_MAGIC = b"CULVLIVE"
MARK = b"\xc5\xba"
MAX_PAYLOAD = MAX_EVENTS = 4 << 20
MAX_TIME = 1 << 61
TYPES = {
    0: "record-lost", 3: "mapping-created", 4: "mapping-deleted", 5: "session-created",
    6: "session-deleted", 7: "refused", 32: "source", 33: "instance", 34: "address-range", 35: "subscriber", 36: "held",
    37: "resting", 38: "mapping-held", 39: "checkpoint-end", 40: "clock", 41: "configuration", 42: "culvertd-started",
    43: "culvertd-stopped", 44: "uncertain", 45: "sealed", 46: "retired", 47: "segment-end",
}
REASONS = {1: "first-packet", 2: "ports-used-up", 4: "idle", 5: "cleared", 6: "pool-removed", 7: "restart"}


class Malformed(Exception):
    """Bytes that are not what docs/ledger.md says."""


def crc_table():
    table = []
    for n in range(256):
        for _ in range(8):
            n = n >> 1 ^ (0x82F63B78 if n & 1 else 0)
        table.append(n)
    return table


CRC_TABLE = crc_table()


def crc32c(data):
    """RFC 3720 section B.4."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = CRC_TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


class Reader:
    """Numbers from bytes."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def __bool__(self):
        return self.at < len(self.data)

    def take(self, n):
        if n > len(self.data) - self.at:
            raise Malformed
        self.at += n
        return self.data[self.at - n:self.at]

    def fixed(self, n):
        return int.from_bytes(self.take(n), "little")

    def varint(self):
        value = 0
        for shift in range(0, 70, 7):
            byte = self.fixed(1)
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                if value >= 1 << 64:
                    break
                return value
        raise Malformed

    def zigzag(self):
        n = self.varint()
        n = n >> 1 ^ -(n & 1)
        if not -MAX_TIME < n < MAX_TIME:
            raise Malformed
        return n

    def text(self):
        return self.take(self.varint())

    def ipv4(self):
        return str(ipaddress.IPv4Address(self.take(4)))

    def prefix(self):
        length = self.fixed(1)
        if length > 128:
            raise Malformed
        address = ipaddress.IPv6Address(self.take((length + 7) // 8).ljust(16, b"\0"))
        if address.ipv4_mapped and length >= 96:
            return f"{address.ipv4_mapped}/{length - 96}"
        return f"{address}/{length}"

    def host(self):
        n = self.fixed(1)
        if n not in (0, 4, 16):
            raise Malformed
        return str(ipaddress.ip_address(self.take(n))) if n else None


def binding(r):
    return {"subscriber": r.varint(), "external": r.ipv4(), "port": r.fixed(2), "protocol": r.fixed(1), "origin": r.fixed(1),
            "internal": r.host(), "internal-port": r.fixed(2)}


BODIES = {
    0: lambda r: {"worker": r.fixed(1)},
    3: lambda r: binding(r) | {"lifetime": r.varint(), "renewal": r.fixed(1)},
    4: lambda r: binding(r) | {"reason": r.fixed(1)},
    5: lambda r: binding(r) | {"has-destination": r.fixed(1), "destination": r.ipv4(), "destination-port": r.fixed(2)},
    6: lambda r: binding(r) | {"has-destination": r.fixed(1), "destination": r.ipv4(), "destination-port": r.fixed(2)},
    7: lambda r: {"subscriber": r.varint(), "reason": r.text().decode(errors="replace"), "count": r.varint()},
    32: lambda r: {"worker": r.fixed(1), "epoch": r.varint(), "next": r.varint()},
    33: lambda r: {"number": r.varint(), "carriage": r.fixed(1), "name": r.text().decode(errors="replace")},
    34: lambda r: {"first-block": r.varint(), "instance": r.varint(), "first-address": r.ipv4(), "addresses": r.varint(),
                   "first-port": r.fixed(2), "set-size": r.fixed(2), "sets": r.varint()},
    35: lambda r: {"number": r.varint(), "instance": r.varint(), "prefix": r.prefix()},
    36: lambda r: {"block": r.varint(), "subscriber": r.varint(), "since": r.zigzag(), "reason": r.fixed(1)},
    37: lambda r: {"block": r.varint(), "since": r.zigzag()},
    38: lambda r: binding(r) | {"since": r.zigzag(), "lifetime": r.varint()},
    39: lambda r: {"held": r.varint(), "resting": r.varint(), "mappings": r.varint()},
    40: lambda r: {"ahead": r.zigzag()} | ({"sets": r.varint(), "latest": r.zigzag()} if r else {}),
    41: lambda r: {"sha256": r.take(32).hex(), "algorithmic": r.text().decode(errors="replace")},
    42: lambda r: {"version": r.text().decode(errors="replace"), "strict": r.fixed(1), "before": r.fixed(1)},
    44: lambda r: {"from": r.zigzag(), "to": r.zigzag()},
    45: lambda r: {"serial": r.varint(), "sha256": r.take(32).hex()},
    46: lambda r: {"serial": r.varint(), "sha256": r.take(32).hex()},
}


def typed(number, body):
    """What a record of a type says, or that it is malformed."""
    out = {"record": TYPES.get(number, f"type-{number}")}
    try:
        if number in BODIES:
            out |= BODIES[number](Reader(body))
    except Malformed:
        out["malformed"] = body.hex()
    return out


class Live:
    """A live segment, read to its end."""

    def __init__(self, data):
        self.data = data
        if len(data) < 40:
            raise Malformed
        magic, version, size, crc, self.serial, self.opened, self.first = struct.unpack_from("<8sHHIQQQ", data)
        if magic != LIVE_MAGIC or version != 1 or not 40 <= size <= len(data) or crc32c(data[16:size]) != crc:
            raise Malformed
        if self.opened >= MAX_TIME or self.first >= MAX_TIME:
            raise Malformed
        self.at, self.events, self.time = size, 0, self.opened

    def batch_at(self, at):
        """Payload and number of events before it, if there is a whole batch."""
        header = self.data[at:at + 12]
        if len(header) < 12 or header[:2] != MARK:
            return None
        size, events = int.from_bytes(header[2:5], "little"), int.from_bytes(header[5:8], "little")
        payload = self.data[at + 12:at + 12 + size]
        if not 0 < size <= MAX_PAYLOAD or len(payload) < size or not self.events <= events <= MAX_EVENTS:
            return None
        if crc32c(struct.pack("<Q", self.serial) + header[2:8] + payload) != int.from_bytes(header[8:12], "little"):
            return None
        return payload, events

    def __iter__(self):
        yield {"segment": "live", "serial": self.serial, "opened": self.opened, "first-ordinal": self.first}
        while self.at < len(self.data):
            at = self.at
            while at >= 0 and not (batch := self.batch_at(at)):
                at = self.data.find(MARK, at + 1)
            end = at if at >= 0 else len(self.data)
            lost = batch[1] - self.events if batch else 0
            if end != self.at or lost:
                yield self.damage(self.at, end - self.at, lost)
            if not batch:
                return
            self.at, self.events = end + 12 + len(batch[0]), batch[1]
            yield from self.records(batch[0])

    def records(self, payload):
        """The records of the batch that ends where self.at is, up to what breaks the rules."""
        r, worker, good = Reader(payload), 0, 0
        try:
            time = self.opened + r.varint()
            if not self.time <= time < MAX_TIME:
                raise Malformed
            self.time = time
            while r:
                good = r.at
                head = r.fixed(1)
                if 0x80 <= head < 0xC0:
                    worker = head & 0x3F
                    continue
                yield self.record(head, worker, r)
        except Malformed:
            yield self.damage(self.at - len(payload) + good, len(payload) - good, 0)

    def record(self, head, worker, r):
        """The record with this first byte."""
        if 0x40 <= head < 0x80:
            raise Malformed
        time = self.time + r.varint()
        if head >= 0xC0:
            out, event = typed(head & 0x3F, r.text()), head & 0x3F < 32
        else:
            out = {"record": "block-released" if head & 0x20 else "block-allocated", "block": r.varint()}
            out["peak" if head & 0x20 else "subscriber"] = r.varint()
            out["reason"], event = REASONS.get(head & 0x1F, head & 0x1F), True
        if time >= MAX_TIME or event and self.events >= MAX_EVENTS:
            raise Malformed
        out["time"] = self.time = time
        if event:
            out |= {"ordinal": self.first + self.events, "worker": worker}
            self.events += 1
        return out

    def damage(self, offset, size, events):
        return {"damage": offset, "bytes": size, "first-ordinal": self.first + self.events, "events": events}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="+")
    damaged = False
    for path in parser.parse_args().file:
        try:
            with open(path, "rb") as f:
                segment = Live(f.read())
        except OSError as e:
            print(f"ledger_reader.py: {e}", file=sys.stderr)
            return 2
        except Malformed:
            print(f"ledger_reader.py: {path}: is no live segment of a ledger", file=sys.stderr)
            return 2
        for item in segment:
            damaged |= "damage" in item or "malformed" in item
            print(json.dumps(item))
    return int(damaged)


if __name__ == "__main__":
    sys.exit(main())
