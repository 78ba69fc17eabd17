"""What mmyolox needs of other packages, and a stand-in for mmcv's compiled extension.

``install_finder`` puts a finder at the end of ``sys.meta_path``, which Python asks after all others:

- mmcv installed without a compiler has no ``mmcv._ext``, and without it ``import mmdet.models`` fails,
  although YOLOX calls one of its ops only. The finder has a stand-in. A compiled mmcv is found first and
  stays as it is.
- Exported models run without torch, OpenCV and the OpenMMLab packages (:mod:`mmyolox.deploy`); where the rest
  of mmyolox imports one that is absent, the finder says what to install. ``importlib.util.find_spec`` finds
  nothing there, as it should.

Importing this module imports neither torch nor an OpenMMLab package.
"""

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from importlib import metadata
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import FrameType, ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple, TextIO, cast

if TYPE_CHECKING:
    from torch import Tensor

_EXTENSION = 'mmcv._ext'
_INSTALL = 'pip install "mmyolox[mmlab]"'
_IMPORTING = '_find_and_load_unlocked'
"""The function of importlib that an import looks for its module in."""
PACKAGES = ('torch', 'mmengine', 'mmcv', 'mmdet', 'cv2')
"""What mmyolox imports, all but :mod:`mmyolox.deploy`, beside what every Python program has."""

PRINTED_NOISE = ('Could not import OneDL. Skipping', 'Loads checkpoint by ')
"""How lines begin that MMDetection and MMEngine print beside the log, and that no user can do away with."""


class MissingOpError(RuntimeError):
    """A compiled op of mmcv was called that the installed mmcv does not have."""


class _Requirement(NamedTuple):
    """A package by its import name, the oldest version that works, and who distributes it."""

    package: str
    minimum: str
    distributions: tuple[str, ...]

    def installed(self) -> dict[str, str]:
        """The version of each of its distributions that is installed; a bare source folder has none."""
        versions = {}
        for name in self.distributions:
            with suppress(metadata.PackageNotFoundError):
                versions[name] = metadata.version(name)
        return versions


_REQUIREMENTS = (
    _Requirement('mmengine', '0.10.0', ('onedl-mmengine', 'mmengine', 'mmengine-lite')),
    _Requirement('mmcv', '2.0.0', ('onedl-mmcv', 'mmcv', 'mmcv-lite', 'mmcv-full')),
    _Requirement('mmdet', '3.3.0', ('onedl-mmdetection', 'mmdet')),
)


def check_versions() -> None:
    """Checks that the OpenMMLab packages that are there are new enough, without importing them.

    Newer versions than those tested are welcome: there are no upper limits.

    Raises:
        ImportError: One line that names the package that is too old, and what to install.
    """
    for need in _REQUIREMENTS:
        versions = need.installed()
        if versions and all(_release(version) < _release(need.minimum) for version in versions.values()):
            name, version = next(iter(versions.items()))
            raise ImportError(
                f'mmyolox needs {need.package} >= {need.minimum}, installed is {name} {version}: '
                f'upgrade it, or in a new environment {_INSTALL}'
            )


def _release(version: str) -> tuple[int, ...]:
    """The numbers of '2.1.0rc1' as (2, 1, 0)."""
    return tuple(int(number) for number in re.findall(r'\d+', version)[:3])


def installed_packages() -> dict[str, str]:
    """What is installed of each OpenMMLab package: ``mmcv`` to ``onedl-mmcv 2.3.6``, or ``not installed``."""
    return {
        need.package: ', '.join(map(' '.join, need.installed().items())) or 'not installed'
        for need in _REQUIREMENTS
    }


class _Sieve:
    """A text stream without the lines of :data:`PRINTED_NOISE`, each printed by a call of its own."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._is_dropping = False

    def write(self, text: str) -> int:
        """Writes a text, unless it is noise, or the end of its line."""
        is_end = self._is_dropping and text == '\n'
        self._is_dropping = text.startswith(PRINTED_NOISE)
        return len(text) if is_end or self._is_dropping else self._stream.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def without_printed_noise() -> Iterator[None]:
    """Leaves the lines of :data:`PRINTED_NOISE` out of what is printed in the block."""
    with redirect_stdout(cast(TextIO, _Sieve(sys.stdout))):
        yield


def describe_missing() -> str:
    """One line that names those of ``PACKAGES`` that are not installed, and what to install."""
    finders = [finder for finder in sys.meta_path if finder is not _FINDER]
    missing = [
        package
        for package in PACKAGES
        if package not in sys.modules and not any(finder.find_spec(package, None) for finder in finders)
    ]
    return f'mmyolox needs {", ".join(missing)}, not installed here: {_INSTALL}'


def install_finder() -> None:
    """Lets ``import mmcv._ext`` find the stand-in, and an absent package say what to do. Safe to repeat."""
    if _FINDER not in sys.meta_path:
        sys.meta_path.append(_FINDER)


class _LastFinder(MetaPathFinder, Loader):
    """Answers for ``PACKAGES`` and ``mmcv._ext`` where nothing else does, and for nothing else."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The stand-in for ``mmcv._ext``.

        Raises:
            ModuleNotFoundError: A package that mmyolox needs is imported and absent: one line that names all
                that are, and what to install.
        """
        # Python asks in the same way for an import and for `importlib.util.find_spec`: who calls tells.
        caller = sys._getframe(1).f_back
        is_import = caller is not None and caller.f_code.co_name == _IMPORTING
        if is_import and fullname in PACKAGES and (fullname.startswith('mm') or _is_ours(caller)):
            raise ModuleNotFoundError(describe_missing(), name=fullname)
        return ModuleSpec(fullname, self, origin=__file__) if fullname == _EXTENSION else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _Extension(spec.name, 'Stands in for the compiled ops of mmcv.')

    def exec_module(self, module: ModuleType) -> None:
        """There is nothing to run: ``_Extension`` answers by itself."""


def _is_ours(frame: FrameType | None) -> bool:
    """Whether an import, of which ``frame`` is one of importlib's, is in a module of ours that needs it.

    Others import torch and OpenCV for themselves, and :mod:`mmyolox.deploy` says itself what it needs.
    """
    name = 'importlib'
    while frame is not None and name.partition('.')[0] == 'importlib':
        name, frame = str(frame.f_globals.get('__name__')), frame.f_back
    return name.startswith('mmyolox.') and not name.startswith('mmyolox.deploy.')


_FINDER = _LastFinder()


class _Extension(ModuleType):
    """mmcv's extension module as far as YOLOX needs it; every other op exists and raises when called.

    mmcv looks all its ops up when ``mmcv.ops`` is imported, so a name must exist before anyone needs it.
    """

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith('__'):
            raise AttributeError(name)

        def missing(*_args: Any, **_kwargs: Any) -> Any:
            raise MissingOpError(
                f'the op "{name}" needs the compiled mmcv, which is not installed here; with a C++ compiler: '
                'MMCV_WITH_OPS=1 pip install --no-build-isolation --no-cache-dir --force-reinstall --no-deps '
                'onedl-mmcv (or install a compiled wheel of mmcv)'
            )

        return missing

    @staticmethod
    def nms(boxes: 'Tensor', scores: 'Tensor', iou_threshold: float, offset: int) -> 'Tensor':
        """``mmcv.ops.nms`` on (N, 4) and (N,): kept indices by falling score.

        Args:
            boxes: (N, 4) corners in pixels.
            scores: (N,) a score for each box.
            iou_threshold: The IoU above which a box goes.
            offset: The number 1 for boxes whose right and bottom pixels are inside, else 0.
        """
        from .nms import nms

        return nms(boxes + boxes.new_tensor([0, 0, offset, offset]), scores, iou_threshold)

    # `mmcv.utils.collect_env` prints what these return.
    get_compiler_version = get_compiling_cuda_version = staticmethod(lambda: 'n/a')
