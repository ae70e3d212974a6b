"""A real Linux kernel as B4, in a virtual machine: with its tunnel encapsulation limit option, and without."""

import sys

from lab import linux_b4
from support import POOL_OF, as_on_a_wire, in_pool, services, topology, within

CONFIG = as_on_a_wire
PORT = 7300
# Datagrams of so many bytes to the echo server below; each is printed with what became of it.
UDP = f"""
socket S, 2, 2, 17; $SIG{{ALRM}} = sub {{ print "no answer\n"; exit 1 }};
for $n (1400, 1500, 4000, 20000) {{
  $d = join "", map {{ chr rand 256 }} 1..$n;
  send S, $d, 0, pack "S n C4 x8", 2, {PORT}, {", ".join(topology.SERVER.split("."))};
  alarm 3; recv S, $a, 65535, 0; print "udp $n ", $a eq $d ? "unchanged" : "changed", "\n" }}"""
ECHO = f"""
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(({topology.SERVER!r}, {PORT}))
while True:
    s.sendto(*s.recvfrom(65535))
"""

SCRIPT = f"""
ping -c 3 -W 2 {topology.SERVER}
ping -c 3 -W 2 -s 4000 {topology.SERVER}
perl -e '{UDP}'
wget -q -O - http://{topology.SERVER}/whoami
wget -q -O - http://{topology.SERVER}/file | sha256sum
traceroute -n -q 1 -w 2 -m 6 {topology.SERVER}
"""
# next header of the outer IPv6 header: 4 is the inner packet itself, 60 a destination options header before it
PLAIN, WITH_LIMIT = "ip6[6] == 4", "ip6[6] == 60"
FRAGMENTS = f"ip6 src {topology.AFTR} and dst {topology.LINUX_B4.b4} and ip6[6] == 44"


def watch(net, name, expression):
    """tcpdump on the machine's link, counting packets."""
    watcher = net.lab.start("access", name, ["tcpdump", "-n", "-l", "-i", linux_b4.TAP, expression])
    watcher.log.write_text("")
    return watcher


def carry(net, encapsulation_limit, mtu):
    """Runs the script in the machine while the access router counts: (what it printed, softwire packets of the wanted
    kind from it, fragments of softwire packets to it)."""
    wanted = WITH_LIMIT if encapsulation_limit else PLAIN
    watchers = [watch(net, "tcpdump", f"ip6 src {topology.LINUX_B4.b4} and dst {topology.AFTR} and {wanted}"),
                watch(net, "tcpdump-fragments", FRAGMENTS)]
    echo = net.lab.start("server", "echo", [sys.executable, "-c", ECHO])
    printed, code = net.machine.run(SCRIPT, encapsulation_limit, mtu=mtu)
    for process in (*watchers, echo):
        net.lab.stop(process)
    seen = [sum(topology.LINUX_B4.b4 in line for line in w.output(100_000).splitlines()) for w in watchers]
    assert code == 0, printed
    return printed, *seen


def check(net, encapsulation_limit, mtu=topology.ACCESS_MTU):
    """The number of fragments of softwire packets to the B4."""
    if not hasattr(net, "machine"):
        net.machine = linux_b4.LinuxB4(net.lab)
        net.machine.prepare()
    printed, seen, fragments = carry(net, encapsulation_limit, mtu)
    assert printed.count("3 packets transmitted, 3 packets received") == 2, printed
    for size in (1400, 1500, 4000, 20000):
        assert f"udp {size} unchanged" in printed, printed
    assert services.file_digest(net.lab) in printed, printed
    assert any(in_pool(word, POOL_OF["ds-lite"]) for word in printed.split() if word.startswith("203.0.113.")), printed
    assert topology.INTERNET_V4 in printed, printed
    assert seen > 100, f"{seen} softwire packets of the wanted kind"
    return fragments


@within(150)
def test_encapsulation_limit_option(net):
    """RFC 2473 §4.1.1: Linux's default; an AFTR must look behind the destination options header."""
    fragments = check(net, True)
    assert fragments == 0, f"{fragments} fragments of softwire packets, which there is room for"


@within(150)
def test_no_encapsulation_limit(net):
    """In an access network of 1500 bytes. RFC 6333 §6.3: the box cuts the softwire packet, and the B4's kernel joins it."""
    def change(config):
        as_on_a_wire(config)
        config["interfaces"][0]["mtu"] = 1500
    net.restart(change)
    fragments = check(net, False, 1500)
    assert fragments > 20, f"{fragments} fragments of softwire packets"
