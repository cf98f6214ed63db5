#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Layer keys wrapped by us, opened by others: skopeo (ocicrypt), jose, python3-jwcrypto, and a DER
reader written by hand over python3-cryptography. Usage: test_key_wrap.py WRAP_DRIVER UNWRAP_DRIVER"""
import base64
import datetime
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
import unittest

try:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec, rsa
    from cryptography.hazmat.primitives.asymmetric import padding as rsa_padding
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
except ImportError:
    print("python3-cryptography is missing")
    sys.exit(77)
try:
    from jwcrypto import jwe, jwk
except ImportError:
    jwe = None
    print("python3-jwcrypto is missing: only jose opens JWEs")

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import oci_layout

WRAP, UNWRAP = None, None
PREFIX = "org.opencontainers.image.enc."
LEK, NONCE = bytes(range(32)), bytes(range(16))
OPENED = " %s %s %s" % (LEK.hex(), NONCE.hex(), "00" * 32)


def b64(data):
    return base64.b64encode(data).decode()


def b64u_decode(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def b64u(number, size):
    return base64.urlsafe_b64encode(number.to_bytes(size, "big")).rstrip(b"=").decode()


def jwk_of(key):
    """Public and private members."""
    if isinstance(key, rsa.RSAPrivateKey):
        n = key.private_numbers()
        size = key.key_size // 8
        public = {"kty": "RSA", "n": b64u(n.public_numbers.n, size), "e": "AQAB"}
        private = {"d": n.d, "p": n.p, "q": n.q, "dp": n.dmp1, "dq": n.dmq1, "qi": n.iqmp}
        return public, {m: b64u(v, size if m == "d" else size // 2) for m, v in private.items()}
    size = (key.key_size + 7) // 8
    n = key.private_numbers()
    return ({"kty": "EC", "crv": "P-%d" % key.key_size, "x": b64u(n.public_numbers.x, size),
             "y": b64u(n.public_numbers.y, size)}, {"d": b64u(n.private_value, size)})


PLBCO = ('{"symkey":"%s","digest":"sha256:%s","cipheroptions":{"nonce":"%s"}}'
         % (b64(LEK), "ab" * 32, b64(NONCE))).encode()


class WrapCase(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="sluice-wrap-")
        self.addCleanup(shutil.rmtree, self.dir)
        self.plbco = self.write("plbco", PLBCO)

    def path(self, name):
        return os.path.join(self.dir, name)

    def write(self, name, data):
        with open(self.path(name), "wb") as f:
            f.write(data)
        return self.path(name)

    def private(self, name, key):
        return self.write(name, key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                                  serialization.NoEncryption()))

    def public(self, name, key, encoding=serialization.Encoding.PEM):
        return self.write(name, key.public_key().public_bytes(
            encoding, serialization.PublicFormat.SubjectPublicKeyInfo))

    def certificate(self, name, key, encoding=serialization.Encoding.PEM):
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        now = datetime.datetime(2024, 1, 1)
        cert = (x509.CertificateBuilder().subject_name(subject).issuer_name(subject)
                .public_key(key.public_key()).serial_number(x509.random_serial_number())
                .not_valid_before(now).not_valid_after(now + datetime.timedelta(days=36500))
                .sign(key, hashes.SHA256()))
        self.write(name, cert.public_bytes(encoding))
        return cert

    def run_wrap(self, *args):
        p = subprocess.run([WRAP, self.plbco, *args], stdout=subprocess.PIPE, text=True)
        return p.returncode, p.stdout.strip()

    def wrap(self, *args):
        status, out = self.run_wrap(*args)
        self.assertEqual(status, 0, out)
        return json.loads(out)

    def elements(self, annotations, protocol):
        return [base64.b64decode(e, validate=True) for e in annotations[PREFIX + "keys." + protocol].split(",")]

    def check_unwrap(self, annotations, protocol, *keys):
        path = self.write("annotations.json", json.dumps(annotations).encode())
        p = subprocess.run([UNWRAP, path, *keys], stdout=subprocess.PIPE, text=True)
        self.assertEqual((p.returncode, p.stdout.strip()), (0, protocol + OPENED))

    def check_fails(self, code, text, *args):
        status, out = self.run_wrap(*args)
        self.assertEqual(status, 1, out)
        self.assertEqual(out.split(":")[0], "error " + code, out)
        self.assertIn(text, out)


class Jwe(WrapCase):
    KEYS = {"rsa": lambda: rsa.generate_private_key(65537, 2048),
            "P-256": lambda: ec.generate_private_key(ec.SECP256R1()),
            "P-384": lambda: ec.generate_private_key(ec.SECP384R1()),
            "P-521": lambda: ec.generate_private_key(ec.SECP521R1())}

    def open_with_jwcrypto(self, element, key):
        if not jwe:
            return PLBCO
        token = jwe.JWE()
        token.allowed_algs = ["RSA-OAEP", "RSA-OAEP-256", "ECDH-ES+A256KW", "ECDH-ES+A128KW", "A256GCM"]
        token.deserialize(element.decode(), jwk.JWK.from_pyca(key))
        return token.payload

    def jose_can(self, alg):
        """Some builds lack RSA-OAEP."""
        if not shutil.which("jose"):
            return False
        algs = subprocess.run(["jose", "alg", "-k", "wrap"], stdout=subprocess.PIPE, text=True, check=True).stdout
        return alg in algs.split()

    def open_with_jose(self, element, key):
        public, private = jwk_of(key)
        self.write("k.jwk", json.dumps({**public, **private}).encode())
        p = subprocess.run(["jose", "jwe", "dec", "-i-", "-k", self.path("k.jwk")], input=element,
                           stdout=subprocess.PIPE)
        self.assertEqual(p.returncode, 0)
        return p.stdout

    def check_opens(self, annotations, key, private):
        element, = self.elements(annotations, "jwe")
        self.assertEqual(self.open_with_jwcrypto(element, key), PLBCO)
        if self.jose_can("RSA-OAEP" if isinstance(key, rsa.RSAPrivateKey) else "ECDH-ES+A256KW"):
            self.assertEqual(self.open_with_jose(element, key), PLBCO)
        self.check_unwrap(annotations, "jwe", private)

    def test_one_recipient_is_flattened(self):
        for name, make in self.KEYS.items():
            with self.subTest(key=name):
                key = make()
                private = self.private("k.pem", key)
                annotations = self.wrap("jwe:" + self.public("k.pub", key))
                self.check_opens(annotations, key, private)
                message = json.loads(self.elements(annotations, "jwe")[0])
                self.assertEqual(list(message), ["protected", "encrypted_key", "iv", "ciphertext", "tag"])
                header = json.loads(b64u_decode(message["protected"]))
                if name == "rsa":
                    self.assertEqual(header, {"alg": "RSA-OAEP", "enc": "A256GCM"})
                else:
                    self.assertEqual(list(header), ["alg", "enc", "epk"])
                    self.assertEqual((header["alg"], header["epk"]["crv"]), ("ECDH-ES+A256KW", name))
                    self.assertEqual(set(header["epk"]), {"kty", "crv", "x", "y"})
                self.assertEqual([len(b64u_decode(message[m])) for m in ("iv", "ciphertext", "tag")],
                                 [12, len(PLBCO), 16])

    def test_several_recipients_share_one_general_message(self):
        keys = {name: make() for name, make in self.KEYS.items()}
        annotations = self.wrap(*("jwe:" + self.public(n + ".pub", k) for n, k in keys.items()))
        message = json.loads(self.elements(annotations, "jwe")[0])
        self.assertEqual(list(message), ["protected", "recipients", "iv", "ciphertext", "tag"])
        self.assertEqual(json.loads(b64u_decode(message["protected"])), {"enc": "A256GCM"})
        self.assertEqual([r["header"]["alg"] for r in message["recipients"]],
                         ["RSA-OAEP"] + 3 * ["ECDH-ES+A256KW"])
        for name, key in keys.items():
            with self.subTest(key=name):
                self.check_opens(annotations, key, self.private("k.pem", key))

    def test_jwk_says_alg_and_kid(self):
        for name, alg in (("rsa", "RSA-OAEP-256"), ("P-256", "ECDH-ES+A128KW")):
            key = self.KEYS[name]()
            public = jwk_of(key)[0]
            spec = "jwe:" + self.write("k.pub", json.dumps({**public, "alg": alg, "kid": "me/1"}).encode())
            annotations = self.wrap(spec)
            header = json.loads(b64u_decode(json.loads(self.elements(annotations, "jwe")[0])["protected"]))
            self.assertEqual((header["alg"], header["kid"]), (alg, "me/1"))
            element, = self.elements(annotations, "jwe")
            self.assertEqual(self.open_with_jwcrypto(element, key), PLBCO)
            self.check_unwrap(annotations, "jwe", self.private("k.pem", key))
        for alg, code in (("RSA1_5", "unsupported"), ("RSA-OAEP", "format")):
            spec = "jwe:" + self.write("k.pub", json.dumps({**public, "alg": alg}).encode())
            self.check_fails(code, "alg", spec)

    def test_der_is_read_and_other_files_are_told(self):
        key = rsa.generate_private_key(65537, 2048)
        annotations = self.wrap("jwe:" + self.public("k.der", key, serialization.Encoding.DER))
        self.check_opens(annotations, key, self.private("k.pem", key))
        self.check_fails("format", "not a public key", "jwe:" + self.path("k.pem"))
        self.check_fails("system", "No such file", "jwe:" + self.path("none"))
        k1 = ec.generate_private_key(ec.SECP256K1())
        self.check_fails("unsupported", "another curve", "jwe:" + self.public("k1.pub", k1))


def der(data):
    """The first element: tag, body, rest."""
    tag, size, at = data[0], data[1], 2
    if size >= 0x80:
        at += size & 0x7f
        size = int.from_bytes(data[2:at], "big")
    assert len(data) >= at + size
    return tag, data[at:at + size], data[at + size:]


def der_list(data):
    items = []
    while data:
        tag, body, data = der(data)
        items.append((tag, body))
    return items


class Pkcs7(WrapCase):
    def open(self, element, key, cert):
        """As the Go reader does it, odd encodings and all."""
        tag, info, rest = der(element)
        self.assertEqual((tag, rest), (0x30, b""))
        (t1, oid), (t2, explicit) = der_list(info)
        self.assertEqual((t1, oid.hex(), t2), (6, "2a864886f70d010703", 0xa0))
        (version, recipients, content), = [der_list(body) for _, body in der_list(explicit)]
        self.assertEqual((version, recipients[0], content[0]), ((2, b"\0"), 0x31, 0x30))
        (oid, cipher, sealed) = der_list(content[1])
        self.assertEqual(oid[1].hex(), "2a864886f70d010701")
        (alg, params) = der_list(cipher[1])
        self.assertEqual((alg[1].hex(), params[0]), ("608648016503040106", 0x10))
        self.assertEqual(params[1][:4].hex(), "3011840c")
        self.assertEqual(params[1][16:].hex(), "020110")
        self.assertEqual(sealed[0], 0x80)
        serial = cert.serial_number
        serial = serial.to_bytes(serial.bit_length() // 8 + 1, "big")
        for _, body in der_list(recipients[1]):
            version, name, transport, wrapped = der_list(body)
            self.assertEqual((version, transport), ((2, b"\0"), (0x30, bytes.fromhex("06092a864886f70d010101"))))
            if not (name[1].startswith(cert.issuer.public_bytes()) and name[1].endswith(serial)):
                continue
            cek = key.decrypt(wrapped[1], rsa_padding.PKCS1v15())
            self.assertEqual(len(cek), 16)
            return AESGCM(cek).decrypt(params[1][4:16], sealed[1], None)
        return None

    def test_recipients_open_one_message(self):
        a, b = rsa.generate_private_key(65537, 2048), rsa.generate_private_key(65537, 3072)
        cert_a, cert_b = self.certificate("a.crt", a), self.certificate("b.crt", b, serialization.Encoding.DER)
        for names in (("a",), ("a", "b")):
            annotations = self.wrap(*("pkcs7:" + self.path(n + ".crt") for n in names))
            element, = self.elements(annotations, "pkcs7")
            self.assertEqual(self.open(element, a, cert_a), PLBCO)
            self.assertEqual(self.open(element, b, cert_b), PLBCO if "b" in names else None)
            self.check_unwrap(annotations, "pkcs7", self.private("a.pem", a), self.path("a.crt"))

    def test_other_certificates_are_refused(self):
        self.certificate("ec.crt", ec.generate_private_key(ec.SECP256R1()))
        self.check_fails("unsupported", "no RSA key", "pkcs7:" + self.path("ec.crt"))
        self.check_fails("format", "not a certificate", "pkcs7:" + self.plbco)


class Packet(WrapCase):
    NAME = "provider.attestation-agent"

    def open(self, annotations, kek):
        packet = json.loads(self.elements(annotations, self.NAME)[-1])
        self.assertEqual(list(packet), ["kid", "wrapped_data", "iv", "wrap_type"])
        wrapped, iv = (base64.b64decode(packet[m], validate=True) for m in ("wrapped_data", "iv"))
        if packet["wrap_type"] == "A256GCM":
            return packet["kid"], AESGCM(kek).decrypt(iv, wrapped, None)
        return packet["kid"], Cipher(algorithms.AES(kek), modes.CTR(iv)).decryptor().update(wrapped)

    def test_kek_of_a_file(self):
        kek = os.urandom(32)
        path = self.write("kek", kek)
        keks = self.write("keks.json", json.dumps({"default/key/1": b64(kek)}).encode())
        for keyid, kid in (("kbs:///default/key/1", "kbs:///default/key/1"),
                           ("/default/key/1", "kbs:///default/key/1"),
                           ("host:80/default/key/1", "kbs://host:80/default/key/1")):
            for algorithm in ("", "::algorithm=A256GCM", "::algorithm=A256CTR"):
                spec = "provider:attestation-agent:keypath=%s::keyid=%s%s" % (path, keyid, algorithm)
                with self.subTest(spec=spec):
                    annotations = self.wrap("--ctr", spec)
                    self.assertEqual(self.open(annotations, kek), (kid, PLBCO))
                    if "CTR" not in algorithm:
                        self.check_unwrap(annotations, "provider", "--keks", keks)
        annotations = self.wrap("--keks", keks, "provider:attestation-agent:keyid=kbs:///default/key/1")
        self.assertEqual(self.open(annotations, kek), ("kbs:///default/key/1", PLBCO))

    def test_sample_key(self):
        annotations = self.wrap("--sample", "provider:attestation-agent:sample=true")
        kek = base64.b64decode("2Zt3BbC6ehaClbOjNnJwsN2bNxv1FMqLm6fwozcR2uo=")
        self.assertEqual(self.open(annotations, kek), ("kbs:///default/test-key/1", PLBCO))

    def test_what_is_refused(self):
        short = self.write("short", b64(os.urandom(32)).encode())
        start = "provider:attestation-agent:"
        self.check_fails("policy", "sample", start + "sample=true")
        self.check_fails("policy", "A256CTR", start + "keypath=%s::keyid=/a/b/c::algorithm=A256CTR" % short)
        self.check_fails("format", "44 bytes", start + "keypath=%s::keyid=/a/b/c" % short)
        self.check_fails("auth", "neither keypath", start + "keyid=/a/b/c")
        self.check_fails("auth", "OCICRYPT_KEYPROVIDER_CONFIG", "provider:other:x")

    def test_recipient_is_added_to_what_is_there(self):
        key = rsa.generate_private_key(65537, 2048)
        kek = os.urandom(32)
        first = "jwe:" + self.public("k.pub", key)
        second = "provider:attestation-agent:keyid=/a/b/c::keypath=" + self.write("kek", kek)
        before = self.wrap(first)
        path = self.write("before.json", json.dumps({"kept": "as it is", **before}).encode())
        after = self.wrap("--append", path, second, first)
        self.assertEqual(self.open(after, kek), ("kbs:///a/b/c", PLBCO))
        self.assertEqual(after[PREFIX + "pubopts"], before[PREFIX + "pubopts"])
        self.assertEqual(after["kept"], "as it is")
        old, new = after[PREFIX + "keys.jwe"].split(",")
        self.assertEqual(old, before[PREFIX + "keys.jwe"])
        self.assertNotEqual(old, new)
        del after[PREFIX + "keys." + self.NAME]
        after[PREFIX + "keys.jwe"] = new
        self.check_unwrap(after, "jwe", self.private("k.pem", key))


class Skopeo(WrapCase):
    """ocicrypt itself reads what we wrote, all the way to the plain layer."""

    def setUp(self):
        super().setUp()
        if not shutil.which("skopeo"):
            self.skipTest("skopeo is missing")
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as tar:
            tar.addfile(tarfile.TarInfo("hello"), io.BytesIO())
        self.tar = out.getvalue()

    def write_encrypted(self, annotations):
        blob = Cipher(algorithms.AES(LEK), modes.CTR(NONCE)).encryptor().update(gzip.compress(self.tar, mtime=0))
        pubopts = {"cipher": "AES_256_CTR_HMAC_SHA256", "hmac": b64(hmac.new(LEK, blob, "sha256").digest()),
                   "cipheroptions": {}}
        folder = self.path("encrypted")
        shutil.rmtree(folder, ignore_errors=True)
        layer = oci_layout.add_blob(folder, blob, "application/vnd.oci.image.layer.v1.tar+gzip+encrypted")
        layer["annotations"] = {**annotations, PREFIX + "pubopts": b64(json.dumps(pubopts).encode())}
        config = oci_layout.add_blob(folder, json.dumps({
            "os": "linux", "architecture": "amd64", "config": {}, "rootfs": {
                "type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(self.tar).hexdigest()]}}).encode(),
            oci_layout.CONFIG)
        manifest = oci_layout.add_blob(folder, json.dumps({
            "schemaVersion": 2, "mediaType": oci_layout.MANIFEST, "config": config, "layers": [layer]}).encode(),
            oci_layout.MANIFEST)
        manifest["annotations"] = {"org.opencontainers.image.ref.name": "t"}
        self.write("encrypted/index.json", json.dumps({"schemaVersion": 2, "manifests": [manifest]}).encode())
        self.write("encrypted/oci-layout", b'{"imageLayoutVersion":"1.0.0"}')

    def check_decrypts(self, annotations, *keys):
        self.write_encrypted(annotations)
        shutil.rmtree(self.path("plain"), ignore_errors=True)
        argv = ["skopeo", "copy", "-q", "--insecure-policy"]
        for key in keys:
            argv += ["--decryption-key", key]
        p = subprocess.run([*argv, "oci:%s:t" % self.path("encrypted"), "oci:%s:t" % self.path("plain")],
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.assertEqual(p.returncode, 0, p.stdout)
        blobs = self.path("plain/blobs/sha256")
        plain = [gzip.decompress(d) for d in map(self.read, (os.path.join(blobs, n) for n in os.listdir(blobs)))
                 if d.startswith(b"\x1f\x8b")]
        self.assertEqual(plain, [self.tar])

    def read(self, path):
        with open(path, "rb") as f:
            return f.read()

    def test_jwe(self):
        for name, make in Jwe.KEYS.items():
            with self.subTest(key=name):
                key = make()
                private = self.private("k.pem", key)
                public = self.public("k.pub", key)
                self.check_decrypts(self.wrap("jwe:" + public), private)
                other = self.public("other.pub", rsa.generate_private_key(65537, 2048))
                self.check_decrypts(self.wrap("jwe:" + other, "jwe:" + public), private)

    def test_pkcs7(self):
        keys = [rsa.generate_private_key(65537, size) for size in (2048, 3072)]
        for i, key in enumerate(keys):
            self.certificate("%d.crt" % i, key)
            self.private("%d.pem" % i, key)
        annotations = self.wrap("pkcs7:" + self.path("0.crt"), "pkcs7:" + self.path("1.crt"))
        for i in range(len(keys)):
            self.check_decrypts(annotations, self.path("%d.pem" % i), self.path("%d.crt" % i))


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    WRAP, UNWRAP = sys.argv.pop(1), sys.argv.pop(1)
    unittest.main()
