#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""libcurl comes with the first run that needs it: what the program does without it, and what packagers
read of it in the file.

  test_start.py CC
"""
import json
import os
import socket
import subprocess
import sys
import threading

import sluice_case
from sluice_case import EXIT_FAILED, SLUICE

COMPILER = sys.argv.pop(1)
SLUICED = os.environ["SLUICED"]


def dlopen_notes(program):
    """As https://systemd.io/ELF_DLOPEN_METADATA/ has them, by binutils."""
    section = subprocess.run(["objcopy", "--dump-section", ".note.dlopen=/dev/stdout", program,
                              os.devnull], stdout=subprocess.PIPE, check=True).stdout
    name_size, size, kind = (int.from_bytes(section[i:i + 4], sys.byteorder) for i in (0, 4, 8))
    assert (name_size, kind, section[12:16]) == (4, 0x407c0c0a, b"FDO\0"), section
    assert len(section) >= 16 + size
    return json.loads(section[16:16 + size].rstrip(b"\0"))


class Greeting(sluice_case.SluiceCase):
    """What a server on loopback hears first, where certificates do not matter."""

    def greetings(self, answer):
        """First bytes of all connections; each is answered so, unless it begins with TLS."""
        heard = []

        def serve(server):
            while True:
                try:
                    client = server.accept()[0]
                except OSError:
                    return
                with client:
                    data = client.recv(65536)
                    heard.append(data[:4])
                    if data.startswith(b"GET "):
                        client.sendall(b"HTTP/1.1 %s\r\nContent-Length: 0\r\n"
                                       b"Connection: close\r\n\r\n" % answer)
        with socket.create_server(("127.0.0.1", 0)) as server:
            thread = threading.Thread(target=serve, args=(server,))
            thread.start()
            run = self.sluice("inspect", "--retry", 1, "--tls-verify=false",
                              f"docker://127.0.0.1:{server.getsockname()[1]}/a:1")
            server.shutdown(socket.SHUT_RDWR)
            thread.join()
        self.assertNotEqual(run.returncode, 0)
        return heard

    def test_plain_http_is_never_greeted_by_tls(self):
        self.assertEqual(set(self.greetings(b"200 OK")), {b"GET "})

    def test_https_follows_where_plain_http_is_refused(self):
        first, second, *_ = self.greetings(b"400 Bad Request")
        self.assertEqual((first, second[:1]), (b"GET ", b"\x16"))


class LoadedLibrary(sluice_case.SluiceCase):
    def with_library(self, make):
        """The environment in which libcurl is the file that make() makes."""
        (soname,) = dlopen_notes(SLUICE)[0]["soname"]
        os.mkdir(self.path("lib"))
        make(self.path("lib", soname))
        return self.environment(LD_LIBRARY_PATH=self.path("lib"))

    def refuses(self, env, *why):
        self.assertEqual(self.sluice("version", env=env).returncode, 0)
        self.assertEqual(self.sluice("images", env=env).returncode, 0)
        self.pull_fails(EXIT_FAILED, "docker://127.0.0.1:1/a:1", env=env,
                        says=("cannot load libcurl: ", "; install it", *why))

    def test_programs_start_without_it(self):
        for program in (SLUICE, SLUICED):
            needed = subprocess.run(["readelf", "--dynamic", program], stdout=subprocess.PIPE,
                                    text=True, check=True).stdout
            self.assertIn("libcrypto", needed)
            self.assertNotIn("libcurl", needed)
            (note,) = dlopen_notes(program)
            self.assertEqual(note["priority"], "required")
            self.assertRegex(note["soname"][0], r"^libcurl.*\.so\.\d+$")

    def test_a_broken_one_is_named(self):
        def make(path):
            with open(path, "xb"):
                pass
        self.refuses(self.with_library(make), "file too short")

    def test_one_that_lacks_a_function_is_named(self):
        def make(path):
            subprocess.run([COMPILER, "-shared", "-x", "c", os.devnull, "-o", path], check=True)
        self.refuses(self.with_library(make), "undefined symbol: curl_")


if __name__ == "__main__":
    sluice_case.main(COMPILER, "objcopy", "readelf")
