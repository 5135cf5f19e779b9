"""Training on two replicas takes the steps of training on one."""

import shutil

import numpy as np
import tensorflow.compat.v1 as tf

from executor import checkpoints
from executor import estimator as estimator_lib
from executor import loops
from modeling import model_fn
from tests.executor import toy
from utils import fields
from utils import modes

_SIZE = 64


def _input_fn(params, input_context=None):
  """Batches that repeat two images, so that halves are like the whole."""
  del input_context
  rng = np.random.RandomState(0)
  # So many that the 1 that each replica adds to its sum does not matter.
  labels = {fields.NUM_POSITIVES: np.array([3e6, 2e6], np.float32),
            fields.CLS_TARGETS: {}, fields.BOX_TARGETS: {}}
  for level in (3, 4):
    side = _SIZE >> level
    labels[fields.CLS_TARGETS][level] = rng.randint(
        -2, 3, [2, side, side, 1]).astype(np.int32)
    labels[fields.BOX_TARGETS][level] = rng.randn(
        2, side, side, 4).astype(np.float32)
  images = rng.randn(2, _SIZE, _SIZE, 3).astype(np.float32)
  return tf.data.Dataset.from_tensor_slices((images, labels)).repeat().batch(
      params['batch_size'], drop_remainder=True)


def _train(config, devices, max_steps):
  estimator = estimator_lib.build_estimator(
      config, model_fn.make_model_fn(config), devices=devices)
  loops.train(config, estimator, estimator_lib.with_batch_size(
      _input_fn, config, modes.TRAIN, max(1, len(devices))), max_steps)
  reader = tf.train.load_checkpoint(checkpoints.latest(config.model_dir))
  return {name: reader.get_tensor(name)
          for name in reader.get_variable_to_shape_map()
          if name.endswith('kernel')}


def _config(folder):
  # Statistics of the batch would differ between the replicas.
  return toy.config(
      folder, batch_norm_activation__batch_norm_trainable=False,
      architecture__num_classes=3, architecture__min_level=3,
      architecture__max_level=4, anchor__num_scales=1,
      anchor__aspect_ratios=[1.], resnet__resnet_depth=10,
      fpn__fpn_feat_dims=4, retinanet_head__num_convs=0,
      train__transpose_input=False, train__learning_rate__warmup_steps=0,
      train__learning_rate__init_learning_rate=1e6, train__l2_weight_decay=0.)


def test_step_of_two_replicas(tmp_path):
  one, two = tmp_path / 'one', tmp_path / 'two'
  start = _train(_config(one), [], 1)
  shutil.copytree(str(one), str(two))
  expected = _train(_config(one), [], 2)
  actual = _train(_config(two), ['/cpu:0', '/cpu:1'], 2)
  changes = [np.abs(expected[name] - start[name]).max() for name in start]
  assert max(changes) > 1e-3
  for name in start:
    np.testing.assert_allclose(
        actual[name] - start[name], expected[name] - start[name],
        atol=1e-3 * max(changes), err_msg=name)
