#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The rival made of shell: fetches, decrypts, inflates and unpacks each layer of an image, one
# after the other, and checks blob digest, MAC and diff_id on the way by tee.
#
#   pull_pipeline.sh REPOSITORY_URL DEST < layers
#
# One line of "digest diff_id key nonce mac" for each layer, in hex; "- - -" if not encrypted.
set -euo pipefail
repository=$1 dest=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkfifo "$work"/{blob,mac,plain}

check() { # FILE EXPECTED WHAT
    [ "$(cut -c1-64 "$1")" = "$2" ] || { echo "layer: $3 differs" >&2; exit 3; }
}

while read -r digest diff_id key nonce mac; do
    tree=$dest/$diff_id
    mkdir -p "$tree"
    sums=()
    openssl dgst -sha256 -r <"$work/blob" >"$work/blob.sum" & sums+=($!)
    openssl dgst -sha256 -r <"$work/plain" >"$work/plain.sum" & sums+=($!)
    if [ "$key" = - ]; then
        curl -sSf "$repository/blobs/sha256:$digest" | tee "$work/blob"
    else
        openssl dgst -sha256 -mac HMAC -macopt "hexkey:$key" -r <"$work/mac" >"$work/mac.sum" &
        sums+=($!)
        curl -sSf "$repository/blobs/sha256:$digest" | tee "$work/blob" "$work/mac" |
            openssl enc -d -aes-256-ctr -K "$key" -iv "$nonce" -bufsize 65536
    fi | igzip -dc | tee "$work/plain" | tar -C "$tree" -xf - --xattrs --xattrs-include='*'
    wait "${sums[@]}"
    check "$work/blob.sum" "$digest" "digest"
    check "$work/plain.sum" "$diff_id" "diff_id"
    [ "$key" = - ] || check "$work/mac.sum" "$mac" "MAC"
done
