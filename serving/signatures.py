"""Public names of what an exported model takes and gives.

Clients call tensors by the keys of the signature, older ones by the tensors'
own names: both stay as they are.
"""

import collections
from typing import Any, Dict, Mapping, NamedTuple, Tuple

import tensorflow.compat.v1 as tf

from ops import tensor_types
from serving import networks
from utils import fields
from utils import registry

SIGNATURE = 'serving_default'
LABEL_MAPS = 'label_maps'  # signature of segmentation models, without PNGs
PASTED_MASKS = 'pasted_masks'

# {key of the signature: name of the tensor}, in order.
TENSORS = collections.OrderedDict([
    (fields.NUM_DETECTIONS, 'NumDetections'),
    (fields.DETECTION_BOXES, 'DetectionBoxes'),
    (fields.DETECTION_CLASSES, 'DetectionClasses'),
    (fields.DETECTION_SCORES, 'DetectionScores'),
    (fields.DETECTION_MASKS, 'DetectionMasks'),
    (fields.DETECTION_OUTER_BOXES, 'DetectionOuterBoxes'),
    (PASTED_MASKS, 'PastedMasks'),
    (fields.RAW_BOXES, 'RawBoxes'),
    (fields.RAW_ENCODED_BOXES, 'RawEncodedBoxes'),
    (fields.RAW_SCORES, 'RawScores'),
    (fields.LOGITS, 'Logits'),
    (networks.PROBABILITIES, 'Probabilities'),
    (fields.CLASSES, 'Classes'),
    (fields.MASKS, 'Masks'),
    (networks.PIXEL_SCORES, 'PixelScores'),
    (fields.IMAGE_INFO, 'ImageInfo'),
])

# In what boxes are given: pixels of the network's input, pixels of the image,
# or parts of the image's sides.
MODEL, IMAGE, NORMALIZED = 'model', 'image', 'normalized'
COORDINATES = (MODEL, IMAGE, NORMALIZED)
_BOXES = (fields.DETECTION_BOXES, fields.RAW_BOXES)


class Options(NamedTuple):
  """What the signature has beside the outputs of the network.

  Attributes:
    coordinates: coordinates of the boxes, one of those below.
    image_info: whether it gives the way back to the image.
    float_counts: whether numbers of objects are floats.
    float_classes: whether classes are floats.
  """
  coordinates: str
  image_info: bool
  float_counts: bool
  float_classes: bool


DEFAULT_OPTIONS = Options(MODEL, True, False, False)


def outputs(found: Mapping[str, tf.Tensor], image_info: tf.Tensor,
            options: Options = DEFAULT_OPTIONS) -> tensor_types.Tensors:
  """The tensors of a signature, under their public names.

  Args:
    found: {key: tensor [B, ...]}, keys of TENSORS; boxes in pixels of the
      network's input.
    image_info: float32 [B, 4, 2].
    options: Options.

  Returns:
    {key: tensor [B, ...]}; boxes yxyx, in `options.coordinates`.

  Raises:
    ValueError: for unknown coordinates.
  """
  found = dict(found)
  for name in converted_boxes(options.coordinates):
    if name in found:
      found[name] = _converted(found[name], image_info, options.coordinates)
  if options.float_counts and fields.NUM_DETECTIONS in found:
    found[fields.NUM_DETECTIONS] = tf.cast(
        found[fields.NUM_DETECTIONS], tf.float32)
  if fields.DETECTION_CLASSES in found:
    found[fields.DETECTION_CLASSES] = tf.cast(
        found[fields.DETECTION_CLASSES],
        tf.float32 if options.float_classes else tf.int32)
  if options.image_info:
    found[fields.IMAGE_INFO] = image_info
  batch_size = image_info.shape.as_list()[0]
  named = {}
  for key, value in found.items():
    named[key] = tf.identity(value, TENSORS[key])
    named[key].set_shape([batch_size] + value.shape.as_list()[1:])
  return named


def converted_boxes(coordinates: str) -> Tuple[str, ...]:
  """Keys of the boxes that are given in these coordinates.

  Others stay in pixels of the network's input, as published exports have them.
  """
  if coordinates == IMAGE:
    return _BOXES + (fields.DETECTION_OUTER_BOXES,)
  return _BOXES


def _converted(boxes, image_info, coordinates):
  """Boxes [B, ..., 4] of the network's input in other coordinates."""
  registry.pick(COORDINATES, coordinates, 'The kind of box coordinates')
  if coordinates == MODEL:
    return boxes
  divisor = image_info[:, 2]
  if coordinates == NORMALIZED:
    divisor *= image_info[:, 0]
  divisor = tf.tile(divisor, [1, 2])
  for _ in range(boxes.shape.ndims - 2):
    divisor = tf.expand_dims(divisor, 1)
  return boxes / divisor


def signature(inputs: tensor_types.Tensors,
              found: Mapping[str, tf.Tensor]) -> Any:
  """A signature of the method predict.

  Args:
    inputs: {key: tensor [B, ...]}.
    found: {key: tensor [B, ...]}.

  Returns:
    SignatureDef.
  """
  return tf.saved_model.predict_signature_def(inputs, found)


def describe(meta_graph: Any) -> Dict[str, Dict[str, Any]]:
  """What a meta graph takes and gives, as plain values.

  Args:
    meta_graph: MetaGraphDef.

  Returns:
    {name of the signature: `describe_signature`}.
  """
  return {name: describe_signature(one)
          for name, one in meta_graph.signature_def.items()
          if not name.startswith('__')}


def describe_signature(one: Any) -> Dict[str, Any]:
  """A SignatureDef as plain values.

  Args:
    one: SignatureDef.

  Returns:
    {'inputs', 'outputs': {key: {'dtype', 'shape', 'tensor'}}, 'method'}; a
    dimension of any size is -1.
  """
  def tensors(infos):
    return {key: {
        'dtype': tf.as_dtype(info.dtype).name, 'tensor': info.name,
        'shape': [d.size for d in info.tensor_shape.dim]}
            for key, info in infos.items()}
  return {'inputs': tensors(one.inputs), 'outputs': tensors(one.outputs),
          'method': one.method_name}
