# SPDX-License-Identifier: Apache-2.0
"""A link with delay and rate between two network namespaces of this machine.

    with Link(rtt_ms=100, rate_mbit=1000) as link:
        link.run(link.near, ["curl", f"http://{link.far_address}:5000/"])

Real TCP on both sides: slow start, windows and losses are the kernel's own, by cubic unless the
machine has something else (link.congestion says which). By `tc netem`
where the kernel has it, else by bench-link, which must be built (`cmake --preset bench`). The
namespaces are private, have no other way out, and go with the link. Needs root.
"""
import json
import os
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent
EMULATOR = ROOT / "build" / "bench" / "bin" / "bench-link"
CONGESTION = "cubic"
MTU = 1500


def ip(*args, **how):
    return subprocess.run(["ip", *args], check=True, **how)


class Link:
    near_address = "10.99.0.1"
    far_address = "10.99.0.2"

    def __init__(self, rtt_ms, rate_mbit=1000, emulator=EMULATOR):
        self.rtt_ms, self.rate_mbit, self.emulator = rtt_ms, rate_mbit, emulator
        self.near, self.far = (f"sluice-{end}-{os.getpid()}" for end in ("near", "far"))
        self.process = None
        self.congestion = None  # what TCP uses here
        self.statistics = {}  # afterwards; of bench-link only: see there

    def inside(self, namespace, command):
        return ["ip", "netns", "exec", namespace, *map(str, command)]

    def run(self, namespace, command, **how):
        return subprocess.run(self.inside(namespace, command), check=True, **how)

    def netem(self):
        """Two ends of a veth with netem, or False where the kernel has none of it."""
        ip("link", "add", "link0", "netns", self.near, "type", "veth",
           "peer", "link0", "netns", self.far, stderr=subprocess.DEVNULL)
        packets = max(1000, int(self.rate_mbit * 125 * self.rtt_ms / MTU) * 2)
        for end in (self.near, self.far):
            self.run(end, ["tc", "qdisc", "add", "dev", "link0", "root", "netem",
                           "delay", f"{self.rtt_ms / 2}ms", "rate", f"{self.rate_mbit}mbit",
                           "limit", packets], stderr=subprocess.DEVNULL)

    def own(self):
        self.process = subprocess.Popen(
            [self.emulator, f"/run/netns/{self.near}", f"/run/netns/{self.far}",
             str(self.rtt_ms * 1000), str(self.rate_mbit)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self.process.stdout.readline() != "ready\n":
            raise RuntimeError(f"{self.emulator} does not start; it needs root and /dev/net/tun")
        # A packet that is late is a longer link: it goes before what is measured.
        os.sched_setscheduler(self.process.pid, os.SCHED_RR, os.sched_param(6))

    def configure(self, namespace, own, other):
        ip("-n", namespace, "link", "set", "lo", "up")
        ip("-n", namespace, "link", "set", "link0", "mtu", str(MTU), "up")
        ip("-n", namespace, "addr", "add", own, "peer", other, "dev", "link0")
        # Of the route alone: what the machine allows as a default elsewhere stays as it is.
        route = ("-n", namespace, "route", "replace", other, "dev", "link0", "src", own)
        try:
            ip(*route, "congctl", CONGESTION, stderr=subprocess.DEVNULL)
            self.congestion = CONGESTION
        except subprocess.CalledProcessError:
            self.congestion = self.run(
                namespace, ["sysctl", "-n", "net.ipv4.tcp_congestion_control"],
                stdout=subprocess.PIPE, text=True).stdout.strip()
        # Each connection finds out for itself what the link can carry.
        self.run(namespace, ["sysctl", "-qw", "net.ipv4.tcp_no_metrics_save=1"])

    def __enter__(self):
        try:
            ip("netns", "add", self.near)
            ip("netns", "add", self.far)
            try:
                self.netem()
            except subprocess.CalledProcessError:
                subprocess.run(["ip", "-n", self.near, "link", "del", "link0"],
                               stderr=subprocess.DEVNULL, check=False)
                self.own()
            self.configure(self.near, self.near_address, self.far_address)
            self.configure(self.far, self.far_address, self.near_address)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if self.process:
            out, _ = self.process.communicate()
            self.statistics = json.loads(out or "{}")
        for namespace in (self.near, self.far):
            subprocess.run(["ip", "netns", "del", namespace], stderr=subprocess.DEVNULL,
                           check=False)
