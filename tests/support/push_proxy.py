# SPDX-License-Identifier: Apache-2.0
"""A proxy in front of a registry that is pushed to, and that can refuse, hang up, or wait.

    with PushProxy(registry.host) as proxy:
        proxy.on("PUT", "/manifests/1", status=500)
        proxy.on("PATCH", "/blobs/uploads/", hang_up_after=100000, times=1)
        hold = proxy.on("PATCH", "/blobs/uploads/", wait_after=100000)
        ... push to proxy.host ...
        hold.reached.wait(30)
        together = proxy.on("HEAD", "/blobs/", gather=2, times=2)  # nobody goes on alone
        ... push ...
        not together.gathering.broken
"""

import http.client
import http.server
import threading
import urllib.parse

CHUNK = 64 * 1024
DEADLINE = 20.0  # seconds that anything may take
GATHERING = 5.0  # seconds that the first waits for the last


class Rule:
    def __init__(self, method, part, status=None, hang_up_after=None, wait_after=None,
                 gather=None, times=1000):
        self.method, self.part, self.times = method, part, times
        self.status, self.hang_up_after, self.wait_after = status, hang_up_after, wait_after
        self.reached = threading.Event()
        self.go = threading.Event()
        self.gathering = gather and threading.Barrier(gather, timeout=GATHERING)


class PushProxy:
    def __init__(self, upstream):
        self.upstream = upstream
        self.requests = []  # (method, path)
        self._rules = []
        self._lock = threading.Lock()
        handler = type("Handler", (_Handler,), {"proxy": self})
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.handle_error = lambda *_: None  # clients that are killed hang up
        self._server.daemon_threads = True
        self.host = f"127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        for rule in self._rules:
            rule.go.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def on(self, method, part, **what):
        rule = Rule(method, part, **what)
        with self._lock:
            self._rules.append(rule)
        return rule

    def rule_for(self, method, path):
        with self._lock:
            self.requests.append((method, path))
            for rule in self._rules:
                if rule.method == method and rule.part in path and rule.times > 0:
                    return rule
        return None

    def spend(self, rule):
        """False when somebody else was the last it was meant for."""
        with self._lock:
            rule.times -= 1
            return rule.times >= 0

    def count(self, method, part=""):
        with self._lock:
            return sum(m == method and part in p for m, p in self.requests)


class _Handler(http.server.BaseHTTPRequestHandler):
    proxy = None
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def _pieces(self):
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            while size := int(self.rfile.readline().split(b";")[0], 16):
                yield self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        left = int(self.headers.get("Content-Length") or 0)
        while left > 0:
            piece = self.rfile.read(min(CHUNK, left))
            if not piece:
                return
            left -= len(piece)
            yield piece

    @staticmethod
    def _reaches(limit, body):
        return limit is not None and len(body) >= limit

    def _body(self, rule):
        """None when the connection was cut on purpose."""
        body = b""
        for piece in self._pieces():
            body += piece
            if self._reaches(rule and rule.hang_up_after, body) and self.proxy.spend(rule):
                return None
            if self._reaches(rule and rule.wait_after, body):
                rule.reached.set()
                rule.go.wait(DEADLINE)
        return body

    def _forward(self):
        rule = self.proxy.rule_for(self.command, self.path)
        body = self._body(rule)
        if body is None:
            self.close_connection = True
            return
        if rule and rule.status and self.proxy.spend(rule):
            self.send_response(rule.status)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if rule and rule.gathering and self.proxy.spend(rule):
            try:
                rule.gathering.wait()
            except threading.BrokenBarrierError:
                pass  # the test looks
        url = urllib.parse.urlsplit(self.path)
        headers = {k: v for k, v in self.headers.items()
                   if k.lower() not in ("connection", "transfer-encoding", "content-length",
                                        "expect")}
        connection = http.client.HTTPConnection(self.proxy.upstream, timeout=DEADLINE)
        try:
            connection.request(self.command, url.path + ("?" + url.query if url.query else ""),
                               body=body, headers=headers)
            self._answer(connection.getresponse())
        finally:
            connection.close()

    def _answer(self, answer):
        data = answer.read()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("connection", "transfer-encoding", "date", "server",
                                    "content-length"):
                self.send_header(name, value)
        length = answer.getheader("Content-Length") if self.command == "HEAD" else len(data)
        if self.command == "HEAD" or answer.status != 204:
            self.send_header("Content-Length", str(length or 0))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _forward
