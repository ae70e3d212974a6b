#!/usr/bin/python3
"""Scenario tests: packets in, packets out, through `culvert replay`.

    test/scenario/run.py --culvert build/tools/culvert [--workers 1,2,4] [--twice] [NAME...]

A NAME is a scenario (nat44/eim-...), a folder (nat44) or a part of a name. Without one all are run. Each prints a
line; a failure prints what was expected and what came, in the same words. docs/scenarios.md is the manual.
Exit code: 0 all passed, 1 some failed, 2 a scenario or the command line is wrong.
"""

import argparse
import os
import shlex
import shutil
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import yaml

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
from lib.check import check  # noqa: E402
from lib.replay import Replay  # noqa: E402
from lib.scenario import ScenarioError, load  # noqa: E402


def arguments(argv):
    p = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    p.add_argument("--culvert", required=True, type=shlex.split, metavar="PROGRAM",
                   help="the culvert program (or a command with arguments, in one word)")
    p.add_argument("--workers", default="1,2,4", help="numbers of workers to run with (default: 1,2,4)")
    p.add_argument("--twice", action="store_true", help="run twice and compare the files byte for byte")
    p.add_argument("--jobs", type=int, default=os.cpu_count(), help="scenarios at once")
    p.add_argument("--keep", metavar="DIR", help="keep all captures in this directory")
    p.add_argument("--list", action="store_true", help="only list the scenarios")
    p.add_argument("--scenarios", type=Path, default=HERE / "scenarios", help=argparse.SUPPRESS)
    p.add_argument("--conf", type=Path, default=HERE / "conf", help=argparse.SUPPRESS)
    p.add_argument("names", nargs="*", metavar="NAME")
    return p.parse_intermixed_args(argv)


def chosen(root, names):
    paths = sorted(root.rglob("*.scn"))
    if not names:
        return paths
    found = [p for p in paths if any(n in str(p.relative_to(root).with_suffix("")) for n in names)]
    if not found:
        raise ScenarioError(f"no scenario's name contains {' or '.join(names)}")
    return found


def run_one(args, scenario, workers, directory):
    """Complaints of one scenario with one number of workers."""
    directory.mkdir(parents=True)
    config = scenario.config_path
    if scenario.changed:
        config = directory / "config.yaml"
        config.write_text(yaml.safe_dump(scenario.config, sort_keys=False))
    return check(Replay(args.culvert, scenario, config, workers, directory), args.twice)


def main(argv):
    args = arguments(argv)
    try:
        worker_counts = [int(w) for w in args.workers.split(",")]
        scenarios = [load(p, args.scenarios, args.conf) for p in chosen(args.scenarios, args.names)]
    except (ScenarioError, ValueError) as e:
        print(e, file=sys.stderr)
        return 2
    if args.list:
        print("\n".join(s.name for s in scenarios))
        return 0

    directory = Path(args.keep or tempfile.mkdtemp(prefix="culvert-scenarios-"))
    passed = failed = 0
    try:
        with ThreadPoolExecutor(args.jobs) as pool:
            jobs = [(s, [(w, pool.submit(run_one, args, s, w, directory / s.name / f"workers{w}"))
                         for w in worker_counts if s.workers is None or w in s.workers]) for s in scenarios]
            for scenario, runs in jobs:
                bad = [(w, complaints) for w, f in runs if (complaints := f.result())]
                print(f"{'FAILED' if bad else 'passed'}  {scenario.name}", flush=True)
                for workers, complaints in bad:
                    if complaints == bad[0][1] and workers != bad[0][0]:
                        print(f"  with {workers} workers: the same")
                        continue
                    print(f"  {scenario.path}, with {workers} worker{'s' * (workers > 1)}:")
                    for complaint in complaints:
                        print("    " + complaint.replace("\n", "\n    "))
                passed, failed = passed + (not bad), failed + bool(bad)
    finally:
        if not args.keep:
            shutil.rmtree(directory, ignore_errors=True)
    print(f"passed={passed} failed={failed}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
