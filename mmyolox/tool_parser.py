"""The parser of the tools, which knows options of other programs."""

import argparse
import math
import os.path
import sys
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

from mmyolox.errors import UserError

_CFG_OPTIONS = '--cfg-options'

ELSEWHERE: dict[str, tuple[str, ...]] = {
    'batch': ('--batch-size', '{split}_batch_size_per_gpu'),
    'batch-size': ('{split}_batch_size_per_gpu',),
    'conf': ('--score-thr', 'model.test_cfg.score_thr'),
    'data': ('data_root',),
    'data-root': ('data_root',),
    'epochs': ('max_epochs',),
    'half': ('--dtype float16', '--precision fp16', '--amp'),
    'img-size': ('--size', 'img_scale'),
    'imgsz': ('--size', 'img_scale'),
    'int8': ('--precision int8',),
    'iou': ('--iou-thr', 'model.test_cfg.nms.iou_threshold'),
    'learning-rate': ('base_lr',),
    'lr': ('base_lr',),
    'lr0': ('base_lr',),
    'max-det': ('--max-per-img', 'model.test_cfg.max_per_img'),
    'max-epochs': ('max_epochs',),
    'model': ('<checkpoint>', '<config>'),
    'num-workers': ('--workers', '{split}_num_workers'),
    'pretrained': ('--load-from',),
    'project': ('--out-dir', '--work-dir', '--out'),
    'source': ('<input>',),
    'weights': ('--load-from', '<checkpoint>'),
    'workers': ('{split}_num_workers',),
}
"""Options of other programs, with what does here what they do: options, <arguments>, variables of configs.

The first that a tool has counts, and before it an option of the tool's own of that name.
"""


class ToolParser(argparse.ArgumentParser):
    """A parser that says how an option of other programs, or one without ``--cfg-options``, is given here.

    Args:
        *args: Those of :class:`argparse.ArgumentParser`.
        split: The data that the tool reads, ``'train'`` or ``'val'``.
        **kwargs: Those of :class:`argparse.ArgumentParser`.
    """

    def __init__(self, *args: Any, split: str = 'train', **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.split = split

    def parse_known_args(  # type: ignore[override]  # its overloads say nothing more
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> Any:
        """Parses arguments, as all the other methods have it do.

        Raises:
            UserError: One is ``--epochs 3`` or ``epochs=3``, which other programs take.
        """
        words = list(sys.argv[1:] if args is None else args)
        for word, following in self._named(words):
            name, _, value = word.removeprefix('--').partition('=')
            if here := self._here(name.replace('_', '-'), value or following or '...'):
                raise UserError(f'{word}: give it as {here}')
        return super().parse_known_args(words, namespace)

    def error(self, message: str) -> NoReturn:
        """Ends the tool with the usage, or with a line about the option.

        Args:
            message: What argparse says.

        Raises:
            UserError: An unknown argument is ``val_interval=3``.
        """
        _, _, unknown = message.partition('unrecognized arguments: ')
        word = unknown.partition(' ')[0]
        if word.startswith('-') or '=' not in word or _CFG_OPTIONS not in self._option_string_actions:
            super().error(message)
        raise UserError(f'{word}: give it as {_CFG_OPTIONS} {word}')

    def _named(self, words: Sequence[str]) -> Iterator[tuple[str, str]]:
        """The words ``--name``, ``--name=value`` and ``name=value`` that mean nothing here, and the next."""
        options = self._option_string_actions
        values: float = 0  # that the option before takes
        for word, following in zip(words, [*words[1:], ''], strict=True):
            if word == '--':
                return
            if word.startswith('-'):
                name = word.partition('=')[0]
                action = options.get(name)
                values = {None: 1, '?': 1, 0: 0}.get(action.nargs, math.inf) if action else 0
                if not any(option.startswith(name) for option in options):
                    yield word, '' if following.startswith('-') else following
            elif values:
                values -= 1
            elif '=' in word and not os.path.lexists(word):
                yield word, ''

    def _here(self, name: str, value: str) -> str:
        """How an option of other programs is given to this tool; empty where there is nothing like it."""
        arguments = {f'<{action.dest}>' for action in self._actions if not action.option_strings}
        options = self._option_string_actions
        for ours in (f'--{name}', *ELSEWHERE.get(name, ())):
            option, *fixed = ours.split()
            if option in options:
                return ours if fixed or options[option].nargs == 0 else f'{option} {value}'
            if ours in arguments:
                return f'{value}, the argument {ours[1:-1]}'
            if ours[0] not in '-<' and _CFG_OPTIONS in options:
                given = f'"({value},{value})"' if ours == 'img_scale' else value
                return f'{_CFG_OPTIONS} {ours.format(split=self.split)}={given}'
        return ''
