#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How many instructions the hot kernels take for a unit of their work: unlike times, these do not
depend on who else uses the machine. Callgrind counts; where valgrind does not know the instructions
(SHA-NI), a child is stepped through. The table, tests/data/instruction_counts.json, is that of a
compiler; `python3 tests/integration/test_instruction_counts.py --update` writes this compiler's
part of it anew.

What counts is the program itself, with isa-l and zstd: libc and libcrypto choose their code by the
processor. Valgrind 3.19 has no openat2(2): there, folders are walked component by component. The
driver is in SL_INSTRUCTION_DRIVER."""
import glob
import gzip
import io
import json
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
TABLE = ROOT / "tests/data/instruction_counts.json"
DRIVER = os.environ.get("SL_INSTRUCTION_DRIVER", str(ROOT / "build/bin/instruction_driver"))
UPDATE = "python3 tests/integration/test_instruction_counts.py --update"
SKIPPED = 77
WORSE, BETTER = 0.05, 0.10  # of the table's count: above it fails; below it the table is old
LIBRARIES = re.compile(r"/(instruction_driver|libisal\.so[^/]*|libzstd\.so[^/]*)$")

FILES, FOLDERS, FILE_SIZE = 400, 20, 3000
LANE_ROUNDS, EXPANSION_CALLS, FLOW_BUFFERS = 1000, 10000, 256  # as instruction_driver.c has them
KERNELS = ("gzip", "zstd", "tar_reader", "unpack", "lane", "expansion", "flow")
STEPS = {"sha256_pair": (4, 12), "sha256_two": (4, 12), "encrypt_pair": (4, 12),
         "decrypt": (8, 24)}  # blocks: fewer, more


# ---- inputs ----

def make_tar():
    """The same bytes everywhere: words of few letters, packed about as well as programs are."""
    chance = random.Random(1)
    words = ["".join(chance.choices("etaoinshrdlu", k=chance.randint(2, 9))) for _ in range(500)]
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for i in range(FOLDERS):
            folder = tarfile.TarInfo("usr/share/folder%d" % i)
            folder.type, folder.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(folder)
            for k in range(FILES // FOLDERS):
                data = " ".join(chance.choices(words, k=FILE_SIZE // 4)).encode()[:FILE_SIZE]
                file = tarfile.TarInfo("%s/file%d.txt" % (folder.name, k))
                file.size, file.mode = len(data), 0o644
                tar.addfile(file, io.BytesIO(data))
    return out.getvalue()


def write_inputs(folder):
    tar = make_tar()
    os.mkdir(os.path.join(folder, "tree"))
    for name, data in ("layer.tar", tar), ("layer.tar.gz", gzip.compress(tar, 6, mtime=0)):
        with open(os.path.join(folder, name), "wb") as file:
            file.write(data)
    subprocess.run(["zstd", "-q", "-3", "layer.tar"], cwd=folder, check=True)
    return len(tar) / 1024


# ---- counting ----

def cost_of(dump):
    """(the kernel, instructions of what counts) of one of callgrind's files."""
    names, kernel, total, counts, called = {}, None, 0, False, False
    with open(dump, encoding="utf-8") as file:
        for line in file:
            trigger = re.match(r"desc: Trigger: --dump-after=kernel_(\w+)", line)
            if trigger:
                kernel = trigger.group(1)
            elif line.startswith("ob="):
                number, name = re.match(r"ob=(\(\d+\)) ?(.*)", line).groups()
                name = names.setdefault(number, name)
                counts = bool(LIBRARIES.search(name))
            elif line.startswith("cob="):  # those called have names, too
                number, name = re.match(r"cob=(\(\d+\)) ?(.*)", line).groups()
                names.setdefault(number, name)
            elif line.startswith("calls="):
                called = True  # the next line is what they cost, and stands where they are
            elif re.match(r"[+*\d-]", line):
                total += int(line.split()[1]) if counts and not called else 0
                called = False
    return kernel, total


def count_by_callgrind(folder):
    # A dump begins a new count. (--dump-after takes no pattern.)
    subprocess.run(
        ["valgrind", "-q", "--tool=callgrind", "--dump-before=kernel_*",
         *("--dump-after=kernel_" + kernel for kernel in KERNELS),
         "--callgrind-out-file=" + os.path.join(folder, "cost"), DRIVER, folder],
        check=True, timeout=250, stderr=subprocess.DEVNULL)
    counts = {}
    for dump in glob.glob(os.path.join(folder, "cost.*")):
        kernel, total = cost_of(dump)
        if kernel:
            counts[kernel] = counts.get(kernel, 0) + total
    return counts


def count_by_steps(name):
    """For each block: what is done once goes out of the difference."""
    fewer, more = STEPS[name]
    counts = []
    for blocks in fewer, more:
        run = subprocess.run([DRIVER, "step", name, str(blocks)], capture_output=True, text=True,
                             timeout=250, check=False)
        if run.returncode == SKIPPED:
            return None
        run.check_returncode()
        counts.append(int(run.stdout))
    return (counts[1] - counts[0]) / (more - fewer)


def count_all():
    """{kernel: (instructions for a unit, the unit)}"""
    with tempfile.TemporaryDirectory(prefix="sluice-counts-") as folder:
        kib = write_inputs(folder)
        counts = count_by_callgrind(folder)
    entries = FILES + FOLDERS
    units = {"gzip": (kib, "KiB of tar"), "zstd": (kib, "KiB of tar"),
             "tar_reader": (entries, "entry"), "unpack": (entries, "entry"),
             "lane": (LANE_ROUNDS, "buffer"), "expansion": (EXPANSION_CALLS, "call"),
             "flow": (FLOW_BUFFERS, "buffer")}
    found = {k: (counts[k] / n, unit) for k, (n, unit) in units.items()}
    for name in STEPS:
        count = count_by_steps(name)
        if count is not None:
            found[name] = (count, "block of 64 bytes")
    return found


# ---- the table ----

def compiler():
    return subprocess.run([DRIVER, "compiler"], capture_output=True, text=True,
                          check=True).stdout.strip()


def read_table():
    return json.loads(TABLE.read_text(encoding="utf-8"))


def update():
    table = read_table() if TABLE.exists() else {}
    table[compiler()] = {k: {"instructions": round(n, 2), "for": unit}
                         for k, (n, unit) in sorted(count_all().items())}
    TABLE.write_text(json.dumps(table, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    print(json.dumps(table[compiler()], indent=2))


def judge(name, count, known):
    """None, or what is wrong."""
    change = count / known["instructions"] - 1
    said = "%s: %.2f instructions for each %s, in the table %.2f: %+.1f %%" % (
        name, count, known["for"], known["instructions"], 100 * change)
    if change > WORSE:
        return said + "; make it as quick as it was, or say why not and run " + UPDATE
    if change < -BETTER:
        return said + "; well done: run " + UPDATE
    return None


class InstructionCounts(unittest.TestCase):
    def test_kernels_take_no_more_than_they_did(self):
        known = read_table()[compiler()]
        found = count_all()
        wrong = [judge(name, found[name][0], known[name])
                 for name in sorted(found.keys() & known.keys())]
        wrong += ["%s: not in the table: run %s" % (n, UPDATE) for n in found.keys() - known.keys()]
        wrong += ["%s: in the table only: run %s" % (n, UPDATE)
                  for n in known.keys() - found.keys() - STEPS.keys()]
        wrong = [w for w in wrong if w]
        self.assertFalse(wrong, "\n" + "\n".join(wrong))


class Judgement(unittest.TestCase):
    KNOWN = {"instructions": 1000, "for": "entry"}

    def test_limits(self):
        for count, verdict in (1051, "as quick as it was"), (1049, None), (901, None), \
                (899, "well done"):
            with self.subTest(count=count):
                said = judge("unpack", count, self.KNOWN)
                self.assertEqual(said is None, verdict is None, said)
                self.assertIn(verdict or "", said or "")


def what_is_missing(updates):
    if not os.path.exists(DRIVER):
        return DRIVER + ": cmake --build --preset release --target instruction_driver"
    for program in "valgrind", "zstd":
        if not shutil.which(program):
            return program
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        if " avx2 " not in file.read():
            return "a processor with AVX2, for which isa-l has the code that was counted"
    if not updates and compiler() not in read_table():
        return "a table for %s: %s" % (compiler(), UPDATE)
    return None


if __name__ == "__main__":
    MISSING = what_is_missing("--update" in sys.argv)
    if MISSING:
        print("skipped: needs", MISSING)
        sys.exit(SKIPPED)
    if "--update" in sys.argv:
        update()
    else:
        unittest.main()
