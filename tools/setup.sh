#!/bin/sh
# Sets up what the project needs, once: Debian packages, then a virtual environment in .venv.
# Usage: tools/setup.sh runtime|dev|vm|agents
#   dev: everything the tests and linters need as well; vm: what a virtual machine takes beside that;
#   agents: the real agents' CLIs, in .cache
set -eu

cd "$(dirname "$0")/.."
flavour=${1:?usage: tools/setup.sh runtime|dev|vm|agents}
venv=.venv

say() { printf '%s\n' "$*" >&2; }
fail() { say "setup: $*"; exit 1; }

missing_packages() {
    # A comment or an empty line in the list names no package.
    # shellcheck disable=SC2013  # words, not lines
    for package in $(sed 's/#.*//' "$@"); do
        dpkg-query -W -f='${db:Status-Abbrev}\n' "$package" 2>/dev/null | grep -q '^ii' || printf '%s ' "$package"
    done
}

install_packages() {
    command -v dpkg-query >/dev/null || { say "setup: not Debian; taking $* for granted"; return 0; }
    missing=$(missing_packages "$@")
    [ -n "$missing" ] || return 0
    if [ "$(id -u)" = 0 ]; then
        as_root=
    elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
        as_root=sudo
    else
        fail "as root, run: apt-get install --no-install-recommends $missing"
    fi
    say "setup: installing Debian packages: $missing"
    # shellcheck disable=SC2086  # the words of $missing are packages
    { $as_root apt-get update -qq &&
        $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing; } >/dev/null ||
        fail "apt-get could not install: $missing"
}

case $flavour in
    agents)
        # Any Node.js and npm will do, wherever they come from.
        { command -v node && command -v npm; } >/dev/null || install_packages tools/packages-agents.txt
        exec .venv/bin/python tools/install_agents.py .cache/agents >&2
        ;;
    runtime) install_packages tools/packages-runtime.txt ;;
    dev) install_packages tools/packages-runtime.txt tools/packages-dev.txt tools/packages-role.txt ;;
    vm)
        install_packages tools/packages-runtime.txt tools/packages-dev.txt tools/packages-role.txt tools/packages-vm.txt
        flavour=dev # the same environment
        ;;
    *) fail "no such flavour: $flavour" ;;
esac

requirements=requirements/$flavour.txt
python=$(command -v python3 || true)
[ -n "$python" ] || fail "python3 is missing"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || fail "python3 must be 3.11 or newer, not $("$python" -V)"

# The stamp says what the environment was made of: another Python, place or lock makes it anew.
stamp=$venv/.made-of
state_of() {
    { printf '%s\n' "$PWD" "$("$python" -VV)" "$1"; cat requirements/bootstrap.txt requirements/runtime.txt "requirements/$1.txt" pyproject.toml; } |
        sha256sum | cut -d' ' -f1
}
if [ -f "$stamp" ] && grep -qx "$(state_of "$flavour")" "$stamp"; then
    exit 0
fi

say "setup: making the Python environment ($flavour) in $venv"
if ! grep -qF "$PWD/$venv" "$venv/pyvenv.cfg" 2>/dev/null || [ "$("$venv/bin/python" -VV 2>/dev/null)" != "$("$python" -VV)" ]; then
    rm -rf "$venv"
    "$python" -m venv "$venv" || fail "python3 -m venv failed; Debian has it in python3-venv"
fi
"$venv/bin/python" -m pip install -q --disable-pip-version-check --require-hashes -r requirements/bootstrap.txt
"$venv/bin/uv" pip install -q --python "$venv/bin/python" --require-hashes -r "$requirements"
"$venv/bin/uv" pip install -q --python "$venv/bin/python" --no-deps --no-build-isolation -e .
state_of runtime >"$stamp"  # dev holds all of runtime
[ "$flavour" = runtime ] || state_of "$flavour" >>"$stamp"
