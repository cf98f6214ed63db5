# SPDX-License-Identifier: Apache-2.0
"""Seven images as people have them, each an OCI layout with uncompressed layers.

They are made once and kept: a folder's name says from which recipe it was made, so a changed
recipe makes a new one. Packages come from wherever this machine's apt gets its own."""
import fcntl
import glob
import hashlib
import os
import random
import re
import resource
import shutil
import struct
import subprocess
import tempfile

import make_tars as mt
from oci_images import write_plain_image

HERE = os.path.dirname(os.path.abspath(__file__))
RECIPES = ("images.py", "make_tars.py", "oci_images.py")
BASE_PACKAGES = ("base-files", "base-passwd", "dash", "coreutils", "passwd", "libcap2-bin")
NOT_NEEDED = ("/usr/share/doc/*", "/usr/share/locale/*", "/usr/share/man/*")
PACK = ("tar", "--numeric-owner", "--sort=name", "--format=pax", "--xattrs", "--xattrs-include=*",
        "--sparse")


def run(*argv, **options):
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          errors="backslashreplace", **options)
    if done.returncode:
        raise RuntimeError(f"{' '.join(argv)}: {done.stderr}")
    return done.stdout


# ---- what is kept ----

def recipe_key():
    h = hashlib.sha256()
    for name in RECIPES:
        with open(os.path.join(HERE, name), "rb") as f:
            h.update(f.read())
    return h.hexdigest()[:16]


def image(name, kept, scratch):
    """The layout of an image, made when it is not there yet.

    kept: the folder of finished images. scratch: a file system with xattrs, for making one."""
    return keep(name, kept, lambda part: MAKERS[name](part, kept, scratch))


def keep(name, kept, make):
    os.makedirs(kept, exist_ok=True)
    place = os.path.join(kept, f"{name}-{recipe_key()}")
    with open(os.path.join(kept, name + ".lock"), "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(place):
            for old in glob.glob(os.path.join(kept, name + "-*")):
                shutil.rmtree(old)
            part = os.path.join(kept, name + ".part")
            shutil.rmtree(part, ignore_errors=True)
            os.mkdir(part)
            make(part)
            os.rename(part, place)
    return place


def scratch_dir(scratch):
    return tempfile.TemporaryDirectory(dir=scratch)


# ---- packages ----

def apt_source():
    def ask():
        return run("apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages").split()
    if not ask():
        run("apt-get", "-q", "update")
    with open("/etc/os-release", encoding="utf-8") as f:
        return re.search(r"^VERSION_CODENAME=(\w+)", f.read(), re.M)[1], ask()[0]


def make_base_tar(part, kept, scratch):
    suite, mirror = apt_source()
    run("mmdebstrap", "--quiet", "--variant=extract", "--include=" + ",".join(BASE_PACKAGES),
        *("--dpkgopt=path-exclude=" + path for path in NOT_NEEDED), suite,
        os.path.join(part, "base.tar"), mirror)


def base_tar(kept, scratch):
    part = keep("base", kept, lambda part: make_base_tar(part, kept, scratch))
    return os.path.join(part, "base.tar")


def depends(package, pattern):
    """The packages it needs, itself included, whose names match."""
    said = run("apt-cache", "depends", "--recurse", "--no-recommends", "--no-suggests",
               "--no-conflicts", "--no-breaks", "--no-replaces", "--no-enhances", package)
    return sorted({line for line in said.splitlines() if re.fullmatch(pattern, line)})


def unpack_packages(names, to):
    """As dpkg lays the files down, without running any script of theirs."""
    apt_source()
    with scratch_dir(os.path.dirname(to)) as debs:
        run("apt-get", "-q", "download", "-o", "APT::Sandbox::User=root", *names, cwd=debs)
        for deb in sorted(os.listdir(debs)):
            run("dpkg-deb", "-x", os.path.join(debs, deb), to)
    for path in NOT_NEEDED:
        shutil.rmtree(to + path[:-2], ignore_errors=True)


def pack(folder, tar):
    run(*PACK, "-cf", tar, "-C", folder, ".")


# ---- the images of packages ----

def make_debian(part, kept, scratch):
    write_plain_image(part, [base_tar(kept, scratch)], {"Cmd": ["/bin/cat", "/etc/debian_version"]})


PROGRAM = b"""import os, platform, six
print("python", platform.python_version(), six.__name__, os.getcwd(), os.environ["GREETING"])
"""


def make_python(part, kept, scratch):
    with scratch_dir(scratch) as work:
        files = os.path.join(work, "files")
        os.mkdir(files)
        names = depends("python3-minimal", r"(lib)?python3[.0-9]*-?(minimal|stdlib)?")
        unpack_packages([*names, "libexpat1", "python3-six"], files)
        pack(files, os.path.join(work, "python.tar"))
        app = mt.archive(mt.directory(b"srv/", mode=0o750, uid=1000, gid=1000),
                         mt.entry(b"srv/hello.py", PROGRAM, uid=1000),
                         mt.directory(b"usr/"), mt.directory(b"usr/share/"),
                         mt.entry(b"usr/share/.wh.bug"))
        write_plain_image(part, [base_tar(kept, scratch), os.path.join(work, "python.tar"), app],
                          {"Cmd": ["python3", "/srv/hello.py"], "WorkingDir": "/srv",
                           "Env": ["PATH=/usr/bin:/bin", "GREETING=hello"]})


def make_jdk(part, kept, scratch):
    with scratch_dir(scratch) as work:
        files = os.path.join(work, "files")
        os.mkdir(files)
        java = depends("default-jre-headless", r"openjdk-\d+-jre-headless")[:1]
        unpack_packages([*java, "libstdc++6"], files)
        java = glob.glob("usr/lib/jvm/java-*-openjdk-*/bin/java", root_dir=files)
        program = "/" + [p for p in java if not os.path.islink(os.path.join(files, p.split("/bin")[0]))][0]
        pack(files, os.path.join(work, "jdk.tar"))
        write_plain_image(part, [base_tar(kept, scratch), os.path.join(work, "jdk.tar")],
                          {"Entrypoint": [program], "Cmd": ["-Xshare:auto", "-version"]})


# ---- everything that an entry can be ----

CAPABILITY = struct.pack("<5I", 0x02000001, 1 << 13, 0, 0, 0)             # cap_net_raw=ep
CAPABILITY_V3 = struct.pack("<6I", 0x03000001, 1 << 10, 0, 0, 0, 100000)  # of another user namespace


def acl(user, group_mode):
    """u::rw-,u:USER:rw-,g::r--,m::GROUP_MODE,o::r-- as the kernel stores it."""
    rows = ((1, 6, -1), (2, 6, user), (4, 4, -1), (16, group_mode, -1), (32, 4, -1))
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHi", *row) for row in rows)


def write(path, data=b"", mode=0o644, owner=(0, 0), ns=None, attributes=None):
    with open(path, "wb") as f:
        f.write(data)
    os.chown(path, *owner)
    for name, value in (attributes or {}).items():
        os.setxattr(path, name, value)
    os.chmod(path, mode)
    if ns is not None:
        os.utime(path, ns=(ns, ns))


def make_files(top):
    os.makedirs(f"{top}/bin")
    write(f"{top}/bin/su", b"su", 0o4755, (0, 0), 1600000000123456789)
    write(f"{top}/bin/wall", b"wall", 0o2755, (0, 5))
    write(f"{top}/bin/ping", b"ping", 0o755, (0, 0), 7, {"security.capability": CAPABILITY})
    write(f"{top}/bin/ping3", b"ping", 0o4750, (3, 4), 8, {"security.capability": CAPABILITY_V3})
    write(f"{top}/secret", b"", 0o000, (4000000000, 4294967294), -1500000000)
    write(f"{top}/attributes", b"x", 0o400, (1, 1), 1, {"user.nul": b"a\0b\n=c", "trusted.t": b"t"})
    write(f"{top}/acl", b"x", 0o664, (1, 1), 2, {"system.posix_acl_access": acl(33, 6)})
    write(os.fsencode(top) + b"/bytes \xff\xfe\n\\", b"x")
    with open(f"{top}/sparse", "wb") as f:
        for at in (0, 100000, 5000000, 12345678):
            f.seek(at)
            f.write(b"data at %d" % at)
        f.truncate(16 << 20)
    os.makedirs(f"{top}/{'long' * 30}/{'name' * 40}/{'deep' * 60}")


def make_nodes(top):
    os.makedirs(f"{top}/dev")
    os.makedirs(f"{top}/tmp")
    os.mkfifo(f"{top}/dev/fifo", 0o622)
    os.mknod(f"{top}/dev/null", 0o20666, os.makedev(1, 3))
    os.mknod(f"{top}/dev/loop", 0o60660, os.makedev(7, 200))
    os.mknod(f"{top}/dev/big", 0o20600, os.makedev(511, 70000))
    os.symlink("/nowhere/../x", f"{top}/dangling")
    os.symlink("t" * 300, f"{top}/longlink")
    for i, name in enumerate(("dev/fifo", "dev/null", "dev/loop", "dangling", "tmp")):
        os.setxattr(f"{top}/{name}", "trusted.kind", name.encode(), follow_symlinks=False)
        os.chown(f"{top}/{name}", 100 + i, 200 + i, follow_symlinks=False)
        os.utime(f"{top}/{name}", ns=(0, 10**18 + i), follow_symlinks=False)
    for name in ("bin/ping", "dangling", "dev/fifo", "dev/null"):
        os.link(f"{top}/{name}", f"{top}/tmp/{os.path.basename(name)}2", follow_symlinks=False)
    os.chmod(f"{top}/tmp", 0o1777)
    os.makedirs(f"{top}/defaults")
    os.setxattr(f"{top}/defaults", "system.posix_acl_default", acl(44, 7))
    os.setxattr(f"{top}/defaults", "user.dir", b"d")


def make_special(part, kept, scratch):
    """By GNU tar, by bsdtar, and a third layer that changes what the first two made."""
    with scratch_dir(scratch) as work:
        gnu, bsd = os.path.join(work, "gnu"), os.path.join(work, "bsd")
        for top in (gnu, os.path.join(bsd, "bsd")):
            os.makedirs(top)
            make_files(top)
            make_nodes(top)
            os.utime(top, ns=(0, 1234567890987654321))
        pack(gnu, gnu + ".tar")
        run("bsdtar", "--numeric-owner", "--format=pax", "-cf", bsd + ".tar", "-C", bsd, ".")
        xattr = b"SCHILY.xattr."
        change = mt.archive(
            mt.directory(b"./", mode=0o711, uid=5, mtime=77),
            # Made below a directory with a default ACL and a setgid bit, and has neither.
            mt.entry(b"defaults/new", b"x", mode=0o666),
            mt.directory(b"shared/", mode=0o2775, gid=50), mt.entry(b"shared/file", b"x"),
            mt.directory(b"shared/dir/", mode=0o755),
            # Attributes of a lower entry do not stay when it is described again.
            mt.directory(b"bsd/defaults/", mode=0o700), mt.entry(b"acl", b"y", mode=0o600),
            mt.pax([(xattr + b"security.capability", CAPABILITY), (b"mtime", b"5.000000001")]),
            mt.entry(b"bsd/bin/su", b"no more setuid", mode=0o755, uid=9),
            mt.hardlink(b"bsd/bin/su2", b"bsd/bin/su"))
        write_plain_image(part, [gnu + ".tar", bsd + ".tar", change])


# ---- many layers ----

class LayerMaker:
    """Layers of random changes to a small tree, each making sense above those before it."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.dirs = {()}   # what is a directory now
        self.clock = 10**18

    def pick_path(self):
        depth = self.random.choice((1, 2, 2, 3, 3, 4))
        return tuple(self.random.choice("abcdef") for _ in range(depth))

    def described(self, maker, path, *args, **options):
        self.clock += self.random.randrange(1, 10**10)
        time = b"%d.%09d" % divmod(self.clock, 10**9)
        options.update(mode=self.random.choice((0o755, 0o700, 0o644, 0o4711)),
                       uid=self.random.randrange(3), gid=self.random.randrange(3))
        pax = [(b"mtime", time)]
        if maker is not mt.symlink and self.random.random() < 0.2:
            pax.append((b"SCHILY.xattr.user.at", time))
        return mt.pax(pax) + maker("/".join(path).encode(), *args, **options)

    def forget(self, path):
        self.dirs = {d for d in self.dirs if d[:len(path)] != path}

    def change(self, path):
        """One entry; the tree is told."""
        kind = self.random.choice("fffffdlwwo")
        if kind == "w":
            self.forget(path)
            return mt.entry("/".join(path[:-1] + (".wh." + path[-1],)).encode())
        if kind == "o":
            self.forget(path)
            self.dirs.add(path)
            return self.described(mt.directory, path) + mt.entry("/".join(path + (".wh..wh..opq",)).encode())
        if kind == "d":
            self.dirs.add(path)
            return self.described(mt.directory, path)
        self.forget(path)
        if kind == "l":
            return self.described(mt.symlink, path, b"target of " + "/".join(path).encode())
        data = self.random.randbytes(self.random.randrange(2000))
        return (self.described(mt.entry, path, data)
                + mt.hardlink("/".join(path[:-1] + (path[-1] + ".link",)).encode(), "/".join(path).encode()))

    def parents(self, path, told, complete):
        out = b""
        for n in range(1, len(path)):
            if path[:n] not in told and (complete or path[:n] not in self.dirs):
                out += self.described(mt.directory, path[:n])
                self.dirs.add(path[:n])
                told.add(path[:n])
        return out

    def layer(self, complete):
        """complete: describes all the directories on its paths, as docker does."""
        out, taken, told = [], [], set()
        for _ in range(5):
            path = self.pick_path()
            if not any(path[:len(t)] == t or t[:len(path)] == path for t in taken):
                out.append(self.parents(path, told, complete) + self.change(path))
                taken.append(path)
        return mt.archive(*out)


def many_layers(count):
    """Every 13th is a layer that is there already, right below it or far from it."""
    maker, layers, complete = LayerMaker(130), [], []
    for i in range(count):
        if i % 13 == 12:
            layers.append(complete[-1 if i % 2 else i // 26])
            maker.dirs = set()  # whatever it has changed: all directories are described anew
            continue
        layers.append(maker.layer(complete=i % 3 == 2))
        if i % 3 == 2:
            complete.append(layers[-1])
    return layers


def make_many(part, kept, scratch):
    write_plain_image(part, many_layers(130))


# ---- whiteouts ----

def at(ns, *more):
    return mt.pax([(b"mtime", b"%d.%09d" % divmod(ns, 10**9)), *more])


def make_whiteouts(part, kept, scratch):
    d, f, s, opaque = mt.directory, mt.entry, mt.symlink, b"/.wh..wh..opq"
    user = (b"SCHILY.xattr.user.below", b"kept")
    bottom = [at(1600000000123456789), d(b"./", mode=0o750, uid=8)]
    for name in (b"plain", b"opaque", b"reborn", b"gone", b"file", b"deep", b"twice", b"empty",
                 b"anew"):
        bottom += [at(1500000000000000001, user), d(name, mode=0o1770, uid=33, gid=44),
                   at(1500000000000000002, user), d(name + b"/sub", mode=0o711, uid=7),
                   f(name + b"/one", b"1"), f(name + b"/sub/two", b"2"),
                   mt.hardlink(name + b"/three", name + b"/one"), s(name + b"/link", b"one")]
    write_plain_image(part, [
        mt.archive(*bottom),
        # Nothing here describes a directory: they look as they do below.
        mt.archive(f(b"plain/sub/.wh.two"), f(b"plain/.wh.one"), f(b"deep/sub/new", b"n"),
                   f(b".wh.gone"), f(b"twice/.wh.sub"), f(b"plain/.wh.link"), f(b"none/.wh.x")),
        mt.archive(f(b"opaque/new", b"n"), f(b"opaque" + opaque), f(b"deep/sub/more/most", b"m"),
                   d(b"deep/sub/more", mode=0o700, uid=3), f(b"empty" + opaque)),
        # A whiteout and an entry of one name: only what was below is hidden.
        mt.archive(f(b".wh.reborn"), d(b"reborn", mode=0o755), f(b"reborn/only", b"o"),
                   f(b".wh.file"), f(b"file", b"a file now"), f(b".wh.anew"), f(b"anew/x", b"x"),
                   d(b"twice", mode=0o755), d(b"twice/sub", mode=0o755), f(b"twice/sub/again", b"a")),
        mt.archive(d(b"file", mode=0o755), f(b"file/in", b"a directory again"),
                   f(b"twice/sub" + opaque), f(b"twice/sub/.wh.again"), f(b"twice/sub/last", b"l"),
                   f(b".wh.never-was"), f(b"deep/sub/more/.wh.most")),
        mt.archive(at(1400000000000000005), d(b"plain", mode=0o755),
                   f(b"plain/sub/two", b"back"), f(b"deep/sub/new", b"newer")),
        mt.END])


# ---- by another builder ----

CONTAINERFILE = """FROM oci:%s:latest
RUN mkdir -p /srv/app/bin && chown 33:33 /srv/app && cp /bin/true /srv/app/bin/ping && \
    /sbin/setcap cap_net_raw+ep /srv/app/bin/ping && mkfifo /srv/app/pipe && \
    ln /srv/app/bin/ping /srv/app/bin/ping2 && ln -s ../bin /srv/app/link
COPY --chown=7:8 data /srv/app/data
RUN rm -rf /etc/skel /usr/share/bug && rm /srv/app/data/a && chmod 4711 /srv/app/bin/ping2
RUN rm -rf /srv/app/data && mkdir /srv/app/data && touch -d @1234567890.5 /srv/app/data/new
CMD ["/bin/ls", "-1", "/srv/app"]
"""


def own_limits():
    """Left alone, newer builds of buildah raise these limits, which a container may forbid. Older
    ones first lower the processes to what the kernel can number, and cannot go back."""
    with open("/proc/sys/kernel/pid_max", encoding="ascii") as f:
        pids = int(f.read())
    for name, number, most in (("nofile", resource.RLIMIT_NOFILE, None),
                               ("nproc", resource.RLIMIT_NPROC, pids)):
        limits = [most if most and (n == resource.RLIM_INFINITY or n > most) else n
                  for n in resource.getrlimit(number)]
        yield from ("--ulimit", "%s=%d:%d" % (name, *limits))


def make_buildah(part, kept, scratch):
    base = image("debian", kept, scratch)
    with scratch_dir(scratch) as work:
        os.makedirs(os.path.join(work, "data"))
        for name in ("a", "b"):
            write(os.path.join(work, "data", name), name.encode(), 0o640)
        with open(os.path.join(work, "Containerfile"), "w", encoding="utf-8") as f:
            f.write(CONTAINERFILE % base)
        run("buildah", "--root", work + "/store", "--runroot", work + "/run", "--storage-driver",
            "vfs", "bud", "--isolation", "chroot", *own_limits(), "--layers",
            "--tag", f"oci:{part}:latest", work)
        for mount in ("/store", "/run"):  # it leaves a bind mount of its store upon itself
            subprocess.run(["umount", "-R", work + mount], stderr=subprocess.DEVNULL, check=False)


MAKERS = {"debian": make_debian, "python": make_python, "jdk": make_jdk, "special": make_special,
          "many": make_many, "whiteouts": make_whiteouts, "buildah": make_buildah}
