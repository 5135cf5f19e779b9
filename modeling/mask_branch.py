"""The mask stage of two-stage models, arXiv:1703.06870."""

from typing import Callable

import tensorflow.compat.v1 as tf

from ops import compat
from ops import roi_align
from ops import roi_losses
from ops import roi_targets
from ops import tensor_types
from utils import fields

# RoIs of an image that are left out together when none has an object.
_GROUP_SIZE = 32


class MaskBranch:
  """Predicts the mask of every object within its box."""

  def __init__(self, head: Callable[[tf.Tensor, tf.Tensor, bool], tf.Tensor],
               crop_size: int, target_size: int, num_samples: int,
               skip_background: bool = False,
               means_of_cells: bool = False) -> None:
    """Takes the parts.

    Args:
      head: (roi_features [B, N, s, s, c], classes [B, N], is_training) ->
        [B, N, S, S] mask logits, for example mask.MaskHead.
      crop_size: int, s, height and width of its input.
      target_size: int, S, height and width of its output.
      num_samples: int, N, RoIs of an image that it is trained with.
      skip_background: bool, whether training may leave out RoIs without an
        object, which do not count in the loss. Not allowed for a head with
        batch norm, as they are part of its batch statistics.
      means_of_cells: bool, whether targets are means over the cells of a RoI;
        see ops.masks. The masks of the labels must be such means, too.
    """
    self._head = head
    self._crop_size, self._target_size = crop_size, target_size
    self._num_samples = num_samples
    self._skip_background = skip_background
    self._means_of_cells = means_of_cells

  def training_outputs(self, features: tensor_types.Levels,
                       sampled: roi_targets.SampledRois, gt_masks: tf.Tensor,
                       is_training: bool = True) -> tensor_types.Tensors:
    """Runs the head on up to `num_samples` RoIs, those with an object first.

    Args:
      features: {level: [B, h, w, c]}.
      sampled: SampledRois of the last box head.
      gt_masks: float32 [B, K, h, w], 0..1, each within its box.
      is_training: Python bool; False for the losses of an evaluation: the head
        of inference.

    Returns:
      {'mask_outputs': float32 [B, N, S, S], logits, or zeros for RoIs that are
      left out, 'mask_targets': float32 [B, N, S, S], 'sampled_class_targets':
      int32 [B, N]}.
    """
    rois, classes, targets = roi_targets.sample_mask_rois(
        sampled, gt_masks, self._num_samples, self._target_size,
        self._means_of_cells)
    crops = roi_align.multilevel_roi_align(features, rois, self._crop_size)
    # A TPU is faster with all of them at once than with conditions.
    if self._skip_background and not compat.in_xla_context():
      outputs = self._run_groups(crops, classes, is_training)
    else:
      outputs = self._run(crops, classes, is_training)
    return {fields.MASK_OUTPUTS: outputs, fields.MASK_TARGETS: targets,
            fields.SAMPLED_CLASS_TARGETS: classes}

  def detections(self, features: tensor_types.Levels, boxes: tf.Tensor,
                 classes: tf.Tensor) -> tensor_types.Tensors:
    """Runs the head on detections.

    Args:
      features: {level: [B, h, w, c]}.
      boxes: float32 [B, M, 4], yxyx, pixels of the network input.
      classes: int32 [B, M].

    Returns:
      {'detection_masks': float32 [B, M, S, S], scores in 0..1 within the box}.
    """
    crops = roi_align.multilevel_roi_align(features, boxes, self._crop_size)
    return {fields.DETECTION_MASKS: tf.sigmoid(
        self._run(crops, classes, False))}

  def _run(self, crops, classes, is_training):
    return tf.cast(self._head(crops, classes, is_training), tf.float32)

  def _run_groups(self, crops, classes, is_training):
    """Runs the head, except on groups of background.

    The head takes most of a training step, and small or early batches have few
    objects. RoIs with an object come first, so the last groups are background.

    Args:
      crops: [B, N, s, s, c].
      classes: int32 [B, N].
      is_training: Python bool.

    Returns:
      float32 [B, N, S, S]; zeros for groups that were left out.
    """
    with tf.variable_scope(tf.get_variable_scope(),
                           custom_getter=_read_once()):
      outputs = [self._run(crops[:, :_GROUP_SIZE], classes[:, :_GROUP_SIZE],
                           is_training)]
      for start in range(_GROUP_SIZE, classes.shape[1].value, _GROUP_SIZE):
        group = slice(start, start + _GROUP_SIZE)
        outputs.append(self._run_or_skip(crops[:, group], classes[:, group],
                                         is_training))
    return tf.concat(outputs, axis=1)

  def _run_or_skip(self, crops, classes, is_training):
    """The head's outputs, or zeros if all of it is background."""
    batch_size = classes.shape[0].value or tf.shape(classes)[0]
    shape = [batch_size, classes.shape[1].value] + [self._target_size] * 2
    return tf.cond(tf.reduce_any(classes > 0),
                   lambda: self._run(crops, classes, is_training),
                   lambda: tf.zeros(shape))

  def losses(self, outputs: tensor_types.Nest,
             by_image: bool = False) -> tensor_types.Tensors:
    """The loss over the pixels of the RoIs with an object.

    Args:
      outputs: result of `training_outputs`.
      by_image: whether a loss of each image is wanted; see ops.roi_losses.

    Returns:
      {'mask_loss': float32 [], or [B] with `by_image`}.
    """
    return {fields.MASK_LOSS: roi_losses.mask_loss(
        outputs[fields.MASK_OUTPUTS], outputs[fields.MASK_TARGETS],
        outputs[fields.SAMPLED_CLASS_TARGETS], by_image)}


def _read_once():
  """A variable getter that reads each variable once, at its first use.

  A variable that is read under a condition has no gradient, and no update, when
  the condition does not hold. A value that is read outside has a gradient of
  zero.
  """
  values = {}

  def read(getter, name, *args, **kwargs):
    if name not in values:
      values[name] = tf.identity(getter(name, *args, **kwargs))
    return values[name]
  return read
