"""A scenario file: its configuration, what goes in, what must come out. docs/scenarios.md is the language's manual."""

import ast
import ipaddress
import re
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from .language import LanguageError, parse_packet

SIDES = ("inside", "outside")


@dataclass
class PacketLine:
    """A packet that arrives (`arrives`) or must be sent."""
    line: int
    time: int  # nanoseconds since the scenario's beginning
    side: str
    arrives: bool
    layers: list
    text: str


@dataclass
class Count:
    """`mappings N`, `blocks N`, `drops REASON N`, `stat NAME N`; with a time: as of then."""
    line: int
    time: int  # None: at the end
    what: str
    number: int
    text: str


@dataclass
class LogRecord:
    line: int
    time: int  # nanoseconds, or None: any
    kind: str
    fields: dict
    text: str


@dataclass
class Constraint:
    line: int
    text: str
    words: list


@dataclass
class Scenario:
    name: str
    path: Path
    config: dict = None
    config_path: Path = None
    changed: bool = False  # the configuration differs from its file
    link: dict = field(default_factory=lambda: {"inside": "ethernet", "outside": "ethernet"})
    seed: int = 1
    workers: list = None
    until: int = None
    in_order: bool = False  # packets of one flow, time and side come out as the lines stand
    packets: list = field(default_factory=list)
    counts: list = field(default_factory=list)
    log: list = None  # None: not compared
    constraints: list = field(default_factory=list)

    def next_hop(self, side, version):
        """The static next-hop MAC on a side, if there is one."""
        for interface in self.config.get("interfaces", []):
            if interface.get("role") in (side, "both"):
                hop = str(interface.get(f"next-hop-ipv{version}", ""))
                if re.fullmatch(r"[0-9a-fA-F]{2}([:-][0-9a-fA-F]{2}){5}", hop):
                    return hop.lower().replace("-", ":")
        return None


class ScenarioError(Exception):
    """A scenario that cannot be understood: file, line and reason."""


def load(path, root, conf_directory):
    path = Path(path)
    scenario = Scenario(name=str(path.relative_to(root).with_suffix("")), path=path)
    number, reader = 0, _Reader(scenario, conf_directory)
    try:
        for number, line in _expand(_lines(path.read_text())):
            reader.read(number, line)
        if scenario.config is None:
            raise LanguageError("the scenario names no configuration: `config NAME` (a file of test/scenario/conf) "
                                "is missing")
    except (LanguageError, ValueError, KeyError, OSError, yaml.YAMLError) as e:
        raise ScenarioError(f"{path}:{number}: {e}") from None
    return scenario


def _lines(text):
    """Numbered lines without comments, a trailing backslash joins two."""
    joined, start = "", None
    for number, line in enumerate(text.splitlines(), 1):
        line = _without_comment(line).rstrip()
        start = start or number
        if line.endswith("\\"):
            joined += line[:-1].rstrip() + " "
            continue
        line = (joined + line.strip()).strip() if joined else line.strip()
        if line:
            yield start, line
        joined, start = "", None


def _without_comment(line):
    quoted = False
    for i, c in enumerate(line):
        if c == '"':
            quoted = not quoted
        elif c == "#" and not quoted and (i == 0 or line[i - 1].isspace()):
            return line[:i]
    return line


def _expand(lines, variables=None):
    """`for NAME in FIRST..LAST` … `end`; {EXPRESSION} is replaced wherever it stands."""
    lines, i, variables = list(lines), 0, variables or {}
    while i < len(lines):
        number, line = lines[i]
        i += 1
        if line.startswith("for "):
            m = re.fullmatch(r"for (\w+) in (.+)\.\.(.+)", line)
            if not m:
                raise LanguageError(f"line {number}: `for NAME in FIRST..LAST`")
            depth, body = 1, []
            while depth:
                if i == len(lines):
                    raise LanguageError(f"line {number}: this `for` has no `end`")
                depth += lines[i][1].startswith("for ") - (lines[i][1] == "end")
                body.append(lines[i])
                i += 1
            for value in range(_evaluate(m[2], variables), _evaluate(m[3], variables) + 1):
                yield from _expand(body[:-1], {**variables, m[1]: value})
        elif line == "end":
            raise LanguageError(f"line {number}: `end` without `for`")
        else:
            # Outside of loops braces are YAML's (`set`).
            yield number, re.sub(r"\{([^}]*)\}", lambda m: str(_evaluate(m[1], variables)), line) if variables else line


_OPERATORS = {ast.Add: lambda a, b: a + b, ast.Sub: lambda a, b: a - b, ast.Mult: lambda a, b: a * b,
              ast.FloorDiv: lambda a, b: a // b, ast.Mod: lambda a, b: a % b}


def _evaluate(text, variables):
    """Integer arithmetic with + - * // %."""
    def value(node):
        if isinstance(node, ast.Constant) and isinstance(node.value, int):
            return node.value
        if isinstance(node, ast.Name) and node.id in variables:
            return variables[node.id]
        if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
            return _OPERATORS[type(node.op)](value(node.left), value(node.right))
        raise LanguageError(f"{{{text}}} is no integer expression of {', '.join(variables) or 'numbers'}")
    try:
        return value(ast.parse(text.strip(), mode="eval").body)
    except SyntaxError:
        raise LanguageError(f"{{{text}}} is no integer expression") from None


def _nanoseconds(text):
    m = re.fullmatch(r"(\d+)(?:\.(\d{1,9}))?", text)
    if not m:
        raise LanguageError(f"'{text}' is not a time in seconds")
    return int(m[1]) * 10**9 + int((m[2] or "0").ljust(9, "0"))


class _Reader:
    def __init__(self, scenario, conf_directory):
        self.s = scenario
        self.conf_directory = conf_directory
        self.clock = 0
        self.silent = {}  # time -> line of `nothing`
        self.sent = set()  # times at which packets are expected

    def read(self, number, line):
        self.number, self.line = number, line
        time = None
        m = re.match(r"(\+?)(\d+(?:\.\d+)?)\s+(?=\S)", line)
        if m:
            time = _nanoseconds(m[2]) + (self.clock if m[1] else 0)
            line = line[m.end():]
        m = re.match(r"(?:(inside|outside)>|>(inside|outside))\s+", line)
        if m:
            self.packet(time, m[1] or m[2], m[1] is not None, line[m.end():])
            return
        if line.startswith("$"):
            self.s.constraints.append(_constraint(number, line))
            return
        word, _, rest = line.partition(" ")
        rest = rest.strip()
        timed = {"nothing": self.nothing, "mappings": self.count, "blocks": self.count, "drops": self.count,
                 "stat": self.count, "log": self.log}
        untimed = {"config": self.config, "set": self.set, "link": self.link, "seed": self.seed,
                   "workers": self.workers, "until": self.until, "in-order": self.in_order}
        if word in timed:
            timed[word](time, word, rest)
        elif word in untimed and time is None:
            untimed[word](rest)
        else:
            raise LanguageError(f"'{word}' is no statement; a packet is written `TIME inside> ...`, `TIME >outside "
                                f"...`; statements are {', '.join([*timed, *untimed])}, for, end and $NAME ...")

    def packet(self, time, side, arrives, text):
        if time is None:
            raise LanguageError("a packet needs a time")
        if time < self.clock:
            raise LanguageError(f"time runs backwards: {time / 1e9:g} after {self.clock / 1e9:g}")
        if not arrives and time in self.silent:
            raise LanguageError(f"line {self.silent[time]} says that nothing comes out then")
        self.clock = time
        if not arrives:
            self.sent.add(time)
        layers = parse_packet(text)
        if not arrives and any("order" in layer.fields for layer in layers):
            raise LanguageError("order= is for arriving fragments; what is sent comes in order")
        self.s.packets.append(PacketLine(self.number, time, side, arrives, layers, self.line))

    def nothing(self, time, _word, rest):
        time = self.clock if time is None else time
        if rest or time in self.sent:
            raise LanguageError("`nothing` contradicts the packets expected at its time" if not rest else
                                "`nothing` stands alone")
        self.silent[time] = self.number

    def count(self, time, word, rest):
        words = [word] + rest.split() if word in ("mappings", "blocks") else rest.split()
        if len(words) != 2 or not words[1].isdigit():
            raise LanguageError(f"`{word}{' NAME' if word in ('drops', 'stat') else ''} NUMBER`")
        what = ("drops " if word == "drops" else "") + words[0]
        if time is not None and time < self.clock:
            raise LanguageError("time runs backwards")
        if time is not None:
            self.clock = time
        self.s.counts.append(Count(self.number, time, what, int(words[1]), self.line))

    def log(self, time, _word, rest):
        self.s.log = self.s.log or []
        if rest == "nothing":
            return
        kind, *words = rest.split()
        fields = {}
        for word in words:
            name, equals, value = word.partition("=")
            if not equals:
                raise LanguageError(f"'{word}' is not FIELD=VALUE")
            fields[name] = value
        self.s.log.append(LogRecord(self.number, time, kind, fields, self.line))

    def config(self, rest):
        if self.s.config is not None:
            raise LanguageError("a second `config`")
        path = self.conf_directory / f"{rest}.yaml"
        if not path.exists():
            path = self.s.path.parent / rest
        self.s.config_path = path
        self.s.config = yaml.safe_load(path.read_text())

    def set(self, rest):
        """`set PATH VALUE`: PATH leads through the configuration by keys, and names or numbers in lists."""
        if self.s.config is None:
            raise LanguageError("`set` comes after `config`")
        path, _, text = rest.partition(" ")
        node, steps = self.s.config, path.split("/")
        for step in steps[:-1]:
            if isinstance(node, list):
                node = next((n for n in node if isinstance(n, dict) and n.get("name") == step), None) or \
                    node[int(step)]
            else:
                node = node.setdefault(step, {})
        value = yaml.safe_load(text)
        if isinstance(node, list):
            node[int(steps[-1])] = value
        elif value is None:
            node.pop(steps[-1], None)
        else:
            node[steps[-1]] = value
        self.s.changed = True

    def link(self, rest):
        side, _, kind = rest.partition(" ")
        if side not in SIDES or kind not in ("ethernet", "raw"):
            raise LanguageError("`link inside|outside ethernet|raw`")
        self.s.link[side] = kind

    def seed(self, rest):
        self.s.seed = int(rest)

    def workers(self, rest):
        self.s.workers = [int(w) for w in rest.split(",")]

    def in_order(self, rest):
        if rest:
            raise LanguageError("`in-order` stands alone")
        self.s.in_order = True

    def until(self, rest):
        self.s.until = _nanoseconds(rest)
        if self.s.until < self.clock:
            raise LanguageError("`until` lies before the last packet")


def _constraint(line, text):
    patterns = (r"(\$\w+) (not in|in) (\d+)-(\d+)", r"(\$\w+) (not in|in) ([0-9a-fA-F.:]+/\d+)",
                r"(\$\w+) (==|!=) (\S+)", r"(\$\w+) (parity) (even|odd|\$\w+)",
                r"(\$\w+) (not in|in) block of (\$\w+|\d+) size (\d+)(?: from (\d+))?")
    for i, pattern in enumerate(patterns):
        m = re.fullmatch(pattern, text)
        if m:
            return Constraint(line, text, [i, *m.groups()])
    raise LanguageError("a constraint is one of: $P [not] in 1024-65535, $A [not] in 192.0.2.0/24, $A == X, $A != X, "
                        "$P parity even|odd|$Q, $P [not] in block of $Q size 512 [from 1024]")


def constraint_holds(constraint, bindings):
    """True, False, or the name of a symbol that was never bound."""
    form, left, relation, *rest = constraint.words

    def value(text):
        if not text.startswith("$"):
            return text
        if text[1:] not in bindings:
            raise KeyError(text)
        return bindings[text[1:]]

    try:
        left = value(left)
        if form == 0:
            holds = int(rest[0]) <= left <= int(rest[1])
        elif form == 1:
            holds = left in ipaddress.ip_network(rest[0])
        elif form == 2:
            return (str(left) == str(value(rest[0]))) == (relation == "==")
        elif form == 3:
            other = {"even": 0, "odd": 1}.get(rest[0])
            return left % 2 == (value(rest[0]) % 2 if other is None else other)
        else:
            first, size = int(rest[2] or 1024), int(rest[1])
            holds = (left - first) // size == (int(value(rest[0])) - first) // size
        return holds == (relation == "in")
    except KeyError as e:
        return e.args[0]
