#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Places of signatures, keys and policies that are too large, endless, silent, broken, or lead
elsewhere: memory is bounded, the message is one line, nothing is committed, and "could not be asked"
is never taken for "has none"."""
import json
import os
import signal
import time

import pull_case
from pull_case import FAILED, INTEGRITY, NETWORK, POLICY, PullCase
from test_policy_gate import ACCEPT, DENIED, REJECT, GateCase

import faulty_registry
import peak_memory
import registry
from counting_proxy import CountingProxy
from crafted_image import write_blob
from sign_layout import (BUNDLE, INDEX, MANIFEST, REF_NAME, PgpKey, add_referrers, add_tag, bundle_manifest,
                         digest_of)
from sigstore_lab import Lab, public_pem

GIB = 1 << 30
SIG, PAYLOAD_TYPE = r"/manifests/sha256-[0-9a-f]+\.sig", "application/vnd.dev.cosign.simplesigning.v1+json"
REFERRERS, LIST = "/referrers/", r"/manifests/sha256-[0-9a-f]+$"
PLACES = {"tag": SIG, "api": REFERRERS, "list": LIST}


class FaultCase(GateCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.lab = Lab()

    def bundle_rule(self):
        pub = self.write("lab.pub", public_pem(self.lab.key))
        return self.policy([{"type": "sigstoreSigned", "keyPath": pub, "x-bundles": "digest-only"}])

    def pgp_rule(self, path=None):
        return self.policy([{"type": "signedBy", "keyType": "GPGKeys", "keyPath": path or self.pgp.pub}])

    def lookaside(self, base):
        return "--registries.d", self.write("lookaside.yaml", json.dumps(
            {"default-docker": {"lookaside": base}}).encode())

    def sparse(self, name, size=GIB):
        path = self.write(name, b"")
        os.truncate(path, size)
        return path

    def signature_manifest(self, *layers):
        """A .sig image of these layers: put at the tag."""
        config = {"mediaType": "application/vnd.oci.image.config.v1+json", **write_blob(self.layout, b"{}")}
        text = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "config": config,
                           "layers": layers}).encode()
        add_tag(self.layout, {"mediaType": MANIFEST, **write_blob(self.layout, text)},
                digest_of(self.layout).replace(":", "-") + ".sig")

    def layer(self, data=b"{}", **more):
        return {"mediaType": PAYLOAD_TYPE, **write_blob(self.layout, data),
                "annotations": {"dev.cosignproject.cosign/signature": "AAAA"}, **more}

    def signature_layers(self):
        """Of the .sig image."""
        with open(os.path.join(self.layout, "index.json"), encoding="utf-8") as file:
            entry = next(e for e in json.load(file)["manifests"] if e["annotations"][REF_NAME].endswith(".sig"))
        with open(os.path.join(self.layout, "blobs", *entry["digest"].split(":")), encoding="utf-8") as file:
            return json.load(file)["layers"]

    def folder_of(self, image, base):
        name = image.removeprefix("docker://").split("/", 1)[1].rpartition(":")[0]
        path = os.path.join(base, f"{name}@{digest_of(self.layout).replace(':', '=')}")
        os.makedirs(path, exist_ok=True)
        return path


# ---- sizes ----

class Sizes(FaultCase):
    """With the program as it is shipped memory is measured, where there is one."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.pgp = PgpKey(cls.keys)
        cls.addClassCleanup(cls.pgp.close)

    def refuses(self, image, policy, *options, code=POLICY, says=()):
        run = self.pull_by(image, policy, "--retry", "1", *options)
        self.expect_refused(run, code, *says)
        program = peak_memory.shipped(pull_case.SLUICE)
        if program:
            command = self.pull_command(image, "--retry", "1", *options, policy=policy)
            command[0] = program
            run = self.run_sluice(peak_memory.measured(command))
            self.assertEqual(run.returncode, code, run.stderr)
            self.assertLess(peak_memory.peak(run.stdout), peak_memory.LIMIT)
            self.expect_nothing_left()

    def test_keys(self):
        image = self.serve(self.layout)
        self.sign(image)
        base = self.path("lookaside")
        options = self.lookaside("file://" + base)
        self.pgp.sign(base, image.removeprefix("docker://"), digest_of(self.layout))
        os.mkdir(self.path("folder"))
        for path, says in ((self.path("folder"), ()), (self.sparse("large"), ("larger than",)),
                           (self.path("missing"), ()), (self.write("empty", b""), ("empty",)),
                           ("/dev/zero", ()), ("/dev/null", ())):
            with self.subTest(path):
                self.refuses(image, self.policy([{"type": "sigstoreSigned", "keyPath": path}]),
                             says=("E_KEY", path, *says))
                self.refuses(image, self.pgp_rule(path), *options, says=("E_KEY", path, *says))

    def test_policies(self):
        image = self.serve(self.layout)
        good = json.dumps({"default": ACCEPT}).encode()
        size = 1 << 20
        path = self.write("fits", good + b" " * (size - len(good)))
        self.expect_allowed(self.pull_by(image, ("--policy", path)))
        self.fresh()
        scopes = {f"example.com/{i}": ACCEPT for i in range(8000)}
        self.expect_allowed(self.pull_by(image, self.policy(ACCEPT, docker=scopes)))
        self.fresh()
        self.log.lines.clear()
        folder = self.path("folder")
        os.mkdir(folder)
        scopes = {f"example.com/{i}": [{"type": "reject"}] for i in range(10000)}
        bombs = [b"[" * 500000, b'{"default":' * 50000, b'{"default":[' + b"[" * 1000 + b"]" * 1000 + b"]}",
                 b'{"default":[' + b'{"type":"reject"},' * 9000 + b'{"type":"reject"}]}']
        for number, (data, code) in enumerate((
                (good + b" " * (size + 1 - len(good)), FAILED),
                (json.dumps({"default": REJECT, "transports": {"docker": scopes}}, separators=(",", ":")).encode(),
                 FAILED),
                *((bomb, None) for bomb in bombs))):
            with self.subTest(data[:40]):
                path = self.write(f"policy-{number}", data)
                run = self.pull_by(image, ("--policy", path))
                self.assertIn(run.returncode, (FAILED, INTEGRITY) if code is None else (code,), run.stderr)
                self.refuses(image, ("--policy", path), code=run.returncode, says=(path,))
        self.refuses(image, ("--policy", self.sparse("large")), code=FAILED, says=("large",))
        self.refuses(image, ("--policy", folder), code=FAILED, says=("folder",))
        self.assertEqual(self.log.requests(), [])

    def test_registries_d(self):
        image = self.serve(self.layout)
        self.log.lines.clear()
        laughs = b"a: &a [x,x,x,x,x,x,x,x]\n" + b"".join(
            b"%c: &%c [*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c]\n" % ((n, n) + (n - 1,) * 8) for n in range(98, 110))
        cycle = b"default-docker: &a\n  lookaside: *a\n"
        deep = b"docker: " + b"[" * 100000
        for number, data in enumerate((laughs, b"docker: " + laughs.replace(b"\n", b"\n  "), cycle, deep,
                                       b"docker:\n" + b"  - \n" * 200000, b"#" * ((1 << 20) + 1))):
            with self.subTest(data[:20]):
                path = self.write(f"x{number}.yaml", data)
                run = self.pull_by(image, self.policy(self.signed()), "--registries.d", path)
                self.assertIn(run.returncode, (FAILED, INTEGRITY), run.stderr)
                self.refuses(image, self.policy(self.signed()), "--registries.d", path, code=run.returncode,
                             says=(path,))
        self.refuses(image, self.policy(self.signed()), "--registries.d", self.sparse("large.yaml"), code=FAILED)
        self.assertEqual(self.log.requests(), [])

    def test_cve_2020_1702_lookaside(self):
        """CVE-2020-1702: files of a gigabyte, answers without end, ten thousand of them"""
        image = self.serve(self.layout)
        base = self.path("lookaside")
        folder = self.folder_of(image, base)
        first, options = os.path.join(folder, "signature-1"), self.lookaside("file://" + base)
        os.rename(self.sparse("large"), first)
        self.refuses(image, self.pgp_rule(), *options, says=("E_NOSIG",))
        self.pgp.sign(base, image.removeprefix("docker://"), digest_of(self.layout), 2)
        self.expect_allowed(self.pull_by(image, self.pgp_rule(), *options))
        self.fresh()
        base = self.path("lookaside")
        folder, options = self.folder_of(image, base), self.lookaside("file://" + base)
        for number in range(1, 10001):
            os.link(self.pgp.pub, os.path.join(folder, f"signature-{number}"))
        self.refuses(image, self.pgp_rule(), *options, says=("E_NOSIG",))

    def test_cve_2020_1702_web(self):
        """CVE-2020-1702: the same from a web server"""
        image = self.serve(self.layout, {"on": "/signature-1$", "contents": self.pgp.pub, "endless": True},
                           {"on": "/signature-1?[0-9]$", "contents": self.pgp.pub, "many_headers": 10},
                           {"on": "/signature-", "contents": self.pgp.pub})
        host = image.removeprefix("docker://").split("/")[0]
        self.refuses(image, self.pgp_rule(), *self.lookaside(f"http://{host}/sigs"), says=("E_NOSIG",))
        requests = self.log.requests("/signature-")
        self.assertLessEqual(len(requests), 2 * 128)

    def test_cve_2020_1702_attachments(self):
        """CVE-2020-1702: endless manifests, lists, payloads, bundles"""
        self.sign("docker://example.com/a:1")
        for on in SIG, "/blobs/", REFERRERS, LIST:
            with self.subTest(on):
                part = self.signature_layers()[0]["digest"] if on == "/blobs/" else on
                image = self.serve(self.layout, {"on": part, "contents": os.path.join(self.layout, "index.json"),
                                                 "endless": True, "headers": {"Content-Type": INDEX}})
                run = self.pull_by(image, self.policy(self.signed()), "--retry", "1")
                self.assertNotEqual(run.returncode, 0)
                self.refuses(image, self.policy(self.signed()), code=run.returncode, says=(DENIED,))

    def test_claimed_sizes(self):
        """A payload and a bundle whose descriptors say a gigabyte are not asked for"""
        image, digest = self.serve(self.layout), digest_of(self.layout)
        self.signature_manifest(self.layer(size=GIB), self.layer(b"[]", size=GIB))
        manifest = bundle_manifest(self.layout, digest, self.lab.bundle(digest))
        manifest["layers"][0]["size"] = GIB
        add_referrers(self.layout, digest, (manifest, BUNDLE))
        self.refuses(image, self.bundle_rule(), says=("E_NOSIG",))
        asked = [r["path"] for r in self.log.requests("/blobs/")]
        for layer in *self.signature_layers(), *manifest["layers"]:
            self.assertFalse([path for path in asked if layer["digest"] in path])

    def test_ten_thousand_layers(self):
        image = self.serve(self.layout)
        self.signature_manifest(*[self.layer()] * 10000)
        self.refuses(image, self.policy(self.signed()), says=("E_NOSIG",))

    def test_annotations(self):
        """Annotations up to the manifest's own limit"""
        image = self.serve(self.layout)
        self.signature_manifest(self.layer(annotations={"dev.cosignproject.cosign/signature": "A" * 3000000}))
        self.refuses(image, self.policy(self.signed()), says=("E_NOSIG",))

    def test_one_good_among_junk(self):
        """A hundred layers of junk before the good one, and each kind of junk"""
        image = self.serve(self.layout)
        self.sign(image)
        signed, = self.signature_layers()
        junk = [self.layer(b"%d" % i) for i in range(96)] + [
            self.layer(b"x", size=GIB), self.layer(b"", annotations={}), self.layer(b"y", mediaType="text/plain"),
            self.layer(b"z", annotations={"dev.cosignproject.cosign/signature": "\n"})]
        with open(os.path.join(self.layout, "index.json"), encoding="utf-8") as file:
            index = json.load(file)
        del index["manifests"][-1]
        with open(os.path.join(self.layout, "index.json"), "w", encoding="utf-8") as file:
            json.dump(index, file)
        self.signature_manifest(*junk, signed)
        self.expect_allowed(self.pull_by(image, self.policy(self.signed())))


# ---- places that do not answer as they should ----

class Answers(FaultCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.pgp = PgpKey(cls.keys)
        cls.addClassCleanup(cls.pgp.close)

    def test_places_that_fail(self):
        """Who cannot be asked has not said that there is none"""
        for name, on in PLACES.items():
            for fault in ({"status": 500}, {"status": 503}, {"status": 429, "headers": {"Retry-After": "0"}},
                          {"status": 403}, {"status": 401}, {"status": 302}, {"nothing": True}, {"garbage": True},
                          {"redirect": True}):
                if name == "api" and fault.get("status") == 401:
                    continue
                with self.subTest(place=name, fault=fault):
                    self.fresh()
                    image = self.serve(self.layout, {"on": on, **fault})
                    run = self.pull_by(image, self.bundle_rule(), "--retry", "1")
                    self.expect_refused(run, NETWORK, DENIED, "E_FETCH")
        # What another place holds is enough all the same.
        self.fresh()
        image = self.serve(self.layout, {"on": REFERRERS, "status": 500})
        self.sign(image)
        self.expect_allowed(self.pull_by(image, self.policy(self.signed()), "--retry", "1"))

    def test_lookaside_404_is_none_and_500_is_unknown(self):
        for fault, code, says in (({"status": 404}, POLICY, "E_NOSIG"), ({"status": 410}, POLICY, "E_NOSIG"),
                                  ({"status": 500}, NETWORK, "E_FETCH"), ({"status": 403}, NETWORK, "E_FETCH"),
                                  ({"status": 401}, NETWORK, "E_FETCH"), ({"status": 429}, NETWORK, "E_FETCH"),
                                  ({"status": 204}, NETWORK, "E_FETCH"), ({"nothing": True}, NETWORK, "E_FETCH"),
                                  ({"redirect": "other"}, NETWORK, "E_FETCH"), ({"redirect": True}, NETWORK, "E_FETCH"),
                                  ({"redirect": "file:///etc/passwd"}, NETWORK, "E_FETCH")):
            with self.subTest(fault=fault):
                self.fresh()
                image = self.serve(self.layout, {"on": "/sigs/", **fault})
                host = image.removeprefix("docker://").split("/")[0]
                run = self.pull_by(image, self.pgp_rule(), "--retry", "1", *self.lookaside(f"http://{host}/sigs"))
                self.expect_refused(run, code, DENIED, says)
                self.assertEqual([r for r in self.log.requests("/sigs/") if r["port"] == "other"], [])
                self.assertEqual([r for r in self.log.requests("/sigs/") if r["authorization"]], [])

    def test_cve_2020_15157_credentials_do_not_travel(self):
        """CVE-2020-15157: whoever is redirected to is shown no credentials"""
        for scheme in "basic", "bearer":
            self.fresh()
            image = self.serve(self.layout, {"on": "^GET .*" + SIG, "redirect": "other"},
                               {"on": "^GET .*" + REFERRERS, "redirect": "other"},
                               auth={"scheme": scheme, "user": "user", "password": "secret"})
            self.sign(image)
            run = self.pull_by(image, self.policy(self.signed()), "--creds", "user:secret", "--retry", "1")
            elsewhere = [r for r in self.log.requests() if r["port"] == "other"]
            self.assertEqual([r for r in elsewhere if r["authorization"]], [])
            self.assertTrue(elsewhere)
            self.assertNotIn("secret", run.stderr)

    def test_layers_that_lie(self):
        """A .sig manifest whose payload is other bytes, a tag that answers with another manifest"""
        image = self.serve(self.layout)
        self.sign(image)
        payload, = self.signature_layers()
        for fault in {"flip": 3}, {"short": 1}, {"cut_at": 5}:
            with self.subTest(fault=fault):
                self.fresh()
                image = self.serve(self.layout, {"on": "/blobs/" + payload["digest"], **fault})
                run = self.pull_by(image, self.policy(self.signed()), "--retry", "1")
                self.expect_refused(run, run.returncode, DENIED)
                self.assertIn(run.returncode, (NETWORK, INTEGRITY))
        # The registry says itself which digest its answer should have.
        self.fresh()
        image = self.serve(self.layout, {"on": SIG, "flip": 1})
        self.expect_refused(self.pull_by(image, self.policy(self.signed()), "--retry", "1"), INTEGRITY, "E_FETCH")

    def test_cve_2019_10214_unverified_tls(self):
        """CVE-2019-10214: nobody unknown is shown a password or asked for signatures"""
        authority = registry.Authority(self.room)

        class Options:
            cert, key, client_ca = authority.cert, authority.key, None
        self.log = pull_case.Log()
        state = faulty_registry.State(self.layout, {"auth": {"scheme": "basic", "user": "u", "password": "secret"}},
                                      self.log)
        faulty_registry.listen(state, "main", Options)
        host = f"127.0.0.1:{state.ports['main']}"
        command = self.command("pull", "--quiet", *self.policy(self.signed()), "--creds", "u:secret", "--retry", "1",
                               f"docker://{host}/some/image:latest", self.bundle)
        self.expect_refused(self.run_sluice(command), NETWORK, secrets=("secret",))
        self.assertEqual(self.log.requests(), [])
        image = self.serve(self.layout)
        lookaside = self.lookaside(f"https://{host}/sigs")
        command = [x for x in self.pull_command(image, "--retry", "1", *lookaside, policy=self.pgp_rule())
                   if x != "--tls-verify=false"]
        conf = self.write("registries.conf", '[[registry]]\nlocation = "{}"\ninsecure = true\n'.format(
            image.removeprefix("docker://").split("/")[0]).encode())
        command[-2:-2] = ["--registries-conf", conf]
        self.expect_refused(self.run_sluice(command), NETWORK, DENIED, "E_FETCH")

    def test_interrupted_in_silence(self):
        """Ctrl-C ends a pull at once, whoever is silent, and wherever"""
        for on, fault in ((SIG, {"stall": True}), (REFERRERS, {"stall": True}), (LIST, {"stall": True}),
                          ("/sigs/", {"stall": True}), (SIG, {"stall_at": 5}), ("payload", {"stall_at": 5})):
            with self.subTest(on=on, fault=fault):
                self.fresh()
                where = self.signature_layers()[0]["digest"] if on == "payload" else on
                image = self.serve(self.layout, {"on": where, **fault})
                if on != "/sigs/":
                    self.sign(image)
                host = image.removeprefix("docker://").split("/")[0]
                rule = self.pgp_rule() if on == "/sigs/" else self.policy(self.signed(self.stranger))
                child = self.start_by(image, rule, *self.lookaside(f"http://{host}/sigs"))
                said = {SIG: ".sig", LIST: "/manifests/sha256-"}.get(on, where)
                self.assertTrue(self.log.wait_for(said))
                start = time.monotonic()
                child.send_signal(signal.SIGINT)
                _, err = child.communicate(timeout=pull_case.DEADLINE)
                self.assertLess(time.monotonic() - start, 10)
                self.assertEqual(child.returncode, FAILED, err)
                self.expect_nothing_left()

    def test_pages_of_another_host(self):
        """The next page of referrers is not fetched from elsewhere"""
        index = self.write("index", json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": []}).encode())
        with CountingProxy() as elsewhere:
            elsewhere.replace("/page", 404)
            image = self.serve(self.layout, {"on": REFERRERS, "contents": index, "headers": {
                "Content-Type": INDEX, "Link": f'<{elsewhere.url}/page>; rel="next"'}})
            run = self.pull_by(image, self.policy(self.signed()), "--retry", "1")
            self.expect_refused(run, NETWORK, DENIED, "E_FETCH")
            self.assertEqual(elsewhere.requests, [])


if __name__ == "__main__":
    pull_case.main()
