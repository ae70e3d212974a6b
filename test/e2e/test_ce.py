"""`culvert ce --mode b4` on the wire: its headers, whom it listens to, and how it ends."""

import signal
import time

from support import receive_nothing, topology

PORT = 7500
HOME = topology.HOMES[1]
IPV6_TRAFFIC_CLASS = 46 << 2  # expedited forwarding


def restart_ce(net, *options):
    """The second home's CE with other options."""
    net.lab.stop(net.ces[HOME])
    net.ces[HOME] = topology.start_b4(net.lab, net.daemon.culvert, HOME, *options)


def softwire_packets(net, capture_filter, act):
    """How many packets from the home to the AFTR the access router sees while `act` runs."""
    watcher = net.lab.start("access", "tcpdump-ce", [
        "tcpdump", "-n", "-l", "--immediate-mode", "-i", f"{HOME.name}0",
        f"ip6 src {HOME.b4} and dst {topology.AFTR} and ({capture_filter})"])
    watcher.log.write_text("")
    net.lab.wait_until(lambda: "listening on" in watcher.output(), "tcpdump listens", 5)
    act()
    time.sleep(0.2)
    net.lab.stop(watcher)
    return sum(HOME.b4 in line for line in watcher.output(1000).splitlines())


def test_plain_softwire(net):
    """RFC 6333 §5.2: IPv4 straight behind the IPv6 header."""
    assert softwire_packets(net, "ip6[6] == 4", net.home2.whoami) >= 4


def test_encapsulation_limit_is_carried_and_accepted(net):
    """RFC 2473 §4.1.1: a destination options header, option type 4, limit 7, before the inner packet."""
    restart_ce(net, "--encaplimit", 7)
    try:
        assert softwire_packets(net, "ip6[6] == 60 and ip6[42] == 4 and ip6[44] == 7", net.home2.whoami) >= 4
    finally:
        restart_ce(net)


def test_dscp_is_copied_to_the_outer_header(net):
    """RFC 2983: the softwire's routers see the inner packet's class."""
    def act():
        s = net.home2.udp()
        s.setsockopt(0, 1, IPV6_TRAFFIC_CLASS)  # IP_TOS
        s.sendto(b"urgent", (topology.SERVER, PORT))
    assert softwire_packets(net, f"(ip6[0:2] & 0x0ff0) == {IPV6_TRAFFIC_CLASS << 4}", act) == 1


def test_packets_of_others_than_the_aftr_are_ignored(net):
    """Only the AFTR may send into the home: anybody else could pose as any IPv4 host."""
    forge = f"""
from scapy.all import IP, IPv6, UDP, send
send(IPv6(src="2001:db8:200:1::bad", dst="{HOME.b4}") / IP(src="{topology.SERVER}", dst="{topology.HOST}") /
     UDP(sport={PORT}, dport=40001) / b"forged", verbose=False)
"""
    listener = net.home2.udp(40001)
    net.lab.run("access", ["/usr/bin/python3", "-c", forge])
    assert receive_nothing(listener)
    net.lab.run("access", ["/usr/bin/python3", "-c", forge.replace("2001:db8:200:1::bad", topology.AFTR)])
    assert listener.recv(100) == b"forged", "the forgery itself is right: from the AFTR's address it arrives"


def test_terminate_removes_the_device(net):
    ce = net.ces[HOME]
    ce.signal(signal.SIGTERM)
    code = ce.popen.wait(2)
    links = net.lab.run(HOME.name, ["ip", "-br", "link"]).stdout
    restart_ce(net)
    assert code == 0 and "b4" not in links.split(), (code, links)


def test_mistakes_are_explained(net):
    for arguments, words in ((["--mode", "b5"], "b5"), (["--mode", "b4", "--tun", "t"], "--local"),
                             (["--mode", "b4", "--tun", "t", "--local", "2001:db8::1", "--remote", "nowhere"],
                              "nowhere")):
        result = net.lab.run(HOME.name, [net.daemon.culvert, "ce", *arguments], check=False)
        assert result.returncode == 2 and words in result.stderr, result
