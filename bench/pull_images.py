#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the images of the pull benchmark, once, and serves them from a local registry.

Layers are Debian packages, unpacked and not configured: nothing of theirs is ever run. The lists
are fixed, so that two machines with the same mirror measure the same bytes.

  small   one layer of more than 50,000 files, 0.65 GB plain
  many    a Debian base and nine layers of packages, 3.4 GB plain, more than 1 GB as gzip
  single  the same files in one layer

Each exists in four kinds, as SHAPE:KIND: gzip, zstd, and both of them encrypted (enc and zstd-enc,
AES_256_CTR_HMAC_SHA256, JWE). All kinds of a shape have the same diff_ids. What is there is not
made again: a kind that is missing is made from the one it is made of.

  pull_images.py [SHAPE...] [KIND...]
"""
import contextlib
import hashlib
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor

GZIP_LEVEL = 6
ZSTD_LEVEL = 3
FEWEST_FILES = 50_000
PACKAGES = {
    "llvm": ["libllvm14", "llvm-14-dev", "llvm-14"],
    "java": ["openjdk-17-jre-headless", "openjdk-17-jdk-headless"],
    "python": ["python3-numpy", "python3-scipy", "python3-pandas", "python3-sympy",
               "libpython3.11-stdlib"],
    "gcc": ["cpp-12", "gcc-12", "g++-12", "git"],
    "go": ["golang-1.19-src", "golang-1.19-go"],
    "lisp": ["racket", "ocaml"],
    "web": ["libqt6webenginecore6", "libqt5webenginecore5", "libwebkit2gtk-4.1-0"],
    "office": ["libreoffice-core", "kotlin"],
    "cross": ["gcc-mingw-w64-x86-64-win32", "gcc-12-aarch64-linux-gnu", "libtorch1.13"],
    "small": ["rust-src", "libboost1.74-dev", "golang-1.19-src", "openjdk-17-doc"],
}
LARGE = ["base", "llvm", "java", "python", "gcc", "go", "lisp", "web", "office", "cross"]
SHAPES = {"small": ["small"], "single": LARGE, "many": LARGE}
# Each kind, and the one that it is made of.
KINDS = {"gzip": None, "zstd": "gzip", "enc": "gzip", "zstd-enc": "zstd"}
LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar+"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
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
    return pathlib.Path(home) / "sluice-bench-2"


def run(*argv, **options):
    subprocess.run([str(a) for a in argv], check=True, **options)


def mirror():
    """The one this machine installs from."""
    done = subprocess.run(["apt-get", "indextargets", "--format", "$(REPO_URI)",
                           "Created-By: Packages"], check=True, capture_output=True, text=True)
    return done.stdout.split()[0]


def make_base(root):
    """A minimal Debian, without what differs from run to run."""
    (root / "base").mkdir()
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
    tree.mkdir()
    for link in MERGED:
        (tree / "usr" / link).mkdir(parents=True, exist_ok=True)
        (tree / link).symlink_to(f"usr/{link}")
    for deb in sorted(debs.iterdir()):
        with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", deb], stdout=subprocess.PIPE) as data:
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
    with open(out, "wb") as raw, subprocess.Popen(argv, stdout=subprocess.PIPE) as tar, \
            subprocess.Popen(["gzip", "-n", f"-{GZIP_LEVEL}"], stdin=subprocess.PIPE,
                             stdout=raw) as gz:
        while chunk := tar.stdout.read(1 << 20):
            plain.update(chunk)
            total += len(chunk)
            gz.stdin.write(chunk)
        gz.stdin.close()
        if tar.wait() or gz.wait():
            raise RuntimeError(f"{out} could not be written")
    with open(out, "rb") as raw:
        digest = hashlib.file_digest(raw, "sha256").hexdigest()
    size = out.stat().st_size
    out.rename(out.with_name(digest))
    descriptor = {"mediaType": LAYER_TYPE + "gzip",
                  "digest": "sha256:" + digest, "size": size,
                  "annotations": {"plain-bytes": str(total)}}
    return descriptor, "sha256:" + plain.hexdigest()


def write_json_blob(layout, media_type, value):
    data = json.dumps(value).encode()
    digest = hashlib.sha256(data).hexdigest()
    (layout / "blobs/sha256" / digest).write_bytes(data)
    return {"mediaType": media_type, "digest": "sha256:" + digest, "size": len(data)}


def write_index(layout, config, layers):
    """The rest of an OCI layout, with one image and no tag."""
    manifest = write_json_blob(layout, MANIFEST, {
        "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers})
    (layout / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [manifest]}))
    (layout / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')


def write_image(layout, trees):
    """An OCI layout with one image, of one gzip layer for each tree; returns its plain size."""
    (layout / "blobs/sha256").mkdir(parents=True)
    with ThreadPoolExecutor(os.cpu_count()) as workers:
        done = list(workers.map(lambda tree: write_layer(layout, tree), trees))
    config = write_json_blob(layout, "application/vnd.oci.image.config.v1+json", {
        "architecture": "amd64", "os": "linux", "config": {"Cmd": ["/bin/sh"]},
        "rootfs": {"type": "layers", "diff_ids": [diff_id for _, diff_id in done]}})
    write_index(layout, config, [descriptor for descriptor, _ in done])
    return sum(int(descriptor["annotations"]["plain-bytes"]) for descriptor, _ in done)


def repack_zstd(layout):
    """The image of a layout again, of zstd layers with the same diff_ids."""
    blobs = layout / "blobs/sha256"
    index = json.loads((layout / "index.json").read_text())
    manifest = json.loads((blobs / index["manifests"][0]["digest"][7:]).read_text())
    layers = []
    for layer in manifest["layers"]:
        old, new = blobs / layer["digest"][7:], blobs / "partial"
        with open(old, "rb") as packed, open(new, "wb") as out, \
                subprocess.Popen(["igzip", "-dc"], stdin=packed, stdout=subprocess.PIPE) as inflate:
            run("zstd", "-q", f"-{ZSTD_LEVEL}", "-c", stdin=inflate.stdout, stdout=out)
            if inflate.wait():
                raise RuntimeError(f"{old} does not inflate")
        with open(new, "rb") as f:
            digest = hashlib.file_digest(f, "sha256").hexdigest()
        layers.append({"mediaType": LAYER_TYPE + "zstd", "digest": "sha256:" + digest,
                       "size": new.stat().st_size})
        new.rename(blobs / digest)
        old.unlink()
    write_index(layout, manifest["config"], layers)


def make_keys(cache):
    run("openssl", "genrsa", "-out", cache / "priv.pem", "2048", stderr=subprocess.DEVNULL)
    run("openssl", "rsa", "-in", cache / "priv.pem", "-pubout", "-out", cache / "pub.pem",
        stderr=subprocess.DEVNULL)


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


# ---- what is in the cache, and making what is not ----

def known_images(cache):
    """{shape: {plain, layers, files, kinds: {kind: bytes of its layers as sent}}}"""
    listed = cache / "images.json"
    return json.loads(listed.read_text()) if listed.exists() else {}


def note_images(cache, known):
    partial = cache / "images.json.partial"
    partial.write_text(json.dumps(known, indent=1) + "\n")
    partial.rename(cache / "images.json")


def skopeo_copy(source, target, *options):
    run("skopeo", "copy", "-q", "--insecure-policy", "--src-tls-verify=false",
        "--dest-tls-verify=false", *options, source, target)


def make_tree(root, name):
    if not (root / name).exists():
        if name == "base":
            make_base(root)
        else:
            make_packages(root, name, PACKAGES[name])
    return root / name


def count_files(tree):
    return sum(path.is_file() and not path.is_symlink() for path in tree.rglob("*"))


def add_image(cache, shape, trees, layout, port):
    """Puts SHAPE:gzip, of one layer for each tree, into the registry and the list."""
    known = known_images(cache)
    known[shape] = {"layers": len(trees), "files": sum(map(count_files, trees)),
                    "plain": write_image(layout, trees), "kinds": {}}
    skopeo_copy(f"oci:{layout}", f"docker://127.0.0.1:{port}/{shape}:gzip")
    shutil.rmtree(layout)
    known[shape]["kinds"]["gzip"] = packed_size(port, shape, "gzip")
    note_images(cache, known)


def make_gzip(cache, shape, root, port):
    trees = [make_tree(root, name) for name in SHAPES[shape]]
    if shape != "many" and len(trees) > 1:
        trees = [merge_trees(root / "all", trees)]
    add_image(cache, shape, trees, root / f"{shape}.oci", port)
    if shape == "small" and known_images(cache)[shape]["files"] < FEWEST_FILES:
        raise RuntimeError("small: the packages hold fewer files than they did; choose others")


def packed_size(port, shape, kind):
    request = urllib.request.Request(f"http://127.0.0.1:{port}/v2/{shape}/manifests/{kind}",
                                     headers={"Accept": MANIFEST})
    with urllib.request.urlopen(request) as reply:
        return sum(layer["size"] for layer in json.load(reply)["layers"])


def add_kind(cache, shape, kind, root, port):
    """Makes SHAPE:KIND of the kind it is made of, which is there."""
    repository = f"docker://127.0.0.1:{port}/{shape}"
    source, target = f"{repository}:{KINDS[kind]}", f"{repository}:{kind}"
    if kind == "zstd":
        layout = root / f"{shape}.zstd"
        skopeo_copy(source, f"oci:{layout}")
        repack_zstd(layout)
        skopeo_copy(f"oci:{layout}", target)
        shutil.rmtree(layout)
    else:
        skopeo_copy(source, target, "--encryption-key", f"jwe:{cache}/pub.pem")
    known = known_images(cache)
    known[shape]["kinds"][kind] = packed_size(port, shape, kind)
    note_images(cache, known)


def lineage(kind):
    """The kind and what it is made of, first things first."""
    return [*lineage(KINDS[kind]), kind] if kind else []


def make_images(cache, shapes=tuple(SHAPES), kinds=tuple(KINDS)):
    """Makes what the cache lacks of these shapes and kinds; returns what is known of all."""
    wanted = dict.fromkeys(kind for last in kinds for kind in lineage(last))
    cache.mkdir(parents=True, exist_ok=True)
    if not (cache / "pub.pem").exists():
        make_keys(cache)
    with tempfile.TemporaryDirectory(dir=cache) as work:
        for shape in shapes:
            for kind in wanted:
                if kind in known_images(cache).get(shape, {}).get("kinds", {}):
                    continue
                with registry(cache) as (port, _):
                    if kind == "gzip":
                        make_gzip(cache, shape, pathlib.Path(work), port)
                    else:
                        add_kind(cache, shape, kind, pathlib.Path(work), port)
    return known_images(cache)


def main():
    start, chosen = time.monotonic(), sys.argv[1:]
    if set(chosen) - SHAPES.keys() - KINDS.keys():
        sys.exit(f"pull_images.py: shapes are {', '.join(SHAPES)}; kinds are {', '.join(KINDS)}")
    shapes = [shape for shape in SHAPES if shape in chosen] or SHAPES
    kinds = [kind for kind in KINDS if kind in chosen] or KINDS
    print(json.dumps(make_images(cache_dir(), shapes, kinds), indent=1))
    print(f"{cache_dir()} is ready, {time.monotonic() - start:.0f} s")


if __name__ == "__main__":
    main()
