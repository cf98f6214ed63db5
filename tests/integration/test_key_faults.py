#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Key providers that misbehave, over cmd, gRPC and ttrpc: pulls and encryptions fail in one line that
gives no secret away, and leave nothing. And how often brokers and providers are asked."""
import base64
import concurrent.futures
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import threading
import time

try:
    import grpc
except ImportError as missing:
    print("skipped:", missing)
    sys.exit(77)

import sluice_case
from sluice_case import EXIT_FAILED, EXIT_INTEGRITY, EXIT_NETWORK

import crafted_image
import oci_images
import raw_http2
import ttrpc
from crafted_image import Layer, b64, write_image
from make_tars import archive, entry

ENC_KEYS = crafted_image.ENC + "keys."
PROVIDER = ENC_KEYS + "provider."
SERVICE = "keyprovider.KeyProviderService"
KATA = ("Failed to decrypt the image layer, please ensure that the decryption key is placed and "
        "correct")
KEK = bytes(range(32))
TEXT = b"content"
WAIT = 20.0  # seconds that only a hanging program takes
AT_ONCE = 4  # runs
WAYS = ("cmd", "grpc", "ttrpc")
TTRPC_ERROR = ttrpc.PERMISSION_DENIED
CONTROL = "\x1b[2J\x07\r\nsluice: all is well\u009b2J\x7f"


def answer(operation, value):
    results, member = {"unwrap": ("keyunwrapresults", "optsdata"),
                       "wrap": ("keywrapresults", "annotation")}[operation]
    return json.dumps({results: {member: value}}).encode()


def answers(operation, good):
    """What a provider says, by the name of the fault: bytes of an answer. good: what it should hold."""
    other = {"unwrap": "wrap", "wrap": "unwrap"}[operation]
    said = {
        "rubbish": b"\xff\x00{]",
        "nothing": b"",
        "null": b"null",
        "list": b"[1,2,3]",
        "other": answer(other, b64(good)),
        "no_result": answer(operation, None),
        "empty": answer(operation, ""),
        "over_a_byte": answer(operation, [*good, 256]),
        "below_zero": answer(operation, [-1, *good]),
        "fractions": answer(operation, [1.5]),
        "no_base64": answer(operation, "*" + b64(good)),
        "cut": answer(operation, b64(good))[:-3],
        "twice": answer(operation, b64(good))[:-1] + b"," + answer(operation, b64(good))[1:],
        "deep": b'{"a":' + b"[" * 100 + b"]" * 100 + b"," + answer(operation, b64(good))[1:],
        "large": answer(operation, b64(bytes(100 * 1024))),
        "oversized": answer(operation, b64(bytes(5 << 20))),
    }
    return said


def bad_options(layer):
    """Private options that are none, each wrapped well."""
    plbco = layer.plbco
    nonce = plbco["cipheroptions"]["nonce"]
    changed = {
        "no_json": b"LEK " + plbco["symkey"].encode(),
        "short_symkey": {**plbco, "symkey": b64(layer.lek[:31])},
        "no_symkey": {k: v for k, v in plbco.items() if k != "symkey"},
        "symkey_null": {**plbco, "symkey": None},
        "symkey_base64": {**plbco, "symkey": plbco["symkey"][:-1]},
        "symkey_lines": {**plbco, "symkey": plbco["symkey"] + "\n"},
        "symkey_case": {("Symkey" if k == "symkey" else k): v for k, v in plbco.items()},
        "long_nonce": {**plbco, "cipheroptions": {"nonce": b64(layer.nonce + b"x")}},
        "no_nonce": {**plbco, "cipheroptions": {}},
        "outer_nonce": {**plbco, "cipheroptions": {}, "nonce": nonce},
        "options_null": {**plbco, "cipheroptions": None},
        "twice": json.dumps(plbco)[:-1].encode() + b',"symkey":"' + plbco["symkey"].encode() + b'"}',
        "deep": json.dumps(plbco)[:-1].encode() + b',"a":' + b"[" * 20 + b"]" * 20 + b"}",
        "large": {**plbco, "a": "x" * 4096},
    }
    return {"plbco_" + k: v if isinstance(v, bytes) else json.dumps(v).encode()
            for k, v in changed.items()}


# The provider's name is that of the fault.
SCRIPT = r"""#!/bin/sh
cd '{folder}' || exit 99
request=$(cat)
case $request in *'"op":"keywrap"'*) op=wrap ;; *) op=unwrap ;; esac
echo "$op" >> "calls.$1"
case $1 in
hangs) cat fifo & echo "$! $$" > "pids.$op.$1"; wait ;;
hangs_alone) exec cat fifo ;;
hangs_told) cat fifo & echo "$! $$" > "pids.$op.$1"; echo > told; wait ;;
deaf) exec < /dev/null; cat "$op.good" ;;
leaves_child) cat fifo > /dev/null 2>&1 & echo "$!" > "pids.$op.$1"; cat "$op.good" ;;
dies) kill -9 $$ ;;
dies_in_answer) head -c 20 "$op.good"; kill -9 $$ ;;
fails_behind_answer) cat "$op.good"; exit 1 ;;
refuses) echo first >&2; cat complaint >&2; exit 7 ;;
talks) echo "no: $request" >&2; exit 1 ;;
tells_all) cat all >&2; exit 1 ;;
*) cat "$op.$1" ;;
esac
"""


class Provider:
    """One program, one gRPC server and one ttrpc server that do what the provider's name says."""

    def __init__(self, folder, layer):
        self.folder, self.layer = folder, layer
        self.gate = threading.Event()
        self.asked = {way: [] for way in WAYS}
        self.raw = []
        plbco = json.dumps(layer.plbco).encode()
        self.good = {"unwrap": answer("unwrap", list(plbco)), "wrap": answer("wrap", b64(b"element"))}
        self.faults = {"unwrap": {**answers("unwrap", plbco),
                                  **{k: answer("unwrap", b64(v)) for k, v in bad_options(layer).items()}},
                       "wrap": answers("wrap", b"element")}
        self.complaint = f"{CONTROL} {layer.plbco['symkey']} {layer.lek.hex()} {list(layer.lek)} no key"
        self.write_program()
        self.start_grpc()
        self.ttrpc = ttrpc.Server(self.path("ttrpc.sock"), self.handle_ttrpc)

    def path(self, name):
        return os.path.join(self.folder, name)

    def write_program(self):
        for operation, faults in self.faults.items():
            for name, data in {"good": self.good[operation], **faults}.items():
                self.write(f"{operation}.{name}", data)
        self.write("unwrap.string", answer("unwrap", b64(json.dumps(self.layer.plbco).encode())))
        self.write("wrap.array", answer("wrap", list(b"element")))
        self.write("complaint", self.complaint.encode())
        self.write("all", b"x" * 100 + json.dumps(self.layer.plbco).encode() + b"\n" * 100000)
        self.write("program", SCRIPT.format(folder=self.folder).encode())
        os.chmod(self.path("program"), 0o755)
        os.mkfifo(self.path("fifo"))
        self.fifo = os.open(self.path("fifo"), os.O_RDWR)  # readers of it wait
        os.mkfifo(self.path("told"))
        self.told = os.open(self.path("told"), os.O_RDWR)  # a line for each that begins to hang

    def write(self, name, data):
        with open(self.path(name), "wb") as file:
            file.write(data)

    # ---- the wires ----

    def reply(self, way, method, message, refuse):
        request = json.loads(ttrpc.one(ttrpc.fields(message), 1, b"{}"))
        operation = {"keywrap": "wrap", "keyunwrap": "unwrap"}[request["op"]]
        if method != {"wrap": "WrapKey", "unwrap": "UnWrapKey"}[operation]:
            raise ValueError(method)
        if operation == "wrap":
            name = next(iter(request["keywrapparams"]["ec"]["Parameters"]))
        else:
            name = base64.b64decode(request["keyunwrapparams"]["annotation"]).decode()
        self.asked[way].append((operation, name))
        if name == "hangs_told":
            os.write(self.told, b"\n")
        if name.startswith("hangs"):
            self.gate.wait(WAIT)
        if name == "refuses":
            refuse(self.complaint)
        if name == "talks":
            refuse("no: " + json.dumps(request))
        if name == "tells_all":
            refuse(json.dumps(self.layer.plbco))
        said = {"string": answer("unwrap", b64(json.dumps(self.layer.plbco).encode())),
                "array": answer("wrap", list(b"element"))}
        said = {**said, **self.faults[operation]}.get(name, self.good[operation])
        return ttrpc.field(1, said)

    def handle_ttrpc(self, _, method, message):
        def refuse(text):
            raise ttrpc.Refused(TTRPC_ERROR, text)
        return self.reply("ttrpc", method, message, refuse)

    def start_grpc(self):
        provider = self

        class Handler(grpc.GenericRpcHandler):
            def service(self, details):
                method = details.method.rsplit("/", 1)[1]
                return grpc.unary_unary_rpc_method_handler(
                    lambda message, context: provider.reply(
                        "grpc", method, message,
                        lambda text: context.abort(grpc.StatusCode.PERMISSION_DENIED, text)))

        self.grpc = grpc.server(concurrent.futures.ThreadPoolExecutor(16), handlers=[Handler()])
        self.port = self.grpc.add_insecure_port("127.0.0.1:0")
        self.grpc.start()

    def play(self, play):
        """A server that plays; its HOST:PORT."""
        self.raw.append(raw_http2.Server(play))
        return self.raw[-1].target

    def close(self):
        self.gate.set()
        self.grpc.stop(None).wait(WAIT)
        self.ttrpc.__exit__()
        for server in self.raw:
            server.stop()
        os.close(self.fifo)
        os.close(self.told)

    def entry(self, way, name):
        """How the configuration file names it."""
        return {"cmd": {"cmd": {"path": self.path("program"), "args": [name]}},
                "grpc": {"grpc": f"127.0.0.1:{self.port}"},
                "ttrpc": {"ttrpc": "unix://" + self.path("ttrpc.sock")}}[way]

    def count(self, way, operation, name):
        if way != "cmd":
            return self.asked[way].count((operation, name))
        try:
            with open(self.path("calls." + name), encoding="utf-8") as file:
                return file.read().split().count(operation)
        except FileNotFoundError:
            return 0


class FaultCase(sluice_case.SluiceCase):
    """The image and the providers are the class', the store and the configuration the test's."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.tar = archive(entry(b"file", TEXT))
        cls.layer = Layer(cls.tar, None, KEK)
        folder = os.path.join(cls.shared, "provider")
        os.mkdir(folder)
        cls.provider = Provider(folder, cls.layer)
        cls.addClassCleanup(cls.provider.close)
        cls.plain = os.path.join(cls.shared, "plain")
        write_image(cls.plain, [Layer(cls.tar, None)])

    def image(self, name, annotations, layers=None):
        """An image whose layers' keys are wrapped so: annotation to value, one for each layer."""
        made = []
        for wrapped in [annotations] if layers is None else layers:
            layer = Layer.__new__(Layer)
            layer.__dict__.update(self.layer.__dict__)
            layer.descriptor = {**self.layer.descriptor, "annotations": {
                crafted_image.PUBOPTS: b64(json.dumps(self.layer.pubopts).encode()), **wrapped}}
            made.append(layer)
        write_image(self.path(name), made)
        return f"oci:{self.path(name)}:latest"

    def config(self, name, **providers):
        return self.write(name + ".json", json.dumps({"key-providers": providers}))

    def run_pull(self, name, config, *options, element=None):
        """In a store of its own, so that several go side by side."""
        image = self.image(name, {PROVIDER + name: b64((element or name).encode())})
        return self.sluice("pull", "--root", self.path(name + ".store"), "--insecure-policy", "--quiet",
                           "--key-provider-config", config, *options, image, self.path(name + ".bundle"))

    def run_encrypt(self, name, config, *options):
        return self.sluice("encrypt", "--quiet", "--key-provider-config", config, "--encryption-key",
                           "provider:" + name, *options, f"oci:{self.plain}:latest",
                           f"oci:{self.path(name + '.enc')}:latest")

    def at_once(self, run, names):
        """name, result of run(name)"""
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            return list(zip(names, pool.map(run, names)))

    # ---- what must be true ----

    def check_no_secret(self, text):
        secrets = [self.layer.lek, self.layer.nonce, KEK]
        for secret in secrets:
            for form in (b64(secret), b64(secret).rstrip("="), secret.hex(),
                         ", ".join(map(str, secret[:8])), ",".join(map(str, secret[:8]))):
                self.assertNotIn(form, text)
        for c in text:
            self.assertTrue(c == "\n" or ord(c) >= 0x20 and not 0x7f <= ord(c) < 0xa0, repr(text))

    def check_nothing_stored(self, name):
        for kind in "layers", "images", "blobs", "refs", "staging", "mounts":
            folder = os.path.join(self.path(name + ".store"), kind)
            for path, _, files in os.walk(folder):
                self.assertEqual(files, [], path)
        self.assertFalse(os.path.lexists(self.path(name + ".bundle")))

    def check_pull_refused(self, name, run, codes, *texts):
        self.assertIn(run.returncode, codes, run.stderr)
        self.refused(run.returncode, KATA, "provider." + name, *texts, run=run)
        self.assertEqual(run.stdout, "")
        self.check_no_secret(run.stderr)
        self.check_nothing_stored(name)

    def check_encrypt_refused(self, name, run, codes, *texts):
        self.assertIn(run.returncode, codes, run.stderr)
        self.refused(run.returncode, name, *texts, run=run)
        self.assertEqual(run.stdout, "")
        self.check_no_secret(run.stderr)
        self.assertFalse(os.path.lexists(self.path(name + ".enc")))

    def check_gone(self, *pids_files):
        """Processes whose numbers are in the files have ended."""
        for pids in pids_files:
            with open(self.provider.path(pids), encoding="utf-8") as file:
                numbers = file.read().split()
            self.assertTrue(numbers)
            for number in map(int, numbers):
                try:
                    fd = os.pidfd_open(number)
                except ProcessLookupError:
                    continue
                with os.fdopen(fd):
                    self.assertTrue(select.select([fd], [], [], WAIT)[0], number)


class Answers(FaultCase):
    """The answer comes, and is none."""

    def check_way(self, way):
        faults = self.provider.faults
        names = set(faults["unwrap"]) | set(faults["wrap"])
        config = self.config("all", **{n: self.provider.entry(way, n) for n in names})
        for name, run in self.at_once(lambda n: self.run_pull(n, config), faults["unwrap"]):
            with self.subTest(way, unwrap=name):
                self.check_pull_refused(name, run, self.codes(name))
                self.assertEqual(self.provider.count(way, "unwrap", name), 1)
        for name, run in self.at_once(lambda n: self.run_encrypt(n, config), faults["wrap"]):
            with self.subTest(way, wrap=name):
                self.check_encrypt_refused(name, run, self.codes(name))
                self.assertEqual(self.provider.count(way, "wrap", name), 1)

    @staticmethod
    def codes(name):
        return (EXIT_INTEGRITY, EXIT_NETWORK) if name == "oversized" else (EXIT_INTEGRITY,)

    def test_cmd(self):
        self.check_way("cmd")

    def test_grpc(self):
        self.check_way("grpc")

    def test_ttrpc(self):
        self.check_way("ttrpc")

    def test_bytes_in_both_ways_are_read(self):
        for way in WAYS:
            config = self.config("both",
                                 **{n: self.provider.entry(way, n) for n in ("good", "string", "array")})
            for name in "good", "string":
                self.good(self.run_pull(name + way, self.config("one", **{
                    name + way: self.provider.entry(way, name)}), element=name))
            for name in "good", "array":
                self.good(self.run_encrypt(name, config))
                manifest = oci_images.read_manifest(self.path(name + ".enc"))
                annotations = manifest["layers"][0]["annotations"]
                self.assertEqual(annotations[PROVIDER + name], b64(b"element"))
                shutil.rmtree(self.path(name + ".enc"))


class Silence(FaultCase):
    """No answer, half of one, or a refusal."""

    def check(self, config, cases, *options):
        """cases: name to what the message says."""
        for name, run in self.at_once(lambda n: self.run_pull(n, config, *options), cases):
            with self.subTest(unwrap=name):
                self.check_pull_refused(name, run, (EXIT_NETWORK,), *cases[name])
        for name, run in self.at_once(lambda n: self.run_encrypt(n, config, *options), cases):
            with self.subTest(wrap=name):
                self.check_encrypt_refused(name, run, (EXIT_NETWORK,), *cases[name])

    def test_cmd(self):
        cases = {"hangs": ["1000 ms"], "hangs_alone": ["1000 ms"], "dies": ["signal 9"],
                 "dies_in_answer": ["signal 9"], "fails_behind_answer": ["status 1"],
                 "refuses": ["status 7", "no key"], "talks": ["status 1"], "tells_all": ["status 1"]}
        config = self.config("all", **{n: self.provider.entry("cmd", n) for n in cases})
        self.check(config, cases, "--key-timeout", "1")
        self.check_gone("pids.unwrap.hangs", "pids.wrap.hangs")

    def test_cmd_that_cannot_be_run(self):
        self.write("text", "#!/bin/sh\n")
        os.chmod(self.write("script", "#!/nonexistent/sh\n"), 0o755)
        os.chmod(self.write("data", "\x7fELF"), 0o755)
        cases = {"missing": "/nonexistent/program", "not_executable": self.path("text"),
                 "a_folder": self.folder, "no_interpreter": self.path("script"),
                 "no_program": self.path("data")}
        config = self.config("all", **{n: {"cmd": {"path": p}} for n, p in cases.items()})
        self.check(config, {n: [p] for n, p in cases.items()})

    def test_cmd_leaves_no_child(self):
        for name in "leaves_child", "deaf":
            config = self.config("all", **{name: self.provider.entry("cmd", name)})
            self.good(self.run_pull(name, config))
            self.good(self.run_encrypt(name, config))
        self.check_gone("pids.unwrap.leaves_child", "pids.wrap.leaves_child")

    def check_wire(self, way, played, refusals=()):
        """played: name to a function of a connection."""
        scheme = {"grpc": "", "ttrpc": "tcp://"}[way]
        self.provider.asked[way].clear()
        with raw_http2.socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            refused = "127.0.0.1:%d" % closed.getsockname()[1]
            entries = {"refused": {way: scheme + refused}, "missing": {way: "unix:///nonexistent/sock"}}
            cases = {"refused": [refused], "missing": ["/nonexistent/sock"]}
            for name in ("hangs", *refusals):
                entries[name] = self.provider.entry(way, name)
                cases[name] = ["no key"] if name == "refuses" else []
            for name, play in played.items():
                target = self.provider.play(play)
                entries[name], cases[name] = {way: scheme + target}, ["key provider " + name]
            self.check(self.config("all", **entries), cases, "--key-timeout", "1")
        asked = [(operation, name) for operation in ("unwrap", "wrap") for name in ("hangs", *refusals)]
        self.assertEqual(sorted(self.provider.asked[way]), sorted(asked))

    def test_grpc(self):
        good = raw_http2.good_answer(ttrpc.field(1, self.provider.good["unwrap"]))

        def says(data):
            def play(connection):
                raw_http2.read_request(connection)
                connection.sendall(data)
            return play
        self.check_wire("grpc", {
            "dies": lambda _: None, "dies_asked": raw_http2.read_request, "cut": says(good[:-40]),
            "cut_early": says(good[:60]), "rubbish_bytes": says(b"\xff" * 64),
            "http": says(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"),
        }, ("refuses", "talks", "tells_all"))

    def test_grpc_statuses(self):
        def says(*pairs):
            def play(connection):
                raw_http2.read_request(connection)
                connection.sendall(raw_http2.trailers_only(*pairs))
                connection.recv(1)
            return play
        targets = {"none": says(), "odd": says(("grpc-status", "99")), "word": says(("grpc-status", "ok")),
                   "ok_without_answer": says(("grpc-status", "0"))}
        entries = {n: {"grpc": self.provider.play(p)} for n, p in targets.items()}
        self.check(self.config("all", **entries), {n: [] for n in targets})

    def test_ttrpc(self):
        answered = ttrpc.response(ttrpc.field(1, self.provider.good["unwrap"]))

        def says(make):
            def play(connection):
                stream = ttrpc.read_frame(connection)[0]
                connection.sendall(make(stream))
            return play
        self.check_wire("ttrpc", {
            "dies": lambda _: None, "dies_asked": ttrpc.read_frame,
            "cut": says(lambda s: ttrpc.frame(s, ttrpc.RESPONSE, answered)[:-20]),
            "rubbish_bytes": says(lambda s: b"\xff" * 64),
            "odd_status": says(lambda s: ttrpc.frame(s, ttrpc.RESPONSE, ttrpc.response(code=99))),
        }, ("refuses", "talks", "tells_all"))

    def test_nothing_is_told_with_debug_either(self):
        for way in WAYS:
            for name in "refuses", "talks", "tells_all", "plbco_no_json":
                config = self.config("all", **{name: self.provider.entry(way, name)})
                for json_too in ((), ("--json",)):
                    run = self.run_pull(name, config, "--debug", *json_too)
                    self.assertNotEqual(run.returncode, 0)
                    self.check_no_secret(run.stderr)
                    run = self.run_encrypt(name, config, "--debug", *json_too)
                    self.check_no_secret(run.stderr)


class Interrupts(FaultCase):
    """A run is ended while a provider lets it wait."""
    NAME = "hangs_told"
    BOUND = 5  # seconds
    SIGNALS = {"cmd": signal.SIGINT, "grpc": signal.SIGTERM, "ttrpc": signal.SIGINT}

    def interrupt(self, way, operation, verb, *args):
        before = self.provider.count(way, operation, self.NAME)
        child = self.start(verb, "--quiet", "--key-timeout", str(int(WAIT)), "--key-provider-config",
                           self.config(way, **{self.NAME: self.provider.entry(way, self.NAME)}), *args)
        self.assertTrue(select.select([self.provider.told], [], [], WAIT)[0])
        os.read(self.provider.told, 1)
        start = time.monotonic()
        child.send_signal(self.SIGNALS[way])
        out, said = child.communicate(timeout=sluice_case.TIMEOUT)
        self.assertLess(time.monotonic() - start, self.BOUND)
        run = subprocess.CompletedProcess([], child.returncode, out, said)
        self.assertNotIn(KATA, self.refused(EXIT_FAILED, "cancelled", run=run))
        self.assertEqual(self.provider.count(way, operation, self.NAME), before + 1)
        if way == "cmd":
            self.check_gone(f"pids.{operation}.{self.NAME}")

    def check_way(self, way):
        # Two layers with one question: one of them waits for the other's answer.
        image = self.image("enc", None, 2 * [{PROVIDER + self.NAME: b64(self.NAME.encode())}])
        self.interrupt(way, "unwrap", "pull", "--root", self.path(self.NAME + ".store"),
                       "--insecure-policy", image, self.path(self.NAME + ".bundle"))
        self.check_nothing_stored(self.NAME)
        made = self.path("made")
        self.interrupt(way, "unwrap", "decrypt", image, f"oci:{made}:latest")
        self.assertFalse(os.path.lexists(made))
        self.interrupt(way, "wrap", "encrypt", "--encryption-key", "provider:" + self.NAME,
                       f"oci:{self.plain}:latest", f"oci:{made}:latest")
        self.assertFalse(os.path.lexists(made))

    def test_cmd(self):
        self.check_way("cmd")

    def test_grpc(self):
        self.check_way("grpc")

    def test_ttrpc(self):
        self.check_way("ttrpc")


class Others(FaultCase):
    """More than one who could open a layer."""

    def test_names_are_matched_exactly(self):
        for way in WAYS:
            names = ("Mine", "mine2", "min", "mine ")
            config = self.config("all", **{n: self.provider.entry(way, n) for n in names})
            run = self.run_pull("mine", config)
            self.check_pull_refused("mine", run, (EXIT_NETWORK,), "mine is not configured")
            run = self.run_encrypt("mine", config)
            self.check_encrypt_refused("mine", run, (EXIT_NETWORK,), "not configured")
            for name in names:
                for operation in "wrap", "unwrap":
                    self.assertEqual(self.provider.count(way, operation, name), 0)

    def test_second_provider_works(self):
        for number, (first, second) in enumerate((a, b) for a in WAYS for b in WAYS):
            self.root = self.path(f"store{number}")
            image = self.image("both", {PROVIDER + "a": b64(b"rubbish"), PROVIDER + "b": b64(b"good")})
            config = self.config("all", a=self.provider.entry(first, "rubbish"),
                                 b=self.provider.entry(second, "good"))
            layer = self.pull_json("--key-provider-config", config, image)["layers"][0]
            self.assertEqual((layer["protocol"], layer["provider"]), ("provider", "b"))

    def test_second_element_works(self):
        image = self.image("both", {PROVIDER + "a": b64(b"rubbish") + " , ,\n" + b64(b"good") + ","})
        config = self.config("all", a=self.provider.entry("ttrpc", "a"))
        layer = self.pull_json("--key-provider-config", config, image)["layers"][0]
        self.assertEqual(layer["provider"], "a")

    def test_broker_opens_what_a_provider_does_not(self):
        packet = b64(json.dumps(self.layer.packet).encode())
        keys = self.write("keys.json", json.dumps({"default/image-kek/one": b64(KEK)}))
        image = self.image("both", {PROVIDER + "zzz": b64(b"no_result"), crafted_image.PACKET: packet,
                                    PROVIDER + "aaa": b64(b"hangs")})
        config = self.config("all", zzz=self.provider.entry("grpc", "zzz"),
                             aaa=self.provider.entry("ttrpc", "aaa"))
        layer = self.pull_json("--key-provider-config", config, "--key-timeout", "1", "--kbc",
                               "offline_fs_kbc::null", "--offline-keys", keys, image)["layers"][0]
        self.assertEqual((layer["provider"], layer["kid"]), ("attestation-agent", crafted_image.KID))
        self.assertEqual(self.provider.count("grpc", "unwrap", "no_result"), 0)

    def test_jwe_opens_what_a_provider_does_not(self):
        key, public = self.path("key.pem"), self.path("key.pub")
        for args in (("genpkey", "-algorithm", "RSA", "-out", key),
                     ("pkey", "-in", key, "-pubout", "-out", public)):
            subprocess.run(["openssl", *args], check=True, capture_output=True)
        config = self.config("good", dies=self.provider.entry("ttrpc", "good"))
        image = f"oci:{self.path('enc')}:latest"
        self.ok("encrypt", "--encryption-key", "provider:dies", "--encryption-key", "jwe:" + public,
                "--key-provider-config", config, f"oci:{self.plain}:latest", image)
        bad = (self.provider.entry("cmd", "dies"), self.provider.entry("cmd", "rubbish"),
               {"grpc": "unix:///nonexistent/sock"})
        for number, way in enumerate(bad):
            self.root = self.path(f"store{number}")
            config = self.config("bad", dies=way)
            layer = self.pull_json("--key-provider-config", config, "--decryption-key", key,
                                   image)["layers"][0]
            self.assertEqual(layer["protocol"], "jwe")
        self.pull_fails(EXIT_NETWORK, "--key-provider-config", config, image,
                        says=(KATA, "provider.dies[0]", "jwe[0]"))


class Counting(FaultCase):
    """Five layers; each question is asked once."""

    def test_providers_are_asked_once_for_each_element(self):
        for way in WAYS:
            before = self.provider.count(way, "unwrap", "good")
            name = "counted" + way
            layers = [{PROVIDER + name: b64(e)} for e in (b"good", b"good", b"string", b"good", b"string")]
            config = self.config("all", **{name: self.provider.entry(way, "good")})
            image = self.image(name, None, layers)
            self.pull("--key-provider-config", config, image)
            asked = self.provider.count(way, "unwrap", "good") - before
            if way == "cmd":
                self.assertEqual(asked, 2)
            else:
                self.assertEqual((asked, self.provider.count(way, "unwrap", "string")), (1, 1))
            self.root += way

    def test_provider_that_hangs_is_asked_once(self):
        """And not for each element, of which the image may have many."""
        for way in WAYS:
            name = "hangs_alone" if way == "cmd" else "hangs"
            image = self.image(name, {PROVIDER + name: ",".join(b64(b"hangs%d" % i) for i in range(64))})
            config = self.config("all", **{name: self.provider.entry(way, name)})
            self.pull_fails(EXIT_NETWORK, "--key-timeout", "1", "--key-provider-config", config, image,
                            says=(KATA, "is not asked again"))
            asked = [self.provider.count(way, "unwrap", n) for n in (name, *(f"hangs{i}" for i in range(64)))]
            self.assertEqual(sum(asked), 1)

    def packets(self, *kids):
        layers = []
        for kid in kids:
            layer = Layer(archive(entry(b"file", os.urandom(9))), None, KEK)
            layer.packet["kid"] = kid
            layer.annotate()
            layers.append(layer)
        write_image(self.path("five"), layers)
        return f"oci:{self.path('five')}:latest"

    def test_offline_keys_are_read_once(self):
        one, two = "kbs:///default/image-kek/one", "kbs:///default/image-kek/two"
        for number, kids in enumerate(((one,) * 5, (one, two, one, two, one))):
            self.root = self.path(f"store{number}")
            fifo = self.path(f"keys{number}")
            os.mkfifo(fifo)
            text = json.dumps({"default/image-kek/one": b64(KEK), "default/image-kek/two": b64(KEK)})

            def feed(path=fifo, data=text):
                """Once; who opens it again waits for a writer that does not come."""
                with open(path, "w", encoding="utf-8") as file:
                    file.write(data)
            writer = threading.Thread(target=feed, daemon=True)
            writer.start()
            report = self.pull_json("--kbc", "offline_fs_kbc::null", "--offline-keys", fifo,
                                    self.packets(*kids))
            self.assertEqual([layer["kid"] for layer in report["layers"]], list(kids))
            writer.join(WAIT)
            self.assertFalse(writer.is_alive())

    def test_provider_behind_packets(self):
        """attestation-agent may be a provider like any other: then nobody opens packets here."""
        image = self.image("agent", {PROVIDER + "attestation-agent": b64(b"good")})
        for way in WAYS:
            self.root = self.path(way)
            config = self.config("all", **{"attestation-agent": self.provider.entry(way, "good")})
            layer = self.pull_json("--key-provider-config", config, image)["layers"][0]
            self.assertEqual(layer["provider"], "attestation-agent")


if __name__ == "__main__":
    sluice_case.main("openssl")
