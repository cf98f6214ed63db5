#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What README.md says to paste does what it says."""
import filecmp
import os
import re
import shutil
import subprocess

import sluice_case
from sluice_case import ROOT, SLUICE
import own_mounts

STORE = "/var/lib/sluice"


class Readme(sluice_case.SluiceCase):
    def paste(self, section):
        """The indented lines of a section, typed into a shell in a folder of this test."""
        with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as f:
            text = re.search(rf"^### {section}\n(.*?)^#", f.read(), re.M | re.S)[1]
        lines = re.findall(r"^    (.*)$", text, re.M)
        self.assertLessEqual(len(lines), 5)
        path = os.path.dirname(SLUICE) + os.pathsep + os.environ["PATH"]
        done = subprocess.run(["bash", "-e"], input="\n".join(lines), cwd=self.folder, text=True, check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=self.environment(PATH=path))
        self.assertEqual(done.returncode, 0, done.stdout)
        return done.stdout

    def test_encrypt_an_image(self):
        was_there = os.path.isdir(STORE)
        own_mounts.hide(STORE)
        self.addCleanup(lambda: was_there or os.rmdir(STORE))
        self.addCleanup(own_mounts.umount, STORE)
        readme = os.path.join(ROOT, "README.md")
        shutil.copy(readme, self.folder)
        said = self.paste("Encrypt an image")
        self.addCleanup(subprocess.run, [SLUICE, "unmount", self.path("bundle")], check=False,
                        stderr=subprocess.DEVNULL)
        self.assertIn("kbs:///default/key/key_id1", said)
        self.assertTrue(filecmp.cmp(self.path("bundle", "rootfs", "README.md"), readme, shallow=False))
        self.assertRegex(self.paste("Sign an image"), r"cosign sha256-\w+\.sig\n.* bundle referrer ")
        self.assertRegex(self.paste("Demand signatures"), r": allowed\n(.*\n)*  accepted .*\nsha256:\w+\n$")


if __name__ == "__main__":
    sluice_case.main("umoci", "bash")
