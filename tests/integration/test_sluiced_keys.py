#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Keys and resources of sluiced: what it answers to the hub's own clients, and that nothing of a key
stays in its memory once a pull or a call is over. Needs SLUICE and SLUICE_IMAGES."""
import base64
import json
import os
import subprocess
import sys

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import guest_peers  # noqa: E402
import make_image  # noqa: E402
import sluiced_case  # noqa: E402
from guest_peers import INTERNAL  # noqa: E402
from key_memory_case import forms, text_forms  # noqa: E402
from process_memory import Running  # noqa: E402
from sluiced_case import PREFIX, SluicedCase, start_registry  # noqa: E402

KID = "kbs:///default/key/key_id1"
FILE = "default/test/file"
PACKET = "org.opencontainers.image.enc.keys.provider.attestation-agent"
NOT_FOUND = 5


class KeysCase(SluicedCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.registry = start_registry(cls)
        cls.kek, cls.resource = os.urandom(32), os.urandom(64)
        key_file = os.path.join(cls.shared, "key1")
        with open(key_file, "wb") as f:
            f.write(cls.kek)
        plain, encrypted = os.path.join(cls.shared, "plain"), os.path.join(cls.shared, "encrypted")
        image = make_image.add_image(plain, [make_image.layer({"secret": "of the image"})])
        spec = f"provider:attestation-agent:keypath={key_file}::keyid={KID}::algorithm=A256GCM"
        subprocess.run([sluiced_case.SLUICE, "encrypt", "--quiet", "--encryption-key", spec, image,
                        f"oci:{encrypted}:1"], check=True)
        cls.registry.push(f"oci:{encrypted}:1", "keys/encrypted:1")
        _, manifest = make_image.tagged(encrypted, "1")
        cls.packet = base64.b64decode(manifest["layers"][0]["annotations"][PACKET])
        packet = {**json.loads(cls.packet)}
        cls.options = AESGCM(cls.kek).decrypt(base64.b64decode(packet["iv"]),
                                              base64.b64decode(packet["wrapped_data"]), None)
        cls.image = cls.registry.host + "/keys/encrypted:1"

    def start_own(self, kek=None):
        """By a broker of its own."""
        def table(name, entries):
            return self.write(name, json.dumps(
                {k: base64.b64encode(v).decode() for k, v in entries.items()}))
        return self.serve({"sluice": {
            "offline_keys": table("keys.json", {"default/key/key_id1": kek or self.kek}),
            "offline_resources": table("resources.json", {FILE: self.resource})}},
            insecure=[self.registry.host], name="own")

    def start_before_a_hub(self):
        """By a broker that only the hub behind it speaks to."""
        self.upstream = self.hub({"default/key/key_id1": self.kek, FILE: self.resource})
        return self.serve({"kbc": {"name": "cc_kbc", "url": "http://127.0.0.1:1"},
                           "sluice": {"upstream": "unix://" + self.upstream.socket}},
                          insecure=[self.registry.host])

    def unwrap(self, service, packet=None):
        params = base64.b64encode(b"offline_fs_kbc::null").decode()
        asked = {"op": "keyunwrap", "keywrapparams": {"ec": None, "optsdata": None},
                 "keyunwrapparams": {
                     "dc": {"Parameters": {"attestation-agent": [params]}},
                     "annotation": base64.b64encode(packet or self.packet).decode()}}
        message = base64.b64encode(json.dumps(asked).encode()).decode()
        return self.agent(service).call(*guest_peers.UNWRAP,
                                        {"KeyProviderKeyWrapProtocolInput": message})

    def get(self, service, name=FILE):
        return self.agent(service).call(*guest_peers.RESOURCE, {"ResourcePath": "kbs:///" + name})

    def assert_unwrapped(self, answer):
        self.assertEqual(answer.code, 0, answer)
        output = json.loads(base64.b64decode(answer.fields["KeyProviderKeyWrapProtocolOutput"]))
        options = output["keyunwrapresults"]["optsdata"]
        options = bytes(options) if isinstance(options, list) else base64.b64decode(options)
        self.assertEqual(json.loads(options), json.loads(self.options))

    def assert_failed(self, answer, failure):
        self.assertEqual(answer.code, INTERNAL, answer)
        self.assertTrue(answer.message.startswith(f"{PREFIX}{failure}: "), answer)
        self.assertNotIn("\n", answer.message)


class Answers(KeysCase):
    def test_a_key_is_unwrapped(self):
        self.assert_unwrapped(self.unwrap(self.start_own()))

    def test_a_key_is_unwrapped_by_the_hub_behind(self):
        service = self.start_before_a_hub()
        self.assert_unwrapped(self.unwrap(service))
        self.assertEqual({r["method"] for r in self.upstream.requests}, {"UnWrapKey"},
                         "its keys stay there")

    def test_a_key_that_does_not_fit(self):
        self.assert_failed(self.unwrap(self.start_own(kek=os.urandom(32))),
                           "decrypt image (unwrap key) failed")

    def test_packets_that_are_none(self):
        service = self.start_own()
        for packet in b"{}", b"\0", b"[]", self.packet[:-2], b"x" * (1 << 20):
            self.assert_failed(self.unwrap(service, packet), "decrypt image (unwrap key) failed")
        self.assert_unwrapped(self.unwrap(service))

    def test_a_resource(self):
        for start in self.start_own, self.start_before_a_hub:
            service = start()
            answer = self.get(service)
            self.assertEqual(base64.b64decode(answer.fields["Resource"]), self.resource)
            self.assert_failed(self.get(service, "default/test/none"), "get resource failed")
            service.stop()

    def test_a_resource_that_is_no_uri(self):
        service = self.start_own()
        for name in "a", "a/b/c/d", "../../etc/passwd", "", "x" * 2000:
            self.assert_failed(self.get(service, name), "get resource failed")

    def test_questions_to_a_silent_hub_end_with_the_service(self):
        """Also those that have to wait until others were answered, which nobody ever is."""
        service = self.start_before_a_hub()
        self.upstream.behave(hang=True)
        agent = self.agent(service)
        for _ in range(12):
            agent.ask(*guest_peers.RESOURCE, {"ResourcePath": "kbs:///" + FILE})
        self.upstream.wait_asked("GetResource", 4)
        service.stop()

    def test_pulls_behind_a_silent_hub_end_with_the_service(self):
        """They take turns to ask for the credentials of registries, and it is told to end at once."""
        self.upstream = self.hub({})
        self.upstream.behave(hang=True)
        service = self.serve({
            "kbc": {"name": "cc_kbc", "url": "http://127.0.0.1:1"},
            "image": {"authenticated_registry_credentials_uri": "kbs:///default/credential/1"},
            "sluice": {"upstream": "unix://" + self.upstream.socket, "drain_s": 0}})
        agent = self.agent(service)
        for i in range(4):
            agent.pull(self.image, self.bundle(str(i)))
        self.upstream.wait_asked("GetResource")
        service.stop()

    def test_nobody_wraps(self):
        answer = self.agent(self.start_own()).call(
            guest_peers.UNWRAP[0], "WrapKey", {"KeyProviderKeyWrapProtocolInput": "e30="})
        self.assertEqual((answer.code, answer.message),
                         (NOT_FOUND, "/keyprovider.KeyProviderService/WrapKey is not supported"))


class Memory(KeysCase):
    """Where the operator's own key file is read, its keys may stay in locked memory that no core dump
    holds, and nowhere else."""

    def needles(self):
        symkey = json.loads(self.options)["symkey"]
        return {**forms("the broker's key", self.kek),
                **forms("the layer's key", base64.b64decode(symkey)),
                **text_forms("the layer's options", self.options, symkey.encode())}

    def assert_forgotten(self, service, needles=None, but_kept=False):
        process = Running(service.process.pid)
        kept = process.kept() if but_kept else ()
        self.assertTrue(process.find({"its name": b"docker.io"}, kept), "nothing was looked through")
        self.assertEqual(process.find(needles or self.needles(), kept), {})

    def assert_pull_forgets(self, service):
        answer = self.agent(service).pull(self.image, self.bundle()).wait()
        self.assert_pulled(answer, self.bundle(), secret="of the image")
        # Whoever answers is not yet done with the job.
        self.until(lambda: not service.status()["jobs"], "the job's end")
        self.assert_forgotten(service)

    def test_pull_by_a_broker_of_its_own(self):
        self.assert_pull_forgets(self.start_own())

    def test_pull_by_a_hub(self):
        self.assert_pull_forgets(self.start_before_a_hub())

    def test_pull_with_another_key(self):
        service = self.start_own(kek=os.urandom(32))
        self.assertNotEqual(self.agent(service).pull(self.image, self.bundle()).wait().code, 0)
        self.until(lambda: not service.status()["jobs"], "the job's end")
        self.assert_forgotten(service)

    def test_calls_of_clients(self):
        for start in self.start_own, self.start_before_a_hub:
            service = start()
            self.assert_unwrapped(self.unwrap(service))
            self.assertEqual(self.get(service).code, 0)
            self.assert_forgotten(service, {**self.needles(), **forms("the resource", self.resource)},
                                  but_kept=True)
            service.stop()


if __name__ == "__main__":
    sluiced_case.main()
