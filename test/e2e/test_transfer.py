"""Real transfers by each carriage: a file unchanged, many connections at once, iperf3 both ways."""

import hashlib
import select
import time

from support import POOL_OF, for_each_carriage, in_pool, iperf, services, topology, within

CONNECTIONS = 200


def fetch_digest(net, subscriber, host=None):
    path = net.lab.directory / "fetched"
    subscriber.curl("/file", "-o", path, host=host)
    return hashlib.sha256(path.read_bytes()).hexdigest()


@for_each_carriage
def test_file_arrives_unchanged(net, carriage, subscriber):
    assert fetch_digest(net, subscriber) == services.file_digest(net.lab)


def test_file_by_name_through_dns64(net):
    """RFC 6147: the phone has no IPv4, and the name has no AAAA record of its own."""
    assert fetch_digest(net, net.phone, topology.SERVER_NAME) == services.file_digest(net.lab)


@for_each_carriage
def test_server_sees_an_address_of_the_pool(net, carriage, subscriber):
    address, port = subscriber.whoami()
    assert in_pool(address, POOL_OF[carriage]), address
    assert port >= 1024


@for_each_carriage
def test_200_connections_at_once(net, carriage, subscriber):
    """All open at the same time; one external address (RFC 6888 REQ-2), as many external ports as connections."""
    sockets = [subscriber.tcp() for _ in range(CONNECTIONS)]
    for s in sockets:
        s.setblocking(False)
        s.connect_ex((subscriber.dial(topology.SERVER), 80))
    waiting = set(sockets)
    deadline = time.monotonic() + 20
    while waiting and time.monotonic() < deadline:
        _, ready, _ = select.select([], list(waiting), [], 1)
        for s in ready:
            assert s.getsockopt(1, 4) == 0, "SO_ERROR after connect"
            s.send(b"GET /whoami HTTP/1.0\r\n\r\n")
            waiting.remove(s)
    assert not waiting, f"{len(waiting)} of {CONNECTIONS} did not connect"
    endpoints = set()
    for s in sockets:
        s.setblocking(True)
        s.settimeout(10)
        text = b""
        while chunk := s.recv(4096):
            text += chunk
        endpoints.add(tuple(text.split(b"\r\n\r\n")[1].decode().split()))
    assert len(endpoints) == CONNECTIONS, f"{len(endpoints)} different external endpoints"
    assert len({address for address, _ in endpoints}) == 1, "one subscriber, one external address"


@within(90)
@for_each_carriage
def test_iperf_tcp_up(net, carriage, subscriber):
    end = iperf(net, subscriber, "-t", 2)
    assert end["sum_received"]["bytes"] > 1_000_000, end["sum_received"]


@within(90)
@for_each_carriage
def test_iperf_tcp_down(net, carriage, subscriber):
    end = iperf(net, subscriber, "-t", 2, "-R")
    assert end["sum_received"]["bytes"] > 1_000_000, end["sum_received"]


@within(90)
@for_each_carriage
def test_iperf_udp_both_ways(net, carriage, subscriber):
    for direction in ((), ("-R",)):
        end = iperf(net, subscriber, "-t", 1, "-u", "-b", "2M", "-l", 1200, *direction)
        total = end["sum"]
        assert total["packets"] > 100 and total["lost_percent"] < 1, total
