"""Lowering of steps to HLO: one configuration of each model, and what fails.

The bridge needs TensorFlow 2.15; on 1.15 the graphs are built here and lowered
by the environment beside this one, where there is one.
"""

import json
import os
import subprocess

import pytest
import tensorflow.compat.v1 as tf

from configs import factory
from ops import compat
from tests import runtimes
from tests.modeling import test_labels_spec
from tools.tpu import check
from tools.tpu import environments
from tools.tpu import report
from tools.tpu import step_files
from tools.tpu import steps

try:
  PYTHON = environments.bridge_python(compat.IS_TF2)
except environments.ToolError:
  PYTHON = None
needs_bridge = pytest.mark.skipif(
    PYTHON is None, reason='lowering needs TensorFlow 2.15: .venv-tf2')
SIZE = 128
# Two cores work on one image.
_SHARED = {'train': {'num_cores_per_replica': 2, 'input_partition_dims': [
    [1, 2, 1, 1], [1, 2, 1, 1]], 'transpose_input': True}}


def _config(model, override=None):
  changes = dict(test_labels_spec.SMALL[model])
  config, _ = factory.load_config(model, None, changes, override)
  return check.for_tpu(config, SIZE)


def _cases():
  """{name: (configuration, job)}."""
  cases = {model: (_config(model), 'train')
           for model in sorted(test_labels_spec.SMALL)}
  for model in ('retinanet', 'mask_rcnn'):
    cases[model + ', prediction'] = _config(model), 'predict'
  for model in ('cascade_mask_rcnn', 'shapemask'):
    cases[model + ', evaluation'] = _config(model), 'evaluate'
  batched, _ = factory.load_config('retinanet', None, dict(
      test_labels_spec.SMALL['retinanet'],
      postprocess={'nms_version': 'batched'}))
  cases['batched NMS'] = check.for_tpu(batched, SIZE), 'predict'
  return cases


def _lower(named_steps, folder):
  """{name: what the bridge found} of {name: Step}, in one process."""
  folders = {}
  for i, (name, step) in enumerate(sorted(named_steps.items())):
    folders[name] = os.path.join(folder, str(i))
    step_files.save(step, folders[name])
  subprocess.check_call(
      [PYTHON, '-m', 'tools.tpu.hlo_lowering', '--module']
      + list(folders.values()),
      cwd=environments.ROOT)
  found = {}
  for name, path in folders.items():
    with open(os.path.join(path, 'hlo.json')) as f:
      found[name] = json.load(f)
    assert os.path.exists(os.path.join(path, 'hlo.pb')) == (
        'instructions' in found[name])
  return found


@pytest.fixture(scope='module')
def of_models(tmp_path_factory, request):
  """{name of _cases that a test asks for: what the bridge found}."""
  names = {item.callspec.params['name'] for item in request.session.items
           if 'of_models' in getattr(item, 'fixturenames', ())}
  return _lower({name: steps.export(config, job, 1)
                 for name, (config, job) in _cases().items() if name in names},
                str(tmp_path_factory.mktemp('models')))


# The bridge is the same program for both runtimes, their graphs are not.
@needs_bridge
@pytest.mark.parametrize('name', [
    runtimes.only('tf1' if name in (
        'mask_rcnn', 'retinanet, prediction', 'shapemask',
        'cascade_mask_rcnn, evaluation', 'batched NMS')
                  else 'tf2', name) for name in sorted(_cases())])
def test_every_model_lowers(of_models, name):
  assert report.lowering_problems(of_models[name]) == []
  assert of_models[name]['instructions'] > 1000
  assert of_models[name]['opcodes']['convolution'] > 10
  # Of one replica: no sum is marked.
  assert not of_models[name]['custom_calls']


def _step(make_output):
  """Step of a function of images float32 [2, 8] and a variable."""
  with tf.Graph().as_default() as graph:
    images = tf.placeholder(tf.float32, [2, 8])
    scale = tf.get_variable('scale', [], use_resource=True)
    return steps.take_out(graph, [images],
                          {'loss': make_output(images * scale)})


def _of_positive(x):
  return tf.reduce_sum(tf.boolean_mask(tf.reshape(x, [-1]),
                                       tf.reshape(x > 0., [-1])))


def _as_text(x):
  return tf.cast(tf.strings.length(tf.as_string(x[0, 0])), tf.float32)


def _in_a_loop(x):
  return tf.while_loop(lambda y: y < 3., lambda y: y + _as_text(x), [0.])


def _unknown_until_run(x):
  return tf.reduce_sum(tf.reshape(x, tf.cast(x[0, :2], tf.int32)))


@pytest.fixture(scope='module')
def of_bad_steps(tmp_path_factory):
  makers = dict(good=tf.reduce_sum, dynamic=_of_positive, text=_as_text,
                loop=_in_a_loop, refused=_unknown_until_run)
  tf.enable_control_flow_v2()
  try:
    bad = {name: _step(make) for name, make in makers.items()}
  finally:
    tf.disable_control_flow_v2()
  return _lower(bad, str(tmp_path_factory.mktemp('bad')))


@needs_bridge
def test_a_step_without_problems(of_bad_steps):
  assert report.lowering_problems(of_bad_steps['good']) == []
  assert 'lowers' in report.lowering_line('train', of_bad_steps['good'])


@needs_bridge
def test_operations_without_lowering_are_listed(of_bad_steps):
  missing = of_bad_steps['text']['missing']
  assert missing == {'AsString': ['AsString'], 'StringLength': ['StringLength']}
  problems = report.lowering_problems(of_bad_steps['text'])
  assert problems[0] == 'AsString has no XLA lowering: AsString'


@needs_bridge
def test_operations_in_functions_are_listed(of_bad_steps):
  names = of_bad_steps['loop']['missing']['AsString']
  assert len(names) == 1 and names[0].endswith('/AsString')


@needs_bridge
def test_sizes_that_a_run_decides_are_reported(of_bad_steps):
  found = of_bad_steps['dynamic']
  assert not found['missing'] and found['dynamic']
  assert any('boolean_mask' in line for line in found['dynamic'])
  problem, = report.lowering_problems(found)
  assert 'only known at run time' in problem


@needs_bridge
def test_the_words_of_the_bridge_are_passed_on(of_bad_steps):
  problem, = report.lowering_problems(of_bad_steps['refused'])
  assert problem.startswith('the bridge refuses the graph: ')
  assert 'Reshape' in problem


def test_inputs_that_cores_share():
  """Images and maps of levels are divided; a core is sent its part."""
  step = steps.export(_config('retinanet', _SHARED), 'train', 1)
  images, *labels = step.inputs
  # Images are transposed for a TPU, labels are not.
  assert images.shape == [SIZE, SIZE, 3, 1] and images.parts == [2, 1, 1, 1]
  divided = [value for value in labels if value.parts]
  assert [value.parts for value in divided] == [[1, 2, 1, 1]] * len(divided)
  # The small model has levels 3 to 5; boxes and numbers are not divided.
  assert sorted({value.shape[1] for value in divided}) == [4, 8, 16]
  assert len(divided) < len(labels)
  whole = step._replace(inputs=[value._replace(parts=None)
                                for value in step.inputs])
  assert .5 < (step_files.infeed_bytes(step)
               / step_files.infeed_bytes(whole)) < .51
  predicting = steps.export(_config('retinanet', _SHARED), 'predict', 1)
  assert not any(value.parts for value in predicting.inputs)


@needs_bridge
def test_sums_over_replicas_are_marked(tmp_path):
  config = _config('classification', _SHARED)
  step = steps.export(config, 'train', 2, replicas=2)
  found = _lower({'two': step}, str(tmp_path))['two']
  # Parameters are the images, then the labels.
  assert found['parts'] == {'0': [2, 1, 1, 1]}
  assert len(step.sums) > 10
  assert found['custom_calls'] == {'sum_over_all_replicas': len(step.sums)}
  # Each replica draws numbers of its own.
  assert found['opcodes']['replica-id'] == 1


def test_a_missing_bridge_says_what_to_do(monkeypatch, tmp_path):
  monkeypatch.setattr(environments, 'ROOT', str(tmp_path))
  with pytest.raises(environments.ToolError, match='make setup RUNTIME=tf2'):
    environments.bridge_python(False)
  with pytest.raises(environments.ToolError, match='make tpu-check'):
    environments.compiler_python()
