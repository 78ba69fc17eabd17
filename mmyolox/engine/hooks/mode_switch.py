"""The two phases of a YOLOX training."""

import copy

from mmengine.dataset import Compose
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from mmyolox.datasets.base import checked_channels, detection_datasets, whole_dataset
from mmyolox.errors import SHOWN, UserError
from mmyolox.registry import HOOKS


@HOOKS.register_module()
class YOLOXModeSwitchHook(Hook):
    """Ends mosaic and mixup, and begins the L1 loss, for the last epochs (Ge et al. 2021, section 2.1).

    Which phase an epoch belongs to depends on its number alone, so that a run resumed inside the last epochs,
    or shorter than them, is in the right one.

    Args:
        num_last_epochs: The length of the second phase in epochs.
        new_train_pipeline: The data pipeline of the second phase; by default the config's variable
            ``train_pipeline_stage2``.
    """

    # Before MMEngine's DistSamplerSeedHook (50), which tells the new sampler its epoch.
    priority = 48

    def __init__(self, num_last_epochs: int, new_train_pipeline: list[dict] | None = None) -> None:
        self.num_last_epochs = num_last_epochs
        self.new_train_pipeline = new_train_pipeline
        self._is_switched = False

    def before_train(self, runner: Runner) -> None:
        """Takes the pipeline from the config if it was not given, and checks it.

        Raises:
            UserError: The config has none either, one of its steps cannot take the images' channels, or the
                Runner was given a loader that is built already.
        """
        if self.new_train_pipeline is None:
            self.new_train_pipeline = runner.cfg.get('train_pipeline_stage2')
        if self.num_last_epochs <= 0:
            return
        if self.new_train_pipeline is None:
            raise UserError(
                'YOLOXModeSwitchHook: the pipeline of the last epochs is missing: give the config a variable '
                'train_pipeline_stage2, or the hook a new_train_pipeline'
            )
        if not isinstance(runner._train_dataloader, dict):
            raise UserError(
                'YOLOXModeSwitchHook: the loader of the last epochs is built anew: give the Runner a dict as '
                'train_dataloader, or the hook num_last_epochs=0'
            )
        checked_channels(Compose(self.new_train_pipeline).transforms)

    def before_train_epoch(self, runner: Runner) -> None:
        """Switches once, at the first epoch of the second phase that this process sees."""
        if self._is_switched or runner.epoch < runner.max_epochs - self.num_last_epochs:
            return
        self._is_switched = True
        runner.logger.info('The last epochs begin: no more mosaic and mixup, the L1 loss is on.', extra=SHOWN)
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        model.bbox_head.use_l1 = True
        loader = runner.train_dataloader
        for dataset in detection_datasets(loader.dataset):
            dataset.pipeline = Compose(self.new_train_pipeline)
        # A new loader around the same data set: persistent workers hold copies with the old pipeline.
        cfg = {**copy.deepcopy(runner._train_dataloader), 'dataset': whole_dataset(loader.dataset)}
        runner.train_loop.dataloader = runner.build_dataloader(cfg, seed=runner.seed)


def last_epochs(runner: Runner) -> int:
    """The number of epochs after the mode switch.

    Args:
        runner: The runner.
    """
    return sum(hook.num_last_epochs for hook in runner.hooks if isinstance(hook, YOLOXModeSwitchHook))
