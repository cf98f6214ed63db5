#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What verifying signatures costs a pull: the same image without a policy, and with each kind of
signature verified, in turn.

Wall time and CPU directly; round trips, connections and the moment of the last byte of the layers
through a relay that adds latency. bench/README.md says how to read it. Needs root.
"""
import argparse
import asyncio
import contextlib
import http.client
import json
import os
import pathlib
import re
import ssl
import statistics
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests" / "support"))

from crafted_image import Layer, sha256, write_image  # noqa: E402
from make_tars import archive, entry  # noqa: E402
from registry import Registry  # noqa: E402
from sigstore_lab import Lab, public_pem  # noqa: E402
from sign_layout import CosignKey, PgpKey, digest_of  # noqa: E402

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
EMPTY = "application/vnd.oci.empty.v1+json"
SIGNED_HOST = "registry.example.com"  # what signatures say, wherever the registry is today
LARGE_FILES, LARGE_FILE = 200, 1 << 20  # number, bytes
KINDS = ("none", "gpg", "cosign", "bundle")
# skopeo 1.9 knows no bundles, and Debian built it without cosign's signatures.
RIVAL_KINDS = ("none", "gpg")


# ---- images ----

def layer_of(size):
    if size == "small":
        return Layer(archive(entry(b"file", os.urandom(1500))))
    files = [entry(b"file%d" % i, os.urandom(LARGE_FILE)) for i in range(LARGE_FILES)]
    return Layer(archive(*files), pack=None)


class Upload:
    """Puts an OCI layout into a repository, each document as it is."""

    def __init__(self, registry, repository):
        self.connection = http.client.HTTPSConnection(
            registry.host, context=ssl.create_default_context(cafile=registry.ca)
        ) if registry.tls else http.client.HTTPConnection(registry.host)
        self.base = f"/v2/{repository}"

    def send(self, method, path, data, media_type):
        self.connection.request(method, path, data, {"Content-Type": media_type})
        reply = self.connection.getresponse()
        text = reply.read()
        if reply.status not in (201, 202):
            raise RuntimeError(f"{method} {path}: {reply.status} {text!r}")
        return reply

    def blob(self, digest, data):
        where = self.send("POST", f"{self.base}/blobs/uploads/", b"", "").getheader("Location")
        where = where[where.index("/v2/"):]
        joint = "&" if "?" in where else "?"
        self.send("PUT", f"{where}{joint}digest={digest}", data, "application/octet-stream")

    def manifest(self, tag, data, media_type):
        self.send("PUT", f"{self.base}/manifests/{tag}", data, media_type)


def upload_layout(registry, repository, layout):
    upload = Upload(registry, repository)
    for path in (layout / "blobs" / "sha256").iterdir():
        upload.blob(f"sha256:{path.name}", path.read_bytes())
    for one in json.loads((layout / "index.json").read_text())["manifests"]:
        data = (layout / "blobs" / one["digest"].replace(":", "/")).read_bytes()
        tag = one["annotations"]["org.opencontainers.image.ref.name"]
        upload.manifest(tag, data, one["mediaType"])


def attach_bundle(registry, repository, layout, lab):
    """By the tag that lists referrers: docker-registry 2 has no API for them."""
    digest, upload = digest_of(layout), Upload(registry, repository)
    bundle = json.dumps(lab.bundle(digest, log=None)).encode()
    size = (pathlib.Path(layout) / "blobs" / digest.replace(":", "/")).stat().st_size
    manifest = json.dumps({
        "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": BUNDLE,
        "config": {"mediaType": EMPTY, "digest": sha256(b"{}"), "size": 2},
        "layers": [{"mediaType": BUNDLE, "digest": sha256(bundle), "size": len(bundle)}],
        "subject": {"mediaType": MANIFEST, "digest": digest, "size": size}}).encode()
    for blob in b"{}", bundle:
        upload.blob(sha256(blob), blob)
    upload.manifest(sha256(manifest), manifest, MANIFEST)
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [
        {"mediaType": MANIFEST, "digest": sha256(manifest), "size": len(manifest),
         "artifactType": BUNDLE}]}
    upload.manifest(digest.replace(":", "-"), json.dumps(index).encode(), INDEX)


class Images:
    """SIZE-KIND in the registry, each signed in its own way, with policies that demand it."""

    def __init__(self, folder, registry, sizes):
        self.folder = pathlib.Path(folder)
        self.pgp, self.cosign = PgpKey(folder), CosignKey(folder)
        self.lab = Lab()
        (self.folder / "lab.pub").write_bytes(public_pem(self.lab.key))
        (self.folder / "registries.d").mkdir()
        (self.folder / "registries.d" / "all.yaml").write_text(json.dumps({"default-docker": {
            "lookaside": f"file://{folder}/lookaside", "use-sigstore-attachments": True}}))
        for size in sizes:
            self._make(size, registry)
        for kind in KINDS:
            for size in sizes:
                self._write_policy(kind, f"{size}-{kind}")

    def _make(self, size, registry):
        layer = layer_of(size)
        for kind in KINDS:
            name = f"{SIGNED_HOST}/{size}-{kind}:latest"
            with tempfile.TemporaryDirectory() as layout:
                write_image(layout, [layer])
                if kind == "cosign":
                    self.cosign.sign(layout, name)
                upload_layout(registry, f"{size}-{kind}", pathlib.Path(layout))
                if kind == "bundle":
                    attach_bundle(registry, f"{size}-{kind}", layout, self.lab)
                if kind == "gpg":
                    self.pgp.sign(self.folder / "lookaside", name, digest_of(layout))

    def _write_policy(self, kind, name):
        identity = {"type": "exactRepository", "dockerRepository": f"{SIGNED_HOST}/{name}"}
        requirement = {
            "none": {"type": "insecureAcceptAnything"},
            "gpg": {"type": "signedBy", "keyType": "GPGKeys", "keyPath": self.pgp.pub,
                    "signedIdentity": identity},
            "cosign": {"type": "sigstoreSigned", "keyPath": self.cosign.pub,
                       "signedIdentity": identity},
            "bundle": {"type": "sigstoreSigned", "keyPath": str(self.folder / "lab.pub"),
                       "x-bundles": "digest-only", "signedIdentity": identity},
        }[kind]
        self.policy(name).write_text(json.dumps({"default": [requirement]}))

    def policy(self, name):
        return self.folder / f"{name}.policy.json"

    def close(self):
        self.pgp.close()


# ---- latency ----

class Relay:
    """A TCP relay with a round trip of so many seconds, which also a connection's begin takes."""

    def __init__(self, host, round_trip):
        self.upstream = host.split(":")
        self.round_trip = round_trip
        self.loop = asyncio.new_event_loop()
        self.forget()
        started = threading.Event()
        self.thread = threading.Thread(target=self._run, args=(started,), daemon=True)
        self.thread.start()
        started.wait()

    def forget(self):
        self.n_connections = 0
        self.last_large = 0.0  # when the last byte of a connection with a layer was handed over

    def _run(self, started):
        asyncio.set_event_loop(self.loop)
        server = self.loop.run_until_complete(
            asyncio.start_server(self._serve, "127.0.0.1", 0, limit=1 << 20))
        self.host = "127.0.0.1:%d" % server.sockets[0].getsockname()[1]
        started.set()
        self.loop.run_forever()

    async def _serve(self, reader, writer):
        self.n_connections += 1
        open_at = self.loop.time() + self.round_trip
        up_reader, up_writer = await asyncio.open_connection(*self.upstream, limit=1 << 20)
        await asyncio.gather(self._carry(reader, up_writer, open_at, False),
                             self._carry(up_reader, writer, open_at, True),
                             return_exceptions=True)

    async def _carry(self, reader, writer, open_at, is_answer):
        queue = asyncio.Queue()
        sender = asyncio.ensure_future(self._send(queue, writer, is_answer))
        while True:
            data = b""
            with contextlib.suppress(OSError):
                data = await reader.read(1 << 20)
            queue.put_nowait((max(self.loop.time(), open_at) + self.round_trip / 2, data))
            if not data:
                break
        await sender

    async def _send(self, queue, writer, is_answer):
        sent = 0
        with contextlib.suppress(OSError):
            while True:
                due, data = await queue.get()
                wait = due - self.loop.time()
                if wait > 0:
                    await asyncio.sleep(wait)
                if not data:
                    break
                writer.write(data)
                await writer.drain()
                sent += len(data)
                if is_answer and sent > LARGE_FILE:
                    self.last_large = time.perf_counter()
        with contextlib.suppress(OSError):
            writer.close()

    def close(self):
        self.loop.call_soon_threadsafe(self._stop)
        self.thread.join()

    def _stop(self):
        tasks = asyncio.all_tasks(self.loop)
        for task in tasks:
            task.cancel()
        end = asyncio.gather(*tasks, return_exceptions=True)
        end.add_done_callback(lambda _: self.loop.stop())


# ---- measuring ----

def measure(argv):
    with tempfile.TemporaryFile() as errors:
        start = time.perf_counter()
        process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=errors)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
        if status:
            errors.seek(0)
            raise RuntimeError(errors.read().decode(errors="replace")[-500:])
    return {"start": start, "wall": wall, "cpu": usage.ru_utime + usage.ru_stime}


class Bench:
    def __init__(self, options, images, registry):
        self.options, self.images, self.registry = options, images, registry

    def trust(self, side):
        return [f"--{side}cert-dir={self.registry.cert_dir()}"] if self.registry.tls else [
            f"--{side}tls-verify=false"]

    def sluice(self, host, name, store, is_verified):
        policy = ["--policy", self.images.policy(name), "--registries.d",
                  self.images.folder / "registries.d"] if is_verified else ["--insecure-policy"]
        return [self.options.sluice, "pull", "--quiet", "--root", f"{store}/root", *policy,
                *self.trust(""), f"docker://{host}/{name}:latest"]

    def skopeo(self, host, name, store, is_verified):
        policy = ["--policy", self.images.policy(name), "--registries.d",
                  self.images.folder / "registries.d"] if is_verified else ["--insecure-policy"]
        return ["skopeo", *policy, "copy", "-q", *self.trust("src-"), "--remove-signatures",
                f"docker://{host}/{name}:latest", f"oci:{store}/layout:x"]

    def once(self, make_command, relay, size, kind):
        host = relay.host if relay else self.registry.host
        with tempfile.TemporaryDirectory(prefix="sluice-verify-", dir=self.options.dir) as store:
            before = os.path.getsize(self.registry.path("log"))
            if relay:
                relay.forget()
            run = measure([str(arg) for arg in
                           make_command(host, f"{size}-{kind}", store, kind != "none")])
        with open(self.registry.path("log"), "rb") as log:
            log.seek(before)
            run["requests"] = len(re.findall(rb'"(?:GET|HEAD) /', log.read()))
        if relay:
            run["connections"] = relay.n_connections
            run["last"] = relay.last_large - run["start"] if relay.last_large else None
        return run

    def series(self, make_command, relays, size, kinds):
        """In turn, so that a machine whose speed drifts is fair to each: runs by relay and kind."""
        runs = [{kind: [] for kind in kinds} for _ in relays]
        for i in range(1 + self.options.runs):
            for kind in kinds:
                for one, relay in zip(runs, relays):
                    run = self.once(make_command, relay, size, kind)
                    if i:  # the first is for the caches
                        one[kind].append(run)
        return runs


def median(runs, what):
    values = [run[what] for run in runs if run.get(what) is not None]
    return statistics.median(values) if values else None


def more(runs, kind, what):
    """The median of the differences of pairs that ran one after the other."""
    pairs = zip(runs[kind], runs["none"])
    values = [a[what] - b[what] for a, b in pairs if a.get(what) is not None
              and b.get(what) is not None]
    return statistics.median(values) if values else None


def ms(seconds):
    return "-" if seconds is None else f"{seconds * 1000:.1f}"


def print_direct(tool, size, runs):
    for kind, one in runs.items():
        print(f"| {tool} | {size} | {kind} | {ms(median(one, 'wall'))} "
              f"| {ms(more(runs, kind, 'wall'))} | {ms(median(one, 'cpu'))} "
              f"| {ms(more(runs, kind, 'cpu'))} | {median(one, 'requests'):.0f} |", flush=True)


def print_relayed(tool, size, near, far, round_trip):
    """Round trips: what a pull takes longer far away than near, each pair one after the other."""
    def trips(kind):
        return [(a["wall"] - b["wall"]) / round_trip for a, b in zip(far[kind], near[kind])]
    for kind in far:
        added = statistics.median(a - b for a, b in zip(trips(kind), trips("none")))
        print(f"| {tool} | {size} | {kind} | {ms(median(far[kind], 'wall'))} "
              f"| {statistics.median(trips(kind)):.1f} | {added:+.1f} "
              f"| {ms(median(far[kind], 'last'))} | {ms(more(far, kind, 'last'))} "
              f"| {median(far[kind], 'connections'):.0f} |", flush=True)


def print_head(title, *columns):
    print(f"\n{title}\n\n| {' | '.join(columns)} |\n|{'---|' * len(columns)}")


def run_all(bench, options):
    tools = {"sluice": (bench.sluice, KINDS), "skopeo": (bench.skopeo, RIVAL_KINDS)}
    tools = {name: tool for name, tool in tools.items() if name in options.tools}
    print_head("Directly (ms)", "Tool", "Image", "Verified", "wall", "more", "CPU", "more",
               "requests")
    for size in options.images:
        for name, (command, kinds) in tools.items():
            print_direct(name, size, bench.series(command, [None], size, kinds)[0])
    if not options.latency:
        return
    round_trip = options.latency / 1000
    relays = Relay(bench.registry.host, 0), Relay(bench.registry.host, round_trip)
    print_head(f"With {options.latency} ms for a round trip (ms)", "Tool", "Image", "Verified",
               "wall", "round trips", "more", "last byte", "more", "connections")
    for size in options.images:
        for name, (command, kinds) in tools.items():
            near, far = bench.series(command, relays, size, kinds)
            print_relayed(name, size, near, far, round_trip)
    for relay in relays:
        relay.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=11)
    parser.add_argument("--latency", type=float, default=20,
                        help="milliseconds, there and back; 0: none")
    parser.add_argument("--tls", action="store_true", help="HTTPS, which is HTTP/2 for documents")
    parser.add_argument("--images", nargs="+", choices=["small", "large"],
                        default=["small", "large"])
    parser.add_argument("--tools", nargs="+", choices=["sluice", "skopeo"],
                        default=["sluice", "skopeo"])
    parser.add_argument("--sluice", default=HERE.parent / "build/bin/sluice")
    parser.add_argument("--dir", default="/dev/shm", help="where stores lie")
    options = parser.parse_args()
    print(f"load {' '.join(f'{n:.1f}' for n in os.getloadavg())}, {os.cpu_count()} cores, "
          f"Linux {os.uname().release}, {options.runs} runs, {'HTTPS' if options.tls else 'HTTP'}")
    with tempfile.TemporaryDirectory(prefix="sluice-verify-", dir=options.dir) as folder, \
            Registry(tls=options.tls) as registry:
        os.chmod(folder, 0o755)
        images = Images(folder, registry, options.images)
        try:
            run_all(Bench(options, images, registry), options)
        finally:
            images.close()


if __name__ == "__main__":
    main()
