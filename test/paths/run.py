#!/usr/bin/python3 -B
"""The packet path with vector instructions equals the one without, on random packets.

    test/paths/run.py [--build build] [--boxes 400] [--seed N]

path_trace is built twice: with the appliance's packet path, and with the same sources without SSE2 tag compares and without
vectors made by the compiler. Both run the same boxes — capacities, workers and limits drawn from a seed, tables so small
that buckets fill up — with the same random packets of every carriage, right and wrong ones, in both directions, and time
that passes. What left, in its order and to the byte, every drop with its reason, and all mappings, sessions and subscribers
in the end must be equal. If not, the seed and the first frame that differs are told.

The last line is `passed=N failed=M`.
"""

import argparse
import itertools
import pathlib
import random
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "test"))
from checks import Checks  # noqa: E402

PATHS = {"vector": "path_trace", "scalar": "path_trace_scalar"}
CARRIAGES = ("nat44", "ds-lite", "nat64")
# What the packets must have come to for the comparison to mean something.
REACHED = ([f"{c} {d}" for c in CARRIAGES for d in ("outbound", "inbound")]
           + ["mappings expired", "sessions in the end", "hairpinned", "handed over", "icmp errors translated",
              "entries in their alternate bucket", "drop mapping-table-full", "drop filtered", "drop no-mapping"])


def run(folder, build, *arguments):
    """Both programs at once. Gives {path: (exit code, lines, what it said of errors)}."""
    files = {p: (open(folder / f"{p}.out", "w+", encoding="ascii"), open(folder / f"{p}.err", "w+", encoding="utf-8"))
             for p in PATHS}
    running = {p: subprocess.Popen([build / "test" / "paths" / program, *map(str, arguments)], stdin=subprocess.DEVNULL,
                                   stdout=files[p][0], stderr=files[p][1]) for p, program in PATHS.items()}
    done = {}
    for path, process in running.items():
        try:
            code = process.wait(120)
        except BaseException:
            for p in running.values():
                p.kill()
            raise
        texts = []
        for file in files[path]:
            file.seek(0)
            texts.append(file.read())
            file.close()
        done[path] = (code, texts[0].splitlines(), texts[1])
    return done


def first_difference(done):
    """The lines, one of each path, from which on they differ; None: they do not."""
    for lines in itertools.zip_longest(*(done[p][1][1:] for p in PATHS)):
        if lines[0] != lines[1]:
            return lines
    return None


def number_after(word, line):
    words = (line or "").split()
    return int(words[words.index(word) + 1]) if word in words else None


def explain(folder, build, lines):
    """What differed first, to the frame."""
    seed = next((n for n in (number_after("seed", line) for line in lines) if n is not None), None)
    said = [f"{path}: {line}" for path, line in zip(PATHS, lines)]
    if seed is not None:
        again = run(folder, build, seed, 1, "--frames")
        frames = first_difference(again)
        said = [f"seed {seed} differs first here:"]
        said += [f"{path}: {line}" for path, line in zip(PATHS, frames or lines)]
        said += [f"{path}: exit code {code}: {words.strip()}" for path, (code, _, words) in again.items() if code != 0]
        said.append(f"see for yourself: {build}/test/paths/path_trace {seed} 1 --frames, and path_trace_scalar")
    return "\n        ".join(said)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build")
    parser.add_argument("--boxes", type=int, default=400)
    parser.add_argument("--seed", type=int, help="of the first box (drawn)")
    arguments = parser.parse_args()
    seed = random.SystemRandom().randrange(1, 1 << 40) if arguments.seed is None else arguments.seed
    build = arguments.build.resolve()
    checks = Checks()
    with tempfile.TemporaryDirectory(prefix="culvert-paths-") as name:
        folder = pathlib.Path(name)
        done = run(folder, build, seed, arguments.boxes)
        whole = True
        for path, (code, lines, words) in done.items():
            last = lines[-1] if lines else "nothing"
            whole &= checks.check(f"{path} path: {arguments.boxes} boxes from seed {seed}",
                                  code == 0 and lines[0] == f"path {path}",
                                  f"exit code {code} after {last!r}: {words.strip()}")
        lines = first_difference(done)
        reached = dict(line.removeprefix("reached ").rsplit(": ", 1) for line in done["vector"][1] if line.startswith("reached "))
        checks.check(f"both send the same frames, drop the same and keep the same: {reached.get('frames in', 'some')} frames in, "
                     f"{reached.get('frames out', 'some')} out", lines is None, lines and explain(folder, build, lines))
        if whole:
            missing = [what for what in REACHED if int(reached.get(what, 0)) == 0]
            checks.check("the packets came to everything that they should", not missing, f"none: {', '.join(missing)}")
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
