"""Layer-wise adaptive rate scaling, LARS, for very large batches."""

import tensorflow.compat.v1 as tf

from modeling.training import training_variables


class LARSOptimizer(tf.train.Optimizer):
  """Momentum, with a rate of its own for every variable.

    velocity = momentum * velocity + rate * local * (gradient + decay * w)
    w = w - velocity
    local = trust * |w| / (|gradient| + decay * |w| + epsilon)

  A variable with a norm or gradient of zero has a local rate of 1. So do the
  excluded variables, which do not decay either. The slot of a variable is
  `<variable>/LARS`.
  Source: arXiv:1708.03888, algorithm 1.
  """

  def __init__(self, rate: tf.Tensor, momentum: float = 0.9,
               trust_coefficient: float = 0.001, weight_decay: float = 1e-4,
               epsilon: float = 1e-9,
               excluded_variable_regex: str = '') -> None:
    """Takes the settings.

    Args:
      rate: float32 [], the global learning rate.
      momentum: float.
      trust_coefficient: float, how far a step goes in units of |w|.
      weight_decay: float, of the variables that are not excluded.
      epsilon: float.
      excluded_variable_regex: matched at the start of a name with ':0'; ''
        excludes nothing.
    """
    super().__init__(use_locking=False, name='LARS')
    self._rate = rate
    self._momentum = momentum
    self._trust_coefficient = trust_coefficient
    self._weight_decay = weight_decay
    self._epsilon = epsilon
    self._excluded_regex = excluded_variable_regex

  def _create_slots(self, var_list):
    for variable in var_list:
      self._zeros_slot(variable, 'velocity', self._name)

  def _prepare(self):
    self._rate_tensor = tf.convert_to_tensor(self._rate, tf.float32)

  def _resource_apply_dense(self, grad, var):
    """The step of one variable on one device."""
    scaled = self._rate_tensor * grad
    if not self._is_excluded(var):
      weights = tf.convert_to_tensor(var)
      scaled = self._rate_tensor * self._local_rate(weights, grad) * (
          grad + self._weight_decay * weights)
    # The kernel multiplies the velocity by a rate; here the velocity contains
    # the rate, so that a change of the rate does not change earlier steps.
    return tf.raw_ops.ResourceApplyMomentum(
        var=var.handle, accum=self.get_slot(var, 'velocity').handle,
        lr=tf.ones([]), grad=scaled, momentum=self._momentum)

  def _is_excluded(self, variable):
    return bool(self._excluded_regex) and training_variables.matches(
        self._excluded_regex, variable)

  def _local_rate(self, weights, grad):
    """float32 []."""
    weight_norm, grad_norm = tf.norm(weights), tf.norm(grad)
    divisor = grad_norm + self._weight_decay * weight_norm + self._epsilon
    is_defined = tf.logical_and(weight_norm > 0., grad_norm > 0.)
    # The branch that is not taken must not divide by zero, either.
    divisor = tf.where(is_defined, divisor, tf.ones([]))
    return tf.where(is_defined,
                    self._trust_coefficient * weight_norm / divisor,
                    tf.ones([]))
