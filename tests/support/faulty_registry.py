# SPDX-License-Identifier: Apache-2.0
"""A registry that misbehaves on request.

    faulty_registry.py --layout DIR [--plan JSON] [--log FILE] [--cert FILE --key FILE
                       [--client-ca FILE]]

Serves the OCI layout DIR under every repository name; what is pushed stays in memory. Prints "PORT OTHER_PORT" on
stdout once both listen on 127.0.0.1: OTHER_PORT is a second origin with the same contents, for
redirects. Ends when stdin is closed. Every request is one JSON line in the log:
{"port": "main"|"other", "method", "path", "status", "authorization", "range", "time"}.

The plan is an object:

  "auth":   {"scheme": "basic"|"bearer", "user", "password",  nobody else gets in; without a user
             "expires_in": N,          left out of the token's answer when absent
             "given": TEXT,            a token that is good for ever
             "uses": N,                a token is good for N requests, then expired
             "realm": URL,             instead of our own /token
             "field": "access_token",  name of the token's member
             "post": 404,              answer to a POST for a token; else POST wants the identity
             "identity": TEXT,         token TEXT
             "header_lines": true}     a Negotiate challenge in a line of its own before ours
  "faults": [fault, ...]               the first that matches and is not used up applies:
    {"on": REGEX,          of "METHOD path?query", or "other: METHOD path" on the second origin
     "range": REGEX,       of the Range header too; requests at the same time come in any order
     "times": N,           how often it applies (default: always)
     "after": N,           how many matching requests pass unharmed before
     "status": N, "headers": {...}, "body": TEXT,      this answer
     "contents": NAME, "headers": {...}    this file, to which the faults below apply
     "retry_after_date": SECONDS                       Retry-After as a date from now
     "redirect": "other"|URL|true,   307 there (true: to itself)
     "cut_at": N,          the connection breaks after N bytes of this answer's body
     "wait": EVENT,        a threading.Event, for tests in the same process: first of all, until it is set
     "stall_at": N,        nothing more comes after N bytes, the connection stays
     "slow": N,            the body comes in pieces of N bytes, with pauses between
    "garbage": true,      bytes that are not HTTP
     "nothing": true,      the connection closes without an answer
     "ignore_range": true, 200 and everything
     "wrong_range": true,  206 with another start than asked for
     "endless": true,      chunked, without end
     "short": N,           chunked, N bytes missing, ended as if all were there
     "flip": N,            byte N of the contents is changed
     "many_headers": N}    N headers of 1 KiB
     "take": N,            only N bytes of the request's body are read before all this
     "stall": true,        no answer, until the client goes
     "done_first": true,   what was asked for is done, and then this happens
     "stored_digest": D}   Docker-Content-Digest of the answer to a PUT
  "greetings": true      what is no HTTP, such as a TLS greeting without --cert, is a line too:
                         {"port", "greeting": true}
  "location": "other"|"plain"     where uploads go on: the second origin, http (default: a path)

Images can be pushed. An upload's URL has a state in its query that each answer changes.
"""
import argparse
import base64
import email.utils
import hashlib
import http.server
import json
import os
import re
import socket
import ssl
import sys
import threading
import time
import urllib.parse

CHUNK = 64 * 1024
SLOW_PAUSE = 0.005  # seconds


class State:
    def __init__(self, layout, plan, log):
        self.layout = layout
        self.plan = plan
        self.log = log
        self.lock = threading.Lock()
        self.faults = [dict(fault, seen=0, used=0) for fault in plan.get("faults", [])]
        self.tokens = {}
        given = plan.get("auth", {}).get("given")
        if given:
            self.tokens[given] = 1 << 30
        self.begun = 0
        self.uploads = {}    # of ID: [bytes so far, state]
        self.pushed = {}     # of digest: blobs, and manifests with their media type
        self.tags = {}
        self.clients_go = threading.Event()
        self.ports = {}
        self.scheme = "http"

    def fault_for(self, line, asked):
        with self.lock:
            for fault in self.faults:
                if not re.search(fault["on"], line) or not re.search(fault.get("range", ""), asked):
                    continue
                fault["seen"] += 1
                if fault["seen"] <= fault.get("after", 0):
                    continue
                if "times" in fault and fault["used"] >= fault["times"]:
                    continue
                fault["used"] += 1
                return fault
        return {}

    def new_token(self):
        with self.lock:
            token = "token-%d" % (len(self.tokens) + 1)
            self.tokens[token] = self.plan["auth"].get("uses", 1 << 30)
            return token

    def use_token(self, token):
        with self.lock:
            left = self.tokens.get(token, 0)
            if left > 0:
                self.tokens[token] = left - 1
            return left > 0

    def note(self, **entry):
        with self.lock:
            if self.log:
                self.log.write(json.dumps(entry) + "\n")
                self.log.flush()

    def blob(self, digest):
        if digest in self.pushed:
            return self.pushed[digest][0]
        algorithm, _, name = digest.partition(":")
        path = os.path.join(self.layout, "blobs", algorithm, os.path.basename(name))
        try:
            with open(path, "rb") as file:
                return file.read()
        except OSError:
            return None

    def manifest(self, reference):
        pushed = self.tags.get(reference, reference)
        if pushed in self.pushed:
            return *self.pushed[pushed], pushed
        with open(os.path.join(self.layout, "index.json"), encoding="utf-8") as file:
            entries = json.load(file)["manifests"]
        if ":" in reference:
            data = self.blob(reference)
            return data and (data, json.loads(data).get("mediaType"), reference)
        for entry in entries:
            name = entry.get("annotations", {}).get("org.opencontainers.image.ref.name")
            if name == reference or (name is None and len(entries) == 1):
                return self.blob(entry["digest"]), entry["mediaType"], entry["digest"]
        return None


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state = None
    origin = "main"
    has_left = False  # a part of the request was not read

    def log_message(self, *args):
        pass

    # --- answers ---

    def note(self, status):
        self.state.note(port=self.origin, method=self.command, path=self.path, status=status,
                        authorization=self.headers.get("Authorization"),
                        range=self.headers.get("Range"), time=time.monotonic())

    def send_error(self, *args, **kwargs):
        if not self.command and self.state.plan.get("greetings"):
            self.state.note(port=self.origin, greeting=True)
        super().send_error(*args, **kwargs)

    def answer(self, status, body=b"", headers=()):
        self.note(status)
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        if self.has_left:
            self.linger()

    def refuse(self, status, code, headers=()):
        body = json.dumps({"errors": [{"code": code, "message": "a test's refusal"}]}).encode()
        self.answer(status, body, [("Content-Type", "application/json"), *headers])

    def hang_up(self):
        self.close_connection = True
        try:
            self.connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    # --- authorization ---

    def challenge(self):
        auth = self.state.plan["auth"]
        headers = []
        if auth.get("header_lines"):
            headers.append(("WWW-Authenticate", "Negotiate"))
        if auth["scheme"] == "basic":
            headers.append(("WWW-Authenticate", 'Basic realm="test"'))
        else:
            own = "%s://127.0.0.1:%d/token" % (self.state.scheme, self.state.ports["main"])
            match = re.match(r"/v2/(.+?)/(blobs|manifests)/", self.path)
            actions = "pull" if self.command in ("GET", "HEAD") else "pull,push"
            headers.append(("WWW-Authenticate",
                            'Bearer realm="%s",service="test service",scope="repository:%s:%s"'
                            % (auth.get("realm", own), match[1] if match else "x", actions)))
        self.refuse(401, "UNAUTHORIZED", headers)

    def has_password(self):
        auth = self.state.plan["auth"]
        if "user" not in auth:
            return True
        expected = base64.b64encode(("%s:%s" % (auth["user"], auth["password"])).encode())
        return self.headers.get("Authorization") == "Basic " + expected.decode()

    def is_authorized(self):
        auth = self.state.plan.get("auth")
        if not auth or self.origin == "other":
            return True
        shown = self.headers.get("Authorization", "")
        if auth["scheme"] == "basic":
            return self.has_password()
        return shown.startswith("Bearer ") and self.state.use_token(shown[7:])

    def serve_token(self):
        auth = self.state.plan.get("auth", {})
        if self.command == "POST":
            form = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            fields = dict(urllib.parse.parse_qsl(form))
            if auth.get("post"):
                return self.refuse(auth["post"], "UNSUPPORTED")
            if fields.get("refresh_token") != auth.get("identity"):
                return self.refuse(401, "UNAUTHORIZED")
        elif not self.has_password():
            return self.refuse(401, "UNAUTHORIZED")
        answer = {auth.get("field", "token"): self.state.new_token()}
        if "expires_in" in auth:
            answer["expires_in"] = auth["expires_in"]
        return self.answer(200, json.dumps(answer).encode(),
                           [("Content-Type", "application/json")])

    # --- faults ---

    def plain_fault(self, fault):
        """Answers that do not depend on the contents. True if one was given."""
        if "wait" in fault:
            fault["wait"].wait(60)
        if fault.keys() & {"nothing", "garbage", "stall", "redirect", "status"}:
            self.take(fault.get("take"))
        if fault.get("nothing") or fault.get("garbage"):
            self.note(0)
            if fault.get("garbage"):
                self.wfile.write(b"SSH-2.0-OpenSSH_9.2p1\r\n" + bytes(range(256)) * 4)
                self.wfile.flush()
            self.hang_up()
        elif fault.get("stall"):
            self.note(0)
            self.state.clients_go.wait(60)
            self.hang_up()
        elif "redirect" in fault:
            target = fault["redirect"]
            if target is True:
                target = self.path
            elif target == "other":
                target = "%s://127.0.0.1:%d%s?signature=secret" % (
                    self.state.scheme, self.state.ports["other"], self.path)
            self.answer(307, b"", [("Location", target)])
        elif "contents" in fault:
            with open(fault["contents"], "rb") as file:
                data = file.read()
            self.send_contents(data, list(fault.get("headers", {}).items()), fault)
        elif "status" in fault:
            headers = list(fault.get("headers", {}).items())
            if "retry_after_date" in fault:
                when = time.time() + fault["retry_after_date"]
                headers.append(("Retry-After", email.utils.formatdate(when, usegmt=True)))
            body = fault.get("body", json.dumps(
                {"errors": [{"code": "TEST", "message": "status %d" % fault["status"]}]}))
            self.answer(fault["status"], body.encode(), headers)
        else:
            return False
        return True

    def send_chunked(self, status, data, headers, endless):
        self.note(status)
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        at = 0
        while at < len(data) or endless:
            chunk = data[at:at + CHUNK] or bytes(CHUNK)
            self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
            at += len(chunk)
        self.wfile.write(b"0\r\n\r\n")

    def send_cut(self, status, data, headers, at, stall):
        self.note(status)
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[:at])
        self.wfile.flush()
        if stall:
            self.connection.settimeout(60)
            try:
                self.connection.recv(1)
            except OSError:
                pass
        self.hang_up()

    def send_slowly(self, status, data, headers, piece):
        self.note(status)
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        for at in range(0, len(data), piece):
            self.wfile.write(data[at:at + piece])
            self.wfile.flush()
            time.sleep(SLOW_PAUSE)

    def ranged(self, data, fault):
        """Status, bytes and headers of the answer to this request's Range."""
        match = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if not match or fault.get("ignore_range"):
            return 200, data, []
        start = int(match[1]) + (1 if fault.get("wrong_range") else 0)
        end = min(int(match[2] or len(data) - 1), len(data) - 1)
        if start >= len(data):
            return 416, b"", [("Content-Range", "bytes */%d" % len(data))]
        return 206, data[start:end + 1], [
            ("Content-Range", "bytes %d-%d/%d" % (start, end, len(data)))]

    def send_contents(self, data, headers, fault):
        if "flip" in fault:
            at = fault["flip"]
            data = data[:at] + bytes([data[at] ^ 1]) + data[at + 1:]
        if "short" in fault:
            data = data[:len(data) - fault["short"]]
        status, part, extra = self.ranged(data, fault)
        headers = [*headers, *extra,
                   *(("X-Filler-%d" % i, "x" * 1024) for i in range(fault.get("many_headers", 0)))]
        if (fault.get("endless") or "short" in fault) and status != 416:
            self.send_chunked(status, part, headers, fault.get("endless"))
        elif "cut_at" in fault or "stall_at" in fault:
            at = fault.get("cut_at", fault.get("stall_at"))
            self.send_cut(status, part, headers, at, "stall_at" in fault)
        elif "slow" in fault:
            self.send_slowly(status, part, headers, fault["slow"])
        else:
            self.answer(status, part, headers)

    # --- uploads ---

    def take(self, limit=None):
        """The request's body, or its first bytes; then the connection cannot be used again."""
        length = int(self.headers.get("Content-Length", 0))
        want = length if limit is None else min(limit, length)
        self.has_left = want < length
        self.close_connection |= self.has_left
        return self.rfile.read(want)

    def linger(self):
        """As servers do that answer early: a close at once would overtake the answer."""
        self.wfile.flush()
        self.connection.shutdown(socket.SHUT_WR)
        while self.rfile.read1(CHUNK):
            pass

    def upload_location(self, name, upload):
        origin = {"other": "other", "plain": "main"}.get(self.state.plan.get("location"))
        path = "/v2/x/blobs/uploads/%s?kept=a%%2Fb&state=%d" % (name, upload[1])
        if not origin:
            return path
        scheme = "http" if self.state.plan["location"] == "plain" else self.state.scheme
        return "%s://127.0.0.1:%d%s" % (scheme, self.state.ports[origin], path)

    def serve_upload(self, name, query, fault):
        if self.command == "POST":
            with self.state.lock:
                self.state.begun += 1
                name = "upload-%d" % self.state.begun
                self.state.uploads[name] = [b"", 0]
        upload = self.state.uploads.get(name)
        if not upload or (self.command != "POST" and
                          (query.get("state"), query.get("kept")) != (str(upload[1]), "a/b")):
            self.take()
            return self.refuse(404, "BLOB_UPLOAD_UNKNOWN")
        if self.command == "DELETE":
            del self.state.uploads[name]
            return self.answer(204)
        data = self.take()
        if len(data) < int(self.headers.get("Content-Length", 0)):
            return self.hang_up()
        upload[0] += data
        upload[1] += 1
        if self.command != "PUT":
            return self.answer(202, b"", [("Location", self.upload_location(name, upload)),
                                          ("Range", "0-%d" % max(0, len(upload[0]) - 1))])
        digest = query.get("digest")
        if digest != "sha256:" + hashlib.sha256(upload[0]).hexdigest():
            return self.refuse(400, "DIGEST_INVALID")
        self.state.pushed[digest] = (upload[0], None)
        del self.state.uploads[name]
        return self.stored(digest, fault)

    def put_manifest(self, reference, fault):
        data = self.take()
        digest = "sha256:" + hashlib.sha256(data).hexdigest()
        self.state.pushed[digest] = (data, self.headers.get("Content-Type"))
        self.state.tags[reference] = digest
        return self.stored(digest, fault)

    def stored(self, digest, fault):
        if fault.get("done_first"):
            self.note(0)
            return self.hang_up()
        return self.answer(201, b"", [
            ("Docker-Content-Digest", fault.get("stored_digest", digest))])

    # --- requests ---

    def serve(self):
        prefix = "other: " if self.origin == "other" else ""
        fault = self.state.fault_for("%s%s %s" % (prefix, self.command, self.path), self.headers.get("Range") or "")
        if not fault.get("done_first") and self.plain_fault(fault):
            return None
        path = urllib.parse.urlsplit(self.path).path
        if path == "/token":
            return self.serve_token()
        if not self.is_authorized():
            self.take()
            return self.challenge()
        if path == "/v2/":
            return self.answer(200, b"{}", [("Docker-Distribution-API-Version", "registry/2.0")])
        match = re.fullmatch(r"/v2/(.+)/blobs/uploads/([^/]*)", path)
        if match:
            query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.path).query))
            return self.serve_upload(match[2], query, fault)
        match = re.fullmatch(r"/v2/(.+)/(manifests|blobs)/([^/]+)", path)
        if match and self.command == "PUT":
            return self.put_manifest(match[3], fault)
        if not match:
            return self.refuse(404, "NAME_UNKNOWN")
        if match[2] == "blobs":
            data = self.state.blob(match[3])
            if data is None:
                return self.refuse(404, "BLOB_UNKNOWN")
            return self.send_contents(data, [("Content-Type", "application/octet-stream")], fault)
        found = self.state.manifest(match[3])
        if not found:
            return self.refuse(404, "MANIFEST_UNKNOWN")
        data, media_type, digest = found
        return self.send_contents(data, [("Content-Type", media_type),
                                         ("Docker-Content-Digest", digest)], fault)

    def do_GET(self):
        try:
            self.serve()
        except (BrokenPipeError, ConnectionResetError, ssl.SSLError):
            self.close_connection = True

    do_HEAD = do_POST = do_PATCH = do_PUT = do_DELETE = do_GET


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128  # a SYN that finds it full is sent again after a second, then after three

    def handle_error(self, request, client_address):
        pass  # clients that hang up are what this is for


def listen(state, origin, options):
    handler = type("Handler", (Handler,), {"state": state, "origin": origin})
    server = Server(("127.0.0.1", 0), handler)
    if options.cert:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(options.cert, options.key)
        if options.client_ca:
            context.load_verify_locations(options.client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
        server.socket = context.wrap_socket(server.socket, server_side=True,
                                            do_handshake_on_connect=False)
        state.scheme = "https"
    state.ports[origin] = server.server_address[1]
    threading.Thread(target=server.serve_forever, daemon=True).start()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--layout", required=True)
    parser.add_argument("--plan", type=json.loads, default={})
    parser.add_argument("--log", type=lambda name: open(name, "a", encoding="utf-8"))
    parser.add_argument("--cert")
    parser.add_argument("--key")
    parser.add_argument("--client-ca")
    options = parser.parse_args()
    state = State(options.layout, options.plan, options.log)
    listen(state, "main", options)
    listen(state, "other", options)
    print(state.ports["main"], state.ports["other"], flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
