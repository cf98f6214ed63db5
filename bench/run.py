#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the benchmarks and prints what came out, as one table.

  --check    compares ratios with the committed ones (bench/ratios.json), never absolute times, and fails
             where more than 15 % of one is lost; what seems lost is run up to three times more
  --update   writes them: the median of three runs
  FILTER     regular expressions of names: crypto/ '^layer_path/gzip' service/

Cases are those of sluice-bench, and of scripts that write records (see ratios.py) with --records FILE. What runs is told
on standard error. A check takes three to ten minutes."""
import argparse
import datetime
import json
import os
import pathlib
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time

import ratios as records_of

HERE = pathlib.Path(__file__).resolve().parent
COMMITTED = HERE / "ratios.json"
PROGRAM = HERE.parent / "build/bench/bin/sluice-bench"
# What their names begin with. Such a script runs as a whole, whichever of its cases is wanted.
SCRIPTS = {"pull/": "latency.py", "service/": "service.py"}
# The same always, since ratios depend on what is pulled; quickly, once.
ARGUMENTS = {"service/": ["--size", "32", "--repeats", "50", "--rest", "1", "--runs", "7"]}
QUICK = {"pull/": ["--runs", "1", "--images", "many:enc"], "service/": ["--runs", "1"]}
UPDATE_RUNS = 3
NAMED_MAX = 8  # cases that are told by their names


def machine():
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        models = re.findall(r"^model name\s*: (.*)$", f.read(), re.M)
    return (f"{datetime.date.today()}: {models[0] if models else platform.machine()}, "
            f"{len(os.sched_getaffinity(0))} cores, Linux {'.'.join(platform.release().split('.')[:2])}")


class Broken(Exception):
    """A suite that has left no records, and why."""


def say(words):
    print(f"{time.strftime('%H:%M:%S')} {words}", file=sys.stderr, flush=True)


def run_suite(argv, is_ours=False):
    """Its records. What it prints goes to standard error, where one can watch it; of our own program only
    what the data is, since its table comes again."""
    say(f"{os.path.basename(argv[0])} runs")
    with tempfile.TemporaryDirectory(prefix="sluice-bench-") as work:
        path = os.path.join(work, "records")
        done = subprocess.run([*argv, "--records", path], stdout=subprocess.PIPE if is_ours else sys.stderr, text=True,
                              check=False)
        if not os.path.exists(path):
            raise Broken(f"{os.path.basename(argv[0])} has ended with {done.returncode} and left no records")
        if is_ours:
            sys.stderr.writelines(line + "\n" for line in done.stdout.splitlines() if line.startswith("data: "))
        return records_of.read_records(path)


def script_of(name):
    """Prefix of the script whose case it is, or that a filter may mean; None: sluice-bench's."""
    return next((p for p in SCRIPTS if name.lstrip("^").startswith(p.rstrip("/"))), None)


class Suites:
    """broken: prefix of a script, or None for the program, to why there are no records of its cases."""

    def __init__(self, options):
        self.options, self.broken = options, {}

    def unless_broken(self, prefix, suite, *args):
        """Records of a suite. The others go on without it, and its cases have failed."""
        try:
            return suite(*args)
        except (Broken, OSError, ValueError) as problem:
            say(f"failed: {problem}")
            self.broken[prefix] = str(problem)
            return []

    def program(self, pattern):
        quick = ["--quick"] if self.options.quick else []
        return run_suite([str(PROGRAM), "--filter", pattern, *quick], is_ours=True)

    def script(self, prefix):
        path = HERE / SCRIPTS[prefix]
        if not path.exists():
            return []
        quick = QUICK.get(prefix, []) if self.options.quick else []
        return run_suite([str(path), *ARGUMENTS.get(prefix, []), *quick])

    def wanted(self, filters):
        """Records of the cases that match any of the regular expressions; of all without one."""
        found = []
        ours = [f for f in filters if not script_of(f)]
        if ours or not filters:
            found += self.unless_broken(None, self.program, "|".join(f"({f})" for f in ours) or ".")
        for prefix in SCRIPTS:
            if not filters or any(script_of(f) == prefix for f in filters):
                found += self.unless_broken(prefix, self.script, prefix)
        return [r for r in found if not filters or any(re.search(f, r["name"]) for f in filters)]

    def named(self, names):
        """Records of exactly these cases."""
        if not names:
            return []
        say(f"{len(names)} cases" + (": " + ", ".join(names) if len(names) <= NAMED_MAX else ""))
        return self.wanted([f"^{re.escape(n)}$" for n in names])

    def failures(self, keys):
        """(name, rival) to why, of those of these keys whose suite is broken."""
        return {k: self.broken[script_of(k[0])] for k in keys if script_of(k[0]) in self.broken}


def cell(value, scale, form):
    return "-" if not value else format(value / scale, form)


def row(r):
    why = next((f"{w}: {r[w]}" for w in ("skipped", "failed") if w in r), None)
    if why:
        return [r["name"], r.get("rival") or "-", why, "", "", "", ""]
    size = r.get("bytes") or 0
    rate = size / r["seconds"] if size and r.get("seconds") else 0
    per_byte = r["cpu_seconds"] / size * 1e9 if size and r.get("cpu_seconds") else 0
    return [r["name"], r.get("rival") or "-", cell(r.get("ratio"), 1, ".2f"), cell(rate, 1e6, ".0f"),
            cell(per_byte, 1, ".3f"), cell(r.get("peak_bytes"), 2**20, ".2f"), cell(r.get("seconds"), 1e-3, ".3f")]


def print_table(found):
    table = [["case", "rival", "ratio", "MB/s", "CPU ns/B", "peak MiB", "ms"], *map(row, found)]
    widths = [max(len(line[i]) for line in table if not line[3:4] == [""] or i < 2) for i in range(7)]
    for line in table:
        print("  ".join(t.ljust(w) if i < 2 else t.rjust(w) for i, (t, w) in enumerate(zip(line, widths))).rstrip())


def matching(committed, filters):
    return {k: v for k, v in committed.items() if not filters or any(re.search(f, k[0]) for f in filters)}


def check(suites, filters):
    committed = matching(records_of.load(COMMITTED), filters)
    if not committed:
        sys.exit(f"run.py: {COMMITTED} has no such case")
    verdict = records_of.check(committed, suites.named)
    verdict.failed |= suites.failures(committed)
    for line in verdict.notes(committed):
        print(line)
    complaints = list(verdict.complaints(committed))
    for line in complaints:
        print(line)
    compared = len(set(verdict.best) & set(committed))
    print(f"{compared} ratios compared, {len(complaints)} of {len(committed)} committed ones do not hold")
    return 1 if complaints else 0


def update(suites, filters, runs):
    """Cases that cannot run here keep what was committed; without a filter, those that are no more go."""
    taken, skipped, found = {}, set(), []
    for _ in range(runs):
        found = suites.wanted(filters)
        for k, ratio in records_of.measured(found).items():
            taken.setdefault(k, []).append(ratio)
        skipped |= set(records_of.reasons(found, "skipped"))
    known = records_of.load(COMMITTED) if COMMITTED.exists() else {}
    kept = {k: v for k, v in known.items() if k in skipped or k not in matching(known, filters)}
    kept |= {k: known[k] for k in suites.failures(known)}
    records_of.save(COMMITTED, machine(), kept | {k: statistics.median(v) for k, v in taken.items()})
    print_table(found)
    return 1 if records_of.reasons(found, "failed") or suites.broken else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--update", action="store_true")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter repetitions; --update runs once")
    parser.add_argument("--records", metavar="FILE", help="the records of all suites, one a line")
    parser.add_argument("filters", nargs="*", metavar="FILTER")
    options = parser.parse_args()
    suites = Suites(options)
    if options.check:
        return check(suites, options.filters)
    if options.update:
        return update(suites, options.filters, 1 if options.quick else UPDATE_RUNS)
    found = suites.wanted(options.filters)
    print(machine())
    print_table(found)
    if options.records:
        pathlib.Path(options.records).write_text("".join(json.dumps(r) + "\n" for r in found), encoding="utf-8")
    return 1 if records_of.reasons(found, "failed") or suites.broken else 0


if __name__ == "__main__":
    sys.exit(main())
