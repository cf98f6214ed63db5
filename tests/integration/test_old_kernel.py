#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Pulls on a kernel that lacks, or a sandbox that forbids, what we would rather use: io_uring,
openat2, the new mount calls. The result must be the same tree. usage: test_old_kernel.py DENIER"""
import ctypes
import os
import stat
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from make_tars import archive, directory, entry, hardlink, symlink
from oci_layout import write_layout
from tree_facts import differences, tree

SLUICE = os.environ["SLUICE"]
DENIER = sys.argv.pop(1)
CLONE_NEWNS, MS_REC, MS_PRIVATE = 0x20000, 0x4000, 1 << 18
SKIP = 77

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


def private_tmpfs(where):
    """A mount that goes with this process."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS) or libc.mount(None, b"/", None, MS_REC | MS_PRIVATE, None) \
            or libc.mount(b"tmpfs", where.encode(), b"tmpfs", 0, b"size=256m"):
        print("skipped: cannot mount a tmpfs:", os.strerror(ctypes.get_errno()))
        sys.exit(SKIP)


class OldKernel(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.layout = os.path.join(WORK, "layout")
        write_layout(cls.layout, [BASE, TOP])
        cls.want = cls.pull("plain", [])

    @classmethod
    def pull(cls, name, prefix):
        """The tree of the mounted bundle, pulled into a store of its own."""
        root, bundle = os.path.join(WORK, name, "store"), os.path.join(WORK, name, "bundle")
        os.makedirs(os.path.dirname(root))
        done = subprocess.run(
            [*prefix, SLUICE, "pull", "--root", root, "--insecure-policy",
             f"oci:{cls.layout}:latest", bundle], capture_output=True, text=True)
        if done.returncode == SKIP:
            raise unittest.SkipTest(done.stderr)
        assert done.returncode == 0, f"{name}: exit {done.returncode}: {done.stderr}"
        seen = tree(os.path.join(bundle, "rootfs"))
        subprocess.run([SLUICE, "unmount", "--root", root, bundle], check=True,
                       capture_output=True)
        assert os.listdir(os.path.join(root, "staging")) == []
        return seen

    def check(self, errno_name, calls):
        name = errno_name + "-" + calls.replace(",", "-")
        self.assertEqual([], differences(self.want, self.pull(name, [DENIER, errno_name, calls])))

    def test_tree_is_what_the_layers_say(self):
        for path in (b"usr/lib/so", b"usr/lib/more", b"again", b"etc/b"):
            self.assertIn(path, self.want)
        for path in (b"etc/a", b"gone/x"):
            self.assertNotIn(path, self.want)
        self.assertEqual(self.want[b"etc"]["mode"], 0o750)
        self.assertEqual(self.want[b"abs"]["type"], stat.S_IFLNK)

    def test_filter_does_filter(self):
        """Else all below would be green for nothing."""
        probe = ("import ctypes, sys; libc = ctypes.CDLL(None, use_errno=True);"
                 "r = libc.syscall(437, -100, b'/', None, 0); sys.exit(ctypes.get_errno())")
        for name, number in (("ENOSYS", 38), ("EPERM", 1)):
            done = subprocess.run([DENIER, name, PATHS, sys.executable, "-c", probe])
            self.assertEqual(done.returncode, number)

    def test_no_io_uring(self):
        for errno_name in ("ENOSYS", "EPERM"):
            self.check(errno_name, RING)

    def test_no_openat2(self):
        for errno_name in ("ENOSYS", "EPERM"):
            self.check(errno_name, PATHS)

    def test_no_new_mount_calls(self):
        self.check("ENOSYS", MOUNTS)
        self.check("EPERM", MOUNTS)

    def test_half_of_the_new_mount_calls(self):
        """A filter's list may know some of a family only."""
        self.check("ENOSYS", "fsconfig")
        self.check("EPERM", "move_mount")

    def test_none_of_them(self):
        for errno_name in ("ENOSYS", "EPERM"):
            self.check(errno_name, ",".join((RING, PATHS, MOUNTS)))


if __name__ == "__main__":
    if os.geteuid() != 0:
        print("skipped: needs root")
        sys.exit(SKIP)
    with tempfile.TemporaryDirectory() as WORK:
        private_tmpfs(WORK)
        try:
            result = unittest.main(verbosity=2, exit=False).result
        finally:
            subprocess.run(["umount", "-l", WORK], check=True)
    sys.exit(0 if result.wasSuccessful() else 1)
