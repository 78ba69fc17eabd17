"""The recipe's transforms on boxes and keypoints in plain numbers, one person and one point at a time.

Each takes its draws from a generator in the order of the recipe and works on a picture, a dict of its
``size`` (w, h) and ``people``, a list of dicts: ``box`` [x1, y1, x2, y2], ``points`` [[x, y, v], ...],
``area`` and ``label``.
"""

import math

from mmyolox.projects.yolox_pose.tests.files import SWAPPED

LIMITS = dict(degrees=10.0, shift=0.1, scale=(0.5, 1.5), shear=2.0)
JITTER = (0.5, 1.5)


def picture(entry):
    """An entry of a data list in this form."""
    height, width = entry['pixels'].shape[:2]
    keys = ('bboxes', 'keypoints', 'areas', 'labels')
    rows = zip(*(entry[key].tolist() for key in keys), strict=True)
    people = [dict(box=box, points=points, area=area, label=label) for box, points, area, label in rows]
    return dict(size=(width, height), people=people)


def move(shown, matrix, size):
    """What is left on a canvas of ``size`` after (x, y) -> (a x + b y + e, c x + d y + f)."""
    a, b, e, c, d, f = matrix
    people = []
    for person in shown['people']:
        x1, y1, x2, y2 = person['box']
        xs = [a * x + b * y + e for x in (x1, x2) for y in (y1, y2)]
        ys = [c * x + d * y + f for x in (x1, x2) for y in (y1, y2)]
        box = [max(min(xs), 0), max(min(ys), 0), min(max(xs), size[0]), min(max(ys), size[1])]
        if box[0] >= size[0] or box[1] >= size[1] or box[2] <= 0 or box[3] <= 0:
            continue
        points = [move_point(point, matrix, size) for point in person['points']]
        if a * d < b * c:
            points = [points[i] for i in SWAPPED]
        area = person['area'] * abs(a * d - b * c)
        people.append(dict(box=box, points=points, area=area, label=person['label']))
    return dict(size=size, people=people)


def move_point(point, matrix, size):
    (x, y, visibility), (a, b, e, c, d, f) = point, matrix
    u, v = a * x + b * y + e, c * x + d * y + f
    if visibility == 0 or u < 0 or v < 0 or u > size[0] or v > size[1]:
        return [0, 0, 0]
    return [u, v, visibility]


def fit(size, scale):
    return min(scale[0] / size[0], scale[1] / size[1])


def letterbox(shown, scale, ratio=1.0):
    canvas = (round(scale[0] * ratio), round(scale[1] * ratio))
    width, height = shown['size']
    factor = fit((width, height), canvas)
    new_width, new_height = max(1, int(width * factor + 1e-6)), max(1, int(height * factor + 1e-6))
    return move(shown, (new_width / width, 0, 0, 0, new_height / height, 0), canvas)


def flip(shown, rng, prob=0.5):
    if rng.random() >= prob:
        return shown
    return move(shown, (-1, 0, shown['size'][0], 0, 1, 0), shown['size'])


def affine(shown, rng, scale):
    angle = math.radians(rng.uniform(-LIMITS['degrees'], LIMITS['degrees']))
    factor = rng.uniform(*LIMITS['scale'])
    p, q = (math.tan(math.radians(draw)) for draw in rng.uniform(-LIMITS['shear'], LIMITS['shear'], 2))
    e, f = (d * s for d, s in zip(rng.uniform(-LIMITS['shift'], LIMITS['shift'], 2), scale, strict=True))
    # Scaled, turned, sheared and shifted, in this order: (1 p; q 1) (cos -sin; sin cos) factor.
    cos, sin = factor * math.cos(angle), factor * math.sin(angle)
    return move(shown, (cos + p * sin, p * cos - sin, e, q * cos + sin, cos - q * sin, f), scale)


def mosaic(shown, rng, scale, album, prob=1.0):
    if rng.random() >= prob:
        return letterbox(shown, scale)
    x, y = (int(draw * side) for draw, side in zip(rng.uniform(0.5, 1.5, 2), scale, strict=True))
    tiles = [shown] + [album[int(rng.integers(len(album)))] for _ in range(3)]
    canvas = (2 * scale[0], 2 * scale[1])
    people = []
    for quadrant, tile in enumerate(tiles):
        width, height = tile['size']
        factor = fit(tile['size'], scale)
        left = x - int(width * factor) if quadrant in (0, 2) else x
        top = y - int(height * factor) if quadrant in (0, 1) else y
        people += move(tile, (factor, 0, left, 0, factor, top), canvas)['people']
    return dict(size=canvas, people=people)


def mixup(shown, rng, scale, album):
    rng.random()
    for _ in range(15):
        partner = album[int(rng.integers(len(album)))]
        if partner['people']:
            break
    jitter = rng.uniform(*JITTER)
    is_flipped = rng.random() < 0.5
    padded = (int(scale[0] * jitter), int(scale[1] * jitter))
    room = [max(0, a - b) for a, b in zip(padded, shown['size'], strict=True)]
    left, top = (int(rng.integers(side or 1)) for side in room)
    factor = fit(partner['size'], scale) * jitter
    partner = move(partner, (factor, 0, 0, 0, factor, 0), padded)
    if is_flipped:
        partner = move(partner, (-1, 0, padded[0], 0, 1, 0), padded)
    partner = move(partner, (1, 0, -left, 0, 1, -top), shown['size'])
    return dict(size=shown['size'], people=shown['people'] + partner['people'])


class Memory(list):
    """Pictures seen last; of more than ``most`` one at random goes."""

    def __init__(self, most):
        super().__init__()
        self.most = most

    def remember(self, shown, rng):
        """Partners for this picture, which is remembered for others."""
        partners = list(self) if len(self) >= 4 else []
        self.append(shown)
        while len(self) > self.most:
            self.pop(int(rng.integers(len(self))))
        return partners
