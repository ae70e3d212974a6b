"""A pool of sixteen blocks, so that whose block is whose shows after a few packets."""

import ipaddress

from support import instance, topology

PORT = 7450
SET_SIZE = 64
POOL = "203.0.113.1"


def CONFIG(config):
    """Sixteen blocks of 64 ports, one a subscriber."""
    nat44 = instance(config, "nat44")
    config["hold-down-timeout"] = 3
    nat44.update({"external-ip-address-pool": [f"{POOL}/32"], "port-range": f"2048-{2048 + 16 * SET_SIZE - 1}",
                  "port-set-size": SET_SIZE, "port-sets-per-subscriber": 1})


ADDRESSES = [str(ipaddress.ip_address("100.64.1.40") + i) for i in range(8)]


def STRICT(config):
    CONFIG(config)
    config["logging"]["durability"] = "strict"
    config.setdefault("capacity", {})["external-addresses"] = 1024


def blocks_of(net, addresses):
    """The block that each of these subscribers gets a port in: {address: block}; those who get none are left out."""
    server = net.server.udp(PORT)
    for a in addresses:
        net.v4sub.udp(address=a).sendto(a.encode(), (topology.SERVER, PORT))
    got = {}
    server.settimeout(0.7)
    try:
        while True:
            data, (_, port) = server.recvfrom(2048)
            got[data.decode()] = port // SET_SIZE
    except TimeoutError:
        pass
    net.close_sockets()
    return got
