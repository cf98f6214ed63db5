# SPDX-License-Identifier: Apache-2.0
"""Pushes to real registries and into layouts; skopeo and umoci say what has arrived."""
import filecmp
import json
import os
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support"))
import oci_layout  # noqa: E402
from registry import Registry, missing_programs, run  # noqa: E402

DRIVER = os.environ.get("SL_PUSH_DRIVER")
BIG = 64 * 1024 * 1024
MEDIUM = 3 * 1024 * 1024 + 17


class PushCase(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temp = tempfile.TemporaryDirectory()
        cls.layout = os.path.join(cls.temp.name, "source")
        layers = [oci_layout.pattern(MEDIUM), b"", oci_layout.pattern(1000, 1)]
        cls.manifest, cls.config, cls.layers = oci_layout.write_layout(cls.layout, layers, "a")
        cls.source = "oci:%s:a" % cls.layout

    @classmethod
    def tearDownClass(cls):
        cls.temp.cleanup()

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def path(self, name):
        return os.path.join(self.folder, name)

    def push(self, target, *options, source=None, conf=""):
        with open(self.path("registries.conf"), "w", encoding="utf-8") as f:
            f.write(conf)
        env = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
        return subprocess.run(
            [DRIVER, *options, "--registries-conf", self.path("registries.conf"),
             source or self.source, target], capture_output=True, text=True, timeout=60,
            env={**env, "HOME": self.folder, "XDG_RUNTIME_DIR": self.folder}, check=False)

    def expect_pushed(self, done, lines=None):
        self.assertEqual(done.returncode, 0, done.stderr)
        if lines is not None:
            self.assertEqual([x.split(" ")[0] for x in done.stdout.splitlines()[:-1]], lines)

    def expect_failure(self, done, code, *texts):
        self.assertEqual((done.returncode, done.stderr.split(" ")[0]), (1, code), done.stderr)
        for text in texts:
            self.assertIn(text, done.stderr)

    def expect_same_image(self, layout, tag):
        """The manifest bit for bit, and all that it names."""
        raw = run("skopeo", "inspect", "--raw", "oci:%s:%s" % (layout, tag))
        blob = os.path.join("blobs", "sha256", self.manifest["digest"][7:])
        with open(os.path.join(self.layout, blob), encoding="utf-8") as f:
            self.assertEqual(raw, f.read())
        for descriptor in (self.manifest, self.config, *self.layers):
            blob = os.path.join("blobs", "sha256", descriptor["digest"][7:])
            self.assertTrue(filecmp.cmp(os.path.join(self.layout, blob),
                                        os.path.join(layout, blob), shallow=False))


def uploads_of(registry, name):
    """docker-registry itself leaves an empty hash state behind when it deletes an upload."""
    folder = registry.path("storage/docker/registry/v2/repositories/%s/_uploads" % name)
    return [path for path, _, files in os.walk(folder) if {"data", "startedat"} & set(files)]


def requests_of(registry, method):
    return [line for line in registry.log().splitlines() if '"%s /v2/' % method in line
            and 'HTTP/1.1" ' in line]


@unittest.skipIf(missing_programs("docker-registry", "skopeo"), "no docker-registry or skopeo")
class PushToRegistry(PushCase):
    def expect_arrived(self, registry, name):
        back = self.path("back")
        run("skopeo", "--insecure-policy", "copy", "--quiet", "--preserve-digests",
            *registry.skopeo_options("src"), registry.ref(name), "oci:%s:b" % back)
        self.expect_same_image(back, "b")
        self.assertEqual(uploads_of(registry, name.split(":")[0]), [])

    def test_plain(self):
        with Registry() as registry:
            target = registry.host + "/team/image:1"
            self.expect_pushed(self.push(target, "--insecure"), ["sent"] * 3)
            self.expect_arrived(registry, "team/image:1")
            patches = len(requests_of(registry, "PATCH"))
            self.assertEqual(patches, 2)  # an empty blob needs none
            self.expect_pushed(self.push(target, "--insecure"), ["skipped"] * 3)
            self.assertEqual(len(requests_of(registry, "PATCH")), patches)

    def test_password(self):
        with Registry(htpasswd=("user", "secret")) as registry:
            target = "docker://" + registry.host + "/team/image:1"
            self.expect_failure(self.push(target, "--insecure"), "auth", "Not authorized")
            self.expect_failure(self.push(target, "--insecure", "--creds", "user:wrong"), "auth")
            self.expect_pushed(self.push(target, "--insecure", "--creds", "user:secret"))
            self.expect_arrived(registry, "team/image:1")

    def test_token_and_mount(self):
        with Registry(token=("user", "secret")) as registry:
            options = ("--insecure", "--authfile", registry.write_authfile())
            self.expect_pushed(self.push(registry.host + "/team/image:1", *options))
            self.expect_arrived(registry, "team/image:1")
            patches = len(requests_of(registry, "PATCH"))
            self.expect_pushed(self.push(registry.host + "/other/image:2", *options,
                                         source=registry.ref("team/image:1")), ["skipped"] * 3)
            self.assertEqual(len(requests_of(registry, "PATCH")), patches)
            asked = [{scope.rsplit(":", 1)[0]: set(scope.rsplit(":", 1)[1].split(","))
                      for scope in query.get("scope", [])} for _, query in registry.tokens.requests]
            self.assertIn({"repository:other/image": {"pull", "push"},
                           "repository:team/image": {"pull"}}, asked)

    def test_failed_push_with_token_leaves_no_upload(self):
        with Registry(token=("user", "secret")) as registry:
            options = ("--insecure", "--authfile", registry.write_authfile())
            self.expect_failure(self.push(registry.host + "/team/image:1", *options,
                                          "--lie-about-digest"), "network")
            self.assertEqual(uploads_of(registry, "team/image"), [])

    def test_tls(self):
        with Registry(tls=True) as registry:
            target = registry.host + "/team/image:1"
            self.expect_failure(self.push(target), "network", "--cert-dir")
            self.expect_pushed(self.push(target, "--cert-dir", registry.cert_dir()))
            self.expect_arrived(registry, "team/image:1")

    def test_mount_moves_no_bytes(self):
        with Registry() as registry:
            self.expect_pushed(self.push(registry.host + "/team/image:1", "--insecure"))
            patches = len(requests_of(registry, "PATCH"))
            self.expect_pushed(self.push(registry.host + "/other/image:1", "--insecure",
                                         source=registry.ref("team/image:1")), ["skipped"] * 3)
            self.assertEqual(len(requests_of(registry, "PATCH")), patches)
            self.assertEqual(uploads_of(registry, "other/image"), [])
            self.expect_arrived(registry, "other/image:1")

    def test_copy_between_registries(self):
        with Registry() as one, Registry() as other:
            self.expect_pushed(self.push(one.host + "/team/image:1", "--insecure"))
            self.expect_pushed(self.push(other.host + "/team/image:1", "--insecure",
                                         source=one.ref("team/image:1")), ["sent"] * 3)
            self.expect_arrived(other, "team/image:1")

    def test_wrong_digest_leaves_nothing(self):
        with Registry() as registry:
            done = self.push(registry.host + "/team/image:1", "--insecure", "--lie-about-digest")
            self.expect_failure(done, "network", "DIGEST_INVALID")
            self.assertEqual(requests_of(registry, "PUT")[-1].count("/manifests/"), 0)
            self.assertEqual(uploads_of(registry, "team/image"), [])

    def test_uncommitted_uploads_are_taken_back(self):
        with Registry() as registry:
            done = self.push(registry.host + "/team/image:1", "--insecure", "--no-check",
                             "--no-commit")
            self.expect_failure(done, "network", "manifest")  # whose blobs are not there
            self.assertEqual(uploads_of(registry, "team/image"), [])
            self.assertEqual(len(requests_of(registry, "DELETE")), 3)

    def test_failed_flow_names_nothing(self):
        """docker-registry refuses to delete an upload whose PATCH was cut, and does it later."""
        with Registry() as registry:
            done = self.push(registry.host + "/team/image:1", "--insecure", "--fail-at", "2000000")
            self.expect_failure(done, "integrity", "the mark is reached")
            self.assertEqual(len(requests_of(registry, "DELETE")), 1)
            self.assertEqual([x for x in requests_of(registry, "PUT") if "/manifests/" in x], [])

    def test_large_blob_through_a_tiny_lane(self):
        layout = self.path("large")
        oci_layout.write_layout(layout, [os.urandom(1024 * 1024) * (BIG // 1024 // 1024)], "a")
        with Registry() as registry:
            done = self.push(registry.host + "/team/large:1", "--insecure", "--lane", "1",
                             source="oci:%s:a" % layout)
            self.expect_pushed(done, ["sent"])
            self.assertEqual(done.stdout.split()[2], str(BIG))
            self.assertEqual(uploads_of(registry, "team/large"), [])

    def test_rules_rewrite_and_mirrors_are_left_alone(self):
        with Registry() as registry:
            conf = ('[[registry]]\nprefix = "pull.example/a"\nlocation = "%s/b"\ninsecure = true\n'
                    '[[registry.mirror]]\nlocation = "127.0.0.1:1/never"\n' % registry.host)
            self.expect_pushed(self.push("pull.example/a/image:1", conf=conf))
            self.expect_arrived(registry, "b/image:1")

    def test_blocked_is_policy(self):
        done = self.push("blocked.example/image:1",
                         conf='[[registry]]\nprefix = "blocked.example"\nblocked = true\n')
        self.expect_failure(done, "policy", "blocked by registry rule")

    def test_index_with_members(self):
        with Registry() as registry:
            layout = self.path("indexed")
            run("cp", "-r", self.layout, layout)
            index = oci_layout.add_blob(layout, json.dumps({
                "schemaVersion": 2, "mediaType": oci_layout.INDEX,
                "manifests": [dict(self.manifest,
                                   platform={"os": "linux", "architecture": "amd64"})],
            }).encode(), oci_layout.INDEX)
            source = "oci:%s@%s" % (layout, index["digest"])
            self.expect_pushed(self.push(registry.host + "/team/index:1", "--insecure",
                                         source=source))
            raw = run("skopeo", "inspect", "--raw", "--tls-verify=false",
                      registry.ref("team/index:1"))
            self.assertEqual(json.loads(raw)["manifests"][0]["digest"], self.manifest["digest"])
            self.expect_arrived(registry, "team/index:1")


@unittest.skipIf(missing_programs("umoci", "skopeo"), "no umoci or skopeo")
class PushToLayout(PushCase):
    def index(self, layout):
        with open(os.path.join(layout, "index.json"), encoding="utf-8") as f:
            return json.load(f)["manifests"]

    def test_new_layout(self):
        target = self.path("deep/new")
        self.expect_pushed(self.push("oci:%s:t" % target), ["sent"] * 3)
        self.expect_same_image(target, "t")
        self.assertEqual(run("umoci", "ls", "--layout", target).split(), ["t"])
        self.assertEqual(sorted(os.listdir(target)), ["blobs", "index.json", "oci-layout"])
        self.expect_pushed(self.push("oci:%s:t" % target), ["skipped"] * 3)
        self.assertEqual(len(self.index(target)), 1)

    def test_without_a_tag_it_is_what_skopeo_makes(self):
        ours, theirs = self.path("ours"), self.path("theirs")
        for _ in range(2):
            self.expect_pushed(self.push("oci:" + ours))
            run("skopeo", "--insecure-policy", "copy", "-q", "--preserve-digests", self.source,
                "oci:" + theirs)
        self.assertEqual(self.index(ours), self.index(theirs))

    def test_layouts_of_others_keep_their_entries(self):
        target = self.path("shared")
        run("umoci", "init", "--layout", target)
        run("umoci", "new", "--image", target + ":theirs")
        before = self.index(target)
        self.expect_pushed(self.push("oci:%s:ours" % target))
        self.assertEqual(self.index(target)[:-1], before)
        self.assertEqual(sorted(run("umoci", "ls", "--layout", target).split()),
                         ["ours", "theirs"])

    def test_two_writers_lose_nothing(self):
        target = self.path("both")
        command = [DRIVER, self.source]
        writers = [subprocess.Popen([*command, "oci:%s:t%d" % (target, i)],
                                    stdout=subprocess.DEVNULL) for i in range(6)]
        self.assertEqual([w.wait(60) for w in writers], [0] * 6)
        self.assertEqual(sorted(run("umoci", "ls", "--layout", target).split()),
                         ["t%d" % i for i in range(6)])

    def test_failed_push_leaves_nothing(self):
        for option in (("--fail-at", "2000000"), ("--lie-about-size", "1")):
            self.expect_failure(self.push("oci:%s:t" % self.path("a/b"), *option), "integrity")
            self.assertFalse(os.path.exists(self.path("a")), option)

    def test_failed_push_leaves_what_was_there(self):
        target = self.path("there")
        self.expect_pushed(self.push("oci:%s:t" % target))
        before = sorted(os.listdir(target + "/blobs/sha256"))
        self.expect_failure(self.push("oci:%s:u" % target, "--no-check", "--fail-at", "2000000"),
                            "integrity")
        self.assertEqual(sorted(os.listdir(target + "/blobs/sha256")), before)
        self.expect_same_image(target, "t")

    def test_hostile_index_is_refused_and_kept(self):
        for text in ('{"schemaVersion":2', "[]", '{"manifests":{}}', '{"a":1,"a":2,"manifests":[]}'):
            target = self.path("hostile")
            os.makedirs(target, exist_ok=True)
            with open(target + "/index.json", "w", encoding="utf-8") as f:
                f.write(text)
            self.expect_failure(self.push("oci:%s:t" % target), "format", "index.json")
            with open(target + "/index.json", encoding="utf-8") as f:
                self.assertEqual(f.read(), text)


if __name__ == "__main__":
    unittest.main()
