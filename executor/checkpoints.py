"""The checkpoints of a model_dir: which there are, and whether they fit."""

import contextlib
import json
import os
import re
import tempfile

import tensorflow.compat.v1 as tf

from executor import errors
from modeling import checkpoint_files
from modeling import storage
from modeling.training import training_variables
from modeling.training import warm_start
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


# Of any folder; modeling needs them, too.
step_of = checkpoint_files.step_of
find_all = checkpoint_files.find_all
latest = checkpoint_files.latest


def make_known(path):
  """Makes the file `checkpoint` of a folder name a checkpoint in it.

  TensorFlow reads nothing else: where it is missing or leads to the place that
  the folder was copied from, a training run would start anew, or elsewhere.

  Args:
    path: checkpoint prefix, of `latest`.
  """
  if tf.train.latest_checkpoint(os.path.dirname(path)) != path:
    folder, name = os.path.split(path)
    write_state(folder, [other for other in checkpoint_files.named(folder)
                         if other != name] + [name])


def write_state(folder, names):
  """Writes the file `checkpoint` of a folder.

  tf.train.update_checkpoint_state takes names for paths from the current
  folder, unless the folder is an absolute path.

  Args:
    folder: local, relative or not, or in a bucket.
    names: [name of a checkpoint in the folder]; the last one is what TensorFlow
      restores, and it deletes the first ones before others.
  """
  lines = ['model_checkpoint_path: %s' % json.dumps(names[-1])]
  lines += ['all_model_checkpoint_paths: %s' % json.dumps(n) for n in names]
  with storage.output_path(os.path.join(folder, 'checkpoint')) as temporary:
    with open(temporary, 'w', encoding='utf-8') as f:
      f.write('\n'.join(lines) + '\n')


def is_in(path, folder):
  """Whether a checkpoint lies in a folder, in whatever way both are written."""
  return _place(os.path.dirname(path)) == _place(folder)


def _place(folder):
  if storage.is_remote(folder):
    return folder.rstrip('/')
  return os.path.realpath(folder)


def latest_step(model_dir):
  """The step of the newest checkpoint; 0 when there is none."""
  path = latest(model_dir)
  return step_of(path) if path else 0


def num_calls(config):
  """How often the training step was called up to where a training starts.

  Args:
    config: experiment; the newest checkpoint of its model_dir counts, or the
      one of `train.checkpoint` if training goes on from its step.

  Returns:
    int: with `train.accumulation_steps` several calls for each step, and those
    of an update that was not complete.
  """
  section = config.train.checkpoint
  path = latest(config.model_dir)
  if (not path and section.path and section.restore_optimizer_state
      and not section.prefix):
    path = warm_start.resolve_path(section.path)
  if not path:
    return 0
  reader = tf.train.load_checkpoint(path)
  counts = [int(reader.get_tensor(name)) if reader.has_tensor(name) else 0
            for name in (tf.GraphKeys.GLOBAL_STEP,
                         training_names.NUM_ACCUMULATED)]
  return counts[0] * config.train.accumulation_steps + counts[1]


def time_of(path):
  """When a checkpoint was completed, seconds since 1970."""
  return tf.gfile.Stat(path + '.index').mtime_nsec / 1e9


def is_complete(path):
  """Whether all files of a checkpoint are there and readable to the end."""
  try:
    reader = tf.train.load_checkpoint(path)
    for name in reader.get_variable_to_shape_map():
      reader.get_tensor(name)
  except (tf.errors.OpError, ValueError, IndexError):
    return False
  return True


def check_fits(path, variables):
  """Compares a checkpoint with the variables of a graph.

  Args:
    path: checkpoint prefix.
    variables: [tf.Variable], all that are to be restored.

  Raises:
    errors.SetupError: naming variables that it lacks or has in other shapes.
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
    raise errors.SetupError(_misfit_message(path, stored, missing, mis_shaped))


def _misfit_message(path, stored, missing, mis_shaped):
  keys = _training_keys(missing)
  if keys and not mis_shaped:
    return '\n'.join([
        'The checkpoint %s lacks variables that only training has, and that '
        'the configuration asks for: it was made with other values of %s.'
        % (path, ' and '.join(keys))] + _some('not in the checkpoint', missing)
        + ['To go on from it, give these keys the values it was trained with '
           '(%s). To change them, start in another --model_dir from '
           'train.checkpoint.path=%s with '
           'train.checkpoint.restore_optimizer_state=true: there these '
           'variables start anew.' % (_configurations(path), path)])
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
  """The params.yaml beside a checkpoint, and those kept of earlier starts."""
  kept = kept_configurations(os.path.dirname(path))
  return 'params.yaml beside it' + (
      '; kept of earlier starts: %s' % ', '.join(kept) if kept else '')


def kept_configurations(model_dir):
  """Paths of params.STEP.yaml: what training was configured as before."""
  return sorted(tf.gfile.Glob(os.path.join(model_dir, 'params.*.yaml')))


def _some(title, names):
  if not names:
    return []
  more = len(names) - _SHOWN
  return ['  %d %s:' % (len(names), title)] + [
      '    ' + n for n in names[:_SHOWN]] + (
          ['    and %d more' % more] if more > 0 else [])


@contextlib.contextmanager
def restorable(path):
  """Yields a checkpoint that Estimator can restore, whatever wrote `path`.

  Estimator restores the training step too, which weights converted or
  published for inference may lack; then it is a copy with the step of the file
  name.
  """
  reader = tf.train.load_checkpoint(path)
  names = reader.get_variable_to_shape_map()
  if tf.GraphKeys.GLOBAL_STEP in names:
    yield path
    return
  with tempfile.TemporaryDirectory() as folder:
    with tf.Graph().as_default(), tf.Session() as session:
      variables = [tf.Variable(reader.get_tensor(name), name=name)
                   for name in sorted(names)]
      variables.append(tf.Variable(
          step_of(path), name=tf.GraphKeys.GLOBAL_STEP, dtype=tf.int64))
      session.run(tf.variables_initializer(variables))
      copy = tf.train.Saver(variables).save(
          session, os.path.join(folder, os.path.basename(path)),
          write_meta_graph=False, write_state=False)
    yield copy


class FitHook(tf.train.SessionRunHook):
  """Checks that the checkpoint fits before TensorFlow restores it."""

  def __init__(self, path):
    """Keeps the prefix of the checkpoint."""
    self._path = path

  def begin(self):
    check_fits(self._path, tf.global_variables())
