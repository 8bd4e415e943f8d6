#!/usr/bin/env bash
# Installs what the package needs from the system. Prints nothing if nothing is missing.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR source=lib/packages.sh
source "$here/lib/packages.sh"

usage='usage: Scripts/install-dependencies.sh [--library-only]
Installs hiredis, pkg-config, redis-server and openssl where they are missing; with --library-only not the last two.'

needs_server=true
for argument in "$@"; do
    case $argument in
        --library-only) needs_server=false ;;
        --help | -h) printf '%s\n' "$usage" && exit 0 ;;
        *) printf '%s\n' "$usage" >&2 && exit 2 ;;
    esac
done

has() { command -v "$1" >/dev/null; }

has_hiredis() {
    pkg-config --exists hiredis 2>/dev/null && return
    # Without a .pc file, the compiler still finds a library on its own path.
    local prefix library
    for prefix in /usr /usr/local /opt/homebrew; do
        [[ -e $prefix/include/hiredis/hiredis.h ]] || continue
        for library in "$prefix"/lib/libhiredis.* "$prefix"/lib64/libhiredis.* "$prefix"/lib/*/libhiredis.*; do
            [[ ! -e $library ]] || return 0
        done
    done
    return 1
}

has_server() { [[ $needs_server == false ]] || has "${REDIS_SERVER:-redis-server}"; }

# The tests make certificates with openssl.
has_openssl() { [[ $needs_server == false ]] || has openssl; }

# SwiftPM finds Debian's .pc files only through pkg-config. Homebrew's folders it knows.
has_pkg_config() { has pkg-config || ! has apt-get; }

# Checked before anything is installed, which would be useless without Swift.
has swift || fail "there is no 'swift' on the PATH. Install Swift 6.3 as https://www.swift.org/install says" \
    "(or, if it is there, put its usr/bin on the PATH), then run this again."

apt_names=() brew_names=()
has_hiredis || { apt_names+=(libhiredis-dev) && brew_names+=(hiredis); }
has_pkg_config || apt_names+=(pkg-config)
has_server || { apt_names+=(redis-server) && brew_names+=(redis); }
has_openssl || { apt_names+=(openssl) && brew_names+=(openssl); }
((${#apt_names[@]} > 0)) || exit 0

install_packages "${apt_names[*]}" "${brew_names[*]-}"

# The package manager may succeed without installing what was missing, so this checks again.
hash -r
has_hiredis || fail "hiredis was installed and is still not found: see 'pkg-config --libs hiredis'."
has_pkg_config || fail "pkg-config was installed and is still not on the PATH."
has_server || fail "redis-server was installed and '${REDIS_SERVER:-redis-server}' is still not on the PATH."
has_openssl || fail "openssl was installed and is still not on the PATH."
