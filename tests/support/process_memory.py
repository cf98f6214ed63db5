# SPDX-License-Identifier: Apache-2.0
"""The memory of a process that is about to end: stopped by ptrace at its exit, when everything it
has freed has been freed and nothing is unmapped yet.

    with AtExit(argv, env) as process:
        process.status                       # what it is going to exit with
        process.find({"key": key_bytes})     # {"key": ["7f… rw-p [heap] + 0x40"]}

And the memory of one that still runs, Running(pid).
"""
import array
import ctypes
import os
import re
import signal
import tempfile

PAGE = os.sysconf("SC_PAGE_SIZE")
# The shadow of a sanitizer: terabytes, and never a copy of anything.
MAPPING_MAX = 64 << 30
PRESENT_OR_SWAPPED = 3 << 62
CHUNK = 4 << 20

TRACEME, CONT, SETOPTIONS, GETEVENTMSG = 0, 7, 0x4200, 0x4201
OPTION_TRACEEXIT, OPTION_EXITKILL = 1 << 6, 1 << 20
EVENT_EXIT = 6

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.restype = ctypes.c_long
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]


def _ptrace(request, pid, data=0):
    if _libc.ptrace(request, pid, None, data) < 0:
        number = ctypes.get_errno()
        raise OSError(number, "ptrace: " + os.strerror(number))


class Running:
    """A process that goes on."""

    def __init__(self, pid):
        self.pid = pid

    def proc(self, name):
        with open(f"/proc/{self.pid}/{name}", encoding="utf-8") as file:
            return file.read()

    def owner(self):
        """Of its folder in /proc: not the process's own user where it may not be dumped."""
        return os.stat(f"/proc/{self.pid}/status").st_uid

    def mappings(self):
        """(first address, end, description) of all that can be written to."""
        for line in self.proc("maps").splitlines():
            first, end, mode, name = re.match(r"(\w+)-(\w+) (\S+) \S+ \S+ \S+ *(.*)", line).groups()
            first, end = int(first, 16), int(end, 16)
            if "w" in mode and end - first <= MAPPING_MAX:
                yield first, end, f"{first:x} {mode} {name}".strip()

    def _present(self, pagemap, first, end):
        """Runs of pages that hold something."""
        entries = array.array("Q")
        entries.frombytes(os.pread(pagemap, (end - first) // PAGE * 8, first // PAGE * 8))
        begin = None
        for i, entry in enumerate([*entries, 0]):
            is_there = bool(entry & PRESENT_OR_SWAPPED)
            if is_there and begin is None:
                begin = i
            if not is_there and begin is not None:
                yield first + begin * PAGE, first + i * PAGE
                begin = None

    def _chunks(self, overlap, but):
        """(address, bytes, description), overlapping so that nothing is cut in two."""
        pagemap = os.open(f"/proc/{self.pid}/pagemap", os.O_RDONLY)
        memory = os.open(f"/proc/{self.pid}/mem", os.O_RDONLY)
        try:
            for first, end, what in self.mappings():
                if (first, end) in but:
                    continue
                for begin, stop in self._present(pagemap, first, end):
                    for at in range(begin, stop, CHUNK):
                        size = min(CHUNK + overlap, stop - at)
                        try:
                            yield at, os.pread(memory, size, at), f"{what} + {at - first:#x}"
                        except OSError:
                            break  # a device's pages, as those of an io_uring
        finally:
            os.close(pagemap)
            os.close(memory)

    def kept(self):
        """(first address, end) of what is locked, and stays out of core dumps."""
        places = []
        for line in self.proc("smaps").splitlines():
            span = re.match(r"(\w+)-(\w+) ", line)
            if span:
                place = tuple(int(end, 16) for end in span.groups())
            elif line.startswith("VmFlags:") and {"lo", "dd"} <= set(line.split()):
                places.append(place)
        return places

    def find(self, needles, but=()):
        """Where each of the named byte strings is; nothing for those that are nowhere. Mappings in
        but are passed over."""
        found = {}
        for _, data, where in self._chunks(max(map(len, needles.values())), but):
            for name, needle in needles.items():
                at = data.find(needle)
                if at >= 0:
                    around = data[max(0, at - 32):at + len(needle) + 32]
                    found.setdefault(name, []).append(f"{where} + {at:#x}: {around}")
        return found


class AtExit(Running):
    """Only the first thread is traced: its exit is that of the process."""

    def __init__(self, argv, env, user=None):
        super().__init__(0)
        self.argv, self.env, self.user = argv, env, user

    def __enter__(self):
        self.output = tempfile.TemporaryFile()  # pylint: disable=consider-using-with
        self.pid = os.fork()
        if self.pid == 0:
            self._become()
        try:
            self._run_to_exit()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            try:
                _ptrace(CONT, self.pid)  # at its exit, a signal does not wake it
            except OSError:
                pass
            os.waitpid(self.pid, 0)
        self.pid = 0
        self.output.close()

    def _become(self):
        try:
            os.dup2(self.output.fileno(), 1)
            os.dup2(self.output.fileno(), 2)
            if self.user is not None:
                os.setgroups([])
                os.setgid(self.user)
                os.setuid(self.user)
            _ptrace(TRACEME, 0)
            os.execve(self.argv[0], self.argv, self.env)
        finally:
            os._exit(127)

    def _run_to_exit(self):
        _, status = os.waitpid(self.pid, 0)  # the exec
        if not os.WIFSTOPPED(status):
            self.pid = 0
            raise OSError(f"{self.argv[0]} did not start")
        _ptrace(SETOPTIONS, self.pid, OPTION_TRACEEXIT | OPTION_EXITKILL)
        deliver = 0
        while status >> 8 != signal.SIGTRAP | EVENT_EXIT << 8:
            _ptrace(CONT, self.pid, deliver)
            _, status = os.waitpid(self.pid, 0)
            if not os.WIFSTOPPED(status):
                self.pid = 0
                raise OSError(f"{self.argv[0]} ended without passing its exit")
            deliver = os.WSTOPSIG(status)
        message = ctypes.c_ulong()
        _ptrace(GETEVENTMSG, self.pid, ctypes.addressof(message))
        self.status = os.waitstatus_to_exitcode(message.value)

    def said(self):
        """What it wrote to stdout and stderr."""
        return os.pread(self.output.fileno(), 1 << 20, 0).decode(errors="replace")
