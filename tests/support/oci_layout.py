# SPDX-License-Identifier: Apache-2.0
"""Writes a small OCI layout for tests: real digests, layers of any bytes."""
import hashlib
import json
import os

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"


def add_blob(folder, data, media_type):
    digest = hashlib.sha256(data).hexdigest()
    blobs = os.path.join(folder, "blobs", "sha256")
    os.makedirs(blobs, exist_ok=True)
    with open(os.path.join(blobs, digest), "wb") as file:
        file.write(data)
    return {"mediaType": media_type, "digest": "sha256:" + digest, "size": len(data)}


def pattern(size, seed=0):
    """Bytes that differ at every place, so that a wrong offset changes the digest."""
    out = bytearray()
    counter = 0
    while len(out) < size:
        out += hashlib.sha256(b"%d %d" % (seed, counter)).digest()
        counter += 1
    return bytes(out[:size])


def write_layout(folder, layers, tag="latest"):
    """Returns the descriptors of the manifest and of the layers."""
    os.makedirs(folder, exist_ok=True)
    config = add_blob(folder, json.dumps({
        "os": "linux", "architecture": "amd64", "config": {},
        "rootfs": {"type": "layers",
                   "diff_ids": ["sha256:" + hashlib.sha256(x).hexdigest() for x in layers]},
    }).encode(), CONFIG)
    descriptors = [add_blob(folder, data, LAYER) for data in layers]
    manifest = add_blob(folder, json.dumps({
        "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": descriptors,
    }).encode(), MANIFEST)
    entry = dict(manifest, annotations={"org.opencontainers.image.ref.name": tag})
    with open(os.path.join(folder, "index.json"), "w", encoding="utf-8") as file:
        json.dump({"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]}, file)
    with open(os.path.join(folder, "oci-layout"), "w", encoding="utf-8") as file:
        json.dump({"imageLayoutVersion": "1.0.0"}, file)
    return manifest, config, descriptors
