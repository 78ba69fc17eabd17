"""A fault for every check, by its name; a module for each module of checks."""

from . import boxes, classes, duplicates, files, fit, images, keypoints, pairs, reading, shapes, splits

PLANTS = {
    **reading.PLANTS,
    **files.PLANTS,
    **images.PLANTS,
    **duplicates.PLANTS,
    **splits.PLANTS,
    **boxes.PLANTS,
    **pairs.PLANTS,
    **shapes.PLANTS,
    **keypoints.PLANTS,
    **classes.PLANTS,
    **fit.PLANTS,
}
