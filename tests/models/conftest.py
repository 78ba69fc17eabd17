"""Lets tests import mmdet's models where mmcv has no compiled ops."""

import mmyolox  # noqa: F401  stands in for the ops; has to come before mmcv
