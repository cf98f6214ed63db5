#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""sluiced under load: 32 calls of PullImage at once, of 8 images that share base layers; the same
again from the cache, with a policy that wants a signature; and at rest. Needs root, Go, and
docker-registry. Run it on an idle machine.

The bound of the load: what all unique work costs (CPU seconds of sluiced and of the registry while the
images are pulled one after the other into a fresh store), divided by the cores."""
import argparse
import base64
import http.client
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
os.environ.setdefault("SLUICE", str(ROOT / "build/bin/sluice"))
os.environ.setdefault("SLUICE_IMAGES", str(ROOT / "build/dev/test-images"))
sys.path.insert(0, str(ROOT / "tests/support"))
import sluiced_case  # noqa: E402
import make_image  # noqa: E402
import own_mounts  # noqa: E402
import pull_images  # noqa: E402
import registry as registries  # noqa: E402
import service_load  # noqa: E402
import signing  # noqa: E402


# Cases and their rivals.
CASES = {"at_once": "one_after_the_other", "at_once/cpu": "one_after_the_other/cpu",
         "repeat/accept": "manifest", "repeat/cosign": "manifest", "repeat/gpg": "manifest"}


class Tools:
    """Of this machine, as signing.py wants them."""

    @staticmethod
    def run(*argv, env=None):
        return subprocess.run(argv, env={**os.environ, **(env or {})}, capture_output=True, text=True, check=False)

    @staticmethod
    def good(*argv, env=None):
        done = Tools.run(*argv, env=env)
        if done.returncode:
            raise RuntimeError(f"{argv[0]}: {done.stderr}")
        return done.stdout


class Bench(sluiced_case.SluicedCase):
    """The service's test bench, without tests."""
    key_file = None

    def runTest(self):  # pylint: disable=invalid-name
        pass

    def fresh(self, name, policy=None, **image):
        self.root = self.path("store-" + name)
        if policy:
            image["image_security_policy"] = json.dumps(policy)
        return self.serve({"image": image, "sluice": {"progress_s": 0, **self.keys()}}, insecure=[self.registry.host],
                          name=name)

    def cpu(self, service):
        return (service_load.cpu_seconds(service.process.pid) +
                service_load.cpu_seconds(self.registry._process.pid))

    def keys(self):
        """The configuration that has the key of the encrypted images."""
        return {"offline_keys": self.key_file} if self.key_file else {}

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
        """Wall and CPU seconds, peak KiB, and whether each blob was fetched once."""
        service = self.fresh(name)
        agents = [self.agent(service) for _ in range(4)]
        before = service_load.fetches(self.registry)
        cpu, begun = self.cpu(service), time.monotonic()
        answers = service_load.pull_all(agents, self.registry.host, lambda i: self.bundle(f"{name}-{i}"))
        wall = time.monotonic() - begun
        self.assertEqual({a.code for a in answers}, {0}, answers)
        after = service_load.fetches(self.registry)
        once = all(after[x] - before.get(x, 0) == 1 for x in self.images.blobs())
        cpu, peak = self.cpu(service) - cpu, service.proc_status("VmHWM")
        service.stop()
        return wall, cpu, peak, once

    def cosign_policy(self, reference):
        """Policy that wants a signature, which the first image is given."""
        folder = self.path("signing")
        os.mkdir(folder)
        signer = signing.Signing(None, folder)
        key = signer.openssl_key("key")
        uploads = signing.Uploads(self.registry.host)
        digest = self.images.digests[0]
        data = signing.payload(reference, digest, signing.COSIGN)
        uploads.attach("load", digest, [(data, key.sign(data))])
        return signing.policy(signing.REJECT, {reference: signing.sigstore_signed(key)})

    def gpg_policy(self, reference):
        """The same by gpg, and the configuration that says where its signature lies."""
        folder = self.path("gpg")
        os.mkdir(folder)
        signer = signing.Signing(Tools, folder)
        self.addCleanup(signer.close)
        key, digest = signer.gpg_key("key"), self.images.digests[0]
        manifest = make_image.read_blob(self.images.folder, digest)
        signer.lay("load", digest, signer.standalone_sign(manifest, reference + ":0", key))
        where = json.dumps({"default-docker": {"lookaside": "file://" + signer.lookaside}})
        return signing.policy(signing.REJECT, {reference: signing.signed_by(key)}), where

    def policies(self, name):
        """What fresh() takes."""
        reference = f"{self.registry.host}/load"
        if name == "gpg":
            policy, where = self.gpg_policy(reference)
            return {"policy": policy, "sigstore_config": where}
        return {"policy": signing.policy(signing.ACCEPT) if name == "accept" else self.cosign_policy(reference)}

    def ask_for_manifest(self, connection):
        """Seconds of the one request that no repeat is without, on a connection that is kept."""
        begun = time.monotonic()
        connection.request("GET", "/v2/load/manifests/0", headers={"Accept": pull_images.MANIFEST})
        with connection.getresponse() as reply:
            reply.read()
            self.assertEqual(reply.status, 200)
        return time.monotonic() - begun

    def warm(self, name, repeats):
        """(service, what kind of bundle to seconds of each call, seconds of each request for the manifest, CPU
        seconds of sluiced for a call) of pulls from the cache. name: of the policy."""
        reference = f"{self.registry.host}/load"
        service = self.fresh("warm-" + name, **self.policies(name))
        agent = self.agent(service)
        spent, asked, connection = 0, [], http.client.HTTPConnection(self.registry.host)
        times = {"the same bundle": [], "a new bundle": []}
        for i in range(-3, repeats):
            for kind, seconds in times.items():
                bundle = self.bundle(name + ("" if kind == "the same bundle" else str(i)))
                before = service_load.cpu_seconds(service.process.pid)
                answer = agent.pull(f"{reference}:0", bundle).wait()
                self.assertEqual(answer.code, 0, answer)
                if i >= 0:
                    seconds.append(answer.seconds)
                    spent += service_load.cpu_seconds(service.process.pid) - before
                if kind == "a new bundle":
                    self.unmount(bundle)
            asked.append(self.ask_for_manifest(connection))
        connection.close()
        return service, times, asked, spent / (2 * repeats)

    def rest(self, service, seconds):
        """Wake-ups a second, and the memory."""
        time.sleep(2)  # what follows the last call is over
        before = service_load.wakeups(service.process.pid)
        time.sleep(seconds)
        return f"{(service_load.wakeups(service.process.pid) - before) / seconds:.1f} wake-ups/s, " + \
            self.memory(service)

    @staticmethod
    def memory(service):
        """Pages of libraries that others use too are in RSS as a whole."""
        with open(f"/proc/{service.process.pid}/smaps_rollup", encoding="ascii") as f:
            kib = {line.split(":")[0]: int(line.split()[1]) for line in f if line.endswith("kB\n")}
        return ", ".join(f"{name} {kib[key] / 1024:.1f} MiB"
                         for name, key in (("RSS", "Rss"), ("PSS", "Pss"), ("anonymous", "Anonymous")))


SHARED_TREES = "/usr/include", "/usr/lib/python3", "/usr/lib/gcc"
OWN_TREES = ("/usr/sbin", "/usr/share/man", "/usr/share/perl", "/usr/share/doc", "/usr/share/locale", "/etc",
             "/usr/share/zoneinfo", "/usr/lib/python3.11")
KEY_ID = "default/key/1"


def tree_layer(folder):
    """A gzip layer of a folder of this machine."""
    plain = subprocess.run(["tar", "--numeric-owner", "--sort=name", "--mtime=@1700000000", "-C", "/", "-cf", "-",
                            folder.lstrip("/")], stdout=subprocess.PIPE, check=True).stdout
    return make_image.Layer(plain, 1)


def trees(bench, encrypted):
    """Images of real files; the top layer of the first few is encrypted."""
    images = service_load.Images.__new__(service_load.Images)
    images.build(bench.path("plain"), [tree_layer(f) for f in SHARED_TREES], [tree_layer(f) for f in OWN_TREES])
    images.folder = bench.path("images")
    key = os.urandom(32)
    bench.key_file = bench.write("keys.json", json.dumps({KEY_ID: base64.b64encode(key).decode()}))
    with open(bench.path("key"), "wb") as f:
        f.write(key)
    spec = f"provider:attestation-agent:keypath={bench.path('key')}::keyid=kbs:///{KEY_ID}::algorithm=A256GCM"
    for i in range(service_load.IMAGES):
        target = f"oci:{images.folder}:{i}"
        if i < encrypted:
            subprocess.run([sluiced_case.SLUICE, "encrypt", "--quiet", "--encrypt-layer", "-1", "--encryption-key",
                            spec, f"oci:{bench.path('plain')}:{i}", target], check=True)
        else:
            subprocess.run(["skopeo", "--insecure-policy", "copy", "--quiet", f"oci:{bench.path('plain')}:{i}",
                            target], check=True)
        images.digests[i] = make_image.tagged(images.folder, str(i))[0]["digest"]
    return images


def p99(values):
    return sorted(values)[int(len(values) * 0.99)] * 1000


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--size", type=int, default=48, help="MiB of a shared layer")
    parser.add_argument("--trees", type=int, metavar="N", help="images of this machine's own files instead, the "
                        "top layers of N of which are encrypted")
    parser.add_argument("--repeats", type=int, default=300)
    parser.add_argument("--rest", type=int, default=10, help="seconds")
    parser.add_argument("--records", metavar="FILE", help="for run.py: see ratios.py")
    options = parser.parse_args()
    why = why_not()
    if why and options.records:
        print(f"skipped: {why}", flush=True)
        write_records(options.records, [{"name": f"service/{name}", "rival": f"service/{rival}", "skipped": why}
                                        for name, rival in CASES.items()])
        return
    if why:
        sys.exit(f"service.py: {why}")
    if not all(os.access(program, os.X_OK) for program in (sluiced_case.SLUICE, sluiced_case.SLUICED)):
        sys.exit(f"service.py: {sluiced_case.SLUICED}, or sluice beside it, is not built: run ./dev build")
    own_mounts.enter()
    own_mounts.hide_machine_policy()
    Bench.setUpClass()
    bench = Bench()
    try:
        with registries.Registry() as bench.registry:
            run(bench, options)
    finally:
        Bench.doClassCleanups()


def why_not():
    """What is missing here, in words, or None."""
    missing = registries.missing_programs("docker-registry", "skopeo", "gpg")
    if os.geteuid() != 0:
        return "needs root"
    if missing:
        return f"needs {missing[0]}"
    return sluiced_case.go_tools.why_not()


def record(name, seconds, rival_seconds, cpu_seconds=None, peak_kib=None):
    """Of one pull, or of all; how many times as fast as the rival. Layers are shared: no rate is told."""
    return {"name": f"service/{name}", "rival": f"service/{CASES[name]}", "bytes": None, "seconds": seconds,
            "cpu_seconds": cpu_seconds, "peak_bytes": peak_kib and peak_kib * 1024, "ratio": rival_seconds / seconds}


def print_load(singles, loads, cores):
    wall, cpu = (statistics.median(x[i] for x in singles) for i in (0, 1))
    bound = cpu / cores
    print(f"one after the other: {wall:.2f} s, {cpu:.2f} CPU s: bound on {cores} cores {bound:.2f} s", flush=True)
    for wall, spent, peak, once in loads:
        print(f"{service_load.CALLERS} at once: {wall:.2f} s, {wall / bound:.2f} of the bound; {spent:.2f} CPU s, "
              f"{spent / cpu:.2f} of the unique work; peak {peak / 1024:.0f} MiB; each blob once: {once}",
              flush=True)


def load_records(singles, loads):
    """at_once: wall and CPU against the unique work. singles, loads: of the runs. Wall is compared with wall:
    against the bound, which is CPU, any other work on the machine would count."""
    single_wall, single_cpu = (statistics.median(x[i] for x in singles) for i in (0, 1))
    wall, cpu, peak = (statistics.median(load[i] for load in loads) for i in (0, 1, 2))
    return [record("at_once", wall, single_wall, cpu, peak),
            record("at_once/cpu", cpu, single_cpu, cpu, peak)]


def write_records(path, records):
    pathlib.Path(path).write_text("".join(json.dumps(r) + "\n" for r in records), encoding="utf-8")


def run(bench, options):
    bench.setUp()
    try:
        bench.images = trees(bench, options.trees) if options.trees else service_load.Images(
            bench.path("images"), options.size << 20)
        bench.images.push(bench.registry)
        cores = len(os.sched_getaffinity(0))
        service = bench.fresh("rest")
        print("idle, before the first pull:", bench.rest(service, options.rest), flush=True)
        service.stop()
        singles, loads = [], []
        for i in range(options.runs):  # in turn: machines drift
            singles.append(bench.one_after_the_other(f"single{i}"))
            loads.append(bench.at_once(f"load{i}"))
        print_load(singles, loads, cores)
        records = load_records(singles, loads)
        for policy in "accept", "cosign", "gpg":
            service, times, asked, spent = bench.warm(policy, options.repeats)
            for kind, seconds in times.items():
                print(f"cached, {policy}, {kind}: median {statistics.median(seconds) * 1000:.1f} ms, "
                      f"p99 {p99(seconds):.1f} ms", flush=True)
            warm = statistics.median(t for seconds in times.values() for t in seconds)
            records.append(record(f"repeat/{policy}", warm, statistics.median(asked), spent))
            print(f"cached, {policy}: {spent * 1000:.1f} ms of CPU a call; idle, afterwards:",
                  bench.rest(service, options.rest), flush=True)
            service.stop()
        if options.records:
            write_records(options.records, records)
    finally:
        bench.doCleanups()


if __name__ == "__main__":
    main()
