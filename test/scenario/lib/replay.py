"""Running `culvert replay`: captures in, captures, counters and log records out."""

import json
import re
import struct
import subprocess
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

from . import fragments
from .build import build_frame
from .dissect import dissect_frame
from .language import substitute
from .render import render
from .scenario import SIDES

EPOCH = 1_700_000_000  # when scenarios begin, in seconds since 1970
NANOSECOND_MAGIC = 0xa1b23c4d
LINKTYPES = {"ethernet": 1, "raw": 101}
TIME_LIMIT = 60  # seconds of a run before it counts as hanging


class ReplayFailed(Exception):
    """`culvert replay` ended badly or wrote nonsense."""


@dataclass
class Output:
    """A packet that came out."""
    time: int  # nanoseconds since the scenario's beginning
    side: str
    data: bytes
    layers: list = field(default_factory=list)

    def describe(self, like=None):
        layers = self.layers
        if layers and layers[0].kind == "eth" and not (like and like[0].kind == "eth"):
            layers = layers[1:]
        return f"{self.time / 1e9:g} >{self.side} {render(layers, like)}"


@dataclass
class Result:
    arrived: int   # frames
    outputs: dict  # side -> [Output]
    stats: dict
    log: list      # (nanoseconds, kind, {field: value}, line)
    files: dict    # name -> bytes, for comparing two runs


def write_capture(path, frames, link):
    """`frames`: (nanoseconds, bytes, original length)."""
    with open(path, "wb") as f:
        f.write(struct.pack("<IHHiIII", NANOSECOND_MAGIC, 2, 4, 0, 0, 262144, LINKTYPES[link]))
        for time, data, length in frames:
            f.write(struct.pack("<IIII", EPOCH + time // 10**9, time % 10**9, len(data), length) + data)


def read_capture(path, link):
    data = Path(path).read_bytes()
    magic, _, _, _, _, _, linktype = struct.unpack("<IHHiIII", data[:24])
    if magic != NANOSECOND_MAGIC or linktype != LINKTYPES[link]:
        raise ReplayFailed(f"{path}: not a nanosecond capture of link type {link} (magic {magic:#x}, type {linktype})")
    position, frames = 24, []
    while position < len(data):
        seconds, fraction, size, _ = struct.unpack("<IIII", data[position:position + 16])
        frames.append(((seconds - EPOCH) * 10**9 + fraction, data[position + 16:position + 16 + size]))
        position += 16 + size
    return frames


class Replay:
    """Runs of one scenario with one number of workers, in a directory of their own."""

    def __init__(self, culvert, scenario, config_path, workers, directory):
        self.culvert, self.scenario, self.config_path = culvert, scenario, config_path
        self.workers, self.directory, self.runs = workers, Path(directory), 0

    def run(self, packets, bindings, until=None):
        """Replays the arriving ones of `packets`; `until` in nanoseconds of the scenario's time."""
        self.runs += 1
        at = self.directory / f"run{self.runs}"
        at.mkdir()
        scenario, frames, last = self.scenario, {"inside": [], "outside": []}, 0
        for p in packets:
            if p.arrives:
                for layers in fragments.cut(substitute(p.layers, bindings)):
                    frames[p.side].append((p.time, *build_frame(layers, scenario.link[p.side])))
                last = max(last, p.time)
        for side in SIDES:
            write_capture(at / f"{side}.pcap", frames[side], scenario.link[side])
        command = [*self.culvert, "replay", "-c", str(self.config_path), "--workers", str(self.workers), "--seed",
                   str(scenario.seed), "--stats", "--json", "--block-log", str(at / "blocks.log")]
        for side in SIDES:
            command += [f"--{side}", str(at / f"{side}.pcap"), f"--write-{side}", str(at / f"{side}-out.pcap")]
        if until is not None and any(frames.values()):
            command += ["--until", f"{(until - last) / 1e9:.9f}".rstrip("0").rstrip(".")]
        (at / "command").write_text(" ".join(command) + "\n")
        try:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=TIME_LIMIT,
                                  check=False)
        except subprocess.TimeoutExpired:
            raise ReplayFailed(f"no end after {TIME_LIMIT} s: {' '.join(command)}") from None
        errors = done.stderr.decode(errors="replace").strip()
        if done.returncode != 0:
            raise ReplayFailed(f"exit code {done.returncode} of {' '.join(command)}\n{errors}")
        try:
            stats = json.loads(done.stdout)
        except ValueError:
            raise ReplayFailed(f"no JSON on standard output: {done.stdout[:300]!r}\n{errors}") from None
        outputs, files = {}, {"stats": done.stdout}
        for side in SIDES:
            name = at / f"{side}-out.pcap"
            outputs[side] = [Output(t, side, d, dissect_frame(d, scenario.link[side]))
                             for t, d in read_capture(name, scenario.link[side])]
            files[side] = name.read_bytes()
        files["log"] = (at / "blocks.log").read_bytes() if (at / "blocks.log").exists() else b""
        arrived = sum(map(len, frames.values()))
        return Result(arrived, outputs, stats, [_log_record(x) for x in files["log"].decode().splitlines()], files)


def _log_record(line):
    m = re.fullmatch(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3})Z (\S+)((?: \S+=\S+)*)", line)
    if not m:
        raise ReplayFailed(f"not a log record: {line}")
    moment = datetime.strptime(m[1], "%Y-%m-%dT%H:%M:%S.%f").replace(tzinfo=timezone.utc)
    milliseconds = round(moment.timestamp() * 1000) - EPOCH * 1000
    return milliseconds * 10**6, m[2], dict(x.split("=", 1) for x in m[3].split()), line
