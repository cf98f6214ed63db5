#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Real images, pulled in every way there is: the mounted tree is the one that umoci makes, and
GNU tar layer by layer. Needs SLUICE (the program) and SLUICE_IMAGES (where images are kept)."""
import base64
import hashlib
import hmac
import itertools
import json
import os
import shutil
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import images
import own_mounts
import tree_compare
from oci_images import (TYPE, layer_blobs, read_manifest, write_blob, write_image,
                        write_plain_image)
from registry import Registry
from tree_facts import tree

try:
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
except ImportError:
    print("skipped: python3-cryptography is not installed")
    sys.exit(77)

SLUICE = os.environ.get("SLUICE")
KEPT = os.environ.get("SLUICE_IMAGES")
if not SLUICE or not KEPT:
    sys.exit(__doc__)
TOOLS = ("skopeo", "umoci", "buildah", "docker-registry", "mmdebstrap", "bsdtar", "openssl",
         "crun")

CIPHERS = ("plain", "jwe", "pkcs7")
FORMATS = ("gzip", "zstd", "none")
SOURCES = ("registry", "oci")
ENC = "org.opencontainers.image.enc."
NAMES = tuple(images.MAKERS)
SKOPEO_CACHE = "/var/lib/containers/cache"


def variants(name):
    """Three of the eighteen ways for each image, so that each pair of properties meets in some."""
    i = NAMES.index(name)
    return [(CIPHERS[k], FORMATS[(k + i) % 3], SOURCES[(k + i) % 2]) for k in range(3)]


# ---- what differs rightly ----

def without(facts, path, *names):
    return {**facts, path: {k: v for k, v in facts[path].items() if k not in names}}


# umoci keeps the times of a directory that it makes an entry in, but not of the one above a
# directory that it has to make first (deep/sub/more, anew). No layer but the lowest describes
# deep/sub and the root, so these keep the times they have there.
UMOCI_IS_WRONG = {"whiteouts": [(b"deep/sub", "mtime"), (b".", "mtime")]}
# Directories that no layer describes have no time by the format: it is 1970 with us, "now" with tar.
# anew is removed and made again by one layer, without a word on its attributes.
UNTOLD = {"many": [(b".", "mtime")], "whiteouts": [(b"anew", "mtime")]}

# Whoever unpacks a layer by itself, as containerd does, cannot know that there is nothing below
# for none/.wh.x to hide, and makes the directory for it. No builder writes such a whiteout.
OURS_ONLY = {"whiteouts": [b"none"]}


# ---- one world for all tests of this file ----

class World:
    def __init__(self):
        own_mounts.enter()
        own_mounts.hide(os.path.dirname(SKOPEO_CACHE))
        self.mount = own_mounts.OwnTmpfs()
        self.top = self.mount.path
        self.registry = Registry().__enter__()
        self.make_keys()

    def close(self):
        self.registry.__exit__()
        self.mount.close()
        own_mounts.umount(os.path.dirname(SKOPEO_CACHE))

    def path(self, *names):
        return os.path.join(self.top, *names)

    def make_keys(self):
        key, public, cert = (self.path(n) for n in ("key.pem", "key.pub", "cert.pem"))
        images.run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key,
                   "-out", cert, "-days", "2", "-subj", "/CN=tests")
        images.run("openssl", "pkey", "-in", key, "-pubout", "-out", public)
        self.encrypt = {"plain": [], "jwe": ["--encryption-key", "jwe:" + public],
                        "pkcs7": ["--encryption-key", "pkcs7:" + cert]}
        self.decrypt = {"plain": [], "jwe": ["--decryption-key", key],
                        "pkcs7": ["--decryption-key", key, "--decryption-key", cert]}


WORLD = None


def setUpModule():
    global WORLD
    missing = [tool for tool in TOOLS if not shutil.which(tool)]
    if missing:
        print("skipped: not installed:", *missing)
        sys.exit(77)
    WORLD = World()


def tearDownModule():
    WORLD.close()


def skopeo(*args):
    """It remembers where it has seen a blob, and in which compression: here it must make each anew."""
    shutil.rmtree(SKOPEO_CACHE, ignore_errors=True)
    images.run("skopeo", "copy", "--quiet", "--insecure-policy", *args)


def b64(data):
    return base64.b64encode(data).decode()


class PullCase(unittest.TestCase):
    maxDiff = None

    def sluice(self, *args):
        done = subprocess.run([SLUICE, args[0], "--root", self.store, *args[1:]],
                              capture_output=True, text=True, cwd=WORLD.top)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def setUp(self):
        self.work = WORLD.path(self.id().partition(".")[2])
        self.store, self.bundle = os.path.join(self.work, "store"), os.path.join(self.work, "bundle")
        os.mkdir(self.work)
        self.addCleanup(shutil.rmtree, self.work)
        self.addCleanup(own_mounts.umount, os.path.join(self.bundle, "rootfs"))

    def pull(self, reference, *options):
        """Into a fresh store."""
        own_mounts.umount(os.path.join(self.bundle, "rootfs"))
        for folder in (self.store, self.bundle):
            shutil.rmtree(folder, ignore_errors=True)
        self.sluice("pull", "--insecure-policy", "--tls-verify=false", "--quiet", *options,
                    reference, self.bundle)

    def check_tree(self, expected, ignored=()):
        ours = tree(os.path.join(self.bundle, "rootfs"))
        for path in OURS_ONLY.get(getattr(self, "name", None), ()):
            self.assertEqual(os.listdir(os.path.join(os.fsencode(self.bundle), b"rootfs", path)), [])
            del ours[path]
        for path, fact in ignored:
            ours, expected = without(ours, path, fact), without(expected, path, fact)
        self.assertEqual(tree_compare.report(ours, expected), "")

    def publish(self, layout, cipher, compression, source):
        """What skopeo makes of it. Returns a reference."""
        made = os.path.join(self.work, "published")
        shutil.rmtree(made, ignore_errors=True)
        how = ["--dest-oci-accept-uncompressed-layers"] if compression == "none" else \
            ["--dest-compress-format", compression, "--dest-compress-level", "1"]
        skopeo(*how, *WORLD.encrypt[cipher], f"oci:{layout}:latest", f"oci:{made}:latest")
        self.check_media_types(made, cipher, compression)
        return self.upload(f"oci:{made}:latest") if source == "registry" else f"oci:{made}:latest"

    def check_media_types(self, layout, cipher, compression):
        suffix = "" if compression == "none" else "+" + compression
        suffix += "" if cipher == "plain" else "+encrypted"
        for layer in read_manifest(layout)["layers"]:
            self.assertEqual(layer["mediaType"], TYPE + "layer.v1.tar" + suffix)

    def upload(self, source, *options):
        reference = WORLD.registry.ref(os.path.basename(self.work).lower().replace(".", "/") + ":t")
        skopeo("--dest-tls-verify=false", *(options or ["--preserve-digests"]), source, reference)
        return reference


# ---- the images ----

class Matrix(unittest.TestCase):
    def test_each_pair_of_properties_meets_in_some_variant(self):
        rows = [(name, *way) for name in NAMES for way in variants(name)]
        for columns in itertools.combinations(range(4), 2):
            met = {tuple(row[c] for c in columns) for row in rows}
            every = set(itertools.product(*((NAMES, CIPHERS, FORMATS, SOURCES)[c] for c in columns)))
            self.assertEqual(met, every)


class ImageCase:
    """What is tested of each image; its subclasses name one."""
    gnu_tar = True

    @classmethod
    def setUpClass(cls):
        cls.layout = images.image(cls.name, KEPT, WORLD.top)
        cls.expected = cls.ask(tree_compare.umoci_tree, "umoci")
        for path, fact in UNTOLD.get(cls.name, ()):
            cls.expected = without(cls.expected, path, fact)
        cls.ignored = UNTOLD.get(cls.name, [])
        # GNU tar decides where umoci is wrong.
        by_tar = cls.ask(tree_compare.gnu_tar_tree, "gnu-tar")
        for path, fact in UMOCI_IS_WRONG.get(cls.name, ()):
            cls.expected[path][fact] = by_tar[path][fact]
        for path, fact in cls.ignored:
            by_tar = without(by_tar, path, fact)
        difference = tree_compare.report(cls.expected, by_tar)
        if difference:
            raise AssertionError("umoci and GNU tar do not agree:\n" + difference)

    @classmethod
    def ask(cls, oracle, name):
        to = WORLD.path(f"{name}-{cls.name}")
        try:
            return oracle(cls.layout, to)
        finally:
            shutil.rmtree(to)

    def test_tree_is_the_oracles(self):
        for way in variants(self.name):
            with self.subTest(way=way):
                self.pull(self.publish(self.layout, *way), *WORLD.decrypt[way[0]])
                self.check_tree(self.expected, self.ignored)

    def test_tree_of_docker_manifest_is_the_oracles(self):
        reference = self.upload(f"oci:{self.layout}:latest", "--format", "v2s2", "--dest-compress-level", "1")
        raw = images.run("skopeo", "inspect", "--raw", "--tls-verify=false", reference)
        self.assertEqual({layer["mediaType"] for layer in json.loads(raw)["layers"]},
                         {"application/vnd.docker.image.rootfs.diff.tar.gzip"})
        self.pull(reference)
        self.check_tree(self.expected, self.ignored)


class Runs:
    """Its command runs, by crun and the config.json of the bundle."""
    said = None

    def test_command_of_the_bundle_runs(self):
        self.pull(f"oci:{self.layout}:latest")
        with open(os.path.join(self.bundle, "config.json"), encoding="utf-8") as f:
            self.assertEqual(json.load(f)["root"], {"path": "rootfs", "readonly": False})
        if own_mounts.in_chroot():
            self.skipTest("crun does not work in a chroot")
        own_mounts.use_unified_cgroups()
        done = subprocess.run(["crun", "--root", os.path.join(self.work, "crun"),
                               "--cgroup-manager", "disabled", "run", "sluice-" + self.name],
                              cwd=self.bundle, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout + done.stderr, self.said)
        self.sluice("unmount", self.bundle)
        self.assertFalse(os.path.exists(os.path.join(self.bundle, "rootfs")))


# ---- what skopeo cannot make ----

class OfflineKeys(PullCase):
    """CoCo's annotation packets, as coco_keyprovider writes them."""

    def encrypt(self, layout, blob, kek):
        """The layer's descriptor: AES-256-CTR, HMAC, and the layer key in a packet of A256GCM."""
        with open(blob, "rb") as f:
            plain = f.read()
        key, nonce, iv = os.urandom(32), os.urandom(16), os.urandom(12)
        sealed = Cipher(algorithms.AES(key), modes.CTR(nonce)).encryptor().update(plain)
        private = {"symkey": b64(key), "digest": "sha256:" + hashlib.sha256(plain).hexdigest(),
                   "cipheroptions": {"nonce": b64(nonce)}}
        packet = {"kid": "kbs:///default/key/images", "iv": b64(iv), "wrap_type": "A256GCM",
                  "wrapped_data": b64(AESGCM(kek).encrypt(iv, json.dumps(private).encode(), None))}
        public = {"cipher": "AES_256_CTR_HMAC_SHA256", "cipheroptions": {},
                  "hmac": b64(hmac.digest(key, sealed, "sha256"))}
        return {"mediaType": TYPE + "layer.v1.tar+encrypted", **write_blob(layout, sealed),
                "annotations": {ENC + "pubopts": b64(json.dumps(public).encode()),
                                ENC + "keys.provider.attestation-agent": b64(json.dumps(packet).encode())}}

    def test_tree_of_image_with_packets_is_the_oracles(self):
        source = images.image("special", KEPT, WORLD.top)
        expected = tree_compare.umoci_tree(source, os.path.join(self.work, "umoci"))
        kek, layout = os.urandom(32), os.path.join(self.work, "layout")
        os.mkdir(layout)
        layers = [self.encrypt(layout, blob, kek) for blob in layer_blobs(source)]
        write_image(layout, layers, [layer["digest"] for layer in read_manifest(source)["layers"]])
        keys = os.path.join(self.work, "keys.json")
        with open(keys, "w", encoding="utf-8") as f:
            json.dump({"default/key/images": b64(kek), "default/key/other": b64(os.urandom(32))}, f)
        options = ["--kbc", "offline_fs_kbc::null", "--offline-keys", keys]
        for reference in f"oci:{layout}:latest", self.upload(f"oci:{layout}:latest"):
            self.pull(reference, *options)
            self.check_tree(expected)


class Sha512(PullCase):
    """Diff ids and the digests of layers and config; no tool at hand writes them."""

    def test_tree_of_image_with_sha512_digests_is_the_oracles(self):
        source = images.image("special", KEPT, WORLD.top)
        expected = tree_compare.umoci_tree(source, os.path.join(self.work, "umoci"))
        layout = os.path.join(self.work, "layout")
        write_plain_image(layout, layer_blobs(source), algorithm="sha512")
        self.assertEqual({layer["digest"][:7] for layer in read_manifest(layout)["layers"]}, {"sha512:"})
        self.pull(f"oci:{layout}:latest")
        self.check_tree(expected)


class Debian(ImageCase, Runs, PullCase):
    name, said = "debian", r"^[1-9a-z]"


class Python(ImageCase, Runs, PullCase):
    name, said = "python", r"^python 3\.\d+\.\d+\S* six /srv hello\n$"


class Jdk(ImageCase, Runs, PullCase):
    name, said = "jdk", r'openjdk version "\d+'


class Special(ImageCase, PullCase):
    name = "special"


class Many(ImageCase, PullCase):
    name = "many"


class Whiteouts(ImageCase, PullCase):
    name = "whiteouts"


class Buildah(ImageCase, Runs, PullCase):
    name, said = "buildah", r"^bin\ndata\nlink\npipe\n$"

    @classmethod
    def setUpClass(cls):
        if own_mounts.in_chroot():
            raise unittest.SkipTest("buildah does not work in a chroot")
        super().setUpClass()


if __name__ == "__main__":
    unittest.main()
