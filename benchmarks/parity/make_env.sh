#!/usr/bin/env bash
# Makes the virtual environment of one peer, for the comparisons in this folder.
#
#   benchmarks/parity/make_env.sh mmyolo [DIR]     MMYOLO 0.6.0 beside the original OpenMMLab packages
#   benchmarks/parity/make_env.sh megvii [DIR]     Megvii's YOLOX 0.3.0
#   benchmarks/parity/make_env.sh mmpose [DIR]     MMPose 1.3.2 beside the original OpenMMLab packages
#   benchmarks/parity/make_env.sh super_gradients [DIR]     SuperGradients 3.7.1, its models alone
#   benchmarks/parity/make_env.sh mindspore [DIR]  MindSpore 2.10.0 (CPU) and MindYOLO 0.5.0
#
# DIR defaults to .venv-parity/NAME. PYTHON names the interpreter (default: python3). The peers are only
# imported, never compiled: no torchvision, no CUDA and no C compiler are needed.
set -euo pipefail

name=${1:?usage: make_env.sh mmyolo|megvii|mmpose|super_gradients|mindspore [DIR]}
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
        pycocotools onnx onnxruntime onnxslim
    $pip install --no-deps --no-build-isolation yolox==0.3.0 thop
    ;;
mmpose)
    $pip install "$torch" 'setuptools<81' wheel numpy opencv-python-headless matplotlib scipy pycocotools \
        json_tricks munkres six addict pyyaml rich termcolor yapf packaging pillow
    $pip install --no-deps mmengine==0.10.7 mmpose==1.3.2
    $pip install --no-deps --no-build-isolation mmcv-lite==2.1.0
    ;;
super_gradients)
    $pip install "$torch" 'setuptools<81' numpy opencv-python-headless hydra-core matplotlib psutil tqdm \
        pillow einops termcolor
    $pip install --no-deps super-gradients==3.7.1
    ;;
mindspore)
    $pip install mindspore==2.10.0 'numpy<2' 'opencv-python-headless<4.12' pyyaml tqdm pycocotools
    $pip install --no-deps mindyolo==0.5.0
    ;;
*)
    echo "make_env.sh: unknown peer '$name' (mmyolo, megvii, mmpose, super_gradients or mindspore)" >&2
    exit 1
    ;;
esac
