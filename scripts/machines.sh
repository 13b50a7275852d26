# Small machines for tests: Debian roots of any suite with a systemd of their own, in namespaces of this kernel.
# Sourced after common.sh and roots.sh, as root.
#
# A machine runs on an overlay over a root, so that nothing that happens in it stays. It has a network of its own: one
# address on a bridge that only the machines share, and 127.0.0.1. The bridge is in a network namespace, too: nothing
# leaves this computer.

network=10.77.0
machines=''          # the folder of the running machines; $machines/NAME/init has the process id of its systemd
machines_net=routing-$$

# Where this computer has version 2 of control groups, which is all that the machines see: at /sys/fs/cgroup, or beside
# version 1.
control_groups() { findmnt -n -t cgroup2 -o TARGET | head -n 1; }

# What a machine does before its systemd runs: in new namespaces, with the root of the machine as $1.
enter_machine() {
    local root=$1 device
    mount --make-rprivate /
    mount -t proc proc "$root/proc"
    mount --bind "$root/proc/sys" "$root/proc/sys"
    mount -o remount,bind,ro "$root/proc/sys"   # its systemd changes nothing of this computer's kernel
    mount -t sysfs -o ro sysfs "$root/sys"
    mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
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
    [ "$(id -u)" = 0 ] && [ -n "$(control_groups)" ] && unshare --mount --pid --fork --net true 2>/dev/null
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
    local name=$1 suite=$2 number=$3 folder=$machines/$1 group process init=''
    group=$(control_groups)/routing-$$-$name
    mkdir -p "$folder"/{upper,work,root}
    mount -t overlay overlay -o "lowerdir=$roots/$suite,upperdir=$folder/upper,workdir=$folder/work" "$folder/root"
    echo "$name" >"$folder/root/etc/hostname"
    mkdir -p "$group"
    export -f enter_machine
    (
        echo "$BASHPID" >"$group/cgroup.procs"
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
        find "$(control_groups)/routing-$$-$name" -depth -type d -exec rmdir {} + 2>/dev/null || true
    done
    umount -l "$machines" || true
    rmdir "$machines" || true
    ip netns delete "$machines_net" || true
    machines=''
}
