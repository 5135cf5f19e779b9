"""Variables of models here, made of arrays of other frameworks."""

from typing import Dict, Iterator, NamedTuple, Optional, Sequence, Tuple

import numpy as np

# ops.preprocess: what a network here is given are the colours 0..1, less the
# mean, over the deviation.
_MEAN = np.array([.485, .456, .406])
_STDDEV = np.array([.229, .224, .225])
# Of class 0, which no image has: its score is 0 whatever the others are.
_NEVER = -100.


class Colors(NamedTuple):
  """What a network of another program is given, of colours R, G, B in 0..255.

  It is (colour - mean) / deviation.

  Attributes:
    mean: three numbers.
    deviation: three numbers.
    is_bgr: whether blue comes first; mean and deviation are in the order R, G,
      B all the same.
  """
  mean: Sequence[float]
  deviation: Sequence[float]
  is_bgr: bool = False


OURS = Colors(tuple(255 * _MEAN), tuple(255 * _STDDEV))
# Of Caffe's models, which Keras and detectron2 go on with.
CAFFE_MEAN = (123.68, 116.779, 103.939)


class Variables(Dict[str, np.ndarray]):
  """{name: float32}, with what is made of several arrays."""

  def convolution(self, name: str, kernel: np.ndarray) -> None:
    """`name`/kernel, of [k, k, in, out]."""
    self[name + '/kernel'] = kernel

  def normalization(self, name: str, gamma: np.ndarray, beta: np.ndarray,
                    mean: np.ndarray, variance: np.ndarray,
                    bias: Optional[np.ndarray] = None) -> None:
    """The four variables of batch norm.

    Args:
      name: name of the layer.
      gamma: [C].
      beta: [C].
      mean: [C].
      variance: [C].
      bias: [C] of the convolution before it, which has none here.
    """
    self.update({name + '/gamma': gamma, name + '/beta': beta,
                 name + '/moving_mean': mean if bias is None else mean - bias,
                 name + '/moving_variance': variance})

  def no_normalization(self, name: str, channels: int, epsilon: float) -> None:
    """Batch norm that changes nothing, where the other model has none."""
    zeros, ones = np.zeros(channels, 'f4'), np.ones(channels, 'f4')
    self.normalization(name, np.sqrt(ones + np.float32(epsilon)), zeros, zeros,
                       ones)

  def classifier(self, name: str, kernel: np.ndarray,
                 bias: np.ndarray) -> None:
    """`name`, a dense layer with a class 0 before the others.

    Args:
      name: name of the layer.
      kernel: [C, N].
      bias: [N].
    """
    self[name + '/kernel'] = np.concatenate(
        [np.zeros([len(kernel), 1], 'f4'), kernel], axis=1)
    self[name + '/bias'] = np.concatenate(
        [np.full([1], _NEVER, 'f4'), bias])

  def stem(self, kernel_name: str, mean_name: str, colors: Colors) -> None:
    """Makes the first convolution take colours as they are given here.

    The sum that another mean adds goes into the normalization. At the edge of
    an image it is a little wrong: there the other model has zeros beside its
    own colours.

    Args:
      kernel_name: variable [k, k, 3, C], of the other model's colours.
      mean_name: variable [C] of the normalization behind it.
      colors: Colors of the other model.
    """
    kernel = self[kernel_name].astype(np.float64)
    if colors.is_bgr:
      kernel = kernel[:, :, ::-1]
    deviation = np.asarray(colors.deviation, np.float64)
    scale = 255 * _STDDEV / deviation
    offset = (255 * _MEAN - np.asarray(colors.mean, np.float64)) / deviation
    shift = np.einsum('hwio,i->o', kernel, offset)
    self[kernel_name] = (kernel * scale[:, np.newaxis]).astype('f4')
    self[mean_name] = (self[mean_name] - shift).astype('f4')


def numbered(name: str, number: int) -> str:
  """conv2d, conv2d_1 and so on."""
  return '%s_%d' % (name, number) if number else name


class Unit(NamedTuple):
  """A convolution of a ResNet with its normalization.

  Attributes:
    group: 1 to 4; 0: the stem.
    block: within the group.
    part: 0 for the shortcut, 1 to 3 for the convolutions of the block.
    conv: name of the convolution here.
    norm: name of the normalization.
  """
  group: int
  block: int
  part: int
  conv: str
  norm: str


def resnet_units(depth: int, groups: Tuple[str, Sequence[int]]
                 ) -> Iterator[Unit]:
  """The convolutions in the order in which they are numbered.

  Args:
    depth: depth of the ResNet.
    groups: its entry of architecture.backbones.resnet.GROUPS.
  """
  kind, repeats = groups
  parts = [(0, 0, 0)] + [
      (group, block, part) for group, count in enumerate(repeats, 1)
      for block in range(count)
      for part in range(1 if block else 0, 4 if kind == 'bottleneck' else 3)]
  for number, where in enumerate(parts):
    yield Unit(*where, 'resnet%d/%s' % (depth, numbered('conv2d', number)),
               'resnet%d/%s' % (depth, numbered('batch_normalization', number)))
