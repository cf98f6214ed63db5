#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`sluice pull --trace`: what Chrome and Perfetto will read, and what it says of the pull. The form is
that of Chrome's trace events. The program's path is in SLUICE."""
import collections
import json
import os

import pull_case
from crafted_image import Layer, b64, flip, write_image
from make_tars import archive, entry
from pull_case import FAILED, INTEGRITY, PullCase

KEK = bytes(range(32))
BIG = archive(entry(b"big", os.urandom(3 << 20)), entry(b"text", b"hello\n" * 300000))
LAYERS = (BIG, "gzip", KEK), (archive(entry(b"small", b"1")), "gzip", KEK), \
    (archive(entry(b"c", os.urandom(2 << 20))), "zstd", KEK), (archive(entry(b"d", b"2")), None, None)


class Trace:
    def __init__(self, path):
        with open(path, encoding="utf-8") as file:
            self.document = json.load(file)
        self.events = self.document["traceEvents"]

    def of(self, phase):
        return [e for e in self.events if e["ph"] == phase]

    def slices(self, **args):
        return [e for e in self.of("X") if args.items() <= e.get("args", {}).items()]

    def tracks(self):
        """{tid: [(first, behind the last nanosecond, name)]}"""
        tracks = collections.defaultdict(list)
        for e in self.of("X"):
            start = round(e["ts"] * 1000)
            tracks[e["tid"]].append((start, start + round(e["dur"] * 1000), e["name"]))
        return tracks

    def names(self):
        return {e["tid"]: e["args"]["name"] for e in self.of("M") if e["name"] == "thread_name"}


class TraceCase(PullCase):
    def setUp(self):
        super().setUp()
        self.layers = [Layer(*recipe) for recipe in LAYERS]
        self.keys = self.write("keys.json", json.dumps({"default/image-kek/one": b64(KEK)}).encode())
        self.trace = self.path("pull.trace")

    def traced(self, *options, trace=None):
        write_image(self.path("layout"), self.layers)
        image = self.serve(self.path("layout"))
        return self.pull(image, "--kbc", "offline_fs_kbc::null", "--offline-keys", self.keys,
                         "--trace", trace or self.trace, *options)

    # ---- what must be true of every trace ----

    def check_form(self, trace):
        pids = {e["pid"] for e in trace.events}
        self.assertEqual(len(pids), 1)
        named = trace.names()
        for e in trace.events:
            self.assertIsInstance(e["name"], str)
            self.assertIn(e["ph"], ("X", "M", "C", "b", "e"))
            if e["ph"] != "M":
                self.assertGreaterEqual(e["ts"], 0)
                self.assertIn(e["tid"], named)
            if e["ph"] == "X":
                self.assertGreaterEqual(e["dur"], 0)
        self.assertEqual(trace.document["otherData"]["events_dropped"], 0)
        self.assertEqual(len(set(named.values())), len(named))
        self.assertEqual(named[next(iter(pids))], "pull")

    def check_nesting(self, trace):
        """Of two slices of a thread one is in the other, or they have nothing in common."""
        for track in trace.tracks().values():
            open_slices = []
            for start, end, name in sorted(track, key=lambda s: (s[0], -s[1])):
                while open_slices and open_slices[-1][1] <= start:
                    open_slices.pop()
                if open_slices:
                    self.assertLessEqual(end, open_slices[-1][1], (name, open_slices[-1]))
                open_slices.append((start, end, name))

    def check_counts(self, trace):
        """Buffers go out and come home, one at a time, in order of time."""
        lanes = collections.defaultdict(list)
        for e in trace.of("C"):
            lanes[e["name"]].append((e["ts"], e["args"]["in use"]))
        for name, counts in lanes.items():
            counts.sort(key=lambda c: c[0])
            self.assertEqual(counts[-1][1], 0, name)
            steps = [b[1] - a[1] for a, b in zip([(0, 0)] + counts, counts)]
            self.assertLessEqual({abs(s) for s in steps}, {1}, name)
        return set(lanes)

    def check_all(self, trace):
        self.check_form(trace)
        self.check_nesting(trace)
        return self.check_counts(trace)


class GoodPulls(TraceCase):
    def check_stages(self, trace, report):
        for number, layer in enumerate(report["layers"], 1):
            for stage in layer["stages"]:
                slices = [e for e in trace.slices(layer=number) if e["name"] == stage["name"]]
                self.assertTrue(slices, (number, stage["name"]))
                self.assertEqual(sum(e["args"]["bytes"] for e in slices), stage["bytes"],
                                 (number, stage["name"]))
            fetched = [e for e in trace.slices(layer=number) if e["name"] == "fetch"]
            self.assertEqual(sum(e["args"]["bytes"] for e in fetched), layer["size"])

    def test_every_stage_of_every_layer_is_seen(self):
        run = self.traced("--json")
        self.assertEqual((run.returncode, run.stderr), (0, ""))
        trace, report = Trace(self.trace), json.loads(run.stdout)
        lanes = self.check_all(trace)
        self.check_stages(trace, report)
        self.assertEqual([s["name"] for s in report["layers"][0]["stages"]],
                         ["decrypt", "decompress", "diff_id", "unpack"])
        self.assertEqual(len(lanes), 2 * len(LAYERS) - 1)  # a plain layer needs no second lane
        for phase in "b", "e":
            self.assertEqual(sorted(e["name"] for e in trace.of(phase)),
                             ["layer %d" % n for n in range(1, len(LAYERS) + 1)])

    def test_each_kind_of_thread_has_its_track(self):
        self.assertEqual(self.traced().returncode, 0)
        trace = Trace(self.trace)
        names = trace.names()
        where = collections.defaultdict(set)
        for e in trace.of("X"):
            where[e["name"]].add(names[e["tid"]].rstrip(" 0123456789"))
        self.assertEqual(where["fetch"], {"network"})
        self.assertEqual(where["decrypt"], {"worker"})
        self.assertEqual(where["sync and commit layers"], {"commit"})
        self.assertEqual(where["commit and mount"], {"pull"})

    def test_blob_that_is_verified_first_is_seen_twice(self):
        run = self.traced("--verify-first")
        self.assertEqual(run.returncode, 0, run.stderr)
        trace = Trace(self.trace)
        self.check_all(trace)
        for layer in 1, 2, 3:
            ends = [max(s["ts"] + s["dur"] for s in trace.slices(layer=layer) if s["name"] == name)
                    for name in ("decrypt", "unpack")]
            starts = [min(s["ts"] for s in trace.slices(layer=layer) if s["name"] == name)
                      for name in ("decrypt", "unpack")]
            self.assertLess(ends[0], starts[1])

    def test_layout_is_read_by_a_thread_of_its_own(self):
        write_image(self.path("layout"), [Layer(BIG)])
        run = self.pull("oci:" + self.path("layout") + ":latest", "--trace", self.trace)
        self.assertEqual(run.returncode, 0, run.stderr)
        trace = Trace(self.trace)
        self.check_all(trace)
        self.assertIn("reader", trace.names().values())

    def test_next_trace_takes_the_place_of_the_last(self):
        self.write("pull.trace", b"something else" * 1000000)
        self.assertEqual(self.traced().returncode, 0)
        self.check_all(Trace(self.trace))


class FailedPulls(TraceCase):
    def test_trace_of_a_failed_pull_is_written(self):
        blob = self.layers[0].blob
        self.layers[0].blob = flip(blob, 2 << 20)
        self.expect_refused(self.traced(), INTEGRITY, "layer 1/4")
        trace = Trace(self.trace)
        self.check_all(trace)
        self.assertTrue([e for e in trace.slices(layer=1) if e["name"] == "decrypt"])
        self.assertNotIn("commit and mount", {e["name"] for e in trace.of("X")})

    def refuse(self, trace, *texts):
        self.expect_one_line(self.traced(trace=trace), FAILED, "trace: ", *texts)
        self.assertEqual(self.log.requests(), [])
        self.expect_nothing_left()

    def test_file_that_cannot_be_written_is_refused_before_anything_is_asked(self):
        self.refuse(self.path("no/such/folder.json"), "no/such/", "No such file")
        self.refuse(self.path("pull.trace") + "/", "pull.trace")
        self.refuse(self.path(""), "names a folder")

    def test_devices_and_links_stay_what_they_are(self):
        os.mkfifo(self.path("pipe"))
        os.symlink("elsewhere", self.path("link"))
        for name in "pipe", "link":
            before = os.lstat(self.path(name)).st_ino
            self.refuse(self.path(name), name, "is no regular file")
            self.assertEqual(os.lstat(self.path(name)).st_ino, before)


if __name__ == "__main__":
    pull_case.main()
