"""Fragments in the packet language: `frags=SIZES` on the layer that is cut, `ip` or `frag`.

An arriving packet is built whole, with the checksums of the whole, and cut. What comes out is put together again
before it is compared: every piece is checked by itself (lengths, header checksum, the same headers in all, offsets in
order), then the whole by the same rules as any packet. RFC 791 section 3.2, RFC 8200 section 4.5.
"""

import struct
from dataclasses import replace

from .build import build
from .dissect import dissect_frame, errors_of
from .language import Layer, LanguageError, Sizes
from .wire import NO_NEXT_HEADER, PROTOCOLS, checksum

LARGEST = 65535
# What may differ between the fragments of a datagram, by layer.
_OWN = {"ip": {"off", "more", "len", "opts", "ihl"}, "ip6": {"plen"}, "frag": {"off", "more"}}


def is_cut(layers):
    return any("frags" in layer.fields for layer in layers)


def options_of(data):
    """The options of an IPv4 header, one by one, without padding."""
    options = []
    while data and data[0] != 0:
        size = 1 if data[0] == 1 or len(data) < 2 else max(data[1], 1)
        if data[0] != 1:
            options.append(data[:size])
        data = data[size:]
    return options


def copied_options(data):
    """RFC 791 section 3.1: those with the copied flag stand in every fragment."""
    return [o for o in options_of(data) if o[0] & 0x80]


# --- cutting --------------------------------------------------------------------------------------------------

def cut(layers):
    """The packets, as layers, that an arriving packet is: itself, or its fragments. Where an outer and an inner
    layer are cut, every inner fragment becomes a datagram with an identification of its own, counted up."""
    cut_at = [i for i, layer in enumerate(layers) if "frags" in layer.fields]
    if not cut_at:
        return [layers]
    *outer, at = cut_at
    packets = []
    for n, piece in enumerate(_cut(layers, at)):
        piece = [replace(x, fields={**x.fields, "id": x.get("id", 1) + n}) if i in outer else x
                 for i, x in enumerate(piece)]
        packets += cut(piece)
    return packets


def _cut(layers, at):
    layer, head, tail = layers[at], layers[:at], layers[at + 1:]
    if not tail:
        raise LanguageError("frags= on a layer with nothing behind it")
    trailer = []
    while tail and tail[-1].kind in ("pad", "cut", "snap"):
        trailer.insert(0, tail.pop())
    network = next(x for x in reversed(layers[:at + 1]) if x.kind in ("ip", "ip6"))
    payload = build(tail, network)
    sizes = layer.get("frags").of(len(payload))
    if sizes is None:
        raise LanguageError(f"frags={layer.get('frags')}, but there are {len(payload)} bytes to cut")
    number = "proto" if layer.kind == "ip" else "nh"
    start, pieces = 0, []
    for size in sizes:
        last = start + size == len(payload)
        fields = {k: v for k, v in layer.fields.items() if k not in ("frags", "order", "more")}
        fields[number] = layer.get(number, PROTOCOLS.get(tail[0].kind, 253 if layer.kind == "ip" else NO_NEXT_HEADER))
        fields["off"] = layer.get("off", 0) + start
        if not last or layer.get("more"):
            fields["more"] = True
        if start and "opts" in fields:
            fields["opts"] = b"".join(copied_options(fields["opts"]))
        pieces.append(head + [Layer(layer.kind, fields), Layer("payload", {"bytes": payload[start:start + size]})] +
                      trailer)
        start += size
    order = layer.get("order", range(len(pieces)))
    if max(order) >= len(pieces):
        raise LanguageError(f"order={','.join(map(str, order))}, but there are {len(pieces)} fragments, from 0 on")
    return [pieces[i] for i in order]


# --- joining --------------------------------------------------------------------------------------------------

class _Piece:
    """A fragment that came: `at` is its layer's index, `layer_at` and `payload_at` are in bytes of the frame."""
    def __init__(self, output, at, layer_at, payload_at, end):
        self.output, self.at, self.layer_at, self.payload_at = output, at, layer_at, payload_at
        self.layer = output.layers[at]
        self.payload = output.data[payload_at:end]
        self.offset, self.more = self.layer.get("off"), self.layer.get("more")

    def headers(self):
        return self.output.layers[:self.at + 1]

    def datagram(self):
        """RFC 791 section 3.2, RFC 8200 section 4.5: what tells datagrams apart."""
        ends = tuple((x.kind, x.get("src"), x.get("dst")) for x in self.headers() if x.kind in ("ip", "ip6"))
        return ends, self.layer.get("id"), self.layer.get("proto")


def join(outputs, link):
    """`outputs` with all datagrams that came whole, in pieces, as one each; it has the place of its first piece."""
    groups = {}
    for i, output in enumerate(outputs):
        piece = _piece_of(output)
        groups.setdefault(piece.datagram() if piece else i, []).append(piece or output)
    joined = []
    for members in groups.values():
        if isinstance(members[0], _Piece):
            whole = _whole(members, link)
            joined += [whole] if whole else [p.output for p in members]
        else:
            joined += members
    return joined


def _piece_of(output):
    at, end = 0, len(output.data)
    for i, layer in enumerate(output.layers):
        size = {"eth": 14, "vlan": 4, "ip": layer.get("ihl", 5) * 4, "ip6": 40, "frag": 8}.get(layer.kind)
        if layer.kind in ("dstopts", "hopopts", "routing"):
            size = 8 + 8 * layer.get("extlen")
        if size is None:
            return None
        if layer.kind == "ip6":
            end = at + 40 + layer.get("plen")
        if layer.kind in ("ip", "frag") and (layer.get("off") or layer.get("more")):
            end = at + layer.get("len") if layer.kind == "ip" else end
            return _Piece(output, i, at, at + size, end)
        at += size
    return None


def _whole(pieces, link):
    """The joined datagram with what is wrong with its pieces, or None when they do not make one."""
    there = sorted(pieces, key=lambda p: p.offset)
    first, end = there[0], 0
    for p in there:
        if p.offset != end or p.more == (p is there[-1]):
            return None
        end += len(p.payload)
    if end > LARGEST - 20:
        return None
    data = bytearray(first.output.data[:first.payload_at] + b"".join(p.payload for p in there))
    _mend(data, first, end - len(first.payload))
    layers = dissect_frame(bytes(data), link)
    layer = layers[first.at]
    layer.fields["frags"] = Sizes(tuple(len(p.payload) for p in there))
    for n, p in enumerate(there):
        layer.errors += [f"fragment {n}: {e}" for e in _errors_of_piece(p, first)]
    if there != pieces:
        layer.errors.append(f"fragments came in the order of offsets {', '.join(str(p.offset) for p in pieces)}")
    return replace(first.output, data=bytes(data), layers=layers)


def _mend(data, first, longer):
    """Makes the first piece's headers those of the whole, which is `longer`."""
    at = 0
    for layer in first.headers():
        if layer.kind == "ip6":
            struct.pack_into(">H", data, at + 4, layer.get("plen") + longer)
        at += {"eth": 14, "vlan": 4, "ip": layer.get("ihl", 5) * 4, "ip6": 40, "frag": 8}.get(
            layer.kind, 8 + 8 * layer.get("extlen", 0))
    at = first.layer_at
    if first.layer.kind == "frag":
        struct.pack_into(">H", data, at + 2, 0)
        return
    struct.pack_into(">HHH", data, at + 2, first.layer.get("len") + longer, first.layer.get("id"),
                     0x4000 * first.layer.get("df"))
    struct.pack_into(">H", data, at + 10, 0)
    struct.pack_into(">H", data, at + 10, checksum(bytes(data[at:first.payload_at])))


def _errors_of_piece(piece, first):
    """Its own errors, and where its headers differ from the first piece's."""
    errors = errors_of(piece.headers()) + errors_of([x for x in piece.output.layers if x.kind == "pad"])
    if piece is first:
        return errors
    for mine, theirs in zip(piece.headers(), first.headers()):
        for name, value in theirs.fields.items():
            if name not in _OWN.get(mine.kind, ()) and mine.fields.get(name) != value:
                errors.append(f"{mine.kind} {name} is {mine.fields.get(name)}, that of the first is {value}")
    options, of_first = piece.layer.get("opts", b""), first.layer.get("opts", b"")
    if options_of(options) != copied_options(of_first):
        errors.append(f"options are {options.hex()}, of which the first has {of_first.hex()} to be copied")
    return errors
