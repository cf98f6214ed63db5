#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Our gRPC client against servers of grpcio, and against servers that play foul."""
import concurrent.futures
import os
import shutil
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import raw_http2  # noqa: E402
import rpc_drivers  # noqa: E402
from http_case import make_ca  # noqa: E402

try:
    import grpc
except ImportError:
    grpc = None

ECHO_DRIVER, CALL_DRIVER = (os.path.abspath(p) for p in sys.argv[1:3])
MESSAGE_MAX = 4 * 1024 * 1024


class Echo(grpc.GenericRpcHandler if grpc else object):
    """What a call to test.Echo/METHOD does is in the method's name."""

    def __init__(self):
        self.peers = []
        self.metadata = {}
        self.gate = threading.Event()

    def service(self, details):
        name = details.method.rsplit("/", 1)[1]
        return grpc.unary_unary_rpc_method_handler(getattr(self, name)) \
            if hasattr(self, name) else None

    def echo(self, request, context):
        self.peers.append(context.peer())
        self.metadata = dict(context.invocation_metadata())
        return request

    def refuse(self, request, context):
        context.abort(grpc.StatusCode.PERMISSION_DENIED, request.decode())

    def time_left(self, _, context):
        return b"%d" % (context.time_remaining() * 1000)

    def large(self, request, _):
        return b"x" * int(request)

    def hang(self, *_):
        self.gate.wait(rpc_drivers.TIMEOUT)
        return b""


class ClientCase(unittest.TestCase):
    def ask(self, target, *requests, **how):
        return rpc_drivers.ask(CALL_DRIVER, target, *requests, **how)

    def fails(self, line, errno, *texts, code="network", status=-1):
        self.assertEqual(line.split(" ")[:3], [str(status), code, errno], line)
        for text in texts:
            self.assertIn(text, line)


class GrpcioServer(ClientCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="sluice-grpc-")
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        make_ca(cls.folder)

    def setUp(self):
        self.echo = Echo()

    def path(self, name):
        return os.path.join(self.folder, name)

    def read(self, name):
        with open(self.path(name), "rb") as file:
            return file.read()

    def serve(self, address="127.0.0.1:0", credentials=None):
        """The port."""
        pool = concurrent.futures.ThreadPoolExecutor(8)
        self.server = grpc.server(pool, handlers=[self.echo], options=[
            ("grpc.max_receive_message_length", MESSAGE_MAX), ("grpc.so_reuseport", 0)])
        port = self.server.add_secure_port(address, credentials) if credentials \
            else self.server.add_insecure_port(address)
        self.server.start()
        self.addCleanup(self.stop, self.server)
        return port

    def stop(self, server):
        self.echo.gate.set()
        server.stop(None).wait(rpc_drivers.TIMEOUT)

    def serve_tls(self, **how):
        pair = (self.read("server.pem"), self.read("server.crt"))
        return self.serve(credentials=grpc.ssl_server_credentials([pair], **how))

    def say(self, target, *requests, name="echo", **how):
        return self.ask(target, *requests, method="test.Echo/" + name, **how)

    def test_targets(self):
        port = self.serve()
        for prefix in ("", "dns:///", "http://", "tcp://"):
            self.assertEqual(self.say(f"{prefix}127.0.0.1:{port}", "hello"), ["ok hello"])
        self.assertEqual(self.say(f"localhost:{port}", "hello"), ["ok hello"])

    def test_unix(self):
        path = self.path("s")
        self.serve("unix://" + path)
        for prefix in ("unix:", "unix://"):
            self.assertEqual(self.say(prefix + path, "hello", ""), ["ok hello", "ok "])

    def test_many_calls(self):
        port = self.serve()
        texts = [str(i) * i for i in range(20)]
        self.assertEqual(self.say(f"127.0.0.1:{port}", *texts), ["ok " + t for t in texts])
        self.assertTrue(self.echo.metadata["user-agent"].startswith("sluice/"))

    def test_sizes(self):
        port = self.serve()
        texts = ["x" * n for n in (0, 1, 16383, 65531, 1000000, MESSAGE_MAX)]
        self.assertEqual(self.say(f"127.0.0.1:{port}", *texts), ["ok " + t for t in texts])

    def test_answer_over_the_limit(self):
        port = self.serve()
        over, exact = self.say(f"127.0.0.1:{port}", str(MESSAGE_MAX + 1), str(MESSAGE_MAX),
                               name="large")
        self.fails(over, "EPROTO", "larger than 4 MiB")
        self.assertEqual(exact, "ok " + "x" * MESSAGE_MAX)

    def test_refusals(self):
        port = self.serve()
        texts = ["no", "100 % nö €", "%41"]
        for text, line in zip(texts, self.say(f"127.0.0.1:{port}", *texts, name="refuse")):
            self.assertEqual(line, f"7 auth EPROTO {text}")
        # grpcio may reset the stream before our request has left.
        self.assertRegex(self.say(f"127.0.0.1:{port}", "x", name="none")[0],
                         "^(12 auth EPROTO Method not found|-1 network EPROTO .*this method)")

    def test_deadline(self):
        port = self.serve()
        left = self.say(f"127.0.0.1:{port}", "", name="time_left", deadline_ms=5000)[0]
        self.assertTrue(3000 < int(left[3:]) <= 5000, left)
        begin = time.monotonic()
        line = self.say(f"127.0.0.1:{port}", "", name="hang", deadline_ms=200)[0]
        self.assertTrue(0.19 < time.monotonic() - begin < 5)
        # Whoever is first to see it.
        self.assertRegex(line, "^(-1 network ETIMEDOUT|4 auth EPROTO) ")
        for ms in (0, -5):
            self.fails(self.say(f"127.0.0.1:{port}", "", deadline_ms=ms)[0], "ETIMEDOUT")

    def test_tls(self):
        target = f"127.0.0.1:{self.serve_tls()}"
        ca = "ca=" + self.path("ca.crt")
        self.assertEqual(self.say(target, "hello", "", options=[ca]), ["ok hello", "ok "])
        self.assertEqual(len(set(self.echo.peers)), 1)
        for options in (["insecure=1"], ["insecure=1", "name=whatever"], [ca, "name=localhost"]):
            self.assertEqual(self.say(target, "hello", options=options), ["ok hello"])

    def test_tls_that_does_not_verify(self):
        target = f"127.0.0.1:{self.serve_tls()}"
        ca = "ca=" + self.path("ca.crt")
        os.makedirs(self.path("other"), exist_ok=True)
        make_ca(self.path("other"))
        for options in (["tls="], ["ca=" + self.path("other/ca.crt")], [ca, "name=elsewhere"]):
            line = self.say(target, "hello", options=options)[0]
            self.fails(line, "EPROTO", "root-ca-file", "server-name")
        self.fails(self.say(target, "hello", options=["ca=" + self.path("none")])[0], "EPROTO",
                   self.path("none"))
        self.assertEqual(self.echo.peers, [])

    def test_client_certificate(self):
        target = "127.0.0.1:%d" % self.serve_tls(root_certificates=self.read("ca.crt"),
                                                 require_client_auth=True)
        ca = "ca=" + self.path("ca.crt")
        mine = [ca, "cert=" + self.path("client.cert"), "key=" + self.path("client.key")]
        self.assertEqual(self.say(target, "hello", options=mine), ["ok hello"])
        line = self.say(target, "hello", options=[ca])[0]
        self.assertEqual(line.split(" ")[:2], ["-1", "network"])
        self.assertEqual(len(self.echo.peers), 1)

    def test_tls_where_there_is_none(self):
        plain, secure = f"127.0.0.1:{self.serve()}", f"127.0.0.1:{self.serve_tls()}"
        self.fails(self.say(plain, "", options=["insecure=1"])[0], "EPROTO")
        line = self.say(secure, "")[0]
        self.assertEqual(line.split(" ")[:2], ["-1", "network"])

    def test_own_server_end_to_end(self):
        path = self.path("own")
        server = rpc_drivers.EchoServer(ECHO_DRIVER, "grpc://127.0.0.1:0", "grpc+unix://" + path)
        self.addCleanup(server.stop)
        for target in (server.addresses[0][len("grpc://"):], "unix://" + path):
            self.assertEqual(self.ask(target, "a", "b" * MESSAGE_MAX),
                             ["ok a", "ok " + "b" * MESSAGE_MAX])
            self.assertEqual(self.ask(target, "nö %", method="test.Echo/Refuse"),
                             ["7 auth EPROTO nö %"])
            self.fails(self.ask(target, "", method="test.Echo/Never", deadline_ms=100)[0],
                       "ETIMEDOUT")


class FoulServer(ClientCase):
    def serve(self, play):
        server = raw_http2.Server(play)
        self.addCleanup(server.stop)
        return server.target

    def answer(self, *answers, hang_up=False):
        """Each connection gets the next of the answers; the target."""
        left = list(answers)

        def play(connection):
            raw_http2.read_request(connection)
            connection.sendall(left.pop(0))
            while not hang_up and connection.recv(4096):
                pass
        return self.serve(play)

    def one(self, answer, hang_up=False):
        return self.ask(self.answer(answer, hang_up=hang_up), "x")[0]

    def test_request_has_the_exact_bytes(self):
        bodies = []

        def play(connection):
            bodies.append(raw_http2.read_request(connection))
            connection.sendall(raw_http2.good_answer(b"yes"))
            while connection.recv(4096):
                pass
        self.assertEqual(self.ask(self.serve(play), '{"op":"x"}'), ["ok yes"])
        self.assertEqual(bodies, [raw_http2.message(b'{"op":"x"}')])

    def test_answer_cut_at_every_byte(self):
        whole = raw_http2.good_answer(b"yes")
        self.assertEqual(self.one(whole), "ok yes")
        target = self.answer(*[whole[:n] for n in range(len(whole))], hang_up=True)
        for line in self.ask(target, *["x"] * len(whole)):
            self.assertEqual(line.split(" ")[:2], ["-1", "network"], line)

    def test_grpc_status_missing_or_malformed(self):
        head = raw_http2.frame(raw_http2.SETTINGS) + raw_http2.headers(*raw_http2.GOOD_HEAD)
        data = raw_http2.frame(raw_http2.DATA, 0, 1, raw_http2.message(b"x"))
        end = raw_http2.frame(raw_http2.DATA, raw_http2.END_STREAM, 1)
        self.fails(self.one(head + data + end), "EPROTO", "without a grpc-status")
        self.fails(self.one(raw_http2.trailers_only()), "EPROTO", "without a grpc-status")
        for value in ("", "x", "-1", "0 0", "00000000000000000000"):
            self.fails(self.one(raw_http2.trailers_only(("grpc-status", value))), "EPROTO",
                       "not a number")

    def test_refusals(self):
        for value, text, line in (
                ("5", "no%20such%20key", "5 auth EPROTO no such key"),
                ("16", "who?", "2 auth EPROTO who?"),
                ("7", b"\xff\xfe%ff%0a", "7 auth EPROTO ????"),
                ("13", "%", "13 auth EPROTO %")):
            got = self.one(raw_http2.trailers_only(("grpc-status", value), ("grpc-message", text)))
            self.assertEqual(got, line)
        self.fails(self.one(raw_http2.trailers_only(("grpc-status", "5"))), "EPROTO", "status 5",
                   code="auth", status=5)

    def test_bodies(self):
        for body, text in ((b"\1\0\0\0\1x", "compressed"), (b"\0\0\0\0\1xy", "behind"),
                           (b"\0\0\0\0\2x", "cut short"), (b"\0\xff\xff\xff\xff", "larger than"),
                           (b"\x80\0\0\0\0", "flag"), (b"", "missing")):
            line = self.one(
                raw_http2.frame(raw_http2.SETTINGS) + raw_http2.headers(*raw_http2.GOOD_HEAD) +
                raw_http2.frame(raw_http2.DATA, 0, 1, body) +
                raw_http2.headers(("grpc-status", "0"), end=True))
            self.fails(line, "EPROTO", text)

    def test_http_that_is_not_grpc(self):
        page = (raw_http2.frame(raw_http2.SETTINGS) +
                raw_http2.headers((":status", "404"), ("content-type", "text/html")) +
                raw_http2.frame(raw_http2.DATA, raw_http2.END_STREAM, 1, b"<html>"))
        self.fails(self.one(page), "EPROTO", "HTTP 404, not gRPC")
        self.fails(self.one(page.replace(b"\x03404", b"\x03200")), "EPROTO", "HTTP, not gRPC")

    def test_http1_and_rubbish(self):
        for rubbish in (b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", b"\xff" * 100,
                        b"220 smtp.example ESMTP\r\n", b""):
            line = self.one(rubbish, hang_up=True)
            self.assertEqual(line.split(" ")[:2], ["-1", "network"], line)

    def test_reset_and_goaway(self):
        settings = raw_http2.frame(raw_http2.SETTINGS)
        for end in (raw_http2.frame(raw_http2.RST_STREAM, 0, 1, b"\0\0\0\2"),
                    raw_http2.frame(raw_http2.GOAWAY, 0, 0, b"\0\0\0\0\0\0\0\2")):
            line = self.one(settings + end)
            self.assertEqual(line.split(" ")[:2], ["-1", "network"], line)

    def test_refusal_before_the_request_has_come(self):
        def play(connection):
            raw_http2.receive(connection, len(raw_http2.PREFACE))
            while raw_http2.read_frame(connection)[0] != raw_http2.HEADERS:
                pass
            connection.sendall(raw_http2.trailers_only(("grpc-status", "8")) +
                               raw_http2.frame(raw_http2.RST_STREAM, 0, 1, bytes(4)))
            while connection.recv(65536):
                pass
        line = self.ask(self.serve(play), "x" * MESSAGE_MAX, deadline_ms=3000)[0]
        self.assertRegex(line, "^(8 auth|-1 network) EPROTO ")

    def test_endless_headers(self):
        filler = [("x-%d" % i, "v" * 1000) for i in range(15)]
        block = raw_http2.header_block(*raw_http2.GOOD_HEAD)
        answer = raw_http2.frame(raw_http2.SETTINGS) + raw_http2.frame(raw_http2.HEADERS, 0, 1, block)
        for _ in range(6):
            answer += raw_http2.frame(9, 0, 1, raw_http2.header_block(*filler))
        answer += raw_http2.frame(9, raw_http2.END_HEADERS, 1)
        # libcurl may drop them and wait for better ones.
        line = self.ask(self.answer(answer), "x", deadline_ms=300)[0]
        self.assertEqual(line.split(" ")[:2], ["-1", "network"], line)

    def test_peer_that_hangs(self):
        whole = raw_http2.good_answer(b"yes")
        for part in (b"", whole[:9], whole[:-20]):
            begin = time.monotonic()
            target = self.answer(part)
            self.fails(self.ask(target, "x", deadline_ms=150)[0], "ETIMEDOUT", "no answer")
            self.assertLess(time.monotonic() - begin, 5)

    def test_nobody_is_there(self):
        server = raw_http2.Server(lambda connection: None)
        server.stop()
        self.fails(self.ask(server.target, "x")[0], "ECONNREFUSED")
        self.fails(self.ask("unix:///nonexistent/socket", "x")[0], "ECONNREFUSED")
        self.fails(self.ask("sluice.invalid:1", "x")[0], "EHOSTUNREACH")


if __name__ == "__main__":
    absent = [p for p in ("openssl",) if not shutil.which(p)] + ([] if grpc else ["python3-grpcio"])
    if absent:
        print("skipped: needs", ", ".join(absent))
        sys.exit(77)
    unittest.main(argv=sys.argv[:1], verbosity=2)
