#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The table of targets: what was aimed at, what was measured, met or missed.

Takes the records of compare, sluice-bench, sluice-bench limit --json and latency.py by --with, and
measures what they lack. bench/README.md says how long that takes. Needs root, and 12 GB of memory.
"""
import argparse
import dataclasses
import datetime
import json
import pathlib
import signal
import statistics
import subprocess
import sys
import tempfile
import time

import pull_images
import pull_measure
import pull_report
import pull_rivals
import ratios
import targets_measure

HERE = pathlib.Path(__file__).resolve().parent
README = HERE / "README.md"
BEGIN, END = "<!-- targets: begin -->", "<!-- targets: end -->"
GO_PEERS = ("skopeo+umoci", "buildah", "podman", "ctr")
SERIES = ("sluice", "skopeo+umoci", "buildah", "shell")  # of what is encrypted
LARGE = "many:enc"
LIMIT_IMAGES = ("single:enc", "many:enc", "single:zstd-enc", "many:zstd-enc")
POOL_IMAGES = ("many:enc", "single:enc", "single:zstd-enc", "small:enc")
TAR_IMAGE = "small:enc"
FREE_CORES = 4
ALL_IMAGES = [f"{shape}:{kind}" for shape in pull_images.SHAPES for kind in pull_images.KINDS]
LINK_BITS = 1e9  # a second, of latency.py
MIB = 1 << 20


# ---- records ----

class Found:
    """Records, those that come later instead of earlier ones of the same case."""

    def __init__(self):
        self.all = {}

    @staticmethod
    def key(record):
        # limit tells the store apart, but not by its name.
        return record["name"], record.get("rival"), record.get("in_memory")

    def add(self, records):
        for record in records:
            if "failed" not in record and "skipped" not in record:
                self.all[self.key(record)] = record

    def get(self, name, rival=None, in_memory=None):
        return self.all.get((name, rival, in_memory))

    def compared(self, image, store):
        """Tool to record."""
        name = f"compare/{image}/{store}"
        return {rival: record for (n, rival, _), record in self.all.items() if n == name}

    def limit(self, image, store):
        return self.get(f"limit/{image}", "bound", store == "tmpfs")

    def own(self, what, image, store):
        return next((r for (name, _, _), r in self.all.items()
                     if name == f"targets/{what}/{image}/{store}"), None)

    def links(self):
        """Shares of the link at 100 ms, by name; bytes are those that are sent."""
        return {name: r["bytes"] * 8 / r["seconds"] / LINK_BITS for (name, _, _), r in self.all.items()
                if name.startswith("pull/") and name.endswith("/100ms")}


# ---- the rows ----

@dataclasses.dataclass
class Row:
    what: str
    bound: float
    is_least: bool  # the figure must be at least the bound; else at most
    figure: float = None  # None: not measured
    form: str = "{:.2f}"
    note: str = ""
    is_computed: bool = False

    def is_met(self):
        return self.figure >= self.bound if self.is_least else self.figure <= self.bound

    def cells(self):
        target = ("≥ " if self.is_least else "≤ ") + self.form.format(self.bound)
        if self.figure is None:
            return [self.what, target, "-", "not measured", self.note]
        gap = (f"{abs(self.figure - self.bound) * 100:.0f} points" if "%" in self.form
               else f"{abs(self.figure / self.bound - 1):.0%}")
        verdict = "met" if self.is_met() else f"**missed**, by {gap}"
        return [self.what, target, self.form.format(self.figure),
                verdict + (" (computed)" if self.is_computed else ""), self.note]


def at_least(what, bound, figure, note="", form="{:.2f}×"):
    return Row(what, bound, True, figure, form, note)


def at_most(what, bound, figure, note="", form="{:.2f}", is_computed=False):
    return Row(what, bound, False, figure, form, note, is_computed)


def peers(found, store):
    series = found.compared(LARGE, store)
    own, shell = series.get("sluice"), series.get("shell")
    go = [series[tool] for tool in GO_PEERS if tool in series]
    image = f"{LARGE}, {store}"
    fastest = min(go, key=lambda r: r["seconds"], default=None)
    thrifty = min(go, key=lambda r: r["cpu_seconds"], default=None)
    yield at_least(f"{image}: wall, best Go peer", 8, fastest and own and fastest["ratio"],
                   fastest and own and f"{fastest['rival']} {fastest['seconds']:.1f} s, sluice {own['seconds']:.2f} s")
    yield at_most(f"{image}: CPU, of the best Go peer's", 1 / 5,
                  thrifty and own and own["cpu_seconds"] / thrifty["cpu_seconds"],
                  thrifty and own and
                  f"{thrifty['rival']} {thrifty['cpu_seconds']:.1f} s, sluice {own['cpu_seconds']:.2f} s")
    yield at_least(f"{image}: wall, shell pipeline with all checks", 2.5, shell and own and shell["ratio"],
                   shell and own and f"shell {shell['seconds']:.1f} s")


def bounds(found, store):
    for image in LIMIT_IMAGES:
        r = found.limit(image, store)
        what = f"{image}, {store}: wall / bound"
        if r and r["pull_to_bound"] < 1:
            # What no pull can be faster than was not measured: memory was cold, or others were busy.
            yield at_most(what, 1.25, None, f"void: {r['bound_seconds']:.2f} s for the parts alone, "
                                            f"{r['seconds']:.2f} s for the pull")
            continue
        yield at_most(what, 1.25, r and r["pull_to_bound"],
                      r and f"pull {r['seconds']:.2f} s, bound {r['bound_seconds']:.2f} s, idle "
                      f"{r['pull']['idle_cpu_seconds']:.2f} CPU s")


def small_files(found, store):
    r = found.own("tar/pull", TAR_IMAGE, store)
    what = f"{TAR_IMAGE}, {store}: wall of the pull / GNU tar with the plain tar"
    yield at_most(what, 1.2, r and 1 / r["ratio"], r and f"pull {r['seconds']:.2f} s")
    if store == "ext4":
        yield at_most(what + ", until both are on the disk", 1.2, r and 1 / r["synced_ratio"])


def crypto(found):
    for size in ("64MiB", "1MiB"):
        r = found.get(f"crypto/decrypt/stage/{size}", f"crypto/decrypt/openssl/{size}")
        yield at_least(f"crypto of an encrypted layer, {size}: OpenSSL in three passes", 1.4, r and r["ratio"])


def memory(found, stores):
    own = {(image, store): found.compared(image, store).get("sluice") for image in ALL_IMAGES for store in stores}
    peaks = {case: r["peak_bytes"] / MIB for case, r in own.items() if r}
    worst = max(peaks, key=peaks.get, default=None)
    yield at_most("peak memory of a pull, MiB", 96, worst and peaks[worst],
                  worst and f"the most of {len(peaks)} of {len(own)} cases: {', '.join(worst)}", "{:.0f}")
    for image in POOL_IMAGES:
        r = found.own(f"memory/{targets_measure.SMALL_POOL}", image, "tmpfs")
        yield at_most(f"{image}: wall with --memory {targets_measure.SMALL_POOL} / default", 1.5,
                      r and 1 / r["ratio"], r and f"peak {r['peak_bytes'] / MIB:.0f} MiB")


def link(found):
    shares = found.links()
    yield at_least("100 ms round trip, 1 Gbit/s: share of the link", 0.9, min(shares.values(), default=None),
                   f"the least of {', '.join(shares)}" if shares else "bench/latency.py --records", "{:.0%}")


def lanes(layer, hashes):
    """CPU seconds of what one thread does to a layer, without hashes if these are not wanted."""
    parts = {name: min(part["cpu_seconds"], part["seconds"]) for name, part in layer["parts"].items()}
    sums, cipher = parts.pop("sums", 0), parts.pop("cipher", 0)
    parts["cipher"] = cipher + (sums if hashes else 0)
    if not hashes:
        parts.pop("diff_id", 0)
    return parts


def least_seconds(record, hashes, cores):
    """limit's bound with so many cores; without what hashes cost, if they are not wanted."""
    cpu = record["bound_cpu_seconds"]
    if not hashes:
        cpu -= sum(part["cpu_seconds"] for layer in record["layers"]
                   for name, part in layer["parts"].items() if name in ("sums", "diff_id"))
    longest = max(seconds for layer in record["layers"] for seconds in lanes(layer, hashes).values())
    return max(longest, cpu / cores), longest


def verification(found):
    """This may be a machine without free cores: then the table of limit must do."""
    for image in ("single:enc", "many:enc"):
        r = found.limit(image, "tmpfs")
        what = f"{image}: all verification, more wall time with {FREE_CORES} cores"
        if not r:
            yield at_most(what, 0.05, None, form="{:.0%}")
            continue
        (all_of_it, lane), (less, other) = (least_seconds(r, hashes, FREE_CORES) for hashes in (True, False))
        yield at_most(what, 0.05, all_of_it / less - 1,
                      f"bound {all_of_it:.2f} and {less:.2f} s; longest lane {lane:.2f} and {other:.2f} s",
                      "{:.0%}", is_computed=True)


def starting(found):
    for name, bound in (("version", 5), ("cached_pull", 10)):
        r = found.get(f"targets/start/{name}")
        yield at_most(f"start: {name.replace('_', ' ')}, ms", bound, r and r["seconds"] * 1e3,
                      r and f"CPU {r['cpu_seconds'] * 1e3:.1f} ms", "{:.1f}")


def rows(found, stores):
    per_store = [row for store in stores for part in (peers, bounds, small_files) for row in part(found, store)]
    return [*per_store, *crypto(found), *memory(found, stores), *link(found), *verification(found), *starting(found)]


def markdown(table, machine):
    met = sum(row.figure is not None and row.is_met() for row in table)
    lines = [machine + ".", f"{met} of {len(table)} met.", "",
             "| What | Target | Measured | | |", "|---|---|---|---|---|"]
    lines += ["| " + " | ".join(cell or "" for cell in row.cells()) + " |" for row in table]
    return "\n".join(lines) + "\n"


# ---- measuring what is missing ----

def run_for_records(argv, option="--records"):
    """Of a program that writes them to a file. What it prints goes to standard error."""
    with tempfile.TemporaryDirectory(prefix="sluice-targets-") as work:
        path = pathlib.Path(work) / "records"
        done = subprocess.run([*map(str, argv), option, str(path)], stdout=sys.stderr, check=False)
        if not path.exists():
            raise RuntimeError(f"{argv[0]} has ended with {done.returncode} and left no records")
        return ratios.read_records(path)


def compare(options, image, store, tools, runs):
    shape, kind = image.split(":")
    lock = ["--lock", options.lock] if options.lock else []
    return run_for_records([HERE / "compare", "--sluice", options.sluice, "--shapes", shape, "--kinds", kind,
                            "--stores", store, "--tools", *tools, "--runs", runs, *lock])


def far_away(bench):
    lock = ["--lock", bench.options.lock] if bench.options.lock else []
    return run_for_records([HERE / "latency.py", "--rtt", "100", "--runs", bench.options.runs, *lock])


def limit_once(bench, image, root, runs):
    options = bench.options
    argv = [options.bench, "limit", "--json", "--tls-verify=false", "--decryption-key", bench.key,
            "--registry-pid", bench.pid, "--runs", runs, "--root", root, f"127.0.0.1:{bench.port}/{image}"]
    with pull_measure.held(options.lock):
        done = subprocess.run(list(map(str, argv)), stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"sluice-bench limit has ended with {done.returncode}")
    return json.loads(done.stdout)


def limit(bench, image, store):
    """On ext4 each run has a file system of its own: two of the large trees do not fit into one. Then it is
    the run with the median ratio that counts."""
    at_once = bench.options.runs if store == "tmpfs" else 1
    taken = []
    for _ in range(bench.options.runs // at_once):
        with bench.pull(image, store) as pull:
            taken.append(limit_once(bench, image, pull.store, at_once))
    middle = statistics.median_low(r["pull_to_bound"] for r in taken)
    return [next(r for r in taken if r["pull_to_bound"] == middle)]


def jobs(found, options):
    """(what, function of a Bench that returns records) of all that is missing."""
    for store in options.stores:
        if not set(SERIES) <= set(found.compared(LARGE, store)):
            tools = [tool for tool in SERIES if not pull_rivals.why_not(tool, "enc")]
            yield (f"{LARGE} on {store} against {', '.join(tools[1:])}",
                   lambda _, s=store, t=tools: compare(options, LARGE, s, t, options.runs))
        for image in LIMIT_IMAGES:
            if not found.limit(image, store):
                yield f"limit of {image} on {store}", lambda b, i=image, s=store: limit(b, i, s)
        if not found.own("tar/pull", TAR_IMAGE, store):
            yield (f"{TAR_IMAGE} on {store} against GNU tar",
                   lambda b, s=store: targets_measure.tar_against_pull(b, TAR_IMAGE, s))
        for image in ALL_IMAGES:
            if image != LARGE and "sluice" not in found.compared(image, store):
                yield (f"peak memory of {image} on {store}",
                       lambda _, i=image, s=store: compare(options, i, s, ["sluice"], 1))
    if not found.get("crypto/decrypt/stage/64MiB", "crypto/decrypt/openssl/64MiB"):
        yield "crypto", lambda _: run_for_records([options.bench, "--filter", "^crypto/decrypt/"])
    for image in POOL_IMAGES:
        if not found.own(f"memory/{targets_measure.SMALL_POOL}", image, "tmpfs"):
            yield (f"{image} with --memory {targets_measure.SMALL_POOL}",
                   lambda b, i=image: targets_measure.small_pool(b, i, "tmpfs"))
    if not found.get("targets/start/cached_pull"):
        yield "start-up", targets_measure.starts
    if not found.links() and (HERE / "latency.py").exists():
        yield "100 ms away", far_away


def wanted_jobs(found, options):
    return [job for job in jobs(found, options) if not options.only or any(word in job[0] for word in options.only)]


def measure(found, options):
    """What is missing; whatever fails is told, and the rest goes on. True: nothing failed."""
    pull_images.make_images(options.cache)
    todo, is_fine = wanted_jobs(found, options), True
    with pull_images.registry(options.cache) as (port, pid):
        bench = targets_measure.Bench(options, port, pid)
        for number, (what, function) in enumerate(todo, 1):
            begun = time.monotonic()
            print(f"[{number}/{len(todo)}] {what}", file=sys.stderr, flush=True)
            try:
                found.add(function(bench))
            except (RuntimeError, OSError, subprocess.CalledProcessError) as problem:
                print(f"targets: {what}: {problem}", file=sys.stderr)
                is_fine = False
            print(f"[{number}/{len(todo)}] {time.monotonic() - begun:.0f} s", file=sys.stderr, flush=True)
            write_out(found, options)
    return is_fine


# ---- the program ----

def machine_line():
    return f"{datetime.date.today()}: " + "; ".join(pull_measure.machine())


def write_out(found, options):
    table = markdown(rows(found, options.stores), options.machine)
    if options.records:
        options.records.write_text("".join(json.dumps(r) + "\n" for r in found.all.values()))
    if options.markdown:
        options.markdown.write_text(table)
    return table


def parse_options():
    parser = argparse.ArgumentParser(prog="targets.py", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--with", dest="earlier", type=pathlib.Path, nargs="+", default=[], metavar="FILE",
        help="records of compare, sluice-bench, limit, latency.py or of an earlier run of this")
    add("--no-run", action="store_true", help="measure nothing: show what --with brings")
    add("--list", action="store_true", help="print what would be measured")
    add("--only", nargs="+", metavar="WORD", help="measure only what --list shows with one of these words in it")
    add("--runs", type=int, default=3, help="of each series; 3")
    add("--stores", nargs="+", choices=pull_measure.STORES, default=list(pull_measure.STORES))
    add("--records", type=pathlib.Path, help="write all records to this file, after each measurement")
    add("--markdown", type=pathlib.Path, help="write the table to this file too")
    add("--update-readme", action="store_true", help="the table to bench/README.md")
    add("--sluice", type=pathlib.Path, default=HERE.parent / "build/bin/sluice")
    add("--bench", type=pathlib.Path, default=HERE.parent / "build/bench/bin/sluice-bench")
    add("--lock", type=pathlib.Path, help="hold a lock on this file while something is measured")
    options = parser.parse_args()
    if options.runs < 1:
        parser.error("--runs: at least 1")
    options.cache, options.machine = pull_images.cache_dir(), machine_line()
    return options


def main():
    options, is_fine, found = parse_options(), True, Found()
    for path in options.earlier:
        try:
            found.add(ratios.read_records(path))
        except (OSError, ValueError, KeyError, TypeError) as problem:
            sys.exit(f"targets: {path}: {problem}: --with takes files of one JSON record a line")
    if options.list:
        print("\n".join(what for what, _ in wanted_jobs(found, options)))
        return 0
    if not options.no_run:
        for program in (options.sluice, options.bench):
            if not program.exists():
                sys.exit(f"targets: {program}: is not there: run ./dev bench crypto/decrypt, which builds it")
        # Mounts and daemons are taken away by the same code as after Ctrl-C.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
        is_fine = measure(found, options)
    table = write_out(found, options)
    print(table, end="")
    if options.update_readme:
        pull_report.update_between_markers(README, table, BEGIN, END)
    return 0 if is_fine else 1


if __name__ == "__main__":
    sys.exit(main())
