#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""sluice keyprovider, asked by other people's clients: grpcio over TCP and a unix socket, ttrpc by
the bytes, skopeo. And the way of CoCo's guide: a key file, an encrypted image, a guest that pulls.
Needs SLUICE and SLUICE_IMAGES (where tools are kept)."""
import base64
import json
import os
import signal
import socket
import stat
import subprocess
import sys

try:
    import grpc
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
except ImportError as missing:
    print("skipped:", missing)
    sys.exit(77)

import sluice_case
from sluice_case import EXIT_FAILED, EXIT_NETWORK, EXIT_POLICY, EXIT_USAGE, SLUICE
import oci_images
import peers
import ttrpc

KEPT = os.environ.get("SLUICE_IMAGES")
SERVICE = "keyprovider.KeyProviderService"
NAME = "attestation-agent"
KID = "kbs:///default/key/key_id1"
ANNOTATION = "org.opencontainers.image.enc.keys.provider." + NAME
PUBOPTS = "org.opencontainers.image.enc.pubopts"
KATA = ("Failed to decrypt the image layer, please ensure that the decryption key is placed and correct")
# The private options of ocicrypt's own test, and what sample=true makes of them.
PLBCO = (b'{"symkey":"MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MTI=","digest":"sha256:dff90087e2a95f1c093cf40e7b'
         b'e6ef4e998e21b4ea38d0b494ea2fdb2576fcfe","cipheroptions":{"nonce":"AAECAwQFBgcICQoLDA0ODw=="}}')
SAMPLE_KEK = bytes.fromhex("d99b7705b0ba7a168295b3a3367270b0dd9b371bf514ca8b9ba7f0a33711daea")


def b64(data):
    return base64.b64encode(data).decode()


def field(data):
    """A message of one field, number 1, of bytes."""
    size, n = b"", len(data)
    while n > 127:
        size, n = size + bytes([n & 127 | 128]), n >> 7
    return b"\x0a" + size + bytes([n]) + data


def unfield(message):
    if not message:
        return b""
    assert message[0] == 0x0A
    at = next(i for i in range(1, len(message)) if message[i] < 128)
    return message[at + 1:]


def unwrap_request(packet, params="offline_fs_kbc::null"):
    dc = {"Parameters": {NAME: [b64(params.encode())]} if params else {}}
    return {"op": "keyunwrap", "keywrapparams": {"ec": None, "optsdata": None},
            "keyunwrapparams": {"dc": dc, "annotation": b64(packet)}}


def wrap_request(params, plbco=PLBCO):
    ec = {"Parameters": {NAME: [b64(params.encode())]}, "DecryptConfig": {"Parameters": {}}}
    return {"op": "keywrap", "keywrapparams": {"ec": ec, "optsdata": b64(plbco)},
            "keyunwrapparams": {"dc": None, "annotation": None}}


def make_packet(kek, kid=KID, **changes):
    iv = os.urandom(12)
    packet = {"kid": kid, "wrapped_data": b64(AESGCM(kek).encrypt(iv, PLBCO, None)), "iv": b64(iv),
              "wrap_type": "A256GCM", **changes}
    return json.dumps({k: v for k, v in packet.items() if v is not None}).encode()


class Refused(Exception):
    def __init__(self, status, text):
        super().__init__(f"{status}: {text}")
        self.status, self.text = status, text


class GrpcClient:
    def __init__(self, target):
        self.channel = grpc.insecure_channel(target)

    def call(self, method, message, service=SERVICE):
        try:
            return self.channel.unary_unary(f"/{service}/{method}")(message, timeout=20)
        except grpc.RpcError as problem:
            raise Refused(problem.code().value[0], problem.details()) from None

    def close(self):
        self.channel.close()


class TtrpcClient:
    def __init__(self, path):
        self.client = ttrpc.Client("unix://" + path)

    def call(self, method, message, service=SERVICE):
        try:
            return self.client.call(service, method, message)
        except ttrpc.Refused as problem:
            raise Refused(problem.code, problem.text) from None

    def close(self):
        self.client.connection.close()


class ProviderCase(sluice_case.SluiceCase):
    options = ()

    def setUp(self):
        super().setUp()
        self.kek = os.urandom(32)
        self.keys = self.write("keys.json", json.dumps(
            {"default/key/key_id1": b64(self.kek), "default/key/short": b64(b"too short")}))
        self.resources = self.write("resources.json", json.dumps(
            {"default/security-policy/test": b64(b'{"default":[]}')}))
        self.server = self.start_provider(
            "--listen", "grpc://127.0.0.1:0", "--listen", "grpc+unix://" + self.path("g.sock"),
            "--listen", "ttrpc+unix://" + self.path("t.sock"), "--offline-keys", self.keys,
            "--offline-resources", self.resources, *self.options)
        self.target = self.addresses[0].removeprefix("grpc://")
        self.clients = [GrpcClient(self.target), GrpcClient("unix:" + self.path("g.sock")),
                        TtrpcClient(self.path("t.sock"))]
        for client in self.clients:
            self.addCleanup(client.close)

    def start_provider(self, *args):
        server = self.start("keyprovider", *args)
        self.addresses = [server.stdout.readline().strip() for a in args if a == "--listen"]
        return server

    def ask(self, client, method, request):
        text = request if isinstance(request, bytes) else json.dumps(request).encode()
        return json.loads(unfield(client.call(method, field(text))))

    def unwrap(self, client, packet, **kwargs):
        answer = self.ask(client, "UnWrapKey", unwrap_request(packet, **kwargs))
        return bytes(answer["keyunwrapresults"]["optsdata"])

    def wrap(self, client, params):
        answer = self.ask(client, "WrapKey", wrap_request(params))
        return bytes(answer["keywrapresults"]["annotation"])

    def check_refused(self, client, method, request, *texts):
        """By a status that is not UNKNOWN, in one line that gives no secret away."""
        with self.assertRaises(Refused) as caught:
            self.ask(client, method, request)
        self.assertNotIn(caught.exception.status, (0, 2))
        self.assertNotIn("\n", caught.exception.text)
        for text in texts:
            self.assertIn(text, caught.exception.text)
        for secret in (self.kek, b"01234567890123456789012345678912"):
            self.assertNotIn(b64(secret), caught.exception.text)
            self.assertNotIn(secret.hex(), caught.exception.text)
        return caught.exception.status


class Answers(ProviderCase):
    def test_what_it_wraps_others_open_and_the_other_way_round(self):
        kek_file = self.path("kek")
        with open(kek_file, "wb") as f:
            f.write(self.kek)
        for client in self.clients:
            packet = json.loads(self.wrap(client, f"keypath={kek_file}::keyid={KID}::algorithm=A256GCM"))
            self.assertEqual(list(packet), ["kid", "wrapped_data", "iv", "wrap_type"])
            self.assertEqual((packet["kid"], packet["wrap_type"]), (KID, "A256GCM"))
            iv = base64.b64decode(packet["iv"])
            self.assertEqual(AESGCM(self.kek).decrypt(iv, base64.b64decode(packet["wrapped_data"]), None), PLBCO)
            self.assertEqual(self.unwrap(client, make_packet(self.kek)), PLBCO)

    def test_without_keypath_the_key_of_the_file_is_used(self):
        packet = json.loads(self.wrap(self.clients[0], f"keyid={KID}"))
        plain = AESGCM(self.kek).decrypt(base64.b64decode(packet["iv"]),
                                         base64.b64decode(packet["wrapped_data"]), None)
        self.assertEqual(plain, PLBCO)

    def test_guest_that_names_no_broker_is_answered(self):
        self.assertEqual(self.unwrap(self.clients[0], make_packet(self.kek), params=None), PLBCO)

    def test_packet_of_version_2(self):
        packet = make_packet(self.kek, version="0.1.0", provider="kbs", provider_settings={}, annotations={})
        self.assertEqual(self.unwrap(self.clients[2], packet), PLBCO)

    def test_resource(self):
        for client in self.clients:
            got = client.call("GetResource", field(b"kbs:///default/security-policy/test"), "api.GetResourceService")
            self.assertEqual(unfield(got), b'{"default":[]}')
            with self.assertRaises(Refused) as caught:
                client.call("GetResource", field(b"kbs:///default/key/key_id1"), "api.GetResourceService")
            self.assertEqual(caught.exception.status, 5)

    def test_unknown_service_and_method(self):
        for client in self.clients:
            for service, method in ((SERVICE, "Nothing"), ("no.Such", "UnWrapKey")):
                with self.assertRaises(Refused) as caught:
                    client.call(method, b"", service)
                self.assertIn(caught.exception.status, (3, 12))


class BadInput(ProviderCase):
    def test_malformed_packets(self):
        good = json.loads(make_packet(self.kek))
        bad = [make_packet(self.kek, **{name: value}) for name in good
               for value in (None, 7, "", [], {}, "A" * 70000)]
        bad += [make_packet(self.kek, iv=b64(bytes(16))), make_packet(self.kek, wrap_type="a256gcm"),
                make_packet(self.kek, provider="aws"), b"", b"{}", b"null", b"[" * 10000,
                b'{"kid":"' + KID.encode() + b'",' + make_packet(self.kek)[1:],
                make_packet(self.kek) + b"x"]
        for packet in bad:
            self.check_refused(self.clients[0], "UnWrapKey", unwrap_request(packet))
        for client in self.clients:  # and it goes on
            self.assertEqual(self.unwrap(client, make_packet(self.kek)), PLBCO)

    def test_malformed_requests(self):
        good = unwrap_request(make_packet(self.kek))
        bad = [b"", b"{", b"null", b"\xff", b"[" * 100000, b'{"op":"keyunwrap"}',
               {**good, "op": "keywrap"}, {**good, "op": 1}, {**good, "keyunwrapparams": None},
               {**good, "keyunwrapparams": {"dc": None, "annotation": "***"}},
               {**good, "keyunwrapparams": {"dc": {"Parameters": {NAME: ["***"]}}, "annotation": ""}}]
        for request in bad:
            self.assertEqual(self.check_refused(self.clients[2], "UnWrapKey", request), 3, request)
        for params in ("", "keyid=default/key/x", "keyid=http://a/b/c", f"keyid={KID}::keyid",
                       f"keyid={KID}::algorithm=A512", f"keypath=/nonexistent::keyid={KID}",
                       f"keypath={self.keys}::keyid={KID}", f"keypath=/dev/zero::keyid={KID}"):
            self.check_refused(self.clients[0], "WrapKey", wrap_request(params))
        self.assertEqual(self.unwrap(self.clients[2], make_packet(self.kek)), PLBCO)

    def test_keys_that_do_not_fit(self):
        ask = unwrap_request
        self.assertEqual(self.check_refused(self.clients[0], "UnWrapKey", ask(make_packet(self.kek, "kbs:///a/b/c")),
                                            "kbs:///a/b/c"), 5)
        self.check_refused(self.clients[0], "UnWrapKey", ask(make_packet(self.kek, "kbs:///default/key/short")), "32")
        self.check_refused(self.clients[0], "UnWrapKey", ask(make_packet(os.urandom(32))))
        self.check_refused(self.clients[0], "UnWrapKey", ask(make_packet(self.kek, "kbs://kbs://default/key/x")), "kid")
        self.check_refused(self.clients[0], "UnWrapKey", ask(make_packet(self.kek), params="cc_kbc::http://h"), "cc_kbc")

    def test_sample_and_ctr_need_their_flags(self):
        self.check_refused(self.clients[0], "WrapKey", wrap_request("sample=true"), "sample")
        self.check_refused(self.clients[0], "WrapKey", wrap_request(f"keyid={KID}::algorithm=A256CTR"), "A256CTR")

    def test_broken_peers_cost_others_nothing(self):
        host, port = self.target.rsplit(":", 1)
        for data in (b"GET / HTTP/1.1\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 100, b"\0" * 3):
            with socket.create_connection((host, int(port))) as s:
                s.sendall(data)
                self.assertEqual(self.unwrap(self.clients[0], make_packet(self.kek)), PLBCO)
        for data in (b"\xff" * 64, b"\0\0\0\x40\0\0\0\1\1\0", b"\0\x3f\xff\xff\0\0\0\1\1\0abc"):
            with socket.socket(socket.AF_UNIX) as s:
                s.connect(self.path("t.sock"))
                s.sendall(data)
                self.assertEqual(self.unwrap(self.clients[2], make_packet(self.kek)), PLBCO)


class Unsafe(ProviderCase):
    options = ("--unsafe-sample-key", "--allow-a256ctr")

    def test_sample_packet_is_the_known_one(self):
        packet = self.wrap(self.clients[0], "sample=true")
        iv, kid = bytes(12), "kbs:///default/test-key/1"
        self.assertEqual(json.loads(packet), {
            "kid": kid, "wrapped_data": b64(AESGCM(SAMPLE_KEK).encrypt(iv, PLBCO, None)), "iv": b64(iv),
            "wrap_type": "A256GCM"})

    def test_ctr_there_and_back(self):
        packet = self.wrap(self.clients[0], f"keyid={KID}::algorithm=A256CTR")
        self.assertEqual(json.loads(packet)["wrap_type"], "A256CTR")
        self.assertEqual(self.unwrap(self.clients[0], packet), PLBCO)


class Listening(ProviderCase):
    def test_sockets_are_for_the_owner_and_go_with_the_program(self):
        for name in ("g.sock", "t.sock"):
            self.assertEqual(stat.S_IMODE(os.stat(self.path(name)).st_mode), 0o600)
        self.server.send_signal(signal.SIGTERM)
        self.assertEqual(self.server.wait(timeout=20), 0)
        self.assertFalse(os.path.exists(self.path("g.sock")) or os.path.exists(self.path("t.sock")))

    def test_stale_socket_is_replaced_and_a_living_one_is_not(self):
        self.server.kill()
        self.server.wait()
        self.assertTrue(os.path.exists(self.path("t.sock")))
        self.start_provider("--listen", "ttrpc+unix://" + self.path("t.sock"), "--offline-keys", self.keys)
        run = self.sluice("keyprovider", "--listen", "ttrpc+unix://" + self.path("t.sock"), "--offline-keys", self.keys)
        self.refused(EXIT_FAILED, "t.sock", run=run)

    def test_other_addresses_need_a_flag(self):
        for address in ("grpc://0.0.0.0:0", "ttrpc://[::]:0", "grpc://192.0.2.1:50000"):
            run = self.sluice("keyprovider", "--listen", address, "--offline-keys", self.keys)
            self.refused(EXIT_POLICY, "--listen-anywhere", run=run)
        self.start_provider("--listen", "grpc://0.0.0.0:0", "--listen-anywhere", "--offline-keys", self.keys)
        self.assertRegex(self.addresses[0], r"^grpc://0\.0\.0\.0:[1-9]\d*$")

    def test_nonsense_is_told(self):
        for args in ((), ("--listen", "http://127.0.0.1:1"), ("--listen", "grpc://127.0.0.1:x")):
            run = self.sluice("keyprovider", "--offline-keys", self.keys, *args)
            self.assertIn(run.returncode, (EXIT_FAILED, EXIT_USAGE, 5))
            self.assertIn("listen", run.stderr)
        run = self.sluice("keyprovider", "--listen", "grpc://127.0.0.1:0", "--offline-keys", "/nonexistent")
        self.assertIn("/nonexistent", run.stderr)


class Guide(ProviderCase):
    """The example of CoCo's guide: one key, encrypted by skopeo through the provider or by sluice
    itself, shown, pulled by a guest with offline_fs_kbc, by skopeo through the provider."""
    PARAMS = "provider:attestation-agent:keypath={}::keyid=kbs:///default/key/key_id1::algorithm=A256GCM"

    def setUp(self):
        super().setUp()
        self.kek_file = self.path("key1")
        self.ok("keys", "export", self.keys, "default/key/key_id1", self.kek_file)
        with open(self.kek_file, "rb") as f:
            self.assertEqual(f.read(), self.kek)
        self.peers = peers.Peers(KEPT, self.folder)
        self.addCleanup(self.peers.close)
        config = self.write("ocicrypt.json", json.dumps({"key-providers": {NAME: {"grpc": self.target}}}))
        self.peers_env = {"OCICRYPT_KEYPROVIDER_CONFIG": config}
        with open(self.path("layer.tar"), "wb"):
            pass
        subprocess.run(["tar", "-C", self.folder, "-cf", self.path("layer.tar"), "keys.json"], check=True)
        oci_images.write_plain_image(self.path("plain"), [self.path("layer.tar")])
        self.key_option = self.PARAMS.format(self.kek_file)

    def check_image(self, layout):
        """Annotations as in the guide, and a guest that opens it."""
        layer = oci_images.read_manifest(self.path(layout))["layers"][0]
        self.assertEqual(sorted(layer["annotations"]), [ANNOTATION, PUBOPTS])
        packet = json.loads(base64.b64decode(layer["annotations"][ANNOTATION]))
        self.assertEqual(list(packet), ["kid", "wrapped_data", "iv", "wrap_type"])
        self.assertEqual((packet["kid"], packet["wrap_type"]), (KID, "A256GCM"))
        self.assertEqual(len(base64.b64decode(packet["wrapped_data"])), 193 + 16)
        self.assertEqual(len(base64.b64decode(packet["iv"])), 12)
        shown = json.loads(self.ok("keys", "show", "--json", f"oci:{self.path(layout)}:latest"))
        self.assertIn(KID, json.dumps(shown))
        image = f"oci:{self.path(layout)}:latest"
        report = self.pull_json("--kbc", "offline_fs_kbc::null", "--offline-keys", self.keys, image)
        self.assertEqual(report["layers"][0]["kid"], KID)
        other = self.write("other.json", json.dumps({"default/key/other": b64(self.kek)}))
        self.pull_fails(EXIT_NETWORK, "--kbc", "offline_fs_kbc::null", "--offline-keys", other, image, says=KATA)
        self.pull_fails(EXIT_NETWORK, image, says=KATA)

    def test_skopeo_encrypts_and_decrypts_through_the_provider(self):
        self.peers.skopeo_copy(f"oci:{self.path('plain')}:latest", f"oci:{self.path('enc')}:latest",
                               "--encryption-key", self.key_option, env=self.peers_env)
        self.check_image("enc")
        self.peers.skopeo_copy(f"oci:{self.path('enc')}:latest", f"oci:{self.path('dec')}:latest",
                               "--decryption-key", "provider:attestation-agent:offline_fs_kbc::null",
                               env=self.peers_env)
        self.assertEqual(oci_images.read_manifest(self.path("dec"))["config"],
                         oci_images.read_manifest(self.path("plain"))["config"])

    def test_sluice_encrypts_by_itself(self):
        self.ok("encrypt", "--encryption-key", self.key_option, f"oci:{self.path('plain')}:latest",
                f"oci:{self.path('enc')}:latest")
        self.check_image("enc")

    def test_sluice_asks_the_provider_over_each_wire(self):
        source, target = f"oci:{self.path('plain')}:latest", f"oci:{self.path('enc')}:latest"
        ways = ({"grpc": self.target}, {"grpc": "unix://" + self.path("g.sock")},
                {"ttrpc": "unix://" + self.path("t.sock")})
        for i, way in enumerate(ways):
            config = self.write(f"way{i}.json", json.dumps({"key-providers": {NAME: way}}))
            env = self.environment(OCICRYPT_KEYPROVIDER_CONFIG=config)
            self.ok("encrypt", "--encryption-key", self.key_option, source, target + str(i), env=env)
            out = self.ok("pull", "--insecure-policy", "--json", target + str(i), env=env)
            self.assertEqual(json.loads(out)["layers"][0]["kid"], KID)


if __name__ == "__main__":
    if not KEPT:
        sys.exit(__doc__)
    sluice_case.main("skopeo", "mmdebstrap")
