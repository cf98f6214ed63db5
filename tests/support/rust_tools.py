# SPDX-License-Identifier: Apache-2.0
"""A peer in Rust, built once from crates that Cargo.lock pins, and kept, where cargo is installed:

    ttrpc_rust   a client on the ttrpc crate, as kata's agent (its source is in that folder)

A build has crates and a target folder of its own, which go when it is done."""
import hashlib
import os
import shutil
import subprocess

import images

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD_TIMEOUT = 900  # seconds; other builds may be under way


def why_not():
    """What is missing here for building anything; None when nothing is."""
    return None if shutil.which("cargo") else "cargo is not installed"


def make_client(part):
    source, work = os.path.join(HERE, "ttrpc_rust"), os.path.join(part, "work")
    shutil.copytree(source, work)
    env = {**os.environ, "CARGO_TARGET_DIR": os.path.join(work, "target")}
    done = subprocess.run(["cargo", "build", "--quiet", "--locked"], env=env, cwd=work,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=BUILD_TIMEOUT, check=False)
    if done.returncode:
        raise RuntimeError(f"cargo build: {done.stdout[-2000:]}")
    os.rename(os.path.join(work, "target", "debug", "ttrpc_rust"), os.path.join(part, "ttrpc_rust"))
    shutil.rmtree(work)


def ttrpc_client(kept):
    """The program's path."""
    sums = hashlib.sha256()
    for name in "Cargo.toml", "Cargo.lock", "src/main.rs":
        with open(os.path.join(HERE, "ttrpc_rust", name), "rb") as f:
            sums.update(f.read())
    place = images.keep(f"rust-ttrpc_rust-{sums.hexdigest()[:8]}", kept, make_client)
    return os.path.join(place, "ttrpc_rust")
