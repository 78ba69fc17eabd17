import pytest
from mmdet.datasets.transforms import RandomAffine as PeerAffine

from mmyolox.datasets.canvas.geometry import translation


@pytest.fixture
def centred(monkeypatch):
    """MMDetection's warp with pixel centres at half a pixel, as ours.

    It warps with the matrix of the boxes, for which pixel i covers i to i + 1, but OpenCV takes pixel i to
    stand at i: its pictures are up to half a pixel off its boxes. Ours are not.
    """
    move, scale = PeerAffine._get_translation_matrix, PeerAffine._get_scaling_matrix

    def use():
        first, last = translation(0.5, 0.5), translation(-0.5, -0.5)
        monkeypatch.setattr(PeerAffine, '_get_scaling_matrix', lambda _, ratio: scale(ratio) @ first)
        monkeypatch.setattr(PeerAffine, '_get_translation_matrix', lambda _, x, y: last @ move(x, y))

    return use
