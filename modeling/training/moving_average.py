"""Exponential moving averages of the weights, for evaluation and inference."""

from typing import Collection, List, Optional

import tensorflow.compat.v1 as tf

from modeling.training import training_variables
from modeling.training import warm_start
from ops import tensor_types
from utils import training_names

# Batch norm's own averages; they change in every step, so theirs are averaged
# along with the weights that they belong to.
_STATISTICS = r'.*/moving_(mean|variance):0$'


class AverageError(warm_start.WarmStartError):
  """A checkpoint has the averages of some variables only."""


def averaged_variables(trained: tensor_types.Variables) -> List[tf.Variable]:
  """The variables that have an average: trained ones, and batch statistics.

  Args:
    trained: [tf.Variable], of optimizers.trained_variables.

  Returns:
    [tf.Variable].
  """
  return list(trained) + [v for v in tf.global_variables() if _is_statistic(v)]


def update_after(train_op: tf.Operation, step_before: tf.Tensor,
                 variables: tensor_types.Variables, decay: float,
                 global_step: Optional[tf.Variable]) -> tf.Operation:
  """Moves the averages once the step is taken.

    average = average + (1 - d) * (variable - average)
    d = min(decay, n / (n + 9)) for the update n = 0, 1, ...

  So the first average is the variable itself, and early ones forget fast: the
  warm-up of tf.train.ExponentialMovingAverage. A call that does not change the
  global step (a part of an accumulation) leaves the averages alone.

  Args:
    train_op: Operation of the step.
    step_before: integer [], the global step, read before `train_op`.
    variables: [tf.Variable], of `averaged_variables`.
    decay: float in (0, 1), `train.moving_average_decay`.
    global_step: tf.Variable.

  Returns:
    Operation that runs `train_op` and moves the averages.
  """
  count = training_variables.counter(training_names.NUM_AVERAGED)
  averages = [_average_variable(v) for v in variables]
  with tf.name_scope('moving_average'), tf.control_dependencies([train_op]):
    is_update = tf.not_equal(tf.convert_to_tensor(global_step), step_before)
    previous = tf.convert_to_tensor(count)
    n = tf.cast(previous, tf.float32)
    share = 1. - tf.minimum(tf.constant(decay, tf.float32), n / (n + 9.))
    share = tf.where(is_update, share, tf.zeros([]))
    moved, mirrored = [], []
    for average, variable in zip(averages, variables):
      if _is_statistic(variable):  # Each replica has its own.
        moved.append(_move(average, variable, share))
      else:
        mirrored.append((average, variable))
    moved.append(tf.distribute.get_replica_context().merge_call(
        _move_mirrored, args=(
            [a for a, _ in mirrored], [v for _, v in mirrored], share, count,
            previous + tf.cast(is_update, tf.int32))))
    return tf.group(moved)


def _move(average, variable, share):
  return average.assign_add(
      share * (tf.convert_to_tensor(variable) - tf.convert_to_tensor(average)),
      read_value=False)


def _move_mirrored(strategy, averages, variables, share, count, next_count):
  """Moves averages that are equal on all replicas, on each of them."""
  extended = strategy.extended
  shares = strategy.experimental_local_results(share)
  # Equal on all replicas, which TF 1.15 wants to see.
  next_count = strategy.experimental_local_results(next_count)[0]
  moved = [extended.update(a, _move, args=(v, shares[0]))
           for a, v in zip(averages, variables)]
  # Every replica must have read its copy of the count.
  with tf.control_dependencies(shares):
    moved.append(extended.update(
        count, lambda c, value: c.assign(value, read_value=False),
        args=(next_count,)))
  return tf.group(moved)


def _is_statistic(variable):
  return training_variables.matches(_STATISTICS, variable)


def _average_variable(variable):
  """Zeros; the first update makes it the variable."""
  kind = {}
  if _is_statistic(variable):
    kind = dict(synchronization=tf.VariableSynchronization.ON_READ,
                aggregation=tf.VariableAggregation.MEAN)
  return training_variables.beside(variable, training_names.AVERAGE, **kind)


class AverageSaver(tf.train.Saver):
  """Restores the averages into the variables, where a checkpoint has them.

  Otherwise it restores the variables themselves. The log states which of the
  two it restores.
  """

  def __init__(self, variables: tensor_types.Variables,
               averaged: tensor_types.Variables, unwanted: str = '') -> None:
    """Builds the restoring operations of both.

    Args:
      variables: [tf.Variable], all that are restored.
      averaged: [tf.Variable], those of them that have averages.
      unwanted: why averages are not to be restored, such as
        'eval.use_moving_average is false'; '': they are.
    """
    super().__init__(variables, sharded=True)
    self._unwanted = unwanted
    self._names = [training_variables.name_beside(v, training_names.AVERAGE)
                   for v in averaged]
    if unwanted:
      return
    by_name = {training_variables.name_of(v): v for v in variables}
    for name, variable in zip(self._names, averaged):
      del by_name[training_variables.name_of(variable)]
      by_name[name] = variable
    self._of_averages = tf.train.Saver(by_name, sharded=True)

  def restore(self, sess: tf.Session, save_path: str) -> None:
    """Restores a checkpoint, as tf.train.Saver does.

    Raises:
      AverageError: if it has some of the averages only.
    """
    if self._use_averages(save_path):
      self._of_averages.restore(sess, save_path)
    else:
      super().restore(sess, save_path)

  def _use_averages(self, path):
    """Whether to restore them; logs the choice."""
    if self._unwanted:
      stored = tf.train.load_checkpoint(path).get_variable_to_shape_map()
      if any(name in stored for name in self._names):
        tf.logging.info('%s: the weights are used, not their moving averages, '
                        'which it also has: %s.', path, self._unwanted)
      return False
    if not has_averages(path, self._names):
      tf.logging.warning(
          '%s has no moving averages, although train.moving_average_decay is '
          'set: the weights themselves are used.', path)
      return False
    if not warm_start.averages_begun(tf.train.load_checkpoint(path)):
      tf.logging.info('%s: the weights are used: their moving averages begin '
                      'with the first update.', path)
      return False
    tf.logging.info('%s: the moving averages of the weights are used '
                    '(eval.use_moving_average).', path)
    return True


def has_averages(path: str, names: Collection[str]) -> bool:
  """Whether a checkpoint has the averages.

  Args:
    path: checkpoint prefix.
    names: [name of an average].

  Returns:
    bool.

  Raises:
    AverageError: if it has some of them only.
  """
  stored = tf.train.load_checkpoint(path).get_variable_to_shape_map()
  missing = [name for name in names if name not in stored]
  if missing and len(missing) < len(names):
    raise AverageError(
        '%s has moving averages, but lacks %d of them, such as %s. '
        'train.frozen_variable_prefix must be the same as in training; with '
        'eval.use_moving_average: false the weights themselves are used.' % (
            path, len(missing), missing[0]))
  return not missing
