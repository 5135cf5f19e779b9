"""After a training run diverged: its images, its batch, and another try.

The batch of a step is a function of the state in which reading began and of the
number of the step. So nothing is kept during training: the batch is read again.
"""

import os
from typing import Any, Dict, List, Sequence

import numpy as np
import tensorflow.compat.v1 as tf

from configs import base
from dataloader import examples
from dataloader import record_checker
from executor import checkpoints
from executor import errors
from modeling import storage
from utils import fields

_FILE = 'divergence.json'
FOLDER = 'diverged'  # in model_dir, of the saved batches
_SHOWN = 12  # image ids in a message
_ID = 'image/source_id'


class Guard:
  """The divergences of a training run so far, and whether it may go back.

  Each return to a checkpoint is recorded in `divergence.json`: later starts of
  the same run skip the same records and keep the reduced rate.
  """

  def __init__(self, config: base.Config, can_go_back: bool = True) -> None:
    """Reads the record of earlier starts of the run.

    Args:
      config: experiment; `train.divergence_retries` and
        `train.divergence_rate_factor` are read.
      can_go_back: False for one of several workers, which would have to agree.
    """
    self._can_go_back = can_go_back
    self._config = config
    self._path = os.path.join(config.model_dir or '', _FILE)
    has_begun = config.model_dir and checkpoints.latest(config.model_dir)
    self._times: List[Dict[str, Any]] = (
        storage.read_json(self._path) or [] if has_begun else [])

  @property
  def may_go_back(self) -> bool:
    """Whether another try is left."""
    return self._can_go_back and (
        len(self._times) < self._config.train.divergence_retries)

  def skipped_calls(self) -> int:
    """Calls of the training step whose records are left out."""
    return sum(time['skipped_calls'] for time in self._times)

  def adapted(self, config: base.Config) -> base.Config:
    """The experiment with the learning rates of this try."""
    if not self._times:
      return config
    factor = config.train.divergence_rate_factor ** len(self._times)
    rate = config.train.learning_rate
    tf.logging.warning('The learning rates are multiplied by %g after %d '
                       'divergence(s), see %s.', factor, len(self._times),
                       self._path)
    return base.override(config, {'train': {'learning_rate': {
        'init_learning_rate': rate.init_learning_rate * factor,
        'warmup_learning_rate': rate.warmup_learning_rate * factor,
        'learning_rate_levels': [level * factor
                                 for level in rate.learning_rate_levels]}}})

  def go_back(self, error: errors.TrainingDiverged) -> None:
    """Records that the run goes back to its last checkpoint.

    From the same one it goes on once: whatever made it diverge again, other
    records and smaller rates do not mend it, and the one before is taken.

    Args:
      error: names the step that diverged.
    """
    folder = self._config.model_dir
    if self._times and self._times[-1]['back_to'] == checkpoints.latest_step(
        folder):
      set_aside(folder, self._times[-1]['back_to'],
                'from it the run diverged twice')
    good = checkpoints.latest_step(folder)
    parts = self._config.train.accumulation_steps
    self._times.append({
        'diverged_at': error.step, 'back_to': good,
        'skipped_calls': max(1, error.step - good) * parts})
    storage.write_json(self._path, self._times)
    tf.logging.warning(
        '%s\nTraining goes back to step %d, with the records after those of '
        'step %d: time %d of %d (train.divergence_retries).', error, good,
        error.step, len(self._times), self._config.train.divergence_retries)


def set_aside(model_dir: str, step: int, why: str) -> None:
  """Moves the checkpoints from a step on out of the way, if there are others.

  Args:
    model_dir: folder of the checkpoints.
    step: int; 0: nothing is known.
    why: for the message.
  """
  while step:
    paths = checkpoints.find_all(model_dir)
    latest = checkpoints.latest(model_dir)
    if (latest is None or checkpoints.step_of(latest) < step
        or checkpoints.step_of(paths[0]) >= step):
      return
    folder = os.path.join(model_dir, FOLDER)
    try:
      checkpoints.set_aside(latest, folder)
    except (tf.errors.OpError, OSError) as e:
      tf.logging.warning('%s could not be moved to %s: %s', latest, folder,
                         str(e).split('\n')[0])
      return
    tf.logging.warning('%s is moved to %s, and the one before it is used: %s.',
                       latest, folder, why)


def describe(reader: Any, config: base.Config, step: int,
             skipped_calls: int = 0) -> str:
  """Saves the batch of a step and names its images.

  Args:
    reader: dataloader.input_reader.InputReader that gave the batches of this
      process.
    config: experiment.
    step: int, the one that diverged.
    skipped_calls: int, that of Guard.

  Returns:
    Sentences for the error.
  """
  parts = config.train.accumulation_steps
  steps = config.train.iterations_per_loop if config.use_tpu else 1
  first = max(0, step - steps) * parts + skipped_calls
  try:
    ids, batches = _read(reader, first, min(step, steps) * parts,
                         not config.use_tpu)
  except (tf.errors.OpError, ValueError, OSError) as e:
    return ' Its records could not be read again (%s).' % str(e).split('\n')[0]
  text = ' It saw the images %s%s.' % (
      ', '.join(ids[:_SHOWN]),
      ' and %d more' % (len(ids) - _SHOWN) if len(ids) > _SHOWN else '')
  if not batches:
    return text
  path = os.path.join(config.model_dir, FOLDER, 'step-%d%s.npz' % (
      step, '-host-%d' % reader.host if reader.host else ''))
  write_batches(path, ids, batches)
  return text + (' Its batch is in %s: `python -m tools.replay %s` shows each '
                 'loss, the images and the largest gradients.' % (path, path))


def _read(reader, first, calls, with_batches):
  """([id], [batch]) that this host gave to some calls."""
  with tf.Graph().as_default(), tf.Session() as session:
    records, dataset, number = reader.batches_again(first)
    count = calls * number
    serialized = tf.data.make_one_shot_iterator(records).get_next()
    batch = tf.data.make_one_shot_iterator(dataset).get_next()
    ids, batches = [], []
    for _ in range(count * reader.batch_size):
      ids.append(_id_of(session.run(serialized)))
    if with_batches:
      batches = [session.run(batch) for _ in range(count)]
  return ids, batches


def _id_of(serialized):
  """The id of a record; '?' if it has none."""
  name = record_checker.first_bytes(examples.features_of(serialized), _ID)
  return name.decode('utf-8', 'replace') or '?'


def write_batches(path: str, ids: Sequence[str],
                  batches: Sequence[Any]) -> None:
  """Writes batches as arrays, in the order of tf.nest.flatten.

  Args:
    path: the path of the .npz file.
    ids: [str], ids of all images.
    batches: [(images, labels)].
  """
  arrays = {'%d/%03d' % (i, k): np.asarray(value)
            for i, batch in enumerate(batches)
            for k, value in enumerate(tf.nest.flatten(batch))}
  with storage.output_path(path) as temporary:
    with open(temporary, 'wb') as f:
      np.savez(f, ids=np.array(ids), **arrays)


def exceeds(scalars: Dict[str, float], config: base.Config) -> str:
  """A clause about the loss if it is above `train.max_loss`; otherwise ''."""
  limit, loss = config.train.max_loss, scalars.get(fields.MODEL_LOSS)
  if limit is None or loss is None or loss <= limit:
    return ''
  return '%s is %.4g, above train.max_loss (%g)' % (
      fields.MODEL_LOSS, loss, limit)
