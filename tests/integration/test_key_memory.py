#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""No key stays in memory after a pull: looks through all that the process still has when it exits,
freed or not, for the keys of its layers and for the keys that these were wrapped with."""
import base64
import io
import json
import os
import subprocess
import sys
import tarfile

import sluice_case

try:
    import crafted_image
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import padding, rsa
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
except ImportError:
    print("skipped: needs python3-cryptography")
    sys.exit(77)
from key_memory_case import PROGRAMS, KeyMemory, forms, private_forms
from oci_images import read_manifest, write_plain_image

JWE = "org.opencontainers.image.enc.keys.jwe"
PASSWORD = "a password that nobody has"
NOBODY = 65534


def tar_of(name, size):
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        entry = tarfile.TarInfo(name)
        entry.size = size
        tar.addfile(entry, io.BytesIO(os.urandom(size)))
    return data.getvalue()


def b64u(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class Packet(KeyMemory):
    """A CoCo packet, its key in a file."""

    def setUp(self):
        super().setUp()
        self.kek = os.urandom(32)
        self.layers = [crafted_image.Layer(tar_of(name, size), kek=self.kek)
                       for name, size in (("small", 1000), ("large", 3 << 20))]
        self.image = self.path("image")
        crafted_image.write_image(self.image, self.layers)

    def keys_file(self, kek, text=None):
        name = crafted_image.KID.removeprefix("kbs:///")
        text = text or json.dumps({name: base64.b64encode(kek).decode(), "other/key/1": "AAAA"})
        return ["--kbc", "offline_fs_kbc::null", "--offline-keys", self.write("keys.json", text)]

    def needles(self):
        found = forms("the broker's key", self.kek)
        for i, layer in enumerate(self.layers):
            found.update(forms(f"the key of layer {i}", layer.lek))
        return found

    def test_pull(self):
        self.assert_forgotten(self.needles(), *self.keys_file(self.kek), "oci:" + self.image)

    def test_pull_verifying_first(self):
        self.assert_forgotten(self.needles(), "--verify-first", *self.keys_file(self.kek),
                              "oci:" + self.image)

    def test_key_written_with_escapes(self):
        """As JSON may be: the reader then needs memory of its own."""
        name = crafted_image.KID.removeprefix("kbs:///")
        text = base64.b64encode(self.kek).decode()
        escaped = "".join(f"\\u{ord(c):04x}" if i % 23 == 20 else c for i, c in enumerate(text))
        self.assert_forgotten(self.needles(),
                              *self.keys_file(self.kek, '{"%s":"%s"}' % (name, escaped)),
                              "oci:" + self.image)

    def test_pull_that_fails(self):
        """A layer's MAC is wrong: keys were in use, and everything is taken down half-way."""
        layer = self.layers[1]
        layer.pubopts["hmac"] = base64.b64encode(os.urandom(32)).decode()
        layer.annotate()
        crafted_image.write_image(self.image, self.layers)
        self.assert_forgotten(self.needles(), *self.keys_file(self.kek), "oci:" + self.image,
                              expect=sluice_case.EXIT_INTEGRITY)

    def test_wrong_key(self):
        wrong = os.urandom(32)
        self.assert_forgotten(forms("the wrong key", wrong), *self.keys_file(wrong),
                              "oci:" + self.image, expect=sluice_case.EXIT_NETWORK)


class Jwe(KeyMemory):
    """An image that skopeo encrypted; its keys are recovered here by hand."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.key = rsa.generate_private_key(65537, 2048)
        public = os.path.join(cls.shared, "public.pem")
        with open(public, "wb") as file:
            file.write(cls.key.public_key().public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo))
        plain = os.path.join(cls.shared, "plain")
        cls.image = os.path.join(cls.shared, "encrypted")
        write_plain_image(plain, [tar_of("file", 2 << 20)])
        subprocess.run(["skopeo", "copy", "--insecure-policy", "--quiet", "--encryption-key",
                        "jwe:" + public, f"oci:{plain}:latest", f"oci:{cls.image}:latest"],
                       check=True, stdout=subprocess.PIPE)

    def recover(self):
        """Every symmetric key that opening the image needs."""
        needles = {}
        for i, layer in enumerate(read_manifest(self.image)["layers"]):
            jwe = json.loads(base64.b64decode(layer["annotations"][JWE]))
            how = padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None)
            content_key = self.key.decrypt(b64u(jwe["encrypted_key"]), how)
            plbco = json.loads(AESGCM(content_key).decrypt(
                b64u(jwe["iv"]), b64u(jwe["ciphertext"]) + b64u(jwe["tag"]),
                jwe["protected"].encode()))
            needles.update(forms(f"the key of layer {i}", base64.b64decode(plbco["symkey"])))
            needles.update(forms(f"the JWE's key of layer {i}", content_key))
        return needles

    def pem(self, password=None):
        how = (serialization.BestAvailableEncryption(password.encode()) if password
               else serialization.NoEncryption())
        return self.key.private_bytes(serialization.Encoding.PEM,
                                      serialization.PrivateFormat.PKCS8, how)

    def needles(self):
        return {**self.recover(), **private_forms(self.key, self.pem())}

    def test_pull(self):
        key = self.write("private.pem", self.pem().decode())
        self.assert_forgotten(self.needles(), "--decryption-key", key, "oci:" + self.image)

    def test_pull_with_an_encrypted_key_file(self):
        key = self.write("private.pem", self.pem(PASSWORD).decode())
        secret = self.write("password", PASSWORD)
        self.assert_forgotten({**self.needles(), "the password": PASSWORD.encode()},
                              "--decryption-key", f"{key}:file={secret}", "oci:" + self.image)


class Process(KeyMemory):
    """What keeps keys from leaving while they are in use."""

    def test_core_dumps_are_off(self):
        for program in PROGRAMS:
            process = self.at_exit(self.for_anybody(program), "version", user=NOBODY)
            self.assertEqual(process.owner(), 0)
            self.assertRegex(process.proc("limits"), r"Max core file size +0 +0 ")

    def test_there_is_a_locked_heap(self):
        for program in PROGRAMS:
            self.assertTrue(self.at_exit(program, "version").kept())

    def test_functions_are_bound_at_the_start(self):
        """The dynamic linker, called by the first call of a function, saves all registers on the
        stack, and pieces of keys in them: now and then one was found there."""
        for program in PROGRAMS:
            run = subprocess.run(["readelf", "--dynamic", program], stdout=subprocess.PIPE,
                                 text=True, check=True)
            self.assertRegex(run.stdout, r"FLAGS_1.*\bNOW\b")


if __name__ == "__main__":
    sluice_case.main("skopeo", "readelf")
