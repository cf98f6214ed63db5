#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every key of the configuration is in its manual and in the file that is installed, with the
default it has, and they have no others."""
import pathlib
import re
import sys
import tomllib

ROOT = pathlib.Path(__file__).resolve().parents[2]
# What the installed file need not show: it means nothing, or is a longer form of what it shows.
NOT_SHOWN = {"image.default_snapshot", "image.anonymous_fallback_on_unauthorized", "image.kbc",
             "image.kbs_uri", "services_dir", "skip_sealed_secret_verification", "kbc.kbs_cert",
             "image.image_security_policy", "image.sigstore_config", "image.registry_config"}


def table():
    text = (ROOT / "config/keys.def").read_text()
    found = re.findall(r'^CONFIG_KEY\(\w+, "([a-z0-9_.]+)", (\w+), \w+, (NULL|"[^"]*")', text, re.M)
    return {name: (kind, None if default == "NULL" else default.strip('"'))
            for name, kind, default in found}


def leaves(tree, prefix=""):
    for name, value in tree.items():
        if isinstance(value, dict) and prefix + name != "image.registry_config":
            yield from leaves(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def shown(value):
    if isinstance(value, bool):
        return str(value).lower()
    return str(value[0] if isinstance(value, list) and value else value)


def check_manual(keys, complain):
    page = (ROOT / "cli/man/sluice.conf.5.md").read_text()
    page = page[page.index("# KEYS OF THE HUB"):page.index("# EXAMPLES")]
    named = set()
    for line in page.splitlines():
        if line.startswith("**"):
            named |= set(re.findall(r"\*\*([a-z0-9_.]+)\*\*", line))
    for key in sorted(set(keys) - named):
        complain(f"{key}: not in sluice.conf(5)")
    for key in sorted(named - set(keys)):
        complain(f"{key}: in sluice.conf(5) only")


def check_installed(keys, complain):
    text = (ROOT / "packaging/sluiced.toml").read_text()
    both = dict(leaves(tomllib.loads(re.sub(r"(?m)^#{1,2}(?=[a-z\[])", "", text))))
    defaults = dict(leaves(tomllib.loads(re.sub(r"(?m)^#(?=[a-z\[])", "", text))))
    for key in sorted(set(keys) - NOT_SHOWN - set(both)):
        complain(f"{key}: not in sluiced.toml")
    for key in sorted(set(both) - set(keys)):
        complain(f"{key}: in sluiced.toml only")
    for key, value in defaults.items():
        default = keys[key][1] if key in keys else None
        if key in keys and value != [] and shown(value) != default:
            complain(f"{key}: {value} in sluiced.toml, the default is {default}")


def main():
    problems = []
    keys = table()
    check_manual(keys, problems.append)
    check_installed(keys, problems.append)
    print("\n".join(problems) if problems else "config: clean")
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
