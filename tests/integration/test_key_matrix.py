#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Who encrypts, who decrypts: skopeo, buildah and sluice in every pairing, for one key-wrapping
protocol. Usage: test_key_matrix.py PROTOCOL; needs SLUICE and SLUICE_IMAGES (where tools are kept).

Whatever the way, every layer of the result is, uncompressed, what the image config lists."""
import base64
import gzip
import hashlib
import io
import itertools
import json
import os
import subprocess
import sys
import tarfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import oci_images
import own_mounts
import peers
from registry import missing_programs

SLUICE, KEPT = os.environ.get("SLUICE"), os.environ.get("SLUICE_IMAGES")
PROTOCOLS = ("jwe", "pkcs7", "pgp", "pkcs11", "provider")
PROTOCOL = sys.argv.pop() if sys.argv[-1] in PROTOCOLS else None
if not SLUICE or not KEPT or not PROTOCOL:
    sys.exit(__doc__)
TOOLS = ("skopeo", "buildah", "sluice")
FORMATS = ("gzip", "zstd", "plain")
ENC = "org.opencontainers.image.enc."
KATA = "Failed to decrypt the image layer"


def run(*argv, env=None, data=None):
    done = subprocess.run([str(a) for a in argv], env={**os.environ, **(env or {})}, input=data,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, argv))}: {done.stderr.decode(errors='replace')}")
    return done.stdout


# ---- keys: encrypt and decrypt are lists of options, one list for each recipient ----

class Keys:
    """Two recipients of one protocol; either may open what was made for it."""
    env = {}           # of every tool
    peers_env = {}     # of the others

    def __init__(self, folder):
        self.folder = folder

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, data):
        with open(self.path(name), "wb") as f:
            f.write(data if isinstance(data, bytes) else data.encode())
        return self.path(name)

    def rsa(self, name, bits=2048):
        run("openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", f"rsa_keygen_bits:{bits}", "-out",
            self.path(name + ".pem"))
        run("openssl", "pkey", "-in", self.path(name + ".pem"), "-pubout", "-out", self.path(name + ".pub"))
        return self.path(name + ".pem"), self.path(name + ".pub")

    def close(self):
        pass


class Jwe(Keys):
    def __init__(self, folder):
        super().__init__(folder)
        rsa, rsa_pub = self.rsa("a")
        ec, ec_pub = self.path("b.pem"), self.path("b.pub")
        run("openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-521", "-out", ec)
        run("openssl", "pkey", "-in", ec, "-pubout", "-out", ec_pub)
        self.encrypt = [["jwe:" + rsa_pub], ["jwe:" + ec_pub]]
        self.decrypt = [[rsa], [ec]]


class Pkcs7(Keys):
    def __init__(self, folder):
        super().__init__(folder)
        self.encrypt, self.decrypt = [], []
        for name in ("a", "b"):
            key, _ = self.rsa(name)
            run("openssl", "req", "-x509", "-new", "-key", key, "-subj", "/O=Tests/CN=" + name, "-days",
                "3650", "-out", self.path(name + ".crt"))
            self.encrypt.append(["pkcs7:" + self.path(name + ".crt")])
            self.decrypt.append([key, self.path(name + ".crt")])


PGP_KEY = """%no-protection
Key-Type: RSA
Key-Length: 2048
Subkey-Type: RSA
Subkey-Length: 2048
Name-Real: {name}
Name-Email: {name}@example.com
Expire-Date: 0
"""


class Pgp(Keys):
    def __init__(self, folder):
        super().__init__(folder)
        home = self.path("gnupg")
        os.mkdir(home, 0o700)
        self.env = {"GNUPGHOME": home}
        self.encrypt, self.decrypt = [], []
        for name in ("alice", "bob"):
            address = name + "@example.com"
            self.gpg("--generate-key", self.write(name + ".batch", PGP_KEY.format(name=name)))
            secret = self.write(name + ".gpg", self.gpg("--export-secret-keys", address))
            self.encrypt.append(["pgp:" + address])
            self.decrypt.append([secret])

    def gpg(self, *args):
        return run("gpg", "--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase", "", *args,
                   env=self.env)

    def close(self):
        run("gpgconf", "--kill", "all", env=self.env)


class Pkcs11(Keys):
    MODULE = "/usr/lib/softhsm/libsofthsm2.so"
    PIN = "1234"

    def __init__(self, folder):
        super().__init__(folder)
        os.mkdir(self.path("tokens"))
        conf = self.write("softhsm2.conf", f"directories.tokendir = {self.path('tokens')}\n"
                          "objectstore.backend = file\n")
        policy = self.write("ocicrypt.conf", "pkcs11:\n  module-directories:\n    - /usr/lib/softhsm/\n"
                            f"  allowed-module-paths:\n    - {self.MODULE}\n")
        # SoftHSM knows OAEP with SHA-1 only.
        self.env = {"SOFTHSM2_CONF": conf, "OCICRYPT_CONFIG": policy, "OCICRYPT_OAEP_HASHALG": "sha1"}
        run("softhsm2-util", "--init-token", "--free", "--label", "tests", "--so-pin", self.PIN, "--pin",
            self.PIN, env=self.env)
        self.encrypt, self.decrypt = [], []
        for number, name in (("01", "a"), ("02", "b")):
            key, _ = self.rsa(name)
            run("softhsm2-util", "--import", key, "--token", "tests", "--label", name, "--id", number,
                "--pin", self.PIN, env=self.env)
            uri = f"pkcs11:token=tests;object={name}?pin-value={self.PIN}&module-path={self.MODULE}"
            spec = self.write(name + ".yaml", "pkcs11:\n"
                              f"  uri: \"{uri}\"\nmodule:\n  env:\n    SOFTHSM2_CONF: {conf}\n")
            self.encrypt.append(["pkcs11:" + spec])
            self.decrypt.append([spec])


class Provider(Keys):
    """The provider is sluice for everybody; itself it also makes the packets without one. The other
    recipient has a JWE, for a provider makes one element of all its parameters."""
    KID = "kbs:///default/key/key_id1"

    def __init__(self, folder):
        super().__init__(folder)
        keys = self.write("keys.json", run(SLUICE, "keys", "generate", "-n", "3"))
        kek = self.path("kek")
        run(SLUICE, "keys", "export", keys, "default/key/key_id1", kek)
        self.server = subprocess.Popen(
            [SLUICE, "keyprovider", "--listen", "grpc://127.0.0.1:0", "--offline-keys", keys],
            stdout=subprocess.PIPE, text=True)
        address = self.server.stdout.readline().strip().removeprefix("grpc://")
        config = self.write("ocicrypt.json", json.dumps(
            {"key-providers": {"attestation-agent": {"grpc": address}}}))
        self.peers_env = {"OCICRYPT_KEYPROVIDER_CONFIG": config}
        rsa, rsa_pub = self.rsa("a")
        wrap = f"provider:attestation-agent:keypath={kek}::keyid={self.KID}::algorithm=A256GCM"
        self.encrypt = [[wrap], ["jwe:" + rsa_pub]]
        self.decrypt = [["provider:attestation-agent:offline_fs_kbc::null"], [rsa]]
        self.offline_keys = keys

    def close(self):
        self.server.terminate()
        self.server.wait()


KINDS = {"jwe": Jwe, "pkcs7": Pkcs7, "pgp": Pgp, "pkcs11": Pkcs11, "provider": Provider}


# ---- images ----

def make_tar(name, text):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        info = tarfile.TarInfo(name)
        info.size = len(text)
        tar.addfile(info, io.BytesIO(text))
    return out.getvalue()


def zstd(data, *options):
    return run("zstd", "-q", "-c", *options, "-", data=data)


COMPRESS = {"gzip": lambda data: gzip.compress(data, mtime=0), "zstd": zstd, "plain": bytes}
SUFFIX = {"gzip": "+gzip", "zstd": "+zstd", "plain": ""}


def make_image(layout, how):
    tars = [make_tar("hello.txt", b"hello\n"), make_tar("more.bin", bytes(range(256)) * 2000)]
    layers = [{"mediaType": oci_images.TYPE + "layer.v1.tar" + SUFFIX[how],
               **oci_images.write_blob(layout, COMPRESS[how](tar))} for tar in tars]
    diff_ids = ["sha256:" + hashlib.sha256(tar).hexdigest() for tar in tars]
    oci_images.write_image(layout, layers, diff_ids)


def plain_bytes(blob):
    if blob[:2] == b"\x1f\x8b":
        return gzip.decompress(blob)
    return zstd(blob, "-d") if blob[:4] == b"\x28\xb5\x2f\xfd" else blob


def read(layout, digest):
    with open(oci_images.blob_path(layout, digest), "rb") as f:
        return f.read()


class World:
    def __init__(self):
        own_mounts.enter()
        self.mount = own_mounts.OwnTmpfs()
        self.top = self.mount.path
        os.mkdir(self.path("keys"))
        os.mkdir(self.path("home"))
        self.peers = peers.Peers(KEPT, self.top)
        self.keys = KINDS[PROTOCOL](self.path("keys"))
        for how in FORMATS:
            make_image(self.path(how), how)
        self.encrypted = {}

    def path(self, name):
        return os.path.join(self.top, name)

    def close(self):
        self.keys.close()
        self.peers.close()
        self.mount.close()

    def copy(self, tool, verb, option, keys, source, target, how):
        """From one layout to another, by encrypting or decrypting with these keys."""
        source, target = f"oci:{self.path(source)}:latest", f"oci:{self.path(target)}:latest"
        options = list(itertools.chain(*((option, key) for key in keys)))
        peers_env = {**self.keys.env, **self.keys.peers_env}
        if tool == "skopeo":
            self.peers.skopeo_copy(source, target, *options, env=peers_env)
        elif tool == "buildah":
            format_ = ("--disable-compression",) if how == "plain" else ("--compression-format", how)
            where = {"encrypt": {"push": (*options, *format_)},
                     "decrypt": {"pull": options, "push": format_}}[verb]
            self.peers.buildah_copy(source, target, env=peers_env, **where)
        else:
            if PROTOCOL == "provider" and verb == "decrypt":
                options += ["--offline-keys", self.keys.offline_keys]
            run(SLUICE, verb, "--quiet", *options, source, target,
                env={**self.keys.env, "HOME": self.path("home")})

    def encrypt(self, tool, how, recipients):
        """The encrypted layout; made once for all who decrypt it."""
        name = f"{tool}-{how}-{recipients}"
        if name not in self.encrypted:
            keys = list(itertools.chain(*self.keys.encrypt[:recipients]))
            self.copy(tool, "encrypt", "--encryption-key", keys, how, name, how)
            self.encrypted[name] = oci_images.read_manifest(self.path(name))
        return name, self.encrypted[name]


WORLD = None


class Matrix(unittest.TestCase):
    def check_encrypted(self, manifest):
        for layer in manifest["layers"]:
            self.assertTrue(layer["mediaType"].endswith("+encrypted"), layer)
            names = [name for name in layer["annotations"] if name.startswith(ENC + "keys.")]
            self.assertTrue(names, layer)
            pubopts = json.loads(base64.b64decode(layer["annotations"][ENC + "pubopts"]))
            self.assertEqual(pubopts["cipher"], "AES_256_CTR_HMAC_SHA256")

    def check_plain(self, layout):
        manifest = oci_images.read_manifest(layout)
        config = json.loads(read(layout, manifest["config"]["digest"]))
        self.assertEqual(len(manifest["layers"]), len(config["rootfs"]["diff_ids"]))
        for layer, diff_id in zip(manifest["layers"], config["rootfs"]["diff_ids"]):
            self.assertNotIn("encrypted", layer["mediaType"])
            self.assertEqual([n for n in layer.get("annotations") or {} if n.startswith(ENC)], [])
            blob = read(layout, layer["digest"])
            self.assertEqual("sha256:" + hashlib.sha256(blob).hexdigest(), layer["digest"])
            self.assertEqual("sha256:" + hashlib.sha256(plain_bytes(blob)).hexdigest(), diff_id)

    def check_pair(self, encrypts, decrypts, how, recipients):
        name, manifest = WORLD.encrypt(encrypts, how, recipients)
        self.check_encrypted(manifest)
        for i in range(recipients):
            target = f"{name}-{decrypts}-{i}"
            WORLD.copy(decrypts, "decrypt", "--decryption-key", WORLD.keys.decrypt[i], name, target, how)
            self.check_plain(WORLD.path(target))


def add_tests():
    for encrypts, decrypts, how, recipients in itertools.product(TOOLS, TOOLS, FORMATS, (1, 2)):
        def test(self, case=(encrypts, decrypts, how, recipients)):
            self.check_pair(*case)
        setattr(Matrix, f"test_{encrypts}_to_{decrypts}_{how}_{recipients}_recipients", test)


class Refusal(unittest.TestCase):
    def test_without_the_key_nothing_is_written(self):
        name, _ = WORLD.encrypt("skopeo", "gzip", 1)
        target = WORLD.path("refused")
        done = subprocess.run([SLUICE, "decrypt", "--quiet", f"oci:{WORLD.path(name)}:latest", f"oci:{target}:latest"],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False,
                              env={**os.environ, "HOME": WORLD.path("home")})
        self.assertEqual(done.returncode, 4, done.stderr)
        self.assertIn(KATA, done.stderr)
        self.assertFalse(os.path.exists(target))


if __name__ == "__main__":
    lacking = missing_programs("skopeo", "buildah", "mmdebstrap", "openssl", "zstd", "gpg", "softhsm2-util")
    if lacking or os.geteuid() != 0:
        print("skipped: needs", ", ".join(lacking) or "root")
        sys.exit(77)
    add_tests()
    WORLD = World()
    try:
        outcome = unittest.main(verbosity=2, exit=False).result
    finally:
        WORLD.close()
    sys.exit(not outcome.wasSuccessful())
