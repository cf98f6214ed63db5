#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Tries what an administrator does: builds the Debian packages, installs them on a fresh Debian that
# has systemd, starts the service, pulls, upgrades, removes.
#
#   tests/support/package_machine.sh [SUITE]      as root; needs mmdebstrap and git
#
# The packages are built from the committed tree, twice, and must be the same; lintian must be content.
# The machines are folders of TMPDIR (/var/tmp); what is done on the one that boots is told by
# package_machine.py. PACKAGES=DIR keeps the packages there, MACHINES=DIR the fresh machines for the
# next time. The mirror is that of this machine's apt, or MIRROR.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
repository=$(cd "$here/../.." && pwd)

say() { printf '\n== %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

mirror_of_this_machine() {
    apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Label: Debian' | sort -u | head -n 1
}

# A Debian with nothing but what is named; apt in it reaches what apt reaches here.
make_machine() { # ROOT SUITE PACKAGES
    local kept=${MACHINES:+$MACHINES/$2-${1##*/}.tar}
    mkdir "$1"
    if [ -n "$kept" ] && [ -s "$kept" ]; then
        tar -x -C "$1" -f "$kept" --xattrs --xattrs-include='*'
    else
        mmdebstrap --quiet --variant=minbase --include="$3" "$2" "${kept:-$1}" ${MIRROR:+"$MIRROR"}
        [ -z "$kept" ] || tar -x -C "$1" -f "$kept" --xattrs --xattrs-include='*'
    fi
    cp /etc/resolv.conf "$1/etc/resolv.conf"
    apt-config dump | grep -E '^Acquire::(https?::|Check-)' >"$1/etc/apt/apt.conf.d/99host" || true
}

in_machine() { # ROOT COMMAND...
    local root=$1
    shift
    unshare --mount --propagation private --pid --fork --kill-child sh -c '
        root=$1; shift
        mount -t proc proc "$root/proc" && mount --rbind /dev "$root/dev"
        exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 \
            chroot "$root" "$@"' sh "$root" "$@"
}

# Into the machine's /root/NAME, from a tree of that name: where it lies must not matter.
build_packages() { # ROOT NAME
    mkdir "$1/root/$2"
    git clone --quiet --no-hardlinks "$work/committed" "$1/root/$2/tree"
    in_machine "$1" sh -ec 'cd "/root/$1/tree" && apt-get update -qq && apt-get -y -qq build-dep . && dpkg-buildpackage -b -uc -us' sh "$2" \
        >"$1.log" 2>&1 || { tail -n 60 "$1.log"; die "dpkg-buildpackage failed"; }
    # What building leaves is known to git.
    [ -z "$(git -C "$1/root/$2/tree" status --porcelain)" ] || die "the build leaves files that git does not ignore"
}

check_packages() { # ROOT
    in_machine "$1" sh -ec 'cd /root/sluice && lintian --fail-on error,warning --info *.changes' ||
        die "lintian is not content"
    local package
    for package in "$1"/root/sluice/*.deb; do
        cmp "$package" "$1/root/again/${package##*/}" || die "two builds of ${package##*/} differ"
    done
}

# systemd as the first process of its own namespaces, with only what it needs of a machine. What is
# written to the machine is written to its memory.
boot() { # ROOT
    local root=/run node name major minor
    mount -t tmpfs tmpfs "$root"
    mkdir "$root/upper" "$root/work" "$root/machine"
    mount -t overlay overlay -o "lowerdir=$1,upperdir=$root/upper,workdir=$root/work" "$root/machine"
    cd "$root/machine"
    mount -t proc proc proc
    mount -t sysfs -o ro sysfs sys
    mount -t cgroup2 cgroup2 sys/fs/cgroup
    mount --bind proc/sys proc/sys && mount -o remount,bind,ro proc/sys # those of the net are the host's
    mount -t tmpfs tmpfs run
    mount -t tmpfs tmpfs dev
    for node in null:1:3 zero:1:5 full:1:7 random:1:8 urandom:1:9 tty:5:0; do
        IFS=: read -r name major minor <<<"$node"
        mknod -m 666 "dev/$name" c "$major" "$minor"
    done
    mkdir dev/pts dev/shm
    mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
    ln -s pts/ptmx dev/ptmx
    mount -t tmpfs tmpfs dev/shm
    pivot_root . .
    umount -l .
    exec env -i container=other ${NOTIFY_SOCKET:+NOTIFY_SOCKET="$NOTIFY_SOCKET"} PATH=/usr/sbin:/usr/bin:/sbin:/bin \
        /lib/systemd/systemd --unit=multi-user.target --show-status=no
}

# The second half of the script, in its own namespaces.
if [ "${1:-}" = --boot ]; then
    boot "$2"
fi

[ "$(id -u)" -eq 0 ] || { echo "skipped: a fresh machine needs root"; exit 77; }
for program in mmdebstrap git docker-registry skopeo openssl; do
    command -v "$program" >/dev/null || { echo "skipped: needs $program"; exit 77; }
done
suite=${1:-bookworm}
MIRROR=${MIRROR:-$(mirror_of_this_machine)}
work=$(mktemp -d "${TMPDIR:-/var/tmp}/sluice-package.XXXXXX")
trap 'rm -rf --one-file-system "$work"' EXIT
trap 'exit 130' INT TERM

say "building the packages on a fresh $suite"
git clone --quiet --no-hardlinks --bare "$repository" "$work/committed" # somebody may commit meanwhile
make_machine "$work/build" "$suite" build-essential,devscripts,lintian,git,ca-certificates
build_packages "$work/build" sluice
build_packages "$work/build" again
mkdir "$work/packages"
cp "$work"/build/root/sluice/*.deb "$work/packages"
[ -z "${PACKAGES:-}" ] || { mkdir -p "$PACKAGES" && cp "$work"/packages/*.deb "$PACKAGES"; }
check_packages "$work/build"
rm -rf --one-file-system "$work/build"

say "installing them on another, which boots"
make_machine "$work/machine" "$suite" systemd,systemd-sysv,dbus,man-db,ca-certificates
rm -f "$work/machine/etc/dpkg/dpkg.cfg.d/docker" # where manual pages are left out
# What they depend on is only fetched: each boot installs anew.
cp "$work"/packages/{sluice,libsluice0,libsluice-dev}_*.deb "$work/machine/root"
in_machine "$work/machine" sh -ec 'apt-get update -qq && apt-get install -y -qq --no-install-recommends --download-only /root/*.deb' \
    >"$work/fetch.log" 2>&1 || { tail -n 30 "$work/fetch.log"; die "apt cannot have what the packages depend on"; }
rm "$work"/machine/root/*.deb
/usr/bin/python3 "$here/package_machine.py" "$work/machine" "$work/packages"
say "passed"
