"""Random people, raw outputs of a pose head that half knows them, and small models, for the tests."""

import torch
from torch import nn

from mmyolox.config import load_config
from mmyolox.models.boxes import encode_bboxes, grid_priors
from mmyolox.projects.yolox_pose.head import YOLOXPoseHead
from mmyolox.projects.yolox_pose.head_module import PoseOutputs, YOLOXPoseHeadModule
from mmyolox.projects.yolox_pose.skeleton import COCO_SIGMAS
from mmyolox.registry import MODELS

STRIDES = (8, 16, 32)
TEST_CFG = dict(score_thr=0.1, multi_label=True, nms_pre=1000, nms=dict(iou_threshold=0.5), max_per_img=100)
COCO_SKELETON = dict(
    keypoints=list(COCO_SIGMAS),
    flip_pairs=[[name, 'right' + name[4:]] for name in COCO_SIGMAS if name.startswith('left')],
    sigmas=list(COCO_SIGMAS.values()),
)


class GivenPoseOutputs(nn.Module):
    """Stands for the towers and hands on what it is given as the feature maps."""

    featmap_strides = STRIDES

    def __init__(self, num_keypoints, num_classes=1):
        super().__init__()
        self.num_keypoints = num_keypoints
        self.num_classes = num_classes

    def forward(self, feats):
        return feats


def pose_head(skeleton=COCO_SKELETON, assigner=None, form='diagonal', **kwargs):
    """A head whose feature maps are its raw outputs."""
    return YOLOXPoseHead(
        skeleton=skeleton,
        head_module=dict(type=GivenPoseOutputs),
        loss_pose=dict(type='OksLoss', form=form, loss_weight=30.0),
        train_cfg=dict(assigner=dict(type='PoseSimOTAAssigner', **(assigner or {}))),
        test_cfg=TEST_CFG,
        **kwargs,
    )


def pose_model(size, skeleton=COCO_SKELETON, **head):
    """YOLOX-Pose of a size, as published; ``head`` changes the config of its head module."""
    model = load_config(f'yolox_{size}_fast_8xb8-300e_coco').model
    module = dict(model.bbox_head.head_module, type=YOLOXPoseHeadModule, num_classes=1, **head)
    model.bbox_head = dict(
        type=YOLOXPoseHead,
        skeleton=skeleton,
        head_module=module,
        loss_pose=dict(type='OksLoss', loss_weight=30.0),
    )
    model.train_cfg = dict(assigner=dict(type='PoseSimOTAAssigner'))
    model.data_preprocessor.batch_augments = []
    return MODELS.build(model)


def random_people(counts, size, sides, num_keypoints=17, seed=0):
    """The annotations of a batch: so many people in each image of ``size`` (h, w) pixels.

    Args:
        sides: The range of their boxes' sides in pixels.
    """
    random = torch.Generator().manual_seed(seed)
    shape = (len(counts), max(counts, default=0))
    extent = torch.tensor([size[1], size[0]]).float()
    low, high = sides
    lengths = (low + (high - low) * torch.rand(*shape, 2, generator=random)).minimum(extent)
    corners = torch.rand(*shape, 2, generator=random) * (extent - lengths)
    points = corners[:, :, None] + lengths[:, :, None] * torch.rand(
        *shape, num_keypoints, 2, generator=random
    )
    visibility = torch.randint(3, (*shape, num_keypoints), generator=random)
    visibility[..., 0] = 2
    is_person = torch.arange(shape[1]) < torch.tensor(counts)[:, None]
    keypoints = torch.cat([points, visibility[..., None].float()], dim=-1)
    keypoints *= (visibility > 0)[..., None] & is_person[..., None, None]
    return dict(
        bboxes=torch.cat([corners, corners + lengths], dim=2) * is_person[..., None],
        labels=torch.where(is_person, 0, -1),
        ignored_bboxes=torch.zeros(len(counts), 0, 4),
        keypoints=keypoints,
        areas=lengths.prod(dim=2) * is_person * 0.6,
    )


def random_outputs(people, size, noise=0.2, num_classes=1, is_nearest=False, seed=0):
    """Raw outputs where every cell predicts one of the people of its image, a little wrong.

    Args:
        is_nearest: Whether to predict the nearest of the people, not any.
        noise: That of boxes and keypoints, as a share of the box's sides.
    """
    random = torch.Generator().manual_seed(seed)
    sizes = [(size[0] // stride, size[1] // stride) for stride in STRIDES]
    priors = grid_priors(sizes, STRIDES, torch.device('cpu'))
    bboxes, points = people['bboxes'], people['keypoints'][..., :2]
    batch, count, num_keypoints = points.shape[:3]
    if not count:
        bboxes, points = torch.zeros(batch, 1, 4), torch.zeros(batch, 1, num_keypoints, 2)
    chosen = torch.randint(max(count, 1), (batch, len(priors)), generator=random)
    if is_nearest:
        middles = (bboxes[..., :2] + bboxes[..., 2:]) / 2
        chosen = torch.cdist(priors[:, :2].expand(batch, -1, -1), middles).argmin(dim=2)
    images = torch.arange(batch)[:, None]
    bboxes, points = bboxes[images, chosen], points[images, chosen]
    lengths = (bboxes[..., 2:] - bboxes[..., :2]).clamp(min=4)
    near = torch.cat([bboxes[..., :2], bboxes[..., :2] + lengths], dim=-1)
    wrong = torch.randn(batch, len(priors), num_keypoints + 2, 2, generator=random) * noise
    near = near + (wrong[:, :, :2] * lengths[:, :, None]).flatten(2)
    near[..., 2:] = near[..., 2:].maximum(near[..., :2] + 2)
    points = points + wrong[:, :, 2:] * lengths[:, :, None]
    offsets = (points - priors[:, None, :2]) / priors[:, None, 2:]
    logits = [torch.randn(batch, len(priors), n, generator=random) for n in (num_classes, 1, num_keypoints)]
    flat = (logits[0], encode_bboxes(near, priors), logits[1], offsets.flatten(2), logits[2])
    lengths = [h * w for h, w in sizes]
    levels = (
        [
            part.transpose(1, 2).unflatten(2, grid).contiguous()
            for part, grid in zip(x.split(lengths, dim=1), sizes, strict=True)
        ]
        for x in flat
    )
    return PoseOutputs(*levels)
