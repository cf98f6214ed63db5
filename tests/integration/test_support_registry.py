# SPDX-License-Identifier: Apache-2.0
"""The helpers of tests/support/registry.py, proved by skopeo: each kind of registry takes an image
and gives it back, and refuses whoever has no or wrong credentials, or does not know its CA."""

import base64
import json
import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))

# pylint: disable=wrong-import-position
from registry import Registry, make_layout, manifest_of, missing_programs, run

USER = ("tester", "p:ss word")


class SupportRegistry(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()  # pylint: disable=consider-using-with
        cls.layout = os.path.join(cls.folder.name, "layout")
        cls.image = make_layout(cls.layout, {"etc/hello": b"hello\n"})
        cls.digest, cls.manifest = manifest_of(cls.layout)

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def check_round_trip(self, registry):
        registry.push(self.image, "team/hello:1")
        target = tempfile.mkdtemp(dir=self.folder.name)
        registry.pull("team/hello:1", f"oci:{target}:latest")
        self.assertEqual(manifest_of(target)[0], self.digest)
        for layer in self.manifest["layers"]:
            self.assertEqual(os.path.getsize(registry.blob_path(layer["digest"])), layer["size"])

    def check_refused(self, registry, *options):
        trust = ["--cert-dir", registry.cert_dir()] if registry.tls else ["--tls-verify=false"]
        said = "unauthorized|authentication required|access to the resource is denied"
        with self.assertRaisesRegex(RuntimeError, said):
            run("skopeo", "inspect", "--raw", *trust, *options, registry.ref("team/hello:1"))

    def test_plain(self):
        with Registry() as registry:
            self.check_round_trip(registry)

    def test_tls(self):
        with Registry(tls=True) as registry:
            self.check_round_trip(registry)
            with self.assertRaisesRegex(RuntimeError, "x509|certificate"):
                run("skopeo", "inspect", "--raw", registry.ref("team/hello:1"))

    def test_htpasswd_over_tls(self):
        with Registry(tls=True, htpasswd=USER) as registry:
            self.check_round_trip(registry)
            self.check_refused(registry, "--no-creds")
            self.check_refused(registry, "--creds", "tester:wrong")
            self.check_authfile(registry)

    def test_token(self):
        with Registry(token=USER) as registry:
            self.check_round_trip(registry)
            self.check_refused(registry, "--no-creds")
            self.check_authfile(registry)
            scopes = [s for _, form in registry.tokens.requests for s in form.get("scope", [])]
            self.assertIn("repository:team/hello:pull", scopes)

    def check_authfile(self, registry):
        trust = ["--cert-dir", registry.cert_dir()] if registry.tls else ["--tls-verify=false"]
        raw = run("skopeo", "inspect", "--raw", *trust, "--authfile", registry.write_authfile(),
                  registry.ref("team/hello:1"))
        self.assertEqual(json.loads(raw), self.manifest)
        # What skopeo itself writes after a login is what write_authfile() writes.
        authfile = registry.path("login.json")
        run("skopeo", "login", "--authfile", authfile, *trust, "-u", USER[0], "-p", USER[1],
            registry.host)
        with open(authfile, encoding="utf-8") as f:
            auth = json.load(f)["auths"][registry.host]["auth"]
        self.assertEqual(base64.b64decode(auth).decode(), ":".join(USER))

    def test_stop_ends_the_process_and_its_folder(self):
        with Registry() as registry:
            folder, process = registry.path(""), registry._process  # pylint: disable=W0212
        self.assertIsNotNone(process.returncode)
        self.assertFalse(os.path.exists(folder))


if __name__ == "__main__":
    absent = missing_programs("docker-registry", "skopeo", "umoci", "openssl", "htpasswd")
    if absent:
        print("skipped: not installed:", ", ".join(absent))
        sys.exit(77)
    unittest.main()
