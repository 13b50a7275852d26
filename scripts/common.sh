# Shared by ./build, ./test and ./demo: says what happens, installs what is missing, and drops root privileges.
# Sourced by bash with the root of the checkout as the current folder.

set -euo pipefail
export DOTNET_NOLOGO=1 DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_SKIP_FIRST_TIME_EXPERIENCE=1
[ "${CI:-}" != true ] || export MSBUILDDISABLENODEREUSE=1   # nothing stays behind a CI run

say() { printf '%s\n' "$*"; }
die() { printf '%s: %s\n' "$(basename "$0")" "$*" >&2; exit 1; }

# The newest version that CHANGELOG.md names, as Directory.Build.props reads it.
newest_version() {
    local found
    found=$(sed -nE 's/^## \[([0-9]+\.[0-9]+\.[0-9]+)\].*/\1/p' CHANGELOG.md | head -n 1)
    echo "${found:-0.1.0}"
}

# The folder with PostgreSQL's server programs: the newest installed, or whatever PATH holds.
postgres_bin() {
    local folder
    folder=$(printf '%s\n' /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
    if [ -x "$folder/postgres" ]; then
        printf '%s\n' "$folder"
    elif command -v postgres >/dev/null; then
        dirname "$(readlink -f "$(command -v postgres)")"
    else
        return 1
    fi
}

has_compiler() { command -v clang >/dev/null || command -v gcc >/dev/null; }
has_zlib() { [ -e /usr/include/zlib.h ]; }
has_postgres() { postgres_bin >/dev/null; }
has_etcd() { command -v etcd >/dev/null; }
has_pgbackrest() { command -v pgbackrest >/dev/null; }
has_etcdctl() { command -v etcdctl >/dev/null; }
has_psycopg2() { /usr/bin/python3 -c 'import psycopg2' 2>/dev/null; }
has_patronictl() { [ -x /usr/bin/patronictl ]; }
has_haproxy() { [ -x /usr/sbin/haproxy ]; }
has_pgpool() { [ -x /usr/sbin/pgpool ]; }
has_prometheus() { command -v prometheus >/dev/null && command -v promtool >/dev/null; }
has_psycopg() { /usr/bin/python3 -c 'import psycopg, psycopg_pool' 2>/dev/null; }
has_jdbc() {
    [ -e /usr/share/java/postgresql.jar ] && [ -e /usr/share/java/HikariCP.jar ] && command -v javac >/dev/null
}
has_node() { command -v node >/dev/null; }
has_npm() { command -v npm >/dev/null; }
has_browser() { command -v chromium-headless-shell || command -v chromium || command -v google-chrome; } >/dev/null
has_ip() { command -v ip >/dev/null; }
has_rpmbuild() { command -v rpmbuild >/dev/null; }
has_objdump() { command -v objdump >/dev/null; }
has_lintian() { command -v lintian >/dev/null; }
has_rpmlint() { command -v rpmlint >/dev/null; }
has_dnf() { command -v dnf >/dev/null; }
has_createrepo() { command -v createrepo_c >/dev/null; }
has_debootstrap() { command -v debootstrap >/dev/null; }
has_setpriv() { command -v setpriv >/dev/null; }

# The Debian package of PostgreSQL's server: 15 where it exists (Debian 12), else the release's own.
postgres_package() {
    if apt-cache show postgresql-15 >/dev/null 2>&1; then echo postgresql-15; else echo postgresql; fi
}

# Installs what is missing. Each argument is "check package…": the packages are for when the check fails.
are_lists_fresh=false
need() {
    local entry missing=() packages=() check checks=() packages_of
    for entry in "$@"; do
        read -r check packages_of <<<"$entry"
        if ! "has_$check"; then missing+=("$packages_of") checks+=("$check"); fi
    done
    [ ${#missing[@]} -gt 0 ] || return 0

    command -v apt-get >/dev/null || die "please install: ${missing[*]}"
    local sudo=()
    if [ "$(id -u)" != 0 ]; then
        if sudo -n true 2>/dev/null; then
            sudo=(sudo -n)
        elif [ -t 0 ] && command -v sudo >/dev/null; then
            sudo=(sudo)
        else
            die "something is missing; as root: apt-get update &&" \
                "apt-get install ${missing[*]/postgresql-server/postgresql}"
        fi
    fi
    say "Installing Debian packages: ${missing[*]}"
    if ! $are_lists_fresh; then
        "${sudo[@]}" apt-get update -qq -o Acquire::Retries=3 || die "apt-get update failed, for what it says above."
        are_lists_fresh=true
    fi
    for entry in "${missing[@]}"; do
        # shellcheck disable=SC2206 # several packages in one entry
        packages+=(${entry/postgresql-server/$(postgres_package)})
    done
    "${sudo[@]}" bash -s -- "${packages[@]}" <<'INSTALL' ||
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive UCF_FORCE_CONFFOLD=1
# No server of Debian's own: neither a "main" cluster of PostgreSQL nor an etcd service is made or started.
if [ ! -e /etc/postgresql-common/createcluster.conf ]; then
    mkdir -p /etc/postgresql-common
    echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.conf
fi
if [ ! -e /usr/sbin/policy-rc.d ]; then
    printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
    chmod 755 /usr/sbin/policy-rc.d
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
fi
apt-get install -y -qq --no-install-recommends -o Dpkg::Options::=--force-confold -o Acquire::Retries=3 \
    -o DPkg::Lock::Timeout=300 "$@" >/dev/null </dev/null
INSTALL
        die "apt-get could not install ${packages[*]}, for what it says above. Without a network or with another" \
            "release of Debian, install them by hand and try again."
    for check in "${checks[@]}"; do
        "has_$check" || die "${packages[*]} are installed, and $check is missing still."
    done
}

# What each script needs.
need_packagers() { need "rpmbuild rpm" "objdump binutils"; }
need_compiler() { need "compiler gcc libc6-dev" "zlib zlib1g-dev"; }
need_servers() { need "postgres postgresql-server" "etcd etcd-server" "etcdctl etcd-client" "setpriv util-linux"; }

# The drills make network namespaces where the kernel lets them. Debian's own configuration file is tried, too.
need_network() { need "ip iproute2" "patronictl patroni python3-etcd"; }

# The clients of other languages that Integration.Tests speaks with, node's own packages by their lock file; and the
# tools around Patroni. No service of theirs is started.
need_clients() {
    need "psycopg2 python3-psycopg2" "node nodejs" "patronictl patroni python3-etcd" \
        "haproxy haproxy" "pgpool pgpool2" "prometheus prometheus" "pgbackrest pgbackrest"
    # Those of the drills that run with ROUTING_TEST_FULL alone.
    [ -z "${ROUTING_TEST_FULL:-}" ] || need "psycopg python3-psycopg python3-psycopg-pool" \
        "jdbc libpostgresql-jdbc-java libhikaricp-java default-jdk-headless"
    need_node_packages
}
need_node_packages() {
    local folder=tests/Integration.Tests/Clients
    need "npm npm"
    # npm notes what it installed; nothing to do while that is younger than the lock file.
    if [ ! $folder/node_modules/.package-lock.json -nt $folder/package-lock.json ]; then
        say "Installing node-postgres"
        npm ci --prefix $folder --no-audit --no-fund --ignore-scripts --loglevel=error >/dev/null </dev/null ||
            die "npm could not install what $folder/package-lock.json names, for what it says above."
    fi
}

# The browser that clicks through the dashboard. Where Debian's package is not to be had, that test is skipped by name.
need_browser() {
    if ! has_browser && apt-cache show chromium-headless-shell >/dev/null 2>&1; then
        need "browser chromium-headless-shell"
    fi
}

need_dotnet() {
    command -v dotnet >/dev/null || die "the .NET SDK 10 is missing: https://dotnet.microsoft.com/download/dotnet/10.0"
}

# One compiler process for all projects that this script builds: started for each of them, it would load and compile
# itself and the analyzers every time. It has a name of its own, and goes when end_compiler is called.
share_compiler() { export UseSharedCompilation=true SharedCompilationId=routing-$$; }
end_compiler() {
    local sdk
    sdk=$(dotnet --list-sdks | sed -n "s:^\($(dotnet --version)\) \[\(.*\)\]\$:\2/\1:p")
    "$sdk/Roslyn/bincore/VBCSCompiler" "-pipename:$SharedCompilationId" -shutdown ||
        say "The compiler $SharedCompilationId could not be ended: it ends by itself after ten idle minutes."
}

# PostgreSQL refuses to run as root: "${AS_POSTGRES[@]}" before a command makes it an ordinary user's.
AS_POSTGRES=()
if [ "$(id -u)" = 0 ]; then
    AS_POSTGRES=(setpriv --reuid=postgres --regid=postgres --init-groups)
fi
