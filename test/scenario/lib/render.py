"""A packet's layers as a line of the language (language.py): the way back from parse_packet()."""

from .language import ANY, ICMP_TYPES, Symbol, TCP_FLAGS, filler

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
    "icmp": {"code": 0, "mtu": 0, "pointer": 0, "length": 0}, "icmp6": {"code": 0, "mtu": 0, "pointer": 0, "length": 0},
}


def render(layers, like=None):
    """The line for a packet. `like`: the packet it is compared with; fields written there are shown here too."""
    parts = []
    for i, layer in enumerate(layers):
        twin = like[i] if like and i < len(like) and like[i].kind == layer.kind else None
        parts.append(_render_layer(layer, twin))
        if layer.inner is not None:
            parts.append(f"[{render(layer.inner, twin.inner if twin else None)}]{_extensions(layer.get('ext'))}")
    return " / ".join(parts)


def _extensions(data):
    if not data:
        return ""
    return f" ext={data[:1].hex()}*{len(data)}" if len(data) > 7 and len(set(data)) == 1 else f" ext={data.hex()}"


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
    words, done = [layer.kind], {"src", "dst", "sport", "dport", "flags", "type", "vid", "ext"}
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
