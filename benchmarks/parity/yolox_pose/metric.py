"""Our keypoint metric beside pycocotools and MMPose's ``CocoMetric``, on real annotations with noise.

    python benchmarks/parity/yolox_pose/metric.py --data-root data/coco

Detections are the people of ``annotations/person_keypoints_{split}.json``, found up to four times with more
or less noise, and false alarms; scores tie, and are better where the noise is less. All three evaluate the
same ones; the table has the ten figures of each and the largest difference. MMPose's row needs it in this
environment, which one command installs (it is printed if MMPose is absent).
"""

import argparse
import contextlib
import io
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

NAMES = ('AP', 'AP50', 'AP75', 'AP M', 'AP L', 'AR', 'AR50', 'AR75', 'AR M', 'AR L')
FALSE_ALARMS = 5

Samples = list[dict[str, Any]]


def found_people(data_set: Any, seed: int) -> Samples:
    """Data samples as MMEngine hands them to metrics."""
    rng = np.random.default_rng(seed)
    sigmas = np.array(data_set.skeleton.sigmas)
    return [one_image(data_set.get_data_info(index), sigmas, rng) for index in range(len(data_set))]


def one_image(entry: dict[str, Any], sigmas: NDArray, rng: np.random.Generator) -> dict[str, Any]:
    """What a model might find in an image."""
    from mmyolox.projects.yolox_pose.results import PoseInstances

    size = np.array([entry['width'], entry['height']])
    again = rng.integers(1, 5, len(entry['bboxes']))
    bboxes, keypoints, areas = (
        np.repeat(entry[key].astype(np.float64), again, 0) for key in ('bboxes', 'keypoints', 'areas')
    )
    noise = rng.random(len(bboxes))
    spread = 3 * (noise * np.sqrt(areas))[:, None, None] * sigmas[:, None]
    centres = (bboxes[:, None, :2] + bboxes[:, None, 2:]) / 2
    points = np.where(keypoints[..., 2:] > 0, keypoints[..., :2], centres)
    points = points + rng.normal(0, 1, points.shape) * spread
    bboxes = bboxes + rng.normal(0, 0.1, bboxes.shape) * np.sqrt(areas)[:, None]
    corners = rng.random((FALSE_ALARMS, 2, 2)) * size
    false_bboxes = np.concatenate([corners.min(1), corners.max(1)], axis=1)
    points = np.concatenate([points, rng.random((FALSE_ALARMS, len(sigmas), 2)) * size])
    certainty = np.concatenate([1 - 0.7 * noise, rng.random(FALSE_ALARMS) / 2])
    scores = torch.tensor(certainty.round(1), dtype=torch.float32)
    instances = PoseInstances(
        bboxes=torch.tensor(np.concatenate([bboxes, false_bboxes]), dtype=torch.float32),
        scores=scores,
        bbox_scores=scores,
        labels=torch.zeros(len(points), dtype=torch.int64),
        keypoints=torch.tensor(points, dtype=torch.float32),
        keypoint_scores=torch.tensor(rng.uniform(0.1, 1, points.shape[:2]), dtype=torch.float32),
    )
    return dict(img_id=entry['img_id'], id=entry['id'], gt_instances={}, pred_instances=instances.to_dict())


def ours(ann_file: str, metainfo: dict[str, Any], samples: Samples) -> Sequence[float]:
    """Our metric, before its figures are rounded."""
    from mmyolox.evaluation.coco_summary import figures_of, value_of
    from mmyolox.projects.yolox_pose.keypoint_metric import YOLOXPoseCocoMetric

    metric = YOLOXPoseCocoMetric(ann_file)
    metric.dataset_meta = metainfo
    metric.process({}, samples)
    curves = metric.curves(metric.results, 'keypoints')
    return [value_of(figure, curves) for figure in figures_of(curves.comparison).values()]


def pycocotools(ann_file: str, metainfo: dict[str, Any], samples: Samples) -> Sequence[float]:
    """pycocotools, as it is used everywhere."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    entries = []
    for sample in samples:
        predicted = sample['pred_instances']
        scores = predicted['keypoint_scores'][..., None]
        points = np.concatenate([predicted['keypoints'], scores], axis=2).reshape(len(scores), -1)
        boxes = predicted['bboxes'].astype(np.float64)
        boxes[:, 2:] -= boxes[:, :2]
        for point, box, score in zip(
            points.tolist(), boxes.tolist(), predicted['scores'].tolist(), strict=True
        ):
            entry = dict(image_id=sample['img_id'], category_id=1, score=score)
            entries.append(entry | dict(keypoints=point, bbox=box))
    truth = COCO(ann_file)
    evaluation = COCOeval(truth, truth.loadRes(entries), 'keypoints')
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return list(evaluation.stats)


def mmpose(ann_file: str, metainfo: dict[str, Any], samples: Samples) -> Sequence[float]:
    """MMPose's metric, built by MMEngine from a config."""
    from mmengine.evaluator import Evaluator

    config = dict(type='mmpose.CocoMetric', ann_file=ann_file, score_mode='bbox', nms_mode='none')
    evaluator = Evaluator(config)
    evaluator.dataset_meta = metainfo
    evaluator.process(samples, {})
    return list(evaluator.evaluate(len(samples)).values())


def compare(ways: dict[str, Callable[..., Sequence[float]]], root: str, split: str, seed: int) -> float:
    """Prints the table of one split, and returns the largest difference from ours."""
    from mmyolox.projects.yolox_pose.dataset import YOLOXPoseCocoDataset

    ann_file = f'{root}/annotations/person_keypoints_{split}.json'
    data_set = YOLOXPoseCocoDataset(
        ann_file=ann_file, data_prefix=dict(img=f'{root}/{split}'), img_scale=(640, 640), pipeline=[]
    )
    samples = found_people(data_set, seed)
    with contextlib.redirect_stdout(io.StringIO()):
        figures = {name: way(ann_file, data_set.metainfo, samples) for name, way in ways.items()}
    print(f'\n{split}, seed {seed}\n\n| | {" | ".join(NAMES)} |\n|:--|{"--:|" * len(NAMES)}')
    for name, values in figures.items():
        print(f'| {name} | {" | ".join(f"{value:.4f}" for value in values)} |')
    return max(float(np.abs(np.subtract(values, figures['ours'])).max()) for values in figures.values())


def main() -> None:
    """Compares."""
    parser = argparse.ArgumentParser(description='our keypoint metric beside pycocotools and MMPose')
    parser.add_argument('--data-root', required=True, help='with annotations/ and the image folders')
    parser.add_argument('--splits', nargs='+', default=['train2017', 'val2017'])
    parser.add_argument('--seeds', type=int, default=3, help='how many draws of noise a split')
    args = parser.parse_args()
    from mmyolox.projects.yolox_pose.xtcocotools import INSTALL, support_mmpose

    support_mmpose()
    ways: dict[str, Callable[..., Sequence[float]]] = dict(ours=ours, pycocotools=pycocotools)
    if find_spec('mmpose'):
        from xtcocotools.cocoeval import COCOeval

        is_real = COCOeval.__module__.startswith('xtcocotools')
        ways[f'mmpose, {"xtcocotools" if is_real else "our stand-in for xtcocotools"}'] = mmpose
    else:
        print(f'without MMPose: {INSTALL}')
    pairs = [(split, seed) for split in args.splits for seed in range(args.seeds)]
    worst = max(compare(ways, args.data_root, *pair) for pair in pairs)
    print(f'\nlargest difference: {worst:.1e}')


if __name__ == '__main__':
    main()
