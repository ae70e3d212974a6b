"""One scenario with one number of workers: run it, pass by pass, and compare. Returns complaints; none is a pass."""

import ipaddress
import re

from . import fragments
from .accounts import add_up
from .language import LanguageError, symbols_of
from .match import match_group
from .replay import ReplayFailed
from .scenario import SIDES, constraint_holds
from .verify import disagreement

TOLERANCE = 10**6  # nanoseconds: the box's clock counts milliseconds


class Failed(Exception):
    def __init__(self, complaints):
        super().__init__("\n".join(complaints))
        self.complaints = complaints


def check(replay, twice=False):
    """`replay`: a Replay. With `twice` the last run is done again and must write the same bytes."""
    try:
        return _check(replay, twice)
    except Failed as e:
        return e.complaints
    except (ReplayFailed, LanguageError) as e:
        return [str(e)]


def _check(replay, twice):
    scenario = replay.scenario
    packets, bindings, before = scenario.packets, {}, None

    # Where a packet to send names what the box chose, play all before it, learn the choice, and go on.
    for i, packet in enumerate(packets):
        if packet.arrives and any(n not in bindings for n in symbols_of(packet.layers)):
            result = replay.run(packets[:i], bindings)
            _same_beginning(before, result)
            bindings, complaints = _compare(replay, result, packets[:i], bindings, packet.time)
            if complaints:
                raise Failed(complaints)
            missing = [n for n in symbols_of(packet.layers) if n not in bindings]
            if missing:
                raise LanguageError(f"{scenario.path}:{packet.line}: ${missing[0]} is not bound by any packet "
                                    "expected before")
            before = (result, packet.time)

    result = replay.run(packets, bindings, scenario.until)
    _same_beginning(before, result)
    bindings, complaints = _compare(replay, result, packets, bindings, None)
    complaints += _counts(result.stats, [c for c in scenario.counts if c.time is None], final=True)
    complaints += _log(scenario, result, bindings)
    for constraint in scenario.constraints:
        holds = constraint_holds(constraint, bindings)
        if holds is not True:
            shown = ", ".join(f"{n}={bindings.get(n[1:], 'never bound')}"
                              for n in dict.fromkeys(re.findall(r"\$\w+", constraint.text)))
            complaints.append(f"line {constraint.line}: {constraint.text} does not hold ({shown})")
    if complaints:
        raise Failed(complaints)

    # Counts as of a moment: the same run, ended then.
    for time in sorted({c.time for c in scenario.counts if c.time is not None}):
        then = replay.run([p for p in packets if p.time <= time], bindings, time)
        complaints += add_up(then)
        complaints += _counts(then.stats, [c for c in scenario.counts if c.time == time], final=False)

    if twice:
        again = replay.run(packets, bindings, scenario.until)
        for name, data in result.files.items():
            if again.files[name] != data:
                complaints.append(f"two runs differ in their {name} output")
    return complaints


def _same_beginning(before, result):
    """Replay is deterministic: what came out before the new packets must come out again."""
    if before is None:
        return
    earlier, time = before
    for side in SIDES:
        a = [(o.time, o.data) for o in earlier.outputs[side] if o.time < time]
        b = [(o.time, o.data) for o in result.outputs[side] if o.time < time]
        if a != b:
            raise Failed([f"not deterministic: {side}, the packets before {time / 1e9:g} s differ from those of a run "
                          "that ended there"])


def _compare(replay, result, packets, bindings, before):
    """All that came against all that was expected, in order of time. `before`: leave out what came from then on
    and no line of `packets` is about."""
    scenario, complaints = replay.scenario, add_up(result)
    expected = [p for p in packets if not p.arrives]
    outputs = []
    for side in SIDES:
        last = 0
        for o in result.outputs[side]:
            if o.time < last:
                complaints.append(f"time runs backwards in the {side} capture at {o.time / 1e9:g} s")
            last = o.time
            outputs.append(o)
            opinion = None if _meant_to_be_wrong(expected, o) else disagreement(o.data, scenario.link[side])
            if opinion:
                complaints.append(f"{opinion}\n    got      {o.describe()}")

    def next_hop(output):
        layer = next((x for x in output.layers if x.kind in ("ip", "ip6")), None)
        return scenario.next_hop(output.side, 4 if layer.kind == "ip" else 6) if layer else None

    times = sorted({p.time for p in expected} | {_moment(expected, o.time) for o in outputs})
    for time in times:
        for side in SIDES:
            want = [p for p in expected if p.time == time and p.side == side]
            got = [o for o in outputs if o.side == side and _moment(expected, o.time) == time]
            if before is not None and not want and time >= before:
                continue
            if any(fragments.is_cut(p.layers) for p in want):
                got = fragments.join(got, scenario.link[side])
                complaints += [f"{opinion}\n    got      {o.describe()}" for o in got
                               if not _meant_to_be_wrong(want, o)
                               and (opinion := disagreement(o.data, scenario.link[side]))]
            after, found = match_group(want, got, bindings, next_hop, scenario.in_order)
            bindings = after if after is not None else bindings
            complaints += found
    return bindings, complaints


def _moment(expected, time):
    """The expected time that a packet's time stands for: the box's clock counts milliseconds."""
    return next((p.time for p in expected if abs(p.time - time) < TOLERANCE), time)


def _meant_to_be_wrong(expected, output):
    return any(p.side == output.side and abs(p.time - output.time) < TOLERANCE and
               any(x.get("bad-checksum") or x.get("any-checksum") for x in p.layers) for p in expected)


def _counts(stats, counts, final):
    complaints = []
    for c in counts:
        got = stats
        for key in c.what.split(" ", 1) if c.what.startswith("drops ") else c.what.split("/"):
            got = got.get(key, 0) if isinstance(got, dict) else 0
        if got != c.number:
            complaints.append(f"line {c.line}: {c.text}, but it is {got}")
    if final:
        named = {c.what[6:] for c in counts if c.what.startswith("drops ")}
        for reason, n in stats.get("drops", {}).items():
            if n and reason not in named:
                complaints.append(f"{n} packets dropped as {reason}, which no `drops` line of the scenario says")
    return complaints


def _log(scenario, result, bindings):
    if scenario.log is None:
        return []
    complaints, rest = [], list(result.log)
    for wanted in scenario.log:
        if not rest:
            complaints.append(f"line {wanted.line}: no further log record\n    expected {wanted.text}")
            continue
        time, kind, fields, line = rest.pop(0)
        wrong = []
        if kind != wanted.kind:
            wrong.append(f"a {kind} record")
        if wanted.time is not None and abs(time - wanted.time) > TOLERANCE:
            wrong.append(f"at {time / 1e9:g} s")
        for name, value in wanted.fields.items():
            if not _fits(value, fields.get(name), bindings):
                wrong.append(f"{name}={fields.get(name, '(absent)')}")
        if wrong:
            complaints.append(f"line {wanted.line}: log record differs: {', '.join(wrong)}\n"
                              f"    expected {wanted.text}\n    got      {line}")
    complaints += [f"a log record that was not expected\n    got      {x[3]}" for x in rest]
    return complaints


def _fits(pattern, value, bindings):
    """`*`, text, $SYMBOL, or $A-$B; symbols are bound here too. `has:$P` means a port range with $P in it."""
    if value is None:
        return False
    if pattern.startswith("has:"):
        first, _, last = value.partition("-")
        port = bindings.get(pattern[5:])
        return port is not None and int(first) <= port <= int(last or first)
    names, regex, position = [], "", 0
    for m in re.finditer(r"\$(\w+)|\*", pattern):
        regex += re.escape(pattern[position:m.start()])
        regex += ".*" if m[0] == "*" else r"([0-9a-fA-F.:]+)"
        names += [m[1]] if m[1] else []
        position = m.end()
    m = re.fullmatch(regex + re.escape(pattern[position:]), value)
    if not m:
        return False
    for name, text in zip(names, m.groups()):
        got = int(text) if text.isdigit() else _address(text)
        if bindings.setdefault(name, got) != got:
            return False
    return True


def _address(text):
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return text
