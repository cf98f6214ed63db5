# SPDX-License-Identifier: Apache-2.0
"""sluice-bench limit: the arithmetic of its bound, and what it says of a real pull. How fast
anything is does not matter here, and nothing is compared with a clock."""

import json
import os
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support"))
import make_image  # noqa: E402
import registry as registries  # noqa: E402

BENCH = os.environ.get("SLUICE_BENCH", "")
TIMEOUT = 120
SKIPPED = 77
ROUNDING = 1e-5  # numbers are printed to a millionth; a few of them are added up
LAYERS = 2
STAGES = {"decrypt", "decompress", "diff_id", "unpack"}


def layers():
    """One that has segments of its own, and one too small for that."""
    noise = os.urandom(3 << 20)
    files = {f"usr/share/doc/{i}": f"{i}\n" * 100 for i in range(300)}
    return [make_image.layer({"usr/": "", "usr/noise": noise, **files}, level=1),
            make_image.layer({"etc/": "", "etc/motd": "hello\n"})]


class Limit(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        # In memory: syncfs waits for whatever else is on its way to a disk.
        folder = tempfile.TemporaryDirectory(prefix="sluice-limit-test-", dir="/dev/shm")
        cls.addClassCleanup(folder.cleanup)
        cls.folder = folder.name
        cls.key, public = (os.path.join(cls.folder, name) for name in ("key.pem", "key.pub"))
        registries.run("openssl", "genrsa", "-out", cls.key, "2048")
        registries.run("openssl", "rsa", "-in", cls.key, "-pubout", "-out", public)
        layout = make_image.add_image(os.path.join(cls.folder, "layout"), layers())
        registry = registries.Registry()
        cls.registry = registry.__enter__()
        cls.addClassCleanup(registry.__exit__)
        registry.push(layout, "team/image:plain")
        registries.run("skopeo", "--insecure-policy", "copy", "--quiet", "--dest-tls-verify=false",
                       "--encryption-key", "jwe:" + public, layout, registry.ref("team/image:enc"))

    def limit(self, *args):
        env = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
        env |= {"HOME": self.folder, "CONTAINERS_REGISTRIES_CONF": os.devnull}
        return subprocess.run([BENCH, "limit", "--root", self.folder, *args], env=env, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=TIMEOUT,
                              check=False)

    def measure(self, tag, *args):
        run = self.limit("--tls-verify=false", "--runs", "1", *args,
                         self.registry.ref("team/image:" + tag))
        self.assertEqual((run.returncode, run.stderr), (0, ""))
        self.assertEqual(self.leftovers(), [])
        return run.stdout

    def record(self, tag, *args):
        text = self.measure(tag, "--json", *args)
        self.assertEqual(text.count("\n"), 1)
        return json.loads(text)

    def leftovers(self):
        return [name for name in os.listdir(self.folder) if name.startswith("sluice-limit-")]

    def refused(self, run, code, *words):
        self.assertEqual((run.returncode, run.stdout), (code, ""), run.stderr)
        self.assertEqual(run.stderr.count("\n"), 1, run.stderr)
        for word in words:
            self.assertIn(word, run.stderr)
        self.assertEqual(self.leftovers(), [])

    # ---- the bound ----

    def check_parts(self, record, expected):
        self.assertEqual(len(record["layers"]), LAYERS)
        for layer in record["layers"]:
            self.assertLessEqual(expected, set(layer["parts"]))
            total = sum(part["cpu_seconds"] for part in layer["parts"].values())
            self.assertAlmostEqual(layer["cpu_seconds"], total, delta=ROUNDING)
        for part in expected:  # that of a small layer may be printed as 0
            self.assertGreater(record["layers"][0]["parts"][part]["cpu_seconds"], 0, part)
        total = sum(layer["cpu_seconds"] for layer in record["layers"])
        self.assertAlmostEqual(record["bound_cpu_seconds"], total, delta=ROUNDING)

    @staticmethod
    def lanes(layer):
        """What no number of cores makes shorter."""
        lane = {name: min(part["cpu_seconds"], part["seconds"])
                for name, part in layer["parts"].items()}
        lane["cipher"] = lane.pop("sums") + lane.get("cipher", 0)
        if "write-out" in lane:
            lane["write-out"] = layer["parts"]["write-out"]["seconds"]
        return lane

    def check_bounds(self, record):
        longest = max(seconds for layer in record["layers"]
                      for seconds in self.lanes(layer).values())
        bounds = record["bounds"]
        for bound in bounds:
            spread = record["bound_cpu_seconds"] / bound["cores"]
            self.assertAlmostEqual(bound["seconds"], max(spread, longest), delta=ROUNDING)
            self.assertEqual(bound["extrapolated"], bound["cores"] > record["cores"])
            if bound["set_by"] == "cpu":
                self.assertGreaterEqual(spread + ROUNDING, longest)
            else:
                lane = self.lanes(record["layers"][bound["layer"] - 1])[bound["set_by"]]
                self.assertAlmostEqual(bound["seconds"], lane, delta=ROUNDING)
        cores = [bound["cores"] for bound in bounds]
        self.assertEqual(cores, sorted(set(range(1, record["cores"] + 1)) | {4, 8}
                                       if record["cores"] < 8 else set(cores)))
        seconds = [bound["seconds"] for bound in bounds]
        self.assertEqual(seconds, sorted(seconds, reverse=True))
        here = next(b for b in bounds if b["cores"] == record["cores"])
        self.assertAlmostEqual(record["bound_seconds"], here["seconds"], delta=ROUNDING)
        self.assertAlmostEqual(record["ratio"] * record["seconds"], here["seconds"], delta=ROUNDING)

    # ---- the pull ----

    def check_pull(self, record, stages):
        pull = record["pull"]
        self.assertEqual(record["bytes"], sum(x["plain_bytes"] for x in record["layers"]))
        used = record["cpu_seconds"] + pull["idle_cpu_seconds"]
        self.assertAlmostEqual(used, record["seconds"] * record["cores"], delta=ROUNDING)
        for layer, parts in zip(pull["layers"], record["layers"], strict=True):
            self.assertEqual({stage["name"] for stage in layer["stages"]}, stages)
            self.assertLessEqual(layer["began"] + layer["seconds"], record["seconds"])
            self.assertEqual(layer["stages"][0]["bytes"], parts["bytes"])
            self.assertEqual(layer["stages"][-1]["bytes"], parts["plain_bytes"])
            for stage in layer["stages"]:
                spent = stage["busy"] + stage["stalled_in"] + stage["stalled_out"]
                self.assertGreater(stage["busy"], 0)
                self.assertLessEqual(spent, layer["seconds"] + ROUNDING, stage)
        self.assertGreater(pull["before_seconds"], 0)
        self.assertGreater(pull["commit_seconds"], 0)
        self.assertLessEqual(pull["before_seconds"] + pull["after_seconds"], record["seconds"])

    def test_encrypted_image_has_a_bound_that_adds_up(self):
        record = self.record("enc", "--decryption-key", self.key)
        self.assertEqual((record["name"], record["rival"]), ("limit/image:enc", "bound"))
        self.assertTrue(all(layer["encrypted"] for layer in record["layers"]))
        self.check_parts(record, {"receive", "registry", "sums", "cipher", "inflate", "diff_id",
                                  "tree"})
        self.check_bounds(record)
        self.check_pull(record, STAGES)

    def test_plain_image_has_no_cipher(self):
        record = self.record("plain")
        self.check_parts(record, {"receive", "registry", "sums", "inflate", "diff_id", "tree"})
        self.assertFalse(any("cipher" in layer["parts"] for layer in record["layers"]))
        self.check_bounds(record)
        self.check_pull(record, STAGES - {"decrypt"} | {"blob digest"})

    def test_table_names_what_sets_each_bound(self):
        text = self.measure("plain")
        self.assertIn("team/image:plain", text)
        self.assertRegex(text, r"(?m)^ +1 +\d+\.\d+ +\d+  cpu$")
        self.assertRegex(text, r"ratio \d+\.\d\d\n")
        self.assertRegex(text, r"(?m)^unpack ")

    # ---- refusals ----

    def test_encrypted_image_without_its_key_is_a_clear_refusal(self):
        run = self.limit("--tls-verify=false", self.registry.ref("team/image:enc"))
        self.refused(run, 4, "layer 1/2", "Failed to decrypt the image layer")

    def test_image_that_is_not_there_fails_as_the_network_does(self):
        run = self.limit("--tls-verify=false", self.registry.ref("team/none:1"))
        self.refused(run, 4, "team/none")

    def test_blob_larger_than_memory_is_refused(self):
        run = self.limit("--tls-verify=false", "--memory", "1000000",
                         self.registry.ref("team/image:plain"))
        self.refused(run, 1, "a layer needs more than 1.0 MB", "--memory")

    def test_layer_that_unpacks_to_more_than_memory_is_refused(self):
        size = json.loads(self.measure("plain", "--json"))["layers"][0]["bytes"]
        run = self.limit("--tls-verify=false", "--memory", str(size + 100000),
                         self.registry.ref("team/image:plain"))
        self.refused(run, 1, "layer 1/2", "unpacks to more than", "--memory")

    def test_root_that_is_not_there_is_named(self):
        run = self.limit("--tls-verify=false", "--root", self.folder + "/none",
                         self.registry.ref("team/image:plain"))
        self.refused(run, 1, self.folder + "/none")

    def test_wrong_options_are_told(self):
        for args in ([], ["a", "b"], ["--runs", "0", "a"], ["--runs", "10", "a"], ["--nonsense", "a"],
                     ["--runs", "two", "a"], ["--memory", "-1", "a"], ["--tls-verify=maybe", "a"],
                     ["--registry-pid", "0", "a"]):
            with self.subTest(args=args):
                self.refused(self.limit(*args), 2, "--help")

    def test_help_is_no_mistake(self):
        run = self.limit("--help")
        self.assertEqual((run.returncode, run.stderr), (0, ""))
        self.assertIn("--decryption-key", run.stdout)


if __name__ == "__main__":
    lacking = registries.missing_programs("docker-registry", "skopeo", "openssl")
    if not os.access(BENCH, os.X_OK):
        lacking.append("sluice-bench (the preset bench, in the environment variable SLUICE_BENCH)")
    if os.geteuid() != 0:
        lacking.append("root")
    if lacking:
        print("skipped: needs", ", ".join(lacking))
        sys.exit(SKIPPED)
    unittest.main(verbosity=2)
