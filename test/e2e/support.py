"""What the end-to-end tests share: the raised lab as a `Net`, and the subscribers.

Sockets are opened by the test's own process but live in the namespace of the host that they stand for, so that a
test reads from top to bottom: `phone.udp()` is a socket on the phone.
"""

import contextlib
import copy
import ctypes
import ipaddress
import json
import os
import re
import socket
import time

import yaml

from lab import appliance, services, topology
from lab.namespaces import LabError

CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


_own_namespace = os.open("/proc/self/ns/net", os.O_RDONLY)


def _enter_namespace(descriptor):
    if _libc.setns(descriptor, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


class Host:
    """A host in the lab, with the address its sockets have."""

    def __init__(self, net, namespace, address):
        self.net, self.namespace, self.address = net, namespace, address
        self.family = socket.AF_INET6 if ":" in address else socket.AF_INET

    @contextlib.contextmanager
    def inside(self):
        """Sockets made in this block are this host's."""
        with open(f"/run/netns/{self.net.lab.full_name(self.namespace)}") as namespace:
            _enter_namespace(namespace.fileno())
        try:
            yield
        finally:
            _enter_namespace(_own_namespace)

    def _socket(self, kind, port, address):
        with self.inside():
            s = socket.socket(self.family, kind)
        self.net.opened.append(s)
        if port:  # on port 0 it would let two sockets share one
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.settimeout(3)
        s.bind((address or self.address, port))
        return s

    def udp(self, port=0, address=None):
        return self._socket(socket.SOCK_DGRAM, port, address)

    def tcp(self, port=0, address=None):
        return self._socket(socket.SOCK_STREAM, port, address)

    def run(self, *arguments, **options):
        return self.net.lab.run(self.namespace, arguments, **options)

    def dial(self, ipv4):
        """How this host names an IPv4 address: the phone by the NAT64's prefix."""
        return topology.nat64_address(ipv4) if self.family == socket.AF_INET6 else ipv4

    def curl(self, path="/whoami", *options, host=None):
        host = host or self.dial(topology.SERVER)
        url = f"http://[{host}]{path}" if ":" in host else f"http://{host}{path}"
        return self.run("curl", "-sSf", "--connect-timeout", 5, "--max-time", 40, *options, url, timeout=50).stdout

    def whoami(self, *options):
        """The address and port of a TCP connection of ours as the web server sees them."""
        address, port = self.curl("/whoami", *options).split()
        return address, int(port)


class Net:
    """The raised lab with a running culvertd."""

    def __init__(self, lab, build, workers):
        self.lab, self.workers = lab, workers
        self.daemon = appliance.Culvertd(lab, build)
        self.opened = []
        self.v4sub = Host(self, "v4sub", topology.V4SUB)
        self.phone = Host(self, "phone", topology.PHONE)
        self.home = Host(self, topology.HOMES[0].host, topology.HOST)
        self.home2 = Host(self, topology.HOMES[1].host, topology.HOST)
        self.server = Host(self, "server", topology.SERVER)
        self.stranger = Host(self, "server", topology.STRANGER)
        self.subscribers = {"nat44": self.v4sub, "ds-lite": self.home, "nat64": self.phone}

    # --- culvertd -----------------------------------------------------------------------------------------

    def config(self, change=None):
        """conf/demo.yaml for this run's workers, as a dictionary, changed by `change(config)`."""
        config = copy.deepcopy(yaml.safe_load(appliance.demo_config()))
        config["workers"] = self.workers
        if change:
            change(config)
        return config

    def text(self, change=None):
        """The same as a file's text (JSON is YAML)."""
        return json.dumps(self.config(change), indent=1)

    def start(self, change=None, keep_ledger=False):
        self.daemon.start(self.text(change), keep_ledger=keep_ledger)

    def stop(self):
        if self.daemon.process is not None:
            return self.daemon.stop()
        return None

    def restart(self, change=None, keep_ledger=False):
        self.stop()
        self.start(change, keep_ledger)

    def close_sockets(self):
        for s in self.opened:
            s.close()
        self.opened.clear()

    # --- what culvertd says -------------------------------------------------------------------------------

    def dropped(self):
        """Packets dropped so far, by reason."""
        found = {}
        for row in self.daemon.rows("drops"):
            words = [v for v in row.values() if isinstance(v, str)]
            numbers = [v for v in row.values() if isinstance(v, int)]
            if words and numbers:
                found[words[0]] = found.get(words[0], 0) + sum(numbers)
        return found

    def fragments_received(self):
        """By all workers so far; first waits until it is no older than this question."""
        time.sleep(1.1)
        return sum(value for name, value in self.daemon.metrics().items()
                   if name.startswith("culvert_fragments_received_total"))

    def mappings_of(self, address, port):
        """Mappings whose external endpoint this is."""
        return self.daemon.rows("mappings", "--external", f"{address}:{port}")


def instance(config, name):
    """The instance of that name in a configuration dictionary."""
    return next(i for i in config["instances"] if i["name"] == name)


def as_on_a_wire(config):
    """CONFIG of a theme whose packets reach culvertd as they are: the kernel joins IPv4 fragments for net_af_packet
    (PACKET_FANOUT_FLAG_DEFRAG), longer than its frames. `iface` and `phy_mac`: the device's own MAC address, so that
    the routers' neighbour entries hold when themes change the driver."""
    for number, (interface, name) in enumerate(zip(config["interfaces"], ("in0", "out0"))):
        interface["device"] = f"net_pcap{number},iface={name},phy_mac=1"


def do_not_cut(s):
    """All that this socket sends has DF, as IPv6 always has."""
    ip_mtu_discover, ipv6_mtu_discover, ip_pmtudisc_do = 10, 23, 2  # not in Python's socket module
    if s.family == socket.AF_INET6:
        s.setsockopt(socket.IPPROTO_IPV6, ipv6_mtu_discover, ip_pmtudisc_do)
    else:
        s.setsockopt(socket.IPPROTO_IP, ip_mtu_discover, ip_pmtudisc_do)
    return s


def in_pool(address, *prefixes):
    return any(ipaddress.ip_address(address) in ipaddress.ip_network(p) for p in prefixes)


POOL_OF = {"nat44": "203.0.113.0/28", "ds-lite": "203.0.113.16/28", "nat64": "203.0.113.32/28"}


def ping_command(address, *options, count=3):
    """Waits for answers as long as it takes: this machine may stand still for a second."""
    return ["ping", "-n", "-c", count, "-i", 0.2, "-w", 20, *options, address]


def check_answers(text, count=3):
    """Of the first `count` requests each was answered, once."""
    answered = [int(n) for n in re.findall(r"bytes from .* icmp_seq=(\d+)", text)]
    assert answered == list(range(1, count + 1)), text


def ping(host, address, *options):
    check_answers(host.run(*ping_command(address, *options), check=False).stdout)


def receive_nothing(sock, seconds=0.7):
    """True when nothing arrives in that time."""
    sock.settimeout(seconds)
    try:
        sock.recvfrom(2048)
        return False
    except TimeoutError:
        return True
    finally:
        sock.settimeout(3)


def iperf(net, subscriber, *options):
    """iperf3's own report; its server takes one test at a time and needs a moment between two."""
    def attempt():
        result = subscriber.run("iperf3", "-c", subscriber.dial(topology.SERVER), "-J", "--connect-timeout", 3000,
                                *options, check=False)
        busy = "server is busy" in result.stdout or "Connection reset" in result.stdout
        return None if busy else result
    result = net.lab.wait_until(attempt, "the iperf3 server is free", every=0.5)
    report = json.loads(result.stdout)
    assert "error" not in report, report.get("error")
    return report["end"]


def for_each_carriage(test):
    """Runs `test(net, name, subscriber)` once for each of the three kinds of subscribers."""
    test.carriages = ("nat44", "ds-lite", "nat64")
    return test


def within(seconds):
    """This test may take that long (60 s otherwise)."""
    def mark(test):
        test.timeout = seconds
        return test
    return mark


__all__ = ["Host", "LabError", "Net", "POOL_OF", "as_on_a_wire", "do_not_cut", "for_each_carriage", "in_pool", "instance", "iperf",
           "receive_nothing", "services", "topology", "within"]
