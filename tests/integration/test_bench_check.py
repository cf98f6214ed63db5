# SPDX-License-Identifier: Apache-2.0
"""When a benchmark's ratio counts as lost; and that every case of sluice-bench, named by the variable
SLUICE_BENCH, runs."""
import argparse
import contextlib
import io
import json
import os
import pathlib
import pty
import signal
import subprocess
import sys
import tempfile
import unittest
import unittest.mock

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bench"))
import ratios  # noqa: E402
import run  # noqa: E402

BENCH = os.environ.get("SLUICE_BENCH")
CASE = ("crypto/pair/fused/1MiB", "crypto/pair/openssl/1MiB")


def record(ratio, case=CASE, seconds=1.0):
    return {"name": case[0], "rival": case[1], "bytes": 1 << 20, "seconds": seconds, "cpu_seconds": seconds,
            "peak_bytes": 0, "ratio": ratio}


class Runs:
    """Measures made up: one list of records a run, the last one again and again."""

    def __init__(self, *runs):
        self.runs, self.asked = list(runs), []

    def __call__(self, names):
        self.asked.append(names)
        return self.runs.pop(0) if len(self.runs) > 1 else self.runs[0]


class Check(unittest.TestCase):
    def complaints(self, committed, *runs):
        self.measure = Runs(*runs)
        self.verdict = ratios.check(committed, self.measure)
        return list(self.verdict.complaints(committed))

    def test_loss_of_sixteen_percent(self):
        lines = self.complaints({CASE: 2.0}, [record(2.0 * 0.84)])
        self.assertEqual(lines, [f"{CASE[0]} against {CASE[1]}: committed 2.00, now 1.68 (-16 %)"])
        self.assertEqual(len(self.measure.asked), 4)

    def test_loss_of_fourteen_percent(self):
        self.assertEqual(self.complaints({CASE: 2.0}, [record(2.0 * 0.86)]), [])
        self.assertEqual(len(self.measure.asked), 1)

    def test_improvement(self):
        self.assertEqual(self.complaints({CASE: 2.0}, [record(9.0)]), [])

    def test_absolute_times_are_ignored(self):
        self.assertEqual(self.complaints({CASE: 2.0}, [record(2.0, seconds=1e6)]), [])

    def test_noise(self):
        """The best of four counts, and only what seems lost is run again."""
        other = ("a", "b")
        lines = self.complaints({CASE: 2.0, other: 1.0}, [record(1.0), record(1.0, other)], [record(1.2)],
                                [record(0.5)], [record(1.9)])
        self.assertEqual(lines, [])
        self.assertEqual(self.measure.asked, [["a", CASE[0]], [CASE[0]], [CASE[0]], [CASE[0]]])

    def test_best_of_all_runs(self):
        lines = self.complaints({CASE: 2.0}, [record(1.0)], [record(1.6)], [record(1.2)], [record(0.5)])
        self.assertEqual(lines, [f"{CASE[0]} against {CASE[1]}: committed 2.00, now 1.60 (-20 %)"])

    def test_missing_case(self):
        lines = self.complaints({CASE: 2.0}, [record(2.0, ("crypto/other", "b"))])
        self.assertEqual(len(lines), 1)
        self.assertIn("no such case", lines[0])

    def test_missing_rival(self):
        """The case is there, but not against the one that was committed."""
        lines = self.complaints({CASE: 2.0}, [record(2.0, (CASE[0], "another"))])
        self.assertEqual(len(lines), 1)

    def test_case_that_fails(self):
        lines = self.complaints({CASE: 2.0}, [{"name": CASE[0], "rival": CASE[1], "failed": "out of luck"}])
        self.assertEqual(len(lines), 1)
        self.assertIn("out of luck", lines[0])

    def test_skipped_case(self):
        self.assertEqual(self.complaints({CASE: 2.0}, [{"name": CASE[0], "rival": CASE[1], "skipped": "no root"}]), [])
        self.assertEqual(list(self.verdict.notes({CASE: 2.0})), [f"{CASE[0]} against {CASE[1]}: skipped: no root"])

    def test_new_case(self):
        self.assertEqual(self.complaints({}, [record(0.1)]), [])
        self.assertIn("not committed yet", list(self.verdict.notes({}))[0])

    def test_file(self):
        with tempfile.TemporaryDirectory(prefix="sluice-test-") as work:
            path = os.path.join(work, "ratios.json")
            ratios.save(path, "a machine", {CASE: 1.23456, ("a", "b"): 0.5})
            self.assertEqual(ratios.load(path), {CASE: 1.23, ("a", "b"): 0.5})

    def test_committed_file(self):
        self.assertGreater(len(ratios.load(ROOT / "bench/ratios.json")), 50)


class Program(unittest.TestCase):
    """run.py with suites made up: some leave no records."""
    SERVICE = ("service/at_once", "service/bound")

    def run_check(self, *broken):
        def suite(argv, is_ours=False):
            self.ran.append("sluice-bench" if is_ours else os.path.basename(argv[0]))
            if self.ran[-1] in broken:
                raise run.Broken(f"{self.ran[-1]} is out of luck")
            return [record(2.0)] if is_ours else [record(1.0, self.SERVICE)]
        self.ran = []
        with tempfile.TemporaryDirectory(prefix="sluice-test-") as work:
            committed = pathlib.Path(work) / "ratios.json"
            ratios.save(committed, "a machine", {CASE: 2.0, self.SERVICE: 1.0})
            with unittest.mock.patch.multiple(run, run_suite=suite, COMMITTED=committed), \
                    contextlib.redirect_stdout(io.StringIO()) as printed, \
                    contextlib.redirect_stderr(io.StringIO()):
                status = run.check(run.Suites(argparse.Namespace(quick=False)), [])
        return status, printed.getvalue()

    def test_suites_that_hold(self):
        status, text = self.run_check()
        self.assertEqual((status, text), (0, "2 ratios compared, 0 of 2 committed ones do not hold\n"))
        self.assertEqual(self.ran, ["sluice-bench", "service.py"])

    def test_script_that_breaks_does_not_take_the_others_along(self):
        status, text = self.run_check("service.py")
        self.assertEqual(status, 1)
        self.assertIn("service.py is out of luck", text)
        self.assertIn("1 ratios compared, 1 of 2 committed ones do not hold", text)

    def test_program_that_breaks(self):
        status, text = self.run_check("sluice-bench")
        self.assertEqual(status, 1)
        self.assertIn(f"{CASE[0]} against {CASE[1]}: committed 2.00, now it fails: sluice-bench is out of luck", text)
        self.assertIn("1 ratios compared", text)


@unittest.skipUnless(BENCH, "SLUICE_BENCH names no program")
class Smoke(unittest.TestCase):
    """With tiny data; what the numbers are does not matter."""

    def run_bench(self, *argv):
        return subprocess.run([BENCH, *argv], capture_output=True, text=True, check=False)

    def records(self, *argv):
        with tempfile.TemporaryDirectory(prefix="sluice-test-") as work:
            path = os.path.join(work, "records")
            done = self.run_bench("--smoke", "--records", path, *argv)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            return ratios.read_records(path), done.stdout

    def test_every_case(self):
        found, table = self.records()
        names = self.run_bench("--list").stdout.split()
        self.assertGreater(len(names), 80)
        self.assertEqual(set(names), {r["name"] for r in found})
        self.assertEqual(ratios.reasons(found, "failed"), {})
        for r in found:
            self.assertIn(r["name"], table)
            if "skipped" in r:
                continue
            self.assertGreater(r["seconds"], 0, r)
            self.assertGreater(r["bytes"], 0, r)
            self.assertEqual(r["ratio"] is None, r["rival"] is None, r)

    def test_a_case_brings_its_rivals(self):
        found, table = self.records("--filter", "^decompress/gzip/stage$")
        self.assertEqual({r["name"] for r in found}, {"decompress/gzip/stage"})
        self.assertIn("decompress/gzip/isal", {r["rival"] for r in found})
        self.assertIn("\ndecompress/gzip/isal ", table)
        self.assertTrue(all(r.get("ratio") or "skipped" in r for r in found), found)

    def test_wrong_words(self):
        """Are named, on one line."""
        for argv in (["--filter", "no/such/case"], ["--filter", "("], ["--nonsense"], ["--records"], ["crypto/"],
                     ["--repetitions", "many"], ["--min-time=-1"]):
            with self.subTest(argv=argv):
                done = self.run_bench(*argv)
                self.assertEqual(done.returncode, 2)
                self.assertIn(argv[-1].split("=")[0] if argv[-1] != "many" else argv[0], done.stderr)
                self.assertEqual(done.stderr.count("\n"), 1)

    def test_help(self):
        done = self.run_bench("--help")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("--filter REGEX", done.stdout)

    def test_interrupt(self):
        """Ends by itself, so that it can take its folders away; says which case runs on a terminal only."""
        ours, theirs = pty.openpty()
        self.addCleanup(os.close, ours)
        with subprocess.Popen([BENCH, "--filter", "crypto/digest", "--min-time", "60"], stdout=subprocess.DEVNULL,
                              stderr=theirs) as bench:
            os.close(theirs)
            said = os.read(ours, 4096)
            bench.send_signal(signal.SIGTERM)
            with contextlib.suppress(OSError):  # that of a terminal that nobody writes to any more
                while chunk := os.read(ours, 4096):
                    said += chunk
        self.assertEqual(bench.returncode, 128 + signal.SIGTERM)
        self.assertIn(b"interrupted", said)

    def test_records_that_cannot_be_written(self):
        done = self.run_bench("--smoke", "--filter", "crypto/ctr", "--records", "/nowhere/at/all")
        self.assertEqual(done.returncode, 1)
        self.assertIn("/nowhere/at/all", done.stderr)


if __name__ == "__main__":
    unittest.main()
