#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The ground shakes below the service: its children are killed, it is told to end at any moment, it
is killed and comes again, crowds hang on its socket, the clock jumps. Usage: test_sluiced_upheaval.py
CLOCK_JUMP [ROUNDS]; needs SLUICE and SLUICE_IMAGES."""
import base64
import json
import os
import random
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import sluiced_case  # noqa: E402
from sluiced_case import (CANNOT_DECRYPT, FAILED_TO_PULL, SluicedCase, merged, mounts_below,
                          start_registry)
import guest_peers  # noqa: E402
from guest_peers import DEADLINE_EXCEEDED, INTERNAL  # noqa: E402
import make_image  # noqa: E402
import rpc_crowd  # noqa: E402
import service_load  # noqa: E402
import signing  # noqa: E402
import ttrpc  # noqa: E402
from counting_proxy import CountingProxy  # noqa: E402
from counting_proxy import DEADLINE as PROXY_DEADLINE

CLOCK_JUMP = os.path.abspath(sys.argv[1]) if sys.argv[1:2] else ""
ROUNDS = int(sys.argv[2]) if sys.argv[2:3] and sys.argv[2].isdigit() else 6
del sys.argv[1:]

MIB = 1 << 20
SIZE = MIB  # bytes of a shared layer of the load
YEAR = 365 * 24 * 3600
CROWD = 10000
BIG_ANSWER = 256 * 1024  # bytes of a resource that nobody reads
# Resident, that a crowd may cost: 16 MiB of unread answers (rpc/server.c), as much again of answers
# that are being made, and the connections.
CROWD_KIB = 48 * 1024
GPG_KILLS = 40           # pulls until one must have been hit

# Programs that say that they are there, and go on when they are told to; whoever asks waits.
HELD = """#!/usr/bin/python3
import base64, json, os, sys
def wait():
    with open("{folder}/here", "w") as here:
        here.write(str(os.getpid()) + "\\n")
    with open("{folder}/go") as go:
        go.read()
"""
HELD_PROVIDER = HELD + """
asked = json.load(sys.stdin)
if asked["op"] == "keywrap":
    print(json.dumps({{"keywrapresults": {{"annotation": asked["keywrapparams"]["optsdata"]}}}}))
else:
    wait()
    print(json.dumps({{"keyunwrapresults": {{"optsdata": asked["keyunwrapparams"]["annotation"]}}}}))
"""
HELD_HELPER = HELD + """
wait()
print(json.dumps({{"Username": "user", "Secret": "secret"}}))
"""


class UpheavalCase(SluicedCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.registry = start_registry(cls)
        cls.base = make_image.big_layer("base", 3 * MIB)
        cls.layer = make_image.layer({"hello": "hello"})
        folder = os.path.join(cls.shared, "plain")
        cls.reference = make_image.add_image(folder, [cls.base, cls.layer])
        cls.registry.push(cls.reference, "plain:1")

    @property
    def image(self):
        return self.registry.host + "/plain:1"

    def serve_plain(self, changes=None, **kwargs):
        return self.serve(changes, insecure=[self.registry.host], **kwargs)

    def pulls_still(self, service, name="still", agent=None):
        answer = (agent or self.agent(service)).pull(self.image, self.bundle(name)).wait()
        self.assert_pulled(answer, self.bundle(name), hello="hello")

    def children(self, service):
        """Of all its threads."""
        found, folder = [], f"/proc/{service.process.pid}/task"
        for task in os.listdir(folder):
            try:
                with open(f"{folder}/{task}/children", encoding="ascii") as f:
                    found += map(int, f.read().split())
            except FileNotFoundError:
                pass
        return found

    def hold(self, layer=None):
        """A proxy in front of the registry that stops in the middle of a layer."""
        proxy = CountingProxy(self.registry.host)
        proxy.__enter__()
        self.addCleanup(proxy.__exit__)
        return proxy, proxy.hold((layer or self.base).digest, after=MIB)


class Children(UpheavalCase):
    def held_program(self, name, text):
        for fifo in "here", "go":
            os.path.exists(self.path(fifo)) or os.mkfifo(self.path(fifo))
        path = self.write(name, text.format(folder=self.folder))
        os.chmod(path, 0o755)
        return path

    def killed(self):
        """Waits for the program and kills it."""
        with open(self.path("here"), encoding="ascii") as here:
            pid = int(here.readline())
        os.kill(pid, signal.SIGKILL)

    def let_go(self):
        with open(self.path("here"), encoding="ascii") as here:
            here.read()
        with open(self.path("go"), "w", encoding="ascii"):
            pass

    def check_killed(self, service, image, *texts, **kwargs):
        """Its pull is refused, in words; one beside it goes on; the next one is well."""
        agent = self.agent(service)
        self.pulls_still(service, "first", agent)
        kept = service_load.Kept(service)
        call = agent.pull(image, self.bundle())
        self.killed()
        answer = call.wait()
        self.assert_refused(answer, *texts, bundle=self.bundle(), **kwargs)
        self.pulls_still(service, "beside", agent)
        call = agent.pull(image, self.bundle())
        self.let_go()
        self.assert_pulled(call.wait(), self.bundle(), hello="hello")
        self.assertEqual(self.children(service), [])
        self.until(kept.is_as_before, kept.difference)

    def encrypt(self, spec, *options):
        subprocess.run([sluiced_case.SLUICE, "encrypt", "--quiet", "--encryption-key", spec, *options,
                        self.reference, f"oci:{self.path('encrypted')}:1"], check=True, stdout=subprocess.DEVNULL)
        top, _ = make_image.tagged(self.path("encrypted"), "1")
        signing.Uploads(self.registry.host).push(self.path("encrypted"), top, "encrypted", "1")
        return self.registry.host + "/encrypted:1"

    def provider(self):
        program = self.held_program("provider", HELD_PROVIDER)
        config = self.write("providers.json", json.dumps({"key-providers": {"held": {"cmd": {"path": program}}}}))
        return self.encrypt("provider:held", "--key-provider-config", config, "--encrypt-layer", "0"), config

    def test_key_provider_is_killed(self):
        image, config = self.provider()
        service = self.serve_plain({"sluice": {"key_providers": config}})
        self.check_killed(service, image, CANNOT_DECRYPT, "signal 9")

    def test_children_of_whoever_was_started_with_sigchld_ignored(self):
        image, config = self.provider()
        argv = ["/usr/bin/python3", "-c", "import os, signal, sys; signal.signal(signal.SIGCHLD, "
                "signal.SIG_IGN); os.execv(sys.argv[1], sys.argv[1:])",
                sluiced_case.SLUICED, "-c", self.path("guest", "cdh.toml")]
        service = self.serve_plain({"sluice": {"key_providers": config}}, argv=argv)
        self.check_killed(service, image, CANNOT_DECRYPT, "signal 9")

    def test_credential_helper_is_killed(self):
        registry = start_registry(type(self), htpasswd=("user", "secret"))
        registry.push(self.reference, "plain:1")
        self.held_program("docker-credential-held", HELD_HELPER)
        auth = self.write("auth.json", json.dumps({"credHelpers": {registry.host: "held"}}))
        service = self.serve({"image": {"authenticated_registry_credentials_uri": "file://" + auth}},
                             insecure=[self.registry.host, registry.host],
                             PATH=self.folder + ":" + os.environ["PATH"])
        self.check_killed(service, registry.host + "/plain:1", FAILED_TO_PULL, "docker-credential-held")

    def gpg_home(self):
        home = self.path("gnupg")
        os.mkdir(home, 0o700)
        gpg = ("gpg", "--homedir", home, "--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase", "")
        subprocess.run([*gpg, "--quick-gen-key", "a@example.org", "rsa1024", "sign,encr", "never"], check=True)
        self.addCleanup(subprocess.run, ["gpgconf", "--homedir", home, "--kill", "all"], check=True)
        return home

    @staticmethod
    def programs_of_gpg():
        """Those that serve a private home."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as f:
                    words = f.read().split(b"\0")
            except OSError:
                continue
            if b"gpg" in os.path.basename(words[0]) and any(b"sluice-pgp-" in w for w in words):
                found.append(int(pid))
        return found

    def test_gpg_and_its_agent_are_killed(self):
        """Whichever of them runs, at whatever it is: the pull is well or refused in words."""
        if not shutil.which("gpg"):
            self.skipTest("gpg is missing")
        home = self.gpg_home()
        image = self.encrypt("pgp:a@example.org", "--pgp-home", home)
        others = set(self.programs_of_gpg())
        service = self.serve_plain({"sluice": {"pgp_home": home}})
        agent, refused = self.agent(service), 0
        self.pulls_still(service, "first", agent)
        kept = service_load.Kept(service)
        for _ in range(GPG_KILLS):
            call = agent.pull(image, self.bundle())
            while not call.is_over():
                for pid in set(self.programs_of_gpg()) - others:
                    try:
                        os.kill(pid, signal.SIGKILL)
                    except ProcessLookupError:
                        pass
            answer = call.wait()
            if answer.code:
                refused += 1
                self.assert_refused(answer, CANNOT_DECRYPT, bundle=self.bundle())
                break
            self.unmount(self.bundle())
        self.assertTrue(refused, "nobody was hit")
        self.pulls_still(service, "beside", agent)
        self.assert_pulled(agent.pull(image, self.bundle()).wait(), self.bundle(), hello="hello")
        self.until(lambda: set(self.programs_of_gpg()) <= others, "gone programs of gpg")
        self.until(lambda: self.children(service) == [], "no children")
        self.until(kept.is_as_before, kept.difference)


class Ends(UpheavalCase):
    def at_some_moment(self, service, seconds):
        """Lets a random time go by; the process may end meanwhile."""
        try:
            service.process.wait(random.uniform(0, seconds))
        except subprocess.TimeoutExpired:
            pass

    def connected_agent(self, service):
        agent = self.agent(service)
        self.assertEqual(agent.pull("NO/name", self.bundle("none")).wait().code, INTERNAL)
        return agent

    def test_told_to_end_at_any_moment(self):
        """Everything is in flight: pulls that join, calls for the upstream, reloads."""
        images = service_load.Images(self.path("load"), SIZE)
        images.push(self.registry)
        hub = self.hub({})
        hub.behave(hang=True)
        for i in range(ROUNDS):
            changes = {"sluice": {"drain_s": random.choice((0, 60)), "upstream": "unix://" + hub.socket}}
            service = self.serve_plain(changes, name=f"end{i}")
            agents = [self.connected_agent(service) for _ in range(2)]
            calls = [agents[n % 2].pull(f"{self.registry.host}/load:{n % 4}", self.bundle(f"b{n}"))
                     for n in range(12)]
            agents[0].ask(*guest_peers.UNSEAL, {}, timeout=20)
            service.send(signal.SIGHUP)
            self.at_some_moment(service, 0.5)
            service.send(random.choice((signal.SIGTERM, signal.SIGINT)))
            if random.randrange(3) == 0:
                service.send(signal.SIGHUP)
                service.send(signal.SIGTERM)
            service.stop()
            for n, call in enumerate(calls):
                answer = call.wait()  # an answer, or the end of the connection
                if answer.code:
                    self.assertEqual(mounts_below(self.bundle(f"b{n}")), [], answer)
            self.assertEqual(self.in_store("staging"), [])
            for place, *_ in mounts_below(self.path("bundles")):
                self.unmount(os.path.dirname(place))
            shutil.rmtree(self.root, ignore_errors=True)

    def test_told_to_end_while_it_starts(self):
        for i in range(2 * ROUNDS):
            service = self.serve_plain(name=f"start{i}", ready=False)
            self.at_some_moment(service, 0.1)
            service.send(signal.SIGTERM)
            service.process.wait(guest_peers.DEADLINE)
            self.assertIn(service.process.returncode, (0, -signal.SIGTERM))
            service.stop(expect=service.process.returncode)
            left = [n for n in os.listdir(service.folder) if n.endswith(".sock")]
            self.assertEqual(left, [], "socket files are left")

    def test_told_to_end_while_calls_wait_for_the_hub(self):
        """Answers that are given at the very end still find the server they go through."""
        hub = self.hub({})
        hub.behave(hang=True)
        for i in range(ROUNDS):
            service = self.serve_plain({"sluice": {"drain_s": 0, "upstream": "unix://" + hub.socket}}, name=f"end{i}")
            agent = self.connected_agent(service)
            calls = [agent.ask(*guest_peers.UNSEAL, {}, timeout=50) for _ in range(40)]
            hub.wait_asked("UnsealSecret", 32 * (i + 1))
            service.stop()
            for call in calls:
                self.assertNotEqual(call.wait().code, 0)

    def test_a_storm_of_hangups(self):
        service = self.serve_plain()
        agent = self.agent(service)
        self.pulls_still(service, "first", agent)
        kept = service_load.Kept(service)
        calls = [agent.pull(self.image, self.bundle(f"b{i}")) for i in range(8)]
        for _ in range(500):
            service.send(signal.SIGHUP)
        for i, call in enumerate(calls):
            self.assert_pulled(call.wait(), self.bundle(f"b{i}"), hello="hello")
        service.reload()
        self.until(kept.is_as_before, kept.difference)

    def test_nobody_reads_its_log(self):
        """Its pipe breaks with the first word."""
        argv = ["/usr/bin/python3", "-c", "import os, sys\nr, w = os.pipe()\nos.dup2(w, 2)\nos.close(r)\n"
                "os.execv(sys.argv[1], sys.argv[1:])", sluiced_case.SLUICED, "-c", self.path("guest", "cdh.toml")]
        service = self.serve_plain(argv=argv)
        self.pulls_still(service)
        service.stop()


class Again(UpheavalCase):
    def test_killed_and_what_it_left_is_taken_over_without_a_pull(self):
        proxy, hold = self.hold()
        service = self.serve(insecure=[proxy.host, self.registry.host])
        agent = self.agent(service)
        self.push(self.registry, "small:1", self.layer)
        call = agent.pull(f"{self.registry.host}/small:1", self.bundle("old"))
        self.assert_pulled(call.wait(), self.bundle("old"))
        agent.pull(proxy.host + "/plain:1", self.bundle("new"))
        self.assertTrue(hold.reached.wait(PROXY_DEADLINE))
        service.kill()
        self.assertNotEqual(self.in_store("staging"), [])
        second = self.serve(config=service.config, name="second")
        self.until(lambda: self.in_store("staging") == [], "an empty staging/")
        self.assertEqual(len(self.in_store("mounts")), 1, "a mount that lives on is kept")
        self.unmount(self.bundle("old"))
        self.until(lambda: self.in_store("mounts") == [], "an empty mounts/")
        second.stop()

    def test_killed_and_unmounted_before_it_comes_again(self):
        service = self.serve_plain()
        self.pulls_still(service, "old")
        service.kill()
        self.unmount(self.bundle("old"))
        self.assertEqual(len(self.in_store("mounts")), 1)
        self.serve(config=service.config, name="second")
        self.until(lambda: self.in_store("mounts") == [], "an empty mounts/")

    def test_killed_and_the_same_requests_again(self):
        """What a container has written stays, nothing is mounted twice."""
        service = self.serve_plain()
        self.pulls_still(service, "one")
        with open(self.rootfs(self.bundle("one"), "written"), "w", encoding="ascii") as f:
            f.write("by the container")
        for i in range(3):
            service.kill()
            service = self.serve(config=service.config, name=f"again{i}")
            self.pulls_still(service, "one")
            self.assertEqual(len(mounts_below(self.bundle("one"))), 1)
            self.assertEqual(len(self.in_store("mounts")), 1)
        with open(self.rootfs(self.bundle("one"), "written"), encoding="ascii") as f:
            self.assertEqual(f.read(), "by the container")

    def test_a_store_that_is_not_there_is_not_made(self):
        service = self.serve_plain()
        self.assertFalse(os.path.exists(self.root))
        service.stop()
        self.assertFalse(os.path.exists(self.root))


class Crowds(UpheavalCase):
    def begin(self, i, connection):
        """Most say nothing or half a frame; some ask and shut their reading end, some ask for much and
        never read."""
        frame = ttrpc.frame(1, ttrpc.REQUEST, ttrpc.request(*guest_peers.PULL, ttrpc.field(1, "x")))
        resource = ttrpc.request(*guest_peers.RESOURCE, ttrpc.field(1, "kbs:///a/b/c"))
        connection.setblocking(False)
        if i % 2 == 1:
            connection.send(frame[:len(frame) // 2])
        elif i % 16 == 2:
            connection.send(frame)
            connection.shutdown(socket.SHUT_RD)
        elif i % 16 == 4:
            connection.send(b"".join(ttrpc.frame(2 * n + 1, ttrpc.REQUEST, resource) for n in range(8)))

    def all_accepted(self, service):
        """A queue that is full refuses at once who does not block, as Go's clients. This one blocks, and is
        the last of the queue."""
        last, = rpc_crowd.crowd(service.socket, 1)
        with last:
            last.sendall(ttrpc.frame(1, ttrpc.REQUEST, ttrpc.request("nobody", "knows")))
            ttrpc.read_frame(last)

    def test_ten_thousand_while_a_client_pulls(self):
        if not rpc_crowd.allow_descriptors(CROWD + 1000):
            self.skipTest(f"needs {CROWD + 1000} descriptors (ulimit -Hn)")
        big = base64.b64encode(os.urandom(BIG_ANSWER)).decode()
        resources = self.write("resources.json", json.dumps({"a/b/c": big}))
        service = self.serve_plain({"sluice": {"offline_resources": resources}})
        agent = self.agent(service)
        self.pulls_still(service, "first", agent)
        kept, before = service_load.Kept(service), service.proc_status("VmRSS")
        crowd = []
        self.addCleanup(lambda: [c.close() for c in crowd])
        calls = []
        for i in range(CROWD):
            crowd += rpc_crowd.crowd(service.socket, 1)
            try:
                self.begin(i, crowd[-1])
            except (BrokenPipeError, ConnectionResetError, BlockingIOError):
                pass  # it has given way to others already
            if i % (CROWD // 10) == 0:
                calls.append((i, agent.pull(self.image, self.bundle(f"b{i}"))))
        for i, call in calls:
            self.assert_pulled(call.wait(), self.bundle(f"b{i}"), hello="hello")
        self.all_accepted(service)
        self.pulls_still(service, "newcomer")
        if not service.is_sanitized():
            self.assertLess(service.proc_status("VmRSS") - before, CROWD_KIB)
        for connection in crowd:
            connection.close()
        self.until(kept.is_as_before, kept.difference)


class Clock(UpheavalCase):
    def setUp(self):
        super().setUp()
        if not os.path.exists(CLOCK_JUMP):
            self.skipTest("needs the library that jumps")
        with open(self.path("clock"), "xb") as f:
            f.write(bytes(8))

    def set_clock(self, seconds):
        with open(self.path("clock"), "r+b", buffering=0) as f:
            f.write(struct.pack("=q", seconds))

    def serve_jumping(self, changes=None, insecure=()):
        """Sanitizers want to be first and need not be: this library calls nobody."""
        options = {f"{k}_OPTIONS": os.environ.get(f"{k}_OPTIONS", "") + ":verify_asan_link_order=0" for k in ("ASAN",)}
        argv = ["env", f"LD_PRELOAD={CLOCK_JUMP}", f"CLOCK_JUMP={self.path('clock')}",
                sluiced_case.SLUICED, "-c", self.path("guest", "cdh.toml")]
        return self.serve(changes, insecure=[self.registry.host, *insecure], argv=argv, **options)

    def test_clock_that_jumps_by_a_year_during_pulls(self):
        images = service_load.Images(self.path("load"), SIZE)
        images.push(self.registry)
        service = self.serve_jumping({"sluice": {"progress_s": 1}})
        agents, over = [self.agent(service) for _ in range(2)], threading.Event()

        def jump():
            while not over.wait(0.002):
                self.set_clock(random.choice((-YEAR, 0, YEAR)))
        thread = threading.Thread(target=jump)
        thread.start()
        try:
            calls = [agents[i % 2].pull(f"{self.registry.host}/load:{i % 8}", self.bundle(f"b{i}"), timeout=50)
                     for i in range(16)]
            for i, call in enumerate(calls):
                answer = call.wait()
                self.assert_pulled(answer, self.bundle(f"b{i}"))
                self.assertLess(answer.seconds, 50)
            for line in service.log:
                if " after " in line:
                    self.assertLess(float(line.rsplit(" after ", 1)[1].split()[0]), 50, line)
        finally:
            over.set()
            thread.join()
        self.set_clock(0)
        now = time.time()
        for image in json.loads(self.ok("images", "--json"))["images"]:
            self.assertLess(abs(image["pulled"] - now), YEAR + 3600, image)
        service.reload()
        service.stop()

    def test_deadlines_do_not_go_by_it(self):
        proxy, hold = self.hold()
        service = self.serve_jumping(insecure=[proxy.host])
        for year in -YEAR, YEAR:
            with self.subTest(year):
                call = self.agent(service).pull(proxy.host + "/plain:1", self.bundle(), timeout=2)
                self.set_clock(year)
                answer = call.wait()
                self.assertEqual(answer.code, DEADLINE_EXCEEDED, answer)
                self.assertGreater(answer.seconds, 1.9)
                hold.release()
                hold = proxy.hold(self.base.digest, after=MIB)
        hold.release()

    def test_certificates_go_by_it_and_say_so(self):
        registry = start_registry(type(self), tls=True)
        registry.push(self.reference, "plain:1")
        with open(registry.ca, encoding="ascii") as f:
            service = self.serve_jumping({"image": {"extra_root_certificates": [f.read()]}})
        agent, image = self.agent(service), registry.host + "/plain:1"
        for i, (jump, text) in enumerate(((YEAR, "expired"), (-YEAR, "not yet valid"))):
            self.set_clock(jump)
            self.assert_refused(agent.pull(image, self.bundle(f"b{i}")).wait(), FAILED_TO_PULL, text,
                                bundle=self.bundle(f"b{i}"))
        self.set_clock(0)
        self.assert_pulled(agent.pull(image, self.bundle()).wait(), self.bundle(), hello="hello")

    def test_tokens_do_not_go_by_it(self):
        registry = start_registry(type(self), token=("user", "secret"))
        registry.push(self.reference, "plain:1")
        auth = self.write("auth.json", json.dumps({"auths": {registry.host: {
            "auth": base64.b64encode(b"user:secret").decode()}}}))
        service = self.serve_jumping({"image": {"authenticated_registry_credentials_uri": "file://" + auth}},
                                     insecure=[registry.host])
        agent = self.agent(service)
        for i, jump in enumerate((0, YEAR, -YEAR, 0)):
            self.set_clock(jump)
            answer = agent.pull(registry.host + "/plain:1", self.bundle(f"b{i}")).wait()
            self.assert_pulled(answer, self.bundle(f"b{i}"), hello="hello")


if __name__ == "__main__":
    sluiced_case.main("htpasswd", "openssl")
