#!/usr/bin/python3
"""Reads sealed segments of a Culvert ledger, from docs/ledger.md alone: a second opinion that shares no code with Culvert.

    tools/ledger_reader_sealed.py FILE...      one JSON object a line, in the ledger's order: segments, records, damage

Every checksum and the hash of the file are checked. Exit status: 0, 1 when something is damaged, 2 when a file cannot be read.
Needs python3-zstandard. A day of four million events takes some GB of memory.
"""

import argparse
import hashlib
import ipaddress
import json
import struct
import sys

import zstandard

from ledger_reader import MAX_TIME, REASONS, Malformed, Reader, crc32c, typed

HEADER, FOOTER = 112, 64
MAX_PAGE = MAX_PARTS = MAX_LISTED = 1 << 20
MAX_BODIES, MAX_PART = 16 << 20, 64 << 20
MAX_SUBSCRIBERS = 4096
DAMAGED = 48


def plane(r, n):
    packed = r.text()
    if len(packed) == n:
        return packed
    try:
        if zstandard.frame_content_size(packed) != n:
            raise Malformed
        unpacked = zstandard.ZstdDecompressor().decompress(packed, max_output_size=n)
    except zstandard.ZstdError:
        raise Malformed from None
    if len(unpacked) != n:
        raise Malformed
    return unpacked


def column(r, n):
    width = r.fixed(1)
    if width > 8:
        raise Malformed
    numbers = [0] * n
    for i in range(width):
        for k, byte in enumerate(plane(r, n)):
            numbers[k] |= byte << 8 * i
    return numbers


def columns(r, n, count):
    return [column(r, n) for _ in range(count)]


def bounded(n, most):
    if n > most:
        raise Malformed
    return n


def sums(differences, modulus=1 << 64):
    """Numbers that stand as differences to the ones before."""
    total, out = 0, []
    for difference in differences:
        total = (total + difference) % modulus
        out.append(total)
    return out


def prefix(length, high, low):
    if length > 128:
        raise Malformed
    data = struct.pack(">QQ", high, low)
    return Reader(bytes([length]) + data[:(length + 7) // 8]).prefix()


def subscribers(r, n):
    instance, length, high, low = columns(r, n, 4)
    return [{"instance": i, "prefix": prefix(p, h, w)} for i, p, h, w in zip(instance, length, sums(high), low)]


class Page:
    """Lists of (time, tie, first byte, worker, block, what it names or the peak, body) in `records` and `carried`."""

    def __init__(self, data, opened):
        r, self.records, self.carried = Reader(data), [], []
        n = bounded(r.varint(), MAX_PAGE)
        if n:
            address, block, _, _, _, sets, carried, follow = columns(r, n, 8)
            self.addresses = list(zip(sums(address), block, sets, carried, follow))
        else:
            self.addresses = [(None, 0, None, 0, bounded(r.varint(), MAX_PAGE))]
        total = bounded(sum(a[3] + a[4] for a in self.addresses), MAX_PAGE)
        n = bounded(r.varint(), MAX_PAGE)
        self.numbers = sums(column(r, n))
        self.subscribers = dict(zip(self.numbers, subscribers(r, n)))
        head, worker, block, time, tie = columns(r, total, 5)
        named = column(r, sum(h < 0x20 for h in head))
        peaks = column(r, sum(0x20 <= h < 0x40 for h in head))
        bodies = Reader(plane(r, bounded(r.varint(), MAX_BODIES)))
        if r or any(0x40 <= h < 0xC0 or h > 0xFF for h in head):
            raise Malformed
        named, peaks = iter(named), iter(peaks)
        at = 0
        for address, first_block, sets, carried, follow in self.addresses:
            now = opened
            for i in range(at, at + carried + follow):
                now += time[i] >> 1 ^ -(time[i] & 1)
                value, body = None, None
                if head[i] >= 0xC0:
                    body = bodies.text()
                elif head[i] < 0x20:
                    value = self.numbers[bounded(next(named), n - 1)]
                else:
                    value = next(peaks)
                if not 0 <= now < MAX_TIME or sets is not None and head[i] < 0x40 and block[i] >= sets:
                    raise Malformed
                record = (now, tie[i], head[i], worker[i], first_block + block[i], value, body)
                (self.carried if i < at + carried else self.records).append(record)
            at += carried + follow
        if bodies:
            raise Malformed


class Sealed:
    """A sealed segment, read to its end."""

    def __init__(self, data):
        if len(data) < HEADER + FOOTER:
            raise Malformed
        self.data = data
        (magic, version, size, crc, self.serial, self.opened, self.ended, self.first, self.events, self.clock_min, self.clock_max,
         self.lost, self.predecessor) = struct.unpack_from("<8sHHIQQQQQqqQ32s", data)
        if magic != b"CULVSEAL" or version != 1 or size != HEADER or crc32c(data[16:size]) != crc:
            raise Malformed
        at, size, crc, own_crc, _, self.sha256, magic = struct.unpack("<QIIII32s8s", data[-FOOTER:])
        if magic != b"CULVTAIL" or crc32c(data[-FOOTER:-FOOTER + 16]) != own_crc or at + size != len(data) - FOOTER:
            raise Malformed
        if crc32c(data[at:at + size]) != crc:
            raise Malformed
        self.directory(Reader(data[at:at + size]), at)

    def directory(self, r, end):
        notes, loose, alone = r.varint(), r.varint(), r.varint()
        self.notes, self.without = notes, notes + loose
        n = bounded(notes + loose + alone, MAX_PARTS)
        size, crc, self.address, span, self.time, self.count = columns(r, n, 6)
        self.last = [a + s for a, s in zip(self.address, span)]
        chunks = bounded(r.varint(), MAX_PARTS)
        chunk_size, chunk_crc, self.chunk_subscribers, *_ = columns(r, chunks, 7)
        offsets = [HEADER] + [HEADER + total for total in sums(size + chunk_size)]
        if r or offsets[-1] != end or any(not 0 < s <= MAX_PART for s in size + chunk_size):
            raise Malformed
        parts = list(zip(offsets, size + chunk_size, crc + chunk_crc))
        self.pages, self.chunks = parts[:n], parts[n:]

    def part(self, what, number, part):
        """The bytes of a part; None where they are damaged, as `self.damage` then tells."""
        offset, size, crc = part
        data = self.data[offset:offset + size]
        if crc32c(data) == crc:
            return data
        self.tell(what, number, part)
        return None

    def tell(self, what, number, part):
        self.damage.append({"damage": part[0], "bytes": part[1], "what": f"{what} {number}"})

    def __iter__(self):
        self.damage = []
        yield {"segment": "sealed", "serial": self.serial, "opened": self.opened, "ended": self.ended, "first-ordinal": self.first,
               "events": self.events, "lost": self.lost, "clock-ahead": [self.clock_min, self.clock_max],
               "predecessor": self.predecessor.hex(), "sha256": self.sha256.hex()}
        if hashlib.sha256(self.data[:24 - FOOTER]).digest() != self.sha256:
            yield {"damage": 0, "bytes": len(self.data), "what": "hash"}
        who, listed = self.dictionary()
        notes, carried, events = [], [], []
        for n, part in enumerate(self.pages):
            page = self.page(n, part)
            if page is None:
                continue
            (notes if n < self.notes else events).extend(page.records)
            if not self.continues(n):
                carried += page.carried
            for number in page.numbers:
                if number >= len(who) or who[number] != page.subscribers[number] or n not in listed[number]:
                    self.tell("dictionary of page", n, part)
        yield from self.damage
        whole = not self.damage
        events.sort(key=lambda e: e[:2])
        yield from self.told(who, notes, carried, events, whole)

    def continues(self, n):
        return n > self.without and self.address[n] == self.last[n - 1]

    def dictionary(self):
        """The subscribers, and the pages that each is in."""
        who, listed = [], []
        for number, part in enumerate(self.chunks):
            data = self.part("dictionary chunk", number, part)
            if data is None:
                continue
            try:
                r = Reader(data)
                n = bounded(r.varint(), MAX_SUBSCRIBERS)
                who += subscribers(r, n)
                counts = column(r, n)
                pages = iter(column(r, bounded(sum(counts), MAX_LISTED)))
                listed += [set(sums(next(pages) for _ in range(count))) for count in counts]
                if r or n != self.chunk_subscribers[number]:
                    raise Malformed
            except Malformed:
                self.tell("dictionary chunk", number, part)
        return who, listed

    def page(self, n, part):
        data = self.part("page", n, part)
        if data is None:
            return None
        try:
            page = Page(data, self.opened)
        except Malformed:
            self.tell("page", n, part)
            return None
        first, last = page.addresses[0][0], page.addresses[-1][0]
        times = [record[0] for record in page.records] or [self.opened]
        if (len(page.records) + len(page.carried), min(times) - self.opened) != (self.count[n], self.time[n]) or (
                n >= self.without) != (first is not None) or first is not None and (first, last) != (self.address[n], self.last[n]):
            self.tell("page", n, part)
            return None
        return page

    def told(self, who, notes, carried, events, whole):
        """Everything in the ledger's order."""
        ordinal, checkpoint, note, event = self.first, True, 0, 0
        last, ties = None, 0
        while note < len(notes) or event < len(events):
            is_note = note < len(notes) and (event == len(events) or notes[note][:2] <= events[event][:2])
            record = notes[note] if is_note else events[event]
            if checkpoint and not (is_note and record[2] != 0xC0 | 39):
                checkpoint = False
                yield from self.told_checkpoint(who, carried)
            note, event = note + is_note, event + (not is_note)
            ties = ties if record[0] == last else 0
            if whole and record[1] != ties:
                yield {"damage": 0, "bytes": 0, "what": f"tie at {record[0]}"}
            last, ties = record[0], ties + (not is_note)
            out = self.told_record(record)
            if not is_note:
                out |= {"ordinal": ordinal if whole else 0, "worker": record[3]}
                ordinal += 1
            elif record[2] == 0xC0 | DAMAGED:
                r = Reader(record[6])
                out |= {"record": "damaged", "events": r.varint(), "bytes": r.varint()}
                ordinal += out["events"]
            yield out
        if checkpoint:
            yield from self.told_checkpoint(who, carried)
        if whole and (ordinal - self.first != self.events or last is not None and last > self.ended):
            yield {"damage": 0, "bytes": 0, "what": "header"}

    def told_checkpoint(self, who, carried):
        for number, subscriber in enumerate(who):
            yield {"record": "subscriber", "number": number, "time": self.opened} | subscriber
        for record in carried:
            out = self.told_record(record)
            if record[2] < 0x20:
                out |= {"record": "held", "since": record[0] - self.opened, "reason": record[2]}
            elif record[2] < 0x40:
                out |= {"record": "resting", "since": record[0] - self.opened}
            yield out | {"time": self.opened}

    def told_record(self, record):
        time, _, head, _, block, value, body = record
        if head >= 0xC0:
            return typed(head & 0x3F, body) | {"time": time}
        out = {"record": "block-released" if head & 0x20 else "block-allocated", "block": block}
        out |= {"peak" if head & 0x20 else "subscriber": value, "reason": REASONS.get(head & 0x1F, head & 0x1F), "time": time}
        return out


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="+")
    status = 0
    for path in parser.parse_args().file:
        try:
            with open(path, "rb") as f:
                segment = Sealed(f.read())
        except OSError as e:
            print(f"ledger_reader_sealed.py: {e}", file=sys.stderr)
            status = 2
            continue
        except Malformed:
            print(f"ledger_reader_sealed.py: {path}: is no sealed segment of a ledger, or has a damaged end", file=sys.stderr)
            status = 2
            continue
        try:
            for item in segment:
                if "damage" in item:
                    status = max(status, 1)
                print(json.dumps(item))
        except Malformed:
            print(f"ledger_reader_sealed.py: {path}: a record of damage is malformed", file=sys.stderr)
            status = max(status, 1)
    return status


if __name__ == "__main__":
    sys.exit(main())
