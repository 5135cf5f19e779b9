"""The benchmarks at sizes of no interest: that they run and report."""

import json
import os
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from configs import base
from tests import docs_blocks
from tests import runtimes
from tools.benchmarks import model_step
from tools.benchmarks import op_cases
from tools.benchmarks import timing
from tools.benchmarks import variants

_SMALL = json.dumps({
    'architecture': {'num_classes': 4, 'min_level': 3, 'max_level': 5},
    'resnet': {'resnet_depth': 10}, 'fpn': {'fpn_feat_dims': 8},
    'retinanet_head': {'num_convs': 1, 'num_filters': 8}})


def _python(*arguments):
  process = subprocess.run(
      [sys.executable, '-m'] + list(arguments), cwd=docs_blocks.ROOT,
      capture_output=True, text=True,
      env=dict(os.environ, TF_CPP_MIN_LOG_LEVEL='2'))
  return process.returncode, process.stdout, process.stderr


def test_functions_run_in_turns_and_warm_up_is_not_timed():
  calls = []

  def slow_first():
    calls.append('a')
    time.sleep(.2 if len(calls) == 1 else 0.)

  results = timing.measure(
      {'a': slow_first, 'b': lambda: calls.append('b')}, repeats=3, warmup=1)
  assert calls == ['a', 'b'] * 4
  assert list(results) == ['a', 'b']
  assert results['a'].runs == 3 and results['a'].wall < .1


def test_cpu_time_is_not_wall_time():
  result = timing.measure({'wait': lambda: time.sleep(.05)}, 3, 0)['wait']
  assert result.wall > .05 > result.cpu >= result.cpu_min


def test_job_computes_from_stored_values():
  runs = []

  def build():
    value = timing.stored(np.float32([1., 2.]))
    weight = tf.get_variable('weight', [2], initializer=tf.ones_initializer())
    return [tf.py_func(lambda x: runs.append(x.tolist()), [value * weight], [])]

  job = timing.Job(build)
  job()
  job()
  job.close()
  assert runs == [[1., 2.]] * 2


def test_report_and_json(tmp_path):
  timings = {'one': timing.Timing(.5, .25, .4, 3),
             'two': timing.Timing(.001, .002, .001, 3)}
  lines = timing.report(timings, 'ms', {'one': 2.})
  assert lines[1].split() == ['one', '500', '400', '250', '2000']
  assert lines[2].split() == ['two', '1', '1', '2', '-']
  path = str(tmp_path / 'out.json')
  timing.write_json(path, timings, batch=2)
  with open(path) as f:
    record = json.load(f)
  assert record['tensorflow'] == tf.__version__ and record['batch'] == 2
  assert record['seconds']['one']['cpu'] == .5


@pytest.mark.parametrize('name', sorted(op_cases.CASES))
def test_every_case_runs(name, monkeypatch):
  monkeypatch.setattr(op_cases, 'SIZE', 128)
  monkeypatch.setattr(op_cases, 'NUM_CLASSES', 4)
  job = timing.Job(op_cases.CASES[name].build)
  job()
  job.close()


@pytest.mark.parametrize('job', ['train', 'predict'])
@pytest.mark.parametrize('model, override', [
    ('retinanet', _SMALL), ('classification', 'resnet.resnet_depth=10'),
    ('segmentation', 'resnet.resnet_depth=10, fpn.fpn_feat_dims=8'),
    runtimes.only('tf2', 'shapemask', json.dumps(dict(
        json.loads(_SMALL), shapemask_head={
            'num_downsample_channels': 8, 'num_convs': 1})))])
def test_step_of_a_model(model, override, job):
  configs = variants.load(model, None, override, None, 64)
  assert list(configs) == [model]
  step = timing.Job(
      lambda: model_step.build(configs[model], job, batch_size=2))
  step()
  step.close()


def test_variants_lie_over_all_else():
  configs = variants.load(
      'retinanet', None, 'train.total_steps=5',
      ['as it is:', 'short: train.total_steps=2',
       'both: {train: {total_steps: 3}, fpn: {fpn_feat_dims: 8}}'], 128)
  assert [c.train.total_steps for c in configs.values()] == [5, 2, 3]
  assert configs['both'].fpn.fpn_feat_dims == 8
  for config in configs.values():
    assert config.retinanet_parser.output_size == (128, 128)
    assert not config.use_tpu and not config.architecture.use_bfloat16


def test_variant_without_a_name():
  with pytest.raises(base.ConfigError, match='NAME: OVERRIDES'):
    variants.load('retinanet', None, None, ['train.total_steps=2'], 64)


@pytest.mark.one_runtime('tf2')
def test_unknown_case_lists_the_known_ones():
  status, _, err = _python('tools.benchmarks.ops', '--cases=nms')
  assert status == 1
  assert 'sorted_nms_2000' in err and 'Traceback' not in err


@pytest.mark.slow
def test_commands_of_the_document(tmp_path):
  """Each once, small."""
  # test_benchmark_saved_model.py times an exported model.
  commands = [line for block in docs_blocks.read('docs/benchmarks.md')
              if 'tools.benchmark_saved_model' not in block.text
              for line in block.text.splitlines() if line]
  assert commands
  small = {'tools.benchmarks.ops': ['--cases=sorted_nms_2000', '--repeats=1'],
           'tools.benchmarks.step': ['--image_size=64', '--repeats=1',
                                     '--params_override=' + _SMALL],
           'tools.benchmarks.input_pipeline': [
               '--images=4', '--records=2', '--objects=2', '--stages=jpeg'],
           'tools.benchmarks.evaluation': [
               '--images=3', '--categories=2', '--detections=4']}
  for index, command in enumerate(commands):
    words = command.split()
    assert words[:2] == ['python', '-m'], command
    path = str(tmp_path / ('%d.json' % index))
    status, out, err = _python(*words[2:] + small[words[2]] + [
        '--json=' + path])
    assert status == 0, err
    assert 'CPU' in out and os.path.exists(path)


@pytest.mark.one_runtime('tf2')
def test_input_pipeline(tmp_path):
  status, output, error = _python(
      'tools.benchmarks.input_pipeline', '--images=4', '--records=2',
      '--objects=2', '--jobs=retinanet_autoaugment', '--stages=jpeg',
      '--stages=steps', '--stages=pipeline', '--json=%s' % (tmp_path / 'a'))
  assert status == 0, error
  record = json.loads((tmp_path / 'a').read_text())
  assert set(record['seconds']) == {
      'retinanet_autoaugment/' + s for s in ('jpeg', 'steps', 'pipeline')}
  assert 'Peak memory' in output
