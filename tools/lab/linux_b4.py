"""A real Linux as B4: a virtual machine whose kernel has the ip6_tunnel module, which a lab's host may lack.

The machine is a home of its own (topology.LINUX_B4): QEMU with plain emulation, so that nothing of the host is
needed but memory, a Debian kernel, and an initial RAM disk with busybox, iproute2 and perl made on the spot. It boots
in a few seconds, sets up `ip -6 tunnel add … mode ipip6`, runs one shell script and powers off. Its network card
is a tap device of the access router; what the script prints comes back over the serial console.

Linux by default puts a destination options header with the tunnel encapsulation limit before the inner packet
(RFC 2473 §4.1.1); `encapsulation_limit=False` is `encaplimit none`.
"""

import pathlib
import shutil
import subprocess

from lab import topology
from lab.namespaces import LabError

# in the order in which they need each other
MODULES = ["virtio/virtio_ring", "virtio/virtio", "virtio/virtio_pci_legacy_dev", "virtio/virtio_pci_modern_dev",
           "virtio/virtio_pci", "core/failover", "net/net_failover", "net/virtio_net", "ipv6/tunnel6",
           "ipv6/ip6_tunnel"]
BEGIN, END, FAILED = "--- script begins", "--- script ends", "--- setup failed"
TAP = "vm0"
OVERHEAD = 40 + 8  # bytes of the outer header and the encapsulation limit option

INIT = """\
#!/bin/busybox sh
export PATH=/usr/sbin:/sbin:/usr/bin:/bin
ip() {{ {ip} "$@"; }}  # iproute2, where busybox would take its own
/bin/busybox mkdir -p /proc /sys /dev /tmp
/bin/busybox --install -s /bin
must() {{ "$@" || echo "{failed}: $*"; }}
must mount -t proc proc /proc
must mount -t sysfs sysfs /sys
must mount -t devtmpfs devtmpfs /dev
for module in {modules}; do must insmod /modules/$module.ko; done
must ip link set lo up
must ip link set eth0 mtu {mtu} up
must ip -6 addr add {b4}/64 dev eth0 nodad
must ip -6 route add default via {router}
must ip -6 tunnel add b4 mode ipip6 local {b4} remote {aftr} {limit}
must ip link set b4 mtu {inner_mtu} up
must ip addr add 192.0.0.2/29 dev b4
must ip addr add {host}/32 dev lo
must ip route add default dev b4 src {host}
echo "{begin}"
( . /script ) 2>&1
echo "{end} $?"
poweroff -f
"""


def find_kernel():
    """(kernel image, its modules): installed, or unpacked by scripts/install-packages into build-vm/."""
    unpacked = pathlib.Path(__file__).parents[2] / "build-vm"
    for root in (pathlib.Path("/"), unpacked):
        for image in sorted((root / "boot").glob("vmlinuz-*-cloud-amd64"), reverse=True):
            modules = root / "lib" / "modules" / image.name.partition("-")[2]
            if modules.is_dir():
                return image, modules
    raise LabError("no Debian cloud kernel for the Linux B4: run scripts/install-packages vm")


def _copy_program(path, root):
    """A program with its shared libraries, each at its own path below `root`."""
    words = subprocess.run(["ldd", path], text=True, capture_output=True, check=True).stdout.split()
    for file in {path, *(w for w in words if w.startswith("/"))}:
        target = root / file.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(file, target)


class LinuxB4:
    """One machine in one lab; `run` boots it for one script."""

    def __init__(self, lab, home=topology.LINUX_B4):
        self.lab, self.home = lab, home
        self.directory = lab.directory / "linux-b4"
        self._ready = False

    def prepare(self):
        """The tap in the access router, and all of the RAM disk that is the same for every script."""
        if self._ready:
            return
        self.lab.ip("access", f"tuntap add {TAP} mode tap", f"link set {TAP} mtu {topology.ACCESS_MTU} up",
                    f"addr add {self.home.router}/64 dev {TAP} nodad")
        self.image, modules = find_kernel()
        root = self.directory / "root"
        (root / "bin").mkdir(parents=True)
        (root / "modules").mkdir()
        shutil.copy2(shutil.which("busybox"), root / "bin" / "busybox")
        for program in ("ip", "perl"):  # Debian has perl always; busybox sends no large datagrams
            _copy_program(shutil.which(program), root)
        for module in MODULES:
            found = list(modules.glob(f"kernel/**/{module}.ko"))
            if not found:
                raise LabError(f"{modules} has no module {module}")
            shutil.copy2(found[0], root / "modules")
        self._ready = True

    def _disk(self, script, encapsulation_limit, mtu):
        root = self.directory / "root"
        init = root / "init"
        init.write_text(INIT.format(
            modules=" ".join(m.rpartition("/")[2] for m in MODULES), mtu=mtu,
            inner_mtu=min(1500, mtu - OVERHEAD), b4=self.home.b4, router=self.home.router, aftr=topology.AFTR,
            host=topology.HOST, limit="" if encapsulation_limit else "encaplimit none", begin=BEGIN, end=END,
            failed=FAILED, ip=shutil.which("ip")))
        init.chmod(0o755)
        (root / "script").write_text(script)
        names = "\n".join(str(p.relative_to(root)) for p in sorted(root.rglob("*"))) + "\n"
        disk = self.directory / "initrd"
        with open(disk, "wb") as out:
            subprocess.run(["cpio", "--quiet", "-o", "-H", "newc"], cwd=root, input=names.encode(), stdout=out,
                           check=True)
        return disk

    def run(self, script, encapsulation_limit=True, timeout=90, mtu=topology.ACCESS_MTU):
        """Boots, runs the script (busybox sh), powers off; what the script printed, and its exit code. `mtu` is that
        of its access network; its tunnel's is less."""
        self.prepare()
        disk = self._disk(script, encapsulation_limit, mtu)
        (self.lab.directory / "qemu.log").unlink(missing_ok=True)
        machine = self.lab.start("access", "qemu", [
            "qemu-system-x86_64", "-accel", "tcg", "-m", 256, "-nodefaults", "-no-reboot", "-display", "none",
            "-serial", "stdio", "-kernel", self.image, "-initrd", disk, "-append", "console=ttyS0 quiet panic=-1",
            "-netdev", f"tap,id=n0,ifname={TAP},script=no,downscript=no",
            # checksums and segments as on a real wire
            "-device", f"virtio-net-pci,netdev=n0,host_mtu={mtu},csum=off,gso=off,guest_csum=off,"
                       "guest_tso4=off,guest_tso6=off,guest_ecn=off,guest_ufo=off,host_tso4=off,host_tso6=off,"
                       "host_ecn=off,host_ufo=off"])
        try:
            self.lab.wait_until(lambda: END in machine.output(1000) or not machine.running(),
                                "the Linux B4 ran its script", timeout, every=0.2)
            text = machine.output(1000)
        except LabError as error:
            raise LabError(f"{error}\n{machine.output()}") from None
        finally:
            self.lab.stop(machine)
        before, _, rest = text.partition(BEGIN)
        printed, end, after = rest.partition(END)
        if not end:
            raise LabError(f"the Linux B4 did not come to the script's end:\n{text}")
        if FAILED in before:
            raise LabError(f"the Linux B4 could not be set up:\n{before}")
        return printed.strip("\r\n").replace("\r", ""), int(after.split()[0])
