"""Whether a checkpoint belongs to the model of a graph."""

import os
import re
from typing import List

import tensorflow.compat.v1 as tf

from modeling.training import training_variables
from ops import tensor_types
from utils import training_names

_SHOWN = 5  # variables named in a message; further ones are counted
# Variables that only training has, and the key that asks for them; the first
# one that matches counts.
_KEYS_OF_TRAINING = tuple((re.compile(pattern), key) for pattern, key in (
    (r'/%s$|^%s$' % (training_names.AVERAGE, training_names.NUM_AVERAGED),
     'train.moving_average_decay'),
    (r'/%s$|^%s$' % (training_names.ACCUMULATED_GRADIENT,
                     training_names.NUM_ACCUMULATED),
     'train.accumulation_steps'),
    (r'/(%s)$|^beta[12]_power$' % '|'.join(training_names.SLOTS),
     'train.optimizer.type or train.frozen_variable_prefix'),
    (r'^(current_loss_scale|good_steps)$', 'train.mixed_precision'),
    (r'(^|/)moving_normalizer(/|$)', 'retinanet_loss.normalizer_momentum')))


class MisfitError(ValueError):
  """A checkpoint of another model than the one that is configured."""


def check(path: str, variables: tensor_types.Variables) -> None:
  """Compares a checkpoint with the variables of a graph.

  Args:
    path: checkpoint prefix.
    variables: [tf.Variable], all that are to be restored.

  Raises:
    MisfitError: naming variables that it lacks or has in other shapes.
  """
  stored = tf.train.load_checkpoint(path).get_variable_to_shape_map()
  missing, mis_shaped = [], []
  for name, variable in training_variables.by_name(variables).items():
    if name not in stored:
      missing.append(name)
    elif not variable.shape.is_compatible_with(stored[name]):
      mis_shaped.append('%s is %s in the checkpoint, %s in the model' % (
          name, stored[name], variable.shape.as_list()))
  if missing or mis_shaped:
    raise MisfitError(_misfit_message(path, stored, missing, mis_shaped))


def _misfit_message(path, stored, missing, mis_shaped):
  keys = _training_keys(missing)
  if keys and not mis_shaped:
    return '\n'.join([
        'The checkpoint %s lacks variables that only training has, and that '
        'the configuration asks for: it was made with other values of %s.'
        % (path, ' and '.join(keys))] + _some('not in the checkpoint', missing)
        + ['To resume from it, give these keys the values it was trained with '
           '(%s). To change them, start in another --model_dir from '
           'train.checkpoint.path=%s with '
           'train.checkpoint.restore_optimizer_state=true: there these '
           'variables start from scratch.' % (_configurations(path), path)])
  lines = ['The checkpoint %s was made by another model than the one that is '
           'configured.' % path]
  lines += _some('of another shape', mis_shaped)
  lines += _some('not in the checkpoint (which has %d variables)'
                 % len(stored), missing)
  lines.append('Use the configuration it was trained with (%s), another '
               '--model_dir, or start from it with train.checkpoint.path.'
               % _configurations(path))
  return '\n'.join(lines)


def _training_keys(names):
  """Keys whose change explains all of these missing variables, or []."""
  keys = []
  for name in names:
    found = [k for pattern, k in _KEYS_OF_TRAINING if pattern.search(name)]
    if not found:
      return []
    keys += [k for k in found[:1] if k not in keys]
  return keys


def _configurations(path):
  """The params.yaml next to a checkpoint, and those of earlier starts."""
  kept = kept_configurations(os.path.dirname(path))
  return 'params.yaml next to it' + (
      '; kept from earlier starts: %s' % ', '.join(kept) if kept else '')


def kept_configurations(model_dir: str) -> List[str]:
  """Paths of params.STEP.yaml: the configurations of earlier starts."""
  return sorted(tf.gfile.Glob(os.path.join(model_dir, 'params.*.yaml')))


def _some(title, names):
  if not names:
    return []
  more = len(names) - _SHOWN
  return ['  %d %s:' % (len(names), title)] + [
      '    ' + n for n in names[:_SHOWN]] + (
          ['    and %d more' % more] if more > 0 else [])
