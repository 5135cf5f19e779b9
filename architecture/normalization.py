"""Batch normalization followed by an activation, the unit of all networks."""

from typing import Callable, Optional, Tuple

import tensorflow.compat.v1 as tf

from configs import base
from ops import replicas
from ops import tensor_types
from utils import registry


def swish(x: tf.Tensor) -> tf.Tensor:
  """x * sigmoid(x) of each element of [...]; arXiv:1710.05941."""
  # Not tf.nn.swish: some releases make a function call of it, which model
  # converters do not know.
  return x * tf.sigmoid(x)


ACTIVATIONS = {'relu': tf.nn.relu, 'relu6': tf.nn.relu6, 'swish': swish}

# TF 1.15 raises a smaller epsilon of its fused kernel to this; TF 2.15 does
# not.
_MIN_FUSED_EPSILON = 1.001e-5


class BatchNormActivation:
  """Batch normalization (arXiv:1502.03167), then an activation.

  One object serves a whole network: it holds settings, and every call makes the
  variables of one layer, `<name>/{gamma,beta,moving_mean,moving_variance}`.
  Updates of the moving statistics are added to tf.GraphKeys.UPDATE_OPS.

  Feature maps take TensorFlow's fused kernel, which is faster, with an epsilon
  of at least 1.001e-5, and estimates the moving variance without bias (N-1).
  Other ranks, and synchronized statistics, are composed of simple operations
  with the exact epsilon and the biased variance. Published weights depend on
  this.
  """

  def __init__(self, momentum: float = 0.997, epsilon: float = 1e-4,
               trainable: bool = True, use_sync_bn: bool = False,
               activation: str = 'relu',
               layer_name: str = 'batch_normalization') -> None:
    """Takes the settings of section `batch_norm_activation`.

    Args:
      momentum: float, weight of the past in the moving statistics.
      epsilon: float, added to the variance.
      trainable: bool; False freezes statistics, gamma and beta.
      use_sync_bn: bool, whether training statistics come from all replicas:
        TPU cores, GPUs and hosts, any number of them.
      activation: key of ACTIVATIONS.
      layer_name: name of layers that are not named when called.

    Raises:
      ValueError: for an unknown activation.
    """
    registry.pick(ACTIVATIONS, activation, 'The activation')
    self._momentum = momentum
    self._epsilon = epsilon
    self._trainable = trainable
    self._use_sync_bn = use_sync_bn
    self._activation = activation
    self._layer_name = layer_name

  def activate(self, inputs: tf.Tensor) -> tf.Tensor:
    """The activation of [...] alone, for places without normalization."""
    return ACTIVATIONS[self._activation](inputs)

  def __call__(self, inputs: tf.Tensor, is_training: bool, relu: bool = True,
               name: Optional[str] = None) -> tf.Tensor:
    """Normalizes and activates.

    Args:
      inputs: [B, ..., C], C static, any floating type.
      is_training: Python bool, whether to use the statistics of the batch.
      relu: whether to apply the activation, whichever it is.
      name: name of the layer; by default `layer_name`, and with _1, _2 and so
        on, counted within the enclosing variable scope.

    Returns:
      Same shape and type as `inputs`.
    """
    with tf.variable_scope(name, default_name=self._layer_name):
      outputs = self._normalize(inputs, is_training and self._trainable)
    return self.activate(outputs) if relu else outputs

  def _normalize(self, inputs, use_batch_statistics):
    """Makes the variables and normalizes."""
    channels = inputs.shape.as_list()[-1]
    gamma, beta = self._scale_and_offset(channels)
    moving_mean = _moving_variable('moving_mean', channels, 0.)
    moving_variance = _moving_variable('moving_variance', channels, 1.)
    normalize = self._normalize_composed
    if inputs.shape.rank == 4 and not self._use_sync_bn:
      normalize = self._normalize_fused
    if not use_batch_statistics:
      return normalize(inputs, gamma, beta, moving_mean, moving_variance)[0]
    outputs, mean, variance = normalize(inputs, gamma, beta)
    self._update(moving_mean, mean)
    self._update(moving_variance, variance)
    return outputs

  def _scale_and_offset(self, channels):
    return [
        tf.get_variable(name, [channels], tf.float32,
                        tf.constant_initializer(value),
                        trainable=self._trainable)
        for name, value in (('gamma', 1.), ('beta', 0.))]

  def _normalize_fused(self, inputs, gamma, beta, mean=None, variance=None):
    """(outputs, batch mean, unbiased batch variance); [B, h, w, C] only."""
    return tf.nn.fused_batch_norm(
        inputs, gamma, beta, mean, variance,
        epsilon=max(self._epsilon, _MIN_FUSED_EPSILON),
        is_training=mean is None)

  def _normalize_composed(self, inputs, gamma, beta, mean=None, variance=None):
    """(outputs, mean, biased variance) from simple operations."""
    if mean is None:
      axes = list(range(inputs.shape.rank - 1))
      # Sums over a feature map are too long for bfloat16.
      mean, variance = tf.nn.moments(tf.cast(inputs, tf.float32), axes)
      if self._use_sync_bn and replicas.count() > 1:
        mean, variance = combine_statistics(mean, variance, replicas.mean)
    outputs = tf.nn.batch_normalization(inputs, mean, variance, beta, gamma,
                                        self._epsilon)
    return outputs, mean, variance

  def _update(self, moving, value):
    """moving = momentum * moving + (1 - momentum) * value, after the step."""
    update = moving.assign_sub((moving - value) * (1. - self._momentum),
                               read_value=False)
    tf.add_to_collection(tf.GraphKeys.UPDATE_OPS, update)


class ActivationOnly:
  """In the place of a BatchNormActivation where nothing is normalized."""

  def __init__(self, norm_activation: tensor_types.Layer) -> None:
    """Takes the activation of a BatchNormActivation."""
    self._activate = norm_activation.activate

  def __call__(self, inputs: tf.Tensor, is_training: bool, relu: bool = True,
               name: Optional[str] = None) -> tf.Tensor:
    """Activates [...]; for arguments see `BatchNormActivation.__call__`."""
    del is_training, name
    return self._activate(inputs) if relu else inputs


def combine_statistics(
    mean: tf.Tensor, variance: tf.Tensor,
    average: Callable[[tf.Tensor], tf.Tensor]) -> Tuple[tf.Tensor, tf.Tensor]:
  """Mean and variance of the union of equally large groups.

  Args:
    mean: float32 [..., C], mean of one group.
    variance: float32 [..., C], biased variance of one group.
    average: function from a value of each group to its mean over the groups.

  Returns:
    The two values of the union, [..., C] or what `average` makes of it.

  Source: the law of total variance.
  """
  total_mean = average(mean)
  spread = tf.square(mean - total_mean)
  return total_mean, average(variance + spread)


def _moving_variable(name, channels, value):
  # Under a distribution strategy every replica updates a copy of its own, and
  # a checkpoint gets their mean.
  return tf.get_variable(
      name, [channels], tf.float32, tf.constant_initializer(value),
      trainable=False, synchronization=tf.VariableSynchronization.ON_READ,
      aggregation=tf.VariableAggregation.MEAN)


def build(section: base.Section) -> BatchNormActivation:
  """The normalization and activation of a network.

  Args:
    section: `batch_norm_activation`.

  Returns:
    BatchNormActivation.
  """
  return BatchNormActivation(
      momentum=section.batch_norm_momentum, epsilon=section.batch_norm_epsilon,
      trainable=section.batch_norm_trainable, use_sync_bn=section.use_sync_bn,
      activation=section.activation)
