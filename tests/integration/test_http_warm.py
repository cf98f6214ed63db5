# SPDX-License-Identifier: Apache-2.0
"""Images that are known already: what is asked for again, and what a process keeps meanwhile."""
import os
import shutil
import subprocess
import unittest

from http_case import HttpCase


class Warm(HttpCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.known = os.path.join(cls.folder, "known")
        shutil.copytree(os.path.join(cls.layout, "blobs", "sha256"), cls.known)

    def paths(self):
        """What was asked for, but for the pings of insecure registries."""
        return [r["path"].replace("/v2/some/image/", "") for r in self.requests()
                if r["path"] != "/v2/"]

    def resolve(self, times=1, options=(), known=None, **how):
        known = ("--known", known or self.known)
        run = self.drive("resolve", str(times), options=("--insecure", *known, *options), **how)
        self.assertEqual(run.returncode, 0, run.stderr)
        lines = run.stdout.decode().splitlines()
        self.assertEqual({line.split()[1] for line in lines}, {self.manifest["digest"]})
        self.assertEqual(len(lines), times)
        return {line.split()[0] for line in lines}

    def test_tag_is_one_request(self):
        self.serve()
        self.resolve()
        self.assertEqual(self.paths(), ["manifests/latest"])

    def test_digest_is_none(self):
        self.serve()
        host = "127.0.0.1:%d" % self.port
        names = self.resolve(tag=self.manifest["digest"])
        self.assertEqual(self.requests(), [])
        self.assertEqual(names, {"%s/some/image@%s" % (host, self.manifest["digest"])})

    def test_documents_that_were_changed_are_fetched(self):
        self.serve()
        spoilt = os.path.join(self.folder, "spoilt")
        os.mkdir(spoilt)
        for digest in self.manifest["digest"], self.config["digest"]:
            with open(os.path.join(self.known, digest[7:]), "rb") as file:
                data = file.read()
            with open(os.path.join(spoilt, digest[7:]), "wb") as file:
                file.write(data[:-1] + b" ")
        self.resolve(tag=self.manifest["digest"], known=spoilt)
        self.assertEqual(self.paths(), ["manifests/" + self.manifest["digest"],
                                        "blobs/" + self.config["digest"]])

    def test_layer_of_a_known_image_comes_from_the_first_place_that_has_it(self):
        layer = self.layers[1]
        self.serve({"on": "some/image/blobs", "status": 404})
        conf = self.write(".mirror", '[[registry]]\nlocation = "127.0.0.1:%d"\ninsecure = true\n'
                          '[[registry.mirror]]\nlocation = "localhost:%d/first"\ninsecure = true\n'
                          '[[registry.mirror]]\nlocation = "localhost:%d/second"\ninsecure = true\n'
                          % (self.port, self.port, self.port))
        run = self.drive("layer", layer["digest"], str(layer["size"]), tag=self.manifest["digest"],
                         options=("--insecure", "--known", self.known, "--registries-conf", conf))
        self.expect_failure(run, "network", "not found")
        self.assertEqual([p.split("/blobs/")[0] for p in self.paths()],
                         ["/v2/first/some/image", "/v2/second/some/image",
                          "blobs/" + layer["digest"]])
        self.serve()
        run = self.drive("layer", layer["digest"], str(layer["size"]), tag=self.manifest["digest"],
                         options=("--insecure", "--known", self.known))
        self.expect_blobs(run, layer)
        self.assertEqual(self.paths(), ["blobs/" + layer["digest"]])

    def test_what_lies_beside_is_asked_of_who_has_the_image(self):
        self.serve({"on": "/mirror/some/image/manifests", "status": 404})
        digest = self.manifest["digest"]
        conf = self.write(".mirror", '[[registry]]\nlocation = "127.0.0.1:%d"\ninsecure = true\n'
                          '[[registry.mirror]]\nlocation = "localhost:%d/mirror"\ninsecure = true\n'
                          % (self.port, self.port))
        run = self.drive("referrers", digest, tag=digest,
                         options=("--insecure", "--known", self.known, "--registries-conf", conf,
                                  "--threads", "3"))
        self.assertEqual(run.returncode, 3, run.stderr)
        # Found once for all three, and nothing else is asked of the mirror.
        self.assertEqual(self.paths()[:2], ["/v2/mirror/some/image/manifests/" + digest,
                                            "manifests/" + digest])
        self.assertEqual([p for p in self.paths() if "mirror" in p][1:], [])
        self.assertEqual(self.paths().count("manifests/" + digest), 1)

    def test_name_that_several_registries_may_have_is_settled_by_asking(self):
        self.serve()
        conf = self.write(".search", 'unqualified-search-registries = ["127.0.0.1:%d", "localhost:%d"]\n'
                          % (self.port, self.port))
        digest = self.manifest["digest"]
        run = subprocess.run([self.command()[0], "--insecure", "--bare", "--known", self.known,
                              "--registries-conf", conf, "some", "image", digest, "resolve", "1"],
                             capture_output=True, timeout=60, env=self.environment())
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertEqual(self.paths(), ["manifests/" + digest])

    # --- what a process keeps ---

    def test_insecure_place_is_not_tried_again_for_the_next_image(self):
        self.serve(greetings=True)
        self.resolve(times=3, host="localhost:%d" % self.port)
        # That it does not speak TLS says enough: nothing is asked only to see whether it answers.
        self.assertEqual([r["path"].rsplit("/", 1)[1] for r in self.requests()], ["latest"] * 3)
        self.assertEqual(self.greetings(), ["main"])

    def test_insecure_address_of_loopback_is_not_tried_again_either(self):
        self.serve(greetings=True)
        self.resolve(times=3)
        self.assertEqual([r["path"].rsplit("/", 1)[1] for r in self.requests()], [""] + ["latest"] * 3)
        self.assertEqual(self.greetings(), [])

    def test_second_image_shows_its_token_at_once(self):
        self.serve(auth={"scheme": "bearer"})
        self.resolve(times=3)
        self.assertEqual([(r["path"].split("?")[0].rsplit("/", 1)[1], r["status"])
                          for r in self.requests() if r["path"] != "/v2/"],
                         [("latest", 401), ("token", 200)] + [("latest", 200)] * 3)

    def test_second_image_shows_its_password_at_once(self):
        self.serve(auth={"scheme": "basic", "user": "me", "password": "p"})
        self.resolve(times=2, options=("--creds", "me:p"))
        self.assertEqual([r["status"] for r in self.requests("/manifests/")], [401, 200, 200])

    def test_remembered_challenge_that_is_out_of_date_does_no_harm(self):
        # It wants a password for the first image; for the second one a token.
        manifest = os.path.join(self.known, self.manifest["digest"][7:])
        self.serve({"on": "manifests", "after": 2, "times": 1, "status": 401, "headers":
                    {"WWW-Authenticate": 'Bearer realm="/other",service="new"'}},
                   {"on": "/other", "status": 200, "body": '{"token": "new"}'},
                   {"on": "manifests", "after": 2, "contents": manifest},
                   auth={"scheme": "basic", "user": "me", "password": "p"})
        self.resolve(times=2, options=("--creds", "me:p"))
        shown = [(r["authorization"] or "none").split()[0] for r in self.requests("/manifests/")]
        self.assertEqual(shown, ["none", "Basic", "Basic", "Bearer"])


if __name__ == "__main__":
    unittest.main()
