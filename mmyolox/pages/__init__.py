"""Pages: what is to be looked at, as one HTML file that works offline."""

from .blocks import (
    Block,
    Box,
    Bullets,
    Callout,
    Cell,
    Chart,
    Code,
    Column,
    Facts,
    Figure,
    Figures,
    Fold,
    Gallery,
    Grid,
    Part,
    Picture,
    Table,
    Text,
)
from .images import Photo, embed
from .page import Page, require_packages

__all__ = [
    'Block',
    'Box',
    'Bullets',
    'Callout',
    'Cell',
    'Chart',
    'Code',
    'Column',
    'Facts',
    'Figure',
    'Figures',
    'Fold',
    'Gallery',
    'Grid',
    'Page',
    'Part',
    'Photo',
    'Picture',
    'Table',
    'Text',
    'embed',
    'require_packages',
]
