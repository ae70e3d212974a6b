"""TRex, stateless: subscribers' UDP packets of one carriage, and the server's packets back to what they became.

In the TRex console (trex-console), with port 0 towards the appliance's inside and port 1 towards its outside:

    start -f bench/pktgen/trex_stl.py -p 0   -m 100kpps -t --carriage ds-lite --subscribers 1000 --ports 10
    start -f bench/pktgen/trex_stl.py -p 0 1 -m 1mpps   -t --carriage ds-lite --mappings mappings.json

The first makes the mappings; then `culvert mappings --json >mappings.json` on the appliance says where they are reached,
and the second sends both ways. Everything after -t is the profile's own; bench/pktgen/README.md has more.
"""

import argparse
import os
import sys

from trex_stl_lib.api import *  # noqa: F401,F403  (brings Scapy's layers too, as TRex profiles do)

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import frames  # noqa: E402

MOST_STREAMS = 1000  # inbound: a stream for each mapping


class Layers:
    """Scapy's classes, from where TRex has them."""
    Ether, IP, IPv6, UDP = Ether, IP, IPv6, UDP  # noqa: F405


class Subscribers:
    def outbound(self, arguments):
        """One stream; the field engine goes through subscribers, then through their ports."""
        carriage = arguments.carriage
        # An IPv4 UDP checksum may be left out (RFC 768), which saves computing it; IPv6 must have one (RFC 8200 §8.1).
        packet = frames.outbound(Layers, carriage, 0, frames.FIRST_PORT, arguments.size,
                                 inner_checksum=carriage == "nat64")
        base = frames.HOME_BASE.get(carriage, frames.INSIDE_BASE)
        vm = STLVM()  # noqa: F405
        vm.tuple_var(name="subscriber", ip_min=frames.dotted(base + 1), ip_max=frames.dotted(base + arguments.subscribers),
                     port_min=frames.FIRST_PORT, port_max=frames.FIRST_PORT + arguments.ports - 1,
                     limit_flows=arguments.subscribers * arguments.ports)
        if carriage == "nat44":
            vm.write(fv_name="subscriber.ip", pkt_offset="IP.src")
        else:  # octets 4 to 7 of the home's address
            vm.write(fv_name="subscriber.ip", pkt_offset="IPv6.src", offset_fixup=4)
        vm.write(fv_name="subscriber.port", pkt_offset="UDP.sport")
        if carriage == "nat44":
            vm.fix_chksum()  # the IPv4 header's
        if carriage == "nat64":
            vm.fix_chksum_hw(l3_offset="IPv6", l4_offset="UDP", l4_type=CTRexVmInsFixHwCs.L4_TYPE_UDP)  # noqa: F405
        return [STLStream(packet=STLPktBuilder(pkt=packet, vm=vm), mode=STLTXCont(pps=arguments.pps))]  # noqa: F405

    def inbound(self, arguments):
        if arguments.mappings is None:
            return []
        with open(arguments.mappings, encoding="ascii") as lines:
            endpoints = list(frames.external_endpoints(lines))
        step = max(1, -(-len(endpoints) // MOST_STREAMS))
        endpoints = endpoints[::step]
        return [STLStream(packet=STLPktBuilder(pkt=frames.inbound(Layers, address, port, arguments.size)),  # noqa: F405
                          mode=STLTXCont(pps=arguments.pps / len(endpoints)))  # noqa: F405
                for address, port in endpoints]

    def get_streams(self, tunables=(), **kwargs):
        parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
        parser.add_argument("--carriage", choices=frames.CARRIAGES, default="nat44")
        parser.add_argument("--subscribers", type=int, default=1000)
        parser.add_argument("--ports", type=int, default=10, help="mappings of each")
        parser.add_argument("--size", type=int, default=64, help="of the frame on the IPv4 side, 64 to 1518")
        parser.add_argument("--pps", type=float, default=1, help="packets a second at -m 1")
        parser.add_argument("--mappings", help="what culvert mappings --json printed: the inbound direction sends there")
        arguments = parser.parse_args(list(tunables))
        return self.outbound(arguments) if kwargs.get("direction", 0) == 0 else self.inbound(arguments)


def register():
    return Subscribers()
