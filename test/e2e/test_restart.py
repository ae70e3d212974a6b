"""After a restart the ledger says who holds which block: stops, crashes, other workers, other configurations."""

import time

from few_blocks import ADDRESSES, CONFIG, PORT, POOL, SET_SIZE, STRICT, blocks_of
from support import instance, topology


def begun(net):
    """A new ledger, in which the first four subscribers have blocks."""
    net.restart(CONFIG)
    net.lab.ip("v4sub", *(f"addr replace {a}/24 dev eth0" for a in ADDRESSES))
    held = blocks_of(net, ADDRESSES[:4])
    assert len(held) == 4 and len(set(held.values())) == 4, held
    return held


def check_kept(net, held):
    """Those who held blocks have the same, and newcomers have others."""
    news = blocks_of(net, ADDRESSES[4:])
    assert news and not set(news.values()) & set(held.values()), (held, news)
    assert blocks_of(net, ADDRESSES[:4]) == held


def test_stop_keeps_everybody_his_block(net):
    held = begun(net)
    net.restart(CONFIG, keep_ledger=True)
    check_kept(net, held)
    kinds = [r.split()[1] for r in net.daemon.log_records()]
    assert "block-released" not in kinds, kinds


def test_kill_keeps_everybody_his_block(net):
    """At once after the last packet: the record may be in the ring only."""
    held = begun(net)
    for _ in range(3):
        net.daemon.kill()
        net.start(CONFIG, keep_ledger=True)
        check_kept(net, held)
    starts = [r for r in net.daemon.log_records() if " culvertd-started " in r]
    assert len(starts) == 4 and all("crashed" in r for r in starts[1:]), starts


def test_another_number_of_workers_keeps_everybody_his_block(net):
    held = begun(net)
    for workers in (3, 1, 2):
        def change(config, workers=workers):
            CONFIG(config)
            config["workers"] = workers
        net.daemon.kill()
        net.start(change, keep_ledger=True)
        assert blocks_of(net, ADDRESSES[:4]) == held, workers


def test_released_blocks_go_on_resting(net):
    def change(config):
        CONFIG(config)
        config["hold-down-timeout"] = 6
        instance(config, "nat44")["port-range"] = f"2048-{2048 + SET_SIZE - 1}"  # the only block
        config["workers"] = 1
    net.restart(change)
    net.lab.ip("v4sub", *(f"addr replace {a}/24 dev eth0" for a in ADDRESSES))
    assert blocks_of(net, ADDRESSES[:1])
    net.daemon.ask("clear", "subscriber", ADDRESSES[0])
    released = time.monotonic()
    net.daemon.kill()
    net.start(change, keep_ledger=True)
    early = blocks_of(net, ADDRESSES[1:2])
    assert time.monotonic() - released < 6, "this machine is too slow for this test"
    assert not early, early
    net.lab.wait_until(lambda: blocks_of(net, ADDRESSES[1:2]), "the hold-down is over", 10)


def test_block_without_a_place_is_released_on_record(net):
    begun(net)

    def other(config):
        CONFIG(config)
        instance(config, "nat44")["port-set-size"] = 2 * SET_SIZE
    net.restart(other, keep_ledger=True)
    released = [r for r in net.daemon.log_records() if " block-released " in r]
    assert len(released) == 4 and all("reason=restart" in r for r in released), released
    blocks = net.daemon.rows("blocks")
    assert blocks and all(b["state"] == "held" for b in blocks), blocks


def test_crash_of_the_machine_holds_new_blocks_back(net):
    """Some may have been given that are not on record; those on record serve on."""
    held = begun(net)
    net.daemon.kill()
    (net.daemon.ledger / "lock").write_text("another boot\n")
    started = time.monotonic()
    net.start(CONFIG, keep_ledger=True)
    early = blocks_of(net, ADDRESSES[4:])
    assert time.monotonic() - started < 3, "this machine is too slow for this test"
    assert not early, early
    assert blocks_of(net, ADDRESSES[:4]) == held
    net.lab.wait_until(lambda: blocks_of(net, ADDRESSES[4:]), "the hold-down is over", 10)
    check_kept(net, held)
    assert [r for r in net.daemon.log_records() if " uncertain " in r]


def test_static_mappings_are_on_record_once(net):
    def change(config, port=6080):
        CONFIG(config)
        instance(config, "nat44").update({"explicit-port-range": "6000-6100", "mapping-table": [
            {"transport-protocol": "tcp", "internal-src-address": topology.V4SUB, "internal-src-port": 80,
             "external-src-address": POOL, "external-src-port": port}]})

    def lines():
        return [r.split()[1] for r in net.daemon.log_records() if " mapping-" in r]
    net.restart(change)
    net.restart(change, keep_ledger=True)
    net.stop()
    assert lines() == ["mapping-created"], lines()
    net.start(lambda c: change(c, 6081), keep_ledger=True)
    net.stop()
    assert lines() == ["mapping-created", "mapping-deleted", "mapping-created"], lines()
    net.start()


def test_strict_records_are_on_the_disk_before_packets_leave(net):
    net.restart(STRICT)
    net.lab.ip("v4sub", *(f"addr replace {a}/24 dev eth0" for a in ADDRESSES))
    server = net.server.udp(PORT)
    for n, address in enumerate(ADDRESSES):
        net.v4sub.udp(address=address).sendto(b"first", (topology.SERVER, PORT))
        server.recvfrom(2048)
        allocated = [r for r in net.daemon.log_records() if f"block-allocated subscriber={address} " in r]
        assert len(allocated) == 1, (n, net.daemon.log_records())


def test_strict_crash_of_the_machine_holds_nobody_back(net):
    """All blocks that served are on record."""
    net.restart(STRICT)
    net.lab.ip("v4sub", *(f"addr replace {a}/24 dev eth0" for a in ADDRESSES))
    held = blocks_of(net, ADDRESSES[:4])
    net.daemon.kill()
    (net.daemon.ledger / "lock").write_text("another boot strict\n")
    net.start(STRICT, keep_ledger=True)
    check_kept(net, held)
    assert not [r for r in net.daemon.log_records() if " uncertain " in r]
