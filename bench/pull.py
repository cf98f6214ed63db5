#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Pulls the same image with Sluice and with its rivals, and prints what each took.

Every tool starts from nothing and ends with the image's files on disk, from a registry on this
machine. bench/README.md says how to measure well. Needs root, and 8 GB for the stores.
"""
import argparse
import base64
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
import urllib.request

import pull_images

HERE = pathlib.Path(__file__).resolve().parent
STORE_SIZE = "8G"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
PUBLIC_OPTIONS = "org.opencontainers.image.enc.pubopts"
WRAPPED_KEYS = "org.opencontainers.image.enc.keys.jwe"


# ---- the image as the shell pipeline needs it ----

def fetch_json(url):
    request = urllib.request.Request(url, headers={"Accept": MANIFEST})
    with urllib.request.urlopen(request) as reply:
        return json.load(reply)


def unpad64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def open_jwe(packet, key):
    """RSA-OAEP and A256GCM, as ocicrypt writes them."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    jwe = json.loads(packet)
    oaep = padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None)
    content_key = key.decrypt(unpad64(jwe["encrypted_key"]), oaep)
    sealed = unpad64(jwe["ciphertext"]) + unpad64(jwe["tag"])
    return AESGCM(content_key).decrypt(unpad64(jwe["iv"]), sealed, jwe["protected"].encode())


def layer_line(layer, diff_id, key):
    """One line of pull_pipeline.sh's input."""
    fields = [layer["digest"][7:], diff_id[7:], "-", "-", "-"]
    if layer["mediaType"].endswith("+encrypted"):
        notes = layer["annotations"]
        private = json.loads(open_jwe(base64.b64decode(notes[WRAPPED_KEYS].split(",")[0]), key))
        public = json.loads(base64.b64decode(notes[PUBLIC_OPTIONS]))
        fields[2] = base64.b64decode(private["symkey"]).hex()
        fields[3] = base64.b64decode(private["cipheroptions"]["nonce"]).hex()
        fields[4] = base64.b64decode(public["hmac"]).hex()
    return " ".join(fields) + "\n"


def layer_lines(repository, tag, key_file):
    from cryptography.hazmat.primitives.serialization import load_pem_private_key
    key = load_pem_private_key(key_file.read_bytes(), password=None)
    manifest = fetch_json(f"{repository}/manifests/{tag}")
    config = fetch_json(f"{repository}/blobs/{manifest['config']['digest']}")
    pairs = zip(manifest["layers"], config["rootfs"]["diff_ids"])
    return "".join(layer_line(layer, diff_id, key) for layer, diff_id in pairs)


# ---- the rivals: a shell command from nothing to files, and one that takes them away ----

class Bench:
    """What one image on one store looks like to the tools."""

    def __init__(self, options, port, image, tag, store):
        self.options, self.store, self.tag = options, pathlib.Path(store), tag
        self.repository = f"http://127.0.0.1:{port}/v2/{image}"
        self.reference = f"docker://127.0.0.1:{port}/{image}:{tag}"
        self.key = options.cache / "priv.pem"
        self.key_option = f"--decryption-key {self.key}" if tag == "enc" else ""

    def sluice(self):
        root, bundle = self.store / "root", self.store / "bundle"
        return (f"exec {self.options.sluice} pull --root {root} --insecure-policy "
                f"--tls-verify=false {self.key_option} {self.reference} {bundle}",
                f"{self.options.sluice} unmount --root {root} {bundle}")

    def skopeo_umoci(self):
        layout = self.store / "layout"
        return (f"skopeo copy -q --insecure-policy --src-tls-verify=false {self.key_option} "
                f"{self.reference} oci:{layout}:x && "
                f"umoci unpack --image {layout}:x {self.store}/bundle", "true")

    def buildah(self):
        root = f"{self.store}/buildah"
        policy = self.store / "policy.json"
        policy.write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
        return (f"exec buildah --root {root} --runroot {root}.run --storage-driver overlay "
                f"pull -q --signature-policy {policy} --tls-verify=false {self.key_option} "
                f"{self.reference}", f"umount {root}/overlay")

    def shell(self):
        lines = self.store / "layers"
        lines.write_text(layer_lines(self.repository, self.tag, self.key))
        return f"exec {HERE}/pull_pipeline.sh {self.repository} {self.store}/trees <{lines}", "true"


TOOLS = {"sluice": Bench.sluice, "skopeo+umoci": Bench.skopeo_umoci, "buildah": Bench.buildah,
         "shell": Bench.shell}


# ---- stores ----

@contextlib.contextmanager
def mounted(argv, where):
    pull_images.run(*argv, where)
    try:
        yield where
    finally:
        subprocess.run(["umount", "-l", where], check=False)


@contextlib.contextmanager
def fresh_store(kind, work):
    """An empty file system: creating files soon after a large removal is slower on ext4."""
    where = work / "store"
    where.mkdir()
    try:
        if kind == "tmpfs":
            with mounted(["mount", "-t", "tmpfs", "-o", f"size={STORE_SIZE}", "none"], where):
                yield where
            return
        # The image file lies in memory, so that the disk does not decide.
        backing = work / "backing"
        backing.mkdir()
        with mounted(["mount", "-t", "tmpfs", "-o", f"size={STORE_SIZE}", "none"], backing):
            pull_images.run("truncate", "-s", STORE_SIZE, backing / "ext4")
            pull_images.run("mkfs.ext4", "-q", "-E", "lazy_itable_init=0,lazy_journal_init=0",
                            backing / "ext4")
            with mounted(["mount", "-o", "loop", backing / "ext4"], where):
                yield where
        backing.rmdir()
    finally:
        where.rmdir()


# ---- measuring ----

def process_cpu(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(command, registry_pid):
    """Runs a shell command. CPU and peak memory are those of it and all its children; peak is of
    the largest single process."""
    os.sync()
    registry_before = process_cpu(registry_pid)
    with tempfile.TemporaryFile() as errors:
        start = time.perf_counter()
        process = subprocess.Popen(["bash", "-c", command], stdout=subprocess.DEVNULL,
                                   stderr=errors)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
        if status:
            errors.seek(0)
            raise RuntimeError(errors.read().decode(errors="replace")[-500:] or command)
    return {"wall": wall, "cpu": usage.ru_utime + usage.ru_stime, "rss": usage.ru_maxrss / 1024,
            "registry": process_cpu(registry_pid) - registry_before}


def run_once(options, where, tool, kind, registry_pid, port):
    image, tag = where.split(":")
    with tempfile.TemporaryDirectory(prefix="sluice-pull-") as work, \
            fresh_store(kind, pathlib.Path(work)) as store:
        command, clean = TOOLS[tool](Bench(options, port, image, tag, store))
        try:
            return measure(command, registry_pid)
        finally:
            subprocess.run(["bash", "-c", clean], check=False, stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL)


def run_series(options, where, kind, registry_pid, port):
    """All tools in turn, so that a machine whose speed drifts is fair to each."""
    runs = {tool: [] for tool in options.tools}
    for _ in range(options.runs):
        for tool in list(runs):
            try:
                runs[tool].append(run_once(options, where, tool, kind, registry_pid, port))
            except RuntimeError as problem:
                print(f"{tool} fails: {problem}", file=sys.stderr)
                del runs[tool]
    return runs


def print_series(where, kind, plain, runs):
    def median(tool, what):
        return statistics.median(run[what] for run in runs[tool])
    print(f"\n{where} on {kind}: {plain / 1e6:.0f} MB plain\n")
    print("| Tool | wall s, median (min) | to sluice | CPU s | to sluice | CPU/wall | peak MiB "
          "| MB/s | registry CPU s |")
    print("|---|---|---|---|---|---|---|---|---|")
    for tool, all_runs in runs.items():
        wall, cpu = median(tool, "wall"), median(tool, "cpu")
        of_wall = of_cpu = "-"
        if "sluice" in runs:
            of_wall = f"{wall / median('sluice', 'wall'):.2f}"
            of_cpu = f"{cpu / median('sluice', 'cpu'):.2f}"
        print(f"| {tool} | {wall:.2f} ({min(r['wall'] for r in all_runs):.2f}) | {of_wall} "
              f"| {cpu:.2f} | {of_cpu} | {cpu / wall:.2f} | {median(tool, 'rss'):.0f} "
              f"| {plain / 1e6 / wall:.0f} | {median(tool, 'registry'):.2f} |", flush=True)


def print_machine():
    model = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo")
                  if line.startswith("model name")), "?")
    print(f"{model}, {os.cpu_count()} cores, Linux {os.uname().release}")
    for version in ["skopeo --version", "umoci --version", "buildah --version", "igzip --version"]:
        if shutil.which(version.split()[0]):
            done = subprocess.run(version.split(), capture_output=True, text=True, check=False)
            print((done.stdout + done.stderr).splitlines()[0])


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--images", nargs="+", default=["many:enc", "single:enc"],
                        help="many or single, :enc or :gzip")
    parser.add_argument("--stores", nargs="+", choices=["tmpfs", "ext4"],
                        default=["tmpfs", "ext4"])
    parser.add_argument("--tools", nargs="+", choices=list(TOOLS), default=list(TOOLS))
    parser.add_argument("--sluice", default=HERE.parent / "build/bin/sluice")
    options = parser.parse_args()
    options.cache = pull_images.cache_dir()
    return options


def main():
    options = parse_options()
    if os.geteuid() != 0:
        sys.exit("pull.py: mounts file systems and sets owners: run it as root")
    pull_images.make_images(options.cache)
    sizes = json.loads((options.cache / "images.json").read_text())
    print_machine()
    with pull_images.registry(options.cache) as (port, pid):
        for where in options.images:
            for kind in options.stores:
                runs = run_series(options, where, kind, pid, port)
                print_series(where, kind, sizes[where.split(":")[0]]["plain"],
                             {tool: all_runs for tool, all_runs in runs.items() if all_runs})


if __name__ == "__main__":
    main()
