"""Faster R-CNN, Mask R-CNN (arXiv:1703.06870) and Cascade R-CNN.

Backbone, feature pyramid, region proposals, then branches that look at each
region. The parts come from outside: a cascade is a box branch of several
stages, Faster R-CNN has no mask branch.
"""

import functools
from typing import Optional, Tuple

import tensorflow.compat.v1 as tf

from modeling import box_branch
from modeling import mask_branch
from modeling import predictions
from modeling import rpn
from ops import boxes as box_ops
from ops import tensor_types
from utils import fields
from utils import modes


class MaskRCNN:
  """Two-stage detector."""

  def __init__(self, backbone: tensor_types.Backbone,
               decoder: tensor_types.Decoder, rpn: rpn.RegionProposalNetwork,
               box_branch: box_branch.BoxBranch,
               mask_branch: Optional[mask_branch.MaskBranch] = None,
               clip_to_border: bool = False) -> None:
    """Takes the parts.

    Args:
      backbone: (images, is_training) -> {level: [B, h, w, c]}.
      decoder: (features, is_training) -> {min_level..max_level: features}.
      rpn: modeling.rpn.RegionProposalNetwork.
      box_branch: modeling.box_branch.BoxBranch.
      mask_branch: modeling.mask_branch.MaskBranch, or None for boxes only.
      clip_to_border: whether boxes may reach the border of the network input;
        False: they end a pixel before, as upstream.
    """
    self._backbone, self._decoder = backbone, decoder
    self._rpn = rpn
    self._box_branch, self._mask_branch = box_branch, mask_branch
    self._clip_to_border = clip_to_border

  def outputs(self, images: tf.Tensor, labels: Optional[tensor_types.Nest],
              mode: str) -> tensor_types.Nest:
    """Runs the network.

    Args:
      images: [B, H, W, 3], normalised, H and W static.
      labels: `image_info` [B, 4, 2]. In training, and in an evaluation with
        losses, also `gt_boxes` [B, K, 4], yxyx, pixels of the network input,
        `gt_classes` [B, K] and, with a mask branch, `gt_masks` [B, K, h, w]
        within the boxes; padding is -1.
      mode: one of utils.modes.

    Returns:
      {name: tensor or {level: tensor}}, with the shapes of utils.fields. In
      training, the outputs of all heads and the targets of the second stage,
      which depend on the proposals. Otherwise, outputs and the detections, with
      masks if there is a mask branch; with `postprocess.apply_nms` false the
      raw boxes and scores, without masks. With `gt_boxes` there is also
      'outputs_of_losses', a dict of what training has.
    """
    return self.outputs_and_masks(images, labels, mode)[0]

  def outputs_and_masks(
      self, images: tf.Tensor, labels: Optional[tensor_types.Nest],
      mode: str) -> Tuple[tensor_types.Nest, Optional[tensor_types.MaskFn]]:
    """`outputs`, and a function that finds the masks of any boxes.

    Args:
      images: see `outputs`.
      labels: see `outputs`.
      mode: one of utils.modes.

    Returns:
      The result of `outputs`; (boxes [B, M, 4], classes [B, M], not used) ->
      result of MaskBranch.detections, or None without a mask branch.
    """
    is_training, labels = mode == modes.TRAIN, labels or {}
    features = self._backbone(images, is_training)
    features = self._decoder(features, is_training)
    image_shape = box_ops.clip_limits(labels[fields.IMAGE_INFO][:, 1:2, :],
                                      self._clip_to_border)
    image_size = images.shape.as_list()[1:3]
    outputs = self._rpn.outputs(features, image_size, image_shape, is_training)
    rois = outputs[fields.RPN_ROIS]
    if is_training:
      outputs.update(self._second_stage(features, rois, labels, image_shape,
                                        is_training))
      return outputs, None
    of_rpn = dict(outputs)
    outputs.update(self._box_branch.detections(features, rois, image_shape))
    find_masks = None
    if self._mask_branch:
      find_masks = functools.partial(self._masks, features)
      if fields.DETECTION_BOXES in outputs:
        outputs.update(find_masks(outputs[fields.DETECTION_BOXES],
                                  outputs[fields.DETECTION_CLASSES]))
    if fields.GT_BOXES in labels:
      rois = self._rpn.training_rois(of_rpn, image_size, image_shape)
      # Another use of the variables that the detections have made.
      with tf.variable_scope(tf.get_variable_scope(),
                             reuse=tf.AUTO_REUSE):
        of_heads = self._second_stage(features, rois, labels, image_shape,
                                      is_training)
      outputs[fields.OUTPUTS_OF_LOSSES] = dict(of_rpn, **of_heads)
    return outputs, find_masks

  def _masks(self, features, boxes, classes, outer_boxes=None):
    del outer_boxes  # These masks cover the boxes.
    return self._mask_branch.detections(features, boxes, classes)

  def _second_stage(self, features, rois, labels, image_shape, is_training):
    """Outputs and targets of the regions that training samples."""
    outputs, sampled = self._box_branch.training_outputs(
        features, rois, labels, image_shape, is_training)
    if self._mask_branch:
      outputs.update(self._mask_branch.training_outputs(
          features, sampled, labels[fields.GT_MASKS], is_training))
    return outputs

  def losses(self, outputs: tensor_types.Nest, labels: tensor_types.Nest,
             is_training: bool = False) -> tensor_types.Tensors:
    """The losses of all stages.

    Args:
      outputs: result of `outputs` in training, with the targets of the second
        stage.
      labels: the targets of the RPN: `rpn_score_targets` {level: int32
        [B, h, w, A]} and `rpn_box_targets` {level: [B, h, w, A*4]}.
      is_training: not used.

    Returns:
      {name: float32 []}: 'rpn_score_loss', 'rpn_box_loss',
      'fast_rcnn_class_loss', 'fast_rcnn_box_loss', 'mask_loss' if there is a
      mask branch, their sum 'model_loss', and what a cascade adds; see
      BoxBranch.losses and BoxBranch.shares_of_objects.

    Raises:
      ValueError: for labels without targets, as they are outside of training.
    """
    del is_training
    if fields.RPN_SCORE_TARGETS not in labels:
      raise ValueError(
          'The labels have no %r, which the losses of a two-stage model need. '
          'Mode TRAIN of its parser makes them, and PREDICT_WITH_GT unless '
          'eval.skip_eval_loss is set.' % fields.RPN_SCORE_TARGETS)
    return dict(self._losses(outputs, labels),
                **self._box_branch.shares_of_objects(outputs))

  def image_losses(self, outputs: tensor_types.Nest,
                   labels: tensor_types.Nest) -> tensor_types.Tensors:
    """`losses` of every image as if it were a batch of its own.

    Args:
      outputs: 'outputs_of_losses' among the result of `outputs`.
      labels: see `losses`.

    Returns:
      {name: float32 [B]}; their mean over a set does not depend on its batches.
    """
    return self._losses(outputs, labels, by_image=True)

  def _losses(self, outputs, labels, by_image=False):
    """The losses that are trained, and their sum."""
    losses = self._rpn.losses(outputs, labels, by_image)
    losses.update(self._box_branch.losses(outputs, by_image))
    if self._mask_branch:
      losses.update(self._mask_branch.losses(outputs, by_image))
    losses[fields.MODEL_LOSS] = tf.add_n([
        losses[name] for name in fields.TWO_STAGE_LOSSES if name in losses])
    return losses

  def predictions(self, outputs: tensor_types.Nest,
                  labels: Optional[tensor_types.Nest],
                  with_losses: bool = True) -> tensor_types.Tensors:
    """The dictionary for Estimator.predict; see modeling.predictions.

    Args:
      outputs: result of `outputs`.
      labels: with `image_info` [B, 4, 2]; losses are added when `outputs` had
        the targets.
      with_losses: False leaves them out (`eval.skip_eval_loss`).

    Returns:
      {prefixed name: tensor [B, ...]}; losses as `image_losses`.
    """
    labels = labels or {}
    result = predictions.detection_predictions(outputs, labels)
    if with_losses and fields.OUTPUTS_OF_LOSSES in outputs:
      result.update(predictions.loss_predictions(self.image_losses(
          outputs[fields.OUTPUTS_OF_LOSSES], labels)))
    return result
