"""The Runner of our tools: a folder keeps the config of the training in it."""

import os.path as osp
import shutil
from pathlib import Path

from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import nn


class YOLOXRunner(Runner):
    """MMEngine's Runner, which saves its config where it overwrites none.

    MMEngine writes the config into the work dir when a Runner is built, so that a test, or a call that fails
    a moment later, replaces that of the training. Here it goes into the run's own folder of logs, and into
    the work dir when a training begins.
    """

    @property
    def saved_config(self) -> Path:
        """The file of this run's config, in its folder of logs."""
        return Path(self.log_dir, osp.basename(self.cfg.filename or f'{self.timestamp}.py'))

    @master_only
    def dump_config(self) -> None:
        """Writes the config to :attr:`saved_config`."""
        self.cfg.dump(self.saved_config)

    def train(self) -> nn.Module:
        """Trains.

        Returns:
            The model.
        """
        self.register_hook(SavedConfigHook())
        return super().train()


class SavedConfigHook(Hook):
    """Copies the config of a :class:`YOLOXRunner` into the work dir when its first iteration is due."""

    @master_only
    def before_train(self, runner: YOLOXRunner) -> None:
        """Copies the file, after everything was built and loaded.

        Args:
            runner: The runner.
        """
        name = runner.saved_config.name
        part = Path(runner.work_dir, f'.{name}.part')
        shutil.copyfile(runner.saved_config, part)
        part.replace(Path(runner.work_dir, name))
