"""Features of the training step on a small classifier, through model_fn."""

import numpy as np
import pytest

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
