# shellcheck shell=bash
# Sourced by the other scripts: installs system packages, and reports why that failed.

fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# install_packages APT_NAMES BREW_NAMES
# Each argument is a list of names, separated by spaces; it may be empty if that system needs nothing.
install_packages() {
    local apt_names=$1 brew_names=$2
    if command -v apt-get >/dev/null; then
        [[ -z $apt_names ]] || install_with_apt "$apt_names"
    elif command -v brew >/dev/null; then
        [[ -z $brew_names ]] || install_with_brew "$brew_names"
    else
        fail "missing: $apt_names. There is neither apt-get nor brew here: install what your system calls these," \
            "then run this again. On Debian and Ubuntu the command is
    $(apt_command_for_people "$apt_names")"
    fi
}

apt_command_for_people() {
    printf 'sudo apt-get update && sudo apt-get install -y --no-install-recommends %s' "$1"
}

install_with_apt() {
    local names=$1 log
    local apt=(env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=120)
    if ((EUID != 0)); then
        # A prompt for a password would hang in a run without a user.
        if ! command -v sudo >/dev/null || ! sudo -n true 2>/dev/null; then
            fail "missing: $names, and no right to install. Run
    $(apt_command_for_people "$names")
and then this again."
        fi
        apt=(sudo -n "${apt[@]}")
    fi

    printf 'Installing %s with apt-get …\n' "$names"
    log=$(mktemp)
    # An outdated or incomplete list may still contain the packages: the install shows whether it does.
    "${apt[@]}" update >"$log" 2>&1 </dev/null || true
    # shellcheck disable=SC2086 # The names are meant to be split.
    if ! "${apt[@]}" install -y --no-install-recommends $names >>"$log" 2>&1 </dev/null; then
        tail -n 30 "$log" >&2
        rm -f "$log"
        fail "apt-get could not install $names. Run
    $(apt_command_for_people "$names")
and then this again."
    fi
    rm -f "$log"
}

install_with_brew() {
    printf 'Installing %s with brew …\n' "$1"
    # shellcheck disable=SC2086 # The names are meant to be split.
    brew install --quiet $1 </dev/null || fail "brew could not install $1. Run
    brew install $1
and then this again."
}
