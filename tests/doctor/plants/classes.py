"""Faults of classes."""

from tests.doctor.small_set import COUNTS, SmallSet

from .plant import Plant


def edit_categories(change):
    """Changes the categories of both splits."""

    def plant(small: SmallSet) -> None:
        for split in COUNTS:
            with small.annotations(split) as content:
                change(content['categories'])

    return plant


def rename(name: str):
    """Gives the last class another name."""
    return edit_categories(lambda categories: categories[-1].update(name=name))


def keep_few(small: SmallSet) -> None:
    """Leaves 19 objects of a class to train on."""
    with small.annotations() as content:
        own = [entry for entry in content['annotations'] if entry['category_id'] == 1]
        for entry in own[19:]:
            content['annotations'].remove(entry)


def outnumber(small: SmallSet) -> None:
    """Adds objects of the first class until there are over a hundred for each one of the others."""
    with small.annotations() as content:
        rare = [entry for entry in content['annotations'] if entry['category_id'] == 3]
        for entry in rare[20:]:
            content['annotations'].remove(entry)
        other = next(entry for entry in content['annotations'] if entry['category_id'] == 1)
        for number in range(2100):
            side = 10 + 0.02 * number
            place = dict(image_id=number % 24 + 1, bbox=[5 + 2 * (number // 24), 3, side, side], area=side**2)
            content['annotations'].append(other | place | dict(id=2000 + number))


def crowd_class(small: SmallSet) -> None:
    """Makes crowds of a new class of two objects."""
    add_class('crowd')(small)
    with small.annotations() as content:
        for entry in content['annotations'][:2]:
            entry |= dict(category_id=4, iscrowd=1)


def add_class(name: str):
    """Adds a class without a box."""
    return edit_categories(lambda categories: categories.append(dict(id=4, name=name)))


def add_class_with_boxes(name: str):
    """Adds a class that has as many objects as others: a quarter of all."""

    def plant(small: SmallSet) -> None:
        add_class(name)(small)
        for split in COUNTS:
            with small.annotations(split) as content:
                for entry in content['annotations'][::4]:
                    entry['category_id'] = 4

    return plant


PLANTS = {
    'class-without-box': Plant(add_class('fish')),
    'class-with-few-boxes': Plant(keep_few),
    'class-imbalance': Plant(
        outnumber,
        siblings={
            'box-nearly-repeated',
            'cell-crowded',
            'class-shares-differ',
            'object-sizes-differ',
            'objects-per-image-differ',
        },
    ),
    'class-of-crowds': Plant(crowd_class),
    'class-names-alike': Plant(add_class_with_boxes('Cat')),
    'class-repeated': Plant(add_class_with_boxes('cat')),
    'class-name-padded': Plant(rename('bird ')),
    'class-name-numeric': Plant(rename('7')),
}
