#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Folders are layers: who may include whom, who may link whom, and who may publish."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
TRADES = ["registry", "crypto", "decompress", "snapshot", "security", "rpc"]
MAY_USE = {"core": set()}
MAY_USE.update({trade: {"core"} for trade in TRADES})
MAY_USE["pipeline"] = {"core", *TRADES}
MAY_USE["api"] = {"pipeline", *MAY_USE["pipeline"]}
# Whoever is above the face sees none of the roof behind it.
MAY_USE["config"] = {"core", "rpc", "security"}  # the forms of addresses and of resources
MAY_USE["service"] = {"api", "config", *MAY_USE["pipeline"]}
MAY_USE["cli"] = {"service", *MAY_USE["service"]}

# Calls that only one file may make.
ONLY_IN = {
    "sl_layer_commit": {"snapshot/layer_commit.c", "pipeline/commit_gate.c"},
    "sl_image_commit": {"snapshot/image_store.c", "pipeline/commit_gate.c"},
    "sl_gate_open": {"pipeline/commit_gate.c", "pipeline/pull_verdict.c"},
    "sl_approve_insecurely": {"security/policy_judge.c", "pipeline/image_judgement.c"},
}
# What others install and include.
FACE = "api/include/sluice.h"
BANNED = re.compile(r"\b(sprintf|strcpy|strcat|atoi|alloca|system|tmpnam|gets)\s*\(")


def header_owners():
    owners = {}
    for module in MAY_USE:
        for header in (ROOT / module / "include").rglob("*.h"):
            owners[str(header.relative_to(ROOT / module / "include"))] = module
    return owners


def code_lines(path):
    """Lines without comments and string contents, so that prose cannot trip a rule."""
    text = path.read_text()
    text = re.sub(r"/\*.*?\*/", lambda m: "\n" * m.group().count("\n"), text, flags=re.S)
    text = re.sub(r"//[^\n]*", "", text)
    return text.split("\n")


def check_file(module, path, owners, complain):
    name = str(path.relative_to(ROOT))
    for number, line in enumerate(code_lines(path), 1):
        where = f"{name}:{number}"
        include = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
        if include:
            owner = owners.get(include.group(1))
            if name == FACE:
                complain(f"{where}: what others install includes nothing of ours")
            if owner and owner != module and owner not in MAY_USE[module]:
                complain(f"{where}: {module} must not include {owner}: {include.group(1)}")
            if ".." in include.group(1):
                complain(f"{where}: include by a path upwards")
            continue
        code = re.sub(r'"(\\.|[^"\\])*"', '""', line)
        if BANNED.search(code):
            complain(f"{where}: banned call: {code.strip()}")
        for call, allowed in ONLY_IN.items():
            if re.search(rf"\b{call}\s*\(", code) and path.suffix == ".c" and name not in allowed:
                complain(f"{where}: {call}() belongs to {', '.join(sorted(allowed))}")


def check_links(module, complain):
    text = (ROOT / module / "CMakeLists.txt").read_text()
    for used in re.findall(r"\bsl::(\w+)", text):
        if used not in MAY_USE[module] | {module}:
            complain(f"{module}/CMakeLists.txt: {module} must not link {used}")


def main():
    problems = []
    owners = header_owners()
    for module in MAY_USE:
        folder = ROOT / module
        if not folder.is_dir():
            continue
        if (folder / "CMakeLists.txt").exists():
            check_links(module, problems.append)
        for path in sorted(folder.rglob("*")):
            if path.suffix in {".c", ".h", ".cc"}:
                check_file(module, path, owners, problems.append)
    print("\n".join(problems) if problems else "layers: clean")
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
