"""Packs a data set into shards: tar files of WebDataset's format, with COCO annotation files beside them.

    mmyolox shards data/my_set data/my_shards
    mmyolox train yolox_s --cfg-options data_root=data/my_shards chunk_size=64

Takes what training takes: COCO's format, YOLO's or Pascal VOC's, recognised in the folder. Writes
``OUT_DIR/images/train-000000.tar`` and so on, in which images are in an order that the seed says, and beside
each image is a JSON file with its annotations; ``train-000000.idx``, the index in the format of NVIDIA DALI;
and ``OUT_DIR/annotations/train.json`` with the names ``train-000000.tar/a.jpg``. The same data give the same
bytes. OUT_DIR is there when all is written, or not at all.

A folder of shards that others have written is taken, too: a sample needs an image and a JSON file with a list
``annotations`` of objects, each with ``bbox`` (x, y, width, height in pixels) and ``category``, the name. The
tar files stay where they are and get indices; OUT_DIR gets the annotations and a link to the folder. What is
left out is printed.
"""

import argparse
import json
import os
import re
import tarfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from io import BytesIO
from itertools import chain, islice
from pathlib import Path, PurePosixPath
from shlex import quote
from typing import TYPE_CHECKING, Any, NamedTuple

from coco_json import CocoFile, ConversionReport, write_files
from dataset_files import place_images

from mmyolox.errors import UserError, counted, printable
from mmyolox.files import atomic_write, check_folder, folder_beside
from mmyolox.utils.cli import run_tool

if TYPE_CHECKING:
    from mmyolox.datasets.layouts import Layout
    from mmyolox.datasets.shards import Member
    from mmyolox.deploy.letterbox import Size

Entry = dict[str, Any]
NOUNS = dict(images='image', annotations='box')

_UNUSUAL = re.compile(r'[\s.\ud800-\udfff]')
"""What the stem of a member must not have: a dot ends it, and an index is divided by blanks."""

_TAR = re.compile(r'\.(tar|tar\.(gz|bz2|xz|zst)|tgz)$')


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or '').partition('\n')[0])
    parser.add_argument('data', type=local_folder, help='folder of the data set, or of shards')
    parser.add_argument('out_dir', type=local_folder, help='gets annotations/*.json and images/*.tar')
    parser.add_argument(
        '--images-per-shard', type=int, default=1024, metavar='N', help='a multiple of 64 (default: 1024)'
    )
    parser.add_argument('--seed', type=int, default=0, help='of the order of the images (default: 0)')
    return parser.parse_args(argv)


def local_folder(text: str) -> Path:
    """A folder of this machine; an address of a storage would be a strange name of one."""
    if '://' in text:
        raise argparse.ArgumentTypeError(
            f'{text}: only folders of this machine are read and written; copy to a storage by its own client'
        )
    return Path(text)


class Split(NamedTuple):
    """A split of a data set in COCO's terms."""

    paths: list[str]
    images: list[Entry]
    annotations: dict[int | str, list[Entry]]
    """By image id."""
    categories: list[Entry]


def read_split(layout: 'Layout', split: str, classes: Sequence[str]) -> Split:
    """Reads a split, with all fields of its annotations that it has in COCO's format.

    Raises:
        UserError: It cannot be read, or images are absent.
    """
    from mmyolox.datasets import YOLOXCocoDataset, YOLOXVOCDataset, YOLOXYoloDataset

    types = dict(coco=YOLOXCocoDataset, voc=YOLOXVOCDataset, yolo=YOLOXYoloDataset)
    dataset = types[layout.format](
        data_root=str(layout.root),
        metainfo=dict(classes=classes),
        test_mode=True,
        pipeline=[],
        **layout.splits[split],
    )
    truth = dataset.ground_truth()
    paths = [dataset.get_data_info(index)['img_path'] for index in range(len(dataset))]
    whole = truth
    if layout.format == 'coco':
        with open(dataset.ann_file, encoding='utf-8-sig') as file:
            whole = json.load(file)
    own = {image['id'] for image in truth['images']}
    annotations = defaultdict(list)
    for entry in whole['annotations']:
        if entry['image_id'] in own:
            annotations[entry['image_id']].append(entry)
    images = [image for image in whole['images'] if image['id'] in own]
    root = os.path.join(layout.root, '')
    images = [dict(image, file_name=image['file_name'].removeprefix(root)) for image in images]
    return Split(paths, images, annotations, whole['categories'])


def member_name(file_name: str, used: set[str]) -> str:
    """The name of an image in its shard: its own, as far as WebDataset's format allows; no other's.

    Args:
        file_name: The name of the file, with folders.
        used: The names that are taken, without suffixes; gets this one.
    """
    path = PurePosixPath(file_name.replace('\\', '/'))
    folders = [_UNUSUAL.sub('_', part) for part in path.parts[:-1] if part not in ('/', '..')]
    stem = '/'.join([*folders, _UNUSUAL.sub('_', path.stem) or '_'])
    key, number = stem, 1
    while key in used:
        number += 1
        key = f'{stem}_{number}'
    used.add(key)
    return key + path.suffix.lower()


def write_shard(path: Path, files: Iterator[tuple[str, bytes]]) -> dict[str, 'Member']:
    """Writes a shard of named files, and its index; returns where each file is."""
    from mmyolox.datasets.shards import Member, format_index, index_path

    members = {}
    with path.open('wb') as opened:
        with tarfile.open(fileobj=opened, mode='w', format=tarfile.PAX_FORMAT) as tar:
            for name, content in files:
                info = tarfile.TarInfo(name)
                info.size = len(content)
                tar.addfile(info, BytesIO(content))
                padded = -(-len(content) // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
                members[name] = Member(tar.offset - padded, len(content))
        opened.flush()
        os.fsync(opened.fileno())
    Path(index_path(str(path))).write_text(format_index(members), encoding='utf-8')
    return members


def readable(split: Split, seed: int, report: ConversionReport) -> Iterator[tuple[Entry, str, bytes]]:
    """The images of a split in a random order, each with its path and content; others are reported."""
    import numpy as np

    from mmyolox.datasets.canvas.images import UndecodableImageError, read_file, read_header

    for index in np.random.default_rng(seed).permutation(len(split.images)).tolist():
        path = split.paths[index]
        try:
            content = read_file(path)
            read_header(BytesIO(content))
        except (UndecodableImageError, ValueError) as error:
            report.skip(path, getattr(error, 'reason', '') or str(error))
        else:
            yield split.images[index], path, content


def write_split(
    split: Split, prefix: Path, args: argparse.Namespace, report: ConversionReport
) -> dict[str, list[Entry]]:
    """Writes the shards of a split.

    Args:
        split: The split.
        prefix: What the paths of the shards begin with.
        args: The options.
        report: The report, which gets a line for each image that is left out.

    Returns:
        The content of the annotation file.
    """
    from mmyolox.engine.progress_line import with_progress

    names = {category['id']: category['name'] for category in split.categories}
    used: set[str] = set()
    images: list[Entry] = []

    def members(shard: str, samples: Iterable[tuple[Entry, str, bytes]]) -> Iterator[tuple[str, bytes]]:
        for image, path, content in samples:
            # The suffix is that of the file; a name in an annotation file may have another.
            member = member_name(os.path.splitext(image['file_name'])[0] + os.path.splitext(path)[1], used)
            images.append(dict(image, file_name=f'{shard}/{member}'))
            yield member, content
            objects = [
                dict(one, category=names[one['category_id']]) for one in split.annotations[image['id']]
            ]
            text = json.dumps(dict(image, annotations=objects), ensure_ascii=False, allow_nan=False)
            yield f'{os.path.splitext(member)[0]}.json', text.encode('utf-8', 'backslashreplace')

    samples = with_progress(readable(split, args.seed, report), len(split.images))
    for number, first in enumerate(samples):
        shard = f'{prefix.name}-{number:06d}.tar'
        write_shard(
            prefix.with_name(shard),
            members(shard, chain([first], islice(samples, args.images_per_shard - 1))),
        )
    objects = [one for image in images for one in split.annotations[image['id']]]
    return dict(info={}, licenses=[], images=images, annotations=objects, categories=split.categories)


def pack(args: argparse.Namespace, report: ConversionReport) -> dict[str, dict[str, list[Entry]]]:
    """Writes the shards and annotation files of a data set, all of them or none.

    Returns:
        The content of the annotation files by split.

    Raises:
        UserError: The data set cannot be read, has no readable image, or OUT_DIR cannot be written.
    """
    from mmyolox.datasets.layouts import FORMATS, recognise

    if args.out_dir.exists() and (not args.out_dir.is_dir() or any(args.out_dir.iterdir())):
        raise UserError(f'{args.out_dir}: already exists; remove it or choose another folder')
    layout = recognise(args.data)
    classes = FORMATS[layout.format].read_classes(layout)
    contents = {}
    with folder_beside(args.out_dir) as part:
        for folder in ('images', 'annotations'):
            (part / folder).mkdir()
        for name in layout.splits:
            split = read_split(layout, name, classes)
            contents[name] = write_split(split, part / 'images' / name, args, report)
            with atomic_write(part / f'annotations/{name}.json') as path:
                path.write_text(json.dumps(contents[name], ensure_ascii=False), 'utf-8', 'backslashreplace')
        if not contents['train']['images']:
            raise UserError(f'{args.data}: no image to train on can be read: {report.skipped[0]}')
        part.rename(args.out_dir)
    return contents


def index(args: argparse.Namespace, shards: Sequence[Path], report: ConversionReport) -> dict[str, CocoFile]:
    """Writes indices of shards of others, and what their JSON files say as annotation files.

    Returns:
        The annotation files by split, which the names of the shards tell.

    Raises:
        UserError: No sample can be used.
    """
    from mmyolox.datasets.splits import split_named
    from mmyolox.engine.progress_line import with_progress

    read: dict[str, dict[str, tuple[Size, list[Entry]]]] = defaultdict(dict)
    for shard in with_progress(shards, len(shards), 'shards'):
        read[split_named(shard.stem) or 'train'].update(read_shard(shard, report))
    objects = [one for images in read.values() for _, own in images.values() for one in own]
    classes = sorted({one['category'] for one in objects})
    if not classes:
        reasons = [*report.skipped[:1], *report.note_lines()]
        raise UserError(
            f'{args.data}: no usable object in its shards ({"; ".join(reasons) or "they have none"})'
        )
    files = {split: CocoFile(classes) for split in read}
    for split, images in read.items():
        for name, (size, own) in images.items():
            image_id = files[split].add_image(name, *size)
            for one in own:
                box = report.checked_box(corners(one['bbox']), size, f'{shards[0].parent / name}')
                if box is not None:
                    iscrowd = int(bool(one.get('iscrowd')))
                    files[split].add_annotation(
                        image_id, classes.index(one['category']), box, iscrowd=iscrowd
                    )
    place_images('link', args.data, args.out_dir / 'images', [])
    write_files(files, args.out_dir / 'annotations', report)
    return files


def corners(bbox: Sequence[float]) -> list[float]:
    """The box xyxy of one in COCO's form, xywh."""
    x, y, width, height = bbox
    return [x, y, x + width, y + height]


def read_shard(path: Path, report: ConversionReport) -> dict[str, tuple['Size', list[Entry]]]:
    """Writes the index of a shard, and reads the sizes and objects of its images by name.

    Args:
        path: The tar file.
        report: The report, which gets a line for each sample that cannot be used.
    """
    from mmyolox.datasets.canvas.images import UndecodableImageError, read_file, read_image_header
    from mmyolox.datasets.shards import SUFFIX, format_index, index_path, is_image, sample_key, scan_shard

    if path.suffix != SUFFIX:
        report.skip(path, 'it is compressed, so that no image can be read by itself: unpack it to a .tar')
        return {}
    try:
        members, faults = scan_shard(str(path))
    except (OSError, ValueError) as error:
        report.skip(path, str(error))
        return {}
    report.note(
        'shards with damage or links; what was found in them was taken', [f'{path}: {one}' for one in faults]
    )
    try:
        text = format_index(members)
        with atomic_write(index_path(str(path))) as part:
            part.write_text(text, 'utf-8', 'surrogateescape')
    except (ValueError, UserError) as error:
        what = 'shards without an index, which are scanned whenever they are opened'
        report.note(what, [f'{path}: {error}'])
    images = {}
    texts = {sample_key(name): name for name in members if name.endswith('.json')}
    counts = Counter(sample_key(name) for name in filter(is_image, members))
    for name in filter(is_image, members):
        location = f'{path}/{name}'
        key, own = sample_key(name), f'{os.path.splitext(name)[0]}.json'
        # Of several images of a sample, such as a.jpg and a mask a.seg.png, boxes are those of one.
        text = own if own in members else texts.get(key)
        if text != own and counts[key] > 1:
            report.skip(location, 'its sample has several images, and no JSON file is called like this one')
            continue
        if text is None:
            report.skip(location, 'it has no JSON file beside it')
            continue
        try:
            entries = checked_objects(json.loads(read_file(f'{path}/{text}')))
            images[f'{path.name}/{name}'] = (read_image_header(location).upright_size, entries)
        except (ValueError, RecursionError, UndecodableImageError) as error:
            report.skip(location, getattr(error, 'reason', '') or str(error))
    return images


def is_number(value: Any) -> bool:
    """Whether a value of a JSON file is a number that a float can hold."""
    return type(value) is float or (type(value) is int and abs(value) < 2**63)


def checked_objects(content: Any) -> list[Entry]:
    """The objects that the JSON file of a sample lists; raises ValueError for anything else."""
    objects = content.get('annotations') if isinstance(content, dict) else None
    if not isinstance(objects, list):
        raise ValueError('its JSON file has no list `annotations`')
    for one in objects:
        box = one.get('bbox') if isinstance(one, dict) else None
        is_box = isinstance(box, list) and len(box) == 4 and all(map(is_number, box))
        if not is_box or not isinstance(one.get('category'), str):
            raise ValueError(
                'an object of its JSON file has no `bbox` of four numbers, or no `category`, the name'
            )
    return objects


def find_shards(data: Path) -> list[Path]:
    """The tar files of a folder of shards, of which compressed ones are to be named; none of another one."""
    entries = sorted(data.iterdir()) if data.is_dir() else []
    found = [entry for entry in entries if _TAR.search(entry.name) and entry.is_file()]
    return found if len(found) == len(entries) or any(one.suffix == '.tar' for one in found) else []


def main() -> None:
    args = parse_args()
    if args.images_per_shard < 1 or args.images_per_shard % 64:
        raise UserError(f'--images-per-shard {args.images_per_shard}: it must be a multiple of 64')
    if args.seed < 0:
        raise UserError(f'--seed {args.seed}: it must be a number from 0 on')
    if args.out_dir.resolve().is_relative_to(args.data.resolve()):
        raise UserError(f'{args.out_dir} is in {args.data}, of which all is read: choose a folder beside it')
    check_folder(args.out_dir)
    from mmyolox.engine.terminal import use_terminal

    use_terminal()
    report = ConversionReport()
    shards = find_shards(args.data)
    if shards:
        print(report.summary(index(args, shards, report)))
    else:
        contents = pack(args, report)
        print(
            printable('\n'.join(f'skipped: {line}' for line in report.skipped)),
            end='\n' * bool(report.skipped),
        )
        for split, content in contents.items():
            images, boxes = (counted(len(content[key]), noun) for key, noun in NOUNS.items())
            print(f'{split}.json: {images}, {boxes}')
    data_root = quote(printable(str(args.out_dir)))
    print(
        f'next: mmyolox train yolox_s --load-from yolox_s --cfg-options data_root={data_root} chunk_size=64'
    )


if __name__ == '__main__':
    run_tool(main)
