# SPDX-License-Identifier: Apache-2.0
"""A blob fetched by several ranges at once: it must come whole and in order, whatever becomes of
the requests that are ahead of the others."""
import re
import unittest

from http_case import BIG, HttpCase

RANGE = 128 * 1024
RANGES = -(-BIG // RANGE)
BLOBS = "GET .*/blobs/"
WIDTH = 8  # SL_RANGES_MAX


class Ranges(HttpCase):
    def fetch(self, *options, layers=None):
        layers = layers or self.layers[:1]
        return self.drive(*self.blob_args(*layers),
                          options=("--insecure", "--ranges", str(RANGE), *options))

    def expect_whole(self, *options):
        self.expect_blobs(self.fetch(*options), self.layers[0])

    def starts(self):
        return [int(re.match(r"bytes=(\d+)-", r["range"] or "bytes=0-")[1])
                for r in self.requests("/blobs/")]

    def test_each_range_is_asked_for_once(self):
        self.serve()
        self.expect_whole()
        self.assertEqual(sorted(self.starts()), [i * RANGE for i in range(RANGES)])

    def test_several_are_asked_for_before_the_first_is_here(self):
        # The first one never ends by itself: the others were asked for beside it.
        self.serve({"on": BLOBS, "range": "=0-", "times": 1, "stall_at": 1000})
        self.expect_whole("--stall-s", "1")
        stalled = [s % RANGE for s in self.starts()]
        self.assertGreater(stalled.index(1000), 2)

    def test_ranges_of_several_buffers_wait_for_their_turn(self):
        # Larger than a buffer: what is ahead keeps full ones until the first one is here.
        self.serve({"on": BLOBS, "range": "=0-", "times": 1, "stall_at": 1000})
        self.expect_whole("--stall-s", "1", "--ranges", str(600 * 1024))

    def test_small_blob_and_near_registry_take_one_request(self):
        self.serve()
        self.expect_blobs(self.fetch(layers=self.layers[1:2]), self.layers[1])
        self.assertEqual([r["range"] for r in self.requests("/blobs/")], [None])
        self.serve()
        run = self.drive(*self.blob_args(self.layers[0]))
        self.expect_blobs(run, self.layers[0])
        self.assertEqual([r["range"] for r in self.requests("/blobs/")], [None])

    def test_several_blobs_share_the_ranges(self):
        # None ends by itself, so that as many are under way as are asked for at once: all of the
        # first blob's, and each other blob has its first one.
        at_once = WIDTH + 2
        self.serve({"on": BLOBS, "times": at_once, "stall_at": 1000})
        layers = [self.layers[0], self.layers[2], self.layers[3]]
        self.expect_blobs(self.fetch("--stall-s", "1", layers=layers), *layers)
        stalled = [s % RANGE for s in self.starts()]
        self.assertEqual(stalled.index(1000), at_once)

    def test_little_memory_still_brings_all(self):
        for pool in 9, 10, 12, 20:
            with self.subTest(pool):
                self.serve()
                self.expect_whole("--pool", str(pool))

    def test_lane_of_one_buffer_is_enough(self):
        self.serve()
        self.expect_whole("--lane", "1", "--pool", "3")

    def test_late_sink_makes_them_wait(self):
        self.serve()
        self.expect_whole("--hold-ms", "300", "--pool", "14")

    def test_server_that_ignores_ranges_is_asked_once_more_at_most(self):
        self.serve({"on": BLOBS, "ignore_range": True})
        self.expect_whole()

    def test_ranges_that_are_ignored_from_some_point_on(self):
        self.serve({"on": BLOBS, "after": 3, "ignore_range": True})
        self.expect_whole()

    def test_wrong_content_range_of_one_ahead_is_asked_for_again(self):
        self.serve({"on": BLOBS, "range": "=%d-" % (3 * RANGE), "times": 1, "wrong_range": True})
        self.expect_whole()
        self.assertEqual(self.starts().count(3 * RANGE), 2)

    def test_wrong_content_range_for_ever_is_a_network_error(self):
        self.serve({"on": BLOBS, "wrong_range": True})
        self.expect_failure(self.fetch(), "network", "a range we did not ask for")

    def test_connections_that_break_are_resumed(self):
        for after in 0, 1, 3, 6:
            with self.subTest(after):
                self.serve({"on": BLOBS, "after": after, "times": 2, "cut_at": 50000})
                self.expect_whole()
                at = [s for s in self.starts() if s % RANGE]
                self.assertEqual([s % RANGE for s in at], [50000] * 2)

    def test_every_connection_breaks_and_little_moves(self):
        self.serve({"on": BLOBS, "cut_at": 70000})
        self.expect_failure(self.fetch(), "network", "after 5 attempts")

    def test_server_that_wants_fewer_requests_gets_fewer(self):
        self.serve({"on": BLOBS, "after": 1, "times": 5, "status": 429})
        self.expect_whole()

    def test_slow_range_does_not_spoil_the_others(self):
        self.serve({"on": BLOBS, "range": "=%d-" % (2 * RANGE), "times": 1, "slow": 4096})
        self.expect_whole()

    def test_range_that_stalls_is_asked_for_again(self):
        self.serve({"on": BLOBS, "range": "=%d-" % (3 * RANGE), "times": 1, "stall_at": 4000})
        self.expect_whole("--stall-s", "1")

    def test_bytes_that_were_changed_in_one_range_are_seen(self):
        self.serve({"on": BLOBS, "flip": 4 * RANGE + 5})
        run = self.fetch()
        self.assertEqual(run.returncode, 0, run.stderr)  # the driver judges no digest
        self.assertNotIn(self.layers[0]["digest"].encode(), run.stdout)

    def test_wrong_size_is_an_integrity_error(self):
        layer = dict(self.layers[0], size=self.layers[0]["size"] + 1)
        self.serve()
        self.expect_failure(self.fetch(layers=[layer]), "integrity", "the descriptor says")

    def test_missing_blob_is_not_found(self):
        self.serve({"on": BLOBS, "status": 404})
        self.expect_failure(self.fetch(), "network", "not found")

    def test_redirects_and_authorization_hold_for_each(self):
        self.serve({"on": "^GET .*/blobs/", "redirect": "other"},
                   auth={"scheme": "basic", "user": "me", "password": "secret"})
        self.expect_whole("--creds", "me:secret")
        other = [r for r in self.requests("/blobs/") if r["port"] == "other"]
        self.assertEqual({r["authorization"] for r in other}, {None})
        self.assertEqual(len(other), RANGES)

    def test_token_that_expires_midway_is_renewed(self):
        self.serve(auth={"scheme": "bearer", "uses": 5})
        self.expect_whole()

    def test_stop_and_cancellation_end_all_of_them(self):
        for option in "--stop-at", "--cancel-at":
            with self.subTest(option):
                self.serve()
                run = self.fetch(option, str(3 * RANGE))
                self.assertEqual(run.returncode, 1, run.stderr)
                self.assertIn(b"cancelled", run.stderr)


if __name__ == "__main__":
    unittest.main()
