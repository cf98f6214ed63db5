# SPDX-License-Identifier: Apache-2.0
"""What can be seen of a tree: everything an unpacker is responsible for."""
import hashlib
import os
import stat


def digest(path):
    h = hashlib.sha256()
    with open(path, "rb") as f:
        while chunk := f.read(1 << 20):
            h.update(chunk)
    return h.hexdigest()


def xattrs(path):
    names = os.listxattr(path, follow_symlinks=False)
    return {n: os.getxattr(path, n, follow_symlinks=False) for n in names
            if n not in ("security.selinux",)}


def facts(path, with_xattrs=True, with_times=True):
    st = os.lstat(path)
    f = {"type": stat.S_IFMT(st.st_mode), "mode": stat.S_IMODE(st.st_mode), "uid": st.st_uid,
         "gid": st.st_gid}
    if with_times:
        f["mtime"] = st.st_mtime_ns
    if stat.S_ISREG(st.st_mode):
        f["size"] = st.st_size
        f["content"] = digest(path)
    if stat.S_ISLNK(st.st_mode):
        f["target"] = os.readlink(path)
    if stat.S_ISCHR(st.st_mode) or stat.S_ISBLK(st.st_mode):
        f["rdev"] = (os.major(st.st_rdev), os.minor(st.st_rdev))
    if with_xattrs:
        f["xattrs"] = xattrs(path)
    return f


def walk(root, relative=b""):
    """Paths relative to the root, without ever building one longer than the system takes."""
    def visit(fd, prefix):
        for name in sorted(os.listdir(fd)):
            name = os.fsencode(name)
            yield fd, name, prefix + name
            st = os.stat(name, dir_fd=fd, follow_symlinks=False)
            if stat.S_ISDIR(st.st_mode):
                child = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=fd)
                try:
                    yield from visit(child, prefix + name + b"/")
                finally:
                    os.close(child)
    top = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield from visit(top, relative)
    finally:
        os.close(top)


def tree(root, with_xattrs=True, with_times=True, root_entry=True):
    """{path: facts}; "links" are the paths that share a file, named by the first."""
    result, first = {}, {}
    if root_entry:
        result[b"."] = facts(root, with_xattrs, with_times)
    for fd, name, path in walk(root):
        place = b"/proc/self/fd/%d/%s" % (fd, name)
        f = facts(place, with_xattrs, with_times)
        st = os.lstat(place)
        if st.st_nlink > 1 and not stat.S_ISDIR(st.st_mode):
            f["same_as"] = first.setdefault(st.st_ino, path)
        result[path] = f
    return result


def differences(a, b, limit=10):
    out = []
    for path in sorted(set(a) | set(b)):
        if a.get(path) != b.get(path):
            x, y = a.get(path), b.get(path)
            if x and y:
                x, y = ({k: v for k, v in d.items() if v != o.get(k)} for d, o in ((x, y), (y, x)))
            out.append(f"{path!r}: {x} != {y}")
    return out[:limit]
