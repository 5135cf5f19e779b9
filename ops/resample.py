"""Changing the resolution of images and feature maps.

Published weights were trained with the resize kernels of TensorFlow 1: output
pixel i reads input position i * (input size / output size), without the offset
of half a pixel that newer interfaces have.
"""

from typing import Optional

import numpy as np
import tensorflow.compat.v1 as tf

from ops import compat
from ops import tensor_types


def nearest_upsample(x: tf.Tensor, scale: int) -> tf.Tensor:
  """Repeats every pixel `scale` times along each spatial axis.

  Args:
    x: [B, h, w, C] or [B, d, h, w, C], any type.
    scale: int, at least 1.

  Returns:
    [B, h*scale, w*scale, C] or [B, d*scale, h*scale, w*scale, C].
  """
  if scale == 1:
    return x
  with tf.name_scope('nearest_upsample'):
    static, dynamic = x.shape.as_list(), tf.shape(x)
    shape = [dynamic[i] if size is None else size
             for i, size in enumerate(static)]
    if compat.in_xla_context():
      return _repeat_for_xla(x, scale, shape)
    # Stacking copies whole rows of channels, forwards and backwards; tiling and
    # broadcasting take ten times as long on a CPU, and not every resize kernel
    # exists on a TPU.
    for axis in range(len(shape) - 2, 0, -1):
      x = tf.stack([x] * scale, axis=axis + 1)
      shape[axis] *= scale
      x = tf.reshape(x, shape[:axis + 1] + shape[axis + 1:])
    return x


def _repeat_for_xla(x, scale, shape):
  """`nearest_upsample` by one broadcast; XLA copies a stack twice an axis.

  Args:
    x: see there.
    scale: see there.
    shape: of x.
  """
  batch, sides, channels = shape[:1], shape[1:-1], shape[-1:]
  apart = batch + [n for side in sides for n in (side, 1)] + channels
  repeated = batch + [n for side in sides for n in (side, scale)] + channels
  x = tf.broadcast_to(tf.reshape(x, apart), repeated)
  return tf.reshape(x, batch + [side * scale for side in sides] + channels)


def native_resize(x: tf.Tensor, size: tensor_types.ImageShape) -> tf.Tensor:
  """Nearest-neighbour resize of a feature map, keeping its type.

  Args:
    x: [B, h, w, C], a numeric type whose values float32 holds.
    size: (height, width) of the result.

  Returns:
    [B, height, width, C], the type of `x`.
  """
  with tf.name_scope('native_resize'):
    if compat.in_xla_context():
      return _resize_for_xla(x, size)
    resized = tf.image.resize_nearest_neighbor(tf.cast(x, tf.float32), size)
    return tf.cast(resized, x.dtype)


def _resize_for_xla(x, size):
  """`native_resize`, whose kernel's gradient XLA does not know.

  Args:
    x: [B, h, w, C], h and w static.
    size: (height, width), ints.
  """
  in_size = x.shape.as_list()[1:3]
  scale = size[0] // in_size[0]
  if [side * scale for side in in_size] == list(size):
    return nearest_upsample(x, scale)
  # Sums of gradients are float32, as those of the kernel are.
  resized = resize_nearest(tf.cast(x, tf.float32), size)
  return tf.cast(resized, x.dtype)


def resize_bilinear(images: tf.Tensor,
                    size: tensor_types.ImageShape) -> tf.Tensor:
  """Bilinear resize with the kernel of TensorFlow 1, without antialiasing.

  Args:
    images: [B, H, W, C], uint8 or float.
    size: (height, width), ints or int32 [2].

  Returns:
    float32 [B, height, width, C].
  """
  # A size that a run decides is one of the input pipeline, on the host.
  if compat.in_xla_context() and not tf.is_tensor(size):
    return _resize_bilinear_for_xla(images, size)
  return tf.image.resize_bilinear(images, size)


def _resize_bilinear_for_xla(images, size):
  """`resize_bilinear` of operations that XLA compiles well.

  On a TPU, XLA's form of the kernel takes 80 times the memory of what it makes,
  that of its gradient more; TF 1.15 has none of the gradient.

  Args:
    images: [B, H, W, C], H and W static.
    size: (height, width), ints.
  """
  images = tf.cast(images, tf.float32)
  for axis in (2, 1):  # in the order of the kernel
    length, wanted = images.shape[axis].value, size[axis - 1]
    if wanted % length:
      images = _interpolate(images, axis, wanted)
    else:
      images = _enlarge(images, axis, wanted // length)
  return images


def _enlarge(images, axis, scale):
  """Bilinear upsampling of one axis.

  Args:
    images: float32 [B, H, W, C], H and W static.
    axis: 1 or 2.
    scale: int.

  Returns:
    float32 [B, H, W, C]; the axis is `scale` times as long.
  """
  if scale == 1:
    return images
  length = images.shape[axis].value
  later = tf.split(images, [1, length - 1], axis)[1]
  last = tf.split(images, [length - 1, 1], axis)[1]
  steps = tf.concat([later, last], axis) - images
  shape = [-1 if one is None else one for one in images.shape.as_list()]
  shape[axis] *= scale
  return tf.reshape(tf.stack(
      [images + steps * np.float32(k / float(scale)) for k in range(scale)],
      axis=axis + 1), shape)


def _interpolate(images, axis, wanted):
  """Bilinear resize of one axis.

  Args:
    images: float32 [B, H, W, C], H and W static.
    axis: 1 or 2.
    wanted: int, its length in the result.
  """
  length = images.shape[axis].value
  positions = np.arange(wanted, dtype=np.float32) * (
      np.float32(length) / np.float32(wanted))
  before = np.minimum(positions.astype(np.int32), length - 1)
  values = tf.gather(images, before, axis=axis)
  steps = tf.gather(images, np.minimum(before + 1, length - 1),
                    axis=axis) - values
  fractions = (positions - before).astype(np.float32)
  return values + steps * fractions.reshape([-1] + [1] * (3 - axis))


def fuse_levels(features: tensor_types.Levels, level: int) -> tf.Tensor:
  """The sum of all levels of a pyramid at the size of one.

  Args:
    features: {level: [B, h, w, C]}, h and w static.
    level: int; one of the features, or a finer one.

  Returns:
    [B, h, w, C] of that level, the type of the features.

  Raises:
    ValueError: for a level that is coarser than all features.
  """
  finest = min(features)
  if level > max(features):
    raise ValueError('Level %d is coarser than all of the levels %s.'
                     % (level, sorted(features)))
  if level in features:
    size = features[level].shape.as_list()[1:3]
  else:
    size = [side * 2 ** (finest - level)
            for side in features[finest].shape.as_list()[1:3]]
  with tf.name_scope('fuse_levels'):
    resized = [resize_bilinear(tf.cast(features[one], tf.float32), size)
               for one in sorted(features)]
    return tf.cast(tf.add_n(resized), features[finest].dtype)


def resize_nearest(x: tf.Tensor, size: tf.Tensor, first: tf.Tensor = (0, 0),
                   window: Optional[tf.Tensor] = None) -> tf.Tensor:
  """A window of the nearest-neighbour resize; also works without images.

  Args:
    x: [N, H, W, ...], any type. N may be 0, which the kernel refuses.
    size: (height, width) of the whole result, ints or int32 [] each.
    first: (y, x), the same, first row and column that are wanted.
    window: (height, width), the same, how much is wanted; by default all. It is
      cut off at the border of the result.

  Returns:
    [N, rows, cols, ...], the type of `x`.
  """
  with tf.name_scope('resize_nearest'):
    window = size if window is None else window
    for i, axis in enumerate((1, 2)):
      indices = _nearest_indices(tf.shape(x)[axis], size[i], first[i],
                                 window[i])
      x = tf.gather(x, indices, axis=axis)
    return x


def _nearest_indices(in_size, out_size, first, count):
  """int32 [count or less]: source index of each wanted output index."""
  step = tf.cast(in_size, tf.float32) / tf.cast(out_size, tf.float32)
  outputs = tf.range(first, tf.minimum(first + count, out_size))
  sources = tf.cast(tf.floor(tf.cast(outputs, tf.float32) * step), tf.int32)
  return tf.minimum(sources, in_size - 1)
