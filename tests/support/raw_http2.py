# SPDX-License-Identifier: Apache-2.0
"""HTTP/2 frames by hand, for peers that no library would play."""
import socket
import struct
import threading

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY = 0, 1, 3, 4, 6, 7
END_STREAM, ACK, END_HEADERS = 1, 1, 4
TIMEOUT = 20  # seconds


def frame(kind, flags=0, stream=0, payload=b""):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def _integer(value):
    """A length of HPACK, prefix of 7 bits."""
    if value < 127:
        return bytes([value])
    out, value = bytearray([127]), value - 127
    while value >= 128:
        out.append(value % 128 + 128)
        value //= 128
    out.append(value)
    return bytes(out)


def header_block(*pairs):
    """Literals that are never indexed: the simplest form that HPACK has."""
    out = b""
    for name, value in pairs:
        name, value = (x if isinstance(x, bytes) else x.encode() for x in (name, value))
        out += b"\x00" + _integer(len(name)) + name + _integer(len(value)) + value
    return out


def headers(*pairs, stream=1, end=False):
    return frame(HEADERS, END_HEADERS | (END_STREAM if end else 0), stream, header_block(*pairs))


def message(payload):
    return struct.pack(">BI", 0, len(payload)) + payload


GOOD_HEAD = ((":status", "200"), ("content-type", "application/grpc"))


def good_answer(payload):
    """All a server sends for one call, from its first byte."""
    return (frame(SETTINGS) + frame(SETTINGS, ACK) + headers(*GOOD_HEAD) +
            frame(DATA, 0, 1, message(payload)) + headers(("grpc-status", "0"), end=True))


def trailers_only(*pairs):
    return frame(SETTINGS) + frame(SETTINGS, ACK) + headers(*GOOD_HEAD, *pairs, end=True)


class Lost(Exception):
    """The other side hung up."""


def receive(connection, size):
    got = b""
    while len(got) < size:
        more = connection.recv(size - len(got))
        if not more:
            raise Lost
        got += more
    return got


def read_frame(connection):
    """(kind, flags, stream, payload)"""
    head = receive(connection, 9)
    kind, flags, stream = struct.unpack(">BBI", head[3:])
    return kind, flags, stream, receive(connection, int.from_bytes(head[:3], "big"))


def read_request(connection):
    """The body of the first request, from the connection's first byte."""
    if receive(connection, len(PREFACE)) != PREFACE:
        raise Lost
    body = b""
    while True:
        kind, flags, _, payload = read_frame(connection)
        if kind == DATA:
            body += payload
        if kind in (DATA, HEADERS) and flags & END_STREAM:
            return body


class Server:
    """Gives each connection to play(connection), one after another, then hangs up."""

    def __init__(self, play):
        self.play = play
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.target = "127.0.0.1:%d" % self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(TIMEOUT)
                try:
                    self.play(connection)
                except (Lost, OSError):
                    pass

    def stop(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(TIMEOUT)
