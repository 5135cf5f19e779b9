"""Checkpoints against each other: what differs, and their mean."""

import os
import tempfile
from typing import Dict, List, NamedTuple, Sequence

import numpy as np
import tensorflow.compat.v1 as tf

from modeling import checkpoint_checks
from utils import training_names


class Difference(NamedTuple):
  """A variable that two checkpoints do not have alike.

  Attributes:
    name: that of the variable.
    what: the difference in words.
    size: greatest absolute difference of a value; NaN where no values can be
      compared.
  """
  name: str
  what: str
  size: float


def differences(path: str, other: str) -> List[Difference]:
  """What two checkpoints have otherwise, the greatest difference first.

  Args:
    path: prefix of a checkpoint.
    other: likewise.

  Returns:
    [Difference]; empty if all values are equal to the last bit.
  """
  readers = [tf.train.load_checkpoint(p) for p in (path, other)]
  shapes = [r.get_variable_to_shape_map() for r in readers]
  found = []
  for name in sorted(set(shapes[0]) | set(shapes[1])):
    if name not in shapes[1] or name not in shapes[0]:
      found.append(Difference(name, 'only in the %s' % (
          'first' if name in shapes[0] else 'second'), np.nan))
      continue
    values = [r.get_tensor(name) for r in readers]
    found += _difference(name, *values)
  return sorted(found, key=lambda d: -np.nan_to_num(d.size, nan=np.inf))


def _difference(name, value, other):
  """[Difference] of two arrays, or []."""
  if value.shape != other.shape or value.dtype != other.dtype:
    return [Difference(name, '%s %s and %s %s' % (
        value.dtype, list(value.shape), other.dtype, list(other.shape)),
                       np.nan)]
  is_other = value != other
  if value.dtype.kind == 'f':
    is_other &= ~(np.isnan(value) & np.isnan(other))
  if not np.any(is_other):
    return []
  if value.dtype.kind not in 'iuf':
    return [Difference(name, 'other text or truth values', np.nan)]
  size = float(np.max(np.abs(value.astype(np.float64)
                             - other.astype(np.float64))))
  return [Difference(name, '%d of %d values, by up to %.3g (the greatest value '
                     'is %.3g)' % (np.sum(is_other), value.size, size,
                                   np.max(np.abs(value.astype(np.float64)))),
                     size)]


def mean(paths: Sequence[str]) -> Dict[str, np.ndarray]:
  """The mean of the model's variables in several checkpoints.

  Of a variable with a moving average, which evaluations use, the average
  counts. Whole numbers are those of the first checkpoint. What only training
  has (momenta, gradients, counts) is left out, but for the step.

  Args:
    paths: prefixes of two checkpoints or more.

  Returns:
    {name: array [...]}, of the shapes and types in the checkpoints.

  Raises:
    checkpoint_checks.BrokenCheckpointError: if one is damaged.
    ValueError: if they do not have the same variables.
  """
  for path in paths:
    contents = checkpoint_checks.read_contents(path)
    checkpoint_checks.check_files(contents)
    checkpoint_checks.check_values(contents)
  readers = [tf.train.load_checkpoint(path) for path in paths]
  shapes = readers[0].get_variable_to_shape_map()
  for path, reader in zip(paths[1:], readers[1:]):
    _check_same(paths[0], shapes, path, reader.get_variable_to_shape_map())
  result = {}
  for name in sorted(shapes):
    if (training_names.is_bookkeeping(name)
        and name != tf.GraphKeys.GLOBAL_STEP):
      continue
    average = '%s/%s' % (name, training_names.AVERAGE)
    values = [r.get_tensor(average if average in shapes else name)
              for r in readers]
    result[name] = values[0] if values[0].dtype.kind != 'f' else np.mean(
        values, axis=0, dtype=np.float64).astype(values[0].dtype)
  return result


def _check_same(path, shapes, other, other_shapes):
  """Raises ValueError unless both have the same variables."""
  different = sorted(name for name in set(shapes) | set(other_shapes)
                     if shapes.get(name) != other_shapes.get(name))
  if different:
    raise ValueError(
        '%s and %s are not of the same model: %d variables are in one of them '
        'only or have another shape, such as %s.' % (
            path, other, len(different), ', '.join(different[:3])))


def write(values: Dict[str, np.ndarray], prefix: str) -> None:
  """Writes a checkpoint, which is there as a whole or not at all.

  Args:
    values: {name: array [...]}.
    prefix: local prefix of the new checkpoint.

  Raises:
    ValueError: if there is one already.
  """
  if tf.train.checkpoint_exists(prefix):
    raise ValueError('%s exists: give the name of a new checkpoint.' % prefix)
  folder = os.path.dirname(os.path.abspath(prefix))
  os.makedirs(folder, exist_ok=True)
  with tempfile.TemporaryDirectory(prefix='.checkpoint-', dir=folder) as place:
    temporary = os.path.join(place, os.path.basename(prefix))
    _save(values, temporary)
    ends = sorted(name[len(os.path.basename(prefix)):]
                  for name in os.listdir(place))
    # Without its index a checkpoint is not there: it comes last.
    for end in sorted(ends, key=lambda e: e == '.index'):
      os.replace(temporary + end, prefix + end)


def _save(values, prefix):
  names = sorted(values)
  with tf.Graph().as_default(), tf.Session() as session:
    # Not constants: a graph holds 2 GB at most.
    tensors = [tf.placeholder(values[name].dtype, values[name].shape)
               for name in names]
    save = tf.raw_ops.SaveV2(
        prefix=prefix, tensor_names=names, shape_and_slices=[''] * len(names),
        tensors=tensors)
    session.run(save, {t: values[n] for t, n in zip(tensors, names)})
