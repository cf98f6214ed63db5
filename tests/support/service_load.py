# SPDX-License-Identifier: Apache-2.0
"""The load of the service's load test and benchmark: images that share base layers, pulled by many
callers at once."""
import os
import random
import re
from collections import Counter

import make_image

IMAGES, CALLERS = 8, 32
SHARED = ("base", "runtime", "libraries")  # layers of every image; each image has one more


def compressible(size, seed):
    """Bytes that gzip halves, about as it does programs."""
    pick = random.Random(seed)
    words = [pick.randbytes(24) for _ in range(1024)]
    out = bytearray()
    while len(out) < size:
        out += pick.choice(words) + pick.randbytes(10)
    return bytes(out[:size])


def layer(name, size, seed, files=16):
    """A gzip layer of about size bytes in so many files."""
    data = compressible(size // files, seed)
    entries = {f"{name}/": ""}
    entries.update({f"{name}/{i}": i.to_bytes(4, "big") + data[i:] for i in range(files)})
    entries[f"is-{name}"] = name
    return make_image.layer(entries, 6)


class Images:
    """size: bytes of all files of a shared layer; an image's own layer has a fourth of it."""

    def __init__(self, folder, size):
        self.build(folder, [layer(name, size, i) for i, name in enumerate(SHARED)],
                   [layer(f"own{i}", size // 4, 100 + i) for i in range(IMAGES)])

    def build(self, folder, shared, own):
        """own: the top layer of each image."""
        self.layers, self.digests, self.folder = [*shared, *own], {}, folder
        for i in range(IMAGES):
            make_image.add_image(folder, [*shared, own[i]], tag=str(i))
            self.digests[i] = make_image.tagged(folder, str(i))[0]["digest"]

    def push(self, registry):
        for i in range(IMAGES):
            registry.push(f"oci:{self.folder}:{i}", f"load:{i}")

    def blobs(self):
        """Digests of all layers, as they are sent."""
        return {x["digest"] for i in range(IMAGES)
                for x in make_image.tagged(self.folder, str(i))[1]["layers"]}

    def configs(self):
        """Digests of the configs."""
        return [make_image.tagged(self.folder, str(i))[1]["config"]["digest"] for i in range(IMAGES)]


def fetches(registry):
    """Digest to how often the registry's access log says it was fetched."""
    counts = {}
    for digest in re.findall(r'"GET /v2/load/blobs/(sha256:[0-9a-f]{64})', registry.log()):
        counts[digest] = counts.get(digest, 0) + 1
    return counts


def pull_all(agents, host, bundle, callers=CALLERS):
    """Begins all calls, spread over the agents, and waits for them; their answers, in order. bundle: a
    function of the caller's number that gives its bundle."""
    calls = [agents[i % len(agents)].pull(f"{host}/load:{i % IMAGES}", bundle(i)) for i in range(callers)]
    return [call.wait(600) for call in calls]


def cpu_seconds(pid):
    """Of a process, user and system."""
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def wakeups(pid):
    """How often its threads have been woken so far."""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/status", encoding="ascii", errors="replace") as f:
            total += sum(int(line.split()[1]) for line in f if "voluntary_ctxt_switches" in line)
    return total


class Kept:
    """What the service holds at rest, to be compared with later on. Threads of its pools start when
    there is work for them, and stay: there are never more than those."""
    POOLS = 2 + 2 + 4  # housekeepers, of the control socket, of key requests
    OTHERS = 6         # main, two servers, HTTP, cancel watch, early sync
    SOCKETS = 8        # connections that libcurl keeps for the next pull

    def __init__(self, service):
        self.service = service
        self.before = self._files()

    def _files(self):
        names = self.service.descriptors()
        return [n for n in names if n != "socket"], names.count("socket")

    def threads_max(self):
        return self.POOLS + self.OTHERS + len(os.sched_getaffinity(0)) + self.service.is_tsan()

    def is_as_before(self):
        """Nothing more; what was still on its way out when it was first looked at may be gone."""
        files, sockets = self._files()
        return (not Counter(files) - Counter(self.before[0]) and sockets <= self.before[1] + self.SOCKETS and
                self.service.threads() <= self.threads_max())

    def difference(self):
        return (f"as before: {self.before}; now {self._files()}, {self.service.threads()} of "
                f"{self.threads_max()} threads;")
