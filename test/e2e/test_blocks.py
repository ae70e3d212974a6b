"""Port blocks run out, and come back; limits of a subscriber (RFC 6888 REQ-4, REQ-8, REQ-11)."""

import ipaddress
import time

from support import instance, topology

PORT = 7200
SET_SIZE = 64


def CONFIG(config):
    """One block of 64 ports a subscriber, four blocks in all; everything short-lived."""
    config["hold-down-timeout"] = 1
    nat44 = instance(config, "nat44")
    nat44.update({"external-ip-address-pool": ["203.0.113.1/32"], "port-range": f"2048-{2048 + 4 * SET_SIZE - 1}",
                  "port-set-size": SET_SIZE, "port-sets-per-subscriber": 1, "allow-short-timers": True,
                  "udp-timeout": 3, "port-set-timeout": 1})


def delivered(server, wait=0.7):
    """External endpoint of each datagram that arrives: {payload: endpoint}."""
    got = {}
    server.settimeout(wait)
    try:
        while True:
            data, endpoint = server.recvfrom(2048)
            got[data] = endpoint
    except TimeoutError:
        return got


def quiet(net):
    """Waits until no block is held by nat44 any more: what tests before this one took has come back."""
    net.lab.wait_until(lambda: not [r for r in net.daemon.rows("blocks") if "nat44" in r.values()],
                       "all blocks are given back", 15, every=0.2)
    time.sleep(1.2)  # the hold-down


def test_a_block_is_all_that_one_subscriber_gets(net):
    """64 ports in the block: 64 of 100 flows pass, with neighbouring ports, and the rest is refused and counted."""
    server = net.server.udp(PORT)
    before = net.dropped()
    for i in range(100):
        net.v4sub.udp().sendto(b"%d" % i, (topology.SERVER, PORT))
    got = delivered(server)
    assert len(got) == SET_SIZE, len(got)
    ports = [port for _, port in got.values()]
    assert max(ports) - min(ports) == SET_SIZE - 1 and min(ports) % SET_SIZE == 0, sorted(ports)
    assert net.dropped() != before
    assert set(got) == {b"%d" % i for i in range(SET_SIZE)}, "no mapping is evicted for another (RFC 6888 REQ-11)"


def test_block_comes_back_after_its_last_mapping(net):
    quiet(net)
    before = len(net.daemon.log_records())
    server = net.server.udp(PORT)
    net.v4sub.udp().sendto(b"x", (topology.SERVER, PORT))
    assert delivered(server)
    records = net.lab.wait_until(lambda: net.daemon.log_records()[before:], "the block's record is written", 2)
    assert len(records) == 1 and topology.V4SUB in records[0] and "203.0.113.1" in records[0], records
    net.lab.wait_until(lambda: len(net.daemon.log_records()) - before >= 2, "the block's release is on record", 10)
    assert not [r for r in net.daemon.rows("blocks") if "nat44" in r.values() and r["state"] == "live"]


def test_pool_exhaustion_refuses_only_newcomers(net):
    """Four blocks, six subscribers: the first ones keep theirs. (With several workers each has some of the four
    blocks, and a subscriber's worker may have none left before all four are gone.)"""
    quiet(net)
    addresses = [str(ipaddress.ip_address("100.64.1.20") + i) for i in range(6)]
    net.lab.ip("v4sub", *(f"addr add {a}/24 dev eth0" for a in addresses))
    server = net.server.udp(PORT)
    sockets = [net.v4sub.udp(address=a) for a in addresses]
    for s, a in zip(sockets, addresses):
        s.sendto(a.encode(), (topology.SERVER, PORT))
    served = delivered(server)
    assert 1 <= len(served) <= 4, served
    if net.workers == 1:
        assert set(served) == {a.encode() for a in addresses[:4]}, served
    blocks = {port // SET_SIZE for _, port in served.values()}
    assert len(blocks) == len(served), "each has his own block"
    for s, a in zip(sockets, addresses):
        try:
            s.sendto(a.encode(), (topology.SERVER, PORT))
        except OSError:
            pass  # the refusal's ICMP error of the first time
    again = delivered(server)
    assert again == served, "those served before keep their endpoints"


def test_mapping_limit_of_a_subscriber(net):
    """RFC 6888 REQ-4."""
    def change(config):
        instance(config, "nat44")["mapping-limits"] = {"mappings-per-subscriber": 20}
    net.restart(change)
    server = net.server.udp(PORT)
    for i in range(50):
        net.v4sub.udp().sendto(b"%d" % i, (topology.SERVER, PORT))
    assert len(delivered(server)) == 20


def test_port_quota_is_for_each_protocol(net):
    """RFC 8512 port-quota: 10 UDP ports, and TCP is not touched by that."""
    def change(config):
        instance(config, "nat44")["port-quota"] = 10
    net.restart(change)
    server = net.server.udp(PORT)
    for i in range(50):
        net.v4sub.udp().sendto(b"%d" % i, (topology.SERVER, PORT))
    assert len(delivered(server)) == 10
    net.v4sub.whoami()


def test_rate_of_new_mappings(net):
    """10 a second and a burst of one second's worth; another subscriber does not feel it."""
    def change(config):
        for each in config["instances"]:
            each["connection-limits"] = {"limit-per-subscriber": 10}
    net.restart(change)
    server = net.server.udp(PORT)
    began = time.monotonic()
    for i in range(100):
        net.v4sub.udp().sendto(b"%d" % i, (topology.SERVER, PORT))
    took = time.monotonic() - began
    got = delivered(server)
    assert 10 <= len(got) <= 12 + 10 * took, (len(got), took)
    net.home.whoami()
