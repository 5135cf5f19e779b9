"""Requests with which TensorFlow Serving warms a model up.

A file of TFRecords, each a PredictionLog; its messages are written here as the
wire has them, because the package that defines them is not needed for more.

Source: tensorflow_serving/apis, prediction_log.proto, predict.proto and
model.proto; docs: "SavedModel Warmup".
"""

import io
import os
from typing import Any, Dict, Mapping

import numpy as np
from PIL import Image
import tensorflow.compat.v1 as tf

from serving import input_types
from serving import networks
from serving import segmentation_outputs
from serving import signatures

FILE = 'tf_serving_warmup_requests'
_NUM_REQUESTS = 2  # a second one runs what the first one has compiled
_LENGTH_DELIMITED = 2  # wire type
# Numbers of fields.
_PREDICT_LOG = 6         # PredictionLog
_REQUEST = 1             # PredictLog
_MODEL_SPEC, _INPUTS = 1, 2  # PredictRequest
_NAME, _SIGNATURE_NAME = 1, 3  # ModelSpec
_KEY, _VALUE = 1, 2      # an entry of a map


def write(the_plan: Any, folder: str, model_name: str) -> None:
  """Writes the requests of an export into its assets.extra.

  Args:
    the_plan: export.Plan.
    folder: folder of the export.
    model_name: str, the name that the model will be served under.
  """
  path = os.path.join(folder, 'assets.extra', FILE)
  tf.gfile.MakeDirs(os.path.dirname(path))
  request = predict_log(model_name, signatures.SIGNATURE, example_inputs(
      the_plan))
  with tf.python_io.TFRecordWriter(path) as writer:
    for _ in range(_NUM_REQUESTS):
      writer.write(request)


def example_inputs(the_plan: Any) -> Dict[str, np.ndarray]:
  """{key of the signature: array [B, ...]} of a request of grey images."""
  count = the_plan.batch_size or 1
  height, width = the_plan.spec.size
  pixels = np.full([height, width, 3], 128, np.uint8)
  if the_plan.input_type == input_types.RAW_IMAGE_TENSOR:
    value = np.zeros([count, height, width, 3], np.float32)
  elif the_plan.input_type == input_types.IMAGE_TENSOR:
    value = np.stack([pixels] * count)
  else:
    value = np.array([encoded(pixels, the_plan.input_type)] * count, object)
  name = the_plan.input_name
  if networks.task_of(the_plan.config) != networks.SEGMENTATION:
    return {name: value}
  if the_plan.input_type == input_types.IMAGE_BYTES:
    name = input_types.IMAGE_BYTES
  return {name: value,
          segmentation_outputs.KEY: np.array([b'default'], object),
          segmentation_outputs.THRESHOLDS: np.zeros([1], np.float32)}


def encoded(pixels: np.ndarray, input_type: str) -> bytes:
  """bytes of an image, or of the record with it, without loss.

  Args:
    pixels: uint8 [height, width, 3].
    input_type: IMAGE_BYTES or TF_EXAMPLE.
  """
  stream = io.BytesIO()
  Image.fromarray(pixels).save(stream, 'png', compress_level=1)
  content = stream.getvalue()
  if input_type == input_types.IMAGE_BYTES:
    return content
  example = tf.train.Example()
  example.features.feature[input_types.ENCODED_KEY].bytes_list.value.append(
      content)
  return example.SerializeToString()


def predict_log(model_name: str, signature_name: str,
                inputs: Mapping[str, np.ndarray]) -> bytes:
  """The bytes of a PredictionLog with a request.

  Args:
    model_name: str.
    signature_name: str.
    inputs: {key: array [B, ...]}.
  """
  model_spec = _field(_NAME, model_name.encode('utf-8')) + _field(
      _SIGNATURE_NAME, signature_name.encode('utf-8'))
  request = _field(_MODEL_SPEC, model_spec)
  for key in sorted(inputs):
    tensor = tf.make_tensor_proto(inputs[key]).SerializeToString()
    request += _field(_INPUTS, _field(_KEY, key.encode('utf-8'))
                      + _field(_VALUE, tensor))
  return _field(_PREDICT_LOG, _field(_REQUEST, request))


def _field(number, content):
  """A field of text, bytes or a message: tag, length, content."""
  return _varint(number << 3 | _LENGTH_DELIMITED) + _varint(
      len(content)) + content


def _varint(value):
  """An integer in groups of 7 bits, the lowest first."""
  groups = bytearray()
  while value > 0x7f:
    groups.append(value & 0x7f | 0x80)
    value >>= 7
  groups.append(value)
  return bytes(groups)
