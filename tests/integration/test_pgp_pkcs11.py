#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Layer keys wrapped with PGP and PKCS11, against gpg, skopeo (ocicrypt), openssl and SoftHSM.
Usage: test_pgp_pkcs11.py ELEMENT_DRIVER"""
import base64
import glob
import gzip
import hashlib
import hmac
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import unittest

DRIVER = None
PREFIX = "org.opencontainers.image.enc."
PLAIN = b'{"symkey":"' + b"A" * 43 + b'=","digest":"sha256:' + b"0" * 64 + \
    b'","cipheroptions":{"nonce":"' + b"A" * 22 + b'=="}}'
TIMEOUT = 60
GONE_SECONDS = 5
PASSPHRASE = "pass phrase: 1"


def run(*argv, **kwargs):
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=TIMEOUT, check=False,
                          **kwargs)
    if done.returncode:
        raise AssertionError("%s: %s" % (" ".join(argv), done.stderr.decode(errors="replace")))
    return done.stdout


def agents():
    """Homes of running gpg agents; one that only waits for its parent counts no more."""
    homes = []
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        try:
            with open(path, "rb") as f:
                argv = f.read().split(b"\0")
        except OSError:
            continue
        if argv[0].endswith((b"gpg-agent", b"keyboxd", b"scdaemon")):
            homes.append(argv[argv.index(b"--homedir") + 1].decode() if b"--homedir" in argv else "")
    return homes


class ElementCase(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dir = tempfile.mkdtemp(prefix="sluice-keys-")
        cls.addClassCleanup(shutil.rmtree, cls.dir, ignore_errors=True)

    @classmethod
    def path(cls, name):
        return os.path.join(cls.dir, name)

    @classmethod
    def write(cls, name, data):
        with open(cls.path(name), "wb") as f:
            f.write(data)
        return cls.path(name)

    @classmethod
    def environment(cls):
        """TMPDIR is ours, so that what is left there is seen."""
        os.makedirs(cls.path("tmp"), exist_ok=True)
        env = {k: v for k, v in os.environ.items() if k not in ("GNUPGHOME", "OCICRYPT_OAEP_HASHALG")}
        return {**env, "HOME": cls.dir, "XDG_CONFIG_HOME": cls.path("none"), "TMPDIR": cls.path("tmp")}

    def driver(self, way, protocol, data, *args, env=None):
        done = subprocess.run([DRIVER, way, protocol, *args], input=data, stdout=subprocess.PIPE,
                              timeout=TIMEOUT, env={**self.environment(), **(env or {})}, check=False)
        return done.returncode, done.stdout

    def wrap(self, protocol, *args, **kwargs):
        status, out = self.driver("wrap", protocol, PLAIN, *args, **kwargs)
        self.assertEqual(status, 0, out)
        return out

    def opens(self, protocol, element, *args, plain=PLAIN, **kwargs):
        self.assertEqual(self.driver("unwrap", protocol, element, *args, **kwargs), (0, plain))

    def refused(self, code, text, way, protocol, data, *args, **kwargs):
        status, out = self.driver(way, protocol, data, *args, **kwargs)
        self.assertEqual(status, 1, out)
        self.assertTrue(out.decode().startswith("error %s: " % code), out)
        self.assertIn(text, out.decode())
        return out.decode()


class SkopeoImage:
    """An image of one layer, encrypted by skopeo."""

    def blob(self, data):
        digest = hashlib.sha256(data).hexdigest()
        os.makedirs(self.path("in/blobs/sha256"), exist_ok=True)
        self.write("in/blobs/sha256/" + digest, data)
        return {"digest": "sha256:" + digest, "size": len(data)}

    def make_layout(self):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as tar:
            tar.addfile(tarfile.TarInfo("hello.txt"))
        self.tar = plain = out.getvalue()
        config = self.blob(json.dumps({
            "architecture": "amd64", "os": "linux", "config": {},
            "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(plain).hexdigest()]}}).encode())
        manifest = self.blob(json.dumps({
            "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", **config},
            "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar", **self.blob(plain)}]}).encode())
        self.write("in/index.json", json.dumps({"schemaVersion": 2, "manifests": [{
            "mediaType": "application/vnd.oci.image.manifest.v1+json", **manifest,
            "annotations": {"org.opencontainers.image.ref.name": "t"}}]}).encode())
        self.write("in/oci-layout", b'{"imageLayoutVersion":"1.0.0"}')

    def layer(self, layout):
        def load(digest):
            with open(self.path(layout + "/blobs/sha256/" + digest.split(":")[1]), "rb") as f:
                return f.read()
        with open(self.path(layout + "/index.json"), encoding="utf-8") as f:
            manifest = json.loads(load(json.load(f)["manifests"][0]["digest"]))
        layer = manifest["layers"][0]
        return layer["annotations"], load(layer["digest"])

    def skopeo(self, env, way, key, source, target):
        run("skopeo", "copy", "--insecure-policy", "--" + way + "-key", key,
            "oci:" + self.path(source) + ":t", "oci:" + self.path(target) + ":t",
            env={**self.environment(), **env})

    def skopeo_encrypts(self, env, recipient):
        """The element that skopeo wrote, and a check of what it holds."""
        shutil.rmtree(self.path("out"), ignore_errors=True)
        self.make_layout()
        self.skopeo(env, "encryption", recipient, "in", "out")
        annotations, blob = self.layer("out")
        pubopts = json.loads(base64.b64decode(annotations[PREFIX + "pubopts"]))

        def check(plbco):
            lek = base64.b64decode(json.loads(plbco)["symkey"])
            self.assertEqual(base64.b64encode(hmac.new(lek, blob, "sha256").digest()).decode(),
                             pubopts["hmac"])
        return base64.b64decode(annotations[PREFIX + "keys." + recipient.split(":")[0]]), check

    def skopeo_decrypts(self, env, protocol, wrap_again, key):
        """Puts our own element in the place of skopeo's; skopeo must open the layer with it."""
        with open(self.path("out/index.json"), encoding="utf-8") as f:
            index = json.load(f)
        with open(self.path("out/blobs/sha256/" + index["manifests"][0]["digest"][7:]), "rb") as f:
            manifest = json.load(f)
        annotations = manifest["layers"][0]["annotations"]
        name = PREFIX + "keys." + protocol
        annotations[name] = base64.b64encode(wrap_again(base64.b64decode(annotations[name]))).decode()
        text = json.dumps(manifest).encode()
        digest = hashlib.sha256(text).hexdigest()
        self.write("out/blobs/sha256/" + digest, text)
        index["manifests"][0].update(digest="sha256:" + digest, size=len(text))
        self.write("out/index.json", json.dumps(index).encode())
        shutil.rmtree(self.path("back"), ignore_errors=True)
        self.skopeo(env, "decryption", key, "out", "back")
        with open(self.path("back/index.json"), encoding="utf-8") as f:
            digest = json.load(f)["manifests"][0]["digest"]
        with open(self.path("back/blobs/sha256/" + digest[7:]), "rb") as f:
            layer = json.load(f)["layers"][0]
        with open(self.path("back/blobs/sha256/" + layer["digest"][7:]), "rb") as f:
            blob = f.read()
        self.assertEqual(gzip.decompress(blob) if layer["mediaType"].endswith("gzip") else blob, self.tar)


@unittest.skipUnless(shutil.which("gpg"), "gpg is missing")
class Pgp(ElementCase, SkopeoImage):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.home = cls.path(".gnupg")
        os.mkdir(cls.home, 0o700)
        cls.addClassCleanup(run, "gpgconf", "--homedir", cls.home, "--kill", "all")
        cls.make_key("Alice Example <alice@example.org>", "alice")
        cls.make_key("Bob Example <bob@example.org>", "bob", PASSPHRASE)
        cls.make_key("Alice Example <alice@example.com>", "namesake")
        cls.make_key("Deadbeef <*@example.org>", "odd")
        cls.gpg("--quick-gen-key", "Signer <signer@example.org>", "rsa2048", "sign", "never")
        with open(cls.path("public.asc"), "wb") as f:
            f.write(cls.gpg("--armor", "--export", "alice@example.org"))

    @classmethod
    def gpg(cls, *args, **kwargs):
        return run("gpg", "--homedir", cls.home, "--batch", "--quiet", "--pinentry-mode", "loopback",
                   "--passphrase", kwargs.pop("passphrase", ""), *args, **kwargs)

    @classmethod
    def make_key(cls, uid, name, passphrase=""):
        """RSA, made small where it does not matter; exported binary, and armored."""
        cls.gpg("--quick-gen-key", uid, "rsa2048", "sign", "never", passphrase=passphrase)
        mail = uid.split("<")[1][:-1]
        fingerprint = [line.split(":")[9] for line in
                       cls.gpg("--with-colons", "--list-keys", "=" + uid).decode().splitlines()
                       if line.startswith("fpr")][0]
        cls.gpg("--quick-add-key", fingerprint, "rsa2048", "encr", "never", passphrase=passphrase)
        for suffix, more in ((".gpg", ()), (".asc", ("--armor",))):
            cls.write(name + suffix, cls.gpg(*more, "--export-secret-keys", fingerprint, passphrase=passphrase))
        return mail

    def state_of_home(self):
        return {name: os.stat(os.path.join(self.home, name)).st_mtime_ns for name in os.listdir(self.home)}

    def encrypt(self, *args, recipient="alice@example.org", plain=PLAIN):
        return self.gpg("--trust-model", "always", *args, "-r", recipient, "--encrypt", input=plain)

    def tearDown(self):
        """Nothing is left: no agent, no directory, nothing new in the home of the keys."""
        self.assertEqual(glob.glob("/dev/shm/sluice-pgp-*") + glob.glob("/run/sluice-pgp-*"), [])
        self.assertEqual(os.listdir(self.environment()["TMPDIR"]), [])
        self.assertEqual(glob.glob("/run/user/*/gnupg/d.*"), [])
        deadline = time.monotonic() + GONE_SECONDS
        while any("sluice-pgp-" in home for home in agents()) and time.monotonic() < deadline:
            os.sched_yield()
        self.assertEqual([home for home in agents() if "sluice-pgp-" in home], [])

    def test_message_of_gpg_is_opened_with_a_file_and_with_a_home(self):
        for args in (("--cipher-algo", "AES256", "-z", "0"), ("--cipher-algo", "AES128"), ("--throw-keyids",)):
            element = self.encrypt(*args)
            before = self.state_of_home()
            for keys in ((self.path("alice.gpg"),), (self.path("alice.asc"),), ("--pgp-home", self.home),
                         (self.path("odd.gpg"), self.path("alice.gpg"))):
                with self.subTest(args=args, keys=keys):
                    self.opens("pgp", element, *keys)
            self.assertEqual(self.state_of_home(), before)

    def test_passphrase_in_every_syntax(self):
        element = self.encrypt(recipient="bob@example.org")
        bob = self.path("bob.gpg")
        self.write("pw", PASSPHRASE.encode() + b"\n")
        self.opens("pgp", element, bob + ":pass=" + PASSPHRASE)
        self.opens("pgp", element, bob + ":file=" + self.path("pw"))
        self.opens("pgp", element, self.path("alice.gpg"), self.path("bob.asc") + ":" + PASSPHRASE)
        out = self.refused("auth", "wrong passphrase", "unwrap", "pgp", element, bob + ":pass=hunter2")
        self.assertNotIn("hunter2", out)
        self.refused("auth", "needs a passphrase", "unwrap", "pgp", element, bob)
        self.refused("auth", "needs a passphrase", "unwrap", "pgp", element, "--pgp-home", self.home)

    def test_missing_or_useless_keys_are_told(self):
        element = self.encrypt()
        self.refused("auth", "missing OpenPGP secret key", "unwrap", "pgp", element)
        self.refused("auth", "no secret key given", "unwrap", "pgp", element, self.path("odd.gpg"))
        self.refused("auth", "an OpenPGP public key", "unwrap", "pgp", element, self.path("public.asc"))
        self.write("broken.gpg", b"\x95\x01\x02nonsense")
        self.refused("auth", "no OpenPGP secret key", "unwrap", "pgp", element, self.path("broken.gpg"))
        self.refused("system", "/nonexistent", "unwrap", "pgp", element, "--pgp-home", "/nonexistent")

    def test_changed_or_unprotected_message_is_refused(self):
        element = self.encrypt("--cipher-algo", "AES256", "-z", "0")
        for at in (len(element) - 1, len(element) - 30, len(element) - 150, 100):
            changed = bytearray(element)
            changed[at] ^= 1
            with self.subTest(at=at):
                self.refused("auth", "", "unwrap", "pgp", bytes(changed), self.path("alice.gpg"))
        unprotected = self.encrypt("--rfc2440", "--cipher-algo", "AES256", "-z", "0")
        self.refused("integrity", "no modification detection", "unwrap", "pgp", unprotected, self.path("alice.gpg"))
        with_password = run("gpg", "--homedir", self.home, "--batch", "--passphrase", "x", "--pinentry-mode",
                            "loopback", "--symmetric", input=PLAIN)
        self.refused("unsupported", "password", "unwrap", "pgp", with_password, self.path("alice.gpg"))

    def test_bomb_inside_a_message_is_refused(self):
        element = self.encrypt("-z", "9", plain=b"\0" * 10_000_000)
        self.assertLess(len(element), 50_000)
        self.refused("auth", "does not open", "unwrap", "pgp", element, self.path("alice.gpg"))

    def test_our_message_is_what_gpg_and_the_specification_expect(self):
        before = self.state_of_home()
        element = self.wrap("pgp", "pgp:alice@example.org", "pgp:Bob Example")
        self.assertEqual(self.state_of_home(), before)
        self.assertEqual(self.gpg("--decrypt", input=element), PLAIN)
        bobs = self.path("bobs")
        os.mkdir(bobs, 0o700)
        self.addCleanup(run, "gpgconf", "--homedir", bobs, "--kill", "all")
        run("gpg", "--homedir", bobs, "--batch", "--quiet", "--import", self.path("bob.gpg"))
        self.assertEqual(run("gpg", "--homedir", bobs, "--batch", "--quiet", "--pinentry-mode", "loopback",
                             "--passphrase", PASSPHRASE, "--decrypt", input=element), PLAIN)
        packets = self.gpg("--list-packets", "--verbose", input=element).decode()
        self.assertEqual(packets.count(":pubkey enc packet: version 3"), 2)
        self.assertIn("mdc_method: 2", packets)
        self.assertIn(":literal data packet", packets)
        for unwanted in ("compressed", "aead", "signature"):
            self.assertNotIn(unwanted, packets)

    def test_recipient_must_be_exactly_one_usable_key(self):
        for value, text in (("alice@example", "no key with exactly"), ("Alice Example", "fits 2 keys"),
                            ("nobody@example.org", "no key with exactly"), ("", "nothing follows"),
                            ("signer@example.org", "not for encryption")):
            with self.subTest(value=value):
                self.refused("auth" if value else "format", text, "wrap", "pgp", PLAIN, "pgp:" + value)
        self.refused("system", "gnupg home directory /nonexistent", "wrap", "pgp", PLAIN,
                     "--pgp-home", "/nonexistent", "pgp:alice@example.org")
        for value in ("Deadbeef", "*@example.org"):
            self.opens("pgp", self.wrap("pgp", "pgp:" + value), self.path("odd.gpg"))

    @unittest.skipUnless(shutil.which("skopeo"), "skopeo is missing")
    def test_skopeo_in_both_directions(self):
        # ocicrypt reads the keyring of GnuPG 1 and 2.0, or what gpg --export gives.
        element, check = self.skopeo_encrypts({}, "pgp:alice@example.org")
        status, plbco = self.driver("unwrap", "pgp", element, self.path("alice.gpg"))
        self.assertEqual(status, 0, plbco)
        check(plbco)

        def again(_):
            status, out = self.driver("wrap", "pgp", plbco, "pgp:alice@example.org")
            self.assertEqual(status, 0, out)
            return out
        self.skopeo_decrypts({}, "pgp", again, self.path("alice.gpg"))


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    DRIVER = sys.argv.pop(1)
    unittest.main(verbosity=2)
