# SPDX-License-Identifier: Apache-2.0
"""What lies beside an image: signatures under tags, referrers, the signature extension, lookaside
servers; from a registry that misbehaves."""
import json
import os
import unittest

from http_case import HttpCase, make_ca, oci_layout

BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
COSIGN = "application/vnd.dev.cosign.simplesigning.v1+json"
EMPTY = {"mediaType": "application/vnd.oci.empty.v1+json", "size": 2,
         "digest": "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"}
NONE = 3
LISTS = "GET .*/referrers/"
PING = "GET /v2/$"
EXTENSION = "GET /extensions/"


def tag_of(digest, suffix=""):
    return digest.replace(":", "-") + suffix


class AttachmentCase(HttpCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        image = cls.manifest["digest"]
        cls.payload = b'{"critical":{}}'
        cls.blob = oci_layout.add_blob(cls.layout, cls.payload, COSIGN)
        cls.signature = cls.add({"layers": [cls.blob], "config": EMPTY})
        cls.bundles = [cls.add({"artifactType": BUNDLE, "config": EMPTY, "layers": [],
                                "subject": cls.manifest, "annotations": {"n": str(i)}})
                       for i in range(3)]
        cls.entries = [dict(d, artifactType=BUNDLE) for d in cls.bundles]
        cls.lines = ["%s %d %s" % (d["digest"], d["size"], BUNDLE) for d in cls.bundles]
        listed = json.dumps(cls.index(cls.entries)).encode()
        cls.named = {tag_of(image, ".sig"): cls.signature,
                     tag_of(image): oci_layout.add_blob(cls.layout, listed, oci_layout.INDEX)}
        cls.tag(cls.named)

    @classmethod
    def add(cls, members):
        document = {"schemaVersion": 2, "mediaType": oci_layout.MANIFEST, **members}
        return oci_layout.add_blob(cls.layout, json.dumps(document).encode(), oci_layout.MANIFEST)

    @classmethod
    def tag(cls, named):
        path = os.path.join(cls.layout, "index.json")
        with open(path, encoding="utf-8") as file:
            index = json.load(file)
        for name, descriptor in named.items():
            index["manifests"].append(
                dict(descriptor, annotations={"org.opencontainers.image.ref.name": name}))
        with open(path, "w", encoding="utf-8") as file:
            json.dump(index, file)

    @staticmethod
    def index(entries):
        return {"schemaVersion": 2, "mediaType": oci_layout.INDEX, "manifests": entries}

    def bytes_of(self, descriptor):
        with open(os.path.join(self.layout, "blobs", "sha256", descriptor["digest"][7:]),
                  "rb") as file:
            return file.read()

    def page(self, on, entries, name="page", **fault):
        headers = {"Content-Type": oci_layout.INDEX, **fault.pop("headers", {})}
        return {"on": on, "headers": headers,
                "contents": self.write("." + name, json.dumps(self.index(entries))), **fault}

    def expect(self, run, output):
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertEqual(run.stdout, output)

    def expect_none(self, run):
        self.assertEqual((run.returncode, run.stdout), (NONE, b""), run.stderr)

    def expect_lines(self, run, lines):
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertEqual(run.stdout.decode().splitlines(), lines)


QUICK = ("--insecure", "--attempts", "1")


class Manifests(AttachmentCase):
    """By tag, by digest, and their blobs."""

    def setUp(self):
        super().setUp()
        self.sig = tag_of(self.manifest["digest"], ".sig")
        self.blob_args = ("attached", self.blob["digest"], str(self.blob["size"]))

    def test_found(self):
        self.serve()
        self.expect(self.drive("tagged", self.sig), self.bytes_of(self.signature))
        self.expect(self.drive("attached", self.bundles[0]["digest"]),
                    self.bytes_of(self.bundles[0]))
        self.expect(self.drive(*self.blob_args), self.payload)

    def test_many_at_once(self):
        self.serve(auth={"scheme": "bearer"})
        for args, one in ((("tagged", self.sig), self.bytes_of(self.signature)),
                          (self.blob_args, self.payload)):
            run = self.drive(*args, options=("--insecure", "--threads", "16"))
            self.expect(run, 16 * one)

    def test_only_404_means_none(self):
        missing = "sha256:" + 64 * "0"
        self.serve()
        for args in (("tagged", "missing"), ("attached", missing), ("attached", missing, "7")):
            self.expect_none(self.drive(*args))
        for status, code in ((500, "network"), (503, "network"), (403, "auth"), (401, "auth"),
                             (400, "network"), (410, "network"), (204, "network")):
            with self.subTest(status):
                self.serve({"on": r"\.sig$|blobs", "status": status, "body": ""})
                for args in ("tagged", self.sig), self.blob_args:
                    self.expect_failure(self.drive(*args, options=QUICK), code)

    def test_what_was_promised_is_checked(self):
        for what, on, args in (("header", r"\.sig$", ("tagged", self.sig)),
                               ("manifest", self.bundles[0]["digest"],
                                ("attached", self.bundles[0]["digest"])),
                               ("blob", "blobs", self.blob_args)):
            with self.subTest(what):
                self.serve({"on": on, "flip": 3})
                self.expect_failure(self.drive(*args), "integrity", "digest is")

    def test_limits_hold_while_bytes_come_in(self):
        self.serve({"on": r"\.sig$", "endless": True})
        self.expect_failure(self.drive("tagged", self.sig), "limit")
        self.serve({"on": "blobs", "endless": True})
        self.expect_failure(self.drive(*self.blob_args), "integrity")
        self.expect_failure(self.drive(*self.blob_args, options=("--insecure", "--limit", "14")),
                            "limit")
        self.assertEqual(len(self.requests("blobs")), 1)

    def test_cut(self):
        self.serve({"on": r"\.sig$", "cut_at": 10})
        self.expect_failure(self.drive("tagged", self.sig), "network")
        self.serve({"on": r"\.sig$", "cut_at": 10, "times": 1})
        self.expect(self.drive("tagged", self.sig), self.bytes_of(self.signature))

    def test_documents_of_two_kinds_are_refused(self):
        both = json.dumps({**json.loads(self.bytes_of(self.signature)), "manifests": []})
        self.serve({"on": r"\.sig$", "contents": self.write(".both", both),
                    "headers": {"Content-Type": oci_layout.MANIFEST}})
        self.expect_failure(self.drive("tagged", self.sig), "format", "ambiguous")

    def test_only_the_place_that_served_is_asked(self):
        """A mirror without signatures is not helped out by the original location."""
        primary = self.serve()
        log = self.log
        mirror = self.serve({"on": r"\.sig$", "status": 404})
        conf = self.write(".conf", """[[registry]]
prefix = "original.test"
location = "127.0.0.1:%d"
insecure = true
[[registry.mirror]]
location = "127.0.0.1:%d"
insecure = true
""" % (primary, mirror))
        run = self.drive("tagged", self.sig, host="original.test",
                         options=("--registries-conf", conf))
        self.expect_none(run)
        self.assertFalse(os.path.exists(log) and os.path.getsize(log))


class Referrers(AttachmentCase):
    def list(self, *options):
        return self.drive("referrers", self.manifest["digest"], options=options or QUICK)

    def refuse(self, code, *texts, options=QUICK):
        run = self.list(*options)
        self.expect_failure(run, code, "referrers", *texts)
        self.assertEqual(run.stdout, b"")

    def test_api(self):
        self.serve(self.page(LISTS, self.entries))
        self.expect_lines(self.list(), self.lines)
        self.assertEqual(len(self.requests(tag_of(self.manifest["digest"]))), 0)

    def test_none(self):
        self.serve(self.page(LISTS, []))
        self.expect_none(self.list())
        self.assertEqual(len(self.requests(tag_of(self.manifest["digest"]))), 0)

    def test_pages(self):
        """The way on may be a path or a whole URL; what comes twice is listed once."""
        for whole in False, True:
            with self.subTest(whole):
                link = "/v2/some/image/referrers/%s?last=1" % self.manifest["digest"]
                fault = self.page("GET .*[?]last=1$", self.entries, "two")
                first = self.page(LISTS, self.entries[:1], "one", headers={
                    "Link": '</else>; rel="prev", <%s>; a="b,c"; rel="next"' % link})
                self.serve(fault, first, auth={"scheme": "bearer"})
                if whole:
                    first["headers"]["Link"] = '<http://127.0.0.1:%d%s>;rel=next' % (self.port, link)
                self.expect_lines(self.list(), self.lines)
                self.assertTrue(all(r["authorization"] for r in self.requests("last=1")))

    def test_pages_stay_on_the_server(self):
        other = self.serve()
        log = self.log
        for url in ("http://127.0.0.1:%d/v2/x" % other, "//127.0.0.1:%d/v2/x" % other,
                    "https://127.0.0.1/v2/x"):
            with self.subTest(url):
                self.serve(self.page(LISTS, self.entries, headers={
                    "Link": '<%s>; rel="next"' % url}))
                self.refuse("network", "another server")
        for link in "<file:///etc/passwd>; rel=next", "<http://a:b@127.0.0.1/>; rel=next", "next":
            with self.subTest(link):
                self.serve(self.page(LISTS, self.entries, headers={"Link": link}))
                self.refuse("network", "no sense")
        self.assertFalse(os.path.exists(log) and os.path.getsize(log))

    def test_pages_in_a_circle_end(self):
        self.serve(self.page(LISTS, self.entries, headers={"Link": '<?again>; rel="next"'}))
        self.refuse("limit", "128 pages")
        self.assertEqual(len(self.requests("/referrers/")), 128)

    def test_bytes_of_all_pages_have_one_limit(self):
        large = [dict(self.entries[0], annotations={"x": "y" * 200 * 1024})] * 8
        self.serve(self.page(LISTS, large, headers={"Link": '<?again>; rel="next"'}))
        self.refuse("limit")
        self.assertEqual(len(self.requests("/referrers/")), 3)

    def test_a_later_page_that_fails_is_an_error(self):
        """Otherwise a list would end early, unnoticed."""
        for status in 404, 405, 500:
            with self.subTest(status):
                self.serve({"on": "GET .*[?]two$", "status": status},
                           self.page(LISTS, self.entries, headers={"Link": '<?two>; rel="next"'}))
                self.refuse("network", "HTTP %d" % status)

    def test_too_many(self):
        for n in 129, 10000:
            with self.subTest(n):
                self.serve(self.page(LISTS, [dict(self.entries[0], digest="sha256:%064x" % i)
                                             for i in range(n)]))
                self.refuse("limit", "more than 128")

    def test_entries_that_cannot_be_read_are_passed_over(self):
        bad = [7, None, {}, dict(self.entries[0], digest="sha256:../../etc/passwd"),
               dict(self.entries[0], size=-1), dict(self.entries[0], artifactType=[1])]
        self.serve(self.page(LISTS, bad + self.entries))
        self.expect_lines(self.list(), self.lines)

    def test_lists_that_are_none(self):
        for text, kind, code in (("{", oci_layout.INDEX, "format"), ("[]", "", "format"),
                                 ("<html>", "text/html", "format"),
                                 (self.bytes_of(self.signature).decode(), "", "format"),
                                 ("{}", "image/png", "unsupported")):
            with self.subTest(text):
                self.serve({"on": LISTS, "contents": self.write(".bad", text),
                            "headers": {"Content-Type": kind} if kind else {}})
                self.refuse(code)

    def test_answers_that_break(self):
        for fault, code in (({"endless": True}, "limit"), ({"cut_at": 20}, "network"),
                            ({"short": 20}, "format")):
            with self.subTest(fault):
                self.serve(self.page(LISTS, self.entries, **fault))
                self.refuse(code)

    def test_without_the_api_the_tag_has_the_list(self):
        """docker-registry 2.8 and older ones of all makers, each in its way."""
        for status in 404, 405, 400, 406:
            with self.subTest(status):
                self.serve({"on": LISTS, "status": status})
                self.expect_lines(self.list(), self.lines)
                self.serve({"on": LISTS + "|/manifests/sha256-", "status": 404})
                if status == 404:
                    self.expect_none(self.list())

    def test_trouble_is_not_a_missing_api(self):
        for status, code in ((401, "auth"), (403, "auth"), (429, "network"), (500, "network"),
                             (503, "network"), (418, "network")):
            with self.subTest(status):
                self.serve({"on": LISTS, "status": status})
                self.refuse(code)
                self.assertEqual(self.requests(tag_of(self.manifest["digest"])), [])
        self.serve({"on": "/manifests/sha256-", "status": 500})
        self.refuse("network")

    def test_layout(self):
        """In index.json, by tag or without one; others' referrers are not the image's."""
        other = self.add({"artifactType": BUNDLE, "config": EMPTY, "layers": [],
                          "subject": self.config})
        layout = os.path.join(self.folder, self.id())
        os.makedirs(layout)
        os.symlink(os.path.join(self.layout, "blobs"), os.path.join(layout, "blobs"))
        os.symlink(os.path.join(self.layout, "oci-layout"), os.path.join(layout, "oci-layout"))
        image = dict(self.manifest, annotations={"org.opencontainers.image.ref.name": "latest"})
        gone = dict(self.entries[0], digest="sha256:" + 64 * "0")
        lies = dict(self.entries[0], digest=self.entries[1]["digest"], size=1)
        listed = {"tag": [dict(self.named[tag_of(self.manifest["digest"])], annotations={
                      "org.opencontainers.image.ref.name": tag_of(self.manifest["digest"])})],
                  "typed": self.entries, "untyped": self.bundles,
                  "hostile": [gone, lies, dict(other, artifactType=BUNDLE), *self.entries]}
        for name, entries in listed.items():
            with self.subTest(name):
                with open(os.path.join(layout, "index.json"), "w", encoding="utf-8") as file:
                    json.dump(self.index([image, *entries]), file)
                run = self.drive("referrers", self.manifest["digest"], host="oci:" + layout)
                lines = self.lines if name != "hostile" else [self.lines[i] for i in (0, 2)]
                self.expect_lines(run, lines)
        self.expect_none(self.drive("referrers", self.config["digest"][:-1] + "0",
                                    host="oci:" + layout))
        self.expect(self.drive("attached", self.bundles[0]["digest"], host="oci:" + layout),
                    self.bytes_of(self.bundles[0]))
        self.expect_none(self.drive("tagged", "other", host="oci:" + layout))
        self.expect_none(self.drive("attached", "sha256:" + 64 * "0", host="oci:" + layout))
        self.expect_none(self.drive("extension", self.config["digest"], host="oci:" + layout))


class Extension(AttachmentCase):
    OFFER = {"on": PING, "status": 200, "body": "{}",
             "headers": {"X-Registry-Supports-Signatures": "1"}}
    TEXT = '{"signatures":[]}'

    def get(self, *options):
        return self.drive("extension", self.manifest["digest"], options=options or QUICK)

    def test_not_offered(self):
        for value in None, "0", "true", "11":
            with self.subTest(value):
                offer = dict(self.OFFER, headers={"X-Registry-Supports-Signatures": value})
                self.serve(*[offer] if value else [])
                self.expect_none(self.get("--attempts", "1", "--insecure"))
                self.assertEqual(self.requests("/extensions/"), [])

    def test_offered(self):
        self.serve(self.OFFER, {"on": EXTENSION, "status": 200, "body": self.TEXT})
        self.expect(self.get(), self.TEXT.encode())
        self.assertEqual(self.requests("/extensions/")[0]["path"],
                         "/extensions/v2/some/image/signatures/" + self.manifest["digest"])

    def test_shows_the_usual_authorization(self):
        self.serve(self.OFFER, {"on": EXTENSION, "status": 200, "body": self.TEXT},
                   auth={"scheme": "basic", "user": "me", "password": "secret"})
        self.expect(self.get("--creds", "me:secret", *QUICK), self.TEXT.encode())
        self.assertTrue(self.requests("/extensions/")[0]["authorization"])

    def test_what_the_root_asks_for_is_for_the_root_only(self):
        """Some registries name a scope of their own making there."""
        tokens = self.serve(auth={"scheme": "bearer", "given": "given"})
        challenge = ('Bearer realm="http://127.0.0.1:%d/token",service="s",'
                     'scope="repository:user/image:pull"' % tokens)
        self.serve({"on": PING, "after": 1, "times": 1, "status": 401,
                    "headers": {"WWW-Authenticate": challenge}},
                   self.OFFER, {"on": EXTENSION, "status": 200, "body": self.TEXT},
                   auth={"scheme": "bearer"})
        self.expect(self.get(), self.TEXT.encode())
        shown = [r["authorization"] for r in self.requests() if r["path"] == "/v2/"]
        self.assertEqual(shown, [None, None, "Bearer token-2"])
        self.assertEqual(self.requests("/extensions/")[0]["authorization"], "Bearer token-1")

    def test_offered_but_failing_is_an_error(self):
        for status, code in ((404, "network"), (500, "network"), (403, "auth"), (204, "network")):
            with self.subTest(status):
                self.serve(self.OFFER, {"on": EXTENSION, "status": status, "body": ""})
                self.expect_failure(self.get(), code, "extension")
        self.serve({"on": PING, "status": 500})
        self.expect_failure(self.get(), "network", "extension")

    def test_limit(self):
        self.serve(self.OFFER, {"on": EXTENSION, "status": 200, "body": self.TEXT})
        self.expect(self.get("--limit", "17", *QUICK), self.TEXT.encode())
        self.expect_failure(self.get("--limit", "16", *QUICK), "limit")


class WebFiles(AttachmentCase):
    def get(self, path="/file", *options, scheme="http"):
        return self.drive("url", "%s://127.0.0.1:%d%s" % (scheme, self.port, path),
                          options=options or QUICK)

    def serve_file(self, data=b"signature", **fault):
        path = os.path.join(self.folder, self.id())
        with open(path, "wb") as file:
            file.write(data)
        self.serve(*fault.pop("before", ()), {"on": "GET .*/file", "contents": path, **fault})

    def test_found_without_credentials(self):
        self.serve_file(before=[{"on": "GET /private", "status": 401, "headers": {
            "WWW-Authenticate": 'Basic realm="x"'}}])
        creds = (*QUICK, "--creds", "me:secret")
        self.expect(self.get("/root/some/image@sha256=00/file", *creds), b"signature")
        self.expect_failure(self.get("/private", *creds), "auth", "no credentials")
        self.assertEqual([r["authorization"] for r in self.requests()], [None, None])

    def test_missing(self):
        for status in 404, 410:
            self.serve({"on": "/file", "status": status})
            self.expect_none(self.get())
        for status in 500, 503, 400, 204, 206:
            with self.subTest(status):
                self.serve({"on": "/file", "status": status, "body": ""})
                self.expect_failure(self.get(), "network")

    def test_redirects_stay(self):
        self.serve_file(before=[{"on": "GET /old", "status": 302, "headers": {"Location": "/file"}}])
        self.expect(self.get("/old"), b"signature")
        target = self.serve()
        log = self.log
        for location in ("http://127.0.0.1:%d/file" % target, "https://127.0.0.1/file",
                         "//localhost:%d/file" % target):
            with self.subTest(location):
                self.serve({"on": "/file", "status": 302, "headers": {"Location": location}})
                self.expect_failure(self.get(), "network", "another server")
        self.assertFalse(os.path.exists(log) and os.path.getsize(log))

    def test_five_redirects_and_no_more(self):
        hops = [{"on": "/hop%d$" % i, "status": 307, "headers": {"Location": "/hop%d" % (i - 1)}}
                for i in range(1, 7)]
        hops.append({"on": "/hop0$", "status": 307, "headers": {"Location": "/file"}})
        self.serve_file(before=hops)
        self.expect(self.get("/hop4"), b"signature")
        self.expect_failure(self.get("/hop5"), "network", "more than 5 redirects")

    def test_limit(self):
        self.serve_file()
        self.expect(self.get("/file", *QUICK, "--limit", "9"), b"signature")
        self.expect_failure(self.get("/file", *QUICK, "--limit", "8"), "limit")
        self.serve_file(endless=True)
        self.expect_failure(self.get(), "limit")

    def test_cut(self):
        self.serve_file(cut_at=3)
        self.expect_failure(self.get(), "network")
        path = self.write(".again", "signature")
        self.serve_file(cut_at=3, times=1)
        self.expect_none(self.get("/file", "--insecure"))  # the second try finds nothing
        self.serve({"on": "/file", "contents": path, "cut_at": 3, "times": 1},
                   {"on": "/file", "contents": path})
        self.expect(self.get("/file", "--insecure"), b"signature")

    def test_patience_ends_although_something_moves(self):
        hurried = "/file", "--insecure", "--file-ms", "300"
        self.serve_file(b"x" * 800, slow=1)
        self.expect_failure(self.get(*hurried), "network", "no whole answer within 300 ms")
        self.serve_file(before=[{"on": "GET .*/file", "status": 503, "times": 1,
                                 "headers": {"Retry-After": "3"}}])
        self.expect_failure(self.get(*hurried), "network", "no whole answer within 300 ms")

    def test_urls_that_are_none(self):
        self.serve()
        for url in ("file:///etc/passwd", "ftp://127.0.0.1/x", "/etc/passwd", "", "http://",
                    "http://me:secret@127.0.0.1/x"):
            with self.subTest(url):
                run = self.drive("url", url)
                self.expect_failure(run, "format", "not a URL")
                self.assertNotIn(b"secret", run.stderr)

    def test_tls(self):
        certs = os.path.join(self.folder, "tls")
        os.makedirs(certs)
        make_ca(certs)
        path = self.write(".file", "signature")
        self.serve({"on": "/file", "contents": path},
                   options=("--cert", certs + "/server.crt", "--key", certs + "/server.pem"))
        quick = ("--attempts", "1")
        self.expect(self.get("/file", *quick, "--cert-dir", certs, scheme="https"), b"signature")
        self.expect(self.get("/file", *QUICK, scheme="https"), b"signature")
        self.expect_failure(self.get("/file", *quick, scheme="https"), "network")

    def test_no_client_certificate_is_shown(self):
        certs = os.path.join(self.folder, "mutual")
        os.makedirs(certs)
        make_ca(certs)
        self.serve({"on": "/file", "contents": self.write(".file", "signature")},
                   options=("--cert", certs + "/server.crt", "--key", certs + "/server.pem",
                            "--client-ca", certs + "/ca.crt"))
        run = self.get("/file", "--attempts", "1", "--cert-dir", certs, scheme="https")
        self.expect_failure(run, "network")
        run = self.drive("manifest", options=("--attempts", "1", "--cert-dir", certs))
        self.assertEqual(run.returncode, 0, run.stderr)  # the registry is shown one


if __name__ == "__main__":
    unittest.main()
