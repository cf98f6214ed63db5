# SPDX-License-Identifier: Apache-2.0
"""The docker transport against a real registry (docker-registry), filled by skopeo; and TLS."""
import json
import os
import re
import shutil
import subprocess
import unittest

from http_case import HttpCase, make_ca

CONFIG = """version: 0.1
log: {level: info, accesslog: {disabled: true}}
storage: {filesystem: {rootdirectory: %(root)s}}
http:
  addr: 127.0.0.1:0
%(tls)s
%(auth)s
"""


@unittest.skipUnless(shutil.which("docker-registry") and shutil.which("skopeo"),
                     "docker-registry and skopeo are not installed")
class RealRegistry(HttpCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.certs = os.path.join(cls.folder, "certs")
        os.makedirs(cls.certs)
        make_ca(cls.certs)
        subprocess.run(["htpasswd", "-Bbc", os.path.join(cls.folder, "htpasswd"), "me", "secret"],
                       check=True, capture_output=True)

    def start(self, tls=False, password=False):
        tls = "  tls: {certificate: %s/server.crt, key: %s/server.pem}" % (
            self.certs, self.certs) if tls else ""
        auth = "auth: {htpasswd: {realm: test, path: %s/htpasswd}}" % self.folder \
            if password else ""
        root = os.path.join(self.folder, self.id())
        config = self.write(".yml", CONFIG % {"root": root, "tls": tls, "auth": auth})
        server = subprocess.Popen(["docker-registry", "serve", config], stdout=subprocess.DEVNULL,
                                  stderr=subprocess.PIPE, text=True)
        self.addCleanup(server.stderr.close)
        self.addCleanup(server.wait)
        self.addCleanup(server.terminate)
        for line in server.stderr:
            found = re.search(r"listening on 127\.0\.0\.1:(\d+)", line)
            if found:
                self.port = int(found[1])
                break
        self.fill(password)

    def fill(self, password):
        creds = ["--dest-creds", "me:secret"] if password else []
        run = subprocess.run(
            ["skopeo", "copy", "--insecure-policy", "--dest-tls-verify=false", *creds,
             "oci:%s:latest" % self.layout, "docker://127.0.0.1:%d/some/image" % self.port],
            capture_output=True)
        self.assertEqual(run.returncode, 0, run.stderr)
        # skopeo may compress layers: what is there now is what counts.
        run = subprocess.run(
            ["skopeo", "inspect", "--raw", "--tls-verify=false",
             *(["--creds", "me:secret"] if password else []),
             "docker://127.0.0.1:%d/some/image" % self.port], capture_output=True)
        self.raw = run.stdout

    def check(self, *options):
        run = self.drive("manifest", options=options)
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertEqual(run.stdout, self.raw)
        layers = json.loads(self.raw)["layers"]
        self.expect_blobs(self.drive(*self.blob_args(*layers), options=options), *layers)

    def test_plain_http(self):
        self.start()
        self.check("--insecure")

    def test_plain_http_needs_insecure(self):
        self.start()
        self.expect_failure(self.drive("manifest", options=("--attempts", "1")), "network")

    def test_htpasswd(self):
        self.start(password=True)
        self.check("--insecure", "--creds", "me:secret")
        self.expect_failure(self.drive("manifest", options=("--insecure", "--creds", "me:wrong")),
                            "auth", "Not authorized")
        self.expect_failure(self.drive("manifest"), "auth", "Not authorized")

    def test_tls_with_own_ca(self):
        self.start(tls=True, password=True)
        self.check("--cert-dir", self.certs, "--creds", "me:secret")
        self.check("--insecure", "--creds", "me:secret")

    def test_unknown_ca_is_refused_at_once(self):
        self.start(tls=True)
        self.expect_failure(self.drive("manifest", options=()), "network", "certificate",
                            "--cert-dir")


class Tls(HttpCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        make_ca(cls.folder)

    def serve_tls(self, *faults, auth=None, more=()):
        return self.serve(*faults, auth=auth, options=(
            "--cert", self.folder + "/server.crt", "--key", self.folder + "/server.pem", *more))

    def test_redirect_to_http_is_refused(self):
        plain = self.serve()
        self.serve_tls({"on": "/manifests/",
                        "redirect": "http://127.0.0.1:%d/v2/some/image/manifests/latest" % plain})
        for option in ("--cert-dir", self.folder), ("--insecure",):
            self.expect_failure(self.drive("manifest", options=option), "network",
                                "from https to http")

    def test_token_server_without_tls_is_refused(self):
        plain = self.serve(auth={"scheme": "bearer"})
        plain_log = self.log
        self.serve_tls(auth={"scheme": "bearer", "realm": "http://127.0.0.1:%d/token" % plain})
        run = self.drive("manifest", options=("--cert-dir", self.folder, "--creds", "me:secret"))
        self.expect_failure(run, "auth", "without TLS")
        self.log = plain_log
        self.assertEqual(self.requests(), [])

    def test_cut_over_tls_is_resumed(self):
        self.serve_tls({"on": "/blobs/", "cut_at": 1500001, "times": 1})
        layer = self.layers[0]
        self.expect_blobs(self.drive(*self.blob_args(layer),
                                     options=("--cert-dir", self.folder)), layer)
        self.assertEqual(self.requests("/blobs/")[-1]["range"], "bytes=1500001-")

    def test_client_certificate_is_shown_to_the_registry(self):
        self.serve_tls(more=("--client-ca", self.folder + "/ca.crt"))
        self.expect_manifest(self.drive("manifest", options=("--cert-dir", self.folder)))

    def test_client_certificate_is_not_shown_to_another_origin(self):
        self.serve_tls(more=("--client-ca", self.folder + "/ca.crt"))
        wants_certificate = self.port
        self.serve_tls({"on": "/manifests/",
                        "redirect": "https://127.0.0.1:%d/v2/some/image/manifests/latest"
                                    % wants_certificate})
        self.expect_failure(self.drive("manifest", options=("--cert-dir", self.folder)),
                            "network", "attempts")


if __name__ == "__main__":
    unittest.main()
