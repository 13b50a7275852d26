# Small machines for tests: Debian roots of any suite with a systemd of their own, in namespaces of this kernel.
# Sourced after common.sh, as root.
#
# A root is made once by debootstrap from this machine's own Debian source, and kept under $roots. A machine runs on an
# overlay over a root, so that nothing that happens in it stays. It has a network of its own: one address on a bridge
# that only the machines share, and 127.0.0.1. The bridge is in a network namespace, too: nothing leaves this computer.

roots=${ROUTING_ROOTS:-/var/cache/routing/roots}
network=10.77.0
machines=''          # the folder of the running machines; $machines/NAME/init has the process id of its systemd
machines_net=routing-$$

# The source of Debian's packages that this computer uses.
debian_source() {
    local found
    found=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources 2>/dev/null |
        grep -oE 'https?://[^ ]+/debian/?( |$)' | head -n 1)
    echo "${found:-http://deb.debian.org/debian}"
}

# Makes a root of a suite with the packages that tests need, unless it is there. $1 is the suite.
make_root() {
    local suite=$1 root=$roots/$1 new=$roots/.$1.new
    [ ! -e "$root" ] || return 0
    need "debootstrap debootstrap"
    say "Making a root of Debian $suite in $roots: once, for some minutes"
    mkdir -p "$roots"
    rm -rf "$new"
    debootstrap --variant=minbase --include=ca-certificates "$suite" "$new" "$(debian_source)" \
        >"$roots/$suite.log" 2>&1 ||
        { tail -n 20 "$roots/$suite.log" >&2; die "debootstrap of $suite failed"; }
    # No service starts while packages are installed, and no cluster of PostgreSQL is made.
    printf '#!/bin/sh\nexit 101\n' >"$new/usr/sbin/policy-rc.d"
    chmod 755 "$new/usr/sbin/policy-rc.d"
    mkdir -p "$new/etc/postgresql-common"
    echo 'create_main_cluster = false' >"$new/etc/postgresql-common/createcluster.conf"
    in_root "$new" 'export DEBIAN_FRONTEND=noninteractive
        apt-get update -qq
        apt-get install -y -qq --no-install-recommends systemd systemd-sysv dbus adduser procps iproute2 \
            postgresql etcd-server etcd-client bash-completion logrotate
        systemctl mask console-getty.service getty@tty1.service getty.target systemd-logind.service \
            e2scrub_reap.service systemd-sysctl.service systemd-remount-fs.service systemd-udevd.service \
            systemd-modules-load.service sys-kernel-debug.mount sys-fs-fuse-connections.mount dev-hugepages.mount \
            proc-sys-fs-binfmt_misc.automount apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer
        systemctl disable etcd' >>"$roots/$suite.log" 2>&1 ||
        { tail -n 20 "$roots/$suite.log" >&2; die "the packages of $suite could not be installed"; }
    rm "$new/usr/sbin/policy-rc.d"
    mv "$new" "$root"
}

# Runs shell commands in a root, with /proc and /dev, in a mount namespace that ends with them.
in_root() {
    # shellcheck disable=SC2016 # expanded by the inner shell
    unshare --mount --fork --pid --kill-child bash -c '
        set -e
        mount --make-rprivate /
        mount -t proc proc "$0/proc"
        mount --rbind /dev "$0/dev"
        cp -L /etc/resolv.conf "$0/etc/resolv.conf" 2>/dev/null || true
        exec chroot "$0" /bin/bash -ec "$1"' "$1" "$2" </dev/null
}

# What a machine does before its systemd runs: in new namespaces, with the root of the machine as $1.
enter_machine() {
    local root=$1 device
    mount --make-rprivate /
    mount -t proc proc "$root/proc"
    mount --bind "$root/proc/sys" "$root/proc/sys"
    mount -o remount,bind,ro "$root/proc/sys"   # its systemd changes nothing of this computer's kernel
    mount -t sysfs -o ro sysfs "$root/sys"
    mount -t tmpfs -o mode=755 tmpfs "$root/sys/fs/cgroup"
    mkdir "$root/sys/fs/cgroup/systemd" "$root/sys/fs/cgroup/unified"
    mount -t cgroup -o none,name=systemd cgroup "$root/sys/fs/cgroup/systemd"
    mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup/unified"
    mount -t tmpfs -o mode=755 tmpfs "$root/run"
    mount -t tmpfs -o mode=755 tmpfs "$root/dev"
    for device in null zero full random urandom tty; do
        touch "$root/dev/$device"
        mount --bind "/dev/$device" "$root/dev/$device"
    done
    mkdir "$root/dev/shm" "$root/dev/pts"
    mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
    mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
    ln -s pts/ptmx "$root/dev/ptmx"
    ln -s /proc/self/fd "$root/dev/fd"
    mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
    ip link set lo up
    exec chroot "$root" env -i container=lxc PATH=/usr/sbin:/usr/bin:/sbin:/bin \
        /lib/systemd/systemd --log-target=journal
}

# Where the kernel does not let machines run, they cannot be tested here.
can_run_machines() {
    [ "$(id -u)" = 0 ] && [ -d /sys/fs/cgroup/systemd ] && unshare --mount --pid --fork --net true 2>/dev/null
}

begin_machines() {
    need "ip iproute2"
    machines=$(mktemp -d /tmp/routing-machines-XXXXXX)
    mount -t tmpfs -o mode=755,size=6g tmpfs "$machines"
    ip netns add "$machines_net"
    ip -n "$machines_net" link add bridge type bridge
    ip -n "$machines_net" link set bridge up
}

# Starts a machine and waits until its systemd answers. $1 is its name, $2 the suite, $3 the last number of its address.
start_machine() {
    local name=$1 suite=$2 number=$3 folder=$machines/$1 group=routing-$$-$1 process init=''
    mkdir -p "$folder"/{upper,work,root}
    mount -t overlay overlay -o "lowerdir=$roots/$suite,upperdir=$folder/upper,workdir=$folder/work" "$folder/root"
    echo "$name" >"$folder/root/etc/hostname"
    mkdir -p "/sys/fs/cgroup/systemd/$group" "/sys/fs/cgroup/unified/$group"
    export -f enter_machine
    (
        echo "$BASHPID" >"/sys/fs/cgroup/systemd/$group/cgroup.procs"
        echo "$BASHPID" >"/sys/fs/cgroup/unified/$group/cgroup.procs"
        exec unshare --fork --pid --mount --uts --ipc --cgroup --net --kill-child \
            bash -c 'hostname "$1"; enter_machine "$0"' "$folder/root" "$name" >"$folder/log" 2>&1 </dev/null
    ) &
    process=$!
    await 30 "the first process of $name" has_child "$process"
    init=$(pgrep -P "$process")
    echo "$init" >"$folder/init"
    ip -n "$machines_net" link add "to-$name" type veth peer name eth0 netns "$init"
    ip -n "$machines_net" link set "to-$name" master bridge up
    nsenter -t "$init" -n ip address add "$network.$number/24" dev eth0
    nsenter -t "$init" -n ip link set eth0 up
    await 60 "systemd of $name" is_up "$name"
}

has_child() { pgrep -P "$1" >/dev/null; }
is_up() { on "$1" 'systemctl is-system-running | grep -qE "running|degraded"'; }

# Runs shell commands on a machine, as root; their exit code is this one's. $1 is the machine.
on() {
    local name=$1
    shift
    nsenter -t "$(cat "$machines/$name/init")" -m -u -i -n -p -C -r -w env -i HOME=/root TERM=dumb LC_ALL=C.UTF-8 \
        PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin bash -ec "$*" </dev/null
}

# Waits until a command succeeds: $1 seconds at most, $2 says what for.
await() {
    local until=$((SECONDS + $1)) what=$2
    shift 2
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $until ] || die "waited in vain for $what: $*"
        sleep 0.2
    done
}

# Ends all machines, and removes what was made for them.
end_machines() {
    local name init
    [ -n "$machines" ] || return 0
    for name in $(ls "$machines"); do
        init=$(cat "$machines/$name/init" 2>/dev/null) || continue
        kill -KILL "$init" 2>/dev/null || true
    done
    wait || true
    for name in $(ls "$machines"); do
        umount -l "$machines/$name/root" || true
        find "/sys/fs/cgroup/systemd/routing-$$-$name" "/sys/fs/cgroup/unified/routing-$$-$name" -depth -type d \
            -exec rmdir {} + 2>/dev/null || true
    done
    umount -l "$machines" || true
    rmdir "$machines" || true
    ip netns delete "$machines_net" || true
    machines=''
}
