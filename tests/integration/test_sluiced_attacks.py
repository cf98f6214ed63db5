#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The service among enemies: a host that names folders and images, a container that can write to its
own root, a registry, clients of every socket, an agent that is confused. Each test is one attack; it
holds when nothing outside is touched, nothing is said that is secret or forged, and the service goes
on. Needs SLUICE and SLUICE_IMAGES."""
import ctypes
import json
import os
import resource
import socket
import stat
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import sluiced_case  # noqa: E402
from sluiced_case import DENIED, SluicedCase, libc_call, merged, mounts_below, start_registry
import guest_peers  # noqa: E402
from guest_peers import DEADLINE_EXCEEDED, INTERNAL, RESOURCE_EXHAUSTED  # noqa: E402
import make_image  # noqa: E402
import signing  # noqa: E402
import ttrpc  # noqa: E402
from counting_proxy import CountingProxy  # noqa: E402
from counting_proxy import DEADLINE as PROXY_DEADLINE

MIB = 1 << 20
PASSWORD = "pa55-of-the-proxy"
SWAPS, AT_ONCE, ROUNDS = 300, 20, 12  # pulls against a folder that changes; requests that race for one
RENAME_EXCHANGE = 2  # of renameat2(2)
CONNECTIONS = 1000
SOON = 2 * 10**9  # nanoseconds
# What a terminal or a reader of the log would take for something else.
HOSTILE = ["a\nsluice: error: forged", "a\x1b]0;owned\x07", "a\rsluice: info: forged", "a\x7f",
           'a","level":"forged', "a\\n\x00b"]


class AttackCase(SluicedCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.registry = start_registry(cls)
        cls.base = make_image.layer({"base": "b" * 1000})
        folder = os.path.join(cls.shared, "attacks")
        cls.registry.push(make_image.add_image(folder, [cls.base]), "team/app:1")
        cls.registry.push(make_image.add_image(folder, [cls.base]), "other/app:1")
        # Is mounted, and then fails for its config.
        cls.registry.push(make_image.add_image(folder, [cls.base], tag="no-user",
                                                    process={"User": "nobody-knows"}), "team/no-user:1")

    @property
    def image(self):
        return self.registry.host + "/team/app:1"

    def serve_here(self, changes=None, **kwargs):
        return self.serve(changes, insecure=[self.registry.host], **kwargs)

    def wire(self, service):
        client = ttrpc.Client("unix://" + service.socket)
        client.connection.settimeout(guest_peers.DEADLINE)
        self.addCleanup(client.connection.close)
        return client

    def still_serves(self, service, name="last"):
        answer = self.agent(service).pull(self.image, self.bundle(name)).wait()
        self.assert_pulled(answer, self.bundle(name), base="b" * 1000)


class Folders(AttackCase):
    def test_bundles_in_the_store(self):
        """Layers belong to all containers."""
        pause = self.path("pause")
        os.makedirs(pause + "/rootfs")
        self.write("pause/config.json", json.dumps({"process": {"args": ["/pause"]}}))
        self.write("pause/rootfs/pause", "")
        service = self.serve_here({"sluice": {"bundle_roots": [self.folder], "pause_bundle": pause}})
        agent = self.agent(service)
        self.still_serves(service)
        layer = os.path.join(self.root, "layers", "sha256", self.base.diff_id[7:], "fs")
        before = sorted(os.listdir(layer))
        for place in self.root, self.root + "/layers", layer, layer + "/new", self.root + "/new/one":
            for image in self.image, "pause":
                self.assert_refused(agent.pull(image, place).wait(), "in the store", bundle=place)
        self.assertEqual(sorted(os.listdir(layer)), before)
        self.assertFalse(os.path.exists(self.root + "/new"))

    def test_bundles_in_the_root_of_another_container(self):
        service = self.serve_here()
        self.still_serves(service, "victim")
        for place in self.rootfs(self.bundle("victim")), self.rootfs(self.bundle("victim"), "a", "b"):
            answer = self.agent(service).pull(self.image, place).wait()
            self.assert_refused(answer, "inside the image", bundle=place)
        self.assertEqual(os.listdir(self.rootfs(self.bundle("victim"))), ["base"])

    def test_folder_that_turns_into_a_link_meanwhile(self):
        """Who can rename in a folder above swaps it for a link, again and again."""
        service = self.serve_here()
        self.still_serves(service)
        outside = self.path("outside")
        os.makedirs(outside + "/one")
        os.makedirs(self.bundle("a"))
        os.symlink(outside, self.bundle("b"))
        over = threading.Event()
        rename = ctypes.CDLL(None, use_errno=True).renameat2

        def swap():
            while not over.is_set():
                rename(-100, self.bundle("a").encode(), -100, self.bundle("b").encode(), RENAME_EXCHANGE)

        thread = threading.Thread(target=swap)
        thread.start()
        try:
            agent = self.agent(service)
            codes = set()
            for _ in range(SWAPS // AT_ONCE):
                calls = [agent.pull(self.image, self.bundle(f"a/one/{i % 3}")) for i in range(AT_ONCE)]
                codes |= {call.wait().code for call in calls}
        finally:
            over.set()
            thread.join()
        self.assertLessEqual(codes, {0, INTERNAL})
        self.assertEqual(mounts_below(outside), [])
        self.assertEqual([names for _, *names in os.walk(outside)], [[["one"], []], [[], []]])
        self.still_serves(service, "again")

    def test_one_fails_while_another_mounts_in_the_same_folder(self):
        """The folder that the one takes away again is not the other's failure."""
        service = self.serve_here()
        agent = self.agent(service)
        bad = self.registry.host + "/team/no-user:1"
        self.assert_refused(agent.pull(bad, self.bundle()).wait(), "nobody-knows", bundle=self.bundle())
        self.assertFalse(os.path.exists(self.bundle()))
        for i in range(ROUNDS):
            place = self.bundle(f"race-{i}/deep")
            calls = [agent.pull(image, place) for image in (bad, self.image, bad)]
            answers = [call.wait() for call in calls]
            for answer in answers[0], answers[2]:
                self.assertNotEqual(answer.code, 0)
            if answers[1].code == 0:
                self.assert_pulled(answers[1], place, base="b" * 1000)
            else:  # the other was there at that moment
                self.assertIn("another image is mounted there", answers[1].message)

    def test_config_that_is_a_pipe_or_a_name_of_another_file(self):
        service = self.serve_here()
        for i, make in enumerate((os.mkfifo, lambda place: os.symlink("/etc/passwd", place),
                                  lambda place: os.link(self.write("precious", "precious"), place))):
            os.makedirs(self.bundle(str(i)))
            make(os.path.join(self.bundle(str(i)), "config.json"))
            self.still_serves(service, str(i))
            found = os.lstat(os.path.join(self.bundle(str(i)), "config.json"))
            self.assertTrue(stat.S_ISREG(found.st_mode) and found.st_nlink == 1, found)
        with open(self.path("precious"), encoding="ascii") as f:
            self.assertEqual(f.read(), "precious")
        with open("/etc/passwd", encoding="ascii") as f:
            self.assertIn("root:", f.read())

    def test_mount_that_was_moved_or_covered(self):
        """An agent that is told that its root is there, and finds an empty folder."""
        service = self.serve_here()
        self.still_serves(service)
        rootfs = self.rootfs(self.bundle("last"))
        os.mkdir(self.path("bundles", "elsewhere"))
        libc_call("mount", rootfs.encode(), self.path("bundles", "elsewhere").encode(), None, 4096, None)
        libc_call("umount2", rootfs.encode(), 0)
        self.still_serves(service)
        libc_call("mount", b"tmpfs", rootfs.encode(), b"tmpfs", 0, None)
        answer = self.agent(service).pull(self.image, self.bundle("last")).wait()
        self.assertEqual(answer.code, INTERNAL, "a tmpfs was taken for the image")
        libc_call("umount2", rootfs.encode(), 0)
        self.still_serves(service)


class Names(AttackCase):
    def test_other_transports(self):
        """Files of the guest are never read as an image."""
        # What is a name of a registry's image after all is not looked for.
        service = self.serve({"image": {"registry_config": {"registry": [
            {"location": "docker.io", "blocked": True}]}}})
        agent = self.agent(service)
        layout = self.path("layout")
        make_image.add_image(layout, [self.base])
        for name in (f"oci:{layout}:latest", f"docker://oci:{layout}:latest", "oci:/etc", "dir:/etc",
                     f"oci-archive:{layout}", "containers-storage:x", "docker-daemon:x:1",
                     "docker://docker://x", "docker://", "@sha256:" + "0" * 64, "../../etc/passwd",
                     f"{self.registry.host}/../team/app:1", f"{self.registry.host}/team/app:1?x#y"):
            self.assert_refused(agent.pull(name, self.bundle()).wait(), bundle=self.bundle())
        self.assertEqual(self.in_store("images/sha256"), [])

    def forge(self, as_json):
        service = self.serve_here({"sluice": {"log_json": as_json}})
        agent = self.agent(service)
        for text in HOSTILE:
            answer = agent.pull(text, self.bundle()).wait()
            self.assertNotEqual(answer.code, 0)
            self.assertTrue(answer.message.isprintable(), answer)
            agent.pull(self.image, self.bundle(text.replace("\0", ""))).wait()
            agent.call("no." + text.replace("\0", ""), text.replace("\0", ""))
        self.unmount_all()
        service.stop()
        return [line for line in service.log if line]

    def test_forged_lines_of_the_log(self):
        for line in self.forge(False):
            self.assertRegex(line, r"^sluice: (error|warning|info): ")
            self.assertNotRegex(line, r"[\x00-\x1f\x7f]")

    def test_forged_members_of_the_log(self):
        for line in self.forge(True):
            self.assertIn(json.loads(line)["level"], ("error", "warning", "info"))
            self.assertNotRegex(line, r"[\x00-\x1f\x7f]")

    def test_other_names_of_one_manifest_are_judged_by_themselves(self):
        """The second asks for what the first is about to get, by a name that is not allowed."""
        proxy = CountingProxy(self.registry.host)
        proxy.__enter__()
        self.addCleanup(proxy.__exit__)
        policy = signing.policy(signing.REJECT, {proxy.host + "/team": signing.ACCEPT})
        service = self.serve({"image": {"image_security_policy": json.dumps(policy)}},
                             insecure=[proxy.host])
        hold = proxy.hold(self.base.digest, after=10)
        agent = self.agent(service)
        good = agent.pull(proxy.host + "/team/app:1", self.bundle("good"))
        self.assertTrue(hold.reached.wait(PROXY_DEADLINE))
        other = proxy.host + "/other/app:1"
        self.assert_refused(agent.pull(other, self.bundle("bad")).wait(), DENIED, bundle=self.bundle("bad"))
        hold.release()
        self.assert_pulled(good.wait(), self.bundle("good"))
        self.assert_refused(agent.pull(other, self.bundle("bad")).wait(), DENIED, bundle=self.bundle("bad"))

    def test_a_stricter_policy_is_for_those_who_come_after_it(self):
        """Also while a pull of the old one is on its way, which they must not join."""
        proxy = CountingProxy(self.registry.host)
        proxy.__enter__()
        self.addCleanup(proxy.__exit__)
        service = self.serve(insecure=[proxy.host])
        hold = proxy.hold(self.base.digest, after=10)
        agent = self.agent(service)
        image = proxy.host + "/team/app:1"
        before = agent.pull(image, self.bundle("before"))
        self.assertTrue(hold.reached.wait(PROXY_DEADLINE))
        service.reload(merged(service.config, {"image": {
            "image_security_policy": json.dumps(signing.policy(signing.REJECT))}}))
        self.assert_refused(agent.pull(image, self.bundle("after")).wait(), DENIED,
                            bundle=self.bundle("after"))
        hold.release()
        self.assert_pulled(before.wait(), self.bundle("before"))
        self.assert_refused(agent.pull(image, self.bundle("after")).wait(), DENIED,
                            bundle=self.bundle("after"))

    def test_whoever_joins_is_measured(self):
        proxy = CountingProxy(self.registry.host)
        proxy.__enter__()
        self.addCleanup(proxy.__exit__)
        aa = self.attestation_agent()
        service = self.serve(insecure=[proxy.host])
        hold = proxy.hold(self.base.digest, after=10)
        agent = self.agent(service)
        calls = [agent.pull(proxy.host + "/team/app:1", self.bundle(str(i))) for i in range(3)]
        self.assertTrue(hold.reached.wait(PROXY_DEADLINE))
        self.until(lambda: [job["waiters"] for job in service.status()["jobs"]] == [3], "all joined")
        hold.release()
        for i, call in enumerate(calls):
            self.assert_pulled(call.wait(), self.bundle(str(i)))
        self.assertEqual(len(aa.wait_asked("ExtendRuntimeMeasurement", 3)), 3)
        # A link to nothing is not an agent that is missing.
        aa.close()
        path = self.path("guest-aa", "s")
        if os.path.exists(path):
            os.unlink(path)
        os.symlink("nothing", path)
        self.assert_refused(agent.pull(proxy.host + "/team/app:1", self.bundle("link")).wait(),
                            "measurement", bundle=self.bundle("link"))


class Secrets(AttackCase):
    def test_passwords_of_proxies(self):
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)

        def refuse():
            try:
                while True:
                    with listener.accept()[0] as s:
                        s.recv(1 << 16)
                        s.sendall(b"HTTP/1.1 407 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            except OSError:
                pass

        threading.Thread(target=refuse, daemon=True).start()
        proxy = f"http://user:{PASSWORD}@127.0.0.1:{listener.getsockname()[1]}"
        service = self.serve({"image": {"image_pull_proxy": {"https_proxy": proxy, "http_proxy": proxy}}})
        answer = self.agent(service).pull("registry.example/app:1", self.bundle()).wait()
        self.assert_refused(answer, "registry.example")
        check = self.sluice("config", "check", service.config_path)
        for text in answer.message, json.dumps(service.status()), check.stdout, check.stderr:
            self.assertNotIn(PASSWORD, text)
        for name in "cmdline", "environ":
            with open(f"/proc/{service.process.pid}/{name}", "rb") as f:
                self.assertNotIn(PASSWORD.encode(), f.read())
        service.stop()
        self.assertNotIn(PASSWORD, service.text())

    def test_nothing_is_for_others(self):
        """Whatever the umask was."""
        metrics = self.path("guest", "m.sock")
        config = self.path("guest", "cdh.toml")
        service = self.serve_here({"sluice": {"metrics": f"unix://{metrics}"}}, argv=[
            "/bin/sh", "-c", 'umask 0; exec "$0" "$@"', sluiced_case.SLUICED, "-c", config])
        for path in service.socket, self.path("guest", "control.sock"), metrics:
            self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600, path)
        with open(f"/proc/{service.process.pid}/limits", encoding="ascii") as f:
            core = next(line for line in f if line.startswith("Max core file size"))
        self.assertEqual(core.split()[4:6], ["0", "0"])
        self.still_serves(service)
        for folder, names, files in os.walk(self.root):
            for name in names + files:
                mode = os.lstat(os.path.join(folder, name)).st_mode
                self.assertFalse(not stat.S_ISLNK(mode) and mode & 0o022, os.path.join(folder, name))


class Clients(AttackCase):
    def test_deadlines_that_are_none(self):
        service = self.serve_here()
        message = ttrpc.field(1, self.image) + ttrpc.field(2, self.bundle())
        client = self.wire(service)
        for timeout in 0, (1 << 64) - 1, 1 << 63, (1 << 63) - 1:  # negative ones too
            client.call(*guest_peers.PULL, message, timeout_ns=timeout)

    def test_without_descriptors_it_refuses_and_goes_on(self):
        service = self.serve_here()
        agent = self.agent(service)
        pid = service.process.pid
        # Whoever has no connection yet waits for a descriptor until there is one again.
        agent.pull("", self.bundle("none")).wait()
        before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        for more in range(0, 24, 3):
            used = max(map(int, os.listdir(f"/proc/{pid}/fd"))) + 1
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (used + more, before[1]))
            answer = agent.pull(self.image, self.bundle(f"few-{more}")).wait()
            self.assertIn(answer.code, (0, INTERNAL))
            resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
        self.still_serves(service)

    def test_without_memory_it_refuses_and_goes_on(self):
        service = self.serve_here()
        if service.is_sanitized():
            self.skipTest("a sanitizer ends what gets no memory")
        agent = self.agent(service)
        pid = service.process.pid
        unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
        for more in 64 << 10, MIB, 4 * MIB, 10 * MIB, 16 * MIB, 64 * MIB, 80 * MIB, 96 * MIB:
            limit = service.proc_status("VmSize") * 1024 + more
            resource.prlimit(pid, resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
            answer = agent.pull(self.image, self.bundle(f"few-{more}")).wait()
            self.assertIn(answer.code, (0, INTERNAL, RESOURCE_EXHAUSTED), answer)
        resource.prlimit(pid, resource.RLIMIT_AS, unlimited)
        self.still_serves(service)

    def test_hub_behind_that_is_the_service_itself(self):
        """By another path: calls go round until their time is up, and pulls do not mind."""
        os.symlink(self.path("guest", "cdh.sock"), self.path("circle"))
        service = self.serve_here({"sluice": {"upstream": f"unix://{self.path('circle')}"}})
        client = self.wire(service)
        stream = client.send("no.Such", "Thing", b"", timeout_ns=SOON)
        self.still_serves(service)
        with self.assertRaises(ttrpc.Refused) as caught:
            client.wait(stream)
        self.assertEqual(caught.exception.code, DEADLINE_EXCEEDED)
        self.still_serves(service, "again")


class Metrics(AttackCase):
    def ask(self, path, data):
        """All that comes until the other end has had enough."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
            s.settimeout(guest_peers.DEADLINE)
            s.connect(path)
            s.sendall(data)
            got = b""
            try:
                while chunk := s.recv(1 << 16):
                    got += chunk
            except ConnectionResetError:
                pass
            return got

    def test_requests_within_requests(self):
        metrics = self.path("guest", "m.sock")
        service = self.serve_here({"sluice": {"metrics": f"unix://{metrics}"}})
        inner = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
        for head in (b"POST /metrics HTTP/1.1\r\nHost: x\r\n", b"GET /none HTTP/1.1\r\nHost: x\r\n"):
            for how in (b"Content-Length: %d\r\n" % len(inner),
                        b"Content-Length: 0\r\nContent-Length: %d\r\n" % len(inner),
                        b"Transfer-Encoding: chunked\r\nContent-Length: %d\r\n" % len(inner)):
                got = self.ask(metrics, head + how + b"Connection: close\r\n\r\n" + inner)
                self.assertNotIn(b"\r\n\r\nok", got, how)
                self.assertLessEqual(got.count(b"HTTP/1."), 1, got)
        for garbage in b"\0" * 5000, b"GET " + b"/" * 9000 + b" HTTP/1.1\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\n":
            self.assertNotIn(b"200 OK", self.ask(metrics, garbage))
        self.still_serves(service)

    def test_a_thousand_connections_that_say_nothing(self):
        metrics = self.path("guest", "m.sock")
        service = self.serve_here({"sluice": {"metrics": f"unix://{metrics}"}})
        held = []
        for _ in range(CONNECTIONS):
            s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            s.setblocking(False)
            held.append(s)
            try:
                s.connect(metrics)
                s.send(b"GET /me")
            except (BlockingIOError, BrokenPipeError, ConnectionError):
                pass
        self.still_serves(service)
        self.assertLess(len(service.descriptors()), 200)
        for s in held:
            s.close()
        answer = self.ask(metrics, b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        self.assertIn(b"200 OK", answer)


if __name__ == "__main__":
    sluiced_case.main()
