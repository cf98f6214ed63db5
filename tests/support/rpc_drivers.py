# SPDX-License-Identifier: Apache-2.0
"""Runs the two programs that the RPC tests speak through."""
import subprocess

TIMEOUT = 20  # seconds


class EchoServer:
    """rpc_echo_driver; its real addresses are in .addresses."""

    def __init__(self, program, *args):
        self.process = subprocess.Popen([program, *args], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        self.addresses = [self.process.stdout.readline().strip()
                          for a in args if "://" in a]

    def stop(self):
        if self.process.stdin.closed:
            return
        self.process.stdin.close()
        code = self.process.wait(timeout=TIMEOUT)
        self.process.stdout.close()
        if code != 0:
            raise AssertionError(f"the server ended with {code}")


def ask(program, target, *requests, method="test.Echo/Echo", deadline_ms=10000, options=()):
    """rpc_call_driver: a line of answer for each request, by one client."""
    service, method = method.split("/")
    run = subprocess.run(
        [program, "grpc", target, service, method, str(deadline_ms), *options],
        input="".join(r + "\n" for r in requests).encode(), capture_output=True, timeout=TIMEOUT,
        check=False)
    if run.returncode != 0:
        raise AssertionError(run.stderr.decode())
    return run.stdout.decode().splitlines()
