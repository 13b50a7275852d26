# Runs what ./test runs inside a root of another Debian suite. Sourced after common.sh, roots.sh and tests.sh, as root.
#
# The tests see that suite's PostgreSQL, etcd and clients, in namespaces for processes, mounts, network and names; of
# this computer they see .NET and the folder $work. The first process is a shell that reaps what loses its parent. All
# of it ends with this script: the kernel ends the processes with the first, and the mounts with the processes.

inside=()        # the words before a command that runs it inside; empty outside
suite_folder=''  # what was made for the suite
suite_holder=''  # the process whose end is the end of the suite

# What the first process does: mounts what the tests need in the root $1, then waits to be ended, and reaps.
hold_suite() {
    local root=$1 work=$2 dotnet=$3
    mount --make-rprivate /
    mount -t proc proc "$root/proc"
    mount -t sysfs -o ro sysfs "$root/sys"
    mount --rbind /dev "$root/dev"
    mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
    mount -t tmpfs -o mode=1777,size=8g tmpfs "$root/tmp"
    mkdir -p "$root$work" "$root/usr/share/dotnet" "$root/run/postgresql"
    chmod 1777 "$root/run/postgresql"
    mount --bind "$work" "$root$work"
    mount --bind "$dotnet" "$root/usr/share/dotnet"
    mount -o remount,bind,ro "$root/usr/share/dotnet"
    ln -sf /usr/share/dotnet/dotnet "$root/usr/bin/dotnet"
    hostname routing-tests
    # Changed by pivot_root, not by chroot: in a chroot the kernel allows no user namespaces, which drills make.
    cd "$root"
    pivot_root . .
    umount -l .
    cd /
    ip link set lo up
    touch /run/ready
    # A shell that waits for its own child reaps those of others, too.
    exec /bin/bash -c 'while true; do sleep 1000; done'
}

# Makes the suite's namespaces on an overlay over its root. $1 is the suite.
begin_suite() {
    local suite=$1 root process init dotnet
    suite_folder=$(mktemp -d /tmp/routing-suite-XXXXXX)
    mkdir "$suite_folder"/{upper,work,root}
    root=$suite_folder/root
    mount -t overlay overlay \
        -o "lowerdir=$(test_root "$suite"),upperdir=$suite_folder/upper,workdir=$suite_folder/work" "$root" ||
        cannot "no overlay can be mounted over the root of $suite"
    dotnet=$(dirname "$(readlink -f "$(command -v dotnet)")")
    export -f hold_suite
    unshare --fork --pid --mount --uts --ipc --net --kill-child \
        bash -ec 'hold_suite "$@"' hold_suite "$root" "$work" "$dotnet" >"$suite_folder/log" 2>&1 </dev/null &
    process=$!
    until init=$(pgrep -P "$process") && [ -e "/proc/$init/root/run/ready" ]; do
        kill -0 "$process" 2>/dev/null || { cat "$suite_folder/log" >&2; cannot "no namespaces for $suite"; }
        sleep 0.1
    done
    suite_holder=$process
    inside=(nsenter -t "$init" -m -u -i -n -p -r env -C "$work" -u LANG -u LANGUAGE)
}

# Ends what runs in the suite, and removes what was made for it. Said again, it does nothing.
end_suite() {
    [ -n "$suite_folder" ] || return 0
    if [ -n "$suite_holder" ]; then
        kill -KILL "$suite_holder" 2>/dev/null || true
        wait "$suite_holder" 2>/dev/null || true
    fi
    umount -l "$suite_folder/root" 2>/dev/null || true
    rm -rf --one-file-system "$suite_folder"
    suite_folder=''
}

# The versions of what a suite brings, for the report.
suite_versions() {
    "${inside[@]}" /bin/bash -c '
        postgres=$(printf "%s\n" /usr/lib/postgresql/*/bin/postgres | sort -V | tail -n 1)
        version() {
            dpkg-query -W -f "\${Version}" "$1" 2>/dev/null | sed "s/^[0-9]*://; s/[-+~].*//" | grep . || echo -
        }
        printf "PostgreSQL %s, etcd %s, libpq %s, HAProxy %s, Patroni %s, glibc %s, OpenSSL %s\n" \
            "$($postgres --version | grep -oE "[0-9]+(\.[0-9]+|[a-z]+[0-9]+)" | head -n 1)" \
            "$(version etcd-server)" "$(version libpq5)" "$(version haproxy)" "$(version patroni)" \
            "$(ldd --version | grep -oE "[0-9]+\.[0-9]+$" | head -n 1)" \
            "$(openssl version 2>/dev/null | cut -d " " -f 2 | grep . || echo -)"'
}

# The folder with the server programs of a suite's PostgreSQL, as it is inside.
suite_postgres() {
    local root
    root=$(test_root "$1")
    printf '%s\n' "$root"/usr/lib/postgresql/*/bin | sort -V | tail -n 1 | sed "s:^$root::"
}

# The user postgres of the suite, whose number need not be this computer's.
suite_user() { awk -F: '$1 == "postgres" { print $3 ":" $4 }' "$(test_root "$1")/etc/passwd"; }

# Whether the programs that ./build makes here start in a suite.
starts_in_suite() {
    cp artifacts/bin/routing-agent "$work/.try"
    "${inside[@]}" "$work/.try" --version >/dev/null 2>&1
}

# Links the native programs anew with a suite's own compiler and C library, in artifacts/suites/SUITE. Compiled they are
# already; only the step that looks at the C library is done inside. $1 is the suite.
link_in_suite() {
    local suite=$1 bin=$PWD/artifacts/suites/$1 stamp entry project assembly program
    stamp=$(cat artifacts/bin/.stamp)
    [ "$(cat "$bin/.stamp" 2>/dev/null)" != "$stamp" ] || return 0
    say "Linking the programs with the compiler of $suite: this computer's need a newer C library"
    mkdir -p "$bin"
    for entry in Agent:Routing.Agent:routing-agent Cli:routingctl:routingctl Proxy:Routing.Proxy:routing-proxy; do
        IFS=: read -r project assembly program <<<"$entry"
        ROUTING_LINK_ROOT=$suite_folder/root dotnet msbuild "src/$project" \
            "-t:ResolveReferences;SetupOSSpecificProps;LinkNative" -p:LinkNativeDependsOn=SetupOSSpecificProps \
            -p:BuildProjectReferences=false -p:Configuration=Release -p:RuntimeIdentifier=linux-x64 \
            -p:_IsPublishing=true -p:NativeDebugSymbols=false -p:CppCompilerAndLinker="$PWD/scripts/link-inside" \
            -p:NativeOutputPath="$bin/native/" -v:q </dev/null >"$results/link-$program.log" 2>&1 ||
            { cat "$results/link-$program.log"; die "$program cannot be linked"; }
        cp "$bin/native/$assembly" "$bin/$program"
    done
    echo "$stamp" >"$bin/.stamp"
}
