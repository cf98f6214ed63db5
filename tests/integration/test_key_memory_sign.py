#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Neither a signing key nor its passphrase stays in memory, whether it signed or was refused."""
import os
import sys

import sluice_case

try:
    import crafted_image
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa
except ImportError:
    print("skipped: needs python3-cryptography")
    sys.exit(77)
from key_memory_case import KeyMemory, pieces, private_forms
from make_tars import archive, entry

# Of several pieces: the first words of a freed block are the allocator's.
PASSWORD = b"a password that nobody has, and that is longer than anybody's would be"
WRONG = b"another one, which is wrong and is as long, since it shall not be found either"


class SigningKeys(KeyMemory):
    def setUp(self):
        super().setUp()
        self.layout = self.path("layout")
        crafted_image.write_image(self.layout, [crafted_image.Layer(archive(entry(b"file", b"x")))])
        self.key = rsa.generate_private_key(65537, 2048)
        self.pem = self.armour(serialization.NoEncryption())
        self.needles = {**private_forms(self.key, self.pem), **pieces("the passphrase", PASSWORD),
                        **pieces("the wrong one", WRONG)}

    def armour(self, how):
        return self.key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, how)

    def file(self, name, data):
        with open(self.path(name), "wb") as f:
            f.write(data)
        return self.path(name)

    def forgotten(self, key, *options, **kwargs):
        self.assert_forgotten(self.needles, "--key", self.file("key", key), "--sign-identity", "example.com/a:1",
                              *options, f"oci:{self.layout}:latest", verb=("sign",), **kwargs)

    def test_a_plain_key(self):
        self.forgotten(self.pem)

    def test_an_encrypted_key(self):
        sealed = self.armour(serialization.BestAvailableEncryption(PASSWORD))
        self.forgotten(sealed, "--passphrase-file", self.file("passphrase", PASSWORD + b"\n"))
        self.forgotten(sealed, "--passphrase-file", self.file("wrong", WRONG), expect=sluice_case.EXIT_NETWORK)


if __name__ == "__main__":
    os.environ.pop("COSIGN_PASSWORD", None)
    sluice_case.main("openssl")
