"""The memory that trainings need on an accelerator: computed without one, beside what was published."""

import pytest

from tests.accelerator.conftest import outcomes

YOLOX, POSE = 'yolox_{}_fast_{}_coco', 'yolox-pose_{}_8xb32-300e-rtmdet-hyp_coco'
PUBLISHED = {
    (YOLOX.format('tiny', '8xb8-300e'), 8, None): 2.8,
    (YOLOX.format('s', '8xb8-300e'), 8, 'bfloat16'): 2.9,
    (YOLOX.format('m', '8xb8-300e'), 8, 'bfloat16'): 4.9,
    (YOLOX.format('l', '8xb8-300e'), 8, 'bfloat16'): 8.0,
    (YOLOX.format('x', '8xb8-300e'), 8, 'bfloat16'): 9.8,
    (YOLOX.format('tiny', '8xb32-300e-rtmdet-hyp'), 32, 'bfloat16'): 4.9,
    (YOLOX.format('s', '8xb32-300e-rtmdet-hyp'), 32, 'bfloat16'): 9.8,
    (YOLOX.format('m', '8xb32-300e-rtmdet-hyp'), 32, 'bfloat16'): 17.6,
    (POSE.format('tiny'), 32, 'bfloat16'): 5.3,
    (POSE.format('s'), 32, 'bfloat16'): 10.7,
    (POSE.format('m'), 32, 'bfloat16'): 19.2,
    (POSE.format('l'), 32, 'bfloat16'): 30.3,
}
"""What MMYOLO logged in its trainings, in GiB."""


def test_the_parts_are_those_of_a_step_on_the_cpu():
    (outcome,) = outcomes(
        'memory_steps', [('yolox_nano_fast_8xb32-300e-rtmdet-hyp_coco', 2, None, False, True)]
    )
    assert outcome['size'] == [640, 640]
    assert outcome['gradients'] == 912_159 * 4  # nano's 0.91 million weights
    # Two moments of AdamW, and for each tensor the number of its steps.
    assert 0 <= outcome['moments'] - 2 * outcome['gradients'] < 4 * 400
    assert outcome['weights'] == outcome['average'] > outcome['gradients']
    # On the CPU, some operations of the backward pass are joined, others are not.
    assert outcome['activations'] == pytest.approx(outcome['measured'], rel=0.02)


MORE = {'yolox_x': 10.9, 'yolox_tiny_fast_8xb32': 5.0, 'yolox-pose_tiny': 5.5, 'yolox-pose_s': 11.0}
MORE |= {'yolox-pose_m': 19.4, 'yolox_s_fast_8xb32': 9.9}
"""What some need if they keep what the norms give."""


@pytest.mark.slow
@pytest.mark.parametrize('case', PUBLISHED)
def test_about_what_was_published_and_less_where_norms_are_computed_anew(case):
    kept, anew = outcomes('memory_steps', [(*case, False), (*case, True)])
    known = [most for name, most in MORE.items() if case[0].startswith(name)]
    assert kept['gib'] <= max([PUBLISHED[case], *known])
    assert anew['gib'] < 0.85 * PUBLISHED[case]
