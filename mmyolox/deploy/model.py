"""An exported detector: images in, detections out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .decode import Detections, detections_of, prior_count
from .info import DeployError, ModelInfo
from .letterbox import Image, Size, fitted_size, letterbox
from .runtimes import Array, Runtime, open_runtime, read_sidecar

_END2END = ('num', 'bboxes', 'scores', 'labels')


class ExportedModel:
    """A detector from an exported file, run by its runtime.

    Whether the graph letterboxes and whether it decodes and suppresses makes no difference to what comes out.

    Args:
        path: A file of one of the formats of :data:`.formats.FORMATS`; its suffix says which.
        threads: How many threads compute one call; None for the runtime's own choice.
        info: What the outputs mean, for a file that does not say so itself, as of another exporter. By
            default the file's own, else that of the file ``NAME.json`` beside it.
        score_thr: The threshold instead of the info's; for a graph that suppresses, only a higher one.
        input_size: (height, width), as in :class:`.ModelInfo`, to which images are letterboxed, for a graph
            that takes any size, instead of the info's; multiples of the largest stride.
        batch_size: How many images at a time go through a graph that takes any batch.
        runtime: What runs the file, if its format is not in that table.

    Attributes:
        info: The info in use, with ``score_thr`` and ``input_size``.
        channels: The number of channels that images must have.

    Raises:
        DeployError: The file cannot be loaded or says nothing about itself, the info does not fit it, or an
            option does not.
    """

    def __init__(
        self,
        path: str | Path,
        threads: int | None = None,
        info: ModelInfo | None = None,
        score_thr: float | None = None,
        input_size: tuple[int, int] | None = None,
        batch_size: int = 8,
        runtime: Runtime | None = None,
    ) -> None:
        self.path = Path(path)
        self.runtime = open_runtime(path, threads) if runtime is None else runtime
        known = read_info(self.path, self.runtime) if info is None else info
        if score_thr is not None and known.form == 'end2end' and score_thr < known.score_thr:
            raise DeployError(
                f'score_thr={score_thr}: the graph of {path} returns only what scores more than '
                f'{known.score_thr}; export it again with a lower threshold'
            )
        if input_size is not None and known.preprocessing:
            raise DeployError(
                f'input_size={input_size}: the graph of {path} letterboxes images itself, to '
                f'{known.input_size}; leave input_size out, or export it again with that size'
            )
        self.info = replace(
            known,
            score_thr=known.score_thr if score_thr is None else score_thr,
            input_size=known.input_size if input_size is None else input_size,
        )
        fixed_batch, self.channels = _check_input(self.path, self.runtime, self.info)
        self._fixed_batch = fixed_batch is not None
        self.batch_size = fixed_batch or batch_size
        if batch_size < 1:
            raise DeployError(f'batch_size={batch_size}: at least 1 is needed')

    def __call__(self, images: Iterable[Image]) -> list[Detections]:
        """Finds objects.

        Args:
            images: The images, arrays (h, w, channels) uint8, BGR, of any sizes.

        Returns:
            The detections of each image, in its pixels.

        Raises:
            DeployError: An image has another form, or comes without a list, or is not of the size that a
                graph with preprocessing takes, or the outputs are not those that the info describes.
        """
        if isinstance(images, str) or not isinstance(images, Iterable):
            raise _no_list(f'a {type(images).__name__}')
        if isinstance(images, np.ndarray) and images.ndim < 4:
            raise _no_list(f'an array {images.shape}')
        given = list(images)
        for image in given:
            self._check_image(image)
        return [detections for batch in self._batches(given) for detections in self._detect(batch)]

    def _check_image(self, image: object) -> None:
        if not isinstance(image, np.ndarray):
            given = f'a {type(image).__name__}'
            if image is None:
                given = 'None, which OpenCV returns for a file that it cannot read'
            raise DeployError(
                f'an image is {given}: {self.path} needs arrays (h, w, {self.channels}), uint8, BGR'
            )
        fits = image.ndim == 3 and image.dtype == np.uint8 and image.shape[2] == self.channels and image.size
        if not fits:
            raise DeployError(
                f'an image of shape {image.shape}, {image.dtype}: {self.path} needs '
                f'(h, w, {self.channels}), uint8'
            )
        if self.info.preprocessing:
            sizes = self.runtime.input_shape[1:3]
            for needed, side in zip(sizes, image.shape, strict=False):
                if needed not in (None, side):
                    raise DeployError(
                        f'an image of {image.shape[0]} x {image.shape[1]} pixels: the graph of {self.path} '
                        f'takes {sizes[0] or "any"} x {sizes[1] or "any"}, as it was exported with'
                    )

    def _batches(self, images: Sequence[Image]) -> Iterator[Sequence[Image]]:
        """Neighbours that go through the graph together: with preprocessing in it, those of one size."""
        start = 0
        for stop in range(1, len(images) + 1):
            is_full = stop - start == self.batch_size or stop == len(images)
            if is_full or (self.info.preprocessing and images[stop].shape != images[start].shape):
                yield images[start:stop]
                start = stop

    def _detect(self, images: Sequence[Image]) -> list[Detections]:
        """The detections of some images that go through the graph together."""
        count = self.batch_size if self._fixed_batch else len(images)
        outputs = self.runtime.run(input_batch(images, self.info, self.runtime.input_dtype, count))
        if self.info.form == 'end2end':
            predictions = self._of_graph(outputs, len(images))
            if self.info.preprocessing:
                return predictions
        else:
            predictions = [detections_of(table, self.info) for table in self._tables(outputs)[: len(images)]]
        sizes = [Size.of_shape(image.shape) for image in images]
        fitted = [fitted_size(size, self.info.size) for size in sizes]
        return [
            detections.in_original((new.width / size.width, new.height / size.height), size)
            for detections, size, new in zip(predictions, sizes, fitted, strict=True)
        ]

    def _tables(self, outputs: list[Array]) -> NDArray[np.float32]:
        """The predictions of all priors (B, N, 5 + C + 3P) among the outputs."""
        columns = 5 + len(self.info.classes) + 3 * len(self.info.points)
        priors = prior_count(self.info.size, self.info.strides)
        tables = outputs[0]
        if len(outputs) != 1 or tables.ndim != 3 or tables.shape[1:] != (priors, columns):
            shapes = ', '.join(str(output.shape) for output in outputs)
            raise DeployError(
                f'{self.path}: outputs of shape {shapes}; a model of form {self.info.form} with '
                f'{len(self.info.classes)} classes and {len(self.info.points)} keypoints at '
                f'{self.info.input_size} has (B, {priors}, {columns})'
            )
        return tables.astype(np.float32, copy=False)

    def _of_graph(self, outputs: list[Array], count: int) -> list[Detections]:
        """The detections of a graph that suppresses, in its first images, above the threshold."""
        by_name = dict(zip(self.runtime.output_names, outputs, strict=True))
        missing = set(_END2END + (('points',) if self.info.points else ())).difference(by_name)
        if missing:
            raise DeployError(
                f'{self.path}: a model of form end2end has outputs {", ".join(_END2END)}; '
                f'{", ".join(sorted(missing))} is missing'
            )
        numbers, bboxes, scores, labels = (by_name[name] for name in _END2END)
        predictions = []
        for image, number in enumerate(numbers[:count].tolist()):
            keypoints = by_name['points'][image, :number].astype(np.float32) if self.info.points else None
            detections = Detections(
                bboxes[image, :number].astype(np.float32),
                scores[image, :number].astype(np.float32),
                labels[image, :number].astype(np.int64),
                keypoints,
            )
            predictions.append(detections.select(detections.scores > np.float32(self.info.score_thr)))
        return predictions


def input_batch(
    images: Sequence[Image], info: ModelInfo, dtype: np.dtype[Any], count: int | None = None
) -> Array:
    """What a graph takes for images.

    Args:
        images: The images, arrays (h, w, channels) uint8, BGR; of one size, if the graph letterboxes.
        info: The order of the colours, and how the images are letterboxed, if the graph does not do it.
        dtype: The dtype of the graph's input.
        count: The graph's batch, which black images fill up; None for one of all images.
    """
    height, width, channels = images[0].shape
    shape = (height, width, channels) if info.preprocessing else (channels, *info.size.shape_hw)
    batch = np.zeros((len(images) if count is None else count, *shape), dtype)
    for slot, image in zip(batch, images, strict=False):
        ordered = image[..., ::-1] if info.colour == 'rgb' else image
        if info.preprocessing:
            slot[:] = ordered
        else:
            slot[:] = letterbox(ordered, info.size, info.pad_value).transpose(2, 0, 1)
    return batch


def _no_list(given: str) -> DeployError:
    return DeployError(f'images={given}: needed is a list of arrays (h, w, channels), such as [image]')


def read_info(path: Path, runtime: Runtime) -> ModelInfo:
    """What an exported file says about itself, or the file ``NAME.json`` beside it.

    Raises:
        DeployError: Neither says anything, or what they say is wrong.
    """
    sidecar, text = path.with_suffix('.json'), runtime.metadata
    if text is None:
        text = read_sidecar(path)
        path = path if text is None else sidecar
    if text is None:
        raise DeployError(
            f'{path}: it does not say what its outputs mean (another exporter wrote it): pass '
            f"info=ModelInfo(classes, input_size, form='raw'), or write that info's to_json() to "
            f'{sidecar.name} beside it'
        )
    try:
        return ModelInfo.from_json(text)
    except DeployError as error:
        raise DeployError(f'{path}: {error}') from error


def _check_input(path: Path, runtime: Runtime, info: ModelInfo) -> tuple[int | None, int]:
    """The batch of a graph, None for any, and its channels, if its input is what the info says."""
    stride = max(info.strides)
    if any(side % stride for side in info.input_size):
        raise DeployError(f'input_size={info.input_size}: its sides must be multiples of {stride}')
    shape = runtime.input_shape
    if info.preprocessing:
        is_right, wanted = len(shape) == 4, '(B, h, w, channels)'
        batch, channels = shape[0], shape[-1]
    else:
        is_right = len(shape) == 4 and all(
            given in (None, side) for given, side in zip(shape[2:], info.input_size, strict=True)
        )
        wanted = f'(B, channels, {info.input_size[0]}, {info.input_size[1]})'
        batch, channels = shape[:2]
    if not is_right or channels is None:
        raise DeployError(f'{path}: its input has shape {shape}; by its info and the options it is {wanted}')
    if info.colour == 'rgb' and channels != 3:
        raise DeployError(f'{path}: colour rgb means nothing for {channels} channels; only 3 have an order')
    return batch, channels
