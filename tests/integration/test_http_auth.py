# SPDX-License-Identifier: Apache-2.0
"""Who gets in, with what, and what is never shown to whom."""
import json
import unittest

from http_case import HttpCase

USER = ("--insecure", "--creds", "me:secret")
BEARER = {"scheme": "bearer", "user": "me", "password": "secret"}


class Basic(HttpCase):
    def test_right_password_gets_in(self):
        self.serve(auth={"scheme": "basic", "user": "me", "password": "secret"})
        self.expect_manifest(self.drive("manifest", options=USER))

    def test_password_is_not_shown_unasked(self):
        self.serve()
        self.expect_manifest(self.drive("manifest", options=USER))
        self.assertEqual({r["authorization"] for r in self.requests()}, {None})

    def test_wrong_password_is_not_authorized_after_one_try(self):
        self.serve(auth={"scheme": "basic", "user": "me", "password": "other"})
        run = self.drive("manifest", options=USER)
        self.expect_failure(run, "auth", "Not authorized", "UNAUTHORIZED")
        self.assertEqual(len(self.requests("/manifests/")), 2)
        self.assertNotIn(b"secret", run.stderr)

    def test_no_password_is_not_authorized(self):
        self.serve(auth={"scheme": "basic", "user": "me", "password": "secret"})
        self.expect_failure(self.drive("manifest"), "auth", "Not authorized", "--creds")


class Bearer(HttpCase):
    def test_token_is_fetched_with_service_scope_and_account(self):
        self.serve(auth=BEARER)
        self.expect_manifest(self.drive("manifest", options=USER))
        token, = self.requests("/token")
        self.assertEqual(token["path"], "/token?service=test%20service&account=me"
                                        "&scope=repository%3Asome%2Fimage%3Apull")
        self.assertTrue(token["authorization"].startswith("Basic "))
        self.assertEqual(self.requests("/manifests/")[-1]["authorization"], "Bearer token-1")

    def test_anonymous_token_is_enough_for_public_images(self):
        self.serve(auth={"scheme": "bearer"})
        self.expect_manifest(self.drive("manifest"))
        token, = self.requests("/token")
        self.assertIsNone(token["authorization"])
        self.assertNotIn("account", token["path"])

    def test_access_token_is_the_same_thing(self):
        self.serve(auth=dict(BEARER, field="access_token"))
        self.expect_manifest(self.drive("manifest", options=USER))

    def test_challenge_in_a_second_line_is_found(self):
        self.serve(auth=dict(BEARER, header_lines=True))
        self.expect_manifest(self.drive("manifest", options=USER))

    def test_one_token_serves_all_blobs(self):
        self.serve(auth=dict(BEARER, expires_in=300))
        self.expect_blobs(self.drive(*self.blob_args(*self.layers), options=USER), *self.layers)
        self.assertEqual(len(self.requests("/token")), 1)

    def test_short_lifetime_counts_as_sixty_seconds(self):
        self.serve(auth=dict(BEARER, expires_in=1))
        self.expect_blobs(self.drive(*self.blob_args(*self.layers), options=USER), *self.layers)
        self.assertEqual(len(self.requests("/token")), 1)

    def test_token_about_to_expire_is_replaced_before_it_is_refused(self):
        self.serve(auth=dict(BEARER, expires_in=60))
        layer = self.layers[0]
        # Any token of a minute is in its last hour: each request fetches its own, and uses it.
        self.expect_blobs(self.drive(*self.blob_args(layer),
                                     options=(*USER, "--token-spare-s", "3600")), layer)
        self.assertEqual([(r["status"], r["authorization"]) for r in self.requests("/some/")
                          if "/token" not in r["path"]],
                         [(401, None), (200, "Bearer token-1"), (200, "Bearer token-2")])
        self.assertEqual(len(self.requests("/token")), 2)

    def given(self, token):
        host = "127.0.0.1:%d" % self.port
        text = json.dumps({"auths": {host: {"registrytoken": token}}})
        return ("--insecure", "--authfile", self.write(".json", text))

    def test_registry_token_is_shown_at_once(self):
        self.serve(auth={"scheme": "bearer", "given": "from-elsewhere"})
        self.expect_manifest(self.drive("manifest", options=self.given("from-elsewhere")))
        self.assertEqual([r["authorization"] for r in self.requests("/manifests/")],
                         ["Bearer from-elsewhere"])
        self.assertEqual(self.requests("/token"), [])

    def test_registry_token_that_is_refused_is_not_authorized(self):
        self.serve(auth={"scheme": "bearer", "given": "from-elsewhere"})
        run = self.drive("manifest", options=self.given("stale-token"))
        self.expect_failure(run, "auth", "Not authorized")
        self.assertNotIn(b"stale-token", run.stderr)
        self.assertEqual(len(self.requests("/manifests/")), 1)
        self.assertEqual(self.requests("/token"), [])

    def test_token_that_expires_in_the_middle_is_replaced(self):
        # The manifest and the first try of the blob use the first token up.
        self.serve({"on": "GET .*/blobs/", "cut_at": 1500001, "times": 1},
                   auth=dict(BEARER, uses=2))
        layer = self.layers[0]
        self.expect_blobs(self.drive(*self.blob_args(layer), options=USER), layer)
        self.assertEqual([(r["status"], r["authorization"], r["range"])
                          for r in self.requests("/blobs/")],
                         [(200, "Bearer token-1", None),
                          (401, "Bearer token-1", "bytes=1500001-"),
                          (206, "Bearer token-2", "bytes=1500001-")])

    def test_tokens_nobody_accepts_end_in_not_authorized(self):
        self.serve(auth=dict(BEARER, uses=0))
        self.expect_failure(self.drive("manifest", options=USER), "auth", "Not authorized")
        self.assertEqual(len(self.requests("/token")), 1)

    def test_refused_password_is_not_authorized(self):
        self.serve(auth=dict(BEARER, password="other"))
        run = self.drive("manifest", options=USER)
        self.expect_failure(run, "auth", "Not authorized", "token from http://127.0.0.1")
        self.assertEqual(len(self.requests("/token")), 1)

    def test_busy_token_server_is_tried_again(self):
        self.serve({"on": "GET /token", "status": 503, "times": 3}, auth=BEARER)
        self.expect_manifest(self.drive("manifest", options=USER))

    def test_missing_scope_is_asked_for_once(self):
        challenge = ('Bearer realm="http://127.0.0.1:%d/token",service="s",'
                     'scope="repository:some/image:pull repository:base/image:pull",'
                     'error="insufficient_scope"')
        realm = self.serve(auth=BEARER)
        realm_log = self.log
        self.serve({"on": "/manifests/", "after": 1, "times": 1, "status": 403,
                    "headers": {"WWW-Authenticate": challenge % realm}}, auth=BEARER)
        self.expect_manifest(self.drive("manifest", options=USER))
        self.assertEqual([r["status"] for r in self.requests("/manifests/")], [401, 403, 200])
        self.log = realm_log
        self.assertEqual([r["path"] for r in self.requests()],
                         ["/token?service=s&account=me&scope=repository%3Asome%2Fimage%3Apull"
                          "&scope=repository%3Abase%2Fimage%3Apull"])

    def test_identity_token_is_posted(self):
        self.serve(auth={"scheme": "bearer", "identity": "refresh-me"})
        self.expect_manifest(self.drive("manifest", options=self.identity()))
        token, = self.requests("/token")
        self.assertEqual((token["method"], token["path"]), ("POST", "/token"))

    def test_server_without_post_gets_a_get(self):
        for status in 404, 405:
            with self.subTest(status):
                self.serve(auth={"scheme": "bearer", "identity": "refresh-me", "post": status})
                self.expect_manifest(self.drive("manifest", options=self.identity()))
                self.assertEqual([r["method"] for r in self.requests("/token")],
                                 ["POST", "GET"])

    def identity(self):
        host = "127.0.0.1:%d" % self.port
        text = json.dumps({"auths": {host: {"identitytoken": "refresh-me"}}})
        return ("--insecure", "--authfile", self.write(".json", text))

    def test_garbage_instead_of_a_token_is_a_format_error(self):
        self.serve({"on": "GET /token", "status": 200, "body": "<html>hello"}, auth=BEARER)
        self.expect_failure(self.drive("manifest", options=USER), "format", "token")

    def test_answer_without_token_is_a_format_error(self):
        self.serve({"on": "GET /token", "status": 200, "body": "{}"}, auth=BEARER)
        self.expect_failure(self.drive("manifest", options=USER), "format", "sent no token")

    def test_token_that_breaks_the_header_is_a_format_error(self):
        self.serve({"on": "GET /token", "status": 200,
                    "body": '{"token":"a\\r\\nX-Injected: 1"}'}, auth=BEARER)
        self.expect_failure(self.drive("manifest", options=USER), "format", "strange bytes")

    def test_realm_that_is_no_url_is_refused(self):
        self.serve(auth=dict(BEARER, realm="file:///etc/passwd"))
        self.expect_failure(self.drive("manifest", options=USER), "auth", "makes no sense")


if __name__ == "__main__":
    unittest.main()
