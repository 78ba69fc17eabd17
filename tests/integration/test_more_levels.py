"""A level more, P6, is a config: it trains and is evaluated, and a size that does not fit is named."""

from tests.integration.runs import read_record, run_tool, succeed

P6 = """
channels = (64, 128, 256, 384, 512)
model.update(
    backbone=dict(stage_channels=channels, stage_depths=(3, 3, 3, 3, 3), out_indices=(2, 3, 4, 5)),
    neck=dict(in_channels=channels[1:]),
)
model['bbox_head']['head_module'].update(featmap_strides=(8, 16, 32, 64))
"""


def test_p6_is_a_config(config, tmp_path):
    config.write_text(config.read_text() + P6)
    options = ['--cfg-options', 'max_epochs=1', 'num_last_epochs=1', 'val_interval=1', 'img_scale=(128,64)']
    output = succeed(run_tool('train.py', config, '--work-dir', tmp_path / 'run', *options))
    assert len(read_record(tmp_path / 'run')) == 4
    assert 'AP50' in output


def test_a_size_that_does_not_fit_the_largest_stride_is_named(config, tmp_path):
    config.write_text(config.read_text() + P6)
    result = run_tool(
        'train.py', config, '--work-dir', tmp_path / 'run', '--cfg-options', 'img_scale=(96,64)'
    )
    assert result.returncode == 1
    assert 'error: config key train_dataloader.dataset.img_scale=(96, 64)' in result.stderr
    assert 'featmap_strides=(8, 16, 32, 64)' in result.stderr
