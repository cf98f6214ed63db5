# SPDX-License-Identifier: Apache-2.0
"""Fresh file systems, and what a command takes: for compare and the other scripts of this folder."""
import contextlib
import fcntl
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time

import pull_images

TOUCHED_MIB = 9 * 1024
STORE_SIZE = "9G"
STORES = ("tmpfs", "ext4")
VERSIONS = [("skopeo", "--version"), ("umoci", "--version"), ("buildah", "--version"),
            ("podman", "--version"), ("containerd", "--version"), ("igzip", "--version"),
            ("zstd", "--version"), ("unpigz", "--version")]


# ---- stores ----

@contextlib.contextmanager
def mounted(argv, where):
    pull_images.run(*argv, where)
    try:
        yield where
    finally:
        subprocess.run(["umount", "-l", where], check=False)


def touch_memory():
    """Uses and frees as much memory as a store may take. A virtual machine hands free memory back to its host,
    and whoever touches it next waits for each page: the first tool, by 4 of 6 s of CPU."""
    zeros = bytes(1 << 20)
    with tempfile.TemporaryFile(dir="/dev/shm") as f, contextlib.suppress(OSError):
        for _ in range(TOUCHED_MIB):
            f.write(zeros)


@contextlib.contextmanager
def fresh_store(kind, work):
    """An empty file system: creating files soon after a large removal is slower on ext4."""
    touch_memory()
    where = work / "store"
    where.mkdir()
    memory = ["mount", "-t", "tmpfs", "-o", f"size={STORE_SIZE}", "none"]
    try:
        if kind == "tmpfs":
            with mounted(memory, where):
                yield where
            return
        # The image file lies in memory, so that the disk does not decide.
        backing = work / "backing"
        backing.mkdir()
        with mounted(memory, backing):
            pull_images.run("truncate", "-s", STORE_SIZE, backing / "ext4")
            pull_images.run("mkfs.ext4", "-q", "-E", "lazy_itable_init=0,lazy_journal_init=0",
                            backing / "ext4")
            with mounted(["mount", "-o", "loop", backing / "ext4"], where):
                yield where
        backing.rmdir()
    finally:
        where.rmdir()


# ---- measuring ----

@contextlib.contextmanager
def held(lock):
    """For a machine that several measure on: one at a time."""
    if not lock:
        yield
        return
    with open(lock, "a") as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        yield


def process_cpu(pid):
    """Of a daemon and of those of its children that have ended, in seconds; the clock ticks are
    hundredths."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def process_peak(pid):
    """MiB."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines()
                if line.startswith("VmHWM")) / 1024


def run_command(command, environment, peak_file):
    """Seconds, and CPU seconds of the command and all its children. GNU time stands in between
    because a process's peak begins with that of the one that starts it, and this one is large."""
    with tempfile.TemporaryFile() as errors:
        start = time.perf_counter()
        process = subprocess.Popen(["time", "-o", peak_file, "-f", "%M", "bash", "-c", command],
                                   stdout=subprocess.DEVNULL, stderr=errors, start_new_session=True,
                                   env={**os.environ, **environment})
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:  # broken off by a signal: what was started must not hold the store
            os.killpg(process.pid, signal.SIGKILL)
            raise
        wall = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if status:
            errors.seek(0)
            raise RuntimeError(errors.read().decode(errors="replace")[-500:] or command)
    return wall, usage.ru_utime + usage.ru_stime


def measure(command, registry_pid, *, daemon=None, store=None, environment=(), lock=None):
    """Runs a shell command: wall and CPU seconds, peak memory of the largest single process (MiB),
    CPU seconds of the registry. What the daemon with that pid does is counted in. With a store,
    `synced` is the wall time until all that was written there is on its disk."""
    with tempfile.NamedTemporaryFile() as peak_file, held(lock):
        registry_before = process_cpu(registry_pid)
        daemon_before = process_cpu(daemon) if daemon else 0
        wall, cpu = run_command(command, dict(environment), peak_file.name)
        start = time.perf_counter()
        if store:
            subprocess.run(["sync", "-f", store], check=True)
        synced = wall + time.perf_counter() - start
        peak = int(peak_file.read().split()[-1]) / 1024
        if daemon:
            cpu += process_cpu(daemon) - daemon_before
            peak = max(peak, process_peak(daemon))
        return {"wall": wall, "synced": synced, "cpu": cpu, "rss": peak,
                "registry": process_cpu(registry_pid) - registry_before}


def machine():
    """Lines that belong to any figure: the machine, versions, and how busy it is."""
    model = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo")
                  if line.startswith("model name")), "?")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    lines = [f"{model}, {os.cpu_count()} cores, {memory:.0f} GiB, "
             f"Linux {os.uname().release.split('-')[0]}"]
    for program, option in VERSIONS:
        if shutil.which(program):
            done = subprocess.run([program, option], capture_output=True, text=True, check=False)
            found = re.search(r"\d+(\.\d+)+", done.stdout + done.stderr)
            lines.append(f"{program} {found[0] if found else '?'}")
    return [*lines, f"load before {os.getloadavg()[0]:.1f}"]
