"""Partners for mosaic and mixup without loading them: samples that the process has loaded before."""

from mmcv.transforms import BaseTransform

from mmyolox.datasets.canvas.instances import instance_keys
from mmyolox.errors import UserError
from mmyolox.registry import TRANSFORMS
from mmyolox.utils.memory import available_memory

_ENOUGH = 4
"""How many different partners there must be before they are preferred to loading new ones; as in RTMDet."""


@TRANSFORMS.register_module()
class RecentSamples(BaseTransform):
    """Remembers the samples loaded last, from which the mosaic and the mixup that follow take their partners.

    Of the five images of a YOLOX sample only one is then read and decoded: RTMDet's cached mosaic and mixup
    (Lyu et al. 2022, section 3.4; MMDetection 3.3, ``CachedMosaic`` and ``CachedMixUp`` with ``random_pop``).
    Here both share one memory, and the partner of a mixup is a plain image, as in YOLOX. Every data worker
    has a memory of its own, which is empty when an epoch begins (partners are loaded until it holds a few):
    samples are a function of seed, epoch and number of workers, and a resumed run sees the same ones.

    Belongs right behind the loading steps.

    Args:
        max_images: how many samples are remembered; one at random makes room for the next.
        max_megabytes: how much memory their decoded pixels may take in each worker.
    """

    def __init__(self, max_images: int = 40, max_megabytes: int = 256) -> None:
        if max_images < _ENOUGH or max_megabytes < 1:
            raise UserError(
                f'RecentSamples: max_images={max_images} must be at least {_ENOUGH}, '
                f'max_megabytes={max_megabytes} at least 1'
            )
        free = available_memory() / 1e6
        if max_megabytes > free:
            raise UserError(
                f'RecentSamples: max_megabytes={max_megabytes} for each worker is more than the '
                f'{free:.0f} MB of memory that are free'
            )
        self.max_images = max_images
        self.max_bytes = max_megabytes * 1_000_000
        self._samples: list[dict] = []
        self._draw_key: tuple[int, int] | None = None

    def transform(self, results: dict) -> dict:
        if self._draw_key != results['dataset'].draw_key:
            self._draw_key = results['dataset'].draw_key
            self._samples.clear()
        results['recent_samples'] = list(self._samples) if len(self._samples) >= _ENOUGH else []
        self._samples.append(_snapshot(results))
        while len(self._samples) > self.max_images or self.num_bytes > self.max_bytes:
            self._samples.pop(int(results['rng'].integers(len(self._samples))))
        return results

    @property
    def num_bytes(self) -> int:
        """What the pixels of the remembered samples take when all are decoded."""
        return sum(layer.source.num_bytes for sample in self._samples for layer in sample['scene'].layers)


def _snapshot(results: dict) -> dict:
    """A sample that later steps of the pipeline do not change; scenes are never changed."""
    shared = {'dataset', 'rng', 'img_scale', 'recent_samples'}
    kept = {key: value for key, value in results.items() if key not in shared}
    return kept | {key: results[key].copy() for key in instance_keys(results)}
