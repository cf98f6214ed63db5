# SPDX-License-Identifier: Apache-2.0
"""Signs images as people do: with gpg and skopeo, with cosign. And everything around signatures:
lookaside folders, registries.d, policies, and signatures that are wrong on purpose.

    signing = Signing(peers, folder)
    key = signing.gpg_key("release")
    signing.skopeo_push("oci:…", "127.0.0.1:5000/team/image:1", gpg=key)
    sluice verify --policy signing.policy(...) --registries.d signing.registries_d() ...

Formats: containers-signature(5), containers-registries.d(5), containers-policy.json(5), cosign's
SIGNATURE_SPEC."""
import base64
import hashlib
import http.client
import json
import os
import subprocess
import tempfile
import urllib.parse

SIMPLE, COSIGN = "atomic container signature", "cosign container image signature"
COSIGN_LAYER = "application/vnd.dev.cosign.simplesigning.v1+json"
COSIGN_SIGNATURE = "dev.cosignproject.cosign/signature"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
PASSWORD = "a password of the tests"
TIMEOUT = 60  # seconds


def digest_of(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def payload(reference, digest, kind=SIMPLE, **more):
    """What is signed. more: members of "optional"."""
    return json.dumps({"critical": {"identity": {"docker-reference": reference},
                                    "image": {"docker-manifest-digest": digest}, "type": kind},
                       "optional": more}).encode()


# ---- policies ----

def policy(default, scopes=None, transport="docker"):
    """default, and each of the scopes: a requirement or a list of them."""
    def as_list(what):
        return what if isinstance(what, list) else [what]
    text = {"default": as_list(default)}
    if scopes is not None:
        text["transports"] = {transport: {k: as_list(v) for k, v in scopes.items()}}
    return text


ACCEPT, REJECT = {"type": "insecureAcceptAnything"}, {"type": "reject"}
REPOSITORY = {"type": "matchRepository"}


def signed_by(key, identity=None, **more):
    """key: a GpgKey, or the path of a file."""
    out = {"type": "signedBy", "keyType": "GPGKeys", "keyPath": getattr(key, "public", key), **more}
    return {**out, "signedIdentity": identity} if identity else out


def sigstore_signed(key, identity=None, **more):
    out = {"type": "sigstoreSigned", "keyPath": getattr(key, "public", key), **more}
    return {**out, "signedIdentity": identity} if identity else out


def bundle_signed(key, **more):
    """Bundles name no image, so a policy must say that it wants them."""
    return sigstore_signed(key, REPOSITORY, **{"x-bundles": "digest-only"}, **more)


# ---- registries, byte by byte ----

class Uploads:
    """Puts blobs and manifests into a registry without authentication; reads manifests."""

    def __init__(self, host):
        self.host = host

    def request(self, method, path, body=None, **headers):
        connection = http.client.HTTPConnection(self.host, timeout=TIMEOUT)
        try:
            connection.request(method, path, body, {k.replace("_", "-"): v for k, v in headers.items()})
            answer = connection.getresponse()
            data = answer.read()
        finally:
            connection.close()
        if answer.status >= 300:
            raise RuntimeError(f"{method} {path}: {answer.status} {data[:500]}")
        return answer, data

    def blob(self, repository, data):
        answer, _ = self.request("POST", f"/v2/{repository}/blobs/uploads/", b"")
        place = urllib.parse.urlsplit(answer.getheader("Location"))
        query = (place.query + "&" if place.query else "") + "digest=" + digest_of(data)
        self.request("PUT", f"{place.path}?{query}", data, Content_Type="application/octet-stream")
        return {"digest": digest_of(data), "size": len(data)}

    def manifest(self, repository, reference, data, media_type=MANIFEST):
        self.request("PUT", f"/v2/{repository}/manifests/{reference}", data, Content_Type=media_type)
        return digest_of(data)

    def read(self, repository, reference):
        """The bytes of a manifest or index."""
        accept = ",".join((MANIFEST, INDEX,
                           "application/vnd.docker.distribution.manifest.v2+json"))
        return self.request("GET", f"/v2/{repository}/manifests/{reference}", Accept=accept)[1]

    def push(self, folder, descriptor, repository, *references):
        """An image or index of a layout, by these tags (or only by its digest); its digest."""
        with open(os.path.join(folder, "blobs", *descriptor["digest"].split(":")), "rb") as f:
            data = f.read()
        text = json.loads(data)
        for child in text.get("manifests", ()):
            self.push(folder, child, repository)
        for part in [text["config"], *text["layers"]] if "config" in text else ():
            with open(os.path.join(folder, "blobs", *part["digest"].split(":")), "rb") as f:
                self.blob(repository, f.read())
        for reference in references or (descriptor["digest"],):
            self.manifest(repository, reference, data, descriptor["mediaType"])
        return descriptor["digest"]

    def attach(self, repository, digest, layers):
        """The image sha256-….sig of cosign's SIGNATURE_SPEC. layers: (payload, annotations) or
        (payload, annotations, media type)."""
        rows = []
        for data, annotations, *kind in layers:
            rows.append({"mediaType": kind[0] if kind else COSIGN_LAYER, **self.blob(repository, data),
                         "annotations": annotations})
        config = json.dumps({"architecture": "", "os": "", "config": {}, "rootfs": {
            "type": "layers", "diff_ids": [row["digest"] for row in rows]}}).encode()
        text = {"schemaVersion": 2, "mediaType": MANIFEST,
                "config": {"mediaType": CONFIG, **self.blob(repository, config)}, "layers": rows}
        return self.manifest(repository, digest.replace(":", "-") + ".sig", json.dumps(text).encode())


    def refer(self, repository, digest, size, bundle):
        """Makes a bundle the only referrer of an image, by the tag that stands for the referrers
        API where there is none (OCI distribution 1.1)."""
        empty = "application/vnd.oci.empty.v1+json"
        text = json.dumps({
            "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": BUNDLE,
            "config": {"mediaType": empty, **self.blob(repository, b"{}")},
            "layers": [{"mediaType": BUNDLE, **self.blob(repository, bundle)}],
            "subject": {"mediaType": MANIFEST, "digest": digest, "size": size}}).encode()
        row = {"mediaType": MANIFEST, "size": len(text), "artifactType": BUNDLE,
               "digest": self.manifest(repository, digest_of(text), text)}
        index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [row]}
        self.manifest(repository, digest.replace(":", "-"), json.dumps(index).encode(), INDEX)


def bundle_of(key, statement):
    """A sigstore bundle 0.3 of an in-toto statement, by a key of openssl, without a log."""
    kind = "application/vnd.in-toto+json"
    envelope = b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), len(statement), statement)
    made = key.sign(envelope)[COSIGN_SIGNATURE]
    return json.dumps({
        "mediaType": BUNDLE, "verificationMaterial": {"publicKey": {"hint": ""}},
        "dsseEnvelope": {"payload": base64.b64encode(statement).decode(), "payloadType": kind,
                         "signatures": [{"sig": made}]}}).encode()


# ---- keys ----

class GpgKey:
    def __init__(self, name, fingerprint, public):
        self.name, self.fingerprint, self.public = name, fingerprint, public


class SigstoreKey:
    """private: as cosign keeps it, encrypted with PASSWORD; None for a key of openssl, whose PEM
    is pem."""

    def __init__(self, name, public, private=None, pem=None):
        self.name, self.public, self.private, self.pem = name, public, private, pem

    def sign(self, data, digest="sha256"):
        """Annotations of a layer of a .sig image. digest: None signs the data itself (Ed25519)."""
        with tempfile.NamedTemporaryFile() as file:  # Ed25519 reads no pipe
            file.write(data)
            file.flush()
            how = ("dgst", "-" + digest, "-sign", self.pem, file.name) if digest else (
                "pkeyutl", "-sign", "-rawin", "-inkey", self.pem, "-in", file.name)
            made = subprocess.run(["openssl", *how], stdout=subprocess.PIPE, timeout=TIMEOUT,
                                  check=True).stdout
        return {COSIGN_SIGNATURE: base64.b64encode(made).decode()}


class Signing:
    """peers: the tools, which know the folder by the same path."""

    def __init__(self, peers, folder):
        self.peers, self.folder = peers, folder
        self.lookaside = self.path("lookaside")
        self.gnupg = self.path("gnupg")
        os.makedirs(self.lookaside)
        os.mkdir(self.gnupg, 0o700)
        self.env = {"GNUPGHOME": self.gnupg, "COSIGN_PASSWORD": PASSWORD, "SIGSTORE_NO_CACHE": "1",
                    "CONTAINERS_REGISTRIES_CONF": os.devnull}
        self.passphrase = self.write("passphrase", PASSWORD)
        self.accept = self.policy(policy(ACCEPT), "accept.json")
        self._count = 0

    def close(self):
        self.peers.run("gpgconf", "--kill", "all", env=self.env)

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def write(self, name, data):
        with open(self.path(name), "wb") as f:
            f.write(data if isinstance(data, bytes) else data.encode())
        return self.path(name)

    def run(self, *argv):
        return self.peers.good(*argv, env=self.env)

    # ---- configuration ----

    def policy(self, text, name=None):
        """The path of a policy. text: a value, or the bytes as they are."""
        if name is None:
            self._count += 1
            name = f"policy-{self._count}.json"
        return self.write(name, text if isinstance(text, (bytes, str)) else json.dumps(text))

    def registries_d(self, name="registries.d", section=None, **files):
        """A folder for --registries.d, made once. Without files (name=text): one, whose section
        goes for every registry, and by default names the lookaside and asks for attachments."""
        folder = self.path(name)
        if not os.path.isdir(folder):
            os.mkdir(folder)
            section = section or {"lookaside": "file://" + self.lookaside, "use-sigstore-attachments": True}
            for file, text in (files or {"default": {"default-docker": section}}).items():
                text = text if isinstance(text, str) else json.dumps(text)  # JSON is YAML
                self.write(os.path.join(name, file + ".yaml"), text)
        return folder

    # ---- keys ----

    def gpg(self, *argv):
        return self.run("gpg", "--batch", "--yes", "--pinentry-mode", "loopback", "--passphrase", "", *argv)

    def gpg_key(self, name, algorithm="ed25519", expires="0"):
        user = f"{name} <{name}@example.com>"
        self.gpg("--quick-gen-key", user, algorithm, "sign", expires)
        rows = self.gpg("--with-colons", "--list-keys", "=" + user).splitlines()
        fingerprint = next(row.split(":")[9] for row in rows if row.startswith("fpr:"))
        public = self.path(name + ".gpg")
        self.gpg("--armor", "--output", public, "--export", fingerprint)
        return GpgKey(name, fingerprint, public)

    def cosign_key(self, name, cosign=("cosign",)):
        """By cosign itself; skopeo reads it too."""
        self.run(*cosign, "generate-key-pair", "--output-key-prefix", self.path(name))
        return SigstoreKey(name, self.path(name + ".pub"), self.path(name + ".key"))

    def openssl_key(self, name, *options):
        """For payloads no tool would sign. options: of openssl genpkey."""
        options = options or ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")
        pem, public = self.path(name + ".pem"), self.path(name + ".pub")
        for argv in (("genpkey", *options, "-out", pem), ("pkey", "-in", pem, "-pubout", "-out", public)):
            subprocess.run(["openssl", *argv], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                           timeout=TIMEOUT, check=True)
        return SigstoreKey(name, public, pem=pem)

    # ---- signing ----

    def gpg_sign(self, key, data, *options):
        """A message of OpenPGP with the data inside. options: of gpg, --sign by default."""
        self._count += 1
        source, target = self.write(f"message-{self._count}", data), self.path(f"signed-{self._count}")
        self.gpg("--local-user", key.fingerprint, "--output", target, *(options or ("--sign",)), source)
        with open(target, "rb") as f:
            return f.read()

    def standalone_sign(self, manifest, reference, key):
        """skopeo's: a simple signature of a manifest's bytes under a name."""
        self._count += 1
        source, target = self.write(f"manifest-{self._count}", manifest), self.path(f"signed-{self._count}")
        self.run("skopeo", "standalone-sign", "--output", target, source, reference, key.fingerprint)
        with open(target, "rb") as f:
            return f.read()

    def lay(self, repository, digest, *signatures, lookaside=None):
        """Signatures into the lookaside, numbered from 1; their folder. repository: without host."""
        folder = os.path.join(lookaside or self.lookaside, repository + "@" + digest.replace(":", "="))
        os.makedirs(folder, exist_ok=True)
        for number, data in enumerate(signatures, len(os.listdir(folder)) + 1):
            with open(os.path.join(folder, f"signature-{number}"), "wb") as f:
                f.write(data)
        return folder

    def skopeo_push(self, source, target, gpg=None, sigstore=None, *options):
        """Copies an image into a registry, signing it on the way; its digest."""
        options = list(options)
        if gpg:
            options += ["--sign-by", gpg.fingerprint]
        if sigstore:
            options += ["--sign-by-sigstore-private-key", sigstore.private, "--sign-passphrase-file",
                        self.passphrase]
        self._count += 1
        digest = self.path(f"digest-{self._count}")
        self.run("skopeo", "--policy", self.accept, "--registries.d", self.registries_d(), "copy", "--quiet",
                 "--dest-tls-verify=false", "--digestfile", digest, *options, source, "docker://" + target)
        with open(digest, encoding="ascii") as f:
            return f.read()

    def cosign_sign(self, reference, key, *options, cosign=("cosign",)):
        """reference: with a digest. The image sha256-….sig."""
        self.run(*cosign, "sign", "--yes", "--key", key.private, "--tlog-upload=false",
                 "--allow-http-registry", *options, reference)

    def cosign_bundle(self, reference, key, cosign, *options):
        """A sigstore bundle as a referrer; cosign: the third."""
        self.cosign_sign(reference, key, "--use-signing-config=false", "--new-bundle-format=true",
                         *options, cosign=cosign)

    # ---- judging, by others ----

    def skopeo_judges(self, policy_path, reference, registries_d=None):
        """What containers/image says of an image in a registry: "allow", "deny" or "malformed"
        (the policy), and its words. From several threads at once, if need be."""
        with tempfile.TemporaryDirectory(dir=self.folder) as copy:
            # Signatures that nobody looked at would be copied too, and may be none.
            done = self.peers.run("skopeo", "--policy", policy_path, "--registries.d",
                                  registries_d or self.registries_d(), "copy", "--quiet",
                                  "--remove-signatures", "--src-tls-verify=false",
                                  "docker://" + reference, "dir:" + copy, env=self.env)
        said = done.stdout.strip()
        if done.returncode == 0:
            return "allow", said
        if "Source image rejected" in said:
            return "deny", said
        if "invalid policy in" in said or "Error loading trust policy" in said:
            return "malformed", said
        return "error", said
