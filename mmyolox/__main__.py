"""The command ``mmyolox``, also ``python -m mmyolox``: a word for each tool.

``mmyolox train ARGS`` does what ``python tools/train.py ARGS`` does, from any folder and without a checkout.
The tool runs in this process, as the script that it is: data workers that start anew import it, and its exit
status and what it does on Ctrl-C are its own.
"""

import ast
import platform
import sys
from pathlib import Path
from types import ModuleType

from mmyolox.compat import installed_packages
from mmyolox.errors import UserError, did_you_mean
from mmyolox.files import assets_folder
from mmyolox.utils.cli import run_tool
from mmyolox.version import __version__

COMMANDS = {
    'train': 'train.py',
    'test': 'test.py',
    'predict': 'image_demo.py',
    'export': 'deployment/export.py',
    'test-export': 'deployment/test.py',
    'browse': 'analysis_tools/browse_dataset.py',
    'doctor': 'analysis_tools/doctor.py',
    'curves': 'analysis_tools/plot_curves.py',
    'report': 'analysis_tools/report.py',
    'kfold': 'misc/kfold.py',
    'config': 'misc/print_config.py',
    'flops': 'analysis_tools/get_flops.py',
    'benchmark': 'analysis_tools/benchmark.py',
    'convert': 'model_converters/convert_checkpoint.py',
    'weights': 'misc/weights.py',
    'voc2coco': 'dataset_converters/voc2coco.py',
    'yolo2coco': 'dataset_converters/yolo2coco.py',
    'import': 'dataset_converters/import_dataset.py',
    'shards': 'dataset_converters/make_shards.py',
    'shapes': 'dataset_converters/make_shapes.py',
    'demo': 'demo.py',
}
"""The tool of each word, below ``tools/``, in the order of the overview."""

ELSEWHERE = {'val': 'test', 'eval': 'test', 'validate': 'test', 'detect': 'predict', 'infer': 'predict'}
"""The words of other programs for some of them."""


def main() -> None:
    """Does what the command line says; never returns."""
    run_tool(run_command)


def run_command() -> int:
    """Prints the overview or the versions, or hands over to a tool, which ends the process.

    Returns:
        The exit status.

    Raises:
        UserError: There is no such command.
    """
    match sys.argv[1:]:
        case []:
            print(overview())
            return 2
        case ['-h' | '--help', *_]:
            print(overview())
        case ['-V' | '--version', *_]:
            print(describe_installation())
        case [word, *_] if word not in COMMANDS:
            ours = ELSEWHERE.get(word)
            hint = f'; here it is {ours}' if ours else did_you_mean(word, COMMANDS)
            raise UserError(f'mmyolox has no command {word}{hint}; mmyolox -h lists them')
        case [word, *args]:
            run_script(tool_path(word), f'mmyolox {word}', args)
    return 0


def tool_path(word: str) -> Path:
    """The script of a command, in an installed package or in the repository."""
    return assets_folder() / 'tools' / COMMANDS[word]


def run_script(path: Path, name: str, args: list[str]) -> None:
    """Runs a script as Python does, with another name in its usage.

    :func:`runpy.run_path` would name it by its file, and forget the module when it is done.

    Args:
        path: The script; it finds modules beside it.
        name: What stands for the program in ``sys.argv``.
        args: The rest of ``sys.argv``.
    """
    sys.argv = [name, *args]
    sys.path.insert(0, str(path.parent))
    module = ModuleType('__main__')
    module.__file__ = str(path)
    sys.modules['__main__'] = module
    exec(compile(path.read_bytes(), path, 'exec', dont_inherit=True), module.__dict__)


def overview() -> str:
    """The usage, and a line for each command: the first one of its tool's docstring."""
    lines = ['usage: mmyolox COMMAND ...', '']
    for word in COMMANDS:
        tree = ast.parse(tool_path(word).read_bytes())
        lines.append(f'  {word:<13}{(ast.get_docstring(tree) or "").partition(chr(10))[0]}')
    return '\n'.join([*lines, '', 'mmyolox COMMAND -h tells more; mmyolox --version, for reports of bugs.'])


def describe_installation() -> str:
    """What a report of a bug should say: versions of the packages, and the device."""
    lines = {'mmyolox': f'{__version__} in {Path(__file__).parent}'}
    lines['Python'] = f'{platform.python_version()} on {platform.platform()}'
    lines |= installed_packages()
    try:
        import torch
        from mmengine.device import get_device

        from mmyolox.utils.devices import device_name

        lines |= dict(torch=torch.__version__, device=device_name(get_device()))
    except ImportError as error:
        lines['device'] = f'unknown: {error}'
    return '\n'.join(f'{name:<10}{value}' for name, value in lines.items())


if __name__ == '__main__':
    main()
