# SPDX-License-Identifier: Apache-2.0
"""Several processes in one store. Nobody waits by the clock: a proxy in front of the registry holds
an answer in the middle until the test has seen what it wants to see."""

import json
import os
import signal

import sluice_case
from sluice_case import EXIT_FAILED, SluiceCase

import make_image
import registry as registries
from counting_proxy import CountingProxy, DEADLINE

LARGE = 3 * 1024 * 1024  # bytes: several segments, many reads
MIDDLE = LARGE // 2
ROUNDS = 10  # of a race that nothing outside the program can arrange


class Concurrency(SluiceCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.registry = registries.Registry()
        cls.registry.__enter__()
        cls.addClassCleanup(cls.registry.__exit__)
        cls.large = make_image.big_layer("large", LARGE)
        cls.small = make_image.layer({"small": "s" * 1000})
        cls.one = make_image.layer({"one": "1"})
        cls.two = make_image.layer({"two": "2"})
        folder = os.path.join(cls.shared, "layout")
        for tag, top in (("one", cls.one), ("two", cls.two)):
            image = make_image.add_image(folder, [cls.large, cls.small, top], tag=tag)
            cls.registry.push(image, "app:" + tag)

    def setUp(self):
        super().setUp()
        self.proxy = CountingProxy(self.registry.host)
        self.proxy.__enter__()
        self.addCleanup(self.proxy.__exit__)

    def image(self, tag):
        return f"docker://{self.proxy.host}/app:{tag}"

    def options(self):
        return ("--insecure-policy", "--tls-verify=false", "--quiet")

    def start_pull(self, tag, *args):
        return self.start("pull", *self.options(), self.image(tag), *args)

    def pull_tag(self, tag, *args):
        return self.ok("pull", *self.options(), self.image(tag), *args)

    def gets(self, layer):
        return len(self.proxy.gets(layer.digest))

    def reached(self, hold):
        self.assertTrue(hold.reached.wait(DEADLINE), "the blob was never asked for")

    def start_held_leader(self, tag="one", *args):
        """A pull that has received half of the large layer and gets no more."""
        hold = self.proxy.hold(self.large.digest, after=MIDDLE)
        leader = self.start_pull(tag, *args)
        self.reached(hold)
        return leader, hold

    def start_follower(self, tag, *args):
        """A pull that has fetched whatever it can beside the leader."""
        own = {"one": self.one, "two": self.two}[tag]
        before = len(self.proxy.gets("/manifests/"))
        follower = self.start_pull(tag, *args)
        self.assertTrue(self.proxy.wait_for(before + 1, "/manifests/"))
        if tag == "two":
            self.assertTrue(self.proxy.wait_for(1, own.digest))
        return follower

    def succeeds(self, process):
        status, err = self.finish(process)
        self.assertEqual(status, 0, err)

    def assert_pulled(self, *tags):
        """The store holds these images, whole, and nothing half-done."""
        images = json.loads(self.ok("images", "--json"))["images"]
        names = [x["name"].rsplit(":", 1)[1] for x in images if "name" in x]
        self.assertEqual(sorted(names), sorted(tags))
        tops = {"one": self.one, "two": self.two}
        layers = {x.diff_id[7:] for x in [self.large, self.small, *(tops[t] for t in tags)]}
        self.assertEqual(set(self.in_store("layers/sha256")), layers)
        self.assert_clean()

    def assert_content(self, bundle, name):
        size = os.path.getsize(os.path.join(bundle, "rootfs", "large"))
        self.assertEqual(size, LARGE)
        self.assertTrue(os.path.exists(os.path.join(bundle, "rootfs", name)))

    # ---- two pulls ----

    def test_two_pulls_of_one_image_share_one_download(self):
        leader, hold = self.start_held_leader()
        follower = self.start_follower("one")
        hold.release()
        self.succeeds(leader)
        self.succeeds(follower)
        for layer in (self.large, self.small, self.one):
            self.assertEqual(self.gets(layer), 1)
        self.assert_pulled("one")

    def test_two_images_share_one_download_of_their_common_layers(self):
        leader, hold = self.start_held_leader()
        follower = self.start_follower("two")
        hold.release()
        self.succeeds(leader)
        self.succeeds(follower)
        for layer in (self.large, self.small, self.one, self.two):
            self.assertEqual(self.gets(layer), 1)
        self.assert_pulled("one", "two")

    def test_follower_takes_over_when_the_leader_is_killed_in_mid_layer(self):
        leader, _ = self.start_held_leader()
        follower = self.start_follower("one", self.path("bundle"))
        leader.send_signal(signal.SIGKILL)
        self.assertEqual(self.finish(leader)[0], -signal.SIGKILL)
        self.succeeds(follower)
        self.assertEqual(self.gets(self.large), 2)
        self.assert_content(self.path("bundle"), "one")
        self.ok("gc")
        self.assert_pulled("one")

    def test_follower_takes_over_when_the_leader_is_interrupted(self):
        leader, _ = self.start_held_leader()
        follower = self.start_follower("one")
        leader.send_signal(signal.SIGINT)
        status, err = self.finish(leader)
        self.assertEqual(status, EXIT_FAILED, err)
        self.assertEqual(err.count("\n"), 1, err)
        self.succeeds(follower)
        self.assert_pulled("one")

    def test_interrupted_follower_leaves_the_leader_alone(self):
        leader, hold = self.start_held_leader()
        follower = self.start_follower("two")
        follower.send_signal(signal.SIGTERM)
        self.assertEqual(self.finish(follower)[0], EXIT_FAILED)
        hold.release()
        self.succeeds(leader)
        self.assertEqual(self.gets(self.large), 1)

    def test_one_pull_after_a_killed_one_finds_the_layers_that_passed(self):
        leader, _ = self.start_held_leader()
        self.wait_for_layer(self.one)
        leader.send_signal(signal.SIGKILL)
        self.finish(leader)
        self.pull_tag("one")
        self.assertEqual(self.gets(self.one), 1)
        self.assertEqual(self.gets(self.large), 2)
        self.assert_pulled("one")

    def wait_for_layer(self, layer):
        """Until the leader has committed it: a pull of the same layer waits for just that."""
        self.assertTrue(self.proxy.wait_for(1, layer.digest))
        folder = self.path("probe" + layer.digest[7:15])
        self.pull(make_image.add_image(folder, [layer]))
        self.ok("rm", f"oci:{folder}:latest")

    def test_four_pulls_at_once_all_succeed(self):
        pulls = [self.start_pull(tag, self.path(f"bundle{i}"))
                 for i, tag in enumerate(("one", "two", "one", "two"))]
        for process in pulls:
            self.succeeds(process)
        for layer in (self.large, self.small, self.one, self.two):
            self.assertEqual(self.gets(layer), 1)
        self.assert_content(self.path("bundle0"), "one")
        self.assert_content(self.path("bundle1"), "two")
        self.assert_pulled("one", "two")

    # ---- beside gc and rm ----

    def test_gc_beside_a_pull_takes_nothing_of_it(self):
        leader, hold = self.start_held_leader()
        self.wait_for_layer(self.one)
        gc = json.loads(self.ok("gc", "--json"))
        self.assertEqual((gc["layers"], gc["staging"]), (0, 0))
        hold.release()
        self.succeeds(leader)
        self.assertEqual(self.gets(self.one), 1)
        self.assert_pulled("one")

    def test_gc_spares_cached_layers_that_a_pull_is_reusing(self):
        self.pull_tag("one")
        self.ok("rm", self.image("one"))
        hold = self.proxy.hold(self.two.digest)
        other = self.start_pull("two")
        self.reached(hold)
        self.ok("gc")
        hold.release()
        self.succeeds(other)
        self.assertEqual(self.gets(self.large), 1)
        self.assert_pulled("two")

    def test_rm_beside_a_pull_of_the_same_name(self):
        self.pull_tag("one")
        before = len(self.proxy.gets("/manifests/"))
        hold = self.proxy.hold("/manifests/")
        again = self.start_pull("one")
        self.reached(hold)
        self.ok("rm", self.image("one"))
        self.ok("gc")
        hold.release()
        self.succeeds(again)
        self.assertEqual(len(self.proxy.gets("/manifests/")), before + 1)
        self.assertEqual(self.gets(self.large), 2)
        self.assert_pulled("one")

    def test_rm_of_another_image_beside_a_pull_keeps_shared_layers(self):
        self.pull_tag("one")
        hold = self.proxy.hold(self.two.digest)
        other = self.start_pull("two", self.path("bundle"))
        self.reached(hold)
        self.ok("rm", self.image("one"))
        hold.release()
        self.succeeds(other)
        self.ok("gc")
        self.assertEqual(self.gets(self.large), 1)
        self.assert_content(self.path("bundle"), "two")
        self.assert_pulled("two")

    # ---- bundles ----

    def test_same_image_twice_into_one_bundle_is_no_error(self):
        bundle = self.path("bundle")
        self.pull_tag("one", bundle)
        with open(os.path.join(bundle, "rootfs", "mine"), "w", encoding="ascii") as file:
            file.write("kept")
        self.pull_tag("one", bundle)
        self.assertEqual(self.read("bundle", "rootfs", "mine"), "kept")
        self.assertEqual(len(self.in_store("mounts")), 1)

    def test_same_image_at_once_into_one_bundle_mounts_it_once(self):
        leader, hold = self.start_held_leader("one", self.path("bundle"))
        follower = self.start_follower("one", self.path("bundle"))
        hold.release()
        self.succeeds(leader)
        self.succeeds(follower)
        self.assertEqual(len(self.in_store("mounts")), 1)
        with open("/proc/self/mounts", encoding="utf-8") as file:
            self.assertEqual(file.read().count(self.path("bundle", "rootfs")), 1)
        self.ok("unmount", self.path("bundle"))

    def test_one_image_into_two_bundles_keeps_their_writes_apart(self):
        for name in ("a", "b"):
            self.pull_tag("one", self.path(name))
            with open(self.path(name, "rootfs", "mine"), "w", encoding="ascii") as file:
                file.write(name)
        self.assertEqual(self.read("a", "rootfs", "mine"), "a")
        self.assertEqual(self.read("b", "rootfs", "mine"), "b")
        self.ok("unmount", self.path("a"))
        self.assertEqual(self.read("b", "rootfs", "mine"), "b")
        self.assertEqual(len(self.in_store("mounts")), 1)

    def test_another_image_into_a_bundle_in_use_is_refused(self):
        bundle = self.path("bundle")
        self.pull_tag("one", bundle)
        before = self.read("bundle", "config.json")
        run = self.sluice("pull", *self.options(), self.image("two"), bundle)
        self.refused(EXIT_FAILED, bundle, "another image is mounted", "unmount", run=run)
        self.assert_content(bundle, "one")
        self.assertEqual(self.read("bundle", "config.json"), before)
        self.ok("unmount", bundle)
        self.pull_tag("two", bundle)
        self.assert_content(bundle, "two")

    def test_pulls_at_once_into_one_bundle_leave_one_image(self):
        self.pull_tag("one")
        self.pull_tag("two")
        for i in range(ROUNDS):
            for tags in (("one",) * 4, ("one", "two")):
                with self.subTest(tags=tags, round=i):
                    bundle = self.path(f"bundle-{len(tags)}-{i}")
                    runs = [(tag, self.start_pull(tag, bundle)) for tag in tags]
                    results = [(tag, *self.finish(run)) for tag, run in runs]
                    winner = next(tag for tag, status, _ in results if status == 0)
                    for tag, status, err in results:
                        self.assertEqual(status, 0 if tag == winner else EXIT_FAILED, err)
                    self.assert_mounted_once(os.path.join(bundle, "rootfs"), winner)
                    self.assertTrue(os.path.exists(os.path.join(bundle, "config.json")))
                    self.ok("unmount", bundle)

    def test_mounts_at_once_at_one_place_leave_one_of_them(self):
        self.pull_tag("one")
        for i in range(ROUNDS):
            with self.subTest(round=i):
                place = self.path(f"place-{i}")
                runs = [self.start("mount", self.image("one"), place) for _ in range(3)]
                results = [self.finish(run)[0] for run in runs]
                self.assertEqual(sorted(results), [0, EXIT_FAILED, EXIT_FAILED])
                self.assert_mounted_once(place, "one")
                self.ok("unmount", place)

    def assert_mounted_once(self, place, name):
        with open("/proc/self/mounts", encoding="utf-8") as file:
            self.assertEqual(file.read().count(f" {place} "), 1)
        self.assertTrue(os.path.exists(os.path.join(place, name)))


if __name__ == "__main__":
    sluice_case.main("docker-registry", "skopeo")
