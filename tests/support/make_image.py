# SPDX-License-Identifier: Apache-2.0
"""Images made byte by byte, for tests that need to say exactly what is in one: several blobs of
one layer, lying configs, whiteouts, indexes. Ordinary images come from umoci and skopeo."""

import gzip
import hashlib
import io
import json
import os
import tarfile

import oci_layout


def tar_of(entries):
    """An archive of {name: content}; a name that ends in "/" is a directory."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in entries.items():
            info = tarfile.TarInfo(name.rstrip("/"))
            if name.endswith("/"):
                info.type, info.mode = tarfile.DIRTYPE, 0o755
                archive.addfile(info)
            else:
                data = content.encode() if isinstance(content, str) else content
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def digest_of(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Layer:
    """One blob. diff_id is the truth; an image may lie about it."""

    def __init__(self, tar, level=None, media_type=None):
        """level: of gzip; None leaves the archive as it is."""
        self.diff_id = digest_of(tar)
        self.blob = tar if level is None else gzip.compress(tar, level, mtime=0)
        self.digest = digest_of(self.blob)
        self.media_type = media_type or (
            oci_layout.LAYER + ("" if level is None else "+gzip"))


def layer(entries, level=6):
    return Layer(tar_of(entries), level)


def big_layer(name, size, seed=0):
    """A layer of about size bytes that compression cannot shrink."""
    return Layer(tar_of({name: oci_layout.pattern(size, seed)}))


def _document(folder, value, media_type):
    return oci_layout.add_blob(folder, json.dumps(value).encode(), media_type)


def add_manifest(folder, layers, diff_ids=None, platform=None, process=None, layer_blobs=None):
    """Adds an image to a layout without naming it; its descriptor. layer_blobs: ready descriptors
    instead of those of the layers."""
    platform = platform or {"os": "linux", "architecture": "amd64"}
    config = _document(folder, {
        **platform, "config": process or {},
        "rootfs": {"type": "layers", "diff_ids": diff_ids or [x.diff_id for x in layers]},
    }, oci_layout.CONFIG)
    blobs = layer_blobs or [oci_layout.add_blob(folder, x.blob, x.media_type) for x in layers]
    return _document(folder, {
        "schemaVersion": 2, "mediaType": oci_layout.MANIFEST, "config": config, "layers": blobs,
    }, oci_layout.MANIFEST)


def add_index(folder, entries):
    """An index of (descriptor, platform or None) pairs; its descriptor."""
    manifests = [dict(d, platform=p) if p else d for d, p in entries]
    return _document(folder, {"schemaVersion": 2, "mediaType": oci_layout.INDEX,
                              "manifests": manifests}, oci_layout.INDEX)


def add_tag(folder, descriptor, tag):
    """Names an image or index in a layout, which is made if need be; its reference."""
    path = os.path.join(folder, "index.json")
    index = {"schemaVersion": 2, "mediaType": oci_layout.INDEX, "manifests": []}
    if os.path.exists(path):
        index = read_json(path)
    index["manifests"].append(
        dict(descriptor, annotations={"org.opencontainers.image.ref.name": tag}))
    with open(path, "w", encoding="utf-8") as file:
        json.dump(index, file)
    with open(os.path.join(folder, "oci-layout"), "w", encoding="utf-8") as file:
        json.dump({"imageLayoutVersion": "1.0.0"}, file)
    return f"oci:{folder}:{tag}"


def add_image(folder, layers, tag="latest", **kwargs):
    """Adds an image to a layout; its reference."""
    return add_tag(folder, add_manifest(folder, layers, **kwargs), tag)


def read_json(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def read_blob(folder, digest):
    with open(os.path.join(folder, "blobs", *digest.split(":")), "rb") as file:
        return file.read()


def tagged(folder, tag="latest"):
    """(descriptor, manifest) of an image in a layout."""
    for entry in read_json(os.path.join(folder, "index.json"))["manifests"]:
        if entry.get("annotations", {}).get("org.opencontainers.image.ref.name") == tag:
            return entry, json.loads(read_blob(folder, entry["digest"]))
    raise KeyError(f"{folder} has no tag {tag}")
