# SPDX-License-Identifier: Apache-2.0
"""Peers that no Debian package has, built once from pinned sources and kept, where Go is installed:

    cosign              the third, which writes sigstore bundles
    referrers_registry  a registry with the referrers API (its source is in the folder of that name)
    ttrpc_peers         an agent, an attestation agent and a hub, over containerd's ttrpc (likewise)

Modules and caches are Go's usual ones: what one build has compiled the next one need not. cosign is
large: three minutes of two idle cores, 3 GiB of caches, 150 MiB in the end."""
import hashlib
import os
import re
import shutil
import subprocess

import images

HERE = os.path.dirname(os.path.abspath(__file__))
OLDEST = (1, 26)  # Go that builds them without fetching another Go
BUILD_TIMEOUT = 1500  # seconds; other builds may be under way
COSIGN = "v3.1.3"


def why_not():
    """What is missing here for building anything; None when nothing is."""
    program = shutil.which("go")
    if not program:
        return "Go is not installed"
    said = images.run(program, "env", "GOVERSION", env={**os.environ, "GOTOOLCHAIN": "local"})
    version = re.match(r"go(\d+)\.(\d+)", said)
    if not version or tuple(map(int, version.groups())) < OLDEST:
        return f"Go {said.strip()} is too old, {'.'.join(map(str, OLDEST))} is needed"
    return None


def build(part, where, *what):
    """Leaves a program in the folder part. where: the folder go is run in."""
    work = os.path.join(part, "work")
    env = {**os.environ, "GOTMPDIR": work, "GOBIN": part, "GOTOOLCHAIN": "local",
           "GOFLAGS": "-mod=mod", "GOWORK": "off", "CGO_ENABLED": "0"}
    os.mkdir(work)
    done = subprocess.run(["go", "install", "-trimpath", "-ldflags=-s -w", *what], env=env,
                          cwd=where, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=BUILD_TIMEOUT, check=False)
    if done.returncode:
        raise RuntimeError(f"go install {' '.join(what)}: {done.stdout[-2000:]}")
    shutil.rmtree(work)


def own_program(name, kept):
    """The path of the program whose source is the folder name; made anew when that changes."""
    source = os.path.join(HERE, name)

    def make(part):
        # Go writes beside its sources what it finds missing there.
        copy = os.path.join(part, "source")
        shutil.copytree(source, copy)
        build(part, copy, ".")
        shutil.rmtree(copy)

    sums = hashlib.sha256()
    for file in sorted(os.listdir(source)):
        with open(os.path.join(source, file), "rb") as f:
            sums.update(f.read())
    place = images.keep(f"go-{name}-{sums.hexdigest()[:8]}", kept, make)
    return os.path.join(place, name)


def cosign(kept):
    """The program's path."""
    package = f"github.com/sigstore/cosign/v3/cmd/cosign@{COSIGN}"
    place = images.keep(f"go-cosign-{COSIGN}", kept, lambda part: build(part, part, package))
    return os.path.join(place, "cosign")


def referrers_registry(kept):
    """The program's path."""
    return own_program("referrers_registry", kept)


def ttrpc_peers(kept):
    """The program's path."""
    return own_program("ttrpc_peers", kept)
