#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""sluiced as somebody meets it who has read the manual and nothing else: what the packaged
configuration does, and whether errors say what to change. Needs SLUICE and SLUICE_IMAGES."""
import os
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import sluiced_case  # noqa: E402
from sluiced_case import CANNOT_DECRYPT, FAILED_TO_PULL, SLUICED, SluicedCase, start_registry
import guest_peers  # noqa: E402
import make_image  # noqa: E402
import registry as registries  # noqa: E402
from counting_proxy import DEADLINE, CountingProxy  # noqa: E402

KEYS_OF_THE_MACHINE = "/etc/aa-offline_fs_kbc-keys.json"
KEY = "kbs:///default/key/key_id1"


class OperatorCase(SluicedCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.registry = start_registry(cls)
        cls.layout = os.path.join(cls.shared, "plain")
        cls.layer = make_image.layer({"hello": "hello"})
        cls.registry.push(make_image.add_image(cls.layout, [cls.layer]), "team/app:1")

    @property
    def image(self):
        return self.registry.host + "/team/app:1"

    def serve_plain(self, changes=None, **kwargs):
        return self.serve(changes, insecure=[self.registry.host], **kwargs)

    def refusal(self, service, image, *parts):
        """Says all of it in the answer and in the log, and nothing of a command line."""
        answer = self.agent(service).pull(image, self.bundle("refused")).wait()
        for part in (FAILED_TO_PULL, *parts):
            self.assertIn(part, answer.message)
            self.assertIn(part, service.wait_log(image + " code="))
        self.assertNotIn(" --", answer.message)
        self.assertNotIn("(--", answer.message)
        return answer


class WithoutKeys(OperatorCase):
    """The packaged configuration names a broker whose files are not there."""
    NO_FILES = {"sluice": {"offline_keys": None, "offline_resources": None}}

    def setUp(self):
        super().setUp()
        if os.path.exists(KEYS_OF_THE_MACHINE):
            self.skipTest(f"{KEYS_OF_THE_MACHINE} is there")

    def test_plain_images_are_pulled(self):
        service = self.serve_plain(self.NO_FILES)
        self.assert_pulled(self.agent(service).pull(self.image, self.bundle()).wait(), self.bundle(),
                           hello="hello")

    def test_encrypted_ones_are_refused_and_the_file_is_named(self):
        self.write("keys.json", self.sluice("keys", "generate").stdout)
        self.sluice("keys", "export", self.path("keys.json"), "default/key/key_id1", self.path("key"))
        run = self.sluice("encrypt", "--encryption-key",
                          f"provider:attestation-agent:keypath={self.path('key')}::keyid={KEY}::"
                          "algorithm=A256GCM", f"oci:{self.layout}", f"oci:{self.path('secret')}:1")
        self.assertEqual(run.returncode, 0, run.stderr)
        self.registry.push(f"oci:{self.path('secret')}:1", "team/secret:1")
        self.refusal(self.serve_plain(self.NO_FILES), self.registry.host + "/team/secret:1",
                     CANNOT_DECRYPT, KEYS_OF_THE_MACHINE)


class Advice(OperatorCase):
    def test_certificate_that_nobody_trusts(self):
        with registries.Registry(tls=True) as registry:
            self.refusal(self.serve_plain(), registry.host + "/x:1", "image.extra_root_certificates")

    def test_credentials_that_are_missing(self):
        with registries.Registry(tls=True, htpasswd=("user", "secret")) as registry:
            with open(registry.ca, encoding="ascii") as f:
                service = self.serve({"image": {"extra_root_certificates": [f.read()]}})
            self.refusal(service, registry.host + "/x:1", "Not authorized",
                         "image.authenticated_registry_credentials_uri")

    def test_broker_that_nobody_speaks_to(self):
        service = self.serve_plain({"kbc": {"name": "cc_kbc"},
                                    "image": {"image_security_policy_uri": "kbs:///a/policy/1"}})
        self.refusal(service, self.image, "kbs:///a/policy/1", "kbc.name", "sluice.upstream")

    def test_resource_that_the_upstream_does_not_have_is_named(self):
        hub = self.hub({})
        service = self.serve_plain({"kbc": {"name": "cc_kbc"},
                                    "image": {"image_security_policy_uri": "kbs:///a/policy/1"},
                                    "sluice": {"upstream": "unix://" + hub.socket}})
        self.refusal(service, self.image, "kbs:///a/policy/1")
        got = self.agent(service).call(*guest_peers.RESOURCE, {"ResourcePath": "kbs:///a/b/c"})
        self.assertIn("kbs:///a/b/c", got.message)


class Rights(OperatorCase):
    def test_capabilities_that_are_missing_are_told_at_the_start(self):
        service = self.serve_plain(argv=["setpriv", "--bounding-set=-sys_admin,-mknod", SLUICED, "-c",
                                         self.path("guest", "cdh.toml")])
        line = service.wait_log("warning: images cannot be unpacked")
        self.assertIn("CAP_SYS_ADMIN, CAP_MKNOD: run sluiced as root", line)
        service.stop()
        self.assertNotIn("CAP_", self.serve_plain(name="root").text())


class StartedAgain(OperatorCase):
    """Containers outlive the service."""

    def start_over(self, meanwhile=lambda: None):
        """A container runs while one service ends and the next begins; that one."""
        first = self.serve_plain(name="first")
        self.assert_pulled(self.agent(first).pull(self.image, self.bundle()).wait(), self.bundle())
        self.assertEqual(len(self.in_store("mounts")), 1)
        first.stop()
        meanwhile()
        return self.serve_plain(name="second")

    def assert_cleaned(self, service):
        service.wait_log("mounts are no more")
        self.assertEqual(self.in_store("mounts"), [])

    def test_container_that_ends_before_the_next_pull_is_cleaned_up(self):
        service = self.start_over()
        self.assertEqual(len(self.in_store("mounts")), 1)
        self.unmount(self.bundle())
        self.assert_cleaned(service)
        self.assert_pulled(self.agent(service).pull(self.image, self.bundle()).wait(), self.bundle())

    def test_container_that_ended_while_nobody_watched_is_cleaned_up(self):
        self.assert_cleaned(self.start_over(lambda: self.unmount(self.bundle())))

    def test_nothing_is_made_before_the_first_pull(self):
        service = self.serve_plain()
        os.mkdir(self.path("other"))
        sluiced_case.libc_call("mount", b"x", self.path("other").encode(), b"tmpfs", 0, None)
        sluiced_case.libc_call("umount2", self.path("other").encode(), 0)
        service.stop()
        self.assertFalse(os.path.exists(self.root), "its disk may be mounted later")


class ToldToEnd(OperatorCase):
    def held_pull(self, changes=None):
        """A service whose only pull gets no more bytes, and the call."""
        proxy = CountingProxy(self.registry.host)
        proxy.__enter__()
        self.addCleanup(proxy.__exit__)
        service = self.serve(changes, insecure=[proxy.host])
        hold = proxy.hold(self.layer.digest, after=10)
        call = self.agent(service).pull(proxy.host + "/team/app:1", self.bundle())
        self.assertTrue(hold.reached.wait(DEADLINE), "the layer was never asked for")
        service.send(signal.SIGTERM)
        return service, call

    def assert_told_why(self, service, call):
        answer = call.wait()
        self.assertEqual(answer.code, guest_peers.UNAVAILABLE, answer)
        self.assertIn("the service is shutting down", answer.message)
        service.stop()
        self.assertEqual(self.in_store("staging"), [])

    def test_when_the_time_is_up(self):
        self.assert_told_why(*self.held_pull({"sluice": {"drain_s": 0}}))

    def test_a_second_time(self):
        service, call = self.held_pull({"sluice": {"drain_s": 3600}})
        service.wait_log("told to end: pulls that run")
        service.send(signal.SIGTERM)
        self.assert_told_why(service, call)


if __name__ == "__main__":
    sluiced_case.main("htpasswd")
