"""What a load reports, leaves out and refuses."""

import logging

import pytest
import torch
from mmengine.model import BaseModel, BaseTTAModel
from torch import nn

from mmyolox.checkpoints.classes import ClassNames
from mmyolox.checkpoints.match import match_weights
from mmyolox.checkpoints.recognise import PUBLISHED, Architecture
from mmyolox.errors import UserError


class Model(BaseModel):
    """Ten tensors: five in the backbone (one a counter), three in the neck, two in the class layer."""

    def __init__(self, classes: int = 3):
        super().__init__()
        self.backbone = nn.Sequential(nn.BatchNorm2d(4))
        self.neck = nn.ParameterDict({name: nn.Parameter(torch.rand(2)) for name in 'abc'})
        self.multi_level_conv_cls = nn.Conv2d(4, classes, 1)

    def forward(self, inputs, mode='tensor'):
        return inputs


def load_matched(model, state):
    """Loads what fits, and returns what became of it."""
    matched, summary = match_weights(model, state, 'a.pth')
    model.load_state_dict(matched)
    return summary


def test_everything_is_loaded_and_said():
    source, model = Model(), Model()
    summary = load_matched(model, source.state_dict())
    assert all(torch.equal(model.state_dict()[name], tensor) for name, tensor in source.state_dict().items())
    assert summary.complete
    assert summary.describe() == '10 of 10 tensors of the model loaded'
    assert summary.level == logging.INFO


def test_class_layers_of_another_count_are_left_out_and_said():
    source, model = Model(80), Model(3)
    own = model.multi_level_conv_cls.weight.detach().clone()
    summary = load_matched(model, source.state_dict())
    assert summary.other_classes == ['multi_level_conv_cls.weight', 'multi_level_conv_cls.bias']
    assert torch.equal(model.multi_level_conv_cls.weight, own)
    assert torch.equal(model.neck['a'], source.neck['a'])
    assert '8 of 10' in summary.describe()
    assert '2 class layers left out (another number of classes)' in summary.describe()


COCO = ('person', 'cat', 'dog', 'owl')


@pytest.mark.parametrize(
    ('file', 'names', 'sources', 'said'),
    [
        (('cat', 'dog'), ('cat', 'dog'), (0, 1), None),
        (('cat', 'dog'), ('dog', 'cat'), (1, 0), "by name (the file's: cat, dog; the model's: dog, cat)"),
        (COCO, ('dog',), (2,), 'taken by name ('),
        (COCO, ('owl', 'fox', 'cat'), (3, None, 1), 'taken by name (1 of 3 classes are new, '),
        (('cat',), ('fox', 'cat'), (None, 0), 'taken by name (1 of 2 classes are new, '),
        (('cat', 'dog'), ('fox', 'owl'), (None, None), '2 class layers left out (no class in common; '),
        (COCO, ('fox', 'elk'), (None, None), '2 class layers left out (no class in common; '),
        (('cat', 'dog'), ('Cat', 'dog '), (None, None), '2 class layers left out (no class in common; '),
        ((), ('fox', 'owl'), (0, 1), 'not name its classes, those of the model are assumed (fox, owl)'),
        (('cat', 'dog'), (), (0, 1), None),
    ],
)  # fmt: skip
def test_class_layers_belong_to_names(file, names, sources, said):
    source, model = Model(len(file) or 2), Model(len(names) or 2)
    own = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    matched, summary = match_weights(model, source.state_dict(), 'a.pth', ClassNames(file, names))
    for part in ('weight', 'bias'):
        name = f'multi_level_conv_cls.{part}'
        rows = [
            own[name][label] if place is None else source.state_dict()[name][place]
            for label, place in enumerate(sources)
        ]
        assert torch.equal(matched[name], torch.stack(rows))
    assert summary.complete == (None not in sources)
    text = summary.describe()
    assert (said in text) if said else text == '10 of 10 tensors of the model loaded'


def test_names_that_are_not_one_for_each_row_are_not_used():
    source, model = Model(3), Model(3)
    names = ClassNames(('a', 'b'), ('b', 'a', 'c'))
    matched, summary = match_weights(model, source.state_dict(), 'a.pth', names)
    assert torch.equal(matched['multi_level_conv_cls.bias'], source.multi_level_conv_cls.bias)
    assert summary.complete


def test_differences_are_named():
    state = Model().state_dict()
    state['neck.a'] = torch.ones(5)
    state['extra.x'] = torch.ones(1)
    state['epoch'] = 3
    del state['neck.b'], state['backbone.0.num_batches_tracked']
    summary = load_matched(Model(), state)
    assert summary.missing == ['neck.b']
    assert summary.mismatched == ['neck.a (5 -> 2)']
    assert summary.unexpected == ['extra.x', 'epoch']
    assert not summary.complete
    assert summary.level == logging.WARNING
    assert summary.describe() == (
        '7 of 9 tensors of the model loaded; 1 missing in the file: neck.b; '
        '1 of another shape or type: neck.a (5 -> 2); 2 unknown to the model: extra.x, epoch'
    )


def test_many_names_are_grouped():
    state = Model().state_dict() | {f'head.stem.{i}': torch.ones(1) for i in range(500)}
    _, summary = match_weights(Model(), state, 'a.pth')
    assert summary.describe().endswith('500 unknown to the model: 500 in head.stem (e.g. head.stem.0)')


def test_groups_are_the_modules_or_lists_of_them():
    extra = ('head.top.towers.0.bn.weight', 'head.top.towers.1.bn.weight', 'head.top.preds.0.bias', 'a.b')
    state = Model().state_dict() | dict.fromkeys((*extra, 'head.top.loss.scale'), torch.ones(1))
    _, summary = match_weights(Model(), state, 'a.pth')
    assert summary.describe().endswith(
        '5 unknown to the model: 2 in head.top.towers, 1 in head.top.preds, 1 in a, 1 in head.top.loss '
        '(e.g. head.top.towers.0.bn.weight)'
    )


class Deeper(Model):
    """With a part that :class:`Model` has not, and one that it has half."""

    def __init__(self):
        super().__init__()
        self.neck.update(dict(d=torch.nn.Parameter(torch.rand(1))))
        self.head = nn.ModuleDict(dict(towers=nn.ModuleList([nn.Linear(1, 1), nn.Linear(1, 1)])))


def test_parts_that_the_file_knows_nothing_of_are_named():
    _, summary = match_weights(Deeper(), Model().state_dict(), 'a.pth')
    assert summary.absent_parts == ['head']
    assert summary.describe().endswith(
        '5 missing in the file: 4 in head.towers, 1 in neck (e.g. neck.d); the file is of another '
        'kind of model, without head'
    )
    some = Model().state_dict() | {'head.towers.0.bias': torch.ones(1)}
    assert match_weights(Deeper(), some, 'a.pth')[1].absent_parts == ['head.towers.1']


class Keypoints(nn.Module):
    """With a head of two branches."""

    def __init__(self):
        super().__init__()
        branches = {name: nn.ModuleList([nn.Linear(1, 1), nn.Linear(1, 1)]) for name in ('cls', 'pose')}
        self.bbox_head = nn.ModuleDict(branches)
        self.stem = nn.Linear(1, 1)


@pytest.mark.parametrize(
    ('absent', 'level'),
    [
        ('bbox_head.pose.', logging.INFO),
        ('bbox_head.pose.1.', logging.WARNING),
        ('bbox_head.pose.1.bias', logging.WARNING),
        ('stem.', logging.WARNING),
    ],
)
def test_only_a_head_of_fewer_branches_is_no_partial_file(absent, level):
    model = Keypoints()
    state = {name: tensor for name, tensor in model.state_dict().items() if not name.startswith(absent)}
    summary = match_weights(model, state, 'a.pth')[1]
    assert summary.level == level
    end = '4 missing in the file: the file is of another kind of model, without pose'
    assert summary.describe().endswith(end) == (level == logging.INFO)


def test_prefix_of_a_wrapped_model_and_wrappers_are_seen_through():
    state = {f'module.{name}': tensor for name, tensor in Model().state_dict().items()}

    class Augmented(BaseTTAModel):
        def merge_preds(self, data_samples_list):
            return data_samples_list

    for wrapped in (Augmented(Model()), nn.DataParallel(Model()), nn.DataParallel(Augmented(Model()))):
        assert match_weights(wrapped, state, 'a.pth')[1].complete


@pytest.mark.parametrize(('kept', 'refused'), [(0, True), (4, True), (5, False)])
def test_a_load_that_leaves_most_of_the_model_is_refused(kept, refused):
    state = {name: tensor for name, tensor in Model().state_dict().items() if 'tracked' not in name}
    state = dict(list(state.items())[:kept])
    if refused:
        with pytest.raises(UserError, match=rf'a\.pth does not fit the model: {kept} of 9 tensors'):
            load_matched(Model(), state)
    else:
        assert len(load_matched(Model(), state).used) == kept


def test_the_size_of_another_model_is_told():
    """The shapes alone say little; MMYOLO's names are ours."""
    nano, tiny = (Architecture(size, *PUBLISHED[size]).build() for size in ('nano', 'tiny'))
    with pytest.raises(UserError, match=r'; the file holds YOLOX-nano, .*80 classes'):
        match_weights(tiny, nano.state_dict(), 'a.pth')
    assert match_weights(nano, nano.state_dict(), 'a.pth')[1].held == ''
