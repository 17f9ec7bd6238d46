#!/usr/bin/env bash
# 200 attempts in a row on one daemon: its memory and open files must stay flat.
set -euo pipefail
cd "$(dirname "$0")/../.."
tools/setup.sh dev
exec .venv/bin/python -m bench.soak.run "$@"
