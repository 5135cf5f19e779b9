"""The mask stage of two-stage models, arXiv:1703.06870."""

import tensorflow.compat.v1 as tf

from ops import roi_align
from ops import roi_losses
from ops import roi_targets
from utils import fields


class MaskBranch:
  """Predicts the mask of every object within its box."""

  def __init__(self, head, crop_size, target_size, num_samples):
    """Takes the parts.

    Args:
      head: (roi_features, classes, is_training) -> [B, R, S, S] mask logits,
        for example mask.MaskHead.
      crop_size: int, height and width of its input.
      target_size: int, S, height and width of its output.
      num_samples: int, RoIs of an image that it is trained with.
    """
    self._head = head
    self._crop_size, self._target_size = crop_size, target_size
    self._num_samples = num_samples

  def training_outputs(self, features, sampled, gt_masks, is_training):
    """Runs the head on the RoIs with an object, as many as may be.

    Args:
      features: {level: [B, h, w, c]}.
      sampled: SampledRois of the last box head.
      gt_masks: [B, K, h, w], each within its box.
      is_training: Python bool.

    Returns:
      {'mask_outputs': float32 [B, R, S, S], logits, 'mask_targets': float32
      [B, R, S, S], 'sampled_class_targets': int32 [B, R]}.
    """
    rois, classes, targets = roi_targets.sample_mask_rois(
        sampled, gt_masks, self._num_samples, self._target_size)
    return {fields.MASK_OUTPUTS: self._run(features, rois, classes,
                                           is_training),
            fields.MASK_TARGETS: targets,
            fields.SAMPLED_CLASS_TARGETS: classes}

  def detections(self, features, boxes, classes):
    """Runs the head on detections.

    Args:
      features: {level: [B, h, w, c]}.
      boxes: float32 [B, M, 4].
      classes: int32 [B, M].

    Returns:
      {'detection_masks': float32 [B, M, S, S], scores in 0..1 within the box}.
    """
    logits = self._run(features, boxes, classes, False)
    return {fields.DETECTION_MASKS: tf.sigmoid(logits)}

  def _run(self, features, rois, classes, is_training):
    crops = roi_align.multilevel_roi_align(features, rois, self._crop_size)
    return tf.cast(self._head(crops, classes, is_training), tf.float32)

  def losses(self, outputs):
    """The loss over the pixels of the RoIs with an object.

    Args:
      outputs: of `training_outputs`.

    Returns:
      {'mask_loss': float32 []}.
    """
    return {fields.MASK_LOSS: roi_losses.mask_loss(
        outputs[fields.MASK_OUTPUTS], outputs[fields.MASK_TARGETS],
        outputs[fields.SAMPLED_CLASS_TARGETS])}
