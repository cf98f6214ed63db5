# SPDX-License-Identifier: Apache-2.0
"""Keys of the offline broker and of key providers, from the making to the pull; and what the
encryption policy says to it."""
import base64
import json
import os
import subprocess

import sluice_case
from sluice_case import EXIT_FAILED, EXIT_NETWORK, EXIT_POLICY, EXIT_USAGE

import oci_images
from registry import Registry, run

KID = "kbs:///default/key/key_id1"
ENC_KEYS = "org.opencontainers.image.enc.keys."
# A key provider of ocicrypt's: wraps by calling it base64.
PROVIDER = """#!/usr/bin/python3
import base64, json, sys
r = json.load(sys.stdin)
if r["op"] == "keywrap":
    data = base64.b64decode(r["keywrapparams"]["optsdata"])
    print(json.dumps({"keywrapresults": {"annotation": list(base64.b64encode(data))}}))
else:
    data = base64.b64decode(base64.b64decode(r["keyunwrapparams"]["annotation"]))
    print(json.dumps({"keyunwrapresults": {"optsdata": list(data)}}))
"""


class KeysCase(sluice_case.SluiceCase):
    def setUp(self):
        super().setUp()
        os.mkdir(self.path("plain"))
        tar = self.path("layer.tar")
        with open(self.path("file"), "wb") as file:
            file.write(b"content")
        run("tar", "-C", self.folder, "-cf", tar, "file")
        oci_images.write_plain_image(self.path("plain"), [tar])
        self.keys = self.write("keys.json", self.ok("keys", "generate", "-n", "2"))

    def layout(self, name):
        return f"oci:{self.path(name)}:latest"

    def export(self, kid, out):
        return self.sluice("keys", "export", self.keys, kid, out)

    def kbc(self):
        return "--kbc", "offline_fs_kbc::null", "--offline-keys", self.keys

    def encrypt(self, destination="enc", spec=None, *options):
        if spec is None:
            self.good(self.export(KID, self.path("kek")))
            spec = f"provider:attestation-agent:keypath={self.path('kek')}::keyid={KID}::" \
                   "algorithm=A256GCM"
        self.ok("encrypt", "--quiet", "--encryption-key", spec, *options, self.layout("plain"),
                self.layout(destination))

    def put_manifest(self, manifest):
        with open(self.path("enc", "index.json"), encoding="utf-8") as file:
            index = json.load(file)
        index["manifests"][0].update(
            oci_images.write_blob(self.path("enc"), json.dumps(manifest).encode()))
        with open(self.path("enc", "index.json"), "w", encoding="utf-8") as file:
            json.dump(index, file)


class Verb(KeysCase):
    def test_generated_keys_differ(self):
        keys = json.loads(self.read("keys.json"))
        self.assertEqual(sorted(keys), ["default/key/key_id1", "default/key/key_id2"])
        values = {base64.b64decode(v, validate=True) for v in keys.values()}
        self.assertEqual([len(v) for v in values], [32, 32])
        more = json.loads(self.ok("keys", "generate", "--repository", "team"))
        self.assertEqual(sorted(more), sorted(f"team/key/key_id{i}" for i in range(1, 11)))

    def test_export(self):
        want = base64.b64decode(json.loads(self.read("keys.json"))["default/key/key_id2"])
        for kid, name in ("default/key/key_id2", "a"), ("kbs:///default/key/key_id2", "b"):
            self.good(self.export(kid, self.path(name)))
            self.assertEqual(os.stat(self.path(name)).st_mode & 0o7777, 0o600)
            with open(self.path(name), "rb") as file:
                self.assertEqual(file.read(), want)
        piped = subprocess.run(self.command("keys", "export", self.keys, "default/key/key_id2", "-"),
                               env=self.environment(), capture_output=True, check=True)
        self.assertEqual(piped.stdout, want)

    def test_export_refuses(self):
        self.write("there", "old")
        os.symlink("nowhere", self.path("link"))
        for out in "there", "link":
            self.refused(EXIT_FAILED, out, run=self.export(KID, self.path(out)))
        self.assertEqual(self.read("there"), "old")
        self.refused(EXIT_NETWORK, "key_id9", run=self.export("default/key/key_id9", self.path("x")))
        self.assertFalse(os.path.exists(self.path("x")))

    def test_usage(self):
        for args in ("frobnicate",), ("export", "a"), ("show",), ("generate", "x"):
            self.refused(EXIT_USAGE, "usage", run=self.sluice("keys", *args))
        self.refused(EXIT_USAGE, "--number", run=self.sluice("keys", "generate", "-n", "0"))

    def test_show(self):
        self.encrypt()
        table = self.ok("keys", "show", self.layout("enc")).splitlines()
        self.assertEqual(len(table), 2)
        self.assertEqual(table[1].split()[2:], ["provider", "attestation-agent", "A256GCM", KID])
        shown = json.loads(self.ok("keys", "show", "--json", self.layout("enc")))
        self.assertEqual(shown["layers"][0]["keys"],
                         [{"protocol": "provider", "provider": "attestation-agent", "index": 0,
                           "kid": KID, "wrapType": "A256GCM"}])
        plain = json.loads(self.ok("keys", "show", "--json", self.layout("plain")))
        self.assertEqual(plain["layers"][0]["encrypted"], False)

    def test_show_does_not_steer_the_terminal(self):
        self.encrypt()
        manifest = oci_images.read_manifest(self.path("enc"))
        annotations = manifest["layers"][0]["annotations"]
        name = ENC_KEYS + "provider.attestation-agent"
        packet = json.loads(base64.b64decode(annotations[name]))
        packet["kid"] = "kbs:///a/b/\u001b[2J\n"
        annotations[name] = base64.b64encode(json.dumps(packet).encode()).decode()
        self.put_manifest(manifest)
        text = self.ok("keys", "show", self.layout("enc"))
        self.assertNotIn("\x1b", text)
        self.assertEqual(text.count("\n"), 2)


class Brokers(KeysCase):
    def pulled(self, *options, **kwargs):
        return self.pull_json(*options, self.layout("enc"), **kwargs)["layers"][0]

    def test_packet_by_file_and_pull_by_broker(self):
        self.encrypt()
        layer = self.pulled(*self.kbc())
        self.assertEqual([layer[n] for n in ("protocol", "provider", "kid", "wrapType")],
                         ["provider", "attestation-agent", KID, "A256GCM"])

    def test_packet_by_broker(self):
        self.encrypt("enc", f"provider:attestation-agent:keyid={KID}", *self.kbc())
        self.assertEqual(self.pulled(*self.kbc())["kid"], KID)

    def test_broker_named_as_a_decryption_key(self):
        self.encrypt()
        layer = self.pulled("--decryption-key", "provider:attestation-agent:offline_fs_kbc::null",
                            "--offline-keys", self.keys)
        self.assertEqual(layer["kid"], KID)

    def test_a256ctr_is_allowed_or_not(self):
        spec = f"provider:attestation-agent:keyid={KID}::algorithm=A256CTR"
        done = self.sluice("encrypt", "--encryption-key", spec, *self.kbc(), self.layout("plain"),
                           self.layout("enc"))
        self.assertNotEqual(done.returncode, 0)
        self.assertFalse(os.path.exists(self.path("enc")))
        self.encrypt("enc", spec, "--allow-a256ctr", *self.kbc())
        self.pull_fails(EXIT_POLICY, *self.kbc(), self.layout("enc"), says="A256CTR")
        self.assertEqual(self.pulled("--allow-a256ctr", *self.kbc())["wrapType"], "A256CTR")

    def test_sample_key(self):
        spec = "provider:attestation-agent:sample=true"
        done = self.sluice("encrypt", "--encryption-key", spec, self.layout("plain"),
                           self.layout("enc"))
        self.assertNotEqual(done.returncode, 0)
        self.encrypt("enc", spec, "--unsafe-sample-key")
        self.pulled("--unsafe-sample-key", "--kbc", "sample_kbc::null")

    def test_provider_program(self):
        program = self.write("provider.py", PROVIDER)
        os.chmod(program, 0o755)
        config = self.write("providers.json", json.dumps(
            {"key-providers": {"mine": {"cmd": {"path": program, "args": []}}}}))
        self.encrypt("enc", "provider:mine", "--key-provider-config", config)
        self.assertEqual(self.pulled("--key-provider-config", config)["provider"], "mine")
        env = self.environment(OCICRYPT_KEYPROVIDER_CONFIG=config)
        self.root = self.path("other")
        self.assertEqual(self.pulled(env=env)["provider"], "mine")

    def test_providers_that_are_wrong_are_told_at_once(self):
        config = self.write("providers.json", '{"key-providers": 7}')
        self.pull_fails(5, "--key-provider-config", config, self.layout("plain"))


class Policy(KeysCase):
    def policy(self, **rule):
        return "--encryption-policy", self.write("policy.json", json.dumps({"default": rule}))

    def test_required(self):
        self.encrypt()
        policy = self.policy(encryption="required")
        self.pull(*policy, *self.kbc(), self.layout("enc"))
        self.pull_fails(EXIT_POLICY, *policy, self.layout("plain"), says="layer 1/1 ")

    def test_forbidden(self):
        self.encrypt()
        policy = self.policy(encryption="forbidden")
        self.pull(*policy, self.layout("plain"))
        self.pull_fails(EXIT_POLICY, *policy, *self.kbc(), self.layout("enc"), says="layer 1/1 ")

    def test_keys(self):
        self.encrypt()
        for prefix, allowed in (("kbs:///default/key/", True), ("kbs:///other/", False)):
            self.root = self.path("store" + str(allowed))
            args = (*self.policy(encryption="required", kids=[prefix]), *self.kbc(),
                    self.layout("enc"))
            if allowed:
                self.pull(*args)
            else:
                self.pull_fails(EXIT_POLICY, *args, says="layer 1/1 ")

    def test_refused_before_any_blob_is_asked_for(self):
        with Registry() as registry:
            registry.push(self.layout("plain"), "team/image:1")
            self.pull_fails(EXIT_POLICY, "--tls-verify=false", *self.policy(encryption="required"),
                            registry.ref("team/image:1"))
            layer = oci_images.read_manifest(self.path("plain"))["layers"][0]["digest"]
            self.assertNotIn(f"GET /v2/team/image/blobs/{layer}", registry.log())

    def test_cached_layers_are_no_way_around(self):
        self.pull(self.layout("plain"))
        self.pull_fails(EXIT_POLICY, *self.policy(encryption="required"), self.layout("plain"))


if __name__ == "__main__":
    sluice_case.main("skopeo", "docker-registry", "tar")
