#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A sigstore of its own, for tests: certificate authority, transparency logs, timestamp authority.

    sigstore_lab.py DIR [--digest sha256:…] [--reference NAME]

writes keys, trusted_root.json and samples of every kind of signature over one image digest:

    *.pem, *.pub            certificates and public keys; cosign.key is the signer's (PKCS#8)
    trusted_root.json       all authorities and logs
    sig/NAME.json           {"payload": base64, "annotations": {…}} of a cosign .sig layer
    sig/NAME.payload, .sig, .pem, .log, .tsr  the same, in pieces
    bundles/NAME.json       sigstore bundles
    timestamps/             RFC 3161 responses, good and bad, and chains
    p384/                   a second sigstore, whose authorities have keys on P-384
    rsa/                    an operator's PKI of RSA keys, whose leaf has no extended key usage
    pieces/NAME/            what is in a bundle, decoded: payload, pae, signature, spki or
                            certificate, response; of its log entry body, set, root, hashes (one
                            after the other), checkpoint, and in numbers a line: log id, index,
                            time, index in the proof, tree size, kind, version

or, as a module: lab = Lab(); lab.cosign_layer("fulcio-rekor", digest, reference);
lab.bundle(digest, …); lab.trusted_root().

Keys follow from the seed (but those of rsa/) and all times are fixed, so that two runs differ only
in what ECDSA draws by lot. Formats: cosign SIGNATURE_SPEC.md and BUNDLE_SPEC.md,
sigstore/protobuf-specs, rekor's and rekor-tiles' types, RFC 3161, RFC 5652, RFC 6962, C2SP
signed-note, tlog-cosignature and static-ct-api.
"""
import argparse
import base64
import calendar
import datetime
import hashlib
import json
import os
import struct

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, utils
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

MANIFEST = b"an image manifest"
DIGEST = "sha256:" + hashlib.sha256(MANIFEST).hexdigest()
REFERENCE = "registry.example.com/lab/image:1"
EMAIL = "signer@example.com"
URI = "https://github.com/lab/image/.github/workflows/release.yml@refs/heads/main"
ISSUER = "https://issuer.example.com"

SIGN_TIME = calendar.timegm((2025, 6, 1, 12, 0, 0))  # when samples are signed
CA_START = datetime.datetime(2020, 1, 1)
CA_END = datetime.datetime(2045, 1, 1)
ORDERS = {"secp256r1": 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
          "secp384r1": int("FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF"
                           "C7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973", 16)}

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
SIGN_PREDICATE = "https://sigstore.dev/cosign/sign/v1"
BUNDLE_MEDIA_TYPES = {
    "0.1": "application/vnd.dev.sigstore.bundle+json;version=0.1",
    "0.2": "application/vnd.dev.sigstore.bundle+json;version=0.2",
    "0.3": "application/vnd.dev.sigstore.bundle.v0.3+json",
    "0.3-old": "application/vnd.dev.sigstore.bundle+json;version=0.3",
}
OID_SCT_LIST = ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2")
OID_ISSUER_V1 = ObjectIdentifier("1.3.6.1.4.1.57264.1.1")
OID_ISSUER_V2 = ObjectIdentifier("1.3.6.1.4.1.57264.1.8")


# ---- small things ----

def b64(data):
    return base64.b64encode(data).decode()


def sha256(data):
    return hashlib.sha256(data).digest()


def canonical(value):
    """RFC 8785, for ASCII text and integers."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def rfc3339(t):
    return datetime.datetime.utcfromtimestamp(t).strftime("%Y-%m-%dT%H:%M:%SZ")


def spki(key):
    public = key.public_key() if hasattr(key, "public_key") else key
    return public.public_bytes(serialization.Encoding.DER,
                               serialization.PublicFormat.SubjectPublicKeyInfo)


def public_pem(key):
    return key.public_key().public_bytes(serialization.Encoding.PEM,
                                         serialization.PublicFormat.SubjectPublicKeyInfo)


def private_pem(key):
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                             serialization.NoEncryption())


def cert_pem(cert):
    return cert.public_bytes(serialization.Encoding.PEM)


def cert_der(cert):
    return cert.public_bytes(serialization.Encoding.DER)


def sign(key, data):
    """What the key's default is: ECDSA with SHA-256, or pure Ed25519."""
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(data)
    return key.sign(data, ec.ECDSA(hashes.SHA256()))


def sign_digest(key, digest):
    """ECDSA over bytes of which only the SHA-256 is at hand."""
    return key.sign(digest, ec.ECDSA(utils.Prehashed(hashes.SHA256())))


def hash_for(key):
    """What an authority with this key signs certificates by."""
    return hashes.SHA384() if getattr(key, "key_size", 0) == 384 else hashes.SHA256()


def pae(payload_type, payload):
    """The bytes a DSSE signature is over."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


# ---- DER by hand: what python3-cryptography cannot write ----

def der(tag, *parts):
    content = b"".join(parts)
    n = len(content)
    if n < 0x80:
        return bytes([tag, n]) + content
    size = n.to_bytes((n.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(size)]) + size + content


def der_int(v):
    return der(0x02, v.to_bytes(v.bit_length() // 8 + 1, "big"))


def der_oid(dotted):
    arcs = [int(a) for a in dotted.split(".")]
    out = b""
    for arc in [arcs[0] * 40 + arcs[1]] + arcs[2:]:
        septets = [arc & 0x7F]
        while arc > 0x7F:
            arc >>= 7
            septets.append(arc & 0x7F | 0x80)
        out += bytes(reversed(septets))
    return der(0x06, out)


def sequence(*parts):
    return der(0x30, *parts)


def set_of(*parts):
    return der(0x31, *sorted(parts))


def octets(data):
    return der(0x04, data)


HASH_OIDS = {"sha1": "1.3.14.3.2.26", "sha256": "2.16.840.1.101.3.4.2.1",
             "sha384": "2.16.840.1.101.3.4.2.2", "sha512": "2.16.840.1.101.3.4.2.3"}


def algorithm(name):
    return sequence(der_oid(HASH_OIDS[name]))


# ---- certificates ----

def name_of(common_name):
    return x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "sigstore-lab"),
                      x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def key_usage(**which):
    names = ("digital_signature content_commitment key_encipherment data_encipherment key_agreement "
             "key_cert_sign crl_sign encipher_only decipher_only").split()
    return x509.KeyUsage(**{n: which.get(n, False) for n in names})


def certificate(key, subject, issuer=None, start=CA_START, end=CA_END, ca=False, path_length=None,
                eku=None, eku_critical=False, extensions=()):
    """issuer: (key, certificate), or None for self-signed. extensions: (extension, critical)."""
    issuer_key, issuer_cert = issuer or (key, None)
    issuer_name = issuer_cert.subject if issuer_cert else subject
    serial = int.from_bytes(sha256(spki(key) + repr((str(subject), start, ca)).encode())[:16], "big")
    builder = (x509.CertificateBuilder().subject_name(subject).issuer_name(issuer_name)
               .public_key(key.public_key()).serial_number(serial >> 1 | 1)
               .not_valid_before(start).not_valid_after(end))
    usage = (key_usage(key_cert_sign=True, crl_sign=True) if ca
             else key_usage(digital_signature=True))
    builder = builder.add_extension(usage, critical=True)
    if eku:
        builder = builder.add_extension(x509.ExtendedKeyUsage([eku]), critical=eku_critical)
    if ca:
        builder = builder.add_extension(x509.BasicConstraints(True, path_length), critical=True)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()),
                                    critical=False)
    if issuer_cert:
        builder = builder.add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()),
            critical=False)
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical=critical)
    return builder.sign(issuer_key, hash_for(issuer_key))


def leaf_index(n):
    """The extension a log of tiles gives its SCTs."""
    return b"\0" + struct.pack(">H", 5) + n.to_bytes(5, "big")


class CertificateLog:
    """A CT log (RFC 6962)."""

    def __init__(self, key):
        self.key = key
        self.id = sha256(spki(key))

    def sct_extension(self, precertificate, issuer_key, ms, more=b""):
        """An embedded SCT over a certificate without one. more: CtExtensions."""
        tbs = precertificate.tbs_certificate_bytes
        stamp = struct.pack(">Q", ms)
        more = struct.pack(">H", len(more)) + more
        signed = (b"\0\0" + stamp + b"\0\1" + sha256(spki(issuer_key)) +
                  len(tbs).to_bytes(3, "big") + tbs + more)
        signature = sign(self.key, signed)
        sct = (b"\0" + self.id + stamp + more + b"\4\3" +
               struct.pack(">H", len(signature)) + signature)
        entry = struct.pack(">H", len(sct)) + sct
        return x509.UnrecognizedExtension(OID_SCT_LIST,
                                          octets(struct.pack(">H", len(entry)) + entry))


# ---- transparency logs ----

def leaf_hash(body):
    return sha256(b"\0" + body)


def tree_hash(leaves):
    """RFC 6962 section 2.1, as it is written there."""
    if len(leaves) <= 1:
        return leaves[0] if leaves else sha256(b"")
    k = 1 << ((len(leaves) - 1).bit_length() - 1)
    return sha256(b"\1" + tree_hash(leaves[:k]) + tree_hash(leaves[k:]))


def audit_path(index, leaves):
    """RFC 6962 section 2.1.1."""
    if len(leaves) <= 1:
        return []
    k = 1 << ((len(leaves) - 1).bit_length() - 1)
    if index < k:
        return audit_path(index, leaves[:k]) + [tree_hash(leaves[k:])]
    return audit_path(index - k, leaves[k:]) + [tree_hash(leaves[:k])]


def vast_tree(index, size, leaf):
    """(root, audit path) of a leaf in a tree too large to build: of what is beside its way up only
    the hashes are made up (RFC 6962 section 2.1.1 fixes their places)."""
    if size == 1:
        return leaf, []
    k = 1 << ((size - 1).bit_length() - 1)
    beside = sha256(b"beside %d of %d" % (index, size))
    if index < k:
        node, path = vast_tree(index, k, leaf)
        return sha256(b"\1" + node + beside), path + [beside]
    node, path = vast_tree(index - k, size - k, leaf)
    return sha256(b"\1" + beside + node), path + [beside]


class Log:
    """A Rekor. filler entries stand around each one that counts."""

    FILLERS = 5

    def __init__(self, key, host, tree_id=None, index_offset=0):
        self.key, self.host, self.index_offset = key, host, index_offset
        self.is_v2 = tree_id is None
        self.origin = host if self.is_v2 else f"{host} - {tree_id}"
        if isinstance(key, ed25519.Ed25519PrivateKey):
            raw = key.public_key().public_bytes(serialization.Encoding.Raw,
                                                serialization.PublicFormat.Raw)
            self.id = sha256(host.encode() + b"\n\1" + raw)
        else:
            self.id = sha256(spki(key))
        self.bodies = [b'{"filler":%d}' % i for i in range(self.FILLERS)]

    def checkpoint(self, extra_lines=(), strangers=(), tree=None):
        """A signed note over the tree as it is, or over tree, (size, root). strangers: whole
        signature lines around the log's."""
        size, root = tree or (len(self.bodies), tree_hash([leaf_hash(b) for b in self.bodies]))
        lines = [self.origin, str(size), b64(root), *extra_lines]
        text = "".join(line + "\n" for line in lines)
        return text + "\n" + "".join(strangers) + self.signature_line(text)

    def signature_line(self, text):
        return "\u2014 %s %s\n" % (self.host, b64(self.id[:4] + sign(self.key, text.encode())))

    def signed_entry_timestamp(self, body, t, log_index):
        payload = canonical({"body": b64(body), "integratedTime": t, "logID": self.id.hex(),
                             "logIndex": log_index})
        return sign(self.key, payload)

    def _place(self, body, vast):
        """Where an entry is, and what proves it."""
        if vast:
            index, size = vast
            root, path = vast_tree(index, size, leaf_hash(body))
        else:
            index = len(self.bodies)
            self.bodies += [body] + [b'{"filler":%d}' % (index + i) for i in range(3)]
            leaves = [leaf_hash(b) for b in self.bodies]
            size, root, path = len(leaves), tree_hash(leaves), audit_path(index, leaves)
        checkpoint = self.checkpoint(tree=(size, root))
        if vast and self.is_v2:
            checkpoint += witness_line(checkpoint)
        return index, {"logIndex": str(index), "rootHash": b64(root), "treeSize": str(size),
                       "hashes": [b64(h) for h in path], "checkpoint": {"envelope": checkpoint}}

    def add(self, body, t=SIGN_TIME, vast=None, kind_version=None):
        """A TransparencyLogEntry of protobuf-specs, of a log that has grown since. vast: (index,
        size) of the entry in a log of many, which if it is of v2 has a witness too. kind_version:
        what is said beside the body, by default what the body says."""
        index, proof = self._place(body, vast)
        if not kind_version:
            said = json.loads(body)
            kind_version = {"kind": said["kind"], "version": said["apiVersion"]}
        entry = {
            "logIndex": str(index + self.index_offset),
            "logId": {"keyId": b64(self.id)},
            "kindVersion": kind_version,
            "inclusionProof": proof,
            "canonicalizedBody": b64(body),
        }
        if not self.is_v2:
            entry["integratedTime"] = str(t)
            entry["inclusionPromise"] = {"signedEntryTimestamp": b64(
                self.signed_entry_timestamp(body, t, index + self.index_offset))}
        return entry


def witness_line(checkpoint, name="witness.example.com", t=SIGN_TIME):
    """A cosignature/v1, behind the log's own."""
    key = ed25519.Ed25519PrivateKey.from_private_bytes(sha256(name.encode()))
    raw = key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    note = checkpoint[:checkpoint.index("\n\n") + 1]
    signature = key.sign(f"cosignature/v1\ntime {t}\n{note}".encode())
    return "\u2014 %s %s\n" % (name, b64(sha256(name.encode() + b"\n\4" + raw)[:4] +
                                       struct.pack(">Q", t) + signature))


def hashedrekord_1(digest, signature, verifier_pem):
    return canonical({"apiVersion": "0.0.1", "kind": "hashedrekord", "spec": {
        "data": {"hash": {"algorithm": "sha256", "value": digest.hex()}},
        "signature": {"content": b64(signature), "publicKey": {"content": b64(verifier_pem)}}}})


def dsse_1(envelope, signature, verifier_pem):
    payload = base64.b64decode(envelope["payload"])
    return canonical({"apiVersion": "0.0.1", "kind": "dsse", "spec": {
        "envelopeHash": {"algorithm": "sha256", "value": sha256(canonical(envelope)).hex()},
        "payloadHash": {"algorithm": "sha256", "value": sha256(payload).hex()},
        "signatures": [{"signature": b64(signature), "verifier": b64(verifier_pem)}]}})


def intoto_2(envelope, signature, verifier_pem):
    payload = base64.b64decode(envelope["payload"])
    return canonical({"apiVersion": "0.0.2", "kind": "intoto", "spec": {"content": {
        "envelope": {"payloadType": envelope["payloadType"], "signatures": [
            {"publicKey": b64(verifier_pem), "sig": b64(b64(signature).encode())}]},
        "hash": {"algorithm": "sha256", "value": sha256(canonical(envelope)).hex()},
        "payloadHash": {"algorithm": "sha256", "value": sha256(payload).hex()}}}})


def hashedrekord_2(digest, signature, certificate_der=None, spki_der=None):
    verifier = {"keyDetails": "PKIX_ECDSA_P256_SHA_256"}
    if certificate_der:
        verifier["x509Certificate"] = {"rawBytes": b64(certificate_der)}
    else:
        verifier["publicKey"] = {"rawBytes": b64(spki_der)}
    return canonical({"apiVersion": "0.0.2", "kind": "hashedrekord", "spec": {"hashedRekordV002": {
        "data": {"algorithm": "SHA2_256", "digest": b64(digest)},
        "signature": {"content": b64(signature), "verifier": verifier}}}})


# ---- timestamps ----

class TimestampAuthority:
    def __init__(self, key, chain):
        self.key, self.chain = key, chain  # own certificate first

    @staticmethod
    def info(data, t=SIGN_TIME, hash_name="sha256", version=1, extension=None, name=None):
        """The TSTInfo that is signed. extension: whether the one it has is critical. name: of the
        authority, which is then told."""
        stamp = datetime.datetime.utcfromtimestamp(t).strftime("%Y%m%d%H%M%SZ").encode()
        imprint = sequence(algorithm(hash_name), octets(hashlib.new(hash_name, data).digest()))
        more = [] if extension is None else [der(0xA1, sequence(
            der_oid("1.3.6.1.4.1.57264.99"), der(1, b"\xff") if extension else b"", octets(b"x")))]
        said = [] if name is None else [der(0xA0, der(0xA4, name.public_bytes()))]
        return sequence(der_int(version), der_oid("1.3.6.1.4.1.57264.2"), imprint, der_int(t),
                        der(0x18, stamp), sequence(der_int(1)), *said, *more)

    def _signer_info(self, info, hash_name):
        cert = self.chain[0]
        issuer = cert.issuer.public_bytes()
        ess = sequence(sequence(sequence(octets(sha256(cert_der(cert))))))  # SHA-256 by default
        attributes = [
            sequence(der_oid("1.2.840.113549.1.9.3"),
                     set_of(der_oid("1.2.840.113549.1.9.16.1.4"))),
            sequence(der_oid("1.2.840.113549.1.9.4"),
                     set_of(octets(hashlib.new(hash_name, info).digest()))),
            sequence(der_oid("1.2.840.113549.1.9.16.2.47"), set_of(ess)),
        ]
        signed = set_of(*attributes)
        digest = {"sha1": hashes.SHA1, "sha256": hashes.SHA256}[hash_name]()
        oid = {"sha1": "1.2.840.10045.4.1", "sha256": "1.2.840.10045.4.3.2"}[hash_name]
        signature = self.key.sign(signed, ec.ECDSA(digest))
        return sequence(der_int(1), sequence(issuer, der_int(cert.serial_number)),
                        algorithm(hash_name), b"\xa0" + signed[1:], sequence(der_oid(oid)),
                        octets(signature))

    def response(self, data, t=SIGN_TIME, hash_name="sha256", signature_hash="sha256",
                 certificates=True, status=0, **more):
        """A TimeStampResp over data; certificates: the authority's chain goes with it."""
        info = self.info(data, t, hash_name, **more)
        chain = der(0xA0, *[cert_der(c) for c in self.chain[:-1]]) if certificates else b""
        content = sequence(der_oid("1.2.840.113549.1.9.16.1.4"), der(0xA0, octets(info)))
        signed = sequence(der_int(3), set_of(algorithm(signature_hash)), content, chain,
                          set_of(self._signer_info(info, signature_hash)))
        token = sequence(der_oid("1.2.840.113549.1.7.2"), der(0xA0, signed))
        return sequence(sequence(der_int(status)), token)


# ---- everything together ----

class Signer:
    """A key, and how it is vouched for: not at all, by Fulcio, or by an own PKI."""

    def __init__(self, key, cert=None, chain=()):
        self.key, self.cert, self.chain = key, cert, list(chain)

    def verifier_pem(self):
        return cert_pem(self.cert) if self.cert else public_pem(self.key)


class Lab:
    def __init__(self, seed="lab", curve=ec.SECP256R1):
        """curve: of the authorities."""
        self.seed, self.curve = seed, curve
        self.key = self.new_key("cosign")
        self.other_key = self.new_key("another signer")
        self.ct_log = CertificateLog(self.new_key("ctfe"))
        self.rekor = Log(self.new_key("rekor"), "rekor.lab.example.com", 1193050959916656506, 1000)
        self.rekor2 = Log(ed25519.Ed25519PrivateKey.from_private_bytes(self._bytes("rekor2")),
                          "log2025.rekor.lab.example.com")
        self._make_fulcio()
        self._make_tsa()
        self._make_pki()

    def _bytes(self, name):
        return sha256(f"{self.seed}/{name}".encode())

    def new_key(self, name, curve=ec.SECP256R1):
        """The same for the same seed and name."""
        drawn = self._bytes(name)
        if curve is not ec.SECP256R1:
            drawn += self._bytes(name + ", continued")
        number = int.from_bytes(drawn, "big") % (ORDERS[curve.name] - 1) + 1
        return ec.derive_private_key(number, curve())

    def _ca(self, what, eku):
        root_key = self.new_key(what + " root", self.curve)
        key = self.new_key(what + " intermediate", self.curve)
        root = certificate(root_key, name_of(what + " root"), ca=True, path_length=1)
        middle = certificate(key, name_of(what + " intermediate"), (root_key, root), ca=True,
                             path_length=0, eku=eku)
        return key, [middle, root]

    def _make_fulcio(self):
        self.fulcio_key, self.fulcio_chain = self._ca("fulcio", ExtendedKeyUsageOID.CODE_SIGNING)

    def _make_tsa(self):
        ca_key, chain = self._ca("tsa", ExtendedKeyUsageOID.TIME_STAMPING)
        key = self.new_key("tsa", self.curve)
        leaf = certificate(key, name_of("tsa"), (ca_key, chain[0]),
                           eku=ExtendedKeyUsageOID.TIME_STAMPING, eku_critical=True)
        self.tsa = TimestampAuthority(key, [leaf] + chain)

    def sibling_tsa(self, critical=True):
        """(key, chain) of another certificate of the same timestamp CA."""
        ca_key, key = self.new_key("tsa intermediate", self.curve), self.new_key("tsa sibling")
        leaf = certificate(key, name_of("tsa sibling" if critical else "uncritical tsa"),
                           (ca_key, self.tsa.chain[1]), eku_critical=critical,
                           eku=ExtendedKeyUsageOID.TIME_STAMPING)
        return key, [leaf] + self.tsa.chain[1:]

    def _make_pki(self):
        ca_key, self.pki_chain = self._ca("pki", None)
        key = self.new_key("pki")
        san = x509.SubjectAlternativeName([x509.RFC822Name(EMAIL),
                                           x509.DNSName("signer.example.com")])
        leaf = certificate(key, name_of("pki signer"), (ca_key, self.pki_chain[0]),
                           eku=ExtendedKeyUsageOID.CODE_SIGNING, extensions=[(san, False)])
        self.pki_signer = Signer(key, leaf, self.pki_chain)

    def key_signer(self):
        return Signer(self.key)

    def fulcio_signer(self, email=EMAIL, uri=None, issuer=ISSUER, t=SIGN_TIME, sct=True,
                      issuer_extensions=(1, 8), key=None, sct_ms=0, sct_more=b"", build=()):
        """A certificate for ten minutes, as Fulcio issues it, t in its first. sct_ms: how long
        after it was made its SCT was. build: texts about the build, from .9 on."""
        key = key or self.new_key(f"fulcio leaf {uri or email}")
        name = x509.UniformResourceIdentifier(uri) if uri else x509.RFC822Name(email)
        extensions = [(x509.SubjectAlternativeName([name]), True)]
        if 1 in issuer_extensions:
            extensions.append((x509.UnrecognizedExtension(OID_ISSUER_V1, issuer.encode()), False))
        if 8 in issuer_extensions:
            extensions.append((x509.UnrecognizedExtension(OID_ISSUER_V2,
                                                          der(0x0C, issuer.encode())), False))
        for i, text in enumerate(build):
            oid = ObjectIdentifier(f"1.3.6.1.4.1.57264.1.{9 + i}")
            extensions.append((x509.UnrecognizedExtension(oid, der(0x0C, text.encode())), False))
        start = datetime.datetime.utcfromtimestamp(t - 30)

        def issue(more):
            return certificate(key, x509.Name([]), (self.fulcio_key, self.fulcio_chain[0]), start,
                               start + datetime.timedelta(minutes=10),
                               eku=ExtendedKeyUsageOID.CODE_SIGNING, extensions=extensions + more)
        more = []
        if sct:
            extension = self.ct_log.sct_extension(issue([]), self.fulcio_key,
                                                  (t - 30) * 1000 + sct_ms, sct_more)
            more = [(extension, False)]
        return Signer(key, issue(more), self.fulcio_chain)

    def tiles_signer(self):
        """What a workflow gets when the certificates' log is one of tiles."""
        return self.fulcio_signer(uri=URI, sct_ms=437, sct_more=leaf_index(1234567890),
                                  build=[URI, "release.yml " * 20, "hosted", "1"])

    # -- trust --

    def trusted_root(self, media_type="application/vnd.dev.sigstore.trustedroot+json;version=0.1"):
        start = {"start": rfc3339(calendar.timegm(CA_START.timetuple()))}

        def log(key, key_id, url, details="PKIX_ECDSA_P256_SHA_256"):
            return {"baseUrl": url, "hashAlgorithm": "SHA2_256", "logId": {"keyId": b64(key_id)},
                    "publicKey": {"rawBytes": b64(spki(key)), "keyDetails": details,
                                  "validFor": start}}

        def authority(chain, url):
            common = chain[-1].subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value
            return {"subject": {"organization": "sigstore-lab", "commonName": common}, "uri": url,
                    "certChain": {"certificates": [{"rawBytes": b64(cert_der(c))} for c in chain]},
                    "validFor": start}
        return {
            "mediaType": media_type,
            "tlogs": [log(self.rekor.key, self.rekor.id, "https://" + self.rekor.host),
                      log(self.rekor2.key, self.rekor2.id, "https://" + self.rekor2.host,
                          "PKIX_ED25519")],
            "certificateAuthorities": [authority(self.fulcio_chain,
                                                 "https://fulcio.lab.example.com")],
            "ctlogs": [log(self.ct_log.key, self.ct_log.id, "https://ctfe.lab.example.com")],
            "timestampAuthorities": [authority(self.tsa.chain, "https://tsa.lab.example.com")],
        }

    # -- what cosign 2 writes --

    @staticmethod
    def cosign_payload(digest, reference):
        return json.dumps({"critical": {
            "identity": {"docker-reference": reference},
            "image": {"docker-manifest-digest": digest},
            "type": "cosign container image signature"}, "optional": None},
            separators=(",", ":")).encode()

    def cosign_layer(self, kind, digest=DIGEST, reference=REFERENCE, signer=None):
        """(payload, annotations) of a layer of a .sig manifest. kind: key, key-rekor,
        fulcio-rekor, fulcio-uri-rekor, pki, rfc3161 (Fulcio and timestamp), key-rfc3161."""
        signer = signer or {
            "key": self.key_signer, "fulcio": self.fulcio_signer,
            "rfc3161": self.fulcio_signer, "pki": lambda: self.pki_signer,
        }[kind.split("-")[0]](**({"uri": URI} if "uri" in kind else {}))
        payload = self.cosign_payload(digest, reference)
        signature = sign(signer.key, payload)
        annotations = {"dev.cosignproject.cosign/signature": b64(signature)}
        if signer.cert:
            annotations["dev.sigstore.cosign/certificate"] = cert_pem(signer.cert).decode()
            annotations["dev.sigstore.cosign/chain"] = b"".join(
                cert_pem(c) for c in signer.chain).decode()
        if "rekor" in kind:
            body = hashedrekord_1(sha256(payload), signature, signer.verifier_pem())
            annotations["dev.sigstore.cosign/bundle"] = self.log_annotation(body)
        if "rfc3161" in kind:
            annotations["dev.sigstore.cosign/rfc3161timestamp"] = json.dumps(
                {"SignedRFC3161Timestamp": b64(self.tsa.response(signature))})
        return payload, annotations

    def log_annotation(self, body, t=SIGN_TIME):
        entry = self.rekor.add(body, t)
        return json.dumps({
            "SignedEntryTimestamp": entry["inclusionPromise"]["signedEntryTimestamp"],
            "Payload": {"body": entry["canonicalizedBody"], "integratedTime": t,
                        "logIndex": int(entry["logIndex"]), "logID": self.rekor.id.hex()}},
            separators=(",", ":"))

    # -- bundles --

    @staticmethod
    def statement(digest, predicate_type=SIGN_PREDICATE, predicate=None):
        return json.dumps({"_type": STATEMENT_TYPE,
                           "subject": [{"digest": {"sha256": digest.split(":")[1]}}],
                           "predicateType": predicate_type, "predicate": predicate or {}},
                          separators=(",", ":")).encode()

    def bundle(self, digest=DIGEST, version="0.3", content="dsse", signer=None, log="v1",
               entry_kind=None, timestamp=False, statement=None, vast=None):
        """version: a key of BUNDLE_MEDIA_TYPES. content: dsse or message (the message is the
        manifest that has the digest). signer: Signer, default the plain key. log: v1, v2, None.
        entry_kind: of v1 and dsse, dsse or intoto. vast: as of Log.add."""
        signer = signer or self.key_signer()
        statement = statement or self.statement(digest)
        envelope = None
        if content == "dsse":
            signed_digest = sha256(pae(PAYLOAD_TYPE, statement))
            signature = sign_digest(signer.key, signed_digest)
            envelope = {"payload": b64(statement), "payloadType": PAYLOAD_TYPE,
                        "signatures": [{"sig": b64(signature)}]}
        else:
            signed_digest = bytes.fromhex(digest.split(":")[1])
            signature = sign_digest(signer.key, signed_digest)
        material = self._signer_material(signer, version)
        if log:
            body = self._body(signer, log, entry_kind, signed_digest, signature, envelope)
            material["tlogEntries"] = [
                (self.rekor if log == "v1" else self.rekor2).add(body, vast=vast)]
            if version == "0.1":
                del material["tlogEntries"][0]["inclusionProof"]
        if timestamp:
            material["timestampVerificationData"] = {"rfc3161Timestamps": [
                {"signedTimestamp": b64(self.tsa.response(signature))}]}
        bundle = {"mediaType": BUNDLE_MEDIA_TYPES[version], "verificationMaterial": material}
        if envelope:
            bundle["dsseEnvelope"] = envelope
        else:
            bundle["messageSignature"] = {
                "messageDigest": {"algorithm": "SHA2_256", "digest": b64(signed_digest)},
                "signature": b64(signature)}
        return bundle

    @staticmethod
    def _signer_material(signer, version):
        if not signer.cert:
            return {"publicKey": {"hint": b64(sha256(spki(signer.key)))}}
        raw = {"rawBytes": b64(cert_der(signer.cert))}
        if version.startswith("0.3"):
            return {"certificate": raw}
        chain = [{"rawBytes": b64(cert_der(c))} for c in signer.chain[:-1]]
        return {"x509CertificateChain": {"certificates": [raw] + chain}}

    @staticmethod
    def _body(signer, log, entry_kind, signed_digest, signature, envelope):
        if log == "v2":
            return (hashedrekord_2(signed_digest, signature, cert_der(signer.cert)) if signer.cert
                    else hashedrekord_2(signed_digest, signature, spki_der=spki(signer.key)))
        if not envelope:
            return hashedrekord_1(signed_digest, signature, signer.verifier_pem())
        make = intoto_2 if entry_kind == "intoto" else dsse_1
        return make(envelope, signature, signer.verifier_pem())

    def sample_bundles(self, digest=DIGEST):
        fulcio = self.fulcio_signer()
        return {
            "key-dsse": self.bundle(digest),
            "key-dsse-old-media-type": self.bundle(digest, "0.3-old"),
            "key-dsse-nolog": self.bundle(digest, log=None),
            "key-dsse-timestamp": self.bundle(digest, log=None, timestamp=True),
            "key-dsse-v2": self.bundle(digest, log="v2"),
            "key-intoto": self.bundle(digest, entry_kind="intoto"),
            "key-dsse-0.1": self.bundle(digest, "0.1"),
            "key-dsse-0.2": self.bundle(digest, "0.2"),
            "key-message": self.bundle(digest, content="message"),
            "key-message-v2": self.bundle(digest, content="message", log="v2"),
            "fulcio-dsse": self.bundle(digest, signer=fulcio),
            "fulcio-dsse-old-media-type": self.bundle(digest, "0.3-old", signer=fulcio),
            "fulcio-dsse-timestamp": self.bundle(digest, signer=fulcio, timestamp=True),
            "fulcio-intoto-0.1": self.bundle(digest, "0.1", signer=fulcio, entry_kind="intoto"),
            "fulcio-dsse-0.2": self.bundle(digest, "0.2", signer=fulcio),
            "fulcio-uri-dsse": self.bundle(digest, signer=self.fulcio_signer(uri=URI)),
            "fulcio-dsse-v2": self.bundle(digest, signer=fulcio, log="v2", timestamp=True),
            "fulcio-message": self.bundle(digest, content="message", signer=fulcio),
            "fulcio-message-v2": self.bundle(digest, content="message", signer=fulcio, log="v2",
                                             timestamp=True),
            "key-message-vast": self.bundle(digest, content="message", vast=(9876543, 16000000)),
            "fulcio-dsse-v2-vast": self.bundle(digest, signer=fulcio, log="v2", timestamp=True,
                                               vast=(4026478, 4026479)),
            "fulcio-uri-tiles": self.bundle(digest, signer=self.tiles_signer()),
        }


COSIGN_KINDS = ("key", "key-rekor", "key-rfc3161", "fulcio-rekor", "fulcio-uri-rekor", "pki",
                "rfc3161")


# ---- files ----

def write(folder, name, data):
    path = os.path.join(folder, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(data if isinstance(data, bytes) else data.encode())


def pem(certs):
    return b"".join(cert_pem(c) for c in certs)


def write_trust(lab, folder):
    write(folder, "cosign.key", private_pem(lab.key))
    for name, key in (("cosign", lab.key), ("other", lab.other_key), ("rekor", lab.rekor.key),
                      ("rekor2", lab.rekor2.key), ("ctfe", lab.ct_log.key)):
        write(folder, name + ".pub", public_pem(key))
    for name, chain in (("fulcio", lab.fulcio_chain), ("pki", lab.pki_chain)):
        write(folder, name + "_chain.pem", pem(chain))
        write(folder, name + "_intermediate.pem", pem(chain[:1]))
        write(folder, name + "_root.pem", pem(chain[1:]))
    write(folder, "pki_leaf.pem", cert_pem(lab.pki_signer.cert))
    write(folder, "tsa_chain.pem", pem(lab.tsa.chain))
    write(folder, "tsa_root.pem", pem(lab.tsa.chain[-1:]))
    write(folder, "trusted_root.json", json.dumps(lab.trusted_root(), indent=1))


def write_layer(lab, folder, kind, digest, reference):
    payload, annotations = lab.cosign_layer(kind, digest, reference)
    write(folder, f"sig/{kind}.json", json.dumps(
        {"payload": b64(payload), "annotations": annotations}, indent=1))
    write(folder, f"sig/{kind}.payload", payload)
    write(folder, f"sig/{kind}.sig",
          base64.b64decode(annotations["dev.cosignproject.cosign/signature"]))
    if "dev.sigstore.cosign/bundle" in annotations:
        write(folder, f"sig/{kind}.log", annotations["dev.sigstore.cosign/bundle"])
    if "dev.sigstore.cosign/certificate" in annotations:
        write(folder, f"sig/{kind}.pem", annotations["dev.sigstore.cosign/certificate"])
    if "dev.sigstore.cosign/rfc3161timestamp" in annotations:
        stamp = json.loads(annotations["dev.sigstore.cosign/rfc3161timestamp"])
        write(folder, f"sig/{kind}.tsr", base64.b64decode(stamp["SignedRFC3161Timestamp"]))


def write_entry(folder, where, entry):
    proof = entry.get("inclusionProof", {})
    promise = entry.get("inclusionPromise", {})
    raw = {"body": entry["canonicalizedBody"], "set": promise.get("signedEntryTimestamp", ""),
           "root": proof.get("rootHash", "")}
    for name, text in raw.items():
        write(folder, where + name, base64.b64decode(text))
    write(folder, where + "hashes", b"".join(map(base64.b64decode, proof.get("hashes", []))))
    write(folder, where + "checkpoint", proof.get("checkpoint", {}).get("envelope", ""))
    write(folder, where + "numbers", " ".join([
        base64.b64decode(entry["logId"]["keyId"]).hex(), entry["logIndex"],
        entry.get("integratedTime", "0"), proof.get("logIndex", "0"), proof.get("treeSize", "0"),
        entry["kindVersion"]["kind"], entry["kindVersion"]["version"]]) + "\n")


def write_pieces(lab, folder, name, bundle, message):
    where = f"pieces/{name}/"
    material = bundle["verificationMaterial"]
    payload, signed, pre = message, bundle.get("messageSignature"), b""
    if "dsseEnvelope" in bundle:
        payload = base64.b64decode(bundle["dsseEnvelope"]["payload"])
        pre = pae(PAYLOAD_TYPE, payload)
        signed = {"signature": bundle["dsseEnvelope"]["signatures"][0]["sig"]}
    cert = material.get("certificate") or \
        material.get("x509CertificateChain", {}).get("certificates", [{}])[0]
    stamps = material.get("timestampVerificationData", {}).get("rfc3161Timestamps", [{}])
    write(folder, where + "payload", payload)
    write(folder, where + "pae", pre)
    write(folder, where + "signature", base64.b64decode(signed["signature"]))
    write(folder, where + "certificate", base64.b64decode(cert.get("rawBytes", "")))
    write(folder, where + "spki", b"" if cert else spki(lab.key))
    write(folder, where + "response", base64.b64decode(stamps[0].get("signedTimestamp", "")))
    for entry in material.get("tlogEntries", []):
        write_entry(folder, where, entry)


def write_timestamps(lab, folder, data=b"a signature"):
    """Good and bad responses over the same bytes."""
    early = calendar.timegm(CA_START.timetuple()) - 1
    stranger = Lab("a stranger").tsa
    sibling = TimestampAuthority(*lab.sibling_tsa())
    plain = TimestampAuthority(*lab.sibling_tsa(critical=False))
    samples = {
        "good": {}, "sha384": {"hash_name": "sha384"}, "sha512": {"hash_name": "sha512"},
        "bare": {"certificates": False}, "modified": {"status": 1}, "rejected": {"status": 2},
        "sha1-imprint": {"hash_name": "sha1"}, "sha1-signature": {"signature_hash": "sha1"},
        "version-2": {"version": 2}, "extension": {"extension": False},
        "critical-extension": {"extension": True}, "early": {"t": early},
        "late": {"t": calendar.timegm(CA_END.timetuple()) + 1},
    }
    write(folder, "timestamps/data", data)
    for name, how in samples.items():
        write(folder, f"timestamps/{name}.tsr", lab.tsa.response(data, **how))
    write(folder, "timestamps/refused.tsr", sequence(sequence(der_int(2))))
    write(folder, "timestamps/info", lab.tsa.info(data))
    for name, authority in (("stranger", stranger), ("sibling", sibling), ("uncritical", plain)):
        write(folder, f"timestamps/{name}.tsr", authority.response(data))
    for name, certs in (("chain", lab.tsa.chain), ("stranger", stranger.chain),
                        ("uncritical", plain.chain)):
        write(folder, f"timestamps/{name}.pem", pem(certs))


def p384_lab():
    return Lab("a lab of large keys", ec.SECP384R1)


def write_p384(lab, folder, data=b"a signature"):
    write_trust(lab, folder)
    write(folder, "leaf.pem", cert_pem(lab.fulcio_signer(sct_ms=437).cert))
    write(folder, "bare.tsr", lab.tsa.response(data, certificates=False,
                                               name=lab.tsa.chain[0].subject))


def rsa_pki():
    """leaf, intermediate, root; neither use nor constraint is critical where it need not be."""
    keys = [rsa.generate_private_key(65537, size) for size in (3072, 2048, 2048)]
    root = certificate(keys[2], name_of("RSA root"), ca=True)
    middle = certificate(keys[1], name_of("RSA intermediate"), (keys[2], root), ca=True)
    san = x509.SubjectAlternativeName([x509.RFC822Name(EMAIL), x509.DNSName("signer.example.com")])
    leaf = certificate(keys[0], name_of("RSA signer"), (keys[1], middle), extensions=[(san, False)])
    return leaf, middle, root


def write_rsa(folder):
    for name, cert in zip(("leaf", "intermediate", "root"), rsa_pki()):
        write(folder, name + ".pem", cert_pem(cert))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder")
    parser.add_argument("--digest", default=DIGEST)
    parser.add_argument("--reference", default=REFERENCE)
    args = parser.parse_args()
    lab = Lab()
    for kind in COSIGN_KINDS:
        write_layer(lab, args.folder, kind, args.digest, args.reference)
    for name, bundle in lab.sample_bundles(args.digest).items():
        write(args.folder, f"bundles/{name}.json", json.dumps(bundle, indent=1))
        write_pieces(lab, args.folder, name, bundle, MANIFEST)
    write_timestamps(lab, args.folder)
    write_trust(lab, args.folder)
    write(args.folder, "tiles_leaf.pem", cert_pem(lab.tiles_signer().cert))
    write_p384(p384_lab(), os.path.join(args.folder, "p384"))
    write_rsa(os.path.join(args.folder, "rsa"))


if __name__ == "__main__":
    main()
