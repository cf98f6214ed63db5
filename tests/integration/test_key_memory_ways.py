#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""No key stays in memory, whichever way it came or went: images are encrypted and decrypted with keys
of every protocol, and key providers asked over every wire; then all that the process still has is
looked through, freed or not. The key provider is looked through while it runs."""
import base64
import datetime
import json
import os
import pwd
import subprocess
import sys
import tempfile

import sluice_case

try:
    import grpc
    import crafted_image
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import padding, rsa
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
except ImportError:
    print("skipped: needs python3-cryptography and python3-grpcio")
    sys.exit(77)
import oci_images
import ttrpc
from key_memory_case import PROGRAMS, KeyMemory, forms, pieces, private_forms, text_forms
from process_memory import Running

ENC = "org.opencontainers.image.enc.keys."
KID = "kbs:///default/key/key_id1"
NAME = "attestation-agent"
SOFTHSM = "/usr/lib/softhsm/libsofthsm2.so"
# Of the length of a piece, at least.
PASSWORD = "a password that nobody has"
PIN = "a PIN of a token that nobody has"
PGP_KEY = """%no-protection
Key-Type: RSA
Key-Length: 2048
Subkey-Type: RSA
Subkey-Length: 2048
Name-Real: Alice
Name-Email: alice@example.com
Expire-Date: 0
"""
# A provider that only turns bits over: what is looked at is what asks it.
COMMAND = """#!/usr/bin/python3 -S
import base64, json, sys
q = json.load(sys.stdin)
wraps = q["op"] == "keywrap"
given = q["keywrapparams"]["optsdata"] if wraps else q["keyunwrapparams"]["annotation"]
turned = base64.b64encode(bytes(b ^ 0x55 for b in base64.b64decode(given))).decode()
print(json.dumps({"keywrapresults": {"annotation": turned}} if wraps
                 else {"keyunwrapresults": {"optsdata": turned}}))
"""


def b64(data):
    return base64.b64encode(data).decode()


def b64u(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def run(*argv, **env):
    return subprocess.run(argv, env={**os.environ, **env}, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, check=True).stdout


def open_jwe(element, key):
    """The private options, and the needles that only this way has."""
    jwe = json.loads(element)
    how = padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None)
    content_key = key.decrypt(b64u(jwe["encrypted_key"]), how)
    plbco = AESGCM(content_key).decrypt(b64u(jwe["iv"]), b64u(jwe["ciphertext"]) + b64u(jwe["tag"]),
                                        jwe["protected"].encode())
    return plbco, forms("the JWE's key", content_key)


def open_packet(element, kek):
    packet = json.loads(element)
    iv, wrapped = (base64.b64decode(packet[name]) for name in ("iv", "wrapped_data"))
    return AESGCM(kek).decrypt(iv, wrapped, None), {}


def plbco_needles(plbco, i):
    key = json.loads(plbco)["symkey"]
    return {**forms(f"the key of layer {i}", base64.b64decode(key)),
            **text_forms(f"the options of layer {i}", plbco, key.encode())}


class Keys:
    """Of every protocol, made once."""

    def __init__(self, folder):
        self.folder = folder
        self.rsa = rsa.generate_private_key(65537, 2048)
        self.pem = self.write("private.pem", self.armour(serialization.NoEncryption()))
        self.locked_pem = self.write("locked.pem", self.armour(
            serialization.BestAvailableEncryption(PASSWORD.encode())))
        self.public = self.write("public.pem", self.rsa.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo))
        self.password = self.write("password", PASSWORD.encode())
        self.kek = os.urandom(32)
        self.kek_file = self.write("kek", self.kek)
        self.offline = self.write("keys.json", json.dumps(
            {KID.removeprefix("kbs:///"): b64(self.kek)}).encode())
        self.command = self.write("provider", COMMAND.encode())
        os.chmod(self.command, 0o700)
        self.make_certificate()
        self.make_token()
        self.make_pgp()

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, data):
        with open(self.path(name), "wb") as file:
            file.write(data)
        return self.path(name)

    def armour(self, how):
        return self.rsa.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                      how)

    def rsa_needles(self):
        return private_forms(self.rsa, self.armour(serialization.NoEncryption()))

    def make_certificate(self):
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a recipient")])
        today = datetime.datetime(2026, 1, 1)
        certificate = x509.CertificateBuilder(name, name, self.rsa.public_key(), 4711, today,
                                              today.replace(year=2036)).sign(self.rsa, hashes.SHA256())
        self.certificate = self.write("a.crt", certificate.public_bytes(serialization.Encoding.PEM))

    def make_token(self):
        os.mkdir(self.path("tokens"))
        conf = self.write("softhsm2.conf", (f"directories.tokendir = {self.path('tokens')}\n"
                                            "objectstore.backend = file\n").encode())
        policy = self.write("ocicrypt.conf", ("pkcs11:\n  module-directories:\n    - /usr/lib/softhsm/\n"
                                              f"  allowed-module-paths:\n    - {SOFTHSM}\n").encode())
        self.token_env = {"SOFTHSM2_CONF": conf, "OCICRYPT_CONFIG": policy, "OCICRYPT_OAEP_HASHALG": "sha1"}
        run("softhsm2-util", "--init-token", "--free", "--label", "tests", "--so-pin", PIN, "--pin", PIN,
            **self.token_env)
        run("softhsm2-util", "--import", self.pem, "--token", "tests", "--label", "a", "--id", "01",
            "--pin", PIN, **self.token_env)
        uri = f"pkcs11:token=tests;object=a?pin-value={PIN.replace(' ', '%20')}&module-path={SOFTHSM}"
        self.token = self.write("token.yaml", (f'pkcs11:\n  uri: "{uri}"\nmodule:\n  env:\n'
                                               f"    SOFTHSM2_CONF: {conf}\n").encode())

    def gpg(self, *args):
        return run("gpg", "--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase", "", *args,
                   GNUPGHOME=self.path("gnupg"))

    def make_pgp(self):
        os.mkdir(self.path("gnupg"), 0o700)
        self.gpg("--generate-key", self.write("batch", PGP_KEY.encode()))
        secret = self.gpg("--export-secret-keys")
        public = self.gpg("--export")
        self.pgp = self.write("alice.gpg", secret)
        self.pgp_needles = {name: piece for name, piece in pieces("the PGP key", secret).items()
                            if piece not in public}

    def close(self):
        run("gpgconf", "--kill", "all", GNUPGHOME=self.path("gnupg"))


class WaysCase(KeyMemory):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        folder = os.path.join(cls.shared, "keys")
        os.mkdir(folder)
        cls.keys = Keys(folder)
        cls.addClassCleanup(cls.keys.close)
        cls.plain = os.path.join(cls.shared, "plain")
        # One that is a single segment, and one of several.
        layers = [crafted_image.Layer(os.urandom(size), pack=None) for size in (1024, 3 << 20)]
        crafted_image.write_image(cls.plain, layers)

    def setUp(self):
        super().setUp()
        self.n_images = 0

    def image(self, layout):
        return f"oci:{layout}:latest"

    def provider_config(self, way):
        """The environment in which the provider is asked this way: over a wire it is sluice."""
        if way == "cmd":
            how = {"cmd": {"path": self.keys.command}}
        else:
            server = self.start("keyprovider", "--listen", f"{way}+unix://" + self.path(way),
                                "--offline-keys", self.keys.offline)
            self.assertIn(way, server.stdout.readline())
            how = {way: "unix://" + self.path(way)}
        config = self.write("providers.json", json.dumps({"key-providers": {NAME: how}}))
        return {"OCICRYPT_KEYPROVIDER_CONFIG": config}

    @staticmethod
    def end(server):
        server.kill()
        server.wait()
        server.stdout.close()

    def start_server(self, program, **kwargs):
        """(process, path that its sockets begin with)"""
        folder = tempfile.mkdtemp(dir=self.folder)
        os.chown(folder, kwargs.get("user", 0), 0)
        path = os.path.join(folder, "socket")
        addresses = f"ttrpc+unix://{path}.t", f"grpc+unix://{path}.g"
        listen = [word for address in addresses for word in ("--listen", address)]
        server = subprocess.Popen(  # pylint: disable=consider-using-with
            [program, "keyprovider", *listen, "--offline-keys", self.keys.offline],
            stdout=subprocess.PIPE, text=True, env=self.environment(ASAN_OPTIONS="detect_leaks=0"), **kwargs)
        self.addCleanup(self.end, server)
        for _ in addresses:
            self.assertIn("unix", server.stdout.readline())
        return server, path

    def start_program(self, program):
        """(process, a client for each wire)"""
        server, path = self.start_server(program)
        by_ttrpc = ttrpc.Client(f"unix://{path}.t")
        channel = grpc.insecure_channel(f"unix:{path}.g")
        self.addCleanup(by_ttrpc.connection.close)
        self.addCleanup(channel.close)
        service = "keyprovider.KeyProviderService"
        return server, [lambda method, message: by_ttrpc.call(service, method, message),
                        lambda method, message: channel.unary_unary(f"/{service}/{method}")(message)]

    def open_packet(self, element):
        return open_packet(element, self.keys.kek)

    def opened(self, layout, name, open_element):
        """The needles of an encrypted image."""
        needles = {}
        for i, layer in enumerate(oci_images.read_manifest(layout)["layers"]):
            element = base64.b64decode(layer["annotations"][ENC + name])
            plbco, more = open_element(element)
            needles.update({**plbco_needles(plbco, i), **more})
        return needles


class Encrypt(WaysCase):
    def assert_encrypt_forgets(self, spec, name, open_element, *args, needles=None, **kwargs):
        def look():
            return {**self.opened(self.path("image"), name, open_element), **(needles or {})}

        self.assert_forgotten(look, *args, "--encryption-key", spec, self.image(self.plain),
                              self.image(self.path("image")), verb=("encrypt",), **kwargs)

    def test_jwe(self):
        self.assert_encrypt_forgets("jwe:" + self.keys.public, "jwe",
                                    lambda element: open_jwe(element, self.keys.rsa))

    def test_packet_by_key_file(self):
        self.assert_encrypt_forgets(
            f"provider:{NAME}:keypath={self.keys.kek_file}::keyid={KID}", "provider." + NAME,
            self.open_packet, needles=forms("the KEK", self.keys.kek))

    def test_packet_by_broker(self):
        self.assert_encrypt_forgets(
            f"provider:{NAME}:keyid={KID}", "provider." + NAME, self.open_packet,
            "--kbc", "offline_fs_kbc::null", "--offline-keys", self.keys.offline,
            needles=forms("the KEK", self.keys.kek))

    def test_provider(self):
        for way in "grpc", "ttrpc":
            with self.subTest(way=way):
                self.assert_encrypt_forgets(f"provider:{NAME}:keyid={KID}", "provider." + NAME,
                                            self.open_packet, extra=self.provider_config(way))

    def test_provider_that_is_a_command(self):
        self.assert_encrypt_forgets(f"provider:{NAME}:any", "provider." + NAME,
                                    lambda element: (bytes(b ^ 0x55 for b in element), {}),
                                    extra=self.provider_config("cmd"))


class Decrypt(WaysCase):
    """One image for all: whoever opens it finds the same keys."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        keys = cls.keys
        specs = [f"jwe:{keys.public}", f"pkcs7:{keys.certificate}", "pgp:alice@example.com",
                 f"pkcs11:{keys.token}", f"provider:{NAME}:keypath={keys.kek_file}::keyid={KID}"]
        cls.encrypted = os.path.join(cls.shared, "encrypted")
        options = [word for spec in specs for word in ("--encryption-key", spec)]
        run(sluice_case.SLUICE, "encrypt", "--quiet", "--pgp-home", keys.path("gnupg"), *options,
            f"oci:{cls.plain}:latest", f"oci:{cls.encrypted}:latest", **keys.token_env)
        for name in "pkcs7", "pgp", "pkcs11", "provider." + NAME:
            cls.leave_only(name)

    @classmethod
    def leave_only(cls, name):
        """A copy of the image with the annotations of one protocol, so that this one is taken."""
        manifest = oci_images.read_manifest(cls.encrypted)
        for layer in manifest["layers"]:
            layer["annotations"] = {key: value for key, value in layer["annotations"].items()
                                    if not key.startswith(ENC) or key == ENC + name}
        layout = cls.encrypted + "-" + name
        os.mkdir(layout)
        os.symlink(os.path.join(cls.encrypted, "blobs"), os.path.join(layout, "blobs"))
        crafted_image.write_document(layout, manifest)

    def needles(self):
        return self.opened(self.encrypted, "jwe", lambda element: open_jwe(element, self.keys.rsa))

    def assert_decrypt_forgets(self, name, *args, needles=None, **kwargs):
        layout = self.encrypted + ("" if name == "jwe" else "-" + name)
        self.assert_forgotten({**self.needles(), **(needles or {})}, *args, self.image(layout),
                              self.image(self.path("decrypted")), verb=("decrypt",), **kwargs)

    def test_jwe(self):
        self.assert_decrypt_forgets("jwe", "--decryption-key", self.keys.pem,
                                    needles=self.keys.rsa_needles())

    def test_key_with_a_password(self):
        self.assert_decrypt_forgets(
            "jwe", "--decryption-key", f"{self.keys.locked_pem}:file={self.keys.password}",
            needles={**self.keys.rsa_needles(), "the password": PASSWORD.encode()})

    def test_pkcs7(self):
        self.assert_decrypt_forgets("pkcs7", "--decryption-key", self.keys.pem, "--decryption-key",
                                    self.keys.certificate, needles=self.keys.rsa_needles())

    def test_pgp(self):
        self.assert_decrypt_forgets("pgp", "--decryption-key", self.keys.pgp,
                                    needles=self.keys.pgp_needles)

    def test_token(self):
        self.assert_decrypt_forgets("pkcs11", "--decryption-key", self.keys.token,
                                    needles={"the PIN": PIN.encode(),
                                             "the PIN in its URI": PIN.replace(" ", "%20").encode()},
                                    extra=self.keys.token_env)

    def test_broker(self):
        self.assert_decrypt_forgets("provider." + NAME, "--kbc", "offline_fs_kbc::null", "--offline-keys",
                                    self.keys.offline, needles=forms("the KEK", self.keys.kek))

    def test_provider(self):
        for way in "grpc", "ttrpc":
            with self.subTest(way=way):
                self.assert_decrypt_forgets("provider." + NAME, extra=self.provider_config(way))


class KeyProvider(WaysCase):
    ROUNDS = 100

    # A message of one field of bytes; a length takes two bytes, or three.
    @staticmethod
    def field(data):
        size, n = b"", len(data)
        while n > 127:
            size, n = size + bytes([n & 127 | 128]), n >> 7
        return b"\x0a" + size + bytes([n]) + data

    def wrap(self, call, plbco):
        request = {"op": "keywrap", "keyunwrapparams": {"dc": None, "annotation": None},
                   "keywrapparams": {"ec": {"Parameters": {NAME: [b64(b"keyid=" + KID.encode())]}},
                                     "optsdata": b64(plbco)}}
        answer = call("WrapKey", self.field(json.dumps(request).encode()))
        return bytes(json.loads(answer[answer.index(b"{"):])["keywrapresults"]["annotation"])

    def unwrap(self, call, packet):
        request = {"op": "keyunwrap", "keywrapparams": {"ec": None, "optsdata": None},
                   "keyunwrapparams": {"dc": {}, "annotation": b64(packet)}}
        answer = call("UnWrapKey", self.field(json.dumps(request).encode()))
        return bytes(json.loads(answer[answer.index(b"{"):])["keyunwrapresults"]["optsdata"])

    def test_wraps_and_unwraps(self):
        keys = [os.urandom(32) for _ in range(4)]
        options = [json.dumps({"symkey": b64(key), "digest": "sha256:" + "0" * 64,
                               "cipheroptions": {"nonce": b64(os.urandom(16))}}).encode() for key in keys]
        needles = {}
        for i, plbco in enumerate(options):
            needles.update(plbco_needles(plbco, i))
        other = json.dumps({"symkey": b64(bytes(32)), "cipheroptions": {}}).encode()
        for program in PROGRAMS:
            with self.subTest(program=program):
                server, calls = self.start_program(program)
                for i in range(self.ROUNDS):
                    call, plbco = calls[i % 2], options[i % 4]
                    self.assertEqual(self.unwrap(call, self.wrap(call, plbco)), plbco)
                # An answer may be read before it is forgotten; not that of an earlier question.
                for call in calls:
                    self.unwrap(call, self.wrap(call, other))
                process = Running(server.pid)
                marker = {"marker": self.keys.offline.encode(), "KEK": self.keys.kek}
                self.assertEqual(set(process.find(marker)), set(marker))
                self.assert_absent(process, needles)
                kept = process.kept()
                self.assertFalse(process.find(forms("the KEK", self.keys.kek), but=kept))
                self.end(server)


class Process(WaysCase):
    """What keeps keys from leaving while they are in use."""

    def check(self, process):
        self.assertEqual(process.owner(), 0)
        self.assertRegex(process.proc("limits"), r"Max core file size +0 +0 ")

    def test_encrypt_and_decrypt(self):
        for program in PROGRAMS:
            self.check(self.at_exit(self.for_anybody(program), "encrypt", "--encryption-key", "jwe:/nonexistent", "oci:/none",
                                    "oci:/nowhere", user=NOBODY, expect=sluice_case.EXIT_FAILED))

    def test_key_provider(self):
        for name in self.folder, self.keys.folder:  # the keys are to be read
            os.chmod(name, 0o755)
        for program in PROGRAMS:
            # Without clients: newer versions of gRPC do not let a process fork that has one.
            server, _ = self.start_server(self.for_anybody(program), user=NOBODY)
            self.check(Running(server.pid))
            self.end(server)


NOBODY = pwd.getpwnam("nobody").pw_uid

if __name__ == "__main__":
    sluice_case.main("gpg", "softhsm2-util")
