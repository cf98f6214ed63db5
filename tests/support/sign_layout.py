# SPDX-License-Identifier: Apache-2.0
"""Signatures beside the images of an OCI layout, made by openssl and gpg alone: the tag
sha256-HEX.sig as cosign's signature spec has it, and files of a lookaside
(containers-signature(5))."""
import base64
import json
import os
import shutil
import subprocess
import tempfile

from crafted_image import write_blob

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
REF_NAME = "org.opencontainers.image.ref.name"


def run(*command, data=None):
    return subprocess.run(command, input=data, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          check=True).stdout


def digest_of(layout, tag="latest"):
    with open(os.path.join(layout, "index.json"), encoding="utf-8") as file:
        for entry in json.load(file)["manifests"]:
            if entry.get("annotations", {}).get(REF_NAME) == tag:
                return entry["digest"]
    raise KeyError(tag)


def payload(kind, name, digest):
    return json.dumps({"critical": {"type": kind, "identity": {"docker-reference": name},
                                    "image": {"docker-manifest-digest": digest}},
                       "optional": None if kind.startswith("cosign") else {}}).encode()


class CosignKey:
    """An ECDSA key: .key and .pub are paths of PEM files."""

    def __init__(self, folder, name="cosign"):
        self.key, self.pub = (os.path.join(folder, name + end) for end in (".key", ".pub"))
        run("openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", self.key)
        run("openssl", "ec", "-in", self.key, "-pubout", "-out", self.pub)

    def sign(self, layout, name, digest=None, signed=None):
        """Puts a signature of the image's digest into the layout; signed: what it says instead."""
        digest = digest or digest_of(layout)
        text = payload("cosign container image signature", name, signed or digest)
        layer = {"mediaType": "application/vnd.dev.cosign.simplesigning.v1+json",
                 **write_blob(layout, text), "annotations": {
                     "dev.cosignproject.cosign/signature": base64.b64encode(
                         run("openssl", "dgst", "-sha256", "-sign", self.key, data=text)).decode()}}
        config = {"mediaType": "application/vnd.oci.image.config.v1+json",
                  **write_blob(layout, b"{}")}
        manifest = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "config": config,
                               "layers": [layer]}).encode()
        add_tag(layout, {"mediaType": MANIFEST, **write_blob(layout, manifest)},
                digest.replace(":", "-") + ".sig")


def add_tag(layout, descriptor, tag):
    path = os.path.join(layout, "index.json")
    with open(path, encoding="utf-8") as file:
        index = json.load(file)
    index["manifests"].append(dict(descriptor, annotations={REF_NAME: tag}))
    with open(path, "w", encoding="utf-8") as file:
        json.dump(index, file)


class PgpKey:
    """.pub is the path of the armored public key, .fingerprint the key's."""

    def __init__(self, folder, name="pgp"):
        # Not in the folder, which may be a mount: an agent that goes is gone a little later.
        self.home, self.pub = tempfile.mkdtemp(prefix="sluice-gpg-"), os.path.join(folder, name + ".asc")
        self.gpg("--passphrase", "", "--quick-generate-key", f"{name} <{name}@example.com>",
                 "rsa2048", "sign", "never")
        listing = self.gpg("--with-colons", "--list-keys").decode()
        self.fingerprint = next(line.split(":")[9] for line in listing.splitlines()
                                if line.startswith("fpr"))
        with open(self.pub, "wb") as file:
            file.write(self.gpg("--armor", "--export"))

    def close(self):
        subprocess.run(["gpgconf", "--homedir", self.home, "--kill", "all"], check=False)
        shutil.rmtree(self.home, ignore_errors=True)

    def gpg(self, *args, data=None):
        return run("gpg", "--homedir", self.home, "--batch", "--quiet", "--pinentry-mode",
                   "loopback", *args, data=data)

    def sign(self, lookaside, name, digest, number=1, signed=None):
        """name: host/repository:tag. Puts signature-NUMBER into the lookaside's folder."""
        repository = name.split("/", 1)[1].rpartition(":")[0]
        folder = os.path.join(lookaside, f"{repository}@{digest.replace(':', '=')}")
        os.makedirs(folder, exist_ok=True)
        text = payload("atomic container signature", name, signed or digest)
        with open(os.path.join(folder, f"signature-{number}"), "wb") as file:
            file.write(self.gpg("--sign", data=text))
