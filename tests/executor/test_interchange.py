"""A checkpoint of one runtime, and of a TPU's settings, works in the other.

The test goes both ways: steps of the other runtime are followed by one here,
which both evaluate.
"""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from configs import base
from configs import factory
from executor import checkpoints
from executor import model_dir as model_dir_lib
from tests import test_main
from tests.dataloader import examples

_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
_CONFIG = """
architecture: {num_classes: 3, min_level: 3, max_level: 5}
anchor: {num_scales: 1}
resnet: {resnet_depth: 10}
fpn: {fpn_feat_dims: 8}
batch_norm_activation: {use_sync_bn: true}
retinanet_head: {num_convs: 1, num_filters: 8}
retinanet_parser: {output_size: [32, 32], max_num_instances: 4}
postprocess: {score_threshold: 0.0}
train:
  train_batch_size: 2
  train_file_pattern: records
  seed: 1
  learning_rate: {warmup_steps: 0, init_learning_rate: 0.001}
eval: {eval_batch_size: 2, eval_file_pattern: records}
"""


def _other_python():
  """The interpreter of the other runtime, if `make setup` has made it."""
  name = '.venv-tf1' if sys.version_info >= (3, 11) else '.venv-tf2'
  path = os.path.join(_ROOT, name, 'bin', 'python')
  if not os.path.exists(path):
    pytest.skip('The other runtime is not installed: %s.' % path)
  return path


def _run_here(model_dir, *arguments):
  assert test_main._run('--model=retinanet', '--model_dir=%s' % model_dir,
                        *arguments) == 0


def _run_there(python, model_dir, *arguments):
  result = subprocess.run(
      [python, 'main.py', '--model=retinanet', '--model_dir=%s' % model_dir]
      + list(arguments), cwd=_ROOT, stdout=subprocess.PIPE,
      stderr=subprocess.STDOUT, text=True,
      env=dict(os.environ, CUDA_VISIBLE_DEVICES=''))
  assert result.returncode == 0, result.stdout[-3000:]


def _metrics(model_dir, suffix):
  path = model_dir / ('eval' + suffix) / 'metrics.json'
  return json.loads(path.read_text())


def _save_as_of_a_tpu(run):
  """params.yaml as a job on a TPU would have left it."""
  config, _ = factory.load_config(None, str(run / 'params.yaml'))
  config = base.override(config, {
      'use_tpu': True, 'platform': {'tpu': 'my-tpu'},
      'train': {'num_shards': 8}})
  assert config.architecture.use_bfloat16 and config.train.transpose_input
  model_dir_lib.save_params(config, str(run / 'params.yaml'))


@pytest.mark.one_runtime('tf2')
def test_checkpoints_of_the_other_runtime(tmp_path):
  """Trained in bfloat16 with the settings of a TPU, evaluated on CPUs."""
  other = _other_python()
  rng = np.random.RandomState(0)
  examples.write(tmp_path / 'records', [examples.serialize(
      rng.randint(0, 255, [64, 64, 3]).astype(np.uint8),
      [[.1, .1, .6, .7]], [1 + i % 2], source_id=str(i)) for i in range(3)])
  (tmp_path / 'config.yaml').write_text(_CONFIG)
  run = tmp_path / 'run'
  training = ('--data_dir=%s' % tmp_path,
              '--config_file=%s' % (tmp_path / 'config.yaml'))
  _run_there(other, run, '--mode=train', '--precision=bfloat16',
             '--train_steps=2', *training)
  _save_as_of_a_tpu(run)
  # Training continues here, with momenta, and the other one reads the result.
  _run_here(run, '--mode=train', '--precision=bfloat16', '--train_steps=3',
            *training)
  assert checkpoints.latest_step(str(run)) == 3
  _save_as_of_a_tpu(run)
  evaluation = ('--mode=eval', '--eval_once', '--nouse_tpu')
  _run_here(run, '--params_override=eval.suffix=_here', *evaluation)
  _run_there(other, run, '--params_override=eval.suffix=_there', *evaluation)
  here, there = _metrics(run, '_here'), _metrics(run, '_there')
  assert here['step'] == there['step'] == 3
  # Which of many equally bad boxes come first, rounding decides.
  assert here['AP'] >= 0 and there['AP'] >= 0
  for name in ('cls_loss', 'box_loss', 'model_loss'):
    np.testing.assert_allclose(here[name], there[name], rtol=1e-4,
                               err_msg=name)
