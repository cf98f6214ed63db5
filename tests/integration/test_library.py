# SPDX-License-Identifier: Apache-2.0
"""libsluice as others get it: installed, found by pkg-config, with nothing to be seen of it but
sluice.h. Called with the build folder and the compiler of the build."""

import json
import os
import re
import signal
import subprocess
import sys

import sluice_case
from sluice_case import EXIT_FAILED, ROOT, SluiceCase, TIMEOUT

import make_image
import registry as registries
from counting_proxy import CountingProxy, DEADLINE

BUILD, COMPILER = sys.argv[1:3]
HEADER = os.path.join(ROOT, "api", "include", "sluice.h")
LARGE = 3 * 1024 * 1024  # bytes


def run(*command, **kwargs):
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, check=False,
                          **kwargs)
    assert done.returncode == 0, (command, done.stdout, done.stderr)
    return done.stdout


def declared():
    """Every function of the header."""
    with open(HEADER, encoding="utf-8") as file:
        text = re.sub(r"/\*.*?\*/", "", file.read(), flags=re.S)
    return set(re.findall(r"^SLUICE_API[^;]*?\b(sluice_\w+)\(", text, flags=re.M))


class Installed(SluiceCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.prefix = os.path.join(cls.shared, "prefix")
        for component in "library", "development":
            run("cmake", "--install", BUILD, "--prefix", cls.prefix, "--component", component)
        found = run("find", cls.prefix, "-name", "sluice.pc").split()
        cls.pkg_config_path = os.path.dirname(found[0])
        cls.libdir = os.path.dirname(cls.pkg_config_path)
        cls.library = os.path.join(cls.libdir, "libsluice.so.0")

    @classmethod
    def pkg_config(cls, *args):
        return run("pkg-config", *args, "sluice",
                   env={**os.environ, "PKG_CONFIG_PATH": cls.pkg_config_path}).split()

    @classmethod
    def compile(cls, source, program):
        """As a user would, but with the sanitizers of the build."""
        sanitize = os.environ.get("SL_SANITIZE")
        run(COMPILER, "-Wall", "-Wextra", "-Werror", source, "-o", program,
            *cls.pkg_config("--cflags", "--libs"), *([f"-fsanitize={sanitize}"] if sanitize else []))
        return program


class Symbols(Installed):
    def exported(self):
        """Name: version, of what is defined."""
        lines = run("objdump", "-T", self.library).splitlines()
        found = {}
        for line in lines:
            words = line.split()
            if len(words) >= 6 and "*UND*" not in words and words[0] != "DYNAMIC":
                found[words[-1]] = words[-2]
        return found

    def test_every_function_of_the_header_is_exported_and_nothing_else(self):
        names = declared()
        self.assertGreater(len(names), 30)
        self.assertIn("sluice_pull", names)
        exported = {n: v for n, v in self.exported().items() if not n.startswith("SLUICE_")}
        self.assertEqual(set(exported), names)
        self.assertEqual(set(exported.values()), {"SLUICE_0.1"})

    def test_only_functions_are_exported(self):
        kinds = {line.split()[-2] for line in run("nm", "-D", "--defined-only",
                                                  self.library).splitlines()}
        self.assertEqual(kinds, {"T", "A"})  # A: the version itself

    def test_name_for_the_loader_has_the_version_of_the_interface(self):
        self.assertIn("libsluice.so.0", run("objdump", "-p", self.library).split("SONAME")[1])
        self.assertTrue(os.path.islink(os.path.join(self.libdir, "libsluice.so")))

    def test_pkg_config_knows_the_version(self):
        with open(os.path.join(ROOT, "CMakeLists.txt"), encoding="utf-8") as file:
            version = re.search(r"project\(sluice VERSION (\S+)", file.read()).group(1)
        self.assertEqual(self.pkg_config("--modversion"), [version])


class Example(Installed):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.program = cls.compile(os.path.join(ROOT, "examples", "pull.c"),
                                  os.path.join(cls.shared, "pull"))
        cls.registry = registries.Registry()
        cls.registry.__enter__()
        cls.addClassCleanup(cls.registry.__exit__)
        cls.large = make_image.big_layer("large", LARGE)
        cls.small = make_image.layer({"small": "s" * 1000})
        folder = os.path.join(cls.shared, "layout")
        cls.registry.push(make_image.add_image(folder, [cls.large, cls.small], tag="one"), "app:one")
        os.makedirs("/etc/containers", exist_ok=True)

    def setUp(self):
        super().setUp()
        self.proxy = CountingProxy(self.registry.host)
        self.proxy.__enter__()
        self.addCleanup(self.proxy.__exit__)
        self.set_policy("insecureAcceptAnything")

    def set_policy(self, kind):
        with open("/etc/containers/policy.json", "w", encoding="utf-8") as file:
            json.dump({"default": [{"type": kind}]}, file)

    def start_example(self, *args):
        rules = self.write("registries.conf",
                           f'[[registry]]\nlocation = "{self.proxy.host}"\ninsecure = true\n')
        env = self.environment(LD_LIBRARY_PATH=self.libdir, CONTAINERS_REGISTRIES_CONF=rules)
        process = subprocess.Popen(  # pylint: disable=consider-using-with
            [self.program, f"docker://{self.proxy.host}/app:one", *args], env=env, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.addCleanup(self._end, process)
        return process

    def test_example_is_short(self):
        with open(os.path.join(ROOT, "examples", "pull.c"), encoding="utf-8") as file:
            self.assertLessEqual(len(file.readlines()), 60)

    def test_example_pulls_shows_progress_and_prints_the_digest(self):
        process = self.start_example(self.path("bundle"), self.root)
        out, err = process.communicate(timeout=TIMEOUT)
        self.assertEqual(process.returncode, 0, err)
        digest = run("skopeo", "inspect", "--tls-verify=false", "--format", "{{.Digest}}",
                     f"docker://{self.registry.host}/app:one").strip()
        self.assertEqual(out, digest + "\n")
        self.assertRegex(err, r"\[#{40}\] 2/2 layers, 3\.\d/3\.\d MB")
        large = self.path("bundle", "rootfs", "large")
        self.assertEqual(os.path.getsize(large), LARGE)
        self.ok("unmount", self.path("bundle"))

    def test_signal_ends_the_example_and_leaves_nothing_half_done(self):
        hold = self.proxy.hold(self.large.digest, after=LARGE // 2)
        process = self.start_example(self.path("bundle"), self.root)
        self.assertTrue(hold.reached.wait(DEADLINE), "the blob was never asked for")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=TIMEOUT)
        self.assertEqual(process.returncode, EXIT_FAILED, err)
        self.assertIn("cancelled error: ", err)
        self.assertEqual(out, "")
        self.assertEqual(os.listdir(os.path.join(self.root, "staging")), [])
        self.assertEqual(json.loads(self.ok("images", "--json"))["images"], [])
        self.assertFalse(os.path.exists(self.path("bundle", "rootfs")))

    def test_error_is_explained(self):
        self.set_policy("reject")
        process = self.start_example(self.path("bundle"), self.root)
        _, err = process.communicate(timeout=TIMEOUT)
        self.assertEqual(process.returncode, EXIT_FAILED, err)
        self.assertIn("policy error: ", err)


if __name__ == "__main__":
    del sys.argv[1:]
    sluice_case.main("docker-registry", "skopeo", "cmake", "pkg-config", "objdump", "nm")
