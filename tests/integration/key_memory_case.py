# SPDX-License-Identifier: Apache-2.0
"""What looks for keys in memory: the forms in which a key may lie there, and runs of the program, of
the release build too if there is one, that are looked through when they end."""
import base64
import os
import shutil

from cryptography.hazmat.primitives import serialization

from sluice_case import SLUICE, SluiceCase
from process_memory import AtExit

RELEASE = os.environ.get("SLUICE_RELEASE", "")
PROGRAMS = [SLUICE, *([RELEASE] if os.path.exists(RELEASE) else [])]
# As much of a key as is surely no accident. A freed block's first words are the allocator's.
PIECE = 16


def pieces(name, data):
    return {f"{name}[{i}]": data[i:i + PIECE] for i in range(0, len(data) - PIECE + 1, PIECE)}


def forms(name, key):
    """A symmetric key as it is, as text, and as HMAC mixes it into its pads."""
    return {**pieces(name, key),
            **pieces(name + " in base64", base64.b64encode(key)),
            **pieces(name + " in base64url", base64.urlsafe_b64encode(key)),
            **pieces(name + " in the inner pad", bytes(b ^ 0x36 for b in key)),
            **pieces(name + " in the outer pad", bytes(b ^ 0x5c for b in key))}


def text_forms(name, text, secret):
    """A text that holds a secret, as it is, in base64, and as a list of numbers: the pieces that
    tell something of the secret."""
    first = text.index(secret)
    last = first + len(secret)
    whole = {"": (text, lambda at: at),
             " in base64": (base64.b64encode(text), lambda at: at * 4 // 3),
             " in numbers": (",".join(map(str, text)).encode(),
                             lambda at: len(",".join(map(str, text[:at]))))}
    found = {}
    for form, (data, place) in whole.items():
        found.update(pieces(name + form, data[place(first) + 2:place(last) - 2]))
    return found


def number_forms(name, number):
    size = (number.bit_length() + 7) // 8
    return {**pieces(name, number.to_bytes(size, "big")),
            **pieces(name + " in words", number.to_bytes(size, "little"))}


def private_forms(key, pem):
    """A private RSA key: its file, what the armour holds, and its numbers."""
    lines = pem.splitlines()[1:-1]
    numbers = key.private_numbers()
    needles = {f"line {i} of the private key": line for i, line in enumerate(lines)
               if len(line) == 64}
    needles.update(pieces("the private key in DER", base64.b64decode(b"".join(lines))))
    public = key.public_key().public_bytes(serialization.Encoding.DER,
                                           serialization.PublicFormat.SubjectPublicKeyInfo)
    for name in ("d", "p", "q", "dmp1", "dmq1", "iqmp"):
        needles.update(number_forms("RSA's " + name, getattr(numbers, name)))
    # The file holds the public half too, cut at other places.
    return {name: needle for name, needle in needles.items() if not shared(needle, public)}


def shared(needle, public):
    text = base64.b64encode(public)
    modulus = public[-1:0:-1]
    return needle in public or needle in text or needle in modulus


class KeyMemory(SluiceCase):
    def for_anybody(self, program):
        """A copy that other users can run: the tree may lie in root's own folder."""
        place = os.path.join(self.shared, f"program-{PROGRAMS.index(program)}")
        if not os.path.exists(place):
            shutil.copy(program, place)
            os.chmod(place, 0o755)
        return place

    def at_exit(self, program, *args, expect=0, extra=None, **kwargs):
        argv = [program, *self.command(*args)[1:]]
        # Memory that the sanitizer keeps from use is looked at as well.
        env = self.environment(ASAN_OPTIONS="detect_leaks=0", **(extra or {}))
        process = AtExit(argv, env, **kwargs)
        process.__enter__()  # pylint: disable=unnecessary-dunder-call
        self.addCleanup(process.__exit__)
        self.assertEqual(process.status, expect, process.said())
        return process

    def assert_absent(self, process, needles):
        found = process.find(needles)
        self.assertFalse(found, "\n".join(
            f"{name}: {places[0]}" for name, places in list(found.items())[:20]))

    def assert_forgotten(self, needles, *args, verb=("pull", "--insecure-policy"), **kwargs):
        """needles may be a function that finds out what the run has made up."""
        for program in PROGRAMS:
            with self.subTest(program=program):
                shutil.rmtree(self.root, ignore_errors=True)
                process = self.at_exit(program, *verb, "--quiet", *args, **kwargs)
                # What is there, is found: the arguments lie on the stack.
                marker = {"marker": args[-1].encode()}
                self.assertIn("marker", process.find(marker))
                self.assert_absent(process, needles() if callable(needles) else needles)
