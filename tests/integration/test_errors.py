"""A user's mistakes end in one line, before the training starts, or in a named report during it."""

import json

import pytest
import torch

from tests.integration.runs import read_record, run_tool, succeed


def error_line(result) -> str:
    """The single line that a failed tool printed as its error."""
    assert result.returncode == 1, result.stdout[-2000:] + result.stderr[-2000:]
    assert 'Traceback' not in result.stderr, result.stderr[-3000:]
    (line,) = [line for line in result.stderr.splitlines() if line.startswith('error: ')]
    return line


@pytest.mark.parametrize(
    ('options', 'words'),
    [
        (['data_root=/nowhere'], ['/nowhere', 'no such folder']),
        (['img_prefix=pictures/'], ['pictures']),
        (['classes=[disk,unicorn]'], ['unicorn']),
        (['num_classes=7'], ['num_classes', '7']),
        (['train_dataloader.batchsize=4'], ['train_dataloader.batchsize', 'batch_size']),
        (['model.backbone.deepen_facto=0.3'], ['deepen_facto', 'deepen_factor']),
        (['trian_dataloader.batch_size=4'], ['trian_dataloader', 'train_dataloader']),
        (['img_scale=(60,64)'], ['img_scale', '60']),
        (['model.backbone.input_channels=4'], ['pipeline', 'input_channels']),
    ],
)
def test_config_mistakes(config, tmp_path, options, words):
    line = error_line(run_tool('train.py', config, '--work-dir', tmp_path / 'run', '--cfg-options', *options))
    assert all(word in line for word in words), line


def test_checkpoint_of_another_model(config, tmp_path):
    path = tmp_path / 'other.pth'
    torch.save(dict(state_dict={'layer.weight': torch.zeros(3)}), path)
    result = run_tool('train.py', config, '--work-dir', tmp_path / 'run', '--load-from', path)
    assert str(path) in error_line(result)


def test_broken_loss_is_reported_and_kept(config, tmp_path):
    option = 'default_hooks.recorder.poison_at=2'
    line = error_line(run_tool('train.py', config, '--work-dir', tmp_path, '--cfg-options', option))
    assert 'iteration 3' in line
    assert 'loss_obj=nan' in line
    (report,) = tmp_path.glob('*/invalid_loss_iter3_rank0.json')
    content = json.loads(report.read_text())
    assert len(content['images']) == 4
    assert all(name.endswith('.jpg') for name in content['images'])
    batch = torch.load(report.with_suffix('.pth'), weights_only=False)
    assert batch['inputs'].shape == (4, 3, 64, 64)


def test_corrupt_image_is_named_and_the_training_goes_on(config, shapes, tmp_path):
    data = tmp_path / 'data'
    (data / 'annotations').mkdir(parents=True)
    for name in ('train', 'val'):
        (data / f'annotations/{name}.json').write_bytes((shapes / f'annotations/{name}.json').read_bytes())
    for path in (shapes / 'images').rglob('*.jpg'):
        copy = data / path.relative_to(shapes)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    broken = sorted((data / 'images').rglob('*.jpg'))[3]
    broken.write_bytes(b'no image')
    options = [f'data_root={data}', 'max_epochs=1', 'train_dataloader.dataset.max_undecodable_ratio={}']
    args = ['train.py', config, '--cfg-options', *options[:2], options[2].format(0.1)]
    output = succeed(run_tool(*args, '--work-dir', tmp_path / 'run'))
    assert output.count(f'cannot decode the image {broken}') == 1
    assert len(read_record(tmp_path / 'run')) == 4
    line = error_line(run_tool(*args, options[2].format(0), '--work-dir', tmp_path / 'other'))
    assert str(broken) in line
    assert '1 of 16' in line
