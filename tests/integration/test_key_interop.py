#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Layer keys wrapped by others: skopeo (ocicrypt), openssl cms, and JWE written by hand over
python3-cryptography. Usage: test_key_interop.py UNWRAP_DRIVER"""
import base64
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
    from cryptography.hazmat.primitives import hashes, keywrap, padding, serialization
    from cryptography.hazmat.primitives.asymmetric import ec, rsa
    from cryptography.hazmat.primitives.asymmetric import padding as rsa_padding
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    from cryptography.hazmat.primitives.kdf.concatkdf import ConcatKDFHash
except ImportError:
    print("python3-cryptography is missing")
    sys.exit(77)

DRIVER = None
PREFIX = "org.opencontainers.image.enc."
PASSWORD = "pass:word with blank"


def b64(data):
    return base64.b64encode(data).decode()


def b64u(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def run(*argv, **kwargs):
    return subprocess.run(argv, check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **kwargs).stdout


class KeyCase(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="sluice-keys-")
        self.addCleanup(shutil.rmtree, self.dir)

    def path(self, name):
        return os.path.join(self.dir, name)

    def write(self, name, data):
        with open(self.path(name), "wb") as f:
            f.write(data)
        return self.path(name)

    def pem(self, key, password=None, form=serialization.PrivateFormat.PKCS8):
        how = serialization.BestAvailableEncryption(password.encode()) if password else serialization.NoEncryption()
        return key.private_bytes(serialization.Encoding.PEM, form, how)

    def public_pem(self, key):
        return key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)

    def unwrap(self, annotations, *keys):
        path = self.write("annotations.json", json.dumps(annotations).encode())
        p = subprocess.run([DRIVER, path, *keys], stdout=subprocess.PIPE, text=True)
        return p.returncode, p.stdout.strip()

    def certificate(self, key):
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "tester"),
                          x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, "Sluice tests")])
        import datetime
        now = datetime.datetime(2024, 1, 1)
        cert = (x509.CertificateBuilder().subject_name(name).issuer_name(name)
                .public_key(key.public_key()).serial_number(x509.random_serial_number())
                .not_valid_before(now).not_valid_after(now + datetime.timedelta(days=36500))
                .sign(key, hashes.SHA256()))
        return cert.public_bytes(serialization.Encoding.PEM)


class Skopeo(KeyCase):
    """Encrypts a one-layer image with skopeo, unwraps, and decrypts the blob with the result."""

    def setUp(self):
        super().setUp()
        if not shutil.which("skopeo"):
            self.skipTest("skopeo is missing")
        self.tar = self.make_layout()

    def blob(self, data):
        digest = hashlib.sha256(data).hexdigest()
        os.makedirs(self.path("in/blobs/sha256"), exist_ok=True)
        self.write("in/blobs/sha256/" + digest, data)
        return {"digest": "sha256:" + digest, "size": len(data)}

    def make_layout(self):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as tar:
            info = tarfile.TarInfo("hello.txt")
            info.size = 6
            tar.addfile(info, io.BytesIO(b"hello\n"))
        plain = out.getvalue()
        layer = self.blob(gzip.compress(plain, mtime=0))
        config = self.blob(json.dumps({
            "architecture": "amd64", "os": "linux", "config": {},
            "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(plain).hexdigest()]}}).encode())
        manifest = self.blob(json.dumps({
            "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", **config},
            "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", **layer}]}).encode())
        self.write("in/index.json", json.dumps({
            "schemaVersion": 2, "manifests": [{
                "mediaType": "application/vnd.oci.image.manifest.v1+json", **manifest,
                "annotations": {"org.opencontainers.image.ref.name": "t"}}]}).encode())
        self.write("in/oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
        return plain

    def encrypt(self, *recipients):
        shutil.rmtree(self.path("out"), ignore_errors=True)
        argv = ["skopeo", "copy", "--insecure-policy"]
        for recipient in recipients:
            argv += ["--encryption-key", recipient]
        run(*argv, "oci:" + self.path("in") + ":t", "oci:" + self.path("out") + ":t")
        def load(digest):
            with open(self.path("out/blobs/sha256/" + digest.split(":")[1]), "rb") as f:
                return f.read()
        with open(self.path("out/index.json")) as f:
            manifest = json.loads(load(json.load(f)["manifests"][0]["digest"]))
        layer = manifest["layers"][0]
        self.assertTrue(layer["mediaType"].endswith("+encrypted"))
        return layer["annotations"], load(layer["digest"])

    def check(self, annotations, blob, protocol, *keys):
        status, out = self.unwrap(annotations, *keys)
        self.assertEqual(status, 0, out)
        got, lek, nonce, mac = out.split()
        self.assertEqual(got, protocol)
        lek, nonce = bytes.fromhex(lek), bytes.fromhex(nonce)
        self.assertEqual(hmac.new(lek, blob, "sha256").hexdigest(), mac)
        plain = Cipher(algorithms.AES(lek), modes.CTR(nonce)).decryptor().update(blob)
        self.assertEqual(gzip.decompress(plain), self.tar)

    def test_jwe_rsa_and_ec_recipients(self):
        keys = {"rsa2048": rsa.generate_private_key(65537, 2048),
                "rsa3072": rsa.generate_private_key(65537, 3072),
                "p256": ec.generate_private_key(ec.SECP256R1()),
                "p384": ec.generate_private_key(ec.SECP384R1()),
                "p521": ec.generate_private_key(ec.SECP521R1())}
        for name, key in keys.items():
            self.write(name + ".pem", self.pem(key))
            self.write(name + ".pub", self.public_pem(key))
        for name in keys:
            with self.subTest(recipient=name):
                annotations, blob = self.encrypt("jwe:" + self.path(name + ".pub"))
                self.check(annotations, blob, "jwe", self.path(name + ".pem"))
        annotations, blob = self.encrypt(*("jwe:" + self.path(n + ".pub") for n in keys))
        for name in keys:
            with self.subTest(shared_with=name):
                self.check(annotations, blob, "jwe", self.path(name + ".pem"))

    def test_jwe_with_password_protected_keys(self):
        key = rsa.generate_private_key(65537, 2048)
        self.write("k.pub", self.public_pem(key))
        self.write("pkcs8.pem", self.pem(key, PASSWORD))
        self.write("rfc1423.pem", self.pem(key, PASSWORD, serialization.PrivateFormat.TraditionalOpenSSL))
        self.write("pw", PASSWORD.encode())
        annotations, blob = self.encrypt("jwe:" + self.path("k.pub"))
        for name in ("pkcs8.pem", "rfc1423.pem"):
            for how in (":pass=" + PASSWORD, ":file=" + self.path("pw")):
                with self.subTest(key=name, how=how):
                    self.check(annotations, blob, "jwe", self.path(name) + how)

    def test_pkcs7_with_and_without_certificate(self):
        key = rsa.generate_private_key(65537, 3072)
        other = rsa.generate_private_key(65537, 2048)
        cert = self.write("c.pem", self.certificate(key))
        other_cert = self.write("oc.pem", self.certificate(other))
        private = self.write("k.pem", self.pem(key))
        other_private = self.write("ok.pem", self.pem(other))
        annotations, blob = self.encrypt("pkcs7:" + cert, "pkcs7:" + other_cert)
        self.check(annotations, blob, "pkcs7", private, cert)
        self.check(annotations, blob, "pkcs7", other_cert, other_private)
        self.check(annotations, blob, "pkcs7", private)
        annotations, blob = self.encrypt("pkcs7:" + other_cert)
        status, out = self.unwrap(annotations, private, cert)
        self.assertEqual(status, 1)
        self.assertIn("error auth: Failed to decrypt the image layer", out)

    def test_jwe_and_pkcs7_side_by_side(self):
        a, b = rsa.generate_private_key(65537, 2048), rsa.generate_private_key(65537, 2048)
        pub = self.write("a.pub", self.public_pem(a))
        cert = self.write("b.crt", self.certificate(b))
        ka, kb = self.write("a.pem", self.pem(a)), self.write("b.pem", self.pem(b))
        annotations, blob = self.encrypt("jwe:" + pub, "pkcs7:" + cert)
        self.check(annotations, blob, "jwe", ka)
        self.check(annotations, blob, "pkcs7", kb)


class Oracle(KeyCase):
    """Formats that skopeo reads but never writes."""

    PLBCO = {"symkey": b64(bytes(range(32))), "cipheroptions": {"nonce": b64(bytes(range(16)))}}
    WANT = " %s %s %s" % (bytes(range(32)).hex(), bytes(range(16)).hex(), "00" * 32)

    def annotations(self, protocol, element):
        pubopts = {"cipher": "AES_256_CTR_HMAC_SHA256", "hmac": b64(bytes(32)), "cipheroptions": {}}
        return {PREFIX + "pubopts": b64(json.dumps(pubopts).encode()), PREFIX + "keys." + protocol: b64(element)}

    def seal(self, enc, header, aad_member=None):
        """Content key, and the members of a JWE but encrypted_key."""
        text = json.dumps(self.PLBCO).encode()
        protected = b64u(json.dumps({**header, "enc": enc}).encode())
        aad = protected.encode() + (b"." + aad_member.encode() if aad_member else b"")
        if enc.endswith("GCM"):
            cek, iv = os.urandom(int(enc[1:4]) // 8), os.urandom(12)
            sealed = AESGCM(cek).encrypt(iv, text, aad)
            sealed, tag = sealed[:-16], sealed[-16:]
        else:
            half = int(enc[1:4]) // 8
            cek, iv = os.urandom(2 * half), os.urandom(16)
            pad = padding.PKCS7(128).padder()
            aes = Cipher(algorithms.AES(cek[half:]), modes.CBC(iv)).encryptor()
            sealed = aes.update(pad.update(text) + pad.finalize()) + aes.finalize()
            tag = hmac.new(cek[:half], aad + iv + sealed + (8 * len(aad)).to_bytes(8, "big"),
                           "sha" + enc[-3:]).digest()[:half]
        members = {"protected": protected, "iv": b64u(iv), "ciphertext": b64u(sealed), "tag": b64u(tag)}
        if aad_member:
            members["aad"] = aad_member
        return cek, members

    ENCS = ("A128GCM", "A192GCM", "A256GCM", "A128CBC-HS256", "A192CBC-HS384", "A256CBC-HS512")

    def check_jwe(self, members, key):
        element = json.dumps(members).encode()
        private = self.write("k.pem", self.pem(key))
        self.assertEqual(self.unwrap(self.annotations("jwe", element), private), (0, "jwe" + self.WANT))
        if "header" not in members and "recipients" not in members and "aad" not in members:
            compact = ".".join(members[m] for m in ("protected", "encrypted_key", "iv", "ciphertext", "tag"))
            self.assertEqual(self.unwrap(self.annotations("jwe", compact.encode()), private),
                             (0, "jwe" + self.WANT))

    def check_tampered(self, members, key):
        """Each member changed in turn: the same answer each time."""
        private = self.write("k.pem", self.pem(key))
        for name in ("protected", "encrypted_key", "iv", "ciphertext", "tag"):
            raw = bytearray(base64.urlsafe_b64decode(members[name] + "==="))
            if name == "protected":
                raw = raw.replace(b"{", b"{ ")
            else:
                raw[-1] ^= 1
            changed = {**members, name: b64u(bytes(raw))}
            status, out = self.unwrap(self.annotations("jwe", json.dumps(changed).encode()), private)
            self.assertEqual((status, out.split(": ")[0]), (1, "error auth"), (name, out))
            self.assertTrue(out.endswith("jwe[0]: the wrapped key does not open"), out)

    def test_jwe_rsa_with_every_content_cipher(self):
        key = rsa.generate_private_key(65537, 2048)
        for alg, digest in (("RSA-OAEP", hashes.SHA1()), ("RSA-OAEP-256", hashes.SHA256())):
            for enc in self.ENCS:
                with self.subTest(alg=alg, enc=enc):
                    cek, members = self.seal(enc, {"alg": alg})
                    oaep = rsa_padding.OAEP(rsa_padding.MGF1(digest), digest, None)
                    members["encrypted_key"] = b64u(key.public_key().encrypt(cek, oaep))
                    self.check_jwe(members, key)
                    self.check_tampered(members, key)

    def agree(self, alg, curve, key, **info):
        """epk and the key-encryption key, as a sender makes them."""
        epk = ec.generate_private_key(curve)
        shared = epk.exchange(ec.ECDH(), key.public_key())
        size = (curve.key_size + 7) // 8
        numbers = epk.public_key().public_numbers()
        bits = int(alg[-5:-2])
        sized = lambda data: len(data).to_bytes(4, "big") + data
        other = sized(alg.encode()) + sized(info.get("apu", b"")) + sized(info.get("apv", b"")) + bits.to_bytes(4, "big")
        kek = ConcatKDFHash(hashes.SHA256(), bits // 8, other).derive(shared)
        return {"kty": "EC", "crv": "P-%d" % curve.key_size,
                "x": b64u(numbers.x.to_bytes(size, "big")), "y": b64u(numbers.y.to_bytes(size, "big"))}, kek

    def test_jwe_ec_on_every_curve_with_every_key_wrap(self):
        for curve in (ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()):
            key = ec.generate_private_key(curve)
            for bits in (128, 192, 256):
                for info in ({}, {"apu": b"Alice", "apv": b"Bob"}):
                    alg = "ECDH-ES+A%dKW" % bits
                    with self.subTest(curve=curve.name, alg=alg, info=info):
                        epk, kek = self.agree(alg, curve, key, **info)
                        header = {"alg": alg, "epk": epk, **{k: b64u(v) for k, v in info.items()}}
                        cek, members = self.seal("A256CBC-HS512", header)
                        members["encrypted_key"] = b64u(keywrap.aes_key_wrap(kek, cek))
                        self.check_jwe(members, key)

    def test_jwe_with_public_aad_and_recipient_header(self):
        curve = ec.SECP384R1()
        key = ec.generate_private_key(curve)
        epk, kek = self.agree("ECDH-ES+A192KW", curve, key)
        cek, members = self.seal("A192GCM", {}, aad_member=b64u(b"more"))
        members["encrypted_key"] = b64u(keywrap.aes_key_wrap(kek, cek))
        members["header"] = {"alg": "ECDH-ES+A192KW"}
        members["unprotected"] = {"epk": epk}
        self.check_jwe(members, key)

    def test_pkcs7_of_openssl_in_standard_encodings(self):
        key = rsa.generate_private_key(65537, 2048)
        private = self.write("k.pem", self.pem(key))
        cert = self.write("c.pem", self.certificate(key))
        plbco = self.write("plbco", json.dumps(self.PLBCO).encode())
        oaep = ["-keyopt", "rsa_padding_mode:oaep"]
        ways = ([], oaep, oaep + ["-keyopt", "rsa_oaep_md:sha256"],
                oaep + ["-keyopt", "rsa_oaep_md:sha384", "-keyopt", "rsa_mgf1_md:sha256"])
        for cipher in ("-aes-128-cbc", "-aes-256-cbc"):
            for way in ways:
                with self.subTest(cipher=cipher, way=way):
                    run("openssl", "cms", "-encrypt", "-binary", "-in", plbco, "-outform", "DER",
                        "-out", self.path("cms"), cipher, "-recip", cert, *way)
                    with open(self.path("cms"), "rb") as f:
                        element = f.read()
                    self.assertEqual(self.unwrap(self.annotations("pkcs7", element), private, cert),
                                     (0, "pkcs7" + self.WANT))
        run("openssl", "cms", "-encrypt", "-binary", "-in", plbco, "-outform", "DER",
            "-out", self.path("cms"), "-des3", "-recip", cert)
        with open(self.path("cms"), "rb") as f:
            status, out = self.unwrap(self.annotations("pkcs7", f.read()), private, cert)
        self.assertEqual(status, 1)
        self.assertIn("error unsupported:", out)

    def test_pkcs7_gcm_in_every_encoding(self):
        """By hand: openssl puts AES-GCM into another message type."""
        def der(tag, *parts):
            body = b"".join(parts)
            n = len(body)
            size = bytes([n]) if n < 128 else bytes([0x80 | (n.bit_length() + 7) // 8]) + n.to_bytes((n.bit_length() + 7) // 8, "big")
            return bytes([tag]) + size + body
        def oid(text):
            return der(6, bytes.fromhex(text))
        key = rsa.generate_private_key(65537, 2048)
        private = self.write("k.pem", self.pem(key))
        pem = self.certificate(key)
        cert = self.write("c.pem", pem)
        parsed = x509.load_pem_x509_certificate(pem)
        serial = parsed.serial_number
        serial = der(2, serial.to_bytes(serial.bit_length() // 8 + 1, "big"))
        plbco = json.dumps(self.PLBCO).encode()
        for size, cipher in ((16, "06"), (32, "2e")):
            cek, iv = os.urandom(size), os.urandom(12)
            wrapped = key.public_key().encrypt(cek, rsa_padding.PKCS1v15())
            sealed = AESGCM(cek).encrypt(iv, plbco, None)
            recipient = der(0x30, der(2, b"\0"), der(0x30, parsed.issuer.public_bytes(), serial),
                            der(0x30, oid("2a864886f70d010101"), der(5)), der(4, wrapped))
            odd = der(0x10, der(0x30, der(0x84, iv), der(2, b"\x10")))
            standard = der(0x30, der(4, iv), der(2, b"\x10"))
            short_tag = der(0x30, der(4, iv), der(2, b"\x0c"))
            forms = (der(0x80, sealed), der(0xa0, der(4, sealed)), der(0xa0, der(4, sealed[:7]), der(4, sealed[7:])))
            for params, good in ((odd, True), (standard, True), (short_tag, False)):
                for content in forms:
                    element = der(0x30, oid("2a864886f70d010703"), der(0xa0, der(0x30,
                        der(2, b"\0"), der(0x31, recipient), der(0x30, oid("2a864886f70d010701"),
                        der(0x30, oid("6086480165030401" + cipher), params), content))))
                    status, out = self.unwrap(self.annotations("pkcs7", element), private, cert)
                    with self.subTest(size=size, params=params.hex(), content=content[:1].hex()):
                        self.assertEqual((status, out) == (0, "pkcs7" + self.WANT), good, out)

    def test_pkcs7_cbc_is_no_padding_oracle(self):
        key = rsa.generate_private_key(65537, 2048)
        private = self.write("k.pem", self.pem(key))
        cert = self.write("c.pem", self.certificate(key))
        plbco = self.write("plbco", json.dumps(self.PLBCO).encode())
        run("openssl", "cms", "-encrypt", "-binary", "-in", plbco, "-outform", "DER",
            "-out", self.path("cms"), "-aes-128-cbc", "-recip", cert)
        with open(self.path("cms"), "rb") as f:
            element = bytearray(f.read())
        answers = set()
        for at in (len(element) - 1, len(element) - 17, len(element) - 40, 150, 200):
            changed = bytearray(element)
            changed[at] ^= 1
            answers.add(self.unwrap(self.annotations("pkcs7", bytes(changed)), private))
        self.assertEqual(len(answers), 1, answers)
        self.assertIn("error auth:", answers.pop()[1])

    def test_packet_with_key_of_the_offline_file(self):
        kek, iv = os.urandom(32), os.urandom(12)
        keks = self.write("keks.json", json.dumps({"default/key/k1": b64(kek)}).encode())
        sealed = AESGCM(kek).encrypt(iv, json.dumps(self.PLBCO).encode(), None)
        for kid in ("kbs:///default/key/k1", "kbs://host:1/default/key/k1", "/default/key/k1", "host/default/key/k1"):
            packet = {"kid": kid, "wrapped_data": b64(sealed), "iv": b64(iv), "wrap_type": "A256GCM"}
            a = self.annotations("provider.attestation-agent", json.dumps(packet).encode())
            self.assertEqual(self.unwrap(a, "--keks", keks, "provider:attestation-agent:offline_fs_kbc::null"),
                             (0, "provider" + self.WANT))
        status, out = self.unwrap(a)
        self.assertEqual((status, "no key broker is configured" in out), (1, True))


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    DRIVER = sys.argv.pop(1)
    unittest.main()
