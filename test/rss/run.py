#!/usr/bin/env python3
"""RSS by subscriber on a device that really hashes: culvertd on a virtio network card of QEMU, in a virtual machine.

    test/rss/run.py [--build build] [--subscribers 2000] [--packets 5]

QEMU computes the Toeplitz hash of every packet with the key and the indirection table that the guest's driver set
(`virtio-net-pci,rss=on`), so this is DPDK's virtio driver and another program's idea of RSS against Culvert's tables.
Each subscriber sends from several addresses of his prefix. With RSS hardly a packet may change workers; the control
is the same card without RSS, where most have to.

Needs root, QEMU, the Debian cloud kernel that the Linux B4 uses too, and a build for a CPU that QEMU emulates:
`meson setup BUILD -Dmarch=`. Frames go only to a tap device in a network namespace of its own.
The last line is `passed=N failed=M`.
"""

import argparse
import json
import pathlib
import random
import shutil
import socket
import struct
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
sys.dont_write_bytecode = True

from lab import linux_b4  # noqa: E402
from lab.namespaces import Lab, LabError, end_on_signals  # noqa: E402

WORKERS = 4
CARD = bytes.fromhex("020000000001")
MODULES = ["uio/uio", "uio/uio_pci_generic", "net/tun"]
PLUGINS = ["bus_pci", "bus_vdev", "mempool_ring", "net_null", "net_virtio"]
TAP = "rss0"

CONFIG = """
workers: {workers}
interfaces:
  - {{name: inside, device: "0000:00:04.0", role: inside, mtu: 1500, ipv4-address: 192.0.2.2/24,
     ipv6-address: "2001:db8:1::2/64", next-hop-ipv4: "02:00:00:00:00:aa", next-hop-ipv6: "02:00:00:00:00:aa"}}
  - {{name: outside, device: "net_null1,no-rx=1", role: outside, ipv4-address: 198.51.100.1/30,
     next-hop-ipv4: "02:00:00:00:00:bb"}}
capacity: {{subscribers: 20000, mappings: 40000, sessions: 1000, packet-buffers: 16384}}
instances:
"""
INSTANCES = {
    "ds-lite": """
  - {name: homes, type: ds-lite, aftr-ipv6-addr: "2001:db8:a::1",
     subscriber-match: [{subnet: "2001:db8:4000::/34", subscriber-mask-v6: 56}],
     external-ip-address-pool: [203.0.113.0/25]}
""",
    "nat44": """
  - {name: plain, type: nat44, subscriber-match: [{subnet: 100.64.0.0/10, subscriber-mask-v4: 30}],
     external-ip-address-pool: [203.0.113.128/25]}
""",
}

INIT = """#!/bin/busybox sh
export PATH=/usr/sbin:/sbin:/usr/bin:/bin
/bin/busybox mkdir -p /proc /sys /dev /tmp /run/culvert /var/log/culvert /var/lib/culvert /dev/hugepages /dev/net
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
for module in {modules}; do insmod /modules/$module.ko; done
mkdir -p /dev/hugepages /dev/shm
chmod 755 /  # DPDK loads no drivers from where everybody may write
echo 96 > /proc/sys/vm/nr_hugepages
mount -t hugetlbfs hugetlbfs /dev/hugepages
ip link set lo up
echo "1af4 1041" > /sys/bus/pci/drivers/uio_pci_generic/new_id
/culvertd --config /{carriage}.yaml > /tmp/log 2>&1 &
until grep -q "steering inside\\|steering rings" /tmp/log && /culvert status > /dev/null 2>&1; do
  kill -0 $! 2> /dev/null || {{ cat /tmp/log; poweroff -f; }}
  sleep 0.2
done
grep steering /tmp/log
echo "--- ready"
last=-1
for i in $(seq 100); do
  sleep 1
  /culvert interfaces --json > /tmp/interfaces
  now=$(sed -n 's/.*"rx_packets":\\([0-9]*\\).*/\\1/p' /tmp/interfaces | head -1)
  test "$now" -ge {packets} && break
done
/culvert interfaces --json | head -1
/culvert workers --json
/culvert drops --json
echo "--- end"
cat /tmp/log
poweroff -f
"""


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ipv4_udp(source, port):
    udp = struct.pack("!HHHH", port, 53, 12, 0) + b"ping"
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 32, 0, 0x4000, 64, 17, 0, source, bytes([198, 51, 100, 7]))
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + udp


def frames(carriage, subscribers, packets):
    """Every subscriber sends `packets`, each from another of his addresses, in random order."""
    rng = random.Random(1)
    out = []
    for n in range(subscribers):
        for k in range(packets):
            if carriage == "nat44":
                source = struct.pack("!I", 0x64400000 + (n << 2) + k % 4)  # a /30 each
                out.append(CARD + bytes(5) + b"\xaa" + b"\x08\x00" + ipv4_udp(source, 20000 + k))
            else:
                b4 = struct.pack("!QQ", 0x20010DB840000000 + (n << 8) + rng.getrandbits(8), rng.getrandbits(64))
                inner = ipv4_udp(bytes([192, 168, 1, 2]), 20000 + k)
                outer = struct.pack("!IHBB", 6 << 28, len(inner), 4, 64) + b4 + bytes.fromhex(
                    "20010db8000a00000000000000000001")
                out.append(CARD + bytes(5) + b"\xaa" + b"\x86\xdd" + outer + inner)
    rng.shuffle(out)
    return out


def make_disk(directory, build, carriage, packets):
    image, modules = linux_b4.find_kernel()
    root = directory / "root"
    shutil.rmtree(root, ignore_errors=True)
    (root / "modules").mkdir(parents=True)
    (root / "bin").mkdir()
    shutil.copy2(shutil.which("busybox"), root / "bin/busybox")
    plugins = pathlib.Path("/usr/lib/x86_64-linux-gnu/dpdk/pmds-23.0")
    programs = [build / "tools/culvertd", build / "tools/culvert", *(plugins / f"librte_{p}.so.23.0" for p in PLUGINS)]
    for program in programs:
        linux_b4._copy_program(str(program), root)
    for plugin in (root / str(plugins).lstrip("/")).glob("*.so.23.0"):  # one file each, as on Debian: DPDK loads it once
        for copy in root.glob(f"lib/*/{plugin.name.removesuffix('.0')}"):
            copy.unlink()
            copy.symlink_to("/" + str(plugin.relative_to(root)))
    for program in programs[:2]:
        shutil.move(root / str(program).lstrip("/"), root / program.name)
    for module in MODULES:
        shutil.copy2(next(modules.glob(f"kernel/**/{module}.ko")), root / "modules")
    (root / f"{carriage}.yaml").write_text(CONFIG.format(workers=WORKERS) + INSTANCES[carriage])
    init = root / "init"
    init.write_text(INIT.format(modules=" ".join(m.rpartition("/")[2] for m in MODULES), carriage=carriage,
                                packets=packets))
    init.chmod(0o755)
    disk = directory / "initrd"
    names = "\n".join(str(p.relative_to(root)) for p in sorted(root.rglob("*"))) + "\n"
    with open(disk, "wb") as out:
        subprocess.run(["cpio", "--quiet", "-o", "-H", "newc"], cwd=root, input=names.encode(), stdout=out, check=True)
    return image, disk


def run(lab, options, carriage, rss):
    """Boots, sends, and gives (what the box said of its steering, the interface's row, the workers' rows)."""
    sent = frames(carriage, options.subscribers, options.packets)
    image, disk = make_disk(lab.directory / "rss", options.build.resolve(), carriage, len(sent))
    (lab.directory / "qemu.log").unlink(missing_ok=True)
    machine = lab.start("host", "qemu", [
        "qemu-system-x86_64", "-accel", "tcg", "-cpu", "max", "-smp", 2, "-m", 1536, "-nodefaults", "-no-reboot",
        "-display", "none", "-serial", "stdio", "-kernel", image, "-initrd", disk,
        "-append", "console=ttyS0 quiet panic=-1",
        "-netdev", f"tap,id=n0,ifname={TAP},script=no,downscript=no,queues={WORKERS},vhost=off",
        "-device", f"virtio-net-pci,netdev=n0,addr=4,mac=02:00:00:00:00:01,mq=on,vectors={2 * WORKERS + 2},"
                   f"disable-legacy=on,rss={'on' if rss else 'off'},csum=off,gso=off,guest_csum=off,guest_tso4=off,"
                   "guest_tso6=off,guest_ecn=off,guest_ufo=off,host_tso4=off,host_tso6=off,host_ecn=off,host_ufo=off"])
    try:
        lab.wait_until(lambda: "--- ready" in machine.output(1000) or not machine.running(), "culvertd runs", 180, every=0.5)
        lab.run("host", [sys.executable, "-B", __file__, "--send", carriage, "--subscribers", options.subscribers,
                         "--packets", options.packets], timeout=120)
        lab.wait_until(lambda: "--- end" in machine.output(5000) or not machine.running(), "the packets arrive", 180, every=0.5)
        time.sleep(2)
        text = machine.output(100_000)
    except LabError as error:
        raise LabError(f"{error}\n{machine.output(200)}") from None
    finally:
        lab.stop(machine)
    if "--- end" not in text:
        raise LabError(f"the machine did not get to its end:\n{text}")
    said = [line.strip() for line in text.splitlines() if "steering" in line and "device" in line]
    rows = []
    for line in text.splitlines():
        if line.startswith("{"):
            try:
                rows.append(json.loads(line))
            except ValueError:
                pass
    if options.verbose:
        print(text)
    return said, next(r for r in rows if "interface" in r), [r for r in rows if "worker" in r]


def send(options):
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    s.bind((TAP, 0))
    for n, frame in enumerate(frames(options.send, options.subscribers, options.packets)):
        s.send(frame)
        if n % 20 == 19:
            time.sleep(0.02)  # the emulated card is slow


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build", help="made with -Dmarch=")
    parser.add_argument("--subscribers", type=int, default=2000)
    parser.add_argument("--packets", type=int, default=5, help="of each")
    parser.add_argument("--verbose", action="store_true", help="show what the machine printed")
    parser.add_argument("--send", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.send:
        return send(options)
    end_on_signals()
    results = []
    with Lab() as lab:
        lab.add_namespaces("host")
        lab.ip("host", f"tuntap add {TAP} mode tap multi_queue", f"link set {TAP} mtu 1500 up")
        for carriage, rss in (("ds-lite", True), ("nat44", True), ("ds-lite", False)):
            said, inside, workers = run(lab, options, carriage, rss)
            share = inside["box_handed_over_share"]
            got = inside["rx_packets"]
            good = got >= 0.99 * options.subscribers * options.packets and (share < 0.005 if rss else share > 0.5)
            results.append(good)
            print(f"{'ok ' if good else 'BAD'} {carriage}, RSS {'on' if rss else 'off'}: {inside['steering']}; {got} packets, "
                  f"{100 * share:.2f} % changed workers; by worker "
                  f"{[w['outbound_packets'] for w in workers]}", flush=True)
    print(f"passed={sum(results)} failed={len(results) - sum(results)}")
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
