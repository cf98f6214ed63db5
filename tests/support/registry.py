# SPDX-License-Identifier: Apache-2.0
"""Real registries for end-to-end tests: docker-registry on a free loopback port.

    with Registry(tls=True, htpasswd=("user", "secret")) as registry:
        registry.push(layout, "team/image:1")
        subprocess.run([..., registry.ref("team/image:1")])

Only the standard library and installed programs: docker-registry, openssl, htpasswd, skopeo, umoci.
"""

import base64
import hashlib
import http.client
import http.server
import json
import os
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import urllib.parse
import uuid

READY_DEADLINE = 30.0  # seconds until a started registry must answer
ISSUER = "sluice-test-issuer"
SERVICE = "sluice-test-registry"


def run(*command, **kwargs):
    """Runs a program; on failure the exception holds what it said."""
    done = subprocess.run(
        [str(c) for c in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
        **kwargs,
    )
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, command))}: {done.returncode}\n{done.stdout}")
    return done.stdout


def missing_programs(*names):
    """Those of the programs that are not installed: for a skip that says what is missing."""
    return [name for name in names if not shutil.which(name)]


# ---- certificates ----


class Authority:
    """A certificate authority and one server certificate for 127.0.0.1 and localhost, as strict
    readers of RFC 5280 (Python from 3.13 on) want them."""

    def __init__(self, folder):
        self.ca = os.path.join(folder, "ca.crt")
        self.key = os.path.join(folder, "server.key")
        self.cert = os.path.join(folder, "server.crt")
        ca_key = os.path.join(folder, "ca.key")
        request = os.path.join(folder, "server.csr")
        extensions = os.path.join(folder, "server.ext")
        new_key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
        run("openssl", "req", "-x509", *new_key, "-days", 2, "-subj", "/CN=Sluice test CA",
            "-addext", "keyUsage=critical,keyCertSign,cRLSign", "-keyout", ca_key, "-out", self.ca)
        run("openssl", "req", *new_key, "-subj", "/CN=localhost",
            "-keyout", self.key, "-out", request)
        with open(extensions, "w", encoding="ascii") as f:
            f.write("subjectAltName=IP:127.0.0.1,DNS:localhost\nbasicConstraints=CA:FALSE\n"
                    "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n"
                    "keyUsage=critical,digitalSignature\nextendedKeyUsage=serverAuth\n")
        run("openssl", "x509", "-req", "-in", request, "-CA", self.ca, "-CAkey", ca_key,
            "-CAcreateserial", "-days", 2, "-extfile", extensions, "-out", self.cert)


# ---- tokens ----


def _base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


class TokenServer:
    """Issues RS256 tokens as docs/spec/auth/token asks: GET with Basic or anonymous, POST with a
    password or refresh token. Anonymous callers get a token that allows nothing.

    requests holds (method, parameters) of each request, for tests to look at."""

    def __init__(self, folder, user, password, lifetime=300):
        self.user, self.password, self.lifetime = user, password, lifetime
        self.refresh_token = uuid.uuid4().hex
        self.requests = []
        self.cert = os.path.join(folder, "token.crt")
        self._key = os.path.join(folder, "token.key")
        run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", 2,
            "-subj", f"/CN={ISSUER}", "-keyout", self._key, "-out", self.cert)
        handler = type("Handler", (_TokenHandler,), {"tokens": self})
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.realm = f"http://127.0.0.1:{self._server.server_port}/token"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _sign(self, data):
        return subprocess.run(["openssl", "dgst", "-sha256", "-sign", self._key],
                              input=data, stdout=subprocess.PIPE, check=True, timeout=60).stdout

    def issue(self, scopes, allowed):
        """A token for scopes like "repository:team/image:pull,push"."""
        access = []
        for scope in scopes if allowed else []:
            kind, name, actions = scope.split(":", 2)
            access.append({"type": kind, "name": name, "actions": actions.split(",")})
        with open(self.cert, encoding="ascii") as f:
            der = ssl.PEM_cert_to_DER_cert(f.read())
        now = int(time.time())
        header = {"typ": "JWT", "alg": "RS256",
                  "x5c": [base64.b64encode(der).decode("ascii")]}
        claims = {"iss": ISSUER, "sub": self.user if allowed else "", "aud": SERVICE,
                  "exp": now + self.lifetime, "nbf": now - 10, "iat": now,
                  "jti": hashlib.sha256(os.urandom(16)).hexdigest(), "access": access}
        text = ".".join(_base64url(json.dumps(part).encode()) for part in (header, claims))
        return f"{text}.{_base64url(self._sign(text.encode()))}"


class _TokenHandler(http.server.BaseHTTPRequestHandler):
    tokens = None
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def _answer(self, status, body):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _token(self, query, allowed):
        scopes = [s for scope in query.get("scope", []) for s in scope.split(" ")]
        token = self.tokens.issue(scopes, allowed)
        body = {"token": token, "access_token": token, "expires_in": self.tokens.lifetime}
        if "offline_token" in query or "access_type" in query:
            body["refresh_token"] = self.tokens.refresh_token
        self._answer(200, body)

    def do_GET(self):  # pylint: disable=invalid-name
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
        self.tokens.requests.append(("GET", query))
        header = self.headers.get("Authorization")
        good = f"{self.tokens.user}:{self.tokens.password}".encode()
        is_good = header == "Basic " + base64.b64encode(good).decode("ascii")
        if header and not is_good:
            self._answer(401, {"errors": [{"code": "UNAUTHORIZED", "message": "bad password"}]})
        else:
            self._token(query, is_good)

    def do_POST(self):  # pylint: disable=invalid-name
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        form = urllib.parse.parse_qs(body.decode())
        self.tokens.requests.append(("POST", form))
        first = {name: values[0] for name, values in form.items()}
        if first.get("grant_type") == "refresh_token":
            is_good = first.get("refresh_token") == self.tokens.refresh_token
        else:
            is_good = (first.get("username") == self.tokens.user
                       and first.get("password") == self.tokens.password)
        if is_good:
            self._token(form, True)
        else:
            self._answer(401, {"errors": [{"code": "UNAUTHORIZED", "message": "no"}]})


# ---- the registry ----


class Registry:
    """One docker-registry with its own storage.

    tls       HTTPS with a certificate of its own authority (.ca is the path of its PEM)
    htpasswd  (user, password): Basic authentication
    token     (user, password): Bearer tokens of a TokenServer (.tokens)
    address   a loopback address, as in a name of an image: "[::1]"
    """

    def __init__(self, tls=False, htpasswd=None, token=None, address="127.0.0.1"):
        assert not (htpasswd and token), "one kind of authentication at a time"
        self.tls, self.htpasswd, self.token = tls, htpasswd, token
        self.ca = self.tokens = self.host = None
        self.address = address
        self._folder = self._process = self._log = None

    def __enter__(self):
        self._folder = tempfile.mkdtemp(prefix="sluice-registry-")
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if self._process:
            self._process.terminate()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self.tokens:
            self.tokens.close()
        if self._log:
            self._log.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def credentials(self):
        return self.htpasswd or self.token

    def path(self, name):
        """A path in the registry's folder, which goes with it."""
        return os.path.join(self._folder, name)

    def log(self):
        with open(self.path("log"), encoding="utf-8", errors="replace") as f:
            return f.read()

    def ref(self, name, transport="docker://"):
        """'team/image:1' becomes 'docker://127.0.0.1:PORT/team/image:1'."""
        return f"{transport}{self.host}/{name}"

    def blob_path(self, digest):
        """Where the registry keeps a blob: for tests that damage one."""
        algorithm, value = digest.split(":")
        return self.path(f"storage/docker/registry/v2/blobs/{algorithm}/{value[:2]}/{value}/data")

    def write_authfile(self, name="auth.json"):
        """An auth file with the right credentials; its path."""
        text = base64.b64encode(":".join(self.credentials).encode()).decode("ascii")
        with open(self.path(name), "w", encoding="ascii") as f:
            json.dump({"auths": {self.host: {"auth": text}}}, f)
        return self.path(name)

    def cert_dir(self):
        """A folder for --cert-dir that holds the authority's certificate."""
        folder = self.path("certs")
        os.makedirs(folder, exist_ok=True)
        if self.tls:
            shutil.copy(self.ca, os.path.join(folder, "ca.crt"))
        return folder

    def skopeo_options(self, side):
        """Options of skopeo copy for this registry as its "src" or "dest"."""
        options = [f"--{side}-cert-dir={self.cert_dir()}"] if self.tls else [
            f"--{side}-tls-verify=false"]
        if self.credentials:
            options.append(f"--{side}-creds={':'.join(self.credentials)}")
        return options

    def push(self, source, name):
        """Copies an image ("oci:DIR:TAG", or any other of skopeo's) into the registry."""
        return run("skopeo", "--insecure-policy", "copy", "--quiet",
                   *self.skopeo_options("dest"), source, self.ref(name))

    def pull(self, name, target):
        return run("skopeo", "--insecure-policy", "copy", "--quiet",
                   *self.skopeo_options("src"), self.ref(name), target)

    # -- starting --

    def _config(self):
        config = {
            "version": "0.1",
            "log": {"level": "info", "accesslog": {"disabled": False}},
            "storage": {"filesystem": {"rootdirectory": self.path("storage")},
                        "delete": {"enabled": True}},
            "http": {"secret": uuid.uuid4().hex},
        }
        if self.tls:
            authority = Authority(self._folder)
            self.ca = authority.ca
            config["http"]["tls"] = {"certificate": authority.cert, "key": authority.key}
        if self.htpasswd:
            with open(self.path("htpasswd"), "w", encoding="ascii") as f:
                f.write(run("htpasswd", "-Bbn", *self.htpasswd))
            config["auth"] = {"htpasswd": {"realm": "test", "path": self.path("htpasswd")}}
        if self.token:
            self.tokens = TokenServer(self._folder, *self.token)
            config["auth"] = {"token": {"realm": self.tokens.realm, "service": SERVICE,
                                        "issuer": ISSUER, "rootcertbundle": self.tokens.cert}}
        return config

    def _start(self):
        config = self._config()
        self._log = open(self.path("log"), "wb")  # pylint: disable=consider-using-with
        for _ in range(5):  # the port may be taken between our look and its start
            config["http"]["addr"] = self.host = f"{self.address}:{_free_port()}"
            with open(self.path("config.yml"), "w", encoding="utf-8") as f:
                json.dump(config, f)  # JSON is YAML
            self._process = subprocess.Popen(  # pylint: disable=consider-using-with
                ["docker-registry", "serve", self.path("config.yml")],
                stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log,
                env={"PATH": os.environ["PATH"], "OTEL_TRACES_EXPORTER": "none"})
            if self._is_ready():
                return
        raise RuntimeError(f"docker-registry does not start:\n{self.log()}")

    def _is_ready(self):
        """Asks until it answers; False when it has ended instead."""
        ends = time.monotonic() + READY_DEADLINE
        while self._process.poll() is None:
            try:
                return self._answers()
            except ssl.SSLCertVerificationError:
                raise  # is an OSError, but no waiting helps
            except (OSError, http.client.HTTPException):
                if time.monotonic() > ends:
                    raise RuntimeError(f"docker-registry is silent:\n{self.log()}") from None
                try:  # until its next sign of life, its death, or a moment has passed
                    self._process.wait(0.05)
                except subprocess.TimeoutExpired:
                    pass
        return False

    def _answers(self):
        if self.tls:
            context = ssl.create_default_context(cafile=self.ca)
            connection = http.client.HTTPSConnection(self.host, timeout=5, context=context)
        else:
            connection = http.client.HTTPConnection(self.host, timeout=5)
        try:
            connection.request("GET", "/v2/")
            return connection.getresponse().status in (200, 401)
        finally:
            connection.close()


class ReferrersRegistry(Registry):
    """A registry that has the referrers API, without TLS and authentication. program: see
    go_tools.py. What is pushed stays in its memory."""

    def __init__(self, program):
        super().__init__()
        self._program = program

    def _start(self):
        self._log = open(self.path("log"), "wb")  # pylint: disable=consider-using-with
        self._process = subprocess.Popen(  # pylint: disable=consider-using-with
            [self._program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log)
        self.host = "127.0.0.1:" + self._process.stdout.readline().decode().strip()

    def __exit__(self, *_):
        if self._process:
            self._process.stdin.close()  # that ends it
            self._process.stdout.close()
        super().__exit__()


def _free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


# ---- images ----


def make_layout(folder, files, tag="latest"):
    """An OCI layout of one layer, made by umoci: files maps names to contents. Returns
    "oci:FOLDER:TAG"."""
    root = tempfile.mkdtemp(prefix="sluice-layer-")
    try:
        for name, content in files.items():
            path = os.path.join(root, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as f:
                f.write(content)
        run("umoci", "init", "--layout", folder)
        run("umoci", "new", "--image", f"{folder}:{tag}")
        run("umoci", "insert", "--rootless", "--image", f"{folder}:{tag}", root, "/")
    finally:
        shutil.rmtree(root, ignore_errors=True)
    return f"oci:{folder}:{tag}"


def manifest_of(folder, tag="latest"):
    """(digest, manifest) of an image in an OCI layout."""
    with open(os.path.join(folder, "index.json"), encoding="utf-8") as f:
        index = json.load(f)
    for entry in index["manifests"]:
        if entry.get("annotations", {}).get("org.opencontainers.image.ref.name") == tag:
            blob = os.path.join(folder, "blobs", *entry["digest"].split(":"))
            with open(blob, encoding="utf-8") as f:
                return entry["digest"], json.load(f)
    raise KeyError(f"{folder} has no tag {tag}")
