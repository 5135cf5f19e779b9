"""Image classification: a backbone and a head on its features."""

from typing import Callable, Optional

import tensorflow.compat.v1 as tf

from ops import losses as loss_ops
from ops import tensor_types
from utils import fields
from utils import modes

_NUM_PREDICTED = 5  # classes of a prediction, for the top-5 accuracy


class Classification:
  """One class for each image."""

  def __init__(self, backbone: tensor_types.Backbone,
               head: Callable[[tensor_types.Levels, bool], tf.Tensor],
               num_classes: int, label_smoothing: float = 0.) -> None:
    """Takes the parts.

    Args:
      backbone: (images, is_training) -> {level: [B, h, w, c]}.
      head: (features, is_training) -> [B, C] logits.
      num_classes: int, C.
      label_smoothing: float in [0, 1]; see ops.losses.
    """
    self._backbone, self._head = backbone, head
    self._num_classes = num_classes
    self._label_smoothing = label_smoothing

  def outputs(self, images: tf.Tensor, labels: Optional[tensor_types.Nest],
              mode: str) -> tensor_types.Nest:
    """Runs the network.

    Args:
      images: [B, H, W, 3], RGB, normalised, H and W static.
      labels: not used.
      mode: one of utils.modes.

    Returns:
      {'logits': float32 [B, C]}.
    """
    del labels
    is_training = mode == modes.TRAIN
    features = self._backbone(images, is_training)
    logits = self._head(features, is_training)
    return {fields.LOGITS: tf.cast(logits, tf.float32)}

  def losses(self, outputs: tensor_types.Nest, labels: tensor_types.Nest,
             is_training: bool = False) -> tensor_types.Tensors:
    """Cross entropy.

    Args:
      outputs: result of `outputs`.
      labels: int32 [B], classes.
      is_training: not used.

    Returns:
      {'model_loss': float32 []}.
    """
    del is_training
    return {fields.MODEL_LOSS: tf.reduce_mean(
        self._loss_of_images(outputs, labels))}

  def _loss_of_images(self, outputs, labels):
    """float32 [B]."""
    return loss_ops.softmax_cross_entropy(
        outputs[fields.LOGITS], labels, self._num_classes,
        self._label_smoothing)

  def predictions(self, outputs: tensor_types.Nest,
                  labels: Optional[tensor_types.Nest],
                  with_losses: bool = True) -> tensor_types.Tensors:
    """The dictionary for Estimator.predict; see modeling.predictions.

    Args:
      outputs: result of `outputs`.
      labels: `source_id` [B]; with `label` [B] it and the loss of each image
        are passed on.
      with_losses: False leaves the losses out (`eval.skip_eval_loss`).

    Returns:
      {prefixed name: tensor [B, ...]}: `pred_classes` int32 and `pred_scores`
      [B, 5], the best classes first; fewer where there are fewer classes.
    """
    scores, classes = tf.nn.top_k(tf.nn.softmax(outputs[fields.LOGITS]),
                                  min(_NUM_PREDICTED, self._num_classes))
    result = {fields.PRED + fields.SOURCE_ID: labels[fields.SOURCE_ID],
              fields.PRED + fields.CLASSES: classes,
              fields.PRED + fields.SCORES: scores}
    if fields.LABEL in labels:
      label = labels[fields.LABEL]
      result[fields.GT + fields.LABEL] = label
      if with_losses:
        result[fields.LOSS + fields.MODEL_LOSS] = self._loss_of_images(
            outputs, label)
    return result
