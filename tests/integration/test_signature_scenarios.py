# SPDX-License-Identifier: Apache-2.0
"""Whose image may be pulled: the acceptance scenarios, from outside.

Four scenarios (unsigned from an unprotected place; unsigned, signed, and signed by another from a
protected one) for every kind of signature, plain and encrypted images, and two registries. Then what
image-rs's and Kata's acceptance tests do, under the names their images have: registries.conf
leads these names to a registry here."""
import base64
import itertools
import json
import os
import shutil
import unittest

import signature_case
from signature_case import DENIED, SignatureCase, World, tear_down
from sluice_case import EXIT_NETWORK, EXIT_POLICY

import go_tools
import make_image
import registry
from counting_proxy import CountingProxy
from signing import (ACCEPT, COSIGN, COSIGN_SIGNATURE, REJECT, REPOSITORY, SIMPLE, bundle_of, bundle_signed,
                     digest_of, payload, policy, signed_by, sigstore_signed)

EXACT, DEFAULT = {"type": "matchExact"}, {"type": "matchRepoDigestOrExact"}


def tearDownModule():  # pylint: disable=invalid-name
    tear_down()


# ---- four scenarios: kinds of signatures x encryption x registries ----

class Scenarios:
    """One cell of the matrix; what a subclass says: KIND, ENCRYPTED, REFERRERS."""
    KIND, ENCRYPTED, REFERRERS = None, False, False

    @classmethod
    def setUpClass(cls):
        if (cls.REFERRERS or cls.KIND == "bundle") and go_tools.why_not():
            raise unittest.SkipTest(go_tools.why_not())
        super().setUpClass()
        cls.registry = cls.world.referrers if cls.REFERRERS else cls.world.docker
        cls.host = cls.registry.host
        cls.space = f"{cls.KIND}-{'encrypted' if cls.ENCRYPTED else 'plain'}"
        cls.place = f"{cls.host}/{cls.space}"
        cls.options = ()
        if cls.ENCRYPTED:
            key, cls.public = (cls.signing.path(cls.__name__ + name) for name in (".pem", ".key"))
            registry.run("openssl", "genrsa", "-out", key, "2048")
            registry.run("openssl", "rsa", "-in", key, "-pubout", "-out", cls.public)
            cls.options = ("--decryption-key", key)
        cls.policy = policy(ACCEPT, {cls.place: cls.requirement()})
        cls.push("open/busybox:latest")
        cls.push("team/image:unsigned")
        cls.push("team/image:signed", cls.world.gpg, cls.world.cosign)
        cls.push("team/image:other_signed", cls.world.other_gpg, cls.world.other_cosign)

    @classmethod
    def push(cls, name, gpg=None, cosign=None):
        where = cls.place if not name.startswith("open/") else cls.host
        world, options = cls.world, ()
        folder, descriptor = world.layout(f"{cls.place}/{name}")
        source = make_image.add_tag(folder, descriptor, "latest")
        if cls.ENCRYPTED:
            options = ("--encryption-key", "jwe:" + cls.public)
        simple = gpg if cls.KIND == "simple" else None
        digest = world.signing.skopeo_push(source, f"{where}/{name}", simple, None, *options)
        signed = f"{where}/{name.split(':')[0]}@{digest}"
        if cosign and cls.KIND == "cosign":
            world.signing.cosign_sign(signed, cosign)
        elif cosign and cls.KIND == "bundle":
            world.signing.cosign_bundle(signed, cosign, world.cosign3)

    @classmethod
    def requirement(cls):
        return {"simple": lambda: signed_by(cls.world.gpg),
                "cosign": lambda: sigstore_signed(cls.world.cosign, REPOSITORY),
                "bundle": lambda: bundle_signed(cls.world.cosign)}[cls.KIND]()

    def peer_judges(self, name):
        """The same question to those who have another's code."""
        if self.KIND == "bundle":
            reference = f"{self.place}/{name}"
            done = self.world.peers.run(*self.world.cosign3, "verify", "--key", self.world.cosign.public,
                                        "--insecure-ignore-tlog", "--allow-http-registry", reference,
                                        env=self.signing.env)
            return "deny" if done.returncode else "allow"
        return self.signing.skopeo_judges(self.signing.policy(self.policy), f"{self.place}/{name}")[0]

    def test_unsigned_from_an_unprotected_place_is_pulled(self):
        """Unsigned, and nobody asks for a signature"""
        name = f"{self.host}/open/busybox:latest"
        self.pulls(name, self.policy, *self.options, marker=f"{self.place}/open/busybox:latest")
        self.allowed(name, self.policy)

    def test_unsigned_from_a_protected_place_is_refused(self):
        """Unsigned, and a signature is required"""
        name = f"{self.place}/team/image:unsigned"
        self.assertEqual(self.peer_judges("team/image:unsigned"), "deny")
        self.refuses(name, self.policy, *self.options, says=(self.requirement()["type"], "E_NOSIG"))
        self.denied(name, self.policy, code="E_NOSIG")

    def test_signed_is_pulled(self):
        """Signed by the right key"""
        name = f"{self.place}/team/image:signed"
        self.assertEqual(self.peer_judges("team/image:signed"), "allow")
        self.pulls(name, self.policy, *self.options, marker=f"{self.place}/team/image:signed")
        requirement, = self.allowed(name, self.policy)["requirements"]
        self.assertIs(requirement["satisfied"], True)
        self.assertIn("manifest", [s["binding"] for s in requirement["signatures"] if s["accepted"]])

    def test_signed_by_another_is_refused(self):
        """Signed by a key nobody trusts"""
        name = f"{self.place}/team/image:other_signed"
        self.assertEqual(self.peer_judges("team/image:other_signed"), "deny")
        self.refuses(name, self.policy, *self.options, says=(self.requirement()["type"], "E_SIG_"))
        self.denied(name, self.policy)


for kind_, encrypted_, referrers_ in itertools.product(("simple", "cosign", "bundle"), (False, True),
                                                       (False, True)):
    name_ = "Scenarios_{}_{}_{}".format(kind_, "encrypted" if encrypted_ else "plain",
                                        "referrers" if referrers_ else "docker_registry")
    globals()[name_] = type(name_, (Scenarios, SignatureCase),
                            {"KIND": kind_, "ENCRYPTED": encrypted_, "REFERRERS": referrers_})


# ---- images of several platforms ----

class Index(SignatureCase):
    """Signed at the index or at the platform's manifest."""

    def names(self, *, at, key=None):
        """A signed index; its name and the policy for simple signatures and cosign's."""
        repository = f"index/{self.id().rpartition('.')[2]}"
        index, mine, other = self.world.index(self.host, repository, "1")
        digest = {"index": index, "mine": mine, "other": other}[at]
        name = f"{self.host}/{repository}:1"
        self.signing.lay(repository, digest, self.world.simple(name, digest, key))
        self.uploads.attach(repository, digest, [self.world.cosigned(name, digest)])
        return name, (policy(REJECT, {self.host: signed_by(self.world.gpg)}),
                      policy(REJECT, {self.host: sigstore_signed(self.world.crafted)}))

    def binding(self, report):
        return [s["binding"] for r in report["requirements"] for s in r["signatures"] if s["accepted"]]

    def test_signed_at_the_platform(self):
        """M: a signature of the platform's manifest is enough"""
        name, policies = self.names(at="mine")
        for text in policies:
            self.assertEqual(self.binding(self.allowed(name, text)), ["manifest"])
            self.assertEqual(self.signing.skopeo_judges(self.signing.policy(text), name)[0], "allow")

    def test_signed_at_the_index_only(self):
        """An index-only signature is enough, and the evidence says "index" """
        name, policies = self.names(at="index")
        for text in policies:
            self.assertEqual(self.binding(self.allowed(name, text)), ["index"])
        self.pulls(name, policies[0])

    def test_signed_at_another_platform(self):
        """M: another platform's signature says nothing about ours"""
        name, policies = self.names(at="other")
        for text in policies:
            self.denied(name, text, code="E_NOSIG")
        self.refuses(name, policies[0])

    def test_an_index_that_the_name_did_not_lead_to(self):
        """M: the same platform's manifest in another signed index is not signed by that"""
        name, policies = self.names(at="index")
        repository = name[len(self.host) + 1:-2]
        child = json.loads(self.uploads.read(repository, "1"))["manifests"][0]["digest"]
        for text in policies:
            self.denied(f"{self.host}/{repository}@{child}", text, code="E_NOSIG")

    def test_cosign_signs_recursively(self):
        """M: cosign sign --recursive: index and platforms, by cosign itself"""
        index, _, _ = self.world.index(self.host, "index/recursive", "1")
        name = f"{self.host}/index/recursive"
        self.signing.cosign_sign(f"{name}@{index}", self.world.cosign, "--recursive")
        text = policy(REJECT, {name: sigstore_signed(self.world.cosign, REPOSITORY)})
        self.assertIn("manifest", self.binding(self.allowed(f"{name}:1", text)))


# ---- image-rs's and Kata's images, under their names ----

QUAY = "quay.io/kata-containers/confidential-containers"
GHCR = "ghcr.io/confidential-containers/test-container-image-rs"
ICR = "uk.icr.io/kata-containers/busybox"
BUSYBOX = "quay.io/prometheus/busybox:latest"


class Named(SignatureCase):
    """names lead to a registry here; whatever is made lies there under its own path."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        if not hasattr(World, "named"):
            World.named = cls.make_images()
        cls.conf = os.path.join(cls.shared, "registries.conf")
        with open(cls.conf, "w", encoding="utf-8") as f:
            for name in "quay.io", "ghcr.io", "uk.icr.io":
                f.write(f'[[registry]]\nprefix = "{name}"\nlocation = "{cls.host}"\ninsecure = true\n')
        resources = {"default/gpg-public-key/test": cls.world.gpg.public,
                     "default/cosign-public-key/test": cls.world.cosign.public}
        cls.kbs = {"default/security-policy/test": cls.policy_of_image_rs(),
                   "default/sigstore-config/test": json.dumps(
                       {"default-docker": {"sigstore": "file://" + cls.signing.lookaside}})}
        for name, path in resources.items():
            with open(path, encoding="ascii") as f:
                cls.kbs[name] = f.read()
        table = {k: base64.b64encode(v.encode()).decode() for k, v in cls.kbs.items()}
        cls.resources = os.path.join(cls.shared, "resources.json")
        with open(cls.resources, "w", encoding="utf-8") as f:
            json.dump(table, f)

    @classmethod
    def make_images(cls):
        world = cls.world
        world.image(cls.host, "prometheus/busybox", "latest")
        for name, keys in ((QUAY, (world.gpg, world.other_gpg)), (ICR, (world.gpg, world.other_gpg))):
            repository = name.split("/", 1)[1]
            world.image(cls.host, repository, "unsigned", "unsigned-1.35")
            for key, tag in zip(keys, ("signed", "other_signed")):
                digest = world.image(cls.host, repository, tag, "signed-latest" if tag == "signed" else tag)
                manifest = cls.uploads.read(repository, tag)
                if name == QUAY:
                    cls.signing.lay(repository, digest,
                                    cls.signing.standalone_sign(manifest, f"{name}:{tag}", key))
        repository = GHCR.split("/", 1)[1]
        world.image(cls.host, repository, "unsigned")
        for key, tag in (world.cosign, "cosign-signed"), (world.other_cosign, "cosign-signed-key2"):
            digest = world.image(cls.host, repository, tag)
            cls.signing.cosign_sign(f"{cls.host}/{repository}@{digest}", key,
                                    "--sign-container-identity", GHCR)
        return True

    @classmethod
    def policy_of_image_rs(cls):
        gpg = signed_by("kbs:///default/gpg-public-key/test")
        cosign = sigstore_signed("kbs:///default/cosign-public-key/test")
        return json.dumps(policy(ACCEPT, {QUAY: gpg, **{f"{GHCR}:{tag}": cosign for tag in (
            "unsigned", "cosign-signed", "cosign-signed-key2")}}))

    def judge(self, reference, policy_, *options, **kwargs):
        return super().judge(reference, policy_, "--registries-conf", self.conf, *options, **kwargs)


class ImageRs(Named):
    """Policy, registries.d and keys are resources of a key broker."""

    def by_broker(self, name, allowed, *says):
        options = ("--kbc", "offline_fs_kbc::null", "--offline-resources", self.resources,
                   "--policy-compat", "image-rs")
        args = ("kbs:///default/security-policy/test", *options)
        kwargs = {"registries_d": "kbs:///default/sigstore-config/test"}
        if allowed:
            self.pulls(name, *args, **kwargs)
        else:
            self.refuses(name, *args, says=says, **kwargs)

    def test_unprotected(self):
        """Busybox, unsigned, unprotected"""
        self.by_broker(BUSYBOX, True)

    def test_unsigned_simple(self):
        """Protected and unsigned, simple signing"""
        self.by_broker(f"{QUAY}:unsigned", False, "signedBy", "E_NOSIG")

    def test_signed_simple(self):
        """Signed, simple signing"""
        self.by_broker(f"{QUAY}:signed", True)

    def test_other_signed_simple(self):
        """Signed by a key that is not in the policy, simple signing"""
        self.by_broker(f"{QUAY}:other_signed", False, "signedBy", "E_SIG_")

    def test_unsigned_cosign(self):
        """Protected and unsigned, cosign"""
        self.by_broker(f"{GHCR}:unsigned", False, "sigstoreSigned", "E_NOSIG")

    def test_signed_cosign(self):
        """Signed, cosign"""
        self.by_broker(f"{GHCR}:cosign-signed", True)

    def test_signed_by_key2_cosign(self):
        """Signed by another key, cosign"""
        self.by_broker(f"{GHCR}:cosign-signed-key2", False, "sigstoreSigned", "E_SIG_CRYPTO")

    def test_identity_of_another_repository(self):
        """exactRepository names another repository"""
        other = {"type": "exactRepository", "dockerRepository": "registry-1.docker.io/xynnn007/cosign-err"}
        self.denied(f"{GHCR}:cosign-signed", policy(REJECT, {GHCR: sigstore_signed(self.world.cosign, other)}),
                    code="E_SIG_IDENTITY")

    def test_another_key(self):
        """Another key"""
        key = sigstore_signed(self.world.other_cosign, REPOSITORY)
        self.denied(f"{GHCR}:cosign-signed", policy(REJECT, {GHCR: key}), code="E_SIG_CRYPTO")

    def test_match_exact(self):
        """matchExact cannot accept what cosign signs: a repository without a tag"""
        self.denied(f"{GHCR}:cosign-signed", policy(REJECT, {GHCR: sigstore_signed(self.world.cosign, EXACT)}),
                    code="E_SIG_IDENTITY")

    def test_no_identity(self):
        """No signedIdentity: a digest is enough in image-rs's dialect, not otherwise"""
        text = policy(REJECT, {GHCR: sigstore_signed(self.world.cosign)})
        digest = digest_of(self.uploads.read(GHCR.split("/", 1)[1], "cosign-signed"))
        self.allowed(f"{GHCR}@{digest}", text, "--policy-compat", "image-rs")
        self.denied(f"{GHCR}@{digest}", text, code="E_SIG_IDENTITY")

    def test_identity_types_of_cosign(self):
        """Which identities can accept what cosign signs"""
        for identity, good in (
                (REPOSITORY, True), ({"type": "exactRepository", "dockerRepository": GHCR}, True),
                (EXACT, False), (DEFAULT, False),
                ({"type": "exactReference", "dockerReference": f"{GHCR}:cosign-signed"}, False),
                ({"type": "remapIdentity", "prefix": "ghcr.io", "signedPrefix": "ghcr.io"}, False)):
            with self.subTest(identity=identity["type"]):
                text = policy(REJECT, {GHCR: sigstore_signed(self.world.cosign, identity)})
                if good:
                    self.allowed(f"{GHCR}:cosign-signed", text)
                else:
                    self.denied(f"{GHCR}:cosign-signed", text, code="E_SIG_IDENTITY")

    def test_key_kinds(self):
        """ECDSA and RSA keys; and a signature whose base64 was wrapped into lines"""
        for name, options in (("p256", ()), ("rsa2048", ("-algorithm", "RSA")),
                              ("p384", ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"))):
            key = self.signing.openssl_key(f"kind-{name}", *options)
            digest = self.world.image(self.host, f"kinds/{name}", "1")
            data, annotations = self.world.cosigned(f"{self.host}/kinds/{name}:1", digest, key)
            self.uploads.attach(f"kinds/{name}", digest, [(data, annotations)])
            text = policy(REJECT, {self.host: sigstore_signed(key)})
            self.allowed(f"{self.host}/kinds/{name}:1", text)
            wrapped = annotations[COSIGN_SIGNATURE]
            wrapped = wrapped[:60] + "\n" + wrapped[60:] + "\n"
            self.uploads.attach(f"kinds/{name}", digest, [(data, {COSIGN_SIGNATURE: wrapped})])
            self.allowed(f"{self.host}/kinds/{name}:1", text, "--policy-compat", "image-rs")
            self.denied(f"{self.host}/kinds/{name}:1", text, code="E_SIG_FORMAT")

    def test_a_key_that_is_too_short(self):
        """RSA below 2048 bits"""
        key = self.signing.openssl_key("kind-rsa1024", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024")
        digest = self.world.image(self.host, "kinds/rsa1024", "1")
        name = f"{self.host}/kinds/rsa1024:1"
        self.uploads.attach("kinds/rsa1024", digest, [self.world.cosigned(name, digest, key)])
        self.denied(name, policy(REJECT, {self.host: sigstore_signed(key)}))


class Extension(Named):
    """A registry that offers signatures itself (X-Registry-Supports-Signatures): a proxy adds that."""

    def setUp(self):
        super().setUp()
        self.registries_d = self.signing.registries_d("empty.d", section={"lookaside": "file:///nonexistent"})
        self.policy = policy(REJECT, {ICR: signed_by(self.world.gpg), QUAY: signed_by(self.world.gpg)})

    def serve(self, upstream, entries):
        """entries: what lies at /extensions/v2/…/signatures/DIGEST, by digest."""
        proxy = self.enterContext(CountingProxy(upstream))
        proxy.replace("/v2/", headers={"X-Registry-Supports-Signatures": "1"})
        for path, body in entries.items():
            proxy.replace(path, 200, json.dumps({"signatures": body}).encode())
        self.conf = self.write("registries.conf", '[[registry]]\nprefix = "uk.icr.io"\n'
                               f'location = "{proxy.host}"\ninsecure = true\n')
        return proxy

    def entry(self, digest, message, **other):
        return {"schemaVersion": 2, "type": "atomic", "name": f"{digest}@x1",
                "content": base64.b64encode(message).decode(), **other}

    def signed(self, **other):
        repository = ICR.split("/", 1)[1]
        digest = digest_of(self.uploads.read(repository, "signed-latest"))
        message = self.world.simple(f"{ICR}:signed-latest", digest)
        return {f"/extensions/v2/{repository}/signatures/{digest}": [self.entry(digest, message, **other)]}

    def test_no_extension(self):
        """No lookaside and no extension"""
        self.denied(f"{QUAY}:signed", self.policy, code="E_NOSIG", registries_d=self.registries_d)

    def test_signed(self):
        """Signed, and the registry has the signature"""
        proxy = self.serve(self.host, self.signed())
        self.allowed(f"{ICR}:signed-latest", self.policy, registries_d=self.registries_d)
        self.pulls(f"{ICR}:signed-latest", self.policy, registries_d=self.registries_d)
        self.assertTrue(proxy.gets("/extensions/"))

    def test_signed_with_credentials(self):
        """The same where the registry wants a password"""
        with registry.Registry(htpasswd=("iamapikey", "secret")) as locked:
            repository = ICR.split("/", 1)[1]
            folder, descriptor = self.world.layout()
            locked.push(make_image.add_tag(folder, descriptor, "latest"), f"{repository}:signed-latest")
            digest = descriptor["digest"]
            message = self.world.simple(f"{ICR}:signed-latest", digest)
            proxy = self.enterContext(CountingProxy(locked.host))
            good = "Basic " + base64.b64encode(b"iamapikey:secret").decode()
            answer = json.dumps({"signatures": [self.entry(digest, message)]}).encode()

            def guarded(_, headers):
                return (200, answer) if headers.get("Authorization") == good else (401, b"{}")
            proxy.replace("/v2/", headers={"X-Registry-Supports-Signatures": "1"})
            proxy.replace(f"/extensions/v2/{repository}/signatures/{digest}", 200, guarded)
            self.conf = self.write("registries.conf", '[[registry]]\nprefix = "uk.icr.io"\n'
                                   f'location = "{proxy.host}"\ninsecure = true\n')
            self.allowed(f"{ICR}:signed-latest", self.policy, "--creds", "iamapikey:secret",
                         registries_d=self.registries_d)

    def test_unsigned(self):
        """The extension is there, and has no signature of this image"""
        digest = digest_of(self.uploads.read(ICR.split("/", 1)[1], "unsigned-1.35"))
        self.serve(self.host, {f"/signatures/{digest}": []})
        self.refuses(f"{ICR}:unsigned-1.35", self.policy, registries_d=self.registries_d, says=("E_NOSIG",))

    def test_of_another_kind(self):
        """X: entries of another version or type are no signatures"""
        for other in {"schemaVersion": 1}, {"type": "other"}:
            self.serve(self.host, self.signed(**other))
            self.denied(f"{ICR}:signed-latest", self.policy, code="E_NOSIG", registries_d=self.registries_d)

    def test_broken(self):
        """X: an extension that is offered and fails is an error, not "unsigned" """
        proxy = self.serve(self.host, {})
        digest = digest_of(self.uploads.read(ICR.split("/", 1)[1], "signed-latest"))
        proxy.replace(f"/signatures/{digest}", 500)
        self.denied(f"{ICR}:signed-latest", self.policy, "--retry", "1", exits=EXIT_NETWORK, code="E_FETCH",
                    registries_d=self.registries_d)


class Kata(Named):
    """Kata's guest-pull tests: a policy for GHCR and prometheus, and two defaults."""

    def policy(self, default):
        return policy(default, {GHCR: sigstore_signed(self.world.cosign, REPOSITORY),
                                "quay.io/prometheus": ACCEPT})

    def test_k1(self):
        """Default reject, busybox is let through by its own scope"""
        self.pulls(BUSYBOX, self.policy(REJECT))

    def test_k2(self):
        """Default accept, unsigned"""
        self.refuses(f"{GHCR}:unsigned", self.policy(ACCEPT))

    def test_k3(self):
        """Default reject, signed"""
        self.pulls(f"{GHCR}:cosign-signed", self.policy(REJECT))

    def test_k4(self):
        """Default accept, signed by another key"""
        self.refuses(f"{GHCR}:cosign-signed-key2", self.policy(ACCEPT))

    def test_k5(self):
        """No policy at all: refused, unless the caller says that this is meant"""
        missing = self.path("no-such-policy.json")
        run = self.judge(f"{GHCR}:unsigned", missing, verb="pull")
        self.refused(run.returncode, missing, run=run)
        self.assertNotEqual(run.returncode, 0)
        run = self.sluice("pull", "--tls-verify=false", "--insecure-policy", "--registries-conf", self.conf,
                          f"docker://{GHCR}:unsigned")
        self.good(run)


# ---- image-rs's unit cases, through the program ----

class Units(SignatureCase):
    def setUp(self):
        super().setUp()
        self.repository = "units/" + self.id().rpartition(".")[2]
        self.name = f"{self.host}/{self.repository}"

    def lookaside(self, name, *signatures, repository=None, digest=None):
        """A lookaside and a registries.d of their own; the latter's path."""
        base = self.path(name)
        os.mkdir(base)
        self.signing.lay(repository or self.repository, digest, *signatures, lookaside=base)
        self.signing_d = self.path(name + ".d")
        os.mkdir(self.signing_d)
        self.write(name + ".d/default.yaml", json.dumps({"default-docker": {"lookaside": "file://" + base}}))
        return self.signing_d

    def test_forms(self):
        """Every form of a requirement that image-rs's tests know"""
        digest = self.world.image(self.host, self.repository, "1")
        self.signing.lay(self.repository, digest, self.world.simple(self.name + ":1", digest))
        with open(self.world.gpg.public, "rb") as f:
            data = base64.b64encode(f.read()).decode()
        key = {"type": "signedBy", "keyType": "GPGKeys"}
        path = self.world.gpg.public
        for requirement, good in (
                ({**key, "keyPath": path}, True), ({**key, "keyData": data}, True),
                ({**key, "keyPath": path, "signedIdentity": EXACT}, True),
                ({**key, "keyPath": path, "signedIdentity": {
                    "type": "exactReference", "dockerReference": self.name + ":1"}}, True),
                ({**key, "keyPath": path, "signedIdentity": {
                    "type": "remapIdentity", "prefix": "example.com", "signedPrefix": "example.org"}}, True),
                (ACCEPT, True), (REJECT, False)):
            with self.subTest(requirement=requirement):
                text = policy(REJECT, {self.host: requirement})
                self.assertEqual(self.signing.skopeo_judges(self.signing.policy(text), self.name + ":1")[0],
                                 "allow" if good else "deny")
                (self.allowed if good else self.denied)(self.name + ":1", text)

    def test_scopes(self):
        """A scope is chosen, lists are never merged"""
        self.world.image(self.host, self.repository, "1")
        text = policy(REJECT, {"": REJECT, self.host: REJECT, f"{self.host}/units": REJECT, self.name: REJECT,
                               self.name + ":1": ACCEPT})
        self.assertEqual(self.allowed(self.name + ":1", text)["scope"], self.name + ":1")
        for gone, scope in ((":1", self.name), ("", f"{self.host}/units"), (None, self.host)):
            scopes = text["transports"]["docker"]
            scopes.pop(self.name + gone if gone is not None else f"{self.host}/units")
            self.assertEqual(self.denied(self.name + ":1", text, code="E_REJECT")["scope"], scope)
        text["transports"]["docker"].pop(self.host)
        self.assertEqual(self.denied(self.name + ":1", text)["scope"], "")
        text["transports"]["docker"] = {}
        self.assertIsNone(self.denied(self.name + ":1", text)["scope"])

    def test_identities(self):
        """Which signed names an identity takes"""
        digest = self.world.image(self.host, self.repository, "1", "2")
        tag, at = self.name + ":1", f"{self.name}@{digest}"

        def reference(name):
            return {"type": "exactReference", "dockerReference": name}
        rows = (
            (tag, tag, EXACT, True), (tag, tag, DEFAULT, True), (at, tag, DEFAULT, True),
            (tag, self.name + ":2", REPOSITORY, True), (self.name + ":2", tag, reference(tag), True),
            (tag, self.name + ":2", {"type": "exactRepository", "dockerRepository": self.name}, True),
            (tag, tag.replace(self.host, "example.com"),
             {"type": "remapIdentity", "prefix": self.host, "signedPrefix": "example.com"}, True),
            (tag, self.name + ":2", EXACT, False), (at, tag, EXACT, False),
            (tag, self.name + ":2", DEFAULT, False), (tag, tag, reference(self.name + ":2"), False))
        for number, (image, signed, identity, good) in enumerate(rows):
            with self.subTest(image=image, signed=signed, identity=identity):
                config = self.lookaside(f"b12-{number}", self.world.simple(signed, digest), digest=digest)
                text = policy(REJECT, {self.host: signed_by(self.world.gpg, identity)})
                judged, _ = self.signing.skopeo_judges(self.signing.policy(text), image, config_for_peers(
                    self.signing, f"b12-{number}", self.path(f"b12-{number}")))
                self.assertEqual(judged, "allow" if good else "deny")
                if good:
                    self.allowed(image, text, registries_d=config)
                else:
                    self.denied(image, text, registries_d=config, code="E_SIG_IDENTITY")

    def test_namespaces(self):
        """Whose scope an image is in"""
        conf = self.write("registries.conf", "".join(
            f'[[registry]]\nprefix = "{name}"\nlocation = "{self.host}/units"\ninsecure = true\n'
            for name in ("docker.io", "test:5000", "registry.access.redhat.com")))
        for path in "opensuse/leap", "library/busybox", "busybox":
            digest = self.world.image(self.host, "units/" + path, "latest", "15.3")
        rows = {
            "docker.io/opensuse/leap:15.3": (
                "docker.io/opensuse/leap:15.3", "docker.io/opensuse/leap", "docker.io/opensuse", "docker.io",
                "*.io"),
            "test:5000/library/busybox:latest": (
                "test:5000/library/busybox", "test:5000/library", "test:5000"),
            "registry.access.redhat.com/busybox:latest": (
                "registry.access.redhat.com/busybox", "registry.access.redhat.com", "*.access.redhat.com",
                "*.redhat.com", "*.com"),
            f"registry.access.redhat.com/busybox@{digest}": (
                f"registry.access.redhat.com/busybox@{digest}", "registry.access.redhat.com/busybox")}
        for image, scopes in rows.items():
            for scope in scopes:
                report = self.allowed(image, policy(REJECT, {scope: ACCEPT}), "--registries-conf", conf)
                self.assertEqual(report["scope"], scope)
        for image, scope in (("test:5000/library/busybox:latest", "test"),
                             ("test:5000/library/busybox:latest", "*"),
                             ("registry.access.redhat.com/busybox:latest", "*.registry.access.redhat.com"),
                             ("registry.access.redhat.com/busybox:latest", "redhat.com"),
                             ("docker.io/opensuse/leap:15.3", "docker.io/open"),
                             ("docker.io/opensuse/leap:15.3", "docker.io/opensuse/")):
            self.denied(image, policy(REJECT, {scope: ACCEPT}), "--registries-conf", conf)

    def test_malformed_names(self):
        """Names and digests that are none"""
        zeros = "0" * 64
        for name in ("", ":justtag", "docker.io//library///repo:tag", "docker.io/library/repo::tag",
                     "docker.io/library/repo:tag/", f"repo@@@sha256:{zeros}", "docker.io/library/*:tag",
                     "***/&/repo:tag", f"@sha256:{zeros}", "repo@sha256:" + zeros[:34], f"repo@ff:{zeros}",
                     "Uppercase:tag", "test:5000/Uppercase/lowercase:tag", "a/" * 150 + "a:tag",
                     "aa/asdf$$^/aa", "repo@sha256", "repo@" + zeros, "repo@sha256:", f"repo@:{zeros}",
                     f"repo@sha123:{zeros}", f"repo@sha384:{zeros}", f"repo@sha512:{zeros}",
                     "repo@sha256:g" + zeros[1:], "repo@sha256:" + "A" * 64):
            with self.subTest(name=name):
                run = self.judge(name, policy(ACCEPT), "--retry", "1")
                self.assertNotIn(run.returncode, (0, EXIT_POLICY, EXIT_NETWORK), run.stderr)
                self.assertEqual(run.stderr.count("\n"), 1, run.stderr)

    def test_merging(self):
        """Files of registries.d are one configuration; the same section twice is an error"""
        digest = self.world.image(self.host, self.repository, "1")
        base = self.path("lookaside")
        self.signing.lay(self.repository, digest, self.world.simple(self.name + ":1", digest), lookaside=base)
        good = policy(REJECT, {self.host: signed_by(self.world.gpg)})

        def folder(name, *texts):
            os.mkdir(self.path(name))
            for number, text in enumerate(texts):
                self.write(f"{name}/{number}.yaml", json.dumps(text))
            return self.path(name)
        here = {"docker": {self.host: {"lookaside": "file://" + base}}}
        other = {"docker": {self.host: {"lookaside": "file:///elsewhere"}}}
        default = {"default-docker": {"lookaside": "file:///elsewhere"}}
        self.allowed(self.name + ":1", good, registries_d=folder("two", default, here))
        for name, texts in (("conflict", (here, other)), ("defaults", (default, {**default})),
                            ("same", (here, here))):
            with self.subTest(name=name):
                run = self.judge(self.name + ":1", good, registries_d=folder(name, *texts))
                self.assertNotEqual(run.returncode, 0)
                self.assertEqual(run.stdout, "")
        self.allowed(self.name + ":1", good, "--policy-compat", "image-rs", registries_d=self.path("same"))
        self.assertNotEqual(0, self.judge(self.name + ":1", good, "--policy-compat", "image-rs",
                                          registries_d=self.path("conflict")).returncode)

    def test_base_url(self):
        """The most specific section that names a lookaside, else the default"""
        digest = self.world.image(self.host, self.repository, "1")
        message, text = self.world.simple(self.name + ":1", digest), policy(
            REJECT, {self.host: signed_by(self.world.gpg)})
        right, wrong = self.path("right"), self.path("wrong")
        self.signing.lay(self.repository, digest, message, lookaside=right)
        sections = {"lookaside": "file://" + right}, {"lookaside": "file://" + wrong}
        for number, (config, good) in enumerate((
                ({"default-docker": sections[0]}, True), ({"default-docker": sections[1]}, False),
                ({"default-docker": sections[1], "docker": {self.host: sections[0]}}, True),
                ({"docker": {self.host: sections[0], self.name: sections[1]}}, False),
                ({"docker": {self.host: sections[1], f"{self.host}/units": sections[0]}}, True),
                ({"docker": {self.name: {"sigstore": "file://" + right}}}, True),
                ({"default-docker": sections[0], "docker": {"example.com": sections[1]}}, True))):
            with self.subTest(config=config):
                os.mkdir(self.path(f"b17-{number}"))
                self.write(f"b17-{number}/x.yaml", json.dumps(config))
                judge = self.allowed if good else self.denied
                judge(self.name + ":1", text, registries_d=self.path(f"b17-{number}"))

    def test_folder_names(self):
        """REPOSITORY@sha256=HEX and nothing else"""
        digest = self.world.image(self.host, self.repository, "1")
        message, text = self.world.simple(self.name + ":1", digest), policy(
            REJECT, {self.host: signed_by(self.world.gpg)})
        colon = self.path("lookaside", self.repository + "@" + digest)
        os.makedirs(colon)
        with open(os.path.join(colon, "signature-1"), "wb") as f:
            f.write(message)
        config = self.lookaside("lookaside-of-others", digest="sha256:" + "0" * 64)
        self.write("lookaside-of-others.d/default.yaml", json.dumps(
            {"default-docker": {"lookaside": "file://" + self.path("lookaside")}}))
        self.denied(self.name + ":1", text, registries_d=config, code="E_NOSIG")
        self.signing.lay(self.repository, digest, message, lookaside=self.path("lookaside"))
        self.allowed(self.name + ":1", text, registries_d=config)

    def test_several_signatures(self):
        """signature-1, signature-2; one good one is enough, a gap ends the list"""
        digest = self.world.image(self.host, self.repository, "1")
        bad = self.world.simple(self.name + ":1", digest, self.world.other_gpg)
        good = self.world.simple(self.name + ":1", digest)
        text = policy(REJECT, {self.host: signed_by(self.world.gpg)})
        config = self.lookaside("two", bad, good, digest=digest)
        requirement, = self.allowed(self.name + ":1", text, registries_d=config)["requirements"]
        self.assertEqual([s["accepted"] for s in requirement["signatures"]], [False, True])
        folder = self.path("two", self.repository + "@" + digest.replace(":", "="))
        os.rename(os.path.join(folder, "signature-2"), os.path.join(folder, "signature-3"))
        self.denied(self.name + ":1", text, registries_d=config)

    def test_sigstore_signatures_in_the_lookaside(self):
        """Skopeo keeps sigstore signatures there too, and finds them there"""
        folder, descriptor = self.world.layout()
        by = self.signing.write("by-sigstore.yaml", json.dumps({
            "privateKeyFile": self.world.cosign.private, "privateKeyPassphraseFile": self.signing.passphrase}))
        digest = self.signing.skopeo_push(make_image.add_tag(folder, descriptor, "latest"), self.name + ":1",
                                          self.world.gpg, None, "--sign-by-sigstore", by)
        text = policy(REJECT, {self.host: sigstore_signed(self.world.cosign)})
        section = {"lookaside": "file://" + self.signing.lookaside, "use-sigstore-attachments": False}
        config = self.signing.registries_d("no-attachments.d", section)
        place = self.signing.policy(text)
        self.assertEqual(self.signing.skopeo_judges(place, self.name + ":1", config)[0], "allow")
        requirement, = self.allowed(self.name + ":1", text, registries_d=config)["requirements"]
        signature, = requirement["signatures"]
        self.assertIn("/signature-1", signature["where"])
        shutil.rmtree(os.path.join(self.signing.lookaside, f"{self.repository}@{digest.replace(':', '=')}"))
        requirement, = self.denied(self.name + ":1", text, registries_d=config, code="E_NOSIG")["requirements"]
        self.assertIn("use-sigstore-attachments", requirement["reason"])

    def test_what_was_looked_at_in_vain(self):
        """No signature, and what might be wrong"""
        digest = self.world.image(self.host, self.repository, "1")
        text = policy(REJECT, {self.host: signed_by(self.world.gpg)})
        armoured = self.signing.gpg_sign(self.world.gpg, payload(self.name + ":1", digest), "--armor", "--sign")
        config = self.lookaside("armoured", armoured, digest=digest)
        requirement, = self.denied(self.name + ":1", text, registries_d=config, code="E_NOSIG")["requirements"]
        self.assertRegex(requirement["reason"], "ASCII armour.*/signature-1")
        config = self.lookaside("empty", digest=digest)
        run = self.judge(self.name + ":1", text, "--debug", registries_d=config)
        self.assertRegex(run.stderr, f"lookaside.* of {digest}: 0 signatures")
        requirement, = self.denied(self.name + ":1", text, registries_d=config, code="E_NOSIG")["requirements"]
        self.assertIn("none below file://" + self.path("empty"), requirement["reason"])

    def test_keys_of_the_wrong_kind(self):
        """A key for the other requirement"""
        digest = self.world.image(self.host, self.repository, "1")
        self.signing.lay(self.repository, digest, self.world.simple(self.name + ":1", digest))
        for text, says in ((signed_by(self.world.cosign.public), "which sigstoreSigned reads"),
                           (sigstore_signed(self.world.gpg.public), "signedBy reads such keys"),
                           (signed_by(os.path.join(self.signing.gnupg, "pubring.kbx")), "gpg --export")):
            requirement, = self.denied(self.name + ":1", policy(text), code="E_KEY_PARSE")["requirements"]
            self.assertIn(says, requirement["reason"])

    def test_published(self):
        """Who signed, by the primary key's fingerprint; another digest, another name"""
        digest = self.world.image(self.host, self.repository, "1")
        text = policy(REJECT, {self.host: signed_by(self.world.gpg)})
        config = self.lookaside("right", self.world.simple(self.name + ":1", digest, creator="atomic 2.0.0",
                                                           timestamp=1634533638), digest=digest)
        requirement, = self.allowed(self.name + ":1", text, registries_d=config)["requirements"]
        signature, = requirement["signatures"]
        self.assertEqual(signature["key"], self.world.gpg.fingerprint)
        self.assertEqual(signature["signedName"], self.name + ":1")
        config = self.lookaside("digest", self.world.simple(self.name + ":1", "sha256:" + "0" * 64), digest=digest)
        self.denied(self.name + ":1", text, registries_d=config, code="E_SIG_DIGEST")
        config = self.lookaside("name", self.world.simple(self.host + "/other:1", digest), digest=digest)
        self.denied(self.name + ":1", text, registries_d=config, code="E_SIG_IDENTITY")


def config_for_peers(signing, name, base):
    """A registries.d that the tools see too. base: what sluice's names; copied."""
    target = signing.path("lookaside-" + name)
    registry.run("cp", "-r", base, target)
    return signing.registries_d(name + ".d", section={"lookaside": "file://" + target})


# ---- what this project adds ----

class Ours(SignatureCase):
    def setUp(self):
        super().setUp()
        self.repository = "ours/" + self.id().rpartition(".")[2]
        self.name = f"{self.host}/{self.repository}"
        self.protected = policy(ACCEPT, {self.name: signed_by(self.world.gpg)})

    def signed(self, *tags, marker=None):
        digest = self.world.image(self.host, self.repository, *tags, marker=marker)
        self.signing.lay(self.repository, digest, self.world.simple(f"{self.name}:{tags[0]}", digest))
        return digest

    def test_two_keys_wanted(self):
        """Two requirements, one signature"""
        self.world.image(self.host, self.repository, "1")
        digest = digest_of(self.uploads.read(self.repository, "1"))
        first, second = self.world.crafted, self.signing.openssl_key("m1")
        text = policy(REJECT, {self.host: [sigstore_signed(first), sigstore_signed(second)]})
        self.uploads.attach(self.repository, digest, [self.world.cosigned(self.name + ":1", digest, first)])
        report = self.denied(self.name + ":1", text, code="E_SIG_CRYPTO")
        self.assertEqual([r["satisfied"] for r in report["requirements"]], [True, False])
        self.uploads.attach(self.repository, digest, [
            self.world.cosigned(self.name + ":1", digest, key) for key in (first, second)])
        self.allowed(self.name + ":1", text)

    def test_by_digest(self):
        """An image by digest, signed under a tag of the same repository"""
        digest = self.signed("1")
        self.allowed(f"{self.name}@{digest}", self.protected)

    def test_cached_under_another_name(self):
        """An image in the store is judged anew under its second name"""
        folder, descriptor = self.world.layout()
        self.uploads.push(folder, descriptor, "ours/open", "1")
        self.uploads.push(folder, descriptor, self.repository, "1")
        self.pulls(f"{self.host}/ours/open:1", self.protected)
        self.good(self.sluice("unmount", self.path("bundle")))
        self.refuses(self.name + ":1", self.protected, says=("E_NOSIG",))

    def test_two_answers_for_a_tag(self):
        """A tag that leads elsewhere when it is asked for again: what was verified is unpacked"""
        self.signed("1", marker="the signed one")
        other = self.world.image(self.host, self.repository, "other", marker="the other one")
        texts = [self.uploads.read(self.repository, tag) for tag in ("1", other)]
        for text in texts, texts[::-1]:
            with CountingProxy(self.host) as proxy:
                # HEAD and GET of the tag, whoever comes first.
                answers = iter([text[0]])
                proxy.replace(f"/{self.repository}/manifests/1", 200, lambda *_, a=answers, t=text: (
                    200, next(a, t[1])), {"Content-Type": "application/vnd.oci.image.manifest.v1+json"})
                conf = self.write("registries.conf", f'[[registry]]\nprefix = "{self.host}"\n'
                                  f'location = "{proxy.host}"\ninsecure = true\n')
                self.root = self.path("store-" + digest_of(text[0])[7:15])
                run = self.judge(self.name + ":1", self.protected, "--registries-conf", conf, verb="pull")
                if run.returncode == 0:
                    self.assertEqual(self.read("bundle", "rootfs", "marker"), "the signed one")
                    self.good(self.sluice("unmount", self.path("bundle")))
                else:
                    self.refused(EXIT_POLICY, DENIED, run=run)
                    self.assertEqual(text[0], texts[1], "the signed one was refused")

    def test_mirror(self):
        """A mirror that serves an unsigned copy, although the mirror's own name is unprotected"""
        self.signed("1")
        mirror = self.enterContext(registry.Registry())
        self.world.image(mirror.host, self.repository, "1")
        conf = self.write("registries.conf", f'[[registry]]\nprefix = "{self.host}"\nlocation = "{self.host}"\n'
                          f'insecure = true\n[[registry.mirror]]\nlocation = "{mirror.host}"\ninsecure = true\n')
        self.refuses(self.name + ":1", self.protected, "--registries-conf", conf, says=("E_NOSIG",))

    def test_among_junk(self):
        """One good signature among a hundred that are not; more than the limit is refused"""
        digest = self.world.image(self.host, self.repository, "1")
        junk = [(b"junk %d" % i, {COSIGN_SIGNATURE: "AAAA"}) for i in range(100)]
        good = self.world.cosigned(self.name + ":1", digest)
        text = policy(REJECT, {self.host: sigstore_signed(self.world.crafted)})
        self.uploads.attach(self.repository, digest, junk + [good])
        self.allowed(self.name + ":1", text)
        self.uploads.attach(self.repository, digest, junk + junk[:40] + [good])
        run = self.judge(self.name + ":1", text, "--json")
        self.assertNotEqual(run.returncode, 0)
        self.assertIs(self.verdict(run)["allowed"], False)

    def test_lookaside_fails(self):
        """A lookaside that answers 500 is no answer, and nothing is committed"""
        self.signed("1")
        with CountingProxy(self.host) as broken:
            broken.replace("/signature-1", 500)
            config = self.path("http.d")
            os.mkdir(config)
            self.write("http.d/x.yaml", json.dumps({"default-docker": {"lookaside": broken.url}}))
            self.refuses(self.name + ":1", self.protected, "--retry", "1", exits=EXIT_NETWORK,
                         says=("E_FETCH",), registries_d=config)
            self.denied(self.name + ":1", self.protected, "--retry", "1", exits=EXIT_NETWORK, code="E_FETCH",
                        registries_d=config)

    def test_not_a_signed_message(self):
        """Clear-signed, armoured, detached, unsigned, doubled: none is a signed message"""
        digest = self.world.image(self.host, self.repository, "1")
        data = payload(self.name + ":1", digest)
        sign = self.signing.gpg_sign
        good = sign(self.world.gpg, data)
        rows = {"clear-signed": sign(self.world.gpg, data, "--clearsign"),
                "armoured": sign(self.world.gpg, data, "--armor", "--sign"),
                "detached": sign(self.world.gpg, data, "--detach-sign"),
                "unsigned": sign(self.world.gpg, data, "--store"),
                "twice": good + good, "trailing": good + b"\0", "empty": b"", "plain": data,
                "cut": good[:-8],
                "two signers": sign(self.world.gpg, data, "--local-user", self.world.other_gpg.fingerprint,
                                    "--sign")}
        for number, (name, message) in enumerate(rows.items()):
            with self.subTest(name):
                base, config = self.path(f"m8-{number}"), self.path(f"m8-{number}.d")
                self.signing.lay(self.repository, digest, message, lookaside=base)
                os.mkdir(config)
                self.write(f"m8-{number}.d/x.yaml", json.dumps({"default-docker": {"lookaside": "file://" + base}}))
                report = self.denied(self.name + ":1", self.protected, registries_d=config)
                signatures = report["requirements"][0]["signatures"]
                self.assertFalse(any(s["accepted"] for s in signatures))

    def test_pinned(self):
        """Another policy than the one that was launched: no request is made"""
        self.signed("1")
        path = self.signing.policy(self.protected)
        with open(path, "rb") as f:
            right = digest_of(f.read())
        self.good(self.judge(self.name + ":1", path, "--policy-digest", right))
        with CountingProxy(self.host) as proxy:
            run = self.judge(f"{proxy.host}/{self.repository}:1", path, "--policy-digest", "sha256:" + "0" * 64)
            self.assertNotEqual(run.returncode, 0)
            self.assertEqual(proxy.requests, [])

    def test_payloads(self):
        """Signed by the right key, and not what is to be signed"""
        digest = self.world.image(self.host, self.repository, "1")
        good = json.loads(payload(self.name + ":1", digest, COSIGN))

        def changed(**members):
            return json.dumps({**good, "critical": {**good["critical"], **members}}).encode()
        text = policy(REJECT, {self.host: sigstore_signed(self.world.crafted)})
        for data in (changed(type=SIMPLE), changed(extra=1), changed(identity={}), changed(image={}),
                     json.dumps({**good, "more": 1}).encode(), b"{}", b"", json.dumps(good).encode() + b"x",
                     json.dumps(good).encode().replace(b'"optional"', b'"critical": {}, "optional"')):
            with self.subTest(data=data):
                self.uploads.attach(self.repository, digest, [(data, self.world.crafted.sign(data))])
                self.assertEqual(self.signing.skopeo_judges(self.signing.policy(text), self.name + ":1")[0], "deny")
                self.denied(self.name + ":1", text)

    def test_other_attachments(self):
        """A layer of another type is no signature, whatever its annotations"""
        digest = self.world.image(self.host, self.repository, "1")
        data, annotations = self.world.cosigned(self.name + ":1", digest)
        self.uploads.attach(self.repository, digest, [(data, annotations, "text/plain")])
        text = policy(REJECT, {self.host: sigstore_signed(self.world.crafted)})
        self.denied(self.name + ":1", text, code="E_NOSIG")

    def test_expired(self):
        """A key that has expired since it signed: refused, unless the policy says otherwise"""
        key = self.signing.gpg_key("expired", "rsa2048", "seconds=1")
        fake = ("--faked-system-time", "20200102T000000!")
        name = "long-ago"
        user = f"{name} <{name}@example.com>"
        self.signing.gpg("--faked-system-time", "20200101T000000!", "--quick-gen-key", user, "ed25519", "sign",
                         "30d")
        rows = self.signing.gpg("--with-colons", "--list-keys", "=" + user).splitlines()
        key.fingerprint = next(row.split(":")[9] for row in rows if row.startswith("fpr:"))
        self.signing.gpg("--armor", "--output", key.public, "--export", key.fingerprint)
        digest = self.world.image(self.host, self.repository, "1")
        message = self.signing.gpg_sign(key, payload(self.name + ":1", digest), *fake, "--sign")
        self.signing.lay(self.repository, digest, message)
        text = policy(REJECT, {self.host: signed_by(key)})
        self.assertEqual(self.signing.skopeo_judges(self.signing.policy(text), self.name + ":1")[0], "deny")
        self.denied(self.name + ":1", text, code="E_SIG_KEY")
        self.allowed(self.name + ":1", policy(REJECT, {self.host: signed_by(key, **{"x-allowExpiredKey": True})}))

    def test_skopeo_signs_with_sigstore_keys(self):
        """What skopeo and podman sign carries a tag: the strict default takes it"""
        folder, descriptor = self.world.layout()
        source = make_image.add_tag(folder, descriptor, "latest")
        self.signing.skopeo_push(source, self.name + ":1", None, self.world.cosign)
        text = policy(REJECT, {self.host: sigstore_signed(self.world.cosign)})
        self.allowed(self.name + ":1", text)
        self.assertEqual(self.signing.skopeo_judges(self.signing.policy(text), self.name + ":1")[0], "allow")

    def test_attachments_switched_off(self):
        """use-sigstore-attachments: false hides what is attached"""
        digest = self.world.image(self.host, self.repository, "1")
        self.uploads.attach(self.repository, digest, [self.world.cosigned(self.name + ":1", digest)])
        text = policy(REJECT, {self.host: sigstore_signed(self.world.crafted)})
        off = self.signing.registries_d("off.d", section={"use-sigstore-attachments": False})
        self.denied(self.name + ":1", text, registries_d=off, code="E_NOSIG")
        silent = self.signing.registries_d("silent.d", section={"lookaside": "file:///nonexistent"})
        self.allowed(self.name + ":1", text, registries_d=silent)

    def test_bundle_without_leave(self):
        """A bundle counts only where the policy says so"""
        if go_tools.why_not():
            self.skipTest(go_tools.why_not())
        digest = self.world.image(self.host, self.repository, "1")
        self.signing.cosign_bundle(f"{self.name}@{digest}", self.world.cosign, self.world.cosign3)
        self.allowed(self.name + ":1", policy(REJECT, {self.host: bundle_signed(self.world.cosign)}))
        self.denied(self.name + ":1", policy(REJECT, {self.host: sigstore_signed(self.world.cosign, REPOSITORY)}))

    def test_bundle_of_another_predicate(self):
        """An attestation by the right key is no signature of the image"""
        if go_tools.why_not():
            self.skipTest(go_tools.why_not())
        digest = self.world.image(self.host, self.repository, "1")
        predicate = self.signing.write("predicate.json", "{}")
        self.signing.run(*self.world.cosign3, "attest", "--yes", "--key", self.world.cosign.private,
                         "--tlog-upload=false", "--use-signing-config=false", "--new-bundle-format=true",
                         "--allow-http-registry", "--type", "https://example.com/said", "--predicate", predicate,
                         f"{self.name}@{digest}")
        report = self.denied(self.name + ":1", policy(REJECT, {self.host: bundle_signed(self.world.cosign)}))
        self.assertIn("in-toto statement", json.dumps(report))

    def test_statements(self):
        """Bundles by the right key: only a statement of cosign's kind about this image counts"""
        digest = self.world.image(self.host, self.repository, "1")
        size = len(self.uploads.read(self.repository, "1"))
        good = {"_type": "https://in-toto.io/Statement/v1", "predicate": {},
                "predicateType": "https://sigstore.dev/cosign/sign/v1",
                "subject": [{"digest": {"sha256": digest[7:]}}]}
        text = policy(REJECT, {self.host: bundle_signed(self.world.crafted)})
        for change, code in (({}, None), ({"predicateType": "https://slsa.dev/provenance/v1"}, "E_SIG_PAYLOAD"),
                             ({"_type": "https://in-toto.io/Statement/v2"}, "E_SIG_PAYLOAD"),
                             ({"subject": [{"digest": {"sha256": "0" * 64}}]}, "E_SIG_DIGEST"),
                             ({"subject": []}, "E_SIG_PAYLOAD")):
            with self.subTest(change=change):
                bundle = bundle_of(self.world.crafted, json.dumps({**good, **change}).encode())
                self.uploads.refer(self.repository, digest, size, bundle)
                if code:
                    self.denied(self.name + ":1", text, code=code)
                else:
                    self.allowed(self.name + ":1", text)


if __name__ == "__main__":
    signature_case.main()
