#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Pulls as jobs: who joins whom, what is fetched once, who may stop what, and callers and peers that
misbehave. The registry's access log tells what was fetched; a proxy holds answers in the middle, so
that nobody waits by the clock. Needs SLUICE and SLUICE_IMAGES."""
import os
import re
import signal
import socket
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import sluiced_case  # noqa: E402
from sluiced_case import FAILED_TO_PULL, SluicedCase, blob_gets, mounts_below, start_registry
import guest_peers  # noqa: E402
from guest_peers import CANCELLED, INTERNAL, INVALID_ARGUMENT, RESOURCE_EXHAUSTED
import make_image  # noqa: E402
import registry as registries  # noqa: E402
import service_load  # noqa: E402
import ttrpc  # noqa: E402
from counting_proxy import CountingProxy  # noqa: E402
from counting_proxy import DEADLINE as PROXY_DEADLINE

MIB = 1 << 20
BIG = 3 * MIB  # bytes: several segments, many reads
LONG_NAME = MIB


class JobsCase(SluicedCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.registry = start_registry(cls)
        cls.big = make_image.big_layer("big", BIG)
        cls.small = make_image.layer({"small": "s" * 1000})
        cls.tops = {tag: make_image.layer({tag: tag}) for tag in ("one", "two")}
        folder = os.path.join(cls.shared, "jobs")
        cls.digests = {}
        for tag, top in cls.tops.items():
            cls.registry.push(make_image.add_image(folder, [cls.big, cls.small, top], tag=tag), "app:" + tag)
            cls.digests[tag] = make_image.tagged(folder, tag)[0]["digest"]

    def setUp(self):
        super().setUp()
        self.proxy = CountingProxy(self.registry.host)
        self.proxy.__enter__()
        self.addCleanup(self.proxy.__exit__)

    def image(self, tag="one"):
        return f"{self.proxy.host}/app:{tag}"

    def serve_jobs(self, changes=None, **kwargs):
        return self.serve(changes, insecure=[self.proxy.host], **kwargs)

    def hold(self, layer=None, after=MIB):
        return self.proxy.hold((layer or self.big).digest, after=after)

    def reached(self, hold):
        self.assertTrue(hold.reached.wait(PROXY_DEADLINE), "the blob was never asked for")

    def gets(self, layer):
        return len(self.proxy.gets(layer.digest))

    def waiting(self, service, *counts):
        """Until there are these jobs, each with so many callers that wait. A request is a job of its
        own until it is known what it resolves to."""
        def now():
            return sorted(job["waiters"] for job in service.status()["jobs"])
        self.until(lambda: now() == sorted(counts), f"jobs with {counts} callers")


class Joining(JobsCase):
    def test_the_same_request_joins_and_each_blob_is_fetched_once(self):
        service = self.serve_jobs()
        hold = self.hold()
        agent = self.agent(service)
        before = {layer: blob_gets(self.registry, layer.digest) for layer in (self.big, self.small)}
        calls = [agent.pull(self.image(), self.bundle(f"b{i}")) for i in range(8)]
        self.reached(hold)
        self.waiting(service, 8)
        hold.release()
        for i, call in enumerate(calls):
            self.assert_pulled(call.wait(), self.bundle(f"b{i}"), one="one")
            self.assertEqual(call.wait().digest, self.digests["one"])
        for layer in self.big, self.small, self.tops["one"]:
            self.assertEqual(self.gets(layer), 1, "fetched more than once")
        for layer, count in before.items():
            self.assertEqual(blob_gets(self.registry, layer.digest), count + 1, "by the registry's log")

    def test_other_connections_join_too(self):
        service = self.serve_jobs()
        hold = self.hold()
        first = self.agent(service).pull(self.image(), self.bundle("a"))
        self.reached(hold)
        second = self.agent(service).pull(self.image(), self.bundle("b"))
        self.waiting(service, 2)
        hold.release()
        self.assert_pulled(first.wait(), self.bundle("a"))
        self.assert_pulled(second.wait(), self.bundle("b"))
        self.assertEqual(self.gets(self.big), 1)

    def test_images_that_share_layers_share_their_downloads(self):
        service = self.serve_jobs()
        hold = self.hold()
        agent = self.agent(service)
        one = agent.pull(self.image("one"), self.bundle("a"))
        self.reached(hold)
        two = agent.pull(self.image("two"), self.bundle("b"))
        self.waiting(service, 1, 1)
        self.assertTrue(self.proxy.wait_for(1, self.tops["two"].digest), "the other one goes on")
        hold.release()
        self.assert_pulled(one.wait(), self.bundle("a"), one="one")
        self.assert_pulled(two.wait(), self.bundle("b"), two="two")
        for layer in self.big, self.small, *self.tops.values():
            self.assertEqual(self.gets(layer), 1)

    def test_more_pulls_than_may_run_wait_for_their_turn(self):
        service = self.serve_jobs({"sluice": {"pulls": 1}})
        hold = self.hold()
        agent = self.agent(service)
        one = agent.pull(self.image("one"), self.bundle("a"))
        self.reached(hold)
        two = agent.pull(self.image("two"), self.bundle("b"))
        self.waiting(service, 1, 1)
        self.assertEqual(self.gets(self.tops["two"]), 0, "the second one has begun")
        hold.release()
        self.assert_pulled(one.wait(), self.bundle("a"))
        self.assert_pulled(two.wait(), self.bundle("b"))


class Cancelling(JobsCase):
    def test_caller_that_has_gone_ends_its_job_and_finished_layers_stay(self):
        service = self.serve_jobs()
        hold = self.hold()
        agent = self.agent(service)
        agent.pull(self.image(), self.bundle())
        self.reached(hold)
        self.until(lambda: len(self.in_store("layers/sha256")) == 2, "two finished layers")
        agent.close()
        self.until(lambda: service.status()["jobs"] == [], "no job")
        self.until(lambda: self.in_store("staging") == [], "an empty staging/")
        self.assertEqual(mounts_below(self.bundle()), [])
        hold.release()
        self.proxy.forget()
        self.assert_pulled(self.agent(service).pull(self.image(), self.bundle()).wait(), self.bundle())
        self.assertEqual((self.gets(self.small), self.gets(self.big)), (0, 1))

    def test_caller_that_has_gone_does_not_end_the_job_of_another(self):
        service = self.serve_jobs()
        hold = self.hold()
        leader, follower = self.agent(service), self.agent(service)
        leader.pull(self.image(), self.bundle("a"))
        self.reached(hold)
        call = follower.pull(self.image(), self.bundle("b"))
        self.waiting(service, 2)
        leader.close()
        self.waiting(service, 1)
        hold.release()
        self.assert_pulled(call.wait(), self.bundle("b"))
        self.assertEqual(self.gets(self.big), 1)
        self.assertEqual(mounts_below(self.bundle("a")), [])

    def test_ctl_cancels_by_name_and_by_number(self):
        service = self.serve_jobs()
        agent = self.agent(service)
        for how in "image", "id":
            with self.subTest(how):
                hold = self.hold()
                call = agent.pull(self.image(), self.bundle())
                self.reached(hold)
                service.ctl("cancel", str(service.status()["jobs"][0][how]))
                answer = call.wait()
                self.assert_refused(answer, "cancel", code=answer.code, bundle=self.bundle())
                self.assertIn(answer.code, (CANCELLED, INTERNAL))
                hold.release()
                self.until(lambda: self.in_store("staging") == [], "an empty staging/")
        self.assert_pulled(agent.pull(self.image(), self.bundle()).wait(), self.bundle())

    def test_what_is_not_there_cannot_be_cancelled(self):
        service = self.serve_jobs()
        run = service.ctl("cancel", "none/such:1", check=False)
        self.assertNotEqual(run.returncode, 0)
        self.assertEqual(run.stderr.count("\n"), 1, run.stderr)

    def test_status_tells_what_is_going_on(self):
        service = self.serve_jobs()
        hold = self.hold()
        call = self.agent(service).pull(self.image(), self.bundle())
        self.reached(hold)
        self.waiting(service, 1)
        job = service.status()["jobs"][0]
        self.assertEqual(job["image"], self.image())
        self.assertEqual(job["manifest"], self.digests["one"])
        self.assertEqual(job["state"], "pulling")
        hold.release()
        self.assert_pulled(call.wait(), self.bundle())
        self.assertEqual(service.status()["jobs"], [])


class Bundles(JobsCase):
    def test_two_pulls_of_one_image_into_one_bundle_mount_it_once(self):
        service = self.serve_jobs()
        hold = self.hold()
        agent = self.agent(service)
        calls = [agent.pull(self.image(), self.bundle()) for _ in range(2)]
        self.reached(hold)
        self.waiting(service, 2)
        hold.release()
        for call in calls:
            self.assert_pulled(call.wait(), self.bundle(), one="one")
        self.assertEqual(len(mounts_below(self.bundle())), 1)
        self.assertEqual(len(self.in_store("mounts")), 1)

    def test_two_images_into_one_bundle_leave_one_of_them(self):
        service = self.serve_jobs()
        agent = self.agent(service)
        calls = {tag: agent.pull(self.image(tag), self.bundle()) for tag in self.tops}
        answers = {tag: call.wait() for tag, call in calls.items()}
        won = [tag for tag, answer in answers.items() if answer.code == 0]
        self.assertEqual(len(won), 1, answers)
        lost = next(tag for tag in answers if tag != won[0])
        self.assertIn(self.bundle(), answers[lost].message)
        self.assert_pulled(answers[won[0]], self.bundle(), **{won[0]: won[0]})
        self.assertEqual(len(self.in_store("mounts")), 1)

    def test_places_that_are_not_allowed(self):
        service = self.serve_jobs()
        agent = self.agent(service)
        os.makedirs(self.path("outside"))
        os.symlink(self.path("outside"), self.path("bundles", "link"))
        os.mkdir(self.path("bundles", "with-link"))
        os.symlink(self.path("outside"), self.path("bundles", "with-link", "rootfs"))
        self.write("bundles/file", "x")
        bad = [self.path("outside"), self.path("bundles", "..", "outside"), "relative", "", "/",
               self.path("bundles", "link"), self.path("bundles", "link", "b"),
               self.path("bundles", "file"), self.path("bundles"), self.path("bundles-not"),
               self.bundle("x" * 300)]
        for bundle in bad:
            answer = agent.pull(self.image(), bundle).wait()
            self.assertNotEqual(answer.code, 0, bundle)
            self.assertNotIn("\n", answer.message)
            self.assertEqual([m for m in mounts_below(self.folder) if m[1] == "overlay"], [], bundle)
        answer = agent.pull(self.image(), self.path("bundles", "with-link")).wait()
        self.assertNotEqual(answer.code, 0)
        self.assertEqual(os.listdir(self.path("outside")), [])
        self.assertEqual(mounts_below(self.path("outside")), [])
        self.assert_pulled(agent.pull(self.image(), self.bundle("c,o:m\\ma")).wait(),
                           self.bundle("c,o:m\\ma"), one="one")
        self.unmount_all()

    def test_bundles_that_are_there_already(self):
        service = self.serve_jobs()
        os.makedirs(self.rootfs(self.bundle()))
        self.assert_pulled(self.agent(service).pull(self.image(), self.bundle()).wait(), self.bundle())


class Misbehaving(JobsCase):
    def test_names_of_a_megabyte(self):
        service = self.serve_jobs()
        agent = self.agent(service)
        for image, bundle in (("x" * LONG_NAME, self.bundle()), (self.image(), "/" + "b" * LONG_NAME),
                              ("x/" * (LONG_NAME // 2), self.bundle()), ("\u00fc" * LONG_NAME, self.bundle())):
            answer = agent.pull(image, bundle).wait()
            self.assertIn(answer.code, (INVALID_ARGUMENT, INTERNAL, RESOURCE_EXHAUSTED))
            self.assertLess(len(answer.message), 4096)
        self.assertLess(max(map(len, service.log), default=0), 8192, "lines of the log are short")
        self.assert_pulled(agent.pull(self.image(), self.bundle()).wait(), self.bundle())

    def test_bytes_that_are_no_text(self):
        service = self.serve_jobs()
        client = ttrpc.Client("unix://" + service.socket)
        self.addCleanup(client.connection.close)
        for image in b"a\0b", b"\xff\xfe", b"a\nb", b"\x1b[2J":
            with self.assertRaises(ttrpc.Refused):
                client.call(*guest_peers.PULL, ttrpc.field(1, image) + ttrpc.field(2, self.bundle()))
        for junk in b"\xff", b"\x0a\x7fshort":
            with self.assertRaises(ttrpc.Refused):
                client.call(*guest_peers.PULL, junk)
        self.assertFalse(re.search("[\x00-\x08\x0b-\x1f]", service.text()), "raw bytes in the log")

    def test_registry_that_dies_in_the_middle(self):
        registry = registries.Registry()
        registry.__enter__()
        self.addCleanup(registry.__exit__)
        self.push(registry, "dying:1", self.big, self.small)
        with CountingProxy(registry.host) as proxy:
            service = self.serve(insecure=[proxy.host, self.proxy.host])
            hold = proxy.hold(self.big.digest, after=MIB)
            agent = self.agent(service)
            call = agent.pull(proxy.host + "/dying:1", self.bundle())
            self.reached(hold)
            registry._process.kill()
            registry._process.wait()
            hold.release()
            # Others are not affected while it tries again.
            other = agent.pull(self.image(), self.bundle("other")).wait()
            self.assert_pulled(other, self.bundle("other"))
            answer = call.wait(120)
            if answer.code == 0:  # everything was in the proxy's hands already, or shared with the other
                self.assert_pulled(answer, self.bundle())
            else:
                self.assert_refused(answer, FAILED_TO_PULL, bundle=self.bundle())
        self.assertEqual(self.in_store("staging"), [])

    def test_store_that_cannot_be_written(self):
        service = self.serve_jobs()
        agent = self.agent(service)
        os.makedirs(self.root)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "sluice-test", self.root], check=True)
        answer = agent.pull(self.image(), self.bundle()).wait()
        self.assert_refused(answer, "Read-only file system", bundle=self.bundle())
        subprocess.run(["mount", "-o", "remount,rw", self.root], check=True)
        self.assert_pulled(agent.pull(self.image(), self.bundle()).wait(), self.bundle(), one="one")
        self.unmount_all()
        service.stop()

    def test_configuration_that_is_wrong_is_not_taken(self):
        service = self.serve_jobs()
        agent = self.agent(service)
        good = service.config
        with open(service.config_path, "a", encoding="utf-8") as f:
            f.write("\n[[[\n")
        service.reload(good=False)
        self.assert_pulled(agent.pull(self.image(), self.bundle()).wait(), self.bundle())
        service.reload(sluiced_case.merged(good, {"sluice": {"memory": "many"}}), good=False)
        self.assert_pulled(agent.pull(self.image("two"), self.bundle("two")).wait(), self.bundle("two"))
        service.reload(good)

    def test_policy_that_is_none_allows_nothing(self):
        service = self.serve_jobs()
        agent, good = self.agent(service), service.config
        self.assert_pulled(agent.pull(self.image(), self.bundle()).wait(), self.bundle())
        service.write_config(sluiced_case.merged(good, {"image": {"image_security_policy": "{"}}))
        service.send(signal.SIGHUP)
        self.assertTrue(service.manager.wait(lambda _: service.manager.count("READY=1") > 1))
        answer = agent.pull(self.image(), self.bundle("two")).wait()
        if service.status()["generation"] > 1:
            self.assert_refused(answer, FAILED_TO_PULL, bundle=self.bundle("two"))

    def test_start_with_a_wrong_configuration(self):
        for i, change in enumerate(({"image": {"work_dir": 7}}, {"sluice": {"memory": "many"}},
                                    {"socket": "nonsense"})):
            service = self.serve_jobs(change, ready=False, name=f"wrong{i}")
            self.assertNotEqual(service.process.wait(guest_peers.DEADLINE), 0)
            service.reader.join(guest_peers.DEADLINE)
            self.assertIn("cdh.toml", service.text())
            self.assertNotIn("Sanitizer", service.text())

    def test_socket_file_in_the_way(self):
        service = self.serve_jobs()
        second = self.serve(config={**service.config, "sluice": {
            **service.config["sluice"], "control": f"unix://{self.path('other.socket')}"}},
            name="second", ready=False)
        self.assertNotEqual(second.process.wait(guest_peers.DEADLINE), 0, "two on one socket")
        second.reader.join(guest_peers.DEADLINE)
        self.assertIn("cdh.sock", second.text())
        self.assert_pulled(self.agent(service).pull(self.image(), self.bundle()).wait(), self.bundle())

    def test_client_that_never_reads(self):
        service = self.serve_jobs()
        client = ttrpc.Client("unix://" + service.socket)
        self.addCleanup(client.connection.close)
        client.connection.settimeout(None)
        client.connection.setblocking(False)
        frame = b"".join(ttrpc.frame(2 * i + 1, ttrpc.REQUEST, ttrpc.request("no.Such", "x" * 1000))
                         for i in range(10000))
        sent = 0
        try:
            while sent < len(frame):
                sent += client.connection.send(frame[sent:sent + 65536])
        except (BlockingIOError, BrokenPipeError, ConnectionResetError):
            pass
        self.assert_pulled(self.agent(service).pull(self.image(), self.bundle()).wait(), self.bundle())

    def test_connections_that_come_and_go_leave_nothing(self):
        service = self.serve_jobs()
        agent = self.agent(service)
        self.assert_pulled(agent.pull(self.image(), self.bundle()).wait(), self.bundle())
        self.until(lambda: service.status()["jobs"] == [], "rest")
        kept = service_load.Kept(service)
        for i in range(300):
            with socket.socket(socket.AF_UNIX) as s:
                s.connect(service.socket)
                s.sendall(ttrpc.frame(1, ttrpc.REQUEST, ttrpc.request(*guest_peers.PULL))[:i % 60])
        self.assert_pulled(agent.pull(self.image(), self.bundle("two")).wait(), self.bundle("two"))
        self.until(kept.is_as_before, kept.difference)


if __name__ == "__main__":
    sluiced_case.main()
