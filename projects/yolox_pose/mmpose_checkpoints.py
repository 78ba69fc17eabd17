"""Weights of MMPose's YOLOXPose, releases 1.2 and 1.3: the same tensors as here under other names.

Backbone and neck are MMDetection's; the head has other names and the same layers as MMYOLO's, which ours are.
Offsets and visibility mean the same too (``YOLOXPoseHead.decode_kpt_reg``, MMPose 1.3.2).
"""

from collections.abc import Mapping

from torch import Tensor

from mmyolox.checkpoints.sources.base import Source, Translation, recognised_by, rename_all, replace_prefix
from mmyolox.checkpoints.sources.openmmlab import rename_mmdet_key
from mmyolox.errors import UserError

_THEIRS = 'head.head_module.'
_PREFIXES = {
    f'{_THEIRS}{theirs}.': f'bbox_head.head_module.multi_level_{ours}.'
    for theirs, ours in (
        ('conv_cls', 'cls_convs'),
        ('conv_reg', 'reg_convs'),
        ('conv_pose', 'pose_convs'),
        ('out_cls', 'conv_cls'),
        ('out_bbox', 'conv_reg'),
        ('out_obj', 'conv_obj'),
        ('out_kpt', 'conv_offsets'),
        ('out_kpt_vis', 'conv_vis'),
    )
}
_SIGMAS = 'head.loss_oks.sigmas'
_OUR_SIGMAS = ('bbox_head.loss_pose.sigmas', 'bbox_head.assigner_oks_calculator.sigmas')


def rename_key(name: str) -> str:
    """Returns our name of a tensor of MMPose's; an unknown name stays as it is."""
    return rename_mmdet_key(replace_prefix(name, _PREFIXES))


def _translate(state_dict: Mapping[str, Tensor]) -> Translation:
    if not any(name.startswith(f'{_THEIRS}conv_reg.') for name in state_dict):
        raise UserError("these are weights of MMPose's RTMO, another network than YOLOX-Pose")
    rest = {name: tensor for name, tensor in state_dict.items() if name != _SIGMAS}
    translation = rename_all(rest, rename_key)
    if _SIGMAS in state_dict:  # MMPose's assigner has its own elsewhere
        translation.tensors |= dict.fromkeys(_OUR_SIGMAS, state_dict[_SIGMAS])
        translation.origins |= dict.fromkeys(_OUR_SIGMAS, _SIGMAS)
    return translation


SOURCE = Source(
    'mmpose',
    'MMPose YOLOXPose (1.2 - 1.3)',
    recognised_by(f'{_THEIRS}conv_pose.'),  # a head that finds people and their keypoints at once
    _translate,
)
