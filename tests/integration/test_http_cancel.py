# SPDX-License-Identifier: Apache-2.0
"""One image is cancelled: all it asks for ends at once, and what others ask for goes on."""
import os
import subprocess
import time
import unittest

from http_case import HttpCase

DEADLINE = 30.0  # seconds that anything may take; what else could end a request takes longer


class OneOfTwo(HttpCase):
    def start(self, *args, options=(), **how):
        """The driver; it cancels its image when stdin is closed."""
        # No timeouts, and nothing that wakes the loop: only the cancellation can end it.
        run = subprocess.Popen(
            self.command(*args, options=("--insecure", "--base-ms", "60000", "--cancel-image", *options),
                         **how),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**self.environment(), "PATH": self.folder + ":" + os.environ["PATH"]})
        self.addCleanup(run.kill)
        return run

    def wait_for_request(self, part, count=1):
        end = time.monotonic() + DEADLINE
        while len(self.requests(part)) < count:
            self.assertLess(time.monotonic(), end, "no request for %s" % part)
            time.sleep(0.01)

    def end(self, run):
        """Cancels it; the lines of stdout behind the one that says that it has ended."""
        run.stdin.close()
        run.stdin = None
        out, message = run.communicate(timeout=DEADLINE)
        self.assertEqual(run.returncode, 1, message)
        self.assertIn("cancelled", message.splitlines()[-1])
        self.assertTrue(message.splitlines()[-1].startswith("cancelled "), message)
        lines = out.splitlines()
        return lines[lines.index("ended") + 1:]

    def cancel_when_asked(self, part, *args, count=1, **how):
        run = self.start(*args, **how)
        self.wait_for_request(part, count)
        self.end(run)

    def test_manifest_of_a_silent_server(self):
        self.serve({"on": "manifests", "stall": True})
        self.cancel_when_asked("/manifests/", "manifest")

    def test_manifest_that_stopped_in_the_middle(self):
        self.serve({"on": "manifests", "stall_at": 10})
        self.cancel_when_asked("/manifests/", "manifest")

    def test_pause_that_the_server_asked_for(self):
        self.serve({"on": "manifests", "status": 429, "headers": {"Retry-After": "60"}})
        self.cancel_when_asked("/manifests/", "manifest")

    def test_ping_of_a_silent_server(self):
        self.serve({"on": "GET /v2/$", "stall": True}, options=self.certificate())
        self.cancel_when_asked("/v2/", "manifest")

    def test_token_of_a_silent_server(self):
        self.serve({"on": "/token", "stall": True}, auth={"scheme": "bearer"})
        self.cancel_when_asked("/token", "manifest")

    def test_small_blob_of_a_silent_server(self):
        self.serve({"on": "/blobs/", "stall": True})
        self.cancel_when_asked("/blobs/", "small", self.config["digest"], str(self.config["size"]))

    def test_streams_of_a_silent_server(self):
        self.serve({"on": "/blobs/", "stall_at": 1000})
        run = self.start(*self.blob_args(*self.layers[2:]))
        self.wait_for_request("/blobs/", 2)
        self.end(run)

    def test_what_lies_beside(self):
        self.serve({"on": "/referrers/|/extensions/|sha256-x.sig", "stall": True},
                   {"on": "GET /v2/$", "status": 200, "headers": {"X-Registry-Supports-Signatures": "1"}})
        digest = self.manifest["digest"]
        for part, args in (("/referrers/", ("referrers", digest)),
                           ("/extensions/", ("extension", digest)), (".sig", ("tagged", "sha256-x.sig"))):
            with self.subTest(part):
                self.cancel_when_asked(part, *args)

    def test_lookaside_of_a_silent_server(self):
        self.serve({"on": "/aside", "stall": True})
        self.cancel_when_asked("/aside", "url", "http://127.0.0.1:%d/aside" % self.port)

    def test_credential_helper_that_hangs(self):
        self.serve()
        started = os.path.join(self.folder, self.id() + ".started")
        helper = os.path.join(self.folder, "docker-credential-hang")
        with open(helper, "w", encoding="utf-8") as file:
            file.write("#!/bin/sh\ntouch '%s'\nsleep 1000\n" % started)
        os.chmod(helper, 0o755)
        auth = self.write(".json", '{"credHelpers": {"127.0.0.1:%d": "hang"}}' % self.port)
        run = self.start("manifest", options=("--authfile", auth))
        end = time.monotonic() + DEADLINE
        while not os.path.exists(started):
            self.assertLess(time.monotonic(), end)
            time.sleep(0.01)
        self.end(run)

    def test_no_mirror_is_asked_instead(self):
        self.serve({"on": "some/image/manifests", "stall": True})
        conf = self.write(".mirror", '[[registry]]\nlocation = "127.0.0.1:%d"\ninsecure = true\n'
                          '[[registry.mirror]]\nlocation = "localhost:%d"\ninsecure = true\n'
                          % (self.port, self.port))
        self.cancel_when_asked("/manifests/", "manifest", options=("--registries-conf", conf))
        self.assertEqual(len(self.requests("/manifests/")), 1)

    def test_other_image_goes_on(self):
        self.serve({"on": "some/image/manifests", "stall": True},
                   {"on": "other/manifests", "times": 1, "status": 503, "headers": {"Retry-After": "1"}})
        run = self.start("manifest", options=("--other", "other", "--base-ms", "1"))
        self.wait_for_request("some/image/manifests/")
        self.wait_for_request("other/manifests/")
        self.assertEqual(self.end(run), ["other: %d" % self.manifest["size"]])

    def test_token_that_another_waits_for_is_not_spoiled(self):
        # The stalled answer breaks off after a second, and then its request is made again: both
        # images wait for that one token.
        self.serve({"on": "/token", "times": 1, "status": 503, "headers": {"Retry-After": "4"}},
                   auth={"scheme": "bearer"})
        run = self.start("manifest", options=("--other", "some/image", "--base-ms", "1"))
        self.wait_for_request("/manifests/", 2)
        self.wait_for_request("/token")
        self.assertEqual(self.end(run), ["other: %d" % self.manifest["size"]])
        # One token, at the second try.
        self.assertEqual([r["status"] for r in self.requests("/token")], [503, 200])
        # The second image may have been told by the first where tokens are to be had.
        statuses = [r["status"] for r in self.requests("/manifests/")]
        self.assertEqual((statuses[0], statuses[-1]), (401, 200))


if __name__ == "__main__":
    unittest.main()
