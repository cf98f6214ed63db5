# SPDX-License-Identifier: Apache-2.0
"""The cache gives nothing away: every rule that a first pull obeys, the next one obeys too."""

import json
import os
import shutil

import sluice_case
from sluice_case import EXIT_INTEGRITY, EXIT_NETWORK, EXIT_POLICY, SluiceCase

import make_image
import oci_layout
import registry as registries
from counting_proxy import CountingProxy

DENIED = "Image policy rejected"


def make_rsa_key(folder, name):
    key, public = os.path.join(folder, name + ".pem"), os.path.join(folder, name + ".pub")
    registries.run("openssl", "genrsa", "-out", key, "2048")
    registries.run("openssl", "rsa", "-in", key, "-pubout", "-out", public)
    return key, public


def skopeo_encrypt(source, target, public):
    registries.run("skopeo", "--insecure-policy", "copy", "--quiet", "--encryption-key",
                   "jwe:" + public, source, target)
    return target


class Layouts(SluiceCase):
    """Images in layouts on disk: what counts is the verdict."""

    def layout(self, *layers, name="layout", **kwargs):
        return make_image.add_image(self.path(name), layers, **kwargs)

    def states(self, *args, **kwargs):
        return [x["state"] for x in self.pull_json(*args, **kwargs)["layers"]]

    # ---- policy ----

    def test_policy_is_asked_although_the_image_is_cached(self):
        image = self.layout(make_image.layer({"a": "1"}))
        self.pull(image)
        run = self.sluice("pull", image, self.path("bundle"))
        self.refused(EXIT_POLICY, DENIED, "--insecure-policy", run=run)
        self.assertFalse(os.path.exists(self.path("bundle", "rootfs")))

    def test_policy_is_asked_before_any_layer_is_read(self):
        image = self.layout(make_image.layer({"a": "1"}))
        self.refused(EXIT_POLICY, DENIED, run=self.sluice("pull", image))
        self.assertEqual(self.in_store("layers/sha256"), [])
        self.assertEqual(self.in_store("images/sha256"), [])

    # ---- diff_ids ----

    def test_lying_config_fails_although_the_blob_is_cached(self):
        truth = make_image.layer({"a": "true"})
        other = make_image.layer({"b": "other"})
        self.pull(self.layout(truth, name="honest"))
        for lie in ("sha256:" + "0" * 64, other.diff_id):
            with self.subTest(lie=lie):
                image = self.layout(truth, name="liar" + lie[7:15], diff_ids=[lie])
                self.pull_fails(EXIT_INTEGRITY, image, says=["layer 1/1", "diff_id", lie[7:]])
        self.assertEqual(self.in_store("layers/sha256"), [truth.diff_id[7:]])
        self.assertEqual(len(self.in_store("images/sha256")), 1)
        self.assert_clean()

    def test_lying_config_fails_although_the_layer_it_names_is_cached(self):
        first, second = make_image.layer({"a": "1"}), make_image.layer({"b": "2"})
        self.pull(self.layout(first, name="first"))
        image = self.layout(second, name="second", diff_ids=[first.diff_id])
        self.pull_fails(EXIT_INTEGRITY, image, says=["layer 1/1", "diff_id"])
        self.assertEqual(self.in_store("layers/sha256"), [first.diff_id[7:]])

    def test_swapped_diff_ids_fail_although_both_layers_are_cached(self):
        a, b = make_image.layer({"a": "1"}), make_image.layer({"b": "2"})
        self.pull(self.layout(a, b, name="honest"))
        image = self.layout(a, b, name="swapped", diff_ids=[b.diff_id, a.diff_id])
        self.pull_fails(EXIT_INTEGRITY, image, says="diff_id")
        self.assertEqual(len(self.in_store("images/sha256")), 1)

    def test_same_content_in_another_blob_is_verified_on_its_own_and_stored_once(self):
        tar = make_image.tar_of({"a": "same" * 5000})
        blobs = [make_image.Layer(tar, 1), make_image.Layer(tar, 9), make_image.Layer(tar)]
        self.assertEqual(len({x.digest for x in blobs}), 3)
        for i, blob in enumerate(blobs):
            self.assertEqual(self.states(self.layout(blob, name=f"l{i}")), ["done"])
        self.assertEqual(self.in_store("layers/sha256"), [blobs[0].diff_id[7:]])
        self.assertEqual(self.in_store("blobs/sha256"),
                         sorted(x.digest[7:] + ".json" for x in blobs))
        for i, blob in enumerate(blobs):
            self.assertEqual(self.states(f"oci:{self.path(f'l{i}')}:latest"), ["cached"])

    def test_damaged_blob_of_a_stored_layer_is_refused(self):
        tar = make_image.tar_of({"a": "same" * 5000})
        good, damaged = make_image.Layer(tar, 1), make_image.Layer(tar, 9)
        self.pull(self.layout(good, name="good"))
        image = self.layout(damaged, name="damaged")
        path = self.path("damaged", "blobs", *damaged.digest.split(":"))
        with open(path, "r+b") as file:
            file.seek(len(damaged.blob) // 2)
            file.write(bytes([damaged.blob[len(damaged.blob) // 2] ^ 1]))
        self.pull_fails(EXIT_INTEGRITY, image, says="layer 1/1")
        self.assertEqual(self.in_store("blobs/sha256"), [good.digest[7:] + ".json"])

    def test_damaged_record_of_a_blob_is_fetched_again_and_replaced(self):
        layer = make_image.layer({"a": "1"})
        image = self.layout(layer)
        self.pull(image)
        record = os.path.join(self.root, "blobs/sha256", layer.digest[7:] + ".json")
        with open(record, "r+", encoding="ascii") as file:
            file.truncate(20)
        self.assertEqual(self.states(image), ["done"])
        self.assertEqual(self.states(image), ["cached"])

    # ---- the order of layers ----

    def test_duplicate_layers_keep_their_positions(self):
        a = make_image.layer({"d/": b"", "d/a": "a"})
        gone = make_image.layer({"d/": b"", "d/.wh.a": b""})
        self.pull(self.layout(a, gone, a, name="back"), self.path("back-bundle"))
        self.pull(self.layout(a, gone, name="gone"), self.path("gone-bundle"))
        self.assertEqual(self.read("back-bundle", "rootfs", "d", "a"), "a")
        self.assertEqual(os.listdir(self.path("gone-bundle", "rootfs", "d")), [])
        images = json.loads(self.ok("images", "--json"))["images"]
        self.assertIn([a.diff_id, gone.diff_id, a.diff_id], [x["diffIds"] for x in images])
        self.assertEqual(len(self.in_store("layers/sha256")), 2)

    def test_duplicate_layer_with_a_lying_second_diff_id_fails(self):
        a, b = make_image.layer({"a": "1"}), make_image.layer({"b": "2"})
        image = self.layout(a, b, a, diff_ids=[a.diff_id, b.diff_id, b.diff_id])
        self.pull_fails(EXIT_INTEGRITY, image, says=["layer 3/3", "diff_id"])
        self.assertEqual(self.in_store("images/sha256"), [])

    def test_same_layer_in_two_blobs_of_one_image_keeps_both_positions(self):
        tar = make_image.tar_of({"d/": b"", "d/a": "a"})
        gone = make_image.layer({"d/": b"", "d/.wh.a": b""})
        image = self.layout(make_image.Layer(tar, 1), gone, make_image.Layer(tar, 9))
        self.pull(image, self.path("bundle"))
        self.assertEqual(self.read("bundle", "rootfs", "d", "a"), "a")
        self.assertEqual(len(self.in_store("layers/sha256")), 2)

    # ---- failures ----

    def test_layers_that_passed_go_when_a_sibling_is_not_what_was_promised(self):
        good, bad = make_image.layer({"a": "1"}), make_image.layer({"b": "2"})
        image = self.layout(good, bad, diff_ids=[good.diff_id, "sha256:" + "1" * 64])
        self.pull_fails(EXIT_INTEGRITY, "--jobs", 1, image, says="layer 2/2")
        self.assertEqual(self.in_store("layers/sha256"), [])
        self.assertEqual(self.in_store("blobs/sha256"), [])
        self.assert_clean()

    def test_layers_of_another_image_stay_when_a_pull_fails(self):
        good, bad = make_image.layer({"a": "1"}), make_image.layer({"b": "2"})
        self.pull(self.layout(good, name="other"))
        image = self.layout(good, bad, diff_ids=[good.diff_id, "sha256:" + "1" * 64])
        self.pull_fails(EXIT_INTEGRITY, "--jobs", 1, image, says="layer 2/2")
        self.assertEqual(self.in_store("layers/sha256"), [good.diff_id[7:]])
        self.assert_clean()


class Encrypted(SluiceCase):
    """One image, plain and encrypted by skopeo with JWE, in layouts shared by all tests."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.key, public = make_rsa_key(cls.shared, "right")
        cls.wrong_key, wrong_public = make_rsa_key(cls.shared, "wrong")
        cls.layer = make_image.layer({"secret": "plain text " * 3000})
        cls.plain = make_image.add_image(os.path.join(cls.shared, "plain"), [cls.layer])
        cls.encrypted = skopeo_encrypt(cls.plain, f"oci:{cls.shared}/encrypted:latest", public)
        _, cls.manifest = make_image.tagged(os.path.join(cls.shared, "encrypted"))
        # The same layer, encrypted by somebody else: another key, another blob.
        skopeo_encrypt(cls.plain, f"oci:{cls.shared}/others:latest", wrong_public)
        _, cls.others = make_image.tagged(os.path.join(cls.shared, "others"))

    def pull_with_key(self, *args):
        return self.pull_json("--decryption-key", self.key, *args)

    def test_9_9_second_pull_with_the_key_is_a_cache_hit(self):
        first = self.pull_with_key(self.encrypted)
        second = self.pull_with_key(self.encrypted)
        self.assertEqual([x["state"] for x in first["layers"]], ["done"])
        self.assertEqual([x["state"] for x in second["layers"]], ["cached"])
        self.assertEqual([x["received"] for x in second["layers"]], [0])
        self.assertEqual([x["protocol"] for x in second["layers"]], ["jwe"])

    def test_cached_encrypted_layer_without_a_key_is_refused(self):
        self.pull_with_key(self.encrypted)
        self.pull_fails(EXIT_NETWORK, self.encrypted, self.path("bundle"), says="layer 1/1")
        self.assertFalse(os.path.exists(self.path("bundle", "rootfs")))

    def test_cached_encrypted_layer_with_a_wrong_key_is_refused(self):
        self.pull_with_key(self.encrypted)
        self.pull_fails(EXIT_NETWORK, "--decryption-key", self.wrong_key, self.encrypted,
                        self.path("bundle"), says="layer 1/1")
        self.assertFalse(os.path.exists(self.path("bundle", "rootfs")))

    def claim(self, source, blob):
        """A manifest over the blobs of a layout that says this of its only layer."""
        folder = self.path("claim")
        shutil.copytree(os.path.join(self.shared, source), folder)
        return make_image.add_tag(folder, make_image.add_manifest(
            folder, [self.layer], layer_blobs=[blob]), "claim")

    def claim_fails(self, *args):
        self.pull_fails(EXIT_INTEGRITY, *args, self.path("bundle"), says="layer 1/1")
        self.assertFalse(os.path.exists(self.path("bundle", "rootfs")))

    def test_9_9_plain_manifest_that_claims_an_encrypted_blob_fails(self):
        self.pull_with_key(self.encrypted)
        blob = self.manifest["layers"][0]
        self.claim_fails(self.claim("encrypted", {
            "mediaType": oci_layout.LAYER + "+gzip", "digest": blob["digest"],
            "size": blob["size"]}))

    def test_9_9_key_of_ones_own_does_not_open_the_blob_of_another(self):
        """Annotations are not bound to a blob: anybody can wrap a key of his own beside it."""
        self.pull_with_key(self.encrypted)
        theirs, own = self.manifest["layers"][0], self.others["layers"][0]["annotations"]
        options = "org.opencontainers.image.enc.pubopts"
        for hmac in (own[options], theirs["annotations"][options]):
            with self.subTest(own_hmac=hmac == own[options]):
                image = self.claim("encrypted",
                                   dict(theirs, annotations={**own, options: hmac}))
                self.claim_fails("--decryption-key", self.wrong_key, image)
                shutil.rmtree(self.path("claim"))

    def test_9_9_encrypted_manifest_that_claims_a_plain_blob_fails(self):
        self.pull(self.plain)
        claimed = dict(self.others["layers"][0], digest=self.layer.digest,
                       size=len(self.layer.blob))
        self.claim_fails("--decryption-key", self.wrong_key, self.claim("plain", claimed))

    def test_9_9_annotations_on_a_plain_media_type_are_refused(self):
        self.pull_with_key(self.encrypted)
        folder = self.path("mixed")
        shutil.copytree(os.path.join(self.shared, "encrypted"), folder)
        mixed = dict(self.manifest["layers"][0], mediaType=oci_layout.LAYER + "+gzip")
        image = make_image.add_tag(folder, make_image.add_manifest(
            folder, [self.layer], layer_blobs=[mixed]), "mixed")
        self.pull_fails(EXIT_INTEGRITY, "--decryption-key", self.key, image,
                        says="encryption annotations")

    def test_9_9_encrypted_image_needs_its_key_although_the_plain_one_is_cached(self):
        self.pull(self.plain)
        self.pull_fails(EXIT_NETWORK, self.encrypted, says="layer 1/1")
        self.assertEqual(self.pull_with_key(self.encrypted)["layers"][0]["state"], "done")
        self.assertEqual(self.in_store("layers/sha256"), [self.layer.diff_id[7:]])

    def test_lying_config_fails_although_the_encrypted_blob_is_cached(self):
        self.pull_with_key(self.encrypted)
        folder = self.path("liar")
        shutil.copytree(os.path.join(self.shared, "encrypted"), folder)
        lie = "sha256:" + "2" * 64
        image = make_image.add_tag(folder, make_image.add_manifest(
            folder, [self.layer], diff_ids=[lie], layer_blobs=self.manifest["layers"]), "liar")
        self.pull_fails(EXIT_INTEGRITY, "--decryption-key", self.key, image, says="diff_id")

    def test_9_9_no_key_reaches_the_store(self):
        self.pull_with_key(self.encrypted)
        blob = make_image.read_blob(os.path.join(self.shared, "encrypted"),
                                    self.manifest["layers"][0]["digest"])
        for folder, _, names in os.walk(self.root):
            for name in names:
                with open(os.path.join(folder, name), "rb") as file:
                    content = file.read()
                self.assertNotIn(blob[:64], content)
                self.assertNotIn(b"symkey", content)


class Downloads(SluiceCase):
    """What goes over the wire, counted by a proxy in front of docker-registry."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.registry = cls.enterClass(registries.Registry())
        shared = make_image.layer({"base": "b" * 100000})
        cls.layers = [shared, make_image.layer({"one": "1"}), make_image.layer({"two": "2"})]
        folder = os.path.join(cls.shared, "layout")
        cls.registry.push(make_image.add_image(folder, [shared, cls.layers[1]], tag="one"), "app:one")
        cls.registry.push(make_image.add_image(folder, [shared, cls.layers[2]], tag="two"), "app:two")
        tar = make_image.tar_of({"base": "b" * 100000})
        again = make_image.Layer(tar, 1)
        cls.registry.push(make_image.add_image(folder, [again], tag="again"), "app:again")
        cls.again = again

    @classmethod
    def enterClass(cls, context):  # pylint: disable=invalid-name
        value = context.__enter__()
        cls.addClassCleanup(context.__exit__, None, None, None)
        return value

    def setUp(self):
        super().setUp()
        self.proxy = CountingProxy(self.registry.host)
        self.proxy.__enter__()
        self.addCleanup(self.proxy.__exit__)

    def image(self, tag):
        return f"docker://{self.proxy.host}/app:{tag}"

    def layer_gets(self):
        names = {x.digest: i for i, x in enumerate(self.layers + [self.again])}
        gets = [path.rsplit("/", 1)[1] for path in self.proxy.gets("/blobs/")]
        return sorted(names[d] for d in gets if d in names)

    def test_second_pull_downloads_no_layer(self):
        self.pull("--tls-verify=false", self.image("one"))
        self.assertEqual(self.layer_gets(), [0, 1])
        self.proxy.forget()
        report = self.pull_json("--tls-verify=false", self.image("one"))
        self.assertEqual(self.layer_gets(), [])
        self.assertEqual([x["state"] for x in report["layers"]], ["cached", "cached"])
        self.assertEqual([x["received"] for x in report["layers"]], [0, 0])

    def test_shared_layers_are_fetched_once(self):
        self.pull("--tls-verify=false", self.image("one"))
        self.pull("--tls-verify=false", self.image("two"))
        self.assertEqual(self.layer_gets(), [0, 1, 2])

    def test_recompressed_layer_is_fetched_for_its_own_proof(self):
        self.pull("--tls-verify=false", self.image("one"))
        self.pull("--tls-verify=false", self.image("again"))
        self.assertEqual(self.layer_gets(), [0, 1, 3])
        self.assertEqual(len(self.in_store("layers/sha256")), 2)

    def test_policy_on_a_cached_image_downloads_nothing(self):
        self.pull("--tls-verify=false", self.image("one"))
        self.proxy.forget()
        run = self.sluice("pull", "--tls-verify=false", self.image("one"))
        self.refused(EXIT_POLICY, DENIED, f"{self.proxy.host}/app:one", run=run)
        self.assertEqual(self.layer_gets(), [])

    def test_policy_rejection_is_not_answered_by_another_location(self):
        with CountingProxy(self.registry.host) as mirror:
            conf = self.write("registries.conf", f"""
[[registry]]
location = "{self.proxy.host}"
insecure = true
[[registry.mirror]]
location = "{mirror.host}"
insecure = true
""")
            policy = self.write("policy.json", json.dumps(
                {"default": [{"type": "insecureAcceptAnything"}], "transports": {"docker": {
                    self.proxy.host: [{"type": "reject"}]}}}))
            run = self.sluice("pull", "--policy", policy, "--registries-conf", conf,
                              self.image("one"))
            # What decides is the name that was asked for, not the mirror's.
            self.refused(EXIT_POLICY, DENIED, self.proxy.host, run=run)
            self.assertEqual(self.proxy.requests, [])
            self.assertTrue(mirror.gets("/manifests/"))


if __name__ == "__main__":
    sluice_case.main("docker-registry", "skopeo", "openssl")
