#!/usr/bin/env bash
# Make .venv ready for one need: `tools/setup.sh gateway` (run it), `tools/setup.sh dev` (test it).
#
# Every package is pinned and hashed in requirements/NEED.txt; our own is installed in place. A
# stamp in .venv remembers what was installed, so a second run costs nothing. PYTHON=... picks one.
set -euo pipefail
cd "$(dirname "$0")/.."

need=${1:?usage: tools/setup.sh gateway|dev}
requirements=requirements/$need.txt
[ -f "$requirements" ] || { echo "setup: there is no $requirements (gateway or dev)" >&2; exit 2; }

say() { echo "setup: $*" >&2; }

is_new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

find_python() {
    local name names=${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}
    for name in $names; do
        if is_new_enough "$name"; then echo "$name"; return; fi
    done
    say "finalstop needs Python 3.11 or newer; looked at:"
    for name in $names; do say "  $name: $("$name" --version 2>&1 | head -n 1)"; done
    say "Install one, or name it: make PYTHON=python3.12 ..."
    return 1
}

# Debian and Ubuntu keep ensurepip, without which a venv has no pip, in a package of its own.
have_ensurepip() {
    "$1" -c 'import ensurepip, venv' 2>/dev/null && return
    local package
    package=$("$1" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        say "$1 cannot make a venv; installing $package"
        apt-get update -qq && apt-get install -y -qq "$package" >/dev/null
    else
        say "$1 cannot make a venv. On Debian or Ubuntu: sudo apt-get install $package"
        return 1
    fi
}

# Real proxies, and a C compiler for the benchmark's load. Where they cannot be installed the tests
# that need them are listed as NOT RUN.
have_debian_packages() {
    local command missing=()
    for command in nginx:nginx-light haproxy:haproxy; do
        [ -x "/usr/sbin/${command%%:*}" ] || missing+=("${command##*:}")
    done
    command -v cc >/dev/null || missing+=(gcc libc6-dev)
    [ ${#missing[@]} -gt 0 ] || return 0
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        say "installing ${missing[*]}"
        { apt-get update && apt-get install -y --no-install-recommends "${missing[@]}"; } \
            >/dev/null 2>&1 || say "could not install ${missing[*]}"
    else
        say "for all of the tests, on Debian or Ubuntu: sudo apt-get install ${missing[*]}"
    fi
}

# The folder is in the stamp because a venv that was moved runs the scripts of its old home.
stamp_of() { echo "$PWD $(cat "requirements/$1.txt" pyproject.toml | cksum)"; }
is_ready() { [ "$(cat ".venv/.ready-$1" 2>/dev/null)" = "$(stamp_of "$1")" ]; }

[ "$need" != dev ] || have_debian_packages
if is_new_enough .venv/bin/python; then
    # dev holds all of gateway, so whoever has run the tests can run the gateway.
    if is_ready "$need" || is_ready dev; then exit 0; fi
else
    python=$(find_python)
    have_ensurepip "$python"
    say "making .venv with $("$python" --version)"
    "$python" -m venv --clear .venv
fi

say "installing $requirements (pinned and hashed)"
rm -f .venv/.ready-*
# -qq: errors only. --no-compile: most of what is installed is never imported.
install() { .venv/bin/python -m pip install -qq --disable-pip-version-check --no-compile "$@"; }
install --require-hashes --requirement "$requirements"
install --no-deps --no-build-isolation --editable .
stamp_of "$need" >".venv/.ready-$need"
say "ready"
