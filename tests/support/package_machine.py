#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The packages on a machine that boots: what an administrator of it sees, and what the service can
do under the restrictions of its unit.

    package_machine.py ROOT PACKAGES [Class[.test]...]      as root; package_machine.sh makes both

ROOT is a fresh Debian with systemd. Each class boots it anew, in namespaces but that of the network;
what is written goes with it. Its services are asked from outside, through /proc/PID/root. Nobody
waits by the clock: systemd tells when it has booted, the journal whatever happens then."""
import atexit
import glob
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import images  # noqa: E402
import make_image  # noqa: E402
import make_tars as mt  # noqa: E402
import registry as registries  # noqa: E402
import ttrpc  # noqa: E402
from counting_proxy import CountingProxy  # noqa: E402

ROOT, PACKAGES = "", ""
DEADLINE = 60  # seconds; only what hangs gets there
UNIT = "sluiced.service"
CONFIG = "/etc/sluice/sluiced.toml"
HUB, CONTROL = "/run/confidential-containers/cdh.sock", "/run/sluice/control.sock"
STORE, BUNDLES = "/run/kata-containers/image", "/run/kata-containers"
WATCHDOG_S = 2
FEEDINGS = 6  # the watchdog is fed twice in its time
# What the unit says, in the kernel's words (capabilities(7)).
CAPABILITIES = {"chown": 0, "dac_override": 1, "dac_read_search": 2, "fowner": 3, "fsetid": 4,
                "ipc_lock": 14, "sys_ptrace": 19, "sys_admin": 21, "mknod": 27, "setfcap": 31}
ERROR, WARNING, INFO = "3", "4", "6"


# ---- the machine ----

class Journal:
    """What the journal says of the service from now on. Whoever waits is woken by a line."""

    def __init__(self, machine):
        self.entries, self.changed, self.is_over = [], threading.Condition(), False
        self.process = machine.start("journalctl", "--unit", UNIT, "--follow", "--lines", "all",
                                     "--output", "json")
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        for line in self.process.stdout:
            with self.changed:
                self.entries.append(json.loads(line))
                self.changed.notify_all()
        with self.changed:
            self.is_over = True
            self.changed.notify_all()

    def mark(self):
        with self.changed:
            return len(self.entries)

    def wait(self, part, since=0, count=1):
        """The entry with which so many since a mark hold this text."""
        def found():
            return [e for e in self.entries[since:] if part in str(e.get("MESSAGE"))]
        with self.changed:
            self.changed.wait_for(lambda: len(found()) >= count or self.is_over, DEADLINE)
            if len(found()) < count:
                raise AssertionError(f"the journal never said {part!r}:\n" + "\n".join(
                    str(e.get("MESSAGE")) for e in self.entries[-30:]))
            return found()[count - 1]

    def close(self):
        """Behind the machine, with which it ends."""
        self.process.wait()
        self.thread.join()
        self.process.stdout.close()


class Machine:
    def __init__(self):
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.settimeout(DEADLINE)
        self.notify.bind(f"\0sluice-machine-{os.getpid()}-{id(self)}")
        self.log = tempfile.TemporaryFile()
        self.cgroup = self._make_cgroup()
        # A cgroup of its own, so that its systemd takes only what is its own.
        self.process = subprocess.Popen(  # pylint: disable=consider-using-with
            ["sh", "-c", 'echo $$ > "$0/cgroup.procs" && exec "$@"', self.cgroup, "unshare", "--mount",
             "--propagation", "private", "--pid", "--uts", "--ipc", "--cgroup", "--fork", "--kill-child",
             os.path.join(HERE, "package_machine.sh"), "--boot", ROOT],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
            env={**os.environ, "NOTIFY_SOCKET": "@" + self.notify.getsockname()[1:].decode()})
        atexit.register(self.process.kill)  # also when the tests are interrupted
        try:
            self._await_boot()
        except BaseException:
            self.close()
            raise

    @staticmethod
    def _make_cgroup():
        with open("/proc/self/mounts", encoding="ascii") as f:
            top = next(line.split()[1] for line in f if line.split()[2] == "cgroup2")
        return tempfile.mkdtemp(prefix="sluice-machine-", dir=top)

    def _await_boot(self):
        said = b""
        while b"READY=1" not in said:
            try:
                said = self.notify.recv(1 << 16)
            except TimeoutError:
                self.log.seek(0)
                raise AssertionError("the machine does not boot:\n" + self.log.read().decode()) from None
        with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children", encoding="ascii") as f:
            self.pid = int(f.read())

    def close(self):
        self.process.kill()
        self.process.wait()
        # Its processes end with their namespace; the kernel tells when the last one has gone.
        with open(self.cgroup + "/cgroup.events", encoding="ascii") as f:
            poll = select.poll()
            poll.register(f, select.POLLPRI)
            while "populated 1" in f.read() and poll.poll(DEADLINE * 1000):
                f.seek(0)
        for folder, _, _ in os.walk(self.cgroup, topdown=False):
            os.rmdir(folder)
        self.notify.close()
        self.log.close()

    def _enter(self, argv):
        return ["nsenter", "--target", str(self.pid), "--mount", "--pid", "--uts", "--ipc", "--cgroup",
                "--root", "--wd", "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8",
                "DEBIAN_FRONTEND=noninteractive", *argv]

    def start(self, *argv):
        return subprocess.Popen(self._enter(argv), stdin=subprocess.DEVNULL, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)

    def run(self, *argv, status=0):
        """What it says. status: its exit status, or None for any."""
        done = subprocess.run(self._enter(argv), stdin=subprocess.DEVNULL, text=True, check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=5 * DEADLINE)
        if status not in (None, done.returncode):
            raise AssertionError(f"{' '.join(argv)}: {done.returncode}\n{done.stdout}")
        return done.stdout

    def path(self, path):
        return f"/proc/{self.pid}/root{path}"

    def read(self, path):
        with open(self.path(path), encoding="utf-8") as f:
            return f.read()

    def write(self, path, text):
        os.makedirs(os.path.dirname(self.path(path)), exist_ok=True)
        with open(self.path(path), "w", encoding="utf-8") as f:
            f.write(text)

    def names(self, path):
        try:
            return os.listdir(self.path(path))
        except FileNotFoundError:
            return []

    def mounts(self):
        """Place to type, in the namespace of its first process."""
        with open(f"/proc/{self.pid}/mounts", encoding="utf-8") as f:
            return {line.split()[1]: line.split()[2] for line in f}


class MachineCase(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.machine = Machine()
        cls.addClassCleanup(cls.machine.close)

    def install(self, *names):
        found = [glob.glob(f"{PACKAGES}/{name}_*.deb")[0] for name in names]
        for path in found:
            with open(path, "rb") as f, open(self.machine.path("/root/" + os.path.basename(path)), "wb") as to:
                to.write(f.read())
        self.machine.run("apt-get", "install", "-y", "-qq", "--no-install-recommends",
                         *["/root/" + os.path.basename(path) for path in found])

    # ---- the service ----

    def unit(self, name):
        return self.machine.run("systemctl", "show", "--value", "-p", name, UNIT).strip()

    def systemctl(self, verb, **kwargs):
        return self.machine.run("systemctl", verb, UNIT, **kwargs)

    def service_pid(self):
        """As it is seen from outside."""
        inner = self.unit("MainPID")
        with open(f"{self.machine.cgroup}/system.slice/{UNIT}/cgroup.procs", encoding="ascii") as f:
            for pid in f.read().split():
                with open(f"/proc/{pid}/status", encoding="ascii") as status:
                    if next(l for l in status if l.startswith("NSpid:")).split()[-1] == inner:
                        return int(pid)
        raise AssertionError(f"{UNIT} has no process {inner}")

    def pull(self, image, bundle):
        """The digest."""
        return self.answer(self.ask(image, bundle))

    def ask(self, image, bundle):
        client = ttrpc.Client("unix://" + self.machine.path(HUB))
        client.connection.settimeout(DEADLINE)
        self.addCleanup(client.connection.close)
        message = ttrpc.field(1, image) + ttrpc.field(2, bundle)
        client.stream_of_pull = client.send("api.ImagePullService", "PullImage", message)
        return client

    def answer(self, client):
        return ttrpc.one(ttrpc.fields(client.wait(client.stream_of_pull)), 1, b"").decode()


def push(case, registry, name, *layers):
    with tempfile.TemporaryDirectory() as folder:
        registry.push(make_image.add_image(folder, list(layers)), name)
    return f"{registry.host}/{name}"


# ---- the service, as its unit has it ----

class Service(MachineCase):
    """Before each test the service is stopped and its settings are those of the package."""

    journal = None

    @classmethod
    def setUpClass(cls):
        cls.addClassCleanup(lambda: cls.journal and cls.journal.close())
        super().setUpClass()
        cls.registry = registries.Registry(tls=True)
        cls.registry.__enter__()
        cls.addClassCleanup(cls.registry.__exit__)
        cls.install(cls, "sluice")
        # The registry's authority is one of those that the machine trusts.
        with open(cls.registry.ca, encoding="ascii") as f:
            cls.machine.write("/usr/local/share/ca-certificates/test.crt", f.read())
        cls.machine.run("update-ca-certificates")
        cls.config = cls.machine.read(CONFIG)
        cls.journal = Journal(cls.machine)

    def setUp(self):
        os.makedirs(self.machine.path(BUNDLES), exist_ok=True)  # as the agent has made it
        self.machine.write(CONFIG, self.config)
        self.since = self.journal.mark()
        self.addCleanup(self.clean)

    def clean(self):
        for place in sorted(self.machine.mounts(), reverse=True):
            if place.startswith(BUNDLES + "/"):
                self.machine.run("umount", place)
        self.systemctl("stop")
        self.assertIn(self.unit("ActiveState"), ("inactive", "failed"))
        self.machine.run("rm", "-rf", f"/run/systemd/system/{UNIT}.d", STORE)
        self.machine.run("systemctl", "daemon-reload")
        self.systemctl("reset-failed", status=None)

    def start(self, config="", **settings):
        """config: text behind that of the package. settings: of the unit."""
        if config:
            self.machine.write(CONFIG, self.config + "\n" + config)
        if settings:
            lines = "".join(f"{key}={value}\n" for key, value in settings.items())
            self.machine.write(f"/run/systemd/system/{UNIT}.d/test.conf", "[Service]\n" + lines)
            self.machine.run("systemctl", "daemon-reload")
        try:
            self.systemctl("start")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.machine.run('journalctl', '-u', UNIT)}") from None
        self.assertEqual(self.unit("ActiveState"), "active")

    def push(self, name, *layers):
        return push(self, self.registry, name, *layers or [make_image.layer({"hello": name})])

    def wait_log(self, part, **kwargs):
        return self.journal.wait(part, self.since, **kwargs)

    def rootfs(self, bundle, name=""):
        return self.machine.path(f"{bundle}/rootfs/{name}")

    # ---- tests ----

    def test_starts_reloads_and_ends_as_installed(self):
        self.assertEqual(self.machine.run("systemctl", "is-enabled", UNIT, status=1).strip(), "disabled")
        self.start()
        self.assertEqual(self.unit("NotifyAccess"), "main")
        self.assertIn("no pulls", self.machine.run("sluice", "status"))
        self.systemctl("reload")
        self.assertEqual(self.unit("ActiveState"), "active")
        self.systemctl("stop")
        self.assertEqual((self.unit("Result"), self.unit("NRestarts")), ("success", "0"))
        self.assertEqual(self.machine.names("/run/sluice"), [])

    def test_restrictions_are_those_of_the_unit(self):
        self.start()
        with open(f"/proc/{self.service_pid()}/status", encoding="ascii") as f:
            status = dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)
        want = f"{sum(1 << bit for bit in CAPABILITIES.values()):016x}"
        self.assertEqual([status[k] for k in ("CapBnd", "CapEff", "CapPrm")], [want] * 3)
        self.assertEqual((status["Seccomp"], status["NoNewPrivs"]), ("2", "1"))
        self.assertEqual(os.readlink(f"/proc/{self.service_pid()}/ns/mnt"),
                         os.readlink(f"/proc/{self.machine.pid}/ns/mnt"), "a namespace of its own")

    def check_pull(self, name):
        tar = mt.archive(
            mt.pax([(b"SCHILY.xattr.security.capability", images.CAPABILITY)]),
            mt.entry(b"ping", b"ping", mode=0o755, uid=7), mt.entry(b"su", b"su", mode=0o4755, uid=1),
            mt.entry(b"group", b"x", mode=0o2755, uid=1, gid=5), mt.directory(b"locked/", mode=0o500, uid=9),
            mt.entry(b"locked/file", b"x", uid=9), mt.entry(b"null", type=b"3", major=1, minor=3), mt.END)
        upper = make_image.layer({".wh.gone": "", "locked/.wh..wh..opq": "", "locked/new": "y"})
        lower = make_image.layer({"gone": "x"})
        image = self.push(name, lower, make_image.Layer(tar, 1), upper)
        bundle = BUNDLES + "/" + name.replace(":", "-")
        self.assertRegex(self.pull(image, bundle), "^sha256:[0-9a-f]{64}$")
        self.assertEqual(os.getxattr(self.rootfs(bundle, "ping"), "security.capability"), images.CAPABILITY)
        self.assertEqual(os.stat(self.rootfs(bundle, "ping")).st_uid, 7)
        self.assertEqual(os.stat(self.rootfs(bundle, "su")).st_mode & 0o7777, 0o4755)
        self.assertEqual(os.stat(self.rootfs(bundle, "group")).st_mode & 0o7777, 0o2755)
        self.assertEqual(os.stat(self.rootfs(bundle, "null")).st_rdev, os.makedev(1, 3))
        self.assertEqual(os.listdir(self.rootfs(bundle, "locked")), ["new"])
        self.assertFalse(os.path.exists(self.rootfs(bundle, "gone")))
        return bundle

    def test_image_is_pulled_as_installed(self):
        self.start()
        bundle = self.check_pull("installed:1")
        # Others of the machine see it, and write.
        self.assertEqual(self.machine.mounts()[bundle + "/rootfs"], "overlay")
        self.machine.run("sh", "-ec", f"echo x > {bundle}/rootfs/written")
        self.assertEqual(len(self.machine.names(STORE + "/mounts")), 1)
        self.assertIn("idle, 1 pulls done", self.unit("StatusText"))
        # What another unmounts, the service sees.
        self.machine.run("umount", bundle + "/rootfs")
        self.wait_log("mounts are no more")
        self.assertEqual(self.machine.names(STORE + "/mounts"), [])
        self.assertEqual(self.machine.names(STORE + "/staging"), [])

    def test_no_system_call_is_missed(self):
        # What would be refused kills.
        self.start(SystemCallErrorNumber="")
        bundle = self.check_pull("strict:1")
        self.systemctl("reload")
        self.assertIn("1 mounts", self.machine.run("sluice", "status"))
        self.machine.run("umount", bundle + "/rootfs")
        self.wait_log("mounts are no more")
        self.systemctl("stop")
        self.assertEqual((self.unit("Result"), self.unit("NRestarts")), ("success", "0"))

    def test_journal_has_priorities(self):
        self.start()
        self.assertEqual(self.wait_log("NO IMAGE POLICY IS CONFIGURED")["PRIORITY"], WARNING)
        self.assertEqual(self.wait_log("serves at ttrpc+unix://" + HUB)["PRIORITY"], INFO)
        with self.assertRaisesRegex(ttrpc.Refused, "Failed to pull image"):
            self.pull(f"{self.registry.host}/no/image:1", BUNDLES + "/none")
        self.assertEqual(self.wait_log("no/image:1")["SYSLOG_IDENTIFIER"], "sluiced")

    def test_watchdog_is_fed(self):
        self.machine.run("systemd-analyze", "log-level", "debug")
        self.addCleanup(self.machine.run, "systemd-analyze", "log-level", "info")
        self.start(WatchdogSec=WATCHDOG_S)
        self.wait_log("WATCHDOG=1", count=FEEDINGS)
        said = [e for e in self.journal.entries[self.since:] if e.get("SYSLOG_IDENTIFIER") == "sluiced"]
        self.assertEqual([e["MESSAGE"] for e in said if e["PRIORITY"] == ERROR], [], "errors")
        self.assertEqual((self.unit("ActiveState"), self.unit("NRestarts")), ("active", "0"))

    def test_one_that_hangs_is_started_again(self):
        self.start(WatchdogSec=WATCHDOG_S)
        os.kill(self.service_pid(), signal.SIGSTOP)
        self.wait_log("serves at", count=2)
        self.wait_log("Started", count=2)
        self.assertEqual((self.unit("ActiveState"), self.unit("NRestarts")), ("active", "1"))
        self.check_pull("hung:1")

    def test_one_that_is_killed_leaves_a_clean_store(self):
        layer = make_image.big_layer("big", 4 << 20)
        with registries.Registry() as plain, CountingProxy(plain.host) as proxy:
            push(self, plain, "big:1", layer)
            self.start(f'[[image.registry_config.registry]]\nlocation = "{proxy.host}"\ninsecure = true\n')
            hold = proxy.hold(layer.digest, after=1 << 20)
            client = self.ask(proxy.host + "/big:1", BUNDLES + "/big")
            self.assertTrue(hold.reached.wait(DEADLINE))
            self.assertEqual(len(self.machine.names(STORE + "/staging")), 1)
            os.kill(self.service_pid(), signal.SIGKILL)
            with self.assertRaises(OSError):
                self.answer(client)
            hold.release()
            self.wait_log("Started", count=2)
            self.assertNotIn(BUNDLES + "/big/rootfs", self.machine.mounts())
            self.pull(proxy.host + "/big:1", BUNDLES + "/big")
            self.assertEqual(os.stat(self.rootfs(BUNDLES + "/big", "big")).st_size, 4 << 20)
            self.assertEqual(self.machine.names(STORE + "/staging"), [])
            self.assertEqual(len(self.machine.names(STORE + "/layers/sha256")), 1)
            self.assertEqual(self.unit("NRestarts"), "1")

    def test_metrics_are_told(self):
        self.start('[sluice]\nmetrics = "unix:///run/sluice/metrics.sock"\n')
        self.pull(self.push("metrics:1"), BUNDLES + "/metrics")
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(self.machine.path("/run/sluice/metrics.sock"))
            connection.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
            with connection.makefile() as answer:
                text = answer.read()
        self.assertIn('sluice_requests_total{code="ok"} 1\n', text)

    def test_wrong_configuration_is_told_once(self):
        self.machine.write(CONFIG, self.config + "\n[sluice]\nmemory = \"much\"\n")
        line = self.machine.read(CONFIG)[:-1].count("\n") + 1
        self.systemctl("start", status=1)
        self.assertEqual((self.unit("ActiveState"), self.unit("NRestarts"), self.unit("ExecMainStatus")),
                         ("failed", "0", "2"))
        entry = self.wait_log("sluice.memory")
        self.assertEqual(entry["PRIORITY"], ERROR)
        self.assertIn(f"{CONFIG}: line {line}: ", entry["MESSAGE"])
        self.assertIn(entry["MESSAGE"], self.systemctl("status", status=3))
        # What ran before may still be heard of. (Of a process that has ended the journal may know no more
        # than where its words came in.)
        said = [e["MESSAGE"] for e in self.journal.entries if e.get("_STREAM_ID") == entry["_STREAM_ID"]]
        self.assertEqual(said, [entry["MESSAGE"]])


# ---- the packages, as apt has them ----

class Packages(MachineCase):
    FOLDERS = ("/etc", "/usr", "/var/lib", "/lib/systemd/system", "/run")

    def setUp(self):
        self.machine = Machine()
        self.addCleanup(self.machine.close)

    @classmethod
    def setUpClass(cls):
        pass

    def ours(self):
        """Whatever is named after us, but what dpkg itself remembers."""
        found = self.machine.run("find", *self.FOLDERS, "-xdev", "-name", "*sluice*")
        return [path for path in found.split() if not path.startswith("/var/lib/dpkg")]

    def test_manual_pages_and_completion_are_there(self):
        self.install("sluice")
        for section, page in ("1", "sluice"), ("8", "sluiced"), ("5", "sluice.conf"):
            name = self.machine.run("man", section, page).split("\nSYNOPSIS\n")[0]
            self.assertRegex(name, rf"NAME\n +{page} +- +\w")
        self.machine.run("bash", "-n", "/usr/share/bash-completion/completions/sluice")

    def test_library_is_enough_to_build_the_example(self):
        before = set(self.ours())
        self.install("libsluice0", "libsluice-dev")
        new = set(self.ours()) - before
        self.assertTrue(any(path.endswith("/libsluice.so.0") for path in new), new)
        self.assertTrue(any(path.endswith("/pkgconfig/sluice.pc") for path in new), new)
        self.assertIn("/usr/include/sluice.h", new)

    def newer(self):
        """The same package with the next version; its path on the machine."""
        path = glob.glob(f"{PACKAGES}/sluice_*.deb")[0]
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run(["dpkg-deb", "-R", path, folder + "/tree"], check=True)
            control = folder + "/tree/DEBIAN/control"
            with open(control, encoding="utf-8") as f:
                text = f.read()
            with open(control, "w", encoding="utf-8") as f:
                f.write(text.replace("\nVersion: ", "\nVersion: 1:"))
            subprocess.run(["dpkg-deb", "--root-owner-group", "-b", folder + "/tree", folder + "/new.deb"],
                           check=True, stdout=subprocess.DEVNULL)
            with open(folder + "/new.deb", "rb") as f, open(self.machine.path("/root/new.deb"), "wb") as to:
                to.write(f.read())
        return "/root/new.deb"

    def test_upgrade_keeps_what_runs_running_and_what_was_configured(self):
        self.install("sluice")
        self.machine.run("apt-get", "install", "-y", "-qq", self.newer())
        self.assertEqual(self.unit("ActiveState"), "inactive", "an upgrade starts nothing")
        self.machine.run("sh", "-ec", f"echo '# mine' >> {CONFIG}")
        self.systemctl("start")
        first = self.unit("MainPID")
        self.machine.run("apt-get", "install", "-y", "-qq", "--reinstall", "/root/new.deb")
        self.assertEqual(self.unit("ActiveState"), "active")
        self.assertNotEqual(self.unit("MainPID"), first, "the new program runs")
        self.assertIn("# mine", self.machine.read(CONFIG))

    def test_purge_leaves_nothing_behind(self):
        before = self.ours()
        self.install("sluice")
        self.systemctl("enable")
        self.systemctl("start")
        self.assertNotEqual(self.ours(), before)
        self.machine.run("apt-get", "remove", "-y", "-qq", "sluice")
        self.assertIn(CONFIG, self.machine.run("find", "/etc/sluice"))
        self.assertEqual(self.unit("ActiveState"), "inactive")
        self.machine.run("apt-get", "purge", "-y", "-qq", "sluice")
        self.assertEqual(self.ours(), before)


if __name__ == "__main__":
    ROOT, PACKAGES = sys.argv[1:3]
    unittest.main(argv=sys.argv[:1] + sys.argv[3:], verbosity=2)
