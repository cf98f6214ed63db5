# SPDX-License-Identifier: Apache-2.0
"""skopeo and buildah that know every way to wrap a key and to sign, and cosign. Debian 12's skopeo is
built with an ocicrypt that lacks key providers, and it has no cosign, so where this machine's are too
old, those of the next release run in a tree of their own. Needs a mount namespace of the test's own."""
import hashlib
import os
import re
import shutil
import subprocess

import images

SUITE = "trixie"
OLDEST = (1, 15)  # skopeo
PACKAGES = ("skopeo", "buildah", "netavark", "base-files", "coreutils", "dash", "gpg", "gpg-agent", "softhsm2",
            "cosign")
# The tree is made anew when this list changes.
TREE = f"{SUITE}-peers-{hashlib.sha256(repr(PACKAGES).encode()).hexdigest()[:8]}"
TIMEOUT = 120


def is_new_enough():
    if not shutil.which("cosign"):
        return False
    said = images.run("skopeo", "--version")
    return tuple(map(int, re.search(r"(\d+)\.(\d+)", said).groups())) >= OLDEST


def make_tree(part):
    _, mirror = images.apt_source()
    images.run("mmdebstrap", "--quiet", "--variant=extract", "--include=" + ",".join(PACKAGES),
               *("--dpkgopt=path-exclude=" + path for path in images.NOT_NEEDED), SUITE,
               os.path.join(part, "root"), mirror)
    with open(os.path.join(part, "root", "etc", "passwd"), "w", encoding="utf-8") as f:
        f.write("root:x:0:0:root:/root:/bin/sh\n")


class Peers:
    """Runs the tools on files below one folder, which has the same path for them."""

    def __init__(self, kept, shared):
        self.root = None
        self.shared = shared
        self.home = os.path.join(shared, "peers-home")
        os.makedirs(self.home)
        with open(os.path.join(self.home, "policy.json"), "w", encoding="utf-8") as f:
            f.write('{"default":[{"type":"insecureAcceptAnything"}]}')
        if not is_new_enough():
            self.root = os.path.join(images.keep(TREE, kept, make_tree), "root")
            # buildah changes the propagation of "/", which must be a mount point for that.
            images.run("mount", "--bind", self.root, self.root)
            for place in ("/proc", "/dev", shared):
                os.makedirs(self.root + place, exist_ok=True)
                images.run("mount", "--rbind", place, self.root + place)

    def close(self):
        # Agents of the homes that skopeo makes for itself outlive it.
        subprocess.run(["pkill", "-f", "^gpg-agent --homedir " + self.home + "/"], check=False)
        if self.root:
            subprocess.run(["umount", "-R", "-l", self.root], check=False)
            shutil.rmtree(self.root + self.shared, ignore_errors=True)

    def run(self, *argv, env=None):
        """CompletedProcess; stdout and stderr together."""
        inside = ["chroot", self.root] if self.root else []
        env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": self.home, "TMPDIR": self.home,
               "XDG_RUNTIME_DIR": self.home, **(env or {})}
        return subprocess.run(inside + [str(a) for a in argv], env=env, cwd="/",
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              stdin=subprocess.DEVNULL, timeout=TIMEOUT, check=False)

    def good(self, *argv, **options):
        done = self.run(*argv, **options)
        if done.returncode:
            raise RuntimeError(f"{' '.join(map(str, argv))}: {done.stdout}")
        return done.stdout

    # ---- one layout to another ----

    def skopeo_copy(self, source, target, *options, env=None):
        self.good("skopeo", "copy", "--policy", os.path.join(self.home, "policy.json"),
                  "--dest-oci-accept-uncompressed-layers", *options, source, target, env=env)

    def buildah_copy(self, source, target, pull=(), push=(), env=None):
        """Through a store of its own, as buildah does everything."""
        store = os.path.join(self.home, "store")
        common = ("--root", store, "--runroot", os.path.join(self.home, "run"),
                  "--storage-driver", "vfs")
        policy = ("--signature-policy", os.path.join(self.home, "policy.json"))
        try:
            said = self.good("buildah", *common, "pull", "--quiet", *policy, *pull, source, env=env)
            self.good("buildah", *common, "push", "--quiet", *policy, *push, said.split()[-1], target,
                      env=env)
        finally:
            shutil.rmtree(store, ignore_errors=True)
