"""Losses of dense heads.

Every function returns a float32 scalar or tensor; targets and normalisers carry
no gradient.
"""

from typing import Optional, Sequence, Tuple

import numpy as np
import tensorflow.compat.v1 as tf

from ops import compat
from ops import resample
from ops import tensor_types

_EPSILON = 1e-20  # added to normalisers
_IGNORED = -2  # class target of an anchor that takes no part in the loss
# Classes of which a table of all rows is made. It grows with their square: of
# 5000 classes, those of five levels would not find room in a graph of 2 GiB.
_MOST_OF_A_TABLE = 2048


def _focal_terms(x, gamma):
  """Parts of the focal loss of logits whose target is 0.

  A target of 1 is the same with the opposite sign of x, because
  1 - sigmoid(x) = sigmoid(-x). Source: arXiv:1708.02002, equation 5.

  Args:
    x: float32, any shape; any magnitude.
    gamma: float.

  Returns:
    log(1 + exp(x)), sigmoid(x) and sigmoid(x)**gamma.
  """
  # tf.nn.softplus and tf.negative work element by element on TF 1.15; this is
  # stable as well and uses vector instructions throughout.
  log1pexp = tf.nn.relu(x) + tf.log1p(tf.exp(tf.abs(x) * -1.))
  sigmoid = tf.sigmoid(x)
  if gamma == 1.5:  # the default; a square root is cheaper than exp()
    return log1pexp, sigmoid, sigmoid * tf.sqrt(sigmoid)
  if gamma == 2.:
    return log1pexp, sigmoid, tf.square(sigmoid)
  return log1pexp, sigmoid, tf.exp(gamma * (x - log1pexp))


def _focal_slope(log1pexp, sigmoid, modulator, gamma, factor):
  """factor * d(modulator * log1pexp) / dx.

  The derivative is s**g * (g * (1 - s) * l + s) with s, l the sigmoid and
  log1pexp; sorted so that the factor costs no pass of its own.
  """
  first = (factor * gamma) * log1pexp
  return modulator * (first + sigmoid * (factor - first))


def retinanet_class_loss(cls_outputs: tensor_types.Levels,
                         cls_targets: tensor_types.Levels,
                         num_positives: tf.Tensor, num_classes: int,
                         alpha: float, gamma: float,
                         normalizer: Optional[tf.Tensor] = None) -> tf.Tensor:
  """Focal loss over all anchors of a batch.

  Args:
    cls_outputs: {level: float32 [B, h, w, A*C]}, logits.
    cls_targets: {level: int32 [B, h, w, A]}, class id; -1 background, -2
      ignored.
    num_positives: float32 [B] or [], matched anchors; all elements are summed.
    num_classes: int, C, background 0 included.
    alpha: float, weight of the positive class.
    gamma: float, focusing parameter.
    normalizer: float32 [], instead of sum(num_positives) + 1.

  Returns:
    float32 [].

  Source: focal loss, arXiv:1708.02002, equation 5.
  """
  with tf.name_scope('retinanet_class_loss'):
    normalizer = _normalizer(num_positives, normalizer)
    sums = [_class_loss_sum(cls_outputs[level], cls_targets[level], num_classes,
                            alpha, gamma) for level in sorted(cls_outputs)]
    return tf.add_n(sums) / (normalizer + _EPSILON)


def image_class_losses(cls_outputs: tensor_types.Levels,
                       cls_targets: tensor_types.Levels,
                       num_positives: tf.Tensor, num_classes: int, alpha: float,
                       gamma: float) -> tf.Tensor:
  """`retinanet_class_loss` of every image as if it were a batch of its own.

  For evaluation: its gradient is not written out.

  Args: as there; `num_positives` is [B].

  Returns:
    float32 [B].
  """
  with tf.name_scope('image_class_losses'):
    sums = []
    for level in sorted(cls_outputs):
      logits = tf.reshape(cls_outputs[level], [-1, num_classes])
      signs, weights = [
          _rows_of_classes(tf.reshape(cls_targets[level], [-1]), num_classes,
                           *values)
          for values in ((-1., 1., 1.), (alpha, 1. - alpha, 0.))]
      log1pexp, _, modulator = _focal_terms(logits * signs, gamma)
      sums.append(_image_sums(weights * modulator * log1pexp, num_positives))
    return tf.add_n(sums) / (num_positives + 1.)


def image_box_losses(box_outputs: tensor_types.Levels,
                     box_targets: tensor_types.Levels, num_positives: tf.Tensor,
                     delta: float) -> tf.Tensor:
  """`retinanet_box_loss` of every image as if it were a batch of its own.

  Args: as there; `num_positives` is [B].

  Returns:
    float32 [B].
  """
  with tf.name_scope('image_box_losses'):
    sums = [_image_sums(_box_losses(box_outputs[level], box_targets[level],
                                    delta), num_positives)
            for level in sorted(box_outputs)]
    return tf.add_n(sums) / (4. * (num_positives + 1.))


def _image_sums(values, images):
  """Sums float32 [B] of the values of each image; `images` is [B]."""
  return tf.reduce_sum(tf.reshape(
      values, [tf.shape(images)[0], -1]), axis=1)


def _normalizer(num_positives, normalizer):
  """sum(num_positives) + 1, or the given tensor; without gradient."""
  if normalizer is None:
    normalizer = tf.reduce_sum(num_positives) + 1.
  return tf.stop_gradient(normalizer)


def _class_loss_sum(logits, targets, num_classes, alpha, gamma):
  """Focal loss of one level, summed.

  This is the largest tensor of the model. Its gradient is written out, because
  automatic differentiation takes some thirty passes over it.

  Args:
    logits: float32 [B, h, w, A*C].
    targets: int32 [B, h, w, A].
    num_classes: int, C.
    alpha: float.
    gamma: float.

  Returns:
    float32 [].
  """
  if compat.in_xla_context():
    targets = _spread_over_channels(targets, logits.shape[-1].value)
    rows = _channels_of_classes
  else:
    logits = tf.reshape(logits, [-1, num_classes])
    targets = tf.reshape(targets, [-1])
    rows = _rows_of_classes
  signs = rows(targets, num_classes, -1., 1., 1.)
  weights = rows(targets, num_classes, alpha, 1. - alpha, 0.)
  signed_weights = rows(targets, num_classes, -alpha, 1. - alpha, 0.)

  # Constants are arguments as well: what the function closes over must not
  # depend on variables.
  @tf.custom_gradient
  def loss_sum(logits, signs, weights, signed_weights):
    log1pexp, sigmoid, modulator = _focal_terms(logits * signs, gamma)

    def grad(dy):
      slope = _focal_slope(log1pexp, sigmoid, modulator, gamma, dy)
      return signed_weights * slope, None, None, None
    return tf.reduce_sum(weights * (modulator * log1pexp)), grad
  return loss_sum(logits, signs, weights, signed_weights)


def _rows_of_classes(targets, num_classes, on, off, ignored):
  """A one-hot row for each anchor, for CPUs and GPUs.

  Args:
    targets: int32 [N], class id; ids outside of the classes are background.
    num_classes: int, C.
    on: float at the class of the anchor.
    off: float elsewhere and for background.
    ignored: float in the whole row of an ignored anchor.

  Returns:
    float32 [N, C].
  """
  if num_classes > _MOST_OF_A_TABLE:
    is_own = tf.equal(targets[:, tf.newaxis], tf.range(num_classes))
    return tf.where_v2(tf.equal(targets, _IGNORED)[:, tf.newaxis], ignored,
                       tf.where_v2(is_own, on, off))
  # Copying rows of a table is nine times as fast as the one-hot kernel of
  # TF 1.15 on a CPU. Rows: background, the classes, ignored.
  table = np.full([num_classes + 2, num_classes], off, np.float32)
  table[np.arange(num_classes) + 1, np.arange(num_classes)] = on
  table[-1] = ignored
  is_class = tf.logical_and(targets >= 0, targets < num_classes)
  rows = tf.where(is_class, targets + 1, tf.zeros_like(targets))
  rows = tf.where(tf.equal(targets, _IGNORED),
                  tf.fill(tf.shape(targets), num_classes + 1), rows)
  return tf.gather(table, rows)


def _channels_of_classes(targets, num_classes, on, off, ignored):
  """`_rows_of_classes` of spread targets, for XLA.

  Args:
    targets: int32 [B, h, w, A*C], of `_spread_over_channels`.
    num_classes: int, C.
    on: see `_rows_of_classes`.
    off: likewise.
    ignored: likewise.

  Returns:
    float32 [B, h, w, A*C].
  """
  channels = tf.range(targets.shape[-1].value)
  values = tf.where_v2(tf.equal(targets, channels % num_classes), on, off)
  return tf.where_v2(tf.equal(targets, _IGNORED), ignored, values)


def _spread_over_channels(targets, num_channels):
  """The target of its anchor in each channel of the class logits.

  XLA computes this within what reads it. Logits with the anchors on an axis of
  their own would be another layout of the largest tensor of the model, which a
  TPU stores several times over.

  Args:
    targets: int32 [B, h, w, A].
    num_channels: int, A * C.

  Returns:
    int32 [B, h, w, A * C].
  """
  num_anchors = targets.shape[-1].value
  anchors = tf.range(num_channels) // (num_channels // num_anchors)
  result = targets[..., :1]
  for i in range(1, num_anchors):
    result = tf.where_v2(anchors >= i, targets[..., i:i + 1], result)
  return result


def retinanet_box_loss(box_outputs: tensor_types.Levels,
                       box_targets: tensor_types.Levels,
                       num_positives: tf.Tensor, delta: float,
                       normalizer: Optional[tf.Tensor] = None) -> tf.Tensor:
  """Huber loss over the coordinates of matched anchors.

  A coordinate whose target is exactly 0 does not count, also in a matched
  anchor, as in published training.

  Args:
    box_outputs: {level: float32 [B, h, w, 4*A]}, (dy, dx, dh, dw) of each
      anchor.
    box_targets: {level: float32 [B, h, w, 4*A]}, the same; 0 where an anchor
      has no box.
    num_positives: float32 [B] or [], matched anchors.
    delta: float, where the loss turns from square to linear.
    normalizer: float32 [], instead of sum(num_positives) + 1.

  Returns:
    float32 [], per coordinate: divided by 4 * normalizer.

  Source: the smooth L1 loss of Fast R-CNN (arXiv:1504.08083), section 2.3,
    normalized as upstream does.
  """
  with tf.name_scope('retinanet_box_loss'):
    normalizer = _normalizer(num_positives, normalizer)
    sums = [tf.reduce_sum(_box_losses(box_outputs[level], box_targets[level],
                                      delta))
            for level in sorted(box_outputs)]
    return tf.add_n(sums) / (4. * normalizer + _EPSILON)


def _box_losses(outputs, targets, delta):
  """Huber loss of each coordinate, 0 where the target is 0; their shape."""
  mask = tf.cast(tf.not_equal(targets, 0.), tf.float32)
  return huber(outputs, targets, delta) * mask


def softmax_cross_entropy(logits: tf.Tensor, labels: tf.Tensor,
                          num_classes: int,
                          label_smoothing: float = 0.) -> tf.Tensor:
  """Cross entropy of each element.

  Args:
    logits: float32 [..., C].
    labels: int32 [...], classes; without smoothing, one that is not a class
      costs nothing.
    num_classes: int, C.
    label_smoothing: float in [0, 1], s: the target is 1 - s + s / C for the
      class and s / C for the others; arXiv:1512.00567, section 7.

  Returns:
    float32 [...].
  """
  with tf.name_scope('softmax_cross_entropy'):
    off = label_smoothing / num_classes
    targets = tf.one_hot(labels, num_classes, 1. - label_smoothing + off, off)
    return tf.nn.softmax_cross_entropy_with_logits_v2(
        labels=tf.stop_gradient(targets), logits=logits)


def segmentation_loss(logits: tf.Tensor, labels: tf.Tensor, num_classes: int,
                      ignore_label: int, use_groundtruth_dimension: bool = True,
                      class_weights: Sequence[float] = (),
                      label_smoothing: float = 0.) -> tf.Tensor:
  """Cross entropy of the pixels that have a class.

  Args:
    logits: float32 [B, h, w, C].
    labels: [B, H, W, 1], any number type, class of each pixel.
    num_classes: int, C.
    ignore_label: int, label of pixels without a class.
    use_groundtruth_dimension: whether the logits are resized to the labels, or
      the labels to the logits.
    class_weights: C floats, which the pixels of each class are weighted with;
      (): all alike.
    label_smoothing: float in [0, 1]; see `softmax_cross_entropy`.

  Returns:
    float32 [], the sum over the pixels that count, divided by their number
    (unweighted, also with `class_weights`); 0 if there are none.
  """
  losses, counts = pixel_losses(
      logits, labels, num_classes, ignore_label, use_groundtruth_dimension,
      class_weights, label_smoothing)
  return tf.reduce_sum(losses) / tf.maximum(tf.reduce_sum(counts), 1.)


def pixel_losses(logits: tf.Tensor, labels: tf.Tensor, num_classes: int,
                 ignore_label: int, use_groundtruth_dimension: bool = True,
                 class_weights: Sequence[float] = (),
                 label_smoothing: float = 0.) -> Tuple[tf.Tensor, tf.Tensor]:
  """Cross entropy of each pixel; arguments as in `segmentation_loss`.

  Returns:
    float32 [B, H, W], the losses, weighted; 0 for pixels without a class.
    float32 [B, H, W], 1 for those with one, 0 for the others.
  """
  with tf.name_scope('segmentation_loss'):
    if use_groundtruth_dimension:
      logits = resample.resize_bilinear(logits, labels.shape.as_list()[1:3])
    else:
      # Not bilinear: between two classes there is none.
      labels = resample.native_resize(labels, logits.shape.as_list()[1:3])
    labels = tf.cast(tf.squeeze(labels, axis=3), tf.int32)
    counts = tf.cast(tf.not_equal(labels, ignore_label), tf.float32)
    loss = counts * softmax_cross_entropy(logits, labels, num_classes,
                                          label_smoothing)
    if class_weights:
      # An ignored label is not a class; its weight does not matter.
      table = tf.constant(class_weights, tf.float32)
      loss *= tf.gather(table, tf.clip_by_value(labels, 0, num_classes - 1))
    return loss, counts


def huber(predictions: tf.Tensor, targets: tf.Tensor,
          delta: float) -> tf.Tensor:
  """Square for small errors, linear for errors above `delta`.

  Args:
    predictions: float32 [...].
    targets: float32 [...], same shape.
    delta: float, above 0.

  Returns:
    float32 [...]: 0.5 * q**2 + delta * (|e| - q), e the error, q = min(|e|,
    delta).
  """
  error = tf.abs(predictions - tf.stop_gradient(targets))
  quadratic = tf.minimum(error, delta)
  return 0.5 * tf.square(quadratic) + delta * (error - quadratic)
