"""Reads IPFIX (RFC 7011) and NetFlow v9 (RFC 3954): templates are learned, records are dictionaries of element numbers and
their bytes. Anything malformed is a FlowError."""

import dataclasses
import struct


class FlowError(Exception):
    pass


@dataclasses.dataclass
class Message:
    version: int
    sequence: int
    templates: int
    records: list
    options: list

    def next_sequence(self):
        """What the next message's sequence number must be."""
        return self.sequence + (len(self.records) + len(self.options) if self.version == 10 else 1)


class Reader:
    """Of one transport session."""

    def __init__(self):
        self._templates = {}

    def stream(self, data, whole=True):
        """The messages of a stream; without `whole` the last may be cut off."""
        while data:
            try:
                message, data = self.message(data)
            except (FlowError, struct.error):
                if whole:
                    raise
                return
            yield message

    def message(self, data):
        """One message off the front: it, and what follows."""
        version, length_or_count = struct.unpack_from("!HH", data)
        if version == 10:
            if not 16 <= length_or_count <= len(data):
                raise FlowError(f"length {length_or_count} of {len(data)}")
            message = Message(version, struct.unpack_from("!I", data, 8)[0], 0, [], [])
            sets, rest = data[16:length_or_count], data[length_or_count:]
            while sets:
                sets = self._set(sets, message, 2, 3)
            return message, rest
        if version == 9:
            message = Message(version, struct.unpack_from("!I", data, 12)[0], 0, [], [])
            rest = data[20:]
            while message.templates + len(message.records) + len(message.options) < length_or_count:
                rest = self._set(rest, message, 0, 1)
            return message, rest
        raise FlowError(f"version {version}")

    def _set(self, data, message, templates, options):
        number, length = struct.unpack_from("!HH", data)
        if not 4 <= length <= len(data):
            raise FlowError(f"set {number} of {length} bytes, there are {len(data)}")
        body = data[4:length]
        if number in (templates, options):
            while len(body) >= 4:
                body = self._template(body, number == options, message)
        elif number in self._templates:
            fields, is_options = self._templates[number]
            size = sum(length for _, length in fields)
            while len(body) >= size:
                record, at = {}, 0
                for element, length_of_it in fields:
                    record[element] = body[at:at + length_of_it]
                    at += length_of_it
                (message.options if is_options else message.records).append(record)
                body = body[size:]
        else:
            raise FlowError(f"set {number} without a template")
        if any(body):
            raise FlowError(f"padding {body!r}")
        return data[length:]

    def _template(self, body, options, message):
        number, count = struct.unpack_from("!HH", body)
        begin = 6 if options else 4
        fields = [struct.unpack_from("!HH", body, begin + 4 * i) for i in range(count)]
        self._templates[number] = (fields, options)
        message.templates += 1
        return body[begin + 4 * count:]


def datagrams(data):
    """The datagrams in collector.py's file; the last may be cut off."""
    at = 0
    while at + 4 <= len(data):
        size = struct.unpack_from("!I", data, at)[0]
        if at + 4 + size > len(data):
            return
        yield data[at + 4:at + 4 + size]
        at += 4 + size


def number(field):
    return int.from_bytes(field, "big")
