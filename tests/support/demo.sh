#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The whole story with real parts: an image of Debian packages, encrypted by skopeo, served by
# docker-registry, pulled by sluice, and a program run inside it. Leaves nothing behind.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
sluice=$PWD/build/bin/sluice

say() { printf '\n\033[1m== %s\033[0m\n' "$*"; }

[ "$(id -u)" -eq 0 ] || { echo "the demo mounts file systems: run it as root" >&2; exit 1; }
work=$(mktemp -d /tmp/sluice-demo.XXXXXX)
registry_pid=
cleanup() {
    "$sluice" unmount --root "$work/store" "$work/bundle" 2>/dev/null || true
    [ -z "$registry_pid" ] || kill "$registry_pid" 2>/dev/null || true
    umount "$work" 2>/dev/null || umount -l "$work"
    rmdir "$work"
}
# A file system of our own: the store needs one that overlayfs can write to, /tmp may not be.
mount -t tmpfs -o mode=0700 sluice-demo "$work"
trap cleanup EXIT
trap 'exit 130' INT TERM

make_layers() {
    # Whatever mirror and release this machine uses.
    local mirror suite
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | head -n 1)
    suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
    [ -n "$mirror" ] || { apt-get update -q; mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | head -n 1); }
    mmdebstrap --quiet --variant=essential "$suite" "$work/base.tar" "$mirror"
    mkdir -p "$work/debs" "$work/python" "$work/app/srv" "$work/app/usr/share"
    (cd "$work/debs" && apt-get -q download -o APT::Sandbox::User=root \
        $(apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks \
            --no-replaces --no-enhances python3-minimal | grep -E '^((lib)?python3[.0-9]*-?(minimal|stdlib)?|libexpat1)$' | sort -u) >/dev/null 2>&1)
    for deb in "$work"/debs/*.deb; do dpkg-deb -x "$deb" "$work/python"; done
    # Packages may still ship /lib, where the base has a link to usr/lib.
    if [ -d "$work/python/lib" ]; then
        cp -a "$work/python/lib" "$work/python/usr/" && rm -r "$work/python/lib"
    fi
    cat >"$work/app/srv/hello.py" <<'PY'
import os, platform, sys
print("hello from", open("/etc/os-release").readline().split("=")[1].strip(),
      "python", platform.python_version(), "in", os.getcwd())
print("documentation was removed by the last layer:", not os.path.exists("/usr/share/doc"))
PY
    : >"$work/app/usr/share/.wh.doc"
    tar -C "$work/python" --numeric-owner --xattrs -cf "$work/python.tar" .
    tar -C "$work/app" --numeric-owner -cf "$work/app.tar" srv usr
}

make_image() {
    local layer
    umoci init --layout "$work/layout"
    umoci new --image "$work/layout:demo"
    for layer in base python app; do
        umoci raw add-layer --image "$work/layout:demo" "$work/$layer.tar"
        rm "$work/$layer.tar"
    done
    umoci config --image "$work/layout:demo" --config.workingdir /srv \
        --config.cmd python3 --config.cmd /srv/hello.py
    openssl genrsa -out "$work/key.pem" 2048 2>/dev/null
    openssl rsa -in "$work/key.pem" -pubout -out "$work/key.pub" 2>/dev/null
}

start_registry() {
    # Port 0 would be best, but the registry does not tell which one it got.
    local port tries
    for tries in 1 2 3 4 5; do
        port=$((20000 + RANDOM % 40000))
        cat >"$work/registry.yml" <<YML
version: 0.1
log: {level: error}
storage: {filesystem: {rootdirectory: $work/registry}}
http: {addr: "127.0.0.1:$port"}
YML
        docker-registry serve "$work/registry.yml" >"$work/registry.log" 2>&1 &
        registry_pid=$!
        if curl -s --retry 50 --retry-delay 0 --retry-max-time 10 --retry-connrefused -o /dev/null "http://127.0.0.1:$port/v2/" &&
            kill -0 "$registry_pid" 2>/dev/null; then
            registry=127.0.0.1:$port
            return
        fi
    done
    cat "$work/registry.log"
    exit 1
}

say "an image of three layers, made from Debian packages"
make_layers
make_image
umoci stat --image "$work/layout:demo" | head -n 12

say "pushed to docker-registry, encrypted by skopeo (JWE)"
start_registry
skopeo copy --quiet --dest-tls-verify=false --encryption-key "jwe:$work/key.pub" \
    "oci:$work/layout:demo" "docker://$registry/demo:1"
"$sluice" inspect --tls-verify=false "docker://$registry/demo:1" |
    jq -r '.LayersData[] | "\(.Digest[0:19])  \(.Size) bytes  \(.MIMEType)"'

say "without the key"
"$sluice" pull --root "$work/store" --insecure-policy --tls-verify=false --quiet \
    "docker://$registry/demo:1" "$work/bundle" || echo "(exit $?)"

say "with the key"
"$sluice" pull --root "$work/store" --insecure-policy --tls-verify=false --stats \
    --decryption-key "$work/key.pem" "docker://$registry/demo:1" "$work/bundle"

say "a program inside the root file system"
args=$(jq -r '.process.args | @sh' "$work/bundle/config.json")
eval "set -- $args"
(cd "$work/bundle" && chroot rootfs /bin/sh -c 'cd /srv && exec "$@"' sh "$@")

say "again: nothing is downloaded twice"
"$sluice" pull --root "$work/store" --insecure-policy --tls-verify=false --stats \
    --decryption-key "$work/key.pem" "docker://$registry/demo:1"
"$sluice" images --root "$work/store"

say "cleaning up"
