"""The region proposal stage of two-stage models, arXiv:1506.01497."""

from typing import Any, Dict, Tuple

import tensorflow.compat.v1 as tf

from ops import anchors as anchor_ops
from ops import proposals
from ops import roi_losses
from ops import tensor_types
from utils import fields


class RegionProposalNetwork:
  """A dense head, and the regions that its outputs propose."""

  def __init__(self, head: tensor_types.DenseHead,
               anchors: anchor_ops.AnchorGenerator,
               train_options: Dict[str, Any], test_options: Dict[str, Any],
               rpn_batch_size_per_im: int, huber_loss_delta: float) -> None:
    """Takes the parts.

    Args:
      head: (features, is_training) -> ({level: [B, h, w, A]} score logits,
        {level: [B, h, w, A*4]} box deltas).
      anchors: ops.anchors.AnchorGenerator.
      train_options: keyword arguments of ops.proposals.generate_proposals.
      test_options: likewise, outside of training.
      rpn_batch_size_per_im: int, anchors of an image that the score loss is
        divided by.
      huber_loss_delta: float, where the box loss turns from square to linear.
    """
    self._head = head
    self._anchors = anchors
    self._train_options, self._test_options = train_options, test_options
    self._rpn_batch_size_per_im = rpn_batch_size_per_im
    self._huber_loss_delta = huber_loss_delta

  def outputs(self, features: tensor_types.Levels, image_size: Tuple[int, int],
              image_shape: tf.Tensor, is_training: bool) -> tensor_types.Nest:
    """Runs the head and generates proposals.

    Args:
      features: {level: [B, h, w, c]}.
      image_size: (height, width), ints, of the network input.
      image_shape: float32 [B, 1, 2], (height, width) to clip boxes to, without
        padding; see ops.boxes.clip_limits.
      is_training: Python bool.

    Returns:
      {'rpn_score_outputs': {level: float32 [B, h, w, A]}, 'rpn_box_outputs':
      {level: float32 [B, h, w, A*4]}, 'rpn_rois': float32 [B, R, 4], yxyx,
      pixels of the network input, 'rpn_roi_scores': float32 [B, R]}; no
      gradient flows through the last two.
    """
    scores, boxes = self._head(features, is_training)
    scores, boxes = tf.nest.map_structure(
        lambda values: tf.cast(values, tf.float32), (scores, boxes))
    options = self._train_options if is_training else self._test_options
    rois, roi_scores = self._propose(boxes, scores, image_size, image_shape,
                                     options)
    return {fields.RPN_SCORE_OUTPUTS: scores, fields.RPN_BOX_OUTPUTS: boxes,
            fields.RPN_ROIS: rois, fields.RPN_ROI_SCORES: roi_scores}

  def training_rois(self, outputs: tensor_types.Nest,
                    image_size: Tuple[int, int],
                    image_shape: tf.Tensor) -> tf.Tensor:
    """What training would propose, for the losses of an evaluation.

    Args:
      outputs: result of `outputs`, not in training.
      image_size: see there.
      image_shape: see there.

    Returns:
      float32 [B, R, 4], as 'rpn_rois'.
    """
    if self._train_options == self._test_options:
      return outputs[fields.RPN_ROIS]
    return self._propose(
        outputs[fields.RPN_BOX_OUTPUTS], outputs[fields.RPN_SCORE_OUTPUTS],
        image_size, image_shape, self._train_options)[0]

  def _propose(self, boxes, scores, image_size, image_shape, options):
    """(RoIs, their scores) of the outputs of the head; without gradient."""
    rois, roi_scores = proposals.generate_proposals(
        boxes, scores, self._anchors.boxes(image_size), image_shape, **options)
    return tf.stop_gradient(rois), tf.stop_gradient(roi_scores)

  def losses(self, outputs: tensor_types.Nest, labels: tensor_types.Nest,
             by_image: bool = False) -> tensor_types.Tensors:
    """The losses of the sampled anchors.

    Args:
      outputs: result of `outputs`.
      labels: `rpn_score_targets` {level: int32 [B, h, w, A]},
        `rpn_box_targets` {level: [B, h, w, A*4]}.
      by_image: whether losses of each image are wanted; see ops.roi_losses.

    Returns:
      {'rpn_score_loss', 'rpn_box_loss': float32 [], or [B] with `by_image`}.
    """
    return {
        fields.RPN_SCORE_LOSS: roi_losses.rpn_score_loss(
            outputs[fields.RPN_SCORE_OUTPUTS],
            labels[fields.RPN_SCORE_TARGETS], self._rpn_batch_size_per_im,
            by_image),
        fields.RPN_BOX_LOSS: roi_losses.rpn_box_loss(
            outputs[fields.RPN_BOX_OUTPUTS], labels[fields.RPN_BOX_TARGETS],
            self._huber_loss_delta, by_image)}
