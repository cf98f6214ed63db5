#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What tests/support/sigstore_lab.py makes is what others make: openssl reads its timestamps, cosign
believes its signatures and bundles, and neither does when the key or the trust is another's.
cosign is in no Debian yet; its half is skipped where it is missing ($COSIGN, or in the PATH)."""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))

# pylint: disable=wrong-import-position
import sigstore_lab
from oci_layout import MANIFEST, add_blob

COSIGN = os.environ.get("COSIGN") or shutil.which("cosign")
IMAGE_KIND, SIGNATURES_KIND = "dev.cosignproject.cosign/image", "dev.cosignproject.cosign/sigs"
LAYER_TYPE = "application/vnd.dev.cosign.simplesigning.v1+json"


def run(*args, **more):
    return subprocess.run(args, capture_output=True, text=True, check=False, **more)


class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()  # pylint: disable=consider-using-with
        cls.lab = sigstore_lab.Lab()
        cls.large = sigstore_lab.p384_lab()
        sigstore_lab.write_trust(cls.lab, cls.folder.name)
        sigstore_lab.write_trust(sigstore_lab.Lab("a stranger"), cls.path("stranger"))
        sigstore_lab.write_p384(cls.large, cls.path("p384"))
        sigstore_lab.write(cls.folder.name, "manifest", sigstore_lab.MANIFEST)

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    @classmethod
    def path(cls, *names):
        return os.path.join(cls.folder.name, *names)


class OpenSSL(Case):
    def verify(self, response, data, root):
        sigstore_lab.write(self.path(), "response", response)
        sigstore_lab.write(self.path(), "data", data)
        return run("openssl", "ts", "-verify", "-in", self.path("response"), "-data",
                   self.path("data"), "-CAfile", self.path(root), "-untrusted",
                   self.path("tsa_chain.pem"), "-attime", str(sigstore_lab.SIGN_TIME))

    def test_timestamps(self):
        for how in ({}, {"hash_name": "sha512"}, {"certificates": False},
                    {"name": self.lab.tsa.chain[0].subject}):
            response = self.lab.tsa.response(b"a signature", **how)
            said = self.verify(response, b"a signature", "tsa_root.pem")
            self.assertEqual(said.returncode, 0, said.stderr)
            for data, root in ((b"another", "tsa_root.pem"),
                               (b"a signature", "stranger/tsa_root.pem")):
                self.assertNotEqual(self.verify(response, data, root).returncode, 0)

    def check_chain(self, cert, name, folder="", strangers="stranger"):
        sigstore_lab.write(self.path(), "leaf.pem", sigstore_lab.cert_pem(cert))
        for trust, verdict in ((folder, 0), (strangers, 2)):
            said = run("openssl", "verify", "-x509_strict", "-attime",
                       str(sigstore_lab.SIGN_TIME), "-CAfile", self.path(trust, name + "root.pem"),
                       "-untrusted", self.path(folder, name + "intermediate.pem"),
                       self.path("leaf.pem"))
            self.assertEqual(said.returncode, verdict, said.stderr)

    def test_certificates(self):
        self.check_chain(self.lab.fulcio_signer().cert, "fulcio_")
        self.check_chain(self.lab.pki_signer.cert, "pki_")
        self.check_chain(self.large.fulcio_signer().cert, "fulcio_", "p384")

    def test_rsa_certificates(self):
        for folder in "rsa", "other-rsa":
            sigstore_lab.write_rsa(self.path(folder))
        with open(self.path("rsa", "leaf.pem"), "rb") as f:
            leaf = sigstore_lab.x509.load_pem_x509_certificate(f.read())
        self.check_chain(leaf, "", "rsa", "other-rsa")

    def test_certificate_timestamps(self):
        for cert, more in ((self.lab.fulcio_signer().cert, "none"),
                           (self.lab.tiles_signer().cert, "00:00:05:00:49:96:02:D2")):
            said = run("openssl", "x509", "-noout", "-ext", "ct_precert_scts",
                       input=sigstore_lab.cert_pem(cert).decode())
            self.assertRegex(said.stdout, r"Version +: v1 \(0x0\)")
            self.assertIn("Extensions: " + more, said.stdout)


@unittest.skipUnless(COSIGN, "needs cosign")
class Cosign(Case):
    def cosign(self, *args):
        return run(COSIGN, *args, env={"HOME": self.path("home"), "PATH": os.environ["PATH"]})

    def signer_options(self, name, key):
        if name.startswith("key"):
            return ["--key", self.path(key)]
        subject = sigstore_lab.URI if "uri" in name else sigstore_lab.EMAIL
        return ["--certificate-identity", subject,
                "--certificate-oidc-issuer", sigstore_lab.ISSUER]

    def verify_bundle(self, name, trust="", key="cosign.pub"):
        options = self.signer_options(name, key)
        if name in ("key-dsse-nolog", "key-dsse-timestamp"):
            options.append("--insecure-ignore-tlog")
        if "timestamp" in name or name.startswith("fulcio") and "-v2" in name:
            options.append("--use-signed-timestamps")
        verb = ["verify-blob"] if "message" in name else [
            "verify-blob-attestation", "--type", sigstore_lab.SIGN_PREDICATE]
        return self.cosign(*verb, "--trusted-root", self.path(trust, "trusted_root.json"),
                           "--bundle", self.path("bundle"), *options, self.path("manifest"))

    def test_bundles(self):
        for name, bundle in self.lab.sample_bundles().items():
            with self.subTest(bundle=name):
                sigstore_lab.write(self.path(), "bundle", json.dumps(bundle))
                said = self.verify_bundle(name)
                self.assertEqual(said.returncode, 0, said.stderr)
                if name.startswith("key"):
                    self.assertNotEqual(self.verify_bundle(name, key="other.pub").returncode, 0)
                else:
                    self.assertNotEqual(self.verify_bundle(name, trust="stranger").returncode, 0)

    def test_authorities_of_large_keys(self):
        for name, bundle in self.large.sample_bundles().items():
            with self.subTest(bundle=name):
                if name in ("fulcio-dsse", "fulcio-dsse-v2-vast", "fulcio-uri-tiles"):
                    sigstore_lab.write(self.path(), "bundle", json.dumps(bundle))
                    said = self.verify_bundle(name, trust="p384")
                    self.assertEqual(said.returncode, 0, said.stderr)
                    self.assertNotEqual(self.verify_bundle(name).returncode, 0)

    def write_image(self, folder, kind):
        """An image and its .sig as cosign save writes them."""
        config = add_blob(folder, b"{}", "application/vnd.oci.image.config.v1+json")
        image = add_blob(folder, json.dumps({
            "schemaVersion": 2, "mediaType": MANIFEST, "config": config,
            "layers": []}).encode(), MANIFEST)
        payload, annotations = self.lab.cosign_layer(kind, image["digest"])
        layer = dict(add_blob(folder, payload, LAYER_TYPE), annotations=annotations)
        sig = add_blob(folder, json.dumps({
            "schemaVersion": 2, "mediaType": MANIFEST, "config": config,
            "layers": [layer]}).encode(), MANIFEST)
        index = {"schemaVersion": 2, "manifests": [
            dict(image, annotations={"kind": IMAGE_KIND}),
            dict(sig, annotations={"kind": SIGNATURES_KIND})]}
        sigstore_lab.write(folder, "index.json", json.dumps(index))
        sigstore_lab.write(folder, "oci-layout", '{"imageLayoutVersion":"1.0.0"}')

    def verify_image(self, kind, trust="", key="cosign.pub"):
        options = self.signer_options(kind, key)
        if "rekor" not in kind:
            options.append("--insecure-ignore-tlog")
        if "rfc3161" in kind:
            options.append("--use-signed-timestamps")
        return self.cosign("verify", "--local-image", "--trusted-root",
                           self.path(trust, "trusted_root.json"), *options,
                           self.path("image-" + kind))

    def test_signatures(self):
        for kind in sigstore_lab.COSIGN_KINDS:
            if kind == "pki":  # no longer in cosign 3
                continue
            with self.subTest(kind=kind):
                self.write_image(self.path("image-" + kind), kind)
                said = self.verify_image(kind)
                self.assertEqual(said.returncode, 0, said.stderr)
                if kind.startswith("key"):
                    self.assertNotEqual(self.verify_image(kind, key="other.pub").returncode, 0)
                else:
                    self.assertNotEqual(self.verify_image(kind, trust="stranger").returncode, 0)


if __name__ == "__main__":
    unittest.main()
