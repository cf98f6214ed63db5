# SPDX-License-Identifier: Apache-2.0
"""Keys and resources of brokers that we do not speak to, from a confidential data hub upstream."""

import base64
import json
import threading

import sluice_case
import ttrpc
from engine_driver import Driver
from test_keys import KID, KeysCase

BROKER = "cc_kbc::http://[::1]:8080"
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
        uri = ttrpc.one(ttrpc.fields(payload), 1, b"").decode()
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
        self.assertEqual(set(self.asked), {("api.GetResourceService", "GetResource", KID)})

    def test_key_that_is_none_is_refused(self):
        for value, why in ((None, "get resource failed"), (self.kek[1:], "has 31 bytes"),
                           (bytes(32), "")):
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
