"""RetinaNet: backbone, feature pyramid and one dense head (arXiv:1708.02002).

The parts come from outside: any backbone that returns {level: features}, any
decoder that returns the levels of the anchors, any head with the same outputs.
"""

from typing import Callable, Optional, Tuple

import tensorflow.compat.v1 as tf

from configs import base
from modeling import predictions as predictions_lib
from ops import anchors as anchor_ops
from ops import boxes as box_ops
from ops import losses as loss_ops
from ops import tensor_types
from utils import fields
from utils import modes


class RetinaNet:
  """One-stage detector."""

  def __init__(self, backbone: tensor_types.Backbone,
               decoder: tensor_types.Decoder, head: tensor_types.DenseHead,
               anchors: anchor_ops.AnchorGenerator,
               detect: Callable[..., tensor_types.Tensors],
               loss_section: base.Section, num_classes: int,
               output_flat_features: bool = False,
               clip_to_border: bool = False) -> None:
    """Takes the parts.

    Args:
      backbone: (images, is_training) -> {level: [B, h, w, c]}.
      decoder: (features, is_training) -> {min_level..max_level: features}.
      head: (features, is_training) -> ({level: [B, h, w, A*C]} class logits,
        {level: [B, h, w, A*4]} box deltas).
      anchors: ops.anchors.AnchorGenerator.
      detect: (box_outputs, class_outputs, anchor_boxes, image_shape) ->
        {name: tensor}; see ops.detections.generate_one_stage_detections.
      loss_section: YAML section `retinanet_loss`.
      num_classes: int, background included.
      output_flat_features: whether the graph gets a tensor `RawFpnFeatures`:
        all levels of the decoder in one row per image, finest first.
      clip_to_border: whether boxes may reach the border of the network input;
        False: they end a pixel before, as upstream.
    """
    self._backbone, self._decoder, self._head = backbone, decoder, head
    self._anchors = anchors
    self._detect = detect
    self._loss = loss_section
    self._num_classes = num_classes
    self._output_flat_features = output_flat_features
    self._clip_to_border = clip_to_border

  def outputs(self, images: tf.Tensor, labels: Optional[tensor_types.Nest],
              mode: str) -> tensor_types.Nest:
    """Runs the network and, outside of training, the detection generator.

    Args:
      images: [B, H, W, 3], normalised, H and W static.
      labels: dict; outside of training `image_info` [B, 4, 2] is read.
        `anchor_boxes` are never read: they follow from the size of the images.
      mode: one of utils.modes.

    Returns:
      {'cls_outputs': {level: [B, h, w, A*C]}, 'box_outputs': {level: [B, h, w,
      A*4]}}; outside of training also the detections, in pixels of the network
      input, or, with `postprocess.apply_nms` false, the raw tensors: see
      ops.detections.generate_one_stage_detections.
    """
    return self.outputs_and_features(images, labels, mode)[0]

  def outputs_and_masks(
      self, images: tf.Tensor, labels: Optional[tensor_types.Nest],
      mode: str) -> Tuple[tensor_types.Nest, None]:
    """`outputs`, of images [B, H, W, 3], and None, as there are no masks.

    See modeling.maskrcnn.
    """
    return self.outputs(images, labels, mode), None

  def outputs_and_features(
      self, images: tf.Tensor, labels: Optional[tensor_types.Nest],
      mode: str) -> Tuple[tensor_types.Nest, tensor_types.Levels]:
    """`outputs`, and {level: [B, h, w, c]} of the decoder for further heads."""
    is_training = mode == modes.TRAIN
    features = self._backbone(images, is_training)
    features = self._decoder(features, is_training)
    if self._output_flat_features:
      tf.concat([_flatten(features[level]) for level in sorted(features)],
                axis=1, name='RawFpnFeatures')
    cls_outputs, box_outputs = self._head(features, is_training)
    # Losses and boxes are computed in float32 whatever the network runs in.
    cls_outputs = _to_float32(cls_outputs)
    box_outputs = _to_float32(box_outputs)
    outputs = {fields.CLS_OUTPUTS: cls_outputs,
               fields.BOX_OUTPUTS: box_outputs}
    if not is_training:
      outputs.update(self._detect(
          box_outputs, cls_outputs, self._anchor_boxes(images),
          box_ops.clip_limits(labels[fields.IMAGE_INFO][:, 1:2, :],
                              self._clip_to_border)))
    return outputs, features

  def _anchor_boxes(self, images):
    """{level: float32 [hwA, 4]}, constants of the static image size."""
    _, height, width, _ = images.shape.as_list()
    return self._anchors.boxes((height, width))

  def losses(self, outputs: tensor_types.Nest, labels: tensor_types.Nest,
             is_training: bool = False) -> tensor_types.Tensors:
    """Focal and box losses.

    Args:
      outputs: result of `outputs`.
      labels: `cls_targets` {level: int32 [B, h, w, A]}, `box_targets` {level:
        [B, h, w, 4A]}, `num_positives` [B].
      is_training: whether the moving normalizer is used and updated.

    Returns:
      {'cls_loss', 'box_loss', 'model_loss': float32 []}.
    """
    num_positives = labels[fields.NUM_POSITIVES]
    if is_training and self._loss.normalizer_momentum > 0:
      num_positives = _moving_normalizer(tf.reduce_sum(num_positives),
                                         self._loss.normalizer_momentum)
    cls_loss = loss_ops.retinanet_class_loss(
        outputs[fields.CLS_OUTPUTS], labels[fields.CLS_TARGETS], num_positives,
        self._num_classes, self._loss.focal_loss_alpha,
        self._loss.focal_loss_gamma)
    box_loss = loss_ops.retinanet_box_loss(
        outputs[fields.BOX_OUTPUTS], labels[fields.BOX_TARGETS], num_positives,
        self._loss.huber_loss_delta)
    return {fields.CLS_LOSS: cls_loss, fields.BOX_LOSS: box_loss,
            fields.MODEL_LOSS: cls_loss + self._loss.box_loss_weight * box_loss}

  def image_losses(self, outputs: tensor_types.Nest,
                   labels: tensor_types.Nest) -> tensor_types.Tensors:
    """`losses` of every image as if it were a batch of its own.

    Args:
      outputs: result of `outputs`.
      labels: see `losses`.

    Returns:
      {name: float32 [B]}; their mean over a set does not depend on its batches.
    """
    num_positives = labels[fields.NUM_POSITIVES]
    cls_loss = loss_ops.image_class_losses(
        outputs[fields.CLS_OUTPUTS], labels[fields.CLS_TARGETS], num_positives,
        self._num_classes, self._loss.focal_loss_alpha,
        self._loss.focal_loss_gamma)
    box_loss = loss_ops.image_box_losses(
        outputs[fields.BOX_OUTPUTS], labels[fields.BOX_TARGETS], num_positives,
        self._loss.huber_loss_delta)
    return {fields.CLS_LOSS: cls_loss, fields.BOX_LOSS: box_loss,
            fields.MODEL_LOSS: cls_loss + self._loss.box_loss_weight * box_loss
            }

  def predictions(self, outputs: tensor_types.Nest,
                  labels: Optional[tensor_types.Nest],
                  with_losses: bool = True) -> tensor_types.Tensors:
    """The dictionary for Estimator.predict; see modeling.predictions.

    Args:
      outputs: result of `outputs`.
      labels: with `image_info` [B, 4, 2]; losses are added when it has the
        targets.
      with_losses: False leaves them out (`eval.skip_eval_loss`).

    Returns:
      {prefixed name: tensor [B, ...]}; losses as `image_losses`.
    """
    result = predictions_lib.detection_predictions(outputs, labels)
    if with_losses and fields.CLS_TARGETS in labels:
      result.update(predictions_lib.loss_predictions(
          self.image_losses(outputs, labels)))
    return result


def _flatten(x):
  """[B, h, w, c], h, w and c static, to [B, h * w * c]."""
  return tf.reshape(x, [-1, x.shape[1:].num_elements()])


def _to_float32(by_level):
  return {level: tf.cast(value, tf.float32)
          for level, value in by_level.items()}


def _moving_normalizer(num_positives, momentum):
  """Zero-debiased moving average of the number of positives of a batch.

  The variable names are those of published checkpoints.
  Source of the debiasing: Adam (arXiv:1412.6980), section 3.

  Args:
    num_positives: float32 [].
    momentum: float in (0, 1).

  Returns:
    float32 [], the updated average.
  """
  def variable(name):
    # Every replica of a distribution strategy counts its own.
    return tf.get_variable(
        name, [], initializer=tf.zeros_initializer(), trainable=False,
        synchronization=tf.VariableSynchronization.ON_READ,
        aggregation=tf.VariableAggregation.MEAN)
  with tf.variable_scope('', reuse=tf.AUTO_REUSE):
    average = variable('moving_normalizer')
    biased = variable('moving_normalizer/biased')
    local_step = variable('moving_normalizer/local_step')
  step = local_step.assign_add(1.)
  new_biased = biased.assign(
      momentum * biased + (1. - momentum) * num_positives)
  debiased = new_biased / (1. - tf.pow(momentum, step))
  return tf.stop_gradient(average.assign(debiased))
