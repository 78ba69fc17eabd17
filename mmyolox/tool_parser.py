"""The parser of the tools, which knows options of other programs, and the options that tools share.

Nothing heavy is imported here, so that ``tool.py -h`` answers at once.
"""

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
        answers = []
        for word, following in self._named(words):
            name, _, value = word.removeprefix('--').partition('=')
            if here := self._here(name.replace('_', '-'), value or following or '...'):
                answers.append(f'{word}: give it as {here}')
        if answers:
            raise UserError('; '.join(answers))
        return super().parse_known_args(words, namespace)

    def error(self, message: str) -> NoReturn:
        """Ends the tool with the usage, or with a line about the option.

        Args:
            message: What argparse says.

        Raises:
            UserError: An unknown argument is ``val_interval=3``, or a folder, which may be that of the data.
        """
        _, _, unknown = message.partition('unrecognized arguments: ')
        word = unknown.partition(' ')[0]
        option = f'data_root={word}' if os.path.isdir(word) else word
        if word.startswith('-') or '=' not in option or _CFG_OPTIONS not in self._option_string_actions:
            super().error(message)
        raise UserError(f'{word}: give it as {_CFG_OPTIONS} {option}')

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


class OptionText(str):
    """The value of an option as it was typed: what it means depends on what it stands for."""


class CfgOptionsAction(argparse.Action):
    """Collects ``KEY=VALUE`` arguments in a dict of :class:`OptionText`.

    The option may be given several times; later values of a key win.
    """

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        """Stores the parsed pairs under ``dest``; a malformed part ends in argparse's usage error."""
        options = dict(getattr(namespace, self.dest) or {})
        for argument in values or []:
            key, equals, text = argument.partition('=')
            if not key or not equals:
                parser.error(f'{option_string} takes KEY=VALUE, got {argument!r}')
            options[key] = OptionText(text)
        setattr(namespace, self.dest, options)


def add_cfg_options(parser: argparse.ArgumentParser) -> None:
    """Adds ``--cfg-options KEY=VALUE [KEY=VALUE ...]`` to a parser: ``args.cfg_options``, a dict or None."""
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=CfgOptionsAction,
        metavar='KEY=VALUE',
        help='change values of the config, e.g. max_epochs=50 data_root=/data/ '
        'train_dataloader.batch_size=4; lists: key=a,b or key=[a,b], tuples: key="(a,b)"',
    )


def add_unsafe_option(parser: argparse.ArgumentParser) -> None:
    """Adds ``--allow-unsafe-checkpoint`` to a parser."""
    parser.add_argument(
        '--allow-unsafe-checkpoint',
        action='store_true',
        help='load a checkpoint file that holds more than weights; it can run code, so trust its origin',
    )


def add_verbose_option(parser: argparse.ArgumentParser) -> None:
    """Adds ``--verbose`` to a parser."""
    parser.add_argument('--verbose', action='store_true', help='print all of the log')


def add_start_options(parser: argparse.ArgumentParser) -> None:
    """Adds what a training begins with to a parser."""
    parser.add_argument(
        '--load-from',
        metavar='CHECKPOINT',
        help='start from these weights: a file, a web address, or a name such as yolox_s',
    )
    parser.add_argument(
        '--amp',
        action='store_true',
        help='mixed precision: bfloat16 where the device has it, else float16 with a scaled loss',
    )
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help='scale the learning rate by the total batch size over auto_scale_lr.base_batch_size',
    )


def add_launch_options(parser: argparse.ArgumentParser) -> None:
    """Adds what training and testing have in common to a parser."""
    parser.add_argument('--work-dir', help='where logs and results go; default: work_dirs/<config name>')
    parser.add_argument(
        '--launcher',
        choices=('none', 'pytorch', 'slurm', 'mpi'),
        default='none',
        help='how processes are started',
    )
    add_verbose_option(parser)
    parser.add_argument('--local-rank', '--local_rank', type=int, default=0, help=argparse.SUPPRESS)
    add_unsafe_option(parser)
