"""mmyolox.deploy without torch, the OpenMMLab packages and OpenCV: importing them there raises.

Drawing needs Pillow, and nothing else does.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deploy.models import SMALL, rows_of, write_graph
from tests.deploy.test_runtimes import to_openvino

ROOT = Path(__file__).parents[2]

CODE = """
import sys

BLOCKED = {'torch', 'torchvision', 'mmengine', 'mmcv', 'mmdet', 'mmpose', 'cv2', 'scipy', 'onnx'}

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition('.')[0] in BLOCKED:
            raise ImportError(f'{name} is blocked')

sys.meta_path.insert(0, Blocker())
import numpy as np
from mmyolox.deploy import ExportedModel
from mmyolox.deploy.draw import draw

image = np.full((128, 192, 3), 50, np.uint8)
model = ExportedModel(sys.argv[1], threads=1)
small, found = model([image[:40, :40], image])
assert 'PIL' not in sys.modules
picture = draw(image, found, model.info)
assert (picture != image).any() and (image == 50).all()
print(found.bboxes.round().tolist(), found.labels.tolist(), sorted(BLOCKED.intersection(sys.modules)))
"""


@pytest.mark.parametrize('suffix', ['.onnx', '.xml'])
def test_images_in_detections_and_pictures_out(tmp_path: Path, suffix: str) -> None:
    rows = rows_of(SMALL, (48, 32, 20, 10, 0.9, 0.1, 0.8))
    path = write_graph(tmp_path / 'model.onnx', dict(output=rows))
    if suffix == '.xml':
        path = to_openvino(path)
    result = subprocess.run(
        [sys.executable, '-c', CODE, str(path)],
        env={**os.environ, 'PYTHONPATH': str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout == '[[76.0, 54.0, 116.0, 74.0]] [1] []\n'


def test_importing_it_loads_no_runtime() -> None:
    heavy = {'onnxruntime', 'openvino', 'torch', 'cv2', 'PIL'}
    code = f'import sys, mmyolox.deploy; print({heavy} & set(sys.modules))'
    result = subprocess.run([sys.executable, '-c', code], cwd=ROOT, capture_output=True, text=True)
    assert result.stdout == 'set()\n', result.stderr
