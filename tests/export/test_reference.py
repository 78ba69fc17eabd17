"""The model in PyTorch that exports are held against: the thresholds are the export's."""

from dataclasses import replace

from mmyolox.export.description import describe
from mmyolox.export.inputs import made_images
from mmyolox.export.reference import Reference
from tests.export.models import options, small_detector


def test_the_thresholds_are_those_of_the_export_and_the_model_stays():
    model = small_detector()
    before = dict(model.bbox_head.test_cfg)
    info, images = describe(model, options(score_thr=0.2, max_per_img=1000)), made_images((64, 96), 3, 1)

    def found(**changes):
        return Reference(model, replace(info, **changes))(images)[0]

    assert 0 < len(found(iou_thr=0.2)) < len(found(iou_thr=1.0))
    assert 0 < len(found(score_thr=0.4)) < len(found())
    assert len(found(max_per_img=3)) == 3
    assert 0 < len(found(iou_thr=1.0, multi_label=False)) < len(found(iou_thr=1.0))
    assert dict(model.bbox_head.test_cfg) == before
