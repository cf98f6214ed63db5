# SPDX-License-Identifier: Apache-2.0
"""A pull over HTTP/2: docker-registry behind nginx. Documents and small blobs use it, others do not
(http_fetch.h says why)."""
import json
import os
import shutil
import socket
import subprocess
import unittest

from http_case import HttpCase, make_ca
from registry import Registry

SMALL_MAX = 256 * 1024  # docker_stream.c's
CONFIG = """daemon off;
user root;
worker_processes 1;
pid nginx.pid;
error_log error.log;
events {}
http {
  log_format requests '$server_protocol $connection $uri $status';
  access_log access.log requests;
  client_body_temp_path t1; proxy_temp_path t2; fastcgi_temp_path t3; uwsgi_temp_path t4;
  scgi_temp_path t5;
  server {
    listen 127.0.0.1:%(port)d ssl http2;
    ssl_certificate %(certs)s/server.crt;
    ssl_certificate_key %(certs)s/server.pem;
    location / { proxy_pass http://%(registry)s; proxy_set_header Host $http_host; }
  }
}
"""


@unittest.skipUnless(all(map(shutil.which, ("nginx", "docker-registry", "skopeo"))),
                     "nginx, docker-registry or skopeo is not installed")
class Http2(HttpCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        make_ca(cls.folder)

    def start(self):
        registry = Registry()
        registry.__enter__()
        self.addCleanup(registry.__exit__)
        registry.push("oci:%s:latest" % self.layout, "some/image:latest")
        self.nginx = os.path.join(self.folder, "nginx")
        os.mkdir(self.nginx)
        # nginx takes the socket over: no other program can have the port meanwhile.
        with socket.create_server(("127.0.0.1", 0)) as server:
            self.port = server.getsockname()[1]
            config = self.write(".nginx", CONFIG % {"port": self.port, "certs": self.folder,
                                                    "registry": registry.host})
            process = subprocess.Popen(
                ["nginx", "-p", self.nginx, "-e", "stderr", "-c", config],
                env={**os.environ, "NGINX": "%d;" % server.fileno()},
                pass_fds=[server.fileno()], stderr=subprocess.DEVNULL)
        self.addCleanup(process.wait)
        self.addCleanup(process.terminate)

    def lines(self):
        """Protocol, number of the connection, path and status of all requests so far."""
        with open(os.path.join(self.nginx, "access.log"), encoding="utf-8") as file:
            return [line.split() for line in file]

    def log(self):
        """{(protocol, kind)} of all requests so far."""
        lines = self.lines()
        self.assertEqual({status for *_, status in lines}, {"200"})
        return {(protocol, uri.split("/")[-2]) for protocol, _, uri, _ in lines}

    def test_only_large_blobs_come_over_http1(self):
        self.start()
        options = ("--cert-dir", self.folder)
        run = self.drive("manifest", options=options)
        self.assertEqual(run.returncode, 0, run.stderr)
        manifest = json.loads(run.stdout)
        config = manifest["config"]
        run = self.drive("small", config["digest"], str(config["size"]), options=options)
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertEqual(self.log(), {("HTTP/2.0", "manifests"), ("HTTP/2.0", "blobs")})
        large = [layer for layer in manifest["layers"] if layer["size"] > SMALL_MAX]
        small = [layer for layer in manifest["layers"] if layer["size"] <= SMALL_MAX]
        for layers, protocol in (large, "HTTP/1.1"), (small, "HTTP/2.0"):
            self.assertTrue(layers)
            os.truncate(os.path.join(self.nginx, "access.log"), 0)
            self.expect_blobs(self.drive(*self.blob_args(*layers), options=options), *layers)
            self.assertEqual(self.log(), {("HTTP/2.0", "manifests"), (protocol, "blobs")})
        # They are asked for last, and do not open a connection of their own.
        self.assertEqual(len({number for _, number, *_ in self.lines()}), 1)


if __name__ == "__main__":
    unittest.main()
