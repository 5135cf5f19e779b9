"""The checkpoints of a model_dir, and whether they fit a graph."""

import contextlib
import hashlib
import json
import os
import tempfile
from typing import Iterator, Sequence

import tensorflow.compat.v1 as tf

from configs import base
from executor import errors
from modeling import checkpoint_checks
from modeling import checkpoint_files
from modeling import checkpoint_fit
from modeling import storage
from modeling import whole_checkpoint
from modeling.training import warm_start
from ops import tensor_types
from utils import training_names

# For any folder; modeling needs them, too.
step_of = checkpoint_files.step_of
find_all = checkpoint_files.find_all
latest = checkpoint_files.latest
kept_configurations = checkpoint_fit.kept_configurations


def make_known(path: str) -> None:
  """Makes the file `checkpoint` of a folder name a checkpoint in it.

  TensorFlow reads nothing else: where it is missing, or leads to the place that
  the folder was copied from, a training run would start from the beginning or
  from a checkpoint elsewhere.

  Args:
    path: checkpoint prefix, result of `latest`.
  """
  if _found_by_tensorflow(os.path.dirname(path)) != path:
    folder, name = os.path.split(path)
    write_state(folder, [other for other in checkpoint_files.named(folder)
                         if other != name] + [name])


def _found_by_tensorflow(folder):
  try:
    return tf.train.latest_checkpoint(folder)
  except ValueError:  # The file `checkpoint` is empty.
    return None


def to_go_on_from(folder):
  """The newest complete checkpoint of a folder, or None without any.

  Args:
    folder: it need not exist.

  Raises:
    errors.SetupError: if there are checkpoints, but all of them are damaged.
  """
  try:
    return whole_checkpoint.newest(folder)
  except checkpoint_checks.BrokenCheckpointError as e:
    raise errors.SetupError(
        '%s Put a complete one there, or start over in another --model_dir.'
        % e)


def clear_state(folder):
  """Removes an empty file `checkpoint`, at which TensorFlow would stop."""
  path = os.path.join(folder, 'checkpoint')
  if tf.gfile.Exists(path) and checkpoint_files.newest_name(folder) is None:
    tf.logging.warning('%s is empty or damaged, and there is no checkpoint: it '
                       'is removed.', path)
    tf.gfile.Remove(path)


def write_state(folder: str, names: Sequence[str]) -> None:
  """Writes the file `checkpoint` of a folder.

  tf.train.update_checkpoint_state would resolve names in the current folder,
  unless `folder` is an absolute path.

  Args:
    folder: a local folder, relative or absolute, or one in a bucket.
    names: [name of a checkpoint in the folder]; TensorFlow restores the last
      one, and deletes the first ones first.
  """
  lines = ['model_checkpoint_path: %s' % json.dumps(names[-1])]
  lines += ['all_model_checkpoint_paths: %s' % json.dumps(n) for n in names]
  with storage.output_path(os.path.join(folder, 'checkpoint')) as temporary:
    with open(temporary, 'w', encoding='utf-8') as f:
      f.write('\n'.join(lines) + '\n')


def set_aside(path: str, folder: str) -> None:
  """Moves a checkpoint out of its folder, so that nobody goes on from it.

  Args:
    path: checkpoint prefix, the newest of several in its folder.
    folder: where it is kept, under its name; it need not exist.
  """
  home, name = os.path.split(path)
  earlier = [p for p in find_all(home) if step_of(p) < step_of(path)]
  names = [other for other in checkpoint_files.named(home) if other != name]
  # First of all TensorFlow forgets it: a move may be cut short.
  write_state(home, names or [os.path.basename(p) for p in earlier])
  tf.gfile.MakeDirs(folder)
  files = tf.gfile.Glob(path + '.*')
  for file in sorted(files, key=lambda file: not file.endswith('.index')):
    tf.gfile.Rename(file, os.path.join(folder, os.path.basename(file)),
                    overwrite=True)


def is_in(path: str, folder: str) -> bool:
  """Whether a checkpoint is in a folder, however both paths are written."""
  return _place(os.path.dirname(path)) == _place(folder)


def _place(folder):
  if storage.is_remote(folder):
    return folder.rstrip('/')
  return os.path.realpath(folder)


def latest_step(model_dir: str) -> int:
  """The step of the newest checkpoint; 0 when there is none."""
  path = latest(model_dir)
  return step_of(path) if path else 0


def num_calls(config: base.Config) -> int:
  """How often the training step was called before a training run starts.

  Args:
    config: experiment; the newest checkpoint of its model_dir counts, or the
      one of `train.checkpoint` if training continues from its step.

  Returns:
    int: with `train.accumulation_steps`, several calls for each step, and those
    of an incomplete update.
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


def time_of(path: str) -> float:
  """When a checkpoint was completed, seconds since 1970."""
  return tf.gfile.Stat(path + '.index').mtime_nsec / 1e9


def fingerprint(path: str) -> str:
  """Tells checkpoints of the same name apart, without comparing times.

  Its index holds the name, shape and checksum of every value.

  Args:
    path: checkpoint prefix.

  Returns:
    16 hexadecimal digits.

  Raises:
    tf.errors.NotFoundError: if it is not there.
  """
  with tf.gfile.GFile(path + '.index', 'rb') as f:
    return hashlib.sha256(f.read()).hexdigest()[:16]


def check_fits(path: str, variables: tensor_types.Variables) -> None:
  """Compares a checkpoint with the variables of a graph.

  Args:
    path: checkpoint prefix.
    variables: [tf.Variable], all that are to be restored.

  Raises:
    errors.SetupError: naming variables that are missing in it, or have other
      shapes.
  """
  try:
    checkpoint_fit.check(path, variables)
  except checkpoint_fit.MisfitError as e:
    raise errors.SetupError(str(e))


@contextlib.contextmanager
def restorable(path: str) -> Iterator[str]:
  """Yields a checkpoint that Estimator can restore, whichever program wrote it.

  Estimator also restores the training step, which weights that were converted
  or published for inference may lack; then it is a copy with the step of the
  file name.

  Args:
    path: checkpoint prefix.

  Yields:
    Checkpoint prefix.
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

  def __init__(self, path: str) -> None:
    """Keeps the prefix of the checkpoint."""
    self._path = path

  def begin(self) -> None:
    check_fits(self._path, tf.global_variables())
