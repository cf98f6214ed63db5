# SPDX-License-Identifier: Apache-2.0
"""`sluice config check`: what applies, where it comes from, and what a bad file ends with. Python's own
readers of TOML and JSON say what a file means."""

import json
import os
import re
import subprocess
import tempfile
import tomllib
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
SLUICE = os.environ.get("SLUICE", os.path.join(ROOT, "build", "dev", "bin", "sluice"))
INSTALLED = os.path.join(ROOT, "packaging", "sluiced.toml")
MANUAL = os.path.join(ROOT, "cli", "man", "sluice.conf.5.md")
EXIT_FAILED, EXIT_USAGE, EXIT_FORMAT = 1, 2, 5
KBC = '[kbc]\nname = "offline_fs_kbc"\n'


def uncommented(text, marks):
    return re.sub(rf"(?m)^#{{1,{marks}}}(?=[a-z\[])", "", text)


class ConfigCheck(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.TemporaryDirectory(prefix="sluice-test-")
        self.addCleanup(self.dir.cleanup)

    def write(self, name, text):
        path = os.path.join(self.dir.name, name)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        return path

    def run_check(self, *args, **environment):
        plain = {k: v for k, v in os.environ.items() if not k.startswith(("AA_", "CDH_"))}
        return subprocess.run([SLUICE, "config", "check", *args], capture_output=True, text=True,
                              check=False, timeout=60, env={**plain, **environment})

    def values(self, *args, **environment):
        run = self.run_check("--json", *args, **environment)
        self.assertEqual(run.returncode, 0, run.stderr)
        document = json.loads(run.stdout)
        return {line["key"]: line for line in document["values"]}, document["warnings"]

    def assert_same_values(self, a, b):
        def plain(lines):
            values = {k: line["value"] for k, line in lines.items()}
            rules = values["image.registry_config"]  # a table of TOML has no order
            return {**values, "image.registry_config": rules and json.loads(rules)}
        self.assertEqual(plain(a), plain(b))

    def test_without_a_file_the_defaults_apply(self):
        values, _ = self.values()
        self.assertEqual(values["sluice.memory"]["value"], "64M")
        self.assertEqual(values["kbc.name"]["value"], "offline_fs_kbc")
        self.assertEqual({line["from"] for line in values.values()} - {"kernel"}, {"default"})

    def test_environment_is_told(self):
        values, _ = self.values(AA_KBC_PARAMS="sample_kbc::x")
        self.assertEqual((values["kbc.name"]["value"], values["kbc.name"]["origin"]),
                         ("sample_kbc", "environment: AA_KBC_PARAMS"))

    def test_text_is_aligned_and_says_where(self):
        path = self.write("cdh.toml", KBC + "[sluice]\npulls = 3\n")
        run = self.run_check(path)
        self.assertEqual(run.returncode, 0, run.stderr)
        line = re.search(r"(?m)^(sluice\.pulls +)(3 +)(.*)$", run.stdout)
        self.assertEqual(line[3], f"{path}: line 4")
        other = re.search(r"(?m)^(sluice\.drain_s +)(30 +)default$", run.stdout)
        self.assertEqual((len(line[1]), len(line[2])), (len(other[1]), len(other[2])))

    def test_json_means_what_toml_means(self):
        with open(INSTALLED, encoding="utf-8") as f:
            installed = uncommented(f.read(), 2)
        with open(MANUAL, encoding="utf-8") as f:
            examples = re.findall(r"\n\n((?:(?:    [^\n]*)?\n)+)", f.read().split("# EXAMPLES")[1])
        examples = [re.sub(r"(?m)^    ", "", e) for e in examples if "[kbc]" in e]
        self.assertEqual(len(examples), 2)
        for text in (installed, *examples):
            with self.subTest(text=text[:60]):
                toml, warnings = self.values(self.write("a.toml", text))
                same, _ = self.values(self.write("a.json", json.dumps(tomllib.loads(text))))
                self.assertEqual(warnings, [])
                self.assert_same_values(toml, same)

    def test_readers_agree_on_what_is_a_file(self):
        for text in ("a = 1\na = 2\n", "[kbc]\nname = 'x'\n[kbc]\n", "a = '\n", KBC + "\x01",
                     KBC + "x = {a = 1,\n b = 2}\n", KBC + "x = 1979-05-27T07:32:00Z\n",
                     KBC + "x = [1, 'a', {b = 1.5e3, c = inf}]\n", KBC + "'a.b'.\"c\" = 0x1F\n"):
            try:
                tomllib.loads(text)
                good = True
            except tomllib.TOMLDecodeError:
                good = False
            run = self.run_check(self.write("cdh.toml", text))
            self.assertEqual(run.returncode, 0 if good else EXIT_FORMAT, text + run.stderr)

    def test_installed_file_is_the_defaults(self):
        plain, warnings = self.values(INSTALLED)
        self.assertEqual(warnings, [])
        with open(INSTALLED, encoding="utf-8") as f:
            said, warnings = self.values(self.write("all.toml", uncommented(f.read(), 1)))
        self.assertEqual(warnings, [])
        nothing, _ = self.values(self.write("kbc.toml", KBC + "[image]\n"))
        self.assert_same_values(plain, nothing)
        self.assert_same_values(said, nothing)

    def test_values_are_those_of_the_file(self):
        text = KBC + ('[image]\nwork_dir = "/a b/ü"\nimage_security_policy_uri = "file:///p"\n'
                      '[sluice]\nlisten = ["unix:///x", "[::1]:5"]\nrequire_signed = true\n')
        values, _ = self.values(self.write("cdh.toml", text))
        for key, value in (("image.work_dir", "/a b/ü"), ("sluice.require_signed", "true"),
                           ("sluice.listen", "ttrpc+unix:///x, grpc://[::1]:5")):
            self.assertEqual(values[key]["value"], value)
            self.assertEqual(values[key]["from"], "file")

    def test_warnings_fail_only_when_strict(self):
        path = self.write("cdh.toml", KBC + "[image]\nwork_dri = 1\n")
        run = self.run_check(path)
        self.assertEqual(run.returncode, 0)
        self.assertEqual(run.stderr, f"sluice: warning: {path}: line 4: image.work_dri: unknown "
                                     "key, ignored; did you mean image.work_dir?\n")
        strict = self.run_check("--strict", "--quiet", path)
        self.assertEqual((strict.returncode, strict.stdout), (EXIT_FORMAT, ""))
        self.assertIn("1 warning, which --strict does not let pass", strict.stderr)
        self.assertEqual(self.run_check("--strict", "--quiet", self.write("b.toml", KBC + "[image]\n"))
                         .returncode, 0)

    def test_bad_file_ends_with_5_and_one_line(self):
        for name, text, part in (("a.toml", KBC + "[sluice]\npulls = 'x'\n", "a.toml: line 4: sluice.pulls"),
                                 ("a.toml", "", "kbc.name is missing"),
                                 ("a.toml", "[kbc]\nnmae = 'x'\n", "did you mean kbc.name?"),
                                 ("a.json", '{"kbc": {"name": 1}}', "a.json: line 1: kbc.name"),
                                 ("a.json", "[", "a.json: line 1, column")):
            run = self.run_check(self.write(name, text))
            self.assertEqual((run.returncode, run.stdout), (EXIT_FORMAT, ""))
            self.assertIn(part, run.stderr)
            self.assertEqual(run.stderr.count("\n"), 1)

    def test_documents_in_the_file_are_read(self):
        for key, text in (("image_security_policy", "{"), ("sigstore_config", "a: [b"),
                          ("sigstore_config", "docker: 1")):
            run = self.run_check(self.write("a.toml", f"{KBC}[image]\n{key} = '{text}'\n"))
            self.assertEqual((run.returncode, run.stdout), (EXIT_FORMAT, ""), run.stderr)
            self.assertIn(f"a.toml: line 4: image.{key}: ", run.stderr)
            self.assertEqual(run.stderr.count("\n"), 1)
        for text in ("'{\"default\": [{\"type\": \"reject\"}], \"transports\": {}}'", "''"):
            run = self.run_check(self.write("a.toml", f"{KBC}[image]\nimage_security_policy = {text}\n"))
            self.assertEqual(run.returncode, 0 if "reject" in text else EXIT_FORMAT, run.stderr)

    def test_address_that_others_reach_is_told(self):
        for text in ("0.0.0.0:50000", "ttrpc://[::]:1", "vsock://3:1024"):
            run = self.run_check(self.write("a.toml", f"socket = '{text}'\n{KBC}"))
            self.assertNotEqual(run.returncode, 0, text)
            self.assertIn("a.toml: line 1: socket: ", run.stderr)
            self.assertIn("can be reached from other machines", run.stderr)

    def test_missing_file_and_wrong_usage(self):
        self.assertEqual(self.run_check("/does/not/exist").returncode, EXIT_FAILED)
        self.assertEqual(self.run_check("a", "b").returncode, EXIT_USAGE)
        run = subprocess.run([SLUICE, "config", "show"], capture_output=True, text=True, check=False,
                             timeout=60)
        self.assertEqual(run.returncode, EXIT_USAGE)
        self.assertIn("sluice config check [FILE]", run.stderr)

    def test_passwords_are_not_shown(self):
        path = self.write("cdh.toml", KBC + '[image.image_pull_proxy]\n'
                                            'https_proxy = "http://me:geheim@proxy:3128"\n')
        for args in ((path,), ("--json", path)):
            run = self.run_check(*args)
            self.assertEqual(run.returncode, 0)
            self.assertIn("http://me:***@proxy:3128", run.stdout)
            self.assertNotIn("geheim", run.stdout + run.stderr)

    def test_nothing_reaches_the_terminal_that_it_obeys(self):
        path = self.write("cdh.json", '{"kbc": {"name": "offline_fs_kbc"}, "image": {"registry_config": '
                                      '{"\\u009b2J": "\\u007f"}}, "x\\u001b[2J\\u009b": 1}')
        for args in ((path,), ("--json", path)):
            run = self.run_check(*args)
            self.assertEqual(run.returncode, 0, run.stderr)
            self.assertNotRegex(run.stdout.replace("\n", "") + run.stderr.replace("\n", ""),
                                "[\x00-\x1f\x7f-\x9f]")


if __name__ == "__main__":
    unittest.main(verbosity=2)
