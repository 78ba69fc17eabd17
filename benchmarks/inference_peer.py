"""Runs the inference of one contestant; ``inference.py`` starts it in that one's environment.

    python inference_peer.py ours|megvii

Both are given the same canvases, in the memory layout that their own data pipelines make.
"""

import copy
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from side_by_side import serve
from torch import Tensor, nn

SCORE_THR = 0.01  # both of Megvii's evaluation
NMS_THRESHOLD = 0.65
# Mean and standard deviation of random logits: some hundred priors of an image have an objectness over 0.01,
# and most of them a score, as on COCO's photographs.
OBJECTNESS = (-7.5, 2.0)
CLASSES = (-4.0, 2.0)
Variant = tuple[Callable[[Tensor], Any], Callable[[Any], Any]]
"""From a batch of images to raw outputs, and from these to boxes."""


def build_megvii(folder: Path, model: str, weights: str | None) -> dict[str, Variant]:
    """Megvii's model, as it is and fused; the first process leaves its weights for all."""
    import peers

    peers.prepare_megvii()
    from yolox.exp import get_exp
    from yolox.utils import fuse_model, postprocess

    network = get_exp(exp_name=f'yolox-{model}').get_model().eval()
    shared = folder / 'weights.pth'
    if not shared.exists():
        if weights:
            network.load_state_dict(torch.load(weights, weights_only=True)['model'])
        else:
            randomise(network, to_megvii(np.load(folder / 'inputs.npy')[:2]))
        torch.save(network.state_dict(), shared)
    network.load_state_dict(torch.load(shared, weights_only=True))
    find = partial(
        postprocess, num_classes=network.head.num_classes, conf_thre=SCORE_THR, nms_thre=NMS_THRESHOLD
    )
    return dict(default=(network, find), fused=(fuse_model(copy.deepcopy(network)), find))


def randomise(network: nn.Module, images: Tensor) -> None:
    """Random weights whose features keep their size and whose scores are spread like a trained network's."""
    torch.manual_seed(0)
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm2d):
            nn.init.uniform_(norm.weight, 0.5, 1.5)
            nn.init.normal_(norm.bias, std=0.2)
            norm.momentum = 1.0
            norm.train()
    network(images)
    network.eval()
    hooks = [
        layer.register_forward_hook(partial(spread, logits=logits))
        for layers, logits in ((network.head.obj_preds, OBJECTNESS), (network.head.cls_preds, CLASSES))
        for layer in layers
    ]
    network(images)
    for hook in hooks:
        hook.remove()


def spread(layer: nn.Module, _: Any, output: Tensor, logits: tuple[float, float]) -> None:
    """Changes a prediction layer so that the outputs of this run would have had a mean and a deviation."""
    mean, deviation = logits
    scale = deviation / output.std()
    layer.weight.mul_(scale)
    layer.bias.copy_(mean - scale * (output.mean() - layer.bias.mean()))


def build_ours(folder: Path, model: str) -> dict[str, Variant]:
    """Our detector with Megvii's converted weights, in float32 and, if the CPU has it, in bfloat16."""
    from mmyolox.apis import init_detector
    from mmyolox.checkpoints.convert import convert
    from mmyolox.errors import UserError

    checkpoint = folder / 'ours.pth'
    torch.save(
        dict(state_dict=convert(torch.load(folder / 'weights.pth', weights_only=True)).state_dict), checkpoint
    )
    test_cfg = dict(score_thr=SCORE_THR, multi_label=False, max_per_img=-1)
    options = {f'model.test_cfg.{key}': value for key, value in test_cfg.items()}
    options['model.test_cfg.nms.iou_threshold'] = NMS_THRESHOLD
    variants: dict[str, Variant] = {}
    for dtype in ('float32', 'bfloat16'):
        try:
            detector = init_detector(
                f'yolox_{model}_fast_8xb8-300e_coco', checkpoint, 'cpu', options, dtype=dtype
            )
        except UserError as error:
            print(error, file=sys.stderr)
            continue
        variants[dtype] = (partial(our_outputs, detector), partial(our_boxes, detector))
    return variants


def our_outputs(detector: nn.Module, images: Tensor) -> Any:
    """Raw outputs of a uint8 batch."""
    return detector(detector.data_preprocessor(dict(inputs=images, data_samples={}))['inputs'])


def our_boxes(detector: nn.Module, outputs: Any) -> Any:
    """Detections in pixels of the canvas."""
    cls_logits = outputs.cls_logits[0]
    side = cls_logits.shape[-1] * 8
    return detector.bbox_head.postprocess(
        outputs, [dict(matrix=np.eye(3), ori_shape=(side, side))] * len(cls_logits)
    )


def to_ours(canvases: np.ndarray) -> Tensor:
    """Channels last, as our collate function leaves them."""
    return torch.from_numpy(canvases).permute(0, 3, 1, 2)


def to_megvii(canvases: np.ndarray) -> Tensor:
    """Contiguous float32 planes."""
    return torch.from_numpy(canvases).permute(0, 3, 1, 2).float().contiguous()


def decoded(outputs: Any) -> Tensor:
    """Our raw outputs in Megvii's form: (B, N, 5 + C) of centre, size, objectness and class scores."""
    from mmyolox.models.boxes import decode_bboxes, grid_priors

    cls_logits, bbox_preds, obj_logits = (
        torch.cat([level.permute(0, 2, 3, 1).flatten(1, 2) for level in levels], 1) for levels in outputs
    )
    priors = grid_priors(
        [tuple(level.shape[2:]) for level in outputs.cls_logits], (8, 16, 32), cls_logits.device
    )
    low, high = decode_bboxes(bbox_preds, priors).split(2, dim=-1)
    return torch.cat([(low + high) / 2, high - low, obj_logits.sigmoid(), cls_logits.sigmoid()], -1)


class Contestant:
    """Answers requests.

    Args:
        who: ``ours`` or ``megvii``.
    """

    def __init__(self, who: str) -> None:
        self.who = who
        self.variants: dict[str, Variant] = {}
        self.folder = Path()
        self.images = torch.empty(0)

    def build(self, folder: str, model: str, weights: str | None, threads: int) -> list[str]:
        """Makes the models; their names."""
        torch.set_num_threads(threads)
        self.folder = Path(folder)
        if self.who == 'ours':
            self.variants = build_ours(self.folder, model)
        else:
            self.variants = build_megvii(self.folder, model, weights)
        return list(self.variants)

    def run(self, variant: str, batch_size: int) -> dict[str, float]:
        """Detects in a batch once: seconds until the raw outputs, and until the boxes."""
        if len(self.images) != batch_size:
            canvases = np.load(self.folder / 'inputs.npy')[:batch_size]
            self.images = to_ours(canvases) if self.who == 'ours' else to_megvii(canvases)
        network, find = self.variants[variant]
        start = time.perf_counter()
        outputs = network(self.images)
        middle = time.perf_counter()
        find(outputs)
        return dict(network=middle - start, boxes=time.perf_counter() - start)

    def save(self) -> None:
        """Megvii's part of the comparison: stores the outputs of the first image."""
        network, _ = self.variants['default']
        torch.save(network(to_megvii(np.load(self.folder / 'inputs.npy')[:1])), self.folder / 'outputs.pth')

    def compare(self) -> float:
        """Our part: the largest difference from Megvii's boxes and scores, relative to 1 + their size."""
        network, _ = self.variants['float32']
        ours = decoded(network(to_ours(np.load(self.folder / 'inputs.npy')[:1])))
        theirs = torch.load(self.folder / 'outputs.pth', weights_only=True)
        return float(((ours - theirs).abs() / (1 + theirs.abs())).max())


@torch.no_grad()
def main(who: str) -> None:
    """Serves."""
    contestant = Contestant(who)
    actions = dict(
        build=contestant.build, run=contestant.run, save=contestant.save, compare=contestant.compare
    )
    serve(lambda action, **request: actions[action](**request))


if __name__ == '__main__':
    main(sys.argv[1])
