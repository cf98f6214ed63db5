# SPDX-License-Identifier: Apache-2.0
"""Keys and resources of brokers that we do not speak to, from a confidential data hub upstream."""

import base64
import json
import shutil
import threading

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

import sluice_case
import ttrpc
from engine_driver import Driver
from test_keys import KID, KeysCase

BROKER = "cc_kbc::http://[::1]:8080"
PROVIDER = "keyprovider.KeyProviderService"
PACKET = "org.opencontainers.image.enc.keys.provider.attestation-agent"
ACCEPT = json.dumps({"default": [{"type": "insecureAcceptAnything"}]})


class Upstream(KeysCase):
    def setUp(self):
        super().setUp()
        self.socket = self.path("cdh.sock")
        self.asked, self.answers = [], {}
        self.encrypt()
        self.kek = base64.b64decode(json.loads(self.read("keys.json"))["default/key/key_id1"])
        server = ttrpc.Server(self.socket, self.answer)
        server.__enter__()
        self.addCleanup(server.__exit__)

    def answer(self, service, method, payload):
        asked = ttrpc.one(ttrpc.fields(payload), 1, b"").decode()
        if method == "UnWrapKey":
            return self.unwrap(service, json.loads(asked)["keyunwrapparams"])
        return self.give(service, method, asked)

    def unwrap(self, service, params):
        """As the hub does, by the KEK that it would give."""
        packet = json.loads(base64.b64decode(params["annotation"]))
        kek = ttrpc.one(ttrpc.fields(self.give(service, "UnWrapKey", packet["kid"])), 1, b"")
        try:
            options = AESGCM(kek).decrypt(base64.b64decode(packet["iv"]),
                                          base64.b64decode(packet["wrapped_data"]), None)
        except (InvalidTag, ValueError) as e:
            raise ttrpc.Refused(ttrpc.INTERNAL, "decrypt with KEK failed") from e
        return ttrpc.field(1, json.dumps({"keyunwrapresults": {"optsdata": list(options)}}).encode())

    def give(self, service, method, uri):
        self.asked.append((service, method, uri))
        value = self.answers.get(uri)
        if value is None:
            raise ttrpc.Refused(ttrpc.INTERNAL, "get resource failed")
        if callable(value):
            value = value()
        return ttrpc.field(1, value)

    def run_driver(self, *args, upstream=True):
        if upstream:
            args = ("--upstream", "unix://" + self.socket, *args)
        return Driver(self, *args, self.layout("enc"))

    def test_key_comes_from_upstream(self):
        self.answers[KID] = self.kek
        for args in ("--kbc", BROKER), (), ("--kbc", "cc_kbc"):
            self.assertEqual(self.run_driver(*args).done(0)[0], "ok", args)
        self.assertEqual(set(self.asked), {(PROVIDER, "UnWrapKey", KID)})

    def fresh_store(self):
        shutil.rmtree(self.root, ignore_errors=True)

    def rewrite_packets(self, **members):
        """Of every layer. No digest of anything else depends on it but the manifest's own."""
        manifest = json.loads(self.ok("inspect", "--raw", self.layout("enc")))
        for layer in manifest["layers"]:
            packet = json.loads(base64.b64decode(layer["annotations"][PACKET]))
            layer["annotations"][PACKET] = base64.b64encode(
                json.dumps({**packet, **members}).encode()).decode()
        self.put_manifest(manifest)

    def test_packets_of_other_providers_go_upstream_whatever_broker_is_ours(self):
        """A key management service's; and those of a version that is not known here."""
        self.answers[KID] = self.kek
        for members in {"provider": "aliyun"}, {"provider": "kbs", "version": "9.0.0"}:
            self.rewrite_packets(**members)
            self.asked.clear()
            code, text = self.run_driver(*self.kbc()).done(0)
            self.assertEqual(code, "ok", text)
            self.assertEqual(set(self.asked), {(PROVIDER, "UnWrapKey", KID)}, members)
            self.fresh_store()
            code, text = self.run_driver(*self.kbc(), upstream=False).done(0)
            self.assertEqual(code, "unsupported", text)
            self.fresh_store()

    def test_key_that_is_none_is_refused(self):
        for value, why in ((None, "get resource failed"), (self.kek[1:], "with KEK failed"),
                           (bytes(32), "with KEK failed")):
            self.answers[KID] = value
            code, text = self.run_driver("--kbc", BROKER).done(0)
            self.assertIn(code, ("auth", "format", "integrity"))
            self.assertIn("Failed to decrypt the image layer, please ensure that the decryption "
                          "key is placed and correct", text)
            self.assertIn(why, text)
            self.assertNotIn(self.kek.hex(), text)

    def test_without_upstream_the_error_says_what_to_configure(self):
        code, text = self.run_driver("--kbc", BROKER, upstream=False).done(0)
        self.assertEqual(code, "unsupported")
        self.assertIn("configure an upstream", text)
        self.assertEqual(self.asked, [])

    def test_brokers_of_our_own_are_not_asked_elsewhere(self):
        code, _ = self.run_driver("--kbc", "offline_fs_kbc::null").done(0)
        self.assertNotEqual(code, "ok")
        self.assertEqual(self.asked, [])

    def test_who_waits_for_a_key_is_cancelled(self):
        reached, go = threading.Event(), threading.Event()
        self.addCleanup(go.set)

        def wait():
            reached.set()
            go.wait(sluice_case.TIMEOUT)
            return self.kek

        self.answers[KID] = wait
        driver = self.run_driver("--kbc", BROKER)
        self.assertTrue(reached.wait(sluice_case.TIMEOUT))
        driver.tell("cancel 0")
        code, text = driver.done(0)
        self.assertEqual(code, "cancelled", text)
        self.assertEqual(driver.finish(), (0, ""))

    def test_policy_is_a_text(self):
        self.answers[KID] = self.kek
        self.assertEqual(self.run_driver("--policy", ACCEPT).done(0)[0], "ok")
        code, text = self.run_driver("--policy", '{"default": [{"type": "reject"}]}').done(0)
        self.assertEqual(code, "policy")
        self.assertIn("Image policy rejected: Denied by policy", text)
        code, text = self.run_driver("--policy", "nonsense").done(0)
        self.assertIn("the configured signature policy", text)


if __name__ == "__main__":
    sluice_case.main("tar")
