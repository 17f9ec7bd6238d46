#!/bin/sh
# Measures workspaces against full clones: sets up what it needs, then prints one table.
set -eu
cd "$(dirname "$0")/../.."
tools/setup.sh runtime
PYTHONPATH=. exec .venv/bin/python -m bench.workspace.run "$@"
