#!/usr/bin/python3 -B
"""Does docs/conformance.md hold? Every row, against the tests that there are and, in ./check, against those that passed.

    test/conformance/check.py                          is every row in order, does every test it names exist?
    test/conformance/check.py --ran unit,scenario,e2e  and did it pass? (what ./check does after these stages)
    test/conformance/check.py --write                  puts the count right after rows were changed

A row is `| state | clause | what it asks | how Culvert behaves | where | proof |`, below a heading `## RFC NUMBER...`:

    state   proven, departs or missing; missing may only become fewer: ALLOWED_MISSING in this file
    where   files below src/, in backticks, or a dash
    proof   proven: one test or more, in backticks; departs: tests, or `none`; missing: `missing`

A test is named by its kind:

    `nat44/udp-rfc3022`     a scenario                test/scenario/run.py --culvert build/tools/culvert --list
    `unit: NAME`            a case of the unit tests  build-sanitize/test/unit/unit --list-test-names-only
    `e2e: test_ping`        an end-to-end test        test/e2e/run --list
    `e2e: test_ping[nat64]` the same, for one carriage; without a carriage all of them must pass

Of the stages after --ran, build/results/STAGE.log is read for what passed; so name only those that have just run. A test
that ran for several numbers of workers passed if it passed for all of them.

Exit code: 0 all holds; 1 something does not, each with file, line, row and remedy; 2 the command line is wrong, or a file
cannot be read.
"""

import argparse
import collections
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
TABLE = "docs/conformance.md"
STATES = ("proven", "departs", "missing")
ALLOWED_MISSING = 0
REQUIREMENTS = {4787: 14, 5382: 10, 5508: 11, 6888: 15}  # REQ-1 to REQ-n: each has a row
BEGIN, END = "<!-- conformance count -->\n", "<!-- end of conformance count -->\n"
HOW_TO_COUNT = "run test/conformance/check.py --write"


class Unreadable(Exception):
    """What the check needs cannot be had: exit code 2."""


def read(path):
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise Unreadable(f"{path}: {error}") from error


def lines_of(*command):
    """What a program that lists tests prints; one that lists none is broken."""
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unreadable(f"{command[0]}: {error}") from error
    if not done.stdout:
        raise Unreadable(f"{' '.join(map(str, command))}: lists nothing, exit code {done.returncode}: {done.stderr.strip()}")
    return done.stdout.splitlines()


# --- the tests: which exist, which passed -------------------------------------------------------------------------

class Scenarios:
    stage, prefix, listed_by = "scenario", "", "test/scenario/run.py --culvert build/tools/culvert --list"

    def existing(self, root):
        folder = root / "test/scenario/scenarios"
        return {str(p.relative_to(folder).with_suffix("")) for p in folder.rglob("*.scn")}

    def results(self, _root, log):
        """([names that passed], [names that did not])"""
        return re.findall(r"^passed  (\S+)$", log, re.M), re.findall(r"^FAILED  (\S+)$", log, re.M)


class EndToEnd:
    stage, prefix, listed_by = "e2e", "e2e: ", "test/e2e/run --list"

    def existing(self, root):
        return {line.partition(".")[2] for line in lines_of(root / "test/e2e/run", "--list")}

    def results(self, _root, log):
        return re.findall(r"^ +(test_\S+) +ok ", log, re.M), re.findall(r"^ +(test_\S+) +FAILED ", log, re.M)


class Unit:
    """Their log tells names only of what fails, and how many passed if all did: which, the program knows. If one failed
    none counts, and ./check has failed anyway."""

    stage, prefix, listed_by = "unit", "unit: ", "build-sanitize/test/unit/unit --list-test-names-only"

    def existing(self, root):
        cases = (m.group(1) for p in (root / "test/unit").rglob("*.cpp")
                 for m in re.finditer(r'\bTEST_CASE\(\s*((?:"(?:[^"\\]|\\.)*"\s*)+)', read(p)))
        return {"".join(re.findall(r'"((?:[^"\\]|\\.)*)"', text)).replace('\\"', '"') for text in cases}

    def results(self, root, log):
        summary = re.search(r"^All tests passed \(\d+ assertions? in (\d+) test cases?\)$", log, re.M)
        names = lines_of(root / "build-sanitize/test/unit/unit", "--list-test-names-only", "~[.]")
        return (names, []) if summary and int(summary.group(1)) == len(names) else ([], [])


KINDS = Unit, EndToEnd, Scenarios  # the one without a prefix comes last
STAGES = [kind.stage for kind in KINDS]


class Kind:
    """One kind of test with what is known of each: `verdict` of a name is None (all is well) or what is wrong."""

    def __init__(self, kind, root, ran):
        self.prefix, self.stage, self.named = kind.prefix, kind.stage, set()
        self.ran, self.broken = kind.stage in ran, None
        self._existing, self._listed_by = kind.existing(root), kind.listed_by
        self._log = f"build/results/{kind.stage}.log"
        if self.ran:
            log = read(root / self._log)
            passed, failed = kind.results(root, log)
            self._passed, self._failed = set(passed) - set(failed), set(failed)
            if not passed and not failed or not re.search(r"^passed=\d+ failed=\d+\s*\Z", log, re.M):
                self.broken = f"{self._log}: does not say to its end what passed, so none of its tests counts; mend that stage first"

    def verdict(self, name):
        self.named.add(name)
        cases = [n for n in self._existing if n == name or n.startswith(name + "[")]
        if not cases:
            return f"there is no test {name!r}; {self._listed_by} tells their names"
        if not self.ran or self.broken:
            return None
        for case in sorted(cases):
            if case in self._failed:
                return f"{case!r} did not pass, see {self._log}; mend it, or the row is not proven"
            if case not in self._passed:
                return f"{case!r} did not run, as {self._log} has it; is it built, is it left out?"
        return None

    def __str__(self):
        known = "passed" if self.ran else "exist (existence only: they were not run now)"
        return f"{len(self.named)} {self.stage} tests {known}"


# --- the rows -----------------------------------------------------------------------------------------------------

Row = collections.namedtuple("Row", "line rfc state clause asks how where proof")


def rows_of(text, complain):
    """The rows of all tables below headings `## RFC NUMBER`; what is no row, though it stands there, is complained of."""
    rfc, rows = None, []
    for number, line in enumerate(text.splitlines(), 1):
        if heading := re.match(r"## (?:RFC (\d+))?", line):
            rfc = int(heading[1]) if heading[1] else None
        elif rfc and line.startswith("|") and not re.match(r"\| state \||\|[-|]+$", line):
            cells = [c.strip() for c in line.strip().removeprefix("|").removesuffix("|").split(" | ")]
            if len(cells) != 6 or not all(cells):
                complain(number, f"RFC {rfc}", f"{len(cells)} columns, of which {sum(not c for c in cells)} are empty; a row has "
                         "six, see --help")
            elif cells[0] not in STATES:
                complain(number, f"RFC {rfc} {cells[1]}", f"there is no state {cells[0]!r}; it is {', '.join(STATES)}")
            else:
                rows.append(Row(number, rfc, *cells))
    return rows


def names_in(cell):
    """([what stands in backticks], the rest)"""
    return re.findall(r"`([^`]*)`", cell), re.sub(r"`[^`]*`", "", cell).strip(" ,")


def check_row(row, root, kinds):
    """What is wrong with one row."""
    files, rest = names_in(row.where)
    if rest not in (("",) if files else ("–", "-")):
        yield f"`where` has {rest!r}; files below src/ stand in backticks"
    yield from (f"there is no file src/{f}; where is it done now?" for f in files if not (root / "src" / f).is_file())
    names, rest = names_in(row.proof)
    word = {"proven": "", "departs": "" if names else "none", "missing": "missing"}[row.state]
    if rest != word:
        yield f"{row.state}, with {rest!r} as proof; it would be {word or 'names of tests, in backticks'}"
    elif row.state == "missing" and names:
        yield "missing, but tests are named: is it proven, or what do they not show?"
    for name in names:
        kind = next(k for k in kinds if name.startswith(k.prefix))
        if wrong := kind.verdict(name.removeprefix(kind.prefix)):
            yield wrong


def check_clauses(rows, complain):
    """No clause twice, no numbered requirement without a row."""
    seen = {}
    for row in rows:
        first = seen.setdefault((row.rfc, row.clause), row.line)
        if first != row.line:
            complain(row.line, f"RFC {row.rfc} {row.clause}", f"has a row already, line {first}; tell them apart")
    for rfc, last in REQUIREMENTS.items():
        have = {int(n) for row in rows if row.rfc == rfc for n in re.findall(r"^REQ-(\d+)", row.clause)}
        for number in sorted(set(range(1, last + 1)) - have):
            complain(1, f"RFC {rfc} REQ-{number}", "has no row; every numbered requirement has one")


# --- the count ----------------------------------------------------------------------------------------------------

def count_block(rows):
    """What stands between the markers."""
    count = collections.Counter((key, row.state) for row in rows for key in (row.rfc, "all"))
    lines = ["| RFC | proven | departs | missing | clauses |", "|---|---|---|---|---|"]
    for key in [*dict.fromkeys(row.rfc for row in rows), "all"]:
        numbers = [count[key, state] for state in STATES]
        lines.append("| " + " | ".join(map(str, [key, *numbers, sum(numbers)])) + " |")
    missing = [row for row in rows if row.state == "missing"]
    if missing:
        unproven = sum("unproven" in row.how for row in missing)
        lines += ["", f"Of the {len(missing)} that are missing, {unproven} are done but unproven, at least in part, and "
                  f"{len(missing) - unproven} are not done, or only half."]
    return "\n".join(lines) + "\n"


def counted(text, rows, complain):
    """The text with the right count."""
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        complain(1, "the count", f"there must be one line {BEGIN.strip()} and, after it, one {END.strip()}")
        return text
    before, rest = text.split(BEGIN)
    return before + BEGIN + count_block(rows) + END + rest.split(END)[1]


# --- all of it ----------------------------------------------------------------------------------------------------

def check(root, ran, write):
    """Prints what is wrong, and the count. True when all holds."""
    complaints = []

    def complain(line, row, what):
        complaints.append((line, f"{TABLE}:{line}: {row}: {what}"))

    kinds = [Kind(kind(), root, ran) for kind in KINDS]
    text = read(root / TABLE)
    rows = rows_of(text, complain)
    for row in rows:
        for wrong in check_row(row, root, kinds):
            complain(row.line, f"RFC {row.rfc} {row.clause}", wrong)
    check_clauses(rows, complain)

    right = counted(text, rows, complain)
    if right != text:
        if write:
            (root / TABLE).write_text(right, encoding="utf-8")
            print(f"{TABLE}: the count is rewritten")
        else:
            complain(text[:text.index(BEGIN)].count("\n") + 1, "the count", f"is not that of the rows; {HOW_TO_COUNT}")
    number = collections.Counter(row.state for row in rows)
    if number["missing"] > ALLOWED_MISSING:
        complain(1, "the count", f"{number['missing']} clauses are missing, and there may be {ALLOWED_MISSING} "
                 "(ALLOWED_MISSING in test/conformance/check.py, which only falls); what was proven before?")
    complaints += [(0, kind.broken) for kind in kinds if kind.broken]

    for _, complaint in sorted(complaints):
        print(complaint)
    print("; ".join(map(str, kinds)) if not complaints else f"{len(complaints)} things do not hold")
    print(f"conformance: {number['proven']} proven, {number['departs']} departures explained, {number['missing']} missing "
          f"(of {len(rows)})")
    if number["missing"] < ALLOWED_MISSING:
        print(f"fewer are missing than allowed: ALLOWED_MISSING in test/conformance/check.py can be {number['missing']}")
    return not complaints


def main(argv, root=ROOT):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ran", default="", metavar="STAGE,...",
                        help=f"stages of ./check that have just run: {', '.join(STAGES)} (none: only existence is checked)")
    parser.add_argument("--write", action="store_true", help="put the count right in docs/conformance.md")
    arguments = parser.parse_args(argv)
    ran = [stage for stage in arguments.ran.split(",") if stage]
    for stage in ran:
        if stage not in STAGES:
            parser.error(f"--ran {stage}: this stage has no tests that the table names; it is one of {', '.join(STAGES)}")
    try:
        return 0 if check(root, ran, arguments.write) else 1
    except Unreadable as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
