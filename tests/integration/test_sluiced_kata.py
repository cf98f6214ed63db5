#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""kata's guest pull, end to end: sluiced in the place of the confidential data hub, asked by
containerd's ttrpc and by the crate that kata's agent is built with, real registries, real tools.
What kata's own tests of guest pull assert is asserted here. Needs SLUICE and SLUICE_IMAGES."""
import base64
import json
import os
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import sluiced_case  # noqa: E402
from sluiced_case import (CANNOT_DECRYPT, DENIED, FAILED_TO_PULL, KEPT, NOT_AUTHORIZED, PREFIX,
                          SluicedCase, blob_gets, mounts_below, start_registry)
import guest_peers  # noqa: E402
from guest_peers import DEADLINE_EXCEEDED, FAILED_PRECONDITION, INTERNAL, NOT_FOUND, UNIMPLEMENTED
import images  # noqa: E402
import make_image  # noqa: E402
import make_tars as mt  # noqa: E402
import own_mounts  # noqa: E402
import rust_tools  # noqa: E402
import signature_case  # noqa: E402
import signing  # noqa: E402
import ttrpc  # noqa: E402
from counting_proxy import CountingProxy  # noqa: E402
from counting_proxy import DEADLINE as PROXY_DEADLINE

MIB = 1 << 20
BIG = 3 * MIB  # bytes: several segments, many reads
LARGE_IMAGE = 96 * MIB  # more than sluiced may hold in memory at once
SMALL_STORE = 8 * MIB
ROUNDS = 24  # of whatever must not grow
GUEST = "/run/kata-containers"


def mount_tmpfs(place, size):
    os.makedirs(place, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "sluice-test", place], check=True)


class KataCase(SluicedCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.registry = start_registry(cls)
        cls.base = make_image.layer({"base": "b" * 1000})
        cls.hello = make_image.layer({"hello": "hello", "etc/": ""})
        folder = os.path.join(cls.shared, "plain")
        cls.registry.push(make_image.add_image(folder, [cls.base, cls.hello]), "kata/plain:1")
        cls.digest = make_image.tagged(folder)[0]["digest"]

    @property
    def image(self):
        return self.registry.host + "/kata/plain:1"

    def serve_plain(self, changes=None, **kwargs):
        return self.serve(changes, insecure=[self.registry.host], **kwargs)

    def gets(self, layer):
        return blob_gets(self.registry, layer.digest)

    def proxy(self, registry=None):
        """In front of the registry, to count and hold."""
        proxy = CountingProxy((registry or self.registry).host)
        proxy.__enter__()
        self.addCleanup(proxy.__exit__)
        return proxy


class Plain(KataCase):
    def test_plain_image_is_pulled_in_the_guest_and_runs(self):
        service = self.serve_plain()
        answer = self.agent(service).pull(self.image, self.bundle()).wait()
        self.assert_pulled(answer, self.bundle(), hello="hello", base="b" * 1000)
        self.assertEqual(answer.digest, self.digest)
        self.assertTrue(os.path.exists(os.path.join(self.bundle(), "config.json")))
        self.assertIn(self.image, service.text())

    def test_a_program_of_the_image_runs(self):
        """Debian, from the registry to a process in its root."""
        layout = images.image("debian", KEPT, self.folder)
        self.registry.push(f"oci:{layout}:latest", "kata/debian:1")
        service = self.serve_plain()
        answer = self.agent(service).pull(self.registry.host + "/kata/debian:1", self.bundle()).wait()
        self.assert_pulled(answer, self.bundle())
        done = subprocess.run(["chroot", self.rootfs(self.bundle()), "/bin/cat", "/etc/debian_version"],
                              stdout=subprocess.PIPE, text=True, check=True)
        self.assertRegex(done.stdout, r"^(\d+(\.\d+)?|\w+/sid)\n$")

    def test_the_crate_of_katas_agent_is_answered(self):
        if rust_tools.why_not():
            self.skipTest(rust_tools.why_not())
        service = self.serve_plain()
        program = rust_tools.ttrpc_client(KEPT)
        with guest_peers.Agent(program, service.socket) as agent:
            message = ttrpc.field(1, self.image) + ttrpc.field(2, self.bundle())
            got = agent.call(*guest_peers.PULL, data=message, timeout=60)
            self.assert_pulled(got, self.bundle(), hello="hello")
            self.assertEqual(got.hex, ttrpc.field(1, self.digest).hex())
            bad = ttrpc.field(1, self.registry.host + "/kata/none:1") + ttrpc.field(2, self.bundle("two"))
            self.assert_refused(agent.call(*guest_peers.PULL, data=bad), FAILED_TO_PULL,
                                bundle=self.bundle("two"))

    def test_the_grpc_build_is_answered(self):
        """CDH's gRPC build listens on host and port."""
        service = self.serve_plain({"sluice": {"listen": [f"grpc+unix://{self.path('grpc.socket')}"]}})
        with guest_peers.Agent(self.peers_program, "unix:" + self.path("grpc.socket"),
                               wire="grpc") as agent:
            answer = agent.pull(self.image, self.bundle()).wait()
            self.assert_pulled(answer, self.bundle(), hello="hello")
            self.assertEqual(answer.digest, self.digest)
            self.assert_refused(agent.pull("UPPER/case", self.bundle("two")).wait(),
                                "Illegal image reference")
        service.stop()

    def test_unknown_fields_are_skipped(self):
        service = self.serve_plain()
        message = (ttrpc.field(9, b"later") + ttrpc.field(1, self.image) + ttrpc.field(2, self.bundle()) +
                   ttrpc.field(100, 7))
        answer = self.agent(service).call(*guest_peers.PULL, data=message)
        self.assert_pulled(answer, self.bundle(), hello="hello")

    def test_capabilities_setuid_and_owners_are_kept(self):
        tar = mt.archive(
            mt.pax([(b"SCHILY.xattr.security.capability", images.CAPABILITY)]),
            mt.entry(b"ping", b"ping", mode=0o755, uid=7), mt.entry(b"su", b"su", mode=0o4755), mt.END)
        self.push(self.registry, "kata/ping:1", make_image.Layer(tar, 1))
        service = self.serve_plain()
        answer = self.agent(service).pull(self.registry.host + "/kata/ping:1", self.bundle()).wait()
        self.assert_pulled(answer, self.bundle(), ping="ping")
        place = self.rootfs(self.bundle(), "ping")
        self.assertEqual(os.getxattr(place, "security.capability"), images.CAPABILITY)
        self.assertEqual(os.stat(place).st_uid, 7)
        self.assertEqual(os.stat(self.rootfs(self.bundle(), "su")).st_mode & 0o7777, 0o4755)

    def test_the_same_request_again_is_no_error_and_touches_nothing(self):
        service = self.serve_plain()
        agent = self.agent(service)
        self.assert_pulled(agent.pull(self.image, self.bundle()).wait(), self.bundle())
        with open(self.rootfs(self.bundle(), "mine"), "w", encoding="ascii") as f:
            f.write("kept")
        before = self.gets(self.base), self.gets(self.hello)
        again = agent.pull(self.image, self.bundle()).wait()
        self.assert_pulled(again, self.bundle(), mine="kept", hello="hello")
        self.assertEqual(again.digest, self.digest)
        self.assertEqual((self.gets(self.base), self.gets(self.hello)), before, "fetched again")

    def test_the_same_image_into_another_bundle_is_not_fetched_again(self):
        service = self.serve_plain()
        agent = self.agent(service)
        before = self.gets(self.base)
        for name in "one", "two":
            answer = agent.pull(self.image, self.bundle(name)).wait()
            self.assert_pulled(answer, self.bundle(name), hello="hello")
        self.assertEqual(self.gets(self.base), before + 1)

    def test_what_the_store_knows_is_not_asked_for_and_not_written_again(self):
        proxy = self.proxy()
        service = self.serve(insecure=[proxy.host])
        agent = self.agent(service)
        config = make_image.tagged(os.path.join(self.shared, "plain"))[1]["config"]["digest"]
        for name in f"{proxy.host}/kata/plain:1", f"{proxy.host}/kata/plain@{self.digest}":
            self.assert_pulled(agent.pull(name, self.bundle("one")).wait(), self.bundle("one"), hello="hello")
            before, asked = self.stored_images(), len(proxy.requests)
            self.assert_pulled(agent.pull(name, self.bundle("two")).wait(), self.bundle("two"), hello="hello")
            self.assertEqual(self.stored_images(), before, "written again")
            last = [path for _, path, *_ in proxy.requests[asked:]]
            self.assertIn("/manifests/", " ".join(last), "the registry was not asked whether we may")
            self.assertNotIn(config, " ".join(last))

    def stored_images(self):
        """Path to inode of what the store says of images."""
        return {os.path.join(folder, file): os.stat(os.path.join(folder, file)).st_ino
                for top in ("images", "refs") for folder, _, files in os.walk(os.path.join(self.root, top))
                for file in files}

    def test_names_that_are_none_and_images_that_are_not_there(self):
        service = self.serve_plain()
        agent = self.agent(service)
        for name in "UPPER/case", "a b", "x:y:z", "", "@sha256:00", "a@sha256:12":
            self.assert_refused(agent.pull(name, self.bundle()).wait(), "Illegal image reference",
                                bundle=self.bundle())
        name = self.registry.host + "/kata/none:1"
        answer = agent.pull(name, self.bundle()).wait()
        self.assert_refused(answer, f"{FAILED_TO_PULL} {name} from all mirror/mapping locations or "
                            f"original location: image: {name}, error: ", bundle=self.bundle())
        self.assertIn(FAILED_TO_PULL, service.text())

    def test_pause_is_never_pulled(self):
        bundle = self.path("pause_bundle")
        os.makedirs(os.path.join(bundle, "rootfs"))
        with open(os.path.join(bundle, "rootfs", "pause"), "w", encoding="ascii") as f:
            f.write("paused")
        os.chmod(os.path.join(bundle, "rootfs", "pause"), 0o755)
        with open(os.path.join(bundle, "config.json"), "w", encoding="ascii") as f:
            json.dump({"ociVersion": "1.0.2", "process": {"args": ["/pause"], "cwd": "/"},
                       "root": {"path": "rootfs"}}, f)
        service = self.serve_plain({"sluice": {"pause_bundle": bundle}})
        answer = self.agent(service).pull("pause", self.bundle()).wait()
        self.assertEqual(answer.code, 0, answer)
        with open(self.rootfs(self.bundle(), "pause"), encoding="ascii") as f:
            self.assertEqual(f.read(), "paused")
        self.assertTrue(os.path.exists(os.path.join(self.bundle(), "config.json")))
        self.assertNotIn("docker.io", service.text())


class Space(KataCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.layers = [make_image.big_layer(f"part{i}", LARGE_IMAGE // 3, i) for i in range(3)]
        folder = os.path.join(cls.shared, "large")
        cls.registry.push(make_image.add_image(folder, cls.layers), "kata/large:1")
        subprocess.run(["rm", "-rf", folder], check=True)

    @property
    def large(self):
        return self.registry.host + "/kata/large:1"

    def test_image_larger_than_the_store_fails_and_says_so(self):
        mount_tmpfs(self.root, SMALL_STORE)
        service = self.serve_plain()
        agent = self.agent(service)
        answer = agent.pull(self.large, self.bundle()).wait()
        self.assert_refused(answer, FAILED_TO_PULL, "bytes", "free", bundle=self.bundle())
        self.assertEqual(self.in_store("staging"), [])
        # And it goes on: what fits is pulled.
        self.assert_pulled(agent.pull(self.image, self.bundle()).wait(), self.bundle(), hello="hello")
        self.unmount_all()
        service.stop()
        self.root = self.path("gone")

    def test_trusted_storage_that_is_mounted_after_the_start_takes_a_large_image(self):
        """A fresh ext4 over the store's place."""
        service = self.serve_plain()
        device = self.path("disk")
        with open(device, "wb") as f:
            f.truncate(3 * LARGE_IMAGE)
        subprocess.run(["mkfs.ext4", "-q", "-E", "lazy_journal_init", device], check=True)
        os.makedirs(self.root, exist_ok=True)
        done = subprocess.run(["mount", "-o", "loop", device, self.root], stderr=subprocess.PIPE,
                              text=True, check=False)
        if done.returncode:
            self.skipTest("no loop device: " + done.stderr)
        answer = self.agent(service).pull(self.large, self.bundle(), timeout=600).wait(300)
        self.assert_pulled(answer, self.bundle())
        size = os.path.getsize(self.rootfs(self.bundle(), "part2"))
        self.assertEqual(size, LARGE_IMAGE // 3)
        self.assertEqual(os.stat(os.path.join(self.root, "layers")).st_dev, os.stat(self.root).st_dev)
        self.assertTrue(os.path.ismount(self.root))
        self.unmount(self.bundle())
        service.stop()
        subprocess.run(["umount", self.root], check=True)


class Deadlines(KataCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.big = make_image.big_layer("big", BIG, 7)
        folder = os.path.join(cls.shared, "slow")
        cls.registry.push(make_image.add_image(folder, [cls.base, cls.hello, cls.big]), "kata/slow:1")

    def wire(self, service):
        """A client that has no clock of its own, to hear what the server says."""
        client = ttrpc.Client("unix://" + service.socket)
        client.connection.settimeout(guest_peers.DEADLINE)
        self.addCleanup(client.connection.close)
        return client

    def test_deadline_is_kept_finished_layers_stay_and_the_retry_takes_them(self):
        proxy = self.proxy()
        image = proxy.host + "/kata/slow:1"
        service = self.serve(insecure=[proxy.host])
        hold = proxy.hold(self.big.digest, after=MIB)
        client = self.wire(service)
        message = ttrpc.field(1, image) + ttrpc.field(2, self.bundle())
        # Long enough for the small layers; the big one does not come at all.
        with self.assertRaises(ttrpc.Refused) as caught:
            client.call(*guest_peers.PULL, message, timeout_ns=3 * 10**9)
        self.assertEqual(caught.exception.code, DEADLINE_EXCEEDED, caught.exception)
        self.assertTrue(hold.reached.wait(PROXY_DEADLINE))
        self.assertEqual(mounts_below(self.bundle()), [])
        hold.release()
        service.wait_log(image)
        self.until(lambda: self.in_store("staging") == [], "an empty staging/")
        small = {self.base.diff_id[7:], self.hello.diff_id[7:]}
        self.assertEqual(set(self.in_store("layers/sha256")), small, "what was finished stays")
        proxy.forget()
        answer = self.agent(service).pull(image, self.bundle(), timeout=60).wait()
        self.assert_pulled(answer, self.bundle(), hello="hello")
        self.assertEqual(len(proxy.gets(self.big.digest)), 1)
        for layer in self.base, self.hello:
            self.assertEqual(proxy.gets(layer.digest), [], "a finished layer was fetched again")

    def test_long_deadline(self):
        service = self.serve_plain()
        image = self.registry.host + "/kata/slow:1"
        answer = self.agent(service).pull(image, self.bundle(), timeout=600).wait()
        self.assert_pulled(answer, self.bundle(), hello="hello")

    def test_deadline_that_is_over_at_once(self):
        service = self.serve_plain()
        message = ttrpc.field(1, self.image) + ttrpc.field(2, self.bundle())
        with self.assertRaises(ttrpc.Refused) as caught:
            self.wire(service).call(*guest_peers.PULL, message, timeout_ns=1)
        self.assertEqual(caught.exception.code, DEADLINE_EXCEEDED)
        self.assertEqual(mounts_below(self.bundle()), [])


class ByParameters:
    """Two ways to say the same: the hub's file (init data), and the kernel's command line, which
    counts where the file has no [image]."""

    def serve_with(self, way, host, auth=None, policy=None, environment=None):
        if way == "file":
            image = {"authenticated_registry_credentials_uri": auth and "file://" + auth,
                     "image_security_policy_uri": policy and "file://" + policy}
            return self.serve({"image": {k: v for k, v in image.items() if v}}, insecure=[host],
                              name=f"guest-{len(self.services)}")
        words = ["quiet", f"agent.image_registry_auth=file://{auth}" if auth else ""]
        if policy:
            words += [f"agent.image_policy_file=file://{policy}", "agent.enable_signature_verification=true"]
        self.write("registries.conf", f'[[registry]]\nlocation = "{host}"\ninsecure = true\n')
        own_mounts.hide(GUEST)
        self.addCleanup(subprocess.run, ["umount", "-l", GUEST], check=True)
        self.root = GUEST + "/image"
        return self.serve({"image": None}, cmdline=" ".join(words), name=f"guest-{len(self.services)}",
                          CONTAINERS_REGISTRIES_CONF=self.path("registries.conf"))


class Private(ByParameters, KataCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.private = start_registry(cls, htpasswd=("user", "secret"))
        folder = os.path.join(cls.shared, "private")
        cls.private.push(make_image.add_image(folder, [cls.base, cls.hello]), "kata/private:1")

    def auth(self, password):
        text = base64.b64encode(f"user:{password}".encode()).decode()
        return self.write(f"auth-{password}.json", json.dumps({"auths": {self.private.host: {"auth": text}}}))

    def private_pull(self, way, auth):
        service = self.serve_with(way, self.private.host, auth=auth)
        answer = self.agent(service).pull(self.private.host + "/kata/private:1", self.bundle()).wait()
        return service, answer

    def right(self, way):
        _, answer = self.private_pull(way, self.auth("secret"))
        self.assert_pulled(answer, self.bundle(), hello="hello")

    def wrong(self, way):
        service, answer = self.private_pull(way, self.auth("wrong-password"))
        self.assert_refused(answer, FAILED_TO_PULL, NOT_AUTHORIZED, bundle=self.bundle())
        for text in answer.message, service.text():
            self.assertNotIn("wrong-password", text)

    def none(self, way):
        _, answer = self.private_pull(way, None)
        self.assert_refused(answer, FAILED_TO_PULL, NOT_AUTHORIZED, bundle=self.bundle())

    def test_right_credentials_by_kernel_parameters(self):
        self.right("kernel")

    def test_wrong_credentials_by_kernel_parameters(self):
        self.wrong("kernel")

    def test_no_credentials_by_kernel_parameters(self):
        self.none("kernel")

    def test_right_credentials_by_file(self):
        self.right("file")

    def test_wrong_credentials_by_file(self):
        self.wrong("file")

    def test_no_credentials_by_file(self):
        self.none("file")


class Encrypted(KataCase):
    KID = "kbs:///default/key/key_id1"

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.key = os.urandom(32)
        key_file = os.path.join(cls.shared, "key1")
        with open(key_file, "wb") as f:
            f.write(cls.key)
        folder, encrypted = os.path.join(cls.shared, "multi"), os.path.join(cls.shared, "encrypted")
        entries = []
        for architecture in "amd64", "arm64":
            platform = {"os": "linux", "architecture": architecture}
            layers = [cls.base, make_image.layer({"architecture": architecture})]
            entries.append((make_image.add_manifest(folder, layers, platform=platform), platform))
        reference = make_image.add_tag(folder, make_image.add_index(folder, entries), "1")
        spec = f"provider:attestation-agent:keypath={key_file}::keyid={cls.KID}::algorithm=A256GCM"
        subprocess.run([sluiced_case.SLUICE, "encrypt", "--quiet", "--encryption-key", spec, reference,
                        f"oci:{encrypted}:1"], check=True)
        cls.index, _ = make_image.tagged(encrypted, "1")
        signing.Uploads(cls.registry.host).push(encrypted, cls.index, "kata/encrypted", "1")

    def keys(self, table):
        text = {k: base64.b64encode(v).decode() for k, v in table.items()}
        return self.write("keys.json", json.dumps(text))

    def encrypted_pull(self, changes):
        service = self.serve_plain(changes)
        image = self.registry.host + "/kata/encrypted:1"
        return service, self.agent(service).pull(image, self.bundle()).wait()

    def check_refused(self, service, answer):
        self.assert_refused(answer, FAILED_TO_PULL, CANNOT_DECRYPT, bundle=self.bundle())
        for text in answer.message, service.text():
            for secret in self.key.hex(), base64.b64encode(self.key).decode():
                self.assertNotIn(secret, text)
        self.assertEqual(self.in_store("layers/sha256"), [], "nothing of it stays")

    def check_pulled(self, answer):
        architecture = {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]
        self.assert_pulled(answer, self.bundle(), architecture=architecture)

    def test_no_key(self):
        self.check_refused(*self.encrypted_pull({"sluice": {"offline_keys": self.keys({})}}))

    def test_right_key(self):
        _, answer = self.encrypted_pull({"sluice": {"offline_keys": self.keys({"default/key/key_id1": self.key})}})
        self.check_pulled(answer)

    def test_wrong_key(self):
        wrong = self.keys({"default/key/key_id1": os.urandom(32)})
        self.check_refused(*self.encrypted_pull({"sluice": {"offline_keys": wrong}}))

    def by_hub(self, resources):
        hub = self.hub(resources)
        service, answer = self.encrypted_pull({
            "kbc": {"name": "cc_kbc", "url": "http://127.0.0.1:1"},
            "sluice": {"upstream": "unix://" + hub.socket}})
        hub.wait(lambda line: "service" in line, what="a question for the key")
        return service, answer

    def test_right_key_of_an_upstream(self):
        """A broker that the hub behind speaks"""
        _, answer = self.by_hub({"default/key/key_id1": self.key})
        self.check_pulled(answer)

    def test_no_key_of_an_upstream(self):
        self.check_refused(*self.by_hub({}))

    def test_wrong_key_of_an_upstream(self):
        self.check_refused(*self.by_hub({"default/key/key_id1": os.urandom(32)}))


class Policies(ByParameters, KataCase):
    """Signed by cosign itself; judged by policies in image-rs' dialect."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.world = signature_case.World.get()
        cls.host = cls.world.docker.host
        cls.repository = f"{cls.host}/kata/policy"
        for tag, key in (("unsigned", None), ("signed", cls.world.cosign), ("other", cls.world.other_cosign)):
            digest = cls.world.image(cls.host, "kata/policy", tag, marker=tag)
            if key:
                cls.world.signing.cosign_sign(f"{cls.repository}@{digest}", key)
        cls.restricted = signing.policy(signing.REJECT, {cls.repository: signing.sigstore_signed(
            cls.world.cosign)})

    def policy_pull(self, way, tag, policy):
        path = self.write("policy.json", json.dumps(policy)) if policy else None
        service = self.serve_with(way, self.host, policy=path)
        return self.agent(service).pull(f"{self.repository}:{tag}", self.bundle()).wait()

    def runs(self, way, tag, policy):
        self.assert_pulled(self.policy_pull(way, tag, policy), self.bundle(), marker=tag)

    def rejected(self, way, tag, policy):
        answer = self.policy_pull(way, tag, policy)
        self.assert_refused(answer, FAILED_TO_PULL, DENIED, bundle=self.bundle())
        self.assertEqual(self.in_store("layers/sha256"), [], "nothing of a denied image stays")

    def test_unsigned_where_everything_is_accepted(self):
        for way in "file", "kernel":
            with self.subTest(way):
                self.runs(way, "unsigned", signing.policy(signing.ACCEPT))
                self.unmount(self.bundle())

    def test_unsigned_where_signatures_are_wanted_by_file(self):
        self.rejected("file", "unsigned", self.restricted)

    def test_unsigned_where_signatures_are_wanted_by_kernel_parameters(self):
        self.rejected("kernel", "unsigned", self.restricted)

    def test_signed_where_signatures_are_wanted(self):
        for way in "file", "kernel":
            with self.subTest(way):
                self.runs(way, "signed", self.restricted)
                self.unmount(self.bundle())

    def test_signed_by_another_key_by_file(self):
        self.rejected("file", "other", self.restricted)

    def test_signed_by_another_key_by_kernel_parameters(self):
        self.rejected("kernel", "other", self.restricted)

    def test_configuration_of_signatures_in_the_file_is_read(self):
        """One that hides what is attached: what is signed is as good as unsigned."""
        hidden = {"docker": {self.repository: {"use-sigstore-attachments": False}}}
        service = self.serve({"image": {"image_security_policy": json.dumps(self.restricted),
                                        "sigstore_config": json.dumps(hidden)}}, insecure=[self.host])
        answer = self.agent(service).pull(f"{self.repository}:signed", self.bundle()).wait()
        self.assert_refused(answer, FAILED_TO_PULL, DENIED, "use-sigstore-attachments", bundle=self.bundle())

    def test_no_policy(self):
        for way in "file", "kernel":
            with self.subTest(way):
                self.runs(way, "unsigned", None)
                self.unmount(self.bundle())

    def test_kernel_parameters_are_not_looked_at_where_the_file_has_an_image_section(self):
        policy = self.write("reject.json", json.dumps(signing.policy(signing.REJECT)))
        service = self.serve(insecure=[self.host], cmdline=f"agent.image_policy_file=file://{policy} "
                             "agent.enable_signature_verification=true")
        answer = self.agent(service).pull(f"{self.repository}:unsigned", self.bundle()).wait()
        self.assert_pulled(answer, self.bundle(), marker="unsigned")

    def test_policy_file_of_the_kernel_without_the_switch_is_not_looked_at(self):
        policy = self.write("reject.json", json.dumps(signing.policy(signing.REJECT)))
        service = self.serve_with("kernel", self.host)
        service.stop()
        self.write("registries.conf", f'[[registry]]\nlocation = "{self.host}"\ninsecure = true\n')
        service = self.serve({"image": None}, cmdline=f"agent.image_policy_file=file://{policy}",
                             name="second", CONTAINERS_REGISTRIES_CONF=self.path("registries.conf"))
        answer = self.agent(service).pull(f"{self.repository}:unsigned", self.bundle()).wait()
        self.assert_pulled(answer, self.bundle(), marker="unsigned")

    def test_policy_is_asked_of_a_cached_image_too(self):
        service = self.serve(insecure=[self.host])
        agent = self.agent(service)
        self.assert_pulled(agent.pull(f"{self.repository}:unsigned", self.bundle()).wait(), self.bundle())
        config = sluiced_case.merged(service.config, {"image": {
            "image_security_policy": json.dumps(self.restricted)}})
        service.reload(config)
        answer = agent.pull(f"{self.repository}:unsigned", self.bundle("two")).wait()
        self.assert_refused(answer, DENIED, bundle=self.bundle("two"))

    def test_policy_and_key_of_a_broker(self):
        """By kbs:/// of offline_fs_kbc, and of a hub behind."""
        with open(self.world.cosign.public, "rb") as f:
            key = f.read()
        policy = signing.policy(signing.REJECT, {self.repository: {
            "type": "sigstoreSigned", "keyPath": "kbs:///default/cosign-public-key/test"}})
        resources = {"default/security-policy/test": json.dumps(policy).encode(),
                     "default/cosign-public-key/test": key}
        table = self.write("resources.json", json.dumps(
            {k: base64.b64encode(v).decode() for k, v in resources.items()}))
        hub = self.hub(resources)
        image = {"image_security_policy_uri": "kbs:///default/security-policy/test"}
        ways = ({"image": image, "sluice": {"offline_resources": table}},
                {"image": image, "kbc": {"name": "cc_kbc", "url": "http://127.0.0.1:1"},
                 "sluice": {"upstream": "unix://" + hub.socket}})
        for i, changes in enumerate(ways):
            service = self.serve(changes, insecure=[self.host], name=f"guest{i}")
            agent = self.agent(service)
            answer = agent.pull(f"{self.repository}:signed", self.bundle(f"s{i}")).wait()
            self.assert_pulled(answer, self.bundle(f"s{i}"), marker="signed")
            answer = agent.pull(f"{self.repository}:other", self.bundle(f"o{i}")).wait()
            self.assert_refused(answer, DENIED, bundle=self.bundle(f"o{i}"))
            service.stop()


class Measurement(KataCase):
    DOMAIN = "github.com/confidential-containers"

    def measured(self, server, count=1):
        return server.wait_asked("ExtendRuntimeMeasurement", count)[-1]

    def exact(self, content):
        return (ttrpc.field(1, self.DOMAIN) + ttrpc.field(2, "PullImage") + ttrpc.field(3, content)).hex()

    def test_bytes_are_exact(self):
        server = self.attestation_agent()
        service = self.serve_plain()
        answer = self.agent(service).pull(self.image, self.bundle()).wait()
        self.assert_pulled(answer, self.bundle())
        asked = self.measured(server)
        self.assertEqual(asked["hex"], self.exact(f'{{"image":"{self.image}", "digest":"{self.digest}"}}'))
        self.assertTrue(0 < asked["timeout"] <= 10, asked)
        self.assertEqual(len(server.requests), 1)

    def test_the_callers_words_are_measured(self):
        """By digest, with tag and digest: as it was written."""
        server = self.attestation_agent()
        service = self.serve_plain()
        agent = self.agent(service)
        names = [f"{self.registry.host}/kata/plain@{self.digest}", f"{self.image}@{self.digest}"]
        for i, name in enumerate(names):
            answer = agent.pull(name, self.bundle(f"b{i}")).wait()
            self.assert_pulled(answer, self.bundle(f"b{i}"))
            asked = self.measured(server, i + 1)
            self.assertEqual(asked["hex"], self.exact(f'{{"image":"{name}", "digest":"{self.digest}"}}'))

    def test_agent_that_does_not_measure(self):
        """NOT_SUPPORTED and NOT_ENABLED only warn."""
        server = self.attestation_agent()
        service = self.serve_plain()
        agent = self.agent(service)
        for result in 1, 2:
            server.behave(result=result)
            answer = agent.pull(self.image, self.bundle(str(result))).wait()
            self.assert_pulled(answer, self.bundle(str(result)))

    def test_no_agent(self):
        service = self.serve_plain()
        self.assert_pulled(self.agent(service).pull(self.image, self.bundle()).wait(), self.bundle())

    def test_agent_that_refuses_fails_the_pull_and_nothing_is_mounted(self):
        server = self.attestation_agent()
        service = self.serve_plain()
        agent = self.agent(service)
        server.behave(code=13, message="no more registers")
        answer = agent.pull(self.image, self.bundle()).wait()
        self.assert_refused(answer, "no more registers", bundle=self.bundle())
        server.behave()
        self.assert_pulled(agent.pull(self.image, self.bundle()).wait(), self.bundle())

    def test_agent_that_hangs_is_given_up_and_others_go_on(self):
        server = self.attestation_agent()
        service = self.serve_plain()
        agent = self.agent(service)
        server.behave(hang=True)
        call = agent.pull(self.image, self.bundle())
        server.wait_asked("ExtendRuntimeMeasurement")
        refused = agent.call(*guest_peers.RESOURCE, {"ResourcePath": "kbs:///a/b/c"})
        self.assertNotEqual(refused.code, 0)
        self.assertFalse(call.is_over(), "others wait for nobody's agent")
        self.assert_refused(call.wait(30), bundle=self.bundle())  # after ten seconds
        server.behave()

    def test_socket_that_nobody_listens_on_fails_the_pull(self):
        server = self.attestation_agent()
        server.close()
        self.assertTrue(os.path.exists(server.socket))
        service = self.serve_plain()
        self.assert_refused(self.agent(service).pull(self.image, self.bundle()).wait(),
                            bundle=self.bundle())


class Containers(KataCase):
    """What is left when the agent unmounts."""

    def gone(self):
        self.until(lambda: self.in_store("mounts") == [], "an empty mounts/")

    def test_upper_goes_and_layers_stay(self):
        service = self.serve_plain()
        agent = self.agent(service)
        self.assert_pulled(agent.pull(self.image, self.bundle()).wait(), self.bundle())
        self.assertEqual(len(self.in_store("mounts")), 1)
        self.unmount(self.bundle())
        self.gone()
        self.assertEqual(len(self.in_store("layers/sha256")), 2)
        before = self.gets(self.base)
        self.assert_pulled(agent.pull(self.image, self.bundle()).wait(), self.bundle())
        self.assertEqual(self.gets(self.base), before)

    def test_layers_go_where_the_operator_says_so(self):
        service = self.serve_plain({"sluice": {"keep": "mounted"}})
        agent = self.agent(service)
        for name in "one", "two":
            self.assert_pulled(agent.pull(self.image, self.bundle(name)).wait(), self.bundle(name))
        self.unmount(self.bundle("one"))
        self.until(lambda: len(self.in_store("mounts")) == 1, "one mount")
        self.assert_pulled(agent.pull(self.image, self.bundle("two")).wait(), self.bundle("two"), hello="hello")
        self.unmount(self.bundle("two"))
        self.gone()
        self.until(lambda: self.in_store("layers/sha256") == [], "a store without layers")

    def test_nothing_grows(self):
        service = self.serve_plain()
        agent = self.agent(service)

        def once():
            self.assert_pulled(agent.pull(self.image, self.bundle()).wait(), self.bundle())
            self.unmount(self.bundle())
            self.gone()
        once()
        once()
        before = len(service.descriptors()), service.threads()
        for _ in range(ROUNDS):
            once()
        # Connections and threads that are kept for the next pull come and go.
        self.until(lambda: len(service.descriptors()) <= before[0] + ROUNDS // 8 and
                   service.threads() <= before[1] + ROUNDS // 8, f"as before: {before}; now "
                   f"{service.threads()}, {service.descriptors()}")


class Upstream(KataCase):
    def test_calls_go_over_as_they_are_and_answers_come_back(self):
        hub = self.hub({})
        service = self.serve_plain({"sluice": {"upstream": "unix://" + hub.socket}})
        client = ttrpc.Client("unix://" + service.socket)
        self.addCleanup(client.connection.close)
        # A map out of order, an unknown field, a field twice: nobody tidies up.
        message = (ttrpc.field(99, b"?") + ttrpc.field(2, ttrpc.field(1, b"z") + ttrpc.field(2, b"1")) +
                   ttrpc.field(2, ttrpc.field(1, b"a") + ttrpc.field(2, b"2")) +
                   ttrpc.field(4, b"first") + ttrpc.field(4, b"/mnt") + ttrpc.field(1, b"block-device"))
        got = client.call(*guest_peers.MOUNT, message, timeout_ns=40 * 10**9,
                          metadata=(("trace", "1"), ("Trace", "2"), ("trace", "3"), ("empty", "")))
        self.assertEqual(got, ttrpc.field(1, b"/mnt"))
        asked = hub.wait_asked("SecureMount")[0]
        self.assertEqual(asked["hex"], message.hex())
        self.assertEqual({k.lower() for k in asked["metadata"]}, {"trace", "empty"})
        self.assertEqual(sorted(sum(asked["metadata"].values(), [])), ["", "1", "2", "3"])
        self.assertTrue(30 < asked["timeout"] < 40.01, asked)  # in milliseconds, rounded up

    def test_statuses_and_details_come_back(self):
        hub = self.hub({})
        service = self.serve_plain({"sluice": {"upstream": "unix://" + hub.socket}})
        agent = self.agent(service)
        for code in FAILED_PRECONDITION, 16, 77:
            hub.behave(code=code, message=f"no: {code} ü", details=["why", "and how"])
            refused = agent.call(*guest_peers.UNSEAL, {"secret": "AA=="})
            self.assertEqual((refused.code, refused.message), (code, f"no: {code} ü"))
            self.assertEqual(refused.details, ["type.googleapis.com/other.Text " + ttrpc.field(1, t).hex()
                                               for t in ("why", "and how")])
        hub.behave()
        good = agent.call(*guest_peers.UNSEAL, {"secret": base64.b64encode(b"s").decode()})
        self.assertEqual(base64.b64decode(good.fields["plaintext"]), b"unsealed s")

    def test_services_that_nobody_knows(self):
        hub = self.hub({})
        service = self.serve_plain({"sluice": {"upstream": "unix://" + hub.socket}})
        agent = self.agent(service)
        self.assertEqual(agent.call("other.Echo", "Say", {"text": "x"}).fields, {"text": "you said x"})
        self.assertEqual(agent.call("no.Such", "Thing").code, UNIMPLEMENTED)
        self.assertEqual(agent.call("other.Echo", "Nothing").code, UNIMPLEMENTED)
        service.stop()
        alone = self.serve_plain(name="alone")
        agent = self.agent(alone)
        for name, method in (guest_peers.UNSEAL, guest_peers.MOUNT, ("no.Such", "Thing"),
                             (guest_peers.PULL[0], "Nothing")):
            self.assertEqual(agent.call(name, method).code, UNIMPLEMENTED, name)

    def test_pulls_are_not_passed_on(self):
        hub = self.hub({})
        service = self.serve_plain({"sluice": {"upstream": "unix://" + hub.socket}})
        answer = self.agent(service).pull(self.image, self.bundle()).wait()
        self.assert_pulled(answer, self.bundle(), hello="hello")
        self.assertEqual(hub.requests, [])

    def test_dead_upstream(self):
        hub = self.hub({})
        service = self.serve_plain({"sluice": {"upstream": "unix://" + hub.socket}})
        agent = self.agent(service)
        self.assertEqual(agent.call(*guest_peers.UNSEAL, {"secret": ""}).code, 0)
        hub.close()
        refused = agent.call(*guest_peers.UNSEAL, {"secret": ""})
        self.assertNotEqual(refused.code, 0)
        self.assertIn("upstream.sock", refused.message)
        self.assert_pulled(agent.pull(self.image, self.bundle()).wait(), self.bundle())
        os.unlink(hub.socket)
        self.hub({})
        self.assertEqual(agent.call(*guest_peers.UNSEAL, {"secret": ""}).code, 0, "it does not come back")

    def test_one_slow_call_does_not_hold_the_others(self):
        hub = self.hub({})
        service = self.serve_plain({"sluice": {"upstream": "unix://" + hub.socket}})
        agent = self.agent(service)
        hub.behave(hang=True)
        slow = [agent.ask(*guest_peers.UNSEAL, {"secret": ""}) for _ in range(20)]
        hub.wait_asked("UnsealSecret", len(slow))
        self.assert_pulled(agent.pull(self.image, self.bundle()).wait(), self.bundle())
        self.assertFalse(any(call.is_over() for call in slow))
        hub.behave()
        self.assertEqual([call.wait().code for call in slow], [0] * len(slow))

    def test_resources_and_keys_on_the_same_connection(self):
        resources = self.write("resources.json", json.dumps(
            {"default/test/file": base64.b64encode(b"of the file").decode()}))
        service = self.serve_plain({"sluice": {"offline_resources": resources}})
        agent = self.agent(service)
        pull = agent.pull(self.image, self.bundle())
        got = agent.call(*guest_peers.RESOURCE, {"ResourcePath": "kbs:///default/test/file"})
        self.assertEqual(base64.b64decode(got.fields["Resource"]), b"of the file")
        missing = agent.call(*guest_peers.RESOURCE, {"ResourcePath": "kbs:///default/test/none"})
        self.assertEqual(missing.code, INTERNAL)
        self.assertTrue(missing.message.startswith(PREFIX), missing)
        bad = agent.call(*guest_peers.UNWRAP, {"KeyProviderKeyWrapProtocolInput": "e30="})
        self.assertNotEqual(bad.code, 0)
        self.assert_pulled(pull.wait(), self.bundle())

    def test_keys_are_unwrapped_here_and_wrapped_nowhere(self):
        """Wrapping is the business of the hub behind; without one nobody does it, in the hub's words."""
        wrap = (guest_peers.UNWRAP[0], "WrapKey")
        hub = self.hub({})
        service = self.serve_plain({"sluice": {"upstream": "unix://" + hub.socket}})
        agent = self.agent(service)
        self.assertEqual(agent.call(*wrap).code, NOT_FOUND)
        agent.call(*guest_peers.UNWRAP, {"KeyProviderKeyWrapProtocolInput": "e30="})
        agent.call(*wrap)
        hub.wait_asked("WrapKey", 2)
        self.assertEqual([r["method"] for r in hub.requests], ["WrapKey", "WrapKey"])
        service.stop()
        refused = self.agent(self.serve_plain(name="alone")).call(*wrap)
        self.assertEqual((refused.code, refused.message),
                         (NOT_FOUND, "/keyprovider.KeyProviderService/WrapKey is not supported"))

    def test_resources_after_a_reload_are_those_of_the_new_configuration(self):
        service = agent = None
        for text in "old", "new":
            known = self.write(f"{text}.json", json.dumps(
                {"default/test/file": base64.b64encode(text.encode()).decode()}))
            if not service:
                service = self.serve_plain({"sluice": {"offline_resources": known}})
                agent = self.agent(service)
            else:
                service.config["sluice"]["offline_resources"] = known
                service.reload(service.config)
            got = agent.call(*guest_peers.RESOURCE, {"ResourcePath": "kbs:///default/test/file"})
            self.assertEqual(base64.b64decode(got.fields["Resource"]), text.encode())

    def test_resources_of_other_brokers_come_from_the_upstream(self):
        hub = self.hub({"default/test/file": b"\0of the hub"})
        service = self.serve_plain({"kbc": {"name": "cc_kbc", "url": "http://127.0.0.1:1"},
                                    "sluice": {"upstream": "unix://" + hub.socket}})
        got = self.agent(service).call(*guest_peers.RESOURCE, {"ResourcePath": "kbs:///default/test/file"})
        self.assertEqual(base64.b64decode(got.fields["Resource"]), b"\0of the hub")


class Life(KataCase):
    def held_pull(self, service, proxy, name="one"):
        """A pull that has part of a layer and gets no more, and its hold."""
        hold = proxy.hold(self.base.digest, after=10)
        call = self.agent(service).pull(proxy.host + "/kata/plain:1", self.bundle(name))
        self.assertTrue(hold.reached.wait(PROXY_DEADLINE), "the layer was never asked for")
        return call, hold

    def test_reload_during_a_pull_leaves_it_alone(self):
        proxy = self.proxy()
        service = self.serve(insecure=[proxy.host])
        call, hold = self.held_pull(service, proxy)
        denying = sluiced_case.merged(service.config, {"image": {
            "image_security_policy": json.dumps(signing.policy(signing.REJECT))}})
        service.reload(denying)
        hold.release()
        self.assert_pulled(call.wait(), self.bundle(), hello="hello")
        answer = self.agent(service).pull(proxy.host + "/kata/plain:1", self.bundle("two")).wait()
        self.assert_refused(answer, DENIED, bundle=self.bundle("two"))

    def test_reload_by_ctl(self):
        service = self.serve_plain()
        agent = self.agent(service)
        service.write_config(sluiced_case.merged(service.config, {"image": {
            "image_security_policy": json.dumps(signing.policy(signing.REJECT))}}))
        service.ctl("reload")
        self.assert_refused(agent.pull(self.image, self.bundle()).wait(), DENIED, bundle=self.bundle())

    def test_told_to_end_it_lets_pulls_finish(self):
        proxy = self.proxy()
        service = self.serve(insecure=[proxy.host])
        call, hold = self.held_pull(service, proxy)
        service.send(signal.SIGTERM)
        self.assertTrue(service.manager.wait(lambda line: line == "STOPPING=1"))
        hold.release()
        self.assert_pulled(call.wait(), self.bundle(), hello="hello")
        service.stop()

    def test_told_to_end_it_does_not_wait_longer_than_it_may(self):
        proxy = self.proxy()
        service = self.serve({"sluice": {"drain_s": 0}}, insecure=[proxy.host])
        call, _ = self.held_pull(service, proxy)
        service.send(signal.SIGTERM)
        answer = call.wait()
        self.assertNotEqual(answer.code, 0)
        service.stop()
        self.assertEqual(mounts_below(self.bundle()), [])
        self.assertEqual(self.in_store("staging"), [])

    def test_sigint_ends_it_too(self):
        self.serve_plain().stop(signal.SIGINT)

    def test_killed_and_started_again(self):
        """A stale socket, half a layer in staging, a mount that has lived on."""
        proxy = self.proxy()
        service = self.serve(insecure=[proxy.host])
        first = self.agent(service).pull(proxy.host + "/kata/plain:1", self.bundle("old"))
        self.assert_pulled(first.wait(), self.bundle("old"))
        self.push(self.registry, "kata/other:1", self.base, make_image.big_layer("other", BIG, 5))
        descriptor = make_image.big_layer("other", BIG, 5)
        hold = proxy.hold(descriptor.digest, after=MIB)
        call = self.agent(service).pull(proxy.host + "/kata/other:1", self.bundle("new"))
        self.assertTrue(hold.reached.wait(PROXY_DEADLINE))
        service.kill()
        hold.release()
        self.assertNotEqual(call.wait().code, 0)
        second = self.serve(config=service.config, name="second")
        agent = self.agent(second)
        self.assert_pulled(agent.pull(proxy.host + "/kata/other:1", self.bundle("new")).wait(),
                           self.bundle("new"))
        self.assert_pulled(agent.pull(proxy.host + "/kata/plain:1", self.bundle("old")).wait(),
                           self.bundle("old"), hello="hello")
        self.assertEqual(self.in_store("staging"), [])


class WorkedExample(SluicedCase):
    """The hub's example file: a broker that only the hub behind speaks, policy and credentials from
    there, an extra root, a proxy, an exception from it, a rule with a mirror and a place."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.tls = start_registry(cls, tls=True, htpasswd=("user", "secret"))
        cls.mirror = start_registry(cls)
        cls.layers = {name: make_image.layer({name: name}) for name in ("location", "mirror")}
        folder = os.path.join(cls.shared, "example")
        for name, registry in (("location", cls.tls), ("mirror", cls.mirror)):
            reference = make_image.add_image(folder, [cls.layers[name]], tag=name)
            registry.push(reference, f"team/{name}:1")

    def example(self, hub, proxy):
        with open(self.tls.ca, encoding="ascii") as f:
            root = f.read()
        return {
            "kbc": {"name": "cc_kbc", "url": "https://kbs.example.org:8080"},
            "image": {
                "max_concurrent_layer_downloads_per_image": 8,
                "image_security_policy_uri": "kbs:///default/security-policy/prod",
                "authenticated_registry_credentials_uri": "kbs:///default/credential/prod",
                "extra_root_certificates": [root],
                "image_pull_proxy": {"https_proxy": proxy.url,
                                     "no_proxy": "10.0.0.0/8,registry.internal," + self.mirror.host.split(":")[0]},
                "registry_config": {
                    "unqualified-search-registries": ["docker.io"],
                    "registry": [{"prefix": "example.org/team", "location": f"localhost:{self.port}/team",
                                  "mirror": [{"location": f"{self.mirror.host}/team", "insecure": True}]}]}},
            "sluice": {"upstream": "unix://" + hub.socket}}

    @property
    def port(self):
        return self.tls.host.rsplit(":", 1)[1]

    def start_example(self):
        proxy = CountingProxy()
        proxy.__enter__()
        self.addCleanup(proxy.__exit__)
        auth = base64.b64encode(b"user:secret").decode()
        hub = self.hub({
            "default/security-policy/prod": json.dumps(signing.policy(
                signing.REJECT, {"example.org/team": signing.ACCEPT})),
            "default/credential/prod": json.dumps({"auths": {f"localhost:{self.port}": {"auth": auth}}})})
        return self.serve(self.example(hub, proxy)), proxy, hub

    def test_mirror_comes_first_and_without_the_proxy(self):
        service, proxy, hub = self.start_example()
        answer = self.agent(service).pull("example.org/team/mirror:1", self.bundle()).wait()
        self.assert_pulled(answer, self.bundle(), mirror="mirror")
        self.assertEqual(proxy.requests, [], "no_proxy")
        asked = {r["fields"]["ResourcePath"] for r in hub.requests if r["method"] == "GetResource"}
        self.assertLessEqual({"kbs:///default/security-policy/prod", "kbs:///default/credential/prod"}, asked)

    def test_location_comes_next_through_the_proxy_with_credentials_and_the_extra_root(self):
        service, proxy, _ = self.start_example()
        answer = self.agent(service).pull("example.org/team/location:1", self.bundle()).wait()
        self.assert_pulled(answer, self.bundle(), location="location")
        self.assertTrue(any(m == "CONNECT" for m, *_ in proxy.requests), proxy.requests)

    def test_policy_goes_by_the_name_that_was_asked_for(self):
        service, _, _ = self.start_example()
        answer = self.agent(service).pull(f"{self.mirror.host}/team/mirror:1", self.bundle()).wait()
        self.assert_refused(answer, FAILED_TO_PULL, bundle=self.bundle())

    def test_nothing_is_left_on_disk_of_what_the_broker_gave(self):
        service, _, _ = self.start_example()
        answer = self.agent(service).pull("example.org/team/mirror:1", self.bundle()).wait()
        self.assertEqual(answer.code, 0, answer)
        found = subprocess.run(["grep", "-rl", base64.b64encode(b"user:secret").decode(), self.root],
                               stdout=subprocess.PIPE, text=True, check=False).stdout
        self.assertEqual(found, "")

    def test_config_check_says_where_each_value_comes_from(self):
        service, _, _ = self.start_example()
        run = self.sluice("config", "check", service.config_path)
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertRegex(run.stdout, r"image\.image_security_policy_uri.*kbs:///default/security-policy/prod")
        self.assertIn("cdh.toml", run.stdout)


def tear_down():
    signature_case.tear_down()


if __name__ == "__main__":
    import atexit
    atexit.register(tear_down)
    sluiced_case.main("openssl", "htpasswd", "mkfs.ext4", "mmdebstrap")
