#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Every C file is formatted as .clang-format says, and names its licence in the first line.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
command -v clang-format >/dev/null || { echo "clang-format is not installed"; exit 77; }
git ls-files -z '*.c' '*.h' '*.cc' | xargs -0 clang-format --dry-run -Werror
tests/lint/spdx.sh
echo "format: clean"
