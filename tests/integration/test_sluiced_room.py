#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A service whose store is full: what it removes for room, in which order, and what it never does.
The store is a file system of its own, of 20 MiB. Needs SLUICE and SLUICE_IMAGES."""
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import make_image  # noqa: E402
import sluiced_case  # noqa: E402
from pull_case import mount_tmpfs  # noqa: E402
from sluiced_case import FAILED_TO_PULL, SluicedCase, start_registry  # noqa: E402

MIB = 1 << 20
STORE = 20 * MIB
STORED = 6 * MIB  # of each of three images that are there
REMOVED = "removed to make room"


class Room(SluicedCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.registry = start_registry(cls)
        cls.digests, folder = {}, os.path.join(cls.shared, "room")
        layers = {name: make_image.big_layer(name, STORED, seed)
                  for seed, name in enumerate(("old", "older", "oldest"))}
        layers["large"] = make_image.big_layer("large", 5 * MIB // 2, 9)
        layers["huge"] = make_image.big_layer("huge", STORE + MIB, 10)
        # Small as they are sent.
        layers["swells"] = make_image.layer({"swells": "0" * (5 * MIB)})
        layers["bursts"] = make_image.layer({"bursts": "0" * (10 * MIB)})
        for name, layer in layers.items():
            cls.registry.push(make_image.add_image(folder, [layer], tag=name), "room:" + name)
            cls.digests[name] = make_image.tagged(folder, name)[0]["digest"]

    def setUp(self):
        super().setUp()
        os.mkdir(self.root)
        mount_tmpfs(self.root, f"size={STORE},mode=0700")

    def start(self, **sluice):
        service = self.serve({"sluice": sluice}, insecure=[self.registry.host])
        self.caller = self.agent(service)
        for name in "oldest", "old", "older":
            self.assert_pulled(self.pull(name).wait(), self.bundle(name))
        for pulled, name in enumerate(("oldest", "older", "old")):
            self.set_pulled(name, 1000 + pulled)
        return service

    def pull(self, name):
        return self.caller.pull(f"{self.registry.host}/room:{name}", self.bundle(name))

    def record(self, name):
        algorithm, _, digits = self.digests[name].partition(":")
        return os.path.join(self.root, "images", algorithm, digits + ".json")

    def set_pulled(self, name, seconds):
        """Within one second nobody knows which was first."""
        with open(self.record(name), encoding="utf-8") as file:
            record = json.load(file)
        with open(self.record(name), "w", encoding="utf-8") as file:
            json.dump({**record, "pulled": seconds}, file)

    def stored(self):
        return {name for name in self.digests if os.path.exists(self.record(name))}

    def removed(self, service):
        """In the order of the log."""
        names = {digest: name for name, digest in self.digests.items()}
        return [names[digest] for line in service.text().split("\n") if REMOVED in line
                for digest in names if digest in line]

    def unmount_stored(self):
        for name in "oldest", "old", "older":
            self.unmount(self.bundle(name))

    def assert_full(self, answer, name):
        self.assert_refused(answer, FAILED_TO_PULL, "No space left on device", self.root,
                            "more room", bundle=self.bundle(name))

    def test_the_oldest_image_goes_and_no_more_than_is_needed(self):
        service = self.start()
        self.unmount_stored()
        self.assert_pulled(self.pull("large").wait(), self.bundle("large"))
        self.assertEqual(self.removed(service), ["oldest"])
        self.assertEqual(self.stored(), {"older", "old", "large"})
        self.assert_pulled(self.pull("old").wait(), self.bundle("old"))

    def test_images_that_are_mounted_stay(self):
        service = self.start()
        self.unmount(self.bundle("older"))
        self.assert_pulled(self.pull("large").wait(), self.bundle("large"))
        self.assertEqual(self.removed(service), ["older"])
        self.assert_pulled(self.pull("oldest").wait(), self.bundle("oldest"))

    def test_what_runs_out_of_room_half_way_is_tried_again(self):
        service = self.start()
        self.unmount_stored()
        self.assert_pulled(self.pull("swells").wait(), self.bundle("swells"),
                           swells=b"0" * (5 * MIB))
        self.assertEqual(self.removed(service), ["oldest"])

    def test_what_needs_more_than_it_seemed_gets_all_there_is(self):
        service = self.start()
        self.unmount_stored()
        self.assert_pulled(self.pull("bursts").wait(), self.bundle("bursts"))
        self.assertEqual(self.removed(service), ["oldest", "older", "old"])

    def test_nothing_that_could_go_is_an_error_of_the_system(self):
        service = self.start()
        for name in "large", "swells":
            self.assert_full(self.pull(name).wait(), name)
        self.assertEqual(self.removed(service), [])
        self.assertEqual(self.stored(), {"oldest", "older", "old"})

    def test_an_image_that_can_never_fit_drives_nobody_out(self):
        service = self.start()
        self.unmount_stored()
        self.assert_full(self.pull("huge").wait(), "huge")
        self.assertEqual(self.removed(service), [])
        self.assertEqual(self.stored(), {"oldest", "older", "old"})

    def test_an_image_that_has_yet_to_be_mounted_stays(self):
        """Whoever has pulled it is being measured."""
        agent = self.attestation_agent()
        service = self.start()
        self.unmount_stored()
        agent.behave(hang=True)
        asked = len(agent.requests)
        again = self.pull("oldest")
        agent.wait_asked("ExtendRuntimeMeasurement", asked + 1)
        self.set_pulled("oldest", 1)
        large = self.pull("large")
        agent.wait_asked("ExtendRuntimeMeasurement", asked + 2)
        self.assertEqual(self.removed(service), ["older"])
        agent.behave()
        self.assert_pulled(again.wait(), self.bundle("oldest"))
        self.assert_pulled(large.wait(), self.bundle("large"))

    def test_an_operator_may_forbid_it(self):
        service = self.start(evict=False)
        self.unmount_stored()
        self.assert_full(self.pull("large").wait(), "large")
        self.assertEqual(self.removed(service), [])
        self.assertEqual(self.stored(), {"oldest", "older", "old"})


if __name__ == "__main__":
    sluiced_case.main()
