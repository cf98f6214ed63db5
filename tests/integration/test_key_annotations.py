#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What images say of their own encryption, also when it is meant to do harm: read strictly where it
matters, within limits, and shown without steering a terminal. And key ids, in all their forms."""
import base64
import json
import os
import shutil

import sluice_case
from sluice_case import EXIT_FAILED, EXIT_INTEGRITY, EXIT_NETWORK

import oci_images
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from crafted_image import ENC, KID, PACKET, PUBOPTS, TYPE, Layer, b64, config_of, write_image
from make_tars import archive, entry

KEK = bytes(range(32))
NAME = "default/image-kek/one"
PROVIDER = ENC + "keys.provider."
DOCKER = "application/vnd.docker.image.rootfs.diff.tar"
FORBIDDEN = TYPE + "layer.nondistributable.v1.tar"
CONTROL = "\x1b[2J\x1b]0;x\x07\r\n\t\b\x7f\u009b2J\u0085"


def tar_of(name):
    return archive(entry(name.encode(), name.encode()))


class AnnotationCase(sluice_case.SluiceCase):
    def setUp(self):
        super().setUp()
        keys = self.write("keys.json", json.dumps({NAME: b64(KEK)}))
        self.broker = ("--kbc", "offline_fs_kbc::null", "--offline-keys", keys)
        self.store_number = 0

    def layout(self, *layers):
        write_image(self.path("enc"), layers)
        return f"oci:{self.path('enc')}:latest"

    def open(self, *layers, **changes):
        """A pull; changes: annotations of the only layer by their short names, or None."""
        self.store_number += 1
        self.root = self.path(f"store{self.store_number}")
        layers = layers or (Layer(tar_of("a"), None, KEK),)
        for name, value in changes.items():
            name = {"pubopts": PUBOPTS, "packet": PACKET}[name]
            layers[0].descriptor["annotations"][name] = value
            if value is None:
                del layers[0].descriptor["annotations"][name]
        return self.sluice("pull", "--insecure-policy", *self.broker, self.layout(*layers))

    def check_harmless(self, run):
        for c in run.stdout + run.stderr:
            self.assertTrue(c == "\n" or ord(c) >= 0x20 and not 0x7f <= ord(c) < 0xa0, repr(c))


def loose(text):
    """The same bytes in base64 whose last bits, which no byte has, are not zero."""
    padded = b64(text + b" " * ((1 - len(text)) % 3))
    assert padded.endswith("A==") or padded[-3] in "AQgw"
    return padded[:-3] + chr(ord(padded[-3]) + 1) + "=="


# What stands in the annotation, made of the public options as they should be; and whether it is read.
PUBLIC_OPTIONS = {
    "as it is": (dict, True),
    "without cipheroptions": (lambda o: {k: v for k, v in o.items() if k != "cipheroptions"}, True),
    "cipheroptions null": (lambda o: {**o, "cipheroptions": None}, True),
    "unknown members": (lambda o: {**o, "more": [1], "cipheroptions": {"other": "AAAA"}}, True),
    "another order": (lambda o: dict(reversed(o.items())), True),
    "blanks around": (lambda o: " \r\n" + b64(json.dumps(o).encode()) + "\t\n", True),
    "no annotation": (lambda o: None, False),
    "empty": (lambda o: "", False),
    "no members": (lambda o: {}, False),
    "cipher null": (lambda o: {**o, "cipher": None}, False),
    "cipher empty": (lambda o: {**o, "cipher": ""}, False),
    "cipher in another case": (lambda o: {"Cipher": o["cipher"], "hmac": o["hmac"]}, False),
    "hmac null": (lambda o: {**o, "hmac": None}, False),
    "hmac empty": (lambda o: {**o, "hmac": ""}, False),
    "hmac long": (lambda o: {**o, "hmac": b64(bytes(33))}, False),
    "hmac with a line end": (lambda o: {**o, "hmac": o["hmac"] + "\n"}, False),
    "hmac without padding": (lambda o: {**o, "hmac": o["hmac"].rstrip("=")}, False),
    "hmac as a list": (lambda o: {**o, "hmac": list(base64.b64decode(o["hmac"]))}, False),
    "hmac twice": (lambda o: b64(json.dumps(o)[:-1].encode() + b',"hmac":"' + o["hmac"].encode() + b'"}'),
                   False),
    "nonce": (lambda o: {**o, "cipheroptions": {"nonce": b64(bytes(16))}}, False),
    "nonce empty": (lambda o: {**o, "cipheroptions": {"nonce": ""}}, False),
    "nonce null": (lambda o: {**o, "cipheroptions": {"nonce": None}}, False),
    "a line end inside": (lambda o: base64.encodebytes(json.dumps(o).encode()).decode().strip(), False),
    "stray bits": (lambda o: loose(json.dumps(o).encode()), False),
    "two": (lambda o: b64(json.dumps(o).encode()) + "," + b64(json.dumps(o).encode()), False),
    "deep": (lambda o: b64(json.dumps(o)[:-1].encode() + b',"a":' + b"[" * 20 + b"]" * 20 + b"}"), None),
    "large": (lambda o: {**o, "a": "x" * 200 * 1024}, None),
}

# The same of the private ones. How those fail that are not read is in another test.
PRIVATE_OPTIONS = {
    "without digest": lambda o: {k: v for k, v in o.items() if k != "digest"},
    "digest null": lambda o: {**o, "digest": None},
    "digest of something else": lambda o: {**o, "digest": "sha256:" + "0" * 64},
    "digest that is none": lambda o: {**o, "digest": "nonsense"},
    "unknown members": lambda o: {**o, "more": [1], "cipheroptions": {**o["cipheroptions"], "other": "AAAA"}},
    "as other tools order them": lambda o: {n: o[n] for n in ("symkey", "cipheroptions", "digest")},
}


class Reading(AnnotationCase):
    """Rows of the table of ocicrypt's readers."""

    def test_public_options(self):
        for name, (change, is_good) in PUBLIC_OPTIONS.items():
            with self.subTest(name):
                layer = Layer(tar_of("a"), None, KEK)
                value = change(layer.pubopts)
                if isinstance(value, dict):
                    value = b64(json.dumps(value).encode())
                run = self.open(layer, pubopts=value)
                if is_good:
                    self.good(run)
                else:
                    self.refused(EXIT_INTEGRITY if is_good is False else EXIT_FAILED, "layer 1/1", run=run)

    def test_private_options(self):
        for name, change in PRIVATE_OPTIONS.items():
            with self.subTest(name):
                layer = Layer(tar_of("a"), None, KEK)
                self.wrap(layer, json.dumps(change(layer.plbco)).encode())
                self.good(self.open(layer))

    @staticmethod
    def wrap(layer, plbco, **changes):
        iv = os.urandom(12)
        layer.packet = {**layer.packet, "iv": b64(iv),
                        "wrapped_data": b64(AESGCM(KEK).encrypt(iv, plbco, None)), **changes}
        layer.annotate()

    def test_packets(self):
        for changes, code in (({"version": "0.1.0", "provider": "kbs"}, 0), ({"more": {"a": [1]}}, 0),
                              ({"provider_settings": {"a": "b"}, "annotations": {"c": "d"}}, 0),
                              ({"version": "0.2.0"}, EXIT_FAILED), ({"provider": "aliyun"}, EXIT_FAILED),
                              ({"wrap_type": "a256gcm"}, EXIT_FAILED), ({"wrap_type": None}, EXIT_INTEGRITY),
                              ({"kid": None}, EXIT_INTEGRITY),
                              ({"kid": "kbs:///a/b/" + "c" * 2000}, EXIT_FAILED),
                              ({"more": json.loads("[" * 20 + "]" * 20)}, EXIT_FAILED)):
            with self.subTest(changes):
                layer = Layer(tar_of("a"), None, KEK)
                self.wrap(layer, json.dumps(layer.plbco).encode(), **changes)
                run = self.open(layer)
                if code:
                    self.refused(code, "layer 1/1", "provider.attestation-agent[0]", run=run)
                else:
                    self.good(run)

    def test_media_types(self):
        for media_type, pack in ((DOCKER + ".gzip", "gzip"), (DOCKER, None), (DOCKER + ".zstd", "zstd"),
                                 (FORBIDDEN, None), (FORBIDDEN + "+gzip", "gzip"),
                                 (FORBIDDEN + "+zstd", "zstd")):
            with self.subTest(media_type):
                layer = Layer(tar_of("a"), pack, KEK)
                layer.descriptor["mediaType"] = media_type + "+encrypted"
                self.good(self.open(layer))

    def test_other_ciphers(self):
        for cipher in "AES_256_CTR", "AES_128_GCM", "aes_256_ctr_hmac_sha256":
            layer = Layer(tar_of("a"), None, KEK)
            layer.pubopts["cipher"] = cipher
            layer.annotate()
            self.refused(EXIT_FAILED, "unsupported cipher type", cipher, run=self.open(layer))


class Splicing(AnnotationCase):
    """Layers are not bound to one another by their encryption; the image's config binds them."""

    def pull_config(self, layers, shown):
        """The config knows the layers, the manifest lists those that are shown."""
        config = json.dumps(config_of(layers)).encode()
        write_image(self.path("enc"), shown, config)
        return self.sluice("pull", "--insecure-policy", *self.broker, f"oci:{self.path('enc')}:latest")

    def test_layers(self):
        one, two, other = (Layer(tar_of(name), None, KEK) for name in ("one", "two", "other"))
        plain = Layer(tar_of("plain"), None)
        for shown in (two, one), (one, one), (one, other), (other, two), (one, plain):
            with self.subTest(shown=[layer.diff_id for layer in shown]):
                run = self.pull_config((one, two), shown)
                self.refused(EXIT_INTEGRITY, "diff_id", run=run)
        for shown in (one,), (one, two, plain):
            self.refused(EXIT_INTEGRITY, run=self.pull_config((one, two), shown))
        self.assertEqual(self.in_store("layers/sha256"), [])

    def test_annotations_of_another_layer(self):
        one, two = (Layer(tar_of(name), None, KEK) for name in ("one", "two"))
        for name in PUBOPTS, PACKET:
            good = dict(one.descriptor["annotations"])
            one.descriptor["annotations"][name] = two.descriptor["annotations"][name]
            self.refused(EXIT_INTEGRITY, "layer 1/2", run=self.open(one, two))
            one.descriptor["annotations"] = good
        self.good(self.open(one, two))


class Limits(AnnotationCase):
    def packet(self, layer):
        return b64(json.dumps(layer.packet).encode())

    def test_number_of_elements(self):
        bad = b64(b"{}")
        layer = Layer(tar_of("a"), None, KEK)
        self.good(self.open(layer, packet=",".join([bad] * 63 + [self.packet(layer)])))
        self.good(self.open(layer, packet="," * 1000 + self.packet(layer) + " ,\n" * 1000))
        run = self.open(layer, packet=",".join([bad] * 64 + [self.packet(layer)]))
        self.refused(EXIT_FAILED, "more than 64 wrapped keys", PACKET, run=run)
        # All protocols and providers count together.
        layer = Layer(tar_of("a"), None, KEK)
        layer.descriptor["annotations"].update({f"{PROVIDER}p{i}": bad for i in range(64)})
        self.refused(EXIT_FAILED, "more than 64 wrapped keys", run=self.open(layer))

    def test_sizes(self):
        layer = Layer(tar_of("a"), None, KEK)
        good = self.packet(layer)
        run = self.open(layer, packet="A" * (64 * 1024 + 4) + "," + good)
        self.refused(EXIT_FAILED, "wrapped key 0 exceeds 65536 bytes", run=run)
        self.good(self.open(layer, packet="A" * 64 * 1024 + "," + good))
        for name in "packet", "pubopts":
            layer = Layer(tar_of("a"), None, KEK)
            run = self.open(layer,
                            **{name: layer.descriptor["annotations"][PACKET if name == "packet" else PUBOPTS]
                                      + "," * 300 * 1024})
            self.refused(EXIT_FAILED, "annotations", "262144", run=run)


class Showing(AnnotationCase):
    def show(self, layer):
        """What keys show and inspect say, each in both ways."""
        image = self.layout(layer)
        runs = [self.sluice(*words, image) for words in (("keys", "show"), ("keys", "show", "--json"),
                                                         ("inspect",))]
        for run in runs:
            self.check_harmless(run)
        return runs

    def test_control_characters(self):
        layer = Layer(tar_of("a"), None, KEK)
        layer.packet.update(kid=f"kbs:///a/b/{CONTROL}", wrap_type=CONTROL)
        layer.annotate()
        layer.descriptor["annotations"].update({
            f"{PROVIDER}{CONTROL}": b64(json.dumps(layer.packet).encode()), CONTROL: CONTROL})
        table, listed, inspected = self.show(layer)
        self.assertEqual(self.good(table).count("\n"), 3)
        keys = json.loads(self.good(listed))["layers"][0]["keys"]
        self.assertEqual({key["provider"] for key in keys}, {CONTROL, "attestation-agent"})
        self.assertEqual({key["kid"] for key in keys}, {layer.packet["kid"]})
        annotations = json.loads(self.good(inspected))["LayersData"][0]["Annotations"]
        self.assertEqual(annotations, layer.descriptor["annotations"])

    def test_pulls_and_their_reports(self):
        layer = Layer(tar_of("a"), None, KEK)
        layer.packet["kid"] = f"kbs:///a/b/{CONTROL}"
        layer.annotate()
        layer.descriptor["annotations"][PROVIDER + CONTROL] = b64(b"x")
        for options in (), ("--debug",), ("--json",), ("--debug", "--json"):
            run = self.sluice("pull", "--insecure-policy", *self.broker, *options, self.layout(layer))
            self.assertEqual(run.returncode, EXIT_NETWORK, run.stderr)
            self.check_harmless(run)
            if "--json" in options:
                for line in run.stderr.splitlines():
                    json.loads(line)

    def test_labels_and_environment(self):
        layer = Layer(tar_of("a"), None)
        config = config_of([layer])
        config["config"] = {"Env": ["A=" + CONTROL], "Labels": {CONTROL: CONTROL}, "Cmd": [CONTROL],
                            "User": CONTROL}
        write_image(self.path("enc"), [layer], json.dumps(config, ensure_ascii=False).encode())
        run = self.sluice("inspect", f"oci:{self.path('enc')}:latest")
        self.check_harmless(run)
        self.assertEqual(json.loads(self.good(run))["Labels"], {CONTROL: CONTROL})

    def test_many_and_large(self):
        for annotations, text in (({PACKET: ",".join([b64(b"{}")] * 100)}, "more than 64"),
                                  ({PACKET: "A" * 300 * 1024}, "262144"),
                                  ({PUBOPTS: "A" * 300 * 1024}, "262144"),
                                  ({PACKET: "A" * 65540}, "exceeds 65536"), ({PUBOPTS: "***"}, "base64")):
            layer = Layer(tar_of("a"), None, KEK)
            layer.descriptor["annotations"].update(annotations)
            table, listed, inspected = self.show(layer)
            self.assertIn(table.returncode, (EXIT_FAILED, EXIT_INTEGRITY))
            self.refused(table.returncode, "layer", text, run=table)
            self.assertEqual(listed.returncode, table.returncode)
            self.assertIn(text, json.loads(listed.stderr)["message"])
            self.assertEqual(listed.stdout, "")
            if text == "262144":
                self.refused(EXIT_FAILED, text, run=inspected)
            else:
                self.assertTrue(json.loads(self.good(inspected))["LayersData"][0]["Encrypted"])

    def test_elements_that_are_none(self):
        kids = ["x" * 5000, 7, None, [], "a\0b", "\ud83d\ude00" * 9]
        elements = [json.dumps({"kid": kid}).encode() for kid in kids]
        elements += [b"", b"{", b"[" * 1000, b"\xff\xfe", b'{"kid":"a","kid":"b"}', b'{"kid":"\xc2"}']
        texts = [b64(e) for e in elements if e] + ["***", "A", "A===", "=", "AA\x01A"]
        layer = Layer(tar_of("a"), None, KEK)
        others = ("jwe", "pkcs7", "pgp", "pkcs11")
        layer.descriptor["annotations"].update({f"{ENC}keys.{p}": ",".join(texts[:10]) for p in others})
        layer.descriptor["annotations"][PACKET] = ",".join(texts)
        table, listed, _ = self.show(layer)
        self.assertEqual(self.good(table).count("\n"), 1 + len(texts) + 40)
        keys = json.loads(self.good(listed))["layers"][0]["keys"]
        self.assertEqual(len(keys), len(texts) + 40)
        # OpenPGP messages are not looked into.
        self.assertEqual([k for k in keys if "malformed" not in k and k["protocol"] != "pgp"], [])


class KeyIds(AnnotationCase):
    def export(self, kid):
        out = self.path("out")
        run = self.sluice("keys", "export", self.path("table.json"), kid, out)
        if os.path.exists(out):
            os.unlink(out)
        return run

    def test_export(self):
        self.write("table.json", json.dumps({"repo/type/tag": b64(KEK), "alice/cosign-key/213": b64(KEK)}))
        for kid in ("kbs:///alice/cosign-key/213", "kbs:///repo/type/tag?param1=value1&param2=value2",
                    "kbs+resource:///repo/type/tag", "kbs://example.com:8080/repo/type/tag",
                    "kbs://[::1]:80/repo/type/tag",
                    "repo/type/tag"):
            self.good(self.export(kid))
        for kid, text in (("kbs+pkcs11:///repo/type/tag", "pkcs11"),
                          ("kbs+custom://example.com:8080/repo/type/tag", "custom"),
                          ("http:///repo/type/tag", "scheme must be kbs or kbs+<plugin>"),
                          ("kbs+:///repo/type/tag", "scheme kbs+ requires a plugin name, e.g. kbs+pkcs11"),
                          ("kbs://host", "should be kbs://<addr-of-kbs>/<repo>/<type>/<tag>"),
                          ("kbs:///", "should be kbs://"),
                          ("KBS:///repo/type/tag", "'KBS'"), ("kbs:repo/type/tag", "'kbs:repo'"),
                          ("kbs://u@h/repo/type/tag", "'u@h'"),
                          ("kbs:///repo/type/tag#f", "'tag#f'"), ("kbs:///repo/../tag", "'..'"),
                          ("kbs:///./type/tag", "'.'"),
                          ("kbs:///repo/%74ype/tag", "'%74ype'"), ("kbs:///repo//tag", "''"),
                          ("kbs:///repo/type/", "''"),
                          ("kbs://kbs://repo/type/tag", "kbs:"), ("kbs:///kbs:///repo/type/tag", "doubled"),
                          ("kbs+kbs+x:///repo/type/tag", "kbs+x"), ("kbs:///repo/type", "3 instead of 2"),
                          ("kbs:///repo/type/tag/x", "3 instead of 4"),
                          ("kbs:///repo/type/tag?a b", "query")):
            with self.subTest(kid):
                self.refused(EXIT_INTEGRITY, text, run=self.export(kid))
        self.refused(EXIT_NETWORK, "unknown key ID", "repo/type/other",
                     run=self.export("kbs:///repo/type/other"))

    def encrypt(self, kid):
        with open(self.path("kek"), "wb") as file:
            file.write(KEK)
        write_image(self.path("plain"), [Layer(tar_of("a"), None)])
        return self.sluice("encrypt", "--encryption-key",
                           f"provider:attestation-agent:keypath={self.path('kek')}::keyid={kid}",
                           f"oci:{self.path('plain')}:latest", f"oci:{self.path('out')}:latest")

    def test_encrypt(self):
        for kid, written in (("kbs:///default/key/1", "kbs:///default/key/1"),
                             ("/default/key/1", "kbs:///default/key/1"),
                             ("kbs+resource:///default/key/1", "kbs:///default/key/1"),
                             ("kbs://host:80/default/key/1", "kbs://host:80/default/key/1"),
                             ("host/default/key/1", "kbs://host/default/key/1")):
            with self.subTest(kid):
                self.good(self.encrypt(kid))
                layer = oci_images.read_manifest(self.path("out"))["layers"][0]
                self.assertEqual(json.loads(base64.b64decode(layer["annotations"][PACKET]))["kid"], written)
                shutil.rmtree(self.path("out"))
        for kid in ("default/key/1", "/default/key", "key", "http://h/default/key/1",
                    "kbs://kbs://default/key/1", "kbs:///a/b/../c",
                    "kbs:///a/b/c#d", "kbs+:///a/b/c", ""):
            with self.subTest(kid):
                run = self.encrypt(kid)
                self.assertIn(run.returncode, (EXIT_INTEGRITY, EXIT_FAILED), run.stderr)
                self.refused(run.returncode, kid[:40], run=run)
                self.assertFalse(os.path.lexists(self.path("out")))

    def test_pull(self):
        for kid, is_good in ((KID, True), (KID + "?a=b", True), (KID.replace("kbs:", "kbs+resource:"), True),
                             ("/" + NAME, True), ("host/" + NAME, True), ("kbs://host/" + NAME, True),
                             (NAME, False),
                             ("kbs:///kbs:///" + NAME, False), ("kbs+pkcs11:///" + NAME, False),
                             ("kbs:///../" + NAME, False)):
            with self.subTest(kid):
                layer = Layer(tar_of("a"), None, KEK)
                layer.packet["kid"] = kid
                layer.annotate()
                run = self.open(layer)
                if is_good:
                    self.good(run)
                else:
                    self.refused(EXIT_INTEGRITY, "kid", run=run)


if __name__ == "__main__":
    sluice_case.main("zstd")
