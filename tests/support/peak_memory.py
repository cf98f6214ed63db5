# SPDX-License-Identifier: Apache-2.0
"""Peak RSS of the program as it is shipped: a sanitizer keeps what was freed. A process that starts
it is measured with it, since a child begins as its parent, so a small one stands between.

    program = peak_memory.shipped(SLUICE)        # None: there is none
    run = subprocess.run(peak_memory.measured([program, ...]), stdout=PIPE, text=True)
    peak_memory.peak(run.stdout)                 # KiB
"""
import os
import re
import sys

LIMIT = 96 * 1024  # KiB that any verb may take, whatever the image

_MEASURE = """
import resource, subprocess, sys
code = subprocess.run(sys.argv[1:], stdin=subprocess.DEVNULL).returncode
print("peak", resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code)
"""


def is_sanitized(program):
    with open(program, "rb") as file:
        data = file.read()
    return b"__asan_init" in data or b"__tsan_init" in data


def shipped(program):
    """The program under test, or the one of SLUICE_RELEASE, or None."""
    for candidate in program, os.environ.get("SLUICE_RELEASE", ""):
        if os.path.exists(candidate) and not is_sanitized(candidate):
            return candidate
    return None


def measured(command):
    return [sys.executable, "-c", _MEASURE, *command]


def peak(stdout):
    return int(re.search(r"^peak (\d+)$", stdout, re.M)[1])
