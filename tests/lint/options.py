#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every option and verb of the program is in the man page, and the page has no others."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]


def main():
    table = (ROOT / "cli/options.def").read_text()
    options = set(re.findall(r'^OPTION\(\w+, "([a-z0-9.-]+)"', table, re.M))
    verbs = set(re.findall(r'^    \{"([a-z]+)", VERB_', (ROOT / "cli/main.c").read_text(), re.M))
    page = (ROOT / "cli/man/sluice.1.md").read_text()
    page_options = set(re.findall(r"^\*\*--([a-z0-9.-]+)", page, re.M))
    verbs_section = page.split("# VERBS")[1].split("# OPTIONS")[0]
    page_verbs = set(re.findall(r"^\*\*([a-z]+)\*\*", verbs_section, re.M))
    problems = [f"--{o}: not in the man page" for o in sorted(options - page_options)]
    problems += [f"--{o}: in the man page only" for o in sorted(page_options - options)]
    problems += [f"verb {v}: not in the man page" for v in sorted(verbs - page_verbs)]
    problems += [f"verb {v}: in the man page only" for v in sorted(page_verbs - verbs)]
    print("\n".join(problems) if problems else "options: clean")
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
