#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The lines that the staged change adds are formatted as .clang-format says; others are left alone.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
bad=0
while read -r file; do
    mapfile -t lines < <(git diff --cached -U0 -- "$file" |
        sed -n 's/^@@ -[^+]*+\([0-9]*\)\(,\([0-9]*\)\)\? @@.*/\1 \3/p' |
        while read -r start count; do
            [ "${count:-1}" -eq 0 ] || echo "--lines=$start:$((start + ${count:-1} - 1))"
        done)
    [ ${#lines[@]} -eq 0 ] && continue
    git show ":$file" | clang-format --dry-run -Werror --assume-filename="$file" "${lines[@]}" || bad=1
done < <(git diff --cached --name-only --diff-filter=ACMR -- '*.c' '*.h' '*.cc')
exit "$bad"
