# SPDX-License-Identifier: Apache-2.0
"""Many pulls in one engine, as a service has them: memory, layers and ends are shared fairly. Nobody
waits by the clock."""

import os
import re
import subprocess
import zlib

import sluice_case
from engine_driver import Driver
from sluice_case import SluiceCase

import make_image
import registry as registries
from counting_proxy import CountingProxy, DEADLINE

BUFFER = 256 * 1024   # bytes
SHARE = 14 * BUFFER   # what one layer holds while it runs
LAYER = 600 * 1024    # bytes of a small layer
LARGE = 3 * 1024 * 1024


class OneEngine(SluiceCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.registry = registries.Registry()
        cls.registry.__enter__()
        cls.addClassCleanup(cls.registry.__exit__)

    def setUp(self):
        super().setUp()
        self.proxy = CountingProxy(self.registry.host)
        self.proxy.__enter__()
        self.addCleanup(self.proxy.__exit__)
        self.name = self.id().rpartition(".")[2]
        self.n_blobs = 0

    def layer(self, size=LAYER):
        self.n_blobs += 1
        seed = zlib.crc32(self.name.encode()) + self.n_blobs
        return make_image.big_layer(f"file{self.n_blobs}", size, seed)

    def push(self, tag, layers):
        image = make_image.add_image(self.path("layout"), layers, tag=tag)
        self.registry.push(image, f"{self.name}:{tag}")

    def ref(self, tag, host=None):
        return f"docker://{host or self.proxy.host}/{self.name}:{tag}"

    def finished(self, driver):
        self.assertEqual(driver.finish(), (0, ""))
        self.assert_clean()
        self.assertEqual(self.in_store("locks"), [])

    def assert_all_ok(self, driver, numbers):
        for n in numbers:
            self.assertEqual(driver.done(n)[0], "ok", driver.done(n))

    def reached(self, hold):
        self.assertTrue(hold.reached.wait(DEADLINE), "never asked for")

    def fetched(self, layers):
        """How often the registry was asked for each, says its access log."""
        log = self.registry.log()
        return [len(re.findall(rf'"GET [^" ]*/blobs/{x.digest} ', log)) for x in layers]

    # ---- memory ----

    def test_memory_of_few_layers_is_enough_for_many_pulls(self):
        for shares in 1, 2:
            with self.subTest(shares=shares):
                self.root = self.path(f"store{shares}")
                images = [[self.layer() for _ in range(4)] for _ in range(6)]
                for i, layers in enumerate(images):
                    self.push(f"s{shares}-{i}", layers)
                driver = Driver(self, "--memory", shares * SHARE,
                                *(self.ref(f"s{shares}-{i}") for i in range(6)))
                self.assert_all_ok(driver, range(6))
                self.assertEqual(int(driver.line("peak ")), shares * SHARE)
                self.finished(driver)

    def test_memory_that_is_too_small_for_a_layer_is_told(self):
        self.push("one", [self.layer()])
        driver = Driver(self, "--memory", SHARE - BUFFER, self.ref("one"))
        code, text = driver.done(0)
        self.assertEqual(code, "limit")
        self.assertIn("memory limit is too small", text)
        self.finished(driver)

    def test_who_waits_for_memory_can_be_cancelled(self):
        for tag in "one", "two":
            self.push(tag, [self.layer(LARGE)])
        hold = self.proxy.hold("/blobs/", after=LARGE // 2)
        driver = Driver(self, "--memory", SHARE, self.ref("one"), self.ref("two"))
        self.reached(hold)
        for n in 0, 1:
            driver.line(f"resolved {n} ")
        driver.tell("cancel all")
        for n in 0, 1:
            self.assertEqual(driver.done(n)[0], "cancelled")
        self.finished(driver)

    # ---- the end of one ----

    def test_one_is_cancelled_wherever_it_is(self):
        for part in "/manifests/", "/blobs/":
            with self.subTest(part):
                self.root = self.path("store" + part.strip("/"))
                tags = [part.strip("/") + x for x in "12"]
                for tag in tags:
                    self.push(tag, [self.layer(LARGE)])
                hold = self.proxy.hold(part, after=100, times=2)
                driver = Driver(self, self.ref(tags[0]), self.ref(tags[1], self.registry.host))
                self.reached(hold)
                self.assertEqual(driver.done(1)[0], "ok")
                driver.tell("cancel 0")
                self.assertEqual(driver.done(0)[0], "cancelled")
                self.finished(driver)
                hold.release()

    def test_layers_that_passed_stay_when_the_pull_is_cancelled(self):
        small, large = self.layer(), self.layer(LARGE)
        self.push("one", [small, large])
        hold = self.proxy.hold(large.digest, after=LARGE // 2)
        driver = Driver(self, "--jobs", 1, self.ref("one"))
        self.reached(hold)
        driver.tell("cancel 0")
        self.assertEqual(driver.done(0)[0], "cancelled")
        self.finished(driver)
        self.assertEqual(self.in_store("layers/sha256"), [small.diff_id[7:]])
        hold.release()
        driver = Driver(self, self.ref("one"))
        self.assertEqual(driver.done(0), ("ok", "1 1"))
        self.assertEqual(self.fetched([small]), [1])

    def test_who_waits_for_the_layer_of_another_starts_its_own_first(self):
        common, own = self.layer(LARGE), self.layer()
        self.push("one", [common])
        self.push("two", [common, own])
        hold = self.proxy.hold(common.digest, after=LARGE // 2)
        driver = Driver(self, "--memory", 2 * SHARE, self.ref("one"))
        self.reached(hold)
        other = Driver(self, "--jobs", 1, self.ref("two"))
        self.assertTrue(self.proxy.wait_for(1, own.digest))
        other.line("resolved 0 ")
        other.tell("cancel 0")
        self.assertEqual(other.done(0)[0], "cancelled")
        hold.release()
        self.assert_all_ok(driver, [0])
        self.finished(driver)

    # ---- layers that many need ----

    def push_family(self, n=8):
        """n images with two common layers and two of their own."""
        bases = [self.layer(LARGE), self.layer()]
        own = [[self.layer(), self.layer()] for _ in range(n)]
        for i, layers in enumerate(own):
            self.push(str(i), bases + layers)
        return bases, own

    def test_each_blob_is_fetched_once(self):
        bases, own = self.push_family()
        driver = Driver(self, "--memory", 4 * SHARE, "--reload",
                        *(self.ref(i, self.registry.host) for i in range(8)))
        self.assert_all_ok(driver, range(8))
        self.finished(driver)
        layers = bases + [x for pair in own for x in pair]
        self.assertEqual(self.fetched(layers), [1] * len(layers))

    def test_others_take_over_from_who_is_cancelled_or_fails(self):
        bases, own = self.push_family()
        path = self.registry.blob_path(own[1][1].digest)
        with open(path, "r+b") as file:
            file.seek(LAYER // 2)
            file.write(b"not what it was")
        hold = self.proxy.hold(bases[0].digest, after=LARGE // 2)
        driver = Driver(self, "--memory", 3 * SHARE, self.ref(0))
        self.reached(hold)
        others = Driver(self, "--memory", 3 * SHARE, *(self.ref(i) for i in range(1, 8)))
        self.assertIn(others.done(0)[0], ("integrity", "format"))
        driver.tell("cancel 0")
        self.assertEqual(driver.done(0)[0], "cancelled")
        self.assert_all_ok(others, range(1, 7))
        hold.release()
        self.finished(driver)
        self.finished(others)
        good = [own[i][k] for i in range(2, 8) for k in (0, 1)] + [bases[1]]
        self.assertEqual(self.fetched(good), [1] * len(good))

    def test_one_of_an_engine_takes_over_from_another(self):
        bases, _ = self.push_family()
        hold = self.proxy.hold(bases[0].digest, after=LARGE // 2)
        driver = Driver(self, "--memory", 2 * SHARE, *(self.ref(i) for i in range(8)))
        self.reached(hold)
        # All others fetch what is theirs and wait; one of the eight holds the common layer.
        for n in range(8):
            driver.line(f"resolved {n} ")
        for n in range(7):
            driver.tell(f"cancel {n}")
        hold.release()
        self.assertEqual(driver.done(7)[0], "ok", driver.done(7))
        for n in range(7):
            self.assertIn(driver.done(n)[0], ("ok", "cancelled"))
        self.finished(driver)

    # ---- the disk ----

    def test_image_that_cannot_fit_is_not_begun(self):
        os.mkdir(self.root)
        sluice_case.mount_tmpfs(self.root, "size=2m,mode=0700")
        self.addCleanup(subprocess.run, ["umount", self.root], check=True)
        large = self.layer(LARGE)
        self.push("one", [large])
        driver = Driver(self, self.ref("one"))
        code, text = driver.done(0)
        self.assertEqual(code, "system")
        self.assertRegex(text, rf"28: the image needs at least {len(large.blob)} bytes and the store "
                         rf"{self.root} has [0-9]+ free; .*gc.*: No space left on device")
        self.assertEqual(self.fetched([large]), [0])
        self.finished(driver)


if __name__ == "__main__":
    sluice_case.main("docker-registry", "skopeo")
