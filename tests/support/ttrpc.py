# SPDX-License-Identifier: Apache-2.0
"""ttrpc from its specification, both ends, with protobuf made by hand: the oracle of our own.

Frames: length and stream id (32 bits, big-endian), type, flags, payload."""

import socket
import socketserver
import struct
import threading

REQUEST, RESPONSE, DATA = 1, 2, 3
OK, INVALID_ARGUMENT, DEADLINE_EXCEEDED, NOT_FOUND, PERMISSION_DENIED = 0, 3, 4, 5, 7
RESOURCE_EXHAUSTED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE = 8, 12, 13, 14
MESSAGE_MAX = 4 << 20
TIMEOUT = 20  # seconds until a test gives up on a peer


# ---- protobuf ----

def varint(value):
    out = bytearray()
    value &= (1 << 64) - 1
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def field(number, value):
    """A field as proto3 writes it: bytes, text or a number, and nothing for the default."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value) if value else b""
    if isinstance(value, str):
        value = value.encode()
    return varint(number << 3 | 2) + varint(len(value)) + value if value else b""


def fields(message):
    """Field number to the list of its values, numbers or bytes."""
    found, at = {}, 0

    def number():
        nonlocal at
        value, shift = 0, 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(message):
        key = number()
        if key & 7 == 0:
            value = number()
        elif key & 7 == 2:
            size = number()
            if at + size > len(message):
                raise ValueError("a field ends behind its message")
            value = message[at:at + size]
            at += size
        else:
            raise ValueError(f"wire type {key & 7}")
        found.setdefault(key >> 3, []).append(value)
    return found


def one(found, number, default):
    return found.get(number, [default])[-1]


# ---- frames ----

def frame(stream, kind, payload, flags=0):
    return struct.pack(">IIBB", len(payload), stream, kind, flags) + payload


def request(service, method, payload=b"", timeout_ns=0, metadata=()):
    pairs = b"".join(field(5, field(1, k) + field(2, v)) for k, v in metadata)
    return (field(1, service) + field(2, method) + field(3, payload) + field(4, timeout_ns) + pairs)


def response(payload=b"", code=OK, text=""):
    if code == OK:
        return field(2, payload)
    status = field(1, code) + field(2, text)
    return field(1, status)


def read_exactly(connection, size):
    data = bytearray()
    while len(data) < size:
        more = connection.recv(size - len(data))
        if not more:
            raise ConnectionError("the peer hung up")
        data += more
    return bytes(data)


def read_frame(connection):
    """Stream id, type, flags, payload."""
    size, stream, kind, flags = struct.unpack(">IIBB", read_exactly(connection, 10))
    return stream, kind, flags, read_exactly(connection, size)


def dial(address):
    """unix:///PATH, unix://@ABSTRACT or tcp://HOST:PORT, also behind ttrpc+ and ttrpc://."""
    address = address.replace("ttrpc+", "").replace("ttrpc://", "tcp://")
    kind, rest = address.split("://", 1)
    if kind == "tcp":
        host, port = rest.rsplit(":", 1)
        return socket.create_connection((host.strip("[]"), int(port)), timeout=TIMEOUT)
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(TIMEOUT)
    connection.connect("\0" + rest[1:] if rest.startswith("@") else rest)
    return connection


# ---- the asking end ----

class Refused(Exception):
    def __init__(self, code, text):
        super().__init__(f"{code}: {text}")
        self.code, self.text = code, text


class Client:
    def __init__(self, address):
        self.connection = dial(address)
        self.stream = 1
        self.answers = {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.connection.close()

    def send(self, service, method, payload=b"", **options):
        """Asks and does not wait; returns the stream id."""
        stream, self.stream = self.stream, self.stream + 2
        self.connection.sendall(frame(stream, REQUEST, request(service, method, payload, **options)))
        return stream

    def receive(self):
        """The next answer, whoever it is for: stream id, code, payload or text."""
        stream, kind, _, payload = read_frame(self.connection)
        if kind != RESPONSE:
            raise ValueError(f"a frame of type {kind}")
        found = fields(payload)
        status = fields(one(found, 1, b""))
        code = one(status, 1, OK)
        return stream, code, one(status, 2, b"").decode() if code else one(found, 2, b"")

    def wait(self, stream):
        while stream not in self.answers:
            got, code, value = self.receive()
            self.answers[got] = code, value
        code, value = self.answers.pop(stream)
        if code != OK:
            raise Refused(code, value)
        return value

    def call(self, service, method, payload=b"", **options):
        return self.wait(self.send(service, method, payload, **options))


# ---- the answering end ----

class Server:
    """Answers with what handle(service, method, payload) returns, or raises Refused with. Requests
    as they came are in .requests. rust: answers carry an empty status, as ttrpc-rust's do. reply:
    raw bytes instead of an answer, made by a function of stream and request."""

    def __init__(self, path, handle, rust=False, reply=None):
        outer = self
        self.requests, self.connections = [], 0
        self.handle, self.rust, self.reply = handle, rust, reply

        class Handler(socketserver.BaseRequestHandler):
            def handle(self):
                outer.connections += 1
                try:
                    while outer.serve_one(self.request):
                        pass
                except OSError:
                    pass

        class Listener(socketserver.ThreadingUnixStreamServer):
            daemon_threads = True

        self.listener = Listener(path, Handler)
        self.thread = threading.Thread(target=self.listener.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.shutdown()
        self.listener.server_close()

    def serve_one(self, connection):
        stream, kind, _, payload = read_frame(connection)
        self.requests.append(frame(stream, kind, payload))
        if self.reply:
            raw = self.reply(stream, payload)
            connection.sendall(raw or b"")
            return raw is not None
        found = fields(payload)
        try:
            answer = response(self.handle(one(found, 1, b"").decode(), one(found, 2, b"").decode(),
                                          one(found, 3, b"")))
            answer = (b"\x0a\x00" if self.rust else b"") + answer
        except Refused as refused:
            answer = response(code=refused.code, text=refused.text)
        connection.sendall(frame(stream, RESPONSE, answer))
        return True
