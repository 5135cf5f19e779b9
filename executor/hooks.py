"""What happens between training steps: progress, divergence, orderly ends."""

import collections
import math
import os
import signal
import sys
import threading
import time
from typing import Any, Callable, Mapping, Optional, Sequence

import numpy as np
import tensorflow.compat.v1 as tf

from configs import base
from configs import precisions
from executor import divergence
from executor import errors
from executor import failures
from executor import log_files
from executor import presence
from executor import progress
from executor import signals as signals_lib
from executor import usage as usage_lib
from executor import watchdog
from executor import workers as workers_lib
from modeling import storage
from modeling.training import summaries
from modeling.training import training_variables
from ops import compat

_MAX_NAMED = 5  # variables named in a message
# Loss scaling starts at 2 ** 15 and is at 1 after 15 halvings.
_MAX_SKIPPED = 100
_STARVED = .5  # share of the time waiting for data above which advice is given
_INPUT_ADVICE = (
    'the accelerator waits for it. Remedies: more CPU cores, with '
    'train.num_parallel_calls set to their number; train.cache_records, if the '
    'records fit in memory; records whose images are not much larger than the '
    'input of the network; a faster disk; cheaper augmentation.')


def _collected_scalars():
  """{name: scalar tensor} of the training step; replicas are averaged."""
  by_name = collections.OrderedDict()
  collection = tf.get_collection_ref(summaries.TRAINING_SCALARS)
  for name, tensor in collection:
    by_name.setdefault(name, []).append(tf.cast(tensor, tf.float32))
  # A checkpoint's .meta file cannot hold pairs, and TensorFlow would complain.
  del collection[:]
  return {name: tf.add_n(tensors) / len(tensors) if len(tensors) > 1
          else tensors[0] for name, tensors in by_name.items()}


def format_duration(seconds: float, words: bool = False) -> str:
  """'45 s', '12 min' or '3 h 20 min'.

  Args:
    seconds: float.
    words: whether units are words: '45 seconds', '12 minutes'.
  """
  if seconds < 90:
    return '%d %s' % (round(seconds), 'seconds' if words else 's')
  minutes = int(round(seconds / 60.))
  if minutes < 90:
    return '%d %s' % (minutes, 'minutes' if words else 'min')
  return '%d h %02d min' % (minutes // 60, minutes % 60)


class TrainingHook(tf.train.SessionRunHook):
  """Reports progress; stops at a loss that is not a finite number.

  Every `every_n_steps` steps one line goes to the file of JSON lines and the
  values to TensorBoard (there every step with `enable_summary`). The log has a
  line after the first call, then every `train.log_every_seconds`; a terminal
  also has a bar. Steps are those of the global step: with loss scaling,
  accumulation or the loops of a TPU, a call may make no step or many.
  """

  def __init__(self, config: base.Config, every_n_steps: int,
               log_path: Optional[str], clock: Callable[[], float] = time.time,
               workers: Optional[workers_lib.Workers] = None,
               on_record: Optional[Callable[[Mapping[str, float]], Any]] = None
               ) -> None:
    """Keeps the arguments.

    Args:
      config: experiment.
      every_n_steps: int, `train.log_every_steps`.
      log_path: path of the JSON lines; None: nothing is written, as another
        worker does that.
      clock: () -> seconds.
      workers: executor.workers.Workers, to average over; None: there is one.
      on_record: called with {'step', name: value} of each JSON line.
    """
    self._on_record = on_record
    self._workers = workers or workers_lib.Alone()
    self._config = config
    self._total_steps = config.train.total_steps
    self._every_n_steps = every_n_steps
    self._log_path = log_path
    self._clock = clock
    self._scaling = (SkippedSteps(config.train.accumulation_steps)
                     if config.train.mixed_precision == precisions.FLOAT16
                     else None)
    self._step: Optional[int] = None
    self._bar = progress.Bar(clock=clock)
    self._rhythm: Optional[progress.Rhythm] = None
    if config.train.log_every_seconds:
      self._rhythm = progress.Rhythm(config.train.log_every_seconds)
    self._waited = 0.  # seconds for batches since the last line
    self._presence = presence.Presence(config.model_dir)
    self._growth = usage_lib.Growth()
    self._has_told_of_input = False

  def begin(self) -> None:
    self._scalars = _collected_scalars()
    self._fetches = {'scalars': self._scalars}
    wait = None if self._config.use_tpu else progress.input_wait()
    if wait is not None:
      self._fetches['wait'] = wait
    self._kept = summaries.take_kept_scalars()
    self._read_step = training_variables.read_step()
    self._workers.prepare(len(self._scalars) + len(self._kept))
    if self._log_path is not None:
      log_files.event_writer(self._config.model_dir)  # for other hooks, too

  @property
  def step(self) -> int:
    """int, the step that was reached; 0 before there is a session."""
    return self._step or 0

  @property
  def steps_per_call(self) -> int:
    """int, how many steps a call makes at most: a TPU runs a loop of them."""
    return self._config.train.iterations_per_loop if self._config.use_tpu else 1

  def after_create_session(self, session: tf.Session,
                           coord: tf.train.Coordinator) -> None:
    del coord
    before, self._step = self._step, int(session.run(self._read_step))
    self._start = None  # Setting up is not a measure of speed.
    if before is not None:
      tf.logging.warning(
          'The session was lost at step %d and created again: training '
          'continues from step %d, that of the last checkpoint.', before,
          self._step)

  def before_run(
      self, run_context: tf.train.SessionRunContext) -> tf.train.SessionRunArgs:
    del run_context
    watchdog.beat('step %d' % (self.step + 1))
    return tf.train.SessionRunArgs(self._fetches)

  def after_run(self, run_context: tf.train.SessionRunContext,
                run_values: tf.train.SessionRunValues) -> None:
    session, previous = run_context.session, self._step
    # Not fetched with the call, which may read them before its update.
    self._step, kept = session.run((self._read_step, self._kept))
    self._step = int(self._step)
    watchdog.beat('what follows step %d, such as a checkpoint' % self._step)
    self._waited += run_values.results.get('wait', 0.)
    scalars = collections.OrderedDict(run_values.results['scalars'], **kept)
    # So that all workers meet the same NaN.
    scalars = dict(zip(scalars, map(float, self._workers.mean(
        session, list(scalars.values())))))
    check_finite(self._step, scalars)
    excess = divergence.exceeds(scalars, self._config)
    if excess:
      raise errors.TrainingDiverged(
          'Training diverged at step %d: %s.' % (self._step, excess),
          self._step)
    if self._scaling:
      self._scaling.count(self._step, self._step - previous)
    if self._log_path is not None:
      self._write(previous, scalars)

  def _write(self, previous, scalars):
    """Writes what is due after a call that began at step `previous`."""
    now = self._clock()
    if self._start is None:
      # The first call also sets up the pipeline and is not a measure of speed.
      self._start = self._last = self._last_line = (self._step, now)
      self._waited = 0.
    is_last = previous < self._step >= self._total_steps
    is_due = is_last or (self._step // self._every_n_steps
                         > previous // self._every_n_steps)
    if self._config.enable_summary:
      # Every step; a TPU sends them by its host call.
      if self._step > previous and not self._config.use_tpu:
        self._write_events(scalars)
    elif is_due:
      self._write_events(scalars)
    if is_due:
      self._record(scalars, now)
      self._last = (self._step, now)
    self._tell(scalars, now, is_due, is_last)

  def _write_events(self, values):
    """Writes {tag: value} to the event file of the training."""
    with failures.survived('No summary was written'):
      writer = log_files.event_writer(self._config.model_dir)
      writer.reopen()  # After an error TF 2.15 leaves it closed.
      writer.add_summary(
          tf.Summary(value=[tf.Summary.Value(tag=tag, simple_value=value)
                            for tag, value in sorted(values.items())]),
          self._step)

  def _record(self, scalars, now):
    """Writes the line of the file."""
    self._presence.check(self._step)
    step, batch_size = self._step, self._config.train.train_batch_size
    record = collections.OrderedDict(step=step, time=now)
    rate = _rate(self._last, (step, now))
    if rate:
      record.update(steps_per_second=rate, images_per_second=rate * batch_size)
      self._write_events({'global_step/sec': rate})
    if self._scaling and self._scaling.total:
      record.update(left_out_by_loss_scaling=self._scaling.total)
    record.update(sorted(scalars.items()))
    usage = usage_lib.of_process()
    record.update(usage)
    for warning in self._growth.complaints(usage):
      tf.logging.warning('%s', warning)
    with failures.survived('No line was written to %s' % self._log_path):
      storage.append_json_line(self._log_path, record)
    if self._on_record:
      self._on_record(record)

  def _tell(self, scalars, now, is_due, is_last):
    """Shows people how far it is."""
    share = self._step / float(max(1, self._total_steps))
    place = 'Step %d of %d (%.1f %%)' % (self._step, self._total_steps,
                                         100. * share)
    overall = _rate(self._start, (self._step, now))
    left = ''
    if overall and self._step < self._total_steps:
      left = ', %s left' % format_duration(
          (self._total_steps - self._step) / overall)
    if self._rhythm:
      is_due = self._rhythm.is_due(now) or is_last
    if is_due:
      self._presence.check(self._step)
      self._bar.end()
      tf.logging.info('%s%s%s', place, self._details(scalars, now), left)
      self._last_line, self._waited = (self._step, now), 0.
    self._bar.show(place + left, share)
    if is_last:
      self._bar.end()

  def _details(self, scalars, now):
    """What a line says between the step and the time that is left."""
    line, batch_size = '', self._config.train.train_batch_size
    rate = _rate(self._last_line, (self._step, now))
    if rate:
      line += ', %.3g steps/s, %.3g images/s' % (rate, rate * batch_size)
    if rate and 'wait' in self._fetches:
      share = min(1., max(0., self._waited / (now - self._last_line[1])))
      line += ', %.0f %% of the time waiting for data' % (100. * share)
      if share >= _STARVED and not self._has_told_of_input:
        self._has_told_of_input = True
        tf.logging.warning('The input takes %.0f %% of the step: %s',
                           100. * share, _INPUT_ADVICE)
    line += ''.join(', %s %.4g' % item for item in sorted(scalars.items()))
    if self._scaling and self._scaling.total:
      line += ', %d tries left out by loss scaling' % self._scaling.total
    return line + usage_lib.text()

  def end(self, session: tf.Session) -> None:
    del session
    self._bar.end()


class SkippedSteps:
  """Counts the calls that loss scaling left out because a gradient overflowed.

  A few at the start are normal: the scale begins high and is halved.
  """

  def __init__(self, parts: int = 1) -> None:
    """Keeps how many calls a step takes, `train.accumulation_steps`."""
    self._parts = parts
    self._calls = 0  # since the last step
    self.total = 0

  def count(self, step: int, steps: int) -> None:
    """Counts a call.

    Args:
      step: int, the step that was reached.
      steps: int, how many steps the call made.

    Raises:
      errors.TrainingDiverged: when no gradient has been finite for so long
        that a smaller scale cannot be the remedy.
    """
    self._calls += 1
    if steps:
      self.total += max(0, self._calls - self._parts)
      self._calls = 0
    elif self._calls >= _MAX_SKIPPED * self._parts:
      raise errors.TrainingDiverged(
          'Training diverged at step %d: %d gradients in a row were not '
          'finite, with smaller and smaller loss scales '
          '(train.mixed_precision: float16).' % (step, self._calls), step)


def _rate(first, last):
  """Steps per second between two (step, time); None if no time has passed."""
  steps, seconds = last[0] - first[0], last[1] - first[1]
  return steps / seconds if steps > 0 and seconds > 0 else None


def check_finite(step: int, scalars: Mapping[str, float]) -> None:
  """Raises errors.TrainingDiverged, naming scalars that are not finite.

  Args:
    step: int.
    scalars: {name: float}.
  """
  bad = sorted(k for k, v in scalars.items() if not math.isfinite(v))
  if bad:
    good = sorted(set(scalars) - set(bad))
    raise errors.TrainingDiverged(
        'Training diverged at step %d: %s%s.' % (
            step, ', '.join('%s is %s' % (k, scalars[k]) for k in bad),
            ' (%s)' % ', '.join('%s %.4g' % (k, scalars[k]) for k in good)
            if good else ''), step)


class FiniteWeights(tf.train.CheckpointSaverListener):
  """Keeps weights that are not finite out of the checkpoints.

  A checkpoint may be due in the very step in which the loss became NaN, and it
  would replace the last good one.
  """

  def begin(self) -> None:
    variables = [v for v in tf.global_variables() if v.dtype.is_floating]
    self._names = [training_variables.name_of(v) for v in variables]
    self._values = [tf.convert_to_tensor(v) for v in variables]
    # One operation a variable: what is in the graph costs time at the start.
    self._norms = tf.stack(
        [tf.cast(tf.nn.l2_loss(value), tf.float32) for value in self._values])

  def before_save(self, session: tf.Session, global_step_value: int) -> None:
    # The norm of large values overflows, so it only shows where to look.
    bad = [self._names[i]
           for i in np.flatnonzero(~np.isfinite(session.run(self._norms)))
           if not np.isfinite(session.run(self._values[i])).all()]
    if bad:
      raise errors.TrainingDiverged(
          'Training diverged by step %d: %d of %d variables are not '
          'finite, such as %s. They were not saved.' % (
              global_step_value, len(bad), len(self._names),
              ', '.join(bad[:_MAX_NAMED])), int(global_step_value))


class StopRequest(tf.train.SessionRunHook):
  """Turns SIGTERM, SIGHUP and Ctrl-C into a checkpoint and an end.

  The end comes after the step; before the first step there is nothing to save
  and the process ends where it is. A context manager: outside of it the signals
  have their usual effect. A second signal ends the program at once.
  """

  def __init__(self, signals: Optional[Sequence[int]] = None,
               workers: Optional[workers_lib.Workers] = None,
               seconds: float = 600.) -> None:
    """Keeps the arguments.

    Args:
      signals: numbers; None: those of executor.signals.
      workers: executor.workers.Workers: a signal to one of them stops all at
        the same step. None: there is one.
      seconds: float, `train.stop_timeout`: where executor.signals is installed,
        the process ends that long after a signal in any case.
    """
    self._is_alone = workers is None
    self._workers = workers or workers_lib.Alone()
    self._signals = signals_lib.ending() if signals is None else signals
    self._previous = {}
    self._grace = signals_lib.grace(seconds)
    self._has_begun = False
    self.signal_number: Optional[int] = None

  def __enter__(self):
    self._grace.__enter__()
    # Python delivers signals to the main thread only.
    if threading.current_thread() is threading.main_thread():
      for number in self._signals:
        self._previous[number] = signal.signal(number, self._receive)
    return self

  def __exit__(self, *exc_info):
    self._restore()
    self._grace.__exit__(*exc_info)

  def _restore(self):
    for number, handler in self._previous.items():
      signal.signal(number, handler)

  def _receive(self, number, frame):
    del frame
    is_first = self.signal_number is None
    self.signal_number = number
    self._restore()
    if not is_first:  # Something else, such as a hook, set this handler again.
      os.kill(os.getpid(), number)
      return
    name = signal.Signals(number).name
    if self._is_alone and not self._has_begun:
      tf.logging.warning('%s received before the first step: training ends, '
                         'and checkpoints stay as they are.', name)
      sys.exit(errors.Terminated.exit_code)
    tf.logging.warning(
        '%s received: training ends after this step, with a checkpoint. A '
        'second signal ends it at once.', name)

  def begin(self) -> None:
    self._workers.prepare()

  def before_run(self, run_context: tf.train.SessionRunContext) -> None:
    del run_context
    self._has_begun = True

  def after_run(self, run_context: tf.train.SessionRunContext,
                run_values: tf.train.SessionRunValues) -> None:
    received = self.signal_number is not None
    if self._workers.any(run_context.session, received):
      if not received:
        tf.logging.warning('Another worker was asked to stop.')
        self.signal_number = signal.SIGTERM
      run_context.request_stop()


class KeepSignalHandlers(tf.train.SessionRunHook):
  """Keeps Ctrl-C from ending a TPU job at once.

  TPUEstimator gives SIGINT its default effect before every call. This one has
  to run after its hook, as the training hooks of a model_fn do.
  """

  def begin(self) -> None:
    self._handler = signal.getsignal(signal.SIGINT)

  def before_run(self, run_context: tf.train.SessionRunContext) -> None:
    del run_context
    if (signal.getsignal(signal.SIGINT) == signal.SIG_DFL
        and self._handler is not None):
      signal.signal(signal.SIGINT, self._handler)


class HistogramHook(tf.train.SessionRunHook):
  """Writes histograms of the trained variables for TensorBoard."""

  def __init__(self, every_n_steps: int, folder: str) -> None:
    """Keeps `train.histograms_every_n_steps` and model_dir."""
    self._every_n_steps = every_n_steps
    self._folder = folder

  def begin(self) -> None:
    self._read_step = training_variables.read_step()
    self._histograms = tf.summary.merge([
        tf.summary.histogram('weights/' + training_variables.name_of(v), v,
                             collections=[])
        for v in tf.trainable_variables()])
    self._last: Optional[int] = None

  def after_run(self, run_context: tf.train.SessionRunContext,
                run_values: tf.train.SessionRunValues) -> None:
    step = int(run_context.session.run(self._read_step))
    if self._last is None or (step // self._every_n_steps
                              > self._last // self._every_n_steps):
      histograms = run_context.session.run(self._histograms)
      with failures.survived('No histogram was written'):
        log_files.event_writer(self._folder).add_summary(histograms, step)
    self._last = step


class SummaryHook(tf.train.SummarySaverHook):
  """Writes what the graph summarizes: the loss, by its Estimator, and plugins'.

  TensorFlow's own hook fetches the summaries only in the steps that it writes.
  A step with them and one without are two graphs, and each is optimized before
  it runs, which takes longer than the steps themselves. Scalars are fetched in
  every step here; other summaries may take time to compute.
  """

  def __init__(self, every_n_steps: int, folder: str) -> None:
    """Keeps the arguments.

    Args:
      every_n_steps: int, `train.log_every_steps`.
      folder: model_dir.
    """
    # The graph's own summaries, which there are only once it is built.
    super().__init__(save_steps=every_n_steps, output_dir=folder,
                     scaffold=tf.train.Scaffold())
    self._always: Optional[bool] = None

  def _get_summary_op(self):
    return tf.get_collection(tf.GraphKeys.SUMMARY_OP)

  def before_run(
      self, run_context: tf.train.SessionRunContext) -> tf.train.SessionRunArgs:
    if self._always is None:
      self._always = all(t.op.type == 'ScalarSummary'
                         for t in tf.get_collection(tf.GraphKeys.SUMMARIES))
    arguments = super().before_run(run_context)
    if self._always:
      arguments.fetches['summary'] = self._get_summary_op()
    return arguments

  def after_run(self, run_context: tf.train.SessionRunContext,
                run_values: tf.train.SessionRunValues) -> None:
    with failures.survived('No summary was written'):
      super().after_run(run_context, run_values)

  def end(self, session: tf.Session) -> None:
    with failures.survived('No summary was written'):
      super().end(session)


class TimelineHook(tf.train.ProfilerHook):
  """Writes the timeline of a step; errors of its file do not end training."""

  def _save(self, *args, **kwargs):
    with failures.survived('No timeline was written'):
      super()._save(*args, **kwargs)


class TpuProfileHook(tf.train.SessionRunHook):
  """Records a call every N steps for TensorBoard, on a TPU VM.

  There, a call is a loop of steps. The timelines of a session do not include a
  TPU.
  """

  def __init__(self, every_n_steps: int, folder: str) -> None:
    """Keeps `train.profile_every_n_steps` and where to write."""
    self._every_n_steps = every_n_steps
    self._folder = folder
    self._profiler = compat.v2_profiler()
    self._is_recording = False

  def begin(self) -> None:
    self._read_step = training_variables.read_step()

  def after_create_session(self, session: tf.Session,
                           coord: tf.train.Coordinator) -> None:
    del coord
    # Not the first call, which compiles.
    self._next = session.run(self._read_step) + self._every_n_steps
    self._step: Optional[int] = None

  def before_run(self, run_context: tf.train.SessionRunContext) -> Any:
    del run_context
    if self._step is not None and self._step >= self._next:
      with self._survived():
        self._profiler.start(self._folder)
        self._is_recording = True

  def after_run(self, run_context: tf.train.SessionRunContext,
                run_values: tf.train.SessionRunValues) -> None:
    self._step = run_context.session.run(self._read_step)
    if self._is_recording:
      self._is_recording = False
      self._next = self._step + self._every_n_steps
      with self._survived():
        self._profiler.stop()

  def _survived(self):
    return failures.survived('No profile was written')


def profile_hook(config: base.Config, folder: str) -> tf.train.SessionRunHook:
  """The hook of `train.profile_every_n_steps`.

  Args:
    config: experiment.
    folder: where it writes.

  Returns:
    tf.train.SessionRunHook.
  """
  every_n_steps = config.train.profile_every_n_steps
  if config.use_tpu:
    return TpuProfileHook(every_n_steps, folder)
  return TimelineHook(save_steps=every_n_steps, output_dir=folder)
