#!/usr/bin/python3 -B
"""The generators around Culvert: what can run here does run here. No figure is judged, only whether packets are right.

    test/bench/run.py [--build build]

  - bench/memif-run: culvertd and culvert-traffic in two processes, every carriage, UDP and TCP; nothing is lost at a low
    rate, every packet is right, and both count the same. Killed, it leaves no process and no file.
  - culvert-traffic says what is wrong with a command line, and with an appliance that does not answer.
  - The profiles in bench/pktgen: configurations are accepted; Lua runs against a table of the functions that Pktgen-DPDK
    registers; TRex's run against a stand-in for its library with Debian's Scapy, and the packets that they describe go
    through `culvert replay`, which must translate all of them. TRex and Pktgen themselves are not here.

The last line is `passed=N failed=M`.
"""

import argparse
import contextlib
import importlib.util
import json
import logging
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import types

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROFILES = ROOT / "bench" / "pktgen"
CARRIAGES = ("nat44", "ds-lite", "nat64")
sys.path[:0] = [str(PROFILES), str(ROOT / "test")]
from checks import Checks  # noqa: E402


def run(*arguments, timeout=60, **options):
    return subprocess.run([str(a) for a in arguments], capture_output=True, text=True, timeout=timeout,
                          stdin=subprocess.DEVNULL, **options)


# --- memif-run ------------------------------------------------------------------------------------------------------

def memif_run(checks, build, folder):
    command = [ROOT / "bench" / "memif-run", "--build", build, "--quick"]
    low = ["--mappings", 500]
    for name, more in (("udp, 64 bytes", [*low, "--find", "none"]),
                       ("tcp, imix", [*low, "--find", "none", "--protocol", "tcp", "--frame-size", "imix"]),
                       ("searches", [*low, "--carriage", "nat64", "--most", 40_000, "--resolution", 50, "--trials", 4,
                                     "--new-mappings", 2000])):
        figures = folder / "figures.json"
        done = run(*command, *more, "--json", figures)
        checks.check(f"memif-run, {name}", done.returncode == 0, done.stdout + done.stderr)
        if done.returncode != 0:
            continue
        results = json.loads(figures.read_text())
        for carriage, parts in results["results"].items():
            slow = parts[0]
            trial = slow["trials"][0]
            for direction in ("outbound", "inbound"):
                score = trial[direction]
                checks.check(f"memif-run, {name}, {carriage} {direction}: all came out, once and in order",
                             score["received"] == score["sent"] > 1000 and score["reordered"] == 0, score)
            checks.check(f"memif-run, {name}, {carriage}: all mappings were made", slow["mappings"] == 500, slow["mappings"])
            checks.check(f"memif-run, {name}, {carriage}: culvertd counts the same", results["problems"] == [],
                         results["problems"])


def children_of(pid):
    found = []
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if stat.read_text().rpartition(")")[2].split()[1] == str(pid):
                found.append(int(stat.parent.name))
    return found


def wait_until(condition, seconds):
    until = time.monotonic() + seconds
    while not condition() and time.monotonic() < until:
        time.sleep(0.05)
    return condition()


def memif_run_killed(checks, build, folder):
    command = [str(ROOT / "bench" / "memif-run"), "--build", str(build), "--carriage", "nat44", "--rate", "1000",
               "--seconds", "60"]
    environment = {**os.environ, "TMPDIR": str(folder)}
    for number in (signal.SIGTERM, signal.SIGKILL):
        process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        children = []
        both = wait_until(lambda: len(children_of(process.pid)) == 2, 20)
        children = children_of(process.pid)
        process.send_signal(number)
        process.wait(20)
        checks.check(f"memif-run, {number.name}: two processes ran", both, children)
        gone = wait_until(lambda: not any(pathlib.Path("/proc", str(c)).exists() for c in children), 10)
        checks.check(f"memif-run, {number.name}: both are gone", gone, children)
    left = [p for p in folder.glob("culvert-memif-*")]
    checks.check("memif-run, SIGKILL: one directory is left", len(left) == 1, left)
    run(*command[:-1], "0.2", env=environment)
    left = [p for p in folder.glob("culvert-memif-*")]
    checks.check("memif-run: the next run takes it away", left == [], left)


def generator_errors(checks, build):
    traffic = build / "bench" / "traffic" / "culvert-traffic"
    devices = ["--inside", "net_null0", "--outside", "net_null1", "--inside-peer", "02:00:00:00:00:01", "--outside-peer",
               "02:00:00:00:00:02"]
    done = run(traffic, "--help")
    checks.check("culvert-traffic --help", done.returncode == 0 and "--inside DEV" in done.stdout, done)
    for arguments, word in (([], "--inside is missing"), ([*devices, "--rate", "0"], "--rate 0"),
                            ([*devices, "--frame-size", "63"], "imix"), ([*devices, "--carriage", "map-t"], "ds-lite"),
                            ([*devices, "--ports", "60000"], "--first-port"), ([*devices, "--rate", "nan"], "--rate"),
                            ([*devices, "--search", "--connections"], "one at a time"),
                            ([*devices[:5], "ff:ff:ff:ff:ff:ff", *devices[6:]], "--inside-peer"),
                            ([*devices, "--subscribers", "16777217"], "--subscribers")):
        done = run(traffic, *arguments)
        checks.check(f"culvert-traffic {' '.join(arguments[-2:])}: exit code 2 and a reason",
                     done.returncode == 2 and word in done.stderr and "--help" in done.stderr, done)
    done = run(traffic, *devices, "--subscribers", 2, "--ports", 2, "--linger", 0.01)
    checks.check("culvert-traffic: an appliance that does not answer is an error with a remedy",
                 done.returncode == 1 and "0 of 4 mappings" in done.stderr and "next hops" in done.stderr, done)
    done = run(traffic, "--inside", "net_memif0,role=client,socket=/nowhere/at/all,socket-abstract=no", *devices[2:],
               "--link-wait", 0.1)
    checks.check("culvert-traffic: a link that is down is an error with a remedy",
                 done.returncode == 1 and "net_memif" in done.stderr and "role=" in done.stderr, done)


# --- culvert-bench --------------------------------------------------------------------------------------------------

def worker_benchmark(checks, build, folder):
    """Every scenario is measured, if only for a moment; a scenario that is wrong about its packets ends the program."""
    program = build / "bench" / "culvert-bench"
    environment = {**os.environ, "TMPDIR": str(folder)}
    size = ["--mappings", 1000, "--packets", 2048]
    done = run(program, *size, "--list", env=environment)
    names = [line.strip().partition(": ")[2] for line in done.stdout.splitlines() if ": " in line]
    checks.check("culvert-bench --list", done.returncode == 0 and len(names) > 30, done)
    figures = folder / "worker.json"
    done = run(program, *size, "--json", figures, timeout=300, env=environment)
    checks.check("culvert-bench, every scenario once", done.returncode == 0, done.stdout[-1500:] + done.stderr)
    results = json.loads(figures.read_text()) if done.returncode == 0 else {"rows": []}
    measured = {row["scenario"] for row in results["rows"]} | {row["scenario"] for row in results.get("missing", [])}
    missing = [name for name in names if name not in measured]
    checks.check("culvert-bench: all of them are in the JSON", not missing, missing)
    memory = [row for row in results["rows"] if row["unit"] == "bytes a mapping"]
    checks.check("culvert-bench, memory: resident memory is more than the tables', in the JSON and in the table",
                 memory and all(row.get("resident-mib", 0) > row["value"] * 1000 / 2**20 and
                                f"{row['resident-mib']:.0f} MiB resident" in done.stdout for row in memory), memory)
    left = list(folder.glob("culvert-bench-*"))
    checks.check("culvert-bench: leaves nothing behind", not left, left)
    for arguments, word in ((["--only", "zzz"], "--list"), (["--mappings", 5], "--mappings"), (["--packets", 0], "--packets"),
                            (["--nonsense"], "--help")):
        done = run(program, *arguments, env=environment)
        checks.check(f"culvert-bench {' '.join(map(str, arguments))}: exit code 2 and a reason",
                     done.returncode == 2 and word in done.stderr, done)
    compare(checks, folder, figures)


def compare(checks, folder, figures):
    """bench/compare with a result, with itself and with what is none."""
    program = ROOT / "bench" / "compare"
    rows = len(json.loads(figures.read_text())["rows"]) if figures.exists() else 0
    done = run(program, figures, figures)
    checks.check("compare: a row for each figure, and no change", done.returncode == 0 and
                 done.stdout.count("   +0.0 %") >= rows > 30, done)
    files = {"void": "", "text": "hello", "list": "[]", "instructions": '{"nat44 out": 480}', "other":
             '{"rows": [{"scenario": "another", "size": "", "value": 0}]}'}
    for name, text in files.items():
        (folder / name).write_text(text)
    for name, words in (("void", ("not JSON", "--json")), ("text", ("not JSON", "--json")), ("list", ("no result", "--json")),
                        ("instructions", ("no result", "--json")), ("other", ("share no scenario", "--only")),
                        ("nowhere", ("No such file", "--json"))):
        done = run(program, figures, folder / name)
        checks.check(f"compare: {name}: exit code 1, the file and a remedy",
                     done.returncode == 1 and not done.stdout and "Traceback" not in done.stderr
                     and all(w in done.stderr for w in (str(folder / name), *words)), done)
    done = run(program, folder / "other", folder / "other")
    checks.check("compare: a figure of 0 is compared", done.returncode == 0 and "another" in done.stdout, done)
    checks.check("compare: without arguments: exit code 2", run(program).returncode == 2)


# --- Pktgen-DPDK ----------------------------------------------------------------------------------------------------

# Functions that app/lpktgenlib.c of Pktgen-DPDK registers, as far as the profiles may use them.
STAND_IN = """
local names = {"set", "start", "stop", "pcap", "delay", "clr", "set_range", "portStats"}
local ranges = {"dst_mac", "src_mac", "src_ip", "dst_ip", "ip_proto", "src_port", "dst_port", "pkt_size"}
local function recorder(name)
  return function(...)
    local words = {}
    for i, v in ipairs({...}) do words[i] = tostring(v) end
    io.stderr:write(name, "(", table.concat(words, ", "), ")\\n")
    if name == "portStats" then
      local row = {ipackets = 1000 - (tonumber((...)) or 0), opackets = 1000}
      local n = select("#", ...)
      if NEW and n ~= 1 then error("portStats, wrong number of arguments") end
      return {[tonumber((...))] = NEW and {curr = row} or row}
    end
  end
end
pktgen = {range = {}}
for _, name in ipairs(names) do pktgen[name] = recorder(name) end
for _, name in ipairs(ranges) do pktgen.range[name] = recorder("range." .. name) end
setmetatable(pktgen, {__index = function(_, name) error("Pktgen has no function " .. name) end})
setmetatable(pktgen.range, {__index = function(_, name) error("Pktgen has no range function " .. name) end})
"""


def pktgen(checks, folder):
    lua = next((p for p in ("lua5.3", "lua5.4", "lua") if run("sh", "-c", f"command -v {p}").returncode == 0), None)
    checks.check("Lua is installed (apt-get install lua5.3)", lua is not None)
    if lua is None:
        return
    expected = {"nat44": ["range.src_ip(0, start, 10.0.0.0)", "range.src_ip(0, max, 10.0.3.231)", "range.ip_proto(0, udp)",
                          "range.src_port(0, max, 10009)", "range.dst_ip(0, inc, 0.0.0.0)", "range.dst_port(0, min, 53)",
                          "range.pkt_size(0, start, 64)", "range.dst_mac(0, start, 02:00:00:00:00:01)", "set_range(0, on)"],
                "ds-lite": ["pcap(0, on)"], "nat64": ["pcap(0, on)"]}
    for carriage in CARRIAGES:
        for new in ("nil", "true"):
            stand_in = folder / "pktgen.lua"
            stand_in.write_text(f"NEW = {new}\n{STAND_IN}\ndofile('bench/pktgen/{carriage}.lua')\n")
            done = run(lua, stand_in, cwd=ROOT)
            calls = done.stderr.splitlines()
            checks.check(f"Pktgen, {carriage}: runs, and says what was lost",
                         done.returncode == 0 and "outbound: 1000 sent, 999 received, 1 lost" in done.stdout, done)
            missing = [c for c in [*expected[carriage], "set(0, rate, 10)", "start(0)", "delay(10000)", "stop(0)"]
                       if c not in calls]
            checks.check(f"Pktgen, {carriage}: calls what it must", not missing, (missing, calls))
        done = run(lua, stand_in, cwd=ROOT, env={**os.environ, "BOTH": "1"})
        checks.check(f"Pktgen, {carriage}, both directions", done.returncode == 0 and "start(0,1)" in done.stderr, done)


# --- TRex -----------------------------------------------------------------------------------------------------------

def load(path, **modules):
    """A profile as a module, with stand-ins for what it imports."""
    for name, module in modules.items():
        name = name.replace("__", ".")
        for i in range(1, name.count(".") + 1):
            sys.modules.setdefault(".".join(name.split(".")[:i]), types.ModuleType(name))
        sys.modules[name] = module
    spec = importlib.util.spec_from_file_location(path.stem, path)
    profile = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(profile)
    return profile.register()


def trex_stateless_library(scapy):
    """Stands in for trex_stl_lib.api: the calls the profile makes, with TRex's names and arguments, and Debian's Scapy."""
    api = types.ModuleType("trex_stl_lib.api")
    for layer in ("Ether", "IP", "IPv6", "UDP"):
        setattr(api, layer, getattr(scapy, layer))

    class STLVM:
        def __init__(self):
            self.tuple, self.writes, self.fix = None, [], None

        def tuple_var(self, name, ip_min, ip_max, port_min, port_max, limit_flows):
            self.tuple = (name, ip_min, ip_max, port_min, port_max, limit_flows)

        def write(self, fv_name, pkt_offset, offset_fixup=0):
            self.writes.append((fv_name, pkt_offset, offset_fixup))

        def fix_chksum(self, offset="IP"):
            self.fix = "ipv4"

        def fix_chksum_hw(self, l3_offset, l4_offset, l4_type):
            assert (l3_offset, l4_offset, l4_type) == ("IPv6", "UDP", api.CTRexVmInsFixHwCs.L4_TYPE_UDP)
            self.fix = "udp"

    class STLPktBuilder:
        def __init__(self, pkt, vm=None):
            self.pkt, self.vm = pkt, vm

    class STLTXCont:
        def __init__(self, pps):
            self.pps = pps

    class STLStream:
        def __init__(self, packet, mode):
            self.packet, self.mode = packet, mode

    class CTRexVmInsFixHwCs:
        L4_TYPE_UDP, L4_TYPE_TCP = 11, 13

    for thing in (STLVM, STLPktBuilder, STLTXCont, STLStream, CTRexVmInsFixHwCs):
        setattr(api, thing.__name__, thing)
    return api


def number(address):
    return int.from_bytes(bytes(int(part) for part in address.split(".")), "big")


def field_offset(packet, field):
    """Where a field such as "IPv6.src" lies in a packet's bytes."""
    layer_name, field_name = field.split(".")
    at, layer = 0, packet
    while layer.name != layer_name:
        at += len(layer) - len(layer.payload)
        layer = layer.payload
    for description in layer.fields_desc:
        if description.name == field_name:
            return int(at)
        at += description.sz
    raise KeyError(field)


def frames_of(scapy, stream):
    """What TRex's field engine makes of a stream: addresses count up first, then ports."""
    packet, vm = stream.packet.pkt, stream.packet.vm
    base = bytes(packet)
    if vm is None:
        yield base
        return
    name, first, last, first_port, last_port, limit = vm.tuple
    values = ((n, port) for port in range(first_port, last_port + 1) for n in range(number(first), number(last) + 1))
    offsets = [(variable, field_offset(scapy.Ether(base), field) + fixup) for variable, field, fixup in vm.writes]
    for count, (address, port) in enumerate(values):
        if count == limit:
            return
        frame = bytearray(base)
        for variable, at in offsets:
            value = address.to_bytes(4, "big") if variable == name + ".ip" else port.to_bytes(2, "big")
            frame[at:at + len(value)] = value
        if vm.fix is not None:
            fixed = scapy.Ether(bytes(frame))
            del fixed["IP" if vm.fix == "ipv4" else "UDP"].chksum
            frame = bytes(fixed)
        yield bytes(frame)


def write_capture(scapy, path, frames, time_of_first):
    with scapy.PcapWriter(str(path), linktype=1) as writer:
        writer.write_header(None)
        for i, frame in enumerate(frames):
            packet = scapy.Ether(frame)
            packet.time = time_of_first + i / 10_000
            writer.write(packet)


def trex_stateless(checks, build, folder):
    import scapy.all as scapy
    profile = load(PROFILES / "trex_stl.py", trex_stl_lib__api=trex_stateless_library(scapy))
    subscribers, ports = 30, 5
    for carriage in CARRIAGES:
        tunables = ["--carriage", carriage, "--subscribers", str(subscribers), "--ports", str(ports)]
        streams = profile.get_streams(tunables, direction=0)
        write_capture(scapy, folder / "in.pcap", [f for s in streams for f in frames_of(scapy, s)], 1_700_000_000)
        replay = [build / "tools" / "culvert", "replay", "-c", PROFILES / f"{carriage}.yaml", "--stats", "--json", "--inside",
                  folder / "in.pcap", "--write-outside", folder / "out.pcap"]
        done = run(*replay)
        stats = json.loads(done.stdout) if done.returncode == 0 else {}
        wanted = subscribers * ports
        checks.check(f"TRex STL, {carriage}, outbound: all packets are translated, each by a mapping of its own",
                     stats and stats["outbound"][carriage] == wanted == stats["mappings"] and not stats["drops"]
                     and stats["subscribers"] == subscribers, done)
        # The appliance's own listing, as far as the profile reads it.
        with open(folder / "mappings.json", "w", encoding="ascii") as listing:
            for packet in scapy.rdpcap(str(folder / "out.pcap")):
                listing.write(json.dumps({"protocol": "udp", "external": f"{packet['IP'].src}:{packet['UDP'].sport}"}) + "\n")
        streams = profile.get_streams([*tunables, "--mappings", str(folder / "mappings.json")], direction=1)
        write_capture(scapy, folder / "back.pcap", [f for s in streams for f in frames_of(scapy, s)], 1_700_000_100)
        done = run(*replay, "--outside", folder / "back.pcap", "--write-inside", folder / "home.pcap")
        stats = json.loads(done.stdout) if done.returncode == 0 else {}
        checks.check(f"TRex STL, {carriage}, inbound: all packets find their mapping",
                     stats and stats["inbound"][carriage] == wanted and not stats["drops"], done)


class Recorder:
    """Stands in for a class of trex.astf.api: takes its arguments by name, remembers everything."""

    def __init__(self, **arguments):
        self.arguments, self.calls = arguments, []


def trex_stateful(checks):
    takes = {"ASTFProgram": {"stream"}, "ASTFIPGenGlobal": {"ip_offset"}, "ASTFIPGenDist": {"ip_range", "distribution"},
             "ASTFIPGen": {"glob", "dist_client", "dist_server"}, "ASTFAssociationRule": {"port"},
             "ASTFTemplate": {"client_template", "server_template"}, "ASTFTCPServerTemplate": {"program", "assoc"},
             "ASTFTCPClientTemplate": {"program", "ip_gen", "port", "cps"}, "ASTFGlobalInfo": set(),
             "ASTFProfile": {"default_ip_gen", "templates", "default_c_glob_info"}}
    api = types.ModuleType("trex.astf.api")
    for name, names in takes.items():
        def make(self, _names=frozenset(names), _name=name, **arguments):
            unknown = set(arguments) - _names
            assert not unknown, f"{_name} takes no {unknown}"
            Recorder.__init__(self, **arguments)
            self.ipv6 = types.SimpleNamespace()
        setattr(api, name, type(name, (Recorder,), {"__init__": make}))
    for command in ("send", "recv", "send_msg", "recv_msg"):
        setattr(api.ASTFProgram, command, lambda self, what, _c=command: self.calls.append((_c, what)))
    api.os = os
    profile = load(PROFILES / "trex_astf.py", trex__astf__api=api)
    for carriage in CARRIAGES:
        for protocol in ("tcp", "udp"):
            made = profile.get_profile(["--carriage", carriage, "--protocol", protocol, "--clients", "1000"])
            template = made.arguments["templates"].arguments
            client = template["client_template"].arguments
            program = [name for name, _ in client["program"].calls]
            clients = client["ip_gen"].arguments["dist_client"].arguments["ip_range"]
            good = (program == (["send", "recv"] if protocol == "tcp" else ["send_msg", "recv_msg"])
                    and clients == (["192.168.1.2", "192.168.1.251"] if carriage == "ds-lite" else ["10.0.0.1", "10.0.3.232"])
                    and ("default_c_glob_info" in made.arguments) == (carriage == "nat64")
                    and template["server_template"].arguments["assoc"].arguments["port"] == client["port"])
            checks.check(f"TRex ASTF, {carriage}, {protocol}: makes its profile", good, (program, clients, made.arguments))


def configurations(checks, build):
    for carriage in CARRIAGES:
        done = run(build / "tools" / "culvert", "config", "check", PROFILES / f"{carriage}.yaml")
        checks.check(f"{carriage}.yaml is accepted", done.returncode == 0, done)


def captures(checks, build, folder):
    for carriage in CARRIAGES:
        made = run(PROFILES / "captures", "outbound", carriage, folder / "o.pcap", "--subscribers", 20, "--ports", 3,
                   "--size", 1518)
        done = run(build / "tools" / "culvert", "replay", "-c", PROFILES / f"{carriage}.yaml", "--stats", "--json", "--inside",
                   folder / "o.pcap")
        stats = json.loads(done.stdout) if done.returncode == 0 else {}
        checks.check(f"captures, {carriage}: all packets are translated",
                     made.returncode == 0 and stats and stats["outbound"][carriage] == 60 and not stats["drops"],
                     (made, done))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build")
    arguments = parser.parse_args()
    build = arguments.build.resolve()
    for number in (signal.SIGTERM, signal.SIGHUP):  # so that programs and files go away
        signal.signal(number, lambda n, _frame: sys.exit(128 + n))
    logging.getLogger("scapy.runtime").setLevel(logging.ERROR)  # frames have no addresses of this machine
    checks = Checks(quiet=True)
    with tempfile.TemporaryDirectory(prefix="culvert-bench-") as name:
        folder = pathlib.Path(name)
        for title, stage in (("profiles' configurations", lambda: configurations(checks, build)),
                             ("captures", lambda: captures(checks, build, folder)),
                             ("Pktgen-DPDK's profiles, against a stand-in", lambda: pktgen(checks, folder)),
                             ("TRex's stateless profile, against a stand-in", lambda: trex_stateless(checks, build, folder)),
                             ("TRex's stateful profile, against a stand-in", lambda: trex_stateful(checks)),
                             ("culvert-bench", lambda: worker_benchmark(checks, build, folder)),
                             ("culvert-traffic's errors", lambda: generator_errors(checks, build)),
                             ("memif-run", lambda: memif_run(checks, build, folder)),
                             ("memif-run, killed", lambda: memif_run_killed(checks, build, folder))):
            began = time.monotonic()
            stage()
            print(f"   {title}: {time.monotonic() - began:.1f} s", flush=True)
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
