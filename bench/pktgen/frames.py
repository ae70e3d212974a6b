"""The made-up ISP's packets, for the capture maker and the TRex profile; bench/worker/frames.h has the same in C++.

Subscriber s is 10.0.0.0 + s (nat44), the B4 2001:db8:8000::/33 + s·/64 (ds-lite) or the host 2001:db8::/33 + s·/64
(nat64); all of them talk to 8.8.8.8 port 53. Frames are made by whatever Scapy the caller has: TRex brings its own.
"""

SERVER, SERVER_PORT, FIRST_PORT = "8.8.8.8", 53, 10000
AFTR, BEHIND_B4, NAT64_SERVER = "3fff:a::1", "192.168.1.2", "64:ff9b::808:808"
CARRIAGES = ("nat44", "ds-lite", "nat64")
# Octets 4 to 7 of an IPv6 home's address: these and the subscriber's number.
HOME_BASE = {"ds-lite": 0x80000000, "nat64": 0}
INSIDE_BASE = 0x0A000000
LONGER_INSIDE = {"nat44": 0, "ds-lite": 40, "nat64": 20}


def dotted(number):
    """A 32-bit number as an IPv4 address, which is how generators want four octets of anything."""
    return ".".join(str(number >> shift & 255) for shift in (24, 16, 8, 0))


def home(carriage, subscriber):
    number = HOME_BASE[carriage] + subscriber
    return f"2001:db8:{number >> 16:x}:{number & 0xffff:x}::2"


def outbound(scapy, carriage, subscriber, port, size, ethernet=None, inner_checksum=True):
    """What a subscriber sends. `size`: of the frame on the IPv4 side, with Ethernet's checksum (64 to 1518)."""
    udp = scapy.UDP(sport=port, dport=SERVER_PORT)
    if not inner_checksum:
        udp.chksum = 0
    payload = b"x" * (size - 4 - 14 - 20 - 8)
    ethernet = scapy.Ether() if ethernet is None else ethernet
    if carriage == "nat44":
        return ethernet / scapy.IP(src=dotted(INSIDE_BASE + subscriber), dst=SERVER) / udp / payload
    if carriage == "ds-lite":
        return (ethernet / scapy.IPv6(src=home(carriage, subscriber), dst=AFTR)
                / scapy.IP(src=BEHIND_B4, dst=SERVER) / udp / payload)
    return ethernet / scapy.IPv6(src=home(carriage, subscriber), dst=NAT64_SERVER) / udp / payload


def inbound(scapy, address, port, size, ethernet=None):
    """What the server sends to an external endpoint."""
    ethernet = scapy.Ether() if ethernet is None else ethernet
    return (ethernet / scapy.IP(src=SERVER, dst=address) / scapy.UDP(sport=SERVER_PORT, dport=port)
            / (b"x" * (size - 4 - 14 - 20 - 8)))


def external_endpoints(lines):
    """(address, port) of each UDP mapping in what `culvert mappings --json` printed."""
    import json
    for line in lines:
        row = json.loads(line) if line.strip() else {}
        if row.get("protocol") == "udp" and ":" in row.get("external", ""):
            address, _, port = row["external"].rpartition(":")
            yield address, int(port)
