"""Box arithmetic: coding, clipping, filtering, overlap.

Boxes are yxyx. The functions of two-stage heads and of post-processing measure
a box in whole pixels, so that height = ymax - ymin + 1; those of anchor
labelling (`*_anchor_targets`, `*iou`) do not add the pixel. Both conventions
are part of published weights and results.
"""

import math
from typing import Optional, Sequence, Tuple

import tensorflow.compat.v1 as tf

from ops import random_numbers
from ops import tensor_types

MAX_LOG_SCALE = math.log(1000. / 16.)  # a 16 px anchor grown to 1000 px
_MIN_SIZE = 1e-8  # pixels; keeps the logarithm of an empty box finite
_IOU_EPSILON = 1e-8


def encode_boxes(boxes: tf.Tensor, anchors: tf.Tensor,
                 weights: Optional[Sequence[float]] = None) -> tf.Tensor:
  """Expresses boxes relative to anchors; the inverse of `decode_boxes`.

  Args:
    boxes: float [..., 4], yxyx, pixels.
    anchors: float [..., 4], yxyx, same pixels, broadcastable to `boxes`.
    weights: four floats that multiply (dy, dx, dh, dw), or None for ones; (10,
      10, 5, 5) for Fast R-CNN heads.

  Returns:
    [..., 4], (dy, dx, dh, dw). Finite for empty boxes too.

  Raises:
    ValueError: if the last dimension of either input is not 4.

  Source: R-CNN (arXiv:1311.2524), appendix C.
  """
  with tf.name_scope('encode_boxes'):
    return _encode(boxes, anchors, weights, 1.)


def decode_boxes(deltas: tf.Tensor, anchors: tf.Tensor,
                 weights: Optional[Sequence[float]] = None) -> tf.Tensor:
  """Applies predicted deltas to anchors; the inverse of `encode_boxes`.

  Args:
    deltas: float [..., 4], (dy, dx, dh, dw), scaled by `weights`.
    anchors: float [..., 4], yxyx, pixels of the network input, broadcastable
      to `deltas`.
    weights: four floats that (dy, dx, dh, dw) are divided by, or None for ones.

  Returns:
    [..., 4], yxyx, same pixels as `anchors`, not clipped.

  Raises:
    ValueError: if the last dimension of either input is not 4.

  Source: R-CNN (arXiv:1311.2524), appendix C.
  """
  with tf.name_scope('decode_boxes'):
    deltas = tf.convert_to_tensor(deltas)
    deltas.shape[-1:].assert_is_compatible_with([4])
    if weights is not None:
      deltas /= tf.constant(weights, deltas.dtype)
    dy, dx, dh, dw = tf.unstack(deltas, 4, axis=-1)
    anchor_y, anchor_x, anchor_h, anchor_w = _centers_and_sizes(anchors, 1.)
    # Early in training dh, dw can be large, and exp() would reach inf.
    h = anchor_h * tf.exp(tf.minimum(dh, MAX_LOG_SCALE))
    w = anchor_w * tf.exp(tf.minimum(dw, MAX_LOG_SCALE))
    ymin = anchor_y + dy * anchor_h - 0.5 * h
    xmin = anchor_x + dx * anchor_w - 0.5 * w
    return tf.stack([ymin, xmin, ymin + h - 1., xmin + w - 1.], axis=-1)


def encode_anchor_targets(
    boxes: tf.Tensor, anchors: tf.Tensor,
    weights: Optional[Sequence[float]] = None) -> tf.Tensor:
  """Targets of a dense head; sizes without the extra pixel.

  Args:
    boxes: float32 [..., 4], yxyx, pixels.
    anchors: float32 [..., 4], yxyx, same pixels.
    weights: four floats that multiply (dy, dx, dh, dw), or None for ones.

  Returns:
    float32 [..., 4], (dy, dx, dh, dw). Finite for empty boxes too.

  Raises:
    ValueError: if the last dimension of either input is not 4.

  Source: Faster R-CNN (arXiv:1506.01497), equation 2.
  """
  with tf.name_scope('encode_anchor_targets'):
    return _encode(boxes, anchors, weights, 0.)


def _encode(boxes, anchors, weights, extra):
  """(dy, dx, dh, dw) of boxes whose sizes are measured with `extra` pixels."""
  y, x, h, w = _centers_and_sizes(boxes, extra)
  anchor_y, anchor_x, anchor_h, anchor_w = _centers_and_sizes(anchors, extra)
  # A maximum, not a small summand: TensorFlow's graph optimizer reorders
  # y1 - y0 + 1e-8 so that the summand is lost.
  h, w = tf.maximum(h, _MIN_SIZE), tf.maximum(w, _MIN_SIZE)
  anchor_h = tf.maximum(anchor_h, _MIN_SIZE)
  anchor_w = tf.maximum(anchor_w, _MIN_SIZE)
  deltas = tf.stack([(y - anchor_y) / anchor_h, (x - anchor_x) / anchor_w,
                     tf.log(h / anchor_h), tf.log(w / anchor_w)], axis=-1)
  if weights is None:
    return deltas
  return deltas * tf.constant(weights, deltas.dtype)


def _centers_and_sizes(boxes, extra):
  """Centre y, x and height, width; `extra` pixels are added to both sizes."""
  boxes = tf.convert_to_tensor(boxes)
  boxes.shape[-1:].assert_is_compatible_with([4])
  y0, x0, y1, x1 = tf.unstack(boxes, 4, axis=-1)
  h = y1 - y0 + extra
  w = x1 - x0 + extra
  return y0 + 0.5 * h, x0 + 0.5 * w, h, w


def clip_boxes(boxes: tf.Tensor,
               image_shape: tensor_types.ImageShape) -> tf.Tensor:
  """Moves corners into the image.

  Args:
    boxes: float [..., 4], yxyx, pixels.
    image_shape: (height, width), or a tensor that broadcasts against `boxes`
      except for its last dimension of 2, for instance [B, 1, 2].

  Returns:
    [..., 4]; y in [0, height - 1], x in [0, width - 1].
  """
  with tf.name_scope('clip_boxes'):
    boxes = tf.convert_to_tensor(boxes)
    # Four slices and a stack would take longer than one pass.
    bounds = _corner_sizes(image_shape, boxes.dtype) - 1.
    return tf.maximum(tf.minimum(boxes, bounds), 0.)


def clip_limits(image_shape: tensor_types.ImageShape,
                to_border: bool) -> tensor_types.ImageShape:
  """The `image_shape` for `clip_boxes`, with which boxes may reach the border.

  Args:
    image_shape: (height, width), ints, or a tensor; see `clip_boxes`.
    to_border: bool; False: boxes end at size - 1, as upstream.

  Returns:
    The same form.
  """
  if not to_border:
    return image_shape
  if isinstance(image_shape, (list, tuple)):
    return tuple(size + 1 for size in image_shape)
  return image_shape + 1  # type: ignore[operator]  # a tensor


def denormalize_boxes(normalized_boxes: tf.Tensor,
                      image_shape: tensor_types.ImageShape) -> tf.Tensor:
  """Fractions of the image to pixels.

  Args:
    normalized_boxes: float [..., 4], yxyx, 0..1 of the image.
    image_shape: as in `clip_boxes`.

  Returns:
    [..., 4], yxyx, pixels, not clipped.
  """
  boxes = tf.convert_to_tensor(normalized_boxes)
  return boxes * _corner_sizes(image_shape, boxes.dtype)


def _corner_sizes(image_shape, dtype):
  """(height, width, height, width) in the last dimension."""
  sizes = tf.cast(image_shape, dtype)
  # Not a concatenation of a tensor with itself: the graph optimizer of TF 1.15
  # may make a cycle of it, and then leaves the whole graph as it is.
  return tf.tile(sizes, [1] * (sizes.shape.ndims - 1) + [2])


def filter_by_size(boxes: tf.Tensor, scores: tf.Tensor,
                   image_shape: tensor_types.ImageShape,
                   min_size_threshold: float) -> Tuple[tf.Tensor, tf.Tensor]:
  """Zeroes boxes that are small or whose centre is outside of the image.

  Args:
    boxes: float32 [..., N, 4], yxyx, pixels.
    scores: float32 [..., N].
    image_shape: as in `clip_boxes`.
    min_size_threshold: float, pixels; values below 1 count as 1. A box stays if
      height and width, both with the extra pixel, exceed it.

  Returns:
    boxes, scores: the shapes of the inputs; what is removed keeps its place,
    with zeros.
  """
  with tf.name_scope('filter_by_size'):
    y, x, h, w = _centers_and_sizes(boxes, 1.)
    image_h, image_w = tf.unstack(tf.cast(image_shape, y.dtype), 2, axis=-1)
    threshold = max(float(min_size_threshold), 1.)
    keep = tf.logical_and(tf.minimum(h, w) > threshold,
                          tf.minimum(y, x) > 0.)
    keep = tf.logical_and(keep, tf.logical_and(y < image_h, x < image_w))
    return _keep_or_zero(boxes, scores, keep)


def filter_by_score(boxes: tf.Tensor, scores: tf.Tensor,
                    min_score_threshold: float) -> Tuple[tf.Tensor, tf.Tensor]:
  """Zeroes boxes that do not score above a threshold.

  Args:
    boxes: float32 [..., N, 4], in any space.
    scores: float32 [..., N].
    min_score_threshold: float.

  Returns:
    boxes, scores: the shapes of the inputs; what is removed keeps its place,
    with zeros.
  """
  with tf.name_scope('filter_by_score'):
    return _keep_or_zero(boxes, scores, scores > min_score_threshold)


def _keep_or_zero(boxes, scores, keep):
  # A product, not a select: the mask broadcasts over coordinates.
  mask = tf.cast(keep, boxes.dtype)
  return boxes * mask[..., tf.newaxis], scores * tf.cast(keep, scores.dtype)


def top_k_boxes(boxes: tf.Tensor, scores: tf.Tensor,
                k: int) -> Tuple[tf.Tensor, tf.Tensor]:
  """The k best boxes, best first; of equal scores the earlier one.

  Args:
    boxes: float32 [B, N, 4], in any space.
    scores: float32 [B, N].
    k: int, at most N.

  Returns:
    boxes: float32 [B, k, 4].
    scores: float32 [B, k].
  """
  with tf.name_scope('top_k_boxes'):
    scores, indices = tf.nn.top_k(scores, k=k, sorted=True)
    return tf.gather(boxes, indices, axis=1, batch_dims=1), scores


def paired_iou(boxes: tf.Tensor, other_boxes: tf.Tensor) -> tf.Tensor:
  """IoU of boxes with the boxes in the same rows.

  The order of operations decides on the last bit, which decides ties in
  matching; it is the one published labels were made with.

  Args:
    boxes: float32 [..., 4], yxyx, pixels.
    other_boxes: float32 [..., 4], same pixels, broadcastable to `boxes`.

  Returns:
    float32 [...], 0 where the intersection is empty.
  """
  y0, x0, y1, x1 = tf.unstack(boxes, 4, axis=-1)
  other_y0, other_x0, other_y1, other_x1 = tf.unstack(other_boxes, 4, axis=-1)
  inter = _intersection(y0, x0, y1, x1, other_y0, other_x0, other_y1, other_x1)
  areas = ((y1 - y0) * (x1 - x0) +
           (other_y1 - other_y0) * (other_x1 - other_x0))
  union = areas - inter
  return tf.where(inter > 0., inter / union, tf.zeros_like(inter))


def _intersection(y0, x0, y1, x1, other_y0, other_x0, other_y1, other_x1):
  """Area of the intersection of broadcastable corner coordinates."""
  h = tf.maximum(tf.minimum(y1, other_y1) - tf.maximum(y0, other_y0), 0.)
  w = tf.maximum(tf.minimum(x1, other_x1) - tf.maximum(x0, other_x0), 0.)
  return h * w


def pairwise_iou(boxes: tf.Tensor, gt_boxes: tf.Tensor) -> tf.Tensor:
  """IoU of all boxes with all ground-truth boxes of the same image.

  Args:
    boxes: float32 [B, N, 4], yxyx, pixels.
    gt_boxes: float32 [B, K, 4], same pixels. Rows whose coordinates are all
      negative are padding.

  Returns:
    float32 [B, N, K]; -1 in the columns of padding.
  """
  with tf.name_scope('pairwise_iou'):
    y0, x0, y1, x1 = tf.split(boxes, 4, axis=2)  # [B, N, 1]
    # [B, 1, K]: the transpose is of few boxes.
    gt_y0, gt_x0, gt_y1, gt_x1 = tf.split(
        tf.transpose(gt_boxes, [0, 2, 1]), 4, axis=1)
    inter = _intersection(y0, x0, y1, x1, gt_y0, gt_x0, gt_y1, gt_x1)
    areas = (y1 - y0) * (x1 - x0) + (gt_y1 - gt_y0) * (gt_x1 - gt_x0)
    iou = inter / (areas - inter + _IOU_EPSILON)
    is_real = tf.reduce_max(gt_boxes, axis=2)[:, tf.newaxis, :] >= 0.
    # Broadcasts, which the select of TF 1.x does not.
    is_real = tf.cast(is_real, iou.dtype)
    return iou * is_real + (is_real - 1.)


def outer_boxes(boxes: tf.Tensor, image_shape: tensor_types.ImageShape,
                scale: float = 1.) -> tf.Tensor:
  """Boxes grown about their centre, then clipped: the RoIs of ShapeMask.

  Args:
    boxes: float32 [..., 4], yxyx, pixels.
    image_shape: as in `clip_boxes`.
    scale: float, at least 1.

  Returns:
    float32 [..., 4], yxyx, same pixels.

  Raises:
    ValueError: if `scale` is below 1.

  Source: ShapeMask (arXiv:1904.03239), section 3.
  """
  if scale < 1.:
    raise ValueError('The scale of an outer box must be at least 1, not %g.'
                     % scale)
  with tf.name_scope('outer_boxes'):
    y, x, h, w = _centers_and_sizes(boxes, 0.)
    half_h, half_w = h * scale / 2., w * scale / 2.
    grown = tf.stack([y - half_h, x - half_w, y + half_h, x + half_w], axis=-1)
    return clip_boxes(grown, image_shape)


def non_empty_indices(boxes: tf.Tensor, min_size: float = 0.) -> tf.Tensor:
  """Indices of boxes that have an area.

  Args:
    boxes: float32 [K, 4], yxyx, in any space.
    min_size: float, in the unit of the boxes.

  Returns:
    int64 [M], ascending: height and width both above `min_size`.
  """
  y0, x0, y1, x1 = tf.unstack(boxes, 4, axis=-1)
  return tf.where(tf.minimum(y1 - y0, x1 - x0) > min_size)[:, 0]


def jitter_boxes(boxes: tf.Tensor, noise_scale: float = 0.025,
                 unit_normal: Optional[tf.Tensor] = None) -> tf.Tensor:
  """Moves and scales boxes at random, as the training of ShapeMask does.

  Args:
    boxes: float32 [K, 4], yxyx, pixels.
    noise_scale: float, standard deviation relative to the size of the box; of
      the logarithm for the size itself.
    unit_normal: float32 [K, 4], the draws (x, y, width, height); None: from
      `random_numbers`.

  Returns:
    float32 [K, 4], yxyx, pixels, not clipped.
  """
  with tf.name_scope('jitter_boxes'):
    if unit_normal is None:
      unit_normal = random_numbers.normal(tf.shape(boxes))
    noise_x, noise_y, noise_w, noise_h = tf.unstack(
        unit_normal * noise_scale, 4, axis=-1)
    y, x, h, w = _centers_and_sizes(boxes, 0.)
    x, y = x + noise_x * w, y + noise_y * h
    half_w, half_h = w * tf.exp(noise_w) / 2., h * tf.exp(noise_h) / 2.
    return tf.stack([y - half_h, x - half_w, y + half_h, x + half_w], axis=-1)
