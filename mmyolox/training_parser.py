"""The parser of the tools that train and test, which knows options of other programs."""

import argparse
from typing import NoReturn

from mmyolox.errors import UserError

_ELSEWHERE = {
    'epochs': 'max_epochs',
    'batch': 'train_batch_size_per_gpu',
    'batch-size': 'train_batch_size_per_gpu',
    'imgsz': 'img_scale',
    'img-size': 'img_scale',
    'num-workers': 'train_num_workers',
    'workers': 'train_num_workers',
    'max-epochs': 'max_epochs',
    'learning-rate': 'base_lr',
    'lr': 'base_lr',
    'data-root': 'data_root',
    'data': 'data_root',
    'lr0': 'base_lr',
}
"""Options of other programs, with the variables of our configs."""


class TrainingParser(argparse.ArgumentParser):
    """A parser that says how an option of other programs, or one without ``--cfg-options``, is given here."""

    def error(self, message: str) -> NoReturn:
        """Ends the tool with the usage, or with a line about the option.

        Args:
            message: What argparse says.

        Raises:
            UserError: An unknown argument is ``--epochs 3``, ``epochs=3`` or ``max_epochs=3``.
        """
        _, _, unknown = message.partition('unrecognized arguments: ')
        word, _, rest = unknown.partition(' ')
        name, equals, value = word.removeprefix('--').partition('=')
        ours = _ELSEWHERE.get(name.replace('_', '-'))
        if not ours and (word.startswith('-') or not equals):
            super().error(message)
        value = value or rest.partition(' ')[0] or '...'
        if ours == 'img_scale':
            value = f'"({value},{value})"'
        raise UserError(f'{word}: give it as --cfg-options {ours or name}={value}')
