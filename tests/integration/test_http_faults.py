# SPDX-License-Identifier: Apache-2.0
"""The docker transport against a registry that misbehaves: retries, ranges, redirects, limits."""
import socket
import subprocess
import unittest

from http_case import BIG, HttpCase

BLOBS = "GET .*/blobs/"
MANIFESTS = "GET .*/manifests/"
DEADLINE = 15  # seconds: less than any timeout of the transport


class Documents(HttpCase):
    def test_manifest_is_fetched_with_type_and_digest(self):
        self.serve()
        run = self.drive("manifest")
        self.expect_manifest(run)
        self.assertIn(self.manifest["digest"], run.stderr.decode())
        self.assertIn("application/vnd.oci.image.manifest.v1+json", run.stderr.decode())

    def test_small_blob_is_fetched_whole(self):
        self.serve()
        run = self.drive("small", self.config["digest"], str(self.config["size"]))
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertEqual(len(run.stdout), self.config["size"])

    def test_unknown_tag_is_not_found_without_retry(self):
        self.serve()
        self.expect_failure(self.drive("manifest", tag="nosuch"), "network",
                            "not found", "MANIFEST_UNKNOWN", " 2: ")
        self.assertEqual(len(self.requests("/manifests/")), 1)

    def test_403_is_an_auth_error_without_retry(self):
        self.serve({"on": MANIFESTS, "status": 403})
        self.expect_failure(self.drive("manifest"), "auth", "Not authorized: access denied",
                            "TEST: status 403")
        self.assertEqual(len(self.requests("/manifests/")), 1)

    def test_patience_for_a_document_ends_although_something_moves(self):
        hurried = ("--insecure", "--document-ms", "400")
        self.serve({"on": MANIFESTS, "slow": 1})
        self.expect_failure(self.drive("manifest", options=hurried), "network",
                            "no whole answer within 400 ms")
        self.serve({"on": BLOBS, "slow": 1})
        run = self.drive("small", self.config["digest"], str(self.config["size"]), options=hurried)
        self.expect_failure(run, "network", "no whole answer within 400 ms")
        self.serve({"on": "/token", "stall": True}, auth={"scheme": "bearer"})
        self.expect_failure(self.drive("manifest", options=hurried), "network",
                            "no whole answer within 400 ms")
        self.serve({"on": "GET /v2/$", "stall": True}, options=self.certificate())
        self.expect_failure(self.drive("manifest", options=hurried), "network",
                            "no whole answer within 400 ms")

    def test_pause_beyond_all_patience_is_not_waited_for(self):
        self.serve({"on": MANIFESTS, "status": 429, "headers": {"Retry-After": "200"}})
        self.expect_failure(self.drive("manifest"), "network",
                            "no whole answer within 120000 ms: too many requests (HTTP 429)")
        self.assertEqual(len(self.requests("/manifests/")), 1)

    def test_400_is_not_retried(self):
        self.serve({"on": MANIFESTS, "status": 400})
        self.expect_failure(self.drive("manifest"), "network", "HTTP 400")
        self.assertEqual(len(self.requests("/manifests/")), 1)

    def test_transient_statuses_are_retried(self):
        for status in 408, 429, 500, 502, 503, 504:
            with self.subTest(status):
                self.serve({"on": MANIFESTS, "status": status, "times": 4})
                self.expect_manifest(self.drive("manifest"))
                self.assertEqual(self.requests("/manifests/")[-1]["status"], 200)

    def test_five_tries_and_no_more(self):
        self.serve({"on": MANIFESTS, "status": 503})
        self.expect_failure(self.drive("manifest"), "network", "after 5 attempts", "HTTP 503")
        self.assertEqual(len(self.requests("/manifests/")), 5)

    def test_attempts_can_be_chosen(self):
        self.serve({"on": MANIFESTS, "status": 503})
        self.expect_failure(self.drive("manifest", options=("--insecure", "--attempts", "2")),
                            "network", "after 2 attempts")
        self.assertEqual(len(self.requests("/manifests/")), 2)

    def test_retry_after_seconds_is_honoured(self):
        self.serve({"on": MANIFESTS, "status": 429, "times": 1, "headers": {"Retry-After": "2"}})
        self.expect_manifest(self.drive("manifest"))
        first, second = self.requests("/manifests/")
        self.assertGreaterEqual(second["time"] - first["time"], 1.9)

    def test_retry_after_date_is_honoured(self):
        self.serve({"on": MANIFESTS, "status": 429, "times": 1, "retry_after_date": 3})
        self.expect_manifest(self.drive("manifest"))
        first, second = self.requests("/manifests/")
        self.assertGreaterEqual(second["time"] - first["time"], 1.9)

    def test_garbage_is_named(self):
        self.serve({"on": MANIFESTS, "garbage": True})
        self.expect_failure(self.drive("manifest"), "network", "does not speak HTTP")
        self.assertEqual(len(self.requests("/manifests/")), 1)

    def test_silence_is_retried(self):
        self.serve({"on": MANIFESTS, "nothing": True, "times": 2})
        self.expect_manifest(self.drive("manifest"))

    def test_silence_for_ever_is_a_network_error(self):
        self.serve({"on": MANIFESTS, "nothing": True})
        self.expect_failure(self.drive("manifest"), "network", "after 5 attempts")

    def test_manifest_cut_starts_again_from_zero(self):
        self.serve({"on": MANIFESTS, "cut_at": 100, "times": 2})
        self.expect_manifest(self.drive("manifest"))
        self.assertEqual([r["range"] for r in self.requests("/manifests/")], [None] * 3)

    def test_endless_manifest_hits_the_limit(self):
        self.serve({"on": MANIFESTS, "endless": True})
        self.expect_failure(self.drive("manifest"), "limit")
        self.assertEqual(len(self.requests("/manifests/")), 1)

    def test_too_many_headers_hit_the_limit(self):
        self.serve({"on": MANIFESTS, "many_headers": 90})
        self.expect_failure(self.drive("manifest"), "limit", "too many headers")

    def test_hostile_error_text_stays_on_one_plain_line(self):
        body = '{"errors":[{"code":"\\u001b[31mX","message":"a\\nb\\u009b%s"}]}' % ("z" * 5000)
        self.serve({"on": MANIFESTS, "status": 403, "body": body})
        run = self.drive("manifest")
        self.expect_failure(run, "auth", "?[31mX: a?b")
        self.assertTrue(all(0x20 <= b < 0x7f for b in run.stderr[:-1]))

    def test_long_error_page_is_cut(self):
        self.serve({"on": MANIFESTS, "status": 404, "body": "<html>" + "x" * 100000})
        self.expect_failure(self.drive("manifest"), "network", "not found")

    def test_unreachable_registry_is_a_network_error(self):
        self.port = 1
        self.expect_failure(self.drive("manifest"), "network", "neither https", " 111: ")


class Redirects(HttpCase):
    def test_other_host_sees_no_authorization(self):
        self.serve({"on": "^GET .*/blobs/", "redirect": "other"},
                   auth={"scheme": "basic", "user": "me", "password": "secret"})
        layer = self.layers[0]
        run = self.drive(*self.blob_args(layer), options=("--insecure", "--creds", "me:secret"))
        self.expect_blobs(run, layer)
        other = [r for r in self.requests("/blobs/") if r["port"] == "other"]
        self.assertEqual([r["authorization"] for r in other], [None])
        main = [r for r in self.requests("/blobs/") if r["port"] == "main"]
        self.assertTrue(main[-1]["authorization"].startswith("Basic "))

    def test_resume_goes_back_to_the_registry_with_range(self):
        self.serve({"on": "^GET .*/blobs/", "redirect": "other"},
                   {"on": "other: GET .*/blobs/", "cut_at": 70000, "times": 1})
        layer = self.layers[0]
        self.expect_blobs(self.drive(*self.blob_args(layer)), layer)
        seen = [(r["port"], r["range"]) for r in self.requests("/blobs/")]
        self.assertEqual(seen, [("main", None), ("other", None),
                                ("main", "bytes=70000-"), ("other", "bytes=70000-")])

    def test_loop_ends_after_ten_hops(self):
        self.serve({"on": MANIFESTS, "redirect": True})
        self.expect_failure(self.drive("manifest"), "network", "more than 10 redirects")
        self.assertEqual(len(self.requests("/manifests/")), 11)

    def test_strange_targets_are_refused(self):
        for target in "file:///etc/passwd", "ftp://127.0.0.1/x", "http://user:pw@127.0.0.1/x":
            with self.subTest(target):
                self.serve({"on": MANIFESTS, "redirect": target})
                self.expect_failure(self.drive("manifest"), "network", "makes no sense")

    def test_query_of_a_redirect_stays_out_of_messages(self):
        self.serve({"on": "^GET .*/manifests/", "redirect": "other"},
                   {"on": "other: GET", "status": 403})
        run = self.drive("manifest")
        self.expect_failure(run, "auth", "access denied")
        self.assertNotIn(b"signature", run.stderr)


class Blobs(HttpCase):
    def fetch(self, *faults, options=(), layer=0):
        self.serve(*faults)
        return self.drive(*self.blob_args(self.layers[layer]), options=("--insecure", *options))

    def test_several_at_once_arrive(self):
        self.serve()
        self.expect_blobs(self.drive(*self.blob_args(*self.layers)), *self.layers)

    def test_lane_of_one_buffer_is_enough(self):
        self.expect_blobs(self.fetch(options=("--lane", "1")), self.layers[0])

    def test_cut_is_resumed_where_it_was(self):
        for at in 0, 1, 16383, 262144, 1500001, BIG - 1:
            with self.subTest(at):
                self.expect_blobs(self.fetch({"on": BLOBS, "cut_at": at, "times": 1}),
                                  self.layers[0])
                self.assertEqual(self.requests("/blobs/")[-1]["range"],
                                 "bytes=%d-" % at if at else None)

    def test_many_cuts_with_progress_do_not_use_up_the_tries(self):
        run = self.fetch({"on": BLOBS, "cut_at": 1100000, "times": 2},
                         options=("--attempts", "2"))
        self.expect_blobs(run, self.layers[0])

    def test_many_cuts_without_progress_give_up(self):
        run = self.fetch({"on": BLOBS, "cut_at": 1000})
        self.expect_failure(run, "network", "after 5 attempts")
        self.assertEqual([r["range"] for r in self.requests("/blobs/")],
                         [None] + ["bytes=%d000-" % i for i in range(1, 5)])

    def test_server_that_ignores_ranges_is_read_over(self):
        run = self.fetch({"on": BLOBS, "cut_at": 1500001, "times": 1},
                         {"on": BLOBS, "ignore_range": True})
        self.expect_blobs(run, self.layers[0])

    def test_server_that_ignores_ranges_and_cuts_gives_up(self):
        run = self.fetch({"on": BLOBS, "cut_at": 1500001, "ignore_range": True})
        self.expect_failure(run, "network", "attempts")
        self.assertLessEqual(len(self.requests("/blobs/")), 6)

    def test_wrong_range_is_refused(self):
        run = self.fetch({"on": BLOBS, "cut_at": 1500001, "times": 1},
                         {"on": BLOBS, "wrong_range": True})
        self.expect_failure(run, "network", "range we did not ask for")

    def test_stall_is_cut_and_resumed(self):
        run = self.fetch({"on": BLOBS, "stall_at": 500000, "times": 1}, options=("--stall-s", "1"))
        self.expect_blobs(run, self.layers[0])
        self.assertEqual(self.requests("/blobs/")[-1]["range"], "bytes=500000-")

    def test_trickle_is_cut_and_resumed(self):
        run = self.fetch({"on": BLOBS, "slow": 10, "times": 1}, options=("--pace-ms", "300"))
        self.expect_blobs(run, self.layers[0])
        self.assertRegex(self.requests("/blobs/")[-1]["range"], "^bytes=[1-9][0-9]*-$")

    def test_trickle_without_end_is_given_up(self):
        run = self.fetch({"on": BLOBS, "slow": 1}, options=("--pace-ms", "200", "--attempts", "2"))
        self.expect_failure(run, "network", "after 2 attempts: the server is too slow: ", "in 200 ms")
        self.assertEqual(len(self.requests("/blobs/")), 2)

    def test_slow_reader_is_not_the_servers_fault(self):
        run = self.fetch(options=("--pace-ms", "200", "--lane", "1", "--hold-ms", "900"))
        self.expect_blobs(run, self.layers[0])
        self.assertEqual(len(self.requests("/blobs/")), 1)

    def test_500_is_retried(self):
        self.expect_blobs(self.fetch({"on": BLOBS, "status": 500, "times": 2}), self.layers[0])

    def test_endless_is_an_integrity_error(self):
        self.expect_failure(self.fetch({"on": BLOBS, "endless": True}), "integrity",
                            "sends more than the %d bytes" % BIG)
        self.assertEqual(len(self.requests("/blobs/")), 1)

    def test_short_is_an_integrity_error(self):
        self.expect_failure(self.fetch({"on": BLOBS, "short": 5}), "integrity",
                            "has %d bytes, the descriptor says %d" % (BIG - 5, BIG))

    def test_short_without_ranges_is_an_integrity_error(self):
        run = self.fetch({"on": BLOBS, "short": 5, "ignore_range": True})
        self.expect_failure(run, "integrity", "sent %d bytes" % (BIG - 5))
        self.assertEqual(len(self.requests("/blobs/")), 5)

    def test_other_length_is_an_integrity_error_at_once(self):
        self.serve()
        run = self.drive("blob", self.layers[0]["digest"], "1000")
        self.expect_failure(run, "integrity", "has %d bytes, the descriptor says 1000" % BIG)

    def test_flipped_byte_is_passed_on_for_the_digest_to_see(self):
        run = self.fetch({"on": BLOBS, "flip": 1234567})
        self.assertEqual(run.returncode, 0)
        self.assertNotIn(self.layers[0]["digest"], run.stdout.decode())

    def test_stop_ends_the_stream(self):
        self.expect_failure(self.fetch({"on": BLOBS, "stall_at": 1000000},
                                       options=("--stop-at", "500000")), "cancelled")

    def test_cancel_ends_everything(self):
        self.serve({"on": BLOBS, "stall_at": 1000000})
        run = self.drive(*self.blob_args(*self.layers),
                         options=("--insecure", "--cancel-at", "500000"))
        self.assertEqual(run.returncode, 1)
        for line in run.stderr.decode().splitlines():
            self.assertTrue(line.startswith("cancelled "), line)

    def test_cancel_ends_a_pause_between_tries(self):
        self.serve({"on": BLOBS + self.layers[0]["digest"], "stall_at": 1000000},
                   {"on": BLOBS, "status": 429, "headers": {"Retry-After": "200"}})
        run = self.drive(*self.blob_args(*self.layers[:3]),
                         options=("--insecure", "--cancel-at", "500000"))
        self.assertEqual(run.returncode, 1)
        self.assertEqual(run.stderr.count(b"cancelled "), 3, run.stderr)


class Mirrors(HttpCase):
    def conf(self, *mirrors):
        text = '[[registry]]\nlocation = "127.0.0.1:%d"\ninsecure = true\n' % self.port
        for host in mirrors:
            text += '[[registry.mirror]]\nlocation = "%s"\ninsecure = true\n' % host
        return ("--registries-conf", self.write(".rules", text))

    def test_dead_mirror_falls_through(self):
        self.serve()
        run = self.drive("manifest", options=(*self.conf("127.0.0.1:1"), "--attempts", "1"))
        self.expect_manifest(run)

    def test_mirror_that_has_it_serves_the_blobs(self):
        self.serve()
        layer = self.layers[0]
        run = self.drive(*self.blob_args(layer),
                         options=self.conf("127.0.0.1:%d/some/image" % self.other))
        self.expect_blobs(run, layer)
        self.assertEqual({r["port"] for r in self.requests("/blobs/")}, {"other"})

    def test_all_failures_are_listed(self):
        self.serve({"on": MANIFESTS, "status": 404})
        run = self.drive("manifest", options=self.conf("127.0.0.1:%d/some/image" % self.other))
        self.expect_failure(run, "network", "Failed to pull image 127.0.0.1:%d/some/image:latest "
                            "from all mirror/mapping locations or original location: image: "
                            % self.port, "; image: 127.0.0.1:%d/" % self.port)


class Fallback(HttpCase):
    """The mirror gives the manifest, and then a blob makes trouble."""

    def start(self, *faults):
        self.serve(*({**f, "on": "^other: GET .*/blobs/" + f.get("blob", "")} for f in faults))
        self.mirror = "127.0.0.1:%d/some/image" % self.other

    def options(self, primary, *more):
        text = """[[registry]]
prefix = "registry.example"
location = "%s"
insecure = true
[[registry.mirror]]
location = "%s"
insecure = true
""" % (primary, self.mirror)
        return ("--registries-conf", self.write(".rules", text), "--attempts", "1", *more)

    def run_blobs(self, *layers, primary=None, options=()):
        primary = primary or "127.0.0.1:%d" % self.port
        # The rule's prefix stands for "registry.example", its mirror for all of the name.
        return self.drive(*self.blob_args(*layers), host="registry.example",
                          options=self.options(primary, *options))

    def asked(self, layer):
        return [(r["port"], r["status"], r["range"]) for r in self.requests(layer["digest"])]

    def test_blob_the_mirror_lacks_comes_from_the_primary(self):
        layer = self.layers[0]
        self.start({"blob": layer["digest"], "status": 404})
        self.expect_blobs(self.run_blobs(*self.layers), *self.layers)
        self.assertEqual(self.asked(layer), [("other", 404, None), ("main", 200, None)])
        self.assertEqual(self.asked(self.layers[1]), [("other", 200, None)])

    def test_blob_the_mirror_cuts_is_resumed_at_the_primary(self):
        layer = self.layers[0]
        self.start({"blob": layer["digest"], "cut_at": 1500001})
        self.expect_blobs(self.run_blobs(layer), layer)
        self.assertEqual(self.asked(layer),
                         [("other", 200, None), ("main", 206, "bytes=1500001-")])

    def test_many_blobs_open_the_primary_once(self):
        self.start({"status": 404})
        self.expect_blobs(self.run_blobs(*self.layers), *self.layers)
        self.assertEqual([r["port"] for r in self.requests() if r["path"] == "/v2/"],
                         ["other", "main"])

    def test_flipped_byte_is_not_made_good_by_the_primary(self):
        self.start({"flip": 12345})
        run = self.run_blobs(self.layers[0])
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertNotIn(self.layers[0]["digest"], run.stdout.decode())
        self.assertEqual({r["port"] for r in self.requests("/blobs/")}, {"other"})

    def test_dead_primary_is_what_the_error_is_about(self):
        self.start({"status": 404})
        self.expect_failure(self.run_blobs(self.layers[0], primary="127.0.0.1:1"), "network",
                            "from 127.0.0.1:1: neither https", "connect")

    def end_at_silent_primary(self, option, *layers):
        """The run, which was ended once it waited for a place that takes a connection and says
        nothing."""
        with socket.create_server(("127.0.0.1", 0)) as silent:
            silent.settimeout(DEADLINE)
            args = self.command(*self.blob_args(*layers), host="registry.example",
                                options=self.options("127.0.0.1:%d" % silent.getsockname()[1],
                                                     option))
            with subprocess.Popen(args, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, env=self.environment()) as run:
                connection, _ = silent.accept()
                with connection:
                    errors = run.communicate(timeout=DEADLINE)[1].decode()
        self.assertEqual(run.returncode, 1, errors)
        return errors.splitlines()

    def test_stop_does_not_wait_for_a_silent_primary(self):
        self.start({"cut_at": 1500001})
        line, = self.end_at_silent_primary("--stop-at-eof", self.layers[0])
        self.assertTrue(line.startswith("cancelled "), line)

    def test_cancel_does_not_wait_for_a_silent_primary(self):
        first, second = self.layers[0], self.layers[2]
        self.start({"blob": second["digest"], "status": 404},
                   {"blob": first["digest"], "stall_at": 2500001})
        lines = self.end_at_silent_primary("--cancel-at-eof", first, second)
        self.assertEqual([line.split(" ")[0] for line in lines], ["cancelled"] * 2)

    def test_foreign_layer_nobody_has_says_that_urls_are_not_followed(self):
        self.serve({"on": "/blobs/", "status": 404})
        self.mirror = "127.0.0.1:%d/some/image" % self.other
        for media_type in ("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
                           "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"):
            run = self.run_blobs(self.layers[0], options=("--media-type", media_type))
            self.expect_failure(run, "network", "foreign layer", "not followed")
        run = self.run_blobs(self.layers[0], options=(
            "--media-type", "application/vnd.oci.image.layer.v1.tar"))
        self.expect_failure(run, "network", "not found")
        self.assertNotIn(b"foreign", run.stderr)


if __name__ == "__main__":
    unittest.main()
