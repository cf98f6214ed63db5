# SPDX-License-Identifier: Apache-2.0
"""Signatures put beside images: in docker-registry, which has no list of referrers, in one that
says it has, and in layouts. skopeo says what has arrived."""
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support"))
import oci_layout  # noqa: E402
from registry import Registry, missing_programs, run  # noqa: E402

PUSH = os.environ.get("SL_PUSH_DRIVER")
FETCH = os.environ.get("SL_FETCH_DRIVER")
BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
EMPTY = {"mediaType": "application/vnd.oci.empty.v1+json", "size": 2,
         "digest": "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"}
REF_NAME = "org.opencontainers.image.ref.name"


def digest_of(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


class AttachCase(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.layout = self.path("image")
        self.image, _, _ = oci_layout.write_layout(self.layout, [b"layer"], "a")
        self.tag = self.image["digest"].replace(":", "-")

    def path(self, name):
        return os.path.join(self.folder, name)

    def drive(self, *args):
        with open(self.path("registries.conf"), "w", encoding="utf-8"):
            pass
        env = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
        return subprocess.run([args[0], "--insecure", "--registries-conf",
                               self.path("registries.conf"), *args[1:]],
                              capture_output=True, timeout=60, check=False,
                              env={**env, "HOME": self.folder, "XDG_RUNTIME_DIR": self.folder})

    def put(self, verb, target, data, *more):
        path = self.path(hashlib.sha256(data).hexdigest())
        with open(path, "wb") as f:
            f.write(data)
        return self.drive(PUSH, verb, target, path, *more)

    def must(self, done):
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def bundle(self, n, subject=None):
        annotations = {"dev.sigstore.bundle.content": "dsse-envelope", "n": str(n)}
        return json.dumps({"schemaVersion": 2, "mediaType": oci_layout.MANIFEST, "config": EMPTY,
                           "artifactType": BUNDLE, "layers": [EMPTY], "annotations": annotations,
                           "subject": subject or self.image}).encode()

    def add_bundles(self, target, numbers):
        """Puts them there; the lines that say so."""
        self.must(self.put("put-blob", target, b"{}"))
        bundles = [self.bundle(n) for n in numbers]
        for data in bundles:
            self.must(self.put("put-referrer", target, data))
        return ["%s %d %s" % (digest_of(data), len(data), BUNDLE) for data in bundles]

    def signature(self, text=b"{}"):
        return json.dumps({"schemaVersion": 2, "mediaType": oci_layout.MANIFEST, "config": EMPTY,
                           "layers": [dict(EMPTY, annotations={"n": text.decode()})]}).encode()


@unittest.skipIf(missing_programs("docker-registry", "skopeo"), "docker-registry or skopeo is missing")
class WithoutReferrers(AttachCase):
    def setUp(self):
        super().setUp()
        registry = Registry()
        self.registry = registry.__enter__()
        self.addCleanup(registry.__exit__)
        self.target = self.registry.ref("some/image")
        # Not by skopeo, which may compress layers: then it is another image.
        self.must(self.drive(PUSH, "oci:%s:a" % self.layout, self.target))

    def fetch(self, *args):
        return self.drive(FETCH, self.registry.host, "some/image", "latest", *args)

    def raw(self, tag):
        return run("skopeo", "inspect", "--raw", "--tls-verify=false",
                   self.registry.ref("some/image:" + tag)).encode()

    def test_tag_is_replaced(self):
        self.must(self.put("put-blob", self.target, b"{}"))
        tag = self.tag + ".sig"
        self.assertEqual(self.drive(PUSH, "find-tag", self.target, tag).returncode, 3)
        self.assertEqual(self.fetch("tagged", tag).returncode, 3)
        for text in b"one", b"two":
            data = self.signature(text)
            self.must(self.put("put-tagged", self.target, data, tag, oci_layout.MANIFEST))
            self.assertEqual(self.raw(tag), data)
            self.assertEqual(self.must(self.drive(PUSH, "find-tag", self.target, tag)), data)
            self.assertEqual(self.must(self.fetch("tagged", tag)), data)
            self.assertEqual(self.must(self.fetch("attached", digest_of(data))), data)
        self.assertEqual(self.must(self.fetch("attached", EMPTY["digest"], "2")), b"{}")
        self.assertEqual(digest_of(self.raw("latest")), self.image["digest"])

    def test_referrers_are_listed_under_the_tag(self):
        self.assertEqual(self.fetch("referrers", self.image["digest"]).returncode, 3)
        lines = self.add_bundles(self.target, range(3))
        found = self.must(self.fetch("referrers", self.image["digest"])).decode().splitlines()
        self.assertEqual(found, lines)
        listed = json.loads(self.raw(self.tag))
        self.assertEqual((listed["mediaType"], listed["schemaVersion"]), (oci_layout.INDEX, 2))
        self.assertEqual(listed["manifests"][1]["annotations"],
                         {"dev.sigstore.bundle.content": "dsse-envelope", "n": "1"})
        # Once more changes nothing.
        before = self.raw(self.tag)
        self.add_bundles(self.target, [1])
        self.assertEqual(self.raw(self.tag), before)

    def test_several_at_once_are_all_listed_or_told(self):
        """The list is read again: who was overwritten in between writes once more."""
        self.must(self.put("put-blob", self.target, b"{}"))
        done = {}

        def put(n):
            done[n] = self.put("put-referrer", self.target, self.bundle(n))
        threads = [threading.Thread(target=put, args=(n,)) for n in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for n, put_done in done.items():
            self.assertIn(put_done.returncode, (0, 1), put_done.stderr)
        self.assertTrue(json.loads(self.raw(self.tag))["manifests"])

    def test_what_is_no_list_is_not_overwritten(self):
        self.must(self.put("put-blob", self.target, b"{}"))
        data = self.signature()
        self.must(self.put("put-tagged", self.target, data, self.tag, oci_layout.MANIFEST))
        done = self.put("put-referrer", self.target, self.bundle(1))
        self.assertEqual((done.returncode, done.stderr.split()[0]), (1, b"format"), done.stderr)
        self.assertEqual(self.raw(self.tag), data)

    def test_no_referrer_without_a_subject(self):
        done = self.put("put-referrer", self.target, self.signature())
        self.assertEqual((done.returncode, done.stderr.split()[0]), (1, b"format"), done.stderr)
        self.assertIn(b"no subject", done.stderr)

    def test_what_it_names_must_be_there(self):
        done = self.put("put-tagged", self.target, self.signature(), "x", oci_layout.MANIFEST)
        self.assertEqual((done.returncode, done.stderr.split()[0]), (1, b"network"), done.stderr)


class FaultyRegistry(AttachCase):
    """One that keeps lists of referrers, says so, and more."""

    def serve(self, *faults):
        self.log = self.path("log")
        server = subprocess.Popen(
            [sys.executable, os.path.join(os.path.dirname(HERE), "support", "faulty_registry.py"),
             "--layout", self.layout, "--plan", json.dumps({"faults": faults}), "--log", self.log],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.addCleanup(server.wait)
        self.addCleanup(server.stdout.close)
        self.addCleanup(server.stdin.close)
        return "docker://127.0.0.1:%s/some/image" % server.stdout.readline().split()[0]

    def puts(self):
        with open(self.log, encoding="utf-8") as f:
            return [r["path"].split("/")[-1] for r in map(json.loads, f)
                    if r["method"] == "PUT" and "/manifests/" in r["path"]]

    def test_who_keeps_a_list_gets_no_second_one(self):
        for subject, n in ((self.image["digest"], 1), (EMPTY["digest"], 2), ("yes", 2)):
            with self.subTest(subject):
                data = self.bundle(1)
                target = self.serve({"on": "PUT .*/manifests/" + digest_of(data), "status": 201,
                                     "headers": {"OCI-Subject": subject}})
                self.must(self.put("put-referrer", target, data))
                self.assertEqual(self.puts(), [digest_of(data), self.tag][:n])
                os.remove(self.log)

    def test_who_keeps_a_list_without_saying_so_gets_no_second_one(self):
        data = self.bundle(1)
        listed = self.path("list")
        with open(listed, "w", encoding="utf-8") as f:
            json.dump({"schemaVersion": 2, "mediaType": oci_layout.INDEX, "manifests": [
                {"mediaType": oci_layout.MANIFEST, "digest": digest_of(data), "size": len(data)}]}, f)
        target = self.serve({"on": "GET .*/referrers/" + self.image["digest"], "contents": listed})
        self.must(self.put("put-referrer", target, data))
        self.assertEqual(self.puts(), [digest_of(data)])

    def test_failures_are_told(self):
        for on in ("GET .*/referrers/", "PUT .*/manifests/sha256:", "PUT .*/manifests/sha256-",
                   "GET .*/manifests/sha256-"):
            with self.subTest(on):
                target = self.serve({"on": on, "status": 403})
                done = self.put("put-referrer", target, self.bundle(1))
                self.assertEqual((done.returncode, done.stderr.split()[0]), (1, b"auth"),
                                 done.stderr)

    def test_other_digests_are_told(self):
        target = self.serve({"on": "PUT .*/manifests/sha256-", "stored_digest": EMPTY["digest"]})
        done = self.put("put-referrer", target, self.bundle(1))
        self.assertEqual((done.returncode, done.stderr.split()[0]), (1, b"integrity"), done.stderr)

    def test_a_list_that_is_always_overwritten(self):
        target = self.serve({"on": "GET .*/manifests/sha256-", "status": 404})
        done = self.put("put-referrer", target, self.bundle(1))
        self.assertEqual((done.returncode, done.stderr.split()[0]), (1, b"network"), done.stderr)
        self.assertIn(b"try again", done.stderr)
        self.assertEqual(self.puts().count(self.tag), 3)


class Layouts(AttachCase):
    def entries(self):
        with open(os.path.join(self.layout, "index.json"), encoding="utf-8") as f:
            return json.load(f)["manifests"]

    def test_tag_and_referrers(self):
        target = "oci:" + self.layout
        tag = self.tag + ".sig"
        self.assertEqual(self.drive(PUSH, "find-tag", target, tag).returncode, 3)
        self.assertEqual(self.drive(PUSH, "find-tag", target + "/no", tag).returncode, 3)
        for text in b"one", b"two":
            data = self.signature(text)
            self.must(self.put("put-tagged", target, data, tag, oci_layout.MANIFEST))
            self.assertEqual(self.must(self.drive(PUSH, "find-tag", target, tag)), data)
        lines = self.add_bundles(target, range(2))
        self.add_bundles(target, [0])
        entries = self.entries()
        self.assertEqual([e.get("annotations", {}).get(REF_NAME) for e in entries],
                         ["a", tag, None, None])
        self.assertEqual(entries[2]["artifactType"], BUNDLE)
        self.assertEqual(entries[2]["annotations"]["n"], "0")
        found = self.drive(FETCH, target, "-", "a", "referrers", self.image["digest"])
        self.assertEqual(self.must(found).decode().splitlines(), lines)
        found = self.drive(FETCH, target, "-", "a", "tagged", tag)
        self.assertEqual(self.must(found), self.signature(b"two"))


if __name__ == "__main__":
    unittest.main()
