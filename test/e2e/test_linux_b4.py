"""A real Linux kernel as B4, in a virtual machine: with its tunnel encapsulation limit option, and without."""

from lab import linux_b4
from support import POOL_OF, in_pool, services, topology, within

SCRIPT = f"""
ping -c 3 -W 2 {topology.SERVER}
wget -q -O - http://{topology.SERVER}/whoami
wget -q -O - http://{topology.SERVER}/file | sha256sum
traceroute -n -q 1 -w 2 -m 6 {topology.SERVER}
"""
# next header of the outer IPv6 header: 4 is the inner packet itself, 60 a destination options header before it
PLAIN, WITH_LIMIT = "ip6[6] == 4", "ip6[6] == 60"


def carry(net, encapsulation_limit):
    """Runs the script in the machine while the access router counts softwire packets: (what it printed, packets)."""
    wanted = WITH_LIMIT if encapsulation_limit else PLAIN
    watcher = net.lab.start("access", "tcpdump", [
        "tcpdump", "-n", "-l", "-i", linux_b4.TAP, f"ip6 src {topology.LINUX_B4.b4} and dst {topology.AFTR} and {wanted}"])
    watcher.log.write_text("")
    printed, code = net.machine.run(SCRIPT, encapsulation_limit)
    net.lab.stop(watcher)
    seen = [line for line in watcher.output(100_000).splitlines() if topology.LINUX_B4.b4 in line]
    assert code == 0, printed
    return printed, len(seen)


def check(net, encapsulation_limit):
    if not hasattr(net, "machine"):
        net.machine = linux_b4.LinuxB4(net.lab)
        net.machine.prepare()
    printed, seen = carry(net, encapsulation_limit)
    assert "3 packets transmitted, 3 packets received" in printed, printed
    assert services.file_digest(net.lab) in printed, printed
    assert any(in_pool(word, POOL_OF["ds-lite"]) for word in printed.split() if word.startswith("203.0.113.")), printed
    assert topology.INTERNET_V4 in printed, printed
    assert seen > 100, f"{seen} softwire packets of the wanted kind"


@within(150)
def test_encapsulation_limit_option(net):
    """RFC 2473 §4.1.1: Linux's default; an AFTR must look behind the destination options header."""
    check(net, True)


@within(150)
def test_no_encapsulation_limit(net):
    check(net, False)
