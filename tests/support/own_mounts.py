# SPDX-License-Identifier: Apache-2.0
"""A mount namespace of our own: whatever a test mounts goes with the test's process."""
import ctypes
import errno
import os
import subprocess
import sys
import tempfile

CLONE_NEWNS, MS_REC, MS_PRIVATE = 0x00020000, 1 << 14, 1 << 18


def enter():
    """Before any thread is started. Exits with 77 (skipped) where this may not be done."""
    libc = ctypes.CDLL(None, use_errno=True)
    if os.geteuid() != 0 or libc.unshare(CLONE_NEWNS) != 0:
        print("skipped: needs root and a mount namespace")
        sys.exit(77)
    # In a chroot "/" is no mount point: then others may see mounts come and go, no more.
    if (libc.mount(None, b"/", None, ctypes.c_ulong(MS_REC | MS_PRIVATE), None) != 0
            and ctypes.get_errno() != errno.EINVAL):
        raise OSError(ctypes.get_errno(), "cannot make / private")


def in_chroot():
    """There "/" is no mount point: whoever changes its propagation or root (crun, buildah) fails."""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as f:
        return all(line.split()[4] != "/" for line in f)


class OwnTmpfs:
    """A tmpfs in a new directory: /tmp may be an overlayfs, which cannot carry another."""

    def __init__(self):
        self.path = tempfile.mkdtemp(prefix="sluice-test-")
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=0755", "sluice-test", self.path], check=True)

    def close(self):
        subprocess.run(["umount", "-R", "-l", self.path], check=True)
        os.rmdir(self.path)


def umount(path):
    """When something is mounted there."""
    subprocess.run(["umount", "-R", "-l", path], stderr=subprocess.DEVNULL, check=False)


HIDDEN = set()


def hide(path):
    """An empty folder there, for us alone."""
    os.makedirs(path, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "sluice-test", path], check=True)
    HIDDEN.add(path)


def hide_machine_policy():
    """What the machine thinks of signatures must not decide in a test."""
    if os.path.isdir("/etc/containers"):
        hide("/etc/containers")


def use_unified_cgroups():
    """crun does not start anything where cgroups of both versions are mounted."""
    umount("/sys/fs/cgroup")
    subprocess.run(["mount", "-t", "cgroup2", "none", "/sys/fs/cgroup"], check=True)
