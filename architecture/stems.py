"""The first convolution of backbones: 7x7 pixels, stride 2.

A TPU pads the three colours of an image to the width of its registers: a batch
of 4 images of 1024 pixels takes 1.1 GB. With 2 x 2 pixels folded into the
channels it takes a quarter, and the matrix unit has more to do at a time.
"""

import tensorflow.compat.v1 as tf

from architecture import layers
from ops import compat

_COLORS = 3


def conv7x7(images: tf.Tensor, filters: int) -> tf.Tensor:
  """Strided convolution without bias, its padding that of the kernel's size.

  Args:
    images: [B, H, W, 3].
    filters: int, channels of the result.

  Returns:
    [B, ceil(H / 2), ceil(W / 2), filters].
  """
  height, width, channels = images.shape.as_list()[1:]
  can_fold = (channels == _COLORS and height and width
              and height % 2 == 0 and width % 2 == 0)
  if compat.in_xla_context() and can_fold:
    return conv7x7_of_folded(fold(images), filters)
  return layers.conv2d_fixed_padding(images, filters, 7, 2)


def fold(images: tf.Tensor) -> tf.Tensor:
  """Folds 2 x 2 pixels into the channels.

  Args:
    images: [B, H, W, C], H and W even.

  Returns:
    [B, H / 2, W / 2, 4 * C], channel (dy * 2 + dx) * C + c.
  """
  # tf.space_to_depth goes through an axis of two, which a TPU pads to 128.
  return tf.concat([images[:, dy::2, dx::2] for dy in range(2)
                    for dx in range(2)], axis=3)


def conv7x7_of_folded(inputs: tf.Tensor, filters: int) -> tf.Tensor:
  """The strided 7x7 convolution, on images with folded pixels.

  Twelve channels use a TPU's matrix unit better than three. The variable is
  that of the ordinary stem, so checkpoints fit both.

  Args:
    inputs: [B, H/2, W/2, 12], channel (dy * 2 + dx) * 3 + colour.
    filters: int, channels of the result.

  Returns:
    [B, H/2, W/2, filters].

  Raises:
    ValueError: if the inputs do not have 12 channels.
  """
  if inputs.shape.as_list()[-1] != 12:
    raise ValueError('space_to_depth_block_size 2 needs images with 12 '
                     'channels, not %s.' % inputs.shape)
  with tf.variable_scope(None, default_name='conv2d'):
    kernel = tf.get_variable('kernel', [7, 7, 3, filters], inputs.dtype,
                             tf.variance_scaling_initializer())
  # The 7x7 kernel reaches from pixel -3 to 3; with a zero in front, from -4 to
  # 3, which is two whole blocks before and, with the block itself, two after.
  kernel = tf.pad(kernel, [[1, 0], [1, 0], [0, 0], [0, 0]])
  kernel = tf.reshape(kernel, [4, 2, 4, 2, 3, filters])
  kernel = tf.transpose(kernel, [0, 2, 1, 3, 4, 5])  # y, x, dy, dx, colour
  kernel = tf.reshape(kernel, [4, 4, 12, filters])
  inputs = tf.pad(inputs, [[0, 0], [2, 1], [2, 1], [0, 0]])
  return tf.nn.conv2d(inputs, kernel, strides=[1, 1, 1, 1], padding='VALID')
