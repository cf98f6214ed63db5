#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""ttrpc against an independent one (tests/support/ttrpc.py), both ways."""

import concurrent.futures
import fcntl
import os
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import ttrpc  # noqa: E402

ECHO_DRIVER, CALL_DRIVER = (os.path.abspath(p) for p in sys.argv[1:3])
SERVICE = "test.Echo"


class EchoServer:
    def __init__(self, *args):
        self.process = subprocess.Popen([ECHO_DRIVER, *args], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        n = sum("://" in a for a in args)
        self.addresses = [self.process.stdout.readline().strip() for _ in range(n)]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        if self.process.stdin.closed:
            return
        self.process.stdin.close()
        code = self.process.wait(timeout=ttrpc.TIMEOUT)
        self.process.stdout.close()
        if code != 0:
            raise AssertionError(f"the server ended with {code}")


class RpcCase(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="sluice-rpc-")
        self.addCleanup(shutil.rmtree, self.folder)
        self.path = os.path.join(self.folder, "s")

    def serve(self, *args, address=None):
        server = EchoServer(*args, address or "ttrpc+unix://" + self.path)
        self.addCleanup(server.stop)
        return server

    def dial(self, server, which=0):
        client = ttrpc.Client(server.addresses[which])
        self.addCleanup(client.connection.close)
        return client

    def assert_refused(self, client, stream, code, text):
        got, got_code, got_text = client.receive()
        self.assertEqual((got, got_code, got_text), (stream, code, text))

    def assert_closed(self, connection):
        try:
            self.assertEqual(connection.recv(1), b"")
        except ConnectionResetError:
            pass


class Answering(RpcCase):
    def test_every_kind_of_socket_answers(self):
        server = EchoServer("ttrpc+unix://" + self.path, "ttrpc+unix://@sluice-" + os.path.basename(
            self.folder), "ttrpc://127.0.0.1:0", "ttrpc://localhost:0")
        self.addCleanup(server.stop)
        self.assertRegex(server.addresses[2], r"^ttrpc://127\.0\.0\.1:[1-9]\d*$")
        for i in range(len(server.addresses)):
            self.assertEqual(self.dial(server, i).call(SERVICE, "Echo", b"hello"), b"hello")

    def test_ipv6_loopback_answers(self):
        if not socket.has_ipv6 or not os.path.exists("/proc/net/if_inet6"):
            self.skipTest("no IPv6")
        server = self.serve(address="ttrpc://[::1]:0")
        self.assertEqual(self.dial(server).call(SERVICE, "Echo", b"6"), b"6")

    def test_answers_are_exact_frames(self):
        client = self.dial(self.serve())
        for payload, answer in ((b"hi", "0000000400000001020012026869"), (b"", "00000000000000030200")):
            client.send(SERVICE, "Echo", payload)
            answer = bytes.fromhex(answer)
            self.assertEqual(ttrpc.read_exactly(client.connection, len(answer)), answer)
        client.send(SERVICE, "Refuse", b"[CDH] [ERROR]: x")
        answer = bytes.fromhex("00000016 00000005 0200 0a14 0807 1210 5b4344485d205b4552524f525d3a2078")
        self.assertEqual(ttrpc.read_exactly(client.connection, len(answer)), answer)

    def test_unknown_names_are_unimplemented(self):
        client = self.dial(self.serve())
        for service, method, text in (
                ("test.Other", "Echo", "test.Other service does not exist"),
                ("", "Echo", " service does not exist"),
                ("test.Echo\0", "Echo", None),
                (SERVICE, "echo", "unknown method echo for service test.Echo")):
            with self.assertRaises(ttrpc.Refused) as caught:
                client.call(service, method)
            self.assertEqual(caught.exception.code, ttrpc.UNIMPLEMENTED)
            if text:
                self.assertEqual(caught.exception.text, text)
        self.assertEqual(client.call(SERVICE, "Echo", b"still"), b"still")

    def test_a_request_cut_at_every_byte_is_answered(self):
        server = self.serve()
        client, other = self.dial(server), self.dial(server)
        for cut in range(1, 44):
            whole = ttrpc.frame(client.stream, ttrpc.REQUEST, ttrpc.request(SERVICE, "Echo", b"abc"))
            client.connection.sendall(whole[:cut])
            self.assertEqual(other.call(SERVICE, "Echo", b"the first piece was read"),
                             b"the first piece was read")
            client.connection.sendall(whole[cut:])
            self.assertEqual(client.wait(client.stream), b"abc")
            client.stream += 2

    def test_a_thousand_calls_interleaved_are_answered_out_of_order(self):
        client = self.dial(self.serve("calls=2000", "connection_calls=2000"))
        held = {client.send(SERVICE, "Hold", b"%d" % i): b"%d" % i for i in range(1000)}
        release = client.send(SERVICE, "Release")
        order = []
        for _ in range(1001):
            stream, code, value = client.receive()
            self.assertEqual((code, value), (ttrpc.OK, held.get(stream, b"")))
            order.append(stream)
        self.assertEqual(order, sorted(held, reverse=True) + [release])

    def test_answers_of_other_threads_come(self):
        client = self.dial(self.serve())
        sent = {client.send(SERVICE, "Upper", b"a%d" % i): b"A%d" % i for i in range(100)}
        while sent:
            stream, code, value = client.receive()
            self.assertEqual((code, value), (ttrpc.OK, sent.pop(stream)))

    def test_bad_stream_ids_are_refused_and_the_connection_lives(self):
        client = self.dial(self.serve())
        body = ttrpc.request(SERVICE, "Echo", b"x")
        again = "stream id cannot be re-used and must increment"
        client.connection.sendall(ttrpc.frame(2, ttrpc.REQUEST, body))
        self.assert_refused(client, 2, ttrpc.INVALID_ARGUMENT, "stream id must be odd")
        client.connection.sendall(ttrpc.frame(0, ttrpc.REQUEST, body))
        self.assert_refused(client, 0, ttrpc.INVALID_ARGUMENT, "stream id must be odd")
        client.connection.sendall(ttrpc.frame(7, ttrpc.REQUEST, body))
        self.assertEqual(client.receive(), (7, ttrpc.OK, b"x"))
        for stream in (7, 5):
            client.connection.sendall(ttrpc.frame(stream, ttrpc.REQUEST, body))
            self.assert_refused(client, stream, ttrpc.INVALID_ARGUMENT, again)
        client.connection.sendall(ttrpc.frame(0xFFFFFFFF, ttrpc.REQUEST, body))
        self.assertEqual(client.receive(), (0xFFFFFFFF, ttrpc.OK, b"x"))

    def test_long_and_odd_frames_are_refused_and_the_connection_lives(self):
        client = self.dial(self.serve())
        client.connection.sendall(ttrpc.frame(1, ttrpc.REQUEST, b"\0" * (ttrpc.MESSAGE_MAX + 1)))
        self.assert_refused(client, 1, ttrpc.RESOURCE_EXHAUSTED, "the request is too long")
        for flags in (1, 2, 4, 0x80):
            client.stream += 2
            client.connection.sendall(ttrpc.frame(client.stream, ttrpc.REQUEST, ttrpc.request(
                SERVICE, "Echo", b"x"), flags))
            self.assert_refused(client, client.stream, ttrpc.UNIMPLEMENTED,
                                "streams are not supported")
            client.connection.sendall(ttrpc.frame(client.stream, ttrpc.DATA, b"data"))
        client.stream += 2
        client.connection.sendall(ttrpc.frame(client.stream, ttrpc.REQUEST, b"\x0a\x7fshort"))
        self.assert_refused(client, client.stream, ttrpc.INVALID_ARGUMENT,
                            "the bytes are no Request message")
        client.stream += 2
        largest = b"y" * (ttrpc.MESSAGE_MAX - 30)
        self.assertEqual(client.call(SERVICE, "Echo", largest), largest)

    def test_too_long_an_answer_is_a_refusal(self):
        client = self.dial(self.serve())
        client.send(SERVICE, "Large", b"%d" % ttrpc.MESSAGE_MAX)
        self.assert_refused(client, 1, ttrpc.RESOURCE_EXHAUSTED, "the answer is too long")
        self.assertEqual(len(client.call(SERVICE, "Large", b"4194298")), 4194298)

    def test_too_many_fields_are_refused(self):
        client = self.dial(self.serve())
        body = ttrpc.request(SERVICE, "Echo") + b"\x2a\x00" * 2000000
        client.connection.sendall(ttrpc.frame(1, ttrpc.REQUEST, body))
        self.assert_refused(client, 1, ttrpc.RESOURCE_EXHAUSTED,
                            "the Request message has too many fields")
        client.stream = 3
        client.send(SERVICE, "Echo", metadata=[("k", "v")] * 65)
        self.assert_refused(client, 3, ttrpc.RESOURCE_EXHAUSTED, "too many pairs of metadata")

    def test_metadata_is_found_by_name(self):
        client = self.dial(self.serve())
        self.assertEqual(client.call(SERVICE, "Metadata", b"tenant", metadata=[("a", "b"), (
            "Tenant", "blue")]), b"blue")
        with self.assertRaises(ttrpc.Refused) as caught:
            client.call(SERVICE, "Metadata", b"tenant")
        self.assertEqual(caught.exception.code, ttrpc.NOT_FOUND)

    def test_deadline_is_told_and_kept(self):
        client = self.dial(self.serve())
        self.assertEqual(client.call(SERVICE, "Deadline"), b"0")
        left = int(client.call(SERVICE, "Deadline", timeout_ns=50 * 10**9))
        self.assertTrue(45000 < left <= 50001, left)
        with self.assertRaises(ttrpc.Refused) as caught:
            client.call(SERVICE, "Never", timeout_ns=20 * 10**6)
        self.assertEqual(caught.exception.code, ttrpc.DEADLINE_EXCEEDED)
        self.assertEqual(client.call(SERVICE, "Abandoned"), b"1")

    def test_odd_timeouts(self):
        """Below zero is none, and the longest is as good as none."""
        client = self.dial(self.serve())
        for timeout in (-1, -2 ** 63):
            self.assertEqual(client.call(SERVICE, "Deadline", timeout_ns=timeout), b"0")
        for timeout in (2 ** 63 - 1, 10 ** 18):
            left = int(client.call(SERVICE, "Deadline", timeout_ns=timeout))
            self.assertTrue(timeout // 10 ** 6 - 20000 < left <= timeout // 10 ** 6 + 1, left)
        self.assertEqual(client.call(SERVICE, "Echo", b"x", timeout_ns=2 ** 63 - 1), b"x")
        with self.assertRaises(ttrpc.Refused) as caught:
            client.call(SERVICE, "Never", timeout_ns=1)
        self.assertEqual(caught.exception.code, ttrpc.DEADLINE_EXCEEDED)

    def test_names_of_a_megabyte_are_refused_shortly(self):
        client = self.dial(self.serve())
        for service, method in (("s" * 1000000, "m"), (SERVICE, "m" * 1000000),
                                ("\x01\n" * 500000, "m")):
            with self.assertRaises(ttrpc.Refused) as caught:
                client.call(service, method)
            self.assertEqual(caught.exception.code, ttrpc.UNIMPLEMENTED)
            self.assertLess(len(caught.exception.text), 200)
            self.assertTrue(caught.exception.text.isprintable())
        self.assertEqual(client.call(SERVICE, "Echo", b"x"), b"x")

    def test_data_of_streams_that_never_began_is_refused(self):
        client = self.dial(self.serve())
        client.connection.sendall(ttrpc.frame(7, ttrpc.DATA, b"data", flags=1))
        self.assert_refused(client, 7, ttrpc.INVALID_ARGUMENT, "StreamID is no longer active")
        held = client.send(SERVICE, "Hold", b"held")
        client.connection.sendall(ttrpc.frame(held, ttrpc.DATA, b"data", flags=1))
        client.call(SERVICE, "Release")
        self.assertEqual(client.wait(held), b"held")

    def test_calls_of_a_client_that_goes_are_abandoned(self):
        server = self.serve()
        stays, goes = self.dial(server), self.dial(server)
        stays.send(SERVICE, "Hold", b"mine")
        goes.send(SERVICE, "Hold")
        goes.send(SERVICE, "Never")
        goes.call(SERVICE, "Echo")
        self.assertEqual(stays.call(SERVICE, "Abandoned"), b"0")
        goes.connection.close()
        while stays.call(SERVICE, "Abandoned") != b"2":
            pass
        stays.call(SERVICE, "Release")
        self.assertEqual(stays.answers[1], (ttrpc.OK, b"mine"))


class Limits(RpcCase):
    def test_calls_over_the_limit_are_refused(self):
        client = self.dial(self.serve("calls=3"))
        for i in range(3):
            client.send(SERVICE, "Hold", b"%d" % i)
        client.send(SERVICE, "Echo")
        self.assert_refused(client, 7, ttrpc.RESOURCE_EXHAUSTED, "too many calls in flight")

    def test_calls_of_one_connection_over_its_limit_are_refused(self):
        """Another one has its own, and so has the same one once something was answered."""
        server = self.serve("connection_calls=3")
        client, other = self.dial(server), self.dial(server)
        for i in range(3):
            client.send(SERVICE, "Hold", b"%d" % i)
        client.send(SERVICE, "Echo")
        self.assert_refused(client, 7, ttrpc.RESOURCE_EXHAUSTED,
                            "too many calls in flight on this connection")
        other.call(SERVICE, "Release")
        for _ in range(3):
            client.receive()
        self.assertEqual(client.call(SERVICE, "Echo", b"again"), b"again")

    def test_one_connection_has_256_calls(self):
        client = self.dial(self.serve())
        for _ in range(256):
            client.send(SERVICE, "Hold")
        client.send(SERVICE, "Echo")
        self.assert_refused(client, 2 * 256 + 1, ttrpc.RESOURCE_EXHAUSTED,
                            "too many calls in flight on this connection")

    def test_bytes_in_flight_over_the_limit_are_refused(self):
        client = self.dial(self.serve("call_bytes=1000"))
        client.send(SERVICE, "Hold", b"x" * 900)
        client.send(SERVICE, "Echo", b"x" * 101)
        self.assert_refused(client, 3, ttrpc.RESOURCE_EXHAUSTED,
                            "too many bytes of requests in flight")
        self.assertEqual(client.call(SERVICE, "Echo", b"x" * 100), b"x" * 100)

    def test_half_a_request_costs_nobody_else_anything_and_ends(self):
        server = self.serve("request_ms=50")
        slow, other = self.dial(server), self.dial(server)
        slow.connection.sendall(ttrpc.frame(1, ttrpc.REQUEST, b"x" * 100)[:60])
        self.assertEqual(other.call(SERVICE, "Echo", b"quick"), b"quick")
        self.assert_closed(slow.connection)
        self.assertEqual(other.call(SERVICE, "Echo", b"idle is no crime"), b"idle is no crime")

    def test_a_trickle_does_not_prolong_a_request(self):
        slow = self.dial(self.serve("request_ms=100"))
        with self.assertRaises(ConnectionError):
            slow.connection.sendall(b"\x00\x00\x10\x00" + b"\0\0\0\1\1\0")
            while True:
                slow.connection.sendall(b"x")
                slow.connection.settimeout(0.005)
                try:
                    if not slow.connection.recv(1):
                        raise ConnectionError
                except TimeoutError:
                    pass

    def test_who_does_not_read_is_cut_off(self):
        for options in (["stall_ms=100"], ["unread_bytes=500000", "stall_ms=60000"]):
            with self.subTest(options[0]), EchoServer(*options,
                                                      "ttrpc+unix://" + self.path) as server:
                deaf, other = self.dial(server), self.dial(server)
                deaf.connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                deaf.send(SERVICE, "Large", b"4000000")
                self.assertEqual(other.call(SERVICE, "Echo", b"quick"), b"quick")
                with self.assertRaises(ConnectionError):
                    for _ in range(30):
                        deaf.connection.settimeout(0.2)
                        try:
                            deaf.send(SERVICE, "Never", b"x" * 10000)
                        except TimeoutError:
                            pass
                self.assertEqual(other.call(SERVICE, "Echo", b"quick"), b"quick")

    def test_a_new_connection_takes_the_place_of_the_longest_idle(self):
        server = self.serve("connections=2")
        first, second = self.dial(server), self.dial(server)
        first.call(SERVICE, "Echo")
        second.call(SERVICE, "Echo")
        third = self.dial(server)
        self.assertEqual(third.call(SERVICE, "Echo", b"3"), b"3")
        self.assert_closed(first.connection)
        second.send(SERVICE, "Never")
        third.send(SERVICE, "Never")
        second.call(SERVICE, "Echo")
        third.call(SERVICE, "Echo")
        self.assert_closed(self.dial(server).connection)
        self.assertEqual(second.call(SERVICE, "Echo", b"2"), b"2")

    def test_many_descriptors_are_not_needed(self):
        server = self.serve()
        for i in range(300):
            with ttrpc.Client(server.addresses[0]) as client:
                self.assertEqual(client.call(SERVICE, "Echo", b"%d" % i), b"%d" % i)


class Listening(RpcCase):
    def fails(self, *args):
        done = subprocess.run([ECHO_DRIVER, *args], stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=ttrpc.TIMEOUT)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        return done.stderr

    def test_socket_is_private_and_goes_at_the_end(self):
        before = os.umask(0)
        self.addCleanup(os.umask, before)
        server = self.serve()
        self.assertEqual(stat.S_IMODE(os.lstat(self.path).st_mode), 0o600)
        server.stop()
        self.assertEqual(os.listdir(self.folder), [])

    def test_stale_socket_is_replaced_a_live_one_is_not(self):
        with socket.socket(socket.AF_UNIX) as stale:
            stale.bind(self.path)
        server = self.serve()
        self.assertIn("somebody listens on " + self.path + " already",
                      self.fails("ttrpc+unix://" + self.path))
        self.assertEqual(self.dial(server).call(SERVICE, "Echo", b"alive"), b"alive")

    def test_somebody_elses_file_stays(self):
        with open(self.path, "w", encoding="utf-8") as file:
            file.write("precious")
        self.assertIn("exists and is no socket", self.fails("ttrpc+unix://" + self.path))
        with open(self.path, encoding="utf-8") as file:
            self.assertEqual(file.read(), "precious")
        os.unlink(self.path)
        server = self.serve()
        os.unlink(self.path)
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(self.path)
            server.stop()
            self.assertTrue(os.path.exists(self.path))

    def test_a_folder_in_the_way_stays(self):
        os.mkdir(self.path)
        self.assertIn(self.path + " exists and is no socket but a folder",
                      self.fails("ttrpc+unix://" + self.path))
        self.assertTrue(os.path.isdir(self.path))

    def test_folders_are_made_below_run_only(self):
        missing = os.path.join(self.folder, "a", "b", "s")
        self.assertIn("cannot open " + os.path.dirname(missing),
                      self.fails("ttrpc+unix://" + missing))
        around = "/run/.." + missing
        self.assertIn("cannot open " + os.path.dirname(around),
                      self.fails("ttrpc+unix://" + around))
        self.assertEqual(os.listdir(self.folder), [])
        if not os.access("/run", os.W_OK):
            self.skipTest("needs root, who may write to /run")
        top = "/run/sluice-test-" + os.path.basename(self.folder)
        self.addCleanup(shutil.rmtree, top, True)
        before = os.umask(0)
        self.addCleanup(os.umask, before)
        path = top + "/a/b/s"
        server = self.serve(address="ttrpc+unix://" + path)
        self.assertEqual(stat.S_IMODE(os.stat(top + "/a").st_mode), 0o755)
        self.assertEqual(self.dial(server).call(SERVICE, "Echo", b"x"), b"x")
        server.stop()
        self.assertEqual(os.listdir(top + "/a/b"), [])
        self.assertIn("cannot make", self.fails("ttrpc+unix://" + self.blocked(top)))

    @staticmethod
    def blocked(top):
        """A path through a file."""
        with open(top + "/file", "w", encoding="ascii"):
            pass
        return top + "/file/a/s"

    def test_vsock(self):
        """Over the loopback of vsock, where the kernel has it (modprobe vsock_loopback)."""
        probe = None
        try:
            probe = socket.socket(socket.AF_VSOCK)
            probe.bind((1, socket.VMADDR_PORT_ANY))
            probe.listen()
            with socket.socket(socket.AF_VSOCK) as other:
                other.settimeout(ttrpc.TIMEOUT)
                other.connect((1, probe.getsockname()[1]))
        except OSError as error:
            self.skipTest(f"no loopback of vsock here: {error}")
        finally:
            if probe:
                probe.close()
        server = self.serve(address=f"ttrpc+vsock://1:{socket.VMADDR_PORT_ANY}")
        address = server.addresses[0]
        self.assertTrue(address.startswith("ttrpc+vsock://1:"))
        client = ttrpc.Client.__new__(ttrpc.Client)
        client.connection, client.stream, client.answers = socket.socket(socket.AF_VSOCK), 1, {}
        self.addCleanup(client.connection.close)
        client.connection.settimeout(ttrpc.TIMEOUT)
        client.connection.connect((1, int(address.rsplit(":", 1)[1])))
        self.assertEqual(client.call(SERVICE, "Echo", b"x" * 100000), b"x" * 100000)

    def test_locked_folder_is_waited_for_and_named(self):
        folder = os.open(self.folder, os.O_RDONLY)
        self.addCleanup(os.close, folder)
        fcntl.flock(folder, fcntl.LOCK_EX)
        self.assertIn("somebody else holds the lock of the folder of " + self.path,
                      self.fails("ttrpc+unix://" + self.path))
        self.assertEqual(os.listdir(self.folder), [])

    def test_folder_that_others_may_write_is_refused(self):
        os.chmod(self.folder, 0o777)
        self.assertIn("others may write to", self.fails("ttrpc+unix://" + self.path))
        os.chmod(self.folder, 0o1777)
        self.serve()

    def test_only_this_machine_unless_told(self):
        for address in ("ttrpc://0.0.0.0:0", "ttrpc://[::]:0", "grpc://0.0.0.0:0",
                        "ttrpc://192.0.2.1:80", "ttrpc+vsock://4294967295:1024"):
            self.assertIn("can be reached from other machines", self.fails(address))
        self.serve("any_address=1", address="ttrpc://0.0.0.0:0")

    def test_bad_addresses_are_refused(self):
        for address in ("http://127.0.0.1:1", "ttrpc://127.0.0.1", "ttrpc://:80", "ttrpc://a.b:80",
                        "ttrpc://127.0.0.1:65536", "ttrpc://::1:80", "ttrpc+unix://relative",
                        "ttrpc+unix:///" + "x" * 120, "ttrpc+vsock://here:1"):
            self.assertIn(address, self.fails(address))

    def test_other_users_are_not_served(self):
        if os.geteuid() != 0:
            self.skipTest("needs root")
        name = "ttrpc+unix://@sluice-" + os.path.basename(self.folder)
        server = self.serve(address=name)
        code = ("import os, sys; sys.path.insert(0, sys.argv[1]); import ttrpc; os.setuid(65534)\n"
                "c = ttrpc.Client(sys.argv[2])\n"
                "try: c.call('test.Echo', 'Echo')\n"
                "except OSError: sys.exit(42)")
        support = os.path.dirname(os.path.abspath(ttrpc.__file__))
        self.assertEqual(subprocess.run([sys.executable, "-c", code, support, name],
                                        timeout=ttrpc.TIMEOUT, check=False).returncode, 42)
        self.assertEqual(self.dial(server).call(SERVICE, "Echo", b"root"), b"root")

    def test_calls_in_flight_end_at_the_stop(self):
        server = self.serve()
        client = self.dial(server)
        client.send(SERVICE, "Hold", b"late")
        client.call(SERVICE, "Echo")
        server.process.stdin.close()
        while os.path.exists(self.path):
            pass
        with self.assertRaises(ttrpc.Refused) as caught:
            client.call(SERVICE, "Echo")
        self.assertEqual((caught.exception.code, caught.exception.text),
                         (ttrpc.UNAVAILABLE, "the server is stopping"))
        self.assert_closed(client.connection)
        self.assertEqual(server.process.wait(timeout=ttrpc.TIMEOUT), 0)
        server.process.stdout.close()


class Asking(RpcCase):
    def ask(self, *requests, deadline_ms=10000, target=None, method="Do"):
        done = subprocess.run([CALL_DRIVER, "ttrpc", target or "unix://" + self.path, "test.Service",
                               method, str(deadline_ms)], input="".join(r + "\n" for r in requests),
                              capture_output=True, text=True, timeout=ttrpc.TIMEOUT)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout.splitlines()

    def answer(self, handle=lambda service, method, payload: payload.upper(), **options):
        server = ttrpc.Server(self.path, handle, **options)
        self.addCleanup(server.__exit__)
        return server

    def test_answers_of_both_kinds_of_server_are_read(self):
        for rust in (False, True):
            with self.subTest(rust=rust), ttrpc.Server(self.path, lambda s, m, p: p.upper(),
                                                       rust=rust) as server:
                for target in (self.path, "unix://" + self.path):
                    self.assertEqual(self.ask("one", "two", "", target=target),
                                     ["ok ONE", "ok TWO", "ok "])
                self.assertEqual(server.connections, 2)
            os.unlink(self.path)

    def test_request_is_an_exact_frame(self):
        server = self.answer()
        self.ask("x", deadline_ms=1000000)
        head = bytes.fromhex("00000021 00000001 0100".replace(" ", ""))
        body = ttrpc.field(1, "test.Service") + ttrpc.field(2, "Do") + ttrpc.field(3, b"x")
        got = server.requests[0]
        self.assertEqual((got[4:10], got[10:10 + len(body)]), (head[4:], body))
        timeout = ttrpc.one(ttrpc.fields(got[10:]), 4, 0)
        self.assertTrue(990 * 10**9 < timeout <= 1000 * 10**9, timeout)
        self.assertEqual(got[10 + len(body):], ttrpc.field(4, timeout))

    def test_refusals_are_told(self):
        def refuse(_service, _method, payload):
            raise ttrpc.Refused(int(payload), "[CDH] [ERROR]: x")
        self.answer(refuse)
        self.assertEqual(self.ask("13", "5"), ["13 auth EPROTO [CDH] [ERROR]: x",
                                               "5 auth EPROTO [CDH] [ERROR]: x"])

    def test_nonsense_is_a_network_failure(self):
        good = ttrpc.response(b"ok")
        for name, reply in {
                "type": lambda s, _: ttrpc.frame(s, ttrpc.REQUEST, good),
                "stream": lambda s, _: ttrpc.frame(s + 2, ttrpc.RESPONSE, good),
                "long": lambda s, _: b"\xff\xff\xff\xff" + ttrpc.frame(s, ttrpc.RESPONSE, b"")[4:],
                "more": lambda s, _: ttrpc.frame(s, ttrpc.RESPONSE, good) + b"x",
                "protobuf": lambda s, _: ttrpc.frame(s, ttrpc.RESPONSE, b"\x12\x7fx"),
                "nothing": lambda s, _: None}.items():
            with self.subTest(name), ttrpc.Server(self.path, None, reply=reply):
                (line,) = self.ask("x")
                self.assertRegex(line, r"^-1 network (EPROTO|ECONNRESET) unix://")
            os.unlink(self.path)

    def test_half_an_answer_ends_at_the_deadline(self):
        self.answer(None, reply=lambda s, _: ttrpc.frame(s, ttrpc.RESPONSE, b"x" * 100)[:50])
        self.assertEqual(self.ask("x", deadline_ms=50),
                         [f"-1 network ETIMEDOUT unix://{self.path}: no answer in time"])

    def test_a_full_queue_ends_at_the_deadline(self):
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(self.path)
            listener.listen(0)
            with ttrpc.dial("unix://" + self.path):
                (line,) = self.ask("x", deadline_ms=50)
                self.assertRegex(line, "^-1 network ETIMEDOUT ")

    def test_no_time_is_no_call(self):
        server = self.answer()
        for deadline in (0, -5):
            self.assertRegex(self.ask("x", deadline_ms=deadline)[0], "^-1 network ETIMEDOUT ")
        self.assertEqual(server.requests, [])

    def test_nobody_there_is_said(self):
        self.assertRegex(self.ask("x")[0], "^-1 network ENOENT .*cannot connect")
        with socket.socket(socket.AF_UNIX) as stale:
            stale.bind(self.path)
        self.assertRegex(self.ask("x")[0], "^-1 network ECONNREFUSED .*cannot connect")

    def test_a_server_that_was_started_anew_is_found(self):
        process = subprocess.Popen([CALL_DRIVER, "ttrpc", self.path, "s", "m", "10000"], text=True,
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.addCleanup(process.wait)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stdin.close)
        for word in ("first", "second"):
            # The old server hangs up after its answer.
            with ttrpc.Server(self.path, None, reply=lambda s, p: None) as server:
                server.serve_one = lambda c, w=word: c.sendall(ttrpc.frame(
                    ttrpc.read_frame(c)[0], ttrpc.RESPONSE, ttrpc.response(w.encode())))
                process.stdin.write("x\n")
                process.stdin.flush()
                self.assertEqual(process.stdout.readline(), f"ok {word}\n")
            os.unlink(self.path)

    def test_our_own_server_and_client_agree(self):
        server = self.serve("ttrpc://127.0.0.1:0")
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            for address in ("tcp" + server.addresses[0][5:], self.path):
                def run(i, address=address):
                    done = subprocess.run([CALL_DRIVER, "ttrpc", address, SERVICE, "Upper", "9000"],
                                          input=f"abc{i}\n" * 20, capture_output=True, text=True)
                    return done.stdout
                for i, out in enumerate(pool.map(run, range(8))):
                    self.assertEqual(out, f"ok ABC{i}\n" * 20)

    def test_bad_targets_are_refused(self):
        for target in ("", "x", "http://h:1", "unix://rel", "tcp://name.of.host:1", "tcp://1.2.3.4",
                       "vsock://a:1"):
            done = subprocess.run([CALL_DRIVER, "ttrpc", target, "s", "m", "1"], input="",
                                  capture_output=True, text=True)
            self.assertEqual((done.returncode, done.stdout), (2, ""), target)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
