#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Sigstore bundles over one manifest, whole and spoiled under a good signature, and what they are
judged by. What can be spoiled without signing again, tests spoil themselves.

    bundle_samples.py DIR
"""
import base64
import copy
import hashlib
import json
import sys

import sigstore_lab as lab_module
from sigstore_lab import DIGEST, PAYLOAD_TYPE, Lab, b64, pae, sha256, sign, sign_digest

OTHER_DIGEST = "sha256:" + hashlib.sha256(b"another manifest").hexdigest()
MANIFEST = b"an image manifest"
INDEX = json.dumps({"manifests": [{"digest": DIGEST}]}).encode()
INDEX_DIGEST = "sha256:" + hashlib.sha256(INDEX).hexdigest()
LATE = lab_module.SIGN_TIME + 3600  # a certificate lives for ten minutes


def dsse(lab, statement, payload_type=PAYLOAD_TYPE):
    """A bundle without log of any bytes under a good signature."""
    bundle = lab.bundle(log=None)
    payload = statement if isinstance(statement, bytes) else json.dumps(statement).encode()
    bundle["dsseEnvelope"] = {"payload": b64(payload), "payloadType": payload_type,
                              "signatures": [{"sig": b64(sign(lab.key, pae(payload_type, payload)))}]}
    return bundle


def statements(lab):
    good = json.loads(lab.statement(DIGEST))
    subject = good["subject"][0]
    return {
        "statement-annotated": {**good, "subject": [{**subject, "annotations": {"a": "b"}}]},
        "statement-second-subject": {**good, "subject": [{"digest": {"sha256": "00"}}, subject]},
        "statement-unknown-members": {**good, "more": [1, 2, 3]},
        "statement-other-type": {**good, "_type": "https://in-toto.io/Statement/v0.1"},
        "statement-without-type": {k: v for k, v in good.items() if k != "_type"},
        "statement-provenance": {**good, "predicateType": "https://slsa.dev/provenance/v1"},
        "statement-without-predicate-type": {k: v for k, v in good.items()
                                             if k != "predicateType"},
        "statement-longer-predicate-type": {**good, "predicateType": good["predicateType"] + "/"},
        "statement-other-digest": json.loads(lab.statement(OTHER_DIGEST)),
        "statement-upper-case": {**good, "subject": [
            {"digest": {"sha256": DIGEST[7:].upper()}}]},
        "statement-other-algorithm": {**good, "subject": [{"digest": {"sha512": DIGEST[7:]}}]},
        "statement-without-subject": {**good, "subject": []},
    }


def logged(lab, bundle, body, t):
    bundle["verificationMaterial"]["tlogEntries"] = [lab.rekor.add(body, t)]
    return bundle


def body_of(bundle):
    return base64.b64decode(bundle["verificationMaterial"]["tlogEntries"][0]["canonicalizedBody"])


def logs(lab):
    fulcio = lab.fulcio_signer()
    key = lab.bundle()
    late = lab.bundle(signer=fulcio)
    two_times = lab.bundle(signer=fulcio)
    two_times["verificationMaterial"]["tlogEntries"] += [lab.rekor.add(body_of(two_times), LATE)]
    stranger = Lab(seed="stranger")
    unknown = copy.deepcopy(key)
    unknown["verificationMaterial"]["tlogEntries"] = [stranger.rekor.add(body_of(key))]
    both = copy.deepcopy(unknown)
    both["verificationMaterial"]["tlogEntries"] += key["verificationMaterial"]["tlogEntries"]
    swapped = lab.bundle()
    swapped["verificationMaterial"]["tlogEntries"] = key["verificationMaterial"]["tlogEntries"]
    half = copy.deepcopy(both)
    half["verificationMaterial"]["tlogEntries"][0] = copy.deepcopy(
        swapped["verificationMaterial"]["tlogEntries"][0])
    half["verificationMaterial"]["tlogEntries"][0]["logIndex"] = "99"
    chain = lab.bundle(version="0.2", signer=fulcio)
    chain["verificationMaterial"]["x509CertificateChain"]["certificates"].append(
        {"rawBytes": b64(lab_module.cert_der(lab.fulcio_chain[-1]))})
    return {
        "log-unknown": unknown, "log-unknown-and-known": both, "log-swapped": swapped,
        "log-good-and-spoiled": half,
        "fulcio-late": logged(lab, late, body_of(late), LATE),
        "fulcio-one-time-late": two_times,
        "fulcio-v2-without-time": lab.bundle(signer=fulcio, log="v2"),
        "fulcio-other-issuer": lab.bundle(signer=lab.fulcio_signer(issuer="https://evil.example")),
        "fulcio-other-email": lab.bundle(signer=lab.fulcio_signer(email="mallory@example.com")),
        "fulcio-nolog": lab.bundle(signer=fulcio, log=None, timestamp=True),
        "fulcio-stranger": lab.bundle(signer=stranger.fulcio_signer()),
        "chain-with-root": chain,
        "pki-dsse": lab.bundle(signer=lab.pki_signer, log=None),
    }


def messages(lab):
    def message(digest, signed=MANIFEST):
        bundle = lab.bundle(content="message", log=None)
        bundle["messageSignature"] = {"signature": b64(sign_digest(lab.key, sha256(signed)))}
        if digest:
            bundle["messageSignature"]["messageDigest"] = {"algorithm": "SHA2_256",
                                                           "digest": b64(digest)}
        return bundle
    sha512 = message(None)
    sha512["messageSignature"]["messageDigest"] = {
        "algorithm": "SHA2_512", "digest": b64(hashlib.sha512(MANIFEST).digest())}
    return {
        "message-without-digest": message(None),
        "index-message-without-digest": message(None, INDEX),
        "message-sha512": sha512,
        "message-other-digest": message(sha256(b"another manifest")),
        "message-of-other": message(sha256(b"another manifest"), b"another manifest"),
        "message-of-other-without-digest": message(None, b"another manifest"),
        # Who signs the bytes of a digest, or its text, has not signed the manifest.
        "message-of-digest-text": message(None, DIGEST.encode()),
    }


def samples(lab):
    two = lab.bundle(log=None)
    two["dsseEnvelope"]["signatures"] *= 2
    return {
        **lab.sample_bundles(), **logs(lab), **messages(lab),
        "index-dsse": lab.bundle(INDEX_DIGEST),
        "index-message": lab.bundle(INDEX_DIGEST, content="message"),
        **{name: dsse(lab, statement) for name, statement in statements(lab).items()},
        "other-payload-type": dsse(lab, lab.statement(DIGEST), "application/json"),
        "two-signatures": two,
        "payload-alone-signed": unencoded(lab),
    }


def unencoded(lab):
    """The signature is over the payload without its type."""
    bundle = lab.bundle(log=None)
    signature = sign(lab.key, lab.statement(DIGEST))
    bundle["dsseEnvelope"]["signatures"] = [{"sig": b64(signature)}]
    return bundle


def main():
    folder = sys.argv[1]
    lab = Lab()
    for name, bundle in samples(lab).items():
        lab_module.write(folder, name + ".json", json.dumps(bundle, separators=(",", ":")) + "\n")
    lab_module.write(folder, "trusted_root.json", json.dumps(lab.trusted_root(),
                                                             separators=(",", ":")) + "\n")
    lab_module.write(folder, "logless_root.json", json.dumps({**lab.trusted_root(), "tlogs": []},
                                                             separators=(",", ":")) + "\n")
    lab_module.write(folder, "index.json", INDEX)
    for name, key in (("cosign", lab.key), ("other", lab.other_key), ("rekor", lab.rekor.key)):
        lab_module.write(folder, name + ".pub", lab_module.public_pem(key))
    for name, chain in (("fulcio", lab.fulcio_chain), ("pki", lab.pki_chain)):
        lab_module.write(folder, name + "_root.pem", lab_module.cert_pem(chain[-1]))
        lab_module.write(folder, name + "_intermediate.pem", lab_module.cert_pem(chain[0]))


if __name__ == "__main__":
    main()
