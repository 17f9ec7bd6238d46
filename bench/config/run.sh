#!/bin/sh
# Measures the configuration against its peers: sets up what it needs, then prints one table.
set -eu
cd "$(dirname "$0")/../.."
venv=.cache/bench
if ! cmp -s requirements/bench.txt "$venv/requirements.txt"; then
    python3 -m venv --clear "$venv"
    "$venv/bin/pip" install -q --require-hashes -r requirements/bench.txt
    cp requirements/bench.txt "$venv/requirements.txt"
fi
PYTHONPATH=. exec "$venv/bin/python" -m bench.config.run "$@"
