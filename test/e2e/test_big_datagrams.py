"""Datagrams larger than any link: real hosts cut them, the box joins and cuts them again, real hosts join them."""

import os
import struct

from support import as_on_a_wire, for_each_carriage, ping, topology

PORT = 7200
CONFIG = as_on_a_wire


@for_each_carriage
def test_ping_with_4000_bytes(net, carriage, subscriber):
    """RFC 4787 REQ-14, RFC 6333 §6.3, RFC 7915: an echo's ICMPv6 checksum has the whole datagram's length in it."""
    before = net.fragments_received()
    ping(subscriber, subscriber.dial(topology.SERVER), "-s", 4000)
    assert net.fragments_received() >= before + 6


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


# --- DNS ----------------------------------------------------------------------------------------------------------

RECORDS = (6, 9, 15)  # TXT records of 250 bytes each: answers of some 1,600, 2,400 and 4,000 bytes


def text_of(records, number):
    """One record's text: others in each."""
    return f"{records}-{number}-".ljust(250, "abcdefghijklmnopqrstuvwxyz"[number])


def start_dns(net):
    """unbound on the internet, with answers larger than a packet (RFC 6891 allows 4096 bytes and more)."""
    lines = "".join(f"    local-data: 'txt{r}.example.net. TXT \"{text_of(r, n)}\"'\n" for r in RECORDS for n in range(r))
    file = net.lab.directory / "big-answers.conf"
    file.write_text(f"""server:
    interface: {topology.SERVER}
    access-control: 0.0.0.0/0 allow
    edns-buffer-size: 4096
    max-udp-size: 4096
    username: ""
    chroot: ""
    directory: "{net.lab.directory}"
    pidfile: ""
    use-syslog: no
    num-threads: 1
    module-config: "iterator"
    local-zone: "example.net." static
{lines}
remote-control:
    control-enable: no
""")
    return net.lab.start("server", "big-answers", ["unbound", "-d", "-c", file])


def ask(s, server, name):
    """A TXT question with EDNS 4096 (RFC 6891 §6.1.2): (bytes of the answer, its texts), or None if none came."""
    number = os.urandom(2)
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    option = b"\0" + struct.pack(">HHIH", 41, 4096, 0, 0)
    question = labels + b"\0" + struct.pack(">HH", 16, 1)
    s.sendto(number + struct.pack(">HHHHH", 0x0100, 1, 0, 0, 1) + question + option, (server, 53))
    answer = s.recv(65535)
    flags, _, count = struct.unpack(">HHH", answer[2:8])
    assert answer[:2] == number and flags & 0x8000 and not flags & 0x020F, f"flags {flags:04x}"  # nor TC, nor an error
    texts, at = [], 12 + len(question)
    for _ in range(count):
        name_length = 2 if answer[at] >= 0xC0 else len(labels) + 1
        length, = struct.unpack(">H", answer[at + name_length + 8:at + name_length + 10])
        data = answer[at + name_length + 10:at + name_length + 10 + length]
        texts.append(data[1:1 + data[0]].decode())
        at += name_length + 10 + length
    return len(answer), texts


@for_each_carriage
def test_dns_answers_larger_than_a_packet(net, carriage, subscriber):
    """RFC 6891 §6.2.5: answers over UDP up to what the resolver says it takes, whole, without falling back to TCP."""
    if not hasattr(net, "big_answers"):
        net.big_answers = start_dns(net)
        net.lab.wait_until(lambda: "start of service" in net.big_answers.output(), "the DNS server runs")
    s = subscriber.udp()
    for records in RECORDS:
        size, texts = ask(s, subscriber.dial(topology.SERVER), f"txt{records}.example.net")
        assert size > max(1500, 250 * records), size
        assert sorted(texts) == sorted(text_of(records, n) for n in range(records)), texts
