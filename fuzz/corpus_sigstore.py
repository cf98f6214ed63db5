#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes those of the corpora anew that need certificates and keys, corpus/certificate and
corpus/public_key. The certificates are tests/support/sigstore_lab.py's, the keys drawn by lot."""
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "tests", "support"))

# pylint: disable=wrong-import-position
import sigstore_lab
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from sigstore_lab import cert_der, cert_pem, public_pem, spki, write

# RFC 3279, section 2.3.5: P-256, all its numbers spelled out.
P256_PRIME = 0xFFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF
P256_B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B


def certificates():
    lab, large = sigstore_lab.Lab(), sigstore_lab.p384_lab()
    fulcio = large.fulcio_signer(sct_ms=437).cert
    rsa_leaf = sigstore_lab.rsa_pki()[0]
    return {"chain_pem": sigstore_lab.pem(large.fulcio_chain), "fulcio_pem": cert_pem(fulcio),
            "fulcio_der": cert_der(fulcio), "truncated_der": cert_der(fulcio)[:400],
            "pki_der": cert_der(rsa_leaf), "sct_extensions_der": cert_der(lab.tiles_signer().cert)}


def explicit(key):
    """Its SPKI without the name of the curve."""
    point = key.public_key().public_bytes(serialization.Encoding.X962,
                                          serialization.PublicFormat.UncompressedPoint)
    base = ec.derive_private_key(1, ec.SECP256R1()).public_key().public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    lab = sigstore_lab
    curve = lab.sequence(
        lab.der_int(1), lab.sequence(lab.der_oid("1.2.840.10045.1.1"), lab.der_int(P256_PRIME)),
        lab.sequence(lab.octets((P256_PRIME - 3).to_bytes(32, "big")),
                     lab.octets(P256_B.to_bytes(32, "big"))),
        lab.octets(base), lab.der_int(lab.ORDERS["secp256r1"]), lab.der_int(1))
    return lab.sequence(lab.sequence(lab.der_oid("1.2.840.10045.2.1"), curve),
                        lab.der(3, b"\0" + point))


def public_keys():
    p256 = ec.generate_private_key(ec.SECP256R1())
    return {"p256_der": spki(p256), "p256_pem": public_pem(p256),
            "two_blocks": public_pem(p256) * 2, "explicit_curve_der": explicit(p256),
            "ed25519_der": spki(ed25519.Ed25519PrivateKey.generate()),
            "rsa2048_der": spki(rsa.generate_private_key(65537, 2048)),
            "secp256k1_der": spki(ec.generate_private_key(ec.SECP256K1()))}


def main():
    for corpus, files in (("certificate", certificates()), ("public_key", public_keys())):
        for name, data in files.items():
            write(os.path.join(HERE, "corpus", corpus), name, data)


if __name__ == "__main__":
    main()
