#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Encrypts the same image with Sluice and with skopeo, and prints what each took.

Routes: oci (a layout in memory to another), registry (from a registry on this machine to another
repository of it). The images are those of pull.py, and "gigabyte": 1 GB of compressed layers made
of theirs. Needs root. bench/README.md says how to measure well.
"""
import argparse
import gzip
import hashlib
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile

import pull
import pull_images

HERE = pathlib.Path(__file__).resolve().parent
GIGABYTE = 1_000_000_000
EMPTY_MEMBER = gzip.compress(b"", mtime=0)


# ---- the image of a gigabyte ----

def blob_path(layout, digest):
    return layout / "blobs" / "sha256" / digest.removeprefix("sha256:")


def put_json(layout, value):
    data = json.dumps(value).encode()
    digest = hashlib.sha256(data).hexdigest()
    blob_path(layout, digest).write_bytes(data)
    return {"digest": "sha256:" + digest, "size": len(data)}


def put_longer(layout, blob, more):
    """In pieces: the peak memory of whatever this process starts begins with its own."""
    part = layout / "part"
    with open(blob, "rb") as source, open(part, "wb") as target:
        shutil.copyfileobj(source, target)
        target.write(more)
    with open(part, "rb") as f:
        digest = hashlib.file_digest(f, "sha256").hexdigest()
    size = part.stat().st_size
    part.rename(blob_path(layout, digest))
    return {"digest": "sha256:" + digest, "size": size}


def make_gigabyte(layout, many):
    """The layers of the image "many", and parts of them again under other digests, until their
    sizes add up: each copy has one empty gzip member more."""
    manifest = json.loads(blob_path(many, json.loads((many / "index.json").read_text())
                                    ["manifests"][0]["digest"]).read_text())
    config = json.loads(blob_path(many, manifest["config"]["digest"]).read_text())
    shutil.copytree(many, layout)
    layers, diff_ids = list(manifest["layers"]), list(config["rootfs"]["diff_ids"])
    sources = list(zip(layers, diff_ids))
    for copy in range(1, 100):
        for layer, diff_id in sources:
            if sum(entry["size"] for entry in layers) >= GIGABYTE:
                break
            layers.append({"mediaType": layer["mediaType"],
                           **put_longer(layout, blob_path(layout, layer["digest"]), EMPTY_MEMBER * copy)})
            diff_ids.append(diff_id)
    config["rootfs"]["diff_ids"] = diff_ids
    manifest["layers"] = layers
    manifest["config"].update(put_json(layout, config))
    entry = {"mediaType": pull.MANIFEST, **put_json(layout, manifest),
             "annotations": {"org.opencontainers.image.ref.name": "gzip"}}
    (layout / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
    return sum(entry["size"] for entry in layers)


# ---- the rivals ----

def sluice(options, source, target):
    return (f"exec {options.sluice} encrypt --quiet --tls-verify=false "
            f"--encryption-key jwe:{options.cache}/pub.pem {source} {target}")


def skopeo(options, source, target):
    return (f"exec skopeo copy -q --insecure-policy --src-tls-verify=false --dest-tls-verify=false "
            f"--encryption-key jwe:{options.cache}/pub.pem {source} {target}")


TOOLS = {"sluice": sluice, "skopeo": skopeo}


class Place:
    """Sources, and targets that are taken away after each run."""

    def __init__(self, options, work, port):
        self.options, self.work, self.port = options, work, port
        self.kept = None

    def layout(self, image):
        layout = self.work / image
        if not layout.exists() and image == "gigabyte":
            make_gigabyte(layout, self.layout("many"))
        elif not layout.exists():
            pull_images.run("skopeo", "copy", "-q", "--insecure-policy", "--src-tls-verify=false",
                            f"docker://127.0.0.1:{self.port}/{image}:gzip", f"oci:{layout}:gzip")
        return layout

    def source(self, image, route):
        layout = self.layout(image)
        if route == "oci":
            return f"oci:{layout}:gzip"
        reference = f"docker://127.0.0.1:{self.port}/{image}:gzip"
        if image == "gigabyte":
            pull_images.run("skopeo", "copy", "-q", "--insecure-policy", "--dest-tls-verify=false",
                            f"oci:{layout}:gzip", reference)
        return reference

    def target(self, route):
        return f"oci:{self.work}/out:enc" if route == "oci" else f"docker://127.0.0.1:{self.port}/out:enc"

    def clean(self):
        """What the last run wrote; the registry keeps every blob it ever had."""
        shutil.rmtree(self.work / "out", ignore_errors=True)
        data = self.work / "registry/docker/registry/v2"
        shutil.rmtree(data / "repositories/out", ignore_errors=True)
        blobs = set(data.glob("blobs/sha256/*/*"))
        self.kept = self.kept or blobs
        for blob in blobs - self.kept:
            shutil.rmtree(blob)


def run_series(options, place, image, route, pid):
    source, size = place.source(image, route), size_of(place.layout(image))
    runs = {tool: [] for tool in options.tools}
    for _ in range(options.runs):
        for tool, all_runs in runs.items():
            place.clean()
            all_runs.append(pull.measure(TOOLS[tool](options, source, place.target(route)), pid))
    place.clean()
    place.kept = None
    return size, runs


def size_of(layout):
    index = json.loads((layout / "index.json").read_text())
    manifest = json.loads(blob_path(layout, index["manifests"][0]["digest"]).read_text())
    return sum(layer["size"] for layer in manifest["layers"])


def print_series(image, route, size, runs):
    def median(tool, what):
        return statistics.median(run[what] for run in runs[tool])
    print(f"\n{image} by {route}: {size / 1e6:.0f} MB compressed\n")
    print("| Tool | wall s, median (min) | to sluice | CPU s | to sluice | peak MiB | MB/s | registry CPU s |")
    print("|---|---|---|---|---|---|---|---|")
    for tool, all_runs in runs.items():
        wall, cpu = median(tool, "wall"), median(tool, "cpu")
        of = [f"{median(tool, what) / median('sluice', what):.2f}" if "sluice" in runs else "-"
              for what in ("wall", "cpu")]
        print(f"| {tool} | {wall:.2f} ({min(r['wall'] for r in all_runs):.2f}) | {of[0]} | {cpu:.2f} "
              f"| {of[1]} | {median(tool, 'rss'):.0f} | {size / 1e6 / wall:.0f} "
              f"| {median(tool, 'registry'):.2f} |", flush=True)


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--images", nargs="+", default=["gigabyte", "single"], choices=["gigabyte", "many", "single"])
    parser.add_argument("--routes", nargs="+", choices=["oci", "registry"], default=["oci", "registry"])
    parser.add_argument("--tools", nargs="+", choices=list(TOOLS), default=list(TOOLS))
    parser.add_argument("--sluice", default=HERE.parent / "build/bin/sluice")
    options = parser.parse_args()
    options.cache = pull_images.cache_dir()
    return options


def main():
    options = parse_options()
    if os.geteuid() != 0:
        sys.exit("encrypt.py: mounts a file system: run it as root")
    pull_images.make_images(options.cache)
    pull.print_machine()
    with tempfile.TemporaryDirectory(prefix="sluice-encrypt-") as work:
        pull_images.run("mount", "-t", "tmpfs", "-o", f"size={pull.STORE_SIZE}", "none", work)
        try:
            data = pathlib.Path(work) / "registry"
            shutil.copytree(options.cache / "registry", data)
            with pull_images.registry(pathlib.Path(work)) as (port, pid):
                place = Place(options, pathlib.Path(work), port)
                for image in options.images:
                    for route in options.routes:
                        size, runs = run_series(options, place, image, route, pid)
                        print_series(image, route, size, runs)
        finally:
            subprocess.run(["umount", "-l", work], check=False)


if __name__ == "__main__":
    main()
