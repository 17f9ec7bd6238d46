#!/bin/sh
# Runs scenarios one after the other: tools/molecule.sh SCENARIO...
set -eu

cd "$(dirname "$0")/.."
PATH="$PWD/.venv/bin:$PATH"
for scenario in "$@"; do
    # Named, because it is found by itself only in a clone.
    molecule --base-config .config/molecule/config.yml test --scenario-name "$scenario"
done
