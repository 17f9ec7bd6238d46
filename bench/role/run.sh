#!/bin/sh
# Measures a second deployment, which changes nothing, against a play of 20 plain file tasks, on
# the container that the role's tests run in.
set -eu
cd "$(dirname "$0")/../.."
tools/setup.sh dev
target=.cache/bench-role
trap '.venv/bin/python -m tools.targets destroy --state "$target"' EXIT
.venv/bin/python -m tools.targets create --state "$target"
.venv/bin/python -m bench.role.run "$target" "$@"
