"""Raw head outputs to final detections: decode, clip, suppress, best first.

Suppression looks at pairs of box and class in order of score, so the pairs
after the one that fills the last place do not matter. The best two thousand
are tried first, and more only where these neither fill all places nor reach
down to the score threshold. Shapes are static in every try: the same graph
serves CPU, GPU and TPU, and any batch size.

Letters: B images, A anchors in a cell, C classes with background as 0, N boxes
before suppression, M places for detections.
"""

from typing import Any, NamedTuple, Sequence, Union

import tensorflow.compat.v1 as tf

from ops import nms
from ops import nms_candidates
from ops import tensor_types
from utils import fields
from utils import registry

# How many boxes, and how many pairs of box and class, each try looks at, before
# one looks at all. Trained models have some hundreds to two thousand pairs that
# score above 0.05.
TRY_SIZES = (2048, 16384)


class _Rules(NamedTuple):
  """How the versions of suppression differ.

  Attributes:
    inclusive: an overlap of exactly the threshold suppresses.
    limited: only the best `pre_nms_num_boxes` of each class are looked at.
    padding_score: score of unused places, whose class is 1.
    padding_box: unused places show the best box of class 1 rather than zeros.
    drop_zeros: a box of four zeros is not reported.
  """
  inclusive: bool
  limited: bool
  padding_score: float
  padding_box: bool
  drop_zeros: bool


NMS_VERSIONS = {
    'v1': _Rules(False, True, -1., True, False),
    'v2': _Rules(True, True, -1., False, True),
    'batched': _Rules(False, False, 0., False, False),
}


def generate_one_stage_detections(box_outputs: tensor_types.Levels,
                                  class_outputs: tensor_types.Levels,
                                  anchors: tensor_types.Levels,
                                  image_shape: tf.Tensor,
                                  apply_nms: bool = True,
                                  apply_sigmoid: bool = True,
                                  **nms_options: Any) -> tensor_types.Tensors:
  """Detections from the dense heads of RetinaNet and its relatives.

  Args:
    box_outputs: {level: float32 [B, h, w, A * 4]}, encoded boxes.
    class_outputs: {level: float32 [B, h, w, A * C]}, logits (scores without
      `apply_sigmoid`); class 0 is background.
    anchors: {level: float32 [B, h * w * A, 4] or [h * w * A, 4]}, yxyx, pixels
      of the network input.
    image_shape: float32 [B, 1, 2] or [B, 2], (height, width) to clip to, same
      pixels.
    apply_nms: if False, return every box and every score instead.
    apply_sigmoid: whether `class_outputs` are logits.
    **nms_options: arguments of `detect`.

  Returns:
    The dict of `detect`; without `apply_nms` {'raw_boxes': float32
    [B, N, 1, 4], yxyx, clipped, 'raw_encoded_boxes': float32 [B, N, 4],
    'raw_scores': float32 [B, N, C - 1]} of all N anchors.

  Raises:
    ValueError: see `detect`.

  Source: RetinaNet (arXiv:1708.02002), section 4.
  """
  with tf.name_scope('generate_detections'):
    outputs = nms_candidates.DenseOutputs(
        box_outputs, class_outputs, anchors, image_shape, apply_sigmoid)
    if apply_nms:
      return detect(outputs, **nms_options)
    pool = outputs.pool()
    return {'raw_boxes': pool.boxes,
            'raw_encoded_boxes': outputs.encoded_boxes,
            'raw_scores': pool.scores}


def generate_two_stage_detections(
    box_outputs: tf.Tensor, class_outputs: tf.Tensor, rois: tf.Tensor,
    image_shape: tf.Tensor, apply_nms: bool = True,
    regression_weights: Sequence[float] = (10., 10., 5., 5.),
    **nms_options: Any) -> tensor_types.Tensors:
  """Detections from the heads of Faster R-CNN and its relatives.

  Args:
    box_outputs: float32 [B, R, C * 4], or [B, R, 4] for class-agnostic boxes.
    class_outputs: float32 [B, R, C], logits; class 0 is background.
    rois: float32 [B, R, 4], yxyx, pixels of the network input, the regions
      that the boxes are encoded against.
    image_shape: float32 [B, 1, 2] or [B, 2], (height, width) to clip to, same
      pixels.
    apply_nms: if False, return every box and every score instead.
    regression_weights: four floats that the encoded boxes are divided by.
    **nms_options: arguments of `detect`.

  Returns:
    The dict of `detect`; without `apply_nms` {'raw_boxes': float32
    [B, R, C - 1 or 1, 4], yxyx, clipped, 'raw_scores': float32
    [B, R, C - 1]}.

  Raises:
    ValueError: see `detect`.

  Source: Fast R-CNN (arXiv:1504.08083), section 3.2.
  """
  with tf.name_scope('generate_detections'):
    outputs = nms_candidates.RegionOutputs(
        box_outputs, class_outputs, rois, image_shape, regression_weights)
    if apply_nms:
      return detect(outputs, **nms_options)
    pool = outputs.pool()
    return {'raw_boxes': pool.boxes, 'raw_scores': pool.scores}


def detect(
    outputs: Union[nms_candidates.DenseOutputs, nms_candidates.RegionOutputs],
    nms_version: str = 'v1', use_batched_nms: bool = False,
    max_total_size: int = 100, nms_iou_threshold: float = 0.5,
    score_threshold: float = 0.05,
    pre_nms_num_boxes: int = 5000) -> tensor_types.Tensors:
  """Suppresses overlaps class by class and returns the best of all classes.

  Pairs of equal score come in order of class, then of box.

  Args:
    outputs: nms_candidates.DenseOutputs or RegionOutputs.
    nms_version: a key of `NMS_VERSIONS`; they differ in conventions.
    use_batched_nms: the same as nms_version 'batched'.
    max_total_size: int, M, places for the detections of an image.
    nms_iou_threshold: float; a box that overlaps a better one of its class by
      more is dropped.
    score_threshold: float; only boxes that score more become detections.
    pre_nms_num_boxes: int; at most this many boxes of a class are looked at.

  Returns:
    {'num_detections': int32 [B], 'detection_boxes': float32 [B, M, 4], yxyx,
    pixels of the network input, 'detection_classes': int32 [B, M] from 1,
    'detection_scores': float32 [B, M]}, best first, then padding.

  Raises:
    ValueError: if `nms_version` is unknown.

  Source: the generation of detections in upstream's
    postprocess_ops.py.
  """
  version = 'batched' if use_batched_nms else nms_version
  rules = registry.pick(NMS_VERSIONS, version, 'nms_version')
  limit = pre_nms_num_boxes if rules.limited else None

  def attempt(sizes):
    """Tries with sizes[0]; with everything when sizes is empty."""
    size = sizes[0] if sizes else None
    pool = outputs.pool(size)
    ranking = nms_candidates.rank(pool, size, limit, score_threshold)
    result = _suppress(
        ranking, rules, max_total_size, nms_iou_threshold,
        pool.scores.shape[2].value)
    if ranking.complete is None:
      return result
    done = tf.logical_or(ranking.complete, result[0] >= max_total_size)
    return tf.cond(tf.reduce_all(done), lambda: result,
                   lambda: attempt(sizes[1:]))

  return _pad(rules, outputs, *attempt(TRY_SIZES))


def merge(parts: Sequence[tensor_types.Tensors], nms_version: str = 'v1',
          use_batched_nms: bool = False, max_total_size: int = 100,
          nms_iou_threshold: float = 0.5) -> tensor_types.Tensors:
  """Detections of several views of an image as those of one.

  What the views found, together, goes through the suppression that each of
  them went through. Of equal scores the earlier view comes first.

  Args:
    parts: results of `detect`, their boxes [B, M, 4] in the same pixels; M may
      differ.
    nms_version: see `detect`, as the following ones.
    use_batched_nms: bool.
    max_total_size: int, M.
    nms_iou_threshold: float.

  Returns:
    The dict of `detect`; unused places hold boxes of zeros.

  Raises:
    ValueError: if `nms_version` is unknown.

  Source: the union of boxes in Detectron's im_detect_bbox_aug; detectron2
    takes it after the suppression of each view, too.
  """
  version = 'batched' if use_batched_nms else nms_version
  rules = registry.pick(NMS_VERSIONS, version, 'nms_version')
  with tf.name_scope('merge_detections'):
    boxes, classes, scores = [
        tf.concat([part[name] for part in parts], axis=1)
        for name in (fields.DETECTION_BOXES, fields.DETECTION_CLASSES,
                     fields.DETECTION_SCORES)]
    in_use = tf.concat([
        tf.sequence_mask(part[fields.NUM_DETECTIONS],
                         part[fields.DETECTION_SCORES].shape[1].value)
        for part in parts], axis=1)
    # Scores may be logits: padding goes behind all of them.
    scores = tf.where(in_use, scores, tf.fill(tf.shape(scores),
                                              scores.dtype.min))
    scores, order = tf.nn.top_k(scores, scores.shape[1].value)
    boxes, classes, in_use = [tf.gather(values, order, batch_dims=1)
                              for values in (boxes, classes, in_use)]
    ranking = nms_candidates.Ranking(boxes, scores, classes - 1, in_use, None)
    return _pad(rules._replace(padding_box=False), None, *_suppress(
        ranking, rules, max_total_size, nms_iou_threshold, None))


def _suppress(ranking, rules, max_total_size, iou_threshold, num_classes):
  """Suppresses among the pairs of a ranking.

  Returns:
    [int32 [B] count, boxes [B, M, 4], classes [B, M], scores [B, M]] of the
    pairs that are kept.
  """
  valid = ranking.valid
  if rules.drop_zeros:
    valid = tf.logical_and(
        valid, tf.reduce_any(tf.not_equal(ranking.boxes, 0.), axis=2))
  positions, num_kept = nms.select(
      ranking.boxes, valid, max_total_size, iou_threshold, ranking.classes,
      rules.inclusive, num_classes)
  return [num_kept] + [
      tf.gather(values, positions, batch_dims=1)
      for values in (ranking.boxes, ranking.classes, ranking.scores)]


def _pad(rules, outputs, num_kept, boxes, classes, scores):
  """The dict of `detect`; unused places are filled as `rules` say."""
  in_use = tf.sequence_mask(num_kept, scores.shape[1].value)
  padding_box = tf.zeros_like(boxes[:, :1])
  if rules.padding_box:
    padding_box = tf.expand_dims(outputs.first_class_box(), 1)
  return {
      'num_detections': num_kept,
      'detection_boxes': tf.where_v2(
          tf.expand_dims(in_use, 2), boxes, padding_box),
      'detection_classes': 1 + tf.where(
          in_use, classes, tf.zeros_like(classes)),
      'detection_scores': tf.where(
          in_use, scores, tf.fill(tf.shape(scores), rules.padding_score)),
  }
