#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Tries what a newcomer does: the committed tree on a Debian with nothing installed.
#
#   tests/support/clean_machine.sh SUITE [VERB...]      as root; needs debootstrap and git
#
# Makes the smallest Debian SUITE (bookworm, trixie) in a folder of TMPDIR (/var/tmp), clones HEAD
# into it and runs ./dev VERB for each (demo, then test, when none is named; quote a verb that has
# arguments: "test -R unit") with that folder as root and an empty environment. CHROOT=1 keeps to a
# plain chroot, where some tests skip. The mirror is that of this machine's apt, or MIRROR. Mounts
# live in namespaces of the trial's own; nothing is left behind.
set -euo pipefail
repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

say() { printf '\n== %s\n' "$*" >&2; }

mirror_of_this_machine() {
    apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Label: Debian' | sort -u | head -n 1
}

# Everything below ROOT is the fresh machine.
make_machine() { # ROOT SUITE
    debootstrap --variant=minbase "$2" "$1" ${MIRROR:+"$MIRROR"} >"$1.log" || { tail -n 20 "$1.log"; return 1; }
    cp /etc/resolv.conf "$1/etc/resolv.conf"
    # What this machine needs to reach its mirror, a proxy for one.
    apt-config dump | grep -E '^Acquire::(https?::|Check-)' >"$1/etc/apt/apt.conf.d/99host" || true
    git clone --quiet --no-hardlinks "$repository" "$1/root/sluice"
}

enter_machine() { # ROOT
    [ -n "${CHROOT:-}" ] || mount --bind "$1" "$1"
    mount -t proc proc "$1/proc"
    mount --rbind /sys "$1/sys"
    mount --rbind /dev "$1/dev"
    [ -n "${CHROOT:-}" ] && return
    # The documented way to need no folder for the old root: it comes to lie upon the new one.
    cd "$1"
    pivot_root . .
    umount -l .
    cd /
}

run_verbs() { # CHROOT VERB...
    local root=${1:-/} verb started
    shift
    for verb in "$@"; do
        started=$SECONDS
        say "./dev $verb"
        # shellcheck disable=SC2086 # a verb may have arguments
        env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM="${TERM:-dumb}" \
            chroot "$root" /root/sluice/dev $verb </dev/null || { say "./dev $verb: FAILED (exit $?)"; return 1; }
        say "./dev $verb: passed in $((SECONDS - started)) s"
    done
}

# The second half of the script, in its own mount and process namespaces.
if [ "${1:-}" = --inside ]; then
    root=$2
    shift 2
    enter_machine "$root"
    run_verbs "${CHROOT:+$root}" "$@"
    exit
fi

[ $# -gt 0 ] || { sed -n '3,10s/^# \{0,1\}//p' "$0" >&2; exit 2; }
[ "$(id -u)" -eq 0 ] || { echo "a chroot needs root" >&2; exit 1; }
suite=$1
shift
[ $# -gt 0 ] || set -- demo test
MIRROR=${MIRROR:-$(mirror_of_this_machine)}
work=$(mktemp -d "${TMPDIR:-/var/tmp}/sluice-clean.XXXXXX")
# The mounts died with their namespace; --one-file-system is the belt to these braces.
trap 'rm -rf --one-file-system "$work"' EXIT
trap 'exit 130' INT TERM

say "a fresh $suite from ${MIRROR:-the default mirror}"
make_machine "$work/root" "$suite"
unshare --mount --propagation private --pid --fork --kill-child "$0" --inside "$work/root" "$@"
