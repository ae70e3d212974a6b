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


@dataclass(frozen=True)
class Sizes:
    """Bytes of payload in each fragment of a datagram, written 1480+1480+48. With `rest`, written 1480 or 8+1480+...,
    the last number repeats itself as far as the datagram goes."""
    sizes: tuple
    rest: bool = False

    def __str__(self):
        return "+".join([*map(str, self.sizes), *(["..."] if self.rest else [])])

    def of(self, total):
        """The sizes for a payload of `total` bytes, or None when they do not come to that."""
        sizes = list(self.sizes)
        while self.rest and sum(sizes) < total:
            sizes.append(min(sizes[-1], total - sum(sizes)))
        if self.rest and sum(sizes) > total >= sum(sizes[:-1]):
            sizes[-1] -= sum(sizes) - total
        return sizes if sum(sizes) == total and 0 not in sizes else None


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
ICMP_EXTENSIBLE = {"icmp": (3, 11, 12), "icmp6": (1, 3)}  # RFC 4884 section 4: errors with a length field
ICMP_LENGTH_UNIT = {"icmp": 4, "icmp6": 8}  # bytes that its length field counts in
LEAST_QUOTATION = 128  # bytes before extensions, RFC 4884 sections 4.1 to 4.5

# Fields by layer: name -> how its value is read. Words without a value are flags.
_INT, _HEX, _FLAG, _SIZES, _ORDER = "int", "hex", "flag", "sizes", "order"
FIELDS = {
    "eth": {"type": _INT},
    "vlan": {"prio": _INT, "type": _INT},
    "ip": {"ttl": _INT, "tos": _INT, "dscp": _INT, "ecn": _INT, "id": _INT, "df": _FLAG, "no-df": _FLAG,
           "more": _FLAG, "off": _INT, "proto": _INT, "opts": _HEX, "ihl": _INT, "len": _INT, "version": _INT,
           "bad-checksum": _FLAG, "any-checksum": _FLAG, "frags": _SIZES, "order": _ORDER},
    "ip6": {"hl": _INT, "tc": _INT, "dscp": _INT, "ecn": _INT, "flow": _INT, "nh": _INT, "plen": _INT,
            "version": _INT},
    "dstopts": {"encap-limit": _INT, "opts": _HEX, "nh": _INT, "extlen": _INT},
    "hopopts": {"encap-limit": _INT, "opts": _HEX, "nh": _INT, "extlen": _INT},
    "routing": {"type": _INT, "left": _INT, "opts": _HEX, "nh": _INT, "extlen": _INT},
    "frag": {"id": _INT, "off": _INT, "more": _FLAG, "nh": _INT, "frags": _SIZES, "order": _ORDER},
    "udp": {"len": _INT, "checksum": _INT, "bad-checksum": _FLAG, "any-checksum": _FLAG},
    "tcp": {"seq": _INT, "ack": _INT, "win": _INT, "opts": _HEX, "mss": _INT, "offset": _INT,
            "bad-checksum": _FLAG, "any-checksum": _FLAG},
    "icmp": {"code": _INT, "id": _INT, "seq": _INT, "mtu": _INT, "pointer": _INT, "length": _INT,
             "bad-checksum": _FLAG, "any-checksum": _FLAG},
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
    """An integer, hex bytes, a $SYMBOL or * (anything); sizes and the order of fragments are only numbers."""
    if kind == _SIZES:
        return parse_sizes(text)
    if kind == _ORDER:
        if not re.fullmatch(r"\d+(,\d+)*", text):
            raise LanguageError(f"'{text}' is no order of fragments, such as 2,0,1")
        return tuple(map(int, text.split(",")))
    if text == "*":
        return ANY
    if re.fullmatch(r"\$\w+", text):
        return Symbol(text[1:])
    try:
        return bytes.fromhex(text) if kind == _HEX else int(text, 0)
    except ValueError:
        raise LanguageError(f"'{text}' is not a {'row of hex digits' if kind == _HEX else 'number'}, "
                            "$SYMBOL or *") from None


def parse_sizes(text):
    """`1480`, `8+1480+...` or `1480+1480+48`."""
    m = re.fullmatch(r"([1-9]\d*(?:\+[1-9]\d*)*)(\+\.\.\.)?", text)
    if not m:
        raise LanguageError(f"'{text}' are no sizes of fragments, such as 1480 or 8+1480+... or 1480+1480+48")
    sizes = tuple(map(int, m[1].split("+")))
    if any(s % 8 for s in sizes[:-1]) or (m[2] or len(sizes) == 1) and sizes[-1] % 8:
        raise LanguageError(f"frags={text}: all fragments but the last have a multiple of 8 bytes; a lie is written "
                            "as a single fragment with off= and more")
    return Sizes(sizes, bool(m[2]) or len(sizes) == 1)


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
        inner, _, behind = text[1:].rpartition("]")
        layer = Layer("embedded", inner=parse_packet(inner))
        if behind:
            m = re.fullmatch(r" +ext=([^\s*]+|\*)(?:\*(\d+))?", behind)
            if not m:
                raise LanguageError(f"'{behind.strip()}' behind an [embedded packet]: only ext=HEX or ext=HEX*N can stand "
                                    "there")
            value = parse_value(m[1], _HEX)
            layer.fields["ext"] = value * int(m[2]) if m[2] else value
        return layer
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
    """The layers of one line. An [embedded packet] becomes the `inner` of the ICMP layer before it, and the extensions
    behind it become its `ext`."""
    layers = []
    for part in split_outside(text, " / "):
        layer = _parse_layer(part)
        if layer.kind == "embedded":
            if not layers or layers[-1].kind not in ("icmp", "icmp6"):
                raise LanguageError("an [embedded packet] stands behind icmp or icmp6 only")
            if layer.fields and layers[-1].get("type") not in ICMP_EXTENSIBLE[layers[-1].kind]:
                raise LanguageError(f"'{layers[-1].kind}' of this type has no length and no ext= (RFC 4884)")
            layers[-1].inner = layer.inner
            layers[-1].fields.update(layer.fields)
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
