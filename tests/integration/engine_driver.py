# SPDX-License-Identifier: Apache-2.0
"""Runs pull_driver (SL_PULL_DRIVER, else beside SLUICE): pulls in one engine, told in lines."""

import os
import subprocess
import threading

import sluice_case
from counting_proxy import DEADLINE

DRIVER = os.environ.get("SL_PULL_DRIVER",
                        os.path.join(os.path.dirname(sluice_case.SLUICE), "pull_driver"))


class Driver:
    """A run of the driver. done(n) is ("ok", "1 2") or (code, message)."""

    def __init__(self, case, *args):
        self.process = subprocess.Popen(  # pylint: disable=consider-using-with
            [DRIVER, "--root", case.root, *map(str, args)], env=case.environment(), text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.lines, self._changed, self._ended = [], threading.Condition(), False
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()
        case.addCleanup(self.end)

    def _listen(self):
        for line in self.process.stdout:
            with self._changed:
                self.lines.append(line.rstrip("\n"))
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def end(self):
        self.process.kill()
        self._thread.join()
        for file in self.process.stdin, self.process.stdout, self.process.stderr:
            file.close()
        self.process.wait()

    def tell(self, text):
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()

    def line(self, start):
        """The line that begins so, once it comes."""
        def find():
            return next((x for x in self.lines if x.startswith(start)), None)
        with self._changed:
            self._changed.wait_for(lambda: find() or self._ended, DEADLINE)
            found = find()
        if not found:
            raise AssertionError(f"no line '{start}': {self.lines}")
        return found[len(start):]

    def done(self, number):
        code, _, rest = self.line(f"done {number} ").partition(" ")
        return code, rest

    def is_done(self, number):
        with self._changed:
            return any(x.startswith(f"done {number} ") for x in self.lines)

    def finish(self):
        """What it said on stderr; it has ended well."""
        status = self.process.wait(sluice_case.TIMEOUT)
        self._thread.join()
        return status, self.process.stderr.read()
