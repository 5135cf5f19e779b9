"""Features of the training step on a small classifier, through model_fn."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from modeling import factory
from modeling.training import training_variables
from tests.modeling import small_training


def _train(folder, parts, devices=(), start=None):
  """Loss of each call, and what is saved after two updates."""
  config = small_training.config(
      train__accumulation_steps=parts, train__gradient_clip_norm=1.,
      train__moving_average_decay=.9)
  images, labels = small_training.batch(8)
  with small_training.Training(config, 8 // parts, devices,
                               start) as training:
    losses = [training.step(x, y) for _ in range(2) for x, y in zip(
        np.split(images, parts), np.split(labels, parts))]
    return losses, training.save(folder)


def _check_equal(whole, parts):
  assert whole['global_step'] == parts['global_step'] == 2
  assert whole['training/num_averaged'] == parts['training/num_averaged'] == 2
  for name, value in whole.items():
    np.testing.assert_allclose(
        parts[name], value, rtol=0, atol=1e-5 * np.abs(value).max(),
        err_msg=name)


def test_four_parts_equal_the_whole_batch(tmp_path):
  losses, whole = _train(tmp_path, 1)
  part_losses, parts = _train(tmp_path, 4)
  assert losses[1] < losses[0]
  # Weight decay is part of the loss of each part.
  assert np.mean(part_losses[:4]) == pytest.approx(losses[0], rel=1e-5)
  _check_equal(whole, parts)


@pytest.mark.slow
def test_four_parts_on_two_devices(tmp_path):
  with small_training.Training(small_training.config(), 8) as training:
    start = training.save_start(tmp_path)
  _, whole = _train(tmp_path, 1, start=start)
  _, parts = _train(tmp_path, 4, ('/cpu:0', '/cpu:1'), start)
  _check_equal(whole, parts)


def _restored(config, path, name):
  """A variable as prediction has it, and what is logged."""
  with tf.Graph().as_default(), tf.Session() as session:
    images, _ = small_training.batch(2)
    spec = factory.build_model_fn(config)(
        {'images': tf.constant(images), 'labels': {'source_id': tf.zeros(
            [2], tf.int64)}}, None, tf.estimator.ModeKeys.PREDICT, {})
    spec.scaffold.saver.restore(session, path)
    return session.run(training_variables.by_name(tf.global_variables())[name])


def test_prediction_of_averages(tmp_path, caplog):
  """Of an untrained checkpoint they are zeros, and the weights are taken."""
  tf.logging.set_verbosity(tf.logging.INFO)
  config = small_training.config(train__moving_average_decay=.9)
  name = 'classification_head/dense/kernel'
  path = str(tmp_path / 'model.ckpt')
  with small_training.Training(config, 8) as training:
    untrained = training.save(tmp_path)
    with caplog.at_level('INFO'):
      restored = _restored(config, path, name)
    for seed in (1, 2):
      training.step(*small_training.batch(8, seed))
    trained = training.save(tmp_path)
  assert np.any(restored)
  np.testing.assert_array_equal(restored, untrained[name])
  assert 'their moving averages begin with the first update' in caplog.text
  for wanted, source, words in (
      (True, name + '/ExponentialMovingAverage', 'averages of the weights are'),
      (False, name, 'eval.use_moving_average is false')):
    with caplog.at_level('INFO'):
      restored = _restored(small_training.config(
          train__moving_average_decay=.9, eval__use_moving_average=wanted),
                           path, name)
    np.testing.assert_array_equal(restored, trained[source])
    assert words in caplog.text
