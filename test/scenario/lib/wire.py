"""What building and dissecting share: protocol numbers and checksums. Written from the RFCs and independent of the
product."""

import struct

PROTOCOLS = {"icmp": 1, "ip": 4, "tcp": 6, "udp": 17, "ip6": 41, "frag": 44, "icmp6": 58, "dstopts": 60,
             "hopopts": 0, "routing": 43}
KINDS = {1: "icmp", 6: "tcp", 17: "udp"}
KINDS6 = {0: "hopopts", 4: "ip", 6: "tcp", 17: "udp", 43: "routing", 44: "frag", 58: "icmp6", 60: "dstopts"}
NO_NEXT_HEADER = 59


def checksum(data):
    """The Internet checksum (RFC 1071)."""
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def pseudo_header(network, protocol, length):
    """RFC 768/9293 for IPv4, RFC 8200 section 8.1 for IPv6. `network`: the layer of the IP header."""
    addresses = network.fields["src"].packed + network.fields["dst"].packed
    if network.kind == "ip":
        return addresses + struct.pack(">BBH", 0, protocol, length)
    return addresses + struct.pack(">II", length, protocol)
