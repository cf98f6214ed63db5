#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Every C file names its licence in the first line and is formatted as .clang-format says.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# Versions format differently; this is the one of Debian 12.
judge=14

tests/lint/spdx.sh
version=$(clang-format --version 2>/dev/null | sed -n 's/.*version \([0-9]*\).*/\1/p') || true
[ "$version" = "$judge" ] || { echo "format: skipped: clang-format is ${version:-missing}, not $judge"; exit 77; }
git ls-files -z '*.c' '*.h' '*.cc' | xargs -0 clang-format --dry-run -Werror
echo "format: clean"
