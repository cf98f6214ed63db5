#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Thirty-two callers who want eight images that share layers, at once; and a soak with whatever
callers do. Run it with SLUICED of other builds, for other sanitizers. No times are judged here: see
bench/service.py. Needs SLUICE and SLUICE_IMAGES; `soak SECONDS` runs the soak."""
import os
import random
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import sluiced_case  # noqa: E402
from sluiced_case import SluicedCase, mounts_below, start_registry
import service_load  # noqa: E402

SIZE = 2 << 20  # bytes of a shared layer
SOAK_KIB = 16 * 1024  # resident, that a soak may add
SOAK = int(sys.argv[2]) if sys.argv[1:2] == ["soak"] else 0
if SOAK:
    sys.argv[1:] = ["Soak"]


class LoadCase(SluicedCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.images = service_load.Images(os.path.join(cls.shared, "load"), SIZE)

    def setUp(self):
        super().setUp()
        self.registry = start_registry(type(self))  # a log of its own
        self.images.push(self.registry)

    def check_all(self, answers):
        for i, answer in enumerate(answers):
            which = i % service_load.IMAGES
            self.assert_pulled(answer, self.bundle(f"b{i}"), **{f"is-own{which}": f"own{which}",
                                                               "is-base": "base"})
            self.assertEqual(answer.digest, self.images.digests[which])


class Load(LoadCase):
    def test_each_blob_is_fetched_once_whoever_asks(self):
        service = self.serve(insecure=[self.registry.host])
        agents = [self.agent(service) for _ in range(4)]
        self.check_all(service_load.pull_all(agents, self.registry.host, lambda i: self.bundle(f"b{i}")))
        counts = service_load.fetches(self.registry)
        self.assertEqual({x.digest: counts.get(x.digest) for x in self.images.layers},
                         {x.digest: 1 for x in self.images.layers}, "layers are fetched once")
        self.assertEqual({d: counts.get(d) for d in self.images.configs()},
                         {d: 1 for d in self.images.configs()}, "configs are fetched once")
        self.assertEqual(len(self.in_store("layers/sha256")), len(self.images.layers))
        print(f"peak of resident memory: {service.proc_status('VmHWM') // 1024} MiB", file=sys.stderr)

    def test_again_and_again_nothing_grows(self):
        service = self.serve(insecure=[self.registry.host])
        agents = [self.agent(service) for _ in range(4)]

        def once():
            self.check_all(service_load.pull_all(agents, self.registry.host, lambda i: self.bundle(f"b{i}")))
            for i in range(service_load.CALLERS):
                self.unmount(self.bundle(f"b{i}"))
            self.until(lambda: self.in_store("mounts") == [], "an empty mounts/")
        once()
        # Nothing is kept per pull; the library's own caches of sockets may differ by a few.
        before = len(service.descriptors()), service.threads()
        for _ in range(3):
            once()
        self.until(lambda: len(service.descriptors()) <= before[0] and service.threads() <= before[1],
                   f"as before: {before}, now {service.descriptors()}")


class Soak(LoadCase):
    def test_whatever_callers_do(self):
        """Pulls, calls given up, connections cut, reloads, removals, for a while."""
        if not SOAK:
            self.skipTest("asked for with: soak SECONDS")
        seed = random.SystemRandom().randrange(1 << 32)
        print("seed", seed, file=sys.stderr)
        pick = random.Random(seed)
        service = self.serve({"sluice": {"keep": "mounted"}}, insecure=[self.registry.host])
        agents = [self.agent(service) for _ in range(3)]
        ends, rounds, base = time.monotonic() + SOAK, 0, None
        while time.monotonic() < ends:
            self.one_round(service, agents, pick, rounds)
            rounds += 1
            if rounds == 10:
                base = self.resting(service)
        if base:
            now = self.resting(service)
            self.assertLessEqual(now[0], base[0], "descriptors")
            self.assertLessEqual(now[1], base[1], "threads")
            if not service.is_sanitized():  # they keep what was freed, and tell of leaks at the end
                self.assertLess(now[2], base[2] + SOAK_KIB, "resident KiB")
        print(f"{rounds} rounds", file=sys.stderr)

    def one_round(self, service, agents, pick, rounds):
        calls = []
        for i in range(pick.randrange(1, 12)):
            name, timeout = f"r{rounds}-{i}", pick.choice((0, 0, 60, 0.05, 0.3))
            image = f"{self.registry.host}/load:{pick.randrange(service_load.IMAGES)}"
            calls.append((name, pick.choice(agents).pull(image, self.bundle(name), timeout=timeout)))
        deed = pick.randrange(5)
        if deed == 0:
            cut = self.agent(service)
            cut.pull(f"{self.registry.host}/load:0", self.bundle(f"r{rounds}-cut"))
            cut.close()
        elif deed == 1:
            service.reload()
        elif deed == 2:
            service.ctl("cancel", f"{self.registry.host}/load:1", check=False)
        for _, call in calls:
            call.wait()
        self.until(lambda: service.status()["jobs"] == [], "no jobs")
        for place, *_ in mounts_below(self.path("bundles")):
            os.path.ismount(place) and self.unmount(os.path.dirname(place))

    def resting(self, service):
        self.until(lambda: self.in_store("mounts") == [] and self.in_store("staging") == [], "rest")
        return len(service.descriptors()), service.threads(), service.proc_status("VmRSS")


if __name__ == "__main__":
    sluiced_case.main()
