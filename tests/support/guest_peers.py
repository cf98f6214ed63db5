# SPDX-License-Identifier: Apache-2.0
"""What surrounds a puller in a guest: kata's agent, an attestation agent, a confidential data hub.
They are programs on other people's ttrpc (tests/support/ttrpc_peers in Go, ttrpc_rust in Rust) that
take and give lines of JSON; here is a Python object for each.

    with Agent(program, socket) as agent:             # one connection
        call = agent.pull("docker.io/x", "/run/b")    # does not wait
        call.wait().digest"""
import json
import subprocess
import threading

DEADLINE = 60  # seconds; only what hangs gets there
PULL, RESOURCE = ("api.ImagePullService", "PullImage"), ("api.GetResourceService", "GetResource")
UNSEAL, MOUNT = ("api.SealedSecretService", "UnsealSecret"), ("api.SecureMountService", "SecureMount")
UNWRAP = ("keyprovider.KeyProviderService", "UnWrapKey")
OK, CANCELLED, INVALID_ARGUMENT, DEADLINE_EXCEEDED, NOT_FOUND = 0, 1, 3, 4, 5
RESOURCE_EXHAUSTED, FAILED_PRECONDITION, UNIMPLEMENTED, INTERNAL, UNAVAILABLE = 8, 9, 12, 13, 14


class Lines:
    """A program that speaks in lines. Whoever waits for a line is woken by it, or by the end."""

    def __init__(self, *argv):
        self.process = subprocess.Popen(  # pylint: disable=consider-using-with
            [str(a) for a in argv], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.lines = []
        self.ended = False
        self.changed = threading.Condition()
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        for line in self.process.stdout:
            with self.changed:
                self.lines.append(json.loads(line))
                self.changed.notify_all()
        with self.changed:
            self.ended = True
            self.changed.notify_all()

    def tell(self, value):
        self.process.stdin.write(json.dumps(value) + "\n")
        self.process.stdin.flush()

    def matching(self, condition):
        with self.changed:
            return [line for line in self.lines if condition(line)]

    def wait(self, condition, count=1, what="a line", deadline=DEADLINE):
        """The first count lines that match."""
        with self.changed:
            def enough():
                return sum(map(bool, map(condition, self.lines))) >= count
            self.changed.wait_for(lambda: enough() or self.ended, deadline)
            if not enough():
                raise AssertionError(f"{self.process.args[1]}: {what} did not come; "
                                     f"{'it has ended; ' if self.ended else ''}so far: {self.lines[-3:]}")
            return [line for line in self.lines if condition(line)][:count]

    def close(self):
        """As a process that is killed: whatever it has open goes at once."""
        self.process.kill()
        self.process.wait()
        self.thread.join()
        self.process.stdout.close()
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


# ---- the asking end ----

class Answer:
    def __init__(self, line):
        self.code, self.message = line["code"], line["message"]
        self.fields, self.hex = line.get("fields") or {}, line["hex"]
        self.details, self.seconds = line.get("details", []), line["seconds"]
        self.is_local = line.get("local", False)  # the client gave up; no answer had come

    @property
    def digest(self):
        return self.fields.get("manifest_digest", "")

    def __repr__(self):
        return f"Answer(code={self.code}, message={self.message!r}, fields={self.fields})"


class Call:
    def __init__(self, agent, number):
        self.agent, self.number = agent, number

    def _is_mine(self, line):
        return line["id"] == self.number

    def wait(self, deadline=DEADLINE):
        return Answer(self.agent.wait(self._is_mine, what="an answer", deadline=deadline)[0])

    def is_over(self):
        return bool(self.agent.matching(self._is_mine))

    def cancel(self):
        self.agent.tell({"cancel": self.number})


class Agent(Lines):
    """One connection of a client. wire: "ttrpc", or "grpc" with a target of grpc-go."""

    def __init__(self, program, socket, wire="ttrpc"):
        super().__init__(program, "client", "-wire", wire, socket)
        self.number = 0

    def ask(self, service, method, fields=None, data=b"", timeout=0, metadata=None):
        """fields: of the message. Or data: its bytes. timeout: seconds, told to the server too.
        metadata: name to value or values."""
        self.number += 1
        metadata = metadata and {k: [v] if isinstance(v, str) else v for k, v in metadata.items()}
        request = {"id": self.number, "service": service, "method": method, "hex": data.hex(),
                   "timeout": timeout, "metadata": metadata}
        self.tell({**request, "fields": fields} if fields is not None else request)
        return Call(self, self.number)

    def call(self, *args, **kwargs):
        return self.ask(*args, **kwargs).wait()

    def pull(self, image, bundle, **kwargs):
        return self.ask(*PULL, {"image_url": image, "bundle_path": bundle}, **kwargs)


# ---- the answering ends ----

class Server(Lines):
    """requests: what it was asked so far, as dictionaries of service, method, hex, fields, metadata
    and timeout."""

    def __init__(self, program, kind, socket, *args):
        super().__init__(program, kind, socket, *args)
        self.socket = socket
        self.modes = 0
        self.wait(lambda line: "ready" in line, what="its start")

    @property
    def requests(self):
        return self.matching(lambda line: "service" in line)

    def wait_asked(self, method, count=1):
        return self.wait(lambda line: line.get("method") == method, count, f"a call of {method}")

    def behave(self, **mode):
        """hang, code, message, details, result: from now on; nothing: as it should."""
        self.modes += 1
        self.tell(mode)
        self.wait(lambda line: "obeyed" in line, self.modes, "its consent")


def attestation_agent(program, socket):
    return Server(program, "aa", socket)


def hub(program, socket, resources):
    """resources: a folder of REPOSITORY/TYPE/TAG."""
    return Server(program, "cdh", socket, resources)
