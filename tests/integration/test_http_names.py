# SPDX-License-Identifier: Apache-2.0
"""Names written without a host: aliases, search registries, and the name that comes of them."""
import json
import os
import subprocess
import unittest

from http_case import HttpCase

SLUICE = os.environ.get("SLUICE")


class BareNames(HttpCase):
    def inspect(self, image, conf):
        return subprocess.run(
            [SLUICE, "inspect", "--tls-verify=false", "--registries-conf",
             self.write(".rules", conf), image], capture_output=True, timeout=60,
            env=self.environment())

    def expect_name(self, image, conf, name):
        run = self.inspect(image, conf)
        self.assertEqual(run.returncode, 0, run.stderr)
        summary = json.loads(run.stdout)
        self.assertEqual((summary["Name"], summary["Digest"]), (name, self.manifest["digest"]))

    def main(self, path=""):
        return "127.0.0.1:%d%s" % (self.port, path)

    def second(self, path=""):
        return "127.0.0.1:%d%s" % (self.other, path)

    def manifests(self):
        return [(r["port"], r["path"].split("/manifests/")[0]) for r in self.requests("/manifests/")]

    # docker.io is a place of its own in every test: no test leaves the machine.
    def docker_io(self, *mirrors):
        return '[[registry]]\nlocation = "%s"\nprefix = "docker.io"\n' % self.main("/hub") + "".join(
            '[[registry.mirror]]\nlocation = "%s"\n' % m for m in mirrors)

    def test_without_rules_it_is_docker_io(self):
        self.serve()
        self.expect_name("bar", self.docker_io(), "docker.io/library/bar:latest")
        self.assertEqual(self.manifests(), [("main", "/v2/hub/library/bar")])

    def test_search_goes_on_to_the_registry_that_has_it(self):
        self.serve({"on": "^GET .*/manifests/", "status": 404})
        conf = 'unqualified-search-registries = ["%s", "%s"]\n' % (self.main(), self.second("/team"))
        self.expect_name("foo/bar", conf, self.second("/team/foo/bar:latest"))
        self.assertEqual(self.manifests(), [("main", "/v2/foo/bar"), ("other", "/v2/team/foo/bar")])

    def test_search_asks_mirrors_then_docker_io_then_the_next(self):
        self.serve({"on": "^GET .*/manifests/", "status": 404})
        conf = 'unqualified-search-registries = ["docker.io", "%s"]\n' % self.second() \
            + self.docker_io(self.main("/mirror"))
        self.expect_name("bar", conf, self.second("/bar:latest"))
        self.assertEqual(self.manifests(), [("main", "/v2/mirror/library/bar"),
                                            ("main", "/v2/hub/library/bar"), ("other", "/v2/bar")])

    def test_mirror_that_serves_does_not_name_the_image(self):
        self.serve()
        conf = 'unqualified-search-registries = ["docker.io", "%s"]\n' % self.second() \
            + self.docker_io(self.second("/mirror"))
        self.expect_name("bar", conf, "docker.io/library/bar:latest")
        self.assertEqual(self.manifests(), [("other", "/v2/mirror/library/bar")])

    def test_alias_names_the_image(self):
        self.serve()
        conf = '[[registry]]\nprefix = "registry.example"\nlocation = "%s"\n' \
            '[aliases]\n"bar" = "registry.example/team/bar"\n' % self.main()
        self.expect_name("bar", conf, "registry.example/team/bar:latest")
        digest = "@" + self.manifest["digest"]
        self.expect_name("bar" + digest, conf, "registry.example/team/bar" + digest)
        self.assertEqual({path for _, path in self.manifests()}, {"/v2/team/bar"})

    def test_names_with_host_or_transport_are_not_searched_for(self):
        self.serve()
        conf = 'unqualified-search-registries = ["%s"]\n' % self.second() + self.docker_io()
        for image in "docker.io/bar", "docker://bar", "docker.io/library/bar":
            self.expect_name(image, conf, "docker.io/library/bar:latest")
        self.assertEqual({port for port, _ in self.manifests()}, {"main"})

    def test_image_is_not_put_together_from_two_search_registries(self):
        self.serve({"on": "^GET .*/manifests/", "status": 404},
                   {"on": "^other: GET .*/blobs/", "status": 404})
        conf = 'unqualified-search-registries = ["%s", "%s"]\n' % (self.main(), self.second())
        run = self.inspect("bar", conf)
        self.assertEqual(run.returncode, 4, run.stderr)
        self.assertEqual([r["port"] for r in self.requests("/blobs/")], ["other"])
        # Nor are its layers.
        options = ("--insecure", "--bare", "--registries-conf", self.write(".rules", conf))
        run = self.drive(*self.blob_args(self.layers[0]), options=options, host="docker.io")
        self.expect_failure(run, "network", "from " + self.second(), "not found")
        self.assertEqual([r["port"] for r in self.requests("/blobs/")], ["other"] * 2)

    def test_enforcing_with_several_registries_is_refused(self):
        self.serve()
        conf = 'unqualified-search-registries = ["%s", "%s"]\nshort-name-mode = "enforcing"\n' % (
            self.main(), self.second())
        run = self.inspect("bar", conf)
        self.assertEqual(run.returncode, 3, run.stderr)
        self.assertIn(b"enforcing", run.stderr)
        self.assertEqual(self.requests(), [])


if __name__ == "__main__":
    unittest.main()
