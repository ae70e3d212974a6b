"""Collectors get what the ledger records, as it happens: also what they missed, and across reloads."""

import contextlib
import re
import socket
import threading
import time

from support import Host, instance, topology

PORT = 6514
FLOWS = 4739


def CONFIG(config):
    """Each subscriber gets a block for one mapping, and gives it back when that is cleared."""
    instance(config, "nat44").update({"port-set-size": 64, "port-sets-per-subscriber": 8, "port-set-timeout": 1})
    config["hold-down-timeout"] = 0
    config.setdefault("logging", {})["exports"] = [export("siem")]


def export(name, **keys):
    return {"name": name, "protocol": "syslog", "transport": "tcp", "collector": f"127.0.0.1:{PORT}", **keys}


class Collector:
    """Takes octet-counted syslog while the block runs (RFC 6587 section 3.4.1)."""

    def __init__(self, net, port=PORT):
        self.host, self.port = Host(net, "appliance", "127.0.0.1"), port
        self.messages, self.streams = [], []
        self.ending = threading.Event()

    def _accept(self):
        while not self.ending.is_set():
            try:
                stream, _ = self.listener.accept()
            except TimeoutError:
                continue
            self.streams.append(stream)
            threading.Thread(target=self._read, args=(stream,), daemon=True).start()

    def _read(self, stream):
        data = b""
        while True:
            try:
                more = stream.recv(1 << 16)
            except OSError:
                return
            if not more:  # it has all: says so
                return stream.close()
            data += more
            while (match := re.match(rb"(\d+) ", data)) and len(data) >= match.end() + int(match[1]):
                end = match.end() + int(match[1])
                self.messages.append(data[match.end():end].decode())
                data = data[end:]

    def __enter__(self):
        self.listener = self.host.tcp(self.port)
        self.listener.listen(8)
        self.listener.settimeout(0.1)
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ending.set()
        self.thread.join()
        self.listener.close()
        for stream in self.streams:
            with contextlib.suppress(OSError):  # it may have ended
                stream.shutdown(socket.SHUT_RDWR)
            stream.close()

    def ordinals(self):
        return [int(n) for message in list(self.messages) for n in re.findall(r' ordinal="(\d+)"', message)]


def state(net, name="siem"):
    return next(row for row in net.daemon.rows("exports") if row["export"] == name)


def make_events(net, rounds=3):
    """Takes a block and gives it back, again and again: two events each."""
    with net.v4sub.udp() as sock:
        for _ in range(rounds):
            sock.sendto(b"x", (topology.SERVER, 9))
            time.sleep(0.05)
            net.daemon.ask("clear", "subscriber", net.v4sub.address)


def recorded(net):
    """Ordinals of the ledger's events from the first one of this run on."""
    return [int(n) for line in net.daemon.log_records() for n in re.findall(r" ordinal=(\d+)", line)]


def wait_for(net, what, condition, seconds=20):
    net.lab.wait_until(condition, what, seconds)


def has_all(net, collector):
    wanted = set(recorded(net))
    return wanted and wanted <= set(collector.ordinals())


def test_events_arrive_as_they_happen(net):
    with Collector(net) as collector:
        net.restart(CONFIG)
        make_events(net)
        wait_for(net, "all events have arrived", lambda: has_all(net, collector))
        first = next(m for m in collector.messages if "block-allocated" in m)
        assert re.match(r"<134>1 \S+ \S+ culvert \d+ block-allocated \[meta sequenceId=\"\d+\"\]\[culvert@32473 ", first), first
        assert f'subscriber="{net.v4sub.address}"' in first, first
        row = state(net)
        assert row["state"] == "sending" and row["lost"] == 0 and row["collector"] == f"127.0.0.1:{PORT}", row
        wait_for(net, "the metrics tell it", lambda: any(
            name.startswith("culvert_export_up") and 'export="siem"' in name and value == 1
            for name, value in net.daemon.metrics().items()))


def test_what_a_collector_missed_comes_when_it_is_back(net):
    with Collector(net) as before:
        net.restart(CONFIG)
        make_events(net)
        wait_for(net, "the first events have arrived", lambda: has_all(net, before))
    wait_for(net, "the export fails", lambda: state(net)["state"] == "failing")
    make_events(net, 5)
    wait_for(net, "events wait", lambda: state(net)["waiting"] >= 10)
    # A restart forgets nothing of it either.
    net.restart(CONFIG, keep_ledger=True)
    make_events(net)
    with Collector(net) as after:
        wait_for(net, "everything has arrived",
                 lambda: set(recorded(net)) <= set(before.ordinals()) | set(after.ordinals()), 30)
    assert state(net)["lost"] == 0


def test_a_restart_repeats_nothing_that_arrived(net):
    with Collector(net) as collector:
        for keep in (False, True, True):
            net.restart(CONFIG, keep_ledger=keep)
            make_events(net)
            wait_for(net, "all events have arrived", lambda: has_all(net, collector))
        everything = collector.ordinals()
        assert len(everything) == len(set(everything)), everything
        assert state(net)["failures"] == 0


def test_reload_changes_exports(net):
    def more(config):
        CONFIG(config)
        config["logging"]["exports"].append(export("short", collector=f"127.0.0.1:{PORT + 1}", format="junos-short"))

    def fewer(config):
        CONFIG(config)
        config["logging"]["exports"] = [export("short", collector=f"127.0.0.1:{PORT + 1}", format="junos")]

    with Collector(net) as siem, Collector(net, PORT + 1) as short:
        net.restart(CONFIG)
        make_events(net)
        wait_for(net, "all events have arrived", lambda: has_all(net, siem))
        net.daemon.reload(net.text(more))
        make_events(net)
        wait_for(net, "all events have arrived", lambda: has_all(net, siem))
        # The new one begins with the next event, and the old one repeats nothing.
        wait_for(net, "the new one has the last event", lambda: recorded(net)[-1] in short.ordinals())
        assert not any("NAT_PORT_BLOCK" in m for m in short.messages) and len(short.ordinals()) < len(recorded(net))
        assert len(siem.ordinals()) == len(set(siem.ordinals())) and state(net)["failures"] == 0
        net.daemon.reload(net.text(fewer))
        assert [row["export"] for row in net.daemon.rows("exports")] == ["short"]
        before = len(siem.messages)
        make_events(net)
        wait_for(net, "the changed one goes on", lambda: recorded(net)[-1] in short.ordinals())
        assert any("ASP_NAT_PORT_BLOCK_ALLOC: " in m for m in short.messages)
        assert len(siem.messages) == before
        # A mistake changes nothing.
        result = net.lab.run("appliance", [net.daemon.culvert, "config", "check", "/dev/stdin"], check=False,
                             stdin=net.text(lambda c: (CONFIG(c), c["logging"]["exports"][0].update(format="ipfix"))))
        assert result.returncode == 2 and "format is \"ipfix\"; it is one of culvert, junos" in result.stderr, result


def test_what_was_lost_is_sent_again(net):
    with Collector(net):
        net.restart(CONFIG)
        make_events(net)
        wait_for(net, "the events are on record", lambda: len(recorded(net)) >= 6)
    config = net.daemon.state / "again.yaml"
    config.write_text(net.text(CONFIG))
    command = [net.daemon.culvert, "log", "export", "siem", "--config", config, "--ledger", net.daemon.ledger]
    with Collector(net, PORT + 7):
        result = net.lab.run("appliance", command, check=False)
        assert result.returncode == 1 and "Connection refused; nothing was sent" in result.stderr, result
    with Collector(net) as again:
        net.stop()
        said = net.lab.run("appliance", command).stdout
        assert said.endswith(f" entries were sent to 127.0.0.1:{PORT}\n"), said
    config.write_text(net.text(lambda c: (CONFIG(c), c["logging"]["exports"][0].update(transport="udp"))))
    result = net.lab.run("appliance", command, check=False)
    assert result.returncode == 1 and "nobody receives there" in result.stderr, result
    with contextlib.closing(Host(net, "appliance", "127.0.0.1").udp(PORT)):
        said = net.lab.run("appliance", command).stdout
        assert said.endswith("; over UDP nobody knows whether they have arrived\n"), said
        wait_for(net, "all are there", lambda: has_all(net, again), 5)
    result = net.lab.run("appliance", [*command[:3], "nobody", *command[4:]], check=False)
    assert result.returncode == 2 and "has no export nobody; there are siem" in result.stderr, result


def test_flows_arrive_as_ipfix(net):
    def flows(config):
        CONFIG(config)
        config["logging"]["exports"] = [
            {"name": "flows", "protocol": "ipfix", "collector": f"127.0.0.1:{FLOWS}", "observation-domain-id": 77}]

    collector = Host(net, "appliance", "127.0.0.1")
    sock = collector.udp(FLOWS)
    sock.settimeout(5)
    net.restart(flows)
    make_events(net)
    message = sock.recv(65536)
    assert message[:2] == b"\x00\x0a" and int.from_bytes(message[12:16]) == 77, message
    # Nobody there: it is told, and begins again.
    sock.close()
    make_events(net)
    wait_for(net, "the export fails", lambda: (make_events(net, 1), state(net, "flows"))[1]["state"] == "failing", 30)
    sock = collector.udp(FLOWS)
    sock.settimeout(10)
    assert sock.recv(65536)[:2] == b"\x00\x0a"
