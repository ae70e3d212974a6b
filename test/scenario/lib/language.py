"""The packet language: one packet a line, as text and as a list of layers.

    ip6 2001:db8:1::2 > 2001:db8:ffff::1 hl=64 / ip 10.0.0.2 > 198.51.100.1 / udp 5000 > 53 / "hello"

Layers are separated by ' / '; docs/scenarios.md describes every layer and field. `parse_packet` reads a line into
`Layer`s, `render` writes `Layer`s as a line. The same layers come out of the dissector (codec.py), so that what
was expected and what came are compared, and printed, alike.
"""

import ipaddress
import re
from dataclasses import dataclass, field


class LanguageError(Exception):
    """A line that cannot be understood."""


@dataclass(frozen=True)
class Symbol:
    """A value the box chooses: bound where it is first expected, the same ever after."""
    name: str

    def __str__(self):
        return "$" + self.name


@dataclass(frozen=True)
class Embedded:
    """An IPv4 address within an IPv6 prefix (RFC 6052 section 2.2), written PREFIX/LENGTH+ADDRESS."""
    prefix: ipaddress.IPv6Network
    address: object  # IPv4Address or Symbol

    def __str__(self):
        return f"{self.prefix}+{self.address}"

    def value(self, address):
        """The IPv6 address; octet 64..71 (the "u" octet) stays zero."""
        octets = bytearray(self.prefix.network_address.packed)
        position = self.prefix.prefixlen // 8
        for octet in address.packed:
            if position == 8:
                position += 1
            octets[position] = octet
            position += 1
        return ipaddress.IPv6Address(bytes(octets))

    def extract(self, address):
        """The IPv4 address within `address`, or None when it does not lie in the prefix in that form."""
        octets, position, v4 = address.packed, self.prefix.prefixlen // 8, []
        for _ in range(4):
            if position == 8:
                position += 1
            v4.append(octets[position])
            position += 1
        inner = ipaddress.IPv4Address(bytes(v4))
        return inner if self.value(inner) == address else None


class _Any:
    def __repr__(self):
        return "*"


ANY = _Any()  # matches every value


@dataclass
class Layer:
    kind: str
    fields: dict = field(default_factory=dict)
    inner: list = None          # ICMP errors: the layers of the packet in brackets
    errors: list = field(default_factory=list)  # from the dissector: what is wrong with this layer

    def get(self, name, default=None):
        return self.fields.get(name, default)


RFC6052_LENGTHS = (32, 40, 48, 56, 64, 96)
TCP_FLAGS = {"F": 1, "S": 2, "R": 4, "P": 8, "A": 16, "U": 32, "E": 64, "C": 128}
ICMP_TYPES = {
    "icmp": {"echo-reply": 0, "dest-unreach": 3, "source-quench": 4, "redirect": 5, "echo-request": 8,
             "time-exceeded": 11, "param-problem": 12, "timestamp": 13},
    "icmp6": {"dest-unreach": 1, "packet-too-big": 2, "time-exceeded": 3, "param-problem": 4,
              "echo-request": 128, "echo-reply": 129},
}
ICMP_ECHO = {"icmp": (0, 8), "icmp6": (128, 129)}
ICMP_ERRORS = {"icmp": (3, 4, 5, 11, 12), "icmp6": (1, 2, 3, 4)}

# Fields by layer: name -> how its value is read. Words without a value are flags.
_INT, _HEX, _FLAG = "int", "hex", "flag"
FIELDS = {
    "eth": {"type": _INT},
    "vlan": {"prio": _INT, "type": _INT},
    "ip": {"ttl": _INT, "tos": _INT, "dscp": _INT, "ecn": _INT, "id": _INT, "df": _FLAG, "no-df": _FLAG,
           "more": _FLAG, "off": _INT, "proto": _INT, "opts": _HEX, "ihl": _INT, "len": _INT, "version": _INT,
           "bad-checksum": _FLAG, "any-checksum": _FLAG},
    "ip6": {"hl": _INT, "tc": _INT, "dscp": _INT, "ecn": _INT, "flow": _INT, "nh": _INT, "plen": _INT,
            "version": _INT},
    "dstopts": {"encap-limit": _INT, "opts": _HEX, "nh": _INT, "extlen": _INT},
    "hopopts": {"encap-limit": _INT, "opts": _HEX, "nh": _INT, "extlen": _INT},
    "routing": {"type": _INT, "left": _INT, "opts": _HEX, "nh": _INT, "extlen": _INT},
    "frag": {"id": _INT, "off": _INT, "more": _FLAG, "nh": _INT},
    "udp": {"len": _INT, "checksum": _INT, "bad-checksum": _FLAG, "any-checksum": _FLAG},
    "tcp": {"seq": _INT, "ack": _INT, "win": _INT, "opts": _HEX, "mss": _INT, "offset": _INT,
            "bad-checksum": _FLAG, "any-checksum": _FLAG},
    "icmp": {"code": _INT, "id": _INT, "seq": _INT, "mtu": _INT, "pointer": _INT, "bad-checksum": _FLAG,
             "any-checksum": _FLAG},
}
FIELDS["icmp6"] = FIELDS["icmp"]


def split_outside(text, separator):
    """Splits at `separator`, but not within quotes or brackets."""
    parts, depth, quoted, start, i = [], 0, False, 0, 0
    while i < len(text):
        c = text[i]
        if c == '"':
            quoted = not quoted
        elif not quoted and c == "[":
            depth += 1
        elif not quoted and c == "]":
            depth -= 1
        elif not quoted and depth == 0 and text.startswith(separator, i):
            parts.append(text[start:i])
            i += len(separator)
            start = i
            continue
        i += 1
    if quoted:
        raise LanguageError('a quote " is not closed')
    if depth:
        raise LanguageError("brackets [ ] do not match")
    parts.append(text[start:])
    return parts


def parse_value(text, kind=_INT):
    """An integer, hex bytes, a $SYMBOL or * (anything)."""
    if text == "*":
        return ANY
    if re.fullmatch(r"\$\w+", text):
        return Symbol(text[1:])
    try:
        return bytes.fromhex(text) if kind == _HEX else int(text, 0)
    except ValueError:
        raise LanguageError(f"'{text}' is not a {'row of hex digits' if kind == _HEX else 'number'}, "
                            "$SYMBOL or *") from None


def parse_address(text, version):
    if text == "*":
        return ANY
    if re.fullmatch(r"\$\w+", text):
        return Symbol(text[1:])
    try:
        if version == 6 and "+" in text:
            prefix, v4 = text.split("+")
            network = ipaddress.IPv6Network(prefix)
            if network.prefixlen not in RFC6052_LENGTHS:
                raise LanguageError(f"/{network.prefixlen} is no prefix length of RFC 6052")
            value = Embedded(network, parse_address(v4, 4))
            return value.value(value.address) if isinstance(value.address, ipaddress.IPv4Address) else value
        return ipaddress.IPv4Address(text) if version == 4 else ipaddress.IPv6Address(text)
    except ValueError as e:
        raise LanguageError(str(e)) from None


def _two_ends(kind, words):
    """`A > B` at the beginning of a layer."""
    if len(words) < 3 or words[1] != ">":
        raise LanguageError(f"'{kind}' needs SOURCE > DESTINATION")
    return words[0], words[2], words[3:]


def _read_fields(layer, words):
    known = FIELDS[layer.kind]
    for word in words:
        name, equals, value = word.partition("=")
        if name not in known:
            raise LanguageError(f"'{layer.kind}' has no field '{name}' (it has: {', '.join(known)})")
        if (known[name] == _FLAG) == bool(equals):
            raise LanguageError(f"'{name}' of '{layer.kind}' takes {'no' if known[name] == _FLAG else 'a'} value")
        layer.fields[name] = True if known[name] == _FLAG else parse_value(value, known[name])


def _parse_layer(text):
    text = text.strip()
    if text.startswith('"'):
        if not text.endswith('"') or len(text) < 2:
            raise LanguageError(f"{text}: text after a closing quote")
        return Layer("payload", {"bytes": text[1:-1].encode()})
    if text.startswith("["):
        return Layer("embedded", inner=parse_packet(text[1:-1]))
    if text == "...":
        return Layer("payload", {"bytes": ANY})
    if text.startswith("hex:"):
        return Layer("payload", {"bytes": parse_value(text[4:].replace(" ", ""), _HEX)})
    if re.fullmatch(r"len=\d+", text):
        return Layer("payload", {"bytes": filler(int(text[4:]))})
    for word in ("pad", "cut", "snap"):
        if re.fullmatch(rf"{word}=\d+", text):
            return Layer(word, {"n": int(text[len(word) + 1:])})
    kind, *words = text.split()
    if kind not in FIELDS:
        raise LanguageError(f"unknown layer '{text}' (known: {', '.join(FIELDS)}, \"text\", hex:, len=N, pad=N, "
                            "cut=N, snap=N, ..., [embedded packet])")
    layer = Layer(kind)
    if kind == "eth":
        src, dst, words = _two_ends(kind, words)
        layer.fields.update(src=parse_mac(src), dst=parse_mac(dst))
    elif kind == "vlan":
        if not words:
            raise LanguageError("'vlan' needs a number")
        layer.fields["vid"] = parse_value(words.pop(0))
    elif kind in ("ip", "ip6"):
        src, dst, words = _two_ends(kind, words)
        version = 4 if kind == "ip" else 6
        layer.fields.update(src=parse_address(src, version), dst=parse_address(dst, version))
    elif kind in ("udp", "tcp"):
        src, dst, words = _two_ends(kind, words)
        layer.fields.update(sport=parse_value(src), dport=parse_value(dst))
        if kind == "tcp":
            if words and re.fullmatch(r"[FSRPAUEC]+", words[0]):
                layer.fields["flags"] = sum(TCP_FLAGS[c] for c in set(words.pop(0)))
            elif words and words[0] == "none":
                layer.fields["flags"] = 0
                words.pop(0)
    elif kind in ("icmp", "icmp6"):
        if not words:
            raise LanguageError(f"'{kind}' needs a type: {', '.join(ICMP_TYPES[kind])} or type=N")
        name = words.pop(0)
        if name in ICMP_TYPES[kind]:
            layer.fields["type"] = ICMP_TYPES[kind][name]
        elif name.startswith("type="):
            layer.fields["type"] = parse_value(name[5:])
        else:
            raise LanguageError(f"unknown type '{name}' of '{kind}' (known: {', '.join(ICMP_TYPES[kind])}, type=N)")
    _read_fields(layer, words)
    return layer


def parse_packet(text):
    """The layers of one line. An [embedded packet] becomes the `inner` of the ICMP layer before it."""
    layers = []
    for part in split_outside(text, " / "):
        layer = _parse_layer(part)
        if layer.kind == "embedded":
            if not layers or layers[-1].kind not in ("icmp", "icmp6"):
                raise LanguageError("an [embedded packet] stands behind icmp or icmp6 only")
            layers[-1].inner = layer.inner
        else:
            layers.append(layer)
    return layers


def parse_mac(text):
    if text == "*":
        return ANY
    if re.fullmatch(r"\$\w+", text):
        return Symbol(text[1:])
    if not re.fullmatch(r"[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}", text):
        raise LanguageError(f"'{text}' is not a MAC address")
    return text.lower()


def filler(size):
    """The payload that `len=N` means."""
    return bytes(i & 0xff for i in range(size))


def symbols_of(layers):
    """The names of all symbols in a packet, in the order of their appearance."""
    names = []
    for layer in layers:
        for value in layer.fields.values():
            value = value.address if isinstance(value, Embedded) else value
            if isinstance(value, Symbol) and value.name not in names:
                names.append(value.name)
        for name in symbols_of(layer.inner or []):
            if name not in names:
                names.append(name)
    return names


def substitute(layers, bindings):
    """The packet with all bound symbols replaced."""
    def replaced(value):
        if isinstance(value, Symbol) and value.name in bindings:
            return bindings[value.name]
        if isinstance(value, Embedded) and isinstance(value.address, Symbol) and value.address.name in bindings:
            return value.value(bindings[value.address.name])
        return value

    return [Layer(layer.kind, {k: replaced(v) for k, v in layer.fields.items()},
                  substitute(layer.inner, bindings) if layer.inner is not None else None, layer.errors)
            for layer in layers]


# What `render` leaves out because it is the usual: the same values the builder fills in.
_QUIET = {
    "ip": {"tos": 0, "dscp": 0, "ecn": 0, "off": 0, "more": False, "df": False, "opts": b"", "id": None,
           "proto": None, "len": None, "ihl": None, "version": 4},
    "ip6": {"tc": 0, "dscp": 0, "ecn": 0, "flow": 0, "nh": None, "plen": None, "version": 6},
    "dstopts": {"nh": None, "extlen": None}, "hopopts": {"nh": None, "extlen": None},
    "routing": {"type": 0, "opts": bytes(4), "nh": None, "extlen": None},
    "frag": {"nh": None, "more": False},
    "udp": {"len": None, "checksum": None},
    "tcp": {"seq": 0, "ack": 0, "win": None, "opts": b"", "mss": None, "offset": None},
    "icmp": {"code": 0, "mtu": 0, "pointer": 0}, "icmp6": {"code": 0, "mtu": 0, "pointer": 0},
}


def render(layers, like=None):
    """The line for a packet. `like`: the packet it is compared with; fields written there are shown here too."""
    parts = []
    for i, layer in enumerate(layers):
        twin = like[i] if like and i < len(like) and like[i].kind == layer.kind else None
        parts.append(_render_layer(layer, twin))
        if layer.inner is not None:
            parts.append(f"[{render(layer.inner, twin.inner if twin else None)}]")
    return " / ".join(parts)


def _render_layer(layer, twin):
    f = layer.fields
    if layer.kind == "payload":
        data = f["bytes"]
        if data is ANY or isinstance(data, Symbol):
            return "..."
        if len(data) > 7 and data == filler(len(data)):
            return f"len={len(data)}"
        if data and all(32 <= b < 127 and b != 34 for b in data):
            return f'"{data.decode()}"'
        return f"hex:{data.hex()}"
    if layer.kind in ("pad", "cut", "snap"):
        return f"{layer.kind}={f['n']}"
    if layer.kind == "garbage":
        return f"?{f['bytes'].hex()}"
    words, done = [layer.kind], {"src", "dst", "sport", "dport", "flags", "type", "vid"}
    if "src" in f:
        words += [str(f["src"]), ">", str(f["dst"])]
    if "sport" in f:
        words += [str(f["sport"]), ">", str(f["dport"])]
    if "vid" in f:
        words.append(str(f["vid"]))
    if "flags" in f:
        words.append("".join(c for c in "SFRPUECA" if f["flags"] & TCP_FLAGS[c]) or "none")
    if layer.kind in ICMP_TYPES:
        names = {v: k for k, v in ICMP_TYPES[layer.kind].items()}
        words.append(names.get(f["type"], f"type={f['type']}"))
    elif layer.kind == "routing":
        done = done - {"type"}
    elif "type" in f and twin and "type" in twin.fields:
        words.append(f"type={f['type']:#06x}")
    quiet = _QUIET.get(layer.kind, {})
    for name, value in f.items():
        shown = twin is not None and name in twin.fields
        if name in done or (not shown and name in quiet and (quiet[name] is None or quiet[name] == value)):
            continue
        if not shown and name in ("dscp", "ecn"):
            continue  # tos and tc say it
        if value is True:
            words.append(name)
        elif value is not False:
            words.append(f"{name}={value.hex() if isinstance(value, bytes) else value}")
    if any("checksum" in e for e in layer.errors):
        words.append("bad-checksum")
    return " ".join(words)
