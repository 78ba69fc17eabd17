"""Detection in images and videos of one's own, by a checkpoint in PyTorch or an exported file in its runtime.

detector = open_detector('yolox_s.pth')
for sample in detect(detector, ['a.jpg', 'b.jpg']):
    print(sample.img_path, sample.pred_instances.bboxes)
"""

from .detectors import Detector, ExportedDetector, TorchDetector, detect, init_detector, open_detector

__all__ = ['Detector', 'ExportedDetector', 'TorchDetector', 'detect', 'init_detector', 'open_detector']
