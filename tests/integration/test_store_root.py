# SPDX-License-Identifier: Apache-2.0
"""The root of the store as others hand it over: a fresh file system, a folder that another program
has used, one that cannot be written to."""

import os
import subprocess

import sluice_case
from sluice_case import EXIT_FAILED, SluiceCase

import make_image


class StoreRoot(SluiceCase):
    def setUp(self):
        super().setUp()
        self.layers = [make_image.layer({f"file{i}": str(i) * 1000}) for i in range(3)]
        self.image = make_image.add_image(self.path("layout"), self.layers)

    def put(self, name, text=""):
        path = os.path.join(self.root, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="ascii") as file:
            file.write(text)

    def use(self):
        """A pull, its end, and a gc: the store is empty afterwards."""
        bundle = self.path("bundle")
        self.pull("--quiet", self.image, bundle)
        self.assertEqual(len(self.in_store("layers/sha256")), len(self.layers))
        self.ok("unmount", bundle)
        self.ok("rm", self.image)
        self.ok("gc")
        self.assertEqual(self.in_store("layers/sha256"), [])

    def test_what_another_program_left_is_passed_over(self):
        """As image-rs leaves it."""
        theirs = {"meta_store.json": '{"image_db": {}, "layer_db": {}}', "config.json": "{}",
                  "layers/0/etc/passwd": "root", "layers/overlay": "", "lost+found/#123": "x",
                  "staging-not": "", "locks/README": "not a lock"}
        for name, text in theirs.items():
            self.put(name, text)
        self.use()
        del theirs["locks/README"]  # locks/ is ours alone
        for name, text in theirs.items():
            self.assertEqual(self.read("store", name), text)

    def test_fresh_file_system(self):
        disk = self.path("disk")
        with open(disk, "wb") as file:
            file.truncate(32 * 1024 * 1024)
        os.mkdir(self.root)
        for command in ["mkfs.ext4", "-q", disk], ["mount", "-o", "loop", disk, self.root]:
            try:
                run = subprocess.run(command, capture_output=True, text=True, check=False)
            except FileNotFoundError:
                self.skipTest(command[0] + " is missing")
            if run.returncode:
                self.skipTest(run.stderr)
        self.addCleanup(subprocess.run, ["umount", self.root], check=True)
        self.use()
        self.assertIn("lost+found", os.listdir(self.root))

    def test_root_that_cannot_be_written_to(self):
        os.mkdir(self.root)
        sluice_case.mount_tmpfs(self.root, "mode=0700")
        self.addCleanup(subprocess.run, ["umount", self.root], check=True)
        for was_used in False, True:
            if was_used:
                subprocess.run(["mount", "-o", "remount,rw", self.root], check=True)
                self.use()
            subprocess.run(["mount", "-o", "remount,ro", self.root], check=True)
            said = self.pull_fails(EXIT_FAILED, "--quiet", self.image)
            self.assertIn(self.root, said)
            self.assertIn("Read-only file system", said)


if __name__ == "__main__":
    sluice_case.main()
