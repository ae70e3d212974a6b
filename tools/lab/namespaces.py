"""Network namespaces, links and processes that always go away again.

A `Lab` owns everything it makes: namespaces named `culvert-<pid>-<name>`, one directory under /run/culvert-lab,
and the processes started in them. `with Lab() as lab:` takes all of it down at the end, also after an exception
or a signal (see `end_on_signals`). If the Lab's own process is killed, the kernel kills what it started, and the
next Lab removes the namespaces and directories it left.
"""

import contextlib
import ctypes
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time

STATE = pathlib.Path("/run/culvert-lab")
PREFIX = "culvert-"
NETNS_CONFIG = pathlib.Path("/etc/netns")  # `ip netns exec` lays these files over /etc
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


class LabError(Exception):
    """Something in the lab did not work; the text says what and shows the program's own words."""


class Interrupted(Exception):
    """A signal asked us to end."""


def end_on_signals():
    """Turns SIGINT, SIGTERM and SIGHUP into an Interrupted exception in the main thread, once."""

    def handler(number, _frame):
        ignore_signals()
        raise Interrupted(signal.Signals(number).name)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, handler)


def ignore_signals():
    """Nothing may interrupt the cleaning up."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


def _die_with_parent():
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _start_time(pid):
    """When a process began, in the kernel's ticks: with the pid it names a process for ever. None: no process."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return None


class Process:
    """A program running in a namespace, with its output in a file."""

    def __init__(self, name, popen, log):
        self.name, self.popen, self.log = name, popen, log

    @property
    def pid(self):
        return self.popen.pid

    def running(self):
        return self.popen.poll() is None

    def output(self, lines=30):
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def signal(self, number):
        if self.running():
            self.popen.send_signal(number)

    def stop(self, timeout=5.0):
        """SIGTERM, and SIGKILL when that does not help; the exit code (negative: the signal)."""
        self.signal(signal.SIGTERM)
        try:
            return self.popen.wait(timeout)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            return self.popen.wait()


class Lab:
    def __init__(self, say=lambda text: None):
        self.say = say
        self.id = str(os.getpid())
        self.directory = STATE / self.id
        self._namespaces = []
        self._processes = []

    def __enter__(self):
        if os.geteuid() != 0:
            raise LabError("the lab needs root: it makes network namespaces")
        remove_leftovers(self.say)
        self.directory.mkdir(parents=True, mode=0o755)
        (self.directory / "owner").write_text(f"{os.getpid()} {_start_time(os.getpid())}\n")
        return self

    def __exit__(self, *_):
        ignore_signals()
        for process in reversed(self._processes):
            process.stop()
        _remove(self.id)

    # --- namespaces and links -----------------------------------------------------------------------------

    def full_name(self, name):
        """The name `ip netns` knows a namespace by."""
        return f"{PREFIX}{self.id}-{name}"

    def add_namespaces(self, *names, forward=()):
        for name in names:
            self._must(["ip", "netns", "add", self.full_name(name)])
            self._namespaces.append(name)
            settings = ["net.ipv6.conf.all.accept_dad=0", "net.ipv6.conf.default.accept_dad=0",
                        "net.ipv6.conf.all.accept_ra=0", "net.ipv6.conf.default.accept_ra=0",
                        "net.ipv4.ping_group_range=0 2147483647"]
            if name in forward:
                settings += ["net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1",
                             # traceroute and the error tests must see every error
                             "net.ipv4.icmp_ratelimit=0", "net.ipv6.icmp.ratelimit=0"]
            self.run(name, ["sysctl", "-q", "-w", *settings])
            self.ip(name, "link set lo up")

    def ip(self, namespace, *commands):
        """Runs `ip` commands, one string each, in a namespace."""
        batch = "\n".join(commands) + "\n"
        self._must(["ip", "-n", self.full_name(namespace), "-batch", "-"], stdin=batch)

    def link(self, left, left_device, right, right_device, mtu=1500):
        """A veth between two namespaces, up, with checksums finished and segments cut as on a real wire."""
        self._must(["ip", "link", "add", left_device, "mtu", str(mtu), "netns", self.full_name(left), "type",
                    "veth", "peer", "name", right_device, "mtu", str(mtu), "netns", self.full_name(right)])
        for namespace, device in ((left, left_device), (right, right_device)):
            self.run(namespace, ["ethtool", "-K", device, "tx", "off", "rx", "off", "tso", "off", "gso", "off",
                                 "gro", "off"])
            self.ip(namespace, f"link set {device} up")

    def resolver(self, namespace, address):
        """Programs in this namespace look names up at `address`."""
        folder = NETNS_CONFIG / self.full_name(namespace)
        folder.mkdir(parents=True)
        (folder / "resolv.conf").write_text(f"nameserver {address}\n")

    # --- programs -----------------------------------------------------------------------------------------

    def command(self, namespace, arguments):
        return ["ip", "netns", "exec", self.full_name(namespace), *map(str, arguments)]

    def run(self, namespace, arguments, timeout=30, check=True, stdin=None):
        """Runs a program to its end; its standard output and error are in the result."""
        try:
            result = subprocess.run(self.command(namespace, arguments), timeout=timeout, text=True,
                                    errors="replace", capture_output=True, preexec_fn=_die_with_parent,
                                    **({"input": stdin} if stdin is not None else {"stdin": subprocess.DEVNULL}))
        except subprocess.TimeoutExpired as e:
            raise LabError(f"{namespace}: {' '.join(map(str, arguments))}: not done after {timeout} s") from e
        if check and result.returncode != 0:
            raise LabError(f"{namespace}: {' '.join(map(str, arguments))}: exit code {result.returncode}\n"
                           f"{result.stdout}{result.stderr}".rstrip())
        return result

    def start(self, namespace, name, arguments, environment=None):
        """Starts a program that stays; `name` names its log file."""
        log = self.directory / f"{name}.log"
        with open(log, "ab") as out:
            popen = subprocess.Popen(self.command(namespace, arguments), stdin=subprocess.DEVNULL, stdout=out,
                                     stderr=subprocess.STDOUT, preexec_fn=_die_with_parent,
                                     env={**os.environ, **(environment or {})})
        process = Process(name, popen, log)
        self._processes.append(process)
        return process

    def start_notifying(self, namespace, name, arguments, timeout=20, environment=None):
        """Starts a program that says READY=1 as systemd services do (sd_notify(3)), and waits for that."""
        path = self.directory / f"{name}.notify"
        path.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
            listener.bind(str(path))
            listener.settimeout(0.1)
            process = self.start(namespace, name, arguments, {**(environment or {}), "NOTIFY_SOCKET": str(path)})
            deadline = time.monotonic() + timeout
            while time.monotonic() < deadline:
                try:
                    if b"READY=1" in listener.recv(4096):
                        return process
                except TimeoutError:
                    pass
                if not process.running():
                    raise LabError(f"{name} ended at once with exit code {process.popen.returncode}:\n"
                                   f"{process.output()}")
            raise LabError(f"{name} was not ready after {timeout} s:\n{process.output()}")

    def stop(self, process, timeout=5.0):
        code = process.stop(timeout)
        self._processes.remove(process)
        return code

    def wait_until(self, condition, what, timeout=10.0, every=0.05):
        """Waits for a condition; its value, or LabError."""
        deadline = time.monotonic() + timeout
        while True:
            value = condition()
            if value:
                return value
            if time.monotonic() > deadline:
                raise LabError(f"{what}: not so after {timeout:g} s")
            time.sleep(every)

    def mount_tmpfs(self, directory, size):
        """Puts a small file system on a directory of the lab's; programs that are started from now on see it."""
        self._must(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(directory)])

    def mount_disk(self, directory, image, size=None):
        """The same with an ext4 file system that is in a file; made anew if it has a `size`, and repaired otherwise. It goes
        read-only when it finds itself broken."""
        if size:
            self._must(["truncate", "-s", size, str(image)])
            self._must(["mkfs.ext4", "-q", "-O", "^has_journal", str(image)])
        else:
            self.wait_until(lambda: not self._must(["losetup", "-j", str(image)]), f"{image} is no longer mounted")
            if subprocess.run(["e2fsck", "-p", str(image)], capture_output=True).returncode > 1:
                raise LabError(f"e2fsck could not repair {image}")
        self._must(["mount", "-o", "loop,errors=remount-ro", str(image), str(directory)])

    def break_disk(self, directory):
        """What mount_disk() mounted is read-only from now on, whoever has files of it open for writing."""
        device = self._must(["findmnt", "-no", "SOURCE", str(directory)]).strip()
        pathlib.Path("/sys/fs/ext4", pathlib.Path(device).name, "trigger_fs_error").write_text("1")

    @contextlib.contextmanager
    def frozen_disk(self, directory):
        """What mount_disk() mounted does not answer meanwhile: whoever writes waits."""
        self._must(["fsfreeze", "--freeze", str(directory)])
        try:
            yield
        finally:
            self._must(["fsfreeze", "--unfreeze", str(directory)])

    def unmount(self, directory):
        self._must(["umount", "-l", str(directory)])

    def _must(self, arguments, stdin=None):
        result = subprocess.run(arguments, input=stdin, text=True, capture_output=True)
        if result.returncode != 0:
            raise LabError(f"{' '.join(arguments)}: {result.stderr.strip()}\n{stdin or ''}".rstrip())
        return result.stdout


def _remove(lab_id):
    """Ends what still runs in a lab's namespaces, then removes them and its files."""
    with open("/proc/self/mounts") as mounts:
        mounted = [line.split()[1] for line in mounts if line.split()[1].startswith(f"{STATE / lab_id}/")]
    for directory in mounted:  # or those who wait for it could not be ended
        subprocess.run(["fsfreeze", "--unfreeze", directory], capture_output=True)
    prefix = f"{PREFIX}{lab_id}-"
    names = [n for n in os.listdir("/run/netns") if n.startswith(prefix)] if os.path.isdir("/run/netns") else []
    for name in names:
        pids = subprocess.run(["ip", "netns", "pids", name], text=True, capture_output=True).stdout.split()
        for pid in pids:
            try:
                os.kill(int(pid), signal.SIGKILL)
            except ProcessLookupError:
                pass
    for name in names:
        subprocess.run(["ip", "netns", "del", name], capture_output=True)
    if NETNS_CONFIG.is_dir():
        for folder in NETNS_CONFIG.glob(prefix + "*"):
            shutil.rmtree(folder, ignore_errors=True)
        if not any(NETNS_CONFIG.iterdir()):
            NETNS_CONFIG.rmdir()
    for directory in mounted:
        subprocess.run(["umount", "-l", directory], capture_output=True)
    shutil.rmtree(STATE / lab_id, ignore_errors=True)
    if STATE.is_dir() and not any(STATE.iterdir()):
        STATE.rmdir()


def remove_leftovers(say=lambda text: None):
    """Removes the labs of processes that are no more."""
    for owner in STATE.glob("*/owner"):
        pid, _, started = owner.read_text().strip().partition(" ")
        if _start_time(pid) != started:
            say(f"removing what lab {owner.parent.name} left when it was killed")
            _remove(owner.parent.name)
