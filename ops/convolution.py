"""The convolution of all networks, with gradients that suit CPUs of TF 1.15.

TF 1.15 computes the two gradients of a convolution on a CPU at half the speed
of the convolution. Both are convolutions again, and with a kernel of one pixel
matrix products: written so, they are as fast as those. TF 2.15, GPUs and TPUs
have kernels that are fast by themselves.
"""

import tensorflow.compat.v1 as tf

from ops import compat

# Below, turning the kernel around takes longer than it saves.
_MIN_PIXELS = 256

_GRADIENT = 'ConvolutionGradientForCpu'


def conv2d(inputs, kernel, strides=1, padding='SAME'):
  """Convolution without bias.

  Args:
    inputs: [B, H, W, C].
    kernel: [k, k, C, F].
    strides: int.
    padding: 'SAME' or 'VALID'.

  Returns:
    [B, ceil(H / strides), ceil(W / strides), F] with 'SAME' padding.
  """
  kind = 'Conv2D'
  if _suits(inputs, kernel, strides, padding):
    kind = _GRADIENT
  with tf.get_default_graph().gradient_override_map({'Conv2D': kind}):
    return tf.nn.conv2d(inputs, kernel, strides=[1, strides, strides, 1],
                        padding=padding)


def _suits(inputs, kernel, strides, padding):
  """Whether the gradients of this convolution should be written out."""
  if (not compat.HAS_SLOW_CONVOLUTION_GRADIENTS or compat.has_gpu()
      or compat.in_xla_context()):
    return False
  pixels = inputs.shape[:3].num_elements()
  # Of an even kernel 'SAME' pads one side more, its gradient the other one.
  return (strides == 1 and padding == 'SAME'
          and kernel.shape[0] == kernel.shape[1]
          and kernel.shape[0].value % 2 == 1
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
  """The gradients where every pixel is multiplied for itself."""
  matrix = tf.squeeze(kernel, [0, 1])
  channels, filters = matrix.shape.as_list()
  rows = tf.reshape(inputs, [-1, channels])
  d_rows = tf.reshape(d_outputs, [-1, filters])
  d_inputs = tf.matmul(d_rows, matrix, transpose_b=True)
  d_kernel = tf.matmul(rows, d_rows, transpose_a=True)
  return (tf.reshape(d_inputs, tf.shape(inputs)),
          tf.reshape(d_kernel, tf.shape(kernel)))
