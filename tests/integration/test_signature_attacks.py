#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What has gone wrong in others who verify signatures must not go wrong here: one test for each
published weakness, under its number. "Rs" are gaps of image-rs that have no number.

Each test shows first that the untouched signature is accepted: a denial says nothing where nothing
was ever allowed."""
import base64
import copy
import datetime
import json
import os
import subprocess
import unittest
import zlib

import signature_case
from signature_case import DENIED, SignatureCase, tear_down
from sluice_case import EXIT_FAILED, EXIT_INTEGRITY, EXIT_POLICY

import go_tools
import make_image
import sigstore_lab as lab_module
from counting_proxy import CountingProxy
from signing import (ACCEPT, COSIGN, COSIGN_SIGNATURE, MANIFEST, REJECT, REPOSITORY, GpgKey,
                     Uploads, digest_of,
                     payload, policy, signed_by, sigstore_signed)
from sigstore_lab import EMAIL, ISSUER, PAYLOAD_TYPE, Lab, b64, pae, sha256, sign

INDEX = "application/vnd.oci.image.index.v1+json"
BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
EMPTY = "application/vnd.oci.empty.v1+json"
ZEROS = "sha256:" + "0" * 64


def tearDownModule():  # pylint: disable=invalid-name
    tear_down()


def refer(uploads, repository, digest, *bundles, has_api=False, kind=BUNDLE):
    """Bundles as referrers of an image: by the API, or under the tag sha256-HEX. Their descriptors."""
    entries = []
    for bundle in bundles:
        data = bundle if isinstance(bundle, bytes) else json.dumps(bundle).encode()
        text = json.dumps({
            "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": kind,
            "config": {"mediaType": EMPTY, **uploads.blob(repository, b"{}")},
            "layers": [{"mediaType": kind, **uploads.blob(repository, data)}],
            "subject": {"mediaType": MANIFEST, "digest": digest, "size": 1}}).encode()
        uploads.manifest(repository, digest_of(text), text)
        entries.append({"mediaType": MANIFEST, "digest": digest_of(text), "size": len(text),
                        "artifactType": kind})
    if not has_api:
        index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}
        uploads.manifest(repository, digest.replace(":", "-"), json.dumps(index).encode(), INDEX)
    return entries


class AttackCase(SignatureCase):
    """Each test has a repository with one image, :1, which nobody has signed yet."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.lab = Lab()

    def setUp(self):
        super().setUp()
        self.repository = "attacks/" + self.id().rpartition(".")[2]
        self.name = f"{self.host}/{self.repository}"
        self.image = self.name + ":1"
        self.digest = self.world.image(self.host, self.repository, "1", marker="the first")
        self.n_files = 0

    def file(self, data):
        self.n_files += 1
        path = self.path(f"file-{self.n_files}")
        with open(path, "wb") as f:
            f.write(data if isinstance(data, bytes) else json.dumps(data).encode())
        return path

    def of(self, requirement):
        return policy(REJECT, {self.host: requirement})

    def is_accepted(self, report):
        return [s["accepted"] for r in report["requirements"] for s in r["signatures"]]


# ---- sigstore ----

class SigstoreCase(AttackCase):
    def by_key(self, **more):
        """A policy for the lab's plain key."""
        return self.of(sigstore_signed(self.file(lab_module.public_pem(self.lab.key)), REPOSITORY, **more))

    def by_bundle(self, root=None, **more):
        root = self.file(root or self.lab.trusted_root())
        return self.by_key(**{"x-bundles": "digest-only", "x-trustedRootPath": root}, **more)

    def by_fulcio(self, root=None, bundles=True, **more):
        more = {"x-bundles": "digest-only", **more} if bundles else more
        return self.of({"type": "sigstoreSigned", "signedIdentity": REPOSITORY,
                        "fulcio": {"oidcIssuer": ISSUER, "subjectEmail": EMAIL},
                        "x-trustedRootPath": self.file(root or self.lab.trusted_root()), **more})

    def attach(self, *layers):
        self.uploads.attach(self.repository, self.digest, layers)

    def refer(self, *bundles, **how):
        return refer(self.uploads, self.repository, self.digest, *bundles, **how)

    def logged_layer(self):
        return self.lab.cosign_layer("key-rekor", self.digest, self.image)

    def by_rekor(self):
        return self.by_key(rekorPublicKeyPath=self.file(lab_module.public_pem(self.lab.rekor.key)))

    def statement(self, **changed):
        text = {**json.loads(self.lab.statement(self.digest)), **changed}
        return self.signed({k: v for k, v in text.items() if v is not None})

    def signed(self, statement, **more):
        """A bundle of the lab's key over any text at all, and in the log as such."""
        data = statement if isinstance(statement, bytes) else json.dumps(statement).encode()
        return self.lab.bundle(self.digest, statement=data, **more)


class Rekor(SigstoreCase):
    """Evidence of a transparency log that is evidence of something else."""

    def test_cve_2022_23649_log_entry_of_another_artifact(self):
        """CVE-2022-23649: a Rekor bundle of another artifact is no evidence of this one"""
        good, rules = self.logged_layer(), self.by_rekor()
        self.attach(good)
        self.allowed(self.image, rules)
        other = self.lab.cosign_layer("key-rekor", ZEROS, self.image)
        same_again = self.logged_layer()  # the same payload, another signature
        for stranger in other, same_again:
            annotations = dict(good[1])
            annotations["dev.sigstore.cosign/bundle"] = stranger[1]["dev.sigstore.cosign/bundle"]
            self.attach((good[0], annotations))
            self.denied(self.image, rules, code="E_SIG_TLOG")
        annotations = {k: v for k, v in good[1].items() if not k.endswith("/bundle")}
        self.attach((good[0], annotations))
        self.denied(self.image, rules, code="E_SIG_TLOG")

    def test_cve_2022_36056_log_entry_by_another_key(self):
        """CVE-2022-36056: an entry of the same payload that another key has signed"""
        good, rules = self.logged_layer(), self.by_rekor()
        self.attach(good)
        self.allowed(self.image, rules)
        entry = lab_module.hashedrekord_1(sha256(good[0]), sign(self.lab.other_key, good[0]),
                                          lab_module.public_pem(self.lab.other_key))
        half = lab_module.hashedrekord_1(sha256(good[0]), base64.b64decode(good[1][COSIGN_SIGNATURE]),
                                         lab_module.public_pem(self.lab.other_key))
        for body in entry, half:
            self.attach((good[0], {**good[1], "dev.sigstore.cosign/bundle": self.lab.log_annotation(body)}))
            self.denied(self.image, rules, code="E_SIG_TLOG")

    def test_cve_2026_22703_log_entry_of_another_bundle(self):
        """CVE-2026-22703, GHSA-whqx-f9j3-ch6m: the entry is compared with what was signed"""
        rules = self.by_bundle()
        for content in ({}, {"log": "v2"}, {"entry_kind": "intoto"}):
            good = self.lab.bundle(self.digest, **content)
            self.refer(good)
            self.allowed(self.image, rules)
            others = [self.lab.bundle(ZEROS, **content), self.lab.bundle(self.digest, **content),
                      self.lab.bundle(self.digest, signer=lab_module.Signer(self.lab.other_key), **content)]
            for other in others:
                bad = copy.deepcopy(good)
                bad["verificationMaterial"]["tlogEntries"] = other["verificationMaterial"]["tlogEntries"]
                self.refer(bad)
                self.denied(self.image, rules, code="E_SIG_TLOG")

    def test_ghsa_wqqc_jjcq_vfxm_window_of_a_log_key(self):
        """GHSA-wqqc-jjcq-vfxm: a log's key counts for the time the trusted root gives it"""
        self.refer(self.lab.bundle(self.digest))
        self.allowed(self.image, self.by_bundle())
        for window in ({"start": "2020-01-01T00:00:00Z", "end": "2025-06-01T11:59:59Z"},
                       {"start": "2025-06-01T12:00:01Z"}):
            root = self.lab.trusted_root()
            root["tlogs"][0]["publicKey"]["validFor"] = window
            self.denied(self.image, self.by_bundle(root), code="E_SIG_TLOG")
        root["tlogs"][0]["publicKey"]["validFor"] = {"start": "2025-06-01T12:00:00Z",
                                                     "end": "2025-06-01T12:00:00Z"}
        self.allowed(self.image, self.by_bundle(root))
        del root["tlogs"][0]["publicKey"]["validFor"]
        run = self.judge(self.image, self.by_bundle(root))
        self.assertNotEqual(run.returncode, 0, run.stdout)

    def test_ghsa_wqqc_jjcq_vfxm_proofs_tell_no_time(self):
        """GHSA-wqqc-jjcq-vfxm: nor does an entry without a promise make an old key good again"""
        for log, number in ("v1", 0), ("v2", 1):
            for has_stamp, signer in (True, None), (True, self.lab.fulcio_signer()), (False, None):
                bundle = self.lab.bundle(self.digest, log=log, timestamp=has_stamp, signer=signer)
                bundle["verificationMaterial"]["tlogEntries"][0].pop("inclusionPromise", None)
                self.refer(bundle)
                make = self.by_fulcio if signer else self.by_bundle
                self.allowed(self.image, make())
                root = self.lab.trusted_root()
                windows = [{"start": "2020-01-01T00:00:00Z", "end": "2025-06-01T11:59:59Z"}]
                if has_stamp:
                    windows += [{"start": "2025-06-01T12:00:01Z"}]
                for window in windows:
                    root["tlogs"][number]["publicKey"]["validFor"] = window
                    self.denied(self.image, make(root), code="E_SIG_TLOG")
                if has_stamp:
                    root["tlogs"][number]["publicKey"]["validFor"] = {"start": "2025-06-01T12:00:00Z",
                                                                     "end": "2025-06-01T12:00:00Z"}
                    self.allowed(self.image, make(root))

    def test_cve_2023_30551_cve_2023_33199_malformed_entries(self):
        """CVE-2023-30551, CVE-2023-33199: entries that are none end in a denial"""
        good, rules = self.lab.bundle(self.digest), self.by_bundle()
        self.refer(good)
        self.allowed(self.image, rules)
        body = json.loads(base64.b64decode(
            good["verificationMaterial"]["tlogEntries"][0]["canonicalizedBody"]))
        for text in ({}, [], None, {**body, "spec": None}, {**body, "spec": {"signatures": None}},
                     {**body, "kind": "rpm"}, {**body, "apiVersion": None},
                     {**body, "spec": {**body["spec"], "signatures": []}},
                     {**body, "spec": {**body["spec"], "signatures": [{}, None]}}):
            bad = copy.deepcopy(good)
            if isinstance(text, dict) and text.get("kind") and text.get("apiVersion"):
                entry = self.lab.rekor.add(lab_module.canonical(text))
            else:
                entry = {**good["verificationMaterial"]["tlogEntries"][0],
                         "canonicalizedBody": b64(json.dumps(text).encode())}
            bad["verificationMaterial"]["tlogEntries"] = [entry]
            self.refer(bad)
            self.denied(self.image, rules)


class Statements(SigstoreCase):
    """What is signed, and in the log, and says something else than "this is the image"."""

    def expect_none_counts(self, *bundles):
        self.refer(self.lab.bundle(self.digest))
        self.allowed(self.image, self.by_bundle())
        for bundle in bundles:
            self.refer(bundle)
            report = self.denied(self.image, self.by_bundle())
            self.assertFalse(any(self.is_accepted(report)))

    def test_cve_2022_35929_attestation_of_another_type(self):
        """CVE-2022-35929: an attestation of another predicateType is no signature"""
        self.expect_none_counts(self.statement(predicateType="https://slsa.dev/provenance/v1"),
                                self.statement(predicateType="https://sigstore.dev/cosign/sign/v11"),
                                self.statement(predicateType="HTTPS://sigstore.dev/cosign/sign/v1"))

    def test_cve_2022_35930_many_attestations_none_of_the_type(self):
        """CVE-2022-35930: however many attestations verify, one of the type is needed"""
        others = [self.statement(predicateType=f"https://example.com/{i}") for i in range(5)]
        self.refer(*others)
        self.denied(self.image, self.by_bundle())
        self.refer(*others, self.statement())
        self.allowed(self.image, self.by_bundle())

    def test_cve_2026_39395_statements_that_cannot_be_read(self):
        """CVE-2026-39395, GHSA-w6c6-c85g-mmv6: what cannot be compared is not taken for equal"""
        good = json.loads(self.lab.statement(self.digest))
        self.expect_none_counts(
            self.statement(predicateType=None), self.statement(predicateType=7), self.statement(_type=None),
            self.statement(subject=None), self.statement(subject=[]), self.statement(subject=[{}]),
            self.statement(subject=[{"digest": {}}]), self.statement(subject=[{"digest": None}]),
            self.statement(subject={"digest": {"sha256": self.digest[7:]}}),
            self.signed(b" "), self.signed(b"null"), self.signed(b"[]"), self.signed(json.dumps(good).encode()[:-1]),
            self.signed(json.dumps(good).encode() + b"{}"),
            self.signed(json.dumps(good).encode().replace(b'"predicateType"', b'"predicateType": 1, "predicateType"')))

    def test_cve_2024_45395_endless_lists(self):
        """CVE-2024-45395: numbers of entries, timestamps and subjects have limits"""
        good = self.lab.bundle(self.digest, timestamp=True)
        material = good["verificationMaterial"]
        entries, stamps = material["tlogEntries"], material["timestampVerificationData"]["rfc3161Timestamps"]
        subject = json.loads(self.lab.statement(self.digest))["subject"]
        others = [{"digest": {"sha256": f"{i:064x}"}} for i in range(1024)]
        self.refer(good)
        self.allowed(self.image, self.by_bundle())
        self.refer(self.statement(subject=others[:1023] + subject))
        self.allowed(self.image, self.by_bundle())
        for changed in ({"tlogEntries": entries * 33}, {"tlogEntries": entries * 2},
                        {"timestampVerificationData": {"rfc3161Timestamps": stamps * 33}}):
            self.refer({**good, "verificationMaterial": {**material, **changed}})
            self.denied(self.image, self.by_bundle())
        self.expect_none_counts(self.statement(subject=others + subject),
                                self.statement(subject=[{"digest": {
                                    **{f"a{i}": "00" for i in range(32)}, "sha256": self.digest[7:]}}]))

    def test_cve_2023_46737_endless_attestations(self):
        """CVE-2023-46737: ten thousand attestations are not looked at one after the other"""
        junk, = self.refer(self.statement(predicateType="https://example.com/junk"))
        entries = [{**junk, "digest": f"sha256:{i:064x}"} for i in range(10000)]
        index = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}).encode()
        tag = self.digest.replace(":", "-")
        with CountingProxy(self.host) as proxy:
            proxy.replace("/manifests/" + tag, 200, index, {"Content-Type": INDEX})
            name = f"{proxy.host}/{self.repository}:1"
            rules = policy(REJECT, {proxy.host: self.by_bundle()["transports"]["docker"][self.host]})
            run = self.judge(name, rules, "--json")
            self.assertNotEqual(run.returncode, 0)
            self.assertIs(self.verdict(run)["allowed"], False)
            self.assertLess(len(proxy.requests), 150)


class Certificates(SigstoreCase):
    def signed_with(self, lab):
        """A bundle of a Fulcio signer, and its trusted root."""
        return lab.bundle(self.digest, signer=lab.fulcio_signer()), lab.trusted_root()

    def test_cve_2026_24122_issuer_that_had_expired(self):
        """CVE-2026-24122, GHSA-wfqv-66vq-46rm: issuers must have been valid when it was signed"""
        bundle, root = self.signed_with(self.lab)
        self.refer(bundle)
        self.allowed(self.image, self.by_fulcio(root))
        ended = datetime.datetime(2024, 1, 1)
        for expired in "middle", "root":
            lab = Lab()
            root_key, key = lab.new_key("fulcio root"), lab.fulcio_key
            ends = {"middle": lab_module.CA_END, "root": lab_module.CA_END, expired: ended}
            top = lab_module.certificate(root_key, lab_module.name_of("fulcio root"), ca=True, path_length=1,
                                         end=ends["root"])
            middle = lab_module.certificate(key, lab_module.name_of("fulcio intermediate"), (root_key, top), ca=True,
                                            path_length=0, eku=lab_module.ExtendedKeyUsageOID.CODE_SIGNING,
                                            end=ends["middle"])
            lab.fulcio_chain = [middle, top]
            bundle, root = self.signed_with(lab)
            self.refer(bundle)
            self.denied(self.image, self.by_fulcio(root), code="E_SIG_TIME")

    def test_cve_2024_51491_cve_2024_56138_authorities_that_fail(self):
        """CVE-2024-51491, CVE-2024-56138: a timestamp that cannot be verified is no timestamp"""
        signer = self.lab.fulcio_signer()
        good = self.lab.bundle(self.digest, signer=signer, log="v2", timestamp=True)
        self.refer(good)
        self.allowed(self.image, self.by_fulcio())
        signature = base64.b64decode(good["dsseEnvelope"]["signatures"][0]["sig"])
        stranger = Lab("a stranger").tsa.response(signature)
        refused = lab_module.sequence(lab_module.sequence(lab_module.der_int(2)))
        for stamp in (b"", b"\x30", b"\x30\x84\xff\xff\xff\xff", stranger, refused,
                      self.lab.tsa.response(b"something else"), self.lab.tsa.response(signature) + b"\0",
                      self.lab.tsa.response(signature)[:-1], self.lab.tsa.response(signature, status=2)):
            bad = copy.deepcopy(good)
            bad["verificationMaterial"]["timestampVerificationData"]["rfc3161Timestamps"] = [
                {"signedTimestamp": b64(stamp)}]
            self.refer(bad)
            self.denied(self.image, self.by_fulcio())

    def test_ghsa_wqqc_jjcq_vfxm_windows_of_authorities(self):
        """GHSA-wqqc-jjcq-vfxm: whatever a trusted root names it trusts for a time"""
        bundle = self.lab.bundle(self.digest, signer=self.lab.fulcio_signer(), log="v2", timestamp=True)
        self.refer(bundle)
        self.allowed(self.image, self.by_fulcio())
        for member in "certificateAuthorities", "ctlogs", "timestampAuthorities":
            for window in ({"start": "2020-01-01T00:00:00Z", "end": "2025-06-01T11:59:00Z"},
                           {"start": "2025-06-01T12:00:01Z"}, {}, {"end": "2030-01-01T00:00:00Z"}, None):
                with self.subTest(member=member, window=window):
                    root = self.lab.trusted_root()
                    place = root[member][0]["publicKey"] if member == "ctlogs" else root[member][0]
                    place["validFor"] = window
                    if window is None:
                        del place["validFor"]
                    self.denied(self.image, self.by_fulcio(root))

    def test_names_with_nul(self):
        """A NUL ends no name: neither of a certificate nor of its issuer"""
        rules = self.by_fulcio()
        for how in ({"email": EMAIL + "\0.evil.example"}, {"issuer": ISSUER + "\0.evil.example"}):
            self.refer(self.lab.bundle(self.digest, signer=self.lab.fulcio_signer(**how)))
            self.denied(self.image, rules)


class Texts(SigstoreCase):
    """Whatever an attacker writes, people read one clean line, and programs read JSON."""
    DIRTY = "evil\n\x1b[2Jsluice: allowed\r\x07\x7f\x9b\u202e\u2066"

    def expect_clean(self, image, rules):
        for options in (), ("--json",), ("--debug",):
            run = self.judge(image, rules, *options)
            self.assertEqual(run.returncode, EXIT_POLICY, run.stderr)
            for text in run.stdout, run.stderr:
                control = [c for c in text if c != "\n" and (c < " " or "\x7f" <= c <= "\x9f")]
                self.assertEqual(control, [], text)
                for line in text.splitlines():
                    self.assertFalse(line.startswith("sluice: allowed"), text)
        run = self.judge(image, rules, "--json")
        self.assertIs(json.loads(run.stdout)["allowed"], False)
        self.assertEqual(run.stderr.count("\n"), 1)
        json.loads(run.stderr)
        run = self.judge(image, rules)
        self.assertEqual(run.stderr.count("\n"), 1, run.stderr)

    def test_signed_names(self):
        rules = self.by_key()
        for text in self.DIRTY, "\u20ac" * 400, "a" * 250 + "\u20ac" * 20, "x" * 60000:
            self.attach(self.lab.cosign_layer("key", self.digest, self.image),
                        self.lab.cosign_layer("key", self.digest, text))
            self.allowed(self.image, rules)
            self.attach(self.lab.cosign_layer("key", self.digest, text))
            self.expect_clean(self.image, rules)

    def test_payloads_and_annotations(self):
        rules = self.by_rekor()
        data = payload(self.image, self.digest, self.DIRTY)
        self.attach((data, {COSIGN_SIGNATURE: b64(sign(self.lab.key, data)),
                            "dev.sigstore.cosign/bundle": self.DIRTY}))
        self.expect_clean(self.image, rules)
        self.expect_clean(self.image, self.by_key())
        good = self.logged_layer()
        for name in good[1]:
            for text in self.DIRTY, json.dumps({self.DIRTY: self.DIRTY}), json.dumps(
                    {"SignedEntryTimestamp": self.DIRTY, "Payload": {"body": self.DIRTY}}):
                self.attach((good[0], {**good[1], name: text}))
                self.expect_clean(self.image, rules)
        data = b'{"critical": {"type": "\\u0000\xff"}}'
        self.attach((data, {COSIGN_SIGNATURE: b64(sign(self.lab.key, data))}))
        self.expect_clean(self.image, self.by_key())

    def test_certificates(self):
        for how in ({"uri": "https://a\x1b[2J\r\nsluice: allowed\x7f/b"}, {"issuer": ISSUER + self.DIRTY}):
            self.refer(self.lab.bundle(self.digest, signer=self.lab.fulcio_signer(**how)))
            self.expect_clean(self.image, self.by_fulcio())

    def test_bundles_and_referrers(self):
        good = self.lab.bundle(self.digest)
        for bad in ({**good, "mediaType": self.DIRTY}, {**good, self.DIRTY: 1},
                    {**good, "dsseEnvelope": {**good["dsseEnvelope"], "payloadType": self.DIRTY}},
                    self.statement(_type=self.DIRTY), self.statement(predicateType=self.DIRTY),
                    self.statement(subject=[{"name": self.DIRTY, "digest": {self.DIRTY: self.DIRTY}}])):
            self.refer(bad)
            self.expect_clean(self.image, self.by_bundle())
        self.refer(self.lab.bundle(ZEROS), kind=BUNDLE + self.DIRTY[:20])
        self.expect_clean(self.image, self.by_bundle())


# ---- OpenPGP ----

def packet(tag, body):
    """Of the new format (RFC 4880, section 4.2.2)."""
    length = bytes([255]) + len(body).to_bytes(4, "big")
    return bytes([0xC0 | tag]) + length + body


def packets(message):
    """Those inside gpg's compressed packet of indeterminate length, decompressed."""
    assert message[0] == 0xA3 and message[1] == 1
    return zlib.decompress(message[2:], -15)


def compressed(message):
    packer = zlib.compressobj(wbits=-15)
    return packet(8, b"\1" + packer.compress(message) + packer.flush())


def literal(data):
    return packet(11, b"b\0" + bytes(4) + data)


class OpenPgp(AttackCase):
    def setUp(self):
        super().setUp()
        self.text = payload(self.image, self.digest)
        self.good = self.world.simple(self.image, self.digest)
        self.rules = self.of(signed_by(self.world.gpg))
        self.base = self.path("lookaside")
        os.mkdir(self.path("registries.d"))
        self.registries_d = self.path("registries.d")
        self.write("registries.d/x.yaml", json.dumps({"default-docker": {"lookaside": "file://" + self.base}}))

    def lay(self, *messages):
        subprocess.run(["rm", "-rf", self.base], check=True)
        self.signing.lay(self.repository, self.digest, *messages, lookaside=self.base)

    def expect_good(self, *messages):
        self.lay(*messages)
        return self.allowed(self.image, self.rules, registries_d=self.registries_d)

    def expect_bad(self, message, code=None):
        self.lay(message)
        report = self.denied(self.image, self.rules, code=code, registries_d=self.registries_d)
        self.assertFalse(any(self.is_accepted(report)))
        return report

    def sign(self, *options, key=None, data=None):
        return self.signing.gpg_sign(key or self.world.gpg, data or self.text, *options)

    def test_cve_2006_0455_no_signature_at_all(self):
        """CVE-2006-0455: a message nobody has signed, for which gpg --decrypt exits with 0"""
        self.expect_good(self.good)
        self.expect_bad(self.sign("--store"))
        self.expect_bad(literal(self.text))
        self.expect_bad(compressed(literal(self.text)))

    def test_cve_2006_0049_cve_2007_1263_data_around_what_is_signed(self):
        """CVE-2006-0049, CVE-2007-1263: nothing stands before, behind or between"""
        self.expect_good(self.good)
        inner, other = packets(self.good), packets(self.world.simple(self.image, ZEROS))
        self.expect_good(inner)
        self.expect_good(compressed(inner))
        evil, marker = literal(payload(self.image, ZEROS)), packet(10, b"PGP")
        for message in (evil + inner, inner + evil, compressed(evil + inner), compressed(inner + evil),
                        evil + self.good, self.good + evil, self.good + self.good, inner + inner,
                        inner + other, compressed(inner) + compressed(other), packet(61, b"x") + inner,
                        inner + marker + inner, self.good + b"\0", b"\0" + self.good):
            self.expect_bad(message)

    def test_cve_2018_12020_file_name_with_status_lines(self):
        """CVE-2018-12020: what a message calls its file is not what gpg says of it"""
        fake = f"x\n[GNUPG:] GOODSIG {self.world.gpg.fingerprint[-16:]} good\n" \
               f"[GNUPG:] VALIDSIG {self.world.gpg.fingerprint} 2026-01-01 1 0 4 0 22 8 00 " \
               f"{self.world.gpg.fingerprint}\n"
        name = ("--set-filename", fake[:250])
        self.expect_bad(self.sign(*name, "--sign", key=self.world.other_gpg), "E_SIG_KEY")
        self.expect_bad(self.sign(*name, "--store"))
        self.expect_good(self.sign(*name, "--sign"))

    def test_cve_2022_34903_notations_with_status_lines(self):
        """CVE-2022-34903: nor are its notations"""
        fake = f"note@example.com=x%0A[GNUPG:] GOODSIG {self.world.gpg.fingerprint[-16:]} good%0A" \
               f"[GNUPG:] VALIDSIG {self.world.gpg.fingerprint} 2026-01-01 1 0 4 0 22 8 00 " \
               f"{self.world.gpg.fingerprint}"
        for note in fake, "big@example.com=" + "x" * 1000:
            more = ("--set-notation", note, "--sign")
            self.expect_bad(self.sign(*more, key=self.world.other_gpg), "E_SIG_KEY")
            self.expect_good(self.sign(*more))
        # gpg itself writes no line break into one.
        message = packets(self.sign("--set-notation", fake, "--sign", key=self.world.other_gpg))
        self.assertIn(b"%0A", message)
        self.expect_bad(message.replace(b"%0A", b"\n\n\n"))

    def test_gpg_fail_armour_and_clear_text(self):
        """gpg.fail: neither clear-signed nor armoured nor detached"""
        for how in ("--clearsign",), ("--armor", "--sign"), ("--detach-sign",):
            self.expect_bad(self.sign(*how))
        clear = self.sign("--clearsign")
        self.expect_bad(clear.replace(b"\n\n{", b"\nHash: SHA512\n\n{", 1))
        self.expect_bad(clear + self.good)
        self.expect_bad(self.sign("--textmode", "--sign"))

    def test_cve_2025_47934_other_data_than_was_signed(self):
        """CVE-2025-47934: what is read is what was hashed"""
        self.expect_good(self.good)
        inner = packets(self.good)
        other = inner.replace(self.digest[7:].encode(), b"0" * 64)
        self.assertNotEqual(inner, other)
        self.expect_bad(other, "E_SIG_CRYPTO")
        self.expect_bad(compressed(other), "E_SIG_CRYPTO")
        # The other way round: a signature of something else around what we would like to read.
        wrong = packets(self.world.simple(self.image, ZEROS))
        self.expect_bad(wrong, "E_SIG_DIGEST")
        self.expect_bad(wrong.replace(b"0" * 64, self.digest[7:].encode()), "E_SIG_CRYPTO")

    def test_cve_2024_53856_cve_2024_53857_cve_2025_67897_malformed_packets(self):
        """CVE-2024-53856, CVE-2024-53857, CVE-2025-67897: what is cut or lies about its length"""
        inner = packets(self.good)
        self.expect_good(inner)
        cut = [inner[:n] for n in range(1, len(inner), 7)]
        lies = [bytes([0xC0 | tag]) + length for tag in (2, 4, 8, 11, 0, 63)
                for length in (b"", b"\xff", b"\xff\xff\xff\xff\xff", b"\xff\x7f\xff\xff\xff", b"\xfe", b"\xf0", b"\0")]
        for i in range(0, len(cut + lies), 100):
            self.lay(*(cut + lies)[i:i + 100])
            report = self.denied(self.image, self.rules, registries_d=self.registries_d)
            self.assertFalse(any(self.is_accepted(report)))

    def test_nested_packets(self):
        """One level of compression, 64 KiB of plain text, and not a byte more"""
        inner = packets(self.good)
        for depth in range(5):
            (self.expect_good if depth < 2 else self.expect_bad)(inner)
            inner = compressed(inner)
        deep = packets(self.good)
        for _ in range(200):
            deep = compressed(deep)
        self.expect_bad(deep)
        room = 64 * 1024 - 2048
        # "optional" may hold what it likes, as long as it fits.
        self.expect_good(self.world.simple(self.image, self.digest, filler=" " * (room - len(self.text))))
        self.expect_bad(self.world.simple(self.image, self.digest, filler=" " * (64 * 1024)))
        self.expect_bad(compressed(literal(bytes(64 << 20))))

    def test_cve_2024_23332_signatures_that_have_expired(self):
        """CVE-2024-23332: an expired signature does not count, and no switch is there for it"""
        def then(day):
            return "--faked-system-time", f"202001{day}T000000!"
        user = "Rollback <rollback@example.com>"
        self.signing.gpg(*then("01"), "--quick-gen-key", user, "ed25519", "sign", "0")
        rows = self.signing.gpg("--with-colons", "--list-keys", "=" + user).splitlines()
        fingerprint = next(row.split(":")[9] for row in rows if row.startswith("fpr:"))
        key = GpgKey("rollback", fingerprint, self.signing.path("rollback.gpg"))
        self.signing.gpg("--armor", "--output", key.public, "--export", fingerprint)
        self.rules = self.of(signed_by(key))
        self.expect_good(self.sign(*then("02"), "--sign", key=key))
        message = self.sign(*then("02"), "--default-sig-expire", "1d", "--sign", key=key)
        self.expect_bad(message, "E_SIG_TIME")
        self.rules = self.of(signed_by(key, **{"x-allowExpiredKey": True}))
        self.expect_bad(message, "E_SIG_TIME")

    def test_cve_2023_33957_cve_2023_33958_many_signatures(self):
        """CVE-2023-33957, CVE-2023-33958: ten thousand signatures cost as much as 128"""
        junk = b"\xa3\x01"
        self.lay(*[junk] * 10000)
        report = self.denied(self.image, self.rules, registries_d=self.registries_d)
        self.assertLessEqual(sum(len(r["signatures"]) for r in report["requirements"]), 128)
        self.expect_good(*[self.world.simple(self.image, self.digest, self.world.other_gpg)] * 100, self.good)

    def test_cve_2023_33959_signature_of_another_registry(self):
        """CVE-2023-33959: a signature that was copied to another registry or name"""
        for name in (self.image.replace(self.host, "example.com"), self.name + "x:1", self.image.upper(),
                     self.image + "/", self.name[:-1] + ":1", self.host + "/" + self.repository.upper() + ":1",
                     "", self.image + "\0", self.name + "@" + self.digest):
            self.expect_bad(self.world.simple(name, self.digest))
        self.expect_bad(self.world.simple(self.image, self.digest.upper()))
        self.expect_bad(self.world.simple(self.image, self.digest + "\0"))
        self.expect_good(self.good)

    def test_texts(self):
        """A key's name and a signed name with control characters"""
        dirty = "evil\n\x1b[2J\r\x07\x7f\x9b"
        self.lay(self.world.simple(dirty, self.digest), self.world.simple(self.image, dirty))
        for options in (), ("--json",):
            run = self.judge(self.image, self.rules, *options, registries_d=self.registries_d)
            self.assertEqual(run.returncode, EXIT_POLICY)
            self.assertEqual(run.stderr.count("\n"), 1)
            for text in run.stdout, run.stderr:
                self.assertEqual([c for c in text if c != "\n" and (c < " " or "\x7f" <= c <= "\x9f")], [])


# ---- registries ----

class Registries(AttackCase):
    def setUp(self):
        super().setUp()
        self.rules = self.of(sigstore_signed(self.world.crafted))

    def sign(self):
        self.uploads.attach(self.repository, self.digest, [self.world.cosigned(self.image, self.digest)])

    def through(self, proxy):
        """Options: the image's name leads to the proxy."""
        conf = self.write("registries.conf", f'[[registry]]\nprefix = "{self.host}"\n'
                          f'location = "{proxy.host}"\ninsecure = true\n')
        return "--registries-conf", conf

    def replace_signatures(self, change):
        """The .sig image after change(manifest)."""
        self.sign()
        tag = self.digest.replace(":", "-") + ".sig"
        text = json.loads(self.uploads.read(self.repository, tag))
        change(text)
        proxy = self.enterContext(CountingProxy(self.host))
        proxy.replace("/manifests/" + tag, 200, json.dumps(text).encode(), {"Content-Type": MANIFEST})
        return proxy

    def test_cve_2024_3727_digests_that_are_paths(self):
        """CVE-2024-3727: no digest out of a document becomes a path or URL unseen"""
        self.sign()
        self.allowed(self.image, self.rules)
        for digest in ("sha256:../../../../v2/", "../../etc/passwd", "sha256:" + "A" * 64, "sha256:" + "0" * 63,
                       "sha256:" + "0" * 65, "sha256:" + "0" * 63 + "/", "sha256", "", "md5:" + "0" * 32,
                       "sha256:%2e%2e%2f" + "0" * 55, "sha256:" + "0" * 63 + "\n", "http://127.0.0.1:1/x"):
            with self.subTest(digest):
                for place in "layers", "config":
                    def change(text, place=place, digest=digest):
                        (text[place][0] if place == "layers" else text[place])["digest"] = digest
                    proxy = self.replace_signatures(change)
                    self.denied(self.image, self.rules, *self.through(proxy), code="E_NOSIG")
                    self.assertEqual(proxy.gets("/blobs/"), [])
                    self.assertFalse([path for _, path, _ in proxy.requests if ".." in path or "%" in path])
                image = json.loads(self.uploads.read(self.repository, "1"))
                image["layers"][0]["digest"] = digest
                proxy = self.enterContext(CountingProxy(self.host))
                proxy.replace("/manifests/1", 200, json.dumps(image).encode(), {"Content-Type": MANIFEST})
                run = self.judge(self.image, policy(ACCEPT), *self.through(proxy), "--quiet", verb="pull")
                self.assertNotEqual(run.returncode, 0)
                self.assertEqual(proxy.gets("/blobs/"), [])

    def test_cve_2024_29902_cve_2024_29903_sizes_that_are_claimed(self):
        """CVE-2024-29902, CVE-2024-29903: neither sizes nor numbers are believed"""
        def larger(text):
            text["layers"][0]["size"] = 1 << 30
        proxy = self.replace_signatures(larger)
        self.denied(self.image, self.rules, *self.through(proxy), code="E_NOSIG")
        self.assertEqual(proxy.gets("/blobs/"), [])

        def more(text):
            text["layers"] *= 10000
        proxy = self.replace_signatures(more)
        self.denied(self.image, self.rules, *self.through(proxy), code="E_NOSIG")
        self.assertEqual(proxy.gets("/blobs/"), [])
        for size in -1, 0, 1 << 63, 1e300, "1", None, 1.5:
            def other(text, size=size):
                text["layers"][0]["size"] = size
            proxy = self.replace_signatures(other)
            run = self.judge(self.image, self.rules, *self.through(proxy))
            self.assertNotEqual(run.returncode, 0)

    def test_cve_2022_47633_ghsa_wfqx_gjrf_g28r_tag_is_resolved_once(self):
        """CVE-2022-47633, GHSA-wfqx-gjrf-g28r: one look at the tag; the rest is asked for by digest"""
        self.sign()
        other = self.world.image(self.host, self.repository, "other", marker="another")
        texts = [self.uploads.read(self.repository, tag) for tag in ("1", other)]
        for first, second in (texts, texts[::-1]):
            proxy = self.enterContext(CountingProxy(self.host))
            answers = iter([first])
            proxy.replace(f"/{self.repository}/manifests/1", 200, lambda *_, a=answers, t=second: (
                200, next(a, t)), {"Content-Type": MANIFEST})
            self.root = self.path("store-" + digest_of(first)[7:15])
            if first is texts[0]:
                self.pulls(self.image, self.rules, *self.through(proxy), marker="the first")
                self.good(self.sluice("unmount", self.path("bundle")))
            else:
                self.refuses(self.image, self.rules, *self.through(proxy), says=("E_NOSIG",))
            self.assertEqual(len([1 for _, path, _ in proxy.requests if path.endswith("/manifests/1")]), 1)

    def test_cve_2023_47630_digest_that_the_registry_names(self):
        """CVE-2023-47630: what a registry says of a digest is not what was signed"""
        self.sign()
        evil = self.world.image(self.host, self.repository, "evil", marker="evil")
        text = self.uploads.read(self.repository, evil)
        for reference in self.image, f"{self.name}@{self.digest}":
            proxy = self.enterContext(CountingProxy(self.host))
            for end in "1", self.digest:
                proxy.replace("/manifests/" + end, 200, text, {"Content-Type": MANIFEST,
                                                               "Docker-Content-Digest": self.digest})
            run = self.judge(reference, self.rules, *self.through(proxy), "--quiet", "--retry", "1", verb="pull")
            self.assertIn(run.returncode, (EXIT_POLICY, EXIT_INTEGRITY), run.stderr)
            self.assertEqual(self.in_store("images/sha256"), [])
            self.assertFalse(os.path.exists(self.path("bundle", "rootfs")))

    def test_cve_2021_41190_documents_of_two_kinds(self):
        """CVE-2021-41190: what can be read as a manifest and as an index is neither"""
        image = json.loads(self.uploads.read(self.repository, "1"))
        child = {"mediaType": MANIFEST, "digest": self.digest, "size": 1,
                 "platform": {"os": "linux", "architecture": "amd64"}}
        for text, kind in (({**image, "manifests": [child]}, MANIFEST), ({**image, "manifests": [child]}, INDEX),
                           ({**image, "manifests": []}, MANIFEST), (image, INDEX), ({**image, "mediaType": INDEX}, MANIFEST),
                           ({**image, "schemaVersion": 1}, MANIFEST), ({**image, "fsLayers": []}, MANIFEST)):
            data = json.dumps(text).encode()
            self.uploads.attach(self.repository, digest_of(data), [self.world.cosigned(self.image, digest_of(data))])
            proxy = self.enterContext(CountingProxy(self.host))
            proxy.replace("/manifests/1", 200, data, {"Content-Type": kind})
            run = self.judge(self.image, self.rules, *self.through(proxy), "--quiet", verb="pull")
            self.assertIn(run.returncode, (EXIT_FAILED, EXIT_INTEGRITY), run.stderr)
            self.refused(run.returncode, run=run)
            self.assertEqual(proxy.gets("/blobs/"), [])
        twice = json.dumps(image).encode().replace(b'"layers"', b'"layers": [], "layers"')
        proxy = self.enterContext(CountingProxy(self.host))
        proxy.replace("/manifests/1", 200, twice, {"Content-Type": MANIFEST})
        self.refused(EXIT_INTEGRITY, run=self.judge(self.image, self.rules, *self.through(proxy), verb="pull"))

    def test_cve_2020_15157_urls_of_others(self):
        """CVE-2020-15157: "urls" lead nowhere, neither those of layers nor those of signatures"""
        with CountingProxy() as elsewhere:
            urls = [elsewhere.url + "/layer"]

            def change(text):
                text["layers"][0]["urls"] = urls
            proxy = self.replace_signatures(change)
            self.denied(self.image, self.rules, *self.through(proxy), code="E_NOSIG")
            image = json.loads(self.uploads.read(self.repository, "1"))
            for place in "layers", "config":
                text = copy.deepcopy(image)
                (text[place][0] if place == "layers" else text[place])["urls"] = urls
                data = json.dumps(text).encode()
                self.uploads.attach(self.repository, digest_of(data),
                                    [self.world.cosigned(self.image, digest_of(data))])
                proxy = self.enterContext(CountingProxy(self.host))
                proxy.replace("/manifests/1", 200, data, {"Content-Type": MANIFEST})
                run = self.judge(self.image, self.rules, *self.through(proxy), "--creds", "user:secret", "--quiet",
                                 verb="pull")
                self.assertEqual(run.returncode, 0, run.stderr)  # the registry itself has it
                self.good(self.sluice("unmount", self.path("bundle")))
                self.assertNotIn("secret", run.stderr)
            self.assertEqual(elsewhere.requests, [])

    def test_guest_components_1398_key_data(self):
        """guest-components#1398: keyData of sigstoreSigned is base64"""
        self.sign()
        with open(self.world.crafted.public, "rb") as f:
            pem = f.read()
        key = {"type": "sigstoreSigned"}
        self.allowed(self.image, self.of({**key, "keyData": b64(pem)}))
        run = self.judge(self.image, self.of({**key, "keyData": pem.decode()}))
        self.assertNotEqual(run.returncode, 0)

    def test_rs_lists_and_members(self):
        """Rs: an empty list allows nothing; a member nobody knows is an error"""
        key = sigstore_signed(self.world.crafted)
        self.sign()
        self.allowed(self.image, self.rules)
        for text in (policy([]), policy(ACCEPT, {self.host: []}), self.of({**key, "typo": 1}),
                     {**self.rules, "more": 1}, {"transports": self.rules["transports"]},
                     policy(ACCEPT, {self.host: {"type": "unknown"}}), self.of({"type": "sigstoreSigned"})):
            self.not_a_policy(text)
            self.not_a_policy(text, registries_d=False)

    def test_cached_under_another_name(self):
        """Neither a store nor a verdict in it answers for another name, nor for another day"""
        self.uploads.push(*self.copy_of(), "open/" + self.repository, "1")
        rules = policy(ACCEPT, {f"{self.host}/attacks": sigstore_signed(self.world.crafted)})
        self.pulls(f"{self.host}/open/{self.repository}:1", rules)
        self.good(self.sluice("unmount", self.path("bundle")))
        self.refuses(self.image, rules, says=("E_NOSIG",))
        self.sign()
        self.pulls(self.image, rules)  # a denial is not kept
        self.good(self.sluice("unmount", self.path("bundle")))
        self.uploads.attach(self.repository, self.digest, [])
        self.refuses(self.image, rules, says=("E_NOSIG",))  # nor is an approval

    def copy_of(self):
        return self.world.layout("the first")

    def test_mirrors(self):
        """Rules are those of the name asked for, and a denial is not answered elsewhere"""
        mirror = self.enterContext(CountingProxy(self.host))
        conf = self.write("mirror.conf", '[[registry]]\nprefix = "vendor.example"\n'
                          f'location = "{self.host}"\ninsecure = true\n'
                          f'[[registry.mirror]]\nlocation = "{mirror.host}"\ninsecure = true\n')
        name = "vendor.example/" + self.repository + ":1"
        key = sigstore_signed(self.world.crafted)
        rules = policy(REJECT, {"vendor.example": key, mirror.host: ACCEPT, self.host: ACCEPT})
        self.refuses(name, rules, "--registries-conf", conf, says=("E_NOSIG",))
        self.assertTrue(mirror.gets("/manifests/"))
        self.uploads.attach(self.repository, self.digest, [self.world.cosigned(self.image, self.digest)])
        self.refuses(name, rules, "--registries-conf", conf, says=("E_SIG_IDENTITY",))
        self.uploads.attach(self.repository, self.digest, [self.world.cosigned(name, self.digest)])
        self.pulls(name, rules, "--registries-conf", conf, marker="the first")
        self.good(self.sluice("unmount", self.path("bundle")))
        self.denied(name, policy(ACCEPT, {"vendor.example": REJECT}), "--registries-conf", conf, code="E_REJECT")

    def test_layer_of_a_denied_image(self):
        """A layer that a denial threw away, or another image keeps, is verified on its own"""
        self.refuses(self.image, self.rules, says=("E_NOSIG",))
        self.pulls(self.image, policy(ACCEPT), marker="the first")
        self.good(self.sluice("unmount", self.path("bundle")))
        folder, _ = self.world.layout("the first")
        layer, lie = (make_image.layer({"marker": text}) for text in ("the first", "a lie"))
        descriptor = make_image.add_manifest(folder, [layer], diff_ids=[lie.diff_id])
        digest = self.uploads.push(folder, descriptor, self.repository, "lie")
        self.uploads.attach(self.repository, digest, [self.world.cosigned(self.name + ":lie", digest)])
        self.refused(EXIT_INTEGRITY, run=self.judge(self.name + ":lie", self.rules, "--quiet", verb="pull"))

    def test_two_policies_at_once(self):
        """The same image, pulled twice at once: one policy denies, one allows"""
        proxy = self.enterContext(CountingProxy(self.host))
        options = ("--tls-verify=false", *self.through(proxy), "--registries.d", self.signing.registries_d(),
                   "--quiet")
        image = "docker://" + self.image
        tag = self.digest.replace(":", "-") + ".sig"
        hold = proxy.hold("/blobs/", after=10, times=100)
        for denied_first in True, False:
            self.root = self.path(f"store-{denied_first}")
            rules = [self.signing.policy(r) for r in (self.rules, policy(ACCEPT))]
            children = []
            for path in rules if denied_first else rules[::-1]:
                bundle = self.path(f"bundle-{denied_first}-{len(children)}")
                children.append(self.start("pull", "--policy", path, *options, image, bundle))
                self.assertTrue(proxy.wait_for(len(children), "/manifests/1"))
            if denied_first:
                self.assertTrue(proxy.wait_for(1, tag))
            hold.release()
            ends = [self.finish(child) for child in children]
            codes = [code for code, _ in ends]
            self.assertEqual(codes, [EXIT_POLICY, 0] if denied_first else [0, EXIT_POLICY], ends)
            allowed = self.path(f"bundle-{denied_first}-{codes.index(0)}")
            with open(os.path.join(allowed, "rootfs", "marker"), encoding="utf-8") as f:
                self.assertEqual(f.read(), "the first")
            denied = self.path(f"bundle-{denied_first}-{codes.index(EXIT_POLICY)}")
            self.assertFalse(os.path.exists(os.path.join(denied, "rootfs")))
            self.assert_clean()
            self.assertEqual(len(self.in_store("layers/sha256")), 1)
            self.good(self.sluice("unmount", allowed))
            proxy.forget()


class Referrers(SigstoreCase):
    """A registry that has the referrers API itself."""

    @classmethod
    def setUpClass(cls):
        if go_tools.why_not():
            raise unittest.SkipTest(go_tools.why_not())
        super().setUpClass()
        cls.host = cls.world.referrers.host
        cls.uploads = Uploads(cls.host)

    def refer(self, *bundles, **how):
        return super().refer(*bundles, has_api=True, **how)

    def test_cyclic_referrers(self):
        """Artifacts of artifacts, and of themselves: only what names the image is looked at"""
        one, = self.refer(self.statement(predicateType="https://example.com/1"))
        two, = refer(self.uploads, self.repository, one["digest"], self.lab.bundle(self.digest), has_api=True)
        refer(self.uploads, self.repository, two["digest"], self.lab.bundle(self.digest), has_api=True)
        with CountingProxy(self.host) as proxy:
            rules = policy(REJECT, {proxy.host: self.by_bundle()["transports"]["docker"][self.host]})
            self.denied(f"{proxy.host}/{self.repository}:1", rules)
            self.assertEqual(len(proxy.gets("/referrers/")), 1)
            # An index that lists the image, and the list itself, as referrers of the image.
            lists = [{"mediaType": MANIFEST, "digest": self.digest, "size": 1, "artifactType": BUNDLE},
                     {"mediaType": INDEX, "digest": ZEROS, "size": 1, "artifactType": BUNDLE}, one, two]
            index = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": lists}).encode()
            proxy.replace("/referrers/" + self.digest, 200, index, {"Content-Type": INDEX})
            self.denied(f"{proxy.host}/{self.repository}:1", rules)
            self.assertEqual(len(proxy.gets("/referrers/")), 2)
        self.refer(self.lab.bundle(self.digest))
        self.allowed(self.image, self.by_bundle())

    def test_cve_2023_46737_endless_lists_of_referrers(self):
        """CVE-2023-46737: ten thousand referrers, and pages without end"""
        one, = self.refer(self.lab.bundle(self.digest))
        many = [{**one, "digest": f"sha256:{i:064x}"} for i in range(10000)]
        rules = self.by_bundle()["transports"]["docker"][self.host]
        self.allowed(self.image, self.by_bundle())
        for entries, link in ((many, False), ([one], True), ([], True)):
            index = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}).encode()
            path = f"/v2/{self.repository}/referrers/{self.digest}"
            more = {"Link": f'<{path}?n=1>; rel="next"'} if link else {}
            with CountingProxy(self.host) as proxy:
                proxy.replace(path, 200, index, {"Content-Type": INDEX, **more})
                run = self.judge(f"{proxy.host}/{self.repository}:1", policy(REJECT, {proxy.host: rules}), "--json")
                self.assertNotEqual(run.returncode, 0)
                self.assertIs(self.verdict(run)["allowed"], False)
                self.assertIn("E_FETCH", run.stderr)
                self.assertLess(len(proxy.requests), 150)

    def test_many_others(self):
        """A hundred referrers of other types, and bundles that say nothing, beside the good one"""
        self.refer(*[b"{%d" % i for i in range(50)], kind="application/spdx+json")
        self.refer(*[b'{"n": %d}' % i for i in range(50)])
        self.denied(self.image, self.by_bundle())
        self.refer(self.lab.bundle(self.digest))
        self.allowed(self.image, self.by_bundle())


if __name__ == "__main__":
    signature_case.main()
