#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Layer keys wrapped with PGP and PKCS11, against gpg, skopeo (ocicrypt), openssl and SoftHSM.
Usage: test_pgp_pkcs11.py ELEMENT_DRIVER PKCS11_SPY"""
import base64
import contextlib
import glob
import gzip
import hashlib
import hmac
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
import unittest

DRIVER, SPY = None, None
PREFIX = "org.opencontainers.image.enc."
PLAIN = b'{"symkey":"' + b"A" * 43 + b'=","digest":"sha256:' + b"0" * 64 + \
    b'","cipheroptions":{"nonce":"' + b"A" * 22 + b'=="}}'
TIMEOUT = 60
GONE_SECONDS = 5
# Stands for gpg; hangs when it is asked for one thing, else it is the real one.
STUB = f"#!{sys.executable}" + """
import os, signal, sys
if "%(hangs_at)s" in sys.argv:
    with open(os.environ["HANGS"], "w") as f:
        f.write("%%d %%s" %% (os.getpid(), " ".join(sys.argv[1:])))
    while True:
        signal.pause()
os.execv("%(real)s", sys.argv)
"""
PASSPHRASE = "pass phrase: 1"


def run(*argv, **kwargs):
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=TIMEOUT, check=False,
                          **kwargs)
    if done.returncode:
        raise AssertionError("%s: %s" % (" ".join(argv), done.stderr.decode(errors="replace")))
    return done.stdout


def homedir(argv):
    """What the option says: an argument of its own, or since gpgme 1.24 behind a '='."""
    for arg, following in zip(argv, argv[1:] + [""]):
        if arg.startswith("--homedir"):
            return arg.partition("=")[2] or following
    return ""


def agents():
    """Homes of running gpg agents; one that only waits for its parent counts no more."""
    homes = []
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        try:
            with open(path, "rb") as f:
                argv = os.fsdecode(f.read()).split("\0")
        except OSError:
            continue
        if argv[0].endswith(("gpg-agent", "keyboxd", "scdaemon")):
            homes.append(homedir(argv))
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
        env = {k: v for k, v in os.environ.items() if k not in ("GNUPGHOME", "OCICRYPT_OAEP_HASHALG", "OCICRYPT_CONFIG")}
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
        cls.make_key("Alice Example <alice@example.org>", "alice", kind="rsa2048")
        cls.make_key("Bob Example <bob@example.org>", "bob", PASSPHRASE)
        cls.make_key("Alice Example <alice@example.com>", "namesake")
        cls.make_key("Deadbeef <*@example.org>", "odd")
        cls.gpg("--quick-gen-key", "Signer <signer@example.org>", "rsa1024", "sign", "never")
        with open(cls.path("public.asc"), "wb") as f:
            f.write(cls.gpg("--armor", "--export", "alice@example.org"))

    @classmethod
    def gpg(cls, *args, **kwargs):
        return run("gpg", "--homedir", cls.home, "--batch", "--quiet", "--pinentry-mode", "loopback",
                   "--passphrase", kwargs.pop("passphrase", ""), *args, **kwargs)

    @classmethod
    def make_key(cls, uid, name, passphrase="", kind="rsa1024"):
        """RSA, since skopeo reads the whole ring; small, to be quick. Exported binary, and armored."""
        cls.gpg("--quick-gen-key", uid, kind, "sign", "never", passphrase=passphrase)
        fingerprint = [line.split(":")[9] for line in
                       cls.gpg("--with-colons", "--list-keys", "=" + uid).decode().splitlines()
                       if line.startswith("fpr")][0]
        cls.gpg("--quick-add-key", fingerprint, kind, "encr", "never", passphrase=passphrase)
        for suffix, more in ((".gpg", ()), (".asc", ("--armor",))):
            cls.write(name + suffix, cls.gpg(*more, "--export-secret-keys", fingerprint, passphrase=passphrase))

    def state_of_home(self):
        return {name: os.stat(os.path.join(self.home, name)).st_mtime_ns for name in os.listdir(self.home)}

    def encrypt(self, *args, recipient="alice@example.org", plain=PLAIN):
        return self.gpg("--trust-model", "always", *args, "-r", recipient, "--encrypt", input=plain)

    def tearDown(self):
        """No agent and no directory is left. Those of other tests come and go."""
        self.assertEqual(os.listdir(self.environment()["TMPDIR"]), [])

        def there():
            folders = glob.glob("/dev/shm/sluice-pgp-*") + glob.glob("/run/sluice-pgp-*")
            return set(folders + ["agent of " + home for home in agents() if "sluice-pgp-" in home])
        left, deadline = there(), time.monotonic() + GONE_SECONDS
        while left and time.monotonic() < deadline:
            os.sched_yield()
            left &= there()
        self.assertEqual(left, set())

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

    def test_layers_are_unwrapped_at_once(self):
        self.assertEqual(self.driver("unwrap-at-once", "pgp", self.encrypt(), "--pgp-home", self.home,
                                     self.path("odd.gpg")), (0, PLAIN))

    def test_gpg_missing_is_told(self):
        os.makedirs(self.path("empty"), exist_ok=True)
        self.refused("system", "gpg, which is not installed", "unwrap", "pgp", self.encrypt(),
                     self.path("alice.gpg"), env={"PATH": self.path("empty")})

    def stubs(self, gpg):
        folder = tempfile.mkdtemp(dir=self.dir)
        path = os.path.join(folder, "gpg")
        with open(path, "w", encoding="ascii") as f:
            f.write(STUB % {"hangs_at": gpg, "real": shutil.which("gpg")})
        os.chmod(path, 0o700)
        self.hangs = os.path.join(folder, "hangs")
        return {"PATH": folder + ":" + os.environ["PATH"], "HANGS": self.hangs, "PGP_DEADLINE_MS": "3000"}

    def hanging(self):
        """The process that hangs."""
        with open(self.hangs, encoding="ascii") as f:
            return int(f.read().split()[0])

    def check_gone(self, pid):
        deadline = time.monotonic() + GONE_SECONDS
        while time.monotonic() < deadline:
            try:
                with open(f"/proc/{pid}/stat", encoding="ascii") as f:
                    if f.read().rsplit(")", 1)[1].split()[0] == "Z":
                        return
            except OSError:
                return
            os.sched_yield()
        self.fail("the program that hung is still there")

    def test_hanging_gpg_is_killed_at_the_deadline(self):
        element = self.encrypt()
        alice = self.path("alice.gpg")
        for stubs, way, data, args in (
                ({"gpg": "--import"}, "unwrap", element, [alice, self.path("bob.gpg")]),
                ({"gpg": "--decrypt"}, "unwrap", element, [alice]),
                ({"gpg": "--version"}, "unwrap", element, [alice]),
                ({"gpg": "--encrypt"}, "wrap", PLAIN, ["--pgp-home", self.home, "pgp:alice@example.org"]),
                ({"gpg": "--list-keys"}, "wrap", PLAIN, ["--pgp-home", self.home, "pgp:alice@example.org"])):
            with self.subTest(stubs=stubs):
                self.refused("system", "did not answer in time (3000 ms) and was killed", way, "pgp", data, *args,
                             env=self.stubs(**stubs))
                self.check_gone(self.hanging())

    def test_what_a_killed_process_left_is_removed(self):
        """With gpg that hangs on in it. What another process uses stays."""
        element, alice = self.encrypt(), self.path("alice.gpg")
        env = {**self.environment(), **self.stubs(gpg="--decrypt"), "PGP_DEADLINE_MS": "60000"}
        with open(self.path("element"), "wb") as f:
            f.write(element)
        children = []
        for _ in range(2):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.hangs)
            with open(self.path("element"), "rb") as f:
                child = subprocess.Popen([DRIVER, "unwrap", "pgp", alice], stdin=f, stdout=subprocess.DEVNULL, env=env)
            self.addCleanup(child.wait)
            self.addCleanup(child.kill)
            while not os.path.exists(self.hangs) or not os.path.getsize(self.hangs):
                self.assertIsNone(child.poll())
                os.sched_yield()
            with open(self.hangs, encoding="ascii") as f:
                pid, *argv = f.read().split()
            children.append((child, int(pid), homedir(argv)))
        (killed, orphan, left), (alive, used, home) = children
        killed.kill()
        killed.wait()
        self.assertTrue(os.path.isdir(left))
        self.opens("pgp", element, alice)
        self.assertFalse(os.path.exists(left))
        self.check_gone(orphan)
        self.assertTrue(os.path.isdir(home))
        os.kill(used, 0)
        self.assertIsNone(alive.poll())
        os.kill(used, signal.SIGKILL)
        alive.wait()
        self.assertFalse(os.path.exists(home))

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


MODULES = [path for path in ("/usr/lib/softhsm/libsofthsm2.so", "/usr/lib64/pkcs11/libsofthsm2.so",
                             "/usr/lib64/softhsm/libsofthsm2.so") if os.path.exists(path)]


@unittest.skipUnless(MODULES and shutil.which("softhsm2-util") and shutil.which("pkcs11-tool"),
                     "SoftHSM or pkcs11-tool is missing")
class Pkcs11(ElementCase, SkopeoImage):
    PIN = "1234"

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        os.mkdir(cls.path("tokens"))
        cls.conf = cls.write("softhsm.conf", b"directories.tokendir = %s\nlog.level = ERROR\n"
                             % cls.path("tokens").encode())
        cls.tool_env = {**os.environ, "SOFTHSM2_CONF": cls.conf}
        run("softhsm2-util", "--init-token", "--free", "--label", "sluice", "--pin", cls.PIN, "--so-pin", "4321",
            env=cls.tool_env)
        for number, (name, bits) in enumerate((("small", "2048"), ("large", "3072")), 1):
            cls.tool("--login", "--pin", cls.PIN, "--keypairgen", "--key-type", "rsa:" + bits,
                     "--id", "%02d" % number, "--label", name)
            cls.tool("--read-object", "--type", "pubkey", "--id", "%02d" % number,
                     "--output-file", cls.path(name + ".der"))
            run("openssl", "pkey", "-pubin", "-inform", "DER", "-in", cls.path(name + ".der"),
                "-out", cls.path(name + ".pem"))
            cls.key_file(name, "object=" + name)

    @classmethod
    def tool(cls, *args):
        return run("pkcs11-tool", "--module", MODULES[0], "--token-label", "sluice", *args, env=cls.tool_env)

    @classmethod
    def key_file(cls, name, key, token="token=sluice", query="pin-value=1234&module-name=softhsm2"):
        return cls.write(name + ".yaml", (
            'pkcs11:\n  uri: "pkcs11:%s;%s?%s"\nmodule:\n  env:\n    SOFTHSM2_CONF: %s\n'
            % (token, key, query, cls.conf)).encode())

    def element(self, key, digest, named=True):
        """Wrapped by openssl."""
        text = run("openssl", "pkeyutl", "-encrypt", "-pubin", "-inkey", self.path(key + ".pem"),
                   "-pkeyopt", "rsa_padding_mode:oaep", "-pkeyopt", "rsa_oaep_md:" + digest,
                   "-pkeyopt", "rsa_mgf1_md:" + digest, input=PLAIN)
        recipient = {"version": 0, "blob": base64.b64encode(text).decode(), **({"hash": digest} if named else {})}
        return json.dumps({"version": 0, "recipients": [recipient]}).encode()

    def test_key_wrapped_by_openssl_is_opened_by_the_token(self):
        for key, digest, named in (("small", "sha1", True), ("small", "sha1", False), ("large", "sha1", True),
                                   ("large", "sha256", True)):
            with self.subTest(key=key, digest=digest, named=named):
                self.opens("pkcs11", self.element(key, digest, named), self.path(key + ".yaml"))
        both = [json.loads(self.element(key, "sha1")) for key in ("small", "large")]
        both[0]["recipients"] += both[1]["recipients"]
        self.opens("pkcs11", json.dumps(both[0]).encode(), self.path("large.yaml"))

    def test_our_element_is_opened_by_openssl(self):
        run("openssl", "genrsa", "-out", self.path("file.key"), "3072")
        run("openssl", "rsa", "-in", self.path("file.key"), "-pubout", "-out", self.path("file.pem"))
        for digest in ("sha1", "sha256"):
            element = self.wrap("pkcs11", "pkcs11:" + self.path("file.pem"), env={"OCICRYPT_OAEP_HASHALG": digest})
            blob = json.loads(element)
            self.assertEqual((blob["version"], len(blob["recipients"])), (0, 1))
            recipient = blob["recipients"][0]
            self.assertEqual((recipient["version"], recipient["hash"]), (0, digest))
            self.assertEqual(run("openssl", "pkeyutl", "-decrypt", "-inkey", self.path("file.key"),
                                 "-pkeyopt", "rsa_padding_mode:oaep", "-pkeyopt", "rsa_oaep_md:" + digest,
                                 "-pkeyopt", "rsa_mgf1_md:" + digest,
                                 input=base64.b64decode(recipient["blob"])), PLAIN)
            self.opens("pkcs11", element, self.path("file.key"))

    def test_our_element_is_opened_by_the_token(self):
        element = self.wrap("pkcs11", "pkcs11:" + self.path("large.yaml"), "pkcs11:" + self.path("large.der"))
        self.assertEqual([r["hash"] for r in json.loads(element)["recipients"]], ["sha256", "sha256"])
        self.opens("pkcs11", element, self.path("large.yaml"))
        element = self.wrap("pkcs11", "pkcs11:" + self.path("small.yaml"), env={"OCICRYPT_OAEP_HASHALG": "sha1"})
        self.opens("pkcs11", element, self.path("small.yaml"))
        self.write("ct", base64.b64decode(json.loads(element)["recipients"][0]["blob"]))
        self.tool("--login", "--pin", self.PIN, "--decrypt", "--id", "01", "--mechanism", "RSA-PKCS-OAEP",
                  "--hash-algorithm", "SHA-1", "--input-file", self.path("ct"), "--output-file", self.path("pt"))
        with open(self.path("pt"), "rb") as f:
            self.assertEqual(f.read(), PLAIN)

    def test_key_too_small_is_told_before_anything_is_wrapped(self):
        for name in ("small.yaml", "small.pem"):
            out = self.refused("limit", "2048 bits holds 190 bytes with sha256, and a layer key has 193",
                               "wrap", "pkcs11", PLAIN, "pkcs11:" + self.path(name))
            self.assertIn("OCICRYPT_OAEP_HASHALG=sha1", out)
        self.refused("unsupported", "OCICRYPT_OAEP_HASHALG=md5", "wrap", "pkcs11", PLAIN,
                     "pkcs11:" + self.path("large.pem"), env={"OCICRYPT_OAEP_HASHALG": "md5"})
        self.write("text", b"nothing")
        self.refused("format", "neither a PKCS11 key file", "wrap", "pkcs11", PLAIN, "pkcs11:" + self.path("text"))

    def test_key_is_found_by_id_slot_and_pin_source(self):
        element = self.element("small", "sha1")
        self.write("pin", b"1234\n")
        by_file = "pin-source=file:%s&module-path=%s" % (self.path("pin"), MODULES[0])
        self.opens("pkcs11", element, self.key_file("by_id", "id=%01", query=by_file))
        listing = self.tool("--list-token-slots").decode()
        number = int(listing.split("Slot 0 (")[1].split(")")[0], 16)
        self.opens("pkcs11", element, self.key_file("by_slot", "object=small", token="slot-id=%d" % number))

    def test_what_is_wrong_is_told_and_no_pin(self):
        element = self.element("small", "sha1")
        for code, text, arguments in (
                ("auth", "wrong PIN", {"query": "pin-value=98765&module-name=softhsm2"}),
                ("auth", "needs pin-value or pin-source", {"query": "module-name=softhsm2"}),
                ("auth", "no token fits", {"token": "token=other"}),
                ("auth", "no private key on the token", {"key": "object=other"}),
                ("auth", "does not open", {"key": "object=large"}),
                ("auth", "no PKCS#11 module fits", {"query": "pin-value=98765&module-name=other"}),
                ("policy", "/tmp/x.so is not allowed", {"query": "pin-value=98765&module-path=/tmp/x.so"}),
                ("format", "neither id nor object", {"key": "type=private"})):
            with self.subTest(text=text):
                key = self.key_file("bad", **{"key": "object=small", **arguments})
                out = self.refused(code, text, "unwrap", "pkcs11", element, key)
                self.assertNotIn("98765", out)
        self.refused("auth", "missing PKCS11 key file", "unwrap", "pkcs11", element)

    def test_layers_are_unwrapped_at_once(self):
        for digest in ("sha1", "sha256"):
            self.assertEqual(self.driver("unwrap-at-once", "pkcs11", self.element("large", digest),
                                         self.path("large.yaml"), self.path("small.yaml")), (0, PLAIN))

    def test_module_stays_initialized_as_long_as_the_ring_lives(self):
        policy = self.write("spy.conf", json.dumps({"pkcs11": {"allowed-module-paths": [SPY]}}).encode())
        key = self.key_file("spied", "object=small", query="pin-value=1234&module-path=" + SPY)
        env = {"OCICRYPT_CONFIG": policy, "PKCS11_SPY_MODULE": MODULES[0], "PKCS11_SPY_LOG": self.path("spy.log")}
        self.assertEqual(self.driver("unwrap-often", "pkcs11", self.element("small", "sha1"), key, env=env), (0, PLAIN))
        with open(self.path("spy.log"), encoding="ascii") as f:
            self.assertEqual(f.read(), "+-")

    def test_rings_come_and_go_at_once(self):
        """Where the module was finalized under another ring, one in thousands fails."""
        self.assertEqual(self.driver("unwrap-apart", "pkcs11", self.element("small", "sha1"),
                                     self.path("small.yaml")), (0, PLAIN))

    def test_policy_decides_about_modules(self):
        element = self.element("small", "sha1")
        folder = os.path.dirname(MODULES[0])
        for allowed, good in ((folder + "/", True), (MODULES[0], True), (folder, False), ("/opt/", False)):
            conf = self.write("ocicrypt.conf", json.dumps({"pkcs11": {
                "module-directories": [folder], "allowed-module-paths": [allowed]}}).encode())
            with self.subTest(allowed=allowed):
                if good:
                    self.opens("pkcs11", element, self.path("small.yaml"), env={"OCICRYPT_CONFIG": conf})
                else:
                    self.refused("policy", MODULES[0] + " is not allowed", "unwrap", "pkcs11", element,
                                 self.path("small.yaml"), env={"OCICRYPT_CONFIG": conf})
        self.opens("pkcs11", element, self.path("small.yaml"), env={"OCICRYPT_CONFIG": "internal"})

    def test_changed_element_is_refused(self):
        for digest in ("sha1", "sha256"):
            element = json.loads(self.element("large", digest))
            text = bytearray(base64.b64decode(element["recipients"][0]["blob"]))
            text[-1] ^= 1
            for changed in (bytes(text), bytes(text[:-1]), b""):
                element["recipients"][0]["blob"] = base64.b64encode(changed).decode()
                self.refused("auth", "does not open", "unwrap", "pkcs11", json.dumps(element).encode(),
                             self.path("large.yaml"))

    @unittest.skipUnless(shutil.which("skopeo"), "skopeo is missing")
    def test_skopeo_in_both_directions(self):
        env = {"OCICRYPT_CONFIG": "internal", "OCICRYPT_OAEP_HASHALG": "sha1", "SOFTHSM2_CONF": self.conf}
        try:
            element, check = self.skopeo_encrypts(env, "pkcs11:" + self.path("small.pem"))
        except AssertionError as e:
            if "protocol not recognized" not in str(e) and "pkcs11 support" not in str(e):
                raise
            self.skipTest("this skopeo was built without PKCS11")
        status, plbco = self.driver("unwrap", "pkcs11", element, self.path("small.yaml"), env=env)
        self.assertEqual(status, 0, plbco)
        check(plbco)

        def again(_):
            status, out = self.driver("wrap", "pkcs11", plbco, "pkcs11:" + self.path("small.yaml"), env=env)
            self.assertEqual(status, 0, out)
            return out
        self.skopeo_decrypts(env, "pkcs11", again, self.path("small.yaml"))


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    DRIVER, SPY = sys.argv.pop(1), sys.argv.pop(1)
    unittest.main(verbosity=2)
