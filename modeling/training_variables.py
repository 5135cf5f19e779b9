"""Variables that training keeps beside those of a model, on all replicas."""

import tensorflow.compat.v1 as tf


def name_beside(variable, suffix):
  """The name of a variable's companion, here and in a checkpoint."""
  # Not `op.name`: that of a replica's copy differs.
  return '%s/%s' % (variable.name.split(':')[0], suffix)


def beside(variable, suffix, **kind):
  """A variable of the shape and type of another, of zeros.

  Args:
    variable: tf.Variable.
    suffix: of utils.training_names.
    **kind: how replicas of a distribution strategy keep it, arguments of
      tf.get_variable; by default all have the same.

  Returns:
    tf.Variable.
  """
  return tf.get_variable(
      name_beside(variable, suffix), variable.shape.as_list(),
      variable.dtype.base_dtype, tf.zeros_initializer(), trainable=False,
      **kind)


def counter(name):
  """A count that all replicas have in common, int32 []."""
  return tf.get_variable(
      name, [], tf.int32, tf.zeros_initializer(), trainable=False,
      aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA)
