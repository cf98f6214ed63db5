# SPDX-License-Identifier: Apache-2.0
"""What of the targets no other script measures: a pull against GNU tar, a small pool of buffers, and
how long a start takes. All of it taken in turn, and told as records (see ratios.py)."""
import contextlib
import os
import pathlib
import statistics
import subprocess
import tempfile
import time

import pull_images
import pull_measure
import pull_rivals

SMALL_POOL = "24M"
STARTS = 31  # an odd number, for the median
CACHED_IMAGE = "small:gzip"


class Bench:
    """The registry that serves the images, and the programs."""

    def __init__(self, options, port, pid):
        self.options, self.port, self.pid = options, port, pid
        self.key = options.cache / "priv.pem"

    @contextlib.contextmanager
    def pull(self, image, store_kind):
        """A pull into a file system of its own."""
        with tempfile.TemporaryDirectory(prefix="sluice-targets-") as work, \
                pull_measure.fresh_store(store_kind, pathlib.Path(work)) as store:
            yield pull_rivals.Pull(self.options.sluice, self.key, self.port, image, store)

    def measure(self, image, store_kind, way):
        """One run. way: gives a command for a Pull, and one that cleans up."""
        with self.pull(image, store_kind) as pull:
            command, clean = way(pull)
            try:
                return pull_measure.measure(command, self.pid, lock=self.options.lock,
                                            store=pull.store if store_kind == "ext4" else None,
                                            environment={"TMPDIR": os.fspath(pull.temporary)})
            finally:
                quietly("bash", "-c", clean)

    def rivals(self, name, image, store, ways):
        """A record of each way but the first, which is the rival; names of ways to functions."""
        runs = {way: [] for way in ways}
        for _ in range(self.options.runs):
            for way, function in ways.items():
                runs[way].append(self.measure(image, store, function))
        rival, *others = ways
        return [record(f"{name}/{way}/{image}/{store}", rival, runs[way], runs[rival]) for way in others]


def quietly(*argv):
    subprocess.run(argv, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def median(runs, what):
    return statistics.median(run[what] for run in runs)


def record(name, rival, own, others):
    """Of runs as pull_measure gives them. synced_ratio: both until all is on the disk."""
    return {"name": name, "rival": rival, "bytes": None, "seconds": median(own, "wall"),
            "cpu_seconds": median(own, "cpu"), "peak_bytes": int(median(own, "rss") * (1 << 20)),
            "ratio": median(others, "wall") / median(own, "wall"),
            "synced_ratio": median(others, "synced") / median(own, "synced")}


# ---- GNU tar ----

def fetch_plain_tar(bench, shape, path):
    """The only layer of SHAPE:gzip, decompressed."""
    repository = f"http://127.0.0.1:{bench.port}/v2/{shape}"
    layer, = pull_rivals.fetch_json(f"{repository}/manifests/gzip")["layers"]
    with open(path, "wb") as out, \
            subprocess.Popen(["curl", "-fsS", f"{repository}/blobs/{layer['digest']}"],
                             stdout=subprocess.PIPE) as fetch:
        pull_images.run("igzip", "-dc", stdin=fetch.stdout, stdout=out)
    if fetch.returncode:
        raise RuntimeError(f"curl cannot fetch the layer of {shape}:gzip")


def tar_against_pull(bench, image, store):
    """The whole pull of an image of one layer, and GNU tar with the plain tar in memory: it neither
    fetches, decrypts, decompresses nor verifies."""
    with tempfile.TemporaryDirectory(prefix="sluice-targets-", dir="/dev/shm") as folder:
        plain = os.path.join(folder, "layer.tar")
        fetch_plain_tar(bench, image.split(":")[0], plain)

        def gnu_tar(pull):
            tree = pull.store / "tree"
            tree.mkdir()
            return f"exec tar -x -p --numeric-owner --xattrs -C {tree} -f {plain}", "true"
        return bench.rivals("targets/tar", image, store, {"gnu_tar": gnu_tar, "pull": pull_rivals.Pull.sluice})


# ---- a small pool of buffers ----

def small_pool(bench, image, store):
    return bench.rivals("targets/memory", image, store, {
        "default": pull_rivals.Pull.sluice,
        SMALL_POOL: lambda pull: pull.sluice(f"--memory {SMALL_POOL}")})


# ---- start-up ----

def spawn(argv):
    """Seconds until it has ended. Without a fork of this large process."""
    null = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in (0, 1, 2)]
    begun = time.perf_counter()
    pid = os.posix_spawn(argv[0], list(map(str, argv)), os.environ, file_actions=null)
    _, status, usage = os.wait4(pid, 0)
    seconds = time.perf_counter() - begun
    if status:
        raise RuntimeError(f"{' '.join(map(str, argv))}: exit status {os.waitstatus_to_exitcode(status)}")
    return seconds, usage.ru_utime + usage.ru_stime


def start_record(name, taken):
    seconds, cpu = (statistics.median(column) for column in zip(*taken))
    return {"name": f"targets/start/{name}", "rival": None, "bytes": None, "seconds": seconds,
            "cpu_seconds": cpu, "peak_bytes": None, "ratio": None}


def starts(bench):
    """`sluice version`; and a pull of an image that is in the store and mounted already."""
    program = os.path.abspath(bench.options.sluice)
    with bench.pull(CACHED_IMAGE, "tmpfs") as pull:
        command, clean = pull.sluice()
        argv = [program, *command.split()[2:]]
        try:
            spawn(argv)
            with pull_measure.held(bench.options.lock):
                pairs = [(spawn([program, "version"]), spawn(argv)) for _ in range(STARTS)]
        finally:
            quietly("bash", "-c", clean)
    version, cached = zip(*pairs)
    return [start_record("version", version), start_record("cached_pull", cached)]
