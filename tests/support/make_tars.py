# SPDX-License-Identifier: Apache-2.0
"""Tar archives byte by byte, so that each trick and each mistake can be made on purpose."""

BLOCK = 512


def pad(data):
    return data + b"\0" * (-len(data) % BLOCK)


def octal(value, width):
    return b"%0*o\0" % (width - 1, value)


def base256(value, width):
    first = 0x80 if value >= 0 else 0xFF
    return bytes([first]) + (value % (1 << (8 * (width - 1)))).to_bytes(width - 1, "big")


def number(value, width):
    if isinstance(value, bytes):
        return value
    return octal(value, width) if 0 <= value < 8 ** (width - 1) else base256(value, width)


MAGIC = {"ustar": b"ustar\00000", "gnu": b"ustar  \0", "v7": b"\0" * 8}


def header(name, type=b"0", size=0, mode=0o644, uid=0, gid=0, mtime=1000, link=b"", major=0,
           minor=0, prefix=b"", fmt="ustar", tail=b"", signed_sum=False, bad_sum=False):
    h = bytearray(BLOCK)

    def put(at, data, width):
        assert len(data) <= width, (data, width)
        h[at:at + len(data)] = data

    put(0, name, 100)
    put(100, number(mode, 8), 8)
    put(108, number(uid, 8), 8)
    put(116, number(gid, 8), 8)
    put(124, number(size, 12), 12)
    put(136, number(mtime, 12), 12)
    put(156, type, 1)
    put(157, link, 100)
    put(257, MAGIC[fmt], 8)
    if type in b"34":
        put(329, number(major, 8), 8)
        put(337, number(minor, 8), 8)
    put(345, prefix, 155)
    if tail:
        put(386, tail, 109)
    h[148:156] = b" " * 8
    total = sum(c - 256 if signed_sum and c > 127 else c for c in h) + (1 if bad_sum else 0)
    h[148:156] = b"%06o\0 " % total
    return bytes(h)


def entry(name, data=b"", **kw):
    kw.setdefault("size", len(data))
    return header(name, **kw) + pad(data)


def directory(name, **kw):
    kw.setdefault("mode", 0o755)
    return header(name, type=b"5", **kw)


def symlink(name, target, **kw):
    return header(name, type=b"2", link=target, **kw)


def hardlink(name, target, **kw):
    return header(name, type=b"1", link=target, **kw)


def record(key, value):
    body = b" " + key + b"=" + value + b"\n"
    n = len(body) + 1
    while len(str(n)) + len(body) != n:
        n = len(str(n)) + len(body)
    return str(n).encode() + body


def pax(records, type=b"x"):
    data = b"".join(record(k, v) for k, v in records)
    return entry(b"PaxHeaders/x", data, type=type)


def pax_raw(data, type=b"x"):
    return entry(b"PaxHeaders/x", data, type=type)


def gnu_long(type, text):
    return entry(b"././@LongLink", text + b"\0", type=type, fmt="gnu")


END = b"\0" * 1024


def archive(*parts, end=END):
    return b"".join(parts) + end
