"""Convolutions and stochastic regularizers.

Layers are functions on tf.get_variable. An unnamed layer is called conv2d,
conv2d_1 and so on, counted within the enclosing variable scope, so the order of
calls is part of what a checkpoint depends on.
"""

from typing import List, Optional, Tuple, Union

import tensorflow.compat.v1 as tf

from architecture import recompute
from configs import base
from ops import compat
from ops import convolution
from ops import random_numbers
from ops import tensor_types

# Padding by the size of the kernel alone; see `conv2d_fixed_padding`.
FIXED = 'FIXED'


def he_normal_initializer() -> tensor_types.Initializer:
  """Standard deviation sqrt(2 / fan out); arXiv:1502.01852, not truncated."""
  return tf.variance_scaling_initializer(
      scale=2., mode='fan_out', distribution='untruncated_normal')


def conv2d_fixed_padding(inputs: tf.Tensor, filters: int, kernel_size: int,
                         strides: int = 1,
                         name: Optional[str] = None) -> tf.Tensor:
  """Convolution without bias, the kind that backbones stack.

  Padding of a strided convolution does not depend on the size of the input, as
  that of 'SAME' does.

  Args:
    inputs: [B, H, W, C].
    filters: int, channels of the result.
    kernel_size: int.
    strides: int.
    name: the name of the layer, by default conv2d, conv2d_1 and so on.

  Returns:
    [B, ceil(H / strides), ceil(W / strides), filters].
  """
  return conv2d_without_bias(inputs, filters, kernel_size, strides, name=name)


def conv2d_without_bias(
    inputs: tf.Tensor, filters: int, kernel_size: int, strides: int = 1,
    padding: str = FIXED,
    kernel_initializer: Optional[tensor_types.Initializer] = None,
    name: Optional[str] = None) -> tf.Tensor:
  """`conv2d_fixed_padding` with other paddings and initializers.

  Args:
    inputs: [B, H, W, C].
    filters: int, channels of the result.
    kernel_size: int.
    strides: int.
    padding: FIXED, or 'SAME' of TensorFlow.
    kernel_initializer: by default truncated normal, variance 1 / fan in.
    name: the name of the layer, by default conv2d, conv2d_1 and so on.

  Returns:
    [B, ceil(H / strides), ceil(W / strides), filters].
  """
  with tf.variable_scope(name, default_name='conv2d'):
    kernel = tf.get_variable(
        'kernel', [kernel_size, kernel_size, _channels(inputs), filters],
        inputs.dtype, kernel_initializer or tf.variance_scaling_initializer())
    inputs, padding = pad(inputs, kernel_size, strides, padding)
    return convolution.conv2d(inputs, kernel, strides, padding)


def pad(inputs: tf.Tensor, kernel_size: int, strides: int,
        padding: str) -> Tuple[tf.Tensor, str]:
  """Pads for a convolution with FIXED padding.

  Args:
    inputs: [B, H, W, C].
    kernel_size: int.
    strides: int.
    padding: FIXED, or one of TensorFlow's, which leaves the inputs as they are.

  Returns:
    The inputs, with FIXED padding [B, H + kernel_size - 1, W + kernel_size - 1,
    C] where `strides` is above 1, and the padding of TensorFlow that is left.
  """
  if padding != FIXED:
    return inputs, padding
  if strides == 1:
    return inputs, 'SAME'
  return pad_spatially(inputs, kernel_size), 'VALID'


def dilated_conv2d(inputs: tf.Tensor, filters: int, kernel_size: int,
                   rate: int = 1, name: Optional[str] = None) -> tf.Tensor:
  """Convolution without bias whose kernel reads every `rate`-th pixel.

  Args:
    inputs: [B, H, W, C].
    filters: int, channels of the result.
    kernel_size: int.
    rate: int, distance between pixels that are next to each other in the
      kernel.
    name: the name of the layer, by default conv2d, conv2d_1 and so on.

  Returns:
    [B, H, W, filters], 'SAME' padding.

  Source: atrous convolution, arXiv:1606.00915.
  """
  with tf.variable_scope(name, default_name='conv2d'):
    kernel = tf.get_variable(
        'kernel', [kernel_size, kernel_size, _channels(inputs), filters],
        inputs.dtype)
    if rate == 1:
      return convolution.conv2d(inputs, kernel)
    # CPU kernels have no gradient of dilated convolutions: every `rate`-th
    # pixel becomes an image of its own.
    return tf.nn.with_space_to_batch(
        inputs, dilation_rate=[rate, rate], padding='SAME',
        filter_shape=tf.constant([kernel_size, kernel_size]),
        op=lambda images, num_spatial_dims, padding: tf.nn.conv2d(
            images, kernel, strides=[1] * 4, padding=padding))


def pad_spatially(inputs: tf.Tensor, kernel_size: int) -> tf.Tensor:
  """Pads height and width by kernel_size - 1 zeros, the odd one at the end.

  Args:
    inputs: [B, H, W, C].
    kernel_size: int.

  Returns:
    [B, H + kernel_size - 1, W + kernel_size - 1, C].
  """
  if kernel_size == 1:
    return inputs
  before = (kernel_size - 1) // 2
  after = kernel_size - 1 - before
  return tf.pad(inputs, [[0, 0], [before, after], [before, after], [0, 0]])


def conv2d(inputs: Union[tf.Tensor, tensor_types.Levels], filters: int,
           kernel_size: int, strides: int = 1, use_separable_conv: bool = False,
           kernel_initializer: Optional[tensor_types.Initializer] = None,
           pointwise_initializer: Optional[tensor_types.Initializer] = None,
           bias_initializer: Optional[tensor_types.Initializer] = None,
           name: Optional[str] = None) -> Union[tf.Tensor, tensor_types.Levels]:
  """Convolution with bias and 'SAME' padding, the kind of decoders and heads.

  Args:
    inputs: [B, H, W, C], or {level: [B, h, w, C]} for a convolution that all
      levels share, with stride 1.
    filters: int, channels of the result.
    kernel_size: int.
    strides: int.
    use_separable_conv: whether to use a depthwise and a pointwise kernel, with
      nothing in between, instead of one dense kernel.
    kernel_initializer: the initializer of the dense kernel; by default Glorot
      uniform.
    pointwise_initializer: the same of the pointwise kernel. The initializer
      of a dense kernel does not suit: two kernels in a row multiply.
    bias_initializer: by default zeros.
    name: the name of the layer, by default (separable_)conv2d,
      (separable_)conv2d_1 and so on.

  Returns:
    [B, ceil(H / strides), ceil(W / strides), filters], or a dict of such.
  """
  default_name = 'separable_conv2d' if use_separable_conv else 'conv2d'
  is_shared = isinstance(inputs, dict)
  # From the finest level to the coarsest.
  maps = [inputs[level] for level in sorted(inputs)] if is_shared else [inputs]
  with tf.variable_scope(name, default_name=default_name):
    kernels = _kernels(maps[0], filters, kernel_size, use_separable_conv,
                       kernel_initializer, pointwise_initializer)
    if use_separable_conv:
      outputs = [tf.nn.separable_conv2d(
          x, kernels[0], kernels[1], [1, strides, strides, 1], 'SAME')
                 for x in maps]
    elif is_shared:
      outputs = convolution.conv2d_of_maps(maps, kernels[0])
    else:
      outputs = [convolution.conv2d(inputs, kernels[0], strides)]
    bias = _bias(filters, maps[0].dtype, bias_initializer)
    outputs = [tf.nn.bias_add(x, bias) for x in outputs]
  return dict(zip(sorted(inputs), outputs)) if is_shared else outputs[0]


def conv2d_of_chosen(
    inputs: tf.Tensor, filters: int, chosen: tf.Tensor,
    use_separable_conv: bool = False,
    kernel_initializer: Optional[tensor_types.Initializer] = None,
    pointwise_initializer: Optional[tensor_types.Initializer] = None,
    bias_initializer: Optional[tensor_types.Initializer] = None,
    name: Optional[str] = None) -> tf.Tensor:
  """One channel, another for each input, of `conv2d` with kernel size 1.

  Has the variables of `conv2d`, but does not compute the other channels.

  Args:
    inputs: [N, H, W, C], H and W static, or a list of such.
    filters: int, number of channels of the convolution.
    chosen: int32 [N], the channel that is computed, from 0.
    use_separable_conv: as in `conv2d`, like the following.
    kernel_initializer: see there.
    pointwise_initializer: see there.
    bias_initializer: see there.
    name: the name of the layer, by default (separable_)conv2d,
      (separable_)conv2d_1 and so on.

  Returns:
    [N, H, W], or a list of such.
  """
  maps = inputs if isinstance(inputs, list) else [inputs]
  channels, dtype = _channels(maps[0]), maps[0].dtype
  default_name = 'separable_conv2d' if use_separable_conv else 'conv2d'
  with tf.variable_scope(name, default_name=default_name):
    kernels = _kernels(maps[0], filters, 1, use_separable_conv,
                       kernel_initializer, pointwise_initializer)
    kernel = tf.reshape(kernels[-1], [channels, filters])
    if use_separable_conv:
      kernel *= tf.reshape(kernels[0], [channels, 1])
    bias = _bias(filters, dtype, bias_initializer)
    # Products with one-hot rows: exact, and their gradient is dense.
    rows = tf.one_hot(chosen, filters, dtype=dtype)
    kernel = tf.matmul(rows, kernel, transpose_b=True)
    bias = tf.matmul(rows, tf.reshape(bias, [filters, 1]))
    product = _product_by_xla if compat.in_xla_context() else _product
    outputs = [product(x, kernel, bias) for x in maps]
  return outputs if isinstance(inputs, list) else outputs[0]


def _product(x, kernel, bias):
  """[N, H, W] of a map [N, H, W, C], kernels [N, C] and biases [N, 1]."""
  _, height, width, channels = x.shape.as_list()
  outputs = tf.matmul(tf.reshape(x, [-1, height * width, channels]),
                      tf.expand_dims(kernel, 2))
  return tf.reshape(outputs + tf.expand_dims(bias, 2), [-1, height, width])


def _product_by_xla(x, kernel, bias):
  """`_product` in the layout of the map: reshaping would copy all of it."""
  kernel, bias = [
      tf.expand_dims(tf.expand_dims(values, 1), 1) for values in (kernel, bias)]
  # XLA fuses the casts; the sums are float32, as those of a product are.
  outputs = tf.reduce_sum(
      tf.cast(x, tf.float32) * tf.cast(kernel, tf.float32), axis=3)
  return tf.cast(outputs, x.dtype) + tf.squeeze(bias, 3)


def conv2d_transpose_to_blocks(
    inputs: tf.Tensor, filters: int, kernel_size: int,
    kernel_initializer: Optional[tensor_types.Initializer] = None,
    name: Optional[str] = None) -> tf.Tensor:
  """Transposed convolution with bias whose stride is its kernel size.

  Each input pixel makes a block of output pixels, which is a matrix product.
  To put the blocks side by side takes as long again, so it is left to
  `blocks_to_image`, for when there are fewer channels: what works pixel by
  pixel, or on all pixels alike, can do so before.

  Args:
    inputs: [B, H, W, C], H and W static.
    filters: int, channels of the result.
    kernel_size: int, k; output pixels of an input pixel in each direction.
    kernel_initializer: by default Glorot uniform.
    name: the name of the layer, by default conv2d_transpose, _1, _2 and so on.

  Returns:
    [B, H, W * k * k, filters], k x k pixels after k x k pixels.
  """
  _, height, width, channels = inputs.shape.as_list()
  num_pixels = kernel_size * kernel_size
  with tf.variable_scope(name, default_name='conv2d_transpose'):
    kernel = _transposed_kernel(inputs, filters, kernel_size,
                                kernel_initializer)
    matrix = tf.transpose(tf.reshape(kernel, [num_pixels * filters, channels]))
    blocks = tf.matmul(tf.reshape(inputs, [-1, channels]), matrix)
    outputs = tf.reshape(blocks, [-1, height, width * num_pixels, filters])
    return tf.nn.bias_add(outputs, _bias(filters, inputs.dtype))


def conv2d_transpose_to_maps(
    inputs: tf.Tensor, filters: int, kernel_size: int,
    kernel_initializer: Optional[tensor_types.Initializer] = None,
    name: Optional[str] = None) -> List[tf.Tensor]:
  """`conv2d_transpose_to_blocks` with a map for each pixel of the blocks.

  For XLA: on a TPU blocks are a copy of the largest map of a mask head, and
  their gradient another.

  Args:
    inputs: [B, H, W, C].
    filters: int, channels of the result.
    kernel_size: int, k.
    kernel_initializer: by default Glorot uniform.
    name: the name of the layer, by default conv2d_transpose, _1, _2 and so on.

  Returns:
    List of k * k maps [B, H, W, filters], row by row of a block.
  """
  with tf.variable_scope(name, default_name='conv2d_transpose'):
    kernel = _transposed_kernel(inputs, filters, kernel_size,
                                kernel_initializer)
    bias = _bias(filters, inputs.dtype)
    kernels = tf.unstack(tf.reshape(
        kernel, [kernel_size**2, 1, 1, filters, _channels(inputs)]))
    return [tf.nn.bias_add(convolution.conv2d(
        inputs, tf.transpose(one, [0, 1, 3, 2])), bias) for one in kernels]


def _transposed_kernel(inputs, filters, kernel_size, initializer):
  return tf.get_variable(
      'kernel', [kernel_size, kernel_size, filters, _channels(inputs)],
      inputs.dtype, initializer)


def blocks_to_image(blocks: tf.Tensor, kernel_size: int) -> tf.Tensor:
  """Puts the pixels of `conv2d_transpose_to_blocks` in their places.

  Args:
    blocks: [B, H, W * k * k], static but for B.
    kernel_size: int, k.

  Returns:
    [B, H * k, W * k].
  """
  k, (height, width) = kernel_size, blocks.shape.as_list()[1:]
  pixels = tf.reshape(blocks, [-1, height, width // (k * k), k, k])
  pixels = tf.transpose(pixels, [0, 1, 3, 2, 4])
  return tf.reshape(pixels, [-1, height * k, width // k])


def blocks_to_map(blocks: tf.Tensor, kernel_size: int) -> tf.Tensor:
  """`blocks_to_image` for features.

  Args:
    blocks: [B, H, W * k * k, C], static but for B.
    kernel_size: int, k.

  Returns:
    [B, H * k, W * k, C].
  """
  k, (height, width, channels) = kernel_size, blocks.shape.as_list()[1:]
  pixels = tf.reshape(blocks, [-1, height, width // (k * k), k, k * channels])
  pixels = tf.transpose(pixels, [0, 1, 3, 2, 4])
  return tf.reshape(pixels, [-1, height * k, width // k, channels])


def dense(inputs: tf.Tensor, units: int,
          kernel_initializer: Optional[tensor_types.Initializer] = None,
          name: Optional[str] = None) -> tf.Tensor:
  """Matrix product with bias.

  Args:
    inputs: [N, C].
    units: int, width of the result.
    kernel_initializer: by default Glorot uniform.
    name: the name of the layer, by default dense, dense_1 and so on.

  Returns:
    [N, units].
  """
  with tf.variable_scope(name, default_name='dense'):
    kernel = tf.get_variable('kernel', [_channels(inputs), units], inputs.dtype,
                             kernel_initializer)
    return tf.nn.bias_add(tf.matmul(inputs, kernel),
                          _bias(units, inputs.dtype))


def _kernels(inputs, filters, kernel_size, use_separable_conv,
             kernel_initializer, pointwise_initializer):
  """[dense kernel], or [depthwise kernel, pointwise kernel]."""
  channels, dtype = _channels(inputs), inputs.dtype
  sides = [kernel_size, kernel_size]
  if not use_separable_conv:
    return [tf.get_variable('kernel', sides + [channels, filters], dtype,
                            kernel_initializer)]
  return [tf.get_variable('depthwise_kernel', sides + [channels, 1], dtype),
          tf.get_variable('pointwise_kernel', [1, 1, channels, filters], dtype,
                          pointwise_initializer)]


def _bias(size, dtype, initializer=None):
  return tf.get_variable('bias', [size], dtype,
                         initializer or tf.zeros_initializer())


def _channels(inputs):
  return inputs.shape.as_list()[-1]


def drop_connect(inputs: tf.Tensor, is_training: bool,
                 rate: Optional[float]) -> tf.Tensor:
  """Drops the entire input of random samples of a batch (stochastic depth).

  Args:
    inputs: [B, ...], floating type.
    is_training: Python bool; otherwise nothing is dropped.
    rate: float in [0, 1), the share of samples that become zero, or None. The
      others are scaled up, so that the mean stays.

  Returns:
    Same shape and type as `inputs`.

  Raises:
    ValueError: if the rate is not in [0, 1).

  Source: arXiv:1603.09382.
  """
  if not rate:
    return inputs
  if not 0. <= rate < 1.:
    raise ValueError('A drop connect rate must be in [0, 1), not %s.' % rate)
  if not is_training:
    return inputs
  with tf.name_scope('drop_connect'):
    keep_prob = 1. - rate
    shape = [tf.shape(inputs)[0]] + [1] * (inputs.shape.rank - 1)
    return inputs * _kept_share(keep_prob, shape, inputs.dtype)


def _kept_share(keep_prob, shape, dtype):
  """Zeros, and 1 / keep_prob for a share `keep_prob` of the values."""
  # Drawn in float32: bfloat16 has too few values for an exact rate.
  draws = recompute.remembered(lambda: random_numbers.uniform(shape))
  return tf.cast(tf.floor(keep_prob + draws) / keep_prob, dtype)


def dropout(inputs: tf.Tensor, is_training: bool, rate: float) -> tf.Tensor:
  """Drops values, each on its own; arXiv:1207.0580.

  Args:
    inputs: [...], floating type.
    is_training: Python bool; otherwise nothing is dropped.
    rate: float in [0, 1), the share of values that become zero. The others are
      scaled up, so that the mean stays.

  Returns:
    Same shape and type as `inputs`.
  """
  if not is_training or not rate:
    return inputs
  with tf.name_scope('dropout'):
    return inputs * _kept_share(1. - rate, tf.shape(inputs), inputs.dtype)


class DropBlock:
  """Drops square regions of feature maps in training; arXiv:1810.12890."""

  def __init__(self, keep_prob: Optional[float] = None,
               size: Optional[int] = None) -> None:
    """Takes the settings of section `dropblock`.

    Args:
      keep_prob: float in (0, 1], the share of values that should stay; None or
        1 drops nothing.
      size: int, height and width of the regions.

    Raises:
      ValueError: if keep_prob is out of range or set without a size.
    """
    if keep_prob is not None:
      if not 0. < keep_prob <= 1.:
        raise ValueError('dropblock_keep_prob must be in (0, 1], not %s.'
                         % keep_prob)
      if keep_prob < 1. and (size is None or size < 1):
        raise ValueError('dropblock_size must be at least 1 where '
                         'dropblock_keep_prob is set, not %s.' % size)
    self._keep_prob = keep_prob
    self._size = size

  @classmethod
  def of_section(cls, section: base.Section) -> 'DropBlock':
    """That of a section `dropblock`.

    Raises:
      ValueError: see `__init__`.
    """
    return cls(section.dropblock_keep_prob, section.dropblock_size)

  def __call__(self, inputs: tf.Tensor, is_training: bool) -> tf.Tensor:
    """Drops regions, each channel on its own.

    Args:
      inputs: [B, H, W, C], H and W static.
      is_training: Python bool; otherwise nothing is dropped.

    Returns:
      Same shape and type as `inputs`, scaled up so that the mean stays.
    """
    if not is_training or self._keep_prob in (None, 1.):
      return inputs
    with tf.name_scope('dropblock'):
      kept = self._kept(inputs)
      share = tf.reduce_mean(kept)
      # All values of a tiny map may be dropped; then the result is zero.
      scale = kept / tf.maximum(share, 1e-6)
      return inputs * tf.cast(scale, inputs.dtype)

  def _kept(self, inputs):
    """float32 [B, H, W, C] of ones and, in dropped regions, zeros."""
    _, height, width, channels = inputs.shape.as_list()
    size = min(self._size, height, width)
    rows, cols = height - size + 1, width - size + 1
    # Regions lie within the map, so fewer seeds have to drop as much.
    seed_rate = ((1. - self._keep_prob) / size**2
                 * (height * width) / (rows * cols))
    draws = recompute.remembered(lambda: random_numbers.uniform(
        [tf.shape(inputs)[0], rows, cols, channels]))
    seeds = tf.cast(draws < seed_rate, tf.float32)
    before, after = size // 2, (size - 1) // 2
    seeds = tf.pad(seeds, [[0, 0], [before, after], [before, after], [0, 0]])
    dropped = tf.nn.max_pool2d(seeds, ksize=size, strides=1, padding='SAME')
    return 1. - dropped
