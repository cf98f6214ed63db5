#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Pulls on a kernel that lacks, or a sandbox that forbids, what we would rather use: io_uring,
openat2, the new mount calls. The result must be the same tree. usage: test_old_kernel.py DENIER"""
import os
import stat
import subprocess
import sys
import unittest

import sluice_case
from make_tars import archive, directory, entry, hardlink, symlink
from oci_layout import write_layout
from tree_facts import differences, tree

DENIER = sys.argv.pop(1)

# Through symlinks in the middle, so that safe paths have something to resolve.
BASE = archive(directory(b"usr/"), directory(b"usr/lib/"), symlink(b"lib", b"usr/lib"),
               entry(b"lib/so", b"x" * 300000, mode=0o755), directory(b"etc/", mode=0o750),
               entry(b"etc/a", b"a"), entry(b"etc/b", b"b"), directory(b"gone/"),
               entry(b"gone/x", b"x"))
TOP = archive(entry(b"etc/.wh.a"), entry(b"gone/.wh..wh..opq"), symlink(b"abs", b"/usr/lib"),
              directory(b"usr/"), directory(b"usr/lib/"), entry(b"abs/more", b"more"),
              hardlink(b"again", b"/abs/more"))

RING = "io_uring_setup"
PATHS = "openat2"
MOUNTS = "fsopen,fsconfig,fsmount,move_mount"


class OldKernel(sluice_case.SluiceCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.layout = os.path.join(cls.shared, "layout")
        write_layout(cls.layout, [BASE, TOP])

    def tree_pulled(self, name, *prefix):
        """The tree of a mounted bundle, pulled into a store of its own."""
        self.root, bundle = self.path(name), self.path(name + ".bundle")
        command = self.command("pull", "--insecure-policy", f"oci:{self.layout}:latest", bundle)
        done = subprocess.run([*prefix, *command], capture_output=True, text=True, check=False,
                              env=self.environment(), timeout=sluice_case.TIMEOUT)
        if done.returncode == sluice_case.SKIPPED:
            raise unittest.SkipTest(done.stderr)
        self.assertEqual(done.returncode, 0, f"{name}: {done.stderr}")
        seen = tree(os.path.join(bundle, "rootfs"))
        self.ok("unmount", bundle)
        self.assertEqual(os.listdir(os.path.join(self.root, "staging")), [])
        return seen

    def check(self, *calls):
        want = self.tree_pulled("all-there")
        for errno_name in ("ENOSYS", "EPERM"):
            for names in calls:
                with self.subTest(errno_name, calls=names):
                    name = errno_name + "-" + names.replace(",", "-")
                    seen = self.tree_pulled(name, DENIER, errno_name, names)
                    self.assertEqual([], differences(want, seen))

    def test_tree_is_what_the_layers_say(self):
        want = self.tree_pulled("all-there")
        for path in (b"usr/lib/so", b"usr/lib/more", b"again", b"etc/b"):
            self.assertIn(path, want)
        for path in (b"etc/a", b"gone/x"):
            self.assertNotIn(path, want)
        self.assertEqual(want[b"etc"]["mode"], 0o750)
        self.assertEqual(want[b"abs"]["type"], stat.S_IFLNK)

    def test_filter_does_filter(self):
        """Else all below would be green for nothing."""
        probe = ("import ctypes, sys; libc = ctypes.CDLL(None, use_errno=True);"
                 "libc.syscall(437, -100, b'/', None, 0); sys.exit(ctypes.get_errno())")
        for name, number in (("ENOSYS", 38), ("EPERM", 1)):
            done = subprocess.run([DENIER, name, PATHS, sys.executable, "-c", probe], check=False)
            self.assertEqual(done.returncode, number)

    def test_without_io_uring(self):
        self.check(RING)

    def test_without_openat2(self):
        self.check(PATHS)

    def test_without_some_or_all_new_mount_calls(self):
        """A filter's list may know a part of the family only."""
        self.check(MOUNTS, *MOUNTS.split(","))

    def test_without_any_of_them(self):
        self.check(",".join((RING, PATHS, MOUNTS)))


if __name__ == "__main__":
    sluice_case.main()
