#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How many keys a second sluice keyprovider unwraps, over one connection of each kind."""
import argparse
import base64
import json
import os
import pathlib
import subprocess
import tempfile

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

BIN = pathlib.Path(__file__).resolve().parent.parent / "build/bin"
KID = "kbs:///default/key/key_id1"


def b64(data):
    return base64.b64encode(data).decode()


def make_request(kek):
    private = {"symkey": b64(os.urandom(32)), "digest": "sha256:" + "0" * 64,
               "cipheroptions": {"nonce": b64(os.urandom(16))}}
    iv = os.urandom(12)
    packet = {"kid": KID, "wrapped_data": b64(AESGCM(kek).encrypt(iv, json.dumps(private).encode(), b"")),
              "iv": b64(iv), "wrap_type": "A256GCM"}
    dc = {"Parameters": {"attestation-agent": [b64(b"offline_fs_kbc::null")]}}
    return {"op": "keyunwrap", "keywrapparams": {"ec": None, "optsdata": None},
            "keyunwrapparams": {"dc": dc, "annotation": b64(json.dumps(packet).encode())}}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=20000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sluice-keyprovider-") as work:
        kek, keys, request = os.urandom(32), f"{work}/keys.json", f"{work}/request.json"
        pathlib.Path(keys).write_text(json.dumps({"default/key/key_id1": b64(kek)}))
        pathlib.Path(request).write_text(json.dumps(make_request(kek)))
        server = subprocess.Popen(
            [BIN / "sluice", "keyprovider", "--listen", "grpc://127.0.0.1:0", "--listen",
             f"ttrpc+unix://{work}/kp.sock", "--offline-keys", keys], stdout=subprocess.PIPE, text=True)
        try:
            grpc = server.stdout.readline().strip().removeprefix("grpc://")
            server.stdout.readline()
            for protocol, target in (("grpc", grpc), ("ttrpc", f"unix://{work}/kp.sock")):
                done = subprocess.run([BIN / "keyprovider_load", protocol, target, request, str(options.calls)],
                                      stdout=subprocess.PIPE, text=True, check=True)
                print(f"{protocol}: {done.stdout}", end="", flush=True)
        finally:
            server.terminate()
            server.wait()


if __name__ == "__main__":
    main()
