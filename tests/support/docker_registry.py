# SPDX-License-Identifier: Apache-2.0
"""A real registry (docker-registry) on a free port of this machine."""
import os
import re
import subprocess
import threading

CONFIG = """version: 0.1
log: {level: info, accesslog: {disabled: true}}
storage: {filesystem: {rootdirectory: %s}}
http: {addr: "127.0.0.1:0"}
"""


class DockerRegistry:
    """Serves plain HTTP at .address and keeps its blobs below the folder."""

    def __init__(self, folder):
        os.makedirs(folder)
        config = os.path.join(folder, "config.yml")
        with open(config, "w", encoding="utf-8") as f:
            f.write(CONFIG % os.path.join(folder, "blobs"))
        self.server = subprocess.Popen(["docker-registry", "serve", config], text=True,
                                       stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self.address = self.find_address()
        # Whoever does not read what it says blocks it some day.
        self.drain = threading.Thread(target=self.server.stderr.read)
        self.drain.start()

    def find_address(self):
        said = []
        for line in self.server.stderr:
            found = re.search(r"listening on (127\.0\.0\.1:\d+)", line)
            if found:
                return found[1]
            said.append(line)
        raise RuntimeError("docker-registry did not start: " + "".join(said))

    def stop(self):
        self.server.terminate()
        self.server.wait()
        self.drain.join()
        self.server.stderr.close()
