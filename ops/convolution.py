"""The convolution of all networks, in forms that suit CPUs.

TF 1.15 computes the two gradients of a convolution on a CPU at half the speed
of the convolution. Both are convolutions again, and with a kernel of one pixel
matrix products: in these forms they are as fast as those. TF 2.15, GPUs and
TPUs have kernels that are fast by themselves.

On small maps a CPU spends more time on the kernel, which it reorders, than on
the map: the small maps of a pyramid share one convolution.
"""

from typing import List, Sequence

import tensorflow.compat.v1 as tf

from ops import compat

# Below, turning a large kernel around takes longer than it saves.
_MIN_PIXELS = 256

_GRADIENT = 'ConvolutionGradientForCpu'

# Cells of the largest map that shares a convolution with smaller ones. For
# larger ones, the gaps between the maps cost more than sharing saves.
_MAX_SHARED_CELLS = 576

_KEEP_PLAIN = 'plain_layers'  # graph collection


def keep_plain() -> None:
  """From now on, this graph is built plainly, layer after layer.

  For counting operations as papers do: a convolution of several maps also
  computes the gaps between them, and layers that are multiplied first compute
  less.
  """
  tf.add_to_collection(_KEEP_PLAIN, True)


def is_plain() -> bool:
  """Whether `keep_plain` was called for the graph that is being built."""
  return bool(tf.get_collection(_KEEP_PLAIN))


def conv2d(inputs: tf.Tensor, kernel: tf.Tensor, strides: int = 1,
           padding: str = 'SAME') -> tf.Tensor:
  """Convolution without bias.

  Args:
    inputs: [B, H, W, C].
    kernel: [k, k, C, F].
    strides: int.
    padding: 'SAME' or 'VALID'.

  Returns:
    [B, ceil(H / strides), ceil(W / strides), F] with 'SAME' padding, with
    'VALID' [B, ceil((H - k + 1) / strides), ceil((W - k + 1) / strides), F].
  """
  kind = 'Conv2D'
  if compat.HAS_SLOW_CONVOLUTION_GRADIENTS and _is_for_cpu():
    if kernel.shape[:2].as_list() == [1, 1] and strides > 1:
      inputs, strides = inputs[:, ::strides, ::strides], 1
    if _suits(inputs, kernel, strides, padding):
      kind = _GRADIENT
  with tf.get_default_graph().gradient_override_map({'Conv2D': kind}):
    return tf.nn.conv2d(inputs, kernel, strides=[1, strides, strides, 1],
                        padding=padding)


def conv2d_of_maps(maps: Sequence[tf.Tensor],
                   kernel: tf.Tensor) -> List[tf.Tensor]:
  """The same convolution of several maps, with stride 1 and 'SAME' padding.

  Args:
    maps: list of [B, h, w, C], largest first.
    kernel: [k, k, C, F].

  Returns:
    List of [B, h, w, F].
  """
  small = [x for x in maps if _is_small(x)]
  if len(small) < 2 or kernel.shape[0] == 1 or not _is_for_cpu():
    return [conv2d(x, kernel) for x in maps]
  outputs = [conv2d(x, kernel) for x in maps if not _is_small(x)]
  canvas, corners = _pack(small, kernel.shape[0].value // 2)
  canvas = conv2d(canvas, kernel)
  for x, (row, column) in zip(small, corners):
    height, width = x.shape.as_list()[1:3]
    outputs.append(canvas[:, row:row + height, column:column + width])
  return outputs


def _is_small(x):
  cells = x.shape[1:3].num_elements()
  return cells is not None and cells <= _MAX_SHARED_CELLS


def _pack(maps, gap):
  """Puts maps side by side, separated by zeros as 'SAME' padding is.

  Args:
    maps: list of [B, h, w, C], h and w static, largest first.
    gap: int, cells between neighbours.

  Returns:
    The canvas [B, H, W, C]: the first map on the left, the others below each
    other on its right: those of a pyramid together are about as high.
    List of the (row, column) of each map's corner.
  """
  sizes = [x.shape.as_list()[1:3] for x in maps]
  column = sizes[0][1] + gap
  corners = [(0, 0)]
  row = 0
  for height, _ in sizes[1:]:
    corners.append((row, column))
    row += height + gap
  height = max(sizes[0][0], row - gap)
  right = tf.concat(
      [_pad_to(x, size[0] + gap, sizes[1][1])
       for x, size in zip(maps[1:-1], sizes[1:-1])]
      + [_pad_to(maps[-1], height - corners[-1][0], sizes[1][1])], axis=1)
  return tf.concat([_pad_to(maps[0], height, column), right], axis=2), corners


def _pad_to(x, height, width):
  """Adds rows and columns of zeros at the end."""
  return tf.pad(x, [[0, 0], [0, height - x.shape[1].value],
                    [0, width - x.shape[2].value], [0, 0]])


def _is_for_cpu():
  return not (compat.has_gpu() or compat.in_xla_context()
              or is_plain())


def _suits(inputs, kernel, strides, padding):
  """Whether the gradients of this convolution should be written out."""
  if strides != 1 or kernel.shape[0] != kernel.shape[1]:
    return False
  if kernel.shape[0] == 1:
    return True
  pixels = inputs.shape[:3].num_elements()
  # Of an even kernel 'SAME' pads one side more, its gradient the other one.
  return (padding == 'SAME' and kernel.shape[0].value % 2 == 1
          and pixels is not None and pixels >= _MIN_PIXELS)


@tf.RegisterGradient(_GRADIENT)
def _gradients(op, d_outputs):
  """The gradients of the inputs and the kernel of an operation Conv2D."""
  inputs, kernel = op.inputs
  if kernel.shape[0] == 1:
    return _gradients_of_product(inputs, kernel, d_outputs)
  turned = tf.transpose(tf.reverse(kernel, [0, 1]), [0, 1, 3, 2])
  d_inputs = tf.nn.conv2d(d_outputs, turned, strides=[1] * 4, padding='SAME')
  # Every kernel element is a sum over all pixels of the batch: a convolution
  # whose kernel is the whole gradient, with channels and batch exchanged.
  margin = kernel.shape[0].value // 2
  around = [margin, margin]
  images = tf.pad(inputs, [[0, 0], around, around, [0, 0]])
  d_kernel = tf.nn.conv2d(
      tf.transpose(images, [3, 1, 2, 0]),
      tf.transpose(d_outputs, [1, 2, 0, 3]), strides=[1] * 4, padding='VALID')
  return d_inputs, tf.transpose(d_kernel, [1, 2, 0, 3])


def _gradients_of_product(inputs, kernel, d_outputs):
  """The gradients where every pixel is multiplied separately."""
  matrix = tf.squeeze(kernel, [0, 1])
  channels, filters = matrix.shape.as_list()
  rows = tf.reshape(inputs, [-1, channels])
  d_rows = tf.reshape(d_outputs, [-1, filters])
  d_inputs = tf.matmul(d_rows, matrix, transpose_b=True)
  d_kernel = tf.matmul(rows, d_rows, transpose_a=True)
  return (tf.reshape(d_inputs, tf.shape(inputs)),
          tf.reshape(d_kernel, tf.shape(kernel)))
