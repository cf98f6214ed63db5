# SPDX-License-Identifier: Apache-2.0
"""What tests of the whole program share: a private mount namespace, a file system that overlay can
write to, and the program itself (environment variable SLUICE)."""

import ctypes
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support"))
import own_mounts  # noqa: E402

SLUICE = os.environ.get("SLUICE", os.path.join(ROOT, "build", "dev", "bin", "sluice"))
TIMEOUT = 120  # seconds that one run may take
SKIPPED = 77

EXIT_FAILED, EXIT_USAGE, EXIT_POLICY, EXIT_NETWORK, EXIT_INTEGRITY = 1, 2, 3, 4, 5


def _check(result, what):
    if result != 0:
        raise OSError(ctypes.get_errno(), what + ": " + os.strerror(ctypes.get_errno()))


def mount_tmpfs(folder, options="mode=0755"):
    libc = ctypes.CDLL(None, use_errno=True)
    _check(libc.mount(b"sluice-test", folder.encode(), b"tmpfs", 0, options.encode()),
           "mount tmpfs")


def main(*programs):
    """Runs the tests of the calling file, or says what it lacks and skips."""
    missing = [p for p in programs if not shutil.which(p)]
    if os.geteuid() != 0:
        missing.append("root")
    if missing:
        print("skipped: needs", ", ".join(missing))
        sys.exit(SKIPPED)
    own_mounts.enter()
    own_mounts.hide_machine_policy()
    unittest.main(verbosity=2)


class SluiceCase(unittest.TestCase):
    """Each class has a folder on a tmpfs of its own, each test a folder, a store and a HOME."""

    @classmethod
    def setUpClass(cls):
        cls.shared = tempfile.mkdtemp(prefix="sluice-test-")
        mount_tmpfs(cls.shared)
        cls.addClassCleanup(cls._drop_shared)

    @classmethod
    def _drop_shared(cls):
        libc = ctypes.CDLL(None, use_errno=True)
        detach = 2
        libc.umount2(cls.shared.encode(), detach)
        os.rmdir(cls.shared)

    def setUp(self):
        self.folder = tempfile.mkdtemp(dir=self.shared)
        self.root = self.path("store")
        os.mkdir(self.path("home"))

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)
        return self.path(name)

    # ---- running ----

    def environment(self, **extra):
        env = {k: v for k, v in os.environ.items()
               if not k.lower().endswith("_proxy") and not k.startswith("REGISTRY")}
        return {**env, "HOME": self.path("home"), "XDG_RUNTIME_DIR": self.path("home"),
                "XDG_CONFIG_HOME": self.path("home"),
                "CONTAINERS_REGISTRIES_CONF": os.devnull, **extra}

    def command(self, verb, *args):
        """The program; store verbs get --root of this test."""
        store = ("pull", "images", "mount", "unmount", "rm", "gc")
        root = ["--root", self.root] if verb in store and "--root" not in args else []
        return [SLUICE, verb, *root, *map(str, args)]

    def sluice(self, verb, *args, env=None, **kwargs):
        return subprocess.run(self.command(verb, *args), env=env or self.environment(),
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              timeout=TIMEOUT, check=False, **kwargs)

    def start(self, verb, *args, env=None, **kwargs):
        """A run that goes on beside the test; ended with it."""
        kwargs = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **kwargs}
        process = subprocess.Popen(  # pylint: disable=consider-using-with
            self.command(verb, *args), env=env or self.environment(), **kwargs)
        self.addCleanup(self._end, process)
        return process

    @staticmethod
    def _end(process):
        if process.poll() is None:
            process.kill()
        process.communicate()

    # ---- results ----

    def good(self, run):
        self.assertEqual(run.returncode, 0, run.stderr)
        return run.stdout

    def ok(self, verb, *args, **kwargs):
        return self.good(self.sluice(verb, *args, **kwargs))

    def finish(self, process):
        """(exit status, stderr) of a started run."""
        _, err = process.communicate(timeout=TIMEOUT)
        return process.returncode, err

    def pull(self, *args, **kwargs):
        return self.ok("pull", "--insecure-policy", *args, **kwargs)

    def pull_json(self, *args, **kwargs):
        return json.loads(self.pull("--json", *args, **kwargs))

    def refused(self, code, *texts, run):
        """One line on stderr that holds the texts, and this exit status."""
        self.assertEqual(run.returncode, code, run.stderr)
        self.assertEqual(run.stderr.count("\n"), 1, run.stderr)
        self.assertTrue(run.stderr.startswith("sluice: "), run.stderr)
        for text in texts:
            self.assertIn(text, run.stderr)
        return run.stderr

    def pull_fails(self, code, *args, says=(), **kwargs):
        says = (says,) if isinstance(says, str) else says
        return self.refused(code, *says,
                            run=self.sluice("pull", "--insecure-policy", *args, **kwargs))

    # ---- the store ----

    def in_store(self, kind):
        """Names of objects: layers/sha256, images/sha256, blobs/sha256, refs, staging, mounts."""
        folder = os.path.join(self.root, kind)
        return sorted(os.listdir(folder)) if os.path.isdir(folder) else []

    def assert_clean(self):
        """Nothing half-done is left behind."""
        self.assertEqual(self.in_store("staging"), [])

    def read(self, *names):
        with open(self.path(*names), encoding="utf-8") as file:
            return file.read()
