"""Checks of the files themselves: what in them could not be read, or was found by guessing."""

from collections.abc import Callable
from typing import NamedTuple

from mmyolox.doctor.check import Check, Severity
from mmyolox.doctor.examined import Examined
from mmyolox.doctor.found import SHOWN, Example, Found
from mmyolox.errors import one_line


class _Kind(NamedTuple):
    """A kind of fault that readers note, see :class:`.raw.Faults`.

    Attributes:
        name: Its name, which is that of the check.
        severity: How bad it is.
        noun: What is at fault, one of it.
        what: What is looked for.
        advice: What to do about it.
    """

    name: str
    severity: Severity
    noun: str
    what: str
    advice: str


_KINDS = (
    _Kind(
        'split-unreadable',
        Severity.ERROR,
        'split',
        'Splits whose annotation file or list cannot be read at all',
        'Write the file again, or copy it anew; the other splits were examined.',
    ),
    _Kind(
        'list-missing',
        Severity.ERROR,
        'list',
        'Files of COCO without one of the lists images, annotations and categories',
        'Write the list, empty where there is nothing; other JSON files (captions, results) are no data set.',
    ),
    _Kind(
        'entry-unreadable',
        Severity.ERROR,
        'entry',
        'Entries of COCO that lack an id, a name or a box, or have another kind of value there',
        'Correct or remove them; a training refuses the file.',
    ),
    _Kind(
        'value-unreadable',
        Severity.ERROR,
        'value',
        'Entries of COCO with an image size, flag or area that is missing or no number',
        'Write the values: width and height of every image in pixels, iscrowd 0 or 1; a training refuses the '
        'file.',
    ),
    _Kind(
        'id-repeated',
        Severity.ERROR,
        'id',
        'Ids of COCO that several entries of a list have',
        'Number the entries anew; boxes of one image would be taken for those of another.',
    ),
    _Kind(
        'image-unknown',
        Severity.ERROR,
        'annotation',
        'Annotations of COCO whose image is not in the file',
        'Remove them, or add their images; often images were taken out and their boxes left.',
    ),
    _Kind(
        'category-unknown',
        Severity.ERROR,
        'annotation',
        'Annotations of COCO whose category is not in the file',
        'Add the category, or correct category_id; often ids were counted from 0 in one list and from 1 in '
        'the other.',
    ),
    _Kind(
        'keypoints-unreadable',
        Severity.ERROR,
        'annotation',
        'Annotations of COCO whose keypoints are no list of x, y and visibility',
        'Write three numbers for each keypoint, 0, 0, 0 for one that is not labelled.',
    ),
    _Kind(
        'line-unreadable',
        Severity.ERROR,
        'line',
        'Lines of YOLO labels that are no object',
        'Correct them: `class cx cy w h` in fractions of the image, numbers alone, blanks between them, '
        'and no score. Training leaves them out, so that the object is learned as background.',
    ),
    _Kind(
        'class-unknown',
        Severity.ERROR,
        'line',
        'Lines of YOLO labels with a class index beyond the names',
        'Add the missing names to the YAML file in the order of the indices, which begin at 0, or correct '
        'the lines; a training refuses them.',
    ),
    _Kind(
        'object-unreadable',
        Severity.ERROR,
        'object',
        'Objects of Pascal VOC without a name or a corner, or with another kind of value there',
        'Correct or remove them; a training refuses the file.',
    ),
    _Kind(
        'file-unreadable',
        Severity.ERROR,
        'file',
        'Label files that cannot be read',
        'Write them again: XML files must be well-formed, label files of YOLO plain text.',
    ),
    _Kind(
        'annotation-missing',
        Severity.ERROR,
        'image',
        'Images on a list of Pascal VOC without an XML file',
        'Add the file, with no object for a background image, or take the image off the list; a training '
        'refuses the list.',
    ),
    _Kind(
        'names-missing',
        Severity.ERROR,
        'data set',
        'Data sets of YOLO in which nothing names the classes',
        'Write `names` to data.yaml, or a name a line to classes.txt, in the order of the indices.',
    ),
    _Kind(
        'names-unreadable',
        Severity.ERROR,
        'name',
        'Class names of YOLO that are empty, no texts, of no index, or others than in another file',
        'Write `names` to data.yaml as a list of texts, or by their indices from 0; a training refuses the '
        'data set. Here such classes are called by their indices.',
    ),
    _Kind(
        'name-index-missing',
        Severity.ERROR,
        'index',
        'Indices of YOLO without a class name between or before those that have one',
        'Count the indices from 0 without gaps, or name what is between them; a training refuses the data '
        'set.',
    ),
    _Kind(
        'nc-differs',
        Severity.ERROR,
        'data set',
        'Data sets of YOLO whose `nc` is not the number of the names',
        'Correct one of them in the YAML file; a training refuses it. Here the names count.',
    ),
    _Kind(
        'keypoint-shape-unreadable',
        Severity.ERROR,
        'data set',
        'Data sets of YOLO whose `kpt_shape` is not [K, 2] or [K, 3]',
        'Write the number of keypoints, and 3 if each has a visibility, else 2; a training refuses the data '
        'set. Here the boxes alone were examined.',
    ),
    _Kind(
        'image-listed-twice',
        Severity.ERROR,
        'image',
        'Images that a list of Pascal VOC names more than once',
        'Leave one line for each image; a training refuses the list.',
    ),
    _Kind(
        'holdout-impossible',
        Severity.ERROR,
        'data set',
        'Data sets of one image, of which no part can be held out to validate',
        'Add images, or a validation split, which may have the same image; a training refuses a single one.',
    ),
    _Kind(
        'label-shared',
        Severity.WARNING,
        'label file',
        'Label files that are those of several images',
        'Rename the images: those that differ in their suffix alone have one label file.',
    ),
    _Kind(
        'label-lost',
        Severity.WARNING,
        'label file',
        'Label files that belong to no image',
        'Look whether the images were renamed, moved or lost; their objects are not trained on.',
    ),
    _Kind(
        'split-missing',
        Severity.WARNING,
        'split',
        'Splits that the YAML file names and whose folder or list is not there',
        'Correct the path in the YAML file, or remove the key; the other splits are read.',
    ),
    _Kind(
        'label-missing',
        Severity.NOTE,
        'image',
        'Images without a label file',
        'They are trained on as background (YOLO) or left out (Pascal VOC); write an empty file for those '
        'that are to be background, so that a lost file can be told from one.',
    ),
    _Kind(
        'layout-passed-over',
        Severity.NOTE,
        'data set',
        'Data sets of other formats in the folder, which were not examined',
        'A training takes annotations/train.json where it is there, and so does the doctor. Where it was '
        'converted from the other one, and that was corrected since, convert it again.',
    ),
    _Kind(
        'path-guessed',
        Severity.NOTE,
        'path',
        'Listed images that were found under another path or name than that of the list',
        'Nothing need be done here; other programs may not find them.',
    ),
    _Kind(
        'polygon',
        Severity.NOTE,
        'polygon',
        'Polygons among YOLO labels, of which the boxes are taken',
        'Nothing need be done to detect boxes; look whether the data set was meant for segmentation.',
    ),
    _Kind(
        'byte-order-mark',
        Severity.NOTE,
        'file',
        'Annotation files that begin with a byte order mark',
        'It is read here; other programs refuse it. Save the file as UTF-8 without it.',
    ),
)


def _finder(kind: _Kind) -> Callable[[Examined], Found]:
    """The function that tells of the faults of a kind."""

    def find(data: Examined) -> Found:
        faults = data.raw.faults
        count = faults.counts[kind.name]
        examples = tuple(
            Example(one_line(fault.place), one_line(fault.reason))
            for fault in faults.kept.get(kind.name, ())[:SHOWN]
        )
        totals = dict.fromkeys(('annotation', 'line', 'object'), count + len(data.raw.boxes))
        totals |= dict.fromkeys(('image', 'label file', 'path'), len(data.raw.images))
        totals |= dict(polygon=len(data.raw.boxes))
        return Found(kind.noun, count, max(count, totals.get(kind.noun, 0)), examples)

    return find


CHECKS = [Check(kind.name, kind.severity, kind.what, kind.advice, _finder(kind)) for kind in _KINDS]
"""A check for each kind of fault that readers note."""
