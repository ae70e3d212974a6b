"""A STUN client for NAT behaviour discovery (RFC 5780 §4.3, §4.4), for the subscriber that coturn's own client cannot
stand for: one whose network is IPv6 only and whose server is IPv4 only.

`classify` says of mapping and filtering "endpoint-independent", "address-dependent" or "address-and-port-dependent".
"""

import ipaddress
import os
import struct

BINDING_REQUEST, BINDING_SUCCESS = 0x0001, 0x0101
MAGIC = 0x2112A442
CHANGE_REQUEST, XOR_MAPPED_ADDRESS, OTHER_ADDRESS = 0x0003, 0x0020, 0x802C
CHANGE_IP, CHANGE_PORT = 4, 2
EIM, ADM, APDM = "endpoint-independent", "address-dependent", "address-and-port-dependent"
WAIT = 0.7  # seconds for each answer: the lab's way back and forth is some milliseconds


def _attributes(message):
    at = 20
    while at + 4 <= len(message):
        kind, length = struct.unpack(">HH", message[at:at + 4])
        yield kind, message[at + 4:at + 4 + length]
        at += 4 + (length + 3) // 4 * 4


def _endpoint(value, transaction=None):
    """(address, port) of an address attribute; with a transaction of a XOR-ed one (RFC 8489 §14.2)."""
    port, = struct.unpack(">H", value[2:4])
    address = value[4:]
    if transaction is not None:
        port ^= MAGIC >> 16
        mask = struct.pack(">I", MAGIC) + transaction
        address = bytes(a ^ m for a, m in zip(address, mask))
    return str(ipaddress.ip_address(address)), port


def bind(sock, server, change=0):
    """One Binding: {"mapped": (address, port), "other": (address, port), "from": …}; None when no answer came."""
    transaction = os.urandom(12)
    request = struct.pack(">HHI", CHANGE_REQUEST, 4, change) if change else b""
    sock.sendto(struct.pack(">HHI", BINDING_REQUEST, len(request), MAGIC) + transaction + request, server)
    sock.settimeout(WAIT)
    try:
        while True:
            message, source = sock.recvfrom(2048)
            if message[8:20] == transaction and struct.unpack(">H", message[:2])[0] == BINDING_SUCCESS:
                break
    except TimeoutError:
        return None
    answer = {"from": source[:2]}
    for kind, value in _attributes(message):
        if kind == XOR_MAPPED_ADDRESS:
            answer["mapped"] = _endpoint(value, transaction)
        elif kind == OTHER_ADDRESS:
            answer["other"] = _endpoint(value)
    return answer


def classify(new_socket, address, port, dial):
    """(mapping, filtering) of the NAT before us. `dial(ipv4)` is how we name an address of the server's."""
    sock = new_socket()
    first = bind(sock, (dial(address), port))  # test I
    assert first, "the STUN server does not answer"
    other_address, other_port = first["other"]
    second = bind(sock, (dial(other_address), port))  # §4.3 test II
    third = bind(sock, (dial(other_address), other_port))  # §4.3 test III
    if second["mapped"] == third["mapped"]:
        mapping = EIM if first["mapped"] == second["mapped"] else ADM
    else:
        mapping = APDM
    sock = new_socket()  # the tests above opened the filter
    assert bind(sock, (dial(address), port))
    if answer := bind(sock, (dial(address), port), CHANGE_IP | CHANGE_PORT):  # §4.4 test II
        assert answer["from"] == (dial(other_address), other_port), answer
        return mapping, EIM
    if answer := bind(sock, (dial(address), port), CHANGE_PORT):  # §4.4 test III
        assert answer["from"] == (dial(address), other_port), answer
        return mapping, ADM
    return mapping, APDM
