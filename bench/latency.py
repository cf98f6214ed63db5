#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Pulls through links of different length: pull/IMAGE/LINK, where a link is loopback or a round trip.

Links are bench/link.py's, with real TCP, 1 Gbit/s and the kernel's own limits; the registry is at the far
end. The rivals do less: curl fetches the same blobs one after the other by one connection, and keeps
nothing; skopeo copies them into a folder, as they are. What a pull brings is decrypted, inflated, verified
and unpacked. `share` is of the link's rate, by bytes of layers. Needs root, /dev/net/tun and docker-registry;
what is missing is said in a record."""
import argparse
import contextlib
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import link as links
import pull_images
import pull_measure

ROOT = pathlib.Path(__file__).resolve().parent.parent
SLUICE = pathlib.Path(os.environ.get("SLUICE", ROOT / "build/bin/sluice"))
IMAGES = ["many:enc", "single:enc"]
ROUND_TRIPS_MS = [0, 1, 20, 100]  # 0: loopback, without a link
RATE_MBIT = 1000
RIVALS = ["curl", "skopeo"]


def name_of(image, rtt_ms):
    return f"pull/{image}/{f'{rtt_ms}ms' if rtt_ms else 'loopback'}"


def reason_not_to(rtt_ms, images, cache):
    """Why nothing can be measured here, in words."""
    missing = [p for p in ("docker-registry", "curl", "skopeo", "ip", "nsenter") if not shutil.which(p)]
    known = {f"{shape}:{kind}" for shape, what in pull_images.known_images(cache).items()
             for kind in what.get("kinds", ())}
    if os.geteuid() != 0:
        return "needs root"
    if missing:
        return f"{missing[0]} is not installed"
    if not SLUICE.exists():
        return f"{SLUICE} is not built (cmake --preset release)"
    if not set(images) <= known:
        return f"{cache} has no {', '.join(sorted(set(images) - known))}: bench/pull_images.py makes it"
    if rtt_ms and not os.path.exists("/dev/net/tun"):
        return "needs /dev/net/tun"
    if rtt_ms and not links.EMULATOR.exists():
        return f"{links.EMULATOR} is not built (cmake --preset bench)"
    return None


class Place:
    """A registry and where its clients run."""

    def __init__(self, address, prefix):
        self.address, self.prefix = address, prefix

    def layers(self, image):
        name, tag = image.split(":")
        done = subprocess.run([*self.prefix, "curl", "-sSf", "-H", f"Accept: {pull_images.MANIFEST}",
                               f"http://{self.address}/v2/{name}/manifests/{tag}"],
                              check=True, capture_output=True, text=True)
        return json.loads(done.stdout)["layers"]

    def measure(self, argv, after=()):
        """Wall and CPU seconds, peak bytes; what is done after is not counted."""
        with tempfile.NamedTemporaryFile() as peak_file:
            command = " ".join([*self.prefix, *map(str, argv)])
            wall, cpu = pull_measure.run_command(command, {}, peak_file.name)
            peak = int(peak_file.read().split()[-1]) * 1024
        if after:
            subprocess.run([*self.prefix, *map(str, after)], check=True, stdout=subprocess.DEVNULL)
        return wall, cpu, peak


@contextlib.contextmanager
def near(cache):
    with pull_images.registry(cache) as (port, _):
        yield Place(f"127.0.0.1:{port}", [])


@contextlib.contextmanager
def far(cache, rtt_ms):
    with links.Link(rtt_ms=rtt_ms, rate_mbit=RATE_MBIT) as link, \
            tempfile.NamedTemporaryFile("w", suffix=".yml") as config:
        address = f"{link.far_address}:5000"
        text = pull_images.REGISTRY_CONFIG.format(root=cache / "registry", port=5000)
        config.write(text.replace("127.0.0.1", link.far_address))
        config.flush()
        process = subprocess.Popen(link.inside(link.far, ["docker-registry", "serve", config.name]),
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        place = Place(address, ["nsenter", f"--net=/run/netns/{link.near}"])
        try:
            wait_until_up(place, process)
            yield place
        finally:
            process.terminate()
            process.wait()


def wait_until_up(place, process):
    for _ in range(100):
        done = subprocess.run([*place.prefix, "curl", "-s", f"http://{place.address}/v2/"], check=False,
                              capture_output=True)
        if done.returncode == 0:
            return
        if process.poll() is not None:
            break
        time.sleep(0.1)
    raise RuntimeError("docker-registry does not start")


# ---- who pulls: from nothing, into an empty tmpfs ----

def pull_sluice(place, image, store, cache):
    key = ["--decryption-key", cache / "priv.pem"] if image.endswith("enc") else []
    root, bundle = store / "root", store / "bundle"
    return place.measure([SLUICE, "pull", "--quiet", "--root", root, "--insecure-policy", "--tls-verify=false", *key,
                          f"docker://{place.address}/{image}", bundle],
                         after=[SLUICE, "unmount", "--root", root, bundle])


def pull_curl(place, image, _store, _cache):
    urls = [f"http://{place.address}/v2/{image.split(':')[0]}/blobs/{layer['digest']}"
            for layer in place.layers(image)]
    return place.measure(["curl", "-sSf", *(x for url in urls for x in ("-o", "/dev/null", url))])


def pull_skopeo(place, image, store, _cache):
    return place.measure(["skopeo", "copy", "-q", "--insecure-policy", "--src-tls-verify=false",
                          f"docker://{place.address}/{image}", f"dir:{store}/copy"])


PULLS = {"sluice": pull_sluice, "curl": pull_curl, "skopeo": pull_skopeo}


def measure_image(place, image, cache, options):
    """Medians of wall, CPU and peak by tool, runs of all of them in turn; and bytes of layers."""
    size = sum(layer["size"] for layer in place.layers(image))
    runs = {tool: [] for tool in PULLS}
    with tempfile.TemporaryDirectory(prefix="sluice-latency-") as work:
        for _ in range(options.runs):
            for tool in ["sluice", *options.rivals]:
                with pull_measure.fresh_store("tmpfs", pathlib.Path(work)) as store, pull_measure.held(options.lock):
                    runs[tool].append(PULLS[tool](place, image, store, cache))
    return {tool: [statistics.median(x) for x in zip(*taken)] for tool, taken in runs.items() if taken}, size


def records_of(image, rtt_ms, medians, size):
    wall, cpu, peak = medians["sluice"]
    for tool in [t for t in medians if t != "sluice"] or [None]:
        yield {"name": name_of(image, rtt_ms), "rival": tool, "bytes": size, "seconds": wall, "cpu_seconds": cpu,
               "peak_bytes": peak, "ratio": medians[tool][0] / wall if tool else None}


def show(image, rtt_ms, medians, size):
    for tool, (wall, cpu, peak) in medians.items():
        share = f"{size * 8 / wall / RATE_MBIT / 1e6:5.2f}" if rtt_ms else "    -"
        print(f"{name_of(image, rtt_ms):28} {tool:8} {wall:7.2f} s  CPU {cpu:6.2f} s  {size / wall / 1e6:6.0f} MB/s  "
              f"share {share}  peak {peak / 2**20:4.0f} MiB", flush=True)


def run(rtt_ms, options, cache):
    why = reason_not_to(rtt_ms, options.images, cache)
    if why:
        print(f"{rtt_ms} ms: skipped: {why}", flush=True)
        return [{"name": name_of(image, rtt_ms), "rival": rival, "skipped": why}
                for image in options.images for rival in options.rivals]
    found = []
    with far(cache, rtt_ms) if rtt_ms else near(cache) as place:
        for image in options.images:
            try:
                medians, size = measure_image(place, image, cache, options)
            except RuntimeError as problem:  # of a tool; the other links and images are still measured
                print(f"{name_of(image, rtt_ms)}: failed: {problem}".rstrip(), flush=True)
                found += [{"name": name_of(image, rtt_ms), "rival": rival, "failed": str(problem).strip()}
                          for rival in options.rivals or [None]]
                continue
            show(image, rtt_ms, medians, size)
            found += records_of(image, rtt_ms, medians, size)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--images", nargs="+", default=IMAGES, metavar="SHAPE:KIND")
    add("--rtt", nargs="+", type=float, default=ROUND_TRIPS_MS, metavar="MS", help="0: loopback")
    add("--rivals", nargs="*", default=RIVALS, choices=RIVALS)
    add("--runs", type=int, default=3)
    add("--lock", help="held while something is measured")
    add("--records", type=pathlib.Path, metavar="FILE")
    options = parser.parse_args()
    cache = pull_images.cache_dir()
    found = [r for rtt in options.rtt for r in run(int(rtt) if rtt == int(rtt) else rtt, options, cache)]
    if options.records:
        options.records.write_text("".join(json.dumps(r) + "\n" for r in found), encoding="utf-8")
    return 1 if any("failed" in r for r in found) else 0


if __name__ == "__main__":
    sys.exit(main())
