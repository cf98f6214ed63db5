#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The rival made of shell: fetches, decrypts, inflates and unpacks each layer of an image, one
# after the other, and checks blob digest, MAC and diff_id on the way by tee ("checked"), or
# believes everything ("unchecked").
#
#   pull_pipeline.sh checked|unchecked REPOSITORY_URL DEST < layers
#
# One line of "gzip|zstd digest diff_id key nonce mac" for each layer, in hex; "- - -" if not
# encrypted.
set -euo pipefail
mode=$1 repository=$2 dest=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkfifo "$work"/{blob,mac,plain}

check() { # FILE EXPECTED WHAT
    [ "$(cut -c1-64 "$1")" = "$2" ] || { echo "layer: $3 differs" >&2; exit 3; }
}

fetch() { curl -sSf "$repository/blobs/sha256:$digest"; }
decrypt() { openssl enc -d -aes-256-ctr -K "$key" -iv "$nonce" -bufsize 65536; }
inflate() { if [ "$packed" = zstd ]; then exec zstd -dcq; else exec igzip -dc; fi; }
unpack() { tar -C "$tree" -xf - --xattrs --xattrs-include='*'; }

pull_unchecked() {
    if [ "$key" = - ]; then fetch | inflate | unpack; else fetch | decrypt | inflate | unpack; fi
}

pull_checked() {
    local sums=()
    openssl dgst -sha256 -r <"$work/blob" >"$work/blob.sum" & sums+=($!)
    openssl dgst -sha256 -r <"$work/plain" >"$work/plain.sum" & sums+=($!)
    if [ "$key" = - ]; then
        fetch | tee "$work/blob"
    else
        openssl dgst -sha256 -mac HMAC -macopt "hexkey:$key" -r <"$work/mac" >"$work/mac.sum" &
        sums+=($!)
        fetch | tee "$work/blob" "$work/mac" | decrypt
    fi | inflate | tee "$work/plain" | unpack
    wait "${sums[@]}"
    check "$work/blob.sum" "$digest" "digest"
    check "$work/plain.sum" "$diff_id" "diff_id"
    [ "$key" = - ] || check "$work/mac.sum" "$mac" "MAC"
}

while read -r packed digest diff_id key nonce mac; do
    tree=$dest/$diff_id
    mkdir -p "$tree"
    "pull_$mode"
done
