"""Progress, divergence and polite ends, on a model of one variable."""

import contextlib
import json
import os
import re
import shutil
import signal

import pytest
import tensorflow.compat.v1 as tf

from executor import checkpoints
from executor import errors
from executor import estimator as estimator_lib
from executor import graph_file
from executor import hooks
from executor import loops
from tests.executor import toy
from utils import modes


def _train(config, input_fn=toy.input_fn, max_steps=None):
  estimator = estimator_lib.build_estimator(config, toy.model_fn)
  return loops.train(config, estimator, estimator_lib.with_batch_size(
      input_fn, config, modes.TRAIN), max_steps)


def _log_lines(path):
  with open(str(path / 'train_metrics.jsonl')) as f:
    return [json.loads(line) for line in f]


def _event_steps(folder):
  """{tag: [step]}."""
  steps = {}
  for name in os.listdir(str(folder)):
    if 'tfevents' in name:
      for event in tf.train.summary_iterator(str(folder / name)):
        for value in event.summary.value:
          steps.setdefault(value.tag, []).append(event.step)
  return steps


def test_format_duration():
  assert [hooks.format_duration(s) for s in (5, 89, 90, 3600, 12000)] == [
      '5 s', '89 s', '2 min', '60 min', '3 h 20 min']


def test_progress_is_logged_by_name(tmp_path, caplog):
  tf.logging.set_verbosity(tf.logging.INFO)
  with caplog.at_level('INFO'):
    assert _train(toy.config(tmp_path)) == 6
  lines = [r.getMessage() for r in caplog.records
           if r.getMessage().startswith('Step ')]
  assert [line.split(' (')[0] for line in lines] == [
      'Step 2 of 6', 'Step 4 of 6', 'Step 6 of 6']
  assert 'images/s' in lines[1] and 'model_loss ' in lines[1]
  assert ' left' in lines[1] and ' left' not in lines[2]
  records = _log_lines(tmp_path)
  assert [r['step'] for r in records] == [2, 4, 6]
  assert records[2]['model_loss'] < records[0]['model_loss']
  rate = records[1]['steps_per_second']
  assert records[1]['images_per_second'] == pytest.approx(4 * rate)
  events = _event_steps(tmp_path)
  assert {'global_step/sec', 'loss'} <= set(events)
  assert events['model_loss'] == events['one'] == [2, 4, 6]


def test_enable_summary_writes_every_step(tmp_path):
  _train(toy.config(tmp_path, enable_summary=True))
  assert _event_steps(tmp_path)['model_loss'] == [1, 2, 3, 4, 5, 6]


def test_histograms_on_request(tmp_path):
  _train(toy.config(tmp_path, train__histograms_every_n_steps=2))
  assert _event_steps(tmp_path)['weights/weight'] == [1, 2, 4, 6]
  _train(toy.config(tmp_path / 'none'))
  assert 'weights/weight' not in _event_steps(tmp_path / 'none')


@pytest.mark.parametrize('device', ['cpu', 'tpu'])
@pytest.mark.parametrize('is_wanted', [False, True])
def test_the_graph_as_text_on_request(tmp_path, device, is_wanted):
  config = toy.config(tmp_path, train__write_graph=is_wanted,
                      train__total_steps=1, use_tpu=device == 'tpu')
  estimator = (toy.tpu_estimator(config) if device == 'tpu' else
               estimator_lib.build_estimator(config, toy.model_fn))
  loops.train(config, estimator, estimator_lib.with_batch_size(
      toy.input_fn, config, modes.TRAIN))
  assert os.path.exists(str(tmp_path / 'graph.pbtxt')) == is_wanted
  # TensorBoard shows it; once is enough.
  events = [event for path in tmp_path.glob('*tfevents*')
            for event in tf.train.summary_iterator(str(path))]
  assert [event.HasField('graph_def') for event in events].count(True) == 1
  assert not any(event.HasField('meta_graph_def') for event in events)


def test_the_graph_is_converted_once(tmp_path, monkeypatch):
  converted, convert = [], tf.Graph.as_graph_def

  def as_graph_def(self, *args, **kwargs):
    # Not those of functions of the input.
    if self.finalized:
      converted.append(self)
    return convert(self, *args, **kwargs)

  monkeypatch.setattr(tf.Graph, 'as_graph_def', as_graph_def)
  _train(toy.config(tmp_path, train__save_checkpoints_steps=1), max_steps=3)
  assert (tmp_path / 'model.ckpt-3.meta').exists()
  assert len(converted) == 1


def test_meta_files_are_those_of_tensorflow(tmp_path, monkeypatch):
  def train():
    folder = tmp_path / 'model'
    _train(toy.config(folder, train__save_checkpoints_steps=1), max_steps=2)
    metas = [_parsed_meta((folder / ('model.ckpt-%d.meta' % step)).read_bytes())
             for step in range(3)]
    shutil.rmtree(str(folder))
    return metas

  found = train()
  assert all(meta.graph_def.node for meta in found)
  monkeypatch.setattr(graph_file, 'written_once',
                      lambda as_text: contextlib.nullcontext())
  assert found == train()


def _parsed_meta(content):
  """A MetaGraphDef without what differs from export to export."""
  # The folder of unfinished parts.
  meta = tf.MetaGraphDef.FromString(re.sub(
      b'_temp_[0-9a-f]{32}', b'_temp_' + 32 * b'0', content))
  meta.collection_def.pop('cond_context', None)  # Maps within strings.
  return meta


def test_tags_are_the_names_though_a_scope_has_them(tmp_path):
  def model_fn(features, labels, mode, params):
    with tf.name_scope('model_loss'):
      return toy.model_fn(features, labels, mode, params)
  config = toy.config(tmp_path)
  loops.train(config, estimator_lib.build_estimator(config, model_fn),
              estimator_lib.with_batch_size(toy.input_fn, config, modes.TRAIN))
  assert 'model_loss' in _event_steps(tmp_path)


def test_resumed_progress_counts_on(tmp_path):
  config = toy.config(tmp_path)
  _train(config, max_steps=3)
  _train(config)
  assert [r['step'] for r in _log_lines(tmp_path)] == [2, 4, 6]


def test_replicas_are_averaged(tmp_path):
  """Two replicas report one loss, and each gets half of the batch."""
  config = toy.config(tmp_path)
  sizes = []

  def input_fn(params, input_context=None):
    sizes.append(params['batch_size'])
    return toy.input_fn(params, input_context)

  estimator = estimator_lib.build_estimator(
      config, toy.model_fn, devices=['/cpu:0', '/cpu:1'])
  loops.train(config, estimator, estimator_lib.with_batch_size(
      input_fn, config, modes.TRAIN, replicas=2))
  _train(toy.config(tmp_path / 'one'))
  assert sizes == [2]
  for two, one in zip(_log_lines(tmp_path), _log_lines(tmp_path / 'one')):
    assert two['model_loss'] == pytest.approx(one['model_loss'])
    assert two['one'] == 1.


def test_nan_names_the_losses_and_keeps_the_last_good_weights(tmp_path):
  config = toy.config(tmp_path, train__save_checkpoints_steps=1)
  with pytest.raises(errors.TrainingDiverged) as e:
    _train(config, toy.nan_input_fn)
  # A checkpoint is due in every step, and checked before it is written.
  assert 'diverged' in str(e.value)
  assert checkpoints.latest_step(str(tmp_path)) == 2
  assert 'The last good checkpoint' in str(e.value)
  value = tf.train.load_checkpoint(
      checkpoints.latest(str(tmp_path))).get_tensor('weight')
  assert (value == value).all()


def test_nan_loss_is_named(tmp_path):
  with pytest.raises(errors.TrainingDiverged,
                     match=r'at step 3: model_loss is nan \(one 1\)'):
    _train(toy.config(tmp_path), toy.nan_input_fn)


def test_weights_that_are_not_finite_are_named():
  listener = hooks.FiniteWeights()
  tf.get_variable('good', initializer=[1.])
  tf.get_variable('bad', initializer=[1., float('inf')])
  tf.get_variable('count', initializer=[1])
  listener.begin()
  with tf.Session() as session:
    session.run(tf.global_variables_initializer())
    with pytest.raises(errors.TrainingDiverged,
                       match='step 7: 1 of 2 variables .* such as bad'):
      listener.before_save(session, 7)


def test_large_weights_are_finite():
  listener = hooks.FiniteWeights()
  tf.get_variable('large', initializer=[1e30])  # whose norm is not
  listener.begin()
  with tf.Session() as session:
    session.run(tf.global_variables_initializer())
    listener.before_save(session, 7)


@pytest.mark.parametrize('summarize, graphs', [
    (lambda: None, 1),
    # What may take time is computed only for the steps that write it.
    (lambda: tf.summary.histogram('of_a_plugin', tf.ones([3])), 2)])
def test_summaries(tmp_path, monkeypatch, summarize, graphs):
  fetched = set()
  run = tf.Session.run

  def seen(self, fetches, *args, **kwargs):
    if isinstance(fetches, dict):  # a training step
      fetched.add('MergeSummary' in str(fetches))
    return run(self, fetches, *args, **kwargs)

  def model_fn(features, labels, mode, params):
    summarize()
    return toy.model_fn(features, labels, mode, params)

  monkeypatch.setattr(tf.Session, 'run', seen)
  config = toy.config(tmp_path)
  estimator = estimator_lib.build_estimator(config, model_fn)
  assert loops.train(config, estimator, estimator_lib.with_batch_size(
      toy.input_fn, config, modes.TRAIN)) == 6
  assert len(fetched) == graphs
  steps = _event_steps(tmp_path)
  assert steps['loss'] == [1, 3, 5]
  assert steps.get('of_a_plugin', steps['loss']) == [1, 3, 5]
  assert ('of_a_plugin' in steps) == (graphs == 2)


def test_a_summary_that_cannot_be_written(tmp_path, monkeypatch):
  def fail(*args):
    raise tf.errors.AbortedError(None, None, 'bucket away')
  for name in ('after_run', 'end'):
    monkeypatch.setattr(tf.train.SummarySaverHook, name, fail)
  hook = hooks.SummaryHook(2, str(tmp_path))
  hook.after_run(None, None)
  hook.end(None)


def test_signal_ends_the_training_with_a_checkpoint(tmp_path):
  before = signal.getsignal(signal.SIGTERM)

  def input_fn(params, input_context=None):
    def send(x, y):
      os.kill(os.getpid(), signal.SIGTERM)
      return x, y
    dataset = toy.input_fn(params, input_context)
    return dataset.take(2).concatenate(dataset.take(1).map(
        lambda x, y: tuple(tf.py_func(send, [x, y], [tf.float32] * 2))).map(
            lambda x, y: (tf.ensure_shape(x, [4, 2]),
                          tf.ensure_shape(y, [4, 2]))).concatenate(dataset))

  config = toy.config(tmp_path, train__total_steps=10**6)
  with pytest.raises(errors.Terminated, match='asked to stop') as e:
    _train(config, input_fn)
  assert e.value.exit_code == 7
  assert 0 < checkpoints.latest_step(str(tmp_path)) < 10**6
  assert signal.getsignal(signal.SIGTERM) == before


def test_a_loss_above_its_limit_is_a_divergence(tmp_path):
  """The first loss is 2.5."""
  config = toy.config(tmp_path, train__max_loss=2.)
  with pytest.raises(errors.TrainingDiverged, match=(
      r'step 1: model_loss is 2.5, above train.max_loss \(2\).*saw 1')) as e:
    loops.train(config, estimator_lib.build_estimator(config, toy.model_fn),
                estimator_lib.with_batch_size(toy.input_fn, config,
                                              modes.TRAIN),
                describe_batch=' saw {}.'.format)
  assert e.value.step == 1


def test_what_was_saved_at_a_step_that_diverged_is_not_gone_on_from(
    tmp_path, caplog):
  """Its weights are finite, and make losses that are above the limit."""
  config = toy.config(tmp_path, train__max_loss=20., train__total_steps=8,
                      train__save_checkpoints_steps=1)

  def input_fn(params, input_context=None):
    del input_context
    return tf.data.Dataset.from_tensors((
        tf.fill([params['batch_size'], 2], 5.),
        tf.fill([params['batch_size'], 2], 2.))).repeat()

  tf.logging.set_verbosity(tf.logging.WARN)
  with caplog.at_level('WARNING'), pytest.raises(
      errors.TrainingDiverged) as e:
    loops.train(config, estimator_lib.build_estimator(config, toy.model_fn),
                estimator_lib.with_batch_size(input_fn, config, modes.TRAIN))
  step = e.value.step
  assert step > 1
  assert 'The last good checkpoint in %s is of step %d' % (
      tmp_path, step - 1) in str(e.value)
  assert checkpoints.latest_step(str(tmp_path)) == step - 1
  assert tf.train.latest_checkpoint(str(tmp_path)) == str(
      tmp_path / ('model.ckpt-%d' % (step - 1)))
  aside = tmp_path / 'diverged' / ('model.ckpt-%d' % step)
  assert tf.train.load_checkpoint(str(aside)).get_tensor('weight').any()
  assert not list(tmp_path.glob('model.ckpt-%d.*' % step))
  assert any('saved at the step that diverged' in m for m in caplog.messages)
