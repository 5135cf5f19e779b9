"""The input of a training run goes on at the step of the checkpoint."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from dataloader import inputs
from dataloader import record_files
from dataloader import record_order
from executor import checkpoints
from executor import divergence
from executor import errors
from executor import jobs
from tests.dataloader import examples
from tests.executor import toy
from utils import modes
from utils import training_names


@pytest.fixture(name='config_of')
def _config_of(tmp_path):
  """A detector on 12 images, in batches of two."""
  examples.write(tmp_path / 'train.tfrecord', [examples.serialize(
      examples.image(40, 50, i), [[.1, .2, .7, .8]], [1], source_id=str(i))
                                               for i in range(12)])

  def config_of(**changes):
    return toy.config(tmp_path / 'model', **dict({
        'train__train_batch_size': 2, 'train__transpose_input': False,
        'train__train_file_pattern': str(tmp_path / 'train.tfrecord'),
        'retinanet_parser__output_size': (32, 32),
        'retinanet_parser__aug_scale_max': 2., 'train__seed': 7}, **changes))
  return config_of


def _parts(config, readers):
  """The parts of a job without its model."""
  parts = jobs._Parts.__new__(jobs._Parts)
  parts.config, parts.replicas, parts._readers = config, 1, readers
  parts.guard = divergence.Guard(config)
  return parts


def _images(config, count):
  """The first images that a job would train on."""
  parts = _parts(config, {modes.TRAIN: inputs.build_input_fn(config,
                                                             modes.TRAIN)})
  with tf.Graph().as_default(), tf.Session() as session:
    batch = tf.data.make_one_shot_iterator(
        parts.train_input_fn()({})).get_next()[0]
    return np.concatenate([session.run(batch) for _ in range(count)])


@pytest.mark.parametrize('changes, variables, num_images', [
    ({}, {}, 8),
    ({'train__accumulation_steps': 2, 'train__train_batch_size': 4},
     {training_names.NUM_ACCUMULATED: 1}, 18)])
def test_images_of_a_resumed_training(config_of, tmp_path, changes, variables,
                                      num_images):
  """Both the records and their augmentation, over the end of an epoch."""
  config = config_of(**changes)
  unbroken = _images(config, 12)
  (tmp_path / 'model').mkdir()
  toy.save_checkpoint(tmp_path / 'model', 4, global_step=np.int64(4),
                      **variables)
  resumed = _images(config, 3)
  np.testing.assert_array_equal(resumed, unbroken[num_images:num_images + 6])


def test_calls_of_a_training_that_takes_its_step_from_elsewhere(tmp_path):
  path = toy.save_checkpoint(tmp_path, 40, global_step=np.int64(40))
  def calls(**changes):
    return checkpoints.num_calls(toy.config(
        tmp_path / 'model', train__checkpoint__path=path, **changes))
  assert calls() == 0
  assert calls(train__checkpoint__restore_optimizer_state=True) == 40


@pytest.mark.parametrize('error', [
    record_files.RecordError('a.tfrecord: record 3'),
    record_order.ShareError('3 records for 4 hosts')])
def test_what_stops_the_input_at_its_start_is_a_sentence(config_of, error):
  parts = _parts(config_of(), {})
  with pytest.raises(errors.SetupError, match=str(error)):
    with parts.explained_errors():
      raise error


@pytest.mark.one_runtime('tf1')
def test_a_checkpoint_that_leads_to_divergence_twice_is_set_aside(
    config_of, tmp_path):
  """Then the one before it is taken, and still no record is seen again."""
  config = config_of(train__divergence_retries=4)
  unbroken = _images(config, 12)
  for step in (0, 2, 4):
    (tmp_path / 'model').mkdir(exist_ok=True)
    toy.save_checkpoint(tmp_path / 'model', step, global_step=np.int64(step))
  guard = divergence.Guard(config)
  for diverged_at, back_to, seen in ((5, 4, 5), (5, 2, 6), (3, 0, 7),
                                     (1, 0, 8)):
    guard.go_back(errors.TrainingDiverged('bad', diverged_at))
    assert checkpoints.latest_step(config.model_dir) == back_to
    np.testing.assert_array_equal(_images(config, 1),
                                  unbroken[2 * seen:2 * seen + 2])
  assert not guard.may_go_back
  aside = tmp_path / 'model' / 'diverged'
  assert [checkpoints.step_of(path) for path in checkpoints.find_all(
      str(aside))] == [2, 4]


@pytest.mark.one_runtime('tf1')
def test_the_batch_of_a_divergence_is_read_again(config_of, tmp_path):
  """Ids and batch of a step, with a seed and without; and the next try."""
  for seed in (7, None):
    config = config_of(train__seed=seed, train__divergence_retries=1,
                       train__divergence_rate_factor=.25,
                       train__learning_rate__init_learning_rate=.8)
    parts = _parts(config, {modes.TRAIN: inputs.build_input_fn(config,
                                                               modes.TRAIN)})
    with tf.Graph().as_default(), tf.Session() as session:
      batch = tf.data.make_one_shot_iterator(
          parts.train_input_fn()({})).get_next()
      images = [session.run(batch[0]) for _ in range(5)]
    text = parts.describe_batch(3)
    with np.load(str(tmp_path / 'model' / 'diverged' / 'step-3.npz')) as saved:
      np.testing.assert_array_equal(saved['0/000'], images[2])
      assert 'It saw the images %s. Its batch' % ', '.join(saved['ids']) in text
  # Step 1 is the last good one: those of the steps 2 and 3 are left out.
  config = config_of(train__divergence_retries=1,
                     train__divergence_rate_factor=.25,
                     train__learning_rate__init_learning_rate=.8)
  unbroken = _images(config, 5)
  toy.save_checkpoint(tmp_path / 'model', 1, global_step=np.int64(1))
  guard = divergence.Guard(config)
  assert guard.may_go_back and not guard.skipped_calls()
  guard.go_back(errors.TrainingDiverged('bad', 3))
  assert not guard.may_go_back
  assert divergence.Guard(config).adapted(
      config).train.learning_rate.init_learning_rate == pytest.approx(.2)
  assert len(unbroken) == 10
  np.testing.assert_array_equal(_images(config, 1), unbroken[6:8])
