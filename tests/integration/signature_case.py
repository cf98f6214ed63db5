# SPDX-License-Identifier: Apache-2.0
"""What tests of signatures share: one world of registries, keys and signing tools for a whole file,
and what sluice says of an image there."""
import json
import os
import sys

import sluice_case
from sluice_case import EXIT_NETWORK, EXIT_POLICY, SKIPPED, SluiceCase

import go_tools
import make_image
import own_mounts
import peers
import registry
import signing

KEPT = os.environ.get("SLUICE_IMAGES")
DENIED = "Image policy rejected: Denied by policy"


class World:
    """Made in the first setUpClass that asks, since only then the mount namespace is our own."""
    made = None

    @classmethod
    def get(cls):
        if cls.made is None:
            cls.made = cls()
        return cls.made

    def __init__(self):
        self.tmpfs = own_mounts.OwnTmpfs()
        self.folder = self.tmpfs.path
        self.peers = peers.Peers(KEPT, self.folder)
        os.mkdir(os.path.join(self.folder, "signing"))
        self.signing = signing.Signing(self.peers, os.path.join(self.folder, "signing"))
        self.docker = registry.Registry().__enter__()
        self.gpg = self.signing.gpg_key("good")
        self.other_gpg = self.signing.gpg_key("other", "rsa2048")
        self.cosign = self.signing.cosign_key("cosign1")
        self.other_cosign = self.signing.cosign_key("cosign2")
        self.crafted = self.signing.openssl_key("crafted")  # signs any payload
        self._referrers = self._cosign3 = None
        self._count = 0

    def close(self):
        for some in (self.docker, self._referrers):
            if some:
                some.__exit__()
        self.signing.close()
        self.peers.close()
        self.tmpfs.close()

    @property
    def referrers(self):
        if not self._referrers:
            self._referrers = registry.ReferrersRegistry(go_tools.referrers_registry(KEPT)).__enter__()
        return self._referrers

    @property
    def cosign3(self):
        """A command, for the tools' tree too."""
        if not self._cosign3:
            place = os.path.join(self.folder, "cosign3")
            with open(go_tools.cosign(KEPT), "rb") as source, open(place, "wb") as target:
                target.write(source.read())
            os.chmod(place, 0o755)
            self._cosign3 = (place,)
        return self._cosign3

    # ---- images: all small, all different ----

    def layout(self, marker=None):
        """(folder, descriptor) of an image whose file "marker" says which."""
        self._count += 1
        folder = os.path.join(self.folder, f"layout-{self._count}")
        text = marker or f"image {self._count}"
        return folder, make_image.add_manifest(folder, [make_image.layer({"marker": text})])

    def image(self, host, repository, *tags, marker=None):
        """Pushes one; its digest."""
        folder, descriptor = self.layout(marker)
        return signing.Uploads(host).push(folder, descriptor, repository, *tags)

    def index(self, host, repository, *tags):
        """Pushes one of two platforms; (digest, digest of what this machine takes, of the other)."""
        self._count += 1
        folder = os.path.join(self.folder, f"layout-{self._count}")
        entries = []
        for architecture in "amd64", "riscv64":
            platform = {"os": "linux", "architecture": architecture}
            marker = f"index {self._count} {architecture}"
            entries.append((make_image.add_manifest(folder, [make_image.layer({"marker": marker})],
                                                    platform=platform), platform))
        index = make_image.add_index(folder, entries)
        digest = signing.Uploads(host).push(folder, index, repository, *tags)
        return digest, entries[0][0]["digest"], entries[1][0]["digest"]

    # ---- signatures of our own words ----

    def simple(self, reference, digest, key=None, **more):
        return self.signing.gpg_sign(key or self.gpg, signing.payload(reference, digest, **more))

    def cosigned(self, reference, digest, key=None):
        """A row for Uploads.attach()."""
        data = signing.payload(reference, digest, signing.COSIGN)
        return data, (key or self.crafted).sign(data)


def tear_down():
    if World.made:
        World.made.close()
        World.made = None


class SignatureCase(SluiceCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.world = World.get()
        cls.signing = cls.world.signing
        cls.host = cls.world.docker.host
        cls.uploads = signing.Uploads(cls.host)

    def judge(self, reference, policy, *options, verb="verify", registries_d=None):
        """What sluice says. policy: a value, or the path of one."""
        path = policy if isinstance(policy, str) else self.signing.policy(policy)
        if registries_d is not False:
            options += ("--registries.d", registries_d or self.signing.registries_d())
        return self.sluice(verb, "--tls-verify=false", "--policy", path, *options,
                           reference if ":" in reference.split("/")[0] and "oci:" in reference
                           else "docker://" + reference,
                           *([self.path("bundle")] if verb == "pull" else []))

    def verdict(self, run):
        """The report of verify --json."""
        return json.loads(run.stdout)

    def allowed(self, reference, policy, *options, **kwargs):
        """By verify; its report."""
        run = self.judge(reference, policy, "--json", *options, **kwargs)
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
        report = self.verdict(run)
        self.assertIs(report["allowed"], True)
        return report

    def denied(self, reference, policy, *options, code=None, exits=EXIT_POLICY, **kwargs):
        """By verify. code: what at least one signature, or the requirement, was refused with; the
        report."""
        run = self.judge(reference, policy, "--json", *options, **kwargs)
        self.assertEqual(run.returncode, exits, run.stdout + run.stderr)
        report = self.verdict(run)
        self.assertIs(report["allowed"], False)
        codes = [x["code"] for r in report["requirements"] for x in (r, *r["signatures"])]
        if code:
            self.assertIn(code, codes, run.stdout)
        return report

    def not_a_policy(self, policy, *says, **kwargs):
        """A policy or a configuration that is refused as a whole: no verdict, no request."""
        run = self.judge(self.host + "/none/none:1", policy, **kwargs)
        self.assertNotIn(run.returncode, (0, EXIT_NETWORK), run.stdout + run.stderr)
        self.assertEqual(run.stderr.count("\n"), 1, run.stderr)
        self.assertNotIn("Sanitizer", run.stderr)
        for text in says:
            self.assertIn(text, run.stderr)

    def pulls(self, reference, policy, *options, marker=None, **kwargs):
        run = self.judge(reference, policy, *options, verb="pull", **kwargs)
        self.assertEqual(run.returncode, 0, run.stderr)
        if marker:
            self.assertEqual(self.read("bundle", "rootfs", "marker"), marker)
        self.assert_clean()

    def refused(self, code, *texts, run):
        """What a policy is warned of stands in lines of its own, before."""
        lines = run.stderr.splitlines(keepends=True)
        run.stderr = "".join(x for x in lines if not x.startswith("sluice: warning: signature policy: "))
        return super().refused(code, *texts, run=run)

    def refuses(self, reference, policy, *options, exits=EXIT_POLICY, says=(), **kwargs):
        """By pull: one line that says why, and nothing is left. says: texts besides."""
        before = self.in_store("layers/sha256")
        run = self.judge(reference, policy, "--quiet", *options, verb="pull", **kwargs)
        self.refused(exits, DENIED, *says, run=run)
        self.assert_clean()
        self.assertEqual(self.in_store("layers/sha256"), before)
        self.assertFalse(os.path.exists(self.path("bundle", "rootfs")))


def main():
    if not KEPT:
        print("skipped: needs SLUICE_IMAGES, a folder where tools are kept")
        sys.exit(SKIPPED)
    sluice_case.main("docker-registry", "openssl", "mmdebstrap")
