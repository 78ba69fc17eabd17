"""Loss and gradients of a small pose model, on one process or, under torchrun, a share of them on each.

    [python -m torch.distributed.run --standalone --nproc-per-node=2] step.py FOLDER

Writes ``FOLDER/rank<R>_of<W>.pth``: for each case its losses and gradients. Nothing learns in between.
"""

import os
import sys
from pathlib import Path

import torch
import torch.distributed as dist
from mmengine.registry import init_default_scope
from torch.nn.parallel import DistributedDataParallel

import mmyolox  # noqa: F401
from mmyolox.projects.yolox_pose.tests.cases import pose_model, random_people

SIZE = (96, 128)
CASES = dict(
    mixed=((3, 2, 0, 1), (1, 2, 0, 1)),
    labelled_on_one=((2, 0, 3, 1), (2, 0, 0, 0)),
    people_on_one=((2, 1, 0, 0), (2, 1, 0, 0)),
    labelled_nowhere=((2, 1, 3, 1), (0, 0, 0, 0)),
    people_nowhere=((0, 0, 0, 0), (0, 0, 0, 0)),
)
"""People in each of four images, and how many of them have labelled keypoints."""


def batch(counts: tuple[int, ...], labelled: tuple[int, ...], share: slice) -> tuple:
    """Images and annotations of a share of a case."""
    people = random_people(counts, SIZE, (40, 90))
    for keypoints, count in zip(people['keypoints'], labelled, strict=True):
        keypoints[count:] = 0
    images = 255 * torch.rand(4, 3, *SIZE, generator=torch.Generator().manual_seed(0))
    return images[share], {name: value[share] for name, value in people.items()}


def main(folder: Path) -> None:
    """Runs all cases."""
    world, rank = int(os.environ.get('WORLD_SIZE', 1)), int(os.environ.get('RANK', 0))
    torch.set_num_threads(1)
    init_default_scope('mmyolox')
    torch.manual_seed(0)
    model = pose_model('nano', feat_channels=64, stacked_convs=1)
    model.norm_eval = True  # batch norm's statistics are those of a process' share
    model.train()
    runner = model
    if world > 1:
        dist.init_process_group('gloo')
        runner = DistributedDataParallel(model)
    step = 4 // world
    share = slice(rank * step, (rank + 1) * step)
    found = {}
    for name, case in CASES.items():
        images, people = batch(*case, share)
        model.zero_grad(set_to_none=True)
        losses = runner(images, people, 'loss')
        sum(losses.values()).backward()
        found[name] = dict(
            losses={key: loss.detach() for key, loss in losses.items()},
            grads={key: parameter.grad for key, parameter in model.named_parameters()},
        )
    torch.save(found, folder / f'rank{rank}_of{world}.pth')


if __name__ == '__main__':
    main(Path(sys.argv[1]))
