"""Layers to bytes, with every lie the scenario tells. Lengths and checksums are right unless it lies about them."""

import struct

from .language import ANY, ICMP_ECHO, ICMP_EXTENSIBLE, ICMP_LENGTH_UNIT, LEAST_QUOTATION, Layer, LanguageError, Symbol
from .wire import NO_NEXT_HEADER, PROTOCOLS, checksum, pseudo_header

DEFAULT_SOURCE_MAC = "02:00:00:00:ff:01"
DEFAULT_DESTINATION_MAC = "02:00:00:00:ff:02"


def build_frame(layers, link):
    """The bytes of a frame: (bytes, original length). `link`: "ethernet" or "raw"."""
    layers = list(layers)
    pad = cut = snap = 0
    while layers and layers[-1].kind in ("pad", "cut", "snap"):
        layer = layers.pop()
        pad, cut, snap = [layer.get("n") if layer.kind == k else v
                          for k, v in (("pad", pad), ("cut", cut), ("snap", snap))]
    if not layers:
        raise LanguageError("a packet without layers")
    if link == "raw" and layers[0].kind in ("eth", "vlan"):
        raise LanguageError(f"'{layers[0].kind}' on a raw-IP link")
    if link == "ethernet" and layers[0].kind != "eth":
        layers.insert(0, Layer("eth", {"src": DEFAULT_SOURCE_MAC, "dst": DEFAULT_DESTINATION_MAC}))
    data = build(layers) + bytes(pad)
    if cut:
        data = data[:-cut]
    return (data[:snap] if snap else data), len(data)


def build(layers, network=None):
    """Builds from the inside out; a layer sees its payload and the IP header it lies in, the first one `network`."""
    return _build(layers, 0, network)


def _build(layers, i, network):
    if i == len(layers):
        return b""
    layer = layers[i]
    builder = _BUILDERS.get(layer.kind)
    if builder is None:
        raise LanguageError(f"'{layer.kind}' must stand at the end of a packet")
    if "frags" in layer.fields:
        raise LanguageError("frags= does not stand within an ICMP error")
    for value in layer.fields.values():
        if value is ANY or isinstance(value, Symbol):
            raise LanguageError(f"'{layer.kind}' of a packet to send needs a value, not {value}")
    payload = _build(layers, i + 1, layer if layer.kind in ("ip", "ip6") else network)
    return builder(layer, payload, network, layers[i + 1].kind if i + 1 < len(layers) else None)


def _mac(text):
    return bytes.fromhex(text.replace(":", ""))


def _ethertype(layer, following):
    return layer.get("type", {"ip": 0x0800, "ip6": 0x86dd, "vlan": 0x8100}.get(following, 0xffff))


def _build_eth(layer, payload, _network, following):
    return _mac(layer.get("dst")) + _mac(layer.get("src")) + struct.pack(">H", _ethertype(layer, following)) + payload


def _build_vlan(layer, payload, _network, following):
    return struct.pack(">HH", layer.get("prio", 0) << 13 | layer.get("vid"), _ethertype(layer, following)) + payload


def _traffic_class(layer, name):
    return layer.get(name, layer.get("dscp", 0) << 2 | layer.get("ecn", 0))


def _build_ip(layer, payload, _network, following):
    options = layer.get("opts", b"")
    options += bytes(-len(options) % 4)
    ihl = layer.get("ihl", 5 + len(options) // 4)
    offset = layer.get("off", 0)
    if offset % 8:
        raise LanguageError("off= counts bytes and is a multiple of 8")
    flags = 0x4000 * layer.get("df", False) | 0x2000 * layer.get("more", False) | offset // 8
    header = struct.pack(">BBHHHBBH", layer.get("version", 4) << 4 | ihl, _traffic_class(layer, "tos"),
                         layer.get("len", 20 + len(options) + len(payload)), layer.get("id", 1), flags,
                         layer.get("ttl", 64), layer.get("proto", PROTOCOLS.get(following, 253)), 0)
    header += layer.get("src").packed + layer.get("dst").packed + options
    total = checksum(header) ^ (0x5555 if layer.get("bad-checksum") else 0)
    return header[:10] + struct.pack(">H", total) + header[12:] + payload


def _build_ip6(layer, payload, _network, following):
    first = layer.get("version", 6) << 28 | _traffic_class(layer, "tc") << 20 | layer.get("flow", 0)
    return struct.pack(">IHBB", first, layer.get("plen", len(payload)),
                       layer.get("nh", PROTOCOLS.get(following, NO_NEXT_HEADER)), layer.get("hl", 64)) + \
        layer.get("src").packed + layer.get("dst").packed + payload


def _build_options(layer, payload, _network, following):
    options = layer.get("opts", b"")
    if "encap-limit" in layer.fields:
        options += bytes((4, 1, layer.get("encap-limit")))  # RFC 2473 section 4.1.1
    missing = -(len(options) + 2) % 8
    options += b"\0" if missing == 1 else bytes((1, missing - 2)) + bytes(missing - 2) if missing else b""
    return bytes((layer.get("nh", PROTOCOLS.get(following, NO_NEXT_HEADER)),
                  layer.get("extlen", (len(options) + 2) // 8 - 1))) + options + payload


def _build_routing(layer, payload, _network, following):
    """RFC 8200 section 4.4. `opts` is the type-specific data, four zero bytes (type 0: reserved) unless given."""
    data = layer.get("opts", bytes(4))
    data += bytes(-(len(data) + 4) % 8)
    return bytes((layer.get("nh", PROTOCOLS.get(following, NO_NEXT_HEADER)),
                  layer.get("extlen", (len(data) + 4) // 8 - 1), layer.get("type", 0), layer.get("left", 0))) + \
        data + payload


def _build_frag(layer, payload, _network, following):
    return struct.pack(">BBHI", layer.get("nh", PROTOCOLS.get(following, NO_NEXT_HEADER)), 0,
                       layer.get("off", 0) | layer.get("more", False), layer.get("id", 0)) + payload


def _transport_checksum(layer, segment, position, network, protocol):
    if network is None:
        raise LanguageError(f"'{layer.kind}' needs an IP header before it")
    total = checksum(pseudo_header(network, protocol, len(segment)) + segment)
    if protocol == 17 and total == 0:
        total = 0xffff
    if layer.get("bad-checksum"):
        total ^= 0x5555
    return segment[:position] + struct.pack(">H", total) + segment[position + 2:]


def _build_udp(layer, payload, network, _following):
    segment = struct.pack(">HHHH", layer.get("sport"), layer.get("dport"), layer.get("len", 8 + len(payload)),
                          layer.get("checksum", 0)) + payload
    return segment if "checksum" in layer.fields else _transport_checksum(layer, segment, 6, network, 17)


def _build_tcp(layer, payload, network, _following):
    options = layer.get("opts", b"")
    if "mss" in layer.fields:
        options = struct.pack(">BBH", 2, 4, layer.get("mss")) + options
    options += bytes(-len(options) % 4)
    segment = struct.pack(">HHIIBBHHH", layer.get("sport"), layer.get("dport"), layer.get("seq", 0),
                          layer.get("ack", 0), layer.get("offset", 5 + len(options) // 4) << 4, layer.get("flags", 0),
                          layer.get("win", 65535), 0, 0) + options + payload
    return _transport_checksum(layer, segment, 16, network, 6)


def _build_icmp(layer, payload, network, _following):
    kind, rest, length = layer.get("type"), 0, layer.get("length", 0)
    if kind in ICMP_ECHO[layer.kind] or "id" in layer.fields:
        rest = layer.get("id", 0) << 16 | layer.get("seq", 0)
    elif "mtu" in layer.fields:
        rest = layer.get("mtu")
    elif "pointer" in layer.fields:
        rest = layer.get("pointer") << (24 if layer.kind == "icmp" else 0)
    if layer.inner is not None:
        inner = list(layer.inner)
        cut = inner.pop().get("n") if inner[-1].kind == "cut" else 0
        embedded = build(inner)
        embedded = embedded[:-cut] if cut else embedded
        if "ext" in layer.fields:  # RFC 4884 section 4: zeros up to a bound, then the extensions
            unit = ICMP_LENGTH_UNIT[layer.kind]
            length = layer.get("length", max(-(-len(embedded) // unit), LEAST_QUOTATION // unit))
            embedded += bytes(max(0, length * unit - len(embedded))) + layer.get("ext")
        payload = embedded + payload
    if kind in ICMP_EXTENSIBLE[layer.kind]:
        rest |= length << (16 if layer.kind == "icmp" else 24)
    message = struct.pack(">BBHI", kind, layer.get("code", 0), 0, rest) + payload
    if layer.kind == "icmp6":
        return _transport_checksum(layer, message, 2, network, 58)
    total = checksum(message) ^ (0x5555 if layer.get("bad-checksum") else 0)
    return message[:2] + struct.pack(">H", total) + message[4:]


def _build_payload(layer, payload, _network, _following):
    return layer.get("bytes") + payload


_BUILDERS = {"eth": _build_eth, "vlan": _build_vlan, "ip": _build_ip, "ip6": _build_ip6, "dstopts": _build_options,
             "hopopts": _build_options, "routing": _build_routing, "frag": _build_frag, "udp": _build_udp,
             "tcp": _build_tcp, "icmp": _build_icmp, "icmp6": _build_icmp, "payload": _build_payload}
