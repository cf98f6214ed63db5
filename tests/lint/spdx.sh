#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Code names its licence in its first two lines. Arguments: files; without any, all that git knows.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
[ $# -gt 0 ] || mapfile -t files < <(git ls-files '*.c' '*.h' '*.cc' '*.cmake' '*CMakeLists.txt' '*.py' '*.sh' dev)
[ $# -eq 0 ] || files=("$@")
bad=0
for file in "${files[@]}"; do
    head -n 2 "$file" | grep -q 'SPDX-License-Identifier: Apache-2.0' && continue
    echo "$file: no SPDX line"
    bad=1
done
exit "$bad"
