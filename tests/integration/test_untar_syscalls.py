#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a file and a directory of a layer cost in system calls, as strace counts them.

Two archives that differ only in the number of entries are unpacked; the difference of the counts is
what the additional entries cost. read() is left out: the bytes come from the driver's standard
input here. usage: test_untar_syscalls.py DRIVER"""
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from make_tars import archive, directory, entry, pax

N = 200
PER_FILE_MAX = 6
DATA = b"x" * 300  # with its headers it never crosses the end of a buffer
XATTR = [(b"SCHILY.xattr.trusted.test", b"value")]
NOT_OURS = {"read", "mmap"}
CREATE, WRITE, TIMES, CLOSE = "openat", "pwrite64", "utimensat", "close"
BASE = {CREATE: 1, WRITE: 1, TIMES: 1, CLOSE: 1}

driver = None


def count(tar):
    """{name: calls} of what concerns files and descriptors."""
    with tempfile.TemporaryDirectory() as work, tempfile.TemporaryFile() as stdin:
        stdin.write(tar)
        stdin.seek(0)
        top, log = os.path.join(work, "top"), os.path.join(work, "log")
        os.mkdir(top)
        # LeakSanitizer cannot run under ptrace.
        env = dict(os.environ, ASAN_OPTIONS="detect_leaks=0")
        done = subprocess.run(["strace", "-f", "-qq", "-c", "-e", "trace=%file,%desc", "-o", log, driver, top],
                              stdin=stdin, capture_output=True, env=env)
        if done.returncode:
            raise RuntimeError(done.stderr.decode())
        with open(log) as f:
            rows = [line.split() for line in f if line[:1].isspace() or line[:1].isdigit()]
    return {row[-1]: int(row[3]) for row in rows if row[-1] not in NOT_OURS | {"total"}}


def difference(few, many, n):
    """{name: calls} for each of n additional entries."""
    before, after = count(few), count(many)
    return {name: (after.get(name, 0) - before.get(name, 0)) / n for name in before.keys() | after.keys()
            if after.get(name, 0) != before.get(name, 0)}


def file(i, xattrs=None, **attributes):
    name = b"d/file%d" % i
    return (pax(xattrs) if xattrs else b"") + entry(name, DATA, **attributes)


def cost_of_file(**attributes):
    def made(n):
        return archive(directory(b"d"), *(file(i, **attributes) for i in range(n)))
    return difference(made(N), made(2 * N), N)


class Syscalls(unittest.TestCase):
    def check(self, want, **attributes):
        cost = cost_of_file(**attributes)
        self.assertEqual(cost, {**BASE, **want})
        self.assertLessEqual(sum(cost.values()), PER_FILE_MAX)

    def test_a_file_of_root_costs_four(self):
        self.check({})

    def test_any_mode_without_special_bits_is_free(self):
        self.check({}, mode=0o755)

    def test_a_foreign_owner_costs_one_more(self):
        self.check({"fchown": 1}, uid=1000, gid=1000)

    def test_setuid_costs_one_more_with_any_owner(self):
        self.check({"fchmod": 1}, mode=0o4755)
        self.check({"fchown": 1, "fchmod": 1}, mode=0o4755, uid=1000)

    def test_an_extended_attribute_costs_one_more(self):
        self.check({"fsetxattr": 1}, xattrs=XATTR)
        self.check({"fsetxattr": 1, "fchown": 1}, xattrs=XATTR, uid=1000, gid=1000)

    def test_an_empty_file_is_not_written(self):
        def made(n):
            return archive(directory(b"d"), *(entry(b"d/f%d" % i) for i in range(n)))
        self.assertEqual(difference(made(N), made(2 * N), N), {k: 1 for k in (CREATE, TIMES, CLOSE)})

    def test_a_directory_is_opened_once(self):
        def made(n):
            return archive(*(directory(b"d%d" % i) + entry(b"d%d/f" % i, DATA) for i in range(n)))
        cost = difference(made(N), made(2 * N), N)
        # Times wait for the end, when it may be another directory by that name: hence two stats.
        stats = cost.pop("newfstatat", 0) + cost.pop("fstat", 0)
        self.assertEqual(stats, 2)
        self.assertEqual(cost, {"mkdirat": 1, CREATE: 2, WRITE: 1, TIMES: 2, CLOSE: 2})

    def test_files_of_directories_in_turn_find_them_open(self):
        def made(n):
            names = [b"d%d/f%d" % (i % 4, i) for i in range(n)]
            return archive(*(directory(b"d%d" % i) for i in range(4)), *(entry(name, DATA) for name in names))
        self.assertEqual(difference(made(N), made(2 * N), N), BASE)


def main():
    global driver
    if os.geteuid() != 0:
        print("skipped: needs root")
        return 77
    if not shutil.which("strace"):
        print("skipped: needs strace")
        return 77
    if subprocess.run(["strace", "-qq", "-o", "/dev/null", "true"], check=False).returncode:
        print("skipped: this machine does not let strace trace")
        return 77
    driver = sys.argv.pop(1)
    unittest.main()
    return 0


if __name__ == "__main__":
    sys.exit(main())
