#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Whole pulls while something fails around them: registries, the disk, the process itself. The
program's path is in SLUICE. (What the HTTP client does with each fault alone: test_http_*.py.)"""
import gzip
import hashlib
import itertools
import json
import os
import random
import signal
import subprocess
import time
import unittest

import pull_case  # first: it says where the others are
import peak_memory
from crafted_image import Layer, blob_path, write_image
from make_tars import archive, directory, entry, header
from pull_case import FAILED, INTEGRITY, NETWORK, PullCase, names

SEED = int(os.environ.get("SLUICE_TEST_SEED", "20240229"))
N_LAYERS = 4
BLOBS = "GET .*/blobs/"
MANIFESTS = "GET .*/manifests/"
SECRET = "correct-horse"
MIB = 1 << 20


def on_blob(layer):
    return BLOBS + layer.descriptor["digest"]


def large_layer():
    """300 MiB in gzip members, each the same: quick to make."""
    part = random.Random(SEED).randbytes(8 * MIB) + bytes(2 * MIB)
    start, end = header(b"large", size=30 * len(part)), bytes(1024)
    plain = hashlib.sha256(start)
    for _ in range(30):
        plain.update(part)
    plain.update(end)
    layer = Layer(b"", None, blob=gzip.compress(start) + gzip.compress(part, 1) * 30 +
                  gzip.compress(end))
    layer.diff_id = "sha256:" + plain.hexdigest()
    return layer


class RegistryCase(PullCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        random.seed(SEED)
        cls.layout = os.path.join(cls.folder, "layout")
        cls.contents = {"dir/file%d" % i: random.randbytes(3 * MIB + i) for i in range(N_LAYERS)}
        cls.layers = [Layer(archive(directory(b"dir"), entry(name.encode(), data)), None)
                      for name, data in cls.contents.items()]
        cls.manifest, cls.config = write_image(cls.layout, cls.layers)

    def pull_with(self, *faults, options=(), auth=None):
        self.image = self.serve(self.layout, *faults, auth=auth)
        return self.pull(self.image, *options)

    def expect_image(self, run):
        self.expect_pulled(run, self.contents)

    def expect_complete_layers(self):
        """Whatever is in the store is whole."""
        files = {layer.diff_id: item for layer, item in zip(self.layers, self.contents.items())}
        folder = os.path.join(self.store, "layers", "sha256")
        found = os.listdir(folder) if os.path.isdir(folder) else []
        for name in found:
            path, data = files["sha256:" + name]
            with open(os.path.join(folder, name, "fs", path), "rb") as file:
                self.assertTrue(file.read() == data, path)
        return len(found)

    def staged_bytes(self):
        staging = os.path.join(self.store, "staging")
        total = 0
        for path, _, files in os.walk(staging):
            for name in files:
                try:
                    total += os.lstat(os.path.join(path, name)).st_size
                except FileNotFoundError:
                    pass
        return total


class Answers(RegistryCase):
    def refuse(self, fault, code, *texts, secrets=(), options=()):
        self.fresh()
        run = self.pull_with(fault, options=("--jobs", "1", *options))
        self.expect_refused(run, code, "127.0.0.1:", *texts, secrets=secrets)

    def test_manifest_is_refused(self):
        for status, text in (401, "Not authorized"), (403, "Not authorized: access denied"), (404, "not found"):
            with self.subTest(status):
                self.refuse({"on": MANIFESTS, "status": status}, NETWORK, text, "manifest")

    def test_blob_is_refused(self):
        for status, text in (401, "Not authorized"), (403, "Not authorized: access denied"), (404, "not found"):
            with self.subTest(status):
                self.refuse({"on": on_blob(self.layers[0]), "status": status}, NETWORK, text,
                            "layer 1/4 sha256:", "fetch")

    def test_layers_that_passed_stay_where_the_network_failed(self):
        """The next try goes on from them; after any other failure nothing stays."""
        for status, kept in (404, 3), (None, 0):
            with self.subTest(status):
                self.fresh()
                fault = {"status": status} if status else {"flip": 700}
                run = self.pull_with({"on": on_blob(self.layers[3]), **fault},
                                     options=("--jobs", "1"))
                self.assertNotEqual(run.returncode, 0)
                self.assertEqual(self.expect_complete_layers(), kept)
                again = self.pull_with(options=("--json",))
                self.expect_image(again)
                states = [layer["state"] for layer in json.loads(again.stdout)["layers"]]
                self.assertEqual(states.count("cached"), kept)

    def test_config_is_refused(self):
        self.refuse({"on": BLOBS + self.config["digest"], "status": 404}, NETWORK, "config",
                    "not found")

    def test_too_many_requests_waits_as_told(self):
        for how in {"headers": {"Retry-After": "1"}}, {"retry_after_date": 2}:
            with self.subTest(how):
                self.fresh()
                start = time.monotonic()
                self.expect_image(self.pull_with({"on": MANIFESTS, "status": 429, "times": 1,
                                                  **how}))
                self.assertGreater(time.monotonic() - start, 0.9)

    def test_retry_says_how_often(self):
        for tries in 1, 2:
            with self.subTest(tries):
                self.refuse({"on": MANIFESTS, "status": 503}, NETWORK, "HTTP 503",
                            options=("--retry", str(tries)))
                times = [r["time"] for r in self.log.requests("/manifests/")]
                self.assertEqual(len(times), tries)
                for earlier, later in itertools.pairwise(times):
                    self.assertGreater(later - earlier, 0.45)

    def test_errors_that_pass(self):
        for what in {"status": 500}, {"nothing": True}:
            with self.subTest(what):
                self.fresh()
                faults = [{"on": on_blob(layer), "times": 1, **what} for layer in self.layers]
                self.expect_image(self.pull_with(*faults))

    def test_garbage(self):
        self.refuse({"on": MANIFESTS, "garbage": True}, NETWORK, "does not speak HTTP")
        self.refuse({"on": on_blob(self.layers[0]), "garbage": True}, NETWORK, "layer 1/4",
                    "fetch", "does not speak HTTP")

    def test_errors_that_stay(self):
        """All at once, since the tries of each take long."""
        nobody = self.start("docker://127.0.0.1:1/some/image:latest")
        children = []
        for what in {"status": 503}, {"nothing": True}, {"cut_at": 1000}, \
                {"cut_at": 1000, "ignore_range": True}:
            self.fresh()
            image = self.serve(self.layout, {"on": on_blob(self.layers[2]), **what})
            children.append((self.start(image, "--jobs", "1"), self.store, self.bundle, self.room,
                             what))
        for child, self.store, self.bundle, self.room, what in children:
            with self.subTest(what):
                out, said = child.communicate(timeout=pull_case.DEADLINE)
                run = subprocess.CompletedProcess([], child.returncode, out, said)
                self.expect_one_line(run, NETWORK, "layer 3/4 sha256:", "fetch", "attempts")
                self.assertEqual(names(os.path.join(self.store, "staging")), [])
                self.assertEqual(names(os.path.join(self.store, "images", "sha256")), [])
                self.assertFalse(os.path.exists(self.bundle))
                self.assertEqual(self.expect_complete_layers(), 2)
        out, said = nobody.communicate(timeout=pull_case.DEADLINE)
        self.expect_one_line(subprocess.CompletedProcess([], nobody.returncode, out, said),
                             NETWORK, "127.0.0.1:1", "manifest")


class Lines(RegistryCase):
    def cuts(self, **more):
        return [{"on": on_blob(layer), "times": 1, **more,
                 "cut_at": random.randrange(len(layer.blob))} for layer in self.layers]

    def test_cut_lines_are_resumed(self):
        faults = self.cuts()
        self.expect_image(self.pull_with(*faults))
        ranges = {r["range"] for r in self.log.requests("/blobs/")}
        self.assertGreaterEqual(ranges, {"bytes=%d-" % fault["cut_at"] for fault in faults})

    def test_cut_lines_are_resumed_without_range(self):
        faults = self.cuts()
        ignore = [{"on": on_blob(layer), "ignore_range": True} for layer in self.layers]
        self.expect_image(self.pull_with(*faults, *ignore))

    def test_redirect_shows_no_credentials(self):
        auth = {"scheme": "basic", "user": "me", "password": SECRET}
        run = self.pull_with({"on": "^" + BLOBS, "redirect": "other"}, auth=auth,
                             options=("--creds", "me:" + SECRET))
        self.expect_image(run)
        other = [r for r in self.log.requests() if r["port"] == "other"]
        self.assertEqual(len(other), N_LAYERS + 1)
        self.assertEqual({r["authorization"] for r in other}, {None})

    def test_token_that_expires_is_renewed(self):
        auth = {"scheme": "bearer", "user": "me", "password": SECRET, "uses": 2}
        options = "--creds", "me:" + SECRET, "--jobs", "1"
        self.expect_image(self.pull_with(auth=auth, options=options))
        self.assertGreaterEqual(len(self.log.requests("/token")), 3)

    def test_wrong_password_is_not_repeated(self):
        for scheme in "basic", "bearer":
            with self.subTest(scheme):
                self.fresh()
                auth = {"scheme": scheme, "user": "me", "password": SECRET}
                run = self.pull_with(auth=auth, options=("--creds", "me:wrong-battery"))
                self.expect_refused(run, NETWORK, "Not authorized", "--creds", "127.0.0.1:",
                                    secrets=["wrong-battery", "Basic "])

    def test_slow_registry(self):
        self.expect_image(self.pull_with({"on": BLOBS, "slow": 64 * 1024}))


class Bytes(RegistryCase):
    def refuse(self, fault, code, *texts):
        self.fresh()
        run = self.pull_with(fault, options=("--jobs", "1"))
        self.expect_refused(run, code, *texts)

    def test_flipped_blob(self):
        for at in 0, 700, 2 * MIB:
            with self.subTest(at):
                self.refuse({"on": on_blob(self.layers[0]), "flip": at}, INTEGRITY,
                            "layer 1/4 sha256:")

    def test_flipped_config(self):
        self.refuse({"on": BLOBS + self.config["digest"], "flip": 9}, INTEGRITY, "config",
                    self.config["digest"])

    def test_flipped_manifest_by_digest(self):
        image = self.serve(self.layout, {"on": MANIFESTS, "flip": 9})
        run = self.pull(image.replace(":latest", "@" + self.manifest["digest"]))
        self.expect_refused(run, INTEGRITY, "manifest", self.manifest["digest"])

    def test_endless_blob(self):
        self.refuse({"on": on_blob(self.layers[0]), "endless": True}, INTEGRITY, "layer 1/4",
                    "fetch", "sends more than", str(len(self.layers[0].blob)))

    def test_endless_manifest(self):
        self.refuse({"on": MANIFESTS, "endless": True}, FAILED, "manifest", "4194304")

    def test_short_blob(self):
        self.refuse({"on": on_blob(self.layers[0]), "short": 5}, INTEGRITY, "layer 1/4", "fetch",
                    str(len(self.layers[0].blob)))

    def test_blob_of_another_size(self):
        layers = [Layer(archive(entry(b"f", os.urandom(9000))), None)]
        layers[0].descriptor["size"] -= 512
        layout = self.path("liar")
        write_image(layout, layers)
        self.expect_refused(self.pull(self.serve(layout)), INTEGRITY, "layer 1/1", "fetch",
                            str(len(layers[0].blob)), str(layers[0].descriptor["size"]))


class FullDisks(RegistryCase):
    """Of blobs that fit, and what is in them does not. Others are not begun at all."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.layout = os.path.join(cls.folder, "squeezed")
        cls.contents = {"dir/file%d" % i: bytes([65 + i]) * (3 * MIB + i) for i in range(N_LAYERS)}
        cls.layers = [Layer(archive(directory(b"dir"), entry(name.encode(), data)))
                      for name, data in cls.contents.items()]
        write_image(cls.layout, cls.layers)

    def refuse(self, options, layer):
        self.fresh()
        os.mkdir(self.store)
        pull_case.mount_tmpfs(self.store, options)
        run = self.pull(self.serve(self.layout), "--jobs", "1")
        self.expect_one_line(run, FAILED, "the store " + self.store + " is full", "sluice gc",
                             layer, "unpack", "No space left on device")
        self.expect_nothing_left()

    def mounts(self):
        return [m for m in super().mounts() if m != self.store]

    def test_no_space_for_the_first_layer(self):
        self.refuse("size=1m,mode=0755", "layer 1/4")

    def test_no_space_for_the_third_layer(self):
        """Those before it are given up too: what is full shall not stay full."""
        self.refuse("size=8m,mode=0755", "layer 3/4")

    def test_no_space_for_the_blobs(self):
        """Is known before anything is fetched of them: in the words of the system, how much, where,
        and what to do."""
        layers = [Layer(archive(entry(b"f%d" % i, os.urandom(MIB))), None) for i in range(3)]
        layout = self.path("large")
        write_image(layout, layers)
        self.fresh()
        os.mkdir(self.store)
        pull_case.mount_tmpfs(self.store, "size=2m,mode=0755")
        run = self.pull(self.serve(layout))
        needed = sum(len(layer.blob) for layer in layers)
        self.expect_one_line(run, FAILED, "No space left on device", "at least %d bytes" % needed,
                             "the store " + self.store + " has ", "sluice gc", "more room")
        self.assertNotIn("--root", run.stderr)
        self.assertEqual([r for r in self.log.requests("/blobs/")
                          if r["path"].endswith(layers[0].descriptor["digest"])], [])
        self.expect_nothing_left()

    def test_no_inodes(self):
        """At any inode of the way there is no half of anything."""
        for free in range(4, 40, 3):
            with self.subTest(free):
                self.fresh()
                os.mkdir(self.store)
                pull_case.mount_tmpfs(self.store, "size=64m,mode=0755,nr_inodes=%d" % free)
                run = self.pull(self.serve(self.layout), "--jobs", "1")
                self.expect_one_line(run, FAILED, "No space left on device")
                if os.path.isdir(os.path.join(self.store, "staging")):
                    self.assertEqual(names(os.path.join(self.store, "staging")), [])
                self.assertFalse(os.path.exists(self.bundle))
                self.expect_complete_layers()


class Death(RegistryCase):
    """kill -9 while the registry holds its breath after N bytes."""

    def die_at(self, fault, is_there):
        self.fresh()
        child = self.start(self.serve(self.layout, fault), "--jobs", "2")
        self.wait_until(is_there, child)
        child.kill()
        child.wait()
        self.assertFalse(os.path.exists(os.path.join(self.bundle, "config.json")))
        self.assertEqual(self.mounts(), [])
        images = os.path.join(self.store, "images")
        self.assertEqual([n for n in names(images) if n.endswith(".json")], [])
        n_layers = self.expect_complete_layers()
        left = len(names(os.path.join(self.store, "staging")))
        self.assertEqual(self.run_sluice(self.command("images")).returncode, 0)
        self.expect_image(self.pull(self.serve(self.layout)))
        self.assertEqual(self.expect_complete_layers(), N_LAYERS)
        wanted = [layer.descriptor["digest"] for layer in self.layers]
        asked = {r["path"].rpartition("/")[2] for r in self.log.requests("/blobs/")} & set(wanted)
        self.assertEqual(len(asked), N_LAYERS - n_layers, "a whole layer is not fetched again")
        self.unmount_all()
        return n_layers, left

    def test_before_the_first_layer(self):
        for on in MANIFESTS, BLOBS + self.config["digest"]:
            self.die_at({"on": on, "stall_at": 10}, lambda: self.log.requests("sha256")
                        or self.log.requests("/manifests/"))

    def test_in_the_middle_of_a_layer(self):
        for _ in range(5):
            index, at = random.randrange(N_LAYERS), random.randrange(MIB, 3 * MIB)
            with self.subTest(layer=index, at=at, seed=SEED):
                # What libcurl and the queues still hold is less than what has come through.
                _, left = self.die_at({"on": on_blob(self.layers[index]), "stall_at": at},
                                      lambda: self.staged_bytes() > 0 and index in self.asked())
                self.assertGreater(left, 0)

    def test_between_two_layers(self):
        for index in 1, 2, 3:
            with self.subTest(layer=index):
                n_layers, _ = self.die_at(
                    {"on": on_blob(self.layers[index]), "stall_at": random.randrange(3 * MIB)},
                    lambda: len(self.committed()) >= index)
                self.assertGreaterEqual(n_layers, index)

    def asked(self):
        digests = [layer.descriptor["digest"] for layer in self.layers]
        return {digests.index(d) for d in (r["path"].rpartition("/")[2]
                                           for r in self.log.requests("/blobs/")) if d in digests}

    def committed(self):
        folder = os.path.join(self.store, "layers", "sha256")
        return os.listdir(folder) if os.path.isdir(folder) else []


class Signals(RegistryCase):
    BOUND = 3 if pull_case.SLUICE and peak_memory.is_sanitized(pull_case.SLUICE) else 1  # seconds

    def interrupt(self, number, image, is_there):
        """image: a name, or a fault of the registry that serves ours."""
        if isinstance(image, dict):
            self.fresh()
            image = self.serve(self.layout, image)
        child = self.start(image)
        self.wait_until(is_there, child)
        start = time.monotonic()
        child.send_signal(number)
        out, said = child.communicate(timeout=pull_case.DEADLINE)
        self.assertLess(time.monotonic() - start, self.BOUND)
        self.assertEqual(names(os.path.join(self.store, "staging")), [])
        return subprocess.CompletedProcess([], child.returncode, out, said)

    def test_while_the_registry_stalls_in_a_layer(self):
        for number in signal.SIGINT, signal.SIGTERM, signal.SIGHUP:
            with self.subTest(number):
                run = self.interrupt(number, {"on": BLOBS + "(?!%s)" % self.config["digest"],
                                              "stall_at": 2 * MIB},
                                     lambda: self.staged_bytes() > MIB)
                self.expect_refused(run, FAILED, "cancelled")

    def test_while_the_registry_is_slow(self):
        run = self.interrupt(signal.SIGINT, {"on": BLOBS + "(?!%s)" % self.config["digest"],
                                             "slow": 4096}, lambda: self.staged_bytes() > 50000)
        self.expect_refused(run, FAILED, "cancelled")

    def test_before_the_first_layer(self):
        for on, part in (MANIFESTS, "/manifests/"), (BLOBS, "/blobs/"):
            with self.subTest(part):
                run = self.interrupt(signal.SIGTERM, {"on": on, "stall_at": 10},
                                     lambda: self.log.requests(part))
                self.expect_refused(run, FAILED, "cancelled")

    def test_while_a_layout_is_read(self):
        layout = self.path("layout")
        write_image(layout, [large_layer()])
        run = self.interrupt(signal.SIGINT, "oci:%s:latest" % layout,
                             lambda: self.staged_bytes() > MIB)
        self.expect_refused(run, FAILED, "cancelled")

    def test_in_a_pause_between_tries(self):
        """Layers that have passed stay, whole, for the next try."""
        for on in MANIFESTS, on_blob(self.layers[3]):
            with self.subTest(on):
                fault = {"on": on, "status": 429, "headers": {"Retry-After": "60"}}
                run = self.interrupt(signal.SIGINT, fault, lambda: any(
                    r["status"] == 429 for r in self.log.requests()))
                self.expect_one_line(run, FAILED, "cancelled")
                self.assertLess(self.expect_complete_layers(), N_LAYERS)
                self.assertEqual(names(os.path.join(self.store, "refs")), [])
                self.assertEqual(self.mounts(), [])


class Memory(PullCase):
    def setUp(self):
        super().setUp()
        self.program = peak_memory.shipped(pull_case.SLUICE)
        if not self.program:
            self.skipTest("needs a release build: its path in SLUICE_RELEASE")

    def measure(self, layer, code, serve):
        layout = self.path("layout")
        write_image(layout, [layer])
        image = self.serve(layout) if serve else "oci:%s:latest" % layout
        command = self.pull_command(image, "--jobs", "4")
        command[0] = self.program
        run = self.run_sluice(peak_memory.measured(command))
        self.assertEqual(run.returncode, code, run.stderr)
        self.assertLess(peak_memory.peak(run.stdout), peak_memory.LIMIT)

    def test_large_layer(self):
        for serve in False, True:
            with self.subTest(registry=serve):
                self.fresh()
                self.measure(large_layer(), 0, serve)
                self.unmount_all()
                subprocess.run(["rm", "-rf", self.room], check=True)

    def test_bomb(self):
        layer = Layer(b"", None, blob=gzip.compress(bytes(64 * MIB)) * 64)
        self.measure(layer, FAILED, serve=True)


if __name__ == "__main__":
    pull_case.main()
