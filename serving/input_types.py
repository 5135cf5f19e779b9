"""What an exported graph is fed: bytes, records, pixels or prepared pixels."""

from typing import Optional, Tuple

import tensorflow.compat.v1 as tf

from ops import image_decoding
from serving import inputs
from utils import registry

IMAGE_BYTES, IMAGE_TENSOR, TF_EXAMPLE, RAW_IMAGE_TENSOR = (
    'image_bytes', 'image_tensor', 'tf_example', 'raw_image_tensor')
# Public: values of --input_type.
INPUT_TYPES = (IMAGE_BYTES, IMAGE_TENSOR, TF_EXAMPLE, RAW_IMAGE_TENSOR)
ENCODED_KEY = 'image/encoded'  # of the feature of a tf.train.Example
_AT_ONCE = 4  # images of a batch that are decoded at the same time


class InputTypeError(ValueError):
  """An input type that does not exist or does not fit the network."""


def placeholder(input_type: str, batch_size: Optional[int],
                spec: inputs.InputSpec) -> tf.Tensor:
  """The tensor that is fed; its name is public.

  Args:
    input_type: one of INPUT_TYPES.
    batch_size: int, or None for any.
    spec: inputs.InputSpec. Pixels come in its size, prepared ones have no
      padding to be added.

  Returns:
    string [B] or uint8 or float32 [B, H, W, 3].

  Raises:
    InputTypeError: for another input type, or a size that the network cannot
      take without padding.
  """
  registry.pick(INPUT_TYPES, input_type, 'The input type', InputTypeError)
  if input_type in (IMAGE_BYTES, TF_EXAMPLE):
    return tf.placeholder(tf.string, [batch_size], 'Placeholder')
  shape = [batch_size, spec.size[0], spec.size[1], 3]
  if input_type == IMAGE_TENSOR:
    return tf.placeholder(tf.uint8, shape, 'Placeholder')
  if tuple(spec.size) != tuple(spec.padded_size):
    raise InputTypeError(
        'The network pads %d x %d pixels (height x width) to %d x %d, which '
        'images of the input type %s, prepared outside, must have themselves: '
        'give the size of multiples (--input_image_size=%d,%d).' % (
            tuple(spec.size) + tuple(spec.padded_size)
            + (RAW_IMAGE_TENSOR,) + tuple(spec.padded_size)))
  return tf.placeholder(tf.float32, shape, 'Placeholder')


def network_inputs(input_type: str, fed: tf.Tensor, spec: inputs.InputSpec,
                   follow_exif: bool = True) -> Tuple[tf.Tensor, tf.Tensor]:
  """The input of the network, as `inputs.prepare` makes it in training.

  Args:
    input_type: one of INPUT_TYPES.
    fed: the `placeholder`.
    spec: inputs.InputSpec.
    follow_exif: bool, whether IMAGE_BYTES are turned as they note. Records hold
      upright pixels.

  Returns:
    images: float32 [B, height, width, 3].
    image_info: float32 [B, 4, 2]; see `inputs.prepare`.
  """
  if input_type == RAW_IMAGE_TENSOR:
    size = tf.constant([spec.size, spec.size, [1, 1], [0, 0]], tf.float32)
    return fed, tf.tile(size[tf.newaxis], [tf.shape(fed)[0], 1, 1])
  decode = {IMAGE_TENSOR: lambda image: image,
            TF_EXAMPLE: _decode_example,
            IMAGE_BYTES: (image_decoding.decode_upright if follow_exif
                          else image_decoding.decode_image)}[input_type]
  with tf.name_scope('prepare_images'):
    images, image_info = tf.map_fn(
        lambda one: inputs.prepare(decode(one), spec), fed,
        dtype=(tf.float32, tf.float32), parallel_iterations=_AT_ONCE,
        back_prop=False)
  batch_size = fed.shape.as_list()[0]
  images.set_shape([batch_size] + list(spec.padded_size) + [3])
  image_info.set_shape([batch_size, 4, 2])
  return images, image_info


def _decode_example(serialized):
  parsed = tf.io.parse_single_example(
      serialized, {ENCODED_KEY: tf.FixedLenFeature([], tf.string)})
  return image_decoding.decode_image(parsed[ENCODED_KEY])
