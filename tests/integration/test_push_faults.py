# SPDX-License-Identifier: Apache-2.0
"""Pushes to a registry that misbehaves: what is retried, what is not, and who sees what."""
import os
import subprocess
import tempfile
import unittest

from http_case import HttpCase, make_ca

DRIVER = os.environ.get("SL_PUSH_DRIVER")


class PushFaults(HttpCase):
    def serve(self, *faults, layout=None, **how):
        """It has nothing yet."""
        return super().serve(*faults, layout=layout or self.folder + "/nothing", **how)

    def push(self, *options, source=None, timeout=60):
        command = [DRIVER, *options, "--registries-conf", self.write(".conf", "")]
        if "--cert-dir" not in options:
            command.append("--insecure")
        return subprocess.run([*command, source or "oci:%s:latest" % self.layout,
                               "127.0.0.1:%d/some/image:new" % self.port],
                              capture_output=True, timeout=timeout, env=self.environment())

    def expect_pushed(self, run):
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertEqual(self.lines("PUT", "manifests/")[-1:],
                         [("PUT", "/v2/some/image/manifests/new", 201)])

    def expect_not_named(self):
        self.assertEqual(self.lines("PUT", "manifests/"), [])

    def lines(self, method, part=""):
        return [(r["method"], r["path"], r["status"]) for r in self.requests(part)
                if r["method"] == method]

    def count(self, method, status, part=""):
        return len([r for r in self.lines(method, part) if r[2] == status])

    # --- what a good push looks like ---

    def test_each_blob_is_sent_once_with_the_state_of_its_upload(self):
        self.serve()
        self.expect_pushed(self.push("--no-check"))
        for method, status, times in (("POST", 202, 5), ("PATCH", 202, 4), ("PUT", 201, 5)):
            self.assertEqual(self.count(method, status, "/uploads/"), times)
        self.assertEqual(len(self.lines("DELETE")), 0)

    def test_manifest_goes_by_digest_first(self):
        self.serve()
        self.expect_pushed(self.push())
        self.assertEqual(self.lines("PUT", "manifests/")[0],
                         ("PUT", "/v2/some/image/manifests/" + self.manifest["digest"], 201))

    def test_blobs_that_are_there_are_not_sent(self):
        self.serve(layout=self.layout)
        run = self.push()
        self.expect_pushed(run)
        self.assertEqual(run.stdout.decode().splitlines()[:-1],
                         ["skipped " + layer["digest"] for layer in self.layers])
        self.assertEqual(self.lines("POST"), [])

    def test_refused_mount_takes_its_upload_back_and_sends(self):
        self.serve({"on": "^HEAD .*/blobs/", "status": 404}, layout=self.layout)
        run = self.push(source="127.0.0.1:%d/other/image:latest" % self.port)
        self.expect_pushed(run)
        mounts = self.lines("POST", "?mount=")
        self.assertEqual([status for _, _, status in mounts], [202] * 4)
        self.assertIn("from=other/image", mounts[0][1])
        self.assertEqual(self.count("DELETE", 204), 4)
        self.assertEqual(self.count("PATCH", 202), 4)

    def test_mount_is_a_favour(self):
        self.serve({"on": "^HEAD .*/blobs/", "status": 404},
                   {"on": "^POST .*mount=", "status": 405}, layout=self.layout)
        self.expect_pushed(self.push(source="127.0.0.1:%d/other/image:latest" % self.port))
        self.assertEqual(self.count("PATCH", 202), 4)

    # --- what passes ---

    def test_transient_refusals_are_tried_again(self):
        self.serve({"on": "^POST ", "times": 2, "status": 503},
                   {"on": "^PUT .*/uploads/", "times": 2, "status": 500},
                   {"on": "^PUT .*/manifests/new", "times": 2, "status": 429},
                   {"on": "^HEAD ", "times": 2, "nothing": True})
        self.expect_pushed(self.push("--no-check"))
        self.assertEqual(self.count("POST", 503), 2)
        self.assertEqual(self.count("PUT", 500), 2)
        self.assertEqual(self.count("PUT", 429), 2)

    def test_lost_answer_of_the_last_put_is_not_a_failure(self):
        self.serve({"on": "^PUT .*/uploads/", "times": 5, "done_first": True})
        self.expect_pushed(self.push("--no-check"))
        self.assertGreaterEqual(self.count("PUT", 404, "/uploads/"), 1)
        self.assertEqual(self.count("PATCH", 202), 4)

    def test_put_of_an_upload_that_is_unknown_fails(self):
        self.serve({"on": "^PUT .*/uploads/", "status": 404})
        self.expect_failure(self.push("--no-check"), "network", "not found (HTTP 404)")
        self.expect_not_named()

    def test_token_that_expires_between_requests_is_renewed(self):
        expired = {"times": 1, "status": 401,
                   "headers": {"WWW-Authenticate": 'Bearer realm="/token",scope="x"'}}
        # One by one: a token that was renewed for one upload and is refused to the next one at
        # once has not expired.
        for on in {"on": "^POST ", "after": 2}, {"on": "^PUT .*/uploads/"}, \
                {"on": "^PUT .*/manifests/new"}:
            with self.subTest(on):
                self.serve({**on, **expired}, auth={"scheme": "bearer"})
                self.expect_pushed(self.push())
                self.assertEqual(self.count("PATCH", 202), 4)
                self.assertEqual(len(self.requests("/token")), 2)

    def test_token_is_asked_for_pushing_at_once(self):
        self.serve(auth={"scheme": "bearer"})
        self.expect_pushed(self.push())
        scopes = [r["path"] for r in self.requests("/token")]
        self.assertEqual(len(scopes), 1, scopes)
        self.assertIn("pull%2Cpush", scopes[0])

    # --- what does not ---

    def test_cut_patch_fails_and_takes_the_upload_back(self):
        self.serve({"on": "^PATCH ", "take": 100000, "nothing": True, "times": 1})
        run = self.push("--no-check")
        self.expect_failure(run, "network", "upload to 127.0.0.1:%d/some/image" % self.port)
        self.assertGreaterEqual(self.count("DELETE", 204), 1)
        self.expect_not_named()

    def test_cut_patch_is_restarted_by_the_caller(self):
        self.serve({"on": "^PATCH ", "take": 100000, "nothing": True, "times": 1})
        self.expect_pushed(self.push("--no-check", "--tries", "2"))

    def test_early_refusal_gives_the_registrys_own_words(self):
        for status, code in ((413, "network"), (403, "auth"), (400, "network")):
            with self.subTest(status=status):
                self.serve({"on": "^PATCH ", "take": 1000, "status": status})
                self.expect_failure(self.push("--no-check", "--lane", "1"), code,
                                    "TEST: status %d" % status)
                self.expect_not_named()

    def test_token_refused_in_mid_patch_asks_for_another_try(self):
        self.serve({"on": "^PATCH ", "take": 1000, "status": 401, "times": 1,
                    "headers": {"WWW-Authenticate": 'Bearer realm="/token",scope="x"'}},
                   auth={"scheme": "bearer"})
        self.expect_failure(self.push("--no-check"), "network", "must be sent again")
        self.assertEqual(self.count("PATCH", 401), 1)

    def test_answer_before_the_end_is_not_success(self):
        self.serve({"on": "^PATCH ", "take": 1000, "status": 202,
                    "headers": {"Location": "/v2/x/blobs/uploads/upload-1?state=1&kept=a%2Fb"}})
        self.expect_failure(self.push("--no-check"), "network")
        self.expect_not_named()

    def test_stalled_registry_is_given_up(self):
        self.serve({"on": "^PATCH ", "take": 1000, "stall": True})
        self.expect_failure(self.push("--no-check", "--stall-s", "1", "--lane", "2"), "network",
                            "took nothing for 5 seconds")

    def test_wrong_digest_header_is_an_integrity_failure(self):
        self.serve({"on": "^PUT .*/uploads/", "stored_digest": "sha256:" + 64 * "0"})
        self.expect_failure(self.push("--no-check"), "integrity",
                            "the registry has stored sha256:" + 64 * "0")
        self.expect_not_named()

    def test_missing_location(self):
        self.serve({"on": "^POST ", "status": 202})
        self.expect_failure(self.push("--no-check"), "network",
                            "does not say where the upload goes on")

    def test_failed_flow_takes_the_upload_back(self):
        self.serve()
        run = self.push("--no-check", "--fail-at", "2000000")
        self.expect_failure(run, "integrity", "the mark is reached")
        self.assertEqual(self.count("DELETE", 204), 3)
        self.expect_not_named()

    def test_upload_that_is_just_begun_is_taken_back(self):
        self.serve({"on": "^POST ", "times": 3, "status": 503})
        self.expect_failure(self.push("--fail-at", "1"), "integrity")
        self.assertEqual(self.count("POST", 202), 4)
        self.assertEqual(self.count("DELETE", 204), 4)

    def test_cancellation_takes_the_upload_back(self):
        self.serve()
        self.expect_failure(self.push("--no-check", "--cancel-at", "2000000"), "cancelled")
        self.assertEqual(self.count("PUT", 201, "manifests"), 0)
        # The layer that was cancelled had been begun; others may have been on their way to it.
        self.assertGreaterEqual(self.count("DELETE", 204), 1)

    def test_sizes_that_differ_from_the_announced(self):
        for more, text in (("7", "were announced"), ("-7", "has more than the")):
            with self.subTest(more=more):
                self.serve()
                self.expect_failure(self.push("--no-check", "--lie-about-size", more),
                                    "integrity", text)
                self.expect_not_named()

    def test_refusal_of_the_tag_leaves_blobs_only(self):
        self.serve({"on": "^PUT .*/manifests/new", "status": 403})
        self.expect_failure(self.push(), "auth", "manifest: Not authorized: access denied (HTTP 403)")

    # --- who sees what ---

    def test_upload_elsewhere_does_not_see_our_authorization(self):
        self.serve(auth={"scheme": "basic", "user": "u", "password": "p"}, location="other")
        self.expect_pushed(self.push("--no-check", "--creds", "u:p"))
        seen = [r for r in self.requests() if r["port"] == "other"]
        self.assertEqual({r["method"] for r in seen}, {"PATCH", "PUT"})
        self.assertEqual({r["authorization"] for r in seen}, {None})

    def test_redirected_patch_is_refused(self):
        self.serve({"on": "^PATCH ", "take": 0, "redirect": "other"})
        self.expect_failure(self.push("--no-check"), "network", "a PATCH was redirected: refused")
        self.assertEqual([r for r in self.requests() if r["port"] == "other"], [])

    def test_redirected_manifest_goes_on_with_307_only(self):
        self.serve({"on": "^PUT .*/manifests/new", "redirect": "other", "times": 1})
        run = self.push()
        self.assertEqual(run.returncode, 0, run.stderr)
        for status in (301, 302, 303):
            self.serve({"on": "^PUT .*/manifests/new", "status": status,
                        "headers": {"Location": "/v2/other"}})
            self.expect_failure(self.push(), "network", "a PUT was redirected with HTTP %d" % status)

    def test_upload_from_https_to_http_is_refused(self):
        with tempfile.TemporaryDirectory() as folder:
            make_ca(folder)
            options = ("--cert", folder + "/server.crt", "--key", folder + "/server.pem")
            certs = folder + "/certs"
            os.mkdir(certs)
            os.link(folder + "/ca.crt", certs + "/ca.crt")
            self.serve(options=options)
            self.expect_pushed(self.push("--no-check", "--cert-dir", certs))
            self.serve(options=options, location="plain")
            self.expect_failure(self.push("--no-check", "--cert-dir", certs), "network",
                                "from https to http: refused")

    # --- memory ---

    def test_one_buffer_is_enough(self):
        self.serve()
        self.expect_pushed(self.push("--no-check", "--lane", "1"))


if __name__ == "__main__":
    unittest.main()
