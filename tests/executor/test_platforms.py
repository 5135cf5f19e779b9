"""Training tells the same on every platform: steps, losses, ends, signals.

What TPUEstimator does on a TPU is played by TPUEstimator on the CPU, its own
hooks, and errors in its words.
"""

import functools
import json
import os
import signal

import pytest
import tensorflow.compat.v1 as tf
from tensorflow_estimator.python.estimator.tpu import tpu_estimator

from executor import checkpoints
from executor import errors
from executor import estimator as estimator_lib
from executor import hooks
from executor import loops
from executor import model_dir
from executor import signals
from modeling.training import optimizers
from modeling.training import summaries
from ops import compat
from tests.executor import doubles
from tests.executor import toy
from utils import modes


@pytest.fixture(autouse=True)
def _log_everything():
  verbosity = tf.logging.get_verbosity()
  tf.logging.set_verbosity(tf.logging.INFO)
  yield
  tf.logging.set_verbosity(verbosity)


def _train_on_tpu(config, model_fn=toy.tpu_model_fn, input_fn=toy.input_fn):
  return loops.train(config, toy.tpu_estimator(config, model_fn), input_fn)


def _train(config, model_fn=toy.model_fn, input_fn=toy.input_fn, **options):
  return loops.train(
      config, estimator_lib.build_estimator(config, model_fn),
      estimator_lib.with_batch_size(input_fn, config, modes.TRAIN), **options)


def _tpu_config(folder, **changes):
  return toy.config(folder, **dict({'use_tpu': True,
                                    'train.iterations_per_loop': 1}, **changes))


def _log_lines(folder):
  with open(str(folder / 'train_metrics.jsonl')) as f:
    return [json.loads(line) for line in f]


def _events(folder, suffix=''):
  """{tag: [step]} of the event files whose name ends so."""
  steps = {}
  for name in sorted(os.listdir(str(folder))):
    if 'tfevents' in name and name.endswith('.v2') == (suffix == '.v2'):
      for event in tf.train.summary_iterator(str(folder / name)):
        for value in event.summary.value:
          steps.setdefault(value.tag, []).append(event.step)
  return steps


def _with_hooks(model_fn, *more):
  """A model_fn whose hooks run after those of the loop."""
  def hooked(features, labels, mode, params):
    return model_fn(features, labels, mode, params)._replace(
        training_hooks=more)
  return hooked


class _At(tf.train.SessionRunHook):
  """Does something after the call that reached a step, or in the end."""

  def __init__(self, action, step=None):
    self._action, self._at = action, step

  def begin(self):
    self._step = tf.convert_to_tensor(tf.train.get_global_step())

  def after_run(self, run_context, run_values):
    if run_context.session.run(self._step) == self._at:
      self._action()

  def end(self, session):
    if self._at is None:
      self._action()


def _send(number):
  return functools.partial(os.kill, os.getpid(), number)


def test_a_tpu_reports_what_a_cpu_does(tmp_path):
  assert _train(toy.config(tmp_path / 'cpu')) == 6
  assert _train_on_tpu(_tpu_config(tmp_path / 'tpu')) == 6
  cpu, tpu = (_log_lines(tmp_path / name) for name in ('cpu', 'tpu'))
  for one, other in zip(cpu, tpu):
    assert list(one) == list(other)
    for key in ('step', 'model_loss', 'one'):
      assert one[key] == pytest.approx(other[key])
  assert [line['step'] for line in tpu] == [2, 4, 6]
  tags = [_events(tmp_path / name) for name in ('cpu', 'tpu')]
  assert set(tags[0]) == set(tags[1])
  assert tags[1]['model_loss'] == tags[0]['model_loss'] == [2, 4, 6]


def test_the_last_loop_of_a_tpu_is_shorter(tmp_path, caplog):
  config = _tpu_config(tmp_path, **{
      'train.total_steps': 400, 'train.iterations_per_loop': 100,
      'train.log_every_steps': 50})
  model_fn = functools.partial(toy.tpu_model_fn, total_steps=250,
                               steps_per_call=100)
  with caplog.at_level('INFO'):
    assert loops.train(config, toy.tpu_estimator(config, model_fn),
                       toy.input_fn, max_steps=250) == 250
  assert [line['step'] for line in _log_lines(tmp_path)] == [100, 200, 250]
  assert 'Step 250 of 400' in caplog.text


def test_nan_that_the_tpu_reports(tmp_path):
  """TPUEstimator checks the weights before any hook."""
  def model_fn(features, labels, mode, params):
    spec = toy.tpu_model_fn(features, labels, mode, params, steps_per_call=2)
    with tf.control_dependencies([spec.train_op]):
      variable, = tf.trainable_variables()
      checked = tf.check_numerics(variable.read_value(),
                                  'Gradient for %s is NaN' % variable.name)
    return spec._replace(train_op=checked.op)
  config = _tpu_config(tmp_path, **{'train.iterations_per_loop': 2,
                                    'train.save_checkpoints_steps': 1})
  with pytest.raises(errors.TrainingDiverged) as e:
    _train_on_tpu(config, model_fn, toy.nan_input_fn)
  assert 'between the steps 5 and 6: weight is not finite' in str(e.value)
  assert 'The last good checkpoint' in str(e.value)
  assert e.value.exit_code == 4
  assert model_dir.read_finished(str(tmp_path))['state'] == 'diverged'


def test_nan_loss_on_a_tpu(tmp_path):
  with pytest.raises(errors.TrainingDiverged,
                     match=r'at step 3: model_loss is nan \(one 1\)'):
    _train_on_tpu(_tpu_config(tmp_path), input_fn=toy.nan_input_fn)
  assert model_dir.read_finished(str(tmp_path))['state'] == 'diverged'


def test_nan_of_a_loss_that_is_not_among_the_scalars(tmp_path):
  def model_fn(features, labels, mode, params):
    spec = toy.model_fn(features, labels, mode, params)
    tf.get_collection_ref(summaries.TRAINING_SCALARS)[:] = []
    return spec
  with pytest.raises(errors.TrainingDiverged, match='step 3: the loss is not'):
    _train(toy.config(tmp_path), model_fn, toy.nan_input_fn)
  assert model_dir.read_finished(str(tmp_path))['state'] == 'diverged'


def test_ctrl_c_on_a_tpu_ends_with_a_checkpoint(tmp_path):
  """Though TPUEstimator's hook gives it the default effect."""
  before = signal.getsignal(signal.SIGINT)
  config = _tpu_config(tmp_path, **{'train.total_steps': 10**6})

  def model_fn(features, labels, mode, params):
    return toy.tpu_model_fn(
        features, labels, mode, params, total_steps=10**6, hooks=(
            tpu_estimator.InstallSignalHandlerHook(),
            _At(_send(signal.SIGINT), 2)))
  with pytest.raises(errors.Terminated) as e:
    _train_on_tpu(config, model_fn)
  assert e.value.exit_code == 7
  assert checkpoints.latest_step(str(tmp_path)) == 3
  assert signal.getsignal(signal.SIGINT) == before


@pytest.mark.parametrize('at', [3, None], ids=['last step', 'checkpoint'])
def test_a_signal_at_the_end_of_a_cycle_ends_the_job(tmp_path, at):
  config = toy.config(tmp_path, eval__num_steps_per_eval=3)
  evaluation = doubles.Evaluation()
  estimator = estimator_lib.build_estimator(config, _with_hooks(
      toy.model_fn, _At(_send(signal.SIGTERM), at)))
  with pytest.raises(errors.Terminated, match='step 3 of 6') as e:
    loops.train_and_eval(config, estimator, estimator_lib.with_batch_size(
        toy.input_fn, config, modes.TRAIN), evaluation)
  assert e.value.exit_code == 7
  assert checkpoints.latest_step(str(tmp_path)) == 3
  assert evaluation.steps == []


@pytest.mark.parametrize('at', [6, None])
def test_a_signal_at_the_end_of_the_training(tmp_path, at):
  """Nothing is left to be ended, unless an evaluation follows."""
  model_fn = _with_hooks(toy.model_fn, _At(_send(signal.SIGTERM), at))
  assert _train(toy.config(tmp_path / 'a'), model_fn) == 6
  with pytest.raises(errors.Terminated, match='step 6 of 6'):
    _train(toy.config(tmp_path / 'b'), model_fn, then_evaluates=True)
  # An evaluation beside it does not wait for more.
  assert model_dir.read_finished(str(tmp_path / 'b'))['state'] == 'finished'


def test_a_second_signal_ends_the_program_at_once(monkeypatch):
  """Even if something has set the handler again."""
  killed = []
  monkeypatch.setattr(hooks.os, 'kill', lambda *args: killed.append(args))
  with hooks.StopRequest() as stop:
    stop.before_run(None)
    stop._receive(signal.SIGTERM, None)
    assert not killed
    stop._receive(signal.SIGTERM, None)
  assert killed == [(os.getpid(), signal.SIGTERM)]


def test_a_signal_before_the_first_step_ends_the_program(monkeypatch):
  before = signal.getsignal(signal.SIGTERM)
  with pytest.raises(SystemExit) as e:
    with hooks.StopRequest() as stop:
      stop._receive(signal.SIGTERM, None)
  assert e.value.code == 7 and signal.getsignal(signal.SIGTERM) == before


def test_nohup_keeps_a_training_run(monkeypatch):
  monkeypatch.setattr(signals.signal, 'getsignal',
                      lambda number: signal.SIG_IGN)
  assert signals.ending() == [signal.SIGTERM, signal.SIGINT]


def _scaled_model_fn(slope, features, labels, mode, params):
  """Gradients that loss scaling cannot take until the scale is small."""
  del features, labels, params
  weight = tf.get_variable('weight', initializer=0.)
  loss = slope * weight
  summaries.add_scalars({'model_loss': loss})
  train_op = optimizers.LossScaling(
      tf.train.GradientDescentOptimizer(0.)).minimize(
          loss, tf.train.get_or_create_global_step())
  return tf.estimator.EstimatorSpec(mode, loss=loss, train_op=train_op)


def test_steps_that_loss_scaling_leaves_out_do_not_count(tmp_path, caplog):
  """A gradient of 1e36 overflows with scales of 2 ** 15 down to 2 ** 9."""
  config = toy.config(tmp_path, train__mixed_precision='float16')
  # What it rounds to in float16 is not looked at on a CPU.
  estimator = estimator_lib.build_estimator(
      toy.config(tmp_path), functools.partial(_scaled_model_fn, 1e36))
  with caplog.at_level('INFO'):
    assert loops.train(config, estimator, estimator_lib.with_batch_size(
        toy.input_fn, config, modes.TRAIN)) == 6
  lines = _log_lines(tmp_path)
  assert [line['step'] for line in lines] == [2, 4, 6]
  assert [line['left_out_by_loss_scaling'] for line in lines] == [7, 7, 7]
  assert '7 tries left out by loss scaling' in caplog.text


def test_gradients_that_no_scale_helps(tmp_path):
  config = toy.config(tmp_path, train__mixed_precision='float16')
  estimator = estimator_lib.build_estimator(
      toy.config(tmp_path), functools.partial(_scaled_model_fn, float('inf')))
  # Zero times infinity is a NaN already; the gradient alone is meant here.
  hook = hooks.SkippedSteps(parts=2)
  for _ in range(199):
    hook.count(5, 0)
  with pytest.raises(errors.TrainingDiverged, match='step 5: 200 gradients'):
    hook.count(5, 0)
  with pytest.raises(errors.TrainingDiverged):
    loops.train(config, estimator, estimator_lib.with_batch_size(
        toy.input_fn, config, modes.TRAIN))


class _Lost(tf.train.SessionRunHook):
  """A worker is lost once, after the third call."""

  def __init__(self):
    self._calls = 0

  def after_run(self, run_context, run_values):
    self._calls += 1
    if self._calls == 3:
      raise tf.errors.AbortedError(None, None, 'the worker restarted')


def test_a_lost_session_is_said(tmp_path, caplog):
  config = toy.config(tmp_path, train__save_checkpoints_steps=2,
                      train__log_every_steps=1)
  with caplog.at_level('INFO'):
    assert _train(config, _with_hooks(toy.model_fn, _Lost())) == 6
  assert ('was lost at step 3 and created again: training continues '
          'from step 2') in caplog.text
  assert [line['step'] for line in _log_lines(tmp_path)] == [
      1, 2, 3, 3, 4, 5, 6]


@pytest.mark.parametrize('error', [
    tf.errors.UnavailableError(None, None, 'bucket away'),
    tf.errors.AbortedError(None, None, 'bucket away'),
    OSError('bucket away')])
def test_a_log_that_cannot_be_written_costs_nothing(tmp_path, monkeypatch,
                                                    caplog, error):
  def fail(*args, **kwargs):
    raise error
  monkeypatch.setattr(hooks.storage, 'append_json_line', fail)
  monkeypatch.setattr(tf.summary.FileWriter, 'add_summary', fail)
  monkeypatch.setattr(hooks.summaries.tf.train.ProfilerHook, '_save', fail)
  monkeypatch.setattr(loops.early_stop.storage, 'read_json', lambda p: None)
  config = toy.config(tmp_path, train__profile_every_n_steps=2)
  estimator = estimator_lib.build_estimator(config, toy.model_fn)
  with caplog.at_level('INFO'):
    assert loops.train(config, estimator, estimator_lib.with_batch_size(
        toy.input_fn, config, modes.TRAIN)) == 6
  assert caplog.text.count('bucket away') >= 3
  assert 'No timeline' in caplog.text and 'No summary' in caplog.text
  assert 'was lost' not in caplog.text


def _summary_model_fn(folder, parts, features, labels, mode, params):
  """Every `parts`-th call is a step; a TPU's host call writes summaries."""
  del params
  weight = tf.get_variable('weight', initializer=tf.constant([0., 0.]))
  calls = tf.get_variable('calls', initializer=0, trainable=False)
  loss = tf.reduce_mean(tf.square(features * weight - labels))
  step = tf.train.get_or_create_global_step()
  with tf.control_dependencies([calls.assign_add(1)]):
    train_op = step.assign_add(tf.cast(
        tf.equal(calls.read_value() % parts, 0), tf.int64))
  host_call = summaries.tpu_host_call(
      {'model_loss': loss}, summaries.step_after(train_op, step), folder, 10)
  return tf.estimator.tpu.TPUEstimatorSpec(
      mode, loss=loss, host_call=host_call,
      train_op=summaries.keep_scalars({'model_loss': loss}, train_op))


@pytest.mark.parametrize('parts', [1, 2])
def test_summaries_of_a_tpu_count_steps(tmp_path, parts):
  config = _tpu_config(tmp_path, enable_summary=True)
  assert _train_on_tpu(config, functools.partial(
      _summary_model_fn, str(tmp_path), parts)) == 6
  assert _events(tmp_path, '.v2')['model_loss'] == [1, 2, 3, 4, 5, 6]
  # They are not written twice.
  assert 'model_loss' not in _events(tmp_path)


@pytest.mark.skipif(not compat.HAS_TPU_VMS, reason='TPU VMs need TF 2.15')
def test_profiles_of_a_tpu_vm(tmp_path):
  """What the profiler finds of the CPU, as there is no TPU."""
  _train_on_tpu(_tpu_config(tmp_path, **{'train.profile_every_n_steps': 2}))
  runs = tmp_path / 'profile' / 'plugins' / 'profile'
  assert list(runs.glob('*/*.xplane.pb'))
