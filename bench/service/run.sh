#!/bin/sh
# Measures one look at a unit's state: ServiceManager's adapter against systemctl as a subprocess.
# On this machine if systemd runs here, else in the container that the role's tests run in.
set -eu
cd "$(dirname "$0")/../.."
if [ -d /run/systemd/system ]; then
    tools/setup.sh runtime
    PYTHONPATH=. exec .venv/bin/python -m bench.service.run "$@"
fi
tools/setup.sh dev
target=.cache/bench-service
trap '.venv/bin/python -m tools.targets destroy --state "$target"' EXIT
.venv/bin/python -m tools.targets create --state "$target"
in_target() {
    ssh -q -p "$(cat "$target/ssh_port")" -i "$target/ssh_key" -o UserKnownHostsFile=/dev/null \
        -o StrictHostKeyChecking=no root@127.0.0.1 "$@"
}
tar --create claude_flow schemas bench/service requirements/runtime.txt | in_target tar --extract --directory /root
echo "bench: installing what the adapter needs (about a minute)" >&2
in_target "python3 -m venv /root/venv && /root/venv/bin/pip install -q --disable-pip-version-check \
    --require-hashes -r /root/requirements/runtime.txt"
in_target /root/venv/bin/python -m bench.service.run "$@"
