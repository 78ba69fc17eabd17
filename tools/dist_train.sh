#!/usr/bin/env bash
# Train with one process per device:  tools/dist_train.sh CONFIG DEVICES_PER_NODE [options of train.py]
#
# On several nodes, run it on each with NNODES, NODE_RANK and MASTER_ADDR (the first node's address) set, and
# with --resume: when processes or a node are gone, the others wait until the node runs it again, and all go on
# from the last checkpoint. The work dir and the data have to be at the same path on all of them.
# MAX_RESTARTS: how often (3). JOIN_TIMEOUT: the seconds that nodes wait for one another (1800).
# LOCAL_ADDR: the address by which the others find this node, where its host name does not tell it.
# PORT: the port for the processes to meet at; a second job on a node needs another.
# PYTHON: the interpreter.
set -euo pipefail

if [ $# -lt 2 ]; then
    echo "usage: $0 CONFIG DEVICES_PER_NODE [options of train.py]" >&2
    exit 2
fi
config=$1
devices=$2
shift 2

address=${MASTER_ADDR:-127.0.0.1}
port=${PORT:-29500}
if [ "${NNODES:-1}" = 1 ]; then
    meeting=(--node-rank="${NODE_RANK:-0}" --master-addr="$address" --master-port="$port")
else
    # Otherwise torchrun keeps the store of the first start, of which a node that comes back is not told.
    export TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1
    is_host=$([ "${NODE_RANK:-0}" = 0 ] && echo true || echo false)
    meeting=(
        --rdzv-backend=c10d --rdzv-id="$port" --rdzv-endpoint="$address:$port"
        --rdzv-conf="is_host=$is_host,join_timeout=${JOIN_TIMEOUT:-1800}"
        --max-restarts="${MAX_RESTARTS:-3}" ${LOCAL_ADDR:+--local-addr="$LOCAL_ADDR"}
    )
fi

exec "${PYTHON:-python}" -m torch.distributed.run \
    --nnodes="${NNODES:-1}" --nproc-per-node="$devices" "${meeting[@]}" \
    "$(dirname "${BASH_SOURCE[0]}")/train.py" "$config" --launcher pytorch "$@"
