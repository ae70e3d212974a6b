"""Datagrams larger than any link: real hosts cut them, the box joins and cuts them again, real hosts join them."""

import os
import time

from support import for_each_carriage, topology

PORT = 7200


def CONFIG(config):
    """net_af_packet has the kernel join fragments (PACKET_FANOUT_FLAG_DEFRAG), longer than its frames."""
    for interface, name in zip(config["interfaces"], ("in0", "out0")):
        number = config["interfaces"].index(interface)
        interface["device"] = f"net_pcap{number},rx_iface_in={name},tx_iface={name},phy_mac=1"


def fragments_received(net):
    """By all workers."""
    return sum(value for name, value in net.daemon.metrics().items()
               if name.startswith("culvert_fragments_received_total"))


@for_each_carriage
def test_ping_with_4000_bytes(net, carriage, subscriber):
    """RFC 4787 REQ-14, RFC 6333 §6.3, RFC 7915: an echo's ICMPv6 checksum has the whole datagram's length in it."""
    before = fragments_received(net)
    answer = subscriber.run("ping", "-n", "-c", 3, "-i", 0.2, "-W", 2, "-s", 4000, subscriber.dial(topology.SERVER),
                            check=False).stdout
    assert " 3 received" in answer and "DUP" not in answer, answer
    time.sleep(1.1)  # as old as metrics may be
    assert fragments_received(net) >= before + 6


@for_each_carriage
def test_udp_of_many_sizes_both_ways(net, carriage, subscriber):
    """RFC 4787 REQ-14: what does not fit a packet arrives, to the byte."""
    server = net.server.udp(PORT)
    s = subscriber.udp()
    for size in (1400, 1452, 1473, 2000, 4000, 9000, 60000):
        question, answer = os.urandom(size), os.urandom(size)
        s.sendto(question, (subscriber.dial(topology.SERVER), PORT))
        data, source = server.recvfrom(65535)
        assert data == question, f"{size} bytes outwards, {len(data)} came"
        server.sendto(answer, source)
        assert s.recv(65535) == answer, f"{size} bytes inwards"
