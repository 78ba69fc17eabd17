"""Non-maximum suppression as an ONNX graph of standard operators."""

from string import Template

from onnx import ModelProto, compose, parser

from mmyolox.deploy import ModelInfo

LEAST_OPSET = 13
"""The first whose operators these graphs use."""

# The table has a column for each pair of a prior and a class, in the order in which equal scores are to come,
# and TopK keeps that order. It has `most` columns at least: there is always enough to take.
_GRAPH = Template("""
<ir_version: 8, opset_import: ["" : $opset]>
suppression (float[B, N, 4] candidates, float[B, C, N] class_scores $inputs) =>
    (int64[$batch] num, float[$batch, $most, 4] bboxes, float[$batch, $most] scores,
    int64[$batch, $most] labels $outputs)
{
  most = Constant <value = int64[1] {$most}> ()
  iou_thr = Constant <value = float {$iou_thr}> ()
  score_thr = Constant <value = float {$score_thr}> ()
  absent = Constant <value = float {-1.0}> ()
  no_label = Constant <value = int64 {-1}> ()
  zero = Constant <value = int64 {0}> ()
  nothing = Constant <value = float {0.0}> ()
  last_axis = Constant <value = int64[1] {-1}> ()
  sizes = Shape (class_scores)
  three = Constant <value = int64[3] {1, 1, 1}> ()
  batch, classes, priors = Split <axis = 0> (sizes, three)
  pair_count = Mul (classes, priors)
  $single_label
  $limit
  kept = NonMaxSuppression (candidates, $ranked, most, iou_thr, score_thr)
  kept_scores = GatherND (class_scores, kept)
  image, label, prior = Split <axis = 1> (kept, three)
  first_pair = Mul (prior, classes)
  pair = Add (first_pair, label)
  table_index = Concat <axis = 1> (image, pair)
  width = Max (pair_count, most)
  table_size = Concat <axis = 0> (batch, width)
  blank = ConstantOfShape <value = float[1] {-1.0}> (table_size)
  table = ScatterND (blank, table_index, kept_scores)
  best, best_pair = TopK <axis = 1> (table, most)

  is_detection = Greater (best, absent)
  detection_ones = Cast <to = 7> (is_detection)
  num = ReduceSum <keepdims = 0> (detection_ones, last_axis)
  scores = Where (is_detection, best, nothing)
  safe_pair = Where (is_detection, best_pair, zero)
  best_label = Mod (safe_pair, classes)
  labels = Where (is_detection, best_label, no_label)
  best_prior = Div (safe_pair, classes)
  bbox_index = Unsqueeze (best_prior, last_axis)
  is_bbox = Unsqueeze (is_detection, last_axis)
  best_bboxes = GatherND <batch_dims = 1> (candidates, bbox_index)
  $bboxes
  $points
}
""")

_SINGLE_LABEL = """
  best_class = ArgMax <axis = 1> (class_scores)
  class_count = Squeeze (classes)
  step = Constant <value = int64 {1}> ()
  class_range = Range (zero, class_count, step)
  class_column = Unsqueeze (class_range, last_axis)
  is_best = Equal (class_column, best_class)
  labelled = Where (is_best, class_scores, absent)
"""

# To sort out an image's best candidates takes long, so that it is done only where there are too many.
_LIMIT = Template("""
  is_candidate = Greater ($ranked, score_thr)
  candidate_ones = Cast <to = 1> (is_candidate)
  image_axes = Constant <value = int64[2] {1, 2}> ()
  counts = ReduceSum <keepdims = 0> (candidate_ones, image_axes)
  limit = Constant <value = float {$nms_pre.0}> ()
  is_over = Greater (counts, limit)
  ones_over = Cast <to = 7> (is_over)
  images_over = ReduceSum <keepdims = 0> (ones_over)
  is_crowded = Cast <to = 9> (images_over)
  limited = If (is_crowded) <
    then_branch = crowded () => (float[B, C, N] chosen) {
      by_prior = Transpose <perm = [0, 2, 1]> ($ranked)
      flat_size = Concat <axis = 0> (batch, pair_count)
      flat = Reshape (by_prior, flat_size)
      nms_pre = Constant <value = int64[1] {$nms_pre}> ()
      top_count = Min (nms_pre, pair_count)
      top, top_pair = TopK <axis = 1> (flat, top_count)
      none = ConstantOfShape <value = float[1] {-1.0}> (flat_size)
      chosen_flat = ScatterElements <axis = 1> (none, top_pair, top)
      prior_sizes = Concat <axis = 0> (batch, priors, classes)
      chosen_by_prior = Reshape (chosen_flat, prior_sizes)
      chosen = Transpose <perm = [0, 2, 1]> (chosen_by_prior)
    },
    else_branch = sparse () => (float[B, C, N] all) { all = Identity ($ranked) }
  >
""")

_INPUT_BBOXES = 'bboxes = Where (is_bbox, best_bboxes, nothing)'

_IMAGE_BBOXES = """
  two_scales = Concat <axis = 0> (scale, scale)
  two_limits = Concat <axis = 0> (image_size, image_size)
  image_bboxes = Div (best_bboxes, two_scales)
  above_zero = Max (image_bboxes, nothing)
  inside = Min (above_zero, two_limits)
  bboxes = Where (is_bbox, inside, nothing)
"""

_KEYPOINTS = Template("""
  best_keypoints = GatherND <batch_dims = 1> (keypoint_columns, bbox_index)
  keypoint_sizes = Constant <value = int64[4] {0, 0, -1, 3}> ()
  input_keypoints = Reshape (best_keypoints, keypoint_sizes)
  $to_image
  is_keypoint = Unsqueeze (is_bbox, last_axis)
  points = Where (is_keypoint, $given, nothing)
""")

_TO_IMAGE = """
  unscaled = Constant <value = float[1] {1.0}> ()
  keypoint_scales = Concat <axis = 0> (scale, unscaled)
  image_keypoints = Div (input_keypoints, keypoint_scales)
"""


def suppression_graph(info: ModelInfo, batch: int | str, opset: int) -> ModelProto:
    """The graph from a network's candidates to detections.

    The answer is that of :meth:`mmyolox.models.YOLOXHead.postprocess`, including the order of equal scores.
    What an image has less than ``info.max_per_img`` is 0, and -1 in ``labels``.

    Inputs are those of :class:`.network.CandidateNetwork`: ``candidates``, ``class_scores`` and, with
    ``info.points``, ``keypoint_columns``; with ``info.preprocessing`` also ``scale`` and ``image_size`` of
    :func:`.preprocess.letterbox_graph`: then boxes and keypoints are in pixels of the images, and boxes are
    clipped.
    Outputs are those of :class:`~mmyolox.deploy.ModelInfo`'s form ``end2end``.

    Args:
        info: The info, of which thresholds, ``points`` and ``preprocessing`` are read.
        batch: The number of images, or the name of that dimension.
        opset: The version of the operators.
    """
    labelled = 'class_scores' if info.multi_label else 'labelled'
    inputs = ', float[B, N, D] keypoint_columns' if info.points else ''
    if info.preprocessing:
        inputs += ', float[2] scale, float[2] image_size'
    limited = info.nms_pre >= 0
    keypoints = dict(to_image='', given='input_keypoints')
    if info.preprocessing:
        keypoints = dict(to_image=_TO_IMAGE, given='image_keypoints')
    text = _GRAPH.substitute(
        opset=opset,
        batch=batch,
        most=info.max_per_img,
        iou_thr=f'{info.iou_thr:.9f}',
        score_thr=f'{info.score_thr:.9f}',
        inputs=inputs,
        outputs=f', float[{batch}, {info.max_per_img}, {len(info.points)}, 3] points' if info.points else '',
        single_label='' if info.multi_label else _SINGLE_LABEL,
        limit=_LIMIT.substitute(ranked=labelled, nms_pre=info.nms_pre) if limited else '',
        ranked='limited' if limited else labelled,
        bboxes=_IMAGE_BBOXES if info.preprocessing else _INPUT_BBOXES,
        points=_KEYPOINTS.substitute(keypoints) if info.points else '',
    )
    graph = parser.parse_model(text)
    return compose.add_prefix(graph, 'suppression/', rename_inputs=False, rename_outputs=False)
