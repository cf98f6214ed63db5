#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Images that are wrong in one place: each is refused by the right layer, stage and exit code, in
one line, and leaves nothing. The program's path is in SLUICE."""
import gzip
import json
import os
import struct
import subprocess
from base64 import b64decode

import pull_case
from crafted_image import (ARCHITECTURE, CONFIG, ENC, INDEX, KID, MANIFEST, PACKET, PUBOPTS, TYPE,
                           Layer, b64, blob_path, config_of, flip, sha256, write_blob,
                           write_document, write_image)
from make_tars import (END, archive, directory, entry, hardlink, header, symlink)
from pull_case import FAILED, INTEGRITY, NETWORK, POLICY, USAGE, PullCase

KEK = bytes(range(32))
TEXT = b"hello\n" * 30000
TAR = archive(directory(b"dir"), entry(b"dir/file", TEXT))
LOCKED = "please ensure that the decryption key is placed and correct"


def key_file(case, keks, name="keys.json"):
    return case.write(name, json.dumps({k: b64(v) for k, v in keks.items()}).encode())


class ImageCase(PullCase):
    def layout(self):
        return self.path("layout")

    def image(self):
        return "oci:" + self.layout() + ":latest"

    def pull_layers(self, layers, *options, config=None):
        write_image(self.layout(), layers, config)
        return self.pull(self.image(), *options)

    def broker(self, kek=KEK):
        keys = key_file(self, {"default/image-kek/one": kek})
        return "--kbc", "offline_fs_kbc::null", "--offline-keys", keys

    def pull_encrypted(self, layer, *options):
        return self.pull_layers([layer], *(options or self.broker()))


class Good(ImageCase):
    """What the others change in one place is right."""

    def test_plain_and_encrypted_layers_are_pulled(self):
        for pack in None, "gzip", "zstd":
            for kek in None, KEK:
                with self.subTest(pack=pack, encrypted=bool(kek)):
                    self.fresh()
                    run = self.pull_encrypted(Layer(TAR, pack, kek))
                    self.assertEqual(run.returncode, 0, run.stderr)
                    self.expect_pulled(run, {"dir/file": TEXT})


class Keys(ImageCase):
    """JWE and PKCS7 by skopeo, packets as coco_keyprovider writes them."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.keys = os.path.join(cls.folder, "keys")
        os.mkdir(cls.keys)

        def openssl(*args):
            subprocess.run(["openssl", *args], cwd=cls.keys, check=True, capture_output=True)
        for name in "right", "wrong":
            openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", name + ".pem",
                    "-out", name + ".crt", "-days", "2", "-subj", "/CN=" + name)
            openssl("rsa", "-in", name + ".pem", "-pubout", "-out", name + ".pub")
        openssl("pkcs8", "-topk8", "-in", "right.pem", "-out", "locked.pem", "-passout",
                "pass:opensesame")
        write_image(os.path.join(cls.keys, "plain"), [Layer(TAR)])
        for protocol, recipient in ("jwe", "right.pub"), ("pkcs7", "right.crt"):
            subprocess.run(["skopeo", "copy", "-q", "--insecure-policy", "--encryption-key",
                            "%s:%s" % (protocol, recipient), "oci:plain:latest",
                            "oci:%s:latest" % protocol], cwd=cls.keys, check=True,
                           stdout=subprocess.DEVNULL)

    def key(self, name):
        return os.path.join(self.keys, name)

    def pull_wrapped(self, protocol, *specs):
        options = [x for spec in specs for x in ("--decryption-key", self.key(spec))]
        return self.pull("oci:%s:latest" % self.key(protocol), *options)

    def test_right_key_opens(self):
        for protocol, specs in (("jwe", ["right.pem"]), ("pkcs7", ["right.pem", "right.crt"]),
                                ("jwe", ["locked.pem:pass=opensesame"])):
            with self.subTest(protocol, specs=specs):
                self.fresh()
                self.expect_pulled(self.pull_wrapped(protocol, *specs), {"dir/file": TEXT})

    def test_no_key_is_named(self):
        for protocol in "jwe", "pkcs7":
            with self.subTest(protocol):
                self.fresh()
                self.expect_refused(self.pull_wrapped(protocol), NETWORK, "layer 1/1", LOCKED,
                                    protocol, "--decryption-key")

    def test_wrong_key_is_named(self):
        for protocol, specs in ("jwe", ["wrong.pem"]), ("pkcs7", ["wrong.pem", "wrong.crt"]):
            with self.subTest(protocol):
                self.fresh()
                self.expect_refused(self.pull_wrapped(protocol, *specs), NETWORK, "layer 1/1",
                                    LOCKED, protocol)

    def test_wrong_password_is_told_without_it(self):
        for spec in "locked.pem:pass=opensesamE", "locked.pem:opensesamE", "locked.pem":
            with self.subTest(spec):
                self.fresh()
                self.expect_refused(self.pull_wrapped("jwe", spec), NETWORK, "locked.pem",
                                    "password", secrets=["opensesam"])

    def test_missing_key_file_is_named(self):
        self.expect_refused(self.pull_wrapped("jwe", "nosuch.pem"), FAILED, "nosuch.pem",
                            "No such file")

    def test_file_that_is_no_key_is_named(self):
        self.expect_refused(self.pull_wrapped("jwe", "plain/index.json"), INTEGRITY, "index.json")

    def test_packet_without_broker_names_it(self):
        run = self.pull_layers([Layer(TAR, kek=KEK)])
        self.expect_refused(run, NETWORK, "layer 1/1", LOCKED, KID, "--kbc")

    def test_packet_with_wrong_kek(self):
        run = self.pull_encrypted(Layer(TAR, kek=KEK), *self.broker(b"\1" * 32))
        self.expect_refused(run, NETWORK, "layer 1/1", LOCKED, KID, secrets=[b64(b"\1" * 32)])

    def test_packet_with_unknown_kid(self):
        layer = Layer(TAR, kek=KEK)
        layer.packet["kid"] = "kbs:///default/image-kek/two"
        layer.annotate()
        self.expect_refused(self.pull_encrypted(layer), NETWORK, "unknown key ID",
                            "image-kek/two", "keys file")

    def test_broken_key_files_are_not_quoted(self):
        for text in b'{"default/image-kek/one": "SECRET!"}', b'{"a": SECRET', b'["SECRET"]':
            with self.subTest(text):
                self.fresh()
                options = ("--kbc", "offline_fs_kbc::null", "--offline-keys",
                           self.write("keys.json", text))
                run = self.pull_encrypted(Layer(TAR, kek=KEK), *options)
                self.expect_refused(run, INTEGRITY, "offline-fs-kbc", "keys.json",
                                    secrets=["SECRET"])

    def test_missing_offline_keys_are_named(self):
        run = self.pull_encrypted(Layer(TAR, kek=KEK), "--kbc", "offline_fs_kbc::null",
                                  "--offline-keys", self.path("nosuch.json"))
        self.expect_refused(run, FAILED, "nosuch.json")

    def test_short_kek_is_refused(self):
        run = self.pull_encrypted(Layer(TAR, kek=KEK), *self.broker(KEK[:16]))
        self.expect_refused(run, INTEGRITY, "16 bytes instead of 32")

    def test_unknown_broker_is_refused(self):
        run = self.pull_encrypted(Layer(TAR, kek=KEK), "--kbc", "cc_kbc::http://127.0.0.1:1")
        self.expect_refused(run, FAILED, "cc_kbc", "offline_fs_kbc::null")


class FlippedBits(ImageCase):
    """One bit of one thing."""

    def refuse(self, layer, code, *texts):
        run = self.pull_encrypted(layer)
        secrets = [] if not hasattr(layer, "lek") else [layer.lek.hex(), b64(layer.lek),
                                                        b64(layer.nonce)]
        self.expect_refused(run, code, *texts, secrets=secrets)

    def test_blob_under_its_old_digest(self):
        for kek in None, KEK:
            for at in 0, 1, 100, -1:
                with self.subTest(encrypted=bool(kek), at=at):
                    self.fresh()
                    layer = Layer(TAR, kek=kek)
                    layer.blob = flip(layer.blob, at)
                    self.refuse(layer, INTEGRITY, "layer 1/1 sha256:")

    def test_blob_of_several_segments(self):
        tar = archive(entry(b"big", os.urandom(3 << 20)))
        for kek, stage in (None, "blob-digest"), (KEK, "decrypt"):
            with self.subTest(stage):
                self.fresh()
                layer = Layer(tar, None, kek)
                layer.blob = flip(layer.blob, 2 << 20)
                self.refuse(layer, INTEGRITY, "layer 1/1 sha256:")

    def test_verify_first_stops_before_decompression(self):
        for kek, stage in (None, "blob digest: "), (KEK, "decrypt: "):
            for at in 0, 100, -1:
                with self.subTest(stage, at=at):
                    self.fresh()
                    layer = Layer(TAR, kek=kek)
                    layer.blob = flip(layer.blob, at)
                    run = self.pull_encrypted(layer, *self.broker(), "--verify-first")
                    self.expect_refused(run, INTEGRITY, "layer 1/1 sha256:", stage,
                                        layer.descriptor["digest"])

    def test_blob_with_its_own_digest(self):
        """The MAC alone must find it: the attacker owns the manifest."""
        tar = archive(entry(b"f", os.urandom(5000)))
        layer = Layer(tar, None, KEK)
        layer.blob = flip(layer.blob, 600)
        layer.describe()
        self.refuse(layer, INTEGRITY, "layer 1/1 sha256:", "decrypt", "HMAC")

    def test_plain_blob_with_its_own_digest(self):
        layer = Layer(TAR, None)
        layer.blob = flip(layer.blob, 2000)
        layer.describe()
        self.refuse(layer, INTEGRITY, "layer 1/1", "diff_id", layer.diff_id)

    def test_hmac(self):
        layer = Layer(TAR, kek=KEK)
        mac = b64decode(layer.pubopts["hmac"])
        layer.pubopts["hmac"] = b64(flip(mac, 7))
        layer.annotate()
        self.refuse(layer, INTEGRITY, "layer 1/1", "decrypt", "HMAC")

    def test_public_options(self):
        changes = {
            "unsupported cipher type": ("cipher", "AES_256_CTR_HMAC_SHA257", FAILED),
            "no cipher type": ("cipher", None, INTEGRITY),
            "HMAC is not provided": ("hmac", None, INTEGRITY),
            "instead of 32": ("hmac", b64(b"x" * 31), INTEGRITY),
            "base64": ("hmac", "***", INTEGRITY),
            "nonce": ("cipheroptions", {"nonce": b64(b"\0" * 16)}, INTEGRITY),
            "cipheroptions is not an object": ("cipheroptions", "none", INTEGRITY),
        }
        for text, (name, value, code) in changes.items():
            with self.subTest(text):
                self.fresh()
                layer = Layer(TAR, kek=KEK)
                layer.pubopts[name] = value
                if value is None:
                    del layer.pubopts[name]
                layer.annotate()
                self.refuse(layer, code, "layer 1/1", PUBOPTS, text)

    def test_public_options_that_are_no_json(self):
        for value in "", "!", b64(b"{"), b64(b"[]"), b64(b'{"cipher":"a","cipher":"b"}'):
            with self.subTest(value):
                self.fresh()
                layer = Layer(TAR, kek=KEK)
                layer.descriptor["annotations"][PUBOPTS] = value
                self.refuse(layer, INTEGRITY, "layer 1/1", PUBOPTS)

    def test_wrapped_options(self):
        for name in "wrapped_data", "iv":
            with self.subTest(name):
                self.fresh()
                layer = Layer(TAR, kek=KEK)
                layer.packet[name] = b64(flip(b64decode(layer.packet[name]), 3))
                layer.annotate()
                self.refuse(layer, NETWORK, "layer 1/1", LOCKED, KID)

    def test_packets_that_are_none(self):
        for name, value, code in (("wrap_type", "A256CBC", FAILED), ("wrap_type", "A256CTR", POLICY),
                                  ("kid", "nonsense", INTEGRITY), ("kid", 7, INTEGRITY),
                                  ("iv", b64(b"short"), INTEGRITY), ("wrapped_data", "", INTEGRITY)):
            with self.subTest(name, value=value):
                self.fresh()
                layer = Layer(TAR, kek=KEK)
                layer.packet[name] = value
                layer.annotate()
                self.refuse(layer, code, "layer 1/1", "provider.attestation-agent")

    def test_config(self):
        write_image(self.layout(), [Layer(TAR)])
        _, config = write_image(self.layout(), [Layer(TAR)])
        path = blob_path(self.layout(), config["digest"])
        with open(path, "rb") as file:
            data = file.read()
        with open(path, "wb") as file:
            file.write(flip(data, 30))
        self.expect_refused(self.pull(self.image()), INTEGRITY, "config", config["digest"])

    def test_manifest(self):
        manifest, _ = write_image(self.layout(), [Layer(TAR)])
        path = blob_path(self.layout(), manifest["digest"])
        with open(path, "rb") as file:
            data = file.read()
        with open(path, "wb") as file:
            file.write(flip(data, 30))
        for image in self.image(), "oci:%s@%s" % (self.layout(), manifest["digest"]):
            with self.subTest(image):
                self.expect_refused(self.pull(image), INTEGRITY, "manifest", manifest["digest"])

    def test_diff_id(self):
        layer = Layer(TAR)
        config = config_of([layer])
        right = layer.diff_id
        wrong = right[:-1] + ("0" if right[-1] != "0" else "1")
        config["rootfs"]["diff_ids"] = [wrong]
        run = self.pull_layers([layer], config=json.dumps(config).encode())
        self.expect_refused(run, INTEGRITY, "layer 1/1 " + layer.descriptor["digest"][:19],
                            "diff_id", wrong, right)


class Sizes(ImageCase):
    def test_descriptor_that_lies(self):
        tar = archive(entry(b"f", os.urandom(5000)))
        for kek in None, KEK:
            for change in -1, 1, -1000, 100000:
                with self.subTest(encrypted=bool(kek), change=change):
                    self.fresh()
                    layer = Layer(tar, kek=kek)
                    layer.descriptor["size"] += change
                    self.expect_refused(self.pull_encrypted(layer), INTEGRITY, "layer 1/1 sha256:",
                                        str(len(layer.blob)), str(layer.descriptor["size"]))

    def test_truncated_blob(self):
        for keep in 0, 10, -1:
            with self.subTest(keep):
                self.fresh()
                layer = Layer(TAR)
                size = len(layer.blob)
                layer.blob = layer.blob[:keep]
                self.expect_refused(self.pull_layers([layer]), INTEGRITY, "layer 1/1 sha256:",
                                    str(size))

    def test_truncated_blob_with_its_own_digest(self):
        layer = Layer(TAR)
        layer.blob = layer.blob[:-100]
        layer.describe()
        self.expect_refused(self.pull_layers([layer]), INTEGRITY, "layer 1/1", "decompress",
                            "gzip")

    def test_missing_blob(self):
        layer = Layer(TAR)
        write_image(self.layout(), [layer])
        os.remove(blob_path(self.layout(), layer.descriptor["digest"]))
        self.expect_refused(self.pull(self.image()), FAILED, "layer 1/1",
                            layer.descriptor["digest"][:19], "No such file")

    def test_bytes_behind_the_gzip_stream(self):
        layer = Layer(TAR)
        layer.blob += b"behind"
        layer.describe()
        self.expect_refused(self.pull_layers([layer]), INTEGRITY, "layer 1/1", "decompress")


class Types(ImageCase):
    def refuse(self, change, code, *texts, kek=None):
        self.fresh()
        layer = Layer(TAR, kek=kek)
        change(layer.descriptor)
        self.expect_refused(self.pull_encrypted(layer), code, "layer 1/1", *texts)

    def test_unknown_layer_type(self):
        for name in "application/octet-stream", TYPE + "layer.v1.tar+xz", TYPE + "config.v1+json":
            with self.subTest(name):
                self.refuse(lambda d: d.update(mediaType=name), FAILED,
                            "unhandled media type: " + name)

    def test_encrypted_type_without_annotations(self):
        self.refuse(lambda d: d.update(mediaType=d["mediaType"] + "+encrypted"), INTEGRITY,
                    "annotation")
        self.refuse(lambda d: d["annotations"].pop(PUBOPTS), INTEGRITY, PUBOPTS, kek=KEK)
        self.refuse(lambda d: d["annotations"].pop(PACKET), INTEGRITY, "keys", kek=KEK)

    def test_annotations_on_a_plain_type(self):
        self.refuse(lambda d: d.update(mediaType=TYPE + "layer.v1.tar+gzip"), INTEGRITY,
                    "annotations", "not encrypted", kek=KEK)
        self.refuse(lambda d: d.update(annotations={ENC + "anything": "x"}), INTEGRITY,
                    "annotations", "not encrypted")

    def test_type_that_lies_about_compression_is_read_by_its_bytes(self):
        layer = Layer(TAR)
        layer.descriptor["mediaType"] = TYPE + "layer.v1.tar+zstd"
        self.expect_pulled(self.pull_layers([layer]), {"dir/file": TEXT})

    def test_bytes_that_are_no_archive(self):
        for data in b"\x1f\x8b\x08\0garbage" * 9, b"\x28\xb5\x2f\xfdgarbage" * 9, b"garbage" * 900:
            with self.subTest(data[:4]):
                self.fresh()
                layer = Layer(data, None)
                self.expect_refused(self.pull_layers([layer]), INTEGRITY, "layer 1/1")


class Documents(ImageCase):
    def refuse(self, document, code, *texts, media_type=MANIFEST):
        self.fresh()
        write_document(self.layout(), document, media_type)
        self.expect_refused(self.pull(self.image()), code, *texts)

    def manifest(self, **changes):
        layer = Layer(TAR)
        config = {"mediaType": CONFIG,
                  **write_blob(self.layout(), json.dumps(config_of([layer])).encode())}
        write_blob(self.layout(), layer.blob)
        return {"schemaVersion": 2, "mediaType": MANIFEST, "config": config,
                "layers": [layer.descriptor], **changes}

    def test_schema_1(self):
        for media_type in ("application/vnd.docker.distribution.manifest.v1+json",
                           "application/vnd.docker.distribution.manifest.v1+prettyjws"):
            document = {"schemaVersion": 1, "name": "n", "tag": "t", "architecture": "amd64",
                        "fsLayers": [{"blobSum": sha256(b"")}], "history": []}
            with self.subTest(media_type):
                self.refuse(document, FAILED, "schema 1", media_type=media_type)

    def test_index_without_our_platform(self):
        entries = [{"mediaType": MANIFEST, "digest": sha256(b"x"), "size": 1,
                    "platform": {"os": "linux", "architecture": name}}
                   for name in ("s390x", "riscv64")]
        self.refuse({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}, FAILED,
                    "linux/" + ARCHITECTURE, "linux/s390x", media_type=INDEX)

    def test_layers_and_manifests(self):
        self.refuse(self.manifest(manifests=[]), INTEGRITY, "manifests", "layers")
        self.refuse(self.manifest(manifests=[], mediaType=INDEX), INTEGRITY, "manifests",
                    "layers", media_type=INDEX)

    def test_media_type_that_lies(self):
        self.refuse(self.manifest(mediaType=INDEX), INTEGRITY, "mediaType")
        self.refuse(self.manifest(), INTEGRITY, "mediaType", media_type=INDEX)

    def test_no_json(self):
        for document in b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"schemaVersion":2}':
            with self.subTest(document):
                self.refuse(document, INTEGRITY, "manifest")
        self.refuse(b"[" * 100000, FAILED, "manifest", "nested too deeply")

    def test_members_given_twice(self):
        text = json.dumps(self.manifest())
        self.refuse(('{"layers": [], ' + text[1:]).encode(), INTEGRITY, "layers")

    def test_number_of_diff_ids(self):
        layer = Layer(TAR)
        for diff_ids in [], [layer.diff_id] * 2:
            with self.subTest(len(diff_ids)):
                self.fresh()
                config = config_of([layer])
                config["rootfs"]["diff_ids"] = diff_ids
                run = self.pull_layers([layer], config=json.dumps(config).encode())
                self.expect_refused(run, INTEGRITY, "diff_ids", "1", str(len(diff_ids)))

    def test_digests_that_climb(self):
        for digest, code in (("sha256:../../../../etc/passwd", INTEGRITY), ("", INTEGRITY),
                             ("sha256:" + "A" * 64, INTEGRITY), ("md5:" + "0" * 32, FAILED)):
            with self.subTest(digest):
                document = self.manifest()
                document["layers"][0]["digest"] = digest
                self.refuse(document, code, "layer 1/1", "digest")

    def test_other_platform(self):
        self.fresh()
        config = dict(config_of([Layer(TAR)]), os="windows")
        run = self.pull_layers([Layer(TAR)], config=json.dumps(config).encode())
        self.expect_refused(run, FAILED, "windows")


class Bombs(ImageCase):
    """The store's file system is small: whoever believes a bomb finds it full."""

    def setUp(self):
        super().setUp()
        os.mkdir(self.store)
        pull_case.mount_tmpfs(self.store, "size=128m,mode=0755")

    def mounts(self):
        return [m for m in super().mounts() if m != self.store]

    def refuse(self, blob, code, *texts, tar=b""):
        layer = Layer(tar, None, blob=blob)
        run = self.pull_layers([layer])
        self.expect_refused(run, code, "layer 1/1", *texts)

    def test_gzip_of_zeros_behind_the_end(self):
        """8 GiB of zeros look like padding behind the end of an archive."""
        self.refuse(gzip.compress(bytes(64 << 20), 9) * 128, FAILED, "after the end")

    def test_gzip_file_of_zeros(self):
        start = gzip.compress(header(b"zeros", size=8 << 30))
        self.refuse(start + gzip.compress(bytes(64 << 20), 9) * 128, FAILED, "decompression bomb")

    def test_gzip_of_many_empty_members(self):
        empty = gzip.compress(b"", mtime=0)
        self.refuse(empty * 200000 + gzip.compress(b"no archive"), INTEGRITY,
                    "unpack", tar=b"no archive")

    def test_zstd_of_zeros(self):
        """A frame of RLE blocks: 128 KiB for four bytes each."""
        rle = b"".join(struct.pack("<I", (128 << 10) << 3 | 1 << 1)[:3] + b"\0" for _ in range(4096))
        start = header(b"zeros", size=8 << 30)
        start = struct.pack("<I", len(start) << 3)[:3] + start  # a raw block
        frame = b"\x28\xb5\x2f\xfd\x00\x38" + start + rle + b"\x01\0\0"
        self.refuse(frame, FAILED, "decompression bomb")

    def test_zstd_window(self):
        for exponent in 14, 21, 31:
            with self.subTest(exponent):
                frame = b"\x28\xb5\x2f\xfd\x00" + bytes([exponent << 3]) + b"\x01\0\0"
                self.refuse(frame, FAILED, "decompress", "window")

    def test_zstd_skippable_frames(self):
        self.refuse((b"\x50\x2a\x4d\x18" + struct.pack("<I", 0)) * 100000 +
                    b"\x50\x2a\x4d\x18\xff\xff\xff\xff", INTEGRITY, "zstd")

    def test_huge_names(self):
        for kind in b"L", b"x":
            tar = archive(header(b"x", type=kind, size=1 << 30))
            self.refuse(tar, FAILED, "unpack", "extended headers", tar=tar)


class Archives(ImageCase):
    """Archives that reach for what is outside. (Each trick alone: untar_corpus.py.)"""

    def setUp(self):
        super().setUp()
        self.sentinel = self.write("sentinel", b"mine")
        self.outside = self.path("outside").encode()
        os.mkdir(self.outside)

    def check_outside(self):
        with open(self.sentinel, "rb") as file:
            self.assertEqual(file.read(), b"mine")
        self.assertEqual(os.stat(self.sentinel).st_nlink, 1)
        self.assertEqual(os.stat(self.sentinel).st_mode & 0o7777, 0o644)
        self.assertEqual(os.listdir(self.outside), [])

    def refuse(self, tar, code, *texts):
        self.expect_refused(self.pull_layers([Layer(tar)]), code, "layer 1/1", "unpack", *texts)
        self.check_outside()

    def test_dotdot(self):
        self.refuse(archive(entry(b"../" * 9 + b"etc/evil", b"x")), INTEGRITY)

    def test_hardlink_outside(self):
        self.refuse(archive(hardlink(b"link", b"../" * 20 + b"etc/passwd")),
                    INTEGRITY)

    def test_hardlink_to_an_absolute_name_stays_inside(self):
        self.refuse(archive(hardlink(b"link", self.sentinel.encode())), INTEGRITY)

    def test_whiteout_of_dotdot(self):
        self.refuse(archive(entry(b".wh..")), INTEGRITY)
        self.refuse(archive(entry(b".wh...")), INTEGRITY)

    def test_device_zero(self):
        self.refuse(archive(header(b"dev", type=b"3", major=0, minor=0)), INTEGRITY)

    def test_trailing_bytes(self):
        self.refuse(archive(entry(b"f", b"x"), end=END + b"evil" * 128), INTEGRITY)

    def test_write_through_an_absolute_symlink_stays_inside(self):
        tar = archive(symlink(b"out", self.outside), entry(b"out/f", b"x"),
                      symlink(b"file", self.sentinel.encode()), entry(b"file", b"x"))
        run = self.pull_layers([Layer(tar)])
        if run.returncode:
            self.expect_refused(run, INTEGRITY, "layer 1/1", "unpack")
        self.check_outside()

    def test_lower_symlink_does_not_lead_upper_out(self):
        lower = archive(symlink(b"out", self.outside))
        upper = archive(entry(b"out/f", b"x"))
        run = self.pull_layers([Layer(lower), Layer(upper)])
        self.assertEqual(run.returncode, 0, run.stderr)
        self.check_outside()

    def test_second_layer_fails_after_the_first(self):
        run = self.pull_layers([Layer(TAR), Layer(archive(entry(b"../x")))])
        self.expect_refused(run, INTEGRITY, "layer 2/2", "unpack")


class Policy(ImageCase):
    def test_without_policy_the_option_is_named(self):
        write_image(self.layout(), [Layer(TAR)])
        run = self.pull(self.image(), policy=())
        self.expect_refused(run, POLICY, "--insecure-policy")
        self.assertTrue(run.stderr.startswith(
            "sluice: Image policy rejected: Denied by policy"), run.stderr)


class CommandLines(PullCase):
    def expect_usage(self, *args):
        run = self.run_sluice([pull_case.SLUICE, *args])
        self.expect_one_line(run, USAGE)
        return run.stderr

    def test_wrong_ones_end_with_two(self):
        for args in (["nosuch"], ["pull"], ["pull", "a", "b", "c"], ["pull", "--nosuch", "a"],
                     ["pull", "--jobs", "0", "a"], ["pull", "--jobs", "x", "a"],
                     ["pull", "--memory", "12q", "a"], ["pull", "--tls-verify=perhaps", "a"],
                     ["pull", "--root"], ["pull", "--quiet=yes", "a"], ["images", "x"],
                     ["rm"], ["mount", "a"], ["gc", "--insecure-policy"]):
            with self.subTest(args):
                self.expect_usage(*args)

    def test_no_verb_prints_help(self):
        run = self.run_sluice([pull_case.SLUICE])
        self.assertEqual(run.returncode, USAGE)

    def test_password_is_not_repeated(self):
        self.assertNotIn("hush", self.expect_usage("pull", "--creds", "me:hush", "--nosuch", "a"))

    def test_nonsense_names_are_refused(self):
        for name in "docker://", "oci:", "docker://UPPER/Case", "docker://a:b:c", "nosuch://x/y":
            with self.subTest(name):
                self.fresh()
                run = self.pull(name)
                self.assertIn(run.returncode, (FAILED, USAGE, INTEGRITY))
                self.expect_one_line(run, run.returncode)
                self.assertFalse(os.path.exists(self.bundle))


if __name__ == "__main__":
    pull_case.main()
