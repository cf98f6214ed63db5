#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The peers of the service's tests, against one another and against ttrpc by the bytes: what they
say they saw and heard is what was on the wire."""
import os
import shutil
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import go_tools  # noqa: E402
import guest_peers  # noqa: E402
import rust_tools  # noqa: E402
import ttrpc  # noqa: E402

KEPT = os.environ.get("SLUICE_IMAGES")
MEASURE = ("attestation_agent.AttestationAgentService", "ExtendRuntimeMeasurement")


class PeersCase(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="sluice-peers-")
        self.addCleanup(shutil.rmtree, self.folder)
        self.program = go_tools.ttrpc_peers(KEPT)
        self.socket = os.path.join(self.folder, "s")

    def hub(self):
        os.makedirs(os.path.join(self.folder, "default", "test"))
        with open(os.path.join(self.folder, "default", "test", "file"), "wb") as f:
            f.write(b"\0resource")
        server = guest_peers.hub(self.program, self.socket, self.folder)
        self.addCleanup(server.close)
        return server

    def dial(self, socket=None):
        agent = guest_peers.Agent(self.program, socket or self.socket)
        self.addCleanup(agent.close)
        return agent


class Hub(PeersCase):
    def test_what_is_recorded_is_what_was_sent(self):
        server = self.hub()
        client = ttrpc.Client("unix://" + self.socket)
        self.addCleanup(client.connection.close)
        message = ttrpc.field(1, b"secret") + ttrpc.field(99, b"unknown")
        got = client.call(*guest_peers.UNSEAL, message, timeout_ns=30 * 10**9,
                          metadata=(("a", "1"), ("a", "2"), ("b", "")))
        self.assertEqual(got, ttrpc.field(1, b"unsealed secret"))
        asked = server.wait_asked("UnsealSecret")[0]
        self.assertEqual(asked["hex"], message.hex())
        self.assertEqual(asked["metadata"], {"a": ["1", "2"], "b": [""]})
        self.assertTrue(20 < asked["timeout"] <= 30, asked)

    def test_resources_and_refusals(self):
        server, agent = self.hub(), None
        agent = self.dial()
        got = agent.call(*guest_peers.RESOURCE, {"ResourcePath": "kbs:///default/test/file"})
        self.assertEqual(got.hex, ttrpc.field(1, b"\0resource").hex())
        missing = agent.call(*guest_peers.RESOURCE, {"ResourcePath": "kbs:///default/test/none"})
        self.assertEqual(missing.code, guest_peers.INTERNAL)
        server.behave(code=9, message="not now", details=["why", "and how"])
        refused = agent.call(*guest_peers.UNSEAL, {"secret": "AA=="})
        self.assertEqual((refused.code, refused.message), (9, "not now"))
        self.assertEqual(refused.details, ["type.googleapis.com/other.Text " + ttrpc.field(1, text).hex()
                                           for text in ("why", "and how")])

    def test_a_client_that_hangs_up_and_one_that_waits(self):
        server = self.hub()
        server.behave(hang=True)
        first, second = self.dial(), self.dial()
        call = first.pull("a", "/b")
        other = second.pull("c", "/d", timeout=0.05)
        self.assertEqual(other.wait().code, guest_peers.DEADLINE_EXCEEDED)
        server.wait_asked("PullImage", 2)
        self.assertFalse(call.is_over())
        server.behave()
        self.assertIn("the upstream was asked", call.wait().message)


class AttestationAgent(PeersCase):
    def test_measurements(self):
        server = guest_peers.attestation_agent(self.program, self.socket)
        self.addCleanup(server.close)
        agent = self.dial()
        fields = {"Domain": "d", "Operation": "o", "Content": '{"image":"x", "digest":"y"}'}
        self.assertEqual(agent.call(*MEASURE, fields).hex, "")
        self.assertEqual(server.requests[0]["fields"], fields)
        server.behave(result=2)
        self.assertEqual(agent.call(*MEASURE, fields).fields, {"Result": "NOT_ENABLED"})


class Rust(PeersCase):
    def setUp(self):
        super().setUp()
        if rust_tools.why_not():
            self.skipTest(rust_tools.why_not())

    def test_it_asks_and_hears(self):
        answers = {"Good": b"\x0a\x03yes", "Empty": b""}

        def handle(service, method, payload):
            self.assertEqual((service, payload), ("api.ImagePullService", b"\x0a\x01x"))
            if method in answers:
                return answers[method]
            raise ttrpc.Refused(13, "[CDH] [ERROR]: x")

        for rust in (False, True):
            server = ttrpc.Server(self.socket, handle, rust=rust)
            with server, guest_peers.Agent(rust_tools.ttrpc_client(KEPT), self.socket) as agent:
                for method, answer in answers.items():
                    got = agent.call("api.ImagePullService", method, data=b"\x0a\x01x")
                    self.assertEqual((got.code, got.hex), (0, answer.hex()), got)
                got = agent.call("api.ImagePullService", "Bad", data=b"\x0a\x01x")
                self.assertEqual((got.code, got.message), (13, "[CDH] [ERROR]: x"))
            os.unlink(self.socket)


if __name__ == "__main__":
    why = go_tools.why_not() if KEPT else "needs SLUICE_IMAGES, a folder where tools are kept"
    if why:
        print("skipped:", why)
        sys.exit(77)
    unittest.main(verbosity=2)
