"""What this project adds to the core, which imports this module as its :mod:`extension <mmyolox.extensions>`.

They are what the weights of a pose model tell, which ones are published, and what the keypoints of an
exported model are.

MMYOLO's YOLOX-Pose has our layout, so that it needs no translation; for MMPose's see
:mod:`.mmpose_checkpoints`.
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from mmyolox.apis.results import register_keypoints
from mmyolox.checkpoints.published import of_mmyolo, register_weights
from mmyolox.checkpoints.recognise import HEAD, Architecture, Family, register_family
from mmyolox.checkpoints.sources.base import register_source

from . import mmpose_checkpoints, results
from .head_module import YOLOXPoseHeadModule
from .oks import OksLoss
from .skeleton import COCO_SIGMAS, Skeleton, default_sigma

_VISIBILITY = f'{HEAD}multi_level_conv_vis.0.bias'
_DATASETS = tuple(f'{split}_dataloader.dataset' for split in ('train', 'val', 'test'))


class PoseFamily(Family):
    """The pose models, which are known by their prediction of visibility."""

    name = 'YOLOX-Pose'
    sizes = ('nano', 'tiny', 's', 'm', 'l')
    num_classes = 1

    def head(self, **kwargs: Any) -> nn.Module:
        oks = OksLoss([default_sigma('')] * kwargs['num_keypoints'])
        module = YOLOXPoseHeadModule(**kwargs)
        return nn.ModuleDict(dict(head_module=module, loss_pose=oks, assigner_oks_calculator=oks))

    def fields(self, state_dict: Mapping[str, Tensor]) -> dict[str, int] | None:
        return dict(num_keypoints=len(state_dict[_VISIBILITY])) if _VISIBILITY in state_dict else None

    def config(
        self, architecture: Architecture, size: str, recorded: Mapping[str, Any]
    ) -> tuple[str, dict[str, Any]]:
        """The size's config for COCO, with the recorded keypoints, or nameless ones of another number."""
        num_keypoints = architecture.fields['num_keypoints']
        options: dict[str, Any] = {}
        if recorded.get('skeleton') or num_keypoints != len(COCO_SIGMAS):
            names = [f'keypoint {index}' for index in range(num_keypoints)]
            sigmas = [default_sigma(name) for name in names]
            nameless = dict(keypoints=names, flip_pairs=[], links=[], sigmas=sigmas)
            # Complete, as its parts are merged with those of COCO's.
            skeleton = Skeleton.of(recorded.get('skeleton') or nameless).spec()
            options['model.bbox_head.skeleton'] = skeleton
            options |= {f'{loader}.metainfo.skeleton': skeleton for loader in _DATASETS}
        if architecture.num_classes != 1:
            classes = recorded.get('classes') or [
                f'class {label}' for label in range(architecture.num_classes)
            ]
            options |= {f'{loader}.metainfo.classes': classes for loader in _DATASETS}
        return f'yolox-pose_{size}_8xb32-300e-rtmdet-hyp_coco', options


register_family(PoseFamily())
register_weights(
    *(
        of_mmyolo(
            f'yolox-pose_{size}_8xb32-300e-rtmdet-hyp_coco_{stamp}',
            ap,
            name=f'yolox-pose_{size}',
            family=PoseFamily.name,
            kind='keypoint',
            group='pose/',
        )
        for size, ap, stamp in (
            ('tiny', 52.8, '20230427_080351-2117af67'),
            ('s', 63.7, '20230427_005150-e87d843a'),
            ('m', 69.3, '20230427_094024-bbeacc1c'),
            ('l', 71.1, '20230427_041140-82d65ac8'),
        )
    )
)
register_source(mmpose_checkpoints.SOURCE)
register_keypoints(results.KEYPOINTS)
