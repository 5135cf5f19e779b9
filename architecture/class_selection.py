"""The last layers of mask heads: of every RoI, the mask of one class."""

from typing import Any, Optional

import tensorflow.compat.v1 as tf

from architecture import layers
from ops import convolution
from ops import tensor_types


def conv2d_of_class(inputs: tf.Tensor, num_masks: int, classes: tf.Tensor,
                    is_training: bool, **settings: Any) -> tf.Tensor:
  """`layers.conv2d` with kernel size 1, of which one channel is wanted.

  Args:
    inputs: [N, H, W, C], H and W static; in training of several masks also a
      list of such.
    num_masks: int, channels of the convolution: one for each class, or 1 for
      all classes.
    classes: int32 [N], whose mask is meant, from 0.
    is_training: Python bool.
    **settings: arguments of `layers.conv2d`.

  Returns:
    [N, H, W], logits, or a list of such.
  """
  if num_masks == 1:
    return tf.squeeze(layers.conv2d(inputs, 1, 1, **settings), 3)
  if is_training:
    # The logits of all classes, and their gradients, would take 4% of a
    # training step.
    return layers.conv2d_of_chosen(inputs, num_masks, classes, **settings)
  # A plain convolution, which every converter of models knows. TF 1.15 has no
  # gather with two batch dimensions.
  logits = layers.conv2d(inputs, num_masks, 1, **settings)
  rows = tf.one_hot(classes, num_masks, dtype=logits.dtype)
  return tf.reduce_sum(logits * rows[:, tf.newaxis, tf.newaxis, :], axis=3)


def upsampled_conv2d_of_class(
    inputs: tf.Tensor, num_masks: int, classes: tf.Tensor, factor: int,
    name: str, kernel_initializer: Optional[tensor_types.Initializer] = None,
    bias_initializer: Optional[tensor_types.Initializer] = None) -> tf.Tensor:
  """A transposed convolution, then a convolution, as one product.

  Nothing stands between the two, so their kernels can be multiplied first, for
  the class that is wanted: there is never a map of C channels at the size of
  the result, which of 100 detections would take 800 MB.

  Args:
    inputs: [N, H, W, C], H and W static.
    num_masks: int, channels of the second convolution.
    classes: int32 [N], the channel that is wanted, from 0.
    factor: int, k; kernel size and stride of the first one.
    name: the name of the second one. The first one has no name of its own.
    kernel_initializer: the initializer of the second one.
    bias_initializer: the initializer of the second one.

  Returns:
    [N, H * k, W * k], logits.
  """
  _, height, width, channels = inputs.shape.as_list()
  num_pixels, dtype = factor * factor, inputs.dtype
  if convolution.is_plain():
    maps = layers.conv2d_transpose_to_blocks(inputs, channels, factor)
    return layers.blocks_to_image(conv2d_of_class(
        maps, num_masks, classes, False, name=name,
        kernel_initializer=kernel_initializer,
        bias_initializer=bias_initializer), factor)
  with tf.variable_scope(None, default_name='conv2d_transpose'):
    spread = tf.get_variable(
        'kernel', [factor, factor, channels, channels], dtype)
    spread_bias = tf.get_variable('bias', [channels], dtype,
                                  tf.zeros_initializer())
  with tf.variable_scope(name):
    kernel = tf.get_variable('kernel', [1, 1, channels, num_masks], dtype,
                             kernel_initializer)
    bias = tf.get_variable('bias', [num_masks], dtype, bias_initializer)
  # Products with one-hot rows: exact, and their gradient is dense.
  rows = tf.one_hot(classes, num_masks, dtype=dtype)
  chosen = tf.matmul(rows, tf.reshape(kernel, [channels, num_masks]),
                     transpose_b=True)  # [N, C]
  bias = (tf.matmul(rows, tf.reshape(bias, [num_masks, 1])) +
          tf.matmul(chosen, tf.reshape(spread_bias, [channels, 1])))
  # [C out, k * k * C in], then for every RoI [C in, k * k].
  spread = tf.reshape(tf.transpose(
      tf.reshape(spread, [num_pixels, channels, channels]), [1, 0, 2]),
                      [channels, num_pixels * channels])
  product = tf.reshape(tf.matmul(chosen, spread), [-1, num_pixels, channels])
  blocks = tf.matmul(tf.reshape(inputs, [-1, height * width, channels]),
                     product, transpose_b=True)
  blocks = tf.reshape(blocks + tf.expand_dims(bias, 2),
                      [-1, height, width * num_pixels])
  return layers.blocks_to_image(blocks, factor)
