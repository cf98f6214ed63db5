# SPDX-License-Identifier: Apache-2.0
"""bench/compare with an image of a few files: each tool pulls it, and tables, picture, records and
README say what was found. Nothing is judged by its time. Needs SLUICE."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import unittest
import unittest.mock
import xml.etree.ElementTree as ElementTree

import sluice_case

BENCH = pathlib.Path(sluice_case.ROOT) / "bench"
sys.path.insert(0, str(BENCH))
import plot  # noqa: E402
import pull_images  # noqa: E402
import pull_report  # noqa: E402
import pull_rivals  # noqa: E402

SVG = "{http://www.w3.org/2000/svg}"
TOOLS = ["sluice", "shell", "skopeo+umoci"]


def made_up_results():
    """Twice the wall time, three times the CPU; and one that cannot."""
    def run(wall, cpu):
        return {"wall": wall, "synced": wall + 1, "cpu": cpu, "rss": 20.0, "registry": 0.1}
    image = {"plain": 5_000_000, "layers": 1, "files": 7, "kinds": {"gzip": 2_000_000}}
    cases = [{"image": "small:gzip", "store": "ext4", "tool": "sluice",
              "runs": [run(2.0, 1.0), run(9.0, 9.0), run(1.0, 0.5)]},
             {"image": "small:gzip", "store": "ext4", "tool": "a<b", "runs": [run(4.0, 3.0)]},
             {"image": "small:gzip", "store": "ext4", "tool": "podman", "cannot": "has no <key>"}]
    return {"machine": ["one & only"], "date": "2026-01-01", "images": {"small": image},
            "cases": cases}


def rows(markdown):
    """Cells of every row of every table."""
    return [[cell.strip() for cell in line.strip("|").split("|")]
            for line in markdown.splitlines() if line.startswith("|")]


def words(svg):
    return [text.text for text in ElementTree.fromstring(svg).iter(f"{SVG}text")]


class Report(unittest.TestCase):
    def test_tables_have_medians_and_ratios_to_sluice(self):
        found = rows(pull_report.markdown(made_up_results()))
        measured = [row for row in found if row[0] == "small:gzip"]
        self.assertEqual(measured, [["small:gzip", "**2.00**", "4.00 (2.0×)", "- [1]"],
                                    ["small:gzip", "**3.00**", "5.00 (1.7×)", "- [1]"],
                                    ["small:gzip", "**1.00**", "3.00 (3.0×)", "- [1]"],
                                    ["small:gzip", "**20**", "20 (1.0×)", "- [1]"]])
        self.assertIn("[1] has no <key>", pull_report.markdown(made_up_results()))

    def test_records_have_ratios_and_leave_out_what_was_not_measured(self):
        found = list(pull_report.records(made_up_results()))
        self.assertEqual([record["rival"] for record in found], ["sluice", "a<b"])
        self.assertEqual(found[1], {"name": "compare/small:gzip/ext4", "rival": "a<b",
                                    "bytes": 5_000_000, "seconds": 4.0, "cpu_seconds": 3.0,
                                    "peak_bytes": 20 << 20, "ratio": 2.0})

    def test_later_results_replace_earlier_ones_case_by_case(self):
        later = {"date": "2026-01-02", "images": {"many": {}},
                 "cases": [{"image": "small:gzip", "store": "ext4", "tool": "a<b", "cannot": "gone"}]}
        merged = pull_report.merge(made_up_results(), later)
        self.assertEqual(merged["date"], "2026-01-02")
        self.assertEqual(list(merged["images"]), ["small", "many"])
        self.assertEqual([case.get("cannot") for case in merged["cases"]],
                         [None, "gone", "has no <key>"])

    def test_picture_is_well_formed_and_has_a_bar_for_each_measured_tool(self):
        svg = plot.draw(made_up_results())
        bars = {bar.get("fill"): float(bar.get("width"))
                for bar in ElementTree.fromstring(svg).iter(f"{SVG}rect")}
        self.assertEqual(bars[plot.THEIRS] / bars[plot.OURS], 2.0)
        for word in ("sluice", "2.00 s", "a<b", "2.0×", "podman", "cannot"):
            self.assertIn(word, words(svg))

    def test_update_replaces_only_what_is_between_the_markers(self):
        readme = pathlib.Path(sluice_case.tempfile.mkdtemp()) / "README.md"
        self.addCleanup(shutil.rmtree, readme.parent)
        readme.write_text(f"a\n{pull_report.BEGIN}\nold\n{pull_report.END}\nz\n")
        pull_report.update_between_markers(readme, "new\n")
        self.assertEqual(readme.read_text(), f"a\n{pull_report.BEGIN}\nnew\n{pull_report.END}\nz\n")
        readme.write_text("no markers\n")
        with self.assertRaisesRegex(RuntimeError, "put them where"):
            pull_report.update_between_markers(readme, "new\n")

    def test_tool_that_is_not_installed_is_named(self):
        with unittest.mock.patch.object(shutil, "which", lambda _: None):
            self.assertEqual(pull_rivals.why_not("ctr", "gzip"), "ctr and containerd: not installed")
            self.assertIsNone(pull_rivals.why_not("sluice", "gzip"))

    def test_readme_has_the_markers(self):
        text = (BENCH / "README.md").read_text()
        self.assertTrue(-1 < text.find(pull_report.BEGIN) < text.find(pull_report.END))


class Compare(sluice_case.SluiceCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.cache = pathlib.Path(cls.shared) / "images"
        cls.cache.mkdir()
        pull_images.make_keys(cls.cache)
        tree = pathlib.Path(cls.shared) / "tree"
        shutil.copytree(BENCH, tree / "bench", ignore=shutil.ignore_patterns("__pycache__"))
        (tree / "link").symlink_to("bench")
        with pull_images.registry(cls.cache) as (port, _):
            pull_images.add_image(cls.cache, "small", [tree], tree.parent / "layout", port)
        pull_images.make_images(cls.cache, ["small"])

    def compare(self, *options):
        return subprocess.run(
            [sys.executable, BENCH / "compare", "--quick", "--stores", "tmpfs", *map(str, options)],
            env={**os.environ, "SLUICE_BENCH_DIR": str(self.cache), "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True, text=True, timeout=sluice_case.TIMEOUT, check=False)

    def test_each_tool_is_measured_and_shown(self):
        kinds = ["gzip", "zstd-enc"]
        outputs = {name: pathlib.Path(self.path(name)) for name in ("json", "markdown", "svg", "records")}
        done = self.compare("--sluice", sluice_case.SLUICE, "--kinds", *kinds, "--tools", *TOOLS,
                            *[word for name, file in outputs.items() for word in (f"--{name}", file)])
        self.assertEqual(done.returncode, 0, done.stderr)
        cases = json.loads(outputs["json"].read_text())["cases"]
        self.assertEqual([(case["image"], case["tool"]) for case in cases],
                         [(f"small:{kind}", tool) for kind in kinds for tool in TOOLS])
        for case in cases:
            expected = pull_rivals.why_not(case["tool"], case["image"].split(":")[1])
            self.assertEqual(case.get("cannot"), expected)
            for run in case.get("runs", []):
                self.assertTrue(run["wall"] > 0 and run["rss"] > 0, run)
        self.assertIn(["Image", *TOOLS], rows(outputs["markdown"].read_text()))
        self.assertLess(set(TOOLS) - {"shell"}, set(words(outputs["svg"].read_text())))
        records = [json.loads(line) for line in outputs["records"].read_text().splitlines()]
        self.assertEqual(len(records), sum("runs" in case for case in cases))

    def test_other_tools_that_are_installed_pull_too(self):
        tools = [tool for tool in ("buildah", "podman", "ctr") if not pull_rivals.why_not(tool, "gzip")]
        if not tools:
            self.skipTest("needs buildah, podman or containerd")
        results = pathlib.Path(self.path("results"))
        done = self.compare("--sluice", sluice_case.SLUICE, "--kinds", "gzip", "--tools", *tools,
                            "--json", results)
        self.assertEqual(done.returncode, 0, done.stderr)
        for case in json.loads(results.read_text())["cases"]:
            self.assertGreater(case["runs"][0]["cpu"], 0, case)
            # A client alone is smaller than containerd, which does the work.
            self.assertGreater(case["runs"][0]["rss"], 24, case)

    def test_what_is_said_to_be_impossible_fails(self):
        impossible = [(tool, kind) for tool, (_, programs, _) in pull_rivals.TOOLS.items()
                      for kind in ("zstd", "enc")
                      if all(map(shutil.which, programs)) and pull_rivals.why_not(tool, kind)]
        with pull_images.registry(self.cache) as (port, _):
            for number, (tool, kind) in enumerate(impossible):
                store = pathlib.Path(self.path(str(number)))
                store.mkdir()
                pull = pull_rivals.Pull(sluice_case.SLUICE, self.cache / "priv.pem", port,
                                        f"small:{kind}", store)
                with pull_rivals.prepared(tool, pull) as (command, _, _):
                    done = subprocess.run(["bash", "-c", command], capture_output=True, check=False)
                self.assertNotEqual(done.returncode, 0, (tool, kind))

    def test_tool_that_fails_is_named_and_the_others_go_on(self):
        report = pathlib.Path(self.path("report"))
        done = self.compare("--sluice", shutil.which("false"), "--kinds", "gzip", "--tools", "sluice",
                            "shell-unchecked", "--markdown", report)
        self.assertEqual(done.returncode, 1)
        self.assertIn("sluice fails", done.stderr)
        row = next(row for row in rows(report.read_text()) if row[0] == "small:gzip")
        self.assertEqual(row[1], "- [1]")
        self.assertRegex(row[2], r"^\d+\.\d+$")

    def test_nothing_is_measured_for_no_run(self):
        results = self.write("results", json.dumps(made_up_results()))
        report = pathlib.Path(self.path("report"))
        done = self.compare("--no-run", "--with", results, "--markdown", report)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(report.read_text(), pull_report.markdown(made_up_results()))

    def test_wrong_words_are_named_before_anything_is_measured(self):
        for argv in (["--no-run"], ["--no-run", "--with", "/nowhere"], ["--runs", "0"],
                     ["--json", "/nowhere/results"]):
            with self.subTest(argv=argv):
                done = self.compare(*argv)
                self.assertNotEqual(done.returncode, 0)
                self.assertIn(argv[-1], done.stderr)
                self.assertEqual((done.stdout, "Traceback" in done.stderr), ("", False))

    def test_kinds_of_a_shape_have_the_same_diff_ids(self):
        with pull_images.registry(self.cache) as (port, _):
            configs = {pull_rivals.fetch_json(f"http://127.0.0.1:{port}/v2/small/manifests/{kind}")
                       ["config"]["digest"] for kind in pull_images.KINDS}
        self.assertEqual(len(configs), 1)

    def pipeline(self, mode, kind, change=lambda line: line):
        with pull_images.registry(self.cache) as (port, _):
            repository = f"http://127.0.0.1:{port}/v2/small"
            line = pull_rivals.layer_lines(repository, kind, self.cache / "priv.pem")
            return subprocess.run([BENCH / "pull_pipeline.sh", mode, repository, self.path("out")],
                                  input=change(line), capture_output=True, text=True, check=False)

    def test_pipeline_unpacks_every_kind(self):
        for kind in pull_images.KINDS:
            for mode in ("checked", "unchecked"):
                done = self.pipeline(mode, kind)
                self.assertEqual(done.returncode, 0, done.stderr)
                tree = next(pathlib.Path(self.path("out")).iterdir())
                self.assertEqual((tree / "link/compare").read_bytes(), (BENCH / "compare").read_bytes())
                shutil.rmtree(self.path("out"))

    def test_checking_pipeline_refuses_what_differs(self):
        def flip(field):
            def change(line):
                fields = line.split()
                fields[field] = fields[field][:-1] + ("0" if fields[field][-1] != "0" else "1")
                return " ".join(fields) + "\n"
            return change
        for field, what in ((2, "diff_id"), (5, "MAC")):
            done = self.pipeline("checked", "enc", flip(field))
            self.assertEqual((done.returncode, done.stderr), (3, f"layer: {what} differs\n"))
            self.assertEqual(self.pipeline("unchecked", "enc", flip(field)).returncode, 0)

    def test_shape_or_kind_that_is_not_known_is_refused(self):
        done = subprocess.run([sys.executable, BENCH / "pull_images.py", "big"], capture_output=True,
                              text=True, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertTrue(re.search("shapes are small, single, many; kinds are", done.stderr))


if __name__ == "__main__":
    sluice_case.main("docker-registry", "skopeo", "umoci", "curl", "openssl", "igzip", "zstd", "time")
