#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""sluice sign, and those who verify: skopeo, cosign 2 and 3, openssl, sluice itself. What cosign would
have written is compared member by member."""
import base64
import json
import os
import subprocess
import sys
import unittest
import urllib.error
import urllib.request

import signature_case
from signature_case import SignatureCase, tear_down
from sluice_case import EXIT_FAILED, EXIT_INTEGRITY, EXIT_NETWORK, EXIT_USAGE, ROOT

import go_tools
import make_image
from signing import (COSIGN, COSIGN_SIGNATURE, PASSWORD, REJECT, REPOSITORY, Uploads, bundle_signed, digest_of,
                     policy, signed_by, sigstore_signed)

BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
EXACT = {"type": "matchExact"}


def tearDownModule():  # pylint: disable=invalid-name
    tear_down()


class SignCase(SignatureCase):
    maxDiff = None
    count = 0

    def setUp(self):
        super().setUp()
        SignCase.count += 1
        self.repository = f"sign/image-{self.count}"
        self.name = f"{self.host}/{self.repository}"
        self.image = self.name + ":1"
        self.digest = self.world.image(self.host, self.repository, "1")

    def run_sign(self, *args, password=PASSWORD, image=None):
        env = self.environment()
        env.pop("COSIGN_PASSWORD", None)
        if password is not None:
            env["COSIGN_PASSWORD"] = password
        return self.sluice("sign", "--tls-verify=false", *args, image or "docker://" + self.image, env=env)

    def sign(self, *args, **kwargs):
        """[(digest, kind, where)]"""
        return [tuple(line.split(" ", 2)) for line in self.good(self.run_sign(*args, **kwargs)).splitlines()]

    def simple(self, *args, key=None, registries_d=None, **kwargs):
        return self.sign("--gpg-key", (key or self.world.gpg).fingerprint, "--pgp-home", self.signing.gnupg,
                         "--registries.d", registries_d or self.signing.registries_d(), *args, **kwargs)

    def tags(self, repository=None):
        try:
            with urllib.request.urlopen(f"http://{self.host}/v2/{repository or self.repository}/tags/list") as f:
                return sorted(json.load(f)["tags"])
        except urllib.error.HTTPError:
            return []

    def tag(self, digest=None):
        return (digest or self.digest).replace(":", "-")

    def read(self, reference):
        return json.loads(self.uploads.read(self.repository, reference))

    def blob(self, descriptor):
        return self.uploads.request("GET", f"/v2/{self.repository}/blobs/{descriptor['digest']}")[1]

    def policy(self, requirement):
        return policy(REJECT, {self.host: requirement})

    def cosign(self, key, *options, image=None, program=("cosign",)):
        """What cosign verify says: (accepts, words)."""
        done = self.world.peers.run(*program, "verify", "--key", getattr(key, "public", key),
                                    "--insecure-ignore-tlog=true", "--allow-http-registry", *options,
                                    image or self.image, env=self.signing.env)
        return done.returncode == 0, done.stdout

    def cosign_accepts(self, key, *options, **kwargs):
        self.assertTrue(*self.cosign(key, *options, **kwargs))

    def cosign_refuses(self, key, *options, **kwargs):
        accepts, said = self.cosign(key, *options, **kwargs)
        self.assertFalse(accepts, said)

    def bundle(self, referrer):
        """(its manifest, the bundle)"""
        manifest = self.read(referrer)
        return manifest, json.loads(self.blob(manifest["layers"][0]))


def shape(value):
    """A document without what differs from signature to signature."""
    if isinstance(value, dict):
        return {k: shape(v) for k, v in value.items()}
    if isinstance(value, list):
        return [shape(v) for v in value]
    return type(value) if isinstance(value, int) else value


class Simple(SignCase):
    def test_skopeo_and_sluice_accept_it(self):
        (digest, kind, where), = self.simple()
        self.assertEqual((digest, kind), (self.digest, "simple"))
        self.assertEqual(where, f"file://{self.signing.lookaside}/{self.repository}@"
                                f"{self.digest.replace(':', '=')}/signature-1")
        good = self.policy(signed_by(self.world.gpg, EXACT))
        self.assertEqual(self.signing.skopeo_judges(self.signing.policy(good), self.image)[0], "allow")
        self.allowed(self.image, good)
        bad = self.policy(signed_by(self.world.other_gpg))
        self.assertEqual(self.signing.skopeo_judges(self.signing.policy(bad), self.image)[0], "deny")
        self.denied(self.image, bad)

    def test_skopeo_verifies_it_standing_alone(self):
        (_, _, where), = self.simple()
        manifest = self.signing.write("manifest", self.uploads.read(self.repository, "1"))
        for name, is_good in (self.image, True), (self.name + ":2", False):
            done = self.world.peers.run("skopeo", "standalone-verify", manifest, name, self.world.gpg.fingerprint,
                                        where.removeprefix("file://"), env=self.signing.env)
            self.assertEqual(done.returncode == 0, is_good, done.stdout)

    def test_another_comes_behind(self):
        self.simple()
        (_, _, where), = self.simple(key=self.world.other_gpg)
        self.assertTrue(where.endswith("/signature-2"), where)
        for key in self.world.gpg, self.world.other_gpg:
            good = self.policy(signed_by(key))
            self.assertEqual(self.signing.skopeo_judges(self.signing.policy(good), self.image)[0], "allow")

    def test_another_name_is_signed(self):
        self.simple("--sign-identity", "example.com/some/app:7")
        self.denied(self.image, self.policy(signed_by(self.world.gpg)), code="E_SIG_IDENTITY")
        good = self.policy(signed_by(self.world.gpg, {"type": "exactReference",
                                                      "dockerReference": "example.com/some/app:7"}))
        self.allowed(self.image, good)
        self.assertEqual(self.signing.skopeo_judges(self.signing.policy(good), self.image)[0], "allow")

    def test_by_digest(self):
        image = f"{self.name}@{self.digest}"
        self.simple(image="docker://" + image)
        good = self.policy(signed_by(self.world.gpg))
        self.allowed(image, good)
        self.assertEqual(self.signing.skopeo_judges(self.signing.policy(good), image)[0], "allow")
        self.denied(self.image, good, code="E_SIG_IDENTITY")

    def test_every_image_of_an_index(self):
        index, ours, other = self.world.index(self.host, self.repository, "many")
        many = self.name + ":many"
        rows = self.simple(image="docker://" + many)
        self.assertEqual([row[0] for row in rows], [ours, other])
        good = self.policy(signed_by(self.world.gpg, EXACT))
        self.allowed(many, good)
        self.assertEqual(self.signing.skopeo_judges(self.signing.policy(good), many)[0], "allow")
        rows = self.simple("--recursive", image="docker://" + many)
        self.assertEqual([row[0] for row in rows], [ours, other, index])
        rows = self.simple("--override-arch", "riscv64", image="docker://" + many)
        self.assertEqual([row[0] for row in rows], [other])

    def test_what_cannot_be_is_told_and_nothing_is_written(self):
        before = os.listdir(self.signing.lookaside)
        key = ("--gpg-key", self.world.gpg.fingerprint, "--pgp-home", self.signing.gnupg)
        web = self.signing.registries_d("web.d", {"lookaside": "https://example.com/sigs"})
        self.refused(EXIT_FAILED, "https://example.com/sigs", "lookaside-staging",
                     run=self.run_sign(*key, "--registries.d", web))
        here = "--registries.d", self.signing.registries_d()
        self.refused(EXIT_NETWORK, "no secret key",
                     run=self.run_sign("--gpg-key", "nobody@example.com", *key[2:], *here))
        folder, descriptor = self.world.layout()
        self.refused(EXIT_FAILED, "--key",
                     run=self.run_sign(*key, *here, image=make_image.add_tag(folder, descriptor, "1")))
        self.refused(EXIT_NETWORK, run=self.run_sign(*key, *here, image=f"docker://{self.name}:none"))
        self.assertEqual(os.listdir(self.signing.lookaside), before)


class Cosign(SignCase):
    """The tag sha256-HEX.sig."""

    def test_cosign_skopeo_and_sluice_accept_it(self):
        key = self.world.cosign
        (digest, kind, where), = self.sign("--key", key.private, "--format", "sig")
        self.assertEqual((digest, kind, where), (self.digest, "cosign", self.tag() + ".sig"))
        self.assertEqual(self.tags(), ["1", self.tag() + ".sig"])
        self.cosign_accepts(key)
        self.cosign_refuses(self.world.other_cosign)
        for who, said in (key, "allow"), (self.world.other_cosign, "deny"):
            text = self.policy(sigstore_signed(who, REPOSITORY))
            self.assertEqual(self.signing.skopeo_judges(self.signing.policy(text), self.image)[0], said)
            (self.allowed if said == "allow" else self.denied)(self.image, text)

    def test_a_name_with_its_tag_is_signed(self):
        key = self.world.cosign
        self.sign("--key", key.private, "--format", "sig", "--sign-identity", self.image)
        good = self.policy(sigstore_signed(key, EXACT))
        self.allowed(self.image, good)
        self.assertEqual(self.signing.skopeo_judges(self.signing.policy(good), self.image)[0], "allow")

    def test_by_digest(self):
        key, image = self.world.cosign, f"{self.name}@{self.digest}"
        rows = self.sign("--key", key.private, image="docker://" + image)
        self.assertEqual([row[0] for row in rows], [self.digest] * 2)
        self.assertNotIn("latest", self.tags())
        self.cosign_accepts(key, image=image)
        self.refused(EXIT_NETWORK, run=self.run_sign("--key", key.private, image=f"docker://{self.name}@sha256:{0:064}"))

    def test_beside_those_of_cosign(self):
        """Whoever comes later leaves what is there; all keep verifying."""
        theirs, ours, other = self.world.other_cosign, self.world.cosign, self.signing.openssl_key("beside")
        by_digest = f"{self.name}@{self.digest}"
        self.signing.cosign_sign(by_digest, theirs)
        self.sign("--key", ours.private, "--format", "sig")
        self.sign("--key", other.pem, "--format", "sig")
        self.signing.cosign_sign(by_digest, theirs, "-a", "twice=yes")
        layers = self.read(self.tag() + ".sig")["layers"]
        self.assertEqual(len(layers), 4)
        for key in theirs, ours, other:
            self.cosign_accepts(key)
            self.allowed(self.image, self.policy(sigstore_signed(key, REPOSITORY)))

    def test_it_is_what_cosign_writes(self):
        self.signing.cosign_sign(f"{self.name}@{self.digest}", self.world.other_cosign)
        theirs = self.read(self.tag() + ".sig")
        digest = self.world.image(self.host, self.repository, "2")
        self.sign("--key", self.world.cosign.private, "--format", "sig", image=f"docker://{self.name}:2")
        ours = self.read(self.tag(digest) + ".sig")
        for theirs_part, ours_part in ((theirs["config"], ours["config"]),
                                       (theirs["layers"][0], ours["layers"][0])):
            a, b = (json.loads(self.blob(part)) for part in (theirs_part, ours_part))
            text = json.dumps(b).replace(digest, self.digest).replace(ours["layers"][0]["digest"],
                                                                      theirs["layers"][0]["digest"])
            self.assertEqual(json.loads(text), a)
        for text in theirs, ours:
            for part in text["config"], *text["layers"]:
                del part["digest"]
            text["layers"][0]["annotations"][COSIGN_SIGNATURE] = ""
        self.assertEqual(shape(ours), shape(theirs))

    def test_the_same_signature_is_not_put_twice(self):
        """RSA and Ed25519 sign the same way every time."""
        for name, *options in (("rsa", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"),
                               ("ed25519", "-algorithm", "ed25519")):
            with self.subTest(name):
                self.repository = f"sign/same-{name}"
                self.digest = self.world.image(self.host, self.repository, "1")
                self.name = f"{self.host}/{self.repository}"
                self.image = self.name + ":1"
                key = self.signing.openssl_key(name, *options)
                for _ in range(2):
                    self.sign("--key", key.pem, "--format", "sig")
                self.assertEqual(len(self.read(self.tag() + ".sig")["layers"]), 1)
                self.cosign_accepts(key)
                self.allowed(self.image, self.policy(sigstore_signed(key, REPOSITORY)))

    def test_what_is_under_the_tag_and_no_signature_stays(self):
        self.uploads.push(*self.world.layout(), self.repository, self.tag() + ".sig")
        layers = self.read(self.tag() + ".sig")["layers"]
        self.sign("--key", self.world.cosign.private, "--format", "sig")
        self.assertEqual(self.read(self.tag() + ".sig")["layers"][:-1], layers)
        digest, _, _ = self.world.index(self.host, self.repository, "many")
        before = self.uploads.read(self.repository, "many")
        self.uploads.manifest(self.repository, self.tag() + ".sig", before,
                              "application/vnd.oci.image.index.v1+json")
        self.refused(EXIT_FAILED, self.tag() + ".sig",
                     run=self.run_sign("--key", self.world.cosign.private, "--format", "sig"))
        self.assertEqual(digest_of(self.uploads.read(self.repository, self.tag() + ".sig")), digest)

    def test_an_index_and_its_images(self):
        index, ours, other = self.world.index(self.host, self.repository, "many")
        many, key = self.name + ":many", self.world.cosign
        rows = self.sign("--key", key.private, "--format", "sig", image="docker://" + many)
        self.assertEqual([row[0] for row in rows], [index])
        self.cosign_accepts(key, image=many)
        self.allowed(many, self.policy(sigstore_signed(key, REPOSITORY)))
        self.cosign_refuses(key, image=f"{self.name}@{ours}")
        rows = self.sign("--key", key.private, "--recursive", image="docker://" + many)
        self.assertEqual([row[:2] for row in rows],
                         [(d, kind) for d in (ours, other, index) for kind in ("cosign", "bundle")])
        for digest in ours, other, index:
            self.cosign_accepts(key, image=f"{self.name}@{digest}")
        rows = self.sign("--key", key.private, "--override-arch", "riscv64", image="docker://" + many)
        self.assertEqual({row[0] for row in rows}, {other})

    def test_attestations_of_an_index_are_not_signed(self):
        folder, image = self.world.layout()
        note = make_image.add_manifest(folder, [make_image.layer({"note": "an attestation"})])
        index = make_image.add_index(folder, [(image, {"os": "linux", "architecture": "amd64"}),
                                              (note, {"os": "unknown", "architecture": "unknown"})])
        self.uploads.push(folder, index, self.repository, "noted")
        rows = self.sign("--key", self.world.cosign.private, "--format", "sig", "--recursive",
                         image=f"docker://{self.name}:noted")
        self.assertEqual([row[0] for row in rows], [image["digest"], index["digest"]])


@unittest.skipIf(go_tools.why_not(), go_tools.why_not() or "")
class Bundles(SignCase):
    """In a registry without the referrers API, where a tag lists them."""

    def cosign_sign(self, key):
        self.signing.cosign_bundle(f"{self.name}@{self.digest}", key, self.world.cosign3)

    def test_cosign_and_sluice_accept_it(self):
        key, other = self.world.cosign, self.world.other_cosign
        (digest, kind, where), = self.sign("--key", key.private, "--format", "bundle")
        self.assertEqual((digest, kind), (self.digest, "bundle"))
        self.assertRegex(where, r"^referrer sha256:[0-9a-f]{64}$")
        self.assertNotIn(self.tag() + ".sig", self.tags())
        self.cosign_accepts(key, program=self.world.cosign3)
        self.cosign_refuses(other, program=self.world.cosign3)
        self.allowed(self.image, self.policy(bundle_signed(key)))
        self.denied(self.image, self.policy(bundle_signed(other)))

    def test_by_default_everybody_is_served(self):
        key = self.world.cosign
        rows = self.sign("--key", key.private)
        self.assertEqual([row[1] for row in rows], ["cosign", "bundle"])
        self.cosign_accepts(key)
        self.cosign_accepts(key, program=self.world.cosign3)
        self.cosign_accepts(key, "--new-bundle-format=false", program=self.world.cosign3)

    def test_keys_of_every_kind(self):
        for name, *options in (("P-384", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"),
                               ("P-521", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-521"),
                               ("RSA", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:3072"),
                               ("Ed25519", "-algorithm", "ed25519")):
            with self.subTest(name):
                self.repository = f"sign/kind-{name.lower()}"
                self.digest = self.world.image(self.host, self.repository, "1")
                self.name = f"{self.host}/{self.repository}"
                self.image = self.name + ":1"
                key = self.signing.openssl_key("bundle-" + name, *options)
                self.sign("--key", key.pem)
                self.cosign_accepts(key, program=self.world.cosign3)
                self.allowed(self.image, self.policy(bundle_signed(key)))
                self.allowed(self.image, self.policy(sigstore_signed(key, REPOSITORY)))

    def test_openssl_verifies_what_is_under_the_signature(self):
        """DSSE's encoding by hand."""
        key = self.signing.openssl_key("dsse")
        (_, _, where), = self.sign("--key", key.pem, "--format", "bundle")
        _, bundle = self.bundle(where.removeprefix("referrer "))
        envelope = bundle["dsseEnvelope"]
        kind, payload = envelope["payloadType"], base64.b64decode(envelope["payload"])
        pae = b"DSSEv1 %d %s %d " % (len(kind), kind.encode(), len(payload)) + payload
        data = self.signing.write("pae", pae)
        signature = self.signing.write("pae.sig", base64.b64decode(envelope["signatures"][0]["sig"]))
        subprocess.run(["openssl", "dgst", "-sha256", "-verify", key.public, "-signature", signature, data],
                       check=True, stdout=subprocess.PIPE)
        der = subprocess.run(["openssl", "pkey", "-pubin", "-in", key.public, "-outform", "DER"], check=True,
                             stdout=subprocess.PIPE).stdout
        hint = bundle["verificationMaterial"]["publicKey"]["hint"]
        self.assertEqual(base64.b64decode(hint).hex(), digest_of(der).removeprefix("sha256:"))

    def test_it_is_what_cosign_writes(self):
        """Member by member, down to the statement."""
        self.cosign_sign(self.world.cosign)
        (_, _, where), = self.sign("--key", self.world.cosign.private, "--format", "bundle")
        entries = sorted(self.read(self.tag())["manifests"], key=lambda entry: entry["digest"] in where)
        (their_manifest, theirs), (our_manifest, ours) = (self.bundle(entry["digest"]) for entry in entries)
        for text in their_manifest, our_manifest:
            del text["layers"][0]["digest"]
            text["annotations"]["org.opencontainers.image.created"] = ""
        self.assertEqual(shape(our_manifest), shape(their_manifest))
        self.assertEqual(json.loads(base64.b64decode(ours["dsseEnvelope"].pop("payload"))),
                         json.loads(base64.b64decode(theirs["dsseEnvelope"].pop("payload"))))
        for text in ours, theirs:
            text["dsseEnvelope"]["signatures"][0]["sig"] = ""
        self.assertEqual(ours, theirs)
        for entry in entries:
            del entry["digest"]
            entry.pop("annotations", None)  # of the manifest; cosign leaves them out
        self.assertEqual(shape(entries[1]), shape(entries[0]))

    def test_beside_those_of_cosign(self):
        theirs, ours = self.world.other_cosign, self.world.cosign
        self.cosign_sign(theirs)
        self.sign("--key", ours.private)
        self.cosign_sign(theirs)
        self.assertEqual(len(self.read(self.tag())["manifests"]), 3)
        for key in theirs, ours:
            self.cosign_accepts(key, program=self.world.cosign3)
            self.allowed(self.image, self.policy(bundle_signed(key)))


class Referrers(Bundles):
    """In a registry that has the referrers API."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.host = cls.world.referrers.host
        cls.uploads = Uploads(cls.host)

    def read(self, reference):
        """The list is the registry's own."""
        if reference == self.tag():
            return json.loads(self.uploads.request("GET", f"/v2/{self.repository}/referrers/{self.digest}")[1])
        return super().read(reference)


class Keys(SignCase):
    """Which keys and passphrases are taken, and what a failure leaves: nothing."""

    def refused_and_nothing_left(self, code, *texts, run):
        said = self.refused(code, *texts, run=run)
        self.assertNotIn(PASSWORD, said)
        self.assertEqual(run.stdout, "")
        self.assertEqual(self.tags(), ["1"])
        return said

    def test_passphrases(self):
        key = self.world.cosign.private
        for password in None, "", "wrong":
            self.refused_and_nothing_left(EXIT_NETWORK, "passphrase",
                                          run=self.run_sign("--key", key, password=password))
        wrong = self.signing.write("wrong", "wrong\n")
        self.refused_and_nothing_left(EXIT_NETWORK, "wrong passphrase",
                                      run=self.run_sign("--key", key, "--passphrase-file", wrong))
        two = self.signing.write("two", PASSWORD + "\n" + PASSWORD + "\n")
        self.refused_and_nothing_left(5, "one line", run=self.run_sign("--key", key, "--passphrase-file", two))
        missing = self.path("missing")
        for options in ("--key", missing), ("--key", key, "--passphrase-file", missing):
            run = self.run_sign(*options)
            self.assertEqual(self.refused_and_nothing_left(EXIT_FAILED, missing, run=run).count(missing), 1)
        for end in "", "\n", "\r\n":
            right = self.signing.write("right", PASSWORD + end)
            self.sign("--key", key, "--passphrase-file", right, password=None)
        self.cosign_accepts(self.world.cosign)

    def test_an_encrypted_key_of_openssl(self):
        pem, public = self.signing.path("sealed.pem"), self.signing.path("sealed.pub")
        subprocess.run(["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-aes256",
                        "-pass", "pass:" + PASSWORD, "-out", pem], check=True, stderr=subprocess.PIPE)
        subprocess.run(["openssl", "pkey", "-in", pem, "-passin", "pass:" + PASSWORD, "-pubout", "-out", public],
                       check=True)
        self.refused_and_nothing_left(EXIT_NETWORK, "needs a passphrase",
                                      run=self.run_sign("--key", pem, password=None))
        self.sign("--key", pem)
        self.cosign_accepts(public)

    def test_a_gpg_key_with_a_passphrase(self):
        self.signing.run("gpg", "--batch", "--pinentry-mode", "loopback", "--passphrase", PASSWORD,
                         "--quick-gen-key", "sealed <sealed@example.com>", "rsa2048", "sign", "0")
        public = self.signing.path("sealed.gpg")
        self.signing.gpg("--armor", "--output", public, "--export", "sealed@example.com")
        args = ("--gpg-key", "sealed@example.com", "--pgp-home", self.signing.gnupg, "--registries.d",
                self.signing.registries_d())
        self.refused_and_nothing_left(EXIT_NETWORK, "needs a passphrase", run=self.run_sign(*args))
        self.sign(*args, "--passphrase-file", self.signing.passphrase)
        self.allowed(self.image, self.policy(signed_by(public)))

    def test_what_is_no_private_key(self):
        for data, code in ("", 5), ("no key", 5), ("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
                                                  EXIT_FAILED):
            self.refused_and_nothing_left(code, "signing key", run=self.run_sign(
                "--key", self.signing.write("bad.key", data)))
        self.refused_and_nothing_left(EXIT_FAILED, "none.key", run=self.run_sign("--key", "/none.key"))

    def test_wrong_command_lines(self):
        key, gpg = ("--key", self.world.cosign.private), ("--gpg-key", "x")
        for args, text in (((), "--gpg-key"), ((*key, *gpg), "--gpg-key"),
                           ((*gpg, "--format", "sig"), "--format"), ((*key, "--format", "x"), "sig nor bundle"),
                           ((*key, "--pgp-home", "/"), "--pgp-home"),
                           ((*key, "--format", "bundle", "--sign-identity", "x"), "--sign-identity"),
                           ((*key, "--recursive", "--override-os", "linux"), "--recursive")):
            with self.subTest(args):
                self.refused_and_nothing_left(EXIT_USAGE, text, run=self.run_sign(*args))
        self.refused_and_nothing_left(EXIT_USAGE, "--sign-identity", run=self.run_sign(*key, "--sign-identity", "A B"))


class Faults(SignCase):
    """A registry that refuses one of the requests."""

    def serve(self, *faults):
        layout, descriptor = self.world.layout()
        make_image.add_tag(layout, descriptor, "1")
        self.digest, self.log = descriptor["digest"], self.path("log")
        server = subprocess.Popen(  # pylint: disable=consider-using-with
            [sys.executable, os.path.join(ROOT, "tests", "support", "faulty_registry.py"), "--layout", layout,
             "--plan", json.dumps({"faults": faults}), "--log", self.log],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for cleanup in server.wait, server.stdout.close, server.stdin.close:
            self.addCleanup(cleanup)
        return f"docker://127.0.0.1:{server.stdout.readline().split()[0]}/some/image:1"

    def puts(self):
        with open(self.log, encoding="utf-8") as f:
            return [r["path"].split("/")[-1] for r in map(json.loads, f)
                    if r["method"] == "PUT" and "/manifests/" in r["path"] and r["status"] < 300]

    def run_key(self, image, *args):
        return self.run_sign("--retry=1", "--key", self.world.cosign.private, *args, image=image)

    def test_no_blob_no_manifest(self):
        image = self.serve({"on": "POST .*/blobs/uploads", "status": 500})
        run = self.run_key(image)
        self.refused(EXIT_NETWORK, run=run)
        self.assertEqual((run.stdout, self.puts()), ("", []))

    def test_a_list_that_cannot_be_read_is_not_replaced(self):
        """Whoever cannot see what is under the tag must not overwrite it."""
        for status in 401, 403, 500:
            image = self.serve({"on": r"(GET|HEAD) .*/manifests/sha256-\w+\.sig", "status": status})
            run = self.run_key(image, "--format", "sig")
            self.refused(EXIT_NETWORK, ".sig", run=run)
            self.assertEqual((run.stdout, self.puts()), ("", []))
            os.remove(self.log)

    def test_what_another_overwrites_is_put_again(self):
        """Two who sign at the same time: both have read what was there before."""
        lost = {"on": r"PUT .*/manifests/sha256-\w+\.sig", "status": 201, "body": ""}
        image = self.serve(dict(lost, times=2))
        self.good(self.run_key(image, "--format", "sig"))
        self.assertEqual(self.puts(), [self.tag() + ".sig"] * 3)
        os.remove(self.log)
        run = self.run_key(self.serve(lost), "--format", "sig")
        self.refused(EXIT_NETWORK, "at the same time", run=run)
        self.assertEqual((run.stdout, self.puts()), ("", [self.tag() + ".sig"] * 3))

    def test_what_is_in_place_is_told(self):
        image = self.serve({"on": "PUT .*/manifests/sha256:", "status": 403})
        run = self.run_key(image)
        self.refused(EXIT_NETWORK, run=run)
        tag = self.tag() + ".sig"
        self.assertEqual((run.stdout, self.puts()), (f"{self.digest} cosign {tag}\n", [tag]))

    def test_an_image_with_other_bytes_is_not_signed(self):
        image = self.serve({"on": "GET .*/manifests/sha256:", "flip": 20})
        run = self.run_key(image.removesuffix(":1") + "@sha256:" + "0" * 64)
        self.assertNotEqual(run.returncode, 0)
        run = self.run_key(image.removesuffix(":1") + "@" + self.digest)
        self.refused(EXIT_INTEGRITY, run=run)
        self.assertEqual(self.puts(), [])


class Layouts(SignCase):
    def setUp(self):
        super().setUp()
        self.layout, descriptor = self.world.layout()
        self.image = make_image.add_tag(self.layout, descriptor, "1")
        self.descriptor = descriptor

    def test_both_forms(self):
        key, name = self.world.cosign, "example.com/app:1"
        rows = self.sign("--key", key.private, "--sign-identity", name, image=self.image)
        self.assertEqual([row[:2] for row in rows], [(self.descriptor["digest"], kind)
                                                     for kind in ("cosign", "bundle")])
        for who, judges in (key, self.allowed), (self.world.other_cosign, self.denied):
            judges(self.image, policy(sigstore_signed(who, {"type": "exactReference", "dockerReference": name})))
            judges(self.image, policy(bundle_signed(who)))
        tag = self.tag(self.descriptor["digest"]) + ".sig"
        said = self.world.peers.good("skopeo", "inspect", "--raw", f"oci:{self.layout}:{tag}")
        self.assertEqual(json.loads(said)["layers"][0]["mediaType"],
                         "application/vnd.dev.cosign.simplesigning.v1+json")

    def test_by_digest(self):
        image = f"oci:{self.layout}@{self.descriptor['digest']}"
        self.sign("--key", self.world.cosign.private, "--format", "bundle", image=image)
        self.allowed(self.image, policy(bundle_signed(self.world.cosign)))

    def test_a_name_is_wanted(self):
        before = sorted(os.listdir(os.path.join(self.layout, "blobs/sha256")))
        self.refused(EXIT_FAILED, "--sign-identity", "--format bundle",
                     run=self.run_sign("--key", self.world.cosign.private, image=self.image))
        self.assertEqual(sorted(os.listdir(os.path.join(self.layout, "blobs/sha256"))), before)


if __name__ == "__main__":
    signature_case.main()
