# SPDX-License-Identifier: Apache-2.0
"""Policies and signatures made up by the hundred, judged by sluice verify and by containers/image
(skopeo). They must agree on every one, but for the differences that are meant: the table DIFFERENCES
names them, and what it does not explain fails the test.

    test_policy_differential.py [SEED [COUNT]]      other cases than those of every run

Every kind of signature is judged once by a policy that names its key, then come COUNT policies with
one to three requirements somewhere, then half as many that are bent and may not be policies any
more. Two cores take three minutes with the sanitizers."""
import base64
import collections
import concurrent.futures
import copy
import itertools
import json
import os
import random
import sys

import signature_case
from signature_case import SignatureCase, tear_down
from sluice_case import EXIT_POLICY

from signing import ACCEPT, COSIGN, COSIGN_SIGNATURE, REJECT, SIMPLE, payload

NUMBERS = [int(x) for x in sys.argv[1:] if x.isdigit()]
sys.argv[1:] = [x for x in sys.argv[1:] if not x.isdigit()]
SEED, COUNT = (NUMBERS + [20261122, 460][len(NUMBERS):])[:2]
MALFORMED = COUNT // 2  # as many again are policies that may not parse
AT_ONCE = 4             # judgements

Difference = collections.namedtuple("Difference", "name note theirs ours why")
# note: what must be special about the case. The first row that fits explains a disagreement.
DIFFERENCES = (
    Difference("index signature", "index signed", "deny", "allow",
               "a signature of the index the name led to counts"),
    Difference("attachments on by default", "registries.d is silent", "deny", "allow",
               "attached signatures are looked at unless use-sigstore-attachments is false"),
    Difference("weak algorithm", "weak", "allow", "deny", "SHA-1, and RSA below 2048 bits"),
    Difference("not a binary document", "text", "allow", "deny", "signatures of text fit more than one text"),
    Difference("one that is none", "unreadable", "deny", "allow",
               "what is no signature does not spoil the good one beside it"),
    Difference("the hash that fits the curve", "sha384", "deny", "allow",
               "P-384 with SHA-384 is what sigstore's libraries write"),
    Difference("base64 in lines", "in lines", "allow", "deny",
               "base64 is one line (--policy-compat image-rs takes several)"),
    Difference("more than a key", "two keys", "allow", "deny", "they take the first PEM block and pass over the rest"),
    Difference("BZip2", "bzip2", "allow", "deny", "messages are compressed with ZIP, ZLIB or not at all"),
    Difference("empty path", "empty path", "malformed", "allow",
               'a keyPath of "" is none, beside keyPaths too, as with sigstoreSigned everywhere'),
    Difference("empty list", "empty list", "deny", "malformed", "keyPaths without a key is a mistake of the writer"),
    Difference("members of ours", "x-", "malformed", None, "x-… is ours; others refuse it"),
    Difference("NUL", "NUL", None, "malformed", "no string of a policy has one"),
    Difference("not UTF-8", "not UTF-8", None, "malformed", "JSON is UTF-8"),
)


def tearDownModule():  # pylint: disable=invalid-name
    tear_down()


# ---- images and their signatures ----

class Image:
    """name, digest, and notes: what is special about its signatures."""

    def __init__(self, name, tag, digest, notes=()):
        self.name, self.tag, self.digest, self.notes = name, tag, digest, set(notes)

    @property
    def reference(self):
        return f"{self.name}:{self.tag}"

    @property
    def by_digest(self):
        return f"{self.name}@{self.digest}"


def signed_names(host, image):
    """What a signature may say its image is called, the most likely first."""
    elsewhere = "example.com" + image.name[len(host):]
    return (image.reference, image.name, image.name + ":other", image.by_digest,
            f"{image.name}@sha256:{'0' * 64}", f"{elsewhere}:{image.tag}", "busybox:latest", "UPPER/case:1", "",
            host + "/another/one:" + image.tag, f"{image.reference}@{image.digest}")


def broken_payloads(good):
    """Signed by the right key, and not what containers-signature(5) wants."""
    text = json.loads(good)

    def changed(**members):
        return json.dumps({**text, "critical": {**text["critical"], **members}}).encode()
    return {"another type": changed(type="another"), "unknown critical member": changed(more=1),
            "unknown member": json.dumps({**text, "more": 1}).encode(),
            "no optional": json.dumps({"critical": text["critical"]}).encode(),
            "optional null": json.dumps({**text, "optional": None}).encode(),
            "optional is a list": json.dumps({**text, "optional": []}).encode(),
            "creator is a number": json.dumps({**text, "optional": {"creator": 1}}).encode(),
            "timestamp": json.dumps({**text, "optional": {"timestamp": 1634533638}}).encode(),
            "timestamp has a fraction": json.dumps({**text, "optional": {"timestamp": 1.5}}).encode(),
            "unknown optional member": json.dumps({**text, "optional": {"more": {"a": [1]}}}).encode(),
            "doubled": good.replace(b'"optional"', b'"critical": {}, "optional"'),
            "no digest": changed(image={}), "no name": changed(identity={}),
            "a digest that is none": changed(image={"docker-manifest-digest": "sha256:../.."}),
            "upper case digest": changed(image={"docker-manifest-digest": text["critical"]["image"][
                "docker-manifest-digest"].upper().replace("SHA256", "sha256")}),
            "another digest": changed(image={"docker-manifest-digest": "sha256:" + "0" * 64}),
            "trailing bytes": good + b"x", "trailing blanks": good + b"\n ", "empty": b"", "no object": b"[]"}


class Signatures:
    """Every kind of signature an image may have."""

    def __init__(self, world, host):
        self.world, self.host, self.signing = world, host, world.signing
        sign = self.signing
        self.gpg = {"good": world.gpg, "other": world.other_gpg, "short": sign.gpg_key("short", "rsa1024"),
                    "rsa": sign.gpg_key("rsa", "rsa3072")}
        ec = ("-algorithm", "EC", "-pkeyopt")
        self.keys = {"p256": world.crafted, "p256b": sign.openssl_key("p256b"),
                     "p384": sign.openssl_key("p384", *ec, "ec_paramgen_curve:P-384"),
                     "rsa": sign.openssl_key("rsa-2048", "-algorithm", "RSA"),
                     "ed25519": sign.openssl_key("ed25519", "-algorithm", "ED25519")}

    def simple_kinds(self, image):
        """{kind: (message maker, notes)}"""
        gpg, good = self.signing.gpg_sign, payload(image.reference, image.digest)

        def by(key, data, *options):
            return lambda: gpg(self.gpg[key], data, *options)

        def bent(change):
            return lambda: change(gpg(self.gpg["good"], good))
        kinds = {
            "good": (by("good", good), ()), "rsa": (by("rsa", good), ()),
            "by another": (by("other", good), ()), "RSA 1024": (by("short", good), ("weak",)),
            "SHA-1": (by("rsa", good, "--digest-algo", "SHA1", "--sign"), ("weak",)),
            "SHA-512": (by("rsa", good, "--digest-algo", "SHA512", "--sign"), ()),
            "text": (by("good", good, "--textmode", "--sign"), ("text",)),
            "not compressed": (by("good", good, "--compress-algo", "none", "--sign"), ()),
            "bzip2": (by("good", good, "--compress-algo", "bzip2", "--sign"), ("bzip2",)),
            "clear-signed": (by("good", good, "--clearsign"), ("unreadable",)),
            "armoured": (by("good", good, "--armor", "--sign"), ("unreadable",)),
            "detached": (by("good", good, "--detach-sign"), ()),
            "unsigned": (by("good", good, "--store"), ("unreadable",)),
            "plain text": (lambda: good, ("unreadable",)), "empty": (lambda: b"", ("unreadable",)),
            "framed": (bent(lambda m: b"\0simple-signing\n" + m), ()),
            "framed wrongly": (bent(lambda m: b"\0other\n" + m), ("unreadable",)),
            "cut": (bent(lambda m: m[:-9]), ()),
            "bent": (bent(lambda m: m[:-3] + bytes([m[-3] ^ 1]) + m[-2:]), ()),
            "two signers": (by("good", good, "--local-user", self.gpg["rsa"].fingerprint, "--sign"), ()),
            "expired": (by("good", good, "--faked-system-time", "20400101T000000", "--default-sig-expire", "1d",
                           "--sign"), ())}
        for name in signed_names(self.host, image)[1:]:
            kinds["signed as " + (name or "nothing")] = (by("good", payload(name, image.digest)), ())
        for name, data in broken_payloads(good).items():
            kinds["payload: " + name] = (by("good", data), ())
        return kinds

    def cosign_kinds(self, image):
        """{kind: (layer of a .sig image, notes)}"""
        good = payload(image.reference, image.digest, COSIGN)

        def by(key, data=good, digest="sha256", *media_type):
            return lambda: (data, self.keys[key].sign(data, digest), *media_type)

        def bent(change):
            def make():
                text = self.keys["p256"].sign(good)[COSIGN_SIGNATURE]
                return good, {COSIGN_SIGNATURE: change(text)}
            return make
        kinds = {
            "good": (by("p256"), ()), "by another": (by("p256b"), ()), "rsa": (by("rsa"), ()),
            "ed25519": (by("ed25519", good, None), ()), "P-384": (by("p384"), ()),
            "P-384 with SHA-384": (by("p384", good, "sha384"), ("sha384",)),
            "P-256 with SHA-384": (by("p256", good, "sha384"), ()), "rsa SHA-512": (by("rsa", good, "sha512"), ()),
            "another layer": (by("p256", good, "sha256", "text/plain"), ()),
            "no annotation": (lambda: (good, {}), ("unreadable",)),
            "wrapped": (bent(lambda t: t[:40] + "\n" + t[40:]), ("in lines",)), "no base64": (bent(lambda t: "!" + t), ()),
            "no padding": (bent(lambda t: t.rstrip("=") + "A"), ()), "twice": (bent(
                lambda t: base64.b64encode(base64.b64decode(t) * 2).decode()), ()),
            "empty signature": (bent(lambda t: ""), ()),
            "of simple signing": (by("p256", payload(image.reference, image.digest, SIMPLE)), ())}
        for name in signed_names(self.host, image)[1:]:
            kinds["signed as " + (name or "nothing")] = (by("p256", payload(name, image.digest, COSIGN)), ())
        for name, data in broken_payloads(good).items():
            kinds["payload: " + name] = (by("p256", data), ())
        return kinds

    def make_images(self, rng, uploads):
        """One for every kind, good ones, and mixtures."""
        some = Image("n", "1", "sha256:" + "0" * 64)
        plans = [((kind,), ()) for kind in self.simple_kinds(some)]
        plans += [((), (kind,)) for kind in self.cosign_kinds(some)]
        plans += [((), ()), (("good",), ("good",)), (("by another", "good"), ("by another", "good")),
                  (("plain text", "good"), ()), ((), ("no annotation", "good")), ((), ("no base64", "good"))]
        simple, cosign = list(self.simple_kinds(some)), list(self.cosign_kinds(some))
        for _ in range(30):
            plans.append((rng.sample(simple, rng.randrange(3)), rng.sample(cosign, rng.randrange(4))))
        plans += [(("good",), ("good",))] * 8
        images = [self.make_image(uploads, number, *plan) for number, plan in enumerate(plans)]
        return images + [self.make_index(uploads, at) for at in ("index", "platform", "both", "neither")]

    def make_image(self, uploads, number, simple, cosign):
        repository = ("diff/a", "diff/b", "diff/a/deep", "top")[number % 4]
        digest = self.world.image(self.host, repository, f"t{number}", f"other{number}")
        image = Image(f"{self.host}/{repository}", f"t{number}", digest)
        notes, messages, layers = set(), [], []
        # Kinds were named for an image that does not exist: by position they are the same.
        for wanted, kinds, target in ((simple, self.simple_kinds, messages), (cosign, self.cosign_kinds, layers)):
            names = list(kinds(Image("n", "1", "sha256:" + "0" * 64)))
            mine = list(kinds(image).values())
            for kind in wanted:
                make, special = mine[names.index(kind)]
                target.append(make())
                notes |= set(special)
        image.notes, image.simple, image.cosign = notes, simple, cosign
        image.plan = f"simple {list(simple)}, cosign {list(cosign)}"
        self.signing.lay(repository, digest, *messages)
        if layers:
            uploads.attach(repository, digest, layers)
        return image

    def make_index(self, uploads, at):
        repository = f"diff/index-{at}"
        index, mine, _ = self.world.index(self.host, repository, "1")
        image = Image(f"{self.host}/{repository}", "1", index, {"index signed"} if at == "index" else ())
        image.plan = "index, signed at " + at
        image.simple = image.cosign = True
        for digest in {"index": [index], "platform": [mine], "both": [index, mine], "neither": []}[at]:
            self.signing.lay(repository, digest, self.world.simple(image.reference, digest))
            uploads.attach(repository, digest, [self.world.cosigned(image.reference, digest)])
        return image


# ---- policies ----

class Policies:
    def __init__(self, rng, signatures, folder):
        self.rng, self.signatures = rng, signatures
        self.host = signatures.host
        self.gpg = {name: key.public for name, key in signatures.gpg.items()}
        self.pem = {name: key.public for name, key in signatures.keys.items()}
        for name, parts in (("both.gpg", ("good", "other")), ("rsa-other.gpg", ("rsa", "other"))):
            self.gpg[name] = signatures.signing.write(name, b"".join(self.read(self.gpg[p]) for p in parts))
        # A private key, a certificate's armour, two keys at once: none is a public key.
        for name, data in (("garbage", b"no key\n"), ("nothing", b""),
                           ("private", self.read(signatures.keys["p256"].pem)),
                           ("two.pem", self.read(self.pem["p256b"]) + self.read(self.pem["p256"]))):
            path = signatures.signing.write("key-" + name, data)
            self.gpg[name] = self.pem[name] = path
        self.gpg["missing"] = self.pem["missing"] = os.path.join(folder, "there-is-no-such-file")

    @staticmethod
    def read(path):
        with open(path, "rb") as f:
            return f.read()

    def one(self, likely, table):
        """Mostly one of the likely names."""
        return table[self.rng.choice(likely) if self.rng.random() < 0.8 else self.rng.choice(sorted(table))]

    def data(self, path):
        return base64.b64encode(self.read(path)).decode() if os.path.exists(path) else ""

    def keys(self, likely, table):
        """The members that name keys."""
        how = self.rng.choice(("keyPath",) * 4 + ("keyPaths", "keyPaths", "keyData", "keyDatas"))
        paths = [self.one(likely, table) for _ in range(self.rng.choice((1, 1, 2, 3)))]
        if how == "keyPath":
            return {how: paths[0]}
        if how == "keyPaths":
            return {how: paths}
        if how == "keyDatas" and table is self.pem:
            return {how: [self.data(p) for p in paths]}
        return {"keyData": self.data(paths[0])}

    def identity(self, image):
        rng, name = self.rng, image.name
        names = signed_names(self.host, image)
        references = [n for n in names[:6] if n != name] + [image.reference] * 4
        repositories = [image.name] * 4 + [image.reference, "busybox", self.host + "/other"]
        prefixes = [self.host, name, name.rsplit("/", 1)[0], "example.com", name[:-1]]
        signed = ["example.com", self.host, name, "busybox", "example.com" + name[len(self.host):]]
        return rng.choice((None, None, None, {"type": "matchExact"}, {"type": "matchRepository"},
                           {"type": "matchRepository"}, {"type": "matchRepoDigestOrExact"},
                           {"type": "exactReference", "dockerReference": rng.choice(references)},
                           {"type": "exactRepository", "dockerRepository": rng.choice(repositories)},
                           {"type": "remapIdentity", "prefix": rng.choice(prefixes),
                            "signedPrefix": rng.choice(signed)}))

    def requirement(self, image):
        kind = self.rng.random()
        if kind < 0.06:
            return ACCEPT
        if kind < 0.1:
            return REJECT
        if kind < 0.12:
            return {"type": "signedBaseLayer", "baseLayerIdentity": {"type": "matchExact"}}
        if kind < 0.55:
            types = ("GPGKeys",) * 30 + ("signedByGPGKeys", "X509Certificates", "signedByX509CAs")
            out = {"type": "signedBy", "keyType": self.rng.choice(types),
                   **self.keys(("good", "good", "rsa", "both.gpg", "short"), self.gpg)}
        else:
            out = {"type": "sigstoreSigned", **self.keys(("p256", "p256", "p256", "rsa", "p384", "ed25519"), self.pem)}
            if self.rng.random() < 0.05:
                out["rekorPublicKeyPath"] = self.pem["p256b"]
        identity = self.identity(image)
        return {**out, "signedIdentity": identity} if identity else out

    def requirements(self, image):
        return [self.requirement(image) for _ in range(self.rng.choice((1, 1, 1, 1, 2, 2, 3)))]

    def scopes(self, image):
        """Where an image may be looked for, and where it is not."""
        repository = image.name[len(self.host) + 1:]
        parts = repository.split("/")
        parents = [self.host + "/" + "/".join(parts[:n]) for n in range(1, len(parts) + 1)]
        hits = [image.reference, image.by_digest, *parents, self.host, "*.0.0.1", "*.0.1", "*.1", ""]
        misses = [self.host.split(":")[0], "*.127.0.0.1", image.name + "/more", image.name[:-1], "*",
                  self.host + "/", "example.com", image.name + ":other"]
        return hits, misses

    def plain_policies(self, image):
        """One for each kind of its signatures, that names all keys which sign well."""
        gpg = {"type": "signedBy", "keyType": "GPGKeys", "keyPaths": [self.gpg[n] for n in ("good", "rsa", "short")]}
        pem = {"type": "sigstoreSigned", "keyPaths": [self.pem[n] for n in ("p256", "p384", "rsa", "ed25519")]}
        return [{"default": [REJECT], "transports": {"docker": {self.host: [one]}}}
                for one, has in ((gpg, image.simple), (pem, image.cosign)) if has]

    def policy(self, image):
        """The requirements lie at one scope; more general ones say something else."""
        hits, misses = self.scopes(image)
        wanted = self.requirements(image)
        rng, other = self.rng, [rng_choice(self.rng, (ACCEPT, REJECT))]
        if rng.random() < 0.2:
            return {"default": wanted, "transports": {"docker": {rng.choice(misses): other}, "dir": {"": other}}}
        chosen = rng.sample(hits, rng.choice((1, 1, 2, 3)))
        text = {scope: rng.choice((wanted, wanted, other)) for scope in chosen}
        text[rng.choice(misses)] = other
        text[chosen[0]] = wanted
        return {"default": other, "transports": {"docker": text}}


def rng_choice(rng, what):
    return copy.deepcopy(rng.choice(what))


# ---- policies that may not be any ----

def places(value, path=()):
    """Every container in a document, with its path."""
    if isinstance(value, (dict, list)):
        yield path, value
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(inner, path + (key,))


class Doubled(str):
    """A name that json.dumps writes twice: it is another key for Python, not for JSON."""
    __hash__ = object.__hash__

    def __eq__(self, other):
        return self is other


def bend(rng, text):
    """A policy with one thing changed; (bytes, notes)."""
    text = copy.deepcopy(text)
    objects = [o for _, o in places(text) if isinstance(o, dict) and o]
    lists = [o for _, o in places(text) if isinstance(o, list)]
    holder = rng.choice(objects)
    key = rng.choice(list(holder))
    ways = ("unknown", "double", "remove", "null", "number", "string", "list", "object", "case", "empty list",
            "empty object", "rename", "trailing", "cut", "blank", "comment", "comma", "NUL", "not UTF-8", "bom",
            "bool", "nested", "single quotes", "escape", "x-", "empty string", "type", "pad", "deep", "array",
            "two values", "scope of dir", "unknown transport")
    way = rng.choice(ways)
    notes, change = set(), lambda data: data
    values = {"null": None, "number": 7, "string": "text", "list": [1], "object": {"a": "b"}, "bool": True,
              "empty object": {}, "empty string": "", "nested": [holder[key]], "array": []}
    if way in values:
        holder[key] = values[way]
    elif way == "unknown":
        holder[rng.choice(("more", "Type", "keypath", "", "type ", "scheme"))] = rng.choice((1, "a", None, []))
    elif way == "double":
        holder[Doubled(key)] = copy.deepcopy(holder[key])
    elif way == "remove":
        del holder[key]
    elif way in ("case", "rename"):
        holder[key.upper() if way == "case" else key + "s"] = holder.pop(key)
    elif way == "empty list":
        rng.choice(lists).clear()
    elif way == "x-":
        rng.choice([o for o in objects if "type" in o] or objects)["x-bundles"] = "digest-only"
        notes.add("x-")
    elif way == "type":
        rng.choice([o for o in objects if "type" in o] or objects)["type"] = rng.choice(("signedby", "", "any", 1))
    elif way == "scope of dir":
        text.setdefault("transports", {})[rng.choice(("dir", "oci", "docker-archive", "tarball"))] = {
            rng.choice(("/a/b", "/a//b", "/a/", "/", "relative", "", "/a/../b", "/a/./b")): [dict(REJECT)]}
    elif way == "unknown transport":
        text.setdefault("transports", {})[rng.choice(("unknown", "", "Docker"))] = rng.choice(
            ({"any scope": [dict(ACCEPT)]}, {}, {"a": []}, {"a": [{"type": "nonsense"}]}))
    elif way in ("NUL", "escape"):
        target = rng.choice([o for o in objects if any(isinstance(v, str) for v in o.values())] or objects)
        name = rng.choice([k for k, v in target.items() if isinstance(v, str)] or list(target))
        target[name] = f"{target[name]}\0" if way == "NUL" else target[name]
        notes |= {"NUL"} if way == "NUL" else set()
        if way == "escape":
            change = lambda data: data.replace(b'"type"', b'"\\u0074ype"', 1)
    elif way == "not UTF-8":
        notes.add(way)
        scopes = text.setdefault("transports", {}).setdefault("docker", {})
        scopes["BYTES"] = [dict(REJECT)]
        change = lambda data: data.replace(b"BYTES", b"\xff\xfe")
    elif way == "deep":
        holder[key] = json.loads("[" * 40 + "]" * 40)
    else:
        change = {"trailing": lambda d: d + b" x", "two values": lambda d: d + d, "blank": lambda d: b"\n\t " + d + b"\r\n",
                  "cut": lambda d: d[:rng.randrange(len(d))], "comment": lambda d: b"/* */" + d,
                  "comma": lambda d: d[:-1] + b",}", "bom": lambda d: b"\xef\xbb\xbf" + d,
                  "single quotes": lambda d: d.replace(b'"', b"'"), "pad": lambda d: d.replace(b'=="', b'="')}[way]
    return change(json.dumps(text).encode()), notes, way


# ---- the test ----

Case = collections.namedtuple("Case", "label image reference policy registries_d notes")


class Differential(SignatureCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.rng = random.Random(SEED)
        signatures = Signatures(cls.world, cls.host)
        cls.images = signatures.make_images(cls.rng, cls.uploads)
        cls.policies = Policies(cls.rng, signatures, cls.signing.folder)
        explicit = cls.signing.registries_d()
        lookaside = {"lookaside": "file://" + cls.signing.lookaside}
        cls.configs = [(explicit, ())] * 6 + [
            (cls.signing.registries_d("silent", section=lookaside), ("registries.d is silent",)),
            (cls.signing.registries_d("off", section={**lookaside, "use-sigstore-attachments": False}), ())]

        # Half of what is generated is about images that are signed well.
        cls.good = [i for i in cls.images if i.plan == cls.images[-5].plan]
        cls.met = collections.Counter()
        cls.numbers = itertools.count()

    def make_plain(self):
        explicit, silent = self.configs[0], self.configs[-2]
        for image, (config, notes) in [(i, explicit) for i in self.images] + [(self.good[0], silent)]:
            for text in self.policies.plain_policies(image):
                number = next(self.numbers)
                path = self.signing.policy(text, f"plain-{number}.json")
                yield Case(f"plain {number}: {image.plan}: {json.dumps(text)}", image, image.reference, path,
                           config, image.notes | set(notes))

    def make_case(self, number):
        rng = self.rng
        image = rng.choice(self.good) if number % 2 else rng.choice(self.images)
        config, notes = rng.choice(self.configs)
        reference = rng.choice((image.reference,) * 4 + (image.by_digest, image.by_digest))
        text = self.policies.policy(image)
        path = self.signing.policy(text, f"case-{number}.json")
        return Case(f"{number}: {image.plan}: {json.dumps(text)}", image, reference, path, config,
                    image.notes | set(notes) | self.notes_of(json.dumps(text)))

    def notes_of(self, text):
        path, dense = self.policies.pem["two.pem"], text.replace(" ", "")
        notes = {"two keys": path in text or self.policies.data(path) in text,
                 "empty path": '"keyPath":""' in dense, "empty list": '"keyPaths":[]' in dense}
        return {note for note, is_so in notes.items() if is_so}

    def make_malformed(self, number):
        image = self.rng.choice([i for i in self.images if i.tag != "1"])
        data, notes, way = bend(self.rng, self.policies.policy(image))
        path = self.signing.policy(data, f"malformed-{number}.json")
        return Case(f"malformed {number} ({way}): {image.plan}: {data}", image, image.reference, path,
                    self.configs[0][0], image.notes | notes | self.notes_of(data.decode(errors="replace")))

    def make_known(self):
        """Documents that teach what a policy is not, and some that look wrong and are right."""
        image = self.good[0]
        gpg, pem = json.dumps(self.policies.gpg["good"]), json.dumps(self.policies.pem["p256"])
        accept, signed = '[{"type":"insecureAcceptAnything"}]', '"type":"signedBy","keyType":"GPGKeys"'
        for text, *notes in (
                ("{}",), ('{"default":[]}',), ('{"default":%s,"default":%s}' % (accept, accept),), ("",), ("null",),
                ('{"default":[{"type":"reject","x":1}]}',), ('{"default":%s} x' % accept,), ("[]",),
                ('{"default":[{%s}]}' % signed,), ('{"default":%s}' % accept,),
                ('{"default":[{%s,"keyPath":%s,"keyData":"YQ=="}]}' % (signed, gpg),),
                ('{"default":[{%s,"keyPath":%s,"signedIdentity":null}]}' % (signed, gpg),),
                ('{"default":[{%s,"keyPath":""}]}' % signed,), ('{"default":[{%s,"keyData":""}]}' % signed,),
                ('{"default":[{%s,"keyPath":"","keyPaths":[%s]}]}' % (signed, gpg),),
                ('{"default":[{%s,"keyPaths":[]}]}' % signed,),
                ('{"default":[{"type":"sigstoreSigned","keyPath":"","keyPaths":[%s]}]}' % pem,),
                ('{"default":[{"type":"sigstoreSigned","keyPaths":[]}]}',),
                ('{"default":[{"type":"sigstoreSigned","keyPath":%s,"rekorPublicKeyPaths":[]}]}' % pem,),
                ('{"default":[{"type":"sigstoreSigned","keyPaths":[%s,%s]}]}' % (
                    json.dumps(self.policies.pem["two.pem"]), pem),),
                ('{"default":[{"type":"sigstoreSigned","keyPath":%s,"rekorPublicKeyPath":%s}]}' % (pem, pem),),
                ('{"default":[{"type":"sigstoreSigned","pki":{"caRootsPath":"a","subjectEmail":"b"},'
                 '"rekorPublicKeyPath":"r"}]}',),
                ('{"default":[{"type":"sigstoreSigned","fulcio":{"caPath":"a","oidcIssuer":"b",'
                 '"subjectEmail":"c"}}]}',),
                ('{"default":[{"type":"sigstoreSigned","pki":{"caRootsPath":"a"}}]}',),
                ('{"default":[{"type":"sigstoreSigned","pki":{"caRootsPath":"a","subjectHostname":"b"}}]}',),
                ('{"default":[{"type":"reject"}],"transports":{"dir":{"relative":[{"type":"reject"}]}}}',),
                ('{"default":%s,"transports":{}}' % accept,), ('{"default":%s,"transports":null}' % accept,),
                ('{"default":%s,"transports":{"docker":{}}}' % accept,),
                ('{"default":%s,"transports":{"docker":{},"docker":{}}}' % accept,),
                ('{"default":[{"type":"reject","type":"reject"}]}',), ('{"Default":%s}' % accept,),
                ('{"default":[{%s,"keyPath":%s,"x-allowExpiredKey":true}]}' % (signed, gpg), "x-"),
                ('{"default":%s,"transports":{"docker":{"a\\u0000b":%s}}}' % (accept, accept), "NUL"),
                ('{"default":%s,"transports":{"docker":{"\udcff":%s}}}' % (accept, accept), "not UTF-8")):
            number = next(self.numbers)
            data = text.encode(errors="surrogateescape")
            yield Case(f"known {number}: {text}", image, image.reference,
                       self.signing.policy(data, f"known-{number}.json"), self.configs[0][0],
                       set(notes) | self.notes_of(text))

    def ours(self, case):
        run = self.judge(case.reference, case.policy, "--json", registries_d=case.registries_d)
        said = run.stdout + run.stderr
        try:
            allowed = json.loads(run.stdout)["allowed"]
        except (ValueError, KeyError, TypeError):
            is_policy = run.returncode not in (0, EXIT_POLICY) or os.path.basename(case.policy) in said
            return ("malformed" if run.returncode > 0 and is_policy and case.policy in said else "error"), said
        return {(True, 0): "allow", (False, EXIT_POLICY): "deny"}.get((allowed, run.returncode), "error"), said

    def both(self, case):
        return case, self.signing.skopeo_judges(case.policy, case.reference, case.registries_d), self.ours(case)

    @staticmethod
    def explain(case, theirs, ours):
        for row in DIFFERENCES:
            if row.note in case.notes and row.theirs in (theirs, None) and row.ours in (ours, None):
                return row.name
        return None

    def compare(self, cases):
        """Counts of verdicts and of explanations; what nothing explains."""
        verdicts, explained, unexplained = collections.Counter(), collections.Counter(), []
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            for case, (theirs, said), (ours, we_said) in pool.map(self.both, cases):
                verdicts[theirs] += 1
                if theirs == ours and theirs != "error":
                    continue
                name = self.explain(case, theirs, ours)
                if name:
                    explained[name] += 1
                    self.met[name] += 1
                    print(f"{name}: {theirs}, here {ours}: {case.label[:200]}")
                else:
                    unexplained.append(f"{case.label}\n  {case.reference}, {sorted(case.notes)}\n"
                                       f"  theirs: {theirs}: {said[-400:]}\n  ours: {ours}: {we_said[:600]}")
        print(dict(verdicts), dict(explained))
        self.assertEqual(len(unexplained), 0, f"seed {SEED}, {len(unexplained)} of {len(cases)}:\n" +
                         "\n".join(unexplained[:40]))
        return verdicts, explained

    def test_generated(self):
        cases = [*self.make_plain(), *(self.make_case(number) for number in range(COUNT))]
        verdicts, _ = self.compare(cases)
        for verdict in "allow", "deny":  # else nothing was compared
            self.assertGreater(verdicts[verdict], COUNT // 8)

    def test_malformed(self):
        cases = [*self.make_known(), *(self.make_malformed(number) for number in range(MALFORMED))]
        verdicts, _ = self.compare(cases)
        self.assertGreater(verdicts["malformed"], MALFORMED // 4)
        self.assertGreater(verdicts["allow"] + verdicts["deny"], MALFORMED // 20)

    def test_that_every_difference_was_met(self):
        """After the others, by its name: a row that nothing needs must go."""
        self.assertEqual(set(self.met), {row.name for row in DIFFERENCES})


if __name__ == "__main__":
    signature_case.main()
