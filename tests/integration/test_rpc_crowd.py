#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Crowds, floods and peers without manners: whoever works goes on being served."""
import os
import resource
import shutil
import socket
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import raw_http2  # noqa: E402
import rpc_crowd  # noqa: E402
import rpc_drivers  # noqa: E402
import ttrpc  # noqa: E402

ECHO_DRIVER = os.path.abspath(sys.argv[1])
SERVICE = "test.Echo"
CROWD = 10000
IDLE_BYTES_MAX = 1024  # of the server's memory, for a connection without a call


def is_sanitized():
    """Such a program has memory for purposes of its own."""
    with open(ECHO_DRIVER, "rb") as program:
        text = program.read()
    return b"__asan_" in text or b"__tsan_" in text


class CrowdCase(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="sluice-rpc-")
        self.addCleanup(shutil.rmtree, self.folder)
        self.path = os.path.join(self.folder, "s")

    def serve(self, *args, scheme="ttrpc", descriptors=None):
        before = resource.getrlimit(resource.RLIMIT_NOFILE)
        if descriptors:
            resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, before[1]))
        try:
            server = rpc_drivers.EchoServer(ECHO_DRIVER, *args, f"{scheme}+unix://{self.path}")
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, before)
        self.addCleanup(server.stop)
        return server

    def dial(self):
        client = ttrpc.Client("unix://" + self.path)
        self.addCleanup(client.connection.close)
        return client

    def crowd(self, n):
        found = rpc_crowd.crowd(self.path, n)
        self.addCleanup(lambda: [c.close() for c in found])
        return found

    def assert_serves(self, client):
        self.assertEqual(client.call(SERVICE, "Echo", b"still there"), b"still there")

    def assert_closed(self, connection):
        """The other side has hung up, or does now."""
        connection.settimeout(ttrpc.TIMEOUT)
        try:
            while connection.recv(65536):
                pass
        except ConnectionError:
            pass

    def wait_for_descriptors(self, server, client, n):
        """Calls are the clock: the server has come so far."""
        while rpc_crowd.descriptors(server.process.pid) < n:
            self.assert_serves(client)


class Crowds(CrowdCase):
    def ten_thousand(self, per_connection_max, begin):
        if not rpc_crowd.allow_descriptors(2 * CROWD):
            self.skipTest(f"needs {2 * CROWD} descriptors (ulimit -Hn)")
        server = self.serve(f"connections={CROWD}", descriptors=2 * CROWD)
        client = self.dial()
        self.assert_serves(client)
        pid = server.process.pid
        known = rpc_crowd.descriptors(pid)
        before = rpc_crowd.resident_kib(pid)
        n = CROWD - 100
        crowd = self.crowd(n)
        self.wait_for_descriptors(server, client, known + n)
        for connection in crowd:
            begin(connection)
        self.assert_serves(client)
        cost = (rpc_crowd.resident_kib(pid) - before) * 1024 / n
        print(f"{cost:.0f} bytes for each", file=sys.stderr, end=" ... ")
        if not is_sanitized():
            self.assertLessEqual(cost, per_connection_max)
        for connection in crowd:
            connection.close()
        while rpc_crowd.descriptors(pid) > known:
            self.assert_serves(client)

    def test_ten_thousand_that_say_nothing(self):
        self.ten_thousand(IDLE_BYTES_MAX, lambda connection: None)

    def test_ten_thousand_that_have_asked(self):
        frame = ttrpc.frame(1, ttrpc.REQUEST, ttrpc.request(SERVICE, "Echo", b"x"))

        def ask(connection):
            connection.sendall(frame)
            ttrpc.read_frame(connection)
        self.ten_thousand(IDLE_BYTES_MAX, ask)

    def test_a_flood_does_not_shut_out_who_works(self):
        self.serve("connections=50")
        client = self.dial()
        self.assert_serves(client)
        for _ in range(20):
            flood = self.crowd(100)
            self.assert_serves(client)
            newcomer = self.dial()
            self.assert_serves(newcomer)
            for connection in flood[:50]:
                self.assert_closed(connection)
        self.assert_serves(client)

    def test_a_listener_has_room_of_its_own(self):
        other = os.path.join(self.folder, "other")
        self.serve("connections=10", "ttrpc+unix://" + other)
        clients = []
        for _ in range(5):
            self.crowd(20)
            self.assert_serves(self.dial())
            clients.append(ttrpc.Client("unix://" + other))
            self.addCleanup(clients[-1].connection.close)
            for client in clients:
                self.assert_serves(client)

    def test_descriptors_are_shared(self):
        server = self.serve("connections=10000", descriptors=64)
        client = self.dial()
        self.assert_serves(client)
        self.crowd(300)
        for _ in range(20):
            self.assert_serves(self.dial())
            self.assert_serves(client)
            self.assertLessEqual(rpc_crowd.descriptors(server.process.pid), 64 // 2 + 16)
        self.assert_serves(client)

    def test_a_shortage_of_descriptors_closes_the_silent(self):
        server = self.serve("connections=10000")
        client = self.dial()
        self.assert_serves(client)
        pid = server.process.pid
        _, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (rpc_crowd.descriptors(pid) + 5, hard))
        self.crowd(100)
        for _ in range(20):
            self.assert_serves(self.dial())
            self.assert_serves(client)


class Loiterers(CrowdCase):
    def test_a_crowd_that_trickles_is_cut_off(self):
        self.serve("request_ms=300", "connections=1000")
        client = self.dial()
        crowd = self.crowd(400)
        for connection in crowd:
            connection.sendall(b"\0")
        self.assert_serves(client)
        for connection in crowd:
            self.assert_closed(connection)
        self.assert_serves(client)

    def test_half_requests_have_a_limit_together(self):
        self.serve("held_bytes=1000000", "request_ms=100000")
        client = self.dial()
        half = ttrpc.frame(1, ttrpc.REQUEST, bytes(ttrpc.MESSAGE_MAX))[:300000]
        loiterers = []
        for _ in range(10):
            loiterers.append(self.dial().connection)
            loiterers[-1].sendall(half)
        for connection in loiterers[:7]:
            self.assert_closed(connection)
        self.assert_serves(client)

    def test_unread_answers_have_a_limit_together(self):
        self.serve("all_unread_bytes=9000000", "stall_ms=100000")
        client = self.dial()
        deaf = []
        for _ in range(6):
            deaf.append(self.dial())
            deaf[-1].send(SERVICE, "Large", b"4000000")
            self.assert_serves(client)
            self.assert_serves(client)  # not in the same round of the server
        for one in deaf[:4]:
            with self.assertRaises(ConnectionError):
                ttrpc.read_frame(one.connection)
        self.assertEqual(len(ttrpc.read_frame(deaf[-1].connection)[3]) > 4000000, True)
        self.assert_serves(client)

    def test_clients_that_die_anywhere(self):
        server = self.serve("connections=100")
        client = self.dial()
        self.assert_serves(client)
        known = rpc_crowd.descriptors(server.process.pid)
        whole = ttrpc.frame(1, ttrpc.REQUEST, ttrpc.request(SERVICE, "Never", b"x" * 20))
        for cut in range(len(whole) + 1):
            with ttrpc.Client("unix://" + self.path) as one:
                one.connection.sendall(whole[:cut])
        while rpc_crowd.descriptors(server.process.pid) > known:
            self.assert_serves(client)

    def test_who_closes_his_half_has_gone(self):
        """As at ttrpc's own servers: there is no other way to say that nobody waits."""
        self.serve()
        client, half = self.dial(), self.dial()
        half.send(SERVICE, "Never", b"x")
        half.connection.shutdown(socket.SHUT_WR)
        self.assert_closed(half.connection)
        self.assertEqual(client.call(SERVICE, "Abandoned"), b"1")


class Idleness(CrowdCase):
    @staticmethod
    def sleeps_for_ever(pid):
        """Every thread is in a system call without an end: epoll_wait(…, -1), futex, read."""
        epoll = {232: 4, 281: 4, 22: 4}  # x86_64: epoll_wait, epoll_pwait; aarch64: epoll_pwait
        found = False
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/syscall", encoding="ascii") as file:
                words = file.read().split()
            if words[0] != "running" and int(words[0]) in epoll:
                found = int(words[epoll[int(words[0])]], 16) & 0xffffffff == 0xffffffff
        return found

    def wait_until(self, sleeps, server):
        end = time.monotonic() + ttrpc.TIMEOUT
        while self.sleeps_for_ever(server.process.pid) != sleeps:
            self.assertLess(time.monotonic(), end)

    def test_an_idle_server_does_not_wake(self):
        server = self.serve("request_ms=100000")
        try:
            with open(f"/proc/{server.process.pid}/syscall", encoding="ascii") as file:
                file.read()
        except OSError:
            self.skipTest("needs /proc/PID/syscall of a child (ptrace)")
        client = self.dial()
        self.crowd(100)
        self.assert_serves(client)
        self.wait_until(True, server)
        slow = self.dial()  # has a limit of time, and so the thread has
        slow.connection.sendall(b"\0")
        self.wait_until(False, server)
        slow.connection.close()
        self.wait_until(True, server)
        self.assert_serves(client)


class Http2(CrowdCase):
    HEAD = ((":method", "POST"), (":scheme", "http"), (":path", "/test.Echo/Never"),
            (":authority", "x"), ("content-type", "application/grpc"))
    START = raw_http2.PREFACE + raw_http2.frame(raw_http2.SETTINGS)

    def raw(self):
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(ttrpc.TIMEOUT)
        connection.connect(self.path)
        self.addCleanup(connection.close)
        return connection

    def serve_both(self, *args):
        """gRPC for ruffians, ttrpc for who works."""
        quiet = os.path.join(self.folder, "quiet")
        self.serve(*args, "ttrpc+unix://" + quiet, scheme="grpc")
        client = ttrpc.Client("unix://" + quiet)
        self.addCleanup(client.connection.close)
        return client

    def assert_thrown_out(self, data):
        connection = self.raw()
        try:
            connection.sendall(self.START + data)
        except ConnectionError:
            return
        self.assert_closed(connection)

    def test_rapid_resets(self):
        """CVE-2023-44487."""
        client = self.serve_both()
        reset = b"".join(
            raw_http2.headers(*self.HEAD, stream=i) +
            raw_http2.frame(raw_http2.RST_STREAM, 0, i, b"\0\0\0\x08") for i in range(1, 4000, 2))
        self.assert_thrown_out(reset)
        self.assert_serves(client)

    def test_continuations_without_end(self):
        """CVE-2024-28182. Not for being late."""
        client = self.serve_both("request_ms=100000")
        block = raw_http2.header_block(*self.HEAD)
        flood = raw_http2.frame(raw_http2.HEADERS, 0, 1, block)
        flood += raw_http2.frame(9, 0, 1, raw_http2.header_block(("x", "y"))) * 10000
        self.assert_thrown_out(flood)
        self.assert_serves(client)

    def test_a_header_bomb_is_refused(self):
        """One entry of 4,000 bytes in the table, named 10,000 times by a byte each."""
        client = self.serve_both()
        value = b"b" * 4000
        entry = b"\x40\x01a" + raw_http2._integer(len(value)) + value
        block = raw_http2.header_block(*self.HEAD) + entry + b"\xbe" * 10000
        connection = self.raw()
        connection.sendall(self.START + raw_http2.frame(raw_http2.HEADERS, 5, 1, block))
        answers = (raw_http2.HEADERS, raw_http2.RST_STREAM, raw_http2.GOAWAY)
        while raw_http2.read_frame(connection)[0] not in answers:
            pass
        self.assertEqual(client.call(SERVICE, "Abandoned"), b"0")  # it never was a call
        self.assert_serves(client)

    def test_who_opens_too_many_streams_is_thrown_out(self):
        client = self.serve_both()
        connection = self.raw()
        many = b"".join(
            raw_http2.headers(*self.HEAD, stream=i) +
            raw_http2.frame(raw_http2.DATA, raw_http2.END_STREAM, i, raw_http2.message(b"x"))
            for i in range(1, 2 * 200, 2))
        connection.sendall(self.START)
        while raw_http2.read_frame(connection)[:2] != (raw_http2.SETTINGS, raw_http2.ACK):
            pass
        connection.sendall(raw_http2.frame(raw_http2.SETTINGS, raw_http2.ACK) + many)
        while raw_http2.read_frame(connection)[0] != raw_http2.GOAWAY:
            pass
        self.assert_closed(connection)
        self.assert_serves(client)

    def test_silence_costs_little_here_too(self):
        if not rpc_crowd.allow_descriptors(2500):
            self.skipTest("needs 2500 descriptors")
        server = self.serve("connections=1000", scheme="grpc", descriptors=2500)
        pid = server.process.pid
        known, before = rpc_crowd.descriptors(pid), rpc_crowd.resident_kib(pid)
        self.crowd(1000)
        while rpc_crowd.descriptors(pid) < known + 1000:
            pass
        cost = (rpc_crowd.resident_kib(pid) - before) * 1024 / 1000
        print(f"{cost:.0f} bytes for each", file=sys.stderr, end=" ... ")
        if not is_sanitized():
            self.assertLessEqual(cost, IDLE_BYTES_MAX)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1] + sys.argv[3:], verbosity=2)
