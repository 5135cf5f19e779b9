"""The mask stage of ShapeMask, arXiv:1904.03239."""

from typing import Callable, Optional, Tuple

import tensorflow.compat.v1 as tf

from configs import base
from ops import boxes as box_ops
from ops import shapemask_losses
from ops import tensor_types
from utils import fields


class ShapeMaskBranch:
  """From boxes to masks: priors, a coarse mask, a fine mask."""

  def __init__(self, prior_head: Callable[..., Tuple[tf.Tensor, tf.Tensor]],
               coarse_head: Callable[..., tf.Tensor],
               fine_head: Callable[..., tf.Tensor], outer_box_scale: float,
               loss_section: base.Section,
               clip_to_border: bool = False) -> None:
    """Takes the parts.

    Args:
      prior_head: (features, boxes, outer_boxes, classes) -> ([B, N, S, S, D]
        features of the RoIs, float32 [B, N, S, S] masks).
      coarse_head: (RoI features, masks, classes, is_training) ->
        [B, N, S, S] logits.
      fine_head: (RoI features, logits, classes, is_training) ->
        [B, N, S * F, S * F] logits.
      outer_box_scale: float, sides of a RoI over those of its box.
      loss_section: YAML section `shapemask_loss`.
      clip_to_border: see modeling.retinanet.
    """
    self._clip_to_border = clip_to_border
    self._prior_head = prior_head
    self._coarse_head, self._fine_head = coarse_head, fine_head
    self._outer_box_scale = outer_box_scale
    self._loss = loss_section

  def training_outputs(self, features: tensor_types.Levels,
                       labels: tensor_types.Nest,
                       is_training: bool) -> tensor_types.Tensors:
    """Runs the heads on the objects that the parser chose.

    Args:
      features: {level: [B, h, w, c]}.
      labels: `mask_boxes` and `mask_outer_boxes` [B, N, 4], yxyx, pixels of the
        network input, `mask_classes` [B, N]. The masks of the targets cover
        those outer boxes.
      is_training: Python bool.

    Returns:
      {'prior_masks': float32 [B, N, S, S], 'coarse_mask_logits': float32
      [B, N, S, S], 'fine_mask_logits': float32 [B, N, S * F, S * F]}.
    """
    return self._run(
        features, labels[fields.MASK_BOXES], labels[fields.MASK_OUTER_BOXES],
        labels[fields.MASK_CLASSES], is_training)

  def detections(self, features: tensor_types.Levels, boxes: tf.Tensor,
                 classes: tf.Tensor, outer_boxes: Optional[tf.Tensor] = None,
                 *, input_size: Tuple[int, int]) -> tensor_types.Tensors:
    """Runs the heads on detections.

    Args:
      features: {level: [B, h, w, c]}.
      boxes: float32 [B, M, 4], yxyx, pixels of the network input.
      classes: int32 [B, M].
      outer_boxes: float32 [B, M, 4], what the masks cover; None: the boxes,
        grown and clipped.
      input_size: (height, width), ints, of the network input; a RoI may reach
        into its padding.

    Returns:
      The result of `training_outputs` for the detections,
      'detection_outer_boxes' float32 [B, M, 4], and 'detection_masks' float32
      [B, M, S * F, S * F], scores in 0..1 within the outer boxes.
    """
    if outer_boxes is None:
      outer_boxes = box_ops.outer_boxes(
          boxes, box_ops.clip_limits(input_size, self._clip_to_border),
          self._outer_box_scale)
    outputs = self._run(features, boxes, outer_boxes, classes, False)
    outputs[fields.DETECTION_OUTER_BOXES] = outer_boxes
    outputs[fields.DETECTION_MASKS] = tf.sigmoid(
        outputs[fields.FINE_MASK_LOGITS])
    return outputs

  def _run(self, features, boxes, outer_boxes, classes, is_training):
    crops, prior_masks = self._prior_head(features, boxes, outer_boxes,
                                          classes)
    coarse_logits = tf.cast(
        self._coarse_head(crops, prior_masks, classes, is_training),
        tf.float32)
    fine_logits = self._fine_head(crops, coarse_logits, classes, is_training)
    return {fields.PRIOR_MASKS: prior_masks,
            fields.COARSE_MASK_LOGITS: coarse_logits,
            fields.FINE_MASK_LOGITS: tf.cast(fine_logits, tf.float32)}

  def losses(
      self, outputs: tensor_types.Nest, labels: tensor_types.Nest,
      by_image: bool = False) -> Tuple[tensor_types.Tensors, tf.Tensor]:
    """The losses of the three heads.

    Args:
      outputs: result of `training_outputs`.
      labels: `mask_targets` float32 [B, N, S, S], `fine_mask_targets` float32
        [B, N, S * F, S * F], `mask_is_valid` [B, N].
      by_image: whether losses of each image are wanted; see
        ops.shapemask_losses.

    Returns:
      {'shapemask_prior_loss', 'shapemask_coarse_mask_loss',
      'shapemask_fine_mask_loss': float32 [], or [B] with `by_image`}, not
      weighted, and their weighted sum, of the same shape.
    """
    is_valid = labels[fields.MASK_IS_VALID]
    losses = {
        fields.PRIOR_LOSS: shapemask_losses.prior_loss(
            outputs[fields.PRIOR_MASKS], labels[fields.MASK_TARGETS],
            is_valid, by_image),
        fields.COARSE_MASK_LOSS: shapemask_losses.mask_loss(
            outputs[fields.COARSE_MASK_LOGITS], labels[fields.MASK_TARGETS],
            is_valid, by_image),
        fields.FINE_MASK_LOSS: shapemask_losses.mask_loss(
            outputs[fields.FINE_MASK_LOGITS],
            labels[fields.FINE_MASK_TARGETS], is_valid, by_image)}
    section = self._loss
    total = (
        section.shape_prior_loss_weight * losses[fields.PRIOR_LOSS]
        + section.coarse_mask_loss_weight * losses[fields.COARSE_MASK_LOSS]
        + section.fine_mask_loss_weight * losses[fields.FINE_MASK_LOSS])
    return losses, total
