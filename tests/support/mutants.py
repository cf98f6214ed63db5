# SPDX-License-Identifier: Apache-2.0
"""All neighbours of a document: each value of a JSON text changed, removed, of another type, doubled
or joined by another; each byte changed, the end cut off or extended. Generators of (label, mutant);
a label names the place and what was done there, and is the same in each run."""
import base64
import json
import zlib


class Members(list):
    """A JSON object as pairs, so that a name can stand in it twice."""


class Raw(str):
    """JSON text as it is."""


def parse(text):
    return json.loads(text, object_pairs_hook=Members)


def dump(node):
    if isinstance(node, Raw):
        return str(node)
    if isinstance(node, Members):
        return "{%s}" % ",".join(f"{json.dumps(k)}:{dump(v)}" for k, v in node)
    if isinstance(node, list):
        return "[%s]" % ",".join(map(dump, node))
    return json.dumps(node)


def plain(node):
    """Members and lists that json.dumps() can write."""
    return json.loads(dump(node))


# ---- JSON ----

def _other_types(node):
    for what, value in (("null", None), ("true", True), ("0", 0), ('""', ""), ("[]", []),
                        ("{}", Members()), ("[it]", [node]), ("{it}", Members([("x", node)]))):
        if dump(value) != dump(node):
            yield "= " + what, value


def _other_texts(text):
    if not text:
        return
    yield "first letter", chr(ord(text[0]) ^ 1) + text[1:]
    yield "last letter", text[:-1] + chr(ord(text[-1]) ^ 1)
    yield "middle letter", text[:len(text) // 2] + "~" + text[len(text) // 2 + 1:]
    yield "+ letter", text + "x"
    yield "- letter", text[:-1]
    yield "+ blank", text + " "
    yield "blank +", " " + text
    yield "+ newline", text + "\n"
    yield "+ NUL", text + "\0"
    if text.swapcase() != text:
        yield "other case", text.swapcase()
    if text.isdecimal():
        yield "+ 1", str(int(text) + 1)
        yield "0 +", "0" + text
        yield "as number", int(text)
        yield "negative", "-" + text


def _other_numbers(n):
    yield "+ 1", n + 1
    yield "- 1", n - 1
    yield "negative", -n - 1
    yield "+ 2^53", n + 2 ** 53
    yield "+ 2^64", n + 2 ** 64
    yield "as text", str(n)
    yield "fraction", Raw(f"{n}.5")
    yield "point", Raw(f"{n}.0")
    yield "exponent", Raw(f"{n}e0")


def _of_value(node):
    yield from _other_types(node)
    if isinstance(node, str):
        yield from _other_texts(node)
    elif isinstance(node, int) and not isinstance(node, bool):
        yield from _other_numbers(node)


def _of_object(members):
    yield "+ member", Members(members + [("extra", 1)])
    for i, (name, value) in enumerate(members):
        head, tail = members[:i], members[i + 1:]
        yield f"- {name}", Members(head + tail)
        yield f"twice {name}", Members(members + [(name, value)])
        yield f"null before {name}", Members([(name, None)] + members)
        yield f"null behind {name}", Members(members + [(name, None)])
        yield f"{name} + letter", Members(head + [(name + "x", value)] + tail)
        yield f"{name} in other case", Members(head + [(name.swapcase(), value)] + tail)


def _of_list(items):
    yield "null +", [None] + items
    yield "+ null", items + [None]
    for i, item in enumerate(items):
        yield f"- {i}", items[:i] + items[i + 1:]
        yield f"twice {i}", items[:i] + [item] + items[i:]
    if len(items) > 1:
        yield "reversed", items[::-1]


def _nodes(node, path=(), rebuild=lambda new: new):
    """(path, node, what makes the document with another node there)."""
    yield path, node, rebuild
    if isinstance(node, Members):
        for i, (name, value) in enumerate(node):
            yield from _nodes(value, path + (name,), lambda new, i=i, name=name: rebuild(
                Members(node[:i] + [(name, new)] + node[i + 1:])))
    elif isinstance(node, list):
        for i, value in enumerate(node):
            yield from _nodes(value, path + (str(i),), lambda new, i=i: rebuild(
                node[:i] + [new] + node[i + 1:]))


def of_json(text):
    """Mutants are bytes. One of them has another meaning than each other, and than the original."""
    for path, node, rebuild in _nodes(parse(text)):
        kinds = [_of_value(node)]
        if isinstance(node, Members):
            kinds.append(_of_object(node))
        elif isinstance(node, list):
            kinds.append(_of_list(node))
        for kind in kinds:
            for what, new in kind:
                yield f"{'/'.join(path)} {what}", dump(rebuild(new)).encode()
    yield "+ brace", text.encode() + b"}"
    yield "+ document", text.encode() * 2


def of_json_bytes(text, paths):
    """Of members that are base64, what is in it: paths gives for each path ("a/0/b") a generator of
    mutants of bytes."""
    for path, node, rebuild in _nodes(parse(text)):
        mutate = paths.get("/".join(path))
        if mutate and isinstance(node, str):
            for what, new in mutate(base64.b64decode(node)):
                yield (f"{'/'.join(path)} decoded: {what}",
                       dump(rebuild(base64.b64encode(new).decode())).encode())


# ---- bytes ----

def of_bytes(data, name=None, step=1):
    """One bit of each byte, another from byte to byte. name(i): how the place is called."""
    for i in range(0, len(data), step):
        yield (name(i) if name else f"byte {i}",
               data[:i] + bytes([data[i] ^ 1 << i * 3 % 8]) + data[i + 1:])
    yield "- last byte", data[:-1]
    yield "- first byte", data[1:]
    yield "+ byte", data + b"\0"
    yield "byte +", b"\0" + data
    yield "empty", b""


def _der_header(data, at):
    """(bytes of tag and length, bytes of content)."""
    if data[at + 1] < 0x80:
        return 2, data[at + 1]
    n = data[at + 1] & 0x7F
    return 2 + n, int.from_bytes(data[at + 2:at + 2 + n], "big")


def _der_name(data, at, end, wanted, path=""):
    k = 0
    while at < end:
        header, length = _der_header(data, at)
        here = f"{path}.{k}" if path else str(k)
        if wanted == at:
            return here + " tag"
        if wanted < at + header:
            return here + " length"
        if wanted < at + header + length:
            if data[at] & 0x20:
                return _der_name(data, at + header, at + header + length, wanted, here)
            return f"{here} content {wanted - at - header}"
        at += header + length
        k += 1
    return "behind"


def of_der(data, step=1):
    """Places are called by their way through constructed values: "0.0.3 content 2"."""
    yield from of_bytes(data, lambda i: _der_name(data, 0, len(data), i), step)


def _pgp_header(data, at):
    """(tag, bytes of the header, bytes of the body): RFC 4880 section 4.2, lengths that are told."""
    if data[at] & 0x40:
        if data[at + 1] < 192:
            return data[at] & 0x3F, 2, data[at + 1]
        return data[at] & 0x3F, 3, (data[at + 1] - 192 << 8) + data[at + 2] + 192
    size = 1 << (data[at] & 3)
    return data[at] >> 2 & 0xF, 1 + size, int.from_bytes(data[at + 1:at + 1 + size], "big")


def _mpi_field(body, at, i):
    while at + 2 <= i:
        size = 2 + (int.from_bytes(body[at:at + 2], "big") + 7) // 8
        if i < at + size:
            return "number"
        at += size
    return "bits of number"


def _pgp_field(tag, body, i):
    if tag == 4:
        return "one-pass " + ("version", "type", "hash", "algorithm", *["key id"] * 8, "last")[i]
    if tag in (6, 13):
        return "key" if tag == 6 else "user id"
    if tag == 11:
        name = 2 + body[1]
        return "literal " + ("format" if i == 0 else "name" if i < name else
                             "date" if i < name + 4 else "content")
    hashed = 6 + int.from_bytes(body[4:6], "big")
    unhashed = hashed + 2 + int.from_bytes(body[hashed:hashed + 2], "big")
    return "signature " + (
        ("version", "type", "algorithm", "hash", "hashed length", "hashed length")[i] if i < 6 else
        "hashed" if i < hashed else "unhashed length" if i < hashed + 2 else
        "unhashed" if i < unhashed else "left 16 bits" if i < unhashed + 2 else
        _mpi_field(body, unhashed + 2, i))


def pgp_name(data, wanted):
    """The field that a byte of a message, not compressed, or of a public key is in."""
    at = 0
    while at < len(data):
        tag, header, length = _pgp_header(data, at)
        if wanted < at + header:
            return f"header of packet {tag}"
        if wanted < at + header + length:
            return _pgp_field(tag, data[at + header:at + header + length], wanted - at - header)
        at += header + length
    return "behind"


def of_pgp(data, step=1):
    yield from of_bytes(data, lambda i: f"{pgp_name(data, i)}, byte {i}", step)


def of_compressed_pgp(data):
    """A compressed packet of unknown length, as gpg writes it (RFC 4880 section 5.6, ZIP). Places
    are called by what comes of them: the fields that differ when it is unpacked."""
    plain_text = zlib.decompress(data[2:], -zlib.MAX_WBITS)

    def name(i):
        if i < 2:
            return f"header, byte {i}"
        unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
        changed = data[:i] + bytes([data[i] ^ 1 << i * 3 % 8]) + data[i + 1:]
        try:
            new = unpacker.decompress(changed[2:], 4 * len(plain_text))
        except zlib.error:
            return f"no ZIP, byte {i}"
        if len(new) != len(plain_text) or not unpacker.eof or unpacker.unused_data:
            return f"another length, byte {i}"
        fields = {pgp_name(plain_text, k) for k, byte in enumerate(new) if byte != plain_text[k]}
        return f"in ZIP {', '.join(sorted(fields))}, byte {i}"
    yield from of_bytes(data, name)
