"""The table of backbones, and their sections.

`architecture.backbone` names the one in use.
"""

import dataclasses
from typing import Optional

from configs import base
from configs import parts

EFFICIENTNETS = tuple('efficientnet-%s' % v for v in (
    'b0', 'b1', 'b2', 'b3', 'b4', 'b5', 'b6', 'b7', 'b8', 'l2'))
EFFICIENTNET_LITES = tuple('efficientnet-lite%d' % v for v in range(5))


@dataclasses.dataclass(frozen=True)
class ResNet:
  """YAML section `resnet`; arXiv:1512.03385."""
  resnet_depth: int = base.option(
      50, choices=(10, 14, 18, 26, 34, 50, 101, 152, 200))
  # (+) Which convolution of a bottleneck has the stride: 3x3, or 1x1 as in the
  # paper, and in weights of Caffe and Keras.
  strided_conv: str = base.option('3x3', choices=('3x3', '1x1'))
  # (+) Padding before the first pooling: 'same' is TensorFlow's, which begins
  # at an even side's first pixel; 'symmetric' is PyTorch's and Keras'.
  pool_padding: str = base.option('same', choices=('same', 'symmetric'))
  # Final rate of stochastic depth, arXiv:1603.09382; null: off.
  init_drop_connect_rate: Optional[float] = base.option(
      None, at_least=0, below=1)


@dataclasses.dataclass(frozen=True)
class SpineNet:
  """YAML section `spinenet`; arXiv:1912.05027."""
  model_id: str = base.option(
      '49', choices=('49S', '49', '96', '143', '143l', '190'))
  # Final rate of stochastic depth; null: off.
  init_drop_connect_rate: Optional[float] = base.option(
      None, at_least=0, below=1)
  # Resize with tf.image instead of repeating pixels (faster on a TPU).
  use_native_resize_op: bool = False
  # Channels of the pyramid; null: those of the model (128, 256 or 512).
  endpoints_num_filters: Optional[int] = base.option(None, at_least=1)


@dataclasses.dataclass(frozen=True)
class SpineNetMBConv:
  """YAML section `spinenet_mbconv`: SpineNet from mobile blocks."""
  model_id: str = base.option('49', choices=('49XS', '49S', '49'))
  # Width of squeeze-and-excitation, as a part of the block's input.
  se_ratio: float = base.option(0.2, at_least=0, at_most=1)
  # Final rate of stochastic depth; null: off.
  init_drop_connect_rate: Optional[float] = base.option(
      None, at_least=0, below=1)
  # Resize with tf.image instead of repeating pixels.
  use_native_resize_op: bool = False


@dataclasses.dataclass(frozen=True)
class EfficientNet:
  """YAML section `efficientnet` (+); arXiv:1905.11946.

  The defaults are what published weights were trained with. Whether batch norm
  is frozen, batch_norm_activation.batch_norm_trainable says.
  """
  batch_norm_momentum: float = base.option(0.99, at_least=0, at_most=1)
  batch_norm_epsilon: float = base.option(1e-3, above=0)
  activation: str = base.option('swish', choices=('relu', 'relu6', 'swish'))
  # Statistics over all replicas; the moving variance is then the biased one.
  use_sync_bn: bool = True
  # Final rate of stochastic depth; null: off.
  init_drop_connect_rate: Optional[float] = base.option(
      0.2, at_least=0, at_most=1)


@dataclasses.dataclass(frozen=True)
class EfficientNetLite(EfficientNet):
  """YAML section `efficientnet_lite` (+): for mobile devices.

  Without squeeze-and-excitation, with a stem and a head that are not scaled.
  `make weights` brings weights of ImageNet for lite0, lite1 and lite2.
  """
  activation: str = base.option('relu6', choices=('relu', 'relu6', 'swish'))
  use_sync_bn: bool = False


_EFFICIENTNET = parts.Part('architecture.backbones.efficientnet:build',
                           'efficientnet', EfficientNet())
_EFFICIENTNET_LITE = parts.Part(
    'architecture.backbones.efficientnet:build_lite', 'efficientnet_lite',
    EfficientNetLite())
# All that `architecture.backbone` can name. What builds it, its section, what
# makes it another model, and which levels it has: see parts.Part.
BACKBONES = {
    'resnet': parts.Part('architecture.backbones.resnet:build', 'resnet',
                         ResNet(), identity=('resnet_depth',)),
    'spinenet': parts.Part('architecture.backbones.spinenet:build', 'spinenet',
                           SpineNet(), identity=('model_id',), levels=(3, 7)),
    'spinenet_mbconv': parts.Part(
        'architecture.backbones.spinenet_mbconv:build', 'spinenet_mbconv',
        SpineNetMBConv(), identity=('model_id',), levels=(3, 7)),
    **{name: _EFFICIENTNET for name in EFFICIENTNETS},
    **{name: _EFFICIENTNET_LITE for name in EFFICIENTNET_LITES}}
