#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Trees as GNU tar, bsdtar and umoci leave them, against ours. usage: untar_oracle.py DRIVER"""
import json
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from tree_facts import differences, tree

GNU = ["tar", "--numeric-owner", "--xattrs", "--xattrs-include=*", "--sparse"]
BSD = ["bsdtar", "--numeric-owner"]
failures = []


def make_tree(top):
    """Everything a layer may hold, in one small tree."""
    os.makedirs(f"{top}/dir/sub")
    for i, size in enumerate((0, 1, 511, 512, 513, 262144, 300001)):
        with open(f"{top}/dir/f{i}", "wb") as f:
            f.write(os.urandom(size))
        os.utime(f"{top}/dir/f{i}", ns=(1234567890123456789 + i, 1500000000000000001 + i))
        os.chown(f"{top}/dir/f{i}", 1000 + i, 3000000 + i)
    os.chmod(f"{top}/dir/f1", 0o4711)
    os.link(f"{top}/dir/f2", f"{top}/dir/sub/hard")
    os.symlink("/nowhere/../x", f"{top}/dir/dangling")
    os.link(f"{top}/dir/dangling", f"{top}/dir/dangling2", follow_symlinks=False)
    os.chown(f"{top}/dir/dangling", 5, 6, follow_symlinks=False)
    os.mkfifo(f"{top}/fifo", 0o622)
    os.mknod(f"{top}/null", 0o20666, os.makedev(1, 3))
    os.mknod(f"{top}/loop", 0o60660, os.makedev(7, 200))
    os.setxattr(f"{top}/dir/f3", "user.test", b"a\0b\n=c")
    os.setxattr(f"{top}/dir/f3", "user.empty", b"")
    os.setxattr(f"{top}/dir/sub", "trusted.dir", b"1")
    os.setxattr(f"{top}/dir/f1", "security.capability",
                bytes.fromhex("0100000200200000000000000000000000000000"))
    with open(f"{top}/sparse", "wb") as f:
        for at in (0, 100000, 5000000, 20000000):
            f.seek(at)
            f.write(b"data%d" % at)
        f.truncate(30000000)
    with open(os.fsencode(top) + b"/bytes-\xff\xfe", "wb") as f:
        f.write(b"x")
    os.makedirs(f"{top}/{'long' * 30}/{'name' * 40}")
    os.utime(f"{top}/dir", ns=(5, 1000000000000000007))


def gnu(tar, to, *more):
    subprocess.run(GNU + ["-xpf", tar, "-C", to, "--delay-directory-restore", *more], check=True,
                   stderr=subprocess.DEVNULL)


def bsd(tar, to):
    subprocess.run(BSD + ["-xpf", tar, "-C", to, "--xattrs", "--acls"], check=True,
                   stderr=subprocess.DEVNULL)


def blob(layout, data):
    digest = hashlib.sha256(data).hexdigest()
    with open(f"{layout}/blobs/sha256/{digest}", "wb") as f:
        f.write(data)
    return {"digest": "sha256:" + digest, "size": len(data)}


def umoci(tar, to):
    """An image of one layer, unpacked as a root file system."""
    layout = to + ".oci"
    os.makedirs(f"{layout}/blobs/sha256")
    with open(tar, "rb") as f:
        layer = blob(layout, f.read())
    config = blob(layout, json.dumps({
        "architecture": "amd64", "os": "linux", "config": {},
        "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]}}).encode())
    mt = "application/vnd.oci.image."
    manifest = blob(layout, json.dumps({
        "schemaVersion": 2, "mediaType": mt + "manifest.v1+json",
        "config": {"mediaType": mt + "config.v1+json", **config},
        "layers": [{"mediaType": mt + "layer.v1.tar", **layer}]}).encode())
    with open(f"{layout}/oci-layout", "w") as f:
        f.write('{"imageLayoutVersion":"1.0.0"}')
    with open(f"{layout}/index.json", "w") as f:
        json.dump({"schemaVersion": 2, "manifests": [
            {"mediaType": mt + "manifest.v1+json", **manifest,
             "annotations": {"org.opencontainers.image.ref.name": "t"}}]}, f)
    done = subprocess.run(["umoci", "raw", "unpack", "--image", layout + ":t", to],
                          capture_output=True)
    if done.returncode:
        failures.append("umoci: " + done.stderr.decode())
        os.makedirs(to, exist_ok=True)
    shutil.rmtree(layout)


def compare(work, driver, what, tar, oracle, with_xattrs=True, root_entry=True, options=()):
    ours, theirs = f"{work}/ours", f"{work}/theirs"
    os.mkdir(ours)
    if oracle is not umoci:
        os.mkdir(theirs)
    with open(tar, "rb") as f:
        done = subprocess.run([driver, *options, ours], stdin=f, capture_output=True)
    oracle(tar, theirs)
    if done.returncode:
        failures.append(f"{what}: {done.stderr.decode()}")
    a, b = (tree(d, with_xattrs=with_xattrs, root_entry=root_entry) for d in (ours, theirs))
    if oracle is umoci:  # Go's tar reader takes an empty attribute for "unset"; GNU tar keeps it
        for f in a.values():
            f["xattrs"] = {k: v for k, v in f["xattrs"].items() if v}
    for line in differences(a, b):
        failures.append(f"{what}: {line}")
    print(f"{what}: {len(a)} entries")
    shutil.rmtree(ours)
    shutil.rmtree(theirs)
    return a


def pack(work, program, form, source, *more):
    tar = f"{work}/{form}.tar"
    plain = GNU if form == "pax" else ["tar", "--numeric-owner"] + (["--sparse"] if form == "gnu" else [])
    command = {"gnu": plain + ["--format=" + form, "-cf", tar], "bsd": BSD + ["--format", form, "-cf", tar]}
    subprocess.run(command[program] + [*more, "-C", source, "."], check=False, stderr=subprocess.DEVNULL)
    return tar


def run(work, driver):
    source = f"{work}/source"
    make_tree(source)
    fast = ("--random=3",)
    for sparse in ("0.0", "0.1", "1.0"):
        tar = pack(work, "gnu", "pax", source, "--sparse-version=" + sparse)
        a = compare(work, driver, f"GNU tar, pax, sparse {sparse}", tar, gnu, options=fast)
        failures.extend(f"source, sparse {sparse}: {d}" for d in differences(a, tree(source)))
    compare(work, driver, "umoci, pax", tar, umoci)
    for form in ("gnu", "ustar", "v7"):
        tar = pack(work, "gnu", form, source)
        # The forms before PAX carry no attributes; extracting must invent none.
        compare(work, driver, f"GNU tar, {form}", tar, gnu)
        if form == "ustar":  # umoci knows neither v7's lack of types nor GNU's sparse files
            compare(work, driver, f"umoci, {form}", tar, umoci)
    for form in ("pax", "gnutar", "ustar"):
        tar = pack(work, "bsd", form, source)
        # bsdtar leaves the times of "." alone.
        compare(work, driver, f"bsdtar, {form}", tar, bsd, root_entry=False, options=("--no-openat2",))
    for place in ("/etc", "/usr/bin"):
        tar = pack(work, "gnu", "pax", place)
        compare(work, driver, f"GNU tar, {place}", tar, gnu)
    tar = pack(work, "gnu", "gnu", "/etc")
    compare(work, driver, "umoci, /etc", tar, umoci)


def main():
    if os.geteuid() != 0:
        print("skipped: needs root")
        return 77
    missing = [p for p in ("tar", "bsdtar", "umoci") if not shutil.which(p)]
    if missing:
        print("skipped: missing", missing)
        return 77
    with tempfile.TemporaryDirectory() as work:
        if subprocess.run(["mount", "-t", "tmpfs", "none", work]).returncode:
            print("skipped: cannot mount a tmpfs")
            return 77
        try:
            run(work, sys.argv[1])
        finally:
            subprocess.run(["umount", work], check=True)
    print("\n".join(failures))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
