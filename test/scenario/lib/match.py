"""Does a packet that came fit one that was expected? The rules are written down in docs/scenarios.md.

`match_packet` gives the new bindings of symbols, or the list of differences.
"""

import ipaddress

from .dissect import errors_of
from .language import ANY, ICMP_ECHO, ICMP_EXTENSIBLE, ICMP_LENGTH_UNIT, LEAST_QUOTATION, Embedded, Sizes, Symbol


class Mismatch(Exception):
    """What differs, in words; one line each."""

    def __init__(self, differences):
        super().__init__("; ".join(differences))
        self.differences = differences


def match_packet(expected, got, bindings, next_hop=None):
    """Bindings after the match. `next_hop`: the destination MAC the frame must have unless the line says so.

    Raises Mismatch."""
    state = _State(dict(bindings))
    exp, got_layers = list(expected), list(got)
    if got_layers and got_layers[0].kind == "eth":
        eth = got_layers.pop(0)
        if exp and exp[0].kind == "eth":
            state.fields(exp.pop(0), eth, ("src", "dst", "type"))
        elif next_hop and eth.get("dst") != next_hop:
            state.differs(f"the frame goes to {eth.get('dst')}, the next hop is {next_hop}")
    elif exp and exp[0].kind == "eth":
        exp.pop(0)
        state.differs("no Ethernet header on a raw-IP link")
    state.layers(exp, got_layers, embedded=False)
    if state.differences:
        raise Mismatch(state.differences)
    return state.bindings


class _State:
    def __init__(self, bindings):
        self.bindings = bindings
        self.differences = []

    def differs(self, text):
        self.differences.append(text)

    def layers(self, expected, got, embedded):
        wanted = [e.kind for e in expected]
        kinds = [g.kind for g in got]
        # No payload written: at the top none may be there, embedded any may be there (or be cut off).
        if wanted[-1:] != ["payload"] and kinds[-1:] == ["payload"] and wanted == kinds[:-1]:
            if embedded or wanted[-1:] in (["icmp"], ["icmp6"]) and expected[-1].inner is not None:
                kinds, got = kinds[:-1], got[:-1]
        if wanted[-1:] == ["payload"] and expected[-1].get("bytes") is ANY and wanted[:-1] == kinds:
            expected = expected[:-1]
        elif wanted != kinds:
            self.differs(f"layers are {' / '.join(kinds) or 'none'}, not {' / '.join(wanted)}")
            for error in errors_of(got):
                self.differs(error)
            return
        for i, (e, g) in enumerate(zip(expected, got)):
            self.layer(e, g, any(x.kind in ("ip", "ip6", "dstopts") for x in expected[i + 1:]), embedded)

    def layer(self, e, g, outer, embedded):
        defaults = {}
        if e.kind in ("ip", "ip6"):
            # Tunnel headers (`outer`) and embedded ones have whatever hop limit they have.
            if not outer and not embedded:
                defaults["ttl" if e.kind == "ip" else "hl"] = 63
            if e.kind == "ip":
                defaults.update(off=0, more=False, opts=b"", frags=None)
        elif e.kind == "tcp":
            defaults["seq"] = 0
            if not embedded:
                defaults.update(ack=0, flags=0)
        elif e.kind in ("icmp", "icmp6"):
            defaults["code"] = 0
            if e.get("type") in ICMP_ECHO[e.kind]:
                defaults["seq"] = 0
            if e.get("type") in ICMP_EXTENSIBLE[e.kind]:
                defaults["ext"] = None
                if "ext" not in e.fields:
                    defaults["length"] = 0
                elif "length" not in e.fields:
                    self.quotation(g)
        elif e.kind == "frag":
            defaults.update(off=0, more=False, frags=None)
        elif e.kind == "vlan":
            defaults["prio"] = 0

        wants_bad, any_checksum = e.get("bad-checksum"), e.get("any-checksum")
        bad = any("checksum" in error for error in g.errors)
        if wants_bad and not bad:
            self.differs(f"{e.kind}: checksum is right, should be wrong")
        for error in g.errors:
            if not ("checksum" in error and (wants_bad or any_checksum)):
                self.differs(f"{e.kind}: {error}")
        if g.kind == "udp" and g.get("checksum") == 0 and "checksum" not in e.fields and not any_checksum:
            self.differs("udp: no checksum (0)")
        for name, value in {**defaults, **e.fields}.items():
            if name in ("bad-checksum", "any-checksum"):
                continue
            if name == "no-df":
                name, value = "df", False
            self.value(f"{e.kind} {name}", value, g.fields.get(name))
        if e.inner is not None or g.inner is not None:
            if e.inner is None or g.inner is None:
                self.differs(f"{e.kind}: embedded packet {'missing' if g.inner is None else 'not expected'}")
            else:
                self.layers(e.inner, g.inner, embedded=True)

    def quotation(self, g):
        """The usual length field before extensions."""
        length = g.get("length", 0) * ICMP_LENGTH_UNIT[g.kind]
        if length and length < LEAST_QUOTATION:
            self.differs(f"{g.kind} length is {g.get('length')}, which is {length} bytes; before extensions there are "
                         f"{LEAST_QUOTATION} (RFC 4884)")

    def fields(self, e, g, names):
        for name in names:
            if name in e.fields:
                self.value(f"{e.kind} {name}", e.fields[name], g.fields.get(name))

    def value(self, what, expected, got):
        if expected is ANY:
            return
        if isinstance(expected, Sizes):
            if got is None or expected.of(sum(got.sizes)) != list(got.sizes):
                self.differs(f"{what} is {_text(got)}, should be {expected}")
            return
        if isinstance(expected, Embedded):
            inner = expected.extract(got) if isinstance(got, ipaddress.IPv6Address) else None
            if inner is None:
                self.differs(f"{what} is {_text(got)}, which is no IPv4 address in {expected.prefix}")
            else:
                self.value(what, expected.address, inner)
            return
        if isinstance(expected, Symbol):
            bound = self.bindings.setdefault(expected.name, got)
            if bound != got:
                self.differs(f"{what} is {_text(got)}, but {expected} was {_text(bound)} before")
        elif expected != got:
            self.differs(f"{what} is {_text(got)}, should be {_text(expected)}")


def _text(value):
    if value is None:
        return "absent"
    if isinstance(value, bytes):
        return repr(value.decode()) if value.isascii() and value.decode().isprintable() else "hex:" + value.hex()
    return str(value)


def match_group(expected, got, bindings, next_hop_of, in_order=False):
    """Assigns packets that came at one time on one side to the expected ones; order matters with `in_order` only,
    and then within a flow.

    Returns (bindings, []) or (None, complaints)."""
    if len(expected) == len(got):
        found = _assign(expected, list(got), bindings, next_hop_of, in_order)
        if found is not None:
            return found, []
    complaints = _explain(expected, got, bindings, next_hop_of)
    if in_order and not complaints:
        complaints = [_disorder(expected, list(got), bindings, next_hop_of)]
    return None, complaints


def _flow(output):
    """What all packets of a flow have in common: addresses, ports, an echo's identifier."""
    return [(x.kind, [x.get(n) for n in ("src", "dst", "sport", "dport", "id")[:4 if x.kind in ("ip", "frag") else 5]])
            for x in output.layers if x.kind not in ("eth", "payload")]


def _disorder(expected, got, bindings, next_hop_of):
    """Names the first packet that came before one of its flow that should have come earlier."""
    rest = list(got)
    for e in expected:
        for g in rest:
            try:
                bindings = match_packet(e.layers, g.layers, bindings, next_hop_of(g))
            except Mismatch:
                continue
            early = next((x for x in rest[:rest.index(g)] if _flow(x) == _flow(g)), None)
            if early:
                return f"line {e.line}: another packet of its flow came before it\n    expected {e.text}\n" \
                       f"    got      {early.describe()}"
            rest.remove(g)
            break
    return "packets of a flow came in another order"


def _assign(expected, got, bindings, next_hop_of, in_order, budget=None):
    budget = budget if budget is not None else [20000]
    if not expected:
        return bindings
    for i, candidate in enumerate(got):
        if in_order and _flow(candidate) in map(_flow, got[:i]):
            continue
        budget[0] -= 1
        if budget[0] < 0:
            return None
        try:
            after = match_packet(expected[0].layers, candidate.layers, bindings, next_hop_of(candidate))
        except Mismatch:
            continue
        rest = _assign(expected[1:], got[:i] + got[i + 1:], after, next_hop_of, in_order, budget)
        if rest is not None:
            return rest
    return None


def _explain(expected, got, bindings, next_hop_of):
    """Pairs each expected packet with the most similar one that came, and says what differs."""
    complaints, rest, bindings = [], list(got), dict(bindings)
    for e in expected:
        best = None
        for g in rest:
            try:
                bindings = match_packet(e.layers, g.layers, bindings, next_hop_of(g))
                best = (0, g, [])
                break
            except Mismatch as m:
                if best is None or len(m.differences) < best[0]:
                    best = (len(m.differences), g, m.differences)
        if best is None:
            complaints.append(f"line {e.line}: nothing came\n    expected {e.text}")
            continue
        rest.remove(best[1])
        if best[2]:
            complaints.append(f"line {e.line}: not the expected packet\n    expected {e.text}\n"
                              f"    got      {best[1].describe(e.layers)}\n" +
                              "\n".join(f"      - {d}" for d in best[2]))
    for g in rest:
        complaints.append(f"a packet came that was not expected\n    got      {g.describe()}")
    return complaints
