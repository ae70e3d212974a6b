"""Jumbo frames: links of 9000 bytes and more, all the way."""

import contextlib
import os
import socket

from support import as_on_a_wire, do_not_cut, for_each_carriage, topology

PORT = 7900
MTU, SOFTWIRE_MTU = 9000, 9040
#: devices by namespace; what carries softwires needs room for their outer header
PATH = {
    "server": ["eth0"], "internet": ["lan0", "down0"], "appliance": ["out0"],
    "v4sub": ["eth0"], "phone": ["eth0"], topology.HOMES[0].host: ["eth0"],
}
TUNNEL_PATH = {
    "appliance": ["in0"], "access": ["up0", "v4sub0", "phone0", f"{topology.HOMES[0].name}0"],
    topology.HOMES[0].name: ["wan0", "lan0"],
}


def CONFIG(config):
    as_on_a_wire(config)
    for interface in config["interfaces"]:
        interface["mtu"] = SOFTWIRE_MTU if interface["role"] == "inside" else MTU


def set_mtus(net, mtu, tunnel_mtu):
    for path, size in ((PATH, mtu), (TUNNEL_PATH, tunnel_mtu)):
        for namespace, devices in path.items():
            net.lab.ip(namespace, *(f"link set {device} mtu {size}" for device in devices))


@contextlib.contextmanager
def jumbo_links(net):
    home = topology.HOMES[0]
    net.lab.stop(net.ces[home])
    set_mtus(net, MTU, SOFTWIRE_MTU)
    try:
        ce = topology.start_b4(net.lab, net.daemon.culvert, home, mtu=MTU)
        try:
            yield
        finally:
            net.lab.stop(ce)
    finally:
        set_mtus(net, 1500, topology.ACCESS_MTU)
        net.lab.ip("access", "link set v4sub0 mtu 1500", "link set phone0 mtu 1500")
        net.ces[home] = topology.start_b4(net.lab, net.daemon.culvert, home)


@for_each_carriage
def test_jumbo_frames_pass_whole(net, carriage, subscriber):
    """Up to the links' MTU nothing is cut, joined or refused; NAT64 makes 20 bytes more of IPv6."""
    with jumbo_links(net):
        before = net.fragments_received()
        inside, server = do_not_cut(subscriber.udp()), do_not_cut(net.server.udp(PORT))
        most = MTU - 48 if carriage == "nat64" else MTU - 28
        for size in (1400, 4000, 8192, most):
            data = os.urandom(size)
            inside.sendto(data, (subscriber.dial(topology.SERVER), PORT))
            came, external = server.recvfrom(65535)
            assert came == data, f"{size} bytes outwards"
            server.sendto(data, external)
            assert inside.recv(65535) == data, f"{size} bytes inwards"
        assert net.fragments_received() == before
        assert net.dropped()["too-big"] == 0


@for_each_carriage
def test_tcp_agrees_on_jumbo_segments(net, carriage, subscriber):
    """RFC 9293 §3.7.1: 9000 bytes less both headers, and they pass."""
    with jumbo_links(net):
        server, client = net.server.tcp(PORT), subscriber.tcp()
        server.listen()
        client.connect((subscriber.dial(topology.SERVER), PORT))
        connection, _ = server.accept()
        with connection:
            connection.settimeout(5)
            for sender, receiver in ((client, connection), (connection, client)):
                data = os.urandom(200_000)
                sender.sendall(data)
                came = b""
                while len(came) < len(data):
                    came += receiver.recv(65536)
                assert came == data
        assert client.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG) > 8900
        assert net.dropped()["too-big"] == 0
