#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What an operator sees of sluiced: what it tells its manager, its metrics, its status, what it is
told, and what becomes of mounts that others end. promtool and the parser of Prometheus' own client
judge the metrics where they are installed."""
import http.client
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support"))
import guest_peers  # noqa: E402
import make_image  # noqa: E402
import sluiced_case  # noqa: E402
from sluiced_case import SluicedCase, start_registry  # noqa: E402

try:
    from prometheus_client.parser import text_string_to_metric_families
except ImportError:
    text_string_to_metric_families = None

PROMTOOL = shutil.which("promtool") or os.environ.get("PROMTOOL")
IDLE_S = 2.0  # a service that wakes up does it within that


class UnixHttp(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=sluiced_case.DEADLINE)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(self.path)


class ServiceOperations(SluicedCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.registry = start_registry(cls)

    def start(self, **sluice):
        run = self.path("guest")
        return self.serve({"sluice": {"metrics": f"unix://{run}/metrics.sock", **sluice}},
                          insecure=[self.registry.host])

    def push_one(self, name):
        self.push(self.registry, name, make_image.layer({"etc/name": name}))
        return f"{self.registry.host}/{name}"

    def get(self, service, path, method="GET"):
        connection = UnixHttp(service.path("metrics.sock"))
        connection.request(method, path)
        answer = connection.getresponse()
        body = answer.read().decode()
        connection.close()
        return answer.status, body

    def samples(self, service):
        status, text = self.get(service, "/metrics")
        self.assertEqual(status, 200)
        if PROMTOOL:
            run = subprocess.run([PROMTOOL, "check", "metrics"], input=text, text=True,
                                 capture_output=True, check=False)
            self.assertEqual((run.returncode, run.stdout, run.stderr), (0, "", ""))
        if text_string_to_metric_families:
            families = list(text_string_to_metric_families(text))
            self.assertTrue(all(f.documentation and f.type != "unknown" for f in families), families)
        return dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))

    # ---- metrics ----

    def test_metrics_tell_what_happened(self):
        service = self.start()
        before = self.samples(service)
        self.assertNotIn("sluice_store_free_bytes", before, "asking does not open the store")
        self.assertEqual(before['sluice_requests_total{code="ok"}'], "0")
        image = self.push_one("metrics:1")
        with self.agent(service) as agent:
            for name in "one", "two":
                bundle = self.bundle(name)
                self.assert_pulled(agent.pull(image, bundle).wait(), bundle)
            self.assert_refused(agent.pull(f"{self.registry.host}/none:1", self.bundle("three")).wait())
        after = self.samples(service)
        self.assertEqual(after['sluice_requests_total{code="ok"}'], "2")
        self.assertEqual(after['sluice_layers_total{origin="fetched"}'], "1")
        self.assertEqual(after['sluice_layers_total{origin="cached"}'], "1")
        self.assertEqual(after['sluice_verdicts_total{verdict="allowed"}'], "2")
        self.assertEqual(after["sluice_request_duration_seconds_count"], "3")
        self.assertEqual(after["sluice_requests"], "0")
        self.assertEqual(after["sluice_jobs"], "0")
        self.assertEqual(after["sluice_buffer_bytes"], "0")
        self.assertGreater(int(after["sluice_store_size_bytes"]), 0)
        self.assertGreater(float(after['sluice_stage_bytes_total{stage="unpack"}']), 0, after)
        self.assertEqual(self.get(service, "/healthz"), (200, "ok\n"))
        self.assertEqual(self.get(service, "/metrics", "POST")[0], 405)

    # ---- the manager ----

    def test_manager_hears_of_ready_reload_and_end(self):
        service = self.start()
        service.manager.wait(lambda line: line == "STATUS=idle, 0 pulls done")
        service.ctl("reload")
        image = self.push_one("status:1")
        self.assert_pulled(self.agent(service).pull(image, self.bundle()).wait(), self.bundle())
        self.assertTrue(service.manager.wait(lambda line: line == "STATUS=idle, 1 pulls done"))
        service.stop()
        said = [line.split("=")[0] for line in service.manager.said if line.split("=")[0] not in
                ("STATUS", "X_CLOSED")]
        self.assertEqual(said, ["READY", "RELOADING", "MONOTONIC_USEC", "READY", "STOPPING",
                                "EXTEND_TIMEOUT_USEC"])
        states = [line for line in service.manager.said if line.startswith("STATUS=")]
        self.assertTrue(all(a != b for a, b in zip(states, states[1:])), states)

    def test_watchdog_is_fed(self):
        service = self.serve(WATCHDOG_USEC="300000")
        for _ in range(3):
            service.manager.said.clear()
            self.assertTrue(service.manager.wait(lambda line: line == "WATCHDOG=1"))
        self.assertNotIn("does not come round", service.text())

    def test_idle_service_does_not_wake_up(self):
        service = self.start()
        if service.is_tsan():
            self.skipTest("the sanitizer's own thread wakes up")
        image = self.push_one("idle:1")
        self.assert_pulled(self.agent(service).pull(image, self.bundle()).wait(), self.bundle())
        service.manager.wait(lambda line: line == "STATUS=idle, 1 pulls done")

        def wakeups():
            total = 0
            for task in os.listdir(f"/proc/{service.process.pid}/task"):
                with open(f"/proc/{service.process.pid}/task/{task}/status", encoding="ascii") as f:
                    total += sum(int(line.split()[1]) for line in f if "ctxt_switches" in line)
            return total

        counts = []

        def is_quiet():  # what the pull has left to do is soon done
            counts.append(wakeups())
            select.select([], [], [], IDLE_S)
            return wakeups() == counts[-1]
        self.until(is_quiet, "two seconds without a wake-up")

    # ---- status and ctl ----

    def test_status_tells_what_is_stored(self):
        service = self.start()
        status = service.status()
        self.assertEqual((status["jobs"], status["generation"]), ([], 1))
        self.assertNotIn("store", status)
        image = self.push_one("stored:1")
        self.assert_pulled(self.agent(service).pull(image, self.bundle()).wait(), self.bundle())
        status = service.status()
        self.assertEqual([i["name"] for i in status["images"]], [image])
        self.assertEqual([m["target"] for m in status["mounts"]], [self.rootfs(self.bundle())])
        self.assertEqual(status["store"]["root"], self.root)
        self.assertEqual(status["pid"], service.process.pid)
        socket_option = ("--socket", service.config["sluice"]["control"])
        text = self.ok("status", *socket_option)
        self.assertIn("1 images, 1 mounts", text)
        self.assertIn("no pulls", text)

    def test_what_is_wrong_is_told(self):
        run = self.sluice("status", "--socket", f"unix://{self.path('nobody')}")
        self.assertEqual(run.returncode, 4)
        self.assertIn("no service runs there", run.stderr)
        service = self.start()
        run = service.ctl("cancel", "77", check=False)
        self.assertNotEqual(run.returncode, 0)
        self.assertIn("no pull has the number or image '77'", run.stderr)

    def test_bad_configuration_leaves_the_old_one(self):
        service = self.start()
        self.assertEqual(json.loads(service.ctl("reload", "--json").stdout)["generation"], 2)
        good = service.config
        with open(service.config_path, "w", encoding="ascii") as f:
            f.write("socket = \n")
        run = service.ctl("reload", check=False)
        self.assertNotEqual(run.returncode, 0)
        self.assertIn("cdh.toml", run.stderr)
        self.assertEqual(service.status()["generation"], 2)
        service.reload(good)
        self.assertEqual(service.status()["generation"], 3)
        samples = self.samples(service)
        self.assertEqual(samples['sluice_reloads_total{result="ok"}'], "2")
        self.assertEqual(samples['sluice_reloads_total{result="failed"}'], "1")

    # ---- mounts that others end ----

    def test_what_was_written_goes_with_its_mount(self):
        service = self.start()
        image = self.push_one("gone:1")
        bundle = self.bundle()
        self.assert_pulled(self.agent(service).pull(image, bundle).wait(), bundle)
        self.assertEqual(len(self.in_store("mounts")), 1)
        self.unmount(bundle)
        service.wait_log("mounts are no more")
        self.assertEqual(self.in_store("mounts"), [])
        self.assertEqual(len(self.in_store("images/sha256")), 1, "images stay")

    def test_images_go_with_their_last_mount_if_told(self):
        service = self.start(keep="mounted")
        image = self.push_one("last:1")
        agent = self.agent(service)
        for name in "one", "two":
            self.assert_pulled(agent.pull(image, self.bundle(name)).wait(), self.bundle(name))
        self.unmount(self.bundle("one"))
        service.wait_log("mounts are no more")
        self.assertEqual(len(service.status()["images"]), 1)
        self.unmount(self.bundle("two"))
        service.wait_log("no mount uses any more")
        self.assertEqual(service.status()["images"], [])
        self.assertEqual(self.in_store("layers/sha256"), [])
        self.assert_pulled(agent.pull(image, self.bundle("one")).wait(), self.bundle("one"))

    def test_images_that_have_yet_to_be_mounted_stay_and_others_go(self):
        """Whoever has pulled one is being measured."""
        measurer = self.attestation_agent()
        service = self.start(keep="mounted")
        agent = self.agent(service)
        wanted, other = self.push_one("wanted:1"), self.push_one("other:1")
        for image, name in (wanted, "one"), (other, "two"):
            self.assert_pulled(agent.pull(image, self.bundle(name)).wait(), self.bundle(name))
        measurer.behave(hang=True)
        asked = len(measurer.requests)
        again = agent.pull(wanted, self.bundle("again"))
        measurer.wait_asked("ExtendRuntimeMeasurement", asked + 1)
        self.unmount(self.bundle("one"))
        service.wait_log("mounts are no more")
        self.unmount(self.bundle("two"))
        service.wait_log("1 images that no mount uses any more")
        self.assertIn("wanted", service.status()["images"][0]["name"])
        measurer.behave()
        self.assert_pulled(again.wait(), self.bundle("again"))
        self.unmount(self.bundle("again"))
        service.wait_log("1 images that no mount uses any more", count=2)
        self.assertEqual(self.in_store("images/sha256"), [])

    def test_images_that_come_to_no_mount_go_then(self):
        measurer = self.attestation_agent()
        service = self.start(keep="mounted")
        agent, bundle = self.agent(service), self.bundle()
        image = self.push_one("refused:1")
        self.assert_pulled(agent.pull(image, bundle).wait(), bundle)
        measurer.behave(hang=True)
        asked = len(measurer.requests)
        again = agent.pull(image, self.bundle("again"))
        measurer.wait_asked("ExtendRuntimeMeasurement", asked + 1)
        self.unmount(bundle)
        service.wait_log("mounts are no more")
        self.assertEqual(len(self.in_store("images/sha256")), 1)
        measurer.behave(code=guest_peers.INTERNAL, message="no")
        self.assert_refused(again.wait(), "no")
        service.wait_log("1 images that no mount uses any more")
        self.assertEqual(self.in_store("images/sha256"), [])

    def test_registry_table_that_is_none_is_told_before_the_first_pull(self):
        service = self.start()
        wrong = {"registry_config": {"registry": [{"prefix": "*.example.com", "insecure": "yes"}]}}
        for with_engine in False, True:
            good = service.config
            service.reload(sluiced_case.merged(good, {"image": wrong}), good=False)
            said = service.wait_log("configuration not reloaded", count=1 + with_engine)
            self.assertIn("insecure", said)
            service.write_config(good)
            image = self.push_one(f"still{with_engine:d}:1").lower()
            bundle = self.bundle(str(with_engine))
            self.assert_pulled(self.agent(service).pull(image, bundle).wait(), bundle)
        service = self.serve({"image": wrong}, name="other", ready=False)
        service.process.wait(sluiced_case.DEADLINE)
        service.stop(expect=1)
        self.assertIn("image.registry_config", service.text())

    # ---- the start ----

    def pipe_config(self):
        """A configuration that nobody has written yet, and its two ends."""
        path = self.path("later.toml")
        os.mkfifo(path)
        return path, os.open(path, os.O_RDWR | os.O_CLOEXEC)

    def test_a_signal_while_it_reads_its_configuration_is_kept(self):
        for number, name in (signal.SIGHUP, "hup"), (signal.SIGTERM, "term"):
            path, fd = self.pipe_config()
            service = self.serve(name=name, ready=False, argv=[sluiced_case.SLUICED, "-c", path])
            self.until(lambda service=service, path=path: path in service.descriptors(),
                       "the configuration was never opened")
            service.send(number)
            with open(service.config_path, "rb") as config:
                os.write(fd, config.read())
            shutil.copy(service.config_path, path + ".new")
            os.rename(path + ".new", path)
            os.close(fd)
            if number == signal.SIGHUP:
                service.wait_log("configuration reloaded: generation 2")
            else:
                service.wait_log("ends")
            service.stop()
            os.unlink(path)

    def test_told_to_end_while_a_hub_says_nothing_about_credentials(self):
        hub = self.hub({})
        hub.behave(hang=True)
        service = self.serve({
            "kbc": {"name": "cc_kbc", "url": "http://127.0.0.1:1"},
            "credentials": [{"path": "/run/confidential-containers/cdh/kbs/sluice-test",
                             "resource_uri": "kbs:///default/a/b"}],
            "sluice": {"upstream": f"unix://{hub.socket}"}}, ready=False)
        hub.wait_asked("GetResource")
        service.stop()
        self.assertIn("told to end while it starts", service.text())

    # ---- the end ----

    def test_sluiced_refuses_what_it_cannot_serve(self):
        service = self.start()
        second = self.serve(config=service.config | {}, name="other", ready=False)
        second.process.wait(sluiced_case.DEADLINE)
        second.reader.join(sluiced_case.DEADLINE)
        self.assertEqual(second.process.returncode, 1)
        self.assertIn("somebody listens on", second.text())
        service.stop(signal.SIGINT)


if __name__ == "__main__":
    sluiced_case.main()
