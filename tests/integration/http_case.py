# SPDX-License-Identifier: Apache-2.0
"""What the HTTP tests share: registries on free ports, the driver, the log of requests."""
import json
import os
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
SUPPORT = os.path.join(os.path.dirname(HERE), "support")
sys.path.insert(0, SUPPORT)
import oci_layout  # noqa: E402

DRIVER = os.environ.get("SL_FETCH_DRIVER")
BIG = 3 * 1024 * 1024 + 17
SMALL = 1000


def make_ca(folder):
    """ca.crt signs server.crt for 127.0.0.1 and client.cert; by the real openssl."""
    def openssl(*args):
        subprocess.run(["openssl", *args], cwd=folder, check=True, capture_output=True)
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-keyout", "ca.pem", "-out", "ca.crt", "-days", "2", "-subj", "/CN=test CA")
    with open(os.path.join(folder, "san"), "w", encoding="utf-8") as file:
        file.write("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
    # In a certs.d folder only the client's key may be called .key.
    for name, cert, key in (("server", "server.crt", "server.pem"),
                            ("client", "client.cert", "client.key")):
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-keyout", key, "-out", name + ".csr", "-subj", "/CN=" + name)
        openssl("x509", "-req", "-in", name + ".csr", "-CA", "ca.crt", "-CAkey", "ca.pem",
                "-CAcreateserial", "-out", cert, "-days", "2", "-extfile", "san")


class HttpCase(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temp = tempfile.TemporaryDirectory()
        cls.folder = cls.temp.name
        cls.layout = os.path.join(cls.folder, "layout")
        layers = [oci_layout.pattern(BIG), oci_layout.pattern(SMALL, 1),
                  oci_layout.pattern(BIG, 2), oci_layout.pattern(BIG, 3)]
        cls.manifest, cls.config, cls.layers = oci_layout.write_layout(cls.layout, layers)

    @classmethod
    def tearDownClass(cls):
        cls.temp.cleanup()

    def setUp(self):
        self.port = self.other = None
        self.servers = 0

    def serve(self, *faults, auth=None, location=None, layout=None, options=(), greetings=False):
        """Starts a faulty registry; its requests are in self.requests()."""
        self.servers += 1
        self.log = os.path.join(self.folder, "%s.%d.log" % (self.id(), self.servers))
        plan = {"faults": list(faults), "greetings": greetings}
        if auth:
            plan["auth"] = auth
        if location:
            plan["location"] = location
        server = subprocess.Popen(
            [sys.executable, os.path.join(SUPPORT, "faulty_registry.py"), "--layout", layout or self.layout,
             "--plan", json.dumps(plan), "--log", self.log, *options],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.addCleanup(server.wait)
        self.addCleanup(server.stdout.close)
        self.addCleanup(server.stdin.close)
        self.port, self.other = map(int, server.stdout.readline().split())
        return self.port

    def certificate(self):
        """Options of a registry that speaks TLS."""
        make_ca(self.folder)
        return ("--cert", os.path.join(self.folder, "server.crt"),
                "--key", os.path.join(self.folder, "server.pem"))

    def log_lines(self):
        if not os.path.exists(self.log):
            return []
        with open(self.log, encoding="utf-8") as file:
            return [json.loads(line) for line in file]

    def requests(self, part=""):
        return [r for r in self.log_lines() if "path" in r and part in r["path"]]

    def greetings(self):
        """Where somebody tried whether TLS is spoken, and it was not; for serve(greetings=True)."""
        return [r["port"] for r in self.log_lines() if "greeting" in r]

    def write(self, name, text):
        path = os.path.join(self.folder, self.id() + name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def environment(self):
        """Without proxies, credentials and rules of whoever runs the tests."""
        env = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
        return {**env, "HOME": self.folder, "XDG_RUNTIME_DIR": self.folder}

    def command(self, *args, options=("--insecure",), host=None, tag="latest"):
        # The system's rules must not reach into a test.
        if "--registries-conf" not in options:
            options = (*options, "--registries-conf", self.write(".conf", ""))
        return [DRIVER, *options, host or "127.0.0.1:%d" % self.port, "some/image", tag, *args]

    def drive(self, *args, env=(), **how):
        return subprocess.run(self.command(*args, **how), capture_output=True, timeout=60,
                              env={**self.environment(), **dict(env)})

    def blob_args(self, *layers):
        return ["blob"] + [x for d in layers for x in (d["digest"], str(d["size"]))]

    def expect_blobs(self, run, *layers):
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertEqual(run.stdout.decode().splitlines(),
                         ["%s %d" % (d["digest"], d["size"]) for d in layers])

    def expect_failure(self, run, code, *texts):
        """code is the error's name as the driver prints it."""
        message = run.stderr.decode()
        self.assertEqual(run.returncode, 1, message)
        self.assertEqual(message.split(" ")[0], code, message)
        self.assertEqual(message.count("\n"), 1, message)
        for text in texts:
            self.assertIn(text, message)

    def expect_manifest(self, run):
        self.assertEqual(run.returncode, 0, run.stderr)
        with open(os.path.join(self.layout, "blobs", "sha256",
                               self.manifest["digest"][7:]), "rb") as file:
            self.assertEqual(run.stdout, file.read())
