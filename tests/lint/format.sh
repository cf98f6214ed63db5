#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Every C file is formatted as .clang-format says, and names its licence in the first line.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
command -v clang-format >/dev/null || { echo "clang-format is not installed"; exit 77; }
git ls-files -z '*.c' '*.h' '*.cc' | xargs -0 clang-format --dry-run -Werror
bad=$(git ls-files '*.c' '*.h' '*.cc' '*.cmake' '*CMakeLists.txt' '*.py' '*.sh' dev |
    while read -r f; do head -n 2 "$f" | grep -q 'SPDX-License-Identifier: Apache-2.0' || echo "$f"; done)
[ -z "$bad" ] || { echo "no SPDX line: $bad"; exit 1; }
echo "format: clean"
