"""The ledger's disk is full, read-only or does not answer: who has a block goes on, and no record is lost."""

import contextlib
import itertools
import shutil

from few_blocks import ADDRESSES, CONFIG, STRICT, blocks_of
from support import instance, topology, within


@contextlib.contextmanager
def ledger_on(net, mount):
    """`mount(directory)` puts a disk under the ledger, on which `net.start(…, keep_ledger=True)` then begins one."""
    net.stop()
    ledger = net.daemon.ledger
    shutil.rmtree(ledger, ignore_errors=True)
    ledger.mkdir()
    mount(ledger)
    net.lab.ip("v4sub", *(f"addr replace {a}/24 dev eth0" for a in ADDRESSES))
    try:
        yield ledger
    finally:
        net.stop()
        net.lab.unmount(ledger)
        net.start()


def small(net):
    return ledger_on(net, lambda directory: net.lab.mount_tmpfs(directory, "256k"))


def ext4(net):
    return ledger_on(net, lambda directory: net.lab.mount_disk(directory, image(net), "64M"))


def image(net):
    return net.lab.directory / "disk"


def fill(net):
    """Leaves no room for the ledger, in which a run has just begun."""
    ledger = net.daemon.ledger
    net.lab.wait_until(lambda: [f.suffix for f in sorted(ledger.glob("0*"))] == [".seg", ".live"],
                       "the first segment is sealed, which makes room", 30)
    with open(ledger / "filler", "wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            pass


def roomy(config):
    CONFIG(config)
    config.setdefault("capacity", {})["external-addresses"] = 1024


def larger(config):
    """On record that takes more than what is free of a page."""
    instance(config, "nat44")["external-ip-address-pool"] += [f"198.18.{i}.{j}/32" for i in range(250) for j in (1, 3, 5)]


def waiting(net):
    """Events of all workers that are not yet in the ledger."""
    return max(v for name, v in net.daemon.metrics().items() if name.startswith("culvert_log_events_waiting{"))


def allocated(net):
    return [r for r in net.daemon.log_records() if " block-allocated " in r]


def test_full_disk_stops_nobody_and_loses_nothing(net):
    """New blocks are given as long as their records find room in the ring. A changed configuration needs the disk."""
    with small(net) as ledger:
        net.start(roomy, keep_ledger=True)
        fill(net)
        changed = net.text(lambda c: (roomy(c), larger(c)))
        refused = net.daemon.reload(changed)
        assert refused.returncode == 1 and "No space left on device; nothing was changed" in refused.stderr, refused
        net.lab.wait_until(lambda: net.daemon.metrics()["culvert_log_write_errors_total"] > 0, "it is told", 5)
        first = blocks_of(net, ADDRESSES[:4])
        assert len(first) == 4, first
        assert blocks_of(net, ADDRESSES[:4]) == first
        (ledger / "filler").unlink()
        net.lab.wait_until(lambda: len(allocated(net)) == 4, "the records are written", 5)
        accepted = net.daemon.reload(changed)
        assert accepted.returncode == 0, accepted


def test_strict_full_disk_keeps_newcomers_waiting_only(net):
    with small(net) as ledger:
        net.start(STRICT, keep_ledger=True)
        first = blocks_of(net, ADDRESSES[:4])
        assert len(first) == 4, first
        fill(net)
        assert net.daemon.reload(net.text(lambda c: (STRICT(c), larger(c)))).returncode == 1
        assert not blocks_of(net, ADDRESSES[4:])
        assert blocks_of(net, ADDRESSES[:4]) == first
        (ledger / "filler").unlink()
        net.lab.wait_until(lambda: len(blocks_of(net, ADDRESSES[4:])) == 4, "newcomers are served", 5)


def test_read_only_remount_loses_nothing(net):
    """What happens to a file system that finds itself broken. The records wait in the rings until it is repaired."""
    with ext4(net) as ledger:
        net.start(CONFIG, keep_ledger=True)
        held = blocks_of(net, ADDRESSES[:4])
        net.lab.wait_until(lambda: len(allocated(net)) == 4, "the records are written", 5)
        net.lab.break_disk(ledger)
        held |= blocks_of(net, ADDRESSES[4:])
        assert len(set(held.values())) == 8, held
        assert blocks_of(net, ADDRESSES) == held
        net.lab.wait_until(lambda: net.daemon.metrics()["culvert_log_failing"] == 1, "it is told", 5)
        assert "Read-only file system" in net.daemon.process.output(200)
        assert len(allocated(net)) == 4
        net.stop()
        net.lab.unmount(ledger)
        net.lab.mount_disk(ledger, image(net))
        net.start(CONFIG, keep_ledger=True)
        assert len(allocated(net)) == 8, net.daemon.log_records()
        assert blocks_of(net, ADDRESSES) == held
        net.lab.run("appliance", [net.daemon.culvert, "log", "verify", "--ledger", ledger])


def test_strict_disk_that_hangs_keeps_newcomers_waiting_only(net):
    with ext4(net) as ledger:
        net.start(STRICT, keep_ledger=True)
        first = blocks_of(net, ADDRESSES[:4])
        changed = net.text(lambda c: (STRICT(c), larger(c)))
        with net.lab.frozen_disk(ledger):
            for _ in range(2):
                refused = net.daemon.reload(changed)
                assert refused.returncode == 1 and "has not answered for 5 s; nothing was changed" in refused.stderr, refused
            assert not blocks_of(net, ADDRESSES[4:])
            assert blocks_of(net, ADDRESSES[:4]) == first
        net.lab.wait_until(lambda: len(blocks_of(net, ADDRESSES[4:])) == 4, "newcomers are served", 5)
        assert len(allocated(net)) == 8
        assert len(net.daemon.rows("pools")) < 100
        assert net.daemon.reload(changed).returncode == 0
        assert len(net.daemon.rows("pools")) > 700


@within(120)
def test_disk_that_hangs_until_the_ring_is_full(net):
    """Then nothing begins that would have to be recorded; what there is goes on, and the operator sees all of it."""
    def config(c):
        CONFIG(c)
        instance(c, "nat44").update({"log-sessions": "destinations", "mapping-limits": {"sessions-per-subscriber": 0}})
        c.setdefault("capacity", {})["sessions"] = net.workers * 500_000

    with ext4(net) as ledger:
        net.start(config, keep_ledger=True)
        old = net.v4sub.udp(address=ADDRESSES[0])
        server = net.server.udp(7460)
        old.sendto(b"first", (topology.SERVER, 7460))
        outside = server.recvfrom(64)[1]
        capacity = next(v for name, v in net.daemon.metrics().items() if name.startswith("culvert_log_events_waiting_capacity"))
        with net.lab.frozen_disk(ledger):
            many = [net.v4sub.udp(address=ADDRESSES[0]) for _ in range(6)]
            for n, (sender, port) in enumerate(itertools.product(many, range(8000, 65536))):
                sender.sendto(b"new", (topology.SERVER, port))
                if n % 20_000 == 0 and waiting(net) >= capacity:
                    break
            net.lab.wait_until(lambda: net.dropped()["log-full"] > 0, "new sessions are refused and counted", 5)
            assert waiting(net) == capacity
            old.sendto(b"second", (topology.SERVER, 7460))
            assert server.recvfrom(64) == (b"second", outside)
            newcomers = blocks_of(net, ADDRESSES[1:])
            assert net.workers > 1 or not newcomers, newcomers
        net.lab.wait_until(lambda: waiting(net) == 0, "all is written", 30)
        assert len(blocks_of(net, ADDRESSES)) == len(ADDRESSES)
        sessions = [r for r in net.daemon.log_records() if " session-created " in r]
        assert len(set(sessions)) == len(sessions) and capacity - 3 <= len(sessions) <= n, (n, len(sessions))
        net.lab.run("appliance", [net.daemon.culvert, "log", "verify", "--ledger", ledger])
