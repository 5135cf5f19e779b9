"""Evaluates a checkpoint: predictions of all images, then the metrics."""

import collections
import math
import os
import sys
import textwrap
import time
from typing import (
  Any,
  Callable,
  Dict,
  Iterable,
  Iterator,
  Mapping,
  Optional,
  TextIO,
  Tuple,
)

import numpy as np
import tensorflow.compat.v1 as tf

from configs import base
from dataloader import evaluation_checks
from evaluation import factory as evaluation_factory
from executor import best_checkpoint
from executor import checkpoints
from executor import errors
from executor import evaluation_files
from executor import evaluation_parts
from executor import evaluation_summaries as summaries
from executor import groundtruth as groundtruth_lib
from executor import hooks
from executor import model_dir as model_dir_lib
from executor import pins
from executor import progress as progress_lib
from executor import status
from executor import watchdog
from modeling import checkpoint_checks
from modeling import whole_checkpoint
from utils import fields
from utils import views

_REPORT_SECONDS = 10

MASK_TYPES = groundtruth_lib.MASK_TYPES
uses_json_file = groundtruth_lib.uses_json_file
reads_records = groundtruth_lib.reads_records


def needs_masks_of_records(section: base.Section) -> bool:
  """Whether the masks of the ground truth come from the records.

  Args:
    section: `eval`.
  """
  return section.type in MASK_TYPES and not uses_json_file(section)


def split_by_prefix(
    batch: Mapping[str, np.ndarray]
) -> Tuple[Dict[str, np.ndarray], Dict[str, np.ndarray], Dict[str, np.ndarray]]:
  """Splits a prediction dictionary.

  Args:
    batch: {prefixed name: array}; see modeling.predictions.

  Returns:
    predictions, ground truth, losses: {name without the prefix: array}.
  """
  def part(prefix):
    return {name[len(prefix):]: value for name, value in batch.items()
            if name.startswith(prefix)}
  return part(fields.PRED), part(fields.GT), part(fields.LOSS)


def images_of(
    batches: Iterable[Mapping[str, np.ndarray]]
) -> Iterator[Dict[str, np.ndarray]]:
  """Yields the batches without the padding of the last one.

  Args:
    batches: iterable of {name: array [B, ...]} with `pred_source_id`.

  Yields:
    {name: array}, at least one image each.
  """
  for batch in batches:
    ids = np.reshape(batch[fields.PRED + fields.SOURCE_ID], [-1])
    rows = np.flatnonzero(ids != fields.PADDING_ID)
    if len(rows):
      yield {name: value[rows] for name, value in batch.items()}


def _for_people(function, *args):
  """Calls an evaluator; its errors about the data end the job."""
  try:
    return function(*args)
  except ValueError as e:
    raise errors.JobError('The evaluation stopped. %s' % e)


def _settings_of(section):
  """What metrics.json says of how the metrics came about."""
  if not views.of_section(section):
    return {}
  return {'test_time_augmentation': base.to_dict(
      section.test_time_augmentation)}


def _described_views(section):
  further = views.of_section(section)
  return (', each in %d views (eval.test_time_augmentation)'
          % (1 + len(further)) if further else '')


def build_evaluator(config, watch=None):
  """The evaluator of an experiment, with its ground truth.

  Args:
    config: experiment.
    watch: see groundtruth.load.

  Returns:
    An evaluator of evaluation.factory.

  Raises:
    errors.SetupError: if the ground truth cannot be used.
  """
  section = config.eval
  try:
    if section.type == 'customized':
      return evaluation_factory.build_customized_evaluator(config)
    groundtruth = groundtruth_lib.load(config, watch)
    num_images = len(groundtruth.annotations.get('images', ()))
    # An evaluation cut short on purpose scores what it saw. Otherwise an
    # image without predictions counts as one without detections.
    is_part = bool(section.eval_samples
                   and section.eval_samples < num_images)
    return evaluation_factory.build_evaluator(
        section, groundtruth.annotations, groundtruth.id_map,
        only_predicted_images=is_part,
        mask_grid=evaluation_factory.build_mask_grid(config),
        category_map=groundtruth.category_map, notes=groundtruth.messages)
  except evaluation_checks.FindingError as e:
    raise errors.SetupError(str(e))
  except ValueError as e:
    raise errors.SetupError('The ground truth of the evaluation cannot be '
                            'used. %s' % e)


class Evaluation:
  """Evaluates checkpoints of one experiment on one set of images."""

  def __init__(self, config: base.Config, estimator: tf.estimator.Estimator,
               input_fn: Callable[..., Any],
               stream: Optional[TextIO] = None) -> None:
    """Prepares; the ground truth is read by `prepare`, or with a checkpoint.

    Args:
      config: experiment.
      estimator: estimator of executor.estimator.
      input_fn: for estimator.predict; batches as modeling.predictions has
        them, with ground truth ids.
      stream: where the table is printed; None: stdout.
    """
    self._config = config
    self._estimator = estimator
    self._input_fn = input_fn
    self._stream = stream
    self._evaluator: Any = None  # of evaluation.factory
    self._writer = evaluation_files.ResultWriter(model_dir_lib.eval_dir(config))
    self._sample = summaries.Sample(config)
    self._leader = (evaluation_parts.Leader(config)
                    if config.eval.num_parts > 1 and not config.eval.part
                    else None)
    self.voice = status.Voice(config)

  def take_over(self, config: base.Config) -> None:
    """Continues with another configuration.

    Args:
      config: experiment; its differences do not change what is evaluated, see
        `followed.changes`.
    """
    if (config.eval.num_summary_images
        != self._config.eval.num_summary_images):
      self._sample = summaries.Sample(config)
    self._config = config

  def is_done(self, path: str) -> bool:
    """Whether this checkpoint is evaluated already.

    Another training run may have reached the same step, so fingerprints count.

    Args:
      path: checkpoint prefix.

    Raises:
      tf.errors.NotFoundError: if it was deleted.
    """
    lines = self._writer.evaluated(checkpoints.step_of(path))
    if not lines:
      return False
    fingerprint = checkpoints.fingerprint(path)
    return any(line.fingerprint == fingerprint if line.fingerprint
               else line.time >= checkpoints.time_of(path) for line in lines)

  def prepare(self, watch: Any = None) -> None:
    """Reads the ground truth, so that errors in it appear before training.

    Args:
      watch: evaluation_checks.Watch, which checks the records that are read.

    Raises:
      errors.SetupError: if it cannot be used.
    """
    if self._evaluator is not None:
      return
    self._evaluator = build_evaluator(self._config, watch)
    if self._config.eval.type == 'customized':
      return  # It comes with the batches.
    if not sum(self._evaluator.num_objects.values()):
      tf.logging.warning(
          'The ground truth of the evaluation (%s) has no object%s. Every '
          'metric will be undefined (-1), and no checkpoint the best.',
          self._source(), (
              ' except crowds' if self._evaluator.num_crowds else ''))

  def _source(self):
    """Key and place of the ground truth."""
    section = self._config.eval
    if uses_json_file(section):
      return 'eval.val_json_file: %s' % section.val_json_file
    return 'eval.eval_file_pattern: %s' % section.eval_file_pattern

  def run(self, path: str) -> Dict[str, float]:
    """Evaluates a checkpoint; prints and writes the results.

    Args:
      path: checkpoint prefix.

    Returns:
      {metric: float}.

    Raises:
      pins.GoneError: if it was deleted.
      checkpoint_checks.BrokenCheckpointError: if it is damaged or incomplete.
    """
    self.prepare()
    self._say_progress(path, 'reads the checkpoint')
    if not checkpoints.is_in(path, self._config.model_dir):
      return self._run(path, path)
    with pins.pinned(path, model_dir_lib.eval_dir(self._config)) as held:
      try:
        whole_checkpoint.verify(held)
        return self._run(path, held)
      except checkpoint_checks.BrokenCheckpointError as e:
        raise checkpoint_checks.BrokenCheckpointError(
            str(e).replace(held, path)) from e

  def _run(self, path, held):
    """Evaluates the files of `held`, which is called `path`."""
    # The state that a failed evaluation left must not count.
    self._evaluator.reset()
    step, fingerprint = checkpoints.step_of(path), checkpoints.fingerprint(held)
    tf.logging.info('Evaluating %s.', path)
    start = time.monotonic()
    if self._leader:
      self._leader.ask(path, held)
    losses = self._predict_held(path, held)
    if self._leader:
      losses = self._take_parts(path, losses)
    losses = {name: math.fsum(values) / len(values)
              for name, values in losses.items()}
    self._say_progress(path, 'computes the metrics')
    metrics = dict(_for_people(self._evaluator.evaluate), **losses)
    if checkpoints.fingerprint(held) != fingerprint:
      raise checkpoint_checks.BrokenCheckpointError(
          '%s was written over, in place, while it was evaluated.' % path)
    self._print(step, metrics, losses, time.monotonic() - start)
    self._writer.write(step, metrics, self._evaluator.results(),
                       self._evaluator.results_name,
                       self._evaluator.category_names,
                       _settings_of(self._config.eval))
    self._write_summaries(step)
    if self._config.eval.best_metric:
      best_checkpoint.update(self._config, path, metrics, held)
    # Last: a job that is killed before this line evaluates once more.
    self._writer.mark_done(step, metrics, fingerprint)
    self.voice.say('idle', '%s is evaluated' % os.path.basename(path))
    return metrics

  def predict_part(self, path: str, held: str) -> Dict[str, Any]:
    """The contribution of this process to an evaluation by several.

    Args:
      path: checkpoint prefix.
      held: prefix of its files.

    Returns:
      JSON values, see evaluation_parts.
    """
    self.prepare()
    self._evaluator.reset()
    tf.logging.info('Part %d of the evaluation of %s.', self._config.eval.part,
                    path)
    losses = self._predict_held(path, held)
    return {'evaluator': self._evaluator.part(), 'losses': {
        name: [value if math.isfinite(value) else None for value in values]
        for name, values in losses.items()}}  # JSON has no NaN.

  def _predict_held(self, path, held):
    with checkpoints.restorable(held) as restorable, watchdog.watching(
        self._config.eval.stall_timeout, {'the checkpoint': held + '.index'}):
      return self._predict(restorable, path)

  def _take_parts(self, path, losses):
    """Adds the results of the other processes; returns the losses of all."""
    self._say_progress(path, 'waits for the other processes')
    others = self._leader.others()
    self._evaluator.take_parts([self._evaluator.part()] + [
        part['evaluator'] for part in others],
                               self._config.eval.eval_batch_size)
    joined = collections.defaultdict(list, losses)
    for part in others:
      for name, values in part['losses'].items():
        joined[name] += [float('nan') if value is None else value
                         for value in values]
    return joined

  def end(self) -> None:
    """Tells the other processes of an evaluation that it has ended."""
    if self._leader:
      self._leader.end()

  def _say_progress(self, path, progress):
    if not self._config.eval.part:  # The first speaks for all.
      self.voice.say('evaluating', path, progress=progress)

  def _predict(self, path, name):
    """Feeds the evaluator; returns {loss: [of each image]}.

    Args:
      path: prefix that is restored.
      name: prefix of the original, for messages.
    """
    # Sums of single images do not depend on who was given which.
    all_losses, count = collections.defaultdict(list), 0
    rhythm, start = progress_lib.Rhythm(_REPORT_SECONDS), None
    bar = progress_lib.Bar()
    batches = self._estimator.predict(
        self._input_fn, checkpoint_path=path, yield_single_examples=False,
        hooks=[checkpoints.FitHook(path)])
    for batch in images_of(batches):
      predictions, groundtruths, losses = split_by_prefix(batch)
      _for_people(self._evaluator.update, predictions, groundtruths)
      for loss, values in losses.items():
        all_losses[loss] += np.ravel(values).tolist()
      count += len(predictions[fields.SOURCE_ID])
      watchdog.beat('the batch after image %d of the evaluation' % count)
      now = time.monotonic()
      if start is None:  # The first batch also sets up the graph.
        start, first = now, count
      text = '%d images evaluated' % count
      if count > first:
        text += ', %.3g images/s' % ((count - first) / max(now - start, 1e-3))
      bar.show(text)
      if rhythm.is_due(now) and count > first:
        self._say_progress(name, '%d images' % count)
        tf.logging.info('%s', text)
    bar.end()
    return dict(all_losses)

  def _write_summaries(self, step):
    """Curves, matrix and images of a detector that is scored as COCO does."""
    compared = getattr(self._evaluator, 'compared', None)
    if compared is None or self._config.eval.type.startswith('lvis'):
      return
    has_masks = self._config.eval.type in MASK_TYPES
    values = summaries.curve_values(compared.annotations, compared.detections,
                                    'bbox')
    if has_masks:
      values += summaries.curve_values(
          compared.annotations, compared.detections, 'segm', 'mask_')
    if (self._config.eval.num_summary_images
        and self._config.eval.eval_file_pattern):
      values += self._sample.values(compared.annotations, compared.detections,
                                    compared.rows, has_masks)
    self._writer.write_summaries(step, values)

  def _print(self, step, metrics, losses, seconds):
    """The table for people."""
    stream = self._stream or sys.stdout
    count = self._evaluator.num_images
    stream.write('\nEvaluation at step %d: %d images in %s%s\n' % (
        step, count, hooks.format_duration(seconds),
        _described_views(self._config.eval)))
    if losses:  # A cascade has a dozen.
      stream.write(textwrap.fill(', '.join(
          '%s %.4g' % item for item in sorted(losses.items())), 80) + '\n')
    stream.write(self._evaluator.format_table(metrics) + '\n')
    stream.flush()
