"""Bytes to layers, with every error found: each length and each checksum is checked. verify.py has scapy say the same
again."""

import ipaddress
import struct

from .language import ICMP_ECHO, ICMP_ERRORS, ICMP_EXTENSIBLE, ICMP_LENGTH_UNIT, Layer
from .wire import KINDS, KINDS6, NO_NEXT_HEADER, checksum, pseudo_header


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
        quoted = data[8:]
        if icmp_type in ICMP_EXTENSIBLE[kind]:
            layer.fields["length"] = rest >> (16 if kind == "icmp" else 24) & 0xff
            quoted = _without_extensions(layer, quoted)
            rest &= 0xff00ffff if kind == "icmp" else 0xffffff
        layer.fields["mtu"] = rest if kind == "icmp6" else rest & 0xffff
        layer.fields["pointer"] = rest >> 24 if kind == "icmp" else rest
        layer.inner = []
        (_dissect_ip if kind == "icmp" else _dissect_ip6)(quoted, layer.inner, True)
        if layer.get("length") and layer.inner[-1].kind == "pad":
            if any(quoted[-layer.inner.pop().get("n"):]):
                layer.errors.append("not only zeros between the packet within and the end that the length field names")
    else:
        _payload(data[8:], layers)


def _without_extensions(layer, data):
    """What an ICMP error quotes: all, or as much as its length field says; then the rest is its `ext` (RFC 4884)."""
    length = layer.get("length") * ICMP_LENGTH_UNIT[layer.kind]
    if length > len(data):
        layer.errors.append(f"length field {layer.get('length')}: {length} bytes promised, {len(data)} there")
    elif length and length < len(data):
        layer.fields["ext"] = data[length:]
        return data[:length]
    return data


def _payload(data, layers):
    if data:
        layers.append(Layer("payload", {"bytes": data}))
