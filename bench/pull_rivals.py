# SPDX-License-Identifier: Apache-2.0
"""How each tool pulls an image: from an empty store on one file system to files there.

Every tool does what it does by default. What one cannot do is asked of the program itself, and
said in words.
"""
import base64
import contextlib
import functools
import json
import os
import pathlib
import re
import shutil
import subprocess
import time
import urllib.request

import pull_images

HERE = pathlib.Path(__file__).resolve().parent
PUBLIC_OPTIONS = "org.opencontainers.image.enc.pubopts"
WRAPPED_KEYS = "org.opencontainers.image.enc.keys.jwe"
CONTAINERD_CONFIG = """version = 2
root = "{home}/root"
state = "{home}/state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
  address = "{home}/containerd.sock"
[ttrpc]
  address = "{home}/containerd.ttrpc"
"""


# ---- the image as the shell pipeline needs it ----

def fetch_json(url):
    request = urllib.request.Request(url, headers={"Accept": pull_images.MANIFEST})
    with urllib.request.urlopen(request) as reply:
        return json.load(reply)


def read_blobs(repository, tag):
    """Has the registry read every layer once: the first tool shall not wait for the disk for the others."""
    for layer in fetch_json(f"{repository}/manifests/{tag}")["layers"]:
        with urllib.request.urlopen(f"{repository}/blobs/{layer['digest']}") as reply:
            while reply.read(1 << 20):
                pass


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
    packed = layer["mediaType"].removesuffix("+encrypted").rsplit("+", 1)[1]
    fields = [packed, layer["digest"][7:], diff_id[7:], "-", "-", "-"]
    if layer["mediaType"].endswith("+encrypted"):
        notes = layer["annotations"]
        private = json.loads(open_jwe(base64.b64decode(notes[WRAPPED_KEYS].split(",")[0]), key))
        public = json.loads(base64.b64decode(notes[PUBLIC_OPTIONS]))
        fields[3] = base64.b64decode(private["symkey"]).hex()
        fields[4] = base64.b64decode(private["cipheroptions"]["nonce"]).hex()
        fields[5] = base64.b64decode(public["hmac"]).hex()
    return " ".join(fields) + "\n"


def layer_lines(repository, tag, key_file):
    from cryptography.hazmat.primitives.serialization import load_pem_private_key
    key = load_pem_private_key(key_file.read_bytes(), password=None)
    manifest = fetch_json(f"{repository}/manifests/{tag}")
    config = fetch_json(f"{repository}/blobs/{manifest['config']['digest']}")
    pairs = zip(manifest["layers"], config["rootfs"]["diff_ids"])
    return "".join(layer_line(layer, diff_id, key) for layer, diff_id in pairs)


# ---- what a tool cannot do ----

@functools.cache
def says(*argv):
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def umoci_refuses(kind):
    old = re.search(r"version 0\.[0-4]\.", says("umoci", "--version"))
    return "umoci before 0.5 knows no zstd" if kind.startswith("zstd") and old else None


def podman_refuses(kind):
    can = "--decryption-key" in says("podman", "pull", "--help")
    return "this podman has no decryption" if kind.endswith("enc") and not can else None


def ctr_refuses(kind):
    return "ctr has no decryption (imgcrypt)" if kind.endswith("enc") else None


# ---- the tools: a shell command from nothing to files, and one that takes them away ----

class Pull:
    """One pull of one image into one store."""

    def __init__(self, sluice, key, port, image, store):
        self.store, self.key, self.program = pathlib.Path(store), key, sluice
        name, self.kind = image.split(":")
        self.repository = f"http://127.0.0.1:{port}/v2/{name}"
        self.bare = f"127.0.0.1:{port}/{image}"
        self.reference = f"docker://{self.bare}"
        self.key_option = f"--decryption-key {key}" if self.kind.endswith("enc") else ""
        self.temporary = self.store / "tmp"
        self.temporary.mkdir()

    def sluice(self, more=""):
        """more: options."""
        root, bundle = self.store / "root", self.store / "bundle"
        return (f"exec {self.program} pull --root {root} --insecure-policy "
                f"--tls-verify=false {self.key_option} {more} {self.reference} {bundle}",
                f"{self.program} unmount --root {root} {bundle}")

    def skopeo_umoci(self):
        layout = self.store / "layout"
        return (f"skopeo copy -q --insecure-policy --src-tls-verify=false {self.key_option} "
                f"{self.reference} oci:{layout}:x && "
                f"umoci unpack --image {layout}:x {self.store}/bundle", "true")

    def permissive(self):
        policy = self.store / "policy.json"
        policy.write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
        return f"--signature-policy {policy} --tls-verify=false {self.key_option}"

    def buildah(self):
        root = f"{self.store}/buildah"
        return (f"exec buildah --root {root} --runroot {root}.run --storage-driver overlay "
                f"pull -q {self.permissive()} {self.reference}", f"umount {root}/overlay")

    def podman(self):
        root = f"{self.store}/podman"
        return (f"exec podman --root {root} --runroot {root}.run --tmpdir {root}.tmp "
                f"--storage-driver overlay pull -q {self.permissive()} {self.reference}",
                f"umount {root}/overlay")

    def ctr(self):
        return (f"exec ctr --address {self.store}/containerd.sock images pull --plain-http "
                f"--snapshotter overlayfs {self.bare}", "true")

    def shell(self, mode="checked"):
        lines = self.store / "layers"
        lines.write_text(layer_lines(self.repository, self.kind, self.key))
        return (f"exec {HERE}/pull_pipeline.sh {mode} {self.repository} {self.store}/trees <{lines}",
                "true")

    def shell_unchecked(self):
        return self.shell("unchecked")


# Name: how it pulls, what it needs, what it refuses.
TOOLS = {
    "sluice": (Pull.sluice, [], None),
    "skopeo+umoci": (Pull.skopeo_umoci, ["skopeo", "umoci"], umoci_refuses),
    "buildah": (Pull.buildah, ["buildah"], None),
    "podman": (Pull.podman, ["podman"], podman_refuses),
    "ctr": (Pull.ctr, ["ctr", "containerd"], ctr_refuses),
    "shell": (Pull.shell, ["curl", "openssl", "igzip", "zstd"], None),
    "shell-unchecked": (Pull.shell_unchecked, ["curl", "openssl", "igzip", "zstd"], None),
}


def why_not(tool, kind):
    """Why it cannot pull such an image here, or None."""
    _, programs, refuses = TOOLS[tool]
    missing = [program for program in programs if not shutil.which(program)]
    if missing:
        return f"{' and '.join(missing)}: not installed"
    return refuses(kind) if refuses else None


@contextlib.contextmanager
def daemon_of(tool, store):
    """Starts what the tool talks to, in the store; yields its pid, or None."""
    if tool != "ctr":
        yield None
        return
    config = store / "containerd.toml"
    config.write_text(CONTAINERD_CONFIG.format(home=store))
    process = subprocess.Popen(["containerd", "--config", config, "--log-level", "error"],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for_containerd(process, store / "containerd.sock")
        yield process.pid
    finally:
        process.terminate()
        process.wait()


def wait_for_containerd(process, address):
    for _ in range(200):
        done = subprocess.run(["ctr", "--address", address, "version"], capture_output=True,
                              check=False)
        if done.returncode == 0:
            return
        if process.poll() is not None:
            break
        time.sleep(0.05)
    raise RuntimeError("containerd does not start")


@contextlib.contextmanager
def prepared(tool, pull):
    """Yields the command, the pid of a daemon and the environment; cleans up behind it. Temporary
    files go to the file system that is measured, for all."""
    command, clean = TOOLS[tool][0](pull)
    try:
        with daemon_of(tool, pull.store) as daemon:
            yield command, daemon, {"TMPDIR": os.fspath(pull.temporary)}
    finally:
        subprocess.run(["bash", "-c", clean], check=False, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
