#!/usr/bin/env bash
# Makes the virtual environment of one peer, for the benchmarks in this folder.
#
#   benchmarks/make_env.sh mmyolo [DIR]   MMYOLO 0.6.0 beside the original OpenMMLab packages, no compiled ops
#   benchmarks/make_env.sh megvii [DIR]   Megvii's YOLOX 0.3.0
#   benchmarks/make_env.sh tidecv [DIR]   tidecv 1.0.1
#   benchmarks/make_env.sh mmcv [DIR]     onedl-mmcv with its ops compiled for the CPU: needs a C++ compiler
#                                         and about 10 minutes
#
# DIR defaults to .venv-peers/NAME. PYTHON names the interpreter (default: python3).
set -euo pipefail

name=${1:?usage: make_env.sh mmyolo|megvii|tidecv|mmcv [DIR]}
env=${2:-.venv-peers/$name}

case $name in
mmyolo | megvii)
    "$(dirname "$0")/parity/make_env.sh" "$name" "$env"
    ;;
tidecv)
    "${PYTHON:-python3}" -m venv "$env"
    pip="$env/bin/pip --disable-pip-version-check"
    $pip install 'numpy<2' pycocotools opencv-python-headless matplotlib pandas seaborn appdirs
    $pip install --no-deps tidecv==1.0.1
    ;;
mmcv)
    "${PYTHON:-python3}" -m venv "$env"
    pip="$env/bin/pip --disable-pip-version-check"
    $pip install torch==2.13.0 'setuptools<81' wheel ninja psutil numpy==2.2.6
    $pip install opencv-python-headless==4.12.0.88 addict pyyaml rich termcolor yapf packaging pillow matplotlib
    $pip install --no-deps onedl-mmengine==0.10.12
    MMCV_WITH_OPS=1 $pip install --no-build-isolation --no-deps --no-cache-dir --no-binary onedl-mmcv \
        onedl-mmcv==2.3.6
    ;;
*)
    echo "make_env.sh: unknown peer '$name' (mmyolo, megvii, tidecv or mmcv)" >&2
    exit 1
    ;;
esac
