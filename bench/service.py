#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""sluiced under load: 32 calls of PullImage at once, of 8 images that share base layers; the same
again from the cache, with a policy that wants a signature; and at rest. Needs root, Go, and
docker-registry. Run it on an idle machine.

The bound of the load: what all unique work costs (CPU seconds of sluiced and of the registry while the
images are pulled one after the other into a fresh store), divided by the cores."""
import argparse
import json
import os
import pathlib
import statistics
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
os.environ.setdefault("SLUICE", str(ROOT / "build/bin/sluice"))
os.environ.setdefault("SLUICE_IMAGES", str(ROOT / "build/dev/test-images"))
sys.path.insert(0, str(ROOT / "tests/support"))
import sluiced_case  # noqa: E402
import own_mounts  # noqa: E402
import registry as registries  # noqa: E402
import service_load  # noqa: E402
import signing  # noqa: E402


class Bench(sluiced_case.SluicedCase):
    """The service's test bench, without tests."""

    def runTest(self):  # pylint: disable=invalid-name
        pass

    def fresh(self, name, policy=None):
        self.root = self.path("store-" + name)
        image = {"image_security_policy": json.dumps(policy)} if policy else {}
        return self.serve({"image": image, "sluice": {"progress_s": 0}}, insecure=[self.registry.host],
                          name=name)

    def cpu(self, service):
        return (service_load.cpu_seconds(service.process.pid) +
                service_load.cpu_seconds(self.registry._process.pid))

    def one_after_the_other(self, name):
        """Wall and CPU seconds of the unique work."""
        service = self.fresh(name)
        agent = self.agent(service)
        cpu, begun = self.cpu(service), time.monotonic()
        for i in range(service_load.IMAGES):
            answer = agent.pull(f"{self.registry.host}/load:{i}", self.bundle(f"{name}-{i}")).wait(600)
            self.assertEqual(answer.code, 0, answer)
        result = time.monotonic() - begun, self.cpu(service) - cpu
        service.stop()
        return result

    def at_once(self, name):
        """Wall seconds, peak KiB, and whether each blob was fetched once."""
        service = self.fresh(name)
        agents = [self.agent(service) for _ in range(4)]
        before = service_load.fetches(self.registry)
        begun = time.monotonic()
        answers = service_load.pull_all(agents, self.registry.host, lambda i: self.bundle(f"{name}-{i}"))
        wall = time.monotonic() - begun
        self.assertEqual({a.code for a in answers}, {0}, answers)
        after = service_load.fetches(self.registry)
        once = all(after[x.digest] - before.get(x.digest, 0) == 1 for x in self.images.layers)
        peak = service.proc_status("VmHWM")
        service.stop()
        return wall, peak, once

    def warm(self, repeats):
        """Seconds of each call, from the cache, with a signature to be checked."""
        folder = self.path("signing")
        os.mkdir(folder)
        signer = signing.Signing(None, folder)
        key = signer.openssl_key("key")
        uploads = signing.Uploads(self.registry.host)
        reference, digest = f"{self.registry.host}/load", self.images.digests[0]
        data = signing.payload(reference, digest, signing.COSIGN)
        uploads.attach("load", digest, [(data, key.sign(data))])
        service = self.fresh("warm", signing.policy(signing.REJECT, {reference: signing.sigstore_signed(key)}))
        agent = self.agent(service)
        times = {"the same bundle": [], "a new bundle": []}
        for i in range(-3, repeats):
            for kind, seconds in times.items():
                bundle = self.bundle("warm" if kind == "the same bundle" else f"warm{i}")
                answer = agent.pull(f"{reference}:0", bundle).wait()
                self.assertEqual(answer.code, 0, answer)
                if i >= 0:
                    seconds.append(answer.seconds)
                if kind == "a new bundle":
                    self.unmount(bundle)
        return service, times

    def rest(self, service, seconds):
        """(wake-ups a second, resident KiB)"""
        time.sleep(2)  # what follows the last call is over
        before = service_load.wakeups(service.process.pid)
        time.sleep(seconds)
        return ((service_load.wakeups(service.process.pid) - before) / seconds,
                service.proc_status("VmRSS"))


def p99(values):
    return sorted(values)[int(len(values) * 0.99)] * 1000


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--size", type=int, default=48, help="MiB of a shared layer")
    parser.add_argument("--repeats", type=int, default=300)
    parser.add_argument("--rest", type=int, default=10, help="seconds")
    options = parser.parse_args()
    own_mounts.enter()
    own_mounts.hide_machine_policy()
    Bench.setUpClass()
    bench = Bench()
    try:
        with registries.Registry() as bench.registry:
            run(bench, options)
    finally:
        Bench.doClassCleanups()


def run(bench, options):
    bench.setUp()
    try:
        bench.images = service_load.Images(bench.path("images"), options.size << 20)
        bench.images.push(bench.registry)
        cores = len(os.sched_getaffinity(0))
        service = bench.fresh("rest")
        wakeups, resident = bench.rest(service, options.rest)
        print(f"idle, before the first pull: {wakeups:.1f} wake-ups/s, {resident / 1024:.1f} MiB", flush=True)
        service.stop()
        singles = [bench.one_after_the_other(f"single{i}") for i in range(options.runs)]
        wall, cpu = (statistics.median(x[i] for x in singles) for i in (0, 1))
        bound = cpu / cores
        print(f"one after the other: {wall:.2f} s, {cpu:.2f} CPU s: bound on {cores} cores {bound:.2f} s", flush=True)
        for i in range(options.runs):
            wall, peak, once = bench.at_once(f"load{i}")
            print(f"{service_load.CALLERS} at once: {wall:.2f} s, {wall / bound:.2f} of the bound; peak "
                  f"{peak / 1024:.0f} MiB; each blob once: {once}", flush=True)
        service, times = bench.warm(options.repeats)
        for kind, seconds in times.items():
            print(f"cached, signature checked, {kind}: median {statistics.median(seconds) * 1000:.1f} ms, "
                  f"p99 {p99(seconds):.1f} ms", flush=True)
        wakeups, resident = bench.rest(service, options.rest)
        print(f"idle, afterwards: {wakeups:.1f} wake-ups/s, {resident / 1024:.1f} MiB", flush=True)
    finally:
        bench.doCleanups()


if __name__ == "__main__":
    main()
