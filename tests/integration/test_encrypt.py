# SPDX-License-Identifier: Apache-2.0
"""Images are encrypted and decrypted on their way between layouts and registries; skopeo opens ours
and we open skopeo's; and whatever fails leaves nothing under the destination's name."""
import base64
import gzip
import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile

import sluice_case
from sluice_case import EXIT_FAILED, EXIT_INTEGRITY, EXIT_NETWORK, EXIT_USAGE

import oci_images
import peak_memory
import push_proxy
from registry import Registry, run

OCI = "application/vnd.oci.image."
DOCKER = "application/vnd.docker."
ENC = "org.opencontainers.image.enc."
NO_TLS = "--tls-verify=false"
BIG = 3 * 1024 * 1024  # bytes of a layer that has several segments
REASON = "Failed to decrypt the image layer, please ensure that the decryption key is placed " \
         "and correct"


# Its wrapped keys are the keys.
OPEN_PROVIDER = """#!/usr/bin/python3
import json, sys
request = json.load(sys.stdin)
if request["op"] == "keywrap":
    answer = {"keywrapresults": {"annotation": request["keywrapparams"]["optsdata"]}}
else:
    answer = {"keyunwrapresults": {"optsdata": request["keyunwrapparams"]["annotation"]}}
json.dump(answer, sys.stdout)
"""


def tar_of(name, data):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        info = tarfile.TarInfo(name)
        info.size = len(data)
        tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def zstd(data):
    return subprocess.run(["zstd", "-q", "-c"], input=data, stdout=subprocess.PIPE,
                          check=True).stdout


def unzstd(data):
    return subprocess.run(["zstd", "-q", "-d", "-c"], input=data, stdout=subprocess.PIPE,
                          check=True).stdout


def document(layout, digest):
    with open(oci_images.blob_path(layout, digest), encoding="utf-8") as file:
        return json.load(file)


def root_of(layout, tag="latest"):
    """(digest, document) that the layout has under the name."""
    with open(os.path.join(layout, "index.json"), encoding="utf-8") as file:
        for entry in json.load(file)["manifests"]:
            if entry["annotations"]["org.opencontainers.image.ref.name"] == tag:
                return entry["digest"], document(layout, entry["digest"])
    raise KeyError(tag)


def facts(manifest):
    """What must be the same after a round trip."""
    return [(l["mediaType"], l["digest"], l["size"], l.get("annotations", {}))
            for l in [manifest["config"], *manifest["layers"]]]


def contents(layout, tag="latest"):
    """The tars of the layers: what skopeo keeps of those that it packs on its way."""
    unpack = {OCI + "layer.v1.tar": bytes, OCI + "layer.v1.tar+gzip": gzip.decompress,
              OCI + "layer.v1.tar+zstd": unzstd}
    tars = []
    for layer in root_of(layout, tag)[1]["layers"]:
        with open(oci_images.blob_path(layout, layer["digest"]), "rb") as file:
            tars.append(hashlib.sha256(unpack[layer["mediaType"]](file.read())).hexdigest())
    return tars


class EncryptCase(sluice_case.SluiceCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        keys = os.path.join(cls.shared, "keys")
        os.mkdir(keys)
        for name in "one", "two":
            private, public = (os.path.join(keys, name + end) for end in (".pem", ".pub"))
            run("openssl", "genpkey", "-algorithm", "RSA", "-out", private)
            run("openssl", "pkey", "-in", private, "-pubout", "-out", public)
        cls.keys = keys
        cls.registry = Registry()
        cls.registry.__enter__()
        cls.addClassCleanup(cls.registry.__exit__)
        cls.mixed = os.path.join(cls.shared, "mixed")
        os.mkdir(cls.mixed)
        cls.tars = [tar_of("plain", b"p" * 100), tar_of("gzip", os.urandom(BIG)),
                    tar_of("zstd", os.urandom(1000))]
        cls.make_image(cls.mixed, cls.tars)

    @staticmethod
    def make_image(layout, tars):
        """Its layers are plain, gzip and zstd, in turn."""
        packers = ("", bytes), ("+gzip", gzip.compress), ("+zstd", zstd)
        layers = [{"mediaType": OCI + "layer.v1.tar" + packers[i % 3][0],
                   **oci_images.write_blob(layout, packers[i % 3][1](tar))}
                  for i, tar in enumerate(tars)]
        oci_images.write_image(layout, layers,
                               ["sha256:" + hashlib.sha256(t).hexdigest() for t in tars])

    def key(self, name):
        return os.path.join(self.keys, name + ".pem")

    def recipient(self, name):
        return "--encryption-key", "jwe:" + os.path.join(self.keys, name + ".pub")

    def repository(self, kind):
        """Of this test; repositories must not end with "_", folders may."""
        return f"{kind}/{os.path.basename(self.folder).replace('_', '0')}"

    def layout(self, name, tag="latest"):
        return f"oci:{self.path(name)}:{tag}"

    def source(self):
        return f"oci:{self.mixed}:latest"

    def encrypt(self, source, destination, *options, names=("one",)):
        recipients = [word for name in names for word in self.recipient(name)]
        return self.ok("encrypt", "--quiet", NO_TLS, *recipients, *options, source, destination)

    def decrypt(self, source, destination, *options, name="one"):
        return self.ok("decrypt", "--quiet", NO_TLS, "--decryption-key", self.key(name), *options,
                       source, destination)

    def expect_refused(self, code, *texts, run):
        self.assertEqual(run.stdout, "")
        return self.refused(code, *texts, run=run)

    def assert_encrypted(self, before, after, which=None):
        """Layers of these numbers are encrypted, the others as they were, the config too."""
        self.assertEqual(after["config"], before["config"])
        for i, (was, is_) in enumerate(zip(before["layers"], after["layers"], strict=True)):
            if which is not None and i not in which:
                self.assertEqual(is_, was)
                continue
            self.assertEqual(is_["mediaType"], was["mediaType"] + "+encrypted")
            self.assertEqual(is_["size"], was["size"])
            self.assertNotEqual(is_["digest"], was["digest"])
            self.assertEqual(sorted(is_["annotations"]), [ENC + "keys.jwe", ENC + "pubopts"])


class RoundTrips(EncryptCase):
    def setUp(self):
        super().setUp()
        self.name = self.repository("team")

    def test_between_layouts_and_registries(self):
        _, before = root_of(self.mixed)
        places = {"layout": self.layout, "registry": lambda name: self.registry.ref(self.name + name)}
        for first, make_first in places.items():
            for second, make_second in places.items():
                with self.subTest(first=first, second=second):
                    name = f"-{first}-{second}"
                    digest = self.encrypt(self.source(), make_first("enc" + name)).strip()
                    self.decrypt(make_first("enc" + name), make_second("dec" + name))
                    for place, kind in (make_first("enc" + name), "enc"), (make_second("dec" + name), "dec"):
                        run("skopeo", "--insecure-policy", "copy", "--preserve-digests", "--src-tls-verify=false", place,
                            self.layout(kind))
                    sha, enc = root_of(self.path("enc"))
                    self.assertEqual(sha, digest)
                    self.assert_encrypted(before, enc)
                    self.assertEqual(facts(root_of(self.path("dec"))[1]), facts(before))
                    for kind in "enc", "dec":
                        shutil.rmtree(self.path(kind))

    def test_the_result_is_pulled(self):
        self.encrypt(self.source(), self.layout("enc"))
        self.pull("--quiet", "--decryption-key", self.key("one"), self.layout("enc"),
                  self.path("bundle"))
        with open(self.path("bundle", "rootfs", "plain"), "rb") as file:
            self.assertEqual(file.read(), b"p" * 100)
        self.ok("unmount", self.path("bundle"))

    def test_skopeo_opens_ours_with_either_key(self):
        self.encrypt(self.source(), self.layout("enc"), names=("one", "two"))
        for name in "one", "two":
            run("skopeo", "--insecure-policy", "copy", "--decryption-key", self.key(name), self.layout("enc"),
                self.layout(name))
            self.assertEqual(contents(self.path(name)), contents(self.mixed))

    def test_we_open_skopeos(self):
        run("skopeo", "--insecure-policy", "copy", *self.recipient("one"), self.source(), self.layout("enc"))
        self.decrypt(self.layout("enc"), self.layout("dec"))
        self.assertEqual(contents(self.path("dec")), contents(self.mixed))

    def test_recipients_are_added_and_blobs_stay(self):
        run("skopeo", "--insecure-policy", "copy", *self.recipient("one"), self.source(), self.layout("enc"))
        report = json.loads(self.encrypt(self.layout("enc"), self.layout("both"), "--json",
                                         "--decryption-key", self.key("one"), names=("two",)))
        self.assertEqual({l["action"] for l in report["layers"]}, {"recipients added"})
        enc, both = (root_of(self.path(n))[1]["layers"] for n in ("enc", "both"))
        for was, is_ in zip(enc, both, strict=True):
            keys = ENC + "keys.jwe"
            self.assertEqual(is_["digest"], was["digest"])
            self.assertEqual(is_["annotations"][ENC + "pubopts"], was["annotations"][ENC + "pubopts"])
            self.assertTrue(is_["annotations"][keys].startswith(was["annotations"][keys] + ","))
        for name in "one", "two":
            run("skopeo", "--insecure-policy", "copy", "--decryption-key", self.key(name), self.layout("both"),
                self.layout(name))
            self.assertEqual(contents(self.path(name)), contents(self.mixed))

    def test_adding_recipients_needs_a_key(self):
        self.encrypt(self.source(), self.layout("enc"))
        self.expect_refused(EXIT_NETWORK, "layer 1/3 ", "--decryption-key",
                            run=self.sluice("encrypt", *self.recipient("two"), self.layout("enc"),
                                            self.layout("both")))
        self.assertFalse(os.path.exists(self.path("both")))

    def test_every_encryption_has_its_own_keys(self):
        for name in "first", "second":
            self.encrypt(self.source(), self.layout(name))
        first, second = ({l["digest"] for l in root_of(self.path(n))[1]["layers"]}
                         for n in ("first", "second"))
        self.assertEqual(first & second, set())

    def test_plain_images_are_copied_as_they_are(self):
        self.decrypt(self.source(), self.layout("copy"))
        self.assertEqual(root_of(self.path("copy")), root_of(self.mixed))

    def test_key_missing(self):
        self.encrypt(self.source(), self.layout("enc"))
        text = self.expect_refused(EXIT_NETWORK, REASON, "layer 1/3 ",
                                   run=self.sluice("decrypt", "--decryption-key", self.key("two"),
                                                   self.layout("enc"), self.layout("dec")))
        self.assertNotIn("BEGIN", text)
        self.assertFalse(os.path.exists(self.path("dec")))


class Documents(EncryptCase):
    """What becomes of manifests and indexes."""

    def test_docker_images_become_oci(self):
        place = self.registry.ref("docker/schema2:1")
        tars = [tar_of("a", b"a"), tar_of("b", b"b")]
        os.mkdir(self.path("plain"))
        oci_images.write_plain_image(self.path("plain"), tars)
        run("skopeo", "--insecure-policy", "copy", "--dest-tls-verify=false", "--format", "v2s2", self.layout("plain"),
            place)
        self.encrypt(place, self.layout("enc"), "--encrypt-layer", "1")
        _, manifest = root_of(self.path("enc"))
        self.assertEqual(manifest["mediaType"], OCI + "manifest.v1+json")
        self.assertEqual(manifest["config"]["mediaType"], OCI + "config.v1+json")
        self.assertEqual([l["mediaType"] for l in manifest["layers"]],
                         [OCI + "layer.v1.tar+gzip", OCI + "layer.v1.tar+gzip+encrypted"])
        run("skopeo", "--insecure-policy", "copy", "--decryption-key", self.key("one"), self.layout("enc"),
            self.layout("dec"))
        self.assertEqual([e["digest"] for e in root_of(self.path("dec"))[1]["layers"]],
                         [e["digest"] for e in json.loads(run(
                             "skopeo", "inspect", "--raw", "--tls-verify=false", place))["layers"]])

    def edit(self, name, change):
        """The mixed image with another manifest."""
        shutil.copytree(self.mixed, self.path(name))
        manifest = oci_images.read_manifest(self.path(name))
        change(manifest)
        self.put_root(self.path(name), manifest, OCI + "manifest.v1+json")

    @staticmethod
    def put_root(layout, root, media_type, tag="latest"):
        entry = {"mediaType": media_type,
                 **oci_images.write_blob(layout, json.dumps(root).encode()),
                 "annotations": {"org.opencontainers.image.ref.name": tag}}
        with open(os.path.join(layout, "index.json"), "w", encoding="utf-8") as file:
            json.dump({"schemaVersion": 2, "manifests": [entry]}, file)

    def test_unknown_members_stay_and_copies_of_plain_bytes_go(self):
        def change(manifest):
            manifest["annotations"] = {"a": "é"}
            manifest["x-unknown"] = {"number": 1.50, "list": [None, True]}
            manifest["layers"][0].update(data=base64.b64encode(self.tars[0]).decode(), urls=["http://127.0.0.1/"],
                                         annotations={"kept": "yes"}, more=[1])
        self.edit("odd", change)
        self.encrypt(self.layout("odd"), self.layout("enc"))
        _, manifest = root_of(self.path("enc"))
        self.assertEqual(manifest["annotations"], {"a": "é"})
        self.assertEqual(manifest["x-unknown"], {"number": 1.50, "list": [None, True]})
        layer = manifest["layers"][0]
        self.assertEqual((layer["more"], layer["annotations"]["kept"]), ([1], "yes"))
        self.assertEqual({"data", "urls"} & set(layer), set())
        self.decrypt(self.layout("enc"), self.layout("dec"))
        layer = root_of(self.path("dec"))[1]["layers"][0]
        self.assertEqual(layer["annotations"], {"kept": "yes"})

    def test_what_is_no_layer_is_named(self):
        def change(manifest):
            manifest["layers"][1]["mediaType"] = "application/vnd.in-toto+json"
        self.edit("odd", change)
        self.expect_refused(EXIT_FAILED, "layer 2/3 ", "application/vnd.in-toto+json",
                            run=self.sluice("encrypt", *self.recipient("one"), self.layout("odd"),
                                            self.layout("enc")))
        self.assertFalse(os.path.exists(self.path("enc")))

    def test_annotations_without_the_media_type_are_refused(self):
        def change(manifest):
            manifest["layers"][2]["annotations"] = {ENC + "pubopts": "e30="}
        self.edit("odd", change)
        for verb, keys in ("encrypt", self.recipient("one")), ("decrypt", ()):
            self.expect_refused(EXIT_INTEGRITY, "layer 3/3 ", "has encryption annotations",
                                run=self.sluice(verb, *keys, self.layout("odd"),
                                                self.layout("out")))

    def test_image_without_layers(self):
        os.mkdir(self.path("empty"))
        oci_images.write_plain_image(self.path("empty"), [])
        self.encrypt(self.layout("empty"), self.layout("enc"))
        self.decrypt(self.layout("enc"), self.layout("dec"))
        for name in "enc", "dec":
            self.assertEqual(facts(root_of(self.path(name))[1]),
                             facts(root_of(self.path("empty"))[1]))
        self.expect_refused(EXIT_FAILED, "--encrypt-layer 0: the image has no layers",
                            run=self.sluice("encrypt", *self.recipient("one"),
                                            "--encrypt-layer=0", self.layout("empty"),
                                            self.layout("none")))

    def make_half_encrypted_index(self):
        """Two images of the same layers; only the second one's are encrypted."""
        layout, types = self.path("half"), OCI + "manifest.v1+json"
        shutil.copytree(self.mixed, layout)
        self.encrypt(self.source(), self.layout("other"))
        shutil.copytree(self.path("other", "blobs"), os.path.join(layout, "blobs"),
                        dirs_exist_ok=True)
        members = [{"mediaType": types, "digest": root_of(path)[0], "size": os.path.getsize(
                        oci_images.blob_path(path, root_of(path)[0]))}
                   for path in (self.mixed, self.path("other"))]
        self.put_root(layout, {"schemaVersion": 2, "mediaType": OCI + "index.v1+json",
                               "manifests": members}, OCI + "index.v1+json")

    def members(self, name):
        return [document(self.path(name), m["digest"])
                for m in root_of(self.path(name))[1]["manifests"]]

    def test_images_that_share_layers_and_one_is_encrypted(self):
        self.make_half_encrypted_index()
        report = json.loads(self.decrypt(self.layout("half"), self.layout("dec"), "--json"))
        self.assertEqual(sorted(l["action"] for l in report["layers"]),
                         3 * ["copied"] + 3 * ["decrypted"])
        for member in self.members("dec"):
            self.assertEqual(facts(member), facts(root_of(self.mixed)[1]))
        report = json.loads(self.encrypt(self.layout("half"), self.layout("enc"), "--json",
                                         "--decryption-key", self.key("one"), names=("two",)))
        self.assertEqual(sorted(l["action"] for l in report["layers"]),
                         3 * ["encrypted"] + 3 * ["recipients added"])
        plain, encrypted = self.members("enc")
        self.assert_encrypted(root_of(self.mixed)[1], plain)
        for was, is_ in zip(root_of(self.path("other"))[1]["layers"], encrypted["layers"],
                            strict=True):
            self.assertEqual(is_["digest"], was["digest"])

    def make_index(self):
        """amd64 and arm64 share a layer; arm64 in an index of its own; and an attestation."""
        layout = self.path("index")
        os.mkdir(layout)
        shared, own = tar_of("shared", os.urandom(5000)), tar_of("own", os.urandom(5000))
        members = {}
        for arch, tars in ("amd64", [shared]), ("arm64", [shared, own]):
            oci_images.write_plain_image(layout, tars)
            digest, _ = root_of(layout)
            members[arch] = {"mediaType": OCI + "manifest.v1+json", "digest": digest,
                             "size": os.path.getsize(oci_images.blob_path(layout, digest)),
                             "platform": {"os": "linux", "architecture": arch}}
        inner = {"schemaVersion": 2, "mediaType": OCI + "index.v1+json",
                 "manifests": [members["arm64"]]}
        attestation = {"mediaType": OCI + "manifest.v1+json", "digest": "sha256:" + 64 * "0",
                       "size": 1, "platform": {"os": "unknown", "architecture": "unknown"},
                       "annotations": {"vnd.docker.reference.type": "attestation-manifest"}}
        root = {"schemaVersion": 2, "mediaType": OCI + "index.v1+json", "annotations": {"k": "v"},
                "manifests": [members["amd64"],
                              {"mediaType": OCI + "index.v1+json",
                               "platform": members["arm64"]["platform"],
                               **oci_images.write_blob(layout, json.dumps(inner).encode())},
                              attestation]}
        self.put_root(layout, root, OCI + "index.v1+json")
        return members

    def test_index(self):
        members = self.make_index()
        report = json.loads(self.encrypt(self.layout("index"), self.layout("enc"), "--json"))
        self.assertEqual((report["isIndex"], report["images"], report["dropped"],
                          len(report["layers"])), (True, 2, 1, 2))
        digest, root = root_of(self.path("enc"))
        self.assertEqual(digest, report["digest"])
        self.assertEqual((root["annotations"], len(root["manifests"])), ({"k": "v"}, 2))
        self.assertEqual(root["manifests"][0]["platform"], members["amd64"]["platform"])
        amd64 = document(self.path("enc"), root["manifests"][0]["digest"])
        inner = document(self.path("enc"), root["manifests"][1]["digest"])
        arm64 = document(self.path("enc"), inner["manifests"][0]["digest"])
        self.assertEqual(amd64["layers"][0], arm64["layers"][0])
        self.assertNotEqual(arm64["layers"][0]["digest"], arm64["layers"][1]["digest"])
        self.decrypt(self.layout("enc"), self.registry.ref("index/dec:1"))
        raw = run("skopeo", "inspect", "--raw", "--tls-verify=false",
                  self.registry.ref("index/dec:1"))
        place = self.registry.ref("index/dec@") + json.loads(raw)["manifests"][0]["digest"]
        run("skopeo", "--insecure-policy", "copy", "--preserve-digests", "--src-tls-verify=false", place,
            self.layout("amd64"))
        self.assertEqual(facts(root_of(self.path("amd64"))[1]),
                         facts(document(self.path("index"), members["amd64"]["digest"])))

    def test_shared_layer_that_is_chosen_in_one_image_only(self):
        """The top layer of amd64 is the bottom one of arm64."""
        members = self.make_index()
        report = json.loads(self.encrypt(self.layout("index"), self.layout("enc"), "--json",
                                         "--encrypt-layer=-1"))
        self.assertEqual(sorted(l["action"] for l in report["layers"]),
                         ["copied", "encrypted", "encrypted"])
        amd64, inner = self.members("enc")
        arm64 = document(self.path("enc"), inner["manifests"][0]["digest"])
        for arch, after, which in ("amd64", amd64, {0}), ("arm64", arm64, {1}):
            self.assert_encrypted(document(self.path("index"), members[arch]["digest"]), after,
                                  which)

    def test_one_image_of_an_index(self):
        members = self.make_index()
        self.encrypt(self.layout("index"), self.layout("enc"), "--override-arch", "arm64")
        self.assert_encrypted(document(self.path("index"), members["arm64"]["digest"]),
                              root_of(self.path("enc"))[1])

    def test_layers_are_chosen(self):
        _, before = root_of(self.mixed)
        for words, which in ((("0",), {0}), (("-1", "2"), {2}), (("1", "-3"), {0, 1})):
            with self.subTest(words=words):
                name = "enc" + "".join(words)
                self.encrypt(self.source(), self.layout(name),
                             *[f"--encrypt-layer={word}" for word in words])
                self.assert_encrypted(before, root_of(self.path(name))[1], which)

    def test_layers_that_are_not_there(self):
        for word, code in (("3", EXIT_FAILED), ("-4", EXIT_FAILED), ("x", EXIT_USAGE)):
            with self.subTest(word=word):
                self.expect_refused(code, "--encrypt-layer",
                                    run=self.sluice("encrypt", *self.recipient("one"),
                                                    f"--encrypt-layer={word}", self.source(),
                                                    self.layout("enc")))
                self.assertFalse(os.path.exists(self.path("enc")))


class Failures(EncryptCase):
    """Nothing is seen under the name unless everything succeeded."""

    def setUp(self):
        super().setUp()
        self.name = self.repository("fail") + ":1"
        self.proxy = push_proxy.PushProxy(self.registry.host)
        self.proxy.__enter__()
        self.addCleanup(self.proxy.__exit__)
        self.place = f"docker://{self.proxy.host}/{self.name}"

    def assert_no_image(self):
        done = subprocess.run(["skopeo", "inspect", "--tls-verify=false",
                               self.registry.ref(self.name)], capture_output=True, check=False)
        self.assertNotEqual(done.returncode, 0)

    def failing(self, *options, destination=None):
        return self.sluice("encrypt", "--quiet", NO_TLS, *options, self.source(),
                           destination or self.place)

    def test_no_recipient(self):
        self.expect_refused(EXIT_USAGE, "--encryption-key", run=self.failing())

    def test_missing_key_file(self):
        self.expect_refused(EXIT_FAILED, "/no/such.pem",
                            run=self.failing("--encryption-key", "jwe:/no/such.pem"))
        self.assertEqual(self.proxy.requests, [])

    def test_last_manifest_is_refused(self):
        # Not 500, which is tried again and again.
        self.proxy.on("PUT", "/manifests/1", status=501)
        self.expect_refused(EXIT_NETWORK, "501", run=self.failing(*self.recipient("one")))
        self.assert_no_image()

    def test_retry_counts_at_the_destination_too(self):
        self.proxy.on("PUT", "/manifests/1", status=503)
        self.expect_refused(EXIT_NETWORK, "503",
                            run=self.failing("--retry", 1, *self.recipient("one")))
        self.assertEqual(self.proxy.count("PUT", "/manifests/1"), 1)

    def test_upload_is_refused(self):
        self.proxy.on("POST", "/blobs/uploads/", status=403)
        self.expect_refused(EXIT_NETWORK, run=self.failing(*self.recipient("one")))
        self.assert_no_image()

    def test_upload_that_breaks_is_begun_again(self):
        for method in "PATCH", "PUT":
            self.proxy.on(method, "/blobs/uploads/", hang_up_after=BIG // 2, times=1)
        done = self.failing(*self.recipient("one"))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("begun again", done.stderr)
        run("skopeo", "--insecure-policy", "copy", "--src-tls-verify=false", "--decryption-key", self.key("one"),
            self.registry.ref(self.name), self.layout("dec"))
        self.assertEqual(contents(self.path("dec")), contents(self.mixed))

    def test_upload_that_never_works(self):
        for method in "PATCH", "PUT":
            self.proxy.on(method, "/blobs/uploads/", hang_up_after=BIG // 2)
        done = self.failing(*self.recipient("one"))
        self.assertEqual(done.returncode, EXIT_NETWORK, done.stderr)
        self.assertIn("layer 2/3 ", done.stderr.splitlines()[-1])
        self.assertEqual(done.stderr.count("begun again"), 2)
        self.assert_no_image()

    def started_and_held(self):
        holds = [self.proxy.on(m, "/blobs/uploads/", wait_after=BIG // 2) for m in ("PATCH", "PUT")]
        child = self.start("encrypt", "--quiet", NO_TLS, *self.recipient("one"), self.source(),
                           self.place)
        self.assertTrue(any(h.reached.wait(10) for h in holds))
        return child, holds

    def test_killed(self):
        child, _ = self.started_and_held()
        child.kill()
        child.wait()
        self.assert_no_image()

    def test_interrupted(self):
        child, holds = self.started_and_held()
        child.terminate()
        for hold in holds:
            hold.go.set()
        code, text = self.finish(child)
        self.assertEqual(code, EXIT_FAILED, text)
        self.assertIn("cancelled", text)
        self.assert_no_image()

    def test_damaged_source(self):
        shutil.copytree(self.mixed, self.path("bad"))
        blob = oci_images.layer_blobs(self.path("bad"))[1]
        with open(blob, "r+b") as file:
            file.seek(BIG // 2)
            byte = file.read(1)
            file.seek(BIG // 2)
            file.write(bytes([byte[0] ^ 1]))
        self.expect_refused(EXIT_INTEGRITY, "layer 2/3 ", "digest",
                            run=self.sluice("encrypt", *self.recipient("one"), self.layout("bad"),
                                            self.layout("enc")))
        self.assertFalse(os.path.exists(self.path("enc")))

    def test_damaged_ciphertext(self):
        """Whose digest the attacker made right: only the MAC can tell."""
        self.encrypt(self.source(), self.layout("enc"))
        manifest = oci_images.read_manifest(self.path("enc"))
        with open(oci_images.blob_path(self.path("enc"), manifest["layers"][1]["digest"]), "rb") as file:
            data = bytearray(file.read())
        data[BIG // 2] ^= 1
        manifest["layers"][1].update(oci_images.write_blob(self.path("enc"), bytes(data)))
        Documents.put_root(self.path("enc"), manifest, OCI + "manifest.v1+json")
        self.expect_refused(EXIT_INTEGRITY, "layer 2/3 ",
                            run=self.sluice("decrypt", "--decryption-key", self.key("one"),
                                            self.layout("enc"), self.layout("dec")))
        self.assertFalse(os.path.exists(self.path("dec")))


class Existing(EncryptCase):
    """What the destination has does not move."""

    def setUp(self):
        super().setUp()
        self.name = self.repository("existing")
        self.proxy = push_proxy.PushProxy(self.registry.host)
        self.proxy.__enter__()
        self.addCleanup(self.proxy.__exit__)

    def test_registry_is_asked_side_by_side(self):
        self.decrypt(self.source(), self.registry.ref(self.name + ":1"))
        together = self.proxy.on("HEAD", "/blobs/", gather=2, times=2)
        report = json.loads(self.decrypt(self.source(),
                                         f"docker://{self.proxy.host}/{self.name}:2", "--json",
                                         "--jobs", "2"))
        self.assertFalse(together.gathering.broken)
        self.assertEqual([l["skipped"] for l in report["layers"]], [True] * 3)
        # Each layer once, and the config.
        self.assertEqual((self.proxy.count("HEAD", "/blobs/"), self.proxy.count("POST")), (4, 0))

    def test_some_are_there(self):
        os.mkdir(self.path("part"))
        self.make_image(self.path("part"), self.tars[:1])
        self.decrypt(self.layout("part"), self.registry.ref(self.name + ":1"))
        report = json.loads(self.decrypt(self.source(), self.registry.ref(self.name + ":2"),
                                         "--json", "--jobs", "1"))
        self.assertEqual([l["skipped"] for l in report["layers"]], [True, False, False])
        run("skopeo", "--insecure-policy", "copy", "--preserve-digests", "--src-tls-verify=false",
            self.registry.ref(self.name + ":2"), self.layout("back"))
        self.assertEqual(facts(root_of(self.path("back"))[1]), facts(root_of(self.mixed)[1]))

    def test_layout(self):
        self.decrypt(self.source(), self.layout("copy"))
        report = json.loads(self.decrypt(self.source(), self.layout("copy", "again"), "--json"))
        self.assertEqual([l["skipped"] for l in report["layers"]], [True] * 3)
        self.assertEqual(root_of(self.path("copy"), "again"), root_of(self.mixed))

    def test_registry_that_does_not_say(self):
        self.proxy.on("HEAD", "/blobs/", status=403)
        self.expect_refused(EXIT_NETWORK, "/3 sha256:", "403",
                            run=self.sluice("decrypt", NO_TLS, self.source(),
                                            f"docker://{self.proxy.host}/{self.name}:1"))


class Contents(EncryptCase):
    """Ciphertext that the MAC finds good and that opens to something else."""
    UNEQUAL = "unequal uncompressed digest "

    def setUp(self):
        super().setUp()
        self.encrypt(self.source(), self.layout("enc"))
        self.manifest = oci_images.read_manifest(self.path("enc"))

    def put(self, name="enc"):
        Documents.put_root(self.path(name), self.manifest, OCI + "manifest.v1+json")

    def refuse(self, number, *texts):
        of = len(self.manifest["layers"])
        self.expect_refused(EXIT_INTEGRITY, f"layer {number}/{of} ", *texts,
                            run=self.sluice("decrypt", "--decryption-key", self.key("one"),
                                            self.layout("enc"), self.layout("dec")))
        self.assertFalse(os.path.exists(self.path("dec")))

    def test_another_nonce(self):
        """From whoever gives the keys: here a provider that hides nothing, between two calls."""
        config = self.provider()
        self.encrypt(self.source(), self.layout("mine"), "--encryption-key", "provider:open",
                     "--key-provider-config", config, names=())
        for i in range(3):
            with self.subTest(layer=i):
                self.manifest = oci_images.read_manifest(self.path("mine"))
                annotations = self.manifest["layers"][i]["annotations"]
                private = json.loads(base64.b64decode(annotations[ENC + "keys.provider.open"]))
                private["cipheroptions"]["nonce"] = base64.b64encode(bytes(16)).decode()
                annotations[ENC + "keys.provider.open"] = base64.b64encode(
                    json.dumps(private).encode()).decode()
                shutil.copytree(self.path("mine"), self.path("bad"))
                self.put("bad")
                self.expect_refused(
                    EXIT_INTEGRITY, f"layer {i + 1}/3 ", "diff_id: " + self.UNEQUAL,
                    run=self.sluice("decrypt", "--key-provider-config", config,
                                    self.layout("bad"), self.layout("dec")))
                self.assertFalse(os.path.exists(self.path("dec")))
                shutil.rmtree(self.path("bad"))

    def provider(self):
        program = self.write("provider.py", OPEN_PROVIDER)
        os.chmod(program, 0o755)
        return self.write("providers.json", json.dumps(
            {"key-providers": {"open": {"cmd": {"path": program}}}}))

    def test_another_images_layer(self):
        """With everything that belongs to it."""
        os.mkdir(self.path("other"))
        self.make_image(self.path("other"), [tar_of("other", os.urandom(5000))] * 3)
        self.encrypt(self.layout("other"), self.layout("other-enc"))
        for i, layer in enumerate(oci_images.read_manifest(self.path("other-enc"))["layers"]):
            with self.subTest(layer=i):
                blob = oci_images.blob_path(self.path("other-enc"), layer["digest"])
                oci_images.write_blob(self.path("enc"), blob)
                mine, self.manifest["layers"][i] = self.manifest["layers"][i], layer
                self.put()
                self.refuse(i + 1, "diff_id: " + self.UNEQUAL)
                self.manifest["layers"][i] = mine

    def test_layers_that_changed_places(self):
        layers = self.manifest["layers"]
        layers[0], layers[2] = layers[2], layers[0]
        self.put()
        self.expect_refused(EXIT_INTEGRITY, self.UNEQUAL,
                            run=self.sluice("decrypt", "--decryption-key", self.key("one"),
                                            self.layout("enc"), self.layout("dec")))

    def test_bytes_behind_the_stream(self):
        """What does not unpack at all."""
        os.mkdir(self.path("cut"))
        self.make_image(self.path("cut"), self.tars)
        manifest = oci_images.read_manifest(self.path("cut"))
        with open(oci_images.blob_path(self.path("cut"), manifest["layers"][1]["digest"]), "rb") as file:
            manifest["layers"][1].update(oci_images.write_blob(self.path("cut"), file.read()[:-9]))
        Documents.put_root(self.path("cut"), manifest, OCI + "manifest.v1+json")
        # Nobody who encrypts can be expected to notice.
        self.encrypt(self.layout("cut"), self.layout("enc"), "--json")
        self.refuse(2, "decompress: ")

    def config(self, change):
        """The image with another config."""
        path = oci_images.blob_path(self.path("enc"), self.manifest["config"]["digest"])
        with open(path, encoding="utf-8") as file:
            config = json.load(file)
        change(config["rootfs"]["diff_ids"])
        self.manifest["config"].update(
            oci_images.write_blob(self.path("enc"), json.dumps(config).encode()))
        self.put()

    def test_config_that_says_nothing(self):
        self.config(lambda ids: ids.pop())
        self.expect_refused(EXIT_INTEGRITY, "image config: 2 diff_ids for 3 layers",
                            run=self.sluice("decrypt", "--decryption-key", self.key("one"),
                                            self.layout("enc"), self.layout("dec")))
        self.assertFalse(os.path.exists(self.path("dec")))

    def test_one_blob_that_is_promised_twice(self):
        """Both layers are the same; one of them cannot be right."""
        self.manifest["layers"][1] = self.manifest["layers"][0]
        self.put()
        self.refuse(2, self.UNEQUAL)

    def test_layers_of_few_bytes(self):
        """Too few to tell a format by."""
        tars = [b"", b"abc", b"x" * 7]
        os.mkdir(self.path("tiny"))
        oci_images.write_plain_image(self.path("tiny"), tars)
        self.encrypt(self.layout("tiny"), self.layout("tiny-enc"))
        self.decrypt(self.layout("tiny-enc"), self.layout("dec"))
        self.assertEqual(facts(root_of(self.path("dec"))[1]), facts(root_of(self.path("tiny"))[1]))


class Memory(EncryptCase):
    def setUp(self):
        super().setUp()
        self.program = peak_memory.shipped(sluice_case.SLUICE)
        if not self.program:
            self.skipTest("needs a release build: its path in SLUICE_RELEASE")

    def measure(self, verb, *args):
        done = subprocess.run(peak_memory.measured([self.program, verb, "--quiet", NO_TLS, *args]),
                              env=self.environment(), stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertLess(peak_memory.peak(done.stdout), peak_memory.LIMIT)

    def make_large_image(self, layout):
        """More than the limit; with the largest windows that are taken, and a layer that expands."""
        def wide(data):
            return subprocess.run(["zstd", "-q", "-1", "--long=23", "-c"], input=data,
                                  stdout=subprocess.PIPE, check=True).stdout
        os.mkdir(layout)
        size = 40000000
        tars = [(tar_of(str(i), os.urandom(size)), "+zstd", wide) for i in range(4)]
        tars.append((tar_of("gzip", bytes(range(256)) * (size // 256)), "+gzip", gzip.compress))
        tars.append((tar_of("plain", os.urandom(size)), "", bytes))
        layers = [{"mediaType": OCI + "layer.v1.tar" + end,
                   **oci_images.write_blob(layout, pack(tar))} for tar, end, pack in tars]
        oci_images.write_image(layout, layers,
                               ["sha256:" + hashlib.sha256(tar).hexdigest() for tar, *_ in tars])

    def test_peak(self):
        self.make_large_image(self.path("large"))
        place = self.registry.ref("memory/peak:1")
        self.measure("encrypt", *self.recipient("one"), self.layout("large"), place)
        self.measure("decrypt", "--decryption-key", self.key("one"), place, self.layout("dec"))
        self.assertEqual(facts(root_of(self.path("dec"))[1]), facts(root_of(self.path("large"))[1]))


if __name__ == "__main__":
    sluice_case.main("skopeo", "docker-registry", "zstd", "openssl")
