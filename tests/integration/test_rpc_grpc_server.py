#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Our gRPC server, asked by grpcio, by nghttp and by peers who know no manners."""
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import raw_http2  # noqa: E402
import rpc_drivers  # noqa: E402

try:
    import grpc
except ImportError:
    grpc = None

ECHO_DRIVER = os.path.abspath(sys.argv[1])
TIMEOUT = rpc_drivers.TIMEOUT
MESSAGE_MAX = 4 * 1024 * 1024
KEY_REQUEST = bytes.fromhex("000000000c0a0a7b226f70223a2278227d")


class ServerCase(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="sluice-grpc-")
        self.addCleanup(shutil.rmtree, self.folder)

    def serve(self, *args):
        server = rpc_drivers.EchoServer(ECHO_DRIVER, *args, "grpc://127.0.0.1:0")
        self.addCleanup(server.stop)
        return server.addresses[-1][len("grpc://"):]

    def dial(self, target):
        channel = grpc.insecure_channel(target, options=[
            ("grpc.max_receive_message_length", 2 * MESSAGE_MAX), ("grpc.enable_http_proxy", 0)])
        self.addCleanup(channel.close)
        return channel

    @staticmethod
    def method(channel, name):
        return channel.unary_unary(name if "/" in name else "/test.Echo/" + name)

    def call(self, channel, name, request, **how):
        return self.method(channel, name)(request, timeout=TIMEOUT, **how)

    def refused(self, code, text, function, *args, **how):
        with self.assertRaises(grpc.RpcError) as raised:
            function(*args, **how)
        self.assertEqual(raised.exception.code(), code)
        if text is not None:
            self.assertEqual(raised.exception.details(), text)


class AskedByGrpcio(ServerCase):
    def test_tcp_and_unix(self):
        path = os.path.join(self.folder, "s")
        server = rpc_drivers.EchoServer(ECHO_DRIVER, "grpc://127.0.0.1:0", "grpc+unix://" + path)
        self.addCleanup(server.stop)
        for target in (server.addresses[0][len("grpc://"):], "unix://" + path):
            self.assertEqual(self.call(self.dial(target), "Echo", b"\0hello\xff"), b"\0hello\xff")

    def test_many_at_once(self):
        path = os.path.join(self.folder, "s")
        server = rpc_drivers.EchoServer(ECHO_DRIVER, "grpc://127.0.0.1:0", "grpc+unix://" + path)
        self.addCleanup(server.stop)
        for target in (server.addresses[0][len("grpc://"):], "unix://" + path):
            upper = self.method(self.dial(target), "Upper")
            texts = [b"text %d " % i * (i + 1) for i in range(200)]
            futures = [upper.future(t, timeout=TIMEOUT) for t in texts]
            self.assertEqual([f.result() for f in futures], [t.upper() for t in texts])

    def test_answers_in_another_order(self):
        channel = self.dial(self.serve())
        held = [self.method(channel, "Hold").future(b"%d" % i, timeout=TIMEOUT) for i in range(100)]
        while not all(f.done() for f in held):  # a release may overtake some of them
            self.call(channel, "Release", b"")
        self.assertEqual([f.result() for f in held], [b"%d" % i for i in range(100)])

    def test_sizes(self):
        channel = self.dial(self.serve())
        for size in (0, 1, 16 * 1024, 65535, 65536, 1000003, MESSAGE_MAX):
            data = os.urandom(size)
            self.assertEqual(self.call(channel, "Echo", data), data)
        self.assertEqual(self.call(channel, "Large", b"%d" % MESSAGE_MAX), b"x" * MESSAGE_MAX)

    def test_messages_over_the_limit(self):
        channel = self.dial(self.serve())
        code = grpc.StatusCode.RESOURCE_EXHAUSTED
        self.refused(code, None, self.call, channel, "Echo", bytes(MESSAGE_MAX + 1))
        self.refused(code, None, self.call, channel, "Large", b"%d" % (MESSAGE_MAX + 1))
        self.assertEqual(self.call(channel, "Echo", b"still here"), b"still here")

    def test_refusals(self):
        channel = self.dial(self.serve())
        for text in ("no", "100 % nö €\U0001f600", "line\nline\ttab", ""):
            self.refused(grpc.StatusCode.PERMISSION_DENIED, text, self.call, channel, "Refuse",
                         text.encode())
        code = grpc.StatusCode.UNIMPLEMENTED
        for name in ("Missing", "/test.Missing/Echo", "/a/b/c"):
            self.refused(code, None, self.call, channel, name, b"")

    def test_long_text_is_cut(self):
        channel = self.dial(self.serve())
        with self.assertRaises(grpc.RpcError) as raised:
            self.call(channel, "Refuse", "€".encode() * 2000)
        self.assertRegex(raised.exception.details(), "^€{440,460}$")

    def test_compressed(self):
        channel = self.dial(self.serve())
        self.refused(grpc.StatusCode.UNIMPLEMENTED, "compressed messages are not supported",
                     self.call, channel, "Echo", b"x" * 1000, compression=grpc.Compression.Gzip)

    def test_metadata(self):
        channel = self.dial(self.serve())
        self.assertEqual(self.call(channel, "Metadata", b"x-token", metadata=[("x-token", "abc")]),
                         b"abc")
        self.assertIn(b"grpc-python", self.call(channel, "Metadata", b"user-agent"))
        self.refused(grpc.StatusCode.NOT_FOUND, "no such header", self.call, channel, "Metadata",
                     b"grpc-timeout")
        many = [("x-%d" % i, "v") for i in range(100)]
        self.refused(grpc.StatusCode.RESOURCE_EXHAUSTED, None, self.call, channel, "Echo", b"",
                     metadata=many)

    def test_deadline_is_told_and_kept(self):
        channel = self.dial(self.serve())
        left = int(self.method(channel, "Deadline")(b"", timeout=5))
        self.assertTrue(3000 < left <= 5100, left)
        self.assertEqual(self.method(channel, "Deadline")(b""), b"0")
        self.refused(grpc.StatusCode.DEADLINE_EXCEEDED, None,
                     self.method(channel, "Never"), b"", timeout=0.2)
        self.assertEqual(self.call(channel, "Abandoned", b""), b"1")


class AskedByNghttp(ServerCase):
    def nghttp(self, target, path, body, *headers):
        name = os.path.join(self.folder, "body")
        with open(name, "wb") as file:
            file.write(body)
        args = [x for h in headers for x in ("-H", h)]
        return subprocess.run(["nghttp", *args, "-d", name, f"http://{target}{path}"],
                              capture_output=True, timeout=TIMEOUT, check=True).stdout

    def test_exact_bytes(self):
        target = self.serve()
        answer = self.nghttp(target, "/test.Echo/Echo", KEY_REQUEST,
                             "content-type: application/grpc", "te: trailers")
        self.assertEqual(answer, KEY_REQUEST)

    def test_what_is_not_grpc(self):
        target = self.serve()
        run = subprocess.run(["nghttp", "-v", "--no-verify-peer", f"http://{target}/test.Echo/Echo"],
                             capture_output=True, timeout=TIMEOUT, check=False)
        self.assertIn(b":status: 405", run.stdout)
        run = subprocess.run(["nghttp", "-v", "-d", "/dev/null", f"http://{target}/test.Echo/Echo"],
                             capture_output=True, timeout=TIMEOUT, check=False)
        self.assertIn(b":status: 415", run.stdout)


class AskedByRuffians(ServerCase):
    """After each of them an honest client is served."""

    def connect(self, target):
        host, port = target.rsplit(":", 1)
        connection = socket.create_connection((host, int(port)), timeout=TIMEOUT)
        self.addCleanup(connection.close)
        return connection

    @staticmethod
    def read_to_end(connection):
        got = b""
        try:
            while True:
                more = connection.recv(65536)
                if not more:
                    return got
                got += more
        except ConnectionResetError:
            return got

    def assert_serves(self, target):
        self.assertEqual(self.call(self.dial(target), "Echo", b"hello"), b"hello")

    def test_http1_and_rubbish(self):
        target = self.serve()
        for bytes_ in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", os.urandom(4096), bytes(100),
                       raw_http2.PREFACE + b"\xff" * 100):
            connection = self.connect(target)
            connection.sendall(bytes_)
            self.read_to_end(connection)
        self.assert_serves(target)

    def test_floods(self):
        target = self.serve()
        start = raw_http2.PREFACE + raw_http2.frame(raw_http2.SETTINGS)
        for flood in (raw_http2.frame(raw_http2.PING, 0, 0, bytes(8)),
                      raw_http2.frame(raw_http2.SETTINGS)):
            connection = self.connect(target)
            try:
                connection.sendall(start + flood * 20000)
            except (BrokenPipeError, ConnectionResetError):
                continue
            self.read_to_end(connection)
        self.assert_serves(target)

    def test_request_that_never_ends_is_cut_off(self):
        target = self.serve("request_ms=100")
        connection = self.connect(target)
        connection.sendall(raw_http2.PREFACE + raw_http2.frame(raw_http2.SETTINGS) +
                           raw_http2.headers((":method", "POST"), (":scheme", "http"),
                                             (":path", "/test.Echo/Echo"), (":authority", "x"),
                                             ("content-type", "application/grpc")))
        self.read_to_end(connection)
        self.assert_serves(target)

    def test_answers_that_are_not_read_are_cut_off(self):
        target = self.serve("stall_ms=100")
        connection = self.connect(target)
        no_window = raw_http2.frame(raw_http2.SETTINGS, 0, 0, b"\0\4\0\0\0\0")
        connection.sendall(raw_http2.PREFACE + no_window +
                           raw_http2.headers((":method", "POST"), (":scheme", "http"),
                                             (":path", "/test.Echo/Echo"), (":authority", "x"),
                                             ("content-type", "application/grpc")) +
                           raw_http2.frame(raw_http2.DATA, raw_http2.END_STREAM, 1,
                                           raw_http2.message(b"x")))
        self.read_to_end(connection)
        self.assert_serves(target)

    def test_cancelled_call_is_abandoned(self):
        target = self.serve()
        connection = self.connect(target)
        ping = raw_http2.frame(raw_http2.PING, 0, 0, bytes(8))
        connection.sendall(raw_http2.PREFACE + raw_http2.frame(raw_http2.SETTINGS) +
                           raw_http2.headers((":method", "POST"), (":scheme", "http"),
                                             (":path", "/test.Echo/Never"), (":authority", "x"),
                                             ("content-type", "application/grpc")) +
                           raw_http2.frame(raw_http2.DATA, raw_http2.END_STREAM, 1,
                                           raw_http2.message(b"x")))
        channel = self.dial(target)
        for cancelled in (b"0", b"1"):
            connection.sendall(ping)  # its answer says that all before it has been seen
            while raw_http2.read_frame(connection)[0] != raw_http2.PING:
                pass
            self.assertEqual(self.call(channel, "Abandoned", b""), cancelled)
            connection.sendall(raw_http2.frame(raw_http2.RST_STREAM, 0, 1, b"\0\0\0\x08"))

    def test_stop_says_goodbye(self):
        server = rpc_drivers.EchoServer(ECHO_DRIVER, "grpc://127.0.0.1:0")
        connection = self.connect(server.addresses[0][len("grpc://"):])
        connection.sendall(raw_http2.PREFACE + raw_http2.frame(raw_http2.SETTINGS))
        self.assertEqual(raw_http2.read_frame(connection)[0], raw_http2.SETTINGS)
        self.assertEqual(raw_http2.read_frame(connection)[:2], (raw_http2.SETTINGS, raw_http2.ACK))
        server.stop()
        self.assertEqual(raw_http2.read_frame(connection)[0], raw_http2.GOAWAY)
        self.assertEqual(self.read_to_end(connection), b"")


if __name__ == "__main__":
    missing = [p for p in ("nghttp",) if not shutil.which(p)] + ([] if grpc else ["python3-grpcio"])
    if missing:
        print("skipped: needs", ", ".join(missing))
        sys.exit(77)
    unittest.main(argv=sys.argv[:1], verbosity=2)
