"""Semantic segmentation: backbone, feature pyramid and a head on one level."""

from typing import Optional, Tuple

import tensorflow.compat.v1 as tf

from configs import base
from modeling import predictions as predictions_lib
from ops import losses as loss_ops
from ops import resample
from ops import tensor_types
from utils import fields
from utils import modes


class Segmentation:
  """A class for every pixel."""

  def __init__(self, backbone: tensor_types.Backbone,
               decoder: tensor_types.Decoder, head: tensor_types.MapHead,
               level: int, loss_section: base.Section, num_classes: int,
               aspp: Optional[tensor_types.MapHead] = None,
               use_pyramid_fusion: bool = False) -> None:
    """Takes the parts.

    Args:
      backbone: (images, is_training) -> {level: [B, h, w, c]}.
      decoder: (features, is_training) -> {level: features}.
      head: (features [B, h, w, c], is_training) -> [B, h', w', C] logits.
      level: int, level of the features that the head gets.
      loss_section: YAML section `segmentation_loss`.
      num_classes: int, C.
      aspp: (features [B, h, w, c], is_training) -> features, applied to the
        coarsest level of the backbone; None: not used.
      use_pyramid_fusion: whether the head gets the sum of all levels.
    """
    self._backbone, self._decoder, self._head = backbone, decoder, head
    self._level = level
    self._aspp = aspp
    self._use_pyramid_fusion = use_pyramid_fusion
    self._loss_settings = dict(
        num_classes=num_classes,
        ignore_label=loss_section.ignore_label,
        use_groundtruth_dimension=loss_section.use_groundtruth_dimension,
        class_weights=loss_section.class_weights,
        label_smoothing=loss_section.label_smoothing)

  def outputs(self, images: tf.Tensor, labels: Optional[tensor_types.Nest],
              mode: str) -> tensor_types.Tensors:
    """Runs the network.

    Args:
      images: [B, H, W, 3], normalised, H and W static.
      labels: not used.
      mode: one of utils.modes.

    Returns:
      {'logits': float32 [B, h, w, C]}; outside of training also {'masks': int32
      [B, H, W, 1]}, the class of each pixel of the images.
    """
    del labels
    is_training = mode == modes.TRAIN
    features = self._backbone(images, is_training)
    if self._aspp:
      top = max(features)
      features = {level: self._aspp(x, is_training) if level == top else x
                  for level, x in features.items()}
    features = self._decoder(features, is_training)
    logits = tf.cast(self._head(self._chosen(features), is_training),
                     tf.float32)
    outputs = {fields.LOGITS: logits}
    if not is_training:
      outputs[fields.MASKS] = label_map(logits, images.shape.as_list()[1:3])
    return outputs

  def _chosen(self, features):
    """The features of the head's level."""
    if self._use_pyramid_fusion:
      return resample.fuse_levels(features, self._level)
    if self._level not in features:
      raise ValueError(
          'segmentation_head.level is %d, but the decoder has the levels %s '
          '(architecture.min_level to architecture.max_level). Another level '
          'needs architecture.use_pyramid_fusion.' % (
              self._level, sorted(features)))
    return features[self._level]

  def losses(self, outputs: tensor_types.Nest, labels: tensor_types.Nest,
             is_training: bool = False) -> tensor_types.Tensors:
    """Cross entropy of the pixels that have a class.

    Args:
      outputs: result of `outputs`.
      labels: {'masks': [B, H, W, 1]}, class of each pixel.
      is_training: not used.

    Returns:
      {'model_loss': float32 []}.
    """
    del is_training
    return {fields.MODEL_LOSS: loss_ops.segmentation_loss(
        outputs[fields.LOGITS], labels[fields.MASKS], **self._loss_settings)}

  def image_losses(self, outputs: tensor_types.Nest,
                   labels: tensor_types.Nest) -> tensor_types.Tensors:
    """`losses` of every image as if it were a batch of its own.

    Args:
      outputs: result of `outputs`.
      labels: see `losses`.

    Returns:
      {name: float32 [B]}; their mean over a set does not depend on its batches.
    """
    losses, counts = [tf.reduce_sum(x, axis=[1, 2]) for x in
                      loss_ops.pixel_losses(
                          outputs[fields.LOGITS], labels[fields.MASKS],
                          **self._loss_settings)]
    return {fields.MODEL_LOSS: losses / tf.maximum(counts, 1.)}

  def predictions(self, outputs: tensor_types.Nest,
                  labels: Optional[tensor_types.Nest],
                  with_losses: bool = True) -> tensor_types.Tensors:
    """The dictionary for Estimator.predict; see modeling.predictions.

    Args:
      outputs: result of `outputs`, not in training.
      labels: `source_id` [B] and `image_info` [B, 4, 2]; `masks` and
        `valid_masks` [B, H, W, 1] are passed on, with the loss, if they are
        there.
      with_losses: False leaves the losses out (`eval.skip_eval_loss`).

    Returns:
      {prefixed name: tensor [B, ...]}: `pred_masks` int32 [B, H, W, 1].
    """
    result = {fields.PRED + fields.MASKS: outputs[fields.MASKS],
              fields.PRED + fields.SOURCE_ID: labels[fields.SOURCE_ID],
              fields.PRED + fields.IMAGE_INFO: labels[fields.IMAGE_INFO]}
    if fields.MASKS in labels:
      for name in (fields.MASKS, fields.VALID_MASKS):
        result[fields.GT + name] = labels[name]
      if with_losses:
        result.update(predictions_lib.loss_predictions(
            self.image_losses(outputs, labels)))
    return result


def label_map(logits: tf.Tensor, size: Tuple[int, int]) -> tf.Tensor:
  """The best class of each pixel.

  Args:
    logits: float32 [B, h, w, C].
    size: (height, width), ints, of the result.

  Returns:
    int32 [B, height, width, 1].
  """
  with tf.name_scope('label_map'):
    logits = resample.resize_bilinear(logits, size)
    return tf.argmax(logits, axis=3, output_type=tf.int32)[..., tf.newaxis]
