"""What the dicts of a config may hold that no component is built from: keys, and types of their values."""

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any, Literal

OTHERS = '**'
"""The key that stands for all others, in a dict that may hold any."""

_Level = Literal['DEBUG', 'INFO', 'WARNING', 'ERROR', 'CRITICAL'] | int
_NMS = dict(type=Literal['nms'], iou_threshold=float)

_HINTS: dict[str, dict[str, Any]] = {
    '': {
        **dict(log_level=_Level, launcher=Literal['none', 'pytorch', 'slurm', 'mpi'], runner_type=str),
        **dict(find_unused_parameters=bool, sync_bn=Literal['torch', 'mmcv'] | None),
        **dict(model_wrapper_cfg=dict | None, compile=bool | dict | None),
        **dict.fromkeys(('activation_checkpointing', 'efficient_conv_bn_eval'), str | Sequence[str] | None),
        **dict(tta_model=dict | None, data_variables=dict[str, str]),
        **dict.fromkeys(('tta_pipeline', 'train_pipeline_stage2'), Sequence[dict] | None),
        OTHERS: Any,
    },
    'compile': dict(
        **dict(fullgraph=bool, dynamic=bool | None, backend=str, mode=str | None, disable=bool),
        options=dict | None,
    ),
    'env_cfg': dict(cudnn_benchmark=bool, mp_cfg=dict, dist_cfg=dict, resource_limit=int),
    'env_cfg.mp_cfg': dict(mp_start_method=Literal['fork', 'spawn', 'forkserver'], opencv_num_threads=int),
    'env_cfg.dist_cfg': {'backend': str, 'init_backend': str, 'timeout': float, OTHERS: Any},
    'randomness': dict(seed=int | None, diff_rank_seed=bool, deterministic=bool),
    'auto_scale_lr': dict(base_batch_size=int, enable=bool),
    'optim_wrapper.paramwise_cfg': dict(
        custom_keys=dict[str, dict],
        **dict.fromkeys(('bias_lr_mult', 'bias_decay_mult', 'norm_decay_mult'), float | None),
        **dict.fromkeys(('flat_decay_mult', 'dwconv_decay_mult', 'dcn_offset_lr_mult'), float | None),
        bypass_duplicate=bool,
        pixel_lr_mult=float,
    ),
    'optim_wrapper.paramwise_cfg.custom_keys.*': {'lr_mult': float, 'decay_mult': float, OTHERS: Any},
    'optim_wrapper.clip_grad': dict(
        type=Literal['norm', 'value'],
        max_norm=float,
        norm_type=float | Literal['inf'],
        error_if_nonfinite=bool,
        clip_value=float,
        foreach=bool | None,
    ),
    'model.train_cfg': {'assigner': dict, OTHERS: Any},
    'model.test_cfg': {
        **dict(score_thr=float, multi_label=bool, nms_pre=int, nms=dict, max_per_img=int),
        OTHERS: Any,
    },
    'model.test_cfg.nms': _NMS,
    'tta_model.tta_cfg': dict(nms=dict, max_per_img=int),
    'tta_model.tta_cfg.nms': _NMS,
    'visualizer': {'vis_backends': Sequence[dict] | None, OTHERS: Any},
    '*.data_prefix': dict(img=str, img_path=str, sub_data_root=str),
    '*.filter_cfg': dict(filter_empty_gt=bool, min_size=int),
    '*.metainfo': {'classes': Sequence[str] | None, OTHERS: Any},
}
"""By the pattern of a config key, the type hints of what the dict there may hold."""


def hints_at(path: str) -> dict[str, Any] | None:
    """The type hints of what may stand in a dict that no component is built from.

    Args:
        path: Its config key.

    Returns:
        The hints by key; None where it is unknown what may stand there.
    """
    return next((hints for pattern, hints in _HINTS.items() if fnmatchcase(path, pattern)), None)
