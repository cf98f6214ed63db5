# SPDX-License-Identifier: Apache-2.0
"""Writes OCI layouts from tar files: every layer as it is, so that a tar can be odd on purpose."""
import hashlib
import json
import os
import platform
import shutil

TYPE = "application/vnd.oci.image."
ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())


def write_blob(layout, data, algorithm="sha256"):
    """data: bytes, or the path of a file. Returns the descriptor without its media type."""
    if isinstance(data, bytes):
        digest, size = hashlib.new(algorithm, data).hexdigest(), len(data)
    else:
        with open(data, "rb") as f:
            digest = hashlib.file_digest(f, algorithm).hexdigest()
        size = os.path.getsize(data)
    folder = os.path.join(layout, "blobs", algorithm)
    os.makedirs(folder, exist_ok=True)
    place = os.path.join(folder, digest)
    if isinstance(data, bytes):
        with open(place, "wb") as f:
            f.write(data)
    elif not os.path.exists(place):
        shutil.copyfile(data, place)
    return {"digest": f"{algorithm}:{digest}", "size": size}


def write_image(layout, layers, diff_ids, config=None, tag="latest", algorithm="sha256"):
    """layers: descriptors of blobs already written."""
    config = write_blob(layout, json.dumps({
        "os": "linux", "architecture": ARCHITECTURE, "config": config or {},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
        "history": [{"created_by": "tests"} for _ in diff_ids]}).encode(), algorithm)
    manifest = write_blob(layout, json.dumps({
        "schemaVersion": 2, "mediaType": TYPE + "manifest.v1+json",
        "config": {"mediaType": TYPE + "config.v1+json", **config}, "layers": layers}).encode())
    entry = {"mediaType": TYPE + "manifest.v1+json", **manifest,
             "annotations": {"org.opencontainers.image.ref.name": tag}}
    with open(os.path.join(layout, "oci-layout"), "w", encoding="utf-8") as f:
        f.write('{"imageLayoutVersion":"1.0.0"}')
    with open(os.path.join(layout, "index.json"), "w", encoding="utf-8") as f:
        json.dump({"schemaVersion": 2, "manifests": [entry]}, f)


def write_plain_image(layout, tars, config=None, algorithm="sha256"):
    """An image whose layers are not compressed. tars: each bytes or the path of a file."""
    blobs = [write_blob(layout, tar, algorithm) for tar in tars]
    layers = [{"mediaType": TYPE + "layer.v1.tar", **blob} for blob in blobs]
    write_image(layout, layers, [b["digest"] for b in blobs], config, algorithm=algorithm)


def layer_blobs(layout):
    """The files of the layers, bottom first."""
    return [blob_path(layout, layer["digest"]) for layer in read_manifest(layout)["layers"]]


def read_manifest(layout):
    with open(os.path.join(layout, "index.json"), encoding="utf-8") as f:
        digest = json.load(f)["manifests"][0]["digest"]
    with open(blob_path(layout, digest), encoding="utf-8") as f:
        return json.load(f)


def blob_path(layout, digest):
    return os.path.join(layout, "blobs", *digest.split(":"))
