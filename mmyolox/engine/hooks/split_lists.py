"""Lists of the images that a seeded split has put on either side."""

from pathlib import Path
from typing import Any

from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmyolox.datasets import detection_datasets
from mmyolox.datasets.folds import image_names
from mmyolox.files import atomic_write


class SplitListsHook(Hook):
    """Writes ``split_train.txt`` and ``split_val.txt`` into the work dir when a training begins.

    Each has the names of the images of the split, a line each, relative to the data's root. A split that is
    no part of other data has no list.
    """

    @master_only
    def before_train(self, runner: Runner) -> None:
        """Writes the lists.

        Args:
            runner: The runner.
        """
        loops: dict[str, Any] = dict(train=runner.train_loop, val=runner.val_loop)
        for split, loop in loops.items():
            names = [
                name
                for dataset in (detection_datasets(loop.dataloader.dataset) if loop else ())
                if dataset.fold is not None
                for name in image_names(
                    (dataset.get_data_info(index)['img_path'] for index in range(len(dataset))),
                    dataset.data_root,
                )
            ]
            if names:
                with atomic_write(Path(runner.work_dir, f'split_{split}.txt')) as part:
                    text = ''.join(f'{name}\n' for name in sorted(names))
                    part.write_text(text, encoding='utf-8', errors='surrogateescape')
