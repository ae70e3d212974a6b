"""The operator's network in namespaces: subscribers, an access router, the appliance, the internet.

    home-host ── home ──┐                                              ┌── server   198.51.100.80 (web, iperf3)
    192.168.1.10  CE    │                                              │            198.51.100.99 (a stranger)
    home2-host ─ home2 ─┤                 in0            out0          │
    192.168.1.10  CE    ├── access ───────── appliance ─────────── internet
    phone (IPv6 only) ──┤   router, DNS64    culvertd               router
    v4sub (IPv4 only) ──┘

Both homes have the same inner addresses on purpose. The access network carries 1600 bytes, as RFC 6333 §5.3
advises, so that a softwire takes whole 1500-byte packets.
"""

SERVER = "198.51.100.80"
STRANGER = "198.51.100.99"  # a second host on the internet that no subscriber has talked to
AFTR = "2001:db8:a::1"
NAT64_PREFIX = "2001:db8:64::/96"
DNS64 = "2001:db8:53::53"
SERVER_NAME = "www.example.net"

APPLIANCE_INSIDE_V4, ACCESS_V4 = "192.0.2.2", "192.0.2.1"
APPLIANCE_INSIDE_V6, ACCESS_V6 = "2001:db8:1::2", "2001:db8:1::1"
APPLIANCE_OUTSIDE_V4, INTERNET_V4 = "198.51.100.1", "198.51.100.2"
POOLS = "203.0.113.0/24"

V4SUB = "100.64.1.2"
PHONE = "2001:db8:200:1::10"
HOST = "192.168.1.10"  # in both homes
ACCESS_MTU = 1600


class Home:
    """One DS-Lite home: its CE's namespace, its host's namespace, its B4 address."""

    def __init__(self, number):
        self.name = "home" if number == 1 else f"home{number}"
        self.host = f"{self.name}-host"
        self.prefix = f"2001:db8:100:{number}00::/64"
        self.b4 = f"2001:db8:100:{number}00::2"
        self.router = f"2001:db8:100:{number}00::1"


HOMES = [Home(1), Home(2)]
LINUX_B4 = Home(3)  # raised by linux_b4.py when a test wants it


def nat64_address(ipv4, prefix=NAT64_PREFIX):
    """An IPv4 address as the phone sees it (RFC 6052 §2.2, a /96)."""
    a, b, c, d = map(int, ipv4.split("."))
    return f"{prefix.partition('/')[0]}{a:02x}{b:02x}:{c:02x}{d:02x}"


def raise_network(lab):
    """Makes the namespaces, links, addresses and routes."""
    homes = [h.name for h in HOMES]
    lab.add_namespaces("access", "internet", *homes, forward=("access", "internet", *homes))
    lab.add_namespaces("appliance", "server", "phone", "v4sub", *(h.host for h in HOMES))

    lab.link("access", "up0", "appliance", "in0", ACCESS_MTU)
    lab.link("appliance", "out0", "internet", "down0")
    lab.link("internet", "lan0", "server", "eth0")
    lab.link("access", "phone0", "phone", "eth0")
    lab.link("access", "v4sub0", "v4sub", "eth0")

    _hide_from_kernel(lab, "in0", "out0")

    lab.ip("access", f"addr add {ACCESS_V4}/24 dev up0", f"addr add {ACCESS_V6}/64 dev up0 nodad",
           "addr add 100.64.1.1/24 dev v4sub0", "addr add 2001:db8:200:1::1/64 dev phone0 nodad",
           f"addr add {DNS64}/128 dev lo",
           f"route add default via {APPLIANCE_INSIDE_V4}",
           f"route add {AFTR}/128 via {APPLIANCE_INSIDE_V6}",
           f"route add {NAT64_PREFIX} via {APPLIANCE_INSIDE_V6}")
    lab.ip("internet", f"addr add {INTERNET_V4}/30 dev down0", "addr add 198.51.100.65/26 dev lan0",
           f"route add {POOLS} via {APPLIANCE_OUTSIDE_V4}")
    lab.ip("server", f"addr add {SERVER}/26 dev eth0", f"addr add {STRANGER}/26 dev eth0",
           "route add default via 198.51.100.65")
    lab.ip("v4sub", f"addr add {V4SUB}/24 dev eth0", "route add default via 100.64.1.1")
    lab.ip("phone", f"addr add {PHONE}/64 dev eth0 nodad", "route add default via 2001:db8:200:1::1")
    lab.resolver("phone", DNS64)
    for home in HOMES:
        _raise_home(lab, home)


def _raise_home(lab, home):
    lab.link("access", f"{home.name}0", home.name, "wan0", ACCESS_MTU)
    lab.link(home.name, "lan0", home.host, "eth0")
    lab.ip("access", f"addr add {home.router}/64 dev {home.name}0 nodad")
    lab.ip(home.name, f"addr add {home.b4}/64 dev wan0 nodad", f"route add default via {home.router}",
           "addr add 192.168.1.1/24 dev lan0")
    lab.ip(home.host, f"addr add {HOST}/24 dev eth0", "route add default via 192.168.1.1")


def _hide_from_kernel(lab, *devices):
    """The data ports belong to culvertd: the kernel of its namespace must neither answer nor learn there.
    Packet sockets, culvertd's net_af_packet among them, see frames before the ingress hook drops them."""
    settings = [f"net.ipv6.conf.{d}.disable_ipv6=1" for d in devices]
    lab.run("appliance", ["sysctl", "-q", "-w", *settings])
    hooks = "".join(f"chain {d} {{ type filter hook ingress device {d} priority 0; policy drop; }}\n"
                    for d in devices)
    lab.run("appliance", ["nft", "-f", "-"], stdin=f"table netdev culvert {{\n{hooks}}}\n")


def start_b4(lab, culvert, home, *options, mtu=ACCESS_MTU - 100):
    """Starts the home's own CE program; its host then reaches the IPv4 internet through the softwire."""
    return lab.start_notifying(home.name, f"{home.name}-ce",
                               [culvert, "ce", "--mode", "b4", "--tun", "b4", "--local", home.b4, "--remote", AFTR,
                                "--mtu", mtu, "--default-route", *options])
