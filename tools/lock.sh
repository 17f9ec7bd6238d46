#!/bin/sh
# Compiles the hash-locked requirements from pyproject.toml. They record no download addresses.
set -eu
cd "$(dirname "$0")/.."
compile() {
    out=$1
    shift
    .venv/bin/uv pip compile -q --generate-hashes --universal --python-version 3.11 --no-emit-index-url --no-header -o "$out" "$@"
}
compile requirements/bootstrap.txt requirements/bootstrap.in
compile requirements/runtime.txt pyproject.toml
compile requirements/dev.txt pyproject.toml --group test --group lint --group role --group build \
    -c requirements/runtime.txt -c requirements/bootstrap.txt
compile requirements/bench.txt pyproject.toml --group bench -c requirements/runtime.txt
