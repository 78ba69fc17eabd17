"""Compares our pose losses and their gradients with those of MMYOLO 0.6.0, on the same outputs and weights.

    benchmarks/make_env.sh mmyolo
    python benchmarks/parity/yolox_pose/mmyolo_pose_losses.py

Batches differ in size, number of people and how well they are predicted; everyone has a labelled keypoint,
as MMYOLO does not train with others. Two more go through the whole tiny network with shared random weights.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from mmengine.registry import init_default_scope

from mmyolox.projects.yolox_pose.head_module import PoseOutputs
from mmyolox.projects.yolox_pose.tests.cases import pose_head, pose_model, random_outputs, random_people

HERE = Path(__file__).parent

TOLERANCE = 1e-4
NETWORK_TOLERANCE = 1e-3
"""For gradients through the network: convolutions sum in another order in each memory layout."""
NAMES = dict(loss_l1='loss_bbox_aux')
"""What MMYOLO calls our losses, where it differs."""
Case = dict[str, Any]


def output_cases() -> list[Case]:
    """Raw outputs: (h, w), people in each image, the sides of their boxes in pixels, noise."""
    settings = [
        ((640, 640), (3, 12, 0, 7), (80, 400), 0.1),
        ((640, 640), (40, 25), (64, 200), 0.05),
        ((416, 608), (5, 1, 9), (100, 300), 0.3),
        ((320, 320), (0, 2), (120, 250), 0.02),
        ((480, 640), (20, 20, 20, 20), (64, 480), 0.15),
        ((256, 256), (0, 0), (64, 128), 0.1),
    ]
    cases = []
    for seed, (size, counts, sides, noise) in enumerate(settings):
        people = random_people(counts, size, sides, seed=seed)
        for use_l1 in (False, True):
            outputs = tuple(random_outputs(people, size, noise, seed=seed))
            cases.append(dict(**people, outputs=outputs, use_l1=use_l1))
    return cases


def image_cases(model: torch.nn.Module) -> list[Case]:
    """Random images for the whole network."""
    size = (256, 320)
    cases = []
    for seed, counts in enumerate([(4, 2), (0, 6)]):
        torch.manual_seed(seed)
        people = random_people(counts, size, (80, 250), seed=seed)
        images = 255 * torch.rand(2, 3, *size)
        cases.append(dict(**people, images=images, use_l1=True, state_dict=model.state_dict()))
    return cases


def run(model: torch.nn.Module, case: Case) -> dict[str, Any]:
    """Our losses of a case, and the gradients of their sum."""
    if 'images' in case:
        model.load_state_dict(case['state_dict'])
        model.train()
        model.bbox_head.use_l1 = case['use_l1']
        inputs = list(model.parameters())
        losses = model(case['images'], case, 'loss')
    else:
        inputs = [level.requires_grad_() for levels in case['outputs'] for level in levels]
        losses = pose_head(use_l1=case['use_l1']).loss(PoseOutputs(*case['outputs']), case)
    return dict(losses=losses, grads=torch.autograd.grad(sum(losses.values()), inputs))


def compare(ours: dict[str, Any], theirs: dict[str, Any]) -> dict[str, float]:
    """Relative differences of all losses, and of the gradients of their sum (the largest, to the largest)."""
    names = {NAMES.get(name, name) for name in ours['losses']}
    if names != set(theirs['losses']):
        raise SystemExit(f'losses differ: ours {sorted(names)}, theirs {sorted(theirs["losses"])}')
    found = {}
    for name, loss in ours['losses'].items():
        other = float(theirs['losses'][NAMES.get(name, name)])
        found[name] = abs(float(loss.detach()) - other) / max(abs(other), 1e-6)
    errors = [float((a - b).abs().max()) for a, b in zip(ours['grads'], theirs['grads'], strict=True)]
    found['gradient'] = max(errors) / max(float(grad.abs().max()) for grad in theirs['grads'])
    return found


def main() -> int:
    """Compares all cases and returns 1 when one differs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--mmyolo', default='.venv-peers/mmyolo/bin/python', help="MMYOLO's interpreter")
    args = parser.parse_args()
    init_default_scope('mmyolox')
    torch.manual_seed(0)
    model = pose_model('tiny')
    cases = [*output_cases(), *image_cases(model)]
    with tempfile.TemporaryDirectory() as folder:
        given, answer = Path(folder, 'cases.pth'), Path(folder, 'answer.pth')
        torch.save(cases, given)
        script = str(HERE / 'mmyolo_pose_peer.py')
        subprocess.run([args.mmyolo, script, 'losses', str(given), str(answer)], check=True)
        theirs = torch.load(answer)
    is_equal = True
    for title, key, bound in [('raw outputs', 'outputs', TOLERANCE), ('images', 'images', NETWORK_TOLERANCE)]:
        found = [
            compare(run(model, case), other) for case, other in zip(cases, theirs, strict=True) if key in case
        ]
        print(f'{len(found)} batches of {title}, largest relative differences:')
        for name in found[0] | found[1]:
            largest = max(differences.get(name, 0.0) for differences in found)
            print(f'    {name:10} {largest:.1e}')
            is_equal &= largest <= (bound if name == 'gradient' else TOLERANCE)  # NaN fails too
    return int(not is_equal)


if __name__ == '__main__':
    sys.exit(main())
