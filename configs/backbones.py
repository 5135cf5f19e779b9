"""The table of backbones, and their sections.

`architecture.backbone` names the one in use.
"""

import dataclasses
from typing import Optional

from configs import base
from configs import parts

EFFICIENTNETS = tuple('efficientnet-%s' % v for v in (
    'b0', 'b1', 'b2', 'b3', 'b4', 'b5', 'b6', 'b7', 'b8', 'l2'))


@dataclasses.dataclass(frozen=True)
class ResNet:
  """YAML section `resnet`; arXiv:1512.03385."""
  resnet_depth: int = base.option(
      50, choices=(10, 14, 18, 26, 34, 50, 101, 152, 200))
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
  activation: str = base.option('swish', choices=('relu', 'swish'))
  # Statistics over all replicas; the moving variance is then the biased one.
  use_sync_bn: bool = True
  # Final rate of stochastic depth; null: off.
  init_drop_connect_rate: Optional[float] = base.option(
      0.2, at_least=0, at_most=1)


_EFFICIENTNET = parts.Part('architecture.backbones.efficientnet:build',
                           'efficientnet', EfficientNet())
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
    **{name: _EFFICIENTNET for name in EFFICIENTNETS}}
