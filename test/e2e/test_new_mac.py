"""A box that comes back with another MAC address (a new card, another driver): its neighbours must hear of it."""

from support import as_on_a_wire, for_each_carriage, topology

CONFIG = as_on_a_wire
ADDRESSES = (("access", topology.APPLIANCE_INSIDE_V4), ("access", topology.APPLIANCE_INSIDE_V6),
             ("internet", topology.APPLIANCE_OUTSIDE_V4))


def reached(net, host, address):
    ping = ["ping", "-n", "-c", "1", "-W", "1", address]
    return net.lab.run(host, ping, check=False).returncode == 0


def test_neighbours_hear_of_a_new_mac_address(net):
    """RFC 4861 §7.2.6: unsolicited Neighbor Advertisements; RFC 5227 §2.3: ARP announcements."""
    def other_mac(config):  # without `iface`, the driver makes one up
        for number, (interface, name) in enumerate(zip(config["interfaces"], ("in0", "out0"))):
            interface["device"] = f"net_pcap{number},rx_iface_in={name},tx_iface={name}"
    for host, address in ADDRESSES:
        net.lab.wait_until(lambda: reached(net, host, address), f"{host} reaches {address}")
    for change in (other_mac, as_on_a_wire):
        net.restart(change)
        for host, address in ADDRESSES:
            net.lab.wait_until(lambda: reached(net, host, address), f"{host} reaches {address} at its new MAC address", 3)


@for_each_carriage
def test_subscribers_notice_nothing(net, carriage, subscriber):
    assert subscriber.whoami()
