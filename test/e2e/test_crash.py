"""culvertd is killed, and its machine, under traffic, again and again: whoever watches the packets outside and reads the ledger
never finds a port with somebody who has no record of it, nor with two at a time.

    CULVERT_CRASHES=200 CULVERT_POWER_LOSSES=50 test/e2e/run --only crash      the long run; each takes some seconds
"""

import collections
import contextlib
import ipaddress
import os
import pathlib
import random
import shutil
import socket
import struct
import subprocess
import sys
import threading
import time

from support import instance, topology

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "tools"))
import ledger_reader  # noqa: E402
import ledger_reader_sealed  # noqa: E402

PORT = 7470
SET_SIZE = 64
CRASHES = int(os.environ.get("CULVERT_CRASHES", 4))
POWER_LOSSES = int(os.environ.get("CULVERT_POWER_LOSSES", 3))
SUBSCRIBERS = [str(ipaddress.ip_address("100.64.1.100") + i) for i in range(24)]
# A record has the time of the burst in which its packet was; a packet that of its arrival.
SLACK = 0.15
SO_TIMESTAMPNS = 35


def CONFIG(config, strict=False, workers=None):
    """Fewer blocks than subscribers, and no rest longer than a second: whatever can go wrong soon does."""
    config["workers"] = workers or config["workers"]
    config["hold-down-timeout"] = 1
    config.setdefault("logging", {})["durability"] = "strict" if strict else "buffered"
    instance(config, "nat44").update({
        "external-ip-address-pool": ["203.0.113.1/32"], "port-range": f"2048-{2048 + 16 * SET_SIZE - 1}",
        "port-set-size": SET_SIZE, "port-sets-per-subscriber": 1, "port-set-timeout": 1})


class Traffic:
    """Datagrams of all subscribers, who come and go; `seen` has what came out: (time, subscriber, address, port)."""

    def __init__(self, net):
        self.net, self.seen, self.ending, self.random = net, [], threading.Event(), random.Random(7)
        net.lab.ip("v4sub", *(f"addr replace {a}/24 dev eth0" for a in SUBSCRIBERS))
        self.server = net.server.udp(PORT)
        self.server.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self.server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.server.settimeout(0.2)
        self.sockets = [(a, net.v4sub.udp(address=a)) for a in SUBSCRIBERS for _ in range(4)]

    def _send(self):
        while not self.ending.is_set():
            for address, sock in self.random.sample(self.sockets, 16):
                try:
                    sock.sendto(address.encode(), (topology.SERVER, PORT))
                except OSError:  # what culvertd answers, or nobody does
                    pass
            time.sleep(0.003)

    def _receive(self):
        while not self.ending.is_set():
            try:
                data, ancillary, _, (address, port) = self.server.recvmsg(64, 64)
            except TimeoutError:
                continue
            seconds, nanoseconds = struct.unpack("ll", ancillary[0][2])
            self.seen.append((seconds + nanoseconds / 1e9, data.decode(), address, port))

    def _clear(self):
        """Takes somebody's block; it is given to another after its rest."""
        while not self.ending.is_set():
            if self.net.daemon.process is not None:
                self.net.daemon.ask("clear", "subscriber", self.random.choice(SUBSCRIBERS), check=False)
            time.sleep(0.05)

    def __enter__(self):
        self.threads = [threading.Thread(target=f, daemon=True) for f in (self._send, self._receive, self._clear)]
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.ending.set()
        for thread in self.threads:
            thread.join()
        self.net.close_sockets()


class Record:
    """Who held which block when, as the ledger's files say, read by who shares no code with Culvert."""

    def __init__(self, directory):
        self.tenures = collections.defaultdict(list)  # (address, first port): [subscriber, since, until]
        self.open = {}
        # Of a segment that is there live and sealed, the sealed one.
        files = {path.stem: path for path in sorted(directory.iterdir()) if path.suffix in (".live", ".seg")}
        segments = [(path, self._segment(path)) for _, path in sorted(files.items())]
        # What has an ordinal of the next segment does not count (docs/ledger.md, "Ordinals").
        ends = [segment.first for _, segment in segments[1:]] + [float("inf")]
        for (path, segment), end in zip(segments, ends):
            self._read(path, segment, end)
        for place, (subscriber, since) in self.open.items():
            self.tenures[place].append((subscriber, since, float("inf")))

    @staticmethod
    def _segment(path):
        data = path.read_bytes()
        return ledger_reader.Live(data) if path.suffix == ".live" else ledger_reader_sealed.Sealed(data)

    def _read(self, path, segment, end):
        ranges, subscribers, held, first = [], {}, {}, True

        def place(block):
            for r in ranges:
                if 0 <= block - r["first-block"] < r["addresses"] * r["sets"]:
                    n = block - r["first-block"]
                    address = ipaddress.ip_address(r["first-address"]) + n // r["sets"]
                    return str(address), r["first-port"] + n % r["sets"] * r["set-size"]
            raise AssertionError(f"{path}: block {block} is in no range")

        for item in segment:
            assert "malformed" not in item, (path, item)
            if item.get("ordinal", 0) >= end:
                break
            kind = item.get("record")
            if kind == "address-range":
                ranges.append(item)
            elif kind == "subscriber":
                subscribers[item["number"]] = item["prefix"].removeprefix("::ffff:").partition("/")[0]
            elif kind == "held":
                held[place(item["block"])] = subscribers[item["subscriber"]]
            elif kind == "checkpoint-end" and self.open and first:
                before = {p: s for p, (s, _) in self.open.items()}
                assert held == before, f"{path} begins with other holders than the segment before ended with: " \
                                       f"{set(held.items()) ^ set(before.items())}"
                first = False
            elif kind == "block-allocated":
                where = place(item["block"])
                assert where not in self.open, f"{path}: {item}: {self.open[where]} holds it"
                self.open[where] = (subscribers[item["subscriber"]], item["time"] / 1000)
            elif kind == "block-released":
                where = place(item["block"])
                assert where in self.open, f"{path}: {item}: nobody holds it"
                subscriber, since = self.open.pop(where)
                self.tenures[where].append((subscriber, since, item["time"] / 1000))

    def check(self, packets):
        """Each packet was of the holder of its port."""
        wrong = []
        for at, subscriber, address, port in packets:
            of_block = self.tenures.get((address, port - (port - 2048) % SET_SIZE), [])
            if not any(s == subscriber and since - SLACK <= at <= until + SLACK for s, since, until in of_block):
                wrong.append((at, subscriber, address, port, of_block))
        assert not wrong, f"{len(wrong)} of {len(packets)} packets were not of the holder on record, the first: {wrong[0]}"


def crash(net, traffic, change):
    """Something happens for a while, and then `change` to the dead box."""
    time.sleep(traffic.random.uniform(0.1, 1.2))
    net.daemon.kill()
    change()


def check(net, traffic):
    packets = list(traffic.seen)
    assert len(packets) > 100 and len({s for _, s, _, _ in packets}) > 16, len(packets)
    assert len({(a, p, s) for _, s, a, p in packets}) > len({(a, p) for _, _, a, p in packets}), "no port had two subscribers"
    Record(net.daemon.ledger).check(packets)
    net.lab.run("appliance", [net.daemon.culvert, "log", "verify", "--ledger", net.daemon.ledger])


def test_kills_at_random_moments(net):
    net.restart(CONFIG)
    with Traffic(net) as traffic:
        for _ in range(CRASHES):
            crash(net, traffic, lambda: None)
            workers = traffic.random.choice((1, 2, 4))
            strict = traffic.random.choice((False, True))
            net.start(lambda c, w=workers, s=strict: CONFIG(c, s, w), keep_ledger=True)
        time.sleep(2)
        net.stop()
    check(net, traffic)


class Disk:
    """What of the ledger's directory a power loss leaves: test/e2e/synced.c says what was synced."""

    def __init__(self, net):
        self.net = net
        self.log = net.lab.directory / "synced"
        library = net.lab.directory / "synced.so"
        subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-o", library, HERE / "synced.c"], check=True)
        self.broken = net.lab.directory / "broken"  # while it is there
        self.environment = {"LD_PRELOAD": str(library), "SYNCED_LOG": str(self.log), "SYNCED_FAILS": str(self.broken),
                            "SYNCED_DIRECTORY": str(net.daemon.ledger)}
        self.lost = 0

    def lose_power(self):
        names, sizes = {}, {}
        for line in self.log.read_text().splitlines():
            kind, *words = line.split(" ")
            if kind == "file":
                sizes[int(words[0])] = int(words[1])
            else:
                names = {int(inode): name for inode, _, name in (word.partition("=") for word in words)}
        for path in self.net.daemon.ledger.iterdir():
            inode = path.stat().st_ino
            if path.name == "lock":  # and its machine is another one, next time
                path.write_text(path.read_text().replace("-", "_"))
            elif inode not in names:
                path.unlink()
            else:
                synced = sizes.get(inode, 0)
                self.lost += path.stat().st_size - synced
                os.truncate(path, synced)
                path.rename(path.with_name(names[inode]))
        shutil.rmtree(self.net.daemon.state / "rings")


@contextlib.contextmanager
def disk_of(net):
    """culvertd's, from its next start on."""
    net.stop()
    disk = Disk(net)
    net.daemon.environment = disk.environment
    try:
        yield disk
    finally:
        net.daemon.environment = {}


def test_power_losses_in_strict_mode(net):
    with disk_of(net) as disk:
        net.start(lambda c: CONFIG(c, True))
        with Traffic(net) as traffic:
            for _ in range(POWER_LOSSES):
                crash(net, traffic, disk.lose_power)
                workers = traffic.random.choice((1, 2, 4))
                net.start(lambda c, w=workers: CONFIG(c, True, w), keep_ledger=True)
            time.sleep(2)
            net.stop()
        check(net, traffic)


def test_disk_that_fails_for_a_while(net):
    """Of a file that could not be synced nobody knows what is on the disk: the ledger goes on in another one, and loses nothing."""
    for strict in (False, True):
        with disk_of(net) as disk:
            net.start(lambda c, s=strict: CONFIG(c, s))
            with Traffic(net) as traffic:
                for _ in range(2):
                    time.sleep(0.7)
                    disk.broken.touch()
                    time.sleep(0.7)
                    disk.broken.unlink()
                time.sleep(1.5)
                assert "Input/output error" in net.daemon.process.output(200)
                net.stop()
            check(net, traffic)


test_kills_at_random_moments.timeout = 60 + 8 * CRASHES
test_power_losses_in_strict_mode.timeout = 60 + 8 * POWER_LOSSES
