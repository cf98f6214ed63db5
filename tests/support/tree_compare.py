# SPDX-License-Identifier: Apache-2.0
"""What the tree of an image should be, by others: umoci, and GNU tar layer by layer."""
import os
import shutil
import stat
import subprocess
import tarfile

from oci_images import layer_blobs
from tree_facts import differences, tree

WHITEOUT, OPAQUE = ".wh.", ".wh..wh..opq"
DEFAULT_ACL = "system.posix_acl_default"
EXTRACT = ("tar", "--extract", "--preserve-permissions", "--same-owner", "--numeric-owner",
           "--xattrs", "--xattrs-include=*", "--delay-directory-restore", "--exclude=.wh.*")


def umoci_tree(layout, to):
    done = subprocess.run(["umoci", "raw", "unpack", "--image", layout + ":latest", to],
                          capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError("umoci: " + done.stderr)
    return tree(to)


# ---- GNU tar ----

def gnu_tar_tree(layout, to):
    """tar knows files; what a layer means on top of another is said here."""
    os.mkdir(to, 0o755)
    for blob in layer_blobs(layout):
        apply_layer(blob, to)
    return tree(to)


def apply_layer(blob, root):
    with tarfile.open(blob, errors="surrogateescape") as tar:
        members = {clean(m.name): m for m in tar}
    touched = untold_directories(root, members)
    for name in members:
        hide(root, name)
    for name, member in members.items():
        if WHITEOUT not in name:
            make_room(root, name, member)
    subprocess.run([*EXTRACT, "--file", blob, "--directory", root], check=True,
                   stderr=subprocess.DEVNULL)
    for path, (times, default_acl) in touched.items():
        if os.path.isdir(path):
            if default_acl:
                os.setxattr(path, DEFAULT_ACL, default_acl)
            os.utime(path, ns=times)


def clean(name):
    return os.path.normpath(name).lstrip("/")


def untold_directories(root, members):
    """Those that change only because something in them does: their times stay, and their default
    ACL is set aside, since what tar makes would inherit it."""
    found = {}
    for name in members:
        while name not in ("", "."):
            name = os.path.dirname(name) or "."
            path = os.path.join(root, name)
            if name not in members and path not in found and os.path.isdir(path):
                assert not os.path.islink(path), f"{path}: this oracle does not follow links"
                st = os.stat(path)
                found[path] = ((st.st_atime_ns, st.st_mtime_ns), take_default_acl(path))
    return found


def take_default_acl(path):
    if DEFAULT_ACL not in os.listxattr(path):
        return None
    value = os.getxattr(path, DEFAULT_ACL)
    os.removexattr(path, DEFAULT_ACL)
    return value


def hide(root, name):
    """Whiteouts are of what is below: before anything of this layer is there."""
    folder, base = os.path.split(os.path.join(root, name))
    if base == OPAQUE:
        for child in os.listdir(folder) if os.path.isdir(folder) else ():
            remove(os.path.join(folder, child))
    elif base.startswith(WHITEOUT):
        remove(os.path.join(folder, base[len(WHITEOUT):]))


def make_room(root, name, member):
    """Only a directory upon a directory keeps what is there, and that without its attributes."""
    path = os.path.join(root, name)
    if not os.path.lexists(path):
        return
    if member.isdir() and stat.S_ISDIR(os.lstat(path).st_mode):
        for attribute in os.listxattr(path):
            os.removexattr(path, attribute)
    else:
        remove(path)


def remove(path):
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)


def report(ours, theirs):
    """Empty when both are the same."""
    return "\n".join(differences(ours, theirs, limit=20))
