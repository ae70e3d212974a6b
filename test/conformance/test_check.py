#!/usr/bin/python3 -B
"""The checker of docs/conformance.md sees each kind of rot: a small project is made, one thing in it rots, and the checker must
say so with the line and the row. The last line is `passed=N failed=M`.
"""

import contextlib
import io
import pathlib
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]
import check  # noqa: E402
from checks import Checks  # noqa: E402

HEAD = "| state | clause | what it asks | how Culvert behaves | where | proof |\n|---|---|---|---|---|---|\n"
ROWS = {  # of RFC 7857, from line 3 on
    "§1": "| proven | §1 | asks | does | `net/a.h` | `nat44/udp` `unit: A case, \"quoted\"` `e2e: test_ping` |",
    "§2": "| departs | §2 | asks | does otherwise: because | – | none |",
    "§3": "| missing | §3 | asks | Does so, unproven | `net/a.h` | missing |",
    "§4": "| proven | §4 | asks | does | `net/a.h` | `e2e: test_ping[nat64]` `nat44/tcp` |",
}
FILES = {
    "src/net/a.h": "",
    "test/scenario/scenarios/nat44/udp.scn": "",
    "test/scenario/scenarios/nat44/tcp.scn": "",
    "test/unit/net/a_test.cpp": 'TEST_CASE("A case, "\n          "\\"quoted\\"", "[a]") {}\n',
    "test/e2e/run": "#!/bin/sh\necho 'test_icmp.test_ping[nat44]\ntest_icmp.test_ping[nat64]'\n",
    "build-sanitize/test/unit/unit": "#!/bin/sh\necho 'A case, \"quoted\"'\n",
    "build/results/unit.log": "All tests passed (3 assertions in 1 test case)\n\npassed=1 failed=0\n",
    "build/results/scenario.log": "passed  nat44/tcp\npassed  nat44/udp\npassed=2 failed=0\n",
    "build/results/e2e.log": "".join(f"   {n:<64} ok    0.1 s\n" for n in 2 * ("test_ping[nat44]", "test_ping[nat64]"))
                             + "passed=4 failed=0\n",
}


def project(root):
    """One in which all holds."""
    for name, text in FILES.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
    numbered = "".join(f"\n## RFC {rfc}: numbered\n\n{HEAD}" + "".join(
        f"| proven | REQ-{n} a | asks | does | `net/a.h` | `nat44/udp` |\n" for n in range(1, last + 1))
        for rfc, last in check.REQUIREMENTS.items())
    (root / "docs").mkdir()
    (root / check.TABLE).write_text("# Conformance\n\n" + "\n".join(ROWS.values()).join(
        (f"## RFC 7857: updates\n\n{HEAD}", "\n")) + numbered + "\n## The count\n\n" + check.BEGIN + check.END)
    run(root, "--write")


def run(root, *arguments):
    """(exit code, what was said)"""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            code = check.main(list(arguments), root)
        except SystemExit as end:
            code = end.code
    return code, said.getvalue()


def line_of(root, text):
    lines = (root / check.TABLE).read_text().splitlines()
    return next(n for n, line in enumerate(lines, 1) if text in line)


def main():
    checks = Checks()
    check.ALLOWED_MISSING = 1  # there is one in the project made here
    everything = ("--ran", "unit,scenario,e2e")

    def case(what, change=None, code=1, says=(), row=None, arguments=everything):
        """`change`: of files, {name: (old, new)}, new None: gone. `row`: the clause whose line must be named."""
        with tempfile.TemporaryDirectory(prefix="culvert-conformance-") as name:
            root = pathlib.Path(name)
            project(root)
            for file, (old, new) in (change or {}).items():
                path, text = root / file, (root / file).read_text()
                assert old in text, f"the case {what!r} changes nothing"
                if new is None:
                    path.unlink()
                else:
                    path.write_text(text.replace(old, new, 1))
            got, said = run(root, *arguments)
            says = [says] if isinstance(says, str) else list(says)
            if row:
                says.append(f"{check.TABLE}:{line_of(root, f' | {row} |')}: RFC 7857 {row}: ")
            checks.check(what, got == code and all(s in said for s in says), f"exit code {got}, says:\n{said}")

    def rots(what, old, new, row, says):
        case(what, {check.TABLE: (old, new)}, row=row, says=says)

    case("all holds", code=0, says=("conformance: 52 proven, 1 departures explained, 1 missing (of 54)", "2 scenario tests passed"))
    case("nothing ran: existence only", code=0, arguments=(), says="2 scenario tests exist (existence only")
    case("what ran without them, existence only for the rest", code=0, arguments=("--ran", "unit"),
         says=("1 unit tests passed", "2 e2e tests exist (existence only"))

    # A test that is gone, did not run, did not pass.
    rots("no such scenario", "`nat44/tcp`", "`nat44/tc`", "§4", "there is no test 'nat44/tc'")
    rots("no such unit test", '"quoted"`', '`', "§1", "there is no test 'A case, '")
    rots("no such end-to-end test", "test_ping[nat64]", "test_pin", "§4", "there is no test 'test_pin'")
    rots("no such kind of test", "`nat44/tcp`", "`fuzz: packet`", "§4", "there is no test 'fuzz: packet'")
    case("a scenario's file is gone", {"test/scenario/scenarios/nat44/tcp.scn": ("", None)}, row="§4", says="no test 'nat44/tcp'")
    case("a scenario did not run", {"build/results/scenario.log": ("passed  nat44/tcp\n", "")}, row="§4",
         says="'nat44/tcp' did not run, as build/results/scenario.log has it")
    case("a scenario failed", {"build/results/scenario.log": ("passed  nat44/tcp", "FAILED  nat44/tcp")}, row="§4",
         says="'nat44/tcp' did not pass")
    case("a stage that broke off", {"build/results/scenario.log": ("passed  nat44/udp\npassed=2 failed=0\n", "")},
         says=("build/results/scenario.log: does not say to its end what passed", "1 things do not hold"))
    case("not judged if that stage did not run", {"build/results/scenario.log": ("passed  nat44/tcp", "FAILED  nat44/tcp")}, code=0,
         arguments=("--ran", "unit,e2e"))
    case("an end-to-end test failed for one number of workers, and in one carriage",
         {"build/results/e2e.log": (f"{'test_ping[nat44]':<64} ok ", f"{'test_ping[nat44]':<64} FAILED ")}, row="§1",
         says=("'test_ping[nat44]' did not pass", "1 things do not hold"))
    case("a unit test is not built", {"build-sanitize/test/unit/unit": ("A case", "Another")}, row="§1", says="did not run")
    case("the unit tests did not all pass", {"build/results/unit.log": ("All tests", "Not all tests")},
         says=("build/results/unit.log: does not say to its end what passed", "1 things do not hold"))
    case("the unit tests that passed are of another build", {"build/results/unit.log": ("in 1 test case", "in 2 test cases")},
         says="build/results/unit.log: does not say to its end what passed")

    # A row that is none.
    rots("an unknown state", "| proven | §1", "| prooven | §1", None, "RFC 7857 §1: there is no state 'prooven'")
    rots("a column too few", "| §2 | asks |", "| §2 |", None, "5 columns")
    rots("no reason for a departure", "does otherwise: because", "", None, "1 are empty")
    rots("proven without a test", "`e2e: test_ping[nat64]` `nat44/tcp`", "–", "§4", "proven, with '–' as proof")
    rots("proven by something that is no test", "`nat44/tcp`", "nat44/tcp", "§4", "proven, with 'nat44/tcp' as proof")
    rots("missing, with a test", "| missing |\n", "| `nat44/tcp` |\n", "§3", "missing, with '' as proof")
    rots("a departure without a word about tests", "| – | none |", "| – | see there |", "§2", "with 'see there' as proof")
    rots("a file that is gone", "`net/a.h` | missing", "`net/b.h` | missing", "§3", "there is no file src/net/b.h")
    rots("a clause twice", "| §2 |", "| §1 |", None, "RFC 7857 §1: has a row already, line ")
    rots("a numbered requirement without a row", "| REQ-15 a |", "| REQ-14 b |", None, "RFC 6888 REQ-15: has no row")

    # The count.
    rots("a count that is not that of the rows", "| all | 52 |", "| all | 53 |", None, "the count: is not that of the rows; run ")
    rots("no place for the count", check.BEGIN, "", None, "the count: there must be one line <!-- conformance count -->")
    case("--write puts it right", {check.TABLE: ("| all | 52 |", "| all | 53 |")}, code=0, arguments=("--write",),
         says="the count is rewritten")
    allowed, check.ALLOWED_MISSING = check.ALLOWED_MISSING, 0
    case("more missing than allowed", says="1 clauses are missing, and there may be 0")
    check.ALLOWED_MISSING = 2
    case("fewer missing than allowed", code=0, says="ALLOWED_MISSING in test/conformance/check.py can be 1")
    check.ALLOWED_MISSING = allowed

    # What cannot be checked at all.
    case("no table", {check.TABLE: ("#", None)}, code=2, says="No such file")
    case("a stage that ran without a log", {"build/results/e2e.log": ("", None)}, code=2, says="e2e.log")
    case("a list of tests that cannot be had", {"test/e2e/run": ("echo", "no-such-program")}, code=2, says="lists nothing, exit code 127")
    case("an unknown stage", code=2, arguments=("--ran", "fuzz"), says="it is one of unit, e2e, scenario")
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
