# SPDX-License-Identifier: Apache-2.0
"""sluiced as a guest runs it: with a file of the hub's kind, in a mount namespace that is the
test's, among peers of other people's code. What it says to its manager wakes whoever waits; nobody
waits by the clock.

    class Some(SluicedCase):
        def test(self):
            service = self.serve()                 # READY=1 has come
            answer = self.agent(service).pull(image, self.bundle("b")).wait()

At the end of a test every service must end well: exit status 0, no sanitizer's word, sockets gone,
no staging, nothing of it mounted but what the test has left."""
import ctypes
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "integration"))
import sluice_case  # noqa: E402
from sluice_case import SKIPPED, SLUICE, SluiceCase  # noqa: E402

import go_tools  # noqa: E402
import guest_peers  # noqa: E402
import make_image  # noqa: E402
import registry as registries  # noqa: E402
import ttrpc  # noqa: E402

SLUICED = os.environ.get("SLUICED") or os.path.join(os.path.dirname(SLUICE), "sluiced")
KEPT = os.environ.get("SLUICE_IMAGES", "")
DEADLINE = guest_peers.DEADLINE
# What kata's tests look for.
FAILED_TO_PULL, NOT_AUTHORIZED = "Failed to pull image", "Not authorized"
CANNOT_DECRYPT = ("Failed to decrypt the image layer, please ensure that the decryption key is "
                  "placed and correct")
DENIED = "Image policy rejected: Denied by policy"
PREFIX = "[CDH] [ERROR]: "


def main(*programs):
    """Runs the tests of the calling file, or says what it lacks and skips."""
    why = go_tools.why_not() if KEPT else "needs SLUICE_IMAGES, a folder where tools are kept"
    if not why and not os.access(SLUICED, os.X_OK):
        why = f"{SLUICED} is not built"
    if why:
        print("skipped:", why)
        sys.exit(SKIPPED)
    sluice_case.main("docker-registry", "skopeo", *programs)


# ---- TOML ----

def toml(value):
    """A dictionary as TOML; lists of dictionaries become arrays of tables."""
    out = []

    def plain(item):
        return json.dumps(item) if not isinstance(item, list) else (
            "[" + ", ".join(plain(i) for i in item) + "]")

    def table(name, items):
        later = []
        for key, item in items.items():
            tables = isinstance(item, list) and item and isinstance(item[0], dict)
            if item is None:
                continue
            if isinstance(item, dict) or tables:
                later.append((key, item))
            else:
                out.append(f"{key} = {plain(item)}")
        for key, item in later:
            path = f"{name}.{key}" if name else key
            for one in item if isinstance(item, list) else [item]:
                out.append(f"\n[[{path}]]" if isinstance(item, list) else f"\n[{path}]")
                table(path, one)

    table("", value)
    return "\n".join(out) + "\n"


def merged(base, changes):
    """None removes."""
    if not isinstance(base, dict) or not isinstance(changes, dict):
        return changes
    both = {**base, **{k: merged(base.get(k), v) for k, v in changes.items()}}
    return {k: v for k, v in both.items() if v is not None}


# ---- what the kernel knows ----

def mounts_below(folder):
    """(place, type, options of the superblock), in the order of mounting."""
    found = []
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as f:
        for line in f:
            left, right = line.rstrip("\n").split(" - ", 1)
            place = left.split()[4].encode().decode("unicode_escape")
            kind, _, options = right.split(" ", 2)
            if place.startswith(folder + "/"):
                found.append((place, kind, left.split()[5], options))
    return found


def libc_call(name, *args):
    sluice_case._check(getattr(ctypes.CDLL(None, use_errno=True), name)(*args), name)


class Manager:
    """What a service manager does with NOTIFY_SOCKET (sd_notify(3))."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(path)
        self.said = []  # "READY=1", "STATUS=…", in order
        self.changed = threading.Condition()
        self.closed = False
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        while True:
            try:
                data = self.socket.recv(1 << 16)
            except OSError:
                return
            with self.changed:
                self.said += data.decode(errors="replace").split("\n")
                self.closed = data == b"X_CLOSED"
                self.changed.notify_all()
            if self.closed:
                return

    def wait(self, condition, deadline=DEADLINE):
        with self.changed:
            return self.changed.wait_for(lambda: self.closed or any(map(condition, self.said)),
                                         deadline) and not self.closed

    def count(self, line):
        return self.said.count(line)

    def close(self):
        """Wakes everybody."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            s.sendto(b"X_CLOSED", self.socket.getsockname())


class Service:
    """One run of the daemon. Its folder holds its files; its log is kept in memory."""

    def __init__(self, case, config, name, cmdline, environment, argv):
        self.case, self.config, self.name = case, config, name
        self.folder = case.path(name)
        os.mkdir(self.folder)
        self.config_path = self.path("cdh.toml")
        self.write_config(config)
        self.manager = Manager(self.path("notify"))
        if cmdline is not None:
            self._replace_cmdline(cmdline)
        self.log, self.changed = [], threading.Condition()
        self.is_over = False
        self.process = subprocess.Popen(  # pylint: disable=consider-using-with
            argv or [SLUICED, "-c", self.config_path], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace",
            env=case.environment(NOTIFY_SOCKET=self.path("notify"), **environment))
        self.reader = threading.Thread(target=self._read_log, daemon=True)
        self.reader.start()

    def path(self, *names):
        return os.path.join(self.folder, *names)

    @property
    def socket(self):
        return self.config["socket"].removeprefix("unix://")

    def write_config(self, config):
        self.config = config
        with open(self.config_path, "w", encoding="utf-8") as f:
            f.write(toml(config))

    def _replace_cmdline(self, text):
        with open(self.path("cmdline"), "w", encoding="utf-8") as f:
            f.write(text + "\n")
        subprocess.run(["mount", "--bind", self.path("cmdline"), "/proc/cmdline"], check=True)
        self.case.addCleanup(subprocess.run, ["umount", "/proc/cmdline"], check=True)

    def _read_log(self):
        for line in self.process.stderr:
            with self.changed:
                self.log.append(line.rstrip("\n"))
                self.changed.notify_all()
        self.process.wait()
        with self.changed:
            self.is_over = True
            self.changed.notify_all()
        self.manager.close()

    # ---- what it says ----

    def text(self):
        with self.changed:
            return "\n".join(self.log)

    def wait_log(self, part, count=1):
        """Until so many lines hold the part; the last of them."""
        def found():
            return [line for line in self.log if part in line]
        with self.changed:
            self.changed.wait_for(lambda: len(found()) >= count or self.is_over, DEADLINE)
            self.case.assertGreaterEqual(len(found()), count,
                                         f"the log never said {part!r}:\n" + "\n".join(self.log[-30:]))
            return found()[count - 1]

    def wait_ready(self):
        ready = self.manager.wait(lambda line: line == "READY=1")
        self.case.assertTrue(ready, f"sluiced was not ready ({self.process.poll()}):\n{self.text()}")
        return self

    # ---- what it is told ----

    def send(self, number):
        self.process.send_signal(number)

    def reload(self, config=None, good=True):
        """SIGHUP, until it is done with it. good: whether the configuration is to be taken."""
        if config is not None:
            self.write_config(config)
        before = self.status()["generation"]
        count = self.manager.count("READY=1")
        self.send(signal.SIGHUP)
        done = self.manager.wait(lambda line: self.manager.count("READY=1") > count)
        self.case.assertTrue(done, "a reload was not told to the manager:\n" + self.text())
        self.case.assertEqual(self.status()["generation"] > before, good, self.text()[-2000:])

    def control(self, method, **fields):
        """By the control socket, as sluice status and ctl ask."""
        with ttrpc.Client(self.config["sluice"]["control"]) as client:
            message = ttrpc.field(1, json.dumps(fields))
            answer = client.call("sluice.Control", method, message)
            return json.loads(ttrpc.fields(answer)[1][0])

    def status(self):
        return self.control("Status")

    def ctl(self, *args, check=True):
        run = self.case.sluice("ctl", "--socket", self.config["sluice"]["control"], *args)
        if check:
            self.case.assertEqual(run.returncode, 0, run.stderr)
        return run

    # ---- what it holds ----

    def descriptors(self):
        """What is open, without the numbers that differ each time."""
        folder = f"/proc/{self.process.pid}/fd"
        names = []
        for fd in os.listdir(folder):
            try:
                names.append(re.sub(r":\[\d+\]", "", os.readlink(os.path.join(folder, fd))))
            except FileNotFoundError:
                pass
        return sorted(names)

    def threads(self):
        return len(os.listdir(f"/proc/{self.process.pid}/task"))

    def is_sanitized(self, kind="[a-z]+"):
        with open(f"/proc/{self.process.pid}/maps", encoding="utf-8", errors="replace") as f:
            return bool(re.search(rf"lib{kind}san\.so", f.read()))

    def is_tsan(self):
        """It has a thread of its own then."""
        return self.is_sanitized("t")

    def proc_status(self, name):
        """A line of /proc/PID/status: its number."""
        with open(f"/proc/{self.process.pid}/status", encoding="ascii", errors="replace") as f:
            return next(int(line.split()[1]) for line in f if line.startswith(name + ":"))

    # ---- its end ----

    def stop(self, number=signal.SIGTERM, expect=0):
        """The exit status is as expected, and it has cleaned up after itself."""
        if self.process.poll() is None:
            self.send(number)
        try:
            self.process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self.kill()
            self.case.fail(f"sluiced did not end:\n{self.text()[-3000:]}")
        self.reader.join(DEADLINE)
        self.process.stderr.close()
        text = self.text()
        for word in ("Sanitizer", "runtime error:"):
            self.case.assertNotIn(word, text, text[-6000:])
        self.case.assertEqual(self.process.returncode, expect, text[-3000:])
        if expect == 0:
            left = [n for n in os.listdir(self.folder) if n.endswith(".sock")]
            self.case.assertEqual(left, [], "socket files are left")

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.reader.join(DEADLINE)


class SluicedCase(SluiceCase):
    """A test's folder has store/, bundles/ and a folder for each service."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.peers_program = go_tools.ttrpc_peers(KEPT)

    def setUp(self):
        super().setUp()
        self.services = []
        os.mkdir(self.path("bundles"))
        self.addCleanup(self._end_all)

    def _end_all(self):
        try:
            for service in self.services:
                if service.process.poll() is None:
                    service.stop()
        finally:
            for service in self.services:
                if service.process.poll() is None:
                    service.kill()
            self.unmount_all()

    def tearDown(self):
        for service in self.services:
            if service.process.poll() is None:
                service.stop()
        if self.services:
            self.assertEqual(self.in_store("staging"), [], "staging is left")

    # ---- services ----

    def base_config(self, name="guest", insecure=()):
        """insecure: registries without TLS, "HOST:PORT"."""
        run = self.path(name)
        rules = [{"location": host, "insecure": True} for host in insecure]
        return {
            "socket": f"unix://{run}/cdh.sock",
            "kbc": {"name": "offline_fs_kbc"},
            "aa": {"aa_socket": f"unix://{run}-aa/s"},
            "image": {"work_dir": self.root,
                      "registry_config": {"unqualified-search-registries": ["docker.io"],
                                          "registry": rules} if rules else None},
            "sluice": {"control": f"unix://{run}/control.sock", "bundle_roots": [self.path("bundles")],
                       # Those of the machine must not decide in a test.
                       "offline_keys": self.write("no-keys.json", "{}"),
                       "offline_resources": self.write("no-resources.json", "{}")}}

    def serve(self, changes=None, insecure=(), name="guest", cmdline="quiet", ready=True, config=None,
              argv=None, **environment):
        """changes: to the base configuration; None for a value removes it."""
        config = config or merged(self.base_config(name, insecure), changes or {})
        service = Service(self, config, name, cmdline, environment, argv)
        self.services.append(service)
        return service.wait_ready() if ready else service

    def agent(self, service, **kwargs):
        agent = guest_peers.Agent(self.peers_program, service.socket, **kwargs)
        self.addCleanup(agent.close)
        return agent

    def attestation_agent(self, service_name="guest"):
        """Its socket is where the base configuration says. Before or after the service's start."""
        os.makedirs(self.path(service_name + "-aa"), exist_ok=True)
        server = guest_peers.attestation_agent(self.peers_program, self.path(service_name + "-aa", "s"))
        self.addCleanup(server.close)
        return server

    def hub(self, resources):
        """A hub behind the service. resources: "REPOSITORY/TYPE/TAG" to bytes."""
        for name, data in resources.items():
            place = self.path("resources", name)
            os.makedirs(os.path.dirname(place), exist_ok=True)
            with open(place, "wb") as f:
                f.write(data if isinstance(data, bytes) else data.encode())
        os.makedirs(self.path("resources"), exist_ok=True)
        server = guest_peers.hub(self.peers_program, self.path("upstream.sock"), self.path("resources"))
        self.addCleanup(server.close)
        return server

    # ---- bundles ----

    def bundle(self, name="one"):
        return self.path("bundles", name)

    def rootfs(self, bundle, *names):
        return os.path.join(bundle, "rootfs", *names)

    def assert_pulled(self, answer, bundle, **files):
        """rootfs is a writable overlay, and has these files."""
        self.assertEqual(answer.code, 0, answer)
        kinds = [m for m in mounts_below(bundle) if m[0] == self.rootfs(bundle)]
        self.assertEqual([m[1] for m in kinds], ["overlay"], f"{bundle}: one overlay is mounted")
        self.assertTrue(kinds[0][2].startswith("rw"), kinds)
        for name, content in files.items():
            with open(self.rootfs(bundle, name), "rb") as f:
                got = f.read()
            self.assertTrue(got == (content.encode() if isinstance(content, str) else content),
                            f"{name} differs: {len(got)} bytes")
        with open(self.rootfs(bundle, ".written"), "w", encoding="ascii") as f:
            f.write("x")
        os.unlink(self.rootfs(bundle, ".written"))

    def assert_refused(self, answer, *texts, code=guest_peers.INTERNAL, bundle=None):
        """In one line, as the hub says it; nothing is mounted."""
        self.assertEqual(answer.code, code, answer)
        self.assertTrue(answer.message.startswith(PREFIX), answer)
        self.assertNotIn("\n", answer.message)
        for text in texts:
            self.assertIn(text, answer.message)
        if bundle:
            self.assertEqual(mounts_below(bundle), [], "nothing is mounted")

    def unmount(self, bundle):
        """As the agent does when a container goes."""
        subprocess.run(["umount", self.rootfs(bundle)], check=True)

    def unmount_all(self):
        for place, *_ in reversed(mounts_below(self.folder)):
            subprocess.run(["umount", "-l", place], check=False)

    def until(self, condition, what):
        """For what the kernel sends no event of. what: a text or a function that gives one."""
        ends = time.monotonic() + DEADLINE
        while not condition():
            if time.monotonic() > ends:
                self.fail((what() if callable(what) else what) + " did not come to pass")
            time.sleep(0.005)

    # ---- images ----

    def push(self, registry, name, *layers, **kwargs):
        """Pushes an image of layers of make_image; its digest in the registry."""
        folder = self.path("layout-" + re.sub(r"\W", "-", name))
        registry.push(make_image.add_image(folder, list(layers), **kwargs), name)
        descriptor, _ = make_image.tagged(folder)
        shutil.rmtree(folder)
        return descriptor["digest"]


def start_registry(case, **kwargs):
    """A registry for a class of tests."""
    registry = registries.Registry(**kwargs)
    registry.__enter__()
    case.addClassCleanup(registry.__exit__)
    return registry


def blob_gets(registry, digest):
    """How often a registry was asked for a blob, by its own access log."""
    return len(re.findall(r'"GET /v2/[^" ]*/blobs/' + digest + r'[" ]', registry.log()))
