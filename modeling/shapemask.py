"""ShapeMask (arXiv:1904.03239): RetinaNet, and masks for its boxes."""

import functools
from typing import Optional, Tuple

import tensorflow.compat.v1 as tf

from modeling import predictions as predictions_lib
from modeling import retinanet
from modeling import shape_mask_branch
from ops import tensor_types
from utils import fields
from utils import modes


class ShapeMask:
  """One-stage detector with masks from shape priors."""

  def __init__(self, trunk: retinanet.RetinaNet,
               mask_branch: shape_mask_branch.ShapeMaskBranch) -> None:
    """Takes the parts.

    Args:
      trunk: modeling.retinanet.RetinaNet.
      mask_branch: modeling.shape_mask_branch.ShapeMaskBranch.
    """
    self._trunk = trunk
    self._mask_branch = mask_branch

  def outputs(self, images: tf.Tensor, labels: Optional[tensor_types.Nest],
              mode: str) -> tensor_types.Nest:
    """Runs the network.

    Args:
      images: [B, H, W, 3], normalised, H and W static.
      labels: in training, and in an evaluation with losses, `mask_boxes` and
        `mask_outer_boxes` [B, N, 4], yxyx, pixels of the network input, and
        `mask_classes` [B, N]; outside of training `image_info` [B, 4, 2].
      mode: one of utils.modes.

    Returns:
      {name: tensor or {level: tensor}}: the outputs of RetinaNet and of the
      mask branch, which runs on the boxes of the labels in training, otherwise
      on the detections. With `postprocess.apply_nms` false there are no
      detections, and no masks. With `mask_boxes` there is also
      'outputs_of_losses', those of the mask branch on them.
    """
    return self.outputs_and_masks(images, labels, mode)[0]

  def outputs_and_masks(
      self, images: tf.Tensor, labels: Optional[tensor_types.Nest],
      mode: str) -> Tuple[tensor_types.Nest, tensor_types.MaskFn]:
    """`outputs`, and a function that finds the masks of any boxes.

    Args:
      images: see `outputs`.
      labels: see `outputs`.
      mode: one of utils.modes.

    Returns:
      The result of `outputs`; (boxes [B, M, 4], classes [B, M], outer_boxes
      [B, M, 4] or None) -> result of ShapeMaskBranch.detections.
    """
    is_training = mode == modes.TRAIN
    labels = labels or {}
    outputs, features = self._trunk.outputs_and_features(images, labels, mode)
    find_masks = functools.partial(
        self._mask_branch.detections, features,
        input_size=images.shape.as_list()[1:3])
    if is_training:
      outputs.update(self._mask_branch.training_outputs(features, labels,
                                                        is_training))
    elif fields.DETECTION_BOXES in outputs:
      outputs.update(find_masks(outputs[fields.DETECTION_BOXES],
                                outputs[fields.DETECTION_CLASSES]))
    if not is_training and fields.MASK_BOXES in labels:
      # Another use of the variables that the detections have made.
      with tf.variable_scope(tf.get_variable_scope(), reuse=tf.AUTO_REUSE):
        outputs[fields.OUTPUTS_OF_LOSSES] = self._mask_branch.training_outputs(
            features, labels, is_training)
    return outputs, find_masks

  def losses(self, outputs: tensor_types.Nest, labels: tensor_types.Nest,
             is_training: bool = False) -> tensor_types.Tensors:
    """The losses of boxes and masks.

    Args:
      outputs: result of `outputs` in training.
      labels: those of RetinaNet and of the mask branch, see their `losses`.
      is_training: not used.

    Returns:
      {name: float32 []}: 'retinanet_cls_loss', 'retinanet_box_loss', the
      three of the masks, and their weighted sum 'model_loss'.

    Raises:
      ValueError: for labels without masks.
    """
    del is_training
    if fields.MASK_TARGETS not in labels:
      raise ValueError(
          'The labels have no %r, which the losses of ShapeMask need. '
          'Mode TRAIN of its parser makes them, and PREDICT_WITH_GT unless '
          'eval.skip_eval_loss is set.' % fields.MASK_TARGETS)
    of_boxes = self._trunk.losses(outputs, labels)
    losses, of_masks = self._mask_branch.losses(outputs, labels)
    losses[fields.RETINANET_CLS_LOSS] = of_boxes[fields.CLS_LOSS]
    losses[fields.RETINANET_BOX_LOSS] = of_boxes[fields.BOX_LOSS]
    losses[fields.MODEL_LOSS] = of_boxes[fields.MODEL_LOSS] + of_masks
    return losses

  def image_losses(self, outputs: tensor_types.Nest,
                   labels: tensor_types.Nest) -> tensor_types.Tensors:
    """`losses` of every image as if it were a batch of its own.

    Args:
      outputs: result of `outputs`, with 'outputs_of_losses'.
      labels: see `losses`.

    Returns:
      {name: float32 [B]}: those of RetinaNet and of the masks; 'cls_loss' and
      'box_loss' are what `losses` calls 'retinanet_cls_loss' and
      'retinanet_box_loss'.
    """
    of_boxes = self._trunk.image_losses(outputs, labels)
    losses, of_masks = self._mask_branch.losses(
        outputs[fields.OUTPUTS_OF_LOSSES], labels, by_image=True)
    return dict(of_boxes, **losses, **{
        fields.MODEL_LOSS: of_boxes[fields.MODEL_LOSS] + of_masks})

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
    result = self._trunk.predictions(outputs, labels, with_losses=False)
    if with_losses and fields.OUTPUTS_OF_LOSSES in outputs:
      result.update(predictions_lib.loss_predictions(
          self.image_losses(outputs, labels)))
    return result
