"""Videos as frames, with OpenCV and the FFmpeg inside it."""

import math
import os
from collections.abc import Iterator
from itertools import repeat, takewhile
from pathlib import Path
from types import TracebackType

import cv2

from mmyolox.deploy.letterbox import Image, Size
from mmyolox.errors import UserError, printable

from .detectors import map_ahead

_USUAL_RATE = 25.0
_HIGHEST_RATE = 1000.0
_ERRORS_ONLY = 2  # cv2::utils::logging::LOG_LEVEL_ERROR, which has no name in Python


class VideoReader:
    """The frames of a video file, upright.

    Args:
        path: The file.

    Attributes:
        rate: The number of images a second; 25 if the file names no possible rate.
        announced: The number of frames that the file's header tells, for some formats an estimate; 0 if it is
            unknown.

    Raises:
        UserError: Not one frame can be decoded, or the path is not UTF-8.
    """

    def __init__(self, path: Path) -> None:
        self._capture = _open(path)
        self._first: Image | None = self._capture.read()[1]
        if self._first is None:
            raise UserError(f'{path}: OpenCV can decode no frame of it; is it a whole video file?')
        rate, count = (self._capture.get(key) for key in (cv2.CAP_PROP_FPS, cv2.CAP_PROP_FRAME_COUNT))
        self.rate = rate if 0 < rate <= _HIGHEST_RATE else _USUAL_RATE
        self.announced = max(0, int(count))

    def frames(self, ahead: int) -> Iterator[Image]:
        """The frames (h, w, 3) uint8, BGR, once.

        Args:
            ahead: How many frames a thread decodes before they are asked for; 0 for none, and no thread.
        """
        read = map_ahead(lambda _: self._next(), repeat(None), min(ahead, 1), ahead)
        yield from takewhile(lambda frame: frame is not None, read)

    def _next(self) -> Image | None:
        frame, self._first = self._first, None
        return self._capture.read()[1] if frame is None else frame


def _name_for_opencv(path: Path) -> str:
    """A video's full path, if it is one that OpenCV can take.

    Raises:
        UserError: It is no UTF-8, on which OpenCV would end the process.
    """
    # Resolved: FFmpeg takes what stands before a colon in a name for a protocol.
    name = str(path.resolve())
    if printable(name) != name:
        raise UserError(f'{path}: OpenCV takes names of videos and their folders in UTF-8 only; rename it')
    return name


def _open(path: Path) -> cv2.VideoCapture:
    # A damaged file makes FFmpeg print lines without end.
    os.environ.setdefault('OPENCV_FFMPEG_LOGLEVEL', '-8')
    level = cv2.setLogLevel(_ERRORS_ONLY)
    try:
        return cv2.VideoCapture(_name_for_opencv(path), cv2.CAP_FFMPEG)
    finally:
        cv2.setLogLevel(level)


class VideoWriter:
    """Writes a video, without sound, as MPEG-4 in an ``.mp4`` file; a context manager.

    The first frame sets the size. The format has even sides only: the last row and column are repeated
    where one is missing.

    Args:
        path: The file; its folder is made if absent.
        rate: The number of images a second.
    """

    def __init__(self, path: Path, rate: float) -> None:
        self.path = path
        self.rate = rate
        self._size = Size(0, 0)
        self._count = 0
        self._writer = cv2.VideoWriter()

    def __enter__(self) -> 'VideoWriter':
        return self

    def __exit__(
        self, error_type: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Completes the file, also after an error: what was written can be watched.

        Raises:
            UserError: There was no error, but the file has not all frames; OpenCV does not say why.
        """
        self._writer.release()
        if error is None and self._count:
            held = max(0, int(_open(self.path).get(cv2.CAP_PROP_FRAME_COUNT)))
            if held < self._count:
                raise UserError(
                    f'{self.path} cannot be written whole: it holds {held} of {self._count} frames; is the '
                    'disk full?'
                )

    def write(self, frame: Image) -> None:
        """Appends a frame.

        Args:
            frame: (h, w, 3) uint8, BGR; resized if its size is not the first one's.

        Raises:
            UserError: OpenCV cannot write the file, or its path is not UTF-8.
        """
        if not self._writer.isOpened():
            self._size = Size.of_shape(frame.shape)
            self.path.parent.mkdir(parents=True, exist_ok=True)
            even = [2 * math.ceil(side / 2) for side in self._size]
            codec = cv2.VideoWriter.fourcc(*'mp4v')
            if not self._writer.open(_name_for_opencv(self.path), cv2.CAP_FFMPEG, codec, self.rate, even):
                raise UserError(
                    f'{self.path}: OpenCV cannot write this video of {self._size.width} x '
                    f'{self._size.height} pixels'
                )
        if Size.of_shape(frame.shape) != self._size:
            frame = cv2.resize(frame, self._size)
        right, bottom = (side % 2 for side in self._size)
        self._writer.write(cv2.copyMakeBorder(frame, 0, bottom, 0, right, cv2.BORDER_REPLICATE))
        self._count += 1
