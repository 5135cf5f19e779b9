"""Optimizers by name, gradient clipping and the L2 term."""

import dataclasses
from typing import Any, Iterator, List, Optional

import tensorflow.compat.v1 as tf

from configs import base
from modeling.training import lars
from modeling.training import training_variables
from ops import replicas
from ops import tensor_types
from utils import registry

_SHOWN = 3  # names in a message

# type: (rate, section `train.optimizer`) -> tf.train.Optimizer.
OPTIMIZERS = {
    'momentum': lambda rate, section: tf.train.MomentumOptimizer(
        rate, momentum=section.momentum),
    'adam': lambda rate, section: tf.train.AdamOptimizer(rate),
    'adadelta': lambda rate, section: tf.train.AdadeltaOptimizer(rate),
    'adagrad': lambda rate, section: tf.train.AdagradOptimizer(rate),
    # Decay and epsilon as in the TPU Inception and MnasNet recipes.
    'rmsprop': lambda rate, section: tf.train.RMSPropOptimizer(
        rate, momentum=section.momentum, decay=0.9, epsilon=0.001),
    'lars': lambda rate, section: lars.LARSOptimizer(
        rate, section.momentum, **dataclasses.asdict(section.lars)),
}


def build_optimizer(section: base.Section,
                    rate: tf.Tensor) -> tf.train.Optimizer:
  """Makes the optimizer of `train.optimizer`.

  Args:
    section: has `type`, a key of OPTIMIZERS, `momentum` and `lars`.
    rate: float32 [], the learning rate.

  Returns:
    tf.train.Optimizer.

  Raises:
    ValueError: for an unknown type.
  """
  return registry.pick(OPTIMIZERS, section.type,
                       'train.optimizer.type')(rate, section)


class OptimizerWrapper(tf.train.Optimizer):
  """An optimizer around another one.

  The inner one computes the gradients, owns the variables and finally applies
  the gradients that subclasses have changed.
  """

  def __init__(self, optimizer: tf.train.Optimizer, name: str) -> None:
    super().__init__(use_locking=False, name=name)
    self._optimizer = optimizer

  def compute_gradients(self, loss: tf.Tensor, *args: Any,
                        **kwargs: Any) -> tensor_types.Gradients:
    """[(gradient, variable)] of a loss [], from the inner optimizer."""
    return self._optimizer.compute_gradients(loss, *args, **kwargs)

  def get_slot(self, *args: Any, **kwargs: Any) -> Optional[tf.Variable]:
    """A slot of the inner optimizer."""
    return self._optimizer.get_slot(*args, **kwargs)

  def get_slot_names(self, *args: Any, **kwargs: Any) -> List[str]:
    """Names of the slots of the inner optimizer."""
    return self._optimizer.get_slot_names(*args, **kwargs)

  def variables(self) -> List[tf.Variable]:
    """The variables of the inner optimizer."""
    return self._optimizer.variables()


class GlobalNormClipping(OptimizerWrapper):
  """Clips the gradient of the whole batch by its global norm, then applies it.

  So the threshold means the same for any number of devices. On a TPU, inside of
  a CrossShardOptimizer, the gradients come summed over the cores; replicas of a
  distribution strategy sum them here.
  Source: arXiv:1211.5063, section 3.2.
  """

  def __init__(self, optimizer: tf.train.Optimizer, clip_norm: float) -> None:
    super().__init__(optimizer, name='GlobalNormClipping')
    self._clip_norm = clip_norm

  def apply_gradients(self, grads_and_vars: tensor_types.Gradients,
                      global_step: Optional[tf.Variable] = None,
                      name: Optional[str] = None) -> tf.Operation:
    """Clips the gradients, summed over the replicas, and applies them."""
    grads_and_vars = [(g, v) for g, v in grads_and_vars if g is not None]
    gradients, variables = zip(*grads_and_vars)
    num_replicas = tf.distribute.get_replica_context().num_replicas_in_sync
    if num_replicas > 1:
      gradients = replicas.sums(gradients)
    clipped, _ = tf.clip_by_global_norm(gradients, self._clip_norm)
    if num_replicas > 1:
      # The optimizer sums over the replicas once more.
      clipped = [gradient / num_replicas for gradient in clipped]
    return self._optimizer.apply_gradients(
        list(zip(clipped, variables)), global_step=global_step, name=name)


class LossScaling(tf.train.experimental.MixedPrecisionLossScaleOptimizer):
  """Keeps small gradients of a loss in float16 from becoming zero.

  The loss is multiplied by a number. When a gradient is not finite, the number
  halves and the step is left out; after 2000 steps without that, it doubles.
  Source: Mixed precision training (arXiv:1710.03740), section 3.2.
  """

  def __init__(self, optimizer: tf.train.Optimizer) -> None:
    super().__init__(optimizer, 'dynamic')

  def apply_gradients(self, grads_and_vars: tensor_types.Gradients,
                      global_step: Optional[tf.Variable] = None,
                      name: Optional[str] = None) -> tf.Operation:
    """Applies the gradients, unless one of them is not finite."""
    num_replicas = tf.distribute.get_replica_context().num_replicas_in_sync
    if num_replicas > 1:
      # TensorFlow looks at the gradients of the first replica only, while
      # another one may have overflowed.
      grads_and_vars = [(g, v) for g, v in grads_and_vars if g is not None]
      gradients, variables = zip(*grads_and_vars)
      gradients = replicas.sums(gradients)
      # The optimizer sums over the replicas once more.
      grads_and_vars = [(g / num_replicas, v)
                        for g, v in zip(gradients, variables)]
    return super().apply_gradients(grads_and_vars, global_step, name)


def trained_variables(
    variables: tensor_types.Variables,
    frozen_variable_prefix: Optional[str]) -> List[tf.Variable]:
  """The variables whose name, with ':0', does not match the frozen pattern.

  Args:
    variables: [tf.Variable].
    frozen_variable_prefix: regular expression matched at the start of the
      name, or None or '' for 'all are trained'.

  Returns:
    [tf.Variable].
  """
  if not frozen_variable_prefix:
    return list(variables)
  return [v for v in variables
          if not training_variables.matches(frozen_variable_prefix, v)]


def l2_regularization_loss(variables: tensor_types.Variables, weight: float,
                           variable_regex: Optional[str]) -> tf.Tensor:
  """weight * sum(v ** 2) / 2 over the variables whose name matches.

  Args:
    variables: [tf.Variable], those that are trained; frozen ones do not decay.
    weight: float, `train.l2_weight_decay`.
    variable_regex: matched at the start of the name with ':0'; None or '' for
      all of them.

  Returns:
    float32 []; zero when nothing matches.
  """
  if variable_regex:
    variables = [v for v in variables
                 if training_variables.matches(variable_regex, v)]
  with tf.name_scope('l2_regularization'):
    if not variables or not weight:
      return tf.zeros([])
    return weight * tf.add_n([tf.nn.l2_loss(v) for v in variables])


def unmatched_patterns(train: base.Section, trainable: tensor_types.Variables,
                       trained: tensor_types.Variables) -> Iterator[str]:
  """Yields a sentence for every pattern that matches none of the variables.

  Args:
    train: section `train`.
    trainable: [tf.Variable], all that could be trained.
    trained: [tf.Variable], of `trained_variables`.
  """
  patterns = [('frozen_variable_prefix', train.frozen_variable_prefix,
               trainable, 'freezes')]
  if train.l2_weight_decay:
    patterns.append(('regularization_variable_regex',
                     train.regularization_variable_regex, trained, 'decays'))
  if train.optimizer.type == 'lars':
    patterns.append(('optimizer.lars.excluded_variable_regex',
                     train.optimizer.lars.excluded_variable_regex, trained,
                     'excludes'))
  for key, pattern, variables, verb in patterns:
    if pattern and not any(training_variables.matches(pattern, v)
                           for v in variables):
      yield ('train.%s %s nothing: %r matches none of the %d variables, which '
             'have names such as %s. It is matched at the start of the name '
             'with :0 at its end.' % (
                 key, verb, pattern, len(variables), ', '.join(
                     training_variables.name_of(v) + ':0'
                     for v in variables[:_SHOWN])))
