# SPDX-License-Identifier: Apache-2.0
"""What tests of whole pulls share: a tmpfs of their own in a mount namespace of their own, the
program, and what must be true after it has failed."""
import ctypes
import os
import subprocess
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import faulty_registry  # noqa: E402
import own_mounts  # noqa: E402

SLUICE = os.environ.get("SLUICE", "")
FAILED, USAGE, POLICY, NETWORK, INTEGRITY = 1, 2, 3, 4, 5
DEADLINE = 60  # seconds; only a hanging program gets there


def libc_call(name, *args):
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*args) != 0:
        number = ctypes.get_errno()
        raise OSError(number, "%s: %s" % (name, os.strerror(number)))


def mount_tmpfs(path, options="size=2g,mode=0755"):
    libc_call("mount", b"sluice-test", path.encode(), b"tmpfs", ctypes.c_ulong(0),
              options.encode())


def main():
    if not SLUICE or os.geteuid() != 0:
        print("needs root, and the program's path in SLUICE")
        sys.exit(77)
    own_mounts.enter()
    own_mounts.hide_machine_policy()
    unittest.main()


def names(folder):
    """Everything below that is not a folder, and folders that have nothing below, as paths."""
    found = []
    for path, folders, files in os.walk(folder):
        found += [os.path.relpath(os.path.join(path, n), folder) for n in files]
        found += [os.path.relpath(os.path.join(path, n), folder) for n in folders
                  if os.path.islink(os.path.join(path, n)) or
                  not os.listdir(os.path.join(path, n))]
    return sorted(found)


class Log:
    """The registry's log, kept in memory: whoever waits for an event is woken by it."""

    def __init__(self):
        self.lines = []
        self.changed = threading.Condition()

    def write(self, line):
        with self.changed:
            self.lines.append(faulty_registry.json.loads(line))
            self.changed.notify_all()

    def flush(self):
        pass

    def requests(self, part=""):
        with self.changed:
            return [r for r in self.lines if part in r["path"]]

    def wait_for(self, part, count=1):
        with self.changed:
            return self.changed.wait_for(
                lambda: sum(part in r["path"] for r in self.lines) >= count, DEADLINE)


class PullCase(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="sluice-pull-")
        mount_tmpfs(cls.folder)

    @classmethod
    def tearDownClass(cls):
        subprocess.run(["umount", "-R", cls.folder], check=True)
        os.rmdir(cls.folder)

    def setUp(self):
        self.here = os.path.join(self.folder, self.id().rpartition(".")[2])
        os.mkdir(self.here)
        self.fresh()

    def tearDown(self):
        self.unmount_all()
        subprocess.run(["rm", "-rf", self.here], check=True)

    def fresh(self):
        """A store and a bundle that do not exist yet; several in one test do not meet."""
        self.room = tempfile.mkdtemp(dir=self.here)
        self.store, self.bundle = self.path("store"), self.path("bundle")

    def path(self, name):
        return os.path.join(self.room, name)

    def write(self, name, data):
        with open(self.path(name), "wb") as file:
            file.write(data)
        return self.path(name)

    # ---- registries ----

    def serve(self, layout, *faults, auth=None):
        """A registry that serves the layout with these faults; returns the image's name."""
        self.log = Log()
        plan = {"faults": list(faults), **({"auth": auth} if auth else {})}
        state = faulty_registry.State(layout, plan, self.log)
        for origin in "main", "other":
            faulty_registry.listen(state, origin, NO_TLS)
        return "docker://127.0.0.1:%d/some/image:latest" % state.ports["main"]

    # ---- the program ----

    def environment(self):
        env = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
        env.update(HOME=self.here, XDG_RUNTIME_DIR=self.here, XDG_CONFIG_HOME=self.here,
                   CONTAINERS_REGISTRIES_CONF="/dev/null")
        return env

    def command(self, verb, *args):
        return [SLUICE, verb, "--root", self.store, *args]

    def pull_command(self, image, *options, policy=("--insecure-policy",)):
        return self.command("pull", "--quiet", "--tls-verify=false", *policy, *options, image,
                            self.bundle)

    def run_sluice(self, command):
        return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=DEADLINE, env=self.environment())

    def pull(self, image, *options, **kwargs):
        return self.run_sluice(self.pull_command(image, *options, **kwargs))

    def start(self, image, *options):
        child = subprocess.Popen(self.pull_command(image, *options), stdin=subprocess.DEVNULL,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                 env=self.environment())
        self.addCleanup(child.stdout.close)
        self.addCleanup(child.stderr.close)
        self.addCleanup(child.wait)
        self.addCleanup(child.kill)
        return child

    def wait_until(self, condition, child):
        """For what the kernel sends no event of. Fails when the child ends first."""
        ends = time.monotonic() + DEADLINE
        while not condition():
            self.assertIsNone(child.poll(), "ended before its time")
            self.assertLess(time.monotonic(), ends)
            time.sleep(0.002)

    # ---- what must be true ----

    def expect_one_line(self, run, code, *texts, secrets=()):
        self.assertEqual(run.returncode, code, run.stderr)
        self.assertEqual(run.stdout, "")
        self.assertRegex(run.stderr, r"\Asluice: [^\n]*\n\Z")
        for text in texts:
            self.assertIn(text, run.stderr)
        for secret in secrets:
            self.assertNotIn(secret, run.stderr)

    def expect_nothing_left(self):
        for part in "layers", "images", "refs", "blobs", "staging", "mounts":
            folder = os.path.join(self.store, part)
            left = [n for n in names(folder) if n not in ("sha256", "sha512")]
            self.assertEqual(left, [], part)
        self.assertFalse(os.path.lexists(self.bundle))
        self.assertEqual(self.mounts(), [])

    def expect_refused(self, run, code, *texts, secrets=()):
        self.expect_one_line(run, code, *texts, secrets=secrets)
        self.expect_nothing_left()

    def expect_pulled(self, run, contents):
        """contents: {path in the root file system: bytes}"""
        self.assertEqual((run.returncode, run.stderr), (0, ""))
        self.assertEqual(names(os.path.join(self.store, "staging")), [])
        for name, data in contents.items():
            with open(os.path.join(self.bundle, "rootfs", name), "rb") as file:
                self.assertEqual(file.read() == data, True, name)

    def mounts(self):
        with open("/proc/self/mounts", encoding="utf-8") as file:
            targets = [line.split()[1] for line in file]
        return [t for t in targets if t.startswith(self.room + "/")]

    def unmount_all(self):
        with open("/proc/self/mounts", encoding="utf-8") as file:
            targets = [line.split()[1] for line in file]
        for target in reversed(targets):
            if target.startswith(self.here + "/"):
                subprocess.run(["umount", target], check=True)


class NO_TLS:
    cert = key = client_ca = None
