"""Build steps that ``setup.cfg`` cannot state: the ``mmyolox.projects`` packages and the ``.mim`` folder.

``mim`` looks for the configs and tools of an installed package in its folder ``.mim``: they are copied there
for a wheel. An editable install needs no such folder, as ``mim`` then searches the repository; with links in
it, every config would be found twice and could no longer be named without its path.
"""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from setuptools import Command, find_packages, setup
from setuptools.command.build import build

ASSETS = ('configs', 'tools', 'projects', 'model-index.yml')
JUNK = {'__pycache__', 'tests', 'work_dirs'}


class TemporaryBuild(build):
    """``build`` outside of the source tree, where what an earlier build left would be packed again."""

    sub_commands = [*build.sub_commands, ('build_mim', None)]

    def initialize_options(self) -> None:
        super().initialize_options()
        self._folder = tempfile.TemporaryDirectory(prefix='mmyolox-build-')
        self.build_base = self._folder.name


class BuildMim(Command):
    """Copies the assets to ``mmyolox/.mim`` of the build folder (setuptools' ``SubCommand`` protocol)."""

    description = 'put configs, tools and projects where mim looks for them'
    user_options = []

    def initialize_options(self) -> None:
        self.build_lib = None

    def finalize_options(self) -> None:
        self.set_undefined_options('build', ('build_lib', 'build_lib'))

    def run(self) -> None:
        for target, source in self.get_output_mapping().items():
            Path(target).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)

    def get_source_files(self) -> list[str]:
        return [path.as_posix() for path in asset_files()]

    def get_outputs(self) -> list[str]:
        return list(self.get_output_mapping())

    def get_output_mapping(self) -> dict[str, str]:
        folder = Path(self.build_lib, 'mmyolox', '.mim')
        return {str(folder / path): str(path) for path in asset_files()}


def asset_files() -> Iterator[Path]:
    """Paths, relative to this folder, of the files that ``.mim`` holds."""
    for name in ASSETS:
        found = [Path(name)] if Path(name).is_file() else Path(name).rglob('*')
        yield from sorted(path for path in found if path.is_file() and not is_left_out(path))


def is_left_out(path: Path) -> bool:
    """Whether a file is a test, a cache, hidden, or a module that is installed under ``mmyolox.projects``."""
    hidden = any(part.startswith('.') for part in path.parts)
    module = path.parts[0] == 'projects' and path.suffix == '.py' and (path.parent / '__init__.py').exists()
    return hidden or module or bool(JUNK.intersection(path.parts))


def project_packages() -> list[str]:
    """Names under which the packages of ``projects/`` are installed."""
    found = find_packages('projects', exclude=['*.tests', '*.tests.*'])
    return ['mmyolox.projects', *(f'mmyolox.projects.{name}' for name in found)]


setup(
    cmdclass={'build': TemporaryBuild, 'build_mim': BuildMim},
    packages=[*find_packages(include=['mmyolox', 'mmyolox.*']), *project_packages()],
    package_dir={'mmyolox.projects': 'projects'},
)
