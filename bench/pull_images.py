#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the images of the pull benchmark, once, and serves them from a local registry.

Layers are Debian packages, unpacked and not configured: nothing of theirs is ever run. The lists
are fixed, so that two machines with the same mirror measure the same bytes.

  many    a Debian base and five layers of packages, about 1.3 GB plain
  single  the same files in one layer

Each image exists as many:enc, single:enc (gzip, AES_256_CTR_HMAC_SHA256, JWE) and as many:gzip,
single:gzip (the same, not encrypted).
"""
import contextlib
import hashlib
import json
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor

GZIP_LEVEL = 6
PACKAGES = {
    "llvm": ["libllvm14", "llvm-14-dev", "llvm-14"],
    "java": ["openjdk-17-jre-headless", "openjdk-17-jdk-headless"],
    "python": ["python3-numpy", "python3-scipy", "python3-pandas", "python3-sympy",
               "libpython3.11-stdlib"],
    "gcc": ["cpp-12", "gcc-12", "g++-12", "git"],
    "go": ["golang-1.19-src"],
}
# Debian's merged /usr: packages that still ship /lib must land where the base has a symlink.
MERGED = ["bin", "lib", "lib32", "lib64", "sbin"]
TAR = ["tar", "--numeric-owner", "--xattrs", "--sort=name", "--mtime=@1700000000",
       "--pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime", "--format=posix"]
REGISTRY_CONFIG = """version: 0.1
log: {{level: error}}
storage: {{filesystem: {{rootdirectory: {root}}}}}
http: {{addr: "127.0.0.1:{port}"}}
"""


def cache_dir():
    chosen = os.environ.get("SLUICE_BENCH_DIR")
    if chosen:
        return pathlib.Path(chosen)
    home = os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache"))
    return pathlib.Path(home) / "sluice-bench"


def run(*argv, **options):
    subprocess.run([str(a) for a in argv], check=True, **options)


def mirror():
    """The one this machine installs from."""
    done = subprocess.run(["apt-get", "indextargets", "--format", "$(REPO_URI)",
                           "Created-By: Packages"], check=True, capture_output=True, text=True)
    return done.stdout.split()[0]


def make_base(root):
    """A minimal Debian, without what differs from run to run."""
    run("mmdebstrap", "--quiet", "--variant=minbase", "bookworm", root / "base.tar",
        mirror())
    run("tar", "-C", root / "base", "-xf", root / "base.tar", "--xattrs",
        "--exclude=./dev/*", "--exclude=./var/cache/apt/*", "--exclude=./var/log/*")


def make_packages(root, name, packages):
    """Unpacks packages as dpkg would see them on a merged-usr system."""
    debs = root / f"{name}.debs"
    debs.mkdir()
    run("apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", *packages, cwd=debs)
    tree = root / name
    for link in MERGED:
        (tree / "usr" / link).mkdir(parents=True, exist_ok=True)
        (tree / link).symlink_to(f"usr/{link}")
    for deb in sorted(debs.iterdir()):
        data = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", deb], stdout=subprocess.PIPE)
        run("tar", "-C", tree, "-xf", "-", "--keep-directory-symlink", stdin=data.stdout)
        if data.wait():
            raise RuntimeError(f"{deb} does not unpack")
    shutil.rmtree(debs)
    for link in MERGED:
        (tree / link).unlink()
        with contextlib.suppress(OSError):
            (tree / "usr" / link).rmdir()


def merge_trees(merged, trees):
    """All trees in one, by hard links: some tools refuse a layer that names a path twice."""
    merged.mkdir()
    for tree in trees:
        run("cp", "-alf", f"{tree}/.", merged)
    return merged


def write_layer(layout, tree):
    """One gzip layer of a tree; returns its descriptor and diff_id."""
    out = layout / "blobs/sha256" / ("partial." + tree.name)
    argv = TAR + ["-C", str(tree), "-cf", "-", "."]
    plain, total = hashlib.sha256(), 0
    with open(out, "wb") as raw:
        tar = subprocess.Popen(argv, stdout=subprocess.PIPE)
        gz = subprocess.Popen(["gzip", "-n", f"-{GZIP_LEVEL}"], stdin=subprocess.PIPE, stdout=raw)
        while chunk := tar.stdout.read(1 << 20):
            plain.update(chunk)
            total += len(chunk)
            gz.stdin.write(chunk)
        gz.stdin.close()
        if tar.wait() or gz.wait():
            raise RuntimeError(f"{out} could not be written")
    with open(out, "rb") as raw:
        digest = hashlib.file_digest(raw, "sha256") if hasattr(hashlib, "file_digest") else None
        digest = digest.hexdigest() if digest else hashlib.sha256(raw.read()).hexdigest()
    size = out.stat().st_size
    out.rename(out.with_name(digest))
    descriptor = {"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
                  "digest": "sha256:" + digest, "size": size,
                  "annotations": {"plain-bytes": str(total)}}
    return descriptor, "sha256:" + plain.hexdigest()


def write_json_blob(layout, media_type, value):
    data = json.dumps(value).encode()
    digest = hashlib.sha256(data).hexdigest()
    (layout / "blobs/sha256" / digest).write_bytes(data)
    return {"mediaType": media_type, "digest": "sha256:" + digest, "size": len(data)}


def write_image(layout, trees):
    """An OCI layout with one image, tag gzip, of one layer for each tree."""
    (layout / "blobs/sha256").mkdir(parents=True)
    with ThreadPoolExecutor(os.cpu_count()) as workers:
        done = list(workers.map(lambda tree: write_layer(layout, tree), trees))
    config = write_json_blob(layout, "application/vnd.oci.image.config.v1+json", {
        "architecture": "amd64", "os": "linux", "config": {"Cmd": ["/bin/sh"]},
        "rootfs": {"type": "layers", "diff_ids": [diff_id for _, diff_id in done]}})
    manifest = write_json_blob(layout, "application/vnd.oci.image.manifest.v1+json", {
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": config, "layers": [descriptor for descriptor, _ in done]})
    manifest["annotations"] = {"org.opencontainers.image.ref.name": "gzip"}
    (layout / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [manifest]}))
    (layout / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    return sum(int(descriptor["annotations"]["plain-bytes"]) for descriptor, _ in done)


def make_keys(cache):
    run("openssl", "genrsa", "-out", cache / "priv.pem", "2048", stderr=subprocess.DEVNULL)
    run("openssl", "rsa", "-in", cache / "priv.pem", "-pubout", "-out", cache / "pub.pem",
        stderr=subprocess.DEVNULL)


def push(cache, layout, name, port):
    source = f"oci:{layout}:gzip"
    target = f"docker://127.0.0.1:{port}/{name}"
    copy = ["skopeo", "copy", "-q", "--insecure-policy", "--dest-tls-verify=false"]
    run(*copy, source, f"{target}:gzip")
    run(*copy, "--encryption-key", f"jwe:{cache}/pub.pem", source, f"{target}:enc")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_until_up(port, process):
    for _ in range(200):
        with contextlib.suppress(OSError):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/v2/").close()
            return
        if process.poll() is not None:
            break
        time.sleep(0.05)
    raise RuntimeError("docker-registry does not start")


@contextlib.contextmanager
def registry(cache):
    """Runs docker-registry over the cache on a free port; yields (port, pid)."""
    port = free_port()
    with tempfile.NamedTemporaryFile("w", suffix=".yml") as config:
        config.write(REGISTRY_CONFIG.format(root=cache / "registry", port=port))
        config.flush()
        process = subprocess.Popen(["docker-registry", "serve", config.name],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_until_up(port, process)
            yield port, process.pid
        finally:
            process.terminate()
            process.wait()


def make_images(cache):
    """Fills the cache; a file at the end says that it is complete."""
    if (cache / "images.json").exists():
        return
    shutil.rmtree(cache, ignore_errors=True)
    cache.mkdir(parents=True)
    make_keys(cache)
    sizes = {}
    with tempfile.TemporaryDirectory(dir=cache) as work, registry(cache) as (port, _):
        root = pathlib.Path(work)
        names = ["base", *PACKAGES]
        for name in names:
            (root / name).mkdir()
        make_base(root)
        for name, packages in PACKAGES.items():
            make_packages(root, name, packages)
        trees = [root / name for name in names]
        images = {"many": trees, "single": [merge_trees(root / "all", trees)]}
        for image, layers in images.items():
            sizes[image] = {"plain": write_image(root / f"{image}.oci", layers),
                            "layers": len(layers)}
            push(cache, root / f"{image}.oci", image, port)
    (cache / "images.json").write_text(json.dumps(sizes, indent=1))


if __name__ == "__main__":
    start = time.monotonic()
    make_images(cache_dir())
    print(f"{cache_dir()} is ready, {time.monotonic() - start:.0f} s")
