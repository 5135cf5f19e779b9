"""The graph of a trained model: network input to what it answers."""

from typing import Sequence, Tuple

import tensorflow.compat.v1 as tf

from configs import base
from modeling import factory
from modeling import model_fn
from ops import tensor_types
from utils import fields
from utils import modes

DETECTION, CLASSIFICATION, SEGMENTATION = (
    'detection', 'classification', 'segmentation')

# Outputs beside those of utils.fields.
PROBABILITIES = 'probabilities'  # float32 [B, C] of a classifier
PIXEL_SCORES = 'pixel_scores'    # float32 [B, h, w, 1], of the class in MASKS

_DETECTION_OUTPUTS = (
    fields.NUM_DETECTIONS, fields.DETECTION_BOXES, fields.DETECTION_CLASSES,
    fields.DETECTION_SCORES, fields.DETECTION_MASKS,
    fields.DETECTION_OUTER_BOXES, fields.RAW_BOXES, fields.RAW_ENCODED_BOXES,
    fields.RAW_SCORES)


def task_of(config: base.Config) -> str:
  """DETECTION, CLASSIFICATION or SEGMENTATION."""
  if config.type in (CLASSIFICATION, SEGMENTATION):
    return config.type
  return DETECTION


def outputs(
    config: base.Config, images: tf.Tensor, image_info: tf.Tensor,
    views: Sequence[Tuple[tf.Tensor, tf.Tensor]] = ()) -> tensor_types.Tensors:
  """Builds a model and runs it, without training.

  Args:
    config: an experiment of configs.factory.
    images: float32 [B, H, W, 3], normalised; H and W static, B may be free.
    image_info: float32 [B, 4, 2]; see serving.inputs.
    views: [(images, image_info)] of the further views of test-time
      augmentation, see utils/views.py; without them there is none.

  Returns:
    {name: tensor [B, ...]}. Detectors: `num_detections`, `detection_boxes` in
    pixels of the network input and so on, or with `postprocess.apply_nms`
    false the raw tensors. Classifiers: `logits`, `probabilities`, `classes`
    int32 [B]. Segmentation: `masks` int32 [B, H, W, 1] and `pixel_scores`.
  """
  labels: tensor_types.Nest = {fields.IMAGE_INFO: image_info}
  if views:
    labels[fields.VIEWS] = {
        index: {fields.IMAGES: of_view, fields.IMAGE_INFO: info}
        for index, (of_view, info) in enumerate(views)}
  model = factory.build_model(config)
  found = model_fn.model_outputs(model, images, labels, modes.PREDICT,
                                  config.architecture.use_bfloat16)
  task = task_of(config)
  if task == DETECTION:
    return {name: found[name] for name in _DETECTION_OUTPUTS if name in found}
  logits = found[fields.LOGITS]
  if task == CLASSIFICATION:
    return {fields.LOGITS: logits, PROBABILITIES: tf.nn.softmax(logits),
            fields.CLASSES: tf.argmax(logits, axis=1, output_type=tf.int32)}
  size = images.shape.as_list()[1:3]
  probabilities = tf.nn.softmax(tf.image.resize_bilinear(logits, size))
  return {fields.MASKS: found[fields.MASKS],
          PIXEL_SCORES: tf.reduce_max(probabilities, axis=3, keepdims=True)}
