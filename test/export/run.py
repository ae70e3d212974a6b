#!/usr/bin/python3 -B
"""Exports received by real collectors: rsyslog (UDP, TCP, TLS), nfcapd and nfdump, pmacct's nfacctd, tshark; and what an
outage of a collector costs.

    test/export/run.py [--build build] [--outage 5] [--rate 10000] [--only PART]

Made-up events (feed.cpp) go through the real exporter over the loopback of a network namespace. What each collector
understood is compared with the events as `culvert log show` writes them. Outages last 5 s; CULVERT_OUTAGE or --outage says
another time: 60 is what the project promises. The last line is `passed=N failed=M`.
"""

import argparse
import ipaddress
import json
import os
import pathlib
import re
import signal
import struct
import subprocess
import sys
import time
import traceback

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parents[1] / "tools")]

from checks import Checks  # noqa: E402
from lab import namespaces  # noqa: E402
import collectors  # noqa: E402
import flows  # noqa: E402

NAMESPACE = collectors.NAMESPACE
COUNT = 960  # events of each kind and carriage, ten times over
NAT_EVENTS = {"nat44": {"session-created": 4, "session-deleted": 5, "mapping-created": 8, "mapping-deleted": 9},
              "nat64": {"session-created": 6, "session-deleted": 7, "mapping-created": 10, "mapping-deleted": 11}}


def fields_of(line):
    """An event's line as a dictionary; `time` and `event` among them."""
    words = line.split(" ")
    return {"time": words[0], "event": words[1], **dict(word.split("=", 1) for word in words[2:])}


def nat_event(event):
    if event["event"] == "refused":
        return 13 if event["reason"] == "no-ports" else 3
    if event["event"].startswith("block"):
        return 16 if event["event"] == "block-allocated" else 17
    name = event["event"] if "destination" in event else event["event"].replace("session", "mapping")
    return NAT_EVENTS["nat64" if event["instance"] == "phones" else "nat44"][name]


def address_bytes(text):
    return ipaddress.ip_address(text.partition("/")[0]).packed


def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff


class Feed:
    """export_feed, running."""

    def __init__(self, scene, name, config, count, *options):
        self.scene, self.count = scene, count
        position = scene.lab.directory / f"{name}.position"
        position.write_text("culvert-export 1\nconfirmed 1\nsent 1\n")
        config = {"address": "127.0.0.1", "hostname": "cgn1", "position-file": str(position), **config}
        self.list = scene.lab.directory / f"{name}.list"
        self.process = scene.lab.start(NAMESPACE, name, [scene.feed, json.dumps(config), "--count", count, "--list",
                                                         self.list, *options])

    def stats(self):
        lines = [line for line in self.process.output(200).splitlines() if line.startswith("{")]
        return json.loads(lines[-1]) if lines else {}

    def complaints(self):
        return [line for line in self.process.output(10 ** 9).splitlines() if not line.startswith("{")]

    def finish(self, timeout=60):
        """Waits until all was sent, and ends it. Its statistics."""
        self.scene.lab.wait_until(lambda: not self.process.running(), "everything is sent", timeout)
        stats = self.stats()
        code = self.scene.lab.stop(self.process)
        if code != 0:
            raise namespaces.LabError(f"export_feed: exit code {code}\n{self.process.output()}")
        return stats

    def events(self):
        return [fields_of(line) for line in self.list.read_text().splitlines()]


class Scene:
    def __init__(self, lab, arguments, checks):
        self.lab, self.checks, self.outage, self.rate = lab, checks, arguments.outage, arguments.rate
        self.feed = pathlib.Path(arguments.build) / "test/export/export_feed"
        self._port = 20000
        self.certificates = collectors.Certificates(lab, "authority")
        self.certificates.sign("siem", "IP:127.0.0.1")
        self.certificates.sign("cgn1", "DNS:cgn1.example")
        self.tls = {"transport": "tls", "ca-file": str(self.certificates.ca),
                    "certificate-file": str(self.certificates.file("cgn1.pem")),
                    "private-key-file": str(self.certificates.file("cgn1.key"))}

    def port(self):
        self._port += 1
        return self._port

    def check(self, what, good, detail=""):
        return self.checks.check(what, good, detail)

    def same(self, what, got, expected):
        """Compares two lists, and shows the first difference."""
        detail = ""
        if got != expected:
            at = next((i for i, (a, b) in enumerate(zip(got, expected)) if a != b), min(len(got), len(expected)))
            detail = f"{len(got)} and {len(expected)}; number {at}: {got[at:at + 1]} is not {expected[at:at + 1]}"
        return self.check(what, got == expected, detail)

    def settle(self, condition, timeout=20):
        """Waits for a collector to have written everything; what is missing then the comparison tells."""
        try:
            self.lab.wait_until(condition, "the collector is done", timeout)
        except namespaces.LabError:
            pass


# --- syslog ---------------------------------------------------------------------------------------------------------------

def junos_line(event):
    """A block's line as the presentation in the mission's seeds has it, made from Culvert's own."""
    date, _, clock = event["time"].partition("T")
    kind = "ALLOC" if event["event"] == "block-allocated" else "RELEASE"
    line = (f"(FPC Slot 0, PIC Slot {event['worker']}) {date} {clock[:8]} [FWNAT]:ASP_NAT_PORT_BLOCK_{kind}: "
            f"{event['subscriber']} -> {event['external']}:{event['ports']}")
    if "since" in event:
        since = subprocess.run(["date", "-u", "-d", event["since"], "+%s"], capture_output=True, text=True, check=True)
        line += f" {int(since.stdout):#x}"
    return line


def check_rows(scene, name, feed, rows, text):
    """What rsyslog understood: header, structured data, text."""
    events, lines = feed.events(), feed.list.read_text().splitlines()
    scene.same(f"{name}: every event's text", [r["msg"].removeprefix(" ") for r in rows], [text(e, l) for e, l in zip(events, lines)])
    scene.same(f"{name}: header", [[r["hostname"], r["app"], r["msgid"], r["time"].replace("+00:00", "Z")] for r in rows],
               [["cgn1", "culvert", e["event"], e["time"]] for e in events])
    data = [r["data"].get("culvert@32473", {}) for r in rows]
    keys = ["event", "subscriber", "internal", "internal-port", "external", "destination", "destination-port", "protocol",
            "instance", "reason", "worker", "ordinal", "peak-mappings", "since", "origin", "lifetime", "count"]
    scene.same(f"{name}: structured data", [{k: d[k] for k in keys if k in d} for d in data],
               [{k: e[k] for k in keys if k in e} for e in events])
    scene.same(f"{name}: ports in structured data", [f"{d['first-port']}-{d['last-port']}" for d in data if "last-port" in d],
               [e["ports"] for e in events if "ports" in e])
    scene.same(f"{name}: sequenceId", [r["data"]["meta"]["sequenceid"] for r in rows], [str(n + 1) for n in range(len(events))])


def syslog(scene, how, config, text, *options, **more):
    port = scene.port()
    name = f"rsyslog-{how}-{config.get('format', 'culvert')}"
    rsyslog = collectors.Rsyslog(scene.lab, name, how, port, **more).start()
    feed = Feed(scene, f"feed-{name}", {"protocol": "syslog", "transport": how, "port": port, **config}, COUNT, *options)
    feed.finish()
    scene.settle(lambda: len(rsyslog.rows()) >= COUNT)
    rsyslog.stop()
    check_rows(scene, name, feed, rsyslog.rows(), text)


def test_syslog_udp_junos(scene):
    syslog(scene, "udp", {"format": "junos"}, lambda event, line: junos_line(event), "--blocks")


def test_syslog_udp_junos_short(scene):
    def short(event, _line):
        subscriber = event["subscriber"].partition("/")[0]
        if ":" in subscriber:
            groups = ipaddress.ip_address(subscriber).exploded.split(":")[:4]
            subscriber = ":".join(f"{int(g, 16):x}" for g in groups)
        letter = "A" if event["event"] == "block-allocated" else "R"
        return f"{event['time'][11:19]} {letter} {event['external']} {event['ports']} {subscriber}"
    syslog(scene, "udp", {"format": "junos-short"}, short, "--blocks")


def test_syslog_tcp(scene):
    syslog(scene, "tcp", {}, lambda event, line: line)


def test_syslog_tls(scene):
    syslog(scene, "tls", {**scene.tls, "format": "template", "template": "{time} {{{subscriber}}} {ordinal}"},
           lambda e, line: f"{e['time']} {{{e.get('subscriber', '-')}}} {e['ordinal']}", certificates=scene.certificates)


def test_syslog_tls_refuses_a_stranger(scene):
    """A collector that another authority vouches for gets nothing; nor does one with another name."""
    port = scene.port()
    rsyslog = collectors.Rsyslog(scene.lab, "rsyslog-stranger", "tls", port, certificates=scene.certificates).start()
    other = collectors.Certificates(scene.lab, "another-authority")
    for what, change in (("authority", {"ca-file": str(other.ca)}), ("name", {"server-name": "other.example"})):
        feed = Feed(scene, f"feed-stranger-{what}", {"protocol": "syslog", "port": port, **scene.tls, **change}, 10)
        scene.lab.wait_until(lambda f=feed: f.stats().get("failures", 0) >= 2, "it is refused")
        scene.lab.stop(feed.process)
        scene.check(f"another {what}: the exporter says so, once",
                    len(feed.complaints()) == 1 and "certificate verify failed" in feed.complaints()[0], feed.complaints())
    rsyslog.stop()
    scene.check("a stranger gets no event", rsyslog.raw() == "", rsyslog.raw()[:200])


# --- IPFIX and NetFlow v9 -------------------------------------------------------------------------------------------------

def exported(events):
    """Those that RFC 8158 has an event for."""
    return [e for e in events if e["event"] != "record-lost"]


def check_records(scene, name, events, records):
    """Records as flows.py reads them."""
    n = flows.number
    scene.same(f"{name}: every event once", [n(r[148]) for r in records], [int(e["ordinal"]) for e in events])
    pairs = list(zip(records, events))
    scene.same(f"{name}: natEvent", [n(r[230]) for r, _ in pairs], [nat_event(e) for e in events])
    scene.same(f"{name}: natInstanceID", [n(r[463]) for r, _ in pairs], [crc32c(e["instance"].encode()) for e in events])
    millis = [time_of(e) for e in events]
    scene.same(f"{name}: time", [n(r[323]) for r, _ in pairs], millis)
    scene.same(f"{name}: external address", [r[225] for r, e in pairs if "external" in e],
               [address_bytes(e["external"]) for e in events if "external" in e])
    blocks = [(r, e) for r, e in pairs if e["event"].startswith("block")]
    scene.same(f"{name}: port ranges", [f"{n(r[361])}-{n(r[362])}" for r, _ in blocks], [e["ports"] for _, e in blocks])
    scene.same(f"{name}: subscribers", [r.get(27, r.get(8)) for r, _ in blocks], [address_bytes(e["subscriber"]) for _, e in blocks])
    bindings = [(r, e) for r, e in pairs if "internal" in e]
    scene.same(f"{name}: internal endpoints", [(r[8] if 8 in r else r[27], n(r[7])) for r, _ in bindings],
               [(address_bytes(e["internal"]), int(e["internal-port"])) for _, e in bindings])
    scene.same(f"{name}: destinations", [r.get(12, r.get(226)) for r, _ in bindings],
               [address_bytes(e["destination"]) if "destination" in e else None for _, e in bindings])


def time_of(event):
    clock, _, millis = event["time"].rstrip("Z").partition(".")
    return int(time.mktime(time.strptime(clock + " UTC", "%Y-%m-%dT%H:%M:%S %Z")) - time.timezone) * 1000 + int(millis)


def flow_feed(scene, name, protocol, transport, port, count=COUNT, *options, **config):
    return Feed(scene, name, {"protocol": protocol, "transport": transport, "port": port, **config}, count, *options)


def check_sequence(scene, name, messages):
    expected = messages[0].sequence if messages else 0
    wrong = []
    for message in messages:
        if message.sequence != expected:
            wrong.append((message.sequence, expected))
        expected = message.next_sequence()
    scene.check(f"{name}: sequence numbers", not wrong, wrong[:3])


def keep(scene, protocol, transport):
    """Export to collector.py, read by flows.py, and by tshark."""
    port, name = scene.port(), f"{protocol}-{transport}"
    capture = scene.lab.directory / f"{name}.pcap"
    tshark = scene.lab.start(NAMESPACE, f"tshark-{name}", ["tcpdump", "-i", "lo", "-U", "-w", capture, "--immediate-mode",
                                                          "-s", "0", "-B", "131072", f"port {port}"])
    scene.lab.wait_until(lambda: "listening on" in tshark.output(), "tcpdump listens")
    keeper = collectors.Keeper(scene.lab, f"keeper-{name}", transport, port).start()
    feed = flow_feed(scene, f"feed-{name}", protocol, transport, port, **{"template-refresh-packet": 5})
    feed.finish()
    time.sleep(0.5)
    keeper.stop()
    scene.lab.stop(tshark)
    events = exported(feed.events())
    reader = flows.Reader()
    if transport == "udp":
        messages = [reader.message(d)[0] for d in flows.datagrams(keeper.datagrams())]
        scene.check(f"{name}: datagrams fit", all(len(d) <= 1400 for d in flows.datagrams(keeper.datagrams())))
    else:
        messages = list(reader.stream(keeper.streams()[0]))
    check_records(scene, name, events, [r for m in messages for r in m.records])
    check_sequence(scene, name, messages)
    times = sum(1 for m in messages if m.templates)
    scene.check(f"{name}: templates {'again and again' if transport == 'udp' else 'once'}", times > 3 if transport == "udp" else times == 1, times)
    if name == "netflow-v9-tcp":  # tshark does not tell where a packet of it ends
        write_capture(capture, packets_of(keeper.streams()[0]), port)
        transport = "udp"
    check_tshark(scene, name, transport, port, capture, events)


def packets_of(stream):
    reader = flows.Reader()
    while stream:
        _, rest = reader.message(stream)
        yield stream[:len(stream) - len(rest)]
        stream = rest


def tshark_fields(scene, arguments, fields):
    command = ["tshark", "-r", *arguments, "-T", "fields", "-E", "occurrence=a", "-E", "aggregator=,"]
    for field in fields:
        command += ["-e", field]
    return [line.split("\t") for line in scene.lab.run(NAMESPACE, command, timeout=120).stdout.splitlines()]


def write_capture(path, datagrams, port):
    """A capture of these datagrams, as if they had been sent by UDP."""
    with open(path, "wb") as out:
        out.write(struct.pack("!IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 101))  # of IP packets
        for d in datagrams:
            ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 28 + len(d), 0, 0, 64, 17, 0, b"\x7f\0\0\1", b"\x7f\0\0\1")
            packet = ip + struct.pack("!HHHH", port, port, 8 + len(d), 0) + d
            out.write(struct.pack("!IIII", 0, 0, len(packet), len(packet)) + packet)


def check_tshark(scene, name, transport, port, capture, events):
    decode = [capture, "-d", f"{transport}.port=={port},cflow"]
    rows = tshark_fields(scene, [*decode, "-Y", "cflow"], ["cflow.flow_id", "cflow.nat_event", "_ws.malformed"])
    scene.check(f"{name}: tshark finds nothing malformed", rows and all(r[2] == "" for r in rows), [r[2] for r in rows])
    split = lambda column: [int(v) for row in rows for v in row[column].split(",") if v]
    scene.same(f"{name}: events by tshark", split(0), [int(e["ordinal"]) for e in events])
    scene.same(f"{name}: natEvent by tshark", split(1), [nat_event(e) for e in events])


def test_ipfix_udp(scene):
    keep(scene, "ipfix", "udp")


def test_ipfix_tcp(scene):
    keep(scene, "ipfix", "tcp")


def test_netflow_v9_udp(scene):
    keep(scene, "netflow-v9", "udp")


def test_netflow_v9_tcp(scene):
    keep(scene, "netflow-v9", "tcp")


def nfdump(scene, protocol):
    port, name = scene.port(), f"nfcapd-{protocol}"
    nfcapd = collectors.Nfcapd(scene.lab, name, port).start()
    feed = flow_feed(scene, f"feed-{name}", protocol, "udp", port)
    feed.finish()
    time.sleep(1)
    nfcapd.stop()
    said = nfcapd.process.output(100)
    scene.check(f"{name}: no sequence errors, no bad packets", re.search(r"Sequence Errors: 0, Bad Packets: 0", said), said)
    records, events = nfcapd.records(), exported(feed.events())
    # nfdump writes 8 ms as .8
    scene.same(f"{name}: times", [tuple(r["t_event"].split(".")) for r in records],
               [(e["time"][:19], str(int(e["time"][20:23]))) for e in events])
    scene.same(f"{name}: NAT events", [int(r["nat_event_id"]) if "nat_event_id" in r else r.get("nat_event") for r in records],
               [nat_event(e) for e in events])
    pairs = [(r, e) for r, e in zip(records, events) if "external" in e]
    scene.same(f"{name}: external addresses", [r["src4_xlt_ip"] for r, _ in pairs], [e["external"] for _, e in pairs])
    if protocol == "netflow-v9":  # nfdump 1.7.1 does not read them from IPFIX
        blocks = [(r, e) for r, e in pairs if e["event"].startswith("block")]
        scene.same(f"{name}: port blocks", [f"{r['pblock_start']}-{r['pblock_end']}" for r, _ in blocks], [e["ports"] for _, e in blocks])
        scene.same(f"{name}: ordinals", [r["connect_id"] for r in records], [e["ordinal"] for e in events])


def test_nfdump_netflow_v9(scene):
    nfdump(scene, "netflow-v9")


def test_nfdump_ipfix(scene):
    nfdump(scene, "ipfix")


def nfacctd(scene, protocol):
    port, name = scene.port(), f"nfacctd-{protocol}"
    collector = collectors.Nfacctd(scene.lab, name, port).start()
    time.sleep(1)  # until its plugin is there
    feed = flow_feed(scene, f"feed-{name}", protocol, "udp", port)
    feed.finish()
    events = exported(feed.events())
    scene.settle(lambda: len(collector.rows()) >= len(events))
    collector.stop()
    rows = {r["ordinal"]: r for r in collector.rows()}
    scene.same(f"{name}: every event", sorted(map(int, rows)), [int(e["ordinal"]) for e in events])
    pairs = [(rows[e["ordinal"]], e) for e in events if e["ordinal"] in rows]
    scene.same(f"{name}: natEvent", [r["nat_event"] for r, _ in pairs], [nat_event(e) for _, e in pairs])
    scene.same(f"{name}: natInstanceID", [int(r["nat_instance"]) for r, _ in pairs], [crc32c(e["instance"].encode()) for _, e in pairs])
    scene.same(f"{name}: times", [r["timestamp_start"][:23].replace(" ", "T") for r, _ in pairs], [e["time"][:-1] for _, e in pairs])
    blocks = [(r, e) for r, e in pairs if e["event"].startswith("block")]
    scene.same(f"{name}: blocks", [(r["ip_src"], r["post_nat_ip_src"], f"{r['first_port']}-{r['last_port']}") for r, _ in blocks],
               [(e["subscriber"].partition("/")[0], e["external"], e["ports"]) for _, e in blocks])
    refused = [(r, e) for r, e in pairs if e["event"] == "refused"]
    scene.same(f"{name}: refusals", [(r["refused"], r["quota"]) for r, _ in refused],
               [(e["count"], "3" if e["reason"] == "no-ports" else "0") for _, e in refused])


def test_nfacctd_netflow_v9(scene):
    nfacctd(scene, "netflow-v9")


def test_nfacctd_ipfix(scene):
    nfacctd(scene, "ipfix")


# --- outages --------------------------------------------------------------------------------------------------------------

def outage(scene, name, collector, config, received, warm=2):
    """Kills the collector while events flow, and starts it again. Its feed, and what arrived in the end: event numbers as
    they came."""
    total = int(scene.rate * (warm + scene.outage + 3))
    collector.start()
    feed = Feed(scene, f"feed-{name}", {"port": collector.port, **config}, total, "--rate", scene.rate, "--blocks")
    time.sleep(warm)
    collector.kill()
    before = len(set(received()))
    time.sleep(scene.outage)
    waited = feed.stats()
    collector.start()
    stats = feed.finish(timeout=120 + 3 * scene.outage)
    scene.settle(lambda: len(set(received())) >= total, 60)
    collector.stop()
    got = received()
    scene.check(f"{name}: it was in the midst of it", 0 < before < total and waited["failing"] and waited["waiting"] > 0, (before, waited))
    # What ended the connection, and why there is no other: each reason once.
    *reasons, end = feed.complaints()
    scene.check(f"{name}: each reason of the outage is complained of once, and its end is told",
                len(reasons) in (1, 2) and len(set(reasons)) == len(reasons) and "is reached again" in end, feed.complaints())
    return feed, total, got, stats


def check_complete(scene, name, total, got, stats):
    missing = set(range(1, total + 1)) - set(got)
    scene.check(f"{name}: {total} events, {scene.outage:g} s without a collector: every event arrives; "
                f"{len(got) - len(set(got))} of them again", not missing and stats["lost"] == 0,
                f"{len(missing)} missing, from {min(missing, default=0)} on; {stats}")


def syslog_ordinals(rsyslog):
    return [int(n) for n in re.findall(r' ordinal="(\d+)"', rsyslog.raw())]


def test_outage_syslog_tcp(scene):
    rsyslog = collectors.Rsyslog(scene.lab, "outage-tcp", "tcp", scene.port(), rows=False)
    _, total, got, stats = outage(scene, "outage-tcp", rsyslog, {"protocol": "syslog", "transport": "tcp"},
                                  lambda: syslog_ordinals(rsyslog))
    check_complete(scene, "outage-tcp", total, got, stats)


def test_outage_syslog_tls(scene):
    rsyslog = collectors.Rsyslog(scene.lab, "outage-tls", "tls", scene.port(), certificates=scene.certificates, rows=False)
    _, total, got, stats = outage(scene, "outage-tls", rsyslog, {"protocol": "syslog", **scene.tls},
                                  lambda: syslog_ordinals(rsyslog))
    check_complete(scene, "outage-tls", total, got, stats)


def test_outage_ipfix_tcp(scene):
    keeper = collectors.Keeper(scene.lab, "outage-ipfix", "tcp", scene.port())
    messages = lambda: [list(flows.Reader().stream(s, whole=False)) for s in keeper.streams()]
    _, total, got, stats = outage(scene, "outage-ipfix", keeper, {"protocol": "ipfix", "transport": "tcp"},
                                  lambda: [flows.number(r[148]) for s in messages() for m in s for r in m.records])
    check_complete(scene, "outage-ipfix", total, got, stats)
    for number, stream in enumerate(messages()):
        scene.check(f"outage-ipfix: connection {number} begins with 0", stream[0].sequence == 0, stream[0].sequence)
        check_sequence(scene, f"outage-ipfix: connection {number}", stream)


def test_outage_syslog_udp(scene):
    """Who refuses datagrams is waited for: what may be missing is told, sent again, and arrives."""
    rsyslog = collectors.Rsyslog(scene.lab, "outage-udp", "udp", scene.port(), rows=False)
    feed, total, got, stats = outage(scene, "outage-udp", rsyslog,
                                     {"protocol": "syslog", "transport": "udp", "datagrams-per-second": 30000},
                                     lambda: syslog_ordinals(rsyslog))
    told = re.search(r"(\d+) to (\d+) may not have arrived and are sent again", "".join(feed.complaints()))
    scene.check("outage-udp: the gap is told", told, feed.complaints())
    check_complete(scene, "outage-udp", total, got, stats)


def test_silent_loss_udp(scene):
    """Whose buffer overflows says nothing: what is missing shows in the numbers of the messages."""
    rsyslog = collectors.Rsyslog(scene.lab, "silent-udp", "udp", scene.port(), rows=False)
    rsyslog.config.write_text(rsyslog.config.read_text().replace('rcvbufSize="64m"', 'rcvbufSize="64k"'))
    rsyslog.start()
    total = int(scene.rate * (3 + scene.outage))
    feed = Feed(scene, "feed-silent-udp", {"protocol": "syslog", "transport": "udp", "port": rsyslog.port}, total, "--rate",
                scene.rate, "--blocks")
    time.sleep(1)
    rsyslog.process.signal(signal.SIGSTOP)
    time.sleep(scene.outage)
    rsyslog.process.signal(signal.SIGCONT)
    feed.finish()
    time.sleep(1)
    rsyslog.stop()
    got = set(syslog_ordinals(rsyslog))
    sequence = [int(n) for n in re.findall(r'\[meta sequenceId="(\d+)"\]', rsyslog.raw())]
    skipped = sum(b - a - 1 for a, b in zip(sequence, sequence[1:]))
    missing = max(got, default=0) - len(got)
    scene.check(f"silent loss: sequenceId tells how many of {total} are missing: {skipped}", skipped == missing > 0, (skipped, missing))


# --- running --------------------------------------------------------------------------------------------------------------

def run(arguments, checks):
    tests = [(name, test) for name, test in globals().items() if name.startswith("test_") and arguments.only in name]
    with namespaces.Lab(print) as lab:
        lab.add_namespaces(NAMESPACE)
        scene = Scene(lab, arguments, checks)
        for name, test in tests:
            began = time.monotonic()
            try:
                test(scene)
            except namespaces.Interrupted:
                raise
            except Exception:  # the other tests may tell more
                checks.check(name, False, traceback.format_exc())
            print(f"   {name} {time.monotonic() - began:.1f} s", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build", help="build directory (%(default)s)")
    parser.add_argument("--outage", type=float, default=float(os.environ.get("CULVERT_OUTAGE", "5")), help="seconds (%(default)g)")
    parser.add_argument("--rate", type=int, default=10000, help="events a second in an outage (%(default)s)")
    parser.add_argument("--only", default="", help="only tests whose name contains this")
    arguments = parser.parse_args()
    namespaces.end_on_signals()
    checks = Checks()
    try:
        run(arguments, checks)
    except namespaces.Interrupted as name:
        print(f"\n   {name}: everything is taken down")
        return 130
    except namespaces.LabError as error:
        checks.check("the lab", False, error)
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
