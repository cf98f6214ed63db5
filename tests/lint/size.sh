#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# No large files: test data is made by the tests. Arguments: files.
set -euo pipefail
limit_kib=256
bad=0
for file in "$@"; do
    [ "$(stat -c %s "$file")" -le $((limit_kib * 1024)) ] && continue
    echo "$file: more than $limit_kib KiB"
    bad=1
done
exit "$bad"
