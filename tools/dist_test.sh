#!/usr/bin/env bash
# Test with one process per device:  tools/dist_test.sh CONFIG CHECKPOINT DEVICES_PER_NODE [options of test.py]
#
# On several nodes, run it on each with NNODES, NODE_RANK and MASTER_ADDR (the first node's address) set.
# PORT: the port for the processes to meet at; a second job on a node needs another.
# PYTHON: the interpreter.
set -euo pipefail

if [ $# -lt 3 ]; then
    echo "usage: $0 CONFIG CHECKPOINT DEVICES_PER_NODE [options of test.py]" >&2
    exit 2
fi
config=$1
checkpoint=$2
devices=$3
shift 3

exec "${PYTHON:-python}" -m torch.distributed.run \
    --nnodes="${NNODES:-1}" --nproc-per-node="$devices" --node-rank="${NODE_RANK:-0}" \
    --master-addr="${MASTER_ADDR:-127.0.0.1}" --master-port="${PORT:-29500}" \
    "$(dirname "${BASH_SOURCE[0]}")/test.py" "$config" "$checkpoint" --launcher pytorch "$@"
