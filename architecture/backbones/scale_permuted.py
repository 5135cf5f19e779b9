"""Scale-permuted networks, arXiv:1912.05027: what all SpineNets share.

Ordinary backbones go from fine to coarse. Here a search has found the order of
the scales, and of which two earlier features each block is made; a table lists
the blocks, and five of them are the pyramid.
"""

from typing import Any, NamedTuple, Optional, Sequence, Set, Tuple

import tensorflow.compat.v1 as tf

from architecture import layers
from configs import base
from ops import tensor_types


class Block(NamedTuple):
  """A block of the table.

  Attributes:
    level: level of its result, stride 2**level.
    kind: kind of the block, which a network interprets.
    parents: indices of two earlier features; 0 and 1 come from the stem, block
      i makes feature i + 2.
    is_output: whether it is a level of the pyramid; then the features of its
      level that no block has used are added to it.
  """
  level: int
  kind: Any
  parents: Tuple[int, int]
  is_output: bool


class Feature(NamedTuple):
  """What a block makes.

  Attributes:
    values: [B, h, w, C].
    level: level of the block that made it.
    kind: kind of that block.
  """
  values: tf.Tensor
  level: int
  kind: Any


# Where the endpoints of the tables lie.
MIN_LEVEL, MAX_LEVEL = 3, 7


class ScalePermutedNetwork:
  """The graph of a table; a subclass says what stem and blocks are.

  Subclasses define SCOPE, BLOCKS and the methods `_stem`, `_resample` and
  `_block`.
  """
  SCOPE: str  # variable scope of the network
  BLOCKS: Sequence[Block]

  def __init__(self, min_level: int, max_level: int, endpoint_filters: int,
               norm_activation: tensor_types.Layer,
               init_drop_connect_rate: Optional[float] = None) -> None:
    """Takes the settings.

    Args:
      min_level: int, finest level to return, MIN_LEVEL at least.
      max_level: int, coarsest level, MAX_LEVEL at most.
      endpoint_filters: int, channels of the result.
      norm_activation: normalization.BatchNormActivation.
      init_drop_connect_rate: float in [0, 1), rate of stochastic depth in the
        last block; earlier blocks have less. None: off.

    Raises:
      ValueError: for levels or a rate out of range.
    """
    if not MIN_LEVEL <= min_level <= max_level <= MAX_LEVEL:
      raise ValueError(
          'architecture.backbone %r has levels %d to %d, but '
          'architecture.min_level is %d and max_level is %d.'
          % (self.SCOPE, MIN_LEVEL, MAX_LEVEL, min_level, max_level))
    if not 0. <= (init_drop_connect_rate or 0.) < 1.:
      raise ValueError('%s.init_drop_connect_rate must be in [0, 1), not %s.'
                       % (self.SCOPE, init_drop_connect_rate))
    self._levels = range(min_level, max_level + 1)
    self._endpoint_filters = endpoint_filters
    self._norm_activation = norm_activation
    self._drop_connect_rate = init_drop_connect_rate or 0.

  @classmethod
  def of_configuration(
      cls, config: base.Config, norm_activation: tensor_types.Layer,
      **options: Any) -> Any:
    """The network of its section, which has the name SCOPE.

    Args:
      config: experiment.
      norm_activation: normalization.BatchNormActivation.
      **options: further arguments, which other networks do not have.

    Returns:
      An object of this class, whose constructor takes the name of a model
      first.
    """
    section = getattr(config, cls.SCOPE)
    make: Any = cls  # Networks take more than what they share.
    return make(
        section.model_id, config.architecture.min_level,
        config.architecture.max_level, norm_activation,
        init_drop_connect_rate=section.init_drop_connect_rate,
        use_native_resize_op=section.use_native_resize_op,
        recompute_blocks=config.train.recompute_activations, **options)

  def __call__(self, images: tf.Tensor,
               is_training: bool) -> tensor_types.Levels:
    """Runs the network in variable scope SCOPE.

    Args:
      images: [B, H, W, 3], H and W static.
      is_training: Python bool.

    Returns:
      {min_level..max_level: [B, H / 2**level, W / 2**level,
      endpoint_filters]}, sizes rounded up.
    """
    with tf.variable_scope(self.SCOPE):
      features = self._stem(images, is_training)
      endpoints = self._permuted_blocks(features, images, is_training)
      pyramid = {}
      for level in self._levels:
        x = layers.conv2d_fixed_padding(endpoints[level],
                                        self._endpoint_filters, 1)
        pyramid[level] = self._norm_activation(x, is_training)
    return pyramid

  def _permuted_blocks(self, features, images, is_training):
    """Runs the table on the two features of the stem; {level: values}."""
    features, endpoints, used = list(features), {}, set()
    for i, block in enumerate(self.BLOCKS):
      used.update(block.parents)
      size = size_of_level(images, block.level)
      with tf.variable_scope('sub_policy%d' % i):
        x = tf.add_n([
            self._resample(features[parent], block, size, is_training,
                           name='%d_%d' % (i, order))
            for order, parent in enumerate(block.parents)])
        if block.is_output:
          x = tf.add_n([x] + unused_features(features, used, block.level))
        with tf.variable_scope('scale_permuted_block_%d' % len(features)):
          x = self._block(
              self._norm_activation.activate(x), block, is_training,
              self._drop_connect_rate * (i + 1) / len(self.BLOCKS))
          x = tf.identity(x, 'scale_permuted_block_%d' % i)
      features.append(Feature(x, block.level, block.kind))
      if block.is_output:
        endpoints[block.level] = x
    return endpoints

  def _stem(self, images, is_training):
    """[B, H, W, 3] to two Features."""
    raise NotImplementedError

  def _resample(self, feature, block, size, is_training, name):
    """Brings a Feature to the channels of a block and to `size`, (y, x).

    `name` tells its variables from those of other resamplings.
    """
    raise NotImplementedError

  def _block(self, inputs, block, is_training, drop_connect_rate):
    """Runs a block on the sum of its activated parents."""
    raise NotImplementedError


def size_of_level(images: tf.Tensor, level: int) -> Sequence[Any]:
  """(height, width) of a level's features, rounded up.

  Args:
    images: [B, H, W, 3], H and W static.
    level: int; the stride is 2**level.
  """
  return tuple(-(-side // 2 ** level) for side in images.shape.as_list()[1:3])


def unused_features(features: Sequence[Feature], used: Set[int],
                    level: int) -> Sequence[tf.Tensor]:
  """Values of the features of a level that no block has taken yet.

  Args:
    features: [Feature].
    used: set of indices into it.
    level: int.

  Returns:
    List of [B, h, w, c].
  """
  return [feature.values for i, feature in enumerate(features)
          if feature.level == level and i not in used]
