"""Ping and traceroute: echo through the NAT, errors from routers beyond it, and the box's own addresses."""

import re

from support import check_answers, for_each_carriage, ping, ping_command, topology


@for_each_carriage
def test_ping(net, carriage, subscriber):
    ping(subscriber, subscriber.dial(topology.SERVER))


@for_each_carriage
def test_ping_with_1400_bytes(net, carriage, subscriber):
    """RFC 5508: echo of any size, its checksum right."""
    ping(subscriber, subscriber.dial(topology.SERVER), "-s", 1400)


@for_each_carriage
def test_two_pings_at_once_have_their_own_identifiers(net, carriage, subscriber):
    target = subscriber.dial(topology.SERVER)
    first = net.lab.start(subscriber.namespace, f"ping-{carriage}", ping_command(target, count=5))
    ping(subscriber, target)
    net.lab.wait_until(lambda: not first.running(), "the first ping ends", 25)
    check_answers(first.output(), 5)


def hops(subscriber, *options):
    """The address of each hop, '*' where none answered."""
    text = subscriber.run("traceroute", "-n", "-q", 1, "-w", 2, "-m", 8, *options,
                          subscriber.dial(topology.SERVER), timeout=50).stdout
    return [re.split(r"\s+", line.strip())[1] for line in text.splitlines()[1:]]


@for_each_carriage
def test_traceroute_udp(net, carriage, subscriber):
    """RFC 5508 REQ-4: time-exceeded errors of routers outside reach the subscriber, who also sees our own hop."""
    path = hops(subscriber)
    assert path[-2:] == [subscriber.dial(topology.INTERNET_V4), subscriber.dial(topology.SERVER)], path
    assert "*" not in path, path


@for_each_carriage
def test_traceroute_icmp(net, carriage, subscriber):
    path = hops(subscriber, "-I")
    assert path[-2:] == [subscriber.dial(topology.INTERNET_V4), subscriber.dial(topology.SERVER)], path


def test_nat44_traceroute_shows_the_appliance(net):
    assert hops(net.v4sub) == ["100.64.1.1", topology.APPLIANCE_INSIDE_V4, topology.INTERNET_V4, topology.SERVER]


def test_own_addresses_answer(net):
    """The exception path: the kernel speaks ARP, neighbour discovery and ping for the box."""
    for host, address in (("access", topology.APPLIANCE_INSIDE_V4), ("access", topology.APPLIANCE_INSIDE_V6),
                          ("internet", topology.APPLIANCE_OUTSIDE_V4)):
        check_answers(net.lab.run(host, ping_command(address), check=False).stdout)


@for_each_carriage
def test_port_unreachable_comes_back(net, carriage, subscriber):
    """RFC 5508 REQ-4: an error for mapped traffic is translated, inner packet too."""
    s = subscriber.udp()
    s.connect((subscriber.dial(topology.SERVER), 9))
    s.send(b"nobody listens on the discard port")
    try:
        s.recv(100)
    except ConnectionRefusedError:
        return
    raise AssertionError("no error arrived")
