# SPDX-License-Identifier: Apache-2.0
"""Every verb and every option, as people and scripts meet them."""

import fcntl
import json
import os
import pty
import re
import subprocess
import termios
import unittest

import sluice_case
from sluice_case import EXIT_FAILED, EXIT_INTEGRITY, EXIT_NETWORK, EXIT_USAGE, SLUICE, SluiceCase

import make_image
import registry as registries
from counting_proxy import CountingProxy, DEADLINE

VERBS = ("pull", "inspect", "encrypt", "decrypt", "keys", "keyprovider", "images", "mount", "unmount", "rm", "gc",
         "sign", "verify", "config", "status", "ctl", "version")
SCREEN_LINES, SCREEN_COLUMNS = 40, 100
BUILD_CLI = os.path.join(os.path.dirname(os.path.dirname(SLUICE)), "cli")
LAYER_BUFFERS = (8 + 6) * 256 * 1024  # before and after decompression


class Help(SluiceCase):
    def assert_fits(self, text):
        lines = text.splitlines()
        self.assertLessEqual(len(lines), SCREEN_LINES)
        for line in lines:
            self.assertLessEqual(len(line), SCREEN_COLUMNS, line)

    def test_help_fits_a_screen_and_goes_to_stdout(self):
        for args in (["--help"], ["-h"], ["help"], *(["help", v] for v in VERBS),
                     *([v, "--help"] for v in VERBS), *([v, "-h"] for v in VERBS)):
            with self.subTest(args=args):
                run = self.sluice(*args)
                self.assertEqual((run.returncode, run.stderr), (0, ""))
                self.assertIn("usage: sluice ", run.stdout)
                self.assert_fits(run.stdout)

    def test_help_names_every_verb(self):
        text = self.ok("--help")
        for verb in VERBS:
            self.assertRegex(text, rf"(?m)^  {verb} ")

    def test_no_verb_prints_help_and_ends_with_2(self):
        run = subprocess.run([SLUICE], capture_output=True, text=True, check=False, timeout=60)
        self.assertEqual(run.returncode, EXIT_USAGE)
        self.assertIn("usage: sluice VERB", run.stdout + run.stderr)

    def test_mistakes_go_to_stderr_with_2(self):
        for args, words in (
                (["plul"], "unknown verb 'plul'"),
                (["pull"], "usage: sluice pull"),
                (["pull", "a", "b", "c"], "usage: sluice pull"),
                (["pull", "--frobnicate", "a"], "unknown option --frobnicate"),
                (["images", "--creds", "a:b"], "unknown option"),
                (["images", "extra"], "usage: sluice images"),
                (["pull", "--jobs"], "--jobs needs an argument"),
                (["pull", "--jobs", "0", "a"], "--jobs: '0'"),
                (["pull", "--jobs", "65", "a"], "--jobs: '65'"),
                (["pull", "--jobs", "-1", "a"], "--jobs: '-1'"),
                (["pull", "--jobs", "4x", "a"], "--jobs: '4x'"),
                (["inspect", "--retry", "0", "a"], "--retry: '0'"),
                (["keys", "--retry", "101", "show", "a"], "--retry: '101'"),
                (["images", "--retry", "1"], "unknown option --retry"),
                (["pull", "--memory", "0", "a"], "--memory: '0'"),
                (["pull", "--memory", "64Q", "a"], "--memory: '64Q'"),
                (["pull", "--memory", "-1", "a"], "--memory: '-1'"),
                (["pull", "--memory", "99999999999G", "a"], "--memory"),
                (["inspect", "--tls-verify=maybe", "a"], "--tls-verify: 'maybe'"),
                (["version", "--root", "x"], "unknown option"),
        ):
            with self.subTest(args=args):
                run = subprocess.run([SLUICE, *args], capture_output=True, text=True, check=False,
                                     timeout=60)
                self.assertEqual(run.stdout, "")
                self.refused(EXIT_USAGE, words, run=run)

    def test_version(self):
        text = self.ok("version")
        self.assertRegex(text, r"^sluice \d+\.\d+\.\d+\n$")
        self.assertEqual(self.ok("--version"), text)
        self.assertEqual(json.loads(self.ok("version", "--json")), {"version": text.split()[1]})


class Completion(SluiceCase):
    def complete(self, *words):
        """What bash offers for the last word."""
        script = ('source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _sluice; '
                  'printf "%s\\n" "${COMPREPLY[@]}"')
        run = subprocess.run(
            ["bash", "--norc", "-c", script, "bash", os.path.join(BUILD_CLI, "sluice.bash"),
             "sluice", *words], capture_output=True, text=True, check=True, timeout=60,
            cwd=self.folder)
        self.assertEqual(run.stderr, "")
        return run.stdout.split()

    def test_completion_knows_the_verbs(self):
        self.assertEqual(set(self.complete("")), {*VERBS, "--help"})
        self.assertEqual(self.complete("un"), ["unmount"])
        self.assertEqual(self.complete("config", ""), ["check"])
        self.assertEqual(self.complete("ctl", "can"), ["cancel"])

    def test_completion_knows_the_options_of_each_verb(self):
        for verb in VERBS:
            with self.subTest(verb=verb):
                text = self.ok(verb, "--help")
                options = re.findall(r"(?m)^  (--[a-z0-9.-]+)", text)
                self.assertIn("--json", options)
                self.assertEqual(self.complete(verb, "--"), options)

    def test_completion_offers_files_and_folders(self):
        self.write("key.pem", "")
        self.assertEqual(self.complete("pull", "--decryption-key", "k"), ["key.pem"])
        self.assertEqual(self.complete("pull", "--root", "h"), ["home"])

    @unittest.skipUnless(os.path.exists(os.path.join(BUILD_CLI, "sluice.1")), "no go-md2man")
    def test_man_page_is_made_and_names_every_verb(self):
        with open(os.path.join(BUILD_CLI, "sluice.1"), encoding="utf-8") as file:
            text = file.read()
        self.assertIn('.TH "sluice" "1"', re.sub(r"\.TH +(\w+) +(\w+)", r'.TH "\1" "\2"', text))
        for verb in VERBS:
            self.assertIn(f"\\fB{verb}\\fP", text.replace("\\fR", "\\fP"))


class Inspect(SluiceCase):
    """sluice inspect beside skopeo inspect, over a layout and a real registry."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.registry = registries.Registry()
        cls.registry.__enter__()
        cls.addClassCleanup(cls.registry.__exit__)
        cls.layout = os.path.join(cls.shared, "layout")
        registries.make_layout(cls.layout, {"a": b"1", "d/b": b"2"}, "app")
        registries.run("umoci", "config", "--image", cls.layout + ":app", "--config.user", "1:2",
                       "--config.env", "A=B=C", "--config.env", "PATH=/bin",
                       "--config.label", "org.example=x y", "--config.cmd", "/bin/sh",
                       "--config.entrypoint", "/init", "--config.workingdir", "/srv")
        cls.registry.push(f"oci:{cls.layout}:app", "team/app:1")
        cls.images = (f"oci:{cls.layout}:app", cls.registry.ref("team/app:1"))

    def skopeo(self, image, *args):
        tls = ["--tls-verify=false"] if image.startswith("docker:") else []
        return subprocess.run(["skopeo", "inspect", *tls, *args, image], check=True, timeout=60,
                              capture_output=True).stdout

    def inspect(self, *args):
        return self.ok("inspect", "--tls-verify=false", *args)

    def test_inspect_agrees_with_skopeo(self):
        for image in self.images:
            with self.subTest(image=image):
                theirs = json.loads(self.skopeo(image))
                ours = json.loads(self.inspect(image))
                for name in ("Digest", "Created", "Architecture", "Os", "Labels", "Env"):
                    self.assertEqual(ours[name], theirs[name], name)
                layers = [x["Digest"] for x in ours["LayersData"]]
                self.assertEqual(layers, theirs["Layers"])
        config = json.loads(self.skopeo(self.images[0], "--config"))
        self.assertEqual(ours["DiffIDs"], config["rootfs"]["diff_ids"])
        for theirs, name in (("User", "User"), ("WorkingDir", "WorkingDir"), ("Cmd", "Cmd"),
                             ("Entrypoint", "Entrypoint")):
            self.assertEqual(ours[name], config["config"][theirs])

    def test_inspect_raw_and_config_are_the_very_bytes(self):
        for image in self.images:
            with self.subTest(image=image):
                summary = json.loads(self.inspect("--json", image))
                raw = self.inspect("--raw", image).encode()
                config = self.inspect("--config", image).encode()
                self.assertEqual(make_image.digest_of(raw), summary["Digest"])
                self.assertEqual(make_image.digest_of(config), summary["ConfigDigest"])
                self.assertEqual(raw, self.skopeo(image, "--raw"))

    def test_inspect_stores_nothing(self):
        self.inspect(self.images[1])
        self.assertFalse(os.path.exists(self.root))

    def test_inspect_of_what_is_not_there_says_so(self):
        missing = self.registry.ref("team/app:none")
        self.refused(EXIT_NETWORK, "team/app", run=self.sluice(
            "inspect", "--tls-verify=false", missing))
        run = self.sluice("inspect", f"oci:{self.layout}:none")
        self.assertNotEqual(run.returncode, 0)
        self.assertEqual(run.stderr.count("\n"), 1, run.stderr)

    def test_inspect_by_digest(self):
        digest = json.loads(self.inspect(self.images[1]))["Digest"]
        image = self.registry.ref("team/app@" + digest)
        self.assertEqual(json.loads(self.inspect(image))["Digest"], digest)


class Platforms(SluiceCase):
    """Indexes three deep."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        folder = os.path.join(cls.shared, "layout")
        cls.digests = {}

        def entry(arch, variant=None, system="linux"):
            platform = {"os": system, "architecture": arch}
            if variant:
                platform["variant"] = variant
            layer = make_image.layer({"arch": f"{system}/{arch}/{variant}"})
            manifest = make_image.add_manifest(folder, [layer], platform=platform)
            cls.digests[system, arch, variant] = manifest["digest"]
            return manifest, platform

        mainframe = make_image.add_index(folder, [entry("s390x")])
        inner = make_image.add_index(folder, [
            entry("amd64"), entry("amd64", system="windows"), entry("arm", "v6"),
            entry("arm", "v7"), (mainframe, {"os": "linux", "architecture": "s390x"})])
        outer = make_image.add_index(folder, [(inner, None)])
        cls.index_digest = outer["digest"]
        cls.image = make_image.add_tag(folder, outer, "multi")

    def digest(self, *options):
        return json.loads(self.ok("inspect", *options, self.image))["Digest"]

    def test_override_arch_os_and_variant_choose_from_an_index(self):
        for key, options in (
                (("linux", "amd64", None), ("--override-arch", "amd64")),
                (("linux", "s390x", None), ("--override-arch", "s390x")),
                (("linux", "arm", "v6"), ("--override-arch", "arm", "--override-variant", "v6")),
                (("linux", "arm", "v7"), ("--override-arch", "arm", "--override-variant", "v7")),
        ):
            with self.subTest(options=options):
                self.assertEqual(self.digest(*options), self.digests[key])

    def test_summary_names_the_index(self):
        summary = json.loads(self.ok("inspect", "--override-arch", "amd64", self.image))
        self.assertEqual(summary["IndexDigest"], self.index_digest)

    def test_pull_unpacks_the_chosen_platform(self):
        for arch, variant in (("arm", "v7"), ("s390x", None)):
            options = ["--override-arch", arch]
            options += ["--override-variant", variant] if variant else []
            bundle = self.path(arch)
            printed = self.pull("--quiet", *options, self.image, bundle)
            self.assertEqual(printed.strip(), self.digests["linux", arch, variant])
            self.assertEqual(self.read(arch, "rootfs", "arch"), f"linux/{arch}/{variant}")

    def test_other_systems_are_found_and_refused(self):
        for verb in (("inspect",), ("pull", "--insecure-policy")):
            run = self.sluice(*verb, "--override-os", "windows", "--override-arch", "amd64",
                              self.image)
            self.refused(EXIT_FAILED, "the image is for 'windows'", run=run)

    def test_platform_that_is_not_there_is_told(self):
        run = self.sluice("inspect", "--override-arch", "riscv64", self.image)
        self.assertEqual(run.returncode, EXIT_FAILED, run.stderr)
        self.assertIn("riscv64", run.stderr)


class Store(SluiceCase):
    """images, mount, unmount, rm, gc; a registry is not needed."""

    def setUp(self):
        super().setUp()
        self.layers = [make_image.layer({"a": "1"}), make_image.layer({"b": "2"})]
        self.image = make_image.add_image(self.path("layout"), self.layers)
        self.other = make_image.add_image(self.path("other"), self.layers[:1])

    def images(self):
        return json.loads(self.ok("images", "--json"))["images"]

    def mounted(self, place):
        with open("/proc/self/mounts", encoding="utf-8") as file:
            return f" {place} " in file.read()

    def test_pull_prints_the_manifest_digest(self):
        digest = make_image.tagged(self.path("layout"))[0]["digest"]
        self.assertEqual(self.pull("--quiet", self.image), digest + "\n")

    def test_pull_json_reports_every_layer(self):
        run = self.sluice("pull", "--insecure-policy", "--json", self.image)
        self.assertEqual((run.returncode, run.stderr), (0, ""))
        report = json.loads(run.stdout)
        entry, manifest = make_image.tagged(self.path("layout"))
        self.assertEqual(report["manifest"], entry["digest"])
        self.assertEqual(report["config"], manifest["config"]["digest"])
        self.assertEqual([x["digest"] for x in report["layers"]], [x.digest for x in self.layers])
        self.assertEqual([x["diffId"] for x in report["layers"]], [x.diff_id for x in self.layers])
        for ours, layer in zip(report["layers"], self.layers):
            self.assertEqual((ours["size"], ours["received"]), (len(layer.blob),) * 2)
            self.assertEqual((ours["state"], ours["encrypted"]), ("done", False))
            self.assertEqual(ours["stages"][0]["bytes"], len(layer.blob))
            self.assertGreater(ours["commitSeconds"], 0)
            self.assertLessEqual(ours["syncSeconds"], ours["commitSeconds"])
        self.assertGreater(report["peakBufferBytes"], 0)

    def test_images_lists_names_digests_and_sizes(self):
        self.pull(self.image)
        (image,) = self.images()
        entry, manifest = make_image.tagged(self.path("layout"))
        self.assertEqual(image["manifest"], entry["digest"])
        self.assertEqual(image["config"], manifest["config"]["digest"])
        self.assertEqual(image["size"], sum(x["size"] for x in manifest["layers"]))
        self.assertEqual(image["diffIds"], [x.diff_id for x in self.layers])
        self.assertFalse(image["encrypted"])
        head, row = self.ok("images").splitlines()
        self.assertIn("NAME", head)
        self.assertIn(entry["digest"][7:19], row)
        self.assertIn(self.image[:-len(":latest")], row)

    def test_errors_are_json_on_stderr(self):
        run = self.sluice("pull", "--json", self.image)
        self.assertEqual((run.returncode, run.stdout), (sluice_case.EXIT_POLICY, ""))
        error = json.loads(run.stderr)
        self.assertEqual((error["level"], error["code"]), ("error", "policy"))
        self.assertIn("--insecure-policy", error["message"])
        lie = make_image.add_image(self.path("lie"), self.layers[:1],
                                   diff_ids=[self.layers[1].diff_id])
        run = self.sluice("pull", "--json", "--insecure-policy", lie)
        self.assertEqual(run.returncode, EXIT_INTEGRITY)
        error = json.loads(run.stderr)
        self.assertEqual((error["code"], error["stage"]), ("integrity", "diff_id"))

    def test_mount_by_name_and_by_digest(self):
        self.pull(self.image)
        digest = self.images()[0]["manifest"]
        for i, name in enumerate((self.images()[0]["name"], digest, digest[7:19])):
            with self.subTest(name=name):
                place = self.path(f"m{i}")
                self.ok("mount", name, place)
                self.assertEqual(self.read(f"m{i}", "a"), "1")
                self.ok("unmount", place)
                self.assertFalse(self.mounted(place))
        self.assertEqual(self.in_store("mounts"), [])

    def test_mount_is_writable_and_read_only_is_not(self):
        self.pull(self.image)
        name = self.images()[0]["name"]
        self.ok("mount", name, self.path("rw"))
        self.ok("mount", "--read-only", name, self.path("ro"))
        self.write("rw/a", "changed")
        with self.assertRaises(OSError):
            self.write("ro/a", "changed")
        self.assertEqual(self.read("ro", "a"), "1")
        self.assertEqual(sorted(os.listdir(self.path("ro"))), ["a", "b"])

    def test_mount_at_a_place_in_use_is_refused(self):
        self.pull(self.image)
        name = self.images()[0]["name"]
        self.ok("mount", name, self.path("m"))
        self.refused(EXIT_FAILED, self.path("m"), run=self.sluice("mount", name, self.path("m")))
        self.write("home/file", "")
        self.refused(EXIT_FAILED, "not empty",
                     run=self.sluice("mount", name, self.path("home")))

    def test_mount_of_an_unknown_image_is_refused(self):
        for name in ("nothing/here:1", "sha256:" + "0" * 64):
            run = self.sluice("mount", name, self.path("m"))
            self.refused(EXIT_FAILED, name[:12], run=run)
        self.assertFalse(os.path.exists(self.path("m")))

    def test_unmount_takes_a_bundle_or_its_rootfs(self):
        for target in ("bundle", "bundle/rootfs"):
            self.pull(self.image, self.path("bundle"))
            self.assertTrue(self.mounted(self.path("bundle", "rootfs")))
            self.ok("unmount", self.path(target))
            self.assertFalse(self.mounted(self.path("bundle", "rootfs")))
        self.assertEqual(self.in_store("mounts"), [])

    def test_unmount_of_what_is_not_mounted_is_refused(self):
        run = self.sluice("unmount", self.path("home"))
        self.refused(EXIT_FAILED, self.path("home"), run=run)

    def test_rm_of_a_mounted_image_needs_force(self):
        self.pull(self.image, self.path("bundle"))
        name = self.images()[0]["name"]
        self.refused(EXIT_FAILED, "mounted", run=self.sluice("rm", name))
        self.assertEqual(len(self.images()), 1)
        self.ok("rm", "--force", name)
        self.ok("gc")
        self.assertEqual(self.read("bundle", "rootfs", "a"), "1")
        self.assertEqual(len(self.in_store("layers/sha256")), 2)
        self.ok("unmount", self.path("bundle"))
        self.ok("gc")
        self.assertEqual(self.in_store("layers/sha256"), [])

    def test_rm_and_gc_free_what_nothing_refers_to(self):
        self.pull(self.image)
        self.pull(self.other)
        self.ok("rm", self.image)
        before = self.in_store("layers/sha256")
        plan = json.loads(self.ok("gc", "--dry-run", "--json"))
        self.assertEqual(plan["dryRun"], True)
        self.assertEqual(self.in_store("layers/sha256"), before)
        self.assertIn("would remove 1 layers", self.ok("gc", "--dry-run"))
        done = json.loads(self.ok("gc", "--json"))
        self.assertEqual((done["layers"], done["images"], done["dryRun"]), (1, 1, False))
        self.assertEqual(plan["bytes"], done["bytes"])
        self.assertEqual(self.in_store("layers/sha256"), [self.layers[0].diff_id[7:]])
        self.assertIn("removed 0 layers", self.ok("gc"))

    def test_rm_takes_several_names_and_tells_an_unknown_one(self):
        self.pull(self.image)
        self.pull(self.other)
        names = [x["name"] for x in self.images()]
        self.ok("rm", *names)
        self.assertEqual([x for x in self.images() if "name" in x], [])
        self.refused(EXIT_FAILED, names[0], run=self.sluice("rm", names[0]))

    def test_rm_by_digest_removes_every_name(self):
        self.pull(self.image)
        digest = self.images()[0]["manifest"]
        self.ok("rm", digest)
        self.assertEqual(self.images(), [])

    def test_bundle_config_is_what_a_runtime_wants(self):
        self.pull(self.image, self.path("bundle"))
        config = json.loads(self.read("bundle", "config.json"))
        self.assertEqual(config["root"]["path"], "rootfs")
        self.assertIn("ociVersion", config)

    def test_quiet_and_pipes_print_nothing_for_a_short_pull(self):
        for options in ((), ("--quiet",), ("-q",)):
            run = self.sluice("pull", "--insecure-policy", *options, self.image)
            self.assertEqual((run.returncode, run.stderr), (0, ""))

    def test_stats_name_every_stage(self):
        run = self.sluice("pull", "--insecure-policy", "--quiet", "--stats", self.image)
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertEqual(len(re.findall(r"(?m)^layer \d/2 [0-9a-f]{12} ", run.stderr)), 2)
        self.assertEqual(len(re.findall(r"(?m)^    commit .* s, of which .* for the disk$", run.stderr)), 2)
        self.assertRegex(run.stderr, r"(?m)^image: .* buffers at most ")

    def test_debug_logs_to_stderr(self):
        run = self.sluice("inspect", "--debug", self.image)
        self.assertEqual(run.returncode, 0, run.stderr)
        json.loads(run.stdout)

    def test_verify_first_gives_the_same_tree(self):
        self.pull("--verify-first", self.image, self.path("bundle"))
        self.assertEqual(self.read("bundle", "rootfs", "b"), "2")


class Limits(SluiceCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.layers = [make_image.big_layer(f"f{i}", 1536 * 1024, i) for i in range(3)]
        cls.image = make_image.add_image(os.path.join(cls.shared, "layout"), cls.layers)

    def assert_whole(self, bundle):
        for i in range(len(self.layers)):
            size = os.path.getsize(os.path.join(bundle, "rootfs", f"f{i}"))
            self.assertEqual(size, 1536 * 1024)

    def test_memory_below_one_layer_is_a_clear_error(self):
        for memory in (LAYER_BUFFERS - 1, 300 * 1024):
            with self.subTest(memory=memory):
                self.pull_fails(EXIT_FAILED, "--memory", memory, self.image, says="memory")
        self.pull_fails(EXIT_FAILED, "--memory", 1000, self.image, says="1000 bytes")
        self.assertEqual(self.in_store("layers/sha256"), [])

    def test_memory_for_one_layer_is_enough(self):
        report = self.pull_json("--memory", LAYER_BUFFERS, self.image, self.path("bundle"))
        self.assertEqual(report["peakBufferBytes"], LAYER_BUFFERS)
        self.assert_whole(self.path("bundle"))

    def test_memory_takes_units(self):
        report = self.pull_json("--memory", "5M", self.image)
        self.assertLessEqual(report["peakBufferBytes"], 5 * 1024 * 1024)

    def test_jobs_bound_the_layers_at_once(self):
        for jobs in (1, 2, 64):
            with self.subTest(jobs=jobs):
                self.root = self.path(f"store{jobs}")
                report = self.pull_json("--jobs", jobs, self.image)
                at_most = min(jobs, len(self.layers)) * LAYER_BUFFERS
                self.assertLessEqual(report["peakBufferBytes"], at_most)


class Progress(SluiceCase):
    """A proxy holds a layer in the middle, so that there is progress to look at."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.registry = registries.Registry()
        cls.registry.__enter__()
        cls.addClassCleanup(cls.registry.__exit__)
        cls.layer = make_image.big_layer("large", 2 * 1024 * 1024)
        cls.registry.push(make_image.add_image(os.path.join(cls.shared, "layout"), [cls.layer]),
                          "app:1")

    def setUp(self):
        super().setUp()
        self.proxy = CountingProxy(self.registry.host)
        self.proxy.__enter__()
        self.addCleanup(self.proxy.__exit__)
        self.hold = self.proxy.hold(self.layer.digest, after=len(self.layer.blob) // 2)

    def start_pull(self, *args, **kwargs):
        return self.start("pull", "--insecure-policy", "--tls-verify=false", *args,
                          f"docker://{self.proxy.host}/app:1", **kwargs)

    def test_terminal_gets_bars(self):
        ours, theirs = pty.openpty()
        self.addCleanup(os.close, ours)
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, b"\x18\0\x50\0\0\0\0\0")
        process = self.start_pull(stderr=theirs)
        os.close(theirs)
        self.assertTrue(self.hold.reached.wait(DEADLINE))
        seen = self.read_until(ours, "#####")
        self.hold.release()
        seen += self.read_until(ours, None)
        self.assertEqual(process.wait(DEADLINE), 0)
        self.assertIn(self.layer.digest[7:19], seen)
        self.assertIn("\033[", seen)
        self.assertRegex(seen, r"\[#+\.+\]")
        self.assertRegex(seen, r"\[#{30}\].* done")
        plain = re.sub(r"\033\[[0-9]*[A-Za-z]", "", seen)
        for line in re.split(r"[\r\n]+", plain):
            self.assertLessEqual(len(line), 80, line)

    @staticmethod
    def read_until(fd, text):
        """What the terminal shows until the text, or until the program has ended."""
        seen = ""
        while text is None or text not in seen:
            try:
                data = os.read(fd, 4096)
            except OSError:  # nobody has the other end any more
                break
            if not data:
                break
            seen += data.decode()
        return seen

    def test_pipe_gets_lines_without_escapes(self):
        process = self.start_pull()
        line = process.stderr.readline()
        self.hold.release()
        status, rest = self.finish(process)
        self.assertEqual(status, 0, rest)
        self.assertRegex(line, r"/app:1: 0 of 1 layers, [0-9.]+ MB of [0-9.]+ MB\n$")
        self.assertNotIn("\033", line + rest)

    def test_quiet_is_silent_on_a_terminal(self):
        ours, theirs = pty.openpty()
        self.addCleanup(os.close, ours)
        process = self.start_pull("--quiet", stderr=theirs)
        os.close(theirs)
        self.assertTrue(self.hold.reached.wait(DEADLINE))
        self.hold.release()
        self.assertEqual(self.read_until(ours, None), "")
        self.assertEqual(process.wait(DEADLINE), 0)


if __name__ == "__main__":
    sluice_case.main("docker-registry", "skopeo", "umoci", "bash")
