# Roots of Debian suites: a folder each with what debootstrap and apt put there. Sourced after common.sh, as root.
#
# A root is made once from this machine's own Debian source, and kept under $roots: SUITE for the machines of
# scripts/machines.sh, SUITE-tests with the clients that tests speak with for ./test --on SUITE. Whoever runs in one
# mounts an overlay over it, so that nothing that happens there stays.

roots=${ROUTING_ROOTS:-/var/cache/routing/roots}

# What tests use and a suite need not have: the word for it, and the packages. Tests of what is missing are skipped.
clients=("psycopg2 python3-psycopg2" "node nodejs" "patroni patroni python3-etcd" "haproxy haproxy" "pgpool pgpool2"
    "prometheus prometheus" "chromium chromium-headless-shell" "check_patroni check-patroni"
    "pgbackrest pgbackrest")

# The source of Debian's packages that this computer uses.
debian_source() {
    local found
    found=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources 2>/dev/null |
        grep -oE 'https?://[^ ]+/debian/?( |$)' | head -n 1)
    echo "${found:-http://deb.debian.org/debian}"
}

# Ends the script with a code of its own: this machine, not the code under test, is in the way.
cannot() {
    printf '%s: %s\n' "$(basename "$0")" "$*" >&2
    exit 75
}

# Runs a command; with ROUTING_ROOT_LIMIT not beyond that many seconds of this script.
in_time() {
    local left=$((${ROUTING_ROOT_LIMIT:-0} - SECONDS))
    if [ -z "${ROUTING_ROOT_LIMIT:-}" ]; then
        "$@"
    else
        timeout -k 5 $((left > 0 ? left : 1)) "$@"
    fi
}

# Runs shell commands in a root, with /proc and /dev, in a mount namespace that ends with them. The first process of
# its process namespace is a shell that stays: it reaps the processes that lose their parents.
in_root() {
    # shellcheck disable=SC2016 # expanded by the inner shell
    in_time unshare --mount --fork --pid --kill-child bash -c '
        set -e
        mount --make-rprivate /
        mount -t proc proc "$0/proc"
        mount --rbind /dev "$0/dev"
        cp -L /etc/resolv.conf "$0/etc/resolv.conf" 2>/dev/null || true
        code=0
        chroot "$0" /bin/bash -ec "$1" || code=$?
        exit $code' "$1" "$2" </dev/null
}

# Gives up on a root: shows the end of its log. $1 is the log, the rest the reason.
no_root() {
    tail -n 20 "$1" >&2
    shift
    [ -z "${ROUTING_ROOT_LIMIT:-}" ] || [ "$SECONDS" -lt "$ROUTING_ROOT_LIMIT" ] ||
        cannot "$* within $ROUTING_ROOT_LIMIT s"
    cannot "$*"
}

# Runs a command while nobody else makes a root.
alone_with_roots() {
    mkdir -p "$roots"
    (
        flock -w "${ROUTING_ROOT_LIMIT:-3600}" 9 || cannot "another script makes roots in $roots"
        "$@"
    ) 9>"$roots/.lock"
}

# Makes a root of a suite with the packages that machines need, unless it is there. $1 is the suite.
make_root() { [ -e "$roots/$1/usr/bin/pgbackrest" ] || alone_with_roots make_root_now "$1"; }
make_root_now() {
    local suite=$1 root=$roots/$1 new=$roots/.$1.new
    if [ -e "$root" ]; then
        add_pgbackrest "$suite"
        return
    fi
    (need "debootstrap debootstrap") || cannot "debootstrap is not to be had"
    say "Making a root of Debian $suite in $roots: once, for some minutes"
    rm -rf "$new"
    # In a mount namespace, which takes along what it mounts wherever it ends.
    in_time unshare --mount debootstrap --variant=minbase --include=ca-certificates "$suite" "$new" "$(debian_source)" \
        >"$roots/$suite.log" 2>&1 || no_root "$roots/$suite.log" "debootstrap of $suite failed"
    # No service starts while packages are installed, and no cluster of PostgreSQL is made. A mirror may be older than
    # the time for which an unstable suite vouches.
    echo 'Acquire::Check-Valid-Until "false";' >"$new/etc/apt/apt.conf.d/90-any-age"
    printf '#!/bin/sh\nexit 101\n' >"$new/usr/sbin/policy-rc.d"
    chmod 755 "$new/usr/sbin/policy-rc.d"
    mkdir -p "$new/etc/postgresql-common"
    echo 'create_main_cluster = false' >"$new/etc/postgresql-common/createcluster.conf"
    in_root "$new" 'export DEBIAN_FRONTEND=noninteractive
        apt-get update -qq
        apt-get install -y -qq --no-install-recommends systemd systemd-sysv dbus adduser procps iproute2 \
            postgresql etcd-server etcd-client pgbackrest bash-completion logrotate
        systemctl mask console-getty.service getty@tty1.service getty.target systemd-logind.service \
            e2scrub_reap.service systemd-sysctl.service systemd-remount-fs.service systemd-udevd.service \
            systemd-modules-load.service sys-kernel-debug.mount sys-fs-fuse-connections.mount dev-hugepages.mount \
            proc-sys-fs-binfmt_misc.automount apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer
        systemctl disable etcd' >>"$roots/$suite.log" 2>&1 ||
        no_root "$roots/$suite.log" "the packages of $suite could not be installed"
    rm "$new/usr/sbin/policy-rc.d"
    mv "$new" "$root"
}

# Adds pgBackRest to a root that was made without it. $1 is the suite.
add_pgbackrest() {
    local suite=$1 root=$roots/$1
    [ ! -e "$root/usr/bin/pgbackrest" ] || return 0
    say "Adding pgBackRest to the root of Debian $suite"
    printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
    chmod 755 "$root/usr/sbin/policy-rc.d"
    in_root "$root" 'export DEBIAN_FRONTEND=noninteractive
        apt-get update -qq
        apt-get install -y -qq --no-install-recommends pgbackrest' >>"$roots/$suite.log" 2>&1 ||
        no_root "$roots/$suite.log" "pgbackrest of $suite could not be installed"
    rm "$root/usr/sbin/policy-rc.d"
}

# The suite whose root is the base of another: experimental is sid with a newer PostgreSQL.
base_suite() { if [ "$1" = experimental ]; then echo sid; else echo "$1"; fi; }

# Makes a root of a suite for ./test --on, unless it is there with all clients: that for machines with the clients
# added, and in /etc/routing-tests/missing the words for the clients that the suite does not have. $1 is the suite.
make_test_root() {
    ! is_test_root_current "$1" || return 0
    make_root "$(base_suite "$1")"
    alone_with_roots make_test_root_now "$1"
}
is_test_root_current() { printf '%s\n' "${clients[@]}" | cmp -s - "$roots/$1-tests/etc/routing-tests/clients"; }
make_test_root_now() {
    local suite=$1 root=$roots/$1-tests new=$roots/.$1-tests.new log=$roots/$1-tests.log from entry word packages
    ! is_test_root_current "$suite" || return 0
    from=$root
    [ -e "$from" ] || from=$roots/$(base_suite "$suite")
    say "Adding clients to a root of Debian $suite: once, for some minutes"
    rm -rf "$new"
    cp -a --reflink=auto "$from" "$new"
    printf '#!/bin/sh\nexit 101\n' >"$new/usr/sbin/policy-rc.d"
    chmod 755 "$new/usr/sbin/policy-rc.d"
    # ICU is what .NET asks for; the compiler links the programs where those of this computer would not start.
    in_root "$new" 'export DEBIAN_FRONTEND=noninteractive
        apt-get update -qq
        icu=$(apt-cache pkgnames libicu | grep -xE "libicu[0-9]+" | sort -V | tail -n 1)
        apt-get install -y -qq --no-install-recommends util-linux openssl gcc libc6-dev zlib1g-dev "$icu"' \
        >"$log" 2>&1 || no_root "$log" "the packages of $suite could not be installed"
    [ "$suite" != experimental ] || add_experimental "$new" "$log"
    mkdir -p "$new/etc/routing-tests"
    : >"$new/etc/routing-tests/missing"
    for entry in "${clients[@]}"; do
        read -r word packages <<<"$entry"
        in_root "$new" "DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages" \
            >>"$log" 2>&1 || echo "$word" >>"$new/etc/routing-tests/missing"
    done
    printf '%s\n' "${clients[@]}" >"$new/etc/routing-tests/clients"
    rm "$new/usr/sbin/policy-rc.d"
    rm -rf "$new"/var/cache/apt/archives/*.deb "$root"
    mv "$new" "$root"
}

# The root that ./test --on runs in: that with the clients, or, where there is none and ROUTING_ON_SERVERS asks for no
# more than servers, that for machines. $1 is the suite.
test_root() {
    if [ -n "${ROUTING_ON_SERVERS:-}" ] && [ ! -e "$roots/$1-tests" ]; then
        echo "$roots/$1"
    else
        echo "$roots/$1-tests"
    fi
}

# Prints the words for what a suite's root lacks. $1 is the suite.
missing_clients() {
    local root
    root=$(test_root "$1")
    if [ "$root" = "$roots/$1" ]; then
        printf '%s\n' "${clients[@]%% *}" | xargs
    else
        xargs <"$root/etc/routing-tests/missing"
    fi
}

# Adds to a root of sid the PostgreSQL and the libpq of experimental. $1 is the root, $2 its log.
add_experimental() {
    echo "deb $(debian_source) experimental main" >"$1/etc/apt/sources.list.d/experimental.list"
    in_root "$1" 'export DEBIAN_FRONTEND=noninteractive
        apt-get update -qq
        newest=$(apt-cache pkgnames postgresql- | grep -xE "postgresql-[0-9]+" | sort -V | tail -n 1)
        apt-get install -y -qq --no-install-recommends -t experimental "$newest" libpq5' \
        >>"$2" 2>&1 || no_root "$2" "the PostgreSQL of experimental could not be installed"
}
