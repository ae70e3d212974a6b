"""Who may come in: nobody before there is a mapping; then whom `filtering-type` lets (RFC 4787 §5)."""

import time

from support import for_each_carriage, instance, receive_nothing, topology

PORT = 7000


def filtering(kind):
    def change(config):
        for each in config["instances"]:
            each["filtering-type"] = kind
    return change


def punch(net, subscriber):
    """The subscriber says a word to the server: (his socket, the server's socket, his external endpoint)."""
    inside, server = subscriber.udp(), net.server.udp(PORT)
    inside.sendto(b"hello", (subscriber.dial(topology.SERVER), PORT))
    data, external = server.recvfrom(2048)
    assert data == b"hello"
    return inside, server, external


def gets(sock, text):
    return sock.recvfrom(2048)[0] == text


def test_nobody_gets_in_before_a_mapping_exists(net):
    """A stranger knocks at every 64th port of a pool address while the subscriber listens."""
    listener = net.v4sub.udp(40000)
    stranger = net.stranger.udp(PORT)
    dropped = sum(net.dropped().values())
    knocks = 0
    for port in range(1024, 65536, 64):
        stranger.sendto(b"knock", ("203.0.113.1", port))
        knocks += 1
        if knocks % 64 == 0:
            time.sleep(0.01)  # the packet sockets of a busy machine hold only so many
    assert receive_nothing(listener)
    assert sum(net.dropped().values()) - dropped >= knocks * 0.9, net.dropped()


def test_subscriber_outside_of_every_match_is_dropped(net):
    """The box is no open relay: an address of no subscriber-match gets nothing."""
    net.lab.ip("v4sub", "addr add 192.0.2.200/32 dev eth0")
    net.lab.ip("access", "route add 192.0.2.200/32 dev v4sub0")
    try:
        server = net.server.udp(PORT)
        net.v4sub.udp(address="192.0.2.200").sendto(b"let me in", (topology.SERVER, PORT))
        assert receive_nothing(server)
    finally:
        net.lab.ip("access", "route del 192.0.2.200/32 dev v4sub0")
        net.lab.ip("v4sub", "addr del 192.0.2.200/32 dev eth0")
    assert any("subscriber" in reason and count for reason, count in net.dropped().items()), net.dropped()


@for_each_carriage
def test_eif_lets_a_stranger_use_a_mapping(net, carriage, subscriber):
    inside, server, external = punch(net, subscriber)
    server.sendto(b"answer", external)
    assert gets(inside, b"answer")
    net.stranger.udp(PORT).sendto(b"stranger", external)
    assert gets(inside, b"stranger")


@for_each_carriage
def test_eim_keeps_the_external_endpoint(net, carriage, subscriber):
    """RFC 4787 REQ-1: another remote, the same mapping."""
    inside, _, external = punch(net, subscriber)
    stranger = net.stranger.udp(PORT + 1)
    inside.sendto(b"hello too", (subscriber.dial(topology.STRANGER), PORT + 1))
    assert stranger.recvfrom(2048)[1] == external


def test_adf_lets_only_known_addresses_in(net):
    net.restart(filtering("adf"))
    for subscriber in net.subscribers.values():
        inside, server, external = punch(net, subscriber)
        net.stranger.udp(PORT).sendto(b"stranger", external)
        assert receive_nothing(inside), subscriber.namespace
        net.server.udp(PORT + 1).sendto(b"other port", external)
        assert gets(inside, b"other port"), subscriber.namespace
        net.close_sockets()


def test_edf_lets_only_known_endpoints_in(net):
    net.restart(filtering("edf"))
    for subscriber in net.subscribers.values():
        inside, server, external = punch(net, subscriber)
        net.server.udp(PORT + 1).sendto(b"other port", external)
        assert receive_nothing(inside), subscriber.namespace
        server.sendto(b"answer", external)
        assert gets(inside, b"answer"), subscriber.namespace
        net.close_sockets()


def test_static_mapping_opens_an_explicit_port(net):
    """RFC 6888 REQ-9: an outside port that always leads to the same host, before it has sent anything."""
    def change(config):
        nat44 = instance(config, "nat44")
        nat44["port-range"] = "2048-65535"
        nat44["explicit-port-range"] = "1024-2047"
        nat44["mapping-table"] = [{
            "transport-protocol": "udp", "internal-src-address": topology.V4SUB, "internal-src-port": 40000,
            "external-src-address": "203.0.113.1", "external-src-port": 1234}]
    net.restart(change)
    listener = net.v4sub.udp(40000)
    net.stranger.udp(PORT).sendto(b"visitor", ("203.0.113.1", 1234))
    data, peer = listener.recvfrom(2048)
    assert (data, peer) == (b"visitor", (topology.STRANGER, PORT))
