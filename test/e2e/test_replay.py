"""`culvert replay` as an operator uses it: the same twice, and what wrong arguments and broken captures do."""

import pathlib
import struct

NAT44 = pathlib.Path(__file__).parents[1] / "scenario" / "conf" / "nat44.yaml"
PACKETS = 20


def checksum(header):
    total = sum(struct.unpack(f">{len(header) // 2}H", header))
    total = (total & 0xFFFF) + (total >> 16)
    return 0xFFFF - ((total & 0xFFFF) + (total >> 16))


def capture(net, name, cut=0):
    """A raw-IP capture of a subscriber's UDP packets, its last `cut` bytes missing."""
    data = struct.pack("<IHHIIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101)
    for n in range(PACKETS):
        udp = struct.pack(">HHHH", 4000 + n, 53, 8, 0)
        addresses = bytes([100, 64, 0, 1, 198, 51, 100, 7])
        head = struct.pack(">BBHHHBB", 0x45, 0, 28, n, 0, 64, 17)
        ip = head + struct.pack(">H", checksum(head + b"\0\0" + addresses)) + addresses
        data += struct.pack("<IIII", 1_700_000_000 + n, 0, 28, 28) + ip + udp
    path = net.lab.directory / name
    path.write_bytes(data[:len(data) - cut])
    return path


def replay(net, *arguments):
    return net.lab.run("appliance", [net.daemon.culvert, "replay", "-c", NAT44, *arguments], check=False)


def test_two_runs_write_the_same_bytes(net):
    inside, written = capture(net, "in.pcap"), []
    for run in range(2):
        out, log = net.lab.directory / f"out{run}.pcap", net.lab.directory / f"log{run}"
        result = replay(net, "--inside", inside, "--write-outside", out, "--block-log", log, "--stats",
                        "--workers", net.workers, "--until", 1000)
        assert result.returncode == 0, result.stderr
        written.append((out.read_bytes(), log.read_bytes(), result.stdout))
    assert written[0] == written[1]
    assert len(written[0][0]) == 24 + PACKETS * (16 + 28) and b"block-released" in written[0][1], written[0]


def test_capture_that_breaks_off_counts_up_to_there(net):
    result = replay(net, "--inside", capture(net, "broken.pcap", cut=10), "--stats")
    assert result.returncode == 1 and f"frame {PACKETS}: truncated" in result.stderr, result
    counts = dict(line.rsplit(maxsplit=1) for line in result.stdout.splitlines())
    assert counts["outbound nat44"] == str(PACKETS - 1), result.stdout


def test_wrong_arguments_exit_2_and_write_nothing(net):
    inside, out = capture(net, "in.pcap"), net.lab.directory / "never"
    before = inside.read_bytes()
    for arguments in (["--write-inside", out, "--write-outside", out],
                      ["--write-outside", out, "--block-log", f"{out.parent}/./{out.name}"],
                      ["--write-outside", inside], ["--until", "nan"], ["--until", "1e30"], ["--until", "-1"],
                      ["--workers", "0"], ["--workers", "-1"], ["--seed", "0"], ["--seed", "-1"]):
        result = replay(net, "--inside", inside, *arguments)
        assert result.returncode == 2 and "--help" in result.stderr, (arguments, result)
        assert not out.exists() and inside.read_bytes() == before, arguments


def test_output_that_cannot_be_written_is_an_error(net):
    inside = capture(net, "in.pcap")
    for arguments in (["--block-log", "/dev/full"], ["--block-log", net.lab.directory],
                      ["--write-outside", "/nowhere/out.pcap"]):
        result = replay(net, "--inside", inside, *arguments)
        assert result.returncode == 1 and str(arguments[1]) in result.stderr, (arguments, result)
    result = net.lab.run("appliance", ["sh", "-c", f"{net.daemon.culvert} --help >/dev/full"], check=False)
    assert result.returncode == 1 and "standard output" in result.stderr, result
