"""Layers to bytes (with every lie the scenario tells) and bytes to layers (with every error found).

Written from the RFCs and independent of the product. The dissector checks each length and each checksum; verify.py
has scapy say the same again.
"""

import ipaddress
import struct

from .language import ANY, ICMP_ECHO, ICMP_ERRORS, Layer, LanguageError, Symbol

PROTOCOLS = {"icmp": 1, "ip": 4, "tcp": 6, "udp": 17, "ip6": 41, "frag": 44, "icmp6": 58, "dstopts": 60,
             "hopopts": 0, "routing": 43}
KINDS = {1: "icmp", 6: "tcp", 17: "udp"}
KINDS6 = {0: "hopopts", 4: "ip", 6: "tcp", 17: "udp", 43: "routing", 44: "frag", 58: "icmp6", 60: "dstopts"}
NO_NEXT_HEADER = 59

DEFAULT_SOURCE_MAC = "02:00:00:00:ff:01"
DEFAULT_DESTINATION_MAC = "02:00:00:00:ff:02"


def checksum(data):
    """The Internet checksum (RFC 1071)."""
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def pseudo_header(network, protocol, length):
    """RFC 768/9293 for IPv4, RFC 8200 section 8.1 for IPv6. `network`: the layer of the IP header."""
    addresses = network.fields["src"].packed + network.fields["dst"].packed
    if network.kind == "ip":
        return addresses + struct.pack(">BBH", 0, protocol, length)
    return addresses + struct.pack(">II", length, protocol)


# --- building -------------------------------------------------------------------------------------------------

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


def build(layers):
    """Builds from the inside out; a layer sees its payload and the IP header it lies in."""
    return _build(layers, 0, None)


def _build(layers, i, network):
    if i == len(layers):
        return b""
    layer = layers[i]
    builder = _BUILDERS.get(layer.kind)
    if builder is None:
        raise LanguageError(f"'{layer.kind}' must stand at the end of a packet")
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
    kind, rest = layer.get("type"), 0
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
        payload = (embedded[:-cut] if cut else embedded) + payload
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


# --- dissecting -----------------------------------------------------------------------------------------------

def dissect_frame(data, link):
    """The layers of a frame that the box sent. Trailing bytes behind the IP packet are a `pad` layer."""
    layers = []
    if link == "raw":
        version = data[0] >> 4 if data else 0
        ethertype = {4: 0x0800, 6: 0x86dd}.get(version, 0)
    else:
        if len(data) < 14:
            return [_garbage(data, "frame shorter than an Ethernet header")]
        ethertype = struct.unpack(">H", data[12:14])[0]
        layers.append(Layer("eth", {"src": data[6:12].hex(":"), "dst": data[:6].hex(":"), "type": ethertype}))
        data = data[14:]
        while ethertype == 0x8100 and len(data) >= 4:
            tag, ethertype = struct.unpack(">HH", data[:4])
            layers.append(Layer("vlan", {"vid": tag & 0xfff, "prio": tag >> 13}))
            data = data[4:]
    if ethertype == 0x0800:
        _dissect_ip(data, layers, False)
    elif ethertype == 0x86dd:
        _dissect_ip6(data, layers, False)
    else:
        layers.append(_garbage(data, "neither IPv4 nor IPv6"))
    return layers


def errors_of(layers, prefix=""):
    """All errors of a dissected packet, each with the layer it is in."""
    errors = []
    for layer in layers:
        errors += [f"{prefix}{layer.kind}: {e}" for e in layer.errors]
        errors += errors_of(layer.inner or [], f"{prefix}{layer.kind} > ")
    return errors


def _garbage(data, error):
    return Layer("garbage", {"bytes": data}, errors=[error])


def _bounded(layer, data, length, partial, what):
    """The payload that a length field promises: errors when it is not there or there is more."""
    if length > len(data):
        if not partial:
            layer.errors.append(f"{what}: {length} bytes promised, {len(data)} there")
        return data, False, b""
    return data[:length], True, data[length:]


def _dissect_ip(data, layers, partial):
    if len(data) < 20 or (data[0] & 15) < 5 or len(data) < (data[0] & 15) * 4:
        layers.append(_garbage(data, "IPv4 header cut short"))
        return
    first, tos, length, identification, flags, ttl, protocol, _ = struct.unpack(">BBHHHBBH", data[:12])
    size = (first & 15) * 4
    layer = Layer("ip", {
        "src": ipaddress.IPv4Address(data[12:16]), "dst": ipaddress.IPv4Address(data[16:20]), "ttl": ttl, "tos": tos,
        "dscp": tos >> 2, "ecn": tos & 3, "id": identification, "df": bool(flags & 0x4000),
        "more": bool(flags & 0x2000), "off": (flags & 0x1fff) * 8, "proto": protocol, "opts": data[20:size],
        "ihl": first & 15, "len": length, "version": first >> 4})
    layers.append(layer)
    if first >> 4 != 4:
        layer.errors.append(f"version {first >> 4}")
    if flags & 0x8000:
        layer.errors.append("reserved flag is set")
    if checksum(data[:size]) != 0:
        layer.errors.append("header checksum is wrong")
    if length < size:
        layer.errors.append(f"total length {length} is less than the header")
        return
    payload, whole, rest = _bounded(layer, data[size:], length - size, partial, "total length")
    if layer.fields["off"]:
        layers.append(Layer("payload", {"bytes": payload}))
    else:
        _dissect_transport(payload, protocol, layers, layer, whole and not layer.fields["more"])
    _trailing(rest, layers)


def _dissect_ip6(data, layers, partial):
    if len(data) < 40:
        layers.append(_garbage(data, "IPv6 header cut short"))
        return
    first, length, following, hop_limit = struct.unpack(">IHBB", data[:8])
    traffic_class = first >> 20 & 0xff
    layer = Layer("ip6", {
        "src": ipaddress.IPv6Address(data[8:24]), "dst": ipaddress.IPv6Address(data[24:40]), "hl": hop_limit,
        "tc": traffic_class, "dscp": traffic_class >> 2, "ecn": traffic_class & 3, "flow": first & 0xfffff,
        "nh": following, "plen": length, "version": first >> 28})
    layers.append(layer)
    if first >> 28 != 6:
        layer.errors.append(f"version {first >> 28}")
    payload, whole, rest = _bounded(layer, data[40:], length, partial, "payload length")
    while following in (0, 43, 44, 60):
        kind = KINDS6[following]
        size = 8 if kind == "frag" else 8 + payload[1] * 8 if len(payload) >= 2 else 8
        if len(payload) < size:
            layers.append(_garbage(payload, f"{kind} header cut short"))
            return
        if kind == "frag":
            following, _, offset, identification = struct.unpack(">BBHI", payload[:8])
            layers.append(Layer("frag", {"id": identification, "off": offset & 0xfff8, "more": bool(offset & 1),
                                         "nh": following}))
            whole = whole and not offset & 1
            if offset & 0xfff8:
                layers.append(Layer("payload", {"bytes": payload[8:]}))
                _trailing(rest, layers)
                return
        else:
            extension = Layer(kind, {"nh": payload[0], "extlen": payload[1]})
            if kind == "routing":
                extension.fields.update(type=payload[2], left=payload[3], opts=payload[4:size])
            elif payload[2:4] == b"\x04\x01":
                extension.fields["encap-limit"] = payload[4]
            else:
                extension.fields["opts"] = payload[2:size]
            layers.append(extension)
            following = payload[0]
        payload = payload[size:]
    if following == 4:
        _dissect_ip(payload, layers, partial or not whole)
    elif following != NO_NEXT_HEADER:
        _dissect_transport(payload, following, layers, layer, whole)
    _trailing(rest, layers)


def _trailing(rest, layers):
    if rest:
        layers.append(Layer("pad", {"n": len(rest)}, errors=[f"{len(rest)} bytes behind the end of the packet"]))


def _dissect_transport(data, protocol, layers, network, whole):
    """`whole`: all of the segment is there, so that its checksum and length can be checked."""
    kind = (KINDS if network.kind == "ip" else KINDS6).get(protocol)
    if kind == "udp" and len(data) >= 8:
        _dissect_udp(data, layers, network, whole)
    elif kind == "tcp" and (len(data) >= 20 or (len(data) >= 8 and not whole)):
        _dissect_tcp(data, layers, network, whole)
    elif kind in ("icmp", "icmp6") and len(data) >= 8:
        _dissect_icmp(kind, data, layers, network, whole)
    elif kind in ("udp", "tcp", "icmp", "icmp6"):
        layers.append(_garbage(data, f"{kind} header cut short"))
    elif data:
        layers.append(Layer("payload", {"bytes": data}))


def _check_transport(layer, data, network, protocol):
    if checksum(pseudo_header(network, protocol, len(data)) + data) != 0:
        layer.errors.append("checksum is wrong")


def _dissect_udp(data, layers, network, whole):
    sport, dport, length, total = struct.unpack(">HHHH", data[:8])
    layer = Layer("udp", {"sport": sport, "dport": dport, "len": length, "checksum": total})
    layers.append(layer)
    if whole and length != len(data):
        layer.errors.append(f"length field {length}, but {len(data)} bytes in the packet")
    if total == 0 and network.kind == "ip6":
        layer.errors.append("no checksum over IPv6 (RFC 8200 section 8.1)")
    elif total != 0 and whole:
        _check_transport(layer, data, network, 17)
    _payload(data[8:], layers)


def _dissect_tcp(data, layers, network, whole):
    sport, dport, seq = struct.unpack(">HHI", data[:8])
    layer = Layer("tcp", {"sport": sport, "dport": dport, "seq": seq})
    layers.append(layer)
    if len(data) < 20:
        return  # embedded in an ICMP error: eight bytes are all that is promised
    ack, offset, flags, window = struct.unpack(">IBBH", data[8:16])
    size = (offset >> 4) * 4
    layer.fields.update(flags=flags, ack=ack, win=window, offset=offset >> 4)
    if size < 20 or (whole and size > len(data)):
        layer.errors.append(f"data offset {offset >> 4} does not fit {len(data)} bytes")
        return
    layer.fields["opts"] = data[20:size]
    if data[20:22] == b"\x02\x04" and size >= 24:
        layer.fields["mss"] = struct.unpack(">H", data[22:24])[0]
    if whole:
        _check_transport(layer, data, network, 6)
    _payload(data[size:], layers)


def _dissect_icmp(kind, data, layers, network, whole):
    icmp_type, code, _, rest = struct.unpack(">BBHI", data[:8])
    layer = Layer(kind, {"type": icmp_type, "code": code})
    layers.append(layer)
    if whole:
        if kind == "icmp6":
            _check_transport(layer, data, network, 58)
        elif checksum(data) != 0:
            layer.errors.append("checksum is wrong")
    if icmp_type in ICMP_ECHO[kind]:
        layer.fields.update(id=rest >> 16, seq=rest & 0xffff)
        _payload(data[8:], layers)
    elif icmp_type in ICMP_ERRORS[kind]:
        layer.fields["mtu"] = rest if kind == "icmp6" else rest & 0xffff
        layer.fields["pointer"] = rest >> 24 if kind == "icmp" else rest
        layer.inner = []
        (_dissect_ip if kind == "icmp" else _dissect_ip6)(data[8:], layer.inner, True)
    else:
        _payload(data[8:], layers)


def _payload(data, layers):
    if data:
        layers.append(Layer("payload", {"bytes": data}))
