"""Faults of the files themselves."""

import codecs
import shutil
from collections.abc import Callable

from tests.doctor.small_set import SmallSet

from .plant import Plant


def edit(change: Callable[[dict], object]):
    """Changes COCO's content of the training split."""

    def plant(small: SmallSet) -> None:
        with small.annotations() as content:
            change(content)

    return plant


def edit_label(change: Callable[[str], str]):
    """Changes the first label file."""
    return lambda small: small.edit(change)


def edit_yaml(before: str, after: str):
    """Changes the YAML file of YOLO."""

    def plant(small: SmallSet) -> None:
        path = small.root / 'data.yaml'
        path.write_text(path.read_text().replace(before, after))

    return plant


def list_images(lines: Callable[[list[str]], list[str]]):
    """Changes the list of training images of Pascal VOC."""

    def plant(small: SmallSet) -> None:
        path = small.root / 'ImageSets' / 'Main' / 'train.txt'
        path.write_text('\n'.join(lines(path.read_text().splitlines())))

    return plant


def forget_names(small: SmallSet) -> None:
    """Leaves the images of YOLO in folders of the usual names, without a YAML file."""
    (small.root / 'data.yaml').unlink()


def keep_one_image(small: SmallSet) -> None:
    """Keeps the first image alone, and no validation split."""
    (small.root / 'annotations' / 'val.json').unlink()
    with small.annotations() as content:
        content['images'] = content['images'][:1]
        content['annotations'] = [one for one in content['annotations'] if one['image_id'] == 1]


def break_off_json(small: SmallSet) -> None:
    """Breaks off the validation's annotation file."""
    path = small.root / 'annotations' / 'val.json'
    path.write_text(path.read_text()[:-100])


def share_label(small: SmallSet) -> None:
    """Puts an image beside the first one whose name differs in the suffix alone."""
    shutil.copy(small.image(number=2), small.image().with_suffix('.jpeg'))
    small.image(number=2).unlink()
    small.label(number=2).unlink()


def lose_label(small: SmallSet) -> None:
    """Keeps a label file whose image is gone."""
    small.label().with_stem('lost').write_text(small.label().read_text())


def break_label(small: SmallSet) -> None:
    """Breaks off an XML file."""
    small.edit(lambda text: text[: len(text) // 2])


def remove_label(small: SmallSet) -> None:
    """Removes the first label file."""
    small.label().unlink()


def begin_with_mark(small: SmallSet) -> None:
    """Writes a byte order mark before the JSON."""
    path = small.root / 'annotations' / 'train.json'
    path.write_bytes(codecs.BOM_UTF8 + path.read_bytes())


def add_label_of_yolo(small: SmallSet) -> None:
    """Puts a label of YOLO beside the annotations of COCO."""
    (small.root / 'labels').mkdir()
    (small.root / 'labels' / small.image().with_suffix('.txt').name).write_text('0 0.5 0.5 0.1 0.1')


PLANTS = {
    'split-unreadable': Plant(break_off_json),
    'list-missing': Plant(
        edit(lambda content: content.pop('annotations')),
        siblings={'split-empty', 'image-without-box', 'images-mostly-without-box'},
    ),
    'entry-unreadable': Plant(edit(lambda content: content['annotations'][0].update(bbox=[1, 2]))),
    'value-unreadable': Plant(edit(lambda content: content['images'][0].pop('width'))),
    'id-repeated': Plant(edit(lambda content: content['annotations'][0].update(id=2))),
    'image-unknown': Plant(edit(lambda content: content['annotations'][0].update(image_id=99))),
    'category-unknown': Plant(edit(lambda content: content['annotations'][0].update(category_id=99))),
    'keypoints-unreadable': Plant(
        edit(lambda content: content['annotations'][0].update(keypoints=[1, 2])),
        keypoints=True,
        siblings={'keypoints-unlabelled'},
    ),
    'line-unreadable': Plant(edit_label(lambda text: text + '0 0.5 0.5\n'), format='yolo'),
    'class-unknown': Plant(edit_label(lambda text: text + '3 0.5 0.5 0.1 0.1\n'), format='yolo'),
    'object-unreadable': Plant(edit_label(lambda text: text.replace('<xmin>', '<xmin>a', 1)), format='voc'),
    'file-unreadable': Plant(break_label, format='voc', siblings={'image-without-box'}),
    'annotation-missing': Plant(remove_label, format='voc', siblings={'image-without-box'}),
    'names-missing': Plant(forget_names, format='yolo'),
    'names-unreadable': Plant(edit_yaml('dog', '""'), format='yolo'),
    'name-index-missing': Plant(
        edit_yaml('[cat, dog, bird]', '{0: cat, 1: dog, 3: bird}'),
        format='yolo',
        siblings={'class-without-box'},
    ),
    'nc-differs': Plant(edit_yaml('nc: 3', 'nc: 4'), format='yolo'),
    'keypoint-shape-unreadable': Plant(edit_yaml('[5, 3]', '[15]'), format='yolo', keypoints=True),
    'image-listed-twice': Plant(list_images(lambda lines: [*lines, lines[0]]), format='voc'),
    'holdout-impossible': Plant(
        keep_one_image, siblings={'validation-missing', 'class-with-few-boxes', 'image-unlisted'}
    ),
    'label-shared': Plant(share_label, format='yolo', count=2),
    'label-lost': Plant(lose_label, format='yolo'),
    'label-missing': Plant(remove_label, format='yolo', siblings={'image-without-box'}),
    'split-missing': Plant(edit_yaml('val:', 'test: images/gone\nval:'), format='yolo'),
    'layout-passed-over': Plant(add_label_of_yolo),
    'path-guessed': Plant(list_images(lambda lines: [f'data/{lines[0]}.jpg', *lines[1:]]), format='voc'),
    'polygon': Plant(edit_label(lambda text: text + '0 0.45 0.45 0.55 0.45 0.5 0.6\n'), format='yolo'),
    'byte-order-mark': Plant(begin_with_mark),
}
