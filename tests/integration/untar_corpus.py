#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every rule and every trick, each as an archive of its own: what must come out, or which error.

Each archive is unpacked whole, at random cuts, byte by byte and without openat2, on tmpfs and on
ext4; all must agree, and nothing outside the root may change. With a launcher in front of the
driver each is unpacked once, as the launcher makes it. usage: untar_corpus.py [LAUNCHER...] DRIVER"""
import os
import shutil
import stat
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from make_tars import (END, archive, directory, entry, gnu_long, hardlink, header, octal, pad, pax,
                       pax_raw, record, symlink)
from tree_facts import differences, tree

CHR, REG, DIR, LNK, FIFO = stat.S_IFCHR, stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK, stat.S_IFIFO
OPAQUE = {"trusted.overlay.opaque": b"y"}
CAP = bytes.fromhex("0100000200200000000000000000000000000000")
ACL = bytes.fromhex("02000000" "01000600ffffffff" "0200040001000000" "04000400ffffffff"
                    "10000600ffffffff" "20000400ffffffff")
WHITEOUT = {"type": CHR, "rdev": (0, 0)}

accept, reject = {}, {}


def ok(name, tar, want, implicit=None, absent=()):
    """want: {path: {fact: value}}; "content" is given as bytes length check by size."""
    accept[name] = (tar, want, implicit, absent)


def bad(reason, tar, code, text):
    reject[reason] = (tar, code, text)


def x(*names):
    return {n: {} for n in names}


ok("empty-archive", END, {})
ok("no-bytes-at-all", b"", {})
ok("no-end-mark", archive(entry(b"a", b"x"), end=b""), x("a"))
ok("lone-zero-block-at-end", archive(entry(b"a", b"x"), end=b"\0" * 512), x("a"))
ok("long-zero-padding", archive(entry(b"a", b"x"), end=b"\0" * 30000), x("a"))
ok("part-of-a-block-of-padding", archive(entry(b"a"), end=b"\0" * 1100), x("a"))
ok("as-image-rs-tests-it", archive(
    entry(b"file.txt", b"hello", uid=10, gid=10, mtime=20000),
    symlink(b"link", b"file.txt", uid=10, gid=10, mtime=20000),
    entry(b".wh.whiteout_file.txt"), directory(b"dir/", uid=10, gid=10, mtime=20000),
    directory(b"whiteout_dir/"), entry(b"whiteout_dir/.wh..wh..opq"),
    entry(b"usr/bin/test_binary", b"bin", mode=0o755),
    hardlink(b"usr/bin/alias", b"/usr/bin/test_binary")), {
        "file.txt": {"uid": 10, "gid": 10, "mtime": 20000 * 10**9, "size": 5},
        "link": {"type": LNK, "uid": 10, "mtime": 20000 * 10**9},
        "whiteout_file.txt": WHITEOUT, "dir": {"uid": 10, "mtime": 20000 * 10**9},
        "whiteout_dir": {"xattrs": OPAQUE, "mtime": 10**12},
        "usr/bin/test_binary": {"same_as": b"usr/bin/alias"}}, ["", "usr", "usr/bin"],
   absent=[".wh.whiteout_file.txt", "whiteout_dir/.wh..wh..opq"])
ok("root-mtime", archive(directory(b".", mtime=42000), entry(b"f")),
   {".": {"mtime": 42000 * 10**9}}, [])
ok("root-as-dot-slash", archive(entry(b"f"), directory(b"./", mode=0o700, uid=7)),
   {".": {"mode": 0o700, "uid": 7, "mtime": 10**12}}, [])
ok("hardlink-absolute", archive(entry(b"etc/os-release", b"ID=x"),
                                   hardlink(b"link", b"/etc/os-release")),
   {"link": {"same_as": b"etc/os-release"}})
bad("hardlink-climbs", archive(entry(b"etc/os-release"),
                                  hardlink(b"link", b"../../etc/os-release")), "format", "climbs")

# ---- formats ----
ok("v7", archive(entry(b"f", b"abc", fmt="v7"), header(b"d/", type=b"\0", fmt="v7", mode=0o711)),
   {"f": {"size": 3}, "d": {"type": DIR, "mode": 0o711}})
ok("type-7-contiguous", archive(entry(b"f", b"abc", type=b"7")), {"f": {"type": REG, "size": 3}})
ok("ustar-prefix", archive(entry(b"b" * 100, prefix=b"a" * 155)), x("a" * 155 + "/" + "b" * 100))
ok("gnu-has-no-prefix", archive(entry(b"b", prefix=b"a", fmt="gnu")), x("b"))
ok("gnu-long-name", archive(gnu_long(b"L", b"d/" * 150 + b"f"), entry(b"cut", fmt="gnu")),
   x("d/" * 150 + "f"))
ok("gnu-long-link", archive(gnu_long(b"K", b"t" * 1000), symlink(b"l", b"cut", fmt="gnu")),
   {"l": {"target": "t" * 1000}})
ok("base256-numbers", archive(entry(b"f", uid=2**31, gid=4000000000, mtime=-5)),
   {"f": {"uid": 2**31, "gid": 4000000000, "mtime": -5 * 10**9}})
ok("numbers-with-blanks", archive(entry(b"f", uid=b"    14 \0", gid=b"\0\0 15   ")),
   {"f": {"uid": 12, "gid": 13}})
ok("signed-checksum", archive(entry(b"n\xe9\xff", signed_sum=True)), {b"n\xe9\xff": {}})
ok("symlink-with-size-has-no-data", archive(symlink(b"l", b"t", size=999), entry(b"f")),
   x("l", "f"))
ok("global-header-is-ignored", archive(pax([(b"comment", b"hi"), (b"uid", b"77")], type=b"g"),
                                       entry(b"f", uid=3)), {"f": {"uid": 3}})

# ---- PAX ----
ok("pax-all", archive(pax([(b"path", b"p/" * 100 + b"x"), (b"uid", b"70000"), (b"gid", b"3000000000"),
                           (b"mtime", b"1234567890.123456789987"), (b"size", b"3"),
                           (b"hdrcharset", b"BINARY"), (b"unknown", b"\xff")]),
                      header(b"cut", size=0) + pad(b"abc")),
   {"p/" * 100 + "x": {"uid": 70000, "gid": 3000000000, "mtime": 1234567890123456789, "size": 3}})
ok("pax-time-negative", archive(pax([(b"mtime", b"-1.25")]), entry(b"f")),
   {"f": {"mtime": -1250000000}})
ok("pax-empty-means-unset", archive(pax([(b"path", b""), (b"uid", b""), (b"mtime", b""),
                                         (b"linkpath", b""), (b"size", b"")]),
                                    entry(b"f", b"abc", uid=5)), {"f": {"uid": 5, "size": 3}})
ok("pax-linkpath", archive(pax([(b"linkpath", b"t" * 300)]), symlink(b"l", b"cut")),
   {"l": {"target": "t" * 300}})
ok("pax-does-not-leak-to-the-next", archive(pax([(b"uid", b"9"), (b"SCHILY.xattr.user.a", b"1")]),
                                            entry(b"a"), entry(b"b")),
   {"a": {"uid": 9, "xattrs": {"user.a": b"1"}}, "b": {"uid": 0, "xattrs": {}}})
ok("pax-last-header-counts", archive(pax([(b"uid", b"9")]), pax([(b"gid", b"8")]), entry(b"a")),
   {"a": {"uid": 0, "gid": 8}})
ok("xattr-schily-wins", archive(pax([(b"LIBARCHIVE.xattr.user.a", b"bG9z"),
                                     (b"SCHILY.xattr.user.a", b"win"),
                                     (b"LIBARCHIVE.xattr.user.a", b"bG9z"),
                                     (b"LIBARCHIVE.xattr.user.b%2Bc", b"aGk"),
                                     (b"SCHILY.xattr.user.nul", b"a\0b\nc=d"),
                                     (b"SCHILY.xattr.user.empty", b""),
                                     (b"SCHILY.xattr.user.eq%3D", b"1")]), entry(b"f")),
   {"f": {"xattrs": {"user.a": b"win", "user.b+c": b"hi", "user.nul": b"a\0b\nc=d",
                     "user.empty": b"", "user.eq=": b"1"}}})
ok("xattr-capability-survives", archive(
    pax([(b"SCHILY.xattr.security.capability", CAP)]),
    entry(b"ping", b"x", mode=0o4755, uid=5, gid=6)),
   {"ping": {"mode": 0o4755, "uid": 5, "xattrs": {"security.capability": CAP}}})
ok("xattr-filter", archive(
    pax([(b"SCHILY.xattr.security.selinux", b"x"), (b"SCHILY.xattr.system.nfs4_acl", b"x"),
         (b"SCHILY.xattr.trusted.overlay.opaque", b"y"), (b"SCHILY.xattr.user.overlay.redirect", b"/"),
         (b"SCHILY.xattr.trusted.other", b"o"), (b"SCHILY.xattr.nonsense.x", b"1")]),
    directory(b"d")),
   {"d": {"xattrs": {"trusted.overlay.overlay.opaque": b"y", "user.overlay.overlay.redirect": b"/",
                     "trusted.other": b"o"}}})
ok("xattr-on-every-type", archive(*[
    part for t, extra in ((b"2", {"link": b"t"}), (b"3", {"major": 1, "minor": 3}), (b"6", {}),
                          (b"5", {}), (b"4", {"major": 7, "minor": 300}))
    for part in (pax([(b"SCHILY.xattr.trusted.t", t), (b"SCHILY.xattr.user.u", t)]),
                 header(b"n" + t, type=t, **extra))]),
   {"n2": {"xattrs": {"trusted.t": b"2"}}, "n3": {"xattrs": {"trusted.t": b"3"}, "rdev": (1, 3)},
    "n6": {"type": FIFO, "xattrs": {"trusted.t": b"6"}}, "n4": {"rdev": (7, 300)},
    "n5": {"xattrs": {"trusted.t": b"5", "user.u": b"5"}}})
ok("acl-default-is-not-inherited", archive(
    pax([(b"SCHILY.xattr.system.posix_acl_default", ACL), (b"SCHILY.xattr.system.posix_acl_access", ACL)]),
    directory(b"d", mode=0o664), entry(b"d/f", mode=0o640), directory(b"d/s", mode=0o755),
    entry(b"d/i/f")),
   {"d": {"xattrs": {"system.posix_acl_access": ACL, "system.posix_acl_default": ACL}},
    "d/f": {"xattrs": {}, "mode": 0o640}, "d/s": {"xattrs": {}, "mode": 0o755},
    "d/i": {"xattrs": {}, "mode": 0o755}})
ok("acl-access-leaves-the-mode", archive(
    pax([(b"SCHILY.xattr.system.posix_acl_access", ACL)]), entry(b"f", b"x", mode=0o600),
    pax([(b"SCHILY.xattr.system.posix_acl_access", ACL)]), entry(b"g", b"x", mode=0o640, uid=5, gid=6)),
   {"f": {"mode": 0o600}, "g": {"mode": 0o640, "uid": 5}})
ok("setgid-is-not-inherited", archive(directory(b"d", mode=0o2775, gid=50), entry(b"d/f"),
                                      directory(b"d/s"), entry(b"d/i/f")),
   {"d": {"mode": 0o2775}, "d/f": {"gid": 0}, "d/s": {"gid": 0, "mode": 0o755},
    "d/i": {"gid": 0, "mode": 0o755}})
ok("modes", archive(*[entry(b"%04o" % m, b"x", mode=m) for m in
                      (0, 0o777, 0o666, 0o1777, 0o2755, 0o4755, 0o7777, 0o400)]),
   {"%04o" % m: {"mode": m} for m in (0, 0o777, 0o666, 0o1777, 0o2755, 0o4755, 0o7777, 0o400)})


# ---- sparse ----
def old_sparse(name, extents, real, data, more=()):
    row = b"".join(octal(n, 12) for e in extents for n in e).ljust(96, b"\0")
    tail = row + (b"\1" if more else b"\0") + octal(real, 12)
    ext = b"".join((b"".join(octal(n, 12) for e in rows for n in e)).ljust(504, b"\0") +
                   (b"\1" if i + 1 < len(more) else b"\0") + b"\0" * 7
                   for i, rows in enumerate(more))
    return header(name, type=b"S", fmt="gnu", size=len(data), tail=tail) + ext + pad(data)


ok("sparse-gnu-old", archive(old_sparse(b"s", [(1000, 3), (5000, 2), (9000, 0)], 9000, b"abcde")),
   {"s": {"size": 9000, "bytes": {1000: b"abc", 5000: b"de", 8999: b"\0"}}})
many = [(i * 1000, 1) for i in range(50)]
ok("sparse-gnu-extensions", archive(old_sparse(b"s", many[:4], 50000, b"z" * 50,
                                               [many[4:25], many[25:46], many[46:]])),
   {"s": {"size": 50000, "bytes": {0: b"z\0", 49000: b"z\0", 25000: b"z\0"}}})
S0 = [(b"GNU.sparse.size", b"300"), (b"GNU.sparse.numblocks", b"2")]
ok("sparse-pax-0.0", archive(pax(S0 + [(b"GNU.sparse.offset", b"10"), (b"GNU.sparse.numbytes", b"2"),
                                       (b"GNU.sparse.offset", b"100"), (b"GNU.sparse.numbytes", b"1")]),
                             entry(b"s", b"abc")),
   {"s": {"size": 300, "bytes": {10: b"ab\0", 100: b"c"}}})
ok("sparse-pax-0.1", archive(pax(S0 + [(b"GNU.sparse.name", b"real"), (b"GNU.sparse.map", b"10,2,100,1")]),
                             entry(b"s", b"abc")),
   {"real": {"size": 300, "bytes": {10: b"ab\0", 100: b"c"}}})
S1 = [(b"GNU.sparse.major", b"1"), (b"GNU.sparse.minor", b"0"), (b"GNU.sparse.name", b"real"),
      (b"GNU.sparse.realsize", b"300")]
ok("sparse-pax-1.0", archive(pax(S1), entry(b"s", pad(b"2\n10\n2\n100\n1\n") + b"abc"), entry(b"next")),
   {"real": {"size": 300, "bytes": {10: b"ab\0", 100: b"c"}}, "next": {}})
ok("sparse-only-a-hole", archive(pax(S1), entry(b"s", pad(b"1\n300\n0\n"))), {"real": {"size": 300}})

# ---- names, parents, duplicates ----
ok("names-cleaned", archive(entry(b"/abs"), entry(b"./a//b/./c"), entry(b"x/../y")), x("abs", "a/b/c", "y"))
ok("name-not-utf8", archive(entry(b"\xff\xfe\x01 \n")), {b"\xff\xfe\x01 \n": {}})
ok("component-of-255", archive(gnu_long(b"L", b"n" * 255), entry(b"c")), x("n" * 255))
LONG = b"/".join([b"d" * 200] * 30)
ok("path-over-4096", archive(gnu_long(b"L", LONG + b"/f"), entry(b"c", b"deep"),
                             gnu_long(b"L", LONG + b"/g"), gnu_long(b"K", LONG + b"/f"), hardlink(b"c", b"c")),
   {LONG + b"/f": {}, LONG + b"/g": {"same_as": LONG + b"/f"}})
ok("implicit-parents", archive(entry(b"a/b/c", mtime=5), directory(b"a", mode=0o700, mtime=6)),
   {"a": {"mode": 0o700, "mtime": 6 * 10**9}, "a/b": {"mode": 0o755, "uid": 0, "mtime": 0}}, ["", "a/b"])
ok("dir-onto-dir-keeps-content", archive(
    pax([(b"SCHILY.xattr.user.old", b"1")]), directory(b"d", mode=0o700, uid=1), entry(b"d/f"),
    pax([(b"SCHILY.xattr.user.new", b"2")]), directory(b"d", mode=0o711, uid=2, mtime=77)),
   {"d": {"mode": 0o711, "uid": 2, "mtime": 77 * 10**9, "xattrs": {"user.new": b"2"}}, "d/f": {}})
ok("file-over-dir", archive(directory(b"d"), entry(b"d/e/f"), entry(b"d", b"xy")), {"d": {"type": REG, "size": 2}})
ok("dir-over-file", archive(entry(b"d", b"xy"), directory(b"d"), entry(b"d/f")), x("d", "d/f"))
ok("dir-over-symlink", archive(directory(b"t"), symlink(b"d", b"t"), directory(b"d"), entry(b"d/f")),
   {"d": {"type": DIR}, "d/f": {}}, absent=["t/f"])
ok("symlink-over-dir", archive(directory(b"d"), entry(b"d/f"), directory(b"t"), symlink(b"d", b"t"),
                               entry(b"d/g")), {"d": {"type": LNK}, "t/g": {}}, absent=["t/f"])
ok("file-twice", archive(entry(b"f", b"one", mode=0o755), entry(b"f", b"two!", mode=0o600)),
   {"f": {"size": 4, "mode": 0o600}})
ok("file-over-hardlink-keeps-the-other", archive(entry(b"a", b"one"), hardlink(b"b", b"a"), entry(b"b", b"three")),
   {"a": {"size": 3}, "b": {"size": 5}})
ok("hardlink-over-file", archive(entry(b"a", b"one"), entry(b"b", b"x"), hardlink(b"b", b"a")),
   {"b": {"same_as": b"a"}})
ok("hardlink-to-itself", archive(entry(b"a", b"one"), hardlink(b"a", b"./a")), {"a": {"size": 3}})
ok("hardlink-to-symlink-links-the-symlink", archive(symlink(b"s", b"/dangling"), hardlink(b"h", b"s")),
   {"h": {"type": LNK, "target": "/dangling", }})
ok("parent-is-a-file", archive(entry(b"a", b"x"), entry(b"a/b")), {"a": {"type": DIR, "mode": 0o755}, "a/b": {}},
   ["", "a"])
ok("parent-is-a-symlink", archive(directory(b"real"), symlink(b"l", b"/real"), entry(b"l/f")),
   x("real/f"), absent=["l/l"])
ok("parent-is-a-dangling-symlink", archive(symlink(b"l", b"/made/here"), entry(b"l/f")), x("made/here/f"),
   ["", "made", "made/here"])
ok("parent-symlink-climbs-stays-inside", archive(symlink(b"l", b"../../../../up"), entry(b"l/f")), x("up/f"))
ok("symlink-verbatim", archive(symlink(b"l", b"../..//x/./")), {"l": {"target": "../..//x/./"}})
ok("dir-times-last", archive(directory(b"a", mtime=11), directory(b"a/b", mtime=12), entry(b"a/b/c"), entry(b"a/d")),
   {"a": {"mtime": 11 * 10**9}, "a/b": {"mtime": 12 * 10**9}})

# ---- whiteouts ----
ok("whiteout-under-missing-parent", archive(entry(b"a/b/.wh.c")), {"a/b/c": WHITEOUT, "a": {}}, ["", "a", "a/b"])
for order, parts in {"before": 1, "after": -1}.items():
    o = lambda *p: archive(*p[::parts])
    ok(f"whiteout-{order}-file", o(entry(b".wh.f"), entry(b"f", b"x")), {"f": {"type": REG, "size": 1}})
    ok(f"whiteout-{order}-dir", o(entry(b".wh.d"), directory(b"d")), {"d": {"type": DIR, "xattrs": OPAQUE}})
    ok(f"whiteout-{order}-child", o(entry(b".wh.d"), entry(b"d/f")), {"d": {"xattrs": OPAQUE}, "d/f": {}})
    ok(f"whiteout-{order}-whiteout-below", o(entry(b".wh.foo"), entry(b"foo/.wh.bar")), {"foo": WHITEOUT})
    ok(f"whiteout-{order}-opaque-below", o(entry(b".wh.foo"), entry(b"foo/.wh..wh..opq")), {"foo": WHITEOUT})
    ok(f"opaque-{order}-dir", o(entry(b"d/.wh..wh..opq"), directory(b"d", mtime=9)),
       {"d": {"xattrs": OPAQUE, "mtime": 9 * 10**9}})
    ok(f"opaque-{order}-whiteouts", o(entry(b"d/.wh..wh..opq"), entry(b"d/.wh.x"), entry(b"d/s/.wh.y"),
                                      entry(b"d/f")), {"d": {"xattrs": OPAQUE}, "d/f": {}},
       absent=["d/x", "d/s"])
ok("opaque-worked-example", archive(entry(b"a/.wh..wh..opq"), entry(b"a/z"), entry(b".wh.b")),
   {"a": {"xattrs": OPAQUE}, "a/z": {}, "b": WHITEOUT})
ok("opaque-root", archive(entry(b".wh..wh..opq"), entry(b".wh.x")), {".": {"xattrs": OPAQUE}}, absent=["x"])
ok("whiteout-below-a-file", archive(entry(b"f"), entry(b"f/.wh.x")), {"f": {"type": REG}})
ok("whiteout-with-content", archive(entry(b".wh.f", b"data"), entry(b"g")), {"f": WHITEOUT, "g": {}})
PLNK = b".wh..wh.plnk"
ok("aufs-hardlinks-into-plnk", archive(
    directory(b"./", mtime=5), directory(PLNK + b"/", mtime=9), entry(PLNK + b"/10.20", b"kept", uid=4),
    hardlink(b"a", PLNK + b"/10.20"), hardlink(b"d/b", b"/" + PLNK + b"/10.20"),
    entry(PLNK + b"/11.20", b"not linked"), directory(PLNK + b"/x/"), symlink(PLNK + b"/s", b"a")),
   {".": {"mtime": 5 * 10**9}, "a": {"size": 4, "uid": 4, "same_as": b"a"}, "d/b": {"same_as": b"a"}},
   ["d"], absent=[".wh..wh.plnk", ".wh..wh.plnk/10.20"])
ok("aufs-plnk-alone", archive(entry(PLNK + b"/1.2", b"x"), entry(b"f"), entry(b".wh.gone")),
   {"f": {}, "gone": WHITEOUT}, [""], absent=[".wh..wh.plnk"])
ok("aufs-plnk-as-a-parent-goes-too", archive(entry(PLNK + b"/1.2", b"x"), symlink(b"l", PLNK),
                                             entry(b"l/y", b"x"), entry(b"l/1.2", b"over")),
   {"l": {"target": ".wh..wh.plnk"}}, absent=[".wh..wh.plnk"])
bad("aufs-plnk-lost-its-target", archive(hardlink(b"a", PLNK + b"/10.20")), "format", "not in this layer")
bad("aufs-plnk-special-files-are-not-linked", archive(header(PLNK + b"/1.2", type=b"6"), hardlink(b"a", PLNK + b"/1.2")),
    "format", "not in this layer")
ok("aufs-bookkeeping", archive(directory(b".wh..wh.plnk"), entry(b".wh..wh.plnk/1.2", b"x"), entry(b".wh..wh.aufs")),
   {}, absent=[".wh..wh.plnk", ".wh..wh.aufs"])

# ---- refused ----
bad("dotdot-name", archive(entry(b"../x")), "format", "climbs")
bad("dotdot-behind-absolute", archive(entry(b"/../x")), "format", "climbs")
bad("dotdot-after-component", archive(entry(b"a/../../x")), "format", "climbs")
bad("dotdot-dir", archive(directory(b"..")), "format", "climbs")
bad("whiteout-of-nothing", archive(entry(b"d/.wh.")), "format", "whiteout of nothing")
bad("whiteout-of-dot", archive(entry(b".wh..")), "format", "whiteout of nothing")
bad("whiteout-of-dotdot", archive(entry(b"d/.wh...")), "format", "whiteout of nothing")
bad("entry-below-whiteout", archive(entry(b".wh.a/b")), "format", "below a whiteout")
bad("file-as-root", archive(entry(b"./", type=b"2", link=b"x")), "format", "root")
bad("component-of-256", archive(gnu_long(b"L", b"n" * 256), entry(b"c")), "limit", "256 bytes")
bad("path-over-limit", archive(gnu_long(b"L", b"a/" * 40000), entry(b"c")), "limit", "65536")
bad("path-too-deep", archive(gnu_long(b"L", b"a/" * 4097), entry(b"c")), "limit", "4096 components")
bad("hardlink-outside-layer", archive(hardlink(b"h", b"/etc/passwd")), "format", "not in this layer")
bad("hardlink-through-symlink-to-outside", archive(symlink(b"l", b"/etc"), hardlink(b"h", b"l/passwd")),
    "format", "not in this layer")
bad("hardlink-to-dir", archive(directory(b"d"), hardlink(b"h", b"d")), "format", "hardlink to a directory")
bad("hardlink-to-root", archive(hardlink(b"h", b"/")), "format", "not in this layer")
bad("symlink-without-target", archive(symlink(b"l", b"")), "format", "target")
bad("symlink-loop-as-parent", archive(symlink(b"a", b"b"), symlink(b"b", b"a"), entry(b"a/x")), "format", "symlinks")
bad("whiteout-device", archive(header(b"c", type=b"3")), "format", "0:0")
bad("device-number-truncates-to-whiteout", archive(header(b"c", type=b"3", major=4096, minor=1 << 20)),
    "format", "out of range")
bad("device-number-over-32-bits", archive(header(b"c", type=b"3", major=1 << 40)), "format", "out of range")
bad("type-unknown", archive(entry(b"f", type=b"Z")), "unsupported", "0x5a")
bad("type-volume-label", archive(header(b"label", type=b"V"), entry(b"f")), "unsupported", "0x56")
bad("type-continued", archive(entry(b"f", b"x", type=b"M")), "unsupported", "0x4d")
bad("type-old-long-name", archive(entry(b"f", b"x", type=b"N")), "unsupported", "0x4e")
bad("type-dumpdir", archive(entry(b"f", type=b"D")), "unsupported", "0x44")
bad("checksum", archive(header(b"f", bad_sum=True)), "format", "checksum")
bad("garbage", b"\x1f\x8b" + b"q" * 1022, "format", "checksum")
bad("size-negative", archive(header(b"f", size=-1)), "format", "negative")
bad("size-huge", archive(header(b"f", size=1 << 62)), "limit", "limit for a file")
bad("size-not-a-number", archive(header(b"f", size=b"12x45      \0")), "format", "size")
bad("size-over-63-bits", archive(header(b"f", size=b"\x80\0\0\0" + b"\xff" * 8)), "format", "size")
bad("uid-minus-one", archive(entry(b"f", uid=0xffffffff)), "format", "owner")
bad("uid-negative", archive(entry(b"f", uid=-2)), "format", "owner")
bad("uid-over-32-bits", archive(pax([(b"uid", b"4294967296")]), entry(b"f")), "format", "owner")
bad("truncated-header", archive(entry(b"f"), end=b"")[:300], "format", "middle")
bad("truncated-data", archive(entry(b"f", b"x" * 2000), end=b"")[:1500], "format", "middle")
# As umoci insert ends its archives. GNU tar and bsdtar complain, every reader in Go takes it.
ok("padding-is-missing", archive(entry(b"f", b"x"), end=b"")[:513], {"f": {"size": 1}})
ok("padding-is-short", archive(entry(b"f", b"x"), end=b"")[:600], {"f": {"size": 1}})
bad("truncated-pax", pax([(b"path", b"x")])[:520], "format", "middle")
bad("data-after-end", archive(entry(b"f")) + entry(b"g"), "format", "follows the end")
bad("data-after-lone-zero-block", archive(b"\0" * 512, entry(b"g")), "format", "follows the end")
bad("pax-describes-nothing", archive(pax([(b"path", b"x")])), "format", "nothing")
bad("pax-length-lies", archive(pax_raw(b"99 path=x\n"), entry(b"f")), "format", "PAX")
bad("pax-length-zero", archive(pax_raw(b"0 path=x\n"), entry(b"f")), "format", "PAX")
bad("pax-no-newline", archive(pax_raw(b"10 path=xx"), entry(b"f")), "format", "PAX")
bad("pax-no-key", archive(pax_raw(b"5 =x\n"), entry(b"f")), "format", "PAX")
bad("pax-no-equals", archive(pax_raw(b"7 pathx\n"), entry(b"f")), "format", "PAX")
bad("pax-nul-in-path", archive(pax([(b"path", b"a\0b")]), entry(b"f")), "format", "path")
bad("pax-nul-in-key", archive(pax([(b"SCHILY.xattr.user.a\0b", b"1")]), entry(b"f")), "format", "PAX")
bad("pax-time-rubbish", archive(pax([(b"mtime", b"12,5")]), entry(b"f")), "format", "mtime")
bad("pax-size-negative", archive(pax([(b"size", b"-1")]), entry(b"f")), "format", "size")
bad("pax-header-of-gigabytes", header(b"x", type=b"x", size=4 << 30), "limit", "1048576")
bad("pax-headers-in-sum", header(b"L", type=b"L", size=1 << 20) + b"a" * (1 << 20) +
    header(b"x", type=b"x", size=1), "limit", "1048576")
bad("gnu-name-of-gigabytes", header(b"x", type=b"L", size=4 << 30), "limit", "1048576")
bad("directory-with-content", archive(entry(b"d/", b"x")), "format", "content")
bad("sparse-overlap", archive(pax(S0 + [(b"GNU.sparse.map", b"10,2,11,1")]), entry(b"s", b"abc")), "format", "overlap")
bad("sparse-beyond-end", archive(pax(S0 + [(b"GNU.sparse.map", b"10,2,300,1")]), entry(b"s", b"abc")), "format", "overlap")
bad("sparse-wrong-total", archive(pax(S0 + [(b"GNU.sparse.map", b"10,2,100,2")]), entry(b"s", b"abc")), "format", "amount")
bad("sparse-odd-map", archive(pax([(b"GNU.sparse.size", b"9"), (b"GNU.sparse.map", b"1,2,3")]), entry(b"s")), "format", "sparse")
bad("sparse-numblocks-lies", archive(pax([(b"GNU.sparse.size", b"300"), (b"GNU.sparse.numblocks", b"3"), (b"GNU.sparse.map", b"1,3")]), entry(b"s", b"abc")), "format", "incomplete")
bad("sparse-size-huge", archive(pax([(b"GNU.sparse.size", b"9000000000000000"), (b"GNU.sparse.map", b"1,3")]), entry(b"s", b"abc")), "limit", "limit for a file")
bad("sparse-map-without-end", archive(pax(S1), entry(b"s", b"9" * 512)), "format", "sparse map")
bad("sparse-map-too-short", archive(pax(S1), entry(b"s", b"5\n1\n")), "format", "sparse map")
bad("sparse-map-of-millions", archive(pax(S1), entry(b"s", pad(b"99999999\n"))), "limit", "parts")
bad("sparse-unknown-version", archive(pax([(b"GNU.sparse.major", b"2"), (b"GNU.sparse.minor", b"0")]), entry(b"s")), "unsupported", "2.0")
bad("sparse-gnu-in-ustar", archive(entry(b"s", type=b"S")), "format", "sparse")

# Escapes that must not escape: the canary beside the root tells.
CANARY = b"/../../canary"


def escapes(outside):
    o = outside
    return {
        "symlink-then-write": archive(symlink(b"l", o), entry(b"l/planted", b"x"), entry(b"l/file", b"over")),
        "symlink-relative-then-write": archive(symlink(b"l", b"../canary"), entry(b"l/file", b"over")),
        "symlink-chain": archive(symlink(b"a", b".."), symlink(b"b", b"a/.."), entry(b"b/canary/file", b"over")),
        "symlink-replaced-after-dir": archive(directory(b"d", mode=0o777), entry(b"d/x"), symlink(b"d", o), directory(b"e"), entry(b"d/file")),
        "file-over-symlink": archive(symlink(b"l", o + b"/file"), entry(b"l", b"over")),
        "dir-over-symlink-attributes": archive(symlink(b"l", o), directory(b"l/", mode=0o777, uid=99)),
        "hardlink-to-symlink-then-write": archive(symlink(b"s", o + b"/file"), hardlink(b"h", b"s"), entry(b"h", b"over")),
        "dir-times-through-swapped-symlink": archive(directory(b"d"), directory(b"d/sub", mtime=1), symlink(b"d", o), entry(b"z")),
        "whiteout-through-symlink": archive(symlink(b"l", o), entry(b"l/.wh.file")),
        "opaque-through-symlink": archive(symlink(b"l", o), entry(b"l/.wh..wh..opq")),
        "removal-does-not-follow": archive(directory(b"d"), symlink(b"d/l", o), entry(b"d", b"x")),
        "fifo-over-symlink": archive(symlink(b"l", o + b"/file"), header(b"l", type=b"6")),
        "long-path-through-symlink": archive(symlink(b"l", o), gnu_long(b"L", b"l/" + LONG + b"/f"), entry(b"c")),
        "magic-link": archive(symlink(b"l", b"/proc/self/root"), entry(b"l/tmp/planted")),
    }


class Bench:
    """One file system: runs the driver there and watches the surroundings."""

    def __init__(self, driver, top):
        self.driver, self.top, self.failures = driver, top, []

    def run(self, tar, *options):
        base = tempfile.mkdtemp(dir=self.top)
        root, self.canary = os.path.join(base, "root"), os.path.join(base, "canary")
        os.mkdir(root)
        os.makedirs(os.path.join(self.canary, "sub"))
        with open(os.path.join(self.canary, "file"), "w") as f:
            f.write("alive")
        before = tree(self.canary)
        done = subprocess.run([*self.driver, *options, root], capture_output=True,
                              input=tar(self.canary.encode()) if callable(tar) else tar)
        spoiled = differences(before, tree(self.canary)) + [n for n in os.listdir(base) if n not in ("root", "canary")]
        return base, root, done, spoiled

    def check_wants(self, name, root, done, want, implicit, absent):
        got = tree(root)
        for path, facts in want.items():
            path = os.fsencode(path)
            have = got.get(path)
            if have is None:
                self.fail(name, f"{path!r} is missing; there are {sorted(got)[:20]}")
                continue
            for key, value in facts.items():
                if key == "bytes":
                    data = open(os.path.join(os.fsencode(root), path), "rb").read()
                    for at, piece in value.items():
                        if data[at:at + len(piece)] != piece:
                            self.fail(name, f"{path!r} at {at}: {data[at:at + len(piece)]}")
                elif have.get(key) != (os.fsencode(value) if isinstance(value, str) else value):
                    self.fail(name, f"{path!r}: {key} is {have.get(key)!r}, expected {value!r}")
        for path in absent:
            if os.fsencode(path) in got:
                self.fail(name, f"{path!r} should not be there")
        told = [line[9:].decode() for line in done.stdout.split(b"\n") if line]
        if implicit is not None and sorted(told) != sorted(implicit):
            self.fail(name, f"implicit {told}, expected {implicit}")
        return got

    def fail(self, name, what):
        self.failures.append(f"{self.top}: {name}: {what}")

    def variants(self, tar):
        if len(self.driver) > 1:
            return
        yield ("--no-openat2",)
        yield ("--random=7",)
        if len(tar) < 40000:
            yield ("--cut=1",)

    def accept(self, name, tar, want, implicit, absent):
        base, root, done, spoiled = self.run(tar)
        if done.returncode or spoiled:
            self.fail(name, f"{done.stderr.decode()} {spoiled}")
            return
        got = self.check_wants(name, root, done, want, implicit, absent)
        for options in self.variants(tar):
            other, root2, done2, spoiled = self.run(tar, *options)
            diff = differences(got, tree(root2)) if done2.returncode == 0 else [done2.stderr.decode()]
            if diff or spoiled or done2.stdout != done.stdout:
                self.fail(name, f"{options}: {diff} {spoiled}")
            shutil.rmtree(other)
        shutil.rmtree(base)

    def reject(self, name, tar, code, text):
        for options in [(), *self.variants(tar)]:
            base, _, done, spoiled = self.run(tar, *options)
            said = done.stderr.decode(errors="replace")
            if done.returncode != 1 or not said.startswith(code + " ") or text not in said or spoiled:
                self.fail(name, f"{options}: exit {done.returncode}: {said!r}; {spoiled}")
            shutil.rmtree(base)

    def escape(self, name, make):
        for options in ((), ("--no-openat2",)):
            base, _, done, spoiled = self.run(make, *options)
            if done.returncode not in (0, 1) or spoiled:
                self.fail(name, f"{options}: exit {done.returncode} {done.stderr.decode()} {spoiled}")
            shutil.rmtree(base)


def mounts(work):
    """A tmpfs and an ext4, as far as this machine lets us."""
    for kind in ("tmpfs", "ext4"):
        top = os.path.join(work, kind)
        os.mkdir(top)
        command = ["mount", "-t", "tmpfs", "none", top]
        if kind == "ext4":
            image = os.path.join(work, "image")
            with open(image, "wb") as f:
                f.truncate(128 << 20)
            subprocess.run(["mkfs.ext4", "-q", "-I", "256", image], check=True)
            command = ["mount", "-o", "loop", image, top]
        if subprocess.run(command, capture_output=True).returncode:
            print(f"skipped: cannot mount {kind}")
            continue
        try:
            yield top
        finally:
            subprocess.run(["umount", top], check=True)


def full_disk(driver, work):
    """ENOSPC is reported as what it is, with the name of the entry."""
    top = os.path.join(work, "full")
    os.mkdir(top)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", top]).returncode:
        print("skipped: cannot mount a small tmpfs")
        return []
    try:
        done = subprocess.run([driver, top], input=archive(entry(b"big", b"x" * (2 << 20))), capture_output=True)
    finally:
        subprocess.run(["umount", top], check=True)
    said = done.stderr.decode()
    good = done.returncode == 1 and said.startswith("system 28 entry 'big': write")
    return [] if good else [f"full disk: {said!r}"]


def main():
    if os.geteuid() != 0:
        print("skipped: needs root")
        return 77
    failures, n = [], 0
    with tempfile.TemporaryDirectory() as work:
        for top in mounts(work):
            bench = Bench(sys.argv[1:], top)
            for name, case in accept.items():
                bench.accept(name, *case)
            for name, case in reject.items():
                bench.reject(name, *case)
            for name in escapes(b"/x"):
                bench.escape(name, lambda outside, name=name: escapes(outside)[name])
            failures += bench.failures
            n += len(accept) + len(reject) + len(escapes(b"/x"))
        failures += full_disk(sys.argv[-1], work)
    print("\n".join(failures[:60]))
    print(f"{n} archives, {len(failures)} failures")
    return 1 if failures else 0 if n else 77


if __name__ == "__main__":
    sys.exit(main())
