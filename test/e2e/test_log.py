"""The ledger is asked as its users do: who had the port that a server saw, what a subscriber had, whether all is whole."""

import csv
import io
import json
import shutil
import time

from support import LabError, instance, topology

PORT = 7460
SUBSCRIBERS = {"nat44": "100.64.1.60", "other": "100.64.1.61"}


def CONFIG(config):
    """Segments are so short that some are sealed in a test."""
    nat44 = instance(config, "nat44")
    config.setdefault("logging", {})["ledger-segment-events"] = 1000
    nat44.update({"port-set-size": 64, "port-sets-per-subscriber": 1})


def log(net, *arguments, ledger=None, check=True):
    command, *rest = arguments
    return net.lab.run("appliance", [net.daemon.culvert, "log", command, "--ledger", ledger or net.daemon.ledger, *rest],
                       check=check)


def rows(net, *arguments, ledger=None):
    """Its JSON lines but the last one, and that."""
    result = log(net, *arguments, "--json", ledger=ledger, check=False)
    *found, end = [json.loads(line) for line in result.stdout.splitlines()]
    assert result.returncode == (0 if found else 1), result
    return found, end


def seen_by_the_server(net, subscriber):
    """Its address and port outside."""
    server = net.server.udp(PORT)
    net.v4sub.udp(address=subscriber).sendto(b"who am I?", (topology.SERVER, PORT))
    server.settimeout(5)
    _, (address, port) = server.recvfrom(2048)
    net.close_sockets()
    return address, port


def begun(net):
    """A new ledger; what the server saw of each subscriber, and when."""
    net.restart(CONFIG)
    net.lab.ip("v4sub", *(f"addr replace {a}/24 dev eth0" for a in SUBSCRIBERS.values()))
    seen = {a: seen_by_the_server(net, a) for a in SUBSCRIBERS.values()}
    time.sleep(0.2)  # it is on record within 100 ms, and clocks agree to less
    at = time.time()
    return seen, at


def check_who(net, seen, at, ledger=None):
    for subscriber, (address, port) in seen.items():
        found, end = rows(net, "who", f"{address}:{port}/udp", "--at", f"@{at:.3f}", ledger=ledger)
        assert [row["subscriber"] for row in found] == [subscriber], (subscriber, found)
        assert found[0]["first_port"] <= port <= found[0]["last_port"], found
        yield found[0], end


def test_who_had_the_port_that_a_server_saw(net):
    seen, at = begun(net)
    for row, _ in check_who(net, seen, at):
        assert row["held"] and row["begun"] == "first-packet", row
    # Not before that, and nobody has a block that was never given.
    address, port = seen[SUBSCRIBERS["nat44"]]
    assert rows(net, "who", f"{address}:{port}", "--at", f"@{at - 60:.3f}")[0] == []
    assert rows(net, "who", f"{address}:1", "--at", f"@{at:.3f}")[0] == []
    # As people read it; in a zone; a minute around.
    local = time.strftime("%Y-%m-%d %H:%M:%S +0000", time.gmtime(at))
    text = log(net, "who", f"{address}:{port}", "--at", local, "--within", "1m").stdout
    assert SUBSCRIBERS["nat44"] in text and "still held" in text, text


def test_answers_stay_the_same_after_a_crash_sealed_and_elsewhere(net):
    seen, at = begun(net)
    for _ in range(2):
        net.daemon.kill()
        net.start(CONFIG, keep_ledger=True)
    net.daemon.ask("clear", "subscriber", SUBSCRIBERS["other"])
    net.lab.wait_until(lambda: any(" block-released " in line for line in net.daemon.log_records()), "the release is on record", 5)
    for row, end in check_who(net, seen, at):
        assert end["complete"], end
        assert row["held"] == (row["subscriber"] == SUBSCRIBERS["nat44"]), row
    log(net, "verify")  # nothing is wrong
    # What has ended is sealed by itself; the copy as a whole by hand.
    net.lab.wait_until(lambda: list(net.daemon.ledger.glob("*.seg")), "the first segment is sealed", 20)
    net.daemon.stop()
    copy = net.daemon.state / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(net.daemon.ledger, copy)
    net.start(CONFIG, keep_ledger=True)
    log(net, "seal", "--last", ledger=copy)
    assert not list(copy.glob("*.live")) and list(copy.glob("*.seg"))
    log(net, "verify", ledger=copy)
    for _, end in check_who(net, seen, at, ledger=copy):
        assert end["complete"], end
    found, _ = rows(net, "subscriber", SUBSCRIBERS["other"], ledger=copy)
    assert len(found) == 1 and not found[0]["held"] and found[0]["ended"] == "cleared", found
    # Tampering shows.
    segment = sorted(copy.glob("*.seg"))[0]
    data = bytearray(segment.read_bytes())
    data[len(data) // 2] ^= 1
    segment.write_bytes(data)
    result = log(net, "verify", ledger=copy, check=False)
    assert result.returncode == 1 and segment.name in result.stdout, result
    shutil.rmtree(copy)


def test_show_and_stats_tell_what_happened(net):
    seen, _ = begun(net)
    subscriber = SUBSCRIBERS["nat44"]
    table = list(csv.DictReader(io.StringIO(log(net, "show", "--format", "csv").stdout)))
    mine = [row for row in table if row["subscriber"] == subscriber]
    assert [row["event"] for row in mine] == ["block-allocated"], mine
    assert int(mine[0]["first-port"]) <= seen[subscriber][1] <= int(mine[0]["last-port"]), mine
    only = log(net, "show", "--subscriber", subscriber).stdout.splitlines()
    assert len(only) == 1 and f"subscriber={subscriber} " in only[0], only
    assert "block-allocated" in log(net, "stats").stdout
    assert "[FWNAT]:ASP_NAT_PORT_BLOCK_ALLOC: " + subscriber + " -> " in log(net, "show", "--format", "junos").stdout
    lines = log(net, "show", "--template", "{event} {subscriber} {external}").stdout.splitlines()
    assert f"block-allocated {subscriber} {seen[subscriber][0]}" in lines, lines


def test_plan_of_logs(net):
    def plan(*arguments, check=True):
        return net.lab.run("appliance", [net.daemon.culvert, "plan", *arguments], check=check)

    # What Forthnet published: 32,000 subscribers with 60 blocks and 27,000 connections a day; here each is recorded twice.
    found = {(r["what"], r["format"]): r for r in map(json.loads, plan("logs", "--json").stdout.splitlines())}
    sealed = found["blocks", "ledger, sealed"]
    assert sealed["records_a_day"] == 2 * 32_000 * 60 and sealed["bytes_each"] <= 8, sealed
    assert found["sessions", "IPFIX"]["records_a_day"] == 2 * 32_000 * 27_000
    assert found["sessions", "ledger, until it is sealed"]["bytes_a_month"] is None  # nothing stays so long
    for row in (r for r in found.values() if r["bytes_a_month"] is not None):
        assert abs(row["bytes_a_month"] - 30 * row["bytes_each"] * row["records_a_day"]) < 1, row
    assert "100000 subscribers, each with 40 blocks" in plan("logs", "--subscribers", "100000", "--blocks", "40").stdout
    for arguments in (("lunch",), (), ("logs", "--blocks", "-1"), ("logs", "--blocks", "many")):
        assert plan(*arguments, check=False).returncode == 2, arguments


def test_sessions_and_refusals_are_on_record(net):
    def with_sessions(what):
        return lambda config: (CONFIG(config), instance(config, "nat44").update({"log-sessions": what}))

    def shown(kind):
        return log(net, "show", "--kind", kind, "--subscriber", subscriber, check=False).stdout.splitlines()

    subscriber = SUBSCRIBERS["nat44"]
    net.restart(with_sessions("destinations"))
    net.lab.ip("v4sub", *(f"addr replace {a}/24 dev eth0" for a in SUBSCRIBERS.values()))
    address, port = seen_by_the_server(net, subscriber)
    net.lab.wait_until(lambda: shown("session-created"), "the session is on record", 5)
    line = shown("session-created")[0]
    for part in (f" external={address} ports={port}-{port} ", f" destination={topology.SERVER} destination-port={PORT} ",
                 f" internal={subscriber} "):
        assert part in line, line
    assert f"{topology.SERVER}:{PORT}" in log(net, "who", f"{address}:{port}/udp", "--at", "now", "--within", "1h").stdout
    # His block has 64 ports.
    for _ in range(70):
        net.v4sub.udp(address=subscriber).sendto(b"x", (topology.SERVER, PORT))
    net.lab.wait_until(lambda: shown("refused"), "the refusal is on record", 5)
    assert " reason=no-ports " in shown("refused")[0], shown("refused")
    net.close_sockets()
    net.daemon.ask("clear", "subscriber", subscriber)
    net.lab.wait_until(lambda: len(shown("session-deleted")) == len(shown("session-created")) == 64, "all have ended", 5)
    # Without destinations, after a reload.
    assert net.daemon.reload(net.text(with_sessions("mappings"))).returncode == 0
    seen_by_the_server(net, subscriber)
    net.lab.wait_until(lambda: len(shown("session-created")) == 65, "the mapping is on record", 5)
    assert "destination" not in shown("session-created")[-1], shown("session-created")[-1]


def test_what_is_typed_wrongly_is_refused_with_a_reason(net):
    net.restart(CONFIG)
    for arguments, reason in ((("who", "203.0.113.1:99999", "--at", "now"), "203.0.113.1:99999"),
                              (("who", "203.0.113.1:80"), "--at TIME is needed"),
                              (("who", "203.0.113.1:80", "--at", "soon"), "soon: is no time"),
                              (("subscriber", "2001:db8::/129"), "2001:db8::/129"),
                              (("show", "--kind", "lunch"), "lunch: no such kind")):
        result = log(net, *arguments, check=False)
        assert result.returncode == 2 and reason in result.stderr, (arguments, result)
    try:
        log(net, "show", ledger="/nowhere")
        raise AssertionError("a ledger that is not there was shown")
    except LabError as e:
        assert "/nowhere" in str(e), e
