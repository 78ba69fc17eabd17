#!/usr/bin/env bash
# Makes the virtual environment of one peer, for the comparisons in this folder.
#
#   tests/parity/make_env.sh mmyolo [DIR]     MMYOLO 0.6.0 beside the original OpenMMLab packages
#   tests/parity/make_env.sh megvii [DIR]     Megvii's YOLOX 0.3.0
#
# DIR defaults to .venv-parity/NAME. PYTHON names the interpreter (default: python3). The peers are only
# imported, never compiled: no torchvision, no CUDA and no C compiler are needed.
set -euo pipefail

name=${1:?usage: make_env.sh mmyolo|megvii [DIR]}
env=${2:-.venv-parity/$name}
torch=torch==2.13.0

"${PYTHON:-python3}" -m venv "$env"
pip="$env/bin/pip --disable-pip-version-check"

case $name in
mmyolo)
    $pip install "$torch" 'setuptools<81' wheel numpy opencv-python-headless matplotlib scipy shapely \
        six terminaltables pycocotools addict pyyaml rich termcolor yapf packaging pillow prettytable tqdm
    $pip install --no-deps mmengine==0.10.7 mmdet==3.3.0 mmyolo==0.6.0
    $pip install --no-deps --no-build-isolation mmcv-lite==2.1.0
    ;;
megvii)
    $pip install "$torch" 'setuptools<81' wheel numpy opencv-python-headless loguru tabulate psutil tqdm \
        pycocotools
    $pip install --no-deps --no-build-isolation yolox==0.3.0 thop
    ;;
*)
    echo "make_env.sh: unknown peer '$name' (mmyolo or megvii)" >&2
    exit 1
    ;;
esac
