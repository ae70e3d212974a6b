"""scapy's opinion: a packet is right when scapy, asked to fill in all lengths and checksums anew, writes the same
bytes. It knows nothing of this project's code and nothing of codec.py."""

import logging
import warnings

logging.getLogger("scapy").setLevel(logging.ERROR)
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from scapy.layers.inet import ICMP, IP, TCP, UDP, IPerror
    from scapy.layers.inet6 import IPerror6, IPv6, IPv6ExtHdrFragment
    from scapy.layers.l2 import Ether
    from scapy.packet import Raw


def disagreement(data, link):
    """What scapy would have written differently, or None."""
    packet = Ether(data) if link == "ethernet" else (IPv6 if data and data[0] >> 4 == 6 else IP)(data)
    layer, fragment = packet, False
    while layer is not None and not fragment:  # behind the header of a fragment nothing is whole
        # Layers within an ICMP error have classes of their own (IPerror...) and are left as they are; their
        # lengths may rightly promise more than is there.
        if type(layer) is IP:
            fragment = layer.flags.MF or layer.frag != 0
            del layer.ihl, layer.len, layer.chksum
        elif type(layer) is IPv6:
            del layer.plen
        elif type(layer) is IPv6ExtHdrFragment:
            fragment = layer.m or layer.offset != 0
        elif type(layer) is UDP:
            del layer.len
            if layer.chksum != 0:
                del layer.chksum
        elif type(layer) is TCP:
            del layer.dataofs, layer.chksum
        elif type(layer) is ICMP:
            del layer.chksum
        elif layer.name.startswith("ICMPv6") and "cksum" in layer.fields:
            del layer.cksum
        elif type(layer) in (IPerror, IPerror6):
            # As bytes: scapy would move what stands behind the packet within (RFC 4884) to the end of all.
            layer.underlayer.payload = Raw(layer.original)
            break
        layer = layer.payload if layer.payload else None
    again = bytes(packet)
    if again == data:
        return None
    at = next((i for i, (a, b) in enumerate(zip(data, again)) if a != b), min(len(data), len(again)))
    return f"scapy would write byte {at} as {again[at:at + 2].hex() or 'nothing'}, not {data[at:at + 2].hex()}"
