"""Variables by name, and the variables that training adds to a model's.

All code that looks at names of variables uses these functions: on several
replicas a variable has copies with names of their own.
"""

import collections
import re
from typing import Any, Callable, Dict

import tensorflow.compat.v1 as tf
from tensorflow.python.training import training_util

from ops import tensor_types
from utils import training_names


def name_of(variable: tf.Variable) -> str:
  """The name of a variable in a checkpoint, the same for all its copies."""
  # Not `op.name`: a replica sees that of its own copy.
  return training_names.without_copy(variable.name)


def read_step() -> tf.Tensor:
  """The step that was reached: int64 [], to be read by a session.

  TensorFlow prepares the whole graph, 0.1 to 0.2 s for RetinaNet's, for each
  tensor that is read alone. All readers get the same one here, which is also
  that of TensorFlow's own savers.
  """
  return training_util._get_or_create_global_step_read()


def by_name(variables: tensor_types.Variables) -> Dict[str, tf.Variable]:
  """{name in a checkpoint: variable}, in order; copies count once."""
  named = collections.OrderedDict()
  for variable in variables:
    named.setdefault(name_of(variable), variable)
  return named


def matches(pattern: str, variable: tf.Variable) -> bool:
  """Whether a pattern of the configuration matches a variable.

  Args:
    pattern: regular expression, matched at the start of the name with ':0' at
      its end, as the reference does.
    variable: tf.Variable, or a copy of it.

  Returns:
    bool.
  """
  return bool(re.match(pattern, name_of(variable) + ':0'))


def once(function: Callable[[], Any]) -> None:
  """Calls a function without arguments once for all replicas.

  To be called in each of them, in the same order; the function's result is
  dropped.
  """
  def merged(strategy):
    del strategy
    function()

  tf.distribute.get_replica_context().merge_call(merged)


def name_beside(variable: tf.Variable, suffix: str) -> str:
  """The name of a variable's companion, here and in a checkpoint."""
  return '%s/%s' % (name_of(variable), suffix)


def beside(variable: tf.Variable, suffix: str, **kind: Any) -> tf.Variable:
  """A variable of zeros with the shape and type of another.

  Args:
    variable: tf.Variable.
    suffix: from utils.training_names.
    **kind: how replicas of a distribution strategy keep it, arguments of
      tf.get_variable; by default all have the same value.

  Returns:
    tf.Variable.
  """
  return tf.get_variable(
      name_beside(variable, suffix), variable.shape.as_list(),
      variable.dtype.base_dtype, tf.zeros_initializer(), trainable=False,
      **kind)


def counter(name: str) -> tf.Variable:
  """A count that all replicas have in common, int32 []; made by the first."""
  with tf.variable_scope(tf.get_variable_scope(), reuse=tf.AUTO_REUSE,
                         auxiliary_name_scope=False):
    return tf.get_variable(
        name, [], tf.int32, tf.zeros_initializer(), trainable=False,
        aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA)
