"""Draws samples of a data set as the network sees them: augmented, with what is annotated.

    mmyolox browse yolox_s --out-dir seen --cfg-options data_root=my_data/

``seen`` gets one picture a sample and ``contact_sheet.jpg`` with all of them. The config's visualizer draws
them; regions that training ignores (crowds) are drawn as ``ignored``.
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmyolox.errors import UserError
from mmyolox.files import check_folder
from mmyolox.tool_parser import ToolParser, add_cfg_options, add_verbose_option
from mmyolox.utils.cli import run_tool

if TYPE_CHECKING:
    import numpy as np
    from mmengine.config import Config
    from numpy.typing import NDArray

    from mmyolox.apis.drawing import YOLOXVisualizer


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = ToolParser(description=(__doc__ or '').partition('\n')[0])
    parser.add_argument(
        'config', help='a config file, or the name of one of ours; of a model, as yolox_s: to fine-tune it'
    )
    parser.add_argument(
        '--out-dir', type=Path, default=Path('work_dirs/browse_dataset'), help='(default: %(default)s)'
    )
    parser.add_argument('--number', type=int, default=16, help='how many samples (default: %(default)s)')
    parser.add_argument(
        '--split', choices=('train', 'val', 'test'), default='train', help='(default: %(default)s)'
    )
    parser.add_argument(
        '--stage', type=int, choices=(1, 2), default=1, help='2: the pipeline of the last training epochs'
    )
    parser.add_argument('--seed', type=int, default=0, help='of the choice of samples and the augmentation')
    add_cfg_options(parser)
    add_verbose_option(parser)
    return parser.parse_args(argv)


def dataset_config(cfg: 'Config', split: str, stage: int) -> dict[str, Any]:
    """The config of a split's data set, with the pipeline of a training stage.

    Args:
        cfg: The whole config.
        split: The split: ``'train'``, ``'val'`` or ``'test'``.
        stage: The stage of training; 2 takes the pipeline that ``YOLOXModeSwitchHook`` sets for the last
            epochs of training.

    Raises:
        UserError: The config has no such split or stage.
    """
    loader = cfg.get(f'{split}_dataloader')
    if not loader:
        raise UserError(f'{cfg.filename}: has no {split}_dataloader; choose another --split')
    dataset = loader.dataset.to_dict()
    if stage == 2:
        hooks = [*cfg.get('default_hooks', {}).values(), *cfg.get('custom_hooks', [])]
        own = [hook['new_train_pipeline'] for hook in hooks if hook and 'new_train_pipeline' in hook]
        pipeline = own[0] if own else cfg.get('train_pipeline_stage2')
        if split != 'train' or pipeline is None:
            raise UserError(f'--stage 2 with --split {split}: {cfg.filename} has no second pipeline for it')
        dataset['pipeline'] = pipeline
    return dataset


def drawn_samples(
    dataset: Any, visualizer: 'YOLOXVisualizer', number: int, seed: int
) -> Iterator[tuple[str, 'NDArray[np.uint8]']]:
    """Draws randomly chosen samples.

    Yields:
        The stem of the image's file, and the picture (h, w, 3), BGR.
    """
    import numpy as np
    from mmengine.structures import InstanceData

    for index in np.random.default_rng(seed).permutation(len(dataset))[:number].tolist():
        item = dataset[index]
        truth = dict(item['data_samples'])
        meta, ignored = truth.pop('meta'), truth.pop('ignored_bboxes')
        picture = item['inputs'].transpose(1, 2, 0)
        yield Path(meta['img_path']).stem, visualizer.draw_truth(picture, InstanceData(**truth), ignored)


def main() -> None:
    args = parse_args()
    from mmengine.registry import init_default_scope

    from mmyolox.apis.drawing import build_visualizer, contact_sheet, write_image
    from mmyolox.config import load_config
    from mmyolox.config.find import find_config
    from mmyolox.datasets import detection_datasets
    from mmyolox.engine.progress_line import with_progress
    from mmyolox.engine.terminal import shown_path, use_terminal
    from mmyolox.registry import DATASETS

    use_terminal(args.verbose)
    if args.number < 1:
        raise UserError(f'--number {args.number}: at least one sample is needed')
    check_folder(args.out_dir)
    cfg = load_config(find_config(args.config, 'custom'), args.cfg_options)
    print(f'config  {shown_path(cfg.filename)}')
    if cfg.get('data_layout'):
        print(f'data    {cfg.data_layout}')
    init_default_scope(cfg.get('default_scope', 'mmyolox'))
    dataset = DATASETS.build(dataset_config(cfg, args.split, args.stage))
    for inner in detection_datasets(dataset):
        inner.set_draw_key(args.seed, 0)
    visualizer = build_visualizer(cfg, dataset.metainfo)
    pictures = []
    samples = drawn_samples(dataset, visualizer, args.number, args.seed)
    drawn = with_progress(samples, min(args.number, len(dataset)), 'samples')
    for position, (stem, picture) in enumerate(drawn):
        write_image(args.out_dir / f'{position:04d}_{stem}.jpg', picture)
        pictures.append(picture)
    write_image(args.out_dir / 'contact_sheet.jpg', contact_sheet(pictures))
    print(f'{len(pictures)} of {len(dataset)} samples drawn: {args.out_dir / "contact_sheet.jpg"}')


if __name__ == '__main__':
    run_tool(main)
