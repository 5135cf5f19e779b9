"""The step that this machine runs, and the same one compiled by XLA."""

import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from configs import factory
from configs import yaml_format
from ops import random_numbers
from tests import runtimes
from tests.modeling import test_labels_spec
from tools.tpu import comparison
from tools.tpu import environments
from tools.tpu import steps


def _step(draw):
  """Step that adds draws to a batch and trains a weight."""
  with tf.Graph().as_default() as graph, random_numbers.source(1, 0):
    batch = tf.placeholder(tf.float32, [2, 3])
    unread = tf.placeholder(tf.float32, [4])
    weight = tf.get_variable('weight', [3], use_resource=True)
    # Its gradient needs the weight, so the update comes after it was read.
    loss = tf.reduce_sum(tf.square((batch + draw([2, 3])) * weight))
    update = weight.assign_sub(tf.gradients(loss, weight)[0])
    with tf.control_dependencies([update]):
      outputs = {'loss': tf.identity(loss), 'drawn': tf.reduce_sum(draw([5]))}
    return steps.take_out(graph, [batch, unread], outputs)


def test_both_forms_of_a_step_agree():
  step = comparison.without_chance(_step(random_numbers.uniform))
  assert not [n.op for n in step.graph.node if 'RandomUniform' in n.op]
  batch = [np.arange(6.).reshape([2, 3]), np.zeros([4])]
  weights = {'weight': np.array([1., 2., 3.])}
  plain = comparison.run(step, batch, weights, use_xla=False)
  compiled = comparison.run(step, batch, weights, use_xla=True)
  draws = np.random.RandomState(0).uniform(size=[2, 3])
  expected = (((batch[0] + draws) * weights['weight']) ** 2).sum()
  np.testing.assert_allclose(plain['loss'], expected, rtol=1e-6)
  for name in ('loss', 'drawn'):
    np.testing.assert_allclose(compiled[name], plain[name], rtol=1e-6)


def test_other_draws_are_refused():
  with pytest.raises(ValueError, match='RandomStandardNormal'):
    comparison.without_chance(_step(tf.random_normal))


def test_what_a_step_reads():
  step = _step(random_numbers.uniform)
  assert [value.is_read for value in step.inputs] == [True, False]
  assert step.variables == {'weight': ([3], 'float32')}


@pytest.mark.parametrize('model', [
    runtimes.only('tf1', 'classification'), runtimes.only('tf2', 'mask_rcnn')])
def test_both_forms_have_the_same_draws(model):
  """The n-th draw of one step is the n-th of the other one."""
  config, _ = factory.load_config(model, None, test_labels_spec.SMALL[model])
  config = steps.one_device(config)
  plain = steps.take_out(*steps.build(config, 'train', 1))
  compiled = steps.export(config, 'train', 1)
  draws = [[node.op for node in step.graph.node if 'RandomUniform' in node.op]
           for step in (plain, compiled)]
  assert draws[0] == draws[1] and draws[0]
  assert sorted(plain.outputs) == sorted(compiled.outputs)
  assert plain.variables == compiled.variables
  assert {name for name in plain.outputs} >= {'loss', 'model_loss'}


@pytest.mark.slow
@pytest.mark.parametrize('model', sorted(test_labels_spec.SMALL))
def test_losses_agree(model, tmp_path):
  config = tmp_path / 'config.yaml'
  sections = dict(test_labels_spec.SMALL[model], type=model)
  for name, section in sections.items():
    if isinstance(section, dict) and 'max_num_instances' in section:
      # The image has more objects than those of other tests.
      sections[name] = dict(section, max_num_instances=20)
  config.write_text(yaml_format.dump(sections))
  # Optimizing takes minutes and is for many runs.
  flags = dict(os.environ, XLA_FLAGS='--xla_backend_optimization_level=0')
  done = subprocess.run(
      [sys.executable, '-m', 'tools.tpu_check', '--config_file=%s' % config,
       '--run', '--image_size=128', '--job=train'],
      cwd=environments.ROOT, env=flags, stdout=subprocess.PIPE,
      stderr=subprocess.STDOUT, text=True)
  assert done.returncode == 0, done.stdout
  assert 'model_loss' in done.stdout
