#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""--encryption-policy of whole pulls: asked before any blob is fetched and any key is asked for, on
every pull, and by the name that the caller used."""
import json
import os
import subprocess

import sluice_case
from sluice_case import EXIT_FAILED, EXIT_INTEGRITY, EXIT_POLICY

import oci_images
from counting_proxy import CountingProxy
from crafted_image import ENC, KID, PACKET, PUBOPTS, Layer, b64, write_image
from make_tars import archive, entry
from registry import Registry

KEK = bytes(range(32))
PROVIDER = ENC + "keys.provider."
AGENT = "attestation-agent"
REFUSED = "the encryption policy forbids it"
# Opens whatever comes with the answer that lies beside it, and keeps a record.
SCRIPT = "#!/bin/sh\ncat > /dev/null\necho called >> '{0}.calls'\ncat '{0}.answer'\n"


def tar_of(name):
    return archive(entry(name.encode(), name.encode()))


class PolicyCase(sluice_case.SluiceCase):
    def setUp(self):
        super().setUp()
        self.keys = self.write("keys.json", json.dumps({"default/image-kek/one": b64(KEK)}))
        self.store_number = 0

    def make(self, name, *layers):
        write_image(self.path(name), layers)
        return f"oci:{self.path(name)}:latest"

    @staticmethod
    def encrypted(name="enc"):
        return Layer(tar_of(name), None, KEK)

    def with_provider(self, layer, name="mine"):
        """The layer's key comes from a program besides; and the configuration that names it."""
        script = self.path(name)
        with open(script + ".answer", "w", encoding="utf-8") as file:
            json.dump({"keyunwrapresults": {"optsdata": b64(json.dumps(layer.plbco).encode())}}, file)
        os.chmod(self.write(name, SCRIPT.format(script)), 0o755)
        layer.descriptor["annotations"] = {
            PUBOPTS: b64(json.dumps(layer.pubopts).encode()), PROVIDER + name: b64(b"element")}
        return "--key-provider-config", self.write("providers.json", json.dumps(
            {"key-providers": {name: {"cmd": {"path": script}}}}))

    def was_called(self, name="mine"):
        return os.path.exists(self.path(name + ".calls"))

    def policy(self, default="optional", scopes=None, **lists):
        document = {"default": {"encryption": default, **lists}}
        if scopes is not None:
            document["scopes"] = scopes
        return "--encryption-policy", self.write("policy.json", json.dumps(document))

    def broker(self):
        return "--kbc", "offline_fs_kbc::null", "--offline-keys", self.keys

    def fresh(self):
        self.store_number += 1
        self.root = self.path(f"store{self.store_number}")

    def allowed(self, *args):
        self.fresh()
        return self.pull_json(*args)["layers"]

    def forbidden(self, *args, says=()):
        self.fresh()
        text = self.pull_fails(EXIT_POLICY, *args, says=(REFUSED, *says))
        for kind in "layers/sha256", "images/sha256", "blobs/sha256", "refs", "staging":
            self.assertEqual(self.in_store(kind), [], kind)
        return text


class Rules(PolicyCase):
    def test_demands(self):
        encrypted = self.make("enc", self.encrypted())
        plain = self.make("plain", Layer(tar_of("plain"), None))
        self.allowed(*self.policy("optional"), *self.broker(), encrypted)
        self.allowed(*self.policy("optional"), plain)
        self.allowed(*self.policy("required"), *self.broker(), encrypted)
        self.forbidden(*self.policy("required"), plain, says=("layer 1/1", "is not encrypted", "(default)"))
        self.forbidden(*self.policy("forbidden"), *self.broker(), encrypted,
                       says=("layer 1/1", "is encrypted"))
        self.allowed(*self.policy("forbidden"), plain)

    def test_scopes_of_layouts(self):
        plain = self.make("plain", Layer(tar_of("plain"), None))
        for scope in plain, f"oci:{self.path('plain')}", f"oci:{self.folder}", "oci:":
            self.forbidden(*self.policy(scopes={scope: {"encryption": "required"}}), plain,
                           says=(f"scope {scope}"[:60],))
        for scope in f"oci:{self.path('plai')}", plain + "x", "plain":
            self.allowed(*self.policy(scopes={scope: {"encryption": "required"}}), plain)
        self.allowed(*self.policy("required", {plain: {"encryption": "optional"}}), plain)

    def test_lists(self):
        packet = self.make("enc", self.encrypted())
        cases = (
            ({"kids": [KID]}, True), ({"kids": ["kbs:///default/image-kek/"]}, True),
            ({"kids": ["kbs:///default/"]}, True),
            ({"kids": ["kbs:///default/image-kek/on"]}, False), ({"kids": ["kbs:///defaul/"]}, False),
            ({"kids": ["kbs:///other/", "kbs:///default/image-kek/two"]}, False),
            ({"kids": ["kbs://host/default/image-kek/one"]}, False),
            ({"kids": ["kbs+other:///default/"]}, False),
            ({"providers": [AGENT]}, True), ({"providers": ["mine", "attestation"]}, False),
            ({"wrap_types": ["A256GCM"]}, True), ({"wrap_types": ["A256CTR"]}, False),
            ({"protocols": ["jwe", "provider"]}, True),
            ({"protocols": ["jwe", "pgp", "pkcs7", "pkcs11"]}, False),
            ({"protocols": ["provider"], "kids": [KID], "providers": [AGENT], "wrap_types": ["A256GCM"]},
             True),
            ({"protocols": ["provider"], "kids": [KID], "providers": ["mine"], "wrap_types": ["A256GCM"]},
             False))
        for lists, is_allowed in cases:
            with self.subTest(lists):
                args = (*self.policy("required", **lists), *self.broker(), packet)
                if is_allowed:
                    self.allowed(*args)
                else:
                    self.forbidden(*args, says=("layer 1/1", "provider.attestation-agent[0]"))

    def test_kid_in_its_older_forms(self):
        for kid, is_allowed in (("/default/image-kek/one", True), ("host/default/image-kek/one", False),
                                ("kbs://host:1/default/image-kek/one", False),
                                ("kbs+resource:///default/image-kek/one", True)):
            with self.subTest(kid):
                layer = self.encrypted()
                layer.packet["kid"] = kid
                layer.annotate()
                args = (*self.policy("required", kids=["kbs:///default/"]), *self.broker(),
                        self.make("enc", layer))
                if is_allowed:
                    self.allowed(*args)
                else:
                    self.forbidden(*args, says=("kid",))

    def test_one_of_two_keys_is_allowed(self):
        layer = self.encrypted()
        packet = layer.descriptor["annotations"][PACKET]
        config = self.with_provider(layer)
        layer.descriptor["annotations"][PACKET] = packet
        image = self.make("enc", layer)
        report = self.allowed(*self.policy("required", providers=["mine"]), *self.broker(), *config, image)
        self.assertEqual(report[0]["provider"], "mine")
        os.unlink(self.path("mine.calls"))
        report = self.allowed(*self.policy("required", kids=[KID]), *self.broker(), *config, image)
        self.assertEqual((report[0]["provider"], report[0]["kid"]), (AGENT, KID))
        self.assertFalse(self.was_called())

    def test_nobody_is_asked_for_a_key_that_is_not_allowed(self):
        layer = self.encrypted()
        config = self.with_provider(layer)
        image = self.make("enc", layer)
        for rule in ({"providers": [AGENT]}, {"protocols": ["jwe"]}, {"kids": ["kbs:///default/"]},
                     {"wrap_types": ["A256GCM"]}):
            self.forbidden(*self.policy("required", **rule), *config, image, says=("provider.mine[0]",))
        self.forbidden(*self.policy("forbidden"), *config, image)
        self.assertFalse(self.was_called())
        self.allowed(*self.policy("required", providers=["mine"]), *config, image)
        self.assertTrue(self.was_called())

    def test_nobody_is_asked_when_another_layer_is_plain(self):
        """One plain layer on top of, below or between encrypted ones."""
        for plain_at in range(3):
            layers = [self.encrypted(f"enc{i}") for i in range(2)]
            config = self.with_provider(layers[0])
            layers.insert(plain_at, Layer(tar_of("plain"), None))
            image = self.make(f"mixed{plain_at}", *layers)
            self.forbidden(*self.policy("required"), *self.broker(), *config, image,
                           says=(f"layer {plain_at + 1}/3",))
            self.assertFalse(self.was_called())
        report = self.allowed(*self.policy("optional"), *self.broker(), *config, image)
        self.assertEqual([layer["encrypted"] for layer in report], [True, True, False])

    def test_report(self):
        layers = [self.encrypted("own"), Layer(tar_of("plain"), "gzip"), self.encrypted("agent")]
        config = self.with_provider(layers[0])
        report = self.allowed(*self.broker(), *config, self.make("enc", *layers))
        self.assertEqual([{n: layer.get(n) for n in ("encrypted", "protocol", "provider", "kid", "wrapType")}
                          for layer in report],
                         [{"encrypted": True, "protocol": "provider", "provider": "mine", "kid": None,
                           "wrapType": None},
                          {"encrypted": False, "protocol": None, "provider": None, "kid": None,
                           "wrapType": None},
                          {"encrypted": True, "protocol": "provider", "provider": AGENT, "kid": KID,
                           "wrapType": "A256GCM"}])

    def test_report_of_jwe(self):
        key, public = self.path("key.pem"), self.path("key.pub")
        for args in (("genpkey", "-algorithm", "RSA", "-out", key),
                     ("pkey", "-in", key, "-pubout", "-out", public)):
            subprocess.run(["openssl", *args], check=True, capture_output=True)
        image = f"oci:{self.path('jwe')}:latest"
        self.ok("encrypt", "--encryption-key", "jwe:" + public,
                self.make("plain", Layer(tar_of("x"), None)), image)
        args = ("--decryption-key", key, image)
        for lists in {}, {"protocols": ["jwe"]}, {"protocols": ["jwe"], "kids": [KID],
                                                  "wrap_types": ["A256GCM"]}:
            report = self.allowed(*self.policy("required", **lists), *args)
            self.assertEqual((report[0]["encrypted"], report[0]["protocol"]), (True, "jwe"))
        for lists in {"protocols": ["provider"]}, {"providers": [AGENT]}:
            self.forbidden(*self.policy("required", **lists), *args, says=("jwe[0]",))


class Stored(PolicyCase):
    def test_policy_is_asked_again(self):
        image = self.make("enc", self.encrypted())
        plain = self.make("plain", Layer(tar_of("plain"), None))
        self.pull(*self.broker(), image)
        self.pull(plain)
        before = {kind: self.in_store(kind) for kind in ("layers/sha256", "images/sha256", "refs")}
        self.assertEqual(len(before["images/sha256"]), 2)
        for name, demand, rule in ((image, "forbidden", {}), (plain, "required", {}),
                                   (image, "required", {"kids": ["kbs:///other/"]}),
                                   (image, "required", {"protocols": ["jwe"]}),
                                   (image, "optional", {"scopes": {image: {"encryption": "forbidden"}}})):
            self.pull_fails(EXIT_POLICY, *self.policy(demand, **rule), *self.broker(), name,
                            self.path("bundle"),
                            says=REFUSED)
            self.assertFalse(os.path.lexists(self.path("bundle")))
        self.assertEqual({kind: self.in_store(kind) for kind in before}, before)
        report = self.pull_json(*self.policy("required"), *self.broker(), image)
        self.assertEqual([report["layers"][0][n] for n in ("state", "encrypted", "kid")],
                         ["cached", True, KID])


class Registries(PolicyCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.registry = Registry()
        cls.registry.__enter__()
        cls.addClassCleanup(cls.registry.__exit__)

    def push(self, name, *layers):
        """Plain layers are gzip: skopeo packs what is not."""
        self.registry.push(self.make(name.replace("/", "_").replace(":", "_"), *layers), name)

    def blobs(self, layers, proxy):
        digests = [layer.descriptor["digest"] for layer in layers]
        return [path for path in proxy.gets("/blobs/") if any(d in path for d in digests)]

    def test_downgrade(self):
        """What was encrypted yesterday comes plain today, under the same name."""
        plain, encrypted = Layer(tar_of("a")), self.encrypted("a")
        args = ("--tls-verify=false", *self.policy("required"), *self.broker())
        with CountingProxy(self.registry.host) as proxy:
            image = f"docker://{proxy.host}/team/down:1"
            self.push("team/down:1", encrypted)
            self.allowed(*args, image)
            self.push("team/down:1", plain)
            proxy.forget()
            self.forbidden(*args, image, says=("layer 1/1", "not encrypted"))
            self.assertEqual(self.blobs([plain], proxy), [])
            self.assertTrue(proxy.gets("/manifests/"))

    def test_refused_before_blobs_and_keys(self):
        layers = [self.encrypted("one"), self.encrypted("two"), Layer(tar_of("top"))]
        config = self.with_provider(layers[0])
        self.push("team/mixed:1", *layers)
        with CountingProxy(self.registry.host) as proxy:
            image = f"docker://{proxy.host}/team/mixed:1"
            args = ("--tls-verify=false", *self.broker(), *config, image)
            self.forbidden(*self.policy("required"), *args, says=("layer 3/3",))
            self.forbidden(*self.policy("forbidden"), *args, says=("layer 1/3",))
            self.assertFalse(self.was_called())
            self.forbidden(*self.policy("optional", kids=["kbs:///other/"]), *args)
            self.assertEqual(self.blobs(layers, proxy), [])
            self.allowed(*args)
            self.assertEqual(len(self.blobs(layers, proxy)), 3)

    def test_scopes(self):
        self.push("team/sub/image:1", Layer(tar_of("s"), None))
        host = self.registry.host
        image = f"docker://{host}/team/sub/image:1"
        rule = {"encryption": "required"}
        for path in "/team/sub/image:1", "/team/sub/image", "/team/sub", "/team", "":
            scope = host + path
            self.forbidden("--tls-verify=false", *self.policy(scopes={scope: rule}), image,
                           says=("scope " + scope,))
        others = [host + path for path in ("/team/sub/image:2", "/team/su", "/tea")]
        for scope in *others, "127.0.0.1", "example.org", "*.0.0.2":
            self.allowed("--tls-verify=false", *self.policy(scopes={scope: rule}), image)
        more = {f"{host}/team/sub": {"encryption": "optional"}, host: rule}
        self.allowed("--tls-verify=false", *self.policy("required", more), image)


class Malformed(PolicyCase):
    def test_files(self):
        image = self.make("plain", Layer(tar_of("plain"), None))
        good = {"encryption": "optional"}
        cases = (
            ("{", "line 1, column 2"), ('{"default": {"encryption": "optional"},\n "x" }', "line 2, column 6"), ("", ""),
            ("null", ""), ("[]", "object"),
            ({}, "'default' is missing"), ({"default": {}}, "'encryption' is missing"),
            ({"default": None}, "'default'"),
            ({"default": {"encryption": "maybe"}}, "optional, required or forbidden"),
            ({"default": {"encryption": True}}, "optional, required or forbidden"),
            ({"default": {**good, "kid": ["a"]}}, "unknown member kid"),
            ({"default": good, "scope": {}}, "unknown member scope"),
            ({"default": {**good, "kids": "kbs:///a/"}}, "'kids'"),
            ({"default": {**good, "kids": []}}, "'kids'"),
            ({"default": {**good, "kids": [1]}}, "entry 1"),
            ({"default": {**good, "kids": ["kbs:///a/", "a"]}}, "entry 2"),
            ({"default": {**good, "kids": ["http:///a/"]}}, "scheme must be kbs"),
            ({"default": {**good, "protocols": ["JWE"]}}, "no such thing as JWE"),
            ({"default": {**good, "wrap_types": ["a256gcm"]}}, "no such thing as a256gcm"),
            ({"default": {**good, "providers": [""]}}, "empty"),
            ({"default": good, "scopes": []}, "'scopes'"),
            ({"default": good, "scopes": {"": good}}, "scope ''"),
            ({"default": good, "scopes": {"host/": good}}, "'host/'"),
            ({"default": good, "scopes": {"*": good}}, "'*'"),
            ({"default": good, "scopes": {"*.a/b": good}}, "*.a/b"),
            ({"default": good, "scopes": {"h": {}}}, "scope 'h'"),
            ('{"default": {"encryption": "optional"}, "default": {"encryption": "required"}}', "default"),
            ({"default": {**good, "kids": [[[["a"]]]]}}, ""))
        for number, (document, text) in enumerate(cases):
            with self.subTest(document):
                self.fresh()
                path = self.write("policy.json",
                                  document if isinstance(document, str) else json.dumps(document))
                run = self.sluice("pull", "--insecure-policy", "--encryption-policy", path, image)
                self.assertIn(run.returncode, (EXIT_INTEGRITY, EXIT_FAILED), (number, run.stderr))
                self.refused(run.returncode, "encryption policy", "policy.json", text, run=run)
                self.assertEqual(self.in_store("images/sha256"), [])

    def test_missing_file(self):
        image = self.make("plain", Layer(tar_of("plain"), None))
        self.pull_fails(EXIT_FAILED, "--encryption-policy", "/nonexistent/p.json", image,
                        says="/nonexistent/p.json")
        self.pull_fails(EXIT_FAILED, "--encryption-policy", self.folder, image, says=self.folder)


if __name__ == "__main__":
    sluice_case.main("openssl", "skopeo", "docker-registry")
