#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Whatever callers, registries, hubs and operators do, for a while: pulls that join, time out or are
cancelled, clients that break off, reloads, removals, registries that are started anew, corrupt blobs,
a hub that dies. Nothing may grow. `test_sluiced_soak.py SECONDS [SEED]`; needs SLUICE and
SLUICE_IMAGES. SLUICED of other builds make it a soak under a sanitizer."""
import json
import os
import random
import signal
import statistics
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import sluiced_case  # noqa: E402
from sluiced_case import SluicedCase, merged, mounts_below  # noqa: E402
import guest_peers  # noqa: E402
import registry as registries  # noqa: E402
import service_load  # noqa: E402
import signing  # noqa: E402
import ttrpc  # noqa: E402
from counting_proxy import CountingProxy  # noqa: E402

SECONDS = int(sys.argv[1]) if sys.argv[1:2] and sys.argv[1].isdigit() else 0
SEED = int(sys.argv[2]) if sys.argv[2:3] else random.SystemRandom().randrange(1 << 32)
del sys.argv[1:]

POLICY_URI = "kbs:///default/policy/one"
SIZE = 2 << 20  # bytes of a shared layer
WAIT = 120  # seconds for one answer
SAMPLE_EVERY = 5  # rounds between two looks at what is held
GROWTH_KIB = 4 * 1024  # resident, between two quarters of a soak
CODES = (0, guest_peers.CANCELLED, guest_peers.INTERNAL, guest_peers.DEADLINE_EXCEEDED,
         guest_peers.UNAVAILABLE, guest_peers.FAILED_PRECONDITION, guest_peers.RESOURCE_EXHAUSTED)
BROKEN = (b"", b"\0", b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 10, ttrpc.frame(2, ttrpc.REQUEST, b"x"),
          ttrpc.frame(1, ttrpc.REQUEST, b"\xff" * 9), ttrpc.frame(1, 9, b""),
          ttrpc.frame(1, ttrpc.REQUEST, ttrpc.request(*guest_peers.PULL, b"\xff" * 5)))


class Soak(SluicedCase):
    def setUp(self):
        super().setUp()
        if not SECONDS:
            self.skipTest("asked for with the seconds it may take")
        print("seed", SEED, file=sys.stderr)
        self.pick = random.Random(SEED)
        self.images = service_load.Images(self.path("load"), SIZE)
        self.registry = None
        self.addCleanup(self.stop_registry)
        self.proxy = CountingProxy("127.0.0.1:1")
        self.proxy.__enter__()
        self.addCleanup(self.proxy.__exit__)
        self.start_registry()
        self.hub_server = self.hub({"default/policy/one": json.dumps(signing.policy(signing.ACCEPT))})
        self.plain = merged(self.base_config(insecure=[self.proxy.host]), {
            "kbc": {"name": "cc_kbc", "url": "http://127.0.0.1:1"},
            "sluice": {"keep": "mounted", "upstream": "unix://" + self.hub_server.socket, "pulls": 4}})
        self.configs = [self.plain,
                        merged(self.plain, {"image": {"image_security_policy_uri": POLICY_URI}}),
                        merged(self.plain, {"sluice": {"verify_first": True}}),
                        merged(self.plain, {"image": {
                            "image_security_policy": json.dumps(signing.policy(signing.REJECT))}})]
        self.rounds, self.results, self.samples = 0, {}, []

    # ---- peers ----

    def start_registry(self):
        self.registry = registries.Registry()
        self.registry.__enter__()
        self.images.push(self.registry)
        self.proxy.upstream = self.registry.host

    def stop_registry(self):
        if self.registry:
            self.registry.__exit__()
            self.registry = None

    # ---- what happens beside the pulls ----

    def cut_off(self):
        agent = self.agent(self.service)
        agent.pull(self.image(), self.bundle(f"r{self.rounds}-cut"))
        agent.close()

    def reload(self):
        self.service.reload(self.pick.choice(self.configs))

    def hangup_storm(self):
        for _ in range(self.pick.randrange(2, 100)):
            self.service.send(signal.SIGHUP)

    def cancel(self):
        self.service.ctl("cancel", self.image(), check=False)

    def remove(self):
        self.sluice("rm", "--root", self.root, self.image())

    def collect(self):
        self.sluice("gc", "--root", self.root)

    def restart_registry(self):
        self.stop_registry()
        self.start_registry()

    def corrupt(self):
        layer = self.pick.choice(self.images.layers)
        self.proxy.replace("/blobs/" + layer.digest, 200, b"\x1f\x8b" + bytes(5000), times=1)

    def say_no(self):
        self.proxy.replace("/manifests/" + str(self.pick.randrange(service_load.IMAGES)),
                           self.pick.choice((404, 429, 500, 503)), b"{}", times=self.pick.randrange(1, 4))

    def kill_hub(self):
        self.hub_server.close()
        os.path.exists(self.hub_server.socket) and os.unlink(self.hub_server.socket)
        self.hub_server = self.hub({})

    def ask_hub(self):
        self.agents[0].call(*guest_peers.RESOURCE, {"ResourcePath": POLICY_URI}, timeout=20)

    def break_off(self):
        for _ in range(20):
            with ttrpc.dial("unix://" + self.service.socket) as connection:
                connection.sendall(self.pick.choice(BROKEN))

    def into_one_bundle(self):
        calls = [a.pull(self.image(i % 2), self.bundle(f"r{self.rounds}-same")) for i, a in enumerate(self.agents)]
        for call in calls:
            self.judge(call.wait(WAIT))

    def look(self):
        self.sluice("status", "--socket", self.service.config["sluice"]["control"])

    DEEDS = (cut_off, reload, hangup_storm, cancel, remove, collect, restart_registry, corrupt, say_no,
             kill_hub, ask_hub, break_off, into_one_bundle, look)

    # ---- rounds ----

    def image(self, which=None):
        which = self.pick.randrange(service_load.IMAGES) if which is None else which
        return f"{self.proxy.host}/load:{which}"

    def judge(self, answer):
        """Every answer is one that a caller can do something with."""
        self.results[answer.code] = self.results.get(answer.code, 0) + 1
        self.assertIn(answer.code, CODES, answer)
        if answer.code and not answer.is_local:
            self.assertNotIn("\n", answer.message)
            self.assertTrue(answer.message, answer)

    def one_round(self):
        calls = []
        for i in range(self.pick.randrange(1, 12)):
            timeout = self.pick.choice((0, 0, 60, 0.05, 0.3))
            agent, bundle = self.pick.choice(self.agents), self.bundle(f"r{self.rounds}-{i}")
            calls.append(agent.pull(self.image(), bundle, timeout=timeout))
            if self.pick.randrange(10) == 0:
                calls[-1].cancel()
        for deed in self.pick.sample(self.DEEDS, self.pick.randrange(1, 4)):
            deed(self)
        for call in calls:
            self.judge(call.wait(WAIT))
        self.until(lambda: self.service.status()["jobs"] == [], "no jobs")
        for place, kind, *_ in mounts_below(self.path("bundles")):
            self.assertEqual(kind, "overlay")
            self.unmount(os.path.dirname(place))
        self.rounds += 1

    def at_rest(self):
        self.until(lambda: self.in_store("mounts") == [] and self.in_store("staging") == [],
                   lambda: f"rest: {self.in_store('mounts')} {self.in_store('staging')}")
        self.assertEqual(mounts_below(self.path("bundles")), [])
        self.assertLessEqual(len(self.in_store("layers/sha256")), len(self.images.layers))
        self.assertLessEqual(len(self.in_store("images/sha256")), service_load.IMAGES)

    def test_whatever_callers_do(self):
        self.service = self.serve(config=self.plain)
        self.agents = [self.agent(self.service) for _ in range(3)]
        ends, kept = time.monotonic() + SECONDS, None
        while time.monotonic() < ends:
            self.one_round()
            if self.rounds % SAMPLE_EVERY == 0:
                self.at_rest()
                self.samples.append(self.service.proc_status("VmRSS"))
            if self.rounds == 2 * SAMPLE_EVERY:
                kept = service_load.Kept(self.service)
            for agent in self.agents:
                agent.lines.clear()  # answers have been judged
        self.service.reload(self.plain)
        self.check_nothing_grew(kept)

    def check_nothing_grew(self, kept):
        print(f"{self.rounds} rounds, answers {self.results}, resident KiB {self.samples[::max(1, len(self.samples) // 12)]}",
              file=sys.stderr)
        self.assertIsNotNone(kept, "too few rounds")
        self.until(kept.is_as_before, kept.difference)
        quarter = len(self.samples) // 4
        if quarter and not self.service.is_sanitized():  # they keep what was freed, and tell of leaks at the end
            second, last = self.samples[quarter:2 * quarter], self.samples[-quarter:]
            self.assertLess(statistics.median(last), statistics.median(second) + GROWTH_KIB, "resident KiB grow")
        self.at_rest()
        for i in range(service_load.IMAGES):
            self.sluice("rm", "--root", self.root, self.image(i))
        self.good(self.sluice("gc", "--root", self.root))
        self.assertEqual(self.in_store("layers/sha256"), [])


if __name__ == "__main__":
    sluiced_case.main()
