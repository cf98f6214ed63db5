#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Thirty-two callers who want eight images that share layers, at once. Run it with SLUICED of other
builds, for other sanitizers. No times are judged here: see bench/service.py. Needs SLUICE and
SLUICE_IMAGES."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import sluiced_case  # noqa: E402
from sluiced_case import SluicedCase, mounts_below, start_registry
import service_load  # noqa: E402

SIZE = 2 << 20  # bytes of a shared layer


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
        kept = service_load.Kept(service)
        for _ in range(3):
            once()
        self.until(kept.is_as_before, lambda: kept.difference())


if __name__ == "__main__":
    sluiced_case.main()
