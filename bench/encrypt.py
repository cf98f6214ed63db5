#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Encrypts the same image with Sluice and with skopeo, and prints what each took.

Routes: oci (a layout in memory to another), registry (from a registry on this machine to another
repository of it). The images are the large ones of pull_images.py. Needs root, and 8 GB of memory.
bench/README.md says how to measure well.
"""
import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile

import pull_images
import pull_measure

HERE = pathlib.Path(__file__).resolve().parent


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

    def fill(self, images, port):
        """Layouts of the images, from the registry that keeps them."""
        for image in images:
            pull_images.skopeo_copy(f"docker://127.0.0.1:{port}/{image}:gzip",
                                    f"oci:{self.work}/{image}:gzip")

    def source(self, image, route):
        layout = f"oci:{self.work}/{image}:gzip"
        if route == "oci":
            return layout
        reference = f"docker://127.0.0.1:{self.port}/{image}:gzip"
        pull_images.skopeo_copy(layout, reference)
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
    source, size = place.source(image, route), size_of(place.work / image)
    runs = {tool: [] for tool in options.tools}
    for _ in range(options.runs):
        for tool, all_runs in runs.items():
            place.clean()
            all_runs.append(pull_measure.measure(TOOLS[tool](options, source, place.target(route)), pid))
    place.clean()
    place.kept = None
    return size, runs


def size_of(layout):
    index = json.loads((layout / "index.json").read_text())
    digest = index["manifests"][0]["digest"][7:]
    manifest = json.loads((layout / "blobs/sha256" / digest).read_text())
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
    parser.add_argument("--images", nargs="+", choices=["many", "single"], default=["many", "single"])
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
    pull_images.make_images(options.cache, options.images, ["gzip"])
    print("\n".join(pull_measure.machine()))
    with tempfile.TemporaryDirectory(prefix="sluice-encrypt-") as work:
        pull_images.run("mount", "-t", "tmpfs", "-o", f"size={pull_measure.STORE_SIZE}", "none", work)
        try:
            with pull_images.registry(pathlib.Path(work)) as (port, pid):
                place = Place(options, pathlib.Path(work), port)
                with pull_images.registry(options.cache) as (kept_port, _):
                    place.fill(options.images, kept_port)
                for image in options.images:
                    for route in options.routes:
                        size, runs = run_series(options, place, image, route, pid)
                        print_series(image, route, size, runs)
        finally:
            subprocess.run(["umount", "-l", work], check=False)


if __name__ == "__main__":
    main()
