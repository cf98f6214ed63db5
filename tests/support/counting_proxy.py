# SPDX-License-Identifier: Apache-2.0
"""An HTTP proxy that remembers what was asked for and can hold an answer in the middle.

    with CountingProxy(registry.host) as proxy:      # in front of one registry
        hold = proxy.hold(digest, after=100000)
        ... pull from proxy.host ...
        hold.reached.wait(30); hold.release()
        proxy.gets("/blobs/")
        proxy.replace("/v2/", headers={"X-Said": "1"})     # and what else a registry may say
        proxy.replace("/manifests/1", 500)

Without an upstream it is a forward proxy, for http_proxy and https_proxy. With one, every host
name leads there. With credentials ("user:password") it lets nobody else through.
"""

import base64
import http.client
import http.server
import select
import socket
import threading
import urllib.parse

CHUNK = 16 * 1024
DEADLINE = 20.0  # seconds that anything may take


class Hold:
    """Answers to paths with this part stop after so many bytes until release()."""

    def __init__(self, part, after, times):
        self.part, self.after, self.times = part, after, times
        self.reached = threading.Event()
        self._go = threading.Event()

    def release(self):
        self._go.set()

    def wait(self):
        self.reached.set()
        self._go.wait(DEADLINE)


class CountingProxy:
    def __init__(self, upstream=None, credentials=None):
        self.upstream = upstream
        self.credentials = credentials
        self.requests = []  # (method, path, status)
        self._holds = []
        self._replacements = []
        self._changed = threading.Condition()
        handler = type("Handler", (_Handler,), {"proxy": self})
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.handle_error = lambda *_: None  # clients that are killed hang up
        self._server.daemon_threads = True
        self.host = f"127.0.0.1:{self._server.server_port}"
        self.url = "http://" + self.host
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        for hold in self._holds:
            hold.release()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def hold(self, part, after=0, times=1):
        """The next answers whose path has this part stop after so many bytes."""
        hold = Hold(part, after, times)
        with self._changed:
            self._holds.append(hold)
        return hold

    def replace(self, part, status=None, body=b"", headers=None, times=None):
        """Answers to GET and HEAD of paths that end with this part: these instead of the upstream's.
        Without a status only the headers are added. times: how often; None is always. body may be a
        function of the path and the request's headers that gives (status, body)."""
        with self._changed:
            self._replacements.append([part, status, body, headers or {}, times])

    def replacement_for(self, path):
        """(status, body, headers) or None."""
        with self._changed:
            for row in self._replacements:
                part, status, body, headers, times = row
                if path.endswith(part) and times != 0:
                    row[4] = times and times - 1
                    return status, body, headers
        return None

    def gets(self, part=""):
        """Paths of the GET requests so far that have this part."""
        with self._changed:
            return [path for method, path, _ in self.requests if method == "GET" and part in path]

    def wait_for(self, count, part):
        """Until so many requests with this part were answered."""
        with self._changed:
            return self._changed.wait_for(
                lambda: sum(part in path for _, path, _ in self.requests) >= count, DEADLINE)

    def forget(self):
        with self._changed:
            self.requests.clear()

    def note(self, method, path, status):
        with self._changed:
            self.requests.append((method, path, status))
            self._changed.notify_all()

    def lets_in(self, authorization):
        if not self.credentials:
            return True
        encoded = base64.b64encode(self.credentials.encode()).decode("ascii")
        return authorization == "Basic " + encoded

    def hold_for(self, path):
        with self._changed:
            for hold in self._holds:
                if hold.part in path and hold.times > 0:
                    hold.times -= 1
                    return hold
        return None


class _Handler(http.server.BaseHTTPRequestHandler):
    proxy = None
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def _is_refused(self):
        if self.proxy.lets_in(self.headers.get("Proxy-Authorization")):
            return False
        self.proxy.note(self.command, self.path, 407)
        self.send_response(407)
        self.send_header("Proxy-Authenticate", 'Basic realm="proxy"')
        self.send_header("Content-Length", "0")
        self.end_headers()
        return True

    def _forward(self):
        if self._is_refused():
            return
        url = urllib.parse.urlsplit(self.path)
        host = self.proxy.upstream or url.netloc
        path = url.path + ("?" + url.query if url.query else "")
        headers = {k: v for k, v in self.headers.items()
                   if k.lower() not in ("connection", "host", "proxy-authorization")}
        replaced = self.proxy.replacement_for(url.path)
        if replaced and replaced[0]:
            self._say(*replaced)
            return
        # The registry must name itself as the client knows it.
        headers["Host"] = self.headers.get("Host", host)
        connection = http.client.HTTPConnection(host, timeout=DEADLINE)
        try:
            connection.request(self.command, path, headers=headers)
            answer = connection.getresponse()
            self.proxy.note(self.command, self.path, answer.status)
            self._answer(answer, replaced[2] if replaced else {})
        finally:
            connection.close()

    def _say(self, status, body, headers):
        if callable(body):
            status, body = body(self.path, self.headers)
        self.proxy.note(self.command, self.path, status)
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _answer(self, answer, more):
        self.send_response(answer.status)
        for name, value in more.items():
            self.send_header(name, value)
        for name, value in answer.getheaders():
            if name.lower() not in ("connection", "transfer-encoding", "date", "server"):
                self.send_header(name, value)
        if answer.getheader("Content-Length") is None:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command == "HEAD":
            return
        hold = self.proxy.hold_for(self.path)
        sent = 0
        while True:
            want = CHUNK if not hold else min(CHUNK, hold.after - sent)
            data = answer.read(want) if want > 0 else b""
            if not data and hold:
                self.wfile.flush()
                hold.wait()
                hold = None
                continue
            if not data:
                break
            self.wfile.write(data)
            sent += len(data)
        # Cut off by an upstream that has died; whoever waits for the rest is to see it.
        if answer.getheader("Content-Length", str(sent)) != str(sent):
            self.close_connection = True

    do_GET = do_HEAD = _forward

    def do_CONNECT(self):  # pylint: disable=invalid-name
        if self._is_refused():
            return
        host, port = (self.proxy.upstream or self.path).rsplit(":", 1)
        self.proxy.note("CONNECT", self.path, 200)
        with socket.create_connection((host, int(port)), timeout=DEADLINE) as other:
            self.send_response(200)
            self.end_headers()
            self._tunnel(other)
        self.close_connection = True

    def _tunnel(self, other):
        ends = {self.connection: other, other: self.connection}
        while True:
            for source in select.select(list(ends), [], [], DEADLINE)[0]:
                data = source.recv(CHUNK)
                if not data:
                    return
                ends[source].sendall(data)
