#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Tries what an administrator does: builds the Debian packages, installs them on a fresh Debian that
# has systemd, starts the service and asks it something.
#
#   tests/support/package_machine.sh [SUITE]      as root; needs mmdebstrap and git
#
# The packages are built from the committed tree in a clone of its own; lintian must find no error.
# The machine is a folder of TMPDIR (/var/tmp) whose systemd runs in namespaces of its own. With
# PACKAGES=DIR the packages are kept there. The mirror is that of this machine's apt, or MIRROR.
set -euo pipefail
repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

say() { printf '\n== %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

mirror_of_this_machine() {
    apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Label: Debian' | sort -u | head -n 1
}

# A Debian with nothing but what is named; apt in it reaches what apt reaches here.
make_machine() { # ROOT SUITE PACKAGES
    mmdebstrap --quiet --variant=minbase --include="$3" "$2" "$1" ${MIRROR:+"$MIRROR"}
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

build_packages() { # ROOT: into its /root
    git clone --quiet --no-hardlinks "$repository" "$1/root/sluice"
    in_machine "$1" sh -ec 'cd /root/sluice && apt-get -y -qq build-dep . && dpkg-buildpackage -b -uc -us' \
        >"$1.log" 2>&1 || { tail -n 40 "$1.log"; die "dpkg-buildpackage failed"; }
    in_machine "$1" sh -ec 'cd /root && lintian --fail-on error --info *.changes' || die "lintian found errors"
}

# systemd as the first process of its own namespaces, with only what it needs of a machine.
boot() { # ROOT
    local root=$1 node name major minor
    mount --bind "$root" "$root"
    mount -t proc proc "$root/proc"
    mount -t sysfs sysfs "$root/sys"
    mount -t tmpfs tmpfs "$root/run"
    if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
        mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
    else
        mount -t tmpfs tmpfs "$root/sys/fs/cgroup"
        mkdir -p "$root/sys/fs/cgroup/systemd"
        mount -t cgroup -o none,name=systemd cgroup "$root/sys/fs/cgroup/systemd"
    fi
    mount -t tmpfs tmpfs "$root/dev"
    for node in null:1:3 zero:1:5 full:1:7 random:1:8 urandom:1:9 tty:5:0; do
        IFS=: read -r name major minor <<<"$node"
        mknod -m 666 "$root/dev/$name" c "$major" "$minor"
    done
    mkdir "$root/dev/pts" "$root/dev/shm"
    mount -t devpts devpts "$root/dev/pts"
    mount -t tmpfs tmpfs "$root/dev/shm"
    exec env -i container=other PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot "$root" /lib/systemd/systemd \
        --unit=multi-user.target --log-target=console --show-status=no
}

# The second half of the script, in its own namespaces.
if [ "${1:-}" = --boot ]; then
    boot "$2"
fi

[ "$(id -u)" -eq 0 ] || die "a fresh machine needs root"
suite=${1:-bookworm}
MIRROR=${MIRROR:-$(mirror_of_this_machine)}
work=$(mktemp -d "${TMPDIR:-/var/tmp}/sluice-package.XXXXXX")
systemd=
trap '[ -z "$systemd" ] || { kill -KILL "$systemd" && wait "$systemd"; } 2>/dev/null; rm -rf --one-file-system "$work"' EXIT
trap 'exit 130' INT TERM

say "building the packages on a fresh $suite"
make_machine "$work/build" "$suite" build-essential,devscripts,lintian,git,ca-certificates
build_packages "$work/build"
cp "$work"/build/root/*.deb "$work"
[ -z "${PACKAGES:-}" ] || cp "$work"/*.deb "$PACKAGES"

say "installing them on another"
make_machine "$work/machine" "$suite" systemd,systemd-sysv,dbus,man-db,ca-certificates
rm -f "$work/machine/etc/dpkg/dpkg.cfg.d/docker" # where manual pages are left out
cp "$work"/sluice_*.deb "$work/machine/root"
in_machine "$work/machine" sh -ec 'apt-get update -qq; apt-get install -y -qq --no-install-recommends ./root/sluice_*.deb' \
    >"$work/install.log" 2>&1 || { tail -n 30 "$work/install.log"; die "apt install failed"; }
for page in "1 sluice" "8 sluiced" "5 sluice.conf"; do
    # shellcheck disable=SC2086 # two words
    in_machine "$work/machine" man $page | grep -q NAME || die "no manual page: $page"
done

say "starting the service"
mkfifo "$work/ready"
unshare --mount --propagation private --pid --uts --ipc --cgroup --fork --kill-child "$0" --boot "$work/machine" \
    </dev/null >"$work/boot.log" 2>&1 &
systemd=$!
# Of the first process of the namespaces: the child of unshare, once it is systemd.
first() { pgrep -P "$systemd" -x systemd || true; }
in_system() { # COMMAND...: on the machine that runs
    nsenter --target "$(first)" --all --root --wd env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"
}
for _ in $(seq 300); do
    [ -z "$(first)" ] || in_system systemctl is-system-running --wait >"$work/state" 2>/dev/null || true
    grep -qxE 'running|degraded' "$work/state" 2>/dev/null && break
    kill -0 "$systemd" 2>/dev/null || { tail -n 20 "$work/boot.log"; die "systemd did not start"; }
    sleep 0.2 # only until its socket is there; then --wait waits
done
in_system systemctl is-enabled sluiced | grep -qx disabled || die "sluiced must not be enabled by itself"
in_system systemctl start sluiced || { in_system journalctl -u sluiced --no-pager | tail; die "systemctl start failed"; }
[ "$(in_system systemctl is-active sluiced)" = active ] || die "sluiced is not active"
in_system systemctl show -p StatusText,MainPID,NotifyAccess sluiced
in_system sluice status || die "sluice status failed"
in_system systemctl reload sluiced || die "systemctl reload failed"
[ "$(in_system systemctl is-active sluiced)" = active ] || die "sluiced did not survive a reload"
in_system systemctl stop sluiced || die "systemctl stop failed"
[ "$(in_system systemctl show -P Result sluiced)" = success ] || die "sluiced did not end well"
say "passed"
