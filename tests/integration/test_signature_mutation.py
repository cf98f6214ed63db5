#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Each form of signature is accepted as it was made, and refused after any change: of a field or a
byte of the policy, of the signature, of what it signs, and of all evidence beside it, both as the
change is and signed anew by whoever signs there, so that nothing but the one check can object.

What survives must be in SURVIVORS, with its reason; what stands there and never survives is stale.

    test_signature_mutation.py JUDGE_DRIVER EVERY [FORM...]     one mutant in EVERY, stale is told for
                                                                all; forms alone: survivors are shown
"""
import base64
import collections
import concurrent.futures
import datetime
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))

# pylint: disable=wrong-import-position
import mutants
import sigstore_lab as lab_module
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, ObjectIdentifier
from sigstore_lab import (DIGEST, EMAIL, ISSUER, MANIFEST, PAYLOAD_TYPE, REFERENCE, SIGN_TIME, URI,
                          Lab, Signer, b64, cert_der, cert_pem, der, pae, public_pem, sha256, sign)

BATCH = 100  # OpenPGP messages that one keyring is opened for; a judge looks at 128
SHARE = 500  # cases that one driver judges
SPARSE = 7  # of DER, every so many bytes, where another form has all of them
SKIPPED = 77
HOST = REFERENCE.split("/", maxsplit=1)[0]

# What changes nothing, by "form: part: change", and why that is no harm. "at times": signatures
# and what is packed differ from run to run, and not each has such a place.
# DER places: certificates are 0.0 (what is signed), 0.1, 0.2 (signature); of a timestamp 0.1.1.0.3
# are the certificates that came with it, and 0.1.1.0.4.0 is the signer's part.
ROOT = r"(bundle fulcio dsse|bundle fulcio message v2|cosign fulcio rfc3161): trusted root: "
POLICY = r".*: policy: transports/docker/registry\.example\.com"
BODY = r".*: logged body, signed anew: "
TIMESTAMP = r".*: (bundle: .*/signedTimestamp|timestamp: SignedRFC3161Timestamp) decoded: "
SURVIVORS = [
    # What is signed.
    (r"bundle.*: image: (tag|name registry\.example\.com/).*",
     "a bundle names a digest and no repository; the policy says \"digest-only\""),
    (r"(cosign|simple).*: payload, signed anew: optional.*",
     "containers-signature(5): members under optional are informational"),
    (r".*: statement, signed anew: (predicate[ /].*| (- )?predicate( .*)?)",
     "the predicate of this type is empty, and says nothing"),
    (r".*: statement, signed anew:  \+ member", "in-toto: unknown members are ignored"),
    (r".*: statement, signed anew: subject twice 0", "one of the subjects must be the image"),
    (r".*: statement, signed anew: subject/0 \+ member", "names and annotations of a subject"),
    (r".*: index, signed anew: +(\+ member|.*schemaVersion.*)", "read where indexes are parsed"),
    (r".*: index, signed anew: manifests (null \+|\+ null|twice 0)", "another entry beside ours"),
    (r".*: index, signed anew: manifests/0( |/)(\+ member|.*size.*)",
     "the digest is compared, over bytes that are whole"),
    # OpenPGP.
    (r"simple.*: message: (in ZIP )?one-pass key id, byte .*", "announces: gpg goes by the signature"),
    (r"simple.*: message: (in ZIP )?one-pass last, byte .*", "any number but 0 ends the nesting"),
    (r"simple.*: message: (in ZIP )?literal date, byte .*", "RFC 4880 section 5.2.4: not signed"),
    (r"simple.*: message: (in ZIP )?signature unhashed, byte .*", "not signed: the issuer's key id"),
    (r"simple.*: message: in ZIP , byte .*", "at times: packed otherwise, the same unpacked"),
    (r"simple.*: message: (in ZIP )?signature bits of number, byte .*",
     "at times: another count of bits, in as many bytes, is the same number"),
    (r"simple.*: message: (in ZIP )?signature left 16 bits, byte .*",
     "RFC 4880 section 5.2.3: a quick test, for those who want one"),
    (r"simple.*: policy: .*/keyData decoded: (signature (unhashed|left 16 bits)|header of packet 2)"
     r", byte .*", "at times: the key's own certification, where it is not signed"),
    # Bundles.
    (r"bundle.*: bundle: verificationMaterial/publicKey(/hint| - hint| = \{\}).*",
     "the hint names a key, and proves nothing"),
    (r"bundle .*message.*: bundle: messageSignature( - messageDigest|/messageDigest = null)",
     "not signed: compared when it is there"),
    (r"bundle 0\.2 key dsse: bundle: mediaType last letter", "0.3: a good bundle of that version"),
    (r"bundle.*: bundle: .*/(integratedTime|logIndex|treeSize) as number",
     "ProtoJSON takes numbers for text"),
    (r"bundle.* key .*: bundle: verificationMaterial/tlogEntries/0(/inclusionPromise = null"
     r"| - inclusionPromise)", "the proof of inclusion is enough for a key"),
    (r"bundle.* v2: bundle: verificationMaterial/tlogEntries/0( - logIndex|/logIndex .*)",
     "the index of the proof counts; no promise signs this one"),
    (r"bundle.*: bundle: .*/checkpoint/envelope \+ (letter|blank|newline)",
     "lines that no log of ours has signed say nothing"),
    (r"bundle.*: checkpoint: twice line [345]", "one signature of the log's is enough"),
    (r"bundle.*: bundle: .*/x509CertificateChain/certificates twice [01]", "the same certificate"),
    (r"bundle 0\.2 fulcio dsse: bundle: .*/x509CertificateChain/certificates (- 1|/1/.*)"
     r"|bundle 0\.2 fulcio dsse: bundle: .*/x509CertificateChain/certificates/1/.*",
     "the trusted root has this intermediate"),
    (r"bundle.*: bundle: .*/rfc3161Timestamps twice 0", "one timestamp is enough"),
    # The log.
    (BODY + r"(\S+)? \+ member", "Rekor may add to its entries; those that we read are compared"),
    (BODY + r"spec(/| - | )envelopeHash.*", "of the envelope's JSON, which is not what was signed"),
    (BODY + r"spec/content(/| - | )hash\b.*", "of the envelope's JSON, which is not what was signed"),
    (BODY + r"spec/content/envelope(/| - | )payloadType.*", "the signature covers it, in the bundle"),
    (BODY + r"spec/.*(verifier|publicKey|content) last letter", "at times: white space behind PEM"),
    # Certificates that came along.
    (r"cosign.*: (certificate|chain): text (byte \d+|[-+] .* byte)|cosign.*: chain: doubled",
     "white space in PEM, or the same certificate again"),
    (r"cosign.*: chain: 1: .*", "the last of the chain is taken for the root, and not used"),
    (r"cosign fulcio rfc3161: (chain: .*|without chain)", "the trusted root has this intermediate"),
    # Timestamps.
    (TIMESTAMP + r"0\.0\.0 content 0", "granted with modifications"),
    (TIMESTAMP + r"0\.1\.1\.0\.(0|4\.0\.0) content 0", "versions of CMS"),
    (TIMESTAMP + r"0\.1\.1\.0\.3\..*", "certificates in the token are hints"),
    (TIMESTAMP + r"0\.1\.1\.0\.4\.0\.1\.0(\..*| tag)", "the signer's name, compared as names are: X.509 folds "
     "case and kinds of strings"),
    (TIMESTAMP + r"0\.1\.1\.0\.4\.0\.4\.0 content .*",
     "the algorithm follows from the key and the digest algorithm"),
    (TIMESTAMP + r"0\.1\.1\.0\.4\.0\.3\.\d+\.1 tag",
     "at times: a SET without the bit that says so; what is signed is encoded anew before"),
    # What the operator trusts: another document, and as good.
    (r".*: policy: default twice 0", "another scope decides"),
    (POLICY.replace("/registry", " registry") + r" in other case", "names of hosts have no case"),
    (POLICY + r" twice 0", "the same requirement twice"),
    (POLICY + r"/0 - (rekorPublicKeyData|x-trustedRootData)", "less is demanded"),
    (POLICY + r"/0/pki( - subject(Email|Hostname)|/subject(Email|Hostname) = \"\")",
     "less is demanded; empty is absent, as containers-policy.json(5) has it"),
    (POLICY + r"/0/pki/subjectHostname other case", "DNS names have no case"),
    (POLICY + r"/.*Data decoded: text .*", "white space in PEM"),
    (POLICY + r"/.*ca(|Roots|Intermediates)Data decoded: doubled", "the same certificate twice"),
    (POLICY + r"/.*ca(|Roots|Intermediates)Data decoded: 0: 0\..*",
     "what says nothing of an anchor: its own signature, serial number, key identifiers"),
    (POLICY + r"/.*Data last letter", "at times: white space behind PEM"),
    # The trusted root, likewise.
    (ROOT + r"(certificateA|timestampA)uthorities/0(/| - )(subject|uri).*", "names, for people"),
    (ROOT + r"ctlogs/0(/| - )baseUrl.*", "an address; the key is compared"),
    (r"bundle fulcio dsse: trusted root: tlogs/0(/| - )baseUrl.*",
     "a v1 log is known by its key alone"),
    (r"bundle fulcio (dsse: trusted root: tlogs/1|message v2: trusted root: tlogs/0)[/ ].*",
     "a log that has no entry here"),
    (r"bundle fulcio message v2: trusted root: tlogs/1/baseUrl (blank \+|first letter)",
     "of an address only the host counts"),
    (ROOT + r"\w+ twice \d", "the same trust twice"),
    (ROOT + r"tlogs reversed", "order has no meaning"),
    (r"bundle fulcio (dsse: trusted root: tlogs - 1|message v2: trusted root: tlogs - 0)",
     "a log that has no entry here"),
    (r"cosign fulcio rfc3161: trusted root:  - tlogs|cosign fulcio rfc3161: trusted root: tlogs = "
     r"null", "it has none"),
    (r"bundle fulcio dsse: trusted root: (timestampAuthorities (- 0|= (\[\]|null))"
     r"| - timestampAuthorities|timestampAuthorities/0/.*)", "no timestamp is here"),
    (ROOT + r"\w+Authorities/0/certChain/certificates (- \d|twice \d|reversed)",
     "each is trusted, as the policy's own; intermediates come with the signature too"),
    (ROOT + r"certificateAuthorities/0/certChain/certificates/\d/rawBytes .*",
     "what says nothing of an anchor; intermediates come with the signature too"),
    (ROOT + r"timestampAuthorities/0/certChain/certificates/[12]/rawBytes .*",
     "what says nothing of an anchor; intermediates come with the timestamp too"),
]


# ---- cases ----

ANNOTATIONS = {"signature": "dev.cosignproject.cosign/signature",
               "certificate": "dev.sigstore.cosign/certificate",
               "chain": "dev.sigstore.cosign/chain", "rekor": "dev.sigstore.cosign/bundle",
               "timestamp": "dev.sigstore.cosign/rfc3161timestamp"}


def policy_of(**requirement):
    return json.dumps({"default": [{"type": "reject"}],
                       "transports": {"docker": {HOST: [requirement]}}}).encode()


def case_of(policy, kind, content, **annotations):
    return {"policy": policy, "image": REFERENCE.encode(), "manifest": MANIFEST, "index": b"",
            "kind": kind, "bytes": content, **annotations}


def cosign_case(policy, layer):
    payload, annotations = layer
    return case_of(policy, "cosign", payload, **{
        name: annotations[long].encode() for name, long in ANNOTATIONS.items()
        if long in annotations})


def bundle_case(policy, bundle):
    return case_of(policy, "bundle", json.dumps(bundle).encode())


def write_field(out, name, data=b""):
    out += [b"%s %d\n" % (name.encode(), len(data)), data]


def write_case(out, case, kept):
    for name in ("policy", "image", "manifest", "index"):
        if kept.get(name) != case[name]:
            write_field(out, name, case[name])
            kept[name] = case[name]
    for content in case.get("messages") or [case["bytes"]]:
        write_field(out, case["kind"], content)
    for name in ANNOTATIONS:
        if name in case:
            write_field(out, name, case[name])
    write_field(out, "judge")


def judge(driver, cases):
    out = []
    kept = {}
    for case in cases:
        write_case(out, case, kept)
    said = subprocess.run([driver], input=b"".join(out), capture_output=True, check=False)
    answers = said.stdout.decode().splitlines()
    if said.returncode != 0 or len(answers) != len(cases):
        raise RuntimeError(f"{driver}: status {said.returncode}, {len(answers)} answers to "
                           f"{len(cases)} cases: {said.stderr.decode()[-2000:]}")
    return answers


# ---- parts that all forms have ----

def of_image(base):
    name = base["image"].decode()
    path = name.split("/", 1)[1]
    for what, new in (("tag", "2"), ("tag", "10"), ("tag", "1.0")):
        yield f"{what} {new}", {**base, "image": name.rsplit(":", 1)[0].encode() + b":" + new.encode()}
    for new in (HOST + "/lab/image2:1", HOST + "/lab:1", HOST + "/other/image:1",
                HOST + "/lab/image/more:1", HOST + ":5000/" + path, "evil" + HOST + "/" + path,
                HOST + ".evil/" + path, "docker.io/" + path):
        yield "name " + new, {**base, "image": new.encode()}
    for what, new in mutants.of_bytes(base["manifest"]):
        yield "manifest " + what, {**base, "manifest": new}


def of_pem(pem, step=1):
    """Of the DER in each block."""
    blocks = pem.split("-----END ")[:-1]
    for i, block in enumerate(blocks):
        lines = block.strip().splitlines()
        start = next(k for k, line in enumerate(lines) if line.startswith("-----BEGIN"))
        label = lines[start].strip("-")[len("BEGIN "):]
        for what, new in mutants.of_der(base64.b64decode("".join(lines[start + 1:])), step):
            text = f"-----BEGIN {label}-----\n{b64(new)}\n-----END {label}-----\n"
            others = [b for b in pem.split(f"-----END {label}-----\n") if b.strip()]
            others[i] = None
            yield f"{i}: {what}", "".join(
                text if o is None else o + f"-----END {label}-----\n" for o in others)
    for what, new in mutants.of_bytes(pem.encode(), step=7 * step):
        if all(0 < byte < 0x80 for byte in new):
            yield "text " + what, new.decode()
    if len(blocks) > 1:
        yield "without the first", "-----BEGIN" + pem.split("-----BEGIN", 2)[2]
    yield "doubled", pem + pem


def of_policy_pem(step):
    def mutate(data):
        for what, new in of_pem(data.decode(), step):
            yield what, new.encode()
    return mutate


def of_policy(base, step):
    text = base["policy"].decode()
    for what, new in mutants.of_json(text):
        yield what, {**base, "policy": new}
    scope = f"transports/docker/{HOST}/0/"
    paths = {scope + member: of_policy_pem(step) for member in (
        "keyData", "rekorPublicKeyData", "x-ctKeyData", "fulcio/caData", "pki/caRootsData",
        "pki/caIntermediatesData")}
    for what, new in mutants.of_json_bytes(text, paths):
        yield what, {**base, "policy": new}


def of_der(step):
    return lambda data: mutants.of_der(data, step)


ROOT_BYTES = {"tlogs/0/publicKey/rawBytes", "tlogs/1/publicKey/rawBytes",
              "ctlogs/0/publicKey/rawBytes", "tlogs/0/logId/keyId", "tlogs/1/logId/keyId",
              "ctlogs/0/logId/keyId",
              *(f"{who}/0/certChain/certificates/{i}/rawBytes"
                for who in ("certificateAuthorities", "timestampAuthorities") for i in range(3))}


def of_trusted_root(base):
    policy = json.loads(base["policy"])
    requirement = policy["transports"]["docker"][HOST][0]
    text = base64.b64decode(requirement["x-trustedRootData"]).decode()
    walk = [mutants.of_json(text),
            mutants.of_json_bytes(text, {p: of_der(3) if "Bytes" in p else mutants.of_bytes
                                         for p in ROOT_BYTES})]
    for part in walk:
        for what, new in part:
            requirement["x-trustedRootData"] = b64(new)
            yield what, {**base, "policy": json.dumps(policy).encode()}


# ---- the lab, with each log as it was ----

class Workshop:
    def __init__(self, gnupg):
        self.gnupg = gnupg  # a home of gpg's
        self.lab = Lab()
        self.stranger = Lab("a stranger")

    def fresh(self):
        for log in (self.lab.rekor, self.lab.rekor2):
            del log.bodies[log.FILLERS:]
        return self.lab

    def leaf(self, subject=EMAIL, issuers=(ISSUER, ISSUER), eku=ExtendedKeyUsageOID.CODE_SIGNING,
             ca=False, start=-30, end=570, ct_log=None, sct=True, sct_issuer=None, parent=None,
             more=()):
        """A certificate of this lab's Fulcio, in all ways that it could be wrong."""
        lab = self.lab
        parent = parent or (lab.fulcio_key, lab.fulcio_chain[0])
        key = lab.new_key(f"fulcio leaf {EMAIL}")
        general = (x509.UniformResourceIdentifier if ":" in subject else x509.RFC822Name)(subject)
        extensions = [(x509.SubjectAlternativeName([general]), True), *more]
        oids = (lab_module.OID_ISSUER_V1, lab_module.OID_ISSUER_V2)
        values = (issuers[0] and issuers[0].encode(),
                  issuers[1] and der(0x0C, issuers[1].encode()))
        extensions += [(x509.UnrecognizedExtension(o, v), False)
                       for o, v in zip(oids, values) if v]
        begin = datetime.datetime.utcfromtimestamp(SIGN_TIME)

        def issue(more):
            return lab_module.certificate(
                key, x509.Name([]), parent, begin + datetime.timedelta(seconds=start),
                begin + datetime.timedelta(seconds=end), ca=ca, eku=eku,
                extensions=extensions + more)
        more = []
        if sct:
            more = [((ct_log or lab.ct_log).sct_extension(
                issue([]), sct_issuer or parent[0], SIGN_TIME - 30), False)]
        return Signer(key, issue(more), lab.fulcio_chain)

    def spoiled_leaves(self):
        lab, stranger = self.lab, self.stranger
        other_oid = ObjectIdentifier("1.3.6.1.4.1.57264.99")
        early = datetime.datetime.utcfromtimestamp(SIGN_TIME - 60)
        key = lab.new_key("expired intermediate")
        root_key = lab.new_key("fulcio root")
        expired = (key, lab_module.certificate(
            key, lab_module.name_of("expired intermediate"), (root_key, lab.fulcio_chain[1]),
            end=early, ca=True, path_length=0, eku=ExtendedKeyUsageOID.CODE_SIGNING))
        for what, how in (
                ("other e-mail", {"subject": "mallory@example.com"}),
                ("e-mail with another case", {"subject": EMAIL.replace("signer", "Signer")}),
                ("e-mail as URI", {"subject": "mailto:" + EMAIL}),
                ("longer e-mail", {"subject": EMAIL + ".evil"}),
                ("other issuer", {"issuers": (ISSUER + "x", ISSUER + "x")}),
                ("issuers that differ", {"issuers": (ISSUER, ISSUER + "x")}),
                ("no issuer", {"issuers": (None, None)}),
                ("other EKU", {"eku": ExtendedKeyUsageOID.SERVER_AUTH}),
                ("no EKU", {"eku": None}),
                ("any EKU", {"eku": ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}),
                ("a CA", {"ca": True}),
                ("not yet valid", {"start": 1}),
                ("no longer valid", {"end": -1}),
                ("no SCT", {"sct": False}),
                ("SCT of another log", {"ct_log": stranger.ct_log}),
                ("SCT over another issuer", {"sct_issuer": stranger.fulcio_key}),
                ("unknown critical extension", {"more": [
                    (x509.UnrecognizedExtension(other_oid, b"\5\0"), True)]}),
                ("another CA", {"parent": (stranger.fulcio_key, stranger.fulcio_chain[0])}),
                ("expired intermediate", {"parent": expired})):
            signer = self.leaf(**how)
            if what == "expired intermediate":
                signer.chain = [expired[1], lab.fulcio_chain[1]]
            yield what, signer


def expand(label, mutate, wrap):
    """Mutants of a part, and the case around each."""
    for what, new in mutate:
        case = wrap(new)
        if case is not None:
            yield f"{label}: {what}", case


# ---- cosign's signatures ----

class CosignForm:
    """step: 1 when each byte of its evidence is changed, or SPARSE."""

    def __init__(self, shop, name, kind, requirement, step=1, without=()):
        self.shop, self.name, self.kind, self.step, self.without = shop, name, kind, step, without
        self.policy = policy_of(type="sigstoreSigned", **requirement)
        if kind.startswith("key"):
            self.signer = shop.lab.key_signer()
        elif kind == "pki":
            self.signer = shop.lab.pki_signer
        else:
            self.signer = shop.lab.fulcio_signer(**({"uri": URI} if "uri" in kind else {}))
        self.is_keyless = kind.startswith(("fulcio", "rfc3161"))

    def make(self, payload=None, signer=None):
        lab = self.shop.fresh()
        signer = signer or self.signer
        if payload is not None:
            lab.cosign_payload = lambda *_: payload
        case = cosign_case(self.policy, lab.cosign_layer(self.kind, signer=signer))
        if payload is not None:
            del lab.cosign_payload
        return {k: v for k, v in case.items() if k not in self.without}

    def _log_annotation(self, body, t=SIGN_TIME):
        self.shop.fresh()
        return self.shop.lab.log_annotation(body, t)

    def _of_log(self, base):
        text = base["rekor"].decode()
        body = base64.b64decode(json.loads(text)["Payload"]["body"])

        def put(new):
            return {**base, "rekor": new}
        yield from expand("log", mutants.of_json(text), put)
        yield from expand("log", mutants.of_json_bytes(text, {
            "SignedEntryTimestamp": of_der(self.step),
            "Payload/body": lambda b: mutants.of_bytes(b, step=3)}), put)
        for what, new in mutants.of_json(body.decode()):
            yield f"logged body: {what}", {**base, "rekor": self._patched(text, new)}
            yield f"logged body, signed anew: {what}", put(self._signed_log(text, new))
        log_id = "00" + self.shop.lab.rekor.id.hex()[2:]
        yield "SET signed anew: log id", put(self._signed_log(text, body, logID=log_id))
        yield "SET signed anew: log id, upper case", put(self._signed_log(
            text, body, logID=self.shop.lab.rekor.id.hex().upper()))
        for t in (-1, 0, SIGN_TIME - 31, SIGN_TIME + 571, 2 ** 53):
            if self.is_keyless or t < 0 or t >= 2 ** 53:
                yield f"SET signed anew: time {t - SIGN_TIME}", put(
                    self._signed_log(text, body, integratedTime=t))
        for index in (-1, 2 ** 53):
            yield f"SET signed anew: index {index}", put(
                self._signed_log(text, body, logIndex=index))
        stranger = self.shop.stranger.rekor
        yield "SET of another log", put(self._signed_log(text, body, stranger,
                                                         logID=stranger.id.hex()))
        yield "SET of another log under this one's id", put(self._signed_log(text, body, stranger))

    @staticmethod
    def _patched(text, body):
        log = json.loads(text)
        log["Payload"]["body"] = b64(body)
        return json.dumps(log).encode()

    def _signed_log(self, text, body, log=None, **changes):
        said = json.loads(text)
        said["Payload"].update(body=b64(body), **changes)
        said["SignedEntryTimestamp"] = b64(sign((log or self.shop.lab.rekor).key,
                                                lab_module.canonical(said["Payload"])))
        return json.dumps(said).encode()

    def _of_timestamp(self, base):
        text = base["timestamp"].decode()
        raw = base64.b64decode(base["signature"])
        yield from expand("timestamp", mutants.of_json(text),
                          lambda new: {**base, "timestamp": new})
        yield from expand("timestamp", mutants.of_json_bytes(
            text, {"SignedRFC3161Timestamp": of_der(self.step)}),
            lambda new: {**base, "timestamp": new})
        for what, response in spoiled_timestamps(self.shop, raw, self.is_keyless):
            yield "timestamp made anew: " + what, {**base, "timestamp": json.dumps(
                {"SignedRFC3161Timestamp": b64(response)}).encode()}

    def mutants(self, base):
        payload = base["bytes"]
        yield from expand("image", of_image(base), lambda new: new)
        yield from expand("policy", of_policy(base, self.step), lambda new: new)
        yield from expand("payload", mutants.of_bytes(payload), lambda new: {**base, "bytes": new})
        yield from expand("payload, signed anew", mutants.of_json(payload.decode()), self.make)
        yield from expand("signature", mutants.of_der(base64.b64decode(base["signature"])),
                          lambda new: {**base, "signature": b64(new).encode()})
        text = base["signature"].decode()
        for what, new in (("without padding", text.rstrip("=")), ("+ blank", text + " "),
                          ("+ newline", text + "\n"), ("URL alphabet", base64.urlsafe_b64encode(
                              b"\xff" + base64.b64decode(text)).decode()), ("doubled", text * 2)):
            if new != text:
                yield "signature: text " + what, {**base, "signature": new.encode()}
        for name in ANNOTATIONS:
            if name in base:
                yield f"without {name}", {k: v for k, v in base.items() if k != name}
        other = sign(self.shop.lab.other_key, payload)
        yield "signature of another key", {**base, "signature": b64(other).encode()}
        for name in ("certificate", "chain"):
            if name in base:
                yield from expand(name, of_pem(base[name].decode(), self.step),
                                  lambda new, name=name: {**base, name: new.encode()})
        if "rekor" in base:
            yield from self._of_log(base)
        if "timestamp" in base:
            yield from self._of_timestamp(base)
        if self.is_keyless and "uri" not in self.kind:
            for what, signer in self.shop.spoiled_leaves():
                yield "certificate issued anew: " + what, self.make(signer=signer)
        if b"x-trustedRootData" in base["policy"] and self.step == 1:
            yield from expand("trusted root", of_trusted_root(base), lambda new: new)


def spoiled_timestamps(shop, raw, is_keyless):
    tsa = shop.lab.tsa
    yield "over other bytes", tsa.response(raw + b"\0")
    yield "by a stranger", shop.stranger.tsa.response(raw)
    yield "status 2", tsa.response(raw, status=2)
    yield "imprint SHA-1", tsa.response(raw, hash_name="sha1")
    yield "signature over SHA-1", tsa.response(raw, signature_hash="sha1")
    yield "before the authority", tsa.response(
        raw, t=int(lab_module.CA_START.replace(tzinfo=datetime.timezone.utc).timestamp()) - 1)
    if is_keyless:
        yield "before the certificate", tsa.response(raw, t=SIGN_TIME - 31)
        yield "behind the certificate", tsa.response(raw, t=SIGN_TIME + 571)


# ---- bundles ----

class BundleForm:
    def __init__(self, shop, name, requirement, signer=None, step=SPARSE, **how):
        self.shop, self.name, self.step, self.how = shop, name, step, how
        self.policy = policy_of(type="sigstoreSigned", **{"x-bundles": "digest-only"},
                                **requirement)
        self.signer = signer or shop.lab.key_signer()

    def bundle(self, **how):
        return self.shop.fresh().bundle(signer=how.pop("signer", self.signer),
                                        **{**self.how, **how})

    def make(self, **how):
        return bundle_case(self.policy, self.bundle(**how))

    def _log(self):
        return self.shop.lab.rekor2 if self.how.get("log") == "v2" else self.shop.lab.rekor

    def _paths(self):
        """Members that are base64."""
        material = "verificationMaterial/"
        paths = {"dsseEnvelope/payload": mutants.of_bytes,
                 "dsseEnvelope/signatures/0/sig": of_der(self.step),
                 "messageSignature/messageDigest/digest": mutants.of_bytes,
                 "messageSignature/signature": of_der(self.step),
                 material + "publicKey/hint": lambda b: mutants.of_bytes(b, step=8),
                 material + "certificate/rawBytes": of_der(self.step),
                 material + "timestampVerificationData/rfc3161Timestamps/0/signedTimestamp":
                     of_der(self.step)}
        for i in range(2):
            paths[f"{material}x509CertificateChain/certificates/{i}/rawBytes"] = of_der(self.step)
        entry = material + "tlogEntries/0/"
        paths[entry + "logId/keyId"] = mutants.of_bytes
        paths[entry + "canonicalizedBody"] = lambda b: mutants.of_bytes(b, step=3)
        paths[entry + "inclusionPromise/signedEntryTimestamp"] = of_der(self.step)
        paths[entry + "inclusionProof/rootHash"] = mutants.of_bytes
        for i in range(4):
            paths[f"{entry}inclusionProof/hashes/{i}"] = mutants.of_bytes
        return paths

    @staticmethod
    def _entry(bundle):
        return bundle["verificationMaterial"]["tlogEntries"][0]

    def _relog(self, bundle, body):
        """The same bundle with another body in the log, which has taken it as it is."""
        bundle = json.loads(json.dumps(bundle))
        self.shop.fresh()
        old = self._entry(bundle)
        entry = self._log().add(body, kind_version=old["kindVersion"])
        if "inclusionProof" not in old:
            del entry["inclusionProof"]
        bundle["verificationMaterial"]["tlogEntries"] = [entry]
        return bundle

    def _of_body(self, bundle):
        body = base64.b64decode(self._entry(bundle)["canonicalizedBody"])
        for what, new in mutants.of_json(body.decode()):
            patched = json.loads(json.dumps(bundle))
            self._entry(patched)["canonicalizedBody"] = b64(new)
            yield f"logged body: {what}", bundle_case(self.policy, patched)
            yield f"logged body, signed anew: {what}", bundle_case(self.policy,
                                                                   self._relog(bundle, new))

    def _of_checkpoint(self, bundle):
        note = self._entry(bundle)["inclusionProof"]["checkpoint"]["envelope"]
        log = self._log()

        def put(new):
            patched = json.loads(json.dumps(bundle))
            self._entry(patched)["inclusionProof"]["checkpoint"]["envelope"] = new
            return bundle_case(self.policy, patched)
        for i, letter in enumerate(note):
            where = note[:i].count("\n")
            yield (f"checkpoint: line {where} letter {i}",
                   put(note[:i] + chr(ord(letter) ^ 1) + note[i + 1:]))
        lines = note.split("\n")
        for i in range(len(lines)):
            yield f"checkpoint: - line {i}", put("\n".join(lines[:i] + lines[i + 1:]))
            yield f"checkpoint: twice line {i}", put("\n".join(lines[:i + 1] + lines[i:]))
        text = lines[:3]
        for what, new in (
                ("origin", [text[0] + "x"] + text[1:]), ("no origin", text[1:]),
                ("other host", [text[0].replace("rekor", "evil")] + text[1:]),
                ("size + 1", [text[0], str(int(text[1]) + 1), text[2]]),
                ("0 + size", [text[0], "0" + text[1], text[2]]),
                ("size + blank", [text[0], text[1] + " ", text[2]]),
                ("other root", text[:2] + [b64(sha256(b"another"))]),
                ("root without padding", text[:2] + [text[2].rstrip("=")]),
                ("no root", text[:2]), ("size and root exchanged", [text[0], text[2], text[1]])):
            body = "".join(line + "\n" for line in new)
            yield (f"checkpoint, signed anew: {what}",
                   put(body + "\n" + log.signature_line(body)))
        body = "".join(line + "\n" for line in text)
        other = self.shop.stranger.rekor2 if log.is_v2 else self.shop.stranger.rekor
        line = other.signature_line(body)
        yield "checkpoint by another log", put(body + "\n" + line)
        raw = base64.b64decode(line.split()[2])
        yield "checkpoint by another log under this one's hint", put(
            body + "\n\u2014 %s %s\n" % (log.host, b64(log.id[:4] + raw[4:])))
        yield "checkpoint with another name at the signature", put(
            body + "\n" + log.signature_line(body).replace(log.host, "evil.example.com"))

    def _of_promise(self, bundle):
        log = self.shop.lab.rekor
        old = self._entry(bundle)
        body = base64.b64decode(old["canonicalizedBody"])

        def put(t=SIGN_TIME, index=int(old["logIndex"]), log_id=log.id, key=log.key):
            patched = json.loads(json.dumps(bundle))
            payload = lab_module.canonical({"body": b64(body), "integratedTime": t,
                                            "logID": log_id.hex(), "logIndex": index})
            self._entry(patched).update(
                integratedTime=str(t), logIndex=str(index), logId={"keyId": b64(log_id)},
                inclusionPromise={"signedEntryTimestamp": b64(sign(key, payload))})
            return bundle_case(self.policy, patched)
        yield "SET signed anew: log id", put(log_id=bytes([log.id[0] ^ 1]) + log.id[1:])
        yield "SET by another log", put(key=self.shop.stranger.rekor.key)
        yield "SET by another log and its id", put(key=self.shop.stranger.rekor.key,
                                                   log_id=self.shop.stranger.rekor.id)
        yield "SET signed anew: time 2^53", put(t=2 ** 53)
        yield "SET signed anew: index 2^53", put(index=2 ** 53)
        yield "SET signed anew: negative time", put(t=-1)
        if self.signer.cert:
            yield "SET signed anew: before the certificate", put(t=SIGN_TIME - 31)
            yield "SET signed anew: behind the certificate", put(t=SIGN_TIME + 571)

    def _of_envelope(self, bundle):
        statement = base64.b64decode(bundle["dsseEnvelope"]["payload"])
        for what, new in mutants.of_json(statement.decode()):
            yield f"statement, signed anew: {what}", self.make(statement=new)
        for kind in (PAYLOAD_TYPE + "x", "application/vnd.in-toto+JSON", "application/json", ""):
            yield f"payload type signed anew: {kind}", self._with_payload_type(statement, kind)

    def _with_payload_type(self, statement, kind):
        saved = lab_module.PAYLOAD_TYPE
        lab_module.PAYLOAD_TYPE = kind
        case = self.make(statement=statement)
        lab_module.PAYLOAD_TYPE = saved
        return case

    def _of_timestamp(self, bundle):
        signed = bundle.get("messageSignature") or {
            "signature": bundle["dsseEnvelope"]["signatures"][0]["sig"]}
        raw = base64.b64decode(signed["signature"])
        for what, response in spoiled_timestamps(self.shop, raw, self.signer.cert is not None):
            patched = json.loads(json.dumps(bundle))
            patched["verificationMaterial"]["timestampVerificationData"] = {
                "rfc3161Timestamps": [{"signedTimestamp": b64(response)}]}
            yield "timestamp made anew: " + what, bundle_case(self.policy, patched)

    def mutants(self, base):
        text = base["bytes"].decode()
        bundle = json.loads(text)
        material = bundle["verificationMaterial"]

        def put(new):
            return {**base, "bytes": new}
        yield from expand("image", of_image(base), lambda new: new)
        yield from expand("policy", of_policy(base, self.step), lambda new: new)
        yield from expand("bundle", mutants.of_json(text), put)
        yield from expand("bundle", mutants.of_json_bytes(text, self._paths()), put)
        if "dsseEnvelope" in bundle:
            yield from self._of_envelope(bundle)
        else:
            yield "message of another manifest", self.make(
                digest="sha256:" + sha256(b"another").hex())
        yield "signature of another key", self.make(signer=Signer(self.shop.lab.other_key,
                                                                  self.signer.cert))
        if "tlogEntries" in material:
            yield from self._of_body(bundle)
            if "inclusionProof" in self._entry(bundle):
                yield from self._of_checkpoint(bundle)
            if "inclusionPromise" in self._entry(bundle):
                yield from self._of_promise(bundle)
        if "timestampVerificationData" in material:
            yield from self._of_timestamp(bundle)
        if self.signer.cert and "uri" not in self.name:
            for what, signer in self.shop.spoiled_leaves():
                yield "certificate issued anew: " + what, self.make(signer=signer)
        if b"x-trustedRootData" in base["policy"] and self.step == 1:
            yield from expand("trusted root", of_trusted_root(base), lambda new: new)


# ---- signatures over an index ----

class IndexForm:
    """The index is signed that names the manifest; nothing else of it is changed here."""

    def __init__(self, shop, name, policy, kind):
        self.shop, self.name, self.policy, self.kind = shop, name, policy, kind

    def make(self, index=None):
        lab = self.shop.fresh()
        index = index or json.dumps({"schemaVersion": 2, "manifests": [
            {"digest": DIGEST, "size": len(MANIFEST)}]}).encode()
        digest = "sha256:" + hashlib.sha256(index).hexdigest()
        if self.kind == "cosign":
            case = cosign_case(self.policy, lab.cosign_layer("key", digest))
        else:
            case = bundle_case(self.policy, lab.bundle(digest, content=self.kind, log=None))
        return {**case, "index": index}

    def mutants(self, base):
        for what, new in mutants.of_bytes(base["index"]):
            yield f"index: {what}", {**base, "index": new}
        for what, new in mutants.of_json(base["index"].decode()):
            yield f"index: {what}", {**base, "index": new}
            yield f"index, signed anew: {what}", self.make(new)
        for what, new in mutants.of_bytes(base["manifest"]):
            yield f"manifest: {what}", {**base, "manifest": new}
        yield "without index", {**base, "index": b""}


# ---- simple signing ----

class SimpleForm:
    """OpenPGP messages by gpg. Each mutant that looks whole costs a gpg."""

    def __init__(self, shop, name, algorithm, options):
        self.shop, self.name, self.algorithm, self.options = shop, name, algorithm, options
        self.is_compressed = "zip" in options

    def _gpg(self, *args, **more):
        return subprocess.run(
            ["gpg", "--homedir", self.shop.gnupg, "--batch", "--yes", "--no-tty", "--quiet",
             "--pinentry-mode", "loopback", "--passphrase", "", "--trust-model", "always", *args],
            check=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more).stdout

    def _sign(self, payload, *options):
        return self._gpg("-u", self.algorithm + "@example.org", *self.options, *options, "--sign",
                         input=payload)

    @staticmethod
    def _payload():
        return json.dumps({"critical": {
            "identity": {"docker-reference": REFERENCE},
            "image": {"docker-manifest-digest": DIGEST}, "type": "atomic container signature"},
            "optional": {"creator": "a test", "timestamp": SIGN_TIME}},
            separators=(",", ":")).encode()

    def make(self):
        self._gpg("--quick-gen-key", self.algorithm + "@example.org", self.algorithm, "sign",
                  "never")
        key = self._gpg("--export", self.algorithm + "@example.org")
        policy = policy_of(type="signedBy", keyType="GPGKeys", keyData=b64(key))
        return case_of(policy, "simple", self._sign(self._payload()))

    def _of_message(self, message):
        walk = mutants.of_compressed_pgp if self.is_compressed else mutants.of_pgp
        for what, new in walk(message):
            yield f"message: {what}", new
        detached = self._gpg("-u", self.algorithm + "@example.org", "--detach-sign",
                             input=self._payload())
        clear = self._gpg("-u", self.algorithm + "@example.org", "--clear-sign",
                          input=self._payload())
        yield "message: detached", detached
        yield "message: clear-signed", clear
        yield "message: signed as text", self._sign(self._payload(), "--textmode")
        yield "message: armoured", self._sign(self._payload(), "--armor")
        yield "message: SHA-1", self._sign(self._payload(), "--digest-algo", "SHA1")
        yield "message: twice", message * 2
        yield "message: expired signature", self._sign(
            self._payload(), "--faked-system-time", "20200101T000000!", "--ignore-time-conflict",
            "--default-sig-expire", "1d")

    def _of_payload(self):
        for what, new in mutants.of_json(self._payload().decode()):
            yield f"payload, signed anew: {what}", self._sign(new)

    def mutants(self, base):
        messages = [self._of_message(base["bytes"])]
        if not self.is_compressed:
            messages.append(self._of_payload())
            yield from expand("image", of_image(base), lambda new: new)
            for what, new in mutants.of_json(base["policy"].decode()):
                yield f"policy: {what}", {**base, "policy": new}
            for what, new in mutants.of_json_bytes(base["policy"].decode(), {
                    f"transports/docker/{HOST}/0/keyData": lambda b: mutants.of_pgp(
                        b, step=3)}):
                yield f"policy: {what}", {**base, "policy": new}
        for walk in messages:
            for what, new in walk:
                yield what, {**base, "bytes": new}


# ---- which forms there are ----

def forms(shop):
    lab = shop.lab

    def data(pem):
        return b64(pem if isinstance(pem, bytes) else json.dumps(pem).encode())

    def root(**changes):
        return {"x-trustedRootData": data({**lab.trusted_root(), **changes})}
    key = {"keyData": data(public_pem(lab.key))}
    rekor = {"rekorPublicKeyData": data(public_pem(lab.rekor.key))}
    ct = {"x-ctKeyData": data(public_pem(lab.ct_log.key))}
    who = {"oidcIssuer": ISSUER, "subjectEmail": EMAIL}
    uri = {"oidcIssuer": ISSUER, "x-subjectURI": URI}
    ca = {"caData": data(cert_pem(lab.fulcio_chain[1]))}
    roots = {"caRootsData": data(cert_pem(lab.pki_chain[1])), "subjectEmail": EMAIL,
             "subjectHostname": "signer.example.com"}
    middle = {"caIntermediatesData": data(cert_pem(lab.pki_chain[0]))}
    mail = {"fulcio": who}
    fulcio = lab.fulcio_signer()
    v2 = {"log": "v2", "timestamp": True}
    return [
        SimpleForm(shop, "simple ed25519", "ed25519", ["-z", "0"]),
        SimpleForm(shop, "simple rsa compressed", "rsa2048", ["--compress-algo", "zip"]),
        CosignForm(shop, "cosign key", "key", key),
        CosignForm(shop, "cosign key rekor", "key-rekor", {**key, **rekor}),
        CosignForm(shop, "cosign key rfc3161", "key-rfc3161", {**key, **root(tlogs=[])}, SPARSE),
        CosignForm(shop, "cosign fulcio rekor", "fulcio-rekor",
                   {"fulcio": {**ca, **who}, **rekor, **ct}),
        CosignForm(shop, "cosign fulcio uri rekor", "fulcio-uri-rekor",
                   {"fulcio": {**ca, **uri}, **rekor, **ct}, SPARSE),
        CosignForm(shop, "cosign fulcio rfc3161", "rfc3161", {**mail, **root(tlogs=[])}),
        CosignForm(shop, "cosign pki", "pki", {"pki": roots}),
        CosignForm(shop, "cosign pki without chain", "pki", {"pki": {**roots, **middle}}, SPARSE,
                   without=("chain",)),
        BundleForm(shop, "bundle 0.1 key dsse", {**key, **rekor}, version="0.1"),
        BundleForm(shop, "bundle 0.2 key dsse", {**key, **rekor}, version="0.2"),
        BundleForm(shop, "bundle key dsse", {**key, **rekor}),
        BundleForm(shop, "bundle key intoto", {**key, **rekor}, entry_kind="intoto"),
        BundleForm(shop, "bundle key dsse v2", {**key, **root()}, log="v2"),
        BundleForm(shop, "bundle key dsse without log", key, log=None),
        BundleForm(shop, "bundle key message", {**key, **rekor}, content="message", step=1),
        BundleForm(shop, "bundle key message v2", {**key, **root()}, content="message", log="v2"),
        BundleForm(shop, "bundle fulcio dsse", {**mail, **root()}, fulcio, step=1),
        BundleForm(shop, "bundle 0.1 fulcio intoto", {"fulcio": {**ca, **who}, **rekor, **ct},
                   fulcio, step=1, version="0.1", entry_kind="intoto"),
        BundleForm(shop, "bundle 0.2 fulcio dsse", {**mail, **root()}, fulcio, version="0.2"),
        BundleForm(shop, "bundle fulcio uri dsse", {"fulcio": uri, **root()},
                   lab.fulcio_signer(uri=URI)),
        BundleForm(shop, "bundle fulcio dsse v2", {**mail, **root()}, fulcio, **v2),
        BundleForm(shop, "bundle fulcio message", {**mail, **root()}, fulcio, content="message"),
        BundleForm(shop, "bundle fulcio message v2", {**mail, **root()}, fulcio, step=1,
                   content="message", **v2),
        IndexForm(shop, "cosign key index", policy_of(type="sigstoreSigned", **key), "cosign"),
        IndexForm(shop, "bundle dsse index", policy_of(
            type="sigstoreSigned", **{"x-bundles": "digest-only"}, **key), "dsse"),
        IndexForm(shop, "bundle message index", policy_of(
            type="sigstoreSigned", **{"x-bundles": "digest-only"}, **key), "message"),
    ]


# ---- running ----

def judge_together(driver, cases):
    """OpenPGP messages under one policy, looked at one after the other with one keyring."""
    answer = judge(driver, [{**cases[0], "messages": [c["bytes"] for c in cases]}])[0]
    if re.match(rf"denied \w+ {len(cases)}: ", answer):
        return [answer] * len(cases)
    return judge(driver, cases)


def judge_share(driver, cases):
    """Answers in the order of the cases."""
    if cases[0]["kind"] != "simple":
        return judge(driver, cases)
    answers = []
    while cases:
        same = [c for c in cases[:BATCH] if all(
            c[name] == cases[0][name] for name in ("policy", "image", "manifest"))]
        same = same if cases[:len(same)] == same else cases[:1]
        answers += judge_together(driver, same)
        cases = cases[len(same):]
    return answers


class Report:
    def __init__(self, driver, workers, every):
        self.driver, self.every = driver, every
        self.pool = concurrent.futures.ThreadPoolExecutor(workers)
        self.pending = collections.deque()
        self.n = collections.Counter()
        self.explained = collections.Counter()  # by form
        self.codes = collections.Counter()
        self.used = set()
        self.unexplained = []
        self.rules = [(re.compile(pattern), why) for pattern, why in SURVIVORS]

    def _count(self, name, label, case, answer):
        if answer != "allowed":
            self.codes[answer.split()[1] if answer.startswith("denied") else "the policy"] += 1
            return
        whole = f"{name}: {label}"
        reasons = {i for i, (pattern, _) in enumerate(self.rules) if pattern.fullmatch(whole)}
        self.used |= reasons
        if reasons:
            self.explained[name] += 1
        else:
            self.unexplained.append((whole, case))

    def _collect(self):
        name, share, future = self.pending.popleft()
        for (label, case), answer in zip(share, future.result()):
            self._count(name, label, case, answer)

    def _submit(self, name, share):
        if share:
            self.n[name] += len(share)
            self.pending.append((name, share, self.pool.submit(
                judge_share, self.driver, [case for _, case in share])))
        while len(self.pending) > 8:
            self._collect()

    def run(self, form):
        base = form.make()
        answer = judge(self.driver, [base])[0]
        if answer != "allowed":
            raise AssertionError(f"{form.name}: the original is not accepted: {answer}")
        share = []
        for i, (label, case) in enumerate(form.mutants(base)):
            if case == base or i % self.every:
                continue
            share.append((label, case))
            if len(share) == SHARE:
                self._submit(form.name, share)
                share = []
        self._submit(form.name, share)

    def finish(self):
        while self.pending:
            self._collect()
        self.pool.shutdown()


def show(case):
    return {name: value if len(value) < 1500 else value[:1500] + b"..."
            for name, value in case.items() if isinstance(value, bytes) and value != MANIFEST}


def tell(report, stale):
    for name, n in report.n.items():
        print(f"{name}: {n} mutants, {report.explained[name]} survive with a reason")
    print("refused:", ", ".join(f"{code} {n}" for code, n in report.codes.most_common()))
    print(f"all: {sum(report.n.values())} mutants, {sum(report.explained.values())} survive with a "
          f"reason, {len(report.unexplained)} without")
    for whole, _ in report.unexplained:
        print("SURVIVES:", whole)
    if report.unexplained:
        print(show(report.unexplained[0][1]))
    for pattern in stale:
        print("STALE: nothing survives by", pattern)


def main():
    if not shutil.which("gpg"):
        print("skipped: needs gpg")
        sys.exit(SKIPPED)
    every, wanted = int(sys.argv[2]), sys.argv[3:]
    report = Report(sys.argv[1], len(os.sched_getaffinity(0)), every)
    with tempfile.TemporaryDirectory() as gnupg:
        try:
            for form in forms(Workshop(gnupg)):
                if not wanted or form.name in wanted:
                    report.run(form)
            report.finish()
        finally:
            subprocess.run(["gpgconf", "--homedir", gnupg, "--kill", "all"], check=False)
    stale = [] if wanted or every > 1 else [pattern for i, (pattern, why) in enumerate(SURVIVORS)
                               if i not in report.used and not why.startswith("at times")]
    tell(report, stale)
    sys.exit(1 if report.unexplained or stale else 0)


if __name__ == "__main__":
    main()
