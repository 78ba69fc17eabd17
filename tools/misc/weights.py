"""Lists the published weights that every tool takes by name, or downloads some.

    mmyolox weights
    mmyolox weights yolox_s yolox_nano

AP on COCO val2017 is as the publisher states it, and the licence is that of the publisher's code.
``MMYOLOX_HOME`` names the cache that files go to, and ``MMYOLOX_WEIGHTS_URL`` a web folder that has them.
"""

import argparse
from collections.abc import Iterable
from typing import TYPE_CHECKING

from mmyolox.errors import UserError, did_you_mean
from mmyolox.utils.cli import run_tool

if TYPE_CHECKING:
    from mmyolox.checkpoints.published import PublishedWeights


def parse_args() -> argparse.Namespace:
    """Reads the command line; nothing heavy is imported yet."""
    parser = argparse.ArgumentParser(description=(__doc__ or '').partition('\n')[0])
    parser.add_argument('names', nargs='*', metavar='NAME', help='download these; without any, list all')
    return parser.parse_args()


def table(weights: 'Iterable[PublishedWeights]') -> str:
    """A line for each; the size in MB is that of the file in the cache."""
    head = ('name', 'source', 'licence', 'AP', 'kind', 'downloaded')
    rows = [head]
    for one in weights:
        size = f'{one.path.stat().st_size / 1e6:.1f} MB' if one.path.is_file() else 'no'
        rows.append((one.name, one.source, one.licence, str(one.ap), one.kind, size))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return '\n'.join(
        '  '.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def main() -> None:
    """Prints the table, or the files of the named weights."""
    args = parse_args()
    from rich.console import Console

    from mmyolox.checkpoints.published import fetch_weights, published_weights
    from mmyolox.engine.terminal import use_terminal
    from mmyolox.files import cache_folder

    use_terminal(console=Console(stderr=True))
    known = published_weights()
    for name in args.names:
        if name not in known:
            hint = did_you_mean(name, known)
            raise UserError(f'no weights {name} are published{hint}; without a name, all are listed')
    for name in args.names:
        print(fetch_weights(known[name]))
    if not args.names:
        print(table(known.values()))
        print(f'downloaded to {cache_folder() / "weights"}')


if __name__ == '__main__':
    run_tool(main)
