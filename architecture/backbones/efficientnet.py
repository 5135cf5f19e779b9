"""EfficientNet, arXiv:1905.11946, as a backbone: without the ImageNet head.

A classifier has that head where its configuration says
classification_head.endpoints_num_filters: 1280.
"""

import functools
import math
from typing import NamedTuple, Optional

import tensorflow.compat.v1 as tf

from architecture import inverted_bottlenecks
from architecture import layers
from architecture import normalization
from architecture import recompute
from configs import base
from ops import tensor_types

# name: (factor on the filters, factor on the repeats).
_LITE_SCALINGS = {
    'efficientnet-lite0': (1.0, 1.0),
    'efficientnet-lite1': (1.0, 1.1),
    'efficientnet-lite2': (1.1, 1.2),
    'efficientnet-lite3': (1.2, 1.4),
    'efficientnet-lite4': (1.4, 1.8),
}
_SCALINGS = {
    'efficientnet-b0': (1.0, 1.0),
    'efficientnet-b1': (1.0, 1.1),
    'efficientnet-b2': (1.1, 1.2),
    'efficientnet-b3': (1.2, 1.4),
    'efficientnet-b4': (1.4, 1.8),
    'efficientnet-b5': (1.6, 2.2),
    'efficientnet-b6': (1.8, 2.6),
    'efficientnet-b7': (2.0, 3.1),
    'efficientnet-b8': (2.2, 3.6),
    'efficientnet-l2': (4.3, 5.3),
    **_LITE_SCALINGS,
}
NAMES = tuple(sorted(_SCALINGS))


class _Stage(NamedTuple):
  """A stage of the network: blocks of one kind.

  Attributes:
    repeats: how many blocks.
    kernel_size: kernel size of the depthwise convolutions.
    strides: strides of the first block.
    expand_ratio: channels within a block, as a factor on those that come in.
    filters: channels of the result.
  """
  repeats: int
  kernel_size: int
  strides: int
  expand_ratio: int
  filters: int


_STAGES = tuple(_Stage(*row) for row in (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320)))
_STEM_FILTERS = 32
_MIN_LEVEL, _MAX_LEVEL = 2, 5

_SE_RATIO = 0.25
NORMALIZATION_NAME = 'tpu_batch_normalization'  # in checkpoints


class EfficientNet:
  """Stages of inverted bottlenecks, as features of levels 2 to 5.

  The Lite variants have no squeeze-and-excitation, and neither their stem nor
  the number of blocks of the first and the last stage is scaled.
  """

  def __init__(self, name: str, norm_activation: tensor_types.Layer,
               init_drop_connect_rate: Optional[float] = None,
               recompute_blocks: bool = False) -> None:
    """Takes the settings.

    Args:
      name: one of NAMES.
      norm_activation: normalization.BatchNormActivation, its layers named
        NORMALIZATION_NAME.
      init_drop_connect_rate: float in [0, 1] or None, share of the samples for
        which the last block is left out in training; it rises linearly to it,
        from block to block.
      recompute_blocks: whether training keeps the inputs of blocks only.

    Raises:
      ValueError: for another name.
    """
    if name not in _SCALINGS:
      raise ValueError('architecture.backbone must be one of %s, not %r.'
                       % (', '.join(NAMES), name))
    self._name = name
    self._recompute_blocks = recompute_blocks
    self._width, self._depth = _SCALINGS[name]
    self._is_lite = name in _LITE_SCALINGS
    self._norm_activation = norm_activation
    self._drop_connect_rate = init_drop_connect_rate
    # The variance of the paper's code: 2 / fan out.
    self._initializer = layers.he_normal_initializer()
    self._mbconv = inverted_bottlenecks.MobileBlockBuilder(
        norm_activation, None if self._is_lite else _SE_RATIO, se_scope='se',
        padding='SAME', kernel_initializer=self._initializer,
        se_activation=norm_activation.activate)

  def __call__(self, images: tf.Tensor,
               is_training: bool) -> tensor_types.Levels:
    """Runs the network in a variable scope of its name.

    Args:
      images: [B, H, W, 3].
      is_training: Python bool.

    Returns:
      {2..5: [B, H / 2**level, W / 2**level, C]}, sizes rounded up.
    """
    with tf.variable_scope(self._name):
      with tf.variable_scope('stem'):
        x = layers.conv2d_without_bias(
            images, _STEM_FILTERS if self._is_lite
            else self._filters(_STEM_FILTERS), 3, 2, 'SAME', self._initializer)
        x = self._norm_activation(x, is_training)
      return self._blocks(x, is_training)

  def _blocks(self, x, is_training):
    """All stages, on the stem's [B, H / 2, W / 2, C]."""
    features, level = {}, 1
    blocks = [(stage, repeat) for stage in _STAGES
              for repeat in range(self._repeats(stage))]
    for i, (stage, repeat) in enumerate(blocks):
      strides = stage.strides if repeat == 0 else 1
      level += strides == 2
      with tf.variable_scope('blocks_%d' % i):
        build = functools.partial(
            self._mbconv, filters=self._filters(stage.filters),
            strides=strides, is_training=is_training,
            expand_ratio=stage.expand_ratio, kernel_size=stage.kernel_size,
            drop_connect_rate=self._rate(i, len(blocks)))
        x = recompute.run_if(self._recompute_blocks and is_training, build, x)
      if level >= _MIN_LEVEL:
        features[level] = x  # The last block of a level remains.
    return features

  def _rate(self, i, num_blocks):
    """The rate of stochastic depth in block i; None: off."""
    return self._drop_connect_rate and self._drop_connect_rate * i / num_blocks

  def _filters(self, filters):
    """Scales a number of filters, to a multiple of 8."""
    scaled = filters * self._width
    rounded = max(8, int(scaled + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * scaled else rounded + 8

  def _repeats(self, stage):
    if self._is_lite and stage in (_STAGES[0], _STAGES[-1]):
      return stage.repeats
    return int(math.ceil(stage.repeats * self._depth))


def build(config: base.Config,
          norm_activation: tensor_types.Layer) -> EfficientNet:
  """The EfficientNet of sections `efficientnet` and `architecture`.

  Of `batch_norm_activation` only `batch_norm_trainable` reaches it.
  """
  del norm_activation
  return _build(config, config.efficientnet)


def build_lite(config: base.Config,
               norm_activation: tensor_types.Layer) -> EfficientNet:
  """`build` of section `efficientnet_lite`."""
  del norm_activation
  return _build(config, config.efficientnet_lite)


def _build(config, section):
  return EfficientNet(
      config.architecture.backbone,
      norm_activation=normalization.BatchNormActivation(
          momentum=section.batch_norm_momentum,
          epsilon=section.batch_norm_epsilon,
          trainable=config.batch_norm_activation.batch_norm_trainable,
          use_sync_bn=section.use_sync_bn, activation=section.activation,
          layer_name=NORMALIZATION_NAME),
      init_drop_connect_rate=section.init_drop_connect_rate,
      recompute_blocks=config.train.recompute_activations)
