#!/usr/bin/python3 -B
"""A collector that keeps every byte: for what no other collector of Debian receives (IPFIX and NetFlow v9 over TCP).

    collector.py udp|tcp PORT DIRECTORY

Datagrams go to DIRECTORY/datagrams, each behind its length in four bytes; each connection to a file of its own,
stream-0, stream-1 and so on.
"""

import pathlib
import socket
import struct
import sys


SO_RCVBUFFORCE = 33  # socket(7); Python has no name for it


def receive_datagrams(port, directory):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s, open(directory / "datagrams", "ab", buffering=0) as out:
        s.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
        s.bind(("127.0.0.1", port))
        while True:
            datagram = s.recv(65536)
            out.write(struct.pack("!I", len(datagram)) + datagram)


def receive_streams(port, directory):
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(("127.0.0.1", port))
        s.listen(5)
        while True:
            connection, _ = s.accept()
            name = directory / f"stream-{sum(1 for _ in directory.glob('stream-*'))}"
            with connection, open(name, "wb", buffering=0) as out:
                try:
                    while data := connection.recv(1 << 20):
                        out.write(data)
                except ConnectionError:
                    pass


def main():
    kind, port, directory = sys.argv[1], int(sys.argv[2]), pathlib.Path(sys.argv[3])
    (receive_datagrams if kind == "udp" else receive_streams)(port, directory)


if __name__ == "__main__":
    main()
