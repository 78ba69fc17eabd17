"""What the tests of models share."""

import torch

import mmyolox  # noqa: F401  stands in for mmcv's compiled ops; has to come before mmdet's models

# The tensors are small: threads would wait for one another, for minutes on a busy machine.
torch.set_num_threads(1)
