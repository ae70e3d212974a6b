"""Path MTU discovery through the box: errors of routers and its own, and what to do where they are filtered."""

import contextlib
import errno
import os
import re
import select
import socket
import time

from support import as_on_a_wire, do_not_cut, for_each_carriage, instance, iperf, topology, within

CONFIG = as_on_a_wire
PORT = 7400
IP_MTU, IPV6_MTU = 14, 24  # not in Python's socket module
QUIC_SIZES = (1200, 1350, 1452)  # RFC 9000 §14.1; what browsers send; the most that IPv6 and 1500 bytes allow
NARROW = 1280
# What of it is left for IPv4 packets of the server: less a softwire's outer header, less IPv6's longer header.
SERVER_LEARNS = {"nat44": NARROW, "ds-lite": NARROW - 40, "nat64": NARROW - 20}
BYTES = 300_000


# --- an access network that carries less than its links say --------------------------------------------------------

def access_routes(limit):
    """The access router's routes of both directions, with a limit of packets' size."""
    home = topology.HOMES[0]
    yield f"route replace {topology.V4SUB}/32 dev v4sub0 {limit}"
    yield f"route replace {topology.PHONE}/128 dev phone0 {limit}"
    yield f"route replace {home.b4}/128 dev {home.name}0 {limit}"
    yield f"route replace default via {topology.APPLIANCE_INSIDE_V4} {limit}"
    for prefix in (f"{topology.AFTR}/128", topology.NAT64_PREFIX):
        yield f"route replace {prefix} via {topology.APPLIANCE_INSIDE_V6} {limit}"


def forget_path_mtus(net):
    for namespace in ("server", "v4sub", "phone", topology.HOMES[0].name, topology.HOMES[0].host):
        net.lab.ip(namespace, "route flush cache")
        net.lab.run(namespace, ["ip", "-6", "route", "flush", "cache"])


@contextlib.contextmanager
def narrow_access(net, errors=True):
    """The access router forwards at most 1280 bytes; without `errors` it neither makes nor passes on any about it."""
    net.lab.ip("access", *access_routes(f"mtu lock {NARROW}"))
    if not errors:
        chains = "".join(f"chain {hook} {{ type filter hook {hook} priority 0; icmp type destination-unreachable drop; "
                         "icmpv6 type packet-too-big drop; }\n" for hook in ("forward", "output"))
        net.lab.run("access", ["nft", "-f", "-"], stdin=f"table inet silence {{\n{chains}}}\n")
    try:
        yield
    finally:
        if not errors:
            net.lab.run("access", ["nft", "delete table inet silence"])
        net.lab.ip("access", *access_routes(""), f"route del {topology.V4SUB}/32", f"route del {topology.PHONE}/128",
                   f"route del {topology.HOMES[0].b4}/128")
        forget_path_mtus(net)


# --- datagrams that must not be cut --------------------------------------------------------------------------------

def path_mtu(s):
    """What the kernel has learned for a connected socket."""
    if s.family == socket.AF_INET6:
        return s.getsockopt(socket.IPPROTO_IPV6, IPV6_MTU)
    return s.getsockopt(socket.IPPROTO_IP, IP_MTU)


def meet(net, subscriber):
    """Two sockets that know each other, of the subscriber and of the server, both sending with DF."""
    inside, server = do_not_cut(subscriber.udp()), do_not_cut(net.server.udp(PORT))
    inside.connect((subscriber.dial(topology.SERVER), PORT))
    inside.send(b"hello")
    data, external = server.recvfrom(2048)
    assert data == b"hello"
    server.connect(external)
    return inside, server


def arrives(sender, receiver, size):
    data = os.urandom(size)
    sender.send(data)
    try:
        return receiver.recv(2048) == data
    except TimeoutError:
        return False


def refused(sender, receiver, size):
    """The path MTU that the sender is told of when it sends this much."""
    sender.send(os.urandom(size))  # refused on its way
    sender.settimeout(2)
    try:
        sender.recv(2048)  # the error comes here
    except OSError as error:
        assert error.errno == errno.EMSGSIZE, error
    receiver.settimeout(0.1)
    try:
        receiver.recv(2048)
        raise AssertionError(f"{size} bytes arrived")
    except TimeoutError:
        receiver.settimeout(3)
    return path_mtu(sender)


def check_refusal(net, sender, receiver, expected, what):
    assert arrives(sender, receiver, 1200), what
    assert refused(sender, receiver, 1452) == expected, what
    assert arrives(sender, receiver, expected - (48 if sender.family == socket.AF_INET6 else 28)), what
    forget_path_mtus(net)
    net.close_sockets()


@for_each_carriage
def test_quic_sized_datagrams_both_ways(net, carriage, subscriber):
    """RFC 9000 §14: never cut, DF set."""
    inside, server = meet(net, subscriber)
    for size in QUIC_SIZES:
        assert arrives(inside, server, size), f"{size} bytes outwards"
        assert arrives(server, inside, size), f"{size} bytes inwards"


@for_each_carriage
def test_server_learns_of_a_narrow_access_network(net, carriage, subscriber):
    """RFC 5508 REQ-4, RFC 2473 §8, RFC 7915 §5.2: it gets the access router's error, with the MTU that fits IPv4."""
    with narrow_access(net):
        inside, server = meet(net, subscriber)
        check_refusal(net, server, inside, SERVER_LEARNS[carriage], carriage)


def test_home_router_cuts_softwire_packets(net):
    """RFC 6333 §5.3, §6.3: its kernel, told of the narrow access network, cuts what it sends; the box joins that, also
    where the packets inside are fragments themselves."""
    server, inside = net.server.udp(PORT), net.home.udp()
    with narrow_access(net):
        inside.sendto(bytes(1452), (topology.SERVER, PORT))  # refused on its way
        before = net.fragments_received()
        for size in (1452, 4000):
            data = os.urandom(size)
            inside.sendto(data, (topology.SERVER, PORT))
            assert server.recv(65535) == data, f"{size} bytes"
        assert net.fragments_received() >= before + 2 + 6


# --- TCP -----------------------------------------------------------------------------------------------------------

def transfer(sender, receiver, seconds):
    """How many of BYTES bytes arrive in that time."""
    deadline, sent, got = time.monotonic() + seconds, 0, 0
    sender.setblocking(False)
    while got < BYTES and (left := deadline - time.monotonic()) > 0:
        readable, writable, _ = select.select([receiver], [sender] if sent < BYTES else [], [], left)
        if writable:
            sent += sender.send(b"x" * min(16384, BYTES - sent))
        if readable:
            got += len(receiver.recv(65536))
    return got


def through_tcp(net, subscriber, seconds):
    """BYTES each way on a connection of their own: how many came (outwards, inwards)."""
    listener = net.server.tcp(PORT)
    listener.listen()
    came = []
    for outwards in (True, False):
        inside = subscriber.tcp()
        inside.connect((subscriber.dial(topology.SERVER), PORT))
        server, _ = listener.accept()
        net.opened.append(server)
        came.append(transfer(*((inside, server) if outwards else (server, inside)), seconds))
    return tuple(came)


def iperf_arrives(net, subscriber, *direction):
    end = iperf(net, subscriber, "-n", 20_000_000, *direction)  # it ends when all is sent: what is in buffers is not there
    assert end["sum_received"]["bytes"] >= BYTES, (direction, end["sum_received"])


@for_each_carriage
def test_tcp_with_narrow_access_network(net, carriage, subscriber):
    """With the errors of the access router: both ends learn, each by its own, as none has told the other by its MSS."""
    with narrow_access(net):
        address, _ = subscriber.whoami()
        iperf_arrives(net, subscriber)
        forget_path_mtus(net)
        iperf_arrives(net, subscriber, "-R")
        route = net.lab.run("server", ["ip", "route", "get", address]).stdout
        assert f"mtu {SERVER_LEARNS[carriage]}" in route, route


def reload(net, change):
    def both(config):
        as_on_a_wire(config)
        change(config)
    answer = net.daemon.reload(net.text(both))
    assert answer.returncode == 0, answer.stdout + answer.stderr


@for_each_carriage
def test_tcp_with_mss_clamping_where_errors_are_filtered(net, carriage, subscriber):
    """RFC 8513 mss-clamping: without it, nothing arrives; with it, no segment is too large."""
    def clamp(config):
        instance(config, carriage)["mss-clamping"] = NARROW - 40 - 40

    with narrow_access(net, errors=False):
        assert through_tcp(net, subscriber, 1) == (0, 0)
        net.close_sockets()
        reload(net, clamp)
        try:
            iperf_arrives(net, subscriber)
            iperf_arrives(net, subscriber, "-R")
        finally:
            reload(net, lambda config: None)


def test_tcp_with_softwire_payload_mtu_where_errors_are_filtered(net):
    """RFC 8676 softwire-payload-mtu, RFC 6333 §5.3: inwards the box makes the error, the access network need not."""
    def limit(config):
        instance(config, "ds-lite")["softwire-payload-mtu"] = NARROW - 40

    with narrow_access(net, errors=False):
        reload(net, limit)
        try:
            iperf_arrives(net, net.home, "-R")
        finally:
            reload(net, lambda config: None)


# --- the box's own errors ------------------------------------------------------------------------------------------

def tracepath(subscriber):
    return subscriber.run("tracepath", "-n", "-m", 10, subscriber.dial(topology.SERVER), timeout=40).stdout


def narrow(number):
    """A change of the configuration: that interface carries 1280 bytes."""
    def change(config):
        as_on_a_wire(config)
        config["interfaces"][number]["mtu"] = NARROW
    return change


@within(90)
def test_tracepath_and_errors_of_the_box_outwards(net):
    """RFC 4787 REQ-13, RFC 7915 §5.1: outside carries less than inside. The box says so, to each as it must."""
    net.restart(narrow(1))
    for carriage, subscriber in net.subscribers.items():
        expected = NARROW + 20 if carriage == "nat64" else NARROW
        text = tracepath(subscriber)
        found = re.search(r"Resume: pmtu (\d+)", text)
        assert found and int(found[1]) == expected and "reached" in text, f"{carriage}:\n{text}"
        forget_path_mtus(net)
        check_refusal(net, *meet(net, subscriber), expected, carriage)


def test_errors_of_the_box_inwards(net):
    """RFC 2473 §7.2, RFC 7915 §4.1: inside carries less, and the server is told what that leaves for IPv4."""
    net.restart(narrow(0))
    for carriage, subscriber in net.subscribers.items():
        inside, server = meet(net, subscriber)
        check_refusal(net, server, inside, SERVER_LEARNS[carriage], carriage)
