# SPDX-License-Identifier: Apache-2.0
"""bench/targets.py: which of made-up records it takes for which target, and which targets these meet."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bench"))
import pull_images  # noqa: E402
import targets  # noqa: E402

MIB = 1 << 20


def compared(image, store, tool, seconds, cpu, ratio=None, peak=50):
    return {"name": f"compare/{image}/{store}", "rival": tool, "bytes": 1, "seconds": seconds, "cpu_seconds": cpu,
            "peak_bytes": peak * MIB, "ratio": ratio}


def part(seconds):
    return {"cpu_seconds": seconds, "seconds": seconds, "by": "sluice"}


def limit(image, in_memory, to_bound, parts=None):
    """Of one layer."""
    parts = parts or {"sums": part(1), "cipher": part(1), "inflate": part(3), "diff_id": part(2), "tree": part(1)}
    cpu = sum(p["cpu_seconds"] for p in parts.values())
    return {"name": f"limit/{image}", "rival": "bound", "seconds": to_bound * 4, "bound_seconds": 4.0,
            "pull_to_bound": to_bound, "ratio": 1 / to_bound, "in_memory": in_memory, "bound_cpu_seconds": cpu,
            "layers": [{"parts": parts}], "pull": {"idle_cpu_seconds": 0.5}}


def own(name, ratio, synced=None, peak=20, rival="default"):
    return {"name": f"targets/{name}", "rival": rival, "bytes": None, "seconds": 1.0, "cpu_seconds": 1.0,
            "peak_bytes": peak * MIB, "ratio": ratio, "synced_ratio": synced or ratio}


def far(link, share):
    """Of a link with 1 Gbit/s."""
    return {"name": f"pull/many:enc/{link}", "rival": "curl", "bytes": 1e9, "seconds": 8 / share, "ratio": 1.0}


def good_records():
    """Every target on tmpfs and ext4 is met, some of them barely."""
    records = []
    for store in "tmpfs", "ext4":
        records += [compared(image, store, "sluice", 5.0, 10.0) for image in targets.ALL_IMAGES]
        records += [compared("many:enc", store, "skopeo+umoci", 41.0, 49.9 + 2, 8.2),
                    compared("many:enc", store, "buildah", 40.0, 50.0, 8.0),
                    compared("many:enc", store, "shell", 12.5, 15.0, 2.5)]
        records += [limit(image, store == "tmpfs", 1.25) for image in targets.LIMIT_IMAGES]
        records.append(own(f"tar/pull/small:enc/{store}", 1 / 1.2, rival="gnu_tar"))
    records += [own(f"memory/24M/{image}/tmpfs", 1 / 1.5) for image in targets.POOL_IMAGES]
    for size in "1MiB", "64MiB":
        records.append({"name": f"crypto/decrypt/stage/{size}", "rival": f"crypto/decrypt/openssl/{size}",
                        "ratio": 1.4})
    for name, seconds in ("version", 0.005), ("cached_pull", 0.01):
        records.append({"name": f"targets/start/{name}", "rival": None, "seconds": seconds, "cpu_seconds": 0.001})
    return [*records, far("100ms", 0.9), far("20ms", 0.1), far("loopback", 0.1)]


class Table(unittest.TestCase):
    def rows(self, *records):
        """The last of two records of a case counts."""
        found = targets.Found()
        found.add([*good_records(), *records])
        return targets.rows(found, ["tmpfs", "ext4"])

    def missed(self, *records):
        return [row.what for row in self.rows(*records) if row.figure is None or not row.is_met()]

    def test_good_records_meet_every_target(self):
        self.assertEqual(self.missed(), [])

    def test_nothing_is_met_without_records(self):
        table = targets.rows(targets.Found(), ["tmpfs", "ext4"])
        self.assertEqual({row.cells()[3] for row in table}, {"not measured"})
        self.assertEqual(len(table), len(self.rows()))

    def test_best_peer_counts_for_wall_and_for_cpu(self):
        self.assertEqual(self.missed(compared("many:enc", "tmpfs", "skopeo+umoci", 39.0, 52.0, 7.8)),
                         ["many:enc, tmpfs: wall, best Go peer"])
        self.assertEqual(self.missed(compared("many:enc", "ext4", "skopeo+umoci", 41.0, 49.0, 8.2)),
                         ["many:enc, ext4: CPU, of the best Go peer's"])

    def test_shell_pipeline_is_no_go_peer(self):
        self.assertEqual(self.missed(compared("many:enc", "tmpfs", "shell", 12.0, 12.0, 2.4)),
                         ["many:enc, tmpfs: wall, shell pipeline with all checks"])

    def test_limit_is_told_apart_by_store(self):
        self.assertEqual(self.missed(limit("many:zstd-enc", False, 1.26)),
                         ["many:zstd-enc, ext4: wall / bound"])

    def test_bound_above_the_pull_proves_nothing(self):
        self.assertEqual(self.missed(limit("many:enc", True, 0.84)), ["many:enc, tmpfs: wall / bound"])

    def test_tar_is_compared_with_and_without_sync(self):
        self.assertEqual(self.missed(own("tar/pull/small:enc/ext4", 0.5, 1.0, rival="gnu_tar")),
                         ["small:enc, ext4: wall of the pull / GNU tar with the plain tar"])
        self.assertEqual(len(self.missed(own("tar/pull/small:enc/ext4", 1.0, 0.5, rival="gnu_tar"))), 1)

    def test_peak_memory_is_the_worst_of_all_cases(self):
        row = next(r for r in self.rows(compared("single:zstd", "ext4", "sluice", 5, 10, peak=97))
                   if r.what.startswith("peak memory"))
        self.assertEqual((row.figure, row.is_met()), (97, False))
        self.assertEqual(row.note, "the most of 24 of 24 cases: single:zstd, ext4")

    def test_memory_of_rivals_is_theirs(self):
        self.assertEqual(self.missed(compared("many:enc", "tmpfs", "buildah", 40, 50, 8.0, peak=500)), [])

    def test_small_pool_may_be_slower_but_not_much(self):
        self.assertEqual(self.missed(own("memory/24M/single:enc/tmpfs", 0.66)),
                         ["single:enc: wall with --memory 24M / default"])

    def test_only_a_link_far_away_counts(self):
        self.assertEqual(self.missed(far("20ms", 0.01)), [])
        self.assertEqual(self.missed(far("100ms", 0.89)),
                         ["100 ms round trip, 1 Gbit/s: share of the link"])

    def verification(self, parts):
        return next(row for row in self.rows(limit("single:enc", True, 1.0, parts))
                    if row.what.startswith("single:enc: all verification"))

    def test_verification_is_free_where_another_lane_is_longest(self):
        row = self.verification({"sums": part(1), "cipher": part(1), "inflate": part(3), "diff_id": part(2)})
        self.assertEqual((row.figure, row.is_computed), (0, True))
        self.assertIn("met (computed)", row.cells())

    def test_verification_costs_where_its_lane_is_longest(self):
        row = self.verification({"sums": part(1), "inflate": part(3), "diff_id": part(3.3)})
        self.assertAlmostEqual(row.figure, 0.1)
        row = self.verification({"sums": part(1.8), "cipher": part(1.5), "inflate": part(3)})
        self.assertAlmostEqual(row.figure, 0.1)

    def test_verification_costs_where_cores_are_few_for_it(self):
        """16 s of CPU for 4 cores, 4 of them for hashes; no lane is longer than 3."""
        row = self.verification({"sums": part(2), "diff_id": part(2), "inflate": part(3), "tree": part(3),
                                 "receive": part(3), "registry": part(3)})
        self.assertAlmostEqual(row.figure, 4 / 3 - 1)

    def test_failed_and_skipped_records_measure_nothing(self):
        case = {"name": "crypto/decrypt/stage/1MiB", "rival": "crypto/decrypt/openssl/1MiB"}
        found = targets.Found()
        found.add([case | {"failed": "why"}, case | {"skipped": "why"}])
        self.assertEqual(found.all, {})


class Program(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="sluice-test-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.records = self.folder / "records"
        self.records.write_text("".join(json.dumps(r) + "\n" for r in good_records()))

    def run_targets(self, *argv):
        return subprocess.run([sys.executable, ROOT / "bench/targets.py", *map(str, argv)], capture_output=True,
                              text=True, check=False, env={**os.environ, "SLUICE_BENCH_DIR": str(self.folder)})

    def test_table_of_records(self):
        done = self.run_targets("--no-run", "--with", self.records, "--markdown", self.folder / "table",
                                "--records", self.folder / "again")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual((self.folder / "table").read_text(), done.stdout)
        count = done.stdout.count("\n| ") - 1
        self.assertIn(f"\n{count} of {count} met.\n", done.stdout)
        self.assertEqual((self.folder / "again").read_text(), self.records.read_text())

    def test_nothing_is_missing_of_complete_records(self):
        done = self.run_targets("--list", "--with", self.records)
        self.assertEqual((done.returncode, done.stdout.strip()), (0, ""))

    def test_only_what_is_missing_is_measured(self):
        kept = [r for r in good_records() if not (r["name"] == "limit/single:enc" and r["in_memory"])
                and not (r["name"] == "compare/many:enc/ext4" and r["rival"] == "shell")]
        self.records.write_text("".join(json.dumps(r) + "\n" for r in kept))
        done = self.run_targets("--list", "--with", self.records)
        first, second = done.stdout.splitlines()
        self.assertEqual(first, "limit of single:enc on tmpfs")
        self.assertTrue(second.startswith("many:enc on ext4 against "), second)
        done = self.run_targets("--list", "--with", self.records, "--only", "limit")
        self.assertEqual(done.stdout.splitlines(), [first])

    def test_everything_is_missing_at_first(self):
        done = self.run_targets("--list")
        self.assertGreater(len(done.stdout.splitlines()), 2 * len(pull_images.SHAPES) * len(pull_images.KINDS))

    def test_what_is_no_record_is_refused_in_one_line(self):
        for text in ("no JSON\n", "[1]\n", '{"cases": []}\n'):
            self.records.write_text(text)
            done = self.run_targets("--no-run", "--with", self.records)
            self.assertEqual((done.returncode, done.stderr.count("\n")), (1, 1), done.stderr)
            self.assertIn(str(self.records), done.stderr)

    def test_readme_has_the_markers(self):
        text = targets.README.read_text()
        self.assertTrue(-1 < text.find(targets.BEGIN) < text.find(targets.END))


if __name__ == "__main__":
    unittest.main()
