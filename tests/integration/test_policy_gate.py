#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Signature policies of whole pulls: what is allowed, when it is asked, what waits for the answer,
and that a denial leaves nothing behind."""
import hashlib
import json
import os
import signal
import subprocess
import sys
import threading

import pull_case
from pull_case import FAILED, INTEGRITY, NETWORK, POLICY, USAGE, PullCase

from crafted_image import ARCHITECTURE, ENC, PUBOPTS, Layer, b64, write_document, write_image
from make_tars import archive, entry
import own_mounts
from sign_layout import (BUNDLE, INDEX, CosignKey, PgpKey, add_referrers, add_tag, bundle_manifest,
                         digest_of)
from sigstore_lab import Lab, public_pem

DENIED = "Image policy rejected: Denied by policy: "
WARNING = "warning: signature policy: "
ACCEPT, REJECT = [{"type": "insecureAcceptAnything"}], [{"type": "reject"}]
LAYERS = {"a": b"lower", "b": b"upper"}


class GateCase(PullCase):
    def setUp(self):
        super().setUp()
        self.layout = self.path("layout")
        self.layers = [Layer(archive(entry(name.encode(), data))) for name, data in LAYERS.items()]
        write_image(self.layout, self.layers)

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.keys = os.path.join(cls.folder, "keys")
        os.mkdir(cls.keys)
        cls.cosign, cls.stranger = CosignKey(cls.keys), CosignKey(cls.keys, "stranger")

    @classmethod
    def tearDownClass(cls):
        subprocess.run(["rm", "-rf", cls.keys], check=True)
        super().tearDownClass()

    def run_sluice(self, command):
        """Warnings about the policy itself go to self.warnings."""
        run = super().run_sluice(command)
        lines = run.stderr.splitlines(keepends=True)
        self.warnings = [line for line in lines if WARNING in line]
        run.stderr = "".join(line for line in lines if WARNING not in line)
        return run

    def policy(self, default, name="policy.json", **transports):
        return "--policy", self.write(name, json.dumps(
            {"default": default, "transports": transports}).encode())

    def signed(self, key=None, **more):
        return [{"type": "sigstoreSigned", "keyPath": (key or self.cosign).pub, **more}]

    def sign(self, image, key=None, **more):
        (key or self.cosign).sign(self.layout, image.removeprefix("docker://"), **more)

    def pull_by(self, image, policy, *options):
        return self.pull(image, *options, policy=policy)

    def start_by(self, image, policy, *options):
        child = subprocess.Popen(self.pull_command(image, *options, policy=policy),
                                 stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE, text=True, env=self.environment())
        for cleanup in child.stdout.close, child.stderr.close, child.wait, child.kill:
            self.addCleanup(cleanup)
        return child

    def verify(self, image, policy, *options):
        return self.run_sluice([pull_case.SLUICE, "verify", "--tls-verify=false", *policy, *options,
                                image])

    def layer_requests(self):
        return [r for layer in self.layers for r in self.log.requests(layer.descriptor["digest"])]

    def signature_requests(self):
        return [r["path"] for r in self.log.requests()
                if ".sig" in r["path"] or "referrers" in r["path"] or "/sha256-" in r["path"]
                or "extensions" in r["path"]]

    def expect_allowed(self, run):
        self.expect_pulled(run, LAYERS)
        self.unmount_all()


class Scopes(GateCase):
    def test_the_most_specific_scope_decides(self):
        image = self.serve(self.layout)
        host, name = image.removeprefix("docker://").split("/", 1)
        for default, scopes, allowed in (
                (ACCEPT, {}, True), (REJECT, {}, False),
                (REJECT, {host: ACCEPT}, True), (ACCEPT, {host: REJECT}, False),
                (REJECT, {"": ACCEPT}, True),
                (ACCEPT, {host: ACCEPT, f"{host}/some": REJECT}, False),
                (REJECT, {host: REJECT, f"{host}/{name}": ACCEPT}, True),
                (REJECT, {host + "/so": ACCEPT}, False)):
            with self.subTest(default=default, scopes=scopes):
                self.fresh()
                run = self.pull_by(image, self.policy(default, docker=scopes))
                if allowed:
                    self.expect_allowed(run)
                else:
                    self.expect_refused(run, POLICY, DENIED, "E_REJECT")

    def test_layouts_have_scopes_of_their_own(self):
        image = f"oci:{self.layout}:latest"
        self.expect_allowed(self.pull_by(image, self.policy(REJECT, oci={self.layout: ACCEPT})))
        self.fresh()
        self.expect_refused(self.pull_by(image, self.policy(ACCEPT, oci={self.layout: REJECT})),
                            POLICY, DENIED, "E_REJECT")

    def test_layouts_have_scopes_by_whatever_way_one_comes(self):
        os.symlink(self.layout, self.path("link"))
        by_link, relative = f"oci:{self.path('link')}:latest", f"oci:{os.path.relpath(self.layout)}:latest"
        for image in by_link, relative:
            self.fresh()
            self.expect_allowed(self.pull_by(image, self.policy(REJECT, oci={self.layout: ACCEPT})))
            self.assertIn(f"oci:{self.layout}:latest", self.run_sluice(self.command("images")).stdout)
            self.assertEqual(self.run_sluice(self.command("rm", image)).returncode, 0)
            self.fresh()
            self.expect_refused(self.pull_by(image, self.policy(ACCEPT, oci={self.layout: REJECT})),
                                POLICY, DENIED, "E_REJECT")

    def test_who_accepts_anything_asks_for_nothing(self):
        image = self.serve(self.layout)
        self.expect_allowed(self.pull_by(image, self.policy(ACCEPT)))
        self.assertEqual(self.signature_requests(), [])
        self.assertIn("verification is disabled", "".join(self.warnings))

    def test_who_rejects_fetches_the_manifest_only(self):
        image = self.serve(self.layout)
        self.expect_refused(self.pull_by(image, self.policy(REJECT)), POLICY, "E_REJECT")
        self.assertEqual(self.signature_requests(), [])
        self.assertEqual(self.log.requests("/blobs/"), [])

    def test_a_cached_image_is_judged_again(self):
        image = self.serve(self.layout)
        self.expect_allowed(self.pull_by(image, self.policy(ACCEPT)))
        self.bundle = self.path("second")
        run = self.pull_by(image, self.policy(self.signed()))
        self.expect_one_line(run, POLICY, DENIED, "E_NOSIG")
        self.assertFalse(os.path.lexists(self.bundle))
        self.sign(image)
        self.log.lines.clear()
        self.expect_allowed(self.pull_by(image, self.policy(self.signed())))
        self.assertEqual(self.layer_requests(), [])


class Files(GateCase):
    """Nothing is asked for before the operator's files are read and right."""

    def setUp(self):
        super().setUp()
        self.image = self.serve(self.layout)

    def refused_unasked(self, code, *texts, policy, options=()):
        self.expect_refused(self.pull_by(self.image, policy, *options), code, *texts)
        self.assertEqual(self.log.requests(), [])

    def test_no_policy_at_all(self):
        self.refused_unasked(POLICY, DENIED, "--policy", "/etc/containers/policy.json",
                             "--insecure-policy", policy=())

    def test_the_machines_own(self):
        if "/etc/containers" not in own_mounts.HIDDEN:
            self.skipTest("the machine's own would be changed")
        with open("/etc/containers/policy.json", "w", encoding="ascii") as file:
            json.dump({"default": ACCEPT}, file)
        self.addCleanup(os.unlink, file.name)
        self.expect_allowed(self.pull_by(self.image, ()))

    def test_missing_file(self):
        self.refused_unasked(FAILED, "/nonexistent/p.json", policy=("--policy", "/nonexistent/p.json"))

    def test_broken_policy_says_where(self):
        path = self.write("broken.json", b'{"default": [\n  {"type": "reject", "typo": 1}]}\n')
        self.refused_unasked(INTEGRITY, "broken.json", "line 2", "typo", policy=("--policy", path))
        for text in b"", b"{}", b'{"default": []}', b'{"default":[{"type":"reject"}]} x':
            with self.subTest(text):
                path = self.write("broken.json", text)
                self.refused_unasked(INTEGRITY, "broken.json", policy=("--policy", path))

    def test_broken_registries_d(self):
        path = self.write("bad.yaml", b"docker: [\n")
        self.refused_unasked(INTEGRITY, "bad.yaml", policy=self.policy(ACCEPT),
                             options=("--registries.d", path))
        self.refused_unasked(FAILED, "/nonexistent", policy=self.policy(ACCEPT),
                             options=("--registries.d", "/nonexistent"))

    def test_pinned_policy(self):
        policy = self.policy(ACCEPT)
        with open(policy[1], "rb") as file:
            text = file.read()
        good = hashlib.sha256(text).hexdigest()
        for pin in (f"sha256:{good}", f"sha256:{good}{'00' * 16}", f"sha256:{good}{'00' * 32}",
                    f"sha384:{hashlib.sha384(text).hexdigest()}"):
            with self.subTest(pin):
                self.fresh()
                self.expect_allowed(self.pull_by(self.image, policy, "--policy-digest", pin))
        self.log.lines.clear()
        self.fresh()
        for pin in f"sha256:{'0' * 64}", f"sha256:{good}{'01' * 16}":
            with self.subTest(pin):
                run = self.pull_by(self.image, policy, "--policy-digest", pin)
                self.assertIn(run.returncode, (POLICY, USAGE), run.stderr)
                self.expect_refused(run, run.returncode, "digest")
                self.assertEqual(self.log.requests(), [])
        self.expect_one_line(self.pull_by(self.image, policy, "--policy-digest", "md5:00"), USAGE,
                             "--policy-digest")

    def test_require_signed(self):
        self.refused_unasked(POLICY, policy=self.policy(ACCEPT), options=("--require-signed",))
        self.sign(self.image)
        self.expect_allowed(self.pull_by(self.image, self.policy(self.signed()), "--require-signed"))

    def test_insecure_policy_stands_alone(self):
        for more in (self.policy(ACCEPT), ("--require-signed",),
                     ("--policy-digest", "sha256:" + "0" * 64)):
            self.expect_one_line(self.pull_by(self.image, ("--insecure-policy", *more)), USAGE,
                                 "--insecure-policy")
        self.expect_one_line(self.pull_by(self.image, self.policy(ACCEPT), "--policy-compat", "x"),
                             USAGE, "image-rs")

    def test_policy_and_key_come_from_the_broker(self):
        self.sign(self.image)
        with open(self.cosign.pub, "rb") as file:
            key = b64(file.read())
        policy = {"default": [{"type": "sigstoreSigned", "keyPath": "kbs:///default/key/web"}]}
        resources = self.write("resources.json", json.dumps(
            {"default/security-policy/test": b64(json.dumps(policy).encode()),
             "default/key/web": key}).encode())
        broker = ("--kbc", "offline_fs_kbc::null", "--offline-resources", resources)
        named = ("--policy", "kbs:///default/security-policy/test")
        self.expect_allowed(self.pull_by(self.image, named, *broker))
        self.fresh()
        self.log.lines.clear()
        self.refused_unasked(NETWORK, "--kbc", policy=named)
        self.assertEqual(self.verify(self.image, named, *broker).returncode, 0)


class Cosign(GateCase):
    def test_signed(self):
        image = self.serve(self.layout)
        policy = self.policy(self.signed())
        self.expect_refused(self.pull_by(image, policy), POLICY, DENIED, "E_NOSIG")
        self.sign(image)
        self.expect_allowed(self.pull_by(image, policy))
        self.fresh()
        run = self.pull_by(image, self.policy(self.signed(self.stranger)))
        self.expect_refused(run, POLICY, DENIED, "E_SIG_")

    def test_signature_of_another_manifest(self):
        image = self.serve(self.layout)
        self.sign(image, signed="sha256:" + "0" * 64)
        self.expect_refused(self.pull_by(image, self.policy(self.signed())), POLICY, "E_SIG_DIGEST")

    def test_signature_of_another_name(self):
        image = self.serve(self.layout)
        self.sign("docker://127.0.0.1:1/some/other:latest")
        self.expect_refused(self.pull_by(image, self.policy(self.signed())), POLICY, "E_SIG_IDENTITY")

    def test_the_name_asked_for_counts_and_the_mirror_serves(self):
        mirror = self.serve(self.layout)
        host = mirror.removeprefix("docker://").split("/")[0]
        conf = self.write("registries.conf", f"""
[[registry]]
location = "vendor.example"
[[registry.mirror]]
location = "{host}"
insecure = true
""".encode())
        image, options = "docker://vendor.example/some/image:latest", ("--registries-conf", conf)
        policy = self.policy(REJECT, docker={"vendor.example": self.signed()})
        self.expect_refused(self.pull_by(image, policy, *options), POLICY, "E_NOSIG")
        self.sign(mirror)
        self.expect_refused(self.pull_by(image, policy, *options), POLICY, "E_SIG_IDENTITY")
        self.cosign.sign(self.layout, "vendor.example/some/image:latest")
        # The second tag of that name stands behind the first: the layout serves the first.
        with open(os.path.join(self.layout, "index.json"), encoding="utf-8") as file:
            index = json.load(file)
        index["manifests"] = [index["manifests"][0], index["manifests"][-1]]
        with open(os.path.join(self.layout, "index.json"), "w", encoding="utf-8") as file:
            json.dump(index, file)
        self.expect_allowed(self.pull_by(image, policy, *options))

    def test_layouts_may_hold_signatures(self):
        image = f"oci:{self.layout}:latest"
        rule = self.signed(signedIdentity={"type": "exactRepository",
                                           "dockerRepository": "example.com/a"})
        self.expect_refused(self.pull_by(image, self.policy(rule)), POLICY, "E_NOSIG")
        self.cosign.sign(self.layout, "example.com/a:1")
        self.expect_allowed(self.pull_by(image, self.policy(rule)))

    def test_places_that_cannot_be_read_are_no_denial_for_ever(self):
        image = self.serve(self.layout, {"on": r"\.sig", "status": 500})
        run = self.pull_by(image, self.policy(self.signed()), "--retry", "1")
        self.expect_refused(run, NETWORK, DENIED, "E_FETCH")

    def test_attachments_can_be_switched_off(self):
        image = self.serve(self.layout)
        self.sign(image)
        conf = self.write("off.yaml", b"default-docker:\n  use-sigstore-attachments: false\n")
        run = self.pull_by(image, self.policy(self.signed()), "--registries.d", conf)
        self.expect_refused(run, POLICY, "E_NOSIG")
        self.assertEqual(self.signature_requests(), [])


class Bundles(GateCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.lab = Lab()

    def rule(self, **more):
        pub = self.write("lab.pub", public_pem(self.lab.key))
        return self.policy([{"type": "sigstoreSigned", "keyPath": pub, "x-bundles": "digest-only",
                             **more}])

    def evidence(self):
        run = self.run_sluice(self.command("images", "--json"))
        return json.loads(run.stdout)["images"][0]["verdict"]["evidence"]

    def test_a_bundle_among_the_referrers(self):
        image, digest = self.serve(self.layout), digest_of(self.layout)
        self.expect_refused(self.pull_by(image, self.rule()), POLICY, "E_NOSIG")
        add_referrers(self.layout, digest,
                      (bundle_manifest(self.layout, digest, self.lab.bundle(digest)), BUNDLE))
        self.expect_refused(self.pull_by(image, self.policy(self.signed())), POLICY, DENIED)
        self.expect_allowed(self.pull_by(image, self.rule()))
        self.assertRegex(self.evidence()[0]["where"], "^referrer sha256:[0-9a-f]{64}$")

    def test_a_good_one_among_malformed_ones(self):
        image, digest = self.serve(self.layout), digest_of(self.layout)
        bundle, other = self.lab.bundle(digest), "sha256:" + "1" * 64
        bad = [(bundle_manifest(self.layout, other, bundle), BUNDLE),  # another subject
               (bundle_manifest(self.layout, digest, bundle, bundle), BUNDLE),
               (bundle_manifest(self.layout, digest), BUNDLE),
               (bundle_manifest(self.layout, digest, bundle, artifact_type="text/plain"), BUNDLE),
               (bundle_manifest(self.layout, digest, bundle), "text/plain"),
               ({"schemaVersion": 2}, BUNDLE)]
        add_referrers(self.layout, digest, *bad)
        self.expect_refused(self.pull_by(image, self.rule()), POLICY, "E_NOSIG",
                            f"{len(bad)} other")
        self.layout = self.path("again")
        write_image(self.layout, self.layers)
        image = self.serve(self.layout)
        good = bundle_manifest(self.layout, digest, bundle)
        bad = [(bundle_manifest(self.layout, other, bundle), BUNDLE), ({"schemaVersion": 2}, BUNDLE)]
        add_referrers(self.layout, digest, *bad, (good, BUNDLE))
        self.expect_allowed(self.pull_by(image, self.rule()))

    def test_a_malformed_tag_is_no_signature(self):
        image, digest = self.serve(self.layout), digest_of(self.layout)
        document = self.write("junk", b"{}")
        with open(document, "rb") as file:
            junk = file.read()
        path = os.path.join(self.layout, "blobs", "sha256", hashlib.sha256(junk).hexdigest())
        with open(path, "wb") as file:
            file.write(junk)
        add_tag(self.layout, {"mediaType": "application/vnd.oci.image.manifest.v1+json",
                              "digest": "sha256:" + os.path.basename(path), "size": len(junk)},
                digest.replace(":", "-") + ".sig")
        self.expect_refused(self.pull_by(image, self.rule()), POLICY, "E_NOSIG", "1 other")


class Indexes(GateCase):
    """A signature counts that names the platform's manifest or the index that led to it."""

    def setUp(self):
        super().setUp()
        self.manifest = digest_of(self.layout)
        size = os.path.getsize(os.path.join(self.layout, "blobs", *self.manifest.split(":")))
        self.index = write_document(self.layout, {
            "schemaVersion": 2, "mediaType": INDEX, "manifests": [{
                "mediaType": "application/vnd.oci.image.manifest.v1+json", "size": size,
                "digest": self.manifest,
                "platform": {"os": "linux", "architecture": ARCHITECTURE}}]}, INDEX)["digest"]

    def bindings(self, image):
        run = self.verify(image, self.policy(self.signed()), "--json")
        verdict = json.loads(run.stdout)
        self.assertEqual((verdict["manifest"], verdict["index"]), (self.manifest, self.index))
        return [s["binding"] for s in verdict["requirements"][0]["signatures"] if s["accepted"]]

    def test_signed_index(self):
        image = self.serve(self.layout)
        self.expect_refused(self.pull_by(image, self.policy(self.signed())), POLICY, "E_NOSIG")
        for digest in self.manifest, self.index:
            tag = digest.replace(":", "-")
            self.assertEqual(len(self.log.requests(tag + ".sig")), 1)
            self.assertEqual(len(self.log.requests("/referrers/" + digest)), 1)
        self.sign(image)
        self.assertEqual(self.bindings(image), ["index"])
        self.expect_allowed(self.pull_by(image, self.policy(self.signed())))

    def test_signed_manifest(self):
        image = self.serve(self.layout)
        self.sign(image, digest=self.manifest)
        self.assertEqual(self.bindings(image), ["manifest"])
        self.expect_allowed(self.pull_by(image, self.policy(self.signed())))

    def test_index_signed_for_another_digest(self):
        image = self.serve(self.layout)
        self.sign(image, signed="sha256:" + "2" * 64)
        self.expect_refused(self.pull_by(image, self.policy(self.signed())), POLICY, "E_SIG_DIGEST")


class Order(GateCase):
    """What runs ahead of the verdict, and what does not."""

    def held(self, on, *faults):
        """A registry that does not answer such requests before self.answer is set."""
        self.answer = threading.Event()
        self.addCleanup(self.answer.set)
        return self.serve(self.layout, {"on": on, "wait": self.answer}, *faults)

    def wait_for_passed(self, child, n):
        """Until n layers have told that they wait; the lines that were read."""
        lines = []
        while sum("waits for the signature policy" in line for line in lines) < n:
            line = child.stderr.readline()
            self.assertTrue(line, "ended before its time: %r" % lines)
            lines.append(line)
        return lines

    def stored(self):
        return [pull_case.names(os.path.join(self.store, part, "sha256"))
                for part in ("layers", "blobs", "images")]

    def test_commits_wait_for_the_verdict(self):
        image = self.held(r"\.sig")
        self.sign(image)
        child = self.start_by(image, self.policy(self.signed()), "--debug", "--jobs", "1")
        self.wait_for_passed(child, len(self.layers))
        self.assertEqual(self.stored(), [[], [], []])
        self.answer.set()
        _, err = child.communicate(timeout=pull_case.DEADLINE)
        self.assertEqual(child.returncode, 0, err)
        self.assertEqual(pull_case.names(os.path.join(self.store, "staging")), [])
        for name, data in LAYERS.items():
            with open(os.path.join(self.bundle, "rootfs", name), "rb") as file:
                self.assertEqual(file.read(), data)

    def test_a_late_denial_removes_what_waits(self):
        image = self.held(r"\.sig")
        child = self.start_by(image, self.policy(self.signed()), "--debug")
        self.wait_for_passed(child, len(self.layers))
        self.answer.set()
        _, err = child.communicate(timeout=pull_case.DEADLINE)
        self.assertEqual(child.returncode, POLICY, err)
        self.assertIn(DENIED, err)
        self.expect_nothing_left()

    def test_a_denial_does_not_wait_for_layers(self):
        digest = self.layers[1].descriptor["digest"]
        image = self.held("blobs/" + digest)
        run = self.pull_by(image, self.policy(self.signed()))
        self.assertFalse(self.answer.is_set())
        self.expect_refused(run, POLICY, DENIED, "E_NOSIG")

    def test_a_layer_that_fails_takes_those_that_wait_with_it(self):
        digest = self.layers[1].descriptor["digest"]
        image = self.held(r"\.sig", {"on": "blobs/" + digest, "flip": 20})
        self.sign(image)
        child = self.start_by(image, self.policy(self.signed()), "--debug", "--jobs", "1")
        self.wait_for_passed(child, 1)
        self.assertTrue(self.log.wait_for("blobs/" + digest))
        self.answer.set()
        _, err = child.communicate(timeout=pull_case.DEADLINE)
        self.assertEqual(child.returncode, INTEGRITY, err)
        self.assertIn("layer 2/2", err)
        self.expect_nothing_left()

    def test_verify_first_starts_no_layer(self):
        image = self.serve(self.layout)
        run = self.pull_by(image, self.policy(self.signed()), "--verify-first")
        self.expect_refused(run, POLICY, "E_NOSIG")
        self.assertEqual(self.layer_requests(), [])
        self.sign(image)
        self.expect_allowed(self.pull_by(image, self.policy(self.signed()), "--verify-first"))

    def test_no_key_is_asked_for_before(self):
        kek, script = bytes(range(32)), self.path("provider")
        layer = Layer(archive(entry(b"a", b"lower")), None, kek)
        with open(script + ".answer", "w", encoding="utf-8") as file:
            json.dump({"keyunwrapresults": {"optsdata": b64(json.dumps(layer.plbco).encode())}}, file)
        os.chmod(self.write("provider", ("#!/bin/sh\ncat > /dev/null\necho x >> '%s.calls'\n"
                                         "cat '%s.answer'\n" % (script, script)).encode()), 0o755)
        layer.descriptor["annotations"] = {PUBOPTS: b64(json.dumps(layer.pubopts).encode()),
                                           ENC + "keys.provider.mine": b64(b"element")}
        config = self.write("providers.json", json.dumps(
            {"key-providers": {"mine": {"cmd": {"path": script}}}}).encode())
        self.layout = self.path("encrypted")
        self.layers = [layer]
        write_image(self.layout, [layer])
        image = self.serve(self.layout)
        options = ("--key-provider-config", config)
        run = self.pull_by(image, self.policy(self.signed()), *options)
        self.expect_refused(run, POLICY, "E_NOSIG")
        self.assertFalse(os.path.exists(script + ".calls"))
        self.assertEqual(self.layer_requests(), [])
        self.sign(image)
        self.expect_pulled(self.pull_by(image, self.policy(self.signed()), *options),
                           {"a": b"lower"})
        self.assertTrue(os.path.exists(script + ".calls"))

    def test_two_pulls_with_late_verdicts_do_not_wait_for_one_another(self):
        """Each has passed the layer that the other one needs next."""
        lower, upper = self.layers
        turned = self.path("turned")
        descriptor, _ = write_image(turned, [upper, lower])
        subprocess.run(["cp", "-r", os.path.join(turned, "blobs"), self.layout], check=True)
        add_tag(self.layout, descriptor, "turned")
        lower_answer = threading.Event()
        self.addCleanup(lower_answer.set)
        image = self.held(r"\.sig", {"on": "blobs/" + lower.descriptor["digest"],
                                     "wait": lower_answer})
        other = image.replace(":latest", ":turned")
        self.sign(image)
        self.sign(other, digest=descriptor["digest"])
        policy = self.policy(self.signed())
        first = self.start_by(image, policy, "--debug", "--jobs", "1")
        self.wait_until(lambda: self.locks(lower), first)
        self.bundle = self.path("second")
        second = self.start_by(other, policy, "--debug", "--jobs", "1")
        self.wait_for_passed(second, 1)
        lower_answer.set()
        self.wait_for_passed(first, 1)
        self.answer.set()
        for child in first, second:
            _, err = child.communicate(timeout=pull_case.DEADLINE)
            self.assertEqual(child.returncode, 0, err)

    def locks(self, layer):
        return any(layer.diff_id.split(":")[1] in name
                   for name in pull_case.names(os.path.join(self.store, "locks")))

    def test_interrupted_while_a_place_is_silent(self):
        image = self.held(r"\.sig")
        child = self.start_by(image, self.policy(self.signed()), "--debug")
        self.wait_for_passed(child, len(self.layers))
        child.send_signal(signal.SIGINT)
        _, err = child.communicate(timeout=pull_case.DEADLINE)
        self.assertFalse(self.answer.is_set())
        self.assertEqual(child.returncode, FAILED, err)
        self.expect_nothing_left()


class Simple(GateCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.pgp = PgpKey(cls.keys)

    @classmethod
    def tearDownClass(cls):
        cls.pgp.close()
        super().tearDownClass()

    def lookaside(self, base):
        return "--registries.d", self.write("lookaside.yaml", json.dumps(
            {"default-docker": {"lookaside": base}}).encode())

    def rule(self):
        return self.policy([{"type": "signedBy", "keyType": "GPGKeys", "keyPath": self.pgp.pub}])

    def test_signed_in_a_folder(self):
        image = self.serve(self.layout)
        options = self.lookaside("file://" + self.path("lookaside"))
        self.expect_refused(self.pull_by(image, self.rule(), *options), POLICY, "E_NOSIG")
        self.pgp.sign(self.path("lookaside"), image.removeprefix("docker://"),
                      digest_of(self.layout))
        self.expect_allowed(self.pull_by(image, self.rule(), *options))
        run = self.run_sluice(self.command("images", "--json"))
        verdict = json.loads(run.stdout)["images"][0]["verdict"]
        self.assertEqual(verdict["evidence"][0]["key"], self.pgp.fingerprint)

    def test_the_second_is_good_enough_and_the_third_stands_alone(self):
        image = self.serve(self.layout)
        name, digest = image.removeprefix("docker://"), digest_of(self.layout)
        options = self.lookaside("file://" + self.path("lookaside"))
        self.pgp.sign(self.path("lookaside"), name, digest, 1, signed="sha256:" + "0" * 64)
        self.pgp.sign(self.path("lookaside"), name, digest, 3)
        run = self.pull_by(image, self.rule(), *options)
        self.expect_refused(run, POLICY, "E_SIG_DIGEST")  # none is looked for behind a gap
        self.pgp.sign(self.path("lookaside"), name, digest, 2)
        self.expect_allowed(self.pull_by(image, self.rule(), *options))

    def test_signed_on_a_web_server(self):
        image = self.serve(self.layout)
        folder = self.path("www")
        os.mkdir(folder)
        server = subprocess.Popen([sys.executable, "-u", "-m", "http.server", "--bind", "127.0.0.1",
                                   "--directory", folder, "0"], stdout=subprocess.PIPE,
                                  stderr=subprocess.DEVNULL, text=True)
        for cleanup in server.stdout.close, server.wait, server.kill:
            self.addCleanup(cleanup)
        port = server.stdout.readline().split(" port ")[1].split()[0]
        options = self.lookaside(f"http://127.0.0.1:{port}/")
        self.expect_refused(self.pull_by(image, self.rule(), *options), POLICY, "E_NOSIG")
        self.pgp.sign(folder, image.removeprefix("docker://"), digest_of(self.layout))
        self.expect_allowed(self.pull_by(image, self.rule(), *options))
        server.kill()
        server.wait()
        self.fresh()
        options = self.lookaside(f"http://127.0.0.1:{port}/")
        run = self.pull_by(image, self.rule(), "--retry", "1", *options)
        self.expect_refused(run, NETWORK, "E_FETCH")


class Verify(GateCase):
    def test_verify_says_why_and_fetches_no_layer(self):
        image = self.serve(self.layout)
        name, policy = image.removeprefix("docker://"), self.policy(self.signed())
        run = self.verify(image, policy)
        self.assertEqual(run.returncode, POLICY)
        self.assertIn(name + ": denied", run.stdout)
        self.assertIn("sigstoreSigned: E_NOSIG", run.stdout)
        self.assertRegex(run.stderr, r"\Asluice: " + DENIED + r"[^\n]*E_NOSIG[^\n]*\n\Z")
        self.sign(image)
        run = self.verify(image, policy)
        self.assertEqual((run.returncode, run.stderr), (0, ""))
        self.assertIn(name + ": allowed", run.stdout)
        self.assertIn("signs the manifest as " + name, run.stdout)
        self.assertEqual(self.log.requests("/blobs/" + self.layers[0].descriptor["digest"]), [])
        self.assertFalse(os.path.exists(self.store))

    def test_as_json(self):
        image = self.serve(self.layout)
        name, scope = image.removeprefix("docker://"), image.removeprefix("docker://").split("/")[0]
        self.sign(image)
        policy = self.policy(REJECT, docker={scope: ACCEPT + self.signed()})
        run = self.verify(image, policy, "--json")
        self.assertEqual((run.returncode, run.stderr), (0, ""))
        verdict = json.loads(run.stdout)
        with open(policy[1], "rb") as file:
            digest = "sha256:" + hashlib.sha256(file.read()).hexdigest()
        expected = {"name": name, "transport": "docker", "scope": scope, "allowed": True,
                    "policy": digest, "manifest": digest_of(self.layout), "demanded": 2}
        self.assertEqual({k: verdict[k] for k in expected}, expected)
        self.assertEqual([(r["number"], r["type"], r["satisfied"]) for r in verdict["requirements"]],
                         [(1, "insecureAcceptAnything", True), (2, "sigstoreSigned", True)])
        signature = verdict["requirements"][1]["signatures"][0]
        self.assertEqual((signature["kind"], signature["accepted"], signature["signedName"],
                          signature["binding"]), ("cosign", True, name, "manifest"))
        run = self.verify(image, self.policy(REJECT), "--json")
        self.assertEqual(run.returncode, POLICY)
        verdict = json.loads(run.stdout)
        self.assertEqual((verdict["allowed"], verdict["scope"]), (False, None))
        self.assertEqual(verdict["requirements"][0]["code"], "E_REJECT")
        self.assertEqual(json.loads(run.stderr)["code"], "policy")

    def test_quietly(self):
        image = self.serve(self.layout)
        run = self.verify(image, self.policy(self.signed()), "--quiet")
        self.assertEqual((run.returncode, run.stdout, run.stderr), (POLICY, "", ""))
        run = self.verify(image, self.policy(ACCEPT), "--quiet")
        self.assertEqual((run.returncode, run.stdout, run.stderr), (0, "", ""))
        self.assertEqual(self.warnings, [])
        image = self.serve(self.layout, {"on": r"\.sig", "status": 500})
        run = self.verify(image, self.policy(self.signed()), "--quiet", "--retry", "1")
        self.assertEqual((run.returncode, run.stdout, run.stderr), (NETWORK, "", ""))


class Record(GateCase):
    def verdict(self):
        run = self.run_sluice(self.command("images", "--json"))
        self.assertEqual(run.returncode, 0, run.stderr)
        return json.loads(run.stdout)["images"][0].get("verdict")

    def test_images_tell_why_they_were_allowed(self):
        image = self.serve(self.layout)
        name = image.removeprefix("docker://")
        self.sign(image)
        policy = self.policy(self.signed())
        self.expect_allowed(self.pull_by(image, policy))
        with open(policy[1], "rb") as file:
            digest = "sha256:" + hashlib.sha256(file.read()).hexdigest()
        verdict = self.verdict()
        self.assertEqual((verdict["name"], verdict["policy"], verdict["scope"]),
                         (name, digest, None))
        evidence, = verdict["evidence"]
        self.assertEqual((evidence["type"], evidence["binding"], evidence["signedName"]),
                         ("sigstoreSigned", "manifest", name))
        self.assertIn(".sig, layer 1", evidence["where"])
        self.expect_allowed(self.pull_by(image, ("--insecure-policy",)))
        self.assertEqual(self.verdict(), {"insecure": True})

    def test_older_records_stay_readable(self):
        image = self.serve(self.layout)
        self.expect_allowed(self.pull_by(image, self.policy(ACCEPT)))
        folder = os.path.join(self.store, "images", "sha256")
        path, = (os.path.join(folder, n) for n in os.listdir(folder))
        with open(path, encoding="utf-8") as file:
            record = json.load(file)
        del record["verdict"]
        with open(path, "w", encoding="utf-8") as file:
            json.dump(record, file)
        self.assertIsNone(self.verdict())


if __name__ == "__main__":
    pull_case.main()
