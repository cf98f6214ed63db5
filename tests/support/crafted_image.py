# SPDX-License-Identifier: Apache-2.0
"""Images made byte by byte, encrypted as ocicrypt does, so that any one thing in them can be wrong.

    layer = Layer(tar, pack="gzip", kek=KEK)
    layer.descriptor["size"] += 1                 # whatever shall be wrong
    write_image(folder, [layer])                  # an OCI layout with the tag "latest"
"""
import base64
import gzip
import hashlib
import json
import os
import platform
import subprocess

from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

TYPE = "application/vnd.oci.image."
MANIFEST, INDEX, CONFIG = (TYPE + t for t in
                           ("manifest.v1+json", "index.v1+json", "config.v1+json"))
ENC = "org.opencontainers.image.enc."
PACKET = ENC + "keys.provider.attestation-agent"
PUBOPTS = ENC + "pubopts"
KID = "kbs:///default/image-kek/one"
ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())


def b64(data):
    return base64.b64encode(data).decode()


def sha256(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def flip(data, at):
    """One bit of byte at is another; at may be negative."""
    changed = bytearray(data)
    changed[at] ^= 0x10
    return bytes(changed)


def zstd(data):
    return subprocess.run(["zstd", "-q", "-c"], input=data, stdout=subprocess.PIPE,
                          check=True).stdout


PACK = {
    None: ("", lambda data: data),
    "gzip": ("+gzip", lambda data: gzip.compress(data, 6, mtime=0)),
    "zstd": ("+zstd", zstd),
}


class Layer:
    """blob, diff_id and descriptor; an encrypted one also has lek, nonce, plbco and packet."""

    def __init__(self, tar, pack="gzip", kek=None, blob=None):
        suffix, compress = PACK[pack]
        self.blob = compress(tar) if blob is None else blob
        self.diff_id = sha256(tar)
        self.descriptor = {"mediaType": TYPE + "layer.v1.tar" + suffix}
        if kek:
            self.encrypt(kek)
        self.describe()

    def describe(self):
        """Size and digest of the blob as it is now."""
        self.descriptor.update(digest=sha256(self.blob), size=len(self.blob))

    def encrypt(self, kek):
        self.lek, self.nonce = os.urandom(32), os.urandom(16)
        plain = self.blob
        stream = Cipher(algorithms.AES(self.lek), modes.CTR(self.nonce)).encryptor()
        self.blob = stream.update(plain)
        mac = hmac.HMAC(self.lek, hashes.SHA256())
        mac.update(self.blob)
        self.pubopts = {"cipher": "AES_256_CTR_HMAC_SHA256", "hmac": b64(mac.finalize()),
                        "cipheroptions": {}}
        self.plbco = {"symkey": b64(self.lek), "digest": sha256(plain),
                      "cipheroptions": {"nonce": b64(self.nonce)}}
        iv = os.urandom(12)
        wrapped = AESGCM(kek).encrypt(iv, json.dumps(self.plbco).encode(), None)
        self.packet = {"kid": KID, "wrapped_data": b64(wrapped), "iv": b64(iv),
                       "wrap_type": "A256GCM"}
        self.descriptor["mediaType"] += "+encrypted"
        self.annotate()

    def annotate(self):
        """The annotations as pubopts and packet say now."""
        self.descriptor["annotations"] = {
            PUBOPTS: b64(json.dumps(self.pubopts).encode()),
            PACKET: b64(json.dumps(self.packet).encode())}


def write_blob(folder, data, name=None):
    """name: the digest it is stored under, if not its own."""
    digest = name or sha256(data)
    path = blob_path(folder, digest)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(data)
    return {"digest": digest, "size": len(data)}


def blob_path(folder, digest):
    return os.path.join(folder, "blobs", *digest.split(":"))


def config_of(layers):
    return {"os": "linux", "architecture": ARCHITECTURE, "config": {"Cmd": ["/bin/true"]},
            "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]}}


def write_index(folder, entry):
    """The layout's index.json: the descriptor, tagged latest."""
    os.makedirs(folder, exist_ok=True)
    entry = dict(entry, annotations={"org.opencontainers.image.ref.name": "latest"})
    with open(os.path.join(folder, "index.json"), "w", encoding="utf-8") as file:
        json.dump({"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]}, file)
    with open(os.path.join(folder, "oci-layout"), "w", encoding="utf-8") as file:
        json.dump({"imageLayoutVersion": "1.0.0"}, file)


def write_document(folder, document, media_type=MANIFEST):
    """Tags a manifest, index or nonsense; returns its descriptor."""
    data = document if isinstance(document, bytes) else json.dumps(document).encode()
    entry = {"mediaType": media_type, **write_blob(folder, data)}
    write_index(folder, entry)
    return entry


def write_image(folder, layers, config=None):
    """Returns the descriptors of manifest and config."""
    config = config or json.dumps(config_of(layers)).encode()
    described = {"mediaType": CONFIG, **write_blob(folder, config)}
    for layer in layers:
        write_blob(folder, layer.blob, layer.descriptor["digest"])
    return write_document(folder, {"schemaVersion": 2, "mediaType": MANIFEST, "config": described,
                                   "layers": [layer.descriptor for layer in layers]}), described
