# SPDX-License-Identifier: Apache-2.0
"""Many connections at once to a server of the RPC tests, and what its process says of itself."""
import os
import resource
import socket


def allow_descriptors(n):
    """Of this process; False when it may not have that many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < n:
        return False
    if soft != resource.RLIM_INFINITY and soft < n:
        resource.setrlimit(resource.RLIMIT_NOFILE, (n, hard))
    return True


def crowd(path, n):
    """n connections to a unix socket that say nothing."""
    found = []
    for _ in range(n):
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(path)
        found.append(connection)
    return found


def resident_kib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        for line in status:
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
    raise AssertionError("no VmRSS")


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))
